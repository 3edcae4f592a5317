"""The catalogues of the plant's devices, made from the table of datapoints (spec h).

Kinds: ``xt``, ``vt``, ``vs``, ``bsp``, ``bms``, ``xcom`` (the gateway, with the parameters of
the remote control) and ``system`` (sums over the plant).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, tzinfo
from functools import cache

from ..fields import Accumulation, Catalogue, Field, Offer, Quantity, Role, Value
from .datapoints.datapoint import Datapoint, Limits, Tier, by_key, datapoints
from .datapoints.limits import limits_of
from .scom.families import Family
from .scom.values import Format, WireValue, exact_integer, plant_seconds, plant_time, shortest

XCOM = "xcom"
SYSTEM = "system"

KIND_OF: Mapping[Family, str] = {
    Family.XT: "xt",
    Family.VT: "vt",
    Family.VS: "vs",
    Family.BSP: "bsp",
    Family.BMS: "bms",
    Family.RCC: XCOM,
}
FAMILY_OF: Mapping[str, Family] = {kind: family for family, kind in KIND_OF.items()}

CLEAR_RESTART_FLAG = 5104
CLOCK = 5002
LAST_MINUTE = 1440
"""24:00, which a time of day can't express: shown as 23:59, and 23:59 is written as 24:00."""

_OFFERS = {
    Tier.CORE: Offer.DEFAULT,
    Tier.EXTRA: Offer.EXTRA,
    Tier.ON_REQUEST: Offer.ON_REQUEST,
    Tier.NONE: Offer.NEVER,
}
_QUANTITIES = {
    "apparent_power": Quantity.APPARENT_POWER,
    "battery": Quantity.STATE_OF_CHARGE,
    "current": Quantity.CURRENT,
    "duration": Quantity.DURATION,
    "energy": Quantity.ENERGY,
    "frequency": Quantity.FREQUENCY,
    "power": Quantity.POWER,
    "temperature": Quantity.TEMPERATURE,
    "voltage": Quantity.VOLTAGE,
}
_QUANTITIES_BY_UNIT = {
    "%": Quantity.PERCENTAGE,
    "Ah": Quantity.CHARGE,
    "kAh": Quantity.CHARGE,
}
_QUANTITIES_BY_PLATFORM = {
    "binary_sensor": Quantity.BOOLEAN,
    "switch": Quantity.BOOLEAN,
    "select": Quantity.OPTION,
    "time": Quantity.CLOCK_TIME,
    "datetime": Quantity.TIMESTAMP,
    "button": Quantity.SIGNAL,
}
_NOISE: Mapping[Quantity, tuple[float, float]] = {
    Quantity.POWER: (0.02, 0.05),
    Quantity.APPARENT_POWER: (0.02, 0.05),
    Quantity.CURRENT: (0.2, 0.05),
    Quantity.VOLTAGE: (0.2, 0.005),
    Quantity.FREQUENCY: (0.05, 0.0),
    Quantity.TEMPERATURE: (0.5, 0.0),
    Quantity.PERCENTAGE: (0.5, 0.0),
    Quantity.STATE_OF_CHARGE: (0.4, 0.0),
    Quantity.DURATION: (0.2, 0.1),
}
"""By how much a reading moves while nothing happens, and as a share of it; in kW, A, V and so on.

An ordinary house's loads flicker by some percent. These are ours, from a simulated plant.
"""
_THOUSANDTH = frozenset({"W", "VA", "mA", "mV"})
_ACCUMULATIONS = {
    "measurement": Accumulation.MEASUREMENT,
    "total_increasing": Accumulation.TOTAL_INCREASING,
    None: Accumulation.NONE,
}
_ROLES = {"config": Role.SETTING, "diagnostic": Role.DIAGNOSTIC, None: Role.LIFE}


def _noise(quantity: Quantity, unit: str | None, accumulation: Accumulation) -> tuple[float, float]:
    if accumulation is not Accumulation.MEASUREMENT:
        return 0.0, 0.0
    noise, share = _NOISE.get(quantity, (0.0, 0.0))
    return (noise * 1000 if unit in _THOUSANDTH else noise), share


def _own(
    key: str,
    name: str,
    quantity: Quantity,
    *,
    role: Role = Role.DIAGNOSTIC,
    offer: Offer = Offer.DEFAULT,
    unit: str | None = None,
    precision: int | None = None,
    accumulation: Accumulation = Accumulation.NONE,
    options: tuple[str, ...] = (),
    writable: bool = False,
    lasting: bool = False,
) -> Field:
    noise, noise_share = _noise(quantity, unit, accumulation)
    return Field(
        noise=noise,
        noise_share=noise_share,
        lasting=lasting,
        key=key,
        name=name,
        quantity=quantity,
        role=role,
        offer=offer,
        unit=unit,
        precision=precision,
        accumulation=accumulation,
        options=options,
        readable=not writable,
        writable=writable,
    )


