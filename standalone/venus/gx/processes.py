"""The programs around the stand-ins: a private D-Bus daemon and a broker on the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping

if TYPE_CHECKING:
    from mqtt_devices.mqtt.client import Broker

_BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
  <limit name="max_replies_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">1024</limit>
</busconfig>
"""
_BROKER_CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
"""


# program -> Debian package
_PACKAGES = {"dbus-daemon": "dbus", "mosquitto": "mosquitto", "busybox": "busybox"}


class Missing(RuntimeError):
    """A program that is needed is not installed, or does not start; the text says what to do."""


def program(name: str) -> str:
    """Return the path of a program; raises Missing."""
    more = os.environ.get("GX_PROGRAMS", "/usr/sbin:/usr/local/sbin:/sbin")  # few have them in PATH
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":" + more)
    if found is None:
        package = _PACKAGES.get(name, name)
        other = "; or use one that runs already: --broker HOST" if name == "mosquitto" else ""
        raise Missing(f"{name} is not installed (Debian, Ubuntu: apt-get install {package}){other}")
    return found


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program that is started, killed and started again at the same address."""

    def __init__(
        self, command: list[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = command
        self.log = log
        self.environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may take a moment until it serves."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,  # Ctrl-C is for who started it, and stops it in order
            )

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, kill: bool = False) -> int | None:
        """End it, by SIGKILL if wanted; returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(10)
        self.process = None
        return status


class BusDaemon(Process):
    """A private D-Bus daemon with the GX's limits (spec I.2)."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "bus"
        self.address = f"unix:path={self.socket}"
        config = folder / "bus.conf"
        config.write_text(_BUS_CONFIG.format(socket=self.socket))
        daemon = program("dbus-daemon")
        super().__init__(
            [daemon, "--nofork", "--nopidfile", "--config-file", str(config)], folder / "bus.log"
        )

    def start(self) -> None:
        """Start it and wait until it serves."""
        if self.socket.exists():
            self.socket.unlink()
        super().start()
        _until(self.socket.exists, self)


class BrokerProcess(Process):
    """Mosquitto, without a file to keep anything in."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        config = folder / "broker.conf"
        config.write_text(_BROKER_CONFIG.format(port=self.port))
        super().__init__([program("mosquitto"), "-c", str(config)], folder / "broker.log")

    def start(self) -> None:
        """Start it and wait until it listens."""
        super().start()
        _until(self._listens, self)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class ForeignBroker(Process):
    """A broker that somebody else runs: it is neither started nor stopped."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        super().__init__([], folder / "broker.log")
        self.port = broker.port

    def start(self) -> None:
        """Do nothing."""

    @property
    def runs(self) -> bool:
        """Whether it runs is not ours to say."""
        return True

    def stop(self, kill: bool = False) -> int | None:
        """Do nothing."""
        del kill
        return None


def _until(ready: Callable[[], bool], process: Process, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if not process.runs or time.monotonic() > end:
            words = process.log.read_text(errors="replace").strip().splitlines()
            reason = words[-1] if words else "it says nothing"
            raise Missing(f"{Path(process.command[0]).name} does not start: {reason}")
        time.sleep(0.01)
