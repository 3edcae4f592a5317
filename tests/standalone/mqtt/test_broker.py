"""The MQTT sink against a real Mosquitto (spec c.2-c.6, i.1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hardwired.bridge.sink import SinkState, Verb
from hardwired.gx.sink import make as make_gx
from hardwired.mqtt.sink import MqttSink, check, make
from hardwired_engines.engine import Device, DeviceState, Message, Snapshot
from hardwired_engines.sunsynk.catalogue import CATALOGUES as SUNSYNK
from tests.standalone.mqtt.broker import Broker, needs_broker, running, watching
from tests.standalone.mqtt.fakes import OK, FakeHub, FakeLink, connected, lost, thing
from tests.vector_files import load

pytestmark = [needs_broker, pytest.mark.slow]
ALL = {f"value_{number}": number for number in range(50)}


@contextlib.asynccontextmanager
async def bridge(
    broker: Broker, link: FakeLink, **settings: Any
) -> AsyncIterator[tuple[MqttSink, FakeHub]]:
    """A sink that talks to the broker for the length of a block."""
    hub = FakeHub(link)
    told = {"host": "127.0.0.1", "port": broker.port, "min_interval": 0, **settings}
    sink = make("mqtt", told, hub)
    hub.sinks = {"mqtt": sink}
    task = asyncio.create_task(sink.run())
    await until(lambda: sink.channels)
    try:
        yield sink, hub
    finally:
        await sink.stop(hub.moment().monotonic + 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def show(sink: MqttSink, link: FakeLink, snapshot: Snapshot) -> None:
    before, link.snapshot = link.snapshot, snapshot
    sink.snapshot(link.name, before, snapshot)


async def until(condition: Any, seconds: float = 90) -> None:
    """Wait until a condition holds, without a word from whom it depends on."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_order_after_connecting(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(**ALL, lamp=False)))
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, _):
        async with bridge(broker, link):
            await watcher.until("hardwired/bridge/state", "online")
            topics = [topic for topic, _, _ in watcher.order]

            def last(*ends: str) -> int:
                return max(place for place, topic in enumerate(topics) if topic.endswith(ends))

            def first(*ends: str) -> int:
                return min(place for place, topic in enumerate(topics) if topic.endswith(ends))

            values = tuple(f"/value_{number}" for number in range(50))
            assert first("bridge/info") < last("/about") < first("/config")
            assert last("/config") < first(*values)
            assert last(*values) < first("/availability")
            assert last("/availability") < first("bridge/state")
        await watcher.until("hardwired/bridge/state", "offline")
        assert watcher.last["hardwired/van/thing/availability"] == "online"


async def test_states_follow_and_a_lost_device_goes_offline(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, _):
        async with bridge(broker, link) as (sink, _):
            await watcher.until("hardwired/van/thing/value_1", "1")
            for number in range(2, 40):
                show(sink, link, connected(thing(value_1=number)))
            await watcher.until("hardwired/van/thing/value_1", "39")
            seen = [int(text) for text in watcher.texts("hardwired/van/thing/value_1")]
            assert seen == sorted(seen)
            show(sink, link, lost(link.snapshot))
            await watcher.until("hardwired/van/thing/availability", "offline")
            assert await watcher.until("hardwired/van/connected", "OFF")
            assert await watcher.until("hardwired/van/reason", "disconnected")


async def test_a_command_is_a_wish_and_its_answer_a_result(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(lamp=False)))
    topic = "hardwired/van/thing/lamp/set"
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, client):
        async with bridge(broker, link) as (sink, hub):
            await watcher.until("hardwired/bridge/state", "online")
            await client.publish(topic, "ON", qos=1)
            await until(lambda: hub.wishes)
            [wish] = hub.wishes
            assert dict(wish.command.values) == {"lamp": True}
            show(sink, link, connected(thing(lamp=True)))
            sink.answered(wish, OK)
            told = json.loads(await watcher.until(f"{topic}/result"))
            assert told == {"status": "ok", "value": "ON", "took": 0}
            await client.publish(topic, "perhaps", qos=1)
            await until(lambda: '"error"' in watcher.last[f"{topic}/result"])
            told = json.loads(watcher.last[f"{topic}/result"])
            assert told["key"] == "invalid_command"
            failed = json.loads(await watcher.until("hardwired/bridge/command_failed"))
            assert failed["event_type"] == "invalid_command"
            assert len(hub.wishes) == 1


async def test_a_retained_command_switches_nothing(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(lamp=False)))
    topic = "hardwired/van/thing/lamp/set"
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, client):
        await client.publish(topic, "ON", qos=1, retain=True)
        async with bridge(broker, link) as (_, hub):
            told = json.loads(await watcher.until(f"{topic}/result"))
            assert told["key"] == "retained"
            assert hub.wishes == []


