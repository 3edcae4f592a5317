"""The lines between the engine and the responder's process: JSON, one object a line, written once.

Both ends build and read them here. Short keys, for there are twenty frames a second. Like the
responder this needs nothing but the standard library, ``lin`` and ``inet``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from ..inet.box import BoxEvent, Finished, Outcome, Received, SecondBox, Seen
from ..inet.buffers import Buffer, Group
from ..inet.rules import HeaterKind, Terms
from ..lin.frames import LinFrame

VERSION = 4
OLDEST_FRAME = 60.0

_as_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class BusFacts:
    """The responder's counters and its state, as it reports them several times a second."""

    headers: int = 0
    headers_for_us: int = 0
    answered: int = 0
    skipped: int = 0
    collisions: int = 0
    checksum_errors: int = 0
    parity_errors: int = 0
    frames: int = 0
    refused_buffers: int = 0
    bytes: int = 0
    registered: bool = False
    nad: int = 3
    counter: int = 0
    echo: bool | None = None
    pending: tuple[str, ...] = ()
    """The groups whose changes wait for the panel."""
    waiting_for_acknowledge: bool = False
    second_box: bool = False
    quiet_for: float = 0.0
    """Seconds for which nothing will be sent, because of another box."""
    late: int = 0
    worst_ms: float = 0.0
    dropped_reports: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {**asdict(self), "pending": list(self.pending)}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> BusFacts:
        """Return the facts of a line; what is unknown or of another type is left out."""
        found: dict[str, Any] = {}
        for item in fields(cls):
            value = plain.get(item.name)
            match item.name:
                case "pending" if isinstance(value, (list, tuple)):
                    found[item.name] = tuple(str(one) for one in value)
                case "echo" if value is None or isinstance(value, bool):
                    found[item.name] = value
                case "quiet_for" | "worst_ms" if type(value) in (int, float):
                    found[item.name] = float(value)  # type: ignore[arg-type]
                case _ if type(value) is type(item.default):
                    found[item.name] = value
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer of ours. ``age``: its age in seconds when it is reported."""

    frame: LinFrame
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Hello:
    """The responder has the port. ``low_latency``: ``None`` where there is no setting for it."""

    low_latency: bool | None = None
    scheduling: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Lost:
    """The port could not be had, or is gone. ``reason`` is the value of an engine's reason."""

    reason: str
    message: str = ""


Heard: TypeAlias = BoxEvent | Sent
Report: TypeAlias = Heard | BusFacts | Hello | Lost


@dataclass(frozen=True, slots=True)
class Wish:
    """Change raw fields of a group, when the panel fetches them.

    ``parts`` are the wishes that it was put together from, by the numbers of their commands.
    """

    group: Group
    values: Mapping[str, int]
    parts: Mapping[int, Mapping[str, int]]
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the panel for everything."""


@dataclass(frozen=True, slots=True)
class SetOffset:
    """Local time is so many seconds ahead of UTC."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """Leave the bus."""


Order: TypeAlias = Wish | Refresh | SetOffset | End


# ------------------------------------------------------------------------- to the engine


def write_report(report: Report, now: float = 0.0) -> bytes:
    """Return a line of the responder. *now* is the monotonic time when a frame was read."""
    return _as_json(_report_fields(report, now)).encode() + b"\n"


def _report_fields(report: Report, now: float) -> dict[str, Any]:
    match report:
        case Seen(frame=frame):
            return {"t": "f", **_frame_fields(frame, now)}
        case Sent(frame=frame):
            return {"t": "s", **_frame_fields(frame, now)}
        case Received(buffer=one):
            return {"t": "b", "id": one.message_id, "c": one.counter, "d": one.payload.hex()}
        case Finished():
            return {
                "t": "o",
                "n": list(report.commands),
                "o": report.outcome.value,
                "r": report.result,
                "k": report.key,
                "m": report.message,
                "p": dict(report.placeholders),
            }
        case SecondBox():
            return {"t": "2"}
        case BusFacts():
            return {"t": "a", "facts": report.as_dict()}
        case Hello():
            return {"t": "h", **asdict(report)}
        case Lost():
            return {"t": "e", **asdict(report)}


def _frame_fields(frame: LinFrame, now: float) -> dict[str, Any]:
    return {"p": frame.pid, "d": frame.data.hex(), "m": int(now * 1000)}


def read_report(line: bytes, now: float = 0.0) -> Report | None:  # noqa: PLR0911 - one a kind
    """Return the report in a line that is read at *now*; ``None`` for what is not understood."""
    try:
        message = json.loads(line)
        match message["t"]:
            case "f":
                return Seen(_frame(message), _age(message, now))
            case "s":
                return Sent(_frame(message), _age(message, now))
            case "b":
                payload = bytes.fromhex(message["d"])
                return Received(Buffer(int(message["id"]), int(message["c"]), payload, b""))
            case "o":
                return Finished(
                    tuple(int(number) for number in message["n"]),
                    Outcome(message["o"]),
                    message.get("r"),
                    str(message.get("k", "")),
                    str(message.get("m", "")),
                    {str(name): str(text) for name, text in message.get("p", {}).items()},
                )
            case "2":
                return SecondBox()
            case "a":
                return BusFacts.read(message["facts"])
            case "h":
                found = message.get("low_latency")
                return Hello(
                    found if isinstance(found, bool) else None,
                    str(message.get("scheduling", "")),
                    int(message["version"]),
                )
            case "e":
                return Lost(str(message.get("reason", "")), str(message.get("message", "")))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return None


def _frame(message: Mapping[str, Any]) -> LinFrame:
    return LinFrame(int(message["p"]), bytes.fromhex(message["d"]))


def _age(message: Mapping[str, Any], now: float) -> float:
    """Return how old a frame is; the responder's monotonic clock is the system's, as ours."""
    age = now - message["m"] / 1000
    return age if 0 <= age <= OLDEST_FRAME else 0.0


# ----------------------------------------------------------------------- to the responder


def write_order(order: Order) -> bytes:
    """Return a line of the engine."""
    return _as_json(_order_fields(order)).encode() + b"\n"


def _order_fields(order: Order) -> dict[str, Any]:
    match order:
        case Wish():
            terms = order.terms
            return {
                "t": "c",
                "g": order.group.value,
                "f": dict(order.values),
                "n": {str(number): dict(part) for number, part in order.parts.items()},
                "h": terms.heater.value,
                "d": [terms.default_mode, terms.default_target, terms.aircon_target],
            }
        case Refresh():
            return {"t": "r"}
        case SetOffset(seconds=seconds):
            return {"t": "z", "offset": seconds}
        case End():
            return {"t": "x"}


def _raw(fields: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(value) for name, value in fields.items()}


def read_order(line: bytes) -> Order | None:
    """Return the order in a line; ``None`` for what is not understood."""
    try:
        message = json.loads(line)
        match message["t"]:
            case "c":
                mode, target, aircon = message.get("d", (None, None, None))
                return Wish(
                    Group(message["g"]),
                    _raw(message["f"]),
                    {int(number): _raw(part) for number, part in message["n"].items()},
                    Terms(
                        HeaterKind(message.get("h", HeaterKind.COMBI.value)),
                        None if mode is None else int(mode),
                        None if target is None else int(target),
                        None if aircon is None else int(aircon),
                    ),
                )
            case "r":
                return Refresh()
            case "z":
                return SetOffset(float(message["offset"]))
            case "x":
                return End()
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return None
