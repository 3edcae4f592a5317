"""The engine over Modbus against simulated inverters (spec c.6, c.7, e.2)."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import (
    Command,
    CommandError,
    InvalidCommand,
    NotConfirmed,
    NotConnected,
    Occurrence,
    Reading,
    Reason,
    Refused,
)
from hardwired_engines.factory import SettingsError, Surroundings
from hardwired_engines.fields import Value
from hardwired_engines.storage import MemoryStorage, Storage
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.engine import SunsynkEngine
from hardwired_engines.sunsynk.modbus.frames import READ_HOLDING, WRITE_MULTIPLE
from hardwired_engines.sunsynk.simulator.modbus import (
    ModbusFaults,
    ModbusWorld,
    SimulatedInverter,
)
from hardwired_engines.sunsynk.sources.modbus import ModbusSource

SERIAL, SECOND = "2200000001", "2200000002"
NOON = datetime(2026, 6, 14, 12, tzinfo=UTC)


class Run:
    """A running engine, its clock and the simulated line."""

    def __init__(self, engine: SunsynkEngine, clock: ManualClock) -> None:
        self.engine = engine
        self.clock = clock
        self.occurrences: list[Occurrence] = []

    @property
    def source(self) -> ModbusSource:
        """The source of the engine."""
        assert isinstance(self.engine.source, ModbusSource)
        return self.engine.source

    @property
    def world(self) -> ModbusWorld:
        """The simulated inverters."""
        assert self.source._simulation is not None
        return self.source._simulation.world

    def fail(self, **faults: Any) -> None:
        """Let something go wrong from now on."""
        self.world.faults = ModbusFaults(**faults)

    def value(self, key: str, serial: str = SERIAL) -> Value | None:
        """Return a value as it is shown."""
        return self.engine.snapshot.value(serial, key)

    def notices(self) -> set[str]:
        """Return the keys of the notices."""
        return {notice.key for notice in self.engine.snapshot.notices}

    async def until(self, condition: Callable[[], object], within: float = 120.0) -> None:
        """Let time pass until something is so."""
        end = self.clock.monotonic() + within
        while not condition():
            assert self.clock.monotonic() < end, (
                self.engine.snapshot.reason, self.engine.snapshot.detail,
            )  # fmt: skip
            await self.clock.advance(0.25)

    async def execute(self, name: str = "set", /, serial: str = SERIAL, **values: Any) -> Any:
        """Carry out a command while time passes."""
        return await self.command(Command(serial, values, name))

    async def command(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command while time passes."""
        task = asyncio.ensure_future(self.engine.execute(command))
        await self.until(task.done, 300)
        return task.result()


@asynccontextmanager
async def asking(
    query: str = "", *, connected: bool = True, storage: Storage | None = None, **settings: Any
) -> AsyncIterator[Run]:
    """Run an engine on a simulated line; once it shows something, unless told otherwise."""
    clock = ManualClock(NOON)
    values = {"source": "modbus", "link": f"sim://?{query}", "time_zone": "UTC", **settings}
    surroundings = Surroundings(clock=clock, storage=storage or MemoryStorage())
    run = Run(FACTORY.make(FACTORY.read(values), surroundings), clock)
    task = asyncio.ensure_future(run.engine.run(lambda _: None, run.occurrences.append))
    try:
        await clock.advance(0.1)
        if connected:
            await run.until(lambda: run.engine.snapshot.connected)
        yield run
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
async def test_an_inverter_is_shown_as_it_is(framing: str) -> None:
    async with asking(framing=framing) as run:
        state = run.engine.snapshot.devices[SERIAL]
        assert state.available
        assert state.device.model == "5.0 kW hybrid inverter"
        assert state.device.sw_version == "13192"
        assert state.values["inverter_program_time_2"] == time(5)
        assert state.values["inverter_program_power"] == 3000
        assert state.values["inverter_program_soc"] == 30
        assert state.values["battery_capacity_setting"] == 100
        assert state.values["load_limit"] == "zero_export"
        assert state.values["clock_offset"] in (0, 1)
        assert state.values["grid_connected"] is True
        assert "dongle_signal" not in state.values
        assert "battery_float_voltage" not in state.values
        assert not any(state.fields[key].writable for key in state.values)
        before = len(run.occurrences)
        await run.clock.advance(60)
        assert 5 <= len(run.occurrences) - before <= 7
        reading = run.occurrences[-1]
        assert isinstance(reading, Reading)
        assert abs((run.clock.now() - reading.time).total_seconds()) < 11
        assert reading.values["inverter_program_time_2"] == 5 * 3600


