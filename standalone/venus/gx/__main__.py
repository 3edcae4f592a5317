"""A GX to try things on: D-Bus, broker, stand-ins, the driver and devices, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from mqtt_devices.mqtt.client import Broker

from . import devices, faults
from .play import Play, Wish, check
from .processes import Missing
from .words import LANGUAGES


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--device",
        action="append",
        metavar="KIND",
        choices=sorted(devices.KINDS),
        help="a simulated device, may be given more than once (default: {}); kinds: {}".format(
            ", ".join(devices.DEFAULT), ", ".join(sorted(devices.KINDS))
        ),
    )
    parser.add_argument("--no-devices", action="store_true", help="only the GX")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        help="where the broker listens (default: any free port of 127.0.0.1); "
        "0.0.0.0:1883 lets devices on your network in, without a password",
    )
    where.add_argument(
        "--broker",
        metavar="[USER:PASSWORD@]HOST[:PORT]",
        help="use a broker that runs already, instead of starting one",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="draw what the display shows into a .svg, or a .png (by Chromium)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:SECONDS]",
        help="from the start; names: " + ", ".join(faults.FAULTS),
    )
    parser.add_argument(
        "--every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="print what the display shows that often, if it has changed (default: 10; 0: never)",
    )
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default=LANGUAGES[0],
        help="of the display and of the default devices (default: %(default)s)",
    )
    parser.add_argument("--once", action="store_true", help="end when all devices were shown")
    parser.add_argument("--bundle", type=Path, help="run the driver from this built bundle")
    parser.add_argument("--python", default=sys.executable, help="the driver's interpreter")


def wish_of(options: argparse.Namespace) -> Wish:
    """Return what the arguments mean; raises ValueError or Missing."""
    host, port = "127.0.0.1", 0
    if options.listen is not None:
        name, _, number = options.listen.rpartition(":")
        host, port = name.strip("[]") or host, _port(number)
    wish = Wish(
        () if options.no_devices else tuple(options.device or devices.DEFAULT),
        host,
        port,
        None if options.broker is None else broker_of(options.broker),
        options.picture,
        max(0.0, options.every),
        options.once,
        tuple(options.fault),
        options.python,
        options.bundle,
        options.language,
    )
    check(wish)
    return wish


def broker_of(text: str) -> Broker:
    """Return the broker that ``[USER:PASSWORD@]HOST[:PORT]`` names; raises ValueError."""
    login, _, place = text.rpartition("@")
    user, _, password = login.partition(":")
    host, colon, number = place.rpartition(":")
    if not colon:
        host, number = place, "1883"
    if not host:
        raise ValueError("a broker has a host: --broker HOST[:PORT]")
    return Broker(host.strip("[]"), _port(number), user or None, password or None)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{text!r} is no port")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run until Ctrl-C; returns the exit status."""
    try:
        wish = wish_of(options)
        ended = contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError)
        with tempfile.TemporaryDirectory(prefix="hardwired-gx-") as folder, ended:
            asyncio.run(Play(wish, Path(folder), say).run())
    except (Missing, ValueError, TimeoutError, OSError) as error:
        sys.stderr.write(f"gx: {error}\n")
        return 1
    return 0


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gx", description=__doc__)
    configure(parser)
    # A job in the background of a shell gets no Ctrl-C; both end everything in order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
