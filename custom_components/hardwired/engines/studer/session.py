"""The life of one open link: start-up, polling, presence, messages (spec c.3 to c.8)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..clock import Clock
from ..engine import LinkError, Message, Occurrence, Reason, Statistics
from ..fields import Value
from . import discovery, messages, multi_info
from .catalogue import localised, to_field
from .datapoints import FAMILIES, PHASES, Datapoint, Family, Limits, Poll, by_id
from .dialogue import Reply, ReplyKind
from .discovery import Unanswered
from .errors import ErrorCode, Remedy, error_name, remedy_of_read
from .frame import FrameFlags, ParameterProperty, Request, read_info
from .gate import BATTERY_VOLTAGES, Absence, Memory, check, voltage_disagrees
from .line import Line
from .messages import PlantMessage, Topology
from .plant import Identity, Plant, Shadow, Unit, as_wire, gateway_unit, polled
from .presence import OutcomeClass, Presence, class_of_error, class_of_value
from .scheduler import Batchable, Scheduler, Task, units_of
from .settings import StuderSettings
from .values import Format, WireValue, encode, exact_integer
from .vault import Vault

_LOGGER = logging.getLogger(__name__)

BUSY_ATTEMPTS = 5
BUSY_PAUSE = 1.0
REPROBE = 30.0
CONFIRM = 1.0
SWEEP = 60.0
SILENT_TIMEOUTS = 3
MAX_BAD_ANSWERS = 3
MAX_MESSAGES = 20
HOLD_INTERVALS = 3
EFFECT_DELAY = 10.0
EMIT_EVERY = 0.25
HOUSEKEEPING = 1.0
SAVE_TOTALS = 300.0
MULTI_FAILURES = 3
LOST_ANSWERS = 3
LOST_ANSWER_REST = 600.0

_WATCHDOGS: Mapping[Family, tuple[int, int, int]] = {
    Family.XT: (1628, 1629, 1550),
    Family.VT: (10342, 10343, 10058),
    Family.VS: (14218, 14219, 14069),
}
"""Per family: watchdog on, its delay, "parameters saved in flash"."""
_SCOM_WATCHDOG = (5095, 5096)
_TOPOLOGY: Mapping[Topology, tuple[Family, ...]] = {
    Topology.XT_STARTED: (Family.XT,),
    Topology.XT_SYNC: (Family.XT,),
    Topology.TOO_MANY_XT: (Family.XT,),
    Topology.XT_COMM_LOSS: (Family.XT,),
    Topology.VT_SYNC: (Family.VT,),
    Topology.VT_COMM_LOSS: (Family.VT,),
    Topology.VS_SYNC: (Family.VS,),
    Topology.VS_COMM_LOSS: (Family.VS,),
    Topology.BSP_COMM_LOSS: (Family.BSP,),
    Topology.BMS_COMM_LOSS: (Family.BMS,),
    Topology.BMS_COMM_RESTORED: (Family.BMS,),
    Topology.XCOM_CAN_COMM_LOSS: (Family.BMS,),
}
_EFFECT_BITS = {1124: 0, 1125: 1, 1126: 2, 1128: 3, 1127: 4}
_MULTI_FAMILIES = frozenset({Family.XT, Family.VT, Family.VS})
_MULTI_FORMATS = frozenset({Format.FLOAT, Format.SHORT_ENUM})


@dataclass(slots=True)
class Core:
    """What outlives a link."""

    settings: StuderSettings
    clock: Clock
    plant: Plant
    memory: Memory
    scheduler: Scheduler
    statistics: Statistics
    vault: Vault
    emit: Callable[[], None]
    occur: Callable[[Occurrence], None]
    reshape: Callable[[], None]
    """The limits of the catalogues have to be made anew."""
    troubles: dict[str, dict[str, str]] = field(default_factory=dict)
    recent: deque[PlantMessage] = field(default_factory=lambda: deque(maxlen=50))

    def count(self, what: str) -> None:
        """Count a reason for which a value or frame was not believed."""
        self.statistics.drops[what] += 1


class Session:
    """Talks to one plant until the link is lost."""

    def __init__(self, core: Core, line: Line) -> None:
        self.core = core
        self.line = line
        self.plant = core.plant
        self.unchecked: set[Family] = set()
        self.transfer = False
        self.started = False
        self._checking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._silent: list[int] = []
        self._multi: bool | None = None if core.settings.multi_info else False
        self._multi_failures = 0
        self._number = 0
        self._messages_due = False
        self._first_look = True
        self._restarted: bool | None = None
        self._flags: int | None = None
        self._reapply: deque[tuple[str, Datapoint, float]] = deque()
        self._requested = core.settings.requested()
        self._own = core.settings.own_intervals()
        self._zone = core.settings.zone()
        self._missing: dict[tuple[Family, int], float] = {}
        self._sweep: deque[tuple[Family, int]] = deque()
        self._sweep_due = math.inf
        self._limits: deque[tuple[str, Datapoint]] = deque()
        self._timers: list[tuple[float, object, Callable[[], Awaitable[object]]]] = []
        self._next_housekeeping = 0.0
        self._next_save = 0.0
        self._last_emit = -math.inf
        self._max_idle: float | None = None

    # ------------------------------------------------------------------ asking

    async def ask(
        self, request: Request, wire_format: Format | None = None, *, urgent: bool = False
    ) -> Reply:
        """Ask once, but again while the gateway is busy. Raises :class:`LinkError`."""
        request = self._own_address(request)
        attempts = BUSY_ATTEMPTS
        while True:
            attempts -= 1
            reply = await self.line.exchange(
                request, wire_format, urgent=urgent, blame=self._blames(request.destination)
            )
            await self._listen_for_silence(request, reply)
            if reply.error != ErrorCode.GATEWAY_BUSY or not attempts:
                return reply
            await self.core.clock.sleep(BUSY_PAUSE)

    def _own_address(self, request: Request) -> Request:
        """Return the request with our address as the owner has set it."""
        source = self.core.settings.source_address
        if request.source == source:
            return request
        return Request(
            request.destination,
            request.service,
            request.object_type,
            request.object_id,
            request.property_id,
            request.data,
            source,
        )

    def _blames(self, address: int) -> bool:
        unit = self.plant.at(address)
        return unit is not None and unit.presence.state is Presence.ONLINE

    async def _listen_for_silence(self, request: Request, reply: Reply) -> None:
        if reply.kind is not ReplyKind.TIMEOUT:
            self._silent.clear()
            return
        self._silent.append(request.destination)
        alone = sum(1 for _ in self.plant.real_units()) <= 1
        if len(self._silent) < SILENT_TIMEOUTS or not (alone or len(set(self._silent)) > 1):
            return
        self._silent.clear()
        await probe_gateway(self.line, network=self.core.settings.network)

    async def ask_unit(
        self,
        unit: Unit,
        request: Request,
        wire_format: Format | None,
        *,
        attempts: int = 2,
        urgent: bool = False,
    ) -> Reply:
        """Ask a device, with one retry where that helps; failures tell on its presence.

        Values do not: only the gate knows whether they are good.
        """
        while True:
            attempts -= 1
            reply = await self.ask(request, wire_format, urgent=urgent)
            match reply.kind:
                case ReplyKind.TIMEOUT:
                    self.feed(unit, OutcomeClass.FAILURE)
                    again = True
                case ReplyKind.ERROR:
                    assert reply.error is not None
                    remedy = remedy_of_read(reply.error)
                    if remedy is not Remedy.UNSUPPORTED:
                        self.core.count(error_name(reply.error).lower())
                    self.feed(unit, class_of_error(reply.error))
                    again = remedy is Remedy.RETRY
                case _:
                    again = False
            if not again or attempts <= 0 or unit.presence.state is Presence.OFFLINE:
                return reply

    def feed(self, unit: Unit, outcome: OutcomeClass) -> None:
        """Take the outcome of an exchange with a device."""
        if unit.is_gateway:
            return
        before = unit.presence.state
        after = unit.presence.feed(outcome)
        now = self.core.clock.monotonic()
        failed = outcome in (OutcomeClass.FAILURE, OutcomeClass.GRAVE_FAILURE)
        if failed and after is Presence.SUSPECT and unit.next_probe is None:
            unit.next_probe = now + CONFIRM
        if after is before:
            return
        self.core.memory.unsettle(now)
        unit.changed = True
        if after is Presence.OFFLINE:
            self._lost(unit, now)
        elif after is Presence.ONLINE:
            unit.next_probe = None

    def _lost(self, unit: Unit, now: float) -> None:
        _LOGGER.warning("%s at address %s does not answer", unit.id, unit.address)
        unit.clear()
        unit.lost_answers.clear()
        unit.rests.clear()
        unit.lost_at = self.core.clock.now()
        unit.next_probe = now + REPROBE
        self.core.memory.forget(unit.id)
        self.core.scheduler.skip(unit.id)
        self.core.troubles["device_lost"] = {
            "device": self.plant.device(unit).name,
            "time": unit.lost_at.isoformat(timespec="seconds"),
        }
        self.emit(urgent=True)

    # ------------------------------------------------------------------ telling

    def emit(self, *, urgent: bool = False) -> None:
        """Tell the world what has changed, at once or soon."""
        if not self.started or not any(unit.changed for unit in self.plant):
            return
        now = self.core.clock.monotonic()
        if urgent or now - self._last_emit >= EMIT_EVERY:
            self._last_emit = now
            self.core.emit()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def on_flags(self, flags: int) -> None:
        """Take the frame flags of an answer: the gateway speaking of itself."""
        if self.core.settings.read_messages and flags & FrameFlags.MESSAGE_PENDING:
            self._messages_due = True
        if flags == self._flags:
            return
        self._flags = flags
        restarted = bool(flags & FrameFlags.RESTARTED)
        if restarted and self._restarted is False:
            _LOGGER.warning("The gateway has restarted")
            self.unchecked.update(self._families())
            self.core.memory.unsettle(self.core.clock.monotonic())
        self._restarted = restarted
        self._show_flags()

    def _show_flags(self) -> None:
        gateway, flags = self.plant.gateway, self._flags
        if gateway is None or flags is None:
            return
        for key, bit in (
            ("restarted", FrameFlags.RESTARTED),
            ("sd_card_present", FrameFlags.SD_PRESENT),
            ("sd_card_full", FrameFlags.SD_FULL),
            ("new_datalog_file", FrameFlags.NEW_DATALOG_FILE),
        ):
            gateway.put(key, bool(flags & bit), math.inf)

    def _families(self) -> set[Family]:
        return {unit.family for unit in self.plant.real_units()}

    # ------------------------------------------------------------------ start-up

    async def start(self, on_progress: discovery.OnProgress | None = None) -> None:
        """Find out who is there; the gateway has answered its probe."""
        reply = await self.ask(discovery.guid_request(), Format.GUID)
        guid = str(reply.value) if reply.kind is ReplyKind.VALUE else None
        seats = {
            (unit.family, unit.address): unit.id
            for unit in self.plant.real_units()
            if unit.address is not None
        } or self.core.vault.seats
        found: Iterable[discovery.Found]
        if any(True for _ in self.plant.real_units()):
            found = [discovery.Found(family, address) for family, address in seats]
        else:
            found = await discovery.discover(
                self.ask,
                thorough=not seats,
                known={address for _, address in seats},
                on_progress=on_progress,
            )
        identities = await self._identify_all(found)
        self._set_gateway(guid, [identity for _, identity in identities])
        seated = [await self._seat(one.family, one.address, one_is) for one, one_is in identities]
        for unit in list(self.plant.real_units()):
            if unit not in seated:
                self._unseat(unit)
        self._set_nominals([(one.family, identity) for one, identity in identities])
        now = self.core.clock.monotonic()
        for family, address in seats:
            if self.plant.at(address) is None:
                self._missing.setdefault((family, address), now + REPROBE)
        if self.core.settings.phases:
            await self._seat_phases()
        await self._try_multi_info()
        await self._read_scom_watchdog()
        self._show_flags()
        self._messages_due = self.core.settings.read_messages
        self._sweep_due = now + SWEEP
        self.replan()
        for unit in seated:
            self.core.scheduler.refresh(unit.id)
        self.started = True
        self.emit(urgent=True)

    async def _identify_all(
        self, found: Iterable[discovery.Found]
    ) -> list[tuple[discovery.Found, Identity]]:
        identities: list[tuple[discovery.Found, Identity]] = []
        now = self.core.clock.monotonic()
        for one in found:
            try:
                identity = await self._identify(one.family, one.address)
            except Unanswered:
                # Rather absent for a while than under a wrong name for ever.
                self._missing[one.family, one.address] = now + REPROBE
            else:
                identities.append((one, identity))
        return identities

    async def _identify(self, family: Family, address: int) -> Identity:
        sitting = self.plant.at(address)
        expected = (
            self.core.vault.seats.get((family, address))
            if sitting is None
            else sitting.identity.fid
        )
        return await discovery.identify(self.ask, family, address, expected)

    def _set_gateway(self, guid: str | None, identities: Iterable[Identity]) -> None:
        vault = self.core.vault
        if self.plant.gateway is None:
            fids = sorted(identity.fid for identity in identities if identity.fid)
            identity = guid or vault.gateway or (f"xcom_{fids[0]}" if fids else None)
            self.plant.gateway = gateway_unit(identity or "xcom")
            self.plant.units[self.plant.gateway.id] = self.plant.gateway
            if identity:
                vault.gateway = identity
        gateway = self.plant.gateway
        gateway.presence.feed(OutcomeClass.GOOD)
        if gateway.presence.state is Presence.RECOVERING:
            gateway.presence.feed(OutcomeClass.GOOD)
        self.plant.guid = guid
        gateway.shadows = vault.shadows(gateway.id)
        self.plant.prepare(gateway, self._requested)

    async def _seat(self, family: Family, address: int, identity: Identity) -> Unit:
        """Put a device on the seat where it answers; it may be an old friend from elsewhere."""
        assert self.plant.gateway is not None
        unit_id = identity.fid or f"{self.plant.gateway.id}_{address}"
        unit = self.plant.units.get(unit_id)
        sitting = self.plant.at(address)
        if sitting is not None and sitting is not unit:
            self._unseat(sitting)
        if unit is None:
            unit = Unit(unit_id, family, address, identity)
            unit.shadows = self.core.vault.shadows(unit_id)
            self.plant.units[unit_id] = unit
        elif unit.address != address:
            _LOGGER.warning("%s has moved from address %s to %s", unit_id, unit.address, address)
            self.core.troubles["renumbered"] = {"device": self.plant.device(unit).name}
        was_lost = unit.presence.state in (Presence.OFFLINE, Presence.RECOVERING)
        unit.address = address
        unit.identity = identity
        unit.unsupported.clear()
        unit.told_limits.clear()
        unit.asked_limits.clear()
        unit.presence = type(unit.presence)()
        unit.presence.feed(OutcomeClass.GOOD)
        unit.next_probe = None
        if was_lost:
            self.core.memory.forget(unit.id)
        await self._read_watchdog(unit)
        self.plant.prepare(unit, self._requested)
        self._missing.pop((family, address), None)
        self.core.vault.keep_seats(
            {
                **{name: seat for seat, name in self.core.vault.seats.items()},
                unit_id: (family, address),
            }
        )
        return unit

    def _unseat(self, unit: Unit) -> None:
        unit.presence.lose()
        unit.address = None
        unit.clear()
        self.core.memory.forget(unit.id)
        self.core.scheduler.skip(unit.id)

    def _set_nominals(self, found: list[tuple[Family, Identity]]) -> None:
        settings = self.core.settings
        if settings.battery_voltage is not None:
            self.plant.nominal_battery = float(settings.battery_voltage)
        elif (battery := discovery.nominal_battery(found)) is not None:
            self.plant.nominal_battery = battery
        if settings.ac_voltage is not None:
            self.plant.nominal_ac = float(settings.ac_voltage)
        elif (ac := discovery.nominal_ac(found)) is not None:
            self.plant.nominal_ac = ac
        self.core.reshape()

    async def _seat_phases(self) -> None:
        assert self.plant.gateway is not None
        for address, phase in PHASES.items():
            if not await discovery.is_present(self.ask, address, FAMILIES[Family.XT].probe):
                continue
            unit_id = f"{self.plant.gateway.id}_{phase.lower()}"
            unit = self.plant.units.get(unit_id)
            if unit is None:
                unit = Unit(unit_id, Family.XT, address, Identity(phase=phase))
                unit.virtual = True
                self.plant.units[unit_id] = unit
            unit.presence = type(unit.presence)()
            unit.presence.feed(OutcomeClass.GOOD)
            self.plant.prepare(unit, self._requested)

    async def _try_multi_info(self) -> None:
        first = next((unit for unit in self.plant.real_units() if self._in_multi(unit)), None)
        if self._multi is not None or first is None or first.index is None:
            return
        item = multi_info.Item(FAMILIES[first.family].probe, first.index)
        reply = await self.ask(self._multi_request([item]))
        self._multi = reply.kind is ReplyKind.VALUE
        self.core.statistics.extra["multi_info"] = self._multi
        if not self._multi:
            _LOGGER.debug("The gateway does not know multi-info: %s", reply)

    def _multi_request(self, items: list[multi_info.Item]) -> Request:
        self._number = (self._number + 1) & 0xFFFF
        return multi_info.request(items, self._number, self.core.settings.source_address)

    async def _read_scom_watchdog(self) -> None:
        assert self.plant.gateway is not None
        enabled = await self._parameter(self.plant.gateway, _SCOM_WATCHDOG[0])
        if enabled != 1:
            return
        delay = await self._parameter(self.plant.gateway, _SCOM_WATCHDOG[1])
        self._max_idle = max(1.0, (delay or 10.0) / 2)

    async def _parameter(self, unit: Unit, number: int, *, urgent: bool = False) -> float | None:
        """Return a parameter; ``None`` when the device does not have it.

        Raises :class:`Unanswered` when it does not say.
        """
        point = by_id(unit.family, number)
        assert point is not None
        assert unit.address is not None
        reply = await self.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=urgent
        )
        if reply.kind is ReplyKind.VALUE and isinstance(reply.value, (int, float)):
            return float(reply.value)
        if reply.error is not None and remedy_of_read(reply.error) is Remedy.UNSUPPORTED:
            return None
        if unit.is_gateway:
            return None
        raise Unanswered(f"{unit.id} does not answer about {number}")

    async def _read_watchdog(self, unit: Unit) -> None:
        with contextlib.suppress(Unanswered):
            await self.look_at_watchdog(unit)

    async def look_at_watchdog(self, unit: Unit, *, urgent: bool = False) -> None:
        """Read whether a device resets itself when nobody writes (spec e.4).

        Raises :class:`Unanswered` when it does not say; ``unit.watchdog`` is ``None`` then.
        """
        ids = _WATCHDOGS.get(unit.family)
        if ids is None or unit.virtual:
            unit.watchdog = False
            return
        unit.watchdog = None
        armed = await self._parameter(unit, ids[0], urgent=urgent)
        if armed:
            delay = await self._parameter(unit, ids[1], urgent=urgent)
            unit.watchdog_delay = delay if delay and math.isfinite(delay) else 10.0
            saves = await self._parameter(unit, ids[2], urgent=urgent)
            unit.saves_to_flash = saves != 0
            self.core.troubles["watchdog_armed"] = {"device": self.plant.device(unit).name}
        unit.watchdog = bool(armed)
        unit.watchdog_seen = self.core.clock.monotonic()

    def replan(self) -> None:
        """Make the poll plan anew: devices or wishes have changed."""
        requested = self._requested
        tasks: list[Task] = []
        self._limits.clear()
        for unit in self.plant:
            for point in self.plant.shown_points(unit, requested):
                if not polled(unit, point, requested):
                    continue
                tasks.append(Task(unit.id, point))
                if self.has_limits(point) and point.id not in unit.asked_limits:
                    self._limits.append((unit.id, point))
        now = self.core.clock.monotonic()
        self.core.scheduler.plan(tasks, now, self._own)
        self._adapt()

    @staticmethod
    def has_limits(point: Datapoint) -> bool:
        """Whether a device can be asked for minimum and maximum of a parameter."""
        return (
            point.is_parameter
            and point.writable
            and not point.choices
            and not point.wall_clock
            and point.wire_format in (Format.FLOAT, Format.INT32)
        )

    def _adapt(self) -> None:
        per_read = self.line.latency.average + self.line.pause
        self.core.scheduler.adapt(per_read, self._batch_test())

    # ------------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Poll until the link is lost."""
        clock = self.core.clock
        scheduler = self.core.scheduler
        while True:
            if self.line.error is not None:
                raise self.line.error
            now = clock.monotonic()
            self._keep_house(now)
            if await self._chore(now):
                continue
            batch = scheduler.next(now, self._batch_test())
            if batch:
                await self._perform(batch)
                self.emit()
            elif not await self._read_limits():
                self.emit(urgent=True)
                await self._idle(scheduler.due(now), now)

    async def _idle(self, due: float | None, now: float) -> None:
        times = [now + HOUSEKEEPING, self._sweep_due, *self._missing.values()]
        times += [unit.next_probe for unit in self.plant if unit.next_probe is not None]
        times += [due] if due is not None else []
        times += [timer[0] for timer in self._timers]
        if self._max_idle is not None and self.line.last_frame is not None:
            times.append(self.line.last_frame + self._max_idle)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with self.core.clock.timeout(max(0.0, min(times) - now)):
                await self._wake.wait()

    def _keep_house(self, now: float) -> None:
        if now < self._next_housekeeping:
            return
        self._next_housekeeping = now + HOUSEKEEPING
        for unit in self.plant:
            unit.expire(now)
        self._adapt()
        gateway = self.plant.gateway
        if gateway is not None:
            achieved = self.core.scheduler.achieved(Poll.FAST)
            gateway.put(
                "achieved_interval", None if achieved is None else round(achieved, 1), math.inf
            )
            statistics = self.core.statistics
            gateway.put("errors", statistics.timeouts + sum(statistics.drops.values()), math.inf)
        if now >= self._next_save:
            self._next_save = now + SAVE_TOTALS
            self.save_totals()

    def save_totals(self) -> None:
        """Store the energy totals."""
        self.core.vault.totals = {key: total.as_dict() for key, total in self.plant.totals.items()}

    async def _chore(self, now: float) -> bool:
        """Do the most pressing thing that is no polling; returns whether there was one."""
        if self.unchecked:
            await self.check_identities()
        elif self._messages_due:
            await self._read_messages()
        else:
            return (
                await self._tend_units(now)
                or await self._ring_timers(now)
                or await self._look_for_units(now)
                or await self._stay_heard(now)
            )
        return True

    async def _tend_units(self, now: float) -> bool:
        for unit in self.plant:
            if unit.next_probe is not None and unit.next_probe <= now:
                await self._probe(unit)
                return True
            if self._hungry(unit, now):
                await self._feed_watchdog(unit)
                return True
        if not self._reapply:
            return False
        unit_id, point, number = self._reapply.popleft()
        back = self.plant.units.get(unit_id)
        if back is not None and back.available and back.watchdog is False:
            await self.write_ram(back, point, number)
        return True

    async def _ring_timers(self, now: float) -> bool:
        for timer in self._timers:
            if timer[0] <= now:
                self._timers.remove(timer)
                await timer[2]()
                return True
        return False

    async def _look_for_units(self, now: float) -> bool:
        for seat, due in self._missing.items():
            if due <= now:
                self._missing[seat] = now + REPROBE
                await self._try_seat(*seat)
                return True
        if now < self._sweep_due:
            return False
        self._sweep_due = now + SWEEP
        await self._sweep_one()
        return True

    async def _stay_heard(self, now: float) -> bool:
        """Ask something before the gateway's own watchdog misses us (spec e.4)."""
        heard = self.line.last_frame
        if self._max_idle is None or heard is None or now < heard + self._max_idle:
            return False
        await self.ask(discovery.probe_request(), discovery.PROBE_FORMAT)
        return True

    async def _probe(self, unit: Unit) -> None:
        """Ask a device that failed whether it is there, once."""
        unit.next_probe = None
        if unit.address is None:
            return
        info = FAMILIES[unit.family].probe
        point = by_id(unit.family, info)
        assert point is not None
        request = read_info(unit.address, info)
        reply = await self.ask_unit(unit, request, point.wire_format, attempts=1)
        if reply.value is not None:
            absence = check(point, reply.value, self.plant.nominal_battery)
            self.feed(unit, class_of_value(absence))
        now = self.core.clock.monotonic()
        if unit.presence.state is Presence.RECOVERING:
            await self._recover(unit)
        elif unit.presence.state is Presence.ONLINE:
            self.core.scheduler.refresh(unit.id)
        else:
            pause = CONFIRM if unit.presence.state is Presence.SUSPECT else REPROBE
            unit.next_probe = now + pause

    async def _recover(self, unit: Unit) -> None:
        """A device answers again: find out who it is; its RAM has forgotten everything."""
        assert unit.address is not None
        if not unit.virtual:
            try:
                identity = await self._identify(unit.family, unit.address)
            except Unanswered:
                self.feed(unit, OutcomeClass.FAILURE)
                unit.next_probe = self.core.clock.monotonic() + REPROBE
                return
            if identity.fid is None and unit.identity.fid is not None:
                unit.next_probe = self.core.clock.monotonic() + REPROBE
                return
            self._forget_ram(unit)
            unit = await self._seat(unit.family, unit.address, identity)
        else:
            self.feed(unit, OutcomeClass.GOOD)
        unit.lost_at = None
        self.core.troubles.pop("device_lost", None)
        _LOGGER.info("%s at address %s is back", unit.id, unit.address)
        self.unchecked.add(unit.family)
        self.core.memory.unsettle(self.core.clock.monotonic())
        self.replan()
        self.core.scheduler.refresh(unit.id)
        self.emit(urgent=True)

    async def _try_seat(self, family: Family, address: int) -> None:
        if self.plant.at(address) is not None:
            self._missing.pop((family, address), None)
            return
        reply = await self.ask(read_info(address, FAMILIES[family].probe), Format.FLOAT)
        if reply.kind is not ReplyKind.VALUE:
            return
        with contextlib.suppress(Unanswered):
            identity = await self._identify(family, address)
            unit = await self._seat(family, address, identity)
            _LOGGER.info("%s has appeared at address %s", unit.id, address)
            self.core.memory.unsettle(self.core.clock.monotonic())
            self.replan()
            self.emit(urgent=True)

    async def _sweep_one(self) -> None:
        """Ask one address at which nobody was known, so that new devices are found in time."""
        if not self._sweep:
            self._sweep.extend(
                (family, address)
                for family in (Family.XT, Family.VT, Family.VS, Family.BMS, Family.BSP)
                for address in FAMILIES[family].addresses
            )
        for _ in range(len(self._sweep)):
            seat = self._sweep.popleft()
            if self.plant.at(seat[1]) is None and seat not in self._missing:
                await self._try_seat(*seat)
                return

    async def check_identities(self) -> None:
        """Read the FIDs of the families in doubt and put every device where it answers."""
        async with self._checking:
            while self.unchecked:
                family = next(iter(self.unchecked))
                await self._check_family(family)
                self.unchecked.discard(family)

    async def _check_family(self, family: Family) -> None:
        moved: dict[int, str] = {}
        for unit in self.plant.of_family(family):
            if unit.address is None or not unit.available or unit.identity.fid is None:
                continue
            try:
                fid = await discovery.read_fid(self.ask, family, unit.address, unit.identity.fid)
            except Unanswered:
                self.feed(unit, OutcomeClass.FAILURE)
                continue
            if fid is not None and fid != unit.identity.fid:
                moved[unit.address] = fid
        if not moved:
            return
        _LOGGER.warning("The plant was renumbered: %s", ", ".join(map(str, sorted(moved))))
        for address in moved:
            if (sitting := self.plant.at(address)) is not None:
                self._unseat(sitting)
        for address in moved:
            try:
                identity = await self._identify(family, address)
            except Unanswered:
                self._missing[family, address] = self.core.clock.monotonic()
            else:
                unit = await self._seat(family, address, identity)
                self.core.troubles["renumbered"] = {"device": self.plant.device(unit).name}
        self.core.memory.unsettle(self.core.clock.monotonic())
        self.replan()
        self.emit(urgent=True)

    # ------------------------------------------------------------------ reading

    def _in_multi(self, unit: Unit) -> bool:
        return unit.family in _MULTI_FAMILIES and unit.index is not None

    def _batch_test(self) -> Batchable | None:
        """Return what tells whether a task may go into a multi-info request now."""
        if not self._multi:
            return None
        broken = {
            unit.family
            for unit in self.plant.real_units()
            if unit.presence.state is not Presence.ONLINE
        }
        broken.update(family for family, _ in self._missing)
        whole = _MULTI_FAMILIES - broken
        units = self.plant.units

        def batchable(task: Task) -> bool:
            point = task.point
            if point.is_parameter or point.family not in whole:
                return False
            unit = units.get(task.unit)
            return (
                unit is not None and unit.index is not None and point.wire_format in _MULTI_FORMATS
            )

        return batchable

    async def _perform(self, batch: list[Task]) -> None:
        if len(batch) > 1 and len(batch) - len(units_of(batch)) > 1:
            await self._read_many(batch)
        else:
            await self._read_each(batch)

    async def _read_each(self, tasks: Iterable[Task]) -> set[str]:
        """Read one by one; returns the devices that failed, of which the rest was left out."""
        failed: set[str] = set()
        for task in tasks:
            if task.unit not in failed and not await self._read(task):
                failed.add(task.unit)
        return failed

    async def _read(self, task: Task) -> bool:
        """Read one datapoint; returns whether the device answered."""
        unit = self.plant.units.get(task.unit)
        point = task.point
        if unit is None or unit.address is None or not unit.available:
            return False
        if point.id in unit.unsupported or self._rests(unit, point):
            return True
        request = point.read(unit.address)
        reply = await self.ask_unit(unit, request, point.wire_format)
        if reply.kind is ReplyKind.VALUE:
            assert reply.value is not None
            unit.bad_answers.pop(point.id, None)
            unit.lost_answers.pop(point.id, None)
            address = unit.address
            await self._settle()
            if unit.address == address:
                await self._admit(unit, point, reply.value)
            return True
        answered = self._note_failure(unit, point, reply)
        if not answered:
            self.core.scheduler.skip(unit.id)
        return answered

    def _rests(self, unit: Unit, point: Datapoint) -> bool:
        """Whether to leave out a datapoint whose answers always get lost while others arrive.

        A Moxa that strips delimiters takes every 0D 0A out of an answer. A value that does not
        change and holds these two bytes then never arrives; asking costs two time-outs.
        """
        count = unit.lost_answers[point.id]
        if count < LOST_ANSWERS:
            return False
        now = self.core.clock.monotonic()
        if now >= unit.rests.get(point.id, -math.inf):
            if point.id not in unit.rests:
                name = self.plant.device(unit).name
                _LOGGER.warning(
                    "%s never answers {%d} and answers everything else. Behind a Moxa, set"
                    " “Delimiter process” to “Do nothing” when the portal is not used",
                    name, point.id,
                )  # fmt: skip
                self.core.troubles["answer_mangled"] = {"device": name, "id": str(point.id)}
                unit.rests[point.id] = now + LOST_ANSWER_REST
                return True
            unit.rests[point.id] = now + LOST_ANSWER_REST
            return False
        return True

    async def _settle(self) -> None:
        """Learn what the gateway has to tell before a reading is believed.

        The very answer that carries a value may carry the flag behind which stands "an Xtender
        has started": then the device at this address may be another than it was.
        """
        if self._messages_due:
            await self._read_messages()
        if self.unchecked:
            await self.check_identities()

    def _note_failure(self, unit: Unit, point: Datapoint, reply: Reply) -> bool:
        """Take a reading that gave no value; returns whether the device as such is there."""
        if reply.kind is ReplyKind.TIMEOUT:
            unit.lost_answers[point.id] += 1
            return False
        if reply.kind is ReplyKind.BAD_ANSWER:
            unit.bad_answers[point.id] += 1
            if unit.bad_answers[point.id] >= MAX_BAD_ANSWERS:
                _LOGGER.warning(
                    "%s answers %s with %d bytes, not as a %s; it is left out",
                    unit.id, point.id, len(reply.data), point.wire_format,
                )  # fmt: skip
                self._drop_point(unit, point)
            return True
        assert reply.error is not None
        match remedy_of_read(reply.error):
            case Remedy.UNSUPPORTED:
                _LOGGER.debug("%s has no %s: %s", unit.id, point.id, reply)
                self._drop_point(unit, point)
            case Remedy.OUR_FAULT:
                _LOGGER.warning("%s, asked for %s, says %s", unit.id, point.id, reply)
            case Remedy.ABSENT | Remedy.RETRY:
                return class_of_error(reply.error) is OutcomeClass.NEUTRAL
        return True

    def _drop_point(self, unit: Unit, point: Datapoint) -> None:
        unit.unsupported.add(point.id)
        if unit.values.pop(point.key, unit) is not unit:
            unit.changed = True
        self.core.scheduler.drop(Task(unit.id, point))

    async def _admit(self, unit: Unit, point: Datapoint, wire: WireValue) -> None:
        """Let a reading through the gate, reading again where it says so."""
        absence = self._judge(unit, point, wire)
        if absence in (Absence.NOT_FINITE, Absence.UNKNOWN_ENUM, Absence.OUT_OF_RANGE):
            second = await self._again(unit, point)
            if second is None:
                return
            wire = second
            absence = self._judge(unit, point, wire)
        until = self.core.clock.monotonic() + HOLD_INTERVALS * self._interval(point)
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
            self.core.memory.accept(unit.id, point, float(wire))
            unit.take_voltage(point, float(wire))
        if not unit.available:
            return
        unit.show(point, wire, until, self._zone)
        if isinstance(wire, float):
            self.plant.count_energy(unit, point, wire)

    def _interval(self, point: Datapoint) -> float:
        own = self._own.get((point.family.value, point.id))
        return self.core.scheduler.interval(point, own)

    def _judge(self, unit: Unit, point: Datapoint, wire: WireValue) -> Absence | None:
        """Return what the gate says, and tell it to the device's presence."""
        if point.is_parameter:
            self.feed(unit, OutcomeClass.GOOD)
            return None
        nominal = self.plant.nominal_battery
        absence = check(point, wire, nominal)
        if absence is None and self._contradicts(unit, point, wire):
            absence = Absence.OUT_OF_RANGE
            self.core.count("voltage_disagrees")
        elif absence is not None:
            self.core.count(absence.value)
        self.feed(unit, class_of_value(absence))
        return absence

    def _contradicts(self, unit: Unit, point: Datapoint, wire: WireValue) -> bool:
        if unit.family is not Family.XT or point.id != BATTERY_VOLTAGES[Family.XT]:
            return False
        if self.core.settings.separate_batteries or unit.virtual:
            return False
        value = float(wire) if isinstance(wire, (int, float)) else math.nan
        others = [
            other.voltage
            for other in self.plant.real_units()
            if other is not unit and other.voltage is not None
        ]
        return voltage_disagrees(value, [*others, value], self.plant.nominal_battery)

    async def _again(self, unit: Unit, point: Datapoint) -> WireValue | None:
        """Read once more, at once."""
        if unit.address is None or unit.presence.state is Presence.OFFLINE:
            return None
        request = point.read(unit.address)
        reply = await self.ask_unit(unit, request, point.wire_format, attempts=1)
        return reply.value if reply.kind is ReplyKind.VALUE else None

    async def _confirm(self, unit: Unit, point: Datapoint, value: float) -> float | None:
        """Return *value* unless what was before casts doubt on it that a second reading keeps."""
        memory = self.core.memory
        nominal = self.plant.nominal_battery
        doubt = memory.doubt(unit.id, point, value, self.core.clock.monotonic(), nominal)
        if doubt is None:
            return value
        second = await self._again(unit, point)
        if not isinstance(second, (int, float)) or self._judge(unit, point, second) is not None:
            return None
        if memory.confirms(doubt, point, value, float(second), nominal):
            return float(second)
        self.core.count(doubt.value)
        return None

    async def _read_many(self, batch: list[Task]) -> None:
        """Read most of a batch in one request, and one value of each device by itself.

        What a gateway puts into a multi-info answer for a device that is missing is unknown. So
        nothing of it is believed before the device itself has answered, afterwards.
        """
        vouchers: dict[str, Task] = {}
        rest = [task for task in batch if vouchers.setdefault(task.unit, task) is not task]
        items = {self._item(task): task for task in rest}
        reply = await self.ask(self._multi_request(list(items)))
        values = self._multi_values(reply)
        if values is None:
            await self._read_each(batch)
            return
        failed = await self._read_each(vouchers.values())
        await self._settle()
        for item, task in items.items():
            unit = self.plant.units[task.unit]
            trusted = (
                task.unit not in failed
                and unit.presence.state is Presence.ONLINE
                and unit.index == item.aggregation
            )
            if not trusted:
                continue
            value = values.get(item)
            wire: WireValue | None = value
            if value is not None and task.point.wire_format is not Format.FLOAT:
                wire = exact_integer(value)
            if wire is None:
                await self._read(task)
            else:
                await self._admit(unit, task.point, wire)

    def _item(self, task: Task) -> multi_info.Item:
        index = self.plant.units[task.unit].index
        assert index is not None
        return multi_info.Item(task.point.id, index)

    def _multi_values(self, reply: Reply) -> dict[multi_info.Item, float] | None:
        if reply.kind is ReplyKind.VALUE:
            self._multi_failures = 0
            return multi_info.decode(reply.data).values()
        self._multi_failures += 1
        if reply.kind is ReplyKind.ERROR or self._multi_failures >= MULTI_FAILURES:
            _LOGGER.info("Multi-info fails (%s); reading one by one from now on", reply)
            self._multi = False
            self.core.statistics.extra["multi_info"] = False
        return None

    async def _read_limits(self) -> bool:
        """Ask a device for the bounds of one parameter, when there is nothing else to do."""
        while self._limits:
            unit_id, point = self._limits.popleft()
            unit = self.plant.units.get(unit_id)
            if unit is not None and unit.address is not None and unit.available:
                await self.read_limits_of(unit, point)
                return True
        return False

    async def read_limits_of(self, unit: Unit, point: Datapoint, *, urgent: bool = False) -> None:
        """Ask a device for minimum and maximum of a parameter; if it answers, they win."""
        bounds: list[float] = []
        assert unit.address is not None
        unit.asked_limits.add(point.id)
        for which in (ParameterProperty.MIN, ParameterProperty.MAX):
            request = point.read(unit.address, which)
            reply = await self.ask_unit(unit, request, point.wire_format, urgent=urgent)
            if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, (int, float)):
                return
            if not math.isfinite(reply.value):
                return
            bounds.append(float(reply.value))
        if bounds[0] <= bounds[1]:
            limits = Limits(point.limits.default, bounds[0], bounds[1], point.limits.step)
            if unit.told_limits.get(point.id) != limits:
                unit.told_limits[point.id] = limits
                self.core.reshape()

    # ------------------------------------------------------------------ messages

    async def _read_messages(self) -> None:
        self._messages_due = False
        until = self.core.vault.last_message
        fresh = await self.read_messages(MAX_MESSAGES, until=until)
        if not fresh:
            self._first_look = False
            return
        first_ever, self._first_look = self._first_look and until is None, False
        self.core.vault.last_message = fresh[0].identity
        if first_ever:
            fresh = fresh[:1]
        for message in reversed(fresh):
            self._tell(message, history=first_ever)
        self.emit(urgent=True)

    async def read_messages(
        self, count: int, until: tuple[int, int, int] | None = None, *, urgent: bool = False
    ) -> list[PlantMessage]:
        """Return the newest messages, newest first, up to one that was seen before."""
        found: list[PlantMessage] = []
        for index in range(count):
            request = messages.read_message(index)
            reply = await self.ask(request, urgent=urgent)
            if reply.kind is not ReplyKind.VALUE:
                break
            try:
                message = messages.decode(reply.data)
            except ValueError:
                self.core.count("bad_message")
                break
            if message.total == 0 or message.identity == until:
                break
            if found and message.identity == found[-1].identity:
                break
            found.append(message)
            if message.total <= index + 1:
                break
        return found

    def _tell(self, message: PlantMessage, *, history: bool) -> None:
        gateway = self.plant.gateway
        assert gateway is not None
        meaning = message.meaning
        source = self.plant.at(message.source)
        device = self.plant.device(gateway)
        self.core.recent.append(message)
        gateway.put("last_message", meaning.text, math.inf)
        if meaning.topology is not None and not history:
            self._change_of_topology(meaning.topology, source)
        data: dict[str, Value | None] = {
            "number": message.number,
            "text": meaning.text,
            "address": message.source,
            "device": self.plant.device(source).name if source else None,
            "device_id": source.id if source else None,
            "local_time": message.time.isoformat(),
        }
        moment = localised(message.time, self._zone)
        self.core.occur(Message(device, "message", meaning.severity.value, moment, data))

    def _change_of_topology(self, topology: Topology, source: Unit | None) -> None:
        self.core.memory.unsettle(self.core.clock.monotonic())
        families = _TOPOLOGY.get(topology, tuple(self._families()))
        self.unchecked.update(set(families) & self._families())
        if topology is Topology.XT_STARTED and source is not None:
            self._forget_ram(source)

    # ------------------------------------------------------------------ RAM values

    def _forget_ram(self, unit: Unit) -> None:
        """A device has restarted: what was in its RAM is gone."""
        lost = dict(unit.shadows)
        unit.shadows.clear()
        self.core.vault.keep_shadows(unit.id, unit.shadows)
        for number in lost:
            point = by_id(unit.family, number)
            if point is not None and number in unit.flash:
                unit.show(point, unit.flash[number], math.inf, self._zone)
        self.core.scheduler.refresh(unit.id)
        if self.core.settings.reapply_ram:
            for number, shadow in lost.items():
                if (point := by_id(unit.family, number)) is not None:
                    self._reapply.append((unit.id, point, shadow.number))

    def _hungry(self, unit: Unit, now: float) -> bool:
        return (
            self.core.settings.feed_watchdogs
            and unit.watchdog is True
            and bool(unit.shadows)
            and unit.available
            and now - unit.fed >= unit.watchdog_delay / 3
        )

    async def _feed_watchdog(self, unit: Unit) -> None:
        """Repeat one RAM write, before the watchdog of the device stops it."""
        number, shadow = next(iter(unit.shadows.items()))
        unit.fed = self.core.clock.monotonic()
        if (point := by_id(unit.family, number)) is not None:
            await self.write_ram(unit, point, shadow.number)

    async def write_ram(
        self, unit: Unit, point: Datapoint, number: float, *, urgent: bool = False
    ) -> Reply | None:
        """Write into RAM what was checked before, and remember it when it was taken."""
        assert point.wire_format is not None
        if unit.address is None:
            return None
        data = encode(point.wire_format, number)
        request = point.write(unit.address, data, ParameterProperty.UNSAVED_VALUE)
        reply = await self.ask_unit(unit, request, None, urgent=urgent)
        if reply.kind is ReplyKind.WRITTEN:
            self.remember(unit, point, number)
        return reply

    def remember(self, unit: Unit, point: Datapoint, number: float) -> None:
        """A device has taken a RAM value: reading goes on to show the flash, so we show it."""
        unit.fed = self.core.clock.monotonic()
        unit.shadows[point.id] = Shadow(number, self.core.clock.now())
        self.core.vault.keep_shadows(unit.id, unit.shadows)
        self._publish_parameter(unit, point, number)
        self._expect_effect(unit, point)

    def _publish_parameter(self, unit: Unit, point: Datapoint, number: float) -> None:
        if point.key in unit.values:
            until = self.core.clock.monotonic() + HOLD_INTERVALS * self._interval(point)
            unit.put(point.key, to_field(point, as_wire(point, number), self._zone), until)
            self.emit(urgent=True)

    def forget_shadow(self, unit: Unit, point: Datapoint) -> None:
        """The RAM value holds no longer."""
        if unit.shadows.pop(point.id, None) is not None:
            self.core.vault.keep_shadows(unit.id, unit.shadows)

    def show_flash(self, unit: Unit, point: Datapoint, number: float) -> None:
        """Show what stands in the flash."""
        self.forget_shadow(unit, point)
        unit.flash[point.id] = number
        self._publish_parameter(unit, point, number)

    def later(self, seconds: float, name: object, action: Callable[[], Awaitable[object]]) -> None:
        """Do something after a while; an earlier plan of the same name is dropped."""
        due = self.core.clock.monotonic() + seconds
        self._timers = [timer for timer in self._timers if timer[1] != name]
        self._timers.append((due, name, action))
        self.wake()

    def _expect_effect(self, unit: Unit, point: Datapoint) -> None:
        """Look, after a while, whether a write shows in an info."""
        if unit.family is Family.XT and (point.id in _EFFECT_BITS or point.id == 1107):
            name = (unit.id, point.id)
            self.later(EFFECT_DELAY, name, lambda: self._check_effect(unit.id, point))

    async def _check_effect(self, unit_id: str, point: Datapoint) -> None:
        unit = self.plant.units.get(unit_id)
        shadow = None if unit is None else unit.shadows.get(point.id)
        if unit is None or shadow is None or unit.address is None or not unit.available:
            return
        info = 3017 if point.id == 1107 else 3056
        reply = await self.ask_unit(unit, read_info(unit.address, info), Format.FLOAT)
        if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, float):
            return
        if not math.isfinite(reply.value):
            return
        if point.id == 1107:
            agrees = abs(reply.value - shadow.number) <= max(1.0, 0.1 * shadow.number)
        else:
            forbidden = bool(int(reply.value) >> _EFFECT_BITS[point.id] & 1)
            agrees = forbidden is not bool(shadow.number)
        if agrees:
            self.core.troubles.pop("no_effect", None)
        else:
            name = self.plant.device(unit).name
            _LOGGER.warning("%s does not act on {%d}", name, point.id)
            self.core.troubles["no_effect"] = {"device": name, "parameter": str(point.id)}


async def probe_gateway(line: Line, *, network: bool = False, attempts: int = 2) -> None:
    """Ask the gateway itself. Raises :class:`LinkError` with the reason when it is silent."""
    heard = line.bytes_heard
    for _ in range(attempts):
        reply = await line.exchange(
            discovery.probe_request(), discovery.PROBE_FORMAT, urgent=True, blame=False
        )
        if reply.kind is not ReplyKind.TIMEOUT:
            return
    raise silence(line, heard, network=network)


def silence(line: Line, heard_before: int, *, network: bool) -> LinkError:
    """Return why a gateway is not heard, as far as the bytes tell."""
    if line.bytes_heard == heard_before:
        return LinkError(Reason.SILENT, "not one byte came back")
    if line.last_frame is None:
        where = "of the Moxa" if network else "of the port"
        return LinkError(
            Reason.NOISE,
            f"{line.bytes_heard} bytes and no frame: check the serial settings {where}",
        )
    return LinkError(Reason.NO_ANSWER, "frames pass, but none answers our question")
