"""The box's part, byte for byte: dialogues, recordings of a real box, and any bytes. Spec c."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.truma.inet.box import (
    ACKNOWLEDGE_WITHIN,
    BROKEN_OFF_AFTER,
    FETCH_WITHIN,
    INIT_EVERY,
    NOTHING_TO_SEND,
    REGISTERED_FOR,
    SECOND_BOX_PAUSE,
    UPDATE_PENDING,
    Box,
    Finished,
    Group,
    Identity,
    Outcome,
    Received,
    SecondBox,
    Seen,
)
from hardwired_engines.truma.inet.buffers import (
    DOWNLOAD,
    STATUS_LAYOUTS,
    Buffer,
    MessageId,
    build_buffer,
    read_buffer,
    read_device,
)
from hardwired_engines.truma.inet.signals import read_signal
from hardwired_engines.truma.lin.frames import identifier_of, response
from hardwired_engines.truma.lin.transport import Assembler, split
from tests.vector_files import cases, vectors

POLL, ASK, TELL = 0xD8, 0x3C, 0x7D
CAPTURES = sorted((vectors("truma") / "captures").glob("*.json"))
REAL = "real iNet box"
STATUS_OF = {
    "heater_status": MessageId.HEATER,
    "timer_status": MessageId.TIMER,
    "clock_status": MessageId.CLOCK,
    "config_status": MessageId.CONFIG,
}
OFF = bytes.fromhex("0000000000000000000001010000680b05000000")
BA = bytes.fromhex("ba001f001e000022ffffff")


class Talk:
    """A panel's end of the line, with the time."""

    def __init__(self, box: Box | None = None, *, echo: bool = True) -> None:
        self.box = box or Box(counter=16, init_request=False)
        self.echo = echo
        self.now = 100.0
        self.events: list[Any] = []

    def header(self, pid: int) -> bytes:
        self.now += 0.05
        answer = self.box.receive(bytes((0, 0x55, pid)), self.now)
        if answer and self.echo:
            assert self.box.receive(answer, self.now + 0.01) == b""
        self.events += self.box.events()
        return answer

    def frame(self, pid: int, data: bytes) -> None:
        assert self.header(pid) == b""
        assert self.box.receive(response(pid, data), self.now + 0.005) == b""
        self.events += self.box.events()

    def ask(self, message: bytes, nad: int = 3) -> bytes:
        for frame in split(nad, message):
            self.frame(ASK, frame)
        return self.header(TELL)

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.box.tick(self.now)
        self.events += self.box.events()

    def download(self, number: int, payload: bytes, counter: int = 0) -> bytes:
        return self.ask(build_buffer(DOWNLOAD, number, counter, payload))

    def fetch(self) -> Buffer:
        """Take what is uploaded."""
        frames = [self.ask(BA)[:8]]
        assembler = Assembler()
        message = assembler.receive_data(frames[0], 0)
        while message is None:
            message = assembler.receive_data(self.header(TELL)[:8], 0)
        buffer = read_buffer(message.data)
        assert isinstance(buffer, Buffer)
        return buffer

    def outcomes(self) -> list[Finished]:
        return [event for event in self.events if isinstance(event, Finished)]


def baseline(talk: Talk) -> Talk:
    assert talk.download(MessageId.HEATER, OFF)
    return talk


def wish(talk: Talk, number: int = 1, **fields: int) -> None:
    fields = fields or {"target_temp_room": 2930, "heating_mode": 1}
    talk.box.command(number, Group.HEATER, fields, talk.now)


# ------------------------------------------------------------------------------ dialogues


