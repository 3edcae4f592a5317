"""``hardwired decode|record|probe|simulate truma``, run as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.verbs.truma.decode import Decoder, decode_log, decode_raw
from hardwired.cli.verbs.truma.record import Scribe
from hardwired_engines.truma.lin.frames import protected, response
from hardwired_engines.truma.lin.log import read_log
from tests.standalone.command import COMMAND, run, until
from tests.vector_files import vectors

pytestmark = pytest.mark.slow

LOGS = sorted((vectors("truma") / "captures").glob("*.log"))
CASES = Path(__file__).parents[2] / "cases" / "truma"
QUICK = ("--slot-ms", "10", "--time-scale", "10", "--no-standby")


@asynccontextmanager
async def simulated(port: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Play a panel by the command line."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "simulate", "truma", "--pty", str(port), *QUICK, *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(lambda: os.path.lexists(port))
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def terminal(*noise: bytes) -> AsyncIterator[str]:
    """A port on which nothing but *noise* is heard, again and again."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)

    async def speak() -> None:
        while True:
            for data in noise:
                os.write(master, data)
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(speak())
    try:
        yield os.ttyname(slave)
    finally:
        task.cancel()
        os.close(master)
        os.close(slave)


# ------------------------------------------------------------------------------ decode


def expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def check(records: list[Any], path: Path) -> None:
    recorded = expected(path)
    slots = [record for record in records if "id" in record]
    told = [record for record in records if "download" in record or "upload" in record]
    pids = [int(pid, 16) for _, pid, _, role in recorded["frames"] if role != "wake"]
    assert [protected(int(slot["id"], 16)) for slot in slots] == pids
    names = {0xBB: "download", 0xFA: "upload"}
    wanted = [one for one in recorded["messages"] if one["sid"] in names]
    assert len(told) == len(wanted)
    for record, one in zip(told, wanted, strict=True):
        buffer = record[names[one["sid"]]]
        assert int(buffer["id"], 16) == one["msg_id"]
        assert buffer["counter"] == one["counter"]
        if "fields" in buffer and "fields" in one:
            assert {key: buffer["fields"][key] for key in one["fields"]} == one["fields"]
    last = {record["id"]: record["values"] for record in slots if "values" in record}
    for key, values in recorded["last_signals"].items():
        assert {name: last[key.lower()].get(name) for name in values} == values


@pytest.mark.vectors
@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_every_recorded_log_is_decoded(path: Path) -> None:
    lines = iter(path.read_text(encoding="ascii").splitlines())
    check(json.loads(json.dumps(list(decode_log(lines, Decoder())), default=str)), path)


@pytest.mark.vectors
async def test_a_log_and_its_raw_bytes_say_the_same() -> None:
    path = LOGS[0]
    code, logged, _ = await run("decode", "truma", str(path), "--summary")
    assert code == 0
    assert logged[-1]["summary"]["frames"] > 100
    check(logged, path)
    raw = b"".join(
        bytes((0, 0x55, frame.pid)) + (response(frame.pid, frame.data) if frame.data else b"")
        for frame in read_log(path.read_text(encoding="ascii").splitlines())
        if frame.pid
    )
    code, found, _ = await run("decode", "truma", "-", "--summary", stdin=raw)
    assert code == 0
    without_time = [{k: v for k, v in record.items() if k != "time"} for record in logged[:-1]]
    without_wake = [record for record in without_time if "wake_up" not in record]
    assert found[:-1] == without_wake


async def test_a_line_that_is_none_is_left_out_and_named() -> None:
    """Issue 12, number 16."""
    log = b"1.0 D8 -\nhello\n1.1 3C -\n"
    code, records, told = await run("decode", "truma", "-", "--summary", stdin=log)
    assert code == 0
    assert [record["id"] for record in records[:-1]] == ["18", "3c"]
    assert records[-1]["summary"]["skipped_lines"] == 1
    assert "line 2" in told


