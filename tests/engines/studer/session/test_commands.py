"""Commands, and every safeguard of spec e: nothing that may harm is ever sent unasked."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import math
import re
import struct
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.engine import (
    Command,
    CommandError,
    InvalidCommand,
    NotConfirmed,
    NotConnected,
    Refused,
)
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.datapoints.datapoint import Limits, by_id, datapoints
from hardwired_engines.studer.datapoints.limits import LimitError, Refusal
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import FrameFlags, ObjectType, Request, Service
from hardwired_engines.studer.scom.messages import PlantMessage
from hardwired_engines.studer.session.commands.refusals import not_allowed
from hardwired_engines.studer.session.discovery import NotAsked

from ..double import Double, Running, plant, running

pytestmark = pytest.mark.slow

CHARGE_CURRENT = "battery_charge_current_1138"
RAM, FLASH = 13, 5


def number(value: float) -> bytes:
    return struct.pack("<f", value)


# ------------------------------------------------------------------------------ e.1


async def test_a_set_goes_into_ram_and_is_shown_as_such() -> None:
    double = plant(2)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert double.writes() == [(101, 1138, RAM, number(12.0))]
        assert run.value(101, CHARGE_CURRENT) == 12.0
        assert run.value(102, CHARGE_CURRENT) == 60.0
        # Reading goes on to show the flash; what was written stays on show.
        await run.pass_(400)
        assert double.units[101].values[1138] == 60.0
        assert run.value(101, CHARGE_CURRENT) == 12.0
        details = run.last.devices[run.id(101)].details[CHARGE_CURRENT]
        assert (details["flash_value"], details["ram_value"]) == (60.0, 12.0)
        assert details["written"] is not None
    async with running(double, storage) as run:
        await run.pass_(10)
        assert run.value(101, CHARGE_CURRENT) == 12.0
        # None of all this wrote anything more.
        assert len(double.writes()) == 1


async def test_a_command_reaches_the_device_that_is_meant_wherever_it_is_now() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        first = run.id(101)
        # Nothing has told of it yet.
        double.units[101], double.units[102] = double.units[102], double.units[101]
        await run.do(first, {CHARGE_CURRENT: 12.0})
        assert double.writes() == [(102, 1138, RAM, number(12.0))]
        assert run.addresses[first] == 102
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.units[102].values[3000] = 47.5
        double.units[101].values[3000] = 51.5
        await run.pass_(3)
        read = await run.do(first, name="read", options={"id": 3000})
        assert read["value"] == 51.5


async def test_the_shadow_goes_when_the_device_restarts() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        double.units[101].dead = 2
        await run.until(lambda: not run.last.devices[run.id(101)].available)
        double.units[101].dead = None
        await run.until(lambda: run.last.devices[run.id(101)].available, 60)
        await run.pass_(10)
        assert run.value(101, CHARGE_CURRENT) == 60.0
        assert len(double.writes()) == 1


async def test_the_shadow_goes_when_a_message_tells_of_a_restart() -> None:
    double = plant(2)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        await run.do(run.id(102), {CHARGE_CURRENT: 13.0})
        double.messages.append(PlantMessage(1, 177, 101, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(10)
        assert run.value(101, CHARGE_CURRENT) == 60.0
        assert run.value(102, CHARGE_CURRENT) == 13.0


async def test_ram_is_written_again_when_the_owner_wants_it() -> None:
    double = plant(2)
    async with running(double, reapply_ram=True) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        double.units[101].dead = 2
        await run.until(lambda: not run.last.devices[run.id(101)].available)
        double.units[101].dead = None
        await run.until(lambda: len(double.writes()) == 2, 60)
        await run.pass_(5)
        assert double.writes()[1] == (101, 1138, RAM, number(12.0))
        assert run.value(101, CHARGE_CURRENT) == 12.0


async def test_revert_puts_the_flash_value_back() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        result = await run.do(run.id(101), name="revert", options={"id": 1138})
        assert result == {"value": 60.0}
        assert double.writes()[1] == (101, 1138, RAM, number(60.0))
        assert run.value(101, CHARGE_CURRENT) == 60.0
        assert CHARGE_CURRENT not in run.last.devices[run.id(101)].details


async def test_revert_writes_no_value_that_is_none() -> None:
    double = plant(1)
    double.units[101].values[1138] = math.nan
    async with running(double) as run:
        await run.pass_(10)
        with pytest.raises(InvalidCommand):
            await run.do(run.id(101), name="revert", options={"id": 1138})
        assert double.writes() == []


async def test_old_firmware_has_no_ram_writes() -> None:
    double = plant(1)
    double.units[101].software = (256, 6 * 256 + 11)
    async with running(double) as run:
        with pytest.raises(InvalidCommand, match=r"1\.6\.11"):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert double.writes() == []
        # It may still be asked for deliberately.
        await run.do(
            run.id(101), name="write", options={"id": 1138, "value": 12.0, "persistent": True}
        )
        assert double.writes() == [(101, 1138, FLASH, number(12.0))]


async def test_nothing_beyond_the_limits_is_sent() -> None:
    double = plant(1)
    double.units[101].limits[1138] = (0.0, 50.0)
    async with running(double) as run:
        await run.pass_(10)
        for bad in (-1.0, 51.0, float("nan"), float("inf"), "much", True):
            with pytest.raises(InvalidCommand):
                await run.do(run.id(101), {CHARGE_CURRENT: bad})
        for options in (
            {"id": 1552, "value": 3},
            {"id": 1205, "value": 128},
            {"id": 1124, "value": 2},
            {"id": 3000, "value": 1},
            {"id": 1138},
        ):
            with pytest.raises(InvalidCommand):
                await run.do(run.id(101), name="write", options=options)
        assert double.writes() == []
        # The table allows 200, this device 50.
        await run.do(run.id(101), {CHARGE_CURRENT: 50.0})
        assert len(double.writes()) == 1


async def test_the_limits_are_those_of_the_plant_from_the_first_second() -> None:
    double = plant(1)
    double.units[101].values.update({3126: 120.0, 3127: 24.0, 3000: 26.0})
    async with running(double, level="installer") as run:
        # A 120 V model gives no 230 V, and 24 V batteries are not charged to 57.6 V.
        for parameter, value in ((1286, 230.0), (1138, 1000.0), (1156, 57.6)):
            with pytest.raises(InvalidCommand) as caught:
                await run.do(run.id(101), name="write", options={"id": parameter, "value": value})
            assert caught.value.key == "studer_out_of_range"
        assert double.writes() == []


async def test_an_xtender_that_comes_late_brings_the_plant_s_voltages() -> None:
    double = plant(1)
    double.add(701, Family.VS, i15000=26.0)
    double.units[701].missing.add(15075)
    xtender = double.units.pop(101)
    xtender.values.update({3126: 120.0, 3127: 24.0, 3000: 26.0})
    async with running(double, level="installer") as run:
        double.units[101] = xtender
        await run.until(lambda: 101 in run.addresses.values(), 600)
        for parameter, value in ((1286, 230.0), (1156, 57.6)):
            with pytest.raises(InvalidCommand) as caught:
                await run.do(run.id(101), name="write", options={"id": parameter, "value": value})
            assert caught.value.key == "studer_out_of_range"
        assert double.writes() == []


async def test_all_values_are_checked_before_the_first_is_sent() -> None:
    double = plant(1)
    async with running(double) as run:
        with pytest.raises(InvalidCommand):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0, "output_current": 3.0})
        assert double.writes() == []


async def test_a_level_that_was_not_chosen_is_not_written() -> None:
    double = plant(1)
    async with running(double) as run:
        with pytest.raises(InvalidCommand, match="installer"):
            await run.do(run.id(101), name="write", options={"id": 1550, "value": 0})
        assert double.writes() == []


async def test_the_device_has_the_last_word() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        double.units[101].limits[1138] = (0.0, 40.0)
        with pytest.raises(Refused, match=r"takes 0 to 40 A, not 60\.$"):
            await run.do(run.id(101), {CHARGE_CURRENT: 60.0})
        assert run.value(101, CHARGE_CURRENT) == 12.0


async def test_a_write_is_tried_twice_and_an_unknown_outcome_is_told() -> None:
    """Whether the device has taken it nobody knows: neither the old nor the new value is shown."""
    double = plant(1)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(10)
        await run.do(run.id(101), {CHARGE_CURRENT: 48.0})

        def lose(request: Request) -> Any:
            return None if request.service is Service.WRITE else NotImplemented

        double.rules.append(lose)
        with pytest.raises(NotConfirmed):
            await run.do(run.id(101), {CHARGE_CURRENT: 31.0})
        assert len(double.writes()) == 3
        await run.pass_(400)
        assert run.value(101, CHARGE_CURRENT) is None
        details = run.last.devices[run.id(101)].details[CHARGE_CURRENT]
        assert details["flash_value"] == 60.0
        assert "ram_value" not in details
        double.rules.clear()
    async with running(double, storage) as run:
        await run.pass_(10)
        assert run.value(101, CHARGE_CURRENT) is None
        await run.do(run.id(101), {CHARGE_CURRENT: 31.0})
        assert run.value(101, CHARGE_CURRENT) == 31.0


async def test_a_write_does_not_wait_for_the_polls() -> None:
    double = plant(6, latency=0.3)
    async with running(double, intervals={"fast": 1, "normal": 1}) as run:
        await run.pass_(5)
        began = run.clock.monotonic()
        await run.do(run.id(105), {CHARGE_CURRENT: 12.0})
        # So early, firmware (2) and watchdog have to be asked for, too; one poll between each.
        assert run.clock.monotonic() - began < 12 * 0.35
        await run.pass_(120)
        began = run.clock.monotonic()
        await run.do(run.id(106), {CHARGE_CURRENT: 12.0})
        # The exchange under way, who answers, the limits of the device (refused at once), its own
        # exchange; one poll between each.
        assert run.clock.monotonic() - began < 7 * 0.35


async def test_a_lost_device_is_not_written() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        double.units[102].dead = 2
        await run.until(lambda: not run.last.devices[run.id(102)].available)
        with pytest.raises(NotConnected):
            await run.do(run.id(102), {CHARGE_CURRENT: 12.0})
        assert double.writes() == []


async def test_without_a_link_nothing_is_sent() -> None:
    double = plant(1)
    async with running(double) as run:
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        with pytest.raises(NotConnected):
            await run.engine.execute(Command("12340065", {CHARGE_CURRENT: 12.0}))


async def test_all_kinds_of_settings() -> None:
    double = plant(1)
    wanted = ("xt.1525", "xt.1552", "rcc.5002", "rcc.5000")
    async with running(double, datapoints=wanted, level="qsp") as run:
        await run.pass_(10)
        unit, gateway = run.id(101), run.id(501)
        await run.do(unit, {"inverter_allowed": False})
        await run.do(unit, {"forced_grid_feeding_start_time": time(13, 41)})
        await run.do(unit, {"forced_grid_feeding_start_time": time(23, 59)})
        field = run.last.devices[run.id(101)].fields["type_of_detection_of_the_grid_loss_ac_in"]
        await run.do(unit, {field.key: field.options[0]})
        with pytest.raises(InvalidCommand):
            await run.do(unit, {field.key: "nonsense"})
        await run.do(gateway, {"date": datetime(2027, 8, 24, 10, 42, 10, tzinfo=UTC)})
        assert [write[1:] for write in double.writes()] == [
            (1124, RAM, b"\0"),
            (1525, RAM, (821).to_bytes(4, "little")),
            (1525, RAM, (1440).to_bytes(4, "little")),
            (1552, RAM, (1).to_bytes(4, "little")),
            (5002, FLASH, (1819104130).to_bytes(4, "little")),
        ]
        assert run.value(501, "date") == datetime(2027, 8, 24, 10, 42, 10, tzinfo=UTC)
        assert run.value(101, "forced_grid_feeding_start_time") == time(23, 59)


async def test_an_effect_that_does_not_show_is_told() -> None:
    double = plant(1)
    double.units[101].values[3056] = 0.0
    async with running(double) as run:
        await run.pass_(10)
        await run.do(run.id(101), {"inverter_allowed": False})
        await run.pass_(15)
        assert run.notices() == ["no_effect"]
        double.units[101].values[3056] = 1.0
        await run.do(run.id(101), {"inverter_allowed": False})
        await run.pass_(15)
        assert run.notices() == []


# ------------------------------------------------------------------------------ e.2


async def test_flash_is_written_only_deliberately_and_read_back() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        result = await run.do(
            run.id(101), name="write", options={"id": 1138, "value": 12.0, "persistent": True}
        )
        assert result == {"value": 12.0, "persistent": True, "flash_writes": 1}
        assert double.writes() == [(101, 1138, FLASH, number(12.0))]
        assert run.value(101, CHARGE_CURRENT) == 12.0

        def other(request: Request) -> Any:
            if request.service is Service.READ and request.object_id == 1138:
                return request.answer(number(60.0))
            return NotImplemented

        double.rules.append(other)
        with pytest.raises(NotConfirmed, match="shows 60"):
            await run.do(
                run.id(101), name="write", options={"id": 1138, "value": 13.0, "persistent": True}
            )


async def test_flash_writes_are_counted_and_end() -> None:
    double = plant(1)
    storage = MemoryStorage()
    wanted = {"id": 1138, "value": 12.0, "persistent": True}
    storage.data = {"flash_writes": {"12340065": {"1138": 98}}}
    async with running(double, storage) as run:
        await run.do(run.id(101), name="write", options=wanted)
        assert run.notices() == []
        again = {**wanted, "value": 13.0, "origin": "automation.night"}
        await run.do(run.id(101), name="write", options=again)
        (worn,) = run.engine.snapshot.notices
        assert worn.key == "flash_worn"
        assert worn.placeholders["count"] == "100"
        assert worn.placeholders["origin"] == "automation.night"
    storage.data = {**storage.data, "flash_writes": {"12340065": {"1138": 900}}}
    double.log.clear()
    async with running(double, storage) as run:
        with pytest.raises(InvalidCommand, match="900 times"):
            await run.do(run.id(101), name="write", options=wanted)
        with pytest.raises(InvalidCommand, match="900 times"):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0}, options={"persistent": True})
        assert double.writes() == []
        result = await run.do(run.id(101), name="write", options={**wanted, "force": True})
        assert result["flash_writes"] == 901


async def test_a_lost_flash_write_counts_for_both_attempts() -> None:
    double = plant(1)
    async with running(double) as run:
        double.rules.append(
            lambda request: None if request.service is Service.WRITE else NotImplemented
        )
        with pytest.raises(NotConfirmed):
            await run.do(
                run.id(101), name="write", options={"id": 1138, "value": 12.0, "persistent": True}
            )
        counts = run.storage.data["flash_writes"]
        assert counts == {"12340065": {"1138": 2}}


# ------------------------------------------------------------------------------ e.4


@pytest.mark.parametrize(
    ("family", "address", "switch", "parameter"),
    [
        (Family.XT, 101, 1628, {"id": 1138, "value": 12.0}),
        (Family.VT, 301, 10342, {"id": 10002, "value": 40.0}),
        (Family.VS, 701, 14218, {"id": 14001, "value": 40.0}),
    ],
)
async def test_an_armed_watchdog_forbids_ram_writes(
    family: Family, address: int, switch: int, parameter: dict[str, Any]
) -> None:
    double = plant(1)
    if family is not Family.XT:
        double.add(address, family)
    double.units[address].values[switch] = 1
    double.units[address].software = (256, 6 * 256 + 54)
    async with running(double) as run:
        with pytest.raises(InvalidCommand, match="watchdog"):
            await run.do(run.id(address), name="write", options=parameter)
        assert double.writes() == []
        await run.pass_(1.5)
        assert run.notices() == ["watchdog_armed"]
        # Flash writes do not arm it.
        await run.do(run.id(address), name="write", options={**parameter, "persistent": True})
        assert len(double.writes()) == 1


async def test_a_watchdog_that_counts_every_write_forbids_them_all() -> None:
    double = plant(1)
    double.units[101].values |= {1628: 1, 1550: 0}
    async with running(double) as run:
        with pytest.raises(InvalidCommand, match="watchdog"):
            await run.do(
                run.id(101), name="write", options={"id": 1138, "value": 12.0, "persistent": True}
            )
        assert double.writes() == []


async def test_a_watchdog_that_does_not_tell_forbids_ram_writes() -> None:
    double = plant(2)

    def mute(request: Request) -> Any:
        return None if request.object_id == 1628 else NotImplemented

    double.rules.append(mute)
    async with running(double) as run:
        with pytest.raises(NotConfirmed):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert double.writes() == []


async def test_a_watchdog_switched_on_meanwhile_is_noticed() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(400)
        double.units[101].values[1628] = 1
        with pytest.raises(InvalidCommand, match="watchdog"):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert double.writes() == []


async def test_a_watchdog_is_kept_fed_when_the_owner_chose_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    double = plant(1)
    double.units[101].values |= {1628: 1, 1629: 30.0}
    times: list[float] = []
    async with running(double, feed_watchdogs=True) as run:

        def note(request: Request) -> Any:
            if request.service is Service.WRITE:
                times.append(run.clock.monotonic())
            return NotImplemented

        double.rules.append(note)
        # Not before the first write of ours has armed it.
        await run.pass_(60)
        assert times == []
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        await run.pass_(120)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(times) > 8
        assert max(gaps) <= 15
        assert {write[1:] for write in double.writes()} == {(1138, RAM, number(12.0))}
    assert "watchdog" in caplog.text


# ------------------------------------------------------------------------------ e.5


async def test_guarded_parameters_need_their_number() -> None:
    double = plant(1)
    guarded = [point for point in datapoints(Family.XT) if point.guarded]
    assert guarded
    async with running(double, level="qsp") as run:
        fields = run.last.devices[run.id(101)].fields
        for point in guarded:
            assert not fields[point.key].writable
            assert point.key not in run.last.devices[run.id(101)].values
            options = {"id": point.id, "value": 1}
            for name, wrong in (
                ("set", {}),
                ("signal", {}),
                ("write", {}),
                ("write", {"confirm": True}),
            ):
                with pytest.raises(InvalidCommand):
                    await run.do(
                        run.id(101),
                        {point.key: True} if name == "set" else {},
                        name=name,
                        options={**options, **wrong},
                    )
        assert double.writes() == []
        await run.do(run.id(101), name="write", options={"id": 1468, "value": 1, "confirm": "1468"})
        assert double.writes() == [(101, 1468, FLASH, b"\1\0\0\0")]


async def test_a_signal_is_sent_once_and_never_again() -> None:
    double = plant(1)
    async with running(double, datapoints=("xt.1467",)) as run:
        await run.do(run.id(101), name="signal", options={"id": 1467})
        assert double.writes() == [(101, 1467, FLASH, b"\1\0\0\0")]
        double.log.clear()
        double.rules.append(
            lambda request: None if request.service is Service.WRITE else NotImplemented
        )
        with pytest.raises(NotConfirmed):
            await run.do(run.id(101), name="signal", options={"id": 1467})
        assert len(double.writes()) == 1
        with pytest.raises(InvalidCommand):
            await run.do(run.id(101), name="signal", options={"id": 1138})


@pytest.mark.parametrize(
    ("code", "raised"), [(0x13, Refused), (0x29, Refused), (0x03, NotConfirmed)]
)
@pytest.mark.parametrize("all_units", [False, True])
async def test_a_signal_that_fails_is_not_sent_again(
    code: int, raised: type[Exception], all_units: bool
) -> None:
    double = plant(1)
    async with running(double) as run:
        double.rules.append(
            lambda request: (
                request.error(code) if request.service is Service.WRITE else NotImplemented
            )
        )
        options = {"id": 1467, "value": 1, "all_units": all_units}
        with pytest.raises(raised):
            await run.do(run.id(101), name="write", options=options)
        assert len(double.writes()) == 1


async def test_all_units_at_once() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(10)
        result = await run.do(
            run.id(101), name="write", options={"id": 1138, "value": 12.0, "all_units": True}
        )
        assert result["units"] == 3
        assert double.writes() == [(100, 1138, RAM, number(12.0))]
        assert [run.value(address, CHARGE_CURRENT) for address in (101, 102, 103)] == [12.0] * 3
        double.units[103].values[1628] = 1
        double.units[103].software = (256, 6 * 256)
        await run.pass_(5)
        # What one of them must not hear, none is told.
        await run.do(
            run.id(101),
            name="write",
            options={"id": 1138, "value": 13.0, "all_units": True, "persistent": True},
        )
        assert double.writes()[-1] == (100, 1138, FLASH, number(13.0))
        assert set(run.storage.data["flash_writes"]) == {"12340065", "12340066", "12340067"}


async def test_all_units_are_spared_when_one_is_armed() -> None:
    double = plant(3)
    double.units[103].values[1628] = 1
    async with running(double) as run:
        with pytest.raises(InvalidCommand, match="watchdog"):
            await run.do(
                run.id(101), name="write", options={"id": 1138, "value": 12.0, "all_units": True}
            )
        assert double.writes() == []


# ------------------------------------------------------------------------------ e.6, e.7, others


async def test_a_device_is_made_to_flash() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.do(run.id(102), name="identify", options={"seconds": 10})
        assert double.writes() == [(501, 5119, RAM, number(102.0))]
        await run.pass_(12)
        assert double.writes()[1] == (501, 5119, RAM, number(0.0))
        await run.do(run.id(101), {"identify": True})
        assert double.writes()[2] == (501, 5119, RAM, number(101.0))


async def test_an_old_gateway_flashes_by_the_other_property() -> None:
    double = plant(1)
    double.rules.append(
        lambda request: request.error(0x23) if request.property_id == RAM else NotImplemented
    )
    async with running(double) as run:
        await run.do(run.id(101), name="identify")
        assert double.writes()[-1] == (501, 5119, FLASH, number(101.0))


async def test_the_clock_is_set_once_a_day() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.do(run.id(501), name="sync_clock")
        ((address, parameter, prop, data),) = double.writes()
        assert (address, parameter, prop) == (501, 5002, FLASH)
        assert abs(int.from_bytes(data, "little") - run.clock.now().timestamp()) < 5
        with pytest.raises(InvalidCommand):
            await run.do(run.id(501), name="sync_clock")


async def test_the_restart_flag_is_cleared() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.do(run.id(501), name="clear_restart")
        await run.do(run.id(501), {"clears_the_restart_flag_of_xcom_232i": True})
        assert double.writes() == [(501, 5104, FLASH, b"\1\0\0\0")] * 2


async def test_anything_can_be_read() -> None:
    double = plant(1)
    double.units[101].limits[1138] = (0.0, 50.0)
    async with running(double) as run:
        unit = run.id(101)

        async def read(**options: Any) -> Any:
            return await run.do(unit, name="read", options=options)

        assert (await read(id=3022))["value"] == 4.0
        assert (await read(key="operating_state"))["value"] == "inverter"
        assert (await read(id=1138, property="min"))["value"] == 0.0
        assert (await read(id=1138, property="max"))["value"] == 50.0
        assert (await read(id=1138, property="level"))["value"] == "expert"
        double.units[101].values[3022] = 9999.0
        assert await read(id=3022) | {"name": "", "unit": ""} == {
            "id": 3022, "key": "output_current", "property": "value", "value": None,
            "absent": "out_of_range", "name": "", "unit": "",
        }  # fmt: skip
        # A number that is in no table.
        with pytest.raises(Refused, match="OBJECT_ID_NOT_FOUND"):
            await read(id=3999)
        for wrong in ({"id": 9}, {"id": 3022, "property": "min"}, {"id": 1467}, {}):
            with pytest.raises(InvalidCommand):
                await read(**wrong)


async def test_messages_can_be_listed() -> None:
    double = plant(1)
    double.messages = [PlantMessage(n + 1, 16, 101, 1718100000 + n) for n in range(5)]
    async with running(double) as run:
        await run.pass_(3)
        result = await run.do(run.id(501), name="messages", options={"count": 3})
        assert [entry["time"] for entry in result["messages"]] == [
            "2024-06-11T10:00:04", "2024-06-11T10:00:03", "2024-06-11T10:00:02",
        ]  # fmt: skip
        assert result["messages"][0]["text"] == "Fan error detected"


def files(double: Double, content: bytes) -> list[Request]:
    """Let the double hold a file; returns the steps that were asked for."""
    steps: list[Request] = []
    blocks = [content[at : at + 512] for at in range(0, len(content), 512)]
    state = {"at": 0, "lost": False}

    def serve(request: Request) -> Any:
        if request.object_type != ObjectType.FILE_TRANSFER:
            return NotImplemented
        steps.append(request)
        if request.property_id == 0x25:
            return request.answer(property_id=0x26)
        if request.property_id == 0x23:
            state["at"] += 1
        if state["at"] == 1 and not state["lost"]:
            state["lost"] = True
            return None
        last = state["at"] >= len(blocks) - 1
        return request.answer(blocks[state["at"]], property_id=0x26 if last else 0x22)

    double.rules.append(serve)
    return steps


async def test_a_file_is_read_block_by_block() -> None:
    double = plant(1)
    content = bytes(range(32, 127)) * 20
    async with running(double) as run:
        await run.pass_(5)
        steps = files(double, content)
        double.log.clear()
        result = await run.do(run.id(501), name="datalog", options={"file": "LG240131.CSV"})
        assert result["content"].encode("iso8859-15") == content
        assert [step.property_id for step in steps] == [0x21, 0x23, 0x24, 0x23, 0x23]
        assert steps[0].data == b"LG240131.CSV\n"
        # Nothing else was asked between the first block and the last.
        first, last = (
            double.log.index(steps[0]),
            len(double.log) - double.log[::-1].index(steps[-1]),
        )
        assert all(r.object_type == ObjectType.FILE_TRANSFER for r in double.log[first:last])


async def test_a_file_waits_for_a_busy_gateway() -> None:
    double = plant(1)
    content = bytes(range(32, 127)) * 20
    busy = {1: 4, 3: 1}
    asked = [0]

    def refuse(request: Request) -> Any:
        if request.object_type != ObjectType.FILE_TRANSFER or not busy.get(asked[0] + 1):
            asked[0] += request.object_type == ObjectType.FILE_TRANSFER
            return NotImplemented
        busy[asked[0] + 1] -= 1
        return request.error(0x13)

    async with running(double) as run:
        await run.pass_(5)
        double.rules.append(refuse)
        files(double, content)
        result = await run.do(run.id(501), name="datalog", options={"file": "LG240131.CSV"})
        assert result["content"].encode("iso8859-15") == content
        assert not any(busy.values())
        busy[asked[0] + 1] = 1000
        with pytest.raises(Refused, match="BUSY"):
            await run.do(run.id(501), name="datalog")
        assert busy[asked[0] + 1] == 1000 - 5


async def test_the_directory_is_listed() -> None:
    double = plant(1)
    async with running(double) as run:
        double.rules.append(
            lambda request: (
                request.answer(b"LG171010.CSV\nLG171011.CSV\n", property_id=0x26)
                if request.object_type == ObjectType.FILE_TRANSFER
                else NotImplemented
            )
        )
        result = await run.do(run.id(501), name="datalog")
        assert result == {"files": ["LG171010.CSV", "LG171011.CSV"]}


async def test_no_write_during_a_file() -> None:
    double = plant(1)
    async with running(double) as run:
        run.engine._session.transfer = True  # type: ignore[union-attr]
        with pytest.raises(InvalidCommand, match="file"):
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert double.writes() == []


async def test_wishes_that_make_no_sense() -> None:
    double = plant(1)
    async with running(double) as run:
        for arguments, details in (
            (("nobody", {CHARGE_CURRENT: 1.0}), {}),
            ((run.id(101), {"nothing": 1.0}), {}),
            ((run.id(101),), {}),
            ((run.id(101),), {"name": "explode"}),
            ((run.id(501),), {"name": "identify"}),
            ((run.id(501),), {"name": "datalog", "options": {"file": "../secret"}}),
            ((run.id(501),), {"name": "messages", "options": {"count": 0}}),
            ((f"{run.id(501)}_system", {"pv_power": 1.0}), {}),
        ):
            with pytest.raises(InvalidCommand):
                await run.do(*arguments, **details)
        assert double.writes() == []


async def test_nothing_is_ever_written_by_itself() -> None:
    double = plant(6)
    double.multi = True
    async with running(double) as run:
        await run.pass_(400)
        double.units[102].dead = 0
        await run.pass_(120)
        double.units[102].dead = None
        await run.pass_(120)
    assert double.writes() == []
    assert not [r for r in double.log if r.destination in (0, 100, 300, 600, 700)]


# ------------------------------------------------------------------------------ the words


COMMAND_ERRORS = {"InvalidCommand", "NotConfirmed", "Refused"}
"""Those whose general text holds the message, which is English."""

SAY_MORE = {"device_not_found", "studer_link_lost", "studer_file_broken"}
"""What their errors say beside the text is a cause or a name; the others are written once."""


def test_every_refusal_has_a_text_of_its_own() -> None:
    """A translated sentence must not have an English one in it."""
    folder = Path(inspect.getfile(StuderEngine)).resolve().parent
    texts = json.loads((folder.parent.parent / "translations" / "en.json").read_text())
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in (
                COMMAND_ERRORS | {"NotConnected"}
            ):
                continue
            where = f"{path.name}:{node.lineno}"
            given = {word.arg: word.value for word in node.keywords}
            if "key" not in given:
                assert getattr(node.func, "id", "") == "NotConnected", where
                continue
            assert isinstance(given["key"], ast.Constant), where
            key = given["key"].value
            if node.args and isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
                assert key in SAY_MORE, where
            text = texts["exceptions"][key]["message"]
            assert "{message}" not in text, where
            assert set(re.findall(r"\{(\w+)\}", text)) == set(given) - {"key"}, where


def test_a_range_without_a_unit_has_no_gap_in_its_sentence() -> None:
    point = next(one for one in datapoints(Family.XT) if one.id == 1138)
    limits = Limits(minimum=0.0, maximum=5.0)
    error = LimitError(Refusal.TOO_BIG, "too big")
    said = str(not_allowed(replace(point, unit=None), 9.0, limits, error))
    assert said.endswith(" takes 0 to 5, not 9.0.")
    assert str(not_allowed(point, 9.0, limits, error)).endswith(" takes 0 to 5 A, not 9.0.")


# ------------------------------------------------------------------------------ issue 13: 2 and 3


async def storm(run: Running, count: int, pause: float, *numbers: int) -> Counter[str]:
    """Write again and again, to one parameter after the other; returns how the calls ended."""
    ended: Counter[str] = Counter()

    async def one(turn: int) -> None:
        options = {"id": numbers[turn % len(numbers)], "value": 10.0 + turn % 7}
        try:
            await run.engine.execute(Command(run.id(101), name="write", options=options))
            ended["done"] += 1
        except CommandError as error:
            ended[error.key] += 1

    calls = []
    for turn in range(count):
        calls.append(asyncio.ensure_future(one(turn)))
        await run.pass_(pause)
    await run.until(lambda: all(call.done() for call in calls), 300)
    return ended


async def test_a_storm_of_writes_leaves_half_of_the_line_to_the_polls() -> None:
    double = plant(3, latency=0.1)
    async with running(double) as run:
        await run.pass_(20)
        double.log.clear()
        began = run.clock.monotonic()
        ended = await storm(run, 600, 0.06, 1107, 1138)
        seconds = run.clock.monotonic() - began
        writes = len(double.writes())
        reads = len(double.log) - writes
        assert reads >= 0.45 * len(double.log)
        assert reads / seconds > 3
        assert ended["done"] == writes
        assert ended["done"] + ended["studer_superseded"] == 600
        # The newest wins, and nothing that was read goes out of date.
        assert run.value(101, CHARGE_CURRENT) == 10.0 + 599 % 7
        assert double.units[101].ram[1138] == 10.0 + 599 % 7
        assert all(run.value(at, "output_current") is not None for at in (101, 102, 103))


async def test_the_queue_of_commands_is_bounded() -> None:
    double = plant(1, latency=0.1)
    numbers = [point.id for point in datapoints(Family.XT) if point.has_bounds and point.writable]
    async with running(double, level="qsp") as run:
        await run.pass_(10)
        ended = await storm(run, 150, 0.0, *numbers[:150])
        assert ended["studer_too_many"] >= 150 - 64 - 1
        assert sum(ended.values()) == 150
        await run.pass_(10)
        assert run.value(101, "output_current") == 4.0


async def test_a_cancelled_writer_leaves_its_place_to_the_next() -> None:
    double = plant(1, latency=0.1)
    async with running(double) as run:
        await run.pass_(10)
        command = [Command(run.id(101), {CHARGE_CURRENT: float(value)}) for value in (11, 12, 13)]
        first = asyncio.ensure_future(run.engine.execute(command[0]))
        await run.pass_(0.02)
        second = asyncio.ensure_future(run.engine.execute(command[1]))
        await run.pass_(0.02)
        second.cancel()
        third = asyncio.ensure_future(run.engine.execute(command[2]))
        await run.until(lambda: first.done() and third.done())
        assert (first.exception(), third.exception()) == (None, None)
        assert double.units[101].ram[1138] == 13.0


async def test_what_flash_holds_already_is_not_written_again() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        same = {"id": 1138, "value": 60.0, "persistent": True}
        result = await run.do(run.id(101), name="write", options=same)
        assert result == {"value": 60.0, "persistent": True, "flash_writes": 0, "skipped": True}
        await run.do(run.id(101), {CHARGE_CURRENT: 60.0}, options={"persistent": True})
        result = await run.do(run.id(101), name="write", options={**same, "all_units": True})
        assert result["skipped"]
        assert double.writes() == []
        # What is in RAM only has to go, though.
        await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        await run.do(run.id(101), name="write", options=same)
        assert [entry[2] for entry in double.writes()] == [RAM, RAM]
        assert double.units[101].ram[1138] == 60.0
        assert CHARGE_CURRENT not in run.last.devices[run.id(101)].details


@pytest.mark.parametrize(("force", "minute", "day"), [(False, 5, 20), (True, 10, 60)])
async def test_flash_is_written_only_so_often_even_by_force(
    force: bool, minute: int, day: int
) -> None:
    double = plant(1)
    storage = MemoryStorage()
    refused: Counter[str] = Counter()

    async def writes(run: Running, count: int, pause: float) -> int:
        before = len(double.writes())
        for turn in range(count):
            options = {"id": 1138, "value": 10.0 + turn % 9, "persistent": True, "force": force}
            try:
                await run.do(run.id(101), name="write", options=options)
            except InvalidCommand as error:
                refused[error.key] += 1
            await run.pass_(pause)
        return len(double.writes()) - before

    async with running(double, storage) as run:
        assert await writes(run, minute + 5, 0) == minute
        assert refused == {"studer_flash_too_often": 5}
        await run.pass_(60)
    # Neither a restart nor a jump of the clock forgets it.
    async with running(double, storage) as run:
        assert minute + await writes(run, day + 9, 30) == day


async def test_near_real_time_for_a_while() -> None:
    """Issue 13, number 11."""
    double = plant(1)
    async with running(double) as run:
        await run.pass_(30)

        async def readings(seconds: float) -> int:
            before = double.reads(101).count(3136)
            await run.pass_(seconds)
            return double.reads(101).count(3136) - before

        assert await readings(20) <= 5
        await run.do("", name="fast", options={"minutes": 1})
        await run.pass_(5)
        assert await readings(20) >= 15
        await run.pass_(60)
        assert await readings(20) <= 5
        for wrong in (61, -1, True, "10", float("nan")):
            with pytest.raises(InvalidCommand):
                await run.do("", name="fast", options={"minutes": wrong})


async def test_everything_is_read_anew_on_demand() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(120)
        before = double.reads(101).count(1138)
        await run.do("", name="refresh")
        await run.pass_(10)
        assert double.reads(101).count(1138) == before + 1


async def test_a_clock_is_never_set_to_a_time_that_can_not_be() -> None:
    """Issue 13, number 8: a computer that has just started may be in 1970."""
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        for year in (1970, 2024, 2038, 9999):
            run.clock.set_wall(datetime(year, 1, 1, 0, 10, tzinfo=UTC))
            with pytest.raises(InvalidCommand) as caught:
                await run.do(run.id(501), name="sync_clock")
            assert caught.value.key == "clock_not_set"
            with pytest.raises(InvalidCommand) as caught:
                await run.do(run.id(501), {"date": datetime(year, 6, 1, tzinfo=UTC)})
            assert caught.value.key == "studer_no_date"
        assert double.writes() == []


# --------------------------------------------------------------- who is asked before a command


async def test_commands_to_a_device_that_is_silent_end_when_it_is_lost() -> None:
    double = plant(3)
    async with running(double, read_messages=False) as run:
        await run.pass_(30)
        double.units[102].dead = 0
        commands = [
            asyncio.ensure_future(
                run.engine.execute(Command(run.id(102), name="read", options={"id": 3000 + number}))
            )
            for number in range(40)
        ]
        await run.until(lambda: all(command.done() for command in commands), 40)
        assert all(isinstance(command.exception(), CommandError) for command in commands)


async def test_a_command_does_not_reach_a_device_that_does_not_say_who_it_is() -> None:
    double = plant(3)
    async with running(double, read_messages=False) as run:
        await run.pass_(30)
        double.units[102].fid = (0, 0)
        with pytest.raises(NotConnected):
            await run.do(run.id(102), {"battery_charge_current_1138": 12.0})
        assert double.writes() == []


async def test_a_device_that_shares_half_of_its_fid_with_another() -> None:
    double = plant(3)
    for address in (101, 102):
        double.units[address].fid = (address, 7)
    async with running(double) as run:
        await run.pass_(30)
        first, second = double.units[101], double.units[102]
        double.units[101], double.units[102] = second, first
        target = run.id(101)
        await run.do(target, {"battery_charge_current_1138": 12.0})
        assert first.ram == {1138: 12.0}
        assert second.ram == {}


async def test_a_doubt_that_comes_while_devices_are_asked_is_not_lost() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(30)
        asked = 0

        def swaps(request: Request) -> Any:
            nonlocal asked
            if request.destination == 103 and request.object_id == 3156:
                # The first was asked and is left; it changes its seat now.
                double.rules.remove(swaps)
                first, second = double.units[101], double.units[102]
                double.units[101], double.units[102] = second, first
                double.flags |= FrameFlags.RESTARTED
            return NotImplemented

        target, meant = run.id(101), double.units[101]
        double.rules.append(swaps)
        session = run.engine._session
        assert session is not None
        session.membership.invalidate([Family.XT])
        await run.until(lambda: swaps not in double.rules)
        await run.pass_(20)
        assert double.units[102] is meant
        assert run.addresses[target] == 102


async def test_a_check_that_is_cut_off_loses_no_device() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(30)
        first, second = double.units[101], double.units[102]
        double.units[101], double.units[102] = second, first
        target = run.id(101)
        command = asyncio.ensure_future(
            run.engine.execute(Command(target, {"battery_charge_current_1138": 12.0}))
        )
        await run.until(lambda: run.engine._context.plant.units[target].address is None)
        command.cancel()
        await asyncio.wait([command])
        took = await run.until(lambda: run.addresses[target] == 102)
        assert took < 5


async def test_leds_that_can_not_be_stopped_end_no_session() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(10)
        await run.do(run.id(101), name="identify", options={"seconds": 5})
        double.rules.append(
            lambda request: request.error(0x2B) if request.object_id == 5119 else NotImplemented
        )
        connected = len(run.snapshots)
        await run.pass_(20)
        assert all(snapshot.connected for snapshot in run.snapshots[connected:])


async def test_many_commands_on_a_slow_line_leave_it_to_the_values() -> None:
    """Nine Xtenders at 9600 baud: about 70 ms a question, and the gateway's own time."""
    double = plant(9, latency=0.15)
    async with running(double) as run:
        await run.pass_(60)
        double.log.clear()
        commands = [
            asyncio.ensure_future(run.engine.execute(Command(run.id(101 + number), {key: value})))
            for number in range(9)
            for key, value in (
                ("battery_charge_current_1138", 12.0),
                ("maximum_current_of_ac_source_input_limit", 10.0),
            )
        ]
        took = await run.until(lambda: all(command.done() for command in commands), 60)
        assert not any(command.exception() for command in commands)
        questions = sum(request.object_id == 3157 for request in double.log)
        assert (took < 40, questions < 45) == (True, True), (took, questions)


