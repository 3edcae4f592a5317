"""What waits for the broker (spec c.4)."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from hardwired.bridge.sink import Publication, Traffic
from hardwired.mqtt.outbox import Outbox


def state(topic: str, payload: str) -> Publication:
    return Publication(topic, payload, retain=True)


def passing(traffic: Traffic, payload: str) -> Publication:
    return Publication(f"p/{traffic.value}", payload, traffic=traffic)


def step(payload: str) -> Publication:
    return Publication("d/config", payload, retain=True, qos=1, traffic=Traffic.DISCOVERY)


def drain(outbox: Outbox) -> list[str]:
    found = []
    while (message := outbox.take()) is not None:
        found.append(message.payload)
    return found


def test_the_latest_text_of_a_topic_and_no_other() -> None:
    outbox = Outbox()
    outbox.connected([], 0)
    outbox.put([state("a", "1"), state("b", "1"), state("a", "2")], 0)
    assert drain(outbox) == ["2", "1"]
    assert outbox.coalesced == 1


def test_announcements_of_one_topic_all_go_and_first() -> None:
    outbox = Outbox()
    outbox.connected([], 0)
    outbox.put([state("a", "1"), step("remove"), step("now")], 0)
    assert drain(outbox) == ["remove", "now", "1"]


@pytest.mark.parametrize(
    ("kept", "dropped"),
    [
        (Traffic.RESULT, Traffic.HEALTH),
        (Traffic.RESPONSE, Traffic.RESULT),
        (Traffic.EVENT, Traffic.RESPONSE),
    ],
)
def test_the_least_important_is_dropped_first(kept: Traffic, dropped: Traffic) -> None:
    outbox = Outbox(10)
    outbox.connected([], 0)
    outbox.put([passing(kept, str(number)) for number in range(5)], 0)
    outbox.put([passing(dropped, "x") for _ in range(5)], 0)
    outbox.put([passing(kept, str(number)) for number in range(5, 10)], 0)
    assert drain(outbox) == [str(number) for number in range(10)]
    assert outbox.dropped == {dropped.value: 5}


def test_of_events_the_oldest_goes() -> None:
    outbox = Outbox(10)
    outbox.put([passing(Traffic.EVENT, str(number)) for number in range(15)], 0)
    outbox.connected([], 1)
    assert drain(outbox) == [str(number) for number in range(5, 15)]


def test_after_an_interruption_what_is_young_goes_on() -> None:
    outbox = Outbox()
    outbox.connected([], 0)
    outbox.disconnected([], 0)
    outbox.put([passing(Traffic.HEALTH, "health")], 1)
    outbox.put([passing(Traffic.RESULT, "old")], 1)
    outbox.put([passing(Traffic.EVENT, "event")], 1)
    outbox.put([passing(Traffic.RESULT, "young")], 30)
    outbox.connected([state("a", "1")], 70)
    assert drain(outbox) == ["1", "event", "young"]
    assert outbox.dropped == {"health": 1, "result": 1}


def test_the_opening_comes_in_its_order_and_what_it_leaves_out_before() -> None:
    outbox = Outbox()
    outbox.put([state("gone", ""), state("a", "old")], 0)
    outbox.connected([state("info", "i"), state("a", "new"), state("online", "yes")], 0)
    assert drain(outbox) == ["", "i", "new", "yes"]


def test_a_newer_text_is_never_followed_by_an_older_one() -> None:
    outbox = Outbox()
    outbox.connected([state("a", "1"), state("b", "1")], 0)
    flying = outbox.take()
    assert flying is not None
    outbox.put([state("a", "2")], 0)
    outbox.disconnected([flying], 0)
    assert sorted(drain(outbox)) == ["1", "2"]
    assert len(outbox) == 0


def test_reconnecting_for_ever_costs_nothing() -> None:
    outbox = Outbox(100)
    for number in range(500):
        outbox.connected([step("config"), step(str(number)), state("a", str(number))], number)
        outbox.disconnected([], number)
    assert len(outbox) < 300


PUBLICATIONS = st.lists(
    st.builds(
        Publication,
        topic=st.sampled_from(["a", "b", "c"]),
        payload=st.text("xy", max_size=2),
        retain=st.booleans(),
        traffic=st.sampled_from(Traffic),
    ),
    max_size=6,
)


@given(st.lists(st.tuples(st.sampled_from(["put", "connect", "lose", "take"]), PUBLICATIONS)))
@example(
    [("put", [Publication("a", "1", retain=True, traffic=Traffic.STATE)])] + [("connect", [])] * 2
)
def test_it_is_bounded_and_the_last_retained_text_comes_last(
    steps: list[tuple[str, list[Publication]]],
) -> None:
    outbox = Outbox(5)
    last: dict[str, str] = {}
    sent: dict[str, str] = {}

    def send(message: Publication | None) -> None:
        if message is not None and message.retain and message.traffic is Traffic.STATE:
            sent[message.topic] = message.payload

    for moment, (what, messages) in enumerate(steps):
        match what:
            case "put":
                outbox.put(messages, moment)
            case "connect":
                outbox.connected(messages, moment)
            case "lose":
                outbox.disconnected([], moment)
            case "take":
                send(outbox.take())
        if what in ("put", "connect"):
            for message in messages:
                if message.retain and message.traffic is Traffic.STATE:
                    last[message.topic] = message.payload
        assert len(outbox) <= 5 + 5 + 3 + 12
    while (message := outbox.take()) is not None:
        send(message)
    passing_by = {"a", "b", "c"} - {
        message.topic
        for _, messages in steps
        for message in messages
        if not message.retain or message.traffic is not Traffic.STATE
    }
    for topic in passing_by & last.keys():
        assert sent[topic] == last[topic]


def test_an_opening_in_parts_keeps_its_order_and_removals_go_first() -> None:
    outbox = Outbox()
    outbox.put([state("gone", ""), state("a", "old"), step("taken away"), step("as it was")], 0)
    outbox.connected([state("info", "i")], 0, more=True)
    outbox.put([state("event", "e")], 0)
    outbox.add([step("config"), state("a", "new"), state("online", "yes")])
    told = []
    while (message := outbox.take()) is not None:
        told.append((message.topic, message.payload))
    assert told[0] == ("d/config", "taken away")
    assert ("d/config", "as it was") not in told
    assert [topic for topic, _ in told[1:]] == ["gone", "info", "d/config", "a", "online", "event"]
    assert ("a", "old") not in told