class Play:
    """One dialogue of the vectors."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.box = Box(
            counter=config["counter"],
            init_request=config["init_request"],
            observer=config["mode"] == "observer",
        )
        self.echo = config["echo"]
        self.now = 0.0
        self.commands = 0
        self.devices: set[int] = set()
        self.finished: list[Finished] = []

    def step(self, step: dict[str, Any]) -> None:
        self.now += 0.03
        if "rx" in step:
            self.receive(bytes.fromhex(step["rx"]), step.get("tx", [""]))
        if "time_ms" in step:
            self.now += step["time_ms"] / 1000
            self.box.tick(self.now)
        if "command" in step:
            self.commands += 1
            command = step["command"]
            group = Group(command["group"])
            self.box.command(self.commands, group, command["fields"], self.now)
        for event in self.box.events():
            if isinstance(event, Finished):
                self.finished.append(event)
            elif isinstance(event, Received) and event.buffer.message_id == MessageId.DEVICE:
                record = read_device(event.buffer.payload)
                assert record is not None
                self.devices.add(record.index)
        for key, value in step.get("expect", {}).items():
            self.expect(key, value)

    def receive(self, data: bytes, allowed: list[str]) -> None:
        answer = self.box.receive(data, self.now)
        assert answer.hex() in allowed
        if answer and self.echo:
            assert self.box.receive(answer, self.now + 0.01) == b""

    def expect(self, key: str, value: Any) -> None:
        match key:
            case "registered":
                assert self.box.registered(self.now) is value
            case "nad" | "counter":
                assert getattr(self.box, key) == value
            case "devices":
                assert len(self.devices) == value
            case "outcome":
                assert self.finished[-1].outcome.value == value
            case "result":
                assert self.finished[-1].result == value
            case _:
                number = STATUS_OF[key]
                shown = STATUS_LAYOUTS[number].read(self.box.baselines.get(number, b""))
                assert shown is not None
                assert {name: shown[name] for name in value} == value


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "dialogues.json"))
def test_dialogue_vectors(case: dict[str, Any]) -> None:
    play = Play(case["config"])
    for step in case["steps"]:
        play.step(step)


# ------------------------------------------------------------------------------- captures


@pytest.mark.vectors
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_recordings(path: Path) -> None:
    """Every answer of the real box, byte for byte; silence where it was silent."""
    recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    box = Box(counter=recorded["counter_before"] or 0, init_request=False)
    if recorded["baseline_heater"]:
        box.baselines[MessageId.HEATER] = bytes.fromhex(recorded["baseline_heater"])
    waiting = {command["before"]: command for command in recorded["commands"] or ()}
    real = recorded["box"] == REAL
    answers = 0
    for index, (ms, pid_text, data, role) in enumerate(recorded["frames"]):
        now = ms / 1000
        if command := waiting.get(index):
            box.command(index, Group(command["group"]), command["fields"], now)
        if role == "box_orphan":
            continue
        if role == "wake":
            assert box.receive(b"\0", now) == b""
            continue
        pid = int(pid_text, 16)
        answer = box.receive(bytes((0, 0x55, pid)), now)
        if role == "box":
            answers += 1
            assert answer == response(pid, bytes.fromhex(data)), index
            assert box.receive(answer, now + 0.01) == b""
        elif role == "none":
            assert not real or answer == b"", index
        else:
            assert answer == b"", index
            assert box.receive(response(pid, bytes.fromhex(data)), now + 0.01) == b""
    assert not real or answers > 0
    assert box.counts.collisions == box.counts.checksum_errors == 0


@pytest.mark.vectors
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_recordings_heard_by_an_observer(path: Path) -> None:
    """All messages are decoded; nothing is ever said."""
    recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    box = Box(counter=0, init_request=True, observer=True)
    buffers: list[Buffer] = []
    signals: dict[str, Any] = {}
    for ms, pid_text, data, role in recorded["frames"]:
        pid = 0 if role == "wake" else int(pid_text, 16)
        heard = b"\0" if role == "wake" else bytes((0, 0x55, pid))
        assert box.receive(heard, ms / 1000) == b""
        if data:
            assert box.receive(response(pid, bytes.fromhex(data)), ms / 1000 + 0.01) == b""
        for event in box.events():
            if isinstance(event, Received):
                buffers.append(event.buffer)
            elif isinstance(event, Seen):
                identifier = identifier_of(event.frame.pid)
                assert identifier is not None
                values = read_signal(identifier, event.frame.data)
                if values is not None:
                    signals[f"{identifier:02x}"] = dict(values)
    expected = [one for one in recorded["messages"] if one["sid"] == DOWNLOAD and one["accepted"]]
    assert [(one.message_id, one.counter) for one in buffers] == [
        (one["msg_id"], one["counter"]) for one in expected
    ]
    for buffer, one in zip(buffers, expected, strict=True):
        if buffer.message_id in STATUS_OF.values():
            assert STATUS_LAYOUTS[buffer.message_id].read(buffer.payload) == one["fields"]
    for key, values in recorded["last_signals"].items():
        assert {name: signals[key.lower()].get(name) for name in values} == values


# ------------------------------------------------------------------- answers, rule by rule


def test_a_poll_with_nothing_to_say() -> None:
    assert Talk().header(POLL) == NOTHING_TO_SEND


@pytest.mark.parametrize("data", [b"\0\x55\xd8\xff", b"\0\x55\xd8\0\x55\xc4"])
def test_guard_a_no_answer_when_bytes_wait_behind(data: bytes) -> None:
    box = Box(counter=0)
    assert box.receive(data, 0) == b""
    assert box.counts.skipped == 1


def test_guard_b_no_answer_to_what_has_waited() -> None:
    box = Box(counter=0)
    assert box.receive(b"\0\x55\xd8", 0, late=True) == b""
    assert (box.counts.skipped, box.counts.answered) == (1, 0)


def test_an_answer_is_sent_once() -> None:
    talk = Talk()
    assert talk.ask(bytes.fromhex("b9001f0001")).hex() == "0302f900ffffffff01"
    assert talk.header(TELL) == b""


@pytest.mark.parametrize("rest", ["", "00", "0000", "000000", "00000000", "ffffffffffff"])
def test_a_session_has_five_or_six_bytes(rest: str) -> None:
    message = bytes.fromhex("b9001f" + rest)
    answer = "0302f900ffffffff01" if len(message) in (5, 6) else ""
    assert Talk().ask(message).hex() == answer


@pytest.mark.parametrize("breaker", [b"\xff" * 8, bytes.fromhex("0104b8100300ffff")])
def test_a_new_request_discards_the_answer(breaker: bytes) -> None:
    talk = Talk()
    talk.frame(ASK, bytes.fromhex("0305b9001f0001ff"))
    talk.frame(ASK, breaker)
    assert talk.header(TELL) == b""


def test_a_damaged_request_discards_the_answer_too() -> None:
    talk = Talk()
    talk.frame(ASK, bytes.fromhex("0305b9001f0001ff"))
    talk.header(ASK)
    talk.box.receive(bytes(9), talk.now + 0.01)
    assert talk.header(TELL) == b""


def test_other_frames_do_not_discard_it() -> None:
    talk = Talk()
    talk.frame(ASK, bytes.fromhex("0305b9001f0001ff"))
    talk.header(POLL)
    talk.frame(0x03, bytes(8))
    assert talk.header(TELL)


@pytest.mark.parametrize(
    "identity, number, answer",
    [
        (Identity.BOX, 0x00, "0306f21746001f0087"),
        (Identity.BOX, 0x20, "0304f2020200ffff02"),
        (Identity.BOX, 0x22, "0304f2030700fffffb"),
        (Identity.BOX, 0x30, "03037fb212ffffffb5"),
        (Identity.EMULATOR, 0x20, "0306f21746001f0087"),
        (Identity.EMULATOR, 0x22, "0306f21746001f0087"),
    ],
)
def test_who_we_are(identity: Identity, number: int, answer: str) -> None:
    talk = Talk(Box(counter=0, init_request=False, identity=identity))
    request = bytes((0xB2, number)) + bytes.fromhex("1746001f")
    assert talk.ask(request).hex() == answer


@pytest.mark.parametrize(
    "nad, request_",
    [
        (0x7F, "b2001746010c"),  # another product
        (0x7F, "b200ff7fffff"),  # wild cards only count to our own address
        (0x01, "b2001746001f"),
        (0x01, "b9001f0001"),
        (0x7F, "b9001f0001"),
        (0x03, "b9011f0001"),
        (0x03, "c0001f0001"),
        (0x03, "ba001f001e000022ffffff"),  # nothing waits
    ],
)
def test_what_is_met_with_silence(nad: int, request_: str) -> None:
    assert Talk().ask(bytes.fromhex(request_), nad) == b""


def test_wild_cards_to_our_own_address() -> None:
    assert Talk().ask(bytes.fromhex("b200ff7fffff"))


def test_another_address_is_taken_and_answered_from_the_old_one() -> None:
    talk = Talk()
    assert talk.ask(bytes.fromhex("b01746001f07"), 0x7F).hex() == "0301f0ffffffffff0b"
    assert talk.box.nad == 7
    assert talk.ask(bytes.fromhex("b9001f0001"), 3) == b""
    assert talk.ask(bytes.fromhex("b9001f0001"), 7)[0] == 7


def test_registered_for_a_while() -> None:
    talk = Talk()
    assert not talk.box.registered(talk.now)
    talk.header(POLL)
    assert talk.box.registered(talk.now + REGISTERED_FOR - 0.1)
    assert not talk.box.registered(talk.now + REGISTERED_FOR + 0.1)


def test_a_refused_buffer_changes_nothing() -> None:
    talk = baseline(Talk())
    message = bytearray(build_buffer(DOWNLOAD, MessageId.HEATER, 0, bytes(20)))
    message[16] ^= 1
    assert talk.ask(bytes(message)) == b""
    assert talk.box.baselines[MessageId.HEATER] == OFF
    assert talk.box.counts.refused_buffers == 1


def test_an_unknown_message_is_acknowledged() -> None:
    assert Talk().download(0x77, b"\1\2\3")


# ------------------------------------------------------------------------------ uploads


def test_nothing_is_announced_without_a_baseline() -> None:
    talk = Talk()
    wish(talk)
    assert talk.header(POLL) == NOTHING_TO_SEND
    baseline(talk)
    assert talk.header(POLL) == UPDATE_PENDING


def test_an_upload_from_wish_to_acknowledge() -> None:
    talk = baseline(Talk())
    wish(talk)
    assert talk.header(POLL) == talk.header(POLL) == UPDATE_PENDING
    buffer = talk.fetch()
    assert (buffer.message_id, buffer.counter) == (0x32, 17)
    assert talk.header(POLL) == NOTHING_TO_SEND
    assert talk.outcomes() == []
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", 17)
    assert talk.outcomes() == [Finished((1,), Outcome.CONFIRMED, 0)]


@pytest.mark.parametrize("result", [2, 3, 200])
def test_a_refusal(result: int) -> None:
    talk = baseline(Talk())
    wish(talk)
    talk.fetch()
    talk.download(MessageId.ACKNOWLEDGE, bytes((result, 0)), 17)
    assert talk.outcomes() == [Finished((1,), Outcome.REJECTED, result)]


def test_an_acknowledge_of_another_counter_is_only_adopted() -> None:
    talk = baseline(Talk())
    wish(talk)
    talk.fetch()
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", 99)
    assert talk.outcomes() == []
    assert talk.box.counter == 99


def test_the_counter_runs_modulo_255() -> None:
    talk = baseline(Talk(Box(counter=254, init_request=False)))
    wish(talk)
    assert talk.fetch().counter == 0


def test_a_status_that_shows_the_wish_confirms_it() -> None:
    talk = baseline(Talk())
    wish(talk)
    payload = talk.fetch().payload
    talk.download(MessageId.HEATER, payload + OFF[12:])
    assert talk.outcomes() == [Finished((1,), Outcome.CONFIRMED)]


def test_nobody_acknowledges() -> None:
    talk = baseline(Talk())
    wish(talk)
    talk.fetch()
    talk.pass_(ACKNOWLEDGE_WITHIN - 1)
    assert talk.outcomes() == []
    talk.pass_(2)
    assert talk.outcomes() == [Finished((1,), Outcome.NOT_CONFIRMED)]
    assert talk.header(POLL) == NOTHING_TO_SEND, "no repetition by itself"


def test_nobody_fetches() -> None:
    talk = baseline(Talk())
    wish(talk)
    talk.pass_(FETCH_WITHIN - 1)
    assert talk.outcomes() == []
    talk.pass_(2)
    assert talk.outcomes() == [Finished((1,), Outcome.NOT_FETCHED)]


def test_an_interrupted_upload_stays_pending() -> None:
    talk = baseline(Talk())
    wish(talk)
    assert talk.ask(BA)
    for _ in range(3):
        assert talk.header(TELL)
    talk.frame(ASK, b"\xff" * 8)
    assert talk.header(TELL) == b""
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().payload[:2] == (2930).to_bytes(2, "little")


def test_an_upload_that_silence_broke_off_ends() -> None:
    talk = baseline(Talk())
    wish(talk)
    assert talk.ask(BA)
    talk.pass_(BROKEN_OFF_AFTER + 1)
    assert talk.header(TELL) == b""
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.outcomes() == []
    talk.pass_(FETCH_WITHIN)
    assert talk.outcomes() == [Finished((1,), Outcome.NOT_FETCHED)]
    assert talk.header(POLL) == NOTHING_TO_SEND


def test_an_upload_that_is_fetched_slowly_is_whole() -> None:
    talk = baseline(Talk())
    wish(talk)
    frames = [talk.ask(BA)]
    for _ in range(6):
        talk.pass_(BROKEN_OFF_AFTER - 1)
        frames.append(talk.header(TELL))
    assert [frame[1] for frame in frames] == [0x10, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26]
    assert talk.box.facts(talk.now)["waiting_for_acknowledge"] is True


@pytest.mark.parametrize("size", [1, 12, 19])
def test_a_status_that_is_too_short_replaces_none(size: int) -> None:
    talk = baseline(Talk())
    assert talk.download(MessageId.HEATER, bytes(size)).hex() == "0301fbffffffffff00"
    assert talk.box.baselines == {MessageId.HEATER: OFF}
    wish(talk)
    assert talk.fetch().payload[:4] == bytes.fromhex("720b0100")
    assert talk.outcomes() == []


def test_a_change_is_merged_into_the_newest_baseline() -> None:
    talk = baseline(Talk())
    wish(talk)
    changed = bytearray(OFF)
    changed[6:8] = (3130).to_bytes(2, "little")
    talk.download(MessageId.HEATER, bytes(changed))
    assert talk.fetch().payload[6:8] == (3130).to_bytes(2, "little")


def test_a_change_is_merged_into_what_was_taken_and_is_not_shown_yet() -> None:
    """Hot water, wished behind the room's heat, switched the heat off again."""
    talk = baseline(Talk())
    wish(talk, 1, target_temp_room=2930, heating_mode=1)
    talk.header(POLL)
    first = talk.fetch()
    wish(talk, 2, target_temp_water=3130)
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", first.counter)
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().payload.hex() == "720b010000003a0c00000101"


