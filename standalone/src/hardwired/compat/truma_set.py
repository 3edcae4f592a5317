"""From the raw wishes of inetbox's set messages to the engine's commands (spec truma g.4, e)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time

from hardwired_engines.engine import Command
from hardwired_engines.fields import Value
from hardwired_engines.truma.inet.buffers import Group
from hardwired_engines.truma.installation import (
    AIRCON,
    AIRCON_MODES,
    ENERGIES,
    HEATER,
    HEATING_MODES,
    PANEL,
    VENTS,
    WATER_MODES,
)

from .inetbox.texts import ZERO_CELSIUS

Raw = Mapping[str, int]

_OPTIONS: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "heating_mode": ("heating_mode", {int(code): text for code, text in HEATING_MODES.items()}),
    "target_temp_water": ("water_mode", {int(code): text for code, text in WATER_MODES.items()}),
    "energy_mix": ("energy_mix", {int(code): text for code, text in ENERGIES.items()}),
    "mode": ("mode", {int(code): text for code, text in AIRCON_MODES.items()}),
    "vent": ("vent", {int(code): text for code, text in VENTS.items()}),
}
_CLOCK = ("hours", "minutes", "seconds")


def commands(
    wishes: Mapping[Group, Raw], baselines: Mapping[Group, Raw]
) -> Iterator[Command | str]:
    """Yield a command for each group, or in words why there is none."""
    for group, wish in wishes.items():
        match group:
            case Group.HEATER:
                yield from _settings(HEATER, wish)
            case Group.AC_MANUAL:
                yield from _settings(AIRCON, wish)
            case Group.CLOCK:
                yield from _clock(wish, baselines.get(group, {}))
            case Group.TIMER:
                yield _upload(group, wish)


def _settings(device: str, wish: Raw) -> Iterator[Command | str]:
    values: dict[str, Value] = {}
    for name, code in wish.items():
        if name == "on":
            continue
        if name in ("target_temp_room", "target_temp"):
            values[name] = (code - ZERO_CELSIUS) / 10 if code else 0.0
        elif name == "el_power_level":
            values[name] = str(code)
        else:
            key, options = _OPTIONS[name]
            if code not in options:
                yield f"{name} does not take {code} on this panel"
                continue
            values[key] = options[code]
    if values.get("target_temp_room") == 0:
        # Off is said by the mode; the set-point goes with it.
        values.pop("target_temp_room")
        values["heating_mode"] = "off"
    if values:
        yield Command(device, values)


def _upload(group: Group, wish: Raw) -> Command:
    return Command(PANEL, dict(wish), name="upload", options={"group": group.value})


def _clock(wish: Raw, baseline: Raw) -> Iterator[Command | str]:
    if any(name not in _CLOCK for name in wish):
        yield _upload(Group.CLOCK, wish)
    elif wish:
        hours, minutes, seconds = (wish.get(name, baseline.get(name, 0)) for name in _CLOCK)
        try:
            moment = time(hours, minutes, seconds)
        except ValueError:
            yield "the panel's clock shows no time yet: set wall_time as a whole"
            return
        yield Command(PANEL, name="sync_clock", options={"time": moment})


def sync_clock() -> Command:
    """Return the command that sets the panel's clock from the system's."""
    return Command(PANEL, name="sync_clock")
