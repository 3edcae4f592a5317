"""Units of the old programs' names: systemd starts us in their place (spec a.2)."""

from __future__ import annotations

import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .output import tell

FOLDER = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A service of an old program's name. *command* is our program under its old name."""

    name: str
    program: str
    command: tuple[str, ...]
    user: str
    restart_after: int
    """Seconds; it is always restarted, as the old one was."""
    folder: Path | None = None
    """Where it runs, for a program that looks for its file there."""

    @property
    def text(self) -> str:
        """The unit's file."""
        where = "" if self.folder is None else f"WorkingDirectory={_escaped(str(self.folder))}\n"
        return (
            f"[Unit]\nDescription=Hardwired in the place of {self.program}\n"
            "After=network.target\nStartLimitIntervalSec=0\n\n"
            f"[Service]\nType=notify\nExecStart={' '.join(map(_quoted, self.command))}\n{where}"
            f"ExecReload=/bin/kill -HUP $MAINPID\nUser={self.user}\nSupplementaryGroups=dialout\n"
            f"Restart=always\nRestartSec={self.restart_after}\nWatchdogSec=60\nTimeoutStopSec=30\n"
            "StateDirectory=hardwired\nStateDirectoryMode=0700\nUMask=0077\n\n"
            "[Install]\nWantedBy=multi-user.target\n"
        )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def install(unit: Unit) -> int:
    """Write a unit and say how it is started; returns the exit code."""
    try:
        pwd.getpwnam(unit.user)
    except KeyError:
        tell(f"Error: there is no user {unit.user}: useradd --system {unit.user}")
        return 1
    path = FOLDER / f"{unit.name}.service"
    try:
        path.write_text(unit.text, encoding="utf-8")
    except OSError as error:
        tell(f"Error: {path}: {error.strerror or error}")
        return 1
    _systemctl("daemon-reload")
    tell(f"{path} is written; it runs as {unit.user}.")
    tell(f"Start it now and at each boot: systemctl enable --now {unit.name}")
    return 0


def remove(name: str) -> int:
    """Stop a unit and take it away; returns the exit code."""
    path = FOLDER / f"{name}.service"
    if not path.exists():
        tell(f"{path} is not there.")
        return 0
    _systemctl("disable", "--now", name)
    try:
        path.unlink()
    except OSError as error:
        tell(f"Error: {path}: {error.strerror or error}")
        return 1
    _systemctl("daemon-reload")
    tell(f"{path} is removed.")
    return 0


def _systemctl(*arguments: str) -> None:
    """Tell systemd, where it is there."""
    if shutil.which("systemctl") is not None:
        subprocess.run(["systemctl", *arguments], check=False, capture_output=True, timeout=60)  # noqa: S607
