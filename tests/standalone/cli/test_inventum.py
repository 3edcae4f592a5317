"""``hardwired decode|record|probe|simulate inventum``, run as a user runs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.verbs.inventum.recording import chunks_of, heard_in
from hardwired_engines.inventum.recording import Decoder
from hardwired_engines.inventum.simulator import pages
from hardwired_engines.inventum.simulator.device import SimulatedEcolution
from hardwired_engines.inventum.simulator.faults import Fault, Trouble
from hardwired_engines.inventum.simulator.settings import SimulatorSettings
from tests.standalone.command import COMMAND, run, until
from tests.vector_files import cases

QUICK = ("odds=1", "interval=0.5", "header=short")
SIM = "sim://?odds=1&interval=0.5&header=short"


class Unit:
    """A simulated unit in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[dict[str, Any]] = []
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.told.append(json.loads(line))

    def order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def says(self, **wanted: Any) -> None:
        await until(lambda: any(wanted.items() <= one.items() for one in self.told))

    async def close(self) -> None:
        self._reading.cancel()
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()


@asynccontextmanager
async def simulated(*arguments: str) -> AsyncIterator[Unit]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "simulate", "inventum", *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    unit = Unit(process)
    try:
        await unit.says(event="ready")
        yield unit
    finally:
        await unit.close()


async def test_recorded_on_a_terminal_and_decoded(tmp_path: Path) -> None:
    port, file = tmp_path / "ecolution", tmp_path / "my.rec"
    async with simulated("--pty", str(port), *QUICK) as unit:
        code, _, told = await run(
            "record", "inventum", str(port), "-o", str(file), "--seconds", "12"
        )
        assert code == 0, told
        await unit.says(event="page", page="logger")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    sent = b"".join(bytes.fromhex(one["data"]) for one in lines if one["direction"] == "out")
    assert sent.count(b"<code>") == 6
    assert b"3845" not in sent
    code, decoded, _ = await run("decode", "inventum", str(file))
    assert code == 0
    screens = [one["view"] for one in decoded if one["event"] == "screen"]
    assert "login" in screens
    assert "extra_menu" in screens
    [columns] = [one for one in decoded if one["event"] == "columns"]
    assert columns["columns"][0] == ["St", "Temp. boiler (C)"]
    rows = [one for one in decoded if one["event"] == "row"]
    assert len(rows) >= 3
    assert {row["fan_position"] for row in rows} == {2}


