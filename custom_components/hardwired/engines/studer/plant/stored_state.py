"""What an engine keeps over restarts, in one small dictionary of plain types.

Shadows of RAM values, devices that were away, flash writes per parameter, the last message seen,
the devices with their addresses and identities, the serial settings that worked, energy totals.
What can't be read is dropped; it is never an error.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ...clock import Clock
from ...storage import Storage, store_now
from ..datapoints.datapoint import Limits, by_id
from ..datapoints.limits import encode_checked
from ..scom.families import FAMILIES, Family
from .unit import Identity, Shadow

_LOGGER = logging.getLogger(__name__)
_UNREADABLE = Shadow(None, datetime.fromtimestamp(0, UTC))
"""Something was written, but not what."""
_DAMAGED = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


def _section(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def _address_of(seat: Any) -> object:
    return seat[1] if isinstance(seat, (list, tuple)) and len(seat) > 1 else None


class StoredState:
    """The stored dictionary, by subject."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        try:
            data = storage.load()
            self._data = dict(data) if isinstance(data, Mapping) else {}
        except Exception:
            _LOGGER.exception("What was stored can't be read; starting without")
            self._data = {}

    def _save(self) -> None:
        try:
            self._storage.save(self._data)
        except Exception:
            _LOGGER.exception("Can't store")

    def _put(self, name: str, value: Any) -> None:
        if self._data.get(name) != value:
            self._data = {**self._data, name: value}
            self._save()

    async def now(self, clock: Clock) -> None:
        """Have all this on the disk, where there is one."""
        await store_now(self._storage, clock)

    def shadows(self, unit: str, family: Family) -> dict[int, Shadow]:
        """Return the RAM values of a device, by parameter.

        They may be written again: one that its parameter does not take is none.
        """
        found: dict[int, Shadow] = {}
        for number, entry in _section(_section(self._data, "shadows"), unit).items():
            with suppress(*_DAMAGED):
                point = by_id(family, int(number))
                if point is None or not point.writable or point.signal:
                    continue
                found[point.id] = _UNREADABLE
                shadow = Shadow.from_dict(entry)
                if shadow.number is not None:
                    encode_checked(point, shadow.number, Limits(), allow_guarded=True)
                found[point.id] = shadow
        return found

    def keep_shadows(self, unit: str, shadows: Mapping[int, Shadow]) -> None:
        """Store the RAM values of a device."""
        everything = _section(self._data, "shadows")
        if shadows:
            everything[unit] = {str(key): shadow.as_dict() for key, shadow in shadows.items()}
        else:
            everything.pop(unit, None)
        self._put("shadows", everything)

    def absence(self, unit: str) -> bool | None:
        """Return whether the gateway has said that a missed device is away.

        ``False``: it was silent only; ``None``: it is not missed.
        """
        found = _section(self._data, "away").get(unit)
        return found if isinstance(found, bool) else None

    def note_absence(self, unit: str, *, certain: bool) -> None:
        """Store that a device is missed; *certain*: the gateway says so itself."""
        if self.absence(unit) is None or certain:
            self._put("away", {**_section(self._data, "away"), unit: certain})

    def end_absence(self, unit: str) -> None:
        """Store that a device was identified again."""
        away = _section(self._data, "away")
        if away.pop(unit, None) is not None:
            self._put("away", away)

    def flash_writes(self, unit: str, parameter: int) -> int:
        """Return how often a parameter of a device was written into flash."""
        with suppress(*_DAMAGED):
            return int(_section(_section(self._data, "flash_writes"), unit).get(str(parameter), 0))
        return 0

    def most_written(self) -> tuple[str, int, int] | None:
        """Return device, parameter and count of the most written one."""
        found: list[tuple[int, str, int]] = []
        with suppress(*_DAMAGED):
            for unit, counts in _section(self._data, "flash_writes").items():
                found += [(int(count), unit, int(number)) for number, count in counts.items()]
        if not found:
            return None
        count, unit, number = max(found)
        return unit, number, count

    @property
    def flash_origin(self) -> str | None:
        """What asked for the last flash write, where that is known: an automation."""
        found = self._data.get("flash_origin")
        return found if isinstance(found, str) else None

    @flash_origin.setter
    def flash_origin(self, origin: str) -> None:
        self._put("flash_origin", origin)

    def flash_writes_since(self, unit: str, parameter: int, now: float, seconds: float) -> int:
        """Return how often a parameter was written into flash in the last *seconds*.

        *now* is in seconds of the epoch; the wall clock may have jumped, forth or back.
        """
        return sum(1 for at in self._flash_times(unit, parameter) if abs(now - at) < seconds)

    def _flash_times(self, unit: str, parameter: int) -> list[float]:
        with suppress(*_DAMAGED):
            times = _section(_section(self._data, "flash_times"), unit).get(str(parameter), [])
            return [float(at) for at in times if math.isfinite(float(at))]
        return []

    def count_flash_write(self, unit: str, parameter: int, now: float) -> None:
        """Count one more; stored before the write goes out."""
        lately = _section(self._data, "flash_times")
        times = [at for at in self._flash_times(unit, parameter) if abs(now - at) < 86_400.0]
        lately[unit] = {**_section(lately, unit), str(parameter): [*times, round(now, 1)]}
        self._put("flash_times", lately)
        everything = _section(self._data, "flash_writes")
        counts = _section(everything, unit)
        counts[str(parameter)] = self.flash_writes(unit, parameter) + 1
        everything[unit] = counts
        self._put("flash_writes", everything)

    @property
    def last_message(self) -> tuple[int, int, int] | None:
        """Source, time and number of the newest message seen."""
        with suppress(*_DAMAGED):
            source, time, number = self._data["last_message"]
            return int(source), int(time), int(number)
        return None

    @last_message.setter
    def last_message(self, identity: tuple[int, int, int]) -> None:
        self._put("last_message", list(identity))

    @property
    def no_messages(self) -> bool:
        """Whether the gateway had no messages when it was last asked, not even the last seen."""
        return self._data.get("no_messages") is True

    @no_messages.setter
    def no_messages(self, none: bool) -> None:
        if none or self.no_messages:
            self._put("no_messages", none)

    @property
    def gateway(self) -> str | None:
        """The identity given to the gateway."""
        found = self._data.get("gateway")
        return found if isinstance(found, str) else None

    @gateway.setter
    def gateway(self, identity: str) -> None:
        self._put("gateway", identity)

    @property
    def gateway_restarted(self) -> bool | None:
        """Whether the gateway last said that it has restarted; ``None``: it has not said yet."""
        found = self._data.get("gateway_restarted")
        return found if isinstance(found, bool) else None

    @gateway_restarted.setter
    def gateway_restarted(self, restarted: bool) -> None:
        self._put("gateway_restarted", restarted)

    @property
    def serial(self) -> str | None:
        """The serial settings that worked last."""
        found = self._data.get("serial")
        return found if isinstance(found, str) else None

    @serial.setter
    def serial(self, settings: str) -> None:
        self._put("serial", settings)

    @property
    def multi_info(self) -> bool:
        """Whether the gateway answered many values at once when it was last asked."""
        return self._data.get("multi_info") is True

    @multi_info.setter
    def multi_info(self, known: bool) -> None:
        self._put("multi_info", known)

    @property
    def multi_info_possible(self) -> bool:
        """Whether the gateway may answer many values at once: it has not refused to."""
        return self._data.get("multi_info") is not False

    @property
    def seats(self) -> dict[tuple[Family, int], str]:
        """Which device was last seen at which address."""
        found: dict[tuple[Family, int], str] = {}
        for unit, seat in _section(self._data, "seats").items():
            with suppress(*_DAMAGED):
                family, address = Family(seat[0]), int(seat[1])
                if address in FAMILIES[family].addresses:
                    found[family, address] = str(unit)
        return found

    def keep_seat(self, unit: str, family: Family, address: int) -> None:
        """Store that a device answers at an address, and no other."""
        others = {
            name: other
            for name, other in _section(self._data, "seats").items()
            if name != unit and _address_of(other) != address
        }
        self._put("seats", {**others, unit: [family.value, address]})

    @property
    def fids(self) -> frozenset[str]:
        """The identities of all devices that this plant has ever had."""
        return frozenset(_section(self._data, "identities"))

    def identity(self, fid: str) -> Identity | None:
        """Return the stored identity of a device."""
        found = _section(self._data, "identities").get(fid)
        with suppress(*_DAMAGED):
            if found is not None:
                identity = Identity.from_dict(found)
                return identity if identity.fid == fid else None
        return None

    def keep_identity(self, identity: Identity) -> None:
        """Store the identity of a device; one without a FID could not be found again."""
        if identity.fid is not None:
            everything = _section(self._data, "identities")
            self._put("identities", {**everything, identity.fid: identity.as_dict()})

    @property
    def totals(self) -> dict[str, Mapping[str, Any]]:
        """The states of the energy totals."""
        return _section(self._data, "totals")

    @totals.setter
    def totals(self, totals: Mapping[str, Mapping[str, Any]]) -> None:
        self._put("totals", dict(totals))

    @property
    def totals_as_of(self) -> datetime | None:
        """When the energy totals were last counted up."""
        with suppress(*_DAMAGED):
            found = datetime.fromisoformat(self._data["totals_as_of"])
            return found if found.tzinfo is not None else None
        return None

    @totals_as_of.setter
    def totals_as_of(self, moment: datetime | None) -> None:
        if moment is not None:
            self._put("totals_as_of", moment.isoformat(timespec="seconds"))

    @property
    def clock_set(self) -> str | None:
        """The day on which the plant's clock was last set."""
        found = self._data.get("clock_set")
        return found if isinstance(found, str) else None

    @clock_set.setter
    def clock_set(self, day: str) -> None:
        self._put("clock_set", day)
