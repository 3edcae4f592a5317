"""Every fault does what it says, and nothing before it is switched on."""

from __future__ import annotations

import random
from itertools import pairwise
from unittest.mock import patch

import pytest

from hardwired_engines.truma.inet.box import Box, BoxEvent, Finished, Outcome, SecondBox
from hardwired_engines.truma.inet.buffers import Group, MessageId
from hardwired_engines.truma.lin.frames import protected
from hardwired_engines.truma.simulator.faults import FAULT_KINDS, Faults, Takes, UnknownFault

from ..simulated_bus import Bus, careless_box, quiet_box

HEAT_20 = {"target_temp_room": 2930, "heating_mode": 1}
PID_REQUEST, PID_RESPONSE = protected(0x3C), protected(0x3D)


def faulty(*faults: str, box: Box | None = None, **settings: object) -> Bus:
    return Bus(
        box or quiet_box(),
        faults=faults,
        **{"standby": False, "personality": "c3-combi6de", **settings},
    )


def uploading(*faults: str, limit: float = 40) -> Bus:
    """A bus with faults on which a command has been given after all downloads."""
    bus = faulty()
    bus.run(35)
    for fault in faults:
        bus.order(f"fault {fault}")
    assert bus.box is not None
    bus.heard.clear()
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    return bus


def outcomes(bus: Bus) -> list[BoxEvent]:
    return [event for event in bus.finished() if isinstance(event, Finished)]


def gaps(bus: Bus) -> list[float]:
    starts = [slot.time for slot in bus.slots]
    return [after - before for before, after in pairwise(starts)]


# ------------------------------------------------------------------- the switchboard


@pytest.mark.parametrize("kind", FAULT_KINDS.values(), ids=lambda kind: kind.name)
def test_every_fault_has_a_default_and_a_text(kind) -> None:
    fault = Faults(0, [kind.name]).standing(kind.name)
    assert fault is not None
    assert kind.text
    assert fault.left == (1 if kind.once else None)


def test_faults_are_counted() -> None:
    faults = Faults(1, ["ack_result=3*2"])
    assert [faults.strike("ack_result") is not None for _ in range(4)] == [True, True, False, False]
    assert faults.as_list() == []


def test_a_count_needs_no_value() -> None:
    faults = Faults(1, ["lost_cf*1"])
    assert faults.as_list() == ["lost_cf=1*1"]


def test_rates_are_rates_and_seeded() -> None:
    struck = [
        [faults.strike("flip_bit") is not None for _ in range(2000)]
        for faults in (Faults(3, ["flip_bit=0.1", "garbage"]), Faults(3, ["flip_bit=0.1"]))
    ]
    assert struck[0] == struck[1]
    assert 140 < sum(struck[0]) < 260


@pytest.mark.parametrize(
    "text", ["", "nothing", "flip_bit=1.1", "flip_bit=-1", "tail=xyz", "silence=inf", "lost_cf=1*x"]
)
def test_wrong_faults_are_refused(text: str) -> None:
    with pytest.raises(UnknownFault):
        Faults(0, [text])


def test_faults_can_be_switched_off() -> None:
    faults = Faults(0, ["garbage", "flip_bit"])
    faults.switch_off("garbage")
    assert faults.standing("garbage") is None
    faults.switch_off()
    assert faults.as_list() == []
    with pytest.raises(UnknownFault):
        faults.switch_off("nothing")


# ------------------------------------------------------------------------- on the line


@pytest.mark.parametrize("fault", ["flip_bit=0.1", "drop_byte=0.1", "truncate=0.1"])
def test_damaged_frames_are_noticed_and_survived(fault: str) -> None:
    bus = faulty(fault, box=Box(1))
    bus.run(60)
    spoiled = bus.analyser.bad + sum(
        slot.data is None for slot in bus.slots if slot.pid in (0x03, 0xC4, 0x85)
    )
    assert spoiled > 10
    assert bus.figures.answers > 50
    assert bus.figures.wrong_checksum == bus.figures.wrong_length == 0
    bus.order("clear")
    bus.box.refresh(bus.now)
    bus.heard.clear()
    bus.until(lambda: MessageId.HEATER in dict(bus.buffers()), 60)


