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
    """Three steps, two presets. The unit can't be switched off: it always ventilates."""

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
            Part.PRESET: _preset(state),
        }

    def write(self, wishes: Sequence[Wish], state: DeviceState) -> Mapping[str, Value]:
        """Return the boost that is wished, or the position where others may be set."""
        # The later one counts; only ON yields to a step or a preset (spec bridge c.9).
        decisive = [wish for wish in wishes if wish != (Part.ON, "ON")] or list(wishes)
        part, text = decisive[-1]
        match part:
            case Part.PRESET:
                if text not in (AUTO, BOOST):
                    raise InvalidCommand(f"there is no preset {text!r}")
                return {"boost": text == BOOST}
            case Part.SPEED:
                return _of_speed(text, state)
            case Part.ON if text in ("ON", "OFF"):
                # OFF gives the fan back to the controller: a fan by MQTT always has it.
                return {"boost": text == "ON"}
            case _:
                raise InvalidCommand(f"a fan does not take {part.value} {text!r}")


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
    raise InvalidCommand(key="speed_not_supported")


def _preset(state: DeviceState) -> str | None:
    """Return the preset; ``None`` while step 1 or 2 is set, which is neither."""
    if state.values.get("boost"):
        return BOOST
    return None if state.values.get("boost_remaining") else AUTO


def _position(state: DeviceState) -> int | None:
    value = state.values.get("fan_position")
    return POSITIONS.index(value) if isinstance(value, str) and value in POSITIONS else None


FAN = Fan()
