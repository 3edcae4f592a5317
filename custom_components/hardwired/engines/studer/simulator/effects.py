"""What the signals do to a simulated device, beyond being stored (spec e.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..datapoints.datapoint import Datapoint
from ..scom.families import Family
from .devices import Device
from .machines import Counter, Monitor, Solar, Xtender
from .plant import Cycle, Plant

_CYCLES: Mapping[int, Cycle] = {
    1142: Cycle.BULK, 10029: Cycle.BULK, 14028: Cycle.BULK,
    10010: Cycle.ABSORPTION, 14010: Cycle.ABSORPTION,
    1162: Cycle.EQUALIZATION, 10018: Cycle.EQUALIZATION, 14018: Cycle.EQUALIZATION,
    1467: Cycle.FLOATING, 10006: Cycle.FLOATING, 14006: Cycle.FLOATING,
}  # fmt: skip
_FACTORY = frozenset({1287, 1395, 10056, 10057, 14067, 14068, 6004, 6005})
_RESTARTS = frozenset({1468, 10051, 14059})
_OUTPUTS: Mapping[int, bool] = {1399: False, 1415: True}
_SOLAR_SWITCHES: Mapping[int, bool] = {
    10039: True, 10040: False, 14038: True, 14039: False,
}  # fmt: skip
_METERS: Mapping[int, str] = {
    10043: "today", 14051: "today", 10200: "user", 14182: "user", 10201: "total", 14183: "total",
}  # fmt: skip
_ENERGIES = ("energy", "energy1", "energy2")


class Bus(Protocol):
    """What a signal may reach beyond the device that got it."""

    plant: Plant

    def of_family(self, family: Family) -> list[Device]:
        """Return the devices of a family that can be reached."""

    def restart_device(self, device: Device, now: float) -> None:
        """Let a device reset itself."""


def take_effect(bus: Bus, device: Device, point: Datapoint, now: float) -> None:
    """Carry out the immediate effect of a parameter that was just written."""
    if point.id in _CYCLES:
        bus.plant.enter_cycle(_CYCLES[point.id])
    elif point.id in _FACTORY:
        device.parameters.reset()
    elif point.id in _RESTARTS:
        for other in bus.of_family(device.family):
            bus.restart_device(other, now)
    match device.machine:
        case Xtender() if point.id in _OUTPUTS:
            for unit in bus.plant.xtenders:
                unit.switched_on = _OUTPUTS[point.id]
        case Solar() as solar:
            _solar_effect(solar, point)
        case Monitor() as monitor if point.id == 6003:
            for name in monitor.counters:
                monitor.counters[name] = Counter()
        case Monitor() as monitor if point.id == 6031:
            for counter in monitor.counters.values():
                counter.user = 0.0
        case _:
            pass


def _solar_effect(solar: Solar, point: Datapoint) -> None:
    if point.id in _SOLAR_SWITCHES:
        solar.switched_on = _SOLAR_SWITCHES[point.id]
    elif point.id in (10044, 14052):
        sample = solar.sample()
        for name, track in solar.tracks.items():
            track.end_day(sample.get(name, 0.0))
    elif point.id in _METERS:
        meter = _METERS[point.id]
        names = (*_ENERGIES, "charge") if meter == "today" else _ENERGIES
        for name in names:
            setattr(solar.counter(name), meter, 0.0)
