"""What it means when a broker closes soon after connecting (spec c.2)."""

from __future__ import annotations

from hardwired.mqtt.lives import SHORT_LIVES, Life, ShortLives
from hardwired.mqtt.losses import ConnectionLost, Loss

CLOSED = ConnectionLost(Loss.CLOSED)


def ends(*lives: tuple[str | None, str | None]) -> list[Loss]:
    short = ShortLives()
    return [short.ended(CLOSED, Life(0, *one)).loss for one in lives]


def test_an_end_at_the_same_place_again_and_again_is_a_message_that_is_not_allowed() -> None:
    # In the first life many were in flight: where it ended says nothing yet.
    lives = [("q", "r"), ("a", "b"), ("a", "c")]
    assert ends(*lives) == [Loss.CLOSED, Loss.CLOSED, Loss.NO_RIGHT]
    assert ends((None, "a"), (None, "a"), (None, "a"))[-1] is Loss.NO_RIGHT
    short = ShortLives()
    told = [short.ended(CLOSED, Life(0, "home/config", "x")) for _ in range(SHORT_LIVES)][-1]
    assert "home/config" in str(told)


def test_an_end_after_all_was_said_or_anywhere_is_another_client() -> None:
    assert ends(("z", None), ("z", None), ("z", None))[-1] is Loss.TAKEN_OVER
    assert ends(("a", "b"), ("a", "b"), ("b", "c"))[-1] is Loss.TAKEN_OVER
    assert ends(("a", "b"), ("z", None), ("a", "b"))[-1] is Loss.TAKEN_OVER
    assert ends(("a", "b"), ("z", None), ("a", "b"), ("a", "b"))[-1] is Loss.NO_RIGHT


def test_after_a_short_life_messages_go_one_by_one_until_one_has_held() -> None:
    lives = ShortLives()
    assert not lives.careful
    lives.ended(CLOSED, Life())
    assert lives.careful
    lives.forget()
    assert not lives.careful


def test_what_the_broker_says_itself_counts() -> None:
    lives = ShortLives()
    refused = lives.ended(ConnectionLost(Loss.NOT_AUTHORISED), Life(0, "a", "b"))
    assert (refused.loss, "a" in str(refused)) == (Loss.NO_RIGHT, True)
    assert lives.ended(ConnectionLost(Loss.TAKEN_OVER), Life()).loss is Loss.TAKEN_OVER
    assert not lives.careful
