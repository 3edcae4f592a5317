"""``hardwired probe truma``: take part in the bus for a while and say what is heard."""

from __future__ import annotations

import argparse
import asyncio

from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.truma import FACTORY

from ...advice import with_advice
from ...arguments import seconds_of
from ...output import emit, tell
from .. import NOTHING_HEARD
from . import PORT_HELP

LISTEN_SECONDS = 8.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=LISTEN_SECONDS,
        metavar="N",
        help=f"how long to listen at most (default: {LISTEN_SECONDS:.0f})",
    )
    parser.add_argument("--observer", action="store_true", help="send nothing")


def run(options: argparse.Namespace) -> int:
    """Take part in the bus for a while; 0: the panel calls us, 3: it does not."""
    settings = FACTORY.read({"link": options.port, "observer": options.observer})
    last = [-1]

    def progress(heard: ProbeResult) -> None:
        headers, calls = heard.counters["headers"], heard.counters["calls"]
        if headers != last[0]:
            last[0] = headers
            tell(f"{heard.counters['seconds']:.0f} s: {headers} headers, {calls} of them for us")

    heard = asyncio.run(
        FACTORY.probe(settings, Surroundings(), seconds=options.seconds, on_progress=progress)
    )
    emit({**heard.counters, "reason": heard.reason, "detail": heard.detail})
    if heard.reason is None:
        return 0
    tell(f"hardwired: {with_advice(heard.reason.value, heard.reason)}")
    return NOTHING_HEARD
