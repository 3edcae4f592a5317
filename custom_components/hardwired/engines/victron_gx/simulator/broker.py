"""A broker: the other end of MQTT 3.1.1, pure. It keeps retained messages and last wills."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ...simulating import remember
from ..mqtt.packets import Kind, Publish, ack, packet, publish

Login = Callable[[str | None, str | None], int]
"""User and password to CONNACK's code."""


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic fits a filter."""
    wanted, parts = pattern.split("/"), topic.split("/")
    for index, word in enumerate(wanted):
        if word == "#":
            return True
        if index >= len(parts) or word not in ("+", parts[index]):
            return False
    return len(wanted) == len(parts)


@dataclass(slots=True, eq=False)
class Peer:
    """One client's connection. *send* takes bytes, *hang_up* ends it."""

    broker: Broker
    send: Callable[[bytes], None]
    hang_up: Callable[[], None]
    client_id: str = ""
    filters: list[str] = field(default_factory=list)
    will: Publish | None = None
    buffer: bytearray = field(default_factory=bytearray)
    numbers: int = 0

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the client."""
        self.buffer += data
        while (found := self._next()) is not None:
            self._packet(*found)

    def lost(self) -> None:
        """The connection has ended without a word: the will is carried out."""
        self.broker.peers.discard(self)
        will, self.will = self.will, None
        if will is not None:
            self.broker.publish(will.topic, will.payload or b"")

    def _next(self) -> tuple[int, int, bytes] | None:
        length = 0
        for index in range(1, 5):
            if index >= len(self.buffer):
                return None
            length |= (self.buffer[index] & 0x7F) << 7 * (index - 1)
            if not self.buffer[index] & 0x80:
                start = index + 1
                break
        else:
            self.hang_up()
            return None
        if len(self.buffer) < start + length:
            return None
        head, body = self.buffer[0], bytes(self.buffer[start : start + length])
        del self.buffer[: start + length]
        return head >> 4, head & 15, body

    def _packet(self, kind: int, flags: int, body: bytes) -> None:
        match kind:
            case Kind.CONNECT:
                self._connect(body)
            case Kind.PUBLISH:
                self._publish(flags, body)
            case Kind.SUBSCRIBE:
                self._subscribe(body)
            case Kind.PINGREQ:
                self.send(packet(Kind.PINGRESP, 0, b""))
            case Kind.DISCONNECT:
                self.will = None
                self.hang_up()

    def _connect(self, body: bytes) -> None:
        flags = body[7]
        words = _words(body[10:])
        self.client_id = next(words).decode()
        if flags & 4:
            topic, payload = next(words).decode(), next(words)
            self.will = Publish(topic, payload)
        user = next(words).decode() if flags & 0x80 else None
        password = next(words).decode() if flags & 0x40 else None
        code = self.broker.login(user, password)
        if code < 0:
            return  # it says nothing at all
        self.send(packet(Kind.CONNACK, 0, bytes((0, code))))
        if code:
            self.will = None
            self.hang_up()
            return
        for other in list(self.broker.peers):
            if other.client_id == self.client_id:
                other.lost()
                other.hang_up()
        self.broker.peers.add(self)

    def _publish(self, flags: int, body: bytes) -> None:
        qos, end = flags >> 1 & 3, 2 + struct.unpack_from("!H", body)[0]
        topic = body[2:end].decode()
        if qos:
            self.send(ack(Kind.PUBACK, struct.unpack_from("!H", body, end)[0]))
            end += 2
        self.broker.publish(topic, body[end:], retain=bool(flags & 1))

    def _subscribe(self, body: bytes) -> None:
        number, rest = body[:2], body[2:]
        told = []
        while rest:
            length = struct.unpack_from("!H", rest)[0]
            told.append(rest[2 : 2 + length].decode())
            rest = rest[3 + length :]
        granted = bytes(128 if self.broker.forbids(one) else 0 for one in told)
        told = [one for one, code in zip(told, granted, strict=True) if code < 128]
        self.filters += told
        self.send(packet(Kind.SUBACK, 0, number + granted))
        for topic, payload in list(self.broker.retained.items()):
            if any(matches(one, topic) for one in told):
                self.deliver(topic, payload, retain=True)

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message to the client."""
        self.send(publish(Publish(topic, payload, 0, retain)))


def _words(body: bytes) -> Iterator[bytes]:
    while len(body) >= 2:
        length = struct.unpack_from("!H", body)[0]
        yield body[2 : 2 + length]
        body = body[2 + length :]


class Broker:
    """Takes messages and hands them on. ``listeners`` are programs on the same machine."""

    def __init__(self) -> None:
        self.peers: set[Peer] = set()
        self.retained: dict[str, bytes] = {}
        self.listeners: list[Callable[[str, bytes], None]] = []
        self.log: list[tuple[str, bytes]] = []
        self.login: Login = lambda _user, _password: 0
        self.forbids: Callable[[str], bool] = lambda _filter: False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to everybody who wants it."""
        remember(self.log, (topic, payload))
        if retain:
            if payload:
                self.retained[topic] = payload
            else:
                self.retained.pop(topic, None)
        for peer in list(self.peers):
            if any(matches(one, topic) for one in peer.filters):
                peer.deliver(topic, payload)
        for listener in self.listeners:
            listener(topic, payload)

    def raw(self, data: bytes) -> None:
        """Send bytes to everybody that may be no MQTT at all."""
        for peer in list(self.peers):
            peer.send(data)

    def stop(self) -> None:
        """Hang up on everybody, as a broker does that is restarted; nothing retained is kept."""
        self.retained.clear()
        for peer in list(self.peers):
            peer.hang_up()
