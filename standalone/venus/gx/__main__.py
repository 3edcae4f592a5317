"""A GX to try things on: D-Bus, broker, stand-ins, the driver and two devices, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from mqtt_devices.bus import Bus
from mqtt_devices.mqtt.client import Broker

from . import devices, screen
from .processes import Missing
from .rig import PORTAL_ID, Rig


async def _show(rig: Rig, seconds: float, once: bool) -> None:
    bus = await Bus.connect(rig.bus.address)
    shown = ""
    while True:
        text = screen.picture(await screen.services(bus))
        if text != shown:
            shown = text
            sys.stdout.write(text + "\n\n")
            sys.stdout.flush()
        if once and "Panel" in text and "Fridge" in text:
            return
        await asyncio.sleep(seconds)


async def _run(given: argparse.Namespace, folder: Path) -> None:
    rig = Rig(folder, given.python, given.bundle, port=given.port)
    try:
        rig.start()
        sys.stdout.write(f"broker   127.0.0.1:{rig.broker.port}\n")
        sys.stdout.write(f"D-Bus    {rig.bus.address}\nportal   {PORTAL_ID}\n\n")
        sys.stdout.flush()
        simulated = []
        if not given.no_devices:
            simulated.append(asyncio.ensure_future(devices.main(Broker(port=rig.broker.port))))
        await _show(rig, given.every, given.once)
        for task in simulated:
            task.cancel()
    finally:
        rig.stop()


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gx", description=__doc__)
    parser.add_argument("--port", type=int, help="port of the broker (a free one)")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle (else the source is run)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the driver")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between pictures")
    parser.add_argument("--no-devices", action="store_true", help="only the GX")
    parser.add_argument("--once", action="store_true", help="end when both devices are shown")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(given, Path(folder)))
        except Missing as missing:
            sys.stderr.write(f"{missing}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
