"""Whole conversations against the golden vectors (spec f), replayed as their README says."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from hardwired_engines.inventum.dialogue.login import Codes
from hardwired_engines.inventum.dialogue.machine import Dialogue, Record
from hardwired_engines.inventum.dialogue.wishes import AUTO, BOOST, Boost, Result, Wishes
from tests.engines.inventum.turned import TurnedClock
from tests.vector_files import cases

TOLERANCE = 0.06
LATE_TIMERS = 0.25
"""What timers that fire late may shift a long time that counts from an earlier point."""


class Replay:
    """Plays the device's part of one case and checks what is written."""

    def __init__(self, case: dict[str, Any], lateness: float) -> None:
        self.clock = TurnedClock()
        self.lateness = lateness
        minutes = {"active": 20, "expired": -1}.get(case["restored"])
        stored: dict[str, Any] = {}
        if minutes is not None:
            until = self.clock.now() + timedelta(minutes=minutes)
            stored = {
                "held": True,
                "boost_until": until.isoformat(),
                "boost_minutes": 20,
                "boost_level": 3,
            }
        codes = Codes(case["codes"]["login"], case["codes"]["challenge"])
        self.dialogue = Dialogue(self.clock, codes, stored=stored)
        self.results: list[dict[str, Any]] = []
        self.positions: list[int | None] = []
        self.written: list[tuple[float, bytes]] = []
        self.dialogue.opened()
        self.collect()

    def collect(self) -> None:
        now = self.clock.monotonic()
        self.written += [(now, write.data) for write in self.dialogue.data_to_send()]
        for event in self.dialogue.events():
            match event:
                case Record():
                    self.positions.append(event.position)
                case Result():
                    known = self.positions[-1] if self.positions else None
                    self.results.append(
                        {
                            "command": event.kind,
                            "outcome": event.outcome,
                            "why": event.why,
                            "position": known,
                        }
                    )

    def turn_to(self, moment: float, *, until_write: bool = False) -> None:
        """Let the time pass; each timer fires ``lateness`` after it was due."""
        while not (until_write and self.written):
            due = self.dialogue.next_due
            if due is None or due + self.lateness > moment:
                break
            self.clock.turn_to(max(due + self.lateness, self.clock.monotonic()))
            self.dialogue.tick()
            self.collect()
        else:
            return
        self.clock.turn_to(max(moment, self.clock.monotonic()))

    def play(self, step: dict[str, Any], origin: float) -> float:
        """Do one step; return the moment that the next one counts from."""
        moment = origin + step["dt"]
        if "host" in step:
            tolerance = LATE_TIMERS if self.lateness else TOLERANCE
            self.turn_to(moment + tolerance, until_write=True)
            assert self.written, f"nothing was written by {moment:.2f}; wanted {step}"
            when, data = self.written.pop(0)
            assert data.hex() == step["host"], (when, moment)
            assert abs(when - moment) <= tolerance, (when, moment, step)
            return when if self.lateness else moment
        self.turn_to(moment)
        assert not self.written, (self.written, step)
        match step:
            case {"device": data}:
                self.dialogue.receive_data(bytes.fromhex(data))
            case {"command": "high"}:
                boost = Boost(self.clock.now() + timedelta(minutes=20), 20)
                self.dialogue.ask(BOOST, boost)
            case {"command": "auto"}:
                self.dialogue.ask(AUTO)
            case {"command": "pause"}:
                self.dialogue.pause()
            case {"command": "resume"}:
                self.dialogue.resume()
            case {"link": "closed"}:
                self.dialogue.closed()
            case {"link": "opened"}:
                self.dialogue.opened()
        self.collect()
        return moment


@pytest.mark.vectors
@pytest.mark.parametrize("lateness", [0.0, 0.02], ids=["punctual", "late"])
@pytest.mark.parametrize("case", cases("inventum", "dialogues.json"))
def test_dialogue_vectors(case: dict[str, Any], lateness: float) -> None:
    replay = Replay(case, lateness)
    origin = 0.0
    for number, step in enumerate(case["steps"]):
        try:
            origin = replay.play(step, origin)
        except AssertionError as error:
            raise AssertionError(
                f"step {number} in {replay.dialogue.state_name}: {error}"
            ) from error
    replay.turn_to(origin + case["tail_s"])
    assert not replay.written
    dialogue = replay.dialogue
    assert {
        "results": replay.results,
        "positions": replay.positions,
        "final_state": dialogue.state_name,
        "reason": dialogue.reason,
        "challenges": dialogue.counters["challenges"],
        "boost_active": dialogue.wishes.boost is not None,
    } == case["expect"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "boost.json"))
def test_boost_vectors(case: dict[str, Any]) -> None:
    """The end of a boost by itself: each wish confirmed at once, as in a running logger."""
    clock = TurnedClock()
    wishes = Wishes(lambda moment: clock.monotonic() >= moment)
    stored: dict[str, Any] = {}
    events = [(second, what, rest) for second, what, *rest in case["events"]]
    expected = list(case["expect"])
    running = True
    told: list[dict[str, Any]] = []
    for second in range(case["expect"][-1]["at"] + 1):
        clock.turn_to(float(second))
        for _, what, rest in [event for event in events if event[0] == second]:
            match what:
                case "boost":
                    boost = Boost(clock.now() + timedelta(minutes=rest[0]), rest[0])
                    wishes.ask(BOOST, boost, clock.monotonic(), 3)
                case "auto":
                    wishes.ask(AUTO, None, clock.monotonic(), 3)
                    wishes.sent(clock.monotonic(), 120)
                    wishes.take_row(2, clock.monotonic())
                case "down":
                    running, stored = False, json.loads(json.dumps(wishes.stored()))
                case "up":
                    running = True
                    wishes = Wishes(lambda moment: clock.monotonic() >= moment)
                    wishes.restore(stored, clock.now())
        if running:
            while wishes.review(clock.monotonic(), clock.now(), offline=False):
                pass
        if running and wishes.pending is not None:
            told.append({"at": second, "command": wishes.pending.kind.value})
            wishes.sent(clock.monotonic(), 120)
            wishes.released()
            wishes.take_row(2, clock.monotonic())
        boost = wishes.boost
        remaining = 0 if boost is None else boost.remaining(clock.now())
        told += [
            {"at": second, "remaining_min": remaining}
            for one in expected
            if one["at"] == second and "remaining_min" in one
        ]
    assert told == expected