async def test_a_restarted_broker_knows_everything_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    link = FakeLink("van", snapshot=connected(thing(**ALL)))
    async with running(Broker(tmp_path)) as broker, bridge(broker, link) as (sink, _):
        [channel] = sink.channels
        await until(lambda: channel.connection.up)
        for round_ in range(20):
            await broker.stop(signal.SIGKILL if round_ % 2 else signal.SIGTERM)
            await until(lambda: not channel.connection.up)
            now = {key: value + round_ for key, value in ALL.items()}
            show(sink, link, connected(thing(**now)))
            caplog.clear()
            await broker.start()
            sink.wake()
            await until(lambda: channel.connection.up)
            async with watching(broker) as (watcher, _client):
                await watcher.until_all(
                    {f"hardwired/van/thing/{key}": str(value) for key, value in now.items()}
                    | {"hardwired/bridge/state": "online"}
                )
            told = [record.levelname for record in caplog.records if "mqtt" in record.name]
            assert told.count("INFO") == 1


async def test_killed_in_mid_burst_nothing_old_stays(tmp_path: Path) -> None:
    """After a kill in the middle of 5000 states all topics show the newest, none an older one."""
    link = FakeLink("van", snapshot=connected(thing(**ALL)))
    async with running(Broker(tmp_path)) as broker, bridge(broker, link, qos=1) as (sink, _):
        [channel] = sink.channels
        await until(lambda: channel.connection.up and not len(channel.outbox))
        for round_ in range(1, 100):
            show(sink, link, connected(thing(**dict.fromkeys(ALL, round_))))
            await asyncio.sleep(0)
            if round_ == 40:
                await broker.stop(signal.SIGKILL)
        await broker.start()
        sink.wake()
        async with watching(broker) as (watcher, _client):
            await watcher.until_all(
                {f"hardwired/van/thing/{key}": "99" for key in ALL}
                | {"hardwired/bridge/state": "online"}
            )
            for key in ALL:
                seen = [int(text) for text in watcher.texts(f"hardwired/van/thing/{key}")]
                assert seen == sorted(seen)


async def test_a_frozen_broker_is_noticed(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path)) as broker:
        async with bridge(broker, link, keepalive=5) as (sink, _):
            [channel] = sink.channels
            await until(lambda: channel.connection.up)
            broker.freeze()
            try:
                await until(lambda: not channel.connection.up, 60)
                show(sink, link, connected(thing(value_1=2)))
            finally:
                broker.thaw()
            sink.wake()
            async with watching(broker) as (watcher, _client):
                await watcher.until("hardwired/van/thing/value_1", "2")
                await watcher.until("hardwired/bridge/state", "online")


async def test_a_slow_consumer_loses_no_last_state_and_slows_nobody(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(**ALL)))
    async with running(Broker(tmp_path)) as broker, bridge(broker, link, qos=1) as (sink, _):
        [channel] = sink.channels
        await until(lambda: channel.connection.up and not channel.opening)
        await until(lambda: not len(channel.outbox))
        broker.freeze()
        loop = asyncio.get_running_loop()
        slowest = 0.0
        for round_ in range(1, 200):
            began = loop.time()
            show(sink, link, connected(thing(**dict.fromkeys(ALL, round_))))
            slowest = max(slowest, loop.time() - began)
            await asyncio.sleep(0)
        assert len(channel.outbox) <= 60
        assert channel.outbox.coalesced > 5000
        broker.thaw()
        async with watching(broker) as (watcher, _client):
            await watcher.until_all({f"hardwired/van/thing/{key}": "199" for key in ALL})
        assert slowest < 5


async def test_a_wrong_password_is_told_and_is_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("")
    await _passwords(tmp_path / "password", boat="right")
    lines = ("allow_anonymous false", f"password_file {tmp_path / 'password'}")
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path, lines=lines)) as broker:
        async with bridge(broker, link, username="boat", password="wrong") as (sink, _):
            await until(lambda: sink.health.state is SinkState.CONFIG_ERROR)
            assert "user name or password" in str(sink.health.why)
            assert [record.levelname for record in caplog.records].count("WARNING") == 1
        async with bridge(broker, link, username="boat", password="right") as (sink, _):
            await until(lambda: sink.health.state is SinkState.OK)


