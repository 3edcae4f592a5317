"""How the GX is reached and what is offered to it, from plain values (spec H.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ..engine import Reason
from ..factory import LINK, SettingsError
from .config import ConfigError, ExportConfig, read_export
from .mqtt.client import Address
from .protocol import read_portal

USER = "user"
PASSWORD = "password"  # noqa: S105 - the name of a key
FINGERPRINT = "fingerprint"
PORTAL = "portal"
EXPORTS = "exports"
VERSION = "version"

PORTS = {"mqtt": 1883, "mqtts": 8883}
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class GxSettings:
    """``address`` is ``None`` for a simulated GX, which ``simulation`` describes.

    ``exports`` are by the key that their devices have; ``broken`` says what is wrong with those
    that can't be read.
    """

    address: Address | None
    simulation: str = ""
    portal: str | None = None
    exports: Mapping[str, ExportConfig] = field(default_factory=lambda: MappingProxyType({}))
    broken: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    version: str = "1"


def read_settings(values: Mapping[str, Any]) -> GxSettings:
    """Return the settings. Raises :class:`SettingsError`."""
    link = _text(values, LINK) or ""
    portal = values.get(PORTAL)
    if portal is not None and read_portal(portal) is None:
        raise SettingsError(PORTAL, message="the portal id has 12 letters and digits")
    exports, broken = read_exports(values.get(EXPORTS) or {})
    return GxSettings(
        address=None if link.startswith("sim:") else _address(link, values),
        simulation=link if link.startswith("sim:") else "",
        portal=portal,
        exports=exports,
        broken=broken,
        version=_text(values, VERSION) or "1",
    )


def read_exports(told: Any) -> tuple[dict[str, ExportConfig], dict[str, str]]:
    """Return the exports that can be read, and what is wrong with the others.

    Two of one client id would throw each other off the GX: the second is wrong.
    """
    exports: dict[str, ExportConfig] = {}
    broken: dict[str, str] = {}
    if not isinstance(told, Mapping):
        return exports, broken
    taken: set[str] = set()
    for key, values in told.items():
        try:
            found = read_export(values)
        except (ConfigError, AttributeError) as error:
            broken[str(key)] = str(error)
            continue
        if found.client_id in taken:
            broken[str(key)] = f"another export has the client id {found.client_id}"
            continue
        taken.add(found.client_id)
        exports[str(key)] = found
    return exports, broken


def _address(link: str, values: Mapping[str, Any]) -> Address:
    try:
        parts = urlsplit(link)
        host, port = parts.hostname, parts.port
    except ValueError:  # its words repeat the address, with what stands in it
        raise SettingsError(LINK, message="mqtt://HOST:PORT or mqtts://HOST:PORT") from None
    if parts.scheme not in PORTS or not host or parts.path not in ("", "/") or parts.query:
        raise SettingsError(LINK, message="mqtt://HOST:PORT or mqtts://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(LINK, message="user and password have settings of their own")
    fingerprint = _text(values, FINGERPRINT)
    if fingerprint is not None:
        fingerprint = fingerprint.replace(":", "").lower()
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise SettingsError(FINGERPRINT, message="a SHA-256 has 64 hexadecimal digits")
    password = _text(values, PASSWORD, strip=False)
    user = _text(values, USER)
    if password is not None and user is None:
        user = "hardwired"  # the GX takes any name with the password of its security profile
    return Address(
        host=host,
        port=port or PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        user=user,
        password=password,
        fingerprint=fingerprint if parts.scheme == "mqtts" else None,
    )


def _text(values: Mapping[str, Any], key: str, *, strip: bool = True) -> str | None:
    value = values.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
        raise SettingsError(key, Reason.BAD_ADDRESS, f"{key} is a text")
    return (value.strip() or None) if strip else value
