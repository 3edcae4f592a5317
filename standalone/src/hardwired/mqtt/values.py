"""Values as texts, and texts as what is wished (spec c.5, c.6)."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal

from hardwired_engines.engine import InvalidCommand
from hardwired_engines.fields import Field, Quantity, Value

from .message import exact, shortest

ON, OFF = "ON", "OFF"
ONLINE, OFFLINE = "online", "offline"
PRESS = "PRESS"
UNKNOWN = "None"
"""What Home Assistant's MQTT entities take for "no value"."""

LONGEST_TEXT = 255
LONGEST_NUMBER = 64
LONGEST_PAYLOAD = 1024
"""Bytes of a command."""

_TRUE = frozenset({"on", "true", "1", "yes"})
_FALSE = frozenset({"off", "false", "0", "no"})
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_EVEN)


def number_text(value: float, precision: int | None = None) -> str:
    """Return a finite number in its shortest decimal form: ``230``, ``-72``, ``49.86``.

    Rounded half-even to *precision* decimals where given. Never an exponent, never ``-0``.
    Raises :class:`ValueError` for nan and infinity.
    """
    number = exact(value)
    if precision is not None:
        number = number.quantize(Decimal(1).scaleb(-precision), context=_ROUNDING)
    return shortest(number)


def clean(text: str) -> str:
    """Return a text in which every unprintable character is a blank, trimmed and cut."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return text.strip()[:LONGEST_TEXT]


def text_of(field: Field, value: Value | None, zone: tzinfo | None = None) -> str:
    """Return a value as its topic shows it; :data:`UNKNOWN` when there is none.

    *zone* is the link's, for times that do not say theirs; ``None``: the system's.
    """
    match value:
        case bool():
            return ON if value else OFF
        case int() | float():
            return _number(field, value)
        case datetime():
            return aware(value, zone).isoformat()
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds" if value.second else "minutes")
        case str():
            if field.quantity is Quantity.OPTION and field.options and value not in field.options:
                return UNKNOWN
            return clean(value) or UNKNOWN
        case _:
            return UNKNOWN


def _number(field: Field, value: float) -> str:
    try:
        found = number_text(value, field.precision)
    except (ValueError, ArithmeticError):
        return UNKNOWN
    return found if len(found) <= LONGEST_NUMBER else UNKNOWN


def aware(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """Return *moment* with a zone: its own, else *zone*, else the system's."""
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


class BadPayload(InvalidCommand):
    """A command's payload can't be taken for a value; ``key`` says which kind of wrong."""


def read_payload(name: str, payload: bytes) -> str:
    """Return a command's payload as a printable text, trimmed.

    Raises :class:`BadPayload` with the keys ``too_large`` and ``bad_request``.
    """
    if len(payload) > LONGEST_PAYLOAD:
        raise BadPayload(f"{name} takes at most {LONGEST_PAYLOAD} bytes", key="too_large")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise BadPayload(f"{name} takes UTF-8", key="bad_request") from None
    text = text.strip()
    if not text.isprintable():
        raise BadPayload(f"{name} takes printable characters", key="bad_request")
    return text


def read_wish(field: Field, payload: bytes, zone: tzinfo | None = None) -> Value:
    """Return the value that a command wishes for a field as it is now.

    Raises :class:`BadPayload`; its text is for people, its ``key`` for programs (spec c.6).
    """
    if not field.writable:
        raise BadPayload(f"{field.key} can't be written", key="not_writable")
    return checked(field, _meant(field, read_payload(field.key, payload), zone))


def checked(field: Field, value: Value) -> Value:
    """Return a value that the field takes. Raises :class:`BadPayload`."""
    if not field.writable:
        raise BadPayload(f"{field.key} can't be written", key="not_writable")
    try:
        return field.check(value)
    except ValueError as error:
        raise BadPayload(str(error)) from None


def _meant(field: Field, text: str, zone: tzinfo | None) -> Value:
    if field.numeric:
        return _meant_number(field, text)
    if field.binary:
        if text.lower() not in _TRUE | _FALSE:
            raise BadPayload(f"{field.key} takes {ON} or {OFF}")
        return text.lower() in _TRUE
    match field.quantity:
        case Quantity.SIGNAL:
            if text.lower() not in _TRUE | {PRESS.lower()}:
                raise BadPayload(f"{field.key} is triggered by {PRESS}")
            return True
        case Quantity.CLOCK_TIME:
            if not _CLOCK_TIME.fullmatch(text):
                raise BadPayload(f"{field.key} takes a time of day such as 07:30")
            return time.fromisoformat(text)
        case Quantity.TIMESTAMP:
            return _meant_moment(field, text, zone)
        case Quantity.OPTION if len(text) > LONGEST_NUMBER and text not in field.options:
            return text[:LONGEST_NUMBER]
        case Quantity.TEXT if len(text) > LONGEST_TEXT:
            raise BadPayload(f"{field.key} takes at most {LONGEST_TEXT} characters")
        case _:
            return text


def _meant_number(field: Field, text: str) -> float:
    if len(text) <= LONGEST_NUMBER and _NUMBER.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
    raise BadPayload(f"{field.key} takes a number")


def _meant_moment(field: Field, text: str, zone: tzinfo | None) -> datetime:
    wrong = BadPayload(f"{field.key} takes a date and time such as 2026-01-31T07:30")
    try:
        date.fromisoformat(text)
    except ValueError:
        pass
    else:
        raise wrong
    try:
        return aware(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError, OSError):
        raise wrong from None
