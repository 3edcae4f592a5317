"""The addresses of gateways, as links have them."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import parse_qsl, urlencode, urlsplit

from .const import (
    CONF_PEER,
)

STEPS = {"listen": "listen", "tcp": "connect", "socket": "connect", "udp": "udp", "sim": "sim"}
"""The step that asks for an address of each scheme; of a device path, ``serial``."""


def host_in_url(text: str) -> str:
    """Return a host as it stands in an address: a bare IPv6 address gets its brackets."""
    text = text.strip()
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(text).version == 6:
            return f"[{text}]"
    return text


def scheme_of(url: str) -> str:
    """Return the scheme of a link; empty for a device path."""
    return urlsplit(url).scheme if "://" in url else ""


def gateway_of(url: str) -> str | None:
    """Return the address of the gateway on the network that a link leads to, where it says so."""
    match scheme_of(url):
        case "listen":
            return dict(parse_qsl(urlsplit(url).query)).get(CONF_PEER)
        case "tcp" | "socket" | "udp":
            return urlsplit(url).hostname
    return None


def with_gateway(url: str, ip: str) -> str:
    """Return the same link, to a gateway that has got another address."""
    parts = urlsplit(url)
    if parts.scheme == "listen":
        query = {**dict(parse_qsl(parts.query)), CONF_PEER: ip}
        return parts._replace(query=urlencode(query)).geturl()
    return parts._replace(netloc=f"{host_in_url(ip)}:{parts.port}").geturl()


def is_address(host: str) -> bool:
    """Return whether a host is an IP address."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