async def test_many_questions_to_a_device_that_falls_silent_spare_the_others() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(28.5)
        double.units[102].dead = 0
        commands = [
            asyncio.ensure_future(
                run.engine.execute(Command(run.id(102), name="read", options={"id": 3000 + number}))
            )
            for number in range(40)
        ]
        while not all(command.done() for command in commands):
            await run.pass_(0.5)
            assert run.value(101, "output_current") == 4.0
        assert all(isinstance(command.exception(), CommandError) for command in commands)


async def test_a_write_that_waits_for_its_turn_does_not_reach_who_is_there_then() -> None:
    double = plant(3)
    double.rules.append(
        lambda request: (
            None
            if request.destination == 103 and request.service is Service.WRITE
            else NotImplemented
        )
    )
    async with running(double) as run:
        await run.pass_(10)
        session = run.engine._session
        assert session is not None
        point = by_id(Family.XT, 1138)
        assert point is not None
        units = [session.plant.at(address) for address in (103, 101)]
        writes = [
            asyncio.ensure_future(session.ram.write(unit, point, 12.0, urgent=True))
            for unit in units
            if unit is not None
        ]
        await run.until(lambda: bool(double.writes()))
        assert units[1] is not None
        units[1].address = 102
        await run.until(lambda: all(write.done() for write in writes))
        assert isinstance(writes[1].exception(), NotAsked)
        assert {write[0] for write in double.writes()} == {103}
        # It was not sent, so that nothing is in doubt.
        assert units[1].memory.shadows == {}


