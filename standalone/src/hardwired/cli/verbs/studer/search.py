"""``hardwired search studer``: look on the network for the Moxa of an Xcom-LAN."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct
import sys

from hardwired_engines.studer.moxa import PORT as SEARCH_PORT
from hardwired_engines.studer.moxa_search import EVERYBODY, search

from ...arguments import port_of, seconds_of
from ...output import emit, tell

_SIOCGIFBRDADDR = 0x8919


def broadcast_addresses() -> tuple[str, ...]:
    """Return the broadcast addresses of all interfaces, as far as the system tells them."""
    found = [EVERYBODY]
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - not on every system

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            for _, name in socket.if_nameindex():
                with contextlib.suppress(OSError):
                    request = struct.pack("256s", name.encode()[:15])
                    answer = fcntl.ioctl(asking, _SIOCGIFBRDADDR, request)
                    found.append(socket.inet_ntoa(answer[20:24]))
    return tuple(dict.fromkeys(address for address in found if address != "0.0.0.0"))  # noqa: S104


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``search``."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="ADDRESS",
        help="broadcast addresses or hosts to ask (default: every network of this computer)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=3.0,
        metavar="N",
        help="how long to listen (default: 3)",
    )
    parser.add_argument(
        "--port",
        type=port_of,
        default=SEARCH_PORT,
        help="the UDP port asked (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Look for the Moxas of Xcom-LANs and print what to do with each."""
    targets = tuple(options.targets) or broadcast_addresses()
    found = asyncio.run(search(targets, seconds=options.seconds, port=options.port))
    for one in found:
        emit(
            {
                "mac": one.mac,
                "ip": one.ip,
                "name": one.name,
                "when_it_is_a_client": f"listen://0.0.0.0:4001?peer={one.ip}",
                "when_it_is_a_server": f"tcp://{one.ip}:4001",
            }
        )
    if not found:
        tell(
            f"hardwired: no Moxa answers at {', '.join(targets)}. It answers only in the network"
            " that it is in; its address as delivered is 192.168.127.254"
        )
    return 0 if found else 1
