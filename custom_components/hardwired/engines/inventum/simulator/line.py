"""The device's port: what it sends, and when that arrives (spec b.1)."""

from __future__ import annotations

from collections import deque

PACKET = 64


class Line:
    """A queue of bytes with their moments. ``rate`` is bytes per second; 0: at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._queue: deque[tuple[float, bytes]] = deque()
        self._free = 0.0

    def send(self, data: bytes, when: float) -> None:
        """Put bytes on the line; they leave after what was put there before."""
        for start in range(0, len(data), PACKET):
            packet = data[start : start + PACKET]
            begin = max(when, self._free)
            self._free = begin + (len(packet) / self._rate if self._rate else 0.0)
            self._queue.append((self._free, packet))

    def take(self, now: float) -> bytes:
        """Return what has arrived by *now*."""
        arrived = []
        while self._queue and self._queue[0][0] <= now + 1e-9:
            arrived.append(self._queue.popleft()[1])
        return b"".join(arrived)

    def due(self) -> float | None:
        """Return when the next bytes arrive."""
        return self._queue[0][0] if self._queue else None

    @property
    def busy_until(self) -> float:
        """When all that was put on it has arrived."""
        return self._free

    def clear(self, now: float) -> None:
        """Throw away what has not arrived."""
        self._queue.clear()
        self._free = now
