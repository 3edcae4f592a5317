"""The dialogue with a CP Plus panel: supervised responder in, snapshots out (spec c.7 - c.9, e)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import time, timedelta, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..engine import (
    BaseEngine,
    Command,
    DeviceState,
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
from .bus_health import BusHealth
from .catalogue import CATALOGUES
from .inet.box import (
    BOX_NAD,
    COUNTER_MODULUS,
    Finished,
    Received,
    SecondBox,
    Seen,
)
from .inet.buffers import STATUS_LAYOUTS, Buffer, Group, MessageId, is_status
from .inet.rules import Terms
from .inet.signals import Signal, read_signal
from .installation import HEATER, PANEL, Installation
from .lin.frames import identifier_of
from .node.messages import BusFacts, Heard, Order, Refresh, Sent
from .node.node import ListeningNode, Node, ResponderNode
from .panel_clock import PanelClock
from .settings import TrumaSettings
from .uploads import Uploads
from .wishes import raw_fields, raw_wishes, refusals, settings_of

if TYPE_CHECKING:
    from .simulator.runner import RunningSimulator

LINE = SerialSettings(9600)
DISPLAY_FRAMES = frozenset({Signal.SET_POINTS, Signal.MEASURED, Signal.VOLTAGE})
"""Frames that old programs published as they passed."""
REFRESH_WITHIN = 30.0

KEEP_BASELINES = 10.0
"""Seconds off the bus after which what the panel and the heater have told is outdated."""

WATCH_EVERY = 1.0


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
        self._storage = storage or MemoryStorage()
        self.installation.restore(self._storage.load())
        self._stored = self.installation.stored
        self._node: Node | None = None
        self._nad = BOX_NAD
        self._counter = random.randrange(COUNTER_MODULUS)  # noqa: S311 - as real boxes do
        self._down_since = self._clock.monotonic()
        self._trouble: tuple[Reason, str | None] | None = None
        self.health = BusHealth(self._down_since)
        self._uploads = Uploads(self._clock, self._order, self._terms)
        self._panel_clock = PanelClock(
            self._clock, zone, self._order, self._uploads, trusted=settings.trusts_clock
        )
        self._simulator: RunningSimulator | None = None
        self._port = settings.link
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
            self._uploads.close()
            self._panel_clock.close()
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
            self._forget()
        config = {
            "port": self._port,
            "nad": self._nad,
            "observer": self.settings.observer,
            "identity": self.settings.identity.value,
            "counter": self._counter,
            # Also with baselines: what was changed at the panel meanwhile is told once.
            "init_request": True,
            "baselines": {key: one.hex() for key, one in self._uploads.newest.items()},
            "offset": self._panel_clock.offset().total_seconds(),
            # What is left of the pause because of another box.
            "quiet_for": max(0.0, self.health.quiet_until - self._clock.monotonic()),
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
        self.health.joined(self._clock.monotonic())
        self._uploads.joined()
        try:
            await node.run(self._on_event, self._on_facts)
        finally:
            self._node = None
            self.health.left()
            self._down_since = self._clock.monotonic()
            self._uploads.left()
            await node.close()

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is LinkState.WAITING and reason is not None:
            self._trouble = (reason, detail)
        elif state is LinkState.HANDSHAKING:
            self._trouble = None
        self._publish()

    async def _watch(self) -> None:
        silent = False
        while True:
            await self._clock.sleep(WATCH_EVERY)
            before, silent = silent, self.health.silent(self._clock.monotonic())
            if silent and not before:
                self._forget()
                if self._node is not None and not self.settings.listens_only:
                    self._node.order(Refresh())
            self._publish()

    def _forget(self) -> None:
        self._uploads.baselines.clear()
        self.installation.forget()

    # -------------------------------------------------------------------------- what is heard

    def _on_facts(self, facts: BusFacts) -> None:
        if self.health.take_facts(facts, self._clock.monotonic()):
            self._supervisor.proven()
        self._nad = facts.nad
        self._counter = facts.counter % COUNTER_MODULUS
        self.statistics.checksum_errors = facts.checksum_errors
        self.statistics.frames_out = facts.answered
        self._publish()

    def _on_event(self, event: Heard) -> None:
        now = self._clock.now()
        match event:
            case Seen():
                self.statistics.frames_in += 1
                self.statistics.last_frame = now
                self.health.heard_frame(self._clock.monotonic())
                self._supervisor.proven()
                self._log_frame(Direction.IN, event)
                self.installation.take_frame(event)
                self._tell_signal(event)
            case Received(buffer=buffer):
                self._take_buffer(buffer)
            case Finished():
                self._uploads.finish(event)
            case Sent():
                self._log_frame(Direction.OUT, event)
            case SecondBox():
                self.health.second_box(self._clock.monotonic())

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
        self.health.heard_buffer(self._clock.monotonic())
        self.installation.take_buffer(buffer)
        self._tell_buffer(buffer)
        if is_status(buffer):
            self._uploads.take_status(buffer)
            self.installation.remember_last()
            if buffer.message_id == MessageId.CLOCK:
                self._panel_clock.take(self.installation.status[MessageId.CLOCK])
                if self.settings.keeps_clock and not self.installation.is_alde:
                    self._panel_clock.check(self.health.up_since)
        self._save()
        self._publish()

    def _save(self) -> None:
        stored = self.installation.stored
        if stored != self._stored:
            self._stored = stored
            self._storage.save(stored)

    # ----------------------------------------------------------------------------- the state

    def _publish(self) -> None:
        reason, detail = self._status()
        self.installation.set_panel(
            connected=reason is None,
            refresh=None,
            sync_clock=None,
            **_own_values(self.health.facts if self.health.told else None),
        )
        self._sign(0.0 if math.isinf(self._supervisor.pause) else self._supervisor.pause)
        self._publish_snapshot(
            Snapshot(
                devices=MappingProxyType(
                    self.installation.states(available=self.health.alive(self._clock.monotonic()))
                ),
                connected=reason is None,
                reason=reason,
                detail=detail,
                notices=tuple(self._notices()),
            )
        )

    def _notices(self) -> Iterator[Notice]:
        settings = self.settings
        if settings.network and not settings.observer:
            yield Notice("network_observes")
        if self.low_latency_refused and not settings.listens_only:
            yield Notice("low_latency")
        if settings.keeps_clock and self._panel_clock.is_doubted():
            yield Notice("clock_doubtful")
        yield from self.health.notices(self._clock.monotonic(), listens_only=settings.listens_only)

    def _status(self) -> tuple[Reason | None, str | None]:
        """Return the reason why nothing is received (``None``: something is), and the details."""
        if self._trouble is not None:
            return self._trouble
        return self.health.status(
            self._clock.monotonic(),
            listens_only=self.settings.listens_only,
            has_values=self.installation.has_values,
        )

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
        try:
            await self._carry_out(command)
        except Refused as error:
            if number := self._snapshot.value(HEATER, "error_number"):
                raise Refused(key="rejected_for_error", number=str(number)) from error
            raise
        return {}

    async def _carry_out(self, command: Command) -> None:
        name = command.name
        if name == "set" and command.device == PANEL and len(command.values) == 1:
            name = next(iter(command.values))
        if self.installation.is_alde and name != "refresh":
            raise InvalidCommand(key="alde_read_only")
        match name:
            case "refresh":
                await self._refresh()
            case "sync_clock":
                await self._panel_clock.set(_time_option(command))
            case "set":
                await self._set(command)
            case "upload":
                await self._upload(command)
            case _:
                raise InvalidCommand(f"there is no command {command.name}")

    def expected(self, state: DeviceState) -> DeviceState:
        """Return the heater as it will be once what is on its way is shown."""
        shown = self.installation.status.get(MessageId.HEATER)
        if state.device.id != HEATER or shown is None:
            return state
        with contextlib.suppress(InvalidCommand):
            coming = self._uploads.expected(Group.HEATER)
            if any(coming.get(name) != code for name, code in shown.items()):
                return state.with_values(**settings_of(coming))
        return state

    def _require_panel(self) -> None:
        now = self._clock.monotonic()
        if not self.health.alive(now):
            raise NotConnected
        if not self.health.called(now):
            raise NotConnected("RESET, PR SET", key="not_registered")

    def _order(self, order: Order) -> None:
        if self._node is None:
            raise NotConnected
        self._node.order(order)

    async def _refresh(self) -> None:
        before = self.installation.records_seen
        self._order(Refresh())
        deadline = self._clock.monotonic() + REFRESH_WITHIN
        while self.installation.records_seen == before:
            if self._clock.monotonic() > deadline:
                raise NotConfirmed(key="no_device_list")
            await self._clock.sleep(0.2)

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
        with refusals():
            by_group = raw_wishes(command.device, command.values)
        before = dict(self.installation.last)
        # From now on, for the panel shows it only a while after it has taken it.
        self.installation.note_set(command.device, command.values)
        noted = dict(self.installation.last)
        self._publish()
        try:
            await self._uploads.set(by_group)
        except BaseException:
            self.installation.forget_set(noted, before)
            raise
        finally:
            self._save()
            self._publish()

    async def _upload(self, command: Command) -> None:
        """Upload raw fields of the timer or the clock; what else there is stays as it is shown."""
        with refusals():
            group, fields = raw_fields(command.options.get("group"), command.values)
        if group is Group.CLOCK:
            await self._panel_clock.change(fields)
        else:
            await self._uploads.set({group: fields})

    def _terms(self) -> Terms:
        return Terms(
            self.installation.heater_kind,
            self.settings.default_heating_mode,
            self.installation.last_code("target_temp_room"),
            self.installation.last_code("target_temp"),
        )

    # ------------------------------------------------------------------------- diagnostics

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the responder's counters, the records and the status buffers."""
        node = self._node
        hello = asdict(node.hello) if isinstance(node, ResponderNode) else {}
        health = self.health
        return {
            "listens_only": self.settings.listens_only,
            "identity": self.settings.identity.value,
            "responder": {**hello, **(health.facts.as_dict() if health.told else {})},
            **health.as_dict(self._clock.monotonic()),
            **self.installation.facts(),
        }

    @property
    def low_latency_refused(self) -> bool:
        """Whether the adapter delays received bytes and could not be set to low latency."""
        return isinstance(self._node, ResponderNode) and self._node.low_latency is False

    @property
    def responder_facts(self) -> BusFacts:
        """The newest counters of our node on the bus."""
        return self.health.facts

    @property
    def responder_pid(self) -> int | None:
        """The responder's process id, for supervision tests."""
        return self._node.pid if isinstance(self._node, ResponderNode) else None


def _time_option(command: Command) -> time | None:
    wished = command.options.get("time")
    if wished is None or isinstance(wished, time):
        return wished
    raise InvalidCommand(f"the clock does not take {wished!r}")


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
