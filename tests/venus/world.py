"""The GX that the tests of one worker share: kept running from one test to the next.

What a test leaves behind is cleaned away: devices, settings, retained messages. What it stopped,
killed or replaced is made anew, and so is everything after a test that failed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gx.processes import Process
from gx.rig import PORTAL_ID, Rig
from mqtt_devices.bus import BusError, to_variant
from mqtt_devices.driver import STATUS_RATE

from .observer import PATIENCE, Observer, until
from .pythons import pythons

SETTINGS = "com.victronenergy.settings"
STORE = "com.victronenergy.Settings"
SERIAL = f"N/{PORTAL_ID}/system/0/Serial"
LEFT = 5  # of the Status messages that a client may send at once, when a test begins


class World:
    """At most one rig. ``folder`` makes a new folder for each."""

    def __init__(self, bundle: Path, folder: Callable[[], Path]) -> None:
        self.rig: Rig | None = None
        self._bundle = bundle
        self._folder = folder
        self._driver: tuple[str, str] | None = None  # Python and configuration of the running one
        self._pids: dict[str, int] = {}
        self._rested = 0.0  # when every client may send as many messages again as a test wants

    def close(self) -> None:
        """End everything; the next test begins with a new rig."""
        if self.rig is not None:
            self.rig.stop()
        self.rig = self._driver = None

    async def begin(
        self,
        version: str,
        config: dict[str, Any],
        *,
        settings: dict[str, Any] | None,
        gateway: bool,
        driver: bool,
        system: bool,
    ) -> Observer:
        """Return an observer of a GX as a test wants it."""
        wanted = (version, json.dumps(config, sort_keys=True))
        if self.rig is None:
            self.rig = Rig(self._folder(), pythons()[version], self._bundle)
        rig = self.rig
        if self._driver != wanted or not driver or not system:
            self._stop_driver(rig)
        if not system:
            rig.system.stop()
        seen = Observer(rig)
        rig.start(without=[rig.driver, *self._left_out(rig, gateway, system)])
        await seen.join_bus()
        await seen.join_broker()
        for name in ("settings", "system") if system else ("settings",):
            await seen.wait(lambda name=name: seen.has(f"com.victronenergy.{name}"))
        await self._see_to_gateway(seen, gateway)
        if settings:
            await preset(seen, settings)
        if self._driver != wanted:
            rig.put_driver(pythons()[version], self._bundle, config)
            self._driver = wanted
        elif driver and rig.driver.runs:
            await asyncio.sleep(max(0.0, self._rested - time.monotonic()))
        seen.begin_log()
        if driver:
            if not rig.driver.runs:
                rig.driver.start()
            await seen.fence()
        self._pids = {name: _pid(process) for name, process in self._parts(rig).items()}
        seen.clear()
        return seen

    @staticmethod
    def _parts(rig: Rig) -> dict[str, Process]:
        return {
            "bus": rig.bus,
            "broker": rig.broker,
            "settings": rig.settings,
            "system": rig.system,
            "gateway": rig.gateway,
            "driver": rig.driver,
        }

    @staticmethod
    def _left_out(rig: Rig, gateway: bool, system: bool) -> list[Process]:
        left_out: list[Process] = [] if gateway else [rig.gateway]
        return left_out if system else [*left_out, rig.system]

    def _stop_driver(self, rig: Rig) -> None:
        rig.driver.stop()
        self._driver = None
        (rig.folder / "state.json").unlink(missing_ok=True)

    @staticmethod
    async def _see_to_gateway(seen: Observer, wanted: bool) -> None:
        if wanted:
            await seen.wait(lambda: [it for it in seen.on(SERIAL) if it.payload])
        elif seen.rig.gateway.runs:
            seen.rig.gateway.stop()
            seen.publish(SERIAL, b"", retain=True)

    async def end(self, seen: Observer) -> None:
        """Clean up after a test that went well."""
        rig = seen.rig
        now = {name: _pid(process) for name, process in self._parts(rig).items()}
        changed = {name for name in now if now[name] != self._pids[name]}
        if changed - {"driver"} or not rig.system.runs:
            self.close()
            return
        if changed:
            self._stop_driver(rig)
        try:
            await self._clean(seen)
        except (TimeoutError, BusError):
            self.close()

    async def _clean(self, seen: Observer) -> None:
        for topic in seen.retained:
            seen.publish(topic, b"", retain=True)
        if seen.rig.driver.runs:
            for number, client_id in enumerate(sorted(seen.clients)):
                gone = {"clientId": client_id, "connected": 0}
                seen.publish(f"device/zz_gone_{number}/Status", gone)
            await seen.fence()
        most = min(max(seen.statuses.values(), default=0), STATUS_RATE)
        self._rested = time.monotonic() + max(0.0, most + LEFT - STATUS_RATE) / STATUS_RATE
        await until(lambda: self._is_empty(seen))
        items = await seen.items(SETTINGS)
        paths = [path.removeprefix("/Settings/") for path in items]
        if paths:
            assert seen.bus is not None
            await seen.bus.call(
                SETTINGS, "/Settings", STORE, "RemoveSettings", "as", [paths], timeout=PATIENCE
            )

    @staticmethod
    async def _is_empty(seen: Observer) -> bool:
        assert seen.bus is not None
        return not [name for name in await seen.bus.names() if ".mqtt_" in name]


async def preset(seen: Observer, settings: dict[str, Any]) -> None:
    """Have settings there with these values, before any device comes."""
    assert seen.bus is not None
    asked = [
        {"path": to_variant(path), "default": to_variant(value)} for path, value in settings.items()
    ]
    reply = await seen.bus.call(
        SETTINGS, "/", STORE, "AddSettings", "aa{sv}", [asked], timeout=PATIENCE
    )
    assert all(answer["error"].value == 0 for answer in reply[0]), reply


def _pid(process: Process) -> int:
    return process.process.pid if process.process is not None and process.runs else 0
