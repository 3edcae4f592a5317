"""The simulated devices of the demonstration: the families, and when each is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """One device: its family, what it is called at the terminal.

    ``ready`` are ends of unique ids of entities whose values show that all is there. ``external``
    are programs beside Home Assistant, not a simulation within it.
    """

    family: str
    title: str
    ready: tuple[str, ...]
    external: bool = False

    @property
    def steps(self) -> tuple[Mapping[str, Any], ...]:
        """The two clicks of the config flow that a user makes."""
        return ({"next_step_id": "simulated"}, {"next_step_id": f"simulated_{self.family}"})


DEVICES: tuple[DemoDevice, ...] = (
    DemoDevice("sunsynk", "a Sunsynk inverter", ("_battery_soc", "_pv_production_total")),
    DemoDevice("inventum", "an Inventum ventilation unit", ("_fan", "_log_energie_kwh")),
    DemoDevice("truma", "a Truma heater with an air conditioner", ("_room", "_aircon_aircon")),
    DemoDevice("studer", "a Studer plant", ("_system_output_active_power", "_7002")),
    DemoDevice("victron_gx", "a Victron GX", ("_helper_online",), external=True),
)
