"""``hardwired decode inventum``: the screens, the columns and the rows of a recording."""

from __future__ import annotations

import argparse

from hardwired_engines.inventum.recording import Decoder

from ...output import emit, read_whole, tell
from .recording import MEANINGFUL, NOTHING_KNOWN, heard_in


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``decode``."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, or the raw bytes of a terminal; - is stdin"
    )


def run(options: argparse.Namespace) -> int:
    """Print the screens, the columns and the rows of a recording."""
    raw = read_whole(options.file)
    decoder, found = Decoder(), False
    for chunk in heard_in(raw):
        for said in decoder.receive_data(chunk):
            emit(said)
            found = found or said["event"] in MEANINGFUL
    if not found:
        tell(NOTHING_KNOWN)
        return 1
    return 0
