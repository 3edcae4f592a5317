"""Hundreds of entities come in batches, so that the loop is never held for long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import EntityPlatform

from custom_components.hardwired import entity as entity_module
from custom_components.hardwired.engines.engine import DeviceState

from .helpers import entity_ids, make_entry, state_of, until

SIM = {"source": "sim", "time_zone": "UTC", "warp": 60, "inverters": 1}
SOC = "2200000001_battery_soc"


async def test_they_are_added_in_batches_and_none_is_left_out(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, counting = 0, True
    sizes: list[tuple[int, str, int]] = []
    schedule = EntityPlatform._async_schedule_add_entities_for_entry

    def count_turns() -> None:
        nonlocal turn
        turn += 1
        if counting:
            hass.loop.call_soon(count_turns)

    def note(self: EntityPlatform, entities: Iterable[Any], *more: Any, **options: Any) -> Any:
        batch = list(entities)
        sizes.append((turn, self.domain, len(batch)))
        return schedule(self, batch, *more, **options)

    monkeypatch.setattr(entity_module, "BATCH", 5)
    monkeypatch.setattr(EntityPlatform, "_async_schedule_add_entities_for_entry", note)
    entry = make_entry(hass, "sunsynk", SIM)
    hass.loop.call_soon(count_turns)
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data.coordinator
    await until(hass, lambda: state_of(hass, entry, SOC))
    counting = False
    assert max(number for _, _, number in sizes) == 5
    sensors = [(at, number) for at, domain, number in sizes if domain == "sensor"]
    assert len({at for at, _ in sensors}) == len(sensors) > 3
    [device] = [one for one in coordinator.data.devices.values() if one.device.kind == "inverter"]
    assert {f"{device.device.id}_{key}" for key in shown(entry, device)} <= entity_ids(
        hass, entry
    ).keys()
    assert await hass.config_entries.async_unload(entry.entry_id)


def shown(entry: Any, device: DeviceState) -> set[str]:
    """Return the values of a device that some platform shows."""
    family = entry.runtime_data.family
    return {
        key
        for key in device.values
        if key in device.fields and family.platform(device.device.kind, device.fields[key])
    }
