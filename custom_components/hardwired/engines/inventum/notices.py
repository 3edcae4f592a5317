"""What the owner should know or mend (spec h.4)."""

from __future__ import annotations

from collections.abc import Iterator

from ..engine import Notice, Severity
from .dialogue.machine import Dialogue

RETURN_OVERDUE = 300.0
"""Seconds for which the return to auto may fail before it is said (spec e.4)."""
STARTS_WITHOUT_ROW = 3


def notices(dialogue: Dialogue, now: float, device: str) -> Iterator[Notice]:
    """Yield what stands now."""
    if dialogue.log.header is not None and dialogue.log.fan_column is None:
        yield Notice("no_fan_column", device=device)
    wish = dialogue.wishes.current
    if wish is not None and wish.lasting and now - wish.asked >= RETURN_OVERDUE:
        yield Notice("return_overdue", severity=Severity.ERROR, device=device)
    if dialogue.starts_without_row >= STARTS_WITHOUT_ROW:
        yield Notice("no_rows", device=device)
