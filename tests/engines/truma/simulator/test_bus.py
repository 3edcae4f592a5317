"""The simulated bus as bytes in time: schedules, breaks, echo, and how it judges answers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.inet.box import Box
from hardwired_engines.truma.lin.frames import protected, response
from hardwired_engines.truma.lin.log import read_log
from hardwired_engines.truma.simulator import measure
from hardwired_engines.truma.simulator.measure import LATE
from hardwired_engines.truma.simulator.personalities import PERSONALITIES, Schedule
from hardwired_engines.truma.simulator.world import SimulatorSettings, TrumaSimulator, make

from ..simulated_bus import Bus, quiet_box

LEGACY = "03 C4 85 06 47 49 D6 97 D8 3C 7D"
MODERN = "20 61 E2 D8 3C 7D"


def pids(text: str) -> list[int]:
    return [int(pid, 16) for pid in text.split()]


def first_cycle(bus: Bus, count: int) -> list[int]:
    return [slot.pid for slot in bus.slots[:count]]


@pytest.mark.parametrize(
    "personality, cycle",
    [
        ("c3-combi6de", LEGACY),
        ("c4-combi-aventa", "03 C4 85 06 47 D6 3C 7D 97 3C 7D D8 3C 7D"),
        ("c4-combi4", MODERN),
        ("varioheat", MODERN),
        ("alde", "D8 3C 7D"),
    ],
)
def test_each_personality_keeps_its_schedule(personality: str, cycle: str) -> None:
    bus = Bus(quiet_box(), personality=personality)
    bus.run(3.2)
    expected = pids(cycle)
    assert first_cycle(bus, len(expected) + 1) == [*expected, expected[0]]


def test_the_schedule_can_be_chosen() -> None:
    bus = Bus(quiet_box(), personality="c3-combi6de", schedule=Schedule.MODERN)
    bus.run(3)
    assert first_cycle(bus, 6) == pids(MODERN)


@pytest.mark.parametrize("slot", [0.01, 0.05, 0.1])
def test_slots_last_as_long_as_set(slot: float) -> None:
    bus = Bus(quiet_box(), slot=slot)
    bus.run(1.6 + 100 * slot)
    starts = [one.time for one in bus.slots]
    gaps = [after - before for before, after in pairwise(starts)]
    assert len(gaps) > 50
    assert all(0.99 * slot < gap < 1.01 * slot for gap in gaps)


def test_an_unregistered_panel_does_not_poll() -> None:
    bus = Bus(Box(1), registered=False, personality="c3-combi6de")
    bus.run(20)
    assert bus.slots
    assert protected(0x18) not in {slot.pid for slot in bus.slots}
    assert bus.figures.answers == 0


@pytest.mark.parametrize("brk", ["one", "two", "none"])
@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("paced", [True, False])
def test_every_break_and_echo_is_understood(brk: str, echo: bool, paced: bool) -> None:
    bus = Bus(Box(3), brk=brk, echo=echo, paced=paced)
    bus.run(30)
    assert 0x33 in dict(bus.buffers())
    assert bus.figures.answers == bus.figures.polls > 30
    assert bus.figures.faults == 0


def test_without_echo_our_bytes_do_not_come_back() -> None:
    bus = Bus(quiet_box(), echo=False)
    bus.run(5)
    assert all(slot.data is None for slot in bus.slots if slot.pid == protected(0x18))


def test_bytes_come_one_by_one_when_paced() -> None:
    bus = Bus(None, paced=True, personality="c3-combi6de")
    bus.run(1.62)
    assert all(len(data) == 1 for _, data in bus.raw)
    times = [time for time, data in bus.raw]
    assert min(after - before for before, after in pairwise(times[1:])) > 0.0009


def test_latency_is_measured_from_the_identifier() -> None:
    bus = Bus(quiet_box(), reaction=0.0021)
    bus.run(10)
    figures = bus.figures.as_dict()
    assert figures["first_ms"]["p50"] == pytest.approx(2.1, abs=0.01)
    assert figures["last_ms"]["max"] == pytest.approx(2.1, abs=0.01)
    assert figures["late"] == 0


def test_late_answers_are_counted() -> None:
    bus = Bus(quiet_box(), reaction=LATE + 0.001)
    bus.run(10)
    assert bus.figures.late == bus.figures.polls > 0
    assert bus.told("late")


@pytest.mark.parametrize(
    "spoil, counter",
    [
        (lambda data: data[:-1], "wrong_length"),
        (lambda data: data + b"\x00", "wrong_length"),
        (lambda data: data[:-1] + bytes((data[-1] ^ 1,)), "wrong_checksum"),
        (lambda data: data + data, "twice"),
    ],
)
def test_bad_answers_are_counted(spoil, counter: str) -> None:
    bus = Bus(quiet_box(), answer=spoil, echo=False)
    bus.run(10)
    assert getattr(bus.figures, counter) == bus.figures.polls > 0
    assert bus.figures.answers == 0


def test_an_answer_in_a_foreign_slot_is_counted_and_destroys_the_frame() -> None:
    simulator = TrumaSimulator(SimulatorSettings(personality="c3-combi6de"))
    simulator.connected(0.0)
    assert simulator.transmit(0.0) == b"\0"  # the wake-up pulse
    now = 1.5801
    assert simulator.transmit(now) == bytes.fromhex("005503")
    simulator.receive(response(0x03, b"\x00" * 8), now + 0.001)
    heard = b""
    while (due := simulator.next_due(now)) is not None and due < 1.63:
        now = due
        heard += simulator.transmit(now)
    assert heard[:9] == response(0x03, b"\x00" * 8)  # the echo
    assert heard[9:] != response(0x03, bytes.fromhex("aa0affffffffffff"))
    simulator.transmit(1.7)
    assert simulator.measurements.foreign == 1


def test_measured_anew_counts_the_slots_that_begin_then() -> None:
    """What is answered in a slot that is open already belongs to the old measurements."""
    bus = Bus(quiet_box(), personality="c3-combi6de")
    bus.until(lambda: bus.figures.polls > 3)
    bus.until(lambda: bus._answers)  # the box has been asked; its answer is on the way
    before = bus.figures
    polls, answers = before.polls, before.answers
    bus.order("reset")
    bus.run(0.05)
    assert (before.polls, before.answers) == (polls + 1, answers + 1)
    assert (bus.figures.polls, bus.figures.answers, len(bus.figures.first)) == (0, 0, 0)
    bus.run(2)
    assert bus.figures.answers > 0


def test_bytes_in_silence_are_counted() -> None:
    simulator = TrumaSimulator()
    simulator.connected(0.0)
    simulator.receive(b"\xfe", 0.5)
    assert simulator.measurements.outside == 1


def test_the_same_seed_plays_the_same() -> None:
    faults = ("flip_bit=0.05", "garbage=0.1", "drop_byte=0.05")
    one, two, other = (
        Bus(Box(7), seed=seed, faults=faults, personality="c3-combi6de") for seed in (5, 5, 6)
    )
    for bus in (one, two, other):
        bus.run(30)
    assert one.raw == two.raw
    assert one.log == two.log
    assert one.raw != other.raw


def test_time_scale_leaves_the_slots_alone() -> None:
    bus = Bus(quiet_box(), time_scale=20, personality="c3-combi6de")
    bus.run(2)
    starts = [slot.time for slot in bus.slots]
    assert starts[0] == pytest.approx(1.58 / 20, abs=0.001)
    assert starts[1] - starts[0] == pytest.approx(0.0497, rel=0.01)


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_the_log_is_a_recording(personality: str) -> None:
    bus = Bus(Box(1), personality=personality)
    bus.run(30)
    frames = list(read_log(bus.log))
    shown = [(frame.pid, frame.data) for frame in frames if frame.pid]
    heard = [(slot.pid, slot.data) for slot in bus.slots]
    assert min(len(shown), len(heard)) > 200
    assert all(one == other for one, other in zip(shown, heard, strict=False))
    assert all(frame.sound for frame in frames)


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_log_replayed_to_the_box_gives_the_same_answers(personality: str) -> None:
    bus = Bus(Box(1), personality=personality, standby=False)
    bus.run(40)
    again = Box(1)
    compared = 0
    for frame in read_log(bus.log):
        if not frame.pid:
            continue
        answer = again.receive(bytes((0, 0x55, frame.pid)), frame.time)
        if answer:
            assert frame.data is not None
            assert answer == response(frame.pid, frame.data), f"at {frame.time}"
            compared += 1
        if frame.data is not None:
            again.receive(response(frame.pid, frame.data), frame.time + 0.002)
        again.tick(frame.time + 0.01)
    assert compared == bus.figures.answers > 20


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.binary(max_size=30)), max_size=40),
    st.sampled_from(sorted(PERSONALITIES)),
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_any_time_are_survived(
    noise: list[tuple[float, bytes]], personality: str
) -> None:
    simulator = TrumaSimulator(SimulatorSettings(personality=personality, slot=0.01))
    now = 0.0
    for pause, data in noise:
        end = now + pause
        while (due := simulator.next_due(now)) is not None and due <= end:
            now = max(now, due)
            simulator.transmit(now)
        now = end
        simulator.receive(data, now)
    before = simulator.measurements.polls
    while simulator.measurements.polls <= before:
        now = max(now, simulator.next_due(now) or now)
        simulator.transmit(now)
        assert now < 60


@pytest.mark.parametrize(
    "query",
    [
        {"personality": "bosch"},
        {"slot_ms": "5"},
        {"slot_ms": "101"},
        {"time_scale": "0"},
        {"time_scale": "many"},
        {"time_scale": "nan"},
        {"schedule": "none"},
        {"echo": "maybe"},
        {"break": "three"},
        {"clock": "noon"},
        {"water": "warm"},
        {"water": "71"},
        {"water": "nan"},
    ],
)
def test_a_wrong_query_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make(query)


def test_a_query_makes_settings() -> None:
    made = make(
        {
            "personality": "alde",
            "slot_ms": "20",
            "time_scale": "5",
            "faults": "flip_bit=0.1, second_box",
            "echo": "off",
            "break": "none",
            "clock": "13:30",
            "water": "38.5",
            "seed": "4",
        }
    )
    assert made.slot == 0.02
    assert made.faults == ("flip_bit=0.1", "second_box")
    assert made.clock == 13.5 * 3600
    assert TrumaSimulator(made).vehicle.water == 38.5
    assert (made.echo, made.brk, made.seed) == (False, "none", 4)
    assert math.isclose(made.time_scale, 5)


def test_a_simulated_device_that_runs_for_years_keeps_the_latest_latencies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "MEASURED", 10)
    measurements = measure.Measurements()
    for number in range(1, 48):
        measurements.note_latency(number / 1000, number / 500)
        assert min(number, 5) <= len(measurements.first) == len(measurements.last) <= 10
    figures = measurements.as_dict()
    assert (figures["first_ms"]["max"], figures["last_ms"]["max"]) == (47.0, 94.0)
