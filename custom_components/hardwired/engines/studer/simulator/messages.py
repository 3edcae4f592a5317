"""The messages that a simulated gateway remembers, and the pointer that reading moves (c.7)."""

from __future__ import annotations

from collections import deque

from ..scom.errors import ErrorCode
from ..scom.messages import PlantMessage
from .devices import ScomError

MESSAGES = 3000
"""How many messages the gateway remembers."""


class Memory:
    """The messages of the plant, newest first, and the pointer that reading moves (c.7)."""

    def __init__(self) -> None:
        self._messages: deque[tuple[int, int, int]] = deque(maxlen=MESSAGES)
        self._pointer = 0
        self._total = 0
        self.pending = False

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, number: int, source: int, timestamp: int, *, pending: bool = True) -> None:
        """Remember a message."""
        self._messages.appendleft((number, source, timestamp))
        self._total += 1
        # The pointer stays on the message it was put on.
        self._pointer = min(self._pointer + 1, len(self._messages) - 1)
        self.pending = self.pending or pending

    def read(self, index: int) -> PlantMessage:
        """Return a message. Raises :class:`ScomError` when there is none."""
        if index == 0:
            self._pointer = 0
            self.pending = False
        at = self._pointer + index
        if at >= len(self._messages):
            raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
        number, source, timestamp = self._messages[at]
        return PlantMessage(self._total, number, source, timestamp & 0xFFFFFFFF)

    def forget_pointer(self) -> None:
        """The gateway has restarted."""
        self._pointer = 0

    def erase(self) -> None:
        """Forget all."""
        self._messages.clear()
        self._pointer = 0
        self.pending = False