@pytest.mark.parametrize("result", [2, 3])
def test_what_was_refused_is_merged_into_nothing(result: int) -> None:
    talk = baseline(Talk())
    wish(talk, 1, target_temp_room=2930, heating_mode=1)
    talk.header(POLL)
    first = talk.fetch()
    wish(talk, 2, target_temp_water=3130)
    talk.download(MessageId.ACKNOWLEDGE, bytes((result, 0)), first.counter)
    talk.header(POLL)
    assert talk.fetch().payload.hex() == "0000000000003a0c00000101"


def test_what_is_shown_after_an_acknowledge_counts() -> None:
    talk = baseline(Talk())
    wish(talk, 1, target_temp_room=2930, heating_mode=1)
    talk.header(POLL)
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", talk.fetch().counter)
    baseline(talk)
    wish(talk, 2, target_temp_water=3130)
    talk.header(POLL)
    assert talk.fetch().payload.hex() == "0000000000003a0c00000101"


def test_wishes_while_waiting_are_queued() -> None:
    talk = baseline(Talk())
    wish(talk, 1)
    talk.fetch()
    wish(talk, 2, target_temp_water=3130)
    assert talk.header(POLL) == NOTHING_TO_SEND
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", 17)
    assert talk.header(POLL) == UPDATE_PENDING
    talk.fetch()
    talk.download(MessageId.ACKNOWLEDGE, b"\0\0", 18)
    assert [one.commands for one in talk.outcomes()] == [(1,), (2,)]


