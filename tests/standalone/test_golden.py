"""What the helper says on MQTT and prints, as it was frozen: see :mod:`tests.golden_files`.

Simulated devices in time that is turned by hand are put into each old program's topics and into
discovery. The command runs on fixed recordings and seeds, as a user runs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hardwired.compat.inetbox.discovery import discovery as inetbox_discovery
from hardwired.compat.inetbox.mqtt import InetboxFace
from hardwired.compat.inetbox.texts import Dialect, Language, Texts
from hardwired.compat.sunsniff import influx as sunsniff_influx, mqtt as sunsniff_mqtt
from hardwired.compat.sunsniff.config import FieldSet
from hardwired.compat.xtender.mqtt import XtmqFace
from hardwired.compat.xtender.names import PARAMETERS, SENSORS
from hardwired.influx.line_protocol import line
from hardwired.mqtt.announcement import head_of
from hardwired.mqtt.components import Choice, Naming, Place, components
from hardwired.mqtt.message import MqttMessage
from hardwired.mqtt.topics import Topics
from hardwired_engines.engine import Device, DeviceState
from hardwired_engines.factory import factory_of, linked_families
from hardwired_engines.studer.datapoints.datapoint import by_id, datapoints
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.truma.inet.box import Box
from hardwired_engines.truma.inet.buffers import STATUS_LAYOUTS
from hardwired_engines.truma.lin.frames import identifier_of
from tests.engines.studer.simulated import Host
from tests.engines.truma.simulated_bus import Bus
from tests.golden_files import check
from tests.standalone.command import run

VECTORS = Path(__file__).parents[1] / "vectors"
"""The project's own copy: another set of vectors would decode to something else."""


def told(messages: Iterable[MqttMessage]) -> dict[str, Any]:
    """Return all messages by topic, each topic's in their order."""
    rows: dict[str, Any] = {}
    for message in messages:
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = None
        # Objects as objects, so that a difference can be read; anything else as its text.
        shown = payload if isinstance(payload, dict) else message.payload
        rows.setdefault(message.topic, []).append(
            {"payload": shown, "retain": message.retain, "qos": message.qos}
        )
    return rows


# -------------------------------------------------------------------------- discovery


@pytest.mark.parametrize("family", linked_families())
def test_discovery(family: str) -> None:
    """What the native dialect announces of a device that has all fields of its kind."""
    factory = factory_of(family)
    rows: dict[str, Any] = {}
    for kind, catalogue in factory.catalogues.items():
        device = Device(
            f"golden_{kind}", kind, f"Golden {kind}", manufacturer="Maker", model="Model",
            serial_number="S1", sw_version="1.2", hw_version="3", via="golden_gateway",
        )  # fmt: skip
        place = Place(f"hardwired_golden_{kind}", "golden", kind, Topics())
        naming = Naming(suffix=partial(factory.suffix, kind))
        state = DeviceState(device, dict.fromkeys(catalogue), fields=catalogue)
        composites = factory.composites(kind)

        def told(choice: Choice) -> dict[str, dict[str, Any]]:
            return components(place, naming, choice, state, composites)  # noqa: B023

        head = head_of(device, place, via="hardwired_golden_gateway", version="1.0", area="Attic")
        usual, all_of_it = told(Choice()), told(Choice(included=frozenset(catalogue)))
        rows[kind] = {**head, "usual": list(usual), "topic": Topics().announcement(place.ident)}
        rows |= {f"{kind}/{key}": component for key, component in all_of_it.items()}
        untimed = told(Choice(included=frozenset(catalogue), times=False))
        for key, component in untimed.items():
            if component != all_of_it.get(key):
                rows[f"{kind}/{key} without times"] = component
        assert set(untimed) >= set(usual)
    check(family, "mqtt-discovery", rows)


# -------------------------------------------------------------------------- sunsniff


