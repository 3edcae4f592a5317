"""What the driver promises to do for every type and on every GX, each promise with its name."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gx.processes import free_port, program
from gx.rig import Rig
from gx.settings import NAME as SETTINGS
from mqtt_devices import options, tables
from mqtt_devices.bus import Bus, Message, Variant
from mqtt_devices.config import Config
from mqtt_devices.devices import Devices
from mqtt_devices.shared import Shared
from mqtt_devices.state import State
from mqtt_devices.status import judge
from mqtt_devices.tables import OWN_PATHS
from mqtt_devices.values import signature
from tests.standalone.mqtt.certificates import Authority, needs_openssl

from .conftest import Gx
from .observer import Observer, until
from .pythons import pythons

TABLES = tables.load()
ROLES = ("grid", "pvinverter", "genset", "acload", "evcharger", "heatpump")


def status(client_id: str, services: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"clientId": client_id, "connected": 1, "services": services, **more}


# ------------------------------------------------------------------------- types (D.2, D.3)


@pytest.mark.slow
async def test_every_service_type_is_on_the_bus_with_its_rows(gx: Gx, version: str) -> None:
    """All types of D.2, D.3 and D.3.1 at once: path, kind, value, text and who may write."""
    async with gx(version) as seen:
        kinds = sorted(TABLES.types)
        reply = await seen.register(status("all", {f"s_{kind}": kind for kind in kinds}))
        assert "errors" not in reply
        assert set(reply["deviceInstance"].values()) == {1}
        for kind in kinds:
            name = f"com.victronenergy.{kind}.mqtt_all_s_{kind}"
            plan = options.plan(TABLES.types[kind], None, TABLES)
            tree = await seen.items(name)
            assert set(tree) == set(plan.rows) | OWN_PATHS, kind
            for path, row in plan.rows.items():
                value = {"t": signature(row.default), "v": row.default}
                if row.default is None:
                    value["v"] = []
                assert tree[path]["Value"] == value, (kind, path)
                if not row.writable:
                    assert await seen.set(name, path, {"t": "i", "v": 1}) == 1, (kind, path)


def test_the_types_of_the_gx_are_all_there() -> None:
    reference = "temperature tank pvinverter grid gps evcharger battery vebus"
    extensions = (
        "acload genset heatpump dcload dcsystem dcsource alternator dcdc solarcharger meteo "
        "digitalinput pulsemeter switch ev motordrive dcgenset inverter charger"
    )
    assert sorted(TABLES.types) == sorted(f"{reference} {extensions}".split(" "))


def test_no_half_service_is_offered() -> None:
    """Each type has at least what systemcalc and the screen need of it (D.1)."""
    for name, kind in TABLES.types.items():
        paths = {row.path for row in kind.rows}
        assert {"/ProductId", "/CustomName", *tables.LEAST.get(name, ())} <= paths


@pytest.mark.slow
async def test_a_half_service_is_refused_with_the_reason(gx: Gx, tmp_path: Path) -> None:
    rows = [
        {"path": "/ProductId", "kind": "integer", "default": 65535},
        {"path": "/CustomName", "kind": "text", "default": "x", "stored": True},
    ]
    file = tmp_path / "types.json"
    file.write_text(json.dumps({"types": {"multi": {"paths": rows}}}))
    async with gx(config={"types_file": str(file)}) as seen:
        seen.publish("device/a/Status", status("a", {"m": "multi", "t": "tank"}))
        found = await seen.message("device/a/Error")
        assert found == {"error": "type multi lacks /Dc/0/Voltage"}
        await seen.quiet()
        assert not seen.names  # one bad service rejects the whole message


@pytest.mark.slow
async def test_roles_of_meters(gx: Gx) -> None:
    """What a meter offers, and that writing a role changes its text and nothing else (D.3)."""
    async with gx() as seen:
        kinds = {kind: kind for kind in ROLES}
        meter = {"evcharger": {"generic_meter": True}}
        reply = await seen.register(status("m", kinds, options=meter))
        assert sorted(reply["deviceInstance"]) == sorted(ROLES)
        for kind in ROLES:
            name = f"com.victronenergy.{kind}.mqtt_m_{kind}"
            tree = await seen.items(name)
            if kind == "grid":
                assert "/AllowedRoles" not in tree
                continue
            roles = tree["/AllowedRoles"]["Value"]
            offered = ["grid", "pvinverter", "genset", "acload"] if kind == "pvinverter" else [kind]
            assert roles == {"t": "as", "v": offered}
            assert tree["/Role"]["Value"] == {"t": "s", "v": kind}
            assert await seen.set(name, "/Role", {"t": "s", "v": "acload"}) == 0
            assert (await seen.value(name, "/Role"))["v"] == "acload"
        assert not [it for it in seen.names if it[0] == "-"]


# ------------------------------------------------------------------- neighbours on the GX


@pytest.mark.slow
async def test_topics_and_names_stay_clear_of_victron_s_own(gx: Gx) -> None:
    """Not homeassistant/#, not I/#, no name of others; a duplicate is told, not refused (E.5)."""
    async with gx(config={"allow_commands": True, "legacy_device_instance": True}) as seen:
        cloud = await Bus.connect(seen.rig.bus.address)
        theirs = "com.victronenergy.evcharger.mqttintegration_easee_1"
        assert await cloud.request_name(theirs)
        reply = await seen.register(
            status("w", {"evc": "evcharger", "s": "switch"}, notify=True, lwt_topic="w/lwt")
        )
        assert sorted(reply["deviceInstance"]) == ["evc", "s"]
        assert f"another driver has a evcharger too: {theirs}" in seen.log()
        name = "com.victronenergy.switch.mqtt_w_s"
        assert await seen.set(name, "/SwitchableOutput/1/State", {"t": "i", "v": 1}) == 0
        values = {"topicPath": reply["topicPath"]["evc"]["W"], "values": {"Current": 6}}
        seen.publish("device/w/Proxy", values)
        seen.publish("device/w/Status", status("w", {"evc": "spicyness"}))
        seen.publish("dbus-mqtt-devices/command", {"cmd": "list"})
        listed = await seen.message("dbus-mqtt-devices/devices")
        assert [it["services"]["evc"]["also"] for it in listed if it["clientId"] == "w"] == [
            [theirs]
        ]
        await seen.quiet()
        starts = ("device/", "dbus-mqtt-devices/", "W/c0ffee12ab34/evcharger/1/")
        others = {it.topic for it in seen.messages if not it.topic.startswith(starts)}
        assert others <= {"device_discovery"}
        assert seen.bus is not None
        for bus_name in await seen.bus.names():
            if bus_name.startswith("com.victronenergy.") and bus_name.count(".") > 2:
                assert ".mqtt_" in bus_name or bus_name == theirs
        cloud.close()


