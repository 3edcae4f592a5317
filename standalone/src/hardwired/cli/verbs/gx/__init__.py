"""What the command line offers for a Victron GX."""

from __future__ import annotations

from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "replay": "not possible: what was recorded there is no device's",
    "simulate": "play a Victron GX: D-Bus, broker, gateway, the driver and Wi-Fi devices; "
    "orders on stdin, type help",
}
"""What each verb does."""
