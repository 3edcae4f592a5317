"""How other programs made the unique ids of their entities: ``families/<family>/old_ids.json``.

``script/old_ids.py`` writes the tables. A row holds what was read in the program's source; what it
can't tell is asked of the owner, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..engines.engine import Device

FAMILIES = Path(__file__).parents[1] / "families"
_IN_FAMILY = 100
"""The addresses of one kind of device begin after a multiple of this."""
_ANY = {"*": r"[^_]+", "{any}": r".+?", "{number}": r"[0-9]{6,}", "{name}": r"(?P<name>.+)"}
"""What differs from owner to owner: without an underscore; any; a logger's serial number."""


@dataclass(frozen=True, slots=True)
class OldIds:
    """How a program made the unique ids of a kind of device: one row of the table.

    In ``unique_id`` stand ``{serial_number}``, ``{address}`` and ``{place}`` (the address within
    its kind) of our device, ``{name}`` for the value, and ``*``, ``{any}`` and ``{number}`` for
    what differs from owner to owner. ``names`` gives our key by the name; without it the name is
    the end of our unique id.
    """

    program: str
    integration: str
    kind: str
    unique_id: str
    names: Mapping[str, str] | None = None
    owner_says: bool = False
    """The id holds nothing of our device: the owner says which of their devices it is."""
    serial_in: tuple[str, str | None] | None = None
    """The name whose state, or attribute, is the serial number of their device: then they say it
    themselves, while they run."""
    serial_registered: bool = False
    """Their device's serial number in the device registry, where there is one, is that of ours."""
    named_by_owner: bool = False
    """The names are those of the program's examples; the owner may have given others."""

    @property
    def tells_serial(self) -> bool:
        """Whether the unique ids hold the serial number: they fit one device in the world."""
        return "{serial_number}" in self.unique_id

    def pattern(self, device: Device | None) -> re.Pattern[str] | None:
        """Return what fits the unique ids of a device; ``None``: the device can't be theirs.

        Without a device it fits those of every device.
        """
        address = (device.address if device else None) or ""
        known: Mapping[str, str | None] = {
            "{serial_number}": device.serial_number if device else None,
            "{address}": address or None,
            "{place}": str(int(address) % _IN_FAMILY) if address.isdecimal() else None,
        }
        made = ""
        for part in re.split(r"(\{\w+\}|\*)", self.unique_id):
            if part in _ANY:
                made += _ANY[part]
            elif part not in known:
                made += re.escape(part)
            elif device is None:
                made += _ANY["{any}"]
            elif (value := known[part]) is None:
                return None
            else:
                made += re.escape(value)
        return re.compile(made)

    def fits_any(self, unique_ids: Iterable[str]) -> bool:
        """Return whether one of the unique ids may be of this program, whatever the device."""
        pattern = self.pattern(None)
        assert pattern is not None
        found = (pattern.fullmatch(unique_id) for unique_id in unique_ids)
        return any(one and (self.names is None or one["name"] in self.names) for one in found)


def read_table(family: str) -> tuple[OldIds, ...]:
    """Return a family's table; empty where there is none. Reads a file."""
    path = FAMILIES / family / "old_ids.json"
    if not path.exists():
        return ()
    return tuple(OldIds(**row) for row in json.loads(path.read_text(encoding="utf-8")))
