"""``hardwired import PROGRAM FILE``: the file of an old program to one of ours (spec d.3)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ..output import emit, tell

HELP = "turn the configuration of an old program into a CONFIG.toml"
EXAMPLES = (
    "hardwired import auto /etc/sunsniff.toml -o CONFIG.toml",
    "hardwired import xtender_mqtt config.yaml --json",
)
SECRETS = frozenset({"password", "token", "key_password", "login_code", "challenge_code"})
PROGRAMS = ("auto", "sunsniff", "inetbox.py", "xtender_mqtt", "inventumusb")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("program", choices=PROGRAMS, metavar="PROGRAM", help=", ".join(PROGRAMS))
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write there, mode 0600")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    parser.add_argument("--secrets", type=Path, metavar="FOLDER", help="passwords go into files")
    parser.add_argument("--json", action="store_true", help="one object: config and said")


def run(options: argparse.Namespace) -> int:
    """Import; returns the exit code."""
    from ...compat.importing import Refused, as_toml, import_file  # noqa: PLC0415 - YAML

    if options.output is not None and options.output.exists() and not options.force:
        tell(f"hardwired: {options.output} exists; --force writes over it")
        return 1
    content = options.file.read_bytes()
    try:
        found = import_file(options.program, content)
    except Refused as error:
        tell(f"{options.file}: {error}")
        return 1
    config = found.config
    if options.secrets is not None:
        config = _secrets_to_files(config, options.secrets)
    if options.json:
        emit({"config": config, "said": [one.as_dict() for one in found.said]})
        return 0
    for one in found.said:
        tell(f"{one.level}: {one.told}")
    text = as_toml(config, found.said)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    file = os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)
    return 0


def _secrets_to_files(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put each password into a file of its own and refer to it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = dict(config)
    for section in ("devices", "sinks"):
        found[section] = {
            name: {
                key: _to_file(folder / f"{name}.{key}", key, value) for key, value in told.items()
            }
            for name, told in config[section].items()
        }
    return found


def _to_file(path: Path, key: str, value: Any) -> Any:
    if key not in SECRETS or not isinstance(value, str):
        return value
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(f"{value}\n")
    return {"file": str(path.resolve())}
