"""Plays what was recorded as a device on a port: what ``replay`` of all families has in common.

Each who connects hears the recording from its beginning: a form of Home Assistant opens a port
twice, once to look at it. Without ``--loop`` the program ends when somebody has heard all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hardwired_engines.attended_pty import on_attended_pty
from hardwired_engines.simulating import Simulator, connecting_out, on_tcp_port
from hardwired_engines.tasks import until_any

from .arguments import address_of, speed_of, terminal_of
from .output import emit, tell, trouble_teller
from .progress import PAUSE, ProgressLine
from .recording import Chunk, Ending, until_stopped
from .verbs import NOTHING_HEARD

LONGEST_PAUSE = 3600.0
"""Seconds of a recorded pause that are kept: a clock that was set looks like a long one."""
BETWEEN_ROUNDS = 1.0
LINGER = 0.5
"""Seconds in which the last bytes may still be answered."""


class NothingToPlay(Exception):
    """A recording holds nothing of a device that could be played; the text says why."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a recording is played."""

    speed: float = 1.0
    """Times as fast as recorded; 0: as fast as it is read."""
    loop: bool = False

    def seconds(self, recorded: float) -> float:
        """Return how long a recorded pause lasts."""
        return min(max(recorded, 0.0), LONGEST_PAUSE) / self.speed if self.speed else 0.0


@dataclass(slots=True)
class Tally:
    """What was played so far, to all who have connected."""

    connections: int = 0
    frames: int = 0
    answered: int = 0
    """Requests that were answered; of a bus, headers that were answered by who is connected."""
    unanswered: int = 0
    position: float = 0.0
    """How much of the recording the last who has connected has heard, 0 to 1."""
    total: int = 0
    """Frames of a recording that is played once for all; 0: each hears it from its beginning."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that were recorded together, *gap* seconds after the piece before."""

    gap: float
    data: bytes


class Player:
    """A device that says what was recorded, in its rhythm, whatever it hears."""

    def __init__(self, pieces: Sequence[Piece], pace: Pace, tally: Tally) -> None:
        self.hung_up = False
        self.pace = pace
        self.tally = tally
        self.due = 0.0
        self.upcoming = 0
        """Which piece is the next."""
        self._pieces = pieces
        self._breathing = False

    def connected(self, now: float) -> None:
        """Begin, or go on where the line was lost."""
        self.tally.connections += 1
        self.due = now
        self._breathing = False

    def disconnected(self, now: float) -> None:
        """Nothing ends with the line."""

    def receive(self, data: bytes, now: float) -> None:
        """Take what is said to a device that does not listen."""

    def transmit(self, now: float) -> bytes:
        """Return the next bytes when they are due."""
        if self._breathing or now < self.due:
            # Between two pieces the runner looks at what has arrived.
            self._breathing = False
            return b""
        if self.upcoming == len(self._pieces):
            self.hung_up = True
            return b""
        data = self._pieces[self.upcoming].data
        self._breathing = True
        self.tally.frames += 1
        self.upcoming += 1
        heard, of = self.upcoming, len(self._pieces)
        if self.tally.total:
            heard, of = (self.tally.frames - 1) % self.tally.total + 1, self.tally.total
        self.tally.position = heard / of
        self.due = max(self.due + self._pause(), now)
        return data

    def next_due(self, now: float) -> float | None:
        """Return when the next bytes are due."""
        return self.due

    def _pause(self) -> float:
        if self.upcoming < len(self._pieces):
            return self.pace.seconds(self._pieces[self.upcoming].gap)
        if self.pace.loop:
            self.upcoming = 0
            return BETWEEN_ROUNDS
        return LINGER


def gaps(moments: Iterable[float | None]) -> list[float]:
    """Return the seconds from each moment to the one before; 0 where one is not known."""
    found, before = [], None
    for moment in moments:
        found.append(0.0 if moment is None or before is None else max(moment - before, 0.0))
        before = before if moment is None else moment
    return found


