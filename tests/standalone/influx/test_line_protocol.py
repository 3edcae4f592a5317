"""Line protocol: what goes out comes back, and what does not fit is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from hardwired.influx.line_protocol import Point, as_tag, escape, line, nanoseconds
from tests.standalone.influx.reader import parse_line

ANY_TEXT = st.text(min_size=1, max_size=20) | st.text(alphabet=',= \\"a#', min_size=1, max_size=8)
TAGS = ANY_TEXT.map(as_tag)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
STRINGS = ANY_TEXT.filter(lambda text: "\n" not in text and "\r" not in text)
FIELDS = st.dictionaries(TAGS, NUMBERS | st.booleans() | STRINGS, min_size=1, max_size=4)
MEASUREMENTS = TAGS.filter(lambda text: not text.startswith(("#", "_")))


@given(
    MEASUREMENTS,
    FIELDS,
    st.dictionaries(TAGS, TAGS, max_size=4),
    st.none() | st.integers(-(2**62), 2**62),
)
def test_round_trip(
    measurement: str, fields: dict[str, float | bool | str], tags: dict[str, str], time: int | None
) -> None:
    point = Point(measurement, fields, tags, time)
    written = line(point)
    assert "\n" not in written
    assert parse_line(written) == point


@given(st.text(max_size=60) | st.text(alphabet='a,= \\"1', max_size=30))
def test_any_line_is_a_point_or_refused(content: str) -> None:
    try:
        found = parse_line(content)
    except ValueError:
        return
    assert isinstance(found, Point)


@given(ANY_TEXT)
def test_any_text_fits_as_a_tag_once_tidied(text: str) -> None:
    assert escape(as_tag(text))


@pytest.mark.parametrize("text", ["", "a\n", "a\\", "a\\ b", "a\\,b", "a\\=b", "a\x00b", "a\r"])
def test_unfit_names(text: str) -> None:
    with pytest.raises(ValueError, match="can't stand"):
        escape(text)


def test_backslash_inside_a_name_stays() -> None:
    assert escape("a\\b") == "a\\b"


@pytest.mark.parametrize(
    "point",
    [
        Point("m", {}),
        Point("m", {"f": float("nan")}),
        Point("m", {"f": float("inf")}),
        Point("m", {"f": "a\nb"}),
        Point("#m", {"f": 1}),
        Point("_m", {"f": 1}),
        Point("", {"f": 1}),
        Point("m", {"f": 1}, {"t": ""}),
    ],
)
def test_unfit_points(point: Point) -> None:
    with pytest.raises(ValueError, match=r"."):
        line(point)


@pytest.mark.parametrize(
    "content",
    ["", "m", "m ", "m  1", "m f", "m f=", "m f=x", "m f=1 x", "m,t f=1", "m f=nan", ",t=a f=1",
     'm f="a', "m f=1 2 3", "m =1", "m f=1,"],
)  # fmt: skip
def test_broken_lines(content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_line(content)


def test_times_are_exact() -> None:
    local = timezone(timedelta(hours=2))
    assert nanoseconds(datetime(2022, 11, 5, 8, 32, 46, tzinfo=local)) == 1667629966000000000
    assert nanoseconds(datetime(2262, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 9214646400000001000
    assert nanoseconds(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1_000_000_000


def test_numbers_are_floats_whatever_they_are_here() -> None:
    assert line(Point("m", {"a": 1, "b": 1.0, "c": True})) == "m a=1,b=1,c=true"


def test_tags_are_sorted() -> None:
    assert line(Point("m", {"f": 1}, {"b": "1", "a": "2"}, 5)) == "m,a=2,b=1 f=1 5"
