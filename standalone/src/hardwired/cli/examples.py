"""What the help of each verb ends with: two lines that work as typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

OF_FAMILIES: Mapping[str, tuple[str, str]] = {
    "decode": (
        "hardwired decode truma bus.log --summary",
        "hardwired decode sunsynk dongle.pcap --timezone Europe/Amsterdam",
    ),
    "simulate": (
        "hardwired simulate truma",
        "hardwired simulate inventum --pty /tmp/ecolution interval=1 odds=1",
    ),
    "record": (
        "hardwired record truma /dev/serial0 -o bus.log --seconds 60",
        "hardwired record studer listen://0.0.0.0:4001 -o plant.jsonl",
    ),
    "replay": (
        "hardwired replay truma bus.log",
        "hardwired replay studer plant.jsonl --listen 4001",
    ),
    "probe": (
        "hardwired probe inventum /dev/ttyACM0",
        "hardwired probe studer 'sim://?xtenders=6'",
    ),
    "set": (
        "hardwired set truma /dev/serial0 target_temp_room=19 heating_mode=eco",
        "hardwired set truma /dev/serial0 target_temp_water=40",
    ),
    "read": (
        "hardwired read studer 'sim://?xtenders=6' 101 3000 3005",
        "hardwired read studer /dev/ttyUSB0 101 1138 --property max",
    ),
    "write": (
        "hardwired write studer 'sim://?xtenders=6' 101 1138 20",
        "hardwired write studer /dev/ttyUSB0 101 1107 16 --persistent",
    ),
}
"""By verb; the verbs of the bridge have theirs beside them."""


def epilog(examples: Iterable[str]) -> str:
    """Return the end of a help."""
    return "examples:" + "".join(f"\n  {line}" for line in examples)