def test_an_air_conditioner_is_switched_off_whatever_was_wished_before() -> None:
    talk = Talk()
    cooling = {"mode": 5, "vent": 0x72, "on": 1, "target_temp": 2950}
    talk.download(MessageId.AC_MANUAL, STATUS_LAYOUTS[MessageId.AC_MANUAL].write(cooling))
    talk.box.command(1, Group.AC_MANUAL, {"vent": 0x73}, talk.now)
    talk.box.command(2, Group.AC_MANUAL, {"mode": 0}, talk.now + 2)
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().payload[:6].hex() == "00007101860b"
    assert talk.outcomes() == [Finished((1,), Outcome.SUPERSEDED)]


def test_what_may_have_been_changed_unheard_is_asked_for_before_it_is_added_to() -> None:
    """While the port was away the owner switched the hot water to boost; a target undid it."""
    now_at_panel = bytearray(OFF)
    now_at_panel[6:8] = (4730).to_bytes(2, "little")
    talk = Talk(Box(counter=16, baselines={MessageId.HEATER: OFF}))
    wish(talk, 1, target_temp_room=2920)
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().message_id == MessageId.INIT_REQUEST
    assert talk.header(POLL) == NOTHING_TO_SEND
    talk.download(MessageId.HEATER, bytes(now_at_panel))
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().payload[6:8] == now_at_panel[6:8]


