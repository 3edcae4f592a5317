"""Two ways to take part in the bus: with the responder's process, or as a listener in this one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import ReadAhead, Stream
from ...link.child_process import end_process
from ...link.port_holder import with_holder
from ...tasks import until_any
from ..inet.box import Box, Identity
from ..lin.frames import NETWORK_SILENCE, Receiver
from .liveness import DOUBTFUL_AFTER, Liveness, ProcessLook
from .messages import (
    VERSION,
    BusFacts,
    Heard,
    Hello,
    Lost,
    Order,
    Report,
    read_report,
    write_order,
)

RESPONDER = Path(os.environ.get("HARDWIRED_RESPONDER") or Path(__file__).with_name("responder.py"))
"""Started by file path; the one-file build unpacks it and says where to."""
HELLO_WITHIN = 15.0
WATCH_EVERY = 0.05
CLOSE_WITHIN = 0.45
LINE_LIMIT = 1 << 16
TURNS_TO_CATCH_UP = 10
TELL_EVERY = 0.25


OnEvent = Callable[[Heard], None]
OnFacts = Callable[[BusFacts], None]


class Node(Protocol):
    """Our node on the bus. ``run`` lives until the link is lost, then raises."""

    async def run(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        """Tell what is heard. Raises :class:`LinkError` when the link is lost."""

    def order(self, order: Order) -> None:
        """Pass an order on."""

    async def close(self) -> None:
        """Leave the bus; the port is free when this returns."""


class ResponderNode:
    """The responder's process, supervised: one that hangs is killed."""

    def __init__(self, process: asyncio.subprocess.Process, clock: Clock) -> None:
        self._process = process
        self._clock = clock
        self._last_heard = clock.monotonic()
        self.hello = Hello()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def low_latency(self) -> bool | None:
        """Whether the port delivers bytes at once; ``None``: it has no setting for it."""
        return self.hello.low_latency

    @classmethod
    async def start(cls, config: Mapping[str, Any], clock: Clock) -> ResponderNode:
        """Start the process; return when it has the port. Raises :class:`LinkError`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            "-X",
            "utf8",
            str(RESPONDER),
            json.dumps({**config, "parent": os.getpid()}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        node = cls(process, clock)
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                message = await node._read()
            if isinstance(message, Lost):
                raise await with_holder(_lost(message), str(config["port"]))
            if not isinstance(message, Hello) or message.version != VERSION:
                raise LinkError(Reason.FAILED, "the responder speaks another version")
            node.hello = message
        except TimeoutError as error:
            await node.close()
            raise LinkError(Reason.FAILED, "the responder did not start") from error
        except BaseException:
            await node.close()
            raise
        return node

    async def run(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        """Tell what the responder reports. Raises :class:`LinkError` when it is gone."""
        await until_any(self._watch(), self._listen(on_event, on_facts))

    async def _listen(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        while True:
            match await self._read():
                case BusFacts() as facts:
                    on_facts(facts)
                case Lost() as lost:
                    raise _lost(lost)
                case Hello():
                    pass
                case event:
                    on_event(event)

    async def _watch(self) -> None:
        """Kill a responder that hangs."""
        liveness = Liveness()
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if self._silence > DOUBTFUL_AFTER:
                # This loop may have been delayed: what waits in the pipe counts as reported.
                for _ in range(TURNS_TO_CATCH_UP):
                    await asyncio.sleep(0)
            if self._silence <= DOUBTFUL_AFTER:
                liveness.speaks()
            elif liveness.hangs(ProcessLook.at(self.pid), self._silence):
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                raise LinkError(Reason.FAILED, "the responder hangs")

    @property
    def _silence(self) -> float:
        return self._clock.monotonic() - self._last_heard

    async def _read(self) -> Report:
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                continue
            if not line:
                raise LinkError(Reason.FAILED, "the responder has ended")
            self._last_heard = self._clock.monotonic()
            if (report := read_report(line, self._last_heard)) is not None:
                return report

    def order(self, order: Order) -> None:
        """Pass an order on to the responder."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(write_order(order))

    async def close(self) -> None:
        """End the process, at the latest by killing it."""
        await end_process(self._process, CLOSE_WITHIN)


def _lost(message: Lost) -> LinkError:
    try:
        reason = Reason(message.reason)
    except ValueError:
        reason = Reason.FAILED
    return LinkError(reason, message.message)


class ListeningNode:
    """Reads the bus from a stream and sends nothing."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._box = Box(
            counter=0,
            init_request=False,
            observer=True,
            identity=Identity.BOX,
            receiver=Receiver(NETWORK_SILENCE),
        )

    async def run(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        """Tell what is heard. Raises :class:`LinkError` when the link is lost."""
        told = self._clock.monotonic()
        ahead = ReadAhead(self._stream)
        try:
            while True:
                data = await ahead.within(TELL_EVERY, self._clock)
                now = self._clock.monotonic()
                if data:
                    self._box.receive(data, now)
                self._box.tick(now)
                for event in self._box.events():
                    on_event(event)
                if now - told >= TELL_EVERY:
                    told = now
                    on_facts(BusFacts.read(self._box.facts(now)))
        finally:
            await ahead.stop()

    def order(self, order: Order) -> None:
        """Nothing: a listener sends nothing."""

    async def close(self) -> None:
        """Close the stream."""
        await self._stream.close()
