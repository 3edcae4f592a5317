"""What a user can set for this family, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..factory import SettingsError
from ..masking import masked
from .inet.box import Identity
from .inet.rules import HeaterKind, HeatingMode

NETWORK_SCHEMES = frozenset({"socket", "tcp", "udp", "rfc2217", "esphome", "esphome-hass"})

_Choice = TypeVar("_Choice", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrumaSettings:
    """Plain values only, as a config entry holds them.

    ``link`` is a port or URL; a network URL can only be observed. ``time_zone`` is an IANA name;
    empty: the installation's. ``heater`` overrides what the records say. ``trust_clock``: this
    computer's clock is right, though the system may not know it.
    """

    link: str
    observer: bool = False
    identity: Identity = Identity.BOX
    clock_sync: bool = False
    trust_clock: bool = False
    time_zone: str = ""
    default_heating_mode: HeatingMode | None = None
    heater: HeaterKind | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrumaSettings:
        """Return the settings in *values*; unknown keys are ignored.

        Raises :class:`SettingsError`.
        """
        known = {item.name for item in fields(cls)}
        given = {key: value for key, value in values.items() if key in known and value is not None}
        given["identity"] = _choice(given, "identity", Identity) or Identity.BOX
        given["heater"] = _choice(given, "heater", HeaterKind)
        given["default_heating_mode"] = _heating_mode(given)
        for flag in ("observer", "clock_sync", "trust_clock"):
            if not isinstance(given.get(flag, False), bool):
                raise SettingsError(flag, message=f"it is true or false, not {given[flag]!r}")
        for text in ("link", "time_zone"):
            if not isinstance(given.get(text, ""), str):
                raise SettingsError(text, message=f"it is a text, not {given[text]!r}")
        if not given.get("link"):
            raise SettingsError("link", message="a port is needed")
        settings = cls(**given)
        try:
            urlsplit(settings.link)
        except ValueError:
            wrong = f"{masked(settings.link)} can't be understood"
            raise SettingsError("link", message=wrong) from None
        return settings

    @property
    def scheme(self) -> str:
        """The URL's scheme; empty for a local port."""
        scheme = urlsplit(self.link).scheme
        return scheme if "://" in self.link else ""

    @property
    def network(self) -> bool:
        """Whether the bus is reached over a network: too slow to answer in time."""
        return self.scheme in NETWORK_SCHEMES

    @property
    def keeps_clock(self) -> bool:
        """Whether the panel's clock is kept right."""
        return self.clock_sync and not self.listens_only

    @property
    def trusts_clock(self) -> bool:
        """Whether this computer's clock is right, whatever the system knows of it."""
        return self.trust_clock or self.scheme == "sim"

    @property
    def listens_only(self) -> bool:
        """Whether nothing is ever sent."""
        return self.observer or self.network


def _choice(values: Mapping[str, Any], key: str, kind: type[_Choice]) -> _Choice | None:
    value = values.get(key)
    if not value:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(item.value) for item in kind)
        raise SettingsError(key, message=f"it is one of {known}, not {value!r}") from None


def _heating_mode(values: Mapping[str, Any]) -> HeatingMode | None:
    name = values.get("default_heating_mode")
    if not name:
        return None
    choices = {mode.name.lower(): mode for mode in HeatingMode}
    if isinstance(name, HeatingMode):
        return name
    if not isinstance(name, str) or name.lower() not in choices:
        known = ", ".join(choices)
        raise SettingsError("default_heating_mode", message=f"it is one of {known}, not {name!r}")
    return choices[name.lower()]
