"""Two inverters on one Modbus line, asked every half an hour, and set by their household."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from hardwired_engines.engine import Command, CommandError, LinkError, Reason, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.link import Stream
from hardwired_engines.simulating import InProcess
from hardwired_engines.sunsynk.engine import MISSED_CYCLES, SunsynkEngine
from hardwired_engines.sunsynk.modbus.writable import SETTINGS
from hardwired_engines.sunsynk.pipeline.history import LEAST_EXPIRY
from hardwired_engines.sunsynk.settings import SunsynkSettings
from hardwired_engines.sunsynk.simulator import modbus
from hardwired_engines.sunsynk.simulator.modbus import ModbusFaults, ModbusSimulator, ModbusWorld
from hardwired_engines.sunsynk.simulator.plant import PlantSettings

from ._sunsynk import House, Inspector
from ._sunsynk_settings import Inverter, SettingsInspector, wanted
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
    {"drop": 0.4, "take_back": 0.3},
    {"ignore_writes": 0.5, "clamp": 60},
)
SILENT_FOR = (35.0, 70.0, 400.0)
"""Seconds that inverters are off while somebody gives them each other's number."""


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
        "wish": 3.0,
        "panel": 1.0,
        "factory": 0.05,
    }
    look_every = 300.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.every = EVERY * pace
        self.bound = 4 * self.every
        self.tcp = bool(seed % 2)
        self.unplugged_until = 0.0
        self.world = ModbusWorld(self.local, units=UNITS, seed=seed)
        houses = {}
        for index, (unit, one) in enumerate(self.world.inverters.items()):
            house = House(PlantSettings(), Random(f"{seed} {index}"), lambda: self.now)
            houses[one.serial] = house
            self.world.inverters[unit] = Inverter(one.serial, house, lambda: self.now)
        oldest = max(LEAST_EXPIRY, MISSED_CYCLES * self.every) + self.look_every
        self.inspector = Inspector(self.judge, houses, lambda: self.now, oldest)
        self.settings = SettingsInspector(self.judge, lambda: self.now, oldest)
        self.outcomes: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._wishes: set[asyncio.Task[None]] = set()
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
            "write_enabled": True,
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
        self.settings.look(self._inverters, self.snapshot, self._busy)
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
        found = self.inspector.complaints(self.snapshot)
        return found or self.settings.complaints(self._inverters, self.snapshot)

    @property
    def _inverters(self) -> list[Inverter]:
        return [one for one in self.world.inverters.values() if isinstance(one, Inverter)]

    def befall(self, what: str) -> float:
        """Let something happen on the line or to an inverter."""
        dice, world = self.dice, self.world
        until = self.now + dice.uniform(300, 3600)
        one = dice.choice(self._inverters)
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
            case "wish":
                wish = dict(wanted(dice) for _ in range(dice.choice((1, 1, 3))))
                task = asyncio.ensure_future(self._set(one, wish))
                self._wishes.add(task)
                task.add_done_callback(self._wishes.discard)
                return self.now + self.every
            case "panel":
                key, value = wanted(dice)
                setting = SETTINGS[key]
                word = one.settings[setting.register]
                one.settings[setting.register] = setting.bare_word(setting.raw(value), word)
                return self.now + self.every
            case "factory":
                one.forget()
                one.restart(self.local(), self.now)
                what = "reboot"
            case "swap":
                first, second = UNITS
                inverters = world.inverters
                inverters[first], inverters[second] = inverters[second], inverters[first]
                silent_until = self.now + dice.choice(SILENT_FOR)
                for inverter in inverters.values():
                    inverter.silent_until = silent_until
        self._over.append((until, what))
        return until + self.look_every

    async def _set(self, inverter: Inverter, wish: Mapping[str, Value]) -> None:
        """Set something; what is confirmed is in force, and shown."""
        engine = self.engine
        if engine is None:
            return
        serial = inverter.serial
        self._busy[serial] += 1
        try:
            await engine.execute(Command(serial, wish, "set"))
        except CommandError as error:
            self.outcomes[type(error).__name__] += 1
            return
        finally:
            self._busy[serial] -= 1
        self.outcomes["confirmed"] += 1
        for key, value in wish.items():
            setting = SETTINGS[key]
            true = setting.value(inverter.settings[setting.register])
            shown = engine.snapshot.value(serial, key)
            if (true, shown) != (value, value):
                text = f"{value} was confirmed, in force is {true}, shown is {shown}"
                self.judge.false(f"{self.now:.0f} {serial} {key}: {text}")

    async def switch_off(self, *, kill: bool = False) -> None:
        """Stop the engine; who waits for it waits no more."""
        for wish in self._wishes:
            wish.cancel()
        await super().switch_off(kill=kill)

    def figures(self) -> Mapping[str, object]:
        """Return what became of wishes, too."""
        return {**super().figures(), "wishes": dict(sorted(self.outcomes.items()))}

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
