"""The engine on a simulated plant, end to end: nothing wrong is ever shown, everything recovers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from hardwired_engines.engine import Command, InvalidCommand, Message, NotConnected, Refused
from hardwired_engines.storage import MemoryStorage

from .double import addresses_of
from .judge import Trial, trial

pytestmark = pytest.mark.slow

VARIANTS = int(os.environ.get("HARDWIRED_VARIANTS", "12"))
"""How many seeded variants are tried; the benchmark tries a thousand."""

FAST = 5.0
ANSWER = 3.5
"""A time-out and the silence after it."""


def assert_nothing_wrong(tried: Trial) -> None:
    assert not tried.judge.wrong, tried.judge.wrong[:3]
    assert tried.judge.checked > 30


async def test_a_quiet_plant() -> None:
    async with trial() as tried:
        await tried.run(300)
        assert_nothing_wrong(tried)
        assert tried.judge.checked > 500, "what moves by more than its noise is shown"
        assert tried.judge.oldest < 5, "news are told while they are new"
        assert all(len(times) == 1 for times in tried.judge.absences.values())
        assert not tried.world.journal.of("lost", "garbage", "written")
        assert tried.engine.statistics.timeouts == 0


@pytest.mark.parametrize(
    "query",
    [
        {"xcomcan": 1},
        {"multi_info": 0},
        {"xtenders": 1, "variotracks": 0, "variostrings": 0, "bsp": 0},
        {"battery": 24, "ac": 120, "xtenders": 2},
        {"lan": 1},
        {"lan": 1, "portal": 10},
        {"chunk": 1, "xtenders": 2, "phases": 1},
        {"firmware": "1.5.0", "xcom_firmware": "1.5.10"},
        {"xtenders": 9, "variotracks": 15, "variostrings": 15},
        {"datalog": 0, "messages": 0, "grid": "never"},
    ],
    ids=str,
)
async def test_other_plants(query: dict[str, Any]) -> None:
    async with trial(**query) as tried:
        await tried.run(120)
        assert_nothing_wrong(tried)
        states = tried.engine.snapshot.devices
        fids = {device.fid for device in tried.world.devices}
        assert fids <= states.keys()
        assert all(states[fid].available for fid in fids)


# ------------------------------------------------------------------ the six Xtenders (f.1)


@pytest.mark.parametrize("silent", [0, 8])
@pytest.mark.parametrize("timeout", [0, 12])
async def test_one_of_six_drops_off(silent: int, timeout: int) -> None:
    async with trial(portal=0) as tried:
        await tried.run_until_started()
        tried.inject("drop", address=103, silent=silent, timeout=timeout, away=40, ripple=0.3)
        fallen, lost = tried.now, tried.fid(103)
        await tried.run(35)
        assert_nothing_wrong(tried)
        # Noticed at its next turn in the fast round; then what remains is the asking again.
        gone = tried.judge.lost_at(lost)
        assert len(gone) == 1
        asking = 3 * ANSWER + 1 if silent else 3 * 2.2 + 1 if timeout else 1.5
        assert gone[0] - fallen < FAST + asking + 2
        assert all(tried.available(address) for address in (101, 102, 104, 105, 106, 301, 701))
        assert "device_lost" in {notice.key for notice in tried.engine.snapshot.notices}
        await tried.run(85)
        assert tried.available(103)
        await tried.run(30)
        assert tried.value(103, "battery_voltage") is not None
        assert_nothing_wrong(tried)
        assert tried.engine.statistics.reconnects == 0
        told = {
            occurrence.data.get("number"): occurrence
            for occurrence in tried.judge.occurrences
            if isinstance(occurrence, Message)
        }
        if silent or timeout:
            assert {183, 177} <= told.keys()


@pytest.mark.parametrize("probability", [0.02, 0.2])
async def test_late_answers(probability: float) -> None:
    async with trial(faults=f"late:p={probability}:at=20", seed=3) as tried:
        await tried.run(400)
        assert_nothing_wrong(tried)
        assert tried.world.journal.counts["struck"] > 10
        tried.world.command({"clear": "late"}, tried.now)
        await tried.run(90)
        assert all(tried.available(address) for address in range(101, 107))


@pytest.mark.parametrize("fault", ["split:1", "stray:1", "foreign:1", "duplicate:1", "crlf:1"])
async def test_what_a_receiver_must_bear(fault: str) -> None:
    async with trial(faults=fault) as tried:
        await tried.run(120)
        assert_nothing_wrong(tried)
        assert tried.engine.snapshot.connected
        assert all(len(times) == 1 for times in tried.judge.absences.values()), "nobody was lost"


@pytest.mark.parametrize(
    "fault",
    ["lose:0.1", "flip:0.1", "gap:0.05", "noise:0.3", "stall:0.1", "busy:0.1", "strip:1",
     "nonsense:0.2", "refuse:p=0.1:code=42", "refuse:p=0.05:code=3"],
)  # fmt: skip
async def test_what_a_dialogue_must_bear(fault: str) -> None:
    async with trial(faults=fault, seed=5) as tried:
        await tried.run(240)
        assert_nothing_wrong(tried)
        tried.world.command({"clear": "all"}, tried.now)
        await tried.run(90)
        assert tried.engine.snapshot.connected
        assert all(tried.available(address) for address in range(101, 107))
        assert tried.value(101, "battery_voltage") is not None
        assert_nothing_wrong(tried)


@pytest.mark.parametrize("seed", range(VARIANTS))
async def test_seeded_faults_of_every_kind(seed: int) -> None:
    faults = f"random:at=20,drop:at={40 + seed % 30}:away=20:ripple=0.2"
    async with trial(seed=seed, faults=faults, multi_info=seed % 3 > 0) as tried:
        await tried.run(150)
        assert not tried.judge.wrong, tried.judge.wrong[:3]
        tried.world.command({"clear": "all"}, tried.now)
        await tried.run(150)
        assert not tried.judge.wrong, tried.judge.wrong[:3]
        fids = {device.fid for device in tried.world.devices}
        states = tried.engine.snapshot.devices
        assert all(fid in states and states[fid].available for fid in fids), "all is well again"


# ------------------------------------------------------------------ the gateway and the link


async def test_the_gateway_restarts() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        tried.inject("restart", **{"for": 15})
        await tried.run(120)
        assert_nothing_wrong(tried)
        gateway = next(s for s in tried.engine.snapshot.devices.values() if s.device.kind == "xcom")
        assert gateway.values["restarted"] is True
        assert all(tried.available(address) for address in range(101, 107))


@pytest.mark.parametrize("fault", ["cut", "half_open", "mute"])
async def test_the_link_breaks(fault: str) -> None:
    async with trial() as tried:
        await tried.run_until_started()
        tried.inject(fault, **({} if fault == "half_open" else {"for": 30}))
        await tried.run(20)
        if fault == "cut":
            assert not tried.engine.snapshot.connected
        await tried.run(160)
        assert tried.engine.snapshot.connected
        assert all(tried.available(address) for address in range(101, 107))
        assert_nothing_wrong(tried)


async def test_a_gateway_that_is_not_there_yet() -> None:
    async with trial(faults="mute:for=100") as tried:
        await tried.run(90)
        assert not tried.engine.snapshot.connected
        await tried.run(120)
        assert tried.engine.snapshot.connected
        assert_nothing_wrong(tried)


async def test_a_renumbered_plant() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        first, second = tried.fid(102), tried.fid(105)
        tried.inject("renumber", address=102, **{"with": 105})
        await tried.run(90)
        assert (tried.fid(102), tried.fid(105)) == (second, first)
        assert addresses_of(tried.engine)[first] == 105
        assert addresses_of(tried.engine)[second] == 102
        # What was read between the moment and the message is the only thing that can be wrong:
        # the wire itself does not say who answers.
        settled = [wrong for wrong in tried.judge.wrong if wrong.time > 60]
        assert not settled


async def test_midnight() -> None:
    async with trial(start="2026-06-15T23:58:30", latency_ms=20) as tried:
        await tried.run(60)
        before = tried.engine.snapshot
        system = next(s.device.id for s in before.devices.values() if s.device.kind == "system")
        total = before.value(system, "consumers_energy")
        today = tried.value(101, "consumers_energy_of_the_current_day")
        assert isinstance(today, float)
        assert today > 1
        await tried.run(180)
        assert_nothing_wrong(tried)
        new_day = tried.value(101, "consumers_energy_of_the_current_day")
        assert isinstance(new_day, float)
        assert new_day < 0.5
        after = tried.engine.snapshot.value(system, "consumers_energy")
        assert isinstance(after, float)
        assert isinstance(total, float)
        assert total <= after < total + 2


async def test_days_go_by() -> None:
    async with trial(time_scale=3600, grid="auto", latency_ms=20, bsp=0) as tried:
        began = tried.world.plant.moment
        await tried.run(75)
        assert_nothing_wrong(tried)
        assert tried.world.plant.moment - began > 2.5 * 86_400


# ------------------------------------------------------------------ writing (spec e)


async def set_value(tried: Trial, address: int, **values: Any) -> None:
    await execute(tried, Command(tried.fid(address), values))


async def execute(tried: Trial, command: Command) -> Any:
    task = asyncio.ensure_future(tried.engine.execute(command))
    for _ in range(100):
        if task.done():
            break
        await tried.run(0.5)
    return await task


async def test_a_setting_goes_into_ram_and_works() -> None:
    storage = MemoryStorage()
    async with trial(storage=storage) as tried:
        await tried.run_until_started()
        await set_value(tried, 101, maximum_current_of_ac_source_input_limit=12.0)
        assert tried.value(101, "maximum_current_of_ac_source_input_limit") == 12.0
        parameters = tried.world.device(101).parameters
        assert parameters.in_force(1107) == 12.0
        assert parameters.saved(1107) == 32.0
        assert not +parameters.flash_writes
        await tried.run(600)
        assert tried.value(101, "maximum_current_of_ac_source_input_limit") == 12.0
        state = tried.engine.snapshot.devices[tried.fid(101)]
        details = state.details["maximum_current_of_ac_source_input_limit"]
        assert (details["flash_value"], details["ram_value"]) == (32.0, 12.0)
        assert "no_effect" not in {notice.key for notice in tried.engine.snapshot.notices}
        # A restart of the device loses it, and the engine says so.
        tried.inject("reset", address=101)
        await tried.run(400)
        assert tried.value(101, "maximum_current_of_ac_source_input_limit") == 32.0
        assert_nothing_wrong(tried)


async def test_what_the_device_refuses_is_refused() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        await execute(tried, Command(tried.fid(101), name="read", options={"id": 3000}))
        tried.inject("refuse", n=1, address=101, code=0x2B)
        with pytest.raises(Refused):
            await set_value(tried, 101, battery_charge_current_1138=20.0)
        with pytest.raises(InvalidCommand):
            await set_value(tried, 101, battery_charge_current_1138=500.0)
        assert not tried.world.journal.of("written")


async def test_flash_is_written_only_on_demand_and_counted() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        await execute(
            tried,
            Command(
                tried.fid(102), name="write",
                options={"id": 1138, "value": 25.0, "persistent": True},
            ),
        )  # fmt: skip
        parameters = tried.world.device(102).parameters
        assert parameters.saved(1138) == 25.0
        assert dict(parameters.flash_writes) == {1138: 1}
        assert tried.engine.diagnostics()["flash_writes_at_most"] == 1


async def test_an_armed_watchdog_forbids_ram_writes() -> None:
    async with trial(faults="watchdog:address=104:delay=60") as tried:
        await tried.run_until_started()
        with pytest.raises(InvalidCommand):
            await set_value(tried, 104, battery_charge_current_1138=20.0)
        await tried.run(300)
        assert not tried.world.journal.of("watchdog", "written")
        await set_value(tried, 103, battery_charge_current_1138=20.0)


async def test_a_watchdog_is_fed_when_wanted() -> None:
    settings = {"feed_watchdogs": True}
    async with trial(settings, faults="watchdog:address=104:delay=30") as tried:
        await tried.run_until_started()
        await set_value(tried, 104, battery_charge_current_1138=20.0)
        await tried.run(900)
        assert not tried.world.journal.of("watchdog")
        assert tried.available(104)
        assert not +tried.world.device(104).parameters.flash_writes
        # Without the engine it bites: that is what it is for.
        tried.inject("cut", **{"for": 60})
        await tried.run(50)
        tried.world.advance(tried.now)
        assert tried.world.journal.of("watchdog")


async def test_old_firmware_refuses_ram() -> None:
    async with trial(firmware="1.6.10") as tried:
        await tried.run_until_started()
        with pytest.raises(InvalidCommand):
            await set_value(tried, 101, battery_charge_current_1138=20.0)
        assert not tried.world.journal.of("written")


async def test_nothing_is_written_that_nobody_asked_for() -> None:
    async with trial(faults="random,drop:every=120:away=20", seed=8) as tried:
        await tried.run(600)
        assert not tried.world.journal.of("written")
        assert_nothing_wrong(tried)


async def test_a_device_that_is_away_takes_no_orders() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        tried.inject("drop", address=105, silent=0, timeout=0, away=-1)
        await tried.run(15)
        with pytest.raises(NotConnected):
            await set_value(tried, 105, battery_charge_current_1138=20.0)


async def test_files_of_the_card_can_be_fetched() -> None:
    async with trial(latency_ms=5, baud=115200) as tried:
        await tried.run_until_started()
        gateway = next(
            s.device.id for s in tried.engine.snapshot.devices.values() if s.device.kind == "xcom"
        )
        listing = await execute(tried, Command(gateway, name="datalog"))
        assert "LG260614.CSV" in str(listing)
        assert_nothing_wrong(tried)


async def test_the_clock_of_the_plant_can_be_set() -> None:
    async with trial() as tried:
        await tried.run_until_started()
        gateway = next(
            s.device.id for s in tried.engine.snapshot.devices.values() if s.device.kind == "xcom"
        )
        before = tried.world.gateway.clock.moment(tried.now)
        await execute(tried, Command(gateway, name="sync_clock"))
        after = tried.world.gateway.clock.moment(tried.now)
        assert abs(after - before) > 3600, "the manual clock stands in another month"
        await tried.run(60)
        assert tried.engine.snapshot.connected
