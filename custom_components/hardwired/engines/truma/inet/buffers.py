"""Status and setting buffers: 41-byte messages between panel and box (spec b.6, d.1 - d.9, d.12).

Fields are raw integers here, little endian on the wire, named as in section d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from ..lin.frames import checksum

DOWNLOAD = 0xBB
UPLOAD_REQUEST = 0xBA
UPLOAD = 0xFA
FUNCTION = b"\x00\x1f\x00"
CONSTANT = b"\x00\x00\x22"
DIALECT = b"\x54\x01"
TRUMA_LENGTH = 0x1E
MESSAGE_SIZE = 41
PAYLOAD = 17
TAIL_FF = b"\xff\xff\xff"


class MessageId(IntEnum):
    """What a buffer holds."""

    INIT_REQUEST = 0x0A
    DEVICE = 0x0B
    ALDE_DEVICE = 0x0C
    ACKNOWLEDGE = 0x0D
    CLOCK_SET = 0x14
    CLOCK = 0x15
    CONFIG = 0x17
    HEATER_SET = 0x32
    HEATER = 0x33
    AC_MANUAL_SET = 0x34
    AC_MANUAL = 0x35
    AC_AUTO = 0x37
    TIMER_SET = 0x3C
    TIMER = 0x3D
    ALDE = 0x51
    ALDE_NIGHT = 0x55
    ALDE_DAY = 0x57


class Refusal(Enum):
    """Why a download is not accepted."""

    PREAMBLE = "preamble"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Buffer:
    """An accepted buffer: its message id, command counter, payload, and the tail to mirror."""

    message_id: int
    counter: int
    payload: bytes
    tail: bytes
    length: int = TRUMA_LENGTH


def read_buffer(message: bytes) -> Buffer | Refusal:
    """Return the buffer in a complete BB or FA message, or why it is refused (spec c.4).

    A download may say that it is longer than it is, as the Alde panel's device record does: what
    counts is the checksum over what is there.
    """
    if (
        len(message) < PAYLOAD
        or message[0] not in (DOWNLOAD, UPLOAD)
        or message[1:4] != FUNCTION
        or message[5:8] != CONSTANT
        or message[11:13] != DIALECT
    ):
        return Refusal.PREAMBLE
    length, size = message[4], message[13]
    end = min(11 + length, len(message)) if message[0] == DOWNLOAD else len(message)
    size = min(size, len(message) - PAYLOAD) if message[0] == DOWNLOAD else size
    if end < PAYLOAD or PAYLOAD + size > end:
        return Refusal.PREAMBLE
    if checksum(message[11:16] + message[PAYLOAD:end]) != message[16]:
        return Refusal.CHECKSUM
    return Buffer(
        message[14], message[15], message[PAYLOAD : PAYLOAD + size], message[8:11], length
    )


def build_buffer(
    service: int, message_id: int, counter: int, payload: bytes, tail: bytes = TAIL_FF
) -> bytes:
    """Return a whole message, padded to its size; an empty payload makes the short form (c.8)."""
    body = payload.ljust(MESSAGE_SIZE - PAYLOAD, b"\0") if payload else b""
    head = DIALECT + bytes((len(payload), message_id, counter))
    return (
        bytes((service,))
        + FUNCTION
        + bytes((TRUMA_LENGTH,))
        + CONSTANT
        + tail
        + head
        + bytes((checksum(head + body),))
        + body
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a payload stand: name, offset, bytes."""

    name: str
    size: int
    fields: tuple[tuple[str, int, int], ...]

    def read(self, payload: bytes) -> dict[str, int] | None:
        """Return the raw fields; ``None`` when the payload is too short."""
        if len(payload) < self.size:
            return None
        return {
            name: int.from_bytes(payload[start : start + size], "little")
            for name, start, size in self.fields
        }

    def write(self, values: Mapping[str, int], base: bytes = b"") -> bytes:
        """Return the payload with *values*; what they don't name is taken from *base*.

        Raises :class:`ValueError` for an unknown field or a number that does not fit.
        """
        payload = bytearray(base[: self.size].ljust(self.size, b"\0"))
        places = {name: (start, size) for name, start, size in self.fields}
        for name, value in values.items():
            if name not in places:
                raise ValueError(f"{self.name} has no field {name}")
            start, size = places[name]
            if not 0 <= value < 1 << 8 * size:
                raise ValueError(f"{name} does not take {value}")
            payload[start : start + size] = value.to_bytes(size, "little")
        return bytes(payload)


