"""The newest wish counts, whatever the disk is doing; an answered one is over (spec e.4, f.5)."""

from __future__ import annotations

from typing import Any

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import CommandError, NotConfirmed, NotConnected
from hardwired_engines.inventum.simulator.faults import Fault, Trouble
from hardwired_engines.storage import MemoryStorage
from tests.engines.inventum.home import Owner, owner


class SlowStorage(MemoryStorage):
    """On a disk that takes its time: only what was flushed is there after a loss of power."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self.disk: dict[str, Any] = {}
        self.ends: list[str | None] = []

    def save(self, data: Any) -> None:
        super().save(data)
        self.ends.append(data["boost_until"])

    async def async_flush(self) -> None:
        data = dict(self.data)
        await self._clock.sleep(self._seconds)
        self.disk = data


def keys_after(home: Owner) -> list[bytes]:
    """Collect what is written from now on."""
    sent: list[bytes] = []
    home.engine.frames.listen(
        lambda frame: sent.append(frame.data) if frame.direction.value == "out" else None
    )
    return sent


@pytest.mark.parametrize("gap", [0.0, 0.02, 0.1, 0.6])
async def test_auto_overtakes_no_boost_that_is_being_stored(gap: float) -> None:
    clock = ManualClock()
    storage = SlowStorage(clock, 0.05)
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await clock.advance(3)
        boost = home.wish(boost=True)
        await clock.advance(gap)
        await home.done(home.wish(boost=False))
        await clock.advance(20)
        with pytest.raises(CommandError) as raised:
            boost.result()
        assert raised.value.key == "superseded"
        assert home.unit.override is None
        assert storage.data["boost_until"] is None
        assert storage.data["held"] is False
        again, auto, last = home.wish(boost=True), home.wish(boost=False), home.wish(boost=True)
        await home.done(last)
        assert home.unit.override == 3
        assert again.exception() is not None
        assert auto.exception() is not None


async def test_no_key_is_pressed_before_the_end_is_on_the_disk() -> None:
    clock = ManualClock()
    storage = SlowStorage(clock, 2.5)
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await clock.advance(3)
        sent, rows = keys_after(home), home.engine.dialogue.counters["rows"]
        storage.ends.clear()
        wish = home.wish(boost=True)
        await clock.advance(2.4)
        assert home.engine.dialogue.counters["rows"] >= rows + 2
        assert not sent
        assert not storage.disk
        assert all(storage.ends), "a row in between does not take the end away"
        await home.done(wish)
        assert storage.disk["boost_until"] == storage.data["boost_until"] is not None


async def test_a_boost_after_an_auto_waits_for_the_disk_in_the_prompt_too() -> None:
    """The moves are shared; the digit is the boost's own."""
    clock = ManualClock()
    storage = SlowStorage(clock, 1.2)
    for passed in range(2, 14):
        async with owner(clock=clock, storage=storage) as home:
            await home.logging()
            await home.done(home.wish(boost=True))
            await clock.advance(3)
            auto = home.wish(boost=False)
            await clock.advance(passed / 10)
            sent = keys_after(home)
            boost = home.wish(boost=True)
            await clock.advance(1.1)
            assert b"3" not in sent
            assert b"\r" not in sent
            await home.done(boost)
            assert home.unit.override == 3
            assert auto.done()
            await home.done(home.wish(boost=False))


async def test_a_disk_that_hangs_does_not_keep_the_boost(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    async with owner(clock=clock, storage=SlowStorage(clock, 1e6)) as home:
        await home.logging()
        assert await home.done(home.wish(boost=True)) < 15
        assert "could not be stored" in caplog.text


async def test_who_asked_may_go_away_while_it_is_stored() -> None:
    clock = ManualClock()
    async with owner(clock=clock, storage=SlowStorage(clock, 1.0)) as home:
        await home.logging()
        boost = home.wish(boost=True)
        await clock.advance(0.5)
        boost.cancel()
        await home.until(lambda: home.value("boost"), 30)


@pytest.mark.parametrize("disk", [0.0, 0.5])
async def test_what_was_answered_with_an_error_is_not_done_after_the_restart(disk: float) -> None:
    clock = ManualClock()
    storage = SlowStorage(clock, disk)
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await clock.advance(3)
        unit, boost = home.unit, home.wish(boost=True)
        await clock.advance(0.1)
    await clock.advance(1)
    with pytest.raises(NotConnected):
        await boost
    assert not unit.entered_rows
    async with owner(clock=clock, storage=storage, unit=unit) as home:
        await home.logging()
        assert home.value("boost") is False
        await clock.advance(30)
        assert not unit.writes


async def test_a_boost_that_was_not_confirmed_at_the_stop_is_taken_back() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner("interval=10", clock=clock, storage=storage) as home:
        await home.logging()
        unit, boost = home.unit, home.wish(boost=True)
        await home.until(lambda: home.unit.override == 3)
        await clock.advance(0.5)
        assert not boost.done()
    with pytest.raises(NotConfirmed):
        await boost
    async with owner("interval=10", clock=clock, storage=storage, unit=unit) as home:
        assert home.value("boost") is False
        await home.until(lambda: unit.override is None, 60)


async def test_a_longer_boost_that_was_not_reached_leaves_the_one_that_runs() -> None:
    clock, storage = ManualClock(), MemoryStorage()
    async with owner(clock=clock, storage=storage) as home:
        await home.logging()
        await home.done(home.wish(boost=True, minutes=10))
        end, unit = storage.data["boost_until"], home.unit
        unit.inflict(Trouble(Fault.UNPLUG), clock.monotonic())
        await home.until(lambda: not home.engine.snapshot.connected)
        longer = home.wish(boost=True, minutes=60)
        await clock.advance(0.1)
        assert storage.data["boost_until"] > end
    with pytest.raises(NotConnected):
        await longer
    assert storage.data["boost_until"] == end
    assert unit.override == 3
