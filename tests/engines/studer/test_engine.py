"""The engine on a scripted plant: polling, faults, presence, identity, messages."""

from __future__ import annotations

import asyncio
import json
import struct
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import InvalidCommand, LinkError, Message, Reason
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import FrameFlags, ObjectType, Request, Service
from hardwired_engines.studer.scom.messages import PlantMessage
from hardwired_engines.studer.session.context import EMIT_EVERY
from hardwired_engines.studer.settings import StuderSettings

from .double import Double, Running, Unit, plant, running

pytestmark = pytest.mark.slow


def only(address: int, number: int) -> Any:
    """Return a test whether a request reads one thing."""
    return lambda request: (
        request.destination == address
        and request.object_id == number
        and request.service is Service.READ
    )


async def test_a_plant_is_found_and_shown() -> None:
    double = plant(6)
    double.add(301, Family.VT, i11000=52.1, i11004=1.5, i11007=4.0, i11009=1.2)
    double.add(701, Family.VS, i15000=52.2, i15010=2.5, i15017=5.0)
    double.add(601, Family.BSP, i7000=52.3, i7002=80.0, i7034=10241.0).missing.add(7054)
    async with running(double) as run:
        await run.pass_(15)
        devices = {state.device.name: state for state in run.last.devices.values()}
        assert set(devices) == {
            "Xcom", "Studer system", "VarioTrack 1", "VarioString 1", "BSP",
            "Xtender 1 L1", "Xtender 2 L2", "Xtender 3 L3",
            "Xtender 4 L1", "Xtender 5 L2", "Xtender 6 L3",
        }  # fmt: skip
        assert all(state.available for state in devices.values())
        xtender = devices["Xtender 2 L2"]
        assert xtender.device.id == xtender.device.serial_number == "12340066"
        assert xtender.device.model == "XTM 4000-48"
        assert xtender.device.sw_version == "1.6.54"
        assert xtender.device.via == devices["Xcom"].device.id
        assert xtender.values["output_current"] == 5.0
        assert xtender.values["operating_state"] == "inverter"
        assert xtender.values["inverter_allowed"] is True
        assert devices["BSP"].values["state_of_charge"] == 80.0
        system = devices["Studer system"].values
        assert system["output_active_power"] == 21.0
        assert system["pv_power"] == 4.0


async def test_every_value_belongs_to_a_field() -> None:
    double = plant(2)
    double.add(601, Family.BMS, i7000=52.3)
    async with running(double) as run:
        await run.pass_(15)
        for state in run.last.devices.values():
            assert set(state.values) <= set(run.engine.catalogues[state.device.kind])


async def test_one_request_at_a_time() -> None:
    double = plant(3)
    open_requests: list[int] = []

    def watch(_request: Request) -> Any:
        open_requests.append(len(double._out))
        return NotImplemented

    double.rules.append(watch)
    async with running(double) as run:
        await run.pass_(20)
    assert set(open_requests) == {0}


async def test_a_late_answer_is_nobody_s_value() -> None:
    """The answer for unit 2 comes while unit 3 is asked (spec f.1)."""
    double = plant(3)
    async with running(double) as run:
        await run.pass_(10)

        def late(request: Request) -> Any:
            if not only(102, 3022)(request):
                return NotImplemented
            double.rules.remove(late)
            # Later than our time-out, the drain and the retry.
            double.later(
                run.clock.monotonic() + 3.55, request.answer(struct.pack("<f", 77.0)).encode()
            )
            return None

        double.rules.append(late)
        await run.pass_(30)
        seen = {
            (key, snapshot.value(run.id(address), key))
            for snapshot in run.snapshots
            for address in (101, 103)
            for key in ("output_current", "output_voltage")
        }
        assert {value for key, value in seen if key == "output_current"} <= {None, 4.0, 6.0}
        assert {value for key, value in seen if key == "output_voltage"} <= {None, 230.0}
        assert run.engine.statistics.timeouts == 1
        assert all(state.available for state in run.last.devices.values())


async def test_an_answer_in_pieces_with_noise_is_one_answer() -> None:
    double = plant(1)

    def pieces(request: Request) -> Any:
        if not only(101, 3022)(request):
            return NotImplemented
        raw = b"\xff" + request.answer(struct.pack("<f", 4.5)).encode() + b"\r\n"
        now = run.clock.monotonic()
        for index, byte in enumerate(raw):
            double.later(now + 0.01 + index * 0.02, bytes((byte,)))
        return None

    async with running(double) as run:
        double.rules.append(pieces)
        await run.pass_(10)
        assert run.value(101, "output_current") == 4.5
        assert run.engine.statistics.timeouts == 0


@pytest.mark.parametrize("death", [0, 3, 2])
async def test_a_dead_unit_is_noticed_within_a_cycle_and_costs_the_others_nothing(
    death: int,
) -> None:
    double = plant(6)
    async with running(double) as run:
        await run.pass_(20)
        double.units[103].dead = death
        lost = run.id(103)
        took = await run.until(lambda: not run.last.devices[lost].available)
        assert took < 5 + 3 * 3.6
        assert run.last.devices[lost].values["output_current"] is None
        assert run.last.devices[lost].values["connectivity"] is False
        assert run.notices() == ["device_lost"]
        others = [run.id(address) for address in (101, 102, 104, 105, 106)]
        double.log.clear()
        await run.pass_(60)
        assert all(run.last.devices[other].available for other in others)
        assert all(run.last.value(other, "output_current") is not None for other in others)
        # One attempt every 30 s.
        assert 1 <= double.reads(103).count(3000) <= 3
        assert set(double.reads(103)) == {3000}
        # A sum that lacks one is no sum.
        assert run.last.value(f"{run.id(501)}_system", "output_active_power") is None
        double.units[103].dead = None
        back = await run.until(lambda: run.last.devices[lost].available)
        assert back <= 31
        await run.pass_(6)
        assert run.last.value(lost, "output_current") == 6.0
        assert run.notices() == []


async def test_one_lost_answer_makes_nobody_unavailable() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(10)
        before = len(run.snapshots)

        def lose(request: Request) -> Any:
            if only(102, 3136)(request):
                double.rules.remove(lose)
                return None
            return NotImplemented

        double.rules.append(lose)
        await run.pass_(20)
        assert all(snap.devices[run.id(102)].available for snap in run.snapshots[before:])


