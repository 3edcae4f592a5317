"""What the owner should know or fix, as notices of the snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine import Notice, Severity
from .inverters import Inverters
from .pipeline.report_pipeline import ReportPipeline

KERNEL_DROPS_WORTH_TELLING = 100
TURNED_AWAY = ("not_allowed", "too_many", "too_many_of_one")
"""Why the relay refuses what may be the owner's dongle."""


def notices(
    pipeline: ReportPipeline,
    inverters: Inverters,
    counters: Mapping[str, Any],
    elsewhere: Mapping[str, str] | None = None,
) -> Iterator[Notice]:
    """Yield what holds now; the texts are the family's.

    *elsewhere* names the other source that shows an inverter, by serial number.
    """
    for serial, other in (elsewhere or {}).items():
        name = inverters.states()[serial].device.name
        yield Notice("shown_elsewhere", {"inverter": name, "other": other}, device=serial)
    for size in pipeline.unknown_layouts:
        yield Notice("unknown_layout", {"size": str(size)})
        break
    for serial, offset in inverters.zone_mismatch.items():
        if serial in (elsewhere or {}):
            continue
        yield Notice("zone_mismatch", {"offset": signed_time(offset)}, device=serial)
    for serial in inverters.grid_power_by_ten_suggested:
        if serial not in pipeline.by_ten:
            check = inverters.states()[serial].grid_power
            yield Notice(
                "grid_power_by_ten",
                {
                    "serial": serial,
                    "shown": "-" if check.shown is None else str(check.shown),
                    "measured": "-" if check.measured is None else str(check.measured),
                },
                device=serial,
            )
    if error := counters.get("server_error"):
        yield Notice("relay_server", {"error": str(error)}, Severity.ERROR)
    if counters.get("relay_looped"):
        yield Notice("relay_loop", severity=Severity.ERROR)
    refused = counters.get("refused", {})
    if turned_away := sum(refused.get(reason, 0) for reason in TURNED_AWAY):
        yield Notice("relay_refused", {"count": str(turned_away)})
    if counters.get("foreign"):
        yield Notice("solarman")
    if (drops := int(counters.get("kernel_drops", 0))) >= KERNEL_DROPS_WORTH_TELLING:
        yield Notice("kernel_drops", {"drops": str(drops)})


def signed_time(seconds: int) -> str:
    """Return a difference in time as ``+01:00``."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"
