"""How the bus and our part in it are: who was heard when, what is damaged, what is late (c.9, h).

Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from ..engine import Notice, Reason
from .inet.box import SECOND_BOX_PAUSE
from .node.messages import BusFacts
from .rolling_ratio import RollingRatio

_LOGGER = logging.getLogger(__name__)

NO_BUS_AFTER = 30.0
NOT_REGISTERED_AFTER = 120.0
NOT_POLLED_AFTER = 60.0
NOBODY_POLLS = "the bus is alive, but nobody on it calls an iNet box: there are no values to see"
SILENT_AFTER = 90.0
STALE_AFTER = 600.0
AWAKE_WITHIN = 30.0

BAD_FRAMES = (60.0, 0.2, 50)
"""Seconds, and the share of damaged frames among at least so many that is worth a warning (c.9)."""
LATE_ANSWERS = (600.0, 0.01, 200)
"""Seconds, and the share of answers late or left out that makes the responder too slow (h)."""


class BusHealth:
    """Judges the bus by what our node reports. ``facts`` are the newest counters."""

    def __init__(self, now: float) -> None:
        self.facts = BusFacts()
        self.told = False
        """Whether the node has reported since it is there."""
        self.present = False
        """Whether we have a node on the bus."""
        self.up_since = 0.0
        self.quiet_until = now
        """Until when we stay silent, because of another box."""
        self._headers = 0
        self._last_header: float | None = None
        self._last_called: float | None = None
        self._last_buffer: float | None = None
        self._bad = RollingRatio(*BAD_FRAMES)
        self._late = RollingRatio(*LATE_ANSWERS)

    # -------------------------------------------------------------------------- what is heard

    def joined(self, now: float) -> None:
        """Our node is on the bus."""
        self.present = True
        self.up_since = now
        self._headers = 0
        self._bad.restart()
        self._late.restart()

    def left(self) -> None:
        """Our node is gone."""
        self.present = False
        self.facts, self.told = BusFacts(), False

    def heard_frame(self, now: float) -> None:
        """Another node has spoken."""
        self._last_header = now

    def heard_buffer(self, now: float) -> None:
        """The panel has told something."""
        self._last_buffer = now

    def second_box(self, now: float) -> None:
        """Another box answers: we are silent for a while."""
        self.quiet_until = now + SECOND_BOX_PAUSE
        _LOGGER.warning("another iNet box answers on this bus; staying silent for a minute")

    def take_facts(self, facts: BusFacts, now: float) -> bool:
        """Take the node's counters; return whether there were headers since the last time."""
        alive = facts.headers > self._headers
        if alive:
            self._headers = facts.headers
            self._last_header = now
        if facts.headers_for_us > self.facts.headers_for_us:
            self._last_called = now
        if facts.registered:
            self._last_called = self._last_called or now
        self.facts, self.told = facts, True
        self.quiet_until = now + facts.quiet_for
        self._judge(facts, now)
        return alive

    def _judge(self, facts: BusFacts, now: float) -> None:
        """Update the shares of damaged frames and of late answers."""
        damaged = facts.checksum_errors + facts.parity_errors
        if self._bad.update(damaged, facts.frames, now):
            if self._bad.much:
                damaged, sound = self._bad.counted
                _LOGGER.warning(
                    "bus quality: %s of %s frames within a minute were damaged",
                    damaged,
                    damaged + sound,
                )
            else:
                _LOGGER.info("bus quality: the frames are sound again")
        self._late.update(facts.late + facts.skipped, facts.answered - facts.late, now)

    # ---------------------------------------------------------------------------- the verdict

    def alive(self, now: float) -> bool:
        """Whether what is known still holds."""
        if not self.present or self._last_header is None:
            return False
        return now - self._last_header <= SILENT_AFTER and not self._stale(now)

    def silent(self, now: float) -> bool:
        """Whether a bus that was heard has been silent for long."""
        return self._last_header is not None and now - self._last_header > SILENT_AFTER

    def called(self, now: float) -> bool:
        """Whether the panel calls us."""
        return self._last_called is not None and now - self._last_called <= SILENT_AFTER

    def unpolled(self, now: float) -> bool:
        """Whether the bus has been alive for a minute and nobody on it calls a box.

        So it is with an iNet X panel, where an Alde heater hangs on its own panel, and where the
        panel knows of no box.
        """
        if not self.present or self._last_called is not None or self.facts.headers_for_us:
            return False
        return self._headers > 0 and now - self.up_since >= NOT_POLLED_AFTER

    def _stale(self, now: float) -> bool:
        """Whether the bus is awake and no buffer has come for long (spec c.9)."""
        awake = self._last_header is not None and now - self._last_header <= AWAKE_WITHIN
        since = max(self._last_buffer or 0.0, self.up_since)
        return awake and now - since > STALE_AFTER

    def status(
        self, now: float, *, listens_only: bool, has_values: bool
    ) -> tuple[Reason | None, str | None]:
        """Return the reason why nothing is received (``None``: something is), and the details."""
        if not self.present:
            return Reason.STARTING, None
        if self.facts.second_box:
            return Reason.SECOND_MASTER, "another iNet box answers on this bus"
        if self._last_header is None or now - self._last_header > SILENT_AFTER:
            return self._status_without_bus(now - self.up_since)
        if listens_only and self.unpolled(now) and not has_values:
            return Reason.NOT_REGISTERED, NOBODY_POLLS
        if listens_only or self.called(now):
            return None, None
        if now - self.up_since < NOT_REGISTERED_AFTER:
            return Reason.STARTING, "the bus is alive; the panel has not called us yet"
        return Reason.NOT_REGISTERED, "the panel never calls us: run RESET, PR SET"

    def _status_without_bus(self, up: float) -> tuple[Reason, str | None]:
        if up < NO_BUS_AFTER:
            return Reason.STARTING, None
        if self.facts.bytes:
            return Reason.NOISE, "bytes come, but no LIN header among them"
        return Reason.SILENT, "not one byte comes from the bus"

    def notices(self, now: float, *, listens_only: bool) -> Iterator[Notice]:
        """Yield what the owner should know of the bus."""
        if listens_only and self.unpolled(now):
            yield Notice("not_polled")
        if (poor := self._much(self._bad)) is not None:
            yield Notice("bus_quality", {"damaged": str(poor[0]), "frames": str(poor[1])})
        if (slow := self._much(self._late)) is not None:
            yield Notice("too_slow", {"late": str(slow[0]), "answered": str(slow[1])})

    def _much(self, share: RollingRatio) -> tuple[int, int] | None:
        part, rest = share.counted
        return (part, part + rest) if share.much and self.present else None

    def as_dict(self, now: float) -> Mapping[str, Any]:
        """Return plain types, for the diagnostics."""
        return {
            "bus_quality": _ratio_facts(self._bad, "damaged", "sound"),
            "timeliness": _ratio_facts(self._late, "late_or_skipped", "in_time"),
            "seconds_since_buffer": None
            if self._last_buffer is None
            else round(now - self._last_buffer),
        }


def _ratio_facts(share: RollingRatio, part: str, rest: str) -> Mapping[str, Any]:
    counted = share.counted
    return {part: counted[0], rest: counted[1], "much": share.much, "times": share.times}
