"""``hardwired decode sunsynk``: print the reports in a capture file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from hardwired_engines.clock import load_zone
from hardwired_engines.sunsynk.pipeline.report_pipeline import Received

from ...output import emit, tell
from .. import NOTHING_HEARD
from .capture import add_zone_and_filter, decoder_for, opened, summary_of, tell_warnings, utc


def report_record(received: Received) -> dict[str, Any]:
    """Return an accepted report as one JSON object."""
    report = received.report
    return {
        "serial": report.serial,
        "local_time": report.local_time.isoformat(),
        "time_utc": utc(received.time),
        "time_quality": received.time_quality.value,
        "layout": report.layout.name,
        "length": report.length,
        "message_no": report.message_no,
        "rssi": report.rssi,
        "quality": report.quality.value,
        "violations": list(report.violations),
        "values": received.values,
    }


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``decode``."""
    parser.add_argument("file", metavar="FILE", help="pcap or pcapng, also gzipped; - is stdin")
    add_zone_and_filter(parser)
    parser.add_argument(
        "--summary", action="store_true", help="add the counters at the end, as {'summary': ...}"
    )
    parser.add_argument(
        "--follow", action="store_true", help="wait for more at the end of FILE, until Ctrl-C"
    )


def run(options: argparse.Namespace) -> int:
    """Print the accepted reports of a capture, each as it comes.

    The exit code is 3 when there is none.
    """
    decoder = decoder_for(load_zone(options.timezone), options.filter)
    with opened(options.file, follow=options.follow) as reader:
        for received in decoder.read(reader):
            emit(report_record(received))
            sys.stdout.flush()
        tell_warnings(reader)
        if options.summary:
            emit({"summary": summary_of(decoder, reader)})
    remarks, counters = decoder.remarks(), decoder.summary()
    for remark in remarks:
        tell(f"hardwired: {remark}")
    if not counters["reports"]:
        _tell_no_report(counters)
    return 0 if counters["reports"] else NOTHING_HEARD


def _tell_no_report(counters: Mapping[str, Any]) -> None:
    """Say why nothing was decoded."""
    if rejected := counters.get("rejected"):
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
        tell(f"hardwired: reports passed, none can be used ({reasons})")
    elif counters.get("packets"):
        tell(f"hardwired: {counters['packets']} packets, none carries a report that can be used")
    else:
        tell("hardwired: no packet at all")
