"""The value of each user info of a simulated device, one line per info (spec d.1, d.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from ..datapoints.datapoint import Datapoint, by_id
from ..scom.families import Family
from ..scom.values import Format
from .machines import Machine, Mode, Monitor, Solar, Xtender
from .plant import Cycle, Plant

NO_SENSOR = 32_767.0
UNKNOWN = math.nan

AnyMachine = TypeVar("AnyMachine", bound=Machine)
Reading: TypeAlias = Callable[[AnyMachine, Plant], float]
Fixed: TypeAlias = Mapping[int, float]
"""The constant infos of a device: type, versions, FID."""


def _lockings(unit: Xtender, _plant: Plant) -> float:
    forbidden = ((1124, 0), (1125, 1), (1126, 2), (1128, 3), (1127, 4), (1461, 8))
    allowed = ((1462, 9), (1547, 10))
    bits = sum(1 << bit for number, bit in forbidden if not unit.setting(number))
    return bits + sum(1 << bit for number, bit in allowed if unit.setting(number))


def _limitation(unit: Xtender, plant: Plant) -> float:
    if unit.mode is Mode.INVERTER or unit.mode is Mode.OFF:
        return 0
    if unit.limited:
        return 9
    return 1 if plant.cycle is not Cycle.BULK else 4


def _relay_mode(number: int) -> Reading[Machine]:
    return lambda machine, _: {1: 1, 2: 2, 4: 3, 8: 4}.get(round(machine.setting(number)), 1)


def _relay(number: int) -> Reading[Machine]:
    """Automatic contacts are open here; the manual modes work."""
    return lambda machine, _: float(round(machine.setting(number)) in (2, 4))


def _minute(first: int, name: str, scale: float = 1.0) -> dict[int, Reading[Machine]]:
    """Return three infos: least, most and mean of the last minute."""
    return {
        first: lambda machine, _: machine.track(name).low * scale,
        first + 1: lambda machine, _: machine.track(name).high * scale,
        first + 2: lambda machine, _: machine.track(name).mean * scale,
    }


def _mean(name: str, scale: float = 1.0) -> Reading[Machine]:
    return lambda machine, _: machine.track(name).mean * scale


def _low(name: str) -> Reading[Machine]:
    return lambda machine, _: machine.track(name).low


def _high(name: str) -> Reading[Machine]:
    return lambda machine, _: machine.track(name).high


def _day_high(name: str, scale: float = 1.0) -> Reading[Machine]:
    return lambda machine, _: machine.track(name).day_high * scale


def _day_low(name: str) -> Reading[Machine]:
    return lambda machine, _: machine.track(name).day_low


def _today(name: str, scale: float = 1.0) -> Reading[Machine]:
    return lambda machine, _: machine.counter(name).today * scale


def _yesterday(name: str) -> Reading[Machine]:
    return lambda machine, _: machine.counter(name).yesterday


def _user(name: str) -> Reading[Machine]:
    return lambda machine, _: machine.counter(name).user


def _total(name: str, scale: float = 1.0) -> Reading[Machine]:
    return lambda machine, _: machine.counter(name).total * scale


XTENDER: Mapping[int, Reading[Xtender]] = {
    3000: lambda u, p: u.volts,
    3001: lambda u, p: 21.5 + 0.5 * u.noise("battery", p.moment, 600),
    3002: lambda u, p: -0.003 * 24 * (21.5 - 25),
    3003: lambda u, p: 0.004 * u.s_out / p.layout.unit_power * 100,
    3004: lambda u, p: u.setting(1138) if u.mode is Mode.CHARGER else 0.0,
    3005: lambda u, p: u.amps + 0.05 * u.noise("amps", p.moment),
    3006: lambda u, p: u.ripple,
    3007: lambda u, p: p.battery.soc * 100,
    3008: lambda u, p: (
        u.setting(1108) - (u.setting(1108) - u.setting(1109)) * (u.s_out / p.layout.unit_power)
    ),
    3010: lambda u, p: p.cycle,
    3011: lambda u, p: u.u_in,
    3012: lambda u, p: u.i_in,
    3013: lambda u, p: math.copysign(u.s_in, u.p_in) / 1000,
    3017: lambda u, p: u.setting(1107),
    3018: lambda u, p: u.limited,
    3019: lambda u, p: u.mode is Mode.BOOST,
    3020: lambda u, p: u.relay,
    3021: lambda u, p: u.u_out,
    3022: lambda u, p: u.i_out,
    3023: lambda u, p: u.s_out / 1000,
    3028: lambda u, p: u.mode,
    3030: lambda u, p: u.mode is not Mode.OFF,
    3031: _relay(1202),
    3032: _relay(1311),
    3045: lambda u, p: u.overloads,
    3049: lambda u, p: u.mode is not Mode.OFF,
    3050: lambda u, p: p.layout.nominal / 2,
    3054: _relay_mode(1202),
    3055: _relay_mode(1311),
    3056: _lockings,
    3074: lambda u, p: not u.relay,
    3075: lambda u, p: u.relay,
    3076: _yesterday("discharge"),
    3078: _today("discharge"),
    3079: _today("charge"),
    3080: _yesterday("ac_in"),
    3081: _today("ac_in"),
    3082: _yesterday("consumers"),
    3083: _today("consumers"),
    3084: lambda u, p: u.f_in,
    3085: lambda u, p: u.f_out,
    3087: lambda u, p: u.p_out,
    3088: lambda u, p: u.p_in,
    3089: lambda u, p: 1 << u.phase,
    **_minute(3090, "volts"),
    **_minute(3093, "amps"),
    **_minute(3096, "s_out", 0.001),
    **_minute(3099, "p_out", 0.001),
    **_minute(3102, "temperature"),
    **_minute(3105, "transformer"),
    **_minute(3108, "f_out"),
    **_minute(3111, "u_in"),
    **_minute(3114, "i_in"),
    **_minute(3117, "p_in", 0.001),
    **_minute(3120, "f_in"),
    3136: lambda u, p: u.p_out / 1000,
    3137: lambda u, p: u.p_in / 1000,
    3138: lambda u, p: math.copysign(u.s_in, u.p_in) / 1000,
    3139: lambda u, p: u.s_out / 1000,
    3142: lambda u, p: 4 if u.mode is not Mode.OFF else 1,
    3154: lambda u, p: u.f_in,
    3155: lambda u, p: u.setting(1523) if u.mode is Mode.INJECTION else 0.0,
    3160: _limitation,
    3164: lambda u, p: u.target,
    3165: lambda u, p: u.setting(1138),
    3166: lambda u, p: (u.p_out - u.p_in) / u.u_out if u.u_out else 0.0,
    3167: lambda u, p: u.u_out,
}


def _solar_mode(solar: Solar, plant: Plant) -> float:
    if solar.night:
        return 0
    if not solar.running:
        return 6
    return 9 if solar.curtailed and plant.cycle is not Cycle.BULK else 8


def _string_mode(solar: Solar, plant: Plant) -> float:
    if solar.night:
        return 0
    if not solar.running:
        return 2
    return 4 if solar.curtailed and plant.cycle is not Cycle.BULK else 3


_SOLAR_CYCLES = {Cycle.BULK: 0, Cycle.ABSORPTION: 1, Cycle.EQUALIZATION: 2, Cycle.FLOATING: 3}

VARIOTRACK: Mapping[int, Reading[Solar]] = {
    11000: lambda s, p: s.volts,
    11001: lambda s, p: s.amps,
    11002: lambda s, p: s.mean_pv_volts,
    11003: lambda s, p: s.pv_amps[0],
    11004: lambda s, p: s.watts / 1000,
    11005: lambda s, p: NO_SENSOR,
    11006: _today("charge"),
    11007: _today("energy"),
    11008: _user("energy"),
    11009: _total("energy", 0.001),
    11010: _yesterday("charge"),
    11011: _yesterday("energy"),
    11016: _solar_mode,
    11017: _day_high("pv_volts"),
    11018: _day_high("amps"),
    11019: _day_high("watts", 0.001),
    11020: _day_high("volts"),
    11021: _day_low("volts"),
    11025: _today("sun"),
    11026: _yesterday("sun"),
    11037: lambda s, p: s.setting(10025),
    11038: lambda s, p: _SOLAR_CYCLES[p.cycle],
    11039: _mean("volts"),
    11040: _mean("amps"),
    11041: _mean("pv_volts"),
    11043: _mean("watts", 0.001),
    11044: lambda s, p: NO_SENSOR,
    11045: _mean("temperature"),
    11046: _mean("temperature"),
    11063: lambda s, p: 1,
    11064: lambda s, p: 1,
    11066: lambda s, p: 4,
    11069: lambda s, p: s.running,
    11079: lambda s, p: 1,
    11080: lambda s, p: 1,
}


def _input(
    number: int, what: Callable[[Solar], tuple[float, ...]], scale: float = 1.0
) -> Reading[Solar]:
    return lambda solar, _: what(solar)[number - 1] * scale


VARIOSTRING: Mapping[int, Reading[Solar]] = {
    15000: lambda s, p: s.volts,
    15001: lambda s, p: s.amps,
    15002: lambda s, p: _SOLAR_CYCLES[p.cycle],
    15003: lambda s, p: 1,
    15004: lambda s, p: s.mean_pv_volts,
    15005: _input(1, lambda s: s.pv_volts),
    15006: _input(2, lambda s: s.pv_volts),
    15007: lambda s, p: sum(s.pv_amps),
    15008: _input(1, lambda s: s.pv_amps),
    15009: _input(2, lambda s: s.pv_amps),
    15010: lambda s, p: s.watts / 1000,
    15011: _input(1, lambda s: s.pv_watts, 0.001),
    15012: _input(2, lambda s: s.pv_watts, 0.001),
    15013: _string_mode,
    15014: _string_mode,
    15015: _string_mode,
    15016: _today("charge"),
    15017: _today("energy"),
    15018: _today("energy1"),
    15019: _today("energy2"),
    15020: _user("energy"),
    15021: _user("energy1"),
    15022: _user("energy2"),
    15023: _total("energy", 0.001),
    15024: _total("energy1", 0.001),
    15025: _total("energy2", 0.001),
    15026: _yesterday("charge"),
    15027: _yesterday("energy"),
    15028: _yesterday("energy1"),
    15029: _yesterday("energy2"),
    15030: _today("sun"),
    15031: _yesterday("sun"),
    15032: lambda s, p: NO_SENSOR,
    15033: _day_high("pv_volts"),
    15034: _day_high("pv_volts1"),
    15035: _day_high("pv_volts2"),
    15036: _day_high("amps"),
    15037: _day_high("watts", 0.001),
    15038: _day_high("watts1", 0.001),
    15039: _day_high("watts2", 0.001),
    15040: _day_high("volts"),
    15041: _day_low("volts"),
    15042: _today("absorption"),
    15043: lambda s, p: 0.4 + 0.1 * s.noise("earth", p.moment),
    15044: lambda s, p: -s.mean_pv_volts / 2,
    15045: lambda s, p: -s.pv_volts[0] / 2,
    15046: lambda s, p: -s.pv_volts[1] / 2,
    15050: lambda s, p: 1,
    15051: lambda s, p: 4,
    15052: lambda s, p: 26,
    15053: lambda s, p: s.setting(14005 if p.cycle is Cycle.FLOATING else 14009),
    15054: _mean("volts"),
    15055: _high("volts"),
    15056: _low("volts"),
    15057: _mean("amps"),
    15058: _mean("pv_volts"),
    15059: _mean("pv_volts1"),
    15060: _mean("pv_volts2"),
    15061: _mean("watts", 0.001),
    15062: _mean("watts1", 0.001),
    15063: _mean("watts2", 0.001),
    15064: lambda s, p: NO_SENSOR,
    15065: _mean("temperature"),
    15066: _high("temperature"),
    15067: _low("temperature"),
    15068: _mean("temperature"),
    15069: _high("temperature"),
    15070: _low("temperature"),
    15090: lambda s, p: 1,
    15091: lambda s, p: 1,
    15108: lambda s, p: s.running,
}


def _autonomy(monitor: Monitor, plant: Plant) -> float:
    if monitor.amps >= -0.5:
        return UNKNOWN
    return min(59_000.0, plant.battery.soc * plant.battery.capacity / -monitor.amps * 60)


def _soc_status(monitor: Monitor, _plant: Plant) -> float:
    if monitor.soc >= 99.5:
        return 9
    return 5 if monitor.soc <= monitor.setting(6062) else 10


_MONITOR: Mapping[int, Reading[Monitor]] = {
    7000: lambda m, p: m.volts,
    7001: lambda m, p: m.amps,
    7002: lambda m, p: m.soc,
    7003: lambda m, p: m.volts * m.amps,
    7007: _today("charged"),
    7008: _today("discharged"),
    7009: _yesterday("charged"),
    7010: _yesterday("discharged"),
    7029: lambda m, p: m.temperature,
    7030: _mean("volts"),
    7031: _mean("amps"),
    7032: _mean("soc"),
    7033: _mean("temperature"),
    7047: lambda m, p: 30 + 0.7 * m.soc,
}

BSP: Mapping[int, Reading[Monitor]] = {
    **_MONITOR,
    7004: _autonomy,
    7005: lambda m, p: m.temperature + 6,
    7006: lambda m, p: 98.5,
    7011: _total("charged", 0.001),
    7012: _total("discharged", 0.001),
    7013: _total("hours", 1 / 24),
    7017: _user("charged"),
    7018: _user("discharged"),
    7019: _user("hours"),
}

BMS: Mapping[int, Reading[Monitor]] = {
    **_MONITOR,
    7022: lambda m, p: m.soc,
    7047: lambda m, p: m.soc,
    7055: lambda m, p: p.battery.capacity,
    7057: lambda m, p: 97.0,
    7058: lambda m, p: m.soc,
    7061: lambda m, p: 56.4 * p.layout.nominal / 48,
    7062: lambda m, p: 46.0 * p.layout.nominal / 48,
    7063: lambda m, p: 0.5 * p.battery.capacity,
    7064: lambda m, p: 0.8 * p.battery.capacity,
    7065: lambda m, p: 0.3 * p.battery.capacity,
    7066: lambda m, p: 0.5 * p.battery.capacity,
    7067: lambda m, p: 2,
    7068: _soc_status,
    7069: lambda m, p: m.setting(6062),
    7070: lambda m, p: m.setting(6063),
    7071: lambda m, p: m.setting(6075),
}


def version_numbers(text: str) -> tuple[float, float]:
    """Return the two numbers in which a software version travels."""
    major, minor, revision = (int(part) for part in text.split("."))
    return float(major << 8), float(minor << 8 | revision)


def fixed_infos(family: Family, fid: str, firmware: str, plant: Plant) -> Fixed:
    """Return the constant infos of a device."""
    layout = plant.layout
    soft = version_numbers(firmware)
    msb, lsb = float(int(fid[:4], 16)), float(int(fid[4:], 16))
    match family:
        case Family.XT:
            amps = layout.unit_power / layout.ac
            own = {
                3124: 256.0, 3125: layout.unit_power, 3126: float(layout.ac),
                3127: float(layout.nominal), 3128: amps, 3129: 515.0, 3130: soft[0],
                3131: soft[1], 3132: 260.0, 3133: 356.0, 3134: 114.0, 3135: lsb, 3156: msb,
                3157: lsb,
            }  # fmt: skip
        case Family.VT:
            own = {
                11012: 263.0, 11013: 263.0, 11014: 55.0, 11015: 0.0, 11047: 9729.0,
                11048: float(layout.nominal), 11049: 514.0, 11050: soft[0], 11051: soft[1],
                11052: lsb, 11067: msb, 11068: lsb,
            }  # fmt: skip
        case Family.VS:
            own = {
                15071: 174.0, 15072: 174.0, 15073: 87.0, 15074: 12801.0,
                15075: float(layout.nominal), 15076: 513.0, 15077: soft[0], 15078: soft[1],
                15079: lsb, 15102: msb, 15103: lsb,
            }  # fmt: skip
        case Family.BSP | Family.BMS:
            own = {
                7034: 10241.0, 7035: float(layout.nominal), 7036: 513.0, 7037: soft[0],
                7038: soft[1], 7039: 25.0, 7040: 35.0, 7041: lsb, 7048: msb, 7049: lsb,
                7060: 25.0,
            }  # fmt: skip
            if family is Family.BMS:
                own |= {7053: 1.0, 7054: 513.0, 7056: 0.0}
        case _:
            own = {}
    return own


def read_info(point: Datapoint, machine: Machine, plant: Plant, fixed: Fixed) -> float:
    """Return the present value of an info; a default where the model does not have it."""
    if point.id in fixed:
        return fixed[point.id]
    reading: Reading[Monitor] | Reading[Solar] | Reading[Xtender] | None
    match machine:
        case Xtender():
            if (found := XTENDER.get(point.id)) is not None:
                return float(found(machine, plant))
        case Solar():
            table = VARIOTRACK if point.family is Family.VT else VARIOSTRING
            if (reading := table.get(point.id)) is not None:
                return float(reading(machine, plant))
        case Monitor():
            entries = BMS if point.family is Family.BMS else BSP
            if (reading := entries.get(point.id)) is not None:
                return float(reading(machine, plant))
    return _quiet(point)


def _quiet(point: Datapoint) -> float:
    if point.wire_format is Format.SHORT_ENUM and point.choices:
        return float(next(c.wire for c in point.choices if c.wire not in point.enum_absent))
    return 0.0


def modelled(family: Family) -> frozenset[int]:
    """Return the infos of a family that the model moves, for tests."""
    tables: Mapping[Family, Mapping[int, object]] = {
        Family.XT: XTENDER,
        Family.VT: VARIOTRACK,
        Family.VS: VARIOSTRING,
        Family.BSP: BSP,
        Family.BMS: BMS,
    }
    found = frozenset(tables.get(family, {}))
    assert all(by_id(family, number) is not None for number in found)
    return found
