"""Simulated dongles on a network: in process, live on TCP, or as the segments of a capture.

Spec i. Everything is determined by the seed. The faults are switches; each probability is per
report. The messages come from :mod:`.dongle`; here they are transported.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import IntFlag
from itertools import count, pairwise
from random import Random
from typing import Any, TypeAlias

from ...clock import Clock, SystemClock
from ...link import stop_listening
from ..dongle.layouts import LAYOUTS, Layout
from .dongle import SOUND, Damage, Dongle, answer
from .plant import Plant, PlantSettings

SERVER_PORT = 51100
SERVER_ADDRESS = "13.42.117.179"
FIRST_SERIAL = 2200000001
SEQUENCE = 1 << 32
CLOSING = timedelta(milliseconds=500)
FIRST_REPORT = timedelta(seconds=11)
"""From connecting to the first report."""


_FAULT_RANGES = {"outage_hours": (0, 8784), "wrong_zone_hours": (-26, 26), "noise": (0, 1000)}
"""Upper bounds of the other values: a year, the largest zone difference, packets per report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong. Probabilities per report, 0 ... 1, unless it says otherwise."""

    split: float = 0.0
    """The report arrives in several pieces."""
    reorder: float = 0.0
    """The pieces arrive in the wrong order."""
    retransmit: float = 0.0
    """A piece comes twice."""
    recut: float = 0.0
    """All is sent again, cut differently."""
    lose: float = 0.0
    """A piece is lost."""
    glue: float = 0.0
    """A heartbeat follows in the same segment."""
    heartbeat: float = 0.0
    """A heartbeat goes before in the same segment."""
    reset: float = 0.0
    """The connection is reset afterwards."""
    finish: float = 0.0
    """The connection is closed afterwards."""
    reboot: float = 0.0
    """The dongle restarts without closing the connection."""
    same_port: bool = False
    """Reconnects on the same ports."""
    wrap: bool = False
    """Sequence numbers soon pass 2^32."""
    outage_hours: float = 0.0
    """The Internet is lost for so long, in the middle; then buffered reports come in a burst."""
    clock_jump: float = 0.0
    """The inverter's clock is set by up to two hours."""
    wrong_zone_hours: float = 0.0
    """The inverter's clock is ahead by so much, always."""
    zero: float = 0.0
    """All words are zero."""
    implausible: float = 0.0
    """Several words are out of range."""
    unknown_size: float = 0.0
    """The report has a size that nobody knows."""
    three_phase: float = 0.0
    """The words mean something else."""
    solarman: float = 0.0
    """A stick of another make reports at the same time."""
    noise: float = 0.0
    """So many other TCP packets before each report."""
    twice: bool = False
    """Every packet is seen twice."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least, most = _FAULT_RANGES.get(item.name, (0, 1))
            if not least <= value <= most:
                raise ValueError(f"the fault {item.name} is {least} to {most}, not {value:g}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Faults:
        """Return the faults named; raises :class:`ValueError` on an unknown name or bad value."""
        sound = cls()
        known = {item.name: type(getattr(sound, item.name)) for item in fields(cls)}
        if unknown := values.keys() - known.keys():
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        given: dict[str, Any] = {}
        for name, value in values.items():
            try:
                number = float(value)
            except ValueError:
                raise ValueError(f"the fault {name} is a number, not {value!r}") from None
            if known[name] is bool and number not in (0, 1):
                raise ValueError(f"the fault {name} is 0 or 1, not {value}")
            given[name] = known[name](number)
        return cls(**given)

    def damage(self, random: Random) -> Damage:
        """Draw what is wrong with the next report."""
        if not (self.zero or self.implausible or self.unknown_size or self.three_phase):
            return SOUND
        return Damage(
            zero=random.random() < self.zero,
            implausible=random.random() < self.implausible,
            unknown_size=random.random() < self.unknown_size,
            three_phase=random.random() < self.three_phase,
        )


Weather: TypeAlias = Callable[[datetime], Faults | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What is simulated. ``interval`` in seconds between reports, ``start`` in UTC.

    ``weather`` tells for segments what goes wrong at a moment instead of ``faults``, which hold
    for good; ``None``: the Internet is lost, and reports are buffered.
    """

    zone: tzinfo = UTC
    inverters: int = 1
    layouts: tuple[Layout, ...] = (LAYOUTS[302],)
    interval: float = 300.0
    seed: int = 1
    start: datetime = datetime(2026, 6, 14, tzinfo=UTC)
    faults: Faults = field(default_factory=Faults)
    weather: Weather | None = None
    weeks: int = 0
    """How long the houses have lived day by day; before, every day was a usual one."""

    def __post_init__(self) -> None:
        if not 1 <= self.interval <= 600:
            raise ValueError("the interval is 1 to 600 seconds")
        if not 1 <= self.inverters <= 100:
            raise ValueError("there are 1 to 100 inverters")
        _check_year(self.start)
        _check_year(self.start.astimezone(self.zone) + self.clock_offset)

    @property
    def clock_offset(self) -> timedelta:
        """By how much the inverters' clocks are ahead."""
        return timedelta(hours=self.faults.wrong_zone_hours)

    def dongles(self) -> list[Dongle]:
        """Return the dongles, each in its own house."""
        return [self._dongle(number) for number in range(self.inverters)]

    def _dongle(self, number: int) -> Dongle:
        random = Random(f"{self.seed} {number}")  # noqa: S311
        size = random.choice((3600, 5000, 8000))
        settings = PlantSettings(
            rated_power=size, pv_peak=size * 0.9, has_bms=random.random() < 0.9
        )
        return Dongle(
            serial=str(FIRST_SERIAL + number),
            zone=self.zone,
            layout=self.layouts[number % len(self.layouts)],
            plant=Plant(
                settings=settings,
                random=Random(f"{self.seed} {number} plant"),  # noqa: S311
                soc=random.uniform(30, 80),
                weeks=self.weeks,
            ),
            clock_offset=self.clock_offset,
            dongle_serial=f"E47{number:09}",
            random=random,
        )


