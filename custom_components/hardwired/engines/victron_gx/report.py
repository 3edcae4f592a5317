"""What the state machines know, as devices, notices and diagnostics (spec H.7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from ..clock import Clock
from ..engine import Device, DeviceState, Notice, Severity
from ..fields import Value
from .catalogue import CATALOGUES, EXPORT, HELPER, instance_key
from .exporter import Exporter
from .gx import Gx
from .protocol import Helper, Message

_PRIVATE_PATH = re.compile(r'(?:Latitude|Longitude|VIN|CustomName)(?:"\s*[,}]|$)')
_VALUE = re.compile(r'("value"\s*:\s*)("(?:[^"\\]|\\.)*"|[^,}\]]+)')
MANUFACTURER = "Victron Energy (via MQTT)"
HELPER_ID = "helper"
_PRIVATE = re.compile(
    r'("(?:[^"]*/)?(?:Latitude|Longitude|VIN|CustomName|name|custom_name|group)"\s*:\s*)'
    r'("(?:[^"\\]|\\.)*"|[^,}\]]+)'
)


def helper_device(helper: Helper | None) -> Device:
    """Return the driver on the GX."""
    version = None if helper is None else helper.version or None
    return Device(
        HELPER_ID,
        HELPER,
        "GX MQTT devices helper",
        manufacturer=MANUFACTURER,
        model="MQTT devices helper",
        sw_version=version,
    )


def export_device(key: str, exporter: Exporter, helper: Helper | None) -> Device:
    """Return an export."""
    found = exporter.plan
    types = () if found is None else dict.fromkeys(found.types.values())
    return Device(
        key,
        EXPORT,
        exporter.config.name,
        manufacturer=MANUFACTURER,
        model=", ".join(types) or exporter.config.template.value,
        sw_version=None if helper is None else helper.version or None,
        via=HELPER_ID,
        address=exporter.config.client_id,
    )


def devices(gx: Gx, clock: Clock) -> dict[str, DeviceState]:
    """Return the driver and all exports as they are now."""
    helper = gx.helper
    told: dict[str, Value | None] = {
        "helper_online": gx.helper_online,
        "helper_devices": sum(one.registered for one in gx.exporters.values())
        if helper is None or helper.devices is None
        else helper.devices,
        "helper_version": None if helper is None else helper.version or None,
        "helper_started": None if helper is None else _moment(helper.started),
        "helper_announce": None,
    }
    found = {HELPER_ID: _state(helper_device(helper), told, gx.connected)}
    for key, exporter in gx.offered.items():
        found[key] = _state(
            export_device(key, exporter, helper), _values(exporter, clock), gx.connected
        )
    return found


def _state(device: Device, told: Mapping[str, Value | None], available: bool) -> DeviceState:
    return DeviceState(device, MappingProxyType(told), available, fields=CATALOGUES[device.kind])


def _values(exporter: Exporter, clock: Clock) -> dict[str, Value | None]:
    told: dict[str, Value | None] = {"registered": exporter.registered}
    services = {} if exporter.plan is None else exporter.plan.types
    instances = {} if exporter.reply is None else exporter.reply.instances
    for service in services:
        told[instance_key(service)] = instances.get(service)
    sent = exporter.last_sent
    told["last_sent"] = (
        None
        if sent is None
        else (clock.now() - timedelta(seconds=clock.monotonic() - sent)).replace(microsecond=0)
    )
    return {
        **told,
        "errors": exporter.counters.errors,
        "refused": exporter.counters.refused,
        "command": None,
        "register": None,
        "enabled": exporter.enabled,
    }


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


# ------------------------------------------------------------------------------------ notices


def notices(
    gx: Gx, broken: Mapping[str, str], now: float, *, refused: bool = False
) -> Iterator[Notice]:
    """Yield what the owner has to mend. *refused*: the broker does not let us in."""
    if refused:
        yield Notice("login_refused")
    if gx.other is not None:
        yield Notice("other_gx", {"expected": gx.expected or "-", "found": gx.other})
    if gx.helper_missing(now):
        yield Notice("helper_missing")
    elif gx.helper_old:
        version = "-" if gx.helper is None else gx.helper.version or "-"
        yield Notice("helper_old", {"version": version})
    for key, text in broken.items():
        yield Notice("export_broken", {"export": key, "message": text}, Severity.ERROR)
    for key, exporter in gx.offered.items():
        if gx.connected and (text := refusal(exporter)):
            name = exporter.config.name
            yield Notice("export_refused", {"export": name, "message": text}, device=key)


def refusal(exporter: Exporter) -> str:
    """Return what the driver does not take of an export, and why; empty when it takes all."""
    if exporter.refusal:
        return exporter.refusal
    if exporter.reply is not None and exporter.reply.errors:
        return "; ".join(f"{key}: {text}" for key, text in exporter.reply.errors.items())[:500]
    if exporter.enabled and exporter.there and exporter.unknown_types:
        return f"unknown types: {', '.join(exporter.unknown_types)}"
    return ""


# -------------------------------------------------------------------------------- diagnostics


def shown(message: Message) -> str:
    """Return a message without where somebody is and how things are called."""
    text = message.payload.decode("utf-8", "replace")
    if _PRIVATE_PATH.search(message.topic) or _PRIVATE_PATH.search(text):
        text = _VALUE.sub(r'\1"**REDACTED**"', text)
    return f"{message.topic} {public(text)}"


def public(text: str) -> str:
    """Return a payload without places and names."""
    return _PRIVATE.sub(r'\1"**REDACTED**"', text)


def diagnostics(gx: Gx) -> dict[str, Any]:
    """Return the facts for a bug report."""
    helper = gx.helper
    return {
        "helper": None
        if helper is None
        else {
            "version": helper.version,
            "types": None if helper.types is None else sorted(helper.types),
            "features": sorted(helper.features),
            "started": helper.started,
            "devices": helper.devices,
        },
        "helper_online": gx.helper_online,
        "discoveries": gx.discoveries,
        "registered_by_hand": len(gx.by_hand),
        "exports": [_export(exporter) for exporter in gx.offered.values()],
    }


def _export(exporter: Exporter) -> dict[str, Any]:
    reply, found = exporter.reply, exporter.plan
    last = exporter.last_payload
    return {
        "template": exporter.config.template.value,
        "enabled": exporter.enabled,
        "controls_allowed": exporter.config.controls,
        "on_loss": exporter.config.on_loss.value,
        "services": {} if found is None else found.types,
        "registered": exporter.registered,
        "reply": None if reply is None else json.loads(public(json.dumps(dict(reply.raw)))),
        "refusal": exporter.refusal,
        "last_message": None if last is None else shown(last),
        "counters": {
            "rejected_values": exporter.counters.errors,
            "commands": exporter.counters.sets,
            "not_carried_out": exporter.counters.refused,
            "messages": exporter.counters.messages,
        },
    }
