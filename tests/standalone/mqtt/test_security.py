"""TLS and rights, against a real Mosquitto (spec c.2, h.2, i.1)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from hardwired.bridge.sink import SinkState
from tests.standalone.mqtt.broker import Broker, needs_broker, running, watching
from tests.standalone.mqtt.certificates import Authority, needs_openssl
from tests.standalone.mqtt.fakes import FakeLink, connected, thing
from tests.standalone.mqtt.test_broker import bridge, until

pytestmark = [needs_broker, needs_openssl]
LINK = FakeLink("van", snapshot=connected(thing(value_1=1, lamp=False)))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority.make(tmp_path_factory.mktemp("tls") / "ours")
    found.issue("good")
    found.issue("elsewhere", "broker.example")
    found.issue("expired", expired=True)
    found.issue("client", None)
    return found


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority.make(tmp_path_factory.mktemp("tls") / "foreign")
    found.issue("client", None)
    return found


def tls(authority: Authority, name: str = "good", *more: str) -> tuple[str, ...]:
    return (
        "allow_anonymous true",
        f"cafile {authority.file}",
        f"certfile {authority.path(f'{name}.pem')}",
        f"keyfile {authority.path(f'{name}.key')}",
        *more,
    )


async def why(broker: Broker, **settings: Any) -> str:
    """Return why there is no connection: the first reason."""
    async with bridge(broker, LINK, **settings) as (sink, _):
        await until(lambda: sink.health.why not in (None, "starting"))
        return str(sink.health.why)


async def test_own_authority_and_client_certificate(tmp_path: Path, authority: Authority) -> None:
    lines = tls(authority, "good", "require_certificate true")
    told = {
        "ca_file": authority.file,
        "cert_file": authority.path("client.pem"),
        "key_file": authority.path("client.key"),
    }
    async with running(Broker(tmp_path, lines=lines)) as broker:
        async with bridge(broker, LINK, **told) as (sink, _):
            await until(lambda: sink.health.state is SinkState.OK)


async def test_an_unknown_authority(tmp_path: Path, authority: Authority) -> None:
    async with running(Broker(tmp_path, lines=tls(authority))) as broker:
        assert "certificate is not trusted" in await why(broker, tls=True)


async def test_a_foreign_authority(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    async with running(Broker(tmp_path, lines=tls(authority))) as broker:
        assert "certificate is not trusted" in await why(broker, ca_file=stranger.file)


async def test_an_expired_certificate(tmp_path: Path, authority: Authority) -> None:
    async with running(Broker(tmp_path, lines=tls(authority, "expired"))) as broker:
        told = await why(broker, ca_file=authority.file)
        assert "certificate is not trusted" in told
        assert "expired" in told


async def test_another_host_name(tmp_path: Path, authority: Authority) -> None:
    async with running(Broker(tmp_path, lines=tls(authority, "elsewhere"))) as broker:
        assert "another host name" in await why(broker, ca_file=authority.file)
        told = {"ca_file": authority.file, "verify": "certificate"}
        async with bridge(broker, LINK, **told) as (sink, _):
            await until(lambda: sink.health.state is SinkState.OK)


async def test_a_client_certificate_is_wanted(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    lines = tls(authority, "good", "require_certificate true")
    async with running(Broker(tmp_path, lines=lines)) as broker:
        assert "client certificate" in await why(broker, ca_file=authority.file)
        told = {
            "ca_file": authority.file,
            "cert_file": stranger.path("client.pem"),
            "key_file": stranger.path("client.key"),
        }
        assert "client certificate" in await why(broker, **told)


async def test_certificate_files_that_are_none(tmp_path: Path, authority: Authority) -> None:
    async with running(Broker(tmp_path, lines=tls(authority))) as broker:
        told = await why(broker, ca_file=str(tmp_path / "none.pem"))
        assert "certificate files can't be used" in told


# ------------------------------------------------------------------------------------ rights

PLUGIN = next(
    (
        path
        for path in Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
        if shutil.which("mosquitto_ctrl")
    ),
    None,
)
needs_plugin = pytest.mark.skipif(PLUGIN is None, reason="no dynamic security plugin")


class Guarded:
    """A broker whose rights are kept by its dynamic security."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "security.json"
        subprocess.run(
            ["mosquitto_ctrl", "dynsec", "init", str(self.file), "admin", "admin"],
            check=True,
            capture_output=True,
            timeout=30,
        )
        self.broker = Broker(
            folder,
            lines=(
                "allow_anonymous false",
                f"plugin {PLUGIN}",
                f"plugin_opt_config_file {self.file}",
            ),
        )

    async def allow(self, *rules: tuple[str, str, bool]) -> None:
        """Make the user ``boat`` with these rights: type of rule, topic, allowed."""
        commands: list[dict[str, Any]] = [
            {
                "command": "createRole",
                "rolename": "bridge",
                "acls": [
                    {"acltype": kind, "topic": topic, "allow": allowed, "priority": number}
                    for number, (kind, topic, allowed) in enumerate(rules)
                ],
            },
            {
                "command": "createClient",
                "username": "boat",
                "password": "boat",
                "roles": [{"rolename": "bridge"}],
            },
        ]
        async with aiomqtt.Client(
            "127.0.0.1", self.broker.port, username="admin", password="admin"
        ) as client:
            await client.subscribe("$CONTROL/dynamic-security/v1/response")
            await client.publish(
                "$CONTROL/dynamic-security/v1", json.dumps({"commands": commands}), qos=1
            )
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                answers = json.loads(message.payload)["responses"]
                assert not [one for one in answers if "error" in one], answers
                return


