"""What goes wrong at a simulated plant, by chance or by command (spec i.6).

A fault is written ``NAME:key=value:key=value``, several with commas between. *Damages* happen to
answers: each with the probability ``p``, or to the next ``n`` of them. *Incidents* happen at a
time: ``at`` so many seconds, or again and again, ``every`` so many seconds on average. Both may
be bound to an ``address``; ``for`` is how long it lasts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import Any

from ..datapoints.datapoint import Datapoint, by_id
from ..datapoints.plausibility import plausible
from ..scom import multi_info
from ..scom.families import Family
from ..scom.frame import Frame
from ..scom.values import Format, encode

DEFAULT_PROBABILITY = 0.02


class Damage(StrEnum):
    """What may happen to a request or its answer."""

    LOSE = "lose"
    """The request is lost."""
    LATE = "late"
    """The answer comes ``least`` to ``most`` seconds late: 1 to 5.

    The gateway is deaf meanwhile; with ``both=1`` it answers what is asked meanwhile, too.
    """
    BUSY = "busy"
    """GATEWAY_BUSY instead."""
    REFUSE = "refuse"
    """An error instead: ``code``."""
    DUPLICATE = "duplicate"
    """The answer comes twice."""
    STRAY = "stray"
    """A valid frame of another device or datapoint is sent before it."""
    FOREIGN = "foreign"
    """A valid answer to another master is sent before it."""
    NONSENSE = "nonsense"
    """The device itself sends an impossible value: 6553.5, NaN, infinity."""
    ZERO = "zero"
    """The device itself sends 0, which can be detected for a battery voltage only."""
    FLIP = "flip"
    """One bit is turned."""
    GAP = "gap"
    """Some bytes are missing."""
    NOISE = "noise"
    """Random bytes around it."""
    CRLF = "crlf"
    """Carriage return and line feed behind it."""
    STRIP = "strip"
    """The Moxa takes every 0D 0A out of it."""
    SPLIT = "split"
    """It comes in pieces, with short pauses."""
    STALL = "stall"
    """It comes in two pieces with a pause that is too long."""


class Incident(StrEnum):
    """What may happen to the plant, the gateway or the link."""

    DROP = "drop"
    """A device falls off the bus: ``silent``, then ``timeout``, then ``away`` seconds.

    ``away=-1``: for good. ``alive=1``: it only lost the bus. ``ripple``: how many of the others'
    answers come late meanwhile.
    """
    BACK = "back"
    """The device is back."""
    RESET = "reset"
    """A device resets itself."""
    RENUMBER = "renumber"
    """Two Xtenders change their addresses: ``address`` and ``with``."""
    RESTART = "restart"
    """The gateway restarts: ``for`` 2 to 20 seconds."""
    MUTE = "mute"
    """The gateway is silent, ``for`` 5 seconds."""
    CUT = "cut"
    """The link is cut, ``for`` 5 seconds."""
    HALF_OPEN = "half_open"
    """The connection is half-open: dead, without a sign of it."""
    SECOND = "second"
    """The Moxa opens another connection."""
    SD_FULL = "sd_full"
    """The SD card is full."""
    SD_OUT = "sd_out"
    """The SD card is taken out."""
    BLACKOUT = "blackout"
    """The grid fails."""
    MESSAGE = "message"
    """The plant has a message: ``number``, ``address``."""
    WATCHDOG = "watchdog"
    """The watchdog of a device is switched on, in flash: ``delay``."""


Kind = Damage | Incident

_BY_NAME: Mapping[str, Kind] = {kind.value: kind for group in (Damage, Incident) for kind in group}
_NUMBERS = frozenset(
    {
        "p", "n", "at", "every", "for", "address", "least", "most", "code", "silent", "timeout",
        "away", "alive", "both", "ripple", "with", "number", "delay",
    }
)  # fmt: skip

RANDOM_MIX: Mapping[Damage, float] = {
    Damage.LOSE: 0.01, Damage.LATE: 0.01, Damage.BUSY: 0.01, Damage.DUPLICATE: 0.03,
    Damage.STRAY: 0.04, Damage.FOREIGN: 0.03, Damage.NONSENSE: 0.02, Damage.FLIP: 0.02,
    Damage.GAP: 0.01, Damage.NOISE: 0.03, Damage.CRLF: 0.03, Damage.STRIP: 0.05,
    Damage.SPLIT: 0.15, Damage.STALL: 0.01,
}  # fmt: skip
"""The faults of ``random``: everything that a good receiver has to cope with."""


@dataclass(slots=True)
class Fault:
    """One fault that is switched on. Times are seconds of the line's clock."""

    kind: Kind
    options: dict[str, float] = field(default_factory=dict)
    born: float = 0.0

    @property
    def address(self) -> int | None:
        """The address it applies to; ``None``: any."""
        found = self.options.get("address")
        return None if found is None else int(found)

    def option(self, name: str, default: float) -> float:
        """Return an option."""
        return self.options.get(name, default)

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        numbers = {k: int(v) if v == int(v) else v for k, v in self.options.items()}
        return {"fault": self.kind.value, **numbers}


