"""Noise: messages and calls that no well-meaning device sends, and programs that are killed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import TYPE_CHECKING, Any

from mqtt_devices.bus import Bus, BusError, BusLost, Variant, from_variant
from mqtt_devices.mqtt.client import Broker, Client, Unreachable

from .objects import ITEM

if TYPE_CHECKING:
    from mqtt_devices.mqtt.packets import Publish

    from .processes import Process
    from .rig import Rig

_TYPES = ("temperature", "tank", "grid", "switch", "ev", "battery", "acload", "spicyness", "")
_PATHS = ("Temperature", "Level", "Ac/Power", "CustomName", "ProductId", "x", "", "A/#", "Ä")
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    1e308,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    "",
    "x",
    "1",
    "\0",
    "\ud800",
    "a\nb",
    [],
    [1],
    {},
    {"a": [None]},
    float("nan"),
    float("inf"),
)


class MqttNoise:
    """Makes messages for the driver's topics: valid, nearly valid, and none at all."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def message(self) -> tuple[str, bytes]:
        """Return a topic and a payload."""
        word = self._chance.choice(("Status", "Status", "Proxy", "x"))
        client_id = self._client_id()
        topic = f"device/{client_id or 'none'}/{word}"
        if self._chance.random() < 0.05:
            topic = self._chance.choice(
                ("device_discovery", "dbus-mqtt-devices/command", "dbus-mqtt-devices/status")
            )
        body = self._proxy() if word == "Proxy" else self._status(client_id)
        return topic, self._spoiled(body)

    def _client_id(self) -> str:
        return self._chance.choice(("n", "m_1", "zz", "Q9", "a")) + str(self._chance.randrange(40))

    def _odd(self, wish: Any, chance: float = 0.15) -> Any:
        return self._chance.choice(_ODD) if self._chance.random() < chance else wish

    def _status(self, client_id: str) -> Any:
        services = {
            self._chance.choice(("a", "b", "", "c_1", "ü")): self._odd(self._chance.choice(_TYPES))
            for _ in range(self._chance.randrange(3))
        }
        body = {
            "clientId": self._odd(client_id),
            "connected": self._odd(self._chance.choice((0, 1))),
            "version": self._odd("v1"),
            "services": self._odd(services),
        }
        if self._chance.random() < 0.4:
            body["options"] = self._odd({key: self._options() for key in services}, 0.1)
        for key in ("lwt_topic", "lwt_value", "ttl", "notify"):
            if self._chance.random() < 0.2:
                body[key] = self._odd("w/x", 0.6)
        return self._odd(body, 0.05)

    def _options(self) -> Any:
        kinds = (*range(-1, 15), "slider", "dropdown", "rgb")
        output = {
            "id": self._odd(self._chance.choice(("o", "p", "_"))),
            "type": self._odd(self._chance.choice(kinds)),
        }
        for key in ("min", "max", "step", "value", "labels", "name", "valid_types", "settings"):
            if self._chance.random() < 0.3:
                output[key] = self._chance.choice((*_ODD, ["a", "b"], [1, 2]))
        options = {"outputs": self._odd([output]), "inputs": self._odd([{"id": "i"}])}
        for key in ("energy", "phases", "defaults", "instance", "auto_status", "generic_meter"):
            if self._chance.random() < 0.2:
                options[key] = self._chance.choice(_ODD)
        return self._odd(options, 0.1)

    def _proxy(self) -> Any:
        path = f"W/c0ffee12ab34/{self._chance.choice(_TYPES)}/{self._chance.randrange(4)}"
        values = {
            self._chance.choice(_PATHS): self._odd(self._chance.random(), 0.5)
            for _ in range(self._chance.randrange(4))
        }
        return self._odd({"topicPath": self._odd(path), "values": self._odd(values)}, 0.1)

    def _spoiled(self, body: Any) -> bytes:
        data = json.dumps(body).encode("utf-8", "surrogatepass")
        fate = self._chance.random()
        if fate < 0.7:
            return data
        if fate < 0.8:
            return data[: self._chance.randrange(len(data) + 1)]
        if fate < 0.9:
            spoiled = bytearray(data)
            for _ in range(self._chance.randrange(1, 6)):
                spoiled[self._chance.randrange(len(spoiled))] = self._chance.randrange(256)
            return bytes(spoiled)
        if fate < 0.95:
            return bytes(self._chance.randrange(256) for _ in range(self._chance.randrange(60)))
        if fate < 0.96:
            return b"[" * self._chance.choice((30, 30000, 70000))
        return data.decode("utf-8", "replace").encode("utf-16")


