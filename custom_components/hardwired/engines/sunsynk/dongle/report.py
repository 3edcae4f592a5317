"""The report of a dongle: whether a frame is one, and what it says (spec b.3, b.10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from .envelope import FROM_DONGLE, HEADER_SIZE, START, frame_size
from .layouts import WORDS_AT, Layout, Values, candidates

TYPE_REPORT = 0x09
MAXIMUM_VIOLATIONS = 2
"""The most fields out of range in an accepted report."""

SERIAL = slice(11, 21)
TIME = slice(37, 43)


class Rejection(StrEnum):
    """Why a report was refused."""

    UNKNOWN_LAYOUT = "unknown_layout"
    BAD_SERIAL = "bad_serial"
    BAD_TIME = "bad_time"
    EMPTY = "empty"
    IMPLAUSIBLE = "implausible"


class RejectedReport(ValueError):
    """A frame of the report's type that is not accepted as a report."""

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Quality(StrEnum):
    """Whether every field of an accepted report was in range."""

    GOOD = "good"
    PARTIAL = "partial"


class Report(NamedTuple):
    """An accepted report.

    ``local_time`` is the plant's wall clock, without a zone. ``violations`` are the keys of the
    fields out of range; they have no value. ``rssi`` (dBm) is inferred, see spec b.1.
    """

    frame: bytes
    serial: str
    local_time: datetime
    layout: Layout
    values: Values
    violations: tuple[str, ...]

    @property
    def length(self) -> int:
        """The size of the frame in bytes."""
        return len(self.frame)

    @property
    def message_no(self) -> int:
        """The dongle's running number of the message, 0 ... 255."""
        return self.frame[8]

    @property
    def rssi(self) -> int:
        """What looks like the Wi-Fi signal in dBm."""
        return self.frame[5] - 256 if self.frame[5] > 127 else self.frame[5]

    @property
    def quality(self) -> Quality:
        """Whether a field was out of range."""
        return Quality.PARTIAL if self.violations else Quality.GOOD

    @property
    def body(self) -> bytes:
        """What identifies a report: serial, time and words (spec b.12)."""
        return self.frame[HEADER_SIZE:]

    def word(self, register: int) -> int | None:
        """Return one raw word, if the layout has it."""
        at = self.layout.offset(register)
        return None if at is None else int.from_bytes(self.frame[at : at + 2])

    @property
    def registers(self) -> Mapping[int, int]:
        """The raw words by register, for the diagnostics: no identity in them."""
        return self.layout.words(self.frame)


def is_report(frame: bytes) -> bool:
    """Whether a frame is of the type of a report and complete (rule 1 of spec b.10)."""
    return (
        len(frame) >= HEADER_SIZE
        and frame[0] == START
        and frame[2] == FROM_DONGLE
        and frame[3] == TYPE_REPORT
        and frame_size(frame) == len(frame)
    )


def read_report(frame: bytes, learned: Layout | None = None) -> Report:
    """Return what a frame says for which :func:`is_report` is true.

    *learned* is the layout told by a polling map on the same connection. Raises
    :class:`RejectedReport` with the first reason in the order of spec b.10.
    """
    if len(frame) < WORDS_AT + 2:
        raise RejectedReport(Rejection.UNKNOWN_LAYOUT)
    serial = frame[SERIAL]
    if not serial.isalnum():
        raise RejectedReport(Rejection.BAD_SERIAL)
    year, month, day, hour, minute, second = frame[TIME]
    try:
        local_time = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        raise RejectedReport(Rejection.BAD_TIME) from None
    possible = candidates(len(frame), learned)
    if not possible:
        raise RejectedReport(Rejection.UNKNOWN_LAYOUT)
    if not any(frame[WORDS_AT:]):
        raise RejectedReport(Rejection.EMPTY)
    for layout in possible:
        values, violations = layout.decode(frame)
        if len(violations) <= MAXIMUM_VIOLATIONS:
            break
    else:
        raise RejectedReport(Rejection.IMPLAUSIBLE)
    if layout.is_empty(frame):
        raise RejectedReport(Rejection.EMPTY)
    return Report(frame, serial.decode("ascii"), local_time, layout, values, tuple(violations))
