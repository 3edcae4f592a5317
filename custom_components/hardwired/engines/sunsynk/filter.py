"""Capture filter expressions: the subset of libpcap's language that needs no libpcap (spec g.4).

``and`` and ``or`` have the same precedence and group from left to right. Addresses and ports
always mean the inner packet, behind VLAN tags and PPPoE.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from .packet import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    TCP,
    Datagram,
    LinkType,
    Network,
    Skip,
    read_ip,
)

ICMP, UDP, SCTP = 1, 17, 132
MAXIMUM_WORDS = 300
"""Keeps the nesting of an expression far from the limit of recursion."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str], Iterable[str]]
"""Returns the addresses of a host name; raises ``OSError`` when there are none."""


class FilterError(ValueError):
    """The expression can't be understood, or needs libpcap."""


class Seen:
    """What a filter asks about one packet; worked out when it is asked."""

    def __init__(self, link_type: int, data: bytes, network: Network) -> None:
        self.link_type = link_type
        self.data = data
        self.network = network

    @cached_property
    def datagram(self) -> Datagram | None:
        """The IP packet, if it is one."""
        found = read_ip(self.data, self.network)
        return None if isinstance(found, Skip) else found

    @property
    def version(self) -> int | None:
        """4 or 6 for IP."""
        return {ETHERTYPE_IPV4: 4, ETHERTYPE_IPV6: 6}.get(self.network.ethertype)

    @cached_property
    def ends(self) -> tuple[bytes, bytes] | None:
        """Source and destination address, of IP or ARP."""
        if self.datagram is not None:
            return self.datagram.source, self.datagram.destination
        start = self.network.start
        if self.network.ethertype == ETHERTYPE_ARP and len(self.data) >= start + 28:
            return self.data[start + 14 : start + 18], self.data[start + 24 : start + 28]
        return None

    @cached_property
    def ports(self) -> tuple[int, int] | None:
        """Source and destination port, where the packet holds them."""
        one = self.datagram
        if one is None or one.protocol not in (TCP, UDP, SCTP) or not one.first:
            return None
        header = self.data[one.start : one.start + 4]
        if len(header) < 4:
            return None
        return header[0] << 8 | header[1], header[2] << 8 | header[3]

    @property
    def hardware(self) -> tuple[bytes, bytes] | None:
        """Source and destination MAC address, on Ethernet."""
        if self.link_type != LinkType.ETHERNET or len(self.data) < 12:
            return None
        return self.data[6:12], self.data[:6]


Test: TypeAlias = Callable[[Seen], bool]


@dataclass(frozen=True, slots=True)
class _Qualifiers:
    protocol: str = ""
    direction: str = ""
    kind: str = ""


_PROTOCOLS = {"ip", "ip6", "tcp", "udp", "icmp", "ether", "arp"}
_DIRECTIONS = {"src", "dst"}
_KINDS = {"host", "net", "port", "portrange", "proto"}
_STANDALONE = _PROTOCOLS - {"ether"}
_NEED_LIBPCAP = frozenset(
    {
        "broadcast", "multicast", "gateway", "len", "rarp", "sctp", "igmp", "pim", "ah", "esp",
        "icmp6", "mpls", "pppoes", "pppoed", "geneve", "wlan", "inbound", "outbound", "ifname",
        "ifindex", "vxlan", "llc", "iso", "decnet", "atalk", "aarp", "stp", "ipx", "netbeui",
        "lane", "protochain", "type", "subtype", "dir", "radio", "fddi", "tr", "ppp", "slip",
        "link",
    }
)  # fmt: skip
_TOKEN = re.compile(r"\s*(\(|\)|!(?!=)|&&|\|\||[^\s()!]+|\S)")


@dataclass(frozen=True, slots=True)
class CaptureFilter:
    """A compiled expression, used as ``(tcp) and (EXPRESSION)``.

    ``host`` and ``port`` are what every packet that passes must have, where the expression says
    so: enough for the kernel's part of the filter.
    """

    expression: str
    test: Test
    host: Address | None = None
    port: int | None = None

    def __call__(self, link_type: int, data: bytes, network: Network) -> bool:
        """Whether a captured packet passes."""
        seen = Seen(link_type, data, network)
        return seen.datagram is not None and seen.datagram.protocol == TCP and self.test(seen)

    def matches(self, link_type: int, data: bytes, network: Network) -> bool:
        """Whether a captured packet fits the expression alone, without ``tcp``."""
        return self.test(Seen(link_type, data, network))


def parse_filter(expression: str, resolve: Resolve | None = None) -> CaptureFilter:
    """Return the filter that *expression* describes; an empty one lets everything pass.

    *resolve* is asked for host names; without it they are refused. Raises
    :class:`FilterError`.
    """
    parser = _Parser(expression, resolve)
    if not expression.strip():
        return CaptureFilter("", lambda _seen: True)
    test = parser.expression()
    if parser.word is not None:
        raise FilterError(f"unexpected {parser.word!r}")
    needed = parser.needed if parser.only_and else {}
    host, port = needed.get("host"), needed.get("port")
    return CaptureFilter(
        expression,
        test,
        host if isinstance(host, (ipaddress.IPv4Address, ipaddress.IPv6Address)) else None,
        port if isinstance(port, int) else None,
    )


