"""What the command line offers for Sunsynk and Deye inverters, heard on the network or asked."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, BinaryIO

from hardwired_engines.clock import SystemClock, load_zone
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.sunsynk.capture.live import interfaces
from hardwired_engines.sunsynk.capture.packet_builder import Wrapping
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.stream import Frame
from hardwired_engines.sunsynk.capture.writer import MaskedRecorder
from hardwired_engines.sunsynk.dongle.layouts import read_layouts
from hardwired_engines.sunsynk.dongle.timestamps import TimeQuality
from hardwired_engines.sunsynk.pipeline.decoder import Decoder
from hardwired_engines.sunsynk.pipeline.report_pipeline import Received, ReportPipeline
from hardwired_engines.sunsynk.settings import SunsynkSettings
from hardwired_engines.sunsynk.simulator.capture import LINK_NAMES, Medium, write_capture
from hardwired_engines.sunsynk.simulator.modbus import SINGLE_PHASE, ModbusFaults
from hardwired_engines.sunsynk.simulator.world import (
    SERVER_PORT,
    Faults,
    ServerStub,
    Simulation,
    talk,
)
from hardwired_engines.sunsynk.sources.base import Batch
from hardwired_engines.sunsynk.sources.live import LiveSource

from ..arguments import (
    WrongArguments,
    address_of,
    count_of,
    factor_of,
    reading_arguments,
    seconds_of,
    strengths_of,
    terminal_of,
)
from ..output import STOPPED, emit, tell, trouble_teller
from ..recording import Ending, until_stopped
from . import NOTHING_HEARD, Verb, _sunsynk_modbus
from ._sunsynk_capture import add_filter, decoder_for, opened, tell_warnings
from ._sunsynk_replay import REPLAY

KEPT_INTERVALS = 1000
LISTENING_SECONDS, ASKING_SECONDS = 600.0, 30.0


def _zone_and_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timezone",
        default="UTC",
        metavar="ZONE",
        help="the plant's time zone, an IANA name such as Africa/Johannesburg (default: UTC)",
    )
    add_filter(parser)


def report_record(received: Received) -> dict[str, Any]:
    """Return an accepted report as one JSON object."""
    report = received.report
    return {
        "serial": report.serial,
        "local_time": report.local_time.isoformat(),
        "time_utc": _utc(received.time),
        "time_quality": received.time_quality.value,
        "layout": report.layout.name,
        "length": report.length,
        "message_no": report.message_no,
        "rssi": report.rssi,
        "quality": report.quality.value,
        "violations": list(report.violations),
        "values": received.values,
    }


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def configure_decode(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``decode``."""
    parser.add_argument("file", metavar="FILE", help="pcap or pcapng, also gzipped; - is stdin")
    _zone_and_filter(parser)
    parser.add_argument(
        "--summary", action="store_true", help="add the counters at the end, as {'summary': ...}"
    )
    parser.add_argument(
        "--follow", action="store_true", help="wait for more at the end of FILE, until Ctrl-C"
    )


def decode(options: argparse.Namespace) -> int:
    """Print the accepted reports of a capture, each as it comes.

    The exit code is 3 when there is none.
    """
    decoder = decoder_for(load_zone(options.timezone), options.filter)
    with opened(options.file, follow=options.follow) as reader:
        for received in decoder.read(reader):
            emit(report_record(received))
            sys.stdout.flush()
        tell_warnings(reader)
        if options.summary:
            emit({"summary": _summary(decoder, reader)})
    remarks, counters = decoder.remarks(), decoder.summary()
    for remark in remarks:
        tell(f"hardwired: {remark}")
    if not counters["reports"]:
        _tell_no_report(counters)
    return 0 if counters["reports"] else NOTHING_HEARD


def _tell_no_report(counters: Mapping[str, Any]) -> None:
    """Say why nothing was decoded."""
    if rejected := counters.get("rejected"):
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
        tell(f"hardwired: reports passed, none can be used ({reasons})")
    elif counters.get("packets"):
        tell(f"hardwired: {counters['packets']} packets, none carries a report that can be used")
    else:
        tell("hardwired: no packet at all")


def _summary(decoder: Decoder, reader: CaptureFile) -> dict[str, Any]:
    return {**decoder.summary(), "warnings": [warning.value for warning in reader.warnings]}


