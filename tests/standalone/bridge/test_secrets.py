"""All secrets of a CONFIG are planted, the bridge does all it can, and none comes out (h.4)."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiomqtt
import pytest

from tests.ports import free_port
from tests.standalone.bridge.servers import StandIn, ask, stand_in
from tests.standalone.bridge.test_run_command import Running, hardwired
from tests.standalone.mqtt.broker import Broker, needs_broker, running, watching
from tests.standalone.mqtt.certificates import Authority, needs_openssl, openssl

PLANTED = {
    "MQTT password": "planted/mqtt+pass word",
    "key password": "planted-key-4821",
    "MQTT password of the second": "planted-second-7733",
    "InfluxDB token": "planted==token&5512",
    "InfluxDB password": "planted:influx-9091",
    "password in a link": "planted-link-6624",
    "login code": "73915284",
    "challenge code": "68420917",
    "HTTP token": "planted-http-3340",
}
BROKEN = "planted-broken-1187"
"""Stands in a CONFIG that can't be used: nobody could know it but from there."""
OURS = re.compile(r"/set$|/bridge/request/|/truma/set/")
"""Topics on which only the test has published."""
ENVIRONMENT = "PLANTED_TOKEN"
CONFIG = """
[bridge]
state_dir = "{folder}/state"
[log]
level = "debug"
[http]
listen = "127.0.0.1:{http}"
values = true
token = "{HTTP token}"
[devices.van]
family = "truma"
link = "sim://"
time_zone = "UTC"
[[devices.van.legacy]]
dialect = "inetbox.py"
sink = "home"
[devices.plant]
family = "studer"
link = "socket://owner:{password in a link}@127.0.0.1:{nobody}"
[devices.fan]
family = "inventum"
link = "socket://127.0.0.1:{unit}"
login_code = "{login code}"
challenge_code = "{challenge code}"
[devices.roof]
family = "sunsynk"
source = "sim"
time_zone = "UTC"
interval = 1
[sinks.home]
type = "mqtt"
host = "127.0.0.1"
port = {broker}
username = "owner"
password = {{ file = "{folder}/secret" }}
ca_file = "{tls}/ca.pem"
cert_file = "{tls}/client.pem"
key_file = "{tls}/client.key"
key_password = "{key password}"
[sinks.gx]
type = "venus"
port = {nobody}
username = "gx"
password = "{MQTT password of the second}"
[sinks.two]
type = "influxdb"
url = "http://127.0.0.1:{server}"
org = "o"
bucket = "b"
token = {{ env = "PLANTED_TOKEN" }}
[sinks.one]
type = "influxdb"
version = 1
url = "http://127.0.0.1:{server}"
database = "d"
username = "writer"
password = "{InfluxDB password}"
"""


def forms(secret: str) -> set[str]:
    """Return the forms in which a secret may stand somewhere."""
    plain = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    found |= {base64.b64encode(plain).decode(), plain.hex()}
    return found


def leaks(where: str, content: bytes | str) -> list[str]:
    """Return which secrets *content* holds."""
    text = content if isinstance(content, str) else content.decode(errors="replace")
    return [
        f"{name} in {where}"
        for name, secret in PLANTED.items()
        if any(form in text for form in forms(secret))
    ]


def echoing(server: StandIn) -> None:
    """Let the server say in its error what it was sent, as real ones do."""

    def rule(_lines: list[str]) -> tuple[int, str, dict[str, str]]:
        sent = server.requests[-1][1].get("Authorization", "")
        decoded = sent
        if sent.startswith("Basic "):
            decoded = base64.b64decode(sent.removeprefix("Basic ")).decode()
        return 401, f"no right: {sent} {decoded}", {}

    server.rule = rule


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    found = Authority.make(tmp_path / "tls")
    found.issue("good")
    found.issue("client", None)
    word = f"pass:{PLANTED['key password']}"
    openssl(found.folder, "rsa", "-aes256", "-in", "client.key", "-passout", word, "-out", "locked")
    (found.folder / "locked").replace(found.folder / "client.key")
    return found


