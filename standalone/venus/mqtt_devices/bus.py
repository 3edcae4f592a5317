"""A connection to D-Bus: calls, signals, names, and values to and from their variants.

The only module, with ``service``, that knows dbus-fast (or its forerunner) and only its
low-level messages (spec G.4).
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable

try:
    from dbus_fast import Message, MessageFlag, MessageType, Variant
    from dbus_fast.aio.message_bus import MessageBus
    from dbus_fast.constants import BusType
except ImportError:  # the GX's own older copy
    from dbus_next import Message, MessageFlag, MessageType, Variant  # type: ignore[no-redef,import-not-found,unused-ignore]
    from dbus_next.aio.message_bus import MessageBus  # type: ignore[no-redef,import-not-found,unused-ignore]
    from dbus_next.constants import BusType  # type: ignore[no-redef,import-not-found,unused-ignore]

from .values import Value, signature

__all__ = [
    "Bus",
    "BusError",
    "BusLost",
    "Message",
    "MessageFlag",
    "MessageType",
    "Variant",
    "from_variant",
    "to_variant",
]

CALL_TIMEOUT = 10.0  # s

DBUS = "org.freedesktop.DBus"
DBUS_PATH = "/org/freedesktop/DBus"
DO_NOT_QUEUE = 4
PRIMARY_OWNER = 1


class BusError(Exception):
    """A call was answered with an error, or not at all; ``name`` is D-Bus' name of the error."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name


class BusLost(Exception):
    """The connection to D-Bus is gone, or never came about."""


def to_variant(value: Value) -> Variant:
    """Wrap a value; None becomes Victron's empty array (spec B.4)."""
    kind = signature(value)
    if value is None:
        return Variant(kind, [])
    if kind == "av":
        return Variant(kind, [to_variant(member) for member in value])  # type: ignore[union-attr]
    return Variant(kind, value)


def from_variant(value: Any) -> Any:
    """Unwrap whatever came: variants inside too; an empty array becomes None."""
    if isinstance(value, Variant):
        return from_variant(value.value)
    if isinstance(value, (list, tuple)):
        return [from_variant(member) for member in value] or None
    if isinstance(value, (bytes, bytearray)):
        return list(value) or None
    if isinstance(value, dict):
        return {key: from_variant(member) for key, member in value.items()}
    return value


class _PatientSocket:
    """A socket whose ``send`` takes nothing when there is no room, instead of failing.

    The library ends the connection over a daemon that is too busy to read at once. It waits until
    there is room when less was sent than it wanted.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def send(self, data: Any) -> int:
        try:
            return int(self._inner.send(data))
        except (BlockingIOError, InterruptedError):
            return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _be_patient(bus: MessageBus) -> None:
    writer: Any = getattr(bus, "_writer", None)
    try:
        writer.sock = _PatientSocket(writer.sock)
    except (AttributeError, TypeError):  # another version of the library, with other insides
        return


class Bus:
    """One connection. ``lost`` is done when it has ended, whoever ended it."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.lost: asyncio.Future[None] = asyncio.ensure_future(self._until_lost())

    @classmethod
    async def connect(cls, address: str | None) -> Bus:
        """Connect to an address, or to the system's bus; raises BusLost."""
        try:
            bus = MessageBus(address, BusType.SYSTEM)
            await asyncio.wait_for(bus.connect(), CALL_TIMEOUT)
        except Exception as error:
            raise BusLost(f"no D-Bus: {str(error) or type(error).__name__}") from error
        _be_patient(bus)
        return cls(bus)

    async def _until_lost(self) -> None:
        try:
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - the reason does not matter, that it is gone does
            return

    @property
    def unique_name(self) -> str:
        """The connection's own name."""
        return str(self._bus.unique_name)

    def handle(self, handler: Callable[[Message], Any]) -> None:
        """Have a function look at every message; it returns a reply, True, or None."""
        self._bus.add_message_handler(handler)

    def send(self, message: Message) -> None:
        """Send a message without waiting."""
        if not self.lost.done():
            self._bus.send(message)

    def signal(self, path: str, interface: str, member: str, kind: str, body: list[Any]) -> None:
        """Send a signal."""
        self.send(
            Message(
                message_type=MessageType.SIGNAL,
                flags=MessageFlag.NO_REPLY_EXPECTED,
                path=path,
                interface=interface,
                member=member,
                signature=kind,
                body=body,
            )
        )

    async def call(  # noqa: PLR0917 - the columns of every call on D-Bus
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        kind: str = "",
        body: list[Any] | None = None,
        *,
        timeout: float = CALL_TIMEOUT,
    ) -> list[Any]:
        """Call a method and return the body of its reply; raises BusError or BusLost."""
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=kind,
            body=body or [],
        )
        if self.lost.done():
            raise BusLost("the D-Bus connection is gone")
        try:
            reply = await asyncio.wait_for(self._bus.call(message), timeout)
        except asyncio.TimeoutError:
            raise BusError("org.freedesktop.DBus.Error.NoReply", member) from None
        except Exception as error:
            raise BusLost(str(error) or type(error).__name__) from error
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise BusError(str(reply.error_name), text)
        return list(reply.body)

    async def dbus(self, member: str, kind: str = "", *body: Any) -> list[Any]:
        """Call a method of the daemon itself."""
        return await self.call(DBUS, DBUS_PATH, DBUS, member, kind, list(body))

    async def names(self) -> list[str]:
        """Return all names on the bus."""
        return list((await self.dbus("ListNames"))[0])

    async def owner(self, name: str) -> str | None:
        """Return who has a name; None when nobody has."""
        try:
            return str((await self.dbus("GetNameOwner", "s", name))[0])
        except BusError:
            return None

    async def request_name(self, name: str) -> bool:
        """Ask for a name without queueing for it; says whether we have it."""
        return bool((await self.dbus("RequestName", "su", name, DO_NOT_QUEUE))[0] == PRIMARY_OWNER)

    async def match(self, rule: str) -> None:
        """Ask for the signals that a rule describes."""
        await self.dbus("AddMatch", "s", rule)

    def close(self) -> None:
        """End the connection; its names go at once."""
        if not self.lost.done():
            self._bus.disconnect()
            # The library would notice the end by reading, but the socket is closed by then.
            self._bus._finalize(None)  # noqa: SLF001
