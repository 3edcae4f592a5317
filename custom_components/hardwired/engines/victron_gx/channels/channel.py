"""The way from an entity to its output or input, by its domain (spec H.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from ..home import EntityState, Home
from ..service import Channel, caption
from .choices import dropdown
from .inputs import binary_input, sensor_input
from .levels import fan, opening
from .lights import light
from .numbers import number_box
from .switches import momentary, toggle

Maker: TypeAlias = Callable[[EntityState, dict[str, Any]], Channel | None]
LONGEST_ID = 32
_MAKERS: Mapping[str, Maker] = {
    "binary_sensor": binary_input,
    "fan": fan,
    "light": light,
    "sensor": sensor_input,
    **dict.fromkeys(("button", "input_button", "scene", "script"), momentary),
    **dict.fromkeys(("cover", "valve"), opening),
    **dict.fromkeys(("input_boolean", "switch"), toggle),
    **dict.fromkeys(("input_number", "number"), number_box),
    **dict.fromkeys(("input_select", "select"), dropdown),
}
DOMAINS = frozenset(_MAKERS)
SHOWN_ONLY = frozenset({"binary_sensor", "sensor"})


def channels_of(entity_ids: Iterable[str], group: str, home: Home) -> Iterator[Channel]:
    """Yield the outputs and inputs of entities, in their order, each with an id of its own."""
    taken: dict[bool, set[str]] = {True: set(), False: set()}
    for entity_id in dict.fromkeys(entity_ids):
        state = home.state(entity_id)
        if state.domain not in DOMAINS:
            continue
        ids = taken[state.domain not in SHOWN_ONLY]
        found = _MAKERS[state.domain](state, caption(_free_id(state, ids), state.name, group))
        if found is not None:
            ids.add(found.id)
            yield found


def _free_id(state: EntityState, taken: set[str]) -> str:
    wanted = f"{state.domain}_{state.object_id}"
    ident, number = wanted[:LONGEST_ID], 2
    while ident in taken:
        ending = f"_{number}"
        ident, number = wanted[: LONGEST_ID - len(ending)] + ending, number + 1
    return ident
