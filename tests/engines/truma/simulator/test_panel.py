"""The simulated panel: registration, downloads, uploads, refusals, standby, and the recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from hardwired_engines.truma.inet.box import Box, Finished, Identity, Outcome
from hardwired_engines.truma.inet.buffers import (
    STATUS_LAYOUTS,
    UPLOAD,
    Group,
    MessageId,
    build_buffer,
    read_device,
)
from hardwired_engines.truma.lin.frames import protected, response
from hardwired_engines.truma.lin.transport import split
from tests.vector_files import vectors

from ..simulated_bus import Bus, Slot, careless_box, quiet_box

C3 = "c3-combi6de"
C4 = "c4-combi-aventa"
PID_POLL, PID_REQUEST, PID_RESPONSE = protected(0x18), protected(0x3C), protected(0x3D)
HEAT_20 = {"target_temp_room": 2930, "heating_mode": 1}


def awake(box: Box | None = None, **settings: Any) -> Bus:
    """A bus on which everything has been said."""
    bus = Bus(box or quiet_box(), **{"standby": False, **settings})
    bus.until(lambda: not bus.panel.downloads.waiting and bus.slots, 120)
    bus.run(4)
    return bus


def outcome(bus: Bus) -> Finished | None:
    return next((event for event in bus.finished() if isinstance(event, Finished)), None)


def command(bus: Bus, group: Group, limit: float = 60, **fields: int) -> Finished:
    """Hand the box a wish and wait for what becomes of it."""
    assert bus.box is not None
    bus.heard.clear()
    bus.box.command(1, group, fields, bus.now)
    bus.until(lambda: outcome(bus) is not None, limit)
    result = outcome(bus)
    assert result is not None
    return result


# ------------------------------------------------------------------------- registration


@pytest.mark.parametrize("personality", [C3, C4, "c4-combi4", "varioheat"])
@pytest.mark.parametrize("identity", list(Identity))
def test_pr_set_registers_the_box(personality: str, identity: Identity) -> None:
    bus = Bus(Box(1, identity=identity), personality=personality, registered=False)
    bus.run(5)
    assert bus.figures.polls == 0
    bus.order("pr_set")
    bus.until(lambda: bus.panel.registered)
    assert bus.told("registered") == [bus.told("registered")[0]]
    assert bus.told("registered")[0]["nad"] == 3
    bus.until(lambda: MessageId.HEATER in dict(bus.buffers()))
    assert bus.figures.faults == 0


def test_pr_set_without_a_box_finds_none() -> None:
    bus = Bus(None, registered=True)
    bus.run(5)
    bus.order("pr_set")
    bus.until(lambda: bus.told("registered"))
    assert not bus.panel.registered


def test_pr_set_asks_as_recorded() -> None:
    bus = Bus(Box(1), personality=C4, registered=False, standby=False)
    bus.run(5)
    bus.order("pr_set")
    began = bus.now
    bus.until(lambda: bus.panel.registered)
    bus.until(lambda: any(slot.pid == PID_POLL for slot in bus.slots[-3:]))
    asked = [slot for slot in bus.slots if slot.time > began and slot.pid == PID_REQUEST]
    for_us = [slot.data.hex() for slot in asked if slot.data[4:] == bytes.fromhex("1746001f")]
    assert for_us == ["7f06b2001746001f", "0306b2201746001f", "0306b2221746001f"]
    assert any(slot.data.hex() == "7f06b01746001f03" for slot in asked)
    nads = [slot.data[0] for slot in asked if slot.data[1:4] == b"\x06\xb2\x20"]
    assert nads == [3, 1, 2]
    last_request = max(slot.time for slot in asked if slot.data[:3] == b"\x7f\x06\xb0")
    first_poll = min(slot.time for slot in bus.slots if slot.pid == PID_POLL)
    assert 2.2 < first_poll - last_request < 3.2


def test_another_address_is_assigned_and_used() -> None:
    bus = Bus(Box(1), registered=False, faults=("nad=5",))
    bus.run(5)
    bus.order("pr_set")
    bus.until(lambda: MessageId.HEATER in dict(bus.buffers()))
    assert bus.panel.box_nad == 5
    assert bus.box is not None
    assert bus.box.nad == 5


def test_a_lost_registration_ends_the_polls() -> None:
    bus = awake()
    bus.order("forget")
    bus.run(2)
    polls = bus.figures.polls
    bus.run(5)
    assert bus.figures.polls == polls


# ---------------------------------------------------------------------------- downloads


@pytest.mark.parametrize(
    "personality, expected",
    [
        (C3, [0x0B, 0x0B, 0x33, 0x3D, 0x17, 0x15]),
        (C4, [0x0B, 0x0B, 0x0B, 0x33, 0x35, 0x3D, 0x3F, 0x37, 0x41, 0x17, 0x15]),
        ("alde", [0x0C, 0x51, 0x55, 0x57, 0x15]),
    ],
)
def test_everything_is_told_after_power_on(personality: str, expected: list[int]) -> None:
    bus = Bus(quiet_box(), personality=personality, standby=False)
    bus.run(35)
    assert [number for number, _ in bus.buffers()][: len(expected)] == expected


def test_the_devices_are_those_of_the_recordings() -> None:
    bus = Bus(quiet_box(), personality=C4)
    bus.run(10)
    records = [read_device(payload) for number, payload in bus.buffers() if number == 0x0B]
    assert [(one.hw_id, one.sw, one.build) for one in records] == [
        (0x50, (4, 1, 1), 3404),
        (0x301, (5, 0, 0), 0),
        (0xC00, (0, 37, 45), 0),
    ]


def test_an_init_request_brings_everything_again() -> None:
    bus = awake()
    assert bus.box is not None
    bus.heard.clear()
    bus.box.refresh(bus.now)
    bus.until(lambda: {0x0B, 0x33, 0x3D, 0x15} <= set(dict(bus.buffers())), 40)
    assert bus.told("upload")[-1]["id"] == MessageId.INIT_REQUEST


def test_a_change_at_the_panel_is_told_once() -> None:
    bus = awake()
    bus.run(15)
    bus.heard.clear()
    bus.order("room 21 high")
    bus.until(bus.buffers, 6)
    number, payload = bus.buffers()[0]
    fields = STATUS_LAYOUTS[number].read(payload)
    assert fields is not None
    assert (fields["target_temp_room"], fields["heating_mode"]) == (2940, 10)


def test_the_clock_is_pushed_every_minute() -> None:
    bus = awake(clock=3600.0 * 13)
    bus.heard.clear()
    bus.run(130)
    clocks = [payload for number, payload in bus.buffers() if number == MessageId.CLOCK]
    assert len(clocks) == 2
    first, second = (payload[0] * 3600 + payload[1] * 60 + payload[2] for payload in clocks)
    assert 56 <= second - first <= 63
    assert clocks[0][0] == 13


def test_downloads_go_on_without_a_box() -> None:
    bus = Bus(None)
    bus.run(35)
    assert {event["id"] for event in bus.told("download")} >= {0x0B, 0x33, 0x15}
    assert not any(event["acknowledged"] for event in bus.told("download"))


# ------------------------------------------------------------------------------ uploads


@pytest.mark.parametrize("personality", [C3, C4, "c4-combi4"])
def test_an_upload_is_fetched_acknowledged_and_shown(personality: str) -> None:
    bus = awake(personality=personality)
    assert bus.box is not None
    bus.heard.clear()
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    announced = bus.now
    bus.until(lambda: bus.told("upload"))
    uploaded = bus.now
    assert 0.1 < uploaded - announced < 4
    bus.until(lambda: outcome(bus))
    assert 2.2 < bus.now - uploaded < 3.6
    assert outcome(bus).outcome is Outcome.CONFIRMED
    bus.until(lambda: 0x33 in dict(bus.buffers()), 5)
    assert bus.order("truth")["truth"]["heater"]["target_temp_room"] == 2930


def test_the_command_frames_follow_after_a_moment() -> None:
    bus = awake(personality=C3)
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    bus.until(lambda: bus.told("upload"))
    uploaded = bus.now
    bus.until(
        lambda: any(slot.data == response(3, b"r\x0b".ljust(8, b"\xff"))[:8] for slot in bus.slots)
    )
    assert 0.5 < bus.now - uploaded < 1.3


def test_the_acknowledge_comes_when_it_was_recorded() -> None:
    """2.54 to 2.69 s after the upload, in 18 recordings of C3.00.01."""
    bus = awake(personality=C3)
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    bus.until(lambda: bus.told("upload"))
    uploaded = bus.now
    bus.until(lambda: any(event["id"] == 0x0D for event in bus.told("download")))
    acknowledge = [
        slot
        for slot in bus.slots
        if slot.data and slot.data[:2] == b"\x03\x26" and slot.pid == 0x3C
    ][-1]
    assert 2.5 < acknowledge.time - uploaded < 2.75


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"target_temp_room": 2930, "heating_mode": 0x00FF}, "FF"),
        ({"target_temp_room": 2930, "heating_mode": 0x0AF5}, "FF"),
    ],
)
def test_mode_bytes_that_add_up_to_ff_are_refused(fields: dict[str, int], why: str) -> None:
    bus = awake(careless_box())
    finished = command(bus, Group.HEATER, **fields)
    assert (finished.outcome, finished.result) == (Outcome.REJECTED, 2)
    assert why in bus.told("upload")[-1]["why"]
    assert bus.order("truth")["truth"]["heater"]["target_temp_room"] == 0


def test_settings_are_refused_while_an_error_is_shown() -> None:
    bus = awake()
    bus.order("error 621")
    assert command(bus, Group.HEATER, **HEAT_20).outcome is Outcome.REJECTED
    bus.order("acknowledge")
    assert command(bus, Group.HEATER, **HEAT_20).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    "fields",
    [
        {"target_temp_room": 2930, "heating_mode": 7},
        {"target_temp_room": 2930, "heating_mode": 0},
        {"target_temp_room": 0, "heating_mode": 1},
        {"target_temp_room": 3040, "heating_mode": 1},
        {"target_temp_water": 3131},
    ],
)
def test_what_no_panel_makes_is_acknowledged_and_ignored(fields: dict[str, int]) -> None:
    bus = awake(careless_box())
    before = bus.panel.settings.heater
    bus.box.command(1, Group.HEATER, fields, bus.now)
    bus.until(lambda: outcome(bus))
    assert outcome(bus).outcome is Outcome.CONFIRMED
    bus.run(4)
    assert bus.panel.settings.heater == before


@pytest.mark.parametrize(
    "personality, mode, taken", [(C3, 10, True), (C3, 3, False), ("varioheat", 3, True)]
)
def test_modes_belong_to_the_heater(personality: str, mode: int, taken: bool) -> None:
    bus = awake(careless_box(), personality=personality)
    command(bus, Group.HEATER, target_temp_room=2930, heating_mode=mode)
    assert (bus.panel.settings.heater.heating_mode == mode) is taken


def test_power_without_mix_flips_to_gas() -> None:
    bus = awake(personality=C3)
    command(bus, Group.HEATER, **HEAT_20, energy_mix=3, el_power_level=900)
    assert bus.panel.settings.heater.el_power_level == 900
    command(bus, Group.HEATER, energy_mix=1)
    heater = bus.panel.settings.heater
    assert (heater.energy_mix, heater.el_power_level) == (1, 0)


def test_the_clock_is_set_and_says_by_whom() -> None:
    bus = awake()
    bus.heard.clear()
    finished = command(bus, Group.CLOCK, hours=21, minutes=45, seconds=10)
    assert finished.outcome is Outcome.CONFIRMED
    bus.until(lambda: MessageId.CLOCK in dict(bus.buffers()), 10)
    payload = dict(bus.buffers())[MessageId.CLOCK]
    assert payload[:2] == bytes((21, 45))
    assert payload[7] == 2


def test_the_air_conditioner_is_set() -> None:
    bus = awake()
    finished = command(bus, Group.AC_MANUAL, mode=5, vent=0x73, target_temp=2950)
    assert finished.outcome is Outcome.CONFIRMED
    bus.until(lambda: bus.order("truth")["truth"]["aircon"]["mode"] == 5, 2)
    assert command(bus, Group.AC_MANUAL, mode=0, vent=0x71).outcome is Outcome.CONFIRMED
    bus.run(1)
    assert bus.order("truth")["truth"]["aircon"]["mode"] == 0


def test_a_panel_without_air_conditioner_does_not_know_the_message() -> None:
    bus = awake(personality=C3)
    bus.box.baselines[MessageId.AC_MANUAL] = bytes(18)
    finished = command(bus, Group.AC_MANUAL, mode=5, vent=0x73, target_temp=2950)
    assert (finished.outcome, finished.result) == (Outcome.REJECTED, 3)


def test_the_timer_switches_the_heater() -> None:
    bus = awake(clock=8 * 3600 - 70.0)
    command(
        bus,
        Group.TIMER,
        active=1,
        start_hours=8,
        stop_hours=8,
        stop_minutes=2,
        target_temp_room=2910,
        heating_mode=1,
    )
    assert bus.panel.settings.heater.target_temp_room == 0
    bus.until(lambda: bus.panel.settings.heater.target_temp_room == 2910, 120)
    bus.until(lambda: bus.panel.settings.heater.target_temp_room == 0, 180)


def test_the_alde_panel_acknowledges_in_its_own_way() -> None:
    bus = Bus(Box(30), personality="alde")
    bus.until(lambda: MessageId.ACKNOWLEDGE in dict(bus.buffers()), 20)
    bus.run(0.2)
    acknowledge = next(event for event in bus.told("download") if event["id"] == 0x0D)
    upload = bus.told("upload")[0]
    assert acknowledge["counter"] == upload["counter"] - 1
    assert dict(bus.buffers())[MessageId.ACKNOWLEDGE] == b"\x00\xff"


def raw_upload(bus: Bus, message: bytes) -> None:
    """Play a box that answers BA with *message*, frame by frame."""
    frames = split(3, message)
    poll = response(PID_POLL, b"\xff" * 8)
    simulator = bus.simulator
    asked = 0

    def answer(slot_pid: int, box: bool) -> bytes | None:
        nonlocal asked
        if slot_pid == PID_POLL:
            return poll if not bus.told("upload") else None
        if box and fetching():
            asked += 1
            return response(PID_RESPONSE, frames[asked - 1]) if asked <= len(frames) else None
        return None

    def fetching() -> bool:
        requests = [slot.data for slot in bus.slots[-3:] if slot.pid == PID_REQUEST]
        return asked > 0 or any(data and data[:2] == b"\x03\x21" for data in requests)

    def step() -> bool:
        active = simulator._active
        if active is not None and active.asked == bus.now and not active.heard:
            data = answer(active.pid, active.slot.box)
            if data is not None:
                simulator.receive(data, bus.now)
        return bool(bus.told("upload") or bus.told("upload_invalid") or bus.told("upload_broken"))

    bus.until(step, 20)


@pytest.mark.parametrize(
    "message_id, payload, result",
    [
        (0x32, bytes.fromhex("720b01000000000000000101"), 0),
        (0x32, bytes.fromhex("720b0100"), 2),
        (0x16, bytes(10), 3),
        (0x77, bytes(10), 3),
    ],
)
def test_uploads_of_other_boxes(message_id: int, payload: bytes, result: int) -> None:
    bus = Bus(None, personality=C3, standby=False)
    bus.run(30)
    raw_upload(bus, build_buffer(UPLOAD, message_id, 7, payload))
    assert bus.told("upload")[0]["result"] == result


def test_the_short_form_of_an_upload_is_taken() -> None:
    bus = Bus(None, personality=C3, standby=False)
    bus.run(30)
    message = build_buffer(UPLOAD, 0x32, 7, bytes.fromhex("720b01000000000000000101"))
    raw_upload(bus, message[:29])
    assert bus.told("upload")[0]["result"] == 0


def test_a_damaged_upload_is_dropped() -> None:
    bus = Bus(None, personality=C3, standby=False)
    bus.run(30)
    message = bytearray(build_buffer(UPLOAD, 0x32, 7, bytes.fromhex("720b01000000000000000101")))
    message[16] ^= 1
    raw_upload(bus, bytes(message))
    assert bus.told("upload_invalid")
    assert not bus.told("upload")


# ------------------------------------------------------------------- what the panel does itself


def test_an_energy_selection_without_heat_is_dropped() -> None:
    bus = awake(personality=C3)
    command(bus, Group.HEATER, energy_mix=3, el_power_level=1800)
    assert bus.panel.settings.heater.el_power_level == 1800
    bus.until(lambda: bus.told("energy_dropped"), 40)
    assert bus.panel.settings.heater.el_power_level == 0


def test_an_energy_selection_with_heat_stays() -> None:
    bus = awake(personality=C3)
    command(bus, Group.HEATER, **HEAT_20, energy_mix=3, el_power_level=1800)
    bus.run(60)
    assert bus.panel.settings.heater.el_power_level == 1800


def test_water_boost_falls_back() -> None:
    bus = awake(personality=C3, time_scale=60, slot=0.01)
    bus.order("mains off")
    bus.order("water eco")
    bus.order("water boost")
    bus.simulator.vehicle.heater_connected = False  # it never gets warm
    bus.until(lambda: bus.panel.settings.heater.target_temp_water == 3130, 45)
    assert bus.now * 60 > 2400


def test_standby_as_recorded() -> None:
    """About 10.0 s of silence, a stray 00, the first header 1.58 s later, 4 to 6 cycles."""
    bus = Bus(quiet_box(), personality=C3)
    bus.run(100)
    wakes = [time for time, data in bus.raw if data == b"\0"]
    assert len(wakes) >= 3
    for wake in wakes[1:]:
        before = max(slot.time for slot in bus.slots if slot.time < wake)
        after = min(slot.time for slot in bus.slots if slot.time > wake)
        assert 9.9 < wake - before < 10.2
        assert after - wake == pytest.approx(1.58, abs=0.05)
        cycle = [s for s in bus.slots if after <= s.time < after + 9 and s.pid == PID_POLL]
        assert not cycle or 4 <= len(cycle) <= 18
    assert bus.figures.outside == 0


def test_an_upload_in_standby() -> None:
    """Fetched at the next wake-up, acknowledged more than ten seconds later (recorded)."""
    bus = Bus(quiet_box(), personality=C3)
    bus.until(lambda: bus.told("standby"))
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    took = bus.until(lambda: bus.told("upload"))
    assert 11 < took < 15
    took = bus.until(lambda: outcome(bus), 40)
    assert 15 < took < 25
    assert outcome(bus).outcome is Outcome.CONFIRMED
    assert bus.figures.outside == 0


def test_a_press_wakes_the_panel() -> None:
    bus = Bus(quiet_box(), personality=C3)
    bus.until(lambda: bus.told("standby"))
    bus.run(3)
    count = len(bus.slots)
    bus.order("room 20")
    assert bus.until(lambda: len(bus.slots) > count + 3) < 2.0


def test_the_heater_measures_nothing_in_standby() -> None:
    bus = Bus(quiet_box(), personality=C3)
    bus.until(lambda: bus.told("standby"))
    bus.run(13)
    status = [slot.data for slot in bus.slots if slot.pid == protected(0x16)][-1]
    assert status[:6].hex() == "0004aa0aaa0a"


def test_power_off_and_on() -> None:
    bus = awake()
    bus.order("power off")
    bus.run(1)
    count = len(bus.slots)
    bus.run(20)
    assert len(bus.slots) == count
    bus.heard.clear()
    bus.order("power on")
    bus.until(lambda: MessageId.HEATER in dict(bus.buffers()), 30)


def test_a_restart_tells_everything_again() -> None:
    bus = awake()
    bus.order("room 22")
    bus.run(8)
    bus.heard.clear()
    bus.order("restart")
    bus.until(lambda: {0x0B, 0x33, 0x15} <= set(dict(bus.buffers())), 60)
    payload = dict(bus.buffers())[MessageId.HEATER]
    assert payload[:2] == (2950).to_bytes(2, "little")


def test_a_missing_heater_is_w255() -> None:
    bus = awake(personality=C3)
    bus.order("heater off")
    bus.heard.clear()
    bus.until(lambda: 0x33 in dict(bus.buffers()), 10)
    fields = STATUS_LAYOUTS[0x33].read(dict(bus.buffers())[0x33])
    assert (fields["error_class"], fields["error_code"]) == (0, 255)
    assert [slot.data for slot in bus.slots if slot.pid == protected(0x16)][-1] is None


def test_the_error_travels_in_every_form() -> None:
    bus = awake(personality="c4-combi4")
    bus.order("error 621")
    bus.heard.clear()
    bus.until(lambda: 0x33 in dict(bus.buffers()), 10)
    fields = STATUS_LAYOUTS[0x33].read(dict(bus.buffers())[0x33])
    assert (fields["error_class"], fields["error_code"]) == (6, 21)
    bus.run(4)
    answers = [s.data for s in bus.slots if s.pid == PID_RESPONSE and s.data and s.data[2] == 0xF2]
    assert answers[-1].hex() == "0106f202061500ff"


def test_wrong_orders_are_answered() -> None:
    bus = Bus(None)
    for text in (
        "",
        "dance",
        "room",
        "room 31",
        "room warm",
        "room 20 night",
        "water cold",
        "energy gas 900",
        "energy mix",
        "clock 25:00",
        "mains perhaps",
        "error 1000",
        "temperature moon 3",
        "fault nothing",
        "fault flip_bit=2",
        "fault flip_bit=x",
        '{"do": "room", "warmth": 3}',
        '{"do": "room"',
        "[1]",
    ):
        answer = bus.operator.carry_out(text, bus.now)
        assert answer["ok"] is False, text
        assert answer["error"], text
    assert bus.operator.carry_out('{"do": "room", "target": 21, "mode": "high"}', 0.0)["ok"]
    assert set(bus.order("help")["orders"]) >= {"room", "water", "truth", "fault"}
    json.dumps(bus.order("truth"))


NAMES = "room water energy aircon timer clock error mains window temperature heater fault clear"
VALUES = "off on 21 16 5 nan inf 1e300 -1 eco high boost cool auto outside 12:30 tail=00 nad=900 {}"
WORDS = st.sampled_from(f"{NAMES} {VALUES}".split())


@given(st.lists(st.lists(WORDS, max_size=4).map(" ".join) | st.text(max_size=30), max_size=12))
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_orders_are_survived(orders: list[str]) -> None:
    bus = Bus(quiet_box(), slot=0.01, time_scale=20)
    for text in orders:
        answer = bus.operator.carry_out(text, bus.now)
        assert answer["ok"] or answer["error"]
        bus.run(0.3)
    json.dumps(bus.order("truth"))


# --------------------------------------------------------------------------- the recordings


def recordings() -> list[Any]:
    """Recordings with one command to an awake panel without air conditioner."""
    found = []
    for path in sorted((vectors("truma") / "captures").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if len(content["commands"]) == 1 and "C3" in content["panel"]:
            found.append(pytest.param(path, id=path.stem))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="no recordings here"))]


def transport_frames(slots: list[Slot]) -> list[tuple[int, str]]:
    return [
        (slot.pid, "" if slot.data is None else slot.data.hex())
        for slot in slots
        if slot.pid in (PID_REQUEST, PID_RESPONSE)
    ]


@pytest.mark.vectors
@pytest.mark.parametrize("path", recordings())
def test_an_upload_looks_as_recorded(path: Path) -> None:
    """From the session that fetches it to the seventh frame: the same headers and bytes."""
    content = json.loads(path.read_text(encoding="utf-8"))
    wish = content["commands"][0]
    recorded = [
        Slot(time / 1000, int(pid, 16), bytes.fromhex(data) or None)
        for time, pid, data, role in content["frames"]
        if role != "wake"
    ]
    bus = awake(quiet_box(content["counter_before"]), personality=C3)
    bus.box.command(1, Group.HEATER, wish["fields"], bus.now)
    bus.until(lambda: bus.told("upload"))
    bus.run(0.1)

    def upload(slots: list[Slot]) -> list[tuple[int, str]]:
        frames = transport_frames(slots)
        last = max(
            i
            for i, (pid, data) in enumerate(frames)
            if data.startswith("0310") and "fa001f" in data
        )
        return frames[last - 4 : last + 7]

    assert upload(bus.slots) == upload(recorded)
