"""The panels and devices that can be simulated (spec i.2).

C3.00.01 and C4.01.01 with their devices are taken from recordings, C4.03.02 from a device record
quoted in an issue; of VarioHeat and Alde only fragments are known, and what is invented is marked
below.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """Which family of status buffers the panel speaks."""

    TRUMA = "truma"
    ALDE = "alde"


class HeaterKind(StrEnum):
    """What the heating modes mean."""

    COMBI = "combi"
    VARIOHEAT = "varioheat"
    ALDE = "alde"


class Schedule(StrEnum):
    """Which unconditional frames the panel polls (spec c.1)."""

    LEGACY = "legacy"
    """03 C4 85 06 47 49 D6 97 D8 3C 7D."""
    MODERN = "modern"
    """20 61 E2 D8 3C 7D."""
    BARE = "bare"
    """D8 3C 7D: nothing is known of what else an Alde panel sends."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A device as the panel reports it in buffer 0B (spec d.8)."""

    hw_id: int
    hw_rev: int
    software: tuple[int, int, int]
    build: int = 0

    def payload(self, count: int, index: int, *, online: bool = True) -> bytes:
        """Return the 12 bytes of the record."""
        head = struct.pack("<4BHB", count, index, online, 0, self.hw_id, self.hw_rev)
        return head + bytes(self.software) + struct.pack("<H", self.build)


@dataclass(frozen=True, slots=True)
class NodeAnswers:
    """What a node on the bus answers on 7D (spec c.3, c.5, d.11)."""

    nad: int
    product: bytes
    """Supplier and function identifier, four bytes as on the wire: ``17 46 10 03``."""
    by_identifier: tuple[tuple[int, bytes], ...] = ()
    """Answers to B2 by identifier, the bytes after F2."""
    broadcast: bool = False
    """Whether the panel asks this node over 7F (C4.01.01) or over its own address."""

    def identifier(self, number: int) -> bytes | None:
        """Return what follows F2, or ``None``: the node is silent."""
        if number == 0:
            return self.product + b"\0"
        return dict(self.by_identifier).get(number)


@dataclass(frozen=True, slots=True)
class Personality:
    """One panel with its devices."""

    key: str
    title: str
    panel: Unit
    heater: Unit
    heater_node: NodeAnswers
    kind: HeaterKind
    schedule: Schedule
    tail: bytes
    slot: float
    """Seconds from header to header."""
    aircon: Unit | None = None
    aircon_node: NodeAnswers | None = None
    dialect: Dialect = Dialect.TRUMA
    electric: bool = True
    """Whether the heater has an electric element."""
    short_state_request: bool = True
    """B8 as ``04 B8 product state`` (new electronics) or ``06 B8 product 00 00 00``."""
    error_format: int = 1
    """First byte of the answer to identifier 23 (spec d.10)."""
    presence_checks: bool = False
    """Whether the panel asks for product ids in every cycle (C4.01.01)."""
    push_interval: float = 58.6
    """Seconds between two pushes of the clock."""
    fuel_limit: float = 6000.0

    @property
    def modes(self) -> tuple[int, ...]:
        """Heating modes that the panel takes, without off (spec e, R3)."""
        return (2, 3, 11) if self.kind is HeaterKind.VARIOHEAT else (1, 10, 11)

    @property
    def has_water(self) -> bool:
        """Whether the heater has a boiler."""
        return self.kind is not HeaterKind.VARIOHEAT


_C3 = Personality(
    key="c3-combi6de",
    title="CP Plus C3.00.01, Combi 6 DE",
    panel=Unit(0x0050, 0, (3, 0, 1), 3151),
    heater=Unit(0x0310, 2, (6, 0, 2)),
    heater_node=NodeAnswers(1, bytes.fromhex("17461003")),
    kind=HeaterKind.COMBI,
    schedule=Schedule.LEGACY,
    tail=b"\xff\xff\xff",
    slot=0.0497,
)

_C4_AIRCON = Personality(
    key="c4-combi-aventa",
    title="CP Plus C4.01.01, Combi (older electronics), Aventa comfort",
    panel=Unit(0x0050, 0, (4, 1, 1), 3404),
    heater=Unit(0x0301, 0, (5, 0, 0)),
    heater_node=NodeAnswers(
        1,
        bytes.fromhex("17460103"),
        ((0x20, bytes.fromhex("050000")), (0x22, bytes.fromhex("030000"))),
        broadcast=True,
    ),
    aircon=Unit(0x0C00, 0, (0, 37, 45)),
    aircon_node=NodeAnswers(
        2,
        bytes.fromhex("1746000c"),
        (
            (0x20, bytes.fromhex("00252d")),
            (0x22, bytes.fromhex("030000")),
            (0x23, bytes.fromhex("01000000ff")),
        ),
        broadcast=True,
    ),
    kind=HeaterKind.COMBI,
    schedule=Schedule.LEGACY,
    tail=b"\0\0\0",
    slot=0.0505,
    short_state_request=False,
    presence_checks=True,
)

_C4_COMBI4 = Personality(
    key="c4-combi4",
    title="CP Plus C4.03.02, Combi 4 gas",
    panel=Unit(0x0050, 0, (4, 3, 2), 4269),
    heater=Unit(0x0340, 34, (2, 0, 1)),
    heater_node=NodeAnswers(1, bytes.fromhex("17464003")),
    kind=HeaterKind.COMBI,
    schedule=Schedule.MODERN,
    tail=b"\xff\xff\xff",
    slot=0.0497,
    electric=False,
    error_format=2,
    fuel_limit=4000.0,
)

# Invented: the records' versions, the modern schedule, the electric element's rating.
_VARIOHEAT = Personality(
    key="varioheat",
    title="CP Plus for VarioHeat, VarioHeat comfort",
    panel=Unit(0x0051, 0, (4, 1, 0), 3404),
    heater=Unit(0x0620, 0, (1, 4, 0)),
    heater_node=NodeAnswers(1, bytes.fromhex("17462006")),
    kind=HeaterKind.VARIOHEAT,
    schedule=Schedule.MODERN,
    tail=b"\xff\xff\xff",
    slot=0.0497,
    error_format=2,
    fuel_limit=3700.0,
)

# Invented: the record's versions, the schedule, that heater and panel are one node.
_ALDE = Personality(
    key="alde",
    title="Alde panel 3020 113, Compact 3020",
    panel=Unit(0, 0, (2, 14, 0)),
    heater=Unit(0, 0, (2, 14, 0)),
    heater_node=NodeAnswers(1, bytes.fromhex("de410100")),
    kind=HeaterKind.ALDE,
    schedule=Schedule.BARE,
    tail=b"\xff\xff\xff",
    slot=0.0497,
    dialect=Dialect.ALDE,
    push_interval=120.0,
    fuel_limit=5500.0,
)

PERSONALITIES = {
    personality.key: personality for personality in (_C3, _C4_AIRCON, _C4_COMBI4, _VARIOHEAT, _ALDE)
}
"""Every personality by its key."""

DEFAULT_PERSONALITY = _C4_AIRCON.key
