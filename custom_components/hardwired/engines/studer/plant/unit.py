"""One device of a plant: who it is, where it answers, what is known of it (spec c.6, e.1)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from functools import cache
from types import MappingProxyType
from typing import Any

from ...fields import Catalogue, Value
from ..catalogue import CATALOGUES, KIND_OF, LAST_MINUTE, to_field
from ..datapoints.datapoint import Datapoint, Limits
from ..datapoints.plausibility import BATTERY_VOLTAGES
from ..scom.families import FAMILIES, Family
from ..scom.frame import GATEWAY_ADDRESS
from ..scom.values import WireValue
from .availability import OutcomeClass, PresenceMachine

MANUFACTURER = "Studer Innotec"
REFRESH = 60.0
"""Seconds after which a value is shown that differs from the shown one by noise only."""
HOLD_INTERVALS = 3
"""For how many poll intervals a value is kept that was not read again."""
LEAST_RAM_WRITE: Mapping[Family, tuple[int, int, int]] = {
    Family.XT: (1, 6, 12),
    Family.VT: (1, 6, 14),
    Family.VS: (1, 6, 12),
    Family.BSP: (1, 6, 12),
    Family.BMS: (1, 6, 12),
}
"""The firmware from which property 13 is known (spec a.5)."""
LARGEST_NOMINAL = 1000.0
SURE = 2.0
"""Seconds for which a device is taken to be where it has just said who it is."""
_VERSION = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device has reported of its identity; ``None`` where it did not."""

    fid: str | None = None
    model: str | None = None
    software: str | None = None
    hardware: str | None = None
    nominal_battery: float | None = None
    nominal_ac: float | None = None
    phase: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Identity:
        """Return what :meth:`as_dict` made. Raises :class:`ValueError` when it is not that."""

        def text(key: str) -> str | None:
            value = data.get(key)
            if value is not None and not isinstance(value, str):
                raise ValueError(f"{key} is a text")
            return value

        def number(key: str) -> float | None:
            value = data.get(key)
            if value is None:
                return None
            if type(value) not in (int, float) or not 0 < value < LARGEST_NOMINAL:
                raise ValueError(f"{key} is a voltage")
            return float(value)

        software = text("software")
        if software is not None and not _VERSION.fullmatch(software):
            raise ValueError("software is a version")
        return cls(
            text("fid"), text("model"), software, text("hardware"),
            number("nominal_battery"), number("nominal_ac"), text("phase"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shadow:
    """A value that was written to RAM, which can't be read back (spec e.1).

    ``None``: a write got no answer, and nobody knows what stands there.
    """

    number: float | None
    time: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {"value": self.number, "time": self.time.isoformat()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shadow:
        """Return what :meth:`as_dict` made. Raises an error of its parts when it is not that."""
        value = data["value"]
        number = None if value is None else float(value)
        found = cls(number, datetime.fromisoformat(data["time"]))
        known = found.number is None or math.isfinite(found.number)
        if not known or found.time.tzinfo is None:
            raise ValueError("a shadow is a number with its time")
        return found


@dataclass(slots=True)
class Memory:
    """What stands in a device's RAM and flash, by parameter."""

    shadows: dict[int, Shadow] = field(default_factory=dict)
    flash: dict[int, float] = field(default_factory=dict)
    in_flight: dict[int, Shadow] = field(default_factory=dict)
    """What is being written: unknown to who comes after us, should we be ended meanwhile."""

    def to_keep(self) -> dict[int, Shadow]:
        """Return what is to be stored of the RAM."""
        return {**self.shadows, **self.in_flight}


@dataclass(slots=True)
class Watchdog:
    """A device's own watchdog, which resets it when nobody writes to it (spec e.4)."""

    armed: bool | None = None
    """``None``: it has not said."""
    delay: float = 60.0
    saves_to_flash: bool | None = None
    seen: float = -math.inf
    """When it was asked for, monotonic."""
    fed_at: float = 0.0


@dataclass(slots=True)
class Bounds:
    """The limits of parameters that a device has told."""

    told: dict[int, Limits] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    described: tuple[float, float] | None = None
    """The nominal voltages for which its fields were made."""

    def forget(self) -> None:
        """Forget what was told: it may be another device, or another firmware."""
        self.told.clear()
        self.asked.clear()


@dataclass(slots=True)
class Answers:
    """Which datapoints a device does not have, or does not answer about."""

    unsupported: set[int] = field(default_factory=set)
    bad: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    muted_until: dict[int, float] = field(default_factory=dict)

    def good(self, number: int) -> bool:
        """Note an answer with a value; returns whether the datapoint had been left out."""
        self.bad.pop(number, None)
        self.lost.pop(number, None)
        return self.muted_until.pop(number, None) is not None

    def begin_anew(self) -> None:
        """The device was lost: what did not arrive was no sign of a datapoint."""
        self.lost.clear()
        self.muted_until.clear()


@dataclass(slots=True)
class Tracking:
    """How a device is kept track of; times are monotonic, except of ``lost_at``."""

    last_address: int | None
    """Where it was before it was missed."""
    seated: float = 0.0
    """When it was last identified."""
    sure: float = -math.inf
    """When it last said at its address who it is."""
    next_probe: float | None = None
    denied: bool = False
    """Whether the gateway itself has said that it does not answer, since its last good answer."""
    lost_at: datetime | None = None
    unverified: bool = False
    """Lost only because its identity could not be read."""
    details_pending: bool = False
    """Whether more than its FID has to be read yet: firmware, limits, watchdog."""


class Unit:
    """One device, known by its FID; its address is only where it answers now."""

    def __init__(
        self, unit_id: str, family: Family, address: int | None, identity: Identity
    ) -> None:
        self.id = unit_id
        self.family = family
        self.kind = KIND_OF[family]
        self.address = address
        self.identity = identity
        self.presence = PresenceMachine()
        self.virtual = False
        self.values: dict[str, Value | None] = {}
        """What is shown."""
        self.readings: dict[str, Value | None] = {}
        """What was read last; what is shown may differ by noise."""
        self.fields: Catalogue = CATALOGUES[self.kind]
        """Its fields now, with its own bounds."""
        self.details: dict[str, Mapping[str, Value | None]] = {}
        """What stands in RAM and in flash, by the parameter's key."""
        self.memory = Memory()
        self.watchdog = Watchdog()
        self.bounds = Bounds()
        self.answers = Answers()
        self.tracking = Tracking(address)
        self.wanted: frozenset[str] = frozenset()
        self.only_wanted = False
        """Whether only wanted values are polled, beside those that the sums over the plant need."""
        self._holds: dict[str, float] = {}
        self._next_expiry = math.inf
        """No value is to be removed before that."""
        self._true_at: dict[str, float] = {}
        """When what is shown was last read, by key, on the monotonic clock."""
        self._voltage: float | None = None
        self.changed = True

    @property
    def is_gateway(self) -> bool:
        """Whether this is the Xcom itself."""
        return self.family is Family.RCC

    @property
    def index(self) -> int | None:
        """The aggregation of multi-info for this device alone; ``None`` when it has none."""
        if self.address is None or self.virtual or self.family is Family.RCC:
            return None
        return self.address - FAMILIES[self.family].first + 1

    @property
    def available(self) -> bool:
        """Whether its values may be shown."""
        return self.presence.publishes

    @property
    def voltage(self) -> float | None:
        """Its last good battery voltage, for comparison with the others (G8)."""
        return self._voltage if self.available else None

    def bind(self, address: int, identity: Identity, *, details_pending: bool) -> None:
        """Take the address where it answers now, and what it has said of itself."""
        self.address = address
        self.identity = identity
        self.answers.unsupported.clear()
        self.bounds.forget()
        self.tracking.next_probe = None
        self.tracking.lost_at = None
        self.tracking.details_pending = details_pending
        if details_pending:
            self.watchdog.armed = None

    def unbind(self) -> None:
        """It is at no address that is known; nothing of it is shown."""
        self.presence.lose()
        self.tracking.last_address = self.address or self.tracking.last_address
        self.address = None
        self.tracking.lost_at = None
        self.clear()

    def mark_seen(self, now: float) -> None:
        """It was identified: it is online, whatever was before."""
        self.presence = PresenceMachine()
        self.presence.update(OutcomeClass.GOOD)
        self.tracking.seated = self.tracking.sure = now
        self.tracking.denied = False
        self.changed = True

    def miss(self, moment: datetime, next_probe: float) -> None:
        """It has failed too often: nothing of it is shown, and it is probed again."""
        self.clear()
        self.answers.begin_anew()
        self.tracking.lost_at = moment
        self.tracking.next_probe = next_probe

    def want(self, keys: frozenset[str]) -> bool:
        """Set which values are in use, beside the usual ones; returns whether that is new."""
        changed = self.wanted != keys
        self.wanted = keys
        return changed

    def software_at_least(self, wanted: tuple[int, int, int]) -> bool:
        """Whether its firmware is new enough, or unknown."""
        if self.identity.software is None:
            return True
        return _numbers(self.identity.software) >= wanted

    def put(self, key: str, value: Value | None, until: float) -> None:
        """Set a value, to be held until *until* unless it is renewed."""
        self.readings[key] = value
        self._hold(key, until)
        if self.values.get(key, self) != value:
            self.values[key] = value
            self.changed = True

    def put_reading(self, key: str, value: Value | None, until: float, now: float) -> None:
        """Set a value that may be hidden by its noise, for a minute at most."""
        item, shown = self.fields.get(key), self.values.get(key)
        hidden = (
            item is not None
            and value != shown
            and item.is_noise(shown, value)
            and now - self._true_at.get(key, -math.inf) < REFRESH
        )
        if hidden:
            self.readings[key] = value
            self._hold(key, until)
        else:
            self._true_at[key] = now
            self.put(key, value, until)

    def _hold(self, key: str, until: float) -> None:
        self._holds[key] = until
        self._next_expiry = min(self._next_expiry, until)

    def take_voltage(self, point: Datapoint, value: float) -> None:
        """Remember a battery voltage."""
        if BATTERY_VOLTAGES.get(self.family) == point.id or (
            self.family is Family.BMS and point.id == BATTERY_VOLTAGES[Family.BSP]
        ):
            self._voltage = value

    def expire(self, now: float) -> None:
        """Remove values that were not read again in time."""
        if now <= self._next_expiry:
            return
        expired = [key for key, until in self._holds.items() if until < now]
        for key in expired:
            del self._holds[key]
            self.readings[key] = None
            if self.values.get(key) is not None:
                self.values[key] = None
                self.changed = True
        self._next_expiry = min(self._holds.values(), default=math.inf)

    def clear(self) -> None:
        """Forget all readings: the device is lost."""
        self._voltage = None
        for key in self._holds:
            self.values[key] = self.readings[key] = None
        self._holds.clear()
        self._next_expiry = math.inf
        self.changed = True

    def show(
        self,
        point: Datapoint,
        wire: WireValue,
        until: float,
        zone: tzinfo | None,
        now: float | None = None,
    ) -> None:
        """Publish a good reading; for a parameter written to RAM, the written value.

        With *now*, what differs from what is shown by no more than noise may stay hidden.
        """
        known = point.id not in self.answers.unsupported
        if point.is_parameter and isinstance(wire, (int, float)):
            self.memory.flash[point.id] = float(wire)
            shadow = self.memory.shadows.get(point.id)
            if shadow is not None:
                known = known and shadow.number is not None
                wire = wire if shadow.number is None else as_wire(point, shadow.number)
        value = to_field(point, wire, zone) if known else None
        if now is None or point.is_parameter:
            self.put(point.key, value, until)
        else:
            self.put_reading(point.key, value, until, now)
        if point.is_parameter:
            self.note_details(point, zone)

    def note_details(self, point: Datapoint, zone: tzinfo | None) -> None:
        """Keep what is known of a parameter beyond its value."""
        shadow, flash = self.memory.shadows.get(point.id), self.memory.flash.get(point.id)
        details: dict[str, Value | None] = {}
        if shadow is not None:
            stored = None if flash is None else to_field(point, as_wire(point, flash), zone)
            if shadow.number is not None:
                details["ram_value"] = to_field(point, as_wire(point, shadow.number), zone)
            details["flash_value"] = stored
            details["written"] = shadow.time
        number = flash if shadow is None else shadow.number
        if point.time_of_day and number == LAST_MINUTE:
            # It is shown as 23:59.
            details["minutes"] = LAST_MINUTE
        if details != self.details.get(point.key, {}):
            self.details.pop(point.key, None)
            if details:
                self.details[point.key] = MappingProxyType(details)
            self.changed = True


@cache
def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def as_wire(point: Datapoint, number: float) -> WireValue:
    """Return a number in the type of the datapoint's format."""
    if point.wire_format is not None and point.wire_format.value != "FLOAT":
        return int(number)
    return number


def gateway_unit(unit_id: str) -> Unit:
    """Return the gateway as a device."""
    return Unit(unit_id, Family.RCC, GATEWAY_ADDRESS, Identity())
