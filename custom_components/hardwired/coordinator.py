"""The push coordinator of every family: engine in, Home Assistant out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from homeassistant.components import usb
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, instance_id
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import CONF_SIMULATED, DOMAIN
from .engines.composite import Composite, Wish
from .engines.engine import (
    Command,
    CommandError,
    Device,
    Engine,
    InvalidCommand,
    NotConnected,
    Occurrence,
    Reason,
    Snapshot,
)
from .engines.masking import masked_text
from .family import Family
from .issues import RepairIssues
from .simulated import ENGLISH, async_mark
from .storage import HomeAssistantStorage

_LOGGER = logging.getLogger(__name__)

type HardwiredConfigEntry = ConfigEntry[HardwiredRuntime]

STOP_TIMEOUT = 5.0
CHECK_INTERVAL = timedelta(minutes=1)


@dataclass(slots=True)
class HardwiredRuntime:
    """What lives as long as a loaded config entry."""

    family: Family[Any]
    engine: Engine
    coordinator: HardwiredCoordinator
    storage: HomeAssistantStorage


@contextlib.contextmanager
def _home_assistant_errors() -> Iterator[None]:
    """Turn the engines' errors into those that Home Assistant shows, with their texts."""
    try:
        yield
    except CommandError as error:
        kind = ServiceValidationError if isinstance(error, InvalidCommand) else HomeAssistantError
        raise kind(
            translation_domain=DOMAIN,
            translation_key=error.key,
            translation_placeholders=error.placeholders,
        ) from error


