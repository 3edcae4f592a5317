"""Set 19 degrees in a real Home Assistant; see it on the simulated bus, confirmed, and back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from demo.browser import Browser
from demo.home_assistant import HomeAssistant
from hardwired_engines.truma.lin.frames import identifier_of
from hardwired_engines.truma.lin.log import read_log
from hardwired_engines.truma.lin.transport import Assembler

from .conftest import ARTEFACTS

SIMULATION = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=7&standby=0"
NINETEEN = (19 + 273) * 10


async def set_up(ha: HomeAssistant, log: Path) -> dict[str, str]:
    result = await ha.configure(
        {"next_step_id": "truma"},
        {"link": f"{SIMULATION}&log={log}", "observer": False},
    )
    assert result["type"] == "create_entry", result
    entry_id = result["result"]["entry_id"]

    async def ready() -> dict[str, str] | None:
        states = await ha.states()
        found = {
            entity["unique_id"].removeprefix(f"{entry_id}_"): entity["entity_id"]
            for entity in await ha.command("config/entity_registry/list")
            if entity["config_entry_id"] == entry_id
        }
        room = found.get("heater_room")
        known = room in states and states[room]["state"] not in ("unknown", "unavailable")
        return found if known else None

    ids: dict[str, str] = await ha.wait_for("the heater", ready)
    return ids


def uploads(log: Path) -> list[bytes]:
    """Return the payloads of the heater's uploads that went over the bus."""
    found = []
    assembler = Assembler()
    for frame in read_log(log.read_text().splitlines()[:-1]):
        if identifier_of(frame.pid) == 0x3D and frame.data is not None:
            message = assembler.receive_data(frame.data, frame.time)
            if message is not None and message.data[0] == 0xFA and message.data[14] == 0x32:
                found.append(message.data[17:29])
    return found


async def test_nineteen_degrees_go_to_the_panel_and_come_back(
    ha: HomeAssistant, tmp_path: Path, browser_required: None
) -> None:
    log = tmp_path / "bus.log"
    ids = await set_up(ha, log)
    room = ids["heater_room"]
    assert (await ha.states())[room]["attributes"]["temperature"] is None
    await ha.call("climate", "set_temperature", entity_id=room, temperature=19)
    sent = uploads(log)
    assert len(sent) == 1
    assert int.from_bytes(sent[0][:2], "little") == NINETEEN
    assert sent[0][2] == 1, "heating mode eco"

    async def shown() -> bool:
        state = (await ha.states())[room]
        return state["state"] == "heat" and state["attributes"]["temperature"] == 19

    await ha.wait_for("the panel's confirmation", shown)
    await ha.call(
        "water_heater", "set_operation_mode", entity_id=ids["heater_water"], operation_mode="eco"
    )

    async def water() -> bool:
        return (await ha.states())[ids["heater_water"]]["state"] == "eco"

    await ha.wait_for("hot water", water)
    assert len(uploads(log)) == 2
    devices = await ha.command("config/device_registry/list")
    heater = next(one for one in devices if one["name"] == "Truma heater")
    async with Browser(ha) as browser:
        await browser.screenshot(
            f"/config/devices/device/{heater['id']}",
            ARTEFACTS / "truma-device.png",
            shows=["Truma heater"],
        )
    complaints = [line for line in ha.complaints() if not re.search("is lost|is back", line)]
    assert complaints == []
    assert await ha.stop() == 0


async def test_limits_and_steps_are_those_of_the_devices(any_ha: HomeAssistant) -> None:
    """What Home Assistant calls them changed in 2026.11; under another name they count for none."""
    result = await any_ha.configure(
        {"next_step_id": "simulated"}, {"next_step_id": "simulated_truma"}
    )
    entry_id = result["result"]["entry_id"]
    wanted = {
        "_heater_room": ("climate", 5, 30, 1),
        "_aircon_aircon": ("climate", 16, 30, 1),
        "_heater_water": ("water_heater", 0, 80, None),
    }

    async def shown() -> dict[str, tuple[Any, ...]]:
        states = await any_ha.states()
        found = {}
        for one in await any_ha.command("config/entity_registry/list"):
            end = one["unique_id"].removeprefix(entry_id)
            # One that came after the states were asked for has none among them yet.
            mine = one["config_entry_id"] == entry_id and one["entity_id"] in states
            if mine and end in wanted:
                about = states[one["entity_id"]]["attributes"]
                names = ("min_temp", "max_temp", "target_temp_step")
                found[end] = (one["entity_id"].split(".")[0], *(about.get(name) for name in names))
        return found if found.keys() == wanted.keys() else {}

    assert await any_ha.wait_for("the van", shown) == wanted
