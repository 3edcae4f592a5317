"""Which release of the standalone helper this is."""

from __future__ import annotations


def program_version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("hardwired")
    except PackageNotFoundError:
        return "unknown"