def _check_year(moment: datetime) -> None:
    if not 2000 <= moment.year < 2100:
        raise ValueError(f"the clock of an inverter shows 2000 to 2099, not {moment.year}")


class Flag(IntFlag):
    """The flags of TCP."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment on the wire; ports and addresses as they stand in the packet."""

    time: datetime
    source: tuple[str, int]
    destination: tuple[str, int]
    seq: int
    ack: int
    flags: Flag
    data: bytes = b""


class _Connection:
    """Both directions of one TCP connection, with their sequence numbers."""

    def __init__(self, client: tuple[str, int], random: Random, *, wrap: bool) -> None:
        self.client = client
        self.server = (SERVER_ADDRESS, SERVER_PORT)
        self._next = {
            True: SEQUENCE - 150 if wrap else random.randrange(SEQUENCE),
            False: random.randrange(SEQUENCE),
        }

    def open(self, time: datetime) -> Iterator[Segment]:
        pause = timedelta(milliseconds=20)
        yield self.segment(time, Flag.SYN, up=True)
        yield self.segment(time + pause, Flag.SYN | Flag.ACK, up=False)
        yield self.segment(time + 2 * pause, Flag.ACK, up=True)

    def segment(self, time: datetime, flags: Flag, data: bytes = b"", *, up: bool) -> Segment:
        """Return the next segment in one direction; *up* is from the dongle to the server."""
        ends = (self.client, self.server) if up else (self.server, self.client)
        ack = self._next[not up] if flags & Flag.ACK else 0
        made = Segment(time, *ends, self._next[up], ack, flags, data)
        grown = len(data) + bool(flags & (Flag.SYN | Flag.FIN))
        self._next[up] = (self._next[up] + grown) % SEQUENCE
        return made

    def pieces(self, time: datetime, parts: Iterable[bytes]) -> list[Segment]:
        """Return consecutive segments of the dongle."""
        return [
            self.segment(time + timedelta(milliseconds=3 * at), Flag.PSH | Flag.ACK, part, up=True)
            for at, part in enumerate(parts)
        ]


