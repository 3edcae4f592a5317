"""The engine: sources in, snapshots and readings out; it never says a word (spec c, h)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import io
import json
import logging
import os
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hardwired_engines.clock import ManualClock, load_zone
from hardwired_engines.engine import (
    Command,
    InvalidCommand,
    LinkError,
    Occurrence,
    Reading,
    Reason,
    Snapshot,
)
from hardwired_engines.factory import SettingsError, Surroundings
from hardwired_engines.storage import MemoryStorage, Storage
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.catalogue import CATALOGUES
from hardwired_engines.sunsynk.diagnostics import mask_identity
from hardwired_engines.sunsynk.dongle.envelope import FrameCutter
from hardwired_engines.sunsynk.engine import SunsynkEngine
from hardwired_engines.sunsynk.simulator.capture import write_capture
from hardwired_engines.sunsynk.simulator.dongle import Dongle, answer
from hardwired_engines.sunsynk.simulator.world import Faults, Simulation
from hardwired_engines.sunsynk.sources.base import Batch
from hardwired_engines.sunsynk.sources.relay import Relay, RelaySource
from tests.vector_files import load, vectors

from .helpers import FAMILY, frame_of

ZONE = "Africa/Johannesburg"
CAPTURES = vectors(FAMILY) / "captures"


class Run:
    """A running engine and what it has told."""

    def __init__(self, engine: SunsynkEngine, clock: ManualClock) -> None:
        self.engine = engine
        self.clock = clock
        self.snapshots: list[Snapshot] = []
        self.occurrences: list[Occurrence] = []

    @property
    def now(self) -> Snapshot:
        """The last snapshot."""
        return self.engine.snapshot

    @property
    def relay_port(self) -> int | None:
        """The port that the relay listens on, once it does."""
        source = self.engine.source
        return source.relay.port if isinstance(source, RelaySource) else None

    @property
    def relay(self) -> Relay:
        """The relay of its source."""
        assert isinstance(self.engine.source, RelaySource)
        return self.engine.source.relay

    def connected(self) -> bool:
        """Whether something is heard."""
        return self.now.connected

    def fresh(self, serial: str) -> bool:
        """Whether an inverter is available."""
        return self.now.devices[serial].available

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait in real time, for threads and sockets."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    clock: ManualClock | None = None, storage: Storage | None = None, **values: Any
) -> AsyncIterator[Run]:
    """Run an engine with these settings."""
    clock = clock or ManualClock(datetime(2026, 6, 14, 8, tzinfo=UTC))
    settings = FACTORY.read({"time_zone": ZONE, **values})
    surroundings = Surroundings(clock=clock, storage=storage or MemoryStorage())
    run = Run(FACTORY.make(settings, surroundings), clock)
    task = asyncio.ensure_future(run.engine.run(run.snapshots.append, run.occurrences.append))
    try:
        yield run
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def capture(name: str) -> str:
    """Return the path of a capture of the vectors."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"this set of vectors has no {name}")
    return str(path)


def content(name: str) -> bytes:
    """Return the bytes of a capture of the vectors."""
    return Path(capture(name)).read_bytes()


async def test_a_file_ends_in_a_stable_state_with_the_last_reading() -> None:
    async with running(source="file", path=capture("eth_mixed.pcap")) as run:
        await run.until(lambda: run.now.detail == "the file has been read to its end")
        assert run.now.connected
        assert run.now.reason is None
        serials = {key for key, state in run.now.devices.items() if state.device.kind == "inverter"}
        assert serials == {"1235687108", "2211000042", "2302246241"}
        before = run.now
        await run.clock.advance(4 * 3600)
        assert run.now.devices == before.devices
        assert all(state.available for state in run.now.devices.values())
        readings = [one for one in run.occurrences if isinstance(one, Reading)]
        assert len(readings) == 8
        assert run.engine.diagnostics()["state"] == "finished"


