"""Live capture on Linux: a packet socket with the kernel's filter (spec c.5, g.6).

It only listens. It needs ``CAP_NET_RAW``. Packets arrive without their link layer, so all kinds of
interfaces are alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import link_error
from .bpf import Instruction, packed
from .packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_STATISTICS = 6
PACKET_MR_PROMISC = 1
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SIOCGIFFLAGS = 0x8913
IFF_UP = 0x1

ANY = "any"
BATCH = 64
"""Packets taken in one turn of the loop: also of reports alone it takes no 50 ms."""
BUFFER_SIZE = 4 << 20
PACKET_SIZE = 65536
CHECK_INTERVAL = 5.0
_VERSIONS = {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}
_INNER_TYPES = (b"\x08\x00", b"\x86\xdd")

CookedPacket = tuple[int, bytes]
"""EtherType, and the packet from its network header on."""

NO_PERMISSION_TEXT = (
    "capturing needs the capability CAP_NET_RAW: give it to the service "
    "(AmbientCapabilities=CAP_NET_RAW), the container (NET_RAW, host network) or the interpreter"
)


def interfaces() -> list[str]:
    """Return the network interfaces of this host, and ``any``."""
    return [*(name for _, name in socket.if_nameindex()), ANY]


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What to listen to. *program* is the kernel's filter, *snaplen* is in bytes."""

    interface: str
    program: tuple[Instruction, ...]
    promiscuous: bool = True
    snaplen: int = PACKET_SIZE


class PacketSocket:
    """An open packet socket. Raises :class:`LinkError` when it can't be had."""

    def __init__(self, settings: LiveSettings) -> None:
        if not hasattr(socket, "AF_PACKET"):
            raise LinkError(Reason.FAILED, "live capture needs Linux")
        self._settings = settings
        everywhere = settings.interface == ANY
        protocol = socket.htons(ETH_P_ALL) if everywhere else 0
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, protocol)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise LinkError(Reason.NO_PERMISSION, NO_PERMISSION_TEXT) from error
            raise link_error(error, Reason.FAILED) from error
        try:
            self._prepare(everywhere)
        except OSError as error:
            self.close()
            raise link_error(error, Reason.FAILED) from error
        self.index = None if everywhere else self._bound_index()

    def _prepare(self, everywhere: bool) -> None:
        settings, sock = self._settings, self.socket
        sock.setblocking(False)
        try:
            # Goes past net.core.rmem_max, which leaves room for a few milliseconds of traffic
            # only; the kernel lets those with CAP_NET_ADMIN do it.
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_SIZE)
        except OSError:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_SIZE)
        code = ctypes.create_string_buffer(packed(settings.program))
        filter_struct = struct.pack("HL", len(settings.program), ctypes.addressof(code))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_struct)
        if everywhere:
            # It has received everything since it was created; drop what came before the filter.
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.recv(1)
            return
        sock.bind((settings.interface, ETH_P_ALL))
        if settings.promiscuous:
            index = socket.if_nametoindex(settings.interface)
            request = struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")
            with contextlib.suppress(OSError):
                sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)

    def _bound_index(self) -> int:
        index = interface_index(self._settings.interface)
        if index is None:
            # The interface was deleted after binding; the socket would never receive anything.
            self.close()
            raise LinkError(Reason.NOT_FOUND, f"no interface {self._settings.interface}")
        return index

    def receive(self) -> list[CookedPacket]:
        """Return the packets that wait, at most a batch. Raises ``OSError`` (ENETDOWN)."""
        found: list[CookedPacket] = []
        receive, size = self.socket.recv, self._settings.snaplen
        try:
            for _ in range(BATCH):
                packet = cooked(receive(size))
                if packet is not None:
                    found.append(packet)
        except BlockingIOError:
            pass
        except OSError:
            if not found:
                raise
        return found

    def drops(self) -> int:
        """Return how many packets the system has dropped since the last call."""
        try:
            answer = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        except OSError:
            return 0
        _, dropped = struct.unpack("II", answer)
        return int(dropped)

    def is_up(self) -> bool:
        """Whether the interface is up; ``any`` always is."""
        if self.index is None:
            return True
        request = struct.pack("16sH14s", self._settings.interface.encode()[:15], 0, b"")
        try:
            answer = fcntl.ioctl(self.socket, SIOCGIFFLAGS, request)
        except OSError:
            return False
        return bool(struct.unpack_from("H", answer, 16)[0] & IFF_UP)

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def cooked(data: bytes) -> CookedPacket | None:
    """Return what a cooked socket gave, as a packet; ``None`` when it is no IP."""
    if len(data) < 4:
        return None
    kind = _VERSIONS.get(data[0] >> 4)
    if data[2:4] in _INNER_TYPES and (kind is None or not _is_ip(data, kind)):
        # Of two VLAN tags the kernel removes the outer one: four bytes of the inner remain.
        data = data[4:]
        kind = _VERSIONS.get(data[0] >> 4) if data else None
    return None if kind is None else (kind, data)