@dataclass(slots=True)
class _Course:
    """How the reports of one inverter followed each other."""

    layout: int | str
    first: datetime
    last: datetime
    reports: int = 1
    shortest: float | None = None
    longest: float | None = None
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_INTERVALS))
    qualities: set[str] = field(default_factory=set)

    def add(self, received: Received) -> None:
        """Note one more report; a late one, or one without a time of its own, is no interval."""
        self.reports += 1
        self.first = min(self.first, received.time)
        interval = (received.time - self.last).total_seconds()
        if interval < 0 or received.time_quality is TimeQuality.CLOCK_UNSET:
            return
        self.last, self.layout = received.time, received.report.layout.name
        self.intervals.append(interval)
        self.shortest = interval if self.shortest is None else min(self.shortest, interval)
        self.longest = interval if self.longest is None else max(self.longest, interval)

    def as_record(self, serial: str, now: datetime) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "serial": serial,
            "reports": self.reports,
            "layout": self.layout,
            "first_report": _utc(self.first),
            "last_report": _utc(self.last),
            "seconds_since": round((now - self.last).total_seconds()),
            "interval_s": {
                "median": median(self.intervals) if self.intervals else None,
                "shortest": self.shortest,
                "longest": self.longest,
            },
            "time_qualities": self.qualities,
        }


class _Courses:
    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def add(self, received: Received) -> None:
        course = self._courses.get(received.serial)
        if course is None:
            layout = received.report.layout.name
            course = self._courses[received.serial] = _Course(layout, received.time, received.time)
        else:
            course.add(received)
        course.qualities.add(received.time_quality.value)

    def verdict(self, target: str, counters: Mapping[str, Any]) -> int:
        """Print what was heard; returns the exit code."""
        now = datetime.now(UTC)
        heard = [course.as_record(serial, now) for serial, course in self._courses.items()]
        emit({"target": target, "inverters": heard, "counters": counters})
        if heard:
            return 0
        if counters.get("packets"):
            tell(f"{counters['packets']} packets, none carries a report that can be used")
        else:
            tell("no packet at all: the dongle's traffic does not pass here")
        return NOTHING_HEARD


def configure_probe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    parser.add_argument(
        "target",
        metavar="FILE|INTERFACE|PORT",
        help="a capture file; br0, any, ...; or for Modbus /dev/ttyUSB0 or 192.168.1.9:502",
    )
    _zone_and_filter(parser)
    _sunsynk_modbus.configure_probe(parser)
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        help="how long to listen on an interface (default: 10m; ends earlier by Ctrl-C), or to ask"
        " over Modbus (default: 30s)",
    )


def probe(options: argparse.Namespace) -> int:
    """Say whether reports are there: exit code 0 when there is one, 3 when there is none."""
    load_zone(options.timezone)
    if _sunsynk_modbus.is_modbus_target(options.target):
        options.asking_seconds = options.seconds or ASKING_SECONDS
        return _sunsynk_modbus.probe(options)
    options.seconds = options.seconds or LISTENING_SECONDS
    if options.target == "-" or Path(options.target).exists():
        return _probe_file(options)
    _check_interface(options.target, "neither a file nor an interface")
    return asyncio.run(_probe_interface(options))