_VALUES: tuple[tuple[str, Any], ...] = (
    ("i", 5),
    ("i", -1),
    ("x", 2**62),
    ("t", 2**64 - 1),
    ("y", 255),
    ("d", 1.5),
    ("d", float("nan")),
    ("d", float("inf")),
    ("d", 1e300),
    ("b", True),
    ("s", ""),
    ("s", "12"),
    ("s", "word"),
    ("s", "9" * 5000),
    ("ai", []),
    ("au", []),
    ("as", ["a", "b"]),
    ("ad", [1.0, 2.0, 3.0, 4.0, 5.0]),
    ("a{sv}", {"a": Variant("i", 1)}),
    ("av", [Variant("s", "x"), Variant("v", Variant("i", 1))]),
    ("(is)", [1, "x"]),
    ("ay", b"\0\1"),
    ("o", "/x"),
    ("g", "a{sv}"),
)
_MEMBERS = ("SetValue", "SetValue", "SetValue", "GetValue", "GetText", "GetItems", "GetMin", "X")


async def call_noise(bus: Bus, services: list[str], chance: random.Random, count: int) -> list[str]:
    """Call paths of services with anything; returns what was wrong about the answers."""
    paths = {name: [*(await items(bus, name)), "/", "/Mgmt", "/NoSuch"] for name in services}
    wrong: list[str] = []
    for _ in range(count):
        name = chance.choice(services)
        path, member = chance.choice(paths[name]), chance.choice(_MEMBERS)
        kind, value = chance.choice(_VALUES)
        body: list[Any]
        signature, body = ("v", [Variant(kind, value)]) if member == "SetValue" else ("", [])
        if chance.random() < 0.05:
            signature, body = chance.choice((("", []), ("s", ["x"]), ("ii", [1, 2])))
        try:
            reply = await bus.call(name, path, ITEM, member, signature, body, timeout=60.0)
        except BusError as error:
            if not error.name.startswith("org.freedesktop.DBus.Error."):
                wrong.append(f"{member} {path} {kind}: {error}")
            continue
        if member == "SetValue" and reply[0] not in (0, 1, 2):
            wrong.append(f"SetValue {path} {kind}: {reply}")
        if member == "SetValue" and reply[0] == 0:
            held = from_variant((await bus.call(name, path, ITEM, "GetValue"))[0])
            wrong.extend(_unfit(path, held))
    return wrong


def _unfit(path: str, held: Any) -> list[str]:
    """Return what a path must never hold."""
    if isinstance(held, float) and held - held != 0:
        return [f"{path} holds {held}"]
    if path == "/CustomName" and not isinstance(held, str):
        return [f"{path} holds {held!r}"]
    if path in ("/Ac/Power", "/Temperature") and isinstance(held, (str, bool, list)):
        return [f"{path} holds {held!r}"]
    return []


async def items(bus: Bus, name: str) -> dict[str, Any]:
    """Return all items of a service: path -> value."""
    found = (await bus.call(name, "/", ITEM, "GetItems"))[0]
    return {path: from_variant(item["Value"]) for path, item in found.items()}


# ------------------------------------------------------------------- programs that are killed

_DEVICES = {
    "boat_1": {"t": "temperature", "w": "tank"},
    "boat_2": {"t": "temperature", "g": "grid"},
    "boat_3": {"s": "switch", "e": "ev", "a": "acload"},
}
_PATIENCE = 90.0
REPEAT = 1.0  # s between registrations


