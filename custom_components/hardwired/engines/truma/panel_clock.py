"""Keeps the panel's clock right, and sets it to a time that is wished (spec d.6, e).

When it is due stands in :mod:`.clock_sync`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta, tzinfo

from ..clock import Clock
from ..device_clocks import doubt, require_right
from ..engine import CommandError
from . import clock_sync
from .clock_sync import ClockCheck
from .inet.buffers import Group
from .inet.rules import clock_difference
from .node.messages import SetOffset
from .uploads import Uploads

_LOGGER = logging.getLogger(__name__)


class PanelClock:
    """The panel's clock, as far as we set it. *order* tells our node how far to be ahead of UTC."""

    def __init__(
        self,
        clock: Clock,
        zone: tzinfo | None,
        order: Callable[[SetOffset], None],
        uploads: Uploads,
        *,
        trusted: bool = False,
    ) -> None:
        self._clock = clock
        self._zone = zone
        self._order = order
        self._uploads = uploads
        self._trusted = trusted
        self._doubted_since: float | None = None
        self._shown: Mapping[str, int] = {}
        self._shown_at = 0.0
        self._checked: ClockCheck | None = None
        self._task: asyncio.Task[None] | None = None

    def offset(self) -> timedelta:
        """Return how far local time is ahead of UTC now."""
        return self._clock.now().astimezone(self._zone).utcoffset() or timedelta(0)

    def close(self) -> None:
        """Set nothing more."""
        if self._task is not None:
            self._task.cancel()

    def is_doubted(self) -> bool:
        """Whether our own clock has been doubtful for so long that the owner should know."""
        if doubt(self._clock, trusted=self._trusted) is None:
            self._doubted_since = None
            return False
        now = self._clock.monotonic()
        if self._doubted_since is None:
            self._doubted_since = now
        return now - self._doubted_since >= clock_sync.PATIENCE

    def take(self, raw: Mapping[str, int]) -> None:
        """The panel shows its clock."""
        self._shown, self._shown_at = raw, self._clock.monotonic()

    def check(self, up_since: float) -> None:
        """Set the clock when it is wrong: once a day, and when either clock has jumped.

        *up_since* is when our node came on the bus.
        """
        if self._task is not None:
            return
        now, monotonic = self._clock.now(), self._clock.monotonic()
        if monotonic - up_since < clock_sync.FIRST:
            return
        if doubt(self._clock, trusted=self._trusted) is not None:
            return
        local = now + self.offset()
        checked = ClockCheck.now(local, monotonic)
        if not checked.due_after(self._checked):
            return
        self._checked = checked
        raw = self._shown
        panel = (raw["hours"], raw["minutes"], raw["seconds"])
        difference = clock_difference(panel, _hms(local))
        if abs(difference) > clock_sync.TOLERANCE:
            _LOGGER.info("the panel's clock differs by %s s; setting it", difference)
            self._task = asyncio.ensure_future(self._set_quietly())

    async def set(self, wished: time | None = None) -> None:
        """Set the panel's clock: to local time, or to the time *wished*.

        A time that was wished is kept until the next daily check of the clock. It is the owner's
        word: it need not be known whether ours is right. Raises :class:`CommandError`.
        """
        self._uploads.require_baseline(Group.CLOCK)
        now, offset = self._clock.now(), self.offset()
        require_right(self._clock, trusted=self._trusted or wished is not None)
        ahead = offset.total_seconds()
        before = self._checked
        if wished is not None:
            ahead = clock_difference(_hms(wished), _hms(now))
            self._checked = ClockCheck.now(now + offset, self._clock.monotonic())
        self._order(SetOffset(ahead))
        try:
            await self._uploads.send(Group.CLOCK, {})
        except CommandError:
            if wished is not None:
                self._checked = before
            raise

    async def change(self, fields: Mapping[str, int]) -> None:
        """Have raw fields changed; what else there is stays as it was shown, and goes on."""
        self._uploads.require_baseline(Group.CLOCK)
        shown = self._shown
        passed = int(self._clock.monotonic() - self._shown_at)
        seconds = shown["hours"] * 3600 + shown["minutes"] * 60 + shown["seconds"] + passed
        now = {
            "hours": seconds // 3600 % 24,
            "minutes": seconds // 60 % 60,
            "seconds": seconds % 60,
        }
        await self._uploads.send(Group.CLOCK, {**now, **fields})

    async def _set_quietly(self) -> None:
        checked = self._checked
        try:
            await self.set()
        except CommandError as error:
            if self._checked == checked:
                self._checked = None
            _LOGGER.info("the panel's clock could not be set: %s", error)
        finally:
            self._task = None


def _hms(moment: time | datetime) -> tuple[int, int, int]:
    return moment.hour, moment.minute, moment.second
