"""The simulated line: its timing, one request at a time, and every fault that it can do."""

from __future__ import annotations

import math
import struct
from collections import Counter
from itertools import pairwise

import pytest

from hardwired_engines.link import Parity, SerialSettings
from hardwired_engines.studer.datapoints.plausibility import Absence, check
from hardwired_engines.studer.scom import messages, multi_info
from hardwired_engines.studer.scom.errors import ErrorCode
from hardwired_engines.studer.scom.exchange import ReplyKind
from hardwired_engines.studer.scom.frame import (
    FrameFlags,
    read_info,
    read_parameter,
    write_parameter,
)
from hardwired_engines.studer.scom.matching import Rejection
from hardwired_engines.studer.scom.multi_info import Item
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.values import Format, encode
from hardwired_engines.studer.simulator.faults import Damage, Incident, parse_faults

from ..simulated import Host, point

ASK = read_info(101, 3000)


# ------------------------------------------------------------------------ timing


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"baud": 38400}, 56 * 11 / 38400),
        ({"baud": 115200}, 56 * 11 / 115200),
        ({"lan": 1, "crlf": 0}, 56 * 10 / 115200),
        ({"baud": 0}, 0.0),
    ],
)
def test_the_line_is_as_slow_as_it_is(query: dict[str, object], expected: float) -> None:
    host = Host(latency_ms=0, **query)
    began = host.now
    for _ in range(62):
        assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.VALUE
    assert host.now - began == pytest.approx(62 * expected)


def test_many_infos_take_their_time() -> None:
    host = Host(latency_ms=0)
    began = host.now
    host.ask(multi_info.request([Item(3000, 1)] * 76, 1))
    assert host.now - began == pytest.approx(0.2349, abs=0.0001)


def test_the_gateway_thinks() -> None:
    host = Host(latency_ms="20-90", hiccup_ms=300, baud=0)
    times = []
    for _ in range(2000):
        began = host.now
        host.ask(ASK)
        times.append(host.now - began)
    slow = [seconds for seconds in times if seconds > 0.3]
    usual = [seconds for seconds in times if seconds < 0.3]
    assert min(usual) == pytest.approx(0.02, abs=0.002)
    assert max(usual) == pytest.approx(0.09, abs=0.002)
    assert len(slow) == pytest.approx(sum(times) / 60, abs=2)


@pytest.mark.parametrize("size", [1, 7, 16])
def test_an_answer_arrives_in_chunks(size: int) -> None:
    host = Host(latency_ms=0, chunk=size)
    host.send(ASK.encode())
    pieces = host.listen(1)
    assert len(pieces) == math.ceil(30 / size)
    assert [len(data) for _, data in pieces[:-1]] == [size] * (len(pieces) - 1)
    assert pieces[-1][0] - pieces[0][0] == pytest.approx((30 - size) * 11 / 38400, abs=1e-6)
    assert len(Parser().receive_data(b"".join(data for _, data in pieces))) == 1


def test_a_second_request_meanwhile_is_lost() -> None:
    host = Host(latency_ms=100)
    host.send(ASK.encode())
    host.listen(0.05)
    host.send(read_info(102, 3000).encode())
    answers = Parser().receive_data(b"".join(data for _, data in host.listen(2)))
    assert [frame.source for frame in answers] == [101]
    assert [event.details["why"] for event in host.world.journal.of("lost")] == ["busy"]


def test_requests_may_come_in_any_pieces() -> None:
    host = Host(latency_ms=0)
    for cut in range(1, 26):
        data = ASK.encode()
        host.send(data[:cut])
        assert not host.listen(0.01)
        host.send(data[cut:])
        assert len(Parser().receive_data(b"".join(d for _, d in host.listen(0.2)))) == 1, cut


def test_half_a_request_is_forgotten_in_time() -> None:
    host = Host()
    host.send(ASK.encode()[:20])
    host.listen(1)
    assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.VALUE


@pytest.mark.parametrize(
    "spoiled",
    [
        b"\xab" + ASK.encode()[1:],
        ASK.encode()[:12] + b"\0\0" + ASK.encode()[14:],
        ASK.encode()[:-1] + b"\0",
        ASK.answer(b"\0\0\0\0").encode(),
    ],
    ids=["start byte", "header checksum", "data checksum", "an answer"],
)
def test_it_is_silent_on_what_is_no_sound_request(spoiled: bytes) -> None:
    host = Host()
    host.send(spoiled)
    assert not host.listen(5)
    assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.VALUE


