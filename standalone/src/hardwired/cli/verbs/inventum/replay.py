"""``hardwired replay inventum``: a terminal says again what it said when it was recorded."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hardwired_engines.engine import Direction
from hardwired_engines.inventum.masking import CODE
from hardwired_engines.inventum.recording import Decoder

from ...output import read_whole
from ...recording import Chunk, moment_of
from ...replaying import (
    NothingToPlay,
    Pace,
    Piece,
    Player,
    Tally,
    add_serial,
    pace_of,
    play,
    playable,
    readable,
    runner_of,
)
from .recording import MEANINGFUL, NOTHING_KNOWN, chunks_of
from .simulate import DEFAULT_LINK

PATIENCE = 5.0
"""Seconds for which the key that was pressed in the recording is waited for."""
KEPT_KEYS = 64
"""Bytes of keys that came before it was their turn."""
BYTE = 10 / 9600
"""Seconds that a byte takes where the recording has no times: the slowest line there is."""


@dataclass(frozen=True, slots=True)
class Step(Piece):
    """What a terminal said, after *keys* had been pressed; its gap begins at the last of them."""

    keys: tuple[bytes, ...] = ()
    thought: float = 0.0
    """Seconds from what it had said before to the last key."""


def steps_of(chunks: Iterable[Chunk]) -> list[Step]:
    """Return what a terminal said, and to which keys."""
    steps: list[Step] = []
    keys: list[bytes] = []
    said = pressed = None
    for chunk in chunks:
        moment = moment_of(chunk.time)
        now = None if moment is None else moment.timestamp()
        if chunk.direction is Direction.OUT:
            keys.append(chunk.data)
            pressed = now
            continue
        for line in chunk.data.splitlines(keepends=True) if now is None else [chunk.data]:
            before = pressed if keys else said
            usual = len(steps[-1].data) * BYTE if steps else 0.0
            gap = usual if now is None or before is None else now - before
            thought = 0.0 if pressed is None or said is None else max(pressed - said, 0.0)
            steps.append(Step(gap, line, tuple(keys), thought if keys else 0.0))
            keys.clear()
        said = now
    return steps


class Terminal(Player):
    """A terminal that answers a key when it is the one that was pressed in the recording.

    Other keys are ignored. When the key does not come, it goes on: at once where nobody has ever
    pressed one, for who only listens.
    """

    def __init__(self, steps: Sequence[Step], pace: Pace, tally: Tally) -> None:
        super().__init__(steps, pace, tally)
        self._steps = steps
        self._pressed = bytearray()
        self._awaited: deque[bytes] = deque()
        self._listens_only = False

    def connected(self, now: float) -> None:
        """Begin."""
        super().connected(now)
        if self._steps and self._steps[0].keys:
            self.due = now + PATIENCE
        self._await(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take keys."""
        self._listens_only = False
        self._pressed += data
        if not self._match(now):
            self.tally.unanswered += 1
        del self._pressed[:-KEPT_KEYS]

    def transmit(self, now: float) -> bytes:
        """Return what the terminal says now."""
        if self._awaited and now >= self.due:
            self._listens_only = self._listens_only or not self._pressed
            self._awaited.clear()
        data = super().transmit(now)
        if data:
            self._await(now)
        return data

    def _pause(self) -> float:
        pause = super()._pause()
        step = self._steps[self.upcoming] if self.upcoming < len(self._steps) else None
        if step is None or not step.keys:
            return pause
        return pause + self.pace.seconds(step.thought) if self._listens_only else PATIENCE

    def _await(self, now: float) -> None:
        """Wait for the keys before the next step, if there were any."""
        if self.upcoming < len(self._steps):
            self._awaited.extend(self._steps[self.upcoming].keys)
            self._match(now)

    def _match(self, now: float) -> bool:
        """Take the keys that are awaited; returns whether one was."""
        found = False
        while self._awaited and self._pressed:
            key = self._awaited[0]
            if key == CODE:
                end = 1
            elif (start := self._pressed.find(key)) >= 0:
                end = start + len(key)
            else:
                break
            del self._pressed[:end]
            self._awaited.popleft()
            self.tally.answered += 1
            found = True
            if not self._awaited:
                self.due = now + self.pace.seconds(self._steps[self.upcoming].gap)
        return found


def read(raw: bytes) -> list[Step]:
    """Return what can be played of a recording. Raises :class:`NothingToPlay`."""
    steps = steps_of(readable(chunks_of(raw)))
    decoder = Decoder()
    said = (event for step in steps for event in decoder.receive_data(step.data))
    if not any(event["event"] in MEANINGFUL for event in said):
        raise NothingToPlay(NOTHING_KNOWN)
    return steps


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_serial(parser, DEFAULT_LINK)


@playable
def run(options: argparse.Namespace) -> int:
    """Play a terminal."""
    runner, pace, tally = runner_of(options), pace_of(options), Tally()
    steps = read(read_whole(options.file))
    return play(lambda: Terminal(steps, pace, tally), runner, tally)
