"""What a resolved CONFIG means before anything runs: what families refuse, what is secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardwired_engines.factory import SettingsError, factory_of

from ..config import tables
from ..config.secrets import secrets_of
from ..masking import Mask
from .link import engine_settings


def family_complaints(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what only the families know to be wrong, as key and text (spec b.3)."""
    found = []
    for name, settings in value["devices"].items():
        try:
            factory = factory_of(settings["family"])
        except (LookupError, AttributeError):
            found.append((f"devices.{name}.family", "is not in this release"))
            continue
        try:
            factory.read(engine_settings(settings))
        except SettingsError as error:
            found.append((f"devices.{name}.{error.field}", str(error) or error.reason.value))
    return found


def mask_of(value: Mapping[str, Any]) -> Mask:
    """Return the mask of all secrets of a resolved CONFIG.

    A code that is still the one of every device, printed in its manual, is none.
    """
    logins = [
        (sink["username"], secret.reveal())
        for sink in value["sinks"].values()
        if sink.get("username")
        for secret in secrets_of(sink)
    ]
    public = {
        key.default
        for device in value["devices"].values()
        for key in tables.family(device["family"]).table.keys
        if key.kind.secret and key.default is not None
    }
    secrets = {secret.reveal() for secret in secrets_of(value)}
    return Mask(secrets - public, logins)


def engine_part(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a device's table concerns the link, not the sinks (spec f.1)."""
    return {key: value for key, value in settings.items() if key not in _VIEW_KEYS}


_VIEW_KEYS = frozenset({"legacy", "sinks", "native", "include", "exclude", "adopt", "area"})
