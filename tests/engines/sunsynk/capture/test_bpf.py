"""Programs for the kernel's filter (spec g.6), run by an interpreter and by the kernel."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.sunsynk.capture.bpf import Instruction, packed, run, tcp_program
from hardwired_engines.sunsynk.capture.filter import parse_filter
from hardwired_engines.sunsynk.capture.packet import LinkType, Network
from tests.vector_files import vectors

from ..helpers import FAMILY
from .test_filter import SENT
from .test_packet import V6, with_headers

SO_ATTACH_FILTER = 26


def programs() -> list[Any]:
    """Return the programs of this set of vectors with their packets, by name."""
    import json

    path = vectors(FAMILY) / "bpf.json"
    if not path.exists():
        skip = pytest.mark.skip(reason="this set of vectors has no bpf.json")
        return [pytest.param("", {}, [], marks=skip, id="absent")]
    content = json.loads(path.read_text(encoding="utf-8"))
    packets = [bytes.fromhex(packet["hex"]) for packet in content["packets"]]
    return [pytest.param(name, one, packets, id=name) for name, one in content["programs"].items()]


def ours(name: str) -> tuple[Instruction, ...]:
    """Return our program for the name of one in the vectors: ``tcp_host_A_port_P`` in any part."""
    words = name.split("_")
    host = words[words.index("host") + 1] if "host" in words else None
    port = words[words.index("port") + 1] if "port" in words else None
    return tcp_program(
        None if host is None else ipaddress.ip_address(host), None if port is None else int(port)
    )


def verdicts_of_the_kernel(program: tuple[Instruction, ...], packets: list[bytes]) -> list[int]:
    """Let the kernel judge datagrams on a socket pair; needs no permission.

    The filter of a Unix datagram socket sees the datagram from its first byte, as that of a
    cooked packet socket sees the packet.
    """
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setblocking(False)
        code = ctypes.create_string_buffer(packed(program))
        receiver.setsockopt(
            socket.SOL_SOCKET,
            SO_ATTACH_FILTER,
            struct.pack("HL", len(program), ctypes.addressof(code)),
        )
        verdicts = []
        for packet in packets:
            try:
                sender.send(packet)
                verdicts.append(int(receiver.recv(65536) == packet))
            except (BlockingIOError, PermissionError):
                verdicts.append(0)
        return verdicts


@pytest.mark.vectors
@pytest.mark.parametrize("name, case, packets", programs())
def test_programs(name: str, case: dict[str, Any], packets: list[bytes]) -> None:
    theirs = tuple(Instruction(*line) for line in case["instructions"])
    for program in (theirs, ours(name)):
        assert [int(run(program, packet) > 0) for packet in packets] == case["results"]
        assert verdicts_of_the_kernel(program, packets) == case["results"]


ALL_PROGRAMS = [
    tcp_program(host, port)
    for host in (None, ipaddress.ip_address("192.168.0.21"), ipaddress.ip_address("fd00::21"))
    for port in (None, 51100)
]


@given(st.sampled_from(ALL_PROGRAMS), st.one_of(st.binary(max_size=80), st.just(SENT.ip())))
def test_every_jump_stays_inside(program: tuple[Instruction, ...], packet: bytes) -> None:
    assert run(program, packet) in (0, 262144)


def test_the_kernel_and_the_interpreter_agree() -> None:
    packets = [SENT.ip(), V6.ip(), replace(SENT, data=bytes(90)).fragments(64)[1][14:]]
    packets += [packet[:size] for packet in packets for size in (1, 10, 20, 22, 40, 42)]
    packets += [SENT.answered(1, b"").ip(), V6.answered(1, b"").ip(), b"\x46" + SENT.ip()[1:]]
    for program in ALL_PROGRAMS:
        assert verdicts_of_the_kernel(program, packets) == [
            int(run(program, packet) > 0) for packet in packets
        ]


@pytest.mark.parametrize("sent", [SENT, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(
    "expression",
    ["", "port 51100", "host 192.168.0.21", "src host fd00::21 and port 51100", "not port 51100"],
)
def test_the_kernel_never_hides_what_the_filter_wants(sent: Any, expression: str) -> None:
    wanted = parse_filter(expression)
    program = tcp_program(wanted.host, wanted.port)
    for one in (sent, sent.answered(9, b"x"), replace(sent, source_port=1, destination_port=2)):
        ip = one.ip()
        kind = 0x0800 if ip[0] >> 4 == 4 else 0x86DD
        if wanted(LinkType.RAW, ip, Network(kind, 0)):
            assert run(program, ip)


def test_headers_before_tcp_are_not_followed_in_the_kernel() -> None:
    # As in the programs of the specification; files are read without this limit.
    assert run(tcp_program(), with_headers(b"\0\0" + bytes(6))) == 0


@pytest.mark.parametrize("bit", range(16))
def test_a_later_fragment_has_no_ports(bit: int) -> None:
    ip = SENT.ip()
    packet = ip[:6] + (1 << bit).to_bytes(2) + ip[8:]
    # The upper three bits are flags; only the rest says that the beginning is elsewhere.
    assert run(tcp_program(port=51100), packet) == (0 if bit < 13 else 262144)
