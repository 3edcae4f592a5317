"""A link that can't be had is said once, with what to do about it."""

from __future__ import annotations

import os
import socket
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.standalone.command import run

pytestmark = pytest.mark.slow

NONE = "/dev/ttyUSB99"
VERBS = {
    "probe inventum": (),
    "probe studer": (),
    "probe sunsynk": (),
    "probe truma": (),
    "record inventum": (),
    "record studer": (),
    "record truma": (),
    "set truma": ("target_temp_room=21",),
    "read studer": ("101", "3000"),
    "write studer": ("101", "1107", "5"),
}


@contextmanager
def closed_port() -> Iterator[int]:
    """A TCP port of this computer on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_port_that_is_not_there_is_said_once(verb: str) -> None:
    code, records, told = await run(*verb.split(), NONE, *VERBS[verb])
    assert (code, records) == (1, [])
    last = told.splitlines()[-1]
    assert last.startswith(f"hardwired: {NONE}: No such file or directory; ")
    assert "'hardwired ports' lists" in last
    assert told.count(NONE) == 1


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "record inventum"])
async def test_a_gateway_that_refuses_is_said_once(verb: str) -> None:
    with closed_port() as port:
        scheme = "tcp" if "studer" in verb else "socket"
        link = f"{scheme}://127.0.0.1:{port}"
        code, records, told = await run(*verb.split(), link, *VERBS[verb])
    assert (code, records) == (1, [])
    assert told.count(str(port)) == 1
    assert told.endswith("; check the port's number, and that the gateway serves\n")


async def test_a_level_that_is_asked_for_shows_the_log_too() -> None:
    _, _, told = await run("--log-level", "warning", "probe", "truma", NONE)
    assert told.count(NONE) == 2


@pytest.mark.parametrize("family", ["inventum", "truma"])
async def test_what_to_do_about_a_silence_is_said(family: str) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        code, _, told = await run("probe", family, os.ttyname(slave), "--seconds", "1")
    finally:
        os.close(master)
        os.close(slave)
    assert code == 3
    assert told.splitlines()[-1].startswith("hardwired: silent; not one byte arrives: check the")


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "inventum"),
        ("simulate", "studer"),
        ("simulate", "sunsynk", "modbus"),
        ("simulate", "truma"),
        ("replay", "truma", "-"),
        ("replay", "studer", "-"),
    ],
)
async def test_a_terminal_in_no_folder_is_no_terminal(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    code, records, told = await run(*arguments, "--pty", str(tmp_path / "none/port"))
    assert (code, records) == (1, [])
    assert told == f"hardwired: {tmp_path / 'none'}: there is no such folder\n"


async def test_an_address_that_is_not_ours_is_named_without_a_stack() -> None:
    code, records, told = await run("simulate", "sunsynk", "modbus", "--tcp", "192.0.2.1:1502")
    assert (code, records) == (1, [])
    assert "192.0.2.1" in told
    assert len(told.splitlines()) == 1
