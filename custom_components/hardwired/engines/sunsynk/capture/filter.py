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
MAXIMUM_WORDS = 400
MAXIMUM_DEPTH = 50
"""Limits that keep an expression far from the recursion limit."""
MAXIMUM_VLAN = 4095
ETHERNET_HEADER = 14

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str], Iterable[str]]
"""Returns the addresses of a host name; raises ``OSError`` when there are none."""


class FilterError(ValueError):
    """The expression can't be understood, or needs libpcap."""


class Seen:
    """What a filter asks about one packet; computed when asked."""

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
_AND, _OR, _NOT = {"and", "&&"}, {"or", "||"}, {"not", "!"}
_VERSIONS = {"ip": 4, "arp": 4, "ip6": 6}
"""The version of the addresses that go with a protocol."""
_NEED_LIBPCAP = frozenset(
    {
        "broadcast", "multicast", "gateway", "len", "rarp", "sctp", "igmp", "pim", "ah", "esp",
        "icmp6", "mpls", "pppoes", "pppoed", "geneve", "wlan", "inbound", "outbound", "ifname",
        "ifindex", "vxlan", "llc", "iso", "decnet", "atalk", "aarp", "stp", "ipx", "netbeui",
        "lane", "protochain", "type", "subtype", "dir", "radio", "fddi", "tr", "ppp", "slip",
        "link",
    }
)  # fmt: skip
_RESERVED = (
    _PROTOCOLS | _DIRECTIONS | _KINDS | _NEED_LIBPCAP | _AND | _OR | _NOT
    | {"greater", "less", "vlan", "mask", "(", ")", "/"}
)  # fmt: skip
"""Words that are no address, net, port or number."""
_TOKEN = re.compile(r"\s*(\(|\)|/|!(?!=)|&&|\|\||(?:(?!&&|\|\|)[^\s()!/])+|\S)")
_COMPUTED = re.compile(r"[\[\]<>=&|+*]")


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


def parse_filter(
    expression: str, resolve: Resolve | None = None, *, link_layer: bool = True
) -> CaptureFilter:
    """Return the filter that *expression* describes; an empty one accepts everything.

    *resolve* is asked for host names; without it they are refused. Without *link_layer* the
    packets will begin with their network layer (spec g.6): ``ether`` and ``vlan`` are refused,
    and ``greater`` and ``less`` count the header of Ethernet that is not there. Raises
    :class:`FilterError`.
    """
    parser = _Parser(expression, resolve, link_layer=link_layer)
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


def _foreign(word: str, advice: str = "") -> FilterError:
    return FilterError(f"{word!r} is not supported without libpcap{advice}")


