"""Live capture on real packet sockets, in a network namespace of its own (spec c.5, g.6)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.sunsynk.capture.bpf import tcp_program
from hardwired_engines.sunsynk.capture.live import (
    ANY,
    CookedPacket,
    LiveCapture,
    LiveSettings,
    PacketSocket,
    cooked,
    interfaces,
)
from hardwired_engines.sunsynk.capture.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from hardwired_engines.sunsynk.capture.packet_builder import TcpPacket, Wrapping

from .test_packet import V4, V6, with_headers

CLONE_NEWNET = 0x40000000
PATIENCE = 60.0
NEAR, FAR = "near0", "far0"


class Namespace:
    """A thread in a network namespace of its own, with a pair of connected interfaces.

    Everything in it, the event loop too, sees only these; it vanishes with the thread.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._enter).result()

    @staticmethod
    def _enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        add_pair()
        ip("link", "set", "lo", "up")

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine inside."""
        self._thread.submit(asyncio.run, work).result(60)

    def close(self) -> None:
        """Leave; the system clears up."""
        self._thread.shutdown()


def ip(*arguments: str) -> None:
    """Configure the network of the thread that calls."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def add_pair() -> None:
    """Make the pair of interfaces, both up."""
    ip("link", "add", NEAR, "type", "veth", "peer", "name", FAR)
    for name in (NEAR, FAR):
        ip("link", "set", name, "up")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if not sys.platform.startswith("linux"):
        pytest.skip("packet sockets are Linux's")
    if shutil.which("ip") is None:
        pytest.skip("making interfaces needs the program ip")
    try:
        made = Namespace()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a network namespace of our own needs root with CAP_NET_ADMIN: {error}")
    yield made
    made.close()


@dataclass
class Heard:
    """What a live capture has told."""

    packets: list[CookedPacket] = field(default_factory=list)
    troubles: list[Reason | None] = field(default_factory=list)
    restarts: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_packets(self, packets: Any) -> None:
        self.packets += packets
        self.changed.set()

    def on_trouble(self, trouble: LinkError | None) -> None:
        self.troubles.append(None if trouble is None else trouble.reason)
        self.changed.set()

    def on_restart(self) -> None:
        self.restarts += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something told makes *condition* true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def settings(interface: str = NEAR, port: int | None = None, **more: Any) -> LiveSettings:
    """Return what to listen to."""
    return LiveSettings(interface, tcp_program(port=port), **more)


async def listening(
    given_settings: LiveSettings,
    check: Callable[[Heard, ManualClock], Awaitable[None]],
    renew: Callable[[], Awaitable[LiveSettings]] | None = None,
) -> None:
    """Run *check* beside a live capture."""
    heard, clock = Heard(), ManualClock()
    live = LiveCapture(
        given_settings,
        clock,
        on_packets=heard.on_packets,
        on_trouble=heard.on_trouble,
        on_restart=heard.on_restart,
        renew=renew,
    )
    task = asyncio.ensure_future(live.run())
    try:
        await check(heard, clock)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def send(*packets: bytes, interface: str = FAR) -> None:
    """Put Ethernet frames on the wire."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        for packet in packets:
            wire.send(packet)


async def sent_until(
    heard: Heard, packet: bytes, condition: Callable[[], bool], interface: str = FAR
) -> None:
    """Send again and again until it is heard: a fresh interface takes a moment to pass packets."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            send(packet, interface=interface)
            heard.changed.clear()
            try:
                async with asyncio.timeout(0.05):
                    await heard.changed.wait()
            except TimeoutError:
                continue


def marked(number: int, sent: TcpPacket = V4, **changes: Any) -> TcpPacket:
    """Return a packet that can be told from others."""
    return replace(sent, data=b"number %d" % number, **changes)