async def _passwords(path: Path, **users: str) -> None:
    for user, password in users.items():
        process = await asyncio.create_subprocess_exec(
            "mosquitto_passwd", "-b", str(path), user, password
        )
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": 1}, "nobody listens"),
        ({"host": "no-such-host.invalid"}, "name is not known"),
        ({"tls": True}, "TLS"),
    ],
)
async def test_reasons_are_told_apart(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path)) as broker:
        async with bridge(broker, link, **settings) as (sink, _):
            await until(lambda: sink.health.why not in (None, "starting"), 60)
            assert words in str(sink.health.why)


async def test_a_second_bridge_under_the_same_prefix_stays_off(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path)) as broker, bridge(broker, link) as (first, _):
        await until(lambda: first.health.state is SinkState.OK)
        hub = FakeHub(FakeLink("boat", snapshot=connected(thing(value_1=2))))
        hub.instance = "99992222-3333-4444-5555-666677778888"
        second = make("mqtt", {"host": "127.0.0.1", "port": broker.port}, hub)
        hub.sinks = {"mqtt": second}
        task = asyncio.create_task(second.run())
        await until(lambda: second.health.state is SinkState.CONFIG_ERROR)
        assert "another bridge (hardwired)" in str(second.health.why)
        assert first.health.state is SinkState.OK
        await second.stop(hub.moment().monotonic + 2)
        await task


async def test_two_programs_with_one_client_id_are_told(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    async with running(Broker(tmp_path)) as broker:
        async with bridge(broker, link, client_id="same") as (sink, _):
            ended = asyncio.Event()

            async def rival() -> None:
                while not ended.is_set():
                    with contextlib.suppress(aiomqtt.MqttError):
                        async with aiomqtt.Client(
                            "127.0.0.1", broker.port, identifier="same"
                        ) as client:
                            async for _ in client.messages:
                                pass
                    await asyncio.sleep(0.2)
                    sink.wake()

            task = asyncio.create_task(rival())
            try:
                await until(lambda: "same id" in str(sink.health.why), 60)
            finally:
                ended.set()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def test_a_birth_says_everything_again_once(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1)))
    config = "homeassistant/device/hardwired_thing/config"
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, client):
        async with bridge(broker, link):
            await watcher.until("hardwired/bridge/state", "online")
            before = len(watcher.texts(config))
            for _ in range(5):
                await client.publish("homeassistant/status", "online", qos=1)
            await until(lambda: len(watcher.texts(config)) > before)
            await until(lambda: len(watcher.texts("hardwired/van/thing/availability")) > 1)
            assert len(watcher.texts(config)) == before + 1


async def test_an_event_is_told_once_and_never_retained(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(note=None)))
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, _):
        async with bridge(broker, link) as (sink, _):
            await watcher.until("hardwired/bridge/state", "online")
            device = link.snapshot.devices["thing"].device
            sink.occurrence("van", Message(device, "note", "frost", data={"degrees": -3}))
            told = json.loads(await watcher.until("hardwired/van/thing/note"))
            assert told["event_type"] == "frost"
            assert told["degrees"] == -3
        async with watching(broker) as (late, _):
            await late.until("hardwired/bridge/state")
            assert "hardwired/van/thing/note" not in late.last


async def test_what_waits_at_the_end_comes_before_the_last_words(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(note=None)))
    many = 300
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, _):
        async with bridge(broker, link) as (sink, _):
            await watcher.until("hardwired/bridge/state", "online")
            device = link.snapshot.devices["thing"].device
            for number in range(many):
                sink.occurrence("van", Message(device, "note", "frost", data={"degrees": number}))
        await watcher.until("hardwired/bridge/state", "offline")
        topics = [topic for topic, _, _ in watcher.order]
        assert topics.count("hardwired/van/thing/note") == many
        assert topics[-1] == "hardwired/bridge/state"


async def test_requests_are_answered(tmp_path: Path) -> None:
    link = FakeLink("van", snapshot=connected(thing(value_1=1, lamp=True)))
    async with running(Broker(tmp_path)) as broker, watching(broker) as (watcher, client):
        async with bridge(broker, link) as (sink, hub):
            await watcher.until("hardwired/bridge/state", "online")
            payload = json.dumps({"link": "van", "device": "thing", "transaction": "t"})
            await client.publish("hardwired/bridge/request/read", payload, qos=1)
            told = json.loads(await watcher.until("hardwired/bridge/response/read"))
            assert told == {
                "status": "ok",
                "transaction": "t",
                "data": {"values": {"value_1": 1, "lamp": True}},
            }
            await client.publish("hardwired/bridge/request/restart", "van", qos=1)
            await until(lambda: hub.requests)
            assert hub.requests[0].verb is Verb.RESTART
            sink.answered(hub.requests[0], OK)
            told = json.loads(await watcher.until("hardwired/bridge/response/restart"))
            assert told == {"status": "ok"}


