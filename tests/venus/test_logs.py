"""The log can't be forged, flooded or filled by what devices send; nor can the memory."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from mqtt_devices import logs
from mqtt_devices.shared import MOST_ONCE, Shared
from mqtt_devices.state import MOST_ENERGY, PAUSE, State


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("devices", logging.WARNING, "x", 1, message, arguments, None)


@pytest.mark.parametrize(
    "hostile, shown",
    [
        ("a\nERROR:driver:forged", "a\\nERROR:driver:forged"),
        ("a\r\x1b[2Jb", "a\\r\\x1b[2Jb"),
        ("a\u2028b", "a\\u2028b"),
        ("Küche \ud800", "Küche \\ud800"),
        ("\u202eabc", "\\u202eabc"),
    ],
)
def test_a_line_stays_one_line(hostile: str, shown: str) -> None:
    assert logs.OneLine().format(record("%s", hostile)) == "WARNING:devices:" + shown


def test_a_long_line_is_cut() -> None:
    line = logs.OneLine().format(record("%s", "x" * 65536))
    assert len(line) < logs.LONGEST + 50
    assert line.endswith("...")


def test_an_exception_with_a_hostile_text() -> None:
    try:
        raise ValueError("a\nERROR:driver:forged\x1b[2J")
    except ValueError:
        hostile = record("%s", "not dealt with")
        hostile.exc_info = sys.exc_info()
    first, *others = logs.OneLine().format(hostile).split("\n")
    assert first == "WARNING:devices:not dealt with"
    assert all(it.startswith("  ") for it in others)
    assert others[-1] == "  ERROR:driver:forged\\x1b[2J"


def test_a_flood_is_kept_back_and_counted() -> None:
    root = logging.getLogger()
    level, now = root.level, [0.0]
    root.setLevel(logging.INFO)
    try:
        flood = logs.Flood(lambda: now[0])
        passed = sum(flood.filter(record("x")) for _ in range(10_000))
        assert passed == logs.BURST
        now[0] = 10.0
        again = record("the %s line", "next")
        assert flood.filter(again)
        left_out = 10_000 - logs.BURST
        assert again.getMessage() == f"the next line ({left_out} lines before it were left out)"
        more = sum(flood.filter(record("x")) for _ in range(1000))
        assert more == 10 * logs.PER_SECOND - 1
        root.setLevel(logging.DEBUG)
        assert flood.filter(record("x"))
    finally:
        root.setLevel(level)


def test_what_is_said_once_takes_no_more_memory_than_so_much() -> None:
    shared = Shared.__new__(Shared)
    shared._once = set()
    assert shared.once("a")
    assert not shared.once("a")
    for number in range(3 * MOST_ONCE):
        shared.once(str(number))
    assert len(shared._once) == MOST_ONCE


def test_counters_of_devices_that_come_once_make_room() -> None:
    kept = State(None)
    for number in range(MOST_ENERGY + 500):
        kept.keep("mqtt_mine_m", {"/A": float(number)})
        kept.keep(f"mqtt_d{number}_m", {"/A": 1.0})
    assert len(kept.energy) == MOST_ENERGY
    assert kept.energy["mqtt_mine_m"] == {"/A": float(MOST_ENERGY + 499)}


async def test_the_state_is_not_written_at_every_whim(tmp_path: Path) -> None:
    """At once the first time; then once for all that comes within ten seconds, and at the stop."""
    path = tmp_path / "state.json"
    kept = State(path)
    kept.keep("a", {"/A": -1.0})
    kept.save_soon()
    while kept._saving is None:
        await asyncio.sleep(0)
    await kept._saving
    assert State(path).energy == {"a": {"/A": -1.0}}
    for number in range(50):
        kept.keep("a", {"/A": float(number)})
        kept.save_soon()
    assert kept._timer is not None
    assert kept._timer.when() == pytest.approx(kept._saved_at + PAUSE)
    assert State(path).energy == {"a": {"/A": -1.0}}
    kept.save()
    assert State(path).energy == {"a": {"/A": 49.0}}
    kept._timer.cancel()
