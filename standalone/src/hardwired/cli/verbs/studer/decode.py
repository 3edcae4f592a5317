"""``hardwired decode studer``: what the frames of a recording say."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from hardwired_engines.engine import Direction
from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.explain import Explainer
from hardwired_engines.studer.scom.families import FAMILIES, Family, families_at
from hardwired_engines.studer.scom.frame import Frame
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.redaction import mask

from ...output import emit, read_whole, tell
from ...recording import Chunk, moment_of
from .recording import read_chunks

IDLE = timedelta(seconds=0.5)
"""So long a frame does not pause, on any link."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a recording, a hex dump, a log with bytes in it or the raw bytes; - is stdin",
    )
    parser.add_argument(
        "--battery",
        choices=("bsp", "bms"),
        help="what stands at address 601: a BSP, or the BMS of an Xcom-CAN (default: found out by"
        " what it answers)",
    )
    parser.add_argument(
        "--nominal",
        type=int,
        choices=(12, 24, 48),
        default=48,
        help="the battery's nominal voltage, for what is plausible (default: 48)",
    )
    parser.add_argument(
        "--mask", action="store_true", help="replace FIDs, serial numbers and the GUID"
    )
    parser.add_argument(
        "--summary", action="store_true", help="add the counters at the end, as {'summary': ...}"
    )


def run(options: argparse.Namespace) -> int:
    """Print what the frames of a recording say."""
    raw = read_whole(options.file)
    skipped: list[ValueError] = []
    chunks = list(read_chunks(raw, skipped.append))
    battery = Family(options.battery) if options.battery else _monitor_in(chunks)
    explainer = Explainer(battery, options.nominal)
    found = 0
    sides = Sides()
    for chunk in chunks:
        for frame in sides.frames(chunk):
            found += 1
            _print(frame, chunk, explainer, masked=options.mask)
    for direction, frames in sides.flush():
        for frame in frames:
            found += 1
            _print(frame, Chunk(b"", direction), explainer, masked=options.mask)
    if options.summary:
        emit({"summary": sides.counters()})
    if skipped:
        tell(f"lines left out: {len(skipped)}; {skipped[0]}")
    if not found:
        tell("there is no sound SCOM frame in it")
        return 1
    return 0


def _monitor_in(chunks: Iterable[Chunk]) -> Family:
    """Return which battery monitor answers what the other does not have; a BSP where none does."""
    sides = Sides()
    for chunk in chunks:
        for frame in sides.frames(chunk):
            body = frame.body()
            if body is None or not body.is_response or body.is_error or not body.data:
                continue
            if frame.source not in FAMILIES[Family.BMS].addresses:
                continue
            families = families_at(frame.source)
            known = [one for one in families if by_id(one, body.object_id) is not None]
            if len(known) == 1:
                return known[0]
    return Family.BSP


class Side:
    """What one end of the line has said."""

    def __init__(self) -> None:
        self.parser = Parser()
        self._heard: datetime | None = None

    def frames(self, chunk: Chunk) -> list[Frame]:
        """Return the frames that *chunk* completes; a silence before ends a broken one (b.10)."""
        moment = moment_of(chunk.time)
        silent = moment is not None and self._heard is not None and moment - self._heard >= IDLE
        found = self.parser.flush() if silent else []
        self._heard = moment or self._heard
        return found + self.parser.receive_data(chunk.data)


class Sides:
    """Both ends of the line, and what is of neither for all that is known."""

    def __init__(self) -> None:
        self._sides: dict[Direction | None, Side] = {}
        self._last: Side | None = None

    def frames(self, chunk: Chunk) -> list[Frame]:
        """Return the frames that *chunk* completes.

        Without a direction of its own it goes on where the chunk before has begun a frame: a log
        may wrap its lines.
        """
        last = self._last
        if chunk.direction is not None or last is None or not last.parser.pending:
            last = self._sides.setdefault(chunk.direction, Side())
        self._last = last
        return last.frames(chunk)

    def flush(self) -> Iterator[tuple[Direction | None, list[Frame]]]:
        """Yield the frames that are left within broken ones, by their direction."""
        for direction, side in self._sides.items():
            yield direction, side.parser.flush()

    def counters(self) -> dict[str, int]:
        """Return what all parsers have seen."""
        totals: Counter[str] = Counter()
        for side in self._sides.values():
            totals.update(asdict(side.parser.counters))
        return dict(totals)


def _print(frame: Frame, chunk: Chunk, explainer: Explainer, *, masked: bool) -> None:
    frame = mask(frame) if masked else frame
    record: dict[str, Any] = {}
    if chunk.time is not None:
        record["time"] = chunk.time
    if chunk.direction is not None:
        record["direction"] = chunk.direction.value
    emit({**record, **explainer.explain(frame), "frame": frame.encode()})
