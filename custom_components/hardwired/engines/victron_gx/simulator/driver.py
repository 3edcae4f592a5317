"""The driver on the GX as its clients see it: registration, values, and what the screen sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import protocol
from .broker import Broker

FEATURES = ("notify", "options", "labels", "measurement", "ranges", "inputs", "energy")
TYPES = (
    *sorted(protocol.REFERENCE_TYPES),
    *("acload", "ev", "genset", "heatpump", "meteo", "switch"),
)
VERSION = "1.0.0"


@dataclass(slots=True)
class Registered:
    """A device on the GX. ``values`` are by service and path."""

    status: Mapping[str, Any]
    instances: dict[str, int]
    values: dict[tuple[str, str], Any] = field(default_factory=dict)


class Driver:
    """A driver. *reference*: it says nothing of itself and reads no options."""

    def __init__(self, broker: Broker, portal: str, *, reference: bool = False) -> None:
        self.broker = broker
        self.portal = portal
        self.reference = reference
        self.running = False
        self.silent = False
        """Answers no registration."""
        self.takes_commands = True
        self.errors: dict[str, str] = {}
        self.types: tuple[str, ...] = TYPES
        self.features: tuple[str, ...] = FEATURES
        self.devices: dict[str, Registered] = {}
        self._started = 1_000
        self._numbers: dict[str, int] = {}
        broker.listeners.append(self._heard)

    def start(self) -> None:
        """Start, and ask all devices to register."""
        self.running = True
        self._started += 1
        self.devices.clear()
        self.announce()
        self.broker.publish(protocol.DISCOVERY_TOPIC, b"")

    def announce(self) -> None:
        """Tell of itself."""
        if self.reference or not self.running:
            return
        told = {
            "state": "online",
            "version": VERSION,
            "portalId": self.portal,
            "devices": len(self.devices),
            "types": list(self.types),
            "features": list(self.features),
            "started": self._started,
        }
        self._tell(protocol.HELPER_TOPIC, told, retain=True)

    def stop(self) -> None:
        """Stop; all devices leave."""
        self.running = False
        self.devices.clear()
        if not self.reference:
            self._tell(protocol.HELPER_TOPIC, {"state": "offline"}, retain=True)

    def set(self, client_id: str, service: str, path: str, value: Any) -> None:
        """Set something on the screen."""
        self._write(client_id, service, path, value)

    def value(self, client_id: str, service: str, path: str) -> Any:
        """Return what the screen shows."""
        return self.devices[client_id].values.get((service, path))

    def _tell(self, topic: str, told: Mapping[str, Any], *, retain: bool = False) -> None:
        self.broker.publish(topic, json.dumps(told).encode(), retain=retain)

    def _heard(self, topic: str, payload: bytes) -> None:
        if not self.running:
            return
        if topic.startswith("device/") and topic.endswith("/Status"):
            self._status(protocol.loads(payload))
        elif topic.startswith("device/") and topic.endswith("/Proxy"):
            self._proxy(topic.split("/")[1], protocol.loads(payload))
        elif topic.startswith("W/"):
            self._gateway(topic, protocol.loads(payload))
        elif topic == protocol.COMMAND_TOPIC and self.takes_commands:
            self._command(protocol.loads(payload))

    def _status(self, told: Any) -> None:
        if not isinstance(told, dict) or self.silent:
            return
        client_id = str(told.get("clientId"))
        if not told.get("connected"):
            self.devices.pop(client_id, None)
            self.announce()
            return
        services: dict[str, str] = told["services"]
        known = protocol.REFERENCE_TYPES if self.reference else self.types
        if not set(services.values()) <= set(known):
            if not self.reference:
                self._tell(protocol.error_topic(client_id), {"error": "unknown type"})
            return
        instances = {ident: self._instance(client_id, ident) for ident in services}
        before = self.devices.get(client_id)
        self.devices[client_id] = Registered(
            told, instances, {} if before is None else dict(before.values)
        )
        self._reply(client_id)
        if before is None:
            self.announce()

    def _instance(self, client_id: str, ident: str) -> int:
        return self._numbers.setdefault(f"{client_id}_{ident}", len(self._numbers) + 1)

    def _reply(self, client_id: str) -> None:
        device = self.devices[client_id]
        paths = {
            ident: {
                letter: f"{letter}/{self.portal}/{device.status['services'][ident]}/{instance}"
                for letter in "NRW"
            }
            for ident, instance in device.instances.items()
        }
        told: dict[str, Any] = {
            "portalId": self.portal,
            "deviceInstance": device.instances,
            "topicPath": paths,
        }
        if not self.reference and "options" in device.status:
            told["extensions"] = 1
        if self.errors:
            told["errors"] = self.errors
        self._tell(protocol.reply_topic(client_id), told)

    def _proxy(self, client_id: str, told: Any) -> None:
        if isinstance(told, dict):
            for path, value in told["values"].items():
                self._gateway(f"{told['topicPath']}/{path}", {"value": value})

    def _gateway(self, topic: str, told: Any) -> None:
        """Write as the gateway does: the driver can't tell by whom (spec E.4)."""
        _, _, kind, instance, path = topic.split("/", 4)
        for client_id, device in self.devices.items():
            for ident, number in device.instances.items():
                if (device.status["services"][ident], str(number)) == (kind, instance):
                    self._write(client_id, ident, path, told["value"])

    def _write(self, client_id: str, service: str, path: str, value: Any) -> None:
        device = self.devices.get(client_id)
        if device is None:
            return
        before = device.values.get((service, path))
        device.values[service, path] = value
        if before == value:
            return
        output, _, row = path.rpartition("/")
        if row == "State" and output:
            device.values[service, f"{output}/Status"] = 9 if value else 0
        if self.reference:
            kind, number = device.status["services"][service], device.instances[service]
            self._tell(f"N/{self.portal}/{kind}/{number}/{path}", {"value": value})
        elif device.status.get("notify"):
            told = {"service": service, "path": path, "value": value}
            self._tell(protocol.set_topic(client_id), told)

    def _command(self, told: Any) -> None:
        if told.get("cmd") == "forget":
            self.devices.pop(str(told.get("clientId")), None)
        elif told.get("cmd") == "list":
            self.broker.publish(protocol.DEVICES_TOPIC, b"[]")
