"""What a user can set for this family, checked (spec g.1, h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from ..engine import LinkError, Reason
from .capture.filter import FilterError, parse_filter
from .dongle.layouts import read_layouts

DEFAULT_PORT = 51100
DEFAULT_SNAPLEN = 65535
LEAST_EXPIRY_S = 1.0


class Source(StrEnum):
    """Where the packets come from."""

    FILE = "file"
    """A capture file, read once."""
    LIVE = "live"
    """An interface of this host."""
    RELAY = "relay"
    """The dongle's connection is relayed through this host."""
    SIM = "sim"
    """Simulated dongles in this process."""


class SettingsError(LinkError):
    """A setting can't be used. ``field`` names it, ``reason`` says how."""

    def __init__(self, reason: Reason, message: str, field: str) -> None:
        super().__init__(reason, message, field=field)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class SunsynkSettings:
    """Plain values only, as a config entry or a configuration file holds them.

    ``path`` belongs to a file, ``interface`` (or ``any``) to live capture, ``listen_host``,
    ``listen_port`` and ``server`` (``host:port``, where the dongle's bytes go on to) to the
    relay, ``inverters``, ``layout``, ``interval``, ``warp`` and ``seed`` to the simulation.
    ``expire_after`` (s) replaces the adaptive staleness. ``grid_power_by_ten`` are serials of
    16 kW models.
    """

    source: Source
    timezone: str
    path: str = ""
    interface: str = ""
    filter: str = ""
    promiscuous: bool = True
    snaplen: int = DEFAULT_SNAPLEN
    listen_host: str = "0.0.0.0"  # noqa: S104 - the dongle comes from outside
    listen_port: int = DEFAULT_PORT
    server: str = ""
    expire_after: float | None = None
    grid_power_by_ten: tuple[str, ...] = ()
    inverters: int = 1
    layout: str = "302"
    interval: float = 300.0
    warp: float = 1.0
    seed: int = 1

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> SunsynkSettings:
        """Return the settings in *values*; unknown keys are ignored.

        Checks what can be checked without reading a file or asking the system;
        :func:`.probe.probe` does the rest. Raises :class:`SettingsError`.
        """
        known = {item.name for item in fields(cls)}
        given = {key: value for key, value in values.items() if key in known}
        try:
            given["source"] = Source(given.get("source", ""))
        except ValueError:
            allowed = ", ".join(Source)
            raise SettingsError(
                Reason.BAD_ADDRESS, f"the source is one of {allowed}", "source"
            ) from None
        given["grid_power_by_ten"] = tuple(given.get("grid_power_by_ten") or ())
        given.setdefault("timezone", "")
        settings = cls(**given)
        settings._check_types()
        settings._check_values()
        return settings

    def _check_types(self) -> None:
        for item in fields(self):
            value, default = getattr(self, item.name), item.default
            match default:
                case bool():
                    sound = isinstance(value, bool)
                case int():
                    sound = isinstance(value, int) and not isinstance(value, bool)
                case float():
                    sound = isinstance(value, (int, float)) and not isinstance(value, bool)
                case str():
                    sound = isinstance(value, str)
                case None:
                    number = isinstance(value, (int, float)) and not isinstance(value, bool)
                    sound = value is None or number
                case _:
                    sound = True
            if not sound:
                expected = type(default).__name__
                raise SettingsError(
                    Reason.BAD_ADDRESS, f"{item.name} is a {expected}, not {value!r}", item.name
                )

    def _check_values(self) -> None:
        if not self.timezone or not isinstance(self.timezone, str):
            raise SettingsError(Reason.BAD_TIMEZONE, "a time zone is needed", "timezone")
        try:
            # Host names are looked up later; here any address serves.
            parse_filter(
                self.filter,
                lambda _name: ("192.0.2.1", "2001:db8::1"),
                link_layer=self.source is not Source.LIVE,
            )
        except FilterError as error:
            raise SettingsError(Reason.BAD_FILTER, str(error), "filter") from error
        match self.source:
            case Source.FILE if not self.path:
                raise SettingsError(Reason.NOT_FOUND, "a file is needed", "path")
            case Source.LIVE if not self.interface:
                raise SettingsError(Reason.NOT_FOUND, "an interface is needed", "interface")
            case Source.RELAY:
                self.server_address()
        if self.source is Source.SIM:
            try:
                read_layouts(self.layout)
            except ValueError as error:
                raise SettingsError(Reason.BAD_ADDRESS, str(error), "layout") from error
        expiry = LEAST_EXPIRY_S if self.expire_after is None else self.expire_after
        for name, value, low, high in (
            ("listen_port", self.listen_port, 0, 65535),
            ("snaplen", self.snaplen, 64, 262144),
            ("expire_after", expiry, LEAST_EXPIRY_S, 7 * 86400),
            ("interval", self.interval, 1, 600),
            ("inverters", self.inverters, 1, 64),
            ("warp", self.warp, 0.001, 100000),
        ):
            if not low <= value <= high:
                raise SettingsError(
                    Reason.BAD_ADDRESS, f"{name} goes from {low} to {high}, not {value}", name
                )

    def server_address(self) -> tuple[str, int]:
        """Return the host and port of the relay's server. Raises :class:`SettingsError`."""
        host, _, port = self.server.rpartition(":")
        if not host:
            host, port = self.server, str(DEFAULT_PORT)
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise SettingsError(Reason.BAD_ADDRESS, "the server is host:port", "server")
        return host.strip("[]"), int(port)

    @property
    def target(self) -> str:
        """What is listened to, as one word, for the unique id of an entry."""
        match self.source:
            case Source.FILE:
                return self.path
            case Source.LIVE:
                return self.interface
            case Source.RELAY:
                return str(self.listen_port)
            case Source.SIM:
                return str(self.seed)
