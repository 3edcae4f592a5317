"""The fan: position and boost as one control (spec h.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..composite import Abilities, Component, Composite, Part, Wish
from ..engine import DeviceState, InvalidCommand
from ..fields import Value
from .catalogue import POSITIONS

AUTO, BOOST = "auto", "boost"
HIGHEST = len(POSITIONS) - 1


class Fan(Composite):
    """Three steps, two presets. It can't be switched off: the unit always ventilates."""

    component = Component.FAN
    key = "fan"
    name = "Fan"
    main = True
    covers = frozenset({"fan_position"})

    def exists(self, state: DeviceState) -> bool:
        """Always."""
        return True

    def about(self, state: DeviceState) -> Abilities:
        """Return its steps and presets."""
        return Abilities(presets=(AUTO, BOOST), speeds=HIGHEST, switches_off=False)

    def read(self, state: DeviceState) -> Mapping[Part, Value | None]:
        """Return what the last row said; nothing while that is not known."""
        position = _position(state)
        if position is None:
            return {Part.ON: None, Part.SPEED: None, Part.PRESET: None}
        return {
            Part.ON: position > 0,
            Part.SPEED: position,
            Part.PRESET: BOOST if state.values.get("boost") else AUTO,
        }

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        """Return the boost that is wished, or the position where others may be set."""
        wish = dict(wishes)
        if (preset := wish.get(Part.PRESET)) is not None:
            if preset not in (AUTO, BOOST):
                raise InvalidCommand(f"there is no preset {preset!r}")
            return {"boost": preset == BOOST}
        if (speed := wish.get(Part.SPEED)) is not None:
            return _of_speed(speed, state)
        if wish.get(Part.ON) != "ON":
            raise InvalidCommand("the unit can't be switched off", key="can_not_switch_off")
        return {"boost": True}


def _of_speed(speed: str, state: DeviceState) -> Mapping[str, Value]:
    try:
        step = int(speed)
    except ValueError as error:
        raise InvalidCommand(f"a step is a number, not {speed!r}") from error
    if step <= 0:
        return {"boost": False}
    if step >= HIGHEST:
        return {"boost": True}
    if step == _position(state):
        return {}
    field = state.fields.get("fan_position")
    if field is not None and field.writable:
        return {"fan_position": POSITIONS[step]}
    raise InvalidCommand(
        "only automatic and the highest step can be set", key="speed_not_supported"
    )


def _position(state: DeviceState) -> int | None:
    value = state.values.get("fan_position")
    return POSITIONS.index(value) if isinstance(value, str) and value in POSITIONS else None


FAN = Fan()
