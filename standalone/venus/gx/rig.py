"""A whole GX of stand-ins around the driver, each part a process that can be killed (spec I.1)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Sequence

from mqtt_devices.mqtt.client import Broker

from .processes import BrokerProcess, BusDaemon, ForeignBroker, Process

PORTAL_ID = "c0ffee12ab34"
SOURCE = Path(__file__).parents[1]


class DriverProcess(Process):
    """The driver: from a bundle's folder, or from the source when ``bundle`` is None."""

    def __init__(self, rig: Rig, python: str, bundle: Path | None, config: dict[str, Any]) -> None:
        self.config = rig.folder / "config.json"
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(config))
        start = ["-m", "mqtt_devices"] if bundle is None else [str(bundle / "app/main.py")]
        if bundle is not None:  # as on a GX: nothing of this environment
            start = ["-E", "-s", *start]
        super().__init__(
            [
                python,
                "-u",
                *start,
                "--config",
                str(self.config),
                "--state",
                str(rig.folder / "state.json"),
                "--dbus",
                rig.bus.address,
                "--mqtt-server",
                rig.front.host,
                "--mqtt-port",
                str(rig.front.port),
                "--debug",
            ],
            rig.folder / "driver.log",
            rig.environment,
        )


class Rig:
    """All processes in one folder. ``python`` and ``bundle`` say how the driver is run.

    ``front`` is where driver and gateway find the broker; without it, they find it on ``port``.
    ``foreign``: the broker at ``front`` is somebody else's, and none is started. ``held`` are
    processes that are away on purpose: nobody is to start them again.
    """

    def __init__(
        self,
        folder: Path,
        python: str = sys.executable,
        bundle: Path | None = None,
        config: dict[str, Any] | None = None,
        port: int | None = None,
        *,
        front: Broker | None = None,
        foreign: bool = False,
    ) -> None:
        self.folder = folder
        self.held: set[Process] = set()
        others = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(SOURCE), *([others] if others else [])])
        self.environment = {"PYTHONPATH": path}
        self.bus = BusDaemon(folder)
        self.broker: BrokerProcess | ForeignBroker
        if front is not None and foreign:
            self.broker = ForeignBroker(front, folder)
        else:
            self.broker = BrokerProcess(folder, port)
        self.front = front or Broker(port=self.broker.port)
        self.settings_file = folder / "settings.json"
        self.settings = self._stand_in("settings", "--file", str(self.settings_file))
        self.system = self._stand_in("system", "--serial", PORTAL_ID)
        self.gateway = self._stand_in(
            "gateway",
            "--serial",
            PORTAL_ID,
            "--host",
            self.front.host,
            "--port",
            str(self.front.port),
        )
        for name, value in (("USER", self.front.user), ("PASSWORD", self.front.password)):
            if value is not None:  # not on the command line, where everybody could read it
                self.gateway.environment["GX_MQTT_" + name] = value
        self.put_driver(python, bundle, config or {})

    def put_driver(self, python: str, bundle: Path | None, config: dict[str, Any]) -> None:
        """Say how the driver is to be run; one that runs must have been stopped before."""
        login = {"user": self.front.user, "password": self.front.password}
        if self.front.user is not None:
            config = {**config, "mqtt": {**config.get("mqtt", {}), **login}}
        self.driver = DriverProcess(self, python, bundle, config)

    def _stand_in(self, name: str, *words: str) -> Process:
        command = [sys.executable, "-m", "gx." + name, "--bus", self.bus.address, *words]
        return Process(command, self.folder / (name + ".log"), self.environment)

    @property
    def all(self) -> list[Process]:
        """All processes, in the order in which a GX starts them."""
        return [
            self.bus, self.broker, self.settings, self.system, self.gateway, self.driver
        ]  # fmt: skip

    def start(self, without: Sequence[Process] = ()) -> None:
        """Start what does not run yet."""
        for process in self.all:
            if process not in without and not process.runs:
                process.start()

    def stop(self) -> None:
        """End everything."""
        for process in reversed(self.all):
            process.stop()

    async def supervise(self) -> None:
        """Start again what has ended by itself, as a GX does, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            for process in self.all:
                if not process.runs and process not in self.held:
                    process.stop()
                    await loop.run_in_executor(None, process.start)
            await asyncio.sleep(0.2)
