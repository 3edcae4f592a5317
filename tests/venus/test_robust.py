"""Noise on every side: nothing that arrives may end the driver, or cost another device anything.

The amounts here are bounded; ``script/bench venus-storm`` runs the long ones.
"""

from __future__ import annotations

import asyncio
import random
import signal
from typing import Any

import pytest

from gx.noise import MqttNoise, call_noise, restart_storm
from gx.relay import Splitter
from mqtt_devices.bus import Bus, Variant
from mqtt_devices.mqtt import packets
from mqtt_devices.mqtt.packets import Publish

from .conftest import Gx
from .observer import ITEM

pytestmark = pytest.mark.slow

GOOD = {
    "clientId": "good",
    "connected": 1,
    "version": "v1",
    "services": {"t": "temperature", "g": "grid", "s": "switch"},
}


async def test_noise_on_the_topics(gx: Gx) -> None:
    """A device is served all the while and keeps its values."""
    async with gx(config={"max_devices": 1000}, fresh=True) as seen:
        first = await seen.register(GOOD)
        service = "com.victronenergy.temperature.mqtt_good_t"
        assert await seen.set(service, "/Temperature", {"t": "d", "v": 21.5}) == 0
        noise = MqttNoise(random.Random(7))
        for number in range(2000):
            topic, payload = noise.message()
            if topic.startswith("device/good/") and topic.endswith("Status"):
                continue
            seen.publish(topic, payload)
            if number % 200 == 0:
                await seen.fence()
                seen.clear()
        await seen.fence()
        assert seen.rig.driver.runs
        assert await seen.value(service, "/Temperature") == {"t": "d", "v": 21.5}
        assert (await seen.register(GOOD)) == first


async def test_noise_on_the_bus(gx: Gx) -> None:
    """No call ends the process, and what a path holds is always what its kind allows."""
    async with gx() as seen:
        await seen.register(
            {**GOOD, "options": {"s": {"outputs": [{"id": "o", "type": "dimmable"}]}}}
        )
        services = [
            f"com.victronenergy.{kind}.mqtt_good_{key}" for key, kind in GOOD["services"].items()
        ]
        assert seen.bus is not None
        wrong = await call_noise(seen.bus, services, random.Random(11), 3000)
        assert wrong == []
        assert seen.rig.driver.runs
        for service in services:
            assert await seen.items(service)


async def test_topics_that_brokers_hate(gx: Gx) -> None:
    """A device that names such a topic, or writes to one, costs nobody the connection."""
    async with gx(config={"proxy_scope": "any"}) as seen:
        await seen.register(GOOD)
        for number, topic in enumerate(("a\nb", "x" * 60000, "a/" * 250 + "b", "\x01", "\ufffe")):
            wish = {"clientId": f"h{number}", "connected": 1, "services": {}, "lwt_topic": topic}
            seen.publish(f"device/h{number}/Status", wish)
            values = {"topicPath": "W/a/b/c", "values": {"A" + topic: 1, "Level": 2}}
            seen.publish(f"device/h{number}/Proxy", values)
        await seen.fence()
        text = seen.log()
        assert "the broker is lost" not in text
        assert text.count("connected to the broker") == 1


async def test_garbage_instead_of_a_broker(gx: Gx) -> None:
    """What is no MQTT at all ends the connection, not the driver."""
    async with gx(driver=False, fresh=True) as seen:
        seen.rig.broker.stop()
        chance = random.Random(3)
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.read(100)
            if connections % 2:
                writer.write(b"\x20\x02\x00\x00")
            writer.write(chance.randbytes(chance.choice((1, 10, 3000))))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", seen.rig.broker.port)
        seen.rig.driver.start()
        await seen.wait(lambda: connections >= 2)
        server.close()
        await server.wait_closed()
        assert seen.rig.driver.runs
        seen.rig.broker.start()
        await seen.join_broker()
        await seen.fence()