# -------------------------------------------------------------- settings that are damaged


@pytest.mark.slow
async def test_two_services_never_share_a_number(gx: Gx) -> None:
    """A settings file that was put together by hand has one number twice."""
    damaged = {
        f"/Settings/Devices/mqtt_{name}_t/ClassAndVrmInstance": {
            "value": "tank:1", "type": "s", "default": "tank:1", "min": 0, "max": 0
        }
        for name in ("a", "b")
    }  # fmt: skip
    async with gx(driver=False, fresh=True) as seen:
        seen.rig.settings.stop()
        seen.rig.settings_file.write_text(json.dumps(damaged))
        seen.rig.settings.start()
        seen.rig.driver.start()
        await seen.fence()
        for name in ("a", "b"):
            seen.publish(f"device/{name}/Status", status(name, {"t": "tank"}))
        numbers = [
            (await seen.message(f"device/{name}/DBus"))["deviceInstance"]["t"] for name in "ab"
        ]
        assert sorted(numbers) == [1, 2]
        kept = [(await seen.value(SETTINGS, path))["v"] for path in damaged]
        assert kept == [f"tank:{number}" for number in numbers]


class Liar:
    """A settings service that answers with anything but what was asked for."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.answers: list[tuple[str, list[Any]]] = []
        self.asked = 0
        bus.handle(self._handle)

    def _handle(self, message: Message) -> Any:
        if message.member not in ("AddSettings", "RemoveSettings", "SetValue", "GetValue"):
            return None
        self.asked += 1
        kind, body = self.answers[self.asked % len(self.answers)]
        return Message.new_method_return(message, kind, body)


LIES: tuple[tuple[str, list[Any]], ...] = (
    ("", []),
    ("s", ["no"]),
    ("i", [-1]),
    ("v", [Variant("s", "")]),
    ("as", [["a", "b"]]),
    ("aa{sv}", [[]]),
    ("aa{sv}", [[{}] * 4]),
    ("aa{sv}", [[{"error": Variant("i", 0), "value": Variant("s", "tank:x")}] * 4]),
    ("aa{sv}", [[{"error": Variant("i", -5), "value": Variant("ai", [1])}] * 4]),
    ("aa{sv}", [[{"error": Variant("s", "x"), "value": Variant("s", "tank:99999999999")}] * 4]),
    ("aa{sv}", [[{"error": Variant("i", 0), "value": Variant("d", float("nan"))}] * 4]),
)


@pytest.mark.slow
async def test_a_settings_service_that_lies(gx: Gx) -> None:
    """No answer of it ends the driver; the true one, once it is back, has every device."""
    async with gx(driver=False, fresh=True) as seen:
        seen.rig.settings.stop()
        bus = await Bus.connect(seen.rig.bus.address)
        liar = Liar(bus)
        liar.answers = list(LIES)

        async def is_ours() -> bool:
            return await bus.request_name(SETTINGS)

        await until(is_ours)
        seen.rig.driver.start()
        await seen.fence()
        for _ in LIES:
            seen.publish("device/a/Status", status("a", {"t": "tank"}))
            await seen.fence()
        await seen.wait(lambda: liar.asked >= len(LIES))
        bus.close()
        seen.rig.settings.start()
        name = "com.victronenergy.tank.mqtt_a_t"

        async def is_right() -> bool:
            await seen.register(status("a", {"t": "tank"}))
            if not seen.has(name):
                return False
            return (await seen.value(name, "/DeviceInstance"))["v"] == 1

        await until(is_right)
        assert (await seen.value(name, "/CustomName"))["v"] == "My Tank Sensor"
        assert await seen.set(name, "/CustomName", {"t": "s", "v": "Bow"}) == 0


class Clock:
    """A loop whose time is the test's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = 1000.0
        self.create_task = self._loop.create_task
        self.call_later = self._loop.call_later

    def time(self) -> float:
        return self.now


