"""An hour with everything that can happen to a bridge, in virtual time (spec i.1, 6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench._soak import Soak
from tests.standalone.mqtt.broker import needs_broker

GROWTH = 16.0
"""MB: rings and caches that fill in the first hour. ``script/bench bridge-soak`` looks longer."""
PASSING = 2
"""Tasks and descriptors that come and go: a discovery, both ends of a kept connection."""
WAL = 6e6
"""Bytes: SQLite keeps its log at about 4 MB."""


@needs_broker
@pytest.mark.slow
async def test_an_hour_of_outages_faults_and_wishes(tmp_path: Path) -> None:
    soak = Soak(tmp_path, 3, "xtenders=1&variotracks=0&variostrings=0")
    async with soak.living():
        await soak.checkpoint()
        before = soak.look()
        await soak.hour()
        after = soak.look()
        assert soak.faults() == []
        told = soak.figures()
    assert {"broker", "server", "bus"} <= told["outages"].keys()
    assert told["points"] > 1000
    assert told["requests_refused"] > 3
    assert told["wishes"] == told["answers"] > 3
    assert after.tasks <= before.tasks + PASSING
    assert after.descriptors <= before.descriptors + PASSING
    assert after.rss - before.rss < GROWTH
    assert before.files.keys() <= after.files.keys()
    assert sum(after.files.values()) < WAL
