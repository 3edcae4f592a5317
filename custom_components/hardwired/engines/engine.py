"""What an engine is: it lives on a link, reports snapshots, carries out commands.

The contract between the wire and the two faces (the Home Assistant integration, the standalone
helper). Nothing here knows a protocol, a face, or how bytes travel. How engines are made stands
in :mod:`.factory`; the fields of their values in :mod:`.fields`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from .clock import Clock, SystemClock
from .fields import NO_FIELDS, Catalogue, Value
from .masking import masked_text
from .texts import TEXTS


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


class Reason(StrEnum):
    """Why no data come. Every silence has a reason."""

    STARTING = "starting"
    """Too early to tell."""
    NOT_FOUND = "not_found"
    """No such port, host or file."""
    BUSY = "busy"
    """Another program holds the port."""
    NO_PERMISSION = "no_permission"
    """The system forbids it."""
    REFUSED = "refused"
    """The host is there and refuses the connection."""
    UNREACHABLE = "unreachable"
    """The host can't be reached."""
    BAD_ADDRESS = "bad_address"
    """The address or a setting of the link can't be understood."""
    DISCONNECTED = "disconnected"
    """The link was lost."""
    WAITING_FOR_PEER = "waiting_for_peer"
    """We listen; nobody has connected yet."""
    SILENT = "silent"
    """The link is open and not one byte comes: wiring, power."""
    NOISE = "noise"
    """Bytes come, but no valid frame: baud rate, parity, another device."""
    NO_ANSWER = "no_answer"
    """Valid frames come, but the device does not answer us."""
    NOT_REGISTERED = "not_registered"
    """The device talks, but we are not registered with it."""
    SECOND_MASTER = "second_master"
    """Another node has our role on the bus."""
    LOGGING_IN = "logging_in"
    """The device answers; the login is in progress."""
    WRONG_CODE = "wrong_code"
    """The device does not take the code that the owner gave."""
    WRONG_DEVICE = "wrong_device"
    """A valid answer, but from another kind of device."""
    GATEWAY_SETTINGS = "gateway_settings"
    """The gateway in between is configured wrongly."""
    INTERFACE_DOWN = "interface_down"
    """The network interface is down."""
    BAD_FILTER = "bad_filter"
    """The capture filter can't be understood."""
    BAD_TIMEZONE = "bad_timezone"
    """There is no such time zone."""
    NOT_A_CAPTURE = "not_a_capture"
    """The file is not a packet capture."""
    NO_TRAFFIC = "no_traffic"
    """The interface is up and no packet passes."""
    NO_REPORTS = "no_reports"
    """Packets pass, none carries a report."""
    FAILED = "failed"
    """An unexpected error; it is in the log."""


@dataclass(frozen=True, slots=True)
class Device:
    """The identity of a device.

    ``id`` is stable over restarts and renumbering; the other texts are only shown.
    """

    id: str
    kind: str
    name: str
    manufacturer: str | None = None
    model: str | None = None
    model_id: str | None = None
    serial_number: str | None = None
    sw_version: str | None = None
    hw_version: str | None = None
    via: str | None = None
    """``id`` of the device through which this one is reached."""
    address: str | None = None
    """Where it answers now: a SCOM address, a line of a menu. May change, unlike ``id``."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """One device at one moment.

    ``values`` holds what the device can tell, by field key; ``None`` is "there, but no value
    now". A key that is missing does not exist on this device. ``time`` is the device's own time
    stamp, in UTC, where it has one. ``fields`` describes this device now: its own bounds,
    narrowed options, offers raised because the owner asked; the same object while unchanged.
    ``details`` holds what is known of a value beyond itself, by the value's key: RAM and flash,
    an error's class, the minutes left.
    """

    device: Device
    values: Mapping[str, Value | None] = field(default_factory=_nothing)
    available: bool = True
    time: datetime | None = None
    fields: Catalogue = NO_FIELDS
    details: Mapping[str, Mapping[str, Value | None]] = field(default_factory=_nothing)

    def with_values(self, **changes: Any) -> DeviceState:
        """Return a copy with some values replaced."""
        return replace(self, values=MappingProxyType({**self.values, **changes}))


class Severity(StrEnum):
    """How urgent a notice is."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the owner should know or fix. It holds as long as the snapshot carries it.

    ``key`` names its texts, ``placeholders`` fill them. ``device`` is the ``id`` of the device
    that it concerns; ``None``: the whole link.
    """

    key: str
    placeholders: Mapping[str, str] = field(default_factory=_nothing)
    severity: Severity = Severity.WARNING
    device: str | None = None

    def __post_init__(self) -> None:
        if any("@" in text or "=" in text for text in self.placeholders.values()):
            shown = {name: masked_text(text) for name, text in self.placeholders.items()}
            object.__setattr__(self, "placeholders", MappingProxyType(shown))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that an engine knows at one moment. Immutable; equal when nothing changed."""

    devices: Mapping[str, DeviceState] = field(default_factory=_nothing)
    connected: bool = False
    reason: Reason | None = Reason.STARTING
    """Why it is not connected; ``None`` when it is."""
    detail: str | None = None
    """The system's own words, for the log and the diagnostics."""
    notices: tuple[Notice, ...] = ()

    def value(self, device: str, key: str) -> Value | None:
        """Return a value, or ``None`` when device, key or value is absent."""
        state = self.devices.get(device)
        return None if state is None else state.values.get(key)


