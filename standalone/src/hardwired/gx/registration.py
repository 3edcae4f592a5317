"""What of a device is registered with a driver: services, options, outputs and inputs (spec g.1).

What the driver does not know is left out, and what depends on it. :func:`plan` decides it once;
values and wishes follow the plan.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ..bridge.sink import Hub
from .driver import Driver, Feature
from .mapping import Bounds, Control, PathRow, ServiceRow, View

LONGEST_CLIENT = 60
LONGEST_NAME = 32
LONGEST_OPTION = 64
"""Of names and labels: a driver passes longer ones over."""
_POWER = frozenset({"Ac/Power", "Yield/Power"})
_COUNTER = frozenset({"Ac/Energy/Forward", "Yield/System"})


def client_id(bridge: str, link: str, device: str, earlier: Iterable[str] = ()) -> str:
    """Return a device's client id; *earlier* are the links that stand before its own."""
    found = "hw_" + "_".join(map(_word, (bridge, link, device)))
    if len(found) <= LONGEST_CLIENT and _word(link) not in map(_word, earlier):
        return found
    digest = hashlib.sha256(f"{bridge}/{link}/{device}".encode()).hexdigest()
    return f"{found[:51]}_{digest[:8]}"


def client_id_of(hub: Hub, link: str, device: str) -> str:
    """Return the client id of a device of a bridge; links may differ in a sign that ids lack."""
    earlier = list(hub.links)[: list(hub.links).index(link)]
    return client_id(hub.settings.get("id", "hardwired"), link, device, earlier)


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