@asynccontextmanager
async def in_this_process(seen: Observer) -> AsyncIterator[Devices]:
    """The driver's devices on the rig's D-Bus, without a broker."""
    bus = await Bus.connect(seen.rig.bus.address)
    shared = Shared(
        bus,
        seen.rig.bus.address,
        TABLES,
        Config(),
        State(None),
        publish=lambda topic, payload, qos: None,
        subscribe=lambda topic: None,
        unsubscribe=lambda topic: None,
    )
    devices = Devices(shared)
    try:
        yield devices
    finally:
        await devices.stop()
        bus.close()


@pytest.mark.slow
async def test_a_device_with_a_ttl_stays_as_long_as_it_writes(gx: Gx) -> None:
    async with gx(driver=False) as seen, in_this_process(seen) as devices:
        clock = Clock()
        devices.shared.loop = clock  # type: ignore[assignment]
        devices.status(judge(status("a", {"t": "tank"}, ttl=30), TABLES))
        name = "com.victronenergy.tank.mqtt_a_t"
        await seen.wait(lambda: seen.has(name))
        await devices._by_id["a"].idle()
        for _ in range(5):
            clock.now += 25
            devices.tick(settings_there=True)
            assert await seen.set(name, "/Level", {"t": "i", "v": 7}) == 0
        clock.now += 29
        devices.tick(settings_there=True)
        assert not devices._by_id["a"].busy
        clock.now += 2
        devices.tick(settings_there=True)
        await seen.wait(lambda: f"-{name}" in seen.names)
        assert devices.counts() == {"devices": 0, "services": 0}