@dataclass(frozen=True, slots=True)
class Reading:
    """Values that a device reported together, for time series. Sent once each, in any order.

    ``live``: they are the present; else the device had kept them, and newer ones may be known.
    """

    device: Device
    time: datetime
    values: Mapping[str, Value | None]
    live: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """Something that happened: an alarm, a note. ``type`` is the key of a fixed list."""

    device: Device
    key: str
    type: str
    time: datetime | None = None
    data: Mapping[str, Value | None] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Unit:
    """One decoded protocol unit as it passed: a buffer, a frame, a printed row.

    ``name`` is the protocol's own; ``values`` are its fields by the protocol's own names, texts
    as they were. For consumers that repeat an old program's raw topics; nothing else uses these.
    """

    device: Device
    name: str
    values: Mapping[str, Any]
    time: datetime | None = None
    raw: bytes = b""


Occurrence: TypeAlias = Reading | Message | Unit

OnSnapshot: TypeAlias = Callable[[Snapshot], None]
OnOccurrence: TypeAlias = Callable[[Occurrence], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A wish.

    ``values`` are field keys of the device; they are sent together where the protocol can. ``name``
    is ``"set"`` or a family's own verb; ``options`` qualify it (a family's own).
    """

    device: str
    values: Mapping[str, Value] = field(default_factory=_nothing)
    name: str = "set"
    options: Mapping[str, Value] = field(default_factory=_nothing)


class EngineError(Exception):
    """Base of what engines raise. ``key`` names the text; ``placeholders`` fill it.

    The text is written once, in ``strings/``. ``message`` says what it can't know beforehand: the
    system's words, the value that does not fit. As a string an error is its message; without one
    it is the English text. Passwords and keys in addresses are masked (:mod:`.masking`).
    """

    key = "failed"

    def __init__(self, message: str = "", *, key: str | None = None, **placeholders: str) -> None:
        message = masked_text(message)
        super().__init__(message)
        if key is not None:
            self.key = key
        shown = {name: masked_text(text) for name, text in placeholders.items()}
        self.placeholders = {"message": message, **shown}

    def __str__(self) -> str:
        return self.placeholders["message"] or _english(self.key, self.placeholders)


def _english(key: str, placeholders: Mapping[str, str]) -> str:
    """Return the text of an error; an empty message leaves no trailing colon."""
    text = TEXTS.get(key, key)
    if not placeholders["message"]:
        text = text.removesuffix("{message}").removesuffix(" Details: ").rstrip(": ")
    try:
        return text.format_map(placeholders)
    except (KeyError, IndexError, ValueError):
        return text


class LinkError(EngineError):
    """The link can't be opened or was lost."""

    def __init__(self, reason: Reason, message: str = "", **placeholders: str) -> None:
        super().__init__(message or reason.value, key=reason.value, **placeholders)
        self.reason = reason


class CommandError(EngineError):
    """A command was not carried out."""

    key = "command_failed"


class InvalidCommand(CommandError):
    """The wish itself is wrong: unknown key, out of range, forbidden. Nothing was sent."""

    key = "invalid_command"


class NotConnected(CommandError):
    """The device is not there now. Nothing was sent."""

    key = "not_connected"


class Refused(CommandError):
    """The device said no."""

    key = "refused_by_device"


class NotConfirmed(CommandError):
    """The device did not confirm: the outcome is unknown."""

    key = "not_confirmed"


@dataclass(slots=True)
class Statistics:
    """Counters of one engine's life, for diagnostics. Times are wall-clock, UTC."""

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    checksum_errors: int = 0
    timeouts: int = 0
    connects: int = 0
    reconnects: int = 0
    last_frame: datetime | None = None
    last_error: str | None = None
    drops: Counter[str] = field(default_factory=Counter)
    """Frames thrown away, by reason."""
    extra: dict[str, Any] = field(default_factory=dict)
    """A family's own figures; plain types only."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        plain = asdict(self)
        plain["last_frame"] = None if self.last_frame is None else self.last_frame.isoformat()
        plain["drops"] = dict(self.drops)
        return plain


class Direction(StrEnum):
    """Which way a frame went."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A raw frame as it passed, with the wall-clock time."""

    time: datetime
    direction: Direction
    data: bytes


