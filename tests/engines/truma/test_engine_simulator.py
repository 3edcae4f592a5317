"""The engine on the simulated bus: real processes on a real terminal, end to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hardwired_engines.engine import (
    Command,
    NotConnected,
    Reason,
    Refused,
    Snapshot,
)
from hardwired_engines.truma import uploads
from hardwired_engines.truma.engine import TrumaEngine
from hardwired_engines.truma.inet.buffers import MessageId
from hardwired_engines.truma.installation import AIRCON, HEATER, PANEL
from hardwired_engines.truma.settings import TrumaSettings
from hardwired_engines.truma.simulator.runner import RunningSimulator, launch

from .bus import Replacement

pytestmark = pytest.mark.slow

QUICK = {
    "slot_ms": "10",
    "time_scale": "10",
    "personality": "c4-combi4",
    "schedule": "bare",
    "standby": "off",
}
HEAT_19 = Command(HEATER, {"target_temp_room": 19, "heating_mode": "eco"})


class House:
    """An engine that runs, and the panel that it talks to."""

    def __init__(self, engine: TrumaEngine, panel: RunningSimulator) -> None:
        self.engine = engine
        self.panel = panel
        self.snapshots: list[Snapshot] = []
        self.changed = asyncio.Event()

    def on_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self.changed.set()

    async def until(self, condition: Callable[[], Any], limit: float = 60) -> None:
        async with asyncio.timeout(limit):
            while not condition():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.changed.wait()

    def value(self, key: str, device: str = HEATER) -> Any:
        return self.engine.snapshot.value(device, key)

    @property
    def ready(self) -> bool:
        return self.engine.snapshot.connected and self.value("heating_mode") is not None

    async def polled(self, times: int) -> None:
        """Wait until the responder that is there now has heard so many more polls."""

        def heard() -> int:
            return self.engine.responder_facts.headers_for_us

        await self.until(heard)
        before = heard()
        await self.until(lambda: heard() >= before + times)

    async def truth(self) -> dict[str, Any]:
        return (await self.panel.order("truth"))["truth"]

    async def figures(self) -> dict[str, Any]:
        return (await self.panel.order("measurements"))["measurements"]

    async def event(self, name: str, limit: float = 60) -> dict[str, Any]:
        """Wait for the panel's next event of this name."""
        async with asyncio.timeout(limit):
            while True:
                event = await self.panel.events.get()
                if event["event"] == name:
                    return event


@asynccontextmanager
async def living(settings: dict[str, Any] | None = None, **query: str) -> AsyncIterator[House]:
    panel = await launch({**QUICK, "events": "on", **query})
    await panel.order("room 22 eco" if query.get("standby") != "on" else "room off")
    told = {"trust_clock": True, **(settings or {})}
    engine = TrumaEngine(TrumaSettings(link=panel.port, **told))
    house = House(engine, panel)
    task = asyncio.ensure_future(engine.run(house.on_snapshot))
    try:
        yield house
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await panel.stop()


