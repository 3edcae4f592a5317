"""The report of a dongle: whether a frame is one, and what it says (spec b.3, b.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ..catalogue import LIFETIME_COUNTERS
from .envelope import FROM_DONGLE, HEADER_SIZE, START, frame_size
from .layouts import WORDS_AT, Layout, Values, candidates

TYPE_REPORT = 0x09
SUSPICIOUS = 3
"""From so many fields out of range on, the others must prove that it is a report."""
MAXIMUM_VIOLATIONS = 8
"""The most fields out of range in an accepted report, and no more than a sixth of all."""
MAXIMUM_BAD_ANCHORS = 1
ANCHORS = frozenset(
    {
        *LIFETIME_COUNTERS,
        "battery_soc",
        "battery_voltage",
        "grid_connected",
        "grid_frequency",
        "grid_voltage",
        "inverter_frequency",
        "inverter_state",
        "load_frequency",
        "load_voltage",
    }
)
"""Fields that are in range in each report of each model. Words of another layout break several of
them; the oddities of a model (garbage in a yearly counter, a daily one of 4299.1 kWh, a probe of
-46 degrees) break none."""

FREQUENCIES = ("grid_frequency", "load_frequency", "inverter_frequency")
PRODUCTS = (
    ("battery_power", "battery_voltage", "battery_current"),
    ("pv_power_1", "pv_voltage_1", "pv_current_1"),
    ("pv_power_2", "pv_voltage_2", "pv_current_2"),
)
PRODUCT_ERROR = 150.0
"""W by which a measured power may differ from voltage times current, besides a fifth of it."""

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
    def asked_for(self) -> bool:
        """Whether these are registers that were read, not a dongle's report."""
        return self.frame[0] != START

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


def _can_be(values: Values, violations: Sequence[str]) -> bool:
    """Whether words with these violations can be a report in this layout.

    An odd field has no value. The report is refused only when it cannot be one (rule 7 of spec
    b.10): when words that are the same on all models are out of range, or too many.
    """
    return (
        len(violations) <= min(MAXIMUM_VIOLATIONS, len(values) // 6)
        and len(ANCHORS.intersection(violations)) <= MAXIMUM_BAD_ANCHORS
        and _agree(values)
    )


def _agree(values: Values) -> bool:
    """Whether the sound fields tell of one inverter: something hums, voltage times current fits."""
    frequencies = [values.get(key) for key in FREQUENCIES if key in values]
    if frequencies and not any(frequencies):
        return False
    for power, voltage, current in PRODUCTS:
        watts, volts, amperes = values.get(power), values.get(voltage), values.get(current)
        if (
            isinstance(watts, (int, float))
            and isinstance(volts, (int, float))
            and isinstance(amperes, (int, float))
            and abs(watts - volts * amperes) > PRODUCT_ERROR + 0.2 * abs(watts)
        ):
            return False
    return True


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
    decoded = [(layout, *layout.decode(frame)) for layout in possible]
    sound = (one for one in decoded if len(one[2]) < SUSPICIOUS)
    chosen = next(sound, None) or min(decoded, key=lambda one: len(one[2]))
    layout, values, violations = chosen
    if len(violations) >= SUSPICIOUS and not _can_be(values, violations):
        raise RejectedReport(Rejection.IMPLAUSIBLE)
    if layout.is_empty(frame):
        raise RejectedReport(Rejection.EMPTY)
    return Report(frame, serial.decode("ascii"), local_time, layout, values, tuple(violations))
