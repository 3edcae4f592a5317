"""The whole bridge over a real Mosquitto, with a family that does what the test says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hardwired.bridge import running_links
from hardwired_engines.engine import Refused
from tests.standalone.bridge.fake_family import FakeFactory
from tests.standalone.bridge.test_bridge import VAN, running as running_bridge, until
from tests.standalone.mqtt.broker import Broker, needs_broker, running, watching

pytestmark = needs_broker


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> FakeFactory:
    made = FakeFactory()
    monkeypatch.setattr(running_links, "factory_of", lambda _family: made)
    return made


def config(port: int, **more: object) -> str:
    told = {"type": "mqtt", "host": "127.0.0.1", "port": port, "min_interval": 0, **more}
    return (
        VAN
        + "[sinks.mqtt]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
    )


async def test_from_the_engine_to_the_topic_and_back(factory: FakeFactory, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    async with (
        running(Broker(tmp_path / "broker")) as broker,
        watching(broker) as (watcher, client),
        running_bridge(config(broker.port), tmp_path / "state"),
    ):
        await watcher.until("hardwired/bridge/state", "online")
        await watcher.until("hardwired/van/heater/room", "20.5")
        engine = factory.engine
        # Two messages of one action are one command.
        await client.publish("hardwired/van/heater/mode/set", "off", qos=1)
        await client.publish("hardwired/van/heater/target/set", "23", qos=1)
        told = json.loads(await watcher.until("hardwired/van/heater/target/set/result"))
        assert told["status"] == "ok"
        assert told["value"] == "23"
        [command] = engine.commands
        assert dict(command.values) == {"mode": "off", "target": 23.0}
        await watcher.until("hardwired/van/heater/mode", "off")
        engine.refuse = Refused("the heater says no")
        await client.publish("hardwired/van/heater/mode/set", "eco", qos=1)
        failed = json.loads(await watcher.until("hardwired/bridge/command_failed"))
        assert failed["event_type"] == "refused_by_device"
        assert watcher.last["hardwired/van/heater/mode"] == "off"
        # Closing a link does not look like a lost device.
    assert watcher.last["hardwired/van/heater/availability"] == "online"
    assert watcher.last["hardwired/bridge/state"] == "offline"


async def test_read_only_takes_no_command(factory: FakeFactory, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    async with (
        running(Broker(tmp_path / "broker")) as broker,
        watching(broker) as (watcher, client),
        running_bridge(config(broker.port, read_only=True), tmp_path / "state"),
    ):
        await watcher.until("hardwired/bridge/state", "online")
        config_ = json.loads(watcher.last["homeassistant/device/hardwired_van_heater/config"])
        platforms = {told["platform"] for told in config_["components"].values()}
        assert platforms <= {"sensor", "binary_sensor"}
        await client.publish("hardwired/van/heater/target/set", "23", qos=1)
        payload = json.dumps({"link": "van", "device": "heater", "values": {"target": 23}})
        await client.publish("hardwired/bridge/request/write", payload, qos=1)
        told = json.loads(await watcher.until("hardwired/bridge/response/write"))
        assert told["error"]["key"] == "read_only"
        assert factory.engine.commands == []


async def test_requests_reach_the_bridge(factory: FakeFactory, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    async with (
        running(Broker(tmp_path / "broker")) as broker,
        watching(broker) as (watcher, client),
        running_bridge(config(broker.port), tmp_path / "state"),
    ):
        await watcher.until("hardwired/bridge/state", "online")
        await client.publish("hardwired/bridge/request/health", "{}", qos=1)
        told = json.loads(await watcher.until("hardwired/bridge/response/health"))
        assert told["data"]["links"]["van"]["connected"] is True
        payload = json.dumps({"link": "van", "device": "heater", "values": {"target": 23}})
        await client.publish("hardwired/bridge/request/write", payload, qos=1)
        assert json.loads(await watcher.until("hardwired/bridge/response/write")) == {
            "status": "ok"
        }
        await client.publish("hardwired/bridge/request/log_level", "debug", qos=1)
        await watcher.until("hardwired/bridge/response/log_level")
        first = len(factory.engines)
        await client.publish("hardwired/bridge/request/restart", "van", qos=1)
        await until(lambda: len(factory.engines) > first)
        await watcher.until("hardwired/bridge/response/restart")


async def test_a_link_that_config_has_no_more_is_taken_away(
    factory: FakeFactory, tmp_path: Path
) -> None:
    (tmp_path / "broker").mkdir()
    topic = "homeassistant/device/hardwired_van_heater/config"
    async with running(Broker(tmp_path / "broker")) as broker:
        async with watching(broker) as (watcher, _):
            async with running_bridge(config(broker.port), tmp_path / "state"):
                await watcher.until("hardwired/bridge/state", "online")
                await watcher.until(topic)
            await watcher.until("hardwired/bridge/state", "offline")
        await asyncio.sleep(0)
        renamed = config(broker.port).replace("devices.van", "devices.boat")
        async with (
            watching(broker) as (watcher, _),
            running_bridge(renamed, tmp_path / "state"),
        ):
            await watcher.until("hardwired/boat/heater/availability", "online")
            await until(lambda: "hardwired/van/heater/room" not in watcher.last)
            assert topic not in watcher.last
