"""What was asked for last counts: after a loss, a change of instance, a new configuration."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

from gx.settings import NAME as SETTINGS
from mqtt_devices import tables
from mqtt_devices.status import judge

from .conftest import Gx
from .observer import Observer, until
from .test_promises import in_this_process, status

TABLES = tables.load()
COMMAND = "dbus-mqtt-devices/command"
LISTED = "dbus-mqtt-devices/devices"


def named(kind: str, client_id: str, service_id: str) -> str:
    return f"com.victronenergy.{kind}.mqtt_{client_id}_{service_id}"


async def kept(seen: Observer, name: str) -> list[str]:
    return [path for path in await seen.items(SETTINGS) if f"/{name}/" in path]


async def forgotten(seen: Observer, name: str) -> None:
    async def none() -> bool:
        return not await kept(seen, name)

    await until(none)


async def test_a_change_of_instance_does_not_undo_a_registration_under_way(gx: Gx) -> None:
    async with gx(driver=False) as seen, in_this_process(seen) as devices:
        devices.status(judge(status("a", {"t": "tank", "u": "tank"}), TABLES))
        await seen.wait(lambda: seen.has(named("tank", "a", "u")))
        device = devices._by_id["a"]
        await device.idle()
        devices.status(judge(status("a", {"t": "tank", "n": "temperature"}), TABLES))
        device.instance_changed("t", "tank:30")
        await seen.wait(lambda: seen.has(named("temperature", "a", "n")))
        await device.idle()
        assert {key: it.kind for key, it in device.services.items()} == {
            "t": "tank",
            "n": "temperature",
        }
        assert f"-{named('tank', 'a', 'u')}" in seen.names


async def test_what_waits_for_the_settings_is_not_replaced_by_what_was(gx: Gx) -> None:
    async with gx(driver=False) as seen, in_this_process(seen) as devices:
        devices.status(judge(status("a", {"t": "tank"}), TABLES))
        await seen.wait(lambda: seen.has(named("tank", "a", "t")))
        device = devices._by_id["a"]
        await device.idle()
        seen.rig.settings.stop(kill=True)
        await seen.wait(lambda: f"-{SETTINGS}" in seen.names)
        devices.status(judge(status("a", {"t": "tank", "n": "temperature"}), TABLES))
        await device.idle()
        assert device.deferred is not None
        device.ask_again()  # as after a connection that was cut
        await device.idle()
        assert device.deferred is not None
        assert set(device.deferred.services) == {"t", "n"}
        seen.rig.settings.start()
        await seen.wait(lambda: f"+{SETTINGS}" in seen.names)
        await devices.settings_are_back()
        await seen.wait(lambda: seen.has(named("temperature", "a", "n")))


async def test_a_settings_service_that_lost_its_file_gets_the_numbers_in_use(gx: Gx) -> None:
    async with gx() as seen:
        for client_id in ("a", "b", "c"):
            await seen.register(status(client_id, {"t": "tank"}))
        seen.publish("device/a/Status", {"clientId": "a", "connected": 0})
        await seen.wait(lambda: f"-{named('tank', 'a', 't')}" in seen.names)
        seen.clear()
        seen.rig.settings.stop(kill=True)
        await seen.wait(lambda: f"-{SETTINGS}" in seen.names)
        seen.rig.settings_file.write_text("{}")
        seen.rig.settings.start()
        await seen.wait(lambda: f"+{SETTINGS}" in seen.names)

        async def numbers() -> bool:
            found = {
                path.split("/")[3]: item["Value"]["v"]
                for path, item in (await seen.items(SETTINGS)).items()
                if path.endswith("/ClassAndVrmInstance")
            }
            return found == {"mqtt_b_t": "tank:2", "mqtt_c_t": "tank:3"}

        await until(numbers)
        await seen.quiet()
        assert not [name for name in seen.names if ".tank." in name]


# ------------------------------------------------------------------------------ forgetting


async def test_a_device_that_is_away_is_forgotten_too(gx: Gx) -> None:
    async with gx(config={"allow_commands": True}) as seen:
        energy = {"m": {"energy": True}}
        await seen.register(
            status("a", {"t": "tank", "b_c": "tank", "m": "acload"}, options=energy)
        )
        await seen.register(status("a_b", {"c": "temperature", "d": "tank"}))
        for client_id in ("a", "a_b"):
            seen.publish(f"device/{client_id}/Status", {"clientId": client_id, "connected": 0})
        await seen.wait(lambda: f"-{named('tank', 'a_b', 'd')}" in seen.names)
        await seen.register(status("a_b", {"c": "temperature"}))
        seen.publish(COMMAND, {"cmd": "forget", "clientId": "a"})
        for name in ("mqtt_a_t", "mqtt_a_m"):
            await forgotten(seen, name)
        # Whose these are can't be told from their names, or they are another device's.
        for name in ("mqtt_a_b_c", "mqtt_a_b_d"):
            assert await kept(seen, name)
        seen.publish(COMMAND, {"cmd": "forget", "clientId": "a_b"})
        for name in ("mqtt_a_b_c", "mqtt_a_b_d"):
            await forgotten(seen, name)

        def counters() -> Any:
            return json.loads((seen.rig.folder / "state.json").read_text())["energy"]

        await until(lambda: asyncio.sleep(0, not counters()))


# ---------------------------------------------------------------------------- configuration


async def test_commands_are_allowed_and_forbidden_while_it_runs(gx: Gx) -> None:
    async with gx(config={"log_level": "info"}) as seen:
        await seen.register(status("a", {"t": "tank"}, lwt_topic=COMMAND, lwt_value="x"))
        file = seen.rig.folder / "config.json"
        before = json.loads(file.read_text())
        assert seen.rig.driver.process is not None
        for allowed in (True, False):
            file.write_text(json.dumps({**before, "allow_commands": allowed}))
            asked = seen.log().count("is read again")
            seen.rig.driver.process.send_signal(signal.SIGHUP)
            await seen.wait(lambda asked=asked: seen.log().count("is read again") > asked)
            seen.clear()
            seen.publish(COMMAND, {"cmd": "list"})
            if allowed:
                assert await seen.message(LISTED)
            await seen.quiet()
            assert not seen.on(LISTED)
        file.write_text(json.dumps(before))
