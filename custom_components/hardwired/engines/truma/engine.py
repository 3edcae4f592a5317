"""The dialogue with a CP Plus panel: supervised responder in, snapshots out (spec c.7 - c.9, e)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..engine import (
    BaseEngine,
    Command,
    CommandError,
    Direction,
    InvalidCommand,
    NotConfirmed,
    NotConnected,
    Notice,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Refused,
    Snapshot,
    Unit,
)
from ..fields import Value
from ..link import Backoff, LinkState, SerialSettings, Supervisor, make_opener
from ..storage import MemoryStorage, Storage
from . import clock_sync
from .catalogue import CATALOGUES
from .clock_sync import ClockCheck
from .inet.box import (
    BOX_NAD,
    COUNTER_MODULUS,
    SECOND_BOX_PAUSE,
    Finished,
    Outcome,
    Received,
    SecondBox,
    Seen,
)
from .inet.buffers import STATUS_LAYOUTS, UPLOADS, Buffer, Group, MessageId, is_status, with_twins
from .inet.rules import (
    RuleError,
    Terms,
    clock_difference,
    completed,
    merged,
    superseded,
    temperature_code,
)
from .inet.signals import Signal, read_signal
from .installation import HEATER, PANEL, Installation
from .lin.frames import identifier_of
from .node.messages import BusFacts, Heard, Refresh, Sent, SetOffset, Wish
from .node.node import ListeningNode, Node, ResponderNode
from .rolling_ratio import RollingRatio
from .settings import TrumaSettings
from .wishes import raw_wishes

if TYPE_CHECKING:
    from .simulator.runner import RunningSimulator

_LOGGER = logging.getLogger(__name__)

LINE = SerialSettings(9600)
DISPLAY_FRAMES = frozenset({Signal.SET_POINTS, Signal.MEASURED, Signal.VOLTAGE})
"""Frames that old programs published as they passed."""
COLLECT_FOR = 1.0
"""Settings that are made within this time are sent together (spec c.7 step 1)."""
UPLOAD_PAUSE = 3.0
COMMAND_WITHIN = 190.0
"""120 s to be fetched, 60 s to be acknowledged, and the time for collecting."""
REFRESH_WITHIN = 30.0

KEEP_BASELINES = 10.0
"""Seconds off the bus after which the known settings of the panel are outdated."""

NO_BUS_AFTER = 30.0
NOT_REGISTERED_AFTER = 120.0
NOT_POLLED_AFTER = 60.0
NOBODY_POLLS = "the bus is alive, but nobody on it calls an iNet box: there are no values to see"
SILENT_AFTER = 90.0
STALE_AFTER = 600.0
AWAKE_WITHIN = 30.0
WATCH_EVERY = 1.0

BAD_FRAMES = (60.0, 0.2, 50)
"""Seconds, and the share of damaged frames among at least so many that is worth a warning (c.9)."""
LATE_ANSWERS = (600.0, 0.01, 200)
"""Seconds, and the share of answers late or left out that makes the responder too slow (h)."""


@dataclass(slots=True)
class _Collected:
    """Wishes of one group that are being collected."""

    wish: dict[str, int] = field(default_factory=dict)
    waiting: list[tuple[Mapping[str, int], asyncio.Future[None]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class TrumaEngine(BaseEngine):
    """Lives on one LIN bus."""

    catalogues = CATALOGUES

    def __init__(
        self,
        settings: TrumaSettings,
        clock: Clock | None = None,
        *,
        zone: tzinfo | None = None,
        storage: Storage | None = None,
    ) -> None:
        """Prepare; nothing is opened before :meth:`run`."""
        super().__init__(clock)
        self.settings = settings
        self.installation = Installation(settings.heater)
        self._zone = zone
        self._storage = storage or MemoryStorage()
        self.installation.restore(self._storage.load())
        self._stored = self.installation.stored
        self._node: Node | None = None
        self._facts = BusFacts()
        self._told = False
        """Whether the node has reported since it is there."""
        self._nad = BOX_NAD
        self._down_since = self._clock.monotonic()
        self._under_way: Counter[Group] = Counter()
        self._trouble: tuple[Reason, str | None] | None = None
        self._baselines: dict[int, bytes] = {}
        self._counter = random.randrange(COUNTER_MODULUS)  # noqa: S311 - as real boxes do
        self._numbers = 0
        self._results: dict[int, list[asyncio.Future[None]]] = {}
        self._collected: dict[Group, _Collected] = {}
        self._last_upload: dict[Group, float] = {}
        self._up_since = 0.0
        self._last_header: float | None = None
        self._last_called: float | None = None
        self._last_buffer: float | None = None
        self._clock_shown = 0.0
        self._headers = 0
        self._quiet_until = self._down_since
        self._bad = RollingRatio(*BAD_FRAMES)
        self._late = RollingRatio(*LATE_ANSWERS)
        self._simulator: RunningSimulator | None = None
        self._port = settings.link
        self._clock_checked: ClockCheck | None = None
        self._clock_task: asyncio.Task[None] | None = None
        self._supervisor: Supervisor[Node] = Supervisor(
            "Truma",
            self._open,
            self._session,
            on_change=self._link_changed,
            address=settings.link,
            clock=self._clock,
            statistics=self.statistics,
            backoff=Backoff(0.05, 10.0),
        )

    # ---------------------------------------------------------------------------- the life

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled."""
        self._on_snapshot = on_snapshot
        self._on_occurrence = on_occurrence
        watch = asyncio.ensure_future(self._watch())
        try:
            await self._supervisor.run()
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            for collected in self._collected.values():
                if collected.task is not None:
                    collected.task.cancel()
            if self._clock_task is not None:
                self._clock_task.cancel()
            await self._end_simulator()

    def wake(self) -> None:
        """Try the port again at once."""
        self._supervisor.wake()

    async def _open(self) -> Node:
        if self.settings.scheme == "sim" and (self._simulator is None or self._simulator.ended):
            await self._end_simulator()
            await self._start_simulator()
        if self.settings.network:
            opener = make_opener(self.settings.link, LINE)
            return ListeningNode(await opener.open(), self._clock)
        if self._clock.monotonic() - self._down_since > KEEP_BASELINES:
            # Settings may have been changed at the panel meanwhile.
            self._baselines.clear()
        config = {
            "port": self._port,
            "nad": self._nad,
            "observer": self.settings.observer,
            "identity": self.settings.identity.value,
            "counter": self._counter,
            "init_request": not self._baselines,
            "baselines": {key: payload.hex() for key, payload in self._baselines.items()},
            "offset": self._offset().total_seconds(),
            # What is left of the pause because of another box.
            "quiet_for": max(0.0, self._quiet_until - self._clock.monotonic()),
        }
        return await ResponderNode.start(config, self._clock)

    async def _start_simulator(self) -> None:
        from urllib.parse import parse_qsl, urlsplit  # noqa: PLC0415

        from .simulator import runner  # noqa: PLC0415

        query = dict(parse_qsl(urlsplit(self.settings.link).query))
        self._simulator = await runner.launch(query)
        self._port = self._simulator.port

    async def _end_simulator(self) -> None:
        if self._simulator is not None:
            simulator, self._simulator = self._simulator, None
            await simulator.stop()

    async def _session(self, node: Node) -> None:
        self._node = node
        self._up_since = self._clock.monotonic()
        self._headers = 0
        self._bad.restart()
        self._late.restart()
        try:
            await node.run(self._on_event, self._on_facts)
        finally:
            self._node = None
            self._facts, self._told = BusFacts(), False
            self._down_since = self._clock.monotonic()
            self._fail_all()
            await node.close()

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is LinkState.WAITING and reason is not None:
            self._trouble = (reason, detail)
        elif state is LinkState.HANDSHAKING:
            self._trouble = None
        self._publish()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(WATCH_EVERY)
            self._publish()

    # -------------------------------------------------------------------------- what is heard

    def _on_facts(self, facts: BusFacts) -> None:
        now = self._clock.monotonic()
        if facts.headers > self._headers:
            self._headers = facts.headers
            self._last_header = now
            self._supervisor.proven()
        if facts.headers_for_us > self._facts.headers_for_us:
            self._last_called = now
        if facts.registered:
            self._last_called = self._last_called or now
        self._facts, self._told = facts, True
        self._nad = facts.nad
        self._counter = facts.counter % COUNTER_MODULUS
        self._quiet_until = now + facts.quiet_for
        self._judge(facts, now)
        self.statistics.checksum_errors = facts.checksum_errors
        self.statistics.frames_out = facts.answered
        self._publish()

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

    def _on_event(self, event: Heard) -> None:
        now = self._clock.now()
        match event:
            case Seen():
                self.statistics.frames_in += 1
                self.statistics.last_frame = now
                self._last_header = self._clock.monotonic()
                self._supervisor.proven()
                self._log_frame(Direction.IN, event)
                self.installation.take_frame(event)
                self._tell_signal(event)
            case Received(buffer=buffer):
                self._take_buffer(buffer)
            case Finished():
                self._finish(event)
            case Sent():
                self._log_frame(Direction.OUT, event)
            case SecondBox():
                self._quiet_until = self._clock.monotonic() + SECOND_BOX_PAUSE
                _LOGGER.warning("another iNet box answers on this bus; staying silent for a minute")

    def _tell_signal(self, event: Seen) -> None:
        """Tell of a display frame as it passed, for the old programs' raw topics."""
        identifier = identifier_of(event.frame.pid)
        if self._on_occurrence is None or identifier not in DISPLAY_FRAMES:
            return
        data = event.frame.data
        if (signals := read_signal(identifier, data)) is not None:
            device = self.installation.device(PANEL)
            name = f"signal_{identifier:02x}"
            self._on_occurrence(Unit(device, name, signals, self._clock.now(), data))

    def _tell_buffer(self, buffer: Buffer) -> None:
        """Tell of a status buffer as it passed, its raw fields by the names of section d."""
        layout = STATUS_LAYOUTS.get(buffer.message_id)
        fields = None if layout is None else layout.read(buffer.payload)
        if self._on_occurrence is not None and layout is not None and fields is not None:
            device = self.installation.device(PANEL)
            told = Unit(device, layout.name, fields, self._clock.now(), buffer.payload)
            self._on_occurrence(told)

    def _log_frame(self, direction: Direction, event: Seen | Sent) -> None:
        moment = self._clock.now() - timedelta(seconds=event.age)
        self.frames.add(moment, direction, bytes((event.frame.pid,)) + event.frame.data)

    def _take_buffer(self, buffer: Buffer) -> None:
        self._last_buffer = self._clock.monotonic()
        self.installation.take_buffer(buffer)
        self._tell_buffer(buffer)
        if is_status(buffer):
            self._baselines[buffer.message_id] = buffer.payload
            self.installation.remember_last()
            if buffer.message_id == MessageId.CLOCK:
                self._clock_shown = self._clock.monotonic()
                self._check_clock()
        self._save()
        self._publish()

    def _save(self) -> None:
        stored = self.installation.stored
        if stored != self._stored:
            self._stored = stored
            self._storage.save(stored)

    def _finish(self, finished: Finished) -> None:
        for number in finished.commands:
            for waiting in self._results.pop(number, ()):
                if waiting.done():
                    continue
                error = _error_of(finished)
                if error is None:
                    waiting.set_result(None)
                else:
                    waiting.set_exception(error)

    def _fail_all(self) -> None:
        """End what is waited for: the link was lost meanwhile."""
        for waitings in self._results.values():
            for waiting in waitings:
                if not waiting.done():
                    waiting.set_exception(NotConfirmed(key="lost_meanwhile"))
        self._results.clear()

    # ----------------------------------------------------------------------------- the state

    def _publish(self) -> None:
        reason, detail = self._status()
        self.installation.set_panel(
            connected=reason is None,
            refresh=None,
            sync_clock=None,
            **_own_values(None if self._node is None or not self._told else self._facts),
        )
        self._sign(0.0 if math.isinf(self._supervisor.pause) else self._supervisor.pause)
        self._publish_snapshot(
            Snapshot(
                devices=MappingProxyType(self.installation.states(available=self._alive())),
                connected=reason is None,
                reason=reason,
                detail=detail,
                notices=tuple(self._notices()),
            )
        )

    def _notices(self) -> Iterator[Notice]:
        if self.settings.network and not self.settings.observer:
            yield Notice("network_observes")
        if self.settings.listens_only and self._unpolled(self._clock.monotonic()):
            yield Notice("not_polled")
        if self.low_latency_refused and not self.settings.listens_only:
            yield Notice("low_latency")
        if (poor := self._much(self._bad)) is not None:
            yield Notice("bus_quality", {"damaged": str(poor[0]), "frames": str(poor[1])})
        if (slow := self._much(self._late)) is not None:
            yield Notice("too_slow", {"late": str(slow[0]), "answered": str(slow[1])})

    def _alive(self) -> bool:
        now = self._clock.monotonic()
        if self._node is None or self._last_header is None:
            return False
        return now - self._last_header <= SILENT_AFTER and not self._stale(now)

    def _unpolled(self, now: float) -> bool:
        """Whether the bus has been alive for a minute and nobody on it calls a box.

        So it is with an iNet X panel, where an Alde heater hangs on its own panel, and where the
        panel knows of no box.
        """
        if self._node is None or self._last_called is not None or self._facts.headers_for_us:
            return False
        return self._headers > 0 and now - self._up_since >= NOT_POLLED_AFTER

    def _stale(self, now: float) -> bool:
        """Whether the bus is awake and no buffer has come for long (spec c.9)."""
        awake = self._last_header is not None and now - self._last_header <= AWAKE_WITHIN
        since = max(self._last_buffer or 0.0, self._up_since)
        return awake and now - since > STALE_AFTER

    def _status(self) -> tuple[Reason | None, str | None]:
        """Return the reason why nothing is received (``None``: something is), and the details."""
        if self._trouble is not None:
            return self._trouble
        if self._node is None:
            return Reason.STARTING, None
        if self._facts.second_box:
            return Reason.SECOND_MASTER, "another iNet box answers on this bus"
        now = self._clock.monotonic()
        if self._last_header is None or now - self._last_header > SILENT_AFTER:
            return self._status_without_bus(now - self._up_since)
        unpolled = self.settings.listens_only and self._unpolled(now)
        if unpolled and not self.installation.has_values:
            return Reason.NOT_REGISTERED, NOBODY_POLLS
        if self.settings.listens_only or (
            self._last_called is not None and now - self._last_called <= SILENT_AFTER
        ):
            return None, None
        if now - self._up_since < NOT_REGISTERED_AFTER:
            return Reason.STARTING, "the bus is alive; the panel has not called us yet"
        return Reason.NOT_REGISTERED, "the panel never calls us: run RESET, PR SET"

    def _status_without_bus(self, up: float) -> tuple[Reason, str | None]:
        if up < NO_BUS_AFTER:
            return Reason.STARTING, None
        if self._facts.bytes:
            return Reason.NOISE, "bytes come, but no LIN header among them"
        return Reason.SILENT, "not one byte comes from the bus"

    # --------------------------------------------------------------------------- the commands

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command; returns when the panel has acknowledged it.

        Names: ``set`` (values of the heater or the air conditioner), ``refresh``,
        ``sync_clock`` (to local time, or to the option ``time``), ``upload`` (values are raw
        codes of the ``group`` timer or clock: what old programs set and no value of ours
        stands for). Raises a :class:`CommandError`.
        """
        if self.settings.listens_only:
            raise InvalidCommand(key="observer")
        self._require_panel()
        name = command.name
        if name == "set" and command.device == PANEL and len(command.values) == 1:
            name = next(iter(command.values))
        match name:
            case "refresh":
                await self._refresh()
            case "sync_clock":
                await self._set_clock(_time_option(command))
            case "set":
                await self._set(command)
            case "upload":
                await self._upload_fields(command)
            case _:
                raise InvalidCommand(f"there is no command {command.name}")
        return {}

    def _require_panel(self) -> None:
        if self._node is None or not self._alive():
            raise NotConnected
        now = self._clock.monotonic()
        if self._last_called is None or now - self._last_called > SILENT_AFTER:
            raise NotConnected("RESET, PR SET", key="not_registered")

    async def _refresh(self) -> None:
        assert self._node is not None
        before = self.installation.records_seen
        self._node.order(Refresh())
        deadline = self._clock.monotonic() + REFRESH_WITHIN
        while self.installation.records_seen == before:
            if self._clock.monotonic() > deadline:
                raise NotConfirmed(key="no_device_list")
            await self._clock.sleep(0.2)

    async def _set_clock(self, wished: time | None = None) -> None:
        """Set the panel's clock: to local time, or to the time *wished*.

        A time that was wished is kept until the next daily check of the clock.
        """
        self._require_baseline(Group.CLOCK)
        assert self._node is not None
        now, offset = self._clock.now(), self._offset()
        if not clock_sync.is_set(now):
            raise NotConnected(key="clock_not_set", year=str(now.year))
        ahead = offset.total_seconds()
        before = self._clock_checked
        if wished is not None:
            ahead = clock_difference(_hms(wished), _hms(now))
            monotonic = self._clock.monotonic()
            local = now + offset
            self._clock_checked = ClockCheck.now(local, monotonic)
        self._node.order(SetOffset(ahead))
        try:
            await self._upload(Group.CLOCK, {})
        except CommandError:
            if wished is not None:
                self._clock_checked = before
            raise

    async def _set(self, command: Command) -> None:
        catalogue = CATALOGUES.get(command.device)
        if catalogue is None or not command.values:
            raise InvalidCommand(f"there is nothing to set on {command.device!r}")
        for key, value in command.values.items():
            if key not in catalogue:
                raise InvalidCommand(f"{command.device} has no value {key}")
            try:
                catalogue[key].check(value)
            except ValueError as error:
                raise InvalidCommand(str(error)) from error
        with _refusals():
            by_group = raw_wishes(command.device, command.values)
        for group, wish in by_group.items():
            self._require_baseline(group)
            self._completed(group, self._merged(group, wish))
        await asyncio.gather(*(self._collect(group, wish) for group, wish in by_group.items()))

    async def _upload_fields(self, command: Command) -> None:
        """Upload raw fields of the timer or the clock; what else there is stays as it is shown."""
        group = {"timer": Group.TIMER, "clock": Group.CLOCK}.get(str(command.options.get("group")))
        if group is None or not command.values:
            raise InvalidCommand("group is timer or clock, and values are what is to change")
        fields: dict[str, int] = {}
        most = {name: 256**size for name, _, size in UPLOADS[group].layout.fields}
        for name, code in command.values.items():
            places = with_twins({name: 0})
            if type(code) is not int or not all(0 <= code < most.get(one, 0) for one in places):
                raise InvalidCommand(f"the {group.value} does not take {name} {code}")
            fields[name] = code
        self._require_baseline(group)
        if group is Group.TIMER:
            self._completed(group, self._merged(group, fields))
            await self._collect(group, fields)
            return
        # The clock goes with its mode: as the panel showed it, and as much later.
        shown = self._status_of(group)
        passed = int(self._clock.monotonic() - self._clock_shown)
        seconds = shown["hours"] * 3600 + shown["minutes"] * 60 + shown["seconds"] + passed
        now = {
            "hours": seconds // 3600 % 24,
            "minutes": seconds // 60 % 60,
            "seconds": seconds % 60,
        }
        await self._upload(group, {**now, **fields})

    def _require_baseline(self, group: Group) -> None:
        if UPLOADS[group].baseline_id not in self._baselines:
            raise NotConnected(key="no_baseline")

    def _status_of(self, group: Group) -> dict[str, int]:
        number = UPLOADS[group].baseline_id
        return STATUS_LAYOUTS[number].read(self._baselines.get(number, b"")) or {}

    def _merged(self, group: Group, wish: Mapping[str, int]) -> dict[str, int]:
        collected = self._collected.get(group)
        return merged(group, collected.wish if collected else {}, wish)

    def _completed(self, group: Group, wish: Mapping[str, int]) -> dict[str, int]:
        """Return a wish together with what would have to change with it now.

        Raises :class:`InvalidCommand`.
        """
        with _refusals():
            return completed(group, wish, self._status_of(group), self._terms())

    def _terms(self) -> Terms:
        last = self.installation.last.get("target_temp_room")
        return Terms(
            self.installation.heater_kind,
            self.settings.default_heating_mode,
            temperature_code(last) if isinstance(last, (int, float)) else None,
        )

    async def _collect(self, group: Group, wish: Mapping[str, int]) -> None:
        whole = self._merged(group, wish)
        collected = self._collected.setdefault(group, _Collected())
        collected.wish = whole
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        collected.waiting.append((wish, waiting))
        for asked, earlier in collected.waiting:
            if superseded(asked, whole) and not earlier.done():
                earlier.set_exception(_superseded())
        if collected.task is None:
            collected.task = asyncio.ensure_future(self._send_collected(group))
        try:
            async with self._clock.timeout(COMMAND_WITHIN):
                await waiting
        except TimeoutError as error:
            raise NotConfirmed(key="not_acknowledged") from error

    async def _send_collected(self, group: Group) -> None:
        since = self._clock.monotonic() - self._last_upload.get(group, -UPLOAD_PAUSE)
        await self._clock.sleep(max(COLLECT_FOR, UPLOAD_PAUSE - since))
        collected = self._collected.pop(group)
        waiting = [one for _, one in collected.waiting]
        if all(one.done() for one in waiting):
            return
        try:
            await self._upload(group, collected.wish)
        except CommandError as error:
            for one in waiting:
                if not one.done():
                    one.set_exception(error)
        else:
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    async def _upload(self, group: Group, wish: Mapping[str, int]) -> None:
        """Hand a wish to the node and wait for its outcome.

        What has to change with it is added when the panel fetches it, to what it shows then.
        """
        if self._node is None:
            raise NotConnected
        shown = self._status_of(group)
        wanted = with_twins(self._completed(group, wish))
        same = all(shown.get(name) == value for name, value in wanted.items())
        if wish and same and not self._under_way[group]:
            return
        self._numbers += 1
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._results[self._numbers] = [waiting]
        self._last_upload[group] = self._clock.monotonic()
        self._under_way[group] += 1
        self._node.order(Wish(self._numbers, group, wish, self._terms()))
        try:
            async with self._clock.timeout(COMMAND_WITHIN):
                await waiting
        except TimeoutError as error:
            raise NotConfirmed(key="not_acknowledged") from error
        except Refused as error:
            if number := self._snapshot.value(HEATER, "error_number"):
                raise Refused(key="rejected_for_error", number=str(number)) from error
            raise
        finally:
            self._under_way[group] -= 1

    # ------------------------------------------------------------------------------ the clock

    def _offset(self) -> timedelta:
        """Return how far local time is ahead of UTC now."""
        return self._clock.now().astimezone(self._zone).utcoffset() or timedelta(0)

    def _check_clock(self) -> None:
        """Set the panel's clock when it is wrong: once a day, and when either clock has jumped."""
        settings = self.settings
        if not settings.clock_sync or settings.listens_only or self._clock_task is not None:
            return
        now, offset, monotonic = self._clock.now(), self._offset(), self._clock.monotonic()
        if monotonic - self._up_since < clock_sync.FIRST or not clock_sync.is_set(now):
            return
        local = now + offset
        checked = ClockCheck.now(local, monotonic)
        if not checked.due_after(self._clock_checked):
            return
        self._clock_checked = checked
        raw = self.installation.status[MessageId.CLOCK]
        panel = (raw["hours"], raw["minutes"], raw["seconds"])
        difference = clock_difference(panel, _hms(local))
        if abs(difference) > clock_sync.TOLERANCE:
            _LOGGER.info("the panel's clock differs by %s s; setting it", difference)
            self._clock_task = asyncio.ensure_future(self._set_clock_quietly())

    async def _set_clock_quietly(self) -> None:
        checked = self._clock_checked
        try:
            await self._set_clock()
        except CommandError as error:
            if self._clock_checked == checked:
                self._clock_checked = None
            _LOGGER.info("the panel's clock could not be set: %s", error)
        finally:
            self._clock_task = None

    # ------------------------------------------------------------------------- diagnostics

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the responder's counters, the records and the status buffers."""
        node = self._node
        hello = asdict(node.hello) if isinstance(node, ResponderNode) else {}
        return {
            "listens_only": self.settings.listens_only,
            "identity": self.settings.identity.value,
            "responder": {**hello, **(self._facts.as_dict() if self._told else {})},
            "bus_quality": _ratio_facts(self._bad, "damaged", "sound"),
            "timeliness": _ratio_facts(self._late, "late_or_skipped", "in_time"),
            "seconds_since_buffer": None
            if self._last_buffer is None
            else round(self._clock.monotonic() - self._last_buffer),
            **self.installation.facts(),
        }

    def _much(self, share: RollingRatio) -> tuple[int, int] | None:
        part, rest = share.counted
        return (part, part + rest) if share.much and self._node is not None else None

    @property
    def low_latency_refused(self) -> bool:
        """Whether the adapter delays received bytes and could not be set to low latency."""
        return isinstance(self._node, ResponderNode) and self._node.low_latency is False

    @property
    def responder_facts(self) -> BusFacts:
        """The newest counters of our node on the bus."""
        return self._facts

    @property
    def responder_pid(self) -> int | None:
        """The responder's process id, for supervision tests."""
        return self._node.pid if isinstance(self._node, ResponderNode) else None