@pytest.mark.slow
async def test_a_service_whose_connection_is_cut_keeps_its_values(gx: Gx) -> None:
    """The D-Bus daemon throws out a connection, as it does with whoever exceeds its limits."""
    async with gx(driver=False) as seen, in_this_process(seen) as devices:
        devices.status(judge(status("a", {"t": "tank", "u": "temperature"}), TABLES))
        name = "com.victronenergy.tank.mqtt_a_t"
        await seen.wait(lambda: seen.has(name))
        device = devices._by_id["a"]
        await device.idle()
        assert await seen.set(name, "/Level", {"t": "d", "v": 12.5}) == 0
        cut = device.services["t"].bus
        assert cut is not None
        cut._bus._sock.shutdown(socket.SHUT_RDWR)
        await seen.wait(lambda: f"-{name}" in seen.names)
        await seen.wait(lambda: seen.names[-1] == f"+{name}")
        assert await seen.value(name, "/Level") == {"t": "d", "v": 12.5}
        assert "-com.victronenergy.temperature.mqtt_a_u" not in seen.names


# ------------------------------------------------------------------ TLS, login, libraries


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority.make(tmp_path_factory.mktemp("tls") / "gx")
    found.issue("venus", "venus.local")
    return found


def demand_login(rig: Rig, authority: Authority, secrets: Path, user: str, password: str) -> int:
    """Have the broker listen on another port too, with TLS and a login; returns the port."""
    secrets.touch(mode=0o600)
    subprocess.run([program("mosquitto_passwd"), "-b", secrets, user, password], check=True)
    port = free_port()
    Path(rig.broker.command[-1]).write_text(
        "per_listener_settings true\nuser root\npersistence false\n"
        f"listener {rig.broker.port} 127.0.0.1\nallow_anonymous true\n"
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {secrets}\n"
        f"cafile {authority.file}\ncertfile {authority.path('venus.pem')}\n"
        f"keyfile {authority.path('venus.key')}\n"
    )
    return port


@needs_openssl
@pytest.mark.slow
async def test_tls_and_a_token(gx: Gx, authority: Authority, tmp_path: Path) -> None:
    """The GX's own certificate under any address, a token as user; a stranger's is refused."""
    stranger = Authority.make(tmp_path / "stranger")
    user, password = "token/homeassistant/boat", "s3cret-of-the-token"
    async with gx(driver=False, fresh=True) as seen:
        rig = seen.rig
        port = demand_login(rig, authority, tmp_path / "secrets", user, password)
        rig.broker.stop()
        rig.broker.start()
        await seen.join_broker()
        command = rig.driver.command
        command[command.index("--mqtt-port") + 1] = str(port)
        for ca, secret, words in (
            (stranger.file, password, "certificate"),
            (authority.file, "wrong", "not authorised|wrong user or password"),
            (authority.file, password, "connected to the broker"),
        ):
            login = {"user": user, "password": secret, "ca": ca}
            rig.driver.config.write_text(json.dumps({"mqtt": login}))
            seen.begin_log()
            rig.driver.start()
            await until(lambda words=words: _said(seen, words))
            if words.startswith("connected"):
                await seen.register(status("a", {"t": "tank"}))
            rig.driver.stop()
            assert secret not in seen.log()


async def _said(seen: Observer, words: str) -> bool:
    return any(word in seen.log() for word in words.split("|"))


def test_the_gx_s_own_older_library_is_a_fallback(bundle: Path, tmp_path: Path) -> None:
    """Without the bundled library, dbus-next of the GX's image is taken: the same names."""
    folder = tmp_path / "app"
    shutil.copytree(bundle / "app", folder)
    (folder / "vendor/dbus_fast").rename(folder / "vendor/dbus_next")
    code = "import mqtt_devices.bus as bus; print(bus.MessageBus.__module__)"
    for python in pythons().values():
        done = subprocess.run(
            [python, "-ES", "-c", f"import sys; sys.path[:0] = {_paths(folder)}; {code}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "dbus_next.aio.message_bus\n", done.stderr


def _paths(folder: Path) -> list[str]:
    return [str(folder), str(folder / "vendor")]
