"""The whole bridge over a real broker: values out, wishes in, answers back (spec c)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hardwired.bridge import run as run_module, running_links
from hardwired.bridge.run import Bridge
from hardwired.bridge.state import State
from hardwired_engines.engine import Refused
from tests.ports import free_port
from tests.standalone.bridge.fake_family import FakeFactory
from tests.standalone.bridge.servers import Program, needs
from tests.standalone.bridge.test_bridge import VAN, running, until, value_of


@contextlib.contextmanager
def brokering(port: int, folder: Path) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    made = Program([needs("mosquitto"), "-c", str(config)], port, folder / "mosquitto.log")
    made.start()
    yield
    made.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with brokering(port, tmp_path):
        yield port


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> FakeFactory:
    made = FakeFactory()
    monkeypatch.setattr(running_links, "factory_of", lambda _family: made)
    return made


def home(port: int, more: str = "") -> str:
    return f'[sinks.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n{more}'


class Listener:
    """An independent client: what is on the broker."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: dict[str, str] = {}
        self.history: list[tuple[str, str]] = []

    async def listen(self) -> None:
        async for message in self.client.messages:
            text = bytes(message.payload).decode()  # type: ignore[arg-type]
            self.seen[message.topic.value] = text
            self.history.append((message.topic.value, text))

    async def send(self, topic: str, payload: str, **more: Any) -> None:
        await self.client.publish(topic, payload, qos=1, **more)


@contextlib.asynccontextmanager
async def listening(port: int) -> AsyncIterator[Listener]:
    async with aiomqtt.Client("127.0.0.1", port, identifier="independent") as client:
        await client.subscribe("#", 1)
        made = Listener(client)
        task = asyncio.create_task(made.listen())
        try:
            yield made
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def world(port: int, folder: Path, more: str = "") -> AsyncIterator[tuple[Bridge, Listener]]:
    async with listening(port) as listener:
        async with running(VAN + home(port, more), folder) as bridge:
            await until(lambda: listener.seen.get("hardwired/bridge/state") == "online")
            yield bridge, listener
        await until(lambda: listener.seen["hardwired/bridge/state"] == "offline")


async def test_values_wishes_and_answers(broker: int, factory: FakeFactory, tmp_path: Path) -> None:
    async with world(broker, tmp_path) as (_, listener):
        await until(lambda: listener.seen.get("hardwired/van/heater/room") == "20.5")
        assert listener.seen["hardwired/van/connected"] == "ON"
        assert listener.seen["hardwired/van/heater/availability"] == "online"
        discovery = json.loads(listener.seen["homeassistant/device/hardwired_van_heater/config"])
        assert discovery["components"]["target"]["platform"] == "number"
        await listener.send("hardwired/van/heater/target/set", "25.5")
        await listener.send("hardwired/van/heater/mode/set", "off")
        await until(lambda: listener.seen.get("hardwired/van/heater/target") == "25.5")
        await until(lambda: listener.seen.get("hardwired/van/heater/mode") == "off")
        (command,) = factory.engine.commands  # one window, one command
        assert dict(command.values) == {"target": 25.5, "mode": "off"}
        result = json.loads(listener.seen["hardwired/van/heater/target/set/result"])
        assert (result["status"], result["value"]) == ("ok", "25.5")


async def test_a_source_that_ends_is_told_before_the_bridge_ends(
    factory: FakeFactory, tmp_path: Path
) -> None:
    port = free_port()
    bridge = Bridge(value_of(VAN + home(port)), State.open(tmp_path))
    task = asyncio.create_task(bridge.run())
    await until(lambda: "van" in bridge.links and bridge.links["van"].snapshot.connected)
    factory.engine.show(room=19.5, target=21.0, mode="eco", problem=False)
    factory.engine.finish.set()
    await until(lambda: bridge.links["van"].ended)
    with brokering(port, tmp_path):
        await until(task.done)
        assert task.result() == 0
        async with listening(port) as listener:
            await until(lambda: listener.seen.get("hardwired/van/heater/room") == "19.5")


