"""What the driver does beyond the recordings: following, telling, keeping, refusing."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import Any

import pytest

from gx.settings import NAME as SETTINGS
from mqtt_devices.bus import Bus

from .conftest import Gx
from .observer import Observer, typed, until

pytestmark = pytest.mark.slow

PORTAL = "c0ffee12ab34"


def status(client_id: str, services: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"clientId": client_id, "connected": 1, "services": services, **more}


def service(kind: str, client_id: str, service_id: str) -> str:
    return f"com.victronenergy.{kind}.mqtt_{client_id}_{service_id}"


async def gone(seen: Observer, name: str) -> None:
    await seen.wait(lambda: f"-{name}" in seen.names)


async def there(seen: Observer, name: str) -> None:
    await seen.wait(lambda: f"+{name}" in seen.names)


async def value(seen: Observer, name: str, path: str) -> Any:
    return (await seen.value(name, path))["v"]


async def holds(seen: Observer, name: str, path: str, wanted: Any) -> None:
    async def reached() -> bool:
        return bool(await value(seen, name, path) == wanted)

    await until(reached)


# ----------------------------------------------------------------------------- write-back


async def test_the_device_is_told_what_the_gx_sets(gx: Gx) -> None:
    async with gx() as seen:
        outputs = [{"id": "d", "type": "dimmable"}, {"id": "t", "type": "toggle"}]
        await seen.register(
            status(
                "a",
                {"s": "switch"},
                notify=True,
                options={"s": {"auto_status": True, "outputs": outputs}},
            )
        )
        name = service("switch", "a", "s")
        assert await seen.set(name, "/SwitchableOutput/d/Dimming", {"t": "i", "v": 40}) == 0
        found = await seen.message("device/a/Set")
        assert found == {"service": "s", "path": "SwitchableOutput/d/Dimming", "value": 40.0}
        assert await seen.set(name, "/SwitchableOutput/d/Dimming", {"t": "d", "v": 40.0}) == 0
        assert await seen.set(name, "/SwitchableOutput/t/State", {"t": "i", "v": 1}) == 0
        found = await seen.message("device/a/Set")  # equal values and Status are not told
        assert found == {"service": "s", "path": "SwitchableOutput/t/State", "value": 1}
        assert await seen.set(name, "/CustomName", {"t": "s", "v": "Küche"}) == 0
        found = await seen.message("device/a/Set")
        assert found == {"service": "s", "path": "CustomName", "value": "Küche"}
        await seen.quiet()
        assert not seen.on("device/a/Set")


async def test_a_device_that_did_not_ask_is_told_nothing(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank"}))
        assert await seen.set(service("tank", "a", "t"), "/Level", {"t": "i", "v": 40}) == 0
        await seen.quiet()
        assert not seen.on("device/a/Set")


# ---------------------------------------------------------------------------------- Proxy


async def test_proxy_reaches_only_what_was_given_out(gx: Gx) -> None:
    async with gx() as seen:
        mine = await seen.register(status("a", {"t": "tank"}))
        other = await seen.register(status("b", {"t": "tank"}))
        values = {"Level": 5, "Remaining": float("nan")}
        for path in (
            other["topicPath"]["t"]["W"],
            f"W/{PORTAL}/platform/0",
            f"W/{PORTAL}/settings/0",
        ):
            seen.publish("device/a/Proxy", {"topicPath": path, "values": values})
        stolen = {"topicPath": mine["topicPath"]["t"]["W"], "values": {"Level": 1}}
        seen.publish("device/nobody/Proxy", stolen)
        await seen.quiet()
        assert not [it.topic for it in seen.messages if it.topic.startswith("W/")]
        own = mine["topicPath"]["t"]["W"]
        seen.publish("device/a/Proxy", {"topicPath": own, "values": values})
        assert await seen.message(f"{own}/Level") == {"value": 5}
        await seen.quiet()
        assert not seen.on(f"{own}/Remaining")


@pytest.mark.parametrize("scope", ["registered", "any"])
async def test_wider_proxy_scopes(gx: Gx, scope: str) -> None:
    async with gx(config={"proxy_scope": scope}) as seen:
        reply = await seen.register(status("a", {"t": "tank"}))
        own = reply["topicPath"]["t"]["W"]
        seen.publish("device/x/Proxy", {"topicPath": own, "values": {"Level": 5}})
        assert await seen.message(f"{own}/Level") == {"value": 5}
        foreign, platform = f"W/{PORTAL}/vebus/257", f"W/{PORTAL}/platform/0"
        for path in (platform, foreign):
            seen.publish("device/x/Proxy", {"topicPath": path, "values": {"Mode": 1}})
        await seen.quiet()
        assert bool(seen.on(f"{foreign}/Mode")) == (scope == "any")
        assert not seen.on(f"{platform}/Mode")


async def test_direct_proxy_is_one_signal_and_jitter_is_collected(gx: Gx) -> None:
    async with gx(config={"proxy_mode": "direct"}) as seen:
        reply = await seen.register(status("a", {"t": "temperature"}, notify=True))
        path = reply["topicPath"]["t"]["W"]
        name = service("temperature", "a", "t")
        first = {"Temperature": 20.5, "Humidity": 40, "CustomName": "Bow", "NoSuch": 1}
        seen.publish("device/a/Proxy", {"topicPath": path, "values": first})
        await holds(seen, name, "/CustomName", "Bow")
        await holds(seen, name, "/Humidity", 40)
        seen.signals.clear()
        for number in range(60):
            values = {"Temperature": 21 + number / 10, "Humidity": 41 + number}
            seen.publish("device/a/Proxy", {"topicPath": path, "values": values})
            await asyncio.sleep(0.03)
        await holds(seen, name, "/Humidity", 100)
        await seen.wait(
            lambda: any(it[1] == "/Humidity" and it[3]["Value"].value == 100 for it in seen.signals)
        )
        temperatures = [it for it in seen.signals if it[:2] == (name, "/Temperature")]
        assert len(temperatures) <= 8  # of 60, in about two seconds and what the machine needs
        await seen.quiet()
        assert not seen.on("device/a/Set")
        assert not [it.topic for it in seen.messages if it.topic.startswith("W/")]


# ------------------------------------------------------------------------------- instances


async def test_an_instance_that_the_user_changes_is_followed(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank", "u": "tank"}))
        name = service("tank", "a", "t")
        assert await seen.set(name, "/Level", {"t": "d", "v": 12.5}) == 0
        seen.clear()
        path = "/Settings/Devices/mqtt_a_t/ClassAndVrmInstance"
        assert await seen.set(SETTINGS, path, {"t": "s", "v": "tank:30"}) == 0
        reply = await seen.message("device/a/DBus")
        assert reply["deviceInstance"] == {"t": 30, "u": 2}
        assert reply["topicPath"]["t"]["W"] == f"W/{PORTAL}/tank/30"
        assert seen.names == [f"-{name}", f"+{name}"]
        assert await value(seen, name, "/DeviceInstance") == 30
        assert await value(seen, name, "/Level") == 12.5


async def test_a_name_that_is_taken_is_said_and_tried_again(gx: Gx) -> None:
    async with gx() as seen:
        other = await Bus.connect(seen.rig.bus.address)
        name = service("tank", "a", "t")
        assert await other.request_name(name)
        reply = await seen.register(status("a", {"t": "tank", "u": "temperature"}))
        assert list(reply["deviceInstance"]) == ["u"]
        assert "in use" in reply["errors"]["t"]
        other.close()
        await gone(seen, name)
        seen.clear()
        reply = await seen.register(status("a", {"t": "tank", "u": "temperature"}))
        assert list(reply["deviceInstance"]) == ["t", "u"]
        assert "errors" not in reply


async def test_a_name_of_ours_that_was_taken_goes_to_who_waits_for_it(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"b_c": "tank"}))
        reply = await seen.register(status("a_b", {"c": "tank", "d": "tank"}))
        assert reply["errors"] == {"c": "name in use by device a"}
        seen.clear()
        seen.publish("device/a/Status", {"clientId": "a", "connected": 0})
        reply = await seen.message("device/a_b/DBus")
        assert list(reply["deviceInstance"]) == ["c", "d"]
        assert "errors" not in reply
        assert await value(seen, service("tank", "a_b", "c"), "/Mgmt/Connection") == "MQTT:a_b"


async def test_room_for_services_goes_to_who_waits_for_it(gx: Gx) -> None:
    async with gx(config={"max_services": 2}) as seen:
        await seen.register(status("a", {"x": "tank", "y": "tank"}))
        reply = await seen.register(status("b", {"x": "tank"}))
        assert reply["errors"] == {"x": "more than 2 services"}
        seen.publish("device/a/Status", status("a", {"x": "tank"}))
        reply = await seen.message("device/b/DBus")
        assert list(reply["deviceInstance"]) == ["x"]


async def test_a_name_that_only_moves_is_nobody_else_s(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"b_c": "tank"}))
        await seen.register(status("a_b", {"c": "tank"}))
        path = "/Settings/Devices/mqtt_a_b_c/ClassAndVrmInstance"
        assert await seen.set(SETTINGS, path, {"t": "s", "v": "tank:30"}) == 0
        reply = await seen.message("device/a/DBus")
        assert reply["deviceInstance"] == {"b_c": 30}
        await seen.quiet()
        assert not seen.on("device/a_b/DBus")


# -------------------------------------------------------------------------------- settings


async def test_a_setting_that_somebody_changes_is_followed(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "temperature"}))
        name = service("temperature", "a", "t")
        base = "/Settings/MqttDevices/mqtt_a_t"
        assert await seen.set(SETTINGS, f"{base}/TemperatureType", {"t": "i", "v": 5}) == 0
        await holds(seen, name, "/TemperatureType", 5)
        found = [typed(it[3]["Value"])["v"] for it in seen.signals if it[0] == name]
        assert found == [5]


async def test_the_settings_service_restarts(gx: Gx) -> None:
    """Services stay, and what is kept in the meantime is taken over."""
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank"}))
        name = service("tank", "a", "t")
        assert await seen.set(name, "/CustomName", {"t": "s", "v": "Bow"}) == 0
        seen.rig.settings.stop(kill=True)
        await gone(seen, SETTINGS)
        assert await seen.set(name, "/CustomName", {"t": "s", "v": "x"}) == 2
        assert await value(seen, name, "/CustomName") == "Bow"
        assert await seen.set(name, "/Level", {"t": "i", "v": 7}) == 0
        kept = json.loads(seen.rig.settings_file.read_text())
        kept["/Settings/MqttDevices/mqtt_a_t/CustomName"]["value"] = "Restored"
        seen.rig.settings_file.write_text(json.dumps(kept))
        seen.rig.settings.start()
        await holds(seen, name, "/CustomName", "Restored")
        assert await value(seen, name, "/Level") == 7
        assert f"-{name}" not in seen.names


async def test_another_portal_id_is_told(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank"}))
        seen.rig.system.stop()
        seen.rig.system.command[-1] = "deadbeef0000"
        seen.rig.system.start()
        reply = await seen.message("device/a/DBus")
        assert reply["topicPath"]["t"]["W"] == "W/deadbeef0000/tank/1"


# --------------------------------------------------------------------------- coming back


async def test_what_takes_its_time(gx: Gx) -> None:
    """A press that nobody releases ends after 10 s; meanwhile a silent device with a ttl goes."""
    async with gx() as seen:
        options = {"s": {"outputs": [{"id": "horn", "type": "momentary"}]}}
        await seen.register(status("p", {"s": "switch"}, notify=True, options=options))
        horn, path = service("switch", "p", "s"), "/SwitchableOutput/horn/State"
        start = time.monotonic()
        await seen.register(status("a", {"t": "tank"}, ttl=3))
        await seen.register(status("b", {"t": "tank"}))
        name = service("tank", "a", "t")
        assert await seen.set(horn, path, {"t": "i", "v": 1}) == 0
        assert (await seen.message("device/p/Set"))["value"] == 1
        await gone(seen, name)
        assert time.monotonic() - start >= 3
        assert await value(seen, service("tank", "b", "t"), "/Level") == []
        assert (await seen.message("device/p/Set"))["value"] == 0
        assert time.monotonic() - start >= 9.9
        assert await value(seen, horn, path) == 0


async def test_devices_come_back_by_discovery_and_by_restore(gx: Gx) -> None:
    async with gx(config={"restore": True}) as seen:
        options = {"t": {"name": "Bow"}}
        await seen.register(status("a", {"t": "tank"}, version="v7", options=options))
        await seen.register(status("b", {"t": "tank"}))
        seen.publish("device/b/Status", {"clientId": "b", "connected": 0})
        await gone(seen, service("tank", "b", "t"))
        seen.clear()
        assert seen.rig.driver.stop() == 0
        await gone(seen, service("tank", "a", "t"))
        seen.rig.driver.start()
        await there(seen, service("tank", "a", "t"))
        await seen.wait(lambda: seen.on("device_discovery"))
        assert await value(seen, service("tank", "a", "t"), "/FirmwareVersion") == "v7"
        await seen.quiet()
        assert f"+{service('tank', 'b', 't')}" not in seen.names


async def test_energy_is_kept_over_a_restart(gx: Gx) -> None:
    async with gx() as seen:
        wish = status("a", {"m": "acload"}, options={"m": {"energy": True, "phases": 1}})
        await seen.register(wish)
        name = service("acload", "a", "m")
        path = "/Ac/Energy/Forward"
        assert await seen.value(name, path) == {"t": "d", "v": 0.0}
        assert await seen.set(name, "/Ac/Power", {"t": "i", "v": 9_000_000}) == 0
        await asyncio.sleep(1)
        assert await seen.set(name, "/Ac/Power", {"t": "i", "v": 0}) == 0
        counted = await value(seen, name, path)
        assert counted > 2.0
        assert seen.rig.driver.stop() == 0
        kept = json.loads((seen.rig.folder / "state.json").read_text())
        assert kept["energy"]["mqtt_a_m"][path] == pytest.approx(counted, abs=0.001)
        seen.rig.driver.start()
        await seen.fence()
        await seen.register(wish)
        assert await value(seen, name, path) == pytest.approx(counted, abs=0.001)


async def test_signals_of_the_process(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank"}))
        process = seen.rig.driver.process
        assert process is not None
        seen.rig.driver.config.write_text('{"max_services": 1}')
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        await seen.wait(lambda: "is read again" in seen.log())
        reply = await seen.register(status("b", {"t": "tank"}))
        assert "more than 1" in reply["errors"]["t"]
        seen.rig.driver.config.write_text('{"max_services": 2}')
        process.send_signal(signal.SIGHUP)
        reply = await seen.message("device/b/DBus")
        assert reply["deviceInstance"] == {"t": 2}
        seen.rig.driver.config.write_text("{")
        process.send_signal(signal.SIGHUP)
        await seen.wait(lambda: "not reloaded" in seen.log())
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.get_running_loop().run_in_executor(None, process.wait) == 0
        assert time.monotonic() - start < 10  # 2 s on a machine that is not busy
        offline = await seen.wait(
            lambda: [
                it
                for it in seen.on("dbus-mqtt-devices/status")
                if it.payload == b'{"state":"offline"}'
            ]
        )
        assert offline


# --------------------------------------------------------------------- refusing and telling


async def test_a_refused_status_says_why(gx: Gx) -> None:
    async with gx() as seen:
        seen.publish("device/a/Status", status("a", {"t": "spicyness"}))
        assert "spicyness" in (await seen.message("device/a/Error"))["error"]
        seen.publish("device/a/Status", status("a:b", {"t": "tank"}))
        await seen.quiet()
        assert not [it for it in seen.messages if it.topic.endswith("/Error")]


@pytest.mark.parametrize("topic", ["a/+", "a/#", "device/x/Status", "W/a/b/c/D", "N/x"])
async def test_last_will_topics_that_are_not_watched(gx: Gx, topic: str) -> None:
    async with gx() as seen:
        reply = await seen.register(status("a", {"t": "tank"}, lwt_topic=topic))
        assert reply["deviceInstance"] == {"t": 1}
        assert "lwt_topic" in reply["errors"]


async def test_devices_may_share_a_last_will(gx: Gx) -> None:
    async with gx() as seen:
        for client_id in ("a", "b"):
            await seen.register(status(client_id, {"t": "tank"}, lwt_topic="x/y", lwt_value=0))
        seen.publish("x/y", b"\xff")
        seen.publish("x/y", "0")
        for client_id in ("a", "b"):
            await gone(seen, service("tank", client_id, "t"))


async def test_a_last_will_that_stands_already_takes_whoever_names_it(gx: Gx) -> None:
    """The broker says what is retained to each subscription, also to one that it has already."""
    async with gx() as seen:
        seen.publish("x/y", "gone", retain=True)
        await seen.register(status("a", {"t": "tank"}, lwt_topic="x/y", lwt_value="other"))
        await seen.register(status("b", {"t": "tank"}, lwt_topic="x/y", lwt_value="gone"))
        await gone(seen, service("tank", "b", "t"))
        assert f"-{service('tank', 'a', 't')}" not in seen.names


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_second_vebus_needs_permission(gx: Gx, allowed: bool) -> None:
    async with gx(config={"allow_vebus": allowed}) as seen:
        first = await seen.register(status("a", {"v": "vebus"}))
        assert first["deviceInstance"] == {"v": 1}  # there is no real one
        real = await Bus.connect(seen.rig.bus.address)
        assert await real.request_name("com.victronenergy.vebus.ttyS4")
        reply = await seen.register(status("b", {"v": "vebus"}))
        assert bool(reply["deviceInstance"]) == allowed
        assert ("errors" in reply) != allowed
        real.close()


async def test_own_status_and_commands(gx: Gx) -> None:
    async with gx(config={"allow_commands": True}) as seen:
        await seen.register(status("a", {"e": "ev"}, version="v1"))
        found = await seen.message("dbus-mqtt-devices/status")
        while found.get("devices") != 1 or found.get("services") != 1:
            found = await seen.message("dbus-mqtt-devices/status")
        assert found["state"] == "online"
        assert found["portalId"] == PORTAL
        assert {"options", "notify", "energy"} <= set(found["features"])
        assert "ev" in found["types"]
        other = await Bus.connect(seen.rig.bus.address)
        assert await other.request_name("com.victronenergy.ev.victrons_own")
        seen.publish("dbus-mqtt-devices/command", {"cmd": "list"})
        listed = await seen.message("dbus-mqtt-devices/devices")
        mine = next(it for it in listed if it["clientId"] == "a")
        name = service("ev", "a", "e")
        assert mine["services"]["e"] == {
            "type": "ev",
            "instance": 1,
            "service": name,
            "also": ["com.victronenergy.ev.victrons_own"],
        }
        for noise in ("x", {"cmd": 5}, {"cmd": "forget"}, {"cmd": "forget", "clientId": "#"}, []):
            seen.publish("dbus-mqtt-devices/command", noise)
        seen.publish("dbus-mqtt-devices/command", {"cmd": "forget", "clientId": "a"})
        await gone(seen, name)

        async def forgotten() -> bool:
            return not [it for it in await seen.items(SETTINGS) if "mqtt_a_e" in it]

        await until(forgotten)
        other.close()


async def test_commands_need_permission(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"t": "tank"}))
        seen.publish("dbus-mqtt-devices/command", {"cmd": "forget", "clientId": "a"})
        seen.publish("dbus-mqtt-devices/command", {"cmd": "list"})
        await seen.quiet()
        assert f"-{service('tank', 'a', 't')}" not in seen.names
        assert not seen.on("dbus-mqtt-devices/devices")


async def test_stamps_of_a_car(gx: Gx) -> None:
    async with gx() as seen:
        await seen.register(status("a", {"e": "ev"}, options={"e": {"stamp": True}}))
        name = service("ev", "a", "e")
        start = int(time.time())
        assert await seen.set(name, "/Soc", {"t": "i", "v": 50}) == 0
        assert await value(seen, name, "/LastUpdated/EvContact") >= start
        assert await value(seen, name, "/LastUpdated/Charging") == []
        assert await seen.set(name, "/ChargingState", {"t": "i", "v": 3}) == 0
        assert await value(seen, name, "/LastUpdated/Charging") >= start
        assert await value(seen, name, "/LastUpdated/Location") == []
        assert await seen.set(name, "/AtSite", {"t": "i", "v": 1}) == 0
        assert await value(seen, name, "/LastUpdated/Location") >= start
        assert await seen.set(name, "/LastUpdated/EvContact", {"t": "i", "v": 5}) == 0
        assert await value(seen, name, "/LastUpdated/EvContact") == 5


async def test_flood_of_one_client_is_dropped(gx: Gx) -> None:
    async with gx() as seen:
        wish = status("a", {"t": "tank"})
        await seen.register(wish)
        for _ in range(200):
            seen.publish("device/a/Status", wish)
        await seen.quiet()
        assert 1 <= len(seen.on("device/a/DBus")) < 100
        assert (await seen.register(status("b", {"t": "tank"})))["deviceInstance"] == {"t": 2}


async def test_check_says_what_is_wrong(gx: Gx) -> None:
    async with gx() as seen:
        outputs = [{"id": "x", "show": 0}, {"id": "y", "type": "slider"}]
        await seen.register(status("a", {"s": "switch"}, options={"s": {"outputs": outputs}}))
        hidden = "mqtt_a_s: output x will not be shown: hidden by its setting\n"
        assert await check(seen) == (0, hidden + "all is well\n")
        assert "output x will not be shown" in seen.log()
        seen.rig.broker.stop()
        seen.rig.settings.stop()
        code, text = await check(seen)
        assert code == 1
        assert "com.victronenergy.settings is not there" in text
        assert f"broker 127.0.0.1:{seen.rig.broker.port}" in text


async def check(seen: Observer) -> tuple[int | None, str]:
    command = [it for it in seen.rig.driver.command if it != "--debug"]
    process = await asyncio.create_subprocess_exec(
        *command, "--check", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
