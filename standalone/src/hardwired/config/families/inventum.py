"""Inventum: a ventilation heat pump with a USB terminal (spec b.2)."""

from __future__ import annotations

from ..kinds import filled, flag, minutes, secret, topic_prefix
from ..tables import Dialect, Family, Key, Table

FAMILY = Family(
    "inventum",
    Table(
        (
            Key("link", filled, needed=True),
            Key("login_code", secret, "3845"),
            Key("challenge_code", secret, "19"),
            Key("boost_duration", minutes(1, 1440), 20),
            Key("other_positions", flag, False),
        )
    ),
    (
        Dialect(
            "inventumusb",
            (
                Key("topic", topic_prefix, "ventilation/inventum"),
                Key("allow_quit", flag, True),
            ),
            ("topic",),
            adoptable=False,
        ),
    ),
)