async def test_the_real_packet_becomes_the_values_of_the_catalogue() -> None:
    expected = load(FAMILY, "real_292.json")["cases"][0]["expect"]["values"]
    async with running(source="file", path=capture("real_292.pcap")) as run:
        await run.until(lambda: run.now.connected)
        state = run.now.devices["1235687108"]
        catalogue = CATALOGUES["inverter"]
        assert state.values.keys() <= catalogue.keys()
        for key, value in expected.items():
            if key != "grid_connected":
                assert state.values[key] == pytest.approx(value), key
        assert state.values["grid_connected"] is True
        assert state.values["fault"] is False
        assert state.values["fault_codes"] == ""
        assert state.values["last_report"] == datetime(2022, 11, 5, 6, 32, 46, tzinfo=UTC)
        assert state.values["clock_offset"] == 3
        assert state.values["dongle_signal"] == -50
        assert state.time == state.values["last_report"]
        assert state.device.name == "Sunsynk 7108"
        assert state.device.model == "Hybrid inverter"
        assert state.device.serial_number == "1235687108"
        reading = run.occurrences[0]
        assert isinstance(reading, Reading)
        assert reading.values["grid_connected"] == 1
        assert reading.time == state.time


async def test_a_zipped_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(content("real_292.pcap")))
    async with running(source="file", path=str(path)) as run:
        await run.until(lambda: run.now.connected)
        assert "1235687108" in run.now.devices


class FailingDisk(io.BytesIO):
    """A file on a disk that fails where the file should end."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data:
            raise OSError(errno.EIO, "the disk has failed")
        return data

    read1 = read


async def test_what_was_read_before_the_disk_failed_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "failing.pcap"
    path.touch()
    once = content("real_292.pcap")
    data = once + 500 * once[24:]
    monkeypatch.setattr(Path, "open", lambda *_: FailingDisk(data))
    async with running(source="file", path=str(path)) as run:
        await run.until(lambda: run.now.reason is Reason.DISCONNECTED)
        assert [one for one in run.occurrences if isinstance(one, Reading)]
        assert "1235687108" in run.now.devices


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zero_bytes.pcap", Reason.NOT_A_CAPTURE),
        ("not_a_capture.pcap", Reason.NOT_A_CAPTURE),
        ("short_header.pcap", Reason.NOT_A_CAPTURE),
        ("empty_header_only.pcap", Reason.NO_TRAFFIC),
        ("snaplen_96.pcap", Reason.NO_REPORTS),
        ("unsupported_link.pcap", Reason.NO_REPORTS),
    ],
)
async def test_a_file_without_a_report_says_why(name: str, reason: Reason) -> None:
    async with running(source="file", path=capture(name)) as run:
        await run.until(lambda: run.now.reason is reason)
        assert not run.now.connected
        assert run.now.detail


async def test_a_file_of_a_link_that_is_not_understood_says_so() -> None:
    async with running(source="file", path=capture("unsupported_link.pcap")) as run:
        await run.until(lambda: run.now.reason is Reason.NO_REPORTS)
        unsupported = run.engine.counters()["unsupported"]
        assert unsupported > 0
        assert f"{unsupported} packets are " in str(run.now.detail)
        assert "link type" in str(run.now.detail)


async def test_a_file_through_a_filter() -> None:
    path = capture("eth_mixed.pcap")
    async with running(source="file", path=path, filter="src host 192.168.0.11") as run:
        await run.until(lambda: run.now.connected)
        assert run.engine.counters()["reports"] == 2
    async with running(source="file", path=path, filter="host no.such.name.invalid") as run:
        await run.until(lambda: run.now.reason is Reason.BAD_FILTER)


async def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    async with running(source="file", path=str(tmp_path / "absent.pcap")) as run:
        await run.until(lambda: run.now.reason is Reason.NOT_FOUND)
        (tmp_path / "absent.pcap").write_bytes(content("real_292.pcap"))
        run.engine.wake()
        await run.until(lambda: run.now.connected)
    async with running(source="file", path=str(tmp_path)) as run:
        await run.until(lambda: run.now.reason is Reason.NOT_A_CAPTURE)


async def test_an_unknown_time_zone_is_told() -> None:
    with pytest.raises(SettingsError, match="Mars/Olympus") as caught:
        FACTORY.make(FACTORY.read({"source": "sim", "time_zone": "Mars/Olympus"}), Surroundings())
    assert caught.value.reason is Reason.BAD_TIMEZONE
    assert caught.value.field == "time_zone"


async def test_simulated_inverters_appear_and_report() -> None:
    async with running(source="sim", inverters=3, layout="mixed", interval=60) as run:
        await run.until(lambda: run.now.connected)
        await run.clock.advance(3600)
        states = [s for s in run.now.devices.values() if s.device.kind == "inverter"]
        assert len(states) == 3
        assert all(state.available for state in states)
        assert len(run.occurrences) == 3 * 61
        capture_device = next(s for s in run.now.devices.values() if s.device.kind == "capture")
        assert capture_device.values["reports"] == 3 * 61
        assert all(state.device.via == capture_device.device.id for state in states)
        for state in run.now.devices.values():
            assert state.values.keys() <= CATALOGUES[state.device.kind].keys()
        assert {str(state.device.model)[-15:] for state in states} == {"Hybrid inverter"[-15:]} | {
            "hybrid inverter"[-15:]
        }
        assert states[0].values["report_interval"] == 60


async def test_warped_time_runs_ahead_of_the_clock() -> None:
    async with running(source="sim", interval=300, warp=300) as run:
        await run.until(lambda: run.now.connected)
        await run.clock.advance(24)
        last = run.occurrences[-1]
        assert isinstance(last, Reading)
        assert last.time == datetime(2026, 6, 14, 10, tzinfo=UTC)
        assert all(state.available for state in run.now.devices.values())


async def test_nothing_can_be_commanded() -> None:
    async with running(source="sim") as run:
        await run.until(lambda: run.now.connected)
        with pytest.raises(InvalidCommand):
            await run.engine.execute(Command("2200000001", {"load_limit": "essentials"}))


class Feed:
    """Puts frames into an engine as its source would."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.time = run.clock.now()

    def report(self, local: datetime, /, number: int = 1, **registers: int) -> None:
        """Let a report pass; registers by name ``r184=50``."""
        good = {59: 2, 79: 5000, 184: 50, 192: 5000, 194: 1, 96: 1000}
        words = good | {int(key[1:]): word for key, word in registers.items()}
        clock = (local.year - 2000, local.month, local.day, local.hour, local.minute, local.second)
        frame = frame_of(words, serial="2200009999", time=clock, message_no=number)
        pipeline = self.run.engine.pipeline
        received = pipeline.take(frame, self.run.clock.now(), arrival=self.run.clock.monotonic())
        reports = () if received is None else (received,)
        self.run.engine._receive(Batch([(frame, self.run.clock.now())], reports))