def test_it_is_deaf_to_other_settings() -> None:
    host = Host()
    host.world.client = SerialSettings(38400, parity=Parity.NONE)
    assert host.ask(ASK).kind is ReplyKind.TIMEOUT
    host.world.client = SerialSettings(38400, parity=Parity.EVEN)
    assert host.ask(ASK).kind is ReplyKind.VALUE


def test_carriage_returns_of_a_lan_gateway() -> None:
    host = Host(lan=1, strip=0)
    host.send(ASK.encode())
    data = b"".join(data for _, data in host.listen(1))
    assert data.endswith(b"\r\n")
    assert len(data) == 32


def test_a_moxa_strips_them_wherever_they_are() -> None:
    host = Host(lan=1, seed=2)
    value = struct.unpack("<f", b"\x12\x0d\x0a\x42")[0]
    device = host.world.device(101)
    device._fixed = {**device._fixed, 3125: value}
    reply = host.ask(read_info(101, 3125), Format.FLOAT)
    assert reply.kind is ReplyKind.TIMEOUT, "a constant with 0D 0A in it can never be read"
    host.wait(1)
    host.exchange.parser.flush()
    assert host.number(101, 3127) == 48
    plain = Host(lan=1, strip=0)
    device = plain.world.device(101)
    device._fixed = {**device._fixed, 3125: value}
    assert plain.number(101, 3125) == value


# ------------------------------------------------------------------------ damages


def struck(name: str, **query: object) -> Host:
    return Host(faults=f"{name}:n=1", **query)


def test_lost() -> None:
    host = struck("lose")
    assert host.ask(ASK).kind is ReplyKind.TIMEOUT
    assert host.ask(ASK).kind is ReplyKind.VALUE


def test_late_while_nobody_asks() -> None:
    host = Host(faults="late:n=1:least=3.4:most=3.6")
    assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.TIMEOUT
    host.wait(1)
    assert host.exchange.rejections[Rejection.UNSOLICITED] == 1


def test_late_while_another_is_asked() -> None:
    host = Host(faults="late:n=1:least=3.4:most=3.6")
    assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.TIMEOUT
    # The gateway is still busy with the first: this one is lost, the late answer is none to it.
    assert host.ask(read_info(102, 3000), Format.FLOAT).kind is ReplyKind.TIMEOUT
    assert host.exchange.rejections[Rejection.WRONG_SOURCE] == 1
    assert host.ask(read_info(102, 3000), Format.FLOAT).kind is ReplyKind.VALUE


def test_late_and_both_are_answered() -> None:
    """Issue 12, number 19: a gateway that is not deaf while an answer of it is late."""
    host = Host(faults="late:n=1:least=3.4:most=3.6:both=1")
    assert host.ask(ASK, Format.FLOAT).kind is ReplyKind.TIMEOUT
    other = host.ask(read_info(102, 3000), Format.FLOAT)
    assert other.kind is ReplyKind.VALUE, "its own answer, not the late one of the other"
    assert host.exchange.rejections[Rejection.WRONG_SOURCE] == 1


def test_busy() -> None:
    host = struck("busy")
    assert host.error(ASK) == ErrorCode.GATEWAY_BUSY
    assert host.error(ASK) is None


def test_twice() -> None:
    host = struck("duplicate")
    host.send(ASK.encode())
    frames = Parser().receive_data(b"".join(data for _, data in host.listen(2)))
    assert len(frames) == 2
    assert frames[0] == frames[1]


def test_foreign() -> None:
    host = struck("foreign")
    reply = host.ask(ASK, Format.FLOAT)
    assert reply.kind is ReplyKind.VALUE
    assert host.world.truth.was(host.world.device(101).fid, 3000, float(reply.value or 0))
    assert host.exchange.rejections[Rejection.WRONG_DESTINATION] == 1


def test_stray_frames_tell_the_truth_of_others() -> None:
    host = Host(faults="stray:p=1")
    rejected: Counter[Rejection] = Counter()
    for n in range(40):
        address = 101 + n % 6
        reply = host.ask(read_info(address, 3000 + n % 2 * 5), Format.FLOAT)
        assert reply.kind is ReplyKind.VALUE
        rejected = host.exchange.rejections
    assert rejected[Rejection.WRONG_SOURCE] + rejected[Rejection.WRONG_OBJECT_ID] == 40
    for frame in host.heard:
        body = frame.body()
        assert body is not None
        fid = host.world.device(frame.source).fid
        assert host.world.truth.was(fid, body.object_id, struct.unpack("<f", body.data)[0])


