"""``hardwired record studer``: read a plant and write down every frame."""

from __future__ import annotations

import argparse

from hardwired_engines.factory import Surroundings
from hardwired_engines.studer import FACTORY

from ...arguments import seconds_of
from ...recording import record
from .link import add_link, link_settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    add_link(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )


def run(options: argparse.Namespace) -> int:
    """Talk to a plant, reading only, and write down every frame, identities masked."""
    engine = FACTORY.make(link_settings(options), Surroundings())
    return record(engine, options.output, options.seconds)
