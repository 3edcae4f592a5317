"""A spool that spares the flash: memory first, disk in need (spec e.3)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from ..delivery import Point
from .contract import Lost, Settled, SpoolError, SpoolState
from .disk import DiskSpool
from .memory import MemorySpool


class OutageSpool:
    """In memory while the server answers; on disk from the first failure until it is empty."""

    def __init__(self, disk: DiskSpool, most_points: int) -> None:
        self._disk = disk
        self._memory = MemorySpool(most_points)
        self._direct = not disk.state.waiting

    @property
    def where(self) -> str:
        """Where points go now."""
        return "memory" if self._direct else "disk"

    @property
    def _now(self) -> MemorySpool | DiskSpool:
        return self._memory if self._direct else self._disk

    def append(self, lines: Sequence[str], dropped: int = 0) -> Lost | None:
        """Accept *lines*."""
        return self._now.append(lines, dropped)

    def take(self, count: int, size: int) -> list[Point]:
        """Return the oldest points."""
        return self._now.take(count, size)

    def behind(self, after: int, count: int) -> list[Point]:
        """Return points that wait after *after*."""
        return self._now.behind(after, count)

    def settle(self, settled: Settled) -> None:
        """Remove points; an empty disk is left for memory."""
        if self._direct and settled.set_aside:
            # What is set aside is kept on disk for the owner; memory keeps nothing for long.
            self.spill()
            taken = self._disk.take(len(settled.stored) + 10_000_000, 2**40)
            order = {old: new for (old, _), (new, _) in zip(self._spilled, taken, strict=False)}
            settled = replace(
                settled,
                stored=[order[one] for one in settled.stored if one in order],
                dropped=[order[one] for one in settled.dropped if one in order],
                set_aside=[order[one] for one in settled.set_aside if one in order],
            )
        self._now.settle(settled)
        if not self._direct and not self._disk.state.waiting:
            self._direct = True

    _spilled: Sequence[Point] = ()

    def spill(self) -> None:
        """Write what waits in memory to disk."""
        if not self._direct:
            return
        self._spilled = self._memory.take(10_000_000, 2**40)
        lines, counters = self._memory.hand_over()
        try:
            self._disk.restore(lines, counters)
        except SpoolError:
            self._memory.append(lines)
            raise
        self._direct = not lines

    @property
    def state(self) -> SpoolState:
        """How it is: both together."""
        disk, memory = self._disk.state, self._memory.state
        return SpoolState(
            disk.waiting + memory.waiting,
            disk.size,
            disk.oldest or memory.oldest,
            disk.counters.plus(memory.counters),
        )

    def close(self) -> None:
        """What waits in memory goes to disk."""
        with contextlib.suppress(SpoolError):
            self.spill()
            lines, counters = self._memory.hand_over()
            self._disk.restore(lines, counters)
        self._disk.close()
