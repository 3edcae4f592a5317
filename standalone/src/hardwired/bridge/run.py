"""The bridge: links on one side, sinks on the other, one event loop (spec c.11, f.1, f.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from hardwired_engines.clock import Clock, SystemClock

from ..ops.logs import Logs
from ..ops.notify import Notifier
from ..ops.watchdog import Register, Watchdog
from .link import READING, Link
from .report import Report
from .requests import Requests
from .running_links import Outlets, RunningLinks
from .running_sinks import RunningSinks
from .settings import mask_of
from .sink import LinkView, Moment, Outcome, Request, Sink, Store, Unusable, Verb, Wish
from .state import State
from .tasks import cancel, keep_alive

_LOGGER = logging.getLogger(__name__)

READY_WITHIN = 10.0
NO_PROGRESS = 60.0
STATUS_EVERY = 10.0
DAY = 86400.0
_NEEDS_RESTART = ("id", "state_dir")


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
        self.clock = clock or SystemClock()
        self._logs = logs
        self._notifier = notifier or Notifier({})
        self._mask = mask_of(value)
        self.version = version
        self.settings: Mapping[str, Any] = self._bridge_settings(value)
        self.instance = state.instance(self.settings["id"])
        self._sinks = RunningSinks(self, self.clock, self._unusable)
        self._links = RunningLinks(
            state,
            self.clock,
            Outlets(
                snapshot=self._sinks.snapshot,
                occurrence=self._sinks.occurrence,
                answer=self._answer,
                room=self._sinks.room,
                mask=self.mask,
            ),
        )
        self._register = Register()
        self._watchdog = Watchdog(
            self.clock, self._register, self._links.patients, self._notifier, hard=hard_watchdog
        )
        self._report = Report(
            self._links,
            self._sinks,
            self._watchdog,
            version=version,
            clock=self.clock,
            mask=self.mask,
        )
        self.started: datetime = self._report.started
        self._requests = Requests(self)
        self._asked: set[asyncio.Task[None]] = set()
        self._own: list[asyncio.Task[None]] = []
        self._http: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self.ready = False
        """Whether every link and sink has made its first attempt, or had its time for it."""
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
        return MappingProxyType(self._links.by_name)

    @property
    def configured(self) -> frozenset[str]:
        """The names of all links of CONFIG, those that are off included."""
        return frozenset(self._value["devices"])

    @property
    def sinks(self) -> Mapping[str, Sink]:
        """The enabled sinks."""
        return self._sinks.by_name

    def link(self, name: str) -> Link | None:
        """Return a link."""
        return self._links.get(name)

    def moment(self) -> Moment:
        """Return the time."""
        return Moment(self.clock.monotonic(), self.clock.now())

    def mask(self, text: str) -> str:
        """Return *text* without secrets."""
        return self._mask(text)

    def store(self, name: str) -> Store:
        """Return a file of the state folder."""
        return self._state.file(name)

    def report(self, name: str, due: float | None) -> None:
        """Note a report for the watchdog."""
        self._register.report(name, due)

    def health(self) -> Mapping[str, Any]:
        """Return the bridge's health (spec f.4)."""
        return self._report.health()

    def metrics(self, *, values: bool = False) -> str:
        """Return the metrics (spec f.5)."""
        return self._report.metrics(values=values)

    def status(self) -> str:
        """Return how it is in one line."""
        return self._report.status()

    def log_state(self) -> None:
        """Say how every link and sink is: SIGUSR1."""
        self._report.log_state()

    def wish(self, sink: str, wish: Wish) -> None:
        """Queue a wish."""
        link = self._links.get(wish.link)
        if link is None:
            self._answer(sink, wish, Outcome(key="not_connected", text="there is no such link"))
        elif link.read_only and wish.command.name not in READING:
            text = f"{wish.link} only tells; read_only is set"
            self._answer(sink, wish, Outcome(key="read_only", text=text))
        else:
            self._links.wish(sink, wish)

    def request(self, sink: str, request: Request) -> None:
        """Carry out a request."""

        async def carry_out() -> None:
            self._answer(sink, request, await self._requests.carry_out(request))

        task = asyncio.create_task(carry_out())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def _answer(self, sink: str, wish: Wish | Request, outcome: Outcome) -> None:
        if isinstance(wish, Wish):
            self._report.commands[sink, wish.link, outcome.key or "ok"] += 1
        elif wish.verb is Verb.REMOVE and outcome.ok and wish.link and wish.device:
            self._sinks.forgotten(wish.link, wish.device, sink)
        self._sinks.answered(sink, wish, outcome)

    def set_log_level(self, level: str, module: str | None, minutes: int) -> None:
        """Set a level of the log; it goes back by itself."""
        if self._logs is None:
            return
        logs = self._logs
        logs.set(level, module)
        self._later(minutes * 60.0, lambda: logs.apply(logs.settings))

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        async def wait() -> None:
            await self.clock.sleep(seconds)
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

    def _unusable(self, error: Unusable) -> bool:
        """Take note of a sink that can't be used; at the start it ends the program."""
        if self.ready:
            return False
        self._fatal = error
        self._end.set()
        return True

    def _begin(self) -> None:
        self._forget_links()
        for name, settings in self._value["devices"].items():
            if settings["enabled"]:
                self._links.add(name, settings, self._value["bridge"])
        for name, settings in self._value["sinks"].items():
            if settings["enabled"]:
                self._sinks.add(name, settings, self._links)
        self._start_http()
        self._own += [
            asyncio.create_task(self._watchdog.run()),
            asyncio.create_task(self._watchdog.measure_lag()),
            asyncio.create_task(self._say_status()),
        ]
        self._name_in_log()

    def _name_in_log(self) -> None:
        if self._logs is not None:
            self._logs.formatter.names = frozenset({*self._links.by_name, *self._sinks.by_name})

    async def _become_ready(self) -> None:
        until = self.clock.monotonic() + READY_WITHIN
        while self.clock.monotonic() < until and not self._all_have_tried():
            await self.clock.sleep(0.05)
        self.ready = True
        self._notifier.ready()
        _LOGGER.info(
            "%s %s is up: %d links, %d sinks",
            self.settings["name"],
            self.version,
            len(self._links),
            len(self._sinks),
        )

    def _all_have_tried(self) -> bool:
        return self._sinks.tried and all(link.tried for link in self._links)

    async def _say_status(self) -> None:
        told = self.clock.monotonic()
        while True:
            status = self.status()
            self._notifier.status(status)
            if self.clock.monotonic() - told >= DAY:
                told = self.clock.monotonic()
                _LOGGER.info("%s", status)
            await self.clock.sleep(STATUS_EVERY)

    async def _watch_the_end(self) -> None:
        """End by itself when no source has more to say and all is delivered.

        The code is 1 where a file could not be read.
        """
        progress: tuple[int, ...] = ()
        moved = self.clock.monotonic()
        while True:
            await self.clock.sleep(0.2)
            lost = [link for link in self._links if link.unreadable is not None]
            if not len(self._links) or not all(one in lost or one.ended for one in self._links):
                moved = self.clock.monotonic()
                continue
            now = tuple(sink.health.waiting for sink in self.sinks.values())
            if self._sinks.delivered or (lost and not any(now)):
                for link in lost:
                    _LOGGER.error("%s: %s", link.name, link.unreadable)
                self.end(1 if lost else 0)
                return
            if now != progress:
                progress, moved = now, self.clock.monotonic()
            elif self.clock.monotonic() - moved > NO_PROGRESS:
                _LOGGER.error("the source has ended; not all is delivered, %d wait", sum(now))
                self.end(4)
                return

    async def _stop(self) -> None:
        """Stop in order, within ``stop_timeout`` (spec f.2)."""
        self._notifier.stopping()
        timeout = self.settings["stop_timeout"]
        deadline = self.clock.monotonic() + timeout
        self._links.close()
        self._sinks.close()
        await self._links.stop()
        late = await self._sinks.stop(deadline)
        if late:
            _LOGGER.warning("not ended in order within %.0f s: %s", timeout, ", ".join(late))
        await cancel([*self._own, *self._asked, *([self._http] if self._http else [])])
        await asyncio.to_thread(self._state.flush)

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
        links_changed = await self._links.reload(before, value)
        self._forget_links()
        await self._sinks.reload(
            {name: one for name, one in value["sinks"].items() if one["enabled"]},
            self._links,
            self.clock.monotonic() + self.settings["stop_timeout"],
            all_anew=bridge_changed,
            links_changed=links_changed,
        )
        if before.get("http") != value.get("http"):
            if self._http is not None:
                await cancel([self._http])
                self._http = None
            self._start_http()
        self._name_in_log()
        for sink in self.sinks.values():
            sink.wake()
        for link in self._links:
            link.wake()
        self._notifier.ready()
        _LOGGER.info("CONFIG was read again")

    # -------------------------------------------------------------------------------- HTTP

    def _start_http(self) -> None:
        settings = self._value.get("http")
        if settings is None:
            return
        from ..config.kinds import split_host_port  # noqa: PLC0415 - only where it is wanted
        from ..ops.http import HttpServer, Pages  # noqa: PLC0415

        host, port = split_host_port(settings["listen"])
        pages = Pages(
            self._report.health_page if settings["health"] else None,
            (lambda: self.metrics(values=settings["values"])) if settings["metrics"] else None,
        )
        token = settings["token"].reveal() if settings["token"] else None
        self.http = HttpServer(host, port, pages, token)
        self._http = asyncio.create_task(keep_alive(self.clock, "http", self.http.run))
