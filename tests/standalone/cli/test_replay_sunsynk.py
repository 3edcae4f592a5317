"""``hardwired replay sunsynk``: a relay of ours reads what the dongles said again."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hardwired.cli.replaying import Pace, Piece, Tally
from hardwired.cli.verbs.sunsynk.replay import Dongle, Server, recorded_in
from hardwired_engines.engine import Reading
from hardwired_engines.factory import Surroundings, running
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.stream import Capture, Frame
from hardwired_engines.sunsynk.dongle.envelope import FROM_DONGLE, FROM_SERVER, FrameCutter
from tests.ports import free_port
from tests.standalone.command import run, until

CAPTURE = Path(__file__).parents[2] / "captures/sunsynk/simulated/first.pcap"


def message(number: int, body: bytes = b"", direction: int = FROM_DONGLE) -> bytes:
    """Return a message of a dongle, or of its server."""
    return bytes((0xA5, 0, direction, 7, 0, 0, 0, 0, number)) + len(body).to_bytes(2) + body


class Sink:
    """A server that says nothing but an answer to each message, if it does."""

    def __init__(self, *, answers: bool = True, closes_after: int | None = None) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self._answers = answers
        self._closes_after = closes_after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        cutter = FrameCutter()
        here = 0
        while data := await reader.read(4096):
            for one in cutter.append(data):
                self.heard.append(one)
                here += 1
                if self.connections == 1 and here == self._closes_after:
                    writer.close()
                    return
                if self._answers:
                    writer.write(message(0, direction=FROM_SERVER))
        writer.close()


@asynccontextmanager
async def listening(sink: Sink) -> AsyncIterator[str]:
    async with await asyncio.start_server(sink.serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def replayed(file: Path, *arguments: str) -> tuple[int, dict[str, int], str]:
    code, [*_, last], told = await run("replay", "sunsynk", str(file), *arguments)
    return code, last["counts"], told


@pytest.fixture
async def day(tmp_path: Path) -> Path:
    """Two dongles that connect now and then, in pieces."""
    file = tmp_path / "day.pcap"
    code, _, told = await run(
        "simulate", "sunsynk", "--file", str(file), "--inverters", "2", "--duration", "1h",
        *("--fault", "split=0.3", "--fault", "reset=0.2", "--fault", "retransmit=0.2"),
    )  # fmt: skip
    assert code == 0, told
    return file


def said_in(file: Path) -> list[bytes]:
    """Return the messages of the dongles in a capture."""
    with file.open("rb") as raw:
        frames = list(Capture().read(CaptureFile(raw)))
    return [frame.data for frame in frames if frame.data[2] == FROM_DONGLE]


@pytest.mark.parametrize("speed", ["0", "1000"])
async def test_a_server_gets_what_the_dongles_said(day: Path, speed: str) -> None:
    sink = Sink()
    async with listening(sink) as address:
        code, counts, told = await replayed(day, "--connect", address, "--speed", speed)
    assert code == 0, told
    assert Counter(sink.heard) == Counter(said_in(day))
    if speed == "0":
        assert sink.heard == said_in(day) or sink.connections > 2
    assert counts["connections"] == sink.connections > 2
    assert (counts["answered"], counts["unanswered"]) == (len(sink.heard), 0)


async def test_our_relay_reads_the_same_reports(day: Path) -> None:
    """Through the relay to the recorded server, whose layouts it learns from."""
    _, decoded, _ = await run("decode", "sunsynk", str(day))
    port, far = free_port(), free_port()
    settings = {
        "source": "relay", "listen": f"127.0.0.1:{port}", "server": f"127.0.0.1:{far}",
        "time_zone": "UTC",
    }  # fmt: skip
    engine = FACTORY.make(FACTORY.read(settings), Surroundings())
    readings: list[object] = []

    def noticed(occurrence: object) -> None:
        if isinstance(occurrence, Reading):
            readings.append(occurrence)

    async with running(engine, noticed):
        code, _, told = await replayed(
            day, "--connect", f"127.0.0.1:{port}", "--server", str(far), "--speed", "0"
        )
        assert code == 0, told
        await until(lambda: engine.statistics.extra is not None and len(readings) >= len(decoded))
        shown = {
            device.device.serial_number: dict(device.values)
            for device in engine.snapshot.devices.values()
            if device.device.serial_number
        }
    last = {one["serial"]: one["values"] for one in decoded}
    assert shown.keys() == last.keys()
    for serial, values in last.items():
        for key in ("battery_soc", "battery_voltage", "grid_voltage", "total_pv_energy"):
            if key in values:
                assert shown[serial][key] == pytest.approx(values[key]), key


async def test_a_masked_recording(tmp_path: Path) -> None:
    code, counts, told = await replayed(CAPTURE, "--server", "0", "--speed", "0")
    assert code == 0, told
    assert counts["frames"] == len(said_in(CAPTURE))


async def test_a_server_that_goes_away_and_returns() -> None:
    sink = Sink(closes_after=2)
    async with listening(sink) as address:
        code, counts, told = await replayed(CAPTURE, "--connect", address, "--speed", "1000")
    assert code == 0, told
    assert sink.connections == counts["connections"] == 2
    whole = said_in(CAPTURE)
    assert sink.heard == whole[:2] + whole[1:]
    assert counts["unanswered"] >= 1  # more were perhaps on their way when it closed


async def test_a_server_that_comes_later(tmp_path: Path) -> None:
    port = free_port()
    sink = Sink()
    playing = asyncio.ensure_future(
        replayed(CAPTURE, "--connect", f"127.0.0.1:{port}", "--speed", "0")
    )
    await asyncio.sleep(1.5)
    async with await asyncio.start_server(sink.serve, "127.0.0.1", port):
        code, _, told = await playing
    assert code == 0
    assert "does not answer" in told
    assert "answers\n" in told
    assert sink.heard == said_in(CAPTURE)


async def test_a_truncated_capture_is_played_until_there(tmp_path: Path, day: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes((await asyncio.to_thread(day.read_bytes))[:-1000])
    code, counts, told = await replayed(cut, "--server", "0", "--speed", "0")
    assert code == 0
    assert "damaged" in told
    assert 0 < counts["frames"] < len(said_in(day))


async def test_a_capture_without_a_dongle(tmp_path: Path) -> None:
    code, _, told = await run(
        "replay", "sunsynk", str(CAPTURE), "--server", "0", "--filter", "port 80"
    )
    assert code == 3
    assert "none with a dongle's message" in told


def test_what_is_not_answered_is_said_once_more() -> None:
    pieces = [Piece(1.0, message(number)) for number in range(3)]
    tally = Tally(total=3)
    dongle = Dongle(pieces, Pace(0.0), tally)

    def say(now: float) -> bytes:
        dongle.transmit(now)
        return dongle.transmit(now)

    dongle.connected(0.0)
    assert dongle.transmit(0.0) == message(0)
    dongle.receive(message(9, direction=FROM_SERVER), 0.0)
    assert say(0.0) == message(1)
    for now in (1.0, 2.0):
        dongle.disconnected(now)
        dongle.connected(now)
        assert dongle.transmit(now) == message(1 if now == 1.0 else 2)
        dongle.transmit(now)
    assert (tally.answered, tally.unanswered) == (1, 2)


def test_the_server_says_what_it_said_then() -> None:
    flow, back = b"up", b"down"
    asked, answered = message(1, b"when"), message(1, b"now", FROM_SERVER)
    found = recorded_in(
        [
            Frame(message(0), None, flow, back),
            Frame(asked, None, flow, back),
            Frame(answered, None, back, flow),
            Frame(message(7, direction=FROM_SERVER), None, back, flow),
        ]
    )
    assert found.answers == {asked: answered}
    server = Server(found.answers)
    server.receive(asked[:5], 0.0)
    assert server.transmit(0.0) == b""
    server.receive(asked[5:] + message(3), 0.0)
    assert server.transmit(0.0) == answered


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda end: HEAD + end))
def test_any_file_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError, OSError):
        found = recorded_in(Capture().read(CaptureFile(io.BytesIO(raw))))
        assert all(one.pieces and one.gap >= 0 for one in found.connections)


HEAD = CAPTURE.read_bytes()[:400]
