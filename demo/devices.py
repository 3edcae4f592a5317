"""The simulated devices of the demonstration, and the answers that set them up in the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """One device: its family, what it is called, and the steps of the config flow."""

    family: str
    title: str
    steps: tuple[Mapping[str, Any], ...]


DEVICES: tuple[DemoDevice, ...] = (
    DemoDevice(
        "sunsynk",
        "a Sunsynk inverter",
        (
            {"next_step_id": "sunsynk"},
            {"next_step_id": "sunsynk_sim"},
            {"timezone": "Europe/Amsterdam", "inverters": 1, "warp": 30},
        ),
    ),
    DemoDevice(
        "truma",
        "a Truma heater with an air conditioner",
        (
            {"next_step_id": "truma"},
            {
                "device": "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&standby=0",
                "observer": False,
            },
        ),
    ),
)
