"""What a source's counters say, typed: the one place where they are read by name (spec f.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """Facts that the engine acts upon. A source that does not have one leaves it at nothing.

    ``foreign`` counts frames of other sticks, ``remarks`` are sentences on what could not be read,
    ``refused`` counts connections to the relay by reason.
    """

    packets: int = 0
    reports: int = 0
    duplicates: int = 0
    rejected: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    gaps: int = 0
    kernel_drops: int = 0
    foreign: int = 0
    remarks: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    relay_looped: bool = False
    server_error: str | None = None
    timeouts: int = 0
    checksum_errors: int = 0
    foreign_requests: int = 0
    echo: int = 0
    writes: int = 0

    @classmethod
    def of(cls, counters: Mapping[str, Any]) -> SourceFacts:
        """Return the facts in the counters of a source."""
        names = counters.keys() & set(cls.__slots__)
        known = {name: counters[name] for name in names}
        known["remarks"] = tuple(known.get("remarks", ()))
        return cls(**known)

    @property
    def rejected_in_all(self) -> int:
        """Reports that were refused, whatever the reason."""
        return sum(self.rejected.values())
