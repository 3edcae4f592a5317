"""A trial as an owner of each old program: the old file, ``import``, ``check``, ``run``.

The same topics come over a real broker, and an automation's commands work; nothing new shows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardwired.cli.main import main as command
from tests.standalone.bridge.test_bridge import running as running_bridge, until
from tests.standalone.mqtt.broker import Broker, Watcher, needs_broker, running, watching

pytestmark = [needs_broker, pytest.mark.slow]
TRUMA = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=7&standby=0"


@pytest.fixture(autouse=True)
def stopwatch(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Note how long a trial takes, from the old file to the way out."""
    began = time.monotonic()
    yield
    record_property("seconds", round(time.monotonic() - began, 1))


def imported(folder: Path, program: str, old: str) -> str:
    """Return the CONFIG that the commands of the page make of an old file: import, check."""
    before, after = folder / "old", folder / "CONFIG.toml"
    before.write_text(old)
    assert command(["import", program, str(before), "-o", str(after)]) == 0
    assert after.stat().st_mode & 0o777 == 0o600
    assert command(["check", str(after), "--offline"]) == 0
    return after.read_text()


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
    root = "service/truma"
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = imported(
            folder,
            "inetbox.py",
            f"broker:\n  host: 127.0.0.1\n  port: {broker.port}\n"
            f'services:\n  truma:\n    serial_device: "{modern}"\n',
        )
        async with running_bridge(text, folder / "state"):
            await watcher.until(f"{root}/online", "1")
            await watcher.until(f"{root}/cp_plus_status", "online")
            await watcher.until(f"{root}/control_status/current_temp_room")
            await watcher.until(f"{root}/display_status/voltage")
            await client.publish(f"{root}/set/target_temp_room", "19")
            await client.publish(f"{root}/set/target_temp_water", "40")
            await watcher.until(f"{root}/control_status/target_temp_room", "19")
            await watcher.until(f"{root}/control_status/target_temp_water", "40")
            await watcher.until(f"{root}/control_status/mode", "heat")
            await client.publish(f"{root}/set/energy_mix", "wood")
            assert "energy_mix" in await watcher.until(f"{root}/error")
            # g.4: the timer as one batch, and the mode of the clock.
            await watcher.until(f"{root}/control_status/timer_active", "0")
            await watcher.until(f"{root}/control_status/clock_mode", "24h")
            timer = {"start_hours": "6", "start_minutes": "30", "stop_hours": "8", "active": "1"}
            for key, payload in timer.items():
                await client.publish(f"{root}/set/timer_{key}", payload)
            await client.publish(f"{root}/set/timer_target_temp_room", "21")
            await client.publish(f"{root}/set/clock_mode", "12h")
            for key, payload in {**timer, "target_temp_room": "21"}.items():
                await watcher.until(f"{root}/control_status/timer_{key}", payload)
            await watcher.until(f"{root}/control_status/clock_mode", "12h")
        await watcher.until(f"{root}/online", "0")
        nothing_new(watcher)


async def test_inetbox2mqtt(folder: Path) -> None:
    # Its settings lie in a microcontroller: the nine lines of the documentation.
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = (
            f'[devices.van]\nfamily = "truma"\nlink = "{TRUMA}"\nnative = false\n'
            '[[devices.van.legacy]]\ndialect = "inetbox2mqtt"\ntopic = "camper"\n'
            f'[sinks.mqtt]\ntype = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        async with running_bridge(text, folder / "state"):
            root = "service/camper/control_status"
            await watcher.until(f"{root}/alive", "ON")
            await watcher.until(f"{root}/current_temp_room", seconds=60)
            await client.publish("service/camper/set/target_temp_room", "19")
            await watcher.until(f"{root}/target_temp_room", "19.0", 60)
        await watcher.until(f"{root}/alive", "OFF")
        nothing_new(watcher)


async def test_xtender_mqtt(folder: Path) -> None:
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = imported(
            folder,
            "xtender_mqtt",
            "mqtt_setup:\n  mqtt_username:\n  mqtt_client_id:\n  mqtt_broker: 127.0.0.1\n"
            f"  mqtt_password:\n  mqtt_port: {broker.port}\n  mqtt_root_prefix:\n"
            "device_manager_config:\n  scom:\n    interface: 'sim://?xtenders=1'\n"
            "    baudrate: '38400'\n  number_of_scom_devices:\n    xtender: 1\n"
            "parameters:\n  allowInverter: True\nloop_sleep: 1\n",
        )
        async with running_bridge(text, folder / "state"):
            await watcher.until("xtender/bridge/state", "online")
            await watcher.until("xtender/101/availability", "online")
            float(await watcher.until("xtender/101/values/batteryVoltage"))
            meta = await watcher.until("xtender/101/parameters/batteryVoltage/")
            assert json.loads(json.loads(meta))["number"] == 3000
            await watcher.until("xtender/101/parameters/allowInverter", "1")
            await client.publish("xtender/101/parameters/allowInverter/set", "0")
            await watcher.until("xtender/101/dbg/last_cmd_result", "Ok")
            await watcher.until("xtender/101/parameters/allowInverter", "0")
        await watcher.until("xtender/bridge/state", "offline")
        nothing_new(watcher)


async def test_sunsniff(folder: Path) -> None:
    capture = folder / "day.pcap"
    start = ("--start", "2026-11-20T10:00:00", "--timezone", "Europe/Amsterdam")
    arguments = ["simulate", "sunsynk", "--file", str(capture), "--duration", "1200", *start]
    assert command(arguments) == 0
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, _),
    ):
        text = imported(
            folder,
            "auto",
            f'[pcap]\ndevice = "{capture}"\nfile = true\ntimezone = "Europe/Amsterdam"\n'
            f'[[mqtt]]\nurl = "mqtt://127.0.0.1:{broker.port}"\n',
        )
        broker.freeze()  # the file is read before there is a connection: nothing is lost
        async with running_bridge(text, folder / "state") as bridge:
            await until(lambda: all(bridge.link(name).ended for name in bridge.links))
            await asyncio.sleep(0.5)  # more than twice as often as it looks for its end
            broker.thaw()
            await until(lambda: _soc(watcher))
        states = _soc(watcher)
        assert len(states) == 1
        assert not any(retained for topic, _, retained in watcher.order if topic in states)
        serial = states[0].split("_")[1]
        assert watcher.last[f"sunsniff/{serial}/availability"] == "offline"
        nothing_new(watcher)


async def test_inventumusb(folder: Path) -> None:
    async with (
        running(Broker(folder / "broker")) as broker,
        watching(broker) as (watcher, client),
    ):
        text = imported(
            folder,
            "auto",
            "[inventum]\ndevice = sim://?odds=1&seed=3&interval=0.5&header=short\nreset = 30\n"
            f"[mqtt]\nserver = 127.0.0.1\nport = {broker.port}\n",
        )
        async with running_bridge(text, folder / "state"):
            await watcher.until("ventilation/inventum/status", "online")
            row = json.loads(await watcher.until("ventilation/inventum/data"))
            assert all(one.keys() == {"value", "status"} for one in row.values())
            await client.publish("ventilation/inventum/commands", "FAN=1")

            def position() -> str:
                told = json.loads(watcher.last["ventilation/inventum/data"])
                return next(one["value"] for key, one in told.items() if key.startswith("3"))

            await until(lambda: position() == "3")
        await watcher.until("ventilation/inventum/status", "offline")
        nothing_new(watcher)
