"""One batch against the answers of a server, without I/O (spec e.4, "Refused").

What is at fault, a point, the batch or the configuration, is found out by halving. Nothing that
may still be wanted is given up: what is not known to be stored is kept, unless the server took
others of the same batch.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .answers import Answer, Class

MOST_SINGLES = 20
"""Single points that are tried before all alike means configuration."""
MOST_PROBES = 5

Point: TypeAlias = tuple[int, str]
"""The id in the spool, the line."""

_VARYING = re.compile(r"\"[^\"]*\"|'[^']*'|\d+")


@dataclass(slots=True)
class Result:
    """What became of a batch. Ids that stand nowhere are kept.

    ``answer`` is what ended it, where it has ended early; ``refused`` counts the points within
    ``dropped`` that the server did not take, ``too_old`` those that it finds too old. ``limit``
    is the number of points that the server takes at once, if that was found out.
    """

    stored: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    set_aside: list[int] = field(default_factory=list)
    answer: Answer | None = None
    why: str = ""
    too_old: int = 0
    limit: int | None = None
    requests: int = 0

    @property
    def cls(self) -> Class:
        """STORED when the sink can go on, else OUTAGE or CONFIGURATION."""
        return Class.STORED if self.answer is None else self.answer.cls


Delivery: TypeAlias = Generator[list[str], Answer, Result]
"""Yields lines to send, takes the answer, returns the result."""


def deliver(batch: Sequence[Point], behind: Sequence[Point], *, stored_before: bool) -> Delivery:
    """Deliver *batch*. *behind* is what waits after it, for a look whether others are taken.

    *stored_before*: whether the server ever took a point from this sink.
    """
    return _Delivery(batch, behind, stored_before).run()


def series_of(line: str) -> str:
    """Return measurement and tags of a line."""
    index = 0
    while index < len(line) and line[index] != " ":
        index += 2 if line[index] == "\\" else 1
    return line[:index]


class _Delivery:
    def __init__(
        self, batch: Sequence[Point], behind: Sequence[Point], stored_before: bool
    ) -> None:
        self._batch = batch
        self._behind = behind
        self._stored_before = stored_before
        self._result = Result()
        self._singles: list[tuple[int, Answer]] = []
        """Points that the server refused one by one."""

    def run(self) -> Delivery:
        result = self._result
        stack = [list(self._batch)]
        while stack and not self._enough():
            part = stack.pop()
            answer = yield self._lines(part)
            match answer.cls:
                case Class.OUTAGE | Class.CONFIGURATION:
                    result.answer, result.why = answer, answer.why
                    return result
                case Class.TOO_BIG | Class.REFUSED if len(part) > 1:
                    half = len(part) // 2
                    stack += [part[half:], part[:half]]
                    if answer.cls is Class.TOO_BIG:
                        result.limit = min(half, result.limit or half)
                case Class.TOO_BIG:
                    result.dropped.append(part[0][0])
                case _:
                    self._take(part, answer)
        return (yield from self._settle())

    def _lines(self, part: Iterable[Point]) -> list[str]:
        self._result.requests += 1
        return [line for _, line in part]

    def _take(self, part: list[Point], answer: Answer) -> None:
        """Note what an answer says of all points of *part*."""
        ids = [ident for ident, _ in part]
        refused = len(ids) if answer.refused is None else min(answer.refused, len(ids))
        match answer.cls:
            case Class.STORED:
                self._result.stored += ids
            case Class.TOO_OLD:
                self._result.too_old += refused
                self._split(ids, refused)
            case Class.PARTIAL if refused < len(ids):
                self._split(ids, refused)
            case _:
                self._singles += [(ident, answer) for ident in ids]

    def _split(self, ids: list[int], refused: int) -> None:
        """Which of them were refused is not told; all of them are done with."""
        taken = len(ids) - refused
        self._result.stored += ids[:taken]
        self._result.dropped += ids[taken:]

    @property
    def _alike(self) -> bool:
        """Whether every point that was tried alone was refused with the same text."""
        texts = {_VARYING.sub("", answer.why) for _, answer in self._singles}
        return len(texts) == 1 and not self._result.stored

    def _enough(self) -> bool:
        return len(self._singles) >= MOST_SINGLES and self._alike

    def _settle(self) -> Delivery:
        result = self._result
        if not self._singles:
            return result
        result.why = self._singles[-1][1].why
        refused = [ident for ident, _ in self._singles]
        alone = len(self._batch) == 1 and not self._behind
        if not self._alike or (alone and self._stored_before):
            result.dropped += refused
            return result
        for point in self._others():
            answer = yield self._lines([point])
            if answer.cls is Class.STORED:
                result.stored.append(point[0])
                done = {*result.stored, *result.dropped}
                result.set_aside = [ident for ident, _ in self._batch if ident not in done]
                return result
            if answer.cls in {Class.OUTAGE, Class.CONFIGURATION}:
                result.answer, result.why = answer, answer.why
                return result
        result.answer = Answer(Class.CONFIGURATION, result.why)
        return result

    def _others(self) -> list[Point]:
        """Return one point of each of a few other series that wait behind."""
        seen = {series_of(line) for _, line in self._batch}
        found: list[Point] = []
        for ident, line in self._behind:
            series = series_of(line)
            if series not in seen:
                seen.add(series)
                found.append((ident, line))
                if len(found) == MOST_PROBES:
                    break
        return found
