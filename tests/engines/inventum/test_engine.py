"""The engine on the simulated unit, in virtual time (spec e, f)."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.composite import Part
from hardwired_engines.engine import (
    Command,
    CommandError,
    Direction,
    InvalidCommand,
    LinkError,
    Message,
    NotConfirmed,
    NotConnected,
    Reading,
    Reason,
    Refused,
    Unit,
)
from hardwired_engines.factory import SettingsError, Surroundings
from hardwired_engines.inventum import FACTORY
from hardwired_engines.inventum.fan import FAN
from hardwired_engines.inventum.recording import Decoder
from hardwired_engines.inventum.simulator.faults import Fault, Trouble
from hardwired_engines.storage import MemoryStorage
from tests.engines.inventum.home import DEVICE, Owner, owner


async def test_it_logs_in_and_shows_what_the_logger_prints() -> None:
    async with owner() as home:
        assert home.engine.snapshot.reason is Reason.STARTING
        await home.until(lambda: home.value("login_state") == "logging_in")
        assert home.engine.snapshot.reason in (Reason.STARTING, Reason.LOGGING_IN)
        await home.logging()
        await home.clock.advance(3)
        state = home.engine.snapshot.devices[DEVICE]
        assert home.engine.snapshot.reason is None
        assert state.available
        assert home.value("fan_position") == "medium"
        assert home.value("boost") is False
        assert home.value("login_state") == "logging"
        assert home.value("row_interval") == 1.0
        field = state.fields["log_temp_boiler_boven_c"]
        assert (field.quantity, field.unit, field.own_name) == ("temperature", "°C", True)
        assert state.fields["log_rv_afvoerlucht"].quantity == "humidity"
        assert state.fields["log_compressor"].quantity == "boolean"
        assert state.fields["log_energie_kwh"].accumulation == "total_increasing"
        assert state.fields["log_temp_verdamper"].unit == "°C"
        assert state.fields["log_gewenste_temp_tapwater"].unit is None
        assert state.fields["log_gewenste_temp_tapwater"].offer == "extra"
        assert 30 < home.value("log_temp_boiler_boven_c") < 60
        readings = [one for one in home.occurrences if isinstance(one, Reading)]
        units = [one for one in home.occurrences if isinstance(one, Unit)]
        assert len(readings) == len(units) >= 3
        assert units[-1].values["3-standen"] == {"value": "2", "status": "0"}


async def test_a_column_named_as_the_status_of_another() -> None:
    storage = MemoryStorage()
    for _ in range(2):
        async with owner("interval=1", storage=storage) as home:
            await home.until(lambda: home.engine._simulation is not None)
            home.unit.header = ("3-standen", "Compressor status", "Compressor", "Temp. boiler (C)")
            await home.logging()
            await home.clock.advance(5)
            assert home.value("login_state") == "logging"
            fields = home.engine.snapshot.devices[DEVICE].fields
            names = [field.name for key, field in fields.items() if "compressor" in key]
            assert sorted(names) == [
                *("Compressor", "Compressor status", "Compressor status"),
                "Compressor status status",
            ]


async def test_boost_and_auto_are_confirmed_by_the_device() -> None:
    async with owner() as home:
        await home.logging()
        wish = home.wish(boost=True)
        await home.clock.advance(0.2)
        assert home.value("boost") is False
        assert await home.done(wish) < 3
        assert home.value("boost") is True
        assert home.value("fan_position") == "high"
        assert home.value("boost_remaining") == 20
        assert home.unit.override == 3
        await home.clock.advance(61)
        assert home.value("boost_remaining") == 19
        await home.done(home.wish(boost=False))
        assert home.value("fan_position") == "medium"
        assert home.value("boost_remaining") == 0
        assert home.unit.override is None
        events = [one.type for one in home.occurrences if isinstance(one, Message)]
        assert events == ["boost_started", "boost_ended"]


def fan_events(home: Owner) -> list[tuple[str, Any]]:
    return [(one.type, one.data["by"]) for one in home.occurrences if isinstance(one, Message)]


async def test_no_event_for_what_has_not_happened() -> None:
    async with owner() as home:
        await home.logging()
        await home.clock.advance(3)
        await home.done(home.wish(boost=False))
        assert fan_events(home) == []
        home.unit.inflict(Trouble(Fault.IGNORED_OVERRIDE, 20), home.clock.monotonic())
        with pytest.raises(NotConfirmed):
            await home.done(home.wish(boost=True))
        await home.until(lambda: home.engine.dialogue.wishes.current is None)
        assert fan_events(home) == []
        home.unit.wall_switch = 3
        await home.clock.advance(2)
        await home.done(home.wish(boost=False))
        assert fan_events(home) == [("still_high", "user")]


async def test_the_end_of_a_boost_is_told_after_a_restart_too() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await home.done(home.wish(boost=True, minutes=1))
        unit = home.unit
    async with owner(clock=clock, storage=storage, unit=unit) as home:
        await home.until(lambda: unit.override is None, 120)
        await home.logging()
        await home.clock.advance(5)
        assert fan_events(home) == [("boost_ended", "engine")]


async def test_the_fans_status_before_and_after_an_override(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with owner("interval=1&header=short") as home:
        await home.logging()
        unit = home.unit

        def print_row(now: float) -> None:
            values = unit.house.values(unit.position(now))
            status = {"3-standen": "0" if unit.override is None else "7"}
            fields = [f"{status.get(name, '0')},{values.get(name, '0')}" for name in unit.header]
            unit._out(",".join(fields).encode("latin-1") + b"\r\n", now)

        monkeypatch.setattr(unit, "_print_row", print_row)
        await home.clock.advance(3)
        await home.done(home.wish(boost=True))
        await home.clock.advance(3)
        await home.done(home.wish(boost=True))
        told = home.engine.diagnostics()
        assert told["fan_status_around_overrides"] == [{"before": "0", "after": "7"}]
        assert told["counters"]["prompts"] == 2
        await home.done(home.wish(boost=False))
        await home.done(home.wish(boost=True))
        [_, second] = home.engine.diagnostics()["fan_status_around_overrides"]
        assert second == {"before": "0", "after": "7"}


async def test_a_boost_ends_by_itself() -> None:
    async with owner() as home:
        await home.logging()
        await home.done(home.wish(boost=True, minutes=2))
        await home.clock.advance(100)
        assert home.unit.override == 3
        await home.until(lambda: home.unit.override is None, 30)
        assert home.value("boost") is False
        await home.until(lambda: home.value("login_state") == "logging")
        ended = [one for one in home.occurrences if isinstance(one, Message)][-1]
        assert ended.data == {"by": "engine"}


async def test_a_boost_survives_a_restart_and_ends_in_time() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await home.clock.advance(3)
        await home.done(home.wish(boost=True, minutes=5))
        unit = home.unit
    storage.data = json.loads(json.dumps(storage.data))
    await clock.advance(60)
    async with owner(clock=clock, storage=storage, unit=unit) as home:
        assert home.value("log_temp_boiler_boven_c") is None
        assert "log_temp_boiler_boven_c" in home.engine.snapshot.devices[DEVICE].fields
        await home.logging()
        assert home.value("boost") is True
        assert home.value("boost_remaining") <= 4
        assert unit.challenges == 1
        await home.until(lambda: unit.override is None, 300)


async def test_a_boost_that_ended_while_nobody_was_there_is_taken_back_first() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await home.done(home.wish(boost=True, minutes=5))
        unit = home.unit
    await clock.advance(3600)
    async with owner(clock=clock, storage=storage, unit=unit) as home:
        await home.until(lambda: unit.override is None, 30)
        await home.logging()
        assert home.value("boost") is False


async def test_release_on_stop() -> None:
    async with owner(release_on_stop=True) as home:
        await home.logging()
        await home.done(home.wish(boost=True))
        unit = home.unit
        assert unit.override == 3
    assert unit.override is None
    async with owner() as home:
        await home.logging()
        await home.done(home.wish(boost=True))
        unit = home.unit
    assert unit.override == 3


async def test_released_on_stop_also_while_the_return_rests() -> None:
    async with owner(release_on_stop=True) as home:
        await home.logging()
        await home.done(home.wish(boost=True, minutes=1))
        unit = home.unit
        names, unit._names = unit._names, ("Klep",) * len(unit._names)
        wishes = home.engine.dialogue.wishes
        await home.until(lambda: wishes.current is not None and wishes.current.rests_until)
        unit._names = names
        await home.clock.advance(5)
        assert unit.override == 3
    assert unit.override is None


async def test_taken_back_when_the_owner_gives_it_up() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await home.done(home.wish(boost=True))
        unit = home.unit
    last = Owner("interval=1", clock, storage)
    from hardwired_engines.inventum.simulator.runner import Simulation

    last.engine._simulation = Simulation(clock)
    last.engine._simulation._device = unit
    leaving = asyncio.ensure_future(last.engine.take_back())
    await last.until(leaving.done, 60)
    assert leaving.result()
    assert unit.override is None
    assert storage.data["held"] is False
    again = Owner("interval=1", clock, storage)
    assert await again.engine.take_back()
    assert again.engine._simulation is None


async def test_the_newest_wish_counts() -> None:
    async with owner() as home:
        await home.logging()
        boost = home.wish(boost=True)
        await home.clock.advance(0.3)
        auto = home.wish(boost=False)
        await home.done(auto)
        with pytest.raises(CommandError) as raised:
            boost.result()
        assert raised.value.key == "superseded"
        assert home.unit.override is None


async def test_what_can_not_be_done_is_refused_with_the_reason() -> None:
    async with owner("interval=1&header=no_fan") as home:
        await home.until(lambda: home.engine.dialogue.last_row is not None)
        assert [notice.key for notice in home.engine.snapshot.notices] == ["no_fan_column"]
        with pytest.raises(Refused) as raised:
            await home.engine.execute(Command(DEVICE, values={"boost": True}))
        assert raised.value.key == "no_fan_column"
        for values, options in (
            ({"fan_position": "high"}, {}),
            ({"boost": True, "data_logger": True}, {}),
            ({"boost": "yes"}, {}),
            ({"no_such": True}, {}),
            ({"boost_duration": 2000}, {}),
            ({"boost_duration": 2.5}, {}),
            ({}, {}),
        ):
            with pytest.raises(InvalidCommand):
                await home.engine.execute(Command(DEVICE, values=values, options=options))
        assert not home.unit.writes
    async with owner("interval=1&fan_row=0") as home:
        await home.logging()
        wish = home.wish(boost=True)
        with pytest.raises(Refused) as raised:
            await home.done(wish)
        assert raised.value.key == "no_fan_row"
        for minutes in (0, 1441, True):
            with pytest.raises(InvalidCommand):
                await home.engine.execute(
                    Command(DEVICE, values={"boost": True}, options={"minutes": minutes})
                )


async def test_a_device_that_ignores_the_value_is_found_out() -> None:
    async with owner() as home:
        await home.logging()
        home.unit.inflict(Trouble(Fault.IGNORED_OVERRIDE, 60), home.clock.monotonic())
        with pytest.raises(NotConfirmed):
            await home.done(home.wish(boost=True))
        assert home.value("boost") is False
        assert home.value("fan_position") == "medium"


async def test_a_wish_does_not_outlive_the_engine() -> None:
    async with owner() as home:
        await home.logging()
        wish = home.wish(boost=True)
        await home.clock.advance(0.1)
    with pytest.raises(NotConnected):
        await wish
    with pytest.raises(NotConnected):
        await home.engine.execute(Command(DEVICE, values={"boost": False}))
    assert home.engine.sign_due is None


async def test_nobody_there() -> None:
    async with owner() as home:
        await home.logging()
        await home.clock.advance(3)
        home.unit.inflict(Trouble(Fault.STUCK, 400), home.clock.monotonic())
        await home.clock.advance(200)
        assert not home.engine.snapshot.devices[DEVICE].available
        assert not home.engine.snapshot.connected
        with pytest.raises(NotConnected):
            await home.done(home.wish(boost=True))
        await home.logging()


async def test_unplugged_and_back_without_a_new_login() -> None:
    async with owner() as home:
        await home.logging()
        await home.done(home.wish(boost=True))
        home.unit.inflict(Trouble(Fault.UNPLUG), home.clock.monotonic())
        await home.until(lambda: not home.engine.snapshot.connected)
        assert home.value("login_state") == "offline"
        assert home.engine.snapshot.reason in (Reason.DISCONNECTED, Reason.NOT_FOUND)
        await home.logging()
        assert home.value("boost") is True
        assert home.unit.challenges == 1


async def test_the_logger_is_paused_and_comes_back() -> None:
    async with owner("interval=1&refresh=0") as home:
        await home.logging()
        await home.clock.advance(3)
        await home.engine.execute(Command(DEVICE, values={"data_logger": False}))
        await home.until(lambda: home.value("login_state") == "menu")
        assert home.value("data_logger") is False
        assert home.value("fan_position") == "medium"
        await home.clock.advance(60)
        assert home.engine.snapshot.devices[DEVICE].available
        assert home.value("fan_position") is None
        assert home.value("log_temp_boiler_boven_c") is None
        assert FAN.read(home.engine.snapshot.devices[DEVICE])[Part.PRESET] is None
        await home.until(lambda: home.value("login_state") == "logging", 600)
        assert home.value("data_logger") is True
        await home.until(lambda: home.value("fan_position") == "medium", 5)


@pytest.mark.parametrize("interval", [1, 10])
async def test_a_boost_ends_a_pause(interval: int) -> None:
    """By the entities too: they stay available, without what only a row could tell."""
    async with owner(f"interval={interval}") as home:
        await home.logging()
        await home.clock.advance(4 * interval)
        await home.done(home.wish(data_logger=False))
        await home.clock.advance(120)
        available: list[bool] = []
        wish = home.wish(boost=True)
        while not wish.done():
            await home.clock.advance(0.1)
            available.append(home.engine.snapshot.devices[DEVICE].available)
        wish.result()
        assert all(available)
        assert home.unit.override == 3
        assert home.value("fan_position") == "high"
        assert home.value("data_logger") is True


async def test_a_pause_hides_no_unit_that_is_gone() -> None:
    async with owner() as home:
        await home.logging()
        await home.clock.advance(3)
        await home.done(home.wish(data_logger=False))
        await home.clock.advance(60)
        home.unit.inflict(Trouble(Fault.UNPLUG), home.clock.monotonic())
        await home.until(lambda: not home.engine.snapshot.devices[DEVICE].available, 5)
    async with owner() as home:
        await home.logging()
        await home.clock.advance(3)
        await home.done(home.wish(data_logger=False))
        await home.done(home.wish(data_logger=True))
        home.unit.inflict(Trouble(Fault.STUCK, 400), home.clock.monotonic())
        await home.until(lambda: not home.engine.snapshot.devices[DEVICE].available, 120)


async def test_the_duration_is_kept() -> None:
    storage = MemoryStorage()
    async with owner(storage=storage) as home:
        await home.engine.execute(Command(DEVICE, values={"boost_duration": 45}))
        assert home.value("boost_duration") == 45
        await home.logging()
        await home.done(home.wish(boost=True))
        assert home.value("boost_remaining") == 45
    async with owner(storage=storage, boost_duration=10) as home:
        assert home.value("boost_duration") == 45


@pytest.mark.parametrize("chosen", ["Stand vent.", "Stand_vent", "Stand vent", "stand vent."])
async def test_the_owner_says_which_column_is_the_fans(chosen: str) -> None:
    async with owner(fan_column=chosen) as home:
        await home.until(lambda: home.engine._simulation is not None)
        home.unit.header = ("Temp. boiler (C)", "Stand vent.", "Stand klep")
        await home.logging()
        assert not home.engine.snapshot.notices
        wish = home.wish(boost=True)
        await home.until(lambda: home.unit.override == 3)
        wish.cancel()


async def test_a_wish_that_is_refused_leaves_the_duration() -> None:
    async with owner() as home:
        both = Command(DEVICE, values={"boost": True, "boost_duration": 5}, options={"minutes": 0})
        with pytest.raises(InvalidCommand):
            await home.engine.execute(both)
        assert home.value("boost_duration") == 20
        await home.logging()
        await home.done(home.wish(boost=True, boost_duration=7))
        assert home.value("boost_remaining") == home.value("boost_duration") == 7
    with pytest.raises(NotConnected):
        await home.engine.execute(Command(DEVICE, values={"boost": True, "boost_duration": 5}))
    assert home.value("boost_duration") == 7


@pytest.mark.parametrize("digits", [30, 400, 5000])
async def test_numbers_without_end_are_refused(digits: int) -> None:
    async with owner() as home:
        huge = 10**digits
        for values, options in (
            ({"boost_duration": huge}, {}),
            ({"boost": True}, {"minutes": huge}),
        ):
            with pytest.raises(InvalidCommand):
                await home.engine.execute(Command(DEVICE, values=values, options=options))
        assert home.value("boost_duration") == 20


async def test_wide_rows_count_only_with_a_position() -> None:
    async with owner("interval=1&header=short") as home:
        await home.logging()
        await home.clock.advance(3)
        unit = home.unit
        count = 2 * len(unit.header)
        text = ",".join(["x"] * (count + 2)).encode() + b"\r\n"
        unit._out(text * 4, home.clock.monotonic())
        counters = home.engine.dialogue.counters
        await home.until(lambda: counters["bad_row_width"] >= 3, 5)
        assert home.value("fan_position") == "medium"
        rows = counters["rows"]
        await home.until(lambda: counters["rows"] > rows + 3, 30)
        units = [one for one in home.occurrences if isinstance(one, Unit)]
        assert {one.values["3-standen"]["value"] for one in units} == {"2"}


async def test_other_positions_where_the_owner_wants_them() -> None:
    async with owner(other_positions=True) as home:
        await home.logging()
        await home.done(home.wish(fan_position="low"))
        assert home.unit.override == 1
        assert home.value("fan_position") == "low"
        assert home.value("boost") is False
        assert FAN.read(home.engine.snapshot.devices[DEVICE])[Part.PRESET] is None
        await home.done(home.wish(boost=False))
        assert home.unit.override is None


async def test_the_owner_says_what_a_column_is() -> None:
    column = {"kind": "number", "unit": "°C", "factor": 0.1, "name": "Setpoint"}
    async with owner(columns={"gewenste_temp_tapwater": column}) as home:
        await home.logging()
        await home.clock.advance(4)
        field = home.engine.snapshot.devices[DEVICE].fields["log_gewenste_temp_tapwater"]
        assert (field.name, field.unit, field.offer) == ("Setpoint", "°C", "default")
        assert home.value("log_gewenste_temp_tapwater") == 55.0


async def test_a_wrong_code_is_told_and_the_codes_are_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with owner("login_code=90210&challenge_code=77", login_code="4711471147") as home:
        await home.until(lambda: home.engine.snapshot.reason is Reason.WRONG_CODE)
        assert home.value("login_state") == "wrong_code"
        written = json.dumps(home.engine.diagnostics(), default=str) + repr(home.engine.settings)
        frames = b"".join(frame.data for frame in home.engine.frames)
        assert b"<code>" in frames
        for digits in ("4711471147", "471147"):
            assert digits not in written
            assert digits.encode() not in frames
            assert digits not in caplog.text
        assert list(home.engine.secrets()) == ["4711471147"]


async def test_a_recording_that_begins_later_can_be_read() -> None:
    """The header is long gone from the ring; a boost in between starts the logger anew."""
    async with owner("interval=1") as home:
        await home.logging()
        await home.clock.advance(300)
        first = next(iter(home.engine.frames))
        assert b"3-standen" in first.data
        assert decoded(home)[1]["event"] == "columns"
        assert len([one for one in decoded(home) if one["event"] == "row"]) > 150
        await home.done(home.wish(boost=True))
        assert [one["event"] for one in decoded(home)].count("columns") == 2
        await home.clock.advance(300)
        assert [one["event"] for one in decoded(home)].count("columns") == 1


def decoded(home: Owner) -> list[Any]:
    decoder = Decoder()
    heard = (frame.data for frame in home.engine.frames if frame.direction is Direction.IN)
    return [said for data in heard for said in decoder.receive_data(data)]


async def test_two_hundred_refusals_are_survived() -> None:
    async with owner("interval=1") as home:
        await home.until(lambda: home.engine._simulation is not None)
        home.unit.settings = type(home.unit.settings).read({"odds": 1000, "interval": 1})
        await home.until(lambda: home.unit.challenges >= 200, 3000)
        assert home.engine.snapshot.reason is Reason.LOGGING_IN
        assert home.engine.snapshot.detail == str(home.value("challenges"))
        home.unit.settings = type(home.unit.settings).read({"odds": 1, "interval": 1})
        await home.logging()
        assert len(home.engine.diagnostics()["accepted_challenges"]) == 1


@pytest.mark.parametrize(
    "values, field",
    [
        ({}, "link"),
        ({"link": "tcp://host"}, "link"),
        ({"link": 5}, "link"),
        ({"link": "sim://", "login_code": "12a4"}, "login_code"),
        ({"link": "sim://", "challenge_code": "1" * 20}, "challenge_code"),
        ({"link": "sim://", "boost_duration": 0}, "boost_duration"),
        ({"link": "sim://", "boost_duration": True}, "boost_duration"),
        ({"link": "sim://", "other_positions": "yes"}, "other_positions"),
        ({"link": "sim://", "columns": [1]}, "columns"),
        ({"link": "sim://", "columns": {"x": {"kind": "fan_position"}}}, "columns"),
        ({"link": "sim://", "columns": {"x": {"unit": "furlong"}}}, "columns"),
        ({"link": "sim://", "columns": {"x": {"factor": 0}}}, "columns"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as raised:
        FACTORY.read(values)
    assert raised.value.field == field
    assert "12a4" not in str(raised.value)


async def probed(query: str, seconds: float = 12.0) -> Any:
    clock = ManualClock()
    settings = FACTORY.read({"link": f"sim://?{query}"})
    seen: list[Any] = []
    task = asyncio.ensure_future(
        FACTORY.probe(settings, Surroundings(clock=clock), seconds=seconds, on_progress=seen.append)
    )
    while not task.done():
        await clock.advance(0.1)
    assert all(0 <= one.fraction <= 1 for one in seen)
    return task.result()


async def test_the_probe_recognises_a_terminal_and_types_no_code() -> None:
    for query in ("", "waking=enter"):
        result = await probed(query)
        assert result.reason is None
        assert result.devices[0].kind == "ecolution"
        assert result.counters["screen"] == "login"
    with pytest.raises(LinkError) as raised:
        await probed("nonsense=1")
    assert raised.value.reason is Reason.BAD_ADDRESS


@pytest.mark.parametrize(
    "wrong", [{"boost_minutes": True}, {"boost_level": True}, {"boost_level": 3.0}]
)
async def test_a_stored_boost_of_another_type_is_none(wrong: dict[str, Any]) -> None:
    clock, storage = ManualClock(), MemoryStorage()
    end = (clock.now() + timedelta(minutes=10)).isoformat()
    storage.data = {"boost_until": end, "boost_minutes": 20, "boost_level": 3, **wrong}
    one = Owner("interval=1", clock, storage)
    assert one.engine.dialogue.wishes.boost is None
    assert one.engine.dialogue.wishes.held


async def test_broken_storage_is_survived() -> None:
    for data in (
        {"boost_until": "yesterday", "held": 1},
        {"boost_until": 5, "boost_minutes": "x", "profile": 7, "header": [[1]]},
        {"header": [["a"]], "profile": [{"name": 1}], "boost_duration": "x"},
    ):
        storage = MemoryStorage()
        storage.data = dict(data)
        async with owner(storage=storage) as home:
            await home.logging()
            await home.until(lambda: home.engine.dialogue.wishes.current is None, 60)
            assert not home.engine.dialogue.wishes.held
