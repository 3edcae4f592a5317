"""An entity of a real Home Assistant on the D-Bus of a GX, set from there and confirmed.

The whole way and back: entity, integration, Mosquitto, the driver from its bundle, dbus-daemon,
and what the GX's own gateway writes.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from demo.home_assistant import ROOT, HomeAssistant
from gx.rig import Rig
from tests.standalone.mqtt.broker import needs_broker
from tests.venus.observer import Observer

from .conftest import VERSIONS

pytestmark = needs_broker

PUMP = "/SwitchableOutput/input_boolean_pump"
SUBENTRIES = "/api/config/config_entries/subentries/flow"
PANEL = "com.victronenergy.switch.mqtt_ha_galley_ctl"
FRIDGE = "com.victronenergy.temperature.mqtt_ha_fridge_t"
ENTITIES = "input_boolean:\n  pump:\n    name: Pump\n"
EXPECTED = re.compile(r"broker of the GX is lost")


@pytest_asyncio.fixture(loop_scope="session")
async def ha_with_a_pump(tmp_path: Path) -> AsyncIterator[HomeAssistant]:
    """The newest Home Assistant, with something to switch; other tests run on the older one."""
    ha = HomeAssistant(tmp_path / "config", environment=VERSIONS["2026.11"])
    ha.prepare()
    with (tmp_path / "config" / "configuration.yaml").open("a", encoding="utf-8") as file:
        file.write(ENTITIES)
    try:
        await ha.start()
        await ha.onboard()
        yield ha
    finally:
        await ha.stop()


def bundled(folder: Path) -> Path:
    """Return the driver's bundle, built in a new folder."""
    folder.mkdir()
    bundle = folder / "mqtt-devices"
    subprocess.run([ROOT / "script/venus_bundle", bundle], check=True, capture_output=True)
    return bundle


@contextlib.asynccontextmanager
async def a_gx(folder: Path) -> AsyncIterator[Observer]:
    """A GX of stand-ins around the driver, which is run from its bundle."""
    bundle = bundled(folder)
    rig = Rig(folder, sys.executable, bundle)
    seen = Observer(rig)
    try:
        rig.start()
        await seen.join_bus()
        await seen.join_broker()
        await seen.fence()
        yield seen
    finally:
        await seen.leave()
        rig.stop()


async def export(ha: HomeAssistant, entry: str, template: str, form: dict[str, Any]) -> None:
    """Add a device to the GX by the flow of subentries."""
    form = {**form, "more": {"on_loss": "leave"}}
    result = await ha.add_subentry(entry, "export", {"next_step_id": template}, form)
    assert result["step_id"] == "tried", result
    result = await ha.post(f"{SUBENTRIES}/{result['flow_id']}", {})
    assert result["type"] == "create_entry", result


async def shows(ha: HomeAssistant, entity_id: str, state: str) -> None:
    async def right() -> bool:
        return bool((await ha.states()).get(entity_id, {}).get("state") == state)

    await ha.wait_for(f"{entity_id} {state}", right, timeout=120)


async def holds(ha: HomeAssistant, seen: Observer, name: str, path: str, wanted: Any) -> None:
    """Wait until a path on D-Bus has a value."""

    async def right() -> bool:
        try:
            return bool((await seen.value(name, path))["v"] == wanted)
        except Exception:  # noqa: BLE001 - the service may not be there yet
            return False

    await ha.wait_for(f"{name}{path} {wanted}", right, timeout=120)


async def test_an_entity_on_the_gx_and_set_from_there(
    ha_with_a_pump: HomeAssistant, tmp_path: Path
) -> None:
    ha = ha_with_a_pump
    await ha.post(
        "/api/states/sensor.fridge",
        {"state": "39.2", "attributes": {"unit_of_measurement": "°F"}},
    )
    async with a_gx(tmp_path / "gx") as seen:
        form = {"host": "127.0.0.1", "port": seen.rig.broker.port}
        off = {"tls": False, "pin": False, "pair": False}
        result = await ha.configure({"next_step_id": "victron_gx"}, {**form, **off}, {})
        assert result["type"] == "create_entry", result
        entry = result["result"]["entry_id"]
        panel = {"name": "Galley", "entities": ["input_boolean.pump"], "controls_allowed": True}
        await export(ha, entry, "panel", panel)
        fridge = {"name": "Fridge", "kind": "1", "temperature": "sensor.fridge"}
        await export(ha, entry, "sensor", fridge)

        # The entities appear on the D-Bus tree ...
        await holds(ha, seen, PANEL, f"{PUMP}/State", 0)
        await holds(ha, seen, PANEL, f"{PUMP}/Name", "Pump")
        await holds(ha, seen, FRIDGE, "/Temperature", 4.0)
        await holds(ha, seen, FRIDGE, "/CustomName", "Fridge")
        await shows(ha, "binary_sensor.galley_registered_on_gx", "on")

        # ... are set on the GX, which Home Assistant confirms ...
        assert await seen.set(PANEL, f"{PUMP}/State", {"t": "i", "v": 1}) == 0
        await shows(ha, "input_boolean.pump", "on")
        await holds(ha, seen, PANEL, f"{PUMP}/Status", 9)

        # ... and back: what happens in Home Assistant is on the GX.
        await ha.call("input_boolean", "turn_off", entity_id="input_boolean.pump")
        await holds(ha, seen, PANEL, f"{PUMP}/State", 0)

        # The driver is killed and comes back.
        seen.rig.driver.stop(kill=True)
        await seen.wait(lambda: f"-{PANEL}" in seen.names)
        await shows(ha, "binary_sensor.galley_registered_on_gx", "off")
        seen.rig.driver.start()
        await holds(ha, seen, PANEL, f"{PUMP}/State", 0)
        await shows(ha, "binary_sensor.galley_registered_on_gx", "on")

        # So does the broker, which keeps nothing.
        seen.rig.broker.stop(kill=True)
        await shows(ha, "binary_sensor.galley_registered_on_gx", "off")
        await ha.call("input_boolean", "turn_on", entity_id="input_boolean.pump")
        seen.rig.broker.start()
        await shows(ha, "binary_sensor.galley_registered_on_gx", "on")
        await holds(ha, seen, PANEL, f"{PUMP}/State", 1)

        # Home Assistant stops: the devices leave the GX.
        seen.names.clear()
        await ha.stop()
        await seen.wait(lambda: {f"-{PANEL}", f"-{FRIDGE}"} <= set(seen.names))
    complaints = [line for line in ha.complaints() if not EXPECTED.search(line)]
    assert complaints == []
