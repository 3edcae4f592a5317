"""The engine on the simulator: whatever happens, no value is shown that was never true."""

from __future__ import annotations

from typing import Any

import pytest

from bench._scom import Trial
from bench.scom_faults import SCENARIOS, play_variant
from hardwired_engines.studer.scom.frame import ObjectType
from hardwired_engines.studer.simulator.devices import Contact
from hardwired_engines.studer.simulator.truth import Event

pytestmark = pytest.mark.slow

LOST_ANSWER = 3.5
"""Seconds: a time-out and the silence after it."""


@pytest.mark.parametrize("seed", range(12))
def test_mixtures_of_faults(seed: int) -> None:
    result = play_variant(seed)
    assert result["wrong"] == []
    assert result["published"] > 100
    assert result["recovered"] is not None
    if result["dropped"]:
        assert result["noticed"] is not None
        assert result["asked"] <= 2, "one question and its repetition"
        # One cycle, one time-out; every further answer that gets lost costs its time-out too.
        others = max(0, result["lost"] - 1)
        assert result["noticed"] <= 5 + 3 + 2 + LOST_ANSWER * others


@pytest.mark.parametrize("phase", range(10))
async def test_a_lost_unit_is_noticed_within_a_cycle_and_a_timeout(phase: int) -> None:
    """On a good line, wherever in the cycle it drops out."""
    trial = Trial.begin({"xtenders": "6", "variotracks": "1", "bsp": "1", "messages": "0"})
    try:
        assert await trial.until(lambda: trial.everybody(6)) is not None
        await trial.pass_(30 + phase * 0.5)
        trial.world.inject("drop", trial.clock.monotonic(), address=103, away=40)
        noticed = await trial.until(lambda: trial.presence(103) != "online", 60)
        assert noticed is not None
        assert noticed <= 5 + 3 + 2
    finally:
        await trial.end()


@pytest.mark.parametrize("fault", SCENARIOS.values(), ids=SCENARIOS)
async def test_single_faults(fault: str) -> None:
    name, *pairs = fault.split(":")
    trial = Trial.begin({"xtenders": "6"})
    try:
        assert await trial.until(lambda: trial.everybody(6)) is not None
        options: dict[str, Any] = dict(pair.split("=") for pair in pairs)
        trial.world.inject(name, trial.clock.monotonic(), **options)
        await trial.pass_(60)
        assert trial.auditor.wrong == []
        assert trial.everybody(6)
    finally:
        await trial.end()


@pytest.mark.parametrize("missing", ["zero", "nan", "omit"])
async def test_whatever_multi_info_holds_for_a_lost_unit(missing: str) -> None:
    trial = Trial.begin({"xtenders": "6", "missing": missing})
    try:
        assert await trial.until(lambda: trial.everybody(6)) is not None
        lost = trial.unit(104)
        trial.world.inject("drop", trial.clock.monotonic(), address=104, away=60)
        assert await trial.until(lambda: not trial.available(lost)) is not None
        assert await trial.until(lambda: trial.everybody(6)) is not None
        assert trial.auditor.wrong == []
        assert trial.engine.statistics.reconnects == 0
    finally:
        await trial.end()


@pytest.mark.parametrize("missing", ["zero", "nan", "omit"])
async def test_a_unit_that_is_away_for_the_moment_of_a_multi_info_answer(missing: str) -> None:
    """It answers before and after: nothing but the answer itself tells that it was away."""
    trial = Trial.begin({"xtenders": "6", "missing": missing, "hiccup_ms": "0"})
    away = 0

    def blink(event: Event) -> None:
        nonlocal away
        if event.kind == "request":
            gone = event.details["type"] == ObjectType.MULTI_INFO
            away += gone
            trial.world.device(104).contact = Contact.GONE if gone else Contact.PRESENT

    try:
        assert await trial.until(lambda: trial.everybody(6)) is not None
        trial.world.journal.listen(blink)
        lost = trial.unit(104)
        before = trial.auditor.published
        await trial.pass_(60)
        assert away > 5
        assert trial.auditor.published > before + 100
        assert trial.auditor.wrong == []
        assert trial.available(lost)
        assert trial.engine.snapshot.value(lost, "output_current") is not None
    finally:
        await trial.end()


@pytest.mark.parametrize(
    "query",
    [
        {"battery": "24"},
        {"battery": "12", "xtenders": "1"},
        {"ac": "120"},
        {"xcomcan": "1"},
        {"lan": "1", "portal": "20"},
        {"chunk": "3"},
        {"multi_info": "0", "variotracks": "4", "variostrings": "3"},
        {"xtenders": "0"},
    ],
    ids=str,
)
async def test_all_kinds_of_plants(query: dict[str, str]) -> None:
    trial = Trial.begin({"xtenders": "3", **query})
    try:
        xtenders = int({"xtenders": "3", **query}["xtenders"])
        assert await trial.until(lambda: trial.everybody(xtenders)) is not None
        await trial.pass_(120)
        assert trial.auditor.wrong == []
        assert trial.auditor.published > 30
        states = list(trial.engine.snapshot.devices.values())
        assert all(state.available for state in states)
        drops = trial.engine.statistics.drops
        assert not drops["out_of_range"], drops
        assert not drops["unknown_enum"], drops
    finally:
        await trial.end()
