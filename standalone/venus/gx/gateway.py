"""A stand-in for the gateway between MQTT and D-Bus (spec B.5, I.1).

Held to recordings of the real one (``gateway/``). Clients' messages on ``N/`` are not kept from
them: the broker of the stand-in has no rights to tell it apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import time
from typing import Any, NamedTuple

from mqtt_devices.bus import (
    Bus,
    BusError,
    BusLost,
    Message,
    MessageType,
    Variant,
    from_variant,
)
from mqtt_devices.mqtt.client import Broker, Client, Unreachable
from mqtt_devices.mqtt.packets import Publish
from mqtt_devices.wire import from_json

from .objects import ITEM, run, until_told

_LOG = logging.getLogger("gateway")

PREFIX = "com.victronenergy."
ALIVE = 60.0  # s after a keep-alive
HEARTBEAT = 3.0  # s
FULL_PER_SECOND = 3
_INT32 = 2**31


class Known(NamedTuple):
    """A service that the gateway knows: its owner, and the topic of its paths."""

    owner: str
    topic: str
    items: dict[str, Any]


def dbus_value(payload: bytes) -> tuple[bool, Variant | None]:
    """Return whether a payload on W means a write, and the typed value (spec B.5)."""
    try:
        message = json.loads(payload.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False, None
    if not isinstance(message, dict) or "value" not in message:
        return False, None
    return typed(message["value"])


def _no_constant(word: str) -> float:
    raise ValueError(word)


def typed(value: Any) -> tuple[bool, Variant | None]:
    """Return whether a JSON value can be written, and as what."""
    if value == []:
        return True, Variant("au", [])
    if isinstance(value, list):
        inner = [typed(member) for member in value]
        kinds = {found.signature if usable and found else "" for usable, found in inner}
        if len(kinds) != 1 or "" in kinds:
            return False, None
        return True, Variant("a" + kinds.pop(), [found.value for _, found in inner if found])
    usable, converted = from_json(value)
    if not usable:
        return False, None
    if converted is None:
        return True, Variant("ai", [])
    return True, Variant(_kind(converted), converted)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int):
        return "i" if -_INT32 <= value < _INT32 else "x"
    return "d" if isinstance(value, float) else "s"


def json_text(value: Any, item: dict[str, Any] | None = None) -> str:
    """Return the payload on N of a value; limits of the item go in front of it."""
    message = {}
    for key in ("Max", "Min"):
        if item and key in item:
            message[key.lower()] = from_variant(item[key])
    message["value"] = value
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


class Gateway:
    """Bridges one bus and one broker."""

    def __init__(self, bus: Bus, portal_id: str) -> None:
        self._bus = bus
        self._portal = portal_id
        self._known: dict[str, Known] = {}
        self._by_topic: dict[str, str] = {}
        self._alive_until = 0.0
        self._full: list[float] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.client: Client | None = None

    async def start(self) -> None:
        """Begin to watch the bus."""
        self._bus.handle(self._signal)
        await self._bus.match(
            "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
            "arg0namespace='com.victronenergy'"
        )
        await self._bus.match(f"type='signal',interface='{ITEM}'")
        for name in await self._bus.names():
            if name.startswith(PREFIX):
                await self._appeared(name)

    async def serve(self, broker: Broker) -> None:
        """Stay connected to the broker."""
        self._spawn(self._beat())
        while True:
            try:
                self.client = await Client.connect(broker, "gateway", self.receive)
                await self.client.subscribe([(f"{letter}/{self._portal}/#", 0) for letter in "WR"])
                self._publish(f"N/{self._portal}/keepalive", "1")
                serial = f"N/{self._portal}/system/0/Serial"
                self.client.publish(serial, json_text(self._portal), 0, True)
                await self.client.ended
            except (Unreachable, ConnectionError):
                pass
            self.client = None
            await asyncio.sleep(0.2)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _publish(self, topic: str, payload: str) -> None:
        if self.client is not None:
            self.client.publish(topic, payload)

    @property
    def _alive(self) -> bool:
        return time.monotonic() < self._alive_until

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            if self._alive:
                self._publish(f"N/{self._portal}/heartbeat", json_text(int(time.time())))

    # ---------------------------------------------------------------- from D-Bus

    async def _appeared(self, name: str) -> None:
        try:
            owner = await self._bus.owner(name)
            items = (await self._bus.call(name, "/", ITEM, "GetItems"))[0]
        except (BusError, BusLost):
            return
        if owner is None:
            return
        instance = from_variant(items.get("/DeviceInstance", {}).get("Value", 0))
        number = instance if isinstance(instance, int) else 0
        topic = "{}/{}".format(name.split(".")[2], number)
        self._known[name] = Known(owner, topic, dict(items))
        self._by_topic[topic] = name
        if self._alive:
            for path, item in items.items():
                self._notify(topic, path, item)

    def _vanished(self, name: str) -> None:
        known = self._known.pop(name, None)
        if known is None:
            return
        if self._by_topic.get(known.topic) == name:
            del self._by_topic[known.topic]
        if self._alive:
            for path in known.items:
                self._publish(f"N/{self._portal}/{known.topic}{path}", "")

    def _notify(self, topic: str, path: str, item: dict[str, Any]) -> None:
        value = from_variant(item["Value"])
        self._publish(f"N/{self._portal}/{topic}{path}", json_text(value, item))

    def _signal(self, message: Message) -> Any:
        if message.message_type is not MessageType.SIGNAL:
            return None
        if message.member == "NameOwnerChanged":
            name, old, new = message.body
            if old:
                self._vanished(name)
            if new:
                self._spawn(self._appeared(name))
            return True
        if message.interface == ITEM:
            self._changed(message)
        return True

    def _changed(self, message: Message) -> None:
        if message.member == "PropertiesChanged":
            changed = {str(message.path): message.body[0]}
        elif message.member == "ItemsChanged":
            changed = message.body[0]
        else:
            return
        for known in self._known.values():
            if known.owner != message.sender:
                continue
            for path, item in changed.items():
                if "Value" not in item:
                    continue
                if from_variant(item["Value"]) is None and item["Text"].value == "":
                    known.items.pop(path, None)
                    continue
                present = known.items.get(path, {})
                before = present.get("Value")
                # Limits are only what GetItems said; a signal's are not taken.
                known.items[path] = {**present, "Value": item["Value"], "Text": item["Text"]}
                if self._alive and (before is None or before != item["Value"]):
                    self._notify(known.topic, path, known.items[path])

    # ----------------------------------------------------------------- from MQTT

    def receive(self, message: Publish) -> None:
        """Act on a message."""
        levels = message.topic.split("/")
        payload = message.payload or b""
        if levels[0] == "R" and levels[2:] in (["keepalive"], ["system", "0", "Serial"]):
            self._keep_alive(payload)
        elif len(levels) > 4:
            name = self._by_topic.get("/".join(levels[2:4]))
            if name is not None:
                path = "/" + "/".join(levels[4:])
                work = self._write if levels[0] == "W" else self._read
                self._spawn(work(name, path, payload))

    def _keep_alive(self, payload: bytes) -> None:
        self._alive_until = time.monotonic() + ALIVE
        options: list[Any] = []
        try:
            options = json.loads(payload)["keepalive-options"] if payload else []
        except (ValueError, KeyError, TypeError):
            options = []
        if "suppress-republish" in options:
            return
        now = time.monotonic()
        self._full = [it for it in self._full if now - it < 1]
        if len(self._full) >= FULL_PER_SECOND:
            return
        self._full.append(now)
        for known in self._known.values():
            for path, item in known.items.items():
                self._notify(known.topic, path, item)
        done: dict[str, Any] = {}
        for option in options:
            if isinstance(option, dict) and "full-publish-completed-echo" in option:
                done.update(option)
        done["value"] = int(time.time())
        text = json.dumps(done, separators=(",", ":"))
        self._publish(f"N/{self._portal}/full_publish_completed", text)

    async def _write(self, name: str, path: str, payload: bytes) -> None:
        known = self._known[name]
        usable, value = dbus_value(payload)
        if not usable or path not in known.items:
            return
        try:
            await self._bus.call(known.owner, path, ITEM, "SetValue", "v", [value])
        except (BusError, BusLost) as error:
            _LOG.info("%s%s: %s", name, path, error)

    async def _read(self, name: str, path: str, _: bytes) -> None:
        known = self._known[name]
        try:
            reply = await self._bus.call(known.owner, path, ITEM, "GetValue")
        except (BusError, BusLost) as error:
            _LOG.info("%s%s: %s", name, path, error)
            return
        value = from_variant(reply[0])
        leaves = {path: value}
        if path not in known.items:
            leaves = {path + "/" + it: found for it, found in (value or {}).items()}
        for leaf, found in leaves.items():
            text = json_text(found, known.items.get(leaf))
            self._publish(f"N/{self._portal}/{known.topic}{leaf}", text)


def main(arguments: list[str] | None = None) -> None:
    """Run the gateway."""
    parser = argparse.ArgumentParser(prog="gx.gateway", description=__doc__)
    parser.add_argument("--bus", help="address of the bus")
    parser.add_argument("--serial", default="c0ffee12ab34", help="the portal id")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    given = parser.parse_args(arguments)

    async def serve() -> None:
        bus = await Bus.connect(given.bus)
        gateway = Gateway(bus, given.serial)
        await gateway.start()
        login = [os.environ.get("GX_MQTT_" + word) for word in ("USER", "PASSWORD")]
        broker = Broker(given.host, given.port, *login)
        serving = asyncio.ensure_future(gateway.serve(broker))
        await until_told(bus)
        serving.cancel()

    run(serve)


if __name__ == "__main__":
    main()
