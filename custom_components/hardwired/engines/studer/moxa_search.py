"""The search for Moxas on a network: broadcast, listen, ask each for its name (spec c.9)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast

from ..clock import Clock, SystemClock
from ..engine import LinkError, Reason
from ..link import link_error
from .moxa import PORT, SEARCH, Moxa, ask_name, decode_name, decode_search

EVERYBODY = "255.255.255.255"
SECONDS = 3.0
"""How long to listen."""
ROUND = 0.75
"""Between two broadcasts: a datagram may get lost."""


@dataclass(frozen=True, slots=True)
class FoundMoxa:
    """A Moxa that answered. ``name`` is what its owner calls it; ``None``: it did not say."""

    mac: str
    ip: str
    name: str | None = None

    @property
    def in_xcom(self) -> bool:
        """Whether it has the name that Studer gives the Moxa inside an Xcom-LAN."""
        return self.name is not None and self.name.lower().startswith("xcom")


Enough = Callable[[FoundMoxa], bool]


async def search(
    targets: Collection[str] = (EVERYBODY,),
    *,
    seconds: float = SECONDS,
    port: int = PORT,
    clock: Clock | None = None,
    enough: Enough | None = None,
) -> tuple[FoundMoxa, ...]:
    """Return the Moxas that answer, by their addresses.

    *targets* are IPv4 addresses, of networks (broadcast) or of hosts. The search ends after
    *seconds*, or with the first Moxa that is *enough*. Raises :class:`LinkError` when nothing
    can be sent, or a target is no address.
    """
    clock = clock or SystemClock()
    loop = asyncio.get_running_loop()
    try:
        for target in targets:
            ipaddress.IPv4Address(target)
        transport, caller = await loop.create_datagram_endpoint(
            lambda: _Caller(targets, port, enough),
            local_addr=("0.0.0.0", 0),  # noqa: S104 - the answers may be broadcasts
            allow_broadcast=True,
        )
    except (OSError, ValueError) as error:
        raise link_error(error) from error
    deadline = clock.monotonic() + seconds
    try:
        while not caller.satisfied.is_set() and (left := deadline - clock.monotonic()) > 0:
            caller.call()
            try:
                async with clock.timeout(min(ROUND, left)):
                    await caller.satisfied.wait()
            except TimeoutError:
                continue
    finally:
        transport.close()
    if not caller.found and caller.failure is not None and not caller.sent:
        raise caller.failure
    return caller.result()


class _Caller(asyncio.DatagramProtocol):
    def __init__(self, targets: Collection[str], port: int, enough: Enough | None) -> None:
        self._targets = targets
        self._port = port
        self._enough = enough
        self._transport: asyncio.DatagramTransport | None = None
        self._names: dict[bytes, str] = {}
        self._sources: dict[bytes, str] = {}
        """Who has answered: only that one is believed afterwards."""
        self._failed = False
        self.found: dict[bytes, Moxa] = {}
        self.satisfied = asyncio.Event()
        self.sent = 0
        self.failure: LinkError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def error_received(self, exc: Exception) -> None:
        self._failed = True
        self.failure = link_error(exc, Reason.UNREACHABLE)

    def call(self) -> None:
        """Send the search, and ask for the names that are still missing."""
        for target in self._targets:
            self._send(SEARCH, target)
        for token, moxa in self.found.items():
            if token not in self._names:
                # It may be on a network that only a broadcast reaches, as one fresh from the box.
                for target in {moxa.ip, *self._targets}:
                    self._send(ask_name(moxa), target)

    def _send(self, data: bytes, target: str) -> None:
        assert self._transport is not None
        self._failed = False
        self._transport.sendto(data, (target, self._port))
        self.sent += not self._failed

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        moxa = decode_search(data)
        if moxa is not None:
            if addr[0] not in self._targets and addr[0] != moxa.ip:
                # Neither one that was asked nor one that speaks for itself.
                return
            self._sources.setdefault(moxa.token, addr[0])
            if moxa.token not in self.found:
                self.found[moxa.token] = moxa
                self._send(ask_name(moxa), addr[0])
            return
        token, name = data[8:20], decode_name(data)
        if name is None or token not in self.found or addr[0] != self._sources[token]:
            return
        self._names[token] = name.strip()
        if self._enough is not None and self._enough(self._one(token)):
            self.satisfied.set()

    def _one(self, token: bytes) -> FoundMoxa:
        moxa = self.found[token]
        return FoundMoxa(moxa.mac, moxa.ip, self._names.get(token))

    def result(self) -> tuple[FoundMoxa, ...]:
        """Return who was found."""
        return tuple(
            sorted((self._one(token) for token in self.found), key=lambda one: (one.ip, one.mac))
        )