_SETTINGS = (
    ("target_temp_room", 0, 2),
    ("heating_mode", 2, 2),
    ("el_power_level_a", 4, 2),
    ("target_temp_water", 6, 2),
    ("el_power_level_b", 8, 2),
    ("energy_mix_a", 10, 1),
    ("energy_mix_b", 11, 1),
)

HEATER = Layout(
    "heater_status",
    20,
    (
        *_SETTINGS,
        ("current_temp_water", 12, 2),
        ("current_temp_room", 14, 2),
        ("operating_status", 16, 1),
        ("error_code", 17, 1),
        ("error_class", 18, 1),
        ("unknown_19", 19, 1),
    ),
)
HEATER_SET = Layout("heater", 12, _SETTINGS)
TIMER = Layout(
    "timer_status",
    24,
    (
        *_SETTINGS,
        ("active", 19, 1),
        ("start_minutes", 20, 1),
        ("start_hours", 21, 1),
        ("stop_minutes", 22, 1),
        ("stop_hours", 23, 1),
    ),
)
TIMER_SET = Layout(
    "timer",
    17,
    (
        *_SETTINGS,
        ("active", 12, 1),
        ("start_minutes", 13, 1),
        ("start_hours", 14, 1),
        ("stop_minutes", 15, 1),
        ("stop_hours", 16, 1),
    ),
)
_CLOCK = (
    ("hours", 0, 1),
    ("minutes", 1, 1),
    ("seconds", 2, 1),
    ("display_1", 3, 1),
    ("display_2", 4, 1),
    ("display_3", 5, 1),
    ("clock_mode", 6, 1),
    ("clock_source", 7, 1),
    ("display_4", 8, 1),
    ("display_5", 9, 1),
)
CLOCK = Layout("clock_status", 10, _CLOCK)
CLOCK_SET = Layout("clock", 10, _CLOCK)
CONFIG = Layout(
    "config_status",
    7,
    (
        ("brightness", 0, 1),
        ("language", 1, 1),
        ("ac_offset", 2, 2),
        ("temp_offset", 4, 2),
        ("temp_units", 6, 1),
    ),
)
AC_MANUAL = Layout(
    "ac_manual_status",
    18,
    (
        ("mode", 0, 1),
        ("vent", 2, 1),
        ("on", 3, 1),
        ("target_temp", 4, 2),
        ("current_temp", 8, 2),
        ("el_power_level", 12, 2),
        ("room_temp", 16, 2),
    ),
)
AC_MANUAL_SET = Layout(
    "ac_manual", 12, (("mode", 0, 1), ("vent", 2, 1), ("on", 3, 1), ("target_temp", 4, 2))
)
AC_AUTO = Layout(
    "ac_auto_status",
    18,
    (
        ("energy_mix_a", 0, 1),
        ("energy_mix_b", 2, 1),
        ("target_temp", 6, 2),
        ("el_power_level_a", 8, 2),
        ("el_power_level_b", 12, 2),
        ("current_temp", 14, 2),
        ("shown_target_temp", 16, 2),
    ),
)
ACKNOWLEDGE = Layout("ack", 1, (("result", 0, 1), ("unknown_1", 1, 1)))
ALDE = Layout(
    "alde_status",
    28,
    (
        ("on", 0, 1),
        ("target_temp_room", 2, 2),
        ("water", 6, 1),
        ("electric", 7, 1),
        ("gas", 8, 1),
        ("priority", 9, 1),
        ("current_temp_room", 16, 2),
        ("outside_temp", 20, 2),
    ),
)

