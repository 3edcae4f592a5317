"""What one connection remembers: packet numbers, and messages on their way in and out.

Pure: what has to be sent is returned. A message of QoS 2 is handed over once, however often the
broker sends it.
"""

from __future__ import annotations

from .packets import Ack, Kind, Packet, Publish, ack, publish

MOST_ON_THE_WAY = 1000


class Session:
    """The state of one connection."""

    def __init__(self) -> None:
        self._last = 0
        self._used: set[int] = set()
        self._received: set[int] = set()

    def new_number(self) -> int:
        """Return a number that nothing on the way has. Raises :class:`OverflowError`."""
        if len(self._used) >= MOST_ON_THE_WAY:
            raise OverflowError(f"{len(self._used)} messages are not acknowledged")
        while True:
            self._last = self._last % 65_535 + 1
            if self._last not in self._used:
                self._used.add(self._last)
                return self._last

    def publish(self, message: Publish) -> bytes:
        """Return the bytes of a message, with a number of its own if it needs one."""
        if not message.qos:
            return publish(message)
        publish(message)  # raises before a number is spent
        return publish(message._replace(packet_id=self.new_number()))

    def done(self, number: int) -> None:
        """Note that one of our numbers is acknowledged."""
        self._used.discard(number)

    def receive(self, packet: Packet) -> tuple[Publish | None, bytes]:
        """Take a packet; returns a message to hand over, and bytes to answer with."""
        match packet:
            case Publish(qos=0):
                return packet, b""
            case Publish(qos=1):
                return packet, ack(Kind.PUBACK, packet.packet_id)
            case Publish():
                again = packet.packet_id in self._received
                self._received.add(packet.packet_id)
                return (None if again else packet), ack(Kind.PUBREC, packet.packet_id)
            case Ack(kind=Kind.PUBREL):
                self._received.discard(packet.packet_id)
                return None, ack(Kind.PUBCOMP, packet.packet_id)
            case Ack(kind=Kind.PUBREC):
                return None, ack(Kind.PUBREL, packet.packet_id)
            case Ack():
                self.done(packet.packet_id)
        return None, b""
