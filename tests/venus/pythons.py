"""The Pythons that the bundle is run with: as old as a GX's, and newer ones.

$HARDWIRED_VENUS_PYTHONS names interpreters to take (separated by colons); without it they are
looked for among what pyenv and uv have, by version.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

# Venus OS up to 3.5x has 3.8, from 3.60 on 3.12; 3.14 is Home Assistant's (spec G.2).
WANTED = ("3.8", "3.12", "3.14")


def _version(path: str) -> str | None:
    code = "import sys, asyncio, ssl; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run(
            [path, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _candidates(version: str) -> list[str]:
    home = Path.home()
    cache = Path(os.environ.get("HARDWIRED_CACHE", home / ".cache/hardwired"))
    places = (
        (home / ".pyenv/versions", f"{version}.*/bin/python{version}"),
        (home / ".local/share/uv/python", f"*{version}*/bin/python{version}"),
        (cache / "python", f"*{version}*/bin/python{version}"),
        (Path(__file__).parents[2] / ".venv", "*/bin/python"),
    )
    found = [str(path) for folder, pattern in places for path in sorted(folder.glob(pattern))]
    found.append(shutil.which(f"python{version}") or "")
    return [path for path in found if path]


@functools.cache
def pythons() -> dict[str, str]:
    """Return version -> path of the interpreters to be had; never empty."""
    named = os.environ.get("HARDWIRED_VENUS_PYTHONS")
    if named:
        return {_version(path) or path: path for path in named.split(":")}
    found = {}
    for version in WANTED:
        for path in _candidates(version):
            if _version(path) == version:
                found[version] = path
                break
    return found or {".".join(map(str, sys.version_info[:2])): sys.executable}


def oldest_and_newer() -> list[str]:
    """Return the versions that the vectors are run with: the oldest, and one of 3.12 or newer."""
    versions = sorted(pythons(), key=lambda it: tuple(map(int, it.split("."))))
    newer = [it for it in versions if tuple(map(int, it.split("."))) >= (3, 12)]
    return list(dict.fromkeys([versions[0], *(newer[:1] or versions[-1:])]))
