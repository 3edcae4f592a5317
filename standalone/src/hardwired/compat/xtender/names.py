"""The sensors and parameters that TeepCo/xtender_mqtt knows by name (spec studer g).

Names, numbers and labels live on in topics, unique ids and dashboards: they are frozen, also
where the reference is off. ``number`` stands in the unique id, ``read`` is what is read: the
reference names 3080 and 3074, and reads 3081 and 3078.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

Texts = Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sensor or parameter of an Xtender.

    ``kind`` is the reference's word for the format. ``component`` is ``None`` where it announces
    nothing to Home Assistant. ``texts`` are the words of an enum; numbers beyond them have none.
    """

    name: str
    number: int
    label: str
    kind: str
    enabled: bool
    parameter: bool
    read: int
    component: str | None
    device_class: str | None = None
    unit: str | None = None
    state_class: str | None = None
    texts: Texts | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None

    @property
    def default(self) -> float | int | bool:
        """The default that the reference tells in its meta message."""
        match self.kind:
            case "float":
                return 0.0
            case "bool":
                return self.name in ("allowInverter", "allowCharger", "boostPhaseAllowed")
            case "signal":
                return False
            case _:
                return 0

    @property
    def unique(self) -> str:
        """Name and number, as they stand in the unique id."""
        return f"{self.name}_{self.number}"

    @property
    def meta(self) -> dict[str, Any]:
        """What the reference tells about it."""
        return {
            "name": self.name,
            "number": self.read,
            "propertyFormat": self.kind,
            "default": self.default,
            "studerName": self.label,
        }


_STATE_CLASSES = {"V": "measurement", "A": "measurement", "kW": "measurement", "%": "measurement"}
_UNITS = {"voltage": "V", "current": "A", "power": "kW", "energy": "kWh"}

_OFF_ON: Texts = MappingProxyType({0: "Off", 1: "On"})
_RELAY: Texts = MappingProxyType({0: "Opened", 1: "Closed"})
_OPERATING: Texts = MappingProxyType(
    dict(enumerate(("Invalid value", "Inverter", "Charger", "Boost", "Injection")))
)
_PHASES: Texts = MappingProxyType(
    dict(
        enumerate(
            (
                "Invalid value",
                "Bulk",
                "Absorpt.",
                "Equalise",
                "Floating",
                "R.float.",
                "Per.abs.",
                "Mixing",
                "Forming",
            )
        )
    )
)
_INJECTION_LIMITS: Texts = MappingProxyType(
    dict(enumerate(("No limit", "FreezeOF", "N_ImaxOF", "FreezeUF", "N_ImaxUF", "N_IMaxST")))
)
_LIMIT_SOURCES: Texts = MappingProxyType(
    dict(
        enumerate(
            (
                "Invalid value",
                "Ubatt",
                "Ubattp",
                "Ubattpp",
                "Ibatt",
                "Pchar",
                "UbattInj",
                "Iinj",
                "Imax",
                "Ilim",
                "Ithermal",
                "PchNeg",
                "ARN f",
            )
        )
    )
)


def _sensor(
    name: str,
    number: int,
    label: str,
    device_class: str | None = None,
    *,
    on: bool = False,
    unit: str | None = None,
    texts: Texts | None = None,
    read: int | None = None,
    told: bool = True,
) -> Entry:
    unit = unit or _UNITS.get(device_class or "")
    state_class = "total_increasing" if unit == "kWh" else _STATE_CLASSES.get(unit or "")
    return Entry(
        name=name,
        number=number,
        label=label,
        kind="float" if texts is None else "enum",
        enabled=on,
        parameter=False,
        read=read or number,
        component="sensor" if told else None,
        device_class=device_class,
        unit=unit,
        state_class=state_class,
        texts=texts,
    )


def _parameter(
    name: str, number: int, label: str, kind: str, component: str | None, *, on: bool = False
) -> Entry:
    return Entry(
        name=name,
        number=number,
        label=label,
        kind=kind,
        enabled=on,
        parameter=True,
        read=number,
        component=component,
    )


