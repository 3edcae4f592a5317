"""Property data and values: the formats of SCOM (spec b.6).

A value is a ``bool``, an ``int``, a ``float`` (float32 widened), a ``str`` (texts, GUIDs) or
``bytes``.
"""

from __future__ import annotations

import math
import struct
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

WireValue: TypeAlias = bool | int | float | str | bytes

_FLOAT = struct.Struct("<f")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Format(StrEnum):
    """How a value lies in the property data."""

    BOOL = "BOOL"
    FORMAT = "FORMAT"
    SHORT_ENUM = "SHORT_ENUM"
    ERROR = "ERROR"
    LONG_ENUM = "LONG_ENUM"
    INT32 = "INT32"
    FLOAT = "FLOAT"
    STRING = "STRING"
    GUID = "GUID"
    BYTE_STREAM = "BYTE_STREAM"


_SIZES: dict[Format, int] = {
    Format.BOOL: 1,
    Format.FORMAT: 2,
    Format.SHORT_ENUM: 2,
    Format.ERROR: 2,
    Format.LONG_ENUM: 4,
    Format.INT32: 4,
    Format.FLOAT: 4,
    Format.GUID: 16,
}

TEXT_ENCODING = "iso8859-15"


class FormatError(ValueError):
    """Property data that are no value of their format. ``key``: ``length``, ``invalid_bool``."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def size_of(wire_format: Format) -> int | None:
    """Return how many bytes a format takes; ``None`` when it takes any number."""
    return _SIZES.get(wire_format)


def decode(wire_format: Format, data: bytes) -> WireValue:
    """Return the value in *data*. Raises :class:`FormatError`."""
    size = _SIZES.get(wire_format)
    if size is not None and len(data) != size:
        raise FormatError("length", f"{wire_format.value} takes {size} bytes, not {len(data)}")
    match wire_format:
        case Format.FLOAT:
            value: float = _FLOAT.unpack(data)[0]
            return value
        case Format.BOOL:
            if data[0] > 1:
                raise FormatError("invalid_bool", f"{data[0]} is neither 0 nor 1")
            return data[0] == 1
        case Format.FORMAT | Format.SHORT_ENUM | Format.ERROR | Format.LONG_ENUM:
            return int.from_bytes(data, "little")
        case Format.INT32:
            return int.from_bytes(data, "little", signed=True)
        case Format.GUID:
            return str(uuid.UUID(bytes=data[::-1]))
        case Format.STRING:
            return data.decode(TEXT_ENCODING)
        case Format.BYTE_STREAM:
            return bytes(data)


def encode(wire_format: Format, value: WireValue) -> bytes:
    """Return *value* as property data. Raises :class:`ValueError` when it does not fit."""
    match wire_format:
        case Format.FLOAT:
            return _encode_float(value)
        case Format.BOOL:
            return _encode_whole(value, 1, signed=False, highest=1)
        case Format.FORMAT | Format.SHORT_ENUM | Format.ERROR:
            return _encode_whole(value, 2, signed=False)
        case Format.LONG_ENUM:
            return _encode_whole(value, 4, signed=False)
        case Format.INT32:
            return _encode_whole(value, 4, signed=True)
        case Format.GUID:
            return uuid.UUID(_text(value)).bytes[::-1]
        case Format.STRING:
            return _text(value).encode(TEXT_ENCODING)
        case Format.BYTE_STREAM:
            if not isinstance(value, bytes):
                raise ValueError(f"bytes are needed, not {value!r}")
            return value


def _encode_float(value: WireValue) -> bytes:
    if isinstance(value, (str, bytes)):
        raise ValueError(f"a number is needed, not {value!r}")
    try:
        return _FLOAT.pack(value)
    except OverflowError as error:
        raise ValueError(f"{value!r} does not fit a FLOAT") from error


def _encode_whole(
    value: WireValue, size: int, *, signed: bool, highest: int | None = None
) -> bytes:
    if isinstance(value, (str, bytes)) or not math.isfinite(value) or value != int(value):
        raise ValueError(f"a whole number is needed, not {value!r}")
    number = int(value)
    if highest is not None and number > highest:
        raise ValueError(f"{number} is more than {highest}")
    try:
        return number.to_bytes(size, "little", signed=signed)
    except OverflowError as error:
        raise ValueError(f"{number} does not fit {size} bytes") from error


def _text(value: WireValue) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text is needed, not {value!r}")
    return value


def shortest(value: float) -> float:
    """Return the number with the fewest decimals that is the same float32.

    The wire knows 52.4 as 52.400001525878906; people do not.
    """
    if not math.isfinite(value):
        return value
    wanted = _FLOAT.pack(value)
    for digits in (6, 7, 8):
        candidate = float(f"{value:.{digits}g}")
        if abs(candidate) <= 3.4028234e38 and _FLOAT.pack(candidate) == wanted:
            return candidate
    return float(f"{value:.9g}")


def exact_integer(value: float) -> int | None:
    """Return an enum that travelled as a FLOAT; ``None`` when it is no whole number."""
    return int(value) if math.isfinite(value) and value == int(value) else None


def _half(value: float) -> int | None:
    number = exact_integer(value)
    return number if number is not None and 0 <= number <= 0xFFFF else None


def software_version(msb: float, lsb: float) -> str | None:
    """Return ``major.minor.revision``; ``None`` when the two numbers are no version."""
    high, low = _half(msb), _half(lsb)
    if high is None or low is None:
        return None
    return f"{high >> 8}.{low >> 8}.{low & 0xFF}"


def factory_id(msb: float, lsb: float) -> str | None:
    """Return the FID, eight hexadecimal digits; ``None`` when the two numbers are none."""
    high, low = _half(msb), _half(lsb)
    if high is None or low is None:
        return None
    return f"{high:04X}{low:04X}"


def hardware_version(id_hw: float, id_hw_power: float | None = None) -> str | None:
    """Return ``a.b / c.d`` of the command and the power board."""
    boards = []
    for value in (id_hw, id_hw_power):
        if value is None:
            continue
        number = _half(value)
        if number is None:
            return None
        boards.append(f"{number >> 8}.{number & 0xFF}")
    return " / ".join(boards)


def plant_time(seconds: int) -> datetime:
    """Return the wall clock of the plant as a datetime *without* a zone (spec b.6)."""
    return datetime.fromtimestamp(seconds & 0xFFFFFFFF, UTC).replace(tzinfo=None)


def plant_seconds(moment: datetime) -> int:
    """Return a wall-clock time (its zone is ignored) as the plant counts it."""
    return int((moment.replace(tzinfo=UTC) - _EPOCH).total_seconds())
