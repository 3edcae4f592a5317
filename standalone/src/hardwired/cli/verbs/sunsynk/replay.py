"""``hardwired replay sunsynk``: dongles that report again what they reported when recorded."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from hardwired_engines.simulating import Simulator, connecting_out, on_tcp_port
from hardwired_engines.sunsynk.capture.stream import Frame
from hardwired_engines.sunsynk.dongle.envelope import FROM_DONGLE, FrameCutter
from hardwired_engines.tasks import until_any

from ...arguments import WrongArguments, address_of
from ...output import tell, trouble_teller
from ...replaying import (
    BETWEEN_ROUNDS,
    NothingToPlay,
    Pace,
    Piece,
    Player,
    Tally,
    add_arguments,
    add_loop,
    finish,
    gaps,
    pace_of,
    playable,
    say_ready,
)
from .capture import add_filter, decoder_for, opened, tell_warnings

DIRECTION = 2
"""Which byte of a message says who sends it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a dongle said in one connection, which began *gap* seconds after the one before."""

    gap: float
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Recorded:
    """All connections of a capture, in the order of their first messages."""

    connections: Sequence[Connection]
    answers: Mapping[bytes, bytes]
    """What the server said to a message."""


def recorded_in(frames: Iterable[Frame]) -> Recorded:
    """Return what dongles and their server said."""
    said: dict[bytes, list[Frame]] = {}
    open_messages: dict[bytes, bytes] = {}
    answers: dict[bytes, bytes] = {}
    for frame in frames:
        if frame.data[DIRECTION] == FROM_DONGLE:
            said.setdefault(frame.flow, []).append(frame)
            open_messages[frame.flow] = frame.data
        elif (message := open_messages.pop(frame.reverse_flow, None)) is not None:
            answers[message] = frame.data
    flows = list(said.values())
    pauses = gaps(_moment(flow[0]) for flow in flows)
    connections = [Connection(gap, _pieces(flow)) for gap, flow in zip(pauses, flows, strict=True)]
    return Recorded(connections, answers)


def _moment(frame: Frame) -> float | None:
    return None if frame.time is None else frame.time.timestamp()


def _pieces(flow: Sequence[Frame]) -> list[Piece]:
    pauses = gaps(map(_moment, flow))
    return [Piece(gap, frame.data) for gap, frame in zip(pauses, flow, strict=True)]


class Dongle(Player):
    """Says what was said in one connection; goes on in another one when that is lost.

    What was not answered is said once more there.
    """

    def __init__(self, pieces: Sequence[Piece], pace: Pace, tally: Tally) -> None:
        super().__init__(pieces, Pace(pace.speed), tally)
        self._open = 0
        """Messages without an answer in this connection."""
        self._twice = 0
        """The messages before this place were said again, if they had to be."""
        self._cutter = FrameCutter()

    def connected(self, now: float) -> None:
        """Begin, or go on."""
        super().connected(now)
        reached = self.upcoming
        self.upcoming = max(reached - self._open, self._twice)
        self._twice = reached
        self._open = 0
        self._cutter = FrameCutter()

    def disconnected(self, now: float) -> None:
        """Nothing more is answered."""
        self.tally.unanswered += self._open

    def receive(self, data: bytes, now: float) -> None:
        """Take answers."""
        answers = min(len(self._cutter.append(data)), self._open)
        self.tally.answered += answers
        self._open -= answers

    def transmit(self, now: float) -> bytes:
        """Return the next message when it is due."""
        data = super().transmit(now)
        self._open += bool(data)
        return data


class Server:
    """The maker's server, as far as it was recorded: says to a message what it said then."""

    hung_up = False

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._cutter = FrameCutter()
        self._waiting = bytearray()

    def connected(self, now: float) -> None:
        """Begin with what comes."""

    def disconnected(self, now: float) -> None:
        """Nothing is kept."""

    def receive(self, data: bytes, now: float) -> None:
        """Take messages."""
        for message in self._cutter.append(data):
            self._waiting += self._answers.get(message, b"")

    def transmit(self, now: float) -> bytes:
        """Return what was answered."""
        answer = bytes(self._waiting)
        self._waiting.clear()
        return answer

    def next_due(self, now: float) -> float | None:
        """Nothing is said unasked."""
        return None


async def _report(dongle: Dongle, host: str, port: int) -> None:
    """Let one connection say all it has."""
    ended = asyncio.Event()

    def served(simulator: Simulator) -> None:
        if simulator.hung_up:
            ended.set()

    trouble = trouble_teller(f"{host}:{port}")
    calling = connecting_out(lambda: dongle, host, port, on_end=served, on_trouble=trouble)
    await until_any(calling, ended.wait())


async def _round(recorded: Recorded, host: str, port: int, pace: Pace, tally: Tally) -> None:
    """Let all connections say all they have: each at its time, or one after the other."""
    start = 0.0

    async def report(dongle: Dongle, after: float) -> None:
        await asyncio.sleep(after)
        await _report(dongle, host, port)

    async with asyncio.TaskGroup() as group:
        for connection in recorded.connections:
            start += pace.seconds(connection.gap)
            task = group.create_task(report(Dongle(connection.pieces, pace, tally), start))
            if not pace.speed:
                await task


async def _replay(
    recorded: Recorded,
    server: tuple[str, int] | None,
    target: tuple[str, int] | None,
    pace: Pace,
    tally: Tally,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if server is not None:
            running = on_tcp_port(lambda: Server(recorded.answers), *server)
            server = (server[0], await stack.enter_async_context(running))
            say_ready(f"{server[0]}:{server[1]}")
        target = target or server
        assert target is not None
        tell(f"{len(recorded.connections)} connections to {target[0]}:{target[1]}")
        while True:
            await _round(recorded, *target, pace, tally)
            if not pace.loop:
                return
            await asyncio.sleep(BETWEEN_ROUNDS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_arguments(parser)
    add_loop(parser)
    add_filter(parser)
    parser.add_argument(
        "--connect", metavar="HOST:PORT", help="connect there, as a dongle does to its server"
    )
    parser.add_argument(
        "--server", metavar="[HOST:]PORT",
        help="play the server there, too, with its recorded answers; without --connect it is what"
        " the dongles connect to",
    )  # fmt: skip


@playable
def run(options: argparse.Namespace) -> int:
    """Play dongles."""
    server = target = None
    if options.connect is not None:
        target = address_of(options.connect)
    if options.server is not None:
        server = address_of(options.server, form="[HOST:]PORT")
    if server is target is None:
        raise WrongArguments("where to? --connect HOST:PORT, --server PORT, or both")
    decoder = decoder_for(UTC, options.filter)
    with opened(options.file) as reader:
        recorded = recorded_in(decoder.capture.read(reader))
        tell_warnings(reader)
    for remark in decoder.remarks():
        tell(f"hardwired: {remark}")
    if not recorded.connections:
        raise NothingToPlay(f"{decoder.capture.packets} packets, none with a dongle's message")
    tally = Tally(total=sum(len(one.pieces) for one in recorded.connections))
    return finish(_replay(recorded, server, target, pace_of(options), tally), tally)