@asynccontextmanager
async def feeding(**values: Any) -> AsyncIterator[tuple[Run, Feed]]:
    """Run an engine behind a relay that nobody uses, and feed it by hand."""
    async with running(source="relay", server="127.0.0.1:9", listen="127.0.0.1:0", **values) as run:
        await run.until(lambda: run.relay_port)
        yield run, Feed(run)


HELLO = bytes.fromhex("a50601050000000001") + b"\0\0"
"""A heartbeat: the beginning of what a dongle sends."""
LOCAL = datetime(2026, 6, 14, 10)  # noqa: DTZ001 - eight o'clock in UTC
SERIAL = "2200009999"


async def test_waiting_silence_and_staleness_are_told_apart() -> None:
    async with feeding() as (run, feed):
        assert run.now.reason is Reason.WAITING_FOR_PEER
        feed.report(LOCAL)
        assert run.connected()
        await run.clock.advance(599)
        assert run.fresh(SERIAL)
        await run.clock.advance(2)
        assert not run.fresh(SERIAL)
        assert not run.connected()
        feed.report(LOCAL + timedelta(minutes=11))
        assert run.fresh(SERIAL)
        assert run.now.value(SERIAL, "battery_soc") == 50


async def test_reports_that_are_refused_are_told_as_such(tmp_path: Path) -> None:
    """An inverter that has lost its clock, or a firmware with other words: packets are not all."""
    path = tmp_path / "refused.pcap"
    faults = Faults(implausible=1.0)
    with path.open("wb") as file:
        write_capture(file, Simulation(zone=UTC, faults=faults), timedelta(minutes=16))
    async with running(source="file", path=str(path)) as run:
        await run.until(lambda: run.now.reason is Reason.NO_REPORTS)
        assert "4 implausible" in str(run.now.detail)


async def test_only_what_was_refused_since_the_last_report_is_told() -> None:
    async with feeding() as (run, feed):
        assert isinstance(run.engine.source, RelaySource)
        implausible = {"r59": 9, "r79": 100, "r184": 300}
        for minute in range(2):
            feed.report(LOCAL + timedelta(minutes=minute), **implausible)
        feed.report(LOCAL + timedelta(minutes=5))
        run.engine.source._chunks += 3
        await run.clock.advance(700)
        assert run.now.detail == "packets pass, none carries a report"
        for minute in (9, 10, 11):
            feed.report(LOCAL + timedelta(minutes=minute), **implausible)
        await run.clock.advance(20)
        assert run.now.detail == "reports pass, none can be used (3 implausible)"


