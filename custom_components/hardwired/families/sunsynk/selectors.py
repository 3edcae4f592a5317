"""What forms of this family ask with."""

from __future__ import annotations

from typing import Any

from homeassistant.helpers import selector

from ...engines.sunsynk.settings import FramingChoice

TEXT = selector.TextSelector()
PORT = selector.NumberSelector(
    selector.NumberSelectorConfig(min=1, max=65535, step=1, mode=selector.NumberSelectorMode.BOX)
)


def number(low: float, high: float, step: float, unit: str | None = None) -> Any:
    """Return a box for a number."""
    config = selector.NumberSelectorConfig(
        min=low, max=high, step=step, mode=selector.NumberSelectorMode.BOX
    )
    if unit is not None:
        config["unit_of_measurement"] = unit
    return selector.NumberSelector(config)


FRAMING = selector.SelectSelector(
    selector.SelectSelectorConfig(
        options=[one.value for one in FramingChoice],
        translation_key="sunsynk_framing",
        mode=selector.SelectSelectorMode.DROPDOWN,
    )
)


def choice(options: list[str], *, multiple: bool = False) -> selector.SelectSelector:
    """Return a list to choose from, or to type something else."""
    return selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=options,
            custom_value=True,
            multiple=multiple,
            mode=selector.SelectSelectorMode.DROPDOWN,
        )
    )
