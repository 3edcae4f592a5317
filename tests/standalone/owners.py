"""What in a recording identifies its owner: what ``record`` would have masked, and more."""

from __future__ import annotations

import io
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping

from hardwired.cli.verbs.studer.recording import read_chunks
from hardwired_engines.engine import Direction
from hardwired_engines.inventum.terminal.cells import CHALLENGE_PROMPT, LOGIN_PROMPT
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.redaction import mask
from hardwired_engines.sunsynk.capture.packet import (
    Datagram,
    LinkType,
    Network,
    find_network,
    read_ip,
)
from hardwired_engines.sunsynk.capture.pcap import CaptureFile
from hardwired_engines.sunsynk.capture.stream import Capture
from hardwired_engines.sunsynk.capture.writer import masked

_IPV4 = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_MAC = re.compile(
    rb"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])"
)
_DONGLE = re.compile(rb"E47\d{6,}")
_CONTROL = re.compile(rb"\x1b\[[0-9;]*[@-~]")
_CODE = re.compile(
    rb"(?:%b|%b)[^\r\n:]*:[^\r\n]*\d" % (LOGIN_PROMPT.encode(), CHALLENGE_PROMPT.encode())
)
_OF_ITS_OWN = 0x02
"""In the first byte of a MAC address that no maker has given out."""


def identities(raw: bytes, family: str) -> list[str]:
    """Return what is found, as words; empty: nothing."""
    found = [*_of_text(raw), *_of_text(_recorded(raw))]
    if family in _OF_FAMILY:
        found += _OF_FAMILY[family](raw)
    return sorted(set(found))


def _recorded(raw: bytes) -> bytes:
    """Return what a recording holds, one piece after the other; empty: it is none of that kind."""
    try:
        lines = [json.loads(line) for line in raw.splitlines() if line.startswith(b"{")]
        return b"".join(bytes.fromhex(line["data"]) for line in lines)
    except (KeyError, TypeError, ValueError):
        return b""


def _of_text(raw: bytes) -> Iterator[str]:
    for one in _IPV4.findall(raw):
        try:
            address = ipaddress.ip_address(one.decode())
        except ValueError:
            continue
        if address.is_global:
            yield f"address {address}"
    for mac in _MAC.finditer(raw):
        if set(mac[0]) - set(b"0:-"):
            yield f"MAC address {mac[0].decode()}"
    for serial in _DONGLE.findall(raw):
        yield f"dongle {serial.decode()}"


def _of_studer(raw: bytes) -> Iterator[str]:
    """Yield the frames that masking would change."""
    sides: dict[Direction | None, Parser] = {}
    for chunk in read_chunks(raw):
        for frame in sides.setdefault(chunk.direction, Parser()).receive_data(chunk.data):
            if mask(frame) is not frame:
                yield f"frame {frame.encode().hex()}"


def _of_sunsynk(raw: bytes) -> Iterator[str]:
    """Yield the messages that masking would change, and addresses of packets."""
    packets = list(CaptureFile(io.BytesIO(raw)))
    for frame in Capture().read(packets):
        if masked(frame.data) != frame.data:
            yield f"message {frame.data[:24].hex()}"
    for packet in packets:
        if packet.link_type == LinkType.ETHERNET:
            for mac in (packet.data[:6], packet.data[6:12]):
                if any(mac) and not mac[0] & _OF_ITS_OWN:
                    yield f"MAC address {mac.hex(':')}"
        network = find_network(packet.link_type, packet.data)
        datagram = read_ip(packet.data, network) if isinstance(network, Network) else None
        if isinstance(datagram, Datagram):
            for one in (datagram.source, datagram.destination):
                if (address := ipaddress.ip_address(one)).is_global:
                    yield f"address {address}"


def _of_inventum(raw: bytes) -> Iterator[str]:
    """Yield codes of a login behind their prompts."""
    for code in _CODE.findall(_CONTROL.sub(b"", _recorded(raw) or raw)):
        yield f"code {code.decode('latin-1')}"


_OF_FAMILY: Mapping[str, Callable[[bytes], Iterator[str]]] = {
    "studer": _of_studer,
    "sunsynk": _of_sunsynk,
    "inventum": _of_inventum,
}
"""Nothing on Truma's bus names a person or has a serial number."""
