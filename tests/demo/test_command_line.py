"""What the demonstration refuses, and says, before it starts anything; how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo import __main__ as demonstration
from demo.__main__ import main, unless
from demo.folder import InUse, Kept, held
from demo.home_assistant import ZONE, HomeAssistant, HomeAssistantError, own_zone


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "99999"), "no port from 1 to 65535"),
        (("--port", "-1"), "no port from 1 to 65535"),
        (("--port", "http"), "no port from 1 to 65535"),
        (("--folder", "FILE"), "is a file, not a folder"),
        (("--folder", "FILE/below"), "can't be made: Not a directory"),
        (("--pictures", "FILE"), "is a file, not a folder"),
        (("--language", "it"), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_said(
    words: tuple[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main([word.replace("FILE", str(tmp_path / "file")) for word in words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_second_one_on_a_folder_is_refused_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path):
        assert main(["--folder", str(tmp_path), "--port", "8124"]) == 1
    assert f"runs on {tmp_path} already (process {os.getpid()})" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["demo.lock"]


def test_a_home_assistant_that_outlives_its_demonstration_keeps_the_folder(tmp_path: Path) -> None:
    with held(tmp_path) as lock:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with pytest.raises(InUse), held(tmp_path):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with held(tmp_path):
        pass


def test_pictures_need_a_browser_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "house"
    assert main(["--folder", str(folder), "--pictures", str(tmp_path / "pictures")]) == 1
    assert "--pictures needs Chromium: apt-get install" in capsys.readouterr().out
    assert list(folder.iterdir()) == []


def test_nothing_but_a_gx_that_can_not_run_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GX_PROGRAMS", str(tmp_path))
    assert main(["--folder", str(tmp_path / "house"), "--only", "victron_gx"]) == 1
    said = capsys.readouterr().out
    assert "the Victron GX can't be shown: dbus-daemon is not installed" in said
    assert "Ready" not in said
    assert not (tmp_path / "house" / "hass.log").exists()


async def test_each_wait_ends_on_stop() -> None:
    stop = asyncio.Event()
    tidied: list[str] = []

    async def wait_for_ever() -> int:
        stop.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            tidied.append("yes")

    async def fail() -> int:
        raise OSError("no")

    async def end() -> int:
        return 3

    async with asyncio.timeout(10):
        assert await unless(stop, wait_for_ever()) is None
        assert tidied == ["yes"]
        stop.clear()
        assert await unless(stop, end()) == 3
        with pytest.raises(OSError, match="no"):
            await unless(stop, fail())


def test_what_a_folder_has_is_told_where_an_option_is_another(tmp_path: Path) -> None:
    assert Kept.read(tmp_path) is None
    HomeAssistant(tmp_path, port=8123, language="nl").prepare()
    assert Kept.read(tmp_path) is None, "there is no user yet"
    families = ("inventum", "victron_gx")
    entries = [{"domain": "hardwired", "data": {"family": family}} for family in families]
    storage = tmp_path / ".storage"
    entries.append({"domain": "sun", "data": {}})
    users = [{"system_generated": True}, {"system_generated": False}]
    (storage / "auth").write_text(json.dumps({"data": {"users": users}}))
    (storage / "core.config_entries").write_text(json.dumps({"data": {"entries": entries}}))
    kept = Kept.read(tmp_path)
    assert kept == Kept("nl", frozenset(families))
    assert list(kept.unlike(None, None)) == []
    assert list(kept.unlike("nl", ["victron_gx", "inventum"])) == []
    assert list(kept.unlike("de", ["truma"])) == [
        "--language de is not applied: the folder is in nl.",
        "--only truma is not applied: the folder has inventum, victron_gx.",
    ]


def test_the_clock_is_that_of_this_computer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automation at a time that its owner reads from their own clock acts then."""
    zones: list[str] = []

    class Zoned(HomeAssistant):
        def __init__(self, *_arguments: Any, zone: str, **_more: Any) -> None:
            zones.append(zone)
            raise HomeAssistantError("it is not started")

    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setattr(demonstration, "HomeAssistant", Zoned)
    with pytest.raises(HomeAssistantError, match="not started"):
        main(["--folder", str(tmp_path), "--only", "inventum"])
    assert zones == ["America/New_York"]


@pytest.mark.parametrize("name", ["Asia/Tokyo", "UTC", "Etc/UTC"])
def test_a_time_zone_has_a_name_that_home_assistant_knows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", name)
    assert own_zone() == name
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    assert own_zone() == ZONE
