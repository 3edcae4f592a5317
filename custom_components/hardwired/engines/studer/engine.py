"""The engine of a Studer plant: one gateway, all devices behind it (spec c, e, h)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..clock import Clock
from ..engine import (
    BaseEngine,
    Command,
    Device,
    LinkError,
    NotConnected,
    Occurrence,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Snapshot,
)
from ..fields import Catalogue
from ..link import LinkState, Opener, SerialSettings, Stream, Supervisor, make_opener
from ..simulating import InProcess, Simulator
from ..storage import MemoryStorage, Storage
from .catalogue import CATALOGUES, FAMILY_OF, make_catalogue, point_of, to_field
from .datapoints.datapoint import Limits
from .datapoints.limits import limits_of
from .datapoints.plausibility import Memory
from .plant.plant import LEAST_RAM_WRITE, ParameterState, Plant, as_wire
from .plant.stored_state import Vault
from .plant.totals import RunningTotal
from .session.commands import FLASH_WARN, Commander
from .session.context import Core
from .session.discovery import OnProgress
from .session.line import Line
from .session.pacing import Latency
from .session.requester import probe_gateway
from .session.schedule import Scheduler
from .session.session import Session
from .settings import SERIAL_CANDIDATES, StuderSettings, parse_serial

_LOGGER = logging.getLogger(__name__)

GRACE = 10.0
"""How long a link may be lost before the devices are unavailable."""
_TELLING = (Reason.NO_ANSWER, Reason.NOISE, Reason.SILENT)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that the owner should know and may have to fix. ``key`` names its text."""

    key: str
    placeholders: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found."""

    gateway: Device
    guid: str | None
    serial: SerialSettings | None
    devices: tuple[Device, ...]
    addresses: Mapping[str, int | None]
    multi_info: bool
    latency_ms: float

    @property
    def unique_id(self) -> str:
        """What identifies this plant: the GUID, else the lowest FID."""
        fids = sorted(device.serial_number for device in self.devices if device.serial_number)
        return self.guid or (fids[0] if fids else self.gateway.id)


class StuderEngine(BaseEngine):
    """The dialogue with one gateway.

    *storage* keeps a small dictionary over restarts; without it shadows, flash counts and energy
    totals are forgotten at the end. *world* is the simulator behind ``sim://``, instead of the one
    that the address describes.
    """

    def __init__(
        self,
        settings: StuderSettings,
        *,
        clock: Clock | None = None,
        storage: Storage | None = None,
        world: Simulator | None = None,
    ) -> None:
        super().__init__(clock)
        self.settings = settings
        self.catalogues: Mapping[str, Catalogue] = CATALOGUES
        self._latency = Latency()
        self._session: Session | None = None
        self._commander: Commander | None = None
        self._supervisor: Supervisor[Line] | None = None
        self._opener: Opener | None = None
        self._serial: SerialSettings | None = None
        self._world = None if world is None else InProcess(world, self._clock)
        self._grace: asyncio.Task[None] | None = None
        self._wishes: Counter[tuple[str, str]] = Counter()
        self._wishing: set[str] = set()
        plant = Plant(settings.zone(), settings.level)
        vault = Vault(storage or MemoryStorage())
        for key, state in vault.totals.items():
            if key in plant.totals:
                plant.totals[key] = RunningTotal.restore(state)
        self._core = Core(
            settings=settings,
            clock=self._clock,
            plant=plant,
            memory=Memory(),
            scheduler=Scheduler(settings.class_intervals(), busy_limit=settings.busy_limit),
            statistics=self.statistics,
            vault=vault,
            emit=self._emit,
            occur=self._occur,
            reshape=self._reshape,
            requested=settings.requested(),
            own_intervals=settings.own_intervals(),
            zone=settings.zone(),
        )

    # ------------------------------------------------------------------ the contract

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled."""
        self._on_snapshot = on_snapshot
        self._on_occurrence = on_occurrence
        self._supervisor = Supervisor(
            f"The Studer gateway at {self.settings.url}",
            self._open,
            self._live,
            on_change=self._link_changed,
            clock=self._clock,
            statistics=self.statistics,
        )
        try:
            await self._supervisor.run()
        finally:
            self._warn_of_watchdogs()
            self._supervisor = None
            if self._grace is not None:
                self._grace.cancel()
            if self._opener is not None:
                await self._opener.close()
                self._opener = None

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out *command*; return when the device has confirmed.

        Verbs: ``set`` (values by key; options ``persistent``, ``force``), ``read``, ``write``,
        ``signal``, ``revert`` (options ``id`` or ``key``), ``messages``, ``identify``,
        ``datalog``, ``clear_restart``, ``sync_clock``. Raises a :class:`CommandError`.
        """
        if self._commander is None:
            raise NotConnected("the gateway is not connected now")
        return await self._commander.execute(command)

    def wake(self) -> None:
        """Try again at once: something was plugged in."""
        if self._supervisor is not None:
            self._supervisor.wake()

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the plant's facts, without identities."""
        plant = self._core.plant
        names = {unit.id: f"{unit.kind} at {unit.address}" for unit in plant}
        scheduler = self._core.scheduler
        most = self._core.vault.most_written()
        return {
            "serial_settings": None if self._serial is None else str(self._serial),
            "nominal_battery": plant.nominal_battery,
            "nominal_ac": plant.nominal_ac,
            "stretch": round(scheduler.stretch, 2),
            "pause": None if self._session is None else self._session.line.pause,
            "latency_average_ms": round(self._latency.average * 1000, 1),
            "latency_histogram": self._latency.histogram(),
            "flash_writes_at_most": None if most is None else most[2],
            "troubles": [trouble.key for trouble in self.troubles],
            "devices": [
                {
                    "device": names[unit.id],
                    "presence": unit.presence.state and unit.presence.state.value,
                    "model": unit.identity.model,
                    "software": unit.identity.software,
                    "watchdog": unit.watchdog,
                    "unsupported": sorted(unit.unsupported),
                    "shadows": {
                        str(number): shadow.as_dict() for number, shadow in unit.shadows.items()
                    },
                    "limits": {
                        str(number): [limits.minimum, limits.maximum]
                        for number, limits in unit.told_limits.items()
                    },
                }
                for unit in plant
            ],
            "messages": [
                {
                    "number": message.number,
                    "address": message.source,
                    "time": message.time.isoformat(),
                    "text": message.meaning.text,
                }
                for message in self._core.recent
            ],
        }

    # ------------------------------------------------------------------ the family's own

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What the owner should know now.

        Keys: ``device_lost``, ``renumbered``, ``watchdog_armed``, ``flash_worn``,
        ``firmware_old``, ``no_effect``, ``answer_mangled``.
        """
        core = self._core
        found = {key: note.words for key, note in core.troubles.items() if core.now < note.until}
        names = {unit.id: core.plant.device(unit).name for unit in core.plant}
        lost = [(unit.lost_at, names[unit.id]) for unit in core.plant if unit.lost_at is not None]
        if lost:
            since, _ = min(lost)
            found["device_lost"] = {
                "device": ", ".join(name for _, name in lost),
                "time": since.isoformat(timespec="seconds"),
            }
        armed = [names[unit.id] for unit in core.plant if unit.watchdog]
        if armed:
            found["watchdog_armed"] = {"device": ", ".join(armed)}
        old = [
            f"{names[unit.id]} ({unit.identity.software})"
            for unit in core.plant
            if not unit.software_at_least(LEAST_RAM_WRITE.get(unit.family, (0, 0, 0)))
        ]
        if old:
            found["firmware_old"] = {"device": ", ".join(old)}
        most = core.vault.most_written()
        if most is not None and most[2] >= FLASH_WARN:
            found["flash_worn"] = {
                "device": names.get(most[0], "?"),
                "parameter": str(most[1]),
                "count": str(most[2]),
            }
        return tuple(Trouble(key, dict(words)) for key, words in found.items())

    def secrets(self) -> tuple[str, ...]:
        """Return identities that must not be in diagnostics: FIDs and the GUID."""
        fids = [unit.identity.fid for unit in self._core.plant if unit.identity.fid]
        guid = self._core.plant.guid
        return tuple(fids) if guid is None else (*fids, guid)

    def watch(self, device: str, keys: Collection[str]) -> None:
        """Set which values of a device are in use, beside the usual ones.

        Only these are polled; the others stay ``None``. So disabled entities cost no time on the
        line.
        """
        unit = self._core.plant.units.get(device)
        if unit is None or unit.watched == frozenset(keys):
            return
        unit.watched = frozenset(keys)
        if self._session is not None and self._core.live:
            self._session.reader.replan()
            self._session.wake()

    def want(self, device: str, key: str, every: float | None = None) -> Callable[[], None]:
        """Ask that a value be polled; returns the function that ends it.

        From the first call on, a device is polled only for what is wanted and for what the sums
        over the plant need.
        """
        self._wishes[device, key] += 1
        self._wishes_changed(device)

        def leave() -> None:
            self._wishes[device, key] -= 1
            self._wishes += Counter()
            self._wishes_changed(device)

        return leave

    def _wishes_changed(self, device: str) -> None:
        if not self._wishing:
            asyncio.get_running_loop().call_soon(self._grant_wishes)
        self._wishing.add(device)

    def _grant_wishes(self) -> None:
        for device in self._wishing:
            if (unit := self._core.plant.units.get(device)) is not None:
                unit.choosy = True
                self.watch(device, {key for name, key in self._wishes if name == device})
        self._wishing.clear()

    def limits(self, device: str, key: str) -> tuple[float | None, float | None] | None:
        """Return the bounds of a parameter of this one device, never wider than the table's.

        ``None`` when the key is no parameter.
        """
        unit = self._core.plant.units.get(device)
        point = None if unit is None else point_of(unit.kind, key)
        if unit is None or point is None or not point.is_parameter:
            return None
        plant = self._core.plant
        told = plant.limits(unit, point)
        table = limits_of(point, plant.nominal_battery, plant.nominal_ac)
        low = max((x for x in (told.minimum, table.minimum) if x is not None), default=None)
        high = min((x for x in (told.maximum, table.maximum) if x is not None), default=None)
        if low is not None and high is not None and low > high:
            return told.minimum, told.maximum
        return low, high

    def parameter(self, device: str, key: str) -> ParameterState | None:
        """Return what is known of a parameter beyond its value; ``None`` when it is none."""
        unit = self._core.plant.units.get(device)
        point = None if unit is None else point_of(unit.kind, key)
        if unit is None or point is None or not point.is_parameter:
            return None
        zone = self.settings.zone()
        shadow = unit.shadows.get(point.id)
        flash = unit.flash.get(point.id)
        limits = self._core.plant.limits(unit, point)
        return ParameterState(
            None if flash is None else to_field(point, as_wire(point, flash), zone),
            None if shadow is None else to_field(point, as_wire(point, shadow.number), zone),
            None if shadow is None else shadow.time,
            limits.minimum,
            limits.maximum,
            flash if shadow is None else shadow.number,
        )

    def requested(self, kind: str, key: str) -> bool:
        """Whether the owner has asked for a datapoint beside the usual ones."""
        point = point_of(kind, key)
        return point is not None and (point.family, point.id) in self._core.requested

    def number_of(self, kind: str, key: str) -> int | None:
        """Return the datapoint's number behind a field, for stable unique ids."""
        point = point_of(kind, key)
        return None if point is None else point.id

    @property
    def addresses(self) -> Mapping[str, int | None]:
        """Where each device answers, by its id."""
        return {unit.id: unit.address for unit in self._core.plant}

    @property
    def peer(self) -> str | None:
        """The network address of the gateway that is connected now."""
        return None if self._session is None else self._session.line.peer

    @property
    def serial_settings(self) -> SerialSettings | None:
        """The serial settings that work, once found."""
        return self._serial

    async def probe(self, on_progress: OnProgress | None = None) -> ProbeResult:
        """Find the devices, instead of :meth:`run`. Raises :class:`LinkError`."""
        try:
            line = await self._open()
            session = Session(self._core, line)
            try:
                await session.start(on_progress)
            finally:
                await line.close()
        finally:
            if self._opener is not None:
                await self._opener.close()
                self._opener = None
        plant = self._core.plant
        assert plant.gateway is not None
        return ProbeResult(
            gateway=plant.device(plant.gateway),
            guid=plant.guid,
            serial=self._serial,
            devices=tuple(plant.device(unit) for unit in plant.real_units()),
            addresses=self.addresses,
            multi_info=bool(self.statistics.extra.get("multi_info")),
            latency_ms=round(self._latency.average * 1000, 1),
        )

    # ------------------------------------------------------------------ the link

    async def _open(self) -> Line:
        """Open the link and probe the gateway. Raises :class:`LinkError` with the reason."""
        if self.settings.scheme == "listen" and not self._snapshot.connected:
            self._tell_reason(Reason.WAITING_FOR_PEER, None)
        failures: dict[Reason, LinkError] = {}
        for serial in self._candidates():
            line = await self._connect(serial)
            try:
                await probe_gateway(line, network=self.settings.network)
            except LinkError as error:
                await line.close()
                if error.reason not in _TELLING:
                    raise
                failures.setdefault(error.reason, error)
            except BaseException:
                await line.close()
                raise
            else:
                self._remember_serial(serial)
                return line
        raise next(failures[reason] for reason in _TELLING if reason in failures)

    def _candidates(self) -> tuple[SerialSettings, ...]:
        if self.settings.serial is not None:
            return (self.settings.serial,)
        if not self.settings.detects_serial:
            return SERIAL_CANDIDATES[:1]
        remembered: tuple[SerialSettings, ...] = ()
        with contextlib.suppress(ValueError):
            remembered = (parse_serial(self._core.vault.serial or ""),)
        return tuple(dict.fromkeys((*remembered, *SERIAL_CANDIDATES)))

    async def _connect(self, serial: SerialSettings) -> Line:
        if self._opener is None or self.settings.detects_serial:
            self._opener = make_opener(self.settings.url, serial, simulator=self._simulated)
        stream = await self._opener.open()
        line: Line | None = None

        def on_flags(flags: int) -> None:
            if self._session is not None and self._session.line is line:
                self._session.inbox.on_flags(flags)

        line = Line(
            stream,
            self._clock,
            self.settings.timings(),
            statistics=self.statistics,
            frames=self.frames,
            latency=self._latency,
            on_flags=on_flags,
        )
        return line

    def _remember_serial(self, serial: SerialSettings) -> None:
        if not self.settings.network and self.settings.scheme != "sim":
            self._serial = serial
            if self.settings.detects_serial:
                self._core.vault.serial = str(serial)

    async def _simulated(self, query: Mapping[str, str]) -> Stream:
        if self._world is None:
            from .simulator.world import make  # noqa: PLC0415 - only the demonstration needs it

            self._world = InProcess(make(query), self._clock)
        return await self._world.open()

    async def _live(self, line: Line) -> None:
        session = Session(self._core, line)
        self._session = session
        try:
            await session.start(fully=False)
            self._begin(session)
            await session.run()
        finally:
            self._session = None
            self._commander = None
            self._core.hush()
            session.save_totals()
            await line.close()

    def _begin(self, session: Session) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._supervisor is not None:
            self._supervisor.proven()
        self._commander = Commander(session)
        self._snapshot = replace(self._snapshot, connected=True, reason=None, detail=None)
        self._emit()

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is not LinkState.WAITING:
            return
        if self._snapshot.connected and self._grace is None:
            self._grace = asyncio.ensure_future(self._give_up(self._clock.monotonic()))
        self._tell_reason(reason or Reason.DISCONNECTED, detail)

    def _tell_reason(self, reason: Reason, detail: str | None) -> None:
        self._snapshot = replace(self._snapshot, connected=False, reason=reason, detail=detail)
        self._emit()

    async def _give_up(self, lost: float) -> None:
        """The link stays lost: nothing that is shown is valid any longer.

        If it is just coming back, the devices that were identified again are kept.
        """
        await self._clock.sleep(GRACE)
        for unit in self._core.plant:
            if unit.seated >= lost:
                continue
            unit.presence.lose()
            unit.clear()
        self._emit()

    def _warn_of_watchdogs(self) -> None:
        for unit in self._core.plant:
            if unit.watchdog and unit.shadows:
                _LOGGER.warning(
                    "The watchdog of %s is on and nobody feeds it now: the device will stop"
                    " within %g s",
                    self._core.plant.device(unit).name, unit.watchdog_delay,
                )  # fmt: skip

    # ------------------------------------------------------------------ telling

    def _emit(self) -> None:
        self._snapshot = replace(self._snapshot, devices=self._core.plant.states())
        if self._on_snapshot is not None:
            self._on_snapshot(self._snapshot)

    def _occur(self, occurrence: Occurrence) -> None:
        if self._on_occurrence is not None:
            self._on_occurrence(occurrence)

    def _reshape(self) -> None:
        """Give the catalogues the limits of this plant."""
        plant = self._core.plant
        for kind, family in FAMILY_OF.items():
            units = plant.of_family(family)
            told: dict[int, Limits] = {}
            for unit in units:
                for number, limits in unit.told_limits.items():
                    told[number] = _widest(told.get(number), limits)
            scaled = plant.nominal_battery != 48 or plant.nominal_ac < 160
            if units and (told or scaled):
                made = make_catalogue(kind, plant.nominal_battery, plant.nominal_ac, told)
                self.catalogues = {**self.catalogues, kind: made}


def _widest(one: Limits | None, other: Limits) -> Limits:
    if one is None:
        return other
    low = [limit for limit in (one.minimum, other.minimum) if limit is not None]
    high = [limit for limit in (one.maximum, other.maximum) if limit is not None]
    return Limits(other.default, min(low, default=None), max(high, default=None), other.step)


async def probe(
    settings: StuderSettings,
    on_progress: OnProgress | None = None,
    *,
    clock: Clock | None = None,
) -> ProbeResult:
    """Find the link settings and all devices; the port is free when this returns.

    For ``listen://`` it waits until the Moxa connects; bound it with a time-out of your own.
    Raises :class:`LinkError` with the reason.
    """
    return await StuderEngine(settings, clock=clock).probe(on_progress)
