"""How engines are made: the one way for both faces.

Each family's package has a ``FACTORY``. It reads settings from plain values, makes the engine and
probes a link. Families are found by looking into this folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from .clock import Clock, SystemClock, load_zone
from .composite import Composite
from .engine import Device, Engine, LinkError, OnOccurrence, Reason, RecordedFrame
from .fields import Catalogue
from .recording import json_lines
from .storage import MemoryStorage, Storage

LINK = "link"
"""The key, in every family's settings, of what is connected to: a port, a URL, a source."""
TIME_ZONE = "time_zone"
"""The key of the device's time zone, an IANA name."""


async def _no_wait() -> None:
    """Return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a face gives to an engine.

    ``zone`` is the installation's time zone, for devices whose settings name none. ``storage``
    keeps what must survive a restart. ``folder`` is for files that must lie on disk. ``room`` is
    awaited before each batch by a source that can wait (a capture file, a simulation that runs
    faster than time), never by a live one.
    """

    clock: Clock = field(default_factory=SystemClock)
    zone: tzinfo | None = None
    storage: Storage = field(default_factory=MemoryStorage)
    folder: Path | None = None
    room: Callable[[], Awaitable[None]] = _no_wait

    def zone_for(self, name: str | None) -> tzinfo | None:
        """Return the time zone that a device's settings name, else the installation's.

        ``None`` is the system's own. May read a file. Raises :class:`SettingsError`.
        """
        if not name:
            return self.zone
        try:
            return load_zone(name)
        except ValueError as error:
            raise SettingsError(TIME_ZONE, Reason.BAD_TIMEZONE, str(error)) from error


class SettingsError(LinkError):
    """A setting can't be used. ``field`` names it, ``reason`` says how."""

    def __init__(self, field: str, reason: Reason = Reason.BAD_ADDRESS, message: str = "") -> None:
        super().__init__(reason, message, field=field)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe has found, or has found so far.

    ``reason`` says why nothing was found; ``None``: all is well. ``counters`` are plain figures
    to show while it goes on. ``settings`` are those that were found out, such as the baud rate.
    ``unique_id`` names what was found, so that it is not set up twice.
    """

    reason: Reason | None = None
    detail: str | None = None
    devices: tuple[Device, ...] = ()
    counters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    unique_id: str | None = None
    fraction: float | None = None
    """How much of the probe is done, 0 to 1, where that is known."""


OnProgress: TypeAlias = Callable[[ProbeResult], None]

SettingsT = TypeVar("SettingsT")


class EngineFactory(ABC, Generic[SettingsT]):
    """Makes the engines of one family.

    Its module is imported to list the families, so implementations import their own modules inside
    the methods.
    """

    key: ClassVar[str]
    requests: ClassVar[frozenset[str]] = frozenset()
    """Names of commands that may be asked for over a network."""
    probe_seconds: ClassVar[float] = 10.0
    usb_devices: ClassVar[Mapping[tuple[int, int], str]] = MappingProxyType({})
    """Vendor and product of USB devices that can only be this family's, and what they are."""
    supersedes: ClassVar[bool] = False
    """A newer command must reach the engine while an older one is under way: it takes its place."""
    hosted: ClassVar[bool] = False
    """Its values come from Home Assistant, not from a wire: the standalone helper has no use for
    it."""

    @property
    @abstractmethod
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fields of each kind of device that may appear, for strings and documentation."""

    def composites(self, kind: str) -> tuple[Composite, ...]:
        """Return the composites of a kind of device."""
        return ()

    def identified(self, device: Device) -> bool:
        """Whether a device has an identity of its own, so that its id is unique everywhere."""
        return False

    def suffix(self, kind: str, key: str) -> str:
        """Return the last part of a unique id for a field or composite. Frozen."""
        return key

    @abstractmethod
    def read(self, values: Mapping[str, Any]) -> SettingsT:
        """Return settings from plain values; unknown keys are ignored.

        Raises :class:`SettingsError`. Reads no file and asks no system.
        """

    @abstractmethod
    def make(self, settings: SettingsT, surroundings: Surroundings) -> Engine:
        """Return an engine. It starts with ``run``."""

    def recording(self, frames: Sequence[RecordedFrame]) -> tuple[str, bytes]:
        """Return frames as a file that this family's ``decode`` reads: how its name ends, content.

        The frames are in order of time.
        """
        return ".jsonl", json_lines(frames)

    @abstractmethod
    async def probe(
        self,
        settings: SettingsT,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Find out, for *seconds* at most, which devices are there.

        Raises :class:`SettingsError` for a setting that can't be used, :class:`LinkError` for a
        link that can't be had; a silence is a result.
        """


_NO_FAMILIES = frozenset({"link"})


@functools.cache
def families() -> tuple[str, ...]:
    """Return the names of the families, without importing one. Looks into the folder once."""
    folder = [str(Path(__file__).parent)]
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(folder)
            if module.ispkg and module.name not in _NO_FAMILIES
        )
    )


def linked_families() -> tuple[str, ...]:
    """Return the families that live on a link, which the standalone helper can serve."""
    return tuple(name for name in families() if not factory_of(name).hosted)


@functools.cache
def factory_of(family: str) -> EngineFactory[Any]:
    """Return a family's factory; imports its package once. Raises :class:`LookupError`."""
    if family not in families():
        raise LookupError(f"there is no family {family!r}")
    factory: EngineFactory[Any] = import_module(f".{family}", __package__).FACTORY
    return factory


def factories() -> Mapping[str, EngineFactory[Any]]:
    """Return all factories by family."""
    return {family: factory_of(family) for family in families()}


@contextlib.asynccontextmanager
async def running(
    engine: Engine, on_occurrence: OnOccurrence | None = None
) -> AsyncIterator[asyncio.Event]:
    """Run an engine for the length of a block; yields an event that is set at each snapshot."""
    changed = asyncio.Event()
    task = asyncio.ensure_future(engine.run(lambda _snapshot: changed.set(), on_occurrence))
    try:
        yield changed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
