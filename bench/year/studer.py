"""A Studer plant: Xtenders, a VarioTrack and a battery monitor behind one gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from hardwired_engines.engine import DeviceState, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.studer.catalogue import SYSTEM, XCOM, point_of, to_field
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.plant import system
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.session import membership, session
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator import plant
from hardwired_engines.studer.simulator.machines import Machine
from hardwired_engines.studer.simulator.world import World, make

from .._scom import as_float32
from .contract import DAY, ZONE, Total
from .household import Disk, Household

SLOWER = (
    (session, "HOUSEKEEPING", 30.0),
    (system, "LONGEST_STEP", 60.0),
    (membership, "PATROL", 300.0),
    (membership, "SWEEP", 600.0),
    (plant, "STEPS", ((0.0, 60.0),)),
)
"""What the engine and the simulator do every second or every few of them is done as seldom as
this, as the readings are rarer too: a year has too many seconds."""
XTENDERS = 3
FAST = 1800.0
WANTED = 3
"""Fields of each device that somebody looks at, beside what the sums need."""
COUNTED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "consumers_energy": (("xt", "consumers"),),
    "ac_in_energy": (("xt", "ac_in"),),
    "pv_energy": (("vt", "energy"),),
}
"""The totals that are made of counters: of which devices, and of which of their counters."""
NUMBERS = {("xt", "consumers"): 3083, ("xt", "ac_in"): 3081, ("vt", "energy"): 11007}
MIXES = (
    (("late", 0.05), ("split", 0.3), ("stall", 0.02), ("duplicate", 0.05), ("stray", 0.1)),
    (("foreign", 0.05), ("nonsense", 0.05), ("flip", 0.05), ("gap", 0.03), ("noise", 0.1)),
    (("crlf", 0.2), ("strip", 0.5), ("lose", 0.05), ("busy", 0.05)),
)


class Studer(Household):
    """One plant."""

    family = "studer"
    rates: ClassVar[Mapping[str, float]] = {
        "restart": 0.3,
        "kill": 0.2,
        "clock": 0.2,
        "disk": 0.1,
        "line": 1.0,
        "drop": 0.3,
        "renumber": 0.05,
        "gateway": 0.2,
        "mute": 0.2,
        "cut": 0.3,
        "reset": 0.1,
        "blackout": 0.1,
        "message": 0.3,
    }
    grain = 30.0
    bound = 900.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.fast = FAST * pace
        self.bound = 3 * self.fast
        self.look_every = self.fast / 2
        local = start.astimezone(ZONE).replace(tzinfo=None)
        query = {
            "xtenders": str(XTENDERS), "variotracks": "1", "variostrings": "0", "bsp": "1",
            "seed": str(seed), "start": local.isoformat(), "latency_ms": "20", "hiccup_ms": "0",
            "baud": "0", "log_days": "0", "messages": "0",
        }  # fmt: skip
        self.port = make(query)
        self.world: World = self.port.world
        self._seen: dict[str, DeviceState] = {}
        self._wanted: set[str] = set()
        self._true_at: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        self._begun: dict[tuple[str, str], float] = {}
        self._lost: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
        self._read: dict[tuple[str, str], float] = {}
        self._usual = [(module, name, getattr(module, name)) for module, name, _ in SLOWER]
        for module, name, value in SLOWER:
            setattr(module, name, value if name == "STEPS" else value * pace)

    def make(self, storage: Disk) -> StuderEngine:
        """Return a new engine."""
        self._wanted.clear()
        settings = {
            "link": "sim://",
            "hide_noise": False,
            "intervals": {
                "fast": self.fast, "normal": self.fast, "slow": self.fast,
                "config": min(24 * self.fast, DAY),
            },
        }  # fmt: skip
        return StuderEngine(
            StuderSettings.from_mapping(settings), self.clock, zone=ZONE, storage=storage,
            world=self.port,
        )  # fmt: skip

    async def end(self) -> None:
        """Switch everything off."""
        await super().end()
        for module, name, value in self._usual:
            setattr(module, name, value)

    # ------------------------------------------------------------------ the judge

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""
        for device, state in snapshot.devices.items():
            before = self._seen.get(device)
            if before is state:
                continue
            if device not in self._wanted and state.device.kind not in (SYSTEM, XCOM):
                self._want(device, state)
            self._seen[device] = state
            if state.device.kind == SYSTEM:
                self._check_rise(state)
            if not state.available or state.device.kind in (SYSTEM, XCOM):
                continue
            self._note_counters(device, state)
            shown = before.values if before is not None and before.available else {}
            for key, value in state.values.items():
                if value is not None and shown.get(key) != value:
                    self._check(state, key, value)

    def _want(self, device: str, state: DeviceState) -> None:
        """Look at some of a new device's fields, always the same."""
        assert self.engine is not None
        self._wanted.add(device)
        keys = sorted(key for key in state.values if point_of(state.device.kind, key) is not None)
        wanted = set(keys[:: max(1, len(keys) // WANTED)])
        counted = [name for kind, name in NUMBERS if kind == state.device.kind]
        for key in wanted | {self._key_of(state.device.kind, name) for name in counted}:
            self.engine.want(device, key)

    def _check(self, state: DeviceState, key: str, value: Value) -> None:
        point = point_of(state.device.kind, key)
        if point is None:
            return
        held = self.world.truth.held(state.device.id, point.id, self.now - self._limit(point))
        if any(to_field(point, as_float32(point.wire_format, one.value), None) == value
               for one in reversed(held)):  # fmt: skip
            self.judge.right()
            self._true_at[state.device.id] = self.now
        else:
            shown = [one.value for one in held[-3:]]
            self.judge.false(
                f"{self.now:.0f} {state.device.name} {key} = {value}, true was {shown}"
            )

    def _limit(self, point: Datapoint) -> float:
        # A parameter is read seldom, and a constant but once.
        return (
            DAY
            if point.is_parameter or point.poll.value in ("static", "config")
            else (3 * self.fast * (4 if point.poll.value == "slow" else 1) + 60)
        )

    def _check_rise(self, state: DeviceState) -> None:
        for key, value in state.values.items():
            if key.endswith("_energy") and isinstance(value, (int, float)):
                before = self._highest.get(key, 0.0)
                if value < before - 1e-9:
                    self.judge.fall(f"{self.now:.0f} {key}: {before} -> {value}")
                self._highest[key] = value

    def look(self) -> None:
        """Judge whether what stands is still young enough."""
        for device, state in self.snapshot.devices.items():
            if state.available and state.device.kind not in (SYSTEM, XCOM):
                age = self.now - self._true_at.get(device, 0.0)
                if age > 4 * self.fast + 120:
                    self.judge.false(f"{self.now:.0f} {state.device.name} is {age:.0f} s old")

    def _counters(self) -> Mapping[tuple[str, str, str], Any]:
        return {
            (key, device.fid, name): device.machine.counter(name)
            for key, sources in COUNTED.items()
            for kind, name in sources
            for device in self.world.devices
            if device.family.value == kind and isinstance(device.machine, Machine)
        }

    def _note_counters(self, device: str, state: DeviceState) -> None:
        """Note what is known of each counter, and what a midnight has taken unread."""
        for (total, fid, name), counter in self._counters().items():
            if fid != device:
                continue
            value = state.values.get(self._key_of(state.device.kind, name))
            if not isinstance(value, (int, float)):
                continue
            before = self._read.get((total, fid))
            if before is None:
                self._begun[total, fid] = counter.total - counter.today + value
            elif value < before:
                # Nobody can know what was counted between the last reading and midnight.
                self._lost[total] += max(0.0, counter.yesterday - before)
            self._read[total, fid] = float(value)

    @staticmethod
    def _key_of(kind: str, name: str) -> str:
        point = by_id(Family(kind), NUMBERS[kind, name])
        assert point is not None
        return point.key

    def complaints(self) -> list[str]:
        """Return what is not shown as it should be."""
        snapshot = self.snapshot
        found = [] if snapshot.connected else [f"not connected: {snapshot.reason}"]
        for device in self.world.devices:
            state = snapshot.devices.get(device.fid)
            if state is None or not state.available:
                found.append(f"{device.family.value} {device.address} is not available")
            elif state.device.address != str(device.address):
                found.append(f"{device.address} is shown at {state.device.address}")
        return found

    def totals(self) -> Mapping[str, Total]:
        """Return the energies of the plant that are made of counters."""
        self.world.plant.advance(self.world.gateway.clock.moment(self.now))
        gateway = next((s for s in self.snapshot.devices.values() if s.device.kind == SYSTEM), None)
        found = {}
        for key in COUNTED:
            shown: Any = None if gateway is None else gateway.values.get(key)
            true = sum(
                counter.total - self._begun[key, fid]
                for (one, fid, _), counter in self._counters().items()
                if one == key
            )
            unread = sum(
                max(0.0, counter.today - self._read.get((key, fid), 0.0))
                for (one, fid, _), counter in self._counters().items()
                if one == key
            )
            # Readings are rounded on their way: four bytes hold seven digits.
            lost = self._lost[key] + unread + 0.05
            found[key] = Total(shown, round(true, 3) + 0.01, round(lost, 3))
        return found

    # ------------------------------------------------------------------ what happens

    def befall(self, what: str) -> float:
        """Let something happen on the line or to a device."""
        dice, world, now = self.dice, self.world, self.now
        xtender = 100 + dice.randint(1, XTENDERS)
        match what:
            case "line":
                seconds = dice.uniform(300, 3600)
                for fault, probability in dice.choice(MIXES):
                    world.inject(fault, now, p=probability, **{"for": seconds})
                return now + seconds + self.fast
            case "drop":
                away = dice.choice((20.0, 600.0, 7200.0))
                world.inject("drop", now, address=xtender, away=away)
                return now + away + 60.0
            case "renumber":
                other = 101 if xtender != 101 else 102
                world.inject("renumber", now, address=xtender, **{"with": other})
            case "gateway":
                world.inject("restart", now)
            case "mute" | "cut":
                seconds = dice.choice((5.0, 60.0, 3600.0))
                world.inject(what, now, **{"for": seconds})
                return now + seconds + 60.0
            case "reset":
                world.inject("reset", now, address=xtender)
            case "blackout":
                world.inject("blackout", now, **{"for": dice.uniform(60, 7200)})
            case "message":
                world.inject("message", now, number=dice.choice((0, 3, 16)), address=xtender)
        return now + 60.0

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        self.world.damages.clear()
