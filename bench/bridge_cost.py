"""The bridge: seconds to READY, memory, and what a point costs (spec bridge.md i.2).

Each start is measured ``BENCH_RUNS`` times (5); the median counts. A Raspberry Pi Zero is taken as
30 times slower per core than this machine: an assumption.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
ZERO = 30
TRUMA = '[devices.van]\nfamily = "truma"\nlink = "sim://"\ntime_zone = "UTC"\n'
SUNSYNK = '[devices.roof]\nfamily = "sunsynk"\nsource = "sim"\ntime_zone = "UTC"\n'
MQTT = '[sinks.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = 1\n'
INFLUX = (
    '[sinks.base]\ntype = "influxdb"\nversion = 1\ndatabase = "db"\nurl = "http://127.0.0.1:1"\n'
)
POINTS = 20_000


def _start(text: str, folder: Path) -> tuple[float, float]:
    """Return the seconds from the start to READY, and the resident memory then, in MB."""
    config = folder / "CONFIG.toml"
    config.write_text(f'[bridge]\nstate_dir = "{folder}/state"\n[log]\nlevel = "error"\n{text}')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        manager.bind(str(address))
        manager.settimeout(60)
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "hardwired", "run", str(config)],
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not manager.recv(1000).startswith(b"READY=1"):
                pass
            seconds = time.monotonic() - began
            time.sleep(2)
            pages = Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1]
        finally:
            process.terminate()
            process.wait(30)
    return seconds, int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _starts() -> Iterator[dict[str, Any]]:
    for what, text in (
        ("truma, no sink", TRUMA),
        ("truma + mqtt", TRUMA + MQTT),
        ("truma, sunsynk + mqtt + influxdb", TRUMA + SUNSYNK + MQTT + INFLUX),
    ):
        with tempfile.TemporaryDirectory() as folder:
            found = [_start(text, Path(folder)) for _ in range(RUNS)]
        seconds = statistics.median(one for one, _ in found)
        yield {
            "what": f"start to READY: {what}",
            "seconds": round(seconds, 2),
            "rss_mb": round(statistics.median(one for _, one in found), 1),
            "seconds_on_a_zero_assumed": round(seconds * ZERO, 1),
        }


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
    yield from _starts()
    yield from _spool()