def test_garbage_is_survived() -> None:
    bus = faulty("garbage=0.3", box=Box(1))
    bus.run(60)
    assert sum(1 for _, data in bus.raw if len(data) < 7 and data[-1:] not in b"\0") > 50
    assert MessageId.HEATER in dict(bus.buffers())


def test_headers_without_break() -> None:
    bus = faulty("missing_break=1")
    bus.run(10)
    headers = [data for _, data in bus.raw if data[:1] == b"\x55"]
    assert len(headers) > 50
    assert bus.figures.answers == bus.figures.polls > 5


def test_wrong_parity_is_never_answered() -> None:
    bus = faulty("wrong_parity=1")
    bus.run(10)
    assert bus.analyser.receiver.parity_errors > 50
    assert bus.figures.answers == 0
    assert bus.figures.faults == 0


def test_slow_slots() -> None:
    bus = faulty("slow_slots=3")
    bus.run(10)
    assert min(gaps(bus)) > 0.14


def test_silence_then_all_is_well() -> None:
    bus = faulty()
    bus.run(5)
    bus.order("fault silence=8")
    bus.run(20)
    assert sum(7.9 < gap < 8.2 for gap in gaps(bus)) == 1


def test_an_altered_echo_is_a_collision_to_the_box() -> None:
    bus = faulty("collision=1*1")
    bus.run(20)
    assert bus.box is not None
    assert bus.box.counts.collisions == 1


def test_a_second_box_spoils_what_both_say_until_ours_is_silent() -> None:
    bus = faulty("second_box")
    bus.until(lambda: any(isinstance(event, SecondBox) for _, event in bus.heard), 10)
    assert bus.box is not None
    assert bus.box.counts.collisions > 0
    bus.run(0.1)  # the slot in which it was noticed is not over
    answers = bus.figures.answers
    bus.run(20)
    assert bus.figures.answers == answers
    polled = [slot for slot in bus.slots if slot.pid == protected(0x18)]
    assert polled[-1].data is not None


def test_a_second_box_alone_is_a_box_to_the_panel() -> None:
    bus = faulty("second_box", box=quiet_box(observer=True))
    bus.until(lambda: bus.told("upload"), 20)
    assert bus.told("upload")[0]["id"] == MessageId.INIT_REQUEST
    assert any(event["acknowledged"] for event in bus.told("download"))
    assert bus.figures.answers == 0


def test_a_second_box_that_speaks_in_our_place_silences_us() -> None:
    """Our transmit wire is dead: a sound answer stands on the bus that we did not send."""
    bus = faulty("second_box", answer=lambda data: b"")
    bus.until(lambda: any(isinstance(event, SecondBox) for _, event in bus.heard), 30)
    assert bus.box is not None
    answered = bus.box.counts.answered
    bus.run(20)
    assert bus.box.counts.answered == answered


def test_an_unplugged_port_hangs_up_and_comes_back() -> None:
    bus = faulty()
    bus.run(5)
    bus.order("fault unplug=4")
    assert bus.simulator.hung_up
    took = bus.until(lambda: not bus.simulator.hung_up)
    assert took == pytest.approx(4, abs=0.1)
    assert len(bus.slots) > 140  # the bus itself has gone on


# ------------------------------------------------------------------------ in the panel


@pytest.mark.parametrize("fault", ["lost_cf=1*1", "repeat_cf=1*1"])
def test_a_spoiled_download_is_not_acknowledged(fault: str) -> None:
    bus = faulty(fault)
    bus.run(12)
    downloads = bus.told("download")
    assert [event["acknowledged"] for event in downloads[:2]] == [False, True]


@pytest.mark.parametrize("observer", [False, True])
def test_a_change_whose_message_was_spoiled_is_asked_for(observer: bool) -> None:
    """The panel tells it once; who uploads would write the old settings over it."""
    bus = faulty(box=quiet_box(observer=observer))
    bus.run(35)
    assert bus.box is not None
    bus.order("fault lost_cf=1*1")
    bus.order("timer on 07:30 09:00")
    bus.run(40)
    true = bus.panel.settings.timer.payload()
    assert (bus.box.baselines.get(MessageId.TIMER) == true) is not observer


def test_a_line_that_goes_on_spoiling_messages_is_asked_more_and_more_seldom() -> None:
    bus = faulty("lost_cf=1")
    with patch.object(Box, "refresh", autospec=True, side_effect=Box.refresh) as refresh:
        bus.run(3600)
    assert 6 <= refresh.call_count <= 10


