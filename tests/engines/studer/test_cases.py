"""Cases that owners and an adversary brought, where no other file has them."""

from __future__ import annotations

import asyncio
import struct

import pytest

from hardwired_engines.engine import Command, CommandError
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom.frame import FrameFlags
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.settings import StuderSettings

pytestmark = pytest.mark.slow

FAST_PLANT = "sim://?xtenders=1&variotracks=0&variostrings=0&latency_ms=0&baud=0&seed=3"


@pytest.mark.parametrize(
    ("data", "number", "property_id", "value"),
    [
        ("AA3765000000010000000E00AA6602010100B80B00000100004042428B46", 3000, 1, 48.5625),
        ("AA3765000000010000000E00AA660201020053040000050000D01442868D", 1107, 5, 37.203125),
    ],
)
def test_answers_with_many_flags(data: str, number: int, property_id: int, value: float) -> None:
    """A user's page: message pending, restarted, SD card present, a new file of the log."""
    (frame,) = Parser().receive_data(bytes.fromhex(data))
    body = frame.body()
    assert body is not None
    assert (frame.source, body.object_id, body.property_id) == (101, number, property_id)
    assert struct.unpack("<f", body.data) == (value,)
    assert frame.flags == (
        FrameFlags.MESSAGE_PENDING
        | FrameFlags.RESTARTED
        | FrameFlags.SD_PRESENT
        | FrameFlags.NEW_DATALOG_FILE
        | FrameFlags.DATALOG_SUPPORTED
    )


@pytest.mark.parametrize("with_commands", [True, False])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_an_engine_ends_when_it_is_cancelled_while_writes_wait(
    with_commands: bool, turns: int
) -> None:
    """Issue 13, number 1: the lock of the line lost cancellations."""
    engine = StuderEngine(StuderSettings.from_mapping({"link": FAST_PLANT}))
    changed = asyncio.Event()
    running = asyncio.ensure_future(engine.run(lambda _: changed.set()))
    while not engine.snapshot.connected:
        changed.clear()
        await changed.wait()
    xtender = next(s.device.id for s in engine.snapshot.devices.values() if s.device.kind == "xt")
    odd: list[BaseException] = []

    async def write(turn: int) -> None:
        numbers = (1107, 1138, 1124, 1125)
        options = {"id": numbers[turn % 4], "value": 10 + turn % 7 if turn % 4 < 2 else 1}
        try:
            await engine.execute(Command(xtender, name="write", options=options))
        except (CommandError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - any other is what the test looks for
            odd.append(error)

    writes = [asyncio.ensure_future(write(turn)) for turn in range(30)]
    for _ in range(turns):
        await asyncio.sleep(0)
    if with_commands:
        for task in writes:
            task.cancel()
    running.cancel()
    # A time-out is a failure, not a matter of speed: a lost cancellation never ends.
    done, _ = await asyncio.wait([running], timeout=60)
    assert done
    done, pending = await asyncio.wait(writes, timeout=60)
    assert not pending
    assert odd == []
