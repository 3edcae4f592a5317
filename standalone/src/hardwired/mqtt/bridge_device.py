"""The bridge's own device in Home Assistant: each link, each InfluxDB sink, itself (spec c.8).

A link that was never heard has here the place where Home Assistant shows why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hardwired_engines.engine import Reason

from .announcement import ORIGIN, bridge_ident
from .components import entity_name
from .topics import Topics

FAST_MINUTES = 10
LEVELS = ("debug", "info", "warning", "error")
CONNECTED = "connected"
FAILURES = (
    "bad_request",
    "too_large",
    "invalid_command",
    "not_writable",
    "read_only",
    "not_connected",
    "refused_by_device",
    "not_confirmed",
    "rate_limited",
    "retained",
    "busy",
    "failed",
)
OTHER = "other"
"""The event type of a failure whose key is a family's own."""

ENGLISH: Mapping[str, str] = {
    "link_connected": "{link}: connected",
    "link_problem": "{link}: problem",
    "link_reason": "{link}: reason",
    "link_refresh": "{link}: read all anew",
    "link_fast": "{link}: near realtime for 10 minutes",
    "sink_waiting": "{sink}: points waiting",
    "sink_problem": "{sink}: problem",
    "command_failed": "Command failed",
    "log_level": "Log level",
    "announced_elsewhere": "another link, {link}, shows this device already",
}
"""The names, by the keys under which they are translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeDevice:
    """What the bridge's own device is made of.

    *links* are names, each with whether it knows near realtime; *sinks* the InfluxDB sinks;
    *texts* the names in the bridge's language, by the keys of :data:`ENGLISH`.
    """

    id: str = "hardwired"
    name: str = "Hardwired"
    version: str = "unknown"
    links: Mapping[str, bool]
    sinks: Iterable[str] = ()
    read_only: bool = False
    requests: bool = True
    texts: Mapping[str, str]

    @property
    def ident(self) -> str:
        """Its identifier."""
        return bridge_ident(self.id)

    def head(self, topics: Topics) -> dict[str, Any]:
        """Return the head of its message."""
        return {
            "device": {
                "identifiers": [self.ident],
                "name": self.name,
                "manufacturer": "Hardwired",
                "model": "Bridge",
                "sw_version": self.version,
            },
            "origin": {"name": ORIGIN, "sw_version": self.version},
            "availability": [{"topic": topics.state}],
            "availability_mode": "all",
            "qos": 1,
        }

    def components(self, topics: Topics) -> dict[str, dict[str, Any]]:
        """Return its components."""
        found = {
            key: {**self._entity(key, platform, text, placeholders), **told}
            for key, platform, text, placeholders, told in self._rows(topics)
        }
        if self.read_only or not self.requests:
            found = {key: told for key, told in found.items() if "command_topic" not in told}
        return found

    def _entity(
        self, key: str, platform: str, text: str, placeholders: Mapping[str, str]
    ) -> dict[str, Any]:
        name = self.texts.get(text, ENGLISH[text])
        for word, value in placeholders.items():
            name = name.replace(f"{{{word}}}", value)
        return {
            "platform": platform,
            "unique_id": f"{self.ident}_{key}",
            "default_entity_id": f"{platform}.{entity_name(self.name, key)}",
            "name": name,
            "entity_category": "config" if platform in ("button", "select") else "diagnostic",
        }

    def _rows(
        self, topics: Topics
    ) -> Iterator[tuple[str, str, str, Mapping[str, str], dict[str, Any]]]:
        for link, fast in self.links.items():
            yield from self._link(topics, link, fast=fast)
        for sink in self.sinks:
            yield from self._sink(topics, sink)
        told: dict[str, Any] = {
            "event_types": [*FAILURES, OTHER],
            "state_topic": topics.bridge("command_failed"),
        }
        yield "command_failed", "event", "command_failed", {}, told
        told = {
            "options": list(LEVELS),
            "enabled_by_default": False,
            "state_topic": topics.bridge("log_level"),
            "command_topic": topics.request("log_level"),
            "command_template": '{"level": "{{ value }}"}',
        }
        yield "log_level", "select", "log_level", {}, told

    @staticmethod
    def _link(
        topics: Topics, link: str, *, fast: bool
    ) -> Iterator[tuple[str, str, str, Mapping[str, str], dict[str, Any]]]:
        name = {"link": link}
        told: dict[str, Any] = {
            "device_class": "connectivity",
            "state_topic": topics.link(link, "connected"),
        }
        yield f"{link}_connected", "binary_sensor", "link_connected", name, told
        told = {
            "device_class": "problem",
            "state_topic": topics.link(link, "problem"),
            "json_attributes_topic": topics.link(link, "notices"),
        }
        yield f"{link}_problem", "binary_sensor", "link_problem", name, told
        told = {
            "device_class": "enum",
            "options": [CONNECTED, *(reason.value for reason in Reason)],
            "enabled_by_default": False,
            "state_topic": topics.link(link, "reason"),
        }
        yield f"{link}_reason", "sensor", "link_reason", name, told
        told = {
            "enabled_by_default": False,
            "command_topic": topics.request("refresh"),
            "payload_press": link,
        }
        yield f"{link}_refresh", "button", "link_refresh", name, told
        if fast:
            told = {
                "command_topic": topics.request("fast"),
                "payload_press": f'{{"link":"{link}","minutes":{FAST_MINUTES}}}',
            }
            yield f"{link}_fast", "button", "link_fast", name, told

    @staticmethod
    def _sink(
        topics: Topics, sink: str
    ) -> Iterator[tuple[str, str, str, Mapping[str, str], dict[str, Any]]]:
        name, topic = {"sink": sink}, topics.bridge(f"sinks/{sink}")
        told: dict[str, Any] = {
            "state_class": "measurement",
            "state_topic": topic,
            "value_template": "{{ value_json.waiting }}",
        }
        yield f"{sink}_waiting", "sensor", "sink_waiting", name, told
        told = {
            "device_class": "problem",
            "state_topic": topic,
            "value_template": "{{ 'ON' if value_json.state == 'config_error' else 'OFF' }}",
            "json_attributes_topic": topic,
        }
        yield f"{sink}_problem", "binary_sensor", "sink_problem", name, told
