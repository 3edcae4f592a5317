"""The interface of a source of frames, and the batches that it delivers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from ...engine import LinkError
from ...fields import Catalogue
from ..dongle.layouts import Values
from ..pipeline.report_pipeline import Received


@dataclass(frozen=True, slots=True)
class SettingsNow:
    """How an inverter is set now: values by field key, and the fields with their limits."""

    values: Values
    fields: Catalogue


NONE: Mapping[str, SettingsNow] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source has received since the last batch: frames with their time, and new reports.

    ``flows`` name the connection of each frame and its other direction, where that is known.
    ``force``: the counters have changed enough to be published even without a report. ``lost`` are
    the serial numbers of inverters that do not answer any more. ``settings``, by serial number,
    have changed between two reports.
    """

    frames: Sequence[tuple[bytes, datetime | None]] = ()
    reports: Sequence[Received] = ()
    force: bool = False
    lost: Sequence[str] = ()
    settings: Mapping[str, SettingsNow] = field(default_factory=lambda: NONE)
    flows: Sequence[tuple[bytes, bytes]] = ()


OnBatch: TypeAlias = Callable[[Batch], None]
OnTrouble: TypeAlias = Callable[[LinkError | None], None]
"""Called with ``None`` when the source is up, else with the reason why it is not."""


Room: TypeAlias = Callable[[], Awaitable[None]]
"""Awaited before each batch by a source that can wait."""


async def no_wait() -> None:
    """Return at once: there is room."""


class FrameSource(Protocol):
    """Where frames come from. :meth:`run` lives until cancelled, or until a file has ended."""

    async def run(self, on_batch: OnBatch, on_trouble: OnTrouble) -> None:
        """Listen. Raises :class:`LinkError` when listening is impossible now."""

    def counters(self) -> Mapping[str, Any]:
        """Return all counters of spec f.3 as plain types."""

    def arrival_now(self) -> float:
        """Return the present time of the clock by which reports arrive, in seconds."""
