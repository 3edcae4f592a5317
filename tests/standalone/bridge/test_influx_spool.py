"""The spool in virtual time: nothing that is accepted gets lost (spec e.3, e.5)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hardwired.bridge.sink import SinkState
from hardwired.config.kinds import size
from hardwired.influx import pipeline as pipeline_module
from hardwired.influx.answers import Answer, Class, Failure, read_answer, read_failure
from hardwired.influx.pipeline import Pipeline, Plan
from hardwired.influx.spool import (
    Counters,
    Damaged,
    DiskSpool,
    MemorySpool,
    OutageSpool,
    Settled,
    SpoolBusy,
    SpoolError,
    SpoolTooNew,
    Unwritable,
    damaged_files,
    open_spool,
)
from hardwired.influx.worker import InlineWorker
from hardwired_engines.clock import ManualClock
from hardwired_engines.storage import MemoryStorage
from tests.vector_files import cases

MIB = 2**20


class Server:
    """A server as a value: what it answers now, what it has stored."""

    def __init__(self) -> None:
        self.mode = "up"
        self.points: list[str] = []
        self.requests = 0

    def post(self, lines: list[str]) -> Answer:
        self.requests += 1
        match self.mode:
            case "up":
                self.points += lines
                return read_answer(204)
            case "down":
                return read_failure(Failure.REFUSED)
            case "too_old":
                text = f"partial write: points beyond retention policy dropped={len(lines)}"
                return read_answer(400, f'{{"error":"{text}"}}') if lines else read_answer(204)
            case "404":
                return read_answer(404, '{"error":"database not found: \\"x\\""}')
            case mode:
                return read_answer(int(mode))

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


class World:
    """A sink's pipeline that can be killed, and what is counted over its lives."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        self.clock = ManualClock()
        self.server = Server()
        self.store = MemoryStorage()
        self.path = folder / "spool-x.db"
        self.plan = Plan(path=self.path, **plan)
        self.offered = 0
        self.lost = 0
        self.base = Counters()
        self.disk_full = False
        self.series = "m"
        self.pipeline: Pipeline
        self.task: asyncio.Task[None]

    async def start(self) -> None:
        self.pipeline = Pipeline(
            "x",
            self.plan,
            self.server,
            self.clock,
            store=self.store,
            spool_worker=InlineWorker(),
            send_worker=InlineWorker(),
            jitter=lambda: 1.2,
        )
        self.task = asyncio.create_task(self.pipeline.run())
        await self.clock.advance(0)
        self.fill_disk(self.disk_full)

    def fill_disk(self, full: bool) -> None:
        self.disk_full = full
        spool = self.pipeline._spool
        if full:

            def refuse(lines: Any, dropped: int = 0) -> None:
                raise Unwritable("database or disk is full")

            spool.append = refuse  # type: ignore[method-assign]
        else:
            with contextlib.suppress(AttributeError):
                del spool.append  # type: ignore[attr-defined]

    def offer(self, count: int) -> None:
        for _ in range(count):
            self.offered += 1
            time = 1_795_000_000_000_000_000 + self.offered
            self.pipeline.offer(f"{self.series} v={self.offered} {time}")

    async def end(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SpoolError):
            await self.task

    async def kill(self) -> None:
        """Leave everything as it is, as a power cut would."""
        if self.plan.flush == 0:
            await self.clock.advance(0)
        await self.end()
        self.lost += self.pipeline.in_memory
        spool = self.pipeline._spool
        if isinstance(spool, MemorySpool):
            self.lost += spool.state.waiting
            self.base = self.base.plus(spool.state.counters)
        else:
            spool._database.close()  # type: ignore[attr-defined]
        if self.pipeline._lock is not None:
            self.pipeline._lock.release()

    async def stop(self) -> None:
        await self.end()
        await self.pipeline.stop()

    def damage(self) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
        self.base = self.base.plus(
            Counters(**{key: meta.get(key, 0) for key in ("accepted", "delivered", "dropped")})
        )
        self.lost += meta["accepted"] - meta.get("delivered", 0) - meta.get("dropped", 0)
        self.path.write_bytes(random.Random(1).randbytes(self.path.stat().st_size))

    def counters(self) -> dict[str, Any]:
        state = self.pipeline._spool.state
        counters = self.base.plus(state.counters)
        return {
            "offered": self.offered,
            "accepted": counters.accepted,
            "delivered": counters.delivered,
            "waiting": state.waiting,
            "in_memory": self.pipeline.in_memory,
            "dropped": counters.dropped + self.pipeline.dropped_early,
            "lost": self.lost,
            "state": self.pipeline.state.value,
            "notices": list(self.pipeline.notices),
        }


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[Any]:
    made: list[World] = []

    async def make(**plan: Any) -> World:
        world = World(tmp_path, **plan)
        made.append(world)
        await world.start()
        return world

    yield make
    for world in made:
        await world.end()


