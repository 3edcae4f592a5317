"""The pure Modbus codec (spec b.15, c.6, e.2)."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.modbus.frames import (
    EchoError,
    ModbusError,
    ModbusException,
    crc,
    read_answer,
    read_pdu,
    rtu_frame,
    rtu_pdu,
    tcp_frame,
    tcp_pdu,
    write_answer,
    write_pdu,
)
from hardwired_engines.sunsynk.modbus.image import (
    active_slot,
    decode_image,
    fallen_silent,
    is_three_phase,
    read_inverter_clock,
    read_serial,
)
from hardwired_engines.sunsynk.modbus.writable import SETTINGS, ForbiddenWrite, masked
from hardwired_engines.sunsynk.register_words import seconds_of_hhmm
from tests.vector_files import cases

from ..helpers import FAMILY, moment, same


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "modbus.json"))
def test_vectors(case: dict[str, Any]) -> None:
    CHECKS[case["kind"]](case)


def check_read(case: dict[str, Any]) -> None:
    """Check a read through both kinds of frame."""
    pdu = read_pdu(case["start"], case["count"])
    request = rtu_frame(case["unit"], pdu)
    assert request.hex() == case["rtu_request"]
    answer = bytes.fromhex(case["rtu_response"])
    assert list(read_answer(pdu, rtu_pdu(request, answer))) == case["words"]
    through_tcp = bytes.fromhex(case["tcp_request"])
    transaction = int.from_bytes(through_tcp[:2])
    assert tcp_frame(transaction, case["unit"], pdu) == through_tcp
    answer = bytes.fromhex(case["tcp_response"])
    assert list(read_answer(pdu, tcp_pdu(through_tcp, answer))) == case["words"]


def check_bad_response(case: dict[str, Any]) -> None:
    """Check that an answer is refused."""
    request = bytes.fromhex(case["request"])
    with pytest.raises(ModbusError):
        read_answer(request[1:-2], rtu_pdu(request, bytes.fromhex(case["response"])))


def check_image(case: dict[str, Any]) -> None:
    """Check the readings of a register image."""
    image = {int(register): word for register, word in case["registers"].items()}
    values = decode_image(image)
    assert values is not None
    for key, value in case["values"].items():
        assert same(values[key], value), key
    assert read_serial(image) == case["serial"]
    clock = read_inverter_clock(image)
    assert clock == moment(case["inverter_clock"])


def check_slot(case: dict[str, Any]) -> None:
    """Check which slot is in force."""
    assert active_slot(case["times_s"], case["now_s"]) == case["slot"]


def check_hhmm(case: dict[str, Any]) -> None:
    """Check a time of day."""
    assert seconds_of_hhmm(case["raw"]) == case["seconds"]


def check_write(case: dict[str, Any]) -> None:
    """Check a write and its answer."""
    pdu = write_pdu(case["register"], [case["value"]])
    request = rtu_frame(1, pdu)
    assert request.hex() == case["rtu_request"]
    write_answer(pdu, rtu_pdu(request, bytes.fromhex(case["rtu_response"])))


def check_masked_write(case: dict[str, Any]) -> None:
    """Check that the other bits stay."""
    assert masked(case["old"], case["mask"], case["new"]) == case["written"]


CHECKS = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}


def test_the_crc_byte_by_byte() -> None:
    data = bytes.fromhex("0103003b0042")
    steps = [0x807E, 0x2140, 0xF020, 0x0BB0, 0xB40A, 0x36B4]
    assert [crc(data[: length + 1]) for length in range(6)] == steps


REQUEST = rtu_frame(1, read_pdu(150, 2))


def test_an_exception_tells_its_code() -> None:
    with pytest.raises(ModbusException) as caught:
        read_answer(read_pdu(150, 2), rtu_pdu(REQUEST, rtu_frame(1, b"\x83\x02")))
    assert caught.value.code == 2


def test_an_echo_is_told_apart() -> None:
    with pytest.raises(EchoError):
        rtu_pdu(REQUEST, REQUEST)


@given(st.binary(max_size=300))
def test_any_answer_is_words_or_an_error(answer: bytes) -> None:
    pdu = read_pdu(150, 2)
    through_tcp = tcp_frame(7, 1, pdu)
    for unwrap, request, received in (
        (rtu_pdu, REQUEST, answer),
        (rtu_pdu, REQUEST, rtu_frame(1, answer)),
        (tcp_pdu, through_tcp, answer),
        (tcp_pdu, through_tcp, tcp_frame(7, 1, answer)),
    ):
        with contextlib.suppress(ModbusError):
            assert len(read_answer(pdu, unwrap(request, received))) == 2


@given(st.dictionaries(st.integers(0, 330), st.integers(0, 0xFFFF)))
def test_any_image_is_values_or_nothing(image: dict[int, int]) -> None:
    decode_image(image)
    read_serial(image)
    read_inverter_clock(image)


def test_an_image_without_counters_is_refused() -> None:
    assert decode_image({184: 50} | dict.fromkeys(range(59, 125), 0)) is None
    # One of two answers may be all zero.
    assert decode_image({59: 2, 184: 50} | dict.fromkeys(range(150, 184), 0)) is not None
    assert decode_image({59: 2} | dict.fromkeys(range(150, 200), 0)) is None


def test_the_device_types() -> None:
    assert not any(is_three_phase(kind) for kind in (3, 0x103, 0x200))
    assert all(is_three_phase(kind) for kind in (5, 6, 0x500, 0x5FF, 0x600, 0x601, 0x602, 0x603))
    assert not any(is_three_phase(kind) for kind in (0x105, 0x400, 0x700, 0x5000))


IMAGE = {
    16: 50000, 17: 0, 203: 5500, 217: 20, 218: 40, 219: 30, 220: 4600, 221: 5000, 222: 4800,
    250: 0, 251: 500, 252: 800, 253: 1200, 254: 1700, 255: 2100, 274: 0x0041, 314: 100, 315: 120,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("inverter_program_charge_1", 1, 0x0041),
        ("inverter_program_charge_1", 2, 0x0042),
        ("inverter_program_mode_1", 8, 0x0049),
        ("inverter_program_sell_1", 0, 0x0001),
        ("inverter_program_time_2", 19800, 530),
        ("inverter_program_time_6", 86340, 2359),
        ("inverter_program_time_2", 0, 0),
        ("inverter_program_time_2", 28800, 800),
        ("inverter_program_power_1", 5000, 5000),
        ("inverter_program_voltage_1", 4800, 4800),
        ("inverter_program_soc_1", 30, 30),
        ("battery_max_charge_current", 100, 100),
        ("battery_max_discharge_current", 120, 120),
        ("battery_low_voltage", 5500, 5500),
        ("load_limit", 2, 2),
    ],
)
def test_what_may_be_written(key: str, value: int, word: int) -> None:
    assert SETTINGS[key].word(value, IMAGE) == word


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inverter_program_charge_1", 4),
        ("inverter_program_sell_1", 2),
        ("inverter_program_time_2", 28860),
        ("inverter_program_time_1", 18060),
        ("inverter_program_time_6", 61140),
        ("inverter_program_time_2", 86400),
        ("inverter_program_time_2", -1),
        ("inverter_program_power_1", 5001),
        ("inverter_program_power_1", -1),
        ("inverter_program_voltage_1", 4700),
        ("inverter_program_voltage_1", 5501),
        ("inverter_program_soc_1", 29),
        ("battery_float_voltage", 6001),
        ("battery_float_voltage", 4700),
        ("battery_shutdown_voltage", 4900),
        ("battery_low_voltage", 4500),
        ("battery_shutdown_capacity", 31),
        ("battery_low_capacity", 51),
        ("battery_restart_capacity", 19),
        ("battery_max_charge_current", 101),
        ("battery_max_discharge_current", 121),
        ("load_limit", 3),
    ],
)
def test_what_must_not_be_written(key: str, value: int) -> None:
    with pytest.raises(ForbiddenWrite):
        SETTINGS[key].word(value, IMAGE)


def test_limits_that_were_not_read_forbid_the_write() -> None:
    for key in (
        "inverter_program_soc_1",
        "inverter_program_power_1",
        "inverter_program_time_2",
        "inverter_program_sell_1",
    ):
        with pytest.raises(ForbiddenWrite, match="sunsynk_not_read"):
            SETTINGS[key].word(1 if "sell" in key else 60, {})


@pytest.mark.parametrize("words", [(0, 0), (0xFFFF, 0xFFFF), (0, 0x8000)])
def test_a_rated_power_that_cannot_be_forbids_the_write(words: tuple[int, int]) -> None:
    image = IMAGE | dict(zip((16, 17), words, strict=True))
    for key in ("inverter_program_power_1", "max_sell_power"):
        with pytest.raises(ForbiddenWrite) as caught:
            SETTINGS[key].word(3000, image)
        assert caught.value.key == "sunsynk_not_read"


def test_the_limits_of_16_kw_models() -> None:
    charge = SETTINGS["battery_max_charge_current"]
    no_limit = {314: 0, 315: 0}
    with pytest.raises(ForbiddenWrite):
        charge.word(200, no_limit)
    assert charge.word(290, no_limit, is_16kw=True) == 290
    with pytest.raises(ForbiddenWrite):
        SETTINGS["grid_charge_battery_current"].word(150, no_limit, is_16kw=True)


def test_the_battery_s_own_limit_is_read_first() -> None:
    with pytest.raises(ForbiddenWrite, match="sunsynk_not_read") as refused:
        SETTINGS["battery_max_charge_current"].word(20, {})
    assert refused.value.placeholders["register"] == "314"


def test_what_can_black_out_the_house_is_not_offered() -> None:
    assert not {43, 325} & {setting.register for setting in SETTINGS.values()}


def test_registers_that_become_zero_in_a_long_row_are_doubted() -> None:
    """Found by the simulated year: half of an answer was empty."""
    before = dict.fromkeys(range(150, 200), 7)
    assert fallen_silent(before, before) == frozenset()
    # What was not known before may have been something else.
    assert fallen_silent({}, dict.fromkeys(range(150, 200), 0)) == frozenset(range(150, 200))
    half = before | dict.fromkeys(range(175, 200), 0)
    assert fallen_silent(before, half) == frozenset(range(175, 200))
    assert fallen_silent(half, half) == frozenset()
    # In small answers there may be one only that was not zero anyway.
    most = dict.fromkeys(range(150, 200), 0)
    assert fallen_silent(most | {170: 1}, most) == {170}
    # At sunset, and when the grid fails, some are zero, each beside others.
    assert fallen_silent(before, before | dict.fromkeys(range(186, 190), 0)) == frozenset()
