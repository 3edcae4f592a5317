"""One Victron service on D-Bus: its connection, its answers, its signals (spec B.4).

Every service has a connection of its own, since object paths belong to the connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Callable, Iterable, NamedTuple

from .bus import Bus, Message, MessageFlag, MessageType, Variant, from_variant, to_variant
from .changes import Changes, is_urgent
from .channels import BILGE_PUMP, MOMENTARY, STATUS_ON
from .energy import Energy
from .items import Items
from .names import bus_name, setting_path
from .rows import Row
from .rules import ACCEPTED, OUT_OF_RANGE, REFUSED, judge
from .settings import NoSettings, Settings
from .stale import GUARDED, StaleGuard
from .values import Value, same

_LOG = logging.getLogger("service")

ITEM = "com.victronenergy.BusItem"
_UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
_UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
_INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"

MOMENTARY_SECONDS = 10.0
CLOCK_IS_SET = 1704067200  # 2024-01-01; before it, the GX does not know the time

# Who writes.
FROM_BUS, FROM_PROXY, FROM_DRIVER = range(3)


class Hooks(NamedTuple):
    """What a service tells its device.

    ``on_set``: somebody changed a path over D-Bus (path without slash, value); ``on_write``:
    somebody wrote, equal or not.
    """

    on_set: Callable[[str, Value], None]
    on_write: Callable[[], None]


class Service:
    """A service that is, or will be, on the bus. Made by ``Device``."""

    def __init__(
        self,
        name: str,
        items: Items,
        settings: Settings,
        energy: Energy | None,
        hooks: Hooks,
    ) -> None:
        self.name = name
        self.items = items
        self.energy = energy
        self.bus: Bus | None = None
        self.kind = items.plan.kind
        self._settings = settings
        self._hooks = hooks
        self._loop = asyncio.get_running_loop()
        self._changes = Changes(self._loop.call_later, items.value, self._emit)
        self._stale = StaleGuard() if self.kind in GUARDED else None
        self._pressed: dict[str, asyncio.TimerHandle] = {}
        self._store_lock = asyncio.Lock()
        self._storing: dict[str, Value] = {}
        self.was_read = asyncio.Event()  # somebody has asked for all items
        self._tasks: set[asyncio.Task[None]] = set()
        if energy is not None:
            for path, total in energy.published().items():
                items.set(path, total)

    @property
    def bus_name(self) -> str:
        """The name on the bus."""
        return bus_name(self.kind, self.name)

    @property
    def instance(self) -> int:
        """The VRM instance."""
        number = self.items.value("/DeviceInstance")
        assert isinstance(number, int)
        return number

    async def appear(self, address: str | None) -> bool:
        """Go on the bus; False when another has the name. Raises BusLost or BusError."""
        bus = await Bus.connect(address)
        try:
            bus.handle(self._handle)
            if not await bus.request_name(self.bus_name):
                bus.close()
                return False
        except BaseException:
            bus.close()
            raise
        self.bus = bus
        return True

    def vanish(self) -> None:
        """Leave the bus."""
        self._changes.stop()
        for timer in self._pressed.values():
            timer.cancel()
        self._pressed.clear()
        for task in list(self._tasks):
            task.cancel()
        if self.bus is not None:
            self.bus.close()
        self.bus = None

    # ------------------------------------------------------------------ writing

    def write(self, path: str, value: Any, source: int) -> int | None:
        """Write one path; returns the code of SetValue, None when a setting must be asked."""
        return self.write_all([(path, value)], source)[0]

    def write_all(self, values: Iterable[tuple[str, Any]], source: int) -> list[int | None]:
        """Write paths as one message; codes in order. Unknown paths are refused."""
        codes: list[int | None] = []
        taken: dict[str, Value] = {}
        for path, value in values:
            row = self.items.row(path)
            if row is None:
                codes.append(REFUSED)
                continue
            verdict = judge(row, value, self.items.value)
            if verdict.code != ACCEPTED:
                codes.append(verdict.code)
            elif row.stored and not self._is_kept(path, verdict.value):
                codes.append(None)
            else:
                taken[path] = verdict.value
                codes.append(ACCEPTED)
        if taken:
            self._take(taken, source)
        return codes

    def _is_kept(self, path: str, value: Value) -> bool:
        return same(self.items.value(path), value) and path not in self._storing

    async def store(self, path: str, value: Any, source: int) -> int:
        """Write a stored path: the setting first, then the value (spec D.5)."""
        async with self._store_lock:
            row = self.items.row(path)
            if row is None:
                return REFUSED
            verdict = judge(row, value, self.items.value)
            if verdict.code != ACCEPTED:
                return verdict.code
            if not same(self.items.value(path), verdict.value):
                self._storing[path] = verdict.value
                try:
                    if not await self._settings.set(setting_path(self.name, path), verdict.value):
                        return OUT_OF_RANGE
                except NoSettings as error:
                    _LOG.warning("%s%s was not stored: %s", self.name, path, error)
                    return OUT_OF_RANGE
                finally:
                    del self._storing[path]
            self._take({path: verdict.value}, source)
            return ACCEPTED

    def write_eventually(self, path: str, value: Any, source: int) -> None:
        """Write a stored path without waiting for it."""

        async def stored() -> None:
            await self.store(path, value, source)

        self._spawn(stored())

    def setting_changed(self, path: str, value: Value) -> bool:
        """Follow a setting that somebody else wrote; False when the value is not usable."""
        row = self.items.row(path)
        if row is None or not row.stored:
            return False
        kept = self._storing[path] if path in self._storing else self.items.value(path)
        if same(kept, value) or _stored_form(row, kept) == value:
            return True  # the store says what we wrote, in its own form
        verdict = judge(row, value, self.items.value)
        if verdict.code != ACCEPTED or verdict.value is None:
            return False
        self._signal_changes({path: verdict.value}, FROM_BUS)
        return True

    def set_own(self, values: dict[str, Value]) -> None:
        """Set rows that nobody else may write, all in one signal."""
        before = {path: self.items.value(path) for path in values if path in self.items}
        changed = {path: before[path] for path in before if self.items.set(path, values[path])}
        self._changes.add(changed, changed)

    def _take(self, taken: dict[str, Value], source: int) -> None:
        """Take over what was accepted, and what follows from it."""
        self._hooks.on_write()
        if self._stale is not None:
            self._stale.written(self._loop.time())
        changed = self._signal_changes(taken, source)
        if source == FROM_BUS:
            for path in changed:
                self._hooks.on_set(path[1:], self.items.value(path))
        for path in changed:
            self._watch_press(path)
        follow = self._count_energy(taken)
        follow.update(self._stamps(taken, changed))
        if follow:
            self._signal_changes(follow, FROM_DRIVER)

    def _signal_changes(self, values: dict[str, Value], source: int) -> list[str]:
        """Set values and signal; returns which of them changed."""
        before: dict[str, Value] = {}
        urgent: list[str] = []
        changed: list[str] = []
        for path, value in values.items():
            old = self.items.value(path)
            row = self.items.row(path)
            if row is None or not self.items.set(path, value):
                continue
            before[path] = old
            changed.append(path)
            hurry = source == FROM_BUS or is_urgent(self.kind, row, old, value)
            if hurry:
                urgent.append(path)
            status = self._auto_status(row)
            if status is not None and status not in values:
                old = self.items.value(status)
                on = value == 1
                if self.items.set(status, STATUS_ON if on else 0):
                    before.setdefault(status, old)
                    urgent.append(status)
        if before:
            self._changes.add(before, urgent)
        return changed

    def _auto_status(self, row: Row) -> str | None:
        """Return the path of the Status that follows a row, if one does (spec D.7)."""
        if not self.items.plan.auto_status or not row.channel or row.field != "State":
            return None
        if self.items.value(row.channel + "Settings/Type") == BILGE_PUMP:
            return None
        return row.channel + "Status"

    def _watch_press(self, path: str) -> None:
        """Release a momentary output that nobody releases (spec E.4)."""
        row = self.items.row(path)
        if row is None or not row.channel or row.field != "State":
            return
        timer = self._pressed.pop(path, None)
        if timer is not None:
            timer.cancel()
        if self.items.value(row.channel + "Settings/Type") != MOMENTARY:
            return
        if self.items.value(path) == 1:
            self._pressed[path] = self._loop.call_later(MOMENTARY_SECONDS, self._release, path)

    def _release(self, path: str) -> None:
        self._pressed.pop(path, None)
        if self._signal_changes({path: 0}, FROM_DRIVER):
            self._hooks.on_set(path[1:], 0)

    def _count_energy(self, taken: dict[str, Value]) -> dict[str, Value]:
        counted: dict[str, Value] = {}
        if self.energy is not None:
            for path, value in taken.items():
                counted.update(self.energy.write(path, value, self._loop.time()))
        return counted

    def _stamps(self, taken: dict[str, Value], changed: Iterable[str]) -> dict[str, Value]:
        """Return the times that an ``ev`` with option ``stamp`` gets (spec D.7)."""
        now = int(time.time())
        if not self.items.plan.stamp or now < CLOCK_IS_SET:
            return {}
        by_device = []
        for path in taken:
            row = self.items.row(path)
            if row is not None and not row.from_gx:
                by_device.append(path)
        if not by_device:
            return {}
        stamps: dict[str, Value] = {"/LastUpdated/EvContact": now}
        if any(path.startswith("/Position/") or path == "/AtSite" for path in by_device):
            stamps["/LastUpdated/Location"] = now
        if "/ChargingState" in changed:
            stamps["/LastUpdated/Charging"] = now
        return {p: t for p, t in stamps.items() if p not in taken and p in self.items}

    # ------------------------------------------------------------- as time passes

    def tick(self) -> None:
        """Do what time asks for: energy, and values that nobody renews."""
        now = self._loop.time()
        if self.energy is not None:
            counted: dict[str, Value] = dict(self.energy.tick(now))
            self._signal_changes(counted, FROM_DRIVER)
        if self._stale is not None and self._stale.is_stale(now):
            self._invalidate()

    def _invalidate(self) -> None:
        gone: dict[str, Value] = {}
        for path, row in self.items.plan.rows.items():
            counted = self.energy is not None and self.energy.has(path)
            loose = row.is_number and not row.stored and row.default is None and not counted
            if loose and self.items.value(path) is not None:
                gone[path] = None
        if gone:
            _LOG.warning("%s is silent: %s values are invalid now", self.name, len(gone))
            self._signal_changes(gone, FROM_DRIVER)
            self._count_energy(gone)

    def start_energy(self, energy: Energy | None) -> None:
        """Begin or end to integrate, while the service stays (spec O12)."""
        if energy is not None:
            self._signal_changes(dict(energy.published()), FROM_DRIVER)
        self.energy = energy

    # --------------------------------------------------------------------- D-Bus

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _emit(self, paths: list[str]) -> None:
        if self.bus is None:
            return
        if len(paths) == 1:
            path = paths[0]
            self.bus.signal(path, ITEM, "PropertiesChanged", "a{sv}", [self._item(path)])
        else:
            body = [{path: self._item(path) for path in paths}]
            self.bus.signal("/", ITEM, "ItemsChanged", "a{sa{sv}}", body)

    def _item(self, path: str) -> dict[str, Variant]:
        return {
            "Value": to_variant(self.items.value(path)),
            "Text": Variant("s", self.items.text(path)),
        }

    def _handle(self, message: Message) -> Any:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.interface == "org.freedesktop.DBus.Peer":
            return None
        reply = self._answer(message)
        if message.flags & MessageFlag.NO_REPLY_EXPECTED:
            return True
        return reply if reply is not None else True

    def _answer(self, message: Message) -> Message | None:
        """Return the reply to a call; None for one that comes later."""
        path = str(message.path)
        leaf = path in self.items
        below = [] if leaf else self.items.below(path)
        if not leaf and not below:
            return Message.new_error(message, _UNKNOWN_OBJECT, path)
        if message.interface == "org.freedesktop.DBus.Introspectable":
            return Message.new_method_return(message, "s", [self._introspection(path, below)])
        if message.interface not in (None, "", ITEM):
            return Message.new_error(message, _UNKNOWN_METHOD, str(message.interface))
        if leaf:
            return self._answer_leaf(message)
        return self._answer_node(message, below)

    def _answer_leaf(self, message: Message) -> Message | None:
        path, member = str(message.path), message.member
        if member == "GetValue":
            return Message.new_method_return(message, "v", [to_variant(self.items.value(path))])
        if member == "GetText":
            return Message.new_method_return(message, "s", [self.items.text(path)])
        if member == "GetDescription":
            return Message.new_method_return(message, "s", [""])
        if member == "SetValue":
            return self._answer_set(message)
        return Message.new_error(message, _UNKNOWN_METHOD, str(member))

    def _answer_set(self, message: Message) -> Message | None:
        if len(message.body) != 1:
            return Message.new_error(message, _INVALID_ARGS, "SetValue takes one value")
        path, value = str(message.path), from_variant(message.body[0])
        code = self.write(path, value, FROM_BUS)
        if code is not None:
            return Message.new_method_return(message, "i", [code])

        async def stored() -> None:
            code = await self.store(path, value, FROM_BUS)
            if self.bus is not None and not message.flags & MessageFlag.NO_REPLY_EXPECTED:
                self.bus.send(Message.new_method_return(message, "i", [code]))

        self._spawn(stored())
        return None

    def _answer_node(self, message: Message, below: list[str]) -> Message:
        member, root = message.member, message.path == "/"
        if member == "GetItems" and root:
            self.was_read.set()
            body: Any = {path: self._item(path) for path in below}
            return Message.new_method_return(message, "a{sa{sv}}", [body])
        start = 1 if root else len(str(message.path)) + 1
        if member == "GetValue":
            body = {path[start:]: to_variant(self.items.value(path)) for path in below}
            return Message.new_method_return(message, "v", [Variant("a{sv}", body)])
        if member == "GetText":
            body = {path[start:]: self.items.text(path) for path in below}
            return Message.new_method_return(message, "v", [Variant("a{ss}", body)])
        return Message.new_error(message, _UNKNOWN_METHOD, str(member))

    @staticmethod
    def _introspection(path: str, below: list[str]) -> str:
        start = 1 if path == "/" else len(path) + 1
        children = sorted({it[start:].split("/", 1)[0] for it in below})
        interface = _LEAF if not below else _ROOT if path == "/" else _NODE
        nodes = "".join(f'<node name="{child}"/>' for child in children)
        return f"<node>{_PEER}{interface}{nodes}</node>"


def _stored_form(row: Row, value: Value) -> Value:
    """Return what the store makes of a value: a fraction is cut off for a whole number (V6)."""
    return int(value) if isinstance(value, float) and isinstance(row.default, int) else value


def _method(name: str, *arguments: str) -> str:
    inner = "".join(
        '<arg type="{}" direction="{}"/>'.format(it.lstrip(">"), "out" if it[0] == ">" else "in")
        for it in arguments
    )
    return f'<method name="{name}">{inner}</method>'


def _interface(*members: str) -> str:
    return '<interface name="{}">{}</interface>'.format(ITEM, "".join(members))


_PEER = (
    '<interface name="org.freedesktop.DBus.Introspectable">'
    + _method("Introspect", ">s")
    + '</interface><interface name="org.freedesktop.DBus.Peer">'
    + _method("Ping")
    + "</interface>"
)
_LEAF = _interface(
    _method("GetValue", ">v"),
    _method("GetText", ">s"),
    _method("SetValue", "v", ">i"),
    _method("GetDescription", "s", "i", ">s"),
    '<signal name="PropertiesChanged"><arg type="a{sv}"/></signal>',
)
_NODE = _interface(_method("GetValue", ">v"), _method("GetText", ">v"))
_ROOT = _interface(
    _method("GetItems", ">a{sa{sv}}"),
    _method("GetValue", ">v"),
    _method("GetText", ">v"),
    '<signal name="ItemsChanged"><arg type="a{sa{sv}}"/></signal>',
)
