"""Called by an old program's name (spec a.2)."""

from __future__ import annotations

import getpass
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hardwired.cli import dropin, units
from hardwired.config.reader import read_config
from hardwired.version import program_version

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


def test_two_files_of_one_program_run_side_by_side(calls: list[list[str]]) -> None:
    # Exactly one source a file: who reads two runs sunsniff twice.
    Path("other.toml").write_text(OLD["sunsniff"])
    paths = []

    def command(words: Sequence[str]) -> int:
        paths.append(Path(words[-1]))
        return 0

    for name in ("s.toml", "other.toml", str(Path("s.toml").resolve())):
        assert dropin.run("sunsniff", [name], command) == 0
    first, other, again = paths
    assert first == again
    assert first != other
    folders = {read_config(path.read_bytes()).value["bridge"]["state_dir"] for path in paths}
    assert folders == {str(first.parent), str(other.parent)}
    assert first.parent != other.parent


@pytest.mark.parametrize(
    ("arguments", "there", "run"),
    [
        (["-c", "own.yml"], ("own.yml", "miqro.yml", "etc.yml"), "own"),
        (["--config", "own.yml"], ("miqro.yml", "etc.yml"), "miqro"),
        ([], ("own.yml", "etc.yml"), "etc"),
        (["-c", "own.yml"], (), None),
    ],
)
def test_where_the_file_of_truma_service_is_looked_for(
    calls: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    there: Sequence[str],
    run: str | None,
) -> None:
    monkeypatch.setattr(dropin, "TRUMA_FILES", (Path("miqro.yml"), Path("etc.yml")))
    Path("miqro.yml").unlink()
    for name in there:
        Path(name).write_text(f"broker:\n  host: {name.removesuffix('.yml')}\n")
    found = []

    def command(words: Sequence[str]) -> int:
        found.append(read_config(Path(words[-1]).read_bytes()).value["sinks"]["mqtt"]["host"])
        return 0

    assert dropin.run("truma_service", arguments, command) == (0 if run else 1)
    assert found == ([run] if run else [])


def test_the_environment_of_truma_service_counts(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEBUG_LIN", "")
    monkeypatch.setenv("LOG_DIR", "/x")
    found = []

    def command(words: Sequence[str]) -> int:
        found.append(read_config(Path(words[-1]).read_bytes()).value["log"]["levels"])
        return 0

    assert dropin.run("truma_service", [], command) == 0
    assert found == [{"truma": "debug"}]
    assert "services.truma.log_dir is not carried over" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("sunsniff", ["none.toml"], 1),
        ("truma_service", ["-d", "test/"], 1),
        ("Program.py", [], 2),
        ("Program.py", ["dance"], 2),
        ("Program.py", ["start"], 1),
        ("xtmq", ["dance"], 1),
        ("xtmq", [], 0),
        ("xtmq", ["help"], 0),
        ("xtmq", ["install"], 0),
        ("xtmq", ["service", "dance"], 1),
        ("xtmq", ["run", "--config"], 1),
    ],
)
def test_other_calls(calls: list[list[str]], name: str, arguments: list[str], code: int) -> None:
    assert dropin.run(name, arguments, lambda _words: 0) == code


