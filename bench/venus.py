"""The Venus OS driver from its bundle on a real D-Bus daemon and broker: latency, start, memory.

For comparison, the reference driver behind the real gateway on two cores of a PC: Status to reply
609 ms and Proxy to value on the gateway 441 ms (medians), 30.7 MB and 69 kB a service.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from . import Unavailable

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "standalone/venus"), str(ROOT)]

from gx.processes import Missing  # noqa: E402
from gx.rig import PORTAL_ID, Rig  # noqa: E402
from mqtt_devices.bus import Bus, Variant  # noqa: E402
from mqtt_devices.mqtt.client import Broker, Client  # noqa: E402
from mqtt_devices.mqtt.packets import Publish  # noqa: E402
from tests.venus.pythons import oldest_and_newer, pythons  # noqa: E402

ITEM = "com.victronenergy.BusItem"
REGISTRATIONS = 60
VALUES = 200
WRITES = 3000
SERVICES = 64


def run() -> Iterator[dict[str, object]]:
    """Measure under the oldest Python to be had, and under one of 3.12 or newer."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "mqtt-devices"
        subprocess.run([ROOT / "script/venus_bundle", bundle], check=True, capture_output=True)
        for version in oldest_and_newer():
            rig = Path(folder) / version
            rig.mkdir()
            try:
                yield {"python": version, **asyncio.run(_measure(rig, pythons()[version], bundle))}
            except Missing as missing:
                raise Unavailable(str(missing)) from missing


class Watcher:
    """A client that waits for messages by topic."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self._waits: dict[str, asyncio.Future[bytes]] = {}

    async def connect(self, port: int) -> None:
        self.client = await Client.connect(Broker(port=port), "bench", self._received)
        await self.client.subscribe([("device/+/DBus", 0), ("N/#", 0), ("device_discovery", 0)])

    def _received(self, message: Publish) -> None:
        wait = self._waits.pop(message.topic, None)
        if wait is not None and not wait.done():
            wait.set_result(message.payload or b"")

    async def after(self, publish: Callable[[], Any], topic: str, seconds: float = 60) -> float:
        """Return the milliseconds from a publish to a message."""
        wait = self._waits[topic] = asyncio.get_running_loop().create_future()
        start = time.perf_counter()
        publish()
        await asyncio.wait_for(wait, seconds)
        return (time.perf_counter() - start) * 1000

    def publish(self, topic: str, body: Any) -> Callable[[], Any]:
        assert self.client is not None
        client, payload = self.client, body if isinstance(body, str) else json.dumps(body)
        return lambda: client.publish(topic, payload)


def _memory(rig: Rig) -> tuple[int, float]:
    """Return the driver's resident kB, and its CPU seconds."""
    assert rig.driver.process is not None
    process = Path(f"/proc/{rig.driver.process.pid}")
    status = process.joinpath("status").read_text()
    kb = int(status.split("VmRSS:")[1].split()[0])
    fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
    return kb, (int(fields[11]) + int(fields[12])) / 100


async def _measure(folder: Path, python: str, bundle: Path) -> dict[str, object]:
    rig = Rig(folder, python, bundle)
    watcher = Watcher()
    try:
        rig.start(without=[rig.driver])
        await watcher.connect(rig.broker.port)
        start = await watcher.after(rig.driver.start, "device_discovery")
        kb_start, _ = _memory(rig)
        figures: dict[str, object] = {"start_to_discovery_ms": round(start)}
        figures.update(await _registrations(watcher))
        figures.update(await _values(watcher))
        figures.update(await _writes(rig, watcher))
        figures["rss_at_start_mb"] = round(kb_start / 1024, 1)
        figures.update(await _many(rig, watcher))
        return figures
    finally:
        if watcher.client is not None:
            watcher.client.abort("done")
        rig.stop()


def _status(client_id: str, services: dict[str, str], connected: int = 1) -> dict[str, Any]:
    return {"clientId": client_id, "connected": connected, "services": services}


async def _registrations(watcher: Watcher) -> dict[str, object]:
    taken = []
    for number in range(REGISTRATIONS):
        client_id = f"b{number}"
        topic = f"device/{client_id}"
        status = _status(client_id, {"s": "grid"})
        taken.append(
            await watcher.after(watcher.publish(f"{topic}/Status", status), f"{topic}/DBus")
        )
        watcher.publish(f"{topic}/Status", _status(client_id, {}, 0))()
    taken.sort()
    return {
        "status_to_reply_median_ms": round(median(taken), 2),
        "status_to_reply_max_ms": round(taken[-1], 2),
    }


async def _values(watcher: Watcher) -> dict[str, object]:
    status = _status("value", {"t": "temperature"})
    await watcher.after(watcher.publish("device/value/Status", status), "device/value/DBus")
    reply_path = f"W/{PORTAL_ID}/temperature/1"
    answer = f"N/{PORTAL_ID}/temperature/1/Temperature"
    keep_alive = watcher.publish(f"R/{PORTAL_ID}/keepalive", "")
    await watcher.after(keep_alive, f"N/{PORTAL_ID}/full_publish_completed")
    taken = []
    for number in range(VALUES):
        body = {"topicPath": reply_path, "values": {"Temperature": number + 0.5}}
        if number % 100 == 99:
            await asyncio.sleep(1)  # the driver takes 200 a second from one device
        taken.append(await watcher.after(watcher.publish("device/value/Proxy", body), answer))
    taken.sort()
    return {
        "proxy_to_gateway_median_ms": round(median(taken), 2),
        "proxy_to_gateway_p95_ms": round(taken[int(len(taken) * 0.95)], 2),
        "proxy_to_gateway_max_ms": round(taken[-1], 2),
    }


async def _writes(rig: Rig, watcher: Watcher) -> dict[str, object]:
    """Write one path over D-Bus as fast as it goes."""
    bus = await Bus.connect(rig.bus.address)
    name = "com.victronenergy.temperature.mqtt_value_t"
    _, before = _memory(rig)
    start = time.perf_counter()
    for number in range(WRITES):
        value = Variant("d", number + 0.25)
        await bus.call(name, "/Temperature", ITEM, "SetValue", "v", [value])
    seconds = time.perf_counter() - start
    _, after = _memory(rig)
    bus.close()
    watcher.publish("device/value/Status", _status("value", {}, 0))()
    return {
        "dbus_writes_per_s": round(WRITES / seconds),
        "driver_cpu_per_write_us": round((after - before) / WRITES * 1e6),
    }


async def _many(rig: Rig, watcher: Watcher) -> dict[str, object]:
    """Register many services at once, and see what a service costs."""
    await asyncio.sleep(0.5)
    before, _ = _memory(rig)
    services = {f"s{number}": "grid" for number in range(SERVICES)}
    publish = watcher.publish("device/many/Status", _status("many", services))
    taken = await watcher.after(publish, "device/many/DBus", 120)
    after, _ = _memory(rig)
    rig.driver.stop()
    watcher_start = await watcher.after(rig.driver.start, "device_discovery")
    again = await watcher.after(publish, "device/many/DBus", 120)
    return {
        f"register_{SERVICES}_services_ms": round(taken),
        f"start_with_{SERVICES}_services_ms": round(watcher_start + again),
        "kb_per_service": round((after - before) / SERVICES, 1),
        f"rss_with_{SERVICES}_services_mb": round(after / 1024, 1),
    }