def _switch(name: str, number: int, label: str, *, on: bool = False, kind: str = "bool") -> Entry:
    return _parameter(name, number, label, kind, "switch", on=on)


def _button(name: str, number: int, label: str) -> Entry:
    return _parameter(name, number, label, "signal", "button")


def _number(
    name: str,
    number: int,
    label: str,
    bounds: tuple[float, float, float],
    *,
    device_class: str | None = None,
    on: bool = False,
    kind: str = "float",
) -> Entry:
    return replace(
        _parameter(name, number, label, kind, "number", on=on),
        device_class=device_class,
        unit=_UNITS.get(device_class or ""),
        minimum=bounds[0],
        maximum=bounds[1],
        step=bounds[2],
    )


_SENSORS = (
    _sensor("batteryVoltage", 3000, "Battery voltage", "voltage", on=True),
    _sensor(
        "batteryChargeReferenceCurrent", 3004, "Wanted battery charge current", "current", on=True
    ),
    _sensor("batteryCurrent", 3005, "Battery charge current", "current", on=True),
    _sensor("soc", 3007, "State of charge", unit="%"),
    _sensor("batteryCyclePhase", 3010, "Battery cycle phase", texts=_PHASES),
    _sensor("pvVoltage", 3011, "Input voltage", "voltage", told=False),
    _sensor("inputVoltage", 3011, "Input voltage", "voltage", on=True),
    _sensor("inputCurrent", 3012, "Input current", "current", on=True),
    _sensor("busVoltage", 3021, "Output voltage", "voltage", told=False),
    _sensor("outputVoltage", 3021, "Output voltage", "voltage", on=True),
    _sensor("outputCurrent", 3022, "Output current", "current", on=True),
    _sensor("operatingMode", 3028, "Operating state", on=True, texts=_OPERATING),
    _sensor("inputFrequency", 3084, "Input frequency"),
    _sensor("inverterEnabled", 3049, "State of the inverter", on=True, texts=_OFF_ON),
    _sensor("lockingsFlag", 3056, "LockingsFlag", on=True),
    _sensor("softVersionMsb", 3130, "ID SOFT msb"),
    _sensor("softVersionLsb", 3131, "ID SOFT lsb"),
    _sensor(
        "acInjectionCurrentLimitation", 3158, "AC injection current limited (ARN4105)", "current"
    ),
    _sensor(
        "acInjectionCurrentLimitationReason",
        3159,
        "AC injection current, type of limitation (ARN4105)",
        texts=_INJECTION_LIMITS,
    ),
    _sensor(
        "sourceOfLimitation",
        3160,
        "Source of limitation in charger and injector mode",
        texts=_LIMIT_SOURCES,
    ),
    _sensor("batteryPriorityActive", 3161, "Battery priority active", texts=_OFF_ON),
    _sensor("forcedGridFeedingActive", 3162, "Forced grid feeding active", texts=_OFF_ON),
    _sensor("outputActivePowerMin", 3101, "Output active power (minute avg)", "power", on=True),
    _sensor("inputActivePowerMin", 3119, "Input active power (minute avg)", "power", on=True),
    _sensor("stateOfTransferRelay", 3020, "State of the transfer relay", on=True, texts=_RELAY),
    _sensor(
        "energyACInCurrentDay",
        3080,
        "Energy AC - In from the current day",
        "energy",
        on=True,
        read=3081,
    ),
    _sensor(
        "battDischargeCurrentDay",
        3074,
        "Discharge of battery of the current day",
        "energy",
        on=True,
        read=3078,
    ),
    _sensor(
        "consumersEnergyCurrentDay", 3083, "Consumers energy of the current day", "energy", on=True
    ),
    _sensor("operatingState", 3028, "Operating state", texts=_OPERATING),
)

