"""The dialogue on a link: bytes and wishes in, snapshots and occurrences out (spec e, f)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from ..engine import (
    BaseEngine,
    Command,
    CommandError,
    Device,
    DeviceState,
    Direction,
    InvalidCommand,
    Message,
    NotConfirmed,
    NotConnected,
    OnOccurrence,
    OnSnapshot,
    Reading,
    Reason,
    Refused,
    Snapshot,
    Unit,
)
from ..factory import Surroundings, running
from ..fields import Value
from ..link import LinkState, Stream, Supervisor
from ..storage import DurableStorage, store_now
from .catalogue import KIND, POSITIONS
from .conversation import Conversation
from .dialogue.login import Codes
from .dialogue.machine import Dialogue, Record, State
from .dialogue.timing import CONFIRM_ROWS
from .dialogue.wishes import (
    AUTO,
    HIGHEST,
    LONGEST_MINUTES,
    SUCCESSES,
    Boost,
    Failure,
    Kind,
    Outcome,
    Result,
    Target,
)
from .heading import Heading
from .log_book import LogBook
from .masking import Mask
from .notices import notices
from .profile import Kind as ColumnKind
from .settings import InventumSettings
from .terminal.keys import CHALLENGE_CODE, LOGIN_CODE

_LOGGER = logging.getLogger(__name__)

DEVICE_ID = "ecolution"
LOOK_EVERY = 30.0
"""The minutes that remain and the availability change without a byte."""
RELEASE_WITHIN = 10.0
TAKE_BACK_WITHIN = 15.0
_STATUSES_KEPT = 3


class InventumEngine(BaseEngine):
    """Lives on one terminal."""

    sign_interval = 3 * LOOK_EVERY

    def __init__(self, settings: InventumSettings, surroundings: Surroundings) -> None:
        """Prepare; nothing is opened before :meth:`run`."""
        super().__init__(surroundings.clock)
        self.settings = settings
        self._storage = surroundings.storage
        stored = self._storage.load()
        self._minutes = _stored_minutes(stored, settings.boost_duration)
        self._book = LogBook(stored, settings.columns, other_positions=settings.other_positions)
        self.dialogue = Dialogue(
            self._clock,
            Codes(settings.login_code, settings.challenge_code),
            header=self._book.header,
            fan_column=settings.fan_column or None,
            stored=stored,
        )
        self._saved = self._to_store()
        self._simulation: Any = None
        self._opener = settings.opener(self._open_simulator)
        self._conversation: Conversation | None = None
        self._mask = Mask(own=settings.own_codes)
        self._heading = Heading()
        self._waiting: dict[int, list[asyncio.Future[Result]]] = {}
        self._stir = asyncio.Event()
        self._last_row_at: datetime | None = None
        self._row_since_open = False
        self._trouble: tuple[Reason, str | None] | None = None
        self._override_statuses: deque[dict[str, Any]] = deque(maxlen=_STATUSES_KEPT)
        self._fan_statuses: deque[str] = deque(maxlen=1 + CONFIRM_ROWS)
        """The last row before a wish's keys, and those that may confirm it."""
        self._supervisor: Supervisor[Stream] = Supervisor(
            "Inventum",
            self._open,
            self._session,
            on_change=self._link_changed,
            address=settings.link,
            clock=self._clock,
            statistics=self.statistics,
        )
        self.catalogues = {KIND: self._book.catalogue}
        self._snapshot = self._look()

    # -------------------------------------------------------------------------------- the life

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled."""
        self._on_snapshot, self._on_occurrence = on_snapshot, on_occurrence
        self._sign()
        timers = asyncio.ensure_future(self._keep_time())
        try:
            await self._supervisor.run()
        finally:
            timers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await timers
            await self._opener.close()
            self._moved = None
            self.dialogue.abandon()
            self._after()

    async def take_back(self, seconds: float = TAKE_BACK_WITHIN) -> bool:
        """Run only to take back an override of ours; return whether none is left (spec f.8)."""
        self.dialogue.release()
        self._after()
        if self.dialogue.wishes.current is None:
            return True
        async with running(self) as changed:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(seconds):
                    while self.dialogue.wishes.held:
                        changed.clear()
                        await changed.wait()
        await store_now(self._storage, self._clock)  # who comes next must not begin it again
        if self.dialogue.wishes.held:
            _LOGGER.warning("the boost could not be taken back; the fan stays at its highest step")
        return not self.dialogue.wishes.held

    def wake(self) -> None:
        """Try the port again at once."""
        self._supervisor.wake()

    async def _open_simulator(self, query: Mapping[str, str]) -> Stream:
        from .simulator.runner import Simulation  # noqa: PLC0415

        if self._simulation is None:
            self._simulation = Simulation(self._clock)
        stream: Stream = await self._simulation.open(query)
        return stream

    async def _open(self) -> Stream:
        return await self._opener.open()

    async def _session(self, stream: Stream) -> None:
        self._conversation = conversation = Conversation(stream, self._on_data)
        self._row_since_open = False
        self._mask = Mask(own=self.settings.own_codes)
        self.dialogue.opened()
        self._after()
        try:
            await self._talk(conversation)
        finally:
            self._conversation = None
            self.dialogue.closed()
            self._after()
            await stream.close()

    async def _talk(self, conversation: Conversation) -> None:
        talking = asyncio.ensure_future(conversation.run())
        try:
            await asyncio.shield(talking)
        except asyncio.CancelledError:
            if self.settings.release_on_stop and not talking.done():
                await self._release(talking)
            raise
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _release(self, talking: asyncio.Future[None]) -> None:
        """Take an override back before the port is closed (spec f.8)."""
        self.dialogue.release()
        self._after()
        if self.dialogue.wishes.current is None:
            return
        _LOGGER.info("taking the boost back before stopping")
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(RELEASE_WITHIN):
                while self.dialogue.wishes.held and not talking.done():
                    due = self.dialogue.next_due or self._clock.monotonic() + 1.0
                    await self._pause_until(due)
                    self.dialogue.tick()
                    self._after()
        if self.dialogue.wishes.held:
            _LOGGER.warning("the boost could not be taken back before stopping")

    async def _keep_time(self) -> None:
        """Let the dialogue's timers fire, with and without a link."""
        while True:
            now = self._clock.monotonic()
            due = self.dialogue.next_due
            await self._pause_until(now + LOOK_EVERY if due is None else min(due, now + LOOK_EVERY))
            self._sign()
            self.dialogue.tick()
            self._after()

    async def _pause_until(self, due: float) -> None:
        self._stir.clear()
        left = due - self._clock.monotonic()
        if left <= 0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(left):
                await self._stir.wait()

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        if state is LinkState.WAITING and reason is not None:
            self._trouble = (reason, detail)
        elif state is LinkState.UP:
            self._trouble = None
        self._publish()

    # -------------------------------------------------------------------------- what is heard

    def _on_data(self, data: bytes) -> None:
        self.statistics.bytes_in += len(data)
        self.statistics.frames_in += 1
        now = self._clock.now()
        self.frames.add(now, Direction.IN, self._mask.received(data, self.dialogue))
        before = self.dialogue.state
        self.dialogue.receive_data(data)
        if (heading := self._heading.complete(self.dialogue.parser, now)) is not None:
            self.frames.keep_heading(heading)
        if before is not self.dialogue.state:
            _LOGGER.debug("%s -> %s", before.value, self.dialogue.state_name)
        self._after()

    def _after(self) -> None:
        """Do what an input has brought: results, the store, writes, the snapshot."""
        for event in self.dialogue.events():
            match event:
                case Record():
                    self._on_record(event)
                case Result():
                    self._on_result(event)
        self._save()
        for write in self.dialogue.data_to_send():
            self.statistics.bytes_out += len(write.data)
            self.statistics.frames_out += 1
            self.frames.add(self._clock.now(), Direction.OUT, self._mask.sent(write))
            if self._conversation is not None:
                self._conversation.send(write)
        self._stir.set()
        self._publish()

    def _on_record(self, record: Record) -> None:
        now = self._clock.now()
        self._last_row_at = self.statistics.last_frame = now
        self._row_since_open = True
        self._supervisor.proven()
        if self._book.take(record):
            _LOGGER.info("the data logger's columns are known now: %d", len(record.columns))
        self._note_status(record)
        if self._on_occurrence is None:
            return
        device = self._device
        values = {**self._values(), "fan_position": _option(record.position)}
        self._on_occurrence(Reading(device, now, MappingProxyType(values)))
        printed = {
            key: {"value": cell.value, "status": cell.status}
            for key, cell in record.row.record(record.columns).items()
        }
        self._on_occurrence(Unit(device, "row", MappingProxyType(printed), now, record.row.raw))

    def _note_status(self, record: Record) -> None:
        """Keep the fan column's status: nobody knows what it means."""
        place = self.dialogue.log.fan_column
        if place is not None:
            self._fan_statuses.append(record.row.cells[place].status.strip()[:20])

    def _note_override(self, rows: int) -> None:
        """Collect the status before and after an override, *rows* good rows after its keys."""
        statuses = tuple(self._fan_statuses)
        before = statuses[-1 - rows] if rows < len(statuses) else None
        self._override_statuses.append({"before": before, "after": statuses[-1]})

    def _on_result(self, result: Result) -> None:
        _LOGGER.debug("%s by %s: %s", result.kind.value, result.origin.value, result.outcome.value)
        if result.kind is Kind.HIGH and result.outcome in SUCCESSES and result.rows:
            self._note_override(result.rows)
        if result.number is not None:
            for waiting in self._waiting.pop(result.number, ()):
                if not waiting.done():
                    waiting.set_result(result)
        if (kind := _event_of(result)) is not None and self._on_occurrence is not None:
            self._on_occurrence(
                Message(
                    self._device,
                    "fan_event",
                    kind,
                    self._clock.now(),
                    MappingProxyType({"by": result.origin.value}),
                )
            )

    @property
    def columns(self) -> Mapping[str, str]:
        """The titles of the columns that this unit has printed, by slug; without the fan's."""
        fan = self._fan_name
        return {
            column.slug: column.title
            for column in self._book.learnt.columns
            if column.name != fan and not column.is_fan
        }

    @property
    def _fan_name(self) -> str | None:
        log = self.dialogue.log
        place = log.fan_column
        return None if log.header is None or place is None else log.header[place].name

    def kind_by_the_rules(self, slug: str) -> ColumnKind | None:
        """Return what a column holds when its owner says nothing; ``None``: not known yet."""
        for column in self._book.learnt.columns:
            if column.slug == slug and column.meaning is not None:
                return column.meaning.kind
        return None

    # ------------------------------------------------------------------------------- the store

    def _to_store(self) -> dict[str, Any]:
        return {
            **self.dialogue.wishes.stored(),
            **self._book.stored(),
            "boost_duration": self._minutes,
        }

    def _save(self) -> None:
        stored = self._to_store()
        if stored != self._saved:
            self._saved = stored
            self._storage.save(stored)

    # ---------------------------------------------------------------------------- the snapshot

    @property
    def _device(self) -> Device:
        return Device(
            DEVICE_ID,
            KIND,
            "Ecolution",
            manufacturer="Inventum",
            model="Ecolution",
            serial_number=self.settings.serial_number or None,
        )

    def _publish(self) -> None:
        if self.catalogues[KIND] is not self._book.catalogue:
            self.catalogues = {KIND: self._book.catalogue}
        self._publish_snapshot(self._look())

    def _look(self) -> Snapshot:
        state = DeviceState(
            self._device,
            MappingProxyType(self._values()),
            available=self._available,
            fields=self._book.catalogue,
        )
        connected, reason, detail = self._connection()
        now = self._clock.monotonic()
        return Snapshot(
            MappingProxyType({DEVICE_ID: state}),
            connected,
            reason,
            detail,
            tuple(notices(self.dialogue, now, DEVICE_ID)),
        )

    @property
    def _available(self) -> bool:
        """Whether the unit can be asked for something: rows come, or are not wanted (spec f.7)."""
        dialogue = self.dialogue
        if not self._row_since_open or not dialogue.open:
            return False
        resting = dialogue.paused_until is not None and dialogue.inside
        return resting or self._holds(dialogue.row_wanted_since)

    def _holds(self, moment: float | None) -> bool:
        """Whether the next row is not overdue after what came at *moment*."""
        if moment is None:
            return False
        return self._clock.monotonic() - moment <= self.dialogue.log.patience

    def _connection(self) -> tuple[bool, Reason | None, str | None]:
        if self._trouble is not None:
            return False, *self._trouble
        dialogue = self.dialogue
        if dialogue.inside and self._row_since_open:
            return True, None, None
        if dialogue.reason is Reason.LOGGING_IN:
            return False, Reason.LOGGING_IN, str(dialogue.counters["challenges"])
        return False, dialogue.reason or Reason.STARTING, None

    def _values(self) -> dict[str, Value | None]:
        dialogue = self.dialogue
        wall = self._clock.now()
        boost = dialogue.wishes.boost
        running = boost is not None and boost.end > wall
        holds = self._holds(dialogue.last_row)
        logged = self._book.values
        return {
            "fan_position": _option(dialogue.last_position) if holds else None,
            "boost": running and boost is not None and boost.level == HIGHEST,
            "boost_duration": self._minutes,
            "boost_remaining": boost.remaining(wall) if boost is not None else 0,
            "boost_end": boost.end if boost is not None and running else None,
            "data_logger": dialogue.paused_until is None,
            "login_state": _login_state(dialogue),
            "connectivity": self._trouble is None and dialogue.inside and self._available,
            "challenges": dialogue.counters["challenges"],
            "row_interval": _rounded(dialogue.log.row_interval),
            "last_row": self._last_row_at,
            "fan_event": None,
            **(logged if holds else dict.fromkeys(logged)),
        }

    # ---------------------------------------------------------------------------- the commands

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a wish (spec e.6); return when the logger's rows confirm it."""
        values = self._checked(command)
        wish: tuple[Target, int] | None = None
        if "boost" in values or "fan_position" in values:
            duration = values.get("boost_duration", self._minutes)
            assert isinstance(duration, (int, float))
            wish = _target(values), _minutes_of(command, int(duration))
            self._check_possible()
        if (minutes := values.get("boost_duration")) is not None:
            assert isinstance(minutes, (int, float))
            self._minutes = int(minutes)
            self._after()
        if (logging_on := values.get("data_logger")) is not None:
            if logging_on:
                self.dialogue.resume()
            else:
                self.dialogue.pause()
            self._after()
        if wish is not None:
            await self._wish(*wish)
        return {}

    def _checked(self, command: Command) -> Mapping[str, Value]:
        if command.device != DEVICE_ID or command.name != "set" or not command.values:
            raise InvalidCommand("there is nothing to set")
        for key, value in command.values.items():
            field = self._book.catalogue.get(key)
            if field is None or not field.writable:
                raise InvalidCommand(f"{key} can't be set")
            try:
                field.check(value)
            except ValueError as error:
                raise InvalidCommand(str(error)) from error
            if key == "boost_duration" and value != int(value):  # type: ignore[arg-type]
                raise _wrong_minutes(value)
        if len({"boost", "data_logger", "fan_position"} & command.values.keys()) > 1:
            raise InvalidCommand(key="one_at_a_time")
        return command.values

    def _check_possible(self) -> None:
        """Raise the error of a wish that nobody could carry out or confirm."""
        if self._moved is None:
            raise NotConnected
        if self.dialogue.log.header is not None and self.dialogue.log.fan_column is None:
            raise Refused(key="no_fan_column")

    async def _wish(self, target: Target, minutes: int) -> None:
        boost = None
        if target.kind is Kind.HIGH:
            end = self._clock.now() + timedelta(minutes=minutes)
            boost = Boost(end, minutes, target.level)
        # No key is pressed for a boost before its end is on the disk (spec e.4).
        stored_first = boost is not None and isinstance(self._storage, DurableStorage)
        number = self.dialogue.ask(target, boost, ready=not stored_first)
        waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(number, []).append(waiting)
        self._after()
        if stored_first:
            try:
                await store_now(self._storage, self._clock)
            finally:
                if not waiting.done():
                    self.dialogue.make_ready(number)
                    self._after()
        result = await waiting
        if (error := _error_of(result)) is not None:
            raise error

    # -------------------------------------------------------------------------- the diagnostics

    def secrets(self) -> Iterable[str]:
        """Return the codes that the owner has set, as far as they can be told from numbers."""
        yield from super().secrets()
        settings = self.settings
        for code, usual in (
            (settings.login_code, LOGIN_CODE),
            (settings.challenge_code, CHALLENGE_CODE),
        ):
            if code != usual and len(code) > 3:
                yield code

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the dialogue's state, counters, header, profile and screen (spec h.4)."""
        dialogue = self.dialogue
        wish = dialogue.wishes.current
        header = dialogue.log.header
        return {
            "state": dialogue.state_name,
            "transitions": [
                f"{item.time.isoformat(timespec='milliseconds')} {item.state} ({item.view.value})"
                for item in dialogue.transitions
            ],
            "counters": dict(dialogue.counters),
            "accepted_challenges": list(dialogue.login.accepted),
            "wish": None if wish is None else f"{wish.kind.value} by {wish.origin.value}",
            "boost": dialogue.wishes.boost is not None,
            "override_may_be_set": dialogue.wishes.held,
            "row_interval": dialogue.log.row_interval,
            "patience": dialogue.log.patience,
            "fan_column": dialogue.log.fan_column,
            "header": None if header is None else [[item.status, item.name] for item in header],
            "profile": self._book.learnt.plain(),
            "fan_status_around_overrides": list(self._override_statuses),
            "screen": self._mask.screen(dialogue),
        }


