"""Studer: Xtender, VarioTrack, VarioString and batteries behind an Xcom-232i (spec b.2)."""

from __future__ import annotations

from ..kinds import (
    choice,
    filled,
    flag,
    mapping,
    number,
    option,
    serial_line,
    texts,
    topic_prefix,
    whole,
    wholes,
    zone_name,
)
from ..tables import Dialect, Family, Key, Table

FAMILY = Family(
    "studer",
    Table(
        (
            Key("link", filled, needed=True),
            Key("serial", serial_line),
            Key("shared_line", flag),
            Key("level", option("basic", "expert", "installer", "qsp"), "expert"),
            Key("datapoints", texts(), []),
            Key("intervals", mapping(number(1, 86400, exact=True)), {}),
            Key("multi_info", flag, True),
            Key("read_messages", flag, True),
            Key("reapply_ram", flag, False),
            Key("feed_watchdogs", flag, False),
            Key("flash_writes", flag, False),
            Key("separate_batteries", flag, False),
            Key("phases", flag, False),
            Key("battery_voltage", choice(12, 24, 48)),
            Key("ac_voltage", whole(90, 280)),
            Key("time_zone", zone_name),
            Key("source_address", whole(1, 0xFFFFFFFF), 1),
            Key("answer_timeout", number(0.5, 30), 3.0),
            Key("pause", number(0, 1)),
        )
    ),
    (
        Dialect(
            "xtender_mqtt",
            (
                Key("prefix", topic_prefix, "xtender"),
                Key("sensors", texts()),
                Key("parameters", texts()),
                Key("urgent", wholes(1, 65535), [3022]),
                Key("loop_sleep", number(0, 86400), 5.0),
                Key("xtenders", whole(1, 9), 6),
                Key("write_property", option("ram", "flash"), "ram"),
                Key("allow_guarded", flag, False),
            ),
            ("prefix",),
        ),
    ),
)