def test_a_panel_that_does_not_tell_what_it_is_asked_for_is_not_waited_for() -> None:
    talk = Talk(Box(counter=16, baselines={MessageId.HEATER: OFF}))
    wish(talk, 1, target_temp_room=2920)
    assert talk.header(POLL) == UPDATE_PENDING
    talk.fetch()
    began, sent = talk.now, MessageId.INIT_REQUEST
    while sent == MessageId.INIT_REQUEST and talk.now < began + 60:
        talk.now += 1
        if talk.header(POLL) == UPDATE_PENDING:
            sent = talk.fetch().message_id
    assert sent == MessageId.HEATER_SET
    assert talk.now - began < 30


def test_groups_go_in_their_order() -> None:
    talk = baseline(Talk(Box(counter=0, init_request=False, now_fields=lambda: {"hours": 5})))
    talk.download(MessageId.CLOCK, bytes((1, 2, 3, 1, 1, 0, 0, 0, 0, 0)))
    talk.download(MessageId.TIMER, bytes(24))
    talk.box.command(1, Group.CLOCK, {}, talk.now)
    talk.box.command(2, Group.TIMER, {"active": 1}, talk.now)
    wish(talk, 3)
    sent = []
    for counter in (1, 2, 3):
        sent.append(talk.fetch())
        talk.download(MessageId.ACKNOWLEDGE, b"\0\0", counter)
    assert [one.message_id for one in sent] == [0x32, 0x3C, 0x14]
    assert sent[-1].payload[0] == 5


