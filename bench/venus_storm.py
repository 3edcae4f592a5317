"""The Venus OS driver under noise: a million messages, 100 000 D-Bus calls, 50 rounds of killing.

Then a flood of 200 000 values and 2000 devices that come once and go: how many signals the GX has
to bear for each service and second, and how much memory is left of it; and every fault that
``hardwired simulate gx`` can play.

``BENCH_SHARE`` (0.001 to 1) takes a part of these amounts. Every figure that should be 0 is: ends
of the process, values that no path may hold, devices that are not as before.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import Unavailable

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "standalone/venus"), str(ROOT)]

from gx import faults  # noqa: E402
from gx.noise import MqttNoise, call_noise, restart_storm  # noqa: E402
from gx.processes import Missing  # noqa: E402
from gx.relay import Relay  # noqa: E402
from gx.rig import PORTAL_ID, Rig  # noqa: E402
from mqtt_devices.bus import Bus, BusError, Message, MessageType, Variant  # noqa: E402
from mqtt_devices.mqtt.client import Broker, Client  # noqa: E402
from mqtt_devices.mqtt.packets import Publish  # noqa: E402
from tests.venus.pythons import oldest_and_newer, pythons  # noqa: E402

SHARE = float(os.environ.get("BENCH_SHARE", "1"))
MESSAGES = int(1_000_000 * SHARE)
CALLS = int(100_000 * SHARE)
ROUNDS = max(1, int(50 * SHARE))
VALUES = int(200_000 * SHARE)
GUESTS = int(2000 * SHARE)
CLIENTS = 8
AT_ONCE = 200
SERVICES = {"t": "temperature", "g": "grid", "s": "switch"}
GOOD: dict[str, Any] = {"clientId": "good", "connected": 1, "services": SERVICES}


def run() -> Iterator[dict[str, object]]:
    """Run all of them under the oldest Python to be had, from the bundle."""
    version = oldest_and_newer()[0]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "mqtt-devices"
        subprocess.run([ROOT / "script/venus_bundle", bundle], check=True, capture_output=True)
        for work in (_messages, _calls, _rounds, _flood, _faults):
            here = Path(folder) / work.__name__
            here.mkdir()
            config: dict[str, Any] = {"max_devices": 1000, "max_services": 200}
            if work is _flood:
                config["proxy_mode"] = "direct"
            rig = Rig(here, pythons()[version], bundle, config)
            start = time.monotonic()
            try:
                figures = asyncio.run(work(rig))
            except Missing as missing:
                raise Unavailable(str(missing)) from missing
            finally:
                rig.stop()
            yield {"python": version, **figures, "seconds": round(time.monotonic() - start)}


class Guest:
    """A well-behaved device among the noise, and others that come only to be answered."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self._replies: dict[str, asyncio.Future[Any]] = {}
        self._fences = 0

    async def connect(self, rig: Rig) -> None:
        self.client = await Client.connect(Broker(port=rig.broker.port), "guest", self._received)
        await self.client.subscribe([("device/+/DBus", 1)])

    def _received(self, message: Publish) -> None:
        wait = self._replies.pop(message.topic.split("/")[1], None)
        if wait is not None and not wait.done():
            wait.set_result(json.loads(message.payload or b"{}"))

    async def register(self, status: dict[str, Any]) -> Any:
        """Register and return the reply; the driver has then read all that was sent before."""
        assert self.client is not None
        client_id = str(status["clientId"])
        for _ in range(60):
            wait = self._replies[client_id] = asyncio.get_running_loop().create_future()
            self.client.publish(f"device/{client_id}/Status", json.dumps(status))
            done, _pending = await asyncio.wait([wait], timeout=10)
            if done:
                return wait.result()
        raise TimeoutError

    async def fence(self) -> None:
        """Wait until the driver has read all that was sent before."""
        assert self.client is not None
        self._fences += 1
        client_id = f"fence{self._fences}"
        await self.register({"clientId": client_id, "connected": 1, "services": {}})
        gone = json.dumps({"clientId": client_id, "connected": 0})
        self.client.publish(f"device/{client_id}/Status", gone)


def _alive(rig: Rig, pid: int) -> bool:
    return rig.driver.runs and rig.driver.process is not None and rig.driver.process.pid == pid


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


async def _messages(rig: Rig) -> dict[str, object]:
    rig.start(without=[rig.gateway])
    guest = Guest()
    await guest.connect(rig)
    assert guest.client is not None
    first = await guest.register(GOOD)
    assert rig.driver.process is not None
    pid = rig.driver.process.pid
    noise, wrong = MqttNoise(random.Random(1)), 0
    for number in range(MESSAGES):
        topic, payload = noise.message()
        guest.client.publish(topic, payload)
        if number % AT_ONCE == 0:
            await guest.fence()
        if number % (50 * AT_ONCE) == 0 and await guest.register(GOOD) != first:
            wrong += 1
        if number % 100_000 == 0:
            print(f"{number} messages", file=sys.stderr, flush=True)
    bus = await Bus.connect(rig.bus.address)
    unfit = 0
    for name in await bus.names():
        if ".mqtt_" in name:
            unfit += await _unfit(bus, name)
    bus.close()
    return {
        "messages": MESSAGES,
        "ends_of_the_process": int(not _alive(rig, pid)),
        "wrong_replies_to_another": wrong,
        "services_that_do_not_answer": unfit,
        "rss_mb": _memory(pid),
    }