class _Parser:
    def __init__(self, expression: str, resolve: Resolve | None) -> None:
        self._tokens: list[str] = _TOKEN.findall(expression)
        if len(self._tokens) > MAXIMUM_WORDS:
            raise FilterError(f"the expression is too long: more than {MAXIMUM_WORDS} words")
        self._position = 0
        self._resolve = resolve
        self._qualifiers: _Qualifiers | None = None
        self.only_and = True
        """Whether every primitive has to be true."""
        self.needed: dict[str, Address | int] = {}

    @property
    def word(self) -> str | None:
        """The next word; ``None`` at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _ahead(self, count: int) -> str | None:
        place = self._position + count
        return self._tokens[place] if place < len(self._tokens) else None

    def _take(self) -> str:
        word = self.word
        if word is None:
            raise FilterError("the expression ends too early")
        self._position += 1
        return word

    def expression(self) -> Test:
        """Read terms joined by ``and`` and ``or``, from left to right."""
        left = self._term()
        while self.word in ("and", "&&", "or", "||"):
            joined = self._take()
            right = self._term()
            if joined in ("and", "&&"):
                left = _both(left, right)
            else:
                self.only_and = False
                left = _either(left, right)
        return left

    def _term(self) -> Test:
        word = self.word
        if word in ("not", "!"):
            self._take()
            self.only_and = False
            inner = self._term()
            return lambda seen: not inner(seen)
        if word == "(":
            self._take()
            inner = self.expression()
            if self.word != ")":
                raise FilterError("a parenthesis is not closed")
            self._take()
            return inner
        return self._primitive()

    def _primitive(self) -> Test:
        word = self._take()
        if word in ("and", "or", "&&", "||", ")"):
            raise FilterError(f"unexpected {word!r}")
        if word in ("greater", "less"):
            self._qualifiers = None
            return _length(word, self._number(self._take()))
        if word == "vlan":
            self._qualifiers = None
            return self._vlan()
        self._refuse_foreign(word)
        if word not in _PROTOCOLS | _DIRECTIONS | _KINDS:
            return self._bare(word)
        self._position -= 1
        return self._qualified()

    def _refuse_foreign(self, word: str) -> None:
        if word in _NEED_LIBPCAP or re.search(r"[\[\]<>=&|+*/:]", word.partition("/")[0]):
            address = word.partition("/")[0]
            try:
                ipaddress.ip_address(address)
            except ValueError:
                if not _is_hardware(word):
                    raise FilterError(f"{word!r} is not supported without libpcap") from None

    def _qualified(self) -> Test:
        protocol = direction = kind = ""
        if self.word in _PROTOCOLS:
            protocol = self._take()
        if self.word in _DIRECTIONS:
            direction = self._take()
            if self.word in ("or", "and") and self._ahead(1) in _DIRECTIONS - {direction}:
                direction = f"src {self._take()} dst"
                self._take()
        if self.word in _KINDS:
            kind = self._take()
        if not direction and not kind:
            return self._alone(protocol)
        self._qualifiers = _Qualifiers(protocol, direction, kind or "host")
        return self._identifier(self._take(), self._qualifiers)

    def _alone(self, protocol: str) -> Test:
        following = self.word
        if following in _NEED_LIBPCAP:
            raise FilterError(f"'{protocol} {following}' is not supported without libpcap")
        if following is not None and following not in ("and", "or", "&&", "||", ")"):
            raise FilterError(f"unexpected {following!r} after {protocol!r}")
        if protocol not in _STANDALONE:
            raise FilterError(f"{protocol!r} needs an address")
        self._qualifiers = None
        return _PROTOCOL_TESTS[protocol]

    def _bare(self, word: str) -> Test:
        if self._qualifiers is None or self._position < 2:
            raise FilterError(f"unknown word {word!r}")
        if self._ahead(-2) not in ("and", "or", "&&", "||", "not", "!", "("):
            raise FilterError(f"unexpected {word!r}")
        return self._identifier(word, self._qualifiers)

    def _identifier(self, word: str, given: _Qualifiers) -> Test:
        if word in ("(", ")", "and", "or", "not", "!", "&&", "||"):
            raise FilterError(f"unexpected {word!r}")
        if given.protocol == "ether":
            return self._hardware(word, given)
        match given.kind:
            case "host":
                return self._host(word, given)
            case "net":
                return self._net(word, given)
            case "port":
                port = self._port(word)
                if given.protocol in ("", "tcp"):
                    self.needed["port"] = port
                return _port_test(given, port, port)
            case "portrange":
                low, dash, high = word.partition("-")
                if not dash:
                    raise FilterError(f"{word!r} is no range of ports")
                first, last = sorted((self._port(low), self._port(high)))
                return _port_test(given, first, last)
        if given.protocol not in ("", "ip") or given.direction:
            raise FilterError(f"'{given.protocol} proto' is not supported without libpcap")
        number = self._number(word)
        return lambda seen: (
            seen.version == 4 and seen.datagram is not None and seen.datagram.protocol == number
        )

    def _host(self, word: str, given: _Qualifiers) -> Test:
        if given.protocol not in ("", "ip", "ip6", "arp"):
            raise FilterError(f"'{given.protocol} host' is not supported without libpcap")
        addresses = self._addresses(word)
        if len(addresses) == 1 and given.protocol != "arp":
            self.needed["host"] = addresses[0]
        return _net_test(given, [ipaddress.ip_network(one) for one in addresses])

    def _addresses(self, word: str) -> list[Address]:
        try:
            return [ipaddress.ip_address(word)]
        except ValueError:
            pass
        if re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", word):
            raise FilterError(f"invalid address {word!r}")
        if self._resolve is None or not re.fullmatch(r"[A-Za-z0-9_.-]+", word):
            raise FilterError(f"unknown host {word!r}")
        try:
            found = [ipaddress.ip_address(one) for one in self._resolve(word)]
        except (OSError, ValueError):
            found = []
        if not found:
            raise FilterError(f"unknown host {word!r}")
        return found

    def _net(self, word: str, given: _Qualifiers) -> Test:
        if given.protocol not in ("", "ip", "ip6", "arp"):
            raise FilterError(f"'{given.protocol} net' is not supported without libpcap")
        text = word
        if self.word == "mask":
            self._take()
            text = f"{word}/{self._take()}"
        elif "/" not in word and re.fullmatch(r"\d+(\.\d+){0,2}", word):
            octets = word.count(".") + 1
            text = f"{word}{'.0' * (4 - octets)}/{octets * 8}"
        try:
            return _net_test(given, [ipaddress.ip_network(text)])
        except ValueError as error:
            raise FilterError(str(error)) from error

    def _hardware(self, word: str, given: _Qualifiers) -> Test:
        if given.kind != "host":
            raise FilterError(f"'ether {given.kind}' is not supported without libpcap")
        if not _is_hardware(word):
            raise FilterError(f"{word!r} is no hardware address")
        address = bytes(int(part, 16) for part in re.split(r"[:-]", word))
        choose = _chooser(given.direction)
        return lambda seen: (
            seen.hardware is not None and choose(one == address for one in seen.hardware)
        )

    def _vlan(self) -> Test:
        if self.word is not None and self.word.isdigit():
            number = self._number(self._take())
            return lambda seen: number in seen.network.vlan
        return lambda seen: bool(seen.network.vlan)

    def _port(self, word: str) -> int:
        if re.fullmatch(r"[A-Za-z][\w-]*", word):
            raise FilterError(f"the port name {word!r} is not supported without libpcap")
        port = self._number(word)
        if port > 65535:
            raise FilterError(f"illegal port number {port}")
        return port

    @staticmethod
    def _number(word: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", word):
            raise FilterError(f"{word!r} is no number")
        return int(word)


def _is_hardware(word: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}", word) is not None


def _both(left: Test, right: Test) -> Test:
    return lambda seen: left(seen) and right(seen)


def _either(left: Test, right: Test) -> Test:
    return lambda seen: left(seen) or right(seen)


def _length(word: str, limit: int) -> Test:
    if word == "greater":
        return lambda seen: len(seen.data) >= limit
    return lambda seen: len(seen.data) <= limit


def _carries(protocol: int) -> Test:
    return lambda seen: seen.datagram is not None and seen.datagram.protocol == protocol


_PROTOCOL_TESTS: dict[str, Test] = {
    "ip": lambda seen: seen.version == 4,
    "ip6": lambda seen: seen.version == 6,
    "arp": lambda seen: seen.network.ethertype == ETHERTYPE_ARP,
    "tcp": _carries(TCP),
    "udp": _carries(UDP),
    "icmp": lambda seen: seen.version == 4 and _carries(ICMP)(seen),
}


def _chooser(direction: str) -> Callable[[Iterable[bool]], bool]:
    """Return how the answers for source and destination become one."""
    match direction:
        case "src":
            return lambda answers: next(iter(answers))
        case "dst":
            return lambda answers: tuple(answers)[1]
        case "src and dst":
            return all
        case _:
            return any


def _net_test(given: _Qualifiers, networks: list[IPNetwork]) -> Test:
    choose = _chooser(given.direction)
    masks = [
        (int(net.network_address), int(net.netmask), net.max_prefixlen // 8) for net in networks
    ]
    kind = _PROTOCOL_TESTS.get(given.protocol)

    def inside(address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(len(address) == size and number & mask == net for net, mask, size in masks)

    def test(seen: Seen) -> bool:
        if kind is not None and not kind(seen):
            return False
        return seen.ends is not None and choose(inside(one) for one in seen.ends)

    return test


def _port_test(given: _Qualifiers, first: int, last: int) -> Test:
    if given.protocol not in ("", "tcp", "udp"):
        raise FilterError(f"'{given.protocol} port' is not supported without libpcap")
    choose = _chooser(given.direction)
    kind = _PROTOCOL_TESTS.get(given.protocol)

    def test(seen: Seen) -> bool:
        if kind is not None and not kind(seen):
            return False
        return seen.ports is not None and choose(first <= one <= last for one in seen.ports)

    return test