async def test_the_staleness_can_be_set() -> None:
    async with feeding(expire_after=60) as (run, feed):
        feed.report(LOCAL)
        await run.clock.advance(61)
        assert not run.fresh(SERIAL)


async def test_a_falling_lifetime_counter_is_held_back() -> None:
    async with feeding() as (run, feed):
        feed.report(LOCAL)
        await run.clock.advance(300)
        feed.report(LOCAL + timedelta(minutes=5), r96=7)
        assert run.now.value(SERIAL, "pv_production_total") == 100.0
        last = run.occurrences[-1]
        assert isinstance(last, Reading)
        assert last.values["pv_production_total"] is None
        for number in (2, 3):
            await run.clock.advance(300)
            feed.report(LOCAL + timedelta(minutes=5 * number), r96=7)
        assert run.now.value(SERIAL, "pv_production_total") == 0.7


async def test_a_buffered_report_goes_to_history_only() -> None:
    async with feeding() as (run, feed):
        feed.report(LOCAL, r184=60)
        await run.clock.advance(1)
        feed.report(LOCAL - timedelta(hours=1), r184=40, r96=900)
        assert run.now.value(SERIAL, "battery_soc") == 60
        old = run.occurrences[-1]
        assert isinstance(old, Reading)
        assert not old.live
        assert old.values["battery_soc"] == 40
        assert old.values["pv_production_total"] == 90.0


async def test_a_wrong_time_zone_is_noticed() -> None:
    async with feeding() as (run, feed):
        for number in range(6):
            feed.report(LOCAL + timedelta(hours=-1, minutes=5 * number))
            await run.clock.advance(300)
        assert run.engine.zone_mismatch == {SERIAL: 3600}
        facts = run.engine.diagnostics()
        assert facts["zone_mismatch_s"] == 3600
        assert SERIAL not in json.dumps(facts)


async def test_an_unknown_layout_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with running(source="file", path=capture("learned_layout_one_way.pcap")) as run:
        with caplog.at_level(logging.WARNING):
            await run.until(lambda: run.now.reason is Reason.NO_REPORTS)
        assert run.engine.diagnostics()["unknown_layout_size"] == 316
        told = [line for line in caplog.messages if "316 bytes" in line]
        assert len(told) == 1
        assert run.engine.statistics.as_dict()["frames_in"] == 10


async def test_diagnostics_and_frames_hold_no_identity() -> None:
    async with running(source="file", path=capture("dialogue.pcap")) as run:
        await run.until(lambda: run.now.connected)
        serials = [s.device.serial_number for s in run.now.devices.values()]
        text = json.dumps(run.engine.diagnostics())
        seen = b"".join(frame.data for frame in run.engine.frames)
        assert len(run.engine.frames) > 10
        for serial in filter(None, serials):
            assert serial not in text
            assert serial.encode() not in seen
        for needle in (b"E47", b"N8AQ"):
            assert needle not in seen
            assert needle.hex() not in text
        assert all(frame.data[3] != 1 for frame in run.engine.frames)


def test_a_masked_report_keeps_its_words() -> None:
    frame = frame_of({59: 2})
    masked = mask_identity(frame)
    assert masked[11:37] == b"X" * 26
    assert masked[:11] + masked[37:] == frame[:11] + frame[37:]


async def test_the_relay_copies_every_byte_and_reads_along() -> None:
    zone = load_zone(ZONE)
    dongle = Dongle("2200000001", zone)
    said, heard = bytearray(), bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = await reader.readexactly(11)
            except asyncio.IncompleteReadError:
                break
            body = await reader.readexactly(int.from_bytes(head[9:11]))
            heard.extend(head + body)
            reply = answer(head, datetime(2026, 6, 14, 10), dongle.layout)  # noqa: DTZ001
            said.extend(reply)
            writer.write(reply)
        writer.write_eof()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        relay = run.engine._source.relay  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        sent = b"".join([*dongle.hello(), dongle.report(run.clock.now())])
        for at in range(0, len(sent), 7):
            writer.write(sent[at : at + 7])
            await asyncio.sleep(0)
        writer.write_eof()
        received = await reader.read(-1)
        await run.until(lambda: run.now.connected)
        assert bytes(heard) == sent
        assert received == bytes(said)
        assert run.now.value("2200000001", "inverter_state") == "normal"
        assert run.engine.diagnostics()["polling_map"] == "1.4"
        writer.close()
    cloud.close()


