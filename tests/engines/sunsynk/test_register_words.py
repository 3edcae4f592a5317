"""Words to values: the table of fields, the codecs, the layouts (spec b.3, b.5, d)."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.fields import Offer, Role
from hardwired_engines.sunsynk.catalogue import (
    BMS_FIELDS,
    BMS_REGISTERS,
    CAPTURE_FIELDS,
    CATALOGUES,
    FIELDS,
    MODBUS_FIELDS,
    TABLE,
    as_field_values,
)
from hardwired_engines.sunsynk.dongle.layouts import (
    LAYOUTS,
    WORDS_AT,
    Block,
    Layout,
    candidates,
    layout_of,
    read_field,
)
from hardwired_engines.sunsynk.register_words import (
    Codec,
    decimal,
    fault_codes,
    hhmm_of_seconds,
    raw_of,
    seconds_of_hhmm,
    words_of,
)
from tests.vector_files import cases, load

from .helpers import FAMILY, frame_of, same

DERIVED_FROM = {"pv_power": (186, 187, 188), "load_power_non_essential": (172, 167)}


@pytest.mark.vectors
@pytest.mark.parametrize("expected", cases(FAMILY, "fields.json", "fields"))
def test_the_table_is_the_one_of_the_specification(expected: dict[str, Any]) -> None:
    row = FIELDS[expected["id"]]
    assert (row.group, row.label, row.unit) == tuple(expected[k] for k in ("group", "name", "unit"))
    assert list(row.registers) == expected["regs"]
    assert row.codec == expected["type"]
    assert row.decimals == expected["decimals"]
    assert row.compat == expected["compat"]
    assert (row.field.role is Role.DIAGNOSTIC) == (expected["category"] == "diagnostic")
    if row.codec is not Codec.BITS:
        assert (row.field.offer is Offer.DEFAULT) == expected["enabled"]
        accumulation = row.field.accumulation
        assert not row.field.numeric or accumulation == (expected["state_class"] or "none")
    if row.codec is Codec.ENUM:
        assert {str(raw): text for raw, text in row.options.items()} == expected["options"]
    elif row.registers:
        assert decimal(row.low, row.decimals) == expected["min"]
        assert same(decimal(row.high, row.decimals), expected["max"])
    assert row.field.name.casefold() in (
        expected["ha_name"].casefold(),
        expected["name"].casefold(),
    )


@pytest.mark.vectors
@pytest.mark.parametrize("expected", cases(FAMILY, "fields.json", "fields"))
def test_the_offsets_follow_from_the_blocks(expected: dict[str, Any]) -> None:
    for size, offsets in expected["offsets"].items():
        layout = LAYOUTS[int(size)]
        assert [layout.offset(register) for register in expected["regs"]] == offsets


@pytest.mark.vectors
def test_the_layouts_and_the_compatible_fields() -> None:
    fields = load(FAMILY, "fields.json")
    assert fields["words_at"] == WORDS_AT
    assert {str(size): [list(b) for b in layout.blocks] for size, layout in LAYOUTS.items()} == (
        fields["layouts"]
    )
    assert list(CAPTURE_FIELDS) == fields["compatible_pcap"]
    assert list(MODBUS_FIELDS) == fields["compatible_modbus"]
    assert [row.key for row in TABLE] == [row["id"] for row in fields["fields"]]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases(FAMILY, "codec.json"))
def test_words_to_a_value(case: dict[str, Any]) -> None:
    real = load(FAMILY, "real_292.json")["cases"][0]
    registers = LAYOUTS[292].words(bytes.fromhex(real["hex"]))
    places = DERIVED_FROM.get(case["id"], FIELDS[case["id"]].registers)
    registers |= dict(zip(places, case["words"], strict=True))
    values, violations = LAYOUTS[306].decode(frame_of(registers, LAYOUTS[306]))
    assert same(values[case["id"]], case["value"])
    assert type(values[case["id"]]) is type(case["value"])
    assert (case["id"] in violations) == case["violation"]


@given(row=st.sampled_from([row for row in TABLE if row.registers]), data=st.data())
def test_the_simulators_encoder_is_the_inverse(row: Any, data: st.DataObject) -> None:
    if row.codec is Codec.HHMM:
        raw = 60 * data.draw(st.integers(0, 1439))
    elif row.codec is Codec.ENUM:
        raw = data.draw(st.sampled_from(sorted(row.options)))
    else:
        least, most = 0, (1 << 16 * len(row.registers)) - 1
        if row.codec is Codec.S16:
            least, most = -0x8000, 0x7FFF
        elif row.codec is Codec.TEMPERATURE:
            least = row.low
        raw = data.draw(st.integers(max(row.low, least), min(row.high, most)))
    words = words_of(row.codec, raw, len(row.registers))
    assert all(0 <= word <= 0xFFFF for word in words)
    assert raw_of(row.codec, words) == raw


@pytest.mark.parametrize(
    ("codec", "raw", "count"),
    [(Codec.S16, 40000, 1), (Codec.U16, 65536, 1), (Codec.U16, -1, 1), (Codec.HHMM, 86400, 1)],
)
def test_what_does_not_fit_is_not_encoded(codec: Codec, raw: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"fit|time"):
        words_of(codec, raw, count)


@given(st.integers(0, 0xFFFF))
def test_times_of_day(word: int) -> None:
    seconds = seconds_of_hhmm(word)
    if seconds is None:
        assert word // 100 > 23 or word % 100 > 59
    else:
        assert hhmm_of_seconds(seconds) == word


def test_without_a_battery_management_its_fields_have_no_value() -> None:
    values, violations = LAYOUTS[292].decode(frame_of({59: 2, 184: 50}))
    assert all(values[key] is None for key in BMS_FIELDS)
    assert not violations
    values, _ = LAYOUTS[292].decode(frame_of({59: 2, 319: 1210}))
    assert values["bms_soc"] == 0
    assert values["bms_temperature"] == 21.0
    values, _ = LAYOUTS[292].decode(frame_of({59: 2, 316: 50}))
    assert values["bms_soc"] == 50
    assert values["bms_current"] == 0


def test_a_learned_layout_reads_what_it_holds() -> None:
    layout = layout_of((Block(184, 1), Block(80, 1), Block(78, 1), Block(187, 2)))
    values, violations = layout.decode(frame_of({184: 73, 78: 0xB820, 80: 1}, layout))
    assert values == {
        "battery_soc": 73,
        "grid_import_total": 11267.2,
        "pv_power_2": 0,
        "pv_power_3": 0,
    }
    assert not violations


def test_the_known_layout_is_known_again() -> None:
    assert layout_of(LAYOUTS[306].blocks) is LAYOUTS[306]
    other = layout_of((Block(59, 131),))
    assert other.name == "learned"
    assert candidates(306, other) == (other, LAYOUTS[306])
    assert candidates(302, other) == (LAYOUTS[302],)
    assert candidates(306, LAYOUTS[306]) == (LAYOUTS[306],)
    assert candidates(300) == ()


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 60)), max_size=8),
    st.binary(min_size=1200, max_size=1200),
)
def test_any_words_in_any_layout_decode_to_plain_values(
    blocks: list[tuple[int, int]], noise: bytes
) -> None:
    layout = Layout("learned", tuple(Block(*block) for block in blocks))
    values, violations = layout.decode(bytes(WORDS_AT) + noise[: layout.length - WORDS_AT])
    assert values.keys() <= FIELDS.keys()
    assert set(violations) <= values.keys()
    assert all(values[key] is None for key in violations)
    for key, value in values.items():
        row = FIELDS[key]
        if row.codec is Codec.ENUM:
            assert value is None or value in row.options.values()
        elif isinstance(value, (int, float)) and not row.codec.derived and row.codec != Codec.HHMM:
            assert row.plausible(round(value * 10**row.decimals))


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.dictionaries(st.integers(59, 319), st.sampled_from((0, 1, 2, 99, 5000, 32768, 65535))),
    st.booleans(),
)
def test_the_written_reader_says_what_the_table_says(
    size: int, changes: dict[int, int], bms: bool
) -> None:
    layout = LAYOUTS[size]
    good = {59: 2, 79: 5000, 90: 1200, 96: 5000, 172: 90, 184: 50, 186: 65535, 192: 5000}
    registers = good | ({316: 50} if bms else {}) | changes
    values, violations = layout.decode(frame_of(registers, layout))
    has_bms = any(registers.get(register) for register in BMS_REGISTERS)
    for row in TABLE:
        if row.registers and all(layout.offset(register) for register in row.registers):
            words = [registers.get(register, 0) for register in row.registers]
            value, sound = read_field(row, words)
            assert values[row.key] == (value if has_bms or row.key not in BMS_FIELDS else None)
            assert (row.key in violations) != sound
        elif row.registers:
            assert row.key not in values
    powers = [values[f"pv_power_{string}"] for string in (1, 2, 3)]
    assert values["pv_power"] == sum(power for power in powers if isinstance(power, int))


@given(st.data())
def test_the_reader_written_for_a_learned_layout_says_what_the_table_says(
    data: st.DataObject,
) -> None:
    blocks = st.tuples(st.integers(1, 330), st.integers(1, 60)).map(lambda pair: Block(*pair))
    layout = layout_of(tuple(data.draw(st.lists(blocks, min_size=1, max_size=5))))
    words = st.one_of(
        st.sampled_from((0, 1, 2, 99, 530, 600, 2359, 2400, 3500, 5000, 32768, 65535)),
        st.integers(0, 65535),
    )
    registers = {register: data.draw(words) for register in layout.registers}
    values, violations = layout.decode(frame_of(registers, layout))
    has_bms = any(registers.get(register) for register in BMS_REGISTERS)
    present = [row for row in TABLE if row.registers and registers.keys() >= set(row.registers)]
    expected = {
        row.key: read_field(row, [registers[one] for one in row.registers]) for row in present
    }
    for key, (value, sound) in expected.items():
        assert values[key] == (value if has_bms or key not in BMS_FIELDS else None), key
        assert (key in violations) != sound
    assert values.keys() - expected.keys() <= {"pv_power", "load_power_non_essential"}
    sums = {field for field in ("pv_power_1", "pv_power_2", "pv_power_3") if field in values}
    assert ("pv_power" in values) == (len(sums) == 3)
    assert layout.is_empty(frame_of(registers, layout)) == (
        not any(registers.get(register) for register in range(59, 125))
    )


def test_faults_have_names_like_on_the_display() -> None:
    assert fault_codes(0) == ""
    assert fault_codes(1 << 12 | 1 << 63 | 1) == "F01, F13, F64"


def test_what_becomes_of_a_reports_values_in_the_catalogues_terms() -> None:
    told = as_field_values(
        {
            "grid_connected": 3,
            "inverter_program_time_2": 19800,
            "fault_bits": 1 << 34,
            "warning_bits": 0,
        }
    )
    assert told["grid_connected"] is True
    assert told["inverter_program_time_2"] == time(5, 30)
    assert told["fault"] is True
    assert told["fault_codes"] == "F35"
    assert told["warning"] is False
    assert as_field_values({"grid_connected": None})["grid_connected"] is None
    assert told.keys() <= CATALOGUES["inverter"].keys()
