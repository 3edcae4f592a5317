"""What sunsniff announced of an inverter (spec d.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardwired_engines.engine import DeviceState

from ..adopting import Old
from .config import FieldSet
from .mqtt import published_fields, unique_id


def old(state: DeviceState, settings: Mapping[str, Any], prefix: str) -> Old | None:
    """Return its sensors; a device without serial was never announced."""
    serial = state.device.serial_number or state.device.id
    told = settings.get("fields", FieldSet.COMPATIBLE.value)
    keys = published_fields(modbus=settings.get("source") == "modbus", fields=FieldSet(told))
    shown = [key for key in keys if key in state.values]
    if not shown:
        return None
    ids = {key: unique_id(serial, key) for key in shown}
    return Old(
        {key: (ident, f"sensor.{ident}") for key, ident in ids.items()},
        (serial,),
        tuple(f"{prefix}/sensor/{ident}/config" for ident in ids.values()),
    )
