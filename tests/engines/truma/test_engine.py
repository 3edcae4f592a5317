"""The engine against a scripted panel on a real terminal. Spec c.7 - c.9, e."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from time import monotonic as time_now
from typing import Any
from unittest.mock import patch

import pytest

from hardwired_engines.clock import ManualClock, SystemClock
from hardwired_engines.composite import Part
from hardwired_engines.engine import (
    Command,
    CommandError,
    Direction,
    InvalidCommand,
    LinkError,
    NotConfirmed,
    NotConnected,
    Reason,
    Refused,
    Snapshot,
)
from hardwired_engines.factory import Surroundings
from hardwired_engines.link import StreamPair
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.truma import FACTORY, engine as engine_module, uploads
from hardwired_engines.truma.composites import ROOM, WATER
from hardwired_engines.truma.engine import TrumaEngine
from hardwired_engines.truma.inet.box import Box, Finished, Outcome, Received, SecondBox, Seen
from hardwired_engines.truma.inet.buffers import (
    DOWNLOAD,
    STATUS_LAYOUTS,
    Buffer,
    Group,
    MessageId,
    build_buffer,
)
from hardwired_engines.truma.inet.rules import Terms, completed
from hardwired_engines.truma.installation import AIRCON, HEATER, PANEL
from hardwired_engines.truma.lin.frames import LinFrame, response
from hardwired_engines.truma.lin.transport import split
from hardwired_engines.truma.node.messages import BusFacts, Refresh, Sent, SetOffset, Wish
from hardwired_engines.truma.node.node import ListeningNode
from hardwired_engines.truma.settings import TrumaSettings

from .bus import CLOCK, COMBI, HEATER_OFF, PANEL as PANEL_RECORD, Bus, Panel, Replacement

pytestmark = pytest.mark.slow

_STATUS = STATUS_LAYOUTS[MessageId.HEATER]
HEATING_19 = _STATUS.write(
    {**(_STATUS.read(HEATER_OFF) or {}), "target_temp_room": 2920, "heating_mode": 1}
)
HEAT_19 = Command(HEATER, {"target_temp_room": 19, "heating_mode": "eco"})


class SetClock(SystemClock):
    """The real clock, as a time server has set it."""

    def synchronised(self) -> bool:
        return True


class House:
    def __init__(self, engine: TrumaEngine, bus: Bus, panel: Panel) -> None:
        self.engine = engine
        self.bus = bus
        self.panel = panel

    async def until(self, condition: Callable[[], Any], limit: float = 60) -> None:
        async with asyncio.timeout(limit):
            while not condition():
                await asyncio.sleep(0.01)

    def value(self, key: str, device: str = HEATER) -> Any:
        return self.engine.snapshot.value(device, key)

    async def ready(self) -> House:
        await self.until(lambda: self.engine.snapshot.connected)
        await self.until(lambda: self.value("panel_clock", PANEL) is not None)
        return self


def ignore(_snapshot: Snapshot) -> None:
    """Nobody looks."""


@asynccontextmanager
async def living(settings: Mapping[str, Any] | None = None, **panel: Any) -> AsyncIterator[House]:
    """A house on a real terminal, in real time; settings are collected for a moment only."""
    with patch.object(uploads, "COLLECT_FOR", 0.1):
        async with _living(settings, **panel) as house:
            yield house


@asynccontextmanager
async def _living(settings: Mapping[str, Any] | None, **panel: Any) -> AsyncIterator[House]:
    bus = Bus()
    player = Panel(bus)
    for name, value in panel.items():
        setattr(player, name, value)
    surroundings = Surroundings(clock=SetClock())
    engine = FACTORY.make(TrumaSettings(link=bus.path, **(settings or {})), surroundings)
    tasks = [asyncio.ensure_future(engine.run(ignore)), asyncio.ensure_future(player.run())]
    try:
        yield House(engine, bus, player)
    finally:
        failed = tasks[1].exception() if tasks[1].done() and not tasks[1].cancelled() else None
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, AssertionError):
                await task
        bus.unplug()
        if isinstance(failed, AssertionError):
            raise failed


async def test_all_is_read_without_being_asked() -> None:
    async with living() as house:
        await house.ready()
        assert house.panel.uploads[0].message_id == MessageId.INIT_REQUEST
        assert house.value("target_temp_room") is None
        assert house.value("mains") is True
        assert house.value("operating_status") == "ready_window_closed"
        assert house.value("current_temp_room") == pytest.approx(18.5)
        device = house.engine.snapshot.devices[HEATER].device
        assert device.sw_version is not None
        assert device.via == PANEL


async def test_19_degrees_confirmed() -> None:
    async with living() as house:
        await house.ready()
        await house.engine.execute(HEAT_19)
        (upload,) = house.panel.settings
        assert upload.payload.hex() == "680b01000000000000000101"
        await house.until(lambda: house.value("target_temp_room") == 19)
        assert house.value("heating_mode") == "eco"


async def test_the_state_is_only_what_the_panel_said() -> None:
    async with living(shows=False) as house:
        await house.ready()
        await house.engine.execute(HEAT_19)
        await asyncio.sleep(0.3)
        assert house.value("target_temp_room") is None


async def test_19_degrees_rejected() -> None:
    async with living(result=2) as house:
        await house.ready()
        with pytest.raises(Refused) as caught:
            await house.engine.execute(HEAT_19)
        assert caught.value.key == "rejected"
        assert house.value("target_temp_room") is None


async def test_several_settings_are_one_upload() -> None:
    async with living() as house:
        await house.ready()
        await asyncio.gather(
            house.engine.execute(HEAT_19),
            house.engine.execute(Command(HEATER, {"water_mode": "eco"})),
            house.engine.execute(Command(HEATER, {"energy_mix": "mix"})),
            house.engine.execute(Command(HEATER, {"el_power_level": "1800"})),
        )
        (upload,) = house.panel.settings
        assert upload.payload.hex() == "680b010008073a0c08070303"


async def test_what_is_so_already_is_not_sent() -> None:
    async with living() as house:
        await house.ready()
        await house.engine.execute(Command(HEATER, {"energy_mix": "fuel"}))
        assert house.panel.settings == []


async def test_the_rules_hold_before_anything_is_sent() -> None:
    async with living() as house:
        await house.ready()
        for values in (
            {"target_temp_room": 31},
            {"heating_mode": "night"},
            {"heating_mode": "tropical"},
            {"water_mode": "hot"},
            {"voltage": 12},
            {"colour": 1},
            {"el_power_level": "1000"},
            {"target_temp_room": "warm"},
            {},
        ):
            with pytest.raises(InvalidCommand):
                await house.engine.execute(Command(HEATER, values))
        with pytest.raises(InvalidCommand):
            await house.engine.execute(Command("fridge", {"on": True}))
        with pytest.raises(InvalidCommand):
            await house.engine.execute(Command(HEATER, name="dance"))
        with pytest.raises(NotConnected) as caught:
            await house.engine.execute(Command(AIRCON, {"mode": "cooling"}))
        assert caught.value.key == "no_baseline"
        with pytest.raises(NotConnected):
            await house.engine.execute(Command(HEATER, {"timer": True}))
        await asyncio.sleep(0.3)
        assert house.panel.settings == []


async def test_off_is_all_off() -> None:
    heater = bytes.fromhex("680b01000000000000000101") + HEATER_OFF[12:]
    async with living(heater=heater) as house:
        await house.ready()
        await house.engine.execute(Command(HEATER, {"heating_mode": "off"}))
        assert house.panel.settings[0].payload[:4] == bytes(4)


async def test_an_observer_reads_and_says_nothing() -> None:
    async with living({"observer": True}) as house:
        house.panel.dump()
        await house.ready()
        assert house.panel.answers == []
        with pytest.raises(InvalidCommand) as caught:
            await house.engine.execute(HEAT_19)
        assert caught.value.key == "observer"


async def test_a_panel_that_does_not_call() -> None:
    async with living(registered=False) as house:
        await house.until(lambda: house.engine.responder_facts.headers > 5)
        with pytest.raises(NotConnected) as caught:
            await house.engine.execute(HEAT_19)
        assert caught.value.key == "not_registered"
        assert house.engine.snapshot.reason is Reason.STARTING


async def test_read_all_values() -> None:
    async with living() as house:
        await house.ready()
        before = len(house.panel.uploads)
        await house.engine.execute(Command(PANEL, name="refresh"))
        assert len(house.panel.uploads) > before


async def test_the_clock_is_set_to_local_time() -> None:
    async with living({"time_zone": "Asia/Kolkata"}) as house:
        await house.ready()
        await house.engine.execute(Command(PANEL, {"sync_clock": True}))
        (upload,) = house.panel.settings
        now = datetime.now(UTC) + timedelta(hours=5, minutes=30)
        sent = upload.payload[0] * 60 + upload.payload[1]
        assert (now.hour * 60 + now.minute - sent) % 1440 <= 1
        assert upload.payload[3:] == CLOCK[3:]


# ---------------------------------------------------------------- two never speak


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_responder_that_dies_or_hangs_is_replaced(how: signal.Signals) -> None:
    async with living() as house:
        await house.ready()
        before = house.engine.responder_pid
        assert before is not None
        polled = house.panel.polled
        async with Replacement():
            os.kill(before, how)
            await house.until(lambda: house.engine.responder_pid not in (None, before))
        answered = len(house.panel.answers)
        await house.until(lambda: len(house.panel.answers) > answered)
        assert len(house.panel.answers) <= house.panel.polled
        assert house.panel.polled > polled
        await house.engine.execute(HEAT_19)
        assert len(house.panel.settings) == 1
        assert not house.engine.responder_facts.collisions


async def test_a_responder_that_hangs_while_we_are_busy_is_replaced() -> None:
    """Home Assistant holds our loop up for 0.3 s, again and again."""

    async def hold_up() -> None:
        while True:
            end = time_now() + 0.3
            while time_now() < end:
                pass
            await asyncio.sleep(0.1)

    async with living() as house:
        await house.ready()
        before = house.engine.responder_pid
        assert before is not None
        trouble = asyncio.ensure_future(hold_up())
        try:
            await asyncio.sleep(2)
            assert house.engine.responder_pid == before, "it is not its fault"
            async with Replacement():
                os.kill(before, signal.SIGSTOP)
                await house.until(lambda: house.engine.responder_pid not in (None, before))
        finally:
            trouble.cancel()


async def test_a_command_whose_responder_dies_is_not_confirmed() -> None:
    async with living(acknowledges=False, shows=False) as house:
        await house.ready()
        command = asyncio.ensure_future(house.engine.execute(HEAT_19))
        await house.until(lambda: house.panel.settings)
        assert house.engine.responder_pid is not None
        os.kill(house.engine.responder_pid, signal.SIGKILL)
        with pytest.raises(NotConfirmed):
            await command


async def test_a_port_that_vanishes() -> None:
    async with living() as house:
        await house.ready()
        house.bus.unplug()
        await house.until(lambda: not house.engine.snapshot.connected)
        assert house.engine.snapshot.reason in (Reason.DISCONNECTED, Reason.NOT_FOUND)
        with pytest.raises(CommandError):
            await house.engine.execute(HEAT_19)


async def test_a_port_that_is_busy() -> None:
    async with living() as house:
        await house.ready()
        second = TrumaEngine(TrumaSettings(link=house.bus.path))
        task = asyncio.ensure_future(second.run(ignore))
        await house.until(lambda: second.snapshot.reason is Reason.BUSY)
        task.cancel()
        await asyncio.wait([task])
        assert house.engine.snapshot.connected


# ------------------------------------------------- hours in a moment: a clock turned by hand


class Desk:
    """Stands in for a node: remembers what it is told, tells what the test wants."""

    def __init__(self, **facts: Any) -> None:
        self.facts = {"headers": 1, "headers_for_us": 1, "registered": True, **facts}
        self.commands: list[tuple[tuple[int, ...], Group, dict[str, int]]] = []
        self.terms = Terms()
        self.offsets: list[float] = []
        self.refreshes = 0
        self.tell: Callable[[Any], None] = print
        self.more: Callable[[BusFacts], None] = print
        self.ended: asyncio.Future[None] | None = None

    async def run(self, on_event: Any, on_facts: Any) -> None:
        self.tell, self.more = on_event, on_facts
        on_facts(BusFacts.read(self.facts))
        self.ended = asyncio.get_running_loop().create_future()
        await self.ended

    def beat(self) -> None:
        """Another header for us, so that nobody believes the bus dead."""
        self.facts["headers"] += 1
        self.facts["headers_for_us"] += 1
        self.more(BusFacts.read(self.facts))

    def order(self, order: Wish | Refresh | SetOffset) -> None:
        match order:
            case Wish():
                self.commands.append((tuple(order.parts), order.group, dict(order.values)))
                self.terms = order.terms
            case Refresh():
                self.refreshes += 1
            case SetOffset():
                self.offsets.append(order.seconds)

    async def close(self) -> None:
        """Nothing is held."""


class Slow:
    """An engine on a clock that is turned by hand."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, desk: Desk | None = None, **settings: Any
    ) -> None:
        self.clock = ManualClock(datetime(2026, 3, 28, 12, tzinfo=UTC))
        self.desk = desk or Desk()

        self.configs: list[Mapping[str, Any]] = []

        async def start(config: Mapping[str, Any], _clock: Any) -> Desk:
            self.configs.append(config)
            return self.desk

        monkeypatch.setattr(engine_module.ResponderNode, "start", start)
        surroundings = Surroundings(clock=self.clock)
        self.engine = FACTORY.make(TrumaSettings(link="/dev/tty", **settings), surroundings)
        self.task = asyncio.ensure_future(self.engine.run(ignore))

    async def __aenter__(self) -> Slow:
        await self.clock.advance(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def show(self, number: int, payload: bytes) -> None:
        self.desk.tell(Received(Buffer(number, 0, payload, b"\xff" * 3)))

    def finish(self, outcome: Outcome, result: int | None = None) -> None:
        self.desk.tell(Finished(self.desk.commands[-1][0], outcome, result))

    async def lose(self) -> Mapping[str, Any]:
        """Lose the node; return what the next one is told."""
        assert self.desk.ended is not None
        self.desk.ended.set_exception(LinkError(Reason.FAILED, "it was killed"))
        known = len(self.configs)
        while len(self.configs) == known:
            await self.clock.advance(0.05)
        await self.clock.advance(0)
        return self.configs[-1]

    async def set(self, **values: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(self.engine.execute(Command(HEATER, values)))
        await self.clock.advance(0)
        return task


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slow]:
    async with Slow(monkeypatch) as one:
        one.show(MessageId.HEATER, HEATER_OFF)
        yield one


@pytest.mark.parametrize(
    "outcome, error, key",
    [
        (Outcome.NOT_FETCHED, NotConfirmed, "not_fetched"),
        (Outcome.NOT_CONFIRMED, NotConfirmed, "not_acknowledged"),
        (Outcome.REJECTED, Refused, "rejected"),
    ],
)
async def test_what_became_of_it(
    slow: Slow, outcome: Outcome, error: type[CommandError], key: str
) -> None:
    task = await slow.set(target_temp_room=19)
    await slow.clock.advance(3)
    slow.finish(outcome, 3)
    await slow.clock.advance(0)
    with pytest.raises(error) as caught:
        await task
    assert caught.value.key == key


async def test_wishes_are_collected_for_a_second(slow: Slow) -> None:
    first = await slow.set(target_temp_room=19)
    await slow.clock.advance(0.9)
    second = await slow.set(water_mode="eco")
    assert slow.desk.commands == []
    await slow.clock.advance(0.2)
    assert [fields for _, _, fields in slow.desk.commands] == [
        {"target_temp_room": 2920, "target_temp_water": 3130}
    ]
    slow.finish(Outcome.CONFIRMED)
    await slow.clock.advance(0)
    assert first.done()
    assert second.done()
    await asyncio.gather(first, second)


async def test_of_what_was_collected_only_what_a_later_wish_excludes_is_superseded(
    slow: Slow,
) -> None:
    """The hot water was told as not sent, and the panel had it."""
    target = await slow.set(target_temp_room=19)
    water = await slow.set(water_mode="eco")
    await slow.clock.advance(1)
    box = Box(counter=0, init_request=False, baselines={MessageId.HEATER: HEATER_OFF})
    ((numbers, group, fields),) = slow.desk.commands
    asked = [{"target_temp_room": 2920}, {"target_temp_water": 3130}]
    box.take(group, fields, dict(zip(numbers, asked, strict=True)), 1.0)
    box.command(99, group, {"heating_mode": 0}, 2.0)
    for event in box.events():
        slow.desk.tell(event)
    await slow.clock.advance(0)
    assert target.done()
    assert not water.done()
    with pytest.raises(CommandError) as caught:
        await target
    assert caught.value.key == "wish_superseded"
    slow.desk.tell(Finished((numbers[1],), Outcome.CONFIRMED))
    await water


async def test_what_was_shown_before_the_link_was_lost_may_not_be_so(slow: Slow) -> None:
    """Off, while the owner switched the hot water on meanwhile, was taken for done already."""
    config = await slow.lose()
    assert config["init_request"]
    off = await slow.set(water_mode="off")
    await slow.clock.advance(3)
    assert [fields for _, _, fields in slow.desk.commands] == [{"target_temp_water": 0}]
    slow.finish(Outcome.CONFIRMED)
    await off


async def test_one_upload_in_three_seconds(slow: Slow) -> None:
    """Rule R6."""
    first = await slow.set(target_temp_room=19)
    await slow.clock.advance(1.1)
    slow.finish(Outcome.CONFIRMED)
    await first
    second = await slow.set(target_temp_room=20)
    await slow.clock.advance(2.5)
    assert len(slow.desk.commands) == 1
    await slow.clock.advance(0.5)
    assert len(slow.desk.commands) == 2
    slow.finish(Outcome.CONFIRMED)
    await second


async def test_what_was_so_before_the_last_wish_is_sent(slow: Slow) -> None:
    """Heat, and off again before the panel has shown the heat: off is not "so already"."""
    task = await slow.set(target_temp_room=19)
    await slow.clock.advance(3)
    slow.finish(Outcome.CONFIRMED)
    await task
    again = await slow.set(heating_mode="off")
    await slow.clock.advance(4)
    assert [fields for _, _, fields in slow.desk.commands[1:]] == [{"heating_mode": 0}]
    slow.finish(Outcome.CONFIRMED)
    await again
    slow.show(MessageId.HEATER, HEATER_OFF)
    third = await slow.set(heating_mode="off")
    await slow.clock.advance(4)
    await third
    assert len(slow.desk.commands) == 2, "now it is so already"


async def test_what_was_so_before_the_last_wish_is_known_to_be_taken(slow: Slow) -> None:
    """Heat and off, both taken and not shown: hot water switched the heat on behind them."""
    for values in ({"target_temp_room": 19}, {"heating_mode": "off"}):
        task = await slow.set(**values)
        await slow.clock.advance(4)
        slow.finish(Outcome.CONFIRMED)
        await task
    state = slow.engine.snapshot.devices[HEATER]
    assert slow.engine.expected(state).values["heating_mode"] == "off"
    told = await slow.lose()
    baseline = _STATUS.read(bytes.fromhex(told["baselines"][MessageId.HEATER])) or {}
    assert (baseline["target_temp_room"], baseline["heating_mode"]) == (0, 0)


async def test_on_again_before_off_is_shown(slow: Slow) -> None:
    """It was shown as on still, so that nothing was sent: off was what came of it."""
    slow.show(MessageId.HEATER, HEATING_19[:6] + b"\x3a\x0c" + HEATING_19[8:])
    engine = slow.engine
    off = await slow.set(heating_mode="off", water_mode="off")
    for _ in range(3):
        await slow.clock.advance(1)
        state = engine.expected(engine.snapshot.devices[HEATER])
        assert state.values["heating_mode"] == "off"
        assert ROOM.write([(Part.MODE, "heat")], state) == {"target_temp_room": 19}
        assert WATER.write([(Part.POWER, "ON")], state) == {"water_mode": "eco"}
    slow.finish(Outcome.CONFIRMED)
    await off
    state = engine.expected(engine.snapshot.devices[HEATER])
    assert ROOM.write([(Part.MODE, "heat")], state) == {"target_temp_room": 19}
    assert engine.snapshot.devices[HEATER].values["heating_mode"] == "eco", "a fact, not a wish"
    slow.show(MessageId.HEATER, HEATER_OFF)
    state = engine.snapshot.devices[HEATER]
    assert engine.expected(state) is state


COOLING = {"mode": 5, "vent": 0x71, "on": 1, "target_temp": 2950}
_AIR = STATUS_LAYOUTS[MessageId.AC_MANUAL]


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_what_goes_with_a_wish_that_is_not_shown_yet(slow: Slow, acknowledged: bool) -> None:
    """The air conditioner is switched on, then its fan set: the panel tells of it once a minute."""
    slow.show(MessageId.AC_MANUAL, _AIR.write({**COOLING, "mode": 0, "target_temp": 0}))
    on = asyncio.ensure_future(slow.engine.execute(Command(AIRCON, {"mode": "cooling"})))
    await slow.clock.advance(3)
    if acknowledged:
        slow.finish(Outcome.CONFIRMED)
        await on
    fan = asyncio.ensure_future(slow.engine.execute(Command(AIRCON, {"vent": "high"})))
    await slow.clock.advance(4)
    assert slow.desk.commands[-1][2] == {"vent": 0x73}
    slow.desk.tell(
        Finished(
            tuple(number for numbers, _, _ in slow.desk.commands for number in numbers),
            Outcome.CONFIRMED,
        )
    )
    await asyncio.gather(on, fan)


async def test_an_air_conditioner_is_switched_on_at_the_target_that_it_had(slow: Slow) -> None:
    """Off, the panel shows no target; it came on again at 22 degrees, whatever was set before."""
    off = _AIR.write({**COOLING, "mode": 0, "target_temp": 0})
    slow.show(MessageId.AC_MANUAL, _AIR.write({**COOLING, "target_temp": 2910}))
    slow.show(MessageId.AC_MANUAL, off)

    async def target_of(**values: Any) -> int:
        task = asyncio.ensure_future(slow.engine.execute(Command(AIRCON, values)))
        await slow.clock.advance(4)
        _, group, fields = slow.desk.commands[-1]
        shown = _AIR.read(off) or {}
        slow.finish(Outcome.CONFIRMED)
        await task
        return completed(group, fields, shown, slow.desk.terms)["target_temp"]

    assert await target_of(mode="cooling") == 2910
    assert await target_of(mode="off", target_temp=26) == 2990
    slow.show(MessageId.AC_MANUAL, off)
    assert await target_of(mode="cooling") == 2990


async def test_a_wish_that_failed_is_not_expected(slow: Slow) -> None:
    slow.show(MessageId.AC_MANUAL, _AIR.write({**COOLING, "mode": 0, "target_temp": 0}))
    on = asyncio.ensure_future(slow.engine.execute(Command(AIRCON, {"mode": "cooling"})))
    await slow.clock.advance(3)
    slow.finish(Outcome.NOT_FETCHED)
    with pytest.raises(NotConfirmed):
        await on
    with pytest.raises(InvalidCommand) as caught:
        await slow.engine.execute(Command(AIRCON, {"vent": "high"}))
    assert caught.value.key == "vent_of_mode"


async def test_the_next_responder_knows_what_was_taken(slow: Slow) -> None:
    task = await slow.set(target_temp_room=19)
    await slow.clock.advance(3)
    slow.finish(Outcome.CONFIRMED)
    await task
    told = await slow.lose()
    shown = _STATUS.read(bytes.fromhex(told["baselines"][MessageId.HEATER])) or {}
    assert (shown["target_temp_room"], shown["heating_mode"]) == (2920, 1)


@pytest.mark.parametrize("outcome", [None, Outcome.CONFIRMED, Outcome.NOT_FETCHED])
async def test_the_last_target_is_the_last_that_was_wished(
    slow: Slow, outcome: Outcome | None
) -> None:
    """22 degrees, then the fan: what turns the heating on again must not bring back the 19."""
    slow.show(MessageId.HEATER, HEATING_19)
    slow.show(MessageId.HEATER, HEATER_OFF)
    task = await slow.set(target_temp_room=22)
    await slow.clock.advance(3)
    if outcome is not None:
        slow.finish(outcome)
        await asyncio.gather(task, return_exceptions=True)
    state = slow.engine.snapshot.devices[HEATER]
    assert state.values["heating_mode"] == "off", "not shown yet"
    target = ROOM.write([(Part.FAN_MODE, "high")], state)["target_temp_room"]
    assert target == (19 if outcome is Outcome.NOT_FETCHED else 22)
    task.cancel()


@pytest.mark.parametrize("shown", [True, False])
async def test_a_status_that_was_lost_is_asked_for(slow: Slow, shown: bool) -> None:
    """The panel shows once what it has taken; it would be the old target for ever."""
    task = await slow.set(target_temp_room=19)
    await slow.clock.advance(3)
    slow.finish(Outcome.CONFIRMED)
    await task
    assert slow.desk.refreshes == 0
    if shown:
        warm = (2920).to_bytes(2, "little") + b"\1\0" + HEATER_OFF[4:]
        slow.show(MessageId.HEATER, warm)
    for _ in range(4):
        await slow.clock.advance(10)
    assert slow.desk.refreshes == (0 if shown else 1)


@pytest.mark.parametrize(
    "code, target, mode",
    [(0, None, "off"), (3130, 40.0, "eco"), (3330, 60.0, "high"), (4730, None, "boost")],
)
async def test_the_waters_target(slow: Slow, code: int, target: float | None, mode: str) -> None:
    """Boost has no temperature: 200 °C is only its code."""
    slow.show(MessageId.HEATER, HEATER_OFF[:6] + code.to_bytes(2, "little") + HEATER_OFF[8:])
    await slow.clock.advance(1)
    snapshot = slow.engine.snapshot
    assert snapshot.value(HEATER, "target_temp_water") == target
    assert snapshot.value(HEATER, "water_mode") == mode


@pytest.mark.parametrize(
    "flags, text", [(4, "window_closed"), (6, "mains_window_closed"), (8, None), (255, None)]
)
async def test_the_operating_status_is_three_bits(slow: Slow, flags: int, text: str | None) -> None:
    slow.show(MessageId.HEATER, HEATER_OFF[:16] + bytes((flags,)) + HEATER_OFF[17:])
    await slow.clock.advance(1)
    assert slow.engine.snapshot.value(HEATER, "operating_status") == text


async def test_the_earlier_of_two_wishes_that_exclude_each_other_is_told(slow: Slow) -> None:
    """Issue 12, number 5: its caller believed that it had been carried out."""
    slow.show(MessageId.HEATER, (2950).to_bytes(2, "little") + b"\1\0" + HEATER_OFF[4:])
    first = await slow.set(target_temp_room=19)
    second = await slow.set(heating_mode="off")
    await slow.clock.advance(3)
    with pytest.raises(CommandError) as caught:
        await first
    assert caught.value.key == "wish_superseded"
    assert slow.desk.commands[-1][2] == {"heating_mode": 0}
    slow.finish(Outcome.CONFIRMED)
    await second


@pytest.mark.parametrize(
    "values, key",
    [
        ({"target_temp_room": 3}, "room_out_of_range"),
        ({"target_temp_room": 21.5}, "whole_degrees"),
        ({"energy_mix": "fuel", "el_power_level": "900"}, "fuel_with_power"),
        ({"energy_mix": "mix", "el_power_level": "0"}, "electricity_without_power"),
        ({"heating_mode": "off", "target_temp_room": 20}, "off_with_target"),
        ({"heating_mode": "eco", "target_temp_room": 0}, "off_with_target"),
    ],
)
async def test_what_would_have_to_be_changed_is_refused(
    slow: Slow, values: dict[str, Any], key: str
) -> None:
    """Issue 12, number 5."""
    with pytest.raises(InvalidCommand) as caught:
        await slow.engine.execute(Command(HEATER, values))
    assert caught.value.key == key
    await slow.clock.advance(3)
    assert slow.desk.commands == []


async def test_what_the_panel_shows_by_then_may_forbid_it(slow: Slow) -> None:
    task = await slow.set(target_temp_room=19)
    await slow.clock.advance(3)
    numbers = slow.desk.commands[-1][0]
    slow.desk.tell(Finished(numbers, Outcome.RULED_OUT, None, "vent_of_mode", "", {"vents": "low"}))
    with pytest.raises(InvalidCommand) as caught:
        await task
    assert caught.value.key == "vent_of_mode"
    assert str(caught.value).startswith("In this mode the fan of the air conditioner is: low.")


async def test_an_observer_whom_nobody_calls_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 12, number 4: it was connected, with nothing to show."""
    desk = Desk(headers_for_us=0, registered=False)
    async with Slow(monkeypatch, desk, observer=True) as slow:
        for _ in range(70):
            desk.facts["headers"] += 1
            desk.more(BusFacts.read(desk.facts))
            await slow.clock.advance(1)
        now = slow.engine.snapshot
        assert (now.connected, now.reason) == (False, Reason.NOT_REGISTERED)
        assert [notice.key for notice in now.notices] == ["not_polled"]
        frame = LinFrame(0xD6, bytes.fromhex("00075a0b7c0b1d85"))
        desk.tell(Seen(frame))
        await slow.clock.advance(1)
        now = slow.engine.snapshot
        assert now.connected, "it shows what the heater says of itself"
        assert [notice.key for notice in now.notices] == ["not_polled"]


async def test_devices_are_there_after_a_restart() -> None:
    """Issue 12, number 9: as unavailable, with what was learned before."""
    storage = MemoryStorage()
    surroundings = Surroundings(storage=storage)
    first = FACTORY.make(TrumaSettings(link="/dev/none"), surroundings)
    for number, payload in (
        (MessageId.DEVICE, PANEL_RECORD), (MessageId.DEVICE, COMBI), (MessageId.HEATER, HEATER_OFF),
    ):  # fmt: skip
        first._take_buffer(Buffer(number, 0, payload, b""))
    again = FACTORY.make(TrumaSettings(link="/dev/none"), surroundings)
    again._publish()
    before, now = first.snapshot.devices, again.snapshot.devices
    assert set(now) == {PANEL, HEATER}
    for key, state in now.items():
        assert state.device == before[key].device
        assert set(state.values) >= set(before[key].values) - {"error"}
        assert not state.available
    assert set(now[HEATER].values.values()) == {None}


@pytest.mark.parametrize(
    "stored",
    [
        {"records": 3, "values": "x"}, {"records": {"0": 7, "1": "zz", "2": "00"}},
        {"values": {"heater": [1, {}, "colour"], "fridge": ["on"], "aircon": {"mode": 1}}},
        {"target_temp_room": float("nan"), "mode": ["off"]}, {"target_temp_room": 10**400},
        {"records": [1], "values": {"heater": None}}, {"target_temp_room": float("inf")},
    ],
)  # fmt: skip
def test_what_is_damaged_in_the_storage_is_left_aside(stored: dict[str, Any]) -> None:
    """Issue 13, number 9."""
    storage = MemoryStorage()
    storage.data = stored
    engine = FACTORY.make(TrumaSettings(link="/dev/none"), Surroundings(storage=storage))
    engine._publish()
    assert set(engine.snapshot.devices) <= {PANEL, HEATER}
    assert engine.installation.last == {}


@pytest.mark.parametrize("year", [1970, 2024, 2038, 2100])
async def test_a_clock_that_is_not_set_is_written_into_no_panel(
    monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    """Issue 13, number 8."""
    async with Slow(monkeypatch, **BERLIN) as slow:
        await keep_awake(slow, 60)
        slow.clock.set_wall(datetime(year, 1, 1, 12, tzinfo=UTC))
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert slow.desk.commands == []
        with pytest.raises(InvalidCommand, match=str(year)) as caught:
            await slow.engine.execute(Command(PANEL, name="sync_clock"))
        assert caught.value.key == "clock_not_set"
        # Set at last: looked at with the next status, not a day later.
        slow.clock.set_wall(datetime(2026, 2, 1, 12, tzinfo=UTC))
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert [group for _, group, _ in slow.desk.commands] == [Group.CLOCK]


def doubtful(slow: Slow) -> bool:
    return "clock_doubtful" in {notice.key for notice in slow.engine.snapshot.notices}


async def test_a_clock_that_no_server_has_set_is_written_into_no_panel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Issue 13, number 8: by itself, or to "now"; a time of the owner's own is the owner's."""
    async with Slow(monkeypatch, **BERLIN) as slow:
        slow.clock.is_synchronised = False
        slow.show(MessageId.CLOCK, CLOCK)
        await keep_awake(slow, 240)
        assert not doubtful(slow), "a time server may need a while after the start"
        await keep_awake(slow, 120)
        assert doubtful(slow)
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert slow.desk.commands == []
        for command in (Command(PANEL, name="sync_clock"), Command(PANEL, {"sync_clock": True})):
            with pytest.raises(InvalidCommand, match="does not know") as caught:
                await slow.engine.execute(command)
            assert caught.value.key == "clock_not_synchronised"
        assert slow.desk.commands == []

        told = Command(PANEL, name="sync_clock", options={"time": time(3)})
        task = asyncio.ensure_future(slow.engine.execute(told))
        await slow.clock.advance(0.1)
        slow.finish(Outcome.CONFIRMED)
        await task

        slow.clock.is_synchronised = True
        await keep_awake(slow, 30)
        assert not doubtful(slow)
        slow.clock.set_wall(slow.clock.now() + timedelta(days=1))
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert [group for _, group, _ in slow.desk.commands] == [Group.CLOCK] * 2


@pytest.mark.parametrize("known", [True, None])
async def test_a_system_that_can_not_say_is_judged_by_the_year(
    monkeypatch: pytest.MonkeyPatch, known: bool | None
) -> None:
    async with Slow(monkeypatch, **BERLIN) as slow:
        slow.clock.is_synchronised = known
        await keep_awake(slow, 60)
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert [group for _, group, _ in slow.desk.commands] == [Group.CLOCK]


async def test_the_owner_may_trust_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock module or a GPS: the system does not know how right it is."""
    async with Slow(monkeypatch, **BERLIN, trust_clock=True) as slow:
        slow.clock.is_synchronised = False
        await keep_awake(slow, 400)
        assert not doubtful(slow)
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        assert [group for _, group, _ in slow.desk.commands] == [Group.CLOCK]


async def test_nobody_is_told_of_a_clock_that_is_not_kept(slow: Slow) -> None:
    slow.clock.is_synchronised = False
    await keep_awake(slow, 400)
    assert not doubtful(slow)


async def test_raw_codes_of_the_clock_go_with_the_time_that_has_passed(slow: Slow) -> None:
    """What inetbox.py sets (g.4) and no value of ours stands for: the clock does not go back."""
    slow.show(MessageId.CLOCK, CLOCK)
    await slow.clock.advance(50)
    slow.desk.beat()
    wish = Command(PANEL, {"clock_mode": 1}, name="upload", options={"group": "clock"})
    task = asyncio.ensure_future(slow.engine.execute(wish))
    await slow.clock.advance(0.1)
    ((_, group, fields),) = slow.desk.commands
    assert group is Group.CLOCK
    assert fields == {"hours": 10, "minutes": 21, "seconds": 20, "clock_mode": 1}
    slow.finish(Outcome.CONFIRMED)
    await slow.clock.advance(0)
    assert await task == {}


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("heater", {"target_temp_room": 2930}),
        ("clock", {}),
        ("clock", {"century": 1}),
        ("clock", {"clock_mode": 256}),
        ("clock", {"clock_mode": True}),
        ("timer", {"energy_mix": -1}),
    ],
)
async def test_raw_codes_that_the_panel_can_not_take(
    slow: Slow, group: str, values: dict[str, Any]
) -> None:
    wish = Command(PANEL, values, name="upload", options={"group": group})
    with pytest.raises(InvalidCommand):
        await slow.engine.execute(wish)
    assert slow.desk.commands == []


async def test_a_node_that_never_answers(slow: Slow) -> None:
    task = await slow.set(target_temp_room=19)
    for _ in range(200):
        slow.desk.beat()
        await slow.clock.advance(1)
    with pytest.raises(NotConfirmed):
        await task


async def test_a_mode_switched_on_takes_the_last_target(slow: Slow) -> None:
    """Spec R2: in Home Assistant, the last target that was not off."""
    warm = (2950).to_bytes(2, "little") + b"\1\0" + HEATER_OFF[4:]
    slow.show(MessageId.HEATER, warm)
    slow.show(MessageId.HEATER, HEATER_OFF)
    task = await slow.set(heating_mode="eco")
    await slow.clock.advance(3)
    assert slow.desk.commands[-1][2] == {"heating_mode": 1}
    assert slow.desk.terms.default_target == 2950
    slow.finish(Outcome.CONFIRMED)
    await task


async def test_an_impossible_temperature_is_unknown_and_logged_once(
    slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    """Spec d.13; the water's boost is none of these."""
    boost = (4730).to_bytes(2, "little")
    hot = HEATER_OFF[:6] + boost + HEATER_OFF[8:12] + (4001).to_bytes(2, "little") + HEATER_OFF[14:]
    for _ in range(3):
        slow.show(MessageId.HEATER, HEATER_OFF)
        slow.show(MessageId.HEATER, hot)
    await slow.clock.advance(0.1)
    assert slow.engine.snapshot.value("heater", "current_temp_water") is None
    told = [one.getMessage() for one in caplog.records if "temperature" in one.getMessage()]
    assert told == ["current_temp_water can't be a temperature: code 4001 is taken for unknown"]


@pytest.mark.parametrize(
    "facts, wait, reason",
    [
        ({"headers": 0, "registered": False, "headers_for_us": 0}, 20, Reason.STARTING),
        ({"headers": 0, "registered": False, "headers_for_us": 0}, 120, Reason.SILENT),
        (
            {"headers": 0, "registered": False, "headers_for_us": 0, "bytes": 500},
            120,
            Reason.NOISE,
        ),
    ],
)
async def test_silence_has_a_reason(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], wait: float, reason: Reason
) -> None:
    async with Slow(monkeypatch, Desk(**facts)) as slow:
        await slow.clock.advance(wait)
        assert slow.engine.snapshot.reason is reason
        with pytest.raises(NotConnected):
            await slow.engine.execute(HEAT_19)


