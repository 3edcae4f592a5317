"""One service on the GX as an export makes it: its options, its values, what can be set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .home import EntityState, Json
from .outcome import Control, WriteBack

LONGEST_NAME = 32
LONGEST_LABEL = 64
MOST_LABELS = 64
NO_LABEL = "–"
MOST_CHANNELS = 32

ON, OFF, DISABLED = 9, 0, 32
"""What ``Status`` of an output says: powered and on, off, greyed out (spec D.3.2)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One output or input. ``rows`` and ``controls`` are by the last part of the path."""

    output: bool
    option: Mapping[str, Any]
    rows: Mapping[str, Json]
    controls: Mapping[str, Control] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its id within its kind."""
        return str(self.option["id"])

    def path(self, row: str) -> str:
        """Return the path of a row."""
        return f"{'SwitchableOutput' if self.output else 'GenericInput'}/{self.id}/{row}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service of an export. ``values`` and ``controls`` are by path without leading slash."""

    id: str
    type: str
    options: Mapping[str, Any]
    values: Mapping[str, Json]
    controls: Mapping[str, Control] = field(default_factory=dict)


def caption(ident: str, name: str, group: str) -> dict[str, Any]:
    """Return what an output or input says of itself first."""
    return {
        "id": ident,
        "name": name[:LONGEST_NAME],
        "custom_name": name[:LONGEST_NAME],
        "group": group[:LONGEST_NAME],
    }


def labels(words: Iterable[str]) -> list[str]:
    """Return the texts of a list as the GX takes them; it takes no list with an empty one."""
    return [word[:LONGEST_LABEL] or NO_LABEL for word in words][:MOST_LABELS]


def output(
    usable: bool,
    option: Mapping[str, Any],
    rows: Mapping[str, Json],
    controls: Mapping[str, Control],
) -> Channel:
    """Return an output. One that can't be used keeps its value and is greyed out (spec H.5).

    A row without a value is left out; ``Measurement`` is shown as invalid.
    """
    if not usable:
        return Channel(True, option, {"Status": DISABLED}, dict.fromkeys(controls, _refuse))
    told = {row: value for row, value in rows.items() if value is not None or row == "Measurement"}
    status = OFF if told.get("State") == 0 else ON
    return Channel(True, option, {**told, "Status": status}, controls)


def value_input(state: EntityState, option: Mapping[str, Any], value: Json) -> Channel:
    """Return an input. What is not known is invalid; of a list only the status says so."""
    if value is not None:
        return Channel(False, option, {"Value": value, "Status": 0})
    rows = {"Status": 1} if option["type"] == "discrete" else {"Value": None, "Status": 1}
    return Channel(False, option, rows)


def _refuse(_value: Json) -> WriteBack:
    return WriteBack()


def switch_service(
    ident: str, name: str, channels: Iterable[Channel], *, inputs: bool = False
) -> Service:
    """Return a service of outputs and inputs. *inputs*: both lists are told, empty ones too."""
    outputs = [channel for channel in channels if channel.output][:MOST_CHANNELS]
    others = [channel for channel in channels if not channel.output][:MOST_CHANNELS]
    options: dict[str, Any] = {"name": name, "auto_status": True}
    options["outputs"] = [dict(channel.option) for channel in outputs]
    if inputs:
        options["inputs"] = [dict(channel.option) for channel in others]
    shown = [*outputs, *others]
    return Service(
        ident,
        "switch",
        options,
        {channel.path(row): value for channel in shown for row, value in channel.rows.items()},
        {
            channel.path(row): control
            for channel in shown
            for row, control in channel.controls.items()
        },
    )