async def test_a_debug_log_of_inetbox() -> None:
    """Issue 12, number 16 (m01): answers of ours stand in a line of their own."""
    case = json.loads((CASES / "m01_inetbox_debug_log.json").read_text(encoding="utf-8"))
    log = (
        f"{case['file']}\n"
        "2023-01-20 13:19:26,397  inet.app  INFO  started\n"
        "2023-01-20 13:19:26,447  inet.lin  DEBUG  in < 00 55 d8\n"
        "2023-01-20 13:19:26,450  inet.lin  DEBUG  out > fe ff ff ff ff ff ff ff 28\n"
        "2023-01-20 13:19:26,547  inet.lin  DEBUG  in < 00 55 d8\n"
        "2023-01-20 13:19:26,597  inet.lin  DEBUG  in < 55 3c 7f 06 b2\n"
    )
    code, records, _ = await run("decode", "truma", "-", stdin=log.encode())
    assert code == 0
    assert [(record["time"], record["id"], record["data"]) for record in records] == [
        (0.0, "3c", "7f06b20017463003"), (0.1, "18", "fe" + "ff" * 7), (0.2, "18", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["p02_clock_real.log", "p04_combi6e_d6.log"])
async def test_owners_logs_are_decoded(name: str) -> None:
    code, records, told = await run("decode", "truma", str(CASES / name))
    assert (code, told) == (0, "")
    if name.startswith("p04"):
        (frame,) = records
        values = frame["values"]
        assert (values["current_temp_room"], values["current_temp_water"]) == (2906, 2940)
    else:
        times = [record["download"]["fields"] for record in records if "download" in record]
        assert [(one["hours"], one["minutes"], one["seconds"]) for one in times] == [
            (22, 31, 40), (9, 21, 0),
        ]  # fmt: skip


LOG = "# 20 °C, Küche\n1.000 D8 FE FF FF FF FF FF FF FF\n1.050 3C -\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_logs_of_any_editor(encoding: str, end: str) -> None:
    text = ("\ufeff" if encoding == "utf-16-be" else "") + LOG.replace("\n", end)
    code, records, told = await run("decode", "truma", "-", stdin=text.encode(encoding))
    assert (code, told) == (0, "")
    assert [record["id"] for record in records] == ["18", "3c"]


@pytest.mark.parametrize(
    "data", [b"\xff" * 100, bytes(range(1, 200)), b"# nothing was heard\n", b"\xef\xbb\xbf"]
)
async def test_nothing_found_is_said(data: bytes) -> None:
    code, records, told = await run("decode", "truma", "-", stdin=data)
    assert (code, records) == (1, [])
    assert "no sound LIN frame" in told


async def test_raw_bytes_that_look_like_letters() -> None:
    """A poll and its answer without break bytes: all of them are above the control characters."""
    data = b"\x55\xd8" + response(0xD8, b"\xfe" + b"\xff" * 7)
    code, (record,), told = await run("decode", "truma", "-", stdin=data)
    assert (code, record["id"], told) == (0, "18", "")


def test_slots_of_raw_bytes_that_broke_off() -> None:
    frame = b"\0\x55\xd8" + response(0xD8, b"\xfe" + b"\xff" * 7)
    for rest, record in (
        (b"\0\x55\x3c", {"id": "3c", "data": None}),
        (b"\0\x55\x3c\x03\x05", {"id": "3c", "data": None, "truncated": 2}),
    ):
        decoder = Decoder()
        assert list(decode_raw(iter([frame + rest]), decoder))[1:] == [record]
        assert decoder.counts["truncated"] == ("truncated" in record)


async def test_no_such_file() -> None:
    code, records, told = await run("decode", "truma", "/does/not/exist")
    assert (code, records) == (1, [])
    assert told


async def test_nothing_at_all() -> None:
    code, records, told = await run("decode", "truma", "-")
    assert (code, records) == (1, [])
    assert told == "hardwired: -: the file is empty\n"


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=20))
def test_any_bytes_are_decoded(chunks: list[bytes]) -> None:
    for record in decode_raw(iter(chunks), Decoder()):
        assert record


@given(
    st.lists(st.tuples(st.sampled_from([0x3C, 0x7D, 0xD8]), st.binary(min_size=8, max_size=8))),
)
def test_any_frames_are_decoded(frames: list[tuple[int, bytes]]) -> None:
    raw = b"".join(bytes((0, 0x55, pid)) + response(pid, data) for pid, data in frames)
    decoder = Decoder()
    assert len(list(decode_raw(iter([raw]), decoder))) >= decoder.counts["frames"]


# -------------------------------------------------------------------- record and probe


@given(st.lists(st.tuples(st.floats(0, 0.1), st.binary(max_size=40)), max_size=20))
def test_whatever_is_heard_is_written_as_a_log(heard: list[tuple[float, bytes]]) -> None:
    scribe, now, lines = Scribe(), 0.0, []
    for pause, data in heard:
        now += pause
        lines += scribe.hear(data, now)
    assert len(list(read_log(lines))) == sum(not line.startswith("#") for line in lines)


