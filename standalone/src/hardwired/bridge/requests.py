"""Carrying out what is asked of the bridge itself (spec c.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from hardwired_engines.plain import plain

from .link import Link
from .sink import LinkView, Outcome, Request, Verb

READ_SECONDS = 10.0


class Answering(Protocol):
    """The bridge, as requests need it."""

    @property
    def links(self) -> Mapping[str, LinkView]:
        """The enabled links."""

    def link(self, name: str) -> Link | None:
        """Return a link."""

    def health(self) -> Mapping[str, Any]:
        """Return the bridge's health."""

    def set_log_level(self, level: str, module: str | None, minutes: int) -> None:
        """Set a level of the log; it goes back by itself."""

    def end(self, code: int = 0) -> None:
        """End in order."""


class Requests:
    """Carries out requests that were checked."""

    def __init__(self, bridge: Answering) -> None:
        self._bridge = bridge

    async def carry_out(self, request: Request) -> Outcome:
        """Return what became of *request*."""
        bridge = self._bridge
        link = None if request.link is None else bridge.link(request.link)
        match request.verb:
            case Verb.HEALTH:
                return Outcome(data=bridge.health())
            case Verb.NOTICES:
                return Outcome(data={"notices": self._notices(request.link)})
            case Verb.LOG_LEVEL if request.level is not None:
                bridge.set_log_level(request.level, request.module, request.minutes or 60)
                return Outcome()
            case Verb.STOP:
                asyncio.get_running_loop().call_later(0.2, bridge.end)
                return Outcome()
        if link is None:
            return Outcome(key="unknown_link", text=f"there is no link {request.link!r}")
        match request.verb:
            case Verb.REFRESH:
                link.wake()
            case Verb.RESTART:
                link.restart()
            case Verb.READ:
                return await self._read(link, request)
            case Verb.REMOVE:
                return self._remove(link, request.device or "")
        return Outcome()

    def _notices(self, only: str | None) -> dict[str, Any]:
        return {
            name: [
                {
                    "key": told.notice.key,
                    "severity": told.notice.severity.value,
                    "device": told.notice.device,
                    "text": told.text,
                    "since": plain(told.since),
                    "placeholders": dict(told.notice.placeholders),
                }
                for told in link.notices
            ]
            for name, link in self._bridge.links.items()
            if only in {None, name}
        }

    async def _read(self, link: Link, request: Request) -> Outcome:
        """Have values read that are not polled; wait for them."""
        device, engine = request.device or "", link.engine
        if engine is None or not link.snapshot.connected:
            return Outcome(key="not_connected", text=f"{link.name} is not connected")
        handles = [engine.want(device, key) for key in request.keys]
        try:
            async with asyncio.timeout(READ_SECONDS):
                while not self._there(link, device, request.keys):
                    await link.changed.wait()
        except TimeoutError:
            return Outcome(key="not_confirmed", text=f"{device} did not answer in time")
        finally:
            for handle in handles:
                if handle is not None:
                    handle()
        state = link.snapshot.devices[device]
        values = {key: plain(state.values.get(key)) for key in request.keys}
        return Outcome(state=state, data={"values": values})

    @staticmethod
    def _there(link: Link, device: str, keys: tuple[str, ...]) -> bool:
        state = link.snapshot.devices.get(device)
        return state is not None and all(key in state.values for key in keys)

    @staticmethod
    def _remove(link: Link, device: str) -> Outcome:
        if link.snapshot.connected and device in link.snapshot.devices:
            return Outcome(key="busy", text=f"{device} is there; only one that has gone is removed")
        link.forget(device)
        return Outcome()
