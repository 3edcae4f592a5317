"""The dialogue and the simulated unit in virtual time, without an event loop: hours in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from hardwired_engines.inventum.dialogue.login import Codes
from hardwired_engines.inventum.dialogue.machine import Dialogue, Record, State
from hardwired_engines.inventum.dialogue.wishes import AUTO, BOOST, SUCCESSES, Boost, Result
from hardwired_engines.inventum.simulator.device import SimulatedEcolution
from hardwired_engines.inventum.simulator.faults import Fault
from hardwired_engines.inventum.simulator.settings import SimulatorSettings

FAN_ROW = 17


class VirtualClock:
    """Time that only the world turns."""

    def __init__(self) -> None:
        self._start = datetime(2026, 1, 1, tzinfo=UTC)
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        raise NotImplementedError


class World:
    """One unit, one dialogue, and who checks that nothing wrong is shown or pressed."""

    def __init__(
        self, settings: SimulatorSettings | None = None, stored: Mapping[str, Any] | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.device = SimulatedEcolution(settings)
        self.results: list[Result] = []
        self.ended: dict[int, tuple[Result, float]] = {}
        self.records = 0
        self.wrong_positions = 0
        self._entered = 0
        self.entered_by: Counter[State] = Counter()
        """Prompts of other rows that were opened, by the state in which Enter was sent."""
        self.damaged_positions = 0
        """Positions of which a wrong bit on the line made another digit: nothing can tell."""
        self.on_record = lambda record: None
        self.minutes = 20
        self._reopen_at: float | None = None
        self.start(stored or {})

    # ------------------------------------------------------------------------------ the parts

    def start(self, stored: Mapping[str, Any]) -> None:
        """A new process with what the last one had stored."""
        self.dialogue = Dialogue(
            self.clock,
            Codes(self.device.settings.login_code, self.device.settings.challenge_code),
            header=stored.get("header"),
            stored=stored,
        )
        self._reopen_at = None
        if self.device.plugged(self.now):
            self._open()
        else:
            self._reopen_at = self.now + 1.0

    def stored(self) -> dict[str, Any]:
        return {**self.dialogue.wishes.stored(), "header": self.dialogue.log.header}

    def kill(self) -> dict[str, Any]:
        """The process is gone; returns what it had stored."""
        stored = self.stored()
        if self.dialogue.open:
            self.device.disconnected(self.now)
        self.dialogue.open = False
        return stored

    @property
    def now(self) -> float:
        return self.clock.elapsed

    def boost(self, minutes: int | None = None) -> int:
        minutes = minutes or self.minutes
        end = self.clock.now() + timedelta(minutes=minutes)
        number = self.dialogue.ask(BOOST, Boost(end, minutes))
        self._settle()
        return number

    def auto(self) -> int:
        number = self.dialogue.ask(AUTO)
        self._settle()
        return number

    # -------------------------------------------------------------------------------- the time

    def run(self, seconds: float) -> None:
        """Let *seconds* pass, each event at its own moment."""
        end = self.now + seconds
        while True:
            moments = [self.dialogue.next_due]
            if self.dialogue.open:
                moments.append(self.device.next_due(self.now))
            elif self._reopen_at is not None:
                moments.append(self._reopen_at)
            due = min((moment for moment in moments if moment is not None), default=end)
            if due > end:
                break
            self.clock.elapsed = max(due, self.now)
            self._settle()
        self.clock.elapsed = end

    def _open(self) -> None:
        self._reopen_at = None
        self.device.connected(self.now)
        self.dialogue.opened()

    def _settle(self) -> None:
        if not self.dialogue.open and self._reopen_at is not None and self.now >= self._reopen_at:
            if self.device.plugged(self.now):
                self._open()
            else:
                self._reopen_at = self.now + 1.0
        if self.dialogue.open:
            if data := self.device.transmit(self.now):
                self.dialogue.receive_data(data)
            if self.device.hung_up:
                self.device.disconnected(self.now)
                self.dialogue.closed()
                self._reopen_at = self.now + 1.0
        self.dialogue.tick()
        for write in self.dialogue.data_to_send():
            state = self.dialogue.state
            self.device.receive(write.data, self.now)
            if len(self.device.entered_rows) > self._entered:
                self._entered = len(self.device.entered_rows)
                if self.device.entered_rows[-1] != FAN_ROW:
                    self.entered_by[state] += 1
        for event in self.dialogue.events():
            if isinstance(event, Result):
                self.results.append(event)
                if event.number is not None:
                    self.ended[event.number] = (event, self.now)
            else:
                self.records += 1
                self._check(event)
                self.on_record(event)

    def _check(self, record: Record) -> None:
        """The position shown must be one that the device printed just now."""
        if record.position is None:
            return
        recent = [position for _, position in self.device.printed[-3:]]
        if record.position in recent:
            return
        damage = (Fault.LOSE_BYTES, Fault.FLIP_BYTES, Fault.DOUBLE_BYTES, Fault.NOISE)
        standing = any(self.device.faults.strength(fault, self.now) for fault in damage)
        self.damaged_positions += standing
        self.wrong_positions += not standing

    # ------------------------------------------------------------------------------- the truth

    @property
    def logging(self) -> bool:
        return self.dialogue.state is State.LOGGER

    @property
    def other_rows_written(self) -> list[int]:
        others = [write for write in self.device.writes if write.number != FAN_ROW]
        return [write.number for write in others if write.value is not None]

    @property
    def entered_by_waking(self) -> int:
        """An Enter that woke a terminal whose screen was not known (spec f.3)."""
        return self.entered_by[State.SYNC]

    @property
    def entered_by_command(self) -> int:
        return self.entered_by.total() - self.entered_by_waking

    def forget_entered(self) -> None:
        """The device's list of prompts that were opened is about to be cut."""
        self._entered = min(len(self.device.entered_rows), 10)

    def until_logging(self, limit: float = 3600.0) -> None:
        end = self.now + limit
        while not self.logging:
            if self.now > end:
                raise TimeoutError(f"still in {self.dialogue.state_name}")
            self.run(0.5)

    def outcome(self, number: int, limit: float = 300.0) -> float:
        """Let the time pass until the wish has ended; returns the moment. It must be a success."""
        end = self.now + limit
        while number not in self.ended:
            if self.now > end:
                raise TimeoutError(f"no result in {self.dialogue.state_name}")
            self.run(0.5)
        result, moment = self.ended[number]
        assert result.outcome in SUCCESSES, result
        return moment


__all__ = ["FAN_ROW", "SimulatorSettings", "VirtualClock", "World"]
