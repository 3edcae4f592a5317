"""The table of what a Truma installation reports and accepts (spec h).

Kinds: ``panel`` (the hub), ``heater``, ``aircon``, ``alde``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..fields import Accumulation, Catalogue, Field, Offer, Quantity, Role
from .errors import OPTIONS as ERROR_OPTIONS

DIAGNOSTIC, SETTING = Role.DIAGNOSTIC, Role.SETTING
EXTRA, NEVER = Offer.EXTRA, Offer.NEVER

HEATING_MODES = ("off", "eco", "night", "auto", "high", "boost")
WATER_MODES = ("off", "eco", "high", "boost")
ENERGIES = ("fuel", "electricity", "mix")
POWERS = ("0", "900", "1800")
AIRCON_MODES = ("off", "ventilation", "cooling", "heating", "automatic")
VENTS = ("low", "mid", "high", "night", "auto")
OPERATING_STATES = (
    "not_ready",
    "ready",
    "mains",
    "ready_mains",
    "window_closed",
    "ready_window_closed",
    "mains_window_closed",
    "ready_mains_window_closed",
)
"""By the three bits of the operating status (spec d.1.1)."""
HEATER_STATES = ("none", "idle", "on", "shutdown", "powering_up")


def _temperature(key: str, name: str, **details: object) -> Field:
    return Field(
        key=key,
        name=name,
        quantity=Quantity.TEMPERATURE,
        unit="°C",
        precision=1,
        **details,  # type: ignore[arg-type]
    )


def _option(key: str, name: str, options: tuple[str, ...], **details: object) -> Field:
    return Field(
        key=key,
        name=name,
        quantity=Quantity.OPTION,
        options=options,
        **details,  # type: ignore[arg-type]
    )


def _flag(key: str, name: str, quantity: Quantity, **details: object) -> Field:
    return Field(key=key, name=name, quantity=quantity, **details)  # type: ignore[arg-type]


def _count(key: str, name: str) -> Field:
    return Field(
        key=key,
        name=name,
        quantity=Quantity.NUMBER,
        precision=0,
        accumulation=Accumulation.TOTAL_INCREASING,
        role=DIAGNOSTIC,
        offer=EXTRA,
    )


PANEL = Catalogue(
    "panel",
    (
        _flag("connected", "Panel connection", Quantity.CONNECTIVITY, role=DIAGNOSTIC),
        _option(
            "update_status",
            "Update status",
            ("idle", "waiting_for_panel", "waiting_for_acknowledge"),
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        Field(
            key="panel_clock",
            name="Panel clock",
            quantity=Quantity.CLOCK_TIME,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        _flag(
            "refresh",
            "Read all values",
            Quantity.SIGNAL,
            role=SETTING,
            readable=False,
            writable=True,
        ),
        _flag(
            "sync_clock",
            "Set panel clock",
            Quantity.SIGNAL,
            role=SETTING,
            readable=False,
            writable=True,
        ),
        Field(
            key="answer_latency_max",
            name="Worst answer latency",
            quantity=Quantity.DURATION,
            unit="ms",
            precision=2,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        _count("frames_bad", "Damaged frames"),
        _count("frames_late", "Late answers"),
        _count("answers_skipped", "Skipped answers"),
        Field(
            key="command_counter",
            name="Command counter",
            quantity=Quantity.NUMBER,
            precision=0,
            accumulation=Accumulation.NONE,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
    ),
)

HEATER = Catalogue(
    "heater",
    (
        _temperature("current_temp_room", "Room temperature"),
        _temperature("current_temp_water", "Water temperature"),
        _temperature(
            "target_temp_room",
            "Target room temperature",
            role=DIAGNOSTIC,
            offer=EXTRA,
            writable=True,
            minimum=0,
            maximum=30,
            step=1,
        ),
        _temperature("target_temp_water", "Target water temperature", role=DIAGNOSTIC, offer=EXTRA),
        _option("heating_mode", "Heating mode", HEATING_MODES, offer=NEVER, writable=True),
        _option("water_mode", "Hot water mode", WATER_MODES, offer=EXTRA, writable=True),
        _option("energy_mix", "Energy source", ENERGIES, writable=True),
        _option("el_power_level", "Electric power", POWERS, writable=True),
        _option("heater_state", "State", HEATER_STATES, role=DIAGNOSTIC),
        _option("error", "Error", ERROR_OPTIONS, role=DIAGNOSTIC),
        Field(
            key="error_number",
            name="Error number",
            quantity=Quantity.NUMBER,
            precision=0,
            accumulation=Accumulation.NONE,
            role=DIAGNOSTIC,
        ),
        _flag("problem", "Problem", Quantity.PROBLEM),
        _flag("heating_demand", "Room heating demand", Quantity.RUNNING),
        _flag("water_demand", "Water heating demand", Quantity.RUNNING),
        _flag("working", "Heater working", Quantity.HEAT, offer=NEVER),
        _flag("mains", "230 V present", Quantity.PLUGGED, role=DIAGNOSTIC),
        _flag("window", "Window", Quantity.WINDOW, role=DIAGNOSTIC, offer=EXTRA),
        _flag("ready", "Electronics ready", Quantity.BOOLEAN, role=DIAGNOSTIC, offer=EXTRA),
        _option("operating_status", "Operating status", OPERATING_STATES, role=DIAGNOSTIC),
        Field(
            key="voltage",
            name="Supply voltage",
            quantity=Quantity.VOLTAGE,
            unit="V",
            precision=1,
            role=DIAGNOSTIC,
        ),
        _flag("timer_active", "Timer active", Quantity.RUNNING, role=DIAGNOSTIC),
        _flag("timer", "Timer", Quantity.BOOLEAN, role=SETTING, offer=EXTRA, writable=True),
        Field(
            key="timer_start",
            name="Timer start",
            quantity=Quantity.CLOCK_TIME,
            role=SETTING,
            offer=EXTRA,
            writable=True,
        ),
        Field(
            key="timer_stop",
            name="Timer stop",
            quantity=Quantity.CLOCK_TIME,
            role=SETTING,
            offer=EXTRA,
            writable=True,
        ),
        _temperature(
            "timer_target_temp_room", "Timer room temperature", role=DIAGNOSTIC, offer=EXTRA
        ),
        _option(
            "timer_water_mode", "Timer hot water mode", WATER_MODES, role=DIAGNOSTIC, offer=EXTRA
        ),
    ),
)

AIRCON = Catalogue(
    "aircon",
    (
        _option("mode", "Mode", AIRCON_MODES, role=DIAGNOSTIC, offer=EXTRA, writable=True),
        _option("vent", "Fan", VENTS, role=DIAGNOSTIC, offer=EXTRA, writable=True),
        _temperature(
            "target_temp",
            "Target temperature",
            role=DIAGNOSTIC,
            offer=EXTRA,
            writable=True,
            minimum=16,
            maximum=30,
            step=1,
        ),
        _temperature("current_temp", "Temperature"),
        _temperature("room_temp", "Room temperature", role=DIAGNOSTIC, offer=EXTRA),
    ),
)

ALDE = Catalogue(
    "alde",
    (
        _flag("on", "Heating", Quantity.RUNNING),
        _temperature("target_temp_room", "Target room temperature"),
        _temperature("current_temp_room", "Inside temperature"),
        _temperature("outside_temp", "Outside temperature"),
    ),
)

CATALOGUES: Mapping[str, Catalogue] = MappingProxyType(
    {"panel": PANEL, "heater": HEATER, "aircon": AIRCON, "alde": ALDE}
)
"""The fields of each kind of device that may appear."""
