"""The GX as a sink: one connection, or with the reference driver one for each device (spec g.1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..bridge.sink import Hub, SinkHealth, SinkState
from ..mqtt.sink import Channel, MqttSink, check
from .dialect import ClientDialect, GxDialect

__all__ = ["GxSink", "check", "make"]

NO_DRIVER = "the GX has no driver for MQTT devices, or it is off"
LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class _Apart:
    """A device's own connection."""

    channel: Channel
    task: asyncio.Task[None]


class GxSink(MqttSink):
    """One GX."""

    type: ClassVar[str] = "venus"

    def __init__(self, name: str, settings: Mapping[str, Any], hub: Hub) -> None:
        super().__init__(name, {"host": "127.0.0.1", **settings}, hub)
        self._main = GxDialect(name, settings, hub)
        self._meeting: Channel | None = None
        self._apart: dict[tuple[str, str], _Apart] = {}

    def make_channels(self) -> list[Channel]:
        """Return the one connection on which the driver is met."""
        self._meeting = Channel(self, self._main, self.client_id)
        return [self._meeting]

    async def run(self) -> None:
        """Live until cancelled or stopped."""
        looking = asyncio.create_task(self._look())
        try:
            await super().run()
        finally:
            looking.cancel()
            tasks = [one.task for one in self._apart.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(looking, *tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Give each device a connection of its own as long as the driver is the reference."""
        while True:
            await self.clock.sleep(LOOK_EVERY)
            wanted = self._main.apart
            closed = [place for place in self._apart if place not in wanted]
            for place in closed:
                await self._close(place)
            if closed and self._meeting is not None:
                # What these have said last may have come behind what the one connection said.
                self._meeting.act(self._main.again(self.hub.moment()))
            for place in wanted - self._apart.keys():
                self._open(place)

    def _open(self, place: tuple[str, str]) -> None:
        dialect = ClientDialect(self.name, self.settings, self.hub, *place, main=self._main)
        channel = Channel(self, dialect, f"{self.client_id}-{dialect.name}")
        self.channels.append(channel)
        self._apart[place] = _Apart(channel, asyncio.create_task(self._live(channel)))

    async def _close(self, place: tuple[str, str]) -> None:
        one = self._apart.pop(place)
        self.channels.remove(one.channel)
        one.channel.connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await asyncio.wait({one.task})
        one.task.cancel()

    @staticmethod
    async def _live(channel: Channel) -> None:
        async with asyncio.TaskGroup() as group:
            living = group.create_task(channel.live())
            await channel.connection.run()
            living.cancel()

    async def stop(self, deadline: float) -> None:
        """Take all devices back and disconnect."""
        for one in self._apart.values():
            one.channel.connection.finish()
        await super().stop(deadline)
        tasks = [one.task for one in self._apart.values()]
        left = deadline - self.hub.moment().monotonic
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, left))

    @property
    def health(self) -> SinkHealth:
        """How it is; a GX without a driver is somebody's to mend."""
        found = super().health
        silent = any(
            isinstance(one.dialect, GxDialect) and one.dialect.silent for one in self.channels
        )
        if silent and found.state is SinkState.OK:
            return SinkHealth(
                type=self.type,
                state=SinkState.CONFIG_ERROR,
                why=NO_DRIVER,
                published=found.published,
                coalesced=found.coalesced,
                dropped=found.dropped,
                waiting=found.waiting,
            )
        return found


def make(name: str, settings: Mapping[str, Any], hub: Hub) -> GxSink:
    """Return the sink of a ``[sinks.NAME]`` of type venus."""
    return GxSink(name, settings, hub)