async def simulated_reports(tmp_path: Path) -> list[dict[str, Any]]:
    """Return what the command decodes of a capture that it has simulated."""
    capture = tmp_path / "simulated.pcap"
    code, _, told = await run(
        "simulate", "sunsynk", "--file", str(capture), "--inverters", "2", "--layout", "mixed",
        "--seed", "7", "--start", "2026-06-15T08:00:00", "--duration", "30m",
        "--timezone", "Africa/Johannesburg",
    )  # fmt: skip
    assert code == 0, told
    code, records, told = await run(
        "decode", "sunsynk", str(capture), "--timezone", "Africa/Johannesburg", "--summary"
    )
    assert code == 0, told
    return records


def numbered(records: list[Any]) -> dict[str, Any]:
    return {f"{number:04}": record for number, record in enumerate(records)}


async def test_sunsynk_simulated_and_decoded(tmp_path: Path) -> None:
    records = await simulated_reports(tmp_path)
    for record in records:
        if "summary" in record:
            record["summary"].pop("file", None)
    check("sunsynk", "command-simulate-decode", numbered(records))


async def test_sunsniff(tmp_path: Path) -> None:
    records = await simulated_reports(tmp_path)
    reports = {one["serial"]: one for one in records if "serial" in one}
    assert len(reports) == 2
    rows: dict[str, Any] = {}
    for modbus, fields in (
        (False, FieldSet.COMPATIBLE),
        (True, FieldSet.COMPATIBLE),
        (False, FieldSet.ALL),
    ):
        keys = sunsniff_mqtt.published_fields(modbus=modbus, fields=fields)
        for serial, report in reports.items():
            values, moment = report["values"], datetime.fromisoformat(report["time_utc"])
            messages = [
                *sunsniff_mqtt.discovery(serial, keys, rated_power=5000),
                *sunsniff_mqtt.states(serial, values, keys),
                sunsniff_mqtt.availability(serial, online=True),
                sunsniff_mqtt.availability(serial, online=False),
            ]
            source = f"{'modbus' if modbus else 'capture'} {fields.value}"
            rows |= {f"{source} mqtt {topic}": row for topic, row in told(messages).items()}
            points = sunsniff_influx.points(serial, moment, values, keys)
            for number, point in enumerate(points):
                rows[f"{source} influx {serial} {number:03}"] = line(point)
    check("sunsynk", "sunsniff", rows)


# -------------------------------------------------------------------------- xtender_mqtt


def test_xtmq() -> None:
    face = XtmqFace(frozenset(SENSORS), frozenset(PARAMETERS), allow_guarded=True)
    messages: list[MqttMessage] = [face.bridge(online=True), face.bridge(online=False)]
    host = Host(seed=5)
    for address in (101, 102):
        messages += [face.availability(address, online=True), *face.discovery(address)]
        for entry in face.entries():
            messages.append(face.meta(address, entry))
        for number in sorted(face.reads()):
            point = by_id(Family.XT, number)
            assert point is not None
            read = host.parameter if point.is_parameter else host.info
            messages += face.wire_values(address, point, read(address, number))
        messages.append(face.result(address, done=True))
    for family, address in ((Family.VT, 301), (Family.VS, 701), (Family.BSP, 601)):
        messages += face.discovery_of_points(address, family.value, datapoints(family))
        for point in datapoints(family):
            if point.is_parameter or point.wire_format is None:
                continue
            messages += face.wire_values(address, point, host.info(address, point.id))
    check("studer", "xtmq", told(messages))


def test_xtmq_subset() -> None:
    face = XtmqFace(frozenset(sorted(SENSORS)[:5]), frozenset(sorted(PARAMETERS)[:5]), prefix="own")
    check("studer", "xtmq-few", told(face.discovery(101)))


# -------------------------------------------------------------------------- inetbox


FACES = [
    (Dialect.INETBOX_PY, Language.NONE),
    (Dialect.INETBOX_PY, Language.DE),
    (Dialect.INETBOX2MQTT, Language.NONE),
]


