"""Which device is at which address: found, lost, back, moved (spec c.3, c.6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from ..datapoints.datapoint import by_id
from ..datapoints.plausibility import check
from ..plant.availability import (
    OutcomeClass,
    Presence,
    class_of_error,
    class_of_value,
    denies,
    weight_of,
)
from ..plant.system import MONITORS
from ..plant.unit import SURE, Identity, Unit, gateway_unit
from ..scom.exchange import Reply, ReplyKind
from ..scom.families import FAMILIES, PHASES, Family, families_at
from ..scom.frame import read_info
from ..scom.values import Format
from . import discovery
from .context import SessionContext
from .discovery import Unanswered
from .empty_seats import REPROBE, EmptySeats
from .identification import Identification
from .plant_check import PlantCheck
from .ram import Ram
from .requester import CONFIRM, Requester
from .watchdogs import Watchdogs

_LOGGER = logging.getLogger(__name__)

SWEEP = 10.0
"""Seconds between two probes of addresses without a known device."""
PATROL = 15.0
"""Seconds between two checks of a device's identity, for changes that no message reports."""
SPARED = 50.0
"""Probing takes at most this fraction (1/n) of the line's time."""
FIRST_LOOK = 5.0
"""Seconds from the start until missing devices are probed, and the details of the others read.

The first values are read before that.
"""
DETAILS = 0.15
"""Seconds between two readings of details: most of the line's time is for the values."""
DETAILS_SPARED = 3.0
"""They take at most a quarter of the line's time."""
CALM = 3600.0
"""How long the owner is told that the plant was renumbered."""


