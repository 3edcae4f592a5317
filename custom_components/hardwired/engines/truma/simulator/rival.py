"""Another iNet box on the same bus: the fault ``second_box`` (spec c.9, i.6).

It asks for everything at the start and again from time to time, as if it were used. While two boxes
have nothing to send, their answers are identical and go unnoticed.
"""

from __future__ import annotations

from ..inet.buffers import TAIL_FF, UPLOAD, UPLOAD_REQUEST, MessageId, build_buffer
from ..lin.frames import BOX_POLL, MASTER_REQUEST, SLAVE_RESPONSE, protected, response
from ..lin.transport import Assembler, Request, split
from .panel import Slot

_POLL = protected(BOX_POLL)
_RESPONSE = protected(SLAVE_RESPONSE)
_CONTENT_FOR = 40
"""Polls between two wishes."""
_EMULATED = bytes.fromhex("f21746001f00")


class Rival:
    """A box with the identity of an emulator."""

    def __init__(self) -> None:
        self._assembler = Assembler()
        self._waiting: list[bytes] = []
        self._content = 0

    def answer(self, slot: Slot) -> bytes | None:
        """Return the nine bytes that it sends in *slot*."""
        if slot.identifier == BOX_POLL:
            return response(_POLL, (b"\xfe" if self._content else b"\xff") + b"\xff" * 7)
        if slot.identifier == SLAVE_RESPONSE and slot.data is None and self._waiting:
            return response(_RESPONSE, self._waiting[0])
        return None

    def heard(self, slot: Slot, data: bytes | None) -> None:
        """Note the end of a slot."""
        if slot.identifier == BOX_POLL:
            self._content = max(0, self._content - 1)
        elif slot.identifier == SLAVE_RESPONSE:
            del self._waiting[:1]
        elif slot.identifier == MASTER_REQUEST:
            self._waiting.clear()
            request = None if data is None else self._assembler.receive_data(data, 0.0)
            if request is not None:
                self._waiting = self._reply(request)

    def _reply(self, request: Request) -> list[bytes]:
        data = request.data
        match data[0]:
            case 0xB2 if data[2:] == bytes.fromhex("1746001f"):
                return split(3, _EMULATED)
            case 0xB0 if data[1:5] == bytes.fromhex("1746001f"):
                return split(3, b"\xf0")
            case 0xB9 if request.nad == 3:
                return split(3, b"\xf9\0")
            case 0xBB if request.nad == 3:
                return split(3, b"\xfb")
            case _ if data[0] == UPLOAD_REQUEST and request.nad == 3:
                self._content = _CONTENT_FOR
                message = build_buffer(UPLOAD, MessageId.INIT_REQUEST, 1, b"", TAIL_FF)
                return split(3, message)
        return []