async def test_the_relay_changes_nothing_in_what_it_does_not_understand() -> None:
    up, down = Random(1).randbytes(300_000), Random(2).randbytes(300_000)
    heard = bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(down)
        heard.extend(await reader.read(-1))
        writer.write_eof()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        relay = run.engine._source.relay  # type: ignore[union-attr]
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(HELLO + up)
        writer.write_eof()
        async with asyncio.timeout(60):
            assert await reader.read(-1) == down
        await run.until(lambda: len(heard) == len(HELLO + up))
        assert bytes(heard) == HELLO + up
        assert run.engine.counters()["reports"] == 0
        writer.close()
    cloud.close()


async def test_the_relay_closes_when_the_server_is_away() -> None:
    async with feeding() as (run, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        writer.write(HELLO)
        assert await ended(reader)
        writer.close()
        assert run.engine.counters()["unreachable"] == 1
        await run.clock.advance(16)
        assert [notice.key for notice in run.now.notices] == ["relay_server"]


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side closes, within the test's patience."""
    try:
        async with asyncio.timeout(60):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_the_server_is_reached_by_dongles_only() -> None:
    """Issue 13.5: what is no dongle is refused at once, silence after a while."""
    reached = []

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(100))
        writer.close()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        for said in (b"GET / HTTP/1.1\r\n", b"\xa5\x06\xa1", HELLO[:9] + b"\xff\xff"):
            reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
            writer.write(said)
            assert await ended(reader)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        await run.until(lambda: len(run.relay._open) == 1)
        await run.clock.advance(31)
        assert await ended(reader)
        writer.close()
        assert reached == []
        assert run.relay.refused == {"no_dongle": 3, "silent": 1}
        reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        for byte in HELLO:
            writer.write(bytes((byte,)))
            await writer.drain()
        await run.until(lambda: reached)
        assert reached == [HELLO]
        writer.close()
    cloud.close()


async def test_twelve_dongles_behind_one_address_keep_their_two_connections() -> None:
    """Spec c.2: one to the redirect name, which never carries a report, one for the reports."""
    serials = [f"22110000{number:02}" for number in range(12)]

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        lines = [await asyncio.open_connection("127.0.0.1", run.relay_port) for _ in range(24)]
        for reader, writer in lines:
            writer.write(HELLO)
            assert await reader.readexactly(len(HELLO)) == HELLO
        for number in range(2):
            for serial, (_, writer) in zip(serials, lines[::2], strict=True):
                clock = (25, 6, 14, 10, 5 * number, 0)
                words = {59: 2, 79: 5000, 184: 50, 192: 5000}
                writer.write(frame_of(words, serial=serial, time=clock))
            sent = 12 * (number + 1)
            await run.until(lambda sent=sent: run.engine.pipeline.counts.reports == sent)
            await run.clock.advance(300)
        await run.until(lambda: run.now.devices.keys() >= set(serials[:8]))
        assert len(run.relay._open) == 24
        assert not run.relay.refused
        for _, writer in lines:
            writer.close()
    cloud.close()


async def test_silence_holds_no_place_in_the_relay() -> None:
    """Issue 13.5: any number of silent connections, and the dongle is still served."""
    heard = bytearray()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            heard.extend(data)
        writer.close()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        silent = [await asyncio.open_connection("127.0.0.1", run.relay_port) for _ in range(150)]
        for _, writer in silent[:70]:
            with contextlib.suppress(ConnectionError):
                writer.write(HELLO)
        _, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        report = frame_of({59: 2, 79: 5000, 184: 50, 192: 5000}, serial=SERIAL)
        writer.write(report)
        await run.until(lambda: SERIAL in run.now.devices)
        await run.until(lambda: report in bytes(heard))
        later = [await asyncio.open_connection("127.0.0.1", run.relay_port) for _ in range(150)]
        writer.write(HELLO)
        await run.until(lambda: bytes(heard).count(HELLO) and bytes(heard).endswith(HELLO))
        assert len(run.relay._open) <= 64
        for _, one in (*silent, *later):
            one.close()
        writer.close()
    cloud.close()