STATUS_LAYOUTS: Mapping[int, Layout] = {
    MessageId.HEATER: HEATER,
    MessageId.TIMER: TIMER,
    MessageId.CLOCK: CLOCK,
    MessageId.CONFIG: CONFIG,
    MessageId.AC_MANUAL: AC_MANUAL,
    MessageId.AC_AUTO: AC_AUTO,
    MessageId.ACKNOWLEDGE: ACKNOWLEDGE,
    MessageId.ALDE: ALDE,
}
"""How the payload of a download is read, by message id."""


def is_status(buffer: Buffer) -> bool:
    """Whether a download is one that can be read: of a known id, and long enough."""
    layout = STATUS_LAYOUTS.get(buffer.message_id)
    return layout is not None and len(buffer.payload) >= layout.size


class Group(Enum):
    """What is uploaded together. In the order in which groups are sent (spec c.7 rule 9)."""

    HEATER = "heater"
    AC_MANUAL = "ac_manual"
    TIMER = "timer"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Upload:
    """How a group is sent: message id and layout of the upload, message id of its baseline."""

    message_id: int
    layout: Layout
    baseline_id: int


UPLOADS: Mapping[Group, Upload] = {
    Group.HEATER: Upload(MessageId.HEATER_SET, HEATER_SET, MessageId.HEATER),
    Group.AC_MANUAL: Upload(MessageId.AC_MANUAL_SET, AC_MANUAL_SET, MessageId.AC_MANUAL),
    Group.TIMER: Upload(MessageId.TIMER_SET, TIMER_SET, MessageId.TIMER),
    Group.CLOCK: Upload(MessageId.CLOCK_SET, CLOCK_SET, MessageId.CLOCK),
}

_TWINS = {
    "el_power_level": ("el_power_level_a", "el_power_level_b"),
    "energy_mix": ("energy_mix_a", "energy_mix_b"),
}


def with_twins(fields: Mapping[str, int]) -> dict[str, int]:
    """Return *fields* with ``el_power_level`` and ``energy_mix`` written in both their places."""
    result: dict[str, int] = {}
    for name, value in fields.items():
        for place in _TWINS.get(name, (name,)):
            result[place] = value
    return result


def settings_payload(group: Group, baseline: bytes, fields: Mapping[str, int]) -> bytes:
    """Return the payload that changes *fields* (raw) of *group* and leaves the rest as it was.

    *baseline* is the payload of the group's last status. Raises :class:`ValueError`.
    """
    upload = UPLOADS[group]
    status = STATUS_LAYOUTS[upload.baseline_id].read(baseline)
    if status is None:
        raise ValueError(f"the baseline of {group.value} is too short")
    known = {name for name, _, _ in upload.layout.fields}
    values = {name: value for name, value in status.items() if name in known}
    values |= with_twins(fields)
    if group is Group.CLOCK and not (1 <= values["display_1"] <= 8 and values["display_2"] == 1):
        # The panel refuses values that it never shows.
        values["display_1"] = values["display_2"] = 1
    if group is Group.AC_MANUAL:
        values["on"] = 1
    return upload.layout.write(values)


def with_settings(group: Group, status: bytes, fields: Mapping[str, int]) -> bytes:
    """Return the payload of a group's status as it will be with *fields*, which it takes."""
    layout = STATUS_LAYOUTS[UPLOADS[group].baseline_id]
    names = {name for name, _, _ in layout.fields}
    return layout.write({name: code for name, code in fields.items() if name in names}, status)


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What the panel knows of one device on the bus (spec d.8)."""

    count: int
    index: int
    state: int
    unknown_3: int
    hw_id: int
    hw_rev: int
    sw: tuple[int, int, int]
    build: int

    @property
    def online(self) -> bool:
        """Whether it answers the panel."""
        return self.state == 1


def read_device(payload: bytes) -> DeviceRecord | None:
    """Return the device record in the payload of message 0B; ``None`` when it is too short."""
    if len(payload) < 12:
        return None
    return DeviceRecord(
        count=payload[0],
        index=payload[1],
        state=payload[2],
        unknown_3=payload[3],
        hw_id=payload[4] | payload[5] << 8,
        hw_rev=payload[6],
        sw=(payload[7], payload[8], payload[9]),
        build=payload[10] | payload[11] << 8,
    )
