"""What is on or off, and what is pressed."""

from __future__ import annotations

from typing import Any

from ..home import EntityState, Json
from ..outcome import Call, Ignore, Outcome, WriteBack
from ..service import Channel, output
from .wishes import state_of, switched


def toggle(
    state: EntityState,
    head: dict[str, Any],
    on: str = "turn_on",
    off: str = "turn_off",
    *,
    is_on: bool | None = None,
) -> Channel:
    """Return a toggle; *on* and *off* are services of the entity's domain."""
    present = int(state.state == "on" if is_on is None else is_on)
    control = switched(state.entity_id, f"{state.domain}.{on}", f"{state.domain}.{off}", present)
    option = {**head, "type": "toggle"}
    return output(state.usable, option, {"State": present}, {"State": control})


PRESSED = {
    "button": "button.press",
    "input_button": "input_button.press",
    "scene": "scene.turn_on",
    "script": "script.turn_on",
}


def momentary(state: EntityState, head: dict[str, Any]) -> Channel:
    """Return a button: 1 is the press, 0 the release, which means nothing."""

    def control(value: Json) -> Outcome:
        match state_of(value):
            case True:
                return Call(PRESSED[state.domain], {"entity_id": state.entity_id}, 0)
            case False:
                return Ignore()
            case _:
                return WriteBack(0)

    option = {**head, "type": "momentary"}
    return output(state.usable, option, {"State": 0}, {"State": control})
