"""From the plant's wall clock to UTC (spec b.11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import NamedTuple

NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
EPOCH = NAIVE_EPOCH.replace(tzinfo=UTC)
EARLIEST_CAPTURE = datetime(2000, 1, 1, tzinfo=UTC)
"""Before this, the capturing host had no clock (a router stamping with its uptime)."""
EARLIEST_YEAR, LATEST_YEAR = 2020, 2099
CLOCK_AHEAD = timedelta(seconds=900)


class TimeQuality(StrEnum):
    """How sure the UTC time of a reading is."""

    EXACT = "exact"
    GAP = "gap"
    """The wall clock showed an hour that was skipped in spring."""
    AMBIGUOUS = "ambiguous"
    """The wall clock showed an hour that was repeated in autumn."""
    CLOCK_UNSET = "clock_unset"
    """The inverter does not know the date; the time of capture is used."""
    CLOCK_AHEAD = "clock_ahead"
    """The reading is in the future; its time was kept."""


class Moment(NamedTuple):
    """A time in UTC and how sure it is."""

    time: datetime
    quality: TimeQuality


def known_capture_time(moment: datetime | None) -> datetime | None:
    """Return a time of capture unless the capturing host had no clock."""
    return None if moment is None or moment < EARLIEST_CAPTURE else moment


def resolve(
    local: datetime,
    zone: tzinfo,
    capture: datetime | None = None,
    previous: datetime | None = None,
) -> Moment:
    """Return the moment of a reading with the wall-clock time *local* (without a zone).

    *capture* is when the report passed, *previous* the newest reading accepted so far from
    this inverter; both in UTC, either may be unknown. Only they can tell the two passes of the
    repeated hour apart.
    """
    capture = known_capture_time(capture)
    moment = locate(local, zone, capture, previous)
    if not EARLIEST_YEAR <= local.year <= LATEST_YEAR:
        return Moment(capture or moment.time, TimeQuality.CLOCK_UNSET)
    if capture is not None and moment.time - capture > CLOCK_AHEAD:
        return Moment(moment.time, TimeQuality.CLOCK_AHEAD)
    return moment


def locate(
    local: datetime,
    zone: tzinfo,
    capture: datetime | None = None,
    previous: datetime | None = None,
) -> Moment:
    """Return when the wall clock of *zone* showed *local*: steps 1 to 3 of spec b.11."""
    as_utc = EPOCH + (local - NAIVE_EPOCH)
    first_offset = zone.utcoffset(as_utc)
    second_offset = first_offset if isinstance(zone, timezone) else zone.utcoffset(_again(local))
    if first_offset is None or second_offset is None:
        raise ValueError(f"{zone} is no time zone")
    # In a missing hour fold 0 has the offset before the change, which is the one wanted.
    first = as_utc - first_offset
    if first_offset == second_offset:
        return Moment(first, TimeQuality.EXACT)
    if first_offset < second_offset:
        return Moment(first, TimeQuality.GAP)
    second = as_utc - second_offset
    capture = known_capture_time(capture)
    return Moment(_nearest(first, second, capture, previous), TimeQuality.AMBIGUOUS)


def _again(local: datetime) -> datetime:
    """Return *local* as the second pass of its hour shows it; three times as fast as replacing."""
    return datetime(  # noqa: DTZ001
        local.year, local.month, local.day, local.hour, local.minute, local.second,
        local.microsecond, fold=1,
    )  # fmt: skip


def _nearest(
    first: datetime, second: datetime, capture: datetime | None, previous: datetime | None
) -> datetime:
    if previous is not None and first <= previous < second:
        return second
    if capture is not None and abs(second - capture) < abs(first - capture):
        return second
    return first
