"""What a gateway has answered in a recording, found by the request (docs/protocol, c.2, c.5).

A request whose answer is not there is known from the answer, where that repeats all of it. Values
that came many at once are known one by one, and the other way round.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.scom import multi_info
from hardwired_engines.studer.scom.errors import ErrorCode
from hardwired_engines.studer.scom.families import FAMILIES, families_at
from hardwired_engines.studer.scom.frame import (
    OUR_ADDRESS,
    Body,
    Frame,
    ObjectType,
    Request,
    Service,
    read_info,
)
from hardwired_engines.studer.scom.matching import Rejection, mismatch
from hardwired_engines.studer.scom.values import Format, FormatError, decode, encode, exact_integer

from ...recording import Chunk, moment_of
from .decode import Sides

ANSWER_TIME = 5.0
"""Seconds that a recording must go on after a request for its silence to be one."""
OPEN_REQUESTS = 16
_REPEATED = frozenset({ObjectType.INFO, ObjectType.PARAMETER, ObjectType.GUID, ObjectType.MESSAGE})
"""What is asked for without data: the answer repeats the whole question."""
_ABSENT = frozenset({ErrorCode.DEVICE_NOT_FOUND, ErrorCode.RESPONSE_TIMEOUT})

What = TypeVar("What")


class Moment(NamedTuple, Generic[What]):
    """Something that was said: seconds since the recording began, and since it was asked for."""

    asked: float
    delay: float
    what: What


class Head(NamedTuple):
    """What a gateway says beside many values."""

    frame_flags: int
    plant_flags: int
    timestamp: int


@dataclass(slots=True)
class Exchanges:
    """All that was answered, each in the order of time."""

    answers: dict[Request, list[Moment[Frame | None]]] = field(default_factory=dict)
    """Without the number of a multi-info request and its infos; ``None``: nobody has answered."""
    items: dict[multi_info.Item, list[Moment[float]]] = field(default_factory=dict)
    heads: list[Moment[Head]] = field(default_factory=list)
    addresses: set[int] = field(default_factory=set)
    """Where a device is."""
    length: float = 0.0
    """Seconds; 0: it has no times."""

    @property
    def found(self) -> int:
        """How many answers there are."""
        told = sum(one.what is not None for track in self.answers.values() for one in track)
        return told + len(self.heads)

    def infos(self, request: Request) -> list[Moment[bytes]]:
        """Return what many values at once say of a single one."""
        found = _point_at(request)
        if found is None:
            return []
        wire_format, item = found
        return [
            Moment(one.asked, one.delay, data)
            for one in self.items.get(item, ())
            if (data := _encoded(wire_format, one.what)) is not None
        ]

    def values(self, item: multi_info.Item) -> list[Moment[float]]:
        """Return the values of one of many; where it never was one, those that it had alone."""
        if item in self.items:
            return self.items[item]
        track = []
        for family, info in FAMILIES.items():
            point = by_id(family, item.info)
            address = info.first + item.aggregation - 1
            if point is None or point.wire_format is None or address not in info.addresses:
                continue
            for moment in self.answers.get(read_info(address, item.info), ()):
                value = _number(moment.what, point.wire_format)
                if value is not None:
                    track.append(Moment(moment.asked, moment.delay, value))
        return track


def _number(frame: Frame | None, wire_format: Format) -> float | None:
    body = None if frame is None else frame.body()
    if body is None or body.is_error:
        return None
    try:
        value = decode(wire_format, body.data)
    except FormatError:
        return None
    return float(value) if isinstance(value, (int, float)) else None


def _encoded(wire_format: Format, number: float) -> bytes | None:
    value = number if wire_format is Format.FLOAT else exact_integer(number)
    with contextlib.suppress(FormatError, ValueError):
        return None if value is None else encode(wire_format, value)
    return None


def _point_at(request: Request) -> tuple[Format, multi_info.Item] | None:
    """Return the format of a request for a single value, and which of many values it is."""
    if request != read_info(request.destination, request.object_id):
        return None
    for family in families_at(request.destination):
        point = by_id(family, request.object_id)
        if point is not None and point.wire_format in (Format.FLOAT, Format.SHORT_ENUM):
            index = request.destination - FAMILIES[family].first + 1
            return point.wire_format, multi_info.Item(request.object_id, index)
    return None


def key_of(request: Request) -> Request:
    """Return what is the same in all requests that ask for the same, whoever asks."""
    if request.object_type == ObjectType.MULTI_INFO:
        return replace(request, source=OUR_ADDRESS, property_id=0, data=b"")
    return replace(request, source=OUR_ADDRESS)


def exchanges_of(chunks: Iterable[Chunk]) -> Exchanges:
    """Return what was asked and answered in a recording."""
    reader = _Reader()
    sides = Sides()
    for chunk in chunks:
        reader.pass_to(chunk.time)
        for frame in sides.frames(chunk):
            reader.take(frame)
    for _, frames in sides.flush():
        for frame in frames:
            reader.take(frame)
    return reader.end()


class _Reader:
    def __init__(self) -> None:
        self._found = Exchanges()
        self._open: deque[tuple[Request, float]] = deque()
        self._silent: list[tuple[Request, float]] = []
        self._began: float | None = None
        self._now = 0.0

    def pass_to(self, told: str | None) -> None:
        """Let time pass to that of a chunk. It never runs backwards."""
        if (moment := moment_of(told)) is not None:
            seconds = moment.timestamp()
            self._began = seconds if self._began is None else self._began
            self._now = max(self._now, seconds - self._began)

    def take(self, frame: Frame) -> None:
        """Take a request, or the answer to one of the last."""
        body = frame.body()
        if body is None:
            return
        if body.is_response:
            self._answered(frame, body)
        elif (request := Request.of(frame)) is not None:
            self._open.append((request, self._now))
            if len(self._open) > OPEN_REQUESTS:
                self._silent.append(self._open.popleft())

    def end(self) -> Exchanges:
        """Return all that was found."""
        found = self._found
        found.length = self._now
        for request, asked in (*self._silent, *self._open):
            if self._now - asked >= ANSWER_TIME or (request, asked) in self._silent:
                found.answers.setdefault(key_of(request), []).append(Moment(asked, 0.0, None))
        for track in found.answers.values():
            track.sort(key=lambda one: one.asked)
        return found

    def _answered(self, frame: Frame, body: Body) -> None:
        request, asked = self._asked(frame, body)
        if request is None:
            return
        found, delay = self._found, self._now - asked
        if body.error_code not in _ABSENT:
            found.addresses.add(frame.source)
        if body.object_type == ObjectType.MULTI_INFO and not body.is_error:
            self._many(frame, body, asked)
            return
        moment: Moment[Frame | None] = Moment(asked, delay, frame)
        found.answers.setdefault(key_of(request), []).append(moment)

    def _asked(self, frame: Frame, body: Body) -> tuple[Request | None, float]:
        for place in reversed(range(len(self._open))):
            request, asked = self._open[place]
            if mismatch(request, frame, None, body) in (None, Rejection.BAD_LENGTH):
                del self._open[place]
                return request, asked
        told = body.object_type in _REPEATED or (
            body.object_type == ObjectType.MULTI_INFO and not body.is_error
        )
        if body.service != Service.READ or not told:
            return None, self._now
        rebuilt = Request(
            frame.source, Service.READ, body.object_type, body.object_id, body.property_id
        )
        return rebuilt, self._now

    def _many(self, frame: Frame, body: Body, asked: float) -> None:
        try:
            answer = multi_info.decode(body.data)
        except ValueError:
            return
        found, delay = self._found, self._now - asked
        found.heads.append(Moment(asked, delay, Head(frame.flags, answer.flags, answer.timestamp)))
        for item, value in answer.values().items():
            found.items.setdefault(item, []).append(Moment(asked, delay, value))
            for info in FAMILIES.values():
                address = info.first + item.aggregation - 1
                if by_id(info.family, item.info) is not None and address in info.addresses:
                    found.addresses.add(address)
