"""The dialogue on an open link, where time and bytes meet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import FrameLog, Statistics
from hardwired_engines.link import StreamPair
from hardwired_engines.studer.scom.exchange import ReplyKind
from hardwired_engines.studer.scom.frame import Request
from hardwired_engines.studer.session import discovery
from hardwired_engines.studer.session.line import Line
from hardwired_engines.studer.settings import Timings


class _LateByNothing(ManualClock):
    """The time is up in the turn of the loop in which what was waited for has come."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return super().timeout(None) if seconds != 3.0 else self._expiring()

    @asynccontextmanager
    async def _expiring(self) -> AsyncIterator[object]:
        yield None
        raise TimeoutError


async def test_an_answer_in_the_very_turn_of_the_time_out_is_an_answer() -> None:
    pair = StreamPair()
    statistics = Statistics()
    line = Line(
        pair.near, _LateByNothing(), Timings(pause=0.0), statistics=statistics, frames=FrameLog()
    )
    asking = asyncio.ensure_future(line.exchange(discovery.probe_request(), discovery.PROBE_FORMAT))
    await pair.far.read()
    request: Request = discovery.probe_request()
    await pair.far.write(request.answer(b"\1\0\0\0").encode())
    reply = await asking
    assert (reply.kind, reply.value) == (ReplyKind.VALUE, 1)
    assert statistics.timeouts == 0
    await line.close()


@pytest.mark.parametrize("seconds", [None, 0.5])
@pytest.mark.parametrize("turns", range(-6, 7))
async def test_whichever_comes_first_the_answer_or_the_end_of_its_time(
    turns: int, seconds: float | None
) -> None:
    """The loop may do anything between a deadline and who waited for it."""
    clock, pair, timings = ManualClock(), StreamPair(), Timings(pause=0.0)
    line = Line(pair.near, clock, timings, statistics=Statistics(), frames=FrameLog())
    request: Request = discovery.probe_request()
    asking = asyncio.ensure_future(
        line.exchange(request, discovery.PROBE_FORMAT, timeout=seconds, blame=False)
    )
    await pair.far.read()
    steps = [
        clock.advance(seconds or timings.answer, settle=0),
        pair.far.write(request.answer(b"\1\0\0\0").encode()),
    ]
    for step in steps if turns >= 0 else reversed(steps):
        await step
        for _ in range(abs(turns)):
            await asyncio.sleep(0)
    reply = await asking
    assert reply.kind in (ReplyKind.VALUE, ReplyKind.TIMEOUT)
    await line.close()