def test_the_clocks_time_is_that_of_sending_even_the_second_time() -> None:
    hours = iter(range(5, 20))
    talk = Talk(Box(counter=0, init_request=False, now_fields=lambda: {"hours": next(hours)}))
    talk.download(MessageId.CLOCK, bytes((1, 2, 3, 1, 1, 0, 0, 0, 0, 0)))
    talk.box.command(1, Group.CLOCK, {}, talk.now)
    talk.ask(BA)
    talk.frame(ASK, b"\xff" * 8)
    assert talk.fetch().payload[0] == 6


TIME = {"hours": 7, "minutes": 8, "seconds": 9}


@pytest.mark.parametrize(
    "wishes, payload, outcomes",
    [
        ([TIME], "070809", []),
        ([{}], "0b1516", []),
        ([{**TIME, "clock_mode": 1}, {}], "0b1516", [Finished((1,), Outcome.SUPERSEDED)]),
        ([{}, TIME], "070809", [Finished((1,), Outcome.SUPERSEDED)]),
        ([{}, {"clock_mode": 1}], "0b1516", []),
    ],
)
def test_of_two_times_for_the_clock_the_later_counts(
    wishes: list[dict[str, int]], payload: str, outcomes: list[Finished]
) -> None:
    """The time of sending was wished behind a time that was still to be fetched."""
    now = {"hours": 11, "minutes": 21, "seconds": 22}
    talk = Talk(Box(counter=16, init_request=False, now_fields=lambda: now))
    talk.download(MessageId.CLOCK, bytes((10, 20, 30, 1, 1, 0, 0, 1, 0, 0)))
    for number, fields in enumerate(wishes, 1):
        talk.box.command(number, Group.CLOCK, fields, talk.now)
    talk.header(POLL)
    sent = talk.fetch().payload
    assert sent[:3].hex() == payload
    assert sent[6] == any("clock_mode" in fields for fields in wishes)
    assert talk.outcomes() == outcomes


