"""MQTT from anybody, files of settings, what was stored: each as something that takes bytes.

A message is its topic, a zero byte and its payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from hardwired.bridge.sink import Dialect, Moment, Outcome, Request, Wish
from hardwired.bridge.state import StateFile
from hardwired.compat.dialects import make_dialect
from hardwired.compat.importing import IMPORTERS, Refused, import_file
from hardwired.config.reader import read_config
from hardwired.gx.dialect import GxDialect
from hardwired.influx.answers import read_answer
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import Device, DeviceState, LinkError, Reason, Snapshot
from hardwired_engines.factory import SettingsError, Surroundings, factory_of
from hardwired_engines.fields import Catalogue
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.truma.inet.buffers import Buffer, read_buffer
from hardwired_engines.truma.installation import Installation
from hardwired_engines.victron_gx import protocol
from hardwired_engines.victron_gx.config import ConfigError, read_export
from hardwired_engines.victron_gx.exporter import Exporter, Memory
from hardwired_engines.victron_gx.gx import Gx
from hardwired_engines.victron_gx.home import EntityState, Home
from hardwired_engines.victron_gx.mqtt import packets as gx_packets
from tests.standalone.mqtt.fakes import FakeHub, FakeLink, MemoryStore

from ._fuzz_seeds import Target, files, hexadecimal, objects, texts, unique

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "standalone/venus"))

from mqtt_devices.mqtt import packets as venus_packets  # noqa: E402

WALL = datetime(2026, 11, 28, 12, tzinfo=UTC)
PORTAL = "c0ffee12ab34"
PAYLOADS = (
    b"", b"ON", b"OFF", b"21", b"21.5", b"on", b"auto", b"eco", b"boost", b"true", b"null", b"-5",
    b"online", b"offline", b"PRESS", b'{"value": 21}', b"2026-11-28T12:00:00+01:00", b"12:30:00",
)  # fmt: skip
Take = Callable[[bytes], object]


def _message(topic: str, payload: bytes) -> bytes:
    return topic.encode() + b"\0" + payload


def _apart(data: bytes) -> tuple[str, bytes]:
    topic, _, payload = data.partition(b"\0")
    return topic.decode(errors="replace"), payload


def _state(family: str, kind: str, name: str) -> DeviceState:
    catalogue: Catalogue = factory_of(family).catalogues[kind]
    values: dict[str, Any] = {field.key: None for field in catalogue.values()}
    return DeviceState(Device(name, kind, name.capitalize()), values, fields=catalogue)


@cache
def _links() -> dict[str, FakeLink]:
    told = {
        "van": ("truma", (("panel", "panel"), ("heater", "heater"), ("aircon", "aircon"))),
        "plant": ("studer", (("xt", "0A1B"), ("xcom", "gateway"))),
        "roof": ("sunsynk", (("inverter", "1235687108"),)),
        "home": ("inventum", (("ecolution", "ecolution"),)),
    }
    found = {}
    for name, (family, devices) in told.items():
        states = [_state(family, kind, ident) for kind, ident in devices]
        snapshot = Snapshot({one.device.id: one for one in states}, connected=True, reason=None)
        found[name] = FakeLink(name, factory_of(family), family, snapshot=snapshot)
    return found


class _Spoken:
    """A dialect that takes messages, is asked when it is due, and hears what became of wishes."""

    def __init__(self, dialect: Dialect, links: Mapping[str, FakeLink]) -> None:
        self.dialect = dialect
        self._seconds = 0.0
        dialect.connected({name: link.snapshot for name, link in links.items()}, self._now())
        while getattr(dialect, "opening", False):
            dialect.tick(self._now())

    def _now(self) -> Moment:
        return Moment(1000 + self._seconds, WALL + timedelta(seconds=self._seconds))

    def take(self, data: bytes) -> None:
        """Take one message."""
        topic, payload = _apart(data)
        self._seconds += 0.2
        found = list(self.dialect.receive(topic, payload, len(data) % 9 == 0, self._now()))
        due = self.dialect.due
        if due is not None and due - 1000 < self._seconds + 5:
            self._seconds = max(self._seconds, due - 1000)
            found += self.dialect.tick(self._now())
        for one in found:
            if isinstance(one, (Wish, Request)):
                self.dialect.answered(one, Outcome(), self._now())


def _native() -> Take:
    links = _links()
    dialect = NativeDialect(
        "mqtt", {}, FakeHub(*links.values()), MemoryStore(), chance=random.Random(1)
    )
    return _Spoken(dialect, links).take


def _native_messages() -> list[bytes]:
    topics = [
        f"hardwired/{name}/{ident}/{key}/set"
        for name, link in _links().items()
        for ident, state in link.snapshot.devices.items()
        for key, field in state.fields.items()
        if field.writable
    ]
    topics += [f"hardwired/van/heater/{one}/temperature/set" for one in ("room", "water")]
    verbs = ("health", "probe", "read", "refresh", "stop", "log_level", "forget", "devices", "fast")
    found = [
        _message(topic, one) for topic in topics[:: len(topics) // 150 + 1] for one in PAYLOADS
    ]
    asked = [*objects("bridge", "requests"), *texts("bridge", "requests", least=1), b"{}"]
    found += [
        _message(f"hardwired/bridge/request/{verb}", one) for verb in verbs for one in asked[:120]
    ]
    return unique([*found, _message("homeassistant/status", b"online")])


def _recalled() -> Take:
    """What somebody has left retained under our prefix."""
    links = _links()

    def take(data: bytes) -> None:
        chance = random.Random(1)
        dialect = NativeDialect("mqtt", {}, FakeHub(links["van"]), MemoryStore(), chance=chance)
        topic, payload = _apart(data)
        dialect.recall({topic: payload, "hardwired/bridge/devices": payload})
        _Spoken(dialect, {"van": links["van"]})

    return take


LEGACY: Mapping[str, tuple[str, dict[str, Any]]] = {
    "inetbox.py": ("van", {}),
    "inetbox2mqtt": ("van", {"topic": "camper"}),
    "xtender_mqtt": ("plant", {"parameters": ["allowInverter"]}),
    "sunsniff": ("roof", {}),
    "inventumusb": ("home", {"topic": "ventilation/inventum"}),
}


def _dialect(name: str) -> Dialect:
    link, settings = _links()[LEGACY[name][0]], LEGACY[name][1]
    return make_dialect({"dialect": name, **settings}, link, FakeHub(link), "mqtt")


def _legacy(name: str) -> Take:
    return _Spoken(_dialect(name), {LEGACY[name][0]: _links()[LEGACY[name][0]]}).take


def _legacy_messages(name: str) -> list[bytes]:
    keys = ("target_temp_room", "heating_mode", "wall_time", "energy_mix", "0", "allowInverter")
    topics = [topic for topic, _ in _dialect(name).subscriptions]
    topics = [topic.replace("#", key).replace("+", key) for topic in topics for key in keys]
    family = _links()[LEGACY[name][0]].family
    told = [*PAYLOADS, *texts(family, "mqtt", "mqtt_compat", "set_rules", least=1, longest=60)[:40]]
    return unique(_message(topic, one) for topic in topics for one in told)


def _gx_dialect() -> Take:
    link = _links()["plant"]
    return _Spoken(GxDialect("gx", {}, FakeHub(link)), {"plant": link}).take


def _gx_messages() -> list[bytes]:
    client = "hw_hardwired_plant_0A1B"
    topics = (
        "dbus-mqtt-devices/status", f"device/{client}/DBus", f"device/{client}/Set",
        f"device/{client}/Error", f"N/{PORTAL}/system/0/Serial",
        f"N/{PORTAL}/switch/7/SwitchableOutput/inverter/State",
    )  # fmt: skip
    told = [*objects("bridge", "venus", longest=3000)[:150], _reply(), b'{"value": 1}', *PAYLOADS]
    return unique(_message(topic, one) for topic in topics for one in told)


def _reply() -> bytes:
    places = {"ctl": {"N": f"N/{PORTAL}/switch/7", "W": f"W/{PORTAL}/switch/7"}}
    told = {"portalId": PORTAL, "deviceInstance": {"ctl": 7}, "topicPath": places}
    return json.dumps(told).encode()


def _gx_export() -> Take:
    """The GX as Home Assistant's entry sees it."""
    entities = ["switch.pump", "light.cabin", "sensor.load", "number.level", "select.mode"]
    config = read_export({"template": "panel", "name": "Galley", "entities": entities})
    home = Home({one: EntityState(one, "on", {"min": 0, "max": 9}) for one in entities})
    exporter = Exporter("galley", config, "0.1.0", Memory())
    gx = Gx(PORTAL, {"galley": exporter}, 0.0)
    gx.connect(0.0)
    gx.home(home, None, 0.0)
    gx.start(0.0)
    gx.receive(f"N/{PORTAL}/system/0/Serial", json.dumps({"value": PORTAL}).encode(), 1.0)
    gx.link("galley", 1.0)
    now = [2.0]

    def take(data: bytes) -> None:
        topic, payload = _apart(data)
        now[0] += 0.3
        topic = topic.replace("hw_hardwired_plant_0A1B", config.client_id)
        gx.receive(topic, payload, now[0])
        gx.receive_export("galley", topic, payload, now[0])
        gx.tick(now[0])
        gx.actions.clear()
        exporter.actions.clear()
        protocol.read_error(payload)
        protocol.read_reply(payload, {"ctl": "switch"})

    return take