class Membership:
    """Knows the devices by their FIDs and keeps track of the address of each."""

    def __init__(
        self,
        context: SessionContext,
        requester: Requester,
        ram: Ram,
        watchdogs: Watchdogs,
        replan: Callable[[], None],
    ) -> None:
        self._context = context
        self._requester = requester
        self._ram = ram
        self._watchdogs = watchdogs
        self._replan = replan
        self._identification = Identification(context, requester)
        self._checking = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._seats = EmptySeats()
        self._sweep_due = context.now + SWEEP
        self._patrol: deque[str] = deque()
        self._patrol_due = context.now + PATROL
        self._details_due = context.now + FIRST_LOOK
        self._said: dict[str, dict[int, float | None]] = {}
        """The identities read so far."""
        self._twins: set[tuple[str, int]] = set()
        """FIDs of other devices, and where they were read too."""
        self._ours = PlantCheck(context, requester)
        self.unchecked: set[Family] = set()
        """Families whose FIDs have to be read before their values are used."""

    @property
    def incomplete(self) -> set[Family]:
        """Families of which a known device is missing."""
        return self._seats.families

    @property
    def families(self) -> set[Family]:
        """The families that have devices."""
        return {unit.family for unit in self._context.plant.real_units()}

    def invalidate(self, families: Iterable[Family]) -> None:
        """Note that devices may have moved: their identities have to be read."""
        self._context.history.unsettle(self._context.now)
        self.unchecked.update(set(families) & self.families)

    async def note_started(self, family: Family, address: int, at_latest: datetime) -> None:
        """A device has started, says the gateway: what was in its RAM is lost.

        It may be another one than the one known there: it says itself who it is. An address that
        is no device's does not tell which one, or that it is one only.
        """
        plant = self._context.plant
        if address not in FAMILIES[family].addresses:
            self._ram.doubt_all(plant.of_family(family))
            return
        expected = self._identification.expected(family, address)
        try:
            started = await discovery.read_fid(self._requester.ask, family, address, expected)
        except Unanswered:
            started = expected
        anonymous = started is None or (started, address) in self._twins
        if anonymous and plant.gateway is not None:
            started = self._nameless(address)
        unit = plant.at(address) if started == expected else plant.units.get(started or "")
        if unit is not None and unit.address is not None:
            self._ram.started(unit, at_latest)
        elif started is not None:
            self._context.stored.note_absence(started, certain=True)

    def expect(self, families: Iterable[Family]) -> None:
        """Probe lost devices soon: a message of the gateway says that they may be back."""
        wanted = set(families)
        for unit in self._context.plant.real_units():
            if unit.family in wanted and unit.presence.state is Presence.OFFLINE:
                unit.tracking.next_probe = self._context.now
        self._seats.expect(wanted, self._context.now)

    def due(self) -> float:
        """Return when the next probe is due."""
        probes = [
            unit.tracking.next_probe
            for unit in self._context.plant
            if unit.tracking.next_probe is not None
        ]
        times = [self._sweep_due, self._patrol_due, *self._seats.times(), *probes]
        if self._details_pending() is not None:
            times.append(self._details_due)
        return min(times)

    async def enumerate_devices(
        self, on_progress: discovery.OnProgress | None = None, *, fully: bool = True
    ) -> list[Unit]:
        """Find the devices; the gateway has answered its probe.

        Unless *fully*, only what is needed to show a device is read. Details, and devices that do
        not answer, are left for :meth:`scan_due`.
        """
        plant = self._context.plant
        reply = await self._requester.ask(discovery.guid_request(), Format.GUID)
        guid = discovery.guid_of(reply)
        seats = {
            (unit.family, unit.address): unit.id
            for unit in plant.real_units()
            if unit.address is not None
        } or self._context.stored.seats
        found: Iterable[discovery.Found]
        if any(True for _ in plant.real_units()):
            found = [discovery.Found(family, address) for family, address in seats]
        else:
            found = await discovery.discover(
                self._requester.ask,
                thorough=not seats,
                known=seats.keys(),
                on_progress=on_progress,
            )

        def missed(one: discovery.Found) -> None:
            self._seats.miss((one.family, one.address), self._context.now + FIRST_LOOK)

        found = tuple(found)
        progress = discovery.Identifying(found, on_progress)
        identities = await self._identification.identify_all(
            found, fully=fully, missed=missed, step=progress.step
        )
        identities = [await self._by_its_kind(*one) for one in identities]
        self._ours.check(guid, {who.fid for _, who in identities if who.fid})
        self._set_gateway(guid, [identity for _, identity in identities])
        with self._ours.joining():
            seated = [
                await self._bind(one.family, one.address, who, details_pending=True)
                for one, who in identities
            ]
        self._details_due = self._context.now + FIRST_LOOK
        for unit in list(plant.real_units()):
            if unit not in seated:
                self._unbind(unit)
        self._context.learn_nominals([(one.family, identity) for one, identity in identities])
        for family, address in seats:
            if plant.at(address) is None:
                due = self._context.now + FIRST_LOOK
                self._seats.miss((family, address), due, anew=False)
        if self._context.settings.phases:
            await self._seat_phases()
        return seated

    def lost(self, unit: Unit) -> None:
        """A device has failed too often."""
        _LOGGER.warning("%s at address %s does not answer", unit.id, unit.address)
        unit.miss(self._context.clock.now(), self._context.now + REPROBE)
        if not unit.tracking.unverified and not unit.virtual:
            self._note_absence(unit.id, denied=unit.tracking.denied)
        self._context.history.forget(unit.id)
        self._context.scheduler.skip(unit.id)
        self._context.publish(urgent=True)

    def _note_absence(self, name: str, *, denied: bool) -> None:
        """Store that a device is missed; a gateway that has just started does not know why."""
        certain = denied and self._context.now >= self._context.denials_count_from
        self._context.stored.note_absence(name, certain=certain)

    def _nameless(self, address: int) -> str:
        """Return the name of a device that has no FID of its own."""
        assert self._context.plant.gateway is not None
        return f"{self._context.plant.gateway.id}_{address}"

    async def scan_due(self, now: float) -> bool:
        """Probe one device that is due; returns whether there was one."""
        for unit in self._context.plant:
            if unit.tracking.next_probe is not None and unit.tracking.next_probe <= now:
                await self._probe(unit)
                return True
        if (seat := self._seats.take_due(now)) is not None:
            await self._try_bind(*seat)
            return True
        if now >= self._details_due and (details_pending := self._details_pending()) is not None:
            with contextlib.suppress(Unanswered):
                await self._complete(details_pending)
            self._details_due = self._next(DETAILS, now, DETAILS_SPARED)
            return True
        if now >= self._patrol_due:
            await self._patrol_one()
            self._patrol_due = self._next(PATROL, now)
            return True
        if now >= self._sweep_due:
            await self._sweep_one()
            self._sweep_due = self._next(SWEEP, now)
            return True
        return False

    def _next(self, interval: float, began: float, spared: float = SPARED) -> float:
        """Return when to probe again, so that probing takes little of the line's time."""
        now = self._context.now
        return now + max(interval, spared * (now - began))

    def _details_pending(self) -> Unit | None:
        """Return a device whose details are still missing."""
        return next(
            (
                unit
                for unit in self._context.plant
                if unit.tracking.details_pending and unit.available
            ),
            None,
        )

    async def _complete(self, unit: Unit) -> None:
        """Read one of the details that were left out at the start. Raises :class:`Unanswered`."""
        assert unit.address is not None
        said = self._said.setdefault(unit.id, {})
        for info in discovery.details_of(unit.family):
            if info not in said:
                ask = self._requester.of(unit)
                said[info] = await discovery.read_detail(ask, unit.family, unit.address, info)
                return
        unit.identity = discovery.describe(unit.family, unit.identity.fid, said)
        unit.tracking.details_pending = False
        unit.changed = True
        self._context.stored.keep_identity(unit.identity)
        self._learn_nominals()
        await self._watchdogs.try_to_look(unit)
        self._context.publish()

    async def look_at_software(self, unit: Unit) -> None:
        """Read the firmware of a device at once, if it was left out at the start.

        Raises :class:`Unanswered`.
        """
        if unit.tracking.details_pending and unit.address is not None:
            ask = self._requester.of(unit, urgent=True)
            software = await discovery.read_software(ask, unit.family, unit.address)
            unit.identity = replace(unit.identity, software=software)

    async def _patrol_one(self) -> None:
        """Check the identity of one device: a message may be lost, or read by another master."""
        for _ in range(len(self._patrol) + 1):
            if not self._patrol:
                self._patrol.extend(unit.id for unit in self._context.plant.real_units())
            unit = self._context.plant.units.get(self._patrol.popleft()) if self._patrol else None
            known = None if unit is None else unit.identity.fid
            if unit is None or unit.address is None or known is None or not unit.available:
                continue
            with contextlib.suppress(Unanswered):
                address = unit.address
                ask = self._requester.of(unit)
                fid = await discovery.read_fid(ask, unit.family, address, known, patient=False)
                if fid == known:
                    unit.tracking.sure = self._context.now
                elif unit.address == address:
                    self.invalidate([unit.family])
            return

    async def _family_at(self, family: Family, address: int) -> Family:
        """Return the family of what answers at an address: it may be the other battery monitor."""
        if family not in MONITORS:
            return family
        return await discovery.monitor_of(self._requester.ask) or family

    async def _by_its_kind(
        self, one: discovery.Found, who: Identity
    ) -> tuple[discovery.Found, Identity]:
        """Return a device and who it is, where another battery monitor was expected."""
        sitting = self._context.plant.at(one.address)
        if sitting is None or (who.fid is not None and who.fid == sitting.identity.fid):
            return one, who
        answering = await self._family_at(one.family, one.address)
        if answering is one.family:
            return one, who
        with contextlib.suppress(Unanswered):
            who = await self._identification.identify(answering, one.address)
        return discovery.Found(answering, one.address), who

    def _set_gateway(self, guid: str | None, identities: Iterable[Identity]) -> None:
        stored = self._context.stored
        if self._context.plant.gateway is None:
            fids = sorted(identity.fid for identity in identities if identity.fid)
            identity = guid or stored.gateway or (f"xcom_{fids[0]}" if fids else None)
            self._context.plant.gateway = gateway_unit(identity or "xcom")
            self._context.plant.units[self._context.plant.gateway.id] = self._context.plant.gateway
            self._context.plant.gateway.memory.shadows = stored.shadows(
                identity or "xcom", Family.RCC
            )
            if identity:
                stored.gateway = identity
        gateway = self._context.plant.gateway
        gateway.mark_seen(self._context.now)
        self._context.plant.guid = guid
        self._context.plant.prepare(gateway)

    async def _bind(
        self, family: Family, address: int, identity: Identity, *, details_pending: bool = False
    ) -> Unit:
        """Bind a device to the address where it answers; it may be known from another address."""
        assert self._context.plant.gateway is not None
        if await self._is_twin(identity.fid, address):
            identity = replace(identity, fid=None)
        await self._ours.check_newcomer(identity.fid)
        stored = self._context.stored
        unit_id = identity.fid or self._nameless(address)
        unit = self._context.plant.units.get(unit_id)
        if unit is not None and unit.family is not family:
            # It was taken for the other kind of battery monitor: nothing of it holds.
            self._unbind(unit)
            del self._context.plant.units[unit_id]
            unit = None
        sitting = self._context.plant.at(address)
        if sitting is not None and sitting is not unit:
            self._unbind(sitting)
        if unit is None:
            unit = Unit(unit_id, family, address, identity)
            unit.memory.shadows = stored.shadows(unit_id, family)
            self._context.plant.units[unit_id] = unit
            moved = stored.seats.get((family, address)) != unit_id
        elif moved := (unit.address or unit.tracking.last_address) != address:
            _LOGGER.warning("%s has moved from address %s to %s", unit_id, unit.address, address)
            self._tell_renumbered(unit)
            self._look_first(family, unit.address)
        absence = stored.absence(unit_id)
        if absence:
            self._ram.forget(unit)
        elif moved or absence is not None:
            # Whether it has started to get another address, or was silent only, is not known.
            self._ram.doubt_all([unit])
        stored.end_absence(unit_id)
        was_lost = unit.presence.state in (Presence.OFFLINE, Presence.RECOVERING)
        unit.bind(address, identity, details_pending=details_pending)
        unit.mark_seen(self._context.now)
        self._said.pop(unit_id, None)
        if was_lost:
            self._context.history.forget(unit.id)
        if not details_pending:
            await self._watchdogs.try_to_look(unit)
        self._context.plant.prepare(unit)
        for one in families_at(address):
            self._seats.taken((one, address))
        if not details_pending:
            stored.keep_identity(identity)
        stored.keep_seat(unit_id, family, address)
        return unit

    async def _is_twin(self, fid: str | None, address: int) -> bool:
        """Whether another device, which is still where it was, has this FID as well."""
        unit = None if fid is None else self._context.plant.units.get(fid)
        if fid is None or unit is None or unit.address in (None, address):
            return False
        if (fid, address) not in self._twins:
            ask = self._requester.ask
            with contextlib.suppress(Unanswered):
                if fid == await discovery.read_fid(ask, unit.family, unit.address, fid):
                    self._twins.add((fid, address))
                    text = "%s and %s have one FID; the second is known by its address"
                    _LOGGER.warning(text, unit.address, address)
        return (fid, address) in self._twins

    def _tell_renumbered(self, unit: Unit) -> None:
        name = self._context.plant.name(unit)
        self._context.warn("renumbered", lasts=CALM, device=name)

    def _unbind(self, unit: Unit) -> None:
        unit.unbind()
        self._context.history.forget(unit.id)
        self._context.scheduler.skip(unit.id)

    def _learn_nominals(self) -> None:
        """Take the nominal voltages from all known devices: the first may just have been found."""
        self._context.learn_nominals(
            [(one.family, one.identity) for one in self._context.plant.real_units()]
        )

    async def _seat_phases(self) -> None:
        assert self._context.plant.gateway is not None
        for address, phase in PHASES.items():
            if not await discovery.is_present(
                self._requester.ask, address, FAMILIES[Family.XT].probe
            ):
                continue
            unit_id = f"{self._context.plant.gateway.id}_{phase.lower()}"
            unit = self._context.plant.units.get(unit_id)
            if unit is None:
                unit = Unit(unit_id, Family.XT, address, Identity(phase=phase))
                unit.virtual = True
                self._context.plant.units[unit_id] = unit
            unit.mark_seen(self._context.now)
            self._context.plant.prepare(unit)

    async def _probe(self, unit: Unit) -> None:
        """Probe a device that failed, once."""
        unit.tracking.next_probe = None
        if unit.address is None:
            return
        info = FAMILIES[unit.family].probe
        point = by_id(unit.family, info)
        assert point is not None
        request = read_info(unit.address, info)
        reply = await self._requester.ask_unit(unit, request, point.wire_format, attempts=1)
        if reply.value is not None and unit.presence.nearly_lost:
            self.invalidate([unit.family])
        if reply.value is None:
            unit.tracking.unverified = False
            if unit.presence.state is Presence.OFFLINE and not unit.virtual:
                self._note_absence(unit.id, denied=unit.tracking.denied)
                if reply.error is not None and await self._is_replaced(unit):
                    return
        else:
            absence = check(point, reply.value, self._context.plant.nominal_battery)
            self._requester.note_outcome(unit, class_of_value(absence))
        now = self._context.clock.monotonic()
        if unit.presence.state is Presence.RECOVERING:
            await self._recover(unit)
        elif unit.presence.state is Presence.ONLINE:
            self._context.scheduler.refresh(unit.id)
        else:
            pause = CONFIRM if unit.presence.state is Presence.SUSPECT else REPROBE
            unit.tracking.next_probe = now + pause

    async def _is_replaced(self, unit: Unit) -> bool:
        """Whether the other kind of battery monitor answers in the place of a lost one."""
        address = unit.address
        if address is None or unit.family not in MONITORS:
            return False
        answering = await discovery.monitor_of(self._requester.ask)
        if answering in (None, unit.family):
            return False
        self._unbind(unit)
        await self._try_bind(answering, address)
        return True

    async def _recover(self, unit: Unit) -> None:
        """A device answers again: read its identity."""
        address = unit.address
        assert address is not None
        if not unit.virtual:
            try:
                identity = await self._identification.identify(unit.family, address)
            except Unanswered:
                self._requester.note_outcome(unit, OutcomeClass.FAILURE)
                unit.tracking.next_probe = self._context.clock.monotonic() + REPROBE
                return
            if identity.fid is None and unit.identity.fid is not None:
                unit.tracking.next_probe = self._context.clock.monotonic() + REPROBE
                return
            unit.tracking.unverified = False
            family = unit.family
            if identity.fid != unit.identity.fid:
                family = await self._family_at(family, address)
            unit = await self._bind(family, address, identity)
        else:
            self._requester.note_outcome(unit, OutcomeClass.GOOD)
        unit.tracking.lost_at = None
        _LOGGER.info("%s at address %s is back", unit.id, unit.address)
        self.unchecked.add(unit.family)
        self._context.history.unsettle(self._context.clock.monotonic())
        self._replan()
        self._context.scheduler.refresh(unit.id)
        self._context.publish(urgent=True)

    async def _try_bind(self, family: Family, address: int) -> None:
        if self._context.plant.at(address) is not None:
            self._seats.occupied((family, address))
            return
        reply = await self._requester.ask(read_info(address, FAMILIES[family].probe), Format.FLOAT)
        if (answering := await self._answering(family, reply)) is None:
            self._seats.found_vacant((family, address))
            self._note_missing(family, address, reply)
            return
        family = answering
        try:
            identity = await self._identification.identify(family, address)
        except Unanswered:
            # A device answers, but not the question for its identity.
            self._seats.miss((family, address), self._context.now + REPROBE)
            if (family, address) not in self._context.stored.seats:
                self._seats.may_stay_empty((family, address))
            return
        unit = await self._bind(family, address, identity)
        self._learn_nominals()
        _LOGGER.info("%s has appeared at address %s", unit.id, address)
        self._context.history.unsettle(self._context.clock.monotonic())
        self._replan()
        self._context.scheduler.refresh(unit.id)
        self._context.publish(urgent=True)

    async def _answering(self, family: Family, reply: Reply) -> Family | None:
        """Return which family answers where one was sought; ``None``: none.

        *reply* is the answer to its probe. One battery monitor refuses what only the other has.
        """
        if reply.kind is ReplyKind.VALUE and family not in MONITORS:
            return family
        refused = reply.error is not None and class_of_error(reply.error) is OutcomeClass.NEUTRAL
        if family in MONITORS and (reply.kind is ReplyKind.VALUE or refused):
            return await discovery.monitor_of(self._requester.ask)
        return None

    def _note_missing(self, family: Family, address: int, reply: Reply) -> None:
        """Tell the owner of a known device that is not where it was."""
        name = self._context.stored.seats.get((family, address))
        if name is None:
            return
        if self._seats.fail((family, address), weight_of(_outcome_of(reply))):
            self._note_absence(name, denied=reply.error is not None and denies(reply.error))
        unit = self._context.plant.units.get(name)
        if unit is not None and unit.address is None and unit.tracking.lost_at is None:
            unit.tracking.lost_at = self._context.clock.now()

    def _look_first(self, family: Family, address: int | None) -> None:
        """Probe soon an address that its device has left: another device may be there now."""
        if address is not None:
            self._seats.miss((family, address), self._context.now)
            self._seats.may_stay_empty((family, address))

    async def _sweep_one(self) -> None:
        """Probe one address without a known device, so that new devices are found."""
        plant = self._context.plant
        seat = self._seats.next_newcomer(self.families, lambda address: plant.at(address) is None)
        if seat is not None:
            await self._try_bind(*seat)

    async def make_sure(self, unit: Unit) -> None:
        """See to it that a command reaches the device that is meant, not another at its address.

        It may be at none afterwards. Raises :class:`Unanswered` when it does not say who it is.
        """
        known = unit.identity.fid
        still = True
        async with self._asking:
            if known is not None and self._is_questionable(unit):
                still = await self._is_still(unit, known)
                if still:
                    unit.tracking.sure = self._context.now
                else:
                    unit.tracking.sure = -math.inf
                    self.invalidate([unit.family])
        await self.check()
        if not still and unit.available and unit.tracking.sure == -math.inf:
            raise Unanswered(f"{unit.id} does not say who it is")

    def _is_questionable(self, unit: Unit) -> bool:
        """Whether a device has to be asked who it is before a command."""
        if unit.virtual or unit.is_gateway or unit.address is None or not unit.available:
            return False
        recent = self._context.now - unit.tracking.sure < SURE
        return not recent or self._context.messages_unread

    async def _is_still(self, unit: Unit, known: str) -> bool:
        """Whether the device with this FID answers where it was. Raises :class:`Unanswered`."""
        assert unit.address is not None
        ask = self._requester.of(unit, urgent=True)
        others = {one.identity.fid for one in self._context.plant.real_units()} - {None, known}
        if any(fid is not None and fid[4:] == known[4:] for fid in others):
            return known == await discovery.read_fid(ask, unit.family, unit.address, known)
        return await discovery.is_still(ask, unit.family, unit.address, known)

    async def check(self) -> None:
        """Read the FIDs of the families in doubt and bind every device to its address."""
        async with self._checking:
            while self.unchecked:
                family = self.unchecked.pop()  # it may be in doubt again while it is read
                try:
                    await self._check_family(family)
                except BaseException:
                    self.unchecked.add(family)
                    raise

    async def _check_family(self, family: Family) -> None:
        moved = await self._others_seated(family)
        if not moved:
            return
        _LOGGER.warning("The plant was renumbered: %s", ", ".join(map(str, sorted(moved))))
        for address in moved:
            if (sitting := self._context.plant.at(address)) is not None:
                self._unbind(sitting)
            # Until it is bound, should we be ended meanwhile.
            self._seats.miss((family, address), self._context.now)
        bound: list[Unit] = []
        for address in moved:
            try:
                answering = await self._family_at(family, address)
                identity = await self._identification.identify(answering, address)
            except Unanswered:
                continue
            unit = await self._bind(answering, address, identity)
            self._tell_renumbered(unit)
            bound.append(unit)
        self._context.history.unsettle(self._context.clock.monotonic())
        self._replan()
        for unit in bound:
            self._context.scheduler.refresh(unit.id)
        self._context.publish(urgent=True)

    async def _others_seated(self, family: Family) -> list[int]:
        """Return the addresses where another device answers now than the one known there."""
        moved: list[int] = []
        for unit in self._context.plant.of_family(family):
            if unit.address is None or not unit.available or unit.identity.fid is None:
                continue
            try:
                ask = self._requester.of(unit)
                fid = await discovery.read_fid(ask, family, unit.address, unit.identity.fid)
            except Unanswered:
                # The device at this address is unknown; no value is better than another device's.
                if unit.available:
                    unit.tracking.unverified = True
                    unit.presence.lose()
                    self.lost(unit)
                unit.tracking.next_probe = self._context.now + CONFIRM
                continue
            if fid == unit.identity.fid:
                unit.tracking.sure = self._context.now
            elif fid is not None:
                moved.append(unit.address)
        return moved


def _outcome_of(reply: Reply) -> OutcomeClass:
    """Return what an answer says about the device at an address that has none we know."""
    if reply.kind is ReplyKind.TIMEOUT:
        return OutcomeClass.FAILURE
    return OutcomeClass.NEUTRAL if reply.error is None else class_of_error(reply.error)
