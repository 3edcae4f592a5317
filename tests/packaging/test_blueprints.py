"""The automation blueprints: sound by Home Assistant's own rules, and they do what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint, BlueprintInputs
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml_dict
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "blueprints" / "automation" / "hardwired"
BLUEPRINTS = sorted(FOLDER.glob("*.yaml"))
ROOM, WATER = "climate.room", "water_heater.water"


def load(name: str) -> Blueprint:
    """Return a blueprint, checked by Home Assistant's schema."""
    return Blueprint(
        load_yaml_dict(str(FOLDER / f"{name}.yaml")),
        expected_domain="automation",
        schema=AUTOMATION_BLUEPRINT_SCHEMA,
    )


async def automate(hass: HomeAssistant, name: str, **values: Any) -> None:
    """Make an automation of a blueprint."""
    blueprint = load(name)
    inputs = BlueprintInputs(
        blueprint, {"use_blueprint": {"path": f"hardwired/{name}.yaml", "input": values}}
    )
    inputs.validate()
    config = {**inputs.async_substitute(), "id": name, "alias": name}
    assert await async_setup_component(hass, "automation", {"automation": [config]})
    await hass.async_block_till_done()
    state = hass.states.get(f"automation.{name}")
    assert state is not None, "Home Assistant refuses it"
    assert state.state == "on"


def room(hass: HomeAssistant, mode: str, now: float | None, target: float | None = None) -> None:
    """Let the room's climate say this."""
    hass.states.async_set(ROOM, mode, {"current_temperature": now, "temperature": target})


@pytest.fixture(autouse=True)
async def quiet(hass: HomeAssistant) -> AsyncIterator[None]:
    """Take the automations' timers away at the end."""
    yield
    if hass.services.has_service("automation", "turn_off"):
        await hass.services.async_call(
            "automation", "turn_off", {"entity_id": "all"}, blocking=True
        )


@pytest.fixture
def temperatures(hass: HomeAssistant) -> list[ServiceCall]:
    return async_mock_service(hass, "climate", "set_temperature")


@pytest.fixture
def modes(hass: HomeAssistant) -> list[ServiceCall]:
    return async_mock_service(hass, "climate", "set_fan_mode")


@pytest.fixture
def offs(hass: HomeAssistant) -> list[ServiceCall]:
    return async_mock_service(hass, "climate", "turn_off")


@pytest.fixture
def waters(hass: HomeAssistant) -> list[ServiceCall]:
    return async_mock_service(hass, "water_heater", "set_operation_mode")


async def at(hass: HomeAssistant, freezer: FrozenDateTimeFactory, text: str) -> None:
    """Let it be that time, UTC, with its second passing."""
    moment = dt_util.parse_datetime(text)
    assert moment is not None
    freezer.move_to(moment + timedelta(milliseconds=600))
    async_fire_time_changed(hass, moment + timedelta(milliseconds=600))
    await hass.async_block_till_done()


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_sound(path: Path) -> None:
    blueprint = load(path.stem)
    assert blueprint.validate() is None
    assert blueprint.metadata["source_url"].endswith(path.relative_to(ROOT).as_posix())
    for name, details in blueprint.inputs.items():
        assert details["name"], name
        assert details["selector"], name


def test_there_is_a_blueprint_for_each_wish() -> None:
    assert {path.stem for path in BLUEPRINTS} >= {
        "truma_preheat", "truma_frost_guard", "truma_night_setback",
    }  # fmt: skip


def test_the_pages_name_each_blueprint() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    for path in BLUEPRINTS:
        assert path.name in pages


# --------------------------------------------------------------------------- preheat


