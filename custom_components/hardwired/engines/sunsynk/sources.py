"""Where frames come from: a file, an interface, a relayed connection, a simulation (spec a.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..clock import Clock
from ..engine import LinkError, Reason
from .envelope import FrameCutter
from .file_source import FileSource
from .live_source import LiveSource
from .reception import Reception
from .relay import Relay, RelayedConnection
from .settings import Source, SunsynkSettings
from .sighting import FrameSource, OnSighting, OnTrouble, Sighting
from .simulator import Simulation, frames, read_layouts


def make_source(settings: SunsynkSettings, reception: Reception, clock: Clock) -> FrameSource:
    """Return the source that the settings name."""
    match settings.source:
        case Source.FILE:
            return FileSource(settings.path, reception, clock, settings.filter)
        case Source.LIVE:
            return LiveSource(settings, reception, clock)
        case Source.RELAY:
            return RelaySource(settings, reception, clock)
        case Source.SIM:
            return SimulatedSource(settings, reception, clock)


class RelaySource:
    """Reads along on the connections that the relay leads on."""

    def __init__(self, settings: SunsynkSettings, reception: Reception, clock: Clock) -> None:
        self._reception = reception
        self._clock = clock
        self._cutters: dict[tuple[int, bool], FrameCutter] = {}
        self._chunks = 0
        self._resyncs = 0
        self._partial_dropped = 0
        self._on_sighting: OnSighting | None = None
        self.relay = Relay(
            (settings.listen_host, settings.listen_port),
            settings.server_address(),
            self._read_along,
            self._closed,
        )

    async def run(self, on_sighting: OnSighting, on_trouble: OnTrouble) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when the port can't be had."""
        self._on_sighting = on_sighting
        await self.relay.run(lambda: on_trouble(None))

    def _read_along(self, connection: RelayedConnection, from_dongle: bool, data: bytes) -> None:
        self._chunks += 1
        key = (connection.number, from_dongle)
        cutter = self._cutters.setdefault(key, FrameCutter())
        now = self._clock.now()
        frames = [(frame, now) for frame in cutter.append(data)]
        reports = [
            received
            for frame, _ in frames
            if (
                received := self._reception.take(
                    frame,
                    now,
                    flow=key,
                    reverse_flow=(connection.number, not from_dongle),
                    arrival=self.arrival_now(),
                )
            )
        ]
        if self._on_sighting is not None:
            self._on_sighting(Sighting(frames, reports))

    def _closed(self, connection: RelayedConnection) -> None:
        for from_dongle in (True, False):
            cutter = self._cutters.pop((connection.number, from_dongle), None)
            if cutter is not None:
                cutter.drop()
                self._resyncs += cutter.resyncs
                self._partial_dropped += cutter.partial_dropped

    def counters(self) -> Mapping[str, Any]:
        """Return the counters; a chunk of the stream counts as a packet."""
        cutters = list(self._cutters.values())
        return {
            "packets": self._chunks,
            "partial_dropped": self._partial_dropped + sum(one.partial_dropped for one in cutters),
            "resyncs": self._resyncs + sum(one.resyncs for one in cutters),
            **self._reception.summary(),
            "connections": self.relay.connections,
            "unreachable": self.relay.unreachable,
        }

    def arrival_now(self) -> float:
        """Return the monotonic clock."""
        return self._clock.monotonic()


class SimulatedSource:
    """Simulated dongles in this process; their time begins now and may run faster."""

    def __init__(self, settings: SunsynkSettings, reception: Reception, clock: Clock) -> None:
        self._settings = settings
        self._reception = reception
        self._clock = clock
        self._frames = 0

    async def run(self, on_sighting: OnSighting, on_trouble: OnTrouble) -> None:
        """Simulate until cancelled."""
        settings = self._settings
        try:
            simulation = Simulation(
                zone=self._reception.zone,
                inverters=settings.inverters,
                layouts=read_layouts(settings.layout),
                interval=settings.interval,
                seed=settings.seed,
                start=self._clock.now(),
            )
        except ValueError as error:
            raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        on_trouble(None)
        async for frame in frames(simulation, self._clock, warp=settings.warp):
            self._frames += 1
            received = self._reception.take(
                frame.data,
                frame.time,
                flow=frame.flow,
                reverse_flow=frame.reverse_flow,
                arrival=self.arrival_now(),
            )
            reports = () if received is None else (received,)
            on_sighting(Sighting([(frame.data, frame.time)], reports))

    def counters(self) -> Mapping[str, Any]:
        """Return the counters; a frame counts as a packet."""
        return {"packets": self._frames, **self._reception.summary()}

    def arrival_now(self) -> float:
        """Return the simulation's own time."""
        return self._clock.monotonic() * self._settings.warp
