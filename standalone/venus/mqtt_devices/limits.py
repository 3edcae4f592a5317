"""Limits on how often: messages of one client, and lines in the log (spec E.6)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Dict

MOST_KEYS = 512


class Buckets:
    """A token bucket for each key; the keys used least recently are forgotten."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._rate = per_second
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str, now: float) -> bool:
        """Take a token; says whether there was one."""
        left, since = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return allowed


class Seldom:
    """Says of a key at most once a while that it is its turn, for lines in the log."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._last: OrderedDict[str, float] = OrderedDict()

    def __call__(self, key: str, now: float) -> bool:
        """Whether the key's last turn is long enough ago; then this is its turn."""
        last = self._last.get(key)
        if last is not None and now - last < self._seconds:
            return False
        self._last.pop(key, None)
        self._last[key] = now
        while len(self._last) > MOST_KEYS:
            self._last.popitem(last=False)
        return True


class Counters(Dict[str, int]):
    """How often what happened, by a word."""

    def count(self, word: str) -> None:
        """Count one more."""
        self[word] = self.get(word, 0) + 1