def _stored_minutes(stored: Mapping[str, Any], default: int) -> int:
    minutes = stored.get("boost_duration")
    if isinstance(minutes, int) and not isinstance(minutes, bool):
        return min(max(minutes, 1), LONGEST_MINUTES)
    return default


def _option(position: int | None) -> str | None:
    return None if position is None else POSITIONS[position]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _target(values: Mapping[str, Value]) -> Target:
    if "fan_position" not in values:
        return Target(Kind.HIGH) if values["boost"] else AUTO
    level = POSITIONS.index(str(values["fan_position"]))
    if level == 0:
        raise InvalidCommand(key="can_not_switch_off")
    return Target(Kind.HIGH, min(level, HIGHEST))


def _minutes_of(command: Command, default: int) -> int:
    minutes = command.options.get("minutes", default)
    if isinstance(minutes, float) and minutes.is_integer():
        minutes = int(minutes)
    if isinstance(minutes, bool) or not isinstance(minutes, int):
        raise _wrong_minutes(minutes)
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise _wrong_minutes(minutes)
    return minutes


def _wrong_minutes(given: Value) -> InvalidCommand:
    shown = "-" if isinstance(given, int) and abs(given) >= 10**20 else str(given)[:20]
    return InvalidCommand(key="wrong_minutes", longest=str(LONGEST_MINUTES), given=shown)


