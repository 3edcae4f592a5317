"""A capture file as a source: read once, in a thread, in batches (spec a.2, b.14)."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import link_error
from ..capture.filter import CaptureFilter, FilterError, parse_filter
from ..capture.pcap import CaptureFile, CaptureFileError, Span
from ..capture.stream import Frame
from ..pipeline.decoder import Decoder
from ..pipeline.report_pipeline import Received, ReportPipeline
from .base import Batch, OnBatch, OnTrouble, Room, no_wait

BATCH_TIME = 0.05
BATCH_REPORTS = 256
SHOWN_FRAMES = 50

Result = TypeVar("Result")


def open_capture(path: str) -> tuple[BinaryIO, CaptureFile, Iterator[Sequence[Span]]]:
    """Open a capture file: the open file, its reader, its packets in batches. Reads from the disk.

    Raises :class:`LinkError`: not found, no permission, not a capture; also for a pipe or a device,
    from which nothing may ever come.
    """
    name = Path(path).name
    try:
        check_regular(path)
        file = Path(path).open("rb")  # noqa: SIM115 - closed by whoever reads it
    except IsADirectoryError as error:
        raise LinkError(Reason.NOT_A_CAPTURE, f"{name} is a directory") from error
    except (OSError, ValueError) as error:
        raise link_error(error, Reason.NOT_FOUND) from error
    try:
        reader = CaptureFile(file, name)
        return file, reader, reader.batches()
    except CaptureFileError as error:
        file.close()
        raise LinkError(Reason.NOT_A_CAPTURE, str(error)) from error
    except OSError as error:
        file.close()
        raise link_error(error, Reason.NOT_FOUND) from error


def check_regular(path: str) -> None:
    """Raise :class:`LinkError` for what is neither a file nor a folder; ``OSError``."""
    mode = Path(path).stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise LinkError(
        Reason.NOT_A_CAPTURE, f"{Path(path).name} is {kind}, not a file: it would never end"
    )


def read_filter(expression: str, *, link_layer: bool = True) -> CaptureFilter:
    """Return the filter of an expression; looks host names up.

    *link_layer* as for :func:`parse_filter`. Raises :class:`LinkError` (BAD_FILTER).
    """
    try:
        return parse_filter(expression, _addresses, link_layer=link_layer)
    except FilterError as error:
        raise LinkError(Reason.BAD_FILTER, str(error)) from error


def _addresses(host: str) -> Iterable[str]:
    return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}


class FileSource:
    """Reads a capture file to its end; never blocks the event loop, memory does not grow."""

    def __init__(
        self,
        path: str,
        pipeline: ReportPipeline,
        clock: Clock,
        expression: str = "",
        *,
        room: Room = no_wait,
    ) -> None:
        self._path = path
        self._clock = clock
        self._expression = expression
        self._room = room
        self._decoder = Decoder(pipeline.zone, pipeline=pipeline)
        self._reader: CaptureFile | None = None
        self._shown: deque[Frame] = deque(maxlen=SHOWN_FRAMES)
        self._failure: OSError | None = None

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Read to the end. Raises :class:`LinkError` when the file can't be read."""
        if self._expression:
            wanted = await in_thread(lambda: read_filter(self._expression))
            self._decoder.capture.filter_by(wanted)
        file, self._reader, batches = await in_thread(lambda: open_capture(self._path))
        try:
            on_trouble(None)
            ended = False
            while not ended:
                await self._room()
                reports, ended = await in_thread(lambda: self._read_on(batches))
                frames = [(frame.data, frame.time) for frame in self._shown]
                self._shown.clear()
                on_batch(Batch(frames, reports))
                if self._failure is not None:
                    raise self._failure
        except OSError as error:
            raise link_error(error, Reason.DISCONNECTED) from error
        finally:
            await in_thread(file.close)

    def _read_on(self, batches: Iterator[Sequence[Span]]) -> tuple[list[Received], bool]:
        """Return the next reports, and whether the file has ended.

        When the disk fails, what was read before is returned and the error kept for later.
        """
        reports: list[Received] = []
        end = time.monotonic() + BATCH_TIME
        capture, ended = self._decoder.capture, False
        while not ended and len(reports) < BATCH_REPORTS and time.monotonic() < end:
            try:
                batch = next(batches, None)
            except OSError as error:
                self._failure = error
                break
            ended = batch is None
            frames = capture.finish() if batch is None else capture.take(batch)
            if frames:
                self._shown.extend(frames)
                reports += self._decoder.frames(frames)
        return reports, ended

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3, and the warnings of the file."""
        warnings = [] if self._reader is None else [one.value for one in self._reader.warnings]
        return {
            **self._decoder.summary(),
            "warnings": warnings,
            "foreign": self._decoder.capture.foreign,
            "remarks": self._decoder.remarks(),
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock; a file never goes stale."""
        return self._clock.monotonic()


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run *work* in a thread; when cancelled, wait for its end, because it uses the file."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
