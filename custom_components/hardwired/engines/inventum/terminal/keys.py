"""What the host types. Each constant goes out in one write (spec b.1, b.2)."""

from __future__ import annotations

ESCAPE = b"\x1b"
ENTER = b"\r"
UP = b"\x1b[A"
DOWN = b"\x1b[B"
IO_STATUS = "6"
"""The digit of the IO list, where the menu names none."""
DATA_LOGGER = "9"
"""The digit of the data logger, where the menu names none."""

LOGIN_CODE = "3845"
CHALLENGE_CODE = "19"


def challenge_answer(number: str | None, code: str) -> str:
    """Return what is typed for the *number* that a challenge shows (spec c.4).

    The rule between the two is not known: the configured *code* is repeated until it is taken.
    """
    return code