async def test_counters_of_an_inverter_over_a_day_never_fall() -> None:
    async with asking(interval=600) as run:
        shown = []
        for _ in range(24):
            await run.clock.advance(3600)
            shown.append(run.value("load_consumption_total"))
        assert shown == sorted(shown, key=lambda value: float(str(value)))


async def test_values_stay_valid_over_a_long_interval() -> None:
    async with asking(interval=3600) as run:
        for _ in range(10):
            await run.clock.advance(1000)
            assert run.engine.snapshot.devices[SERIAL].available


async def test_several_inverters_on_one_line_and_one_that_falls_silent() -> None:
    async with asking("units=1,7", units=[7]) as run:
        await run.until(lambda: SECOND in run.engine.snapshot.devices)
        run.world.inverters[7].silent_until = 1e9
        await run.until(lambda: not run.engine.snapshot.devices[SECOND].available, 200)
        assert run.engine.snapshot.devices[SERIAL].available
        assert run.engine.snapshot.connected
        run.world.inverters[7].silent_until = 0
        await run.until(lambda: run.engine.snapshot.devices[SECOND].available)


async def test_three_failed_cycles_and_then_it_is_gone_and_back() -> None:
    async with asking() as run:
        run.fail(drop=1.0)
        await run.until(lambda: not run.engine.snapshot.connected, 200)
        assert run.engine.snapshot.reason in (Reason.NO_ANSWER, Reason.SILENT)
        assert not run.engine.snapshot.devices[SERIAL].available
        run.fail()
        await run.until(lambda: run.engine.snapshot.connected)
        assert run.engine.snapshot.devices[SERIAL].available


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("units=9", Reason.SILENT),
        ("drop=1", Reason.SILENT),
        ("crc=1", Reason.NOISE),
        ("wrong_unit=1", Reason.NOISE),
        ("type=5", Reason.WRONG_DEVICE),
        ("type=0x601", Reason.WRONG_DEVICE),
        ("echo=1&units=9", Reason.GATEWAY_SETTINGS),
        ("zero=1", Reason.NOISE),
    ],
)
async def test_why_nothing_is_shown(query: str, reason: Reason) -> None:
    async with asking(query, connected=False) as run:
        await run.until(lambda: run.engine.snapshot.reason is not Reason.STARTING)
        if query != "zero=1":
            assert run.engine.snapshot.reason is reason
        assert SERIAL not in run.engine.snapshot.devices


