"""The devices of a plant and what is known of each (spec c.6, h)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import tzinfo
from types import MappingProxyType

from ...engine import Device, DeviceState
from ...fields import Field, Offer
from ..catalogue import (
    CATALOGUES,
    CONNECTIVITY,
    GATEWAY_FIELDS,
    IDENTIFY,
    KIND_OF,
    XCOM,
    catalogue_for,
    field_of,
)
from ..datapoints.datapoint import AccessLevel, Datapoint, Limits, Tier, by_id, datapoints
from ..datapoints.limits import limits_of
from ..scom.families import FAMILIES, Family
from .system import MONITORS, System, needed
from .unit import MANUFACTURER, Unit


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
        self.system = System()
        self._states: dict[str, DeviceState] = {}
        self._offers: dict[Family, tuple[Datapoint, ...]] = {}

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units.values())

    def real_units(self) -> Iterator[Unit]:
        """Return the devices that have an address of their own, the gateway not included."""
        return (unit for unit in self.units.values() if not unit.is_gateway and not unit.virtual)

    def of_family(self, family: Family) -> list[Unit]:
        """Return the single devices of a family."""
        return [unit for unit in self.real_units() if unit.family is family]

    def reached(self, unit: Unit) -> list[Unit]:
        """Return the devices that a write to this one reaches: several for a phase.

        Those that have not told their phase may be of it.
        """
        if not unit.virtual:
            return [unit]
        phases = (None, unit.identity.phase)
        return [one for one in self.of_family(unit.family) if one.identity.phase in phases]

    def at(self, address: int) -> Unit | None:
        """Return the device that answers at an address."""
        return next((unit for unit in self.units.values() if unit.address == address), None)

    def voltages(self) -> list[float]:
        """Return the known battery voltages of all available devices."""
        return [unit.voltage for unit in self.real_units() if unit.voltage is not None]

    def limits(self, unit: Unit, point: Datapoint) -> Limits:
        """Return the limits of a parameter: the device's own, else the table's."""
        return unit.bounds.told.get(point.id) or limits_of(
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
        if unit.bounds.described != nominal:
            unit.bounds.described = nominal
            fields = catalogue_for(unit.kind, *nominal)
            asked = (number for family, number in self._requested if family is unit.family)
            found = (by_id(unit.family, number) for number in (*asked, *unit.bounds.told))
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
        unsupported = unit.answers.unsupported
        return (point for point in self._offered(unit.family) if point.id not in unsupported)

    def _offered(self, family: Family) -> tuple[Datapoint, ...]:
        """Return the datapoints that any device of a family shows.

        They are the same for the life of the plant, and every new poll plan asks for them.
        """
        found = self._offers.get(family)
        if found is None:
            found = self._offers[family] = tuple(filter(self._offers_point, datapoints(family)))
        return found

    def _offers_point(self, point: Datapoint) -> bool:
        family = point.family
        wanted = (family, point.id) in self._requested
        offered = CATALOGUES[KIND_OF[family]][point.key].offer in (Offer.DEFAULT, Offer.EXTRA)
        if point.guarded or not (wanted or offered):
            return False
        if not point.readable and not point.signal:
            return False
        return not point.is_parameter or family is Family.RCC or self.permits(point)

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
        if (
            address is None
            and unit.tracking.last_address
            and self.at(unit.tracking.last_address) is None
        ):
            address = unit.tracking.last_address
        if info.first == info.last or address is None:
            return info.name
        name = f"{info.name} {address - info.first + 1}"
        return f"{name} {unit.identity.phase}" if unit.identity.phase else name

    @property
    def monitored(self) -> bool:
        """Whether a battery monitor measures what flows into the battery."""
        return any(unit.family in MONITORS for unit in self.real_units())

    def states(self, now: float, *, quiet: bool = True) -> Mapping[str, DeviceState]:
        """Return all devices as they are now; parts that did not change are the same objects.

        *now* is on the monotonic clock. *quiet*: sums that move by noise only stay as they were.
        """
        before = self._states
        changed = False
        states: dict[str, DeviceState] = {}
        for unit in self.units.values():
            state = before.get(unit.id)
            if state is None or unit.changed:
                state = self._state(unit)
                unit.changed = False
                changed = True
            states[unit.id] = state
        real = list(self.real_units())
        if self.gateway is not None and real:
            system = self.system.state(self.gateway, real, now, changed=changed, quiet=quiet)
            states[system.device.id] = system
        self._states = states
        return MappingProxyType(states)

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

    def prepare(self, unit: Unit) -> None:
        """Give a device the keys of all that it shows, so that entities can be made."""
        self.describe(unit)
        for point in self.shown_points(unit):
            unit.values.setdefault(point.key, None)
            if point.id in unit.memory.shadows:
                unit.note_details(point, self._zone)
        if unit.kind == XCOM:
            for item in GATEWAY_FIELDS:
                unit.values.setdefault(item.key, None)
        elif not unit.virtual:
            unit.values.setdefault(IDENTIFY, None)
        unit.changed = True


def polled(
    unit: Unit, point: Datapoint, requested: frozenset[tuple[Family, int]], *, monitored: bool
) -> bool:
    """Whether a shown datapoint is read regularly: the core ones, and the wanted ones."""
    if not point.readable or (unit.virtual and point.is_parameter):
        return False
    if not unit.virtual and point.id in needed(unit.family, monitored=monitored):
        return True
    if unit.only_wanted:
        return point.key in unit.wanted
    return (
        point.shown.tier is Tier.CORE
        or (unit.family, point.id) in requested
        or point.key in unit.wanted
    )
