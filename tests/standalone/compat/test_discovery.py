"""Discovery: every field of every catalogue makes a payload that Home Assistant takes."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given, strategies as st

import hardwired_engines
from hardwired.compat import discovery
from hardwired.compat.discovery import Component, Topics, announce, component_of
from hardwired_engines.engine import Device, Message
from hardwired_engines.fields import (
    Accumulation,
    Catalogue,
    Field,
    Offer,
    Quantity,
    Role,
    Value,
)

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
EARLIEST = datetime(1971, 1, 1)  # noqa: DTZ001
DEVICE = Device("id 1/x", "kind", "Küche")


def catalogues() -> Iterator[Any]:
    for module in pkgutil.iter_modules(hardwired_engines.__path__):
        if not module.ispkg:
            continue
        package = f"hardwired_engines.{module.name}"
        found = importlib.import_module(package)
        names = {item.name for item in pkgutil.iter_modules(found.__path__)}
        if "catalogue" not in names:
            continue
        for kind, catalogue in importlib.import_module(f"{package}.catalogue").CATALOGUES.items():
            yield pytest.param(catalogue, id=f"{module.name}-{kind}")


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


def entities(catalogue: Catalogue, **options: Any) -> dict[str, Any]:
    message = announce(DEVICE, catalogue, **options)
    assert (message.retain, message.qos) == (True, 1)
    payload = json.loads(message.payload)
    assert payload["device"]["identifiers"]
    assert payload["origin"]["name"]
    return dict(payload["components"])


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("catalogue", list(catalogues()))
def test_every_field_of_every_catalogue(catalogue: Catalogue, times: bool) -> None:
    found = entities(catalogue, wanted=list(catalogue), times=times)
    for key, field in catalogue.items():
        assert (key in found) is (component_of(field, times=times) is not None)
        if field.offer is Offer.NEVER:
            assert key not in found
    for config in found.values():
        check_entity(config)
    assert len({config["unique_id"] for config in found.values()}) == len(found)
    few = entities(catalogue, times=times)
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
def test_any_field_makes_a_sound_payload_or_none(field: Field) -> None:
    found = entities(Catalogue("kind", [field]), wanted=[field.key])
    if field.key in found:
        check_entity(found[field.key])


VALUES = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=300)
    | st.datetimes(timezones=st.none() | st.just(UTC), min_value=EARLIEST)
    | st.times()
    | st.dates()
)


@given(FIELDS, VALUES)
def test_any_value_has_a_state(field: Field, value: Value | None) -> None:
    found = discovery.state(field, value)
    assert len(found) <= 255


@given(FIELDS, st.text(max_size=30) | st.sampled_from(["1", "ON", "nan", "12:30", "2026-01-01"]))
def test_any_command_is_a_value_or_refused(field: Field, payload: str) -> None:
    try:
        value = discovery.parse(field, payload)
    except ValueError as error:
        message = str(error)
        assert message
    else:
        assert value is not None
        assert field.writable


def number(**details: Any) -> Field:
    return Field(key="k", name="K", quantity=Quantity.CURRENT, unit="A", writable=True, **details)


def test_commands() -> None:
    parse = discovery.parse
    assert parse(number(minimum=2, maximum=50), " 12.5 ") == 12.5
    with pytest.raises(ValueError, match="at most"):
        parse(number(maximum=50), "51")
    for payload in ("", "nan", "inf", "1e999", "0x10", "12,5", "1_0", "٣"):
        with pytest.raises(ValueError, match="takes a"):
            parse(number(), payload)
    switch = Field(key="k", name="K", quantity=Quantity.BOOLEAN, writable=True)
    assert parse(switch, "ON") is True
    assert parse(switch, "false") is False
    with pytest.raises(ValueError, match="ON or OFF"):
        parse(switch, "maybe")
    button = Field(key="k", name="K", quantity=Quantity.SIGNAL, writable=True)
    assert parse(button, "PRESS") is True
    with pytest.raises(ValueError, match="PRESS"):
        parse(button, "0")
    clock = Field(key="k", name="K", quantity=Quantity.CLOCK_TIME, writable=True)
    assert parse(clock, "07:30:00") == time(7, 30)
    with pytest.raises(ValueError, match="07:30"):
        parse(clock, "24:00")
    moment = Field(key="k", name="K", quantity=Quantity.TIMESTAMP, writable=True)
    assert parse(moment, "2026-01-31T07:30:00+00:00") == datetime(2026, 1, 31, 7, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="date and time"):
        parse(moment, "tomorrow")
    with pytest.raises(ValueError, match="can't be written"):
        parse(Field(key="k", name="K", quantity=Quantity.CURRENT), "1")


def test_states() -> None:
    option = Field(key="k", name="K", quantity=Quantity.OPTION, options=("a", "b"))
    state = discovery.state
    assert state(option, "a") == "a"
    assert state(option, "c") == "None"
    assert state(option, None) == "None"
    current = number()
    assert (state(current, 12.0), state(current, float("nan"))) == ("12", "None")
    assert (state(current, True), state(current, False)) == ("ON", "OFF")
    assert (state(current, time(5, 30)), state(current, time(5, 30, 1))) == ("05:30", "05:30:01")
    assert state(current, datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00+00:00"
    assert state(current, datetime(2026, 1, 1)).startswith("2026-01-01T00:00:00+")  # noqa: DTZ001
    assert state(current, date(2026, 1, 1)) == "2026-01-01"


def test_topics_find_their_way_back() -> None:
    topics = Topics("my/house")
    assert topics.read_command(topics.command("id 1/x", "key")) == ("id_1_x", "key")
    for topic in (
        "my/house/a/b",
        "my/house/a/b/c/set",
        "other/a/b/set",
        "a/b/set",
        "",
        "my/house/",
    ):
        assert topics.read_command(topic) is None


def test_a_device_knows_what_it_hangs_behind() -> None:
    found = discovery.device_info(Device("a", "k", "A", model="M", via="hub 1"))
    assert found == {
        "identifiers": ["hardwired_a"],
        "name": "A",
        "model": "M",
        "via_device": "hardwired_hub_1",
    }


def test_fields_come_and_go() -> None:
    catalogue = Catalogue(
        "kind", [number(), Field(key="other", name="Other", quantity=Quantity.POWER, unit="W")]
    )
    found = entities(catalogue, keys=["k"], gone={"old": Component.SENSOR})
    assert found["old"] == {"platform": "sensor"}
    assert set(found) == {"old", "k"}
    assert discovery.withdraw("a").payload == ""


def test_connection_stays_known_when_the_device_is_lost() -> None:
    field = Field(key="c", name="C", quantity=Quantity.CONNECTIVITY)
    assert entities(Catalogue("k", [field]))["c"]["availability"] == [
        {"topic": "hardwired/bridge/state"}
    ]


def test_events_are_never_retained() -> None:
    message = discovery.event_message(
        Message(
            DEVICE,
            "alarm",
            "error",
            datetime(2026, 1, 1, tzinfo=UTC),
            {"number": 5, "at": time(1, 2), "odd": float("nan"), "event_type": "x"},
        )
    )
    assert not message.retain
    assert json.loads(message.payload) == {
        "event_type": "error",
        "time": "2026-01-01T00:00:00+00:00",
        "number": 5,
        "at": "01:02:00",
        "odd": None,
    }


def test_life_signs() -> None:
    assert discovery.bridge_message(online=False).payload == "offline"
    assert discovery.availability_message("a b", online=True).topic == "hardwired/a_b/availability"
    assert discovery.state_message("a", number(), 1.5).retain
