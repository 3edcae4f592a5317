"""What the owner can choose (spec h), checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from ..engine import LinkError, Reason
from ..factory import LINK, SettingsError
from ..link import Parity, SerialSettings, make_opener
from .datapoints.datapoint import AccessLevel, Datapoint, Poll, by_id, by_key
from .scom.families import Family

SERIAL_CANDIDATES = (
    SerialSettings(38400, parity=Parity.EVEN),
    SerialSettings(115200, parity=Parity.EVEN),
    SerialSettings(115200, parity=Parity.NONE),
)
"""What an Xcom can be set to, in the order in which it is tried (spec a.3)."""

NETWORK_SCHEMES = frozenset({"listen", "tcp", "socket", "udp"})
REMOTE_SERIAL_SCHEMES = frozenset({"rfc2217", "esphome", "esphome-hass"})
"""Serial ports with settings of their own that are reached over a network."""
LEVELS = (AccessLevel.BASIC, AccessLevel.EXPERT, AccessLevel.INSTALLER, AccessLevel.QSP)
MIN_INTERVAL = 1.0
LONGEST_INTERVAL = 86_400.0
DEFAULT_INTERVALS: Mapping[Poll, float] = {
    Poll.FAST: 5.0,
    Poll.NORMAL: 10.0,
    Poll.SLOW: 60.0,
    Poll.CONFIG: 300.0,
    Poll.STATIC: 86_400.0,
}
FAST_AT_MOST = 60
"""Minutes for which values may be wanted near realtime."""
BUSY_LIMIT = 0.7
BUSY_LIMIT_SHARED = 0.5

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Timings:
    """Times of the dialogue, in seconds."""

    answer: float = 3.0
    """How long an answer is awaited."""
    pause: float | None = None
    """Between an answer and the next request; ``None``: measured, starting with 10 ms."""
    drain: float = 0.5
    """Silence after a time-out."""
    idle: float = 0.1
    """Silence after which an incomplete frame is given up."""
    burst: float = 0.0
    """How long requests may follow each other on a shared line; 0: no limit."""
    burst_rest: float = 1.0
    """The pause then."""


def parse_serial(text: str) -> SerialSettings:
    """Return settings written as ``38400 8E1``. Raises :class:`ValueError`."""
    baud, _, frame = text.strip().partition(" ")
    if len(frame) != 3 or frame[0] not in "78" or frame[2] not in "12":
        raise ValueError(f"{text!r} is not written like 38400 8E1")
    return SerialSettings(int(baud), int(frame[0]), Parity(frame[1].upper()), int(frame[2]))


@dataclass(frozen=True, slots=True)
class StuderSettings:
    """How a plant is reached and what is done with it. Intervals and times are in seconds."""

    link: str
    serial: SerialSettings | None = None
    """Of a serial line; ``None``: detected."""
    serial_found: SerialSettings | None = None
    """What a probe has detected: tried first."""
    shared_line: bool | None = None
    """Whether the portal uses the line too; ``None``: assumed of a network link."""
    level: AccessLevel = AccessLevel.EXPERT
    """Parameters above this level are neither shown nor written."""
    datapoints: tuple[str, ...] = ()
    """More datapoints to poll, each as ``xt.1203``, ``xt.key`` or a bare number."""
    intervals: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """By poll class (``fast``, ``normal``, ``slow``, ``config``) or by datapoint (``xt.3136``)."""
    multi_info: bool = True
    read_messages: bool = True
    """Whether messages are read. Reading clears the pending flag, which another master may need."""
    reapply_ram: bool = False
    """Whether values in RAM are written again after a device restarted."""
    feed_watchdogs: bool = False
    """Whether armed watchdogs are fed; otherwise RAM writes are refused."""
    flash_writes: bool = False
    """Whether plain ``set`` commands go into flash. Each wears it: 1000 writes are guaranteed."""
    separate_batteries: bool = False
    """Whether the devices have different batteries, so that voltages may differ."""
    hide_noise: bool = True
    """Whether a value that moves by noise only is told once a minute."""
    phases: bool = False
    """Whether the virtual devices of the phases L1 to L3 are shown."""
    battery_voltage: int | None = None
    """Nominal, 12, 24 or 48; ``None``: asked of the devices."""
    ac_voltage: int | None = None
    """Nominal; ``None``: asked of the devices."""
    time_zone: str | None = None
    """Of the plant's clock; ``None``: the installation's."""
    source_address: int = 1
    answer_timeout: float = 3.0
    pause: float | None = None
    """Between an answer and the next request; ``None``: found out."""

    def __post_init__(self) -> None:
        """Check. Raises :class:`SettingsError`."""
        try:
            make_opener(self.link, SERIAL_CANDIDATES[0], simulator=_never)
        except LinkError as error:
            raise SettingsError(LINK, error.reason, str(error)) from error
        if self.level not in LEVELS:
            raise SettingsError("level", message=f"{self.level.value} is no level to choose")
        if self.battery_voltage not in (None, 12, 24, 48):
            found = self.battery_voltage
            raise SettingsError("battery_voltage", message=f"it is 12, 24 or 48 V, not {found}")
        _within("ac_voltage", self.ac_voltage, 90, 280, "V")
        _within("answer_timeout", self.answer_timeout, 0.5, 30, "s")
        _within("source_address", self.source_address, 1, 0xFFFFFFFF)
        _within("pause", self.pause, 0, 1, "s")
        for text in self.datapoints:
            _checked("datapoints", find_datapoints, text)
        for name, seconds in self.intervals.items():
            if not MIN_INTERVAL <= seconds <= LONGEST_INTERVAL:
                raise SettingsError(
                    "intervals",
                    message=f"{name} can be read every {MIN_INTERVAL:g} to"
                    f" {LONGEST_INTERVAL:g} s, not every {seconds:g} s",
                )
            if name not in set(DEFAULT_INTERVALS):
                _checked("intervals", find_datapoints, name)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> StuderSettings:
        """Return settings from plain types, as a configuration holds them.

        Unknown keys are ignored. Raises :class:`SettingsError`.
        """
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in data.items() if key in known and value is not None}
        if not isinstance(values.get(LINK), str) or not values[LINK]:
            raise SettingsError(LINK, message="the address is missing")
        for key, make in _MADE.items():
            if key in values:
                values[key] = _checked(key, make, values[key])
        return cls(**values)

    @property
    def scheme(self) -> str:
        """What kind of link it is; empty for a device path."""
        scheme = urlsplit(self.link).scheme
        return scheme if "://" in self.link else ""

    @property
    def network(self) -> bool:
        """Whether the link is a network connection to a Moxa or another converter."""
        return self.scheme in NETWORK_SCHEMES

    @property
    def remote(self) -> bool:
        """Whether the bytes cross a network, so that they come in pieces and late."""
        return self.network or self.scheme in REMOTE_SERIAL_SCHEMES

    @property
    def detects_serial(self) -> bool:
        """Whether the settings of a serial line have to be found out."""
        return self.serial is None and not self.network and self.scheme != "sim"

    @property
    def shared(self) -> bool:
        """Whether time has to be left for another master."""
        if self.shared_line is not None:
            return self.shared_line
        return self.scheme == "listen"

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the address."""
        return dict(parse_qsl(urlsplit(self.link).query))

    def hosts(self) -> Iterator[str]:
        """Return the names and addresses of hosts that the address holds."""
        parts = urlsplit(self.link) if self.scheme not in ("", "sim") else None
        if parts is None:
            return
        if self.scheme == "listen":
            if (peer := self.query.get("peer")) is not None:
                yield peer
        elif parts.hostname:
            yield parts.hostname

    @property
    def busy_limit(self) -> float:
        """How busy the line may be."""
        return BUSY_LIMIT_SHARED if self.shared else BUSY_LIMIT

    def timings(self) -> Timings:
        """Return the times of the dialogue on this link."""
        return Timings(
            answer=self.answer_timeout,
            pause=0.0 if self.remote and self.pause is None else self.pause,
            idle=0.5 if self.remote else 0.1,
            burst=5.0 if self.shared else 0.0,
        )

    def class_intervals(self) -> Mapping[Poll, float]:
        """Return the interval of each poll class."""
        return {
            poll: self.intervals.get(poll.value, seconds)
            for poll, seconds in DEFAULT_INTERVALS.items()
        }

    def own_intervals(self) -> Mapping[tuple[str, int], float]:
        """Return the intervals of single datapoints, by family and id."""
        return {
            (point.family.value, point.id): seconds
            for name, seconds in self.intervals.items()
            if name not in set(DEFAULT_INTERVALS)
            for point in find_datapoints(name)
        }

    def requested(self) -> frozenset[tuple[Family, int]]:
        """Return the datapoints that the owner wants beside the usual ones."""
        return frozenset(
            (point.family, point.id) for text in self.datapoints for point in find_datapoints(text)
        )


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"it is true or false, not {value!r}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise TypeError(f"it is a whole number, not {value!r}")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise TypeError(f"it is a number, not {value!r}")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"it is a text, not {value!r}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"it is a list, not {value!r}")
    return tuple(str(text) for text in value)


