"""The container and Home Assistant's app, as far as it goes without a container engine (f.8)."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from tests.ports import free_port
from tests.standalone.bridge.servers import Program, SupervisorStandIn, needs, supervisor_stand_in
from tests.standalone.bridge.test_run_command import until

ROOT = Path(__file__).resolve().parents[3]
INSTALL = ROOT / "standalone" / "install"
DOCKER = INSTALL / "docker" / "Dockerfile"
APP = INSTALL / "app" / "hardwired"
INSTRUCTIONS = frozenset(
    {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN"}
    | {"SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
"""What a Dockerfile of ours may hold: not ADD, which unpacks and downloads, nor MAINTAINER."""


def instructions(file: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, continued lines joined, comments left out."""
    rows = [row for row in file.read_text().splitlines() if not row.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(rows))
    found = [row.partition(" ") for row in text.splitlines() if row.strip()]
    return [(word, rest.strip()) for word, _, rest in found]


@pytest.mark.parametrize("file", [DOCKER, APP / "Dockerfile"], ids=["docker", "app"])
def test_a_dockerfile_is_well_formed(file: Path) -> None:
    told = instructions(file)
    assert {word for word, _ in told} <= INSTRUCTIONS
    assert told[0][0] == "FROM"
    for word, rest in told:
        if word == "FROM":
            image = rest.split()[0]
            assert ":" in image
            assert not image.endswith(":latest")
        if word in {"CMD", "ENTRYPOINT"}:  # as a list: the signals reach us and no shell
            assert all(isinstance(one, str) for one in json.loads(rest))
        if word == "RUN":
            subprocess.run(["/bin/sh", "-n", "-c", rest], check=True)
        if word in {"ARG", "ENV"}:
            assert not re.search(r"token|password|secret", rest, re.IGNORECASE)


def test_the_container_does_not_run_as_root() -> None:
    told = instructions(DOCKER)
    assert dict(told)["USER"] == "1000"
    assert any("--uid 1000" in rest for word, rest in told if word == "RUN")
    health = dict(told)["HEALTHCHECK"]
    command = json.loads(health[health.index("[") :])
    compile(command[-1], "health", "exec")
    assert "127.0.0.1:9469/health" in command[-1]
    assert "127.0.0.1:9469" in (INSTALL / "docker" / "CONFIG.toml").read_text()


def let_in(path: str, rules: list[str]) -> bool:
    """Whether a ``.dockerignore`` lets a path into the image; the last rule that fits counts."""
    found = True
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        places = [path, *(str(folder) for folder in Path(path).parents)]
        names = Path(path).parts if "**/" in rule else ()
        if any(fnmatch(one, pattern) for one in (*places, *names) if one != "."):
            found = rule.startswith("!")
    return found


@pytest.mark.slow
def test_what_the_image_gets_is_enough_to_build_from(tmp_path: Path) -> None:
    rules = [
        row for row in (ROOT / ".dockerignore").read_text().splitlines() if row and row[0] != "#"
    ]
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    context = tmp_path / "source"
    for name in listed.stdout.splitlines():
        if let_in(name, rules) and (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name)
    assert not (context / "tests").exists()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=context / "standalone",
        check=True,
        capture_output=True,
        timeout=100,
    )
    assert len(list(tmp_path.glob("hardwired-*-py3-none-any.whl"))) == 1


def test_the_app_installs_its_wheel_under_its_own_name(tmp_path: Path) -> None:
    """pip refuses a wheel whose name says no version."""
    told = dict(instructions(APP / "Dockerfile"))
    wheel = "hardwired-0.1.0-py3-none-any.whl"
    pattern, target = told["COPY"].split()
    assert fnmatch(wheel, pattern)
    (tmp_path / wheel).touch()
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    pip.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-ec", told["RUN"].replace(target, f"{tmp_path}/")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/{wheel}[bridge]"
    assert not (tmp_path / wheel).exists()


# --------------------------------------------------------- what Home Assistant's Supervisor takes

FLAG = r"true|false"
FLAGS = "init uart udev usb realtime host_network"
KEYS: dict[str, str | list[str]] = {
    "name": r".+",
    "version": r"\d+\.\d+\.\d+\S*",
    "slug": r"[-_.A-Za-z0-9]+",
    "description": r".+",
    "url": r"https://\S+",
    "arch": [r"aarch64|amd64"],
    "startup": r"initialize|system|services|application|once",
    "services": [r"(mqtt|mysql):(provide|want|need)"],
    "discovery": [r"hardwired"],
    "privileged": [r"NET_RAW|SYS_NICE"],
    "backup": r"hot|cold",
    "map": [r"(addon_config|data|ssl|share|media|backup)(:(rw|ro))?"],
    **dict.fromkeys(FLAGS.split(), FLAG),
}
"""The keys of ours that the Supervisor knows, each with what it takes; it drops others silently."""
OPTION = re.compile(r"(str|int|bool|float|email|url|port|password|list\([^|]+(\|[^|]+)*\))\??")