def _gx_states() -> Take:
    """What another integration's entities may say."""

    def take(data: bytes) -> None:
        text = data.decode(errors="replace")
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            told = {}
        attributes = told if isinstance(told, dict) else {}
        names = [f"{one}.x" for one in ("switch", "light", "fan", "number", "select", "cover")]
        home = Home({one: EntityState(one, text[:20], attributes) for one in names})
        config = read_export({"template": "panel", "name": "x", "entities": names})
        exporter = Exporter("x", config, "0.1.0", Memory())
        gx = Gx(None, {"x": exporter}, 0.0)
        gx.home(home, None, 0.0)
        gx.start(0.0)
        with contextlib.suppress(ConfigError):
            read_export(attributes)

    return take


def _mqtt_packets(module: Any) -> Callable[[], Take]:
    def make() -> Take:
        def take(data: bytes) -> None:
            decoder = module.Decoder(1000)
            half = len(data) // 2
            decoder.receive_data(data[:half])
            decoder.receive_data(data[half:])

        return take

    return make


def _packets() -> list[bytes]:
    told = (b"", b"x", b'{"value": 1}', b"y" * 200)
    found = [gx_packets.publish(gx_packets.Publish("a/b", one)) for one in told]
    return [*found, b"\x20\x02\0\0", b"\x90\x03\0\1\0", b"\xd0\0", b"".join(found)]


