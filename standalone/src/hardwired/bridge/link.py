"""One ``[devices.NAME]``: its engine, restarted when it fails, and what sinks see of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Any

from hardwired_engines.clock import Clock, load_zone
from hardwired_engines.engine import (
    Command,
    DeviceState,
    Engine,
    EngineError,
    NotConnected,
    Notice,
    Occurrence,
    Reason,
    Snapshot,
)
from hardwired_engines.factory import EngineFactory, Surroundings
from hardwired_engines.fields import Catalogue, Offer
from hardwired_engines.masking import masked_text

from ..config.kinds import SECRET_WAYS
from ..mqtt.texts import notice_text
from ..mqtt.topics import slug
from .sink import StandingNotice, Store
from .tasks import Restarts

_LOGGER = logging.getLogger(__name__)
_UNREADABLE = frozenset(
    {Reason.NOT_FOUND, Reason.NOT_A_CAPTURE, Reason.NO_PERMISSION, Reason.BAD_FILTER}
)

CLOSE_SECONDS = 3.0
READING = frozenset({"read", "refresh", "fast"})
"""Commands that change nothing; all others are refused where ``read_only`` is set."""
_OWN = ("family", "enabled", "area", "sinks", "native", "read_only", "include", "exclude", "adopt")


def engine_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a device's table is the family's: all but what the bridge itself reads."""
    return {
        key: value.reveal() if hasattr(value, "reveal") else value
        for key, value in settings.items()
        if key not in _OWN and key != "legacy" and value is not None and not _unresolved(value)
    }


