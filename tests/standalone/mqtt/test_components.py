"""Every field of every catalogue, and any other, makes a component that Home Assistant takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.mqtt.components import Choice, Naming, Place, component_of, components
from hardwired.mqtt.topics import Topics
from hardwired_engines.engine import Device, DeviceState
from hardwired_engines.factory import factories
from hardwired_engines.fields import Accumulation, Catalogue, Field, Offer, Quantity, Role

UNITS = {
    "apparent_power": {"VA", "kVA", "mVA"},
    "battery": {"%"},
    "current": {"A", "mA"},
    "data_rate": {"bit/s", "kbit/s", "B/s", "kB/s"},
    "duration": {"d", "h", "min", "s", "ms"},
    "energy": {"kWh", "MWh", "Wh"},
    "frequency": {"Hz", "kHz"},
    "humidity": {"%"},
    "power": {"W", "kW", "MW"},
    "power_factor": {None, "%"},
    "reactive_power": {"var", "kvar"},
    "signal_strength": {"dBm", "dB"},
    "temperature": {"°C", "°F", "K"},
    "timestamp": {None},
    "enum": {None},
    "voltage": {"V", "mV", "kV"},
    "volume_flow_rate": {"m³/h", "L/min", "L/h", "L/s", "m³/s", "m³/min"},
}
STATE_CLASSES = {"energy": {"total", "total_increasing"}, "enum": set(), "timestamp": set()}
BINARY_CLASSES = {"connectivity", "heat", "plug", "power", "problem", "running", "window"}
DEVICE = Device("id 1/x", "kind", "Küche")
PLACE = Place("hardwired_link_1", "link", "1", Topics())


def catalogues() -> Iterator[Any]:
    for family, factory in factories().items():
        for kind, catalogue in factory.catalogues.items():
            yield pytest.param(catalogue, id=f"{family}-{kind}")


def check_entity(config: dict[str, Any]) -> None:
    component = config["platform"]
    assert re.fullmatch(rf"{component}\.[a-z0-9_]+", config["default_entity_id"])
    assert re.fullmatch(r"[A-Za-z0-9_-]+", config["unique_id"])
    assert config["name"]
    for key in ("state_topic", "command_topic"):
        assert not set("+#") & set(config.get(key, ""))
    control = component in {"number", "select", "switch", "button", "text", "time", "datetime"}
    assert ("command_topic" in config) is control
    assert config.get("entity_category") in ({"config", None} if control else {"diagnostic", None})
    device_class = config.get("device_class")
    if component == "binary_sensor":
        assert device_class is None or device_class in BINARY_CLASSES
        assert "unit_of_measurement" not in config
    elif device_class is not None:
        assert component in ("sensor", "number")
        assert config.get("unit_of_measurement") in UNITS[device_class]
    if "state_class" in config:
        assert component == "sensor"
        assert config["state_class"] in STATE_CLASSES.get(
            device_class or "", {"measurement", "total", "total_increasing"}
        )
    if component == "sensor" and device_class == "enum":
        assert config["options"]
    if component == "select":
        assert config["options"]
    if component == "event":
        assert config["event_types"]
    if component == "number":
        assert config["min"] < config["max"]
        assert config["step"] >= 0.001
    if component != "button" and not control:
        assert "state_topic" in config


def entities(catalogue: Catalogue, choice: Choice) -> dict[str, Any]:
    state = DeviceState(DEVICE, dict.fromkeys(catalogue), fields=catalogue)
    return components(PLACE, Naming(), choice, state)


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("catalogue", list(catalogues()))
def test_every_field_of_every_catalogue(catalogue: Catalogue, times: bool) -> None:
    found = entities(catalogue, Choice(included=frozenset(catalogue), times=times))
    for key, field in catalogue.items():
        assert (key in found) is (component_of(field, times=times) is not None)
        if field.offer is Offer.NEVER:
            assert key not in found
    for config in found.values():
        check_entity(config)
    assert len({config["unique_id"] for config in found.values()}) == len(found)
    few = entities(catalogue, Choice(times=times))
    assert all(catalogue[key].offer in (Offer.DEFAULT, Offer.EXTRA) for key in few)


FIELDS = st.builds(
    Field,
    key=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    name=st.text(min_size=1, max_size=10),
    quantity=st.sampled_from(Quantity),
    unit=st.none(),
    precision=st.none() | st.integers(0, 6),
    accumulation=st.sampled_from(Accumulation),
    role=st.sampled_from(Role),
    offer=st.sampled_from(Offer),
    readable=st.booleans(),
    writable=st.booleans(),
    minimum=st.none() | st.floats(-1e6, 1e6),
    maximum=st.none() | st.floats(-1e6, 1e6),
    step=st.none() | st.floats(0, 10),
    options=st.lists(st.text("abc", min_size=1), max_size=3, unique=True).map(tuple),
)


@given(FIELDS)
def test_any_field_makes_a_sound_component_or_none(field: Field) -> None:
    choice = Choice(included=frozenset({field.key}))
    for config in entities(Catalogue("kind", [field]), choice).values():
        check_entity(config)