def simulated_unit(port: int) -> subprocess.Popen[bytes]:
    codes = [f"login_code={PLANTED['login code']}", f"challenge_code={PLANTED['challenge code']}"]
    arguments = ["simulate", "inventum", "--listen", f"127.0.0.1:{port}", "odds=1", *codes]
    return subprocess.Popen(
        [sys.executable, "-m", "hardwired", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(one) for one in told.split()]


@needs_broker
@needs_openssl
@pytest.mark.slow
async def test_no_secret_of_a_config_comes_out(tmp_path: Path, authority: Authority) -> None:
    lines = (
        "allow_anonymous true",
        f"cafile {authority.file}",
        f"certfile {authority.path('good.pem')}",
        f"keyfile {authority.path('good.key')}",
    )
    secret = tmp_path / "secret"
    secret.write_text(PLANTED["MQTT password"])
    secret.chmod(0o600)
    with stand_in() as server:
        echoing(server)
        async with running(Broker(tmp_path, lines=lines)) as broker:
            places = {
                "folder": tmp_path,
                "tls": authority.folder,
                "http": free_port(),
                "nobody": free_port(),
                "unit": free_port(),
                "broker": broker.port,
                "server": server.port,
            }
            config = tmp_path / "CONFIG.toml"
            config.write_text(CONFIG.format(**places, **PLANTED))
            config.chmod(0o600)
            unit = simulated_unit(places["unit"])
            try:
                found = await _live(config, tmp_path, broker, authority, places["http"])
            finally:
                unit.kill()
                unit.wait()
        found += kept(tmp_path / "state") + leaks("check", _checked(config))
    sent = [headers["Authorization"] for _, headers in server.requests]
    assert f"Token {PLANTED['InfluxDB token']}" in sent  # they were used
    assert not found, "\n".join(found)


async def _live(
    config: Path, folder: Path, broker: Broker, authority: Authority, http: int
) -> list[str]:
    tls = aiomqtt.TLSParameters(ca_certs=authority.file)
    bridge = Running(config, folder, **{ENVIRONMENT: PLANTED["InfluxDB token"]})
    found: list[str] = []
    try:
        async with watching(broker, tls_params=tls) as (watcher, client):
            await asyncio.to_thread(bridge.told, "READY=1")
            await watcher.until("hardwired/fan/connected", "ON")
            await watcher.until("hardwired/van/connected", "ON")
            await watcher.until("hardwired/plant/reason")
            for child in children(bridge.process.pid):
                environ = await asyncio.to_thread(Path(f"/proc/{child}/environ").read_bytes)
                found += leaks("a child's environment", environ)
            await _provoke(client)
            for verb in ("health", "notices", "read", "refresh", "log_level"):
                await watcher.until(f"hardwired/bridge/response/{verb}")
            await watcher.until("hardwired/van/heater/room/target/set/result")
            await watcher.until("hardwired/bridge/command_failed")
            bearer = {"Authorization": f"Bearer {PLANTED['HTTP token']}"}
            for page in ("/health", "/metrics", "/", "/nothing"):
                content = await asyncio.to_thread(_page, http, page, bearer)
                found += leaks(page, content)
            assert (await asyncio.to_thread(ask, http, "GET", "/health"))[0] == 401
            assert await asyncio.to_thread(bridge.end) == 0
            assert not [topic for topic, text, _ in watcher.order if "client.key" in text]
            for topic, text, _ in watcher.order:
                if not OURS.search(topic):
                    found += leaks(topic, topic + text)
    finally:
        bridge.close()
    log = bridge.text
    assert " debug " in log
    assert "***" in log
    found += leaks("the log", log)
    return found


def kept(folder: Path) -> list[str]:
    """Return which secrets the state folder holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    return [one for path in files for one in leaks(path.name, path.read_bytes())]


def _page(port: int, page: str, headers: dict[str, str]) -> bytes:
    return ask(port, "GET", page, b"", **headers)[1]


async def _provoke(client: aiomqtt.Client) -> None:
    """Ask all that can be asked; some wishes and requests hold a secret, whoever knows it."""
    requests: dict[str, Any] = {
        "health": {},
        "notices": {},
        "read": {"link": "fan", "device": "ecolution"},
        "refresh": {"link": "van"},
        "log_level": {"level": PLANTED["HTTP token"]},
        "write": {"link": "van", "device": PLANTED["InfluxDB token"], "values": {"a": 1}},
        "command": {"link": "van", "device": "panel", "name": PLANTED["login code"]},
    }
    for verb, payload in requests.items():
        await client.publish(f"hardwired/bridge/request/{verb}", json.dumps(payload), 1)
    for secret in PLANTED.values():
        await client.publish("hardwired/van/heater/room/target/set", secret, 1)
        await client.publish("service/truma/set/target_temp_room", secret, 1)
        await client.publish("service/truma/set/wall_time", secret, 1)


def _checked(config: Path) -> str:
    """Return what ``check`` says of it, and of the same file with an error in it."""
    told = hardwired("check", str(config), "--seconds", "1", "--json")
    broken = config.with_name("BROKEN.toml")
    broken.write_text(f'[sinks.x]\ntype = "mqtt"\npassword = ["{BROKEN}"]\npasswrod = "{BROKEN}"\n')
    wrong = hardwired("check", str(broken))
    assert wrong.returncode == 78
    assert BROKEN not in wrong.stdout + wrong.stderr
    return told.stdout + told.stderr + wrong.stdout + wrong.stderr
