"""The priority lock against a model of it, over random orders of waiting, cancelling, releasing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings, strategies as st

from hardwired_engines.link import PriorityLock

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("release"), st.just(0)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Trial:
    """One lock, its users, and who should hold it."""

    lock: PriorityLock = field(default_factory=PriorityLock)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    urgent: list[bool] = field(default_factory=list)
    holding: list[int] = field(default_factory=list)
    got: list[int] = field(default_factory=list)
    leave: dict[int, asyncio.Event] = field(default_factory=dict)

    def wait(self, urgent: bool) -> None:
        number = len(self.tasks)
        self.leave[number] = asyncio.Event()
        self.urgent.append(urgent)
        self.tasks.append(asyncio.ensure_future(self._use(number, urgent)))

    async def _use(self, number: int, urgent: bool) -> None:
        async with self.lock.held(urgent=urgent):
            self.holding.append(number)
            self.got.append(number)
            assert len(self.holding) == 1, "two hold it"
            try:
                await self.leave[number].wait()
            finally:
                self.holding.remove(number)

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)


@settings(max_examples=400, deadline=None)
@given(OPERATIONS)
def test_one_holds_it_at_a_time_and_nobody_waits_for_ever(
    operations: list[tuple[str, int]],
) -> None:
    asyncio.run(_try(operations))


async def _try(operations: list[tuple[str, int]]) -> None:
    trial = Trial()
    for name, argument in operations:
        match name:
            case "wait":
                trial.wait(bool(argument))
            case "cancel" if argument < len(trial.tasks):
                trial.tasks[argument].cancel()
            case "release" if trial.holding:
                trial.leave[trial.holding[0]].set()
            case "turn":
                await asyncio.sleep(0)
    await trial.settle()
    while trial.holding:
        trial.leave[trial.holding[0]].set()
        await trial.settle()
    outcomes = await asyncio.wait_for(
        asyncio.gather(*trial.tasks, return_exceptions=True), timeout=5
    )
    unforeseen = [
        one for one in outcomes if one is not None and not isinstance(one, asyncio.CancelledError)
    ]
    assert unforeseen == []
    await asyncio.wait_for(trial.lock.acquire(), timeout=5)


async def test_urgent_goes_before_patient_and_first_come_is_first_served() -> None:
    trial = Trial()
    for urgent in (False, False, True, False, True):
        trial.wait(urgent)
    await trial.settle()
    while trial.holding:
        trial.leave[trial.holding[0]].set()
        await trial.settle()
    assert trial.got == [0, 2, 4, 1, 3]


async def test_who_is_cancelled_in_the_turn_of_the_release_is_cancelled_and_nothing_else() -> None:
    lock = PriorityLock()
    await lock.acquire()
    waiter = asyncio.ensure_future(lock.acquire())
    await asyncio.sleep(0)
    waiter.cancel()
    lock.release()
    outcome = (await asyncio.gather(waiter, return_exceptions=True))[0]
    assert isinstance(outcome, asyncio.CancelledError)
    await asyncio.wait_for(lock.acquire(), timeout=5)
