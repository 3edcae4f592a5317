"""The blueprints of the project, and three automations of a home that has all the devices."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from .home_assistant import ROOT, HomeAssistant, HomeAssistantError
from .texts import TEXTS

BLUEPRINTS = ROOT / "blueprints" / "automation" / "hardwired"


def install_blueprints(ha: HomeAssistant) -> None:
    """Put the blueprints where Home Assistant looks for them."""
    target = ha.folder / "blueprints" / "automation" / "hardwired"
    shutil.copytree(BLUEPRINTS, target, dirs_exist_ok=True)


async def make_automations(ha: HomeAssistant, families: Mapping[str, str], language: str) -> None:
    """Make those automations whose devices are there; *families* by entry id."""
    found: dict[str, str] = {}
    for entity in await ha.command("config/entity_registry/list"):
        family = families.get(entity["config_entry_id"] or "")
        for key, (wanted, domain, ending) in ENTITIES.items():
            mine = family == wanted and entity["unique_id"].endswith(ending)
            if mine and entity["entity_id"].startswith(f"{domain}."):
                found.setdefault(key, entity["entity_id"])
    for name, (needs, make) in AUTOMATIONS.items():
        if set(needs) <= found.keys():
            body = {"alias": TEXTS[language][name], **make(found)}
            await ha.post(f"/api/config/automation/config/{name}", body)
    await ha.call("automation", "reload")

    async def loaded() -> bool:
        states = await ha.states()
        wanted = {name for name, (needs, _) in AUTOMATIONS.items() if set(needs) <= found.keys()}
        there = {
            state["attributes"].get("id"): state["state"]
            for entity_id, state in states.items()
            if entity_id.startswith("automation.")
        }
        if "unavailable" in there.values():
            raise HomeAssistantError(f"an automation is refused: {there}")
        return wanted <= there.keys()

    await ha.wait_for("the automations", loaded)


ENTITIES: Mapping[str, tuple[str, str, str]] = {
    "fan": ("inventum", "fan", "_fan"),
    "humidity": ("inventum", "sensor", "_log_rv_afvoerlucht"),
    "room": ("truma", "climate", "_room"),
    "water": ("truma", "water_heater", "_water"),
    "soc": ("sunsynk", "sensor", "_battery_soc"),
}
"""Family, domain and the end of the unique id of each entity that is used."""


def _boost(found: Mapping[str, str]) -> dict[str, Any]:
    values = {"fan": found["fan"], "sensor": found["humidity"], "limit": 70}
    return {"use_blueprint": {"path": "hardwired/inventum_boost.yaml", "input": values}}


def _night(found: Mapping[str, str]) -> dict[str, Any]:
    values = {"room": found["room"], "night_temperature": 16, "day_temperature": 20}
    return {"use_blueprint": {"path": "hardwired/truma_night_setback.yaml", "input": values}}


def _sun(found: Mapping[str, str]) -> dict[str, Any]:
    full = {"trigger": "numeric_state", "entity_id": found["soc"], "above": 95}
    low = {"trigger": "numeric_state", "entity_id": found["soc"], "below": 60}

    def water(mode: str) -> dict[str, Any]:
        return {
            "action": "water_heater.set_operation_mode",
            "target": {"entity_id": found["water"]},
            "data": {"operation_mode": mode},
        }

    return {
        "triggers": [{**full, "id": "full", "for": "00:05:00"}, {**low, "id": "low"}],
        "conditions": [],
        "actions": [
            {
                "if": [{"condition": "trigger", "id": "full"}],
                "then": [water("eco")],
                "else": [water("off")],
            }
        ],
        "mode": "single",
    }


AUTOMATIONS = {
    "auto_boost": (("fan", "humidity"), _boost),
    "auto_night": (("room",), _night),
    "auto_sun": (("soc", "water"), _sun),
}
"""What each needs, and its body."""