@pytest.mark.parametrize("empty", range(16))
async def test_an_answer_that_is_half_empty_is_never_shown(
    empty: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, answers = SimulatedInverter.image, 0

    def image(inverter: SimulatedInverter, local: datetime) -> dict[int, int]:
        nonlocal answers
        answers += 1
        half = dict.fromkeys((*range(90, 125), *range(170, 200)), 0)
        return whole(inverter, local) | (half if answers == empty else {})

    monkeypatch.setattr(SimulatedInverter, "image", image)
    async with asking() as run:
        assert answers >= 11
        for _ in range(60):
            assert run.value("battery_soc") != 0
            assert run.value("battery_voltage") != 0
            await run.clock.advance(0.5)
        assert run.value("battery_soc") is not None


async def test_what_was_answered_is_not_lost_to_a_second_answer_that_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small part that holds little at night is empty, then another one, then the first again."""
    async with asking(interval=600, max_block=8) as run:
        await run.clock.advance(11 * 3600)
        assert run.value("grid_current")
        answer, empty = run.world.answer, [0, 158, 174, 158, 0]

        def partly(unit: int, pdu: bytes, now: float) -> bytes | None:
            found = answer(unit, pdu, now)
            start = int.from_bytes(pdu[1:3])
            if start == 150 and len(empty) > 1:
                del empty[0]
            if found is not None and start == empty[0]:
                return found[:2] + bytes(len(found) - 2)
            return found

        monkeypatch.setattr(run.world, "answer", partly)
        for _ in range(70):
            await run.clock.advance(10)
            assert run.value("grid_current")
        assert len(empty) < 5


@pytest.mark.parametrize(("kind", "name"), [(2, "string"), (4, "micro")])
async def test_inverters_without_a_battery_are_named(kind: int, name: str) -> None:
    """What is the battery's charge here is a voltage there."""
    async with asking(f"type={kind}", connected=False) as run:
        await run.until(lambda: run.engine.snapshot.reason is Reason.WRONG_DEVICE)
        assert name in (run.engine.snapshot.detail or "")
        assert SERIAL not in run.engine.snapshot.devices


async def test_three_phase_inverters_are_named() -> None:
    async with asking("type=0x500", connected=False) as run:
        await run.until(lambda: run.engine.snapshot.reason is Reason.WRONG_DEVICE)
        assert "three-phase" in (run.engine.snapshot.detail or "")


async def test_a_gateway_that_chokes_gets_small_blocks() -> None:
    async with asking("max_block=8") as run:
        assert run.source.counters()["max_block"] == 8
        assert run.value("battery_soc") is not None
    async with asking("refuse_block=10") as run:
        assert run.source.counters()["max_block"] == 8


async def test_the_block_size_can_be_set() -> None:
    async with asking("max_block=20", max_block=20) as run:
        assert run.source.counters()["timeouts"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "drop=0.2&seed=2",
        "crc=0.2&seed=3",
        "cut=0.2&seed=4",
        "noise=0.5&seed=5",
        "late=0.1&seed=6",
        "echo=1",
        "wrong_unit=0.2&seed=7",
        "second_master=0.3&seed=8",
        "busy=0.2&seed=9",
        "slow=2",
        "late=0.1&second_master=0.2&noise=0.2&crc=0.1&drop=0.1&seed=10",
    ],
)
@pytest.mark.parametrize("framing", ["rtu", "tcp"])
async def test_no_fault_of_the_line_makes_a_wrong_value(query: str, framing: str) -> None:
    async with asking(query, framing=framing, connected=False) as run:
        await run.until(lambda: run.engine.snapshot.connected, 600)
        shown = 0
        for _ in range(30):
            await run.clock.advance(20)
            state = run.engine.snapshot.devices[SERIAL]
            if not state.available:
                continue
            shown += 1
            assert state.values["rated_power"] == 5000
            assert state.values["battery_capacity"] == 100
            assert state.values["inverter_program_time_3"] == time(8)
            assert 45 <= float(str(state.values["inverter_frequency"])) <= 55
            assert 30 <= float(str(state.values["battery_voltage"])) <= 60
            assert abs(int(str(state.values["clock_offset"]))) <= 60
        assert shown > 3


async def test_another_master_is_told() -> None:
    async with asking("second_master=1&seed=8", connected=False) as run:
        await run.until(lambda: "second_master" in run.notices())
    async with asking("echo=1") as run:
        assert "echo" in run.notices()


async def test_a_reboot_loses_the_clock_and_nothing_else() -> None:
    async with asking() as run:
        before = run.value("load_consumption_total")
        run.world.inverters[1].restart(NOON.replace(tzinfo=None), run.clock.monotonic())
        await run.clock.advance(90)
        await run.until(lambda: run.engine.snapshot.devices[SERIAL].available)
        assert float(str(run.value("load_consumption_total"))) >= float(str(before))
        assert run.value("clock_offset") is None


async def test_it_is_fast_for_a_while() -> None:
    async with asking(interval=30) as run:
        await run.execute("fast", serial="")
        before = len(run.occurrences)
        await run.clock.advance(60)
        assert len(run.occurrences) - before >= 20
        await run.clock.advance(600)
        before = len(run.occurrences)
        await run.clock.advance(60)
        assert len(run.occurrences) - before <= 3
        assert await run.execute("refresh", serial="") == {}


