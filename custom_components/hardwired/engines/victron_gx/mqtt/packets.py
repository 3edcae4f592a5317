"""The packets of MQTT 3.1.1: bytes to packets and back, without a socket.

A message larger than the limit is skipped without being kept, so that one publisher can't fill
the memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias

LARGEST_TEXT = 65_535
LARGEST_PACKET = 268_435_455


class Kind(IntEnum):
    """What a packet is."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


_NUMBERED = frozenset({Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP, Kind.UNSUBACK})


class Malformed(ValueError):
    """What came is no MQTT; the connection must be closed."""


class Will(NamedTuple):
    """What the broker publishes when the client is gone."""

    topic: str
    payload: bytes
    qos: int = 1


class Connack(NamedTuple):
    """The broker's answer to CONNECT; 0 is yes."""

    code: int


class Publish(NamedTuple):
    """A message. ``packet_id`` is 0 with QoS 0. ``payload`` is ``None`` when it was too large."""

    topic: str
    payload: bytes | None
    qos: int = 0
    retain: bool = False
    packet_id: int = 0


class Ack(NamedTuple):
    """PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK."""

    kind: Kind
    packet_id: int


class Suback(NamedTuple):
    """The answer to SUBSCRIBE: the QoS granted for each filter, 128 is a refusal."""

    packet_id: int
    granted: tuple[int, ...]


class Pong(NamedTuple):
    """The answer to a ping."""


Packet: TypeAlias = Connack | Publish | Ack | Suback | Pong


def text(value: str) -> bytes:
    """Return a text with its length. Raises :class:`ValueError` for what can be none."""
    data = value.encode()
    if len(data) > LARGEST_TEXT or "\0" in value:
        raise ValueError("no text for MQTT")
    return struct.pack("!H", len(data)) + data


def packet(kind: Kind, flags: int, body: bytes) -> bytes:
    """Return a whole packet."""
    length, coded = len(body), bytearray()
    if length > LARGEST_PACKET:
        raise ValueError(f"a packet of {length} bytes")
    while True:
        length, digit = divmod(length, 128)
        coded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes((kind << 4 | flags,)) + bytes(coded) + body


def connect(
    client_id: str,
    keep_alive: int,
    will: Will | None = None,
    user: str | None = None,
    password: str | None = None,
) -> bytes:
    """Return CONNECT with a clean session."""
    flags, tail = 0x02, text(client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3
        tail += text(will.topic) + struct.pack("!H", len(will.payload)) + will.payload
    if user is not None:
        flags |= 0x80
        tail += text(user)
        if password is not None:
            flags |= 0x40
            tail += text(password)
    return packet(Kind.CONNECT, 0, text("MQTT") + struct.pack("!BBH", 4, flags, keep_alive) + tail)


def publish(message: Publish) -> bytes:
    """Return PUBLISH. Raises :class:`ValueError` for a topic that none can be."""
    if not message.topic or "+" in message.topic or "#" in message.topic:
        raise ValueError("no topic to publish on")
    body = text(message.topic)
    if message.qos:
        body += struct.pack("!H", message.packet_id)
    flags = message.qos << 1 | int(message.retain)
    return packet(Kind.PUBLISH, flags, body + (message.payload or b""))


def ack(kind: Kind, packet_id: int) -> bytes:
    """Return PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return packet(kind, 2 if kind is Kind.PUBREL else 0, struct.pack("!H", packet_id))


def subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """Return SUBSCRIBE; filters with the QoS wanted."""
    body = b"".join(text(topic) + bytes((qos,)) for topic, qos in filters)
    return packet(Kind.SUBSCRIBE, 2, struct.pack("!H", packet_id) + body)


def ping() -> bytes:
    """Return PINGREQ."""
    return packet(Kind.PINGREQ, 0, b"")


def disconnect() -> bytes:
    """Return DISCONNECT."""
    return packet(Kind.DISCONNECT, 0, b"")


class Decoder:
    """Turns a broker's bytes into packets."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._buffer = bytearray()
        self._skip = 0

    def receive_data(self, data: bytes) -> list[Packet]:
        """Take bytes and return the packets that are complete. Raises :class:`Malformed`."""
        self._buffer += data
        return list(self._packets())

    def _packets(self) -> Iterator[Packet]:
        while True:
            if self._skip:
                gone = min(self._skip, len(self._buffer))
                del self._buffer[:gone]
                self._skip -= gone
                if self._skip:
                    return
            found = self._next()
            if found is None:
                return
            yield found

    def _next(self) -> Packet | None:
        head = self._head()
        if head is None:
            return None
        start, length = head
        kind, flags = self._buffer[0] >> 4, self._buffer[0] & 15
        if length > self._largest:
            if kind != Kind.PUBLISH:
                raise Malformed(f"a packet of kind {kind} with {length} bytes")
            return self._too_large(start, length, flags)
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return decode(kind, flags, body)

    def _head(self) -> tuple[int, int] | None:
        """Return where the body begins and its length; ``None`` when that can't be told yet."""
        length = 0
        for index in range(1, 5):
            if index >= len(self._buffer):
                return None
            digit = self._buffer[index]
            length |= (digit & 0x7F) << 7 * (index - 1)
            if not digit & 0x80:
                return index + 1, length
        raise Malformed("a length of more than four bytes")

    def _too_large(self, start: int, length: int, flags: int) -> Publish | None:
        """Read topic and number of a message that is too large, and skip the rest."""
        if len(self._buffer) < start + 2:
            return None
        need = 2 + struct.unpack_from("!H", self._buffer, start)[0] + (2 if flags & 6 else 0)
        if need > length:
            raise Malformed("a topic longer than its packet")
        if len(self._buffer) < start + need:
            return None
        message = _decode_publish(flags, bytes(self._buffer[start : start + need]))
        del self._buffer[: start + need]
        self._skip = length - need
        return message._replace(payload=None)


def decode(kind: int, flags: int, body: bytes) -> Packet:
    """Return a packet of a broker. Raises :class:`Malformed`."""
    if kind == Kind.PUBLISH:
        return _decode_publish(flags, body)
    if kind == Kind.CONNACK and len(body) == 2:
        return Connack(body[1])
    if kind in _NUMBERED and len(body) == 2:
        return Ack(Kind(kind), struct.unpack("!H", body)[0])
    if kind == Kind.SUBACK and len(body) > 2:
        return Suback(struct.unpack_from("!H", body)[0], tuple(body[2:]))
    if kind == Kind.PINGRESP and not body:
        return Pong()
    raise Malformed(f"a packet of kind {kind} with {len(body)} bytes")


def _decode_publish(flags: int, body: bytes) -> Publish:
    qos = flags >> 1 & 3
    if len(body) < 2 or qos == 3:
        raise Malformed("a PUBLISH that is none")
    end = 2 + struct.unpack_from("!H", body)[0]
    start = end + (2 if qos else 0)
    if start > len(body):
        raise Malformed("a topic longer than its packet")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError:
        raise Malformed("a topic that is no text") from None
    number = struct.unpack_from("!H", body, end)[0] if qos else 0
    return Publish(topic, body[start:], qos, bool(flags & 1), number)
