"""The GX as a sink: what is registered, sent and taken back (spec g; vectors venus.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.gx.driver import REFERENCE, Driver, read_status
from hardwired.gx.mapping import Bounds, table
from hardwired.gx.registration import Plan, client_id, names, plan, status
from hardwired.gx.values import values
from hardwired.gx.wishes import RefusedSet, Wished, read_set
from hardwired_engines.fields import Value
from tests.vector_files import cases, load, vectors

pytestmark = pytest.mark.vectors


def driver_of(name: str) -> Driver:
    told = load("bridge", "venus.json")["drivers"][name]
    if told is None:
        return REFERENCE
    found = read_status(json.dumps(told).encode())
    assert found is not None
    return found


class ToldView:
    """A device as a vector describes it."""

    def __init__(self, case: Mapping[str, Any], keys: Sequence[str] | None = None) -> None:
        device = case.get("device", {"id": "device"})
        self.name = device.get("name", device["id"])
        self._values = case.get("values", {})
        self._keys = set(self._values if keys is None else keys)
        self._roles = case.get("roles", {})
        self._modes = case.get("modes", {})
        self._bounds = case.get("bounds", {})
        self._log = case.get("log", [])

    def has(self, key: str) -> bool:
        return key in self._keys or any(key == one["key"] for one in self._log)

    def value(self, key: str) -> Value | None:
        found: Value | None = self._values.get(key)
        return found

    def has_composite(self, key: str) -> bool:
        return True

    def role(self, composite: str, role: str) -> Value | None:
        found: Value | None = self._roles.get(composite, {}).get(role)
        return found

    def words(self, composite: str, what: str) -> Sequence[str]:
        found: Sequence[str] = self._modes.get("mode", [])
        return found

    def bounds(self, key: str) -> Bounds | None:
        told = self._bounds.get(key)
        return None if told is None else Bounds(told["min"], told["max"], told["step"])

    def temperatures(self) -> Sequence[tuple[str, str]]:
        return [(one["key"], one["name"]) for one in self._log]


def all_keys(family: str) -> set[str]:
    """Return every field that the table names for a kind."""
    found = set()
    for row in table()[family]:
        found |= {one.field for one in row.paths}
        for control in (*row.outputs, *row.inputs):
            found |= {control.source.field, *control.fields, control.measurement or ""}
    return found


def planned(case: Mapping[str, Any], keys: Sequence[str] | None = None, **options: Any) -> Any:
    view = ToldView(case, keys)
    place = (case.get("link", "link"), case.get("device", {"id": "device"})["id"])
    client = client_id(case.get("bridge", "b"), *place)
    return (
        plan(client, place, table()[case["family"]], view, driver_of(case["driver"]), **options),
        view,
    )


def test_the_table_is_the_vectors_own() -> None:
    if not (vectors("bridge") / "venus.json").exists():
        pytest.skip("this set of vectors has no venus.json")
    told = load("bridge", "venus.json").get("map")
    if told is None:
        pytest.skip("this set of vectors has no map")
    from importlib.resources import files

    own = json.loads(files("hardwired.gx").joinpath("map.json").read_text(encoding="utf-8"))
    assert own == told


@pytest.mark.parametrize("case", cases("bridge", "venus.json", "client_ids"))
def test_client_id(case: dict[str, Any]) -> None:
    assert client_id(case["bridge"], case["link"], case["device"]) == case["client"]


@pytest.mark.parametrize("case", cases("bridge", "venus.json", "registrations"))
def test_registration(case: dict[str, Any]) -> None:
    driver = driver_of(case["driver"])
    found, _ = planned(
        case, case["keys"], energy=case["profile"] == "energy", skip=case.get("skip", ())
    )
    expected = case["expect"]
    if expected is None:
        assert found is None
        return
    assert isinstance(found, Plan)
    assert expected["topic"] == f"device/{found.client}/Status"
    lwt = f"hardwired/{case['bridge']}/gx"
    assert status(found, driver, version="1.0.0", lwt_topic=lwt) == expected["payload"]
    if "will" in expected:
        assert driver.reference
        gone = status(found, driver, version="", lwt_topic=lwt, connected=False)
        assert gone == expected["will"]
    assert names(found, driver) == expected.get("names", {})


@pytest.mark.parametrize("case", cases("bridge", "venus.json", "values"))
def test_values(case: dict[str, Any]) -> None:
    found, view = planned(case, energy=True)
    assert found is not None
    service = found.service(case["service"])
    assert service is not None
    assert values(service, view) == case["expect"]


@pytest.mark.parametrize("case", cases("bridge", "venus.json", "sets"))
def test_sets(case: dict[str, Any]) -> None:
    found, _ = planned(case, sorted(all_keys(case["family"])), energy=True)
    message = case["message"]
    sent = {}
    if "sent" in case:
        sent[message["service"], message["path"]] = (case["sent"]["value"], -case["sent"]["age"])
    result = read_set(found, message, sent, 0.0)
    match result:
        case None:
            assert case["expect"] == {"ignored": True}
        case RefusedSet():
            assert case["expect"] == {"refused": "invalid_command"}
        case Wished(rows=rows) if rows:
            assert case["expect"] == {"wishes": [list(one) for one in rows]}
        case Wished(values=told):
            assert case["expect"] == {"values": told}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(["control", "room", "nope"]) | JSON,
    st.sampled_from(["SwitchableOutput/room/Dimming", "SwitchableOutput/heat/State"]) | JSON,
    JSON,
)
def test_any_set_is_a_wish_refused_or_ignored(service: Any, path: Any, value: Any) -> None:
    case = {"family": "truma.heater", "driver": "full", "modes": {"mode": ["eco", "high"]}}
    found, _ = planned(case, sorted(all_keys("truma.heater")))
    told = {"service": service, "path": path, "value": value}
    result = read_set(found, told, {}, 0.0)
    assert result is None or isinstance(result, (Wished, RefusedSet))


@given(st.binary(max_size=100) | JSON.map(lambda told: json.dumps(told).encode()))
def test_any_driver_status_is_read_or_none(payload: bytes) -> None:
    read_status(payload)
