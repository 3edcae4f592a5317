"""Names and notices in the bridge's language (spec c.1, c.8)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardwired.mqtt.bridge_device import ENGLISH
from hardwired.mqtt.texts import names, notice_text
from hardwired_engines.engine import Notice
from hardwired_engines.factory import factories

LANGUAGES = ("nl", "de", "fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_that_is_shown_has_a_name(language: str) -> None:
    missing = []
    for family, factory in factories().items():
        for kind, catalogue in factory.catalogues.items():
            told = names(family, kind, language)
            missing += [
                f"{family}.{key}"
                for key, field in catalogue.items()
                if field.offer.value in {"default", "extra"} and key not in told
            ]
    # What Home Assistant names by its device class alone has no text of its own.
    assert len(missing) <= 12, sorted(set(missing))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_bridges_own_texts_are_all_there(language: str) -> None:
    told = names("bridge", "bridge", language)
    assert told.keys() == ENGLISH.keys()
    for key, text in told.items():
        for word in ("{link}", "{sink}"):
            assert (word in text) == (word in ENGLISH[key])


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_notices(language: str) -> None:
    text = notice_text("truma", Notice("too_slow", {"late": "3", "answered": "9"}), language)
    assert text
    assert "title" not in text
    assert "too slow" not in text
    unknown = notice_text("truma", Notice("never_heard_of", {"a": "b"}), language)
    assert unknown == "never heard of (a: b)"


def test_english_comes_from_the_fields() -> None:
    assert names("truma", "heater", "en") == {}


def test_the_files_are_shipped_with_the_package() -> None:
    import hardwired.mqtt.texts as module

    folder = Path(module.__file__).parent / "names"
    for language in ("en", *LANGUAGES):
        assert json.loads((folder / f"{language}.json").read_text("utf-8"))["bridge"]["notices"]