async def test_a_broker_that_ends_with_the_last_wills_is_asked_for_them_again(gx: Gx) -> None:
    """Over them it may have ended the connection, or have been stopped at that moment."""
    status = b'{"clientId":"a","connected":1,"services":{},"lwt_topic":"x/y"}'
    async with gx(driver=False, fresh=True) as seen:
        seen.rig.broker.stop()
        asked: list[bool] = []  # for each connection, whether it has asked for the last will

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = len(asked)
            asked.append(False)
            splitter = Splitter()
            while data := await reader.read(65536):
                for packet in splitter.receive_data(data):
                    kind = packet[0] >> 4
                    if kind == packets.CONNECT:
                        writer.write(bytes((packets.CONNACK << 4, 2, 0, 0)))
                    elif kind == packets.SUBSCRIBE and b"x/y" in packet:
                        asked[number] = True
                        writer.close()
                    elif kind == packets.SUBSCRIBE:
                        writer.write(bytes((packets.SUBACK << 4, 4)) + packet[2:4] + bytes(2))
                    elif kind == packets.PUBLISH and b"device_discovery" in packet:
                        # It has asked for all that it wants.
                        if number == 0:
                            writer.write(packets.publish(Publish("device/a/Status", status)))
                        else:
                            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", seen.rig.broker.port)
        seen.rig.driver.start()
        await seen.wait(lambda: len(asked) > 3 and any(asked[2:]), 60)
        assert asked[:4] == [True, True, False, True]
        server.close()
        await server.wait_closed()
        seen.rig.broker.start()
        await seen.join_broker()
        await seen.fence()


async def test_everything_is_killed_in_random_order(gx: Gx) -> None:
    """Every device is back, no instance has moved, no name is lost."""
    async with gx(gateway=True, driver=False, fresh=True) as seen:
        problems = await restart_storm(seen.rig, rounds=6, chance=random.Random(5))
        assert problems == []


async def test_64_services_at_once(gx: Gx) -> None:
    async with gx() as seen:
        services: dict[str, Any] = {f"s{number}": "temperature" for number in range(64)}
        reply = await seen.register({"clientId": "many", "connected": 1, "services": services})
        assert sorted(reply["deviceInstance"].values()) == list(range(1, 65))
        more = await seen.register({"clientId": "more", "connected": 1, "services": {"a": "tank"}})
        assert more["deviceInstance"] == {}
        assert "more than 64" in more["errors"]["a"]
        seen.publish("device/many/Status", {"clientId": "many", "connected": 0})
        await seen.wait(lambda: sum(it[0] == "-" for it in seen.names) == 64)


async def test_devices_that_came_and_went_leave_room(gx: Gx) -> None:
    async with gx(config={"max_devices": 3}) as seen:
        for number in range(12):
            client_id = f"d{number}"
            status = {"clientId": client_id, "connected": 1, "services": {"t": "tank"}}
            assert (await seen.register(status))["deviceInstance"] == {"t": number + 1}
            seen.publish(f"device/{client_id}/Status", {"clientId": client_id, "connected": 0})
            await seen.wait(lambda: seen.names and seen.names[-1].startswith("-"))


async def test_a_bus_that_is_too_busy_to_read(gx: Gx) -> None:
    """The daemon reads nothing for a while; nothing is lost, and no connection ends over it."""
    async with gx(fresh=True) as seen:
        writer = await Bus.connect(seen.rig.bus.address)
        assert seen.rig.bus.process is not None
        seen.rig.bus.process.send_signal(signal.SIGSTOP)
        try:
            for number in range(2000):
                value = {"Value": Variant("s", f"{number} {'x' * 1000}")}
                writer.signal("/Burst", ITEM, "PropertiesChanged", "a{sv}", [value])
                if number % 100 == 0:
                    await asyncio.sleep(0)
        finally:
            seen.rig.bus.process.send_signal(signal.SIGCONT)
        await seen.wait(lambda: len([it for it in seen.signals if it[1] == "/Burst"]) == 2000)
        found = [it[3]["Value"].value.split()[0] for it in seen.signals if it[1] == "/Burst"]
        assert found == [str(number) for number in range(2000)]
        assert await writer.names()
        assert not writer.lost.done()
        writer.close()
