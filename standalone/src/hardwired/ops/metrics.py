"""The metrics in Prometheus' text format 0.0.4; their names are frozen (spec f.5)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_LINES = 20_000
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGES: Mapping[str, str] = {
    "hardwired_build_info": "Version of the bridge and of Python.",
    "hardwired_start_time_seconds": "When the bridge was started, in seconds since 1970.",
    "hardwired_link_up": "Whether the link is connected.",
    "hardwired_link_last_frame_timestamp_seconds": "When the last frame came.",
    "hardwired_device_available": "Whether the device is available.",
    "hardwired_notices": "What the owner should know or mend.",
    "hardwired_mqtt_connected": "Whether all connections to the broker stand.",
    "hardwired_spool_points": "Points that are not delivered.",
    "hardwired_spool_bytes": "Bytes of the spool in use.",
    "hardwired_spool_oldest_timestamp_seconds": "Time of the oldest point that is not delivered.",
    "hardwired_sink_config_error": "Whether the settings do not fit the server.",
    "hardwired_loop_lag_seconds_max": "Longest time the loop was away since the last scrape.",
    "process_resident_memory_bytes": "Resident memory.",
    "hardwired_value": "A value of a device.",
}
_COUNTERS: Mapping[str, str] = {
    "hardwired_link_reconnects_total": "Reconnects of the link.",
    "hardwired_link_frames_total": "Frames by direction.",
    "hardwired_link_bytes_total": "Bytes by direction.",
    "hardwired_link_errors_total": "Errors by kind.",
    "hardwired_link_drops_total": "Frames thrown away, by reason.",
    "hardwired_commands_total": "Commands by sink, link and result.",
    "hardwired_mqtt_messages_total": "Messages published, by class.",
    "hardwired_mqtt_coalesced_total": "States that a newer one has replaced before they went.",
    "hardwired_mqtt_dropped_total": "Messages dropped, by class.",
    "hardwired_mqtt_ignored_total": "Messages ignored, by reason.",
    "hardwired_influx_points_total": "Points by what became of them.",
    "process_cpu_seconds_total": "Processor time.",
}
_HELP = {**_GAUGES, **_COUNTERS}


@dataclass(frozen=True, slots=True)
class Metric:
    """One line: name, labels, value."""

    name: str
    value: float
    labels: Mapping[str, str]


def render(metrics: Iterable[Metric]) -> str:
    """Return the text; lines of one name stand together, at most :data:`MOST_LINES`."""
    by_name: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
    lines: list[str] = []
    for name, some in by_name.items():
        kind = "counter" if name in _COUNTERS else "gauge"
        lines.append(f"# HELP {name} {_HELP.get(name, name)}")
        lines.append(f"# TYPE {name} {kind}")
        lines += [_line(metric) for metric in some]
    return "".join(f"{line}\n" for line in lines[:MOST_LINES])


def _line(metric: Metric) -> str:
    labels = ",".join(f'{key}="{_escape(value)}"' for key, value in metric.labels.items())
    told = f"{metric.name}{{{labels}}}" if labels else metric.name
    return f"{told} {_number(metric.value)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
