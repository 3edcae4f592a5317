"""Polls by the plan and checks every reading before it is shown (spec c.4, c.5, d.4)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from ..datapoints.datapoint import Datapoint, Limits
from ..datapoints.plausibility import BATTERY_VOLTAGES, Absence, check, voltage_disagrees
from ..plant.availability import OutcomeClass, Presence, class_of_error, class_of_value
from ..plant.plant import polled
from ..plant.unit import HOLD_INTERVALS, Unit
from ..scom import multi_info
from ..scom.errors import ErrorCode, Remedy, remedy_of_read
from ..scom.exchange import Reply, ReplyKind
from ..scom.families import FAMILIES, Family
from ..scom.frame import ParameterProperty, Request
from ..scom.values import Format, WireValue, exact_integer
from .context import SessionContext
from .line import Line
from .requester import Requester
from .schedule import Batchable, Task, units_of

_LOGGER = logging.getLogger(__name__)

MAX_BAD_ANSWERS = 3
MULTI_FAILURES = 3
VALUES_A_TURN = 16
"""How many values of one answer are checked and shown before the event loop has its turn."""
MULTI_REST = 10.0
"""Seconds for which values are read one by one after a request for many has failed."""
LOST_ANSWERS = 3
MEASURE = 60.0
"""Seconds over which it is measured how busy the line is."""
LOST_ANSWER_REST = 600.0
_MULTI_UNKNOWN = (
    ErrorCode.SERVICE_NOT_SUPPORTED,
    ErrorCode.TYPE_NOT_SUPPORTED,
    ErrorCode.OBJECT_NOT_SUPPORTED,
)
"""Errors of a gateway without multi-info; other errors may be temporary."""
_MULTI_FAMILIES = frozenset({Family.XT, Family.VT, Family.VS})
_MULTI_FORMATS = frozenset({Format.FLOAT, Format.SHORT_ENUM})

Settle = Callable[[], Awaitable[None]]
Incomplete = Callable[[], set[Family]]
Invalidate = Callable[[Iterable[Family]], None]


class Poller:
    """Reads datapoints and publishes those that pass the plausibility check.

    *settle* reads pending messages before a reading is used; *incomplete* names the families of
    which a known device is missing; *invalidate* has the identities read again.
    """

    def __init__(
        self,
        context: SessionContext,
        requester: Requester,
        line: Line,
        *,
        settle: Settle,
        incomplete: Incomplete,
        invalidate: Invalidate,
    ) -> None:
        self._context = context
        self._requester = requester
        self._line = line
        self._settle = settle
        self._incomplete = incomplete
        self._invalidate = invalidate
        self._multi: bool | None = None if context.settings.multi_info else False
        self._multi_failures = 0
        self._multi_rests_until = -math.inf
        self._number = 0
        self._tested: tuple[frozenset[Family], Batchable] | None = None
        """The last test, and the families that it lets pass."""
        self._limits: deque[tuple[str, Datapoint]] = deque()
        self._measured: float | None = None
        """How busy the line has been, as a share of the time."""
        self._measured_since = context.now
        self._busy_before = line.busy

    def batch_test(self) -> Batchable | None:
        """Return the test whether a task may go into a multi-info request now."""
        if not self._multi or self._context.now < self._multi_rests_until:
            return None
        broken = {
            unit.family
            for unit in self._context.plant.real_units()
            if unit.presence.state is not Presence.ONLINE
        }
        broken |= self._incomplete()
        whole = _MULTI_FAMILIES - broken
        units = self._context.plant.units

        if self._tested is not None and self._tested[0] == whole:
            return self._tested[1]

        def batchable(task: Task) -> bool:
            point = task.point
            if (
                point.is_parameter
                or point.family not in whole
                or point.wire_format not in _MULTI_FORMATS
            ):
                return False
            unit = units.get(task.unit)
            return unit is not None and unit.index is not None

        self._tested = whole, batchable
        return batchable

    async def perform(self, batch: list[Task]) -> None:
        """Read what the plan says."""
        if len(batch) > 1 and len(batch) - len(units_of(batch)) > 1:
            await self._read_many(batch)
        else:
            await self._read_each(batch)

    async def _read_each(self, tasks: Iterable[Task]) -> set[str]:
        """Read one by one; returns the devices that failed, whose other values were left out."""
        failed: set[str] = set()
        for task in tasks:
            if task.unit not in failed and not await self._read(task):
                failed.add(task.unit)
        return failed

    async def _read(self, task: Task) -> bool:
        """Read one datapoint; returns whether the device answered."""
        unit = self._context.plant.units.get(task.unit)
        point = task.point
        if unit is None or unit.address is None or not unit.available:
            return False
        if point.id in unit.answers.unsupported or self._rests(unit, point):
            return True
        request = point.read(unit.address)
        reply = await self._requester.ask_unit(unit, request, point.wire_format)
        if reply.kind is ReplyKind.VALUE:
            assert reply.value is not None
            if unit.answers.good(point.id):
                self._context.troubles.pop("answer_mangled", None)
            address = unit.address
            if unit.presence.nearly_lost:
                self._invalidate([unit.family])
            await self._settle()
            if unit.address == address:
                await self._admit(unit, point, reply.value)
            return True
        answered = self._note_failure(unit, point, reply)
        if not answered:
            self._context.scheduler.skip(unit.id)
        return answered

    def _rests(self, unit: Unit, point: Datapoint) -> bool:
        """Whether to leave out a datapoint whose answers always get lost while others arrive.

        A Moxa that strips delimiters takes every 0D 0A out of an answer. A value that does not
        change and holds these two bytes then never arrives; asking costs two time-outs.
        """
        count = unit.answers.lost[point.id]
        if count < LOST_ANSWERS:
            return False
        now = self._context.clock.monotonic()
        if now >= unit.answers.muted_until.get(point.id, -math.inf):
            if point.id not in unit.answers.muted_until:
                name = self._context.plant.name(unit)
                _LOGGER.warning(
                    "%s never answers {%d} and answers everything else. Behind a Moxa, set"
                    " “Delimiter process” to “Do nothing” when the portal is not used",
                    name, point.id,
                )  # fmt: skip
                self._context.warn("answer_mangled", device=name, id=str(point.id))
                unit.answers.muted_until[point.id] = now + LOST_ANSWER_REST
                return True
            unit.answers.muted_until[point.id] = now + LOST_ANSWER_REST
            return False
        return True

    def _note_failure(self, unit: Unit, point: Datapoint, reply: Reply) -> bool:
        """Take a reading that gave no value; returns whether the device as such is there."""
        if reply.kind is ReplyKind.TIMEOUT:
            unit.answers.lost[point.id] += 1
            return False
        if reply.kind is ReplyKind.BAD_ANSWER:
            if self._is_last_straw(unit, point):
                _LOGGER.warning(
                    "%s answers %s with %d bytes, not as a %s; it is left out",
                    unit.id, point.id, len(reply.data), point.wire_format,
                )  # fmt: skip
                self._drop_point(unit, point)
            return True
        assert reply.error is not None
        match remedy_of_read(reply.error, unit.family):
            case Remedy.DOUBTFUL:
                _LOGGER.debug("%s, asked for %s, says %s", unit.id, point.id, reply)
                if self._is_last_straw(unit, point):
                    _LOGGER.warning("%s has no %s: %s", unit.id, point.id, reply)
                    self._drop_point(unit, point)
            case Remedy.UNSUPPORTED:
                _LOGGER.debug("%s has no %s: %s", unit.id, point.id, reply)
                self._drop_point(unit, point)
            case Remedy.OUR_FAULT:
                _LOGGER.warning("%s, asked for %s, says %s", unit.id, point.id, reply)
            case Remedy.ABSENT | Remedy.RETRY:
                return class_of_error(reply.error) is OutcomeClass.NEUTRAL
        return True

    @staticmethod
    def _is_last_straw(unit: Unit, point: Datapoint) -> bool:
        """Count an answer without a value; returns whether there were too many in a row."""
        unit.answers.bad[point.id] += 1
        return unit.answers.bad[point.id] >= MAX_BAD_ANSWERS

    def _drop_point(self, unit: Unit, point: Datapoint) -> None:
        unit.answers.unsupported.add(point.id)
        if unit.values.pop(point.key, unit) is not unit:
            unit.changed = True
        self._context.scheduler.drop(Task(unit.id, point))

    async def _admit(self, unit: Unit, point: Datapoint, wire: WireValue) -> None:
        """Check a reading, with a second reading where the check asks for one."""
        absence = self._judge(unit, point, wire)
        if absence in (Absence.NOT_FINITE, Absence.UNKNOWN_ENUM, Absence.OUT_OF_RANGE):
            second = await self._again(unit, point)
            if second is None:
                return
            wire = second
            absence = self._judge(unit, point, wire)
        until = self._context.clock.monotonic() + HOLD_INTERVALS * self._context.interval(point)
        if absence in (Absence.NO_VALUE, Absence.NO_SENSOR):
            if unit.available:
                unit.put(point.key, None, until)
            return
        if absence is not None:
            return
        if not point.is_parameter and isinstance(wire, (int, float)):
            confirmed = await self._confirm(unit, point, float(wire))
            if confirmed is None:
                return
            wire = confirmed if point.wire_format is Format.FLOAT else wire
            self._context.history.accept(unit.id, point, float(wire))
            unit.take_voltage(point, float(wire))
        if not unit.available:
            return
        unit.show(point, wire, until, self._context.zone, self._context.quiet_now)
        if isinstance(wire, float) and point.total_increasing:
            moment = self._context.clock.now().astimezone(self._context.zone)
            self._context.plant.system.count(unit, point, wire, moment)
        if unit.changed:
            self._context.publish()

    def _judge(self, unit: Unit, point: Datapoint, wire: WireValue) -> Absence | None:
        """Return the result of the check, and report it to the device's state."""
        if point.is_parameter:
            self._requester.note_outcome(unit, OutcomeClass.GOOD)
            return None
        nominal = self._context.plant.nominal_battery
        absence = check(point, wire, nominal)
        if absence is None and self._contradicts(unit, point, wire):
            absence = Absence.OUT_OF_RANGE
            self._context.count("voltage_disagrees")
        elif absence is not None:
            self._context.count(absence.value)
        self._requester.note_outcome(unit, class_of_value(absence))
        return absence

    def _contradicts(self, unit: Unit, point: Datapoint, wire: WireValue) -> bool:
        if unit.family is not Family.XT or point.id != BATTERY_VOLTAGES[Family.XT]:
            return False
        if self._context.settings.separate_batteries or unit.virtual:
            return False
        value = float(wire) if isinstance(wire, (int, float)) else math.nan
        others = [
            other.voltage
            for other in self._context.plant.real_units()
            if other is not unit and other.voltage is not None
        ]
        return voltage_disagrees(value, [*others, value], self._context.plant.nominal_battery)

    async def _again(self, unit: Unit, point: Datapoint) -> WireValue | None:
        """Read once more, at once."""
        if unit.address is None or unit.presence.state is Presence.OFFLINE:
            return None
        request = point.read(unit.address)
        reply = await self._requester.ask_unit(unit, request, point.wire_format, attempts=1)
        return reply.value if reply.kind is ReplyKind.VALUE else None

    async def _confirm(self, unit: Unit, point: Datapoint, value: float) -> float | None:
        """Return *value*; ``None`` if it is doubtful and a second reading does not confirm it."""
        history = self._context.history
        nominal = self._context.plant.nominal_battery
        suspicion = history.suspect(unit.id, point, value, self._context.clock.monotonic(), nominal)
        if suspicion is None:
            return value
        second = await self._again(unit, point)
        if not isinstance(second, (int, float)) or self._judge(unit, point, second) is not None:
            return None
        if history.confirms(suspicion, point, value, float(second), nominal):
            return float(second)
        self._context.count(suspicion.value)
        return None

    async def _read_many(self, batch: list[Task]) -> None:
        """Read most of a batch in one request, and one value of each device by itself.

        What a gateway puts into a multi-info answer for a device that is missing is unknown. So
        none of it is used before the device itself has answered afterwards. One that was away for
        a moment answers then as well: so the answer must also hold its battery voltage, which no
        device has without being there.
        """
        vouchers: dict[str, Task] = {}
        rest = [task for task in batch if vouchers.setdefault(task.unit, task) is not task]
        items = {self._item(task): task for task in rest}
        signs = {task.unit: self._sign_of_life(task) for task in rest}
        asked = list(dict.fromkeys((*items, *signs.values())))
        reply = await self._requester.ask(self._multi_request(asked))
        values = self._multi_values(reply)
        if values is None:
            # One by one, each in its turn: there may be 76, and other things to do.
            now = self._context.now
            self._multi_rests_until = now + MULTI_REST
            self._context.scheduler.put_back(batch, now)
            return
        failed = await self._read_each(vouchers.values())
        await self._settle()
        for place, (item, task) in enumerate(items.items(), start=1):
            if place % VALUES_A_TURN == 0:
                await asyncio.sleep(0)
            unit = self._context.plant.units[task.unit]
            trusted = (
                task.unit not in failed
                and unit.presence.state is Presence.ONLINE
                and unit.index == item.aggregation
            )
            if not trusted:
                continue
            value = values.get(item) if _alive(values.get(signs[task.unit])) else None
            wire: WireValue | None = value
            if value is not None and task.point.wire_format is not Format.FLOAT:
                wire = exact_integer(value)
            if wire is None:
                await self._read(task)
            else:
                await self._admit(unit, task.point, wire)

    def _item(self, task: Task) -> multi_info.Item:
        index = self._context.plant.units[task.unit].index
        assert index is not None
        return multi_info.Item(task.point.id, index)

    def _sign_of_life(self, task: Task) -> multi_info.Item:
        return multi_info.Item(FAMILIES[task.point.family].probe, self._item(task).aggregation)

    def _multi_values(self, reply: Reply) -> dict[multi_info.Item, float] | None:
        if reply.kind is ReplyKind.VALUE:
            self._multi_failures = 0
            return multi_info.decode(reply.data).values()
        self._multi_failures += 1
        if reply.error in _MULTI_UNKNOWN or self._multi_failures >= MULTI_FAILURES:
            _LOGGER.info("Multi-info fails (%s); reading one by one from now on", reply)
            self._multi = False
            self._context.statistics.extra["multi_info"] = False
            self._context.stored.multi_info = False
        return None

    async def try_multi_info(self) -> None:
        """Find out whether the gateway answers many values at once."""
        first = next(
            (unit for unit in self._context.plant.real_units() if unit.family in _MULTI_FAMILIES),
            None,
        )
        if self._multi is not None or first is None or first.index is None:
            return
        if self._context.stored.multi_info:
            # It fails soon enough if that has changed.
            self._multi = self._context.statistics.extra["multi_info"] = True
            return
        item = multi_info.Item(FAMILIES[first.family].probe, first.index)
        reply = await self._requester.ask(self._multi_request([item]))
        self._multi = reply.kind is ReplyKind.VALUE
        self._context.statistics.extra["multi_info"] = self._multi
        self._context.stored.multi_info = self._multi
        if not self._multi:
            _LOGGER.debug("The gateway does not know multi-info: %s", reply)

    def _multi_request(self, items: list[multi_info.Item]) -> Request:
        self._number = (self._number + 1) & 0xFFFF
        return multi_info.request(items, self._number, self._context.settings.source_address)

    async def read_limits(self) -> bool:
        """Ask a device for the bounds of one parameter, when there is nothing else to do."""
        while self._limits:
            unit_id, point = self._limits.popleft()
            unit = self._context.plant.units.get(unit_id)
            if unit is not None and unit.address is not None and unit.available:
                await self.read_limits_of(unit, point)
                return True
        return False

    async def read_limits_of(self, unit: Unit, point: Datapoint, *, urgent: bool = False) -> None:
        """Ask a device for the bounds of a parameter; they take precedence over the table's."""
        bounds: list[float] = []
        unit.bounds.asked.add(point.id)
        address = unit.address
        for which in (ParameterProperty.MIN, ParameterProperty.MAX):
            if address is None or unit.address != address:
                # It was missed, or has moved, between two questions.
                unit.bounds.asked.discard(point.id)
                return
            request = point.read(address, which)
            reply = await self._requester.ask_unit(unit, request, point.wire_format, urgent=urgent)
            if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, (int, float)):
                return
            if not math.isfinite(reply.value):
                return
            bounds.append(float(reply.value))
        if bounds[0] <= bounds[1]:
            limits = Limits(point.limits.default, bounds[0], bounds[1], point.limits.step)
            if unit.bounds.told.get(point.id) != limits:
                unit.bounds.told[point.id] = limits
                self._context.plant.describe(unit, [point])

    def replan(self) -> None:
        """Make a new poll plan: devices or wanted values have changed."""
        requested, monitored = self._context.requested, self._context.plant.monitored
        tasks: list[Task] = []
        self._limits.clear()
        for unit in self._context.plant:
            for point in self._context.plant.shown_points(unit):
                if not polled(unit, point, requested, monitored=monitored):
                    continue
                tasks.append(Task(unit.id, point))
                if point.has_bounds and point.id not in unit.bounds.asked:
                    self._limits.append((unit.id, point))
        self._tested = None
        now = self._context.clock.monotonic()
        self._context.scheduler.plan(tasks, now, self._context.own_intervals)
        # Another plan costs otherwise.
        self._measured = None
        self._measured_since, self._busy_before = now, self._line.busy
        self.adapt()

    def adapt(self) -> None:
        """Stretch the plan to what the line can carry."""
        per_read = self._line.latency.average + self._line.pause
        now = self._context.now
        if now - self._measured_since >= MEASURE:
            passed = now - self._measured_since
            self._measured = min(1.0, (self._line.busy - self._busy_before) / passed)
            self._measured_since, self._busy_before = now, self._line.busy
        self._context.scheduler.adapt(per_read, self.batch_test(), self._measured)


def _alive(voltage: float | None) -> bool:
    """Whether this battery voltage is of a device that is there."""
    return voltage is not None and math.isfinite(voltage) and voltage != 0.0