class _Line:
    """One dongle's connection to the server, with its faults."""

    def __init__(self, simulation: Simulation, dongle: Dongle, number: int) -> None:
        self.faults = simulation.faults
        self._dongle = dongle
        self._random = Random(f"{simulation.seed} line {number}")  # noqa: S311
        self._address = f"192.168.{number // 200}.{number % 200 + 20}"
        self._port = 50000
        self._connection: _Connection | None = None
        self._buffered: list[bytes] = []
        self._last = simulation.start

    def away(self, moment: datetime) -> None:
        """Buffer the report of a *moment* without Internet."""
        self._connection = None
        self._buffered.append(self._dongle.report(moment))

    def report(self, moment: datetime) -> Iterator[Segment]:
        """Send the report of a *moment*, connecting first where there is no connection."""
        if self._random.random() < self.faults.reboot:
            self._connection = None
            self._dongle.reboot()
        if self._random.random() < self.faults.clock_jump:
            jump = self._random.choice((-7200, -3600, -60, 60, 3600, 7200))
            self._dongle.clock_offset += timedelta(seconds=jump)
        if self._connection is None:
            yield from self._connect(max(moment - FIRST_REPORT, self._last), moment)
        reading = moment
        for frame in self._buffered:
            yield from self._exchange(moment, [frame])
            moment += timedelta(milliseconds=200)
        self._buffered.clear()
        yield from self._strangers(moment)
        payload = [self._dongle.report(reading, self.faults.damage(self._random))]
        if self._random.random() < self.faults.heartbeat:
            payload.insert(0, self._dongle.heartbeat())
        if self._random.random() < self.faults.glue:
            payload.append(self._dongle.heartbeat())
        yield from self._exchange(moment, payload, faulty=True)
        self._last = moment + CLOSING
        yield from self._maybe_close(self._last)

    def _connect(self, time: datetime, until: datetime) -> Iterator[Segment]:
        if not self.faults.same_port:
            self._port += 1
        self._connection = _Connection(
            (self._address, self._port), self._random, wrap=self.faults.wrap
        )
        yield from self._connection.open(time)
        hello = self._dongle.hello()
        pause = (until - time) / (len(hello) + 1)
        for frame in hello:
            time += pause
            yield from self._exchange(time, [frame])

    def _exchange(
        self, time: datetime, frames: list[bytes], *, faulty: bool = False
    ) -> Iterator[Segment]:
        connection = self._connection
        assert connection is not None
        payload = b"".join(frames)
        sent = connection.pieces(time, self._cut(payload) if faulty else [payload])
        yield from self._disturbed(sent) if faulty else sent
        time += timedelta(milliseconds=150)
        for frame in frames:
            reply = answer(frame, self._dongle.local(time), self._dongle.layout)
            yield connection.segment(time, Flag.PSH | Flag.ACK, reply, up=False)
        yield connection.segment(time + timedelta(milliseconds=40), Flag.ACK, up=True)

    def _cut(self, payload: bytes) -> list[bytes]:
        if self._random.random() >= self.faults.split:
            return [payload]
        places = self._random.sample(range(1, len(payload)), self._random.randint(1, 3))
        ends = [0, *sorted(places), len(payload)]
        return [payload[start:end] for start, end in pairwise(ends)]

    def _disturbed(self, sent: list[Segment]) -> Iterator[Segment]:
        draw, faults = self._random.random, self.faults
        order = list(sent)
        if draw() < faults.reorder:
            self._random.shuffle(order)
            times = sorted(segment.time for segment in order)
            order = [_at(segment, time) for segment, time in zip(order, times, strict=True)]
        if draw() < faults.lose:
            order.pop(self._random.randrange(len(order)))
        if order and draw() < faults.retransmit:
            twice = self._random.choice(order)
            order.append(_at(twice, twice.time + timedelta(milliseconds=60)))
        if draw() < faults.recut:
            payload = b"".join(segment.data for segment in sent)
            middle = self._random.randrange(1, len(payload))
            for start, data in ((0, payload[:middle]), (middle, payload[middle:])):
                base = sent[0]
                order.append(
                    Segment(
                        base.time + timedelta(milliseconds=90 + start),
                        base.source,
                        base.destination,
                        (base.seq + start) % SEQUENCE,
                        base.ack,
                        base.flags,
                        data,
                    )
                )
        yield from order

    def _maybe_close(self, time: datetime) -> Iterator[Segment]:
        connection = self._connection
        if connection is None:
            return
        if self._random.random() < self.faults.reset:
            yield connection.segment(time, Flag.RST | Flag.ACK, up=False)
            self._connection = None
        elif self._random.random() < self.faults.finish:
            yield connection.segment(time, Flag.FIN | Flag.ACK, up=True)
            yield connection.segment(time, Flag.FIN | Flag.ACK, up=False)
            yield connection.segment(time, Flag.ACK, up=True)
            self._connection = None

    def _strangers(self, time: datetime) -> Iterator[Segment]:
        """Yield the traffic of other devices at the same time."""
        random = self._random
        if random.random() < self.faults.solarman:
            size = random.choice((292, 302, 306))
            body = random.randbytes(size - 13)
            frame = b"\xa5" + (size - 13).to_bytes(2, "little") + b"\x10\x42" + bytes(6) + body
            yield self._stranger(time, 10000, (frame + b"\0\x15")[:size])
        whole, part = divmod(self.faults.noise, 1)
        for _ in range(int(whole) + (random.random() < part)):
            port = random.choice((22, 80, 443, 1883, 8123))
            yield self._stranger(time, port, random.randbytes(random.randint(1, 1400)))

    def _stranger(self, time: datetime, port: int, data: bytes) -> Segment:
        random = self._random
        source = (f"192.168.9.{random.randint(2, 250)}", random.randint(1024, 65535))
        seq, ack = random.randrange(SEQUENCE), random.randrange(SEQUENCE)
        return Segment(time, source, ("192.168.9.1", port), seq, ack, Flag.PSH | Flag.ACK, data)


