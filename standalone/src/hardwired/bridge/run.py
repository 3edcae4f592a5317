"""The bridge: links on one side, sinks on the other, one event loop (spec c.11, f.1, f.2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from hardwired_engines.clock import Clock, SystemClock
from hardwired_engines.engine import DeviceState, Occurrence, Snapshot
from hardwired_engines.factory import Surroundings, factory_of

from ..ops import health as health_of
from ..ops.logs import Logs
from ..ops.metrics import Metric, render
from ..ops.notify import Notifier
from ..ops.watchdog import Patient, Register, Watchdog
from .feeder import Feeder
from .link import READING, Link
from .metrics import device_metrics, link_metrics, sink_metrics
from .requests import Requests
from .settings import engine_part, mask_of
from .sink import LinkView, Moment, Outcome, Request, Sink, SinkState, Store, Unusable, Wish
from .sinks import make_sink
from .state import State
from .wishes import WishQueue

_LOGGER = logging.getLogger(__name__)

RESTART_AFTER = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
READY_WITHIN = 10.0
LINK_CLOSES_WITHIN = 3.0
NO_PROGRESS = 60.0
STATUS_EVERY = 10.0
DAY = 86400.0
_NEEDS_RESTART = ("id", "state_dir")


@dataclass(slots=True, eq=False)
class _RunningLink:
    link: Link
    queue: WishQueue
    tasks: list[asyncio.Task[None]]


@dataclass(slots=True, eq=False)
class _RunningSink:
    settings: Mapping[str, Any]
    feeder: Feeder
    task: asyncio.Task[None] | None = None
    sink: Sink | None = None
    stopping: bool = False


class Bridge:
    """The :class:`.sink.Hub` that lives. *value* is a resolved CONFIG."""

    def __init__(
        self,
        value: Mapping[str, Any],
        state: State,
        *,
        version: str = "unknown",
        logs: Logs | None = None,
        notifier: Notifier | None = None,
        clock: Clock | None = None,
        hard_watchdog: bool = False,
    ) -> None:
        self._value = value
        self._state = state
        self._clock = clock or SystemClock()
        self._logs = logs
        self._notifier = notifier or Notifier({})
        self._mask = mask_of(value)
        self.version = version
        self.started: datetime = self._clock.now()
        self._began = self._clock.monotonic()
        self.settings: Mapping[str, Any] = self._bridge_settings(value)
        self.instance = state.instance(self.settings["id"])
        self._links: dict[str, _RunningLink] = {}
        self._sinks: dict[str, _RunningSink] = {}
        self._register = Register()
        self._watchdog = Watchdog(
            self._clock, self._register, self._patients, self._notifier, hard=hard_watchdog
        )
        self._requests = Requests(self)
        self._commands: Counter[tuple[str, str, str]] = Counter()
        self._asked: set[asyncio.Task[None]] = set()
        self._own: list[asyncio.Task[None]] = []
        self._http: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._up = False
        self._fatal: Exception | None = None
        self._code = 0

    def _bridge_settings(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        folder = self._state.folder
        return {**value["bridge"], "state_dir": None if folder is None else str(folder)}

    # ----------------------------------------------------------------------------- as a Hub

    @property
    def log_level(self) -> str:
        """The level of the log."""
        return str(self._value["log"]["level"] if self._logs is None else self._logs.level)

    @property
    def links(self) -> Mapping[str, LinkView]:
        """The enabled links."""
        return MappingProxyType({name: one.link for name, one in self._links.items()})

    @property
    def configured(self) -> frozenset[str]:
        """The names of all links of CONFIG, those that are off included."""
        return frozenset(self._value["devices"])

    @property
    def sinks(self) -> Mapping[str, Sink]:
        """The enabled sinks."""
        return {name: one.sink for name, one in self._sinks.items() if one.sink is not None}

    def link(self, name: str) -> Link | None:
        """Return a link."""
        running = self._links.get(name)
        return None if running is None else running.link

    def moment(self) -> Moment:
        """Return the time."""
        return Moment(self._clock.monotonic(), self._clock.now())

    def mask(self, text: str) -> str:
        """Return *text* without secrets."""
        return self._mask(text)

    def store(self, name: str) -> Store:
        """Return a file of the state folder."""
        return self._state.file(name)

    def report(self, name: str, due: float | None) -> None:
        """Note a report for the watchdog."""
        self._register.report(name, due)

    def wish(self, sink: str, wish: Wish) -> None:
        """Queue a wish."""
        running = self._links.get(wish.link)
        if running is None:
            self._answer(sink, wish, Outcome(key="not_connected", text="there is no such link"))
        elif running.link.read_only and wish.command.name not in READING:
            text = f"{wish.link} only tells; read_only is set"
            self._answer(sink, wish, Outcome(key="read_only", text=text))
        else:
            running.queue.add(sink, wish)

    def request(self, sink: str, request: Request) -> None:
        """Carry out a request."""

        async def carry_out() -> None:
            self._answer(sink, request, await self._requests.carry_out(request))

        task = asyncio.create_task(carry_out())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def _answer(self, sink: str, wish: Wish | Request, outcome: Outcome) -> None:
        if isinstance(wish, Wish):
            self._commands[sink, wish.link, outcome.key or "ok"] += 1
        running = self._sinks.get(sink)
        if running is not None and running.sink is not None:
            running.sink.answered(wish, outcome)

    def set_log_level(self, level: str, module: str | None, minutes: int) -> None:
        """Set a level of the log; it goes back by itself."""
        if self._logs is None:
            return
        logs = self._logs
        logs.set(level, module)
        self._later(minutes * 60.0, lambda: logs.apply(logs.settings))

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            then()

        task = asyncio.create_task(wait())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    # -------------------------------------------------------------------------------- life

    async def run(self, *, duration: float | None = None) -> int:
        """Live until :meth:`end`; returns the exit code. Raises :class:`Unusable`."""
        self._begin()
        try:
            self._own.append(asyncio.create_task(self._become_ready()))
            self._own.append(asyncio.create_task(self._watch_the_end()))
            if duration is not None:
                self._later(duration, self.end)
            await self._end.wait()
        finally:
            await self._stop()
        if self._fatal is not None:
            raise self._fatal
        return self._code

    def end(self, code: int = 0) -> None:
        """End in order."""
        self._code = code
        self._end.set()

    def _forget_links(self) -> None:
        """Forget the devices of links that were taken out of CONFIG; *off* is not out."""
        file = self._state.file("bridge")
        data = file.load()
        told = data.get("devices")
        if isinstance(told, dict) and told.keys() - self._value["devices"].keys():
            kept = {name: one for name, one in told.items() if name in self._value["devices"]}
            file.save({**data, "devices": kept})

    def _begin(self) -> None:
        self._forget_links()
        for name, settings in self._value["devices"].items():
            if settings["enabled"]:
                self._add_link(name, settings)
        for name, settings in self._value["sinks"].items():
            if settings["enabled"]:
                self._add_sink(name, settings)
        self._start_http()
        self._own += [
            asyncio.create_task(self._watchdog.run()),
            asyncio.create_task(self._watchdog.measure_lag()),
            asyncio.create_task(self._say_status()),
        ]
        self._name_in_log()

    def _name_in_log(self) -> None:
        if self._logs is not None:
            self._logs.formatter.names = frozenset({*self._links, *self._sinks})

    async def _become_ready(self) -> None:
        until = self._clock.monotonic() + READY_WITHIN
        while self._clock.monotonic() < until and not self._all_have_tried():
            await self._clock.sleep(0.05)
        self._up = True
        self._notifier.ready()
        _LOGGER.info(
            "%s %s is up: %d links, %d sinks",
            self.settings["name"],
            self.version,
            len(self._links),
            len(self._sinks),
        )

    def _all_have_tried(self) -> bool:
        for one in self._links.values():
            snapshot = one.link.snapshot
            if not snapshot.connected and snapshot == Snapshot():
                return False
        return all(
            one.sink is not None and one.sink.health.why != "starting"
            for one in self._sinks.values()
        )

    async def _say_status(self) -> None:
        told = self._clock.monotonic()
        while True:
            status = self.status()
            self._notifier.status(status)
            if self._clock.monotonic() - told >= DAY:
                told = self._clock.monotonic()
                _LOGGER.info("%s", status)
            await self._clock.sleep(STATUS_EVERY)

    def status(self) -> str:
        """Return how it is in one line."""
        up = sum(one.link.snapshot.connected for one in self._links.values())
        told = [f"{up} of {len(self._links)} links"]
        waiting = 0
        for name, sink in self.sinks.items():
            health = sink.health
            told.append(f"{name} {'up' if health.state is SinkState.OK else health.state.value}")
            if health.accepted is not None:
                waiting += health.waiting
        return f"{', '.join(told)}, {waiting} points waiting"

    def log_state(self) -> None:
        """Say how every link and sink is: SIGUSR1."""
        for name, one in self._links.items():
            snapshot = one.link.snapshot
            state = "connected" if snapshot.connected else f"not connected ({snapshot.reason})"
            _LOGGER.info("%s: %s since %s", name, state, one.link.since.isoformat())
        for name, sink in self.sinks.items():
            health = sink.health
            why = f" ({health.why})" if health.why else ""
            _LOGGER.info("%s: %s%s, %d waiting", name, health.state.value, why, health.waiting)

    async def _watch_the_end(self) -> None:
        """End by itself when every source has come to its end and all is delivered."""
        progress: tuple[int, ...] = ()
        moved = self._clock.monotonic()
        while True:
            await self._clock.sleep(0.2)
            if not self._links or not all(one.link.ended for one in self._links.values()):
                moved = self._clock.monotonic()
                continue
            if all(self._delivered(one) for one in self._sinks.values()):
                self.end()
                return
            now = tuple(sink.health.waiting for sink in self.sinks.values())
            if now != progress:
                progress, moved = now, self._clock.monotonic()
            elif self._clock.monotonic() - moved > NO_PROGRESS:
                _LOGGER.error("the source has ended; %d points are not delivered", sum(now))
                self.end(4)
                return

    @staticmethod
    def _delivered(running: _RunningSink) -> bool:
        if not running.feeder.empty or running.sink is None:
            return False
        return bool(getattr(running.sink, "empty", True))

    async def _stop(self) -> None:
        """Stop in order, within ``stop_timeout`` (spec f.2)."""
        self._notifier.stopping()
        timeout = self.settings["stop_timeout"]
        deadline = self._clock.monotonic() + timeout
        for one in self._links.values():
            one.queue.close()
        for sink in self._sinks.values():
            sink.feeder.closed = True
        await self._cancel([task for one in self._links.values() for task in one.tasks])
        late = await self._stop_sinks(list(self._sinks.values()), deadline)
        if late:
            _LOGGER.warning("not ended in order within %.0f s: %s", timeout, ", ".join(late))
        await self._cancel([*self._own, *self._asked, *([self._http] if self._http else [])])
        await asyncio.to_thread(self._state.flush)

    async def _stop_sinks(self, some: list[_RunningSink], deadline: float) -> list[str]:
        names = {id(one): name for name, one in self._sinks.items()}
        stops = {}
        for one in some:
            one.stopping = True
            if one.sink is not None and one.task is not None and not one.task.done():
                stops[asyncio.ensure_future(one.sink.stop(deadline))] = one
        late = []
        if stops:
            left = max(0.1, deadline - self._clock.monotonic())
            _, pending = await asyncio.wait(stops, timeout=left)
            late = [names.get(id(stops[task]), "a sink") for task in pending]
            for task in stops:
                task.cancel()
            for task, one in stops.items():
                if task.done() and not task.cancelled() and (error := task.exception()):
                    _LOGGER.error("%s: %s", names.get(id(one)), error, exc_info=error)
        await self._cancel([one.task for one in some if one.task is not None])
        return late

    @staticmethod
    async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LINK_CLOSES_WITHIN + 1)

    # ------------------------------------------------------------------------------- links

    def _add_link(self, name: str, settings: Mapping[str, Any]) -> None:
        link = Link(
            name,
            settings,
            factory_of(settings["family"]),
            clock=self._clock,
            surroundings=Surroundings(
                clock=self._clock,
                zone=datetime.now().astimezone().tzinfo,
                storage=self._state.file(f"link-{name}"),
                folder=self._state.files_folder(),
                room=lambda: self._room(name),
            ),
            known=self._state.file("bridge"),
            on_snapshot=self._take_snapshot,
            on_occurrence=self._take_occurrence,
            read_only=self._value["bridge"]["read_only"],
            language=self._value["bridge"]["language"],
        )

        def composites(kind: str) -> Any:
            return link.factory.composites(kind)

        def state(device: str) -> DeviceState | None:
            return link.snapshot.devices.get(device)

        queue = WishQueue(
            self._clock,
            link.execute,
            state,
            composites,
            self._answer,
        )
        tasks = [
            asyncio.create_task(self._guard(f"link {name}", link.run)),
            asyncio.create_task(self._guard(f"link {name}", queue.run)),
        ]
        self._links[name] = _RunningLink(link, queue, tasks)

    async def _guard(self, name: str, live: Callable[[], Awaitable[None]]) -> None:
        """Run something that never ends; what is unforeseen is told and it is begun anew."""
        fails = 0
        while True:
            try:
                await live()
            except Exception:
                _LOGGER.exception("%s failed", name)
            await self._clock.sleep(RESTART_AFTER[min(fails, len(RESTART_AFTER) - 1)])
            fails += 1

    async def _remove_link(self, name: str) -> None:
        running = self._links.pop(name)
        running.queue.close("the link was taken out")
        await self._cancel(list(running.tasks))

    def _patients(self) -> dict[str, Patient]:
        return {f"link {name}": one.link for name, one in self._links.items()}

    def _take_snapshot(self, link: str, snapshot: Snapshot) -> None:
        for running in self._sinks_of(link):
            running.feeder.snapshot(link, snapshot)

    def _take_occurrence(self, link: str, occurrence: Occurrence) -> None:
        for running in self._sinks_of(link):
            running.feeder.occurrence(link, occurrence)

    def _sinks_of(self, link: str) -> Iterator[_RunningSink]:
        """Yield the sinks to which a link speaks: its own list, and those of its legacy entries."""
        running = self._links.get(link)
        if running is None:
            return
        settings = running.link.settings
        names = {*settings["sinks"], *(entry["sink"] for entry in settings["legacy"])}
        for name in names:
            if name in self._sinks:
                yield self._sinks[name]

    async def _room(self, link: str) -> None:
        """Wait while a sink of the link is over half full."""
        while any(
            one.feeder.full or (one.sink is not None and one.sink.full)
            for one in self._sinks_of(link)
        ):
            await self._clock.sleep(0.05)

    # ------------------------------------------------------------------------------- sinks

    def _add_sink(self, name: str, settings: Mapping[str, Any]) -> None:
        running = _RunningSink(settings, Feeder())
        running.sink = make_sink(name, settings, self)
        self._sinks[name] = running
        for link, one in self._links.items():
            if one.link.snapshot != Snapshot() and running in self._sinks_of(link):
                running.feeder.snapshot(link, one.link.snapshot)
        running.task = asyncio.create_task(self._live_sink(name, running))

    async def _live_sink(self, name: str, running: _RunningSink) -> None:
        """Keep a sink alive; what is unforeseen is told once and it is made anew."""
        fails = 0
        while True:
            began = self._clock.monotonic()
            try:
                if running.sink is None:
                    running.sink = make_sink(name, running.settings, self)
                await self._run_sink(running, running.sink)
            except Unusable as error:
                if not self._up:
                    self._fatal = error
                    self._end.set()
                    return
                _LOGGER.error("%s: %s", name, error)
            except Exception:
                _LOGGER.exception("%s: the sink failed", name)
            if running.stopping:
                return
            if self._clock.monotonic() - began > RESTART_AFTER[-1]:
                fails = 0
            if running.sink is not None:
                with contextlib.suppress(Exception):
                    await running.sink.stop(self._clock.monotonic() + 1)
            self._register.report(f"sink {name}", None)
            await self._clock.sleep(RESTART_AFTER[min(fails, len(RESTART_AFTER) - 1)])
            fails += 1
            running.sink = None

    async def _run_sink(self, running: _RunningSink, sink: Sink) -> None:
        running.feeder.begin()
        tasks = {asyncio.ensure_future(sink.run())}
        # The sink's first turn comes before the first snapshot.
        await asyncio.sleep(0)
        tasks.add(asyncio.ensure_future(running.feeder.run(sink)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    # ------------------------------------------------------------------------------ reload

    async def reload(self, value: Mapping[str, Any]) -> None:
        """Take over a new CONFIG, resolved: what is unchanged goes on untouched (spec f.1)."""
        self._notifier.reloading()
        before, self._value = self._value, value
        self._mask = mask_of(value)
        for key in _NEEDS_RESTART:
            if before["bridge"][key] != value["bridge"][key]:
                _LOGGER.warning("bridge.%s has changed: that waits for a restart", key)
                value["bridge"][key] = before["bridge"][key]
        bridge_changed = before["bridge"] != value["bridge"]
        self.settings = self._bridge_settings(value)
        if self._logs is not None and before["log"] != value["log"]:
            self._logs.apply(value["log"])
        views_changed = await self._reload_links(before, value)
        self._forget_links()
        await self._reload_sinks(value, all_=bridge_changed, views=views_changed)
        if before.get("http") != value.get("http"):
            if self._http is not None:
                await self._cancel([self._http])
                self._http = None
            self._start_http()
        self._name_in_log()
        for sink in self.sinks.values():
            sink.wake()
        for one in self._links.values():
            one.link.wake()
        self._notifier.ready()
        _LOGGER.info("CONFIG was read again")

    async def _reload_links(self, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
        """Return whether what the sinks know of the links has changed."""
        wanted = {name: one for name, one in value["devices"].items() if one["enabled"]}
        ours_changed = any(
            before["bridge"][key] != value["bridge"][key] for key in ("read_only", "language")
        )
        changed = False
        for name in [*self._links]:
            old = self._links[name].link.settings
            new = wanted.get(name)
            if new is None or engine_part(old) != engine_part(new) or ours_changed:
                await self._remove_link(name)
                changed = True
            elif old != new:
                self._links[name].link.settings = new
                self._links[name].link.forget_wants()
                changed = True
        order = {}
        for name, settings in wanted.items():
            if name not in self._links:
                self._add_link(name, settings)
                changed = True
            order[name] = self._links[name]
        self._links = order
        return changed

    async def _reload_sinks(self, value: Mapping[str, Any], *, all_: bool, views: bool) -> None:
        wanted = {name: one for name, one in value["sinks"].items() if one["enabled"]}
        gone = []
        for name, running in self._sinks.items():
            lives_on = getattr(running.sink, "lives_on", False)
            same = wanted.get(name) == running.settings
            if not same or all_ or (views and not lives_on):
                gone.append(name)
        deadline = self._clock.monotonic() + self.settings["stop_timeout"]
        await self._stop_sinks([self._sinks[name] for name in gone], deadline)
        for name in gone:
            del self._sinks[name]
            self._register.report(f"sink {name}", None)
        order = {}
        for name, settings in wanted.items():
            if name not in self._sinks:
                self._add_sink(name, settings)
            order[name] = self._sinks[name]
        self._sinks = order

    # ---------------------------------------------------------------- health, metrics, HTTP

    def _is_well(self, running: _RunningLink) -> bool:
        link = running.link
        return link.ended or health_of.link_is_well(link.snapshot, link.since, self._clock.now())

    def health(self) -> Mapping[str, Any]:
        """Return the bridge's health (spec f.4)."""
        links, sinks = list(self._links.items()), dict(self.sinks)
        state = health_of.overall(
            [self._is_well(one) for _, one in links],
            [one.link.snapshot.connected for _, one in links],
            [sink.health.state for sink in sinks.values()],
        )
        told = {
            "version": self.version,
            "uptime": round(self._clock.monotonic() - self._began, 1),
            "state": state,
            "links": {
                name: health_of.link_health(
                    one.link.snapshot,
                    one.link.since,
                    None if one.link.engine is None else one.link.engine.statistics,
                )
                for name, one in links
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

    def _health_page(self) -> tuple[bool, str]:
        told = self.health()
        return told["state"] != "error", json.dumps(told, ensure_ascii=False) + "\n"

    def metrics(self, *, values: bool = False) -> str:
        """Return the metrics (spec f.5)."""
        text = render(self._metrics(values=values))
        self._watchdog.lag_max = 0.0
        return text

    def _metrics(self, *, values: bool) -> Iterator[Metric]:
        about = {"version": self.version, "python": platform.python_version()}
        yield Metric("hardwired_build_info", 1, about)
        yield Metric("hardwired_start_time_seconds", self.started.timestamp(), {})
        for name, one in self._links.items():
            yield from link_metrics(name, one.link)
            yield from device_metrics(name, one.link, values=values)
        for (sink, link, result), count in sorted(self._commands.items()):
            labels = {"sink": sink, "link": link, "result": result}
            yield Metric("hardwired_commands_total", count, labels)
        yield from sink_metrics(self.sinks)
        yield Metric("hardwired_loop_lag_seconds_max", self._watchdog.lag_max, {})
        process = health_of.process_health(0, 0)
        yield Metric("process_cpu_seconds_total", process["cpu_seconds"], {})
        yield Metric("process_resident_memory_bytes", process["rss"], {})

    def _start_http(self) -> None:
        settings = self._value.get("http")
        if settings is None:
            return
        from ..config.kinds import split_host_port  # noqa: PLC0415 - only where it is wanted
        from ..ops.http import HttpServer, Pages  # noqa: PLC0415

        host, port = split_host_port(settings["listen"])
        pages = Pages(
            self._health_page if settings["health"] else None,
            (lambda: self.metrics(values=settings["values"])) if settings["metrics"] else None,
        )
        token = settings["token"].reveal() if settings["token"] else None
        self.http = HttpServer(host, port, pages, token)
        self._http = asyncio.create_task(self._guard("http", self.http.run))
