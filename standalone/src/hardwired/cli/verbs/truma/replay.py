"""``hardwired replay truma``: the panel and the devices behind it, as they were recorded."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.link import make_opener
from hardwired_engines.simulating import Simulator, serve
from hardwired_engines.truma.engine import LINE
from hardwired_engines.truma.inet.box import PID_POLL, PID_REQUEST, PID_RESPONSE, Box
from hardwired_engines.truma.lin.frames import (
    BREAK,
    DATA_SIZE,
    RESPONSE_SIZE,
    SYNC,
    BadFrame,
    LinFrame,
    Receiver,
    Unanswered,
    response,
)
from hardwired_engines.truma.lin.log import WAKE, LogFault, LoggedFrame, read_log

from ...output import tell
from ...replaying import (
    NothingToPlay,
    Pace,
    Piece,
    Player,
    Ready,
    Runner,
    Served,
    Tally,
    add_serial,
    gaps,
    pace_of,
    play,
    playable,
    runner_of,
)
from .recording import NOTHING_KNOWN, events_of, lines_of, opened
from .simulate import DEFAULT_LINK

SLOT = 0.02
"""Seconds from header to header where a recording has no times."""
ANSWER_TIME = 0.02
"""Seconds for which the answer of a box is waited for, at any speed."""


@dataclass(frozen=True, slots=True)
class Slot(Piece):
    """A slot of the bus."""

    is_empty: bool = False
    """Whether nobody answers but perhaps who is connected."""
    was_answered: bool = False
    """Whether the box of the recording has answered it."""


def frames_of(file: str) -> Iterator[LoggedFrame]:
    """Yield the slots of a recording. Lines that are none are counted and told."""
    skipped: list[LogFault] = []
    with opened(file) as (chunks, encoding):
        if encoding is None:
            yield from _raw_frames(chunks)
        else:
            yield from read_log(lines_of(chunks, encoding), skipped.append)
    if skipped:
        tell(f"lines left out: {len(skipped)}; {skipped[0]}")


def _raw_frames(chunks: Iterator[bytes]) -> Iterator[LoggedFrame]:
    now = 0.0
    for event in events_of(chunks, Receiver()):
        match event:
            case LinFrame(pid=pid, data=data):
                yield LoggedFrame(now, pid, data)
            case BadFrame(pid=pid, data=data):
                yield LoggedFrame(now, pid, data[:DATA_SIZE], sound=False)
            case Unanswered(pid=pid):
                yield LoggedFrame(now, pid, None)
            case _:
                continue
        now += SLOT


def slots_of(frames: Iterable[LoggedFrame]) -> list[Slot]:
    """Return what is put on the bus: all but the answers of the box that was there."""
    frames = list(frames)
    box = Box(counter=0, observer=True)
    addresses = {box.nad}
    slots = []
    for number, (frame, gap) in enumerate(zip(frames, gaps(f.time for f in frames), strict=True)):
        if frame.pid == WAKE:
            slots.append(Slot(gap, bytes((BREAK,))))
            continue
        header, answer = bytes((BREAK, SYNC, frame.pid)), b""
        if frame.data is not None:
            answer = response(frame.pid, frame.data)
            if not frame.sound:
                answer = answer[:-1] + bytes((answer[-1] ^ 0xFF,))
        ours = bool(answer) and frame.sound and _is_ours(frame, addresses)
        if frame.pid == PID_REQUEST:
            addresses = {box.nad}
        # The panel may give the box another address, which takes it from the one it had.
        box.hear(header + answer, number * SLOT)
        addresses.add(box.nad)
        slots.append(Slot(gap, header if ours else header + answer, ours or not answer, ours))
    return slots


def _is_ours(frame: LoggedFrame, addresses: set[int]) -> bool:
    if frame.pid == PID_POLL:
        return True
    return frame.pid == PID_RESPONSE and frame.data is not None and frame.data[0] in addresses


class Bus(Player):
    """The panel's headers and what the other devices answer; who is connected may be the box."""

    def __init__(self, slots: Sequence[Slot], pace: Pace, tally: Tally) -> None:
        super().__init__(slots, pace, tally)
        self._slots = slots
        self._echo = bytearray()
        self._awaited = 0
        self._missed = False
        self._planned = 0.0

    def receive(self, data: bytes, now: float) -> None:
        """Put the answer of a box on the bus, where it may answer: it hears itself."""
        taken = data[: self._awaited]
        self._echo += taken
        self._awaited -= len(taken)
        if taken and not self._awaited:
            self.tally.answered += 1
            self._missed = False
            self.due = max(self._planned, now)

    def transmit(self, now: float) -> bytes:
        """Return what is on the bus now."""
        if self._echo:
            echo = bytes(self._echo)
            self._echo.clear()
            return echo
        place = self.upcoming
        if data := super().transmit(now):
            self.tally.unanswered += self._missed
            slot = self._slots[place]
            self._awaited = RESPONSE_SIZE if slot.is_empty else 0
            self._missed = slot.was_answered
            self._planned = self.due
            if slot.is_empty:
                self.due = max(self.due, now + ANSWER_TIME)
        return data


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_serial(parser, DEFAULT_LINK).add_argument(
        "--port", metavar="DEVICE", help="use a serial port: one end of a null modem cable"
    )


def _on_port(port: str) -> Runner:
    """Return what plays on a serial port that exists."""

    async def run(make: Callable[[], Simulator], ready: Ready, served: Served) -> None:
        stream = await make_opener(port, LINE).open()
        ready(port)
        bus = make()
        await serve(bus, stream)
        served(bus)
        if not bus.hung_up:
            raise LinkError(Reason.DISCONNECTED, f"{port} is gone")

    return run


@playable
def run(options: argparse.Namespace) -> int:
    """Play a bus."""
    runner = runner_of(options) if options.port is None else _on_port(options.port)
    pace, tally = pace_of(options), Tally()
    slots = slots_of(frames_of(options.file))
    if not slots:
        raise NothingToPlay(NOTHING_KNOWN)
    return play(lambda: Bus(slots, pace, tally), runner, tally)
