"""Programs whose ids name no device of ours: they say it while they run, or the owner says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.takeover import offer

from .helpers import make_entry, put_away, state_of, until, walk
from .test_takeover_offer import CAPTURED, CAPTURES, FILE, SERIAL, repair, settle

UNITS = {"Battery SOC": "%", "Grid Voltage L1": "V", "Battery Power": "W", "Grid Frequency": "Hz"}
NAMES = tuple(UNITS)
OURS = ("battery_soc", "grid_voltage", "battery_power", "grid_frequency")
SLUGS = ("battery", "grid_l1_voltage", "battery_power", "grid_frequency")
LOGGER = "1712345678"


@pytest.fixture(autouse=True)
def captures_allowed(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offer, "STEADY_FOR", 0.05)
    hass.config.allowlist_external_dirs = {str(CAPTURES)}


@pytest.fixture
async def entry(hass: HomeAssistant) -> AsyncIterator[Any]:
    """An inverter from a capture that shows its values."""
    entry = make_entry(hass, "sunsynk", {"source": "file", **CAPTURED})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
    yield entry
    await put_away(hass, entry)


class Other:
    """A device of another program, and its entities."""

    def __init__(self, hass: HomeAssistant, integration: str, name: str = "Stick") -> None:
        self.hass = hass
        self.integration = integration
        self.entry = MockConfigEntry(domain=integration, title=name)
        self.entry.add_to_hass(hass)
        self.device = dr.async_get(hass).async_get_or_create(
            config_entry_id=self.entry.entry_id, identifiers={(integration, name)}, name=name
        )

    def entity(self, unique_id: str, unit: str | None = None, domain: str = "sensor") -> str:
        """Register an entity; returns its id."""
        return (
            er.async_get(self.hass)
            .async_get_or_create(
                domain,
                self.integration,
                unique_id,
                config_entry=self.entry,
                device_id=self.device.id,
                unit_of_measurement=unit,
            )
            .entity_id
        )


def stick(hass: HomeAssistant, how: str, logger: str = LOGGER, names: int = 4) -> Other:
    """Register what a version of solarman makes, but what tells the serial number."""
    other = Other(hass, "solarman", f"Stick {logger}")
    for name, slug in list(zip(NAMES, SLUGS, strict=True))[:names]:
        made = {
            "first": f"My_Deye_{logger}_{name}",
            "second": f"my_deye_{logger}_{slug}_sensor",
            "second, today": f"{other.entry.entry_id.lower()}_{slug}_sensor",
        }[how]
        other.entity(made, UNITS[name])
    return other


def told(hass: HomeAssistant, other: Other, how: str, serial: str | None) -> None:
    """Let it show a serial number; ``None``: it does not run."""
    shown = serial or "unavailable"
    if how == "first":
        hass.states.async_set(other.entity(f"My_Deye_{LOGGER}_Inverter ID"), shown)
        return
    before = other.entry.entry_id.lower() if "today" in how else f"my_deye_{LOGGER}"
    attributes = {"Serial Number": serial} if serial else {}
    state = "Single-Phase Hybrid Inverter" if serial else shown
    hass.states.async_set(other.entity(f"{before}_device_sensor"), state, attributes)


async def menu(hass: HomeAssistant, entry: Any) -> Any:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, "take_over"), context={"source": "user"}
    )


async def answer(hass: HomeAssistant, form: Any, **given: Any) -> Any:
    return await hass.config_entries.subentries.async_configure(form["flow_id"], given)


def offered(form: Any) -> list[str]:
    [field] = form["data_schema"].schema.values()
    return [option["value"] for option in field.config["options"]]


def chosen(form: Any) -> list[str]:
    [field] = form["data_schema"].schema
    default: list[str] = field.default()
    return default


HOW = pytest.mark.parametrize("how", ["first", "second", "second, today"])


@HOW
async def test_a_program_that_shows_our_serial_number_is_not_asked_about(
    hass: HomeAssistant, entry: Any, how: str
) -> None:
    other = stick(hass, how)
    told(hass, other, how, SERIAL)
    form = await menu(hass, entry)
    assert form["step_id"] == "user"
    assert len(offered(form)) == 4
    assert chosen(form) == offered(form)
    done = await answer(hass, form, entities=offered(form))
    assert done["description_placeholders"] == {"number": "4"}
    registry = er.async_get(hass)
    ours = {f"{SERIAL}_{key}" for key in OURS}
    for entity_id in offered(form):
        now = registry.async_get(entity_id)
        assert now is not None
        assert now.platform == DOMAIN
        ours.remove(now.unique_id)


@HOW
async def test_another_inverter_is_never_proposed(
    hass: HomeAssistant, entry: Any, how: str
) -> None:
    told(hass, stick(hass, how), how, "9999999999")
    assert (await menu(hass, entry))["reason"] == "nothing_found"


@HOW
async def test_where_nothing_says_it_the_owner_is_asked_and_nothing_is_chosen(
    hass: HomeAssistant, entry: Any, how: str
) -> None:
    other = stick(hass, how)
    told(hass, other, how, None)
    stick(hass, how, "1799999999")
    question = await menu(hass, entry)
    assert question["step_id"] == "same"
    assert len(offered(question)) == 2
    assert chosen(question) == []
    [field] = question["data_schema"].schema.values()
    labels = {option["label"] for option in field.config["options"]}
    assert any(label.startswith(f"Stick {LOGGER} = ") and "(solarman, 4)" in label
               for label in labels)  # fmt: skip
    none = await answer(hass, question, devices=[])
    assert none["reason"] == "nothing_chosen"

    question = await menu(hass, entry)
    [mine] = [one for one in offered(question) if one.startswith(other.device.id)]
    form = await answer(hass, question, devices=[mine])
    assert form["step_id"] == "user"
    assert len(offered(form)) == 4
    assert chosen(form) == offered(form)
    done = await answer(hass, form, entities=offered(form)[:1])
    assert done["reason"] == "taken_over"


async def test_a_program_that_was_set_up_in_yaml_has_no_device(
    hass: HomeAssistant, entry: Any
) -> None:
    registry = er.async_get(hass)
    for name in NAMES:
        registry.async_get_or_create(
            "sensor", "solarman", f"DEYE_{LOGGER}_{name}", unit_of_measurement=UNITS[name]
        )
    question = await menu(hass, entry)
    [option] = question["data_schema"].schema.values()
    [asked] = option.config["options"]
    assert asked["label"].startswith(f"DEYE_{LOGGER}_ = ")
    form = await answer(hass, question, devices=[asked["value"]])
    assert len(chosen(form)) == 4


async def test_two_names_alike_are_no_reason_to_ask(hass: HomeAssistant, entry: Any) -> None:
    stick(hass, "first", names=2)
    assert (await menu(hass, entry))["reason"] == "nothing_found"


async def test_the_owner_is_asked_at_set_up_but_no_repair_claims_it(hass: HomeAssistant) -> None:
    stick(hass, "first")
    result = await walk(hass, *FILE)
    entry = result["result"]
    flow_id = result["next_flow"][1]
    question: Any = hass.config_entries.subentries.async_get(flow_id)
    assert question["step_id"] == "same"
    hass.config_entries.subentries.async_abort(flow_id)
    await settle(hass)
    assert repair(hass, entry) is None
    assert not ir.async_get(hass).issues
    await put_away(hass, entry)


async def test_kellerza_is_known_by_the_serial_number(hass: HomeAssistant, entry: Any) -> None:
    addon = Other(hass, "mqtt", "ss")
    soc = addon.entity(f"{SERIAL}_battery_soc", "%")
    energy = addon.entity(f"{SERIAL}_total_grid_import", "kWh")
    ours_is_a_number = addon.entity(f"{SERIAL}_grid_connected", None, "sensor")
    for stranger in (f"{SERIAL}_cb_stats", f"{SERIAL}_essential_power", "2_battery_soc"):
        addon.entity(stranger, "W")
    form = await menu(hass, entry)
    assert offered(form) == sorted((soc, energy))
    assert form["description_placeholders"]["other_kind"] == f"`{ours_is_a_number}`"


async def test_names_that_an_owner_has_chosen_are_not_preselected(hass: HomeAssistant) -> None:
    """ESPHome takes names from its owner's file: they may mean something else."""
    link = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=60&standby=0"
    entry = make_entry(hass, "truma", {"link": link, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)
    box = Other(hass, "esphome", "van")
    mac = "AA:BB:CC:DD:EE:FF"
    room = box.entity(f"{mac}-sensor-current_room_temperature", "°C")
    water = box.entity(f"{mac}-sensor-Current Water Temperature", "°C")
    climate = box.entity(f"{mac}-climate-truma_room", None, "climate")
    boiler = box.entity(f"{mac}-climate-truma_water", None, "climate")
    box.entity(f"{mac}-sensor-operating_status")

    registry = er.async_get(hass)

    def shown() -> bool:
        known = {
            one.unique_id for one in er.async_entries_for_config_entry(registry, entry.entry_id)
        }
        return {f"{entry.entry_id}_heater_{key}" for key in
                ("room", "water", "current_temp_room", "current_temp_water")} <= known  # fmt: skip

    await until(hass, shown)
    question = await menu(hass, entry)
    assert question["step_id"] == "same"
    form = await answer(hass, question, devices=offered(question))
    assert offered(form) == sorted((room, water, climate))
    assert chosen(form) == []
    assert form["description_placeholders"]["other_kind"] == f"`{boiler}`"
    assert (await answer(hass, form, entities=[climate]))["reason"] == "taken_over"
    assert registry.async_get(climate).platform == DOMAIN  # type: ignore[union-attr]
    await put_away(hass, entry)


async def plant(hass: HomeAssistant) -> tuple[Any, Any]:
    """Load an entry with one simulated Xtender; returns it and the device."""
    link = "sim://?xtenders=1&variotracks=0&variostrings=0&bsp=0&seed=4&latency_ms=0&baud=0"
    entry = make_entry(hass, "studer", {"link": link})
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator

    def unit() -> Any:
        kinds = {one.device.kind: one.device for one in coordinator.data.devices.values()}
        return kinds.get("xt")

    device = await until(hass, unit)
    await until(hass, lambda: state_of(hass, entry, f"{device.id}_3000"))
    return entry, device


async def test_an_address_names_one_device_only_while_there_is_one_plant(
    hass: HomeAssistant,
) -> None:
    entry, device = await plant(hass)
    voltage = Other(hass, "mqtt").entity(f"{device.address}_batteryVoltage_3000", "V")
    assert chosen(await menu(hass, entry)) == [voltage]
    make_entry(hass, "studer", {"link": "socket://10.0.0.9:4001"}, title="Another plant")
    form = await menu(hass, entry)
    assert (offered(form), chosen(form)) == ([voltage], [])
    await settle(hass)
    assert repair(hass, entry) is None
    await put_away(hass, entry)


async def test_the_registered_serial_number_tells_plants_apart(hass: HomeAssistant) -> None:
    entry, device = await plant(hass)
    devices = dr.async_get(hass)
    first, second = Other(hass, "studer_xcom", "4001"), Other(hass, "studer_xcom", "4002")
    mine = first.entity("studer_4001_xt1_3000", "V")
    foreign = second.entity("studer_4002_xt1_3000", "V")
    form = await menu(hass, entry)
    assert (offered(form), chosen(form)) == (sorted((mine, foreign)), [])
    devices.async_update_device(first.device.id, serial_number=device.serial_number)
    devices.async_update_device(second.device.id, serial_number="00C0FFEE")
    form = await menu(hass, entry)
    assert (offered(form), chosen(form)) == ([mine], [mine])

    registry = er.async_get(hass)
    ours = registry.async_get_entity_id("sensor", DOMAIN, f"{device.id}_3000")
    assert ours is not None
    registry.async_update_entity(ours, disabled_by=er.RegistryEntryDisabler.INTEGRATION)
    await hass.config_entries.async_set_disabled_by(first.entry.entry_id, ConfigEntryDisabler.USER)
    assert registry.async_get(mine).disabled_by is er.RegistryEntryDisabler.CONFIG_ENTRY  # type: ignore[union-attr]
    await answer(hass, form, entities=[mine])
    now = registry.async_get(mine)
    assert now is not None
    assert (now.platform, now.disabled_by) == (DOMAIN, None)
    await put_away(hass, entry)
