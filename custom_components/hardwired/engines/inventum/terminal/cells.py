"""The cell model: what the device's bytes leave on its screen (spec b.3, c.3).

The rules take in more than the device's own dialect, so that another firmware does no harm.
Rows and columns count from 1 outside this class.
"""

from __future__ import annotations

import re
from enum import Enum, auto

ROWS = 53
COLUMNS = 80
PAST_END = COLUMNS + 1
MAX_PARAMETERS = 32

LOGIN_PROMPT = "Voer code in"
CHALLENGE_PROMPT = "Voer beveiligingscode in"
_PROMPTS = tuple(text.encode("latin-1") for text in (LOGIN_PROMPT, CHALLENGE_PROMPT))
_TAIL = max(map(len, _PROMPTS)) - 1

_PRINTED = re.compile(rb"[\x20-\x7e\x80-\xff]+")
_WHOLE_CSI = re.compile(rb"\x1b\[([0-9;]*)([@-~])")
"""The usual sequence in one piece; others go byte by byte."""
_PLAIN_PARAMETERS = re.compile(rb"[0-9;]*")
_BLANK = b" " * COLUMNS
_PLAIN = bytes(COLUMNS)

_ESC = 0x1B


class _Mode(Enum):
    """What the next byte belongs to."""

    TEXT = auto()
    ESCAPE = auto()
    SWALLOW = auto()
    """An escape sequence with intermediate bytes: up to its final byte."""
    CSI = auto()


