"""What the old programs' dialects have in common (spec c.11, d.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hardwired_engines.engine import DeviceState, Occurrence, Snapshot

from ..bridge.sink import (
    Action,
    Hub,
    LinkView,
    Moment,
    Outcome,
    Publication,
    Request,
    Traffic,
    Wish,
)
from ..mqtt.message import MqttMessage

BIRTH_WAIT = 2.0
"""Seconds after a birth message before the announcements are repeated; more births are one."""


def published(
    messages: Iterable[MqttMessage], traffic: Traffic = Traffic.STATE
) -> list[Publication]:
    """Return an old program's messages as publications."""
    return [
        Publication(message.topic, message.payload, message.retain, message.qos, traffic)
        for message in messages
    ]


class LegacyDialect:
    """One ``[[devices.NAME.legacy]]``: one link, one connection."""

    name = "legacy"

    def __init__(self, settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> None:
        self.settings = {key: told for key, told in settings.items() if told is not None}
        self.link = link
        self.hub = hub
        self.online = False
        self._born_at: float | None = None

    # ------------------------------------------------------------------------ settings

    @property
    def links(self) -> frozenset[str]:
        """Its one link."""
        return frozenset({self.link.name})

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written: the sink's word, the bridge's or the link's."""
        return bool(self.settings.get("read_only")) or self.link.read_only

    @property
    def discovery(self) -> bool:
        """Whether Home Assistant is told."""
        return bool(self.settings.get("discovery", True))

    @property
    def discovery_prefix(self) -> str:
        """Home Assistant's prefix."""
        return str(self.settings.get("discovery_prefix", "homeassistant"))

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery_prefix}/status"

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """Commands unless read only, and the birth message where something is announced."""
        found = [] if self.read_only else list(self.command_topics())
        if self.discovery and self.birth_topic not in found:
            found.append(self.birth_topic)
        return [(topic, 1) for topic in found]

    @property
    def ready(self) -> bool:
        """Most know their will from the start."""
        return True

    # ------------------------------------------------------------------------ of each program

    def command_topics(self) -> Iterable[str]:
        """Return what to subscribe to for commands."""
        return ()

    def announce(self, now: Moment) -> list[Publication]:
        """Return the announcements."""
        return []

    def heard(self, topic: str, payload: bytes, now: Moment) -> list[Action]:
        """Take a message that is no birth and not retained."""
        return []

    # ------------------------------------------------------------------------ the contract

    def disconnected(self, now: Moment) -> None:
        """The connection is lost."""
        self.online = False
        self._born_at = None

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Nothing by itself."""
        return []

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Nothing by itself."""
        return []

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """Nothing by itself."""
        return []

    def stopping(self, now: Moment) -> list[Action]:
        """Say what the will would say."""
        will = self.will
        return [] if will is None else [will]

    @property
    def will(self) -> Publication | None:
        """The last will."""
        return None

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take a message; retained commands are ignored in every dialect (spec d.1)."""
        if topic == self.birth_topic and self.discovery:
            if payload == b"online" and not retained and self._born_at is None:
                self._born_at = now.monotonic + BIRTH_WAIT
            return []
        return [] if retained else self.heard(topic, payload, now)

    @property
    def due(self) -> float | None:
        """When it wants to be called next."""
        if not self.online:
            return None
        times = [time for time in (self._born_at, self.next_due()) if time is not None]
        return min(times, default=None)

    def next_due(self) -> float | None:
        """Return when the program itself has something to say."""
        return None

    def tick(self, now: Moment) -> list[Action]:
        """Repeat the announcements after a birth, and what the program says by itself."""
        if not self.online:
            return []
        found: list[Action] = []
        if self._born_at is not None and now.monotonic >= self._born_at:
            self._born_at = None
            found += self.announce(now)
        return [*found, *self.on_tick(now)]

    def on_tick(self, now: Moment) -> list[Action]:
        """Return what the program says by itself."""
        return []

    # ------------------------------------------------------------------------ helpers

    def state_of(self, kind: str) -> DeviceState | None:
        """Return the link's device of a kind."""
        return next(
            (state for state in self.link.snapshot.devices.values() if state.device.kind == kind),
            None,
        )
