"""What the command line offers for Sunsynk and Deye inverters, heard on the network or asked."""

from __future__ import annotations

from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "decode": "print the reports in a capture file",
    "simulate": "play dongles (a capture file, or over TCP) or inverters on Modbus",
    "record": "record a dongle's messages, masked",
    "replay": "send what dongles reported in a capture, as they did",
    "check": "say whether a capture file holds reports, and how often",
    "probe": "say whether a file or an interface holds reports, or who answers over Modbus",
}
"""What each verb does."""
