"""What the command line offers for Studer plants behind an Xcom-232i or an Xcom-LAN."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from datetime import time

from hardwired_engines.engine import (
    Command,
    CommandError,
    Engine,
    LinkError,
    Reason,
)
from hardwired_engines.factory import ProbeResult, Surroundings, running
from hardwired_engines.fields import Value
from hardwired_engines.studer import FACTORY
from hardwired_engines.studer.catalogue import XCOM
from hardwired_engines.studer.moxa import PORT as SEARCH_PORT
from hardwired_engines.studer.moxa_search import EVERYBODY, search
from hardwired_engines.studer.settings import StuderSettings

from ..arguments import port_of, seconds_of
from ..output import emit, tell
from ..recording import record
from . import Verb
from ._studer_decode import DECODE
from ._studer_replay import REPLAY
from ._studer_simulate import SIMULATE

# ------------------------------------------------------------------------------ the link


def add_link(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the plant is."""
    parser.add_argument(
        "url",
        metavar="URL",
        help="a serial port, listen://0.0.0.0:4001 (an Xcom-LAN connects to us), tcp://HOST:PORT,"
        " udp://HOST:PORT, sim://?xtenders=6",
    )
    parser.add_argument(
        "--serial",
        metavar="SETTINGS",
        help="of a serial port, such as '38400 8E1' (default: found out)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds_of,
        default=3.0,
        metavar="SECONDS",
        help="how long an answer is awaited (default: 3)",
    )


def link_settings(options: argparse.Namespace) -> StuderSettings:
    """Return the settings that the arguments describe."""
    return FACTORY.read(
        {
            "link": options.url,
            "serial": options.serial,
            "answer_timeout": options.timeout,
            # Reading messages clears a flag that the owner's other programs may wait for.
            "read_messages": False,
        }
    )


def configure_probe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    add_link(parser)


def run_probe(options: argparse.Namespace) -> int:
    """Try the link, find all devices, print them."""

    def progress(step: ProbeResult) -> None:
        asked, total, found = (step.counters[key] for key in ("asked", "addresses", "found"))
        tell(f"{asked}/{total} addresses asked, {found} devices found")

    settings = link_settings(options)
    found = asyncio.run(FACTORY.probe(settings, Surroundings(), on_progress=progress))
    gateway = next(device for device in found.devices if device.kind == XCOM)
    for device in found.devices:
        if device is gateway:
            continue
        emit(
            {
                "address": None if device.address is None else int(device.address),
                "kind": device.kind,
                "name": device.name,
                "model": device.model,
                "fid": device.serial_number,
                "software": device.sw_version,
                "hardware": device.hw_version,
            }
        )
    emit(
        {
            "gateway": gateway.id,
            "guid": found.counters["guid"],
            "serial": found.settings.get("serial"),
            "multi_info": found.counters["multi_info"],
            "latency_ms": found.counters["latency_ms"],
        }
    )
    return 0