def make_fault(name: str, options: Mapping[str, Any]) -> Fault:
    """Return a fault. Raises :class:`ValueError` for an unknown one."""
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"no such fault: {name!r}; there are {', '.join(_BY_NAME)}, random")
    if unknown := options.keys() - _NUMBERS:
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}")
    try:
        numbers = {key: float(value) for key, value in options.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: options are numbers") from error
    if not all(math.isfinite(number) for number in numbers.values()):
        raise ValueError(f"{name}: options are finite numbers")
    return Fault(kind, numbers)


def parse_faults(text: str) -> list[Fault]:
    """Return the faults in a text such as ``late:p=0.01,drop:address=103:at=60,random``.

    A bare number after a name is its ``p``; of ``random`` it is a factor for the whole mix.
    Raises :class:`ValueError`.
    """
    found: list[Fault] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, *pairs = entry.split(":")
        options: dict[str, str] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            options.update({key: value} if equals else {"p": key})
        if name == "random":
            factor = float(options.pop("p", "1"))
            for kind, p in RANDOM_MIX.items():
                found.append(make_fault(kind.value, {**options, "p": p * factor}))
        else:
            found.append(make_fault(name, options))
    return found


class Damages:
    """The damages that are switched on; draws which of them apply to an answer."""

    def __init__(self, source: Random) -> None:
        self._random = source
        self._active: list[Fault] = []

    @property
    def active(self) -> tuple[Fault, ...]:
        """What is switched on."""
        return tuple(self._active)

    def add(self, fault: Fault) -> None:
        """Switch one on."""
        self._active.append(fault)

    def clear(self, name: str | None = None) -> None:
        """Switch off all of one name; all, without."""
        self._active = [f for f in self._active if name is not None and f.kind.value != name]

    def draw(self, address: int, now: float) -> dict[Damage, Fault]:
        """Return the damages of the answer to a request to *address*."""
        struck: dict[Damage, Fault] = {}
        for fault in tuple(self._active):
            if now < fault.born + fault.option("at", 0.0):
                continue
            if now > fault.born + fault.option("at", 0.0) + fault.option("for", math.inf):
                self._active.remove(fault)
                continue
            if fault.address not in (None, address) or fault.kind in struck:
                continue
            if self._strikes(fault):
                assert isinstance(fault.kind, Damage)
                struck[fault.kind] = fault
        return struck

    def _strikes(self, fault: Fault) -> bool:
        left = fault.options.get("n")
        default = DEFAULT_PROBABILITY if left is None else 1.0
        if self._random.random() >= fault.option("p", default):
            return False
        if left is not None:
            fault.options["n"] = left - 1
            if left <= 1:
                self._active.remove(fault)
        return True


Pieces = list[tuple[float, bytes]]
"""What leaves the gateway: a pause in seconds, then bytes."""


def nonsense(point: Datapoint, nominal: float, source: Random) -> float | None:
    """Return a number that this info can never hold; ``None`` when there is none."""
    if point.wire_format is not Format.FLOAT:
        return None
    choices = [math.inf, -math.inf]
    if not point.nan_ok:
        choices.append(math.nan)
    bounds = plausible(point, nominal)
    if bounds is not None:
        wild = (6553.5, -6553.5, 65_535.0, 3.0e38)
        # Where there may be no sensor, a large number means just that.
        choices += [
            value
            for value in wild
            if not bounds[0] <= value <= bounds[1] and not (point.no_sensor and value >= 32_000)
        ]
    return source.choice(choices)


def nonsense_among_many(frame: Frame, nominal: float, source: Random) -> Frame:
    """Return a multi-info answer in which one item is nonsense, where that can be."""
    body = frame.body()
    assert body is not None
    answer = multi_info.decode(body.data)
    items = list(answer.items)
    place = source.randrange(len(items)) if items else 0
    for item, _ in items[place : place + 1]:
        points = (by_id(family, item.info) for family in Family)
        point = next((found for found in points if found is not None), None)
        value = None if point is None else nonsense(point, nominal, source)
        # A sum may be far larger than one device's value; only NaN and infinity are impossible.
        if value is not None and (item.aggregation != multi_info.SUM or not math.isfinite(value)):
            items[place] = (item, value)
    data = multi_info.encode(replace(answer, items=tuple(items)))
    return frame._replace(data=body._replace(data=data).encode())


def with_value(frame: Frame, value: float) -> Frame:
    """Return the answer with another FLOAT in it."""
    body = frame.body()
    assert body is not None
    return frame._replace(data=body._replace(data=encode(Format.FLOAT, value)).encode())


def spoil(data: bytes, struck: Iterable[Damage], source: Random) -> Pieces:
    """Return an answer with the damages to its bytes."""
    kinds = set(struck)
    if Damage.STRIP in kinds:
        data = data.replace(b"\r\n", b"")
    if Damage.FLIP in kinds:
        at = source.randrange(len(data))
        data = data[:at] + bytes((data[at] ^ 1 << source.randrange(8),)) + data[at + 1 :]
    if Damage.GAP in kinds:
        at = source.randrange(len(data))
        data = data[:at] + data[at + source.randint(1, 4) :]
    if Damage.NOISE in kinds:
        before = source.choice((b"\xff", b"\xaa", source.randbytes(source.randint(1, 20))))
        data = before + data + source.choice((b"", source.randbytes(source.randint(1, 5))))
    if Damage.CRLF in kinds:
        data += b"\r\n"
    pieces: Pieces = [(0.0, data)]
    if Damage.SPLIT in kinds and len(data) > 1:
        pieces = _cut(data, source.randint(1, 3), (0.001, 0.06), source)
    if Damage.STALL in kinds and len(data) > 1:
        pieces = _cut(data, 1, (0.15, 0.9), source)
    return pieces


def _cut(data: bytes, cuts: int, pause: tuple[float, float], source: Random) -> Pieces:
    places = sorted({source.randrange(1, len(data)) for _ in range(cuts)})
    bounds = [0, *places, len(data)]
    return [
        (source.uniform(*pause) if start else 0.0, data[start:end])
        for start, end in pairwise(bounds)
    ]