def test_no_slot_for_the_answer() -> None:
    bus = faulty("no_response_slot=1")
    bus.run(12)
    assert bus.told("download")
    assert not any(event["acknowledged"] for event in bus.told("download"))
    assert bus.figures.foreign == 0  # what was not fetched is not sent later


def test_an_interrupted_upload_is_fetched_again() -> None:
    bus = uploading("interrupt_upload=1*1")
    bus.until(lambda: outcomes(bus), 40)
    assert len(bus.told("upload_interrupted")) == 1
    assert len(bus.told("upload")) == 1
    assert bus.figures.foreign == 0


def test_a_panel_that_reboots_in_an_upload_fetches_it_again() -> None:
    bus = uploading("reboot_in_upload")
    bus.until(lambda: outcomes(bus), 60)
    assert len(bus.told("restart")) == 1
    assert bus.panel.settings.heater.target_temp_room == 2930


def test_an_upload_that_nobody_announced() -> None:
    bus = faulty("unannounced_request=1")
    bus.run(60)
    broken = bus.told("upload_broken")
    assert broken
    assert all(event["frames"] == 0 for event in broken)
    assert bus.figures.foreign == 0


def test_a_missing_acknowledge() -> None:
    bus = uploading("ack_missing")
    bus.until(lambda: bus.told("upload"))
    bus.run(20)
    assert not any(event["id"] == MessageId.ACKNOWLEDGE for event in bus.told("download"))


def test_an_ignored_upload_without_acknowledge_is_not_confirmed() -> None:
    bus = faulty("ack_missing", box=careless_box())
    bus.run(35)
    assert bus.box is not None
    bus.box.command(1, Group.HEATER, {**HEAT_20, "heating_mode": 7}, bus.now)
    took = bus.until(lambda: outcomes(bus), 80)
    (finished,) = outcomes(bus)
    assert isinstance(finished, Finished)
    assert finished.outcome is Outcome.NOT_CONFIRMED
    assert 60 < took < 66


@pytest.mark.parametrize("result", [2, 3])
def test_another_result(result: int) -> None:
    bus = uploading(f"ack_result={result}")
    bus.until(lambda: outcomes(bus))
    (finished,) = outcomes(bus)
    assert isinstance(finished, Finished)
    assert (finished.outcome, finished.result) == (Outcome.REJECTED, result)


def test_another_counter() -> None:
    bus = uploading("ack_counter=9")
    bus.until(lambda: MessageId.ACKNOWLEDGE in dict(bus.buffers()))
    bus.run(0.1)
    sent = bus.told("upload")[0]["counter"]
    told = next(event for event in bus.told("download") if event["id"] == MessageId.ACKNOWLEDGE)
    assert told["counter"] == sent + 9


def test_the_tail_changes_while_it_runs() -> None:
    bus = uploading("tail=000000")
    bus.until(lambda: outcomes(bus))
    second = [s.data for s in bus.slots if s.data and s.data[:5] == bytes.fromhex("0321000022")]
    assert second[0][5:] == b"\xff" * 3
    assert {data[5:] for data in second[-2:]} == {b"\0" * 3}


# --------------------------------------------------------------------------- all at once


@pytest.mark.parametrize("seed", range(6))
def test_any_faults_together_are_survived(seed: int) -> None:
    """Whatever is switched on, the panel goes on and the box never speaks out of turn."""
    source = random.Random(seed)
    rates = [kind.name for kind in FAULT_KINDS.values() if kind.takes is Takes.RATE]
    quiet = {"collision", "second_box", "wrong_parity", "flip_bit", "garbage", "drop_byte"}
    faults = [f"{name}=0.05" for name in source.sample(rates, 5) if name not in quiet]
    bus = faulty(*faults, "silence=2*2", box=Box(1), seed=seed)
    bus.run(20)
    assert bus.box is not None
    bus.box.command(1, Group.HEATER, HEAT_20, bus.now)
    bus.run(60)
    assert bus.figures.wrong_checksum == bus.figures.wrong_length == bus.figures.twice == 0
    assert bus.figures.foreign == bus.figures.outside == 0
    slots = len(bus.slots)
    bus.run(3)
    assert len(bus.slots) > slots