def configure_check(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``check``."""
    parser.add_argument("target", metavar="FILE", help="pcap or pcapng, also gzipped; - is stdin")
    _zone_and_filter(parser)


def check(options: argparse.Namespace) -> int:
    """Say what a capture file holds: whether the logger sends at all (spec g.2, f.1 no. 13)."""
    load_zone(options.timezone)
    return _probe_file(options)


def _check_interface(name: str, what: str) -> None:
    if name not in interfaces():
        raise LinkError(
            Reason.NOT_FOUND, f"{name} is {what} of this host ({', '.join(interfaces())})"
        )


def _probe_file(options: argparse.Namespace) -> int:
    decoder = decoder_for(load_zone(options.timezone), options.filter)
    courses = _Courses()
    with opened(options.target) as reader:
        for received in decoder.read(reader):
            courses.add(received)
        tell_warnings(reader)
        for remark in decoder.remarks():
            tell(f"hardwired: {remark}")
        return courses.verdict(options.target, _summary(decoder, reader))


async def _probe_interface(options: argparse.Namespace) -> int:
    courses = _Courses()
    source = _live_source(options.target, options)

    def seen(batch: Batch) -> None:
        for received in batch.reports:
            courses.add(received)
            tell(f"report of inverter {received.serial}, reading of {received.report.local_time}")

    stopped = await _listen(source, seen, options.seconds)
    for remark in source.counters()["remarks"]:
        tell(f"hardwired: {remark}")
    code = courses.verdict(options.target, source.counters())
    return STOPPED if stopped else code


def _live_source(interface: str, options: argparse.Namespace) -> LiveSource:
    settings = SunsynkSettings.from_mapping(
        {
            "source": "live",
            "interface": interface,
            "time_zone": options.timezone,
            "filter": options.filter,
        }
    )
    return LiveSource(settings, ReportPipeline(load_zone(options.timezone)), SystemClock())


async def _listen(source: LiveSource, seen: Any, seconds: float | None) -> bool:
    """Listen until the time is up or the user stops it; says whether it was the user."""

    def trouble(error: LinkError | None) -> None:
        tell("listening" if error is None else f"nothing can be heard: {error}")

    async with until_stopped(seconds) as ending:
        await source.run(seen, trouble)
    return ending.stopped


def configure_record(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("interface", metavar="INTERFACE", help="br0, eth1, any, ...")
    parser.add_argument("file", metavar="FILE", help="the capture file to write; - is stdout")
    _zone_and_filter(parser)
    parser.add_argument(
        "--seconds", type=seconds_of, help="how long to record (default: until Ctrl-C)"
    )


def record(options: argparse.Namespace) -> int:
    """Record the dongle's messages; logins are left out, serial numbers and addresses masked."""
    _check_interface(options.interface, "no interface")
    return asyncio.run(_record(options))


async def _record(options: argparse.Namespace) -> int:
    source = _live_source(options.interface, options)
    with contextlib.ExitStack() as stack:
        file: BinaryIO = sys.stdout.buffer
        if options.file != "-":
            file = stack.enter_context(Path(options.file).open("wb"))  # noqa: ASYNC230 - a few bytes
        recorder = MaskedRecorder(file)

        def seen(batch: Batch) -> None:
            for data, time in batch.frames:
                recorder.write(Frame(data, time, b"", b""))
            file.flush()

        stopped = await _listen(source, seen, options.seconds)
    tell(f"{recorder.written} messages recorded, {recorder.left_out} left out")
    return Ending(stopped).code(recorder.written + recorder.left_out)


def configure_simulate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``simulate``."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=["dongle", "modbus"],
        default="dongle",
        help="dongles that report (default), or inverters that are asked over Modbus",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--pty", type=terminal_of, metavar="LINK", help="modbus: RTU on a terminal with this name"
    )
    where.add_argument("--file", metavar="FILE", help="write a capture file; - is stdout")
    where.add_argument(
        "--tcp",
        metavar="HOST:PORT",
        nargs="?",
        const=f"127.0.0.1:{SERVER_PORT}",
        help=f"report over TCP (default: 127.0.0.1:{SERVER_PORT}); modbus: a gateway that speaks"
        f" Modbus TCP (default: 127.0.0.1:{_sunsynk_modbus.MODBUS_PORT})",
    )
    parser.add_argument(
        "--no-server",
        action="store_true",
        help="with --tcp: connect to a server that is there, do not play it as well",
    )
    parser.add_argument("--inverters", type=count_of, default=1)
    parser.add_argument(
        "--layout", default="302", help="292, 302, 306, mixed, learned or blocks: 59x66,150x50"
    )
    parser.add_argument("--interval", type=seconds_of, default=300.0, help="between reports")
    parser.add_argument("--warp", type=factor_of, default=1.0, help="with --tcp: time runs so fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="of the plant (default: UTC, as decode)"
    )
    parser.add_argument(
        "--start", type=datetime.fromisoformat, help="in UTC (default: midnight today, or now)"
    )
    parser.add_argument("--duration", type=seconds_of, default=86400.0, help="of a file")
    parser.add_argument("--reports", type=count_of, help="with --tcp: stop after so many each")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a probability per report, hours or 1: split, reorder, retransmit, recut, lose, glue, "
        "heartbeat, reset, finish, reboot, same_port, wrap, outage_hours, clock_jump, "
        "wrong_zone_hours, zero, implausible, unknown_size, three_phase, solarman, noise, twice;"
        " modbus, per request: " + ", ".join(item.name for item in fields(ModbusFaults)),
    )
    parser.add_argument(
        "--rtu", action="store_true", help="modbus with --tcp: the gateway passes raw RTU on"
    )
    parser.add_argument(
        "--type",
        type=lambda text: int(text, 0),
        default=SINGLE_PHASE,
        help="modbus: the device type in register 0 (default: 3; 0x200: 16 kW; 5: three-phase)",
    )
    parser.add_argument("--link", choices=sorted(LINK_NAMES), default="ethernet")
    parser.add_argument(
        "--wrapping", choices=[one.value for one in Wrapping], default=Wrapping.PLAIN.value
    )
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--snaplen", type=int, default=0, help="cut longer packets")


