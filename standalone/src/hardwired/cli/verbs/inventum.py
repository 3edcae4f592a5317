"""What the command line offers for Inventum Ecolution ventilation heat pumps."""

from __future__ import annotations

import argparse
import asyncio

from hardwired_engines.factory import ProbeResult, Surroundings
from hardwired_engines.inventum import FACTORY
from hardwired_engines.inventum.recording import Decoder

from ..advice import with_advice
from ..arguments import seconds_of
from ..output import emit, read_whole, tell
from ..recording import record
from . import NOTHING_HEARD, Verb
from ._inventum_recording import MEANINGFUL, NOTHING_KNOWN, heard_in
from ._inventum_replay import REPLAY
from ._inventum_simulate import SIMULATE

PORT_HELP = "a serial port, socket://HOST:PORT, rfc2217://HOST:PORT, esphome://..., sim://?odds=1"


# ------------------------------------------------------------------------------ decode


def configure_decode(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``decode``."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, or the raw bytes of a terminal; - is stdin"
    )


def decode(options: argparse.Namespace) -> int:
    """Print the screens, the columns and the rows of a recording."""
    raw = read_whole(options.file)
    decoder, found = Decoder(), False
    for chunk in heard_in(raw):
        for said in decoder.receive_data(chunk):
            emit(said)
            found = found or said["event"] in MEANINGFUL
    if not found:
        tell(NOTHING_KNOWN)
        return 1
    return 0


# ------------------------------------------------------------------------------ probe


def configure_probe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``probe``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=FACTORY.probe_seconds,
        metavar="N",
        help=f"how long to try at most (default: {FACTORY.probe_seconds:.0f})",
    )


def run_probe(options: argparse.Namespace) -> int:
    """Wake the terminal; 0: it is one of these, 3: nothing that is known. Types no code."""
    last = [-1]

    def progress(result: ProbeResult) -> None:
        if (heard := result.counters["bytes"]) != last[0]:
            last[0] = heard
            tell(f"{heard} bytes, screen {result.counters['screen']}")

    settings = FACTORY.read({"link": options.port})
    result = asyncio.run(
        FACTORY.probe(settings, Surroundings(), seconds=options.seconds, on_progress=progress)
    )
    kinds = [device.kind for device in result.devices]
    emit({"reason": result.reason, "devices": kinds, **result.counters})
    if result.reason is None:
        return 0
    tell(f"hardwired: {with_advice(result.reason.value, result.reason)}")
    return NOTHING_HEARD


# ------------------------------------------------------------------------------ record


def configure_record(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``record``."""
    parser.add_argument("port", metavar="PORT", help=PORT_HELP)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument(
        "--seconds", type=seconds_of, metavar="N", help="stop after so long (default: at Ctrl-C)"
    )
    parser.add_argument("--login-code", metavar="CODE", help="where it is not the usual one")
    parser.add_argument("--challenge-code", metavar="CODE", help="where it is not the usual one")


def run_record(options: argparse.Namespace) -> int:
    """Log in, start the data logger and write down what passes; codes are masked."""
    settings = FACTORY.read(
        {
            "link": options.port,
            "login_code": options.login_code,
            "challenge_code": options.challenge_code,
        }
    )
    return record(FACTORY.make(settings, Surroundings()), options.output, options.seconds)


VERBS = {
    "decode": Verb("print screens, columns and rows of a recording", configure_decode, decode),
    "probe": Verb(
        "wake a terminal and say whether it is an Ecolution's", configure_probe, run_probe
    ),
    "record": Verb("log in and write down what passes, codes masked", configure_record, run_record),
    "replay": REPLAY,
    "simulate": SIMULATE,
}