@pytest.mark.parametrize("personality", ["c3-combi6de", "c4-combi-aventa"])
def test_inetbox(personality: str) -> None:
    bus = Bus(Box(16), personality=personality, seed=3, standby=False, clock=8 * 3600.0)
    bus.run(120)
    buffers, slots = bus.buffers(), bus.slots
    assert len({number for number, _ in buffers}) > 3
    rows: dict[str, Any] = {}
    for dialect, language in FACES:
        texts = Texts(dialect, language)
        face = InetboxFace(texts)
        messages: list[MqttMessage] = [
            face.online(online=True), face.online(online=False), *face.release("1.0"),
            *face.cp_plus_status(online=True), face.error("reason"), *face.aircon(),
            *inetbox_discovery(texts),
        ]  # fmt: skip
        for number, payload in buffers:
            if number in STATUS_LAYOUTS and (fields := STATUS_LAYOUTS[number].read(payload)):
                messages += face.buffer(number, fields)
        for slot in slots:
            number = identifier_of(slot.pid)
            if number is not None and slot.data is not None:
                messages += face.signal(number, slot.data)
        for topic, row in told(messages).items():
            # Values that come again and again are told once each, in the order they came.
            once = [one for at, one in enumerate(row) if at == 0 or one != row[at - 1]]
            rows[f"{dialect.value} {language.value} {topic}"] = once[:20]
    check("truma", f"inetbox-{personality}", rows)


# -------------------------------------------------------------------------- the command


@pytest.mark.parametrize("name", ["real_292.pcap", "eth_mixed.pcap", "learned_layout.pcap"])
async def test_decode_sunsynk(name: str) -> None:
    code, records, told = await run(
        "decode", "sunsynk", str(VECTORS / "sunsynk" / "captures" / name),
        "--timezone", "Africa/Johannesburg", "--summary",
    )  # fmt: skip
    assert code == 0, told
    check("sunsynk", f"command-decode-{name.partition('.')[0]}", numbered(records))


@pytest.mark.parametrize("name", ["cp_plus_combi_6d_e_inet_box", "truma_app_set_fan_high"])
async def test_decode_truma(name: str) -> None:
    log = VECTORS / "truma" / "captures" / f"{name}.log"
    code, records, told = await run("decode", "truma", str(log), "--summary")
    assert code == 0, told
    check("truma", f"command-decode-{name}", numbered([*records[:400], records[-1]]))


async def test_decode_studer() -> None:
    file = VECTORS / "studer" / "captures.json"
    captures = json.loads(file.read_text(encoding="utf-8"))["captures"]
    dump = "\n".join(capture["frame"] for capture in captures)
    code, records, told = await run("decode", "studer", "-", "--summary", stdin=dump.encode())
    assert code == 0, told
    check("studer", "command-decode", numbered(records))


@pytest.mark.parametrize(
    "more", ["xtenders=2&variotracks=1&variostrings=1", "xtenders=1&xcomcan=1&lan=1"]
)
async def test_probe_studer(more: str) -> None:
    url = f"sim://?{more}&seed=3&latency_ms=0&baud=0&start=2026-06-15T10:00"
    code, records, told = await run("probe", "studer", url)
    assert code == 0, told
    for record in records:
        if "latency_ms" in record:
            assert isinstance(record["latency_ms"], (int, float))
            record["latency_ms"] = "measured"
    name = re.sub(r"[^a-z0-9]+", "-", more)
    check("studer", f"command-probe-{name}", numbered(records))


async def test_probe_truma() -> None:
    code, records, told = await run("probe", "truma", "sim://?slot_ms=10&seed=1", "--seconds", "15")
    assert code == 0, told
    # What is counted depends on how long it took: the kinds stay.
    plain = (bool, str, type(None))
    kept = [
        {key: one if isinstance(one, plain) else type(one).__name__ for key, one in record.items()}
        for record in records
    ]
    check("truma", "command-probe", numbered(kept))
