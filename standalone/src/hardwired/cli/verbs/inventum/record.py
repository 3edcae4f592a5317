"""``hardwired record inventum``: log in and write down what passes."""

from __future__ import annotations

import argparse

from hardwired_engines.factory import Surroundings
from hardwired_engines.inventum import FACTORY

from ...arguments import seconds_of
from ...recording import record
from . import PORT_HELP


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )
    parser.add_argument("--login-code", metavar="CODE", help="where it is not the usual one")
    parser.add_argument("--challenge-code", metavar="CODE", help="where it is not the usual one")


def run(options: argparse.Namespace) -> int:
    """Log in, start the data logger and write down what passes; codes are masked."""
    settings = FACTORY.read(
        {
            "link": options.port,
            "login_code": options.login_code,
            "challenge_code": options.challenge_code,
        }
    )
    return record(FACTORY.make(settings, Surroundings()), options.output, options.seconds)
