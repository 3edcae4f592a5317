"""What sunsniff said by MQTT, as a dialect of the bridge (spec sunsynk g.3, bridge d.1).

It eats readings. It knows its will only when it knows a serial number: until the first report,
or for good once one was seen, it does not connect.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from hardwired_engines.engine import Occurrence, Reading, Snapshot

from ...bridge.sink import Action, Hub, LinkView, Moment, Publication, Traffic
from ..legacy import LegacyDialect, published
from .config import FieldSet
from .mqtt import (
    EXPIRE_AFTER,
    availability,
    availability_topic,
    discovery,
    published_fields,
    states,
)

KIND = "inverter"


_LOGGER = logging.getLogger(__name__)


class SunsniffDialect(LegacyDialect):
    """One sunsniff."""

    name = "sunsniff"

    def __init__(self, settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> None:
        super().__init__(settings, link, hub, sink)
        self._keys = published_fields(
            modbus=link.settings.get("source") == "modbus",
            fields=FieldSet(self.settings.get("fields", "compatible")),
        )
        self._with_availability = bool(self.settings.get("availability", True))
        self._expire_after = int(link.settings.get("expire_after") or EXPIRE_AFTER)
        self._serials: dict[str, float | None] = {}
        """Serial numbers, each with the rated power in W where it is known."""
        self._told: dict[str, bool] = {}
        self._last: dict[str, list[Publication]] = {}
        """What was last said of each inverter: states are not retained."""
        for ident, state in link.snapshot.devices.items():
            if state.device.kind == KIND:
                self._learn(state.device.serial_number or ident, state.values.get("rated_power"))
        for ident in link.known:
            if ident.isascii() and ident.isalnum():
                self._learn(ident, None)

    def _learn(self, serial: str, rated_power: object) -> bool:
        """Take note of an inverter; return whether it is a new one."""
        power = float(rated_power) if isinstance(rated_power, (int, float)) else None
        new = serial not in self._serials
        self._serials[serial] = power or self._serials.get(serial)
        return new

    @property
    def ready(self) -> bool:
        """Whether a serial number is known."""
        return bool(self._serials)

    @property
    def _bridge_topic(self) -> str:
        return f"sunsniff/bridge/{self.hub.settings.get('id', 'hardwired')}/state"

    @property
    def _several(self) -> bool:
        return len(self._serials) > 1

    @property
    def will(self) -> Publication | None:
        """One will can name one topic: an inverter's, or with several the bridge's own."""
        if not self._serials or not self._with_availability:
            return None
        if self._several:
            return self._bridge("offline")
        [message] = published([availability(next(iter(self._serials)), online=False)])
        return Publication(
            message.topic, message.payload, message.retain, message.qos, Traffic.OTHER
        )

    def _bridge(self, text: str) -> Publication:
        return Publication(self._bridge_topic, text, True, 1, Traffic.OTHER)

    def announce(self, now: Moment) -> list[Publication]:
        """Return the announcements of all inverters, and what is known of those that are heard."""
        found = [message for serial in self._serials for message in self._announced(serial)]
        for ident, state in self.link.snapshot.devices.items():
            if state.available:
                found += self._last.get(state.device.serial_number or ident, ())
        return found

    def _announced(self, serial: str) -> Iterable[Publication]:
        if not self.discovery:
            return
        for message in discovery(
            serial,
            self._keys,
            rated_power=self._serials[serial],
            prefix=self.discovery_prefix,
            with_availability=self._with_availability,
            expire_after=self._expire_after,
        ):
            payload = message.payload
            if self._several and self._with_availability:
                config = json.loads(payload)
                del config["availability_topic"]
                config["availability"] = [
                    {"topic": self._bridge_topic},
                    {"topic": availability_topic(serial)},
                ]
                config["availability_mode"] = "all"
                payload = json.dumps(config, ensure_ascii=False, separators=(",", ":"))
            yield Publication(message.topic, payload, True, message.qos, Traffic.DISCOVERY)

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Announce, then say who is there."""
        self.online = True
        self._told.clear()
        found: list[Action] = [*self.announce(now)]
        if self._with_availability:
            found += self._availabilities()
            if self._several:
                found.append(self._bridge("online"))
        return found

    def _availabilities(self) -> list[Publication]:
        """Return the availabilities that have changed."""
        if not self._with_availability:
            return []
        now = dict.fromkeys(self._serials, False)
        for ident, state in self.link.snapshot.devices.items():
            serial = state.device.serial_number or ident
            if serial in now:
                now[serial] = state.available
        found = [
            message
            for serial, online in now.items()
            if self._told.get(serial) is not online
            for message in published([availability(serial, online=online)], Traffic.OTHER)
        ]
        self._told.update(now)
        return found

    def snapshot(
        self, link: str, before: Snapshot | None, after: Snapshot, now: Moment
    ) -> list[Action]:
        """Say who is there, when that has changed."""
        for ident, state in after.devices.items():
            if state.device.kind == KIND and (state.device.serial_number or ident):
                serial = state.device.serial_number or ident
                if serial in self._serials:
                    self._learn(serial, state.values.get("rated_power"))
        return [*self._availabilities()] if self.online else []

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Publish a reading; states are not retained.

        One that the dongle had buffered must not stand over a newer one (spec sunsynk b.13).
        """
        if not isinstance(occurrence, Reading):
            return []
        device = occurrence.device
        serial = device.serial_number or device.id
        _LOGGER.debug("%s: a report of %s, of %s", link, serial, occurrence.time.isoformat(" "))
        found: list[Action] = []
        if self._learn(serial, occurrence.values.get("rated_power")) and self.online:
            # With a second inverter the will changes: the sink connects anew and all is told.
            found += self._announced(serial)
        if self.online:
            found += self._availabilities()
        if not occurrence.live:
            return found
        messages = states(serial, occurrence.values, self._keys, prefix=self.discovery_prefix)
        self._last[serial] = published(messages)
        return [*found, *self._last[serial]]

    def stopping(self, now: Moment) -> list[Action]:
        """Say that the inverters are heard no more."""
        if not self._with_availability:
            return []
        found: list[Action] = [
            message
            for serial in self._serials
            for message in published([availability(serial, online=False)], Traffic.OTHER)
        ]
        return [*found, self._bridge("offline")] if self._several else found


def make(settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> SunsniffDialect:
    """Return the dialect of one legacy entry."""
    return SunsniffDialect(settings, link, hub, sink)
