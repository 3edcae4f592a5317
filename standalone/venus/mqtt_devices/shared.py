"""What the devices share: the bus, settings and state, names that are taken, last wills."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable, Mapping

from .bus import Bus, BusError, BusLost
from .config import Config
from .names import PREFIX, bus_name
from .options import Plan, plan
from .settings import Settings
from .state import State
from .tables import Tables

MOST_ONCE = 10_000  # things said only once; beyond, nothing more is

Publish = Callable[[str, str, int], None]


class Refused(Exception):
    """One service of a registration is refused; the text says why."""


class NoPlace(Refused):
    """A service is refused for others of ours that are there: their name, their number."""


class Shared:
    """What each device asks for. ``publish`` sends a message: topic, payload, QoS."""

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
        self.config = config
        self.state = state
        self.publish = publish
        self.settings = Settings(bus)
        self.portal_id = ""
        self.tables = tables
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self._names: dict[str, str] = {}  # name -> client id
        self._numbers: dict[str, tuple[str, int]] = {}  # name -> type and instance
        self._wills: dict[str, dict[str, str]] = {}  # topic -> client id -> text
        self._plans: dict[str, Plan] = {}
        self._once: set[str] = set()

    def reconfigure(self, config: Config, tables: Tables) -> None:
        """Take over another configuration; registered services stay as they are."""
        self.config = config
        self.tables = tables
        self._plans.clear()

    def names_of_others(self, client_id: str) -> set[str]:
        """Return the names that devices other than this have taken."""
        return {name for name, owner in self._names.items() if owner != client_id}

    def wanted(self, topic: str) -> Mapping[str, str]:
        """Return by client id the texts that are last wills on a topic."""
        return dict(self._wills.get(topic, {}))

    def plan(self, kind: str, options: Any) -> Plan:
        """Return the plan of a service; the same one for all without options."""
        if options is not None:
            return plan(self.tables.types[kind], options, self.tables)
        if kind not in self._plans:
            self._plans[kind] = plan(self.tables.types[kind], None, self.tables)
        return self._plans[kind]

    def claim(self, name: str, client_id: str) -> None:
        """Take a name for a service; raises NoPlace."""
        if name in self._names:
            raise NoPlace(f"name in use by device {self._names[name]}")
        if len(self._names) >= self.config.max_services:
            raise NoPlace(f"more than {self.config.max_services} services")
        self._names[name] = client_id

    def has_place(self, name: str) -> bool:
        """Whether a service of this name could be there now."""
        return name not in self._names and len(self._names) < self.config.max_services

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

    def forget_status(self, client_id: str) -> None:
        """Do not register a device again at the next start."""
        if self.state.statuses.pop(client_id, None) is not None:
            self.state.save_soon()
