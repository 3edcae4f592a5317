"""The bridge as a whole, with a family that does what the test says and real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hardwired.bridge import run as run_module, running_links, tasks
from hardwired.bridge.run import Bridge
from hardwired.bridge.sink import Moment, Request, Unusable, Verb, Wish
from hardwired.bridge.state import State
from hardwired.config.reader import read_config
from hardwired.config.secrets import Environment, resolve
from hardwired_engines.engine import Command, EngineError, Notice
from tests.standalone.bridge.fake_family import FakeFactory
from tests.standalone.bridge.servers import StandIn, stand_in

VAN = '[devices.van]\nfamily = "truma"\nlink = "sim://"\n'
SECONDS = 90.0


def influx(port: int, **more: Any) -> str:
    lines = {
        "type": "influxdb",
        "url": f"http://127.0.0.1:{port}",
        "org": "home",
        "bucket": "solar",
        "token": "tok-planted-123",
        "sample": 1,
        "flush": 0,
        **more,
    }
    return "[sinks.grafana]\n" + "".join(
        f"{key} = {json.dumps(value)}\n" for key, value in lines.items()
    )


def value_of(text: str) -> dict[str, Any]:
    config = resolve(read_config(text.encode()), Environment({}))
    assert config.ok, config.errors
    return dict(config.value)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> FakeFactory:
    made = FakeFactory()
    monkeypatch.setattr(running_links, "factory_of", lambda _family: made)
    return made


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@contextlib.asynccontextmanager
async def running(text: str, folder: Path) -> AsyncIterator[Bridge]:
    bridge = Bridge(value_of(text), State.open(folder))
    task = asyncio.create_task(bridge.run())
    await asyncio.sleep(0)
    try:
        yield bridge
    finally:
        bridge.end()
        async with asyncio.timeout(SECONDS):
            await task


async def test_values_become_points(factory: FakeFactory, server: StandIn, tmp_path: Path) -> None:
    async with running(VAN + influx(server.port), tmp_path):
        await until(lambda: len(server.lines) >= 1)
        factory.engine.show(room=21.5, target=21.0, mode="off", problem=False)
        await until(lambda: len(server.lines) >= 2)
    first, second = server.lines[:2]
    assert first.startswith(
        'truma,device=heater,kind=heater,link=van room=20.5,target=21,mode="eco",problem=false '
    )
    assert second.startswith('truma,device=heater,kind=heater,link=van room=21.5,mode="off" ')
    path, headers = server.requests[-1]
    assert path == "/api/v2/write?org=home&bucket=solar&precision=ns"
    assert headers["Authorization"] == "Token tok-planted-123"


async def test_readings_are_written_as_they_come(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: factory.engines and bridge.links["van"].snapshot.connected)
        for number in range(20):
            factory.engine.read(room=float(number))
        await until(lambda: len([one for one in server.lines if " room=" in one]) >= 20)
    values = [one.split(" ")[1] for one in server.lines]
    assert [f"room={number}" for number in range(20)] == [
        one for one in values if one.startswith("room=") and "," not in one
    ][:20]


async def test_wishes_of_a_sink_reach_the_engine(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        answers: list[Any] = []
        bridge.sinks["grafana"].answered = lambda wish, outcome: answers.append(outcome)  # type: ignore[method-assign]
        wish = Wish(link="van", command=Command("heater", {"target": 25.0}))
        bridge.wish("grafana", wish)
        await until(lambda: answers)
        assert answers[0].ok
        assert answers[0].state.values["target"] == 25.0
        bridge.request("grafana", Request(verb=Verb.HEALTH))
        await until(lambda: len(answers) == 2)
        assert answers[1].data["links"]["van"]["connected"] is True
        bridge.request("grafana", Request(verb=Verb.RESTART, link="van"))
        await until(lambda: len(factory.engines) == 2)


async def test_read_only_refuses(factory: FakeFactory, server: StandIn, tmp_path: Path) -> None:
    text = f"{VAN}read_only = true\n{influx(server.port)}"
    async with running(text, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        answers: list[Any] = []
        bridge.sinks["grafana"].answered = lambda wish, outcome: answers.append(outcome)  # type: ignore[method-assign]
        bridge.wish("grafana", Wish(link="van", command=Command("heater", {"target": 25.0})))
        assert answers[0].key == "read_only"
        # h.2: whatever changes something, by whichever way; and in the engine call as well.
        for verb in ("write", "upload", "sync_clock"):
            bridge.wish("grafana", Wish(link="van", command=Command("heater", name=verb)))
            assert answers[-1].key == "read_only"
            with pytest.raises(EngineError, match="read_only"):
                await bridge.links["van"].execute(Command("heater", name=verb))  # type: ignore[attr-defined]
        assert factory.engine.commands == []


async def test_a_failing_engine_is_started_anew(
    factory: FakeFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tasks, "RESTART_AFTER", (0.05,))
    factory.fails = [RuntimeError("planted"), RuntimeError("planted")]
    async with running(VAN, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
    assert len(factory.engines) == 3
    assert "planted" in caplog.text


async def test_reload_touches_only_what_has_changed(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    text = VAN + influx(server.port)
    async with running(text, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        sink, engine = bridge.sinks["grafana"], factory.engine
        await bridge.reload(value_of(text))
        assert bridge.sinks["grafana"] is sink
        assert factory.engine is engine
        await bridge.reload(value_of(text + "batch = 77\n"))
        assert bridge.sinks["grafana"] is not sink
        assert factory.engine is engine
        await bridge.reload(value_of('[devices.van]\nfamily = "truma"\nlink = "sim://b"\n'))
        assert not bridge.sinks
        await until(lambda: factory.engine is not engine)


async def test_health_and_metrics(factory: FakeFactory, server: StandIn, tmp_path: Path) -> None:
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: server.lines)
        await until(lambda: bridge.health()["sinks"]["grafana"]["delivered"])
        health = bridge.health()
        assert health["state"] == "ok"
        assert health["links"]["van"]["devices"] == 1
        text = bridge.metrics(values=True)
        assert 'hardwired_link_up{link="van",family="truma"} 1\n' in text
        room = (
            'hardwired_value{link="van",device="heater",kind="heater",key="room",unit="°C"} 20.5\n'
        )
        assert room in text
        assert 'hardwired_influx_points_total{sink="grafana",result="delivered"}' in text
        factory.engine.show(connected=False, room=None)
        await until(lambda: bridge.health()["state"] == "degraded")


async def test_a_wrong_token_is_told_without_showing_it(
    factory: FakeFactory, server: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.rule = lambda _lines: (401, 'cannot find the auth token "tok-planted-123"', {})
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: bridge.health()["state"] == "error")
        why = bridge.health()["sinks"]["grafana"]["why"]
        assert why == 'cannot find the auth token "***"'
    assert "tok-planted-123" not in caplog.text


async def test_the_state_survives(factory: FakeFactory, tmp_path: Path) -> None:
    async with running(VAN, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        instance = bridge.instance
    told = json.loads((tmp_path / "bridge.json").read_text())
    assert told["version"] == 1
    assert told["data"]["instance"] == instance
    assert told["data"]["devices"]["van"] == [
        {"id": "heater", "slug": "heater", "kind": "heater", "name": "Heater"}
    ]
    async with running(VAN, tmp_path) as bridge:
        assert bridge.instance == instance
        assert bridge.links["van"].known == {"heater": "heater"}


async def test_a_source_that_ends_ends_the_bridge(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    bridge = Bridge(value_of(VAN + influx(server.port)), State.open(tmp_path))
    task = asyncio.create_task(bridge.run())
    await until(lambda: "van" in bridge.links and bridge.links["van"].snapshot.connected)
    for number in range(1000):
        factory.engine.read(room=float(number))
    factory.engine.finish.set()
    async with asyncio.timeout(SECONDS):
        assert await task == 0
    assert sum(" room=" in one and "," not in one.split(" ")[1] for one in server.lines) == 1000


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), (b"PK\x03\x04", "not a capture file")]
)
async def test_a_file_that_cannot_be_read_ends_the_bridge_with_1(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None, told: str
) -> None:
    """Spec sunsynk g.2: 1 for file errors; what else there is goes on (a.2)."""
    path = tmp_path / "x.pcap"
    if content is not None:
        path.write_bytes(content)
    file = f'[devices.f]\nfamily = "sunsynk"\nsource = "file"\ntime_zone = "UTC"\npath = "{path}"\n'
    bridge = Bridge(value_of(file), State.open(tmp_path / "a"))
    async with asyncio.timeout(SECONDS):
        assert await bridge.run() == 1
    assert told in caplog.records[-1].getMessage()
    other = '[devices.o]\nfamily = "sunsynk"\nsource = "sim"\ntime_zone = "UTC"\n'
    bridge = Bridge(value_of(file + other), State.open(tmp_path / "b"))
    async with asyncio.timeout(SECONDS):
        assert await bridge.run(duration=2) == 0


async def test_a_spool_of_another_ends_with_unusable(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    text = VAN + influx(server.port, spool=str(tmp_path / "s.db"))
    async with running(text, tmp_path / "a"):
        await until(lambda: server.lines)  # by then the first one holds it
        second = Bridge(value_of(text), State.open(tmp_path / "b"))
        with pytest.raises(Unusable, match="held by another bridge"):
            async with asyncio.timeout(SECONDS):
                await second.run()


async def test_a_source_that_ends_undelivered_ends_with_4(
    factory: FakeFactory, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "NO_PROGRESS", 1.0)
    server.rule = lambda _lines: (503, "", {})
    bridge = Bridge(value_of(VAN + influx(server.port)), State.open(tmp_path))
    task = asyncio.create_task(bridge.run())
    await until(lambda: "van" in bridge.links and bridge.links["van"].snapshot.connected)
    factory.engine.read(room=1.0)
    factory.engine.finish.set()
    async with asyncio.timeout(SECONDS):
        assert await task == 4


async def test_points_from_before_the_clock_was_set(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    """A boat starts without network: the points wait and get their true time (spec e.2)."""
    bridge = Bridge(value_of(VAN + influx(server.port)), State.open(tmp_path))
    true_moment, set_at = bridge.moment, datetime.now(UTC)
    jumped = False

    def moment() -> Moment:
        told = true_moment()
        wall = told.wall if jumped else datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
        return Moment(told.monotonic, wall)

    bridge.moment = moment  # type: ignore[method-assign]
    task = asyncio.create_task(bridge.run())
    await until(lambda: "van" in bridge.links and bridge.links["van"].snapshot.connected)
    for number in range(10):
        factory.engine.show(room=float(number), target=21.0, mode="eco", problem=False)
        await asyncio.sleep(0.3)
    assert server.lines == []
    jumped = True
    await until(lambda: len(server.lines) >= 3)
    bridge.end()
    await task
    times = [int(line.rsplit(" ", 1)[1]) / 1e9 for line in server.lines]
    assert min(times) >= set_at.timestamp() - 1
    assert max(times) <= datetime.now(UTC).timestamp() + 1
    assert max(times) - min(times) > 1


async def test_nothing_is_left_over_by_reloads_and_restarts(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    """Tasks, threads and file descriptors after many of them are what they were (spec i.1, 6)."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    text = VAN + influx(server.port)
    async with running(text, tmp_path) as bridge:
        await until(lambda: server.lines)
        await bridge.reload(value_of(text + "batch = 2\n"))
        await until(lambda: bridge.sinks["grafana"].health.accepted is not None)
        await asyncio.sleep(0.5)
        before = (len(asyncio.all_tasks()), threading.active_count(), descriptors())
        for number in range(20):
            await bridge.reload(value_of(text + f"batch = {number + 3}\n"))
            link = bridge.link("van")
            assert link is not None
            engines = len(factory.engines)
            link.restart()
            await until(lambda engines=engines: len(factory.engines) > engines)
        await asyncio.sleep(0.5)
        await until(
            lambda: (
                (len(asyncio.all_tasks()), threading.active_count(), descriptors())
                <= (before[0], before[1] + 1, before[2] + 2)
            )
        )
        counters = bridge.health()["sinks"]["grafana"]
        gone = counters["delivered"] + counters["dropped"] + counters["set_aside"]
        assert counters["accepted"] - gone <= counters["waiting"]