_PARAMETERS = (
    _switch("powerOnXtender", 1576, "ON/OFF command"),
    _button("powerOnAllXtenders", 1415, "ON of the Xtenders"),
    _button("powerOffAllXtenders", 1399, "ON of the Xtenders"),
    _button("resetAllInverters", 1468, "Reset all of the inverters"),
    _number(
        "maximumAcInputCurrent", 1107, "Maximum current of AC source (input limit)", (2, 50, 1)
    ),
    _switch("allowInverter", 1124, "Inverter allowed", on=True),
    _switch("allowCharger", 1125, "Charger allowed", on=True),
    _parameter(
        "batteryChargeReferenceCurrent", 1138, "Battery charge current", "float", None, on=True
    ),
    _number("standbyPowerLevel", 1187, "Standby level", (0, 200, 1)),
    _button("restoreDefaultSettings", 1395, "Restore Default Settings"),
    _button("restoreFactorySettings", 1287, "Restore Factory Settings"),
    _number(
        "batteryMinimumVoltageWithoutLoad",
        1108,
        "Battery undervoltage level without load",
        (36.0, 72.0, 0.1),
        device_class="voltage",
        on=True,
    ),
    _parameter(
        "batteryMinimumVoltageWithLoad",
        1109,
        "Battery undervoltage level without load",
        "float",
        None,
        on=True,
    ),
    _number(
        "batteryMaximumVoltage",
        1121,
        "Battery overvoltage level",
        (37.9, 74.4, 0.1),
        device_class="voltage",
        on=True,
    ),
    _number(
        "floatingVoltage",
        1140,
        "Floating voltage",
        (37.9, 72.0, 0.1),
        device_class="voltage",
        on=True,
    ),
    _switch("forceFloatingPhase", 1467, "Force phase of floating", kind="signal"),
    _switch("forceNewChargeCycle", 1142, "Force a new cycle", kind="signal"),
    _switch(
        "autoAcInputCurrentReduction",
        1527,
        "Decrease max input limit current with AC-In voltage",
    ),
    _switch("boostPhaseAllowed", 1155, "Absorption phase allowed"),
    _number("boostVoltage", 1156, "Absorption voltage", (37.9, 72.0, 0.1), device_class="voltage"),
    _number(
        "inputCurrentAdaptionRange",
        1433,
        "Adaptation range of the input current according to the input voltage",
        (4, 30, 1),
        device_class="current",
    ),
    _switch("gridFeedingAllowed", 1127, "Grid feeding allowed"),
    _number(
        "gridFeedingMaximumCurrent",
        1523,
        "Max grid feeding current",
        (0.0, 50.0, 0.2),
        device_class="current",
    ),
    _number(
        "gridFeedingBatteryVoltage",
        1524,
        "Battery voltage target for forced grid feeding",
        (37.9, 72.0, 0.1),
        device_class="voltage",
    ),
    _number(
        "gridFeedingStartTime", 1525, "Forced grid feeding start time", (0, 1440, 1), kind="int32"
    ),
    _number(
        "gridFeedingStopTime", 1526, "Forced grid feeding stop time", (0, 1440, 1), kind="int32"
    ),
    _switch("frequencyControlEnabled", 1627, "ARN4105 frequency control enabled"),
    _switch("batteryPriorityAsEnergySource", 1296, "Batteries priority as energy source"),
    _number(
        "batteryPriorityVoltage",
        1297,
        "Battery priority voltage",
        (37.9, 72.0, 0.1),
        device_class="voltage",
    ),
    _number(
        "batteryVoltageToDeactivate",
        1255,
        "Battery voltage to deactivate (AUX 1)",
        (36.0, 77.0, 0.1),
        device_class="voltage",
        on=True,
    ),
    _switch("remoteEntryActivate", 1545, "Remote entry active", on=True, kind="float"),
    _switch("chargerAllowed", 1125, "Charger allowed", kind="float"),
)

SENSORS: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _SENSORS})
"""By name, in the order of the announcements."""
PARAMETERS: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _PARAMETERS})
"""By name, in the order of the announcements."""