async def heated(house: House) -> None:
    """Wait until everything is known, with the room at 22 degrees."""
    await house.until(lambda: house.ready and house.value("target_temp_room") == 22)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collect settings, and rest between uploads, as much shorter as the panel lives faster."""
    monkeypatch.setattr(uploads, "COLLECT_FOR", uploads.COLLECT_FOR / 10)
    monkeypatch.setattr(uploads, "UPLOAD_PAUSE", uploads.UPLOAD_PAUSE / 10)


Scenario = Callable[[], Coroutine[Any, Any, None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


@scenario
async def nineteen_degrees_are_uploaded_acknowledged_and_shown() -> None:
    # Slots as on a real bus: in them our answers must be perfect, however busy the machine is.
    async with living(slot_ms="50") as house:
        await heated(house)
        await house.engine.execute(HEAT_19)
        while (upload := await house.event("upload"))["id"] != MessageId.HEATER_SET:
            pass
        assert upload["result"] == 0
        assert upload["payload"].startswith((2920).to_bytes(2, "little").hex())
        assert (await house.truth())["heater"]["target_temp_room"] == 2920
        await house.until(lambda: house.value("target_temp_room") == 19)
        figures = await house.figures()
        assert figures["wrong_checksum"] == figures["wrong_length"] == figures["foreign"] == 0
        assert figures["outside"] == figures["twice"] == 0


@scenario
async def a_simulator_by_url() -> None:
    engine = TrumaEngine(TrumaSettings(link="sim://?slot_ms=10&time_scale=10&standby=off"))
    found = asyncio.Event()

    def see(snapshot: Snapshot) -> None:
        if snapshot.connected and snapshot.value(AIRCON, "mode") is not None:
            found.set()

    task = asyncio.ensure_future(engine.run(see))
    async with asyncio.timeout(60):
        await found.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@scenario
async def the_panels_refusal_is_told() -> None:
    # Every time: on a busy machine the first acknowledge may be missed, and the upload repeated.
    async with living(faults="ack_result=2") as house:
        await heated(house)
        with pytest.raises(Refused):
            await house.engine.execute(HEAT_19)
        assert house.value("target_temp_room") == 22


@scenario
async def settings_are_refused_while_an_error_is_shown() -> None:
    async with living() as house:
        await heated(house)
        await house.panel.order("error 112")
        await house.until(lambda: house.value("problem") is True)
        with pytest.raises(Refused):
            await house.engine.execute(HEAT_19)
        assert house.value("target_temp_room") == 22


@scenario
async def a_lost_acknowledge_is_made_good_by_the_status() -> None:
    """Spec c.7 step 8: when the status shows the wish, it counts as confirmed."""
    async with living(faults="ack_missing") as house:
        await heated(house)
        await house.engine.execute(HEAT_19)
        await house.until(lambda: house.value("target_temp_room") == 19)


@scenario
async def a_change_at_the_panel_is_shown() -> None:
    async with living() as house:
        await heated(house)
        await house.panel.order("water hot")
        await house.until(lambda: house.value("water_mode") == "high")


@scenario
async def a_panel_that_reboots_in_an_upload() -> None:
    async with living(faults="reboot_in_upload") as house:
        await heated(house)
        await house.engine.execute(HEAT_19)
        assert (await house.event("restart"))["event"] == "restart"
        await house.until(lambda: house.value("target_temp_room") == 19)


@scenario
async def an_interrupted_upload() -> None:
    async with living(faults="interrupt_upload=1*1") as house:
        await heated(house)
        await house.engine.execute(HEAT_19)
        await house.event("upload_interrupted")


@scenario
async def a_second_box_is_reported_and_left_alone() -> None:
    async with living() as house:
        await heated(house)
        await house.panel.order("fault second_box")
        await house.until(lambda: house.engine.snapshot.reason is Reason.SECOND_MASTER)
        await house.panel.order("reset")
        await house.polled(20)
        # Nor does the one who comes after a responder that was killed, or a port that was gone.
        before = house.engine.responder_pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await house.until(lambda: house.engine.responder_pid not in (None, before))
        await house.polled(20)
        await house.panel.order("fault unplug=0.3")
        await house.event("unplugged")
        await house.until(lambda: house.engine.responder_pid is None)
        await house.until(lambda: house.engine.responder_pid is not None)
        await house.polled(20)
        figures = await house.figures()
        assert figures["answers"] == 0
        assert figures["unanswered"] == figures["polls"] >= 60


@scenario
async def an_unplugged_port_comes_back() -> None:
    async with living() as house:
        await heated(house)
        await house.panel.order("fault unplug=1")
        await house.until(lambda: not house.engine.snapshot.connected)
        assert house.engine.snapshot.reason in (Reason.DISCONNECTED, Reason.NOT_FOUND)
        with pytest.raises(NotConnected):
            await house.engine.execute(HEAT_19)
        await house.until(lambda: house.engine.snapshot.connected)
        await house.engine.execute(HEAT_19)


@scenario
async def standby_is_no_loss() -> None:
    async with living(standby="on") as house:
        await house.until(lambda: house.ready)
        await house.event("standby", 20)
        await asyncio.sleep(1.2)  # ten of the panel's seconds of silence
        assert house.engine.snapshot.connected
        await house.engine.execute(HEAT_19)
        assert (await house.truth())["heater"]["target_temp_room"] == 2920
        assert (await house.figures())["outside"] == 0


@scenario
async def an_unregistered_panel_and_pr_set() -> None:
    async with living(registered="off") as house:
        await house.until(lambda: house.engine.responder_facts.headers > 50)
        with pytest.raises(NotConnected):
            await house.engine.execute(HEAT_19)
        for _ in range(3):  # an answer that the machine holds up too long costs the registration
            await house.panel.order("pr_set")
            if (await house.event("registered"))["registered"]:
                break
        await house.until(lambda: house.ready)
        await house.engine.execute(HEAT_19)


@scenario
async def an_observer_reads_and_says_nothing() -> None:
    async with living({"observer": True}) as house:
        await house.until(lambda: house.ready)
        assert (await house.figures())["answers"] == 0


@scenario
async def faults_on_the_line_lose_nothing() -> None:
    faults = "flip_bit=0.01,drop_byte=0.01,garbage=0.02,missing_break=0.1,truncate=0.01"
    async with living(faults=faults) as house:
        await heated(house)
        await house.engine.execute(HEAT_19)
        await house.until(lambda: house.value("target_temp_room") == 19, 25)


@scenario
async def every_adapter_works() -> None:
    async def one(query: dict[str, str]) -> None:
        async with living(**query) as house:
            await heated(house)
            await house.engine.execute(HEAT_19)
            await house.until(lambda: house.value("target_temp_room") == 19)

    async with asyncio.TaskGroup() as tasks:
        # Without break bytes only the silence between two frames tells them apart.
        for query in ({"break": "none", "slot_ms": "40"}, {"break": "two"}, {"echo": "off"}):
            tasks.create_task(one(query))


@scenario
async def the_clock_is_set() -> None:
    async with living(clock="03:00") as house:
        await house.until(lambda: house.ready and house.value("panel_clock", PANEL) is not None)
        await house.engine.execute(Command(PANEL, name="sync_clock"))
        assert (await house.truth())["clock_source"] == 2


@pytest.mark.parametrize("name", SCENARIOS)
async def test_scenario(name: str) -> None:
    await SCENARIOS[name]()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_responder_that_dies_or_hangs_is_replaced_within_a_second(
    how: signal.Signals,
) -> None:
    async with living() as house:
        await heated(house)
        before = house.engine.responder_pid
        assert before is not None
        async with Replacement():
            os.kill(before, how)
            await house.until(lambda: house.engine.responder_pid not in (None, before))
        await house.until(lambda: house.engine.snapshot.connected)
        assert (await house.figures())["twice"] == 0
        await house.engine.execute(HEAT_19)
        figures = await house.figures()
        assert figures["foreign"] == figures["outside"] == figures["twice"] == 0


async def test_a_simulator_that_was_killed_is_started_again() -> None:
    """Issue 13, number 10."""
    query = "&".join(f"{key}={value}" for key, value in QUICK.items())
    engine = TrumaEngine(TrumaSettings(link=f"sim://?{query}"))
    task = asyncio.ensure_future(engine.run(lambda _: None))
    try:
        async with asyncio.timeout(60):
            while not engine.snapshot.connected:
                await asyncio.sleep(0.01)
        assert engine._simulator is not None
        pid = engine._simulator.process.pid
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while engine._simulator is None or engine._simulator.process.pid == pid:
                await asyncio.sleep(0.01)
            while not engine.snapshot.connected:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