class CellModel:
    """53 rows of 80 cells, each a Latin-1 character and a reverse flag."""

    def __init__(self) -> None:
        self._text = [bytearray(_BLANK) for _ in range(ROWS)]
        self._reversed = [bytearray(_PLAIN) for _ in range(ROWS)]
        self._row = 0
        self._column = 0
        self._reverse = False
        self._mode = _Mode.TEXT
        self._parameters = bytearray()
        self._run = b""
        self.prompts = 0
        """How often a prompt was printed, by login or challenge alike (spec c.3)."""
        self.revision = 0
        """Rises with every byte and every clearing: what was read of the screen may be old."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column; column 81 is past the end."""
        return self._row + 1, self._column + 1

    def row(self, number: int) -> str:
        """Return the 80 characters of a row, 1 to 53."""
        return self._text[number - 1].decode("latin-1")

    def lines(self, rows: range) -> str:
        """Return the characters of some rows that follow each other, a line for each."""
        return b"\n".join(self._text[rows.start - 1 : rows.stop - 1]).decode("latin-1")

    def reverse_of(self, number: int) -> bytes:
        """Return the reverse flags of a row: 80 bytes, 0 or 1."""
        return bytes(self._reversed[number - 1])

    def content(self, rows: range) -> bytes:
        """Return characters and flags of some rows, to be compared."""
        return b"".join(self._text[number - 1] + self._reversed[number - 1] for number in rows)

    def is_reversed(self, number: int) -> bool:
        """Whether a row has a non-blank reversed cell."""
        flags = self._reversed[number - 1]
        if flags == _PLAIN:
            return False
        text = self._text[number - 1]
        return any(flag and text[column] != 0x20 for column, flag in enumerate(flags))

    def reversed_rows(self, rows: range) -> tuple[int, ...]:
        """Return those of some rows that have a non-blank reversed cell."""
        flags = self._reversed
        return tuple(row for row in rows if flags[row - 1] != _PLAIN and self.is_reversed(row))

    def clear(self) -> None:
        """Blank all cells, cursor home, reverse off; a sequence under way stays under way."""
        self._erase(0, 0, ROWS - 1, COLUMNS)
        self._row = self._column = 0
        self._reverse = False
        self._run = b""
        self.revision += 1

    def receive_data(self, data: bytes) -> None:
        """Take in what the device sent. Any bytes are allowed; nothing raises."""
        self.revision += 1
        position, length = 0, len(data)
        while position < length:
            if self._mode is _Mode.TEXT:
                if match := _PRINTED.match(data, position):
                    self._print(match.group())
                    position = match.end()
                    continue
                if match := _WHOLE_CSI.match(data, position):
                    self._execute(match.group(1), match.group(2))
                    position = match.end()
                    continue
            self._take(data[position])
            position += 1

    # ----------------------------------------------------------------------------- printing

    def _print(self, text: bytes) -> None:
        written = text[: COLUMNS - self._column]
        if not written:
            return
        end = self._column + len(written)
        self._text[self._row][self._column : end] = written
        flag = b"\x01" if self._reverse else b"\x00"
        self._reversed[self._row][self._column : end] = flag * len(written)
        self._column = end
        for prompt in _PROMPTS:
            self.prompts += (self._run[-(len(prompt) - 1) :] + written).count(prompt)
        self._run = (self._run + written)[-_TAIL:]

    def _control(self, byte: int) -> None:
        match byte:
            case 0x0D:
                # This device's CR also goes down and its LF does not: together they are a VT's.
                self._column = 0
                if self._row == ROWS - 1:
                    self._scroll()
                else:
                    self._row += 1
            case 0x0A:
                self._column = 0
            case 0x08:
                self._column = max(0, min(self._column, COLUMNS) - 1)
            case 0x09:
                self._column = min(COLUMNS - 1, (self._column // 8 + 1) * 8)
            case _:
                return
        self._run = b""

    def _scroll(self) -> None:
        for cells, blank in ((self._text, _BLANK), (self._reversed, _PLAIN)):
            del cells[0]
            cells.append(bytearray(blank))

    # ---------------------------------------------------------------------------- sequences

    def _take(self, byte: int) -> None:
        if byte == _ESC:
            self._mode = _Mode.ESCAPE
            return
        match self._mode:
            case _Mode.TEXT:
                self._control(byte)
            case _Mode.ESCAPE if byte == 0x5B:
                self._mode = _Mode.CSI
                self._parameters.clear()
            case _Mode.ESCAPE | _Mode.SWALLOW if 0x20 <= byte <= 0x2F:
                self._mode = _Mode.SWALLOW
            case _Mode.CSI if 0x20 <= byte <= 0x3F:
                if len(self._parameters) <= MAX_PARAMETERS:
                    self._parameters.append(byte)
            case _Mode.CSI if 0x40 <= byte <= 0x7E:
                self._mode = _Mode.TEXT
                self._execute(bytes(self._parameters), bytes((byte,)))
            case _:
                self._mode = _Mode.TEXT
                if byte < 0x20:
                    self._control(byte)

    def _execute(self, raw: bytes, final: bytes) -> None:
        if len(raw) > MAX_PARAMETERS or not _PLAIN_PARAMETERS.fullmatch(raw):
            return
        numbers = [int(part) if part else None for part in raw.split(b";")]
        first = numbers[0]
        match final:
            case b"m" | b"M":
                for number in numbers:
                    if number == 7:
                        self._reverse = True
                    elif number in (None, 0, 27):
                        self._reverse = False
                return
            case b"H" | b"f":
                self._row = _place(first, ROWS)
                self._column = _place(numbers[1] if len(numbers) > 1 else None, COLUMNS)
            case b"J":
                self._erase_screen(first or 0)
            case b"K":
                self._erase_row(first or 0)
            case b"A" | b"B" | b"C" | b"D" | b"G" | b"d":
                self._move(final.decode(), first or 1)
        self._run = b""

    def _move(self, final: str, count: int) -> None:
        column = min(self._column, COLUMNS - 1)
        row = self._row
        match final:
            case "A":
                row -= count
            case "B":
                row += count
            case "C":
                column += count
            case "D":
                column -= count
            case "G":
                column = count - 1
            case "d":
                row = count - 1
        self._row = max(0, min(row, ROWS - 1))
        self._column = max(0, min(column, COLUMNS - 1))

    def _erase_screen(self, how: int) -> None:
        match how:
            case 0:
                self._erase(self._row, self._column, ROWS - 1, COLUMNS)
            case 1:
                self._erase(0, 0, self._row, self._column + 1)
            case 2 | 3:
                self._erase(0, 0, ROWS - 1, COLUMNS)
                self._row = self._column = 0

    def _erase_row(self, how: int) -> None:
        match how:
            case 0:
                self._erase(self._row, self._column, self._row, COLUMNS)
            case 1:
                self._erase(self._row, 0, self._row, self._column + 1)
            case 2:
                self._erase(self._row, 0, self._row, COLUMNS)

    def _erase(self, row: int, column: int, last_row: int, end: int) -> None:
        """Blank from a cell to one before *end* in *last_row*; counted from 0."""
        for number in range(row, last_row + 1):
            start = column if number == row else 0
            stop = min(end, COLUMNS) if number == last_row else COLUMNS
            if start < stop:
                self._text[number][start:stop] = _BLANK[start:stop]
                self._reversed[number][start:stop] = _PLAIN[start:stop]


def _place(number: int | None, limit: int) -> int:
    """Return a row or column, counted from 0, from a parameter."""
    return max(1, min(number or 1, limit)) - 1
