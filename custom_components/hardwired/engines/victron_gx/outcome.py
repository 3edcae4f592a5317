"""What becomes of something that the GX has set (spec H.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .home import Json


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing: the path sets nothing, or it was the release of a button."""


@dataclass(frozen=True, slots=True)
class WriteBack:
    """No call: the present value goes back. ``value`` is ``None`` when there is none."""

    value: Json = None


@dataclass(frozen=True, slots=True)
class Remember:
    """No call: this mode counts when the entity is switched on."""

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """A service call. ``expected`` is what the path shows when the entity has followed."""

    service: str
    data: Mapping[str, Any]
    expected: Json = None

    @property
    def entity_id(self) -> str:
        """Whom it goes to."""
        return str(self.data["entity_id"])


Outcome: TypeAlias = Ignore | WriteBack | Remember | Call
Control: TypeAlias = Callable[[Json], Outcome]
"""What a path does with a value that was set."""
