"""``hardwired simulate truma``: a CP Plus with heater and air conditioner on a serial port."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from hardwired_engines.truma.simulator.faults import FAULT_KINDS
from hardwired_engines.truma.simulator.personalities import (
    DEFAULT_PERSONALITY,
    PERSONALITIES,
    Schedule,
)
from hardwired_engines.truma.simulator.runner import foreground
from hardwired_engines.truma.simulator.world import BREAKS

from ...arguments import reading_arguments, terminal_of
from ...output import STOPPED, tell

DEFAULT_LINK = Path("/tmp/hardwired-truma")  # noqa: S108 - a name that is easy to type


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--pty",
        type=terminal_of,
        default=DEFAULT_LINK,
        metavar="PATH",
        help=f"make a terminal with this name (default: {DEFAULT_LINK})",
    )
    where.add_argument(
        "--port", metavar="DEVICE", help="use a serial port: one end of a null modem cable"
    )
    who = parser.add_argument_group("who is played")
    who.add_argument(
        "--personality",
        choices=PERSONALITIES,
        default=DEFAULT_PERSONALITY,
        help="; ".join(f"{one.key}: {one.title}" for one in PERSONALITIES.values()),
    )
    who.add_argument(
        "--schedule", choices=[one.value for one in Schedule], help="another panel's schedule"
    )
    who.add_argument("--unregistered", action="store_true", help="until PR SET: order pr_set")
    who.add_argument("--memory", metavar="FILE", help="where the panel keeps its registration")
    who.add_argument("--no-standby", action="store_true", help="the bus never sleeps")
    who.add_argument("--clock", metavar="HH:MM", help="the panel's clock (default: 02:18)")
    how = parser.add_argument_group("how it is played")
    how.add_argument("--time-scale", metavar="N", help="panel and vehicle live N times faster")
    how.add_argument("--water", metavar="CELSIUS", help="how warm it is at the start (default: 12)")
    how.add_argument("--slot-ms", metavar="MS", help="from header to header, 10 to 100")
    how.add_argument("--seed", metavar="S", help="of all that happens by chance")
    how.add_argument("--break", dest="brk", choices=BREAKS, help="break bytes of a header")
    how.add_argument("--no-echo", action="store_true", help="do not return what the box sends")
    how.add_argument("--paced", action="store_true", help="bytes one by one, as on the wire")
    how.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE][*COUNT]",
        help="may be given more than once; names: " + ", ".join(FAULT_KINDS),
    )
    how.add_argument("--log", metavar="FILE", help="write the bus down as a recording")
    how.add_argument("--control", metavar="SOCKET", help="a Unix socket that takes orders, too")


def query_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the options as the query of a ``sim://`` URL."""
    query = {
        "personality": options.personality,
        "schedule": options.schedule,
        "registered": "off" if options.unregistered else None,
        "memory": options.memory,
        "standby": "off" if options.no_standby else None,
        "clock": options.clock,
        "water": options.water,
        "time_scale": options.time_scale,
        "slot_ms": options.slot_ms,
        "seed": options.seed,
        "break": options.brk,
        "echo": "off" if options.no_echo else None,
        "paced": "on" if options.paced else None,
        "faults": ",".join(options.fault) or None,
        "log": options.log,
        "control": options.control,
        "port": options.port,
        "link": str(options.pty.absolute()),
    }
    return {name: value for name, value in query.items() if value is not None}


def run(options: argparse.Namespace) -> int:
    """Play until interrupted; orders come on standard input, JSON lines go to standard output."""
    query = query_of(options)

    def ready() -> None:
        tell(f"open {query.get('port') or query['link']} with the helper or Home Assistant")
        tell("type orders such as: room 21 high - or: help; Ctrl-C ends")

    try:
        with reading_arguments():
            stopped = foreground(query, ready)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdout.flush()
        return STOPPED
    return STOPPED if stopped else 0
