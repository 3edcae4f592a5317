"""Values in the RAM of devices: shadows, watchdogs, effects (spec e.1, e.3, e.4)."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from ..catalogue import to_field
from ..datapoints.datapoint import Datapoint, by_id
from ..plant.unit import HOLD_INTERVALS, Shadow, Unit, as_wire
from ..scom.errors import Remedy, remedy_of_read
from ..scom.exchange import Reply, ReplyKind
from ..scom.families import Family
from ..scom.frame import ParameterProperty, read_info
from ..scom.values import Format, encode
from .context import SessionContext
from .discovery import Unanswered
from .requester import Requester
from .timers import Timers
from .write_order import Order, WriteOrder

_LOGGER = logging.getLogger(__name__)

EFFECT_DELAY = 10.0
_WATCHDOGS: Mapping[Family, tuple[int, int, int]] = {
    Family.XT: (1628, 1629, 1550),
    Family.VT: (10342, 10343, 10058),
    Family.VS: (14218, 14219, 14069),
}
"""Per family: watchdog on, its delay, "parameters saved in flash"."""
_EFFECT_BITS = {1124: 0, 1125: 1, 1126: 2, 1128: 3, 1127: 4}
"""The bit of info 3056 that forbids what a parameter allows."""
_INPUT_LIMIT = 1107


class Ram:
    """Writes to RAM and remembers the values, because a read returns the value in flash."""

    def __init__(self, context: SessionContext, requester: Requester, timers: Timers) -> None:
        self._context = context
        self._requester = requester
        self._timers = timers
        self.order = WriteOrder()
        self._reapply: deque[tuple[str, Datapoint, float]] = deque()
        self._ineffective: tuple[str, int] | None = None
        """Device and number of a setting without effect."""

    async def tend(self, now: float) -> bool:
        """Feed a watchdog or restore a value after a restart; returns whether one was due."""
        for unit in self._context.plant:
            if self._hungry(unit, now):
                await self._feed_watchdog(unit)
                return True
        for entry in self._reapply:
            unit_id, point, number = entry
            back = self._context.plant.units.get(unit_id)
            if back is not None and (not back.available or back.watchdog.armed is None):
                continue
            self._reapply.remove(entry)
            if back is not None and back.watchdog.armed is False:
                shadow = back.memory.shadows.get(point.id)
                if shadow is None or shadow.number is None:
                    await self.write(back, point, number)
            return True
        return False

    async def parameter(self, unit: Unit, number: int, *, urgent: bool = False) -> float | None:
        """Return a parameter; ``None`` when the device does not have it.

        Raises :class:`Unanswered` when it does not say.
        """
        point = by_id(unit.family, number)
        assert point is not None
        assert unit.address is not None
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=urgent
        )
        if reply.kind is ReplyKind.VALUE and isinstance(reply.value, (int, float)):
            return float(reply.value)
        if (
            reply.error is not None
            and remedy_of_read(reply.error, unit.family) is Remedy.UNSUPPORTED
        ):
            return None
        if unit.is_gateway:
            return None
        raise Unanswered(f"{unit.id} does not answer about {number}")

    async def try_watchdog(self, unit: Unit) -> None:
        """Read a watchdog; if there is no answer it is asked again before the first write."""
        with contextlib.suppress(Unanswered):
            await self.look_at_watchdog(unit)

    async def look_at_watchdog(self, unit: Unit, *, urgent: bool = False) -> None:
        """Read whether a device resets itself when nobody writes (spec e.4).

        Raises :class:`Unanswered` when it does not say; ``unit.watchdog.armed`` is ``None`` then.
        """
        ids = _WATCHDOGS.get(unit.family)
        if ids is None or unit.virtual:
            unit.watchdog.armed = False
            return
        unit.watchdog.armed = None
        armed = await self.parameter(unit, ids[0], urgent=urgent)
        if armed:
            delay = await self.parameter(unit, ids[1], urgent=urgent)
            unit.watchdog.delay = delay if delay and math.isfinite(delay) else 10.0
            saves = await self.parameter(unit, ids[2], urgent=urgent)
            unit.watchdog.saves_to_flash = saves != 0
        unit.watchdog.armed = bool(armed)
        unit.watchdog.seen = self._context.clock.monotonic()

    def started(self, unit: Unit) -> None:
        """A message tells that a device has started: what was in its RAM then is gone."""
        orders = {number: self.order.of((unit.id, number)) for number in unit.memory.shadows}
        self.forget(unit, keep={n for n, order in orders.items() if order is Order.AFTER})
        for number, order in orders.items():
            if order is Order.UNKNOWN and (point := by_id(unit.family, number)) is not None:
                self.doubt([unit], point)

    def doubt_all(self, units: Iterable[Unit]) -> None:
        """These devices may have started, or not."""
        for unit in units:
            shadows = dict(unit.memory.shadows)
            for number in shadows:
                if (point := by_id(unit.family, number)) is not None:
                    self.doubt([unit], point)
            self._write_again(unit, shadows)

    def forget(self, unit: Unit, *, keep: Collection[int] = ()) -> None:
        """A device has restarted: what was in its RAM is gone, but for the parameters in *keep*."""
        shadows = unit.memory.shadows
        lost = {number: shadow for number, shadow in shadows.items() if number not in keep}
        unit.memory.shadows = {number: shadows[number] for number in shadows.keys() - lost.keys()}
        self._context.stored.keep_shadows(unit.id, unit.memory.shadows)
        for number in lost:
            point = by_id(unit.family, number)
            if point is None:
                continue
            self._takes_effect(unit, point)
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
                    self._reapply.append((unit.id, point, shadow.number))

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
        if (food := self._food(unit)) is not None:
            await self.write(unit, *food)

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

        Returns ``None`` when the device is not there; nothing was written then.
        """
        assert point.wire_format is not None
        if unit.address is None:
            return None
        data = encode(point.wire_format, number)
        request = point.write(unit.address, data, ParameterProperty.UNSAVED_VALUE)
        reply = await self.follow(
            lambda: self._requester.ask_unit(unit, request, None, urgent=urgent),
            [unit],
            point,
            number,
        )
        if reply is not None and reply.kind is ReplyKind.WRITTEN:
            self.remember(unit, point, number)
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
        was lost or has moved before anything was written.
        """
        addresses = [unit.address for unit in units]
        changed = [unit for unit in units if _may_change(unit, point, number, stored=stored)]
        doubtful = Shadow(None, self._context.clock.now())
        for unit in changed:
            shadows = {**unit.memory.shadows, point.id: doubtful}
            self._context.stored.keep_shadows(unit.id, shadows)
        if changed:
            await self._context.stored.now(self._context.clock)
        reply = None
        if [unit.address for unit in units if unit.available] == addresses:
            try:
                reply = await write()
            except BaseException:
                self.doubt(changed, point)
                raise
        if reply is None or (not reply.is_unclear and reply.kind is not ReplyKind.WRITTEN):
            for unit in changed:
                self._context.stored.keep_shadows(unit.id, unit.memory.shadows)
        elif reply.is_unclear:
            self.doubt(changed, point)
        elif stored:
            for unit in changed:  # until it is read back
                self._keep(unit, point, None)
        return reply

    def doubt(self, units: Iterable[Unit], point: Datapoint) -> None:
        """Nobody knows what stands in RAM: it is absent until a write is confirmed."""
        for unit in units:
            self._takes_effect(unit, point)
            self._keep(unit, point, None)
            self._publish_parameter(unit, point, None)

    def _keep(self, unit: Unit, point: Datapoint, number: float | None) -> None:
        unit.memory.shadows[point.id] = Shadow(number, self._context.clock.now())
        self._context.stored.keep_shadows(unit.id, unit.memory.shadows)

    def remember(self, unit: Unit, point: Datapoint, number: float) -> None:
        """Remember a RAM value that a device has accepted: reads still return the flash."""
        unit.watchdog.fed_at = self._context.clock.monotonic()
        self._keep(unit, point, number)
        self.order.note((unit.id, point.id), unread=self._context.messages_unread)
        self._publish_parameter(unit, point, number)
        self._expect_effect(unit, point)

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
        self._takes_effect(unit, point)
        if unit.memory.shadows.pop(point.id, None) is not None:
            self._context.stored.keep_shadows(unit.id, unit.memory.shadows)

    def show_flash(self, unit: Unit, point: Datapoint, number: float) -> None:
        """Show the value in flash."""
        self.forget_shadow(unit, point)
        unit.memory.flash[point.id] = number
        self._publish_parameter(unit, point, number)

    def _expect_effect(self, unit: Unit, point: Datapoint) -> None:
        """Check, after a while, whether a write has its effect on an info."""
        if unit.family is Family.XT and (point.id in _EFFECT_BITS or point.id == _INPUT_LIMIT):
            name = (unit.id, point.id)
            self._timers.later(EFFECT_DELAY, name, lambda: self._check_effect(unit.id, point))

    async def _check_effect(self, unit_id: str, point: Datapoint) -> None:
        unit = self._context.plant.units.get(unit_id)
        shadow = None if unit is None else unit.memory.shadows.get(point.id)
        if unit is None or shadow is None or unit.address is None or not unit.available:
            return
        if shadow.number is None:
            return
        info = 3017 if point.id == _INPUT_LIMIT else 3056
        reply = await self._requester.ask_unit(unit, read_info(unit.address, info), Format.FLOAT)
        if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, float):
            return
        if not math.isfinite(reply.value):
            return
        if point.id == _INPUT_LIMIT:
            agrees = abs(reply.value - shadow.number) <= max(1.0, 0.1 * shadow.number)
        else:
            forbidden = bool(int(reply.value) >> _EFFECT_BITS[point.id] & 1)
            agrees = forbidden is not bool(shadow.number)
        if agrees:
            self._takes_effect(unit, point)
        else:
            name = self._context.plant.name(unit)
            _LOGGER.warning("%s does not act on {%d}", name, point.id)
            self._context.warn("no_effect", device=name, parameter=str(point.id))
            self._ineffective = unit.id, point.id

    def _takes_effect(self, unit: Unit, point: Datapoint) -> None:
        """A setting has its effect, or was taken back: withdraw the warning."""
        if self._ineffective == (unit.id, point.id):
            self._context.troubles.pop("no_effect", None)
            self._ineffective = None


def _may_change(unit: Unit, point: Datapoint, number: float, *, stored: bool) -> bool:
    """Whether a write may make what is known of a parameter in RAM untrue."""
    shadow = unit.memory.shadows.get(point.id)
    if shadow is None:
        return not stored
    return shadow.number != number
