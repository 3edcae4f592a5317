"""One register of all that must report, and what happens when somebody does not (spec f.2)."""

from __future__ import annotations

import faulthandler
import logging
from collections.abc import Callable
from typing import Protocol

from hardwired_engines.clock import Clock

from .notify import Notifier

_LOGGER = logging.getLogger(__name__)

GRACE = 30.0
WITHOUT_MANAGER = 15.0
HANGS_AFTER = 60


class Patient(Protocol):
    """A link, as the watchdog sees it."""

    @property
    def sign_due(self) -> float | None:
        """The monotonic time by which it will have moved again; ``None``: it does not run."""

    def stack(self) -> str:
        """Return where it stands, for the log."""

    def restart(self) -> None:
        """Stop it and start it anew."""


class Register:
    """Who reports, and by when the next report is due."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def report(self, name: str, due: float | None) -> None:
        """Note a report; ``None``: *name* has ended in order."""
        if due is None:
            self._due.pop(name, None)
        else:
            self._due[name] = due

    def overdue(self, now: float) -> list[str]:
        """Return who should have reported."""
        return [name for name, due in self._due.items() if now > due + GRACE]


class Watchdog:
    """Feeds the service manager while all report; restarts a link that hangs."""

    def __init__(
        self,
        clock: Clock,
        register: Register,
        patients: Callable[[], dict[str, Patient]],
        notifier: Notifier,
        *,
        hard: bool = False,
    ) -> None:
        self._clock = clock
        self._register = register
        self._patients = patients
        self._notifier = notifier
        self._hard = hard and notifier.interval is None
        self._restarted: dict[str, float] = {}
        self.lag_max = 0.0
        """The longest time that the loop was away, since it was last asked."""
        self.starving = False

    async def run(self) -> None:
        """Look round until cancelled."""
        every = WITHOUT_MANAGER
        if self._notifier.interval is not None:
            every = self._notifier.interval / 4
        try:
            while True:
                if self.check():
                    self._notifier.alive()
                    if self._hard:
                        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
                await self._clock.sleep(every)
        finally:
            if self._hard:
                faulthandler.cancel_dump_traceback_later()

    def check(self) -> bool:
        """Return whether all is well, or may still become so."""
        now = self._clock.monotonic()
        well = True
        for name, patient in self._patients().items():
            due = patient.sign_due
            if due is None or now <= due + GRACE:
                self._restarted.pop(name, None)
            elif name not in self._restarted:
                _LOGGER.error("%s hangs and is started anew: %s", name, patient.stack())
                self._restarted[name] = now
                patient.restart()
            elif now > self._restarted[name] + GRACE:
                well = False
        for name in self._register.overdue(now):
            well = False
            if not self.starving:
                _LOGGER.error("%s hangs", name)
        self.starving = not well
        return well

    async def measure_lag(self, every: float = 0.5) -> None:
        """Measure how long the loop is away, until cancelled."""
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(every)
            self.lag_max = max(self.lag_max, self._clock.monotonic() - before - every)
