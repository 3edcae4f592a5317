"""Ties the state machines to connections, to the clock and to Home Assistant (spec H.5).

One connection watches the GX. Each export has a connection of its own: the last will of a device
is that of its connection, and takes the device off the GX at once when Home Assistant is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ..engine import (
    BaseEngine,
    Command,
    Direction,
    InvalidCommand,
    LinkError,
    Message as Told,
    OnOccurrence,
    OnSnapshot,
    Reason,
    Snapshot,
)
from ..factory import Surroundings
from ..link import LinkState, Supervisor
from ..link.supervisor import Backoff
from . import protocol, report
from .by_hand import REPLY_TIMEOUT, Hands
from .catalogue import CATALOGUES
from .config import ExportConfig, OnLoss, read_export
from .exporter import Exporter, Memory, StartCall
from .gx import Gx
from .home import EntityState, Home, Words
from .mqtt.client import Client
from .mqtt.packets import Will
from .opener import opener_of
from .protocol import Message, Setting
from .settings import GxSettings, read_exports
from .stored_state import StoredState

_LOGGER = logging.getLogger(__name__)

CALL_TIMEOUT = 10.0
IDLE = 60.0
"""Seconds after which the pump looks again without a reason."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
REFUSED_PAUSE = 900.0
"""Between two tries with a password that was refused: a GX counts them (spec G.2)."""
LONGEST_FRAME = 2048
TRIAL = 600.0
"""Seconds after which what is tried out leaves the GX again: a dialog may stand open for ever."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an export on the GX: type and VRM instance by service, and what is refused."""

    services: Mapping[str, tuple[str, int]]
    message: str = ""


class Host(Protocol):
    """Home Assistant, as the engine needs it."""

    async def call(self, service: str, data: Mapping[str, Any]) -> None:
        """Call a service and wait for its end. Raises what it raises."""


class Ladder(Backoff):
    """Pauses of 1, 2, 5, 10, 30 and 60 seconds; long ones after a refused login."""

    def __init__(self) -> None:
        super().__init__()
        self._step = 0
        self.refused = False

    def next(self) -> float:
        """Return the next pause in seconds."""
        if self.refused:
            self.refused = False
            return REFUSED_PAUSE
        pause = PAUSES[min(self._step, len(PAUSES) - 1)]
        self._step += 1
        return pause

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._step = 0


