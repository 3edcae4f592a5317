"""How each family looks on the dashboard: which entities, in which card, in which colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .gx import PAGE_URL

NOW, DAY, WEEKS = range(3)
"""The columns of a family's view."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tiles below a heading: a key of the texts, and what unique ids end with."""

    title: str
    icon: str
    endings: tuple[str, ...]
    by_device: bool = False
    """Of each device that has it, called as that; otherwise of the first that is found."""
    column: int = NOW


@dataclass(frozen=True, slots=True)
class Look:
    """How an entry looks: its place in the house, and what its entities' unique ids end with."""

    place: str
    icon: str
    gauges: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    """Tiles that are on the entry's own view only, not on the overview."""
    groups: tuple[Group, ...] = ()
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
    "_pv_production_daily": "mdi:solar-power",
    "_pv_production_total": "mdi:solar-power",
    "_load_consumption_daily": "mdi:home-lightning-bolt",
    "_load_consumption_total": "mdi:home-lightning-bolt",
    "_grid_import_daily": "mdi:transmission-tower-export",
    "_grid_import_total": "mdi:transmission-tower-export",
    "_grid_export_daily": "mdi:transmission-tower-import",
    "_grid_export_total": "mdi:transmission-tower-import",
    "_battery_charge_daily": "mdi:battery-arrow-up",
    "_battery_charge_total": "mdi:battery-arrow-up",
    "_battery_discharge_daily": "mdi:battery-arrow-down",
    "_battery_discharge_total": "mdi:battery-arrow-down",
}


_ENERGIES = (
    "_pv_production", "_load_consumption", "_grid_import", "_grid_export", "_battery_charge",
    "_battery_discharge",
)  # fmt: skip

LOOKS: Mapping[str, Look] = {
    "sunsynk": Look(
        "inverter",
        "mdi:solar-power",
        gauges=("_battery_soc",),
        tiles=("_pv_power", "_load_power", "_battery_power", "_grid_power"),
        groups=(
            Group(
                "today",
                "mdi:calendar-today",
                tuple(f"{one}_daily" for one in _ENERGIES),
                column=DAY,
            ),
            Group(
                "lifetime", "mdi:counter", tuple(f"{one}_total" for one in _ENERGIES), column=WEEKS
            ),
            Group(
                "technical",
                "mdi:wrench",
                (
                    "_inverter_state",
                    "_grid_connected",
                    "_grid_voltage",
                    "_grid_frequency",
                    "_battery_voltage",
                    "_battery_temperature",
                ),
            ),
        ),
        graphs=(("_pv_power", "_load_power", "_grid_power"), ("_battery_soc",)),
        statistics=("_pv_power", "_load_power"),
    ),
    "inventum": Look(
        "ventilation",
        "mdi:fan",
        gauges=("_log_rv_afvoerlucht",),
        tiles=("_log_temp_boiler_boven_c", "_log_vermogen_w"),
        details=("_boost", "_boost_remaining", "_fan_event"),
        groups=(
            Group(
                "air",
                "mdi:weather-windy",
                (
                    "_log_temp_afvoerlucht_c",
                    "_log_temp_buitenlucht_c",
                    "_log_debiet_m3_h",
                    "_log_toeren_ventilator_omw_min",
                ),
            ),
            Group(
                "heat_pump",
                "mdi:heat-pump",
                (
                    "_log_compressor",
                    "_log_verwarmingselement",
                    "_log_pomp",
                    "_log_ontdooien",
                    "_log_temp_verdamper",
                    "_log_temp_persgas",
                    "_log_druk_bar",
                    "_log_energie_kwh",
                ),
                column=WEEKS,
            ),
        ),
        graphs=(
            ("_log_temp_boiler_boven_c", "_log_temp_afvoerlucht_c", "_log_temp_buitenlucht_c"),
            ("_log_rv_afvoerlucht",),
        ),
        statistics=("_log_temp_boiler_boven_c", "_log_temp_buitenlucht_c"),
    ),
    "truma": Look(
        "van",
        "mdi:caravan",
        tiles=("_current_temp_water", "_heater_voltage"),
        details=("_energy_mix", "_el_power_level"),
        groups=(
            Group(
                "aircon",
                "mdi:air-conditioner",
                ("_aircon_aircon",),
                column=WEEKS,
            ),
            Group(
                "heater",
                "mdi:radiator",
                (
                    "_heating_demand",
                    "_water_demand",
                    "_heater_mains",
                    "_timer_active",
                    "_heater_problem",
                    "_heater_state",
                ),
                column=DAY,
            ),
            Group(
                "panel",
                "mdi:tablet-dashboard",
                ("_panel_connected", "_panel_refresh", "_panel_sync_clock"),
                column=WEEKS,
            ),
        ),
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
            "_system_battery_power",
            "_system_input_active_power",
        ),
        details=("_last_message",),
        groups=(
            Group("battery", "mdi:battery", ("_7000", "_7001", "_7007", "_7008")),
            Group("output", "mdi:sine-wave", ("_3136",), by_device=True, column=WEEKS),
            Group(
                "sun_today",
                "mdi:white-balance-sunny",
                ("_11007", "_15017"),
                by_device=True,
                column=WEEKS,
            ),
            Group(
                "consumed_today", "mdi:home-lightning-bolt", ("_3083",), by_device=True, column=DAY
            ),
        ),
        graphs=(("_system_pv_power", "_system_output_active_power"), ("_7002",)),
        statistics=("_system_pv_power", "_system_output_active_power"),
    ),
    "victron_gx": Look(
        "gx",
        "mdi:tablet-dashboard",
        tiles=("_helper_online", "_helper_devices"),
        groups=(
            Group("registered", "mdi:monitor-eye", ("_registered",), by_device=True, column=DAY),
            Group("offered", "mdi:monitor-share", ("_enabled",), by_device=True, column=WEEKS),
        ),
        page=PAGE_URL,
    ),
}