class FrameLog:
    """A ring of the last raw frames, for the diagnostics download and the recorder."""

    def __init__(self, size: int = 200) -> None:
        self._frames: deque[RecordedFrame] = deque(maxlen=size)
        self._headings: list[RecordedFrame] = []
        self._listeners: list[Callable[[RecordedFrame], None]] = []

    def add(self, time: datetime, direction: Direction, data: bytes) -> None:
        """Add a frame and call the listeners."""
        frame = RecordedFrame(time, direction, bytes(data))
        self._frames.append(frame)
        for listener in self._listeners:
            listener(frame)

    def keep_heading(self, heading: RecordedFrame) -> None:
        """Keep what the frames from its time on can't be read without, when it has left the ring.

        It is in the ring now. The latest heading before the ring's first frame is its first one.
        """
        self._headings = [*self._lost()[-1:], *self._headings[len(self._lost()) :], heading]

    def _lost(self) -> list[RecordedFrame]:
        """Return the headings that have left the ring."""
        if not self._frames:
            return []
        return [heading for heading in self._headings if heading.time < self._frames[0].time]

    def __iter__(self) -> Iterator[RecordedFrame]:
        return iter((*self._lost()[-1:], *self._frames))

    def __len__(self) -> int:
        return len(self._frames)

    def listen(self, listener: Callable[[RecordedFrame], None]) -> Callable[[], None]:
        """Call *listener* for each frame from now on; returns the way to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


class Engine(Protocol):
    """The dialogue with the devices on one link.

    ``run`` lives until it is cancelled; it connects and reconnects by itself, calls
    *on_snapshot* whenever something changed (from the event loop, never concurrently) and
    *on_occurrence* for readings and messages, and never raises on wire noise. When cancelled
    it leaves the port closed before it ends.
    """

    catalogues: Mapping[str, Catalogue]
    """The fields of each kind of device that may appear."""
    statistics: Statistics
    frames: FrameLog

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""

    @property
    def ends(self) -> bool:
        """Whether the source is one that ends: a file."""

    @property
    def finished(self) -> bool:
        """Whether a source that ends, a file, was read to its end; a snapshot tells of it."""

    async def run(self, on_snapshot: OnSnapshot, on_occurrence: OnOccurrence | None = None) -> None:
        """Live until cancelled."""

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out *command*; return when the device has confirmed.

        The result holds what a reading command was asked for, else it is empty. Raises a
        :class:`CommandError`.
        """

    def want(self, device: str, key: str, every: float | None = None) -> Callable[[], None] | None:
        """Ask that a value be read, every *every* seconds (``None``: its usual interval).

        Returns the way to end the wish; ``None`` where everything is received anyway.
        """

    def wake(self) -> None:
        """Try again at once: something was plugged in."""

    def expected(self, state: DeviceState) -> DeviceState:
        """Return a device as it will be once what is on its way is shown: what a wish builds on."""

    def secrets(self) -> Iterable[str]:
        """Return texts that must not be in logs or diagnostics: serial numbers, codes."""

    @property
    def sign_due(self) -> float | None:
        """The monotonic time by which the engine will show activity again.

        Back-off and long silences are allowed for. Later than that it hangs, and a watchdog may
        restart it. ``None``: it does not run.
        """

    def diagnostics(self) -> Mapping[str, Any]:
        """Return the family's own facts for the diagnostics, without identities or secrets.

        Changes nothing.
        """


class BaseEngine:
    """What engines have in common: the last snapshot, its publication, and the defaults."""

    catalogues: Mapping[str, Catalogue]
    sign_interval = 120.0
    """Seconds within which a healthy engine of this family shows activity."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.statistics = Statistics()
        self.frames = FrameLog()
        self._snapshot = Snapshot()
        self._on_snapshot: OnSnapshot | None = None
        self._on_occurrence: OnOccurrence | None = None
        self._moved: float | None = None

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    @property
    def ends(self) -> bool:
        """Never: a device may always say more."""
        return False

    @property
    def finished(self) -> bool:
        """Never: a device may always say more."""
        return False

    def want(self, device: str, key: str, every: float | None = None) -> Callable[[], None] | None:
        """Do nothing: everything is received anyway."""
        return None

    def expected(self, state: DeviceState) -> DeviceState:
        """Return a device as it will be once what is on its way is shown: by default, as it is."""
        return state

    def wake(self) -> None:
        """Do nothing: there is no pause to end."""

    def secrets(self) -> Iterable[str]:
        """Return the serial numbers of the devices."""
        for state in self._snapshot.devices.values():
            if state.device.serial_number:
                yield state.device.serial_number

    @property
    def sign_due(self) -> float | None:
        """The last activity plus the longest time until the next."""
        return None if self._moved is None else self._moved + self.sign_interval

    def diagnostics(self) -> Mapping[str, Any]:
        """Nothing beyond the statistics."""
        return {}

    def _sign(self, until_next: float = 0.0) -> None:
        """Note that the engine is active; it will be again within *until_next* and the interval."""
        self._moved = self._clock.monotonic() + until_next

    def _publish_snapshot(self, snapshot: Snapshot) -> None:
        """Call the listener when something has changed; an equal snapshot stays the same object."""
        known = self._snapshot.devices
        devices = {
            key: before if (before := known.get(key)) == state else state
            for key, state in snapshot.devices.items()
        }
        unchanged = len(devices) == len(known) and all(
            devices[key] is known.get(key) for key in devices
        )
        snapshot = replace(snapshot, devices=known if unchanged else MappingProxyType(devices))
        if snapshot == self._snapshot:
            return
        self._snapshot = snapshot
        if self._on_snapshot is not None:
            self._on_snapshot(snapshot)