async def test_a_short_secret_spoils_no_figures(factory: FakeFactory, tmp_path: Path) -> None:
    fan = '[devices.fan]\nfamily = "inventum"\nlink = "sim://"\nchallenge_code = "1"\n'
    async with running(fan, tmp_path) as bridge:
        await until(lambda: bridge.links["fan"].snapshot.connected)
        assert bridge.health()["links"]["fan"]["devices"] == 1
        assert bridge.mask("code 1, but 11") == "code ***, but 11"
        assert bridge.mask("3845, the code of all") == "3845, the code of all"


async def test_a_notice_shows_no_secret(factory: FakeFactory, tmp_path: Path) -> None:
    fan = '[devices.fan]\nfamily = "inventum"\nlink = "sim://"\nlogin_code = "hidden-47"\n'
    async with running(fan, tmp_path) as bridge:
        await until(lambda: bridge.links["fan"].snapshot.connected)
        notice = Notice("login_refused", {"detail": "it took hidden-47 for nothing"})
        factory.engine._publish_snapshot(replace(factory.engine.snapshot, notices=(notice,)))
        [standing] = bridge.links["fan"].notices
        assert standing.notice.placeholders == {"detail": "it took *** for nothing"}
        assert "hidden-47" not in standing.text


async def test_a_sink_that_was_taken_out_is_not_missed(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: server.lines)
        assert bridge._register._due.keys() == {"sink grafana"}
        await bridge.reload(value_of(VAN))
        assert not bridge._register._due


