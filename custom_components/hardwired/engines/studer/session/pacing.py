"""How fast the line is driven: pauses, bursts, measured latencies (spec c.4). Pure."""

from __future__ import annotations

from bisect import bisect_left

ADAPTIVE_STEPS = (0.010, 0.005, 0.002, 0.0)
"""Pauses between an answer and the next request, from the longest to none."""
LATENCY_WEIGHT = 0.01
"""Of one more measurement in the average: a gateway that stalls once a minute is not slow."""
LATENCY_BUCKETS = (10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 3000)
"""Upper bounds of the histogram, in milliseconds."""


class Pacer:
    """Finds the shortest pause that a gateway needs.

    The 10 ms come from one program; whether a gateway needs them is unknown, and they cost a third
    of the line's time. So the pause is shortened by one step after each run of good exchanges.
    After a loss it is the longest again, and the next run has to be twice as long.
    """

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self._step = 0
        self._clean = 0
        self._wanted = 20

    @property
    def pause(self) -> float:
        """The pause before the next request."""
        return ADAPTIVE_STEPS[self._step] if self._fixed is None else self._fixed

    def answered(self) -> None:
        """Note a good exchange."""
        self._clean += 1
        if self._clean >= self._wanted and self._step < len(ADAPTIVE_STEPS) - 1:
            self._step += 1
            self._clean = 0

    def lost(self) -> None:
        """Note that a device that is present did not answer in time."""
        if self._step:
            self._step = 0
            self._wanted = min(self._wanted * 2, 20_000)
        self._clean = 0


class Burst:
    """Limits the seconds of requests in a row; the pause after them is for another master."""

    def __init__(self, longest: float, rest: float) -> None:
        self._longest = longest
        self._rest = rest
        self._began: float | None = None
        self._ended = 0.0

    def rest(self, now: float) -> float:
        """Return how long to rest before the request that is about to start."""
        if not self._longest:
            return 0.0
        if self._began is None or now - self._ended >= self._rest:
            self._began = now
            return 0.0
        if now - self._began < self._longest:
            return 0.0
        self._began = now + self._rest
        return self._rest

    def ended(self, now: float) -> None:
        """Note the end of an exchange."""
        self._ended = now


class Latency:
    """Measured times per request: moving average and histogram."""

    def __init__(self, first_guess: float = 0.05) -> None:
        self.average = first_guess
        self.count = 0
        self._histogram = [0] * (len(LATENCY_BUCKETS) + 1)

    def note(self, seconds: float) -> None:
        """Take one measurement: of a single value, others take longer and carry more."""
        self.count += 1
        weight = max(LATENCY_WEIGHT, 1 / self.count)
        self.average += (seconds - self.average) * weight
        self._histogram[bisect_left(LATENCY_BUCKETS, seconds * 1000)] += 1

    def histogram(self) -> dict[str, int]:
        """Return how many fell under each bound; buckets that are empty are left out."""
        names = [f"<={bound} ms" for bound in LATENCY_BUCKETS] + [f">{LATENCY_BUCKETS[-1]} ms"]
        return {name: n for name, n in zip(names, self._histogram, strict=True) if n}