async def test_the_relay_takes_the_peers_that_it_is_told() -> None:
    async with feeding(peers=["192.0.2.0/24", "2001:db8::1"]) as (run, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        assert await ended(reader)
        writer.close()
        assert run.relay.refused == {"not_allowed": 1}
        await run.clock.advance(16)
        assert [notice.key for notice in run.now.notices] == ["relay_refused"]


async def test_a_connection_that_says_nothing_more_ends() -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        reader, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        writer.write(HELLO)
        await run.until(lambda: run.relay.connections)
        await run.clock.advance(1790)
        assert run.relay.connections == 1
        await run.clock.advance(20)
        assert await ended(reader)
        assert run.relay.refused == {"idle": 1}
        writer.close()
    cloud.close()


async def test_a_relay_that_reaches_itself_says_so() -> None:
    """Home Assistant inside the redirect: its own connection comes back."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    async with running(
        source="relay", server=f"127.0.0.1:{port}", listen=f"127.0.0.1:{port}"
    ) as run:
        await run.until(lambda: run.relay_port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HELLO)
        assert await ended(reader)
        writer.close()
        assert len(run.relay._open) <= 2
        await run.clock.advance(16)
        assert "relay_loop" in [notice.key for notice in run.now.notices]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("127.0.0.1:{port}", Reason.BAD_ADDRESS),
        ("localhost:{port}", Reason.BAD_ADDRESS),
        ("127.0.0.1:9", Reason.REFUSED),
        ("no.such.host.invalid:51100", Reason.NOT_FOUND),
    ],
)
async def test_a_server_that_cannot_be_is_refused_in_the_form(server: str, reason: Reason) -> None:
    """Issue 13.5: self-pointing, dead, unresolvable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    values = {"source": "relay", "time_zone": ZONE, "listen": f"127.0.0.1:{port}"}
    settings = FACTORY.read({**values, "server": server.format(port=port)})
    with pytest.raises(SettingsError) as caught:
        await FACTORY.probe(settings, Surroundings(), seconds=0.2)
    assert (caught.value.field, caught.value.reason) == ("server", reason)


async def test_a_burst_through_the_relay_does_not_hold_the_loop() -> None:
    """A megabyte of reports: many turns of the loop, each with few reports."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    cloud = await asyncio.start_server(server, "127.0.0.1", 0)
    port = cloud.sockets[0].getsockname()[1]
    async with running(source="relay", server=f"127.0.0.1:{port}", listen="127.0.0.1:0") as run:
        await run.until(lambda: run.relay_port)
        sizes: list[int] = []
        receive = run.engine._receive
        source = run.engine.source
        assert isinstance(source, RelaySource)
        source._on_batch = lambda batch: (sizes.append(len(batch.reports)), receive(batch))[1]
        _, writer = await asyncio.open_connection("127.0.0.1", run.relay_port)
        frames = [
            frame_of({59: 2, 79: 5000, 184: 50, 192: 5000}, serial=SERIAL,
                     time=(26, 6, 14, at // 3600, at // 60 % 60, at % 60))
            for at in range(3000)
        ]  # fmt: skip
        writer.write(b"".join(frames))
        await run.until(lambda: sum(sizes) == 3000, 60)
        assert max(sizes) <= 30
        writer.close()
    cloud.close()


async def test_a_port_that_is_taken() -> None:
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with running(source="relay", server="127.0.0.1:9", listen=f"127.0.0.1:{port}") as run:
        await run.until(lambda: run.now.reason is Reason.BUSY)
        taken.close()
        run.engine.wake()
        await run.until(lambda: run.now.reason is Reason.WAITING_FOR_PEER)


@pytest.mark.parametrize(
    ("values", "reason", "field"),
    [
        ({"source": "modem"}, Reason.BAD_ADDRESS, "source"),
        ({}, Reason.BAD_ADDRESS, "source"),
        ({"source": "sim", "time_zone": ""}, Reason.BAD_TIMEZONE, "time_zone"),
        ({"source": "file"}, Reason.NOT_FOUND, "path"),
        ({"source": "live"}, Reason.NOT_FOUND, "interface"),
        ({"source": "relay"}, Reason.BAD_ADDRESS, "server"),
        ({"source": "relay", "server": "host:port"}, Reason.BAD_ADDRESS, "server"),
        ({"source": "relay", "server": "x", "listen": "x:70000"}, Reason.BAD_ADDRESS, "listen"),
        ({"source": "sim", "expire_after": "soon"}, Reason.BAD_ADDRESS, "expire_after"),
        ({"source": "sim", "filter": "tcp and ("}, Reason.BAD_FILTER, "filter"),
        ({"source": "live", "interface": "x", "filter": "broadcast"}, Reason.BAD_FILTER, "filter"),
        ({"source": "sim", "snaplen": 10}, Reason.BAD_ADDRESS, "snaplen"),
        ({"source": "sim", "expire_after": 0}, Reason.BAD_ADDRESS, "expire_after"),
        ({"source": "file", "path": 5}, Reason.BAD_ADDRESS, "path"),
        ({"source": "sim", "interval": "often"}, Reason.BAD_ADDRESS, "interval"),
        ({"source": "sim", "layout": "299"}, Reason.BAD_ADDRESS, "layout"),
        ({"source": "sim", "interval": 0}, Reason.BAD_ADDRESS, "interval"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(values: dict[str, Any], reason: Reason, field: str) -> None:
    with pytest.raises(LinkError) as caught:
        FACTORY.read({"time_zone": ZONE, **values})
    assert caught.value.reason is reason
    assert caught.value.placeholders["field"] == field


async def hear(run: Run, serial: str, number: int, **words: int) -> None:
    """Let a report of an inverter pass, the *number*-th since eight o'clock."""
    local = LOCAL + timedelta(seconds=300 * number)
    clock = (local.year - 2000, local.month, local.day, local.hour, local.minute, local.second)
    good = {59: 2, 79: 5000, 184: 50, 192: 5000, 194: 1, 96: 1000}
    frame = frame_of(
        good | {int(key[1:]): word for key, word in words.items()}, serial=serial, time=clock
    )
    now, arrival = run.clock.now(), run.clock.monotonic()
    received = run.engine.pipeline.take(frame, now, arrival=arrival)
    run.engine._receive(Batch([(frame, now)], () if received is None else (received,)))


def shown(run: Run) -> set[str]:
    return {key for key, state in run.now.devices.items() if state.device.kind == "inverter"}


async def test_forged_serials_do_not_shut_the_inverter_out() -> None:
    """Issue 13.6: newcomers join after two reports that agree, a few an hour."""
    forged = [f"66{number:08}" for number in range(500)]
    async with feeding() as (run, _):
        await hear(run, SERIAL, 0)
        for serial in forged:
            await hear(run, serial, 0)
        assert shown(run) == {SERIAL}
        await run.clock.advance(300)
        for serial in forged:
            await hear(run, serial, 1)
        assert len(shown(run)) <= 1 + 8
        await hear(run, SERIAL, 1, r184=51)
        assert run.now.value(SERIAL, "battery_soc") == 51
        assert len(run.engine.inverters._candidates) <= 64
        assert len(run.engine.pipeline.inverters) <= 64


async def test_a_second_inverter_joins_with_its_second_report_and_loses_none() -> None:
    async with feeding() as (run, _):
        await hear(run, SERIAL, 0)
        await hear(run, "2200000002", 0)
        assert shown(run) == {SERIAL}
        await run.clock.advance(300)
        await hear(run, "2200000002", 1)
        assert shown(run) == {SERIAL, "2200000002"}
        told = [one for one in run.occurrences if isinstance(one, Reading)]
        assert [one.device.id for one in told].count("2200000002") == 2


async def test_a_newcomer_whose_reports_do_not_agree_stays_out() -> None:
    async with feeding() as (run, _):
        await hear(run, SERIAL, 0)
        await hear(run, "2200000002", 0)
        await run.clock.advance(300)
        await hear(run, "2200000002", 1, r97=150)
        assert shown(run) == {SERIAL}
        await run.clock.advance(300)
        await hear(run, "2200000002", 30, r97=150)
        assert shown(run) == {SERIAL}


async def test_after_a_restart_the_inverters_are_there_and_unavailable() -> None:
    """Issue 12.9: from what was stored; lifetime counters keep their last value, with its time."""
    storage = MemoryStorage()
    async with feeding(storage=storage) as (run, feed):
        feed.report(LOCAL, r184=60)
        before = run.now.devices[SERIAL]
    kept = json.loads(json.dumps(storage.data))
    storage.data = kept
    async with feeding(storage=storage) as (run, feed):
        state = run.now.devices[SERIAL]
        assert not run.now.connected
        assert not state.available
        assert state.device == before.device
        assert state.values.keys() == before.values.keys()
        totals = {key for key, value in state.values.items() if value is not None}
        assert totals == {key for key in totals if key.endswith("_total")}
        assert state.values["pv_production_total"] == 100.0
        assert state.details["pv_production_total"] == {"as_of": before.time}
        assert all(state.fields[key].lasting for key in totals)
        await run.clock.advance(600)
        feed.report(LOCAL + timedelta(minutes=10), r96=7)
        state = run.now.devices[SERIAL]
        assert state.available
        assert not state.details
        assert state.values["pv_production_total"] == 100.0


@pytest.mark.parametrize(
    "kept",
    [
        [], {"inverters": 5}, {"inverters": {SERIAL: []}}, {"inverters": {"../../x": {}}},
        {"inverters": {SERIAL: {"keys": 7, "time": "soon", "counters": {"x": 1}, "model": 3}}},
        {"inverters": {SERIAL: {"keys": [[], "battery_soc"], "rated": 10**400, "time": None}}},
        {"inverters": {SERIAL: {"counters": {"pv_production_total": [float("nan"), "", 1, 2]}}}},
    ],
)  # fmt: skip
async def test_damaged_storage_is_left_out(kept: Any) -> None:
    storage = MemoryStorage()
    storage.data = kept
    async with feeding(storage=storage) as (run, feed):
        feed.report(LOCAL)
        assert run.fresh(SERIAL)


CASES = Path(__file__).parents[2] / "cases"


async def test_solarman_sticks_are_named_and_their_number_is_not_told() -> None:
    """Issue 12.13."""
    path = CASES / "sunsynk" / "solarman_v5_a.pcap"
    async with running(source="file", path=str(path)) as run:
        await run.until(lambda: run.now.reason is Reason.WRONG_DEVICE)
        assert "Solarman" in str(run.now.detail)
        assert "Modbus" in str(run.now.detail)
        assert [notice.key for notice in run.now.notices] == ["solarman"]
        told = json.dumps(run.engine.diagnostics()) + str(run.engine.frames._frames)
        assert "8c6e91d1" not in told
        assert str(int.from_bytes(bytes.fromhex("8c6e91d1"), "little")) not in told
        assert not len(run.engine.frames)


@pytest.mark.parametrize("number", [0x00000001, 0x01000009, 0x10000901, 0xA5010902, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [0, 1, 100, 0x0101, 0x01FF, 0xA110, 1200])
def test_solarman_frames_of_any_number_and_length(number: int, size: int) -> None:
    for control in (0x1042, 0x1047, 0x1142):
        head = size.to_bytes(2, "little") + control.to_bytes(2) + b"\1\2"
        inner = head + number.to_bytes(4, "little") + Random(size).randbytes(size)
        frame = b"\xa5" + inner + bytes((sum(inner) & 0xFF, 0x15))
        cutter = FrameCutter()
        assert cutter.append(frame) == []
        assert (cutter.foreign, cutter.buffer) == (1, b"")


async def test_a_pipe_chosen_as_a_file_is_told_at_once(tmp_path: Path) -> None:
    """Issue 12.12."""
    os.mkfifo(tmp_path / "pipe")
    async with running(source="file", path=str(tmp_path / "pipe")) as run:
        await run.until(lambda: run.now.reason is Reason.NOT_A_CAPTURE)
        assert "a pipe" in str(run.now.detail)
    async with running(source="file", path="/dev/zero") as run:
        await run.until(lambda: run.now.reason is Reason.NOT_A_CAPTURE)


async def test_a_file_of_interfaces_only_takes_no_memory_and_can_be_left() -> None:
    """Issue 12.12: 745 KB made 1 GB."""
    path = CASES / "reliability" / "interfaces.pcapng.gz"
    tracemalloc.start()
    try:
        async with running(source="file", path=str(path)) as run:
            await run.until(lambda: run.engine.statistics.connects)
            await asyncio.sleep(0.3)
            left = time.monotonic()
        assert time.monotonic() - left < 5
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_many_interfaces_of_many_kinds_are_bounded() -> None:
    section = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000")
    blocks = b"".join(
        (1).to_bytes(4, "little") + (20).to_bytes(4, "little") + (1).to_bytes(2, "little")
        + bytes(2) + number.to_bytes(4, "little") + (20).to_bytes(4, "little")
        for number in range(70_000)
    )  # fmt: skip
    reader = CaptureFile(io.BytesIO(section + blocks))
    batches = list(reader.batches())
    assert len(batches) > 10
    assert not any(batches)
    assert not reader.warnings
