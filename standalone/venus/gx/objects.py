"""Values on D-Bus the way Victron's own library offers them, for the stand-ins."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Awaitable, Callable

from mqtt_devices.bus import Bus, Message, MessageType, Variant, from_variant, to_variant

ITEM = "com.victronenergy.BusItem"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"


class Objects:
    """Leaves and the nodes above them. Subclasses add methods by way of ``call``."""

    def __init__(self) -> None:
        self.bus: Bus | None = None
        self.values: dict[str, Any] = {}

    async def appear(self, address: str | None, name: str) -> None:
        """Go on the bus; raises RuntimeError when somebody has the name."""
        self.bus = await Bus.connect(address)
        self.bus.handle(self._handle)
        if not await self.bus.request_name(name):
            raise RuntimeError(f"{name} is taken")

    def close(self) -> None:
        """Leave the bus."""
        if self.bus is not None:
            self.bus.close()

    def text(self, path: str) -> str:
        """Return the text of a leaf."""
        value = self.values[path]
        return "---" if value is None else str(value)

    def item(self, path: str) -> dict[str, Variant]:
        """Return a leaf's part of GetItems."""
        return {"Value": to_variant(self.values[path]), "Text": Variant("s", self.text(path))}

    def set_value(self, path: str, value: Any) -> int:
        """Write a leaf; returns the code."""
        self.values[path] = value
        self.changed(path, self.item(path))
        return 0

    def changed(self, path: str, properties: dict[str, Variant]) -> None:
        """Signal a leaf."""
        if self.bus is not None:
            self.bus.signal(path, ITEM, "PropertiesChanged", "a{sv}", [properties])

    def call(self, message: Message) -> Message | None:
        """Answer a call of another interface, or None."""
        return None

    def _handle(self, message: Message) -> Any:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.interface == "org.freedesktop.DBus.Peer":
            return None
        return self.call(message) or self._item_call(message)

    def _item_call(self, message: Message) -> Message:
        path = str(message.path)
        if path in self.values:
            return self._leaf_call(message)
        prefix = path if path == "/" else path + "/"
        below = {leaf[len(prefix) :]: leaf for leaf in self.values if leaf.startswith(prefix)}
        if not below and path != "/":
            return Message.new_error(message, UNKNOWN_OBJECT, path)
        return self._node_call(message, below)

    def _leaf_call(self, message: Message) -> Message:
        path, member, returned = str(message.path), message.member, Message.new_method_return
        if member == "GetValue":
            return returned(message, "v", [to_variant(self.values[path])])
        if member == "GetText":
            return returned(message, "s", [self.text(path)])
        if member == "SetValue":
            return returned(message, "i", [self.set_value(path, from_variant(message.body[0]))])
        return Message.new_error(message, UNKNOWN_METHOD, str(member))

    def _node_call(self, message: Message, below: dict[str, str]) -> Message:
        member, returned = message.member, Message.new_method_return
        if member == "GetItems" and message.path == "/":
            body: Any = {leaf: self.item(leaf) for leaf in below.values()}
            return returned(message, "a{sa{sv}}", [body])
        if member == "GetValue":
            body = {key: to_variant(self.values[leaf]) for key, leaf in below.items()}
            return returned(message, "v", [Variant("a{sv}", body)])
        if member == "GetText":
            body = {key: self.text(leaf) for key, leaf in below.items()}
            return returned(message, "v", [Variant("a{ss}", body)])
        return Message.new_error(message, UNKNOWN_METHOD, str(member))


async def until_told(bus: Bus | None) -> None:
    """Wait for SIGTERM, SIGINT or the end of the bus."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    waits: list[Any] = [asyncio.ensure_future(stop.wait())]
    if bus is not None:
        waits.append(bus.lost)
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a stand-in as a program of its own."""

    async def start() -> None:
        await main()

    asyncio.run(start())
