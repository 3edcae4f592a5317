"""``hardwired check sunsynk``: whether a capture file holds reports, and how often."""

from __future__ import annotations

import argparse

from hardwired_engines.clock import load_zone

from ...output import tell
from .capture import add_zone_and_filter, decoder_for, opened, summary_of, tell_warnings
from .courses import Courses


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``check``."""
    parser.add_argument("target", metavar="FILE", help="pcap or pcapng, also gzipped; - is stdin")
    add_zone_and_filter(parser)


def run(options: argparse.Namespace) -> int:
    """Say what a capture file holds: whether the logger sends at all (spec g.2, f.1 no. 13)."""
    load_zone(options.timezone)
    return probe_file(options)


def probe_file(options: argparse.Namespace) -> int:
    """Print how the reports of a file followed each other; returns the exit code."""
    decoder = decoder_for(load_zone(options.timezone), options.filter)
    courses = Courses()
    with opened(options.target) as reader:
        for received in decoder.read(reader):
            courses.add(received)
        tell_warnings(reader)
        for remark in decoder.remarks():
            tell(f"hardwired: {remark}")
        return courses.verdict(options.target, summary_of(decoder, reader))
