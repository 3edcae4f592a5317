"""The devices of a plant and what is known of each (spec c.6, h)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Any

from ...engine import Device, DeviceState
from ...fields import Catalogue, Field, Offer, Value
from ..catalogue import (
    CATALOGUES,
    CONNECTIVITY,
    ENERGY_TOTALS,
    GATEWAY_FIELDS,
    IDENTIFY,
    KIND_OF,
    LAST_MINUTE,
    POWER_SUMS,
    SYSTEM,
    XCOM,
    catalogue_for,
    field_of,
    to_field,
)
from ..datapoints.datapoint import AccessLevel, Datapoint, Limits, Tier, by_id, datapoints
from ..datapoints.limits import limits_of
from ..datapoints.plausibility import BATTERY_VOLTAGES
from ..scom.families import FAMILIES, Family
from ..scom.frame import GATEWAY_ADDRESS
from ..scom.values import WireValue
from .availability import PresenceMachine
from .totals import RunningTotal

MANUFACTURER = "Studer Innotec"
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
        """Return what :meth:`as_dict` made. Raises an error of its parts when it is not that."""

        def text(key: str) -> str | None:
            return str(data[key]) if key in data else None

        def number(key: str) -> float | None:
            return float(data[key]) if key in data else None

        return cls(
            text("fid"), text("model"), text("software"), text("hardware"),
            number("nominal_battery"), number("nominal_ac"), text("phase"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shadow:
    """A value that was written to RAM, which can't be read back (spec e.1)."""

    number: float
    time: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return plain types."""
        return {"value": self.number, "time": self.time.isoformat()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shadow:
        """Return what :meth:`as_dict` made. Raises an error of its parts when it is not that."""
        return cls(float(data["value"]), datetime.fromisoformat(data["time"]))


class Unit:
    """One device, known by its FID; its address is only where it answers now."""

    def __init__(
        self, unit_id: str, family: Family, address: int | None, identity: Identity
    ) -> None:
        self.id = unit_id
        self.family = family
        self.kind = KIND_OF[family]
        self.address = address
        self.last_address = address
        """Where it was before it was missed."""
        self.identity = identity
        self.presence = PresenceMachine()
        self.values: dict[str, Value | None] = {}
        self.fields: Catalogue = CATALOGUES[self.kind]
        """Its fields now, with its own bounds."""
        self.details: dict[str, Mapping[str, Value | None]] = {}
        """What stands in RAM and in flash, by the parameter's key."""
        self.flash: dict[int, float] = {}
        self.shadows: dict[int, Shadow] = {}
        self.told_limits: dict[int, Limits] = {}
        self.asked_limits: set[int] = set()
        self.unsupported: set[int] = set()
        self.bad_answers: Counter[int] = Counter()
        self.lost_answers: Counter[int] = Counter()
        self.muted_until: dict[int, float] = {}
        self.watched: frozenset[str] = frozenset()
        self.only_watched = False
        """Whether only wanted values are polled, beside those that the sums over the plant need."""
        self.watchdog: bool | None = None
        self.watchdog_delay = 60.0
        self.watchdog_seen = -math.inf
        self.saves_to_flash: bool | None = None
        self.described: tuple[float, float] | None = None
        """The nominal voltages for which its fields were made."""
        self.last_keepalive: float = 0.0
        self.next_probe: float | None = None
        self.lost_at: datetime | None = None
        self.details_pending = False
        """Whether more than its FID has to be read yet: firmware, limits, watchdog."""
        self.virtual = False
        self.seated = 0.0
        """When it was last identified, on the monotonic clock."""
        self.unverified = False
        """Lost only because its identity could not be read."""
        self._holds: dict[str, float] = {}
        self._voltage: float | None = None
        self.changed = True

    @property
    def is_gateway(self) -> bool:
        """Whether this is the Xcom itself."""
        return self.family is Family.RCC

    @property
    def index(self) -> int | None:
        """The aggregation of multi-info for this device alone; ``None`` when it has none."""
        if self.address is None or self.virtual or self.is_gateway:
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

    def software_at_least(self, wanted: tuple[int, int, int]) -> bool:
        """Whether its firmware is new enough, or unknown."""
        if self.identity.software is None:
            return True
        return tuple(map(int, self.identity.software.split("."))) >= wanted

    def put(self, key: str, value: Value | None, until: float) -> None:
        """Set a value, to be held until *until* unless it is renewed."""
        if self.values.get(key, self) != value or key not in self.values:
            self.values[key] = value
            self.changed = True
        self._holds[key] = until

    def take_voltage(self, point: Datapoint, value: float) -> None:
        """Remember a battery voltage."""
        if BATTERY_VOLTAGES.get(self.family) == point.id or (
            self.family is Family.BMS and point.id == BATTERY_VOLTAGES[Family.BSP]
        ):
            self._voltage = value

    def expire(self, now: float) -> None:
        """Remove values that were not read again in time."""
        for key in [key for key, until in self._holds.items() if until < now]:
            del self._holds[key]
            if self.values.get(key) is not None:
                self.values[key] = None
                self.changed = True

    def clear(self) -> None:
        """Forget all readings: the device is lost."""
        self._voltage = None
        for key in self._holds:
            self.values[key] = None
        self._holds.clear()
        self.changed = True

    def show(self, point: Datapoint, wire: WireValue, until: float, zone: tzinfo | None) -> None:
        """Publish a good reading; for a parameter written to RAM, the written value."""
        if point.is_parameter and isinstance(wire, (int, float)):
            self.flash[point.id] = float(wire)
            shadow = self.shadows.get(point.id)
            if shadow is not None:
                wire = as_wire(point, shadow.number)
        value = None if point.id in self.unsupported else to_field(point, wire, zone)
        self.put(point.key, value, until)
        if point.is_parameter:
            self.note_details(point, zone)

    def note_details(self, point: Datapoint, zone: tzinfo | None) -> None:
        """Keep what is known of a parameter beyond its value."""
        shadow, flash = self.shadows.get(point.id), self.flash.get(point.id)
        details: dict[str, Value | None] = {}
        if shadow is not None:
            stored = None if flash is None else to_field(point, as_wire(point, flash), zone)
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


