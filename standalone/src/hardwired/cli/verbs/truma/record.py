"""``hardwired record truma``: listen to the bus and write down every slot."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import parse_qsl, urlsplit

from hardwired_engines.clock import SystemClock
from hardwired_engines.link import ReadAhead, Stream, make_opener
from hardwired_engines.truma.engine import LINE
from hardwired_engines.truma.lin.frames import (
    NETWORK_SILENCE,
    SILENCE,
    BadFrame,
    Header,
    LinEvent,
    LinFrame,
    Receiver,
    Unanswered,
)
from hardwired_engines.truma.lin.log import write_line
from hardwired_engines.truma.settings import TrumaSettings
from hardwired_engines.truma.simulator import runner as simulator_runner

from ...arguments import seconds_of
from ...output import tell
from ...recording import Ending, until_stopped
from . import PORT_HELP

TICK = 0.05


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )


def run(options: argparse.Namespace) -> int:
    """Listen only, and write the slots down. The bus carries nothing that names the owner."""
    with contextlib.ExitStack() as stack:
        target: TextIO = sys.stdout
        if options.output:
            target = stack.enter_context(Path(options.output).open("w", encoding="ascii"))
        network = TrumaSettings(link=options.port).network
        scribe = Scribe(NETWORK_SILENCE if network else SILENCE)
        ending = asyncio.run(_record(options.port, target, options.seconds, scribe))
    tell(f"{scribe.headers} headers recorded, {scribe.frames} of them with a sound response")
    return ending.code(scribe.headers)


async def _record(port: str, target: TextIO, seconds: float | None, scribe: Scribe) -> Ending:
    stop = None
    if urlsplit(port).scheme == "sim":
        port, stop = await simulator_runner.start(dict(parse_qsl(urlsplit(port).query)))
    try:
        stream = await make_opener(port, LINE).open()
        print('# seconds PID data("-" = header without a valid response)', file=target)
        try:
            async with until_stopped(seconds) as ending:
                await _write_down(stream, target, scribe)
        finally:
            await stream.close()
    finally:
        if stop is not None:
            await stop()
    return ending


async def _write_down(stream: Stream, target: TextIO, scribe: Scribe) -> None:
    clock = SystemClock()
    began = clock.monotonic()
    ahead = ReadAhead(stream)
    try:
        while True:
            data = await ahead.within(TICK, clock)
            for line in scribe.hear(data, clock.monotonic() - began):
                print(line, file=target)
            target.flush()
    finally:
        await ahead.stop()


class Scribe:
    """Makes lines of a log out of bytes as they come; *silence* as the receiver's."""

    def __init__(self, silence: float = SILENCE) -> None:
        self._receiver = Receiver(silence)
        self._since = 0.0
        self.headers = 0
        self.frames = 0

    def hear(self, data: bytes, now: float) -> Iterator[str]:
        """Yield the lines of the slots that are complete at *now*, in seconds."""
        for event in self._receiver.receive_data(data, now):
            yield from self._line(event, now)

    def _line(self, event: LinEvent, now: float) -> Iterator[str]:
        match event:
            case Header():
                self._since = now
                self.headers += 1
            case LinFrame(pid=pid, data=data):
                self.frames += 1
                yield write_line(self._since, pid, data)
            case Unanswered(pid=pid):
                yield write_line(self._since, pid, None)
            case BadFrame(pid=pid, data=data):
                yield f"# {self._since:.6f} {pid:02X} damaged: {data.hex(' ').upper()}"
                yield write_line(self._since, pid, None)
