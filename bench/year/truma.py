"""A camper with a Truma heater and a CP Plus panel, whose computer runs some minutes a day.

A bus has twenty slots a second: nobody simulates a year of them. So the computer is switched on
for some minutes a day and off for the rest, as it is in many a camper; the panel, the heater and
the vehicle go on meanwhile. The responder's process, which keeps the deadline of an answer, is
replaced by its box in virtual time; the engine, the box and the bus are the product's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from hardwired_engines.engine import Command, CommandError, LinkError, Reason, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.truma import engine as truma_engine
from hardwired_engines.truma.engine import TrumaEngine
from hardwired_engines.truma.inet.box import Box, Identity
from hardwired_engines.truma.inet.rules import Energy, HeatingMode, Water
from hardwired_engines.truma.installation import ENERGIES, HEATER, HEATING_MODES, WATER_MODES
from hardwired_engines.truma.lin.frames import LinFrame
from hardwired_engines.truma.node.messages import (
    BusFacts,
    Hello,
    Order,
    Refresh,
    Sent,
    SetOffset,
    Wish,
)
from hardwired_engines.truma.node.node import OnEvent, OnFacts
from hardwired_engines.truma.settings import TrumaSettings
from hardwired_engines.truma.simulator.orders import Operator
from hardwired_engines.truma.simulator.settings import celsius
from hardwired_engines.truma.simulator.world import SimulatorSettings, TrumaSimulator

from .contract import DAY, MOMENT, ZONE
from .household import Disk, Household

AWAKE = 240.0
"""Seconds a day that the computer is on."""
TURN = 0.25
"""Seconds of the bus between two turns of the engine."""
REACTION = 0.0003
RECENT = 120.0
"""How long the panel may take to tell of a change, in seconds: the bus may be silent for 90."""
LINE = ("flip_bit=0.01", "drop_byte=0.01", "garbage=0.02", "missing_break=0.1", "truncate=0.01")
FAULTS = ("ack_missing=1*1", "interrupt_upload=1*1", "reboot_in_upload", "unplug=3", "silence=12",
          "lost_cf=1*2", "repeat_cf=1*2", "no_response_slot=1*2", "second_box=1*3",
          "unplug=60", "silence=95")  # fmt: skip
MODES = ("eco", "high")
ORDERS = (
    "water eco", "water hot", "water off", "energy gas", "energy mix 900",
    "energy electricity 1800", "timer on 07:30 09:00", "timer off",
    "mains on", "mains off", "window open", "window closed",
)  # fmt: skip
"""What somebody does at the panel and in the vehicle beside the room's set-point."""
COARSE = {"current_temp_water": 2.6}
"""The panel's buffer has the water in coarse steps, of 5 degrees when it is hot (spec d.1)."""
SETTINGS = ("target_temp_room", "heating_mode", "water_mode", "energy_mix", "el_power_level",
            "timer_active", "mains", "window")  # fmt: skip
"""What must be so at each look, not only when it was told."""
CLOCK_SET = 150.0
"""Seconds after the start by which the panel's clock is right."""


