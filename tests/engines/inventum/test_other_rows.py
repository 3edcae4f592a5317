"""Enter on no row but the fan's, however the page uses reverse video (spec f.4, f.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bench._inventum import FAN_ROW, SimulatorSettings, World
from hardwired_engines.inventum.dialogue.navigation import ListKnowledge, Navigation, Press, Turn
from hardwired_engines.inventum.dialogue.sight import Sight
from hardwired_engines.inventum.dialogue.wishes import Failure, Outcome
from hardwired_engines.inventum.simulator import pages
from hardwired_engines.inventum.simulator.faults import Fault, Trouble

Draw = Callable[[bytes, str], bytes]
"""Draws the text of a row that is not selected; the name of the row beside it."""


def reversed_value(text: bytes, name: str) -> bytes:
    return text[:-1] + pages.REVERSE + text[-1:] + pages.PLAIN if name == "3-standen" else text


def reversed_name(text: bytes, name: str) -> bytes:
    before, found, after = text.partition(name.encode())
    plain = name != "3-standen"
    return text if plain else before + pages.REVERSE + found + pages.PLAIN + after


def reversed_row(text: bytes, name: str) -> bytes:
    return pages.REVERSE + text + pages.PLAIN if name == "3-standen" else text


def draw_lists(monkeypatch: pytest.MonkeyPatch, draw: Draw, beside: bytes = b"") -> None:
    """Let the unit draw its list's rows so; *beside* stands on each page."""

    def list_page(
        rows: Sequence[pages.ListRow], selected: int, marker: str, *, scrolling: bool, clear: bool
    ) -> bytes:
        parts = [pages.CLEAR if clear else b"", pages.PLAIN, pages.at(1, 30), b"IO status", beside]
        for place in range(pages.VISIBLE):
            number = selected - 10 + place if scrolling else place
            parts.append(pages.at(pages.FIRST_ROW + place, 2) + b"\x1b[K")
            if 0 <= number < len(rows):
                text = pages.list_row(rows[number], marker)
                if number == selected:
                    parts.append(pages.REVERSE + text + pages.PLAIN)
                else:
                    parts.append(draw(text, rows[number].name))
        return b"".join(parts)

    def moved(rows: Sequence[pages.ListRow], before: int, after: int, marker: str) -> bytes:
        return list_page(rows, after, marker, scrolling=False, clear=False)

    monkeypatch.setattr(pages, "list_page", list_page)
    monkeypatch.setattr(pages, "moved", moved)


def world(**settings: object) -> World:
    unit = {"odds": 1, "interval": 1, "header": "short", **settings}
    one = World(SimulatorSettings.read(unit))
    one.until_logging()
    one.run(3)
    return one


@pytest.mark.parametrize("scrolling", [False, True])
@pytest.mark.parametrize("draw", [reversed_value, reversed_name, reversed_row])
def test_a_fan_row_that_is_always_reversed_is_not_taken_for_the_selection(
    monkeypatch: pytest.MonkeyPatch, draw: Draw, scrolling: bool
) -> None:
    draw_lists(monkeypatch, draw)
    for selected in (1, 16, 17, 18, 25, 30):
        one = world(selected_row=selected, scrolling=scrolling)
        one.boost()
        one.run(60)
        assert set(one.device.entered_rows) <= {FAN_ROW}, selected
        assert not one.other_rows_written
        [result] = one.results
        if selected > FAN_ROW:
            assert (result.outcome, result.why) == (Outcome.FAILED, Failure.AMBIGUOUS)
        elif not scrolling:
            assert one.device.override == 3


def test_a_second_reversed_row_in_a_list_that_scrolls() -> None:
    for selected in range(1, 30):
        one = world(rows=29, scrolling=True, selected_row=selected)
        one.device.inflict(Trouble(Fault.GHOST_ROW, 60), one.now)
        one.boost()
        one.run(60)
        assert set(one.device.entered_rows) <= {FAN_ROW}, selected


@pytest.mark.parametrize("fan_row", [1, 17, 30])
def test_a_row_that_never_moves_is_no_rival(monkeypatch: pytest.MonkeyPatch, fan_row: int) -> None:
    """The selection rests on the fan's row: it is moved away and back once, then known."""
    footer = pages.at(45, 2) + pages.REVERSE + b"ESC = terug" + pages.PLAIN
    draw_lists(monkeypatch, lambda text, name: text, footer)
    one = world(selected_row=fan_row, fan_row=fan_row)
    for wish in (one.boost, one.auto, one.boost):
        one.outcome(wish())
        one.run(3)
    assert set(one.device.entered_rows) == {fan_row}
    assert one.dialogue.counters["failure_ambiguous"] == 1


def test_no_key_while_the_selection_is_between_two_rows() -> None:
    """The row before loses its reverse video first: a reversed footer was taken for selected."""
    now = 10.0
    sight = Sight(lambda moment: now >= moment)
    known = ListKnowledge()
    known.decoration = known.still = frozenset({50})

    def draws(*rows: tuple[int, str, bool]) -> None:
        for row, text, selected in rows:
            video = pages.REVERSE if selected else pages.PLAIN
            sight.receive_data(video + pages.at(row, 2) + text.encode() + pages.PLAIN, now)
            sight.look(now)

    draws((1, "IO status", False), (5, "[16] Klep", True), (6, "[17] 3-standen", False))
    draws((50, "ESC = terug", True))
    now += 1
    navigation = Navigation(sight, lambda moment: now >= moment, known, now)
    assert navigation.step(now, wanted=True) is Press.DOWN
    navigation.pressed(Press.DOWN, now)
    draws((5, "[16] Klep", False))
    assert navigation.step(now, wanted=True) is Turn.WAIT
    draws((6, "[17] 3-standen", True))
    now += 1
    assert navigation.step(now, wanted=True) is Press.ENTER