def test_only_the_device_that_is_asked_is_written_whatever_frames_pass() -> None:
    host = Host(faults="stray:p=1,foreign:p=1,duplicate:p=1")
    for n in range(20):
        data = struct.pack("<f", 10.0 + n)
        request = write_parameter(101, 1138, data)
        assert host.ask(request).kind is ReplyKind.WRITTEN
    owners = {event.details["owner"] for event in host.world.journal.of("written")}
    assert owners == {host.world.device(101).fid}


@pytest.mark.parametrize("number", [3000, 3001, 3005, 3022, 3136, 3083, 3002, 7004, 7002])
def test_nonsense_is_always_seen_through(number: int) -> None:
    host = Host(faults="nonsense:p=1")
    address = 601 if number >= 7000 else 101
    one = point(address, number)
    for _ in range(20):
        value = host.info(address, number)
        absence = check(one, value, 48)
        assert absence in (Absence.NOT_FINITE, Absence.OUT_OF_RANGE), value


def test_nonsense_among_many() -> None:
    host = Host(faults="nonsense:p=1", latency_ms=0)
    items = [Item(number, n) for number in (3000, 3005, 3022) for n in range(1, 7)]
    for _ in range(20):
        found = multi_info.decode(host.ask(multi_info.request(items, 1)).data).values()
        wrong = [item for item, value in found.items() if check(point(101, item.info), value, 48)]
        assert len(wrong) == 1


def test_zero() -> None:
    host = struck("zero")
    assert host.number(101, 3000) == 0
    assert host.number(101, 3000) > 40


@pytest.mark.parametrize("name", ["flip", "gap"])
def test_a_damaged_frame_is_no_frame(name: str) -> None:
    host = Host(faults=f"{name}:p=1", latency_ms=0)
    for _ in range(200):
        host.send(ASK.encode())
        heard = b"".join(data for _, data in host.listen(0.2))
        parser = Parser()
        assert not parser.receive_data(heard) + parser.flush()


@pytest.mark.parametrize("name", ["noise", "crlf", "split", "strip", "duplicate", "stray"])
def test_what_a_sound_receiver_bears(name: str) -> None:
    host = Host(faults=f"{name}:p=1", seed=4)
    failed = 0
    for n in range(100):
        reply = host.ask(read_info(101 + n % 6, 3000), Format.FLOAT)
        if reply.kind is not ReplyKind.VALUE:
            failed += 1  # noise that looks like a header hides the frame until the idle flush
            host.wait(1)
            host.exchange.parser.flush()
        host.wait(0.4)
    assert failed <= (5 if name == "noise" else 1)


def test_a_split_answer_comes_in_pieces() -> None:
    host = struck("split")
    host.send(ASK.encode())
    pieces = host.listen(1)
    assert len(pieces) > 1
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(pieces)]
    assert max(gaps) < 0.1
    assert len(Parser().receive_data(b"".join(data for _, data in pieces))) == 1


def test_a_stalled_answer_takes_a_pause() -> None:
    host = struck("stall")
    host.send(ASK.encode())
    first, second = host.listen(2)
    assert second[0] - first[0] > 0.14


def test_damages_can_be_bound_to_a_time_and_an_address() -> None:
    host = Host(faults="lose:p=1:address=103:at=10:for=20", latency_ms=0)
    assert host.ask(read_info(103, 3000)).kind is ReplyKind.VALUE
    host.wait(11)
    assert host.ask(read_info(102, 3000)).kind is ReplyKind.VALUE
    assert host.ask(read_info(103, 3000)).kind is ReplyKind.TIMEOUT
    host.wait(20)
    assert host.ask(read_info(103, 3000)).kind is ReplyKind.VALUE
    assert not host.world.damages.active


def test_damages_can_be_cleared() -> None:
    host = Host(faults="lose:p=1,split:p=1")
    host.world.command({"clear": "lose"}, host.now)
    assert [fault.kind for fault in host.world.damages.active] == [Damage.SPLIT]
    host.world.command({"clear": "all"}, host.now)
    assert not host.world.damages.active


