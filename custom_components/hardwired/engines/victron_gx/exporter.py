"""One export on the wire: registering, sending, carrying out what the GX sets (spec H.5).

A state machine without a clock of its own: every method takes the monotonic time, and what is to
be done waits in :attr:`Exporter.actions`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from . import protocol
from .config import ExportConfig, OnLoss
from .export import Plan, plan, rejected, signature
from .home import Home, Json
from .outcome import Call, Ignore, Remember, WriteBack
from .protocol import Helper, Message, Reply, Setting
from .templates.thermostat import mode_index

REPLY_TIMEOUT = 5.0
RETRY = 30.0
SPACING = 1.0
"""Seconds between two messages of one service."""
REPEAT = 60.0
QUIET = 0.3
QUIET_AT_MOST = 1.0
"""How long a slider is waited for."""
ECHO = 2.0
LATE_ECHO = 5.0
"""How long the echo of a value may take that something else has followed meanwhile."""
IN_FLIGHT = 0.5
"""How long a value that was sent may not have reached the GX."""
FOLLOW = 10.0
"""How long an entity may take to follow."""
MOVING_AT_MOST = 120.0
SLIDERS = frozenset({"Dimming", "LightControls"})
_MOVING = frozenset({"opening", "closing"})

Key: TypeAlias = tuple[str, str]
"""Service id and path."""


@dataclass(frozen=True, slots=True)
class StartCall:
    """A service is to be called; :meth:`Exporter.called` is told how it ended."""

    number: int
    call: Call


Action: TypeAlias = Message | StartCall | Setting
"""What is to be done: publish, call, or tell what the GX has set."""


@dataclass(slots=True)
class Memory:
    """What an export keeps over restarts."""

    last_mode: int = 0
    named: bool = False


@dataclass(slots=True)
class _Waiting:
    """A slider that may still move."""

    value: Json
    first: float
    due: float


@dataclass(slots=True)
class _Wish:
    """A call that is under way or has been made, until the entity has followed."""

    key: Key
    call: Call
    number: int
    before: Json
    started: float
    until: float
    finished: bool = False


@dataclass(slots=True)
class Counters:
    """What is counted of an export."""

    errors: int = 0
    refused: int = 0
    sets: int = 0
    messages: int = 0


@dataclass(slots=True)
class _Echo:
    value: Json
    at: float


@dataclass(slots=True)
class _Queue:
    """The calls of one entity: one at a time, the newest wish of a path counts."""

    running: _Wish | None = None
    waiting: dict[Key, Call] = field(default_factory=dict)

    def runs(self, number: int) -> bool:
        """Whether the call of this number is under way."""
        return self.running is not None and self.running.number == number


class Exporter:
    """One export."""

    def __init__(
        self,
        key: str,
        config: ExportConfig,
        version: str,
        memory: Memory,
        *,
        enabled: bool = True,
    ) -> None:
        self.key = key
        self.config = config
        self.memory = memory
        self.enabled = enabled
        self.counters = Counters()
        self.actions: list[Action] = []
        self.reply: Reply | None = None
        self.refusal: str | None = None
        self.last_sent: float | None = None
        self.last_payload: Message | None = None
        self._version = version
        self._home = Home()
        self._plan: Plan | None = None
        self._signature: tuple[Any, ...] = ()
        self._rejected: frozenset[tuple[str, str]] = frozenset()
        self._helper: Helper | None = None
        self._portal: str | None = None
        self._there = False
        self._ready = False
        self._retry_at: float | None = None
        self._sent: dict[Key, Json] = {}
        self._echoes: dict[Key, _Echo] = {}
        self._unheard: dict[Key, list[_Echo]] = {}
        self._known: dict[Key, _Echo] = {}
        self._sent_at: dict[str, float] = {}
        self._flush_at: float | None = None
        self._repeat_at = math.inf
        self._waiting: dict[Key, _Waiting] = {}
        self._queues: dict[str, _Queue] = {}
        self._wishes: dict[Key, _Wish] = {}
        self._numbers = itertools.count(1)
        self._in_step: set[str] = set()

    # ------------------------------------------------------------------------------ state

    @property
    def registered(self) -> bool:
        """Whether it is on the GX."""
        return self.reply is not None and bool(self.reply.topics)

    @property
    def there(self) -> bool:
        """Whether the GX is there, and it is known what its driver knows."""
        return self._there

    @property
    def plan(self) -> Plan | None:
        """What it is now."""
        return self._plan

    @property
    def services(self) -> dict[str, str]:
        """The services that the driver on the GX knows."""
        if self._plan is None:
            return {}
        knows = (
            protocol.REFERENCE_TYPES.__contains__ if self._helper is None else self._helper.knows
        )
        return {ident: kind for ident, kind in self._plan.types.items() if knows(kind)}

    @property
    def unknown_types(self) -> tuple[str, ...]:
        """The types of services that the driver does not know."""
        if self._plan is None:
            return ()
        known = self.services
        return tuple(kind for ident, kind in self._plan.types.items() if ident not in known)

    @property
    def watched(self) -> str | None:
        """The notifications to listen to, where the driver tells nothing by itself (spec H.5)."""
        if self.reply is None or self.reply.extensions or self._plan is None:
            return None
        for service in self._plan.services:
            if service.type == "evcharger" and service.controls:
                topic = self.reply.topics.get(service.id)
                return None if topic is None else f"N{topic[1:]}/#"
        return None

    @property
    def due(self) -> float | None:
        """When :meth:`tick` has something to do."""
        moments = [one.due for one in self._waiting.values()]
        moments += [one.until for one in self._wishes.values()]
        if self._retry_at is not None:
            moments.append(self._retry_at)
        if self.registered:
            moments.append(self._repeat_at)
            if self._flush_at is not None:
                moments.append(self._flush_at)
        return min(moments, default=None)

    # ---------------------------------------------------------------------------- what happens

    def present(self, portal: str, helper: Helper | None, now: float) -> None:
        """The GX is there; registers."""
        self._portal, self._helper, self._there = portal, helper, True
        self.ask(now)

    def absent(self) -> None:
        """The GX, its driver or the connection is gone; nothing is carried out later."""
        self._there = False
        self._forget()

    def start(self, now: float) -> None:
        """Home Assistant has started: entities are what they are."""
        if not self._ready:
            self._ready = True
            self.ask(now)

    def enable(self, on: bool, now: float) -> None:
        """Offer it to the GX, or take it away."""
        if on == self.enabled:
            return
        self.enabled = on
        if on:
            self.ask(now)
        else:
            self.leave()

    def leave(self) -> None:
        """Take the device off the GX."""
        if self._there:
            self._publish(protocol.leave(self.config.client_id))
        self._forget()

    def home(self, home: Home, now: float) -> None:
        """Entities have changed."""
        self._home = home
        self._make_plan()
        assert self._plan is not None
        found = rejected(self.config, home)
        self.counters.errors += len(found - self._rejected)
        self._rejected = found
        told = signature(self._plan)
        if told != self._signature:
            self._signature = told
            self.ask(now)
        self._settle(now)
        self._flush(now)

    def ask(self, now: float) -> None:
        """Register, if it can be."""
        self._forget()
        services = self.services
        if not (self._there and self._ready and self.enabled and services):
            return
        self._publish(self.registration(services))
        self._retry_at = now + REPLY_TIMEOUT

    def registration(self, services: Mapping[str, str]) -> Message:
        """Return the Status that registers it."""
        assert self._plan is not None
        options = {key: one for key, one in self._plan.options.items() if key in services}
        keep = self.config.on_loss is OnLoss.KEEP
        return protocol.status(
            protocol.register(self.config.client_id, self._version, services, options, keep=keep)
        )

    def replied(self, payload: bytes, now: float) -> None:
        """The driver has answered."""
        if not (self._there and self._ready and self.enabled):
            return
        reply = protocol.read_reply(payload, self.services)
        if reply is None or reply.portal != self._portal:
            return
        self._forget()
        self.reply, self.refusal = reply, None
        if not reply.topics:
            self._retry_at = now + RETRY
            return
        self._repeat_at = now + REPEAT
        if not reply.extensions and not self.memory.named:
            self._name(reply)
        self._flush(now)

    def errored(self, payload: bytes, now: float) -> None:
        """The driver has refused; it is asked again later."""
        text = protocol.read_error(payload)
        if text is not None and self._there and not self.registered:
            self.refusal = text
            self._retry_at = now + RETRY

    def notified(self, topic: str, payload: bytes, now: float) -> None:
        """The gateway tells a value, where the driver does not (spec H.5).

        Only when it has once been what was sent: an old wish is nobody's wish now.
        """
        told = protocol.read_notification(topic, payload)
        service = None if self._plan is None else self._evcharger()
        if told is None or service is None or told[0] not in service.controls:
            return
        path, value = told
        if same(self._sent.get((service.id, path)), value):
            self._in_step.add(path)
            self._unheard.pop((service.id, path), None)
        elif path in self._in_step:
            self._in_step.discard(path)
            self.set(Setting(service.id, path, value), now)

    def _evcharger(self) -> Any:
        assert self._plan is not None
        return next((one for one in self._plan.services if one.type == "evcharger"), None)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._retry_at is not None and now >= self._retry_at:
            services = self.services
            if self._there and self._ready and self.enabled and services:
                self._publish(self.registration(services))
                self._retry_at = now + RETRY
            else:
                self._retry_at = None
        for key, waiting in list(self._waiting.items()):
            if now >= waiting.due:
                del self._waiting[key]
                self._carry_out(key, waiting.value, now)
        self._settle(now)
        self._flush(now)

    # ------------------------------------------------------------------------ what the GX sets

    def set(self, setting: Setting, now: float) -> None:
        """The GX has set a value."""
        key = (setting.service, setting.path)
        service = None if self._plan is None else self._plan.service(setting.service)
        if not self.registered or service is None or setting.path not in service.controls:
            return
        self._know(key, setting.value, now)
        if self._is_echo(key, setting.value, now):
            return
        self._echoes.pop(key, None)
        in_flight = [one for one in self._unheard.pop(key, ()) if now - one.at <= IN_FLIGHT]
        if in_flight:
            self._unheard[key] = [*in_flight, _Echo(_A_WISH, now)]
        self.counters.sets += 1
        self.actions.append(setting)
        if not self.config.controls:
            self._write_back(key, now)
            return
        row = setting.path.rpartition("/")[2]
        if row in SLIDERS:
            known = self._waiting.get(key)
            first = now if known is None else known.first
            due = min(now + QUIET, first + QUIET_AT_MOST)
            self._waiting[key] = _Waiting(setting.value, first, due)
            return
        self._end_waiting(key, setting.value, now)
        self._carry_out(key, setting.value, now)

    def _is_echo(self, key: Key, value: Json, now: float) -> bool:
        """Whether a value that was set is one that we have sent.

        What we send comes back in its order. On a slow way that may be after the next was sent, or
        after a wish: carried out, it would undo what has happened since.
        """
        unheard = self._unheard.get(key, [])
        for place, sent in enumerate(unheard):
            if now - sent.at <= LATE_ECHO and same(sent.value, value):
                self._unheard[key] = unheard[place + 1 :]
                if unheard[place + 1 :]:
                    self._write_back(key, now)  # in case that somebody did set it
                    return True
                break
        last = self._echoes.get(key)
        return last is not None and now - last.at <= ECHO and same(last.value, value)

    def _end_waiting(self, key: Key, value: Json, now: float) -> None:
        """A switch was touched while its slider may still move: off is off, on is after it."""
        service, path = key
        output = path.rpartition("/")[0]
        for other in list(self._waiting):
            if output and other[0] == service and other[1].startswith(f"{output}/"):
                waiting = self._waiting.pop(other)
                if same(value, 0):
                    self._sent.pop(other, None)
                else:
                    self._carry_out(other, waiting.value, now)

    def _carry_out(self, key: Key, value: Json, now: float) -> None:
        assert self._plan is not None
        match self._plan.wish(*key, value):
            case Ignore():
                pass
            case WriteBack():
                self._write_back(key, now)
            case Remember(index):
                self.memory.last_mode = index
                self._make_plan()
                self._write_back(key, now)
            case Call() as call:
                self._queue(key, call, now)

    def _queue(self, key: Key, call: Call, now: float) -> None:
        queue = self._queues.setdefault(call.entity_id, _Queue())
        queue.waiting.pop(key, None)
        queue.waiting[key] = call
        if queue.running is None:
            self._start_next(call.entity_id, now)

    def _start_next(self, entity_id: str, now: float) -> None:
        queue = self._queues[entity_id]
        if not queue.waiting:
            del self._queues[entity_id]
            return
        key = next(iter(queue.waiting))
        call = queue.waiting.pop(key)
        wish = _Wish(key, call, next(self._numbers), self._wanted(key), now, now + FOLLOW)
        queue.running = self._wishes[key] = wish
        self.actions.append(StartCall(wish.number, call))

    def called(self, number: int, done: bool, now: float) -> None:
        """A service call has ended; *done*: without an error and in time."""
        queue = next((one for one in self._queues.values() if one.runs(number)), None)
        if queue is None or queue.running is None:
            return
        wish, queue.running = queue.running, None
        wish.finished = True
        if self._wishes.get(wish.key) is wish and not done:
            self._refuse(wish, now)
        self._start_next(wish.call.entity_id, now)
        self._settle(now)
        self._flush(now)

    def _settle(self, now: float) -> None:
        """End the wishes whose entities have followed, and those whose time is over."""
        for wish in list(self._wishes.values()):
            present = self._wanted(wish.key)
            moved = wish.finished or not same(present, wish.before)
            if present is None or (moved and agrees(wish.call, present)):
                del self._wishes[wish.key]
                self._write_back(wish.key, now)
            elif now >= wish.until:
                state = self._home.state(wish.call.entity_id)
                if state.state in _MOVING and now < wish.started + MOVING_AT_MOST:
                    wish.until = now + FOLLOW
                else:
                    self._refuse(wish, now)

    def _refuse(self, wish: _Wish, now: float) -> None:
        self._wishes.pop(wish.key, None)
        self.counters.refused += 1
        self._write_back(wish.key, now)

    def _write_back(self, key: Key, now: float) -> None:
        """Send a value again, and the status of its output, which the driver has changed."""
        service, path = key
        self._sent.pop(key, None)
        output, _, _ = path.rpartition("/")
        self._sent.pop((service, f"{output}/Status"), None)
        self._flush(now)

    # -------------------------------------------------------------------------------- sending

    def _wanted(self, key: Key) -> Json:
        service = None if self._plan is None else self._plan.service(key[0])
        return None if service is None else service.values.get(key[1])

    def _held(self, key: Key) -> bool:
        """Whether a value waits for what becomes of a wish."""
        service, path = key
        output, _, row = path.rpartition("/")
        if row == "Status" and output:
            return any(
                other[0] == service and other[1].startswith(f"{output}/") and self._held(other)
                for other in (*self._waiting, *self._wishes)
            )
        if key in self._waiting:
            return True
        wish = self._wishes.get(key)
        return wish is not None and same(self._wanted(key), wish.before)

    def _flush(self, now: float) -> None:
        reply, found = self.reply, self._plan
        if reply is None or found is None or not reply.topics:
            return
        if now >= self._repeat_at:
            self._sent.clear()
            self._repeat_at = now + REPEAT
        moments = []
        for service in found.services:
            if service.id not in reply.topics:
                continue
            changed = {
                path: value
                for path, value in service.values.items()
                if self._differs((service.id, path), value)
            }
            if not changed:
                continue
            free_at = self._sent_at.get(service.id, -math.inf) + SPACING
            if now < free_at:
                moments.append(free_at)
                continue
            self._send(service.id, changed, now)
        self._flush_at = min(moments, default=None)

    def _differs(self, key: Key, value: Json) -> bool:
        if key in self._sent and same(self._sent[key], value):
            return False
        return not self._held(key)

    def _send(self, ident: str, changed: Mapping[str, Json], now: float) -> None:
        assert self.reply is not None
        for message in protocol.values(self.config.client_id, self.reply, ident, changed):
            self._publish(message)
        for path, value in changed.items():
            self._sent[ident, path] = value
            self._note_sent((ident, path), value, now)
        self._sent_at[ident] = self.last_sent = now

    def _note_sent(self, key: Key, value: Json, now: float) -> None:
        """Remember what may come back; what the GX has already does not."""
        self._echoes[key] = _Echo(value, now)
        if self._know(key, value, now) <= LATE_ECHO:
            unheard = [one for one in self._unheard.get(key, ()) if now - one.at <= LATE_ECHO]
            self._unheard[key] = [*unheard, _Echo(value, now)]

    def _know(self, key: Key, value: Json, now: float) -> float:
        """Note what the GX has; returns for how many seconds it has had it."""
        known = self._known.get(key)
        if known is None or not same(known.value, value):
            known = self._known[key] = _Echo(value, now)
        return now - known.at

    def _name(self, reply: Reply) -> None:
        """Tell a driver that reads no options the names and kinds once (spec H.2)."""
        assert self._plan is not None
        for service in self._plan.services:
            if service.id in reply.topics:
                told = dict(service.options.get("defaults", {}))
                told["CustomName"] = service.options["name"]
                if told.get("TemperatureType", 0) > 2:
                    del told["TemperatureType"]
                for message in protocol.values(self.config.client_id, reply, service.id, told):
                    self._publish(message)
        self.memory.named = True

    def _publish(self, message: Message) -> None:
        self.counters.messages += 1
        self.last_payload = message
        self.actions.append(message)

    def _make_plan(self) -> None:
        if self.config.entity:
            index = mode_index(self._home.state(self.config.entity))
            if index is not None:
                self.memory.last_mode = index
        self._plan = plan(self.config, self._home, self.memory.last_mode)

    def _forget(self) -> None:
        self.reply = None
        self._retry_at = self._flush_at = None
        self._repeat_at = math.inf
        self._sent.clear()
        self._known.clear()
        # What was sent may still come back: a driver that starts is registered with twice.
        self._waiting.clear()
        self._wishes.clear()
        self._in_step.clear()
        for entity_id, queue in list(self._queues.items()):
            queue.waiting.clear()
            if queue.running is None:
                del self._queues[entity_id]


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same; 1 is 1.0 and not true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return type(one) is type(other) and one == other
    return bool(one == other)


_A_WISH: Json = object()
"""In the row of what was sent: here somebody has set a value."""
_COLOUR_SLACK = (5, 4, 2, 2, 100)


def agrees(call: Call, present: Json) -> bool:
    """Whether an entity has followed a call: it shows what was wished, as exactly as it can."""
    expected = call.expected
    if isinstance(expected, list) and isinstance(present, list):
        if len(expected) != len(present) or len(expected) != len(_COLOUR_SLACK):
            return False
        if expected[2] == 0 or present[2] == 0:
            return bool(expected[2] == present[2])
        apart = [abs(a - b) for a, b in zip(expected, present, strict=True)]
        apart[0] = min(apart[0], 360 - apart[0])
        by_white = expected[0] == expected[1] == 0 and expected[4] > 0
        checked = (2, 4) if by_white else (0, 1, 2)
        return all(apart[place] <= _COLOUR_SLACK[place] for place in checked)
    if isinstance(expected, float) and isinstance(present, (int, float)):
        slack = 1.0 if call.service.startswith("light.") else 0.011
        return abs(expected - present) <= slack
    return same(expected, present)
