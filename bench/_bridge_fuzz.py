"""Throws MQTT messages at every dialect of the bridge: hostile ones, nearly right ones, right ones.

Pure and seeded: no broker, no clock but the one that is turned here. What a dialect returns is
held against what it may return: a wish fits its field, a publication can be sent.
"""

from __future__ import annotations

import json
import random
import time as real
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from importlib import import_module
from typing import Any

from hardwired.bridge.sink import (
    Action,
    Dialect,
    Moment,
    Outcome,
    Publication,
    Request,
    Verb,
    Wish,
)
from hardwired.compat.dialects import make_dialect
from hardwired.compat.xtender.names import PARAMETERS
from hardwired.gx.dialect import GxDialect
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.composite import Part
from hardwired_engines.engine import Device, DeviceState
from hardwired_engines.factory import factory_of
from hardwired_engines.fields import Field, Quantity, Value
from tests.standalone.mqtt.fakes import WALL, FakeHub, FakeLink, MemoryStore, connected, opened

LONGEST_PAYLOAD = 1 << 20
LINKS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "van": ("truma", ("panel", "heater", "aircon"), ("inetbox.py", "inetbox2mqtt")),
    "plant": ("studer", ("xcom", "xt", "vt", "bsp"), ("xtender_mqtt",)),
    "roof": ("sunsynk", ("inverter",), ("sunsniff",)),
    "fan": ("inventum", ("ecolution",), ("inventumusb",)),
}
"""Each link with its family, kinds of devices and old programs."""
WORDS = (
    "set", "request", "bridge", "room", "water", "aircon", "fan", "target", "mode", "preset",
    "target_temp_room", "heating_mode", "energy_mix", "wall_time", "reboot", "update_time",
    "parameters", "values", "101", "103", "chargerAllowed", "maximumCurrentOfACSource",
    "commands", "health", "read", "write", "command", "log_level", "remove", "fast", "stop",
    "republish", "restart", "refresh", "notices", "Set", "DBus", "Error", "online", "status",
    "", " ", "+", "#", "$SYS", "..", "é", "\u202e", "x" * 300, "0", "-1", "hardwired",
)  # fmt: skip
VERBS = (
    "health", "notices", "republish", "refresh", "restart", "log_level", "read", "write",
    "command", "fast", "remove", "stop", "nonsense",
)  # fmt: skip
TRUMA_KEYS = (
    "target_temp_room", "heating_mode", "mode", "target_temp_water", "energy_mix",
    "el_power_level", "wall_time", "wall_time_hours", "clock_mode", "clock_source",
    "timer_active", "timer_start_hours", "aircon_operating_mode", "aircon_vent_mode",
    "target_temp_aircon", "reboot", "os_run", "ota_update", "duo_ctrl_i",
)  # fmt: skip
TEXTS = (
    b"ON", b"OFF", b"on", b"true", b"0", b"1", b"21", b"21.5", b"-300", b"5", b"1e5", b"1e999",
    b"nan", b"-inf", b"0x10", b"9" * 400, b"1" * 1025, b"heat", b"off", b"eco", b"boost", b"PRESS",
    b"FAN=1", b"FAN=0", b"DATA=0", b"QUIT", b"KILL", b"07:30", b"25:61", b"2026-11-29T07:30:00",
    b"2026-11-29T07:30:00+99:00", b"", b" ", b"\x00", b"\xff\xfe", b"None", b"null", b"[]", b"{}",
    b"van", b"plant", b"debug", b'{"link":"van"}', b'{"link":"plant","minutes":5}',
    b'{"link":"van","device":"heater"}', b'{"level":"warning","minutes":1}', b'{"transaction":7}',
    b'{"link":"van","device":"heater","values":{"target_temp_room":21,"heating_mode":"eco"}}',
    b"online", b"offline", "é".encode(), "١٢".encode(), b"{" * 2000, b"[" * 60_000,
    b'{"a":1,"a":2}', b'{"x":NaN}', b'{"transaction":"' + b"t" * 100 + b'"}',
)  # fmt: skip
MEMBERS = (
    "link", "device", "keys", "values", "name", "options", "level", "module", "minutes",
    "transaction", "portalId", "deviceInstance", "topicPath", "errors", "value", "types",
    "features", "started", "connected", "path",
)  # fmt: skip


