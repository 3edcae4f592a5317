"""Reads capture files: what several verbs of Sunsynk need."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO

from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.pipeline.decoder import Decoder
from hardwired_engines.sunsynk.sources.file import read_filter

from ...output import tell

FOLLOW_EVERY = 0.2
"""Seconds between two looks at a file that may still grow."""


class _Growing:
    """A file that is still written: at its end it waits for more, until Ctrl-C."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        """Return what is there, as soon as there is something."""
        while not (data := self._file.read(size)):
            time.sleep(FOLLOW_EVERY)
        return data


@contextmanager
def opened(path: str, *, follow: bool = False) -> Iterator[CaptureFile]:
    """Open a capture file; ``-`` is what comes in. A pipe gives each packet as it comes."""
    with contextlib.ExitStack() as stack:
        if path == "-":
            file: BinaryIO = sys.stdin.buffer
        else:
            file = stack.enter_context(Path(path).open("rb"))
        yield CaptureFile(_Growing(file) if follow else file, path)


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which packets are meant."""
    parser.add_argument(
        "--filter",
        default="",
        metavar="EXPRESSION",
        help="take only these packets, in tcpdump's words: 'host 192.168.0.21 and port 51100'",
    )


def decoder_for(zone: tzinfo, expression: str) -> Decoder:
    """Return what reads a capture of a plant in *zone*. Raises :class:`LinkError`."""
    wanted = read_filter(expression) if expression else None
    return Decoder(zone, packet_filter=wanted)


def tell_warnings(reader: CaptureFile) -> None:
    """Say what is wrong with a file that was read."""
    for warning in reader.warnings:
        tell(f"hardwired: the file is damaged ({warning.value}); what came before was read")


def add_zone_and_filter(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the plant is, and which packets are meant."""
    parser.add_argument(
        "--timezone",
        default="UTC",
        metavar="ZONE",
        help="the plant's time zone, an IANA name such as Africa/Johannesburg (default: UTC)",
    )
    add_filter(parser)


def utc(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601 writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def summary_of(decoder: Decoder, reader: CaptureFile) -> dict[str, Any]:
    """Return the counters, and what is wrong with the file."""
    return {**decoder.summary(), "warnings": [warning.value for warning in reader.warnings]}
