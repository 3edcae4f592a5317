"""MQTT from anybody: bytes in any portions, nonsense, and brokers that do not answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.victron_gx import FACTORY, protocol
from hardwired_engines.victron_gx.config import ConfigError, client_id_for, read_export
from hardwired_engines.victron_gx.export import plan
from hardwired_engines.victron_gx.home import EntityState, Home
from hardwired_engines.victron_gx.mqtt import client as client_module
from hardwired_engines.victron_gx.mqtt.client import Address, Client, Unreachable
from hardwired_engines.victron_gx.mqtt.packets import (
    Decoder,
    Kind,
    Malformed,
    Publish,
    packet,
    publish,
)
from hardwired_engines.victron_gx.opener import BrokerOpener
from hardwired_engines.victron_gx.settings import GxSettings
from hardwired_engines.victron_gx.simulator.gx import SimulatedGx
from tests.standalone.mqtt.certificates import needs_openssl, openssl

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_messages_come_in_any_portions(payloads: list[bytes], data: st.DataObject) -> None:
    told = [Publish(f"t/{index}", payload) for index, payload in enumerate(payloads)]
    stream = b"".join(map(publish, told))
    decoder, found = Decoder(10_000), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += decoder.receive_data(stream[:size])
        stream = stream[size:]
    assert found == told


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_noise_is_malformed_or_nothing(portions: list[bytes]) -> None:
    decoder = Decoder(100)
    try:
        for portion in portions:
            decoder.receive_data(portion)
    except Malformed:
        pass


def test_a_message_that_is_too_large_is_passed_over() -> None:
    decoder = Decoder(100)
    large, small = Publish("t", b"x" * 500, 1, packet_id=7), Publish("t", b"y")
    stream = publish(large) + publish(small)
    found = [one for byte in stream for one in decoder.receive_data(bytes((byte,)))]
    assert found == [large._replace(payload=None), small]


@given(st.binary(max_size=80) | JSON.map(lambda told: json.dumps(told).encode()))
def test_no_payload_raises(payload: bytes) -> None:
    protocol.read_helper(payload)
    protocol.read_reply(payload, {"ctl": "switch"})
    protocol.read_set(payload)
    protocol.read_error(payload)
    protocol.read_serial("N/c0ffee12ab34/system/0/Serial", payload)
    protocol.read_notification("N/c0ffee12ab34/evcharger/1/StartStop", payload)


KEYS = [
    "template",
    "name",
    "entity",
    "entities",
    "phases",
    "role",
    "capacity",
    "level",
    "kind",
    "invert",
    "client_id",
    "on_loss",
]
ATTRIBUTES = [
    "supported_features",
    "percentage",
    "percentage_step",
    "min",
    "max",
    "step",
    "options",
    "hs_color",
    "brightness",
    "supported_color_modes",
    "current_position",
    "unit_of_measurement",
]
DOMAINS = [
    "switch",
    "light",
    "fan",
    "number",
    "select",
    "cover",
    "sensor",
    "binary_sensor",
    "button",
]


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8))
def test_settings_are_read_or_refused(values: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        read_export({"template": "tank", "name": "x", **values})


@given(st.text(max_size=20), JSON, st.dictionaries(st.sampled_from(ATTRIBUTES), JSON, max_size=6))
def test_no_state_and_no_wish_raises(
    state: str, value: object, attributes: dict[str, object]
) -> None:
    entities = [f"{domain}.x" for domain in DOMAINS]
    home = Home({one: EntityState(one, state, attributes) for one in entities})
    found = plan(read_export({"template": "panel", "name": "x", "entities": entities}), home)
    values = {key: dict(one) for key, one in found.values.items()}
    json.dumps([found.types, found.options, values], allow_nan=False)
    for path in found.services[0].controls:
        found.wish("ctl", path, value)


def test_client_ids() -> None:
    assert client_id_for("Öl - Tank (2)") == "ha_ol_tank_2"
    assert client_id_for("水") == "ha_export"


async def test_a_broker_that_never_answers_a_ping_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gx = SimulatedGx()
    client = await gx.connect("x", lambda _topic, _payload: None)
    monkeypatch.setattr(client_module, "KEEP_ALIVE", 0.06)
    client._keep_alive()
    # A packet that never ends: what comes after it is swallowed, the ping's answer too.
    gx.broker.raw(packet(Kind.PUBLISH, 0, b"\0\1t" + b"x" * 60_000)[:40])
    async with asyncio.timeout(20):
        assert await client.ended == "the broker does not answer a ping"


async def test_over_a_port_refusals_and_silence() -> None:
    gx = SimulatedGx()
    port = await gx.serve()
    address = Address("127.0.0.1", port, user="me", password="right")
    gx.broker.login = lambda user, password: 0 if (user, password) == ("me", "right") else 4
    heard: list[str] = []
    try:
        client = await Client.connect(address, "x", lambda topic, _payload: heard.append(topic))
        assert await client.subscribe(["N/#"])
        assert client.publish(protocol.Message("N/x", b"1", 1))
        assert not client.publish(protocol.Message("N/+", b"1"))
        assert client.fingerprint is None
        async with asyncio.timeout(20):
            while "N/x" not in heard:
                await asyncio.sleep(0)
        await client.close()
        assert not client.publish(protocol.Message("N/x", b"1"))
        wrong = Address("127.0.0.1", port, user="me", password="wrong")
        with pytest.raises(Unreachable) as refused:
            await Client.connect(wrong, "x", lambda _topic, _payload: None)
        assert refused.value.code == 4
        gx.broker.login = lambda _user, _password: -1
        with pytest.raises(Unreachable, match="no answer"):
            await Client.connect(address, "x", lambda _topic, _payload: None, timeout=0.2)
    finally:
        await gx.close()


@needs_openssl
async def test_a_certificate_that_is_pinned_is_the_only_one(tmp_path: Path) -> None:
    openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "gx.key",
        "-out", "gx.pem", "-days", "36500", "-subj", "/CN=venus.local",
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "gx.pem", tmp_path / "gx.key")
    gx = SimulatedGx()
    port = await gx.serve(tls=tls)

    def settings(fingerprint: str | None) -> GxSettings:
        values = {"link": f"mqtts://127.0.0.1:{port}", "fingerprint": fingerprint}
        found: GxSettings = FACTORY.read(values)
        return found

    def heard(_topic: str, _payload: bytes) -> None: ...

    try:
        # The GX signs its certificate itself, for another name: it is taken, and can be pinned.
        client = await BrokerOpener(settings(None)).connect("x", heard)
        fingerprint = client.fingerprint
        await client.close()
        client = await BrokerOpener(settings(fingerprint)).connect("x", heard)
        await client.close()
        with pytest.raises(LinkError) as wrong:
            await BrokerOpener(settings("0" * 64)).connect("x", heard)
        assert wrong.value.reason is Reason.WRONG_DEVICE
        plain = FACTORY.read({"link": f"mqtt://127.0.0.1:{port}"})
        with pytest.raises(LinkError):
            await BrokerOpener(plain).connect("x", heard)
    finally:
        await gx.close()
