"""The bridge's metrics, read from its links and sinks (spec f.5). The names are frozen."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping

from ..ops.metrics import Metric
from .link import Link
from .sink import Sink


def link_metrics(name: str, link: Link) -> Iterator[Metric]:
    """Yield what a link has done."""
    label = {"link": name}
    up = float(link.snapshot.connected)
    yield Metric("hardwired_link_up", up, {**label, "family": link.family})
    if link.engine is None:
        return
    told = link.engine.statistics
    yield Metric("hardwired_link_reconnects_total", told.reconnects, label)
    for direction, frames, octets in (
        ("in", told.frames_in, told.bytes_in),
        ("out", told.frames_out, told.bytes_out),
    ):
        way = {**label, "direction": direction}
        yield Metric("hardwired_link_frames_total", frames, way)
        yield Metric("hardwired_link_bytes_total", octets, way)
    for kind, count in (("checksum", told.checksum_errors), ("timeout", told.timeouts)):
        yield Metric("hardwired_link_errors_total", count, {**label, "kind": kind})
    for reason, count in told.drops.items():
        yield Metric("hardwired_link_drops_total", count, {**label, "reason": reason})
    if told.last_frame is not None:
        moment = told.last_frame.timestamp()
        yield Metric("hardwired_link_last_frame_timestamp_seconds", moment, label)


def device_metrics(name: str, link: Link, *, values: bool) -> Iterator[Metric]:
    """Yield how the devices of a link are; with *values* every number that they show."""
    for ident, state in link.snapshot.devices.items():
        labels = {"link": name, "device": ident, "kind": state.device.kind}
        yield Metric("hardwired_device_available", float(state.available), labels)
        if not values or not state.available:
            continue
        for key, value in state.values.items():
            field = state.fields.get(key)
            if field is None or not isinstance(value, (bool, int, float)):
                continue
            if field.numeric or field.binary:
                own = {**labels, "key": key, "unit": field.unit or ""}
                with contextlib.suppress(OverflowError):
                    yield Metric("hardwired_value", float(value), own)
    notices = Counter((told.notice.key, told.notice.severity.value) for told in link.notices)
    for (key, severity), count in notices.items():  # one notice may stand for several devices
        yield Metric("hardwired_notices", count, {"link": name, "key": key, "severity": severity})


def sink_metrics(sinks: Mapping[str, Sink]) -> Iterator[Metric]:
    """Yield what the sinks say of themselves."""
    for name, sink in sinks.items():
        for sample in sink.samples():
            yield Metric(sample.name, sample.value, {"sink": name, **sample.labels})
