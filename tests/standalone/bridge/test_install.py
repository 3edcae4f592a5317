"""What is installed: the unit's hardening, Home Assistant's app, the one file (spec f.6-f.8)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hardwired.config.reader import read_config
from hardwired.ops import app
from hardwired.ops.app import Supervisor, offer, prepare
from tests.standalone.bridge.servers import SupervisorStandIn, supervisor_stand_in

ROOT = Path(__file__).resolve().parents[3]
INSTALL = ROOT / "standalone" / "install"
VAN = '[devices.van]\nfamily = "truma"\nlink = "/dev/x"\n'


def exposure(unit: Path) -> float:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = re.search(r"exposure level for .*: ([0-9.]+)", found.stdout + found.stderr)
    if told is None:
        pytest.skip("this systemd-analyze can't look at a file")
    return float(told[1])


@pytest.mark.parametrize(
    ("drop_ins", "most"), [((), 2.0), (("capture",), 2.5), (("truma",), 2.5), (("legacy",), 2.0)]
)
def test_the_unit_is_hardened(tmp_path: Path, drop_ins: tuple[str, ...], most: float) -> None:
    unit = tmp_path / "hardwired.service"
    parts = [INSTALL / "hardwired.service"]
    parts += [INSTALL / "hardwired.service.d" / f"{name}.conf" for name in drop_ins]
    unit.write_text("".join(part.read_text() for part in parts))
    assert exposure(unit) <= most


def test_the_unit_is_well_formed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "hardwired.service"
    shutil.copy(INSTALL / "hardwired.service", unit)
    found = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not [line for line in found.stderr.splitlines() if "hardwired.service:" in line]


def test_the_example_for_docker_is_good() -> None:
    assert read_config((INSTALL / "docker" / "CONFIG.toml").read_bytes()).ok


# ------------------------------------------------------------------------------------ the app


@pytest.fixture
def supervisor() -> Iterator[SupervisorStandIn]:
    broker = {"host": "core-mosquitto", "port": 1883, "username": "a", "password": 'p"w'}
    with supervisor_stand_in(**broker) as stand_in:
        yield stand_in


def test_the_app_finds_the_broker_and_offers_the_links(
    supervisor: SupervisorStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, asked = Supervisor(supervisor.TOKEN, supervisor.url), supervisor.asked
    data, config = tmp_path / "data", tmp_path / "config"
    data.mkdir()
    config.mkdir()
    (data / "options.json").write_text('{"log_level": "debug", "mqtt": "auto"}')
    (config / "CONFIG.toml").write_text(VAN)
    commands: list[list[str]] = []
    monkeypatch.setattr(app, "command", lambda arguments: commands.append(arguments) or 0)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "s"))
    assert app.run(data, config, api) == 0
    made = data / "CONFIG.toml"
    assert commands == [["run", str(made)]]
    assert made.stat().st_mode & 0o777 == 0o600
    told = tomllib.loads(made.read_text())
    assert told["log"] == {"level": "debug"}
    assert told["sinks"]["home_assistant"] == {
        "type": "mqtt",
        "host": "core-mosquitto",
        "port": 1883,
        "username": "a",
        "password": 'p"w',
    }
    assert read_config(made.read_bytes()).ok
    posted = next(data for method, path, data in asked if (method, path) == ("POST", "/discovery"))
    assert posted["service"] == "hardwired"
    assert posted["config"]["links"] == [{"name": "van", "family": "truma"}]
    assert 'p"w' not in json.dumps(posted)
    assert ("DELETE", f"/discovery/{supervisor.UUID}", None) in asked


def test_own_sinks_are_left_alone() -> None:
    own = VAN + '[sinks.x]\ntype = "mqtt"\nhost = "h"\nprefix = "boat"\n'
    broker = {"type": "mqtt", "host": "core"}
    assert "core" not in prepare(own, {"mqtt": "auto"}, broker)
    assert "core" not in prepare(VAN, {"mqtt": "own"}, broker)
    assert prepare("nonsense", {}, broker) == "nonsense"
    assert offer(tomllib.loads(own), "1")["prefix"] == "boat"


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ('[sinks.db]\ntype = "influxdb"\n', True),
        ('[sinks.gx]\ntype = "venus"\n', True),
        ("[sinks]\nx = 1\n", True),
        ('sinks = { db = { type = "influxdb" } }\n', False),
        ("x = " + "1" * 5000 + "\n", False),
        ("x = " + "[" * 5000 + "\n", False),
    ],
)
def test_the_broker_comes_beside_other_sinks(own: str, found: bool) -> None:
    text = prepare(
        own + VAN, {"mqtt": "auto", "log_level": "info"}, {"type": "mqtt", "host": "core"}
    )
    assert ("core" in text) is found
    assert found or text == own + VAN


def test_the_apps_files_fit_together() -> None:
    folder = INSTALL / "app" / "hardwired"
    told = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    manifest = json.loads((ROOT / "custom_components/hardwired/manifest.json").read_text("utf-8"))
    assert told["version"] == manifest["version"]
    assert told["options"].keys() == told["schema"].keys()
    assert "watchdog" not in told
    for language in ("en", "nl", "de", "fr"):
        texts = yaml.safe_load((folder / "translations" / f"{language}.yaml").read_text("utf-8"))
        assert texts["configuration"].keys() == told["options"].keys()


# ---------------------------------------------------------------------------------- one file


def test_the_one_file_runs_without_pip(tmp_path: Path) -> None:
    target = tmp_path / "hardwired.pyz"
    subprocess.run([sys.executable, ROOT / "script" / "zipapp", target], check=True, timeout=100)
    config = tmp_path / "CONFIG.toml"
    config.write_text(VAN)
    environ = {"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": str(tmp_path / "state")}
    base = Path(sys.executable).resolve()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(base), "-S", "-I", str(target), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environ,
            timeout=100,
        )

    told = json.loads(run("version", "--json").stdout)
    assert "truma" in told["families"]
    assert told["libraries"]["serialx"]
    found = run("check", str(config), "--offline")
    assert found.returncode == 0, found
    (responder,) = (tmp_path / "state" / "files").glob("truma-*/node/responder.py")
    assert (
        responder.read_bytes()
        == (ROOT / "custom_components/hardwired/engines/truma/node/responder.py").read_bytes()
    )
    assert responder.stat().st_mode & 0o077 == 0 or responder.parent.stat().st_mode & 0o077 == 0
