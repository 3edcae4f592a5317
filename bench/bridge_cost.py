"""The bridge: seconds to READY, memory, CPU seconds an hour, and what a point costs.

Each family alone and all together, with a broker that is there; the simulators are processes of
their own, but for the dongle. Each start is measured ``BENCH_RUNS`` times (5) and the median
counts; ``cpu_seconds`` is what a start takes of a processor, however busy the machine is. The CPU
of an hour is that of one run over ``BENCH_SECONDS`` (20). A Raspberry Pi Zero is taken as 30 times
slower per core than this machine: an assumption.

With ``BENCH_INETBOX`` (a Python in which inetbox_py is installed) that program runs on the same
simulated panel and broker, beside ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ._bridge_start import (
    HARDWIRED,
    Looks,
    bridge,
    environment,
    free_port,
    program,
    wait_for,
    wait_for_path,
)

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
INETBOX = os.environ.get("BENCH_INETBOX")
SETTLE = 10.0
"""Seconds after READY: what is found and read only once is over then."""
ZERO = 30
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
INFLUX = (
    '[sinks.base]\ntype = "influxdb"\nversion = 1\ndatabase = "db"\nurl = "http://127.0.0.1:1"\n'
)
POINTS = 20_000
HOUR = 3600.0
ALONE = ("truma", "studer", "inventum", "sunsynk", "sunsynk over Modbus")
TOGETHER = ("truma", "studer", "inventum", "sunsynk")
AIMS: Mapping[str, tuple[float, float]] = {
    "truma": (0.6, 38),
    "studer": (1.0, 48),
    "inventum": (1.0, 38),
    "sunsynk": (1.0, 38),
    "sunsynk over Modbus": (1.0, 38),
}
"""Seconds to READY and MB of one family with MQTT."""
AIM_TOGETHER = (1.0, 60)


class Devices:
    """Simulated devices and a broker, as processes."""

    def __init__(self, folder: Path, environ: dict[str, str], rest: contextlib.ExitStack) -> None:
        self._folder = folder
        self._environ = environ
        self._rest = rest
        self.broker = free_port()
        self.tables: dict[str, str] = {}

    def start(self) -> None:
        """Start them all."""
        if MOSQUITTO is not None:
            config = self._folder / "mosquitto.conf"
            user = "user root\n" if os.geteuid() == 0 else ""
            config.write_text(f"listener {self.broker} 127.0.0.1\nallow_anonymous true\n{user}")
            self._run(MOSQUITTO, "-c", str(config))
            wait_for(self.broker)
        panel = self._folder / "panel"
        self._simulate("truma", "--pty", str(panel))
        self.tables["truma"] = f'family = "truma"\nlink = "{panel}"\ntime_zone = "UTC"\n'
        xcom, unit, gateway = free_port(), free_port(), free_port()
        self._simulate("studer", "--listen", f"127.0.0.1:{xcom}", "--xtenders", "6")
        self.tables["studer"] = f'family = "studer"\nlink = "socket://127.0.0.1:{xcom}"\n'
        self._simulate("inventum", "--listen", f"127.0.0.1:{unit}")
        self.tables["inventum"] = f'family = "inventum"\nlink = "socket://127.0.0.1:{unit}"\n'
        self._simulate("sunsynk", "modbus", "--tcp", f"127.0.0.1:{gateway}")
        self.tables["sunsynk over Modbus"] = (
            f'family = "sunsynk"\nsource = "modbus"\nlink = "socket://127.0.0.1:{gateway}"\n'
        )
        self.tables["sunsynk"] = 'family = "sunsynk"\nsource = "sim"\ntime_zone = "UTC"\n'
        for port in (xcom, unit, gateway):
            wait_for(port)
        wait_for_path(panel)

    def _simulate(self, family: str, *arguments: str) -> None:
        self._run(*HARDWIRED, "simulate", family, *arguments)

    def _run(self, *arguments: str) -> None:
        self._rest.enter_context(program(arguments, self._environ))

    def config(self, *families: str, more: str = "") -> Path:
        """Write a CONFIG with the families and the broker; return where."""
        state = self._folder / f"state-{len(list(self._folder.glob('state-*')))}"
        told = [f'[bridge]\nstate_dir = "{state}"\n[log]\nlevel = "error"\n']
        told += [
            f"[devices.link{number}]\n{self.tables[one]}" for number, one in enumerate(families)
        ]
        told.append(f'[sinks.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {self.broker}\n')
        path = self._folder / "CONFIG.toml"
        path.write_text("".join([*told, more]))
        return path


def _measure(path: Path, environ: dict[str, str]) -> dict[str, Any]:
    ready, used, memory = [], [], []
    for number in range(RUNS):
        with bridge(path, environ) as started:
            ready.append(started.seconds)
            used.append(started.look().cpu)
            time.sleep(SETTLE)
            before = started.look()
            memory.append(before.rss)
            if number == RUNS - 1:
                time.sleep(SECONDS)
                figures = _used(before, started.look())
    seconds = statistics.median(ready)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(statistics.median(used), 2),
        "rss_mb": round(statistics.median(memory), 1),
        "seconds_on_a_zero_assumed": round(statistics.median(used) * ZERO, 1),
        **figures,
    }


def _used(before: Looks, after: Looks) -> dict[str, Any]:
    found = {"cpu_s_per_hour": round((after.cpu - before.cpu) / SECONDS * HOUR, 1)}
    if after.child_rss:
        used = (after.child_cpu - before.child_cpu) / SECONDS * HOUR
        found |= {
            "responder_cpu_s_per_hour": round(used, 1),
            "responder_mb": round(after.child_rss, 1),
        }
    return found


def _starts(folder: Path) -> Iterator[dict[str, Any]]:
    environ = environment(folder / "bytecode")
    with contextlib.ExitStack() as rest:
        devices = Devices(folder, environ, rest)
        devices.start()
        with bridge(devices.config(*TOGETHER, more=INFLUX), environ):
            pass  # compiled now
        broker = "a broker" if MOSQUITTO is not None else "no broker (mosquitto is not installed)"
        for family in ALONE:
            aim = AIMS[family]
            figures = _measure(devices.config(family), environ)
            what = f"{family} + mqtt, {broker}"
            yield {"what": what, **figures, "aim_seconds": aim[0], "aim_mb": aim[1]}
        what = f"{', '.join(TOGETHER)} + mqtt + influxdb (not there), {broker}"
        figures = _measure(devices.config(*TOGETHER, more=INFLUX), environ)
        yield {
            "what": what,
            **figures,
            "aim_seconds": AIM_TOGETHER[0],
            "aim_mb": AIM_TOGETHER[1],
        }
        yield _inetbox(folder, devices, environ)


def _inetbox(folder: Path, devices: Devices, environ: dict[str, str]) -> dict[str, Any]:
    """Run inetbox.py on a panel of its own."""
    what = "inetbox.py 0.4 beside it"
    if INETBOX is None:
        return {"what": what, "skipped": "BENCH_INETBOX names no Python that has inetbox_py"}
    panel = folder / "old"
    config = folder / "miqro.yml"
    config.write_text(
        f"broker:\n  host: 127.0.0.1\n  port: {devices.broker}\n"
        f"services:\n  truma:\n    serial_device: {panel}\n    language: en\n"
    )
    service = (INETBOX, "-m", "inetbox.truma_service", "--config", str(config))
    simulator = (*HARDWIRED, "simulate", "truma", "--pty", str(panel))
    with program(simulator, environ):
        wait_for_path(panel)
        with program(service, environ) as pid:
            time.sleep(SETTLE)
            before = Looks.at(pid)
            time.sleep(SECONDS)
            after = Looks.at(pid)
    if not after.rss:
        return {"what": what, "skipped": "it has ended by itself"}
    used = (after.cpu - before.cpu) / SECONDS * HOUR
    return {"what": what, "rss_mb": round(after.rss, 1), "cpu_s_per_hour": round(used, 1)}


def _spool() -> Iterator[dict[str, Any]]:
    from hardwired.influx.spool import DiskSpool, Settled  # noqa: PLC0415

    lines = [f"truma,device=heater,link=van v={one} {one}" for one in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        spool = DiskSpool(Path(folder) / "s.db", 2**30)
        accept = []
        for _ in range(POINTS // 1000):
            began = time.perf_counter()
            spool.append(lines)
            accept.append(time.perf_counter() - began)
        began = time.perf_counter()
        while batch := spool.take(5000, 1_000_000):
            spool.settle(Settled(stored=[ident for ident, _ in batch]))
        seconds = time.perf_counter() - began
        spool.close()
    yield {"what": "spool: accept 1000 points", "ms": round(1000 * statistics.median(accept), 1)}
    yield {"what": "back-fill from the spool, no server", "points_per_s": round(POINTS / seconds)}


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    yield {"python": sys.version.split()[0], "cores": os.cpu_count(), "runs": RUNS}
    with tempfile.TemporaryDirectory() as folder:
        yield from _starts(Path(folder))
    yield from _spool()
