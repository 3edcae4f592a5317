"""What the command line offers for Truma heaters behind a CP Plus panel."""

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
from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.link import ReadAhead, Stream, make_opener
from hardwired_engines.truma import FACTORY
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

from ..advice import with_advice
from ..arguments import seconds_of
from ..output import emit, tell
from ..recording import Ending, until_stopped
from . import NOTHING_HEARD, Verb
from ._truma_decode import DECODE
from ._truma_replay import REPLAY
from ._truma_set import SET
from ._truma_simulate import SIMULATE

LISTEN_SECONDS = 8.0
TICK = 0.05
PORT_HELP = (
    "a serial port with a LIN transceiver, sim://, or for listening only socket://HOST:PORT,"
    " rfc2217://HOST:PORT, esphome://..."
)


# ------------------------------------------------------------------------------ probe


def configure_probe(parser: argparse.ArgumentParser) -> None:
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


def run_probe(options: argparse.Namespace) -> int:
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


# ------------------------------------------------------------------------------ record


def configure_record(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )


def run_record(options: argparse.Namespace) -> int:
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


VERBS = {
    "decode": DECODE,
    "record": Verb("listen to the LIN bus and write down every slot", configure_record, run_record),
    "probe": Verb(
        "take part in the LIN bus for a while and say what is heard", configure_probe, run_probe
    ),
    "replay": REPLAY,
    "set": SET,
    "simulate": SIMULATE,
}
