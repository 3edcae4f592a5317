"""Called by an old program's name: its call form, its file, its words and exit codes (spec a.2).

A link of that name to ``hardwired`` does it; none is installed by itself, it would hide the old
program. The file is imported at each start.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from ..version import program_version
from .output import STOPPED, answer, tell

UNUSABLE = 78
INVENTUM_FILE = Path("/etc/inventumusb.conf")
XTENDER_FILE = Path("config/user_config.yaml")
TRUMA_FILES = (Path("miqro.yml"), Path("/etc/miqro.yml"))

Run = Callable[[Sequence[str]], int]


def program_of(called: str) -> str | None:
    """Return the old program whose name this is."""
    name = Path(called).name
    return name if name in _PROGRAMS else None


def run(name: str, arguments: Sequence[str], command: Run) -> int:
    """Do what the old program would; *command* is ours. Returns the exit code."""
    return _PROGRAMS[name](arguments, command)


class _Parser(argparse.ArgumentParser):
    """A parser that ends with 2, as argparse does, whatever the program."""


def _bridge(
    program: str, file: Path, command: Run, environ: Mapping[str, str] | None = None
) -> int:
    """Import *file* and bridge; 1 where it can't be used.

    Each file has a state folder of its own: an old program could run twice, with two files.
    *environ* are the variables of the environment, where the old program heeded some.
    """
    from ..bridge.state import state_folder  # noqa: PLC0415 - an old name is rare
    from ..compat.importing import Refused, as_toml, import_file  # noqa: PLC0415

    try:
        found = import_file(program, file.read_bytes(), environ)
    except OSError as error:
        tell(f"Error: {file}: {error.strerror or error}")
        return 1
    except Refused as error:
        tell(f"Error: {file}: {error}")
        return 1
    for one in found.said:
        tell(f"{one.level}: {one.told}")
    told = sha256(str(file.resolve()).encode(errors="surrogateescape")).hexdigest()[:8]
    folder = state_folder(None) / f"dropin-{program}-{told}"
    path = folder / "CONFIG.toml"
    config = {
        **found.config,
        "bridge": {**found.config.get("bridge", {}), "state_dir": str(folder)},
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        tell(f"Error: {path}: {error.strerror or error}")
        return 1
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(as_toml(config, found.said, str(path)))
    code = command(["run", str(path)])
    return 1 if code == UNUSABLE else code


def _sunsniff(arguments: Sequence[str], command: Run) -> int:
    parser = _Parser(prog="sunsniff", description="Hardwired in the place of sunsniff.")
    parser.add_argument("config", type=Path, metavar="CONFIG_FILE")
    version = f"hardwired {program_version()}"
    parser.add_argument("-V", "--version", action="version", version=version)
    level = _rust_level(os.environ.get("RUST_LOG", ""))
    words = ["--log-level", level] if level else []
    file = parser.parse_args(arguments).config
    return _bridge("sunsniff", file, lambda more: command([*words, *more]))


def _rust_level(told: str) -> str | None:
    """Return our level for a text such as ``info`` or ``warn,sunsniff=debug``."""
    levels: dict[str, str] = {}
    for one in told.partition("/")[0].lower().split(","):
        target, _, level = one.strip().rpartition("=")
        levels[target] = level
    return _RUST_LEVELS.get(levels.get("sunsniff", levels.get("", "")))


_RUST_LEVELS = {
    "off": "error",
    "error": "error",
    "warn": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "debug",
}
"""The levels of ``RUST_LOG``, in our words."""


def _truma_service(arguments: Sequence[str], command: Run) -> int:
    parser = _Parser(prog="truma_service", description="Hardwired in the place of inetbox.py.")
    parser.add_argument("--config", "-c", type=Path)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--install-as-user", "-u")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("--mqtt-debug-prefix", "-d")
    options = parser.parse_args(arguments)
    if options.mqtt_debug_prefix:
        tell("Error: --mqtt-debug-prefix is not carried over; set data_topic in a copy of the file")
        return 1
    if options.install or options.install_as_user:
        words = ("-c", str(options.config.absolute())) if options.config else ()
        return _install(
            "miqro_truma", "inetbox.py", words, options.install_as_user or "root", restart_after=20
        )
    level = ["--log-level", "debug"] if options.verbose else []
    places = ([options.config] if options.config else []) + list(TRUMA_FILES)
    for place in places:
        if place.exists():
            return _bridge("inetbox.py", place, lambda words: command([*level, *words]), os.environ)
    tell(f"Error: no configuration: {', '.join(map(str, places))}")
    return 1


XTENDER_UNIT = "xtender_mqtt"
_XTMQ_USAGE = (
    "usage: xtmq help | version | install | run [--config FILE] | uninstall"
    " | service install [USER] | service remove"
)


def _install(
    name: str,
    program: str,
    words: tuple[str, ...],
    user: str,
    *,
    restart_after: int,
    folder: Path | None = None,
) -> int:
    """Write the unit of an old program's name, which calls us by that name."""
    from . import units  # noqa: PLC0415 - rare

    command = (str(Path(sys.argv[0]).absolute()), *words)
    return units.install(
        units.Unit(
            name=name,
            program=program,
            command=command,
            user=user,
            restart_after=restart_after,
            folder=folder,
        )
    )


