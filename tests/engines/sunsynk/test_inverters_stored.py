"""What is shown of an inverter after a restart in good order, and after a power cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardwired_engines.sunsynk.inverters import Inverters

SERIAL = "2200000001"
KEPT = {
    "model": "5.0 kW hybrid inverter",
    "keys": ["pv_production_total", "battery_soc"],
    "time": "2026-06-14T10:00:00+00:00",
    "rated": 5000.0,
    "counters": {"pv_production_total": [1234.5, "2026-06-14T12:00:00", 1781517600.0, None]},
}


def restored(**more: Any) -> Inverters:
    inverters = Inverters()
    inverters.restore(json.loads(json.dumps({"inverters": {SERIAL: KEPT}, **more})))
    return inverters


@pytest.mark.parametrize(
    ("stored", "shown"), [({"complete": True}, 1234.5), ({"complete": False}, None), ({}, None)]
)
def test_after_a_power_cut_a_counter_is_not_shown_lower_than_before(
    stored: dict[str, Any], shown: float | None
) -> None:
    """Found by the simulated year: it was kept a quarter of an hour before the power cut."""
    state = restored(**stored).states()[SERIAL]
    assert state.values["pv_production_total"] == shown
    assert "battery_soc" in state.values
    kept = state.counters.stored()["counters"]["pv_production_total"][0]
    assert kept == 1234.5, "the next one is judged by it"


def test_how_far_readings_are_behind_outlives_a_restart() -> None:
    inverters = restored()
    inverters.states()[SERIAL].behind = 3600.0
    again = Inverters()
    again.restore({"inverters": inverters.stored()})
    assert again.states()[SERIAL].behind == 3600.0