async def test_a_recording_can_be_decoded(tmp_path: Path) -> None:
    port, log = tmp_path / "lin", tmp_path / "bus.log"
    async with simulated(port):
        code, _, _ = await run("record", "truma", str(port), "-o", str(log), "--seconds", "4")
    assert code == 0
    code, records, _ = await run("decode", "truma", str(log), "--summary")
    assert code == 0
    assert records[-1]["summary"]["frames"] > 50
    assert records[-1]["summary"].get("damaged", 0) == 0
    assert {record["id"] for record in records[:-1] if "id" in record} >= {"18", "3c"}


async def test_a_probe_of_a_bus(tmp_path: Path) -> None:
    port = tmp_path / "lin"
    async with simulated(port):
        code, records, told = await run("probe", "truma", str(port), "--seconds", "15")
    assert code == 0
    assert records[-1]["registered"] is True
    assert records[-1]["reason"] is None
    assert "headers" in told


async def test_a_probe_of_a_simulator_by_url() -> None:
    code, records, _ = await run("probe", "truma", "sim://?slot_ms=10", "--seconds", "15")
    assert code == 0
    assert records[-1]["calls"] > 0


async def test_a_probe_of_an_unregistered_panel(tmp_path: Path) -> None:
    port = tmp_path / "lin"
    async with simulated(port, "--unregistered"):
        code, records, _ = await run("probe", "truma", str(port), "--seconds", "3")
    assert code == 3
    assert records[-1]["reason"] == "not_registered"
    assert records[-1]["headers"] > 0


@pytest.mark.parametrize("noise, reason", [((), "silent"), ((b"\xa5\x12\x33",), "noise")])
async def test_a_probe_says_why_nothing_is_heard(noise: tuple[bytes, ...], reason: str) -> None:
    async with terminal(*noise) as port:
        code, records, _ = await run("probe", "truma", port, "--seconds", "1.5")
    assert code == 3
    assert records[-1]["reason"] == reason


@pytest.mark.parametrize("verb", ["probe", "record"])
@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1", "soon", ""])
async def test_a_time_that_never_passes(verb: str, seconds: str) -> None:
    code, records, told = await run(verb, "truma", "sim://", f"--seconds={seconds}")
    assert (code, records) == (2, [])
    assert "too short or too long" in told or "is no duration" in told


@pytest.mark.parametrize(
    "option, value, wrong",
    [("--seed", "abc", "seed is a whole number"), ("--time-scale", "fast", "time_scale is a num")],
)
async def test_a_simulator_that_can_not_begin_invites_nobody(
    tmp_path: Path, option: str, value: str, wrong: str
) -> None:
    code, records, told = await run(
        "simulate", "truma", "--pty", str(tmp_path / "lin"), option, value
    )
    assert (code, records) == (2, [])
    assert wrong in told
    assert "open " not in told


@pytest.mark.parametrize("verb", ["probe", "record"])
async def test_no_such_port(verb: str) -> None:
    code, _, told = await run(verb, "truma", "/dev/does-not-exist")
    assert code == 1
    assert told


# --------------------------------------------------------------------------------- set


SET_SIM = "sim://?personality=c4-combi4&slot_ms=10&time_scale=10&standby=off"


async def test_a_setting_reaches_the_panel() -> None:
    """Issue 12, number 16."""
    wishes = ("target_temp_room=19", "heating_mode=eco")
    code, records, told = await run("set", "truma", SET_SIM, *wishes)
    assert code == 0, told
    assert records[-1]["values"] == {"target_temp_room": 19, "heating_mode": "eco"}
    lines = told.splitlines()
    assert lines[0].startswith("waiting until ")
    assert [line.partition("; ")[2] for line in lines[-2:]] == [
        "sending, and waiting until it has taken the setting (5 to 30 s)",
        "waiting until it shows it",
    ]


@pytest.mark.parametrize(
    "wish, why",
    [
        ("target_temp_room=3", "frost"),
        ("target_temp_room=warm", "does not take"),
        ("voltage=12", "is no setting"),
        ("colour", "is no setting"),
    ],
)
async def test_a_setting_that_is_none_is_refused(wish: str, why: str) -> None:
    code, records, told = await run("set", "truma", SET_SIM, wish)
    assert (code, records) == (1 if why == "frost" else 2, [])
    assert why in told or "5 to 30" in told