class Fuzz:
    """The dialects, what is thrown at them, and what came of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.counts: Counter[str] = Counter()
        self.worst: tuple[float, str] = (0.0, "")
        links = [_link(name, family, kinds) for name, (family, kinds, _) in LINKS.items()]
        self.hub = FakeHub(*links)
        self.links = {link.name: link for link in links}
        self._states = {link.name: link.snapshot.devices for link in links}
        self._waiting: list[tuple[Dialect, Wish | Request]] = []
        told = {"allow_stop": True, "discovery": True}
        self.dialects: list[Dialect] = [
            NativeDialect("home", told, self.hub, MemoryStore()),
            GxDialect("gx", {"profile": "energy"}, self.hub),
        ]
        for name, (_, _, programs) in LINKS.items():
            for program in programs:
                entry = {"dialect": program, "sink": "home"}
                self.dialects.append(make_dialect(entry, self.links[name], self.hub, "home"))
        snapshots = {link.name: link.snapshot for link in links}
        for dialect in self.dialects:
            opened(dialect, snapshots, self._moment())
        self._known = {id(dialect): self._topics(dialect) for dialect in self.dialects}
        devices = {ident for states in self._states.values() for ident in states}
        keys = {
            key for states in self._states.values() for one in states.values() for key in one.values
        }
        self._words = (*WORDS, *LINKS, *devices, *sorted(keys))
        self._options = [
            option.encode()
            for states in self._states.values()
            for one in states.values()
            for field in one.fields.values()
            for option in field.options or ()
        ]

    def _moment(self) -> Moment:
        return Moment(1000 + self.now, WALL + timedelta(seconds=self.now))

    def _topics(self, dialect: Dialect) -> list[str]:
        """Return topics that mean something to a dialect."""
        match dialect.name:
            case "native":
                return [
                    *self._native_topics(),
                    *(f"hardwired/bridge/request/{one}" for one in VERBS),
                ]
            case "xtender_mqtt":
                return [
                    f"xtender/{address}/parameters/{name}/set"
                    for address in (100, 101, 102)
                    for name in PARAMETERS
                ]
            case "inventumusb":
                return ["ventilation/inventum/commands"]
            case "inetbox.py" | "inetbox2mqtt":
                return [f"service/truma/set/{key}" for key in TRUMA_KEYS]
            case "gx":
                return [
                    f"device/hw_hardwired_{link}_{device}/{word}"
                    for link, states in self._states.items()
                    for device in states
                    for word in ("DBus", "Set", "Error")
                ]
        return []

    def _native_topics(self) -> Iterator[str]:
        for link, states in self._states.items():
            factory = self.links[link].factory
            for ident, state in states.items():
                root = f"hardwired/{link}/{ident}"
                yield from (
                    f"{root}/{key}/set" for key, one in state.fields.items() if one.writable
                )
                for composite in factory.composites(state.device.kind):
                    yield from (f"{root}/{composite.key}/{part.value}/set" for part in Part)

    # -------------------------------------------------------------------------- what is thrown

    def topic(self, dialect: Dialect) -> str:
        """Return a topic that the dialect may hear, or nearly."""
        chance = self.random
        filters = [pattern for pattern, _ in dialect.subscriptions]
        pattern = chance.choice(filters) if filters else "#"
        if chance.random() < 0.6 and (known := self._known[id(dialect)]):
            pattern = chance.choice(known)
        levels: list[str] = []
        for level in pattern.split("/"):
            if level == "+":
                levels.append(chance.choice(self._words))
            elif level == "#":
                levels += [chance.choice(self._words) for _ in range(chance.randrange(4))]
            else:
                levels.append(level)
        if chance.random() < 0.1 and levels:
            levels[chance.randrange(len(levels))] = chance.choice(self._words)
        if chance.random() < 0.05:
            levels.insert(chance.randrange(len(levels) + 1), chance.choice(self._words))
        return "/".join(levels)

    def payload(self) -> bytes:
        """Return a payload."""
        chance = self.random
        draw = chance.random()
        if draw < 0.35:
            found = chance.choice(TEXTS)
        elif draw < 0.5:
            found = chance.choice(self._options)
        elif draw < 0.6:
            found = str(chance.uniform(-1000, 3000)).encode()
        elif draw < 0.7:
            found = chance.randbytes(chance.randrange(60))
        else:
            members = chance.sample(MEMBERS, chance.randrange(5))
            found = json.dumps({member: self._json(2) for member in members}).encode()
        if found and chance.random() < 0.1:
            place = chance.randrange(len(found))
            found = found[:place] + chance.randbytes(1) + found[place + chance.randrange(2) :]
        return found

    def _json(self, depth: int) -> Any:
        chance = self.random
        kinds: list[Callable[[], Any]] = [
            lambda: chance.choice(self._words),
            lambda: chance.choice((None, True, False, 0, 1, -1, 1e308, 2**80, "1", 20.5)),
            lambda: chance.choice(tuple(LINKS)),
        ]
        if depth:
            kinds.append(lambda: [self._json(depth - 1) for _ in range(chance.randrange(3))])
            kinds.append(
                lambda: {
                    chance.choice(self._words): self._json(depth - 1)
                    for _ in range(chance.randrange(3))
                }
            )
        return chance.choice(kinds)()

    # ------------------------------------------------------------------------------- one case

    def case(self) -> None:
        """Throw one message. Raises what a dialect raises, and :class:`AssertionError`."""
        dialect = self.random.choice(self.dialects)
        topic, payload = self.topic(dialect), self.payload()
        self.now += self.random.random() * 0.3
        self.throw(dialect, topic, payload, retained=self.random.random() < 0.1)

    def throw(self, dialect: Dialect, topic: str, payload: bytes, *, retained: bool) -> None:
        """Give a dialect a message, and at times the answer to what it wished for."""
        began = real.perf_counter()
        try:
            actions = dialect.receive(topic, payload, retained, self._moment())
            self._look(dialect, actions, retained=retained)
            if dialect.due is not None and dialect.due <= 1000 + self.now:
                self._look(dialect, dialect.tick(self._moment()))
            if self._waiting and self.random.random() < 0.5:
                self._answer()
        except Exception as error:
            error.add_note(f"{dialect.name}: {topic!r} {payload[:200]!r} retained={retained}")
            raise
        took = real.perf_counter() - began
        if took > self.worst[0]:
            self.worst = (took, f"{dialect.name}: {topic[:80]} {payload[:40]!r}")
        self.counts["cases"] += 1

    def _answer(self) -> None:
        dialect, asked = self._waiting.pop(self.random.randrange(len(self._waiting)))
        outcome = Outcome()
        if self.random.random() < 0.4:
            outcome = Outcome(key="refused_by_device", text="the device does not want to")
        self._look(dialect, dialect.answered(asked, outcome, self._moment()))

    def _look(self, dialect: Dialect, actions: Iterable[Action], *, retained: bool = False) -> None:
        for action in actions:
            match action:
                case Publication():
                    self._look_at_publication(action)
                case Wish():
                    assert not retained, "a retained message made a wish"
                    self._look_at_wish(action)
                    self._waiting.append((dialect, action))
                case Request():
                    assert action.verb in Verb
                    self._waiting.append((dialect, action))
            self.counts[type(action).__name__] += 1

    @staticmethod
    def _look_at_publication(message: Publication) -> None:
        assert message.topic
        assert not set("+#\x00") & set(message.topic), message.topic
        assert len(message.topic.encode()) < 65_536
        assert len(message.payload.encode()) < LONGEST_PAYLOAD

    def _look_at_wish(self, wish: Wish) -> None:
        states = self._states[wish.link]
        command = wish.command
        state = states.get(command.device)
        if command.name == "set" and state is not None:
            for key, value in command.values.items():
                state.fields[key].check(value)
        for _, text in wish.parts:
            assert text.isprintable()
            assert len(text) <= 1024

    def run(self, cases: int) -> None:
        """Throw *cases* messages."""
        for _ in range(cases):
            self.case()


def _link(name: str, family: str, kinds: Iterable[str]) -> FakeLink:
    factory = factory_of(family)
    catalogues = import_module(f"hardwired_engines.{family}.catalogue").CATALOGUES
    states = []
    for number, kind in enumerate(kinds):
        fields = catalogues[kind]
        address = str(100 + number) if family == "studer" else None
        ident = "1235687108" if kind == "inverter" else kind
        device = Device(ident, kind, f"The {kind}", serial_number=ident, address=address)
        values = {key: _some(field) for key, field in fields.items()}
        states.append(DeviceState(device, values, fields=fields))
    return FakeLink(name, factory=factory, family=family, snapshot=connected(*states))


def _some(field: Field) -> Value | None:
    match field.quantity:
        case Quantity.OPTION:
            return field.options[0] if field.options else None
        case Quantity.CLOCK_TIME:
            return time(7, 30)
        case Quantity.TIMESTAMP:
            return datetime(2026, 1, 1, tzinfo=UTC)
        case Quantity.TEXT:
            return "text"
        case Quantity.EVENT | Quantity.SIGNAL:
            return None
    if field.binary:
        return True
    return 1 if field.minimum is None or field.minimum <= 1 else field.minimum
