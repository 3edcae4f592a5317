"""The simulated gateway: each service, each error code, RAM and flash, messages, files."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.engine import LinkError
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id, datapoints
from hardwired_engines.studer.datapoints.limits import limits_of, reads_back
from hardwired_engines.studer.datapoints.plausibility import Absence, check
from hardwired_engines.studer.scom import messages, multi_info
from hardwired_engines.studer.scom.errors import ErrorCode
from hardwired_engines.studer.scom.exchange import ReplyKind
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.files import Transfer, custom_field, file_names
from hardwired_engines.studer.scom.frame import (
    GATEWAY_ADDRESS,
    Body,
    Frame,
    FrameFlags,
    Level,
    ObjectType,
    ParameterProperty,
    Request,
    Service,
    read_info,
    read_parameter,
    write_parameter,
)
from hardwired_engines.studer.scom.multi_info import Item
from hardwired_engines.studer.scom.values import (
    Format,
    decode,
    encode,
    factory_id,
    software_version,
)
from hardwired_engines.studer.simulator.devices import fixed_point
from hardwired_engines.studer.simulator.world import make

from ..simulated import START, Host

pytestmark = pytest.mark.slow

SEATS = {
    Family.XT: 101,
    Family.VT: 301,
    Family.VS: 701,
    Family.BSP: 601,
    Family.BMS: 601,
    Family.RCC: 501,
}


def host_for(family: Family, **query: object) -> Host:
    if family is Family.BMS:
        query["xcomcan"] = 1
    return Host(**query)


# ------------------------------------------------------------------------ every datapoint


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.RCC])
def test_every_info_answers_in_its_format_and_passes_the_gate(family: Family) -> None:
    host = host_for(family, latency_ms=0, baud=0)
    for one in datapoints(family):
        if one.is_parameter:
            continue
        reply = host.ask(one.read(SEATS[family]), one.wire_format)
        assert reply.kind is ReplyKind.VALUE, f"{one.id} {one.name}: {reply}"
        assert reply.value is not None
        absence = check(one, reply.value, 48)
        allowed = {Absence.NO_SENSOR} if one.no_sensor else set()
        # 3160 says what limits the charger, and nothing while there is no charger at work.
        allowed |= {Absence.NO_VALUE} if one.nan_ok or one.id == 3160 else set()
        assert absence is None or absence in allowed, f"{one.id} {one.name}: {reply.value}"


@pytest.mark.parametrize("family", list(Family))
def test_every_parameter_answers_value_limits_and_level(family: Family) -> None:
    host = host_for(family, latency_ms=0, baud=0)
    address = SEATS[family]
    for one in datapoints(family):
        if not one.is_parameter:
            continue
        if one.wire_format is None:
            assert host.error(one.read(address)) == ErrorCode.OBJECT_NOT_SUPPORTED
            continue
        for number in (ParameterProperty.VALUE, ParameterProperty.UNSAVED_VALUE):
            reply = host.ask(one.read(address, number), one.wire_format)
            assert reply.kind is ReplyKind.VALUE, f"{one.id} {one.name}: {reply}"
        reply = host.ask(one.read(address, ParameterProperty.LEVEL), Format.SHORT_ENUM)
        assert Level(int(reply.value or 0)).name.lower() == one.level.value
        check_limits(host, address, one)


def check_limits(host: Host, address: int, one: Datapoint) -> None:
    limits = limits_of(one, 48, 230)
    for number, bound in (
        (ParameterProperty.MIN, limits.minimum),
        (ParameterProperty.MAX, limits.maximum),
    ):
        reply = host.ask(one.read(address, number), one.wire_format)
        if bound is None or one.signal:
            assert reply.error == ErrorCode.PROPERTY_NOT_SUPPORTED
        else:
            assert isinstance(reply.value, (int, float))
            # Interdependencies narrow the range, never widen it.
            wrong = reply.value < bound if number is ParameterProperty.MIN else reply.value > bound
            assert not wrong or reply.value == pytest.approx(bound)


@pytest.mark.parametrize("family", list(Family))
def test_every_writable_parameter_takes_its_own_default(family: Family) -> None:
    host = host_for(family, latency_ms=0, baud=0)
    skipped = {5002, 5071, 5103, 5121}  # they would restart the gateway or set its clock
    for one in datapoints(family):
        if not one.writable or one.wire_format is None or one.id in skipped or one.signal:
            continue
        reply = host.ask(one.read(SEATS[family]), one.wire_format)
        assert reply.value is not None
        written = host.ask(one.write(SEATS[family], encode(one.wire_format, reply.value), 13))
        assert written.kind is ReplyKind.WRITTEN, f"{one.id} {one.name}: {written}"


@pytest.mark.parametrize(("battery", "ac"), [(12, 120), (24, 230), (48, 120)])
def test_other_plants_scale(battery: int, ac: int) -> None:
    host = Host(battery=battery, ac=ac, xtenders=1)
    assert host.number(101, 3127) == battery
    assert host.number(101, 3126) == ac
    assert host.number(101, 3000) == pytest.approx(battery * 1.04, rel=0.1)
    assert host.number(101, 3021) == pytest.approx(ac, rel=0.05)
    assert host.parameter(101, 1140) == pytest.approx(54.4 * battery / 48, rel=1e-3)
    high = host.parameter(101, 1156, ParameterProperty.MAX)
    assert high == pytest.approx(72 * battery / 48)


def test_who_is_who() -> None:
    host = Host()
    names = set()
    for address in (*range(101, 107), 301, 302, 701, 601):
        msb, lsb = {1: (3156, 3157), 3: (11067, 11068), 7: (15102, 15103), 6: (7048, 7049)}[
            address // 100
        ]
        names.add(factory_id(host.number(address, msb), host.number(address, lsb)))
    assert names == {device.fid for device in host.world.devices}
    assert len(names) == 10
    assert software_version(host.number(101, 3130), host.number(101, 3131)) == "1.6.54"
    assert host.number(601, 7034) == 10241
    assert host.number(301, 11047) == 9729
    assert host.number(701, 15074) == 12801
    assert [host.number(a, 3089) for a in range(101, 107)] == [1, 2, 4, 1, 2, 4]


# ------------------------------------------------------------------------ error codes


def request(
    address: int,
    object_type: int,
    object_id: int,
    property_id: int,
    data: bytes = b"",
    *,
    service: Service = Service.READ,
) -> Request:
    return Request(address, service, object_type, object_id, property_id, data)


FLOAT_12 = encode(Format.FLOAT, 12.0)
ERRORS: list[tuple[str, Request, ErrorCode]] = [
    ("nobody", read_info(107, 3000), ErrorCode.DEVICE_NOT_FOUND),
    ("nobody at all", read_info(815, 3000), ErrorCode.DEVICE_NOT_FOUND),
    ("unknown info", read_info(101, 3999), ErrorCode.OBJECT_ID_NOT_FOUND),
    ("info of another family", read_info(101, 11000), ErrorCode.OBJECT_ID_NOT_FOUND),
    ("info of a BMS from a BSP", read_info(601, 7054), ErrorCode.INVALID_DATA),
    ("unknown parameter", read_parameter(101, 1999), ErrorCode.OBJECT_ID_NOT_FOUND),
    ("foreign parameter", read_parameter(101, 10002), ErrorCode.ACCESS_DENIED),
    ("not over SCOM", read_parameter(501, 5012), ErrorCode.OBJECT_NOT_SUPPORTED),
    ("property of an info", request(101, 1, 3000, 6), ErrorCode.PROPERTY_NOT_SUPPORTED),
    ("property of a parameter", read_parameter(101, 1138, 9), ErrorCode.PROPERTY_NOT_SUPPORTED),
    ("write an info", request(101, 1, 3000, 1, FLOAT_12, service=Service.WRITE),
     ErrorCode.PROPERTY_IS_READ_ONLY),
    ("write a limit", write_parameter(101, 1138, FLOAT_12, 6), ErrorCode.PROPERTY_IS_READ_ONLY),
    ("write nowhere", write_parameter(101, 1138, FLOAT_12, 9), ErrorCode.PROPERTY_NOT_SUPPORTED),
    ("short", write_parameter(101, 1138, b"\0\0"), ErrorCode.INVALID_DATA_LENGTH),
    ("long", write_parameter(101, 1124, b"\1\0\0\0"), ErrorCode.INVALID_DATA_LENGTH),
    ("too small", write_parameter(101, 1138, encode(Format.FLOAT, -1.0)),
     ErrorCode.DATA_TOO_SMALL),
    ("too big", write_parameter(101, 1138, encode(Format.FLOAT, 201.0)), ErrorCode.DATA_TOO_BIG),
    ("not a number", write_parameter(101, 1138, encode(Format.FLOAT, math.nan)),
     ErrorCode.INVALID_DATA),
    ("neither true nor false", write_parameter(101, 1124, b"\2"), ErrorCode.INVALID_DATA),
    ("no such choice", write_parameter(101, 1202, encode(Format.LONG_ENUM, 3)),
     ErrorCode.INVALID_DATA),
    ("no such bit", write_parameter(101, 1205, encode(Format.LONG_ENUM, 128)),
     ErrorCode.INVALID_DATA),
    ("signal 2", write_parameter(101, 1142, encode(Format.INT32, 2), 5), ErrorCode.INVALID_DATA),
    ("read all", read_info(100, 3000), ErrorCode.MULTICAST_READ_NOT_SUPPORTED),
    ("read everything", read_info(0, 3000), ErrorCode.MULTICAST_READ_NOT_SUPPORTED),
    ("a read with data", request(101, 1, 3000, 1, b"x"), ErrorCode.INVALID_SERVICE_ARGUMENT),
    ("a screen", request(501, 0x0100, 1, 0), ErrorCode.TYPE_NOT_SUPPORTED),
    ("messages of a device", request(101, 3, 0, 0), ErrorCode.TYPE_NOT_SUPPORTED),
    ("GUID on RS-232", request(501, 4, 0, 0), ErrorCode.TYPE_NOT_SUPPORTED),
    ("info of the gateway", read_info(501, 3000), ErrorCode.OBJECT_ID_NOT_FOUND),
    ("no such message", messages.read_message(99), ErrorCode.OBJECT_ID_NOT_FOUND),
    ("property of a message", request(501, 3, 0, 1), ErrorCode.PROPERTY_NOT_SUPPORTED),
    ("no such file", Transfer("LG200101.CSV").request, ErrorCode.FILE_OR_DIR_NOT_PRESENT),
    ("out of step", request(501, 0x0101, 2, 0x23), ErrorCode.OBJECT_PROPERTY_INVALID),
    ("torn list", request(501, 0x0A, 1, 7, b"\xb8\x0b"), ErrorCode.INVALID_SERVICE_ARGUMENT),
    ("no list", request(501, 0x0A, 1, 7), ErrorCode.INVALID_SERVICE_ARGUMENT),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "code"), [entry[1:] for entry in ERRORS],
                         ids=[entry[0] for entry in ERRORS])  # fmt: skip
def test_each_mistake_has_its_code(asked: Request, code: ErrorCode) -> None:
    assert Host().error(asked) == code


def test_a_service_that_nobody_knows() -> None:
    host = Host()
    body = Body(0, 3, ObjectType.INFO, 3000, 1, b"")
    host.send(Frame(0, 1, 101, body.encode()).encode())
    host.wait(1)
    answer = host.heard[-1].body()
    assert answer is not None
    assert answer.error_code == ErrorCode.SERVICE_NOT_SUPPORTED


@pytest.mark.parametrize("code", [code for code in ErrorCode if code < 0x80])
def test_any_code_can_be_asked_for(code: ErrorCode) -> None:
    host = Host(faults=f"refuse:n=1:address=103:code={int(code)}")
    assert host.error(read_info(102, 3000)) is None
    assert host.error(read_info(103, 3000)) == code
    assert host.error(read_info(103, 3000)) is None


def test_virtual_addresses() -> None:
    host = Host()
    reply = host.ask(read_info(192, 3157), Format.FLOAT)
    assert reply.kind is ReplyKind.VALUE
    assert reply.value == host.number(102, 3157), "the master of L2 answers"
    host.world.inject("drop", host.now, address=102, silent=0, timeout=0)
    host.wait(1)
    assert host.number(192, 3157) == host.number(105, 3157)
    host.world.inject("drop", host.now, address=105, silent=0, timeout=0)
    host.wait(1)
    assert host.error(read_info(192, 3000)) == ErrorCode.DEVICE_NOT_FOUND


def test_a_write_to_all_reaches_all() -> None:
    host = Host()
    assert host.write(100, 1138, 33.0, ParameterProperty.VALUE).kind is ReplyKind.WRITTEN
    assert {host.parameter(address, 1138) for address in range(101, 107)} == {33.0}
    assert host.write(191, 1138, 44.0, ParameterProperty.VALUE).kind is ReplyKind.WRITTEN
    assert [host.parameter(address, 1138) for address in range(101, 107)] == [
        44.0, 33.0, 33.0, 44.0, 33.0, 33.0,
    ]  # fmt: skip
    assert host.write(700, 14001, 80.0).kind is ReplyKind.WRITTEN


# ------------------------------------------------------------------------ RAM and flash


def test_ram_works_and_flash_is_shown() -> None:
    host = Host(grid="always")
    assert host.write(101, 1107, 12.0).kind is ReplyKind.WRITTEN
    assert host.parameter(101, 1107) == 32.0
    assert host.parameter(101, 1107, ParameterProperty.UNSAVED_VALUE) == 32.0
    assert host.number(101, 3017) == 12.0
    assert host.number(102, 3017) == 32.0
    parameters = host.world.device(101).parameters
    assert (parameters.flash_writes[1107], parameters.ram_writes[1107]) == (0, 1)
    assert host.write(101, 1107, 16.0, ParameterProperty.VALUE).kind is ReplyKind.WRITTEN
    assert host.parameter(101, 1107) == 16.0
    assert host.number(101, 3017) == 16.0
    assert parameters.flash_writes[1107] == 1


def test_forbidding_shows_in_the_lockings() -> None:
    host = Host()
    before = int(host.number(101, 3056))
    assert before & 0b11111 == 0b10000, "only grid feeding is forbidden at first"
    for number, bit in ((1124, 0), (1125, 1), (1126, 2), (1128, 3)):
        host.write(101, number, False)
        assert int(host.number(101, 3056)) & 1 << bit
    host.write(101, 1127, True)
    assert not int(host.number(101, 3056)) & 1 << 4
    host.wait(2)
    assert host.number(101, 3021) == 0
    assert host.info(101, 3028) == 6
    assert host.number(104, 3022) > host.number(102, 3022) / 4, "the other one of L1 carries on"


def test_a_switch_keeps_everything_in_ram() -> None:
    host = Host()
    parameters = host.world.device(101).parameters
    assert host.write(101, 1550, False, ParameterProperty.VALUE).kind is ReplyKind.WRITTEN
    assert parameters.flash_writes[1550] == 1
    host.write(101, 1550, False, ParameterProperty.VALUE)
    assert parameters.flash_writes[1550] == 1, "a repetition is free"
    host.write(101, 1138, 20.0, ParameterProperty.VALUE)
    assert host.parameter(101, 1138) == 60.0
    assert parameters.in_force(1138) == 20.0
    assert parameters.flash_writes[1138] == 0
    host.write(101, 1550, True, ParameterProperty.VALUE)
    host.write(101, 1550, True, ParameterProperty.VALUE)
    assert parameters.flash_writes[1550] == 3, "switching on costs a write each time"


def test_a_restart_loses_what_is_in_ram() -> None:
    host = Host()
    host.write(103, 1107, 10.0)
    host.write(103, 1138, 20.0, ParameterProperty.VALUE)
    host.world.inject("reset", host.now, address=103)
    host.wait(20)
    assert host.number(103, 3017) == 32.0
    assert host.parameter(103, 1138) == 20.0


def test_limits_depend_on_each_other() -> None:
    host = Host()
    high = host.parameter(101, 1140, ParameterProperty.MAX)
    assert high == pytest.approx(57.6, abs=0.01), "floating is not above absorption"
    assert host.write(101, 1140, 58.0).error == ErrorCode.DATA_TOO_BIG
    assert host.write(101, 1156, 60.0).kind is ReplyKind.WRITTEN
    assert host.write(101, 1140, 58.0).kind is ReplyKind.WRITTEN
    assert host.write(101, 1156, 57.0).error == ErrorCode.DATA_TOO_SMALL


@pytest.mark.parametrize(("firmware", "knows"), [("1.6.10", False), ("1.6.12", True)])
def test_old_firmware_knows_no_ram(firmware: str, knows: bool) -> None:
    host = Host(firmware=firmware)
    wanted = None if knows else ErrorCode.PROPERTY_NOT_SUPPORTED
    assert host.write(101, 1138, 20.0).error == wanted
    assert host.write(101, 1138, 20.0, ParameterProperty.VALUE).kind is ReplyKind.WRITTEN


@given(value=st.floats(0, 200, width=32))
def test_fixed_point_stays_within_what_an_engine_tolerates(value: float) -> None:
    one = by_id(Family.XT, 1138)
    assert one is not None
    assert reads_back(one, value, fixed_point(value, 200), limits_of(one, 48, 230))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_parameter_keeps_any_allowed_value(data: st.DataObject) -> None:
    host = Host(latency_ms=0, baud=0)
    plain = [
        one for one in datapoints(Family.XT)
        if one.writable and one.wire_format is Format.FLOAT and one.limits.maximum is not None
    ]  # fmt: skip
    one = data.draw(st.sampled_from(plain))
    low = host.parameter(101, one.id, ParameterProperty.MIN)
    high = host.parameter(101, one.id, ParameterProperty.MAX)
    assert isinstance(low, float)
    assert isinstance(high, float)
    value = data.draw(st.floats(low, high, width=32))
    reply = host.write(101, one.id, value, ParameterProperty.VALUE)
    assert reply.kind is ReplyKind.WRITTEN
    found = host.parameter(101, one.id)
    assert isinstance(found, float)
    assert reads_back(one, value, found, limits_of(one, 48, 230))


# ------------------------------------------------------------------------ watchdogs


def test_a_watchdog_that_nobody_feeds_resets_the_xtender() -> None:
    host = Host()
    host.write(102, 1628, True, ParameterProperty.VALUE)
    host.write(102, 1629, 30.0, ParameterProperty.VALUE)
    host.wait(60)
    assert not host.world.journal.of("watchdog"), "it is not armed before a RAM write"
    host.write(102, 1138, 20.0)
    for _ in range(4):
        host.wait(25)
        host.write(102, 1138, 20.0)
    assert not host.world.journal.of("watchdog"), "it was fed"
    host.wait(29)
    host.info(102, 3000)
    assert not host.world.journal.of("watchdog")
    host.wait(2)
    assert [event.details["address"] for event in host.world.journal.of("watchdog")] == [102]
    assert host.ask(read_info(102, 3000)).kind is not ReplyKind.VALUE
    host.wait(15)
    assert host.info(102, 3000)
    assert host.world.device(102).parameters.in_force(1138) == 60.0
    host.wait(120)
    assert len(host.world.journal.of("watchdog")) == 1, "it is disarmed"


def test_the_gateways_own_watchdog() -> None:
    host = Host()
    host.write(501, 5096, 20.0, ParameterProperty.VALUE)
    host.write(501, 5095, True, ParameterProperty.VALUE)
    for _ in range(5):
        host.wait(15)
        host.parameter(501, 5002)
    assert not host.world.gateway.restarted
    host.wait(40)
    reply = host.ask(read_parameter(501, 5002), Format.INT32)
    assert reply.flags is not None
    assert reply.flags & FrameFlags.RESTARTED
    assert host.ask(messages.read_message(0)).data[4] == 216


# ------------------------------------------------------------------------ the gateway


def test_the_clock() -> None:
    host = Host(time_scale=60)
    first = host.parameter(501, 5002)
    host.wait(10)
    second = host.parameter(501, 5002)
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert second - first == pytest.approx(600, abs=8)
    host.write(501, 5002, 1_800_000_000, ParameterProperty.VALUE)
    third = host.parameter(501, 5002)
    assert isinstance(third, int)
    assert 0 <= third - 1_800_000_000 < 30


def test_messages_have_a_pointer_and_a_flag() -> None:
    host = Host(messages=3)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert not reply.flags & FrameFlags.MESSAGE_PENDING
    host.world.inject("message", host.now, number=16, address=104)
    host.wait(0.1)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert reply.flags & FrameFlags.MESSAGE_PENDING
    newest = messages.decode(host.ask(messages.read_message(0)).data)
    assert (newest.number, newest.source, newest.total) == (16, 104, 4)
    older = [messages.decode(host.ask(messages.read_message(n)).data) for n in (1, 2, 3)]
    assert all(later.timestamp >= earlier.timestamp for later, earlier in pairwise(older))
    # A message that comes while we read moves nothing: the pointer stays where 0 has put it.
    host.world.inject("message", host.now, number=18, address=101)
    host.wait(0.1)
    assert messages.decode(host.ask(messages.read_message(1)).data).identity == older[0].identity
    reply = host.ask(messages.read_message(0))
    assert messages.decode(reply.data).number == 18
    assert reply.flags is not None
    assert not reply.flags & FrameFlags.MESSAGE_PENDING


def test_a_lan_gateway_has_a_guid() -> None:
    host = Host(lan=1)
    reply = host.ask(request(501, ObjectType.GUID, 0, 0), Format.GUID)
    assert reply.kind is ReplyKind.VALUE
    assert reply.value == host.world.settings.gateway.guid


def test_the_restart_flag_stays_until_it_is_cleared() -> None:
    host = Host(faults="restart:for=3")
    assert host.ask(read_parameter(501, 5002)).kind is ReplyKind.TIMEOUT
    host.wait(1)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert reply.flags & FrameFlags.RESTARTED
    host.write(501, 5104, 1, ParameterProperty.VALUE)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert not reply.flags & FrameFlags.RESTARTED


def test_identify() -> None:
    host = Host()
    host.write(501, 5119, 104.0)
    assert host.world.gateway.identified is not None
    assert host.world.gateway.identified[0] == 104
    host.write(501, 5119, 0.0)
    assert host.world.gateway.identified is None


def test_the_sd_card_in_the_flags() -> None:
    host = Host()
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags == FrameFlags.SD_PRESENT | FrameFlags.DATALOG_SUPPORTED
    host.world.inject("sd_full", host.now)
    host.world.inject("sd_out", host.now, **{"for": 5})
    host.wait(0.1)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags == FrameFlags.SD_FULL | FrameFlags.DATALOG_SUPPORTED
    host.wait(6)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert reply.flags & FrameFlags.SD_PRESENT


# ------------------------------------------------------------------------ multi-info


def test_many_infos_are_the_same_as_single_ones() -> None:
    host = Host(latency_ms=0, baud=0)
    items = [Item(3000, n) for n in range(1, 7)]
    items += [Item(3021, 0), Item(11004, multi_info.SUM), Item(11000, multi_info.AVERAGE)]
    items += [Item(7002, 0), Item(15010, 1), Item(3028, 2)]
    reply = host.ask(multi_info.request(items, 77))
    assert reply.kind is ReplyKind.VALUE
    answer = multi_info.decode(reply.data)
    found = answer.values()
    assert answer.timestamp == host.parameter(501, 5002)
    for index in range(1, 7):
        assert found[Item(3000, index)] == host.number(100 + index, 3000)
    assert found[Item(3021, 0)] == host.number(101, 3021)
    powers = [host.number(address, 11004) for address in (301, 302)]
    assert found[Item(11004, multi_info.SUM)] == pytest.approx(sum(powers))
    volts = [host.number(address, 11000) for address in (301, 302)]
    assert found[Item(11000, multi_info.AVERAGE)] == pytest.approx(sum(volts) / 2)
    assert found[Item(7002, 0)] == host.number(601, 7002)
    assert found[Item(15010, 1)] == host.number(701, 15010)
    assert found[Item(3028, 2)] == host.number(102, 3028)


@pytest.mark.parametrize("missing", ["zero", "nan", "omit"])
def test_what_stands_for_a_device_that_is_not_there(missing: str) -> None:
    host = Host(missing=missing)
    reply = host.ask(multi_info.request([Item(3000, 1), Item(3000, 7)], 1))
    found = multi_info.decode(reply.data).values()
    assert Item(3000, 1) in found
    match missing:
        case "zero":
            assert found[Item(3000, 7)] == 0
        case "nan":
            assert math.isnan(found[Item(3000, 7)])
        case _:
            assert Item(3000, 7) not in found


@pytest.mark.parametrize("query", [{"multi_info": 0}, {"xcom_firmware": "1.6.60"}])
def test_a_gateway_without_multi_info(query: dict[str, object]) -> None:
    asked = multi_info.request([Item(3000, 1)], 1)
    assert Host(**query).error(asked) == ErrorCode.SERVICE_NOT_SUPPORTED


def test_76_values_and_not_one_more() -> None:
    host = Host()
    items = [Item(3000 + n % 6, n % 6 + 1) for n in range(76)]
    reply = host.ask(multi_info.request(items, 0xFFFF))
    assert len(reply.data) == 8 + 7 * 76


# ------------------------------------------------------------------------ files


def fetch(host: Host, name: str | None = None) -> bytes:
    transfer = Transfer(name)
    while not transfer.done:
        reply = host.ask(transfer.request)
        assert reply.kind is ReplyKind.VALUE, str(reply)
        assert reply.body is not None
        transfer.receive(reply.body)
    return transfer.content


def test_the_logs_can_be_listed_and_read() -> None:
    host = Host(log_days=3)
    names = file_names(fetch(host))
    assert names == ("LG260612.CSV", "LG260613.CSV", "LG260614.CSV")
    text = fetch(host, names[0]).decode("iso8859-15")
    assert text.startswith("Date;")
    assert "12.06.2026 00:00" in text
    assert len(text) > 1024


def test_a_block_is_repeated_and_a_transfer_aborted() -> None:
    host = Host()
    transfer = Transfer("LG260614.CSV")
    first = host.ask(transfer.request)
    assert first.body is not None
    again = host.ask(request(501, 0x0101, 2, 0x24))
    assert again.data == first.data
    assert host.error(read_info(101, 3000)) == ErrorCode.GATEWAY_BUSY
    reply = host.ask(transfer.abort())
    assert reply.body is not None
    assert reply.body.property_id == 0x26
    assert host.error(read_info(101, 3000)) is None


def test_a_transfer_that_nobody_continues_ends() -> None:
    host = Host()
    host.ask(Transfer("LG260614.CSV").request)
    host.wait(11)
    assert host.error(read_info(101, 3000)) is None
    assert host.error(request(501, 0x0101, 2, 0x23)) == ErrorCode.OBJECT_PROPERTY_INVALID


def test_a_new_log_at_midnight_and_the_custom_field() -> None:
    host = Host(start="2026-06-15T23:58:00", log_days=1, time_scale=10)
    assert host.ask(custom_field("#HOUSE;21.5")).kind is ReplyKind.WRITTEN
    host.wait(15.5)
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert reply.flags & FrameFlags.NEW_DATALOG_FILE
    assert "#HOUSE;21.5" in fetch(host, "LG260615.CSV").decode()
    reply = host.ask(read_parameter(501, 5002))
    assert reply.flags is not None
    assert not reply.flags & FrameFlags.NEW_DATALOG_FILE


def test_the_custom_field_is_busy_after_midnight() -> None:
    host = Host(start="2026-06-15T23:59:58")
    host.wait(32)
    assert host.ask(custom_field("#X")).error == ErrorCode.GATEWAY_BUSY
    host.wait(15)
    assert host.ask(custom_field("#X")).kind is ReplyKind.WRITTEN


def test_files_that_are_damaged_or_gone() -> None:
    host = Host()
    host.world.gateway.card.corrupt.add("LG260614.CSV")
    assert host.error(Transfer("LG260614.CSV").request) == ErrorCode.FILE_CORRUPTED
    host.world.gateway.card.present = False
    assert host.error(Transfer().request) == ErrorCode.FILE_OR_DIR_NOT_PRESENT
    assert host.error(custom_field("#X")) == ErrorCode.WRITE_PROPERTY_FAILED
    assert Host(datalog=0).error(Transfer().request) == ErrorCode.TYPE_NOT_SUPPORTED


# ------------------------------------------------------------------------ signals


def test_signals_do_something() -> None:
    host = Host()
    host.write(101, 1467, 1, ParameterProperty.VALUE)
    assert host.info(101, 3010) == 4
    host.write(101, 1142, 1, ParameterProperty.VALUE)
    assert host.info(101, 3010) == 1
    assert host.parameter(101, 1142) == 0
    host.write(101, 1399, 1, ParameterProperty.VALUE)
    host.wait(2)
    assert {host.info(address, 3028) for address in range(101, 107)} == {6}
    host.write(102, 1415, 1, ParameterProperty.VALUE)
    host.wait(2)
    assert {host.info(address, 3028) for address in range(101, 107)} == {1}
    before = host.number(301, 11008)
    host.write(301, 10200, 1, ParameterProperty.VALUE)
    assert host.number(301, 11008) < 0.1 < before
    host.write(101, 1138, 11.0, ParameterProperty.VALUE)
    host.write(101, 1395, 1, ParameterProperty.VALUE)
    assert host.parameter(101, 1138) == 60.0


# ------------------------------------------------------------------------ an address


@pytest.mark.parametrize(
    "query",
    [
        {"xtenders": "10"}, {"colour": "blue"}, {"faults": "gremlins"}, {"seed": "x"},
        {"battery": "36"}, {"start": "noon"}, {"latency_ms": "-3"}, {"missing": "perhaps"},
        {"firmware": "new"}, {"multi_info": "maybe"}, {"soc": "0"}, {"baud": "7"},
        {"grid": "sometimes"}, {"faults": "late:colour=1"}, {"faults": "late:p=nan"},
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_with_a_reason(query: dict[str, str]) -> None:
    with pytest.raises(LinkError):
        make({"start": START, **query})


def test_a_small_plant() -> None:
    host = Host(xtenders=1, variotracks=0, variostrings=0, bsp=0)
    assert host.number(101, 3000) > 40
    for address in (102, 301, 701, 601):
        assert host.error(read_info(address, 7000)) == ErrorCode.DEVICE_NOT_FOUND
    assert host.parameter(GATEWAY_ADDRESS, 5002)


def test_the_same_seed_tells_the_same_story() -> None:
    def story(seed: int) -> list[object]:
        host = Host(seed=seed, faults="random", latency_ms="20-90")
        return [host.ask(read_info(101 + n % 6, 3000), Format.FLOAT) for n in range(60)]

    assert story(5) == story(5)
    assert story(5) != story(6)


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_no_bytes_upset_it(data: bytes) -> None:
    host = Host(xtenders=1, variotracks=0, variostrings=0)
    host.send(data)
    host.wait(3)
    assert host.number(101, 3000) > 40


@given(
    address=st.sampled_from([0, 100, 101, 191, 301, 501, 600, 601, 701, 815]),
    service=st.integers(0, 4),
    object_type=st.sampled_from([0, 1, 2, 3, 4, 5, 10, 0x100, 0x101, 0x7777]),
    object_id=st.sampled_from([0, 1, 2, 1124, 1138, 3000, 5002, 5104, 7000, 2**32 - 1]),
    property_id=st.sampled_from([0, 1, 5, 6, 7, 8, 13, 0x21, 0x22, 0x23, 0x24, 0x25, 0xFFFF]),
    data=st.binary(max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_every_request_gets_a_sound_answer(  # noqa: PLR0917 - hypothesis gives them by name
    address: int, service: int, object_type: int, object_id: int, property_id: int, data: bytes
) -> None:
    host = Host(latency_ms=0, baud=0, lan=1, xtenders=2, variotracks=1)
    body = Body(0, service, object_type, object_id, property_id, data)
    host.send(Frame(0, 1, address, body.encode()).encode())
    host.wait(1)
    answer = host.heard[-1]
    assert (answer.source, answer.destination) == (address, 1)
    found = answer.body()
    assert found is not None
    assert found.is_response
    assert (found.service, found.object_type, found.object_id) == (service, object_type, object_id)
    if found.is_error:
        assert found.error_code in set(ErrorCode)
    assert host.exchange.parser.counters.bytes_discarded <= 2  # the LAN's carriage return


def test_the_truth_is_what_was_sent() -> None:
    host = Host()
    fid = host.world.device(103).fid
    values = [host.number(103, 3000) for _ in range(3) if host.wait(2) is None]
    held = [entry.value for entry in host.world.truth.held(fid, 3000)]
    assert held == values
    assert host.world.truth.was(fid, 3000, values[1])
    assert not host.world.truth.was(fid, 3000, values[1] + 0.001)
    assert not host.world.truth.was(fid, 3000, values[0], since=host.now)
    assert not host.world.truth.held(host.world.device(102).fid, 3000)


def test_values_decode_to_what_the_device_holds() -> None:
    host = Host()
    reply = host.ask(read_info(101, 3000))
    assert (
        decode(Format.FLOAT, reply.data)
        == host.world.truth.held(host.world.device(101).fid, 3000)[-1].value
    )


@pytest.mark.parametrize("number", [5, 13])
def test_an_info_may_be_asked_for_as_a_parameter_is(number: int) -> None:
    """Issue 12, number 19: two public libraries do so by default."""
    host = Host(xtenders=1)
    reply = host.ask(request(101, 1, 3000, number), Format.FLOAT)
    assert reply.value == host.ask(request(101, 1, 3000, 1), Format.FLOAT).value
