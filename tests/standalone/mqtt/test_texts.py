"""Names in the bridge's language (spec c.8)."""

from __future__ import annotations

import pytest

from hardwired.mqtt.bridge_device import ENGLISH
from hardwired.mqtt.texts import names
from hardwired_engines.factory import factories

LANGUAGES = ["nl", "de", "fr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_every_family_has_a_name(language: str) -> None:
    missing = []
    for family, factory in factories().items():
        for kind, catalogue in factory.catalogues.items():
            # What a composite covers has no name in the integration, where it is not shown.
            covered = {key for one in factory.composites(kind) for key in one.covers}
            known = names(family, kind, language).keys() | covered
            missing += [
                f"{family}.{kind}.{key}"
                for key, field in catalogue.items()
                if field.offer.value in ("default", "extra") and key not in known
            ]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_bridges_own_names(language: str) -> None:
    told = names("bridge", "bridge", language)
    assert ENGLISH.keys() <= told.keys()
    for key, english in ENGLISH.items():
        assert ("{link}" in told[key]) == ("{link}" in english)
        assert ("{sink}" in told[key]) == ("{sink}" in english)


def test_english_is_the_fields_own() -> None:
    assert names("truma", "heater", "en") == {}
