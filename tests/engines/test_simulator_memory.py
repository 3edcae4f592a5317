"""A simulated device may run for years: what it remembers of them does not grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hardwired_engines import simulating
from hardwired_engines.simulating import remember
from hardwired_engines.studer.scom.values import plant_seconds
from hardwired_engines.studer.simulator import files
from hardwired_engines.studer.simulator.plant import DAY
from hardwired_engines.studer.simulator.world import make
from hardwired_engines.victron_gx.simulator.broker import Broker


def test_the_latest_events_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulating, "REMEMBERED", 10)
    events: list[int] = []
    for number in range(100):
        remember(events, number)
        assert len(events) <= 10
        assert events == list(range(number + 1 - len(events), number + 1))
        assert len(events) >= min(5, number)


def test_a_broker_remembers_the_latest_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulating, "REMEMBERED", 100)
    broker = Broker()
    for number in range(1000):
        broker.publish("topic", str(number).encode())
    assert 50 <= len(broker.log) <= 100
    assert broker.log[-1] == ("topic", b"999")


def test_the_card_of_a_gateway_keeps_the_logs_of_a_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHOLE_LOGS", 3)
    query = {"xtenders": "1", "start": "2026-02-26T12:00:00", "log_days": "0", "seed": "1"}
    card = make(query).world.gateway.card
    moment = float(plant_seconds(datetime(2026, 2, 26, 12, tzinfo=UTC)))
    for _ in range(8):
        card.minute(moment)
        card.add_field(b"mine")
        card.midnight(moment + DAY)
        moment += DAY
    days = [datetime(2026, 2, 26, tzinfo=UTC) + timedelta(days=day) for day in range(8)]
    names = [f"LG{day:%y%m%d}.CSV" for day in days]
    assert list(card.names()) == names
    assert [isinstance(card._past[name], str) for name in names] == [False] * 5 + [True] * 3
    written, invented = card.read(names[-1]).decode(), card.read(names[2]).decode()
    assert "mine" in written
    assert invented.splitlines()[1].startswith("28.02.2026 00:00;")
    assert card.field() == ()
