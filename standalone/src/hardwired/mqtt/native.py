"""Our own dialect: topics for people and programs, discovery for Home Assistant (spec c.1-c.9).

Pure but for its memory of what was announced, which it hands to a store. What it publishes
follows from the newest snapshots; while there is no connection it says nothing but events.
"""

from __future__ import annotations

import json
import logging
import platform
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hardwired_engines.composite import Part
from hardwired_engines.engine import (
    Command,
    Device,
    DeviceState,
    InvalidCommand,
    Message,
    Notice,
    Occurrence,
    Severity,
    Snapshot,
)
from hardwired_engines.fields import Quantity
from hardwired_engines.plain import plain

from ..bridge import sink as contract
from ..bridge.sink import (
    Action,
    Hub,
    LinkView,
    Moment,
    Outcome,
    Publication,
    Store,
    Traffic,
    Verb,
    Wish,
)
from ..compat.adopting import Old, old_of
from . import requests
from .adoption import PAUSE, Move, Phase, emptied, leaving
from .announcement import ORIGIN, Announced, announce, bridge_ident, compact, gone
from .bridge_device import CONNECTED, FAILURES, OTHER, BridgeDevice
from .components import Naming, Place
from .native_device import ANNOUNCE_EVERY, DeviceVoice, Manner
from .requests import Request, RequestRefused
from .texts import names
from .topics import SetTopic, Topics, slug
from .values import OFF, OFFLINE, ON, ONLINE, read_payload, read_wish

_LOGGER = logging.getLogger(__name__)

PROTOCOL = 1
HEALTH_EVERY = 60.0
LOOK_EVERY = 2.0
"""Seconds between two looks at what tells nobody when it changes: sinks, log level, notices."""
HEARD_WITHIN = 5.0
"""Seconds within which our own words must come back."""
BIRTH_WAIT = (1.0, 3.0)
BIRTHS_ARE_ONE = 10.0
BIRTH_SLICE, BIRTH_PAUSE = 50, 0.25
"""After a birth at most 200 messages a second."""
REQUEST_RATE, REQUEST_BURST = 5.0, 20.0
COMPLAIN_EVERY = 60.0
MOST_WARNED = 1000
AT_ONCE_FOR = 5.0
"""Seconds for which a device's states go out at once after a command."""


@dataclass(frozen=True, slots=True)
class _SetTicket:
    topic: str
    voice: DeviceVoice
    key: str
    role: str | None


@dataclass(frozen=True, slots=True)
class _RequestTicket:
    request: Request


@dataclass(slots=True)
class _LinkMemory:
    view: LinkView
    snapshot: Snapshot
    voices: dict[str, DeviceVoice]