def _at(segment: Segment, time: datetime) -> Segment:
    return Segment(
        time,
        segment.source,
        segment.destination,
        segment.seq,
        segment.ack,
        segment.flags,
        segment.data,
    )


def segments(simulation: Simulation, duration: timedelta) -> Iterator[Segment]:
    """Yield the traffic on the network during *duration*, in the order of capture."""
    lines = [
        _Line(simulation, dongle, number) for number, dongle in enumerate(simulation.dongles())
    ]
    end = simulation.start + duration
    outage = timedelta(hours=simulation.faults.outage_hours)
    outage_from = simulation.start + (duration - outage) / 2
    phase = timedelta(seconds=simulation.interval / len(lines))
    due = [
        (simulation.start + FIRST_REPORT + number * phase, number) for number in range(len(lines))
    ]
    heapq.heapify(due)
    order = count()
    waiting: list[tuple[datetime, int, Segment]] = []
    while due and due[0][0] < end:
        moment, number = heapq.heappop(due)
        heapq.heappush(due, (moment + timedelta(seconds=simulation.interval), number))
        faults = simulation.faults if simulation.weather is None else simulation.weather(moment)
        if faults is None or outage_from <= moment < outage_from + outage:
            lines[number].away(moment)
            continue
        lines[number].faults = faults
        for segment in lines[number].report(moment):
            heapq.heappush(waiting, (segment.time, next(order), segment))
            if simulation.faults.twice:
                heapq.heappush(waiting, (segment.time, next(order), segment))
        # Nothing that is still to come lies before the connecting for the next report.
        while waiting and waiting[0][0] < due[0][0] - FIRST_REPORT:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


@dataclass(frozen=True, slots=True)
class SimulatedFrame:
    """A whole frame as the in-process simulation gives it; flows name the directions."""

    data: bytes
    time: datetime
    flow: str
    reverse_flow: str