async def test_nothing_is_written_unless_it_is_allowed() -> None:
    async with asking() as run:
        for name in ("set", "set_clock"):
            with pytest.raises(InvalidCommand) as caught:
                await run.execute(name, use_timer=False)
            assert caught.value.key == "sunsynk_writing_off"
        assert run.world.inverters[1].written == []


@asynccontextmanager
async def writing(query: str = "", **settings: Any) -> AsyncIterator[Run]:
    """Run an engine that may write."""
    async with asking(query, write_enabled=True, **settings) as run:
        yield run


async def test_settings_are_shown_with_the_limits_of_the_moment() -> None:
    async with writing() as run:
        fields = run.engine.snapshot.devices[SERIAL].fields
        assert run.value("battery_float_voltage") == 55.2
        assert run.value("grid_charge_enabled") is True
        assert run.value("aux_port_usage") == "disabled"
        assert run.value("inverter_program_charge_1") == "grid"
        assert run.value("inverter_program_sell_1") is False
        assert fields["inverter_program_time_1"].writable
        power = fields["inverter_program_power_1"]
        assert (power.minimum, power.maximum, power.step) == (0, 5000, 1)
        voltage = fields["battery_low_voltage"]
        assert (voltage.minimum, voltage.maximum, voltage.step) == (46, 55.2, 0.01)
        assert fields["battery_max_charge_current"].maximum == 50
        assert not fields["battery_soc"].writable
        await run.clock.advance(30)
        assert run.engine.snapshot.devices[SERIAL].fields is fields


async def test_a_setting_is_written_once_and_read_back() -> None:
    async with writing() as run:
        assert await run.execute(battery_max_charge_current=40) == {"written": 1, "unchanged": 0}
        assert run.world.inverters[1].written == [(210, 40)]
        assert run.value("battery_max_charge_current") == 40
        assert await run.execute(battery_max_charge_current=40) == {"written": 0, "unchanged": 1}
        assert run.world.inverters[1].written == [(210, 40)]
        await run.execute(battery_float_voltage=55.25, inverter_program_time_2=time(5, 30))
        assert run.value("battery_float_voltage") == 55.25
        assert run.value("inverter_program_time_2") == time(5, 30)
        await run.execute(inverter_program_sell_1=True)
        assert run.world.inverters[1].settings[274] == 0x41
        assert run.value("inverter_program_charge_1") == "grid"
        await run.execute(load_limit="essentials")
        assert run.value("load_limit") == "essentials"
        assert run.source.counters()["writes"] == 5


@pytest.mark.parametrize(
    "values",
    [
        {"battery_max_charge_current": 51},
        {"battery_max_charge_current": float("nan")},
        {"battery_max_charge_current": 10**400},
        {"battery_max_charge_current": 40.5},
        {"battery_max_charge_current": True},
        {"battery_max_charge_current": "40"},
        {"battery_float_voltage": 46.9},
        {"battery_float_voltage": 60.01},
        {"battery_low_voltage": 48.999, "battery_float_voltage": 50},
        {"inverter_program_time_2": time(8, 1)},
        {"inverter_program_time_2": time(5, 30, 1)},
        {"inverter_program_power_1": 5001},
        {"inverter_program_soc_1": 14},
        {"inverter_program_charge_1": "sun"},
        {"use_timer": 1},
        {"battery_low_capacity": 60},
        {"battery_shutdown_capacity": 16},
        {"grid_power": 1},
        {"inverter_enabled": False},
        {"battery_low_voltage": 49.5},
        {},
    ],
)
async def test_what_the_limits_forbid_is_refused_whole(values: dict[str, Any]) -> None:
    async with writing() as run:
        with pytest.raises(InvalidCommand):
            await run.execute(**{"use_timer": False, **values} if values else {})
        assert run.world.inverters[1].written == []


