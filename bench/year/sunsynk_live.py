"""Two dongles on a network that is listened to: every packet goes the whole way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from hardwired_engines.engine import LinkError, Reason, Snapshot
from hardwired_engines.sunsynk.capture.live import CookedPacket, LiveCapture
from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.engine import SunsynkEngine
from hardwired_engines.sunsynk.settings import SunsynkSettings
from hardwired_engines.sunsynk.simulator.capture import Medium, packets
from hardwired_engines.sunsynk.simulator.dongle import Dongle
from hardwired_engines.sunsynk.simulator.plant import PlantSettings
from hardwired_engines.sunsynk.simulator.world import Faults, Simulation
from hardwired_engines.sunsynk.sources import live

from ._sunsynk import House, Inspector
from .contract import ZONE, Total
from .household import Disk, Household

INTERVAL = 300.0
IPV4 = 0x0800
FAULTS = (
    Faults(split=0.5, reorder=0.2, retransmit=0.2, recut=0.1, glue=0.2, heartbeat=0.3),
    Faults(lose=0.3, reset=0.1, finish=0.1, reboot=0.05),
    Faults(zero=0.2, implausible=0.2, unknown_size=0.1),
    Faults(three_phase=0.2, solarman=0.5, noise=5),
)
SOUND = Faults(split=0.2, heartbeat=0.1)


@dataclass(frozen=True, kw_only=True)
class Network(Simulation):
    """A simulation whose dongles stand in the houses of a life."""

    made: list[Dongle] = field(default_factory=list)

    def dongles(self) -> list[Dongle]:
        """Return the dongles."""
        return self.made


class Tap:
    """Stands where the packet socket does: the interface may be gone, and packets with it."""

    def __init__(self, life: SunsynkLive, arguments: Mapping[str, Any]) -> None:
        self._life = life
        self._on_packets = arguments["on_packets"]
        self._on_trouble = arguments["on_trouble"]
        arguments["on_restart"]()
        self.kernel_drops = 0

    async def run(self) -> None:
        """Listen until cancelled."""
        life, down = self._life, False
        self._on_trouble(None)
        life.tap = self
        try:
            while True:
                if (life.now < life.down_until) is not down:
                    down = not down
                    trouble = LinkError(Reason.INTERFACE_DOWN, "down") if down else None
                    self._on_trouble(trouble)
                await life.clock.sleep(10.0)
        finally:
            life.tap = None

    def hear(self, found: Sequence[CookedPacket]) -> None:
        """Packets pass."""
        self._on_packets(found)


class SunsynkLive(Household):
    """A house with two dongles, and one more inverter next door that nobody may mix up."""

    family = "sunsynk_live"
    rates: ClassVar[Mapping[str, float]] = {
        "restart": 0.3,
        "kill": 0.2,
        "clock": 0.2,
        "disk": 0.1,
        "faults": 2.0,
        "away": 0.2,
        "inverter_clock": 0.1,
        "down": 0.3,
    }
    grain = 30.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.interval = min(INTERVAL * pace, 600.0)
        self.bound = 4 * self.interval
        self.look_every = self.interval
        self.down_until = 0.0
        self.away_until = 0.0
        self.faults_until = 0.0
        self.tap: Tap | None = None
        self._moment = 0.0
        self._faults = SOUND
        self.dongles = [
            Dongle(
                serial=str(2200000001 + number),
                zone=ZONE,
                plant=House(PlantSettings(), Random(f"{seed} {number}"), self._reading),
                random=Random(f"{seed} dongle {number}"),
                dongle_serial=f"E47{number:09}",
            )
            for number in range(2)
        ]
        self._network = Network(
            zone=ZONE, inverters=2, interval=self.interval, seed=seed, start=start,
            made=self.dongles, weather=self._weather,
        )  # fmt: skip
        self._traffic = self._packets()
        self._next: tuple[float, CookedPacket] | None = None
        houses = {one.serial: one.plant for one in self.dongles}
        self.inspector = Inspector(self.judge, houses, lambda: self.now, 3600.0 + self.interval)
        self._capture: Any = LiveCapture
        live.LiveCapture = lambda *_, **more: Tap(self, more)  # type: ignore[misc,assignment]

    # ------------------------------------------------------------------ what passes

    def _weather(self, moment: datetime) -> Faults | None:
        now = self._moment = (moment - self.start).total_seconds()
        if now < self.away_until:
            return None
        return self._faults if now < self.faults_until else SOUND

    def _reading(self) -> float:
        """When the report is made that is being made."""
        return self._moment

    def _packets(self) -> Iterator[tuple[float, CookedPacket]]:
        medium = Medium(link_type=LinkType.RAW)
        begin = round(self.start.timestamp() * 1e9)
        for time_ns, _, data in packets(self._network, timedelta(days=4000), medium):
            yield (time_ns - begin) / 1e9, (IPV4, data)

    async def pass_(self, seconds: float) -> None:
        """Let time pass, packet by packet."""
        end = self.now + seconds
        while True:
            if self._next is None:
                self._next = next(self._traffic)
            if self._next[0] > end:
                break
            await self.clock.advance(max(0.0, self._next[0] - self.now), settle=self.settle)
            batch = []
            while self._next is not None and self._next[0] <= self.now + 1.0:
                batch.append(self._next[1])
                self._next = next(self._traffic)
            if self.tap is not None and self.now >= self.down_until:
                self.tap.hear(batch)
        await self.clock.advance(max(0.0, end - self.now), settle=self.settle)

    # ------------------------------------------------------------------ the engine

    def make(self, storage: Disk) -> SunsynkEngine:
        """Return a new engine."""
        settings = SunsynkSettings.from_mapping(
            {"source": "live", "interface": "any", "time_zone": "Europe/Amsterdam"}
        )
        return SunsynkEngine(settings, self.clock, zone=ZONE, storage=storage)

    async def switch_on(self) -> None:
        """Start an engine; a thread reads its filter, which takes the machine's time."""
        await super().switch_on()
        while self.tap is None:
            time.sleep(0.001)  # noqa: ASYNC251 - only its thread goes on
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Switch everything off."""
        await super().end()
        live.LiveCapture = self._capture  # type: ignore[misc]

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""
        self.inspector.take(snapshot)

    def look(self) -> None:
        """Judge what stands."""
        self.inspector.look(self.snapshot)

    def complaints(self) -> list[str]:
        """Return what is not shown as it should be."""
        return self.inspector.complaints(self.snapshot)

    def befall(self, what: str) -> float:
        """Let something happen to the network or to an inverter."""
        until = self.now + self.dice.uniform(600, 2 * 3600)
        match what:
            case "faults":
                self._faults, self.faults_until = self.dice.choice(FAULTS), until
            case "away":
                self.away_until = until
            case "down":
                self.down_until = until
            case "inverter_clock":
                one = self.dice.choice(self.dongles)
                jump = self.dice.choice((-7200, -60, 60, 7200))
                one.clock_offset = timedelta() if one.clock_offset else timedelta(seconds=jump)
                # Set back, it looks like a burst of old reports until it has caught up.
                return self.now + 7200 + self.interval
        return until + self.interval

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        self.faults_until = self.away_until = self.down_until = 0.0

    def totals(self) -> Mapping[str, Total]:
        """Return the lifetime counters."""
        return self.inspector.totals(self.snapshot)
