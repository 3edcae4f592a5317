"""Sunsynk: how fast a capture of 200 MB is read, beside scapy's reader (``capture``)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from .. import capture
from .table import Row


def measure() -> Iterator[dict[str, Any] | Row]:
    """Yield the figures of mixed traffic, then the rows."""
    figures = next(iter(capture.run()))
    yield {"program": "Hardwired", **figures}
    name = f"scapy {version('scapy')}"
    ours, scapy = figures["packets_per_s"], figures["scapy_parsing_only_packets_per_s"]
    yield Row(
        "Sunsynk: packets a second from a capture file",
        f"{ours:,}, every report decoded",
        {name: f"{scapy:,}, dissected only"},
    )
    yield Row(
        "Sunsynk: memory while it reads 200 MB",
        f"{figures['peak_mib']:.0f} MiB",
        {name: f"{figures['scapy_peak_mib']:.0f} MiB"},
    )
