"""What a user can set for this family, checked (spec g.1, h)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

from ..engine import LinkError, Reason
from ..factory import TIME_ZONE, SettingsError
from ..link import Opener, Parity, SerialSettings, SimulatorFactory, make_opener
from ..masking import masked
from .capture.filter import FilterError, parse_filter
from .dongle.layouts import read_layouts

DEFAULT_PORT = 51100
EVERYWHERE = "0.0.0.0"  # noqa: S104 - the dongle comes from outside
DEFAULT_SNAPLEN = 65535
LEAST_EXPIRY_S = 1.0
MAXIMUM_READ = 125
"""Registers that Modbus reads at once."""
LAST_UNIT = 247
NETWORK_SCHEMES = frozenset({"tcp", "socket", "udp"})
"""Links on which Modbus TCP is usual."""
SERIAL = re.compile("([0-9]{3,7}) ([78])([NEOneo])([12])")
WHOLE = re.compile("-?[0-9]{1,9}")
HOST = re.compile(r"[0-9A-Za-z._:%-]+")
"""What a name or address of a host is made of: no user, no password, no path."""


class Source(StrEnum):
    """Where the packets come from."""

    FILE = "file"
    """A capture file, read once."""
    LIVE = "live"
    """An interface of this host."""
    RELAY = "relay"
    """The dongle's connection is relayed through this host."""
    MODBUS = "modbus"
    """The inverter itself is asked, over RS-485 or a gateway."""
    SIM = "sim"
    """Simulated dongles in this process."""


