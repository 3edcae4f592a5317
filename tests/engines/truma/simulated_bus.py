"""Joins the simulated bus and the box in time that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hardwired_engines.truma.inet.box import Box, BoxEvent, Received, Seen
from hardwired_engines.truma.inet.buffers import Group
from hardwired_engines.truma.lin.frames import (
    BadFrame,
    Header,
    LinEvent,
    LinFrame,
    Receiver,
    Unanswered,
)
from hardwired_engines.truma.simulator.orders import Operator
from hardwired_engines.truma.simulator.world import SimulatorSettings, TrumaSimulator

REACTION = 0.0003


@dataclass(frozen=True)
class Slot:
    """What an analyser on the bus would write down."""

    time: float
    pid: int
    data: bytes | None


class Analyser:
    """Listens with the same receiver as the box."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.slots: list[Slot] = []
        self.bad = 0
        self._header: tuple[float, int] | None = None

    def hear(self, data: bytes, now: float) -> None:
        for event in self.receiver.receive_data(data, now):
            self._take(event, now)

    def _take(self, event: LinEvent, now: float) -> None:
        match event:
            case Header(pid=pid):
                self._end()
                self._header = (now, pid)
            case LinFrame(pid=pid, data=data) if self._header is not None:
                self.slots.append(Slot(self._header[0], pid, data))
                self._header = None
            case BadFrame():
                self.bad += 1
                self._end()
            case Unanswered():
                self._end()

    def _end(self) -> None:
        if self._header is not None:
            self.slots.append(Slot(*self._header, None))
            self._header = None


class Bus:
    """A simulator, perhaps a box, and an analyser, in one time."""

    def __init__(
        self,
        box: Box | None = None,
        *,
        reaction: float = REACTION,
        answer: Callable[[bytes], bytes] = lambda data: data,
        **settings: Any,
    ) -> None:
        self.box = box
        self.events: list[Mapping[str, Any]] = []
        self.log: list[str] = []
        self.heard: list[tuple[float, BoxEvent]] = []
        self.raw: list[tuple[float, bytes]] = []
        self.analyser = Analyser()
        self.simulator = TrumaSimulator(
            SimulatorSettings(**settings), on_event=self.events.append, on_log=self.log.append
        )
        self.operator = Operator(self.simulator)
        self.now = 0.0
        self._reaction = reaction
        self._answer = answer
        self._answers: list[tuple[float, bytes]] = []

    def order(self, text: str) -> dict[str, Any]:
        answer = self.operator.carry_out(text, self.now)
        assert answer["ok"], answer
        return answer

    def run(self, seconds: float) -> None:
        """Let *seconds* pass."""
        for _ in self._steps(self.now + seconds):
            pass

    def until(self, condition: Callable[[], object], limit: float = 60.0) -> float:
        """Let time pass until *condition* holds; returns how long it took."""
        began = self.now
        if condition():
            return 0.0
        for _ in self._steps(self.now + limit):
            if condition():
                return self.now - began
        raise AssertionError(f"not within {limit} s")

    def _steps(self, end: float) -> Iterator[None]:
        simulator = self.simulator
        while True:
            due = simulator.next_due(self.now)
            times = [time for time, _ in self._answers[:1]]
            if due is not None:
                times.append(due)
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            if self._answers and self._answers[0][0] <= self.now:
                simulator.receive(self._answers.pop(0)[1], self.now)
            if data := simulator.transmit(self.now):
                self._deliver(data)
            yield

    def _deliver(self, data: bytes) -> None:
        self.raw.append((self.now, data))
        self.analyser.hear(data, self.now)
        if self.box is None or self.simulator.hung_up:
            return
        if answer := self.box.receive(data, self.now):
            self._answers.append((self.now + self._reaction, self._answer(answer)))
        self.box.tick(self.now)
        for event in self.box.events():
            if not isinstance(event, Seen):
                self.heard.append((self.now, event))

    # ------------------------------------------------------------------ what came of it

    @property
    def panel(self) -> Any:
        return self.simulator.panel

    @property
    def figures(self) -> Any:
        return self.simulator.measurements

    @property
    def slots(self) -> list[Slot]:
        return self.analyser.slots

    def told(self, name: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def buffers(self) -> list[tuple[int, bytes]]:
        """Message ids and payloads that the box has accepted."""
        return [
            (event.buffer.message_id, event.buffer.payload)
            for _, event in self.heard
            if isinstance(event, Received)
        ]

    def finished(self) -> list[BoxEvent]:
        return [event for _, event in self.heard if not isinstance(event, Received)]


def quiet_box(counter: int = 16, **changes: Any) -> Box:
    """A box that asks for nothing of itself."""
    return Box(counter, init_request=False, **changes)


class CarelessBox(Box):
    """A box of somebody else's: it sends what it is told, whatever the panel makes of it."""

    def _completed(self, group: Group, wish: Any, baseline: bytes) -> Mapping[str, int]:
        return dict(wish.fields)


def careless_box(counter: int = 16) -> Box:
    """A box that asks for nothing of itself and knows no rules."""
    return CarelessBox(counter, init_request=False)
