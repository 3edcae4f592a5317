"""What the verbs of all families have in common."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from hardwired.cli.main import main
from tests.standalone.command import COMMAND, until

FAMILIES = ("inventum", "studer", "sunsynk", "truma")
FOREIGN = {
    "passwd": b"root:x:0:0:root:/root:/bin/bash\nbin:x:1:1::/:/usr/sbin/nologin\n",
    "program": b"\x7fELF\x02\x01\x01\0" + bytes(range(256)) * 20,
    "empty": b"",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_foreign_file_is_no_success(
    family: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(FOREIGN[name])
    assert main(["decode", family, str(file)]) in (1, 3)
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "inventum", "odds"),
        ("simulate", "inventum", "waking=never"),
        ("simulate", "inventum", "--fault", "reboot:soon"),
        ("simulate", "studer", "--fault", "gremlins"),
        ("simulate", "sunsynk", "--file", "x", "--fault", "meteor=1"),
        ("simulate", "sunsynk", "modbus", "--tcp", "--fault", "meteor"),
        ("simulate", "truma", "--fault", "meteor"),
        ("set", "truma", "sim://", "voltage=12"),
        ("probe", "inventum", "sim://?nonsense=1"),
        ("probe", "truma", "udp://"),
        ("record", "studer", "tcp://here"),
    ],
)
def test_wrong_arguments_end_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code = None
    with contextlib.suppress(SystemExit):
        code = main(arguments)
    assert code in (2, None)  # argparse ends by itself, with 2
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize("family", ["inventum", "studer", "truma"])
def test_a_port_that_is_not_there_is_not_recorded(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", family, str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "family, link", [("inventum", "sim://?odds=1"), ("studer", "sim://"), ("truma", "sim://")]
)
async def test_what_was_recorded_is_said_at_ctrl_c(family: str, link: str, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    process = await asyncio.create_subprocess_exec(
        COMMAND, "record", family, link, "-o", str(file),
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    await until(lambda: file.exists() and file.read_bytes().count(b"\n") > 5)
    os.kill(process.pid, signal.SIGINT)
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == 130, told
    assert b" recorded" in told
