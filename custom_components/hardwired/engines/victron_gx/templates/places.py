"""What is somewhere: cars and positions."""

from __future__ import annotations

from ..channels.wishes import plain_number
from ..config import ExportConfig
from ..home import EntityState, Home, Json, number
from ..outcome import Call, Control, Outcome, WriteBack
from ..service import Service
from ..units import Kind, factor, from_gx, nearest, reading, to_gx

_CHARGING, _NOT_CHARGING = 3, 0


def car(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a car."""
    rows = (
        ("soc", "Soc", Kind.SHARE),
        ("target_soc", "TargetSoc", Kind.SHARE),
        ("range", "RangeToGo", Kind.LENGTH),
        ("odometer", "Odometer", Kind.LENGTH),
        ("capacity", "BatteryCapacity", Kind.ENERGY),
        ("power", "Ac/Power", Kind.POWER),
    )
    values: dict[str, Json] = {
        path: reading(home.state(config.sources[key]), kind)
        for key, path, kind in rows
        if key in config.sources
    }
    if "charging" in config.sources:
        charging = home.state(config.sources["charging"])
        is_charging = _CHARGING if charging.state == "on" else _NOT_CHARGING
        values["ChargingState"] = is_charging if charging.usable else None
    if "tracker" in config.sources:
        tracker = home.state(config.sources["tracker"])
        values["AtSite"] = int(tracker.state == "home") if tracker.usable else None
        latitude, longitude = position(tracker)
        values |= {"Position/Latitude": latitude, "Position/Longitude": longitude}
    controls: dict[str, Control] = {}
    target = config.sources.get("target_soc", "")
    if target.startswith(("number.", "input_number.")):
        controls["TargetSoc"] = number_control(home.state(target), Kind.SHARE)
    options = {"name": config.name, "stamp": True}
    return [Service("ev", "ev", options, values, controls)]


def gps(config: ExportConfig, home: Home) -> list[Service]:
    """Return the service of a position."""
    state = home.state(config.entity)
    latitude, longitude = position(state)
    values: dict[str, Json] = {"Position/Latitude": latitude, "Position/Longitude": longitude}
    for attribute, path in (("altitude", "Altitude"), ("course", "Course"), ("speed", "Speed")):
        if attribute in state.attributes:
            values[path] = state.attribute(attribute) if state.usable else None
    values["Fix"] = 0 if latitude is None else 1
    return [Service("gps", "gps", {"name": config.name}, values)]


def position(state: EntityState) -> tuple[float | None, float | None]:
    """Return latitude and longitude; both or none."""
    latitude = number(state.attributes.get("latitude"))
    longitude = number(state.attributes.get("longitude"))
    if not state.usable or latitude is None or longitude is None:
        return None, None
    sound = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if sound else (None, None)


def number_control(state: EntityState, kind: Kind) -> Control:
    """Return what sets a number entity to a value in the GX's unit."""
    present = reading(state, kind)
    low, high = state.attribute("min"), state.attribute("max")

    def control(value: Json) -> Outcome:
        told = plain_number(value)
        sound = low is not None and high is not None and factor(kind, state.unit) is not None
        if told is None or present is None or not sound:
            return WriteBack(present)
        assert low is not None
        assert high is not None
        wanted = from_gx(told, kind, state.unit)
        if not low - 1e-6 <= wanted <= high + 1e-6:
            return WriteBack(present)
        wanted = min(high, max(low, nearest(wanted, state.attribute("step") or 1, low)))
        data = {"entity_id": state.entity_id, "value": wanted}
        return Call(f"{state.domain}.set_value", data, to_gx(wanted, kind, state.unit))

    return control
