"""The search for Moxas, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest

from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.studer import moxa, moxa_search
from hardwired_engines.studer.moxa_search import FoundMoxa, search
from hardwired_engines.studer.simulator.runners import MoxaSearch, answering_searches
from tests.ports import free_port

MAC = bytes.fromhex("0090e8123456")
LOOPBACK_BROADCAST = "127.255.255.255"


class Stubborn(MoxaSearch):
    """Overhears the first of each kind of question; says things that are no answers, too."""

    def __init__(self, mac: bytes, address: str, name: str = "Xcom-LAN") -> None:
        super().__init__(mac, address, name)
        self.heard: set[bytes] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first = data[:1] not in self.heard
        self.heard.add(data[:1])
        assert self._transport is not None
        for nonsense in (b"", data, b"\x81\x00\x00\x18" + bytes(20), b"\x90" + bytes(30)):
            self._transport.sendto(nonsense, addr)
        if not first:
            super().datagram_received(data, addr)


@asynccontextmanager
async def answering(protocol: MoxaSearch, port: int) -> AsyncIterator[None]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: protocol, local_addr=("0.0.0.0", port), allow_broadcast=True
    )
    try:
        yield
    finally:
        transport.close()


@pytest.mark.parametrize("target", ["127.0.0.1", LOOPBACK_BROADCAST])
async def test_a_moxa_is_found_with_its_name(target: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    transport = await answering_searches("127.0.0.1", MAC, port=port)
    try:
        found = await search([target], port=port, seconds=30, enough=lambda one: one.in_xcom)
    finally:
        transport.close()
    assert found == (FoundMoxa("00:90:e8:12:34:56", "127.0.0.1", "Xcom-LAN"),)


async def test_datagrams_that_get_lost_are_sent_again() -> None:
    port = free_port(socket.SOCK_DGRAM)
    async with answering(Stubborn(MAC, "127.0.0.1"), port):
        found = await search(["127.0.0.1"], port=port, seconds=30, enough=lambda one: True)
    assert [one.name for one in found] == ["Xcom-LAN"]


async def test_one_that_tells_no_name_is_found_all_the_same() -> None:
    class Nameless(MoxaSearch):
        def answer(self, data: bytes) -> bytes | None:
            return super().answer(data) if moxa.is_search(data) else None

    port = free_port(socket.SOCK_DGRAM)
    async with answering(Nameless(MAC, "127.0.0.1"), port):
        found = await search(["127.0.0.1"], port=port, seconds=1)
    assert found == (FoundMoxa("00:90:e8:12:34:56", "127.0.0.1"),)
    assert not found[0].in_xcom


@pytest.mark.parametrize(
    ("name", "in_xcom"),
    [("Xcom-LAN", True), ("XCOM-LAN_4711", True), ("NP5110A_4711", False), ("", False)],
)
async def test_an_xcom_is_told_from_another_moxa_by_its_name(name: str, in_xcom: bool) -> None:
    port = free_port(socket.SOCK_DGRAM)
    transport = await answering_searches("127.0.0.1", MAC, port=port, name=name)
    try:
        (found,) = await search(["127.0.0.1"], port=port, seconds=30, enough=lambda one: True)
    finally:
        transport.close()
    assert found.in_xcom is in_xcom


async def test_where_nobody_answers_nobody_is_found() -> None:
    assert await search(["127.0.0.1"], port=free_port(socket.SOCK_DGRAM), seconds=0.2) == ()


async def test_what_can_not_be_sent_is_told() -> None:
    with pytest.raises(LinkError) as caught:
        await search(["127.0.0.1"], port=0, seconds=0.2)
    assert caught.value.reason is Reason.BAD_ADDRESS


@pytest.mark.parametrize("target", ["::1", "gateway.local", ""])
async def test_a_target_that_is_no_address_is_told(target: str) -> None:
    with pytest.raises(LinkError) as caught:
        await search([target], seconds=0.2)
    assert caught.value.reason is Reason.BAD_ADDRESS


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        with pytest.raises(LinkError) as caught:
            await answering_searches("127.0.0.1", MAC, port=taken.getsockname()[1])
    assert caught.value.reason is Reason.BUSY


async def test_only_who_was_asked_or_speaks_for_itself_is_believed() -> None:
    """Issue 13, number 10: another address tells of a Moxa, or renames one."""
    caller = moxa_search._Caller(["127.0.0.255"], 4800, None)
    caller._transport = Mock()
    answering = MoxaSearch(MAC, "192.168.1.9")
    found = answering.answer(moxa.SEARCH)
    assert found is not None
    caller.datagram_received(found, ("192.168.1.66", 4800))
    assert caller.result() == ()
    caller.datagram_received(found, ("192.168.1.9", 4800))
    (one,) = caller.found.values()
    named = MoxaSearch(MAC, "192.168.1.9", "Evil").answer(moxa.ask_name(one))
    assert named is not None
    caller.datagram_received(named, ("192.168.1.66", 4800))
    assert caller.result() == (FoundMoxa("00:90:e8:12:34:56", "192.168.1.9"),)
    named = answering.answer(moxa.ask_name(one))
    assert named is not None
    caller.datagram_received(named, ("192.168.1.9", 4800))
    assert caller.result()[0].name == "Xcom-LAN"
