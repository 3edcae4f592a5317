"""Whether a device that wrote often has fallen silent (spec C.9)."""

from __future__ import annotations

from collections import deque
from statistics import median

GUARDED = ("grid", "genset", "battery", "vebus")

_GAPS = 10
_OFTEN = 30.0  # s
_LEAST = 60.0  # s
_TIMES = 10
_ROUND = 0.5  # s; what a device writes within this is one report of many paths
_LATE = 5.0  # s that a device which repeats everything each minute may come late


class StaleGuard:
    """Watches the writes to one service. Times are seconds of a monotonic clock.

    A device that reports many paths at once, every few minutes, writes often only at first sight:
    as soon as two of its reports are known, the gaps between reports count. A silence is one of
    them, so a device that is silent again and again is soon one that writes seldom.
    """

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._rounds: deque[float] = deque(maxlen=_GAPS)  # between reports
        self._last: float | None = None
        self._round: float | None = None  # when the present report began
        self._told = False

    def written(self, now: float) -> None:
        """Note a write."""
        if self._round is None:
            self._round = now
        elif now - self._round >= _ROUND:
            self._rounds.append(now - self._round)
            self._round = now
        if self._last is not None and not self._told:
            self._gaps.append(now - self._last)
        self._told = False
        self._last = now

    def due(self) -> float | None:
        """Return when the values become stale; None while that can't be said, or when told."""
        if self._last is None or self._told or not self._gaps:
            return None
        usual = median(self._rounds or self._gaps)
        if usual >= _OFTEN:
            return None
        return self._last + max(_LEAST, _TIMES * usual) + _LATE

    def is_stale(self, now: float) -> bool:
        """Whether it is time to take the values back; says so once for each silence."""
        due = self.due()
        if due is None or now < due:
            return False
        self._told = True
        return True
