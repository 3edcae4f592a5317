"""Sunsynk inverters in Home Assistant, from a capture file with a real packet in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from .helpers import state_of, until, walk

VECTORS = Path(__file__).parents[1] / "vectors" / "sunsynk" / "captures"
SERIAL = "1235687108"


def file_data(name: str = "real_292.pcap", timezone: str = "Africa/Johannesburg") -> dict[str, Any]:
    return {"source": "file", "path": str(VECTORS / name), "timezone": timezone}


@pytest.fixture(autouse=True)
def vectors_allowed(hass: HomeAssistant) -> None:
    hass.config.allowlist_external_dirs = {str(VECTORS)}


async def test_the_flow_makes_an_entry_from_a_file(hass: HomeAssistant) -> None:
    result = await walk(
        hass,
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {"path": str(VECTORS / "real_292.pcap"), "timezone": "Africa/Johannesburg", "more": {}},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Sunsynk (real_292.pcap)"
    entry = result["result"]
    await until(hass, lambda: state_of(hass, entry, f"{SERIAL}_grid_voltage"))
    assert state_of(hass, entry, f"{SERIAL}_grid_voltage") == "233.3"
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
