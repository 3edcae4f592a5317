"""``hardwired probe inventum``: wake a terminal and say whether it is an Ecolution's."""

from __future__ import annotations

import argparse
import asyncio

from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.inventum import FACTORY

from ...advice import with_advice
from ...arguments import seconds_of
from ...output import emit, tell
from .. import NOTHING_HEARD
from . import PORT_HELP


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=FACTORY.probe_seconds,
        metavar="N",
        help=f"how long to try at most (default: {FACTORY.probe_seconds:.0f})",
    )


def run(options: argparse.Namespace) -> int:
    """Wake the terminal; 0: it is one of these, 3: nothing that is known. Types no code."""
    last = [-1]

    def progress(result: ProbeResult) -> None:
        if (heard := result.counters["bytes"]) != last[0]:
            last[0] = heard
            tell(f"{heard} bytes, screen {result.counters['screen']}")

    settings = FACTORY.read({"link": options.port})
    result = asyncio.run(
        FACTORY.probe(settings, Surroundings(), seconds=options.seconds, on_progress=progress)
    )
    kinds = [device.kind for device in result.devices]
    emit({"reason": result.reason, "devices": kinds, **result.counters})
    if result.reason is None:
        return 0
    tell(f"hardwired: {with_advice(result.reason.value, result.reason)}")
    return NOTHING_HEARD
