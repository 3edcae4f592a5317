"""The simulated devices of the demonstration, and the answers that set them up in the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """One device: its family, what it is called, the steps of the config flow.

    ``ready`` is the end of the unique id of an entity whose value shows that all is there.
    """

    family: str
    title: str
    ready: str
    steps: tuple[Mapping[str, Any], ...]


DEVICES: tuple[DemoDevice, ...] = (
    DemoDevice(
        "sunsynk",
        "a Sunsynk inverter",
        "_battery_soc",
        (
            {"next_step_id": "sunsynk"},
            {"next_step_id": "sunsynk_sim"},
            {"time_zone": "Europe/Amsterdam", "inverters": 1, "warp": 30},
        ),
    ),
    DemoDevice(
        "truma",
        "a Truma heater with an air conditioner",
        "_aircon_aircon",
        (
            {"next_step_id": "truma"},
            {
                "link": "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&standby=0",
                "observer": False,
            },
        ),
    ),
    DemoDevice(
        "studer",
        "a Studer plant",
        "_3000",
        (
            {"next_step_id": "studer"},
            {"next_step_id": "studer_sim"},
            {"xtenders": 3, "variotracks": 2, "variostrings": 1},
            {},
        ),
    ),
    DemoDevice(
        "inventum",
        "an Inventum ventilation unit",
        "_log_temp_boiler_boven_c",
        (
            {"next_step_id": "inventum"},
            {"link": "sim://", "codes": {"login_code": "3845", "challenge_code": "19"}},
        ),
    ),
)
