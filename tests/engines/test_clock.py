"""The clock that tests turn by hand behaves as the system's does; time zones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.clock import ManualClock, SystemClock, load_zone


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.ensure_future(sleeper(*one)) for one in (("b", 2.0), ("a", 1.0), ("c", 9.0))]
    await clock.advance(5)
    assert woken == [("a", 1.0), ("b", 2.0)]
    await clock.advance(5)
    assert woken[-1] == ("c", 9.0)
    await asyncio.gather(*tasks)


async def test_a_sleep_that_follows_a_sleep_counts_from_its_own_moment() -> None:
    clock = ManualClock()
    moments = []

    async def twice() -> None:
        for _ in range(3):
            await clock.sleep(1)
            moments.append(clock.monotonic())

    task = asyncio.ensure_future(twice())
    await clock.advance(10)
    await task
    assert moments == [1, 2, 3]


async def test_a_timeout_ends_a_block_at_its_moment() -> None:
    clock = ManualClock()

    async def bounded() -> float:
        with pytest.raises(TimeoutError):
            async with clock.timeout(3):
                await asyncio.Event().wait()
        return clock.monotonic()

    task = asyncio.ensure_future(bounded())
    await clock.advance(10)
    assert await task == 3


async def test_a_block_that_ends_in_time_is_left_alone() -> None:
    clock = ManualClock()

    async def bounded() -> str:
        async with clock.timeout(3):
            await clock.sleep(2)
        await clock.sleep(5)
        return "done"

    task = asyncio.ensure_future(bounded())
    await clock.advance(10)
    assert await task == "done"


async def test_a_cancelled_sleeper_does_not_stop_the_clock() -> None:
    clock = ManualClock()
    task = asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.advance(5)
    assert clock.monotonic() == 5


@given(st.floats(0, 1e6), st.floats(-1e8, 1e8))
def test_a_jump_of_the_wall_clock_leaves_monotonic_time_alone(ahead: float, jump: float) -> None:
    clock = ManualClock()
    asyncio.run(clock.advance(ahead))
    moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=jump)
    clock.set_wall(moment)
    assert abs((clock.now() - moment).total_seconds()) < 0.001
    assert clock.monotonic() == ahead


async def test_the_system_clock_tells_aware_time_and_bounds_blocks() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.01):
            await clock.sleep(10)
    assert clock.monotonic() > before


@pytest.mark.parametrize(
    "name", ["SAST", "UTC+2", "", "Europe/Nowhere", "../etc/passwd", "a\0b", "Europe", "x" * 300]
)
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        load_zone(name)