async def test_nonsense_is_not_shown() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(10)
        double.units[102].values[3022] = 6553.5
        double.units[103].values[3136] = float("nan")
        await run.pass_(40)
        for snapshot in run.snapshots:
            assert snapshot.value(run.id(102), "output_current") in (None, 5.0)
        assert run.value(102, "output_current") is None
        assert run.value(103, "output_active_power") is None
        assert run.engine.statistics.drops["out_of_range"] > 0
        assert run.engine.statistics.drops["not_finite"] > 0
        double.units[102].values[3022] = 5.5
        await run.pass_(12)
        assert run.value(102, "output_current") == 5.5


async def test_a_battery_voltage_that_the_others_contradict_is_not_shown() -> None:
    double = plant(4)
    async with running(double) as run:
        await run.pass_(12)
        double.units[104].values[3000] = 30.0
        await run.pass_(40)
        assert run.value(104, "battery_voltage") is None
        assert run.value(101, "battery_voltage") == 52.0
        assert {s.value(run.id(104), "battery_voltage") for s in run.snapshots} <= {None, 52.3}


async def test_separate_batteries_may_differ() -> None:
    double = plant(4)
    double.units[104].values[3000] = 30.0
    async with running(double, separate_batteries=True) as run:
        await run.pass_(12)
        assert run.value(104, "battery_voltage") == 30.0


async def test_a_counter_that_falls_once_is_not_believed() -> None:
    double = plant(1)
    async with running(double, intervals={"slow": 5}) as run:
        await run.pass_(10)
        assert run.value(101, "consumers_energy_of_the_current_day") == 10.0

        def once(request: Request) -> Any:
            if only(101, 3083)(request):
                double.rules.remove(once)
                return request.answer(struct.pack("<f", 0.5))
            return NotImplemented

        double.rules.append(once)
        await run.pass_(10)
        shown = {s.value(run.id(101), "consumers_energy_of_the_current_day") for s in run.snapshots}
        assert shown <= {None, 10.0}
        assert run.engine.statistics.drops["fell"] == 1


async def test_energy_totals_outlive_midnight_and_restarts() -> None:
    double = plant(2)
    storage = MemoryStorage()
    system = "xcom_12340065_system"
    async with running(double, storage, intervals={"slow": 5}) as run:
        await run.pass_(10)
        for address in (101, 102):
            double.units[address].values[3083] += 2.0
        await run.pass_(70)  # it is shown once it is stored
        assert run.last.value(system, "consumers_energy") == 4.0
        # One unit resets before the other.
        double.units[101].values[3083] = 0.0
        await run.pass_(7)
        double.units[102].values[3083] = 0.1
        await run.pass_(70)
        assert run.last.value(system, "consumers_energy") == pytest.approx(4.1)
        totals = [
            value
            for s in run.snapshots
            if (value := s.value(system, "consumers_energy")) is not None
        ]
        assert totals == sorted(totals)
    double.units[101].values[3083] = 1.0
    async with running(double, storage, intervals={"slow": 5}) as run:
        await run.pass_(70)
        assert run.last.value(system, "consumers_energy") == pytest.approx(5.1)


async def test_a_datapoint_that_a_device_lacks_disappears() -> None:
    double = plant(1)
    double.units[101].missing.add(3104)
    async with running(double) as run:
        await run.pass_(70)
        assert "electronic_temperature_1_minute_avg" not in run.last.devices[run.id(101)].values
        assert double.reads(101).count(3104) == 1
        assert run.last.devices[run.id(101)].available


async def test_an_answer_of_another_format_ends_after_three() -> None:
    double = plant(1)
    double.rules.append(
        lambda request: request.answer(b"\1\0") if only(101, 3022)(request) else NotImplemented
    )
    async with running(double) as run:
        await run.pass_(40)
        assert double.reads(101).count(3022) == 3
        assert "output_current" not in run.last.devices[run.id(101)].values
        assert run.engine.statistics.drops["bad_length"] == 3


@pytest.mark.parametrize("code", [0x11, 0x21, 0x23, 0x26, 0x2B])
async def test_one_odd_error_takes_no_datapoint_away(code: int) -> None:
    double = plant(1)
    odd = [2]

    def error(request: Request) -> Any:
        if only(101, 3022)(request) and odd[0]:
            odd[0] -= 1
            return request.error(code)
        return NotImplemented

    async with running(double) as run:
        double.rules.append(error)
        await run.pass_(20)
        assert odd == [0]
        double.units[101].values[3022] = 5.0
        await run.pass_(10)
        assert run.value(101, "output_current") == 5.0
        # Always the same is believed.
        odd[0] = 1000
        await run.pass_(40)
        assert odd == [1000 - 3]
        assert "output_current" not in run.last.devices[run.id(101)].values
        assert run.last.devices[run.id(101)].available


async def test_a_bsp_calls_invalid_what_it_does_not_have() -> None:
    double = plant(1)
    double.add(601, Family.BSP, i7000=52.3, i7002=80.0, i7034=10241.0).missing.add(7054)
    double.rules.append(
        lambda request: request.error(0x26) if only(601, 7002)(request) else NotImplemented
    )
    async with running(double) as run:
        await run.pass_(30)
        assert double.reads(601).count(7002) == 1
        assert "state_of_charge" not in run.last.devices[run.id(601)].values


def stripped(request: Request) -> Any:
    """A Moxa that strips 0D 0A swallows a constant value that holds these bytes."""
    if not only(101, 3104)(request):
        return NotImplemented
    return request.answer(b"\x0d\x0a\x00\x42").encode().replace(b"\r\n", b"")


def add_monitor(double: Double, family: Family) -> Unit:
    kind = 10241 if family is Family.BSP else 9729
    can = {"i7054": 3.0} if family is Family.BMS else {}
    return double.add(601, family, i7000=52.0, i7002=55.0, i7034=kind, **can)


def monitors(run: Running) -> dict[str, bool]:
    states = run.last.devices.values()
    return {s.device.kind: s.available for s in states if s.device.kind in {"bsp", "bms"}}


@pytest.mark.parametrize("times, code", [(2, None), (5, 0x13), (1, 0x2A), (2, 0x03), (1, 0x02)])
async def test_a_lost_answer_makes_no_bsp_of_an_xcom_can(times: int, code: int | None) -> None:
    """Both answer 7034, and the same numbers mean different things."""
    double = plant(1)
    add_monitor(double, Family.BMS)
    left = [times]

    def rule(asked: Request) -> Any:
        if asked.object_id != 7054 or not left[0]:
            return NotImplemented
        left[0] -= 1
        return None if code is None else asked.error(code)

    double.rules.append(rule)
    async with running(double) as run:
        await run.pass_(10)
        assert monitors(run) == {"bms": True}


