"""Home Assistant's entities on a GX whose broker, driver and all of which go away now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from hardwired_engines.engine import Snapshot
from hardwired_engines.factory import Surroundings
from hardwired_engines.victron_gx import FACTORY, engine, exporter, gx
from hardwired_engines.victron_gx.engine import VictronGxEngine
from hardwired_engines.victron_gx.home import EntityState
from hardwired_engines.victron_gx.mqtt import client
from hardwired_engines.victron_gx.simulator.gx import PORTAL, SimulatedGx, forget, simulated

from .contract import MOMENT, Total
from .household import Disk, Household

EXPORTS = {
    "galley": {"template": "panel", "name": "Galley", "entities": ["switch.pump", "light.cabin"]},
    "fridge": {"template": "sensor", "name": "Fridge", "temperature": "sensor.fridge", "kind": 1},
    "van": {"template": "meter", "name": "Van", "power": "sensor.power", "energy": "sensor.energy"},
}
PUMP = ("ha_galley", "ctl", "SwitchableOutput/switch_pump/State")
CABIN = ("ha_galley", "ctl", "SwitchableOutput/light_cabin/State")
FRIDGE = ("ha_fridge", "t", "Temperature")
POWER = ("ha_van", "m", "Ac/Power")
ENERGY = ("ha_van", "m", "Ac/Energy/Forward")
SHOWN = {PUMP: "switch.pump", CABIN: "light.cabin", FRIDGE: "sensor.fridge",
         POWER: "sensor.power", ENERGY: "sensor.energy"}  # fmt: skip
UNITS = {"sensor.fridge": "°C", "sensor.power": "W", "sensor.energy": "kWh"}
SLOWER = (
    (exporter, "REPEAT", 900), (gx, "KEEP_ALIVE", 900), (engine, "IDLE", 900),
    (client, "KEEP_ALIVE", 60),
)  # fmt: skip
"""What is sent again each minute is sent again each quarter of an hour."""
TIMERS = 20.0
"""Seconds of a step: less than what the timers of a connection that is kept alive wait for."""
SETTLED = 30.0
"""Seconds that a change may take to the GX: a message a second, and an entity that follows."""


class VictronGx(Household):
    """A van with a GX."""

    family = "victron_gx"
    rates: ClassVar[Mapping[str, float]] = {
        "change": 60.0,
        "screen": 12.0,
        "missing": 2.0,
        "restart": 0.3,
        "kill": 0.2,
        "clock": 0.2,
        "disk": 0.2,
        "broker": 0.5,
        "away": 0.3,
        "reboot": 0.2,
        "driver": 0.3,
        "silent": 0.2,
        "noise": 0.3,
    }
    bound = 300.0
    look_every = 300.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.bound *= pace
        self.name = f"year{seed}"
        self.gx: SimulatedGx = simulated(f"sim://{self.name}")
        self.energy = 1000.0
        self.states = {
            "switch.pump": "off", "light.cabin": "off", "sensor.fridge": "4.0",
            "sensor.power": "120", "sensor.energy": f"{self.energy:.2f}",
        }  # fmt: skip
        self.changed = 0.0
        self._over: list[tuple[float, str]] = []
        self._highest = 0.0
        self._usual = [(module, name, getattr(module, name)) for module, name, _ in SLOWER]
        for module, name, value in SLOWER:
            setattr(module, name, round(value * pace))

    def make(self, storage: Disk) -> VictronGxEngine:
        """Return a new engine, to which Home Assistant tells its states."""
        values = {"link": f"sim://{self.name}", "exports": EXPORTS, "portal": PORTAL}
        surroundings = Surroundings(clock=self.clock, storage=storage)
        made = FACTORY.make(FACTORY.read(values), surroundings)
        assert isinstance(made, VictronGxEngine)
        made.host = self
        made.update([self._state(entity) for entity in self.states])
        made.started()
        return made

    async def begin(self) -> None:
        """Start; the timers of the event loop, which keep connections alive, follow our clock."""
        self._loop = asyncio.get_running_loop()
        origin = self._loop.time()
        self._loop.time = lambda: origin + self.now  # type: ignore[method-assign]
        await super().begin()

    async def pass_(self, seconds: float) -> None:
        """Let time pass, in steps that are shorter than what the timers wait for."""
        end = self.now + seconds
        while (left := end - self.now) > MOMENT:
            await super().pass_(min(TIMERS * self.pace, left))

    async def end(self) -> None:
        """Switch everything off."""
        await super().end()
        del self._loop.time  # type: ignore[method-assign]
        forget(self.name)
        for module, name, value in self._usual:
            setattr(module, name, value)

    # ------------------------------------------------------------------ Home Assistant

    def _state(self, entity: str) -> EntityState:
        told: dict[str, Any] = {"friendly_name": entity}
        if entity in UNITS:
            told["unit_of_measurement"] = UNITS[entity]
        if entity.startswith("light"):
            told["supported_color_modes"] = ["onoff"]
        return EntityState(entity, self.states[entity], told)

    def _set(self, entity: str, state: str) -> None:
        self.states[entity] = state
        self.changed = self.now
        if isinstance(self.engine, VictronGxEngine):
            self.engine.update([self._state(entity)])

    async def call(self, service: str, data: Mapping[str, Any]) -> None:
        """Call a service: the entity follows."""
        self._set(str(data["entity_id"]), "on" if service.endswith("turn_on") else "off")

    # ------------------------------------------------------------------ the judge

    def take(self, snapshot: Snapshot) -> None:
        """The snapshot tells of the exports only; what counts is what the GX shows."""

    def on_gx(self, at: tuple[str, str, str]) -> Any:
        """Return what the GX shows at a path; ``None``: nothing."""
        client, service, path = at
        device = self.gx.driver.devices.get(client)
        return None if device is None else device.values.get((service, path))

    def true(self, entity: str) -> float | None:
        """Return what the GX is to show of an entity."""
        state = self.states[entity]
        if state == "unavailable":
            return None
        return float({"on": 1, "off": 0}[state]) if state in ("on", "off") else float(state)

    def _differing(self) -> list[str]:
        found = []
        for at, entity in SHOWN.items():
            shown, true = self.on_gx(at), self.true(entity)
            switched = entity.startswith(("switch", "light"))
            # An output that can't be operated keeps its state and says so in its status.
            if shown != true and not (true is None and switched):
                found.append(f"{'/'.join(at)} is {shown}, not {true}")
        return found

    def look(self) -> None:
        """Judge what the GX shows; let what is over be over."""
        self.gx.broker.log.clear()
        for entry in [one for one in self._over if one[0] <= self.now]:
            self._over.remove(entry)
            self._end(entry[1])
        shown = self.on_gx(ENERGY)
        if shown is not None:
            if shown < self._highest:
                self.judge.fall(f"{self.now:.0f} energy: {self._highest} -> {shown}")
            self._highest = max(self._highest, shown)
        if self._well and not self._over:
            found = self._differing()
            for text in found:
                self.judge.false(f"{self.now:.0f} {text}")
            for _ in range(len(SHOWN) - len(found)):
                self.judge.right()

    @property
    def _well(self) -> bool:
        """Whether all is registered and nothing has changed just now."""
        return self.now - self.changed > SETTLED and not self._unregistered()

    def _unregistered(self) -> list[str]:
        snapshot = self.snapshot
        found = [] if snapshot.connected else [f"not connected: {snapshot.reason}"]
        found += [f"{key} is not registered" for key in EXPORTS
                  if snapshot.value(key, "registered") is not True]  # fmt: skip
        return found

    def complaints(self) -> list[str]:
        """Return what is not as it should be."""
        if self.now - self.changed <= SETTLED:
            return ["a change is on its way"]
        return self._unregistered() or self._differing()

    def totals(self) -> Mapping[str, Total]:
        """Return the meter."""
        return {"energy": Total(self.on_gx(ENERGY), round(self.energy, 2))}

    # ------------------------------------------------------------------ what happens

    def befall(self, what: str) -> float:
        """Let something happen to an entity, on the screen, or to the GX."""
        dice, driver = self.dice, self.gx.driver
        seconds = dice.uniform(60, 3600)
        match what:
            case "change":
                self._change(dice.choice(list(self.states)))
                return self.now + SETTLED
            case "missing":
                entity = dice.choice(("sensor.fridge", "sensor.power", "switch.pump"))
                self._set(entity, "unavailable")
                return self.now + SETTLED
            case "screen":
                client, service, path = dice.choice((PUMP, CABIN))
                if client in driver.devices:
                    driver.set(client, service, path, dice.choice((0, 1)))
                    self.changed = self.now
                return self.now + 2 * SETTLED
            case "broker":
                self.gx.restart_broker()
                seconds = 30.0
            case "away":
                self.gx.reachable = False
                self.gx.broker.stop()
            case "reboot":
                self.gx.reboot()
                seconds = 30.0
            case "driver":
                driver.stop()
            case "silent":
                driver.silent = True
                self.gx.restart_broker()
            case "noise":
                self.gx.broker.raw(dice.randbytes(40))
                seconds = 30.0
        self._over.append((self.now + seconds, what))
        return self.now + seconds + self.look_every

    def _change(self, entity: str) -> None:
        dice = self.dice
        match entity:
            case "sensor.energy":
                self.energy += dice.uniform(0, 2)
                self._set(entity, f"{self.energy:.2f}")
            case "sensor.fridge":
                self._set(entity, f"{dice.uniform(2, 9):.1f}")
            case "sensor.power":
                self._set(entity, f"{dice.randrange(0, 3000)}")
            case _:
                self._set(entity, dice.choice(("on", "off")))

    def _end(self, what: str) -> None:
        match what:
            case "away" if not self.gx.reachable:
                self.gx.reachable = True
                self.gx.restart_broker()
            case "driver" if not self.gx.driver.running:
                self.gx.driver.start()
            case "silent":
                self.gx.driver.silent = False

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        for what in ("away", "driver", "silent"):
            self._end(what)
        self._over.clear()
        for entity in ("sensor.fridge", "sensor.power", "switch.pump", "sensor.energy"):
            self._change(entity)
