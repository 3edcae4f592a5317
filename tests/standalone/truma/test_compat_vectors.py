"""The drop-in faces of inetbox.py and inetbox2mqtt, held against the recorded reference runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hardwired.compat.inetbox import texts as inetbox_texts
from hardwired.compat.inetbox.discovery import discovery
from hardwired.compat.inetbox.mqtt import InetboxFace
from hardwired.compat.inetbox.set_messages import SetMessages
from hardwired.compat.inetbox.texts import Dialect, Kind, Language, Texts, UpdateStatus
from hardwired.mqtt.message import MqttMessage
from hardwired_engines.truma.inet.buffers import (
    STATUS_LAYOUTS,
    UPLOAD,
    UPLOADS,
    Buffer,
    Group,
    MessageId,
    build_buffer,
    read_buffer,
    settings_payload,
)
from hardwired_engines.truma.lin.frames import identifier_of, protected, response
from hardwired_engines.truma.lin.transport import Assembler, split
from tests.vector_files import cases, load

pytestmark = pytest.mark.vectors

KINDS = {
    "temp_code": Kind.TEMPERATURE,
    "water_temp_code": Kind.WATER,
    "energy_mix_code": Kind.ENERGY_MIX,
    "el_power_code": Kind.POWER_LEVEL,
    "heating_mode": Kind.HEATING_MODE,
    "operating_status": Kind.OPERATING_STATUS,
    "clock_mode": Kind.CLOCK_MODE,
    "clock_source": Kind.CLOCK_SOURCE,
    "aircon_operating_mode": Kind.AIRCON_MODE,
    "aircon_vent_mode": Kind.AIRCON_VENT,
}


def texts_of(case: dict[str, Any]) -> Texts:
    language = case.get("lang", case.get("language")) or "none"
    return Texts(Dialect(case.get("dialect", "inetbox.py")), Language(language))


def conversion(case: dict[str, Any]) -> Callable[[Any], Any]:
    name, texts = case["fn"], texts_of(case)
    if name == "error_code_to_string":
        return lambda pair: inetbox_texts.error_text(*pair)
    if name == "clock_to_string":
        return lambda code: inetbox_texts.clock_text(code & 0xFF, code >> 8)
    if name.startswith("string_to_"):
        return lambda text: texts.code(KINDS[name.removeprefix("string_to_")], text)
    return lambda code: texts.text(KINDS[name.removesuffix("_to_string")], code)


@pytest.mark.parametrize("case", cases("truma", "conversions.json"))
def test_conversions(case: dict[str, Any]) -> None:
    convert = conversion(case)
    if case.get("error"):
        with pytest.raises(ValueError, match=r"."):
            convert(case["in"])
    else:
        assert convert(case["in"]) == case["out"]


def test_discovery_of_inetbox_py() -> None:
    for case in load("truma", "ha_discovery.json")["inetbox_py"]:
        (message,) = discovery(texts_of(case))
        assert (message.topic, message.retain) == (case["topic"], case["retain"])
        assert json.loads(message.payload) == case["payload"]


def test_discovery_of_inetbox2mqtt() -> None:
    recorded = load("truma", "ha_discovery.json")["inetbox2mqtt"]
    messages = list(discovery(Texts(Dialect.INETBOX2MQTT)))
    assert all((m.retain, m.qos) == (recorded["retain"], recorded["qos"]) for m in messages)
    assert [message.payload for message in messages[::2]] == ["{}"] * len(recorded["messages"])
    assert [(message.topic, json.loads(message.payload)) for message in messages[1::2]] == [
        (item["topic"], item["payload"]) for item in recorded["messages"]
    ]
    assert [message.topic for message in messages[::2]] == [m.topic for m in messages[1::2]]


def fields_of(message_id: int, payload: bytes) -> dict[str, int]:
    fields = STATUS_LAYOUTS[message_id].read(payload)
    assert fields is not None
    return fields


@pytest.mark.parametrize("case", cases("truma", "set_rules.json"))
def test_set_messages(case: dict[str, Any]) -> None:
    texts = texts_of(case)
    config = case.get("config", {})
    payloads = {Group.HEATER: bytes.fromhex(case["status_payload"])}
    if "clock_payload" in case:
        payloads[Group.CLOCK] = bytes.fromhex(case["clock_payload"])
    baselines = {
        group: fields_of(UPLOADS[group].baseline_id, payload) for group, payload in payloads.items()
    }
    mode = config.get("default_heating_mode")
    collected = SetMessages(
        texts,
        default_target=config.get("default_target_temp_room", 5),
        default_mode=1 if mode is None else texts.code(Kind.HEATING_MODE, mode),
    )
    if "seen_target_before" in case:
        collected.see({"target_temp_room": case["seen_target_before"] * 10 + 2730})
    for key, payload in case["messages"]:
        collected.add(key, payload, 0)
    batch = collected.commit(baselines)
    expected = case["expect"]
    assert batch.updates == expected["updates"]
    assert len(batch.errors) == expected["errors"]
    frames: list[str] = []
    for group, wish in batch.wishes.items():
        if group not in payloads:
            continue
        payload = settings_payload(group, payloads[group], wish)
        message = build_buffer(
            UPLOAD, UPLOADS[group].message_id, case["counter_before"] + 1, payload
        )
        frames += [response(protected(0x3D), part).hex() for part in split(3, message)]
    assert frames == expected.get("frames_safe", expected["frames"])


def published(messages: list[MqttMessage], folder: str) -> dict[str, str]:
    start = f"service/truma/{folder}/"
    assert all(message.topic.startswith(start) for message in messages)
    return {message.topic.removeprefix(start): message.payload for message in messages}


@pytest.mark.parametrize(
    "case",
    [case for case in cases("truma", "signal_frames.json") if "display_status" in case.values[0]],
)
def test_display_status(case: dict[str, Any]) -> None:
    messages = InetboxFace().signal(case["id"], bytes.fromhex(case["data"]))
    assert published(messages, "display_status") == case["display_status"]


@pytest.mark.parametrize(
    "case", [case for case in cases("truma", "status_buffers.json") if "text" in case.values[0]]
)
def test_texts_of_status_buffers(case: dict[str, Any]) -> None:
    """The texts that a reference tells; where it dies, or keeps silent, we may say more."""
    assembler, message = Assembler(), None
    for number, frame in enumerate(case["frames"]):
        message = assembler.receive_data(bytes.fromhex(frame), number * 0.05)
    assert message is not None
    buffer = read_buffer(message.data)
    assert isinstance(buffer, Buffer)
    for dialect, texts in case["text"].items():
        if isinstance(texts, str):
            assert texts.startswith("crash")
            continue
        fields = fields_of(buffer.message_id, buffer.payload)
        found = published(
            InetboxFace(Texts(Dialect(dialect))).buffer(buffer.message_id, fields), "control_status"
        )
        wanted = {key: str(text) for key, text in texts.items()}
        if dialect == "inetbox2mqtt" and "error_code" in wanted:
            # The number that the panel shows (d.10); the recordings hold the code alone.
            number = 100 * fields["error_class"] + fields["error_code"]
            wanted["error_code"] = str(number)
        assert {key: found.get(key) for key in wanted} == wanted


@pytest.mark.parametrize("case", cases("truma", "mqtt_status.json"))
def test_published_values(case: dict[str, Any]) -> None:
    face = InetboxFace(texts_of(case))
    messages = face.aircon()
    if "counter_before" in case:
        messages += face.counter(case["counter_before"])
    for content in case["buffers"]:
        buffer = read_buffer(bytes.fromhex(content))
        assert isinstance(buffer, Buffer)
        if buffer.message_id == MessageId.ACKNOWLEDGE:
            messages += face.counter(buffer.counter)
        elif buffer.message_id in STATUS_LAYOUTS:
            fields = fields_of(buffer.message_id, buffer.payload)
            messages += face.buffer(buffer.message_id, fields)
    for pid, data in case.get("signals", []):
        identifier = identifier_of(int(pid, 16))
        assert identifier is not None
        messages += face.signal(identifier, bytes.fromhex(data))
    messages += face.update_status(UpdateStatus.IDLE) + face.cp_plus_status(online=True)
    assert not any(message.retain for message in messages)
    found = {message.topic: message.payload for message in messages}
    assert found == {topic: str(payload) for topic, payload in case["publish"].items()}