async def test_six_slots_at_once_are_all_or_nothing() -> None:
    slots = {f"inverter_program_time_{slot}": time(2 * slot + 8) for slot in range(1, 7)}
    slots |= {f"inverter_program_soc_{slot}": 20 + slot for slot in range(1, 7)}
    async with writing() as run:
        result = await run.execute(**slots)
        assert result == {"written": 12, "unchanged": 0}
        settings = run.world.inverters[1].settings
        assert [settings[249 + slot] for slot in range(1, 7)] == [
            1000, 1200, 1400, 1600, 1800, 2000,
        ]  # fmt: skip
        day = [0, 500, 800, 1200, 1700, 2100]
        for register, word in run.world.inverters[1].written:
            if register < 256:
                day[register - 250] = word
                assert day == sorted(day), "a step on the way is out of order"
        before = dict(settings)
        written = len(run.world.inverters[1].written)
        wrong = {**slots, "inverter_program_time_3": time(9)}
        with pytest.raises(InvalidCommand):
            await run.execute(**wrong)
        assert len(run.world.inverters[1].written) == written
        assert settings == before


async def test_what_is_not_taken_is_told_and_the_rest_put_back() -> None:
    async with writing() as run:
        settings = run.world.inverters[1].settings
        settings[268] = 70
        run.fail(clamp=90)
        with pytest.raises(Refused) as caught:
            await run.execute(inverter_program_soc_1=60, inverter_program_soc_6=95)
        assert caught.value.key in ("sunsynk_changed_otherwise", "sunsynk_kept_old")
        assert caught.value.placeholders["written"] == "95"
        assert caught.value.placeholders["found"] == "90"
        assert settings[268] == 70
        run.fail(ignore_writes=1.0)
        with pytest.raises(Refused) as caught:
            await run.execute(inverter_program_soc_1=60)
        assert caught.value.key == "sunsynk_kept_old"
        assert run.value("inverter_program_soc_1") == 70


async def test_what_the_inverter_takes_back_is_told() -> None:
    async with writing() as run:
        run.fail(take_back=1.0)
        with pytest.raises(Refused) as caught:
            await run.execute(inverter_program_soc_1=60)
        assert caught.value.key == "sunsynk_taken_back"
        assert "60" in str(caught.value)
        assert run.value("inverter_program_soc_1") == 100


async def test_an_answer_to_a_write_that_is_lost_is_no_failure() -> None:
    async with writing("seed=5") as run:
        run.fail(drop=0.3)
        for value in (60, 61, 62):
            with contextlib.suppress(CommandError):
                await run.execute(inverter_program_soc_1=value)
        run.fail()
        await run.clock.advance(70)
        assert run.value("inverter_program_soc_1") == run.world.inverters[1].settings[268]


