"""A Studer plant: Xtenders, a VarioTrack and a battery monitor behind one gateway."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, ClassVar
from unittest.mock import patch

from hardwired_engines.engine import Command, CommandError, DeviceState, Snapshot
from hardwired_engines.studer.catalogue import SYSTEM, point_of
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id, datapoints
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.plant import system
from hardwired_engines.studer.plant.unit import HOLD_INTERVALS
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.session import membership, session
from hardwired_engines.studer.settings import StuderSettings
from hardwired_engines.studer.simulator import plant, truth
from hardwired_engines.studer.simulator.machines import Machine
from hardwired_engines.studer.simulator.world import World, make

from ._studer import Witness
from .contract import DAY, ZONE, Total
from .household import Disk, Household

SLOWER = (
    (session, "HOUSEKEEPING", 30.0),
    (session, "SAVE_TOTALS", 1800.0),
    (session, "SAVE_LEAST", 360.0),
    (system, "LONGEST_STEP", 60.0),
    (membership, "PATROL", 300.0),
    (membership, "SWEEP", 600.0),
)
"""What the engine does every second or every few of them, in seconds, is done as seldom as this,
as the readings are rarer too: a year has too many seconds."""
OTHERWISE = (
    (truth, "REMEMBERED", 64),
    (truth, "NOTED", 200),
)
"""How the simulator is set: what it remembers would look like a leak of ours for weeks."""
XTENDERS = 3
MANY_AT_ONCE = 0.9
"""Share of the starts at which many values may be read at once; else it is one by one."""
CHARGE_CURRENT = 1138
"""The parameter that is wished, in amperes; what stands in RAM is lost with a restart."""
STORED = 0.2
"""Share of the wishes that go into flash."""
PATIENCE = 900.0
"""Seconds within which a wish is answered, one way or another."""
FAST = 1800.0
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
        "wish": 2.0,
    }
    grain = 30.0
    bound = 900.0

    _wished = next(p.key for p in datapoints(Family.XT) if p.id == CHARGE_CURRENT)

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.fast = FAST * pace
        self.config = min(24 * self.fast, DAY)
        self.bound = 3 * self.fast
        self.look_every = self.fast / 2
        self._patches = ExitStack()
        local = start.astimezone(ZONE).replace(tzinfo=None)
        query = {
            "xtenders": str(XTENDERS), "variotracks": "1", "variostrings": "0", "bsp": "1",
            "seed": str(seed), "start": local.isoformat(), "latency_ms": "20", "hiccup_ms": "0",
            "baud": "0", "log_days": "0", "messages": "0",
        }  # fmt: skip
        slower = [(module, name, seconds * pace) for module, name, seconds in SLOWER]
        steps = (plant, "STEPS", ((0.0, plant.LONG_STEP * pace),))
        for module, name, value in (*slower, *OTHERWISE, steps):
            self._patches.enter_context(patch.object(module, name, value))
        self.port = make(query)
        self.world: World = self.port.world
        self.witness = Witness(self.world, self.judge, self._limit)
        self._seen: dict[str, DeviceState] = {}
        self._wanted: set[str] = set()
        self._highest: dict[str, float] = {}
        self._begun: dict[tuple[str, str], float] = {}
        self._lost: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
        self._read: dict[tuple[str, str], float] = {}
        self._wishes: dict[asyncio.Task[None], float] = {}
        self.wishes: Counter[str] = Counter()
        self.shown_for = self.in_doubt_for = self._looked = 0.0

    def make(self, storage: Disk) -> StuderEngine:
        """Return a new engine."""
        self._wanted.clear()
        settings = {
            "link": "sim://",
            "hide_noise": False,
            "multi_info": self.dice.random() < MANY_AT_ONCE,
            "intervals": {
                "fast": self.fast, "normal": self.fast, "slow": self.fast,
                "config": self.config,
            },
        }  # fmt: skip
        return StuderEngine(
            StuderSettings.from_mapping(settings), self.clock, zone=ZONE, storage=storage,
            world=self.port,
        )  # fmt: skip

    async def end(self) -> None:
        """Switch everything off."""
        for wish in list(self._wishes):
            wish.cancel()
        await super().end()
        self._patches.close()

    # ------------------------------------------------------------------ the judge

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""
        for device, state in snapshot.devices.items():
            before = self._seen.get(device)
            if before is state:
                continue
            if device not in self._wanted and state.device.kind != SYSTEM:
                self._want(device, state)
            self._seen[device] = state
            if state.device.kind == SYSTEM:
                self._check_rise(state)
                self.witness.judge_sums(snapshot.devices, state, self.now)
                continue
            if state.available:
                self._note_counters(device, state)
            shown = before.values if before is not None and before.available else {}
            fresh = {k: value for k, value in state.values.items() if shown.get(k) != value}
            self.witness.judge(state, fresh, self.now)

    def look(self) -> None:
        """Judge all that stands: each value was held not too long ago."""
        self.witness.judge_all(self.snapshot.devices, self.now)
        since, self._looked = self._looked, self.now
        self.shown_for += sum(
            self.now - since
            for state in self.snapshot.devices.values()
            if state.available and state.values.get(self._wished) is not None
        )
        doubtful = sum(map(self._in_doubt, self.snapshot.devices.values()))
        self.in_doubt_for += doubtful * (self.now - since)

    def _want(self, device: str, state: DeviceState) -> None:
        """Look at all that a new device offers."""
        assert self.engine is not None
        self._wanted.add(device)
        for key in state.values:
            if point_of(state.device.kind, key) is not None:
                self.engine.want(device, key)

    def _limit(self, point: Datapoint) -> float:
        """Return for how long a reading may stand that could not be repeated."""
        usual = {"config": self.config, "static": DAY}.get(point.poll.value, self.fast)
        return (HOLD_INTERVALS + 0.1) * usual + 120

    def _check_rise(self, state: DeviceState) -> None:
        for key, value in state.values.items():
            if key.endswith("_energy") and isinstance(value, (int, float)):
                before = self._highest.get(key, 0.0)
                if value < before - 1e-9:
                    self.judge.fall(f"{self.now:.0f} {key}: {before} -> {value}")
                self._highest[key] = value

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
            elif device.family is Family.XT:
                shown = state.values.get(self._wished)
                true = device.parameters.in_force(CHARGE_CURRENT)
                if shown != true and not self._in_doubt(state):
                    found.append(f"{device.address} charges with {true} A at most, not {shown}")
        late = [when for when in self._wishes.values() if self.now - when > PATIENCE * self.pace]
        return found + [f"a wish of {when:.0f} is not answered" for when in late]

    def _in_doubt(self, state: DeviceState) -> bool:
        """Whether the engine says that nobody can know: RAM can't be read (spec e.1)."""
        details = state.details.get(self._wished, {})
        absent = state.values.get(self._wished) is None
        return absent and "written" in details and "ram_value" not in details

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
            case "wish":
                wish = asyncio.ensure_future(self._wish(dice.randint(10, 60)))
                self._wishes[wish] = now
                wish.add_done_callback(self._wishes.pop)
            case "message":
                world.inject("message", now, number=dice.choice((0, 3, 16)), address=xtender)
        return now + 60.0

    async def _wish(self, amperes: int) -> None:
        """Set the charge current of an Xtender; what is confirmed is in force."""
        engine = self.engine
        device = self.dice.choice([d for d in self.world.devices if d.family is Family.XT])
        stored = self.dice.random() < STORED
        if engine is None:
            return
        wish = Command(device.fid, {self._wished: amperes}, options={"persistent": stored})
        try:
            await engine.execute(wish)
        except CommandError as error:
            self.wishes[type(error).__name__] += 1
            return
        self.wishes["stored" if stored else "confirmed"] += 1
        if (true := device.parameters.in_force(CHARGE_CURRENT)) != amperes:
            self.judge.false(f"{self.now:.0f} {amperes} A are confirmed, {true} are in force")

    def figures(self) -> Mapping[str, object]:
        """Return what became of wishes, and for which share of the time nobody could know."""
        share = self.in_doubt_for / max(1.0, self.in_doubt_for + self.shown_for)
        return {
            **super().figures(),
            "wishes": dict(sorted(self.wishes.items())),
            "in_doubt": round(share, 5),
        }

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        self.world.damages.clear()
        for device in self.world.devices:
            self.world.inject("back", self.now, address=device.address)
