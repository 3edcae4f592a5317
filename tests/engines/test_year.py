"""A month of each family's simulated year (bench/year), as far as it fits in some seconds.

``pace`` makes devices be asked, and be awake, so many times more seldom. The lives begin ten days
before the night with one hour more.
"""

from __future__ import annotations

import pytest

from bench import year

LIVES = {
    "inventum": (30, 1),
    "studer": (12, 4),
    "sunsynk_live": (12, 2),
    "sunsynk_modbus": (30, 4),
    "truma": (30, 2),
    "victron_gx": (30, 4),
}
"""Days and pace by family."""


def test_every_life_is_played() -> None:
    assert LIVES.keys() == year.FAMILIES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("family", LIVES)
def test_nothing_wrong_is_shown_and_nothing_needs_a_restart(family: str) -> None:
    days, pace = LIVES[family]
    figures = year.play(family, days, seed=7, pace=pace)
    assert [key for key in figures if f"``{key}``" not in (year.__doc__ or "")] == ["family"]
    assert figures["checked"] > 200
    assert figures["wrong"] == 0, figures["examples"]
    assert figures["stuck"] == 0, figures["ill"]
    assert figures["recovered_s"] is not None
    assert figures["counters_fallen"] == 0, figures["examples"]
    assert figures["counters_wrong"] == {}
    assert figures.get("ended_by_itself", 0) == 0
    assert figures["happened"].get("restart", 0) + figures["happened"].get("kill", 0) > 2
    wishes = figures.get("commands") or figures.get("wishes")
    if wishes is not None:
        assert 3 * wishes["confirmed"] > sum(wishes.values()), wishes
    first, last = figures["file_bytes"]
    assert last <= 2 * first + 1000
