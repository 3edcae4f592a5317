"""Which devices there are, by the hardware number in their records (spec d.8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import ErrorList
from .inet.buffers import DeviceRecord
from .inet.rules import HeaterKind

BOX_HW_ID = 0x1F00


class DeviceKind(StrEnum):
    """What a device is."""

    PANEL = "panel"
    HEATER = "heater"
    AIRCON = "aircon"
    BOX = "box"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Model:
    """A device by its hardware number. ``letter`` goes before its software version."""

    kind: DeviceKind
    name: str
    letter: str
    heater: HeaterKind | None = None
    errors: ErrorList = ErrorList.UNKNOWN


_COMBI, _VARIO = HeaterKind.COMBI, HeaterKind.VARIO
MODELS = {
    0x0050: Model(DeviceKind.PANEL, "CP plus (Combi)", "C", _COMBI),
    0x0051: Model(DeviceKind.PANEL, "CP plus (VarioHeat)", "P", _VARIO),
    0x0300: Model(DeviceKind.HEATER, "Combi", "H", _COMBI),
    0x0301: Model(DeviceKind.HEATER, "Combi", "H", _COMBI),
    0x0310: Model(DeviceKind.HEATER, "Combi 6 D (E)", "H", _COMBI, ErrorList.COMBI_D),
    0x0320: Model(DeviceKind.HEATER, "Combi 4/6", "H", _COMBI),
    0x0340: Model(DeviceKind.HEATER, "Combi 4/6", "H", _COMBI),
    0x0620: Model(DeviceKind.HEATER, "VarioHeat comfort", "H", _VARIO),
    0x0C00: Model(DeviceKind.AIRCON, "Aventa comfort", "A"),
    0x0C01: Model(DeviceKind.AIRCON, "Saphir compact", "A"),
    0x0C04: Model(DeviceKind.AIRCON, "Aventa eco", "A"),
    0x0C05: Model(DeviceKind.AIRCON, "Saphir comfort RC", "A"),
    0x0C06: Model(DeviceKind.AIRCON, "Aventa compact", "A"),
    0x0C07: Model(DeviceKind.AIRCON, "Aventa comfort or compact plus", "A"),
    BOX_HW_ID: Model(DeviceKind.BOX, "iNet box", "T"),
}


def model_of(record: DeviceRecord) -> Model:
    """Return the model in a record; an unknown number is no error."""
    known = MODELS.get(record.hw_id)
    if known is not None:
        return known
    kind = {0x03: DeviceKind.HEATER, 0x06: DeviceKind.HEATER, 0x0C: DeviceKind.AIRCON}.get(
        record.hw_id >> 8, DeviceKind.OTHER
    )
    if record.index == 0:
        kind = DeviceKind.PANEL
    letter = {DeviceKind.PANEL: "C", DeviceKind.HEATER: "H", DeviceKind.AIRCON: "A"}.get(kind, "")
    return Model(kind, f"Truma device {record.hw_id:04X}", letter)


def software(record: DeviceRecord) -> str:
    """Return the version as the panel's INIT menu shows it, such as ``C4.03.02``."""
    first, second, third = record.sw
    return f"{model_of(record).letter}{first}.{second:02}.{third:02}"


def hardware(record: DeviceRecord) -> str:
    """Return the hardware number and revision, such as ``0340.0B``: both hexadecimal."""
    return f"{record.hw_id:04X}.{record.hw_rev:02X}"
