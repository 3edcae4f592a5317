"""Messages of the plant: what object type 3 answers, and what the numbers mean (spec c.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from struct import Struct

from .frame import GATEWAY_ADDRESS, ObjectType, Request, Service
from .values import plant_time

_LAYOUT = Struct("<IHII4s")
SIZE = _LAYOUT.size


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    HALTED = "halted"
    """The unit has stopped."""


class Topology(StrEnum):
    """What a message says about the devices on the bus."""

    XT_STARTED = "xt_started"
    XT_SYNC = "xt_sync"
    TOO_MANY_XT = "too_many_xt"
    TARGET_UNREACHABLE = "target_unreachable"
    VT_SYNC = "vt_sync"
    RCC_COMM_LOSS = "rcc_comm_loss"
    XT_COMM_LOSS = "xt_comm_loss"
    BSP_COMM_LOSS = "bsp_comm_loss"
    VT_COMM_LOSS = "vt_comm_loss"
    VS_COMM_LOSS = "vs_comm_loss"
    VS_SYNC = "vs_sync"
    XCOM_RESET = "xcom_reset"
    CAN_FAULT = "can_fault"
    BMS_COMM_LOSS = "bms_comm_loss"
    BMS_COMM_RESTORED = "bms_comm_restored"
    XCOM_CAN_COMM_LOSS = "xcom_can_comm_loss"


@dataclass(frozen=True, slots=True)
class MessageText:
    """What a number means."""

    number: int
    severity: Severity
    text: str
    topology: Topology | None = None

    @property
    def key(self) -> str:
        """The key of its translated text."""
        return f"message_{self.number}"


@dataclass(frozen=True, slots=True)
class PlantMessage:
    """One entry of the gateway's memory. ``time`` is the plant's wall clock, without a zone."""

    total: int
    number: int
    source: int
    timestamp: int
    value: bytes = bytes(4)

    @property
    def time(self) -> datetime:
        """When it happened."""
        return plant_time(self.timestamp)

    @property
    def identity(self) -> tuple[int, int, int]:
        """What identifies it: source, time, number."""
        return (self.source, self.timestamp, self.number)

    @property
    def meaning(self) -> MessageText:
        """Its text and severity; a bare number when it is not in the table."""
        return meaning(self.number)

    def encode(self) -> bytes:
        """Return the property data."""
        return _LAYOUT.pack(self.total, self.number, self.source, self.timestamp, self.value)


def decode(data: bytes) -> PlantMessage:
    """Return the message in an answer. Raises :class:`ValueError` for a wrong length."""
    if len(data) != SIZE:
        raise ValueError(f"a message has {SIZE} bytes, not {len(data)}")
    return PlantMessage(*_LAYOUT.unpack(data))


def read_message(index: int) -> Request:
    """Return the request for a message; 0 is the newest, and clears the pending flag."""
    return Request(GATEWAY_ADDRESS, Service.READ, ObjectType.MESSAGE, index, 0)


@cache
def table() -> dict[int, MessageText]:
    """Return all known messages by number."""
    from .message_table import MESSAGES  # noqa: PLC0415

    return {
        number: MessageText(
            number, Severity(severity), text, None if topology is None else Topology(topology)
        )
        for number, severity, text, topology in MESSAGES
    }


def meaning(number: int) -> MessageText:
    """Return what a number means."""
    found = table().get(number)
    return found or MessageText(number, Severity.INFO, f"Message {number}")
