"""The drop-in faces of inetbox.py and inetbox2mqtt, held against the recorded reference runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hardwired.compat import inetbox_texts
from hardwired.compat.inetbox_discovery import discovery
from hardwired.compat.inetbox_texts import Dialect, Kind, Language, Texts
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

KINDS = {
    "temp_code": Kind.TEMPERATURE,
    "water_temp_code": Kind.WATER,
    "energy_mix_code": Kind.ENERGY_MIX,
    "el_power_code": Kind.POWER_LEVEL,
    "heating_mode": Kind.HEATING_MODE,
    "operating_status": Kind.OPERATING_STATUS,
    "clock_mode": Kind.CLOCK_MODE,
    "clock_source": Kind.CLOCK_SOURCE,
    "aircon_operating_mode": Kind.AIRCON_MODE,
    "aircon_vent_mode": Kind.AIRCON_VENT,
}


def texts_of(case: dict[str, Any]) -> Texts:
    language = case.get("lang", case.get("language")) or "none"
    return Texts(Dialect(case.get("dialect", "inetbox.py")), Language(language))


def conversion(case: dict[str, Any]) -> Callable[[Any], Any]:
    name, texts = case["fn"], texts_of(case)
    if name == "error_code_to_string":
        return lambda pair: inetbox_texts.error_text(*pair)
    if name == "clock_to_string":
        return lambda code: inetbox_texts.clock_text(code & 0xFF, code >> 8)
    if name.startswith("string_to_"):
        return lambda text: texts.code(KINDS[name.removeprefix("string_to_")], text)
    return lambda code: texts.text(KINDS[name.removesuffix("_to_string")], code)


@pytest.mark.parametrize("case", cases("truma", "conversions.json"))
def test_conversions(case: dict[str, Any]) -> None:
    convert = conversion(case)
    if case.get("error"):
        with pytest.raises(ValueError, match=r"."):
            convert(case["in"])
    else:
        assert convert(case["in"]) == case["out"]


def test_discovery_of_inetbox_py() -> None:
    for case in load("truma", "ha_discovery.json")["inetbox_py"]:
        (message,) = discovery(texts_of(case))
        assert (message.topic, message.retain) == (case["topic"], case["retain"])
        assert json.loads(message.payload) == case["payload"]


def test_discovery_of_inetbox2mqtt() -> None:
    recorded = load("truma", "ha_discovery.json")["inetbox2mqtt"]
    messages = list(discovery(Texts(Dialect.INETBOX2MQTT)))
    assert all((m.retain, m.qos) == (recorded["retain"], recorded["qos"]) for m in messages)
    assert [message.payload for message in messages[::2]] == ["{}"] * len(recorded["messages"])
    assert [(message.topic, json.loads(message.payload)) for message in messages[1::2]] == [
        (item["topic"], item["payload"]) for item in recorded["messages"]
    ]
    assert [message.topic for message in messages[::2]] == [m.topic for m in messages[1::2]]
