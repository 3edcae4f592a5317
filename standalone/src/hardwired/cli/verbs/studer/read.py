"""``hardwired read studer``: datapoints of one device."""

from __future__ import annotations

import argparse
import asyncio

from .commands import add_device, execute


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``read``."""
    add_device(parser)
    parser.add_argument("id", type=int, nargs="+", metavar="ID", help="numbers of datapoints")
    parser.add_argument(
        "--property",
        choices=("value", "min", "max", "level", "ram"),
        default="value",
        help="what of a parameter (default: value)",
    )
    parser.add_argument("--format", help="of a number that is in no table (default: FLOAT)")


def run(options: argparse.Namespace) -> int:
    """Read datapoints of one device and print one JSON object each."""
    asked = [
        {
            "id": number,
            "property": options.property,
            **({} if options.format is None else {"format": options.format}),
        }
        for number in options.id
    ]
    return asyncio.run(execute(options, "read", asked))
