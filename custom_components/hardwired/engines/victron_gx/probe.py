"""Log in once and say whose broker it is (spec H.1)."""

from __future__ import annotations

import asyncio
import contextlib

from ..engine import Device, Reason
from ..factory import OnProgress, ProbeResult, Surroundings
from . import protocol
from .catalogue import HELPER
from .opener import opener_of
from .settings import GxSettings

LOOK_EVERY = 0.1
HELPER_WAIT = 3.0


class _Heard:
    """What the broker has told so far."""

    def __init__(self) -> None:
        self.portal: str | None = None
        self.helper: protocol.Helper | None = None
        self.news = asyncio.Event()

    def __call__(self, topic: str, payload: bytes) -> None:
        if topic == protocol.HELPER_TOPIC:
            found = protocol.read_helper(payload)
            self.helper = found if isinstance(found, protocol.Helper) else self.helper
        elif (portal := protocol.read_serial(topic, payload)) is not None:
            self.portal = self.portal or portal
        self.news.set()


async def probe(
    settings: GxSettings,
    surroundings: Surroundings,
    seconds: float,
    on_progress: OnProgress | None = None,
) -> ProbeResult:
    """Listen for the portal id, and then shortly for the driver.

    Raises :class:`LinkError` when the broker can't be had or refuses the login.
    """
    clock, heard = surroundings.clock, _Heard()
    opener = opener_of(settings, surroundings)
    client = await opener.connect("hardwired-probe", heard)
    try:
        await client.subscribe([protocol.SERIAL_FILTER, protocol.HELPER_TOPIC])
        if settings.portal is not None:
            client.publish(protocol.Message(f"R/{settings.portal}/system/0/Serial", b""))
        began = clock.monotonic()
        until = began + seconds
        asked = False
        while (now := clock.monotonic()) < until and not client.ended.done():
            if heard.portal is not None and heard.helper is not None:
                break
            if heard.portal is not None:
                until = min(until, began + HELPER_WAIT)
            elif not asked and (portal := heard.helper and heard.helper.portal):
                # The serial is not retained everywhere; the helper says whom to ask for it.
                asked = client.publish(protocol.Message(f"R/{portal}/system/0/Serial", b""))
            if on_progress is not None:
                on_progress(_result(heard, client.fingerprint, (now - began) / seconds))
            heard.news.clear()
            with contextlib.suppress(TimeoutError):
                async with clock.timeout(min(LOOK_EVERY, until - now)):
                    await heard.news.wait()
        return _result(heard, client.fingerprint, 1.0)
    finally:
        await client.close()
        await opener.close()


def _result(heard: _Heard, fingerprint: str | None, fraction: float) -> ProbeResult:
    if heard.portal is None:
        return ProbeResult(reason=Reason.NO_ANSWER, fraction=min(1.0, fraction))
    version = None if heard.helper is None else heard.helper.version
    device = Device(HELPER, HELPER, "GX MQTT devices helper", sw_version=version)
    return ProbeResult(
        devices=() if heard.helper is None else (device,),
        counters={"helper": heard.helper is not None},
        settings={"portal": heard.portal, "fingerprint": fingerprint},
        unique_id=heard.portal,
        fraction=min(1.0, fraction),
    )