async def test_a_sink_that_fails_unforeseen_is_made_anew(
    factory: FakeFactory,
    server: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tasks, "RESTART_AFTER", (0.05,))
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: server.lines)
        first: Any = bridge.sinks["grafana"]

        def fail(*_: Any) -> None:
            raise RuntimeError("planted")

        first.snapshot = fail
        factory.engine.show(room=1.0, target=21.0, mode="eco", problem=False)
        await until(lambda: bridge.sinks.get("grafana") not in {None, first})
        count = len(server.lines)
        await until(lambda: len(server.lines) > count)
    assert caplog.text.count("RuntimeError: planted") == 1


async def test_a_link_that_was_taken_out_is_forgotten_one_that_is_off_is_not(
    factory: FakeFactory, tmp_path: Path
) -> None:
    def remembered() -> set[str]:
        told = json.loads((tmp_path / "bridge.json").read_text())
        return set(told["data"]["devices"])

    boat = '[devices.boat]\nfamily = "truma"\nlink = "sim://b"\n'
    async with running(VAN + boat, tmp_path) as bridge:
        await until(lambda: all(view.snapshot.connected for view in bridge.links.values()))
    assert remembered() == {"van", "boat"}
    async with running(f"{VAN}{boat}enabled = false\n", tmp_path):
        pass
    assert remembered() == {"van", "boat"}
    async with running(VAN, tmp_path):
        pass
    assert remembered() == {"van"}


