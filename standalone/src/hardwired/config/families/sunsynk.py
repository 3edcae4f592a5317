"""Sunsynk and Deye: an inverter's reports, overheard or asked for (spec b.2)."""

from __future__ import annotations

from ..kinds import (
    any_text,
    duration,
    filled,
    flag,
    host_port,
    number,
    option,
    serial_line,
    texts,
    whole,
    wholes,
    zone_name,
)
from ..tables import Dialect, Family, Key, Needs, Table

_NEEDED = (
    ("live", ("time_zone", "interface")),
    ("file", ("time_zone", "path")),
    ("relay", ("time_zone", "server")),
    ("modbus", ("link",)),
    ("sim", ("time_zone",)),
)

FAMILY = Family(
    "sunsynk",
    Table(
        (
            Key("source", option(*(source for source, _ in _NEEDED)), needed=True),
            Key("time_zone", zone_name),
            Key("interface", filled),
            Key("path", filled),
            Key("filter", any_text),
            Key("promiscuous", flag, True),
            Key("snaplen", whole(64, 262_144), 65535),
            Key("listen", host_port("0.0.0.0:51100"), "0.0.0.0:51100"),
            Key("server", filled),
            Key("peers", texts(), added=True),
            Key("link", filled),
            Key("serial", serial_line, "9600 8N1"),
            Key("timeout", duration(0.1, 60), 3.0),
            Key("retries", whole(0, 100), 3),
            Key("unit", whole(1, 247), 1),
            Key("units", wholes(1, 247), added=True),
            Key("framing", option("auto", "rtu", "tcp"), added=True),
            Key("interval", duration(1, 86400)),
            Key("write_enabled", flag, False),
            Key("max_block", whole(1, 125), 66),
            Key("expire_after", duration(1, 604_800)),
            Key("grid_power_by_ten", texts(), []),
            Key("inverters", whole(1, 64), 1),
            Key("layout", filled, "302"),
            Key("warp", number(0.001, 100_000), 1.0),
            Key("seed", whole(0, 2**31 - 1), 1),
        ),
        tuple(
            Needs("source", source, names, f'source = "{source}" needs it')
            for source, names in _NEEDED
        ),
    ),
    (
        Dialect(
            "sunsniff",
            (
                Key("fields", option("compatible", "all"), "compatible"),
                Key("availability", flag, True),
            ),
            (),
        ),
    ),
)
