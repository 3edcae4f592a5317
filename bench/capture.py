"""Capture files: packets per second and peak memory, beside scapy's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import _traffic

ROOT = Path(__file__).parent.parent
REPEATS = 3
SCAPY_SAMPLE = 20_000


def measure(*arguments: str) -> dict[str, float]:
    """Return the figures of the fastest of some runs, each in a process of its own."""
    command = [sys.executable, "-m", "bench._read_capture", *arguments]
    runs = []
    for _ in range(REPEATS):
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    best: dict[str, float] = min(runs, key=lambda figures: figures["seconds"])
    return {**best, "peak_mib": max(figures["peak_mib"] for figures in runs)}


def cpu_per_packet(figures: dict[str, float]) -> float:
    """Return the seconds of CPU time that a packet took."""
    return figures["cpu_seconds"] / figures["packets"]


def run() -> Iterator[dict[str, Any]]:
    """Read 200 MB of mixed traffic, then 200 MB of reports only."""
    for make in (_traffic.mixed, _traffic.reports):
        path = _traffic.capture_file(make)
        ours = measure("ours", str(path))
        scapy = measure("scapy", str(path), str(SCAPY_SAMPLE))
        speed = ours["packets"] / ours["seconds"]
        scapy_speed = scapy["packets"] / scapy["seconds"]
        yield {
            "file": make.__name__,
            "file_mb": path.stat().st_size / 1e6,
            "packets": ours["packets"],
            "reports": ours["reports"],
            "reports_rejected": ours["rejected"],
            "seconds": round(ours["seconds"], 3),
            "packets_per_s": round(speed),
            "peak_mib": round(ours["peak_mib"], 1),
            "scapy_parsing_only_packets_per_s": round(scapy_speed),
            "scapy_sample_packets": scapy["packets"],
            "scapy_peak_mib": round(scapy["peak_mib"], 1),
            "ratio_to_scapy_extrapolated_from_sample": round(speed / scapy_speed, 1),
            # What else runs on the machine falsifies this one less.
            "ratio_of_cpu_time": round(cpu_per_packet(scapy) / cpu_per_packet(ours), 1),
        }