@dataclass(frozen=True, slots=True)
class PlannedControl:
    """An output or input as it is registered. ``option``: of a momentary one, which it sets."""

    control: Control
    id: str
    type: str
    name: str
    labels: tuple[str, ...] = ()
    bounds: Bounds | None = None
    option: int | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class PlannedService:
    """A service as it is registered."""

    id: str
    row: ServiceRow
    name: str
    paths: tuple[PathRow, ...] = ()
    outputs: tuple[PlannedControl, ...] = ()
    inputs: tuple[PlannedControl, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is registered of one device."""

    client: str
    device_name: str
    services: tuple[PlannedService, ...]

    def service(self, ident: str) -> PlannedService | None:
        """Return a service by its id."""
        return next((one for one in self.services if one.id == ident), None)


def plan(
    client: str,
    place: tuple[str, str],
    rows: Iterable[ServiceRow],
    view: View,
    driver: Driver,
    *,
    energy: bool = False,
    skip: Iterable[str] = (),
) -> Plan | None:
    """Return what is registered; ``None``: nothing. *place* is the link's and the device's name.

    *energy* is the profile; *skip* are patterns ``LINK.DEVICE.SERVICE``, the service by its id
    or its type.
    """
    found: list[PlannedService] = []
    for row in _expanded(rows, view):
        if row.type not in driver.types or (row.energy and not energy):
            continue
        if any(_skipped(pattern, place, row) for pattern in skip):
            continue
        paths = tuple(one for one in row.paths if view.has(one.field))
        outputs = tuple(one for told in row.outputs for one in _output(told, view, driver))
        inputs: tuple[PlannedControl, ...] = ()
        if driver.has(Feature.INPUTS) and driver.has(Feature.OPTIONS):
            inputs = tuple(
                PlannedControl(told, told.id, told.type, told.name, labels=told.labels)
                for told in row.inputs
                if view.has(told.source.field)
            )
        if paths or outputs or inputs:
            name = row.name.replace("{device}", view.name)
            found.append(PlannedService(row.id, row, name, paths, outputs, inputs))
    return Plan(client, view.name, tuple(found)) if found else None


def _expanded(rows: Iterable[ServiceRow], view: View) -> Iterable[ServiceRow]:
    for row in rows:
        if not row.each:
            yield row
            continue
        for key, name in view.temperatures():
            ident = re.sub(r"[^A-Za-z0-9_]", "_", row.id.replace("{key}", key))
            paths = tuple(replace(one, field=key) for one in row.paths)
            yield replace(
                row, id=ident, name=row.name.replace("{field}", name), paths=paths, each=False
            )


def _skipped(pattern: str, place: tuple[str, str], row: ServiceRow) -> bool:
    link, _, rest = pattern.partition(".")
    device, _, service = rest.rpartition(".")
    return (
        fnmatchcase(place[0], link)
        and fnmatchcase(place[1], device)
        and (fnmatchcase(row.id, service) or fnmatchcase(row.type, service))
    )


def _output(control: Control, view: View, driver: Driver) -> Iterable[PlannedControl]:
    if not _there(control, view):
        return
    if control.type == "toggle":
        yield PlannedControl(control, control.id, "toggle", control.name)
        return
    if not driver.has(Feature.OPTIONS):
        return
    if control.type == "dropdown":
        yield from _dropdown(control, view, driver)
        return
    bounds = view.bounds(control.source.field) if control.bounds_of_field else control.bounds
    if bounds is None or not driver.has(Feature.RANGES):
        return
    measured = (
        control.measurement is not None
        and driver.has(Feature.MEASUREMENT)
        and view.has(control.measurement)
    )
    yield PlannedControl(
        control, control.id, control.type, control.name, bounds=bounds, measured=measured
    )


def _dropdown(control: Control, view: View, driver: Driver) -> Iterable[PlannedControl]:
    labels = control.labels
    if control.labels_of is not None:
        labels = tuple(view.words(*control.labels_of))
    if not labels:
        return
    if driver.has(Feature.LABELS):
        yield PlannedControl(control, control.id, "dropdown", control.name, labels=labels)
        return
    for number, label in enumerate(labels):
        yield PlannedControl(
            control,
            f"{control.id}_{number}",
            "momentary",
            f"{control.name}: {label}",
            labels=labels,
            option=number,
        )


def _there(control: Control, view: View) -> bool:
    if control.fields:
        return all(view.has(key) for key in control.fields)
    if control.source.composite:
        return view.has_composite(control.source.composite)
    return view.has(control.source.field)


# ------------------------------------------------------------------------------ messages


def status(
    found: Plan, driver: Driver, *, version: str, lwt_topic: str, connected: bool = True
) -> dict[str, Any]:
    """Return the Status that registers a plan, or takes it back."""
    if not connected:
        return {"clientId": found.client, "connected": 0}
    told: dict[str, Any] = {
        "clientId": found.client,
        "connected": 1,
        "version": version,
        "services": {one.id: one.row.type for one in found.services},
    }
    options = {one.id: facts for one in found.services if (facts := _facts(found, one, driver))}
    if options:
        told["options"] = options
    if driver.has(Feature.NOTIFY):
        told["notify"] = True
    if not driver.reference:
        told |= {"lwt_topic": lwt_topic, "lwt_value": "offline"}
    return told


def _facts(found: Plan, service: PlannedService, driver: Driver) -> dict[str, Any]:
    row = service.row
    if not driver.has(Feature.OPTIONS):
        return {"outputs": [one.id for one in service.outputs]} if service.outputs else {}
    told: dict[str, Any] = {"name": service.name[:LONGEST_OPTION]}
    if row.temperature_type is not None:
        told["defaults"] = {"TemperatureType": row.temperature_type}
    if row.phases is not None:
        told["phases"] = row.phases
    if row.position is not None:
        told["position"] = row.position
    sent = {one.path for one in service.paths}
    if driver.has(Feature.ENERGY) and sent & _POWER and not sent & _COUNTER:
        told["energy"] = True
    if row.type == "switch":
        told["outputs"] = [_described(found, one) for one in service.outputs]
        if driver.has(Feature.INPUTS):
            told["inputs"] = [_described(found, one) for one in service.inputs]
    return told


def _described(found: Plan, planned: PlannedControl) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": planned.id,
        "type": planned.type,
        "name": planned.name[:LONGEST_OPTION],
        "custom_name": planned.name[:LONGEST_NAME],
        "group": found.device_name[:LONGEST_NAME],
    }
    if planned.bounds is not None:
        told |= {
            "min": planned.bounds.minimum,
            "max": planned.bounds.maximum,
            "step": planned.bounds.step,
        }
    if planned.control.unit is not None:
        told["unit"] = planned.control.unit
    if planned.labels and planned.option is None:
        told["labels"] = [label[:LONGEST_OPTION] for label in planned.labels]
    return told


def names(found: Plan, driver: Driver) -> Mapping[str, dict[str, Any]]:
    """Return what is written once where the type's default stands, by a driver without options."""
    if driver.has(Feature.OPTIONS):
        return {}
    told: dict[str, dict[str, Any]] = {}
    for one in found.services:
        told[one.id] = {"CustomName": one.name}
        if one.row.temperature_type in (0, 1):
            told[one.id]["TemperatureType"] = one.row.temperature_type
    return told