class HardwiredCoordinator(DataUpdateCoordinator[Snapshot]):
    """Runs the engine, hands its snapshots to the entities and its troubles to the user."""

    config_entry: HardwiredConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: HardwiredConfigEntry,
        family: Family[Any],
        engine: Engine,
        storage: HomeAssistantStorage,
    ) -> None:
        """Prepare; nothing runs before :meth:`async_start`."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=masked_text(entry.title),
            update_interval=None,
            always_update=False,
        )
        self.family = family
        self.engine = engine
        self.data = engine.snapshot
        self.structure = 0
        """Grows whenever a device or a value appears that was not there before."""
        self._shape: dict[str, frozenset[str]] = {}
        self._registered: dict[str, tuple[Device, str | None, str]] = {}
        """Devices with the registry ids of their parents and their own."""
        self.storage = storage
        self.deleted: set[str] = set(storage.deleted)
        """Devices that the user has deleted; they are back when they are heard again."""
        self.shown: set[tuple[str, str]] = set()
        """The devices that have entities here, as the device registry knows them."""
        self._elsewhere: set[str] = set()
        self._mark = ENGLISH
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._commands: set[asyncio.Timeout] = set()
        """The commands under way; they end with the engine, which alone could tell their end."""
        self._first = asyncio.Event()
        self._occurrence_listeners: list[Callable[[Occurrence], None]] = []
        self._failing: set[Callable[..., None]] = set()
        self.issues = RepairIssues(hass, entry, family.key)

    async def async_start(self, deadline: float) -> Snapshot:
        """Start the engine; return when it is connected or knows why it is not."""
        if self.config_entry.data.get(CONF_SIMULATED):
            self._mark = await async_mark(self.hass)
        self.issues.salt = await instance_id.async_get(self.hass)
        self._task = self.config_entry.async_create_background_task(
            self.hass,
            self.engine.run(self.async_receive, self.async_occur),
            name=f"{DOMAIN} {masked_text(self.config_entry.title)}",
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._first.wait()
        return self.data

    async def async_stop(self) -> None:
        """Stop the engine; the port is free when this returns, and no command is under way."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait([task], timeout=STOP_TIMEOUT)
        self._stopped = True
        for command in self._commands:
            command.reschedule(self.hass.loop.time())

    @callback
    def async_watch(self) -> CALLBACK_TYPE:
        """Keep the repair issues true, and try again when something is plugged in.

        Returns the way to stop it.
        """
        self.issues.async_check(self.data)
        stop_timer = async_track_time_interval(self.hass, self._async_tick, CHECK_INTERVAL)
        stop_plugs = usb.async_register_port_event_callback(self.hass, self._async_plugged)

        @callback
        def stop() -> None:
            stop_timer()
            stop_plugs()

        return stop

    @callback
    def _async_tick(self, _now: datetime) -> None:
        self.issues.async_check(self.data)

    @callback
    def _async_plugged(self, added: set[usb.USBDevice], removed: set[usb.USBDevice]) -> None:
        if added and not self.data.connected:
            self.engine.wake()

    @callback
    def async_receive(self, snapshot: Snapshot) -> None:
        """Take a snapshot from the engine."""
        if snapshot.connected or snapshot.reason is not Reason.STARTING:
            self._first.set()
        if snapshot == self.data:
            return
        before, self.data = self.data, snapshot
        self._note_structure(snapshot)
        self._async_update_changed(before)
        if (before.reason, before.notices) != (snapshot.reason, snapshot.notices):
            self.issues.async_check(self.data)
            if snapshot.reason is Reason.WRONG_CODE:
                self.config_entry.async_start_reauth(self.hass)

    @callback
    def _async_update_changed(self, before: Snapshot) -> None:
        """Call the listeners of the devices whose state is another object, and the general ones.

        An entity names its device as the context of its listener.
        """
        known, now = before.devices, self.data.devices
        changed = {key for key in known.keys() | now.keys() if known.get(key) is not now.get(key)}
        for update, context in tuple(self._listeners.values()):
            if context is None or context in changed:
                self._call(update)

    @callback
    def _call(self, listener: Callable[..., None], *news: Occurrence) -> None:
        """Call a listener. What it raises is told once, and reaches neither others nor the link."""
        try:
            listener(*news)
        except Exception:  # noqa: BLE001 - logged
            if listener not in self._failing:
                self._failing.add(listener)
                stack = masked_text(traceback.format_exc().rstrip())
                _LOGGER.error("%s: unforeseen error\n%s", self.name, stack)
        else:
            self._failing.discard(listener)

    async def _async_update_data(self) -> Snapshot:
        """Return what is known, when an entity is to be updated: the engine pushes what is new."""
        return self.data

    @callback
    def async_occur(self, occurrence: Occurrence) -> None:
        """Take a reading or a message from the engine."""
        for listener in tuple(self._occurrence_listeners):
            self._call(listener, occurrence)

    @callback
    def async_listen(self, listener: Callable[[Occurrence], None]) -> CALLBACK_TYPE:
        """Call *listener* with every occurrence; returns the way to stop it."""
        self._occurrence_listeners.append(listener)
        return lambda: self._occurrence_listeners.remove(listener)

    async def async_execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command, in Home Assistant's errors."""
        with _home_assistant_errors():
            return await self._execute(command)

    async def async_wish(self, device: str, composite: Composite, *wishes: Wish) -> None:
        """Carry out what is wished of a composite, as one command."""
        with _home_assistant_errors():
            state = self.data.devices.get(device)
            if state is None or not state.available:
                raise NotConnected
            if values := composite.write(wishes, self.engine.expected(state)):
                await self._execute(Command(device, values=values))

    async def _execute(self, command: Command) -> Mapping[str, Any]:
        if self._stopped:
            raise NotConnected
        ends = asyncio.timeout(None)
        try:
            async with ends:
                self._commands.add(ends)
                return await self.engine.execute(command)
        except TimeoutError as error:
            if not ends.expired():
                raise
            raise HomeAssistantError(
                translation_domain=DOMAIN, translation_key="unloaded_meanwhile"
            ) from error
        finally:
            self._commands.discard(ends)

    def identifier(self, device: Device) -> tuple[str, str]:
        """Return the device registry's identifier of a device."""
        return (DOMAIN, self.family.scope(self.config_entry, device) + device.id)

    @callback
    def async_shows(self, device: Device) -> bool:
        """Whether this entry shows a device, and no other one by the same ids.

        A plant may be behind two gateways. The first entry that hears a device shows it; Home
        Assistant would refuse what the other adds, with an error for each entity.
        """
        identifier = self.identifier(device)
        if identifier in self.shown:
            return True
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            runtime: HardwiredRuntime | None = getattr(entry, "runtime_data", None)
            if runtime is not None and identifier in (other := runtime.coordinator).shown:
                if device.id not in self._elsewhere:
                    self._elsewhere.add(device.id)
                    text = "%s of %s is not shown: %s shows it already"
                    _LOGGER.warning(text, device.name, self.name, other.name)
                return False
        self.shown.add(identifier)
        return True

    @callback
    def async_show_more(self) -> None:
        """Show what another entry has shown until now: it is gone."""
        if self._elsewhere:
            self._elsewhere.clear()
            self.structure += 1
            self.async_update_listeners()

    @callback
    def async_device_id(self, device: Device) -> str:
        """Register a device, its parent first, and return its registry id."""
        via: str | None = None
        parent = None if device.via is None else self.data.devices.get(device.via)
        if parent is not None and parent.device.id not in self.deleted:
            via = self.async_device_id(parent.device)
        known = self._registered.get(device.id)
        if known is not None and known[:2] == (device, via):
            return known[2]
        details: dict[str, Any] = {} if via is None else {"via_device_id": via}
        if device.kind in self.family.services:
            details["entry_type"] = dr.DeviceEntryType.SERVICE
        if device.kind in self.family.translated:
            details["translation_key"] = f"{self.family.key}_{device.kind}"
        entry = dr.async_get(self.hass).async_get_or_create(
            config_entry_id=self.config_entry.entry_id,
            config_subentry_id=self.family.subentry_of(self.config_entry, device),
            identifiers={self.identifier(device)},
            name=device.name,
            manufacturer=device.manufacturer,
            model=self._model(device),
            model_id=device.model_id,
            serial_number=device.serial_number,
            sw_version=device.sw_version,
            hw_version=device.hw_version,
            **details,
        )
        self._registered[device.id] = (device, via, entry.id)
        return entry.id

    def _model(self, device: Device) -> str | None:
        """Return a device's model; nobody shall take a simulated one for real."""
        if not self.config_entry.data.get(CONF_SIMULATED):
            return device.model
        return " ".join(filter(None, (device.model, self._mark)))

    @callback
    def async_forget_device(self, device: Device) -> None:
        """Take a device and its entities for unknown: the user deletes them."""
        self._registered.pop(device.id, None)
        self.shown.discard(self.identifier(device))
        self.deleted.add(device.id)
        self.storage.keep_deleted(self.deleted)
        self.structure += 1
        self.async_update_listeners()

    def _note_structure(self, snapshot: Snapshot) -> None:
        for device_id, state in snapshot.devices.items():
            if state.available and device_id in self.deleted:
                self.deleted.discard(device_id)
                self.storage.keep_deleted(self.deleted)
                self.structure += 1
            keys = frozenset(state.values)
            if self._shape.get(device_id) != keys:
                self._shape[device_id] = keys
                self.structure += 1
            if device_id in self._registered:
                self.async_device_id(state.device)
