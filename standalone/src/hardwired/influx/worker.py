"""A thread that does one thing after the other, asked from the event loop.

A daemon: whatever hangs in it does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Worker(Protocol):
    """Calls functions, one after the other."""

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what *function* returns; raises what it raises."""

    def close(self) -> None:
        """End when everything asked for is done; returns at once."""


class ThreadWorker:
    """The worker in use."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what *function* returns, called in the thread."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*arguments))
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                future.set_exception(error)

        self._jobs.put(job)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End when everything asked for is done."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class InlineWorker:
    """Calls at once, in the event loop; for tests in virtual time."""

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what *function* returns."""
        await asyncio.sleep(0)
        return function(*arguments)

    def close(self) -> None:
        """Nothing to end."""