def test_the_tail_is_mirrored() -> None:
    talk = baseline(Talk())
    wish(talk)
    frames = [talk.ask(BA[:8] + b"\1\2\3"), talk.header(TELL)]
    assert frames[1][5:8] == b"\1\2\3"


def test_the_init_request() -> None:
    talk = Talk(Box(counter=0, init_request=True))
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.fetch().message_id == MessageId.INIT_REQUEST
    assert talk.header(POLL) == NOTHING_TO_SEND
    for _ in range(4):
        talk.pass_(INIT_EVERY)
        assert talk.header(POLL) == UPDATE_PENDING
        talk.fetch()
    talk.pass_(INIT_EVERY)
    assert talk.header(POLL) == NOTHING_TO_SEND, "five tries are enough"


def test_no_init_request_when_all_is_known() -> None:
    talk = baseline(Talk(Box(counter=0, init_request=True)))
    assert talk.header(POLL) == UPDATE_PENDING
    talk.download(MessageId.DEVICE, bytes.fromhex("020001005000000403 02ad10"))
    assert talk.header(POLL) == NOTHING_TO_SEND
    talk.pass_(1)
    talk.download(MessageId.DEVICE, bytes.fromhex("020101004003000203010000"))
    talk.pass_(INIT_EVERY + 1)
    assert talk.header(POLL) == NOTHING_TO_SEND


def test_a_device_record_that_was_lost_is_asked_for() -> None:
    """The panel's record was missed on a busy machine: it had no model for as long as it ran."""
    talk = baseline(Talk(Box(counter=0, init_request=True)))
    talk.download(MessageId.DEVICE, bytes.fromhex("020101004003000203010000"))
    assert talk.header(POLL) == NOTHING_TO_SEND
    talk.pass_(INIT_EVERY + 1)
    assert talk.header(POLL) == UPDATE_PENDING


# --------------------------------------------------------------------------- other boxes


def test_a_second_box_silences_us_for_a_minute() -> None:
    talk = Talk(echo=False)
    assert talk.header(POLL)
    other = response(POLL, b"\xfe" + b"\xff" * 6 + b"\x11")
    talk.box.receive(other, talk.now + 0.01)
    talk.events += talk.box.events()
    assert SecondBox() in talk.events
    assert talk.box.counts.collisions == 1
    assert talk.header(POLL) == b""
    talk.pass_(SECOND_BOX_PAUSE + 1)
    assert talk.header(POLL) == NOTHING_TO_SEND


def test_the_silence_lasts_as_long_as_the_other_box_is_heard() -> None:
    """To speak again after a minute, the other one must have been silent for a minute."""
    talk = Talk(echo=False)
    assert talk.header(POLL)
    talk.box.receive(response(POLL, b"\xfe" + b"\xff" * 6 + b"\x11"), talk.now + 0.01)
    for _ in range(4):
        talk.pass_(SECOND_BOX_PAUSE / 2)
        talk.frame(POLL, b"\xfe" + b"\xff" * 7)
    assert talk.events.count(SecondBox()) == 1, "it is no news"
    talk.pass_(SECOND_BOX_PAUSE - 1)
    assert talk.header(POLL) == b""
    assert talk.box.facts(talk.now)["quiet_for"] == pytest.approx(0.9, abs=0.1)
    talk.pass_(2)
    assert talk.header(POLL) == NOTHING_TO_SEND
    assert talk.box.facts(talk.now)["quiet_for"] == 0


def test_a_silence_that_began_before_us_is_kept() -> None:
    talk = Talk(Box(counter=16, init_request=False, quiet_until=130.0))
    assert talk.header(POLL) == b""
    assert talk.box.facts(talk.now)["second_box"] is True
    talk.pass_(31)
    assert talk.header(POLL) == NOTHING_TO_SEND


