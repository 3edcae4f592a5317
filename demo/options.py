"""The command line of the demonstration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .devices import DEVICES
from .texts import LANGUAGES

DEFAULT_PORT = 8123
HIGHEST_PORT = 65535


def port(text: str) -> int:
    """Return a TCP port."""
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no port from 1 to {HIGHEST_PORT}")


def folder(text: str) -> Path:
    """Return a folder that is there; it is made where it is not."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise argparse.ArgumentTypeError(f"{text} is a file, not a folder") from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise argparse.ArgumentTypeError(f"the folder {text} can't be made: {said}") from None
    return path


def read(arguments: Sequence[str] | None, description: str | None) -> argparse.Namespace:
    """Return what the command line says; ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="script/demo", description=description, allow_abbrev=False
    )
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, help="default: %(default)s")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this computer only)"
    )
    parser.add_argument("--folder", type=folder, help="keep the configuration in this folder")
    parser.add_argument(
        "--only",
        action="append",
        choices=[device.family for device in DEVICES],
        help="only this device family (may be repeated)",
    )
    parser.add_argument(
        "--language", choices=LANGUAGES, help=f"default: {LANGUAGES[0]}, or what the folder has"
    )
    parser.add_argument(
        "--pictures",
        type=folder,
        metavar="FOLDER",
        help="write pictures of the pages and end (needs Chromium)",
    )
    return parser.parse_args(arguments)