def fall_silent_after_a_write(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the line be dead as soon as an inverter has taken a word."""
    answer = run.world.answer

    def heard(unit: int, pdu: bytes, now: float) -> bytes | None:
        found = answer(unit, pdu, now)
        if pdu[0] == WRITE_MULTIPLE:
            run.fail(drop=1.0)
        return found

    monkeypatch.setattr(run.world, "answer", heard)


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_setting_that_may_have_been_written_is_unknown_until_it_is_read(
    stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(interval=60) as run:
        assert run.value("inverter_program_soc_1") == 100
        fall_silent_after_a_write(run, monkeypatch)
        wish = Command(SERIAL, {"inverter_program_soc_1": 60}, "set")
        task = asyncio.ensure_future(run.engine.execute(wish))
        settings = run.world.inverters[1].settings
        await run.until(lambda: settings[268] == 60)
        if stopped:
            task.cancel()
        await run.until(task.done)
        assert stopped or isinstance(task.exception(), NotConfirmed)
        assert run.value("inverter_program_soc_1") is None
        assert run.value("inverter_program_soc_2") == 80
        run.fail()
        await run.until(lambda: run.value("inverter_program_soc_1") == 60)


async def test_a_command_makes_no_reading_younger(monkeypatch: pytest.MonkeyPatch) -> None:
    async with writing(interval=3600) as run:
        answer = run.world.answer

        def silent(unit: int, pdu: bytes, now: float) -> bytes | None:
            measured = pdu[0] == READ_HOLDING and 59 <= int.from_bytes(pdu[1:3]) < 200
            return None if measured else answer(unit, pdu, now)

        await run.clock.advance(1000)
        monkeypatch.setattr(run.world, "answer", silent)
        before = run.value("last_report"), len(run.occurrences)
        await run.execute(inverter_program_soc_1=60)
        assert run.value("inverter_program_soc_1") == 60
        assert (run.value("last_report"), len(run.occurrences)) == before
        monkeypatch.undo()
        await run.until(lambda: run.value("last_report") != before[0])


async def test_inverters_that_have_exchanged_their_units_are_not_mixed_up() -> None:
    async with asking("units=1,2", units=[2]) as run:
        await run.until(lambda: SECOND in run.engine.snapshot.devices)
        inverters = run.world.inverters
        inverters[1].settings[268], inverters[2].settings[268] = 70, 40
        await run.clock.advance(60)
        inverters[1], inverters[2] = inverters[2], inverters[1]
        for inverter in inverters.values():
            inverter.silent_until = run.clock.monotonic() + 35
        for _ in range(300):
            await run.clock.advance(1)
            assert run.value("inverter_program_soc_1") == 70
            assert run.value("inverter_program_soc_1", SECOND) == 40
        assert run.engine.snapshot.devices[SERIAL].available


async def test_an_inverter_that_another_one_has_replaced_is_gone() -> None:
    async with asking() as run:
        inverter = run.world.inverters[1]
        inverter.serial = SECOND
        inverter.silent_until = run.clock.monotonic() + 35
        await run.until(lambda: SECOND in run.engine.snapshot.devices)
        assert run.engine.snapshot.devices[SECOND].available
        assert not run.engine.snapshot.devices[SERIAL].available


@pytest.mark.parametrize("name", ["set", "set_clock"])
async def test_a_command_reaches_no_other_inverter(name: str) -> None:
    async with writing("units=1,2", units=[2], interval=60) as run:
        await run.until(lambda: SECOND in run.engine.snapshot.devices)
        inverters = run.world.inverters
        inverters[1], inverters[2] = inverters[2], inverters[1]
        values = {"inverter_program_soc_1": 60} if name == "set" else {}
        with pytest.raises(NotConnected):
            await run.command(Command(SERIAL, values, name))
        assert not any(inverter.written for inverter in inverters.values())
        await run.until(lambda: run.engine.snapshot.devices[SERIAL].available)
        await run.clock.advance(61)
        await run.command(Command(SERIAL, values, name))
        assert inverters[2].written
        assert not inverters[1].written


async def test_writes_are_limited() -> None:
    async with writing() as run:
        started = run.clock.monotonic()
        for value in range(60):
            await run.execute(inverter_program_soc_1=20 + value % 2)
        assert run.clock.monotonic() - started > 59
        with pytest.raises(Refused) as caught:
            await run.execute(inverter_program_soc_1=50)
        assert caught.value.key == "sunsynk_too_often"
        await run.clock.advance(3700)
        await run.execute(inverter_program_soc_1=50)


async def test_a_newer_wish_takes_the_place_of_one_that_waits() -> None:
    async with writing() as run:

        def wish(value: int) -> asyncio.Task[Any]:
            command = Command(SERIAL, {"inverter_program_soc_1": value})
            return asyncio.ensure_future(run.engine.execute(command))

        tasks = [wish(value) for value in range(40, 45)]
        await run.until(lambda: all(task.done() for task in tasks))
        results = [task.exception() for task in tasks]
        assert [getattr(error, "key", None) for error in results] == [
            None, "superseded", "superseded", "superseded", None,
        ]  # fmt: skip
        others = [
            asyncio.ensure_future(
                run.engine.execute(
                    Command(
                        SERIAL,
                        {
                            f"inverter_program_power_{slot % 6 + 1}": slot,
                            f"inverter_program_soc_{slot % 5 + 1}": 50,
                        },
                    )
                )
            )
            for slot in range(30)
        ]
        await run.until(lambda: all(task.done() for task in others), 600)
        keys = {getattr(task.exception(), "key", None) for task in others}
        assert keys <= {None, "superseded", "sunsynk_too_many", "sunsynk_too_often"}


async def test_the_clock_is_set() -> None:
    async with writing() as run:
        run.world.inverters[1].clock_offset = timedelta(hours=-3, minutes=-7)
        await run.until(lambda: run.value("clock_offset") in (11220, 11221))
        await run.execute("set_clock")
        await run.until(lambda: run.value("clock_offset") in (0, 1))
        assert len(run.world.inverters[1].written) == 3
        wanted = datetime(2026, 6, 14, 18, tzinfo=UTC)
        await run.command(Command(SERIAL, name="set_clock", options={"time": wanted}))
        assert abs(run.world.inverters[1].clock_offset - (wanted - run.clock.now())) < timedelta(
            seconds=12
        )
        run.clock.set_wall(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
        with pytest.raises(InvalidCommand) as caught:
            await run.execute("set_clock")
        assert caught.value.key == "clock_not_set"
        for year in (1970, 2024, 2038):
            told = datetime(year, 6, 14, 18, tzinfo=UTC)
            with pytest.raises(InvalidCommand, match=str(year)) as caught:
                await run.command(Command(SERIAL, name="set_clock", options={"time": told}))
            assert caught.value.key == "sunsynk_no_date"


async def test_the_clock_is_set_over_a_day_that_is_not() -> None:
    """The registers are written one by one: between January and February stands 31 February."""
    async with writing() as run:
        for wanted in (datetime(2027, 1, 31, 18, tzinfo=UTC), datetime(2027, 2, 1, 6, tzinfo=UTC)):
            done = await run.command(Command(SERIAL, name="set_clock", options={"time": wanted}))
            assert datetime.fromisoformat(done["time"]).date() == wanted.date()


async def test_commands_for_nobody() -> None:
    async with writing() as run:
        with pytest.raises(NotConnected):
            await run.execute(serial="0000000000", use_timer=False)
        with pytest.raises(InvalidCommand):
            await run.execute("explode")
        with pytest.raises(InvalidCommand):
            await run.command(Command("", name="fast", options={"minutes": 1e9}))
        run.fail(drop=1.0)
        await run.until(lambda: not run.engine.snapshot.connected, 200)
        with pytest.raises(NotConnected):
            await run.execute(use_timer=False)


async def test_after_a_restart_the_inverter_is_there_with_its_settings() -> None:
    storage = MemoryStorage()
    async with writing(storage=storage):
        pass
    async with writing("units=9", storage=storage, connected=False) as run:
        state = run.engine.snapshot.devices[SERIAL]
        assert not state.available
        assert state.fields["inverter_program_power_1"].writable
        assert state.values["load_consumption_total"] is not None


async def test_the_diagnostics_tell_no_identity() -> None:
    async with writing() as run:
        facts = str(run.engine.diagnostics())
        assert SERIAL not in facts
        assert SERIAL.encode().hex() not in "".join(frame.data.hex() for frame in run.engine.frames)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"link": ""}, "link"),
        ({"link": "socket://host"}, "link"),
        ({"serial": "fast"}, "serial"),
        ({"unit": 0}, "unit"),
        ({"unit": 248}, "unit"),
        ({"units": [1]}, "units"),
        ({"units": "1, x"}, "units"),
        ({"units": [1.5]}, "units"),
        ({"units": [math.inf]}, "units"),
        ({"units": [10**400]}, "units"),
        ({"units": "9" * 5000}, "units"),
        ({"units": [300]}, "units"),
        ({"framing": "ascii"}, "framing"),
        ({"interval": 0.5}, "interval"),
        ({"max_block": 126}, "max_block"),
        ({"write_enabled": "yes"}, "write_enabled"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        FACTORY.read({"source": "modbus", "link": "/dev/ttyUSB0", **values})
    assert caught.value.field == field


def test_settings_that_can() -> None:
    read = FACTORY.read({"source": "modbus", "link": "socket://h:502", "units": "2, 3"})
    assert read.all_units == (1, 2, 3)
    assert read.every == 10
    assert not read.is_serial
    assert read.unique_id == "sunsynk_modbus_socket://h:502"
