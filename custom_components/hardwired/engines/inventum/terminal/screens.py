"""Which page the terminal shows, and what can be pressed on it (spec c.1, c.5, c.6).

Only the anchors that are known of real units are used: two prompts, two titles, one row name,
one edit prompt. All else on a page may be anything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from .cells import CHALLENGE_PROMPT, LOGIN_PROMPT, ROWS, CellModel
from .keys import DATA_LOGGER, IO_STATUS

MENU_TITLE = "EXTRAMENU"
IO_TITLE = "IO status"
FAN_NAME = "3-standen"
FAN_NUMBER = 17

LIST_ROWS = range(3, 51)
"""Where the IO list may stand; above are titles, below are footers and the prompt."""
_EDIT_ROWS = range(49, ROWS + 1)
_MENU_TITLE_ROWS, _IO_TITLE_ROWS = range(1, 4), range(1, 3)
_ALL_ROWS = range(1, ROWS + 1)

_EDIT_FAN = re.compile(r"\s*3-standen\s*:(.*)", re.DOTALL)
_NUMBER = re.compile(r".(?:([0-9]{2})| ([0-9])|([0-9]) )", re.DOTALL)
_LABEL = re.compile(r"[^0-9A-Za-z]*([0-9])(?![0-9])[^0-9A-Za-z]+([A-Za-z].*)", re.DOTALL)
_FIRST_DIGITS = re.compile(r"[0-9]+")
_NOT_IN_LABEL = re.compile(r"[^a-z0-9]")
_FEWEST_LABELS = 3


class View(StrEnum):
    """The pages that are known."""

    LOGIN = "login"
    CHALLENGE = "challenge"
    EXTRA_MENU = "extra_menu"
    EDIT_FAN = "edit_fan"
    IO_STATUS = "io_status"
    UNKNOWN = "unknown"

    @property
    def is_prompt(self) -> bool:
        """Whether a code is asked for."""
        return self in (View.LOGIN, View.CHALLENGE)


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected row of a list: the uppermost one in reverse video."""

    row: int
    number: int | None
    is_fan: bool


@dataclass(frozen=True, slots=True)
class MenuKeys:
    """The digits that open the IO list and the data logger."""

    io_status: str = IO_STATUS
    data_logger: str = DATA_LOGGER


Labels = tuple[tuple[str, str], ...]

Mark = tuple[int, int | None]
"""Where a selected row is not reversed: its first such column, and that of the fan's name."""


def view_of(cells: CellModel) -> View:
    """Return which page is shown; the first rule that fits counts."""
    at_cursor = cells.row(cells.cursor[0])
    if LOGIN_PROMPT in at_cursor:
        return View.LOGIN
    if CHALLENGE_PROMPT in at_cursor:
        return View.CHALLENGE
    if MENU_TITLE in cells.lines(_MENU_TITLE_ROWS):
        return View.EXTRA_MENU
    if edit_field(cells) is not None:
        return View.EDIT_FAN
    if IO_TITLE in cells.lines(_IO_TITLE_ROWS):
        return View.IO_STATUS
    return View.UNKNOWN


def edit_field(cells: CellModel) -> tuple[int, str] | None:
    """Return row and content of the fan's edit prompt; ``None``: it is not open."""
    lines = cells.lines(_EDIT_ROWS)
    if FAN_NAME not in lines:
        return None
    for row, text in zip(_EDIT_ROWS, lines.split("\n"), strict=True):
        if match := _EDIT_FAN.match(text):
            return row, match.group(1).strip(" ")
    return None


def selections(cells: CellModel) -> tuple[int, ...]:
    """Return the rows of the list that are in reverse video."""
    return cells.reversed_rows(LIST_ROWS)


def selected(cells: CellModel) -> Selection | None:
    """Return the selected row of the list."""
    rows = cells.reversed_rows(LIST_ROWS)
    if not rows:
        return None
    text = cells.row(rows[0])
    return Selection(rows[0], number_of(text), FAN_NAME in text)


def number_of(text: str) -> int | None:
    """Return the number of a list's row, which follows its first character."""
    match = _NUMBER.match(text.strip(" "))
    return None if match is None else int(next(filter(None, match.groups())))


def fan_row(cells: CellModel) -> int | None:
    """Return the first row of the list that names the fan."""
    return next((row for row in LIST_ROWS if FAN_NAME in cells.row(row)), None)


def mark_of(cells: CellModel, row: int) -> Mark | None:
    """Return what of a row is not in reverse video; ``None``: nothing (spec f.4, point 9)."""
    text, flags = cells.row(row), cells.reverse_of(row)
    plain = [
        column
        for column, (character, flag) in enumerate(zip(text, flags, strict=True))
        if character != " " and not flag
    ]
    if not plain:
        return None
    start = text.find(FAN_NAME)
    name = range(start, start + len(FAN_NAME)) if start >= 0 else range(0)
    return plain[0] + 1, start + 1 if any(column in name for column in plain) else None


def labels_of(cells: CellModel) -> Labels:
    """Return the menu's labels: digit and letters of each row that has one, from the top."""
    found = (
        _LABEL.match(text) for text in cells.lines(_ALL_ROWS).split("\n") if not text.isspace()
    )
    return tuple(
        (match.group(1), _NOT_IN_LABEL.sub("", match.group(2).lower())) for match in found if match
    )


def labelled_keys(found: Labels) -> MenuKeys | None:
    """Return the digits by the menu's labels; ``None`` where these can't be trusted."""
    labels: defaultdict[str, list[str]] = defaultdict(list)
    for digit, text in found:
        labels[digit].append(text)
    wanted = [str(digit) for digit in range(1, len(labels) + 1)]
    once = all(len(texts) == 1 for texts in labels.values())
    if len(labels) < _FEWEST_LABELS or sorted(labels) != wanted or not once:
        return None
    return MenuKeys(
        _only(labels, "iostatus") or IO_STATUS, _only(labels, "datalogger") or DATA_LOGGER
    )


def menu_keys(cells: CellModel) -> MenuKeys:
    """Return the digits of the menu: those of its labels where they can be trusted."""
    return labelled_keys(labels_of(cells)) or MenuKeys()


def _only(labels: dict[str, list[str]], beginning: str) -> str | None:
    digits = [digit for digit, (text,) in labels.items() if text.startswith(beginning)]
    return digits[0] if len(digits) == 1 else None


def challenge_number(cells: CellModel) -> str | None:
    """Return the number that a challenge shows: the first digits after its prompt."""
    _, found, rest = cells.row(cells.cursor[0]).partition(CHALLENGE_PROMPT)
    match = _FIRST_DIGITS.search(rest) if found else None
    return None if match is None else match.group()
