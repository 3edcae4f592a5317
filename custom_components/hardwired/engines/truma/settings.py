"""What a user can set for this family, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from ..engine import LinkError, Reason
from .devices import HeaterKind
from .inet.box import Identity
from .rules import HeatingMode

NETWORK_SCHEMES = frozenset({"socket", "tcp", "rfc2217", "esphome", "esphome-hass"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrumaSettings:
    """Plain values only, as a config entry holds them.

    ``device`` is a port or URL; a network URL can only be observed. ``timezone`` is an IANA name;
    empty: the system's. ``heater`` overrides what the records say.
    """

    device: str
    observer: bool = False
    identity: Identity = Identity.BOX
    clock_sync: bool = False
    timezone: str = ""
    default_heating_mode: HeatingMode | None = None
    heater: HeaterKind | None = None

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrumaSettings:
        """Return the settings in *values*; unknown keys are ignored.

        Raises :class:`LinkError` (BAD_ADDRESS) with a plain reason.
        """
        known = {item.name for item in fields(cls)}
        given = {key: value for key, value in values.items() if key in known}
        try:
            given["identity"] = Identity(given.get("identity") or Identity.BOX)
            if mode := given.pop("default_heating_mode", None):
                given["default_heating_mode"] = HeatingMode[str(mode).upper()]
            if heater := given.pop("heater", None):
                given["heater"] = HeaterKind(heater)
            for flag in ("observer", "clock_sync"):
                if not isinstance(given.get(flag, False), bool):
                    raise ValueError(f"{flag} is true or false, not {given[flag]!r}")
            settings = cls(**given)
        except (KeyError, ValueError, TypeError) as error:
            raise LinkError(Reason.BAD_ADDRESS, f"a setting is wrong: {error}") from error
        if not settings.device:
            raise LinkError(Reason.BAD_ADDRESS, "a port is needed")
        return settings

    @property
    def scheme(self) -> str:
        """The URL's scheme; empty for a local port."""
        scheme = urlsplit(self.device).scheme
        return scheme if "://" in self.device else ""

    @property
    def network(self) -> bool:
        """Whether the bus is reached over a network: too slow to answer in time."""
        return self.scheme in NETWORK_SCHEMES

    @property
    def listens_only(self) -> bool:
        """Whether nothing is ever sent."""
        return self.observer or self.network