async def _unfit(bus: Bus, name: str) -> int:
    try:
        await bus.call(name, "/", "com.victronenergy.BusItem", "GetItems")
    except BusError:
        return 1
    return 0


async def _calls(rig: Rig) -> dict[str, object]:
    rig.start(without=[rig.gateway])
    guest = Guest()
    await guest.connect(rig)
    await guest.register(GOOD)
    assert rig.driver.process is not None
    pid = rig.driver.process.pid
    names = [f"com.victronenergy.{kind}.mqtt_good_{key}" for key, kind in SERVICES.items()]
    bus = await Bus.connect(rig.bus.address)
    wrong = await call_noise(bus, names, random.Random(2), CALLS)
    bus.close()
    return {
        "calls": CALLS,
        "ends_of_the_process": int(not _alive(rig, pid)),
        "wrong_values": len(wrong),
        "examples": wrong[:3],
    }


async def _rounds(rig: Rig) -> dict[str, object]:
    rig.start(without=[rig.driver])
    problems = await restart_storm(rig, ROUNDS, random.Random(3))
    return {"rounds_of_killing": ROUNDS, "not_as_before": len(problems), "examples": problems[:3]}


ITEM = "com.victronenergy.BusItem"


class Ears:
    """Counts signals of devices' services."""

    def __init__(self) -> None:
        self.signals = 0

    def __call__(self, message: Message) -> bool | None:
        if message.message_type is not MessageType.SIGNAL or message.interface != ITEM:
            return None
        self.signals += not str(message.path).startswith("/Settings")
        return True


async def _flood(rig: Rig) -> dict[str, object]:
    """Values as fast as they go, as few signals as the GX can bear; then many guests."""
    rig.start(without=[rig.gateway])
    guest = Guest()
    await guest.connect(rig)
    assert guest.client is not None
    topics = {}
    for number in range(CLIENTS):
        client_id = f"f{number}"
        reply = await guest.register(
            {"clientId": client_id, "connected": 1, "services": {"t": "temperature"}}
        )
        topics[client_id] = reply["topicPath"]["t"]["W"]
    assert rig.driver.process is not None
    pid = rig.driver.process.pid
    bus, ears, chance = await Bus.connect(rig.bus.address), Ears(), random.Random(4)
    bus.handle(ears)
    await bus.match(f"type='signal',interface='{ITEM}'")
    before, start = _memory(pid), time.monotonic()
    for number in range(VALUES):
        client_id = f"f{number % CLIENTS}"
        values = {"Temperature": chance.random() * 50, "Humidity": chance.random() * 100}
        body = {"topicPath": topics[client_id], "values": values}
        guest.client.publish(f"device/{client_id}/Proxy", json.dumps(body))
        if number % AT_ONCE == 0:
            await guest.fence()
    await guest.fence()
    seconds, flooded = time.monotonic() - start, _memory(pid)
    bus.close()
    assert PORTAL_ID in topics["f0"]
    for number in range(GUESTS):
        client_id = f"g{number}"
        wish = {"clientId": client_id, "connected": 1, "services": {"m": "acload"}}
        await guest.register({**wish, "options": {"m": {"energy": True, "name": client_id}}})
        gone = json.dumps({"clientId": client_id, "connected": 0})
        guest.client.publish(f"device/{client_id}/Status", gone)
    return {
        "values": VALUES,
        "values_per_s": round(VALUES / seconds),
        "signals_per_s_and_service": round(ears.signals / seconds / CLIENTS, 2),
        "guests": GUESTS,
        "ends_of_the_process": int(not _alive(rig, pid)),
        "rss_before_mb": before,
        "rss_after_flood_mb": flooded,
        "rss_after_guests_mb": _memory(pid),
    }


async def _faults(rig: Rig) -> dict[str, object]:
    """Play every fault; after each the device must have its number and its name."""
    relay = Relay("127.0.0.1", rig.broker.port)
    port = await relay.listen("127.0.0.1", 0)
    for process, option in ((rig.driver, "--mqtt-port"), (rig.gateway, "--port")):
        process.command[process.command.index(option) + 1] = str(port)
    rig.start()
    keeper = asyncio.ensure_future(rig.supervise())
    scene = faults.Scene(rig, relay, Broker(port=rig.broker.port))
    wrong: list[str] = []
    name = "com.victronenergy.temperature.mqtt_good_t"
    guest = Guest()
    await guest.connect(rig)
    first = await guest.register(GOOD)
    bus = await Bus.connect(rig.bus.address)
    await bus.call(name, "/CustomName", ITEM, "SetValue", "v", [Variant("s", "Bow")])
    bus.close()
    for fault in faults.FAULTS:
        played, _ = faults.read(fault)
        await played.play(scene, 1.0)
        guest = Guest()
        await guest.connect(rig)
        await guest.fence()
        again = await guest.register(GOOD)
        # The driver may hear of it after us that the GX has its own serial number again.
        end = time.monotonic() + 30
        while again != first and time.monotonic() < end:
            await asyncio.sleep(1)
            again = await guest.register(GOOD)
        bus = await Bus.connect(rig.bus.address)
        kept = (await bus.call(name, "/CustomName", ITEM, "GetValue"))[0].value
        bus.close()
        if (again, kept) != (first, "Bow"):
            wrong.append(f"{fault}: {again} {kept}")
    keeper.cancel()
    await relay.close()
    return {"faults": len(faults.FAULTS), "not_as_before": len(wrong), "examples": wrong[:3]}
