"""Called by an old program's name (spec a.2)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hardwired.cli import dropin
from hardwired.config.reader import read_config

OLD = {
    "sunsniff": '[pcap]\ndevice = "eth0"\ntimezone = "UTC"\n[[mqtt]]\nurl = "mqtt://h"\n',
    "truma_service": "broker:\n  host: h\nservices:\n  truma: {}\n",
    "Program.py": "[mqtt]\nserver = h\n",
    "xtmq": (
        "mqtt_setup:\n  mqtt_username:\n  mqtt_client_id:\n  mqtt_broker: h\n  mqtt_password:\n"
        "  mqtt_port:\n  mqtt_root_prefix:\ndevice_manager_config:\n  scom:\n"
        "    interface: /dev/x\n    baudrate: '38400'\n  number_of_scom_devices:\n    xtender: 2\n"
    ),
}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dropin, "INVENTUM_FILE", tmp_path / "inventumusb.conf")
    monkeypatch.setattr(dropin, "TRUMA_FILES", (Path("miqro.yml"),))
    (tmp_path / "inventumusb.conf").write_text(OLD["Program.py"])
    (tmp_path / "miqro.yml").write_text(OLD["truma_service"])
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "user_config.yaml").write_text(OLD["xtmq"])
    (tmp_path / "s.toml").write_text(OLD["sunsniff"])
    return []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sunsniff", ["s.toml"]),
        ("truma_service", []),
        ("truma_service", ["-c", "miqro.yml"]),
        ("Program.py", ["foreground"]),
        ("xtmq", ["run"]),
    ],
)
def test_the_old_file_is_run(calls: list[list[str]], name: str, arguments: list[str]) -> None:
    def command(words: Sequence[str]) -> int:
        calls.append(list(words))
        return 0

    assert dropin.run(name, arguments, command) == 0
    ((verb, path),) = calls
    assert verb == "run"
    content = Path(path)
    assert content.stat().st_mode & 0o777 == 0o600
    assert read_config(content.read_bytes()).ok


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("sunsniff", ["none.toml"], 1),
        ("Program.py", [], 2),
        ("Program.py", ["dance"], 2),
        ("Program.py", ["start"], 1),
        ("xtmq", ["dance"], 1),
        ("xtmq", [], 0),
        ("xtmq", ["help"], 0),
        ("xtmq", ["service", "install"], 0),
        ("truma_service", ["--install"], 1),
    ],
)
def test_other_calls(calls: list[list[str]], name: str, arguments: list[str], code: int) -> None:
    assert dropin.run(name, arguments, lambda _words: 0) == code


def test_an_unusable_file_ends_with_1(calls: list[list[str]]) -> None:
    assert dropin.run("sunsniff", ["s.toml"], lambda _words: 78) == 1
    assert dropin.run("xtmq", ["run"], lambda _words: 130) == 1
    Path("s.toml").write_text("nonsense")
    assert dropin.run("sunsniff", ["s.toml"], lambda _words: 0) == 1


def test_a_link_of_the_old_name_is_enough(tmp_path: Path) -> None:
    link = tmp_path / "xtmq"
    link.write_text("import sys\nfrom hardwired.cli.main import main\nsys.exit(main())\n")
    found = subprocess.run(
        [sys.executable, str(link), "dance"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert found.stderr.startswith("usage: xtmq")