def _intervals(value: Any) -> Mapping[str, float]:
    if not isinstance(value, Mapping):
        raise TypeError(f"it is a table, not {value!r}")
    return MappingProxyType({str(key): _number(seconds) for key, seconds in value.items()})


def _serial(value: Any) -> SerialSettings:
    return value if isinstance(value, SerialSettings) else parse_serial(_text(value))


_MADE: Mapping[str, Callable[[Any], Any]] = {
    "serial": _serial,
    "serial_found": _serial,
    "level": AccessLevel,
    "datapoints": _texts,
    "intervals": _intervals,
    "battery_voltage": _whole,
    "ac_voltage": _whole,
    "source_address": _whole,
    "answer_timeout": _number,
    "pause": _number,
    "time_zone": _text,
    **dict.fromkeys(
        (
            "shared_line", "multi_info", "read_messages", "reapply_ram", "feed_watchdogs",
            "flash_writes", "separate_batteries", "phases", "hide_noise",
        ),
        _flag,
    ),
}  # fmt: skip
"""How each setting is made of a plain value. Raises TypeError or ValueError."""


def _checked(field: str, make: Callable[[Any], _Made], value: Any) -> _Made:
    """Return what *make* makes of a value. Raises :class:`SettingsError`."""
    try:
        return make(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(field, message=str(error)) from error


def _within(field: str, value: float | None, low: float, high: float, unit: str = "") -> None:
    if value is not None and not low <= value <= high:
        span = f"{low:.12g} to {high:.12g} {unit}".rstrip()
        raise SettingsError(field, message=f"it is {span}, not {value:.12g}")


async def _never(_query: Mapping[str, str]) -> Any:
    raise LinkError(Reason.BAD_ADDRESS, "only checked")


def find_datapoints(text: str) -> tuple[Datapoint, ...]:
    """Return the datapoints that ``family.id``, ``family.key`` or a bare id names.

    Raises :class:`ValueError` when there is none.
    """
    family, _, name = text.rpartition(".")
    try:
        families = (Family("rcc" if family == "xcom" else family),) if family else tuple(Family)
    except ValueError as error:
        raise ValueError(f"{text!r}: there is no family {family!r}") from error
    found = tuple(
        point
        for one in families
        if (point := by_id(one, int(name)) if name.isdecimal() else by_key(one, name)) is not None
    )
    if not found:
        raise ValueError(f"there is no datapoint {text!r}")
    return found
