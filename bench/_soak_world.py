"""What stands around a bridge that lives through virtual hours, and what it has seen.

Sums instead of lists: what watches for leaks must not grow itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt

from tests.standalone.bridge.servers import StandIn
from tests.standalone.mqtt.broker import Broker

EVENT_ID = re.compile(r'"id": ?"([0-9a-f]{8}-\d+)"')
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Ledger:
    """Sums up lines in any order: equal sums mean the same lines, each as often."""

    count: int = 0
    total: int = 0

    def add(self, line: str) -> None:
        """Enter a line."""
        self.count += 1
        self.total = (self.total + zlib.crc32(line.encode()) * 0x9E3779B1 + len(line)) % 2**64


@dataclass
class Server:
    """An InfluxDB 1 by rules, which remembers sums and no lines."""

    stand_in: StandIn
    stored: Ledger = field(default_factory=Ledger)
    answer: tuple[int, str, dict[str, str]] | None = None
    refused: int = 0
    disorder: list[str] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)

    def rule(self, lines: list[str]) -> tuple[int, str, dict[str, str]]:
        """Answer a request."""
        self.stand_in.lines.clear()
        self.stand_in.requests.clear()
        if self.answer is not None:
            self.refused += 1
            return self.answer
        for line in lines:
            self.stored.add(line)
            self._note(line)
        return 204, "", {}

    def _note(self, line: str) -> None:
        series = line.split(" ", 1)[0]
        time = int(line.rsplit(" ", 1)[1])
        if time < self._last.get(series, 0):
            self.disorder.append(line)
        self._last[series] = time


class Watcher:
    """An independent client: what the broker holds now, and how often each topic has spoken."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.last: dict[str, str] = {}
        self.results: Counter[str] = Counter()
        self.events: set[str] = set()
        self.repeated_events = 0
        self.messages = 0
        self.client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Listen until cancelled; come back when the broker does."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self._broker.port) as client:
                    self.last.clear()  # a broker that begins anew holds nothing
                    await client.subscribe("#", 1)
                    self.client = client
                    async for message in client.messages:
                        self._note(message)
            self.client = None
            await asyncio.sleep(0.02)

    def _note(self, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        text = bytes(message.payload).decode()  # type: ignore[arg-type]
        self.messages += 1
        self.last[topic] = text
        if topic.endswith("/set/result"):
            self.results[topic.removeprefix("hardwired/").removesuffix("/set/result")] += 1
        elif found := EVENT_ID.search(text):
            self.repeated_events += found[1] in self.events
            self.events.add(found[1])

    async def wish(self, topic: str, text: str) -> bool:
        """Publish a wish; whether the broker took it."""
        if self.client is None:
            return False
        try:
            await self.client.publish(f"hardwired/{topic}/set", text, qos=1)
        except aiomqtt.MqttError:
            return False
        return True


def in_order(text: str) -> str:
    """Return a list in an order of its own: devices are told as they were seen."""
    return str(sorted(map(str, json.loads(text)))) if text.startswith("[{") else text


class NoStore:
    def load(self) -> Mapping[str, Any]:
        return {}

    def save(self, data: Mapping[str, Any]) -> None:
        """Nothing is kept."""


class Told(logging.Handler):
    """Counts what is told at warning and above, and what nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.counts: Counter[str] = Counter()
        self.unforeseen: list[str] = []
        self.lost_broker = 0
        self.found_broker = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.counts[record.levelname] += 1
        if record.exc_info is not None or " hangs" in text:
            self.unforeseen.append(text)
        self.lost_broker += "no connection to" in text and record.levelno >= logging.WARNING
        self.found_broker += "connected to" in text and " again after" in text


@dataclass
class Holdings:
    """What the process holds."""

    rss: float
    descriptors: int
    tasks: int
    files: dict[str, int]

    @classmethod
    def now(cls, folder: Path) -> Holdings:
        """Look. Memory in MB, files of the state folder with their sizes."""
        gc.collect()
        return cls(
            rss=int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE / 1e6,
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
            files={
                str(one.relative_to(folder)): one.stat().st_size
                for one in folder.rglob("*")
                if one.is_file()
            },
        )