async def test_a_broker_that_never_comes_is_no_delivery(
    factory: FakeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "NO_PROGRESS", 1.0)
    bridge = Bridge(value_of(VAN + home(free_port())), State.open(tmp_path))
    task = asyncio.create_task(bridge.run())
    await until(lambda: "van" in bridge.links and bridge.links["van"].snapshot.connected)
    factory.engine.finish.set()
    await until(task.done)
    assert task.result() == 4


async def test_a_wrong_wish_and_a_refusal(
    broker: int, factory: FakeFactory, tmp_path: Path
) -> None:
    topic = "hardwired/van/heater/target/set"
    async with world(broker, tmp_path) as (_, listener):
        await listener.send(topic, "99")
        await until(lambda: f"{topic}/result" in listener.seen)
        result = json.loads(listener.seen[f"{topic}/result"])
        assert (result["status"], result["key"]) == ("error", "invalid_command")
        assert factory.engine.commands == []
        factory.engine.refuse = Refused("it is locked")
        await listener.send(topic, "22")
        await until(lambda: "refused_by_device" in listener.seen[f"{topic}/result"])
        await until(lambda: "hardwired/bridge/command_failed" in listener.seen)


async def test_requests(broker: int, factory: FakeFactory, tmp_path: Path) -> None:
    async with world(broker, tmp_path, "allow_stop = true\n") as (_, listener):

        async def ask(verb: str, payload: Any) -> dict[str, Any]:
            topic = f"hardwired/bridge/response/{verb}"
            listener.seen.pop(topic, None)
            await listener.send(f"hardwired/bridge/request/{verb}", json.dumps(payload))
            await until(lambda: topic in listener.seen)
            found: dict[str, Any] = json.loads(listener.seen[topic])
            return found

        answer = await ask("health", {"transaction": 7})
        assert (answer["status"], answer["transaction"]) == ("ok", 7)
        assert answer["data"]["links"]["van"]["connected"] is True
        answer = await ask("read", {"link": "van", "device": "heater", "keys": ["room"]})
        assert answer["data"] == {"values": {"room": 20.5}}
        answer = await ask("write", {"link": "van", "device": "heater", "values": {"target": 23}})
        assert answer["status"] == "ok", answer
        assert factory.engine.snapshot.value("heater", "target") == 23
        await ask("refresh", {"link": "van"})
        assert factory.engine.woken == 1
        await ask("restart", {"link": "van"})
        await until(lambda: len(factory.engines) == 2)
        answer = await ask("log_level", {"level": "debug", "minutes": 1})
        assert answer["status"] == "ok"
        answer = await ask("notices", {})
        assert answer["status"] == "ok"
        answer = await ask("stop", {})
        assert answer["status"] == "ok"
        await until(lambda: listener.seen["hardwired/bridge/state"] == "offline")


async def test_read_only_takes_nothing(broker: int, factory: FakeFactory, tmp_path: Path) -> None:
    async with world(broker, tmp_path, "read_only = true\n") as (_, listener):
        await until(lambda: "hardwired/van/heater/target" in listener.seen)
        await listener.send("hardwired/van/heater/target/set", "25")
        await listener.send("hardwired/bridge/request/health", "{}")
        await until(lambda: "hardwired/bridge/response/health" in listener.seen)
        assert factory.engine.commands == []
        message = json.loads(listener.seen["homeassistant/device/hardwired_van_heater/config"])
        assert message["components"]["target"]["platform"] == "sensor"


async def test_many_changes_end_as_the_engine_has_it(
    broker: int, factory: FakeFactory, tmp_path: Path
) -> None:
    async with world(broker, tmp_path, "min_interval = 0\n") as (_, listener):
        await until(lambda: "hardwired/van/heater/room" in listener.seen)
        for number in range(500):
            factory.engine.show(room=number / 10, target=21.0, mode="eco", problem=False)
            if number % 50 == 0:
                await asyncio.sleep(0.01)
        await until(lambda: listener.seen["hardwired/van/heater/room"] == "49.9")
        rooms = [
            float(text)
            for topic, text in listener.history
            if topic == "hardwired/van/heater/room" and text != "20.5"
        ]
        assert rooms == sorted(rooms)  # no state older than its newer one
