"""The devices of a plant as they were known before a restart."""

from __future__ import annotations

from ..plant.availability import Presence
from ..plant.unit import Unit, gateway_unit
from .context import SessionContext


def restore(context: SessionContext) -> None:
    """Give the plant its gateway and devices, all of them unavailable until they are heard."""
    plant, stored = context.plant, context.stored
    if stored.gateway is None:
        return
    gateway = gateway_unit(stored.gateway)
    plant.gateway = gateway
    units = [gateway]
    for (family, address), unit_id in stored.seats.items():
        identity = stored.identity(unit_id)
        if identity is not None:
            units.append(Unit(unit_id, family, address, identity))
    context.learn_nominals([(unit.family, unit.identity) for unit in units])
    for unit in units:
        unit.memory.shadows = stored.shadows(unit.id, unit.family)
        unit.presence.state = Presence.OFFLINE
        plant.units[unit.id] = unit
        plant.prepare(unit)