class VirtualNode:
    """The responder without its process; stands where the engine starts one."""

    life: Truma

    @classmethod
    async def start(cls, config: Mapping[str, Any], _clock: object) -> VirtualNode:
        """Return a new node. Raises :class:`LinkError` while the port is unplugged."""
        if cls.life.simulator.hung_up:
            raise LinkError(Reason.NOT_FOUND, "unplugged")
        return cls(cls.life, config)

    def __init__(self, life: Truma, config: Mapping[str, Any]) -> None:
        self._life = life
        self._offset = float(config["offset"])
        self.hello = Hello()
        self.low_latency = None
        self.pid = 1
        self.box = Box(
            counter=int(config["counter"]),
            init_request=bool(config["init_request"]),
            observer=bool(config["observer"]),
            nad=int(config["nad"]),
            identity=Identity(config["identity"]),
            now_fields=self._now_fields,
            quiet_until=life.clock.monotonic() + float(config["quiet_for"]),
            baselines={int(k): bytes.fromhex(v) for k, v in config["baselines"].items()},
        )
        self.lost: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._on_event: OnEvent = lambda _event: None
        self._on_facts: OnFacts = lambda _facts: None

    def _now_fields(self) -> dict[str, int]:
        moment = self._life.clock.now() + timedelta(seconds=self._offset)
        return {"hours": moment.hour, "minutes": moment.minute, "seconds": moment.second}

    async def run(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        """Tell what is heard until the port is lost."""
        self._on_event, self._on_facts = on_event, on_facts
        self._life.node = self
        raise await self.lost

    def lose(self, reason: Reason) -> None:
        """The port is lost, or the process has died."""
        if not self.lost.done():
            self.lost.set_result(LinkError(reason, "lost"))

    def order(self, order: Order) -> None:
        """Take an order."""
        now = self._life.clock.monotonic()
        match order:
            case Wish():
                self.box.take(order.group, order.values, order.parts, now, order.terms)
            case Refresh():
                self.box.refresh(now)
            case SetOffset():
                self._offset = order.seconds

    def hear(self, data: bytes, now: float) -> bytes:
        """Take what is on the line; return the answer."""
        answer = self.box.hear(data, now)
        if answer:
            self.box.sent(answer, now)
            self._on_event(Sent(LinFrame(self.box.receiver.pid, answer[:-1])))
        return answer

    def tell(self, now: float) -> None:
        """Tell the engine what was heard."""
        self.box.tick(now)
        for event in self.box.events():
            self._on_event(event)
        facts = {"late": 0, "worst_ms": 0.0, "dropped_reports": 0}
        self._on_facts(BusFacts.read({**self.box.facts(now), **facts}))

    async def close(self) -> None:
        """Leave the bus."""
        if self._life.node is self:
            self._life.node = None


class Truma(Household):
    """A camper."""

    family = "truma"
    day = AWAKE
    rates: ClassVar[Mapping[str, float]] = {
        "panel": 3.0,
        "command": 3.0,
        "line": 0.5,
        "fault": 1.0,
        "kill": 0.3,
        "restart": 0.2,
        "responder": 0.3,
        "panel_restart": 0.2,
        "clock": 0.1,
        "disk": 0.05,
    }
    bound = 150.0
    look_every = 5.0
    grain = 0.0

    def __init__(self, seed: int, start: datetime, pace: float = 1.0) -> None:
        super().__init__(seed, start, pace)
        self.day = AWAKE / pace
        self._mornings = 0
        self.node: VirtualNode | None = None
        self.simulator = TrumaSimulator(
            SimulatorSettings(personality="c4-combi-aventa", seed=seed, standby=False)
        )
        self.operator = Operator(self.simulator)
        self.commands: dict[str, int] = {}
        self._wishes: set[asyncio.Task[None]] = set()
        self._line_until = 0.0
        self._truth: deque[tuple[float, Mapping[str, Value | None]]] = deque()
        self._started_at = self._disturbed = self._clock_off = 0.0
        self._seen: Mapping[str, Value | None] = {}
        self._usual: Any = truma_engine.ResponderNode
        node = type("VirtualNode", (VirtualNode,), {"life": self})
        truma_engine.ResponderNode = node  # type: ignore[misc]

    @property
    def now(self) -> float:
        """The seconds that the computer was on."""
        return self.clock.monotonic() - self._mornings * (DAY - self.day)

    def make(self, storage: Disk) -> TrumaEngine:
        """Return a new engine."""
        settings = {"link": "/dev/bus", "clock_sync": True, "time_zone": "Europe/Amsterdam"}
        self._started_at = self.now
        return TrumaEngine(
            TrumaSettings.from_mapping(settings), self.clock, zone=ZONE, storage=storage
        )

    async def begin(self) -> None:
        """Switch everything on."""
        self.simulator.connected(0.0)
        for order in ("pr_set", "room 21 eco", "water eco"):
            self.operator.carry_out(order, 0.0)
        await super().begin()

    async def end(self) -> None:
        """Switch everything off."""
        await super().end()
        truma_engine.ResponderNode = self._usual  # type: ignore[misc]

    # ------------------------------------------------------------------ time

    async def pass_(self, seconds: float) -> None:
        """Let the bus live; the night is skipped."""
        end = self.now + seconds
        while end - self.now > MOMENT:
            evening = (self._mornings + 1) * self.day
            await self._live(min(end, evening) - self.now)
            if evening - self.now <= MOMENT:
                await self._sleep()

    async def _live(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > MOMENT:
            step = min(TURN, left)
            self._run_bus(self.clock.monotonic() + step)
            self._note_truth()
            await self.clock.advance(step, settle=self.settle)
            if self.node is not None:
                if self.simulator.hung_up:
                    self.node.lose(Reason.DISCONNECTED)
                else:
                    self.node.tell(self.clock.monotonic())

    def _run_bus(self, end: float) -> None:
        simulator, answer = self.simulator, b""
        answer_at = 0.0
        while True:
            due = simulator.next_due(end)
            moments = [answer_at] if answer else []
            if due is not None:
                moments.append(due)
            if not moments or min(moments) > end:
                return
            now = min(moments)
            if answer and answer_at <= now:
                simulator.receive(answer, now)
                answer = b""
            data = simulator.transmit(now)
            if data and self.node is not None and not simulator.hung_up:
                found = self.node.hear(data, now)
                if found:
                    answer, answer_at = found, now + REACTION

    async def _sleep(self) -> None:
        """The computer is off until the next morning."""
        for wish in self._wishes:
            wish.cancel()
        self._look_at_clock()
        was_on = self.engine is not None
        await self.switch_off()
        self._mornings += 1
        await self.clock.advance(DAY - self.day)
        # Nobody has listened: what was said all night is lost.
        self.simulator.transmit(self.clock.monotonic())
        if was_on:
            await self.switch_on()

    # ------------------------------------------------------------------ the judge

    def _note_truth(self) -> None:
        found = self._true()
        if not self._truth or self._truth[-1][1] != found:
            self._truth.append((self.now, found))
        while len(self._truth) > 1 and self._truth[1][0] < self.now - RECENT:
            self._truth.popleft()

    def _true(self) -> Mapping[str, Value | None]:
        settings, vehicle = self.simulator.panel.settings, self.simulator.vehicle
        heater = settings.heater
        return {
            "heating_mode": HEATING_MODES[HeatingMode(heater.heating_mode)],
            "water_mode": WATER_MODES[Water(heater.target_temp_water)],
            "energy_mix": ENERGIES[Energy(heater.energy_mix)],
            "el_power_level": str(heater.el_power_level),
            "timer_active": settings.timer.active,
            "window": not vehicle.window_closed,
            "target_temp_room": _degrees(celsius(heater.target_temp_room)),
            "current_temp_room": round(vehicle.room, 1),
            "current_temp_water": round(vehicle.water, 1),
            "voltage": vehicle.voltage,
            "mains": vehicle.mains,
        }

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new in a snapshot."""
        state = snapshot.devices.get(HEATER)
        if state is None or not state.available or state.values is self._seen:
            return
        before, self._seen = self._seen, state.values
        self._judge({key: one for key, one in state.values.items() if before.get(key) != one})

    def _judge(self, values: Mapping[str, Value | None]) -> None:
        for key in self._true():
            value = values.get(key)
            if value is None:
                continue
            margin = COARSE.get(key, 0.21)
            if any(_near(key, true.get(key), value, margin) for _, true in self._truth):
                self.judge.right()
            else:
                known = [true.get(key) for _, true in list(self._truth)[-3:]]
                self.judge.false(f"{self.now:.0f} {key} = {value}, true was {known}")

    def look(self) -> None:
        """Judge what stands; let faults of the line be over."""
        state = self.snapshot.devices.get(HEATER)
        if state is not None and state.available:
            self._judge({key: state.values.get(key) for key in SETTINGS})
        if self._line_until and self.now >= self._line_until:
            self._line_until = 0.0
            self.simulator.faults.switch_off()

    def complaints(self) -> list[str]:
        """Return what is not shown as it should be."""
        snapshot = self.snapshot
        if not snapshot.connected:
            return [f"not connected: {snapshot.reason}"]
        if HEATER not in snapshot.devices:
            return ["there is no heater"]
        true, values = self._true(), snapshot.devices[HEATER].values
        return [
            f"{key} is {values.get(key)}, not {value}"
            for key, value in true.items()
            if not _near(key, value, values.get(key), 3.0)
        ]

    # ------------------------------------------------------------------ what happens

    def befall(self, what: str) -> float:
        """Let something happen to the panel, to the bus or to the computer."""
        dice, now = self.dice, self.clock.monotonic()
        seconds = 30.0
        self._disturbed = self.now
        match what:
            case "panel":
                room = f"room {dice.randint(5, 30)} {dice.choice(MODES)}"
                self.operator.carry_out(dice.choice((room, dice.choice(ORDERS))), now)
            case "command":
                wish = asyncio.ensure_future(self._command(dice.randint(5, 30)))
                self._wishes.add(wish)
                wish.add_done_callback(self._wishes.discard)
                seconds = 60.0
            case "line":
                for text in LINE:
                    self.operator.carry_out(f"fault {text}", now)
                self._line_until = self.now + 60.0
                seconds = 70.0
            case "fault":
                self.operator.carry_out(f"fault {dice.choice(FAULTS)}", now)
                seconds = 150.0
            case "responder":
                if self.node is not None:
                    self.node.lose(Reason.FAILED)
            case "panel_restart":
                self.operator.carry_out("restart", now)
        return self.now + seconds

    async def _command(self, degrees: int) -> None:
        """Set a temperature; what is confirmed is so at the panel."""
        engine = self.engine
        if engine is None:
            return
        wish = Command(HEATER, {"target_temp_room": degrees, "heating_mode": "eco"})
        try:
            await engine.execute(wish)
        except CommandError as error:
            self._count(type(error).__name__)
            return
        self._count("confirmed")
        recent = [true["target_temp_room"] for _, true in self._truth]
        if degrees not in recent[-4:] and degrees != self._true()["target_temp_room"]:
            self.judge.false(f"{self.now:.0f} {degrees} was confirmed, the panel has {recent[-4:]}")

    def _count(self, outcome: str) -> None:
        self.commands[outcome] = self.commands.get(outcome, 0) + 1

    async def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.set_right()
        self.simulator.faults.switch_off()

    def _look_at_clock(self) -> None:
        """Note in the evening of a calm day how wrong the panel's clock is."""
        if self.now - max(self._started_at, self._disturbed) > CLOCK_SET:
            local = (self.start + timedelta(seconds=self.clock.monotonic())).astimezone(ZONE)
            wall = local.hour * 3600 + local.minute * 60 + local.second
            panel = self.simulator.panel.settings.clock.seconds
            off = abs((panel - wall + DAY / 2) % DAY - DAY / 2)
            self._clock_off = max(self._clock_off, off)

    def figures(self) -> Mapping[str, object]:
        """Return what became of commands, and how the panel's clock goes."""
        return {
            **super().figures(),
            "mornings": self._mornings,
            "seconds_a_day": self.day,
            "commands": self.commands,
            "panel_clock_off_s": round(self._clock_off),
            "slots": self.simulator.measurements.polls,
        }


def _degrees(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _near(key: str, true: Value | None, shown: Value | None, margin: float) -> bool:
    if isinstance(true, (bool, str)) or isinstance(shown, (bool, str)) or key == "target_temp_room":
        return true == shown
    if isinstance(true, (int, float)) and isinstance(shown, (int, float)):
        return abs(true - shown) <= margin
    return true is None and shown is None
