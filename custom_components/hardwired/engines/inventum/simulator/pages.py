"""What the simulated terminal draws. Texts beyond the known anchors are invented (spec c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CLEAR = b"\x1b[2J"
REVERSE, PLAIN = b"\x1b[7m", b"\x1b[0m"
MENU = (
    "Klok",
    "Parameters",
    "Storingen",
    "Tellers",
    "Ventilatie",
    "IO status",
    "Test",
    "Info",
    "Datalogger",
)
IO_KEY, LOGGER_KEY = "6", "9"

FIRST_ROW = 4
VISIBLE = 40
_PROMPT_ROW = 51
_NAMES = (
    "Compressor",
    "Verwarmingselement",
    "Omkeerklep",
    "Pomp tapwater",
    "Ontdooiklep",
    "Filter",
    "Temp. boiler boven",
    "Temp. boiler onder",
    "Hoge druk",
    "Lage druk",
)


def at(row: int, column: int = 1) -> bytes:
    """Return the sequence that sets the cursor."""
    return f"\x1b[{row};{column}H".encode()


def login(*, clear: bool = True) -> bytes:
    """The login prompt: on a page of its own, or on the next line."""
    return (CLEAR + at(1) if clear else b"") + b"\r\nVoer code in : "


def challenge(number: str) -> bytes:
    """The challenge, on the next line."""
    return f"\r\nVoer beveiligingscode in ({number}) : ".encode()


def menu(*, clear: bool = True) -> bytes:
    """The extra menu, its nine entries labelled."""
    title = "EXTRAMENU".center(50).rstrip()
    lines = [CLEAR if clear else b"", REVERSE, at(2), title.encode(), PLAIN]
    for number, label in enumerate(MENU, 1):
        lines += [at(3 + number, 4), f"{number}. {label}".encode()]
    return b"".join((*lines, at(20), b"Keuze : "))


def submenu(digit: str) -> bytes:
    """A page behind another digit: nobody knows it."""
    return CLEAR + at(1) + MENU[int(digit) - 1].encode() + at(5) + b"ESC = terug"


@dataclass(frozen=True, slots=True)
class ListRow:
    """One input or output."""

    number: int
    name: str
    value: str


def row_names(count: int, fan_row: int) -> tuple[str, ...]:
    """Return the names of the list's rows; none is the fan's when *fan_row* is 0."""
    return tuple(
        "3-standen" if number == fan_row else f"{_NAMES[number % len(_NAMES)]} {number}"
        for number in range(1, count + 1)
    )


def list_row(row: ListRow, marker: str) -> bytes:
    """One row's text: marker, number, name, value."""
    closing = {"[": "]", "(": ")", "<": ">"}.get(marker, " ")
    return f"{marker}{row.number:2d}{closing} {row.name:<32}{row.value:>10}".encode("latin-1")


def list_page(
    rows: Sequence[ListRow], selected: int, marker: str, *, scrolling: bool, clear: bool
) -> bytes:
    """The whole IO list; *selected* counts from 0."""
    parts = [CLEAR if clear else b"", PLAIN, at(1, 30), b"IO status"]
    first, screen_row = _window(len(rows), selected, scrolling)
    for place in range(VISIBLE):
        number = first + place
        text = list_row(rows[number], marker) if 0 <= number < len(rows) else b""
        if not text and not scrolling:
            break
        if place == screen_row:
            parts += [REVERSE, at(FIRST_ROW + place, 2), text, PLAIN]
        else:
            parts += [at(FIRST_ROW + place, 2), text, b"\x1b[K" if scrolling else b""]
    return b"".join(parts)


def _window(count: int, selected: int, scrolling: bool) -> tuple[int, int]:
    """Return the first row shown and the selected one's place."""
    if scrolling:
        return selected - 10, 10
    first = max(0, selected - VISIBLE + 1)
    return first, selected - first


def moved(rows: Sequence[ListRow], before: int, after: int, marker: str) -> bytes:
    """What a cursor key draws: the row that was selected, and the one that is."""
    return b"".join(
        (
            PLAIN + at(FIRST_ROW + before, 2) + list_row(rows[before], marker),
            REVERSE + at(FIRST_ROW + after, 2) + list_row(rows[after], marker) + PLAIN,
        )
    )


def prompt(name: str, field: str, *, clear: bool) -> bytes:
    """The edit prompt of a row; the cursor stays behind the field."""
    text = f"   {name} : {field}".encode("latin-1")
    return (CLEAR if clear else b"") + at(_PROMPT_ROW) + text + b"\x1b[K"


def prompt_gone() -> bytes:
    """The prompt's row, blank."""
    return at(_PROMPT_ROW) + b"\x1b[K"


def preamble(interval: float) -> bytes:
    """The logger's first line: 19 characters, as the old program's unit prints."""
    seconds = round(interval)
    clock = f"{seconds // 3600 % 100:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"Interval : {clock}\r\n".encode()
