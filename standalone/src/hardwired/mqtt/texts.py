"""Names of fields and of the bridge's own entities in its language.

They come from the same source as the integration's translations: one JSON file a language,
``{family: {kind: {key: name}}}``, beside this module. A missing file or name stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

_NONE: Mapping[str, str] = {}


@lru_cache(maxsize=4)
def _language(language: str) -> Mapping[str, Any]:
    place = files(__package__).joinpath("names", f"{language}.json")
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def names(family: str, kind: str, language: str) -> Mapping[str, str]:
    """Return the names by key; empty for English, which the fields bring."""
    if language == "en":
        return _NONE
    found = _language(language).get(family, {}).get(kind, _NONE)
    return found if isinstance(found, Mapping) else _NONE
