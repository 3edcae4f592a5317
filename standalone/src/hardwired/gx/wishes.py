"""What comes back from a GX's screen: a path that was set, and what it wishes (spec g.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..mqtt.values import number_text
from .mapping import WishRow
from .registration import Plan, PlannedControl, PlannedService

ECHO = 2.0
"""Seconds within which a value that we have sent ourselves is no wish."""
OUTPUT = "SwitchableOutput"


@dataclass(frozen=True, slots=True)
class Wished:
    """What a path that was set wishes: roles and fields as texts, or fields with their values."""

    service: PlannedService
    path: str
    rows: tuple[WishRow, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedSet:
    """A path was set to what it does not take: the old value is written back."""

    service: PlannedService
    path: str
    text: str


def read_set(
    plan: Plan,
    told: Mapping[str, Any],
    sent: Mapping[tuple[str, str], tuple[Any, float]],
    now: float,
) -> Wished | RefusedSet | None:
    """Return what a ``Set`` message wishes; ``None``: it is none of ours, or our echo."""
    ident, path, value = told.get("service"), told.get("path"), told.get("value")
    if not isinstance(ident, str) or not isinstance(path, str) or "value" not in told:
        return None
    service = plan.service(ident)
    if service is None:
        return None
    match path.split("/"):
        case [head, name, leaf] if head == OUTPUT:
            planned = next((one for one in service.outputs if one.id == name), None)
        case _:
            return None
    if planned is None:
        return None
    last = sent.get((ident, path))
    if last is not None and last[0] == value and now - last[1] <= ECHO:
        return None
    return _meant(service, planned, path, leaf, value)


def _meant(
    service: PlannedService, one: PlannedControl, path: str, leaf: str, value: Any
) -> Wished | RefusedSet | None:
    match one.type, leaf:
        case "toggle", "State":
            return _toggle(service, one, path, _number(value))
        case "momentary", "State":
            return _press(service, one, path, _number(value))
        case "dropdown", "Dimming":
            number = _number(value)
            whole = None if number is None or not number.is_integer() else int(number)
            return _option(service, one, path, whole)
        case (("setpoint" | "number"), "Dimming"):
            return _set_number(service, one, path, _number(value))
        case _:
            return None


def _toggle(
    service: PlannedService, one: PlannedControl, path: str, state: float | None
) -> Wished | RefusedSet:
    if state is None or state not in one.control.wish_by_state:
        return RefusedSet(service, path, f"{one.name} takes 0 or 1")
    return Wished(service, path, one.control.wish_by_state[int(state)])


def _press(
    service: PlannedService, one: PlannedControl, path: str, state: float | None
) -> Wished | RefusedSet | None:
    if state == 0:
        return None
    if state != 1:
        return RefusedSet(service, path, f"{one.name} is triggered by 1")
    return _option(service, one, path, one.option)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _option(
    service: PlannedService, one: PlannedControl, path: str, number: int | None
) -> Wished | RefusedSet:
    if number is None or not 0 <= number < len(one.labels):
        return RefusedSet(service, path, f"{one.name} has no option {number}")
    control = one.control
    if control.pairs:
        return Wished(
            service,
            path,
            values=dict(zip(control.fields, control.pairs[number], strict=True)),
        )
    return Wished(service, path, _filled(control.wish, one.labels[number]))


def _set_number(
    service: PlannedService, one: PlannedControl, path: str, number: float | None
) -> Wished | RefusedSet:
    bounds = one.bounds
    if bounds is None or number is None or not bounds.minimum <= number <= bounds.maximum:
        limits = "" if bounds is None else f" from {bounds.minimum:g} to {bounds.maximum:g}"
        return RefusedSet(service, path, f"{one.name} takes a number{limits}")
    return Wished(service, path, _filled(one.control.wish, number_text(number)))


def _filled(rows: tuple[WishRow, ...], text: str) -> tuple[WishRow, ...]:
    return tuple((composite, key, told.replace("{}", text)) for composite, key, told in rows)
