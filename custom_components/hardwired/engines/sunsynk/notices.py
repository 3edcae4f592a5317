"""What the owner should know or fix, as notices of the snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..engine import Notice, Severity
from .facts import SourceFacts
from .inverters import Inverters
from .pipeline.report_pipeline import ReportPipeline

KERNEL_DROPS_WORTH_TELLING = 100
FOREIGN_WORTH_TELLING = 3
"""Requests of another Modbus master that are no accident."""
TURNED_AWAY = ("not_allowed", "too_many", "too_many_of_one")
"""Why the relay refuses what may be the owner's dongle."""


def notices(
    pipeline: ReportPipeline,
    inverters: Inverters,
    facts: SourceFacts,
    elsewhere: Mapping[str, str] | None = None,
) -> Iterator[Notice]:
    """Yield what holds now; the texts are the family's.

    *elsewhere* names the other source that shows an inverter, by serial number.
    """
    yield from _of_inverters(pipeline, inverters, elsewhere or {})
    for size in pipeline.unknown_layouts:
        yield Notice("unknown_layout", {"size": str(size)})
        break
    yield from _of_relay(facts)
    if facts.foreign and not facts.reports:
        yield Notice("solarman")
    if facts.foreign_requests >= FOREIGN_WORTH_TELLING:
        yield Notice("second_master")
    if facts.echo:
        yield Notice("echo")
    if (drops := facts.kernel_drops) >= KERNEL_DROPS_WORTH_TELLING:
        yield Notice("kernel_drops", {"drops": str(drops)})


def _of_inverters(
    pipeline: ReportPipeline, inverters: Inverters, elsewhere: Mapping[str, str]
) -> Iterator[Notice]:
    for serial, other in elsewhere.items():
        name = inverters.states()[serial].device.name
        yield Notice("shown_elsewhere", {"inverter": name, "other": other}, device=serial)
    for serial, offset in inverters.zone_mismatch.items():
        if serial not in elsewhere:
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


def _of_relay(facts: SourceFacts) -> Iterator[Notice]:
    if error := facts.server_error:
        yield Notice("relay_server", {"error": error}, Severity.ERROR)
    if facts.relay_looped:
        yield Notice("relay_loop", severity=Severity.ERROR)
    if turned_away := sum(facts.refused.get(reason, 0) for reason in TURNED_AWAY):
        yield Notice("relay_refused", {"count": str(turned_away)})


def signed_time(seconds: int) -> str:
    """Return a difference in time as ``+01:00``."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"
