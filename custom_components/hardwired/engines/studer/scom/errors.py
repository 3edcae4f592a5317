"""Error codes of SCOM and how to react to each (spec b.9)."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from .families import Family


class ErrorCode(IntEnum):
    """The number that an error answer carries."""

    INVALID_FRAME = 0x0001
    DEVICE_NOT_FOUND = 0x0002
    RESPONSE_TIMEOUT = 0x0003
    SERVICE_NOT_SUPPORTED = 0x0011
    INVALID_SERVICE_ARGUMENT = 0x0012
    GATEWAY_BUSY = 0x0013
    TYPE_NOT_SUPPORTED = 0x0021
    OBJECT_ID_NOT_FOUND = 0x0022
    PROPERTY_NOT_SUPPORTED = 0x0023
    INVALID_DATA_LENGTH = 0x0024
    PROPERTY_IS_READ_ONLY = 0x0025
    INVALID_DATA = 0x0026
    DATA_TOO_SMALL = 0x0027
    DATA_TOO_BIG = 0x0028
    WRITE_PROPERTY_FAILED = 0x0029
    READ_PROPERTY_FAILED = 0x002A
    ACCESS_DENIED = 0x002B
    OBJECT_NOT_SUPPORTED = 0x002C
    MULTICAST_READ_NOT_SUPPORTED = 0x002D
    OBJECT_PROPERTY_INVALID = 0x002E
    FILE_OR_DIR_NOT_PRESENT = 0x002F
    FILE_CORRUPTED = 0x0030
    INVALID_SHELL_ARG = 0x0081
    """Of the manufacturer's own tools; never on the wire."""


class Remedy(StrEnum):
    """What to do about an error."""

    RETRY = "retry"
    """Ask once more."""
    WAIT = "wait"
    """Ask again after a pause."""
    ABSENT = "absent"
    """The device is not there; asking again is useless."""
    FEATURE_OFF = "feature_off"
    """This firmware can't do it at all."""
    UNSUPPORTED = "unsupported"
    """This device does not have the datapoint, or not this property of it."""
    DOUBTFUL = "doubtful"
    """Perhaps this device does not have the datapoint; believed when the error repeats."""
    TELL = "tell"
    """The owner's command was refused."""
    OUR_FAULT = "our_fault"
    """Our request was wrong."""
    END = "end"
    """A file transfer ends."""
    UNKNOWN = "unknown"
    """An undocumented number."""


_REMEDIES = {
    ErrorCode.INVALID_FRAME: Remedy.RETRY,
    ErrorCode.DEVICE_NOT_FOUND: Remedy.ABSENT,
    ErrorCode.RESPONSE_TIMEOUT: Remedy.RETRY,
    ErrorCode.SERVICE_NOT_SUPPORTED: Remedy.FEATURE_OFF,
    ErrorCode.INVALID_SERVICE_ARGUMENT: Remedy.OUR_FAULT,
    ErrorCode.GATEWAY_BUSY: Remedy.WAIT,
    ErrorCode.TYPE_NOT_SUPPORTED: Remedy.FEATURE_OFF,
    ErrorCode.OBJECT_ID_NOT_FOUND: Remedy.UNSUPPORTED,
    ErrorCode.PROPERTY_NOT_SUPPORTED: Remedy.UNSUPPORTED,
    ErrorCode.INVALID_DATA_LENGTH: Remedy.OUR_FAULT,
    ErrorCode.PROPERTY_IS_READ_ONLY: Remedy.TELL,
    ErrorCode.INVALID_DATA: Remedy.TELL,
    ErrorCode.DATA_TOO_SMALL: Remedy.TELL,
    ErrorCode.DATA_TOO_BIG: Remedy.TELL,
    ErrorCode.WRITE_PROPERTY_FAILED: Remedy.RETRY,
    ErrorCode.READ_PROPERTY_FAILED: Remedy.RETRY,
    ErrorCode.ACCESS_DENIED: Remedy.TELL,
    ErrorCode.OBJECT_NOT_SUPPORTED: Remedy.UNSUPPORTED,
    ErrorCode.MULTICAST_READ_NOT_SUPPORTED: Remedy.OUR_FAULT,
    ErrorCode.OBJECT_PROPERTY_INVALID: Remedy.END,
    ErrorCode.FILE_OR_DIR_NOT_PRESENT: Remedy.END,
    ErrorCode.FILE_CORRUPTED: Remedy.END,
}


def error_name(code: int) -> str:
    """Return the manufacturer's name of an error; ``UNKNOWN`` when there is none."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return "UNKNOWN"


def remedy(code: int) -> Remedy:
    """Return what to do about an error on a write, or on a read of no special kind."""
    try:
        return _REMEDIES.get(ErrorCode(code), Remedy.UNKNOWN)
    except ValueError:
        return Remedy.UNKNOWN


_DOUBTFUL = frozenset(
    {
        ErrorCode.SERVICE_NOT_SUPPORTED,
        ErrorCode.TYPE_NOT_SUPPORTED,
        ErrorCode.PROPERTY_NOT_SUPPORTED,
        ErrorCode.INVALID_DATA,
        ErrorCode.ACCESS_DENIED,
    }
)


def remedy_of_read(code: int, family: Family | None = None) -> Remedy:
    """Return what to do about an error on the read of a datapoint of a device of this family.

    A BSP calls the data invalid when it is asked for what only an Xcom-CAN has.
    """
    if code == ErrorCode.INVALID_DATA and family is Family.BSP:
        return Remedy.UNSUPPORTED
    return Remedy.DOUBTFUL if code in _DOUBTFUL else remedy(code)
