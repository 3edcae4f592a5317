"""What the command line offers for Inventum Ecolution ventilation heat pumps."""

from __future__ import annotations

from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "decode": "print screens, columns and rows of a recording",
    "probe": "wake a terminal and say whether it is an Ecolution's",
    "record": "log in and write down what passes, codes masked",
    "replay": "play a recorded terminal: what it said, to the keys that were pressed",
    "simulate": "play an Ecolution's terminal; faults by --fault or as JSON lines on stdin",
}
"""What each verb does."""

PORT_HELP = "a serial port, socket://HOST:PORT, rfc2217://HOST:PORT, esphome://..., sim://?odds=1"