def test_only_what_the_kernel_lets_pass_arrives(namespace: Namespace) -> None:
    async def check(heard: Heard, _clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        wanted = [marked(1), marked(2, V6), marked(3, wrapping=Wrapping.VLAN)]
        others = [marked(number, destination_port=443) for number in range(50)]
        send(*(one.build() for one in others + wanted))
        await heard.until(lambda: len(heard.packets) >= len(wanted))
        assert heard.packets == [
            (ETHERTYPE_IPV4, wanted[0].ip()),
            (ETHERTYPE_IPV6, wanted[1].ip()),
            (ETHERTYPE_IPV4, wanted[2].ip()),
        ]
        assert heard.restarts == 1

    namespace.run(listening(settings(port=51100), check))


def test_every_packet_of_a_burst_arrives_in_order(namespace: Namespace) -> None:
    async def check(heard: Heard, _clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        sent = [marked(number) for number in range(3000)]
        send(*(one.build() for one in sent))
        await heard.until(lambda: len(heard.packets) >= len(sent))
        assert [data for _, data in heard.packets] == [one.ip() for one in sent]

    namespace.run(listening(settings(), check))


def test_all_interfaces_at_once(namespace: Namespace) -> None:
    async def check(heard: Heard, _clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        send(marked(1).build())
        await heard.until(lambda: len(heard.packets) >= 2)
        # Once leaving one end, once arriving at the other.
        assert heard.packets == [(ETHERTYPE_IPV4, marked(1).ip())] * 2

    namespace.run(listening(settings(ANY), check))


def test_a_connection_on_the_loopback(namespace: Namespace) -> None:
    async def check(heard: Heard, _clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"from the dongle")
        await heard.until(lambda: any(b"from the dongle" in data for _, data in heard.packets))
        writer.close()
        server.close()

    namespace.run(listening(settings("lo"), check))


def test_an_interface_that_goes_down_and_comes_up(namespace: Namespace) -> None:
    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        ip("link", "set", NEAR, "down")
        await heard.until(lambda: heard.troubles[-1] is Reason.INTERFACE_DOWN)
        ip("link", "set", NEAR, "up")
        await clock.advance(5)
        await heard.until(lambda: heard.troubles[-1] is None)
        await sent_until(heard, marked(2).build(), lambda: bool(heard.packets))
        assert heard.troubles == [None, Reason.INTERFACE_DOWN, None]
        assert heard.restarts == 1

    namespace.run(listening(settings(), check))


def test_an_interface_that_is_deleted_and_made_again(namespace: Namespace) -> None:
    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        ip("link", "delete", NEAR)
        await heard.until(lambda: heard.troubles[-1] is Reason.NOT_FOUND)
        await clock.advance(5)
        assert heard.troubles[-1] is Reason.NOT_FOUND
        add_pair()
        await clock.advance(5)
        await heard.until(lambda: heard.troubles[-1] is None)
        await sent_until(heard, marked(1).build(), lambda: bool(heard.packets))
        assert heard.restarts == 2

    namespace.run(listening(settings(), check))


def test_an_interface_that_is_exchanged_between_two_looks(namespace: Namespace) -> None:
    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        ip("link", "delete", NEAR)
        add_pair()
        await clock.advance(5)
        await sent_until(heard, marked(1).build(), lambda: bool(heard.packets))
        assert heard.restarts == 2

    namespace.run(listening(settings(), check))


def test_the_filter_is_made_anew_with_the_socket(namespace: Namespace) -> None:
    """The name in a filter may have another address by then."""

    async def renewed() -> LiveSettings:
        return settings()

    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        ip("link", "delete", NEAR)
        add_pair()
        await clock.advance(5)
        await sent_until(heard, marked(1).build(), lambda: bool(heard.packets))

    namespace.run(listening(settings(port=1), check, renewed))


def test_an_interface_that_is_not_there_yet(namespace: Namespace) -> None:
    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [Reason.NOT_FOUND])
        ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")
        ip("link", "set", "late0", "up")
        ip("link", "set", "late1", "up")
        await clock.advance(5)
        await heard.until(lambda: heard.troubles[-1] is None)
        await sent_until(heard, marked(1).build(), lambda: bool(heard.packets), "late1")

    namespace.run(listening(settings("late0"), check))


def test_an_interface_that_is_down_from_the_start(namespace: Namespace) -> None:
    async def check(heard: Heard, clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles[-1:] == [Reason.INTERFACE_DOWN])
        ip("link", "set", NEAR, "up")
        await clock.advance(5)
        await heard.until(lambda: heard.troubles[-1] is None)
        await sent_until(heard, marked(1).build(), lambda: bool(heard.packets))

    async def down_first() -> None:
        ip("link", "set", NEAR, "down")
        await listening(settings(), check)

    namespace.run(down_first())


def test_what_the_system_drops_is_counted(namespace: Namespace) -> None:
    async def overflow() -> None:
        opened = PacketSocket(settings())
        try:
            opened.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            send(*(marked(number).build() for number in range(200)))
            received = len(opened.receive())
            assert received + opened.drops() == 200
            assert received < 200
            assert opened.drops() == 0
        finally:
            opened.close()

    namespace.run(overflow())


def test_a_short_snap_length_cuts(namespace: Namespace) -> None:
    async def check(heard: Heard, _clock: ManualClock) -> None:
        await heard.until(lambda: heard.troubles == [None])
        send(replace(V4, data=bytes(900)).build())
        await heard.until(lambda: bool(heard.packets))
        assert len(heard.packets[0][1]) == 100

    namespace.run(listening(settings(snaplen=100), check))


def test_without_the_capability_it_says_so(namespace: Namespace) -> None:
    del namespace  # root and a namespace are there: what follows can be tried
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import os; os.setgid(65534); os.setuid(65534)\n"
        "from hardwired_engines.sunsynk.capture.live import LiveSettings, PacketSocket\n"
        "from hardwired_engines.sunsynk.capture.bpf import tcp_program\n"
        "from hardwired_engines.engine import LinkError\n"
        "try: PacketSocket(LiveSettings('lo', tcp_program()))\n"
        "except LinkError as error: print(error.reason.value, error)\n"
    )
    # Loaded before the identity is given up: another user may not be able to read the files.
    preloaded = program.replace(
        "import os;", "import hardwired_engines.sunsynk.capture.live, os;", 1
    )
    done = subprocess.run(
        [sys.executable, "-c", preloaded, *sys.path], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("no_permission ")
    assert "CAP_NET_RAW" in done.stdout


def test_interfaces_are_listed() -> None:
    found = interfaces()
    assert found[-1] == ANY
    assert [name for _, name in socket.if_nameindex()] == found[:-1]


def test_what_the_kernel_leaves_of_two_tags() -> None:
    for sent, kind in ((V4, 0x0800), (V6, 0x86DD)):
        remainder = (7).to_bytes(2) + kind.to_bytes(2)
        assert cooked(remainder + sent.ip()) == (kind, sent.ip())
        assert cooked(sent.ip()) == (kind, sent.ip())
    assert cooked(with_headers(b"\0\0" + bytes(6))) is not None
    arp = bytes.fromhex("0001080006040001") + bytes(20)
    assert cooked(arp) is None


@given(st.binary(max_size=80))
def test_any_bytes_of_a_socket(data: bytes) -> None:
    found = cooked(data)
    assert found is None or (found[0] in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) and found[1] in data)
