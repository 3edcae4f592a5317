"""The GX's own services: who has which name, and the portal id (spec C.1, B.6)."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, Callable

from .bus import DBUS, Bus, BusError, Message, MessageType, from_variant
from .names import PREFIX
from .settings import ITEM, SERVICE as SETTINGS

_LOG = logging.getLogger("system")

SYSTEM = PREFIX + ".system"
POLL = 5.0  # s
_PORTAL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OURS = re.compile(re.escape(PREFIX) + r"\.[a-z0-9_]+\.mqtt_.*")

_RULES = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',"
    f"arg0namespace='{PREFIX}'",
    f"type='signal',sender='{SETTINGS}',interface='{ITEM}',path_namespace='/Settings/MqttDevices'",
    f"type='signal',sender='{SETTINGS}',interface='{ITEM}',path_namespace='/Settings/Devices'",
    f"type='signal',sender='{SETTINGS}',interface='{ITEM}',member='ItemsChanged',path='/'",
)


class System:
    """Watches names and settings.

    ``on_owner`` gets a name and whether somebody has it now; ``on_setting`` gets a path and its
    new value.
    """

    def __init__(
        self,
        bus: Bus,
        on_owner: Callable[[str, bool], None],
        on_setting: Callable[[str, Any], None],
    ) -> None:
        self._bus = bus
        self._on_owner = on_owner
        self._on_setting = on_setting
        self._owners: dict[str, str] = {}
        self._moved = asyncio.Event()

    async def start(self) -> None:
        """Begin to watch."""
        self._bus.handle(self._handle)
        for rule in _RULES:
            await self._bus.match(rule)
        for name in (SYSTEM, SETTINGS):
            owner = await self._bus.owner(name)
            if owner is not None:
                self._owners[name] = owner

    def is_there(self, name: str) -> bool:
        """Whether somebody has a name of SYSTEM and SETTINGS."""
        return name in self._owners

    async def _change_or_poll(self) -> None:
        try:
            await asyncio.wait_for(self._moved.wait(), POLL)
        except asyncio.TimeoutError:
            return

    async def portal_id(self) -> str | None:
        """Return the portal id; None when the GX does not say it now."""
        try:
            reply = await self._bus.call(SYSTEM, "/Serial", ITEM, "GetValue", timeout=5.0)
        except BusError:
            return None
        found = from_variant(reply[0]) if reply else None
        return found if isinstance(found, str) and _PORTAL_ID.fullmatch(found) else None

    async def wait_for_portal_id(self) -> str:
        """Wait until the GX says its portal id."""
        told = False
        while True:
            self._moved.clear()
            found = await self.portal_id()
            if found is not None:
                return found
            if not told:
                _LOG.info("waiting for %s", SYSTEM)
                told = True
            await self._change_or_poll()

    async def wait_for_settings(self) -> None:
        """Wait until the settings service is there."""
        told = False
        while not self.is_there(SETTINGS):
            self._moved.clear()
            if not told:
                _LOG.info("waiting for %s", SETTINGS)
                told = True
            await self._change_or_poll()

    async def wait_for_others(self, seconds: float) -> list[str]:
        """Wait for an old driver's services to go; returns what is still there (spec M1)."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            self._moved.clear()
            there = [name for name in await self._bus.names() if OURS.fullmatch(name)]
            left = end - loop.time()
            if not there or left <= 0:
                return there
            try:
                await asyncio.wait_for(self._moved.wait(), min(left, POLL))
            except asyncio.TimeoutError:
                continue

    def _handle(self, message: Message) -> Any:
        if message.message_type is not MessageType.SIGNAL:
            return None
        try:
            if message.sender == DBUS and message.member == "NameOwnerChanged":
                self._owner_changed(*message.body)
            elif message.interface == ITEM and message.sender == self._owners.get(SETTINGS):
                self._settings_signal(message)
        except Exception:  # noqa: BLE001 - no message may end the driver
            _LOG.exception("a signal was not dealt with")
        return True

    def _owner_changed(self, name: str, _: str, owner: str) -> None:
        if owner:
            self._owners[name] = owner
        else:
            self._owners.pop(name, None)
        self._moved.set()
        self._on_owner(name, bool(owner))

    def _settings_signal(self, message: Message) -> None:
        if message.member == "PropertiesChanged" and message.signature == "a{sv}":
            changed = {str(message.path): message.body[0]}
        elif message.member == "ItemsChanged" and message.signature == "a{sa{sv}}":
            changed = message.body[0]
        else:
            return
        for path, properties in changed.items():
            if "Value" in properties:
                self._on_setting(path, from_variant(properties["Value"]))