@pytest.mark.parametrize(
    "before, after", [(None, Family.BMS), (Family.BSP, Family.BMS), (Family.BMS, Family.BSP)]
)
@pytest.mark.parametrize("down", [0, 60])
async def test_another_battery_monitor_is_known_by_its_kind(
    before: Family | None, after: Family, down: int
) -> None:
    double = plant(1)
    if before is not None:
        add_monitor(double, before)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(20)
        if down:
            double.units.pop(601, None)
            await run.pass_(down)
        add_monitor(double, after).fid = (5, 6)
        await run.pass_(900)
        assert monitors(run) == {**({before.value: False} if before else {}), after.value: True}
    async with running(double, storage) as run:
        await run.pass_(10)
        assert monitors(run)[after.value]


async def test_another_battery_monitor_is_found_soon_where_one_is_sought() -> None:
    double = plant(1)
    add_monitor(double, Family.BMS)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(20)
    del double.units[601]
    async with running(double, storage) as run:
        await run.pass_(20)
        add_monitor(double, Family.BSP).fid = (5, 6)
        await run.pass_(60)
        assert monitors(run) == {"bms": False, "bsp": True}


async def test_another_battery_monitor_after_a_reconnection_is_known_by_its_kind() -> None:
    double = plant(1)
    add_monitor(double, Family.BSP)
    async with running(double) as run:
        await run.pass_(20)
        del double.units[601]
        add_monitor(double, Family.BMS).fid = (5, 6)
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        await run.until(lambda: run.last.connected)
        await run.pass_(2)
        assert monitors(run) == {"bsp": False, "bms": True}


async def test_a_battery_monitor_that_was_taken_for_the_other_kind_is_put_right() -> None:
    double = plant(1)
    add_monitor(double, Family.BMS)
    storage = MemoryStorage()
    storage.save({"seats": {"12340065": ["xt", 101], "12340259": ["bsp", 601]}})
    async with running(double, storage) as run:
        await run.pass_(10)
        assert monitors(run) == {"bms": True}
    assert storage.load()["seats"]["12340259"] == ["bms", 601]


async def test_an_answer_that_never_arrives_costs_little() -> None:
    double = plant(2)
    double.rules.append(stripped)
    async with running(double, intervals={"slow": 5}) as run:
        await run.pass_(60)
        assert run.notices() == ["answer_mangled"]
        double.log.clear()
        before = len(run.snapshots)
        await run.pass_(300)
        assert double.reads(101).count(3104) <= 2
        assert run.value(101, "output_current") == 4.0
        assert all(s.devices[run.id(101)].available for s in run.snapshots[before:])


async def test_a_busy_gateway_is_asked_again() -> None:
    double = plant(1)
    refusals = [3]

    def busy(request: Request) -> Any:
        if only(101, 3022)(request) and refusals[0]:
            refusals[0] -= 1
            return request.error(0x13)
        return NotImplemented

    async with running(double) as run:
        double.rules.append(busy)
        await run.pass_(12)
        assert run.value(101, "output_current") == 4.0
        assert run.last.devices[run.id(101)].available


# ------------------------------------------------------------------------------ multi-info


async def test_multi_info_saves_most_requests() -> None:
    counts = []
    for multi in (False, True):
        double = plant(6)
        double.multi = multi
        async with running(double) as run:
            await run.pass_(10)
            double.log.clear()
            await run.pass_(60)
            counts.append(len(double.log))
            assert run.value(106, "output_current") == 9.0
            assert run.value(106, "operating_state") == "inverter"
            assert run.engine.statistics.extra["multi_info"] is multi
    assert counts[1] < counts[0] / 3


async def test_what_multi_info_says_of_a_dead_unit_is_never_shown() -> None:
    """The double answers zero for it, as a gateway may."""
    double = plant(6)
    double.multi = True
    async with running(double) as run:
        await run.pass_(12)
        double.units[104].dead = 0
        await run.pass_(60)
        for snapshot in run.snapshots:
            assert snapshot.value(run.id(104), "output_voltage") in (None, 230.0)
        assert not run.last.devices[run.id(104)].available
        # With one unit missing, the family is read one by one.
        multi = [r for r in double.log if r.object_type == ObjectType.MULTI_INFO]
        double.log.clear()
        await run.pass_(30)
        assert multi
        assert not [r for r in double.log if r.object_type == ObjectType.MULTI_INFO]


async def test_a_gateway_that_forgets_multi_info_is_read_one_by_one() -> None:
    double = plant(2)
    double.multi = True
    async with running(double) as run:
        await run.pass_(12)
        double.multi = False
        double.units[101].values[3022] = 5.0
        await run.pass_(12)
        assert run.value(101, "output_current") == 5.0
        assert run.engine.statistics.extra["multi_info"] is False


async def test_what_a_failed_request_asked_for_is_read_one_by_one_between_other_duties() -> None:
    """13.14: 76 readings are 5 seconds in which a message, a lost unit, a watchdog would wait."""
    double = plant(6)
    double.multi = True
    failing = False

    def fail(request: Request) -> Any:
        if failing and request.object_type == ObjectType.MULTI_INFO:
            double.flags |= FrameFlags.MESSAGE_PENDING
            return request.error(0x2A, flags=double.flags)
        return NotImplemented

    double.rules.append(fail)
    async with running(double) as run:
        await run.pass_(20)
        failing = True
        double.log.clear()
        await run.pass_(12)
        failing = False
        kinds = [request.object_type for request in double.log]
        failed = kinds.index(ObjectType.MULTI_INFO)
        message = kinds.index(ObjectType.MESSAGE, failed)
        assert message - failed <= 3, "the message does not wait for the readings"
        assert len(kinds) - message > 40, "which come nevertheless"
        double.log.clear()
        await run.pass_(20)
        kinds = [request.object_type for request in double.log]
        assert ObjectType.MULTI_INFO in kinds, "and many at once are asked for again"
        assert run.engine.statistics.extra["multi_info"] is True
        assert run.value(106, "output_current") == 9.0


async def test_a_passing_error_does_not_end_multi_info() -> None:
    double = plant(2)
    double.multi = True
    errors = [2]

    def refuse(request: Request) -> Any:
        if request.object_type == ObjectType.MULTI_INFO and errors[0]:
            errors[0] -= 1
            return request.error(0x2A)
        return NotImplemented

    async with running(double) as run:
        await run.pass_(12)
        double.rules.append(refuse)
        await run.pass_(30)
        assert errors == [0]
        assert run.engine.statistics.extra["multi_info"] is True
        errors[0] = 1000
        await run.pass_(60)
        assert errors == [1000 - 3]
        assert run.engine.statistics.extra["multi_info"] is False
        assert run.value(101, "output_current") == 4.0


