"""Keeps the codes out of logs, recordings and diagnostics (spec f.9)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .dialogue.machine import Dialogue, State, Write
from .terminal.cells import CHALLENGE_PROMPT, LOGIN_PROMPT, ROWS, CellModel

CODE = b"<code>"
ECHO = b"<echo>"
DIGIT = b"*"
_LINE_BEGINS = b"\r\n\x1b"
_DIGIT = re.compile(rb"(\x1b\[[0-9;]*[@-~])|[0-9]")
"""A printed digit, or a whole control sequence: its digits are not printed."""


class Mask:
    """What of the conversation may be written down.

    Where the codes are the owner's *own*, no digit is that is printed before the terminal is
    logged in: pages are drawn again with what was typed, whole or in part, at any time.
    """

    def __init__(self, *, own: bool) -> None:
        self._own = own
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
                        shown = self._without_digits(data[place:], dialogue)
                        return (ECHO if place else b"") + shown
                return ECHO
        self._echo_over = True
        return self._without_digits(data, dialogue)

    def screen(self, dialogue: Dialogue) -> dict[int, str] | None:
        """Return the rows of the screen; ``None`` while a code is being typed."""
        if dialogue.typing:
            return None
        rows = screen_rows(dialogue.sight.cells)
        return {
            number: self._without_digits(text.encode("latin-1"), dialogue).decode("latin-1")
            for number, text in rows
        }

    def _without_digits(self, data: bytes, dialogue: Dialogue) -> bytes:
        if dialogue.inside or not self._own:
            return data
        return _DIGIT.sub(lambda found: found[1] or DIGIT, data)


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
