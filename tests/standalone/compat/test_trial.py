"""An owner of each old program: the bridge in its place, the same topics, over a real broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.standalone.bridge.test_bridge import running as running_bridge, until
from tests.standalone.mqtt.broker import Broker, Watcher, needs_broker, running, watching

pytestmark = needs_broker
TRUMA = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=7&standby=0"


def config(port: int, device: str, legacy: str) -> str:
    return (
        f"[devices.own]\nnative = false\n{device}\n\n[[devices.own.legacy]]\n{legacy}\n\n"
        f'[sinks.mqtt]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n'
    )


def nothing_new(watcher: Watcher) -> None:
    """A drop-in shows nothing that the old program did not show."""
    assert not [topic for topic in watcher.last if topic.startswith("hardwired")]
    assert not [topic for topic in watcher.last if "/device/hardwired" in topic]


def _soc(watcher: Watcher) -> list[str]:
    return [topic for topic in watcher.last if topic.endswith("_battery_soc/state")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broker").mkdir()
    return tmp_path


async def test_inetbox_py(folder: Path) -> None:
    modern = TRUMA.replace("c4-combi-aventa", "c4-combi4")
    device = f'family = "truma"\nlink = "{modern}"'
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = config(broker.port, device, 'dialect = "inetbox.py"')
        async with running_bridge(text, folder / "state"):
            await watcher.until("service/truma/online", "1")
            await watcher.until("service/truma/cp_plus_status", "online", 60)
            await watcher.until("service/truma/control_status/current_temp_room", seconds=60)
            await watcher.until("service/truma/display_status/voltage", seconds=60)
            await client.publish("service/truma/set/target_temp_room", "19")
            await client.publish("service/truma/set/target_temp_water", "40")
            await watcher.until("service/truma/control_status/target_temp_room", "19", 60)
            await watcher.until("service/truma/control_status/target_temp_water", "40", 60)
            await watcher.until("service/truma/control_status/mode", "heat")
            await client.publish("service/truma/set/energy_mix", "wood")
            assert "energy_mix" in await watcher.until("service/truma/error")
        await watcher.until("service/truma/online", "0")
        nothing_new(watcher)


async def test_inetbox2mqtt(folder: Path) -> None:
    device = f'family = "truma"\nlink = "{TRUMA}"'
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = config(broker.port, device, 'dialect = "inetbox2mqtt"\ntopic = "camper"')
        async with running_bridge(text, folder / "state"):
            root = "service/camper/control_status"
            await watcher.until(f"{root}/alive", "ON")
            await watcher.until(f"{root}/current_temp_room", seconds=60)
            await client.publish("service/camper/set/target_temp_room", "19")
            await watcher.until(f"{root}/target_temp_room", "19.0", 60)
        await watcher.until(f"{root}/alive", "OFF")
        nothing_new(watcher)


async def test_xtender_mqtt(folder: Path) -> None:
    device = 'family = "studer"\nlink = "sim://?xtenders=1"'
    legacy = 'dialect = "xtender_mqtt"\nparameters = ["allowInverter"]\nloop_sleep = 1'
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        async with running_bridge(config(broker.port, device, legacy), folder / "state"):
            await watcher.until("xtender/bridge/state", "online")
            await watcher.until("xtender/101/availability", "online", 60)
            float(await watcher.until("xtender/101/values/batteryVoltage", seconds=60))
            meta = await watcher.until("xtender/101/parameters/batteryVoltage/")
            assert json.loads(json.loads(meta))["number"] == 3000
            await watcher.until("xtender/101/parameters/allowInverter", "1", 60)
            await client.publish("xtender/101/parameters/allowInverter/set", "0")
            await watcher.until("xtender/101/dbg/last_cmd_result", "Ok", 60)
            await watcher.until("xtender/101/parameters/allowInverter", "0")
        await watcher.until("xtender/bridge/state", "offline")
        nothing_new(watcher)


async def test_sunsniff(folder: Path) -> None:
    device = 'family = "sunsynk"\nsource = "sim"\ntime_zone = "Europe/Amsterdam"\nwarp = 60'
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, _),
    ):
        text = config(broker.port, device, 'dialect = "sunsniff"')
        async with running_bridge(text, folder / "state"):
            await until(lambda: _soc(watcher))
        states = _soc(watcher)
        assert len(states) == 1
        assert not any(retained for topic, _, retained in watcher.order if topic in states)
        serial = states[0].split("_")[1]
        assert watcher.last[f"sunsniff/{serial}/availability"] == "offline"
        nothing_new(watcher)