async def test_not_registered_after_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(headers_for_us=0, registered=False)
    async with Slow(monkeypatch, desk) as slow:
        for _ in range(13):
            desk.facts["headers"] += 100
            desk.more(BusFacts.read(desk.facts))
            await slow.clock.advance(10)
        assert slow.engine.snapshot.reason is Reason.NOT_REGISTERED


async def test_a_sleeping_bus_is_no_loss(slow: Slow) -> None:
    await slow.clock.advance(60)
    assert slow.engine.snapshot.connected
    await slow.clock.advance(60)
    assert slow.engine.snapshot.reason is Reason.SILENT
    assert not slow.engine.snapshot.devices[HEATER].available
    slow.desk.beat()
    await slow.clock.advance(1)
    assert slow.engine.snapshot.connected


async def test_what_was_told_before_a_long_silence_is_not_shown_after_it(slow: Slow) -> None:
    slow.show(MessageId.HEATER, HEATING_19)
    assert slow.engine.snapshot.value(HEATER, "target_temp_room") == 19
    await slow.clock.advance(89)
    assert slow.desk.refreshes == 0
    await slow.clock.advance(300)
    assert slow.desk.refreshes == 1
    slow.desk.beat()
    await slow.clock.advance(1)
    heater = slow.engine.snapshot.devices[HEATER]
    assert heater.available
    assert {value for key, value in heater.values.items() if key != "error"} == {None}
    with pytest.raises(NotConnected) as caught:
        await slow.engine.execute(HEAT_19)
    assert caught.value.key == "no_baseline"
    slow.show(MessageId.HEATER, HEATER_OFF)
    assert slow.engine.snapshot.value(HEATER, "heating_mode") == "off"


