"""One open link: what is read goes to the dialogue, what it wants to say goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..link import Stream
from ..tasks import until_any
from .dialogue.machine import Write


class Conversation:
    """Reads and writes until the link is lost. Each write leaves in one piece."""

    def __init__(self, stream: Stream, on_data: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._on_data = on_data
        self._outgoing: asyncio.Queue[Write] = asyncio.Queue()

    def send(self, write: Write) -> None:
        """Let a write leave after those before it."""
        self._outgoing.put_nowait(write)

    async def run(self) -> None:
        """Live until the link is lost. Raises :class:`.engine.LinkError`."""
        await until_any(self._read(), self._write())

    async def _read(self) -> None:
        while True:
            self._on_data(await self._stream.read())

    async def _write(self) -> None:
        while True:
            write = await self._outgoing.get()
            await self._stream.write(write.data)