class _Parser:
    def __init__(self, expression: str, resolve: Resolve | None, *, link_layer: bool) -> None:
        self._tokens: list[str] = _TOKEN.findall(expression)
        if len(self._tokens) > MAXIMUM_WORDS:
            raise FilterError(f"the expression is too long: more than {MAXIMUM_WORDS} words")
        self._position = 0
        self._depth = 0
        self._resolve = resolve
        self._link_layer = link_layer
        self._qualifiers: _Qualifiers | None = None
        self.only_and = True
        """Whether every primitive has to be true."""
        self.needed: dict[str, Address | int] = {}

    @property
    def word(self) -> str | None:
        """The next word; ``None`` at the end."""
        return self._ahead(0)

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
        return self._joined(self._term, self._term_or_identifier)

    def _joined(self, first: Callable[[], Test], following: Callable[[], Test]) -> Test:
        left = first()
        while self.word in _AND | _OR:
            joined = self._take()
            right = following()
            if joined in _AND:
                left = _both(left, right)
            else:
                self.only_and = False
                left = _either(left, right)
        return left

    def _term(self) -> Test:
        return self._operand(self.expression, self._primitive)

    def _identifiers(self) -> Test:
        return self._operand(lambda: self._joined(self._identifiers, self._identifiers), self._bare)

    def _term_or_identifier(self) -> Test:
        """Read what follows ``and`` or ``or``: a bare identifier takes the last qualifiers."""
        count = 0
        while self._ahead(count) in _NOT | {"("}:
            count += 1
        word = self._ahead(count)
        bare = word is not None and word not in _RESERVED
        return self._identifiers() if bare and self._qualifiers is not None else self._term()

    def _operand(self, inside: Callable[[], Test], alone: Callable[[], Test]) -> Test:
        negated = False
        while self.word in _NOT:
            self._take()
            self.only_and = False
            negated = not negated
        test = self._group(inside) if self.word == "(" else alone()
        return _not(test) if negated else test

    def _group(self, inside: Callable[[], Test]) -> Test:
        """Read what is in parentheses; its qualifiers end with it."""
        self._take()
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise FilterError(f"more than {MAXIMUM_DEPTH} parentheses in each other")
        before = self._qualifiers
        test = inside()
        if self.word != ")":
            raise FilterError(
                "a parenthesis is not closed" if self.word is None else f"unexpected {self.word!r}"
            )
        self._take()
        self._depth -= 1
        self._qualifiers = before
        return test

    def _primitive(self) -> Test:
        word = self._take()
        if word in _AND | _OR | {")", "/"}:
            raise FilterError(f"unexpected {word!r}")
        if word in ("greater", "less"):
            self._qualifiers = None
            missing = 0 if self._link_layer else ETHERNET_HEADER
            return _length(word, self._number(self._take()), missing)
        if word == "vlan":
            self._qualifiers = None
            return self._vlan()
        self._refuse_computed(word)
        if word in _NEED_LIBPCAP:
            raise _foreign(word)
        if word not in _PROTOCOLS | _DIRECTIONS | _KINDS:
            raise FilterError(f"unknown word {word!r}")
        self._position -= 1
        return self._qualified()

    def _refuse_computed(self, word: str) -> None:
        """Refuse arithmetic and comparisons, with and without blanks."""
        following = self.word
        if _COMPUTED.search(word) or (
            following is not None and following not in _AND | _OR and _COMPUTED.match(following)
        ):
            raise _foreign(word)

    def _qualified(self) -> Test:
        protocol = direction = kind = ""
        if self.word in _PROTOCOLS:
            protocol = self._take()
            if protocol == "ether":
                self._need_link_layer(protocol)
        if self.word in _DIRECTIONS:
            direction = self._take()
            if self.word in _AND | _OR and self._ahead(1) in _DIRECTIONS - {direction}:
                direction = "src and dst" if self._take() in _AND else "src or dst"
                self._take()
        if self.word in _KINDS:
            kind = self._take()
        if not direction and not kind:
            return self._alone(protocol)
        self._qualifiers = _Qualifiers(protocol, direction, kind or "host")
        return self._identifiers()

    def _need_link_layer(self, word: str) -> None:
        if not self._link_layer:
            raise FilterError(
                f"{word!r} needs the link layer, which live capture does not see: "
                "use it with capture files only"
            )

    def _alone(self, protocol: str) -> Test:
        following = self.word
        if following in _NEED_LIBPCAP:
            raise _foreign(f"{protocol} {following}")
        self._refuse_computed(protocol)
        if following is not None and following not in _AND | _OR | {")"}:
            raise FilterError(f"unexpected {following!r} after {protocol!r}")
        if protocol not in _STANDALONE:
            raise FilterError(f"{protocol!r} needs an address")
        self._qualifiers = None
        return _PROTOCOL_TESTS[protocol]

    def _bare(self) -> Test:
        """Read an address, net, port or number, with the present qualifiers."""
        word, given = self._take(), self._qualifiers
        if word in _RESERVED or given is None:
            raise FilterError(f"unexpected {word!r}")
        self._refuse_computed(word)
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
                    self._port(word)
                    raise _foreign(f"portrange {word}", f": write 'port {word}'")
                first, last = sorted((self._port(low), self._port(high)))
                return _port_test(given, first, last)
        return self._proto(word, given)

    def _proto(self, word: str, given: _Qualifiers) -> Test:
        if given.protocol not in ("", "ip") or given.direction:
            raise _foreign(f"{given.protocol or given.direction} proto")
        if word.startswith("\\"):
            raise _foreign(word, ": write the protocol's number")
        carried = _carries(self._number(word))
        if not given.protocol:
            return carried
        return lambda seen: seen.version == 4 and carried(seen)

    def _host(self, word: str, given: _Qualifiers) -> Test:
        if given.protocol not in ("", *_VERSIONS):
            raise _foreign(f"{given.protocol} host")
        if self.word == "/":
            raise _foreign(f"host {word}/", ": write 'net'")
        addresses = self._addresses(word, given)
        if len(addresses) == 1 and given.protocol != "arp":
            self.needed["host"] = addresses[0]
        return _net_test(
            given,
            [(int(one), (1 << one.max_prefixlen) - 1, one.max_prefixlen // 8) for one in addresses],
        )

    def _addresses(self, word: str, given: _Qualifiers) -> list[Address]:
        if ":" in word or re.fullmatch(r"[\d.]+|0[xX][0-9a-fA-F]+", word):
            return [_address(word, given.protocol)]
        if self._resolve is None or not re.fullmatch(r"[A-Za-z0-9_.-]+", word):
            raise FilterError(f"unknown host {word!r}")
        try:
            found = [ipaddress.ip_address(one.partition("%")[0]) for one in self._resolve(word)]
        except (OSError, ValueError):
            found = []
        wanted = _VERSIONS.get(given.protocol)
        fitting = [one for one in found if wanted in (None, one.version)]
        if not fitting:
            kind = "" if not found else f": it has no address for {given.protocol!r}"
            raise FilterError(f"unknown host {word!r}{kind}")
        return fitting

    def _net(self, word: str, given: _Qualifiers) -> Test:
        if given.protocol not in ("", *_VERSIONS):
            raise _foreign(f"{given.protocol} net")
        version, bits = (6, 128) if ":" in word else (4, 32)
        if version == 6:
            base, known = int(_address(word, given.protocol)), bits
        else:
            base, known = _octets(word)
            _check_version(word, version, given.protocol)
        if self.word == "/":
            self._take()
            if word.isdigit():
                raise FilterError(f"{word!r} is no net: write '{word}.0.0.0/8'")
            known = self._number(self._take())
            if known > bits:
                raise FilterError(f"a prefix of {known} bits is too long: at most {bits}")
        mask = (1 << bits) - (1 << (bits - known))
        if self.word == "mask":
            self._take()
            mask_word = self._take()
            if version == 6 or word.isdigit() or not re.fullmatch(r"[\d.]*\.[\d.]*", mask_word):
                raise FilterError(f"'{word} mask {mask_word}' is no net: both are dotted numbers")
            mask, _ = _octets(mask_word)
        if base & ~mask:
            raise FilterError(f"{word!r} has bits set outside the net")
        return _net_test(given, [(base, mask, bits // 8)])

    def _hardware(self, word: str, given: _Qualifiers) -> Test:
        if given.kind != "host":
            raise _foreign(f"ether {given.kind}")
        if re.fullmatch(
            r"[0-9a-fA-F]{12}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
            r"|([0-9a-fA-F]{1,2}\.){5}[0-9a-fA-F]{1,2}",
            word,
        ):
            raise _foreign(word, ": write the address with colons")
        if not re.fullmatch(r"[0-9a-fA-F]{1,2}([:-])([0-9a-fA-F]{1,2}\1){4}[0-9a-fA-F]{1,2}", word):
            raise FilterError(f"{word!r} is no hardware address")
        address = bytes(int(part, 16) for part in re.split(r"[:-]", word))
        choose = _chooser(given.direction)
        return lambda seen: (
            seen.hardware is not None and choose(one == address for one in seen.hardware)
        )

    def _vlan(self) -> Test:
        self._need_link_layer("vlan")
        if self.word is not None and self.word[0].isdigit():
            number = self._number(self._take())
            if number > MAXIMUM_VLAN:
                raise FilterError(f"the VLAN tag {number} is greater than {MAXIMUM_VLAN}")
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
        if re.fullmatch(r"0[xX][0-9a-fA-F]+|0[0-7]+", word):
            raise _foreign(word, ": write the number in decimal")
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", word) or int(word) >= 1 << 32:
            raise FilterError(f"{word!r} is no number")
        return int(word)


def _check_version(word: str, version: int, protocol: str) -> None:
    if _VERSIONS.get(protocol, version) != version:
        raise FilterError(f"{word!r} is no address for {protocol!r}")


def _address(word: str, protocol: str) -> Address:
    """Return a written address; one that *protocol* can't have is an error."""
    if ":" in word:
        try:
            if "%" in word:
                raise ValueError
            address: Address = ipaddress.IPv6Address(word)
        except ValueError:
            raise FilterError(f"invalid address {word!r}") from None
    else:
        number, bits = _octets(word)
        if bits != 32:
            raise _foreign(word, ": write all four numbers of the address")
        address = ipaddress.IPv4Address(number)
    _check_version(word, address.version, protocol)
    return address


def _octets(word: str) -> tuple[int, int]:
    """Return the first numbers of an IPv4 address, as 32 bits, and how many bits are given."""
    if re.fullmatch(r"[A-Za-z][\w.-]*|0[xX][0-9a-fA-F]+", word):
        raise _foreign(word, ": write the address in numbers")
    parts = word.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise FilterError(f"invalid address {word!r}")
    numbers = [int(part) for part in parts]
    if max(numbers) > 255:
        if len(parts) == 1:
            raise _foreign(word, ": an address is written with dots")
        raise FilterError(f"invalid address {word!r}")
    if any(part != str(number) for part, number in zip(parts, numbers, strict=True)):
        raise _foreign(word, ": write the address without leading zeros")
    return int.from_bytes(bytes(numbers).ljust(4, b"\0")), 8 * len(numbers)


def _both(left: Test, right: Test) -> Test:
    return lambda seen: left(seen) and right(seen)


def _either(left: Test, right: Test) -> Test:
    return lambda seen: left(seen) or right(seen)


def _not(inner: Test) -> Test:
    return lambda seen: not inner(seen)


def _length(word: str, limit: int, missing: int) -> Test:
    if word == "greater":
        return lambda seen: len(seen.data) + missing >= limit
    return lambda seen: len(seen.data) + missing <= limit


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
    """Return the function that combines the results for source and destination."""
    match direction:
        case "src":
            return lambda answers: next(iter(answers))
        case "dst":
            return lambda answers: tuple(answers)[1]
        case "src and dst":
            return all
        case _:
            return any


def _net_test(given: _Qualifiers, nets: list[tuple[int, int, int]]) -> Test:
    """Return the test for nets, each an address, its mask, and the bytes of such an address."""
    choose = _chooser(given.direction)
    kind = _PROTOCOL_TESTS.get(given.protocol)

    def inside(address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(len(address) == size and number & mask == net for net, mask, size in nets)

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
