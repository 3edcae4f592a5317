"""The blueprint that boosts the ventilation: on a limit, on a fast rise, and never for too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from .test_blueprints import automate

FAN, SENSOR = "fan.ecolution", "sensor.bathroom"
NAME = "inventum_boost"


@pytest.fixture(autouse=True)
async def quiet(hass: HomeAssistant) -> AsyncIterator[None]:
    """Take the automation's waits away at the end."""
    yield
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    made = MockConfigEntry(domain="hardwired")
    made.add_to_hass(hass)
    er.async_get(hass).async_get_or_create(
        "fan", "hardwired", "fan", suggested_object_id="ecolution", config_entry=made
    )
    return made


class Ventilation:
    """Does what the automation asks, and notes it."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self.told: list[str] = []
        self.minutes: list[int] = []
        hass.services.async_register("hardwired", "inventum_boost", self._boost)
        hass.services.async_register("fan", "set_preset_mode", self._preset)
        self.show("auto")

    def show(self, preset: str | None) -> None:
        """Let the fan say this."""
        self._hass.states.async_set(FAN, "on", {"preset_mode": preset})

    async def _boost(self, call: ServiceCall) -> None:
        assert call.data["config_entry_id"] == self._entry.entry_id
        self.minutes.append(call.data["minutes"])
        self.told.append("boost")
        self.show("boost")

    async def _preset(self, call: ServiceCall) -> None:
        self.told.append(call.data["preset_mode"])
        self.show(call.data["preset_mode"])


@pytest.fixture
def fan(hass: HomeAssistant, entry: MockConfigEntry) -> Ventilation:
    return Ventilation(hass, entry)


async def settle() -> None:
    """Let what is due happen; an automation that waits is not waited for."""
    for _ in range(200):
        await asyncio.sleep(0)


async def humidity(hass: HomeAssistant, value: object) -> None:
    hass.states.async_set(SENSOR, str(value), {"device_class": "humidity"})
    await settle()


async def passes(hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: float) -> None:
    freezer.tick(minutes * 60)
    async_fire_time_changed(hass)
    await settle()


async def boosting(hass: HomeAssistant, **values: object) -> None:
    await humidity(hass, 50)
    await automate(hass, NAME, fan=FAN, sensor=SENSOR, limit=70, hysteresis=5, **values)


async def test_above_the_limit_and_back_below_the_hysteresis(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await boosting(hass)
    await humidity(hass, 70)
    assert fan.told == []
    await humidity(hass, 71)
    assert fan.told == ["boost"]
    assert fan.minutes == [60]
    await humidity(hass, 66)
    await humidity(hass, "unavailable")
    assert fan.told == ["boost"]
    await humidity(hass, 64)
    assert fan.told == ["boost", "auto"]
    await humidity(hass, 71)
    assert fan.told == ["boost", "auto", "boost"]


async def test_what_was_high_before_it_was_saved_is_seen_at_once(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await humidity(hass, 80)
    await automate(hass, NAME, fan=FAN, sensor=SENSOR, limit=70, hysteresis=5)
    hass.bus.async_fire("automation_reloaded")
    await settle()
    assert fan.told == ["boost"]
    hass.bus.async_fire("automation_reloaded")
    await humidity(hass, 64)
    assert fan.told == ["boost", "auto"]


async def test_a_condition_that_becomes_true_while_it_is_high(
    hass: HomeAssistant, fan: Ventilation, freezer: FrozenDateTimeFactory
) -> None:
    hass.states.async_set("person.owner", "away")
    home = {"condition": "state", "entity_id": "person.owner", "state": "home"}
    await boosting(hass, conditions=[home])
    await humidity(hass, 80)
    hass.states.async_set("person.owner", "home")
    assert fan.told == []
    await passes(hass, freezer, 6)
    assert fan.told == ["boost"]


async def test_a_fast_rise_below_the_limit_ends_when_half_of_it_is_gone(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await boosting(hass, rise=8)
    await humidity(hass, 55)
    assert fan.told == []
    await humidity(hass, 63)
    await humidity(hass, 60)
    assert fan.told == ["boost"]
    await humidity(hass, 58)
    assert fan.told == ["boost", "auto"]


async def test_a_fast_rise_above_the_limit_goes_by_the_limit(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await boosting(hass, rise=8)
    await humidity(hass, 90)
    await humidity(hass, 66)
    assert fan.told == ["boost"]
    await humidity(hass, 64)
    assert fan.told == ["boost", "auto"]


async def test_never_longer_than_the_longest_time_and_not_again_before_it_was_low(
    hass: HomeAssistant, fan: Ventilation, freezer: FrozenDateTimeFactory
) -> None:
    await boosting(hass, longest=30.0)  # as the form gives it
    await humidity(hass, 90)
    assert [(type(one), one) for one in fan.minutes] == [(int, 30)]
    await passes(hass, freezer, 29)
    assert fan.told == ["boost"]
    await passes(hass, freezer, 1.1)
    assert fan.told == ["boost", "auto"]
    await humidity(hass, 91)
    await humidity(hass, 66)
    await humidity(hass, 90)
    assert fan.told == ["boost", "auto"]
    await humidity(hass, 64)
    await humidity(hass, 71)
    assert fan.told == ["boost", "auto", "boost"]


async def test_a_boost_that_somebody_ends_is_not_begun_again(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await boosting(hass)
    await humidity(hass, 90)
    fan.show("auto")
    await humidity(hass, 91)
    assert fan.told == ["boost"]


async def test_a_boost_of_somebody_else_is_left_alone(
    hass: HomeAssistant, fan: Ventilation
) -> None:
    await boosting(hass)
    fan.show("boost")
    await humidity(hass, 90)
    await humidity(hass, 50)
    assert fan.told == []


async def test_a_fan_that_can_not_be_seen_is_not_written_to(
    hass: HomeAssistant, fan: Ventilation, freezer: FrozenDateTimeFactory
) -> None:
    await boosting(hass, longest=30)
    await humidity(hass, 90)
    fan.show(None)
    await passes(hass, freezer, 31)
    assert fan.told == ["boost"]