def _hms(moment: time | datetime) -> tuple[int, int, int]:
    return moment.hour, moment.minute, moment.second


def _time_option(command: Command) -> time | None:
    wished = command.options.get("time")
    if wished is None or isinstance(wished, time):
        return wished
    raise InvalidCommand(f"the clock does not take {wished!r}")


def _ratio_facts(share: RollingRatio, part: str, rest: str) -> Mapping[str, Any]:
    counted = share.counted
    return {part: counted[0], rest: counted[1], "much": share.much, "times": share.times}


def _own_values(facts: BusFacts | None) -> dict[str, Value | None]:
    """Return the values of our own node; ``None``: it has not reported yet."""
    if facts is None:
        names = (
            "update_status",
            "answer_latency_max",
            "frames_bad",
            "frames_late",
            "answers_skipped",
            "command_counter",
        )
        return dict.fromkeys(names)
    status = "waiting_for_panel" if facts.pending else "idle"
    return {
        "update_status": "waiting_for_acknowledge" if facts.waiting_for_acknowledge else status,
        "answer_latency_max": facts.worst_ms,
        "frames_bad": facts.checksum_errors,
        "frames_late": facts.late,
        "answers_skipped": facts.skipped,
        "command_counter": facts.counter,
    }


def _superseded() -> CommandError:
    return CommandError(key="wish_superseded")


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Raise what the rules refuse as :class:`InvalidCommand`, with its text."""
    try:
        yield
    except RuleError as error:
        raise InvalidCommand(error.message, key=error.key, **error.placeholders) from error
    except ValueError as error:
        raise InvalidCommand(str(error)) from error


def _error_of(finished: Finished) -> CommandError | None:
    match finished.outcome:
        case Outcome.CONFIRMED:
            return None
        case Outcome.REJECTED:
            return Refused(key="rejected", result=str(finished.result))
        case Outcome.SUPERSEDED:
            return _superseded()
        case Outcome.RULED_OUT:
            return InvalidCommand(
                finished.message, key=finished.key or "invalid_command", **finished.placeholders
            )
        case Outcome.NOT_FETCHED:
            return NotConfirmed(key="not_fetched")
        case _:
            return NotConfirmed(key="not_acknowledged")
