"""A registered device: its services, and how they follow its Status messages (spec C.2 to C.4).

Each device handles its messages one after the other, in a task of its own, so that none waits
for another's settings.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any, Callable, Mapping, NamedTuple, Union

from . import NAME, VERSION
from .bus import BusError, BusLost
from .energy import Energy
from .items import Difference, Items, difference, kept_values
from .names import service_name, setting_path
from .options import Plan, split_options
from .products import is_real_product
from .reply import legacy_reply, reply, topic_path
from .service import Hooks, Service
from .settings import Kept, NoInstance, NoSettings, parse_instance
from .shared import NoPlace, Refused, Shared
from .status import NO_OPTIONS, Registration, Removal, firmware_version
from .values import Value
from .visible import hidden

_LOG = logging.getLogger("device")

MOST_WAITING = 16
NAME_RETRY = 60.0  # s
GATEWAY_READS = 0.04  # s that a reply waits for the gateway to know the new services
CONSEQUENCES = {
    "vebus": "DVCC and ESS may act on it",
    "battery": "DVCC may act on it",
    "inverter": "the GX takes it for an AC system",
    "grid": "ESS regulates on it",
    "pvinverter": "it counts in the power balance",
    "genset": "it counts in the power balance",
}


class NameTaken(Exception):
    """Another program has the bus name of a service."""


class Again(NamedTuple):
    """Whatever was asked for last is to be carried out once more."""


Wish = Union[Registration, Removal, Again]


class Device:
    """One client id. ``registration`` is the last one that was carried out, or is to be."""

    def __init__(self, client_id: str, shared: Shared, changed: Callable[[Device], None]) -> None:
        self.client_id = client_id
        self.registration: Registration | None = None
        self.services: dict[str, Service] = {}
        self.errors: dict[str, str] = {}
        self.deferred: Registration | None = None
        self.last_seen = 0.0  # unix time
        self.active_at = shared.loop.time()
        self.restored_until: float | None = None
        self._shared = shared
        self._changed = changed
        self._moved: dict[str, dict[str, Value]] = {}  # values of services that change instance
        self._without_place: list[
            str
        ] = []  # names of services that others of ours are in the way of
        self._wishes: deque[tuple[Wish, bool]] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    # ----------------------------------------------------------------- the queue

    def ask(self, wish: Wish, reply_if_same: bool = True) -> None:
        """Have a registration or removal carried out after those that wait already."""
        self._wishes.append((wish, reply_if_same))
        if self._task is None or self._task.done():
            self._task = self._shared.loop.create_task(self._work())

    def seen(self) -> None:
        """Note that the device gave a sign of life."""
        self.active_at = self._shared.loop.time()
        self.last_seen = self._shared.wall()

    @property
    def busy(self) -> bool:
        """Whether something is being carried out."""
        return self._task is not None and not self._task.done()

    async def idle(self) -> None:
        """Wait until nothing is being carried out."""
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def gone(self) -> bool:
        """Whether nothing of the device is left, and nothing waits to be carried out."""
        waits = self._wishes or self.deferred is not None
        return not waits and self.registration is None and not self.services

    async def _work(self) -> None:
        while self._wishes:
            wish, reply_if_same = self._wishes.popleft()
            # What the device said last counts, also when it is not carried out yet.
            last = self.deferred or self.registration
            try:
                if isinstance(wish, Removal):
                    await self._remove()
                elif isinstance(wish, Registration):
                    last = wish
                    await self._register(wish, reply_if_same)
                elif last is not None:
                    await self._register(last, reply_if_same or self.deferred is not None)
            except NoSettings as error:
                _LOG.warning("%s waits for the settings service: %s", self.client_id, error)
                self.deferred = None if isinstance(wish, Removal) else last
            except BusLost as error:
                _LOG.warning("%s: D-Bus is lost: %s", self.client_id, error)
            except Exception:  # noqa: BLE001 - no message may end the driver
                _LOG.exception("%s: a message was not dealt with", self.client_id)
        self._changed(self)

    async def stop(self) -> None:
        """Leave the bus because the driver stops."""
        self._cancel_retry()
        if self._task is not None:
            self._task.cancel()
        self._keep_energy(self.services.values())
        for service in self.services.values():
            service.vanish()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # -------------------------------------------------------------- registration

    async def _register(self, wish: Registration, reply_if_same: bool) -> None:
        self._cancel_retry()
        self.deferred = None
        before = self._shape()
        options, errors = (
            ({}, {}) if wish.options is NO_OPTIONS else split_options(wish.options, wish.services)
        )
        for service_id in list(self.services):
            if wish.services.get(service_id) != self.services[service_id].kind:
                self._drop(service_id)
        again = False
        without_place = []
        for service_id, kind in wish.services.items():
            made = self._shared.plan(kind, options.get(service_id))
            errors.update(_keys(service_id, made.errors))
            try:
                await self._place(service_id, made, wish)
            except Refused as error:
                errors[service_id] = str(error)
                if isinstance(error, NoPlace):
                    without_place.append(service_name(self.client_id, service_id))
            except (BusError, BusLost, NoInstance, NameTaken) as error:
                errors[service_id] = str(error)
                again = True
        if wish.lwt_error is not None:
            errors["lwt_topic"] = wish.lwt_error
        self.registration, self.errors = wish, errors
        self._without_place = without_place
        self._set_version(wish)
        if again:
            self._retry = self._shared.loop.call_later(NAME_RETRY, self.ask_again)
        if reply_if_same or self._shape() != before:
            await self._until_read()
            self.send_reply()
        self._shared.watch(self.client_id, wish.lwt_topic, wish.lwt_value)

    async def _until_read(self) -> None:
        """Wait a moment until the gateway has read what is new.

        A device may write as soon as it has the reply; the gateway drops what it does not know.
        """
        unread = [it.was_read.wait() for it in self.services.values() if not it.was_read.is_set()]
        if unread:
            waits = [asyncio.ensure_future(it) for it in unread]
            await asyncio.wait(waits, timeout=GATEWAY_READS)
            for wait in waits:
                wait.cancel()
            for service in self.services.values():
                service.was_read.set()  # whoever has not read by now is not waited for again

    def ask_again(self, reply_if_same: bool = False) -> None:
        """Have the last registration carried out again, when there is one."""
        if self.registration is not None or self.deferred is not None:
            self.ask(Again(), reply_if_same)

    def place_is_free(self) -> None:
        """Register again when a service that was refused for another's could be there now."""
        if not self.busy and any(map(self._shared.has_place, self._without_place)):
            self.ask_again()

    @property
    def is_refused(self) -> bool:
        """Whether a service that was asked for is not there."""
        return self.registration is not None and len(self.services) < len(
            self.registration.services
        )

    @property
    def moves(self) -> bool:
        """Whether a service has left its place only to come back to it."""
        return bool(self._moved)

    def _shape(self) -> list[tuple[str, int]]:
        return [(it.bus_name, it.instance) for it in self.services.values()]

    async def _place(self, service_id: str, made: Plan, wish: Registration) -> None:
        """See that a service is there as it is wanted."""
        present = self.services.get(service_id)
        if present is not None and present.bus is not None and not present.bus.lost.done():
            found = difference(present.items, made)
            if found.rebuild:
                kept = kept_values(present.items, made)
                self._drop(service_id)
                await self._make(service_id, made, wish, kept)
            else:
                await self._adapt(present, made, found)
            return
        kept = self._moved.pop(service_id, {})
        if present is not None:  # its connection was cut
            kept = {**kept_values(present.items, made), **kept}
            self._drop(service_id)
        await self._make(service_id, made, wish, kept)

    async def _adapt(self, service: Service, made: Plan, found: Difference) -> None:
        """Give a service its new rows, without taking it off the bus (spec O12)."""
        before = service.items.plan
        service.items.plan = made
        service.set_own(found.values)
        for path, value in found.values.items():
            if made.rows[path].stored:
                await self._shared.settings.set(setting_path(service.name, path), value)
        if before.max_gap != made.max_gap:
            self._keep_energy([service])
            service.start_energy(self._energy(service.name, made))

    async def _make(
        self, service_id: str, made: Plan, wish: Registration, kept: Mapping[str, Value]
    ) -> None:
        name = service_name(self.client_id, service_id)
        self._shared.claim(name, self.client_id)
        try:
            await self._warn(made)
            stored = await self._shared.settings.keep(name, made)
            if not self._shared.number(name, made.kind, stored.instance):
                stored = stored._replace(instance=await self._other_number(name, made, stored))
            values = {**kept, **stored.values}
            own = self._own_values(name, service_id, made.kind, stored.instance, wish.version)
            items = Items(made, own, values)
            for path, value in difference(items, made).values.items():
                items.set(path, value)  # a kept level outside its new range
            service = Service(
                name,
                items,
                self._shared.settings,
                self._energy(name, made),
                self._hooks(service_id),
            )
            if not await service.appear(self._shared.bus_address):
                raise NameTaken("the name is in use on D-Bus")
        except BaseException:
            self._shared.release(name)
            raise
        self.services[service_id] = service
        assert service.bus is not None
        service.bus.lost.add_done_callback(lambda _: self._lost(service_id, service))
        self._tell_hidden(service)
        _LOG.info("%s is on the bus, instance %d", service.bus_name, service.instance)

    async def _other_number(self, name: str, made: Plan, stored: Kept) -> int:
        """Return another number: with the same one the gateway would mix two services up.

        Settings are like that after they were damaged, or put together by hand.
        """
        _LOG.warning("%s: instance %d is in use twice", name, stored.instance)
        number = await self._shared.settings.move(name, made.kind, stored.instance + 1)
        if not self._shared.number(name, made.kind, number):
            raise NoInstance(f"no instance: {made.kind} {number} is in use twice")
        return number

    def _own_values(
        self, name: str, service_id: str, kind: str, instance: int, version: Any
    ) -> dict[str, Value]:
        return {
            "/Mgmt/ProcessName": NAME,
            "/Mgmt/ProcessVersion": VERSION,
            "/Mgmt/Connection": f"MQTT:{self.client_id}",
            "/DeviceInstance": instance,
            "/DeviceName": f"{self.client_id}:{service_id}",
            "/ProductName": f"{NAME}-{VERSION}:{kind[:1].upper() + kind[1:]}",
            "/FirmwareVersion": firmware_version(kind, version),
            "/Connected": 1,
            "/Serial": name,
        }

    def _energy(self, name: str, made: Plan) -> Energy | None:
        if made.max_gap is None:
            return None
        return Energy(made.energy_sources, made.max_gap, self._shared.state.energy.get(name, {}))

    def _hooks(self, service_id: str) -> Hooks:
        def on_set(path: str, value: Value) -> None:
            if path == "ProductId":
                self._warn_product(service_id, value)
            if self.registration is None or not self.registration.notify:
                return
            message = json.dumps({"service": service_id, "path": path, "value": value})
            self._shared.publish(f"device/{self.client_id}/Set", message, 1)

        return Hooks(on_set, self.seen)

    def _warn_product(self, service_id: str, number: Value) -> None:
        service = self.services.get(service_id)
        if service is None or not is_real_product(service.kind, number):
            return
        if self._shared.once(f"product {service.name} {number}"):
            _LOG.warning(
                "%s has the number 0x%X of a real product: the GX may expect that product's paths",
                service.name,
                number,
            )

    async def _warn(self, made: Plan) -> None:
        """Refuse or warn about what the GX acts on, and name duplicates (spec E.5, E.6)."""
        kind = made.kind
        guarded = kind == "vebus" and not self._shared.config.allow_vebus
        if guarded and await self._shared.foreign(kind):
            raise Refused("there is a real VE.Bus device; allow_vebus is not set")
        if kind in CONSEQUENCES and self._shared.once(f"{self.client_id} {kind}"):
            _LOG.warning("%s registers a %s: %s", self.client_id, kind, CONSEQUENCES[kind])
        if kind in ("ev", "evcharger"):
            others = await self._shared.foreign(kind)
            if others and self._shared.once(f"also {kind}"):
                _LOG.warning("another driver has a %s too: %s", kind, ", ".join(others))

    @staticmethod
    def _tell_hidden(service: Service) -> None:
        for text in hidden({path: service.items.value(path) for path in service.items}):
            _LOG.info("%s: %s", service.name, text)

    def _set_version(self, wish: Registration) -> None:
        for service in self.services.values():
            version = firmware_version(service.kind, wish.version)
            service.set_own({"/FirmwareVersion": version})

    def send_reply(self) -> None:
        """Tell the device what it has."""
        if self.registration is None:
            return
        order = [it for it in self.registration.services if it in self.services]
        services = [(it, self.services[it].kind, self.services[it].instance) for it in order]
        topic = f"device/{self.client_id}/"
        if self._shared.config.legacy_device_instance:
            self._shared.publish(topic + "DeviceInstance", legacy_reply(services), 0)
        extensions = self.registration.options is not NO_OPTIONS
        text = reply(self._shared.portal_id, services, extensions, self.errors)
        self._shared.publish(topic + "DBus", text, 0)

    # ------------------------------------------------------------------- removal

    async def _remove(self) -> None:
        self._cancel_retry()
        self.deferred = None
        known = self.registration is not None
        had_energy = any(it.energy is not None for it in self.services.values())
        for service_id in list(self.services):
            self._drop(service_id)
        self.registration = None
        self.errors = {}
        self._without_place = []
        self._shared.watch(self.client_id, None, "")
        _LOG.info("%s is %s", self.client_id, "removed" if known else "not known")
        self._shared.forget_status(self.client_id)
        if had_energy:
            self._shared.state.save_soon()

    def _drop(self, service_id: str) -> None:
        service = self.services.pop(service_id)
        self._keep_energy([service])
        service.vanish()
        self._shared.release(service.name)
        _LOG.info("%s left the bus", service.bus_name)

    def _keep_energy(self, services: Any) -> None:
        for service in services:
            if service.energy is not None:
                service.tick()
                self._shared.state.keep(service.name, service.energy.kept())

    def keep_energy(self) -> bool:
        """Put the counters into the state; says whether there are any."""
        counting = [it for it in self.services.values() if it.energy is not None]
        for service in counting:
            assert service.energy is not None
            self._shared.state.keep(service.name, service.energy.kept())
        return bool(counting)

    def _lost(self, service_id: str, service: Service) -> None:
        """Put a service back whose own connection was cut."""
        if self.services.get(service_id) is service and service.bus is not None:
            _LOG.warning("%s lost its D-Bus connection", service.bus_name)
            if self.registration is not None:
                self._shared.loop.call_later(1.0, self.ask_again)

    # ----------------------------------------------------------- while it is there

    def tick(self, now: float) -> None:
        """Do what time asks for; a device with a ttl that is silent is removed."""
        for service in self.services.values():
            service.tick()
        ttl = self.registration.ttl if self.registration is not None else None
        if ttl is not None and now - self.active_at > ttl and not self.busy:
            _LOG.warning("%s was silent for %.0f s", self.client_id, ttl)
            self.ask(Removal(self.client_id))
        if self.restored_until is not None and now > self.restored_until and not self.busy:
            self.restored_until = None
            _LOG.warning("%s has not come back", self.client_id)
            self.ask(Removal(self.client_id))

    def instance_changed(self, service_id: str, value: Any) -> None:
        """Follow an instance that somebody changed (spec D.4)."""
        service = self.services.get(service_id)
        if service is None or self.registration is None:
            return
        number = parse_instance(value, service.kind)
        if number is None or number == service.instance:
            return
        _LOG.info("%s: instance %d becomes %d", service.name, service.instance, number)
        self._moved[service_id] = {
            path: service.items.value(path)
            for path, row in service.items.plan.rows.items()
            if row.writable
        }
        self._drop(service_id)
        self.ask_again(reply_if_same=True)

    async def settings_are_back(self) -> None:
        """Add the settings anew and take over what is kept now (spec C.8)."""
        for service_id, service in list(self.services.items()):
            # Where the service lost its file, the number in use is the one to be kept.
            asked = service.items.plan._replace(instance=service.instance)
            kept = await self._shared.settings.keep(service.name, asked)
            for path, value in kept.values.items():
                service.setting_changed(path, value)
            if kept.instance != service.instance and self._shared.config.follow_instance:
                self.instance_changed(service_id, f"{service.kind}:{kept.instance}")

    def topic_paths(self) -> list[str]:
        """Return the W topics that the replies gave to this device."""
        portal = self._shared.portal_id
        return [topic_path("W", portal, it.kind, it.instance) for it in self.services.values()]

    def description(self) -> dict[str, Any]:
        """Return what the command ``list`` says of the device."""
        services = {}
        for service_id, service in self.services.items():
            services[service_id] = {
                "type": service.kind,
                "instance": service.instance,
                "service": service.bus_name,
            }
        version = self.registration.version if self.registration is not None else None
        return {
            "clientId": self.client_id,
            "version": version,
            "services": services,
            "lastSeen": int(self.last_seen),
        }


def _keys(service_id: str, errors: Mapping[str, str]) -> dict[str, str]:
    """Return a service's errors by the keys of the reply (spec B.2)."""
    return {f"{service_id}.{key}" if key else service_id: text for key, text in errors.items()}