CONNECTIVITY = "connectivity"
IDENTIFY = "identify"
NEAR_REALTIME = "near_realtime"

DEVICE_FIELDS = (
    _own(CONNECTIVITY, "Connectivity", Quantity.CONNECTIVITY),
    _own(IDENTIFY, "Identify", Quantity.SIGNAL, offer=Offer.EXTRA, writable=True),
)

GATEWAY_FIELDS = (
    _own(CONNECTIVITY, "Connectivity", Quantity.CONNECTIVITY),
    _own("sd_card_present", "SD card present", Quantity.BOOLEAN),
    _own("sd_card_full", "SD card full", Quantity.PROBLEM),
    _own("new_datalog_file", "New log file", Quantity.BOOLEAN, offer=Offer.EXTRA),
    _own("restarted", "Restarted", Quantity.BOOLEAN, offer=Offer.EXTRA),
    _own("last_message", "Last message", Quantity.TEXT),
    _own(
        "achieved_interval",
        "Achieved interval",
        Quantity.DURATION,
        unit="s",
        precision=1,
        accumulation=Accumulation.MEASUREMENT,
    ),
    _own(
        "errors",
        "Errors",
        Quantity.NUMBER,
        offer=Offer.EXTRA,
        precision=0,
        accumulation=Accumulation.TOTAL_INCREASING,
    ),
    _own(
        "message",
        "Message",
        Quantity.EVENT,
        role=Role.LIFE,
        options=("info", "warning", "error", "halted"),
    ),
    _own(
        NEAR_REALTIME,
        "Near realtime for 10 minutes",
        Quantity.SIGNAL,
        role=Role.LIFE,
        writable=True,
    ),
)


def _power(key: str, name: str) -> Field:
    return _own(
        key,
        name,
        Quantity.POWER,
        role=Role.LIFE,
        unit="kW",
        precision=3,
        accumulation=Accumulation.MEASUREMENT,
    )


def _energy(key: str, name: str) -> Field:
    return _own(
        key,
        name,
        Quantity.ENERGY,
        role=Role.LIFE,
        unit="kWh",
        precision=2,
        accumulation=Accumulation.TOTAL_INCREASING,
        lasting=True,
    )


SYSTEM_FIELDS = (
    _power("output_active_power", "Output active power"),
    _power("input_active_power", "Input active power"),
    _power("pv_power", "PV power"),
    _power("battery_power", "Battery power"),
    _own(
        "state_of_charge",
        "State of charge",
        Quantity.STATE_OF_CHARGE,
        role=Role.LIFE,
        unit="%",
        precision=0,
        accumulation=Accumulation.MEASUREMENT,
    ),
    _energy("consumers_energy", "Consumers energy"),
    _energy("ac_in_energy", "AC-in energy"),
    _energy("ac_in_export_energy", "AC-in export energy"),
    _energy("battery_charge_energy", "Battery charge energy"),
    _energy("battery_discharge_energy", "Battery discharge energy"),
    _energy("pv_energy", "PV energy"),
)


def field_of(point: Datapoint, limits: Limits | None = None) -> Field:
    """Return the field of a datapoint; *limits* replace those of the table."""
    shown = point.shown
    quantity = _quantity(point)
    bounds = limits or point.limits
    numeric = quantity not in _QUANTITIES_BY_PLATFORM.values()
    writable = point.writable and not point.guarded
    offer = _OFFERS[shown.tier]
    if point.family is Family.RCC and point.id == CLEAR_RESTART_FLAG:
        offer = Offer.EXTRA
    accumulation = _ACCUMULATIONS[shown.state_class]
    noise, noise_share = (
        (0.0, 0.0) if point.is_parameter else _noise(quantity, shown.unit, accumulation)
    )
    return Field(
        key=point.key,
        noise=noise,
        noise_share=noise_share,
        name=point.name,
        quantity=quantity,
        unit=(shown.unit if shown.platform else point.unit) if numeric else None,
        precision=_precision(point),
        accumulation=accumulation,
        role=Role.SETTING if point.is_parameter else _ROLES[shown.category],
        offer=offer,
        readable=point.readable,
        writable=writable,
        minimum=bounds.minimum if numeric and writable else None,
        maximum=bounds.maximum if numeric and writable else None,
        step=bounds.step if numeric and writable else None,
        options=options_of(point) if quantity is Quantity.OPTION else (),
    )


