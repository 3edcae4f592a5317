"""Two devices like firmware: a fridge thermometer with a tank, and a panel that obeys (spec I.1).

They register on connect, when ``device_discovery`` comes and every minute, have a last will, and
answer what the GX sets by writing what they did.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from typing import TYPE_CHECKING, Any

from mqtt_devices.mqtt.client import Broker, Client, Unreachable
from mqtt_devices.mqtt.packets import Will

if TYPE_CHECKING:
    from mqtt_devices.mqtt.packets import Publish

REPEAT = 60.0  # s between registrations


class Device:
    """What all simulated devices do. ``status`` is the registration."""

    def __init__(self, client_id: str, status: dict[str, Any], seed: int = 1) -> None:
        self.client_id = client_id
        self.status = {"clientId": client_id, "connected": 1, "version": "sim", **status}
        self.topics: dict[str, str] = {}
        self.chance = random.Random(seed)  # noqa: S311 - plausible, not secret
        self._client: Client | None = None

    async def live(self, broker: Broker) -> None:
        """Connect, register and send values, until cancelled."""
        gone = json.dumps({"clientId": self.client_id, "connected": 0})
        will = Will(f"device/{self.client_id}/Status", gone.encode())
        while True:
            try:
                self._client = await Client.connect(broker, self.client_id, self._received, will)
                mine = [f"device/{self.client_id}/{word}" for word in ("DBus", "Set")]
                await self._client.subscribe([(it, 1) for it in [*mine, "device_discovery"]])
                await self._work()
            except (Unreachable, ConnectionError):
                pass
            await asyncio.sleep(1)

    async def _work(self) -> None:
        assert self._client is not None
        loop = asyncio.get_running_loop()
        registered = -math.inf
        while not self._client.ended.done():
            if loop.time() - registered >= REPEAT:
                registered = loop.time()
                self.register()
            elif self.topics:
                self.send(self.values(loop.time()))
            await asyncio.wait([self._client.ended], timeout=1.0)

    def register(self) -> None:
        """Publish the Status."""
        self._publish(f"device/{self.client_id}/Status", self.status)

    def send(self, values: dict[str, dict[str, Any]]) -> None:
        """Send values by service id and path."""
        for service_id, found in values.items():
            if service_id in self.topics and found:
                body = {"topicPath": self.topics[service_id], "values": found}
                self._publish(f"device/{self.client_id}/Proxy", body)

    def _publish(self, topic: str, body: Any) -> None:
        if self._client is not None:
            self._client.publish(topic, json.dumps(body))

    def _received(self, message: Publish) -> None:
        if message.topic == "device_discovery":
            self.register()
            return
        body = json.loads(message.payload or b"{}")
        if message.topic.endswith("/DBus"):
            self.topics = {key: it["W"] for key, it in body.get("topicPath", {}).items()}
        elif message.topic.endswith("/Set"):
            self.send({body["service"]: self.obey(body["path"], body["value"])})

    def values(self, now: float) -> dict[str, dict[str, Any]]:
        """Return what is to be sent now: service id -> path -> value."""
        raise NotImplementedError

    def obey(self, path: str, value: Any) -> dict[str, Any]:
        """Do what the GX set; returns what was really done."""
        return {path: value}


class Boat(Device):
    """A fridge whose compressor cycles, and a water tank that drains in steps."""

    def __init__(self) -> None:
        super().__init__(
            "sim_boat",
            {
                "services": {"fridge": "temperature", "water": "tank"},
                "options": {
                    "fridge": {"name": "Fridge", "defaults": {"TemperatureType": 1}},
                    "water": {"name": "Fresh water", "defaults": {"Capacity": 0.3}},
                },
            },
        )
        self._level = 86.0

    def values(self, now: float) -> dict[str, dict[str, Any]]:
        """Return the next temperature and level."""
        if self.chance.random() < 0.02:
            self._level = max(0.0, self._level - self.chance.choice((0.5, 2.0, 6.0)))
        cycle = 4.5 + 1.5 * math.sin(now / 40)
        return {
            "fridge": {"Temperature": round(cycle, 2)},
            "water": {"Level": self._level, "Remaining": round(0.003 * self._level, 4)},
        }


class Panel(Device):
    """A switch panel: a light, a heater's set point and mode; it does what the GX says."""

    def __init__(self) -> None:
        outputs: list[dict[str, Any]] = [
            {"id": "light", "type": "dimmable", "name": "Light", "value": 40},
            {
                "id": "target",
                "type": "setpoint",
                "name": "Heating",
                "min": 5,
                "max": 30,
                "value": 20,
            },
            {
                "id": "mode",
                "type": "dropdown",
                "name": "Energy",
                "labels": ["Gas", "Mix", "Electric"],
            },
        ]
        for output in outputs:
            output.update(group="Salon", custom_name=output["name"])
        super().__init__(
            "sim_panel",
            {
                "notify": True,
                "services": {"ctl": "switch"},
                "options": {"ctl": {"name": "Panel", "auto_status": True, "outputs": outputs}},
            },
            seed=2,
        )
        self._target = 20.0
        self._room = 16.0

    def values(self, now: float) -> dict[str, dict[str, Any]]:
        """Return the room's temperature, which follows the set point."""
        self._room += (self._target - self._room) * 0.02
        return {"ctl": {"SwitchableOutput/target/Measurement": round(self._room, 1)}}

    def obey(self, path: str, value: Any) -> dict[str, Any]:
        """Take a set point over; everything else is done as it was said."""
        if path == "SwitchableOutput/target/Dimming" and value is not None:
            self._target = float(value)
        return super().obey(path, value)


async def main(broker: Broker) -> None:
    """Run both devices."""
    await asyncio.gather(Boat().live(broker), Panel().live(broker))
