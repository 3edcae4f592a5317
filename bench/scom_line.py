"""Studer: how much of a 38400 baud line is used, how fast a plant is read, what it costs.

``reads`` and ``values`` are measured in real time on a pseudo-terminal whose other end, a
process of its own, answers at once but takes the time that the bytes take on the wire. The
cycles are measured on a simulated clock. The pause between exchanges starts at 10 ms and goes
to zero by itself when the gateway bears it; ``pause_ms`` says what it was.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from struct import pack
from typing import Any

from hardwired_engines.clock import SystemClock
from hardwired_engines.engine import DeviceState, FrameLog, Snapshot, Statistics
from hardwired_engines.link import Parity, SerialOpener, SerialSettings
from hardwired_engines.simulating import on_pty
from hardwired_engines.storage import MemoryStorage
from hardwired_engines.studer.catalogue import point_of
from hardwired_engines.studer.datapoints.datapoint import Poll
from hardwired_engines.studer.engine import StuderEngine
from hardwired_engines.studer.scom import multi_info
from hardwired_engines.studer.scom.frame import ObjectType, Request, read_info
from hardwired_engines.studer.scom.matching import mismatch
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.values import Format, decode
from hardwired_engines.studer.session.line import Line
from hardwired_engines.studer.settings import StuderSettings, Timings
from hardwired_engines.studer.simulator.world import make

from ._scom import Trial

BAUD = 38400
BITS = 11
SERIAL = SerialSettings(BAUD, parity=Parity.EVEN)
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))


def _device(master: int, baud: int) -> None:
    """Answer every request at once, at the speed of the wire."""
    parser = Parser()
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            return
        arrived = time.perf_counter()
        for frame in parser.receive_data(data):
            request = Request.of(frame)
            if request is None:
                continue
            if request.object_type == ObjectType.MULTI_INFO:
                items = tuple((item, 1.5) for item in multi_info.decode_request(request.data))
                content = multi_info.encode(multi_info.MultiInfo(480, 0, items))
            else:
                content = pack("<f", 52.5)
            answer = request.answer(content).encode()
            due = arrived + (len(frame.encode()) + len(answer)) * BITS / baud
            while (left := due - time.perf_counter()) > 0:
                time.sleep(max(0.0, left - 0.0002))
            os.write(master, answer)


@contextmanager
def _wire() -> Iterator[str]:
    """Give the path of a terminal with the device behind it."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    path = os.ttyname(slave)
    process = multiprocessing.get_context("fork").Process(
        target=_device, args=(master, BAUD), daemon=True
    )
    process.start()
    os.close(master)
    try:
        yield path
    finally:
        process.terminate()
        process.join()
        os.close(slave)


async def _rate(path: str, request: Request, wire_format: Format | None) -> dict[str, Any]:
    """Ask the same question again and again."""
    stream = await SerialOpener(path, SERIAL).open()
    line = Line(stream, SystemClock(), Timings(), statistics=Statistics(), frames=FrameLog())
    try:
        for _ in range(80):
            await line.exchange(request, wire_format)
        began, count = time.perf_counter(), 0
        used = time.process_time()
        while time.perf_counter() - began < SECONDS:
            await line.exchange(request, wire_format)
            count += 1
        seconds = time.perf_counter() - began
        return {
            "exchanges": count,
            "per_second": count / seconds,
            "pause_ms": line.pause * 1000,
            "cpu_us_each": (time.process_time() - used) / count * 1e6,
        }
    finally:
        await line.close()


def _reads() -> dict[str, Any]:
    request = read_info(101, 3000)
    bytes_each = len(request.encode()) + len(request.answer(bytes(4)).encode())
    allowed = BAUD / BITS / bytes_each
    with _wire() as path:
        figures = asyncio.run(_rate(path, request, Format.FLOAT))
    rate = figures["per_second"]
    return {
        "what": "single reads, 38400 8E1",
        "reads_per_s": round(rate, 2),
        "line_allows_per_s": round(allowed, 2),
        "share_percent": round(100 * rate / allowed, 1),
        "pause_ms": figures["pause_ms"],
        "cpu_us_per_read": round(figures["cpu_us_each"], 1),
    }


def _values() -> dict[str, Any]:
    items = [multi_info.Item(3000 + n, 1 + n % 6) for n in range(multi_info.MAX_ITEMS)]
    request = multi_info.request(items, 1)
    bytes_each = len(request.encode()) + len(request.answer(bytes(8 + 7 * 76)).encode())
    allowed = BAUD / BITS / bytes_each * 76
    with _wire() as path:
        figures = asyncio.run(_rate(path, request, None))
    rate = figures["per_second"] * 76
    return {
        "what": "values by multi-info of 76, 38400 8E1",
        "values_per_s": round(rate, 1),
        "line_allows_per_s": round(allowed, 1),
        "share_percent": round(100 * rate / allowed, 1),
    }


