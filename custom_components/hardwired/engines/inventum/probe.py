"""Wake the terminal and say whether it is an Ecolution's (spec h.1). No code is typed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from ..engine import Device, LinkError, Reason
from ..factory import OnProgress, ProbeResult, Surroundings
from ..link import Stream
from .catalogue import KIND
from .conversation import Conversation
from .dialogue.machine import Dialogue, State
from .settings import InventumSettings
from .terminal.screens import View

LOOK_EVERY = 0.1
TEXT_SHARE = 0.9
LOGGER = "data_logger"
"""The screen of a running data logger."""
_PRINTABLE = frozenset((*range(0x20, 0x7F), 0x0A, 0x0D, 0x1B, 0x09, 0x08))


async def probe(
    settings: InventumSettings,
    surroundings: Surroundings,
    seconds: float,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Listen and send Escape and Enter until a known screen or the logger is recognised.

    Raises :class:`LinkError` when the port can't be had.
    """
    clock = surroundings.clock
    opener = settings.opener(_Simulations(surroundings))
    stream = await opener.open()
    heard = _Heard(Dialogue(clock))
    conversation = Conversation(stream, heard.receive_data)
    talking = asyncio.ensure_future(conversation.run())
    started = clock.monotonic()
    try:
        heard.dialogue.opened()
        while True:
            heard.dialogue.tick()
            passed = clock.monotonic() - started
            result = heard.result(passed / seconds)
            if heard.recognised or passed >= seconds:
                return result
            for write in heard.dialogue.data_to_send():
                conversation.send(write)
            if on_progress is not None:
                on_progress(result)
            if talking.done():
                talking.result()
            await clock.sleep(LOOK_EVERY)
    finally:
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):
            await talking
        await stream.close()
        await opener.close()


class _Simulations:
    """``sim://`` of a probe: a unit of its own."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    async def __call__(self, query: Mapping[str, str]) -> Stream:
        from .simulator.runner import Simulation  # noqa: PLC0415

        return await Simulation(self._surroundings.clock).open(query)


class _Heard:
    """What has come so far."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self._bytes = 0
        self._printable = 0

    def receive_data(self, data: bytes) -> None:
        """Take in what came, until the screen is known."""
        self._bytes += len(data)
        self._printable += sum(byte in _PRINTABLE for byte in data)
        if not self.recognised:
            self.dialogue.receive_data(data)

    @property
    def recognised(self) -> bool:
        """Whether a screen or the logger is known."""
        return self.dialogue.state is not State.SYNC

    def result(self, fraction: float) -> ProbeResult:
        """Return what is known now."""
        counters: Mapping[str, Any] = {
            "bytes": self._bytes,
            "screen": self._screen(),
        }
        if self.recognised:
            device = Device("ecolution", KIND, "Ecolution", "Inventum", "Ecolution")
            return ProbeResult(devices=(device,), counters=counters, fraction=1.0)
        return ProbeResult(reason=self._silence(), counters=counters, fraction=min(1.0, fraction))

    def _screen(self) -> str:
        view = self.dialogue.sight.view
        # Rows are no page: what a unit shows that was left logging.
        return LOGGER if self.recognised and view is View.UNKNOWN else view.value

    def _silence(self) -> Reason:
        if not self._bytes:
            return Reason.SILENT
        if self._printable >= TEXT_SHARE * self._bytes:
            return Reason.WRONG_DEVICE
        return Reason.NOISE
