"""Values as texts, and texts as wishes (spec c.5, c.6)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.mqtt.values import BadPayload, number_text, read_wish, text_of
from hardwired_engines.fields import Field, Quantity, Value
from tests.standalone.mqtt.worlds import field_of, fields_of
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors
ZONE = timezone(timedelta(hours=1))


@pytest.mark.parametrize("case", cases("bridge", "states.json"))
def test_state(case: dict[str, Any]) -> None:
    assert text_of(field_of(case["field"]), case["value"]) == case["text"]


@pytest.mark.parametrize("case", cases("bridge", "set.json"))
def test_set(case: dict[str, Any]) -> None:
    everything = load("bridge", "discovery.json")["cases"][0]
    field = fields_of(everything["fields"])[case["field"]]
    payload = (
        bytes.fromhex(case["payload_hex"]) if "payload_hex" in case else case["payload"].encode()
    )
    if "error" in case:
        with pytest.raises(BadPayload) as caught:
            read_wish(field, payload, ZONE)
        assert {"key": caught.value.key, "text": str(caught.value)} == case["error"]
        return
    value = read_wish(field, payload, ZONE)
    if isinstance(value, datetime):
        told = case["value"]
        if told.endswith(" (zone of the device)"):
            assert value.tzinfo == ZONE
            assert value.replace(tzinfo=None).isoformat() == told.split(" ")[0]
        else:
            assert value.isoformat() == told
    elif isinstance(value, time):
        assert value.isoformat("seconds" if value.second else "minutes") == case["value"]
    else:
        assert value == case["value"]
        assert isinstance(value, type(case["value"]))


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (Quantity.CLOCK_TIME, time(7, 5), "07:05"),
        (Quantity.CLOCK_TIME, time(7, 5, 9), "07:05:09"),
        (Quantity.TIMESTAMP, datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (Quantity.TIMESTAMP, datetime(2026, 1, 2, 3), "2026-01-02T03:00:00+01:00"),  # noqa: DTZ001
        (Quantity.TIMESTAMP, date(2026, 1, 2), "2026-01-02"),
        (Quantity.POWER, float("nan"), "None"),
        (Quantity.POWER, float("-inf"), "None"),
        (Quantity.POWER, 1e300, "None"),
        (Quantity.POWER, 1e-80, "None"),
    ],
)
def test_what_json_can_not_say(quantity: Quantity, value: Value, text: str) -> None:
    assert text_of(Field(key="x", name="X", quantity=quantity), value, ZONE) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(0, 6))
def test_a_number_is_read_back_as_it_was(value: float, precision: int | None) -> None:
    text = number_text(value, precision)
    assert "e" not in text.lower()
    assert text != "-0"
    if precision is None:
        assert float(text) == value
    else:
        assert abs(float(text) - value) <= max(0.51 * 10**-precision, abs(value) * 1e-15)


FIELDS = st.builds(
    Field,
    key=st.just("x"),
    name=st.just("X"),
    quantity=st.sampled_from(Quantity),
    precision=st.none() | st.integers(0, 6),
    writable=st.booleans(),
    minimum=st.none() | st.floats(-1e6, 1e6),
    maximum=st.none() | st.floats(-1e6, 1e6),
    options=st.lists(st.text("abc", min_size=1), max_size=3, unique=True).map(tuple),
)
PAYLOADS = (
    st.binary(max_size=40)
    | st.text(max_size=40).map(str.encode)
    | st.sampled_from([b"1", b"ON", b"nan", b"12:30", b"2026-01-01T00:00", b"9999-12-31T23:59"])
)


@given(FIELDS, PAYLOADS)
def test_any_payload_is_a_value_that_the_field_takes_or_refused(
    field: Field, payload: bytes
) -> None:
    try:
        value = read_wish(field, payload)
    except BadPayload as error:
        assert str(error).startswith("x ")  # noqa: PT017
        return
    assert field.writable
    assert field.check(value) == value


VALUES = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=300)
    | st.datetimes(timezones=st.none() | st.just(UTC), min_value=datetime(1971, 1, 1))  # noqa: DTZ001
    | st.times()
    | st.dates()
)


@given(FIELDS, VALUES)
def test_any_value_has_a_printable_text(field: Field, value: Value | None) -> None:
    text = text_of(field, value)
    assert 0 < len(text) <= 255
    assert text.isprintable()