def as_wire(point: Datapoint, number: float) -> WireValue:
    """Return a number in the type of the datapoint's format."""
    if point.wire_format is not None and point.wire_format.value != "FLOAT":
        return int(number)
    return number


class Plant:
    """All devices behind one gateway."""

    def __init__(
        self,
        zone: tzinfo | None,
        level: AccessLevel,
        requested: frozenset[tuple[Family, int]] = frozenset(),
    ) -> None:
        self._zone = zone
        self._level = level
        self._requested = requested
        self.units: dict[str, Unit] = {}
        self.gateway: Unit | None = None
        self.guid: str | None = None
        self.nominal_battery = 48.0
        self.nominal_ac = 230.0
        self.totals: dict[str, RunningTotal] = {key: RunningTotal() for key in ENERGY_TOTALS}
        self._states: dict[str, DeviceState] = {}

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units.values())

    def real_units(self) -> Iterator[Unit]:
        """Return the devices that have an address of their own, the gateway not included."""
        return (unit for unit in self.units.values() if not unit.is_gateway and not unit.virtual)

    def of_family(self, family: Family) -> list[Unit]:
        """Return the single devices of a family."""
        return [unit for unit in self.real_units() if unit.family is family]

    def at(self, address: int) -> Unit | None:
        """Return the device that answers at an address."""
        return next((unit for unit in self.units.values() if unit.address == address), None)

    def voltages(self) -> list[float]:
        """Return the known battery voltages of all available devices."""
        return [unit.voltage for unit in self.real_units() if unit.voltage is not None]

    def limits(self, unit: Unit, point: Datapoint) -> Limits:
        """Return the limits of a parameter: the device's own, else the table's."""
        return unit.told_limits.get(point.id) or limits_of(
            point, self.nominal_battery, self.nominal_ac
        )

    def bounds(self, unit: Unit, point: Datapoint) -> Limits:
        """Return the limits of a parameter of this one device, never wider than the table's."""
        told = self.limits(unit, point)
        table = limits_of(point, self.nominal_battery, self.nominal_ac)
        low = max((x for x in (told.minimum, table.minimum) if x is not None), default=None)
        high = min((x for x in (told.maximum, table.maximum) if x is not None), default=None)
        if low is not None and high is not None and low > high:
            return told
        return replace(told, minimum=low, maximum=high)

    def describe(self, unit: Unit, points: Iterable[Datapoint] = ()) -> None:
        """Give a device its fields: for its plant's voltages, with its own bounds of *points*.

        Those that the owner has asked for are offered like the usual ones.
        """
        nominal = (self.nominal_battery, self.nominal_ac)
        fields = unit.fields
        if unit.described != nominal:
            unit.described = nominal
            fields = catalogue_for(unit.kind, *nominal)
            asked = (number for family, number in self._requested if family is unit.family)
            found = (by_id(unit.family, number) for number in (*asked, *unit.told_limits))
            points = [point for point in found if point is not None]
        changed: list[Field] = []
        for point in points:
            item = field_of(point, self.bounds(unit, point))
            if (unit.family, point.id) in self._requested:
                item = replace(item, offer=Offer.DEFAULT)
            changed.append(item)
        fields = fields.with_fields(changed)
        if fields is not unit.fields:
            unit.fields = fields
            unit.changed = True

    def describe_all(self) -> None:
        """Give every device its fields anew: the nominal voltages may have changed."""
        for unit in self.units.values():
            self.describe(unit)

    def shown_points(self, unit: Unit) -> Iterator[Datapoint]:
        """Return the datapoints that this device shows, whether they are polled or not."""
        for point in datapoints(unit.family):
            if point.id in unit.unsupported:
                continue
            wanted = (unit.family, point.id) in self._requested
            offered = CATALOGUES[unit.kind][point.key].offer in (Offer.DEFAULT, Offer.EXTRA)
            if point.guarded or not (wanted or offered):
                continue
            if not point.readable and not point.signal:
                continue
            if point.is_parameter and not self.permits(point) and not unit.is_gateway:
                continue
            yield point

    def permits(self, point: Datapoint) -> bool:
        """Whether the chosen level allows a parameter."""
        return point.level.rank <= self._level.rank

    def device(self, unit: Unit) -> Device:
        """Return a device as the faces know it."""
        gateway = self.gateway
        identity = unit.identity
        return Device(
            id=unit.id,
            kind=unit.kind,
            name=self.name(unit),
            manufacturer=MANUFACTURER,
            model=identity.model or FAMILIES[unit.family].name,
            serial_number=identity.fid,
            sw_version=identity.software,
            hw_version=identity.hardware,
            via=None if unit.is_gateway or gateway is None else gateway.id,
            address=None if unit.address is None else str(unit.address),
        )

    def name(self, unit: Unit) -> str:
        """Return how a device is called."""
        if unit.is_gateway:
            return "Xcom"
        info = FAMILIES[unit.family]
        if unit.virtual:
            return f"{info.name} {unit.identity.phase}"
        address = unit.address
        if address is None and unit.last_address and self.at(unit.last_address) is None:
            address = unit.last_address
        if info.first == info.last or address is None:
            return info.name
        name = f"{info.name} {address - info.first + 1}"
        return f"{name} {unit.identity.phase}" if unit.identity.phase else name

    def states(self) -> Mapping[str, DeviceState]:
        """Return all devices as they are now; parts that did not change are the same objects."""
        states: dict[str, DeviceState] = {}
        for unit in self.units.values():
            state = self._states.get(unit.id)
            if state is None or unit.changed:
                state = self._state(unit)
                unit.changed = False
            states[unit.id] = state
        if self.gateway is not None and any(True for _ in self.real_units()):
            system = self._system(self.gateway)
            states[system.device.id] = system
        self._states = states
        return MappingProxyType(dict(states))

    def _state(self, unit: Unit) -> DeviceState:
        available = unit.available
        values = dict(unit.values)
        values[CONNECTIVITY] = available
        # The connectivity of a device has a value even while the device is lost.
        return DeviceState(
            self.device(unit),
            MappingProxyType(values),
            available,
            fields=unit.fields,
            details=MappingProxyType(dict(unit.details)),
        )

    def _system(self, gateway: Unit) -> DeviceState:
        device = Device(
            id=f"{gateway.id}_system",
            kind=SYSTEM,
            name="Studer system",
            manufacturer=MANUFACTURER,
            via=gateway.id,
        )
        values: dict[str, Value | None] = {}
        for key, sources in POWER_SUMS.items():
            units = self._sources(sources)
            if units:
                values[key] = _sum(units, sources)
        for key, sources in ENERGY_TOTALS.items():
            if self._sources(sources):
                values[key] = round(self.totals[key].total, 4)
        return DeviceState(
            device, MappingProxyType(values), gateway.available, fields=CATALOGUES[SYSTEM]
        )

    def _sources(self, sources: Mapping[Family, int]) -> list[Unit]:
        return [unit for unit in self.real_units() if unit.family in sources]

    def count_energy(
        self, unit: Unit, point: Datapoint, value: float, moment: datetime | None = None
    ) -> bool:
        """Take a good reading of a day counter; returns whether it is one."""
        for key, sources in ENERGY_TOTALS.items():
            if not unit.virtual and sources.get(unit.family) == point.id:
                self.totals[key].update(unit.id, value, moment)
                return True
        return False

    def prepare(self, unit: Unit) -> None:
        """Give a device the keys of all that it shows, so that entities can be made."""
        self.describe(unit)
        for point in self.shown_points(unit):
            unit.values.setdefault(point.key, None)
            if point.id in unit.shadows:
                unit.note_details(point, self._zone)
        if unit.kind == XCOM:
            for item in GATEWAY_FIELDS:
                unit.values.setdefault(item.key, None)
        elif not unit.virtual:
            unit.values.setdefault(IDENTIFY, None)
        unit.changed = True