def options_of(point: Datapoint) -> tuple[str, ...]:
    """Return the keys of an enum's values, each once, in the order of the table."""
    return tuple(dict.fromkeys(choice.option for choice in point.choices if choice.option))


def _quantity(point: Datapoint) -> Quantity:
    shown = point.shown
    if shown.platform in _QUANTITIES_BY_PLATFORM:
        return _QUANTITIES_BY_PLATFORM[shown.platform]
    if shown.device_class == "enum" or (shown.platform is None and options_of(point)):
        return Quantity.OPTION
    if point.signal:
        return Quantity.SIGNAL
    if point.wire_format is Format.BOOL:
        return Quantity.BOOLEAN
    if shown.device_class in _QUANTITIES:
        return _QUANTITIES[shown.device_class]
    return _QUANTITIES_BY_UNIT.get(point.unit or "", Quantity.NUMBER)


def _precision(point: Datapoint) -> int | None:
    if point.shown.precision is not None or point.shown.platform != "number":
        return point.shown.precision
    step = point.limits.step
    if step is None:
        return None
    return next((digits for digits in range(5) if round(step, digits) == step), None)


@cache
def catalogue_for(kind: str, nominal: float = 48, ac: float = 230) -> Catalogue:
    """Return the catalogue of a kind for a plant of these nominal voltages."""
    if kind == SYSTEM:
        return Catalogue(kind, SYSTEM_FIELDS)
    points = datapoints(FAMILY_OF[kind])
    fields = tuple(field_of(point, limits_of(point, nominal, ac)) for point in points)
    return Catalogue(kind, fields + (GATEWAY_FIELDS if kind == XCOM else DEVICE_FIELDS))


KINDS = (*FAMILY_OF, SYSTEM)

CATALOGUES: Mapping[str, Catalogue] = {kind: catalogue_for(kind, 48.0, 230.0) for kind in KINDS}


def point_of(kind: str, key: str) -> Datapoint | None:
    """Return the datapoint of a field; ``None`` for fields that no device has."""
    family = FAMILY_OF.get(kind)
    return None if family is None else by_key(family, key)


def to_field(point: Datapoint, wire: WireValue, zone: tzinfo | None) -> Value | None:
    """Return a decoded value as its field reports it; ``None`` when it makes no sense.

    *zone* is the plant's; ``None`` is the system's own.
    """
    if isinstance(wire, (str, bytes)) or point.signal:
        return None
    if point.wire_format is Format.BOOL:
        return bool(wire)
    if point.choices:
        return _choice(point, wire)
    if point.time_of_day:
        return _clock_time(int(wire))
    if point.wall_clock:
        return localised(plant_time(int(wire)), zone)
    if isinstance(wire, float):
        value = shortest(wire)
        if value - value != 0:
            return None
        return round(value, 1) if point.unit == "%" and not point.is_parameter else value
    return wire


def _clock_time(minutes: int) -> time | None:
    if not 0 <= minutes <= LAST_MINUTE:
        return None
    return time(*divmod(min(minutes, LAST_MINUTE - 1), 60))


def _choice(point: Datapoint, wire: int | float) -> Value | None:
    number = exact_integer(wire)
    if point.shown.platform == "binary_sensor":
        return bool(number) if number in (0, 1) else None
    return next((choice.option for choice in point.choices if choice.wire == number), None)


def localised(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a wall-clock time of the plant with its zone."""
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def to_wire(point: Datapoint, value: Value, zone: tzinfo | None) -> WireValue:
    """Return a field's value as the wire has it. Raises :class:`ValueError`."""
    if isinstance(value, time) and point.time_of_day:
        minutes = value.hour * 60 + value.minute
        return LAST_MINUTE if minutes == LAST_MINUTE - 1 else minutes
    if isinstance(value, datetime) and point.wall_clock:
        return plant_seconds(value.astimezone(zone))
    if isinstance(value, str):
        for choice in point.choices:
            if value in (choice.option, choice.label):
                return choice.wire
        if not point.choices:
            raise ValueError(f"{point.key} takes a number, not {value!r}")
        raise ValueError(f"{point.key} takes one of {', '.join(options_of(point))}, not {value!r}")
    if isinstance(value, bool):
        if point.choices:
            return to_wire(point, "on" if value else "off", zone)
        if point.wire_format is not Format.BOOL and not point.signal:
            raise ValueError(f"{point.key} takes a number, not {value!r}")
        return int(value)
    if not isinstance(value, (int, float)):
        raise ValueError(f"{point.key} does not take {value!r}")
    return value