def configure_record(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    add_link(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )


def run_record(options: argparse.Namespace) -> int:
    """Talk to a plant, reading only, and write down every frame, identities masked."""
    engine = FACTORY.make(link_settings(options), Surroundings())
    return record(engine, options.output, options.seconds)


# ------------------------------------------------------------------------------ read and write

CONNECT_SECONDS = 60.0
HOPELESS = frozenset(
    {
        Reason.NOT_FOUND, Reason.BUSY, Reason.NO_PERMISSION, Reason.REFUSED, Reason.UNREACHABLE,
        Reason.SILENT, Reason.NOISE, Reason.NO_ANSWER,
    }
)  # fmt: skip
"""Waiting longer changes nothing."""


def _add_device(parser: argparse.ArgumentParser) -> None:
    add_link(parser)
    parser.add_argument(
        "address", type=int, metavar="ADDRESS", help="101 for the first Xtender, 501 for the Xcom"
    )


def configure_read(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``read``."""
    _add_device(parser)
    parser.add_argument("id", type=int, nargs="+", metavar="ID", help="numbers of datapoints")
    parser.add_argument(
        "--property",
        choices=("value", "min", "max", "level", "ram"),
        default="value",
        help="what of a parameter (default: value)",
    )
    parser.add_argument("--format", help="of a number that is in no table (default: FLOAT)")


def run_read(options: argparse.Namespace) -> int:
    """Read datapoints of one device and print one JSON object each."""
    asked = [
        {
            "id": number,
            "property": options.property,
            **({} if options.format is None else {"format": options.format}),
        }
        for number in options.id
    ]
    return asyncio.run(_execute(options, "read", asked))


def configure_write(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``write``."""
    _add_device(parser)
    parser.add_argument("id", type=int, metavar="ID", help="the number of a parameter")
    parser.add_argument("value", help="a number, true, false, a time (13:41), the name of a choice")
    parser.add_argument(
        "--persistent",
        action="store_true",
        help="into flash, which wears out: 1000 writes are guaranteed (default: into RAM)",
    )
    parser.add_argument(
        "--confirm", metavar="ID", help="the number again, for parameters that can stop the plant"
    )


def run_write(options: argparse.Namespace) -> int:
    """Write one parameter of one device; every limit and safeguard holds."""
    wish: dict[str, Value] = {
        "id": options.id,
        "value": _value(options.value),
        "persistent": options.persistent,
    }
    if options.confirm is not None:
        wish["confirm"] = options.confirm
    return asyncio.run(_execute(options, "write", [wish]))


def _value(text: str) -> Value:
    with contextlib.suppress(ValueError):
        return float(text)
    with contextlib.suppress(ValueError):
        if ":" in text:
            return time.fromisoformat(text)
    return {"true": True, "on": True, "false": False, "off": False}.get(text.lower(), text)


async def _execute(
    options: argparse.Namespace, verb: str, wishes: Sequence[Mapping[str, Value]]
) -> int:
    """Carry out commands on one device; 0: all done, 1: one was refused."""
    engine = FACTORY.make(link_settings(options), Surroundings())
    failed = False
    async with running(engine) as changed:
        tell("waiting until the plant has said who is there")
        await _connected(engine, changed)
        tell(f"connected; waiting until {options.address} has answered")
        device = next(
            (
                state.device.id
                for state in engine.snapshot.devices.values()
                if state.device.address == str(options.address)
            ),
            None,
        )
        if device is None:
            tell(f"hardwired: nobody answers at address {options.address}")
            return 1
        for wish in wishes:
            try:
                emit(await engine.execute(Command(device, name=verb, options=wish)))
            except CommandError as error:
                tell(f"hardwired: {error}")
                failed = True
    return 1 if failed else 0


async def _connected(engine: Engine, changed: asyncio.Event) -> None:
    """Wait until the plant is known. Raises :class:`LinkError` when that comes to nothing."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while not engine.snapshot.connected:
                changed.clear()
                await changed.wait()
                if engine.snapshot.reason in HOPELESS:
                    raise LinkError(engine.snapshot.reason, engine.snapshot.detail or "")
    except TimeoutError:
        reason = engine.snapshot.reason or Reason.NO_ANSWER
        why = f"nobody has answered within {CONNECT_SECONDS:.0f} s"
        raise LinkError(reason, engine.snapshot.detail or why) from None


# ------------------------------------------------------------------------------ the search

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


def configure_search(parser: argparse.ArgumentParser) -> None:
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


def run_search(options: argparse.Namespace) -> int:
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


VERBS = {
    "decode": DECODE,
    "record": Verb(
        "read a plant and write down every frame, without identities",
        configure_record,
        run_record,
    ),
    "probe": Verb(
        "find the link's settings and all devices, one JSON object a line",
        configure_probe,
        run_probe,
    ),
    "search": Verb(
        "look on the network for the Moxa of an Xcom-LAN, one JSON object a line",
        configure_search,
        run_search,
    ),
    "read": Verb("read datapoints of one device, one JSON object a line", configure_read, run_read),
    "write": Verb("write a parameter of one device, into RAM", configure_write, run_write),
    "replay": REPLAY,
    "simulate": SIMULATE,
}
