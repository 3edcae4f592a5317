"""What one MQTT connection remembers: packet numbers, and messages on their way in and out.

Pure: what has to be sent is returned, nothing is read or written. Messages of QoS 2 are handed
over once however often the broker sends them (spec B.1, I.1).
"""

from __future__ import annotations

from .packets import PUBACK, PUBCOMP, PUBREC, PUBREL, Ack, Packet, Publish, ack, publish

MOST_ON_THE_WAY = 1000


class Session:
    """The state of one connection."""

    def __init__(self) -> None:
        self._last_id = 0
        self._used: set[int] = set()  # ours, until they are acknowledged
        self._received: set[int] = set()  # the broker's, of QoS 2, until they are released

    def new_id(self) -> int:
        """Return a packet number that nothing on the way has; raises OverflowError without one."""
        if len(self._used) >= MOST_ON_THE_WAY:
            raise OverflowError(f"{len(self._used)} messages are not acknowledged")
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._used:
                self._used.add(self._last_id)
                return self._last_id

    def publish(self, message: Publish) -> bytes:
        """Return the bytes of a message, with a number of its own if it needs one."""
        if not message.qos:
            return publish(message)
        data = publish(message._replace(packet_id=1))  # raises before a number is spent
        number = self.new_id()
        try:
            data = publish(message._replace(packet_id=number))
        except ValueError:
            self._used.discard(number)
            raise
        return data

    def done(self, packet_id: int) -> None:
        """Note that one of our numbers is acknowledged."""
        self._used.discard(packet_id)

    def received(self, packet: Packet) -> tuple[list[Publish], bytes]:
        """Take a packet; returns messages to hand over and bytes to answer with."""
        if isinstance(packet, Publish):
            return self._message(packet)
        if isinstance(packet, Ack):
            return [], self._acknowledged(packet)
        return [], b""

    def _message(self, message: Publish) -> tuple[list[Publish], bytes]:
        if message.qos == 0:
            return [message], b""
        if message.qos == 1:
            return [message], ack(PUBACK, message.packet_id)
        again = message.packet_id in self._received
        self._received.add(message.packet_id)
        return ([] if again else [message]), ack(PUBREC, message.packet_id)

    def _acknowledged(self, packet: Ack) -> bytes:
        if packet.kind == PUBREL:
            self._received.discard(packet.packet_id)
            return ack(PUBCOMP, packet.packet_id)
        if packet.kind == PUBREC:
            return ack(PUBREL, packet.packet_id)
        self.done(packet.packet_id)
        return b""
