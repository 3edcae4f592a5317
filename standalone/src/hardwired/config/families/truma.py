"""Truma: a heater and air conditioner on a LIN bus (spec b.2)."""

from __future__ import annotations

from ..kinds import filled, flag, number, option, topic, topic_prefix, zone_name
from ..tables import Dialect, Family, Key, Table

FAMILY = Family(
    "truma",
    Table(
        (
            Key("link", filled, needed=True),
            Key("observer", flag, False),
            Key("identity", option("box", "emulator"), "box"),
            Key("clock_sync", flag, False),
            Key("trust_clock", flag, False, added=True),
            Key("time_zone", zone_name),
            Key("default_heating_mode", option("eco", "night", "auto", "high", "boost")),
            Key("heater", option("combi", "vario")),
        )
    ),
    (
        Dialect(
            "inetbox.py",
            (
                Key("data_topic", topic, "service/truma/"),
                Key("language", option("none", "en", "de"), "none"),
                Key("default_target_temp_room", number(5, 30), 5.0),
                Key("default_heating_mode", filled, "eco"),
                Key("updates_buffer_time", number(0, 3600), 1.0),
                Key("set_time", flag, False),
                Key("ha_optimistic", flag, False),
                Key("extended_texts", flag, False),
            ),
            ("data_topic",),
        ),
        Dialect("inetbox2mqtt", (Key("topic", topic_prefix, "truma"),), ("topic",)),
    ),
)
