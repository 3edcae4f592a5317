"""Values as points (spec e.2)."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import Any

import pytest

from hardwired.influx.points import device_tags, event_point, field_value, line_of, native_point
from hardwired_engines.engine import Device, Message
from hardwired_engines.fields import Field, Quantity
from tests.vector_files import cases


def field_of(told: dict[str, Any]) -> Field:
    options = tuple(told.get("options", ()))
    return Field(**{**told, "quantity": Quantity(told["quantity"]), "options": options})


def value_of(field: Field | None, value: Any) -> Any:
    if field is not None and isinstance(value, str):
        if field.quantity is Quantity.CLOCK_TIME:
            return time.fromisoformat(value)
        if field.quantity is Quantity.TIMESTAMP:
            return datetime.fromisoformat(value)
    return value


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("bridge", "points.json"))
def test_points(case: dict[str, Any]) -> None:
    fields = {one["key"]: field_of(one) for one in case["fields"]}
    values = {key: value_of(fields.get(key), value) for key, value in case["values"].items()}
    tags = device_tags(case["tags"], case["link"], case["device"], case["kind"])
    moment = datetime.fromisoformat(case["time"])
    point = native_point(case["family"], tags, fields, values, moment=moment)
    assert (None if point is None else line_of(point)) == case["line"]


def test_a_key_never_changes_its_type() -> None:
    temperature = Field(key="t", name="T", quantity=Quantity.TEMPERATURE)
    for value in ("warm", True, 10**400, time(1)):
        assert field_value(temperature, value) is None
    assert field_value(temperature, 3) == 3.0
    problem = Field(key="p", name="P", quantity=Quantity.PROBLEM)
    assert field_value(problem, 1) is None
    option = Field(key="o", name="O", quantity=Quantity.OPTION, options=("a",))
    assert field_value(option, "b") is None


def test_a_value_without_a_field_is_left_out() -> None:
    assert native_point("x", {}, {}, {"raw": 1}, moment=None) is None


def test_events() -> None:
    device = Device("a b", "xt", "X")
    message = Message(device, "alarm", "low_battery", data={"text": 'say "x"', "n": 1})
    tags = device_tags({}, "plant", device.id, device.kind)
    assert line_of(event_point("studer", tags, message)) == (
        "studer_events,device=a\\ b,event_type=low_battery,kind=xt,link=plant "
        'text="{\\"text\\":\\"say \\\\\\"x\\\\\\"\\",\\"n\\":1}"'
    )


@pytest.mark.parametrize("text", ["x" * 1000, "a  b", "a\nb\u2028c\x7f", "ü" * 20_000])
def test_the_data_of_an_event_stays_json(text: str) -> None:
    device = Device("a", "xt", "X")
    point = event_point("studer", {}, Message(device, "alarm", "low", data={"text": text}))
    told = json.loads(str(point.fields["text"]))
    assert told == ({"text": text} if len(text) < 16_000 else {})
    assert str(point.fields["text"]).isprintable()