def test_the_supervisor_takes_every_key() -> None:
    told = yaml.safe_load((APP / "config.yaml").read_text("utf-8"))
    options, schema = told.pop("options"), told.pop("schema")
    assert told.keys() == KEYS.keys()
    for key, value in told.items():
        rule = KEYS[key]
        values, pattern = (value, rule[0]) if isinstance(rule, list) else ([value], rule)
        for one in values:
            text = str(one).lower() if isinstance(one, bool) else one
            assert re.fullmatch(pattern, text), (key, one)
    for key, kind in schema.items():
        assert OPTION.fullmatch(kind), key
        if kind.startswith("list("):
            assert options[key] in kind.removeprefix("list(").rstrip(")?").split("|")
        else:
            assert isinstance(options[key], str)


# ----------------------------------------------------------------------- the app's own command


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[SupervisorStandIn]:
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}")
    broker = Program([needs("mosquitto"), "-c", str(config)], port, tmp_path / "mosquitto.log")
    broker.start()
    told = {"host": "127.0.0.1", "port": port, "username": "u", "password": "hidden-1"}
    with supervisor_stand_in(**told) as stand_in:
        yield stand_in
    broker.kill()


COMMAND = (
    "import sys; from pathlib import Path; from hardwired.ops import app;"
    " sys.exit(app.run(Path(sys.argv[1]), Path(sys.argv[2]),"
    " app.Supervisor(sys.argv[3], sys.argv[4])))"
)


@dataclass
class Folders:
    """The container's folders, and how its command is started in them."""

    data: Path
    config: Path
    supervisor: SupervisorStandIn

    def start(self) -> subprocess.Popen[str]:
        told = self.supervisor
        arguments = [str(self.data), str(self.config), told.TOKEN, told.url]
        environ = {**os.environ, "STATE_DIRECTORY": str(self.data / "state")}
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )


@pytest.fixture
def folders(tmp_path: Path, supervised: SupervisorStandIn) -> Folders:
    found = Folders(tmp_path / "data", tmp_path / "config", supervised)
    found.data.mkdir()
    found.config.mkdir()
    told = yaml.safe_load((APP / "config.yaml").read_text("utf-8"))["options"]
    (found.data / "options.json").write_text(json.dumps(told))
    return found


@pytest.mark.slow
def test_the_app_runs_and_takes_its_offer_back(
    folders: Folders, supervised: SupervisorStandIn
) -> None:
    asked = supervised.asked
    table = '[devices.roof]\nfamily = "sunsynk"\nsource = "sim"\ntime_zone = "UTC"\n'
    (folders.config / "CONFIG.toml").write_text(f"\ufeff{table}")  # as Notepad saves it
    process = folders.start()
    until(lambda: any(path == "/discovery" for _, path, _ in asked))
    log = folders.config.parent / "mosquitto.log"
    until(lambda: "hardwired-" in log.read_text())  # it has connected
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert asked[-1][:2] == ("DELETE", f"/discovery/{supervised.UUID}")
    assert "hidden-1" not in errors + json.dumps(asked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"devices = 5\n", "devices"),
        (b"[devices]\nvan = 5\n", "devices.van"),
        (b"[sinks]\nx = 1\n[devices.van]\nfamily = 3\n", "devices.van"),
        (b"\xff\xfe[devices.van]\n", "UTF-8"),
        (b"= nonsense", "TOML"),
    ],
)
def test_an_unusable_file_of_the_owner_is_told(folders: Folders, content: bytes, word: str) -> None:
    (folders.config / "CONFIG.toml").write_bytes(content)
    process = folders.start()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 78, errors
    assert word in errors
    assert "Traceback" not in errors


def test_without_a_file_the_owner_gets_an_example(folders: Folders) -> None:
    process = folders.start()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 78, errors
    assert "[devices.van]" in (folders.config / "CONFIG.toml").read_text()


def test_every_word_of_the_command_is_there() -> None:
    python, option, module = json.loads(dict(instructions(APP / "Dockerfile"))["CMD"])
    assert (python, option) == ("python", "-m")
    assert importlib.util.find_spec(module) is not None
