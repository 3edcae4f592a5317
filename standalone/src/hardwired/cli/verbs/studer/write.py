"""``hardwired write studer``: a parameter of one device."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from datetime import time

from hardwired_engines.fields import Value

from .commands import add_device, execute


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``write``."""
    add_device(parser)
    parser.add_argument("id", type=int, metavar="ID", help="the number of a parameter")
    parser.add_argument("value", help="a number, true, false, a time (13:41), the name of a choice")
    parser.add_argument(
        "--persistent",
        action="store_true",
        help="into flash, which wears out: 1000 writes are guaranteed (default: into RAM)",
    )
    parser.add_argument(
        "--confirm", metavar="ID", help="the number again, for parameters that can stop the plant"
    )


def run(options: argparse.Namespace) -> int:
    """Write one parameter of one device; every limit and safeguard holds."""
    wish: dict[str, Value] = {
        "id": options.id,
        "value": _value(options.value),
        "persistent": options.persistent,
    }
    if options.confirm is not None:
        wish["confirm"] = options.confirm
    return asyncio.run(execute(options, "write", [wish]))


def _value(text: str) -> Value:
    with contextlib.suppress(ValueError):
        return float(text)
    with contextlib.suppress(ValueError):
        if ":" in text:
            return time.fromisoformat(text)
    return {"true": True, "on": True, "false": False, "off": False}.get(text.lower(), text)
