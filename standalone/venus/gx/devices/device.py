"""What all simulated devices do, and the habits in which firmwares differ."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import zlib
from typing import TYPE_CHECKING, Any, Dict, NamedTuple

from mqtt_devices.mqtt.client import Broker, Client, Unreachable
from mqtt_devices.mqtt.packets import Will

if TYPE_CHECKING:
    from mqtt_devices.mqtt.packets import Publish

_LOG = logging.getLogger("device")

Values = Dict[str, Dict[str, Any]]  # service id -> path -> value


class Habits(NamedTuple):
    """How a firmware does it. ``repeat``, ``interval`` and ``reboot`` are in seconds.

    ``by_proxy``: values go to Proxy, not to the topics of the reply. ``as_texts``: numbers are
    texts, as some firmwares know no others. ``foreign_will``: the will is on a topic of the
    firmware's own, which the Status names. ``reboot``: it is away and comes back that often.
    """

    repeat: float = 60.0
    interval: float = 1.0
    retained: bool = False
    will: bool = True
    by_proxy: bool = True
    as_texts: bool = False
    foreign_will: str | None = None
    reboot: float | None = None


class Device:
    """A device: ``status`` is its registration. Subclasses give ``values`` and ``obey``.

    ``values`` is asked with the seconds since the device was made, which never go back.
    """

    def __init__(
        self,
        client_id: str,
        status: dict[str, Any],
        habits: Habits = Habits(),  # noqa: B008 - a tuple
    ) -> None:
        self.client_id = client_id
        self.status = {"clientId": client_id, "connected": 1, "version": "sim", **status}
        self.habits = habits
        self.topics: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.chance = random.Random(zlib.crc32(client_id.encode()))  # noqa: S311 - plausible
        self._client: Client | None = None

    # ------------------------------------------------------------- what a kind says

    def values(self, now: float) -> Values:
        """Return what is to be sent now."""
        raise NotImplementedError

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Do what the GX set; returns what was really done: path -> value."""
        del service
        return {path: value}

    # ------------------------------------------------------------------- life

    async def live(self, broker: Broker) -> None:
        """Connect, register and send values, until cancelled."""
        begin = asyncio.get_running_loop().time()
        try:
            while True:
                try:
                    self._client = await Client.connect(
                        broker, self.client_id, self._received, self._will()
                    )
                    mine = [f"device/{self.client_id}/{word}" for word in ("DBus", "Set")]
                    await self._client.subscribe([(it, 1) for it in [*mine, "device_discovery"]])
                    await self._work(begin)
                except (Unreachable, ConnectionError):
                    pass
                await asyncio.sleep(1)
        finally:
            if self._client is not None and not self._client.ended.done():
                self.leave()
                await self._client.close()

    def _will(self) -> Will | None:
        if self.habits.foreign_will is not None:
            return Will(self.habits.foreign_will, b"false", 0, True)
        gone = json.dumps({"clientId": self.client_id, "connected": 0}).encode()
        topic = f"device/{self.client_id}/Status"
        return Will(topic, gone, 0, self.habits.retained) if self.habits.will else None

    async def _work(self, begin: float) -> None:
        assert self._client is not None
        loop = asyncio.get_running_loop()
        connected = loop.time()
        registered = -math.inf
        if self.habits.foreign_will is not None:
            self._client.publish(self.habits.foreign_will, "true", 0, True)
        while not self._client.ended.done():
            now = loop.time()
            if self.habits.reboot is not None and now - connected > self.habits.reboot:
                self._client.abort("reboot")
                self.topics = {}
                await asyncio.sleep(2)
                return
            if now - registered >= self.habits.repeat:
                registered = now
                self.register()
            elif self.topics:
                self.send(self.values(now - begin))
            await asyncio.wait([self._client.ended], timeout=self.habits.interval)

    def register(self) -> None:
        """Publish the Status."""
        self._publish(f"device/{self.client_id}/Status", self.status, self.habits.retained)

    def leave(self) -> None:
        """Say that the device goes."""
        gone = {"clientId": self.client_id, "connected": 0}
        self._publish(f"device/{self.client_id}/Status", gone, self.habits.retained)

    def send(self, values: Values) -> None:
        """Send values by service id and path."""
        for service_id, found in values.items():
            topic = self.topics.get(service_id)
            if topic is None or not found:
                continue
            said = {path: self._said(value) for path, value in found.items()}
            if self.habits.by_proxy:
                body = {"topicPath": topic, "values": said}
                self._publish(f"device/{self.client_id}/Proxy", body)
                continue
            for path, value in said.items():
                self._publish(f"{topic}/{path}", {"value": value})

    def _said(self, value: Any) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if self.habits.as_texts and number else value

    def _publish(self, topic: str, body: Any, retain: bool = False) -> None:
        if self._client is not None:
            self._client.publish(topic, json.dumps(body), 0, retain)

    def _received(self, message: Publish) -> None:
        if message.topic == "device_discovery":
            self.register()
            return
        body = json.loads(message.payload or b"{}")
        if message.topic.endswith("/DBus"):
            self.topics = {key: it["W"] for key, it in body.get("topicPath", {}).items()}
            self.errors = body.get("errors", {})
            for key, text in self.errors.items():
                _LOG.warning("%s: %s: %s", self.client_id, key, text)
        elif message.topic.endswith("/Set"):
            done = self.obey(body["service"], body["path"], body["value"])
            self.send({body["service"]: done})
