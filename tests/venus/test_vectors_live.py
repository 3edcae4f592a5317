"""The driver from its bundle, on a real D-Bus daemon and a real broker, against the vectors."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mqtt_devices.bus import BusError, Variant

from ..vector_files import cases, load, vectors
from .conftest import Gx
from .observer import Observer, typed, until

pytestmark = [pytest.mark.vectors, pytest.mark.slow]

SETTINGS = "com.victronenergy.settings"
OWN_TEXTS = ("/Mgmt/ProcessName", "/Mgmt/ProcessVersion", "/ProductName")
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"


def files(folder: str) -> list[Any]:
    """Return the names of the files in a folder of this set of vectors."""
    found = sorted((vectors("venus") / folder).glob("*.json"))
    return [pytest.param(f"{folder}/{it.name}", id=it.stem) for it in found]


def comparable(value: dict[str, Any]) -> dict[str, Any]:
    """Return a typed value without what may differ: AllowedRoles was recorded as av."""
    if value["t"] == "av" and value["v"] and all(it["t"] == "s" for it in value["v"]):
        return {"t": "as", "v": [it["v"] for it in value["v"]]}
    return value


def check_items(found: dict[str, Any], recorded: dict[str, Any]) -> None:
    """Compare a tree with a recorded one."""
    assert set(found) - {"/Serial", *OWN_TEXTS} == set(recorded) - {"/Serial", *OWN_TEXTS}
    assert set(OWN_TEXTS) | {"/Serial"} <= set(found)
    for path, item in recorded.items():
        if path in OWN_TEXTS:
            assert found[path]["Value"]["t"] == "s"
            continue
        assert found[path]["Value"] == comparable(item["Value"]), path
        text = item["Text"]["v"] if isinstance(item["Text"], dict) else item["Text"]
        assert found[path]["Text"] == {"t": "s", "v": text}, path
    program = found["/Mgmt/ProcessName"]["Value"]["v"]
    number = found["/Mgmt/ProcessVersion"]["Value"]["v"]
    assert found["/ProductName"]["Value"]["v"].startswith(f"{program}-{number}:")


async def setting(seen: Observer, path: str) -> Any:
    return (await seen.value(SETTINGS, path))["v"]


async def check_settings(seen: Observer, recorded: dict[str, Any], letters: bool) -> None:
    """Compare settings with recorded ones: default, limits, and the type by its letter."""
    there = await seen.items(SETTINGS)
    for path, wanted in recorded.items():
        found = there[path]
        if letters:
            assert found["Default"]["v"] == wanted["default"], path
            kinds = {"s": "s", "i": "ix", "f": "d"}
            assert found["Default"]["t"] in kinds[wanted["type"]], path
            if wanted["type"] != "s":
                assert (found["Min"]["v"], found["Max"]["v"]) == (wanted["min"], wanted["max"])
            continue
        for key, value in wanted.items():
            if path.endswith("/TemperatureType") and key == "Max":
                continue  # 6 for a helper
            assert found[key] == value, (path, key)


# ------------------------------------------------------------------------------- trees


@pytest.mark.parametrize("name", files("services"))
async def test_tree_of_a_type(gx: Gx, version: str, name: str) -> None:
    case = load("venus", name)
    service = case["service"]
    async with gx(version) as seen:
        assert await seen.register(case["status"]) == case["reply"]
        tree = case["tree"]
        check_items(await seen.items(service), tree["items"])
        root = typed(await seen.call(service, "/", "GetValue"))
        texts = typed(await seen.call(service, "/", "GetText"))
        assert (root["t"], texts["t"]) == (
            tree["root_GetValue_signature"],
            tree["root_GetText_signature"],
        )
        for path, value in case["root_GetValue"]["v"].items():
            if "/" + path not in OWN_TEXTS:
                assert root["v"][path] == comparable(value), path
                assert texts["v"][path] == case["root_GetText"]["v"][path], path
        for node, reads in case["subtree_reads"].items():
            await check_subtree(seen, service, node, reads)
        await check_failing_calls(seen, service, case["calls_that_fail"])
        await check_introspection(seen, service)
        await check_settings(seen, case["settings_items"], letters=False)


async def check_subtree(seen: Observer, service: str, node: str, reads: Any) -> None:
    for member, recorded in reads.items():
        if "error" in recorded:
            assert await seen.error(service, node, member) == recorded["error"]
            continue
        reply = await seen.call(service, node, member)
        found = typed(reply) if isinstance(reply, Variant) else {"t": "s", "v": reply}
        assert found["t"] == comparable(recorded)["t"]
        if not isinstance(recorded["v"], dict):
            assert found == comparable(recorded)
            continue
        assert set(found["v"]) == set(recorded["v"])
        for path, wanted in recorded["v"].items():
            if f"{node}/{path}" not in OWN_TEXTS:
                assert found["v"][path] == wanted, f"{node}/{path}"


async def check_failing_calls(seen: Observer, service: str, recorded: dict[str, Any]) -> None:
    for words, outcome in recorded.items():
        member, path = words.split(" ")
        error = outcome.get("error") if isinstance(outcome, dict) else outcome
        arguments = ("v", Variant("i", 1)) if member == "SetValue" else ()
        assert await seen.error(service, path, member, *arguments) == error, words


async def check_introspection(seen: Observer, service: str) -> None:
    assert seen.bus is not None
    interface = "org.freedesktop.DBus.Introspectable"
    reply = await seen.bus.call(service, "/", interface, "Introspect")
    nodes = [it.get("name") for it in ET.fromstring(reply[0]).findall("node")]
    assert {"Mgmt", "CustomName", "Connected"} <= set(nodes)
    with pytest.raises(Exception, match="UnknownObject"):
        await seen.bus.call(service, "/NoSuch", interface, "Introspect")
    assert await seen.bus.call(service, "/", "org.freedesktop.DBus.Peer", "Ping") == []


@pytest.mark.parametrize("name", files("services_ext"))
async def test_tree_of_an_extension(gx: Gx, version: str, name: str) -> None:
    case = load("venus", name)
    async with gx(version) as seen:
        assert await seen.register(case["status"]) == case["reply"]
        check_items(
            await seen.items(case["service"]),
            {**{it: {"Value": {"t": "s"}, "Text": ""} for it in OWN_TEXTS}, **case["items"]},
        )
        for path in case["read_only"]:
            assert await seen.set(case["service"], path, {"t": "i", "v": 7}) == 1, path
        await check_settings(seen, case["settings"], letters=True)


# ------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("name", files("setvalue"))
async def test_values_are_written(gx: Gx, version: str, name: str) -> None:
    case = load("venus", name)
    client_id, _, service_id = case["service"].split(".mqtt_")[1].partition("_")
    status = {
        "clientId": client_id,
        "connected": 1,
        "version": "v1",
        "services": {service_id: case["type"]},
    }
    async with gx(version) as seen:
        await seen.register(status)
        for each in case["cases"]:
            await check_write(seen, case["service"], service_id, each)


async def check_write(seen: Observer, service: str, service_id: str, case: Any) -> None:
    path, required = case["path"], case.get("required", {})
    own = path in OWN_TEXTS
    before = await seen.value(service, path)
    wanted_before = comparable(case["before"])
    if not own and before != wanted_before:
        assert await seen.set(service, path, case["before"]) == 0, case
        if (await seen.value(service, path)) != wanted_before:  # as 24 equals 24.0
            assert await seen.set(service, path, {"t": "i", "v": 77}) == 0, case
            assert await seen.set(service, path, case["before"]) == 0, case
    if not own:
        assert await seen.value(service, path) == wanted_before, case
    before = await seen.value(service, path)
    await sync(seen)
    seen.signals.clear()
    code = await seen.set(service, path, case["set"])
    await sync(seen)
    assert code == required.get("return", case["result"].get("return")), case
    after = await seen.value(service, path)
    if required.get("unchanged"):
        assert after == before, case
    elif "value" in required:
        assert after == comparable(required["value"]), case
    elif "Value" in case["after"] and not own:
        assert after == comparable(case["after"]["Value"]), case
    signals = [it for it in seen.signals if it[0] == service and it[1] == path]
    changed = after != before
    if code or not changed:
        assert not signals, case
    else:
        assert [typed(it[3]["Value"]) for it in signals] == [after], case
        text = await seen.call(service, path, "GetText")
        assert signals[0][3]["Text"].value == text
        if "Text" in case["after"] and not required:
            assert text == case["after"]["Text"], case
    if "setting_after" in case and not required:
        name = service.rpartition(".")[2]
        kept = await seen.value(SETTINGS, f"/Settings/MqttDevices/{name}{path}")
        assert kept == case["setting_after"], case


async def sync(seen: Observer) -> None:
    """Wait until all signals sent before now are here: D-Bus keeps the order."""
    assert seen.bus is not None
    await seen.bus.dbus("GetId")


AT_ONCE = 40  # services of one device; the driver takes 64


@pytest.mark.parametrize("part", range(4))
async def test_channel_values_are_written(gx: Gx, version: str, part: int) -> None:
    """Every case with its signals, its setting and what the device is told."""
    mine = load("venus", "channels/setvalue.json")["cases"][part::4]
    async with gx(version) as seen:
        for start in range(0, len(mine), AT_ONCE):
            some = {f"s{n}": case for n, case in enumerate(mine[start : start + AT_ONCE])}
            client_id = f"c{start}"
            await seen.register(
                {
                    "clientId": client_id,
                    "connected": 1,
                    "notify": True,
                    "services": {key: case["type"] for key, case in some.items()},
                    "options": {key: case["options"] for key, case in some.items()},
                }
            )
            for key, case in some.items():
                await check_channel_write(seen, client_id, key, case)
            seen.publish(f"device/{client_id}/Status", {"clientId": client_id, "connected": 0})
            await seen.fence()
            assert not seen.on(f"device/{client_id}/Set")


async def check_channel_write(seen: Observer, client_id: str, key: str, case: Any) -> None:
    name = f"mqtt_{client_id}_{key}"
    service = f"com.victronenergy.{case['type']}.{name}"
    assert await seen.value(service, case["path"]) == case["before"]
    await sync(seen)
    seen.signals.clear()
    code = await seen.set(service, case["path"], case["set"])
    assert code == case["return"], case
    await sync(seen)
    changed = {it[1]: typed(it[3]["Value"]) for it in seen.signals if it[0] == service}
    assert changed == case["changed"], case
    assert await seen.value(service, case["path"]) == case["after"], case
    assert await seen.call(service, case["path"], "GetText") == case["text"], case
    if "stored" in case:
        stored = case["stored"]
        wanted = stored["v"] if isinstance(stored, dict) and "v" in stored else stored
        assert await setting(seen, f"/Settings/MqttDevices/{name}{case['path']}") == wanted, case
    if "notify" in case:
        told = await seen.message(f"device/{client_id}/Set")
        assert told == {**case["notify"], "service": key}, case
    if case["path"].endswith("/State") and changed.get(case["path"], {}).get("v") == 1:
        # A momentary one would be released by the driver in the middle of another case.
        assert await seen.set(service, case["path"], {"t": "i", "v": 0}) == 0
        await seen.message(f"device/{client_id}/Set")


# ---------------------------------------------------------------------------- scenarios


@pytest.mark.parametrize("name", files("scenarios"))
async def test_scenario(gx: Gx, version: str, name: str) -> None:
    case = load("venus", name)
    config = {}
    if case["name"] == "vrm_instance_changed_by_user":
        config["follow_instance"] = False  # the recording waits for the next registration
    preset = dict(line.split(" = ") for line in case.get("preset", []))
    begins_without = case["name"] in BEGIN_WITHOUT_DRIVER or begins_cold(case)
    system = case["name"] != "no_system_service"
    async with gx(
        version, config, settings=preset, driver=not begins_without, system=system
    ) as seen:
        present: set[str] = set()
        for step in case["steps"]:
            await play(seen, step, present)


BEGIN_WITHOUT_DRIVER = ("no_broker_at_start", "no_system_service")


def begins_cold(case: Any) -> bool:
    do = case["steps"][0]["do"]
    return do["do"] == "driver_start" or bool(do.get("retain") and "Status" in do.get("topic", ""))


async def play(seen: Observer, step: Any, present: set[str]) -> None:
    do, observed, required = step["do"], step["observed"], step.get("required", {})
    seen.clear()
    await act(seen, do, step)
    names = required.get("names", [] if required.get("ignored") else observed["names"])
    if required.get("rejected") or required.get("deferred"):
        names = []
    # What the reference kept, and a helper must have taken off before, can't vanish here.
    known = present | {it[1:] for it in names if it[0] == "+"}
    names = [it for it in names if it[0] == "+" or "mqtt_" not in it or it[1:] in known]
    replies = wanted_replies(observed, required)
    await seen.wait(lambda: not missing(names, seen.names))
    for name in names:
        (present.add if name[0] == "+" else present.discard)(name[1:])
    if not runs(seen):
        await seen.wait(lambda: sorted(seen.names) == sorted(names))
        return
    for topic, wanted in replies:
        found = await seen.message(topic)
        if wanted is not None:
            assert {k: it for k, it in found.items() if k != "errors"} == wanted
        if "reply_services" in required:
            assert sorted(found["deviceInstance"]) == sorted(required["reply_services"])
        if isinstance(required.get("reply"), dict):
            assert found["deviceInstance"] == required["reply"]
    if seen.rig.broker.runs and seen.rig.system.runs:
        await seen.quiet()
    else:
        await asyncio.sleep(1.0)
    assert runs(seen)
    assert sorted(seen.names) == sorted(names)
    others = [it.topic for it in seen.messages if it.topic.endswith("/DBus")]
    assert not others, (others, step)
    await check_state(seen, do, observed, required)


def runs(seen: Observer) -> bool:
    return seen.rig.driver.runs


def missing(wanted: list[str], found: list[str]) -> list[str]:
    return [name for name in wanted if name not in found]


def wanted_replies(observed: Any, required: Any) -> list[tuple[str, Any]]:
    """Return topics and payloads of the replies that must come; None for any payload."""
    if required.get("ignored") or required.get("rejected") or required.get("deferred"):
        return []
    recorded = [it for it in observed["mqtt"] if it["topic"].endswith("/DBus")]
    if "reply_services" in required or "reply" in required:
        topics = [it["topic"] for it in recorded] or ["device/a_b/DBus"]
        return [(topic, None) for topic in topics]
    return [(it["topic"], it["json"]) for it in recorded]


async def act(seen: Observer, do: Any, step: Any) -> None:
    rig, what = seen.rig, do["do"]
    if what in ("mqtt", "mqtt_bytes"):
        payload = bytes.fromhex(do["hex"]) if "hex" in do else do["payload"]
        seen.publish(do["topic"], payload, qos=do.get("qos", 0), retain=do.get("retain", False))
        if do.get("retain") and not rig.driver.runs:
            await seen.wait(lambda: seen.on(do["topic"]))
    elif what == "dbus_set":
        code = await seen.set(do["service"], do["path"], do["value"])
        assert code == step["observed"]["set"]["return"]
    elif what == "broker_stop":
        rig.broker.stop()
    elif what == "broker_start":
        rig.broker.start()
        await seen.join_broker()
        if rig.driver.runs:
            await seen.fence()
        seen.messages.clear()
    elif what == "driver_start":
        if not rig.driver.runs:
            rig.driver.start()
        if do.get("wait", True):
            await seen.fence()
    elif what == "driver_kill":
        assert rig.driver.stop() == 0
    elif what == "settings_stop":
        rig.settings.stop()
    elif what == "system_start":
        rig.system.start()
    elif what != "wait":
        pytest.fail(f"unknown step {do}")


async def check_state(seen: Observer, do: Any, observed: Any, required: Any) -> None:
    """Check what a step leaves behind on D-Bus."""
    for service, tree in observed.get("probe", {}).items():
        if service == SETTINGS:
            # A class that a helper had to change before is checked where that is asked for.
            mine = {it: value for it, value in tree["items"].items() if "ClassAndVrm" not in it}
            await check_settings(seen, mine, letters=False)
        elif not required:
            items = {path: dict(item) for path, item in tree["items"].items()}
            expect_version_as_text(items["/FirmwareVersion"])
            check_items(await seen.items(service), items)
    if "firmware_version" in required:
        await check_version(seen, required["firmware_version"])
    if "item" in required:
        service = "com.victronenergy.temperature.mqtt_fe001_t1"
        found = await seen.value(service, required["item"]["path"])
        assert found["v"] == required["item"]["value"]
    if "class_and_vrm_instance" in required:
        path = "/Settings/Devices/mqtt_fe001_t1/ClassAndVrmInstance"
        assert await setting(seen, path) == required["class_and_vrm_instance"]
    if "deferred" in required:
        seen.rig.settings.start()
        await seen.wait(lambda: "+com.victronenergy.temperature.mqtt_fe001_t1" in seen.names)
        assert (await seen.message("device/fe001/DBus"))["deviceInstance"] == {"t1": 1}
    if required.get("first_device_kept"):
        assert await seen.items("com.victronenergy.temperature.mqtt_a_b_c")
    if do["do"] == "dbus_set" and do["service"] != SETTINGS:
        found = [typed(it[3]["Value"]) for it in seen.signals if it[0] == do["service"]]
        assert do["value"] in found


def expect_version_as_text(item: dict[str, Any]) -> None:
    """A bool or a list in the recording is its JSON text with a helper (spec D.1)."""
    value = item["Value"]
    if value["t"] in ("b", "au", "av"):
        words = [it["v"] for it in value["v"]] if value["t"] == "av" else value["v"]
        item["Value"] = item["Text"] = {"t": "s", "v": json.dumps(words)}


async def check_version(seen: Observer, wanted: Any) -> None:
    assert seen.bus is not None
    for name in await seen.bus.names():
        if ".mqtt_fe001_" in name:
            found = await seen.value(name, "/FirmwareVersion")
            assert found["v"] == (wanted["v"] if isinstance(wanted, dict) else wanted)


# ------------------------------------------------------------- older drivers, migration


def settings_of(text: str) -> dict[str, Any]:
    """Return path -> value of a recorded settings.xml."""
    found: dict[str, Any] = {}
    kinds = {"i": int, "f": float, "s": str}

    def walk(node: ET.Element, path: str) -> None:
        for child in node:
            here = f"{path}/{child.tag}"
            if "type" in child.attrib:
                found[here] = kinds[child.attrib["type"]](child.text or "")
            walk(child, here)

    walk(ET.fromstring(text), "/Settings")
    return found


@pytest.mark.parametrize("name", files("compat"))
async def test_older_drivers_devices(gx: Gx, version: str, name: str) -> None:
    case = load("venus", name)
    preset = settings_of(case["settings_before"]) if "settings_before" in case else None
    config = {"legacy_device_instance": True} if "driver" in case else {}
    async with gx(version, config, settings=preset) as seen:
        for step in case["steps"]:
            await play_compat(seen, step, case.get("driver"))


async def play_compat(seen: Observer, step: Any, driver: str | None) -> None:
    do, observed, required = step["do"], step["observed"], step.get("required", {})
    seen.clear()
    seen.publish(do["topic"], do["payload"])
    names = required.get("names", observed["names"])
    await seen.wait(lambda: not missing(names, seen.names))
    if do["payload"]["connected"] == 1:
        reply = await seen.message("device/fe001/DBus")
        recorded = [it["json"] for it in observed["mqtt"] if it["topic"] == "device/fe001/DBus"]
        if recorded:
            instances = {key: int(it) for key, it in recorded[0]["deviceInstance"].items()}
            assert reply["deviceInstance"] == instances
        if driver is not None:
            legacy = await seen.message("device/fe001/DeviceInstance")
            assert legacy == reply["deviceInstance"]
    await seen.quiet()
    assert sorted(seen.names) == sorted(names)
    assert runs(seen)


@pytest.mark.parametrize("case", cases("venus", "migration/settings_kept.json"))
async def test_settings_are_kept(gx: Gx, version: str, case: dict[str, Any]) -> None:
    others = {
        f"/Settings/Devices/other{number}/ClassAndVrmInstance": value
        for number, value in enumerate(case["others"])
    }
    expected = case["expected"]
    async with gx(version, settings={**case["settings"], **others}) as seen:
        status: dict[str, Any] = {
            "clientId": case["clientId"],
            "connected": 1,
            "services": {case["service"]: case["type"]},
        }
        if case["options"] is not None:
            status["options"] = {case["service"]: case["options"]}
        reply = await seen.register(status)
        assert reply["deviceInstance"] == {case["service"]: expected["instance"]}
        name = f"mqtt_{case['clientId']}_{case['service']}"
        service = f"com.victronenergy.{case['type']}.{name}"
        for path, wanted in expected["values"].items():
            assert (await seen.value(service, path))["v"] == wanted, path
        there = await seen.items(SETTINGS)
        changed = {
            path: item["Value"]["v"]
            for path, item in there.items()
            if f"/{name}/" in path and case["settings"].get(path) != item["Value"]["v"]
        }
        assert changed == expected["settings_changed"]


# ------------------------------------------------------------------------------ options


@pytest.mark.parametrize("part", range(2))
async def test_options_that_change(gx: Gx, version: str, part: int) -> None:
    """Nothing, one ItemsChanged, or the service comes anew with its number."""
    async with gx(version) as seen:
        for number, case in enumerate(load("venus", "reregister/options_changed.json")["cases"]):
            if number % 2 == part:
                await check_change(seen, f"r{number}", case)


async def check_change(seen: Observer, client_id: str, case: Any) -> None:
    expected, kind = case["expected"], case["type"]
    service = f"com.victronenergy.{kind}.mqtt_{client_id}_s"
    status = {"clientId": client_id, "connected": 1, "services": {"s": kind}}
    first = await seen.register({**status, "options": {"s": case["before"]}})
    before = await seen.items(service)
    await sync(seen)
    seen.clear()
    again = await seen.register({**status, "options": {"s": case["after"]}})
    after = await seen.items(service)
    await sync(seen)
    assert again["deviceInstance"] == first["deviceInstance"]
    signals = [it for it in seen.signals if it[0] == service]
    if expected["action"] == "rebuild":
        assert seen.names == [f"-{service}", f"+{service}"], case
        assert sorted(set(after) - set(before)) == sorted(expected["added"])
        assert sorted(set(before) - set(after)) == sorted(expected["gone"])
        return
    assert seen.names == [], case
    assert {it[1]: typed(it[3]["Value"]) for it in signals} == expected["set"], case
    assert len({it[2] for it in signals}) <= 1
    if len(signals) > 1:
        assert signals[0][2] == "ItemsChanged"


# ------------------------------------------------------------------------ the stand-ins


async def test_settings_service_stand_in(gx: Gx) -> None:
    """The stand-in does what the recorded settings service did."""
    async with gx(driver=False) as seen:
        assert seen.bus is not None
        for step in load("venus", "localsettings/calls.json")["steps"]:
            await check_call(seen, step)


async def check_call(seen: Observer, step: Any) -> None:
    assert seen.bus is not None
    await sync(seen)
    seen.signals.clear()
    arguments = [argument(it) for it in step["args"]]
    try:
        reply = await seen.bus.call(
            SETTINGS, step["path"], step["interface"], step["member"], step["signature"], arguments
        )
    except BusError as error:
        reply, failed = [], error.name
    else:
        failed = None
    assert failed == step.get("error"), step
    if failed is not None:
        return
    await sync(seen)
    found = reply[0]
    wanted = step["reply"]
    if wanted["t"] in ("aa{sv}", "a{sa{sv}}"):
        assert inner(found) == wanted["v"], step
    elif isinstance(found, Variant):
        assert typed(found) == wanted, step
    else:
        assert found == wanted["v"], step
    signals = [(it[1], {key: typed(value) for key, value in it[3].items()}) for it in seen.signals]
    recorded = [(it["path"], it["args"][0]["v"]) for it in step["signals"]]
    assert signals == recorded, step


def argument(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"t", "v"}:
        return Variant(value["t"], value["v"])
    if isinstance(value, dict):
        return {key: argument(it) for key, it in value.items()}
    return [argument(it) for it in value] if isinstance(value, list) else value


def inner(value: Any) -> Any:
    if isinstance(value, Variant):
        return typed(value)
    if isinstance(value, dict):
        return {key: inner(it) for key, it in value.items()}
    return [inner(it) for it in value] if isinstance(value, list) else value


async def test_gateway_full_cycle(gx: Gx, version: str) -> None:
    """Driver and gateway stand-in together do what driver and real gateway did."""
    case = load("venus", "gateway/full_cycle.json")
    portal = case["portal"]
    async with gx(version, gateway=True) as seen:
        for step in case["steps"]:
            await check_cycle(seen, portal, step)


async def check_cycle(seen: Observer, portal: str, step: Any) -> None:
    published = step["publish"]
    if published["topic"].startswith("N/"):
        return  # the real broker refuses it; the stand-in's broker has no such right
    own = ("/Serial", "/ProductName", "/ProcessName", "/ProcessVersion")
    wanted = sorted(
        (it["topic"], it["payload"])
        for it in step["received"]
        if not it["topic"].endswith(own) and "/system/" not in it["topic"]
    )
    wanted = [it for it in wanted if "/Services/MqttLocal" not in it[0]]
    wanted = [it for it in wanted if "SecurityProfile" not in it[0] and "Vrmlogger" not in it[0]]
    seen.clear()
    seen.publish(published["topic"], published["payload"])
    skip = (published["topic"], f"N/{portal}/heartbeat", "dbus-mqtt-devices/status")

    def found() -> list[tuple[str, str]]:
        return sorted(
            (it.topic, clean(it.topic, it.payload.decode()))
            for it in seen.messages
            if it.topic not in skip and not it.topic.endswith(own) and "/system/" not in it.topic
        )

    if wanted:
        await seen.wait(lambda: len(found()) >= len(wanted))
    await seen.quiet()
    assert [it for it in found() if "zz_fence" not in it[0]] == wanted, step


def clean(topic: str, payload: str) -> str:
    if topic.endswith("full_publish_completed"):
        message = json.loads(payload)
        echo = message.get("full-publish-completed-echo")
        head = f'"full-publish-completed-echo":"{echo}",' if echo else ""
        return f'{{{head}"value":<unix seconds>}}'
    return payload


@pytest.mark.parametrize("part", range(1))
async def test_gateway_writes(gx: Gx, version: str, part: int) -> None:
    """What the gateway makes of JSON arrives at the driver and comes back as JSON."""
    found = load("venus", "gateway/json_to_dbus.json")
    portal = "c0ffee12ab34"
    answer = found["topic"].replace("W/", "N/", 1)
    async with gx(version, gateway=True) as seen:
        await seen.register(
            {"clientId": "fe001", "connected": 1, "services": {"t1": "temperature"}}
        )
        service = "com.victronenergy.temperature.mqtt_fe001_t1"
        keep_alive = '{"keepalive-options":["suppress-republish"]}'
        marks = itertools.count(1)

        async def write(payload: str) -> list[str]:
            """Write, and return what came of it: a write after it has come through by then."""
            seen.clear()
            seen.publish(f"R/{portal}/keepalive", keep_alive)
            seen.publish(found["topic"], payload)
            mark = f'{{"value":{next(marks)}}}'
            seen.publish(found["topic"].replace("Temperature", "Humidity"), mark)
            humidity = answer.replace("Temperature", "Humidity")
            await seen.wait(lambda: [it for it in seen.on(humidity) if it.payload == mark.encode()])
            return [it.payload.decode() for it in seen.on(answer)]

        await until(lambda: _gateway_knows(seen, f"{portal}/temperature/1/DeviceInstance"))
        for case in found["cases"]:
            await until(lambda: _is_reset(seen, write, service))
            answers = await write(case["payload"])
            value = case["set_value"]
            lists = value is not None and value["t"][0] == "a" and value["v"]
            if value is None or lists:
                assert not answers, case  # lists are nothing that a number row takes
            elif value["t"] not in ("s", "b"):
                assert answers == case["notifications"], case


async def _gateway_knows(seen: Observer, path: str) -> bool:
    seen.publish("R/" + path, "")
    with contextlib.suppress(TimeoutError):
        return bool(await seen.wait(lambda: seen.on("N/" + path), 0.3))
    return False


async def _is_reset(seen: Observer, write: Callable[[str], Awaitable[Any]], service: str) -> bool:
    await write('{"value": -77}')
    return (await seen.value(service, "/Temperature")) == {"t": "i", "v": -77}