@pytest.mark.parametrize("order", [{}, {"fault": "x"}, {"fault": "drop", "address": 107},
                                   {"fault": "late", "p": "often"},
                                   {"fault": "cut", "every": -1}])  # fmt: skip
def test_a_wrong_order_is_refused(order: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Host().world.command(order, 100.0)


def test_the_random_mix() -> None:
    kinds = {fault.kind for fault in parse_faults("random:0.5")}
    assert Damage.LATE in kinds
    assert Damage.ZERO not in kinds, "nobody could tell a zero from a value"
    host = Host(faults="random")
    good = 0
    for n in range(400):
        address = 101 + n % 6
        reply = host.ask(read_info(address, 3022), Format.FLOAT)
        if reply.kind is ReplyKind.VALUE and check(point(101, 3022), reply.value or 0, 48) is None:
            good += 1
            assert isinstance(reply.value, float)
            assert host.world.truth.was(
                host.world.device(address).fid, 3022, reply.value, host.now - 6
            )
        elif reply.kind is ReplyKind.TIMEOUT:
            host.wait(0.5)
            host.exchange.parser.flush()
    assert good > 330


# ------------------------------------------------------------------------ incidents


def codes(host: Host, address: int, seconds: float) -> list[str]:
    """Ask a device again and again; return how it went, without repetitions."""
    found: list[str] = []
    end = host.now + seconds
    while host.now < end:
        reply = host.ask(read_info(address, 3000), Format.FLOAT)
        name = ErrorCode(reply.error).name if reply.error else reply.kind.value
        if not found or found[-1] != name:
            found.append(name)
        host.wait(1)
    return found


def test_an_xtender_drops_off_and_comes_back() -> None:
    host = Host(faults="drop:address=103:silent=8:timeout=12:away=30:ripple=0")
    host.write(103, 1138, 20.0)
    assert codes(host, 103, 70) == ["timeout", "RESPONSE_TIMEOUT", "DEVICE_NOT_FOUND", "value"]
    read = []
    for index in range(4):
        message = messages.decode(host.ask(messages.read_message(index)).data)
        read.append((message.number, message.source))
    assert read == [(10, 103), (177, 103), (163, 103), (183, 103)]
    assert host.world.device(103).parameters.in_force(1138) == 60.0


def test_the_others_carry_on_meanwhile() -> None:
    host = Host(faults="drop:address=103:away=-1:ripple=0")
    before = host.number(106, 3022)
    host.wait(30)
    for address in (101, 102, 104, 105, 106):
        assert host.number(address, 3000) > 40
    assert host.number(106, 3022) > 1.5 * before, "its twin on L3 carries its load"
    assert codes(host, 103, 100) == ["DEVICE_NOT_FOUND"]
    host.world.inject("back", host.now, address=103)
    assert codes(host, 103, 5) == ["value"]


def test_the_gateway_takes_two_seconds_to_give_up() -> None:
    host = Host(faults="drop:address=103:silent=0:ripple=0")
    host.wait(1)
    began = host.now
    assert host.error(read_info(103, 3000)) == ErrorCode.RESPONSE_TIMEOUT
    assert 2.0 < host.now - began < 2.2


def test_a_device_that_only_lost_the_bus_keeps_its_ram() -> None:
    host = Host()
    host.write(103, 1138, 20.0)
    host.world.inject("drop", host.now, address=103, alive=1, away=5, ripple=0)
    host.wait(30)
    assert host.world.device(103).parameters.in_force(1138) == 20.0
    assert host.world.device(103).restarts == 0


@pytest.mark.parametrize(("address", "number"), [(301, 11000), (701, 15000), (601, 7000)])
def test_other_devices_drop_off_too(address: int, number: int) -> None:
    host = Host()
    host.world.inject("drop", host.now, address=address, silent=1, timeout=1, away=5, ripple=0)
    host.wait(3)
    assert host.error(read_info(address, number)) == ErrorCode.DEVICE_NOT_FOUND
    host.wait(6)
    assert host.error(read_info(address, number)) is None


def test_renumbering() -> None:
    host = Host()
    before = [host.number(address, 3157) for address in range(101, 107)]
    host.world.inject("renumber", host.now, address=102, **{"with": 105})
    host.wait(0.1)
    after = [host.number(address, 3157) for address in range(101, 107)]
    assert after == [before[n] for n in (0, 4, 2, 3, 1, 5)]
    # A device gets its address when it starts.
    assert [device.restarts for device in host.world.devices[:6]] == [0, 1, 0, 0, 1, 0]


def test_the_gateway_restarts() -> None:
    host = Host(faults="restart:at=5:for=4")
    assert host.ask(ASK).kind is ReplyKind.VALUE
    host.wait(5.5)
    assert host.ask(ASK).kind is ReplyKind.TIMEOUT
    host.wait(1.5)
    reply = host.ask(ASK)
    assert reply.kind is ReplyKind.VALUE
    assert reply.flags is not None
    assert reply.flags & FrameFlags.RESTARTED


def test_mute() -> None:
    host = Host(faults="mute:for=4")
    assert host.ask(ASK).kind is ReplyKind.TIMEOUT
    host.wait(2)
    reply = host.ask(ASK)
    assert reply.kind is ReplyKind.VALUE
    assert reply.flags is not None
    assert not reply.flags & FrameFlags.RESTARTED


def test_a_cut_link_hangs_up_for_a_while() -> None:
    host = Host()
    host.world.inject("cut", host.now, **{"for": 5})
    host.wait(0.1)
    assert host.port.hung_up
    host.port.disconnected(host.now)
    host.port.connected(host.now)
    assert host.port.hung_up, "it is still cut"
    host.wait(5)
    host.port.connected(host.now)
    assert not host.port.hung_up
    assert host.number(101, 3000) > 40


def test_half_open_until_somebody_connects_again() -> None:
    host = Host()
    host.world.inject("half_open", host.now)
    assert host.ask(ASK).kind is ReplyKind.TIMEOUT
    assert not host.port.hung_up
    host.port.connected(host.now)
    assert host.number(101, 3000) > 40


def test_two_hosts_hear_the_same() -> None:
    host = Host()
    other = Host(host.world.port())
    other.now = host.now
    host.send(ASK.encode())
    heard = b"".join(data for _, data in host.listen(1))
    other.now = host.now
    assert b"".join(data for _, data in other.listen(0)) == heard
    assert len(host.world.ports) == 2
    other.port.disconnected(other.now)
    assert len(host.world.ports) == 1


def test_incidents_come_again_and_again() -> None:
    host = Host(faults="sd_full:every=10:for=1,message:every=20")
    host.wait(1000)
    counts = host.world.journal.counts
    assert 80 < counts["incident"] < 220
    assert counts["message"] > 20


def test_an_armed_watchdog_from_outside() -> None:
    host = Host(faults="watchdog:address=104:delay=30")
    assert host.parameter(104, 1628) is True
    assert host.parameter(104, 1629) == 30.0


@pytest.mark.parametrize("kind", list(Incident))
def test_every_incident_leaves_a_plant_that_answers(kind: Incident) -> None:
    host = Host(faults=f"{kind.value}:at=1")
    host.wait(200)
    if host.port.hung_up or host.port.dead:
        host.port.connected(host.now)
    assert host.number(101, 3000) > 40
    assert host.world.journal.counts["incident"] == 1


# ------------------------------------------------------------------------ the portal


def test_the_portal_polls_through_the_same_line() -> None:
    host = Host(lan=1, portal=5, latency_ms=20)
    asked = values = 0
    while host.now < 200:
        reply = host.ask(read_info(102, 3000), Format.FLOAT)
        asked += 1
        values += reply.kind is ReplyKind.VALUE
        if reply.kind is ReplyKind.VALUE:
            assert isinstance(reply.value, float)
            assert host.world.truth.was(host.world.device(102).fid, 3000, reply.value)
        host.wait(0.5)
    portal = host.world.portal
    assert portal is not None
    assert portal.answers > 200
    assert values > 0.7 * asked
    assert host.exchange.rejections.total() > 50, "we see the portal's answers"
    assert host.world.journal.counts["lost"], "and sometimes it takes the line from us"


def test_writes_are_struck_too() -> None:
    host = Host(faults="lose:n=1")
    asked = write_parameter(101, 1138, encode(Format.FLOAT, 20.0))
    assert host.ask(asked).kind is ReplyKind.TIMEOUT
    assert not host.world.journal.of("written")
    assert host.ask(asked).kind is ReplyKind.WRITTEN
    assert host.world.journal.of("written")[0].details["value"] == 20.0
    assert host.ask(read_parameter(101, 1138)).kind is ReplyKind.VALUE
