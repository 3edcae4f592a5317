"""Lists to choose from."""

from __future__ import annotations

from typing import Any

from ..home import EntityState
from ..outcome import Call, Outcome
from ..service import MOST_LABELS, Channel, labels, output
from .wishes import chosen


def dropdown(state: EntityState, head: dict[str, Any]) -> Channel | None:
    """Return a select, ``None`` when there is nothing to choose from."""
    options = state.words("options")[:MOST_LABELS]
    if not options:
        return None
    present = options.index(state.state) if state.state in options else 0

    def choose(index: int) -> Outcome:
        data = {"entity_id": state.entity_id, "option": options[index]}
        return Call(f"{state.domain}.select_option", data, index)

    return output(
        state.usable,
        {**head, "type": "dropdown", "labels": labels(options)},
        {"Dimming": present},
        {"Dimming": chosen(len(options), present, choose)},
    )
