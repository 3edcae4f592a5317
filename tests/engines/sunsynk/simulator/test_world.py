"""The simulated dongles, and the decoder against every fault they can have (spec i)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from hardwired_engines.clock import load_zone
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.factory import ProbeResult, SettingsError, Surroundings
from hardwired_engines.sunsynk import FACTORY
from hardwired_engines.sunsynk.capture.packet_builder import Wrapping
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.dongle.layouts import LAYOUTS, read_layouts
from hardwired_engines.sunsynk.pipeline.decoder import Decoder
from hardwired_engines.sunsynk.pipeline.report_pipeline import Received
from hardwired_engines.sunsynk.simulator.capture import LINK_NAMES, Medium, packets, write_capture
from hardwired_engines.sunsynk.simulator.world import (
    SEQUENCE,
    Faults,
    Flag,
    ServerStub,
    Simulation,
    segments,
    talk,
)

ZONE = load_zone("Africa/Johannesburg")
HOURS = timedelta(hours=2)
DAY = timedelta(days=1)


def decoded(
    simulation: Simulation,
    duration: timedelta = HOURS,
    medium: Medium = Medium(),  # noqa: B008
) -> tuple[list[Received], dict[str, Any]]:
    """Return what the decoder makes of a simulation, written as a capture file and read back."""
    file = io.BytesIO()
    write_capture(file, simulation, duration, medium)
    file.seek(0)
    decoder = Decoder(simulation.zone)
    return list(decoder.read(CaptureFile(file))), decoder.summary()


def simulation(faults: Faults | None = None, **values: Any) -> Simulation:
    """Return a simulation with three layouts."""
    values.setdefault("inverters", 3)
    return Simulation(zone=ZONE, layouts=read_layouts("mixed"), faults=faults or Faults(), **values)


def test_a_plausible_day() -> None:
    found, summary = decoded(simulation(inverters=1), DAY)
    assert summary["reports"] == 288
    assert summary["rejected"] == {}
    assert summary["partial"] == 0
    assert (summary["gaps"], summary["retransmitted"], summary["resyncs"]) == (0, 0, 0)
    values = [received.values for received in found]
    noon = next(r.values for r in found if r.report.local_time.hour == 12)
    night = next(r.values for r in found if r.report.local_time.hour == 3)
    assert number(noon, "pv_power") > 500
    assert number(night, "pv_power") == 0
    for value in values:
        balance = (
            number(value, "pv_power")
            + number(value, "grid_power")
            + number(value, "battery_power")
            - number(value, "load_power")
        )
        assert 0 <= balance < 400, "what comes in goes to the loads, but for losses"
        assert number(value, "load_power") == pytest.approx(
            number(value, "load_power_essential") + number(value, "load_power_non_essential"), abs=1
        )
        assert number(value, "battery_power") * number(value, "battery_current") >= 0
        assert number(value, "bms_current") * number(value, "battery_power") <= 0


def number(values: Any, key: str) -> float:
    """Return a value that must be a number."""
    value = values[key]
    assert isinstance(value, (int, float)), key
    return value


def test_counters_never_fall_and_daily_ones_begin_anew_at_midnight() -> None:
    found, _ = decoded(simulation(inverters=1), 2 * DAY)
    for key in ("pv_production_total", "load_consumption_total", "grid_import_total"):
        course = [number(received.values, key) for received in found]
        assert course == sorted(course)
    dates = [received.report.local_time.date() for received in found]
    daily = [number(received.values, "load_consumption_daily") for received in found]
    falls = [at for at in range(1, len(daily)) if daily[at] < daily[at - 1]]
    assert falls == [at for at in range(1, len(dates)) if dates[at] != dates[at - 1]]


def test_the_seed_decides() -> None:
    one, two = io.BytesIO(), io.BytesIO()
    faults = Faults(split=0.5, lose=0.2, noise=1.5)
    for file in (one, two):
        write_capture(file, simulation(faults, seed=7), HOURS)
    assert one.getvalue() == two.getvalue()
    other = io.BytesIO()
    write_capture(other, simulation(faults, seed=8), HOURS)
    assert other.getvalue() != one.getvalue()


@pytest.mark.parametrize("name", sorted(LINK_NAMES))
def test_every_link_type(name: str) -> None:
    found, _ = decoded(simulation(), medium=Medium(link_type=LINK_NAMES[name]))
    assert len(found) == 3 * 24


@pytest.mark.parametrize("wrapping", list(Wrapping))
@pytest.mark.parametrize("ipv6", [False, True])
def test_every_wrapping(wrapping: Wrapping, ipv6: bool) -> None:
    found, _ = decoded(simulation(), medium=Medium(wrapping=wrapping, ipv6=ipv6))
    assert len(found) == 3 * 24


HARMLESS = {
    "split": Faults(split=1),
    "reorder": Faults(split=1, reorder=1),
    "retransmit": Faults(retransmit=1),
    "recut": Faults(recut=1, split=0.5),
    "glue": Faults(glue=1),
    "heartbeat": Faults(heartbeat=1, split=1),
    "reset": Faults(reset=0.5),
    "finish": Faults(finish=0.5, same_port=True),
    "reboot": Faults(reboot=0.3, same_port=True),
    "wrap": Faults(wrap=True, split=1, reorder=1),
    "outage": Faults(outage_hours=1),
    "solarman": Faults(solarman=1),
    "noise": Faults(noise=5),
    "twice": Faults(twice=True),
    "all": Faults(
        split=0.5, reorder=0.5, retransmit=0.5, recut=0.3, glue=0.3, heartbeat=0.3, reset=0.1,
        wrap=True, solarman=0.5, noise=2, twice=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HARMLESS))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_report_is_lost_or_made_up_by(name: str, seed: int) -> None:
    clean, _ = decoded(simulation(seed=seed))
    found, summary = decoded(simulation(HARMLESS[name], seed=seed))
    assert sorted(one.report.serial + str(one.time) for one in found) == sorted(
        one.report.serial + str(one.time) for one in clean
    )
    assert summary["rejected"] == {}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_all_copies_of_a_byte_are_the_same(name: str) -> None:
    streams: dict[Any, dict[int, int]] = {}
    for segment in segments(simulation(HARMLESS[name]), timedelta(minutes=30)):
        stream = streams.setdefault((segment.source, segment.destination), {})
        if segment.flags & Flag.SYN:
            stream.clear()
        for place, byte in enumerate(segment.data, segment.seq):
            assert stream.setdefault(place % SEQUENCE, byte) == byte


def test_a_lost_piece_costs_that_report_only() -> None:
    found, summary = decoded(simulation(Faults(split=1, lose=0.2)), DAY)
    assert 3 * 288 * 0.6 < len(found) < 3 * 288 * 0.95
    assert summary["gaps"] > 50
    assert summary["rejected"] == {}


@pytest.mark.parametrize(
    ("faults", "reasons"),
    [
        (Faults(zero=1), {"empty"}),
        (Faults(implausible=1), {"implausible"}),
        (Faults(unknown_size=1), {"unknown_layout"}),
        (Faults(three_phase=1), {"implausible"}),
    ],
)
def test_what_must_be_refused(faults: Faults, reasons: set[str]) -> None:
    found, summary = decoded(simulation(faults))
    assert found == []
    assert set(summary["rejected"]) == reasons
    assert sum(summary["rejected"].values()) == 3 * 24


def test_a_layout_known_from_the_polling_map_only() -> None:
    learned = replace(simulation(), layouts=read_layouts("learned"))
    found, _ = decoded(learned)
    assert {received.report.layout.name for received in found} == {"learned"}
    assert len(found) == 3 * 24


def test_a_wrong_zone_is_kept_as_it_is() -> None:
    found, _ = decoded(simulation(Faults(wrong_zone_hours=2)))
    offsets = [received.clock_offset for received in found]
    assert all(offset is not None and -7300 < offset < -7100 for offset in offsets)
    assert {received.time_quality for received in found} == {"clock_ahead"}


def test_a_short_snap_length_leaves_nothing() -> None:
    found, summary = decoded(simulation(), medium=Medium(snaplen=96))
    assert found == []
    assert summary["truncated"] > 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("302", [302]),
        ("mixed", [292, 302, 306]),
        ("learned", ["learned"]),
        ("59x66,150x50,312x8", [292]),
        ("59x66", ["learned"]),
    ],
)
def test_layouts_by_name(text: str, names: list[int | str]) -> None:
    assert [layout.name for layout in read_layouts(text)] == names


@pytest.mark.parametrize("text", ["", "300", "59x", "59x300", "70000x1", "a"])
def test_layouts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"layout|registers"):
        read_layouts(text)


def test_faults_by_name() -> None:
    assert Faults.from_mapping({"split": "0.5", "wrap": 1}) == Faults(split=0.5, wrap=True)
    with pytest.raises(ValueError, match="meteor"):
        Faults.from_mapping({"meteor": 1})
    assert Faults.from_mapping({"wrap": "0", "twice": "1"}) == Faults(twice=True)


@pytest.mark.parametrize(
    "name, value",
    [
        ("split", "nan"), ("split", "-1"), ("split", "2"), ("split", "x"), ("noise", "inf"),
        ("noise", -0.5), ("outage_hours", "inf"), ("outage_hours", -1), ("wrong_zone_hours", 1e12),
        ("wrong_zone_hours", -27), ("wrap", "yes"), ("wrap", "2"), ("clock_jump", "1e400"),
    ],
)  # fmt: skip
def test_faults_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"the fault {name} is"):
        Faults.from_mapping({name: value})


@pytest.mark.parametrize(
    "start, values",
    [
        (datetime(1999, 12, 31, 23, tzinfo=UTC), {}),
        (datetime(1900, 1, 1, tzinfo=UTC), {}),
        (datetime(9999, 12, 31, tzinfo=UTC), {}),
        (datetime(2099, 12, 31, 23, tzinfo=UTC), {}),
        (datetime(2000, 1, 1, 12, tzinfo=UTC), {"faults": Faults(wrong_zone_hours=-24)}),
    ],
)
def test_years_that_an_inverter_cannot_tell(start: datetime, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="2000 to 2099"):
        simulation(start=start, **values)


def test_a_capture_file_cannot_last_beyond_its_seconds() -> None:
    late = simulation(start=datetime(2099, 6, 1, tzinfo=UTC), inverters=1, interval=600)
    found, _ = decoded(late, timedelta(minutes=30))
    assert {one.time.year for one in found} == {2099}
    with pytest.raises(ValueError, match="2106-02-07"):
        write_capture(io.BytesIO(), late, timedelta(days=3650))


def test_a_snap_length_is_not_negative() -> None:
    with pytest.raises(ValueError, match="-5"):
        Medium(snaplen=-5)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_faults_never_make_a_wrong_report(data: st.DataObject) -> None:
    chance = st.sampled_from((0.0, 0.3, 1.0))
    faults = Faults(
        **{
            name: data.draw(chance)
            for name in ("split", "reorder", "retransmit", "recut", "lose", "glue", "heartbeat",
                         "reset", "finish", "reboot", "solarman", "noise")
        },
        wrap=data.draw(st.booleans()),
        twice=data.draw(st.booleans()),
        same_port=data.draw(st.booleans()),
    )  # fmt: skip
    seed = data.draw(st.integers(0, 1000))
    duration = timedelta(minutes=30)
    clean = {
        (one.serial, one.time): one.values for one in decoded(simulation(seed=seed), duration)[0]
    }
    found, _ = decoded(simulation(faults, seed=seed), duration)
    for received in found:
        assert received.values.keys() == clean[received.serial, received.time].keys()
    if not faults.lose:
        assert len(found) == len(clean)


def test_a_capture_of_any_length_is_made_piece_by_piece() -> None:
    endless = packets(simulation(), timedelta(days=36500))
    times = [next(endless)[0] for _ in range(500)]
    assert times == sorted(times)


async def test_dongles_talk_to_the_server_over_tcp() -> None:
    faulty = simulation(Faults(split=0.5, glue=0.5, heartbeat=0.5, reset=0.3), interval=1)
    server = ServerStub(ZONE, LAYOUTS[302])
    port = await server.start(port=0)
    try:
        async with asyncio.timeout(60):
            sent = await asyncio.gather(
                *(
                    talk(dongle, faulty, "127.0.0.1", port, warp=100, reports=10)
                    for dongle in faulty.dongles()
                )
            )
    finally:
        await server.stop()
    assert sent == [10, 10, 10]
    assert server.messages >= 3 * (4 + 10)


async def test_who_cannot_connect_says_why_and_tries_again() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        heard: list[Exception | None] = []
        one = simulation(inverters=1, interval=1)
        talking = asyncio.ensure_future(
            talk(one.dongles()[0], one, "127.0.0.1", port, reports=1, on_trouble=heard.append)
        )
        async with asyncio.timeout(60):
            while not heard:
                await asyncio.sleep(0.01)
    server = ServerStub(ZONE, LAYOUTS[302])
    await server.start(port=port)
    try:
        async with asyncio.timeout(60):
            assert await talking == 1
    finally:
        await server.stop()
    assert isinstance(heard[0], OSError)
    assert heard[-1] is None


def captures() -> bool:
    """Return whether this process has a socket that hears packets."""
    lines = Path("/proc/net/packet").read_text(encoding="ascii").splitlines()[1:]
    inodes = {line.split()[-1] for line in lines}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if link.readlink().name.removeprefix("socket:[").rstrip("]") in inodes:
                return True
    return False


@pytest.mark.parametrize("layouts, more", [("mixed", ""), ("302", " and greater 356")])
async def test_live_capture_hears_them_on_loopback(layouts: str, more: str) -> None:
    # 356 bytes: a report of 302 with the headers of TCP, IP and Ethernet, the last one not there.
    settings_ = FACTORY.read({"source": "live", "interface": "lo", "time_zone": "UTC"})
    quick = replace(simulation(interval=1, start=datetime.now(UTC)), layouts=read_layouts(layouts))
    server = ServerStub(ZONE, LAYOUTS[302])
    port = await server.start(port=0)
    progress: list[ProbeResult] = []
    listening = asyncio.ensure_future(
        FACTORY.probe(
            replace(settings_, filter=f"port {port}{more}"),
            Surroundings(),
            seconds=120,
            on_progress=progress.append,
        )
    )
    try:
        async with asyncio.timeout(90):
            while not captures() and not listening.done():
                await asyncio.sleep(0.01)
        if listening.done():
            with pytest.raises(SettingsError) as caught:
                await listening
            assert caught.value.reason is Reason.NO_PERMISSION
            pytest.skip("live capture needs CAP_NET_RAW")
        async with asyncio.timeout(90):
            await asyncio.gather(
                *(
                    talk(dongle, quick, "127.0.0.1", port, warp=50, reports=8)
                    for dongle in quick.dongles()
                )
            )
            while not progress or progress[-1].counters["reports"] < 24:
                await asyncio.sleep(0.05)
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await server.stop()
    assert progress[-1].counters["reports"] == 24
    assert len(progress[-1].devices) == 3
    assert progress[-1].reason is None


async def test_probing_a_simulation() -> None:
    progress: list[ProbeResult] = []
    result = await FACTORY.probe(
        FACTORY.read({"source": "sim", "time_zone": "UTC", "inverters": 2}),
        Surroundings(),
        seconds=1.2,
        on_progress=progress.append,
    )
    assert (result.counters["reports"], len(result.devices), result.reason) == (2, 2, None)
    assert progress


async def test_probing_an_interface_that_is_not_there() -> None:
    settings_ = FACTORY.read({"source": "live", "interface": "no-such-0", "time_zone": "UTC"})
    with pytest.raises(LinkError) as caught:
        await FACTORY.probe(settings_, Surroundings(), seconds=5)
    assert caught.value.reason in (Reason.NOT_FOUND, Reason.NO_PERMISSION)