def _login_state(dialogue: Dialogue) -> str:
    if not dialogue.open:
        return "offline"
    if dialogue.refused_code:
        return "wrong_code"
    if dialogue.typing:
        return "logging_in"
    if dialogue.commanding:
        return "command"
    match dialogue.state:
        case State.SYNC:
            return "searching"
        case State.MENU:
            return "menu"
        case State.LOGGER:
            return "logging"
    return "starting_logger"


def _event_of(result: Result) -> str | None:
    match result.kind, result.outcome:
        case Kind.HIGH, Outcome.OK:
            return "boost_started"
        case Kind.HIGH, Outcome.LOST:
            return "boost_lost"
        case Kind.AUTO, Outcome.OK if result.ends_boost:
            return "boost_ended"
        case Kind.AUTO, Outcome.STILL_HIGH:
            return "still_high"
    return None


def _error_of(result: Result) -> CommandError | None:
    match result.outcome:
        case Outcome.OK | Outcome.STILL_HIGH:
            return None
        case Outcome.NOT_CONNECTED:
            return NotConnected()
        case Outcome.SUPERSEDED:
            return CommandError(key="superseded")
        case Outcome.FAILED if result.why is Failure.NO_FAN_ROW:
            return Refused(key="no_fan_row")
        case Outcome.FAILED:
            why = "-" if result.why is None else result.why.value
            return NotConfirmed(key="dialogue_failed", why=why)
    return NotConfirmed(key="no_row_shows_it")
