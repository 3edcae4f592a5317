"""Diagnostics: all that a bug report needs, and nothing that tells who the owner is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .coordinator import HardwiredConfigEntry
from .engines.engine import DeviceState
from .engines.masking import masked_text, secrets_of
from .engines.recording import without_secrets

SHORTEST_SECRET = 4
"""A shorter text can't be told from others: hiding it everywhere would spoil the rest."""
REDACT_ALWAYS = frozenset({"device", "host", "link", "peer", "serial_number", "title", "unique_id"})


def _hidden(entry: HardwiredConfigEntry, redact: frozenset[str]) -> Iterator[str]:
    """Yield what errors and frames may repeat of the settings that are not shown."""
    for key, value in {**entry.data, **entry.options}.items():
        if isinstance(value, str):
            yield from (text for text in secrets_of(value) if len(text) >= SHORTEST_SECRET)
        if key not in redact or not isinstance(value, str) or len(value) < SHORTEST_SECRET:
            continue
        yield value
        if "://" in value:
            with contextlib.suppress(ValueError):
                yield urlsplit(value).hostname or ""
        elif value.startswith("/"):
            yield PurePath(value).name
        elif value.count(":") == 1:
            yield value.partition(":")[0]


def secrets_of_entry(entry: HardwiredConfigEntry) -> tuple[str, ...]:
    """Return what must not be told of a loaded entry, the longest first."""
    redact = REDACT_ALWAYS | entry.runtime_data.family.redact
    texts = {*entry.runtime_data.engine.secrets(), *_hidden(entry, redact)} - {""}
    return tuple(sorted(texts, key=len, reverse=True))


def _frames(entry: HardwiredConfigEntry, secrets: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "time": frame.time.isoformat(timespec="milliseconds"),
            "direction": frame.direction.value,
            "data": frame.data.hex(),
        }
        for frame in without_secrets(entry.runtime_data.engine.frames, secrets)
    ]


def _mask(value: Any, secrets: tuple[str, ...]) -> Any:
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, REDACTED)
            return masked_text(value)
        case Mapping():
            return {_mask(str(key), secrets): _mask(item, secrets) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_mask(item, secrets) for item in value]
        case bool() | int() | float() | None:
            return value
        case bytes():
            return _mask(value.hex(), secrets)
        case _:
            return _mask(str(value), secrets)


def _device(state: DeviceState) -> dict[str, Any]:
    device = state.device
    return {
        "kind": device.kind,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "model_id": device.model_id,
        "sw_version": device.sw_version,
        "hw_version": device.hw_version,
        "available": state.available,
        "time": None if state.time is None else state.time.isoformat(),
        "values": dict(state.values),
    }


def _report(entry: HardwiredConfigEntry, states: Iterable[DeviceState]) -> dict[str, Any]:
    runtime = entry.runtime_data
    snapshot = runtime.coordinator.data
    redact = REDACT_ALWAYS | runtime.family.redact
    secrets = secrets_of_entry(entry)
    in_hex = tuple(secret.encode().hex() for secret in secrets)
    report = {
        "entry": {
            "data": async_redact_data(dict(entry.data), redact),
            "options": async_redact_data(dict(entry.options), redact),
            "version": f"{entry.version}.{entry.minor_version}",
        },
        "connection": {
            "connected": snapshot.connected,
            "reason": None if snapshot.reason is None else snapshot.reason.value,
            "detail": snapshot.detail,
        },
        "statistics": runtime.engine.statistics.as_dict(),
        "engine": runtime.engine.diagnostics(),
        "devices": [_device(state) for state in states],
    }
    masked: dict[str, Any] = _mask(report, (*secrets, *in_hex))
    masked["frames"] = _frames(entry, secrets)
    return masked


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: HardwiredConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics of a config entry; works while the device is silent, too."""
    return _report(entry, entry.runtime_data.coordinator.data.devices.values())


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: HardwiredConfigEntry, device: dr.DeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of one device."""
    coordinator = entry.runtime_data.coordinator
    return _report(
        entry,
        (
            state
            for state in coordinator.data.devices.values()
            if coordinator.identifier(state.device) in device.identifiers
        ),
    )
