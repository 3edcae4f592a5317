"""From captured packets to accepted reports: the whole way, for files and live capture alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import tzinfo
from typing import Any, TypeAlias

from ..capture.segments import PacketFilter
from ..capture.stream import Capture, Frame
from .report_pipeline import Received, ReportPipeline

Packet: TypeAlias = tuple[int | None, int, bytes]
"""Nanoseconds since 1970 (``None``: no time), link type, bytes."""


LEAST_SNAPLEN = 400
"""Bytes of a packet that a capture must hold (spec a.2)."""
SOLARMAN = (
    "these are frames of a Solarman or IGEN stick, which this source does not read: read the"
    " inverter over Modbus instead, or with an integration for Solarman sticks"
)


class Decoder:
    """Takes packets, gives reports, counts everything in between (spec f.3). Pure."""

    def __init__(
        self,
        zone: tzinfo,
        *,
        packet_filter: PacketFilter | None = None,
        grid_power_by_ten: Collection[str] = (),
        pipeline: ReportPipeline | None = None,
    ) -> None:
        """*pipeline* may be shared; else one is made for *zone*."""
        self.capture = Capture(packet_filter)
        self.pipeline = pipeline or ReportPipeline(zone, grid_power_by_ten=grid_power_by_ten)

    def packet(
        self, time_ns: int | None, link_type: int, data: bytes, arrival: float | None = None
    ) -> list[Received]:
        """Take one packet; return the reports that it completes."""
        frames = self.capture.feed(time_ns, link_type, data)
        return self.frames(frames, arrival) if frames else []

    def frames(self, frames: Iterable[Frame], arrival: float | None = None) -> list[Received]:
        """Take frames of the capture stage; return the reports among them."""
        taken = (self._take(frame, arrival) for frame in frames)
        return [received for received in taken if received is not None]

    def _take(self, frame: Frame, arrival: float | None = None) -> Received | None:
        return self.pipeline.take(
            frame.data,
            frame.time,
            flow=frame.flow,
            reverse_flow=frame.reverse_flow,
            arrival=arrival,
        )

    def finish(self) -> list[Received]:
        """Flush what waits in the streams: the end of a file."""
        return self.frames(self.capture.finish())

    def read(self, packets: Iterable[Packet]) -> Iterator[Received]:
        """Take all *packets* of a file and flush; yields the reports."""
        for frame in self.capture.read(packets):
            received = self._take(frame)
            if received is not None:
                yield received

    def remarks(self) -> list[str]:
        """Return in sentences what passed and could not be read."""
        found = []
        if self.capture.foreign:
            found.append(SOLARMAN)
        for name, count in self.capture.unread.items():
            found.append(f"{count} packets are {name}, which is not read here")
        if not self.pipeline.counts.reports:
            found += self._cut()
        return found

    def _cut(self) -> Iterator[str]:
        """Yield why packets that may have held reports were of no use."""
        counts = self.capture.summary()
        if truncated := counts["truncated"]:
            yield (
                f"{truncated} packets were cut when they were captured: a report needs a snap"
                f" length of {LEAST_SNAPLEN} bytes (tcpdump -s 0 takes all)"
            )
        if fragments := counts["fragments"]:
            yield f"{fragments} packets are fragments, which are not put together here"

    def summary(self) -> dict[str, Any]:
        """Return the counters of both stages as plain types, in the order of spec f.3."""
        return {**self.capture.summary(), **self.pipeline.summary()}
