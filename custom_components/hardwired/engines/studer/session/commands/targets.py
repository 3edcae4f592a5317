"""The datapoint that a command means, and whether the owner's level permits it."""

from __future__ import annotations

from collections.abc import Mapping

from ....engine import InvalidCommand
from ....fields import Value
from ...datapoints.datapoint import Datapoint, by_id, by_key
from ...plant.plant import Plant
from ...plant.unit import Unit
from ...scom.families import FAMILIES, Family
from ..context import SessionContext
from .refusals import title


def point_named(unit: Unit, options: Mapping[str, Value]) -> Datapoint:
    """Return the datapoint that ``id`` or ``key`` names. Raises :class:`InvalidCommand`."""
    number, key = options.get("id"), options.get("key")
    point: Datapoint | None = None
    if isinstance(number, (int, str)) and str(number).isdecimal():
        point = by_id(unit.family, int(number))
    elif isinstance(key, str):
        point = by_key(unit.family, key)
    if point is None:
        kind = FAMILIES[unit.family].name
        wanted = str(number if key is None else key)
        raise InvalidCommand(key="studer_no_datapoint", kind=kind, datapoint=wanted)
    return point


def permit(context: SessionContext, point: Datapoint) -> None:
    """Raise :class:`InvalidCommand` when a datapoint is above the level the owner has chosen."""
    if not context.plant.permits(point):
        raise InvalidCommand(
            key="studer_above_level",
            datapoint=title(point),
            level=point.level.value,
            chosen=context.settings.level.value,
        )


def gateway_point(plant: Plant, number: int) -> tuple[Unit, Datapoint]:
    """Return the gateway and one of its datapoints."""
    gateway, point = plant.gateway, by_id(Family.RCC, number)
    assert gateway is not None
    assert point is not None
    return gateway, point
