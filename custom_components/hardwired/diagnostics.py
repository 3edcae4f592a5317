"""Diagnostics: all that a bug report needs, and nothing that tells who the owner is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .const import CONF_FAMILY
from .coordinator import HardwiredConfigEntry
from .engines.engine import DeviceState
from .engines.masking import masked_text, secrets_of
from .engines.recording import whole_words, without_secrets
from .families import FAMILIES

SHORTEST_SECRET = 4
"""A shorter text can't be told from others: hiding it everywhere would spoil the rest."""
REDACT_ALWAYS = frozenset({"device", "host", "link", "peer", "serial_number", "title", "unique_id"})
_TERM = re.compile("[a-z][a-z0-9_]*")
"""A key of ours, such as that of a field: no name of an owner's can have made it."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be told: the longest first."""

    secrets: tuple[str, ...]
    """Hidden wherever they stand."""
    names: tuple[str, ...]
    """Of ports, files and hosts: hidden as whole words, as *eco* also stands in *economy*."""

    def and_also(self, secrets: Iterable[str]) -> Hidden:
        """Return it with more secrets."""
        return Hidden(_longest_first({*self.secrets, *secrets}), self.names)


def _settings(entry: HardwiredConfigEntry) -> Iterator[tuple[str, str]]:
    for key, value in {**entry.data, **entry.options}.items():
        if isinstance(value, str):
            yield key, value


def _names(entry: HardwiredConfigEntry, redact: frozenset[str]) -> Iterator[str]:
    """Yield what errors and frames may repeat of the settings that are not shown."""
    for key, value in _settings(entry):
        if key not in redact:
            continue
        yield value
        if "://" in value:
            with contextlib.suppress(ValueError):
                yield urlsplit(value).hostname or ""
        elif value.startswith("/"):
            yield PurePath(value).name
        elif value.count(":") == 1:
            yield value.partition(":")[0]


def _longest_first(texts: Iterable[str], shortest: int = 1) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if len(text) >= shortest}, key=len, reverse=True))


def _redact(entry: HardwiredConfigEntry) -> frozenset[str]:
    """Return the settings that are not shown."""
    family = FAMILIES.get(entry.data[CONF_FAMILY])
    return REDACT_ALWAYS | (frozenset() if family is None else family.redact)


def hidden_of(entry: HardwiredConfigEntry) -> Hidden:
    """Return what must not be told of an entry."""
    redact = _redact(entry)
    written = {text for _, value in _settings(entry) for text in secrets_of(value)}
    said = entry.runtime_data.engine.secrets() if entry.state is ConfigEntryState.LOADED else ()
    secrets = {*said, *_longest_first(written, SHORTEST_SECRET)}
    return Hidden(_longest_first(secrets), _longest_first(_names(entry, redact), SHORTEST_SECRET))


def _frames(entry: HardwiredConfigEntry, hidden: Hidden) -> list[dict[str, Any]]:
    frames = entry.runtime_data.engine.frames
    return [
        {
            "time": frame.time.isoformat(timespec="milliseconds"),
            "direction": frame.direction.value,
            "data": frame.data.hex(),
        }
        for frame in without_secrets(frames, hidden.secrets, hidden.names)
    ]


class _Mask:
    """Hides it in whatever a report holds."""

    def __init__(self, hidden: Hidden) -> None:
        secrets = (*hidden.secrets, *(secret.encode().hex() for secret in hidden.secrets))
        self._secrets = secrets
        self._names = whole_words(hidden.names)

    def text(self, value: str) -> str:
        """Return a text without names and secrets."""
        return self._without_secrets(self._names.sub(REDACTED, value))

    def _without_secrets(self, value: str) -> str:
        for secret in self._secrets:
            value = value.replace(secret, REDACTED)
        return masked_text(value)

    def key(self, key: str) -> str:
        """Return a key without secrets, and without names where it may hold one."""
        return self._without_secrets(key) if _TERM.fullmatch(key) else self.text(key)

    def value(self, value: Any) -> Any:
        """Return anything of plain values, masked."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.key(str(key)): self.value(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case bool() | int() | float() | None:
                return value
            case bytes():
                return self.value(value.hex())
            case _:
                return self.value(str(value))


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


def _about(entry: HardwiredConfigEntry) -> dict[str, Any]:
    redact = _redact(entry)
    return {
        "data": async_redact_data(dict(entry.data), redact),
        "options": async_redact_data(dict(entry.options), redact),
        "version": f"{entry.version}.{entry.minor_version}",
    }


def _not_loaded(entry: HardwiredConfigEntry) -> dict[str, Any]:
    """Return what there is to say of an entry whose set-up failed, or that is disabled."""
    why = {"state": entry.state.value, "reason": entry.reason}
    masked: dict[str, Any] = _Mask(hidden_of(entry)).value({"entry": {**_about(entry), **why}})
    return masked


def _report(entry: HardwiredConfigEntry, states: Iterable[DeviceState]) -> dict[str, Any]:
    runtime = entry.runtime_data
    snapshot = runtime.coordinator.data
    hidden = hidden_of(entry)
    report = {
        "entry": _about(entry),
        "connection": {
            "connected": snapshot.connected,
            "reason": None if snapshot.reason is None else snapshot.reason.value,
            "detail": snapshot.detail,
        },
        "statistics": runtime.engine.statistics.as_dict(),
        "engine": runtime.engine.diagnostics(),
        "devices": [_device(state) for state in states],
    }
    masked: dict[str, Any] = _Mask(hidden).value(report)
    masked["frames"] = _frames(entry, hidden)
    return masked


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: HardwiredConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics of a config entry; works while the device is silent, too."""
    if entry.state is not ConfigEntryState.LOADED:
        return _not_loaded(entry)
    return _report(entry, entry.runtime_data.coordinator.data.devices.values())


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: HardwiredConfigEntry, device: dr.DeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of one device."""
    if entry.state is not ConfigEntryState.LOADED:
        return _not_loaded(entry)
    coordinator = entry.runtime_data.coordinator
    return _report(
        entry,
        (
            state
            for state in coordinator.data.devices.values()
            if coordinator.identifier(state.device) in device.identifiers
        ),
    )
