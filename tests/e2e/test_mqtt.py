"""A real Home Assistant discovers the devices over a real broker and sets something on them.

The whole way: simulated device, engine, ``hardwired run``, Mosquitto, Home Assistant, and back;
what was set is looked for on the simulated wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from demo.home_assistant import ROOT, HomeAssistant
from tests.standalone.mqtt.broker import Broker, needs_broker, running

from .test_truma import NINETEEN, uploads

pytestmark = needs_broker

TRUMA = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=7&standby=0"
EXPECTED = re.compile(
    # A broker that is restarted is a connection that was lost.
    r"is lost|is back|Disconnected from MQTT server|Failed to connect to MQTT|"
    r"Connection refused|mqtt.*(reconnect|Reconnect)"
)


class BridgeProcess:
    """``hardwired run`` as a process of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir()
        self.config = folder / "CONFIG.toml"
        self.config.write_text(config, encoding="utf-8")
        self.log = folder / "bridge.log"
        self._state = folder / "state"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hardwired",
                "run",
                str(self.config),
                cwd=ROOT,
                env={**os.environ, "STATE_DIRECTORY": str(self._state)},
                stdout=log,
                stderr=log,
            )

    async def stop(self) -> int:
        """End it in order; return its code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            return await self._process.wait()

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextlib.asynccontextmanager
async def bridging(folder: Path, config: str) -> AsyncIterator[BridgeProcess]:
    bridge = BridgeProcess(folder, config)
    await bridge.start()
    try:
        yield bridge
    finally:
        with contextlib.suppress(TimeoutError):
            await bridge.stop()


async def connect(ha: HomeAssistant, port: int) -> None:
    """Set up Home Assistant's MQTT integration."""
    other = {"set_client_cert": False, "set_ca_cert": "off"}
    result = await ha.configure(
        {"broker": "127.0.0.1", "port": port, "other_settings": other}, handler="mqtt"
    )
    assert result["type"] == "create_entry", result


async def entities(ha: HomeAssistant, *unique_ids: str) -> Mapping[str, str]:
    """Wait until all these are registered and available; return their entity ids."""

    async def there() -> dict[str, str] | None:
        registry = {
            one["unique_id"]: one["entity_id"]
            for one in await ha.command("config/entity_registry/list")
        }
        states = await ha.states()
        found = {ident: registry[ident] for ident in unique_ids if ident in registry}
        if len(found) < len(unique_ids):
            return None
        gone = [one for one in found.values() if one not in states]
        off = [one for one in found.values() if states.get(one, {}).get("state") == "unavailable"]
        return None if gone or off else found

    ids: dict[str, str] = await ha.wait_for(f"{', '.join(unique_ids)}", there)
    return ids


