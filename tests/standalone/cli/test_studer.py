"""``hardwired decode|record|probe studer``, run as a user runs it."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hardwired.cli.main import main
from hardwired.cli.verbs.studer.recording import read_chunks
from hardwired_engines.simulating import on_pty
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import Request, Service, read_info
from hardwired_engines.studer.scom.parser import Parser
from tests.engines.studer.double import Double, plant
from tests.ports import free_port
from tests.standalone.command import run, until
from tests.vector_files import load

pytestmark = pytest.mark.slow


@asynccontextmanager
async def on_a_port(double: Double, port: Path) -> AsyncIterator[None]:
    task = asyncio.ensure_future(on_pty(lambda: double, port))
    await until(lambda: os.path.lexists(port))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_a_command_waits_for_is_told() -> None:
    code, (read,), told = await run("read", "studer", "sim://", "101", "3000")
    assert (code, read["unit"]) == (0, "V")
    assert told == (
        "waiting until the plant has said who is there\nconnected; waiting until 101 has answered\n"
    )


@pytest.mark.usefixtures("impatient")
def test_a_gateway_that_does_not_call_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    link = f"listen://127.0.0.1:{free_port()}"
    assert main(["read", "studer", link, "101", "3000"]) == 1
    assert "nobody has answered within 1 s" in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a command wait for a second only."""
    monkeypatch.setattr("hardwired.cli.verbs.studer.commands.CONNECT_SECONDS", 1.0)


@pytest.mark.vectors
async def test_every_capture_is_decoded() -> None:
    captures = load("studer", "captures.json")["captures"]
    dump = "\n".join(capture["frame"] for capture in captures)
    code, records, _ = await run("decode", "studer", "-", "--summary", stdin=dump.encode())
    assert code == 0
    assert [record["frame"] for record in records[:-1]] == [c["frame"] for c in captures]
    assert records[-1]["summary"]["frames"] == len(captures)
    assert records[-1]["summary"]["bytes_discarded"] == 0
    for capture, record in zip(captures, records, strict=False):
        requested = capture["direction"] == "to device"
        assert (record["kind"] == "request") is requested
        if "value" in capture:
            assert record["value"] == capture["value"]


FRAME = read_info(101, 3021).answer(bytes.fromhex("0f756643"))


