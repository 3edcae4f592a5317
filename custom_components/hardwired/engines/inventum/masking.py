"""Keeps the codes out of logs, recordings and diagnostics (spec f.9)."""

from __future__ import annotations

from collections.abc import Iterator

from .dialogue.machine import Dialogue, State, Write
from .terminal.cells import CHALLENGE_PROMPT, LOGIN_PROMPT, ROWS, CellModel

CODE = b"<code>"
ECHO = b"<echo>"
_LINE_BEGINS = b"\r\n\x1b"


class Mask:
    """What of the conversation may be written down."""

    def __init__(self) -> None:
        self._echo_over = True

    def sent(self, write: Write) -> bytes:
        """Return what we sent, a code's characters masked."""
        return CODE if write.secret else write.data

    def received(self, data: bytes, dialogue: Dialogue) -> bytes:
        """Return what came, masked where it may be the echo of a code.

        *dialogue* as it stood when the bytes came.
        """
        match dialogue.state:
            case State.TYPING:
                self._echo_over = False
                return ECHO
            case State.AWAIT if not self._echo_over:
                for place, byte in enumerate(data):
                    if byte in _LINE_BEGINS:
                        self._echo_over = True
                        return (ECHO if place else b"") + data[place:]
                return ECHO
        self._echo_over = True
        return data


def screen_rows(cells: CellModel) -> Iterator[tuple[int, str]]:
    """Yield the rows that are not blank, without prompts and what stands below them."""
    hidden = 0
    for number in range(1, ROWS + 1):
        text = cells.row(number).rstrip()
        if LOGIN_PROMPT in text or CHALLENGE_PROMPT in text:
            hidden = 2
        if hidden:
            hidden -= 1
        elif text:
            yield number, text