async def test_preheat(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    temperatures: list[ServiceCall],
    waters: list[ServiceCall],
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-12-01T06:00:00Z")
    room(hass, "off", 8)
    hass.states.async_set(
        "sensor.departure", "2026-12-01T09:00:00+00:00", {"device_class": "timestamp"}
    )
    await automate(
        hass, "truma_preheat",
        ready_at="sensor.departure", lead="-01:30:00", room=ROOM, temperature=21, water=[WATER],
    )  # fmt: skip
    await at(hass, freezer, "2026-12-01T07:29:00Z")
    assert temperatures == []
    await at(hass, freezer, "2026-12-01T07:30:00Z")
    (call,) = temperatures
    assert call.data == {"entity_id": [ROOM], "temperature": 21, "hvac_mode": "heat"}
    (call,) = waters
    assert call.data == {"entity_id": [WATER], "operation_mode": "eco"}


async def test_preheat_leaves_a_warm_room_alone(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    temperatures: list[ServiceCall],
    waters: list[ServiceCall],
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-12-01T06:00:00Z")
    room(hass, "off", 23)
    hass.states.async_set(
        "sensor.departure", "2026-12-01T09:00:00+00:00", {"device_class": "timestamp"}
    )
    await automate(hass, "truma_preheat", ready_at="sensor.departure", room=ROOM)
    await at(hass, freezer, "2026-12-01T07:30:00Z")
    assert temperatures == waters == []


# ----------------------------------------------------------------------- frost guard


async def test_frost_guard(
    hass: HomeAssistant, temperatures: list[ServiceCall], offs: list[ServiceCall]
) -> None:
    told: list[ServiceCall] = async_mock_service(hass, "notify", "phone")
    room(hass, "off", 6)
    await automate(
        hass, "truma_frost_guard", room=ROOM,
        on_frost=[{"action": "notify.phone", "data": {"message": "cold"}}],
    )  # fmt: skip
    room(hass, "off", 3.5)
    await hass.async_block_till_done()
    (call,) = temperatures
    assert call.data == {"entity_id": [ROOM], "temperature": 6, "hvac_mode": "heat"}
    assert len(told) == 1
    room(hass, "heat", 3.6, 6)
    room(hass, "heat", 8, 6)
    await hass.async_block_till_done()
    assert offs == []
    room(hass, "heat", 9.5, 6)
    await hass.async_block_till_done()
    assert [call.data for call in offs] == [{"entity_id": [ROOM]}]
    assert len(temperatures) == 1


async def test_frost_guard_leaves_your_own_heating_alone(
    hass: HomeAssistant, temperatures: list[ServiceCall], offs: list[ServiceCall]
) -> None:
    room(hass, "heat", 5, 20)
    await automate(hass, "truma_frost_guard", room=ROOM)
    room(hass, "heat", 3, 20)
    room(hass, "heat", 15, 20)
    await hass.async_block_till_done()
    assert temperatures == offs == []


async def test_frost_guard_tries_again(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, temperatures: list[ServiceCall]
) -> None:
    """The panel said no, or we were away when it got cold."""
    freezer.move_to("2026-12-01T06:01:00Z")
    room(hass, "off", 2)
    await automate(hass, "truma_frost_guard", room=ROOM)
    await at(hass, freezer, "2026-12-01T06:15:00Z")
    assert len(temperatures) == 1


# --------------------------------------------------------------------- night setback


async def test_night_setback(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    temperatures: list[ServiceCall],
    modes: list[ServiceCall],
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-12-01T20:00:00Z")
    room(hass, "heat", 20, 20)
    await automate(hass, "truma_night_setback", room=ROOM, day_mode="high")
    await at(hass, freezer, "2026-12-01T22:30:00Z")
    assert [call.data for call in temperatures] == [{"entity_id": [ROOM], "temperature": 16}]
    assert modes == []
    await at(hass, freezer, "2026-12-02T07:00:00Z")
    assert temperatures[-1].data == {"entity_id": [ROOM], "temperature": 20}
    assert [call.data for call in modes] == [{"entity_id": [ROOM], "fan_mode": "high"}]


async def test_night_setback_leaves_off_alone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, temperatures: list[ServiceCall]
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-12-01T20:00:00Z")
    room(hass, "off", 20)
    await automate(hass, "truma_night_setback", room=ROOM)
    await at(hass, freezer, "2026-12-01T22:30:00Z")
    assert temperatures == []