async def shows(ha: HomeAssistant, what: str, check: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the states are as they should be."""

    async def right() -> bool:
        try:
            return check(await ha.states())
        except KeyError:
            return False

    await ha.wait_for(what, right)


async def test_a_van_over_the_broker(any_ha: HomeAssistant, tmp_path: Path) -> None:
    ha, bus = any_ha, tmp_path / "bus.log"
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    config = (
        f'[devices.van]\nfamily = "truma"\nlink = "{TRUMA}&log={bus}"\n\n'
        f'[sinks.home]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    async with running(broker):
        await connect(ha, broker.port)
        async with bridging(tmp_path / "bridge", config) as bridge:
            ids = await entities(
                ha,
                "hardwired_van_heater_room",
                "hardwired_van_heater_water",
                "hardwired_van_heater_current_temp_room",
                "hardwired_bridge_hardwired_van_connected",
            )
            room, water = ids["hardwired_van_heater_room"], ids["hardwired_van_heater_water"]
            await shows(ha, "the room off", lambda told: told[room]["state"] == "off")

            await ha.call("climate", "set_temperature", entity_id=room, temperature=19)
            await shows(
                ha,
                "the panel's confirmation",
                lambda told: (
                    told[room]["state"] == "heat" and told[room]["attributes"]["temperature"] == 19
                ),
            )
            sent = uploads(bus)
            assert len(sent) == 1
            assert int.from_bytes(sent[0][:2], "little") == NINETEEN

            await ha.call(
                "water_heater", "set_operation_mode", entity_id=water, operation_mode="eco"
            )
            await shows(ha, "hot water", lambda told: told[water]["state"] == "eco")
            assert len(uploads(bus)) == 2

            # Two messages of one action are one upload.
            await ha.call("climate", "turn_off", entity_id=room)
            await shows(ha, "the room off again", lambda told: told[room]["state"] == "off")
            await ha.call(
                "climate", "set_temperature", entity_id=room, temperature=22, hvac_mode="heat"
            )
            await shows(
                ha,
                "22 degrees",
                lambda told: told[room]["attributes"].get("temperature") == 22,
            )
            assert len(uploads(bus)) == 4

            await broker.restart()
            await shows(ha, "the broker is lost", lambda told: room in told)
            await entities(ha, *ids)
            await shows(ha, "all is back", lambda told: told[room]["state"] == "heat")

            assert await bridge.stop() == 0
            await shows(ha, "the bridge gone", lambda told: told[room]["state"] == "unavailable")
            await bridge.start()
            await entities(ha, *ids)
            await shows(ha, "the bridge back", lambda told: told[room]["state"] != "unavailable")
        assert "Traceback" not in bridge.text
    complaints = [line for line in ha.complaints() if not EXPECTED.search(line)]
    assert complaints == []


async def registered(ha: HomeAssistant, *endings: str) -> dict[str, str]:
    """Wait until there is an available entity for each end of a unique id; return entity ids."""

    async def there() -> dict[str, str] | None:
        states = await ha.states()
        found = {}
        for one in await ha.command("config/entity_registry/list"):
            state = states.get(one["entity_id"], {}).get("state", "unavailable")
            for ending in endings:
                if one["unique_id"].endswith(ending) and state != "unavailable":
                    found[ending] = one["entity_id"]
        return found if len(found) == len(endings) else None

    ids: dict[str, str] = await ha.wait_for(", ".join(endings), there)
    return ids


async def test_all_families_over_the_broker(ha: HomeAssistant, tmp_path: Path) -> None:
    bus = tmp_path / "bus.log"
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    config = f"""
        [devices.van]
        family = "truma"
        link = "{TRUMA}&log={bus}"

        [devices.plant]
        family = "studer"
        link = "sim://?xtenders=1"

        [devices.roof]
        family = "sunsynk"
        source = "sim"
        time_zone = "Europe/Amsterdam"
        warp = 30

        [devices.ventilation]
        family = "inventum"
        link = "sim://?interval=1&challenge_code=19&odds=1"

        [sinks.home]
        type = "mqtt"
        host = "127.0.0.1"
        port = {broker.port}
    """
    config = "\n".join(line.strip() for line in config.splitlines())
    async with running(broker):
        await connect(ha, broker.port)
        async with bridging(tmp_path / "bridge", config) as bridge:
            ids = await registered(
                ha, "_van_heater_room", "_1107", "_battery_soc", "_ventilation_ecolution_fan"
            )
            room, limit = ids["_van_heater_room"], ids["_1107"]
            fan = ids["_ventilation_ecolution_fan"]

            await ha.call("fan", "set_preset_mode", entity_id=fan, preset_mode="boost")
            await ha.call("climate", "set_temperature", entity_id=room, temperature=19)
            await ha.call("number", "set_value", entity_id=limit, value=12)

            # Nothing is optimistic: what is shown, the simulators have confirmed.
            await shows(
                ha,
                "the fan boosts",
                lambda told: (
                    told[fan]["attributes"]["preset_mode"] == "boost"
                    and told[fan]["attributes"]["percentage"] == 100
                ),
            )
            await shows(
                ha, "19 degrees", lambda told: told[room]["attributes"]["temperature"] == 19
            )
            await shows(ha, "12 A", lambda told: float(told[limit]["state"]) == 12)
            assert int.from_bytes(uploads(bus)[0][:2], "little") == NINETEEN

            await ha.call("fan", "turn_off", entity_id=fan)
            await shows(
                ha,
                "the fan is the controller's again",
                lambda told: told[fan]["attributes"]["preset_mode"] == "auto",
            )

            # Home Assistant comes back and finds all as it is.
            await ha.stop()
            await ha.start()
            again = await registered(ha, *ids)
            assert again == ids
            await shows(ha, "12 A as before", lambda told: float(told[limit]["state"]) == 12)
        assert "Traceback" not in bridge.text
    complaints = [line for line in ha.complaints() if not EXPECTED.search(line)]
    assert complaints == []
