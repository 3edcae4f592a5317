"""``hardwired record sunsynk``: record a dongle's messages, masked."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import BinaryIO

from hardwired_engines.sunsynk.capture.stream import Frame
from hardwired_engines.sunsynk.capture.writer import MaskedRecorder
from hardwired_engines.sunsynk.sources.base import Batch

from ...arguments import seconds_of
from ...output import tell
from ...recording import Ending
from .capture import add_zone_and_filter
from .listening import check_interface, listen, live_source


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("interface", metavar="INTERFACE", help="br0, eth1, any, ...")
    parser.add_argument("file", metavar="FILE", help="the capture file to write; - is stdout")
    add_zone_and_filter(parser)
    parser.add_argument(
        "--seconds", type=seconds_of, help="how long to record (default: until Ctrl-C)"
    )


def run(options: argparse.Namespace) -> int:
    """Record the dongle's messages; logins are left out, serial numbers and addresses masked."""
    check_interface(options.interface, "no interface")
    return asyncio.run(_record(options))


async def _record(options: argparse.Namespace) -> int:
    source = live_source(options.interface, options)
    with contextlib.ExitStack() as stack:
        file: BinaryIO = sys.stdout.buffer
        if options.file != "-":
            file = stack.enter_context(Path(options.file).open("wb"))  # noqa: ASYNC230 - a few bytes
        recorder = MaskedRecorder(file)

        def seen(batch: Batch) -> None:
            for (data, time), flows in zip(batch.frames, batch.flows, strict=True):
                recorder.write(Frame(data, time, *flows))
            file.flush()

        stopped = await listen(source, seen, options.seconds)
    tell(f"{recorder.written} messages recorded, {recorder.left_out} left out")
    return Ending(stopped).code(recorder.written + recorder.left_out)
