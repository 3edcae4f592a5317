"""What the owner's entities want is read, and costs the event loop little however many they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from hardwired_engines.studer.datapoints.datapoint import Poll, datapoints
from hardwired_engines.studer.plant.unit import Identity, Unit
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.session.poller import VALUES_A_TURN
from hardwired_engines.studer.session.schedule import Scheduler, Task

from .double import Running, plant, running

OFTEN = 3093
"""An info that is read only when it is wanted: the least battery current of a minute."""
KEY = next(point.key for point in datapoints(Family.XT) if point.id == OFTEN)


@pytest.fixture
def plans() -> Iterator[list[float]]:
    """The times at which a poll plan was made."""
    found: list[float] = []
    usual = Scheduler.plan

    def plan(self: Scheduler, tasks: object, now: float, *more: object) -> None:
        found.append(now)
        usual(self, tasks, now, *more)  # type: ignore[arg-type]

    with patch.object(Scheduler, "plan", plan):
        yield found


def everything(run: Running) -> list[tuple[str, str]]:
    return [
        (device, key)
        for device, state in run.last.devices.items()
        for key in state.values
        if device in {run.id(address) for address in (101, 102, 103)}
    ]


@pytest.mark.slow
async def test_the_wishes_of_all_entities_make_one_plan(plans: list[float]) -> None:
    double = plant(3)
    for unit in double.units.values():
        unit.values[OFTEN] = -1.5
    async with running(double) as run:
        await run.pass_(60)
        plans.clear()
        ends = [run.engine.want(device, key) for device, key in everything(run)]
        await run.pass_(0.5)
        assert len(plans) == 1
        await run.pass_(30)
        assert [run.value(address, KEY) for address in (101, 102, 103)] == [-1.5] * 3
        plans.clear()
        for end in ends:
            end()
        await run.pass_(0.5)
        assert len(plans) == 1


@pytest.mark.slow
async def test_a_wish_holds_until_the_last_who_has_it_leaves() -> None:
    double = plant(1)
    double.units[101].values[OFTEN] = -1.5
    async with running(double) as run:
        await run.pass_(20)
        first, second = (run.engine.want(run.id(101), KEY) for _ in range(2))
        first()
        await run.pass_(30)
        double.log.clear()
        await run.pass_(30)
        assert OFTEN in double.reads(101)
        second()
        second()
        await run.pass_(20)
        double.log.clear()
        await run.pass_(60)
        assert OFTEN not in double.reads(101)
        run.engine.want(run.id(101), KEY)
        await run.pass_(30)
        assert OFTEN in double.reads(101)


@pytest.mark.slow
async def test_an_answer_with_many_values_leaves_the_event_loop_its_turns() -> None:
    double = plant(6)
    double.multi = True
    turn = 0
    shown: Counter[int] = Counter()
    usual = Unit.put

    def put(self: Unit, *what: Any) -> None:
        shown[turn] += 1
        usual(self, *what)

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async with running(double) as run:
        await run.pass_(20)
        counting = asyncio.ensure_future(count())
        with patch.object(Unit, "put", put):
            await run.pass_(15)
        counting.cancel()
    assert sum(shown.values()) > 200
    assert max(shown.values()) <= VALUES_A_TURN


def test_a_plan_is_weighed_anew_only_when_it_or_the_test_is_another() -> None:
    points = [p for p in datapoints(Family.XT) if p.poll is Poll.FAST and not p.is_parameter]
    tasks = [Task("a", point) for point in points]
    asked: list[Task] = []

    def some(task: Task) -> bool:
        asked.append(task)
        return True

    def none(task: Task) -> bool:
        asked.append(task)
        return False

    scheduler = Scheduler()
    scheduler.plan(tasks, 0.0)
    batched = scheduler.load(0.1, some)
    assert scheduler.load(0.2, some) == pytest.approx(2 * batched)
    assert len(asked) == len(tasks)
    assert scheduler.load(0.1, none) == pytest.approx(5 * batched)
    assert scheduler.load(0.1) == pytest.approx(5 * batched)
    scheduler.hurry(1.0, 0.0)
    assert scheduler.load(0.1, some) == pytest.approx(5 * batched)
    scheduler.plan(tasks[:1], 0.0)
    assert scheduler.load(0.1, some) == pytest.approx(5 * batched / len(tasks))
    scheduler.drop(tasks[0])
    assert scheduler.load(0.1, some) == 0.0


def test_each_value_is_removed_at_its_own_time() -> None:
    unit = Unit("a", Family.XT, 101, Identity())
    for key, until in (("late", 30.0), ("early", 10.0), ("renewed", 5.0)):
        unit.put(key, 1.0, until)
    unit.put("renewed", 2.0, 20.0)
    seen = []
    for now in (10.0, 10.1, 20.0, 20.1, 30.0, 31.0):
        unit.expire(now)
        seen.append({key for key, value in unit.values.items() if value is not None})
    assert seen == [
        {"late", "early", "renewed"}, {"late", "renewed"}, {"late", "renewed"},
        {"late"}, {"late"}, set(),
    ]  # fmt: skip
    unit.put("late", 3.0, 40.0)
    unit.clear()
    unit.put("early", 4.0, 50.0)
    unit.expire(49.0)
    assert unit.values["early"] == 4.0
    unit.expire(51.0)
    assert unit.values["early"] is None