def test_each_sink_of_one_broker_has_a_client_id_of_its_own() -> None:
    hub = FakeHub(FakeLink("van"))
    places = {
        "a": {"host": "h"},
        "b": {"host": "h", "port": 1883},
        "other": {"host": "h", "port": 1884},
        "gx": {"host": "h", "type": "venus"},
        "told": {"host": "h", "client_id": "me"},
    }
    makers = {"mqtt": make, "venus": make_gx}
    hub.sinks = {
        name: makers[place.get("type", "mqtt")](name, place, hub) for name, place in places.items()
    }
    base = f"hardwired-{hub.instance.replace('-', '')[:8]}"
    assert {name: sink.client_id for name, sink in hub.sinks.items()} == {
        "a": base,
        "b": f"{base}-b",
        "other": base,
        "gx": f"{base}-gx",
        "told": "me",
    }


async def test_two_sinks_at_one_broker_have_ids_of_their_own(tmp_path: Path) -> None:
    """Without a client_id in CONFIG both have the usual one, and a broker takes each but once."""
    legacy = [{"dialect": "inetbox.py"}, {"dialect": "inetbox.py", "data_topic": "zwei/"}]
    link = FakeLink("van", family="truma", settings={"legacy": legacy})
    async with running(Broker(tmp_path)) as broker:
        hub = FakeHub(link)
        told = {"host": "127.0.0.1", "port": broker.port}
        first = make("first", told, hub)
        second = make("second", {**told, "host": "localhost", "prefix": "other"}, hub)
        hub.sinks = {"first": first, "second": second}
        tasks = [asyncio.create_task(one.run()) for one in (first, second)]
        await until(lambda: all(one.health.state is SinkState.OK for one in (first, second)))
        ids = [one.connection._client_id for sink in (first, second) for one in sink.channels]
        assert len(ids) == len(set(ids)) == 6
        usual = first.client_id
        assert ids[0] == usual
        assert second.client_id == f"{usual}-second"
        for sink in (first, second):
            await sink.stop(hub.moment().monotonic + 5)
        await asyncio.wait(tasks)


async def test_a_gx_driver_that_comes_late_or_again_keeps_the_devices(tmp_path: Path) -> None:
    """Without a status it is taken for the reference, with a connection for each device."""
    full = load("bridge", "venus.json")["drivers"]["full"]
    state = DeviceState(
        Device("2211", "inverter", "Inverter"),
        {"inverter_temperature_dc": 41.2},
        fields=SUNSYNK["inverter"],
    )
    link = FakeLink("roof", family="sunsynk", snapshot=connected(state))
    said: list[dict[str, Any]] = []
    async with running(Broker(tmp_path)) as broker:
        hub = FakeHub(link)
        sink = make_gx("gx", {"host": "127.0.0.1", "port": broker.port}, hub)
        hub.sinks = {"gx": sink}
        async with aiomqtt.Client("127.0.0.1", broker.port) as driver:
            await driver.subscribe("device/+/Status", 1)

            async def listen() -> None:
                async for message in driver.messages:
                    assert isinstance(message.payload, bytes)
                    said.append(json.loads(message.payload))

            tasks = [asyncio.create_task(listen()), asyncio.create_task(sink.run())]
            await until(lambda: len(said) == 1)
            for start in (1, 2):
                count = len(said)
                status = json.dumps({**full, "started": start})
                await driver.publish("dbus-mqtt-devices/status", status, 1, True)
                # Registered with all it knows; and once more when the other connection has ended.
                await until(lambda count=count: len(said) == count + 2)
                assert [one["connected"] for one in said[-2:]] == [1, 1]
                assert all("options" in one for one in said[-2:])
                if start == 1:
                    offline = json.dumps({"state": "offline"})
                    await driver.publish("dbus-mqtt-devices/status", offline, 1, True)
                    await until(lambda: len(said) == 4)
                    assert "options" not in said[-1]
            await sink.stop(hub.moment().monotonic + 5)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_check_logs_in(tmp_path: Path) -> None:
    """A port that is open is not enough: a wrong password, or TLS where there is none, is told."""
    async with running(Broker(tmp_path)) as broker:
        told = {"host": "127.0.0.1", "port": broker.port}
        assert await check(told) is None
        assert "TLS" in str(await check({**told, "tls": True}))
    assert "nobody listens" in str(await check(told))
    async with running(Broker(tmp_path, lines=("allow_anonymous false",))) as broker:
        wrong = await check({**told, "port": broker.port, "username": "u", "password": "p"})
        assert "user name or password" in str(wrong)