async def test_an_observer_forgets_after_a_long_silence_and_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Slow(monkeypatch, observer=True) as slow:
        slow.show(MessageId.HEATER, HEATING_19)
        await slow.clock.advance(120)
        slow.desk.beat()
        await slow.clock.advance(1)
        assert slow.engine.snapshot.value(HEATER, "target_temp_room") is None
        assert slow.desk.refreshes == 0


@pytest.mark.parametrize("seconds, shown", [(5, 19.0), (60, None)])
async def test_what_was_told_before_the_port_was_gone(
    slow: Slow, seconds: float, shown: float | None
) -> None:
    slow.show(MessageId.HEATER, HEATING_19)
    unplugged = slow.clock.monotonic()

    async def start(config: Mapping[str, Any], _clock: Any) -> Desk:
        if slow.clock.monotonic() < unplugged + seconds:
            raise LinkError(Reason.NOT_FOUND, "unplugged")
        slow.configs.append(config)
        return slow.desk

    with patch.object(engine_module.ResponderNode, "start", start):
        await slow.lose()
    slow.desk.beat()
    await slow.clock.advance(1)
    assert slow.engine.snapshot.devices[HEATER].available
    assert slow.engine.snapshot.value(HEATER, "target_temp_room") == shown


async def test_a_second_box_is_told(slow: Slow) -> None:
    slow.desk.tell(SecondBox())
    slow.desk.facts["second_box"] = True
    slow.desk.beat()
    assert slow.engine.snapshot.reason is Reason.SECOND_MASTER
    slow.desk.facts["second_box"] = False
    slow.desk.beat()
    assert slow.engine.snapshot.connected