def test_an_answer_that_did_not_leave_in_time_is_still_owed() -> None:
    """A poll is answered at the next one; of an upload no frame is missing."""
    talk = Talk()
    box = talk.box
    baseline(talk)
    box.command(1, Group.HEATER, {"target_temp_room": 2920, "heating_mode": 1}, talk.now)
    for skipped in (True, False):
        talk.now += 0.05
        assert box.hear(b"\0\x55\xd8", talk.now) == UPDATE_PENDING
        if skipped:
            box.skipped()
        else:
            box.sent(UPDATE_PENDING, talk.now)
            assert box.receive(UPDATE_PENDING, talk.now + 0.01) == b""
    for frame in split(3, BA):
        talk.frame(ASK, frame)
    frames: list[bytes] = []
    while len(frames) < 7:
        talk.now += 0.05
        answer = box.hear(b"\0\x55\x7d", talk.now)
        box.skipped()
        talk.now += 0.05
        assert box.hear(b"\0\x55\x7d", talk.now) == answer
        box.sent(answer, talk.now)
        assert box.receive(answer, talk.now + 0.01) == b""
        frames.append(answer)
    assert [frame[1] for frame in frames] == [0x10, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26]
    assert box.facts(talk.now)["waiting_for_acknowledge"] is True
    assert (box.counts.skipped, box.counts.collisions) == (8, 0)


def test_an_adapter_without_echo() -> None:
    talk = Talk(echo=False)
    for _ in range(5):
        assert talk.header(POLL) == NOTHING_TO_SEND
    assert talk.box.echo is False
    assert talk.box.counts.collisions == 0


def test_an_observer_never_speaks() -> None:
    talk = Talk(Box(counter=0, observer=True))
    wish(talk)
    assert talk.header(POLL) == b""
    assert talk.ask(bytes.fromhex("b9001f0001")) == b""
    assert talk.download(MessageId.HEATER, OFF) == b""
    assert talk.box.baselines[MessageId.HEATER] == OFF


# ------------------------------------------------------------------------------ any bytes

pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\0\x55\xd8", b"\0\x55\x7d", b"\0\x55\x3c", b"\x55\xd8", b"\0", b"\x55"]),
    st.binary(min_size=8, max_size=8).map(lambda data: b"\0\x55\x3c" + response(ASK, data)),
    st.binary(min_size=1, max_size=6).map(
        lambda data: b"\0\x55\x3c" + response(ASK, split(3, data)[0])
    ),
)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.floats(0, 70), pieces), max_size=60),
    st.booleans(),
    st.lists(st.integers(0, 59), max_size=5),
)
def test_any_bytes_at_any_time(
    script: list[tuple[float, bytes]], init: bool, wishes: list[int]
) -> None:
    """Never raises, answers only to a header for us that came last, never grows."""
    box = Box(counter=254, init_request=init)
    box.baselines[MessageId.HEATER] = OFF
    now = 0.0
    for index, (pause, data) in enumerate(script):
        if index in wishes:
            box.command(index, Group.HEATER, {"target_temp_room": 2930}, now)
        now += pause
        answer = box.receive(data, now)
        if answer:
            pid = data[-1] if data else None
            assert pid in (POLL, TELL)
            assert len(answer) == 9
            assert answer == response(pid, answer[:8])
            if pid == POLL:
                assert answer in (NOTHING_TO_SEND, UPDATE_PENDING)
            else:
                assert answer[0] == box.nad or answer[2] == 0xF0
        box.tick(now)
        box.events()
        assert len(box._answers) <= 7
        assert len(box.baselines) <= 256
        assert 0 <= box.counter <= 254


@settings(max_examples=100)
@given(st.binary(max_size=255), st.binary(max_size=60))
def test_any_message_to_us(message: bytes, tail: bytes) -> None:
    talk = Talk(Box(counter=0))
    talk.box.baselines[MessageId.HEATER] = tail
    wish(talk)
    if message:
        for frame in split(3, message):
            talk.frame(ASK, frame)
        for _ in range(9):
            answer = talk.header(TELL)
            assert answer == b"" or answer == response(TELL, answer[:8])


@given(st.dictionaries(st.text(max_size=8), st.integers(), max_size=4))
def test_a_wish_that_no_layout_takes_is_rejected(fields: dict[str, int]) -> None:
    talk = baseline(Talk())
    talk.box.command(1, Group.HEATER, {**fields, "target_temp_room": 1 << 20}, talk.now)
    assert talk.header(POLL) == UPDATE_PENDING
    assert talk.ask(BA) == b""
    (finished,) = talk.outcomes()
    assert finished.commands == (1,)
    assert finished.outcome is Outcome.RULED_OUT
    assert finished.message
    assert talk.header(POLL) == NOTHING_TO_SEND
