"""How each family looks on the dashboard: which entities, in which card, in which colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .gx import PAGE_URL


@dataclass(frozen=True, slots=True)
class Look:
    """How an entry looks: its place in the house, and what its entities' unique ids end with."""

    place: str
    icon: str
    gauges: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    graphs: tuple[tuple[str, ...], ...] = ()
    """Of the last day; entities of one unit each."""
    statistics: tuple[str, ...] = ()
    """Of two weeks."""
    page: str | None = None
    """Address of a page that is shown as it is."""


COLOURS: Mapping[str, str] = {
    "_pv_power": "amber",
    "_load_power": "deep-orange",
    "_battery_power": "teal",
    "_grid_power": "blue",
    "_system_output_active_power": "deep-orange",
    "_system_input_active_power": "blue",
    "_log_vermogen_w": "deep-orange",
    "_log_temp_boiler_boven_c": "red",
    "_current_temp_water": "red",
}
"""Of tiles, as the Energy dashboard has them."""
ICONS: Mapping[str, str] = {
    "_pv_power": "mdi:solar-power",
    "_load_power": "mdi:home-lightning-bolt",
    "_battery_power": "mdi:home-battery",
    "_grid_power": "mdi:transmission-tower",
    "_system_output_active_power": "mdi:home-lightning-bolt",
    "_system_input_active_power": "mdi:transmission-tower",
}


LOOKS: Mapping[str, Look] = {
    "sunsynk": Look(
        "inverter",
        "mdi:solar-power",
        gauges=("_battery_soc",),
        tiles=("_pv_power", "_load_power", "_battery_power", "_grid_power"),
        graphs=(("_pv_power", "_load_power", "_grid_power"), ("_battery_soc",)),
        statistics=("_pv_power", "_load_power"),
    ),
    "inventum": Look(
        "ventilation",
        "mdi:fan",
        gauges=("_log_rv_afvoerlucht",),
        tiles=("_log_temp_boiler_boven_c", "_log_vermogen_w", "_boost_remaining"),
        graphs=(
            ("_log_temp_boiler_boven_c", "_log_temp_afvoerlucht_c", "_log_temp_buitenlucht_c"),
            ("_log_rv_afvoerlucht",),
        ),
        statistics=("_log_temp_boiler_boven_c", "_log_temp_buitenlucht_c"),
    ),
    "truma": Look(
        "van",
        "mdi:caravan",
        tiles=("_current_temp_water", "_voltage", "_energy_mix", "_el_power_level"),
        graphs=(("_current_temp_room", "_current_temp_water"),),
        statistics=("_current_temp_room",),
    ),
    "studer": Look(
        "cabin",
        "mdi:home-battery",
        gauges=("_7002",),
        tiles=(
            "_system_pv_power",
            "_system_output_active_power",
            "_system_input_active_power",
            "_system_battery_power",
        ),
        graphs=(("_system_pv_power", "_system_output_active_power"), ("_7002",)),
        statistics=("_system_pv_power", "_system_output_active_power"),
    ),
    "victron_gx": Look(
        "gx",
        "mdi:tablet-dashboard",
        tiles=("_helper_online", "_helper_devices"),
        page=PAGE_URL,
    ),
}
