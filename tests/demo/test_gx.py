"""The GX of the demonstration: its programs, its display, and how it is left out."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from demo.gx import Gx
from tests.ports import free_port


async def test_it_runs_is_drawn_and_ends(tmp_path: Path) -> None:
    gx = Gx(tmp_path)
    gx.prepare()
    try:
        assert await gx.runs(), gx.why_not()
        assert gx.there
        drawn, end = tmp_path / "www/gx.svg", time.monotonic() + 60
        while not (drawn.exists() and "Fridge" in drawn.read_text()):
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert 'src="gx.svg"' in (tmp_path / "www/gx.html").read_text()
    finally:
        await gx.stop()
    assert not gx.there
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", gx.port)) != 0
    again = Gx(tmp_path)
    again.prepare()
    await again.stop()
    assert again.port == gx.port  # the entry of an earlier run knows this one


@pytest.mark.parametrize("program", ["mosquitto", "dbus-daemon"])
async def test_without_its_programs_it_is_left_out(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    if program == "mosquitto":
        (folder / "dbus-daemon").symlink_to("/usr/bin/dbus-daemon")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("GX_PROGRAMS", str(folder))
    gx = Gx(tmp_path / "house")
    gx.prepare()
    assert not await gx.runs()
    assert gx.why_not().startswith(f"{program} is not installed (Debian, Ubuntu: apt-get install")
    assert not gx.there


async def test_a_port_that_somebody_else_has_meanwhile(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "gx-port").write_text(str(port))
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        gx = Gx(tmp_path)
        gx.prepare()
        assert not await gx.runs()
        assert "address already in use" in gx.why_not().lower()
