"""Whole conversations against the golden vectors (spec f), replayed as their README says."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.inventum.dialogue.login import Codes
from hardwired_engines.inventum.dialogue.machine import Dialogue, Record, State
from hardwired_engines.inventum.dialogue.menu import MenuMemory
from hardwired_engines.inventum.dialogue.wishes import AUTO, BOOST, Boost, Result, Wishes
from hardwired_engines.inventum.terminal.screens import MenuKeys, View, edit_field
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


def test_one_damaged_menu_turns_no_digit_into_another() -> None:
    """Two wrong bytes make whole labels: eight, with the data logger at 1."""
    usual, damaged = MenuKeys(), MenuKeys("6", "1")
    menu = MenuMemory()
    for labelled, wanted in (
        (None, usual),
        (usual, usual),
        (damaged, usual),
        (None, usual),
        (usual, usual),
        (damaged, usual),
        (damaged, damaged),  # twice, with nothing else between: another firmware
        (usual, damaged),
        (None, damaged),
    ):
        assert menu.read(labelled) == wanted
    assert MenuMemory().read(damaged) == damaged, "the first labels are followed"


@pytest.mark.parametrize("clears", [True, False])
@pytest.mark.parametrize("redraws", [1, 20])
def test_a_menu_is_followed_when_all_of_it_is_drawn(redraws: int, clears: bool) -> None:
    """Its first lines make labels of their own; what opens the logger may be in the last ones."""
    names = ("Klok", "Instellingen", "IO status", "Reset", "Testen", "Taal", "Datalogger")
    page = "\x1b[2;20HEXTRAMENU" + "".join(
        f"\x1b[{number + 3};5H{number}. {name:<30}" for number, name in enumerate(names, 1)
    )
    pieces = [page[start : start + 40].encode() for start in range(0, len(page), 40)]
    clock = TurnedClock()
    dialogue = Dialogue(clock)
    dialogue.opened()
    written: list[bytes] = []
    for _ in range(redraws):
        dialogue.receive_data(b"\x1b[2J" * clears + pieces[0])
        for piece in pieces[1:]:
            clock.turn(0.1)
            dialogue.receive_data(piece)
            dialogue.tick()
            written += [write.data for write in dialogue.data_to_send()]
    clock.turn(0.2)
    dialogue.tick()
    written += [write.data for write in dialogue.data_to_send()]
    assert set(written) == {b"7"}


MENU = b"\x1b[2J\x1b[2;20HEXTRAMENU"
LIST = b"\x1b[2J\x1b[1;30HIO status\x1b[4;2H[16] Klep\x1b[7m\x1b[5;2H[17] 3-standen   2\x1b[0m"
OTHER = b"\x1b[2J\x1b[1;30HIO status\x1b[7m\x1b[4;2H[16] Klep\x1b[0m\x1b[5;2H[17] 3-standen   2"
EDIT = b"\x1b[51;1H   3-standen : "
SCRAPS = [
    *(MENU, LIST, OTHER, EDIT, EDIT + b"3", b"3", b"\r\n", b"\x1b[7m", b"\x1b[0m", b"\x1b[2J"),
    *(b"\r\nVoer code in : ", b"\r\nVoer beveiligingscode in (12345) : ", b"\x1b[5;2H", b"\xff"),
    *(b"Interval : 00:00:10\r\n", b"S,Temp (C),S,3-standen\r\n", b"0,45.5,0,2\r\n"),
    *(b"0,45.5,0,3\r\n", b"0,3\r\n", b"rubbish, rubbish\r\n"),
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bytes"), st.sampled_from(SCRAPS)),
        st.tuples(st.just("noise"), st.binary(max_size=20)),
        st.tuples(st.just("wait"), st.sampled_from([0.01, 0.05, 0.2, 0.4, 1.1, 3.1, 11.0, 130.0])),
        st.tuples(st.just("ask"), st.sampled_from(["high", "auto", "pause", "resume", "link"])),
    ),
    max_size=60,
)


class Watched(Dialogue):
    """A dialogue whose every key is judged in the moment in which it is sent (spec f.10)."""

    def _send(self, data: bytes, secret: bool = False) -> None:
        view, state = self.sight.view, self.state
        if data == b"\r":
            fan = self.sight.selection is not None and self.sight.selection.is_fan
            assert state is not State.IO or (view is View.IO_STATUS and fan)
            shown = edit_field(self.sight.cells)
            assert state is not State.EDIT or (shown is not None and shown[1] == "3")
            assert state in (State.IO, State.EDIT, State.TYPING, State.SYNC)
        elif data.isdigit() and not secret:
            assert (state, view) in (
                (State.MENU, View.EXTRA_MENU),
                (State.TO_IO, View.EXTRA_MENU),
                (State.EDIT, View.EDIT_FAN),
            ) or state in (State.TO_LOGGER, State.SYNC)
        elif data == b"\x1b":
            assert not (view is View.EXTRA_MENU and self.sight.calm)
        super()._send(data, secret)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_key_where_it_does_not_belong(steps: list[tuple[str, Any]]) -> None:
    clock = TurnedClock()
    dialogue = Watched(clock)
    dialogue.opened()
    written = 0
    for what, value in steps:
        match what:
            case "wait":
                end = clock.monotonic() + value
                while (due := dialogue.next_due) is not None and due <= end:
                    clock.turn_to(max(due, clock.monotonic()))
                    dialogue.tick()
                clock.turn_to(end)
                dialogue.tick()
            case "ask":
                match value:
                    case "high":
                        dialogue.ask(BOOST, Boost(clock.now() + timedelta(minutes=2), 2))
                    case "auto":
                        dialogue.ask(AUTO)
                    case "pause":
                        dialogue.pause()
                    case "resume":
                        dialogue.resume()
                    case _:
                        dialogue.closed() if dialogue.open else dialogue.opened()
            case _ if dialogue.open:
                dialogue.receive_data(value)
        written += len(dialogue.data_to_send())
        dialogue.events()
    assert written < 50 + 100 * len(steps)
