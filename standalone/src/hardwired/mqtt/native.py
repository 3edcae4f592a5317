"""Our own dialect: topics for people and programs, discovery for Home Assistant (spec c.1-c.9).

Pure but for its memory of what was announced, which it hands to a store. What it publishes
follows from the newest snapshots; while there is no connection it says nothing but events. After
connecting it says everything anew, one device a turn of the loop.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hardwired_engines.engine import (
    Message,
    Occurrence,
    Snapshot,
)

from ..bridge.sink import (
    Action,
    Hub,
    Moment,
    Outcome,
    Publication,
    Request,
    Store,
    Traffic,
    Wish,
)
from .adoption import PAUSE, Move, Phase, emptied, leaving
from .announced import AnnouncedDevices
from .announcement import gone
from .births import Births
from .bridge_voice import LINK_LEAVES, BridgeVoice
from .native_device import ANNOUNCE_EVERY, DeviceVoice, Manner
from .request_desk import RequestDesk, RequestTicket
from .set_desk import SetDesk, SetTicket, has
from .topics import SetTopic, Topics
from .values import OFFLINE, ONLINE
from .voices import LinkMemory, Voices

_LOGGER = logging.getLogger(__name__)

HEALTH_EVERY = 60.0
LOOK_EVERY = 2.0
"""Seconds between two looks at what tells nobody when it changes: sinks, log level, notices."""
HEARD_WITHIN = 5.0
"""Seconds within which our own words must come back."""
COMPLAIN_EVERY = 60.0
MOST_WARNED = 1000
AT_ONCE_FOR = 5.0
"""Seconds for which a device's states go out at once after a command."""


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
        requests = bool(settings.get("requests", True))
        self._bridge = BridgeVoice(sink, self._manner, hub, requests=requests)
        self._announced = AnnouncedDevices(store)
        self._moves: dict[str, Move] = {}
        self._voices = Voices(sink, self._manner, hub)
        self._texts: dict[str, str] = {}
        self._connected = False
        self._opening: Iterator[list[Action]] | None = None
        """What is still to be said after connecting."""
        self._reshaped: set[tuple[str, str]] = set()
        """Devices that were to be announced anew meanwhile."""
        self._boot = secrets.token_hex(4)
        self._events = 0
        self._births = Births(
            self.topics,
            self._texts,
            lambda: {voice.availability().topic for voice in self._voices},
            self._manner.qos,
            chance or random.Random(),  # noqa: S311 - spreads births, no secret
        )
        self._sets = SetDesk(self.topics, hub.mask, self._event_id, read_only=self._read_only)
        self._requests = RequestDesk(
            self.topics,
            hub,
            enabled=requests,
            read_only=self._read_only,
            allow_stop=bool(settings.get("allow_stop", False)),
        )
        self._next_health = 0.0
        self._next_look = 0.0
        self._heard_by: float | None = None
        self._hurried: dict[tuple[str, str], float] = {}
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
        return self._voices.names

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Topic filters, each with its QoS."""
        topics = self.topics
        found = [] if self._read_only else list(topics.set_filters())
        if self._requests.enabled:
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
        return self._bridge.state(OFFLINE)

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Begin to say everything anew; :meth:`tick` goes on until :attr:`opening` is over."""
        self._connected = True
        self._texts.clear()
        self._births.forget()
        self._moves.clear()
        self._reshaped.clear()
        self._heard_by = now.monotonic + HEARD_WITHIN
        self._next_health = now.monotonic + HEALTH_EVERY
        self._next_look = now.monotonic + LOOK_EVERY
        for link, snapshot in links.items():
            if link in self.links:
                self._voices.remember(link, snapshot)
        self._opening = self._open(now)
        return self._open_further()

    @property
    def opening(self) -> bool:
        """Whether it is still saying what it says after connecting."""
        return self._opening is not None

    def _open(self, now: Moment) -> Iterator[list[Action]]:
        """Yield who we are, the devices, discovery, states, then *online*; a device at a time."""
        yield [*self._forgotten(), self._bridge.info(self._own_links()), self._devices()]
        done: set[int] = set()
        fresh = [*self._voices]
        for first in (True, False):  # what appears meanwhile has its turn behind
            for voice in fresh:
                yield [voice.about()]
            if first:
                yield self._bridge_device()
            for voice in fresh:
                yield self._announce(voice, now)
            if first:
                yield [one for memory in self._voices.links.values() for one in self._link(memory)]
            for voice in fresh:
                yield [*voice.values()]
            done |= {id(voice) for voice in fresh}
            fresh = [voice for voice in self._voices if id(voice) not in done]
        found: list[Action] = [self._devices()]
        for voice in self._voices:
            if (voice.link.name, voice.state.device.id) in self._reshaped:
                found += self._renew(voice, now)
            found += voice.news()
        found += self._bridge.looks()
        found += [voice.availability() for voice in self._voices]
        yield [*self._new(found, now), self._bridge.state(ONLINE)]

    def _open_further(self) -> list[Action]:
        """Return the next thing to say after connecting."""
        assert self._opening is not None
        found = next(self._opening, None)
        if found is None:
            self._opening = None
            self._announced.save()
            return []
        self._note(found)
        return found

    def _own_links(self) -> list[str]:
        own = self.links
        return [name for name in self._hub.links if name in own]

    def disconnected(self, now: Moment) -> None:
        """Say no more but events."""
        self._connected = False
        self._opening = None
        for voice in self._voices:
            voice.said = None
        self._births.forget()
        self._heard_by = None

    def stopping(self, now: Moment) -> list[Action]:
        """Say that the bridge goes; the devices' availability stays."""
        return [self._bridge.state(OFFLINE)]

    @property
    def remembers(self) -> bool:
        """Whether it knows what was announced before."""
        return bool(self._announced.devices)

    def recall(self, retained: Mapping[str, bytes]) -> None:
        """Learn from the broker what was announced under this prefix (spec c.8)."""
        self._announced.recall(retained, self.topics.state)

    # ------------------------------------------------------------------------ what is known

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Say what has changed on a link."""
        if link not in self.links:
            return []
        known = self._voices.links.get(link)
        old = {} if known is None else dict(known.voices)
        changed = self._voices.remember(link, after)
        if not self._connected:
            return []
        if self.opening:
            self._reshaped |= {(link, ident) for ident, anew in changed.items() if anew}
            return []
        memory = self._voices.links[link]
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
                availability = voice.availability()
                listed |= self._texts.get(availability.topic) != availability.payload
                found += [*voice.news(), availability]
        found = [*self._link(memory), *found]
        if listed:
            found.insert(0, self._devices())
        return self._new(found, now)

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Tell of an event."""
        memory = self._voices.links.get(link)
        if memory is None or not isinstance(occurrence, Message):
            return []
        voice = memory.voices.get(occurrence.device.id)
        if voice is None:
            return []
        told = voice.event(occurrence, self._event_id())
        return [] if told is None else [told]

    def _event_id(self) -> str:
        self._events += 1
        return f"{self._boot}-{self._events}"

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
        return self._announced.has_new(voice.place.ident, voice.components())

    def _announce(self, voice: DeviceVoice, now: Moment) -> list[Action]:
        ident, dialect = voice.place.ident, voice.link.settings.get("adopt")
        if dialect and voice.identifiers and self._announced.adopted.get(ident) != dialect:
            move = self._moves.get(ident)
            if move is None:
                old = self._voices.old(voice.link, voice.state)
                topics = () if old is None else old.topics
                self._moves[ident] = Move(topics, now.monotonic + PAUSE)
                return [*leaving(topics)]
            if move.phase is Phase.ANNOUNCE:
                return []  # its turn comes
        messages, known = voice.announcement(self._announced.of(ident))
        voice.announced_at, voice.announce_at = now.monotonic, None
        if known:
            self._announced.devices[ident] = known
        self._announced.keep_leaves(voice.place.topic(), voice.leaves())
        if not self.opening:
            self._announced.save()
        return list(messages)

    def left(self, dialect: str) -> tuple[str, ...]:
        """Return our topics of what an old program gets back: its owner adopts no more (d.4)."""
        views = (self._hub.links[link] for link in self.links)
        if any(view.settings.get("adopt") == dialect for view in views):
            return ()
        return self._announced.topics_of(dialect)

    def give_back(self, dialect: str) -> None:
        """Forget what an old program has got back."""
        self._announced.give_back(dialect)

    def _move_on(self, now: Moment) -> list[Action]:
        """Take the next step with devices that move over from an old program."""
        found: list[Action] = []
        voices = {voice.place.ident: voice for voice in self._voices}
        for ident, move in list(self._moves.items()):
            voice = voices.get(ident)
            if voice is None:  # removed meanwhile
                del self._moves[ident]
                continue
            if now.monotonic < move.due:
                continue
            if move.phase is Phase.ANNOUNCE:
                move.phase, move.due = Phase.CLEAR, now.monotonic + PAUSE
                found += self._announce(voice, now)
            else:
                del self._moves[ident]
                self._announced.adopted[ident] = str(voice.link.settings.get("adopt"))
                self._announced.save()
                found += emptied(move.topics)
        return found

    def _devices(self) -> Publication:
        return self._bridge.devices([voice.row() for voice in self._voices])

    def _bridge_device(self) -> list[Action]:
        if not self._manner.discovery:
            return []
        ident = self._bridge.ident
        found = self._bridge.announcement(self._own_links(), self._announced.of(ident))
        self._announced.devices[ident] = found.announced
        return list(found.messages)

    def _link(self, memory: LinkMemory) -> list[Publication]:
        return self._bridge.link(memory.view, memory.snapshot, self._voices.doubles(memory))

    # ------------------------------------------------------------------------ time

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        if not self._connected:
            return None
        if self.opening:
            return 0.0
        times = [self._next_health, self._next_look, *self._births.due]
        if self._heard_by is not None:
            times.append(self._heard_by)
        times += [move.due for move in self._moves.values()]
        times += [voice.announce_at for voice in self._voices if voice.announce_at is not None]
        return min(times)

    def tick(self, now: Moment) -> list[Action]:
        """Go on after connecting; health, looks, births, announcements that have waited."""
        if not self._connected:
            return []
        if self.opening:
            return self._open_further()
        moment = now.monotonic
        found: list[Action] = self._move_on(now)
        for voice in self._voices:
            if voice.announce_at is not None and moment >= voice.announce_at:
                found += [voice.about(), *self._announce(voice, now)]
        if moment >= self._next_look:
            self._next_look = moment + LOOK_EVERY
            found += self._bridge.looks()
            for memory in self._voices.links.values():
                found += self._link(memory)
        found = self._new(found, now)
        if moment >= self._next_health:
            self._next_health = moment + HEALTH_EVERY
            found.append(self._bridge.health())
        if self._heard_by is not None and moment >= self._heard_by:
            self._heard_by = None
            self.deaf = True
            _LOGGER.warning(
                "%s: the broker takes our messages and does not pass them on: rights?", self._sink
            )
        births = self._births.say(moment)
        self._note(births)
        return [*found, *births]

    # ------------------------------------------------------------------------ hearing

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take a message: a birth, our own words, a request, a command."""
        if topic == self.topics.birth:
            if not retained and payload == b"online":
                self._births.heard(now.monotonic)
            return []
        if topic == self.topics.bridge("info"):
            if not retained:
                self._heard_by, self.deaf = None, False
            return []
        if (verb := self.topics.read_request(topic)) is not None:
            return [] if retained else self._asked(verb, payload, now)
        if (told := self.topics.read_set(topic)) is not None:
            return self._set(topic, told, payload, retained=retained, now=now)
        return self._ignore("topic", topic, now)

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
        voice = self._voices.at(told)
        if voice is None:
            return self._ignore("device", topic, now)
        if not has(voice, told):
            return self._ignore("key", topic, now)
        if retained and self._warn_once(topic):
            _LOGGER.warning("%s: a retained command is ignored: %s", self._sink, topic)
        return self._sets.take(topic, told, voice, payload, retained=retained)

    def _warn_once(self, topic: str) -> bool:
        """Whether a topic was not complained of; a thousand topics are remembered."""
        if topic in self._warned:
            return False
        self._warned[topic] = None
        if len(self._warned) > MOST_WARNED:
            self._warned.pop(next(iter(self._warned)))
        return True

    # ------------------------------------------------------------------------ requests

    def _asked(self, verb: str, payload: bytes, now: Moment) -> list[Action]:
        found = self._requests.take(verb, payload, self.links, now.monotonic)
        if isinstance(found, list):
            return found
        links = {name: memory.snapshot for name, memory in self._voices.links.items()}
        heard_by = self._heard_by
        said = self.connected(links, now)
        self._heard_by = heard_by
        return [self._requests.answer(found, None), *said]

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Tell whoever asked."""
        match wish.ticket:
            case SetTicket() as ticket:
                return self._settled(ticket, outcome, now)
            case RequestTicket(request):
                found: list[Action] = [self._requests.responded(request, outcome)]
                if outcome.ok and request.verb == "remove" and request.link and request.device:
                    found += self.forget(request.link, request.device)
                return found
            case _:
                return []

    def _settled(self, ticket: SetTicket, outcome: Outcome, now: Moment) -> list[Action]:
        voice = ticket.voice
        self._hurried[voice.link.name, voice.place.device] = now.monotonic + AT_ONCE_FOR
        found: list[Action] = []
        if outcome.state is not None and self._connected:
            anew = voice.take(outcome.state)
            if self.opening:  # the states come with the rest, never an older one behind a newer
                if anew:
                    self._reshaped.add((voice.link.name, voice.state.device.id))
            else:
                if anew:
                    found += self._renew(voice, now)
                found = self._new([*found, *voice.news()], now)
        return [*found, *self._sets.result(ticket, outcome)]

    # ------------------------------------------------------------------------ forgetting

    def forget(self, link: str, device: str) -> list[Action]:
        """Return what takes a device away: from Home Assistant, and all its topics."""
        popped = self._voices.pop(link, device)
        if popped is None:
            return []
        place, own = popped
        found: list[Action] = []
        if own:
            found += gone(self._announced.devices.pop(place.ident, {}))
        found += self._empty(place.topic())
        found.append(self._devices())
        self._announced.save()
        return found

    def _forgotten(self) -> list[Action]:
        """Return what takes the devices of links away that CONFIG has no more."""
        known, head = self._announced, f"{self.topics.prefix}/"
        configured, sinks = {*self._hub.configured}, {*self._hub.sinks}
        places = {base: base.removeprefix(head).split("/") for base in known.leaves}
        # A base of another prefix is of the same devices: only its topics go.
        links = {place[0] for base, place in places.items() if base.startswith(head)}
        shown = {voice.place.ident for voice in self._voices}
        found: list[Action] = []
        for base, place in places.items():
            link, tail, here = place[0], place[-1], base.startswith(head)
            if not here or link not in configured:
                found += self._empty(base)
            if here and link not in configured:
                for ident in (f"hardwired_{link}_{tail}", f"hardwired_{tail}"):
                    if ident not in shown:  # nor is it another link's now
                        found += gone(known.devices.pop(ident, {}))
        for link in sorted((known.links | links) - configured):
            found += [self._emptied(self.topics.link(link, leaf)) for leaf in LINK_LEAVES]
        found += [
            self._emptied(self._bridge.sink_topic(one)) for one in sorted(known.sinks - sinks)
        ]
        known.links = (known.links & configured) | {*self._own_links()}
        known.sinks = sinks
        return found

    def _empty(self, base: str) -> list[Action]:
        leaves = [*self._announced.leaves.pop(base, ()), "about", "availability"]
        return [self._emptied(f"{base}/{leaf}") for leaf in leaves]

    def _emptied(self, topic: str) -> Action:
        self._texts.pop(topic, None)
        return Publication(topic, "", retain=True, qos=1, traffic=Traffic.OTHER)


def _discovery_prefix(settings: Mapping[str, Any]) -> str:
    return str(settings.get("discovery_prefix", "homeassistant"))
