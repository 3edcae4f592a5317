"""A whole GX of stand-ins around the driver, each part a process that can be killed (spec I)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Sequence

from .processes import BrokerProcess, BusDaemon, Process

PORTAL_ID = "c0ffee12ab34"
SOURCE = Path(__file__).parents[1]


class DriverProcess(Process):
    """The driver: from a bundle's folder, or from the source when ``bundle`` is None."""

    def __init__(self, rig: Rig, python: str, bundle: Path | None, config: dict[str, Any]) -> None:
        self.config = rig.folder / "config.json"
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
                "--mqtt-port",
                str(rig.broker.port),
                "--debug",
            ],
            rig.folder / "driver.log",
        )


class Rig:
    """All processes in one folder. ``python`` and ``bundle`` say how the driver is run."""

    def __init__(
        self,
        folder: Path,
        python: str = sys.executable,
        bundle: Path | None = None,
        config: dict[str, Any] | None = None,
        port: int | None = None,
    ) -> None:
        self.folder = folder
        os.environ["PYTHONPATH"] = str(SOURCE)
        self.bus = BusDaemon(folder)
        self.broker = BrokerProcess(folder, port)
        self.settings_file = folder / "settings.json"
        self.settings = self._stand_in("settings", "--file", str(self.settings_file))
        self.system = self._stand_in("system", "--serial", PORTAL_ID)
        self.gateway = self._stand_in(
            "gateway", "--serial", PORTAL_ID, "--port", str(self.broker.port)
        )
        self.driver = DriverProcess(self, python, bundle, config or {})

    def _stand_in(self, name: str, *words: str) -> Process:
        command = [sys.executable, "-m", "gx." + name, "--bus", self.bus.address, *words]
        return Process(command, self.folder / (name + ".log"))

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

    def preset(self, settings: dict[str, Any]) -> None:
        """Write the settings that are there before the settings service starts."""
        kept = {}
        for path, value in settings.items():
            letter = "s" if isinstance(value, str) else "f" if isinstance(value, float) else "i"
            kept[path] = {"value": value, "type": letter, "default": value, "min": 0, "max": 0}
        self.settings_file.write_text(json.dumps(kept))