async def test_the_next_responder_keeps_the_rest_of_the_silence(slow: Slow) -> None:
    """Whether it was told or counted: who comes after does not talk another box over."""
    assert slow.configs[-1]["quiet_for"] == 0
    slow.desk.tell(SecondBox())
    await slow.clock.advance(20)
    config = await slow.lose()
    assert config["quiet_for"] == pytest.approx(40, abs=1)
    slow.desk.facts["quiet_for"] = 55.0  # the other one was heard again
    slow.desk.beat()
    await slow.clock.advance(10)
    del slow.desk.facts["quiet_for"]
    config = await slow.lose()
    assert config["quiet_for"] == pytest.approx(45, abs=1)
    await slow.clock.advance(60)
    assert (await slow.lose())["quiet_for"] == 0


def notices(slow: Slow) -> dict[str, Mapping[str, str]]:
    return {notice.key: notice.placeholders for notice in slow.engine.snapshot.notices}


async def test_bus_quality_is_told_once_and_forgotten(
    slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    """Spec c.9: more than 20 % bad frames in a minute."""
    caplog.set_level(logging.INFO)

    async def minute(sound: int, damaged: int, seconds: int = 60) -> None:
        facts = slow.desk.facts
        for _ in range(seconds):
            facts["frames"] = facts.get("frames", 0) + sound
            facts["checksum_errors"] = facts.get("checksum_errors", 0) + damaged
            slow.desk.beat()
            await slow.clock.advance(1)

    def told() -> list[str]:
        return [one.levelname for one in caplog.records if "bus quality" in one.message]

    await minute(17, 3)
    assert not notices(slow)
    await minute(15, 5)
    poor = notices(slow)["bus_quality"]
    assert int(poor["damaged"]) / int(poor["frames"]) == pytest.approx(0.25, abs=0.02)
    await minute(15, 5)
    assert told() == ["WARNING"]
    await minute(17, 3)
    assert notices(slow), "not good yet"
    await minute(19, 1)
    assert not notices(slow)
    assert told() == ["WARNING", "INFO"]
    quality = slow.engine.diagnostics()["bus_quality"]
    assert (quality["times"], quality["much"]) == (1, False)


async def test_a_responder_that_is_too_slow_is_told_for_ten_minutes(slow: Slow) -> None:
    """Spec h: more than 1 % in ten minutes, late or left out."""
    facts = slow.desk.facts

    async def minutes(count: int, **more: int) -> None:
        for _ in range(count):
            for name, number in {"answered": 100, **more}.items():
                facts[name] = facts.get(name, 0) + number
            slow.desk.beat()
            await slow.clock.advance(60)

    await minutes(10, late=1)
    assert not notices(slow), "1 % is not more"
    await minutes(3, late=2, skipped=1)
    assert list(notices(slow)) == ["too_slow"]
    for name in ("answered", "late", "skipped"):
        facts[name] = 0  # a new responder counts anew
    await slow.lose()
    slow.desk.beat()
    assert notices(slow), "the ten minutes go on"
    await minutes(11)
    assert not notices(slow)


async def test_frames_bear_the_time_at_which_they_were_heard(slow: Slow) -> None:
    frame = LinFrame(0xD6, bytes(8))
    now = slow.clock.now()
    slow.desk.tell(Seen(frame, 0.12))
    slow.desk.tell(Sent(frame, 0.02))
    heard, said = tuple(slow.engine.frames)[-2:]
    assert (now - heard.time, now - said.time) == (
        timedelta(seconds=0.12),
        timedelta(seconds=0.02),
    )
    assert (heard.direction, said.direction) == (Direction.IN, Direction.OUT)
    assert heard.data == said.data == b"\xd6" + bytes(8)


def panel_clock(text: str) -> bytes:
    return bytes(int(part) for part in text.split(":")) + CLOCK[3:]


async def keep_awake(slow: Slow, seconds: float) -> None:
    for _ in range(int(seconds // 30)):
        slow.desk.beat()
        await slow.clock.advance(30)


BERLIN = {"clock_sync": True, "time_zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    "now, panel, sets",
    [
        ("12:00", "13:00:30", False),
        ("12:00", "13:05:00", True),
        ("23:00", "23:59:40", False),
        ("22:59", "00:00:00", False),
        ("23:00", "00:00:40", False),
        ("12:00", "12:00:00", True),
    ],
)
async def test_clocks_are_compared_around_midnight(
    monkeypatch: pytest.MonkeyPatch, now: str, panel: str, sets: bool
) -> None:
    """UTC + 1 h; a minute's difference is borne, also at full hours."""
    async with Slow(monkeypatch, **BERLIN) as slow:
        await keep_awake(slow, 60)
        hour, minute = (int(part) for part in now.split(":"))
        slow.clock.set_wall(datetime(2026, 2, 1, hour, minute, tzinfo=UTC))
        slow.show(MessageId.CLOCK, panel_clock(panel))
        await slow.clock.advance(0.1)
        assert bool(slow.desk.commands) is sets
        if sets:
            assert slow.desk.commands[-1][1:] == (Group.CLOCK, {})
            assert slow.desk.offsets == [3600]


@pytest.mark.parametrize("number, size", [(0x15, 3), (0x33, 12), (0x35, 1), (0x3D, 23), (0x0B, 1)])
async def test_a_buffer_that_is_too_short_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, number: int, size: int
) -> None:
    async with Slow(monkeypatch, **BERLIN) as slow:
        await keep_awake(slow, 60)
        slow.show(MessageId.HEATER, HEATER_OFF)
        slow.show(number, b"\1" * size)
        await slow.clock.advance(0.1)
        assert slow.task.done() is False
        assert slow.desk.commands == []
        assert (await slow.lose())["baselines"] == {MessageId.HEATER: HEATER_OFF.hex()}


async def test_the_clock_is_looked_at_daily_and_when_summer_time_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Slow(monkeypatch, **BERLIN) as slow:
        slow.show(MessageId.CLOCK, panel_clock("01:02:03"))
        await slow.clock.advance(0.1)
        assert slow.desk.commands == [], "not within 30 s of the start"
        await keep_awake(slow, 60)
        slow.clock.set_wall(datetime(2026, 3, 28, 13, tzinfo=UTC))
        slow.show(MessageId.CLOCK, panel_clock("14:00:00"))
        await keep_awake(slow, 60)
        slow.show(MessageId.CLOCK, panel_clock("03:30:00"))
        await slow.clock.advance(0.1)
        assert slow.desk.commands == [], "looked at today already"
        slow.clock.set_wall(datetime(2026, 3, 29, 1, 30, tzinfo=UTC))
        slow.show(MessageId.CLOCK, panel_clock("02:30:00"))
        await slow.clock.advance(0.1)
        assert [group for _, group, _ in slow.desk.commands] == [Group.CLOCK]
        assert slow.desk.offsets == [7200]
        slow.finish(Outcome.CONFIRMED)
        await slow.clock.advance(0.1)
        slow.clock.set_wall(datetime(2026, 3, 30, 2, tzinfo=UTC))
        slow.show(MessageId.CLOCK, panel_clock("09:00:00"))
        await slow.clock.advance(5)
        assert len(slow.desk.commands) == 2


async def test_the_clock_is_set_to_a_time_that_is_wished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on from there until it is sent, and is left alone until the next day."""
    async with Slow(monkeypatch, **BERLIN) as slow:
        await keep_awake(slow, 60)
        slow.show(MessageId.CLOCK, CLOCK)
        await slow.clock.advance(0.1)
        slow.finish(Outcome.CONFIRMED)  # the first look at the clock has set it
        for utc, wished, ahead in (
            (time(12), time(15, 30), 3.5 * 3600),
            (time(23, 59, 50), time(0, 10), 610),
            (time(0, 5), time(23, 55), -600),
        ):
            slow.clock.set_wall(datetime.combine(date(2026, 2, 1), utc, UTC))
            command = Command(PANEL, name="sync_clock", options={"time": wished})
            task = asyncio.ensure_future(slow.engine.execute(command))
            await slow.clock.advance(0.1)
            assert slow.desk.offsets[-1] == ahead
            assert slow.desk.commands[-1][1:] == (Group.CLOCK, {})
            slow.show(MessageId.CLOCK, panel_clock(wished.isoformat()))
            slow.finish(Outcome.CONFIRMED)
            await task
        known = len(slow.desk.commands)
        await keep_awake(slow, 60)
        slow.show(MessageId.CLOCK, panel_clock("05:00:00"))
        await slow.clock.advance(5)
        assert len(slow.desk.commands) == known, "it was wished so"
        slow.clock.set_wall(datetime(2026, 2, 2, 0, 10, tzinfo=UTC))
        slow.show(MessageId.CLOCK, panel_clock("05:00:00"))
        await slow.clock.advance(0.1)
        assert len(slow.desk.commands) == known + 1
        assert slow.desk.offsets[-1] == 3600


async def test_a_wished_time_that_was_refused_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Slow(monkeypatch, **BERLIN) as slow:
        slow.show(MessageId.CLOCK, CLOCK)
        command = Command(PANEL, name="sync_clock", options={"time": time(3)})
        task = asyncio.ensure_future(slow.engine.execute(command))
        await slow.clock.advance(0.1)
        slow.finish(Outcome.REJECTED, 2)
        with pytest.raises(Refused):
            await task
        await keep_awake(slow, 60)
        slow.show(MessageId.CLOCK, panel_clock("03:00:00"))
        await slow.clock.advance(0.1)
        assert len(slow.desk.commands) == 2
        assert slow.desk.offsets[-1] == 3600
        with pytest.raises(InvalidCommand):
            await slow.engine.execute(
                Command(PANEL, name="sync_clock", options={"time": "three o'clock"})
            )


@pytest.mark.parametrize(
    "command",
    [
        Command(PANEL, name="sync_clock"),
        Command(PANEL, {"sync_clock": True}),
        Command(PANEL, {"clock_mode": 1}, name="upload", options={"group": "clock"}),
    ],
)
async def test_nothing_is_written_into_an_alde_panel(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Its clock was set, though nobody knows how (d.12)."""
    async with Slow(monkeypatch, clock_sync=True, trust_clock=True) as slow:
        slow.desk.tell(Seen(LinFrame(0x5B, bytes.fromhex("d20aff7fff7f0000"))))
        for _ in range(3):
            slow.show(MessageId.CLOCK, bytes.fromhex("030405ffffff000100ff"))
            slow.desk.beat()
            await slow.clock.advance(20)
        asked = asyncio.ensure_future(slow.engine.execute(command))
        await slow.clock.advance(5)
        assert slow.desk.commands == []
        with pytest.raises(InvalidCommand) as caught:
            await asked
        assert caught.value.key == "alde_read_only"


async def test_the_clock_is_left_alone_unless_wished(slow: Slow) -> None:
    await keep_awake(slow, 60)
    slow.show(MessageId.CLOCK, panel_clock("01:02:03"))
    await slow.clock.advance(5)
    assert slow.desk.commands == []


# ------------------------------------------------------------------- listening to a stream


async def test_a_network_port_is_only_listened_to() -> None:
    for url in ("socket://gateway:5000", "rfc2217://gateway:5000", "esphome://box"):
        assert TrumaSettings(link=url).listens_only
    assert not TrumaSettings(link="/dev/serial0").listens_only


async def test_a_listening_node_hears_and_says_nothing() -> None:
    clock, pair = ManualClock(), StreamPair()
    node = ListeningNode(pair.near, clock)
    heard: list[Any] = []
    facts: list[BusFacts] = []
    task = asyncio.ensure_future(node.run(heard.append, facts.append))
    bus = Bus()
    try:
        await pair.far.write(b"\0\x55\xd6" + response(0xD6, bytes(8)) + b"\0\x55\xd8")
        await clock.advance(0.1)
        await clock.advance(0.6)
        assert len(heard) == 1
        assert facts[-1].headers == 2
        node.order(Wish(Group.HEATER, {}, {1: {}}))
        node.order(Refresh())
        node.order(SetOffset(1))
        reader = asyncio.ensure_future(pair.far.read())
        await clock.advance(1)
        assert not reader.done()
        await pair.far.close()
        await clock.advance(0.3)
        with pytest.raises(LinkError):
            await task
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkError):
            await reader
    finally:
        bus.unplug()


@pytest.mark.parametrize("breaks", [b"\0", b"\0\0", b""])
@pytest.mark.parametrize("pause", [0.03, 0.2, 0.9])
async def test_a_network_brings_the_bus_in_lumps(pause: float, breaks: bytes) -> None:
    """Spec a.3, b.1: an observer over a network hears all, wherever the lumps are cut.

    Some adapters deliver nothing of a break.
    """
    clock, pair = ManualClock(), StreamPair()
    node = ListeningNode(pair.near, clock)
    heard: list[Any] = []
    facts: list[BusFacts] = []
    task = asyncio.ensure_future(node.run(heard.append, facts.append))
    random = Random(1)
    download = split(3, build_buffer(DOWNLOAD, MessageId.CLOCK, 0, CLOCK))
    slots = [(0xD6, bytes(8)), (0xD8, None), *((0x3C, frame) for frame in download), (0x7D, None)]
    slots += [(0x49, None), (0x97, None), (0x61, b"\x55\xd8" + bytes(6))]
    wire = b"".join(
        breaks + bytes((0x55, pid)) + (b"" if data is None else response(pid, data))
        for _ in range(3)
        for pid, data in slots
    )
    while wire:
        size = random.randint(1, 40)
        await pair.far.write(wire[:size])
        wire = wire[size:]
        await clock.advance(pause)
    assert len([one for one in heard if isinstance(one, Received)]) == 3
    assert len([one for one in heard if isinstance(one, Seen)]) == 3 * 9
    await clock.advance(1.5)
    assert (facts[-1].headers, facts[-1].checksum_errors) == (3 * len(slots), 0)
    task.cancel()
    await asyncio.wait([task])


async def test_no_such_port() -> None:
    engine = TrumaEngine(TrumaSettings(link="/dev/does-not-exist"))
    task = asyncio.ensure_future(engine.run(ignore))
    async with asyncio.timeout(60):
        while engine.snapshot.reason is not Reason.NOT_FOUND:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"link": ""},
        {"link": "/dev/x", "identity": "ghost"},
        {"link": "/dev/x", "default_heating_mode": "tropical"},
        {"link": "/dev/x", "heater": "stove"},
    ],
)
def test_settings_that_are_wrong(values: dict[str, Any]) -> None:
    with pytest.raises(LinkError) as caught:
        TrumaSettings.from_mapping(values)
    assert caught.value.reason is Reason.BAD_ADDRESS