async def test_a_page_that_is_drawn_again_puts_no_code_into_the_recording() -> None:
    page = b"\x1b[2J\x1b[3;1HVoer code in : "

    async def terminal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        typed = b""
        writer.write(page)
        while key := await reader.read(1):
            if key.isdigit():
                typed += key
                writer.write(key)
            elif key == b"\r":
                writer.write(page + typed + b"\r\nFOUT\r\n" + page)
                typed = b""

    async with await asyncio.start_server(terminal, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        code, lines, _ = await run(
            *("record", "inventum", f"socket://127.0.0.1:{port}", "--seconds", "3"),
            *("--login-code", "84629173"),
        )
    assert code == 0
    heard = b"".join(bytes.fromhex(one["data"]) for one in lines if one["direction"] == "in")
    assert b"FOUT" in heard
    assert not {b"84", b"62", b"91", b"73"} & {heard[at : at + 2] for at in range(len(heard))}


async def test_probe_on_tcp_and_of_nothing(tmp_path: Path) -> None:
    async with simulated("--listen", "0", *QUICK) as unit:
        url = next(one["connect_to"] for one in unit.told if one["event"] == "ready")
        code, [said], _ = await run("probe", "inventum", url)
        assert (code, said["reason"], said["screen"]) == (0, None, "login")
    master, slave = os.openpty()
    code, [said], _ = await run("probe", "inventum", os.ttyname(slave), "--seconds", "1")
    assert (code, said["reason"]) == (3, "silent")
    os.close(master)
    os.close(slave)
    code, _, told = await run("probe", "inventum", str(tmp_path / "none"))
    assert code == 1
    assert told.startswith(f"hardwired: {tmp_path / 'none'}: No such file or directory; check")
    assert told.count("\n") == 1


async def test_orders_and_wrong_arguments(tmp_path: Path) -> None:
    async with simulated("--pty", str(tmp_path / "e"), *QUICK) as unit:
        await unit.says(event="fan", position=2)
        unit.order(wall_switch=3)
        await unit.says(event="fan", position=3)
        unit.order(fault="nonsense")
        await unit.says(event="refused")
    for wrong in ("nonsense=1", "odds=0", "interval=never"):
        code, _, told = await run("simulate", "inventum", wrong)
        assert code == 2
        assert wrong.partition("=")[0] in told
    code, _, told = await run("simulate", "inventum", "refused_to=nowhere")
    assert (code, "login, challenge" in told) == (2, True), told
    code, _, told = await run("simulate", "inventum", "--fault", "nonsense")
    assert code == 2
    places = {("--pty", "/no/such/folder/x"): 1, ("--listen", "abc"): 2, ("--listen", ":99999"): 2}
    for place, wanted in places.items():
        code, _, told = await run("simulate", "inventum", *place)
        assert (code, told.count("\n")) == (wanted, 1), told
    code, _, _ = await run("decode", "inventum", "-", stdin=b'{"nonsense": 1}\n')
    assert code == 1
    code, said, told = await run("decode", "inventum", "-", stdin=b"")
    assert (code, said) == (1, [])
    assert "empty" in told


def test_the_page_names_every_setting_and_fault() -> None:
    page = (Path(__file__).parents[3] / "docs/inventum-simulator.md").read_text(encoding="utf-8")
    for name in (*(item.name for item in fields(SimulatorSettings)), *Fault):
        assert f"`{name}" in page, name


async def test_a_name_that_another_simulator_has(tmp_path: Path) -> None:
    port = tmp_path / "ecolution"
    async with simulated("--pty", str(port), *QUICK):
        await until(port.exists)
        code, _, told = await run("simulate", "inventum", "--pty", str(port))
        assert (code, told) == (1, f"hardwired: {port}: another simulator has this name\n")
        assert port.exists()
    await until(lambda: not port.exists())


def test_how_long_the_port_is_gone() -> None:
    unit = SimulatedEcolution(SimulatorSettings())
    unit.inflict(Trouble.read("unplug:20"), 0.0)
    assert not unit.plugged(19.9)
    assert unit.plugged(20.1)
    unit.inflict(Trouble.read("unplug"), 30.0)
    assert (unit.plugged(32.9), unit.plugged(33.1)) == (False, True)


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "dialogues.json"))
def test_what_the_dialogues_print_is_decoded(case: dict[str, Any]) -> None:
    decoder = Decoder()
    rows = []
    for step in case["steps"]:
        if "link" in step:
            decoder = Decoder()
        if "device" in step:
            found = decoder.receive_data(bytes.fromhex(step["device"]))
            rows += [record for record in found if record["event"] == "row"]
    positions = [row["fan_position"] for row in rows]
    if not case["id"].startswith(("random", "header", "rows_while")):
        assert positions[-len(case["expect"]["positions"]) :] == case["expect"]["positions"]


RAW = b"".join(
    (
        pages.login(), b"3845\r\n", pages.challenge("12345"), b"19\r\n", pages.menu(), b"6",
        pages.list_page(
            [pages.ListRow(16, "Compressor", "0"), pages.ListRow(17, "3-standen", "2")],
            1, "[", scrolling=False, clear=True,
        ),
        *[pages.menu(), b"9", pages.preamble(10), b"S,Temp. boiler (C),S,3-standen\r\n",
          *[b"0,45.5,0,2\r\n"] * 3] * 2,
    )
)  # fmt: skip


@pytest.mark.parametrize("cut", [1, 7, 64, 1 << 20])
def test_every_page_of_raw_bytes_is_said(cut: int) -> None:
    """Only the last page was, of what a terminal program writes down: it has no times."""
    decoder = Decoder()
    said: list[Mapping[str, Any]] = []
    for start in range(0, len(RAW), cut):
        said += decoder.receive_data(RAW[start : start + cut])
    known = [one for one in said if one.get("view") != "unknown"]
    told = [one["view"] if one["event"] == "screen" else one["event"] for one in known]
    once = [one for one, before in zip(told, [None, *told], strict=False) if one != before]
    run = ["extra_menu", "logger", "columns", "row"]
    assert once == ["login", "challenge", "extra_menu", "io_status", *run, *run]
    [page] = [one for one in known if one.get("view") == "io_status"][-1:]
    assert (page["selected_row"], page["fan_row"]) == (5, 5)
    assert told.count("row") == 6


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_decoded(chunks: list[bytes]) -> None:
    decoder = Decoder()
    for chunk in chunks:
        for record in decoder.receive_data(chunk):
            json.dumps(record)


@given(st.binary())
def test_any_file_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(chunks_of(raw))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("gap", ["", " ", "\n  "])
def test_a_recording_however_it_was_saved(encoding: str, gap: str) -> None:
    lines = [
        f'{{{gap.strip(chr(10))}"direction": "{way}", "data": "4849"}}' for way in ("in", "out")
    ]
    text = gap + "\r\n".join(lines)
    assert list(heard_in(text.encode(encoding))) == [b"HI"]