def _sum(units: Iterable[Unit], sources: Mapping[Family, int]) -> float | None:
    total = 0.0
    for unit in units:
        key = _key(unit.family, sources[unit.family])
        value = unit.values.get(key)
        if not unit.available or not isinstance(value, (int, float)):
            return None
        total += value
    return round(total, 6)


def _key(family: Family, number: int) -> str:
    point = by_id(family, number)
    assert point is not None
    return point.key


_NEEDED: Mapping[Family, frozenset[int]] = {
    family: frozenset(
        number
        for sources in (*POWER_SUMS.values(), *ENERGY_TOTALS.values(), BATTERY_VOLTAGES)
        for one, number in sources.items()
        if one is family or (one is Family.BSP and family is Family.BMS)
    )
    for family in Family
}
"""What the sums over the plant and the comparison of battery voltages need."""


def polled(unit: Unit, point: Datapoint, requested: frozenset[tuple[Family, int]]) -> bool:
    """Whether a shown datapoint is read regularly: the core ones, and the wanted ones."""
    if not point.readable or (unit.virtual and point.is_parameter):
        return False
    if unit.only_watched:
        return point.key in unit.watched or point.id in _NEEDED[unit.family]
    return (
        point.shown.tier is Tier.CORE
        or (unit.family, point.id) in requested
        or point.key in unit.watched
    )


def gateway_unit(unit_id: str) -> Unit:
    """Return the gateway as a device."""
    return Unit(unit_id, Family.RCC, GATEWAY_ADDRESS, Identity())