class NativeDialect:
    """The native dialect of one MQTT sink. *settings* is the sink's table with all defaults."""

    name = "native"

    def __init__(
        self,
        sink: str,
        settings: Mapping[str, Any],
        hub: Hub,
        store: Store,
        *,
        chance: random.Random | None = None,
    ) -> None:
        self._sink = sink
        self._settings = settings
        self._hub = hub
        self._store = store
        self._chance = chance or random.Random()  # noqa: S311 - spreads births, no secret
        self.topics = Topics(settings.get("prefix", "hardwired"), _discovery_prefix(settings))
        self._read_only = bool(settings.get("read_only") or hub.settings.get("read_only"))
        self._manner = Manner(
            topics=self.topics,
            version=hub.version,
            qos=settings.get("qos", 0),
            json=settings.get("json", False),
            discovery=settings.get("discovery", True),
            extras=settings.get("extras", True),
            times=settings.get("times", "entities") == "entities",
            read_only=self._read_only,
            max_payload=settings.get("max_payload", 128 * 1024),
            language=hub.settings.get("language", "en"),
        )
        memory = store.load()
        self._announced: dict[str, Announced] = dict(memory.get("announced") or {})
        self._leaves: dict[str, list[str]] = dict(memory.get("topics") or {})
        self._adopted: dict[str, str] = dict(memory.get("adopted") or {})
        """By ident the old program whose entities have moved to us."""
        self._moves: dict[str, Move] = {}
        self._links: dict[str, _LinkMemory] = {}
        self._owners: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._connected = False
        self._boot = secrets.token_hex(4)
        self._events = 0
        self._births: list[Callable[[], Iterable[Publication]]] = []
        self._birth_at: float | None = None
        self._last_birth: float | None = None
        self._next_slice = 0.0
        self._next_health = 0.0
        self._next_look = 0.0
        self._heard_by: float | None = None
        self._hurried: dict[tuple[str, str], float] = {}
        self._tokens, self._tokens_at = REQUEST_BURST, 0.0
        self._complained: dict[str, float] = {}
        self._warned: dict[str, None] = {}
        self.ignored: Counter[str] = Counter()
        """Messages that were for nobody, by reason."""
        self.deaf = False
        """Whether the broker takes our messages and does not pass them on."""

    # ------------------------------------------------------------------------ the connection

    @property
    def links(self) -> frozenset[str]:
        """The links of which it speaks."""
        return frozenset(
            name
            for name, view in self._hub.links.items()
            if view.settings.get("native", True) and self._sink in _sinks_of(view, self._sink)
        )

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Topic filters, each with its QoS."""
        topics = self.topics
        found = [] if self._read_only else list(topics.set_filters())
        if self._settings.get("requests", True):
            found.append(topics.request("+"))
        found += [topics.bridge("info"), topics.birth]
        return [(topic, 1) for topic in found]

    @property
    def ready(self) -> bool:
        """It always knows its will."""
        return True

    @property
    def will(self) -> Publication | None:
        """The last will."""
        return self._state(OFFLINE)

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Say everything anew: who we are, the devices, discovery, states, then *online*."""
        self._connected = True
        self._texts.clear()
        self._births.clear()
        self._moves.clear()
        self._birth_at = None
        self._heard_by = now.monotonic + HEARD_WITHIN
        self._next_health = now.monotonic + HEALTH_EVERY
        self._next_look = now.monotonic + LOOK_EVERY
        for link, snapshot in links.items():
            if link in self.links:
                self._remember(link, snapshot)
        found: list[Action] = [*self._forgotten(), self._info(), self._devices()]
        found += [voice.about() for voice in self._voices()]
        found += self._bridge_device()
        for voice in self._voices():
            found += self._announce(voice, now)
        for memory in self._links.values():
            found += self._link(memory, now)
        for voice in self._voices():
            found += voice.values()
        found += self._looks()
        found += [voice.availability() for voice in self._voices()]
        found.append(self._state(ONLINE))
        self._note(found)
        self._save()
        return found

    def disconnected(self, now: Moment) -> None:
        """Say no more but events."""
        self._connected = False
        for voice in self._voices():
            voice.said = None
        self._births.clear()
        self._birth_at = self._heard_by = None

    def stopping(self, now: Moment) -> list[Action]:
        """Say that the bridge goes; the devices' availability stays."""
        return [self._state(OFFLINE)]

    @property
    def remembers(self) -> bool:
        """Whether it knows what was announced before."""
        return bool(self._announced)

    def recall(self, retained: Mapping[str, bytes]) -> None:
        """Learn from the broker what was announced under this prefix (spec c.8)."""
        for topic, payload in retained.items():
            ident, platforms = _announced_in(payload, self.topics.state)
            if ident is not None and platforms:
                self._announced[ident] = {**self._announced.get(ident, {}), topic: platforms}

    # ------------------------------------------------------------------------ what is known

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Say what has changed on a link."""
        if link not in self.links:
            return []
        known = self._links.get(link)
        old = {} if known is None else dict(known.voices)
        changed = self._remember(link, after)
        if not self._connected:
            return []
        memory = self._links[link]
        found: list[Action] = []
        listed = False
        for ident, voice in memory.voices.items():
            if ident not in old:
                listed = True
                found += [voice.about(), *self._announce(voice, now), *voice.values()]
                found.append(voice.availability())
            elif ident in changed:
                if changed[ident]:
                    listed = True
                    found += self._renew(voice, now)
                found += [*voice.news(), voice.availability()]
        found = [*self._link(memory, now), *found]
        if listed:
            found.insert(0, self._devices())
        return self._new(found, now)

    def _remember(self, link: str, snapshot: Snapshot) -> dict[str, bool]:
        """Take a snapshot; return which devices changed, each with whether its shape did."""
        view = self._hub.links[link]
        memory = self._links.get(link)
        if memory is None:
            memory = self._links[link] = _LinkMemory(view, snapshot, {})
        memory.view, memory.snapshot = view, snapshot
        changed: dict[str, bool] = {}
        for ident, state in snapshot.devices.items():
            voice = memory.voices.get(ident)
            if voice is None:
                voice = memory.voices[ident] = self._voice(view, state)
                voice.take(state)
                changed[ident] = True
            elif voice.state is not state or not voice.present:
                voice.present = True
                changed[ident] = voice.take(state)
        for ident, voice in memory.voices.items():
            if ident not in snapshot.devices and voice.present:
                voice.present = False
                changed[ident] = False
        for voice in memory.voices.values():
            voice.via = self._via(view, voice.state.device, snapshot)
        return changed

    def _voice(self, view: LinkView, state: DeviceState) -> DeviceVoice:
        device = state.device
        place = self._place(view, device)
        kind = device.kind
        owner = self._owners.setdefault(place.ident, view.name)
        if owner != view.name:
            _LOGGER.warning("%s: %s is announced by %s already", view.name, device.id, owner)
        old = self._old(view, state)
        return DeviceVoice(
            self._manner,
            view,
            place,
            state,
            naming=Naming(
                suffix=partial(view.factory.suffix, kind),
                texts=names(view.family, kind, self._manner.language),
                ids={} if old is None else old.ids,
            ),
            identifiers=() if old is None else old.identifiers,
            muted=owner != view.name,
        )

    def _old(self, view: LinkView, state: DeviceState) -> Old | None:
        """Return what the old program that the owner names announced of a device (spec d.4)."""
        dialect = view.settings.get("adopt")
        if not dialect:
            return None
        return old_of(dialect, state, view.settings, self.topics.discovery)

    def _place(self, view: LinkView, device: Device) -> Place:
        own = view.known.get(device.id) or slug(device.id)
        scope = own if view.factory.identified(device) else f"{view.name}_{own}"
        return Place(f"hardwired_{slug(scope)}", view.name, own, self.topics)

    def _via(self, view: LinkView, device: Device, snapshot: Snapshot) -> str:
        via = device.via
        if via is None or via == device.id:
            return bridge_ident(self._hub.settings.get("id", "hardwired"))
        behind = snapshot.devices.get(via)
        found = behind.device if behind is not None else Device(via, device.kind, via)
        return self._place(view, found).ident

    def _voices(self) -> Iterator[DeviceVoice]:
        for memory in self._links.values():
            yield from memory.voices.values()

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Tell of an event."""
        memory = self._links.get(link)
        if memory is None or not isinstance(occurrence, Message):
            return []
        voice = memory.voices.get(occurrence.device.id)
        if voice is None:
            return []
        self._events += 1
        told = voice.event(occurrence, f"{self._boot}-{self._events}")
        return [] if told is None else [told]

    # ------------------------------------------------------------------------ saying

    def _new(self, found: Iterable[Action], now: Moment) -> list[Action]:
        """Return what differs from what was said last."""
        fresh: list[Action] = []
        for action in found:
            if not isinstance(action, Publication) or not action.retain:
                fresh.append(action)
                continue
            known = self._texts.get(action.topic) == action.payload
            if known and action.traffic is not Traffic.DISCOVERY:
                continue
            self._texts[action.topic] = action.payload
            fresh.append(self._hurry(action, now))
        return fresh

    def _hurry(self, message: Publication, now: Moment) -> Publication:
        if message.traffic is not Traffic.STATE or not self._hurried:
            return message
        levels = message.topic.removeprefix(f"{self.topics.prefix}/").split("/")
        until = self._hurried.get((levels[0], levels[1])) if len(levels) > 2 else None
        if until is None:
            return message
        if until < now.monotonic:
            del self._hurried[levels[0], levels[1]]
            return message
        return Publication(
            message.topic, message.payload, True, message.qos, message.traffic, at_once=True
        )

    def _note(self, found: Iterable[Action]) -> None:
        for action in found:
            if isinstance(action, Publication) and action.retain:
                self._texts[action.topic] = action.payload

    def _renew(self, voice: DeviceVoice, now: Moment) -> list[Action]:
        """Announce a device again: at once when it was long ago, else later."""
        last = voice.announced_at
        if last is None or now.monotonic - last >= ANNOUNCE_EVERY or self._has_new(voice):
            return [voice.about(), *self._announce(voice, now)]
        if voice.announce_at is None:
            voice.announce_at = last + ANNOUNCE_EVERY
        return []

    def _has_new(self, voice: DeviceVoice) -> bool:
        known = {
            key for keys in self._announced.get(voice.place.ident, {}).values() for key in keys
        }
        return any(key not in known for key in voice.components())

    def _announce(self, voice: DeviceVoice, now: Moment) -> list[Action]:
        ident, dialect = voice.place.ident, voice.link.settings.get("adopt")
        if dialect and voice.identifiers and self._adopted.get(ident) != dialect:
            move = self._moves.get(ident)
            if move is None:
                old = self._old(voice.link, voice.state)
                topics = () if old is None else old.topics
                self._moves[ident] = Move(topics, now.monotonic + PAUSE)
                return [*leaving(topics)]
            if move.phase is Phase.ANNOUNCE:
                return []  # its turn comes
        messages, known = voice.announcement(self._announced.get(voice.place.ident, {}))
        voice.announced_at, voice.announce_at = now.monotonic, None
        if known:
            self._announced[voice.place.ident] = known
        self._keep_leaves(voice)
        self._save()
        return list(messages)

    def _keep_leaves(self, voice: DeviceVoice) -> None:
        """Remember the topics of a device, so that they can be emptied one day."""
        base = voice.place.topic()
        leaves = dict.fromkeys(self._leaves.get(base, ()))
        leaves |= dict.fromkeys(voice.leaves())
        self._leaves[base] = [*leaves]

    def _save(self) -> None:
        told: dict[str, Any] = {"announced": dict(self._announced), "topics": dict(self._leaves)}
        if self._adopted:
            told["adopted"] = dict(self._adopted)
        self._store.save(told)

    def left(self, dialect: str) -> tuple[str, ...]:
        """Return our topics of what an old program gets back: its owner adopts no more (d.4)."""
        views = (self._hub.links[link] for link in self.links)
        if any(view.settings.get("adopt") == dialect for view in views):
            return ()
        return tuple(
            topic
            for ident, program in self._adopted.items()
            if program == dialect
            for topic in self._announced.get(ident, {})
        )

    def give_back(self, dialect: str) -> None:
        """Forget what an old program has got back."""
        for ident in [one for one, program in self._adopted.items() if program == dialect]:
            del self._adopted[ident]
            self._announced.pop(ident, None)
        self._save()

    def _move_on(self, now: Moment) -> list[Action]:
        """Take the next step with devices that move over from an old program."""
        found: list[Action] = []
        voices = {voice.place.ident: voice for voice in self._voices()}
        for ident, move in list(self._moves.items()):
            voice = voices.get(ident)
            if now.monotonic < move.due or voice is None:
                continue
            if move.phase is Phase.ANNOUNCE:
                move.phase, move.due = Phase.CLEAR, now.monotonic + PAUSE
                found += self._announce(voice, now)
            else:
                del self._moves[ident]
                self._adopted[ident] = str(voice.link.settings.get("adopt"))
                self._save()
                found += emptied(move.topics)
        return found

    def _state(self, text: str) -> Publication:
        return Publication(self.topics.state, text, retain=True, qos=1, traffic=Traffic.OTHER)

    def _told(self, leaf: str, value: object) -> Publication:
        return Publication(
            self.topics.bridge(leaf), compact(value), retain=True, qos=1, traffic=Traffic.OTHER
        )

    def _info(self) -> Publication:
        hub = self._hub
        told = {
            "version": hub.version,
            "protocol": PROTOCOL,
            "id": hub.settings.get("id", "hardwired"),
            "instance": hub.instance,
            "started": hub.started.isoformat(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "links": [name for name in hub.links if name in self.links],
            "sinks": [{"name": name, "type": sink.type} for name, sink in hub.sinks.items()],
            "read_only": self._read_only,
            "language": self._manner.language,
        }
        return self._told("info", told)

    def _devices(self) -> Publication:
        return self._told("devices", [voice.row() for voice in self._voices()])

    def _bridge_device(self) -> list[Action]:
        if not self._manner.discovery:
            return []
        hub = self._hub
        own = BridgeDevice(
            id=hub.settings.get("id", "hardwired"),
            name=hub.settings.get("name", "Hardwired"),
            version=hub.version,
            links={
                name: "fast" in view.factory.requests
                for name, view in hub.links.items()
                if name in self.links
            },
            sinks=[name for name, sink in hub.sinks.items() if sink.type == "influxdb"],
            read_only=self._read_only,
            requests=bool(self._settings.get("requests", True)),
            texts=names("bridge", "bridge", self._manner.language),
        )
        place = Place(own.ident, "bridge", "bridge", self.topics)
        found = announce(
            place,
            own.head(self.topics),
            own.components(self.topics),
            self._announced.get(own.ident, {}),
            self._manner.max_payload,
        )
        self._announced[own.ident] = found.announced
        return list(found.messages)

    def _link(self, memory: _LinkMemory, now: Moment) -> list[Action]:
        view, snapshot = memory.view, memory.snapshot
        reason = CONNECTED
        if not snapshot.connected:
            reason = "starting" if snapshot.reason is None else snapshot.reason.value
        notices = [
            {
                "key": standing.notice.key,
                "severity": standing.notice.severity.value,
                "device": standing.notice.device,
                "text": standing.text,
                "since": standing.since.isoformat(),
                "placeholders": dict(standing.notice.placeholders),
            }
            for standing in view.notices
        ]
        notices += [
            {
                "key": notice.key,
                "severity": notice.severity.value,
                "device": notice.device,
                "text": f"another link, {notice.placeholders['link']}, shows this device already",
                "placeholders": dict(notice.placeholders),
            }
            for notice in self._doubles(memory)
        ]
        told = {
            "connected": ON if snapshot.connected else OFF,
            "reason": reason,
            "problem": ON if notices else OFF,
            "notices": compact({"notices": notices}),
        }
        return [
            Publication(
                self.topics.link(view.name, leaf),
                payload,
                retain=True,
                qos=1,
                traffic=Traffic.OTHER,
            )
            for leaf, payload in told.items()
        ]

    def _doubles(self, memory: _LinkMemory) -> Iterator[Notice]:
        for voice in memory.voices.values():
            if voice.muted:
                owner = self._owners[voice.place.ident]
                yield Notice(
                    "announced_elsewhere",
                    {"link": owner},
                    Severity.WARNING,
                    voice.state.device.id,
                )

    def _looks(self) -> list[Action]:
        """Return what nobody tells us of when it changes."""
        found: list[Action] = [
            Publication(
                self.topics.bridge("log_level"),
                self._hub.log_level,
                retain=True,
                qos=1,
                traffic=Traffic.OTHER,
            )
        ]
        for name, sink in self._hub.sinks.items():
            health = sink.health
            told = {
                "state": health.state.value,
                "why": None if health.why is None else self._hub.mask(health.why),
                "since": plain(health.since),
                "waiting": health.waiting,
                "dropped": health.dropped,
                "oldest": plain(health.oldest),
            }
            if name == self._sink:
                # Of ourselves only what does not change by being said.
                told |= {"waiting": 0}
            found.append(self._told(f"sinks/{name}", told))
        return found

    # ------------------------------------------------------------------------ time

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        if not self._connected:
            return None
        times = [self._next_health, self._next_look]
        if self._births:
            times.append(self._next_slice)
        times += [time for time in (self._birth_at, self._heard_by) if time is not None]
        times += [move.due for move in self._moves.values()]
        times += [voice.announce_at for voice in self._voices() if voice.announce_at is not None]
        return min(times)

    def tick(self, now: Moment) -> list[Action]:
        """Health, looks, births, announcements that have waited."""
        if not self._connected:
            return []
        moment = now.monotonic
        found: list[Action] = self._move_on(now)
        for voice in self._voices():
            if voice.announce_at is not None and moment >= voice.announce_at:
                found += [voice.about(), *self._announce(voice, now)]
        if moment >= self._next_look:
            self._next_look = moment + LOOK_EVERY
            found += self._looks()
            for memory in self._links.values():
                found += self._link(memory, now)
        found = self._new(found, now)
        if moment >= self._next_health:
            self._next_health = moment + HEALTH_EVERY
            found.append(
                Publication(
                    self.topics.bridge("health"),
                    compact(self._hub.health()),
                    traffic=Traffic.HEALTH,
                )
            )
        if self._heard_by is not None and moment >= self._heard_by:
            self._heard_by = None
            self.deaf = True
            _LOGGER.warning(
                "%s: the broker takes our messages and does not pass them on: rights?", self._sink
            )
        return [*found, *self._birth(moment)]

    def _birth(self, moment: float) -> list[Action]:
        if self._birth_at is not None and moment >= self._birth_at:
            self._birth_at = None
            self._births = [*self._anew()]
            self._next_slice = moment
        if not self._births or moment < self._next_slice:
            return []
        found: list[Action] = []
        while self._births and len(found) < BIRTH_SLICE:
            found += self._births.pop(0)()
        self._next_slice = moment + BIRTH_PAUSE
        self._note(found)
        return found

    def _anew(self) -> Iterator[Callable[[], Iterable[Publication]]]:
        """Yield what is said after a birth, bit by bit; each bit is as it is when it is said."""
        topics = dict.fromkeys(self._texts)
        for topic in topics:
            if topic.startswith(f"{self.topics.discovery}/device/"):
                yield partial(self._again, topic, Traffic.DISCOVERY)
        last = {voice.availability().topic for voice in self._voices()}
        for topic in topics:
            if topic not in last and topic.startswith(f"{self.topics.prefix}/"):
                yield partial(self._again, topic, Traffic.STATE)
        for topic in last:
            yield partial(self._again, topic, Traffic.OTHER)

    def _again(self, topic: str, traffic: Traffic) -> Iterable[Publication]:
        text = self._texts.get(topic)
        if text is not None and topic != self.topics.state:
            qos = self._manner.qos if traffic is Traffic.STATE else 1
            yield Publication(topic, text, True, qos, traffic, at_once=True)

    # ------------------------------------------------------------------------ hearing

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take a message: a birth, our own words, a request, a command."""
        if topic == self.topics.birth:
            return self._born(payload, retained, now)
        if topic == self.topics.bridge("info"):
            if not retained:
                self._heard_by, self.deaf = None, False
            return []
        if (verb := self.topics.read_request(topic)) is not None:
            return [] if retained else self._asked(verb, payload, now)
        if (told := self.topics.read_set(topic)) is not None:
            return self._set(topic, told, payload, retained=retained, now=now)
        return self._ignore("topic", topic, now)

    def _born(self, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        last = self._last_birth
        if retained or payload != b"online":
            return []
        if last is None or now.monotonic - last >= BIRTHS_ARE_ONE:
            self._last_birth = now.monotonic
            self._birth_at = now.monotonic + self._chance.uniform(*BIRTH_WAIT)
        return []

    def _ignore(self, reason: str, what: str, now: Moment) -> list[Action]:
        self.ignored[reason] += 1
        last = self._complained.get(reason)
        if last is None or now.monotonic - last >= COMPLAIN_EVERY:
            self._complained[reason] = now.monotonic
            shown = "".join(sign if sign.isprintable() else "?" for sign in what[:120])
            _LOGGER.info("%s: a message is for nobody (%s): %s", self._sink, reason, shown)
        return []

    # ------------------------------------------------------------------------ commands

    def _set(
        self, topic: str, told: SetTopic, payload: bytes, *, retained: bool, now: Moment
    ) -> list[Action]:
        voice = self._voice_at(told)
        if voice is None:
            return self._ignore("device", topic, now)
        if not self._takes(voice, told):
            return self._ignore("key", topic, now)
        ticket = _SetTicket(topic, voice, told.key, told.role)
        refused = self._forbidden(voice, retained=retained)
        if refused is None:
            make = self._field_wish if told.role is None else self._part_wish
            try:
                return [make(ticket, payload)]
            except InvalidCommand as error:
                refused = Outcome(key=error.key, text=str(error))
        if retained and self._warn_once(topic):
            _LOGGER.warning("%s: a retained command is ignored: %s", self._sink, topic)
        return self._result(ticket, refused, now)

    def _warn_once(self, topic: str) -> bool:
        """Whether a topic was not complained of; a thousand topics are remembered."""
        if topic in self._warned:
            return False
        self._warned[topic] = None
        if len(self._warned) > MOST_WARNED:
            self._warned.pop(next(iter(self._warned)))
        return True

    @staticmethod
    def _takes(voice: DeviceVoice, told: SetTopic) -> bool:
        """Whether a device has what a command's topic names."""
        if told.role is None:
            return told.key in voice.state.fields
        composite = voice.composite(told.key)
        return composite is not None and told.role in voice.commands(composite, voice.state)

    def _voice_at(self, told: SetTopic) -> DeviceVoice | None:
        memory = self._links.get(told.link)
        if memory is None:
            return None
        return next(
            (voice for voice in memory.voices.values() if voice.place.device == told.device), None
        )

    def _forbidden(self, voice: DeviceVoice, *, retained: bool) -> Outcome | None:
        if retained:
            text = "a retained command is ignored: it may be of any age"
            return Outcome(key="retained", text=text)
        if voice.link.read_only or self._read_only:
            text = f"{voice.link.name} only tells; read_only is set"
            return Outcome(key="read_only", text=text)
        if not voice.present:
            return Outcome(key="not_connected", text=f"{voice.state.device.id} is not there")
        return None

    def _field_wish(self, ticket: _SetTicket, payload: bytes) -> Wish:
        voice = ticket.voice
        field = voice.state.fields[ticket.key]
        value = read_wish(field, payload, voice.link.zone)
        return Wish(
            link=voice.link.name,
            command=Command(voice.state.device.id, {ticket.key: value}),
            alone=field.quantity is Quantity.SIGNAL,
            ticket=ticket,
        )

    def _part_wish(self, ticket: _SetTicket, payload: bytes) -> Wish:
        voice = ticket.voice
        text = read_payload(f"{ticket.key} {ticket.role}", payload)
        return Wish(
            link=voice.link.name,
            command=Command(voice.state.device.id),
            composite=ticket.key,
            parts=((Part(ticket.role or ""), text),),
            ticket=ticket,
        )

    def _result(self, ticket: _SetTicket, outcome: Outcome, now: Moment) -> list[Action]:
        voice = ticket.voice
        value = voice.text(ticket.key, ticket.role)
        if outcome.ok:
            told: dict[str, Any] = {
                "status": "ok",
                "value": value,
                "took": round(outcome.took, 3),
            }
        else:
            text = self._hub.mask(outcome.text)
            told = {"status": "error", "key": outcome.key, "text": text, "value": value}
        found: list[Action] = [
            Publication(f"{ticket.topic}/result", compact(told), qos=1, traffic=Traffic.RESULT)
        ]
        if not outcome.ok:
            found.append(self._failure(ticket, outcome))
        return found

    def _failure(self, ticket: _SetTicket, outcome: Outcome) -> Publication:
        self._events += 1
        key = outcome.key or "failed"
        told: dict[str, Any] = {"event_type": key if key in FAILURES else OTHER}
        if key not in FAILURES:
            told["key"] = key
        field = ticket.key if ticket.role is None else f"{ticket.key}/{ticket.role}"
        told |= {
            "link": ticket.voice.link.name,
            "device": ticket.voice.state.device.id,
            "field": field,
            "text": self._hub.mask(outcome.text),
            "id": f"{self._boot}-{self._events}",
        }
        return Publication(
            self.topics.bridge("command_failed"), compact(told), qos=1, traffic=Traffic.EVENT
        )

    # ------------------------------------------------------------------------ requests

    def _asked(self, verb: str, payload: bytes, now: Moment) -> list[Action]:
        if not self._settings.get("requests", True):
            return []
        if not self._allowed(now):
            told = requests.refusal(None, "rate_limited", "too many requests at once")
            return [self._response(verb, told)] if verb in requests.VERBS else []
        try:
            request = requests.read_request(verb, payload, self._world())
        except RequestRefused as error:
            told = requests.refusal(error.transaction, error.key, str(error))
            if verb not in requests.VERBS:
                verb = slug(verb)[: requests.LONGEST_WORD]
            return [self._response(verb, told)]
        return self._do(request, now)

    def _allowed(self, now: Moment) -> bool:
        passed = max(0.0, now.monotonic - self._tokens_at)
        self._tokens = min(REQUEST_BURST, self._tokens + passed * REQUEST_RATE)
        self._tokens_at = now.monotonic
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _world(self) -> requests.World:
        hub = self._hub
        return requests.World(
            links={
                name: requests.LinkView(
                    family=view.family,
                    snapshot=view.snapshot,
                    requests=view.factory.requests,
                    known=tuple(view.known),
                    zone=view.zone,
                    read_only=view.read_only and not hub.settings.get("read_only", False),
                )
                for name, view in hub.links.items()
                if name in self.links
            },
            read_only=self._read_only,
            allow_stop=bool(self._settings.get("allow_stop", False)),
        )

    def _do(self, request: Request, now: Moment) -> list[Action]:
        if request.done:
            return [self._answer(request, request.data)]
        ticket = _RequestTicket(request)
        if request.command is not None:
            assert request.link is not None
            return [Wish(link=request.link, command=request.command, alone=True, ticket=ticket)]
        if request.verb == "republish":
            return [self._answer(request, None), *self._republish(now)]
        return [
            contract.Request(
                verb=Verb(request.verb),
                link=request.link,
                device=request.device,
                keys=request.keys,
                level=request.level,
                module=request.module,
                minutes=request.minutes,
                ticket=ticket,
            )
        ]

    def _republish(self, now: Moment) -> list[Action]:
        links = {name: memory.snapshot for name, memory in self._links.items()}
        heard_by = self._heard_by
        found = self.connected(links, now)
        self._heard_by = heard_by
        return found

    def _answer(self, request: Request, data: Mapping[str, Any] | None) -> Publication:
        return self._response(request.verb, requests.answer(request.transaction, data))

    def _response(self, verb: str, told: Mapping[str, Any]) -> Publication:
        return Publication(
            self.topics.response(verb), compact(told), qos=1, traffic=Traffic.RESPONSE
        )

    def answered(
        self, wish: Wish | contract.Request, outcome: Outcome, now: Moment
    ) -> list[Action]:
        """Tell whoever asked."""
        match wish.ticket:
            case _SetTicket() as ticket:
                return self._settled(ticket, outcome, now)
            case _RequestTicket(request):
                return self._responded(request, outcome)
            case _:
                return []

    def _settled(self, ticket: _SetTicket, outcome: Outcome, now: Moment) -> list[Action]:
        voice = ticket.voice
        self._hurried[voice.link.name, voice.place.device] = now.monotonic + AT_ONCE_FOR
        found: list[Action] = []
        if outcome.state is not None and self._connected:
            if voice.take(outcome.state):
                found += self._renew(voice, now)
            found = self._new([*found, *voice.news()], now)
        return [*found, *self._result(ticket, outcome, now)]

    def _responded(self, request: Request, outcome: Outcome) -> list[Action]:
        if not outcome.ok:
            text = self._hub.mask(outcome.text)
            told = requests.refusal(request.transaction, outcome.key or "failed", text)
            return [self._response(request.verb, told)]
        data: Mapping[str, Any] | None = request.data
        if request.verb == "read" and outcome.data is not None:
            known = (request.data or {}).get("values", {})
            data = {"values": {**known, **plain(outcome.data.get("values", outcome.data))}}
        elif data is None and outcome.data:
            data = plain(outcome.data)
        found: list[Action] = [self._answer(request, data)]
        if request.verb == "remove" and request.link and request.device:
            found += self.forget(request.link, request.device)
        return found

    # ------------------------------------------------------------------------ forgetting

    def forget(self, link: str, device: str) -> list[Action]:
        """Return what takes a device away: from Home Assistant, and all its topics."""
        memory = self._links.get(link)
        voice = None if memory is None else memory.voices.pop(device, None)
        if voice is not None:
            place = voice.place
        elif (view := self._hub.links.get(link)) is not None:
            place = self._place(view, Device(device, "", device))
        else:
            return []
        self._owners.pop(place.ident, None)
        found: list[Action] = list(gone(self._announced.pop(place.ident, {})))
        found += self._empty(place.topic())
        found.append(self._devices())
        self._save()
        return found

    def _forgotten(self) -> list[Action]:
        """Return what takes the devices of links away that CONFIG has no more."""
        configured = self._hub.configured
        found: list[Action] = []
        for base in list(self._leaves):
            link = base.removeprefix(f"{self.topics.prefix}/").split("/")[0]
            if link not in configured:
                found += self._empty(base)
                ident_tail = base.rsplit("/", 1)[-1]
                for ident in (f"hardwired_{link}_{ident_tail}", f"hardwired_{ident_tail}"):
                    found += gone(self._announced.pop(ident, {}))
        return found

    def _empty(self, base: str) -> list[Action]:
        leaves = [*self._leaves.pop(base, ()), "about", "availability"]
        found: list[Action] = []
        for leaf in leaves:
            topic = f"{base}/{leaf}"
            self._texts.pop(topic, None)
            found.append(Publication(topic, "", retain=True, qos=1, traffic=Traffic.OTHER))
        return found


def _discovery_prefix(settings: Mapping[str, Any]) -> str:
    return str(settings.get("discovery_prefix", "homeassistant"))


def _sinks_of(view: LinkView, default: str) -> Sequence[str]:
    found = view.settings.get("sinks")
    return (default,) if found is None else found


def _announced_in(payload: bytes, bridge_state: str) -> tuple[str | None, dict[str, str]]:
    """Return whose announcement a payload is and its platforms, if it is ours."""
    try:
        told = json.loads(payload)
        ours = told["origin"]["name"] == ORIGIN and told["availability"][0]["topic"] == bridge_state
        if not ours:
            return None, {}
        platforms = {str(key): str(one["platform"]) for key, one in told["components"].items()}
        return str(told["device"]["identifiers"][0]), platforms
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None, {}
