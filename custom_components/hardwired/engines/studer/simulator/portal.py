"""The manufacturer's portal: a second master on the line of an Xcom-LAN (spec i.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ..scom.families import Family
from ..scom.frame import Request, read_info
from ..scom.parser import Parser
from .clockwork import Agenda
from .devices import Device

PATIENCE = 2.0
INFOS = (3000, 3005, 3011, 3012, 3021, 3022, 3136, 3137, 3081, 3083)


class Line(Protocol):
    """The line that the portal shares with us."""

    agenda: Agenda

    @property
    def devices(self) -> Sequence[Device]:
        """Everything on the bus."""

    def receive(self, data: bytes, now: float) -> None:
        """Take what a host sends."""


class Portal:
    """Polls a few infos of each Xtender; it uses the same source address as everybody."""

    def __init__(self, line: Line, interval: float) -> None:
        self._line = line
        self._interval = interval
        self._parser = Parser()
        self._queue: deque[Request] = deque()
        self._asked = -1.0
        self.answers = 0
        self.timeouts = 0

    def start(self, now: float) -> None:
        """Begin to poll, one interval from now."""
        self._line.agenda.at(now + self._interval, self._begin)

    def _begin(self, now: float) -> None:
        self._queue.clear()
        for device in self._line.devices:
            if device.family is Family.XT:
                for info in INFOS:
                    self._queue.append(read_info(device.address, info))
        self._next(now)
        self._line.agenda.at(now + self._interval, self._begin)

    def _next(self, now: float) -> None:
        if not self._queue:
            return
        self._asked = now
        self._line.receive(self._queue[0].encode(), now)
        self._line.agenda.at(now + PATIENCE, self._give_up)

    def _give_up(self, now: float) -> None:
        if self._queue and now - self._asked >= PATIENCE:
            self.timeouts += 1
            self._queue.popleft()
            self._next(now)

    def deliver(self, data: bytes, now: float) -> None:
        """Take the bytes on the line."""
        for frame in self._parser.receive_data(data):
            if self._queue and frame.source == self._queue[0].destination:
                self.answers += 1
                self._queue.popleft()
                self._line.agenda.at(now + 0.01, self._next)