def plan_of(sink: dict[str, Any]) -> dict[str, Any]:
    names = {"spool_mode": "mode", "spool_size": "size", "backfill_rate": "rate"}
    plan = {names.get(key, key): value for key, value in sink.items()}
    if "size" in plan:
        plan["size"] = size(MIB, 2**40).read(plan["size"])
    return plan


async def step(world: World, told: dict[str, Any]) -> None:
    (verb, value), *_ = told.items()
    match verb:
        case "offer":
            world.offer(value)
        case "advance":
            await world.clock.advance(value)
        case "server":
            world.server.mode = value
        case "disk":
            world.fill_disk(value == "full")
        case "kill":
            await world.kill()
        case "stop":
            await world.stop()
        case "start":
            await world.start()
        case "reload":
            world.pipeline.wake()
        case "damage":
            world.damage()
        case "expect":
            assert world.counters() == value
        case _:
            pytest.fail(f"{verb} is not known")


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "spool.json", "scenarios"))
async def test_scenarios(case: dict[str, Any], worlds: Any) -> None:
    if case.get("by_hand"):
        pytest.skip("a rule in words: a test of its own below")
    world = await worlds(**plan_of(case["sink"]))
    for told in case["steps"]:
        await step(world, told)


# -------------------------------------------------------------- the scenarios with rules in words


async def test_cap_oldest_first(worlds: Any) -> None:
    world = await worlds(size=MIB)
    world.series = "sunsynk,device=2106150123,kind=inverter,link=roof"
    world.server.mode = "down"
    for _ in range(80):
        world.offer(500)
        await world.clock.advance(1)
    await world.clock.advance(10)
    found = world.counters()
    assert 4000 <= found["waiting"] <= 20000
    assert found["waiting"] + found["dropped"] == found["accepted"] == 40000
    assert world.pipeline.spool_state.size <= MIB
    assert "spool_full" in found["notices"]
    (_, oldest), *_ = world.pipeline._spool.take(1, MIB)
    assert f" v={40000 - found['waiting'] + 1} " in oldest


async def test_killed_between_answer_and_delete(worlds: Any) -> None:
    world = await worlds()
    world.offer(10)
    await world.clock.advance(4)
    settle = world.pipeline._spool.settle

    def die(settled: Settled) -> None:
        raise asyncio.CancelledError

    world.pipeline._spool.settle = die
    await world.clock.advance(2)
    world.pipeline._spool.settle = settle
    assert len(world.server.points) == 10
    await world.kill()
    await world.start()
    await world.clock.advance(100)
    assert set(Counter(world.server.points).values()) == {2}  # same time and tags: overwritten
    assert world.counters()["delivered"] == 10


async def test_second_bridge_on_the_same_file(worlds: Any, tmp_path: Path) -> None:
    await worlds()
    second = World(tmp_path)
    await second.start()
    with pytest.raises(SpoolBusy, match=f"process {os.getpid()}"):
        await second.task


async def test_schema_of_the_future(worlds: Any) -> None:
    world = await worlds()
    await world.stop()
    with contextlib.closing(sqlite3.connect(world.path)) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
        database.commit()
    before = world.path.read_bytes()
    await world.start()
    with pytest.raises(SpoolTooNew, match="schema 99"):
        await world.task
    assert world.path.read_bytes() == before


async def test_no_sqlite3_module(
    worlds: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pipeline_module, "_has_sqlite", lambda: False)
    world = await worlds()
    world.offer(10)
    await world.clock.advance(10)
    assert len(world.server.points) == 10
    assert world.pipeline.spool_where == "memory"
    assert caplog.text.count("points wait in memory only") == 1


# --------------------------------------------------------------------------------- spools alone


def now() -> Any:
    return ManualClock().now()


def test_an_orderly_end_and_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    spool = DiskSpool(path, MIB)
    spool.append(["a", "b"])
    spool.settle(Settled(stored=[1]))
    spool._database.close()  # torn
    spool = open_spool(path, MIB, now).spool
    assert spool.take(10, MIB) == [(2, "b")]
    assert spool.state.counters == Counters(accepted=2, delivered=1)
    spool.append(["c"])
    assert spool.take(10, MIB) == [(2, "b"), (3, "c")]  # ids are never used twice
    spool.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_disk_full_for_real(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "s.db", 100 * MIB)
    pages = spool._count("PRAGMA page_count")
    spool._database.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(Unwritable, match="full"):
        spool.append(["x" * 100] * 1000)
    assert spool.state.waiting == 0
    spool._database.execute("PRAGMA max_page_count=100000")
    spool.append(["x"])
    assert spool.state.waiting == 1
    spool.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unwritable):
        DiskSpool(tmp_path / "none" / "s.db", MIB)


