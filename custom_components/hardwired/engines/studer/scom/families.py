"""The families of devices on the bus of a plant, and where they answer (spec b.8, c.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from . import family_table
from .frame import ObjectType


class Family(StrEnum):
    """A kind of device on the bus of the plant."""

    XT = "xt"
    VT = "vt"
    VS = "vs"
    BMS = "bms"
    BSP = "bsp"
    RCC = "rcc"


@dataclass(frozen=True, slots=True)
class FamilyInfo:
    """Where the devices of a family are found and how they are known."""

    family: Family
    name: str
    multicast: int | None
    first: int
    last: int
    parameters: tuple[int, int]
    infos: tuple[int, int] | None
    probe: int
    probe_type: ObjectType
    fid: tuple[int, int] | None
    software: tuple[int, int] | None

    @property
    def addresses(self) -> range:
        """The addresses of single devices."""
        return range(self.first, self.last + 1)


FAMILIES: dict[Family, FamilyInfo] = {
    Family(row[0]): FamilyInfo(
        Family(row[0]),
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        row[7],
        ObjectType(row[8]),
        row[9],
        row[10],
    )
    for row in family_table.FAMILIES
}


PHASES: dict[int, str] = {191: "L1", 192: "L2", 193: "L3"}
"""Virtual addresses: all Xtenders of a phase; answers come from the phase's master."""


def families_at(address: int) -> tuple[Family, ...]:
    """Return the families that may answer at an address, virtual ones and multicast included."""
    found = tuple(
        info.family
        for info in FAMILIES.values()
        if address in info.addresses or address == info.multicast
    )
    return found or ((Family.XT,) if address in PHASES else ())
