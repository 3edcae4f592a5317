"""Where a plant is, for the verbs that talk to one."""

from __future__ import annotations

import argparse

from hardwired_engines.studer import FACTORY
from hardwired_engines.studer.settings import StuderSettings

from ...arguments import seconds_of


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
