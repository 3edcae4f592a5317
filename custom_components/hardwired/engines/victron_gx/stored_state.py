"""What is remembered over restarts: our token, what is switched off, each export's memory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Container, Mapping
from typing import Any

from ..storage import Storage
from .capabilities import Capabilities
from .exporter import Memory


class StoredState:
    """The storage's content, checked: whatever cannot be used begins afresh."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        stored = storage.load()
        self.token = _token(stored.get("token"))
        self.disabled = _texts(stored.get("disabled"))
        self.memories = _memories(stored.get("exports"))
        self.capabilities = Capabilities(stored.get("capabilities"))
        self._saved = self._text()

    def enable(self, key: str, on: bool) -> None:
        """Remember whether an export is switched on."""
        (self.disabled.discard if on else self.disabled.add)(key)

    def keep_only(self, keys: Container[str], entity_ids: frozenset[str]) -> None:
        """Forget exports and entities that are no more."""
        self.memories = {key: one for key, one in self.memories.items() if key in keys}
        self.disabled = {key for key in self.disabled if key in keys}
        self.capabilities.keep_only(entity_ids)

    def _told(self) -> dict[str, Any]:
        return {
            "token": self.token,
            "disabled": sorted(self.disabled),
            "exports": {
                key: {"last_mode": one.last_mode, "named": one.named}
                for key, one in self.memories.items()
            },
        }

    def _text(self) -> str:
        return json.dumps(self._told(), sort_keys=True)

    def save(self) -> None:
        """Write what has changed."""
        text = self._text()
        if text != self._saved or self.capabilities.changed:
            self._saved = text
            self._storage.save({**self._told(), "capabilities": self.capabilities.stored()})


def _token(stored: Any) -> str:
    is_token = isinstance(stored, str) and stored.isascii() and stored.isalnum()
    return stored if is_token and len(stored) == 8 else secrets.token_hex(4)


def _texts(stored: Any) -> set[str]:
    return {one for one in stored if isinstance(one, str)} if isinstance(stored, list) else set()


def _memories(stored: Any) -> dict[str, Memory]:
    found = {}
    for key, told in stored.items() if isinstance(stored, Mapping) else ():
        if isinstance(told, Mapping):
            mode = told.get("last_mode")
            if not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode < 64:
                mode = 0
            found[str(key)] = Memory(mode, told.get("named") is True)
    return found