def _unresolved(value: object) -> bool:
    """Whether a value is a secret that was not looked up."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SECRET_WAYS


class Link:
    """A :class:`.sink.LinkView` that lives.

    *on_snapshot* and *on_occurrence* are the bridge's; *known* is the store of devices seen;
    *mask* hides secrets in what notices say.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        factory: EngineFactory[Any],
        *,
        clock: Clock,
        surroundings: Surroundings,
        known: Store,
        on_snapshot: Callable[[str, Snapshot], None],
        on_occurrence: Callable[[str, Occurrence], None],
        read_only: bool = False,
        language: str = "en",
        mask: Callable[[str], str] = str,
    ) -> None:
        self.name = name
        self.family: str = settings["family"]
        self.factory = factory
        self.settings = settings
        self.zone: tzinfo | None = surroundings.zone
        if settings.get("time_zone"):
            self.zone = load_zone(settings["time_zone"])
        self._clock = clock
        self._surroundings = surroundings
        self._read_only = read_only or bool(settings.get("read_only"))
        self._known_store = known
        self._on_snapshot = on_snapshot
        self._on_occurrence = on_occurrence
        self._language = language
        self._mask = mask
        self._engine_settings = factory.read(engine_settings(settings))
        self.engine: Engine | None = None
        self._snapshot = Snapshot()
        self._notices: dict[tuple[str, str | None], StandingNotice] = {}
        self._known = self._load_known()
        self._wanted: dict[tuple[str, str], float | None] = {}
        self._handles: dict[tuple[str, str], Callable[[], None] | None] = {}
        self._asked_fields: dict[str, Catalogue] = {}
        self._task: asyncio.Task[None] | None = None
        self._restart = asyncio.Event()
        self.changed = asyncio.Event()
        """Set at the next snapshot; another one stands here then."""
        self.since: datetime = clock.now()
        self.restarts = 0
        self._ended = False
        self._told_reason: Reason | None = None
        self._lost_at: float | None = None

    # ------------------------------------------------------------------------- for the sinks

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written."""
        return self._read_only

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    @property
    def notices(self) -> Sequence[StandingNotice]:
        """What the owner should know, in order of age."""
        return tuple(self._notices.values())

    @property
    def known(self) -> Mapping[str, str]:
        """Every device ever seen: id -> slug."""
        return MappingProxyType(self._known)

    def want(self, device: str, key: str, every: float | None = None) -> None:
        """Ask that a value be read; the shortest interval counts."""
        place = (device, key)
        if place in self._wanted:
            before = self._wanted[place]
            if every is None or (before is not None and before <= every):
                return
        self._wanted[place] = every
        self._apply_want(place)

    def forget_wants(self) -> None:
        """The sinks have changed: ask anew."""
        for handle in self._handles.values():
            if handle is not None:
                handle()
        self._handles.clear()
        self._wanted.clear()
        self._asked_fields.clear()
        self._ask_for_shown(self._snapshot)

    def _apply_want(self, place: tuple[str, str]) -> None:
        if self.engine is None:
            return
        if (old := self._handles.pop(place, None)) is not None:
            old()
        self._handles[place] = self.engine.want(*place, self._wanted[place])

    # ------------------------------------------------------------------------ for the bridge

    async def execute(self, command: Command) -> Mapping[str, Any]:
        """Carry out a command. Raises :class:`EngineError`."""
        if self._read_only and command.name not in READING:
            raise EngineError(f"{self.name} only tells; read_only is set", key="read_only")
        if self.engine is None:
            raise NotConnected(f"{self.name} is not connected")
        return await self.engine.execute(command)

    def expected(self, state: DeviceState) -> DeviceState:
        """Return a device as it will be once what is on its way is shown."""
        return state if self.engine is None else self.engine.expected(state)

    def wake(self) -> None:
        """Try again at once."""
        if self.engine is not None:
            self.engine.wake()

    def restart(self) -> None:
        """Stop the engine and start it anew."""
        self._restart.set()

    def forget(self, device: str) -> None:
        """Forget a device that has gone."""
        self._known.pop(device, None)
        self._save_known()

    def secrets(self) -> Iterable[str]:
        """Return what the engine wants masked."""
        return () if self.engine is None else self.engine.secrets()

    @property
    def ended(self) -> bool:
        """Whether the source has come to its end: a capture file."""
        return self._ended or bool(getattr(self.engine, "finished", False))

    @property
    def unreadable(self) -> str | None:
        """Why a source that ends can't be read at all; ``None``: it can, or it has no end."""
        snapshot = self._snapshot
        if snapshot.reason not in _UNREADABLE or not getattr(self.engine, "ends", False):
            return None
        return snapshot.detail or str(snapshot.reason)

    @property
    def tried(self) -> bool:
        """Whether the first attempt is made: the line is open, or it was said why it is not."""
        opened = self.engine is not None and self.engine.statistics.connects > 0
        return opened or self._ended or self._snapshot != Snapshot()

    @property
    def sign_due(self) -> float | None:
        """The monotonic time by which the engine will have moved again."""
        return None if self.engine is None else self.engine.sign_due

    async def run(self) -> None:
        """Live until cancelled."""
        restarts = Restarts()
        while True:
            self._restart.clear()
            began = self._clock.monotonic()
            restarted = await self._run_engine()
            if self._ended:
                await self._restart.wait()
                self._ended = False
                continue
            if restarted:
                restarts.forget()
                continue
            self.restarts += 1
            wait = restarts.wait(self._clock.monotonic() - began)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(wait):
                    await self._restart.wait()

    async def _run_engine(self) -> bool:
        """Run the engine until it ends; return whether that was asked for."""
        try:
            engine = self.factory.make(self._engine_settings, self._surroundings)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the others live on
            self._failed(failure)
            return False
        self.engine = engine
        self._handles.clear()
        for place in self._wanted:
            self._apply_want(place)
        task = asyncio.ensure_future(engine.run(self._take, self._pass_on))
        self._task = task
        restart = asyncio.ensure_future(self._restart.wait())
        try:
            await asyncio.wait({task, restart}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return True
            error = None if task.cancelled() else task.exception()
            if error is None and not task.cancelled():
                self._ended = True
                _LOGGER.info("%s: the source has come to its end", self.name)
            else:
                self._failed(error or RuntimeError("the engine was cancelled"))
            return False
        finally:
            restart.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            self.engine = None
            self._task = None

    def stack(self) -> str:
        """Return where the engine's task stands, for the log."""
        if self._task is None:
            return "no task"
        return "".join(
            f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}; "
            for frame in self._task.get_stack(limit=20)
        )

    def _failed(self, error: BaseException) -> None:
        _LOGGER.error("%s: the engine failed: %s", self.name, error, exc_info=error)
        self._take(
            replace(
                self._snapshot,
                connected=False,
                reason=Reason.FAILED,
                detail=masked_text(str(error))[:200] or type(error).__name__,
            )
        )

    def _pass_on(self, occurrence: Occurrence) -> None:
        self._on_occurrence(self.name, occurrence)

    def _take(self, snapshot: Snapshot) -> None:
        before = self._snapshot
        if snapshot.connected != before.connected or snapshot.reason != before.reason:
            self.since = self._clock.now()
            self._tell(snapshot)
        self._snapshot = snapshot
        if snapshot.notices != before.notices:
            self._renew_notices(snapshot.notices)
        if snapshot.devices.keys() - self._known.keys():
            for ident in snapshot.devices:
                self._note(ident)
            self._save_known()
        self._ask_for_shown(snapshot)
        self._on_snapshot(self.name, snapshot)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def _tell(self, snapshot: Snapshot) -> None:
        """One warning when something is lost, one info on return with the duration."""
        now = self._clock.monotonic()
        if snapshot.connected:
            lasted = "" if self._lost_at is None else f" after {now - self._lost_at:.0f} s"
            _LOGGER.info("%s: connected%s", self.name, lasted)
            self._lost_at = None
        elif snapshot.reason not in {None, Reason.STARTING, Reason.LOGGING_IN}:
            first = self._lost_at is None
            if first:
                self._lost_at = now
            detail = f": {snapshot.detail}" if snapshot.detail else ""
            level = logging.WARNING if first or snapshot.reason is not self._told_reason else 10
            _LOGGER.log(level, "%s: nothing is heard (%s)%s", self.name, snapshot.reason, detail)
            self._told_reason = snapshot.reason

    def _renew_notices(self, notices: Iterable[Notice]) -> None:
        before, self._notices = self._notices, {}
        for notice in notices:
            key = (notice.key, notice.device)
            old = before.get(key)
            since = old.since if old is not None else self._clock.now()
            shown = {word: self._mask(told) for word, told in notice.placeholders.items()}
            told = replace(notice, placeholders=shown)
            text = notice_text(self.family, told, self._language)
            if old is None:
                _LOGGER.warning("%s: %s", self.name, text)
            self._notices[key] = StandingNotice(told, since, text)
        self._notices = dict(sorted(self._notices.items(), key=lambda item: item[1].since))

    def _ask_for_shown(self, snapshot: Snapshot) -> None:
        """Ask for what is shown from the start and what the owner has included (spec c.10)."""
        if self.engine is None:
            return
        included = set(self.settings.get("include") or ())
        for ident, state in snapshot.devices.items():
            if self._asked_fields.get(ident) is state.fields:
                continue
            self._asked_fields[ident] = state.fields
            kind = state.device.kind
            for key, field in state.fields.items():
                named = key in included or f"{kind}.{key}" in included
                if field.readable and (field.offer is Offer.DEFAULT or named):
                    self.want(ident, key)

    # ----------------------------------------------------------------------- devices ever seen

    def _load_known(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for row in self._rows():
            if row["slug"] not in found.values():
                found[row["id"]] = row["slug"]
        return found

    def _rows(self) -> list[dict[str, Any]]:
        """Return what is kept of the devices seen; the file may hold anything."""
        told = self._known_store.load().get("devices")
        mine = told.get(self.name) if isinstance(told, dict) else None
        return [row for row in mine if _is_row(row)] if isinstance(mine, list) else []

    def _note(self, ident: str) -> None:
        if ident in self._known:
            return
        wanted = slug(ident)
        name, number = wanted, 1
        while name in self._known.values():
            number += 1
            name = f"{wanted}_{number}"
        if number > 1:
            _LOGGER.warning("%s: two devices are %s; one is called %s", self.name, wanted, name)
        self._known[ident] = name

    def _save_known(self) -> None:
        data = dict(self._known_store.load())
        told = data.get("devices")
        devices = dict(told) if isinstance(told, dict) else {}
        before = {row["id"]: row for row in self._rows()}
        rows = []
        for ident, name in self._known.items():
            state = self._snapshot.devices.get(ident)
            row = {"id": ident, "slug": name}
            if state is not None:
                row |= {"kind": state.device.kind, "name": state.device.name}
            else:
                row = {**before.get(ident, {}), **row}
            rows.append(row)
        devices[self.name] = rows
        self._known_store.save({**data, "devices": devices})


def _is_row(row: object) -> bool:
    """Whether this can be what was kept of a device."""
    if not isinstance(row, dict):
        return False
    ident, name = row.get("id"), row.get("slug")
    return isinstance(ident, str) and isinstance(name, str) and name == slug(name)
