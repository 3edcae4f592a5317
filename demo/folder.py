"""The folder of a demonstration: one at a time runs in it; what an earlier one has left there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .texts import LANGUAGES

LOCK = "demo.lock"


class InUse(Exception):
    """Another demonstration runs on the folder; the message says which."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """Keep the folder for this process; yields the lock's file, for those who live as long.

    It is held until the last process that has the file has ended: a Home Assistant that outlives
    its demonstration keeps it, too. Raises :class:`InUse`.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(number, 20).decode(errors="replace").strip() or "unknown"
            raise InUse(
                f"A demonstration runs on {folder} already (process {other}): "
                "end it first, or choose another --folder."
            ) from None
        os.ftruncate(number, 0)
        os.write(number, f"{os.getpid()}\n".encode())
        yield number
    finally:
        os.close(number)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier demonstration has set up in its folder."""

    language: str
    families: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> Kept | None:
        """Return what the folder holds; ``None`` before there is a user."""
        try:
            auth = json.loads((folder / ".storage" / "auth").read_text(encoding="utf-8"))
            if not any(not user["system_generated"] for user in auth["data"]["users"]):
                return None
            text = (folder / "configuration.yaml").read_text(encoding="utf-8")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        language = re.search(r"^  language: (\w+)$", text, re.MULTILINE)
        return cls(language[1] if language else LANGUAGES[0], _families(folder))

    def unlike(self, language: str | None, only: Sequence[str] | None) -> Iterator[str]:
        """Yield what is said of options that a folder can't be given afterwards."""
        if language not in (None, self.language):
            yield f"--language {language} is not applied: the folder is in {self.language}."
        if only and set(only) != self.families:
            there = ", ".join(sorted(self.families)) or "no device"
            yield f"--only {', '.join(only)} is not applied: the folder has {there}."


def _families(folder: Path) -> frozenset[str]:
    try:
        path = folder / ".storage" / "core.config_entries"
        entries = json.loads(path.read_text(encoding="utf-8"))["data"]["entries"]
        ours = (one["data"] for one in entries if one["domain"] == "hardwired")
        return frozenset(data["family"] for data in ours)
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
