"""What is read of a program and not measured: languages, tier, what it reaches and ours does not.

Ours is read from the integration's files. What is said of the others was read in their
repositories in November 2026; the newest stored state of hass-studer-xcom was of December 2024.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..ha_load import ROOT
from .table import Row

INTEGRATION = ROOT / "custom_components" / "hardwired"


def measure() -> Iterator[dict[str, Any] | Row]:
    """Yield the rows."""
    languages = sorted(path.stem for path in (INTEGRATION / "translations").glob("*.json"))
    tier = json.loads((INTEGRATION / "manifest.json").read_text())["quality_scale"]
    yield Row(
        "Languages of the forms and entities",
        ", ".join(languages),
        {"hass-studer-xcom": "en (2024.12)", "inetbox.py": "de, en (entities)"},
    )
    yield Row(
        "Quality tier named in the manifest",
        f"{tier}, by our own tests",
        {"hass-studer-xcom": "none named (2024.12)", "inetbox.py": "no integration: MQTT"},
    )
    yield Row(
        "Runs without a computer in the vehicle", "no", {"esphome-truma_inetbox": "yes, an ESP32"}
    )
    yield Row(
        "Reads a Solarman logger stick", "no", {"ha-solarman": "yes, and inverters of many makers"}
    )
