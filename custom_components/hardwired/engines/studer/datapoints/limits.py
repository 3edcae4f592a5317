"""Whether a value may be written, and as which bytes (spec d.2, e.1)."""

from __future__ import annotations

import sys
from enum import StrEnum

from ..scom.values import Format, WireValue, encode
from .datapoint import Datapoint, EnumKind, Limits
from .plausibility import REFERENCE_VOLTAGE

CLOCK_SLACK = 60.0
"""Seconds by which a clock may differ when it is read back."""


class LimitError(ValueError):
    """The value may not be written. ``key`` is one of :class:`Refusal`."""

    def __init__(self, key: Refusal, message: str) -> None:
        super().__init__(message)
        self.key = key


class Refusal(StrEnum):
    """Why."""

    NOT_WRITABLE = "not_writable"
    GUARDED = "guarded"
    INVALID = "invalid"
    TOO_SMALL = "too_small"
    TOO_BIG = "too_big"


def limits_of(point: Datapoint, nominal: float, ac: float) -> Limits:
    """Return the table's limits for a plant of this nominal battery and AC voltage."""
    limits = point.limits
    if ac < 160 and point.limits_120v is not None:
        limits = point.limits_120v
    if point.dc_scaled and nominal != REFERENCE_VOLTAGE:
        factor = nominal / REFERENCE_VOLTAGE
        return Limits(
            _scaled(limits.default, factor),
            _scaled(limits.minimum, factor),
            _scaled(limits.maximum, factor),
            limits.step,
        )
    return limits


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def slack(limit: float) -> float:
    """Return how far beyond a limit still counts as the limit."""
    return 1e-6 * max(1.0, abs(limit))


def encode_checked(
    point: Datapoint,
    value: WireValue,
    limits: Limits,
    *,
    allow_guarded: bool = False,
) -> bytes:
    """Return the property data of an allowed value. Raises :class:`LimitError`."""
    if not point.writable or not point.is_parameter or point.wire_format is None:
        raise LimitError(Refusal.NOT_WRITABLE, f"{point.id} can't be written")
    if point.guarded and not allow_guarded:
        raise LimitError(Refusal.GUARDED, f"{point.id} needs a confirmation of its own")
    number = _number(point, value)
    if point.signal:
        if number != 1:
            raise LimitError(Refusal.INVALID, f"{point.id} is a signal: it takes 1")
    elif point.choices:
        _check_choice(point, number)
    elif point.enum_kind is EnumKind.BITS:
        mask = sum(1 << bit for bit, _ in point.bits)
        if number < 0 or int(number) & ~mask:
            raise LimitError(Refusal.INVALID, f"{number:g} has bits that {point.id} does not know")
    elif point.wire_format is Format.BOOL:
        if number not in (0, 1):
            raise LimitError(Refusal.INVALID, f"{point.id} takes 0 or 1, not {number:g}")
    else:
        _check_range(point, number, limits)
    try:
        return encode(point.wire_format, number)
    except ValueError as error:
        raise LimitError(Refusal.INVALID, str(error)) from error


def _number(point: Datapoint, value: WireValue) -> float | int:
    if isinstance(value, (str, bytes)):
        raise LimitError(Refusal.INVALID, f"{point.id} takes a number, not {value!r}")
    if not abs(value) <= sys.float_info.max:
        raise LimitError(Refusal.INVALID, f"{point.id} takes a finite number, not {value!r}")
    if point.wire_format is Format.FLOAT:
        return float(value)
    if value != int(value):
        raise LimitError(Refusal.INVALID, f"{point.id} takes a whole number, not {value!r}")
    return int(value)


def _check_choice(point: Datapoint, number: float) -> None:
    if all(number != choice.wire for choice in point.choices):
        known = ", ".join(f"{choice.wire} ({choice.label})" for choice in point.choices)
        raise LimitError(Refusal.INVALID, f"{point.id} takes one of {known}, not {number:g}")


def _check_range(point: Datapoint, number: float, limits: Limits) -> None:
    low, high = limits.minimum, limits.maximum
    if low is not None and number < low - slack(low):
        raise LimitError(Refusal.TOO_SMALL, f"{point.id} is at least {low:g}, not {number:g}")
    if high is not None and number > high + slack(high):
        raise LimitError(Refusal.TOO_BIG, f"{point.id} is at most {high:g}, not {number:g}")


def same_value(point: Datapoint, wanted: float, held: float, limits: Limits) -> bool:
    """Return whether a device that holds *held* need not be written to for *wanted*.

    Narrower than :func:`reads_back`: what differs by a fraction of a step is another wish.
    """
    if point.wire_format is not Format.FLOAT:
        return wanted == held
    step = limits.step or 0.0
    return abs(wanted - held) <= max(0.05 * step, 0.0003 * abs(wanted), slack(wanted))


def reads_back(point: Datapoint, written: float, found: float, limits: Limits) -> bool:
    """Return whether *found* is what a device shows after *written* went into its flash.

    Devices keep most FLOATs in 16-bit fixed point, and a clock has moved on.
    """
    if point.wall_clock:
        return abs(written - found) <= CLOCK_SLACK
    if point.wire_format is not Format.FLOAT:
        return written == found
    step = limits.step or 0.0
    return abs(written - found) <= max(0.51 * step, 0.001 * abs(written), slack(written))