class VictronGxEngine(BaseEngine):
    """Lives on the broker of one GX."""

    catalogues = CATALOGUES
    sign_interval = 3 * IDLE

    def __init__(self, settings: GxSettings, surroundings: Surroundings) -> None:
        """Prepare; nothing is opened before :meth:`run`."""
        super().__init__(surroundings.clock)
        self.settings = settings
        self.host: Host | None = None
        self.broken = dict(settings.broken)
        self.extra_notices: tuple[Any, ...] = ()
        self._stored = StoredState(surroundings.storage)
        self._opener = opener_of(settings, surroundings)
        self._states: dict[str, EntityState] = {}
        self._fahrenheit = False
        self._words = Words()
        self._changed: set[str] | None = None
        exporters = {key: self._exporter(key, one) for key, one in settings.exports.items()}
        self._gx = Gx(settings.portal, exporters, self._clock.monotonic())
        self._client: Client | None = None
        self._clients: dict[str, Client] = {}
        self._links: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._watched: set[tuple[str, str]] = set()
        self._calls: set[asyncio.Future[Any]] = set()
        self._hands = Hands(self._gx, self._clock, lambda: self._client, self._send)
        self._answered = asyncio.Event()
        self._poke = asyncio.Event()
        self._reason: Reason | None = Reason.STARTING
        self._detail: str | None = None
        self._backoff = Ladder()
        self._supervisor: Supervisor[Client] | None = None
        self._publish_state()

    def _exporter(self, key: str, config: ExportConfig) -> Exporter:
        memory = self._stored.memories.setdefault(key, Memory())
        enabled = key not in self._stored.disabled
        return Exporter(key, config, self.settings.version, memory, enabled=enabled)

    # ------------------------------------------------------------------------ Home Assistant

    @property
    def exports(self) -> Mapping[str, ExportConfig]:
        """What is offered, by key."""
        return {key: one.config for key, one in self._gx.offered.items()}

    @property
    def entity_ids(self) -> frozenset[str]:
        """The entities that are needed."""
        return frozenset(
            entity_id
            for exporter in self._gx.exporters.values()
            for entity_id in exporter.config.every_entity()
        )

    def describe(self, *, fahrenheit: bool, words: Words) -> None:
        """Say how temperatures are told and how outputs are called."""
        self._fahrenheit, self._words = fahrenheit, words
        self._all_changed()

    def update(self, states: Iterable[EntityState]) -> None:
        """Take the states of entities that have changed."""
        for state in states:
            self._states[state.entity_id] = self._stored.capabilities.complete(state)
            if self._changed is not None:
                self._changed.add(state.entity_id)
        self._poke.set()

    def set_exports(self, told: Mapping[str, Any], forbidden: frozenset[str]) -> None:
        """Offer these from now on, without the entities that must not be exported."""
        exports, self.broken = read_exports(told)
        wanted = {key: one.without(forbidden) for key, one in exports.items()}
        wanted = {key: one for key, one in wanted.items() if not one.empty}
        now = self._clock.monotonic()
        for key, exporter in self._gx.offered.items():
            if wanted.get(key) != exporter.config:
                self._remove(key)
        for key in exports.keys() - wanted.keys():
            self.broken.setdefault(key, "none of its entities may be exported")
        for key, config in wanted.items():
            if key not in self._gx.exporters and not self._adopt(key, config):
                self._gx.add(key, self._exporter(key, config), now)
        self._stored.keep_only(told, self.entity_ids)
        self._all_changed()

    def _remove(self, key: str) -> None:
        """Take an export off the GX, and forget it."""
        exporter = self._gx.exporters[key]
        exporter.leave()
        self._drain_export(key, exporter)
        self._end_link(key)
        del self._gx.exporters[key]
        self._gx.trials.pop(key, None)

    def _adopt(self, key: str, config: ExportConfig) -> bool:
        """Keep what was tried out, if it is what is wanted now."""
        trial = self._gx.trial_of(config.client_id)
        if trial is None:
            return False
        if self._gx.exporters[trial].config != config:
            self._remove(trial)
            return False
        self._gx.adopt(trial, key)
        self._stored.memories[key] = self._gx.exporters[key].memory
        if trial in self._links:
            self._links[key] = self._links.pop(trial)
        if trial in self._clients:
            self._clients[key] = self._clients.pop(trial)
        self._watched = {(key if one == trial else one, topic) for one, topic in self._watched}
        return True

    async def try_out(self, told: Mapping[str, Any], states: Iterable[EntityState]) -> Tried | None:
        """Offer an export that is not made yet, and return what the GX makes of it.

        It stays until it is among :meth:`set_exports`, or :meth:`withdraw` takes it back. ``None``
        when the GX can't be asked now, or does not answer. Raises :class:`~.config.ConfigError`.
        """
        config = read_export(told)
        self.withdraw(config.client_id)
        if not self._gx.takes_trials:
            return None
        key = f"trial of {config.client_id}"
        exporter = Exporter(key, config, self.settings.version, Memory())
        self.update(states)
        now = self._clock.monotonic()
        self._gx.trials[key] = now + TRIAL
        self._gx.add(key, exporter, now)
        self._all_changed()
        self._feed()
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(REPLY_TIMEOUT):
                while exporter.reply is None and not report.refusal(exporter):
                    self._answered.clear()
                    await self._answered.wait()
        message = report.refusal(exporter)
        if exporter.reply is None:
            self.withdraw(config.client_id)
            return Tried({}, message) if message else None
        instances = exporter.reply.instances
        services = {
            ident: (kind, instances[ident])
            for ident, kind in exporter.services.items()
            if ident in instances
        }
        return Tried(services, message)

    def withdraw(self, client_id: str) -> None:
        """Take what was tried out off the GX again."""
        if (trial := self._gx.trial_of(client_id)) is not None:
            self._remove(trial)
            self._poke.set()

    def started(self) -> None:
        """Home Assistant has started."""
        self._feed()
        self._gx.start(self._clock.monotonic())
        self._poke.set()

    def _all_changed(self) -> None:
        self._changed = None
        self._poke.set()

    def _feed(self) -> None:
        """Hand what has changed to the exports."""
        if self._changed is not None and not self._changed:
            return
        changed = None if self._changed is None else frozenset(self._changed)
        self._changed = set()
        home = Home(self._states, self._fahrenheit, self._words)
        self._gx.home(home, changed, self._clock.monotonic())

    # ------------------------------------------------------------------------------- life

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled; then the exports leave the GX."""
        self._on_snapshot, self._on_occurrence = on_snapshot, on_occurrence
        self._sign()
        self._supervisor = Supervisor(
            "The broker of the GX",
            self._open,
            self._session,
            on_change=self._link_changed,
            clock=self._clock,
            statistics=self.statistics,
            backoff=self._backoff,
        )
        pump = asyncio.ensure_future(self._pump())
        try:
            await self._supervisor.run()
        finally:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            await self._opener.close()
            self._stored.save()

    def wake(self) -> None:
        """Try again at once."""
        if self._supervisor is not None:
            self._supervisor.wake()

    async def _open(self) -> Client:
        try:
            return await self._opener.connect(f"hardwired-{self._stored.token}", self._receive)
        except LinkError as error:
            self._backoff.refused = error.reason is Reason.WRONG_CODE
            raise

    async def _session(self, client: Client) -> None:
        try:
            filters = [
                protocol.SERIAL_FILTER,
                protocol.HELPER_TOPIC,
                protocol.DISCOVERY_TOPIC,
                protocol.DEVICES_TOPIC,
                *self._gx.replies(),
            ]
            self._client = client
            # What is retained comes with the subscription: the GX must be listening by then.
            self._gx.connect(self._clock.monotonic())
            if not await client.subscribe(filters):
                raise LinkError(Reason.NO_PERMISSION, "the broker refuses the subscriptions")
            self._poke.set()
            raise LinkError(Reason.DISCONNECTED, await asyncio.shield(client.ended))
        except ConnectionError as error:
            raise LinkError(Reason.DISCONNECTED, str(error)) from error
        finally:
            await self._leave(client)

    async def _leave(self, client: Client) -> None:
        """End all connections; devices whose connection still stands leave the GX."""
        self._client = None  # from here on nobody makes a new connection
        for key in list(self._links):
            self._end_link(key)
        links = list(self._ending.values())
        if links:
            await asyncio.wait(links, timeout=3.0)
        for client_id in self._gx.by_hand:
            client.publish(protocol.leave(client_id))
        self._gx.lose()
        self._hands.lost()
        await client.close()
        self._note(client)
        self._poke.set()

    def _link_changed(self, state: LinkState, reason: Reason | None, detail: str | None) -> None:
        match state:
            case LinkState.WAITING:
                self._reason, self._detail = reason, detail
                self._sign(min(self._supervisor.pause, 1e6) if self._supervisor else 0.0)
            case LinkState.UP:
                self._reason = self._detail = None
        self._publish_state()

    async def _link(self, exporter: Exporter) -> None:
        """Keep the connection of one export."""
        ladder, config = Ladder(), exporter.config
        client_id = config.client_id
        filters = [
            protocol.reply_topic(client_id),
            protocol.set_topic(client_id),
            protocol.error_topic(client_id),
        ]
        leaves = config.on_loss is OnLoss.LEAVE
        farewell = protocol.leave(client_id)
        will = Will(farewell.topic, farewell.payload) if leaves else None
        while True:
            try:
                client = await self._opener.connect(
                    f"hardwired-{self._stored.token}-{client_id}",
                    partial(self._receive_export, exporter),
                    will,
                )
            except LinkError as error:
                ladder.refused = error.reason is Reason.WRONG_CODE
                _LOGGER.debug("No connection for %s: %s", client_id, error)
            else:
                if await self._run_link(exporter, client, filters):
                    ladder.reset()
            await self._clock.sleep(ladder.next())

    async def _run_link(self, exporter: Exporter, client: Client, filters: list[str]) -> bool:
        """Use a connection until it ends; says whether it was of any use."""
        granted = False
        try:
            granted = await client.subscribe(filters)
            if granted:
                self._clients[exporter.key] = client
                self._feed()
                self._gx.link(exporter.key, self._clock.monotonic())
                self._answered.set()
                self._poke.set()
                await asyncio.shield(client.ended)
            else:
                exporter.refusal = "the broker refuses the subscriptions"
                self._answered.set()
        except ConnectionError as error:
            _LOGGER.debug("A connection of an export was lost: %s", error)
        finally:
            key = exporter.key  # another one than before when it was tried out first
            if self._gx.exporters.get(key) is exporter:
                if exporter.config.on_loss is OnLoss.LEAVE:
                    exporter.leave()
                    self._drain_export(key, exporter)
                self._gx.unlink(key)
            if self._clients.get(key) is client:
                del self._clients[key]
            self._watched = {one for one in self._watched if one[0] != key}
            await client.close()
            self._note(client)
            self._poke.set()
        return granted

    def _note(self, client: Client) -> None:
        self.statistics.bytes_in += client.bytes_in
        self.statistics.bytes_out += client.bytes_out
        if client.too_large:
            self.statistics.drops["too large"] += client.too_large
        if client.dropped:
            self.statistics.drops["not sent"] += client.dropped

    def _end_link(self, key: str) -> None:
        if (task := self._links.pop(key, None)) is not None:
            task.cancel()
            self._ending[key] = task
            task.add_done_callback(lambda _task: self._link_ended(key, task))

    def _link_ended(self, key: str, task: asyncio.Task[None]) -> None:
        if self._ending.get(key) is task:
            del self._ending[key]
            self._poke.set()

    # ------------------------------------------------------------------------------- the pump

    async def _pump(self) -> None:
        """Do what is due, whenever something has happened."""
        while True:
            try:
                due = self._turn()
            except Exception:
                # No message and no state may end the whole; what it was about comes again.
                _LOGGER.exception("Something was not dealt with")
                due = self._clock.monotonic() + 1.0
            self._sign()
            self._poke.clear()
            pause = max(0.0, min(IDLE, due - self._clock.monotonic()))
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(pause):
                    await self._poke.wait()

    def _turn(self) -> float:
        now = self._clock.monotonic()
        self._feed()
        for key in [key for key, until in self._gx.trials.items() if now >= until]:
            self._remove(key)
        self._gx.tick(now)
        self._reconcile()
        self._drain()
        self._publish_state()
        self._stored.save()
        due = self._gx.due(now)
        return now + IDLE if due is None else due

    def _reconcile(self) -> None:
        """Have a connection for each export while the GX is there."""
        if self._supervisor is not None and self._gx.connected:
            self._supervisor.proven()
        if not self._gx.connected or self._client is None:
            return
        for key, exporter in self._gx.exporters.items():
            if key not in self._links and key not in self._ending:
                self._links[key] = asyncio.ensure_future(self._link(exporter))
            topic = exporter.watched
            client = self._clients.get(key)
            if topic is not None and client is not None and (key, topic) not in self._watched:
                self._watched.add((key, topic))
                self._spawn(client.subscribe([topic]))

    def _drain(self) -> None:
        """Carry out what the state machines have decided."""
        actions, self._gx.actions = self._gx.actions, []
        for message in actions:
            self._send(self._client, message)
        for key, exporter in list(self._gx.exporters.items()):
            self._drain_export(key, exporter)

    def _drain_export(self, key: str, exporter: Exporter) -> None:
        actions, exporter.actions = exporter.actions, []
        for action in actions:
            match action:
                case Message():
                    self._send(self._clients.get(key), action)
                case StartCall(number, call):
                    self._spawn(self._call(exporter, number, call.service, call.data))
                case Setting():
                    self._tell(key, action)

    def _send(self, client: Client | None, message: Message) -> None:
        if client is not None and client.publish(message):
            self.statistics.frames_out += 1
            self._record(Direction.OUT, message.topic, message.payload)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.debug("Something in the background has failed: %s", error)

    async def _call(
        self, exporter: Exporter, number: int, service: str, data: Mapping[str, Any]
    ) -> None:
        """Call a service; after its time it goes on without being waited for."""
        done = False
        if self.host is not None:
            work = asyncio.ensure_future(self.host.call(service, data))
            self._calls.add(work)
            work.add_done_callback(self._ended)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(CALL_TIMEOUT):
                    await asyncio.wait({work})
            done = work.done() and not work.cancelled() and work.exception() is None
        self._feed()
        exporter.called(number, done, self._clock.monotonic())
        self._poke.set()

    def _tell(self, key: str, setting: Setting) -> None:
        if self._on_occurrence is None or key not in self._snapshot.devices:
            return
        value = setting.value
        shown = value if isinstance(value, (bool, int, float, str)) else json.dumps(value)
        self._on_occurrence(
            Told(
                self._snapshot.devices[key].device,
                "command",
                "set",
                self._clock.now(),
                {"service": setting.service, "path": setting.path, "value": shown},
            )
        )

    # ------------------------------------------------------------------------------- messages

    def _receive(self, topic: str, payload: bytes) -> None:
        now = self._heard(topic, payload)
        if topic == protocol.DEVICES_TOPIC:
            self._hands.listed()
        elif topic.startswith("device/"):
            self._hands.replied(topic.split("/")[1], payload)
        else:
            self._gx.receive(topic, payload, now)
        self._poke.set()

    def _receive_export(self, exporter: Exporter, topic: str, payload: bytes) -> None:
        now = self._heard(topic, payload)
        self._feed()
        self._gx.receive_export(exporter.key, topic, payload, now)
        self._answered.set()
        self._poke.set()

    def _heard(self, topic: str, payload: bytes) -> float:
        self.statistics.frames_in += 1
        self.statistics.last_frame = self._clock.now()
        self._record(Direction.IN, topic, payload)
        return self._clock.monotonic()

    def _record(self, direction: Direction, topic: str, payload: bytes) -> None:
        text = report.shown(Message(topic, payload[:LONGEST_FRAME]))
        self.frames.add(self._clock.now(), direction, text.encode())

    # ------------------------------------------------------------------------------- commands

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out what entities and actions wish."""
        match command.name:
            case "set":
                await self._set(command)
                return {}
            case "register":
                return await self._hands.register(command.options)
            case "unregister":
                self._hands.unregister(command.options)
                return {}
            case "send":
                self._hands.send(command.options)
                return {}
            case "forget":
                await self._hands.forget(command.options)
                return {}
        raise InvalidCommand(f"there is no command {command.name}")

    async def _set(self, command: Command) -> None:
        if command.device == report.HELPER_ID and "helper_announce" in command.values:
            client = self._hands.connected()
            self._send(client, Message(protocol.DISCOVERY_TOPIC, b"", 1))
            return
        exporter = self._gx.exporters.get(command.device)
        if exporter is None:
            raise InvalidCommand(f"there is no export {command.device}")
        now = self._clock.monotonic()
        for key, value in command.values.items():
            if key == "enabled" and isinstance(value, bool):
                self._stored.enable(command.device, value)
                exporter.enable(value, now)
            elif key == "register":
                self._hands.connected()
                exporter.ask(now)
            else:
                raise InvalidCommand(f"{key} can't be set")
        self._poke.set()

    # --------------------------------------------------------------------------- what is known

    def _publish_state(self) -> None:
        gx, now = self._gx, self._clock.monotonic()
        reason, detail = self._reason, self._detail
        if gx.connected:
            reason = detail = None
        elif gx.other is not None:
            reason, detail = Reason.WRONG_DEVICE, "another GX answers under this address"
        elif gx.waiting_for_serial:
            reason = Reason.NO_ANSWER if reason is not Reason.STARTING else reason
        self._publish_snapshot(
            Snapshot(
                devices=report.devices(gx, self._clock),
                connected=gx.connected,
                reason=None if gx.connected else reason or Reason.DISCONNECTED,
                detail=detail,
                notices=(
                    *report.notices(gx, self.broken, now, refused=reason is Reason.WRONG_CODE),
                    *self.extra_notices,
                ),
            )
        )

    def refresh(self) -> None:
        """Publish what has changed beside the wire: notices of the face."""
        self._poke.set()

    def secrets(self) -> Iterable[str]:
        """Return who the GX is, how one gets in, and how devices are called."""
        yield from super().secrets()
        address = self.settings.address
        if address is not None:
            yield from (one for one in (address.host, address.user, address.password) if one)
        yield from (one for one in (self._gx.portal, self._gx.expected, self._gx.other) if one)
        for exporter in self._gx.exporters.values():
            yield exporter.config.name
            yield exporter.config.client_id

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the driver, the exports and their counters."""
        return report.diagnostics(self._gx)