class FramingChoice(StrEnum):
    """How Modbus frames travel."""

    AUTO = "auto"
    """RTU on a serial port; on a network Modbus TCP, or RTU where that is what answers."""
    RTU = "rtu"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class SunsynkSettings:
    """Plain values only, as a config entry or a configuration file holds them.

    ``path`` belongs to a file, ``interface`` (or ``any``) to live capture, ``listen`` and
    ``server`` (both ``host:port``; the dongle's bytes go on to the latter) to the relay,
    ``inverters``, ``layout``, ``interval``, ``warp`` and ``seed`` to the simulation.
    ``expire_after`` (s) replaces the adaptive staleness. ``grid_power_by_ten`` are serials of
    16 kW models.

    To Modbus belong ``link`` (an address of :mod:`...link`), ``serial`` (of a serial port),
    ``framing``, ``unit`` and further ``units`` on the same line, ``interval``, ``timeout`` (s),
    ``retries`` (attempts in all), ``max_block`` (registers at once) and ``write_enabled``.
    """

    source: Source
    time_zone: str
    path: str = ""
    interface: str = ""
    filter: str = ""
    promiscuous: bool = True
    snaplen: int = DEFAULT_SNAPLEN
    listen: str = f"{EVERYWHERE}:{DEFAULT_PORT}"
    server: str = ""
    peers: tuple[str, ...] = ()
    expire_after: float | None = None
    grid_power_by_ten: tuple[str, ...] = ()
    inverters: int = 1
    layout: str = "302"
    interval: float | None = None
    """Seconds between reports of the simulation (300) or between questions (Modbus, 10)."""
    warp: float = 1.0
    seed: int = 1
    link: str = ""
    serial: str = "9600 8N1"
    framing: FramingChoice = FramingChoice.AUTO
    unit: int = 1
    units: tuple[int, ...] = ()
    timeout: float = 3.0
    retries: int = 3
    max_block: int = 66
    write_enabled: bool = False

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
            raise SettingsError("source", message=f"the source is one of {allowed}") from None
        for name in ("grid_power_by_ten", "peers"):
            given[name] = _texts(given.get(name) or (), name)
        given["units"] = _numbers(given.get("units") or (), "units")
        try:
            given["framing"] = FramingChoice(given.get("framing") or FramingChoice.AUTO)
        except ValueError:
            allowed = ", ".join(FramingChoice)
            raise SettingsError("framing", message=f"the framing is one of {allowed}") from None
        for name in ("link", "serial"):
            if given.get(name) is None:
                given.pop(name, None)
        given[TIME_ZONE] = given.get(TIME_ZONE) or ""
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
                raise SettingsError(item.name, message=f"it is a {expected}, not {value!r}")

    def _check_values(self) -> None:
        zone_needed = self.source is not Source.MODBUS
        if not isinstance(self.time_zone, str) or (zone_needed and not self.time_zone):
            raise SettingsError(TIME_ZONE, Reason.BAD_TIMEZONE, "a time zone is needed")
        try:
            # Host names are looked up later; here any address serves.
            parse_filter(
                self.filter,
                lambda _name: ("192.0.2.1", "2001:db8::1"),
                link_layer=self.source is not Source.LIVE,
            )
        except FilterError as error:
            raise SettingsError("filter", Reason.BAD_FILTER, str(error)) from None
        match self.source:
            case Source.FILE if not self.path:
                raise SettingsError("path", Reason.NOT_FOUND, "a file is needed")
            case Source.LIVE if not self.interface:
                raise SettingsError("interface", Reason.NOT_FOUND, "an interface is needed")
            case Source.RELAY:
                self.server_address()
                self.listen_address()
                self.peer_networks()
            case Source.MODBUS:
                self._check_modbus()
        if self.source is Source.SIM:
            try:
                read_layouts(self.layout)
            except ValueError as error:
                raise SettingsError("layout", message=str(error)) from error
        expiry = LEAST_EXPIRY_S if self.expire_after is None else self.expire_after
        for name, value, low, high in (
            ("snaplen", self.snaplen, 64, 262144),
            ("expire_after", expiry, LEAST_EXPIRY_S, 7 * 86400),
            ("interval", self.every, 1, 86400 if self.source is Source.MODBUS else 600),
            ("inverters", self.inverters, 1, 64),
            ("warp", self.warp, 0.001, 100000),
            ("timeout", self.timeout, 0.1, 60),
            ("retries", self.retries, 0, 100),
            ("max_block", self.max_block, 1, MAXIMUM_READ),
            *(("units", unit, 1, LAST_UNIT) for unit in self.units),
            ("unit", self.unit, 1, LAST_UNIT),
        ):
            if not low <= value <= high:
                raise SettingsError(name, message=f"it goes from {low} to {high}, not {value}")

    def server_address(self) -> tuple[str, int]:
        """Return the host and port of the relay's server. Raises :class:`SettingsError`."""
        host, port = _host_and_port(self.server, "server")
        if not host or not port or not HOST.fullmatch(host):
            raise SettingsError("server", message="the server is host:port")
        return host, port

    def listen_address(self) -> tuple[str, int]:
        """Return the host and port on which the relay listens. Raises :class:`SettingsError`."""
        host, port = _host_and_port(self.listen, "listen")
        return host or EVERYWHERE, port

    def peer_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return from where dongles may connect. Raises :class:`SettingsError`."""
        try:
            return tuple(ip_network(peer, strict=False) for peer in self.peers)
        except ValueError as error:
            raise SettingsError("peers", message=str(error)) from None

    def _check_modbus(self) -> None:
        if not self.link:
            raise SettingsError("link", message="a port or an address is needed")
        try:
            make_opener(self.link, self.serial_settings(), simulator=_no_simulator)
        except SettingsError:
            raise
        except LinkError as error:
            raise SettingsError("link", error.reason, str(error)) from error
        if len(set(self.all_units)) < len(self.all_units):
            raise SettingsError("units", message="a unit stands twice")

    @property
    def every(self) -> float:
        """Seconds between two reports of the simulation, or between two questions over Modbus."""
        if self.interval is not None:
            return self.interval
        return 10.0 if self.source is Source.MODBUS else 300.0

    @property
    def all_units(self) -> tuple[int, ...]:
        """The unit ids on the line, the first one first."""
        return (self.unit, *self.units)

    @property
    def is_serial(self) -> bool:
        """Whether the link is a serial port of this host."""
        return "://" not in self.link

    @property
    def is_simulated(self) -> bool:
        """Whether the device at the link is a simulated one."""
        return urlsplit(self.link).scheme == "sim"

    @property
    def framing_of_link(self) -> FramingChoice:
        """How frames travel on this link; AUTO: that must be found out."""
        scheme = urlsplit(self.link).scheme if "://" in self.link else ""
        if self.framing is FramingChoice.AUTO and scheme not in NETWORK_SCHEMES:
            return FramingChoice.RTU
        return self.framing

    def serial_settings(self) -> SerialSettings:
        """Return how a serial port is set. Raises :class:`SettingsError`."""
        found = SERIAL.fullmatch(self.serial.strip())
        if found is None:
            raise SettingsError("serial", message=f"{self.serial!r} is not written like 9600 8N1")
        return SerialSettings(int(found[1]), int(found[2]), Parity(found[3].upper()), int(found[4]))

    def opener(self, simulator: SimulatorFactory) -> Opener:
        """Return what opens the link. Raises :class:`LinkError` (BAD_ADDRESS)."""
        return make_opener(self.link, self.serial_settings(), simulator=simulator)

    @property
    def target(self) -> str:
        """What is listened to, as one word, for the unique id of an entry."""
        match self.source:
            case Source.FILE:
                return masked(self.path)
            case Source.LIVE:
                return masked(self.interface)
            case Source.RELAY:
                return str(self.listen_address()[1])
            case Source.SIM:
                return str(self.seed)
            case Source.MODBUS:
                return masked(self.link)

    @property
    def unique_id(self) -> str:
        """What names this source, so that it is not set up twice."""
        return f"sunsynk_{self.source}_{self.target}"


def _texts(given: Any, name: str) -> tuple[str, ...]:
    texts = given.replace(",", " ").split() if isinstance(given, str) else given
    if not isinstance(texts, (list, tuple)) or not all(isinstance(one, str) for one in texts):
        raise SettingsError(name, message="it is a list of texts")
    return tuple(texts)


def _numbers(given: Any, name: str) -> tuple[int, ...]:
    parts = given.replace(",", " ").split() if isinstance(given, str) else given
    wrong = SettingsError(name, message="it is a list of whole numbers")
    if not isinstance(parts, (list, tuple)):
        raise wrong
    numbers = [_whole(one) for one in parts]
    if None in numbers:
        raise wrong
    return tuple(one for one in numbers if one is not None)


def _whole(one: Any) -> int | None:
    match one:
        case bool():
            return None
        case int():
            return one
        case float() if one.is_integer():
            return int(one)
        case str() if WHOLE.fullmatch(one):
            return int(one)
        case _:
            return None


async def _no_simulator(_query: Mapping[str, str]) -> Any:
    raise LinkError(Reason.BAD_ADDRESS, "no simulator here")


def _host_and_port(text: str, name: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise SettingsError(name, message=f"{text!r} is not host:port")
    return host.strip("[]"), int(port)