def test_set_aside_and_back(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "s.db", MIB)
    spool.append([f"m v={number}" for number in range(10)])
    spool.settle(Settled(set_aside=[1, 2, 3], why="field type conflict"))
    assert [(why, line) for _, _, why, line in spool.aside()] == [
        ("field type conflict", f"m v={number}") for number in range(3)
    ]
    assert spool.state.counters == Counters(accepted=10, set_aside=3)
    assert spool.requeue() == 3
    assert spool.state.counters == Counters(accepted=10)
    assert [line for _, line in spool.take(20, MIB)][-3:] == ["m v=0", "m v=1", "m v=2"]
    assert spool.drop(waiting=True) == 10
    assert spool.state.counters == Counters(accepted=10, dropped=10)
    spool.close()


def test_set_aside_is_bounded(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "s.db", MIB)
    spool.append(["x" * 1000 for _ in range(300)])
    spool.settle(Settled(set_aside=range(1, 301), why="y"))
    kept = spool.aside()
    assert sum(len(line) for *_, line in kept) <= MIB // 10
    counters = spool.state.counters
    assert counters.set_aside == len(kept)
    assert counters.set_aside + counters.dropped == 300
    spool.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_noise_anywhere_in_the_file(tmp_path: Path, seed: int) -> None:
    """The bridge goes on; nothing is lost but what the file held."""
    chance = random.Random(seed)
    path = tmp_path / "s.db"
    spool = DiskSpool(path, MIB)
    lines = [f"m,n={number} v={number} {number}" for number in range(chance.randint(1, 3000))]
    spool.append(lines)
    if chance.random() < 0.5:
        spool.close()
    else:
        spool._database.close()
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(content))
        noise = chance.randbytes(chance.randint(1, 300))
        content[at : at + len(noise)] = noise
    path.write_bytes(content)
    opened = open_spool(path, MIB, now)
    spool = opened.spool
    try:
        found = [line for _, line in spool.take(10_000, 2**30)]
    except Damaged:
        assert opened.damaged is None
        spool._database.close()
        opened = open_spool(path, MIB, now) if damaged_files(path) else None
        if opened is None:
            from hardwired.influx.spool import renew

            opened = renew(path, MIB, now)
        spool = opened.spool
        found = [line for _, line in spool.take(10_000, 2**30)]
    if opened.damaged is not None:
        assert opened.damaged.exists()
    assert len(found) <= len(lines)
    strange = [line for line in found if line not in set(lines)]
    assert len(strange) <= 5 * 20  # rows that the noise itself stands in, undetected by SQLite
    spool.append(["new"])
    assert spool.take(10_000, 2**30)[-1][1] == "new"
    spool.close()


def test_at_most_three_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    for _ in range(5):
        path.write_bytes(b"noise" * 1000)
        opened = open_spool(path, MIB, now)
        assert opened.damaged is not None
        opened.spool.close()
    assert len(damaged_files(path)) == 3


def test_outage_mode_spares_the_disk(tmp_path: Path) -> None:
    disk = DiskSpool(tmp_path / "s.db", MIB)
    spool = OutageSpool(disk, 100)
    spool.append(["a", "b", "c"])
    assert spool.where == "memory"
    assert disk.state.waiting == 0
    spool.settle(Settled(stored=[1]))
    spool.spill()
    assert spool.where == "disk"
    assert [line for _, line in disk.take(9, MIB)] == ["b", "c"]
    spool.append(["d"])
    assert spool.state.counters == Counters(accepted=4, delivered=1)
    taken = spool.take(9, MIB)
    assert [line for _, line in taken] == ["b", "c", "d"]
    spool.settle(Settled(stored=[ident for ident, _ in taken]))
    assert spool.where == "memory"
    assert spool.state.counters == Counters(accepted=4, delivered=4)
    spool.append(["e"])
    spool.close()
    spool = OutageSpool(DiskSpool(tmp_path / "s.db", MIB), 100)
    assert spool.state.waiting == 1
    assert spool.where == "disk"
    spool.close()


def test_outage_mode_sets_aside_on_disk(tmp_path: Path) -> None:
    disk = DiskSpool(tmp_path / "s.db", MIB)
    spool = OutageSpool(disk, 100)
    spool.append(["a", "b", "c"])
    spool.settle(Settled(stored=[3], set_aside=[1, 2], why="x"))
    assert [line for *_, line in disk.aside()] == ["a", "b"]
    assert spool.state.counters == Counters(accepted=3, delivered=1, set_aside=2)
    spool.close()