async def frames(
    simulation: Simulation, clock: Clock | None = None, *, warp: float = 1.0
) -> AsyncIterator[SimulatedFrame]:
    """Yield the frames of a running simulation; its time runs *warp* times as fast as *clock*.

    It begins with a report at once, then one per inverter and interval.
    """
    clock = clock or SystemClock()
    dongles = simulation.dongles()
    random = Random(f"{simulation.seed} frames")  # noqa: S311
    moment = simulation.start
    for dongle in dongles:
        for frame in dongle.hello():
            for seen in _both_ways(dongle, frame, moment):
                yield seen
    while True:
        for dongle in dongles:
            frame = dongle.report(moment, simulation.faults.damage(random))
            for seen in _both_ways(dongle, frame, moment):
                yield seen
        await clock.sleep(simulation.interval / warp)
        moment += timedelta(seconds=simulation.interval)


def _both_ways(dongle: Dongle, frame: bytes, moment: datetime) -> Iterator[SimulatedFrame]:
    up, down = f"{dongle.serial} up", f"{dongle.serial} down"
    yield SimulatedFrame(frame, moment, up, down)
    reply = answer(frame, dongle.local(moment), dongle.layout)
    yield SimulatedFrame(reply, moment, down, up)


class ServerStub:
    """The vendor's server on a TCP port: answers every message, remembers nothing."""

    def __init__(self, zone: tzinfo, layout: Layout, clock: Clock | None = None) -> None:
        self._zone = zone
        self._layout = layout
        self._clock = clock or SystemClock()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.messages = 0

    async def start(self, host: str = "127.0.0.1", port: int = SERVER_PORT) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections and the port."""
        if self._server is not None:
            await stop_listening(self._server)
        for writer in tuple(self._writers):
            writer.close()
        if self._server is not None:
            with contextlib.suppress(Exception):
                await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readexactly(11)
                await reader.readexactly(int.from_bytes(head[9:11]))
                self.messages += 1
                local = self._clock.now().astimezone(self._zone).replace(tzinfo=None)
                writer.write(answer(head, local, self._layout))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()


async def talk(
    dongle: Dongle,
    simulation: Simulation,
    host: str,
    port: int,
    *,
    clock: Clock | None = None,
    warp: float = 1.0,
    reports: int | None = None,
    on_trouble: Callable[[Exception | None], None] = lambda _error: None,
) -> int:
    """Let one dongle report to a server over TCP, reconnecting like the real one.

    Ends after *reports* of them, else lives until cancelled. Faults of the stream (pieces, glued
    messages, closing) and of the reports apply. *on_trouble* is called with the reason for a
    missing connection, and with ``None`` when the server has answered. Returns the number of
    reports sent.
    """
    clock = clock or SystemClock()
    random = Random(f"{simulation.seed} {dongle.serial}")  # noqa: S311
    faults, sent = simulation.faults, 0
    moment = simulation.start
    while reports is None or sent < reports:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            on_trouble(error)
            await clock.sleep(min(simulation.interval, 5.0))
            continue
        try:
            for frame in dongle.hello():
                await _ask(reader, writer, frame)
            on_trouble(None)
            while reports is None or sent < reports:
                payload = dongle.report(moment, faults.damage(random))
                before = dongle.heartbeat() if random.random() < faults.heartbeat else b""
                after = dongle.heartbeat() if random.random() < faults.glue else b""
                cut = random.randrange(1, len(payload)) if random.random() < faults.split else 0
                if cut:
                    writer.write(before + payload[:cut])
                    await writer.drain()
                    await clock.sleep(0.05)
                rest = (b"" if cut else before) + payload[cut:] + after
                await _ask(reader, writer, rest, 1 + bool(before) + bool(after))
                sent += 1
                moment += timedelta(seconds=simulation.interval)
                await clock.sleep(simulation.interval / warp)
                if random.random() < faults.reset + faults.finish:
                    break
        except (OSError, asyncio.IncompleteReadError) as error:
            on_trouble(error)
            await clock.sleep(1.0)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return sent


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, answers: int = 1
) -> None:
    writer.write(data)
    await writer.drain()
    for _ in range(answers):
        head = await reader.readexactly(11)
        await reader.readexactly(int.from_bytes(head[9:11]))
