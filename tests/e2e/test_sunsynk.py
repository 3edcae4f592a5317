"""A capture file with a real packet, through a real Home Assistant, to its states."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from demo.home_assistant import ROOT, HomeAssistant

CAPTURE = ROOT / "tests" / "vectors" / "sunsynk" / "captures" / "real_292.pcap"


async def set_up(ha: HomeAssistant) -> str:
    shutil.copy(CAPTURE, ha.folder / "dongle.pcap")
    result = await ha.configure(
        {"next_step_id": "sunsynk"},
        {"next_step_id": "sunsynk_file"},
        {"path": "dongle.pcap", "time_zone": "Africa/Johannesburg", "more": {}},
    )
    assert result["type"] == "create_entry", result
    entry_id: str = result["result"]["entry_id"]
    return entry_id


async def states_by_key(ha: HomeAssistant, entry_id: str) -> dict[str, str]:
    states = await ha.states()
    return {
        entity["unique_id"].partition("_")[2]: states[entity["entity_id"]]["state"]
        for entity in await ha.command("config/entity_registry/list")
        if entity["config_entry_id"] == entry_id and entity["entity_id"] in states
    }


async def test_the_real_packet_becomes_states(any_ha: HomeAssistant) -> None:
    expected: dict[str, Any] = json.loads(
        (ROOT / "tests/vectors/sunsynk/captures/real_292.pcap.json").read_text()
    )["reports"][0]["values"]
    entry_id = await set_up(any_ha)

    async def arrived() -> dict[str, str] | None:
        found = await states_by_key(any_ha, entry_id)
        return found if "grid_voltage" in found else None

    states = await any_ha.wait_for("the inverter's states", arrived)
    compared = 0
    for key, value in expected.items():
        if key in states and isinstance(value, (int, float)) and key != "grid_connected":
            assert float(states[key]) == pytest.approx(value), key
            compared += 1
        elif key in states and value is None:
            assert states[key] == "unknown", key
    assert compared >= 40
    assert states["grid_connected"] == "on"
    assert list(any_ha.complaints()) == []


async def test_the_energy_dashboard_takes_the_sensors(ha: HomeAssistant) -> None:
    entry_id = await set_up(ha)

    async def ids() -> dict[str, str] | None:
        states = await ha.states()
        found = {
            entity["unique_id"].partition("_")[2]: entity["entity_id"]
            for entity in await ha.command("config/entity_registry/list")
            if entity["config_entry_id"] == entry_id and entity["entity_id"] in states
        }
        return found if "grid_voltage" in found else None

    sensors = await ha.wait_for("the inverter's sensors", ids)
    await ha.command(
        "energy/save_prefs",
        energy_sources=[
            {
                "type": "grid",
                "stat_energy_from": sensors["grid_import_total"],
                "stat_energy_to": sensors["grid_export_total"],
                "stat_rate": sensors["grid_power"],
                "cost_adjustment_day": 0.0,
            },
            {
                "type": "solar",
                "stat_energy_from": sensors["pv_production_total"],
                "stat_rate": sensors["pv_power"],
                "config_entry_solar_forecast": None,
            },
            {
                "type": "battery",
                "stat_energy_from": sensors["battery_discharge_total"],
                "stat_energy_to": sensors["battery_charge_total"],
                "stat_rate": sensors["battery_power"],
                "stat_soc": sensors["battery_soc"],
            },
        ],
    )
    problems = await ha.command("energy/validate")
    kinds = {issue["type"] for source in problems["energy_sources"] for issue in source}
    # The first statistics are made at the next full five minutes; nothing else may be missing.
    assert kinds <= {"statistics_not_defined"}, problems


async def test_diagnostics_reload_removal_and_a_clean_stop(ha: HomeAssistant) -> None:
    entry_id = await set_up(ha)

    async def arrived() -> bool:
        return "grid_voltage" in await states_by_key(ha, entry_id)

    await ha.wait_for("the inverter's states", arrived)

    async def offered() -> bool:
        handlers = await ha.command("diagnostics/list")
        return any(one["domain"] == "hardwired" for one in handlers)

    await ha.wait_for("the diagnostics handler", offered)
    report = await ha.get(f"/api/diagnostics/config_entry/{entry_id}")
    text = str(report["data"])
    assert "1235687108" not in text
    assert "dongle.pcap" not in text
    answer = await ha.post(f"/api/config/config_entries/entry/{entry_id}/reload")
    assert answer == {"require_restart": False}
    await ha.wait_for("the states after a reload", arrived)
    await ha.delete(f"/api/config/config_entries/entry/{entry_id}")
    assert await states_by_key(ha, entry_id) == {}
    assert list(ha.complaints()) == []
    assert await ha.stop() == 0
