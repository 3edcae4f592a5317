"""Whom the native dialect speaks of: the links of its sink, and a voice for each device."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from hardwired_engines.engine import Device, DeviceState, Notice, Severity, Snapshot

from ..bridge.sink import Hub, LinkView, StandingNotice
from ..compat.adopting import Old, old_of
from .announcement import bridge_ident
from .bridge_device import ENGLISH
from .components import Naming, Place
from .native_device import DeviceVoice, Manner
from .texts import names
from .topics import SetTopic, slug

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class LinkMemory:
    """What a link has said last."""

    view: LinkView
    snapshot: Snapshot
    voices: dict[str, DeviceVoice]


class Voices:
    """The links of the sink that have said something, and their devices."""

    def __init__(self, sink: str, manner: Manner, hub: Hub) -> None:
        self._sink = sink
        self._manner = manner
        self._hub = hub
        self._texts = names("bridge", "bridge", manner.language)
        self._owners: dict[str, str] = {}
        self._doubled: dict[tuple[str, str], datetime] = {}
        """Since when another link announces a device: by link and device."""
        self.links: dict[str, LinkMemory] = {}

    def __iter__(self) -> Iterator[DeviceVoice]:
        for memory in self.links.values():
            yield from memory.voices.values()

    @property
    def names(self) -> frozenset[str]:
        """The links of which it speaks, those that have said nothing included."""
        return frozenset(
            name
            for name, view in self._hub.links.items()
            if view.settings.get("native", True) and self._sink in sinks_of(view, self._sink)
        )

    def remember(self, link: str, snapshot: Snapshot) -> dict[str, bool]:
        """Take a snapshot; return which devices changed, each with whether its shape did."""
        view = self._hub.links[link]
        memory = self.links.get(link)
        if memory is None:
            memory = self.links[link] = LinkMemory(view, snapshot, {})
        memory.view, memory.snapshot = view, snapshot
        changed: dict[str, bool] = {}
        for ident, state in snapshot.devices.items():
            voice = memory.voices.get(ident)
            if voice is None:
                voice = memory.voices[ident] = self._voice(view, state)
                voice.take(state)
                changed[ident] = True
            elif voice.state is not state or not voice.present:
                voice.present = True
                changed[ident] = voice.take(state)
        for ident, voice in memory.voices.items():
            if ident not in snapshot.devices and voice.present:
                voice.present = False
                changed[ident] = False
        for voice in memory.voices.values():
            voice.via = self._via(view, voice.state.device, snapshot)
        return changed

    def _voice(self, view: LinkView, state: DeviceState) -> DeviceVoice:
        device = state.device
        place = self.place(view, device)
        kind = device.kind
        owner = self._owners.setdefault(place.ident, view.name)
        if owner != view.name:
            _LOGGER.warning("%s: %s is announced by %s already", view.name, device.id, owner)
            self._doubled[view.name, device.id] = self._hub.moment().wall
        old = self.old(view, state)
        return DeviceVoice(
            self._manner,
            view,
            place,
            state,
            naming=Naming(
                suffix=partial(view.factory.suffix, kind),
                texts=names(view.family, kind, self._manner.language),
                ids={} if old is None else old.ids,
            ),
            identifiers=() if old is None else old.identifiers,
            muted=owner != view.name,
        )

    def old(self, view: LinkView, state: DeviceState) -> Old | None:
        """Return what the old program that the owner names announced of a device (spec d.4)."""
        dialect = view.settings.get("adopt")
        if not dialect:
            return None
        return old_of(dialect, state, view.settings, self._manner.topics.discovery)

    def place(self, view: LinkView, device: Device) -> Place:
        """Return where a device stands: its topics and its ident."""
        own = view.known.get(device.id) or slug(device.id)
        scope = own if view.factory.identified(device) else f"{view.name}_{own}"
        return Place(f"hardwired_{slug(scope)}", view.name, own, self._manner.topics)

    def _via(self, view: LinkView, device: Device, snapshot: Snapshot) -> str:
        via = device.via
        if via is None or via == device.id:
            return bridge_ident(self._hub.settings.get("id", "hardwired"))
        behind = snapshot.devices.get(via)
        found = behind.device if behind is not None else Device(via, device.kind, via)
        return self.place(view, found).ident

    def at(self, told: SetTopic) -> DeviceVoice | None:
        """Return the device that a topic is meant for."""
        memory = self.links.get(told.link)
        if memory is None:
            return None
        return next(
            (voice for voice in memory.voices.values() if voice.place.device == told.device), None
        )

    def pop(self, link: str, device: str) -> tuple[Place, bool] | None:
        """Forget a device; return where it stood, and whether this link announced it.

        ``None`` for a link that is not there.
        """
        memory = self.links.get(link)
        voice = None if memory is None else memory.voices.pop(device, None)
        if voice is not None:
            place = voice.place
        elif (view := self._hub.links.get(link)) is not None:
            place = self.place(view, Device(device, "", device))
        else:
            return None
        self._doubled.pop((link, device), None)
        own = self._owners.get(place.ident, link) == link
        if own:
            self._owners.pop(place.ident, None)
            self._hand_over(place.ident)
        return place, own

    def _hand_over(self, ident: str) -> None:
        """Let another link that shows a device announce it from now on."""
        heir = next((voice for voice in self if voice.place.ident == ident), None)
        if heir is not None:
            self._owners[ident] = heir.link.name
            self._doubled.pop((heir.link.name, heir.state.device.id), None)
            heir.muted = False
            heir.announce_at = 0.0  # at once

    def doubles(self, memory: LinkMemory) -> Iterator[StandingNotice]:
        """Yield a notice for each device that another link announces already."""
        for ident, voice in memory.voices.items():
            if voice.muted:
                owner = self._owners[voice.place.ident]
                notice = Notice("announced_elsewhere", {"link": owner}, Severity.WARNING, ident)
                told = self._texts.get(notice.key, ENGLISH[notice.key])
                since = self._doubled[memory.view.name, ident]
                yield StandingNotice(notice, since, told.replace("{link}", owner))


def sinks_of(view: LinkView, default: str) -> Sequence[str]:
    """Return the sinks that a link speaks to; *default* where CONFIG was not read."""
    found = view.settings.get("sinks")
    return (default,) if found is None else found
