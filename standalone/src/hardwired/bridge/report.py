"""How the bridge is: a line, the log, health and metrics (spec f.4, f.5)."""

from __future__ import annotations

import asyncio
import json
import logging
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from hardwired_engines.clock import Clock

from ..ops import health as health_of
from ..ops.metrics import Metric, render
from ..ops.watchdog import Watchdog
from .link import Link
from .metrics import device_metrics, link_metrics, sink_metrics
from .running_links import RunningLinks
from .running_sinks import RunningSinks
from .sink import SinkState

_LOGGER = logging.getLogger(__name__)


class Report:
    """Tells how links, sinks and the process are. Texts are masked."""

    def __init__(
        self,
        links: RunningLinks,
        sinks: RunningSinks,
        watchdog: Watchdog,
        *,
        version: str,
        clock: Clock,
        mask: Callable[[str], str],
    ) -> None:
        self._version = version
        self._clock = clock
        self._links = links
        self._sinks = sinks
        self._watchdog = watchdog
        self._mask = mask
        self._began = clock.monotonic()
        self.started: datetime = clock.now()
        self.commands: Counter[tuple[str, str, str]] = Counter()
        """Wishes by sink, link and result."""

    def status(self) -> str:
        """Return how it is in one line."""
        up = sum(link.snapshot.connected for link in self._links)
        told = [f"{up} of {len(self._links)} links"]
        waiting = 0
        for name, sink in self._sinks.by_name.items():
            health = sink.health
            told.append(f"{name} {'up' if health.state is SinkState.OK else health.state.value}")
            if health.accepted is not None:
                waiting += health.waiting
        return f"{', '.join(told)}, {waiting} points waiting"

    def log_state(self) -> None:
        """Say how every link and sink is: SIGUSR1."""
        for link in self._links:
            snapshot = link.snapshot
            state = "connected" if snapshot.connected else f"not connected ({snapshot.reason})"
            _LOGGER.info("%s: %s since %s", link.name, state, link.since.isoformat())
        for name, sink in self._sinks.by_name.items():
            health = sink.health
            why = f" ({health.why})" if health.why else ""
            _LOGGER.info("%s: %s%s, %d waiting", name, health.state.value, why, health.waiting)

    def _is_well(self, link: Link) -> bool:
        return link.ended or health_of.link_is_well(link.snapshot, link.since, self._clock.now())

    def health(self) -> Mapping[str, Any]:
        """Return the bridge's health (spec f.4)."""
        sinks = self._sinks.by_name
        told = {
            "version": self._version,
            "uptime": round(self._clock.monotonic() - self._began, 1),
            "state": health_of.overall(
                [self._is_well(link) for link in self._links],
                [link.snapshot.connected for link in self._links],
                [sink.health.state for sink in sinks.values()],
            ),
            "links": {
                link.name: health_of.link_health(
                    link.snapshot,
                    link.since,
                    None if link.engine is None else link.engine.statistics,
                )
                for link in self._links
            },
            "sinks": {name: health_of.sink_health(sink.health) for name, sink in sinks.items()},
            "process": health_of.process_health(len(asyncio.all_tasks()), self._watchdog.lag_max),
        }
        found: Mapping[str, Any] = self._masked(told)
        return found

    def _masked(self, value: Any) -> Any:
        """Return *value* with its texts masked; a number that looks like a secret is none."""
        match value:
            case str():
                return self._mask(value)
            case Mapping():
                return {key: self._masked(item) for key, item in value.items()}
            case list():
                return [self._masked(item) for item in value]
            case _:
                return value

    def health_page(self) -> tuple[bool, str]:
        """Return whether it is well, and the page of the HTTP server."""
        told = self.health()
        return told["state"] != "error", json.dumps(told, ensure_ascii=False) + "\n"

    def metrics(self, *, values: bool = False) -> str:
        """Return the metrics (spec f.5)."""
        text = render(self._metrics(values=values))
        self._watchdog.lag_max = 0.0
        return text

    def _metrics(self, *, values: bool) -> Iterator[Metric]:
        about = {"version": self._version, "python": platform.python_version()}
        yield Metric("hardwired_build_info", 1, about)
        yield Metric("hardwired_start_time_seconds", self.started.timestamp(), {})
        for link in self._links:
            yield from link_metrics(link.name, link)
            yield from device_metrics(link.name, link, values=values)
        for (sink, link_name, result), count in sorted(self.commands.items()):
            labels = {"sink": sink, "link": link_name, "result": result}
            yield Metric("hardwired_commands_total", count, labels)
        yield from sink_metrics(self._sinks.by_name)
        yield Metric("hardwired_loop_lag_seconds_max", self._watchdog.lag_max, {})
        process = health_of.process_health(0, 0)
        yield Metric("process_cpu_seconds_total", process["cpu_seconds"], {})
        yield Metric("process_resident_memory_bytes", process["rss"], {})
