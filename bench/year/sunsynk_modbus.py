"""Two inverters on one Modbus line, asked every half an hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from hardwired_engines.engine import LinkError, Reason, Snapshot
from hardwired_engines.link import Stream
from hardwired_engines.simulating import InProcess
from hardwired_engines.sunsynk.engine import SunsynkEngine
from hardwired_engines.sunsynk.settings import SunsynkSettings
from hardwired_engines.sunsynk.simulator import modbus
from hardwired_engines.sunsynk.simulator.modbus import ModbusFaults, ModbusSimulator, ModbusWorld
from hardwired_engines.sunsynk.simulator.plant import PlantSettings

from ._sunsynk import House, Inspector
from .contract import ZONE, Total
from .household import Disk, Household

EVERY = 1800.0
UNITS = (1, 2)
MIXES = (
    {"drop": 0.1, "crc": 0.1, "cut": 0.05, "noise": 0.1},
    {"late": 0.05, "slow": 3.0, "wrong_unit": 0.05},
    {"busy": 0.2, "second_master": 0.3},
    {"zero": 0.1, "drop": 0.05},
    {"drop": 0.9},
)


class Wire:
    """The line as the engine finds it: there or not, and always the same one."""

    def __init__(self, life: SunsynkModbus) -> None:
        self._life = life

    async def open(self) -> Stream:
        """Return our end of a new connection. Raises :class:`LinkError`."""
        life = self._life
        if life.now < life.unplugged_until:
            raise LinkError(Reason.NOT_FOUND, "the adapter is unplugged")
        simulator = ModbusSimulator(life.world, tcp=life.tcp)
        return await InProcess(simulator, life.clock).open()


class SunsynkModbus(Household):
    """A house with two inverters."""

    family = "sunsynk_modbus"
    rates: ClassVar[Mapping[str, float]] = {
        "restart": 0.3,
        "kill": 0.2,
        "clock": 0.2,
        "disk": 0.1,
        "line": 2.0,
        "reboot": 0.1,
        "silent": 0.5,
        "unplug": 0.3,
        "swap": 0.05,
    }
    look_every = 300.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.every = EVERY * pace
        self.bound = 4 * self.every
        self.tcp = bool(seed % 2)
        self.unplugged_until = 0.0
        self.world = ModbusWorld(self.local, units=UNITS, seed=seed)
        for index, inverter in enumerate(self.world.inverters.values()):
            inverter.plant = House(PlantSettings(), Random(f"{seed} {index}"), lambda: self.now)
        houses = {one.serial: one.plant for one in self.world.inverters.values()}
        self.inspector = Inspector(self.judge, houses, lambda: self.now, 5 * self.every)
        self._over: list[tuple[float, str]] = []
        self._line = modbus.SimulatedLine
        modbus.SimulatedLine = lambda *_arguments, **_more: Wire(self)  # type: ignore[misc,assignment]

    def local(self) -> datetime:
        """Return the inverters' wall clock, which has nothing to do with the host's."""
        true = self.start + timedelta(seconds=self.clock.monotonic())
        return true.astimezone(ZONE).replace(tzinfo=None, fold=0)

    def make(self, storage: Disk) -> SunsynkEngine:
        """Return a new engine."""
        settings: dict[str, Any] = {
            "source": "modbus",
            "link": "sim://",
            "unit": UNITS[0],
            "units": list(UNITS[1:]),
            "interval": self.every,
            "framing": "tcp" if self.tcp else "rtu",
        }
        return SunsynkEngine(
            SunsynkSettings.from_mapping(settings), self.clock, zone=ZONE, storage=storage
        )

    async def end(self) -> None:
        """Switch everything off."""
        await super().end()
        modbus.SimulatedLine = self._line  # type: ignore[misc]

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""
        self.inspector.take(snapshot)

    def look(self) -> None:
        """Judge what stands; let what is over be over."""
        self.inspector.look(self.snapshot)
        for entry in [one for one in self._over if one[0] <= self.now]:
            self._over.remove(entry)
            self._end(entry[1])

    def _end(self, what: str) -> None:
        if what == "line":
            self.world.faults = ModbusFaults()
        elif what == "reboot":
            for inverter in self.world.inverters.values():
                inverter.clock_offset = timedelta()

    def complaints(self) -> list[str]:
        """Return what is not shown as it should be."""
        return self.inspector.complaints(self.snapshot)

    def befall(self, what: str) -> float:
        """Let something happen on the line or to an inverter."""
        dice, world = self.dice, self.world
        until = self.now + dice.uniform(300, 3600)
        one = dice.choice(list(world.inverters.values()))
        match what:
            case "line":
                world.faults = ModbusFaults.from_mapping(dice.choice(MIXES))
            case "reboot":
                one.restart(self.local(), self.now)
            case "silent":
                one.silent_until = until
            case "unplug":
                self.unplugged_until = until
                world.faults = ModbusFaults(drop=1.0)
                what = "line"
            case "swap":
                # Both are off while somebody gives them each other's number.
                first, second = UNITS
                inverters = world.inverters
                inverters[first], inverters[second] = inverters[second], inverters[first]
                for inverter in inverters.values():
                    inverter.silent_until = self.now + 400
        self._over.append((until, what))
        return until + self.look_every

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        self.unplugged_until = 0.0
        for what in ("line", "reboot"):
            self._end(what)
        for inverter in self.world.inverters.values():
            inverter.silent_until = 0.0

    def totals(self) -> Mapping[str, Total]:
        """Return the lifetime counters."""
        return self.inspector.totals(self.snapshot, polls=20)
