"""Names of fields and of the bridge's own entities in its language.

They come from the same source as the integration's translations: one JSON file a language,
``{family: {kind or *: {key: name}}}``, beside this module. A missing file or name stays English.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from hardwired_engines.engine import Notice

_NONE: Mapping[str, str] = {}
ANY_KIND = "*"
"""A key has one name in all kinds of a family's devices."""


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
    told = _language(language).get(family, {})
    found = told.get(kind, told.get(ANY_KIND, _NONE))
    if not isinstance(found, Mapping):
        return _NONE
    # A kind's own name (``KIND_KEY``) goes before the family's.
    own = f"{kind}_"
    more = {key.removeprefix(own): text for key, text in found.items() if key.startswith(own)}
    return {**found, **more}


def notice_text(family: str, notice: Notice, language: str) -> str:
    """Return a notice in words; what it concerns stands behind."""
    notices = _language(language).get("bridge", {}).get("notices", _NONE)
    for key in (f"{family}_{notice.key}", notice.key):
        told = notices.get(key)
        if isinstance(told, str):
            for word, value in notice.placeholders.items():
                told = told.replace(f"{{{word}}}", value)
            if notice.device is not None:
                told = told.replace("{device}", notice.device)
            return told
    words = notice.key.replace("_", " ")
    more = ", ".join(f"{key}: {value}" for key, value in notice.placeholders.items())
    return f"{words} ({more})" if more else words