def simulate(options: argparse.Namespace) -> int:
    """Play one or several dongles, into a capture file or over TCP."""
    if options.what == "modbus":
        if options.file is not None:
            raise WrongArguments("Modbus is played on --pty or --tcp, not in a file")
        if options.tcp == f"127.0.0.1:{SERVER_PORT}":
            options.tcp = f"127.0.0.1:{_sunsynk_modbus.MODBUS_PORT}"
        return _sunsynk_modbus.simulate(options)
    if options.pty is not None:
        raise WrongArguments("a dongle reports over --tcp or into a --file")
    with reading_arguments():
        simulation = _simulation(options)
    if options.file is None:
        return asyncio.run(_simulate_tcp(options, simulation))
    with reading_arguments():
        medium = Medium(
            link_type=LINK_NAMES[options.link],
            wrapping=Wrapping(options.wrapping),
            ipv6=options.ipv6,
            snaplen=options.snaplen,
        )
    duration = timedelta(seconds=options.duration)
    with contextlib.ExitStack() as stack:
        if options.file == "-":
            file: BinaryIO = sys.stdout.buffer
        else:
            file = stack.enter_context(Path(options.file).open("wb"))
        with reading_arguments():
            count = write_capture(file, simulation, duration, medium)
    tell(f"{count} packets written")
    return 0


def _simulation(options: argparse.Namespace) -> Simulation:
    start = options.start
    if start is None:
        start = datetime.now(UTC)
        if options.file is not None:
            start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Simulation(
        zone=load_zone(options.timezone),
        inverters=options.inverters,
        layouts=read_layouts(options.layout),
        interval=options.interval,
        seed=options.seed,
        start=start if start.tzinfo else start.replace(tzinfo=UTC),
        faults=Faults.from_mapping(strengths_of(options.fault)),
    )


async def _simulate_tcp(options: argparse.Namespace, simulation: Simulation) -> int:
    host, port = address_of(options.tcp)
    async with _server(host, port, simulation, play=not options.no_server) as actual:
        tell(f"{simulation.inverters} dongles report to {host}:{actual}")
        on_trouble = trouble_teller(f"{host}:{actual}")
        sent = await asyncio.gather(
            *(
                talk(
                    dongle,
                    simulation,
                    host,
                    actual,
                    warp=options.warp,
                    reports=options.reports,
                    on_trouble=on_trouble,
                )
                for dongle in simulation.dongles()
            )
        )
    tell(f"{sum(sent)} reports sent")
    return 0


@asynccontextmanager
async def _server(
    host: str, port: int, simulation: Simulation, *, play: bool
) -> AsyncIterator[int]:
    if not play:
        yield port
        return
    server = ServerStub(simulation.zone, simulation.layouts[0])
    try:
        yield await server.start(host, port)
    finally:
        await server.stop()


VERBS = {
    "decode": Verb("print the reports in a capture file", configure_decode, decode),
    "simulate": Verb(
        "play dongles (a capture file, or over TCP) or inverters on Modbus",
        configure_simulate,
        simulate,
    ),
    "record": Verb("record a dongle's messages, masked", configure_record, record),
    "replay": REPLAY,
    "check": Verb(
        "say whether a capture file holds reports, and how often", configure_check, check
    ),
    "probe": Verb(
        "say whether a file or an interface holds reports, or who answers over Modbus",
        configure_probe,
        probe,
    ),
}