# ---------------------------------------------------------------------------------- files


def _config() -> Take:
    return read_config


def _import() -> Take:
    def take(data: bytes) -> None:
        refused: Refused | None = None
        for program in (*IMPORTERS, "auto"):
            try:
                import_file(program, data)
            except Refused as error:
                refused = error
        if refused is not None:
            raise refused

    return take


def _answer() -> Take:
    def take(data: bytes) -> None:
        text = data.decode(errors="replace")
        for status in (200, 301, 400, 401, 404, 413, 422, 429, 500, 503):
            read_answer(status, text, retry_after=text[:40], now=WALL)

    return take


def _state_file() -> Take:
    folder = tempfile.TemporaryDirectory()

    def take(data: bytes) -> None:
        path = Path(folder.name) / "x.json"
        path.write_bytes(data)
        StateFile(path).load()

    return take


# --------------------------------------------------------------------------------- stored


SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "studer": {"link": "/dev/none"},
    "truma": {"link": "socket://127.0.0.1:9"},
    "sunsynk": {"source": "live", "interface": "none0", "time_zone": "UTC"},
    "inventum": {"link": "/dev/none"},
    "victron_gx": {
        "link": "mqtt://gx.invalid",
        "exports": {"a": {"template": "panel", "name": "A", "entities": ["switch.x"]}},
    },
}


def _stored(family: str, seconds: float = 0.0) -> Take:
    """An engine that begins with what was stored; for *seconds* on a simulated device."""
    factory = factory_of(family)
    settings = factory.read((SIMULATED if seconds else SETTINGS)[family])
    loop = asyncio.new_event_loop()

    async def start(data: Any) -> None:
        storage, clock = MemoryStorage(), ManualClock(WALL)
        storage.data = data
        engine = factory.make(settings, Surroundings(clock=clock, zone=UTC, storage=storage))
        task = asyncio.ensure_future(engine.run(lambda _snapshot: None))
        await clock.advance(seconds)
        reason, detail = engine.snapshot.reason, engine.snapshot.detail
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        if reason is Reason.FAILED:
            raise AssertionError(f"tried again and again: {detail}")
        json.dumps(engine.diagnostics(), default=str)

    def take(data: bytes) -> None:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            return
        if isinstance(told, dict):  # both faces set anything else aside
            loop.run_until_complete(start(told))

    return take


SIMULATED: Mapping[str, Mapping[str, Any]] = {
    "studer": {"link": "sim://?xtenders=2"},
    "sunsynk": {"source": "sim", "interval": 60, "time_zone": "UTC"},
    "inventum": {"link": "sim://"},
    "victron_gx": {**SETTINGS["victron_gx"], "link": "sim://fuzz"},
}


