"""Shares of counters over the last so many seconds. Spec c.9, h."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.truma.rolling_ratio import RollingRatio


def test_only_the_last_seconds_count() -> None:
    share = RollingRatio(60, 0.2, 10)
    for second in range(300):
        share.update(second, 9 * second, float(second))
    part, rest = share.counted
    assert part == pytest.approx(60, abs=2)
    assert rest == 9 * part


def test_too_little_is_not_judged() -> None:
    share = RollingRatio(60, 0.2, 10)
    assert not share.update(9, 0, 0.0)
    assert share.update(10, 0, 1.0)
    assert share.much


def test_much_stays_until_it_is_half() -> None:
    share = RollingRatio(10, 0.2, 10)
    part = rest = 0
    found = []
    for now, (more, less) in enumerate([(3, 7)] * 20 + [(15, 85)] * 30 + [(9, 91)] * 30):
        part, rest = part + more, rest + less
        if share.update(part, rest, float(now)):
            found.append((now, share.much))
    assert [much for _, much in found] == [True, False]
    assert found[1][0] >= 50
    assert share.times == 1


def test_counters_that_begin_anew_add_up() -> None:
    share = RollingRatio(60, 0.2, 10)
    share.update(100, 100, 0.0)
    share.restart()
    share.update(5, 5, 1.0)
    assert share.counted == (105, 105)


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 9), st.integers(0, 9)), max_size=200))
def test_any_course(course: list[tuple[float, int, int]]) -> None:
    """What is counted lies between the last minute and one step more."""
    share, now = RollingRatio(60, 0.2, 10), 0.0
    part = rest = 0
    history: list[tuple[float, int, int]] = []
    for pause, more, less in course:
        now, part, rest = now + pause, part + more, rest + less
        history.append((now, more, less))
        share.update(part, rest, now)
        least = sum(more for moment, more, _ in history if moment > now - 60)
        assert share.counted[0] >= least
        assert len(share._marks) <= 63