def readable(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield what can be read of a recording: all before a line that can't be, which is told.

    Raises :class:`ValueError` when nothing comes before it.
    """
    found = False
    try:
        for chunk in chunks:
            found = True
            yield chunk
    except ValueError as error:
        if not found:
            raise
        tell(f"hardwired: {error}; only what comes before is played")


# ------------------------------------------------------------------------------ the arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all families have."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, whatever decode of this family reads; - is stdin"
    )
    parser.add_argument(
        "--speed", type=speed_of, default=1.0, metavar="N",
        help="times as fast as recorded; 0: as fast as it is read (default: 1)",
    )  # fmt: skip


def add_serial(parser: argparse.ArgumentParser, link: Path) -> argparse._MutuallyExclusiveGroup:
    """Add what families have whose device is on a serial line: *link* is its usual terminal.

    Returns the group of arguments that say where it is played.
    """
    add_arguments(parser)
    add_loop(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--pty", type=terminal_of, default=link, metavar="LINK",
        help=f"on a terminal with this name (default: {link})",
    )  # fmt: skip
    where.add_argument(
        "--listen", metavar="[HOST:]PORT", help="as a serial server on TCP; 0: any port"
    )
    return where


def add_loop(parser: argparse.ArgumentParser) -> None:
    """Add what families have whose recordings end."""
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until Ctrl-C")


def pace_of(options: argparse.Namespace) -> Pace:
    """Return how fast is played."""
    return Pace(options.speed, getattr(options, "loop", False))


# ------------------------------------------------------------------------------ playing

Ready = Callable[[str], None]
"""Called when something can connect, with where to."""
Served = Callable[[Simulator], None]
"""Called when a connection has ended."""
Runner = Callable[[Callable[[], Simulator], Ready, Served], Awaitable[None]]


def on_pty(link: Path) -> Runner:
    """Return what plays on a terminal."""

    async def run(make: Callable[[], Simulator], ready: Ready, served: Served) -> None:
        await on_attended_pty(make, link, on_plug=lambda: ready(str(link)), on_end=served)

    return run


def listening(text: str) -> Runner:
    """Return what plays on the TCP port in ``[HOST:]PORT``. Raises :class:`WrongArguments`."""
    host, port = address_of(text, form="[HOST:]PORT")

    async def run(make: Callable[[], Simulator], ready: Ready, served: Served) -> None:
        async with on_tcp_port(make, host, port, on_end=served) as bound:
            ready(f"socket://{f'[{host}]' if ':' in host else host}:{bound}")
            await asyncio.Event().wait()

    return run


def dialling(host: str, port: int) -> Runner:
    """Return what connects to a host again and again."""
    address = f"{host}:{port}"

    async def run(make: Callable[[], Simulator], ready: Ready, served: Served) -> None:
        await connecting_out(make, host, port, on_end=served, on_trouble=trouble_teller(address))

    return run


def runner_of(options: argparse.Namespace) -> Runner:
    """Return what plays where the arguments of a serial device say."""
    return on_pty(options.pty) if options.listen is None else listening(options.listen)


def play(make: Callable[[], Simulator], runner: Runner, tally: Tally) -> int:
    """Play until somebody has heard all, or the user stops it; returns the exit code."""

    async def until_heard() -> None:
        heard = asyncio.Event()

        def begin() -> Simulator:
            tell("connected")
            return make()

        def served(simulator: Simulator) -> None:
            tell("all was heard" if simulator.hung_up else "the connection has ended")
            if simulator.hung_up:
                heard.set()

        await until_any(runner(begin, say_ready, served), heard.wait())

    return finish(until_heard(), tally)


def say_ready(where: str) -> None:
    """Tell programs where to connect to."""
    emit({"event": "ready", "connect_to": where})
    sys.stdout.flush()


def finish(playing: Awaitable[None], tally: Tally) -> int:
    """Wait for the end of *playing*, show how far it is, say what was played.

    Returns the exit code.
    """
    ending = asyncio.run(_watched(playing, tally))
    counts = asdict(tally)
    del counts["position"], counts["total"]
    with contextlib.suppress(OSError):
        emit({"event": "stopped" if ending.stopped else "ended", "counts": counts})
    told = f"{tally.frames} frames sent in {tally.connections} connections"
    if tally.answered or tally.unanswered:
        told += f"; {tally.answered} requests answered, {tally.unanswered} not"
    tell(told)
    return ending.code(1)


async def _watched(playing: Awaitable[None], tally: Tally) -> Ending:
    line = ProgressLine()

    async def look() -> None:
        while True:
            line.show("replaying", tally.position)
            await asyncio.sleep(PAUSE)

    task = asyncio.current_task()
    assert task is not None
    # Where Ctrl-C is ignored, in a script's background, this ends it with a word, too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    watching = asyncio.ensure_future(look())
    try:
        async with until_stopped(None) as ending:
            await playing
    finally:
        watching.cancel()
        line.clear()
    return ending


def playable(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Make an exit code of a recording that holds nothing to play."""

    def told(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except NothingToPlay as error:
            tell(f"hardwired: {options.file}: {error}")
            return NOTHING_HEARD

    return told
