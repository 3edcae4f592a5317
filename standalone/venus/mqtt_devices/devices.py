"""All devices: who is registered, and what happens to all of them."""

from __future__ import annotations

import json
import logging
from typing import Any, Callable, Mapping

from .device import Device
from .limits import Seldom
from .names import instance_path, is_name_of, setting_path
from .proxy import Proxy
from .service import FROM_PROXY
from .settings import NoSettings
from .shared import Shared
from .status import NO_OPTIONS, Registration, Rejected, Removal, Status, judge
from .wire import from_json

_LOG = logging.getLogger("devices")

RESTORE_SECONDS = 600.0
DEFERRED_RETRY = 5.0  # s


class ScopeRefused(Exception):
    """A Proxy message is for a service that its sender may not write to."""


class Devices:
    """The registered devices."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.on_change: Callable[[], None] = lambda: None
        self._by_id: dict[str, Device] = {}
        self._seldom = Seldom()
        self._last_retry = 0.0

    def _make(self, client_id: str) -> Device:
        return Device(client_id, self.shared, self._changed)

    def _changed(self, device: Device) -> None:
        """Note that a device has done what it was asked."""
        if device.gone and self._by_id.get(device.client_id) is device:
            del self._by_id[device.client_id]
        if self.shared.config.restore and device.registration is not None:
            self.shared.state.statuses[device.client_id] = _status_of(device.registration)
            self.shared.state.save_soon()
        self.on_change()
        self._fill_places()

    def reconfigured(self) -> None:
        """Have those registered who were refused: another configuration may allow it."""
        for device in list(self._by_id.values()):
            if device.is_refused and not device.busy:
                device.ask_again()

    def _fill_places(self) -> None:
        """Have those registered who were refused for others that are gone (spec B.6, E.6)."""
        others = list(self._by_id.values())
        if not any(device.moves for device in others):
            for device in others:
                device.place_is_free()

    # ------------------------------------------------------------------ messages

    def status(self, status: Status) -> None:
        """Act on a Status message that has been judged."""
        if isinstance(status, Rejected):
            self._reject(status)
        elif isinstance(status, Removal):
            device = self._by_id.get(status.client_id)
            if device is None:
                if self._seldom(f"unknown {status.client_id[:60]}", self.shared.loop.time()):
                    _LOG.info("%s is not known", status.client_id)
                return
            device.restored_until = None
            device.ask(status)
        elif isinstance(status, Registration):
            device = self._by_id.get(status.client_id)
            if device is None:
                if len(self._by_id) >= self.shared.config.max_devices:
                    self._reject(Rejected("too many devices", status.client_id))
                    return
                device = self._by_id[status.client_id] = self._make(status.client_id)
            device.restored_until = None
            device.seen()
            device.ask(status)

    def _reject(self, status: Rejected) -> None:
        key = status.client_id or "?"
        if self._seldom(key, self.shared.loop.time()):
            _LOG.warning("a Status of %s is refused: %s", key, status.reason)
        if status.client_id is not None:
            topic = f"device/{status.client_id}/Error"
            self.shared.publish(topic, json.dumps({"error": status.reason}), 0)

    def proxy(self, client_id: str, proxy: Proxy) -> None:
        """Act on a Proxy message; raises ScopeRefused."""
        self._check_scope(client_id, proxy)
        device = self._by_id.get(client_id)
        if device is not None:
            device.seen()
        service = None
        if self.shared.config.proxy_mode == "direct":
            service = self._addressed(proxy.topic_path)
        if service is None:
            for topic, value in proxy.topics():
                self.shared.publish(topic, json.dumps({"value": value}), 0)
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
        scope = self.shared.config.proxy_scope
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
        if portal != self.shared.portal_id or not number.isdigit():
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
        for client_id, wanted in self.shared.wanted(topic).items():
            device = self._by_id.get(client_id)
            if text == wanted and device is not None:
                _LOG.info("%s: last will on %.100s", client_id, topic)
                device.ask(Removal(client_id))

    # ------------------------------------------------------- what happens to all

    def restore(self) -> None:
        """Register again who was there when the driver stopped (spec C.9)."""
        if not self.shared.config.restore:
            return
        for status in list(self.shared.state.statuses.values()):
            judged = judge(status, self.shared.tables)
            room = len(self._by_id) < self.shared.config.max_devices
            if isinstance(judged, Registration) and room:
                device = self._by_id.setdefault(judged.client_id, self._make(judged.client_id))
                device.restored_until = self.shared.loop.time() + RESTORE_SECONDS
                device.ask(judged)

    def tick(self, settings_there: bool) -> None:
        """Do what time asks for."""
        now = self.shared.loop.time()
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
        self.shared.portal_id = portal_id
        for device in self._by_id.values():
            device.send_reply()

    def setting_changed(self, path: str, value: Any) -> None:
        """Act on a change of a setting that may be one of ours."""
        for device in self._by_id.values():
            for service_id, service in device.services.items():
                if path == instance_path(service.name):
                    if self.shared.config.follow_instance:
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
        self.shared.state.save()

    # ------------------------------------------------------------------ commands

    def counts(self) -> dict[str, int]:
        """Return how many devices and services there are."""
        return {
            "devices": len(self._by_id),
            "services": sum(len(device.services) for device in self._by_id.values()),
        }

    async def description(self) -> list[Mapping[str, Any]]:
        """Return the answer to the command ``list`` (spec E.5)."""
        also = {kind: await self.shared.foreign(kind) for kind in ("ev", "evcharger")}
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
        others = self.shared.names_of_others(client_id)
        if device is not None:
            device.ask(Removal(client_id))
            await device.idle()

        def is_mine(name: str) -> bool:
            return name in mine or (name not in others and is_name_of(name, client_id))

        for name in list(filter(is_mine, self.shared.state.energy)):
            del self.shared.state.energy[name]
        self.shared.state.statuses.pop(client_id, None)
        await self.shared.state.save_aside()
        kept = await self.shared.settings.device_paths()
        paths = [path for name in filter(is_mine, kept) for path in kept[name]]
        if paths:
            await self.shared.settings.remove(paths)
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