def _ask_user() -> str:
    """Return who the service runs as: asked at a terminal, else who calls us."""
    own = getpass.getuser()
    if not sys.stdin.isatty():
        return own
    tell(f"Which user runs the service? (xtender_mqtt, {own}, root or another; default {own})")
    return sys.stdin.readline().strip() or own


def _xtender_file(told: Sequence[str]) -> Path:
    """Return the file: the one that is told, else as the old program, relative to where it is."""
    if told:
        return Path(told[0])
    beside = Path(sys.argv[0]).absolute().parent / XTENDER_FILE
    return beside if beside.exists() and not XTENDER_FILE.exists() else XTENDER_FILE


def _xtmq(arguments: Sequence[str], command: Run) -> int:
    match list(arguments):
        case ["run"] | ["run", "--config" | "-c", _]:
            code = _bridge("xtender_mqtt", _xtender_file(arguments[2:]), command)
            return 1 if code == STOPPED else code
        case ["help" | "-h" | "--help"]:
            answer(_XTMQ_USAGE)
            return 0
        case ["version" | "-v" | "--version"]:
            answer(program_version())
            return 0
        case []:
            answer(f"xtmq: hardwired {program_version()} in its place\n{_XTMQ_USAGE}")
            return 0
        case ["install" | "uninstall"]:
            tell("The package manager does that: see standalone/install.")
            return 0
        case ["service", "install", *user] if len(user) < 2:
            who = user[0] if user else _ask_user()
            return _install(
                XTENDER_UNIT, "xtmq", ("run",), who, restart_after=10, folder=Path.cwd()
            )
        case ["service", "remove"]:
            from . import units  # noqa: PLC0415 - rare

            return units.remove(XTENDER_UNIT)
        case _:
            tell(_XTMQ_USAGE)
            return 1


def _inventumusb(arguments: Sequence[str], command: Run) -> int:
    match list(arguments):
        case ["foreground"]:
            return _bridge("inventumusb", INVENTUM_FILE, command)
        case ["start" | "stop" | "restart" as word]:
            tell(f"systemd does that: systemctl {word} hardwired")
            return 1
        case [_]:
            answer("Unknown command")
            return 2
        case _:
            answer(f"usage: {sys.argv[0]} start|stop|restart|foreground")
            return 2


_PROGRAMS: Mapping[str, Callable[[Sequence[str], Run], int]] = {
    "sunsniff": _sunsniff,
    "xtmq": _xtmq,
    "truma_service": _truma_service,
    "Program.py": _inventumusb,
}
