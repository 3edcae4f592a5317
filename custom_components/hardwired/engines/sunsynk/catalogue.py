"""The one table of fields (spec d.1): it drives decoding, entities, topics, simulator and docs.

Keys, groups and labels are frozen: the reference's consumers know the fields by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from types import MappingProxyType
from typing import Any

from ..fields import Accumulation, Catalogue, Field, Offer, Quantity, Role, Value
from .register_words import Codec, fault_codes

DIAGNOSTIC = Role.DIAGNOSTIC
EXTRA = Offer.EXTRA
SLOTS = range(1, 7)
"""The six program slots of a day."""

WORD_LIMITS = {Codec.S16: (-0x8000, 0x7FFF), Codec.HHMM: (0, 86340)}
"""The range of a codec's values, where it is not every unsigned number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterField:
    """One row of the table.

    ``group``, ``label`` and ``unit`` are the reference's own words (``unit`` is ``""`` for none).
    ``low`` and ``high`` bound the integer before the decimal point is set; ``zero`` allows 0
    beyond them. A ``lenient`` option without an entry is no value, but no violation either.
    ``compat`` holds ``P`` and ``M`` where the reference's capture and Modbus sources have it.
    """

    field: Field
    group: str
    label: str
    registers: tuple[int, ...]
    codec: Codec
    decimals: int
    unit: str
    low: int
    high: int
    zero: bool
    options: Mapping[int, str]
    lenient: bool
    compat: str

    @property
    def key(self) -> str:
        """The field's key."""
        return self.field.key

    def plausible(self, raw: int) -> bool:
        """Whether the integer is inside the valid range."""
        return self.low <= raw <= self.high or (self.zero and raw == 0)


def _row(
    key: str,
    group: str,
    label: str,
    *registers: int,
    quantity: Quantity,
    codec: Codec | None = None,
    decimals: int = 0,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    zero: bool = False,
    options: Mapping[int, str] | None = None,
    lenient: bool = False,
    compat: str = "",
    name: str | None = None,
    accumulation: Accumulation = Accumulation.MEASUREMENT,
    role: Role = Role.LIFE,
    offer: Offer = Offer.DEFAULT,
) -> RegisterField:
    if codec is None:
        codec = Codec.U16 if len(registers) == 1 else Codec.U32
    least, most = WORD_LIMITS.get(codec, (0, (1 << 16 * len(registers)) - 1))
    timeless = quantity is Quantity.CLOCK_TIME
    field = Field(
        key=key,
        name=name or _sentence(group, label),
        quantity=quantity,
        unit=None if timeless else unit or None,
        precision=None if timeless or not unit else decimals,
        accumulation=accumulation,
        role=role,
        offer=offer,
        options=tuple((options or {}).values()),
        lasting=key.endswith("_total"),
    )
    return RegisterField(
        field=field,
        group=group,
        label=label,
        registers=registers,
        codec=codec,
        decimals=decimals,
        unit=unit,
        low=least if low is None else round(low * 10**decimals),
        high=most if high is None else round(high * 10**decimals),
        zero=zero,
        options=MappingProxyType(dict(options or {})),
        lenient=lenient,
        compat=compat,
    )


def _sentence(group: str, label: str) -> str:
    words = (word if word.isupper() else word.lower() for word in label.split())
    return f"{group} {' '.join(words)}"


def _energy(key: str, group: str, label: str, *registers: int, **details: Any) -> RegisterField:
    details.setdefault("accumulation", Accumulation.TOTAL_INCREASING)
    return _row(
        key, group, label, *registers, quantity=Quantity.ENERGY, unit="kWh", decimals=1, **details
    )


def _power(key: str, group: str, label: str, *registers: int, **details: Any) -> RegisterField:
    details.setdefault("codec", Codec.S16)
    return _row(key, group, label, *registers, quantity=Quantity.POWER, unit="W", **details)


def _voltage(key: str, group: str, label: str, *registers: int, **details: Any) -> RegisterField:
    details.setdefault("decimals", 1)
    return _row(key, group, label, *registers, quantity=Quantity.VOLTAGE, unit="V", **details)


def _current(key: str, group: str, label: str, *registers: int, **details: Any) -> RegisterField:
    details.setdefault("decimals", 1)
    return _row(key, group, label, *registers, quantity=Quantity.CURRENT, unit="A", **details)