async def test_outage_mode_end_to_end(worlds: Any) -> None:
    world = await worlds(mode="outage")
    world.offer(20)
    await world.clock.advance(6)
    assert world.counters()["delivered"] == 20
    world.server.mode = "down"
    world.offer(20)
    await world.clock.advance(60)
    assert world.pipeline.spool_where == "disk"
    assert world.pipeline.state is SinkState.OUTAGE
    world.server.mode = "up"
    await world.clock.advance(61)
    assert world.counters()["delivered"] == 40
    assert world.pipeline.spool_where == "memory"
    assert world.server.points == sorted(
        world.server.points, key=lambda line: int(line.split()[-1])
    )


async def test_a_server_that_answers_nonsense_class(worlds: Any) -> None:
    world = await worlds()
    world.server.mode = "302"
    world.offer(1)
    await world.clock.advance(10)
    assert world.pipeline.state is SinkState.CONFIG_ERROR
    assert world.pipeline.why == "the server points to another address"
    assert Class.CONFIGURATION in Class


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_end_of_the_log_loses_only_what_was_not_synced(tmp_path: Path, seed: int) -> None:
    """A power cut in the middle of a write: the transactions before it are whole."""
    chance = random.Random(seed)
    path = tmp_path / "s.db"
    spool = DiskSpool(path, 100 * MIB)
    wal = path.with_name("s.db-wal")
    ends = []
    for number in range(30):
        spool.append([f"m v={number} {one}" for one in range(chance.randint(1, 40))])
        ends.append((wal.stat().st_size, spool.state.waiting))
    database, log = path.read_bytes(), wal.read_bytes()
    spool.close()
    cut = chance.randrange(len(log))
    image = tmp_path / "image" / "s.db"
    image.parent.mkdir()
    image.write_bytes(database)
    image.with_name("s.db-wal").write_bytes(log[:cut])
    opened = open_spool(image, 100 * MIB, now)
    assert opened.damaged is None
    whole = max((points for end, points in ends if end <= cut), default=0)
    found = [line for _, line in opened.spool.take(100_000, 2**30)]
    assert len(found) >= whole
    numbers = [int(line.split("=")[1].split()[0]) for line in found]
    assert numbers == sorted(numbers)
    opened.spool.append(["new"])
    opened.spool.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["always", "outage"])
async def test_a_day_of_a_server_that_comes_and_goes(worlds: Any, mode: str) -> None:
    """A seeded plan of outages, refusals, full disks and kills: every counter adds up (i.1, 6)."""
    chance = random.Random(mode)
    world = await worlds(mode=mode, size=64 * MIB, memory_points=100_000)
    for _ in range(24 * 12):
        world.server.mode = chance.choice(["up", "up", "up", "down", "503", "401", "404"])
        if mode == "always" and chance.random() < 0.1:
            world.fill_disk(not world.disk_full)
        world.offer(chance.randint(0, 60))
        await world.clock.advance(chance.uniform(1, 300))
        if chance.random() < 0.03 and not world.disk_full:
            await world.clock.advance(6)  # what is not accepted may be lost
            await world.stop()
            await world.start()
    world.fill_disk(False)
    world.server.mode = "up"
    await world.clock.advance(1000)
    found = world.counters()
    state = world.pipeline._spool.state.counters
    assert state.accepted == state.delivered + state.dropped + state.set_aside
    assert (found["waiting"], found["in_memory"], found["state"]) == (0, 0, "ok")
    assert found["delivered"] == found["offered"]
    numbers = [int(line.split("=")[1].split()[0]) for line in world.server.points]
    assert list(dict.fromkeys(numbers)) == list(range(1, world.offered + 1))


@pytest.mark.parametrize(
    ("plan", "points"), [({"mode": "memory", "memory_points": 1000}, 501), ({"size": MIB}, 7_000)]
)
async def test_a_source_that_can_wait_is_told_to(
    worlds: Any, plan: dict[str, Any], points: int
) -> None:
    world = await worlds(**plan)
    world.series = "sunsynk,device=2106150123,kind=inverter,link=roof"
    world.server.mode = "down"
    assert not world.pipeline.full
    for _ in range(points // 500 + 1):
        world.offer(500)
        await world.clock.advance(1)
    await world.clock.advance(10)
    assert world.pipeline.full
    world.server.mode = "up"
    await world.clock.advance(100)
    assert not world.pipeline.full
    assert world.counters()["dropped"] == 0
