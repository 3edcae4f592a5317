"""Facts for the diagnostics, without what identifies the owner (spec d.2, f.3, h)."""

from __future__ import annotations

from typing import Any

from .dongle.envelope import HEADER_SIZE
from .dongle.report import SERIAL, is_report
from .inverters import Inverters
from .modbus.image import SERIAL_REGISTERS
from .pipeline.report_pipeline import ReportPipeline, mask_texts


def pipeline_facts(pipeline: ReportPipeline) -> dict[str, Any]:
    """Return what was received beyond the counters."""
    unknown = dict(pipeline.unknown_layouts)
    return {
        "unknown_layout_size": next(iter(unknown), None),
        "unknown_layouts": {str(size): head.hex() for size, head in unknown.items()},
        "polling_map": pipeline.polling_map_version,
        "other_messages": {name: sample.hex() for name, sample in dict(pipeline.samples).items()},
    }


def inverter_facts(pipeline: ReportPipeline, inverters: Inverters) -> list[dict[str, Any]]:
    """Return the last report of each inverter; it is named by its last four characters."""
    facts = []
    for serial, known in list(pipeline.inverters.items()):
        report = known.last
        if report is None or known.last_time is None:
            continue
        state = inverters.states().get(serial)
        facts.append(
            {
                "serial": f"...{serial[-4:]}",
                "reports": known.reports,
                "last_report": known.last_time.isoformat(),
                "median_interval_s": known.progress.interval,
                "layout": report.layout.name,
                "blocks": [list(block) for block in report.layout.blocks],
                "head": report.frame[:HEADER_SIZE].hex(),
                "violations": list(report.violations),
                "zone_mismatch_s": None if state is None else state.zone_check.mismatch,
                "registers": {
                    str(register): word
                    for register, word in report.registers.items()
                    if register not in SERIAL_REGISTERS
                },
            }
        )
    return facts


def mask_identity(frame: bytes) -> bytes:
    """Return a frame without what identifies its owner; of a report bytes 11 to 36 are masked."""
    if is_report(frame):
        end = min(SERIAL.stop + 16, len(frame))
        return frame[:HEADER_SIZE] + b"X" * (end - HEADER_SIZE) + frame[end:]
    return frame[:HEADER_SIZE] + mask_texts(frame[HEADER_SIZE:])
