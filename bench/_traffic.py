"""Captures for the benchmarks, the same bytes every time: mixed traffic, and reports only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from struct import Struct

from hardwired_engines.sunsynk.capture.packet import LinkType
from hardwired_engines.sunsynk.capture.writer import PcapWriter
from hardwired_engines.sunsynk.dongle.layouts import LAYOUTS
from hardwired_engines.sunsynk.simulator.dongle import Dongle, answer

SIZE = 200_000_000
START = datetime(2026, 6, 14, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
PACKETS_PER_REPORT = 1000
DONGLE_ADDRESS, SERVER_ADDRESS = bytes((192, 168, 0, 21)), bytes((13, 42, 117, 179))
SERVER_PORT = 51100

_ETHERNET_IPV4 = Struct(">6s6sHBBHHHBBH4s4s").pack
_ETHERNET_IPV6 = Struct(">6s6sHIHBB16s16s").pack
_TCP = Struct(">HHIIBBHHH").pack
_UDP = Struct(">HHHH").pack
_MACS = bytes.fromhex("04421a000001"), bytes.fromhex("6055f9000001")


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    """Return an Ethernet frame; checksums are 0, as on a sending host with offload."""
    length = 20 + len(payload)
    header = _ETHERNET_IPV4(
        *_MACS, 0x0800, 0x45, 0, length, 1, 0x4000, 64, protocol, 0, source, destination
    )
    return header + payload


def tcp(ports: tuple[int, int], sequence: int, flags: int, data: bytes) -> bytes:
    """Return a TCP segment with a time stamp option, as most have."""
    option = b"\x01\x01\x08\x0a" + bytes(8)
    return _TCP(*ports, sequence & 0xFFFFFFFF, 1, 0x80, flags, 0xFFFF, 0, 0) + option + data


class _Strangers:
    """Other devices: forty TCP connections at a time, UDP, IPv6, ARP."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._flows = [self._new_flow() for _ in range(40)]

    def _new_flow(self) -> list[object]:
        random = self._random
        return [
            bytes((192, 168, 0, random.randrange(30, 250))),
            random.randbytes(4),
            (random.randrange(1024, 65536), random.choice((443, 443, 443, 22, 80, 445, 8883))),
            random.randrange(1 << 32),
        ]

    def packet(self) -> bytes:
        random = self._random
        kind = random.random()
        if kind < 0.85:
            return self._segment(kind < 0.20)
        if kind < 0.94:
            data = random.randbytes(random.choice((60, 1200)))
            udp = _UDP(random.randrange(1024, 65536), 443, 8 + len(data), 0) + data
            return ipv4(bytes((192, 168, 0, 40)), random.randbytes(4), 17, udp)
        if kind < 0.985:
            data = tcp((50000, 443), random.randrange(1 << 32), 0x18, random.randbytes(700))
            ends = b"\xfd" + bytes(14) + b"\x05", b"\x2a" + bytes(14) + b"\x09"
            return _ETHERNET_IPV6(*_MACS, 0x86DD, 6 << 28, len(data), 6, 64, *ends) + data
        return _MACS[0] + _MACS[1] + bytes.fromhex("08060001080006040001") + random.randbytes(36)

    def _segment(self, pure_acknowledgement: bool) -> bytes:
        random = self._random
        number = random.randrange(len(self._flows))
        if random.random() < 0.002:
            self._flows[number] = self._new_flow()
        flow = self._flows[number]
        source, destination, ports, sequence = flow
        assert isinstance(source, bytes)
        assert isinstance(destination, bytes)
        assert isinstance(ports, tuple)
        assert isinstance(sequence, int)
        size = 0 if pure_acknowledgement else random.choice((1380, 1380, 1380, 517, 90))
        flow[3] = sequence + size
        data = random.randbytes(size)
        return ipv4(source, destination, 6, tcp(ports, sequence, 0x18, data))


def mixed() -> Iterator[tuple[int, bytes]]:
    """Yield the packets of a busy network, one report in a thousand; times in ns."""
    random = Random(1)
    strangers = _Strangers(random)
    dongle = Dongle("2200000001", UTC, LAYOUTS[302])
    time, count = START_NS, 0
    up, down = 1000, 5000
    while True:
        count += 1
        time += 100_000
        if count % PACKETS_PER_REPORT:
            yield time, strangers.packet()
            continue
        frame = dongle.report(START + timedelta(minutes=5 * (count // PACKETS_PER_REPORT)))
        ports = 50586, SERVER_PORT
        yield time, ipv4(DONGLE_ADDRESS, SERVER_ADDRESS, 6, tcp(ports, up, 0x18, frame))
        reply = answer(frame, dongle.local(START), dongle.layout)
        segment = tcp((SERVER_PORT, 50586), down, 0x18, reply)
        yield time, ipv4(SERVER_ADDRESS, DONGLE_ADDRESS, 6, segment)
        up, down = up + len(frame), down + len(reply)


def reports() -> Iterator[tuple[int, bytes]]:
    """Yield reports of three inverters of three sizes, nothing else."""
    dongles = [
        Dongle(f"220000000{number}", UTC, layout) for number, layout in enumerate(LAYOUTS.values())
    ]
    days = timedelta(minutes=5)
    made = [[dongle.report(START + number * days) for number in range(288)] for dongle in dongles]
    sequences = [1000, 2000, 3000]
    local = START
    count = 0
    while True:
        for number, frames in enumerate(made):
            frame = frames[count % len(frames)]
            clock = bytes((local.year - 2000, local.month, local.day, local.hour, local.minute))
            frame = frame[:37] + clock + bytes((local.second,)) + frame[43:]
            source = bytes((192, 168, 0, 21 + number))
            ports = 50586 + number, SERVER_PORT
            segment = tcp(ports, sequences[number], 0x18, frame)
            sequences[number] += len(frame)
            nanoseconds = START_NS + count * 60_000_000_000
            yield nanoseconds, ipv4(source, SERVER_ADDRESS, 6, segment)
        count += 1
        local += timedelta(seconds=60)


def cache_folder() -> Path:
    """Return where generated captures are kept."""
    given = os.environ.get("HARDWIRED_CACHE")
    folder = Path(given) if given else Path.home() / ".cache" / "hardwired"
    return folder / "bench"


def capture_file(make: Callable[[], Iterator[tuple[int, bytes]]], size: int = SIZE) -> Path:
    """Return a capture of *size* bytes with what *make* yields; made once, then kept."""
    version = sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = cache_folder() / f"{make.__name__}-{size}-{version}.pcap"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    for older in path.parent.glob(f"{make.__name__}-{size}-*.pcap"):
        older.unlink()
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        writer = PcapWriter(file, LinkType.ETHERNET)
        for time_ns, packet in make():
            writer.write(time_ns, packet)
            if file.tell() >= size:
                break
    unfinished.replace(path)
    return path
