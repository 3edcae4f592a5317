"""What Home Assistant was told, over restarts: so that it can be taken back (spec c.8, d.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hardwired_engines.plain import read_json

from ..bridge.sink import Store
from .announcement import ORIGIN, Announced


class AnnouncedDevices:
    """By ident what was announced, by a device's topic its leaves, by ident who gave it to us."""

    def __init__(self, store: Store) -> None:
        self._store = store
        memory = store.load()
        self.devices: dict[str, Announced] = {
            ident: {topic: _texts(keys) for topic, keys in _object(told).items()}
            for ident, told in _object(memory.get("announced")).items()
        }
        self.leaves: dict[str, list[str]] = {
            base: [one for one in told if isinstance(one, str)]
            for base, told in _object(memory.get("topics")).items()
            if isinstance(told, list)
        }
        """By a device's topic the ends of all its topics: to empty them one day."""
        self.links = _names(memory.get("links"))
        self.sinks = _names(memory.get("sinks"))
        """Of whom it was said how they are: to empty that one day, too."""
        self.adopted: dict[str, str] = _texts(memory.get("adopted"))
        """By ident the old program whose entities have moved to us."""

    def of(self, ident: str) -> Announced:
        """Return what was announced of a device: by topic the platforms by key."""
        return self.devices.get(ident, {})

    def has_new(self, ident: str, keys: Iterable[str]) -> bool:
        """Whether one of *keys* was not announced yet."""
        known = {key for told in self.of(ident).values() for key in told}
        return any(key not in known for key in keys)

    def keep_leaves(self, base: str, leaves: Iterable[str]) -> None:
        """Remember topics of a device."""
        known = dict.fromkeys(self.leaves.get(base, ()))
        self.leaves[base] = [*(known | dict.fromkeys(leaves))]

    def recall(self, retained: Mapping[str, bytes], bridge_state: str) -> None:
        """Learn from the broker what was announced by a bridge with this state topic."""
        for topic, payload in retained.items():
            ident, platforms = _announced_in(payload, bridge_state)
            if ident is not None and platforms:
                self.devices[ident] = {**self.of(ident), topic: platforms}

    def topics_of(self, program: str) -> tuple[str, ...]:
        """Return our discovery topics of what came from an old program."""
        return tuple(
            topic
            for ident, origin in self.adopted.items()
            if origin == program
            for topic in self.of(ident)
        )

    def give_back(self, program: str) -> None:
        """Forget what an old program has got back."""
        for ident in [one for one, origin in self.adopted.items() if origin == program]:
            del self.adopted[ident]
            self.devices.pop(ident, None)
        self.save()

    def save(self) -> None:
        """Keep it."""
        told: dict[str, Any] = {"announced": dict(self.devices), "topics": dict(self.leaves)}
        told |= {"links": sorted(self.links), "sinks": sorted(self.sinks)}
        if self.adopted:
            told["adopted"] = dict(self.adopted)
        self._store.save(told)


def _object(told: object) -> Mapping[str, Any]:
    """Return what a state file holds where an object should be; it may hold anything."""
    return told if isinstance(told, dict) else {}


def _names(told: object) -> set[str]:
    return {one for one in told if isinstance(one, str)} if isinstance(told, list) else set()


def _texts(told: object) -> dict[str, str]:
    return {key: text for key, text in _object(told).items() if isinstance(text, str)}


def _announced_in(payload: bytes, bridge_state: str) -> tuple[str | None, dict[str, str]]:
    """Return whose announcement a payload is and its platforms, if it is ours."""
    try:
        told = read_json(payload)
        ours = told["origin"]["name"] == ORIGIN and told["availability"][0]["topic"] == bridge_state
        if not ours:
            return None, {}
        platforms = {str(key): str(one["platform"]) for key, one in told["components"].items()}
        return str(told["device"]["identifiers"][0]), platforms
    except (ValueError, LookupError, TypeError, AttributeError):
        return None, {}
