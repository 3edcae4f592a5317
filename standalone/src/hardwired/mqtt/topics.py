"""Where everything of the native dialect lies (spec c.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]+")

RESERVED = frozenset({"availability", "about", "json"})
"""Levels below a device that no field and no composite may be called."""


def slug(text: str) -> str:
    """Return *text* as a level of a topic and a part of an id: letters, digits, ``_``, ``-``."""
    return _OUTSIDE.sub("_", text) or "_"


@dataclass(frozen=True, slots=True)
class SetTopic:
    """What a command's topic names: a field, or with *role* a role of a composite."""

    link: str
    device: str
    """The device's slug."""
    key: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics below a prefix; *discovery* is Home Assistant's prefix."""

    prefix: str = "hardwired"
    discovery: str = "homeassistant"

    @property
    def state(self) -> str:
        """Where the bridge says that it lives; the last will lies here, too."""
        return f"{self.prefix}/bridge/state"

    @property
    def birth(self) -> str:
        """Where Home Assistant says ``online`` when it has started."""
        return f"{self.discovery}/status"

    def bridge(self, leaf: str) -> str:
        """Return a topic of the bridge itself."""
        return f"{self.prefix}/bridge/{leaf}"

    def request(self, verb: str) -> str:
        """Return where a request is made."""
        return f"{self.prefix}/bridge/request/{verb}"

    def response(self, verb: str) -> str:
        """Return where a request is answered."""
        return f"{self.prefix}/bridge/response/{verb}"

    def link(self, link: str, leaf: str) -> str:
        """Return a topic of a link."""
        return f"{self.prefix}/{link}/{leaf}"

    def device(self, link: str, device: str, *levels: str) -> str:
        """Return a topic of a device; *device* is its slug."""
        return "/".join((self.prefix, link, device, *levels))

    def availability(self, link: str, device: str) -> str:
        """Return where a device is said to be there."""
        return self.device(link, device, "availability")

    def announcement(self, ident: str, part: int = 1) -> str:
        """Return where a device is announced; from the second message on with its number."""
        tail = "" if part == 1 else f"_p{part}"
        return f"{self.discovery}/device/{ident}{tail}/config"

    def set_filters(self) -> tuple[str, str]:
        """Return what to subscribe to for commands."""
        return f"{self.prefix}/+/+/+/set", f"{self.prefix}/+/+/+/+/set"

    def read_set(self, topic: str) -> SetTopic | None:
        """Return what a command's topic names; ``None``: it is none."""
        match self._below(topic):
            case [link, device, key, "set"]:
                return SetTopic(link, device, key)
            case [link, device, key, role, "set"]:
                return SetTopic(link, device, key, role)
            case _:
                return None

    def read_request(self, topic: str) -> str | None:
        """Return the verb that a topic requests; ``None``: it is no request."""
        match self._below(topic):
            case ["bridge", "request", verb]:
                return verb
            case _:
                return None

    def _below(self, topic: str) -> list[str]:
        head = f"{self.prefix}/"
        return topic.removeprefix(head).split("/") if topic.startswith(head) else []
