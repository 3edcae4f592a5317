"""Whose a file is that is not ours: the marks of the old programs' files (spec a.2, d.3).

A file is known by its first level alone, whatever its values are, so that one with a mistake in
it is named, too. Nothing here needs a YAML parser.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping

SUNSNIFF, XTENDER, INETBOX, INVENTUMUSB = "sunsniff", "xtender_mqtt", "inetbox.py", "inventumusb"

SUNSNIFF_SECTIONS = frozenset({"pcap", "modbus", "influxdb2"})
_TOML = re.compile(rf"^[ \t]*\[\[?[ \t]*(?:{'|'.join(SUNSNIFF_SECTIONS)})[ \t]*\]", re.MULTILINE)
_INI = re.compile(r"^[ \t]*\[(?:inventum|mqtt)\]", re.MULTILINE)
_FIRST = re.compile(r"^([ \t]*)(?=[^\s#%])(?!---)(\{?)", re.MULTILINE)


def _is_sunsniff(text: str) -> bool:
    try:
        return bool(SUNSNIFF_SECTIONS & tomllib.loads(text).keys())
    except (ValueError, RecursionError, ArithmeticError):
        return _TOML.search(text) is not None


def _has_key(*keys: str) -> Callable[[str], bool]:
    """Return whether a YAML file has one of *keys* at its first level, quoted or not."""
    key = rf"""(["']?)(?:{"|".join(keys)})\1\s*:"""
    in_braces = re.compile(rf"[{{,]\s*{key}")

    def has(text: str) -> bool:
        first = _FIRST.search(text)
        if first is None:
            return False
        if first[2]:
            return in_braces.search(text) is not None
        return re.search(rf"^{re.escape(first[1])}{key}", text, re.MULTILINE) is not None

    return has


MARKS: Mapping[str, Callable[[str], bool]] = {
    SUNSNIFF: _is_sunsniff,
    XTENDER: _has_key("mqtt_setup"),
    INETBOX: _has_key("broker", "services"),
    INVENTUMUSB: lambda text: _INI.search(text) is not None,
}
"""By program, in the order in which they are tried: whether a file is its own."""


def program_of(text: str) -> str | None:
    """Return the old program whose file this is; ``None``: no one's."""
    return next((name for name, is_its in MARKS.items() if is_its(text)), None)
