"""The engine on a simulated GX: registering, values, what the screen sets, losses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from hardwired_engines.engine import (
    Command,
    CommandError,
    InvalidCommand,
    NotConfirmed,
    NotConnected,
    Reason,
)
from hardwired_engines.storage import MemoryStorage

from .simulated import FRIDGE, PANEL, World, galley


async def test_an_export_appears_on_the_gx_and_is_operated_there() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 0)
        assert world.value("galley", "registered") is True
        assert world.value("galley", "ctl_instance") == 1
        assert world.value("helper", "helper_online") is True
        assert world.on_gx("GenericInput/sensor_load/Value") == 12.5
        status = world.gx.driver.devices["ha_galley"].status
        assert status["version"] == "0.1.0"
        assert status["options"]["ctl"]["outputs"][0]["name"] == "Water pump"
        await world.later(5)

        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/switch_pump/State", 1)
        await world.until(lambda: world.house.calls)
        assert world.house.calls == [("switch.turn_on", {"entity_id": "switch.pump"})]
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/Status") == 9)
        assert world.on_gx("SwitchableOutput/switch_pump/State") == 1
        assert world.told[0].data["path"] == "SwitchableOutput/switch_pump/State"

        world.house.set("switch.pump", "off")
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 0)
        await world.later(5)
        assert len(world.house.calls) == 1  # its own echo is no wish
    assert world.gx.driver.devices == {}


async def test_what_the_entity_does_not_follow_is_taken_back() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        await world.later(3)
        world.house.follows = False
        pump = "SwitchableOutput/switch_pump/State"
        world.gx.driver.set("ha_galley", "ctl", pump, 1)
        await world.until(lambda: world.house.calls)
        await world.later(5)
        assert world.on_gx(pump) == 1  # it still has time
        await world.until(lambda: world.on_gx(pump) == 0)
        assert world.value("galley", "refused") == 1

        world.house.fails = ValueError("no")
        world.gx.driver.set("ha_galley", "ctl", pump, 1)
        await world.until(lambda: world.value("galley", "refused") == 2)
        await world.until(lambda: world.on_gx(pump) == 0)


async def test_a_call_that_hangs_is_not_waited_for() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        await world.later(3)
        world.house.gate = asyncio.Event()
        pump = "SwitchableOutput/switch_pump/State"
        world.gx.driver.set("ha_galley", "ctl", pump, 1)
        await world.until(lambda: world.house.calls)
        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/State", 1)
        await world.until(lambda: len(world.house.calls) == 2)  # another entity is not held up
        await world.until(lambda: world.value("galley", "refused") == 2)
        await world.until(lambda: world.on_gx(pump) == 0)
        world.house.gate.set()
        await world.until(lambda: world.on_gx(pump) == 1)  # late, and true all the same


async def test_controls_that_are_not_allowed_show_the_truth_again() -> None:
    world = World({"galley": {**PANEL, "controls_allowed": False}})
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        await world.later(3)
        pump = "SwitchableOutput/switch_pump/State"
        world.gx.driver.set("ha_galley", "ctl", pump, 1)
        await world.until(lambda: world.on_gx(pump) == 0)
        assert world.house.calls == []


async def test_a_slider_is_waited_for_and_off_wins() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        await world.later(3)
        for level in (20, 35, 60):
            world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/Dimming", level)
            await world.clock.advance(0.1)
        await world.until(lambda: world.house.calls)
        assert world.house.calls[0][1]["brightness_pct"] == 60
        world.house.calls.clear()
        await world.later(15)
        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/Dimming", 80)
        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/State", 1)
        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/Dimming", 90)
        world.gx.driver.set("ha_galley", "ctl", "SwitchableOutput/light_cabin/State", 0)
        await world.later(2)
        assert [service for service, _ in world.house.calls][-1] == "light.turn_off"
        assert all(data.get("brightness_pct") != 90 for _, data in world.house.calls)


async def test_everything_is_sent_again_each_minute_and_never_faster_than_each_second() -> None:
    world = World({"fridge": FRIDGE})
    world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
    async with world.running():
        await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 4.0)
        log = world.gx.broker.log

        def sent() -> int:
            return sum(topic == "device/ha_fridge/Proxy" for topic, _ in log)

        before = sent()
        for tenth in range(40):
            world.house.set("sensor.fridge", f"{4 + tenth / 10}", unit_of_measurement="°C")
            await world.clock.advance(0.1)
        assert sent() - before <= 5
        await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 7.9)
        before = sent()
        await world.later(130)
        assert sent() - before == 2


async def test_an_entity_that_is_gone_is_invalid_on_the_gx() -> None:
    world = World({"fridge": FRIDGE})
    world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
    async with world.running():
        await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 4.0)
        world.house.set("sensor.fridge", "unavailable")
        await world.until(lambda: world.on_gx("Status", "t", "ha_fridge") == 1)
        assert world.on_gx("Temperature", "t", "ha_fridge") is None
        world.house.set("sensor.fridge", "warm", unit_of_measurement="°C")
        await world.until(lambda: world.value("fridge", "errors") == 1)
        world.house.set("sensor.fridge", "39.2", unit_of_measurement="°F")
        await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 4.0)


async def test_nothing_is_registered_before_home_assistant_has_started() -> None:
    world = World()
    galley(world)
    async with world.running(started=False):
        await world.until(lambda: world.snapshot.connected)
        await world.later(10)
        assert world.gx.driver.devices == {}
        await world.until(lambda: world.value("galley", "registered"), within=130)


@pytest.mark.parametrize("what", ["restart_broker", "reboot", "driver"])
async def test_whatever_restarts_all_is_back(what: str) -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        world.house.set("switch.pump", "on", friendly_name="Water pump")
        match what:
            case "restart_broker":
                world.gx.restart_broker()
            case "reboot":
                world.gx.reboot()
            case _:
                world.gx.driver.stop()
                await world.until(lambda: not world.value("galley", "registered"))
                world.gx.driver.start()
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 1)
        await world.until(lambda: world.value("galley", "registered"))
        assert world.value("galley", "ctl_instance") == 1


async def test_a_gx_that_is_away_makes_no_queue() -> None:
    world = World()
    galley(world)
    world.gx.reachable = False
    async with world.running():
        await world.until(lambda: world.snapshot.reason is Reason.UNREACHABLE)
        assert not world.snapshot.devices["galley"].available
        for state in ("on", "off", "on"):
            world.house.set("switch.pump", state)
            await world.later(1)
        with pytest.raises(NotConnected):
            await world.engine.execute(Command("galley", {"register": True}))
        world.gx.reachable = True
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 1, 120)


async def test_the_last_will_takes_devices_off_the_gx_unless_they_are_to_stay() -> None:
    world = World({"galley": PANEL, "fridge": {**FRIDGE, "on_loss": "keep"}})
    galley(world)
    world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
    async with world.running():
        await world.until(lambda: len(world.gx.driver.devices) == 2)
        assert world.gx.driver.devices["ha_fridge"].status["ttl"] == 600
        wills = {peer.client_id[-9:]: peer.will for peer in world.gx.broker.peers}
        assert wills["ha_galley"].topic == "device/ha_galley/Status"
        assert wills["ha_fridge"] is None
    assert set(world.gx.driver.devices) == {"ha_fridge"}


async def test_another_gx_gets_nothing() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        world.gx.driver.devices.clear()
        world.gx.become("ffffffffffff")
        await world.until(lambda: "other_gx" in world.notices())
        assert world.snapshot.reason is Reason.WRONG_DEVICE
        await world.later(40)
        assert world.gx.driver.devices == {}
        world.gx.become("c0ffee12ab34")
        await world.until(lambda: world.value("galley", "registered"), 120)
        assert world.notices() == set()


async def test_a_missing_helper_is_told_and_a_broker_of_nobody() -> None:
    world = World(gx="helper=0")
    galley(world)
    async with world.running():
        await world.until(lambda: world.snapshot.connected)
        await world.until(lambda: "helper_missing" in world.notices(), 90)
        assert world.value("helper", "helper_online") is False
        world.gx.driver.start()
        await world.until(lambda: world.value("galley", "registered"))
        assert world.notices() == set()
        world.gx.says_serial = False
        world.gx.restart_broker()
        await world.until(lambda: world.snapshot.reason is Reason.NO_ANSWER)
        assert any(topic.startswith("R/") for topic, _ in world.gx.broker.log) or (
            await world.until(lambda: any(one[0].startswith("R/") for one in world.gx.broker.log))
        )


async def test_a_refused_login_is_tried_seldom() -> None:
    world = World()
    world.gx.broker.login = lambda _user, _password: 5
    async with world.running():
        await world.until(lambda: world.snapshot.reason is Reason.WRONG_CODE)
        tries = world.engine.statistics.connects
        await world.later(120)
        assert world.engine.statistics.connects == tries
        world.gx.broker.login = lambda _user, _password: 0
        world.engine.wake()
        await world.until(lambda: world.snapshot.connected)


async def test_the_reference_driver_gets_what_it_knows() -> None:
    box = {
        "template": "evcharger",
        "name": "Box",
        "power": "sensor.p",
        "switch": "switch.charge",
    }
    world = World({"box": box, "galley": PANEL, "fridge": FRIDGE}, gx="reference=1")
    galley(world)
    world.house.set("sensor.p", "0", unit_of_measurement="W")
    world.house.set("switch.charge", "off")
    world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
    async with world.running():
        await world.until(lambda: world.on_gx("StartStop", "evc", "ha_box") == 0)
        await world.until(lambda: world.on_gx("Temperature", "t", "ha_fridge") == 4.0)
        assert world.on_gx("CustomName", "t", "ha_fridge") == "Fridge"
        assert "ha_galley" not in world.gx.driver.devices
        await world.until(lambda: "helper_old" in world.notices())
        await world.later(5)
        # Its notifications stand for what the newer driver would tell.
        world.gx.driver.set("ha_box", "evc", "StartStop", 1)
        await world.later(2)
        world.gx.broker.publish("N/c0ffee12ab34/evcharger/1/StartStop", b'{"value":0}')
        world.gx.driver.set("ha_box", "evc", "StartStop", 0)
        world.gx.driver.set("ha_box", "evc", "StartStop", 1)
        await world.until(
            lambda: ("switch.turn_on", {"entity_id": "switch.charge"}) in world.house.calls
        )


async def test_exports_come_and_go_while_it_runs() -> None:
    world = World({"galley": PANEL})
    galley(world)
    world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        world.engine.set_exports({"galley": PANEL, "fridge": FRIDGE}, frozenset())
        world.house.set("sensor.fridge", "4.0", unit_of_measurement="°C")
        await world.until(lambda: world.value("fridge", "registered"))
        changed = {**PANEL, "entities": ["switch.pump"]}
        world.engine.set_exports({"galley": changed, "broken": {}}, frozenset())
        await world.until(lambda: set(world.gx.driver.devices) == {"ha_galley"})
        await world.until(lambda: world.value("galley", "registered"))
        status = world.gx.driver.devices["ha_galley"].status
        assert len(status["options"]["ctl"]["outputs"]) == 1
        assert "export_broken" in world.notices()
        world.engine.set_exports({"galley": changed}, frozenset({"switch.pump"}))
        await world.until(lambda: not world.gx.driver.devices)
        assert set(world.snapshot.devices) == {"helper"}


async def test_an_export_is_withdrawn_and_offered_again() -> None:
    storage = MemoryStorage()
    world = World(storage=storage)
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        await world.engine.execute(Command("galley", {"enabled": False}))
        await world.until(lambda: not world.gx.driver.devices)
        await world.until(lambda: world.value("galley", "enabled") is False)
        assert not world.value("galley", "registered")
    again = World(storage=storage)
    galley(again)
    async with again.running():
        await again.until(lambda: again.snapshot.connected)
        await again.later(10)
        assert not again.gx.driver.devices
        await again.engine.execute(Command("galley", {"enabled": True}))
        await again.until(lambda: again.value("galley", "registered"))
        await again.engine.execute(Command("galley", {"register": True}))
        await again.engine.execute(Command("helper", {"helper_announce": True}))
        await again.until(lambda: again.value("galley", "registered"))
        for values in ({"nothing": True}, {"enabled": 1}):
            with pytest.raises(InvalidCommand):
                await again.engine.execute(Command("galley", values))
        with pytest.raises(InvalidCommand):
            await again.engine.execute(Command("nobody", {"enabled": True}))
        with pytest.raises(InvalidCommand):
            await again.engine.execute(Command("galley", name="dance"))


async def test_the_mode_that_was_chosen_while_off_and_what_it_could_do_outlive_a_restart() -> None:
    storage = MemoryStorage()
    heater = {"template": "climate", "name": "Truma", "entity": "climate.truma"}
    attributes = {
        "supported_features": 385,
        "hvac_modes": ["off", "heat", "auto"],
        "min_temp": 5,
        "max_temp": 30,
        "temperature": 20,
        "current_temperature": 18,
    }
    world = World({"truma": heater}, storage=storage)
    world.house.set("climate.truma", "off", **attributes)
    async with world.running():
        await world.until(lambda: world.on_gx("Temperature", "room", "ha_truma") == 18)
        await world.later(3)
        world.gx.driver.set("ha_truma", "ctl", "SwitchableOutput/mode/Dimming", 1)
        await world.later(3)
        assert world.house.calls == []
    again = World({"truma": heater}, storage=storage)
    again.house.set("climate.truma", "unavailable", restored=True)
    async with again.running():
        await again.until(lambda: again.value("truma", "registered"))
        status = again.gx.driver.devices["ha_truma"].status
        assert set(status["services"]) == {"room", "ctl"}
        outputs = {one["id"] for one in status["options"]["ctl"]["outputs"]}
        assert outputs == {"target", "power", "mode"}
        again.house.set("climate.truma", "off", **attributes)
        await again.until(
            lambda: again.on_gx("SwitchableOutput/mode/Dimming", client="ha_truma") == 1
        )


async def test_devices_of_ones_own() -> None:
    world = World()
    galley(world)

    async def run(name: str, **options: object) -> dict[str, object]:
        told = {"client_id": "mine", **options}
        task = asyncio.ensure_future(
            world.engine.execute(Command("helper", name=name, options=told))  # type: ignore[arg-type]
        )
        await world.until(task.done)
        return dict(task.result())

    async with world.running():
        with pytest.raises(NotConnected):
            await run("unregister")
        await world.until(lambda: world.value("galley", "registered"))
        services = json.dumps({"services": {"t1": "temperature"}, "version": "2"})
        reply = await run("register", status=services)
        assert reply["portalId"] == "c0ffee12ab34"
        await run("send", service="t1", values='{"Temperature": 21.5}')
        await world.until(lambda: world.on_gx("Temperature", "t1", "mine") == 21.5)

        world.gx.reboot()
        await world.until(lambda: "mine" in world.gx.driver.devices)
        await run("unregister")
        await world.until(lambda: "mine" not in world.gx.driver.devices)
        await run("forget")

        wrong: list[tuple[str, dict[str, object], type[CommandError]]] = [
            ("register", {"client_id": "no-dash", "status": services}, InvalidCommand),
            ("register", {"client_id": "ha_galley", "status": services}, InvalidCommand),
            ("unregister", {"client_id": "ha_galley"}, InvalidCommand),
            ("register", {"status": '{"services": {"a-b": "temperature"}}'}, InvalidCommand),
            ("register", {"status": r'{"services": {}, "version": "\ud800"}'}, InvalidCommand),
            ("register", {"status": "[]"}, InvalidCommand),
            ("register", {"status": '{"services": {"x": "unheard"}}'}, NotConfirmed),
            ("send", {"service": "t1", "values": "{}"}, InvalidCommand),
        ]
        for name, options, kind in wrong:
            with pytest.raises(kind):
                await run(name, **options)
        await run("register", status=services)
        with pytest.raises(InvalidCommand):
            await run("send", service="t1", values='{"small": 1}')
        world.gx.driver.takes_commands = False
        with pytest.raises(NotConfirmed):
            await run("forget")


async def test_nonsense_from_the_broker_changes_nothing() -> None:
    world = World()
    galley(world)
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        broker = world.gx.broker
        nonsense = (
            b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"portalId":1}', b"[" * 5000, b"NaN",
            b'{"service":"ctl","path":"SwitchableOutput/switch_pump/State","value":{"a":[1]}}',
            b'{"service":1,"path":[],"value":0}', b'{"error":5}', b'{"state":"online","types":5}',
            b'{"portalId":"c0ffee12ab34","deviceInstance":{"ctl":"x"},"topicPath":{}}',
            b'{"portalId":"aaaaaaaaaaaa","deviceInstance":{"ctl":1},'
            b'"topicPath":{"ctl":{"W":"W/aaaaaaaaaaaa/switch/1"}}}',
            b'{"state":"online","started":1%s}' % (b"0" * 400),
            b'{"service":"ctl","path":"SwitchableOutput/light_cabin/Dimming","value":1%s}'
            % (b"0" * 400),
            b"x" * 70_000,
        )  # fmt: skip
        for payload in nonsense:
            for topic in ("DBus", "Set", "Error"):
                broker.publish(f"device/ha_galley/{topic}", payload)
            broker.publish("N/c0ffee12ab34/system/0/Serial", payload)
            broker.publish("dbus-mqtt-devices/status", payload)
            broker.publish("dbus-mqtt-devices/devices", payload)
        await world.later(3)
        assert world.house.calls == []
        world.house.set("switch.pump", "on", friendly_name="Water pump")
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 1)
        broker.raw(b"\xff\xff\xff\xff\xff")
        await world.until(lambda: not world.snapshot.connected)
        await world.until(lambda: world.value("galley", "registered"))
        assert world.engine.statistics.reconnects >= 1


ODD = (10**400, 1e308, -1e308, "1" * 400, "\ud800", [10**400] * 5, {})


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_entities_may_tell_nonsense(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    galley(world)
    keys = ("supported_features", "brightness", "hs_color", "friendly_name", "unit_of_measurement")
    async with world.running():
        world.house.set(
            "light.cabin", "on", supported_color_modes=["hs"], **dict.fromkeys(keys, odd)
        )
        world.house.set("sensor.load", str(odd)[:300], suggested_display_precision=odd)
        await world.later(3)
        world.house.set("switch.pump", "on", friendly_name="Water pump")
        await world.until(lambda: world.on_gx("SwitchableOutput/switch_pump/State") == 1)
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_a_broker_that_refuses_the_subscriptions_is_not_stormed() -> None:
    world = World()
    galley(world)
    asked = []
    world.gx.broker.forbids = lambda one: one.endswith("/Set") and not asked.append(one)
    async with world.running():
        await world.until(lambda: "export_refused" in world.notices())
        await world.later(50)
        assert len(asked) <= 6
        world.gx.broker.forbids = lambda _one: False
        await world.until(lambda: world.value("galley", "registered"))
        await world.until(lambda: "export_refused" not in world.notices())


async def test_two_actions_at_once_get_their_answers_both() -> None:
    world = World()
    galley(world)
    services = json.dumps({"services": {"t1": "temperature"}})
    told = {"client_id": "mine", "status": services}
    async with world.running():
        await world.until(lambda: world.value("galley", "registered"))
        for name in ("register", "forget"):
            work = asyncio.gather(
                *(world.engine.execute(Command("helper", name=name, options=told)) for _ in "ab")
            )
            await world.until(work.done)
            assert len(work.result()) == 2


async def test_a_refusal_is_told() -> None:
    world = World()
    galley(world)
    world.gx.driver.types = ("temperature",)
    world.gx.driver.announce()
    async with world.running():
        await world.until(lambda: world.snapshot.connected)
        await world.later(5)
        assert not world.value("galley", "registered")
        told = [one for one in world.snapshot.notices if one.key == "export_refused"]
        assert told[0].placeholders["message"] == "unknown types: switch"
        world.gx.driver.types = ("switch",)
        world.gx.driver.errors = {"ctl.outputs.x": "name in use"}
        world.gx.driver.announce()
        await world.until(lambda: world.value("galley", "registered"))
        await world.until(lambda: "export_refused" in world.notices())
        world.gx.driver.errors = {}
        world.gx.driver.silent = True
        await world.engine.execute(Command("galley", {"register": True}))
        await world.later(5)
        world.gx.broker.publish("device/ha_galley/Error", b'{"error":"too many"}')
        await world.until(lambda: "export_refused" in world.notices())
        world.gx.driver.silent = False
        await world.until(lambda: world.value("galley", "registered"))


async def test_the_diagnostics_tell_no_place_and_no_name() -> None:
    world = World({"car": {"template": "gps", "name": "My secret car", "entity": "person.me"}})
    world.house.set("person.me", "home", latitude=52.123456, longitude=5.98765, speed=3)
    async with world.running():
        await world.until(lambda: world.value("car", "registered"))
        told = json.dumps(world.engine.diagnostics())
        frames = b" ".join(frame.data for frame in world.engine.frames).decode()
        for private in ("52.123456", "5.98765", "My secret car"):
            assert private not in told
            assert private not in frames
        assert {"c0ffee12ab34", "My secret car"} <= set(world.engine.secrets())
        assert world.engine.sign_due is not None
    with contextlib.suppress(RuntimeError):
        world.engine.wake()
