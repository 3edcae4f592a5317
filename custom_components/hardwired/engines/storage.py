"""A small store over restarts, as an engine sees it. The faces bring their own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from .clock import Clock

_LOGGER = logging.getLogger(__name__)

STORE_WITHIN = 10.0
"""Seconds that what is about to happen waits for the disk, at most."""


class Storage(Protocol):
    """Keeps a small dictionary of plain JSON types over restarts."""

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last; empty the first time."""

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*; returns at once."""


class MemoryStorage:
    """Forgets everything at the end; for probing, tests and the command line."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def load(self) -> Mapping[str, Any]:
        """Return what was saved last."""
        return self.data

    def save(self, data: Mapping[str, Any]) -> None:
        """Keep *data*."""
        self.data = dict(data)


@runtime_checkable
class DurableStorage(Storage, Protocol):
    """A storage that can say when what was saved would outlive the end of the process."""

    async def async_flush(self) -> None:
        """Return when it is on the disk."""


async def store_now(storage: Storage, clock: Clock) -> None:
    """Have what was saved on the disk before something is done that it tells of.

    A disk that does not take it, or not in time, is told in the log; it hinders nothing.
    """
    if not isinstance(storage, DurableStorage):
        return
    try:
        async with clock.timeout(STORE_WITHIN):
            await storage.async_flush()
    except Exception:
        _LOGGER.exception("What is about to happen could not be stored before")
