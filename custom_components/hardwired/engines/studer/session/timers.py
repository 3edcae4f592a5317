"""Tasks to be done after a delay, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable

from ...clock import Clock

Action = Callable[[], Awaitable[object]]


class Timers:
    """A short list of tasks; :meth:`ring` carries out those that are due, one at a time."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._plans: dict[Hashable, tuple[float, Action]] = {}

    def later(self, seconds: float, name: Hashable, action: Action) -> None:
        """Do something after a delay; an earlier task of the same name is dropped."""
        self._plans[name] = (self._clock.monotonic() + seconds, action)
        self._wake()

    def due(self) -> float | None:
        """Return when the next one is due."""
        return min((due for due, _ in self._plans.values()), default=None)

    async def run_due(self, now: float) -> bool:
        """Carry out one task that is due; returns whether there was one."""
        for name, (due, action) in self._plans.items():
            if due <= now:
                del self._plans[name]
                await action()
                return True
        return False
