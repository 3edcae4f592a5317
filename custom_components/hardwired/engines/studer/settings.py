"""What the owner can choose (spec h), checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import tzinfo
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..clock import load_zone
from ..engine import LinkError, Reason
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
DEFAULT_INTERVALS: Mapping[Poll, float] = {
    Poll.FAST: 5.0,
    Poll.NORMAL: 10.0,
    Poll.SLOW: 60.0,
    Poll.CONFIG: 300.0,
    Poll.STATIC: 86_400.0,
}
BUSY_LIMIT = 0.7
BUSY_LIMIT_SHARED = 0.5


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

    url: str
    serial: SerialSettings | None = None
    """Of a serial line; ``None``: detected."""
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
    phases: bool = False
    """Whether the virtual devices of the phases L1 to L3 are shown."""
    battery_voltage: int | None = None
    """Nominal, 12, 24 or 48; ``None``: asked of the devices."""
    ac_voltage: int | None = None
    """Nominal; ``None``: asked of the devices."""
    time_zone: str | None = None
    """Of the plant's clock; ``None``: the system's."""
    source_address: int = 1
    answer_timeout: float = 3.0
    pause: float | None = None
    """Between an answer and the next request; ``None``: found out."""

    def __post_init__(self) -> None:
        """Check. Raises :class:`LinkError` for the address, :class:`ValueError` for the rest."""
        make_opener(self.url, SERIAL_CANDIDATES[0], simulator=_never)
        if self.level not in LEVELS:
            raise ValueError(f"{self.level.value} is no level to choose")
        if self.battery_voltage not in (None, 12, 24, 48):
            raise ValueError(f"a battery has 12, 24 or 48 V, not {self.battery_voltage}")
        if not 0.5 <= self.answer_timeout <= 30:
            raise ValueError("an answer is awaited for 0.5 to 30 s")
        if not 0 < self.source_address <= 0xFFFFFFFF:
            raise ValueError(f"{self.source_address} is no source address")
        if self.pause is not None and not 0 <= self.pause <= 1:
            raise ValueError("the pause between requests is 0 to 1 s")
        self.zone()
        for text in self.datapoints:
            find_datapoints(text)
        for name, seconds in self.intervals.items():
            if seconds < MIN_INTERVAL:
                raise ValueError(f"{name} can't be read more often than every {MIN_INTERVAL:g} s")
            if name not in set(DEFAULT_INTERVALS):
                find_datapoints(name)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> StuderSettings:
        """Return settings from plain types, as a configuration holds them.

        Unknown keys are ignored. Raises :class:`LinkError` or :class:`ValueError`.
        """
        if not data.get("url"):
            raise LinkError(Reason.BAD_ADDRESS, "the address is missing")
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in data.items() if key in known and value is not None}
        if isinstance(values.get("serial"), str):
            values["serial"] = parse_serial(values["serial"])
        if "level" in values:
            values["level"] = AccessLevel(values["level"])
        if "datapoints" in values:
            values["datapoints"] = tuple(str(text) for text in values["datapoints"])
        if "intervals" in values:
            pairs = values["intervals"].items()
            values["intervals"] = MappingProxyType({str(k): float(v) for k, v in pairs})
        return cls(**values)

    @property
    def scheme(self) -> str:
        """What kind of link it is; empty for a device path."""
        scheme = urlsplit(self.url).scheme
        return scheme if "://" in self.url else ""

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
        return dict(parse_qsl(urlsplit(self.url).query))

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

    def zone(self) -> tzinfo | None:
        """Return the zone of the plant's clock. Raises :class:`ValueError`."""
        return None if self.time_zone is None else load_zone(self.time_zone)

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
