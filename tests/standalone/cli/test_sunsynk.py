"""The console command on Sunsynk captures, as a user runs it: a process of its own."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.vector_files import vectors

pytestmark = pytest.mark.slow

CAPTURES = vectors("sunsynk") / "captures"
CASES = Path(__file__).parents[2] / "cases" / "sunsynk"
TIMEOUT = 60


def command() -> str:
    """Return the path of the installed console command."""
    found = shutil.which("hardwired", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("the console command is not installed beside this interpreter")
    return found


def run(*arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    return subprocess.run(
        [command(), *arguments], input=stdin, capture_output=True, timeout=TIMEOUT, check=False
    )


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command beside the test; it is gone at the end, whatever happens."""
    with subprocess.Popen(
        [command(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(output: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects that were printed."""
    return [json.loads(line) for line in output.splitlines()]


def capture(name: str) -> Path:
    """Return a capture of the vectors."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"this set of vectors has no {name}")
    return path


def all_captures() -> list[Any]:
    """Return the captures of this set of vectors that are captures."""
    found = [
        path.with_suffix("")
        for path in sorted(CAPTURES.glob("*.json"))
        if "error" not in json.loads(path.read_text(encoding="utf-8"))
    ]
    return [pytest.param(path, id=path.name) for path in found] or [
        pytest.param(None, marks=pytest.mark.skip(reason="this set of vectors has no captures"))
    ]


def comparable(report: dict[str, Any]) -> str:
    """Return a report as a text that is equal when the report is."""
    keys = (
        "serial", "local_time", "time_utc", "time_quality", "layout", "length", "message_no",
        "rssi", "quality",
    )  # fmt: skip
    values = {
        key: round(float(value), 5) if isinstance(value, (int, float)) else value
        for key, value in report["values"].items()
    }
    violations = sorted(report["violations"])
    return json.dumps([[report[key] for key in keys], violations, values], sort_keys=True)


@pytest.mark.vectors
@pytest.mark.parametrize("path", all_captures())
def test_decode_prints_what_the_vectors_say(path: Path) -> None:
    expected = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    done = run("decode", "sunsynk", str(path), "--timezone", expected["timezone"], "--summary")
    *reports, last = lines(done.stdout)
    assert done.returncode == (0 if reports else 3), done.stderr.decode()
    assert sorted(map(comparable, reports)) == sorted(map(comparable, expected["reports"]))
    summary = last["summary"]
    assert {name: summary[name] for name in expected["counters"]} == expected["counters"]
    assert summary["warnings"] == expected["warnings"]


@pytest.mark.parametrize("name", ["zero_bytes.pcap", "not_a_capture.pcap", "short_header.pcap"])
def test_what_is_no_capture_is_named(name: str) -> None:
    done = run("decode", "sunsynk", str(capture(name)))
    assert done.returncode == 1
    assert name in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--timezone", "SAST"), "time zone"),
        (("--filter", "tcp and ("), ""),
        (("--filter", "broadcast"), "libpcap"),
    ],
)
def test_settings_that_cannot_be(arguments: tuple[str, ...], word: str) -> None:
    done = run("decode", "sunsynk", str(capture("real_292.pcap")), *arguments)
    assert done.returncode == 1
    assert word in done.stderr.decode()
    assert done.stderr.decode().startswith("hardwired: ")


def test_a_missing_file() -> None:
    done = run("decode", "sunsynk", "/no/such/file.pcap")
    assert done.returncode == 1
    assert done.stderr.decode() == "hardwired: /no/such/file.pcap: No such file or directory\n"


def test_a_damaged_file_says_so_and_prints_what_it_held() -> None:
    done = run("decode", "sunsynk", str(capture("cut_in_record.pcap")))
    assert done.returncode == 0
    assert len(lines(done.stdout)) == 4
    assert "truncated_file" in done.stderr.decode()


def test_decode_reads_gzip_and_standard_input() -> None:
    content = capture("real_292.pcap").read_bytes()
    for given in (content, gzip.compress(content)):
        done = run("decode", "sunsynk", "-", stdin=given)
        assert [report["serial"] for report in lines(done.stdout)] == ["1235687108"]


def first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the first object that a running command prints; the test has a time limit."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_an_open_stream_gives_each_report_as_it_comes(packed: Any) -> None:
    """Issue 12.12: `ssh router tcpdump -U -w - | hardwired decode sunsynk -`."""
    with subprocess.Popen(
        [command(), "decode", "sunsynk", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(packed(capture("real_292.pcap").read_bytes()))
            process.stdin.flush()
            assert first_line(process)["serial"] == "1235687108"
            assert process.poll() is None
        finally:
            process.kill()


def test_a_pipe_and_a_growing_file(tmp_path: Path) -> None:
    content = capture("real_292.pcap").read_bytes()
    pipe, growing = tmp_path / "pipe", tmp_path / "growing.pcap"
    os.mkfifo(pipe)
    with started("decode", "sunsynk", str(pipe)) as process, pipe.open("wb", buffering=0) as file:
        file.write(content)
        assert first_line(process)["serial"] == "1235687108"
    growing.write_bytes(content[:100])
    with started("decode", "sunsynk", str(growing), "--follow") as process:
        with growing.open("ab") as file:
            file.write(content[100:])
        assert first_line(process)["serial"] == "1235687108"
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130


@pytest.mark.parametrize(
    ("name", "words"),
    [("solarman_v5_a.pcap", "Solarman"), ("fritzbox_modified.pcap", ""), ("wrapped_tzsp.pcap", "")],
)
def test_cases_of_owners(name: str, words: str) -> None:
    """Issue 12.11, 12.13: read, or named with an exit code that says so."""
    path = str(CASES / name)
    for verb in ("decode", "probe"):
        done = run(verb, "sunsynk", path)
        assert done.returncode == (3 if words else 0)
        assert words in done.stderr.decode()
        assert bool(done.stdout) is (verb == "probe" or not words)


def test_a_simulated_file_decodes_to_the_times_that_were_simulated(tmp_path: Path) -> None:
    """Issue 12.16: no time-zone puzzle."""
    path = tmp_path / "x.pcap"
    start = ("--start", "2026-06-14T06:00:00")
    assert (
        run("simulate", "sunsynk", "--file", str(path), "--duration", "1h", *start).returncode == 0
    )
    first = lines(run("decode", "sunsynk", str(path)).stdout)[0]
    assert first["time_utc"].startswith("2026-06-14T06:0")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    assert run("simulate", "sunsynk", "--file", str(path), "--interval", "10").returncode == 0
    with started("decode", "sunsynk", str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 0


def test_probe_tells_what_a_file_holds() -> None:
    done = run("probe", "sunsynk", str(capture("eth_mixed.pcap")), "--timezone", "Africa/Lagos")
    assert done.returncode == 0
    (verdict,) = lines(done.stdout)
    assert {one["serial"]: one["reports"] for one in verdict["inverters"]} == {
        "1235687108": 4,
        "2211000042": 2,
        "2302246241": 2,
    }
    first = verdict["inverters"][0]
    assert first["interval_s"]["shortest"] <= first["interval_s"]["median"]
    assert first["interval_s"]["median"] <= first["interval_s"]["longest"]
    assert verdict["counters"]["packets"] == 23


@pytest.mark.parametrize("name", ["backlog.pcap", "bogus.pcap"])
def test_check_takes_intervals_between_readings_in_order(name: str) -> None:
    told = json.loads(capture(f"{name}.json").read_text())
    zone, reports = told["timezone"], told["reports"]
    done = run("check", "sunsynk", str(capture(name)), "--timezone", zone)
    (verdict,) = lines(done.stdout)
    for one in verdict["inverters"]:
        times = [
            report["time_utc"]
            for report in reports
            if report["serial"] == one["serial"] and report["time_quality"] != "clock_unset"
        ]
        assert one["last_report"] == max(times)
        assert one["first_report"] == min(times)
        assert one["interval_s"]["shortest"] >= 0


@pytest.mark.parametrize("name", ["snaplen_96.pcap", "empty_header_only.pcap"])
def test_probe_without_a_report_ends_with_3(name: str) -> None:
    done = run("probe", "sunsynk", str(capture(name)))
    assert done.returncode == 3
    assert lines(done.stdout)[0]["inverters"] == []
    assert done.stderr


def test_check_says_what_a_file_holds() -> None:
    # g.2, f.1 no. 13: "is my dongle sending at all?": 0 with a report, 3 without.
    path = str(capture("backlog.pcap"))
    done = run("check", "sunsynk", path)
    assert done.returncode == 0
    assert lines(done.stdout)[0]["inverters"][0]["last_report"]
    assert run("check", "sunsynk", path, "--filter", "tcp port 1").returncode == 3
    assert run("check", "sunsynk", str(capture("empty_header_only.pcap"))).returncode == 3
    assert run("check", "sunsynk", "no-such-file").returncode == 1


def test_probe_of_nothing() -> None:
    done = run("probe", "sunsynk", "no-such-thing0")
    assert done.returncode == 1
    assert "neither a file nor an interface" in done.stderr.decode()


@pytest.mark.parametrize(
    "extra",
    [
        ("--link", "sll2"),
        ("--link", "raw", "--ipv6"),
        ("--wrapping", "pppoe"),
        ("--fault", "split=1", "--fault", "reorder=1", "--fault", "twice", "--fault", "noise=2"),
    ],
)
def test_what_is_simulated_is_decoded(tmp_path: Path, extra: tuple[str, ...]) -> None:
    path = tmp_path / "day.pcap"
    simulated = run(
        "simulate", "sunsynk", "--file", str(path), "--inverters", "3", "--layout", "mixed",
        "--duration", "2h", "--timezone", "Europe/London", "--start", "2026-06-14T06:00:00", *extra,
    )  # fmt: skip
    assert simulated.returncode == 0, simulated.stderr.decode()
    done = run("decode", "sunsynk", str(path), "--timezone", "Europe/London")
    reports = lines(done.stdout)
    assert len(reports) == 3 * 24
    assert {report["layout"] for report in reports} == {292, 302, 306}
    assert {report["time_quality"] for report in reports} == {"exact"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--file", "x", "--fault", "meteor=1"),
        ("--file", "x", "--layout", "299"),
        ("--file", "x", "--interval", "0.5"),
        ("--tcp", "nowhere"),
        ("--tcp", "127.0.0.1:99999"),
        ("--tcp", "127.0.0.1:-1"),
        ("--file", "x", "--start", "9999-12-31"),
        ("--file", "x", "--start", "1900-01-01"),
        ("--file", "x", "--start", "2099-01-01", "--duration", "9000d"),
        ("--file", "x", "--fault", "outage_hours=inf"),
        ("--file", "x", "--fault", "wrong_zone_hours=1e12"),
        ("--file", "x", "--fault", "split=nan"),
        ("--file", "x", "--fault", "split=x"),
        ("--file", "x", "--snaplen", "-5"),
    ],
)
def test_simulations_that_cannot_be(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    placed = [str(tmp_path / word) if word == "x" else word for word in arguments]
    done = run("simulate", "sunsynk", *placed)
    assert done.returncode == 2
    assert done.stderr.startswith(b"hardwired: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--tcp", "127.0.0.1:5", "--warp", "0"),
        ("--tcp", "127.0.0.1:5", "--warp", "-1"),
        ("--tcp", "127.0.0.1:5", "--warp", "inf"),
        ("--tcp", "127.0.0.1:5", "--warp", "nan"),
        ("--file", "x", "--reports", "-1"),
        ("--tcp", "127.0.0.1:5", "--reports", "0"),
    ],
)
def test_numbers_that_cannot_be_are_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    placed = [str(tmp_path / word) if word == "x" else word for word in arguments]
    done = run("simulate", "sunsynk", *placed)
    assert done.returncode == 2
    assert arguments[2].encode() in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("level, code", [("trace", 2), ("", 1), ("ERROR", 1)])
def test_the_log_level_of_the_environment(level: str, code: int) -> None:
    done = subprocess.run(
        [command(), "decode", "sunsynk", "/no/such/file.pcap"],
        env={**os.environ, "HARDWIRED_LOG": level},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert (b"HARDWIRED_LOG" in done.stderr) == (code == 2)


def test_recording_an_interface_that_is_not_there_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    done = run("record", "sunsynk", "no-such-thing0", str(path), "--seconds", "1")
    assert done.returncode == 1
    assert "no-such-thing0" in done.stderr.decode()
    assert not path.exists()


def test_filters_that_an_interface_cannot_answer() -> None:
    done = run("probe", "sunsynk", "lo", "--filter", "vlan", "--seconds", "1")
    assert done.returncode == 2
    assert "link layer" in done.stderr.decode()


def test_a_server_that_does_not_answer_is_told() -> None:
    with started(
        "simulate", "sunsynk", "--tcp", f"127.0.0.1:{free_port()}", "--no-server",
        "--inverters", "3", "--reports", "1",
    ) as simulating:  # fmt: skip
        assert simulating.stderr is not None
        told = [simulating.stderr.readline().decode() for _ in range(2)]
    assert "3 dongles report to" in told[0]
    assert "does not answer" in told[1]


def test_arguments_that_make_no_sense_end_with_2() -> None:
    assert run("simulate", "sunsynk").returncode == 2
    assert run("probe", "sunsynk", "lo", "--seconds", "soon").returncode == 2


def _may_capture() -> bool:
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0):
            return True
    except OSError:
        return False


def wait_for(condition: Any) -> None:
    """Wait until *condition* is true, or fail after a while."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.skipif(not _may_capture(), reason="live capture needs CAP_NET_RAW")
def test_a_recording_on_standard_output() -> None:
    """Issue 12.16: a file is named in one way in all verbs, and - is no file of that name."""
    done = run("record", "sunsynk", "lo", "-", "--seconds", "0.3", "--filter", "port 9")
    assert done.returncode == 3, "nothing passed"
    assert b"0 messages recorded" in done.stderr
    assert len(done.stdout) == 24, "the header of a capture file"
    assert not Path("-").exists()


@pytest.mark.skipif(not _may_capture(), reason="live capture needs CAP_NET_RAW")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_record_on_loopback_keeps_no_identity(tmp_path: Path, stop: signal.Signals) -> None:
    port, path = free_port(), tmp_path / "masked.pcap"
    with started("record", "sunsynk", "lo", str(path), "--filter", f"port {port}") as recording:
        assert recording.stderr is not None
        assert recording.stderr.readline() == b"listening\n"
        simulated = run(
            "simulate", "sunsynk", "--tcp", f"127.0.0.1:{port}", "--reports", "5", "--interval",
            "1", "--warp", "20", "--layout", "306",
        )  # fmt: skip
        assert simulated.returncode == 0, simulated.stderr.decode()
        wait_for(lambda: path.stat().st_size > 5 * 306)
        recording.send_signal(stop)
        told = recording.stderr.read().decode()
        assert recording.wait(TIMEOUT) == 130
    assert "left out" in told
    content = path.read_bytes()
    assert b"2200000001" not in content
    assert b"E470" not in content
    assert b"SIMULATE" not in content
    reports = lines(run("decode", "sunsynk", str(path)).stdout)
    assert len(reports) == 5
    assert {report["serial"] for report in reports} == {"XXXXXXXXXX"}


@pytest.mark.skipif(not _may_capture(), reason="live capture needs CAP_NET_RAW")
def test_probe_on_an_interface_ends_when_it_is_told() -> None:
    done = run("probe", "sunsynk", "lo", "--filter", f"port {free_port()}", "--seconds", "1")
    assert done.returncode == 3
    assert "does not pass here" in done.stderr.decode()
