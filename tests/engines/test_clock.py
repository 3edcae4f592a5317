"""The clock that tests turn by hand behaves as the system's does; time zones."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired_engines import system_time
from hardwired_engines.clock import ManualClock, SystemClock, load_zone
from hardwired_engines.device_clocks import doubt


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
    "name",
    ["SAST", "UTC+2", "", "Europe/Nowhere", "../etc/passwd", "a\0b", "Europe", "x" * 300,
     "localtime", "posixrules", "Factory", "posix/Europe/London", "right/Europe/London"],
)  # fmt: skip
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        load_zone(name)


async def test_a_block_that_ends_at_the_very_moment_of_its_timeout() -> None:
    clock, event = ManualClock(), asyncio.Event()
    wrong: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: wrong.append(told))

    async def block() -> str:
        async with clock.timeout(1):
            await event.wait()
        return "ended"

    task = asyncio.ensure_future(block())
    await asyncio.sleep(0)
    event.set()
    await clock.advance(1, settle=0)
    assert await task == "ended"
    await asyncio.sleep(0)
    assert wrong == []


class TestTheSystemsWord:
    """Issue 13, number 8: whether the computer's clock is right."""

    def test_the_real_kernel_answers_without_being_changed(self) -> None:
        assert SystemClock().synchronised() in (True, False, None)

    @pytest.mark.parametrize(
        "kernel, told, known",
        [
            (True, False, True),
            (True, True, True),
            (False, False, False),
            (False, True, True),
            (None, False, None),
            (None, True, None),
        ],
    )
    def test_the_kernel_and_the_time_daemon(
        self,
        kernel: bool | None,
        told: bool,
        known: bool | None,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The kernel forgets after hours without an answer what the daemon has once set."""
        mark = tmp_path / "synchronized"
        if told:
            mark.touch()
        monkeypatch.setattr(system_time, "_TIMESYNCD", mark)
        monkeypatch.setattr(system_time, "_kernel_says", lambda: kernel)
        assert system_time.is_synchronised() is known

    def test_another_system_does_not_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        assert system_time.is_synchronised() is None

    def test_a_system_that_forbids_the_question_does_not_say(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Forbidden:
            def __init__(self, _name: str | None) -> None:
                pass

            def adjtimex(self, _timex: object) -> int:
                return -1

        monkeypatch.setattr(ctypes, "CDLL", Forbidden)
        assert system_time.is_synchronised() is None

    @pytest.mark.parametrize("year", [1970, 2024, 2038])
    def test_trust_does_not_make_a_year_right(self, year: int) -> None:
        clock = ManualClock(datetime(year, 6, 1, tzinfo=UTC))
        assert doubt(clock, trusted=True) == "clock_not_set"
        assert doubt(clock) == "clock_not_set"