async def _cycle(*, multi: bool, latency: str) -> dict[str, Any]:
    """From the first question of a round of everything to the last answer."""
    query = {
        "xtenders": "6", "variotracks": "0", "variostrings": "0", "bsp": "0",
        "multi_info": str(int(multi)), "latency_ms": latency, "hiccup_ms": "0", "messages": "0",
    }  # fmt: skip
    trial = Trial.begin(query, intervals={"fast": 2})
    try:
        await trial.until(lambda: trial.engine.snapshot.connected)
        began = trial.clock.monotonic()

        def complete() -> bool:
            units = [s for s in trial.engine.snapshot.devices.values() if s.device.kind == "xt"]
            wanted = [
                field.key
                for field in trial.engine.catalogues["xt"].values()
                if field.offer == "default"
            ]
            return all(unit.values.get(key) is not None for unit in units for key in wanted)

        while not complete():
            await trial.clock.advance(0.01, settle=8)
        seconds = trial.clock.monotonic() - began
        await trial.pass_(30)
        fast = [
            key
            for key in trial.engine.catalogues["xt"]
            if (point := point_of("xt", key)) is not None and point.poll is Poll.FAST
        ]
        gateway = next(s for s in trial.engine.snapshot.devices.values() if s.device.kind == "xcom")
        return {
            "what": "full cycle of the default set, 6 Xtenders, 38400 8E1",
            "multi_info": multi,
            "latency_ms": latency,
            "values": 26 * 6,
            "cycle_s": round(seconds, 2),
            "fast_values": 6 * len(fast),
            "fast_wanted_every_s": 2,
            "fast_achieved_s": gateway.values.get("achieved_interval"),
            "stretch": trial.engine.diagnostics()["stretch"],
        }
    finally:
        await trial.end()


async def _start(*, multi: bool, known: bool) -> dict[str, Any]:
    """From the opening of the link to devices, to values, to all that devices say of themselves."""
    storage = MemoryStorage()
    query = {"multi_info": str(int(multi))}
    if known:
        trial = Trial.begin(query, storage)
        await trial.until(lambda: _told(trial) == XTENDERS, 120)
        await trial.end()
    trial = Trial.begin(query, storage)
    try:
        shown = await trial.until(lambda: trial.engine.snapshot.connected, 120, step=0.05)
        first = await trial.until(lambda: _measured(trial) > 0, 120, step=0.05)
        everybody = await trial.until(lambda: _measured(trial) == XTENDERS, 120, step=0.05)
        told = await trial.until(lambda: _told(trial) == XTENDERS, 120, step=0.05)
    finally:
        await trial.end()
    moments = accumulate(seconds or 0.0 for seconds in (shown, first, everybody, told))
    names = ("devices_s", "first_power_s", "power_of_all_s", "firmware_of_all_s")
    return {
        "what": "start: 6 Xtenders, 2 VarioTracks, VarioString, BSP, 38400 8E1, 20-90 ms",
        "multi_info": multi,
        "seen_before": known,
        **{name: round(moment, 2) for name, moment in zip(names, moments, strict=True)},
    }


XTENDERS = 6


def _xtenders(trial: Trial) -> list[DeviceState]:
    states = trial.engine.snapshot.devices.values()
    return [state for state in states if state.device.kind == "xt"]


def _measured(trial: Trial) -> int:
    return sum(one.values.get("output_active_power") is not None for one in _xtenders(trial))


def _told(trial: Trial) -> int:
    return sum(one.device.hw_version is not None for one in _xtenders(trial))


def _frames() -> dict[str, Any]:
    requests = [read_info(101 + n % 6, 3000 + n % 140) for n in range(1000)]
    answers = [request.answer(pack("<f", n / 7)) for n, request in enumerate(requests)]
    stream = b"".join(answer.encode() for answer in answers)
    rounds, parsed = 20, 0
    began = time.perf_counter()
    for _ in range(rounds):
        parser = Parser()
        for at in range(0, len(stream), 4096):
            parsed += len(parser.receive_data(stream[at : at + 4096]))
    parse = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(rounds):
        parser = Parser()
        for request in requests:
            for frame in parser.receive_data(request.answer(pack("<f", 1.5)).encode()):
                mismatch(request, frame, Format.FLOAT)
                body = frame.body()
                assert body is not None
                decode(Format.FLOAT, body.data)
    whole = time.perf_counter() - began
    return {
        "what": "codec",
        "frames_parsed_per_s": round(parsed / parse),
        "asked_parsed_matched_decoded_per_s": round(rounds * len(requests) / whole),
    }


def _simulate(path: str) -> None:
    logging.disable(logging.CRITICAL)
    query = {"xtenders": "6", "variotracks": "0", "variostrings": "0", "bsp": "0"}
    asyncio.run(on_pty(lambda: make(query), Path(path)))


async def _steady(path: str, *, multi: bool) -> dict[str, Any]:
    engine = StuderEngine(StuderSettings(path, multi_info=multi))
    connected = asyncio.Event()

    def heard(snapshot: Snapshot) -> None:
        if snapshot.connected:
            connected.set()

    task = asyncio.ensure_future(engine.run(heard))
    try:
        await connected.wait()
        await asyncio.sleep(15)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        frames = engine.statistics.frames_in
        await asyncio.sleep(3 * SECONDS)
        after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "what": "steady polling of 6 Xtenders, default set and intervals",
            "multi_info": multi,
            "cpu_percent": round(100 * used / seconds, 2),
            "exchanges_per_s": round((engine.statistics.frames_in - frames) / seconds, 1),
            "memory_mb": round(after.ru_maxrss / 1024, 1),
        }
    finally:
        task.cancel()
        await asyncio.wait([task])


def _cpu(*, multi: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "xcom")
        process = multiprocessing.get_context("fork").Process(
            target=_simulate, args=(path,), daemon=True
        )
        process.start()
        try:
            while not os.path.lexists(path):
                time.sleep(0.05)
            return asyncio.run(_steady(path, multi=multi))
        finally:
            process.terminate()
            process.join()


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    logging.disable(logging.CRITICAL)
    yield _reads()
    yield _values()
    for latency in ("0", "20-90"):
        for multi in (False, True):
            yield asyncio.run(_cycle(multi=multi, latency=latency))
    for multi in (False, True):
        for known in (False, True):
            yield asyncio.run(_start(multi=multi, known=known))
    yield _frames()
    if sys.platform == "linux":
        for multi in (False, True):
            yield _cpu(multi=multi)
