"""Moving over from an old program without losing history (spec d.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from hardwired.bridge.sink import Moment, Publication, Traffic
from hardwired.compat.adopting import old_of
from hardwired.compat.legacy import LegacyDialect
from hardwired.mqtt.adoption import Returning
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.engine import Device, DeviceState, Snapshot
from hardwired_engines.factory import EngineFactory, ProbeResult
from hardwired_engines.fields import Catalogue, Field, Quantity
from hardwired_engines.storage import MemoryStorage
from tests.standalone.mqtt.fakes import opened
from tests.vector_files import cases

WALL = datetime(2026, 11, 28, tzinfo=UTC)


class Factory(EngineFactory[Any]):
    key = "x"
    catalogues: Mapping[str, Catalogue] = {}

    def identified(self, device: Device) -> bool:
        return True

    def read(self, values: Mapping[str, Any]) -> Any:
        return values

    def make(self, settings: Any, surroundings: Any) -> Any:
        raise NotImplementedError

    async def probe(self, settings: Any, surroundings: Any, **more: Any) -> ProbeResult:
        return ProbeResult()


class View:
    def __init__(self, state: DeviceState, settings: dict[str, Any]) -> None:
        self.name = "link"
        self.family = "x"
        self.factory = Factory()
        self.settings = {"sinks": ["home"], "native": True, "legacy": [], **settings}
        self.zone = None
        self.read_only = False
        self.snapshot = Snapshot({state.device.id: state}, True, None)
        self.notices = ()
        self.known = {state.device.id: state.device.id}

    def want(self, device: str, key: str, every: float | None = None) -> None:
        pass


class FakeHub:
    def __init__(self, view: View) -> None:
        self.settings = {"id": "hardwired", "name": "Hardwired", "language": "en"}
        self.instance = "1"
        self.version = "1"
        self.started = WALL
        self.log_level = "info"
        self.configured = {"link": True}
        self.links = {"link": view}
        self.sinks: dict[str, Any] = {}

    def health(self) -> dict[str, Any]:
        return {}

    def mask(self, text: str) -> str:
        return text


def state_of(dialect: str) -> DeviceState:
    number, flag = Quantity.NUMBER, Quantity.BOOLEAN
    if dialect == "sunsniff":
        keys = ("grid_voltage", "battery_soc", "pv_power")
        device = Device("1235687108", "inverter", "Inverter", serial_number="1235687108")
        fields = Catalogue("inverter", [Field(key=key, name=key, quantity=number) for key in keys])
    else:
        device = Device("0A1B2C3D4E5F", "xt", "Xtender 1", address="101")
        fields = Catalogue(
            "xt",
            [
                Field(key="battery_voltage", name="B", quantity=number),
                Field(key="inverter_allowed", name="I", quantity=flag, writable=True),
            ],
        )
    return DeviceState(device, dict.fromkeys(fields), fields=fields)


def moved(found: list[Any], prefix: str = "homeassistant/") -> list[dict[str, Any]]:
    return [
        {
            "topic": one.topic,
            "payload": json.loads(one.payload) if one.payload else "",
            "retain": one.retain,
            "qos": one.qos,
        }
        for one in found
        if isinstance(one, Publication)
        and one.topic.startswith(prefix)
        and not one.topic.startswith(f"{prefix}device/hardwired_bridge")
    ]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "adopt.json"))
def test_the_three_steps(case: dict[str, Any]) -> None:
    dialect = case["dialect"]
    first, pause, device, again, last = case["steps"]
    state = state_of(dialect)
    settings = {
        "adopt": dialect,
        "legacy": [
            {"dialect": dialect, "sensors": ["batteryVoltage"], "parameters": ["allowInverter"]}
        ],
    }
    store = MemoryStorage()
    hub: Any = FakeHub(View(state, settings))
    native = NativeDialect("home", {"read_only": False}, hub, store)
    steps = moved(opened(native, {"link": hub.links["link"].snapshot}, Moment(0.0, WALL)))
    assert sorted(steps, key=str) == sorted(first["publish"], key=str)
    assert native.due is not None
    assert native.due <= pause["wait"]
    assert moved(native.tick(Moment(1.9, WALL))) == []
    (announced,) = moved(native.tick(Moment(2.0, WALL)))
    told = device["publish_device"]
    assert announced["topic"] == told["topic"]
    assert announced["payload"]["device"]["identifiers"] == told["identifiers"]
    for key, ids in told["ids"].items():
        component = announced["payload"]["components"][key]
        assert {name: component[name] for name in ids} == ids
    assert moved(native.tick(Moment(2.0 + again["wait"] - 0.1, WALL))) == []
    emptied = moved(native.tick(Moment(2.0 + again["wait"], WALL)))
    assert sorted(emptied, key=str) == sorted(last["publish"], key=str)
    # Once is enough: after a restart the device message alone, with the old ids.
    native = NativeDialect("home", {"read_only": False}, hub, store)
    (announced,) = moved(opened(native, {"link": hub.links["link"].snapshot}, Moment(9.0, WALL)))
    assert announced["topic"] == told["topic"]
    assert announced["payload"]["device"]["identifiers"] == told["identifiers"]


def test_a_device_that_is_removed_on_its_way_leaves_nothing_to_do() -> None:
    state = state_of("sunsniff")
    hub: Any = FakeHub(View(state, {"adopt": "sunsniff"}))
    native = NativeDialect("home", {"read_only": False}, hub, MemoryStorage())
    assert moved(opened(native, {"link": hub.links["link"].snapshot}, Moment(0.0, WALL)))
    assert native.due == 2.0
    native.forget("link", state.device.id)
    assert moved(native.tick(Moment(2.0, WALL))) == []
    assert native.due > 2.0


class OldDialect(LegacyDialect):
    """As much of an old program as the way back needs: it announces when it connects."""

    def __init__(self, topics: list[str]) -> None:
        self.name = "old"
        self.topics = topics

    def connected(self, links: Any, now: Moment) -> list[Any]:
        return [Publication(topic, "{}", True, 1, Traffic.DISCOVERY) for topic in self.topics]

    def disconnected(self, now: Moment) -> None:
        pass

    due = None


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "adopt.json"))
def test_the_way_back(case: dict[str, Any]) -> None:
    first, pause, old, _, last = case["back"]
    ident = first["publish"][0]["topic"].split("/")[2]
    store = MemoryStorage()
    store.save(
        {
            "announced": {ident: {first["publish"][0]["topic"]: {"x": "sensor"}}},
            "adopted": {ident: case["dialect"]},
        }
    )
    hub: Any = FakeHub(View(state_of(case["dialect"]), {"native": False}))
    native = NativeDialect("home", {}, hub, store)
    topics = native.left(case["dialect"])
    done = partial(native.give_back, case["dialect"])
    dialect = Returning(OldDialect(old["publish_old"]), topics, done)
    assert moved(dialect.connected({}, Moment(0.0, WALL))) == first["publish"]
    assert dialect.due == pause["wait"]
    assert dialect.tick(Moment(1.0, WALL)) == []
    found = dialect.tick(Moment(2.0, WALL))
    assert [one.topic for one in found if isinstance(one, Publication)] == old["publish_old"]
    assert dialect.tick(Moment(3.0, WALL)) == []
    assert moved(dialect.tick(Moment(4.0, WALL))) == last["publish"]
    assert dialect.due is None
    assert native.left(case["dialect"]) == ()
    assert store.load()["announced"] == {}
    again = dialect.connected({}, Moment(9.0, WALL))
    assert [one.topic for one in again if isinstance(one, Publication)] == old["publish_old"]


def test_inetbox_keeps_its_ids() -> None:
    fields = Catalogue(
        "heater",
        [Field(key="current_temp_water", name="R", quantity=Quantity.TEMPERATURE, unit="°C")],
    )
    state = DeviceState(Device("heater", "heater", "Heater"), {}, fields=fields)
    old = old_of("inetbox.py", state, {"legacy": []}, "homeassistant")
    assert old is not None
    assert old.topics == ("homeassistant/device/truma_Truma-Device/config",)
    unique, entity = old.ids["current_temp_water"]
    assert unique.startswith("truma_Truma-Device__sensor_")
    assert entity.startswith("sensor.")
    assert old.ids["room"][0] == "truma_Truma-Device__climate_Room-Temperature"
    assert old_of("inetbox2mqtt", state, {"legacy": []}, "homeassistant") is None


def test_xtender_mqtt_named_two_energies_by_the_numbers_of_other_values() -> None:
    keys = ("energy_ac_in_from_the_current_day", "energy_ac_in_from_the_previous_day")
    described = [Field(key=key, name=key, quantity=Quantity.ENERGY, unit="kWh") for key in keys]
    fields = Catalogue("xt", described)
    device = Device("2BD4", "xt", "Xtender 1", address="101")
    names = ["energyACInCurrentDay", "battDischargeCurrentDay"]
    found = old_of(
        "xtender_mqtt", DeviceState(device, fields=fields), {"sensors": names}, "homeassistant"
    )
    assert found is not None
    assert found.ids == {
        keys[0]: ("101_energyACInCurrentDay_3080", "sensor.101_energyacincurrentday_3080")
    }
