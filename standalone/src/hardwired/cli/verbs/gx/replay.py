"""``hardwired replay gx``: not possible, with the reason."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that others have."""
    parser.add_argument("file", metavar="FILE", nargs="?")


def run(options: argparse.Namespace) -> int:
    """Say why a GX can't be played from a recording."""
    raise ValueError(
        "a GX is not played from a recording: that holds messages of MQTT as Home Assistant and the"
        " helper exchanged them, and no device can be connected to those. 'hardwired simulate gx'"
        " plays a GX"
    )