@pytest.mark.parametrize(
    ("name", "arguments", "printed"),
    [
        ("xtmq", ["help"], "usage: xtmq "),
        ("xtmq", ["--version"], program_version() + "\n"),
        ("xtmq", [], f"xtmq: hardwired {program_version()} "),
        ("Program.py", ["dance"], "Unknown command\n"),
        ("Program.py", [], "usage: /old/Program.py start|stop|restart|foreground\n"),
        ("xtmq", ["dance"], None),
    ],
)
def test_answers_are_printed_where_the_old_program_printed_them(
    name: str,
    arguments: list[str],
    printed: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/old/{name}"])
    dropin.run(name, arguments, lambda _words: 0)
    said = capsys.readouterr()
    assert said.out.startswith(printed) if printed else not said.out
    assert bool(said.err) is (printed is None)


def test_where_the_file_of_xtmq_is_looked_for(
    calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told, else below the folder it runs in, else beside the program itself."""
    program = tmp_path / "program" / "xtmq"
    beside = program.parent / dropin.XTENDER_FILE
    monkeypatch.setattr(sys, "argv", [str(program)])

    def looked_for(*words: str) -> str:
        found: list[Path] = []
        monkeypatch.setattr(dropin, "_bridge", lambda _name, file, _run: found.append(file) or 0)
        dropin.run("xtmq", ["run", *words], lambda _words: 0)
        return str(found[0])

    assert looked_for() == str(dropin.XTENDER_FILE)
    assert looked_for("-c", "my.yaml") == "my.yaml"
    dropin.XTENDER_FILE.unlink()
    assert looked_for() == str(dropin.XTENDER_FILE)
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert looked_for() == str(beside)


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ("trace", "debug"),
        ("warn", "warning"),
        ("off", "error"),
        ("sunsniff=debug", "debug"),
        ("warn,sunsniff::pcap=trace", "warning"),
        ("error,sunsniff=Info/regex", "info"),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_log_level_of_sunsniff(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch, told: str | None, level: str | None
) -> None:
    # Sunsynk g.2: RUST_LOG is an alias of our own option.
    monkeypatch.delenv("RUST_LOG", raising=False)
    if told is not None:
        monkeypatch.setenv("RUST_LOG", told)

    def command(words: Sequence[str]) -> int:
        calls.append(list(words))
        return 0

    assert dropin.run("sunsniff", ["s.toml"], command) == 0
    assert calls[0][:-2] == ([] if level is None else ["--log-level", level])


def test_the_version_of_sunsniff(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        dropin.run("sunsniff", ["--version"], lambda _words: 0)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("hardwired ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where units go, and no systemd to be told."""
    found = tmp_path / "units"
    found.mkdir()
    monkeypatch.setattr(units, "FOLDER", found)
    monkeypatch.setenv("PATH", str(found))
    return found


def test_install_writes_a_unit_of_the_old_name_that_runs_us(
    calls: list[list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Truma g.1: Restart=always, RestartSec=20, User=root unless -u; Studer g: xtender_mqtt, 10 s.
    me = getpass.getuser()
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/truma_service"])
    assert dropin.run("truma_service", ["-c", "miqro.yml", "-u", me], lambda _words: 0) == 0
    text = (folder / "miqro_truma.service").read_text()
    assert f'ExecStart="/usr/local/bin/truma_service" "-c" "{Path.cwd() / "miqro.yml"}"\n' in text
    assert f"User={me}\n" in text
    assert "Restart=always\nRestartSec=20\n" in text
    assert dropin.run("truma_service", ["--install"], lambda _words: 0) == 0
    assert "User=root\n" in (folder / "miqro_truma.service").read_text()
    monkeypatch.setattr(sys, "argv", ["/opt/100 %/xtmq"])
    assert dropin.run("xtmq", ["service", "install", me], lambda _words: 0) == 0
    text = (folder / "xtender_mqtt.service").read_text()
    assert 'ExecStart="/opt/100 %%/xtmq" "run"\n' in text
    assert f"WorkingDirectory={Path.cwd()}\n" in text
    assert "RestartSec=10\n" in text
    assert dropin.run("xtmq", ["service", "remove"], lambda _words: 0) == 0
    assert not (folder / "xtender_mqtt.service").exists()
    assert dropin.run("xtmq", ["service", "remove"], lambda _words: 0) == 0


def test_a_unit_that_can_not_be_written_is_told(
    calls: list[list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dropin.run("truma_service", ["-u", "nobody-of-that-name"], lambda _words: 0) == 1
    assert "useradd --system nobody-of-that-name" in capsys.readouterr().err
    folder.rmdir()
    assert dropin.run("truma_service", ["-u", getpass.getuser()], lambda _words: 0) == 1
    assert "miqro_truma.service" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_the_written_unit_is_well_formed(tmp_path: Path) -> None:
    unit = units.Unit(
        name="old", program="xtmq", command=("/bin/true", "run"), user="root", restart_after=10
    )
    path = tmp_path / "old.service"
    path.write_text(unit.text)
    found = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert not [line for line in found.stderr.splitlines() if "old.service:" in line]


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
