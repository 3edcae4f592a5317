"""The blueprint that boosts the ventilation: on a limit, on a fast rise, and never for too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, ServiceCall
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    async_mock_service,
)

from .test_blueprints import automate

FAN, SENSOR = "fan.ecolution", "sensor.bathroom"
NAME = "inventum_boost"


@pytest.fixture(autouse=True)
async def quiet(hass: HomeAssistant) -> AsyncIterator[None]:
    """Take the automation's waits away at the end."""
    yield
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


@pytest.fixture
def presets(hass: HomeAssistant) -> list[ServiceCall]:
    return async_mock_service(hass, "fan", "set_preset_mode")


async def settle() -> None:
    """Let what is due happen; an automation that waits is not waited for."""
    for _ in range(100):
        await asyncio.sleep(0)


async def humidity(hass: HomeAssistant, value: object) -> None:
    hass.states.async_set(SENSOR, str(value), {"device_class": "humidity"})
    await settle()


async def boosting(hass: HomeAssistant, **values: object) -> None:
    hass.states.async_set(FAN, "on", {"preset_mode": "auto"})
    await humidity(hass, 50)
    await automate(hass, NAME, fan=FAN, sensor=SENSOR, limit=70, hysteresis=5, **values)


def modes(calls: list[ServiceCall]) -> list[str]:
    return [call.data["preset_mode"] for call in calls]


async def test_above_the_limit_and_back_below_the_hysteresis(
    hass: HomeAssistant, presets: list[ServiceCall]
) -> None:
    await boosting(hass)
    await humidity(hass, 70)
    assert presets == []
    await humidity(hass, 71)
    assert modes(presets) == ["boost"]
    hass.states.async_set(FAN, "on", {"preset_mode": "boost"})
    await humidity(hass, 66)
    await humidity(hass, "unavailable")
    assert modes(presets) == ["boost"]
    await humidity(hass, 64)
    assert modes(presets) == ["boost", "auto"]


async def test_a_fast_rise(hass: HomeAssistant, presets: list[ServiceCall]) -> None:
    await boosting(hass, rise=8)
    await humidity(hass, 55)
    assert presets == []
    await humidity(hass, 63)
    assert modes(presets)[:1] == ["boost"]


async def test_never_longer_than_the_longest_time(
    hass: HomeAssistant, presets: list[ServiceCall], freezer: FrozenDateTimeFactory
) -> None:
    await boosting(hass, longest={"minutes": 30})
    await humidity(hass, 90)
    assert modes(presets) == ["boost"]
    freezer.tick(29 * 60)
    async_fire_time_changed(hass)
    await settle()
    assert modes(presets) == ["boost"]
    freezer.tick(61)
    async_fire_time_changed(hass)
    await settle()
    assert modes(presets) == ["boost", "auto"]


async def test_a_boost_of_somebody_else_is_left_alone(
    hass: HomeAssistant, presets: list[ServiceCall]
) -> None:
    await boosting(hass)
    hass.states.async_set(FAN, "on", {"preset_mode": "boost"})
    await humidity(hass, 90)
    assert presets == []
