"""What the simulated devices did in the last two weeks, five minutes apart.

The inverter's past is that of the very house that is simulated; the plant's and the ventilation
unit's come from the simulators' models of a day, in virtual time; the van's from a few curves.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from .home_assistant import ROOT

try:
    import hardwired_engines  # noqa: F401
except ImportError:  # the interpreter of Home Assistant: the engines lie in the source
    sys.path.insert(0, str(ROOT / "standalone" / "src"))

if TYPE_CHECKING:
    from hardwired_engines.sunsynk.simulator.plant import Plant

DAYS = 14
STEP = timedelta(minutes=5)
EMPTY_FOR = timedelta(hours=18)
"""Before now, within which nobody was in the van."""
WATER_ON_FOR = timedelta(minutes=50)
"""Before now, within which its owner has the water heated from afar."""

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Past:
    """What a family's entities said, by the ends of their unique ids; a row each five minutes.

    ``meters`` are counters, in the entity's own unit; they begin anywhere. ``true``: it is the past
    of the device itself, which leads to what that says now.
    """

    rows: Sequence[tuple[datetime, Values]]
    meters: frozenset[str] = frozenset()
    true: bool = False


def times(now: datetime) -> list[datetime]:
    """Return the moments, from the first day's midnight to *now*, in its zone."""
    end = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = (midnight - timedelta(days=DAYS)).astimezone(UTC)
    count = (end - begin) // STEP + 1
    return [(begin + number * STEP).astimezone(now.tzinfo) for number in range(count)]


METERS = {
    f"_{key}": key
    for key in (
        "pv_production_total", "load_consumption_total", "grid_import_total",
        "grid_export_total", "battery_charge_total", "battery_discharge_total",
    )
}  # fmt: skip


def house(moments: Sequence[datetime]) -> Past:
    """Return the past of the simulated inverter's house, to the same watt."""
    from hardwired_engines.sunsynk.simulator.world import Simulation  # noqa: PLC0415
    from hardwired_engines.sunsynk.sources.simulated import WEEKS  # noqa: PLC0415

    (dongle,) = Simulation(weeks=WEEKS).dongles()
    return Past(_lived(dongle.plant, moments), frozenset(METERS), true=True)


def _lived(plant: Plant, moments: Sequence[datetime]) -> list[tuple[datetime, Values]]:
    """Return what a house does at the moments: sun by day, a battery between, the grid behind."""
    rows: list[tuple[datetime, Values]] = []
    plant.begin(moments[-1].replace(tzinfo=None))
    for moment in moments:
        plant.advance(moment.replace(tzinfo=None))
        flows = plant.flows
        rows.append(
            (
                moment,
                {
                    "_pv_power": flows.pv,
                    "_load_power": flows.load,
                    "_grid_power": flows.grid,
                    "_battery_power": flows.battery,
                    "_battery_soc": plant.soc,
                    **{ending: plant.energy[key] / 1000 for ending, key in METERS.items()},
                },
            )
        )
    return rows


def plant(moments: Sequence[datetime]) -> Past:
    """Return a Studer plant's past: a bigger house of the same kind, in kW."""
    from hardwired_engines.sunsynk.simulator.plant import Plant, PlantSettings  # noqa: PLC0415

    settings = PlantSettings(pv_peak=9000.0, battery_wh=14000.0)
    rows = [
        (
            moment,
            {
                "_system_pv_power": told["_pv_power"] / 1000,
                "_system_output_active_power": told["_load_power"] / 1000,
                "_system_input_active_power": max(told["_grid_power"], 0.0) / 1000,
                "_system_battery_power": told["_battery_power"] / 1000,
                "_7002": told["_battery_soc"],
            },
        )
        for moment, told in _lived(Plant(settings, Random(11), weeks=2), moments)
    ]
    return Past(rows)


def ventilation(moments: Iterable[datetime]) -> Past:
    """Return an Ecolution's past: showers, a compressor, the fan that follows the humidity."""
    from hardwired_engines.inventum.simulator.day import House  # noqa: PLC0415

    inside = House(hour=0.0)
    columns = {
        "_log_temp_boiler_boven_c": "Temp. boiler boven (C)",
        "_log_temp_afvoerlucht_c": "Temp. afvoerlucht (C)",
        "_log_temp_buitenlucht_c": "Temp. buitenlucht (C)",
        "_log_rv_afvoerlucht": "RV afvoerlucht (%)",
        "_log_vermogen_w": "Vermogen (W)",
        "_log_energie_kwh": "Energie (kWh)",
    }
    rows = []
    for moment in moments:
        inside.hour = moment.hour + moment.minute / 60
        position = 3 if inside.humidity > 65 else 2 if 7 <= moment.hour < 22 else 1
        inside.look(moment.timestamp(), position)
        told = inside.values(position)
        rows.append((moment, {ending: float(told[name]) for ending, name in columns.items()}))
    return Past(rows, frozenset({"_log_energie_kwh"}))


def van(moments: Sequence[datetime]) -> Past:
    """Return a van's past: evenings by the heater, hot water in the morning, empty since a while.

    Its owner has the water heated from afar before the end of it, and the van at its end.
    """
    chance = Random(5)
    left = moments[-1] - EMPTY_FOR
    room, water = 12.0, 15.0
    rows = []
    for moment in moments:
        hour = moment.hour + moment.minute / 60
        outside = 7.0 + 4.0 * math.sin((hour - 9.0) / 24.0 * 2 * math.pi)
        wished = 20.0 if 7 <= hour < 10 or 17 <= hour < 23 else 16.0 if hour < 7 else 10.0
        there = moment < left
        heated = there and room < wished
        room += (wished - room) * 0.14 if heated else (outside + 2.0 - room) * 0.012
        hot = there and (7 <= hour < 8 or 18 <= hour < 19)
        remote = moment > moments[-1] - WATER_ON_FOR
        wished_water = 60.0 if hot else 40.0 if remote else room
        water += (wished_water - water) * (0.2 if hot or remote else 0.012)
        rows.append(
            (
                moment,
                {
                    "_heater_current_temp_room": room + chance.uniform(-0.1, 0.1),
                    "_heater_current_temp_water": water,
                    "_aircon_current_temp": room + 0.5,
                },
            )
        )
    return Past(rows)


PASTS: Mapping[str, Callable[[Sequence[datetime]], Past]] = {
    "sunsynk": house,
    "studer": plant,
    "inventum": ventilation,
    "truma": van,
}


def pasts(families: Iterable[str], zone: str) -> Mapping[str, Past]:
    """Return the past of each family, in a time zone; it takes a second."""
    moments = times(datetime.now(ZoneInfo(zone)))
    return {family: PASTS[family](moments) for family in families if family in PASTS}
