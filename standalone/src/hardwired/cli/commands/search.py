"""``hardwired search [FAMILY]``: looks for devices, without disturbing any.

Nothing is sent to a port whose USB id is not known to belong to one of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from hardwired_engines.engine import EngineError
from hardwired_engines.factory import Surroundings, factory_of

from ..arguments import seconds_of
from ..output import emit, tell
from ..progress import progress
from ..verbs import family_names, verbs
from .ports import capture_interfaces, serial_ports

HELP = "look for devices: gateways on the network, ports, interfaces"
EXAMPLES = ("hardwired search", "hardwired search truma --seconds 10")
NOTHING = 3
_FAMILIES = "which kind of devices to look for (default: all)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "family", nargs="?", choices=family_names(), metavar="FAMILY", help=_FAMILIES
    )
    parser.add_argument("--seconds", type=seconds_of, default=5.0, help="per port (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a find")


def run(options: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    ports = [port for port in serial_ports() if port["may_open"] and not port["held_by"]]
    found = 0
    for family in [options.family] if options.family else family_names():
        ways: dict[str, Callable[[], list[Mapping[str, Any]]]] = {
            "inventum": lambda: _known_ports("inventum"),
            "truma": lambda: _heard_on_ports(ports, options.seconds),
            "sunsynk": lambda: _heard_on_interfaces(options.seconds),
        }
        if family in ways:
            for one in ways[family]():
                found += 1
                _say({"family": family, **one}, as_json=options.json)
        elif "search" in verbs(family):
            found += _of_family(family)
    if not found:
        tell("nothing was found")
    return 0 if found else NOTHING


def _say(one: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(one)
        return
    words = ", ".join(str(one[key]) for key in ("what", "detail") if one.get(key))
    sys.stdout.write(f"{one['family']}: {one['where']}: {words}\n")


def _of_family(family: str) -> int:
    """Run a family's own search; return whether it found something."""
    entry = verbs(family)["search"]
    parser = argparse.ArgumentParser()
    entry.configure(parser)
    return int(entry.run(parser.parse_args([])) == 0)


def _known_ports(family: str) -> list[Mapping[str, Any]]:
    return [
        {
            "where": port["port"],
            "what": port["fits"],
            "detail": f"held by {port['held_by']}" if port["held_by"] else None,
        }
        for port in serial_ports()
        if port["family"] == family
    ]


def _heard_on_ports(ports: list[dict[str, Any]], seconds: float) -> list[Mapping[str, Any]]:
    """Listen on free ports that belong to nobody; an observer sends nothing."""
    free = [port["port"] for port in ports if port["family"] is None]
    return _probe("truma", [(port, {"link": port, "observer": True}) for port in free], seconds)


def _heard_on_interfaces(seconds: float) -> list[Mapping[str, Any]]:
    names = [
        one["interface"]
        for one in capture_interfaces()
        if one["may_capture"] and one["state"] in {"up", "unknown"} and one["interface"] != "lo"
    ]
    settings = {"source": "live", "time_zone": "UTC"}
    return _probe("sunsynk", [(name, {**settings, "interface": name}) for name in names], seconds)


def _probe(
    family: str, places: list[tuple[str, dict[str, Any]]], seconds: float
) -> list[Mapping[str, Any]]:
    """Listen at all places at once; return where something is heard."""
    factory = factory_of(family)

    async def one(where: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            result = await factory.probe(
                factory.read(settings), Surroundings(zone=UTC), seconds=seconds
            )
        except (EngineError, OSError):
            return None
        if result.reason is not None or not result.devices:
            return None
        names = ", ".join(device.name for device in result.devices)
        return {"where": where, "what": names, "detail": result.detail}

    async def all_() -> list[Mapping[str, Any]]:
        async with progress(f"{family}: listening at {len(places)} places", seconds):
            found = await asyncio.gather(*(one(where, settings) for where, settings in places))
        return [told for told in found if told is not None]

    return asyncio.run(all_())
