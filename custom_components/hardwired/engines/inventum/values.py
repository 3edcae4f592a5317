"""What a printed field of the data logger says (spec d.3). No scaling: it is not known."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_ABSENT = re.compile(r"[-*?.#]*")
_POSITION = re.compile(r"\+?0*([0-3])")
_LONGEST = 300
"""Characters that a number may have: a float holds it without becoming infinite."""


def is_number(text: str) -> bool:
    """Whether a printed field is a number."""
    return _NUMBER.fullmatch(text.strip()) is not None


def value_of(text: str) -> int | float | str | None:
    """Return a field as number or text; ``None``: absent."""
    text = text.strip()
    if _ABSENT.fullmatch(text):
        return None
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _LONGEST:
        return text
    return float(text) if match.group(1) else int(text)


def fan_position(text: str) -> int | None:
    """Return the position 0 to 3 that a field of the fan column holds; ``None``: unknown."""
    match = _POSITION.fullmatch(text.strip())
    return None if match is None else int(match.group(1))