def _temperature(key: str, group: str, label: str, register: int, **details: Any) -> RegisterField:
    return _row(
        key,
        group,
        label,
        register,
        quantity=Quantity.TEMPERATURE,
        codec=Codec.TEMPERATURE,
        unit="°C",
        decimals=1,
        low=-40,
        high=150,
        **details,
    )


def _frequency(key: str, group: str, label: str, register: int, **details: Any) -> RegisterField:
    return _row(
        key,
        group,
        label,
        register,
        quantity=Quantity.FREQUENCY,
        unit="Hz",
        decimals=2,
        low=35,
        high=70,
        zero=True,
        **details,
    )


def _soc(key: str, group: str, label: str, *registers: int, **details: Any) -> RegisterField:
    return _row(
        key,
        group,
        label,
        *registers,
        quantity=Quantity.STATE_OF_CHARGE,
        unit="%",
        high=100,
        **details,
    )


def _charge(key: str, group: str, label: str, register: int, **details: Any) -> RegisterField:
    return _row(
        key, group, label, register, quantity=Quantity.CHARGE, unit="Ah", high=5000, **details
    )


def _option(key: str, group: str, label: str, register: int, **details: Any) -> RegisterField:
    return _row(key, group, label, register, quantity=Quantity.OPTION, codec=Codec.ENUM, **details)


def _clock_time(key: str, group: str, label: str, register: int, **details: Any) -> RegisterField:
    return _row(
        key,
        group,
        label,
        register,
        quantity=Quantity.CLOCK_TIME,
        codec=Codec.HHMM,
        unit="s",
        **details,
    )


def _bits(key: str, group: str, label: str, *registers: int) -> RegisterField:
    return _row(
        key,
        group,
        label,
        *registers,
        quantity=Quantity.NUMBER,
        codec=Codec.BITS,
        accumulation=Accumulation.NONE,
        role=DIAGNOSTIC,
        offer=Offer.NEVER,
    )