def _is_ip(data: bytes, kind: int) -> bool:
    if kind == ETHERTYPE_IPV4:
        return data[0] & 15 >= 5 and (data[2] << 8 | data[3]) in (0, len(data))
    return len(data) >= 40


def interface_index(name: str) -> int | None:
    """Return the number of an interface; ``None`` when there is none of this name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


OnPackets = Callable[[Sequence[CookedPacket]], None]
OnTrouble = Callable[[LinkError | None], None]


class LiveCapture:
    """Listens on an interface until cancelled, also when the interface goes down or away.

    *on_packets* gets batches, *on_trouble* the reason why nothing can come (``None``: it can),
    *on_restart* is called before packets of a new socket come: incomplete streams are void. *renew*
    returns the settings of each socket after the first: a name may have moved.
    """

    def __init__(
        self,
        settings: LiveSettings,
        clock: Clock,
        *,
        on_packets: OnPackets,
        on_trouble: OnTrouble,
        on_restart: Callable[[], None],
        renew: Callable[[], Awaitable[LiveSettings]] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_packets = on_packets
        self._on_trouble = on_trouble
        self._on_restart = on_restart
        self._renew = renew
        self._broken = asyncio.Event()
        self.kernel_drops = 0

    async def run(self) -> None:
        """Listen until cancelled. Raises :class:`LinkError` when trying again is useless."""
        while True:
            try:
                opened = PacketSocket(self._settings)
            except LinkError as error:
                if error.reason is not Reason.NOT_FOUND:
                    raise
                self._on_trouble(error)
                await self._clock.sleep(CHECK_INTERVAL)
                continue
            self._on_restart()
            try:
                await self._listen(opened)
            finally:
                opened.close()
            if self._renew is not None:
                self._settings = await self._renew()

    async def _listen(self, opened: PacketSocket) -> None:
        loop = asyncio.get_running_loop()
        self._broken.clear()
        loop.add_reader(opened.socket, self._readable, opened)
        up = True
        try:
            self._on_trouble(None)
            while True:
                if opened.is_up() is not up:
                    up = not up
                    self._on_trouble(None if up else _down(self._settings.interface))
                with contextlib.suppress(TimeoutError):
                    async with self._clock.timeout(CHECK_INTERVAL):
                        await self._broken.wait()
                self._broken.clear()
                self.kernel_drops += opened.drops()
                if opened.index is not None:
                    index = interface_index(self._settings.interface)
                    if index != opened.index:
                        return
        finally:
            loop.remove_reader(opened.socket)

    def _readable(self, opened: PacketSocket) -> None:
        try:
            packets = opened.receive()
        except OSError:
            self._broken.set()
            return
        if packets:
            self._on_packets(packets)


def _down(interface: str) -> LinkError:
    return LinkError(Reason.INTERFACE_DOWN, f"the interface {interface} is down")
