"""What a test sees of the driver: messages at the broker, names and signals on D-Bus."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from gx.rig import Rig
from mqtt_devices.bus import Bus, BusError, Message, MessageType, Variant
from mqtt_devices.mqtt.client import Broker, Client, Unreachable
from mqtt_devices.mqtt.packets import Publish

ITEM = "com.victronenergy.BusItem"
PATIENCE = 40.0  # s that something may take on a busy machine
QUIET = 0.15  # s in which what should not happen would have happened
FENCE = "zz_fence_"
_FENCES = itertools.count()  # for all tests: none must take another's for its own


def typed(variant: Variant) -> dict[str, Any]:
    """Return a value as the vectors write it."""
    value = variant.value
    if variant.signature == "av":
        value = [typed(it) for it in value]
    elif variant.signature == "a{sv}":
        value = {key: typed(it) for key, it in value.items()}
    return {"t": variant.signature, "v": list(value) if isinstance(value, bytes) else value}


def variant(value: dict[str, Any]) -> Variant:
    """Return what the vectors write as a value."""
    kind, inner = value["t"], value["v"]
    if kind == "av":
        inner = [variant(it) for it in inner]
    elif kind == "a{sv}":
        inner = {key: variant(it) for key, it in inner.items()}
    elif kind == "ay":
        inner = bytes(inner)
    return Variant(kind, inner)


class Observer:
    """Both sides of one rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.bus: Bus | None = None
        self.client: Client | None = None
        self.messages: list[Publish] = []
        self.names: list[str] = []
        self.signals: list[tuple[str, str, str, dict[str, Any]]] = []
        self.clients: set[str] = set()  # who registered
        self.statuses: Counter[str] = Counter()  # topic -> how many were sent
        self.retained: set[str] = set()  # topics
        self._log_start = 0
        self._fenced: set[str] = set()
        self._owners: dict[str, str] = {}
        self._moved = asyncio.Event()

    # ---------------------------------------------------------------- both sides

    async def join_bus(self) -> None:
        """Connect to D-Bus and note names and signals from now on."""
        self.bus = await Bus.connect(self.rig.bus.address)
        self.bus.handle(self._heard)
        await self.bus.match(
            "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
        )
        await self.bus.match(f"type='signal',interface='{ITEM}'")
        for name in await self.bus.names():
            owner = await self.bus.owner(name)
            if owner is not None and name.startswith("com."):
                self._owners[owner] = name

    def _heard(self, message: Message) -> Any:
        if message.message_type is not MessageType.SIGNAL:
            return None
        if message.member == "NameOwnerChanged":
            name, old, new = message.body
            if name.startswith("com.victronenergy."):
                if old:
                    self.names.append("-" + name)
                if new:
                    self.names.append("+" + name)
                    self._owners[new] = name
        elif message.interface == ITEM:
            changed = message.body[0]
            if message.member == "PropertiesChanged":
                changed = {message.path: changed}
            sender = self._owners.get(message.sender, message.sender)
            for path, item in changed.items():
                self.signals.append((sender, path, message.member, item))
        self._moved.set()
        return True

    async def join_broker(self) -> None:
        """Connect to the broker and note all messages from now on."""

        async def connected() -> bool:
            try:
                self.client = await Client.connect(
                    Broker(port=self.rig.broker.port), "observer", self._received
                )
            except Unreachable:
                return False
            return all(await self.client.subscribe([("#", 1)]))

        await until(connected)

    def _received(self, message: Publish) -> None:
        levels = message.topic.split("/")
        if len(levels) == 3 and levels[1].startswith(FENCE):
            if levels[2] == "DBus":
                self._fenced.add(levels[1])
        else:
            if levels[0] == "device" and levels[2:] == ["DBus"]:
                self.clients.add(levels[1])
            self.messages.append(message)
        self._moved.set()

    async def leave(self) -> None:
        """End both connections."""
        if self.client is not None and not self.client.ended.done():
            await self.client.close()
        if self.bus is not None:
            self.bus.close()

    def has(self, name: str) -> bool:
        """Whether somebody has a name on the bus."""
        return name in self._owners.values()

    def begin_log(self) -> None:
        """Take the driver's log from here on."""
        log = self.rig.driver.log
        self._log_start = log.stat().st_size if log.exists() else 0

    def log(self) -> str:
        """Return what the driver has logged since the test began."""
        return self.rig.driver.log.read_bytes()[self._log_start :].decode(errors="replace")

    def clear(self) -> None:
        """Forget what was seen."""
        self.messages.clear()
        self.names.clear()
        self.signals.clear()

    async def wait(self, ready: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until something seen is enough; returns it. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while True:
            found = ready()
            if found:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(self._last())
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), min(left, 1.0))
            except TimeoutError:
                continue

    def _last(self) -> str:
        log = self.log()[-3000:] if self.rig.driver.log.exists() else "none"
        seen = [(it.topic, it.payload) for it in self.messages[-8:]]
        return f"names {self.names[-8:]}, messages {seen}, driver's log:\n{log}"

    # --------------------------------------------------------------------- broker

    def publish(self, topic: str, payload: Any, **how: Any) -> None:
        """Publish: bytes and texts as they are, everything else as JSON."""
        assert self.client is not None
        if not isinstance(payload, str | bytes):
            payload = json.dumps(payload)
        if topic.endswith("/Status"):
            self.statuses[topic] += 1
        if how.get("retain"):
            self.retained.add(topic)
        assert self.client.publish(topic, payload, **how)

    def on(self, topic: str) -> list[Publish]:
        """Return the messages seen on a topic."""
        return [it for it in self.messages if it.topic == topic]

    async def message(self, topic: str) -> Any:
        """Wait for a message and return what its JSON says; it is taken from the list."""
        found = await self.wait(lambda: self.on(topic))
        self.messages.remove(found[0])
        return json.loads(found[0].payload)

    async def register(self, status: dict[str, Any]) -> dict[str, Any]:
        """Publish a Status and return the reply."""
        self.publish(f"device/{status['clientId']}/Status", status)
        reply: dict[str, Any] = await self.message(f"device/{status['clientId']}/DBus")
        return reply

    async def fence(self) -> None:
        """Wait until the driver has read all that was published before."""
        client_id = f"{FENCE}{next(_FENCES)}"
        topic = f"device/{client_id}/Status"
        end = time.monotonic() + PATIENCE
        while client_id not in self._fenced:
            # Again and again: a driver that is just starting has not subscribed yet.
            self.publish(topic, {"clientId": client_id, "connected": 1, "services": {}})
            with contextlib.suppress(TimeoutError):
                await self.wait(lambda: client_id in self._fenced, 0.25)
            if not self.rig.driver.runs or time.monotonic() > end:
                raise TimeoutError(self._last())
        self.publish(topic, {"clientId": client_id, "connected": 0})

    async def quiet(self) -> None:
        """Wait until nothing more is to be expected."""
        await self.fence()
        await asyncio.sleep(QUIET)

    # ---------------------------------------------------------------------- D-Bus

    async def call(self, name: str, path: str, member: str, kind: str = "", *body: Any) -> Any:
        """Call a method of BusItem; returns the value of the reply."""
        assert self.bus is not None
        return (await self.bus.call(name, path, ITEM, member, kind, list(body), timeout=PATIENCE))[
            0
        ]

    async def value(self, name: str, path: str) -> dict[str, Any]:
        """Return what a path holds, typed."""
        return typed(await self.call(name, path, "GetValue"))

    async def set(self, name: str, path: str, value: dict[str, Any]) -> int:
        """Write a path; returns the code."""
        return int(await self.call(name, path, "SetValue", "v", variant(value)))

    async def items(self, name: str) -> dict[str, Any]:
        """Return GetItems, typed."""
        found = await self.call(name, "/", "GetItems")
        return {path: {key: typed(it) for key, it in item.items()} for path, item in found.items()}

    async def error(self, name: str, path: str, member: str, kind: str = "", *body: Any) -> str:
        """Return the name of the error that a call is answered with, "" without one."""
        try:
            await self.call(name, path, member, kind, *body)
        except BusError as error:
            return error.name
        return ""


async def until(ready: Callable[[], Awaitable[Any]], seconds: float = PATIENCE) -> Any:
    """Ask again and again until the answer is yes; returns it. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while True:
        found = await ready()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError
        await asyncio.sleep(0.05)
