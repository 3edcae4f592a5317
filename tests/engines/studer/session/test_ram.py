"""What is in a device's RAM can't be read: it is shown as long as it is certain (spec e.1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.engine import Command, NotConfirmed, NotConnected, Refused
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.scom.families import FAMILIES, Family
from hardwired_engines.studer.scom.frame import FrameFlags, ObjectType, Request, Service
from hardwired_engines.studer.scom.messages import PlantMessage
from hardwired_engines.studer.session.write_order import Order, WriteOrder

from ..double import Double, Running, plant, running

pytestmark = pytest.mark.slow

CHARGE_CURRENT = "battery_charge_current_1138"
INPUT_LIMIT = "maximum_current_of_ac_source_input_limit"
FLASH, RAM = 60.0, 12.0
STARTED = PlantMessage(1, 177, 101, 1718100100)


def send(double: Double, message: PlantMessage) -> None:
    """Let the gateway have a message that nobody has read."""
    double.messages.append(message)
    double.flags |= FrameFlags.MESSAGE_PENDING


def shown(run: Running) -> Any:
    return run.value(101, CHARGE_CURRENT)


async def wish(run: Running, value: float = RAM, **options: Any) -> None:
    await run.do(run.id(101), {CHARGE_CURRENT: value}, options=options)


async def lose(run: Running, code: int = 2) -> None:
    """Let the first device be missed: the gateway gives *code* for it, with 0 nothing at all."""
    run.double.units[101].dead = code
    await run.until(lambda: not run.last.devices[run.id(101)].available)


async def written(double: Double, storage: MemoryStorage) -> None:
    """Let an engine write to RAM, and end."""
    async with running(double, storage) as run:
        await run.pass_(10)
        await wish(run)
        assert shown(run) == RAM


async def back(run: Running) -> None:
    """Wait until the first device is shown, with its parameter."""
    await run.until(
        lambda: (
            101 in run.addresses.values()
            and run.last.devices[run.id(101)].available
            and shown(run) is not None
        )
    )


# --------------------------------------------------------------- the device was away


async def test_a_device_that_is_away_when_the_engine_starts_has_lost_its_ram() -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    double.units[101].dead = 2
    async with running(double, storage) as run:
        await run.pass_(60)
        double.units[101].dead = None
        await back(run)
        assert shown(run) == FLASH


async def test_a_device_that_comes_back_while_no_engine_runs_has_lost_its_ram() -> None:
    double, storage = plant(2), MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(10)
        await wish(run)
        await lose(run)
    double.units[101].dead = None
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == FLASH
        # It is there now: what is written from here on survives the engine.
        await wish(run)
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == RAM


async def test_a_device_that_is_lost_and_found_by_a_new_link_has_lost_its_ram() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        await lose(run)
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        double.hung_up, double.units[101].dead = False, None
        run.engine.wake()
        await back(run)
        assert shown(run) == FLASH


async def test_a_device_that_was_only_silent_may_have_lost_its_ram_or_not() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        await lose(run, code=0)
        double.units[101].dead = None
        await run.until(lambda: run.last.devices[run.id(101)].available, 60)
        await run.pass_(10)
        assert shown(run) is None
        send(double, STARTED)
        await back(run)
        assert shown(run) == FLASH


async def test_one_lost_answer_at_the_start_is_no_absence() -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    # Its identity can't be read at the start, and the first probe after that gets no answer.
    double.units[101].dead = 3
    lost: list[Request] = []

    def lose_one(request: Request) -> Any:
        if (
            request.destination == 101
            and request.object_id == FAMILIES[Family.XT].probe
            and not lost
        ):
            lost.append(request)
            double.units[101].dead = None
            return None
        return NotImplemented

    double.rules.append(lose_one)
    async with running(double, storage) as run:
        await back(run)
        assert lost
        assert shown(run) == RAM


async def test_the_ram_of_a_device_survives_the_gateway() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.hung_up = True
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        run.engine.wake()
        await back(run)
        assert shown(run) == RAM


# --------------------------------------------------------------- a message says that it has started


async def test_a_start_is_told_before_the_device_is_found() -> None:
    double, storage = plant(2), MemoryStorage()
    send(double, PlantMessage(1, 1, 102, 1718100000))
    await written(double, storage)
    # It does not tell its identity yet when its message is read.
    double.units[101].dead = 0x22
    send(double, STARTED)
    async with running(double, storage) as run:
        await run.until(lambda: storage.data["last_message"] == list(STARTED.identity))
        double.units[101].dead = None
        await back(run)
        assert shown(run) == FLASH


async def test_a_link_that_is_lost_before_the_device_says_who_it_is_loses_no_start() -> None:
    double = plant(2)

    def cut(request: Request) -> Any:
        if request.object_id == 3156 and double.messages:
            double.rules.remove(cut)
            double.hung_up = True
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.rules.append(cut)
        send(double, STARTED)
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        run.engine.wake()
        await back(run)
        await run.pass_(10)
        assert shown(run) == FLASH


async def test_messages_that_are_gone_may_have_told_of_a_start() -> None:
    double, storage = plant(2), MemoryStorage()
    send(double, PlantMessage(1, 1, 102, 1718100000))
    await written(double, storage)
    for second in range(30):
        send(double, PlantMessage(31, 1, 102, 1718100001 + second))
    async with running(double, storage) as run:
        await run.pass_(60)
        assert shown(run) is None
        await wish(run)
        assert shown(run) == RAM


async def test_messages_that_join_those_known_leave_no_doubt() -> None:
    double, storage = plant(2), MemoryStorage()
    send(double, PlantMessage(1, 1, 102, 1718100000))
    await written(double, storage)
    for second in range(15):
        send(double, PlantMessage(16, 1, 102, 1718100001 + second))
    async with running(double, storage) as run:
        await run.pass_(60)
        assert shown(run) == RAM


async def test_a_start_before_or_after_a_write_leaves_it_unknown() -> None:
    double = plant(2)

    def takes_it_and_tells(request: Request) -> Any:
        if request.service is Service.WRITE:
            # The message is there when the write is answered. Who was first?
            double.rules.remove(takes_it_and_tells)
            send(double, STARTED)
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        double.rules.append(takes_it_and_tells)
        await wish(run)
        await run.pass_(10)
        assert shown(run) is None
        await wish(run)
        await run.pass_(10)
        assert shown(run) == RAM


async def test_what_is_written_while_messages_are_read_is_after_them() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        wishes: list[asyncio.Task[Any]] = []

        def wishes_meanwhile(request: Request) -> Any:
            if request.object_type == ObjectType.MESSAGE and request.object_id == 1:
                double.rules.remove(wishes_meanwhile)
                command = Command(run.id(101), {CHARGE_CURRENT: RAM})
                wishes.append(asyncio.ensure_future(run.engine.execute(command)))
            return NotImplemented

        for second in range(3):
            send(double, PlantMessage(4, 1, 102, 1718100001 + second))
        send(double, PlantMessage(4, 177, 101, 1718100010))
        double.rules.append(wishes_meanwhile)
        await run.until(lambda: bool(wishes) and wishes[0].done())
        await run.pass_(10)
        assert shown(run) == RAM


# --------------------------------------------------------------- a write without a clear end


@pytest.mark.parametrize("before", [None, 20.0])
async def test_an_engine_that_is_ended_in_a_write_leaves_it_unknown(before: float | None) -> None:
    double, storage = plant(2), MemoryStorage()
    async with running(double, storage) as run:
        await run.pass_(10)
        if before is not None:
            await wish(run, before)
        kept: list[Any] = []

        def on_the_way(request: Request) -> Any:
            if request.service is Service.WRITE:
                kept.append(storage.data)
            return NotImplemented

        double.rules.append(on_the_way)
        await wish(run)
    # What was on the disk when the write went out: the computer has lost its power then.
    killed = MemoryStorage()
    killed.save(kept[0])
    async with running(double, killed) as run:
        await run.pass_(60)
        assert shown(run) is None
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == RAM


async def test_a_refused_write_changes_nothing() -> None:
    double, storage = plant(2), MemoryStorage()
    double.units[101].limits[1138] = (0.0, 200.0)
    async with running(double, storage) as run:
        await run.pass_(10)
        await wish(run)
        double.units[101].limits[1138] = (0.0, 30.0)
        with pytest.raises(Refused):
            await wish(run, 50.0)
        assert shown(run) == RAM
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == RAM


async def test_a_command_that_is_cancelled_leaves_its_value_unknown() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run, 20.0)
        double.rules.append(_silent_writes)
        command = Command(run.id(101), {CHARGE_CURRENT: RAM})
        task = asyncio.ensure_future(run.engine.execute(command))
        await run.until(lambda: len(double.writes()) == 2)
        task.cancel()
        await asyncio.wait([task])
        await run.pass_(5)
        assert shown(run) is None


def _silent_writes(request: Request) -> Any:
    return None if request.service is Service.WRITE else NotImplemented


async def test_the_same_value_again_leaves_no_doubt() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.rules.append(_silent_writes)
        with pytest.raises(NotConfirmed):
            await wish(run)
        await run.pass_(5)
        assert shown(run) == RAM


async def test_a_write_into_flash_that_can_not_be_read_back_leaves_the_ram_unknown() -> None:
    double = plant(2)

    def unreadable(request: Request) -> Any:
        if request.service is Service.READ and request.object_id == 1138 and double.writes()[1:]:
            return None
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.rules.append(unreadable)
        with pytest.raises((NotConfirmed, NotConnected)):
            await wish(run, 30.0, persistent=True)
        double.rules.clear()
        await run.pass_(60)
        assert shown(run) is None


async def test_a_write_to_all_devices_is_read_back_from_each() -> None:
    double = plant(2)

    def unreadable(request: Request) -> Any:
        flash_is_written = any(write[2] == 5 for write in double.writes())
        if request.service is Service.READ and request.object_id == 1138 and flash_is_written:
            return None if request.destination == 101 else NotImplemented
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        for address in (101, 102):
            await run.do(run.id(address), {CHARGE_CURRENT: RAM})
        double.rules.append(unreadable)
        options = {"id": 1138, "value": 30.0, "all_units": True, "persistent": True}
        with pytest.raises(NotConfirmed):
            await run.do(run.id(101), name="write", options=options)
        assert (shown(run), run.value(102, CHARGE_CURRENT)) == (None, 30.0)


async def test_a_device_that_keeps_in_ram_what_is_meant_for_flash() -> None:
    double = plant(2)

    def keeps_it(request: Request) -> Any:
        if request.service is Service.WRITE:
            return request.answer(flags=double.flags)
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        double.rules.append(keeps_it)
        with pytest.raises(NotConfirmed):
            await wish(run, 30.0, persistent=True)
        await run.pass_(400)
        assert shown(run) is None
        assert run.last.devices[run.id(101)].details[CHARGE_CURRENT]["flash_value"] == FLASH


async def test_ram_is_written_again_when_a_device_is_found_late() -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    double.units[101].dead = 2
    async with running(double, storage, reapply_ram=True) as run:
        await run.pass_(60)
        double.units[101].dead = None
        await run.until(lambda: len(double.writes()) == 2)
        await run.pass_(5)
        assert shown(run) == RAM


async def test_a_device_that_moves_meanwhile_is_not_written_at_its_old_address() -> None:
    double = plant(2)

    class Disk(MemoryStorage):
        async def async_flush(self) -> None:
            first, second = double.units[101], double.units[102]
            first.fid, second.fid = second.fid, first.fid
            send(double, STARTED)
            await run.clock.sleep(5)

    async with running(double, Disk()) as run:
        await run.pass_(10)
        with pytest.raises(NotConnected):
            await wish(run)
        assert double.writes() == []


# --------------------------------------------------------------- writes beside each other


async def test_two_writes_at_once_leave_both_marked_on_the_disk() -> None:
    double = plant(2)
    kept: list[Any] = []

    class Disk(MemoryStorage):
        async def async_flush(self) -> None:
            kept.append(dict(self.data))

    storage = Disk()
    async with running(double, storage) as run:
        await run.pass_(10)
        await wish(run, 20.0)
        double.rules.append(_silent_writes)
        commands = [
            asyncio.ensure_future(run.engine.execute(Command(run.id(101), {key: value})))
            for key, value in ((CHARGE_CURRENT, RAM), (INPUT_LIMIT, 10.0))
        ]
        await run.until(lambda: len(double.writes()) > 1)
        marked = storage.data["shadows"][run.id(101)]
        assert {number: marked[number]["value"] for number in ("1107", "1138")} == {
            "1107": None,
            "1138": None,
        }
        for command in commands:
            command.cancel()
        await asyncio.wait(commands)


async def test_a_write_whose_first_attempt_may_have_done_it_stays_unknown() -> None:
    double = plant(2)
    writes: list[Request] = []

    def done_and_lost_then_refused(request: Request) -> Any:
        if request.service is not Service.WRITE:
            return NotImplemented
        writes.append(request)
        return None if len(writes) == 1 else request.error(0x29, flags=double.flags)

    async with running(double) as run:
        await run.pass_(10)
        await wish(run, 20.0)
        double.rules.append(done_and_lost_then_refused)
        with pytest.raises(NotConfirmed):
            await wish(run)
        assert len(writes) == 2
        await run.pass_(5)
        assert shown(run) is None


async def test_a_start_during_a_write_leaves_its_value_unknown_even_if_it_is_the_same() -> None:
    double = plant(2)

    def taken_and_lost(request: Request) -> Any:
        if request.service is Service.WRITE:
            double.flags |= FrameFlags.MESSAGE_PENDING
            return None
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.rules.append(taken_and_lost)
        double.messages.append(STARTED)
        with pytest.raises(NotConfirmed):
            await wish(run)
        await run.pass_(20)
        assert shown(run) is None


@pytest.mark.parametrize("offset", [tenths / 10 for tenths in range(80, 105, 2)])
async def test_what_the_owner_sets_is_not_undone_by_who_feeds_a_watchdog(offset: float) -> None:
    double = plant(2)
    double.units[101].values |= {1628: 1, 1629: 30}
    async with running(double, feed_watchdogs=True) as run:
        await run.pass_(15)
        await wish(run)
        double.latency = 0.5
        await run.pass_(offset)
        await wish(run, 30.0)
        await run.pass_(30)
        assert (shown(run), double.units[101].ram[1138]) == (30.0, 30.0)


# --------------------------------------------------------------- signals


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_signal_that_changes_settings_leaves_them_unknown(everywhere: bool) -> None:
    double = plant(2)
    async with running(double, level="qsp", reapply_ram=True) as run:
        await run.pass_(10)
        for address in (101, 102):
            await run.do(run.id(address), {CHARGE_CURRENT: RAM})
        # Restore default settings: what was set is not wanted any longer.
        options = {"id": 1395, "confirm": "1395", "value": 1, "all_units": everywhere}
        await run.do(run.id(101), name="write", options=options)
        await run.pass_(30)
        other = None if everywhere else RAM
        assert (shown(run), run.value(102, CHARGE_CURRENT)) == (None, other)
        assert len([write for write in double.writes() if write[2] == 13]) == 2


# --------------------------------------------------------------- written again


async def test_what_the_owner_has_set_meanwhile_is_not_overwritten() -> None:
    double = plant(2)

    def watchdog_is_silent(request: Request) -> Any:
        return request.error(0x13) if request.object_id == 1628 else NotImplemented

    async with running(double, reapply_ram=True) as run:
        await run.pass_(10)
        await wish(run)
        double.rules.append(watchdog_is_silent)
        await lose(run)
        double.units[101].dead = None
        await run.until(lambda: run.last.devices[run.id(101)].available, 60)
        double.rules.clear()
        await run.do(run.id(101), name="revert", options={"id": 1138})
        await run.pass_(120)
        assert (shown(run), double.units[101].ram[1138]) == (FLASH, FLASH)


async def test_ram_is_written_again_over_the_next_link() -> None:
    double = plant(2)
    async with running(double, reapply_ram=True) as run:
        await run.pass_(10)
        await wish(run)
        await lose(run)

        def cuts(request: Request) -> Any:
            if request.object_id == 1628:
                double.rules.remove(cuts)
                double.hung_up = True
            return NotImplemented

        double.rules.append(cuts)
        double.units[101].dead, double.units[101].ram = None, {}
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        run.engine.wake()
        await run.until(lambda: double.units[101].ram.get(1138) == RAM)


async def test_a_disk_that_hangs_leaves_half_of_the_time_to_the_values() -> None:
    double = plant(3)

    class Disk(MemoryStorage):
        hangs = False

        async def async_flush(self) -> None:
            if self.hangs:
                await asyncio.Event().wait()

    disk = Disk()
    async with running(double, disk, reapply_ram=True) as run:
        await run.pass_(10)
        for address in (101, 102, 103):
            for key, value in ((CHARGE_CURRENT, RAM), (INPUT_LIMIT, 10.0)):
                await run.do(run.id(address), {key: value})
        disk.hangs = True
        for second, address in enumerate((101, 102, 103)):
            double.units[address].ram.clear()
            send(double, PlantMessage(3, 177, address, 1718100100 + second))
        double.log.clear()
        gap = longest = 0.0
        for _ in range(1500):
            double.log.clear()
            await run.pass_(0.1)
            polled = any(request.object_id == 3000 for request in double.log)
            gap = 0.0 if polled else gap + 0.1
            longest = max(longest, gap)
        assert longest < 17
        assert [double.units[address].ram.get(1138) for address in (101, 102, 103)] == [RAM] * 3


# --------------------------------------------------------------- messages


async def test_a_gateway_that_has_lost_its_messages_casts_doubt_once() -> None:
    double, storage = plant(2), MemoryStorage()
    send(double, PlantMessage(1, 1, 102, 1718100000))
    await written(double, storage)
    double.messages.clear()
    async with running(double, storage) as run:
        await run.pass_(30)
        assert shown(run) is None
        await wish(run)
    async with running(double, storage) as run:
        await back(run)
        await run.pass_(10)
        assert shown(run) == RAM
    # What comes next joins what is known: nothing.
    send(double, STARTED)
    async with running(double, storage) as run:
        await run.until(lambda: shown(run) == FLASH)


async def test_messages_that_were_never_read_before_may_tell_of_a_start() -> None:
    double, storage = plant(2), MemoryStorage()
    async with running(double, storage, read_messages=False) as run:
        await run.pass_(10)
        await wish(run)
    send(double, STARTED)
    async with running(double, storage) as run:
        await run.pass_(30)
        assert shown(run) is None


@pytest.mark.parametrize("source", [501, 100, 0])
async def test_a_start_of_nobody_in_particular_leaves_all_unknown(source: int) -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        for address in (101, 102):
            await run.do(run.id(address), {CHARGE_CURRENT: RAM})
        send(double, PlantMessage(1, 10, source, 1718100100))
        await run.pass_(10)
        assert (shown(run), run.value(102, CHARGE_CURRENT)) == (None, None)


async def test_a_start_that_another_master_has_read_is_not_taken_for_a_later_one() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        # The flag was up and off again between two of our questions.
        double.messages.append(STARTED)
        await run.pass_(30)
        await wish(run)
        await run.pass_(600)
        send(double, PlantMessage(2, 1, 102, STARTED.timestamp + 631))
        await run.pass_(10)
        assert shown(run) is None


async def test_what_was_written_before_the_link_was_lost_is_not_before_a_start() -> None:
    double = plant(2)

    def takes_it_and_cuts(request: Request) -> Any:
        if request.service is Service.WRITE:
            double.rules.remove(takes_it_and_cuts)
            send(double, STARTED)
            double.rules.append(cuts)
        return NotImplemented

    def cuts(request: Request) -> Any:
        if request.object_type == ObjectType.MESSAGE:
            double.rules.remove(cuts)
            double.hung_up = True
        return NotImplemented

    async with running(double) as run:
        await run.pass_(10)
        double.rules.append(takes_it_and_cuts)
        await wish(run)
        await run.until(lambda: not run.last.connected)
        double.hung_up = False
        run.engine.wake()
        await run.until(lambda: run.last.connected)
        await run.pass_(10)
        assert shown(run) is None


@pytest.mark.parametrize("fids", [(0, 0), (7, 7)])
async def test_a_start_of_a_device_without_a_fid_of_its_own(fids: tuple[int, int]) -> None:
    double = plant(2)
    for unit in (double.units[101], double.units[102]):
        unit.fid = fids
    async with running(double) as run:
        await run.pass_(10)
        for address in (101, 102):
            await run.do(run.id(address), {CHARGE_CURRENT: RAM})
        send(double, PlantMessage(1, 177, 102, 1718100100))
        await run.pass_(10)
        assert (shown(run), run.value(102, CHARGE_CURRENT)) == (RAM, FLASH)


# --------------------------------------------------------------- the gateway


async def test_a_gateway_that_has_just_started_does_not_know_who_has_lost_its_ram() -> None:
    double = plant(2)
    async with running(double) as run:
        await run.pass_(10)
        await wish(run)
        double.flags |= FrameFlags.RESTARTED
        await lose(run)
        double.units[101].dead = None
        await run.until(lambda: run.last.devices[run.id(101)].available, 60)
        await run.pass_(5)
        assert shown(run) is None


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_the_ram_of_the_gateway_goes_with_its_start(meanwhile: bool) -> None:
    double, storage = plant(2), MemoryStorage()
    number, value = 5006, 40.0
    async with running(double, storage) as run:
        await run.pass_(10)
        gateway = run.id(501)
        await run.do(gateway, name="write", options={"id": number, "value": value})
        assert str(number) in storage.data["shadows"][gateway]
        if not meanwhile:
            double.flags |= FrameFlags.RESTARTED
            await run.pass_(10)
            assert gateway not in storage.data["shadows"]
            return
    double.flags |= FrameFlags.RESTARTED
    async with running(double, storage) as run:
        await run.pass_(10)
        assert gateway not in storage.data["shadows"]
        await run.do(gateway, name="write", options={"id": number, "value": value})
    # The flag is still up, so that another start would not show.
    async with running(double, storage) as run:
        await run.pass_(10)
        assert storage.data["shadows"][gateway][str(number)]["value"] is None


async def test_a_busy_gateway_does_not_say_that_a_device_is_away() -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    double.units[101].dead = 0x2A
    async with running(double, storage) as run:
        await run.pass_(200)
        double.units[101].dead = None
        await run.until(lambda: 101 in run.addresses.values())
        await run.pass_(10)
        assert shown(run) is None


async def test_a_shadow_that_can_not_be_read_is_a_doubt() -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    shadows = next(iter(storage.data["shadows"].values()))
    shadows["1138"] = {"value": "much", "time": 0}
    async with running(double, storage) as run:
        await run.pass_(30)
        assert shown(run) is None


@pytest.mark.parametrize("away", [None, 7, [], {"12340065": "yes"}, {"12340065": None}, {"x": []}])
async def test_stored_absences_of_no_sense_are_none(away: Any) -> None:
    double, storage = plant(2), MemoryStorage()
    await written(double, storage)
    storage.data["away"] = away
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == RAM
        await lose(run)
    double.units[101].dead = None
    async with running(double, storage) as run:
        await back(run)
        assert shown(run) == FLASH


# --------------------------------------------------------------- before or after, by itself

WRITTEN = ("a", 1138)


@pytest.fixture
def order() -> WriteOrder:
    return WriteOrder()


def test_what_is_written_while_all_is_read_comes_before_what_is_told_later(
    order: WriteOrder,
) -> None:
    order.note(WRITTEN, unread=False)
    order.begin()
    assert order.of(WRITTEN) is Order.BEFORE


def test_a_reading_that_fails_tells_nothing(order: WriteOrder) -> None:
    order.note(WRITTEN, unread=True)
    order.begin()
    order.end(complete=False)
    order.begin()
    assert order.of(WRITTEN) is Order.UNKNOWN
    order.end(complete=True)
    order.begin()
    assert order.of(WRITTEN) is Order.BEFORE


EVENTS = st.lists(
    st.sampled_from(["write", "unclear", "start", "begin", "end", "fail"]), max_size=30
)


@given(EVENTS)
def test_no_order_is_told_wrongly(events: list[str]) -> None:
    """Held against a plant that knows when its device was written and when it started."""
    order = WriteOrder()
    written: int | None = None
    unread: list[int] = []
    """When the device started, as far as nobody has read of it."""
    reading: list[int] | None = None
    failed = False
    for now, event in enumerate(events):
        match event:
            case "write":
                written = now
                known = reading or []
                order.note(WRITTEN, unread=failed or any(one not in known for one in unread))
            case "unclear":
                written = now
                order.note_unclear(WRITTEN)
            case "start":
                unread.append(now)
            case "begin" if reading is None:
                reading = list(unread)
                order.begin()
            case "end" | "fail" if reading is not None:
                if event == "end" and reading and written is not None:
                    lost = written < max(reading)
                    assert order.of(WRITTEN) in (
                        Order.UNKNOWN,
                        Order.BEFORE if lost else Order.AFTER,
                    )
                order.end(complete=event == "end")
                failed = event == "fail"
                if event == "end":
                    unread = [one for one in unread if one not in reading]
                reading = None


@pytest.mark.parametrize("away", [True, False])
async def test_a_damaged_store_ends_no_session(away: bool) -> None:
    """What stood in RAM is written again after a start, and to feed a watchdog."""
    double = plant(1)
    double.units[101].values.update({1628: 1.0, 1629: 30.0})
    shadow = {"value": 0.5, "time": "2026-01-01T00:00:00+00:00"}
    storage = MemoryStorage()
    storage.save(
        {
            "seats": {"12340065": ["xt", 101]},
            "shadows": {"12340065": {"1124": shadow}},
            "away": {"12340065": True} if away else {},
        }
    )
    async with running(double, storage, reapply_ram=True, feed_watchdogs=True) as run:
        await run.pass_(60)
        assert run.engine.statistics.connects == 1
        assert run.last.connected
        assert double.writes() == []
