"""The life of one open link: start-up, then the loop (spec c.3, c.4, c.8)."""

from __future__ import annotations

import asyncio
import contextlib
import math

from ..datapoints.datapoint import Poll
from ..plant.unit import Unit
from . import discovery
from .context import SessionContext
from .effects import Effects
from .line import Line
from .membership import FIRST_LOOK, Membership
from .notifications import Notifications
from .poller import Poller
from .ram import Ram
from .requester import Requester
from .timers import Timers
from .watchdogs import Watchdogs

HOUSEKEEPING = 1.0
FASTEST = 1.0
"""Seconds between two readings of the fast class while the owner wants them near real time."""
SAVE_TOTALS = 300.0
SAVE_LEAST = 60.0
"""Between two savings, however much has changed: the disk may be a memory card."""
COMMUNICATION_ERRORS = (
    "header_errors", "data_errors", "length_errors", "short_service", "bad_length",
    "response_timeout", "read_property_failed", "invalid_frame",
)  # fmt: skip
"""What of the counted reasons is an error on the way; an absent value is none."""
_SCOM_WATCHDOG = (5095, 5096)


class Session:
    """Talks to one plant until the link is lost. Its parts each know one thing."""

    def __init__(self, context: SessionContext, line: Line) -> None:
        self.context = context
        self.line = line
        self.plant = context.plant
        self.transfer = False
        """Whether a file is being read, so that nothing else may be asked."""
        self._stale = False
        """Whether the poll plan is of before the last wishes."""
        self._wake = asyncio.Event()
        self._next_housekeeping = 0.0
        self._next_save = 0.0
        self._settled = False
        """Whether messages were read and nothing has been polled since: the polls go first now."""
        self._max_idle: float | None = None
        self._watchdog_due: float | None = None
        """When the gateway's own watchdog is asked for; the first values go before."""
        self.timers = Timers(context.clock, self.wake)
        self.requester = Requester(context, line, self._unit_lost, self._silence_ended)
        self.watchdogs = Watchdogs(context, self.requester)
        effects = Effects(context, self.requester, self.timers)
        self.ram = Ram(context, self.requester, self.watchdogs, effects)
        self.membership = Membership(
            context, self.requester, self.ram, self.watchdogs, self._replan
        )
        self.notifications = Notifications(
            context, self.requester, self.membership, self.ram, self.timers
        )
        self.poller = Poller(
            context,
            self.requester,
            line,
            settle=self._settle,
            incomplete=lambda: self.membership.incomplete,
            invalidate=self.membership.invalidate,
        )
        self.ram.make_sure = self.membership.make_sure

    def _unit_lost(self, unit: Unit) -> None:
        self.membership.lost(unit)

    def _silence_ended(self) -> None:
        self.membership.invalidate(self.membership.families)

    def _replan(self) -> None:
        self._stale = False
        self.poller.replan()

    def replan_soon(self) -> None:
        """Make a new poll plan before the next reading: other values are wanted.

        Entities come in batches, a device each or more: one plan serves all that have come.
        """
        self._stale = True
        self.wake()

    def wake(self) -> None:
        """Wake the loop: there is something to do."""
        self._wake.set()

    async def start(
        self, on_progress: discovery.OnProgress | None = None, *, fully: bool = True
    ) -> None:
        """Find the devices, with all their details when *fully*.

        The gateway has answered its probe.
        """
        seated = await self.membership.enumerate_devices(on_progress, fully=fully)
        await self.poller.try_multi_info()
        self._watchdog_due = self.context.now + FIRST_LOOK
        self.notifications.show_flags()
        self.poller.replan()
        for unit in seated:
            self.context.scheduler.refresh(unit.id)
        self.context.live = True

    async def _ask_watchdog(self, now: float) -> bool:
        if self._watchdog_due is None or now < self._watchdog_due:
            return False
        self._watchdog_due = None
        await self._read_scom_watchdog()
        return True

    async def _read_scom_watchdog(self) -> None:
        assert self.plant.gateway is not None
        enabled = await self.watchdogs.parameter(self.plant.gateway, _SCOM_WATCHDOG[0])
        if enabled != 1:
            return
        delay = await self.watchdogs.parameter(self.plant.gateway, _SCOM_WATCHDOG[1])
        self._max_idle = max(1.0, (delay or 10.0) / 2)

    async def run(self) -> None:
        """Poll until the link is lost."""
        expiring = asyncio.ensure_future(self._let_expire())
        try:
            await self._poll()
        finally:
            expiring.cancel()
            self.plant.system.pause()

    async def _let_expire(self) -> None:
        """Remove values that were not read again in time, whatever the line is busy with."""
        while True:
            await self.context.clock.sleep(HOUSEKEEPING)
            now = self.context.now
            for unit in self.plant:
                unit.expire(now)
            self.plant.system.flow(self.plant.real_units(), now, self.context.clock.now())
            self.context.publish()

    async def _poll(self) -> None:
        scheduler = self.context.scheduler
        while True:
            if self.line.error is not None:
                raise self.line.error
            now = self.context.now
            self._housekeeping(now)
            if await self._next_duty(now):
                continue
            if self._stale:
                self._replan()
            self._settled = False
            batch = scheduler.next(now, self.poller.batch_test())
            if batch:
                await self.poller.perform(batch)
                self.context.publish()
            elif not await self.poller.read_limits():
                self.context.publish(urgent=True)
                await self._idle(scheduler.due(now), now)

    async def _next_duty(self, now: float) -> bool:
        """Do the most urgent task other than polling; returns whether there was one."""
        if self.membership.unchecked or (self.notifications.due and not self._settled):
            self._settled = True
            await self._settle()
            return True
        return (
            await self.ram.tend(now)
            or await self.membership.scan_due(now)
            or await self.timers.run_due(now)
            or await self._ask_watchdog(now)
            or await self._keep_alive(now)
        )

    async def _settle(self) -> None:
        """Read pending messages before a reading is used.

        The answer that carries a value may also carry the flag of the message "an Xtender has
        started". Then another device may be at this address.
        """
        if self.notifications.due:
            await self.notifications.read_new()
        if self.membership.unchecked:
            await self.membership.check()

    async def _keep_alive(self, now: float) -> bool:
        """Ask something before the gateway's own watchdog times out (spec e.4)."""
        heard = self.line.last_frame
        if self._max_idle is None or heard is None or now < heard + self._max_idle:
            return False
        await self.requester.ask(discovery.probe_request(), discovery.PROBE_FORMAT)
        return True

    async def _idle(self, due: float | None, now: float) -> None:
        times = [now + HOUSEKEEPING, self.membership.due()]
        times += [moment for moment in (due, self.timers.due()) if moment is not None]
        if self._max_idle is not None and self.line.last_frame is not None:
            times.append(self.line.last_frame + self._max_idle)
        if self._watchdog_due is not None:
            times.append(self._watchdog_due)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with self.context.clock.timeout(max(0.0, min(times) - now)):
                await self._wake.wait()

    def _housekeeping(self, now: float) -> None:
        if now < self._next_housekeeping:
            return
        self._next_housekeeping = now + HOUSEKEEPING
        fast = FASTEST if now < self.context.fast_until else None
        self.context.scheduler.hurry(fast, now)
        self.poller.adapt()
        gateway, statistics = self.plant.gateway, self.context.statistics
        if gateway is not None:
            achieved = self.context.scheduler.achieved(Poll.FAST)
            rounded = None if achieved is None else round(achieved, 1)
            gateway.put_reading("achieved_interval", rounded, math.inf, now)
            failed = sum(statistics.drops[reason] for reason in COMMUNICATION_ERRORS)
            gateway.put("errors", statistics.timeouts + failed, math.inf)
        grown = any(total.consequential for total in self.plant.system.totals.values())
        if now >= self._next_save or (grown and now >= self._next_save - SAVE_TOTALS + SAVE_LEAST):
            self._next_save = now + SAVE_TOTALS
            self.save_totals()
        if self.context.live:
            # Notices come and go without a value that changes.
            self.context.emit()

    def save_totals(self) -> None:
        """Store the energy totals."""
        totals = self.plant.system.totals
        self.context.stored.totals = {key: total.as_dict() for key, total in totals.items()}
        self.context.stored.totals_as_of = self.plant.system.as_of
        for total in totals.values():
            total.stored()
