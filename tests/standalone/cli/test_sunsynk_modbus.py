"""The console command on Modbus: simulated inverters on a terminal and behind a gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ..command import COMMAND, run

SERIAL = "2200000001"


@asynccontextmanager
async def simulated(*arguments: str) -> AsyncIterator[str]:
    """Play inverters in a process of their own; yields where they are reached."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "simulate", "sunsynk", "modbus", *arguments,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            ready = json.loads(await process.stdout.readline())
        yield ready["connect_to"]
    finally:
        process.terminate()
        assert await process.wait() == 130


async def test_an_inverter_on_a_terminal_is_probed(tmp_path: Path) -> None:
    link = tmp_path / "inverter"
    async with simulated("--pty", str(link)):
        while not link.exists():
            await asyncio.sleep(0.02)
        code, (found,), _ = await run("probe", "sunsynk", str(link))
    assert code == 0
    assert found["inverters"] == [{"serial": SERIAL, "model": "5.0 kW hybrid inverter"}]
    assert found["settings"] == {"framing": "rtu"}


async def test_a_gateway_is_probed_and_a_config_checked(tmp_path: Path) -> None:
    async with simulated("--tcp", "127.0.0.1:0", "--inverters", "2") as link:
        code, (found,), _ = await run(
            "probe", "sunsynk", link.removeprefix("socket://"), "--units", "1,2"
        )
        assert code == 0
        assert [one["serial"] for one in found["inverters"]] == [SERIAL, "2200000002"]
        assert found["settings"] == {"framing": "tcp"}
        config = tmp_path / "CONFIG.toml"
        config.write_text(
            f'[devices.roof]\nfamily = "sunsynk"\nsource = "modbus"\nlink = "{link}"\n'
            "units = [2]\nwrite_enabled = true\n"
        )
        code, steps, _ = await run("check", str(config), "--json")
        assert code == 0, steps
        assert {"step": "devices.roof", "ok": True, "text": "Sunsynk 0001, Sunsynk 0002"} in steps


async def test_a_gateway_that_passes_raw_frames_on_is_found_out() -> None:
    async with simulated("--tcp", "127.0.0.1:0", "--rtu") as link:
        code, (found,), _ = await run("probe", "sunsynk", link, "--framing", "rtu")
    assert code == 0
    assert found["settings"] == {"framing": "rtu"}


async def test_who_does_not_answer_is_told() -> None:
    async with simulated("--tcp", "127.0.0.1:0", "--type", "5") as link:
        code, (found,), told = await run("probe", "sunsynk", link)
        assert (code, found["inverters"]) == (3, [])
        assert told.startswith("asking who answers, for 30 s at most\n")
        assert "three-phase" in told
    code, _, told = await run("probe", "sunsynk", "127.0.0.1:1")
    assert code == 1
    assert "Connect call failed ('127.0.0.1', 1)" in told


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("simulate", "sunsynk", "modbus", "--file", "x"), "--pty or --tcp"),
        (("simulate", "sunsynk", "--pty", "x"), "--tcp or into"),
        (("simulate", "sunsynk", "modbus", "--tcp", "host:x"), "HOST:PORT"),
        (("simulate", "sunsynk", "modbus", "--tcp", "h:1", "--fault", "magic=1"), "no such fault"),
        (("simulate", "sunsynk", "modbus", "--tcp", "h:1", "--fault", "drop=2"), "0 to 1"),
        (("probe", "sunsynk", "/dev/null", "--units", "0"), "1 to 247"),
        (("probe", "sunsynk", "/dev/null", "--serial", "x"), "9600 8N1"),
    ],
)
async def test_what_cannot_be_is_named(arguments: tuple[str, ...], word: str) -> None:
    code, _, told = await run(*arguments)
    assert code != 0
    assert word in told
