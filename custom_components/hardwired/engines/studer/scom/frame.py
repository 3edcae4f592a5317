"""Frames of SCOM: what is written on the wire and read from it (spec b.1 to b.4, b.7).

A frame is 16 + N bytes: a header of 14 with its own checksum, N bytes of data, a checksum of
the data. All integers are little endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import lru_cache
from itertools import accumulate
from struct import Struct
from typing import NamedTuple

START = 0xAA
HEADER_SIZE = 14
OVERHEAD = 16
SERVICE_HEADER_SIZE = 10
MIN_DATA_LENGTH = 2
MAX_DATA_LENGTH = 2048
"""Longest data that is accepted."""
MAX_SENT_LENGTH = 240
"""Longest data that is sent."""
OUR_ADDRESS = 1
GATEWAY_ADDRESS = 501

HEADER = Struct("<BBIIHBB")
_HEADER_BODY = Struct("<BIIH")
_SERVICE = Struct("<BBHIH")


class FrameFlags(IntFlag):
    """What the gateway reports of itself in each answer."""

    MESSAGE_PENDING = 0x01
    RESTARTED = 0x02
    SD_PRESENT = 0x04
    SD_FULL = 0x08
    NEW_DATALOG_FILE = 0x10
    DATALOG_SUPPORTED = 0x20


class ServiceFlags(IntFlag):
    """Bits of the first byte of the data; the others are reserved and ignored."""

    ERROR = 0x01
    RESPONSE = 0x02


# Plain numbers: an IntFlag's operators cost more than the rest of a frame's decoding.
_ERROR = int(ServiceFlags.ERROR)
_RESPONSE = int(ServiceFlags.RESPONSE)


class Service(IntEnum):
    """What is asked."""

    READ = 1
    WRITE = 2


class ObjectType(IntEnum):
    """What is asked about."""

    INFO = 0x0001
    PARAMETER = 0x0002
    MESSAGE = 0x0003
    GUID = 0x0004
    DATALOG_FIELD = 0x0005
    MULTI_INFO = 0x000A
    SCREEN = 0x0100
    FILE_TRANSFER = 0x0101


class InfoProperty(IntEnum):
    """Properties of a user info."""

    VALUE = 1


class ParameterProperty(IntEnum):
    """Properties of a parameter."""

    VALUE = 5
    """In flash, guaranteed for 1000 writes."""
    MIN = 6
    MAX = 7
    LEVEL = 8
    UNSAVED_VALUE = 13
    """In RAM only."""


class Level(IntEnum):
    """Who may see or change a parameter: the answer to property LEVEL."""

    VIEW_ONLY = 0x00
    BASIC = 0x10
    EXPERT = 0x20
    INSTALLER = 0x30
    QSP = 0x40


def checksum(data: bytes | bytearray | memoryview) -> bytes:
    """Return the two bytes A, B over *data* (spec b.3)."""
    running = tuple(accumulate(data, initial=0xFF))
    return bytes((running[-1] & 0xFF, (sum(running) - 0xFF) & 0xFF))


class Body(NamedTuple):
    """The data of a frame taken apart."""

    service_flags: int
    service: int
    object_type: int
    object_id: int
    property_id: int
    data: bytes

    @property
    def is_response(self) -> bool:
        """Whether this is an answer."""
        return self.service_flags & _RESPONSE != 0

    @property
    def is_error(self) -> bool:
        """Whether the answer is an error."""
        return self.service_flags & _ERROR != 0

    @property
    def error_code(self) -> int | None:
        """The number of the error; ``None`` when this is none, or one of a wrong length."""
        if not self.is_error or len(self.data) != 2:
            return None
        return int.from_bytes(self.data, "little")

    def encode(self) -> bytes:
        """Return the data of a frame."""
        return (
            _SERVICE.pack(
                self.service_flags,
                self.service,
                self.object_type,
                self.object_id,
                self.property_id,
            )
            + self.data
        )


class Frame(NamedTuple):
    """A frame whose checksums were right."""

    flags: int
    source: int
    destination: int
    data: bytes

    def body(self) -> Body | None:
        """Return the data taken apart; ``None`` when they are too short to be a service."""
        if len(self.data) < SERVICE_HEADER_SIZE:
            return None
        flags, service, kind, number, prop = _SERVICE.unpack_from(self.data)
        return Body(flags, service, kind, number, prop, self.data[SERVICE_HEADER_SIZE:])

    def encode(self) -> bytes:
        """Return the bytes of the frame, both checksums included."""
        header = _HEADER_BODY.pack(self.flags, self.source, self.destination, len(self.data))
        return b"".join((b"\xaa", header, checksum(header), self.data, checksum(self.data)))


@dataclass(frozen=True, slots=True)
class Request:
    """One request of ours. Raises :class:`ValueError` when it can't be sent."""

    destination: int
    service: Service
    object_type: int
    object_id: int
    property_id: int
    data: bytes = b""
    source: int = OUR_ADDRESS

    def __post_init__(self) -> None:
        if SERVICE_HEADER_SIZE + len(self.data) > MAX_SENT_LENGTH:
            raise ValueError(
                f"{len(self.data)} bytes of data make a frame longer than is ever sent"
            )

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return _encoded(self)

    def answer(self, data: bytes = b"", *, flags: int = 0, property_id: int | None = None) -> Frame:
        """Return the answer of a device to this request."""
        return self._reply(ServiceFlags.RESPONSE, data, flags, property_id)

    def error(self, code: int, *, flags: int = 0) -> Frame:
        """Return the error answer of a device to this request."""
        data = code.to_bytes(2, "little")
        return self._reply(ServiceFlags.RESPONSE | ServiceFlags.ERROR, data, flags, None)

    def _reply(self, service: int, data: bytes, flags: int, property_id: int | None) -> Frame:
        body = self._body(service, data, property_id)
        return Frame(flags, self.destination, self.source, body)

    def _body(self, service_flags: int, data: bytes, property_id: int | None = None) -> bytes:
        return Body(
            service_flags,
            self.service,
            self.object_type,
            self.object_id,
            self.property_id if property_id is None else property_id,
            data,
        ).encode()

    @classmethod
    def of(cls, frame: Frame) -> Request | None:
        """Return the request in *frame*; ``None`` when it is an answer or no known service."""
        body = frame.body()
        if body is None or body.is_response or body.service not in (Service.READ, Service.WRITE):
            return None
        if len(frame.data) > MAX_SENT_LENGTH:
            return None
        return cls(
            frame.destination,
            Service(body.service),
            body.object_type,
            body.object_id,
            body.property_id,
            body.data,
            frame.source,
        )


@lru_cache(4096)
def _encoded(request: Request) -> bytes:
    """Return the bytes of a request: a plan asks the same questions again and again."""
    body = request._body(0, request.data)  # noqa: SLF001
    return Frame(0, request.source, request.destination, body).encode()


@lru_cache(4096)
def read_info(address: int, info: int) -> Request:
    """Return the request for the value of a user info."""
    return Request(address, Service.READ, ObjectType.INFO, info, InfoProperty.VALUE)


@lru_cache(4096)
def read_parameter(
    address: int, parameter: int, property_id: int = ParameterProperty.VALUE
) -> Request:
    """Return the request for a property of a parameter."""
    return Request(address, Service.READ, ObjectType.PARAMETER, parameter, property_id)


def write_parameter(
    address: int,
    parameter: int,
    data: bytes,
    property_id: int = ParameterProperty.UNSAVED_VALUE,
) -> Request:
    """Return the request that writes a parameter, into RAM unless told otherwise."""
    return Request(address, Service.WRITE, ObjectType.PARAMETER, parameter, property_id, data)
