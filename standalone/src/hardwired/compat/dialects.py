"""The old programs' dialects, by the name that CONFIG gives them (spec b.2, d.1).

Each program is a package here with ``make(settings, link, hub, sink)``; it is imported when an
entry names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..bridge.sink import Dialect, Hub, LinkView

PACKAGES: Mapping[str, str] = {
    "inetbox.py": "inetbox",
    "inetbox2mqtt": "inetbox2mqtt",
    "xtender_mqtt": "xtender",
    "sunsniff": "sunsniff",
    "inventumusb": "inventumusb",
}


def make_dialect(settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> Dialect:
    """Return the dialect of one ``[[devices.NAME.legacy]]``; *sink* is the name of its sink."""
    package = PACKAGES[settings["dialect"]]
    found: Dialect = import_module(f"{__package__}.{package}.dialect").make(
        settings, link, hub, sink
    )
    return found