EVERYTHING = (
    ("publishClientSend", "#", True),
    ("publishClientReceive", "#", True),
    ("subscribePattern", "#", True),
)
LOGIN = {"username": "boat", "password": "boat"}


@needs_plugin
async def test_all_rights(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)
    async with running(guarded.broker) as broker:
        await guarded.allow(*EVERYTHING)
        async with bridge(broker, LINK, **LOGIN) as (sink, _):
            await until(lambda: sink.health.state is SinkState.OK)


@needs_plugin
async def test_no_right_to_subscribe_is_told_and_states_go_on(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)
    async with running(guarded.broker) as broker:
        await guarded.allow(*EVERYTHING, ("subscribePattern", "hardwired/+/+/+/set", False))
        async with (
            watching(broker, username="admin", password="admin", topics=("hardwired/#",)),
            bridge(broker, LINK, **LOGIN) as (sink, _),
        ):
            await until(lambda: "commands will not arrive" in str(sink.health.why))
            assert sink.health.state is SinkState.CONFIG_ERROR
            [channel] = sink.channels
            assert channel.connection.up
            await until(lambda: not len(channel.outbox))


@needs_plugin
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_no_right_to_publish_is_told(tmp_path: Path, protocol: str) -> None:
    # Mosquitto 2.0.11 closes the connection when its dynamic security denies a message.
    guarded = Guarded(tmp_path)
    async with running(guarded.broker) as broker:
        await guarded.allow(EVERYTHING[1], EVERYTHING[2])
        async with bridge(broker, LINK, protocol=protocol, **LOGIN) as (sink, _):
            await until(lambda: "right to publish" in str(sink.health.why))
            assert sink.health.state is SinkState.CONFIG_ERROR
            assert "hardwired/bridge/info" in str(sink.health.why)


@needs_plugin
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_the_topic_without_a_right_is_named(tmp_path: Path, protocol: str) -> None:
    guarded = Guarded(tmp_path)
    async with running(guarded.broker) as broker:
        await guarded.allow(*EVERYTHING, ("publishClientSend", "homeassistant/#", False))
        async with bridge(broker, LINK, protocol=protocol, **LOGIN) as (sink, _):
            await until(lambda: "right to publish" in str(sink.health.why))
            assert "homeassistant/device/" in str(sink.health.why)


@needs_plugin
async def test_a_broker_that_passes_nothing_on_is_told(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)
    async with running(guarded.broker) as broker:
        await guarded.allow(*EVERYTHING, ("publishClientReceive", "hardwired/bridge/info", False))
        async with bridge(broker, LINK, **LOGIN) as (sink, _):
            await until(lambda: "does not pass them on" in str(sink.health.why))
            assert sink.health.state is SinkState.CONFIG_ERROR
