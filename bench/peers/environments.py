"""Environments of the other programs, made once and kept in the cache folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .._traffic import cache_folder


class NotInstalled(Exception):
    """The program can't be had here; the text is the installer's last word."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program of the package index, and what it is installed by."""

    name: str
    requirements: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.requirements[0].rpartition('==')[2]}"

    def python(self) -> Path:
        """Return its interpreter; installs the program first. Raises :class:`NotInstalled`."""
        mark = sha256("\n".join((sys.version, *self.requirements)).encode()).hexdigest()[:8]
        folder = cache_folder() / "peers" / f"{self.name}-{mark}"
        python = folder / "bin" / "python"
        ready = folder / "ready"
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _call(sys.executable, "-m", "venv", str(folder))
            _call(str(python), "-m", "pip", "install", "--quiet", *self.requirements)
            ready.touch()
        return python


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise NotInstalled(said[-1])


XCOM_PROTO = Peer("xcom-proto", ("xcom-proto==0.3.7",))
PYSTUDERXCOM = Peer("pystuderxcom", ("pystuderxcom==3.7.0",))
INETBOX = Peer("inetbox.py", ("inetbox-py[truma-service]==0.4",))