# ------------------------------------------------------------------------------ identity


async def test_a_renumbered_plant_keeps_its_devices() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        first, second = run.id(101), run.id(102)
        # 101 and 102 change places, and a message says that an Xtender has started.
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.messages.append(PlantMessage(1, 177, 102, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(20)
        assert run.id(101) == second
        assert run.id(102) == first
        for snapshot in run.snapshots:
            assert snapshot.value(first, "output_current") in (None, 4.0)
            assert snapshot.value(second, "output_current") in (None, 5.0)
        assert run.last.value(first, "output_current") == 4.0
        assert "renumbered" in run.notices()


async def test_what_stands_in_the_ram_of_units_that_moved_is_told_by_who_has_started() -> None:
    """One says that it has started, at the address of the other; the other may have, or not."""
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        first, second, third = (run.id(address) for address in (101, 102, 103))
        for unit in (first, second, third):
            await run.do(unit, {"battery_charge_current_1138": 12.0})
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.messages.append(PlantMessage(1, 177, 102, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(20)
        shown = [run.last.value(one, "battery_charge_current_1138") for one in (first, second)]
        assert shown == [60.0, None]
        assert run.last.value(third, "battery_charge_current_1138") == 12.0


async def test_a_unit_that_comes_back_as_another_is_another_device() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        old = run.id(103)
        double.units[103].dead = 2
        await run.until(lambda: not run.last.devices[old].available)
        double.units[103].dead = None
        double.units[103].fid = (0x4321, 7)
        double.units[103].values[3022] = 9.5
        await run.until(lambda: "43210007" in run.last.devices)
        await run.pass_(10)
        assert run.last.value("43210007", "output_current") == 9.5
        assert run.last.value(old, "output_current") is None
        assert not run.last.devices[old].available


async def test_a_unit_missing_at_the_start_appears_later() -> None:
    double = plant(3)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(5)
    double.units[102].dead = 2
    async with running(double, storage) as run:
        await run.pass_(5)
        assert "12340066" not in run.last.devices
        assert run.last.devices["12340067"].available
        double.units[102].dead = None
        await run.until(lambda: "12340066" in run.last.devices, 40)
        await run.pass_(8)
        assert run.last.value("12340066", "output_current") == 5.0


async def test_the_gateway_s_guid_names_the_plant() -> None:
    double = plant(1)
    double.guid = bytes(range(16))
    async with running(double) as run:
        assert run.id(501) == "0f0e0d0c-0b0a-0908-0706-050403020100"
        assert "0f0e0d0c-0b0a-0908-0706-050403020100" in run.engine.secrets()
        assert "12340065" in run.engine.secrets()
        assert "12340065" not in str(run.engine.diagnostics())


# ------------------------------------------------------------------------------ messages


async def test_messages_are_told_once_in_their_order() -> None:
    double = plant(1)
    double.messages = [PlantMessage(n + 1, n, 101, 1718100000 + n) for n in range(3)]
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(5)
        # What is old at the start is shown and not told.
        assert messages_of(run) == []
        assert run.last.value(run.id(501), "last_message") is not None
        double.messages.append(PlantMessage(4, 8, 101, 1718100100))
        double.messages.append(PlantMessage(5, 999, 301, 1718100101))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(10)
        assert [m.data["number"] for m in messages_of(run)] == [8, 999]
        overload = messages_of(run)[0]
        assert overload.key == "message"
        assert overload.type == "halted"
        assert overload.data["text"] == "Inverter overload SC"
        assert overload.data["device"] == "Xtender 1 L1"
        assert overload.time is not None
        assert overload.time.isoformat() == "2024-06-11T10:01:40+00:00"
        assert run.last.value(run.id(501), "last_message") == "Message 999"
        assert not double.flags & FrameFlags.MESSAGE_PENDING
    async with running(double, storage) as run:
        await run.pass_(5)
        assert messages_of(run) == []


async def test_two_messages_that_are_the_same_hide_none_before_them() -> None:
    double = plant(1)
    double.messages = [PlantMessage(1, 3, 101, 1718100000)]
    async with running(double) as run:
        await run.pass_(5)
        double.messages += [PlantMessage(4, number, 101, 1718100100) for number in (8, 222, 222)]
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(10)
        assert [m.data["number"] for m in messages_of(run)] == [8, 222]


async def test_a_message_that_another_master_reads_meanwhile_is_told_with_those_before() -> None:
    """It reads the newest, clears the flag, and all count from that one."""
    double = plant(1)
    double.messages = [PlantMessage(1, 3, 101, 1718100000)]
    newer = PlantMessage(4, 10, 101, 1718100102)

    def arrive(asked: Request) -> Any:
        if asked.object_type == ObjectType.MESSAGE and asked.object_id == 1 and len(told) == 3:
            double.messages.append(newer)
        return NotImplemented

    async with running(double) as run:
        await run.pass_(5)
        double.messages += [
            PlantMessage(3, 8, 101, 1718100100),
            PlantMessage(3, 7, 101, 1718100101),
        ]
        told = double.messages
        double.rules.append(arrive)
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(20)
        assert [m.data["number"] for m in messages_of(run)] == [8, 7, 10]


async def test_only_what_is_recent_is_told_after_a_start() -> None:
    """Issue 12, number 7: what happened while we were away long ago is no alarm."""
    double = plant(1)
    double.messages = [PlantMessage(1, 8, 101, 1718100000)]
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(5)
    started = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    double.messages.append(PlantMessage(2, 16, 101, started - 7200))
    double.messages.append(PlantMessage(3, 8, 101, started - 60))
    async with running(double, storage) as run:
        await run.pass_(5)
        assert [m.data["number"] for m in messages_of(run)] == [8]
        # A loss of the link is no start: everything since then is news.
        double.rules.append(lambda _request: None)
        await run.until(lambda: not run.last.connected, 60)
        double.messages.append(PlantMessage(4, 16, 101, started - 7200))
        double.rules.clear()
        await run.until(lambda: run.last.connected, 60)
        await run.pass_(5)
        assert [m.data["number"] for m in messages_of(run)] == [8, 16]


async def test_messages_are_left_alone_when_told_so() -> None:
    double = plant(1)
    double.messages = [PlantMessage(1, 8, 101, 1718100000)]
    double.flags |= FrameFlags.MESSAGE_PENDING
    async with running(double, read_messages=False) as run:
        await run.pass_(20)
        assert not [r for r in double.log if r.object_type == ObjectType.MESSAGE]


def messages_of(run: Running) -> list[Message]:
    return [item for item in run.occurrences if isinstance(item, Message)]


async def test_frame_flags_are_shown() -> None:
    double = plant(1)
    double.flags |= FrameFlags.SD_PRESENT | FrameFlags.SD_FULL
    async with running(double) as run:
        await run.pass_(5)
        gateway = run.last.devices[run.id(501)].values
        assert gateway["sd_card_present"] is True
        assert gateway["sd_card_full"] is True
        assert gateway["restarted"] is False
        double.flags |= FrameFlags.RESTARTED
        double.log.clear()
        await run.pass_(10)
        assert run.last.devices[run.id(501)].values["restarted"] is True
        assert 3156 in double.reads(101)


# ------------------------------------------------------------------------------ what is polled


async def test_extra_values_cost_nothing_until_somebody_looks() -> None:
    double = plant(1)
    double.units[101].values[3090] = 41.0
    async with running(double) as run:
        await run.pass_(65)
        assert run.last.devices[run.id(101)].values["input_limit_value"] is None
        assert 3017 not in double.reads(101)
        double.units[101].values[3017] = 32.0
        run.engine.watch(run.id(101), {"input_limit_value"})
        await run.pass_(12)
        assert run.value(101, "input_limit_value") == 32.0


async def test_what_is_requested_is_polled_at_its_own_pace() -> None:
    double = plant(1)
    async with running(
        double, datapoints=("xt.1128",), intervals={"xt.3136": 2, "fast": 20}
    ) as run:
        await run.pass_(10)
        assert run.value(101, "transfer_relay_allowed") is True
        double.log.clear()
        await run.pass_(20)
        assert double.reads(101).count(3136) == 10
        assert double.reads(101).count(3022) == 1


async def test_levels_hide_parameters() -> None:
    async with running(plant(1), level="basic") as run:
        await run.pass_(5)
        values = run.last.devices[run.id(101)].values
        assert "battery_charge_current_1138" in values
        assert "grid_feeding_allowed" not in values


async def test_limits_of_the_devices_reach_the_catalogue() -> None:
    double = plant(1)
    double.units[101].limits[1138] = (0.0, 50.0)
    async with running(double) as run:
        await run.pass_(60)
        field = run.last.devices[run.id(101)].fields["battery_charge_current_1138"]
        assert (field.minimum, field.maximum) == (0.0, 50.0)


async def test_a_plant_of_24_volts_has_its_own_limits() -> None:
    double = plant(1)
    for unit in double.units.values():
        unit.values |= {3127: 24.0, 3000: 26.0}
    async with running(double, datapoints=("xt.1108",)) as run:
        await run.pass_(10)
        assert run.engine.diagnostics()["nominal_battery"] == 24
        field = run.last.devices[run.id(101)].fields["battery_undervoltage_level_without_load"]
        assert (field.minimum, field.maximum) == (18.0, 36.0)
        assert run.value(101, "battery_voltage") == 26.0


async def test_phases_are_shown_on_request() -> None:
    double = plant(3)
    for phase, address in ((191, 101), (192, 102), (193, 103)):
        double.units[phase] = double.units[address]
    async with running(double, phases=True) as run:
        await run.pass_(12)
        phase = run.last.devices[f"{run.id(501)}_l2"]
        assert phase.device.name == "Xtender L2"
        assert phase.values["output_current"] == 5.0
        assert run.last.value(f"{run.id(501)}_system", "output_active_power") == 6.0


# ------------------------------------------------------------------------------ the link


async def test_a_silent_gateway_is_told_apart() -> None:
    double = plant(1)
    async with running(double) as run:
        await run.pass_(8)
        before = run.last.devices[run.id(101)]
        double.rules.append(lambda _request: None)
        await run.until(lambda: not run.last.connected, 60)
        assert run.last.reason is Reason.SILENT
        assert before.available
        await run.until(lambda: not run.last.devices["12340065"].available, 20)
        assert run.last.value("12340065", "output_current") is None
        double.rules.clear()
        await run.until(lambda: run.last.connected, 120)
        await run.pass_(8)
        assert run.value(101, "output_current") == 4.0
        assert run.engine.statistics.reconnects == 1


async def test_noise_is_told_apart() -> None:
    double = plant(1)
    async with running(double) as run:
        double.rules.append(lambda _request: b"\x55\xfe\x00\x12" * 5)
        await run.until(lambda: not run.last.connected, 60)
        await run.until(lambda: run.last.reason is Reason.NOISE, 60)
        assert "serial settings" in str(run.last.detail)


async def test_somebody_else_s_answers_are_told_apart() -> None:
    double = plant(1)
    async with running(double) as run:
        other = Request(101, Service.READ, 1, 3000, 1, source=99)
        double.rules.append(lambda _request: other.answer(bytes(4)))
        await run.until(lambda: run.last.reason is Reason.NO_ANSWER, 60)


async def test_the_link_is_lost_in_the_middle_of_everything() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(8)
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        assert run.last.devices[run.id(101)].available
        double.hung_up = False
        await run.until(lambda: run.last.connected, 30)
        await run.pass_(8)
        # Back within the grace: nobody noticed.
        assert all(s.devices["12340065"].available for s in run.snapshots if s.devices)
        assert run.value(101, "output_current") == 4.0


async def test_a_restart_asks_only_what_it_must() -> None:
    storage = MemoryStorage()
    double = plant(2)
    async with running(double, storage) as run:
        assert len({r.destination for r in double.log}) > 30
        double.log.clear()
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        await run.until(lambda: run.last.connected, 30)
        assert {r.destination for r in double.log} == {501, 101, 102}
    double.log.clear()
    async with running(double, storage) as run:
        # Two absences end a family.
        assert {r.destination for r in double.log} == {
            501, 101, 102, 103, 104, 301, 302, 701, 702, 601,
        }  # fmt: skip


async def test_the_scom_watchdog_is_kept_content() -> None:
    double = Double()
    double.units[501].values |= {5095: 1, 5096: 20.0}
    async with running(double) as run:
        times: list[float] = []

        def note(_request: Request) -> Any:
            times.append(run.clock.monotonic())
            return NotImplemented

        double.rules.append(note)
        await run.pass_(200)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) <= 10.5


async def test_a_slow_return_of_the_link_loses_nobody() -> None:
    """The grace ends while the devices are being identified again."""
    double = plant(3)
    async with running(double) as run:
        await run.pass_(8)
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        double.latency = 0.9
        await run.pass_(5)
        double.hung_up = False
        await run.until(lambda: run.last.connected, 120)
        double.latency = 0.02
        await run.pass_(20)
        assert all(state.available for state in run.last.devices.values())
        assert run.value(103, "output_current") == 6.0


async def test_a_message_that_gets_lost_casts_doubt_all_the_same() -> None:
    """The gateway clears its flag although its answer never arrives."""
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        first, second = run.id(101), run.id(102)
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.messages.append(PlantMessage(1, 177, 102, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING

        def lose(request: Request) -> Any:
            if request.object_type != ObjectType.MESSAGE:
                return NotImplemented
            double.flags &= ~FrameFlags.MESSAGE_PENDING
            return None

        double.rules.append(lose)
        await run.pass_(30)
        double.rules.clear()
        await run.pass_(20)
        assert run.id(101) == second
        for snapshot in run.snapshots:
            assert snapshot.value(first, "output_current") in (None, 4.0)
            assert snapshot.value(second, "output_current") in (None, 5.0)
        assert [message.data["number"] for message in messages_of(run)] == [177]


async def test_a_unit_that_does_not_say_who_it_is_is_not_shown() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(12)
        await run.do(run.id(102), {"battery_charge_current_1138": 12.0})
        double.rules.append(lambda request: None if only(102, 3156)(request) else NotImplemented)
        double.messages.append(PlantMessage(1, 138, 101, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.until(lambda: not run.last.devices["12340066"].available, 30)
        assert run.last.devices["12340065"].available
        double.rules.clear()
        await run.until(lambda: run.last.devices["12340066"].available, 60)
        await run.pass_(8)
        # It has not restarted: what is in its RAM is still there.
        assert run.value(102, "battery_charge_current_1138") == 12.0


# ------------------------------------------------------------------------------ soon and steadily


async def test_a_value_is_not_held_back_by_one_that_does_not_come() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        told: list[tuple[float, float]] = []

        def silent(request: Request) -> Any:
            if only(101, 3022)(request):
                fresh = double.units[101].values[3022] = double.units[101].values[3022] + 1.0
                told.append((run.clock.monotonic() + double.latency, fresh))
            return None if request.destination == 102 else NotImplemented

        double.rules.append(silent)
        await run.until(lambda: bool(told), 10)
        moment, fresh = told[0]
        await run.until(lambda: run.value(101, "output_current") == fresh, 10)
        assert run.clock.monotonic() - moment <= EMIT_EVERY + 0.1
        assert run.last.devices[run.id(102)].available, "its time-outs are still running"


async def test_news_come_at_most_four_times_a_second() -> None:
    double = plant(6, latency=0.001)
    async with running(double) as run:
        await run.pass_(5)
        double.rules.append(lambda _request: NotImplemented)
        before = len(run.snapshots)
        await run.pass_(60)
        assert len(run.snapshots) - before <= 60 / EMIT_EVERY + 1


async def test_a_silent_unit_is_given_up_within_the_poll_that_it_misses() -> None:
    """Three time-outs, each with the silence after it, and nothing waited for in between."""
    double = plant(6)
    async with running(double) as run:
        await run.pass_(60)
        double.units[103].dead = 0
        lost = run.id(103)
        missed: list[float] = []

        def note(request: Request) -> Any:
            if request.destination == 103:
                missed.append(run.clock.monotonic())
            return NotImplemented

        double.rules.append(note)
        took = await run.until(lambda: not run.last.devices[lost].available)
        assert took <= 5 + 3 * 3.5 + 0.5
        assert len(missed) == 3
        assert run.clock.monotonic() - missed[0] <= 3 * 3.5 + 0.5


async def test_a_plant_that_is_known_is_shown_after_its_identities() -> None:
    storage = MemoryStorage()
    double = plant(6)
    async with running(double, storage) as run:
        await run.pass_(40)
        models = {device: state.device for device, state in run.last.devices.items()}
    double.log.clear()
    async with running(double, storage) as run:
        asked = [r for r in double.log if r.destination in range(101, 107)]
        assert len(asked) <= 2 * 6 + 1, "two halves of a FID each, and the question for multi-info"
        assert {key: state.device for key, state in run.last.devices.items()} == models
        # What may have changed since is read again: its firmware, its watchdog.
        double.units[104].software = (256, 7 * 256)
        double.units[105].values[1628] = 1
        await run.pass_(40)
        assert run.last.devices[run.id(104)].device.sw_version == "1.7.0"
        assert "watchdog_armed" in run.notices()


async def test_a_write_just_after_the_start_knows_the_firmware_of_today() -> None:
    storage = MemoryStorage()
    double = plant(1)
    async with running(double, storage) as run:
        await run.pass_(20)
    double.units[101].software = (256, 6 * 256 + 10)
    async with running(double, storage) as run:
        with pytest.raises(InvalidCommand) as caught:
            await run.do(run.id(101), {"battery_charge_current_1138": 12.0})
        assert caught.value.key == "studer_firmware_old"
    assert double.writes() == []


async def test_a_silent_unit_does_not_delay_the_start_of_the_others() -> None:
    storage = MemoryStorage()
    double = plant(6)
    async with running(double, storage) as run:
        await run.pass_(20)
    double.units[102].dead = 0
    async with running(double, storage) as run:
        assert run.clock.monotonic() < 8, "one time-out, not two with a silence after each"
        assert {101, 103, 104, 105, 106} <= set(run.addresses.values())


async def test_a_unit_missed_at_the_first_start_is_found_in_time() -> None:
    double = plant(6)
    double.units[104].dead = 2
    async with running(double) as run:
        double.units[104].dead = None
        took = await run.until(lambda: 104 in run.addresses.values(), 600)
        assert took < 500
        double.log.clear()
        await run.pass_(600)
        absent = [r for r in double.log if r.destination not in run.addresses.values()]
        assert 30 <= len(absent) <= 90
        assert len(absent) * double.latency < 0.02 * 600, "at most two hundredths of the line"


async def test_looking_around_takes_little_of_a_slow_line() -> None:
    """Where nobody is, this gateway says nothing at all."""
    double = plant(2)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(5)
    nobody = []

    def silent(request: Request) -> Any:
        if request.destination in double.units:
            return NotImplemented
        nobody.append(request.destination)
        return None

    double.rules.append(silent)
    async with running(double, storage) as run:
        nobody.clear()
        await run.pass_(1800)
        assert len(nobody) >= 5
        assert len(nobody) * 3.5 <= 0.025 * 1800
        assert run.engine.statistics.reconnects == 0


# ------------------------------------------------------------------------------ renumbered


async def test_a_renumbered_plant_is_found_out_without_any_message() -> None:
    double = plant(6)
    async with running(double) as run:
        await run.pass_(60)
        first, second = run.id(101), run.id(104)
        double.units[101], double.units[104] = double.units[104], double.units[101]
        took = await run.until(lambda: run.addresses[second] == 101, 600)
        await run.pass_(5)
        assert run.id(104) == first
        assert took < 6 * 15 + 30


async def test_of_two_that_changed_places_the_one_that_was_silent_is_found_soon() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(40)
        first, second = run.id(101), run.id(102)
        double.units[102].dead = 0
        await run.until(lambda: not run.last.devices[second].available)
        # It wakes up at 101, and who was there sits at 102 now; that one has not been asked yet.
        double.units[102].dead = None
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.messages.append(PlantMessage(1, 177, 101, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.until(lambda: run.addresses[second] == 101, 60)
        await run.until(lambda: run.addresses[first] == 102, 60)
        await run.pass_(10)
        assert run.last.value(first, "output_current") == 4.0
        assert run.last.value(second, "output_current") == 5.0


@pytest.mark.parametrize("mute_at, times", [(3000, 2), (3157, 4)])
async def test_who_changed_places_is_looked_for_until_it_says_who_it_is(
    mute_at: int, times: int
) -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(40)
        first, second = run.id(101), run.id(102)
        double.units[102].dead = 0
        await run.until(lambda: not run.last.devices[second].available)
        double.units[102].dead = None
        double.units[101], double.units[102] = double.units[102], double.units[101]
        lost = [times]

        def lose(request: Request) -> Any:
            if not only(102, mute_at)(request) or run.addresses[second] != 101:
                return NotImplemented
            lost[0] -= 1
            return NotImplemented if lost[0] < 0 else None

        double.rules.append(lose)
        double.messages.append(PlantMessage(1, 177, 101, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.until(lambda: run.addresses[second] == 101, 60)
        await run.until(lambda: run.addresses[first] == 102, 100)
        assert lost[0] <= 0
        await run.pass_(10)
        assert run.last.value(first, "output_current") == 4.0


async def test_a_seat_that_stays_empty_is_soon_left_to_the_sweep() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(40)
        mover = run.id(103)
        double.units[107] = double.units.pop(103)
        await run.until(lambda: run.addresses[mover] == 107, 900)
        before = double.reads(103).count(3000)
        await run.pass_(120)
        # It is where the next Xtender would be: one look every 20 seconds.
        assert 1 <= double.reads(103).count(3000) - before <= 8
        assert not run.engine._session.membership.incomplete
        assert run.last.value(mover, "output_current") == 6.0


async def test_one_that_was_nearly_given_up_is_asked_who_it_is() -> None:
    """Two change places while the gateway finds one of them missing for a moment; no message."""
    double = plant(3)
    async with running(double) as run:
        await run.pass_(40)
        first, second = run.id(101), run.id(102)
        before = len(run.snapshots)

        def missing(request: Request) -> Any:
            if request.destination != 101:
                return NotImplemented
            double.rules.remove(missing)
            double.units[101], double.units[102] = double.units[102], double.units[101]
            # Whoever is asked first shall be 101, so that its answer is what tells.
            double.rules.append(only_101)
            return request.error(2)

        def only_101(request: Request) -> Any:
            if request.destination == 101:
                double.rules.remove(only_101)
                return NotImplemented
            return NotImplemented if request.destination == 501 else request.error(0x13)

        double.rules.append(missing)
        await run.pass_(20)
        assert run.addresses[second] == 101
        for snapshot in run.snapshots[before:]:
            assert snapshot.value(first, "output_current") in (None, 4.0)
            assert snapshot.value(second, "output_current") in (None, 5.0)


async def test_unread_messages_cast_doubt_when_they_are_not_to_be_read() -> None:
    double = plant(3)
    async with running(double, read_messages=False) as run:
        await run.pass_(12)
        first, second = run.id(101), run.id(102)
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(6)
        assert run.id(101) == second
        for snapshot in run.snapshots:
            assert snapshot.value(first, "output_current") in (None, 4.0)
            assert snapshot.value(second, "output_current") in (None, 5.0)
        assert not [r for r in double.log if r.object_type == ObjectType.MESSAGE]


async def test_what_the_owner_is_told_of_a_renumbered_plant_goes_by_itself() -> None:
    double = plant(3)
    async with running(double) as run:
        await run.pass_(12)
        double.units[101], double.units[102] = double.units[102], double.units[101]
        double.messages.append(PlantMessage(1, 177, 102, 1718100100))
        double.flags |= FrameFlags.MESSAGE_PENDING
        await run.pass_(20)
        assert run.notices() == ["renumbered"]
        await run.pass_(3500)
        assert run.notices() == ["renumbered"]
        await run.pass_(200)
        assert run.notices() == []


async def test_every_lost_device_is_named_until_it_is_back() -> None:
    double = plant(4)
    async with running(double) as run:
        await run.pass_(12)
        double.units[102].dead = double.units[104].dead = 2
        await run.pass_(20)
        (trouble,) = run.engine.snapshot.notices
        assert trouble.placeholders["device"] == "Xtender 2 L2, Xtender 4 L1"
        double.units[102].dead = None
        await run.pass_(40)
        (trouble,) = run.engine.snapshot.notices
        assert trouble.placeholders["device"] == "Xtender 4 L1"
        double.units[104].dead = None
        await run.pass_(40)
        assert run.notices() == []


async def test_a_mangled_answer_that_arrives_after_all_is_no_trouble_any_more() -> None:
    double = plant(2)
    double.rules.append(stripped)
    async with running(double, intervals={"slow": 5}) as run:
        await run.pass_(60)
        assert run.notices() == ["answer_mangled"]
        double.rules.clear()
        await run.pass_(620)
        assert run.notices() == []
        assert run.value(101, "electronic_temperature_1_minute_avg") == 40.0


# ------------------------------------------------------------------------------ issue 12, number 6


def another_plant() -> Double:
    """Return a plant with other devices at the same addresses."""
    other = plant(2)
    for address, unit in other.units.items():
        unit.fid = (0x7777, address)
    return other


async def begun(double: Double, storage: MemoryStorage) -> tuple[Any, ManualClock, Any]:
    """Return an engine that runs, its clock and its task."""
    clock = ManualClock()
    settings = StuderSettings.from_mapping({"link": "sim://"})
    engine = StuderEngine(settings, clock, zone=UTC, storage=storage, world=double)
    return engine, clock, asyncio.ensure_future(engine.run(lambda _: None))


async def test_another_plant_at_the_address_is_not_taken_in() -> None:
    storage = MemoryStorage()
    async with running(plant(2), storage) as run:
        await run.pass_(20)
    known = json.dumps(storage.data["identities"], sort_keys=True)
    engine, clock, task = await begun(another_plant(), storage)
    await clock.advance(60)
    assert engine.snapshot.reason is Reason.WRONG_DEVICE
    assert not engine.snapshot.connected
    assert {"12340065", "12340066"} < set(engine.snapshot.devices)
    assert not any("7777" in name for name in engine.snapshot.devices)
    assert not any(state.available for state in engine.snapshot.devices.values())
    assert json.dumps(storage.data["identities"], sort_keys=True) == known
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("silence", [0.0, 7.0])
async def test_another_plant_on_the_same_line_is_noticed(silence: float) -> None:
    double, other = plant(2), another_plant()
    async with running(double) as run:
        await run.pass_(20)
        ours = dict(double.units)
        if silence:
            double.units.clear()
            double.units[501] = ours[501]
            ours[501].dead = 0
            await run.pass_(silence)
            ours[501].dead = None
        double.units.clear()
        double.units.update(other.units)
        await run.until(lambda: run.last.reason is Reason.WRONG_DEVICE, 120)
        assert not any(state.available for state in run.last.devices.values())
        await run.pass_(120)
        assert not any("7777" in name for name in run.last.devices)
        assert run.last.reason is Reason.WRONG_DEVICE
        # The owner puts the plug back.
        double.units.clear()
        double.units.update(ours)
        await run.until(lambda: run.last.connected, 120)
        await run.until(lambda: run.value(101, "output_current") == 4.0, 60)


async def test_a_plant_of_which_one_device_is_known_takes_in_the_new_ones() -> None:
    storage = MemoryStorage()
    async with running(plant(2), storage) as run:
        await run.pass_(20)
    double = another_plant()
    double.units[102].fid = (0x1234, 101)
    async with running(double, storage) as run:
        await run.pass_(20)
        assert run.addresses["12340065"] == 102
        assert run.addresses["77770065"] == 101


async def test_a_unit_that_is_added_while_running_is_found_within_minutes() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(20)
        double.add(103, Family.XT, **{f"i{k}": v for k, v in double.units[101].values.items()})
        took = await run.until(lambda: 103 in run.addresses.values(), 300)
        assert took < 180


async def test_a_unit_that_is_missing_after_a_restart_is_told() -> None:
    storage = MemoryStorage()
    async with running(plant(3), storage) as run:
        await run.pass_(20)
    double = plant(3)
    double.units[102].dead = 2
    async with running(double, storage) as run:
        state = run.last.devices["12340066"]
        assert not state.available
        assert state.device.name == "Xtender 2 L2"
        await run.pass_(30)
        (lost,) = run.engine.snapshot.notices
        assert (lost.key, lost.placeholders["device"]) == ("device_lost", "Xtender 2 L2")
        double.units[102].dead = None
        await run.pass_(60)
        assert run.notices() == []


async def test_a_known_plant_is_there_before_the_link_is() -> None:
    storage = MemoryStorage()
    async with running(plant(2), storage) as run:
        await run.pass_(20)
        names = {state.device.name for state in run.last.devices.values()}
        keys = set(run.last.devices["12340065"].values)
    settings = StuderSettings.from_mapping({"link": "/dev/none"})
    snapshot = StuderEngine(settings, storage=storage).snapshot
    assert {state.device.name for state in snapshot.devices.values()} == names
    assert set(snapshot.devices["12340065"].values) == keys
    assert not any(state.available for state in snapshot.devices.values())


async def test_an_absent_value_is_no_communication_error() -> None:
    """Issue 13, number 14."""
    double = plant(2)
    for address in (101, 102):
        double.units[address].values |= {3104: 32767.0, 3022: 99999.0}
    async with running(double) as run:
        await run.pass_(60)
        assert run.engine.statistics.drops["no_sensor"] > 1
        assert run.engine.statistics.drops["out_of_range"] > 1
        assert run.value(501, "errors") == 0


# ------------------------------------------------------------------------------ issue 13, number 12


async def test_a_known_plant_is_connected_in_half_a_second() -> None:
    double = plant(6, latency=0.05)
    double.multi = True
    double.add(301, Family.VT, i11000=52.1, i11004=1.5, i11007=4.0, i11009=1.2)
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(60)
    double.log.clear()
    engine, clock, task = await begun(double, storage)
    first: dict[str, float] = {}
    while clock.monotonic() < 3:
        await clock.advance(0.01)
        for state in engine.snapshot.devices.values():
            if state.values.get("output_active_power") is not None and state.device.kind == "xt":
                first.setdefault(state.device.id, clock.monotonic())
        if engine.snapshot.connected:
            first.setdefault("link", clock.monotonic())
    assert first["link"] <= 0.5
    assert len(first) == 7
    assert max(first.values()) <= 1.5
    task.cancel()
    await asyncio.wait([task])


async def test_identities_that_are_read_at_once_are_those_expected_or_read_again() -> None:
    double = plant(3)
    double.multi = True
    storage = MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(60)
    double.units[101], double.units[102] = double.units[102], double.units[101]
    async with running(double, storage) as run:
        await run.pass_(10)
        assert run.addresses["12340066"] == 101
        assert run.value(101, "output_current") == 5.0
        for snapshot in run.snapshots:
            assert snapshot.value("12340065", "output_current") in (None, 4.0)


async def test_a_stale_answer_after_a_reconnection_costs_little() -> None:
    """The gateway is still busy with what was asked before, and loses the first probe."""
    double = plant(2, latency=0.05)
    async with running(double) as run:
        await run.pass_(20)
        pending = run.engine._world
        assert pending is not None
        lost = []

        def busy(request: Request) -> Any:
            if request.object_id == 5002 and not lost:
                lost.append(request)
                return Request(101, Service.READ, 1, 3000, 1).answer(struct.pack("<f", 52.0))
            return NotImplemented

        run.engine._session.line._fail(LinkError(Reason.DISCONNECTED, "cut"))
        double.rules.append(busy)
        await run.until(lambda: not run.last.connected, 5)
        took = await run.until(lambda: run.last.connected, 10)
        assert lost
        # One second of back-off, jitter, the quick probe and the drain after it.
        assert took < 3.2
