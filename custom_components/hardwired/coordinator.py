"""The push coordinator of every family: engine in, Home Assistant out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from homeassistant.components import usb
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .engines.composite import Composite, Wish
from .engines.engine import (
    Command,
    CommandError,
    Device,
    Engine,
    InvalidCommand,
    NotConnected,
    Notice,
    Occurrence,
    Reason,
    Severity,
    Snapshot,
)
from .family import Family, Issue

_LOGGER = logging.getLogger(__name__)

type HardwiredConfigEntry = ConfigEntry[HardwiredRuntime]

STOP_TIMEOUT = 5.0
CHECK_INTERVAL = timedelta(minutes=1)
ISSUE_DELAY = timedelta(minutes=5)

SEVERITIES = {
    Severity.WARNING: ir.IssueSeverity.WARNING,
    Severity.ERROR: ir.IssueSeverity.ERROR,
}

TRANSIENT = frozenset({Reason.STARTING, Reason.DISCONNECTED, Reason.WAITING_FOR_PEER})
"""Reasons that pass by themselves, or of which the user knows: no repair issue."""


@dataclass(slots=True)
class HardwiredRuntime:
    """What lives as long as a loaded config entry."""

    family: Family[Any]
    engine: Engine
    coordinator: HardwiredCoordinator


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
    ) -> None:
        """Prepare; nothing runs before :meth:`async_start`."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=None,
            always_update=False,
        )
        self.family = family
        self.engine = engine
        self.data = engine.snapshot
        self.structure = 0
        """Grows whenever a device or a value appears that was not there before."""
        self._shape: dict[str, frozenset[str]] = {}
        self._registered: dict[str, tuple[Device, str]] = {}
        self.deleted: set[str] = set()
        """Devices that the user has deleted; they are back when they are heard again."""
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()
        self._occurrence_listeners: list[Callable[[Occurrence], None]] = []
        self._issues: set[str] = set()
        self._silent_since: tuple[Reason, datetime] | None = None

    async def async_start(self, deadline: float) -> Snapshot:
        """Start the engine; return when it is connected or knows why it is not."""
        self._task = self.config_entry.async_create_background_task(
            self.hass,
            self.engine.run(self.async_receive, self.async_occur),
            name=f"{DOMAIN} {self.config_entry.title}",
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._first.wait()
        return self.data

    async def async_stop(self) -> None:
        """Stop the engine; the port is free when this returns."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait([task], timeout=STOP_TIMEOUT)

    @callback
    def async_watch(self) -> CALLBACK_TYPE:
        """Keep the repair issues true, and try again when something is plugged in.

        Returns the way to stop it.
        """
        self._async_check_issues()
        stop_timer = async_track_time_interval(self.hass, self._async_tick, CHECK_INTERVAL)
        stop_plugs = usb.async_register_port_event_callback(self.hass, self._async_plugged)

        @callback
        def stop() -> None:
            stop_timer()
            stop_plugs()

        return stop

    @callback
    def _async_tick(self, _now: datetime) -> None:
        self._async_check_issues()

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
        told = (self.data.reason, self.data.notices)
        self.data = snapshot
        self._note_structure(snapshot)
        self.async_update_listeners()
        if told != (snapshot.reason, snapshot.notices):
            self._async_check_issues()
            if snapshot.reason is Reason.WRONG_CODE:
                self.config_entry.async_start_reauth(self.hass)

    @callback
    def async_occur(self, occurrence: Occurrence) -> None:
        """Take a reading or a message from the engine."""
        for listener in tuple(self._occurrence_listeners):
            listener(occurrence)

    @callback
    def async_listen(self, listener: Callable[[Occurrence], None]) -> CALLBACK_TYPE:
        """Call *listener* with every occurrence; returns the way to stop it."""
        self._occurrence_listeners.append(listener)
        return lambda: self._occurrence_listeners.remove(listener)

    async def async_execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command, in Home Assistant's errors."""
        with _home_assistant_errors():
            return await self.engine.execute(command)

    async def async_wish(self, device: str, composite: Composite, *wishes: Wish) -> None:
        """Carry out what is wished of a composite, as one command."""
        with _home_assistant_errors():
            state = self.data.devices.get(device)
            if state is None or not state.available:
                raise NotConnected
            if values := composite.write(wishes, state):
                await self.engine.execute(Command(device, values=values))

    def identifier(self, device: Device) -> tuple[str, str]:
        """Return the device registry's identifier of a device."""
        return (DOMAIN, self.family.scope(self.config_entry, device) + device.id)

    @callback
    def async_device_id(self, device: Device) -> str:
        """Register a device, its parent first, and return its registry id."""
        known = self._registered.get(device.id)
        if known is not None and known[0] == device:
            return known[1]
        via: str | None = None
        if device.via is not None and (parent := self.data.devices.get(device.via)) is not None:
            via = self.async_device_id(parent.device)
        details: dict[str, Any] = {} if via is None else {"via_device_id": via}
        if device.kind in self.family.services:
            details["entry_type"] = dr.DeviceEntryType.SERVICE
        entry = dr.async_get(self.hass).async_get_or_create(
            config_entry_id=self.config_entry.entry_id,
            identifiers={self.identifier(device)},
            name=device.name,
            manufacturer=device.manufacturer,
            model=device.model,
            model_id=device.model_id,
            serial_number=device.serial_number,
            sw_version=device.sw_version,
            hw_version=device.hw_version,
            **details,
        )
        self._registered[device.id] = (device, entry.id)
        return entry.id

    @callback
    def async_forget_device(self, device: Device) -> None:
        """Take a device and its entities for unknown: the user deletes them."""
        self._registered.pop(device.id, None)
        self.deleted.add(device.id)
        self.structure += 1
        self.async_update_listeners()

    def _note_structure(self, snapshot: Snapshot) -> None:
        for device_id, state in snapshot.devices.items():
            if state.available and device_id in self.deleted:
                self.deleted.discard(device_id)
                self.structure += 1
            keys = frozenset(state.values)
            if self._shape.get(device_id) != keys:
                self._shape[device_id] = keys
                self.structure += 1
            known = self._registered.get(device_id)
            if known is not None and known[0] != state.device:
                self.async_device_id(state.device)

    @callback
    def _async_check_issues(self) -> None:
        wanted = dict(self._issues_now())
        entry_id = self.config_entry.entry_id
        for key, issue in wanted.items():
            ir.async_create_issue(
                self.hass,
                DOMAIN,
                f"{entry_id}_{key}",
                is_fixable=False,
                severity=issue.severity,
                translation_key=issue.key,
                translation_placeholders={
                    "title": self.config_entry.title,
                    **issue.placeholders,
                },
                learn_more_url=issue.learn_more_url,
            )
        for key in self._issues - wanted.keys():
            ir.async_delete_issue(self.hass, DOMAIN, f"{entry_id}_{key}")
        self._issues = set(wanted)

    def _issues_now(self) -> Iterator[tuple[str, Issue]]:
        reason = self._lasting_reason(dt_util.utcnow())
        if reason is not None:
            key = f"silence_{reason.value}"
            yield key, Issue(key, {"detail": self.data.detail or "-"})
        for issue in self.family.issues(self.engine):
            yield issue.key, issue
        for notice in self.data.notices:
            yield self._issue_of(notice)

    def _issue_of(self, notice: Notice) -> tuple[str, Issue]:
        """Return a notice as a repair issue, with the id under which it stands."""
        key = f"{self.family.key}_{notice.key}"
        device = None if notice.device is None else self.data.devices.get(notice.device)
        name = {} if device is None else {"device": device.device.name}
        severity = SEVERITIES[notice.severity]
        issue = Issue(key, {**name, **notice.placeholders}, severity)
        return (key if notice.device is None else f"{key}_{notice.device}"), issue

    def _lasting_reason(self, now: datetime) -> Reason | None:
        """Return why nothing is heard, once it has lasted so long that the user must act."""
        reason = self.data.reason
        if reason is None or reason in TRANSIENT:
            self._silent_since = None
            return None
        if self._silent_since is None or self._silent_since[0] is not reason:
            self._silent_since = (reason, now)
        return reason if now - self._silent_since[1] >= ISSUE_DELAY else None

    @callback
    def async_forget_issues(self) -> None:
        """Delete the repair issues of an entry that is being unloaded.

        Those that the user ignores stay: they would come back as new ones after a reload.
        """
        registry = ir.async_get(self.hass)
        for key in self._issues:
            issue_id = f"{self.config_entry.entry_id}_{key}"
            issue = registry.async_get_issue(DOMAIN, issue_id)
            if issue is not None and issue.dismissed_version is None:
                ir.async_delete_issue(self.hass, DOMAIN, issue_id)
        self._issues = set()