ANYTHING = (None, 5, 1e400, "x/+", [], [None], [{}], {}, {"a": [1]}, {"van": 5}, {"van": [5, {}]})


@pytest.mark.parametrize("told", ANYTHING)
async def test_state_files_may_hold_anything(
    told: Any, factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    """What is JSON and no state of ours is passed over; nothing fails for it."""
    row = [{"id": "heater", "slug": told}, {"id": told, "slug": "a"}, {"id": "h", "slug": "a/+"}]
    for name, data in (
        ("bridge", {"devices": told, "instance": told}),
        ("readings-grafana", {"links": told}),
        ("sink-grafana", {"state": told, "why": told, "since": told}),
        ("link-van", {"a": told}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": 1, "data": data}))
    async with running(VAN + influx(server.port), tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        assert dict(bridge.links["van"].known) == {"heater": "heater"}
    told = {"version": 1, "data": {"devices": {"van": row}}}
    (tmp_path / "bridge.json").write_text(json.dumps(told))
    async with running(VAN, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        known = bridge.links["van"].known
        assert known["heater"] == "heater"
        assert not {"x/+", "a/+"} & {*known.values()}


async def test_a_device_that_is_removed_is_forgotten_by_every_sink(
    factory: FakeFactory, server: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "bridge.json").write_text(
        json.dumps({"version": 1, "data": {"devices": {"van": [{"id": "old", "slug": "old"}]}}})
    )
    second = influx(server.port).replace("grafana", "second")
    async with running(VAN + influx(server.port) + second, tmp_path) as bridge:
        await until(lambda: bridge.links["van"].snapshot.connected)
        asked: list[Any] = []
        forgotten: list[tuple[str, str]] = []
        sinks: dict[str, Any] = dict(bridge.sinks)
        sinks["grafana"].answered = lambda _request, outcome: asked.append(outcome)
        sinks["second"].forget = lambda link, device: forgotten.append((link, device))
        bridge.request("grafana", Request(verb=Verb.REMOVE, link="van", device="old"))
        await until(lambda: asked)
    assert asked[0].ok
    assert forgotten == [("van", "old")]
