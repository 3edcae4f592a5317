"""The data logger's parser, names, values and profiles against the golden vectors (spec d)."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.fields import Quantity
from hardwired_engines.inventum.catalogue import FIXED, catalogue_of
from hardwired_engines.inventum.names import fan_column, mqtt_key, slug_of, slugs_of, unit_of
from hardwired_engines.inventum.profile import LoggedColumn, Profile, Samples, meaning_of
from hardwired_engines.inventum.terminal.log import (
    LINE_LIMIT,
    BadRow,
    Column,
    Columns,
    LogError,
    LogParser,
    Preamble,
    Row,
)
from hardwired_engines.inventum.values import fan_position, value_of
from hardwired_engines.presentation import Control, device_class_of
from tests.vector_files import cases


def logged(chunks: list[bytes]) -> dict[str, Any]:
    """What a parser makes of the chunks, in the words of the vectors."""
    parser = LogParser()
    columns: tuple[Column, ...] = ()
    facts: dict[str, Any] = {
        "preambles": [],
        "columns": [],
        "rows": [],
        "positions": [],
        "bad_rows": 0,
        "errors": [],
    }
    for chunk in chunks:
        for event in parser.receive_data(chunk):
            match event:
                case Preamble(text):
                    facts["preambles"].append(text)
                case Columns(found):
                    columns = found
                    facts["columns"].append([[item.status, item.name] for item in found])
                case Row():
                    record = event.record(columns)
                    facts["rows"].append(
                        {
                            key: {"value": cell.value, "status": cell.status}
                            for key, cell in record.items()
                        }
                    )
                    place = fan_column([column.name for column in columns])
                    facts["positions"].append(
                        None if place is None else fan_position(event.cells[place].value)
                    )
                case BadRow():
                    facts["bad_rows"] += 1
                case LogError():
                    facts["errors"].append(event.name.lower())
    return facts


def pieces(case: dict[str, Any]) -> list[list[bytes]]:
    if "chunks" in case:
        given = [bytes.fromhex(chunk) for chunk in case["chunks"]]
        return [given, [b"".join(given)], [bytes([byte]) for byte in b"".join(given)]]
    whole = b"".join(
        bytes.fromhex(item[1]) if item[0] == "hex" else bytes.fromhex(item[1]) * item[2]
        for item in case["stream"]
    )
    return [
        [whole],
        *(
            [whole[start : start + size] for start in range(0, len(whole), size)]
            for size in (997, 64)
        ),
    ]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "logger.json"))
def test_logger_vectors(case: dict[str, Any]) -> None:
    for chunks in pieces(case):
        assert logged(chunks) == case["expect"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "names.json"))
def test_name_vectors(case: dict[str, Any]) -> None:
    unit = unit_of(case["raw"])
    assert mqtt_key(case["raw"]) == case["mqtt_key"] == case["reference_key"]
    assert (slug_of(case["raw"]) or None) == case["slug"]
    assert (unit and unit.text) == case["unit"]


@pytest.mark.parametrize(
    "names, chosen, place",
    [
        (["A", "Stand vent.", "b"], "Stand vent.", 1),
        (["A", "3-standen", "b"], "B", 2),
        (["b", "B", "b", "B."], "b", 2),
        (["b", "B", "b", "B."], "B", 3),
        (["A", "3-standen (x)"], "3-standen", 1),
        (["A", "3-standen"], "c", None),
    ],
)
def test_the_column_that_the_owner_takes_for_the_fans(
    names: list[str], chosen: str, place: int | None
) -> None:
    assert fan_column(names, chosen) == place


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "names.json", "lists"))
def test_slug_vectors(case: dict[str, Any]) -> None:
    assert list(slugs_of(case["raw"])) == case["slugs"]
    profile = Profile().with_header(Column("S", name) for name in case["raw"])
    assert [column.slug for column in profile.columns] == case["slugs"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "values.json"))
def test_value_vectors(case: dict[str, Any]) -> None:
    value = value_of(case["raw"])
    match case["value"]:
        case {"number": number}:
            assert value == number
            assert type(value) is type(number)
        case {"text": text}:
            assert value == text
        case _:
            assert value is None
    assert fan_position(case["raw"]) == case["fan_position"]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "profiles.json"))
def test_profile_vectors(case: dict[str, Any]) -> None:
    meaning = meaning_of(case["raw"], case["samples"])
    assert {
        "kind": meaning.kind,
        "unit": meaning.unit,
        "offer": meaning.offer,
        "source": meaning.source,
    } == case["expect"]


def test_a_profile_grows_and_keeps_what_it_had() -> None:
    first = Profile().with_header([Column("S", "Temp"), Column("S", "Klep")])
    samples = Samples()
    for text in ("1.5", "2.5", "3.5"):
        samples.add("temp", text)
    decided = first.decided(samples.complete)
    assert decided.with_header([Column("S", "Klep")]) is decided
    grown = decided.with_header([Column("S", "temp"), Column("S", "Klep"), Column("S", "Temp")])
    assert [column.slug for column in grown.columns] == ["temp", "klep", "temp_2"]
    assert grown.columns[0].meaning == decided.columns[0].meaning
    assert Profile.restored(grown.plain()) == grown


CLASHING = st.lists(
    st.lists(st.sampled_from(["Temp", "status", "2", "_", "(C)", ""]), max_size=4).map(" ".join),
    max_size=8,
)


@given(CLASHING, CLASHING)
def test_no_two_columns_have_a_key_in_common(first: list[str], second: list[str]) -> None:
    """``X`` beside ``X status``, in any order, now or in a header that comes later."""
    profile = Profile()
    for names in (first, second):
        profile = profile.with_header(Column("S", name) for name in names)
        slugs = [column.slug for column in profile.columns]
        decided = profile.decided(dict.fromkeys(slugs, ("1", "2", "3")))
        assert len(catalogue_of(decided)) == len(FIXED) + 2 * len(slugs)
        assert Profile.restored(decided.plain()) == decided


def test_a_store_with_a_key_twice_is_mended() -> None:
    """Versions before gave ``X status`` the key of the status of ``X``."""
    columns = [LoggedColumn(name, slug_of(name)) for name in ("Klep", "Klep status", "Temp")]
    restored = Profile.restored(Profile(tuple(columns)).plain())
    assert restored.columns == (columns[0], columns[2])
    grown = restored.with_header(Column("S", column.name) for column in columns)
    assert [column.slug for column in grown.columns] == ["klep", "temp", "klep_status_2"]


@given(
    st.recursive(st.none() | st.integers() | st.text(), st.lists)
    | st.dictionaries(st.sampled_from(["name", "slug", "meaning"]), st.text())
)
def test_a_broken_store_gives_a_profile(stored: Any) -> None:
    assert not Profile.restored(stored).columns
    assert len(Profile.restored([stored]).columns) <= 1


@pytest.mark.parametrize(
    "name, quantity, unit, device_class",
    [
        ("CO2 woonkamer (ppm)", Quantity.CARBON_DIOXIDE, "ppm", "carbon_dioxide"),
        ("VOC (ppm)", Quantity.NUMBER, "ppm", None),
        ("Tapwater (l)", Quantity.VOLUME, "L", "water"),
        ("Vocht afvoer (%)", Quantity.HUMIDITY, "%", "humidity"),
        ("Klep (%)", Quantity.PERCENTAGE, "%", None),
        ("Uren (u)", Quantity.DURATION, "h", "duration"),
        ("Debiet (m3/u)", Quantity.FLOW, "m³/h", "volume_flow_rate"),
        ("dT (K)", Quantity.TEMPERATURE_DELTA, "K", "temperature_delta"),
    ],
)
def test_what_a_column_with_a_unit_is(
    name: str, quantity: Quantity, unit: str, device_class: str | None
) -> None:
    profile = Profile().with_header([Column("S", name)])
    decided = profile.decided(dict.fromkeys((profile.columns[0].slug,), ("1", "2", "3")))
    found = catalogue_of(decided)[decided.columns[0].key]
    assert (found.quantity, found.unit) == (quantity, unit)
    assert device_class_of(found, Control.SENSOR) == device_class


@pytest.mark.parametrize(
    "unit, text, shown",
    [
        ("C", "150.1", None),
        ("C", "-60", -60),
        ("%", "110.5", None),
        ("rpm", "-1", None),
        ("W", "20001", None),
        ("V", "501", None),
        ("Hz", "100.01", None),
        ("kW", "25", 25),
        ("mV", "-1", -1),
        ("l", "-5", -5),
        ("bar", "9" * 40, int("9" * 40)),
    ],
)
def test_only_some_units_have_bounds(unit: str, text: str, shown: float | None) -> None:
    assert meaning_of(f"x ({unit})", [text] * 3).read(text) == shown


def test_a_number_without_end_is_no_number() -> None:
    assert value_of("9" * 300) == int("9" * 300)
    assert isinstance(value_of("9" * 301), str)
    assert isinstance(value_of("9" * 5000), str)
    assert meaning_of("Teller", ["9" * 5000] * 3).kind == "text"


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_any_bytes_give_events(chunks: list[bytes]) -> None:
    assert logged(chunks) == logged([b"".join(chunks)])


LINES = st.lists(
    st.sampled_from(
        [b"Interval", b",", b"S,3-standen", b"0,3", b"1,", b"\r\n", b"\n", b"\x1b[K", b"\xff", b"2"]
    ),
    max_size=80,
)


@given(LINES)
def test_scraps_of_a_log_give_events(tokens: list[bytes]) -> None:
    assert logged(tokens) == logged([b"".join(tokens)])


@pytest.mark.parametrize("text", ['Fout "E4"', "klep open!", "[1] <aan>", "", "a_b", "é|{}"])
def test_rows_wider_than_the_header_whatever_their_texts(text: str) -> None:
    row = f"0,2,0,{text},0,{text},9\r\n".encode()
    begin = b"Interval\r\nS,3-standen,S,Storing,S,Klep\r\n0,2,0,,0,\r\n"
    told = logged([begin, row * 5])
    assert told["bad_rows"] == 2
    assert [one["Storing"]["value"] for one in told["rows"]] == ["", *[text] * 3]
    assert told["positions"] == [2] * 4


def test_a_header_without_end_costs_the_same_with_each_line() -> None:
    """Counted, not timed: no line makes the parser cut the whole header up again."""
    parser = LogParser()
    parser.receive_data(b"Interval\r\n")
    copied = 0

    def trace(frame: Any, event: str, argument: Any) -> None:
        nonlocal copied
        if event == "c_return" and argument.__name__ == "split":
            copied += len(argument.__self__)

    sys.setprofile(trace)
    try:
        for _ in range(20_000):
            parser.receive_data(b"a,\r\n")
    finally:
        sys.setprofile(None)
    assert copied < 100_000


def test_thousands_of_columns_of_one_name() -> None:
    profile = Profile().with_header([Column("S", "x")] * 16_000)
    assert len({column.slug for column in profile.columns}) == 16_000


def test_a_line_without_end_is_dropped() -> None:
    parser = LogParser()
    events = [event for _ in range(40) for event in parser.receive_data(b"x" * 4096)]
    assert events == [LogError.OVERFLOW] * 2
    assert parser.receive_data(b"y" * LINE_LIMIT) == [LogError.OVERFLOW]