@pytest.mark.parametrize(
    "raw",
    [
        FRAME.encode(),
        b"\xff" + FRAME.encode() + b"\r\n",
        FRAME.encode().hex().encode(),
        FRAME.encode().hex(" ").upper().encode(),
        b"# a note\n< " + FRAME.encode().hex(" ").encode() + b"\n",
        b"00000000: " + FRAME.encode().hex(" ", 2).encode() + b"  .4e....\n",
        json.dumps({"time": "t", "direction": "in", "data": FRAME.encode().hex()}).encode(),
        FRAME.encode()[:9].hex().encode() + b"\n" + FRAME.encode()[9:].hex().encode(),
        codecs.BOM_UTF8 + FRAME.encode().hex().encode(),
        ("< " + FRAME.encode().hex(" ") + "\r\n").encode("utf-16"),
        "".join(f"{byte:02x}\n" for byte in FRAME.encode()).encode("utf-16"),
        f"# de l'installation à Genève\n{FRAME.encode().hex()}\n".encode(),
        f"2026-01-02 03:04:05.678 DEBUG [xcom]  <-- {FRAME.encode().hex()}\nclosed\n".encode(),
        f"recv 30 bytes ({FRAME.encode().hex()}), decoded: Package(...)\n".encode(),
        f"12:00:01:123 RX: {FRAME.encode().hex(' ')}\n".encode(),
        f"[01/02/26] {', '.join(f'0x{byte:02X}' for byte in FRAME.encode())};\n".encode(),
    ],
)
async def test_all_kinds_of_recordings(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "dump"
    file.write_bytes(raw)
    code, (record,), _ = await run("decode", "studer", str(file))
    assert code == 0
    assert record["device"] == "Xtender 1"
    assert record["key"] == "output_voltage"
    assert (record["value"], record["unit"]) == (230.45726, "V")


ASKED = read_info(101, 3021).encode()
TAIL = Request(501, Service.READ, 4, 0, 0).answer(bytes(range(0x41, 0x51))).encode() + bytes(3)
STREAM = ASKED + FRAME.encode() + TAIL
"""Three frames of which none begins or ends with a row of 16 bytes, and three bytes of noise."""


def rows(size: int = 16) -> list[tuple[int, bytes, str]]:
    return [
        (at, row, "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row))
        for at in range(0, len(STREAM), size)
        if (row := STREAM[at : at + size])
    ]


def in_halves(row: bytes) -> str:
    return f"{row[:8].hex(' ')}  {row[8:].hex(' ')}".ljust(49)


def turned(row: bytes) -> str:
    row += bytes(len(row) % 2)
    return bytes(row[at ^ 1] for at in range(len(row))).hex(" ", 2)


def each(write: Callable[[bytes], str]) -> str:
    return "\n".join(write(part) for part in (ASKED, FRAME.encode(), TAIL))


def escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def in_octal(data: bytes) -> str:
    return "".join(f"\\{byte:o}" if byte < 48 or byte > 57 else f"\\{byte:03o}" for byte in data)


DUMPS = {
    "hexdump -C": "\n".join(f"{at:08x}  {in_halves(row)} |{text}|" for at, row, text in rows()),
    "a stream of Wireshark": "\n".join(
        f"    {at:08X}  {in_halves(row).upper()}  {text[:8]} {text[8:]}" for at, row, text in rows()
    ),
    "hexdump": "\n".join(f"{at:07x} {turned(row)}" for at, row, _ in rows()),
    "od -x": "\n".join(f"{at:07o} {turned(row)}" for at, row, _ in rows()),
    "od -A x -t x1": "\n".join(f"{at:06x} {row.hex(' ')}" for at, row, _ in rows()),
    "xxd -c 32": "\n".join(f"{at:08x}: {row.hex(' ', -2):80} {text}" for at, row, text in rows(32)),
    "tcpdump -X": "\n".join(
        f"\t0x{at:04x}:  {row.hex(' ', -2):39}  {text}" for at, row, text in rows()
    ),
    "socat -v -x": "\n".join(f" {row.hex(' '):48} {text}" for _, row, text in rows()),
    "C": "char x[] = {\n" + "\n".join(
        ", ".join(f"0x{byte:02x}" for byte in row) + " };" * (at + 8 >= len(STREAM))
        for at, row, _ in rows(8)
    ),
    "logged as Python writes bytes": each(lambda data: f"12:00:01 DEBUG {data!r}"),
    "logged with escapes": each(lambda data: f'read(3, "{escaped(data)}", 64) = 3'),
    "logged in octal": each(lambda data: f'read(3, "{in_octal(data)}", 64) = 3'),
    "logged in decimal": each(lambda data: f"got {list(data)}"),
    "logged in short hexadecimal": each(lambda data: " ".join(f"{byte:#x}" for byte in data)),
    "logged with semicolons": each(lambda data: data.hex(";").upper()),
    "logged with an h": each(lambda data: " ".join(f"{byte:02X}h" for byte in data)),
    "logged beside a digest": each(lambda data: f"{'ab' * 48} {data.hex()}"),
    "logged in pieces": "opened\n" + "\n".join(
        f"12:00 RX: {row.hex(' ')}" for _, row, _ in rows(4)
    ),
    "logged in wrapped lines": each(
        lambda data: f"12:00 RX: {data[:16].hex(' ')}\n    {data[16:].hex(' ')}"
    ),
    "logged in colours": each(lambda data: f"\x1b[32m12:00:01 DEBUG recv {data.hex()}\x1b[0m"),
    "a log after a power cut": "\0" * 600 + each(lambda data: f"12:00 recv {data.hex()}"),
    "a list": json.dumps([{"data": row.hex()} for _, row, _ in rows()]),
    "diagnostics": json.dumps(
        {"home_assistant": {"version": "1"}, "data": {"frames": [
            {"time": "2026-01-01T00:00:00", "direction": "in", "data": row.hex()}
            for _, row, _ in rows()
        ]}},
        indent=2,
    ),
    "among other lines": "Traceback:\n"
    + each(lambda data: json.dumps({"data": data.hex()}))
    + "\n{",
}  # fmt: skip


@pytest.mark.parametrize("dump", DUMPS.values(), ids=DUMPS)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
async def test_every_byte_of_a_dump_is_read(dump: str, end: str) -> None:
    raw = dump.replace("\n", end).encode()
    code, records, _ = await run("decode", "studer", "-", stdin=raw)
    assert code == 0
    assert [record["frame"] for record in records] == [
        ASKED.hex(), FRAME.encode().hex(), TAIL[:-3].hex(),
    ]  # fmt: skip


async def test_words_of_a_log_are_no_bytes() -> None:
    others = [
        '12:00 file "C:\\plant\\readings" opened',
        "values 1 2 3 4 5 6 7 8 9 100 101 102 103 104 105 106 107",
        "2026-01-02 12:00:01 received 26 bytes in 3 pieces",
        'said "a \\"frame\\", and so on"',
    ]
    raw = "\n".join([FRAME.encode().hex(), *others]).encode()
    code, records, _ = await run("decode", "studer", "-", "--summary", stdin=raw)
    assert code == 0
    assert records[-1]["summary"]["bytes_discarded"] == 0


async def test_a_line_that_is_cut_off_takes_no_other_with_it() -> None:
    line = json.dumps({"data": FRAME.encode().hex()})
    raw = f"{line}\n{line}\n{line[:40]}".encode()
    code, records, told = await run("decode", "studer", "-", "--summary", stdin=raw)
    assert code == 0
    assert records[-1]["summary"]["frames"] == 2
    assert "1; line 3" in told


@pytest.mark.parametrize("zone", ["", "Z"])
async def test_a_silence_ends_a_broken_frame(tmp_path: Path, zone: str) -> None:
    raw = FRAME.encode()
    lines = [("00", raw[:20]), ("00.4", raw[20:21]), ("01", raw), ("xx", raw), ("02", raw)]
    file = tmp_path / "record"
    file.write_text(
        "".join(
            json.dumps({"time": f"2026-01-01T00:00:{second}{zone}", "data": data.hex()}) + "\n"
            for second, data in lines
        )
    )
    code, records, _ = await run("decode", "studer", str(file), "--summary")
    assert code == 0
    assert [record["time"][17:19] for record in records[:-1]] == ["01", "xx", "02"]
    assert records[-1]["summary"]["bytes_discarded"] == 21


@pytest.mark.parametrize("piece", [b"-", b"<", b">", b"00 ", b"00", b"12, ", b"'", b"<- 00"])
def test_the_time_for_a_line_grows_with_its_length_only(piece: bytes) -> None:
    """Counted in processor time; of a ruler of dashes it was half a minute."""
    before = time.process_time()
    list(read_chunks(piece * (100_000 // len(piece)) + b"x", lambda _: None))
    assert time.process_time() - before < 5


async def test_what_is_no_recording_is_said() -> None:
    code, records, told = await run("decode", "studer", "-", stdin=b"hello world\n")
    assert (code, records) == (1, [])
    assert "line 1" in told
    code, records, told = await run("decode", "studer", "/does/not/exist")
    assert code == 1


async def test_answers_of_a_wrong_length_are_told() -> None:
    write = Request(101, Service.WRITE, 2, 1138, 13, bytes(4))
    torn = read_info(101, 3000).error(2)
    frames = [write.answer(bytes(4)), torn._replace(data=torn.data + b"\0")]
    raw = b"".join(frame.encode() for frame in frames)
    _, records, _ = await run("decode", "studer", "-", stdin=raw)
    assert [(r["problem"], r["data"]) for r in records] == [
        ("bad_length", "00000000"), ("bad_length", "020000"),
    ]  # fmt: skip
    assert not any("value" in record or "error" in record for record in records)


async def test_what_an_xcom_can_answers_is_known_by_what_only_it_has() -> None:
    volts = read_info(601, 7000).answer(bytes.fromhex("00005042")).encode()
    version = read_info(601, 7054).answer(bytes.fromhex("00004040")).encode()
    refused = read_info(601, 7054).error(0x26).encode()
    _, records, _ = await run("decode", "studer", "-", stdin=volts + version)
    assert [record["device"] for record in records] == ["Xcom-CAN BMS"] * 2
    assert records[1]["key"] == "bms_version"
    _, records, _ = await run("decode", "studer", "-", stdin=volts + refused)
    assert [record["device"] for record in records] == ["BSP"] * 2
    _, records, _ = await run("decode", "studer", "-", "--battery", "bsp", stdin=volts + version)
    assert [record["device"] for record in records] == ["BSP"] * 2


async def test_errors_and_enums_have_their_names() -> None:
    frames = [
        read_info(101, 3000).error(2),
        read_info(101, 3028).answer(b"\1\0"),
        read_info(601, 7002).answer(bytes.fromhex("0000c842")),
        read_info(101, 3022).answer(bytes.fromhex("00d0cc45")),
        Request(101, Service.READ, 2, 1138, 8).answer(b"\x20\0"),
        Request(100, Service.WRITE, 2, 1138, 13, bytes(4)).answer(),
    ]
    raw = b"".join(frame.encode() for frame in frames)
    _, records, _ = await run("decode", "studer", "-", "--battery", "bms", stdin=raw)
    assert records[0]["error_name"] == "DEVICE_NOT_FOUND"
    assert records[1]["label"] == "Inverter"
    assert records[2]["device"] == "Xcom-CAN BMS"
    assert records[3]["absent"] == "out_of_range"
    assert (records[4]["property"], records[4]["value"]) == ("level", "expert")
    assert records[5]["device"] == "all Xtender"


async def test_a_probe_lists_the_plant(tmp_path: Path) -> None:
    double = plant(2, latency=0.001)
    double.add(301, Family.VT)
    async with on_a_port(double, tmp_path / "xcom"):
        code, records, told = await run("probe", "studer", str(tmp_path / "xcom"))
    assert code == 0
    assert [(r["address"], r["fid"]) for r in records[:-1]] == [
        (101, "12340065"), (102, "12340066"), (301, "1234012D"),
    ]  # fmt: skip
    assert records[-1]["serial"] == "38400 8E1"
    assert "3 devices found" in told
    assert double.writes() == []


async def test_a_probe_that_finds_nothing_says_why() -> None:
    code, records, told = await run("probe", "studer", "/dev/does-not-exist")
    assert (code, records) == (1, [])
    assert told


async def test_a_moxa_is_searched_for() -> None:
    port = str(free_port(socket.SOCK_DGRAM))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardwired", "simulate", "studer",
        "--listen", "0", "--moxa-search", f"127.0.0.1:{port}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b'"ready"' not in await process.stdout.readline():
                pass
        code, records, _ = await run("search", "studer", "127.255.255.255", "--port", port)
    finally:
        process.kill()
        await process.wait()
    assert code == 0
    assert [(r["mac"], r["ip"], r["name"]) for r in records] == [
        ("00:90:e8:12:34:56", "127.0.0.1", "Xcom-LAN")
    ]
    assert records[0]["when_it_is_a_client"] == "listen://0.0.0.0:4001?peer=127.0.0.1"
    code, records, told = await run(
        "search", "studer", "127.0.0.1", "--port", port, "--seconds", "0.2"
    )
    assert (code, records) == (1, [])
    assert "no Moxa answers at 127.0.0.1" in told


@pytest.mark.parametrize(
    "wrong", ["--port=99999", "--port=0", "--seconds=-1", "--seconds=nan", "--seconds=soon"]
)
async def test_a_search_with_numbers_that_can_not_be(wrong: str) -> None:
    code, records, told = await run("search", "studer", wrong)
    assert (code, records) == (2, [])
    assert wrong.partition("=")[0] in told
    assert "Traceback" not in told


async def test_a_recording_holds_every_frame_and_no_identity(tmp_path: Path) -> None:
    double = plant(2, latency=0.001)
    double.guid = bytes(range(1, 17))
    log = tmp_path / "log.jsonl"
    async with on_a_port(double, tmp_path / "xcom"):
        code, _, _ = await run(
            "record", "studer", str(tmp_path / "xcom"), "-o", str(log), "--seconds", "4"
        )
    assert code == 0
    text = log.read_text()
    assert double.guid.hex() not in text
    raw = [bytes.fromhex(json.loads(line)["data"]) for line in text.splitlines()]
    assert all(Parser().receive_data(frame) for frame in raw)
    assert not [r for r in double.log if r.service is Service.WRITE]
    code, records, _ = await run("decode", "studer", str(log), "--summary")
    assert records[-1]["summary"]["bytes_discarded"] == 0
    shown = [r["value"] for r in records if r.get("key") == "id_fid_lsb" and "value" in r]
    assert set(shown) == {101.0, 102.0}
    assert {r["value"] for r in records if r.get("key") == "id_fid_msb" and "value" in r} == {0.0}
    assert "output_current" in {r.get("key") for r in records}


def test_read_and_write_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 12, number 16: values of one device, with every safeguard of the engine."""
    plant = "sim://?xtenders=1&variotracks=0&variostrings=0&latency_ms=0&baud=0"
    assert main(["read", "studer", plant, "101", "3000", "1107"]) == 0
    voltage, limit = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert 40 < voltage["value"] < 64
    assert (limit["id"], limit["unit"]) == (1107, "A")
    assert main(["write", "studer", plant, "101", "1107", "12"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 12.0
    assert main(["write", "studer", plant, "101", "1525", "13:41"]) == 0
    assert main(["write", "studer", plant, "501", "5093", "off"]) == 0
    assert main(["write", "studer", plant, "101", "1107", "0:12"]) == 1
    assert main(["write", "studer", plant, "101", "1107", "900"]) == 1
    assert "takes 2 to 50 A, not 900" in capsys.readouterr().err
    assert main(["write", "studer", plant, "101", "1415", "1"]) == 1
    assert main(["read", "studer", plant, "109", "3000"]) == 1
    assert "109" in capsys.readouterr().err
