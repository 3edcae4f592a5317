"""What forms of this family ask with."""

from __future__ import annotations

from homeassistant.helpers import (
    selector,
)

TEXT = selector.TextSelector()
YES_NO = selector.BooleanSelector()


def number(low: float, high: float, unit: str | None = None) -> selector.NumberSelector:
    """Return a box for a whole number."""
    config = selector.NumberSelectorConfig(
        min=low, max=high, step=1, mode=selector.NumberSelectorMode.BOX
    )
    if unit is not None:
        config["unit_of_measurement"] = unit
    return selector.NumberSelector(config)


PORT = number(1, 65535)
