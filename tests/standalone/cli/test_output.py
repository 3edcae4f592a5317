"""Whoever reads the output may go, and the user may stop a verb: quietly, with one exit code."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.standalone.command import COMMAND, run

TESTS = Path(__file__).parents[2]
RECORDED = TESTS / "captures"
READ = {
    "help": ("--help",),
    "a verb's help": ("decode", "studer", "--help"),
    "version": ("version",),
    "ports": ("ports",),
    "decode sunsynk": ("decode", "sunsynk", f"{TESTS}/vectors/sunsynk/captures/dst_autumn.pcap"),
    "probe sunsynk": ("probe", "sunsynk", f"{RECORDED}/sunsynk/simulated/first.pcap"),
    "decode truma": ("decode", "truma", f"{TESTS}/cases/truma/p04_combi6e_d6.log"),
    "decode studer": ("decode", "studer", f"{RECORDED}/studer/simulated/first.jsonl"),
    "decode inventum": ("decode", "inventum", f"{RECORDED}/inventum/simulated/first.jsonl"),
    "record studer": ("record", "studer", "sim://"),
    "record inventum": ("record", "inventum", "sim://"),
    "record truma": ("record", "truma", "sim://"),
    "read studer": ("read", "studer", "sim://", "101", "3000", "3001"),
    "simulate studer": ("simulate", "studer", "--pty", "{folder}/studer"),
    "simulate sunsynk": ("simulate", "sunsynk", "--file", "-"),
}
STOPPED = {
    "record studer": ("record", "studer", "sim://"),
    "record inventum": ("record", "inventum", "sim://"),
    "simulate studer": ("simulate", "studer", "--pty", "{folder}/studer"),
    "simulate inventum": ("simulate", "inventum", "--pty", "{folder}/inventum"),
    "simulate truma": ("simulate", "truma", "--pty", "{folder}/truma"),
}


async def started(arguments: tuple[str, ...], folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        COMMAND, *(one.format(folder=folder) for one in arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )  # fmt: skip


@pytest.mark.parametrize("name", READ)
async def test_a_reader_that_has_enough_ends_it_quietly(name: str, tmp_path: Path) -> None:
    """Issue 12, number 16: ``| head -1``, also where an engine calls what prints."""
    process = await started(READ[name], tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert await process.stdout.read(1)
        transport = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        transport.close()
        assert process.stdin is not None
        process.stdin.write(b"no order\n")  # what only serves has then something to say
        told = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    for word in ("Traceback", "Broken pipe", "BrokenPipe", "Exception", "unforeseen", "lost"):
        assert word not in told


@pytest.mark.parametrize("name", STOPPED)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_the_user_stops_it_quietly(name: str, how: signal.Signals, tmp_path: Path) -> None:
    """Issue 12, number 16: Ctrl-C, and what a service manager sends."""
    process = await started(STOPPED[name], tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline()
        process.send_signal(how)
        told = (await process.stderr.read()).decode()
        assert await process.wait() == 130
    assert "Traceback" not in told
    assert "Exception" not in told


@pytest.mark.parametrize("family", ["sunsynk", "truma", "studer", "inventum"])
async def test_a_file_in_which_there_is_nothing_is_said(family: str, tmp_path: Path) -> None:
    """Issue 12, number 16: of every family, in words, with an exit code."""
    nothing = tmp_path / "nothing"
    for content, words in ((b"", "the file is empty"), (b"\xff\xfe\0garbage", "")):
        nothing.write_bytes(content)
        code, records, told = await run("decode", family, str(nothing))
        assert (code, records) == (1, [])
        assert words in told
        assert told
        assert "Traceback" not in told
