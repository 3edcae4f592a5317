"""A real Mosquitto in a folder of its own, and an independent client to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest

from tests.ports import free_port

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


@dataclass
class Broker:
    """A broker that can be stopped, killed, frozen and started again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    lines: tuple[str, ...] = ("allow_anonymous true",)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it listens."""
        assert MOSQUITTO is not None
        config = self.folder / "mosquitto.conf"
        told = [
            f"listener {self.port} 127.0.0.1",
            *self.lines,
            "log_dest file " + str(self.folder / "mosquitto.log"),
            "log_type all",
            "max_queued_messages 0",
            *(["user root"] if os.geteuid() == 0 else []),
        ]
        config.write_text("\n".join(told) + "\n")
        self.process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
        )
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            assert self.process.returncode is None, "mosquitto has ended"
            await asyncio.sleep(0.02)

    async def stop(self, how: int = signal.SIGTERM) -> None:
        """End it, by default in good order."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(how)
        if how == signal.SIGTERM:
            self.process.send_signal(signal.SIGCONT)
        await self.process.wait()

    async def restart(self, how: int = signal.SIGTERM) -> None:
        """End it and start it again."""
        await self.stop(how)
        await self.start()

    def freeze(self) -> None:
        """Let it stand still, its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def running(broker: Broker) -> AsyncIterator[Broker]:
    """A broker for the length of a block."""
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


class Watcher:
    """Listens to everything and remembers what came last, and in which order."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}
        self.order: list[tuple[str, str, bool]] = []
        self._changed = asyncio.Event()

    def note(self, topic: str, payload: str, *, retained: bool) -> None:
        """Take note of a message."""
        if payload:
            self.last[topic] = payload
        else:
            self.last.pop(topic, None)
        self.order.append((topic, payload, retained))
        self._changed.set()

    async def until(self, topic: str, payload: str | None = None, seconds: float = 90) -> str:
        """Wait until a topic shows *payload*, or anything."""
        async with asyncio.timeout(seconds):
            while topic not in self.last or payload not in (None, self.last[topic]):
                self._changed.clear()
                await self._changed.wait()
        return self.last[topic]

    async def until_all(self, wanted: dict[str, str], seconds: float = 90) -> None:
        """Wait until every topic shows what it should."""
        try:
            async with asyncio.timeout(seconds):
                while any(self.last.get(topic) != text for topic, text in wanted.items()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            wrong = {
                topic: (text, self.last.get(topic))
                for topic, text in wanted.items()
                if self.last.get(topic) != text
            }
            raise AssertionError(wrong) from None

    def texts(self, topic: str) -> list[str]:
        """Return all that a topic has shown, in order."""
        return [payload for name, payload, _ in self.order if name == topic]


@contextlib.asynccontextmanager
async def watching(
    broker: Broker, topics: Iterable[str] = ("#",), **options: object
) -> AsyncIterator[tuple[Watcher, aiomqtt.Client]]:
    """Subscribe to everything for the length of a block, on a client of our own."""
    watcher = Watcher()
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        **options,  # type: ignore[arg-type]
    ) as client:
        for topic in topics:
            await client.subscribe(topic, 1)

        async def listen() -> None:
            with contextlib.suppress(aiomqtt.MqttError):
                async for message in client.messages:
                    if isinstance(message.payload, bytes):
                        watcher.note(
                            message.topic.value,
                            message.payload.decode(errors="replace"),
                            retained=bool(message.retain),
                        )

        task = asyncio.create_task(listen())
        try:
            yield watcher, client
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
