"""The protocol, without input or output, against the golden vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gx import gateway as gateway_module
from mqtt_devices import energy, items, migration, options, rules, status, tables, texts, visible
from mqtt_devices.mqtt import packets
from mqtt_devices.mqtt.session import Session
from mqtt_devices.proxy import parse_proxy
from mqtt_devices.reply import reply
from mqtt_devices.values import same, signature

from ..vector_files import cases, load
from .observer import typed

pytestmark = pytest.mark.vectors

TABLES = tables.load()


def payload(case: dict[str, Any]) -> bytes:
    if "payload_hex" in case:
        return bytes.fromhex(case["payload_hex"])
    return str(case["payload"]).encode("utf-8", "surrogatepass")


def as_typed(value: Any) -> dict[str, Any]:
    return {"t": signature(value), "v": [] if value is None else value}


def plain(value: dict[str, Any]) -> Any:
    """Return what a typed value of the vectors is once it has come over D-Bus."""
    kind, inner = value["t"], value["v"]
    if kind.startswith("a") and not inner:
        return None
    return [plain(it) for it in inner] if kind == "av" else inner


@pytest.mark.parametrize("case", cases("venus", "unit/status_payloads.json"))
def test_status_is_judged(case: dict[str, Any]) -> None:
    found = status.parse_status(payload(case), TABLES)
    words = {"Registration": "register", "Removal": "remove"}
    assert words.get(type(found).__name__, "none") == case["expected"]["action"]
    if isinstance(found, status.Registration | status.Removal):
        assert found.client_id == case["expected"]["clientId"]
    if isinstance(found, status.Registration):
        assert list(found.services.items()) == list(case["expected"]["services"].items())


@pytest.mark.parametrize("case", cases("venus", "unit/proxy_payloads.json"))
def test_proxy_is_judged(case: dict[str, Any]) -> None:
    try:
        found = [[topic, {"value": value}] for topic, value in parse_proxy(payload(case)).topics()]
    except ValueError:
        found = []
    assert json.dumps(found) == json.dumps(case["expected"]["publish"])


@pytest.mark.parametrize("case", cases("venus", "unit/reply_payloads.json"))
def test_reply_is_the_same_text(case: dict[str, Any]) -> None:
    services = [(key, it["type"], it["instance"]) for key, it in case["services"].items()]
    assert reply(case["portalId"], services) == case["payload"]


def shown(plan: options.Plan) -> dict[str, Any]:
    held = items.Items(plan, {}, {})
    found: dict[str, Any] = {}
    for path, row in plan.rows.items():
        found[path] = {
            "value": as_typed(held.value(path)),
            "text": held.text(path),
            "writable": row.writable,
        }
        if row.stored:
            limits = {"default": row.default, "min": row.low or 0, "max": row.high or 0}
            found[path]["setting"] = limits
    return found


@pytest.mark.parametrize("case", cases("venus", "options/service_options.json"))
def test_options_make_rows(case: dict[str, Any]) -> None:
    kind, expected = TABLES.types[case["type"]], case["expected"]
    plan = options.plan(kind, case["options"], TABLES)
    before, after = shown(options.plan(kind, None, TABLES)), shown(plan)
    errors = [f"s.{key}" if key else "s" for key in plan.errors]
    assert sorted(errors) == sorted(expected["errors"])
    new = {p: it for p, it in after.items() if json.dumps(before.get(p)) != json.dumps(it)}
    assert new == expected["rows"]
    for path, row in new.items():
        assert row["value"]["t"] == expected["rows"][path]["value"]["t"]
    assert sorted(set(before) - set(after)) == sorted(expected["removed"])
    assert plan.instance == expected.get("wished_instance", 1)


@pytest.mark.parametrize("case", cases("venus", "options/status_options.json"))
def test_options_of_a_status(case: dict[str, Any]) -> None:
    found = status.judge(case["status"], TABLES)
    assert isinstance(found, status.Registration)
    given = found.options is not status.NO_OPTIONS
    assert given == case["expected"]["extensions"]
    each, errors = options.split_options(found.options, found.services) if given else ({}, {})
    keys = list(errors)
    for service_id, kind in found.services.items():
        plan = options.plan(TABLES.types[kind], each.get(service_id), TABLES)
        keys += [f"{service_id}.{key}" if key else service_id for key in plan.errors]
    assert sorted(keys) == sorted(case["expected"]["errors"])


@pytest.mark.parametrize("case", cases("venus", "channels/setvalue.json"))
def test_channel_rows_take_values(case: dict[str, Any]) -> None:
    plan = options.plan(TABLES.types[case["type"]], case["options"], TABLES)
    held = items.Items(plan, {}, {})
    row = held.row(case["path"])
    assert row is not None
    assert as_typed(held.value(row.path)) == case["before"]
    verdict = rules.judge(row, plain(case["set"]), held.value)
    assert verdict.code == case["return"]
    if verdict.code == rules.ACCEPTED:
        held.set(row.path, verdict.value)
    assert as_typed(held.value(row.path)) == case["after"]
    assert held.text(row.path) == case["text"]


@pytest.mark.parametrize("case", cases("venus", "reregister/options_changed.json"))
def test_options_that_change(case: dict[str, Any]) -> None:
    kind, expected = TABLES.types[case["type"]], case["expected"]
    held = items.Items(options.plan(kind, case["before"], TABLES), {}, {})
    found = items.difference(held, options.plan(kind, case["after"], TABLES))
    action = "rebuild" if found.rebuild else "items" if found.values else "none"
    assert action == expected["action"]
    if action == "rebuild":
        assert sorted(found.added) == sorted(expected["added"])
        assert sorted(found.gone) == sorted(expected["gone"])
    else:
        assert {path: as_typed(it) for path, it in found.values.items()} == expected["set"]


@pytest.mark.parametrize("case", cases("venus", "energy/cases.json"))
def test_energy_from_power(case: dict[str, Any]) -> None:
    plan = options.plan(TABLES.types[case["type"]], case["options"], TABLES)
    kept = dict(case["saved"])

    def begin() -> energy.Energy | None:
        if plan.max_gap is None:
            return None
        return energy.Energy(plan.energy_sources, plan.max_gap, kept)

    counting = begin()
    held: dict[str, Any] = dict(counting.published()) if counting else {}
    assert held == pytest.approx(case["start"], abs=1e-9)
    for step in case["steps"]:
        now, path = step["t"], step.get("path")
        if counting is not None and step["do"] == "write":
            if path in held:
                held[path] = step["value"]
            held.update(counting.write(path, step["value"], now))
        elif counting is not None and step["do"] == "tick":
            held.update(counting.tick(now))
        elif counting is not None:
            counting.tick(now)
            kept.update(counting.kept())
            counting = begin()
            assert counting is not None
            held = dict(counting.published())
        assert held == pytest.approx(step["counters"], abs=1e-6)


@pytest.mark.parametrize("case", cases("venus", "visible/gui.json"))
def test_what_the_screen_shows(case: dict[str, Any]) -> None:
    output, on_gx = case["channel"] == "output", case["where"] == "gx"
    found = visible.judge(case["rows"], case["service"], output, on_gx)
    if isinstance(found, visible.Hidden):
        assert case["expected"] == {"shown": False}
    else:
        assert {"shown": True, **found._asdict()} == case["expected"]


@pytest.mark.parametrize("case", cases("venus", "migration/arguments.json"))
def test_old_start_lines(case: dict[str, Any]) -> None:
    assert migration.convert_arguments(case["run"]).config == case["expected"]


@pytest.mark.parametrize("case", cases("venus", "migration/versions.json"))
def test_old_versions(case: dict[str, Any]) -> None:
    wanted = case["expected"]["legacy_device_instance"]
    assert migration.needs_legacy_reply(case["version"]) == wanted


@pytest.mark.parametrize("case", cases("venus", "gateway/json_to_dbus.json"))
def test_gateway_reads_json(case: dict[str, Any]) -> None:
    text = case.get("payload")
    raw = text.encode() if text is not None else bytes.fromhex(case["payload_hex"])
    usable, value = gateway_module.dbus_value(raw)
    if case["set_value"] is None:
        assert not usable
        return
    assert usable
    assert value is not None
    assert typed(value) == case["set_value"]


@pytest.mark.parametrize("stream", cases("venus", "wire/mqtt_session.json", "streams"))
def test_packets_of_a_session(stream: dict[str, Any]) -> None:
    data = b"".join(bytes.fromhex(it["hex"]) for it in stream["packets"])
    if stream["direction"] == "broker->driver":
        decoder = packets.Decoder(70000)
        found = [it for byte in data for it in decoder.receive_data(bytes((byte,)))]
        kinds = {"CONNACK": packets.Connack, "SUBACK": packets.Suback, "PUBLISH": packets.Publish}
        assert [type(it) for it in found] == [kinds[it["type"]] for it in stream["packets"]]
        return
    session, made = Session(), []
    for packet in stream["packets"]:
        raw = bytes.fromhex(packet["hex"])
        if packet["type"] == "CONNECT":
            made.append(packets.connect("dbus_mqtt_device_manager"))
        elif packet["type"] == "SUBSCRIBE":
            length = raw[5]
            made.append(packets.subscribe(raw[3], [(raw[6 : 6 + length].decode(), raw[-1])]))
        elif packet["type"] == "PUBLISH":
            decoded = packets.Decoder(70000).receive_data(raw)[0]
            assert isinstance(decoded, packets.Publish)
            made.append(session.publish(decoded))
    assert b"".join(made) == data


def services_of(folder: str) -> list[Any]:
    """Return the files of a folder of this set of vectors as parameters."""
    from ..vector_files import vectors

    names = sorted(it.name for it in (vectors("venus") / folder).glob("*.json"))
    return [pytest.param(f"{folder}/{name}", id=name[:-5]) for name in names]


@pytest.mark.parametrize("name", services_of("setvalue"))
def test_rows_take_values(name: str) -> None:
    found = load("venus", name)
    plan = options.plan(TABLES.types[found["type"]], None, TABLES)
    for case in found["cases"]:
        row = plan.rows.get(case["path"])
        if row is None:
            continue  # rows of every service: the live test has them
        held = items.Items(plan, {}, {case["path"]: plain(case["before"])})
        verdict = rules.judge(row, plain(case["set"]), held.value)
        required = case.get("required", {})
        assert verdict.code == required.get("return", case["result"].get("return")), case
        before = held.value(row.path)
        if verdict.code == rules.ACCEPTED:
            held.set(row.path, verdict.value)
        if required.get("unchanged"):
            assert same(held.value(row.path), before), case
        elif "value" in required or "Value" in case["after"]:
            wanted = required.get("value") or case["after"]["Value"]
            assert held.value(row.path) == plain(wanted), case
            if wanted["t"] != "av":
                assert as_typed(held.value(row.path)) == wanted, case
        if "Text" in case["after"] and not required:
            assert texts.text(row, held.value(row.path), held.value) == case["after"]["Text"], case