@cache
def _kept(family: str) -> list[bytes]:
    """Return what an engine of a family stores while it lives with its simulator."""
    if family == "truma":
        installation = Installation()
        for data in hexadecimal("truma", "status_buffers"):
            if isinstance(found := read_buffer(data), Buffer):
                installation.take_buffer(found)
        installation.remember_last()
        return [json.dumps(installation.stored).encode()]
    return asyncio.run(_lived(family))


async def _lived(family: str) -> list[bytes]:
    factory, storage, clock = factory_of(family), MemoryStorage(), ManualClock(WALL)
    surroundings = Surroundings(clock=clock, zone=UTC, storage=storage)
    engine = factory.make(factory.read(SIMULATED[family]), surroundings)
    task = asyncio.ensure_future(engine.run(lambda _snapshot: None))
    kept: dict[str, None] = {}
    for _ in range(1200):
        await clock.advance(0.5)
        kept[json.dumps(storage.data)] = None
    task.cancel()
    await asyncio.wait([task])
    return [text.encode() for text in list(kept)[-5:]]


def _settings(family: str) -> Take:
    factory = factory_of(family)

    def take(data: bytes) -> None:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            return
        if isinstance(told, dict):
            factory.read(told)

    return take


def _some_settings(family: str) -> list[bytes]:
    told: Iterable[Mapping[str, Any]] = (
        SETTINGS[family],
        {**SETTINGS[family], "time_zone": "Europe/Berlin", "observer": True, "identity": "box"},
        {"link": "socket://host:4001", "battery_voltage": 48, "intervals": {"slow": 5}},
        {"source": "modbus", "link": "socket://h:502", "units": [1, 2], "write": True},
        {"source": "relay", "listen": "0.0.0.0:51100", "upstream": "a:1", "filter": "tcp port 1"},
        {"link": "sim://?xtenders=2", "login_code": "1234", "boost_duration": 30, "columns": {}},
    )
    return [json.dumps(one).encode() for one in told]


def targets() -> tuple[Target, ...]:
    """Return the decoders of everything that is no device's wire."""
    stored = [
        Target(name=f"stored-{family}", seeds=partial(_kept, family),
               make=partial(_stored, family), renew=500, weight=3)
        for family in SETTINGS
    ]  # fmt: skip
    stored += [
        Target(name=f"stored-{family}-live", seeds=partial(_kept, family),
               make=partial(_stored, family, 6.0), renew=500, slow=1.0, weight=8)
        for family in SIMULATED
    ]  # fmt: skip
    settings = [
        Target(name=f"settings-{family}", seeds=partial(_some_settings, family),
               make=partial(_settings, family), documented=(SettingsError, LinkError), renew=2000)
        for family in SETTINGS
    ]  # fmt: skip
    legacy = [
        Target(name=f"mqtt-{name}", seeds=partial(_legacy_messages, name),
               make=partial(_legacy, name), renew=300)
        for name in LEGACY
    ]  # fmt: skip
    return (
        Target(name="gx-export", seeds=_gx_messages, make=_gx_export, renew=300),
        Target(name="gx-states", seeds=lambda: objects("venus", "ha", "entities")[:500] or [b"{}"],
               make=_gx_states, documented=(ConfigError,), renew=2000),
        Target(name="gx-packets", seeds=_packets, make=_mqtt_packets(gx_packets),
               documented=(gx_packets.Malformed,), renew=2000),
        Target(name="venus-packets", seeds=_packets, make=_mqtt_packets(venus_packets),
               documented=(venus_packets.Malformed,), renew=2000),
        Target(name="mqtt-native", seeds=_native_messages, make=_native, renew=300),
        Target(name="mqtt-recalled", seeds=lambda: [
            _message("hardwired/bridge/devices", one) for one in objects("bridge", "adopt")
        ], make=_recalled, renew=2000, weight=4),
        *legacy,
        Target(name="mqtt-gx", seeds=_gx_messages, make=_gx_dialect, renew=300),
        Target(name="config-toml", seeds=lambda: unique(
            [*texts("bridge", "config", least=20), *files("../standalone/install/docker/*.toml")]
        ), make=_config, renew=2000),
        Target(name="config-import", seeds=lambda: texts("bridge", "import", least=20),
               make=_import, documented=(Refused,), renew=2000),
        Target(name="influx-answers", seeds=lambda: [
            *texts("bridge", "influx"), b"120", b"Fri, 31 Dec 1999 23:59:59 GMT"
        ], make=_answer, renew=2000),
        Target(name="state-file", seeds=lambda: [
            json.dumps({"version": 1, "data": json.loads(one)}).encode()
            for family in SETTINGS for one in _kept(family)
        ], make=_state_file, renew=2000, weight=4),
        *stored,
        *settings,
    )  # fmt: skip
