"""``hardwired probe studer``: find the link's settings and all devices."""

from __future__ import annotations

import argparse
import asyncio

from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.studer import FACTORY

from ...output import emit, tell
from .link import add_link, link_settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    add_link(parser)


def run(options: argparse.Namespace) -> int:
    """Try the link, find all devices, print them."""
    from hardwired_engines.studer.catalogue import XCOM  # noqa: PLC0415 - large: not for --help

    def progress(step: ProbeResult) -> None:
        asked, total, found = (step.counters[key] for key in ("asked", "addresses", "found"))
        tell(f"{asked}/{total} addresses asked, {found} devices found")

    settings = link_settings(options)
    found = asyncio.run(FACTORY.probe(settings, Surroundings(), on_progress=progress))
    gateway = next(device for device in found.devices if device.kind == XCOM)
    for device in found.devices:
        if device is gateway:
            continue
        emit(
            {
                "address": None if device.address is None else int(device.address),
                "kind": device.kind,
                "name": device.name,
                "model": device.model,
                "fid": device.serial_number,
                "software": device.sw_version,
                "hardware": device.hw_version,
            }
        )
    emit(
        {
            "gateway": gateway.id,
            "guid": found.counters["guid"],
            "serial": found.settings.get("serial"),
            "multi_info": found.counters["multi_info"],
            "latency_ms": found.counters["latency_ms"],
        }
    )
    return 0
