"""``hardwired simulate gx``: a Victron GX with its driver and Wi-Fi devices, to try things on.

The stand-ins and the driver lie beside the package's own source, or in the installed package.
They share no code with it, and are imported when they are asked for only.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from hardwired_engines.engine import LinkError, Reason

PLACES = (Path(__file__).parents[3] / "_venus", Path(__file__).parents[5] / "venus")
"""Where the stand-ins are: in the installed package, beside the source."""


def _reach() -> bool:
    """Make the stand-ins importable; says whether they are there."""
    for place in PLACES:
        if (place / "gx/play.py").exists():
            if str(place) not in sys.path:
                sys.path.append(str(place))
            return True
    return importlib.util.find_spec("gx") is not None


def _lacking() -> str | None:
    """Return what is needed and not there."""
    if not _reach():
        return "the stand-ins of a GX are not part of this file: install the package with pip"
    if importlib.util.find_spec("dbus_fast") is None:
        return "dbus-fast is needed: pip install 'hardwired[gx]'"
    return None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; none where the stand-ins are not there, which ``run`` says."""
    if _lacking() is None:
        from gx.__main__ import configure as configure_gx  # noqa: PLC0415

        configure_gx(parser)


def run(options: argparse.Namespace) -> int:
    """Play until it is stopped."""
    if (text := _lacking()) is not None:
        raise LinkError(Reason.FAILED, text)
    from gx.__main__ import run as run_gx  # noqa: PLC0415

    return run_gx(options)
