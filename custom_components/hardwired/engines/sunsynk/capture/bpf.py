"""Classic BPF programs for a cooked packet socket, where the IP header is at offset 0 (spec g.6).

The kernel drops what can't hold a report, so that only matching packets wake the program.
:mod:`.filter` decides about the rest.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from .encapsulation import GRE, MIRROR_PORTS, UDP

ACCEPT = "accept"
REJECT = "reject"
NEXT = ""
WHOLE_PACKET = 262144

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
LOAD_HALF_INDEXED = 0x48
LOAD_X_IP_HEADER = 0xB1
AND = 0x54
JUMP_EQUAL, JUMP_SET = 0x15, 0x45
RETURN = 0x06


class Instruction(NamedTuple):
    """One instruction as the kernel takes it."""

    code: int
    jump_true: int
    jump_false: int
    k: int


@dataclass(slots=True)
class _Assembler:
    """Instructions, with labels as the targets of jumps."""

    lines: list[tuple[int, str, str, int]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.lines)

    def add(self, code: int, k: int = 0) -> None:
        self.lines.append((code, NEXT, NEXT, k))

    def jump(self, code: int, k: int, yes: str = NEXT, no: str = NEXT) -> None:
        self.lines.append((code, yes, no, k))

    def program(self) -> tuple[Instruction, ...]:
        def distance(place: int, name: str) -> int:
            return 0 if name == NEXT else self.labels[name] - place - 1

        return tuple(
            Instruction(code, distance(place, yes), distance(place, no), k)
            for place, (code, yes, no, k) in enumerate(self.lines)
        )


def tcp_program(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None,
    port: int | None = None,
    *,
    mirrors: bool = False,
) -> tuple[Instruction, ...]:
    """Return the program for ``tcp [and host HOST] [and port PORT]``.

    With *mirrors* packets that carry those of a mirrored port pass too: GRE, TZSP, VXLAN, Geneve.
    """
    code = _Assembler()
    code.add(LOAD_BYTE, 0)
    code.add(AND, 0xF0)
    code.jump(JUMP_EQUAL, 0x40, no="v6")
    if isinstance(host, ipaddress.IPv6Address):
        if mirrors:
            _mirrors_4(code)
        code.jump(JUMP_EQUAL, 0x40, yes=REJECT, no=REJECT)
    else:
        if mirrors:
            _mirrors_4(code)
        _version_4(code, host, port)
    code.label("v6")
    if isinstance(host, ipaddress.IPv4Address):
        if mirrors:
            _mirrors_6(code)
        code.jump(JUMP_EQUAL, 0x60, yes=REJECT, no=REJECT)
    else:
        if mirrors:
            _mirrors_6(code)
        _version_6(code, host, port)
    code.label(ACCEPT)
    code.add(RETURN, WHOLE_PACKET)
    code.label(REJECT)
    code.add(RETURN, 0)
    return code.program()


def _mirrors_4(code: _Assembler) -> None:
    """Let GRE and the UDP ports of mirrors pass; all else goes on."""
    code.add(LOAD_BYTE, 9)
    code.jump(JUMP_EQUAL, GRE, yes=ACCEPT)
    code.jump(JUMP_EQUAL, UDP, no="v4 no mirror")
    code.add(LOAD_HALF, 6)
    code.jump(JUMP_SET, 0x1FFF, yes=REJECT)
    code.add(LOAD_X_IP_HEADER, 0)
    code.add(LOAD_HALF_INDEXED, 2)
    _ports(code)
    code.label("v4 no mirror")
    code.add(LOAD_BYTE, 0)
    code.add(AND, 0xF0)


def _mirrors_6(code: _Assembler) -> None:
    code.jump(JUMP_EQUAL, 0x60, no=REJECT)
    code.add(LOAD_BYTE, 6)
    code.jump(JUMP_EQUAL, GRE, yes=ACCEPT)
    code.jump(JUMP_EQUAL, UDP, no="v6 no mirror")
    code.add(LOAD_HALF, 42)
    _ports(code)
    code.label("v6 no mirror")
    code.add(LOAD_BYTE, 0)
    code.add(AND, 0xF0)


def _ports(code: _Assembler) -> None:
    ports = sorted(MIRROR_PORTS)
    for port in ports:
        code.jump(JUMP_EQUAL, port, yes=ACCEPT, no=REJECT if port == ports[-1] else NEXT)


def _version_4(code: _Assembler, host: ipaddress.IPv4Address | None, port: int | None) -> None:
    code.add(LOAD_BYTE, 9)
    code.jump(JUMP_EQUAL, 6, yes=NEXT if host or port is not None else ACCEPT, no=REJECT)
    if host is not None:
        after = "v4 port" if port is not None else ACCEPT
        code.add(LOAD_WORD, 12)
        code.jump(JUMP_EQUAL, int(host), yes=after)
        code.add(LOAD_WORD, 16)
        code.jump(JUMP_EQUAL, int(host), yes=after, no=REJECT)
    code.label("v4 port")
    if port is not None:
        code.add(LOAD_HALF, 6)
        code.jump(JUMP_SET, 0x1FFF, yes=REJECT)
        code.add(LOAD_X_IP_HEADER, 0)
        code.add(LOAD_HALF_INDEXED, 0)
        code.jump(JUMP_EQUAL, port, yes=ACCEPT)
        code.add(LOAD_HALF_INDEXED, 2)
        code.jump(JUMP_EQUAL, port, yes=ACCEPT, no=REJECT)


def _version_6(code: _Assembler, host: ipaddress.IPv6Address | None, port: int | None) -> None:
    code.jump(JUMP_EQUAL, 0x60, no=REJECT)
    code.add(LOAD_BYTE, 6)
    code.jump(JUMP_EQUAL, 6, yes=NEXT if host or port is not None else ACCEPT, no=REJECT)
    if host is not None:
        after = "v6 port" if port is not None else ACCEPT
        words = struct.unpack(">4I", host.packed)
        for name, start, other in (("source", 8, "destination"), ("destination", 24, REJECT)):
            code.label(name)
            for index, word in enumerate(words):
                code.add(LOAD_WORD, start + 4 * index)
                code.jump(JUMP_EQUAL, word, yes=after if index == 3 else NEXT, no=other)
    code.label("v6 port")
    if port is not None:
        code.add(LOAD_HALF, 40)
        code.jump(JUMP_EQUAL, port, yes=ACCEPT)
        code.add(LOAD_HALF, 42)
        code.jump(JUMP_EQUAL, port, yes=ACCEPT, no=REJECT)


def packed(program: tuple[Instruction, ...]) -> bytes:
    """Return the instructions as the kernel's array of ``sock_filter``."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def run(program: tuple[Instruction, ...], packet: bytes) -> int:
    """Return what the kernel would: how many bytes of *packet* pass, 0 for none.

    For tests and for explaining a filter; a load beyond the packet rejects it.
    """
    accumulator = index = 0
    place = 0
    while True:
        code, jump_true, jump_false, k = program[place]
        place += 1
        try:
            match code:
                case 0x20:
                    (accumulator,) = struct.unpack_from(">I", packet, k)
                case 0x28:
                    (accumulator,) = struct.unpack_from(">H", packet, k)
                case 0x30:
                    accumulator = packet[k]
                case 0x48:
                    (accumulator,) = struct.unpack_from(">H", packet, index + k)
                case 0xB1:
                    index = (packet[k] & 15) * 4
                case 0x54:
                    accumulator &= k
                case 0x15:
                    place += jump_true if accumulator == k else jump_false
                case 0x45:
                    place += jump_true if accumulator & k else jump_false
                case 0x06:
                    return k
                case _:
                    raise ValueError(f"instruction {code:#x} is not known here")
        except (struct.error, IndexError):
            return 0
