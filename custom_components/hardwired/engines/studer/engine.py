"""The engine of a Studer plant: one gateway, all devices behind it (spec c, e, h)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from ..clock import Clock
from ..engine import (
    BaseEngine,
    Command,
    FrameLog,
    LinkError,
    NotConnected,
    Occurrence,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Statistics,
)
from ..fields import Catalogue
from ..link import LinkState, ListenOpener, Opener, SerialSettings, Stream, Supervisor, make_opener
from ..masking import masked
from ..simulating import InProcess, Simulator
from ..storage import MemoryStorage, Storage
from .catalogue import CATALOGUES
from .datapoints.plausibility import History
from .notices import notices_of
from .plant.plant import Plant
from .plant.stored_state import StoredState
from .plant.totals import RunningTotal
from .session.commands.dispatch import Commander
from .session.context import SessionContext
from .session.discovery import OnProgress
from .session.line import Line
from .session.pacing import Latency
from .session.requester import probe_gateway
from .session.restoring import restore
from .session.schedule import Scheduler
from .session.session import Session
from .settings import SERIAL_CANDIDATES, StuderSettings, parse_serial

_LOGGER = logging.getLogger(__name__)

GRACE = 10.0
"""How long a link may be lost before the devices are unavailable."""
_TELLING = (Reason.NO_ANSWER, Reason.NOISE, Reason.SILENT)


class StuderEngine(BaseEngine):
    """The dialogue with one gateway.

    *zone* is that of the plant's clock; ``None``: the system's. *storage* keeps a small dictionary
    over restarts; without it shadows, flash counts and energy totals are forgotten at the end.
    *world* is the simulator behind ``sim://``, instead of the one that the address describes.
    """

    def __init__(
        self,
        settings: StuderSettings,
        clock: Clock | None = None,
        *,
        zone: tzinfo | None = None,
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
        self._wishes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._wishing: set[str] = set()
        plant = Plant(zone, settings.level, settings.requested())
        stored = StoredState(storage or MemoryStorage())
        for key, state in stored.totals.items():
            if key in plant.system.totals:
                plant.system.totals[key] = RunningTotal.restore(state)
        plant.system.as_of = stored.totals_as_of
        self._context = SessionContext(
            settings=settings,
            clock=self._clock,
            plant=plant,
            history=History(),
            scheduler=Scheduler(settings.class_intervals(), busy_limit=settings.busy_limit),
            statistics=self.statistics,
            stored=stored,
            emit=self._emit,
            emit_event=self._occur,
            requested=settings.requested(),
            own_intervals=settings.own_intervals(),
            zone=zone,
        )
        restore(self._context)
        self._snapshot = replace(self._snapshot, devices=plant.states(self._clock.monotonic()))

    # ------------------------------------------------------------------ the contract

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled."""
        self._on_snapshot = on_snapshot
        self._on_occurrence = on_occurrence
        self._supervisor = Supervisor(
            f"The Studer gateway at {masked(self.settings.link)}",
            self._open,
            self._live,
            on_change=self._link_changed,
            address=self.settings.link,
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
        ``datalog``, ``clear_restart``, ``sync_clock``, ``refresh``, ``fast``. Raises a
        :class:`CommandError`.
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
        plant = self._context.plant
        names = {unit.id: f"{unit.kind} at {unit.address}" for unit in plant}
        scheduler = self._context.scheduler
        most = self._context.stored.most_written()
        return {
            "serial_settings": None if self._serial is None else str(self._serial),
            "nominal_battery": plant.nominal_battery,
            "nominal_ac": plant.nominal_ac,
            "connections_refused": getattr(self._opener, "refused", 0),
            "stretch": round(scheduler.stretch, 2),
            "pause": None if self._session is None else self._session.line.pause,
            "latency_average_ms": round(self._latency.average * 1000, 1),
            "latency_histogram": self._latency.histogram(),
            "flash_writes_at_most": None if most is None else most[2],
            "notices": [notice.key for notice in self._snapshot.notices],
            "devices": [
                {
                    "device": names[unit.id],
                    "presence": unit.presence.state and unit.presence.state.value,
                    "model": unit.identity.model,
                    "software": unit.identity.software,
                    "watchdog": unit.watchdog.armed,
                    "unsupported": sorted(unit.answers.unsupported),
                    "shadows": {
                        str(number): shadow.as_dict()
                        for number, shadow in unit.memory.shadows.items()
                    },
                    "limits": {
                        str(number): [limits.minimum, limits.maximum]
                        for number, limits in unit.bounds.told.items()
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
                for message in self._context.recent
            ],
        }

    # ------------------------------------------------------------------ the family's own

    def secrets(self) -> Iterable[str]:
        """Return identities that must not be in diagnostics: FIDs, the GUID, the gateway's host."""
        for unit in self._context.plant:
            if unit.identity.fid:
                yield unit.identity.fid
        if self._context.plant.guid is not None:
            yield self._context.plant.guid
        yield from self.settings.hosts()
        if self.peer is not None:
            yield self.peer

    def watch(self, device: str, keys: Collection[str]) -> None:
        """Set which values of a device are in use, beside the usual ones.

        Only these are polled; the others stay ``None``. So disabled entities cost no time on the
        line.
        """
        unit = self._context.plant.units.get(device)
        if unit is None or not unit.want(frozenset(keys)):
            return
        if self._session is not None and self._context.live:
            self._session.replan_soon()

    def want(self, device: str, key: str, every: float | None = None) -> Callable[[], None]:
        """Ask that a value be polled; returns the function that ends it.

        From the first call on, a device is polled only for what is wanted and for what the sums
        over the plant need.
        """
        self._wishes[device][key] += 1
        self._wishes_changed(device)

        def leave() -> None:
            wishes = self._wishes[device]
            wishes[key] -= 1
            if wishes[key] <= 0:
                del wishes[key]
            self._wishes_changed(device)

        return leave

    def _wishes_changed(self, device: str) -> None:
        if not self._wishing:
            asyncio.get_running_loop().call_soon(self._grant_wishes)
        self._wishing.add(device)

    def _grant_wishes(self) -> None:
        for device in self._wishing:
            if (unit := self._context.plant.units.get(device)) is not None:
                unit.only_wanted = True
                self.watch(device, self._wishes[device].keys())
        self._wishing.clear()

    @property
    def peer(self) -> str | None:
        """The network address of the gateway that is connected now."""
        return None if self._session is None else self._session.line.peer

    @property
    def serial_settings(self) -> SerialSettings | None:
        """The serial settings that work, once found."""
        return self._serial

    @property
    def guid(self) -> str | None:
        """The GUID of the gateway, where it has one."""
        return self._context.plant.guid

    @property
    def latency(self) -> float:
        """The seconds that an answer takes on average."""
        return self._latency.average

    async def find(self, on_progress: OnProgress | None = None) -> None:
        """Find the devices, instead of :meth:`run`: the snapshot holds them afterwards.

        Raises :class:`LinkError`.
        """
        try:
            line = await self._open()
            session = Session(self._context, line)
            try:
                await session.start(on_progress)
                self._publish(connected=True, reason=None, detail=None)
            finally:
                await line.close()
        finally:
            if self._opener is not None:
                await self._opener.close()
                self._opener = None

    # ------------------------------------------------------------------ the link

    async def _open(self) -> Line:
        """Open the link and probe the gateway. Raises :class:`LinkError` with the reason."""
        failures: dict[Reason, LinkError] = {}
        for serial in self._candidates():
            line = await self._connect(serial)
            try:
                await probe_gateway(
                    line, network=self.settings.network, quickly=not self.settings.detects_serial
                )
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
        remembered: list[SerialSettings] = []
        with contextlib.suppress(ValueError):
            remembered.append(parse_serial(self._context.stored.serial or ""))
        if self.settings.serial_found is not None:
            remembered.append(self.settings.serial_found)
        return tuple(dict.fromkeys((*remembered, *SERIAL_CANDIDATES)))

    async def _connect(self, serial: SerialSettings) -> Line:
        if self._opener is None or self.settings.detects_serial:
            self._opener = make_opener(self.settings.link, serial, simulator=self._simulated)
            if isinstance(self._opener, ListenOpener):
                self._opener.examine = self._is_gateway
        if isinstance(self._opener, ListenOpener):
            await self._opener.listen()
            if not self._snapshot.connected:
                self._tell_reason(Reason.WAITING_FOR_PEER, None)
        stream = await self._opener.open()
        line: Line | None = None

        def on_flags(flags: int) -> None:
            if self._session is not None and self._session.line is line:
                self._session.notifications.on_flags(flags)

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

    async def _is_gateway(self, stream: Stream) -> bool:
        """Whether a newcomer answers like the gateway, while another connection is in use.

        Its answers are counted with nothing: the line in use has its own figures.
        """
        line = Line(
            stream,
            self._clock,
            self.settings.timings(),
            statistics=Statistics(),
            frames=FrameLog(0),
        )
        try:
            await probe_gateway(line, network=True)
        except LinkError:
            return False
        else:
            return True
        finally:
            await line.release()

    def _remember_serial(self, serial: SerialSettings) -> None:
        if not self.settings.network and self.settings.scheme != "sim":
            self._serial = serial
            if self.settings.detects_serial:
                self._context.stored.serial = str(serial)

    async def _simulated(self, query: Mapping[str, str]) -> Stream:
        if self._world is None:
            from .simulator.world import make  # noqa: PLC0415 - only the demonstration needs it

            self._world = InProcess(make(query), self._clock)
        return await self._world.open()

    async def _live(self, line: Line) -> None:
        session = Session(self._context, line)
        self._session = session
        try:
            await session.start(fully=False)
            self._begin(session)
            await session.run()
        finally:
            self._session = None
            self._commander = None
            self._context.cancel_publish()
            session.save_totals()
            await line.close()

    def _begin(self, session: Session) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._supervisor is not None:
            self._supervisor.proven()
        self._commander = Commander(session)
        self._publish(connected=True, reason=None, detail=None)

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is not LinkState.WAITING:
            return
        if reason is Reason.WRONG_DEVICE:
            # What is shown was read from another plant, or may have been.
            self._lose_all(math.inf)
        elif self._snapshot.connected and self._grace is None:
            self._grace = asyncio.ensure_future(self._give_up(self._clock.monotonic()))
        self._tell_reason(reason or Reason.DISCONNECTED, detail)

    def _tell_reason(self, reason: Reason, detail: str | None) -> None:
        self._publish(connected=False, reason=reason, detail=detail)

    async def _give_up(self, lost: float) -> None:
        """The link stays lost: nothing that is shown is valid any longer.

        If it is just coming back, the devices that were identified again are kept.
        """
        await self._clock.sleep(GRACE)
        self._lose_all(lost)
        self._emit()

    def _lose_all(self, lost: float) -> None:
        """Set the devices offline that were not identified again since *lost*."""
        for unit in self._context.plant:
            if unit.tracking.seated < lost:
                unit.presence.lose()
                unit.clear()

    def _warn_of_watchdogs(self) -> None:
        for unit in self._context.plant:
            if unit.watchdog.armed and unit.memory.shadows:
                _LOGGER.warning(
                    "The watchdog of %s is on and nobody feeds it now: the device will stop"
                    " within %g s",
                    self._context.plant.name(unit), unit.watchdog.delay,
                )  # fmt: skip

    # ------------------------------------------------------------------ telling

    def _emit(self) -> None:
        self._publish()

    def _publish(self, **changes: Any) -> None:
        context = self._context
        self._publish_snapshot(
            replace(
                self._snapshot,
                devices=context.plant.states(context.now, quiet=context.quiet_now is not None),
                notices=notices_of(context),
                **changes,
            )
        )

    def _occur(self, occurrence: Occurrence) -> None:
        if self._on_occurrence is not None:
            self._on_occurrence(occurrence)
