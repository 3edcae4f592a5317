"""Values in the RAM of devices: written, remembered, forgotten, in doubt (spec e.1, e.3, e.4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from ...engine import LinkError
from ..catalogue import to_field
from ..datapoints.datapoint import Datapoint, by_id
from ..plant.unit import HOLD_INTERVALS, SURE, Shadow, Unit, as_wire
from ..scom.exchange import Reply, ReplyKind
from ..scom.frame import ParameterProperty
from ..scom.values import encode
from .context import SessionContext
from .discovery import NotAsked, Unanswered
from .effects import Effects
from .requester import Requester
from .watchdogs import Watchdogs
from .write_order import Order

_LOGGER = logging.getLogger(__name__)

ASK_AGAIN = 30.0
"""Seconds until RAM is to be written again at a device that did not say what has to be known."""
HURRY = 0.1
"""Of a watchdog's delay: how soon it is fed again when the device did not say who it is."""
CLOCKS = timedelta(seconds=2)
"""How far the times of two messages may be from those of the events, taken together."""


class Ram:
    """Writes to RAM and remembers the values, because a read returns the value in flash."""

    def __init__(
        self,
        context: SessionContext,
        requester: Requester,
        watchdogs: Watchdogs,
        effects: Effects,
    ) -> None:
        self._context = context
        self._requester = requester
        self._watchdogs = watchdogs
        self._effects = effects
        self.make_sure: Callable[[Unit], Awaitable[None]] | None = None
        """Sees to it that what is written reaches the device that is meant."""
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        """Writes of one parameter of a device go one after the other."""
        self._rests_until = -math.inf

    async def tend(self, now: float) -> bool:
        """Feed a watchdog or restore a value after a restart; returns whether one was due."""
        for unit in self._context.plant:
            if self._hungry(unit, now):
                await self._feed_watchdog(unit)
                return True
        if now < self._rests_until:
            return False
        for name in tuple(self._context.reapply):
            back = self._context.plant.units.get(name[0])
            if back is None:
                del self._context.reapply[name]
            elif back.available and not back.tracking.details_pending:
                await self._restore(back, name)
                # However slow the disk or the device is, half of the time is for the values.
                ended = self._context.now
                self._rests_until = max(self._rests_until, 2 * ended - now)
                return True
        return False

    async def _restore(self, unit: Unit, name: tuple[str, int]) -> None:
        """Write again one value that a device has lost, unless the owner has set it meanwhile."""
        point, number = self._context.reapply[name]
        try:
            if unit.watchdog.armed is None:
                await self._watchdogs.look(unit)
            if self._context.reapply.pop(name, None) is None or self._turns[name].locked():
                return
            shadow = unit.memory.shadows.get(point.id)
            wanted = unit.watchdog.armed is False and (shadow is None or shadow.number is None)
            if wanted and await self.write(unit, point, number) is None:
                self._context.reapply.setdefault(name, (point, number))
        except (Unanswered, LinkError) as error:
            self._context.reapply.setdefault(name, (point, number))
            if isinstance(error, LinkError):
                raise
            self._rests_until = self._context.now + ASK_AGAIN

    def started(self, unit: Unit, at_latest: datetime) -> None:
        """A message tells that a device has started: what was in its RAM then is gone.

        *at_latest*: when that was, by the times of the messages. What was written later, and yet
        before the message as far as the flags of the gateway tell, is in doubt: another master
        may have cleared the flag.
        """
        shadows = dict(unit.memory.shadows)
        orders = {number: self._context.order.of((unit.id, number)) for number in shadows}
        for number, shadow in shadows.items():
            late = at_latest + CLOCKS < shadow.time <= self._context.clock.now()
            if orders[number] is Order.BEFORE and late:
                orders[number] = Order.UNKNOWN
        self.forget(unit, keep={n for n, order in orders.items() if order is Order.AFTER})
        for number, order in orders.items():
            if order is Order.UNKNOWN and (point := by_id(unit.family, number)) is not None:
                self.doubt([unit], point, shadows[number].time)

    def doubt_all(self, units: Iterable[Unit], *, wanted: bool = True) -> None:
        """These devices may have started, or not.

        Unless it is *wanted*, what was in RAM is not written again.
        """
        for unit in units:
            shadows = dict(unit.memory.shadows)
            for number, shadow in shadows.items():
                if (point := by_id(unit.family, number)) is not None:
                    self.doubt([unit], point, shadow.time)
            if wanted:
                self._write_again(unit, shadows)

    def forget(self, unit: Unit, *, keep: Collection[int] = ()) -> None:
        """A device has restarted: what was in its RAM is gone, but for the parameters in *keep*."""
        shadows = unit.memory.shadows
        lost = {number: shadow for number, shadow in shadows.items() if number not in keep}
        unit.memory.shadows = {number: shadows[number] for number in shadows.keys() - lost.keys()}
        self._store(unit)
        for number in lost:
            point = by_id(unit.family, number)
            if point is None:
                continue
            self._effects.clear(unit, point)
            unit.note_details(point, self._context.zone)
            if number in unit.memory.flash:
                unit.show(point, unit.memory.flash[number], math.inf, self._context.zone)
        self._context.scheduler.refresh(unit.id)
        self._write_again(unit, lost)

    def _write_again(self, unit: Unit, shadows: Mapping[int, Shadow]) -> None:
        """Write soon what was in RAM, if the owner wants that."""
        if self._context.settings.reapply_ram:
            for number, shadow in shadows.items():
                point = by_id(unit.family, number)
                if point is not None and shadow.number is not None:
                    self._context.reapply[unit.id, number] = point, shadow.number

    def _hungry(self, unit: Unit, now: float) -> bool:
        return (
            self._context.settings.feed_watchdogs
            and unit.watchdog.armed is True
            and self._food(unit) is not None
            and unit.available
            and now - unit.watchdog.fed_at >= unit.watchdog.delay / 3
        )

    async def _feed_watchdog(self, unit: Unit) -> None:
        """Repeat one RAM write, before the watchdog of the device stops it."""
        unit.watchdog.fed_at = self._context.clock.monotonic()
        food = self._food(unit)
        if food is None or self._turns[unit.id, food[0].id].locked():
            return
        try:
            await self.write(unit, *food)
        except Unanswered:
            delay = unit.watchdog.delay
            unit.watchdog.fed_at = self._context.now - delay / 3 + HURRY * delay

    @staticmethod
    def _food(unit: Unit) -> tuple[Datapoint, float] | None:
        """Return a parameter whose value in RAM is known, and the value."""
        for number, shadow in unit.memory.shadows.items():
            point = by_id(unit.family, number)
            if point is not None and shadow.number is not None:
                return point, shadow.number
        return None

    async def write(
        self, unit: Unit, point: Datapoint, number: float, *, urgent: bool = False
    ) -> Reply | None:
        """Write a checked value to RAM, and remember it when it was accepted.

        A phase is written by its devices. Returns ``None`` when one is not there; nothing was
        written then. Raises :class:`Unanswered` when it does not say who it is.
        """
        assert point.wire_format is not None
        if unit.address is None:
            return None
        units = self._context.plant.reached(unit)
        data = encode(point.wire_format, number)
        request = point.write(unit.address, data, ParameterProperty.UNSAVED_VALUE)
        reply = await self.follow(
            lambda: self._requester.ask_unit(unit, request, None, urgent=urgent),
            units,
            point,
            number,
        )
        if reply is not None and reply.kind is ReplyKind.WRITTEN:
            for one in units:
                self.remember(one, point, number)
            if unit.virtual:
                self.doubt((one for one in units if one.identity.phase is None), point)
        return reply

    async def follow(
        self,
        write: Callable[[], Awaitable[Reply]],
        units: Collection[Unit],
        point: Datapoint,
        number: float,
        *,
        stored: bool = False,
    ) -> Reply | None:
        """Let *write* write a parameter, and see to what may be said of the RAM of *units*.

        Without a clear answer nobody knows what stands there: then nothing is shown. The same
        holds for who comes after us, should we be ended meanwhile. *stored*: it goes to flash,
        which can be read; in doubt is only what stood in RAM apart. Returns ``None`` when a device
        was lost or has moved before anything was written. Raises :class:`Unanswered` when a single
        device does not say who it is.
        """
        addresses = [unit.address for unit in units]
        async with contextlib.AsyncExitStack() as turns:
            for unit in sorted(units, key=lambda unit: unit.id):
                await turns.enter_async_context(self._turns[unit.id, point.id])
            reply = await self._follow(write, units, addresses, point, number, stored=stored)
            if reply is not None and (reply.is_unclear or reply.kind is ReplyKind.WRITTEN):
                for unit in units:
                    self._context.reapply.pop((unit.id, point.id), None)
            return reply

    async def _follow(
        self,
        write: Callable[[], Awaitable[Reply]],
        units: Collection[Unit],
        addresses: list[int | None],
        point: Datapoint,
        number: float,
        *,
        stored: bool,
    ) -> Reply | None:
        changed = {unit for unit in units if _may_change(unit, point, number, stored=stored)}
        unclear = False
        try:
            await self._announce(changed, point)
            if len(units) == 1:
                for unit in units:
                    await self.confirm(unit)
            if [unit.address for unit in units if unit.available] != addresses:
                return None
            unclear = True
            try:
                reply = await write()
            except NotAsked:
                unclear = False
                raise
            unclear = reply.is_unclear
        finally:
            # A device may have started meanwhile.
            changed |= {unit for unit in units if _may_change(unit, point, number, stored=stored)}
            for unit in changed:
                unit.memory.in_flight.pop(point.id, None)
                self._store(unit)
            if unclear:
                for unit in units:
                    self._context.order.note_unclear((unit.id, point.id))
                self.doubt(changed, point)
        if stored and reply.kind is ReplyKind.WRITTEN:
            for unit in changed:  # until it is read back
                self._keep(unit, point, None)
        return reply

    async def _announce(self, units: Collection[Unit], point: Datapoint) -> None:
        """Have it on the disk that this parameter is being written."""
        for unit in units:
            unit.memory.in_flight[point.id] = Shadow(None, self._context.clock.now())
            self._store(unit)
        if units:
            await self._context.stored.now(self._context.clock)

    async def confirm(self, unit: Unit) -> None:
        """Ask a device who it is, unless it has just said so. Raises :class:`Unanswered`."""
        if self.make_sure is not None and self._context.now - unit.tracking.sure >= SURE:
            await self.make_sure(unit)

    def doubt(
        self, units: Iterable[Unit], point: Datapoint, written: datetime | None = None
    ) -> None:
        """Nobody knows what stands in RAM: it is absent until a write is confirmed.

        *written*: when something was written there, if not now.
        """
        for unit in units:
            self._effects.clear(unit, point)
            self._keep(unit, point, None, written)
            self._publish_parameter(unit, point, None)

    def _keep(
        self, unit: Unit, point: Datapoint, number: float | None, at: datetime | None = None
    ) -> None:
        unit.memory.shadows[point.id] = Shadow(number, at or self._context.clock.now())
        self._store(unit)

    def _store(self, unit: Unit) -> None:
        self._context.stored.keep_shadows(unit.id, unit.memory.to_keep())

    def remember(self, unit: Unit, point: Datapoint, number: float) -> None:
        """Remember a RAM value that a device has accepted: reads still return the flash."""
        unit.watchdog.fed_at = self._context.clock.monotonic()
        self._keep(unit, point, number)
        self._context.order.note((unit.id, point.id), unread=self._context.messages_unread)
        self._publish_parameter(unit, point, number)
        self._effects.expect(unit, point)

    def _publish_parameter(self, unit: Unit, point: Datapoint, number: float | None) -> None:
        zone = self._context.zone
        unit.note_details(point, zone)
        if point.key in unit.values:
            until = self._context.clock.monotonic() + HOLD_INTERVALS * self._context.interval(point)
            value = None if number is None else to_field(point, as_wire(point, number), zone)
            unit.put(point.key, value, until)
            self._context.publish(urgent=True)

    def forget_shadow(self, unit: Unit, point: Datapoint) -> None:
        """Forget a RAM value that is no longer in force."""
        self._effects.clear(unit, point)
        if unit.memory.shadows.pop(point.id, None) is not None:
            self._store(unit)

    def show_flash(self, unit: Unit, point: Datapoint, number: float) -> None:
        """Show the value in flash."""
        self.forget_shadow(unit, point)
        unit.memory.flash[point.id] = number
        self._publish_parameter(unit, point, number)


def _may_change(unit: Unit, point: Datapoint, number: float, *, stored: bool) -> bool:
    """Whether a write may make what is known of a parameter in RAM untrue."""
    shadow = unit.memory.shadows.get(point.id)
    if shadow is None:
        return not stored
    return shadow.number != number
