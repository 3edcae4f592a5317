"""All devices: who is registered, which names are taken, which last wills are watched."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any, Callable, Mapping

from .bus import Bus, BusError, BusLost
from .config import Config
from .device import Device, Refused
from .limits import Seldom
from .names import PREFIX, bus_name, instance_path, is_name_of, setting_path
from .options import Plan, plan
from .proxy import Proxy
from .service import FROM_PROXY
from .settings import NoSettings, Settings
from .state import State
from .status import NO_OPTIONS, Registration, Rejected, Removal, Status, judge
from .tables import Tables
from .wire import from_json

_LOG = logging.getLogger("devices")

RESTORE_SECONDS = 600.0
DEFERRED_RETRY = 5.0  # s
MOST_ONCE = 10_000  # things said only once; beyond, nothing more is

Publish = Callable[[str, str, int], None]


class ScopeRefused(Exception):
    """A Proxy message is for a service that its sender may not write to."""


class Devices:
    """The registered devices. ``publish`` sends a message: topic, payload, QoS."""

    def __init__(
        self,
        bus: Bus,
        bus_address: str | None,
        tables: Tables,
        config: Config,
        state: State,
        *,
        publish: Publish,
        subscribe: Callable[[str], None],
        unsubscribe: Callable[[str], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.bus = bus
        self.bus_address = bus_address
        self.tables = tables
        self.config = config
        self.state = state
        self.publish = publish
        self.settings = Settings(bus)
        self.portal_id = ""
        self.on_change: Callable[[], None] = lambda: None
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self._by_id: dict[str, Device] = {}
        self._names: dict[str, str] = {}  # name -> client id
        self._numbers: dict[str, tuple[str, int]] = {}  # name -> type and instance
        self._wills: dict[str, dict[str, str]] = {}  # topic -> client id -> text
        self._plans: dict[str, Plan] = {}
        self._once: set[str] = set()
        self._seldom = Seldom()
        self._last_retry = 0.0

    # ------------------------------------------------------------------ messages

    def status(self, status: Status) -> None:
        """Act on a Status message that has been judged."""
        if isinstance(status, Rejected):
            self._reject(status)
        elif isinstance(status, Removal):
            device = self._by_id.get(status.client_id)
            if device is None:
                if self._seldom(f"unknown {status.client_id[:60]}", self.loop.time()):
                    _LOG.info("%s is not known", status.client_id)
                return
            device.restored_until = None
            device.ask(status)
        elif isinstance(status, Registration):
            device = self._by_id.get(status.client_id)
            if device is None:
                if len(self._by_id) >= self.config.max_devices:
                    self._reject(Rejected("too many devices", status.client_id))
                    return
                device = self._by_id[status.client_id] = Device(status.client_id, self)
            device.restored_until = None
            device.seen()
            device.ask(status)

    def _reject(self, status: Rejected) -> None:
        key = status.client_id or "?"
        if self._seldom(key, self.loop.time()):
            _LOG.warning("a Status of %s is refused: %s", key, status.reason)
        if status.client_id is not None:
            topic = f"device/{status.client_id}/Error"
            self.publish(topic, json.dumps({"error": status.reason}), 0)

    def proxy(self, client_id: str, proxy: Proxy) -> None:
        """Act on a Proxy message; raises ScopeRefused."""
        self._check_scope(client_id, proxy)
        device = self._by_id.get(client_id)
        if device is not None:
            device.seen()
        service = None
        if self.config.proxy_mode == "direct":
            service = self._addressed(proxy.topic_path)
        if service is None:
            for topic, value in proxy.topics():
                self.publish(topic, json.dumps({"value": value}), 0)
            return
        values = []
        for path, value in proxy.values:
            usable, converted = from_json(value)
            if usable and "/" + path in service.items:
                values.append(("/" + path, converted))
        codes = service.write_all(values, FROM_PROXY)
        for (path, value), code in zip(values, codes):
            if code is None:
                service.write_eventually(path, value, FROM_PROXY)

    def _check_scope(self, client_id: str, proxy: Proxy) -> None:
        scope = self.config.proxy_scope
        if scope == "any":
            if proxy.topic_path.split("/")[2] == "platform":
                raise ScopeRefused("the platform is not for devices")
            return
        if scope == "own":
            device = self._by_id.get(client_id)
            mine = [] if device is None else device.topic_paths()
        else:
            mine = [path for device in self._by_id.values() for path in device.topic_paths()]
        if proxy.topic_path not in mine:
            raise ScopeRefused(f"{proxy.topic_path[:100]} was not given to it")

    def _addressed(self, topic_path: str) -> Any:
        """Return our service that a W topic means; None for somebody else's."""
        _, portal, kind, number = topic_path.split("/")
        if portal != self.portal_id or not number.isdigit():
            return None
        for device in self._by_id.values():
            for service in device.services.values():
                if service.kind == kind and str(service.instance) == number:
                    return service
        return None

    def will(self, topic: str, payload: bytes) -> None:
        """Act on a message on a topic that somebody named as its last will (spec C.5)."""
        try:
            text = payload.decode("utf-8")
        except UnicodeDecodeError:
            return
        for client_id, wanted in list(self._wills.get(topic, {}).items()):
            device = self._by_id.get(client_id)
            if text == wanted and device is not None:
                _LOG.info("%s: last will on %.100s", client_id, topic)
                device.ask(Removal(client_id))

    # ----------------------------------------------------- what devices ask for

    def plan(self, kind: str, options: Any) -> Plan:
        """Return the plan of a service; the same one for all without options."""
        if options is not None:
            return plan(self.tables.types[kind], options, self.tables)
        if kind not in self._plans:
            self._plans[kind] = plan(self.tables.types[kind], None, self.tables)
        return self._plans[kind]

    def claim(self, name: str, client_id: str) -> None:
        """Take a name for a service; raises Refused."""
        if name in self._names:
            raise Refused(f"name in use by device {self._names[name]}")
        if len(self._names) >= self.config.max_services:
            raise Refused(f"more than {self.config.max_services} services")
        self._names[name] = client_id

    def number(self, name: str, kind: str, instance: int) -> bool:
        """Note a service's number; False when another service of ours has it."""
        for other, taken in self._numbers.items():
            if taken == (kind, instance) and other != name:
                return False
        self._numbers[name] = (kind, instance)
        return True

    def release(self, name: str) -> None:
        """Give a name back."""
        self._names.pop(name, None)
        self._numbers.pop(name, None)

    def watch(self, client_id: str, topic: str | None, text: str) -> None:
        """Watch a device's last-will topic, and no other any more."""
        for other, watchers in list(self._wills.items()):
            if other != topic and watchers.pop(client_id, None) is not None and not watchers:
                del self._wills[other]
                self._unsubscribe(other)
        if topic is None:
            return
        watchers = self._wills.setdefault(topic, {})
        if watchers.get(client_id) != text:
            watchers[client_id] = text
            self._subscribe(topic)  # again for each: the broker says once more what is retained

    @property
    def will_topics(self) -> list[str]:
        """All topics watched."""
        return list(self._wills)

    def once(self, key: str) -> bool:
        """Whether this is the first time for a key."""
        new = key not in self._once and len(self._once) < MOST_ONCE
        if new:
            self._once.add(key)
        return new

    async def foreign(self, kind: str) -> list[str]:
        """Return bus names of a type that are not ours."""
        start = f"{PREFIX}.{kind}."
        ours = {bus_name(taken, name) for name, (taken, _) in self._numbers.items()}
        try:
            names = await self.bus.names()
        except (BusError, BusLost):
            return []
        return [name for name in names if name.startswith(start) and name not in ours]

    @staticmethod
    def wall() -> float:
        """Return the unix time."""
        return time.time()

    def changed(self, device: Device) -> None:
        """Note that a device has done what it was asked."""
        if device.gone and self._by_id.get(device.client_id) is device:
            del self._by_id[device.client_id]
        if self.config.restore and device.registration is not None:
            self.state.statuses[device.client_id] = _status_of(device.registration)
            self.state.save_soon()
        self.on_change()

    def forget_status(self, client_id: str) -> None:
        """Do not register a device again at the next start."""
        if self.state.statuses.pop(client_id, None) is not None:
            self.state.save_soon()

    # ------------------------------------------------------- what happens to all

    def restore(self) -> None:
        """Register again who was there when the driver stopped (spec C.9)."""
        if not self.config.restore:
            return
        for status in list(self.state.statuses.values()):
            judged = judge(status, self.tables)
            if isinstance(judged, Registration) and len(self._by_id) < self.config.max_devices:
                device = self._by_id.setdefault(judged.client_id, Device(judged.client_id, self))
                device.restored_until = self.loop.time() + RESTORE_SECONDS
                device.ask(judged)

    def tick(self, settings_there: bool) -> None:
        """Do what time asks for."""
        now = self.loop.time()
        for device in list(self._by_id.values()):
            self._tick(device, now)
        if settings_there and now - self._last_retry >= DEFERRED_RETRY:
            self._last_retry = now
            for device in list(self._by_id.values()):
                if device.deferred is not None and not device.busy:
                    device.ask_again()

    def _tick(self, device: Device, now: float) -> None:
        try:
            device.tick(now)
        except Exception:  # noqa: BLE001 - one device must not cost another anything
            if self._seldom(f"tick {device.client_id[:60]}", now):
                _LOG.exception("%s: the clock's work was not done", device.client_id)

    async def settings_are_back(self) -> None:
        """Read again what is kept, and register who waited (spec C.8)."""
        for device in list(self._by_id.values()):
            try:
                await device.settings_are_back()
            except NoSettings as error:
                _LOG.warning("settings of %s are not read yet: %s", device.client_id, error)
            except Exception:  # noqa: BLE001 - one device must not cost another anything
                _LOG.exception("settings of %s were not read", device.client_id)
            if device.deferred is not None and not device.busy:
                device.ask_again()

    def portal_changed(self, portal_id: str) -> None:
        """Tell every device its new topics."""
        self.portal_id = portal_id
        for device in self._by_id.values():
            device.send_reply()

    def setting_changed(self, path: str, value: Any) -> None:
        """Act on a change of a setting that may be one of ours."""
        for device in self._by_id.values():
            for service_id, service in device.services.items():
                if path == instance_path(service.name):
                    if self.config.follow_instance:
                        device.instance_changed(service_id, value)
                    return
                start = setting_path(service.name, "/")
                if path.startswith(start):
                    service.setting_changed(path[len(start) - 1 :], value)
                    return

    def keep_energy(self) -> bool:
        """Put all counters into the state; says whether there are any."""
        kept = [device.keep_energy() for device in self._by_id.values()]
        return any(kept)

    async def stop(self) -> None:
        """Take everything off the bus."""
        for device in list(self._by_id.values()):
            await device.stop()
        self.state.save()

    def reconfigure(self, config: Config, tables: Tables) -> None:
        """Take over another configuration; registered services stay as they are."""
        self.config = config
        self.tables = tables
        self._plans.clear()

    # ------------------------------------------------------------------ commands

    def counts(self) -> dict[str, int]:
        """Return how many devices and services there are."""
        return {
            "devices": len(self._by_id),
            "services": sum(len(device.services) for device in self._by_id.values()),
        }

    async def description(self) -> list[Mapping[str, Any]]:
        """Return the answer to the command ``list`` (spec E.5)."""
        also = {kind: await self.foreign(kind) for kind in ("ev", "evcharger")}
        found: list[Mapping[str, Any]] = []
        for device in self._by_id.values():
            described = device.description()
            for service in described["services"].values():
                others = also.get(service["type"])
                if others:
                    service["also"] = others
            found.append(described)
        return found

    async def forget(self, client_id: str) -> None:
        """Remove a device, its settings and its counters, also of one that is away.

        What may be another device's, by its name, is removed only while the device is there.
        """
        device = self._by_id.get(client_id)
        mine = set() if device is None else {it.name for it in device.services.values()}
        others = {name for name, owner in self._names.items() if owner != client_id}
        if device is not None:
            device.ask(Removal(client_id))
            await device.idle()

        def is_mine(name: str) -> bool:
            return name in mine or (name not in others and is_name_of(name, client_id))

        for name in list(filter(is_mine, self.state.energy)):
            del self.state.energy[name]
        self.state.statuses.pop(client_id, None)
        await self.state.save_aside()
        kept = await self.settings.device_paths()
        paths = [path for name in filter(is_mine, kept) for path in kept[name]]
        if paths:
            await self.settings.remove(paths)
        _LOG.info("%s is forgotten, with %d settings", client_id, len(paths))


def _status_of(registration: Registration) -> dict[str, Any]:
    """Return a Status that means a registration."""
    status: dict[str, Any] = {
        "clientId": registration.client_id,
        "connected": 1,
        "version": registration.version,
        "services": dict(registration.services),
        "lwt_value": registration.lwt_value,
        "notify": registration.notify,
    }
    if registration.options is not NO_OPTIONS:
        status["options"] = registration.options
    if registration.lwt_topic is not None:
        status["lwt_topic"] = registration.lwt_topic
    if registration.ttl is not None:
        status["ttl"] = registration.ttl
    return status
