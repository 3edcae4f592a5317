"""What the vectors' JSON means: fields, devices, states, composites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hardwired_engines.composite import Abilities, Component, Composite, Part, Wish
from hardwired_engines.engine import Device, DeviceState
from hardwired_engines.fields import (
    Accumulation,
    Catalogue,
    Field,
    Offer,
    Quantity,
    Role,
    Value,
)


def field_of(told: Mapping[str, Any]) -> Field:
    """Return a field from its members."""
    members = {key: value for key, value in told.items() if key != "id_suffix"}
    for key, kind in {
        "quantity": Quantity,
        "accumulation": Accumulation,
        "role": Role,
        "offer": Offer,
        "options": tuple,
    }.items():
        if key in members:
            members[key] = kind(members[key])
    return Field(**members)


def fields_of(told: Sequence[Mapping[str, Any]], kind: str = "kind") -> Catalogue:
    """Return a catalogue."""
    return Catalogue(kind, map(field_of, told))


class ToldComposite(Composite):
    """A composite as a vector describes it; what its roles show is given, too."""

    def __init__(self, told: Mapping[str, Any], roles: Mapping[str, Any] | None) -> None:
        self.component = Component(told["component"])
        self.key = told["key"]
        self.name = told["name"]
        self.fields = {
            Part(part): role["field"] for part, role in told["roles"].items() if "field" in role
        }
        self._parts = [Part(part) for part, role in told["roles"].items() if role.get("state", 1)]
        self._about = told["about"]
        self._roles = roles

    def exists(self, state: DeviceState) -> bool:
        return True

    def about(self, state: DeviceState) -> Abilities:
        about = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in self._about.items()
        }
        return Abilities(**about)

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        return {
            part: state.values.get(self.fields[part])
            if part in self.fields
            else (self._roles or {}).get(part.value)
            for part in self._parts
        }

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        raise NotImplementedError


def device_of(told: Mapping[str, Any]) -> Device:
    """Return a device."""
    return Device(**told)


def state_of(
    device: Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
    details: Sequence[str] = (),
) -> DeviceState:
    """Return a device's state; *details* are the keys that have some."""
    found = device_of(device)
    return DeviceState(
        found,
        values,
        fields=fields_of(fields, found.kind),
        details={key: {"detail": 1} for key in details},
    )