@pytest.fixture
def phases() -> Double:
    double = plant(6)
    double.add(191, Family.XT, i3000=52.0)
    return double


async def test_a_phase_is_written_by_its_devices(phases: Double) -> None:
    async with running(phases, phases=True) as run:
        await run.pass_(20)
        for address in (101, 102):
            await run.do(run.id(address), {"battery_charge_current_1138": 20.0})
        await run.do(run.id(191), name="write", options={"id": 1138, "value": 12.0})
        shown = [run.value(address, "battery_charge_current_1138") for address in range(101, 105)]
        assert shown == [12.0, 20.0, 60.0, 12.0]
        stored = run.storage.data["shadows"]
        assert set(stored) == {run.id(address) for address in (101, 102, 104)}


async def test_a_phase_is_written_only_where_each_of_its_devices_may_be(phases: Double) -> None:
    phases.units[104].values |= {1628: 1, 1629: 60}
    async with running(phases, phases=True) as run:
        await run.pass_(20)
        with pytest.raises(InvalidCommand):
            await run.do(run.id(191), name="write", options={"id": 1138, "value": 12.0})
        phases.units[104].values[1628] = 0
        phases.units[101].dead = 2
        await run.until(lambda: not run.last.devices[run.id(101)].available)
        with pytest.raises(NotConnected):
            await run.do(run.id(191), name="write", options={"id": 1138, "value": 12.0})
        assert phases.writes() == []


async def test_a_phase_wears_the_flash_of_each_of_its_devices(phases: Double) -> None:
    def reaches(request: Request) -> Any:
        if request.destination == 191 and request.service is Service.WRITE:
            for address in (101, 104):
                phases.units[address].values[1138] = 12.0
        return NotImplemented

    phases.rules.append(reaches)
    async with running(phases, phases=True) as run:
        await run.pass_(20)
        options = {"id": 1138, "value": 12.0, "persistent": True}
        await run.do(run.id(191), name="write", options=options)
        counted = run.storage.data["flash_writes"]
        assert counted == {run.id(address): {"1138": 1} for address in (101, 104)}
        result = await run.do(run.id(191), name="write", options=options)
        assert result["skipped"]


async def test_who_does_not_say_who_it_is_gets_no_command_and_that_is_told() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)

        def silent(request: Request) -> Any:
            return None if request.object_id in (3156, 3157) else NotImplemented

        double.rules.append(silent)
        with pytest.raises(NotConnected) as refused:
            await run.do(run.id(101), {CHARGE_CURRENT: 12.0})
        assert refused.value.key == "studer_no_reply"
        assert double.writes() == []