class Gadget:
    """A device like its firmware: registers on connect, when asked to, and every second."""

    def __init__(self, client_id: str, services: dict[str, str], port: int) -> None:
        self.client_id = client_id
        self.services = services
        self.reply: dict[str, Any] | None = None
        self.replies = 0
        self._port = port
        self._client: Client | None = None

    async def live(self) -> None:
        """Stay connected and registered, until cancelled."""
        while True:
            try:
                self._client = await Client.connect(
                    Broker(port=self._port), self.client_id, self._received
                )
                await self._client.subscribe(
                    [(f"device/{self.client_id}/DBus", 1), ("device_discovery", 1)]
                )
                while not self._client.ended.done():
                    self.register()
                    await asyncio.wait([self._client.ended], timeout=REPEAT)
            except (Unreachable, ConnectionError):
                pass
            await asyncio.sleep(0.2)

    def _received(self, message: Publish) -> None:
        if message.topic == "device_discovery":
            self.register()
        elif message.payload:
            self.reply = json.loads(message.payload)
            self.replies += 1

    def register(self) -> None:
        """Publish the Status."""
        if self._client is not None:
            status = {"clientId": self.client_id, "connected": 1, "services": self.services}
            self._client.publish(f"device/{self.client_id}/Status", json.dumps(status))


async def restart_storm(rig: Rig, rounds: int, chance: random.Random) -> list[str]:
    """Kill broker, D-Bus daemon and settings service in random order, ``rounds`` times.

    A supervisor starts again whatever ends by itself. Returns what was not as before.
    """
    gadgets = [Gadget(key, services, rig.broker.port) for key, services in _DEVICES.items()]
    tasks = [asyncio.ensure_future(gadget.live()) for gadget in gadgets]
    keeper = asyncio.ensure_future(rig.supervise())
    problems: list[str] = []
    try:
        await _all_there(rig, gadgets)
        await _rename(rig, gadgets)
        before = await _picture(rig, gadgets)
        for number in range(rounds):
            victims: list[Process] = [rig.broker, rig.bus, rig.settings]
            chance.shuffle(victims)
            for victim in victims[: chance.choice((1, 2, 3))]:
                victim.stop(kill=True)
                await asyncio.sleep(chance.random() * 0.5)
            await asyncio.sleep(chance.random())
            try:
                await _all_there(rig, gadgets)
                after = await _picture(rig, gadgets)
            except TimeoutError:
                problems.append(f"round {number}: not all are back")
                break
            if after != before:
                problems.append(f"round {number}: {before} became {after}")
                break
    finally:
        keeper.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(keeper, *tasks, return_exceptions=True)
    return problems


def _names(gadgets: list[Gadget]) -> list[str]:
    return [
        f"com.victronenergy.{kind}.mqtt_{gadget.client_id}_{key}"
        for gadget in gadgets
        for key, kind in gadget.services.items()
    ]


async def _all_there(rig: Rig, gadgets: list[Gadget]) -> None:
    """Wait until every service answers and every device has a new reply."""
    end = time.monotonic() + _PATIENCE
    seen = {gadget.client_id: gadget.replies for gadget in gadgets}
    while True:
        try:
            bus = await Bus.connect(rig.bus.address)
            try:
                for name in [*_names(gadgets), "com.victronenergy.settings"]:
                    await items(bus, name)
                if all(gadget.replies > seen[gadget.client_id] for gadget in gadgets):
                    return
            finally:
                bus.close()
        except (BusLost, BusError):
            pass
        if time.monotonic() > end:
            raise TimeoutError
        await asyncio.sleep(0.1)


async def _rename(rig: Rig, gadgets: list[Gadget]) -> None:
    bus = await Bus.connect(rig.bus.address)
    for number, name in enumerate(_names(gadgets)):
        value = Variant("s", f"Name {number} ä")
        await bus.call(name, "/CustomName", ITEM, "SetValue", "v", [value])
    bus.close()


async def _picture(rig: Rig, gadgets: list[Gadget]) -> dict[str, Any]:
    """Return instance and name of every service."""
    bus = await Bus.connect(rig.bus.address)
    found = {}
    for name in _names(gadgets):
        held = await items(bus, name)
        found[name] = (held["/DeviceInstance"], held["/CustomName"])
    bus.close()
    return found
