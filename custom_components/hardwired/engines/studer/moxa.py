"""Finding the Moxa NPort inside an Xcom-LAN by its broadcast protocol (spec c.9)."""

from __future__ import annotations

from dataclasses import dataclass

PORT = 4800
MAC_PREFIX = bytes.fromhex("0090e8")

SEARCH = bytes.fromhex("0100000800000000")
_ANSWER = 0x80
_SEARCH_ANSWER = 0x81
_NAME_ANSWER = 0x90
_NETWORK_ANSWER = 0xA6


@dataclass(frozen=True, slots=True)
class Moxa:
    """A device that answered the search.

    ``token`` are the 12 bytes by which it is addressed in further questions.
    """

    mac: str
    ip: str
    token: bytes


@dataclass(frozen=True, slots=True)
class Network:
    """Its network settings."""

    ip: str
    mask: str
    gateway: str


def decode_search(datagram: bytes) -> Moxa | None:
    """Return who answered; ``None`` when this is no answer of a Moxa."""
    if not _sound(datagram, _SEARCH_ANSWER, 24):
        return None
    return Moxa(mac=datagram[14:20].hex(":"), ip=_dotted(datagram[20:24]), token=datagram[8:20])


def ask_name(moxa: Moxa) -> bytes:
    """Return the question for its name."""
    return bytes.fromhex("1000001400000000") + moxa.token


def decode_name(datagram: bytes) -> str | None:
    """Return the name in an answer; ``None`` when this is none."""
    if not _sound(datagram, _NAME_ANSWER, 20):
        return None
    return datagram[20:].partition(b"\0")[0].decode("ascii", "replace")


def ask_network(moxa: Moxa) -> bytes:
    """Return the question for its network settings."""
    return bytes.fromhex("2600001600000000") + moxa.token + b"\x00\x02"


def decode_network(datagram: bytes) -> Network | None:
    """Return the settings in an answer; ``None`` when this is none."""
    if not _sound(datagram, _NETWORK_ANSWER, 40):
        return None
    return Network(_dotted(datagram[28:32]), _dotted(datagram[32:36]), _dotted(datagram[36:40]))


def is_search(datagram: bytes) -> bool:
    """Whether this is a search (for the simulator)."""
    return datagram == SEARCH


def _sound(datagram: bytes, first: int, least: int) -> bool:
    return (
        len(datagram) >= least
        and datagram[0] == first
        and int.from_bytes(datagram[2:4], "big") == len(datagram)
        and datagram[14:17] == MAC_PREFIX
    )


def _dotted(address: bytes) -> str:
    return ".".join(str(byte) for byte in address)
