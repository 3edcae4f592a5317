"""The Venus OS driver under noise: a million messages, 100 000 D-Bus calls, 50 rounds of killing.

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

from gx.noise import MqttNoise, call_noise, restart_storm  # noqa: E402
from gx.processes import Missing  # noqa: E402
from gx.rig import Rig  # noqa: E402
from mqtt_devices.bus import Bus, BusError  # noqa: E402
from mqtt_devices.mqtt.client import Broker, Client  # noqa: E402
from mqtt_devices.mqtt.packets import Publish  # noqa: E402
from tests.venus.pythons import oldest_and_newer, pythons  # noqa: E402

SHARE = float(os.environ.get("BENCH_SHARE", "1"))
MESSAGES = int(1_000_000 * SHARE)
CALLS = int(100_000 * SHARE)
ROUNDS = max(1, int(50 * SHARE))
AT_ONCE = 200
SERVICES = {"t": "temperature", "g": "grid", "s": "switch"}
GOOD: dict[str, Any] = {"clientId": "good", "connected": 1, "services": SERVICES}


def run() -> Iterator[dict[str, object]]:
    """Run all three under the oldest Python to be had, from the bundle."""
    version = oldest_and_newer()[0]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "mqtt-devices"
        subprocess.run([ROOT / "script/venus_bundle", bundle], check=True, capture_output=True)
        for name, work in (("messages", _messages), ("calls", _calls), ("rounds", _rounds)):
            here = Path(folder) / name
            here.mkdir()
            rig = Rig(here, pythons()[version], bundle, {"max_devices": 1000, "max_services": 200})
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
