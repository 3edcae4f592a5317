"""The packets of MQTT 3.1.1: what the driver sends and what a broker sends.

The decoder takes bytes in any portions. A message larger than its limit is skipped without
being kept, so that one publisher can't fill the GX's memory.
"""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple, Sequence, Union

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)

LARGEST_TOPIC = 65535
LARGEST_PACKET = 268435455
_ACKS = (PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK)


class Malformed(ValueError):
    """The broker sent what is no MQTT; the connection must be closed."""


class Will(NamedTuple):
    """What the broker publishes when the driver is gone."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Connack(NamedTuple):
    """The broker's answer to CONNECT; 0 is yes."""

    code: int


class Publish(NamedTuple):
    """A message. ``packet_id`` is 0 with QoS 0. ``payload`` is None when it was too large."""

    topic: str
    payload: bytes | None
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    packet_id: int = 0


class Ack(NamedTuple):
    """PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK."""

    kind: int
    packet_id: int


class Suback(NamedTuple):
    """The answer to SUBSCRIBE: the QoS granted for each filter, 128 is a refusal."""

    packet_id: int
    granted: tuple[int, ...]


class Pong(NamedTuple):
    """The answer to a ping."""


Packet = Union[Connack, Publish, Ack, Suback, Pong]


def _text(value: str) -> bytes:
    data = value.encode("utf-8")
    if len(data) > LARGEST_TOPIC or "\0" in value:
        raise ValueError(f"no text for MQTT: {value[:60]!r}")
    return struct.pack("!H", len(data)) + data


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    length, coded = len(body), bytearray()
    if length > LARGEST_PACKET:
        raise ValueError(f"packet of {length} bytes")
    while True:
        length, digit = divmod(length, 128)
        coded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes((kind << 4 | flags,)) + bytes(coded) + body


def connect(
    client_id: str,
    keep_alive: int = 60,
    will: Will | None = None,
    user: str | None = None,
    password: str | None = None,
) -> bytes:
    """Return CONNECT with a clean session."""
    flags = 0x02
    tail = _text(client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        tail += _text(will.topic) + struct.pack("!H", len(will.payload)) + will.payload
    if user is not None:
        flags |= 0x80
        tail += _text(user)
        if password is not None:
            flags |= 0x40
            tail += _text(password)
    head = _text("MQTT") + struct.pack("!BBH", 4, flags, keep_alive)
    return _packet(CONNECT, 0, head + tail)


def publish(message: Publish) -> bytes:
    """Return PUBLISH; raises ValueError for a topic that none can be."""
    if not message.topic or "+" in message.topic or "#" in message.topic:
        raise ValueError(f"no topic to publish on: {message.topic[:60]!r}")
    body = _text(message.topic)
    if message.qos:
        body += struct.pack("!H", message.packet_id)
    flags = (8 if message.duplicate else 0) | message.qos << 1 | int(message.retain)
    return _packet(PUBLISH, flags, body + (message.payload or b""))


def ack(kind: int, packet_id: int) -> bytes:
    """Return PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return _packet(kind, 2 if kind == PUBREL else 0, struct.pack("!H", packet_id))


def subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """Return SUBSCRIBE; filters with the QoS wanted."""
    body = b"".join(_text(topic) + bytes((qos,)) for topic, qos in filters)
    return _packet(SUBSCRIBE, 2, struct.pack("!H", packet_id) + body)


def unsubscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """Return UNSUBSCRIBE."""
    return _packet(UNSUBSCRIBE, 2, struct.pack("!H", packet_id) + b"".join(map(_text, filters)))


def ping() -> bytes:
    """Return PINGREQ."""
    return _packet(PINGREQ, 0, b"")


def disconnect() -> bytes:
    """Return DISCONNECT."""
    return _packet(DISCONNECT, 0, b"")


class Decoder:
    """Turns a broker's bytes into packets."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._buffer = bytearray()
        self._skip = 0

    def receive_data(self, data: bytes) -> list[Packet]:
        """Take bytes and return the packets that are complete; raises Malformed."""
        self._buffer += data
        return list(self._packets())

    def _packets(self) -> Iterator[Packet]:
        while True:
            if self._skip:
                gone = min(self._skip, len(self._buffer))
                del self._buffer[:gone]
                self._skip -= gone
            found = self._next()
            if found is None:
                return
            if found != ():
                yield found  # type: ignore[misc]

    def _next(self) -> Packet | tuple[()] | None:
        """Return a packet, () for one to be passed over, None when more bytes are needed."""
        head = self._head()
        if head is None:
            return None
        start, length = head
        kind, flags = self._buffer[0] >> 4, self._buffer[0] & 15
        if length > self._largest and kind != PUBLISH:
            raise Malformed(f"packet of kind {kind} with {length} bytes")
        if length > self._largest:
            return self._too_large(start, length, flags)
        if len(self._buffer) < start + length:
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return _decode(kind, flags, body)

    def _head(self) -> tuple[int, int] | None:
        """Return where the body begins and its length; None when that can't be told yet."""
        length = 0
        for index in range(1, 5):
            if index >= len(self._buffer):
                return None
            digit = self._buffer[index]
            length |= (digit & 0x7F) << 7 * (index - 1)
            if not digit & 0x80:
                return index + 1, length
        raise Malformed("length of more than four bytes")

    def _too_large(self, start: int, length: int, flags: int) -> Publish | None:
        """Read the topic and packet id of a message that is too large, and skip the rest."""
        if len(self._buffer) < start + 2:
            return None
        need = 2 + struct.unpack_from("!H", self._buffer, start)[0] + (2 if flags & 6 else 0)
        if need > length:
            raise Malformed("topic longer than its packet")
        if len(self._buffer) < start + need:
            return None
        message = _decode_publish(flags, bytes(self._buffer[start : start + need]))
        del self._buffer[: start + need]
        self._skip = length - need
        return message._replace(payload=None)


def _decode(kind: int, flags: int, body: bytes) -> Packet | tuple[()]:
    if kind == PUBLISH:
        return _decode_publish(flags, body)
    if kind == CONNACK and len(body) == 2:
        return Connack(body[1])
    if kind in _ACKS and len(body) == 2:
        return Ack(kind, struct.unpack("!H", body)[0])
    if kind == SUBACK and len(body) > 2:
        return Suback(struct.unpack_from("!H", body)[0], tuple(body[2:]))
    if kind == PINGRESP and not body:
        return Pong()
    raise Malformed(f"packet of kind {kind} with {len(body)} bytes")


def _decode_publish(flags: int, body: bytes) -> Publish:
    qos = flags >> 1 & 3
    if len(body) < 2 or qos == 3:
        raise Malformed("bad PUBLISH")
    end = 2 + struct.unpack_from("!H", body)[0]
    start = end + (2 if qos else 0)
    if start > len(body):
        raise Malformed("topic longer than its packet")
    try:
        topic = body[2:end].decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("topic is not UTF-8") from None
    packet_id = struct.unpack_from("!H", body, end)[0] if qos else 0
    return Publish(topic, body[start:], qos, bool(flags & 1), bool(flags & 8), packet_id)