TABLE: tuple[RegisterField, ...] = (
    _energy(
        "battery_charge_total", "Battery", "Total charge", 72, 73, high=10_000_000, compat="PM"
    ),
    _energy(
        "battery_discharge_total",
        "Battery",
        "Total discharge",
        74,
        75,
        high=10_000_000,
        compat="PM",
    ),
    _energy("grid_import_total", "Grid", "Total import", 78, 80, high=10_000_000, compat="PM"),
    _frequency("grid_frequency", "Grid", "Frequency", 79, compat="PM"),
    _energy("grid_export_total", "Grid", "Total export", 81, 82, high=10_000_000, compat="PM"),
    _energy(
        "load_consumption_total", "Load", "Total consumption", 85, 86, high=10_000_000, compat="PM"
    ),
    _temperature(
        "inverter_temperature_dc",
        "Inverter",
        "DC Temperature",
        90,
        name="DC temperature",
        role=DIAGNOSTIC,
        compat="PM",
    ),
    _temperature(
        "inverter_temperature_ac",
        "Inverter",
        "AC Temperature",
        91,
        name="AC temperature",
        role=DIAGNOSTIC,
        compat="PM",
    ),
    _energy("pv_production_total", "PV", "Total production", 96, 97, high=10_000_000, compat="PM"),
    _charge("battery_capacity", "Battery", "Capacity", 107, role=DIAGNOSTIC, compat="PM"),
    _voltage("pv_voltage_1", "PV", "Voltage 1", 109, high=1000, compat="PM"),
    _current("pv_current_1", "PV", "Current 1", 110, high=100, compat="PM"),
    _voltage("pv_voltage_2", "PV", "Voltage 2", 111, high=1000, compat="PM"),
    _current("pv_current_2", "PV", "Current 2", 112, high=100, compat="PM"),
    _voltage("pv_voltage_3", "PV", "Voltage 3", 113, high=1000, offer=EXTRA, compat="PM"),
    _current("pv_current_3", "PV", "Current 3", 114, high=100, offer=EXTRA, compat="PM"),
    _voltage("grid_voltage", "Grid", "Voltage", 150, high=500, compat="PM"),
    _voltage("load_voltage", "Load", "Voltage", 154, high=500, compat="PM"),
    _current(
        "grid_current",
        "Grid",
        "Current",
        160,
        codec=Codec.S16,
        low=-300,
        decimals=2,
        high=300,
        compat="PM",
    ),
    _current(
        "load_current",
        "Load",
        "Current",
        164,
        codec=Codec.S16,
        low=-300,
        decimals=2,
        high=300,
        compat="PM",
    ),
    _power("grid_power_l1", "Grid", "Power L1", 167, offer=EXTRA, compat="PM"),
    _power("grid_power", "Grid", "Power", 169, compat="PM"),
    _power("grid_power_ct", "Grid", "Power CT", 172, compat="PM"),
    _power("inverter_power", "Inverter", "Power", 175, compat="PM"),
    _power("load_power", "Load", "Power", 178, compat="PM"),
    _temperature("battery_temperature", "Battery", "Temperature", 182, compat="PM"),
    _voltage("battery_voltage", "Battery", "Voltage", 183, decimals=2, high=100, compat="PM"),
    _soc("battery_soc", "Battery", "SOC", 184, compat="PM"),
    _power("pv_power_1", "PV", "Power 1", 186, compat="PM"),
    _power("pv_power_2", "PV", "Power 2", 187, compat="PM"),
    _power("pv_power_3", "PV", "Power 3", 188, offer=EXTRA, compat="PM"),
    _power("battery_power", "Battery", "Power", 190, compat="PM"),
    _current(
        "battery_current",
        "Battery",
        "Current",
        191,
        codec=Codec.S16,
        low=-328,
        decimals=2,
        high=328,
        compat="PM",
    ),
    _frequency("load_frequency", "Load", "Frequency", 192, compat="PM"),
    _row(
        "grid_connected", "Grid", "Connected", 194, quantity=Quantity.POWERED, high=10, compat="PM"
    ),
    _voltage(
        "bms_charge_voltage",
        "BMS",
        "Charge Voltage",
        312,
        decimals=2,
        high=100,
        role=DIAGNOSTIC,
        compat="P",
    ),
    _current(
        "bms_charge_limit_current",
        "BMS",
        "Charge Limit Current",
        314,
        codec=Codec.S16,
        low=-2000,
        decimals=0,
        high=2000,
        role=DIAGNOSTIC,
        compat="P",
    ),
    _current(
        "bms_discharge_limit_current",
        "BMS",
        "Discharge Limit Current",
        315,
        codec=Codec.S16,
        low=-2000,
        decimals=0,
        high=2000,
        role=DIAGNOSTIC,
        compat="P",
    ),
    _voltage(
        "bms_voltage", "BMS", "Voltage", 317, decimals=2, high=100, role=DIAGNOSTIC, compat="P"
    ),
    _current(
        "bms_current",
        "BMS",
        "Current",
        318,
        codec=Codec.S16,
        low=-2000,
        decimals=0,
        high=2000,
        role=DIAGNOSTIC,
        compat="P",
    ),
    _temperature("bms_temperature", "BMS", "Temperature", 319, role=DIAGNOSTIC, compat="P"),
    *(
        _clock_time(
            f"inverter_program_time_{slot}",
            "Inverter",
            f"Program Time {slot}",
            249 + slot,
            role=DIAGNOSTIC,
            compat="M",
        )
        for slot in SLOTS
    ),
    *(
        _power(
            f"inverter_program_power_{slot}",
            "Inverter",
            f"Program Power {slot}",
            255 + slot,
            low=0,
            role=DIAGNOSTIC,
            compat="M",
        )
        for slot in SLOTS
    ),
    *(
        _soc(
            f"inverter_program_soc_{slot}",
            "Inverter",
            f"Program SOC {slot}",
            267 + slot,
            role=DIAGNOSTIC,
            compat="M",
        )
        for slot in SLOTS
    ),
    _power("inverter_program_power", "Inverter", "Program Power", codec=Codec.SLOT, compat="M"),
    _soc("inverter_program_soc", "Inverter", "Program SOC", codec=Codec.SLOT, compat="M"),
    _power("pv_power", "PV", "Power", codec=Codec.SUM, compat="PM"),
    _option(
        "inverter_state",
        "Inverter",
        "State",
        59,
        options={
            0: "standby",
            1: "self_check",
            2: "normal",
            3: "alarm",
            4: "fault",
            5: "activating",
        },
    ),
    _energy(
        "inverter_active_energy_daily",
        "Inverter",
        "Active energy today",
        60,
        codec=Codec.S16,
        low=-1000,
        high=1000,
        accumulation=Accumulation.TOTAL,
        offer=EXTRA,
    ),
    _energy(
        "inverter_active_energy_total",
        "Inverter",
        "Active energy total",
        63,
        64,
        high=10_000_000,
        offer=EXTRA,
    ),
    _energy("pv_production_monthly", "PV", "Production this month", 65, high=100_000, offer=EXTRA),
    _energy(
        "load_consumption_monthly", "Load", "Consumption this month", 66, high=100_000, offer=EXTRA
    ),
    _energy(
        "pv_production_yearly", "PV", "Production this year", 68, 69, high=1_000_000, offer=EXTRA
    ),
    _energy("battery_charge_daily", "Battery", "Charge today", 70, high=1000),
    _energy("battery_discharge_daily", "Battery", "Discharge today", 71, high=1000),
    _energy("grid_import_daily", "Grid", "Import today", 76, high=1000),
    _energy("grid_export_daily", "Grid", "Export today", 77, high=1000),
    _energy("load_consumption_daily", "Load", "Consumption today", 84, high=1000),
    _energy(
        "load_consumption_yearly",
        "Load",
        "Consumption this year",
        87,
        88,
        high=1_000_000,
        offer=EXTRA,
    ),
    _option(
        "sd_status",
        "Inverter",
        "SD card",
        94,
        lenient=True,
        options={1000: "fault", 2000: "ok"},
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _temperature(
        "inverter_temperature_environment",
        "Inverter",
        "Environment temperature",
        95,
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _bits("warning_bits", "Inverter", "Warning", 101, 102),
    _bits("fault_bits", "Inverter", "Fault", 103, 104, 105, 106),
    _energy("pv_production_daily", "PV", "Production today", 108, high=1000),
    _voltage("pv_voltage_4", "PV", "Voltage 4", 115, high=1000, offer=EXTRA),
    _current("pv_current_4", "PV", "Current 4", 116, high=100, offer=EXTRA),
    _voltage("load_voltage_l1", "Load", "Voltage L1", 157, high=500, offer=EXTRA),
    _power("generator_power", "Generator", "Power", 166, offer=EXTRA),
    _power("grid_power_l2", "Grid", "Power L2", 168, offer=EXTRA),
    _power("load_power_l1", "Load", "Power L1", 176, offer=EXTRA),
    _power("load_power_l2", "Load", "Power L2", 177, offer=EXTRA),
    _power("load_power_essential", "Load", "Power essential (UPS)", 185),
    _frequency("inverter_frequency", "Inverter", "Frequency", 193, offer=EXTRA),
    _voltage(
        "bms_discharge_voltage",
        "BMS",
        "Discharge Voltage",
        313,
        decimals=2,
        high=100,
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _soc("bms_soc", "BMS", "SOC", 316, role=DIAGNOSTIC),
    _power(
        "rated_power",
        "Inverter",
        "Rated power",
        16,
        17,
        codec=Codec.U32,
        decimals=1,
        low=0,
        high=100_000,
        accumulation=Accumulation.NONE,
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _charge(
        "battery_capacity_setting",
        "Battery",
        "Capacity setting",
        204,
        accumulation=Accumulation.NONE,
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _option(
        "load_limit",
        "Inverter",
        "Load limit",
        244,
        options={0: "allow_export", 1: "essentials", 2: "zero_export"},
        role=DIAGNOSTIC,
        offer=EXTRA,
    ),
    _power("load_power_non_essential", "Load", "Power non-essential", codec=Codec.DIFFERENCE),
)
"""All fields in the order of the reference, followed by ours."""

FIELDS: Mapping[str, RegisterField] = MappingProxyType({row.key: row for row in TABLE})
"""The table by key."""

CAPTURE_FIELDS = tuple(row.key for row in TABLE if "P" in row.compat)
"""What the reference's capture source publishes, in its order."""
MODBUS_FIELDS = tuple(row.key for row in TABLE if "M" in row.compat)
"""What the reference's Modbus source publishes, in its order."""

BMS_REGISTERS = range(312, 320)
"""All zero when there is no battery management system: then its fields have no value."""
BMS_FIELDS = tuple(
    row.key for row in TABLE if row.registers and set(row.registers) <= set(BMS_REGISTERS)
)

LIFETIME_COUNTERS = tuple(row.key for row in TABLE if row.key.endswith("_total"))
"""The counters that must not fall (spec d.4)."""
DAILY_COUNTERS = tuple(
    row.key
    for row in TABLE
    if row.key.endswith("_daily") and row.field.accumulation is Accumulation.TOTAL_INCREASING
)
MONTHLY_COUNTERS = tuple(row.key for row in TABLE if row.key.endswith("_monthly"))
YEARLY_COUNTERS = tuple(row.key for row in TABLE if row.key.endswith("_yearly"))

GRID_POWERS_BY_TEN = ("grid_power", "grid_power_ct")
"""The fields that 16 kW models count in 10 W."""

LOAD_LIMITS: Mapping[int, str] = FIELDS["load_limit"].options
SETTING_OPTIONS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "aux_port_usage": {0: "disabled", 1: "smart_load", 2: "generator"},
        "load_limit": LOAD_LIMITS,
        **{
            f"inverter_program_charge_{slot}": {0: "none", 1: "grid", 2: "generator", 3: "both"}
            for slot in SLOTS
        },
        **{
            f"inverter_program_mode_{slot}": {0: "none", 4: "general", 8: "backup", 12: "charge"}
            for slot in SLOTS
        },
    }
)
"""The options of the settings that have some, by the bits of their register (spec d.5)."""


def _setting(key: str, name: str, quantity: Quantity, **details: Any) -> Field:
    return Field(
        key=key,
        name=name,
        quantity=quantity,
        role=Role.SETTING,
        offer=EXTRA,
        accumulation=Accumulation.NONE,
        writable=True,
        options=tuple(SETTING_OPTIONS.get(key, {}).values()),
        **details,
    )


def _volts(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.VOLTAGE, unit="V", precision=2)


def _watts(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.POWER, unit="W", precision=0)


def _amperes(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.CURRENT, unit="A", precision=0)


def _percent(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.PERCENTAGE, unit="%", precision=0)


def _switched(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.BOOLEAN)


def _chosen(key: str, name: str) -> Field:
    return _setting(key, name, Quantity.OPTION)


SETTING_FIELDS: tuple[Field, ...] = (
    _volts("battery_equalisation_voltage", "Battery equalisation voltage"),
    _volts("battery_absorption_voltage", "Battery absorption voltage"),
    _volts("battery_float_voltage", "Battery float voltage"),
    _volts("battery_shutdown_voltage", "Battery shutdown voltage"),
    _volts("battery_restart_voltage", "Battery restart voltage"),
    _volts("battery_low_voltage", "Battery low voltage"),
    _percent("battery_shutdown_capacity", "Battery shutdown capacity"),
    _percent("battery_restart_capacity", "Battery restart capacity"),
    _percent("battery_low_capacity", "Battery low capacity"),
    _amperes("battery_max_charge_current", "Battery maximum charge current"),
    _amperes("battery_max_discharge_current", "Battery maximum discharge current"),
    _amperes("grid_charge_battery_current", "Grid charge current"),
    _switched("grid_charge_enabled", "Grid charge"),
    _watts("max_solar_power", "Maximum solar power"),
    _watts("max_sell_power", "Maximum sell power"),
    _switched("solar_export", "Solar export"),
    _switched("priority_load", "Load before battery"),
    _switched("use_timer", "Use timer"),
    _chosen("aux_port_usage", "AUX port"),
    *(
        _volts(f"inverter_program_voltage_{slot}", f"Inverter program voltage {slot}")
        for slot in SLOTS
    ),
    *(
        _chosen(f"inverter_program_charge_{slot}", f"Inverter program charge {slot}")
        for slot in SLOTS
    ),
    *(_chosen(f"inverter_program_mode_{slot}", f"Inverter program mode {slot}") for slot in SLOTS),
    *(
        _switched(f"inverter_program_sell_{slot}", f"Inverter program sell {slot}")
        for slot in SLOTS
    ),
    _switched("peak_shaving", "Peak shaving"),
    _switched("grid_peak_shaving", "Grid peak shaving"),
    _watts("grid_peak_shaving_power", "Grid peak shaving power"),
    _switched("generator_peak_shaving", "Generator peak shaving"),
    _watts("generator_peak_shaving_power", "Generator peak shaving power"),
    _switched("grid_always_on", "Grid always on"),
)
"""Settings that only the Modbus source has, and only with writing enabled (spec d.5, h)."""

SETTING_KEYS = frozenset(field.key for field in SETTING_FIELDS)

INVERTER = Catalogue(
    "inverter",
    (
        *(row.field for row in TABLE),
        Field(key="fault", name="Fault", quantity=Quantity.PROBLEM, role=DIAGNOSTIC),
        Field(
            key="fault_codes",
            name="Fault codes",
            quantity=Quantity.TEXT,
            role=DIAGNOSTIC,
        ),
        Field(
            key="warning",
            name="Warning",
            quantity=Quantity.PROBLEM,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        Field(
            key="last_report",
            name="Last report",
            quantity=Quantity.TIMESTAMP,
            role=DIAGNOSTIC,
            # Home Assistant's activity would list each change of a time.
            offer=EXTRA,
        ),
        Field(
            key="clock_offset",
            name="Clock offset",
            quantity=Quantity.DURATION,
            unit="s",
            precision=0,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        Field(
            key="dongle_signal",
            name="Dongle signal",
            quantity=Quantity.SIGNAL_STRENGTH,
            unit="dBm",
            precision=0,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        Field(
            key="report_interval",
            name="Report interval",
            quantity=Quantity.DURATION,
            unit="s",
            precision=0,
            role=DIAGNOSTIC,
            offer=EXTRA,
        ),
        *SETTING_FIELDS,
    ),
)


def _counter(key: str, name: str, offer: Offer = EXTRA) -> Field:
    return Field(
        key=key,
        name=name,
        quantity=Quantity.NUMBER,
        precision=0,
        accumulation=Accumulation.TOTAL_INCREASING,
        role=DIAGNOSTIC,
        offer=offer,
    )


CAPTURE = Catalogue(
    "capture",
    (
        _counter("packets", "Packets"),
        _counter("reports", "Reports", Offer.DEFAULT),
        _counter("duplicates", "Duplicate reports"),
        _counter("rejected", "Rejected reports"),
        _counter("gaps", "Gaps in the stream"),
        _counter("kernel_drops", "Packets dropped by the system"),
    ),
)
"""The helper's own counters, on the service device."""

MODBUS = Catalogue(
    "modbus",
    (
        _counter("reports", "Reports", Offer.DEFAULT),
        _counter("rejected", "Rejected reports"),
        _counter("timeouts", "Requests without an answer"),
        _counter("checksum_errors", "Checksum errors"),
        _counter("foreign_requests", "Requests of another master"),
        _counter("writes", "Settings written"),
    ),
)
"""The counters of a Modbus line, on its service device."""

CATALOGUES: Mapping[str, Catalogue] = MappingProxyType(
    {"inverter": INVERTER, "capture": CAPTURE, "modbus": MODBUS}
)
"""The fields of each kind of device that may appear."""


def as_field_values(values: Mapping[str, int | float | str | None]) -> dict[str, Value | None]:
    """Return a report's values as the catalogue's fields take them.

    Reports carry ``grid_connected`` as a number and times of day in seconds, as the reference
    publishes them; here they become true or false and a time. The two bit fields gain ``fault``,
    ``fault_codes`` and ``warning``.
    """
    result: dict[str, Value | None] = dict(values)
    if (connected := values.get("grid_connected")) is not None:
        result["grid_connected"] = connected != 0
    for slot in SLOTS:
        seconds = values.get(key := f"inverter_program_time_{slot}")
        if isinstance(seconds, int):
            result[key] = time(seconds // 3600, seconds % 3600 // 60)
    bits = values.get("fault_bits")
    if isinstance(bits, int):
        result["fault"] = bits != 0
        result["fault_codes"] = fault_codes(bits)
    warnings = values.get("warning_bits")
    if isinstance(warnings, int):
        result["warning"] = warnings != 0
    return result
