"""The native dialect, call by call (spec c.1-c.8)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired.bridge.sink import (
    Action,
    Moment,
    Outcome,
    Publication,
    Request,
    StandingNotice,
    Traffic,
    Verb,
    Wish,
)
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import DeviceState, Notice, Severity, Snapshot
from hardwired_engines.fields import Value
from tests.standalone.mqtt.fakes import (
    FIELDS,
    LAMP,
    WALL,
    FakeHub,
    FakeLink,
    MemoryStore,
    connected,
    opened,
    thing,
)

CONFIG = "homeassistant/device/hardwired_thing/config"


def at(seconds: float) -> Moment:
    return Moment(1000 + seconds, WALL + timedelta(seconds=seconds))


def texts(actions: Iterable[Action]) -> dict[str, str]:
    return {one.topic: one.payload for one in actions if isinstance(one, Publication)}


def configs(actions: Iterable[Action]) -> list[dict[str, Any]]:
    return [
        json.loads(one.payload)["components"] if one.payload else {}
        for one in actions
        if isinstance(one, Publication) and one.topic == CONFIG
    ]


class World:
    """A dialect with one link."""

    def __init__(self, *states: DeviceState, store: MemoryStore | None = None, **settings: Any):
        self.link = FakeLink("van", snapshot=connected(*states))
        self.hub = FakeHub(self.link)
        self.store = store or MemoryStore()
        chance = random.Random(1)
        self.dialect = NativeDialect("mqtt", settings, self.hub, self.store, chance=chance)

    def connect(self, seconds: float = 0) -> list[Action]:
        return opened(self.dialect, {"van": self.link.snapshot}, at(seconds))

    def show(self, *states: DeviceState, seconds: float) -> list[Action]:
        before, self.link.snapshot = self.link.snapshot, connected(*states)
        return self.dialect.snapshot("van", before, self.link.snapshot, at(seconds))

    def receive(self, topic: str, payload: bytes, seconds: float, **more: bool) -> list[Action]:
        return self.dialect.receive(topic, payload, more.get("retained", False), at(seconds))


def test_what_has_not_changed_is_not_said() -> None:
    world = World(thing(value_1=1, value_2=2))
    world.connect()
    said = world.show(thing(value_1=1, value_2=3), seconds=1)
    assert texts(said) == {"hardwired/van/thing/value_2": "3"}
    assert world.show(thing(value_1=1, value_2=3), seconds=2) == []


def test_a_new_field_is_announced_before_its_state() -> None:
    world = World(thing(value_1=1))
    world.connect()
    said = [
        one.topic for one in world.show(thing(value_1=1, value_2=2), seconds=1)
        if isinstance(one, Publication)
    ]  # fmt: skip
    assert said.index(CONFIG) < said.index("hardwired/van/thing/value_2")


def test_what_is_not_heard_yet_after_a_start_is_not_taken_away() -> None:
    first = World(thing(value_1=1, value_2=2))
    first.connect()
    again = World(thing(), store=first.store)
    assert configs(again.connect()) == []
    assert configs(again.show(thing(value_1=1), seconds=1)) == []
    [components] = configs(again.dialect.tick(at(10)))
    assert list(components) == ["value_1"]
    [components] = configs(again.show(thing(value_1=1, value_2=2), seconds=20))
    assert list(components) == ["value_1", "value_2"]
    assert "platform" in components["value_2"]
    assert "state_topic" in components["value_2"]


def test_what_was_there_and_has_vanished_is_taken_away_once() -> None:
    world = World(thing(value_1=1, value_2=2))
    world.connect()
    said = configs(world.show(thing(value_1=1), seconds=20))
    assert said[0]["value_2"] == {"platform": "sensor"}
    assert "value_2" not in said[1]
    assert len(said) == 2


def test_what_the_owner_excludes_is_taken_away_at_the_next_start() -> None:
    first = World(thing(value_1=1, value_2=2))
    first.connect()
    again = World(thing(value_1=1, value_2=2), store=first.store)
    again.link.settings = {"exclude": ["value_2"]}
    said = configs(again.connect())
    assert said[0]["value_2"] == {"platform": "sensor"}
    assert "value_2" not in said[1]


def test_what_the_broker_still_has_is_taken_away_without_a_memory() -> None:
    first = World(thing(value_1=1, value_2=2))
    said = first.connect()
    retained = {
        one.topic: one.payload.encode()
        for one in said
        if isinstance(one, Publication) and one.topic.endswith("/config")
    }
    retained["homeassistant/device/x/config"] = b"{nonsense"
    retained["homeassistant/device/y/config"] = b'{"origin": {"name": "Hardwired"}}'
    again = World(thing(value_1=1, value_2=2))
    assert not again.dialect.remembers
    again.dialect.recall(retained)
    again.link.settings = {"exclude": ["value_2"]}
    said_now = configs(again.connect())
    assert said_now[0]["value_2"] == {"platform": "sensor"}


@given(st.dictionaries(st.text(max_size=5), st.binary(max_size=50)))
def test_whatever_the_broker_has_is_read(retained: dict[str, bytes]) -> None:
    World(thing(value_1=1)).dialect.recall(retained)


def test_new_bounds_are_announced_at_most_every_ten_seconds() -> None:
    world = World(thing(value_1=1, lamp=True))
    world.connect()

    def narrowed(number: int) -> DeviceState:
        fields = FIELDS.with_fields([replace(LAMP, name=f"Lamp {number}")])
        return replace(thing(value_1=1, lamp=True), fields=fields)

    assert configs(world.show(narrowed(1), seconds=1)) == []
    assert configs(world.show(narrowed(2), seconds=2)) == []
    [components] = configs(world.dialect.tick(at(10)))
    assert components["lamp"]["name"] == "Lamp 2"


def test_after_a_birth_everything_spread_and_as_it_is_then() -> None:
    world = World(thing(**{f"value_{number}": 0 for number in range(50)}))
    world.connect()
    for _ in range(3):
        world.receive("homeassistant/status", b"online", 5)
    said: list[tuple[float, Action]] = []
    changed = False
    for step in range(400):
        now = 5 + step / 20
        due = world.dialect.due
        if due is not None and due <= 1000 + now:
            said += [(now, one) for one in world.dialect.tick(at(now))]
        if said and not changed:
            changed = True
            sevens = {f"value_{number}": 7 for number in range(50)}
            said += [(now, one) for one in world.show(thing(**sevens), seconds=now)]
    topics = [one.topic for _, one in said if isinstance(one, Publication)]
    values = {f"hardwired/van/thing/value_{number}" for number in range(50)}
    assert values <= set(topics)
    assert topics.count(CONFIG) == 1
    assert max(map(topics.index, values)) < topics.index("hardwired/van/thing/availability")
    last = {one.topic: one.payload for _, one in said if isinstance(one, Publication)}
    assert {last[topic] for topic in values} == {"7"}
    first = min(now for now, one in said if isinstance(one, Publication) and one.topic in values)
    for second in range(20):
        burst = [1 for now, _ in said if second <= now - first < second + 1]
        assert len(burst) <= 200 + 50  # what has changed goes beside what is repeated


def test_a_retained_birth_counts_for_nothing() -> None:
    world = World(thing(value_1=1))
    world.connect()
    due = world.dialect.due
    world.receive("homeassistant/status", b"online", 0, retained=True)
    assert world.dialect.due == due


def test_read_only_takes_no_commands_and_offers_none() -> None:
    world = World(thing(lamp=True), read_only=True)
    assert not [topic for topic, _ in world.dialect.subscriptions if topic.endswith("set")]
    [components] = configs(world.connect())
    assert components["lamp"]["platform"] == "binary_sensor"
    said = world.receive("hardwired/van/thing/lamp/set", b"ON", 1)
    assert not [one for one in said if isinstance(one, Wish)]


def test_without_requests_nothing_is_asked() -> None:
    world = World(thing(lamp=True), requests=False)
    assert not [topic for topic, _ in world.dialect.subscriptions if "request" in topic]
    assert world.receive("hardwired/bridge/request/restart", b"van", 1) == []


def test_requests_are_limited() -> None:
    world = World(thing(lamp=True))
    world.connect()
    answers = [
        json.loads(one.payload)["status"]
        for _ in range(30)
        for one in world.receive("hardwired/bridge/request/read", b"{}", 1)
        if isinstance(one, Publication)
    ]
    assert len(answers) == 30
    request = world.receive("hardwired/bridge/request/health", b"", 1)
    assert "rate_limited" in next(iter(texts(request).values()))
    [asked] = world.receive("hardwired/bridge/request/health", b"", 3)
    assert isinstance(asked, Request)
    assert asked.verb is Verb.HEALTH


def test_what_a_command_has_changed_goes_at_once() -> None:
    world = World(thing(lamp=False))
    world.connect()
    [wish] = world.receive("hardwired/van/thing/lamp/set", b"ON", 1)
    assert isinstance(wish, Wish)
    said = world.dialect.answered(wish, Outcome(state=thing(lamp=True)), at(2))
    [state] = [one for one in said if isinstance(one, Publication) and one.retain]
    assert (state.payload, state.at_once) == ("ON", True)


def test_two_links_that_show_one_device() -> None:
    van = FakeLink("van", snapshot=connected(thing(value_1=1)))
    boat = FakeLink("boat", snapshot=connected(thing(value_1=2)))
    dialect = NativeDialect("mqtt", {}, FakeHub(van, boat), MemoryStore())
    said = opened(dialect, {"van": van.snapshot, "boat": boat.snapshot}, at(0))
    assert len(configs(said)) == 1
    [notice] = json.loads(texts(said)["hardwired/boat/notices"])["notices"]
    assert notice["placeholders"] == {"link": "van"}
    assert texts(said)["hardwired/boat/problem"] == "ON"
    assert texts(said)["hardwired/boat/thing/value_1"] == "2"


def test_a_device_of_two_links_says_since_when_in_order_of_age() -> None:
    van = FakeLink("van", snapshot=connected(thing(value_1=1)))
    old, new = (
        StandingNotice(Notice(key, {}, Severity.WARNING), WALL + timedelta(days=days), key)
        for key, days in (("old", -1), ("new", 9999))
    )
    boat = FakeLink("boat", snapshot=connected(thing(value_1=2)), notices=[old, new])
    hub = FakeHub(van, boat, clock=ManualClock(), language="de")
    dialect = NativeDialect("mqtt", {}, hub, MemoryStore())
    said = opened(dialect, {"van": van.snapshot, "boat": boat.snapshot}, at(0))
    notices = json.loads(texts(said)["hardwired/boat/notices"])["notices"]
    [place] = [place for place, one in enumerate(notices) if one["key"] == "announced_elsewhere"]
    assert notices[place]["since"] == hub.moment().wall.isoformat()
    assert [one["since"] for one in notices] == sorted(one["since"] for one in notices)
    assert notices[place]["text"] == "eine andere Verbindung, van, zeigt dieses Gerät bereits"


@pytest.mark.parametrize("removed", ["van", "boat"])
def test_of_a_device_of_two_links_the_one_that_is_left_announces_it(removed: str) -> None:
    links = {name: FakeLink(name, snapshot=connected(thing(value_1=1))) for name in ("van", "boat")}
    dialect = NativeDialect("mqtt", {}, FakeHub(*links.values()), MemoryStore())
    opened(dialect, {name: link.snapshot for name, link in links.items()}, at(0))
    gone = Snapshot({}, connected=False, reason=None)
    links[removed].snapshot = gone
    dialect.snapshot(removed, None, gone, at(1))
    said = [*dialect.forget(removed, "thing"), *dialect.tick(at(1))]
    left = "boat" if removed == "van" else "van"
    taken, announced = configs(said).count({}), [one for one in configs(said) if one]
    assert (taken, len(announced)) == ((1, 1) if removed == "van" else (0, 0))
    for components in announced:
        assert components["value_1"]["state_topic"] == f"hardwired/{left}/thing/value_1"
    notices = texts(dialect.tick(at(60))).get("hardwired/boat/notices", '{"notices":[]}')
    assert json.loads(notices)["notices"] == []


def test_a_link_that_is_taken_out_leaves_a_device_to_another() -> None:
    store = MemoryStore()
    World(thing(value_1=1), store=store).connect()
    boat = FakeLink("boat", snapshot=connected(thing(value_1=1)))
    dialect = NativeDialect("mqtt", {}, FakeHub(boat), store)
    [components] = configs(opened(dialect, {"boat": boat.snapshot}, at(0)))
    assert components["value_1"]["state_topic"] == "hardwired/boat/thing/value_1"


def test_removing_a_device_empties_its_topics() -> None:
    world = World(thing(value_1=1))
    world.connect()
    world.link.snapshot = Snapshot({}, connected=False, reason=None)
    world.dialect.snapshot("van", None, world.link.snapshot, at(1))
    said = world.dialect.forget("van", "thing")
    empty = {one.topic for one in said if isinstance(one, Publication) and not one.payload}
    assert {CONFIG, "hardwired/van/thing/value_1", "hardwired/van/thing/about"} <= empty


def test_what_config_has_no_more_leaves_nothing_behind() -> None:
    # c.3: of a link also how it was; with another prefix the devices are still the same.
    store = MemoryStore()
    World(thing(value_1=1), store=store).connect()
    store.save(store.load() | {"sinks": ["old"]})

    def emptied(link: str, **settings: str) -> set[str]:
        hub = FakeHub(FakeLink(link, snapshot=connected()))
        again = MemoryStore()
        again.save(store.load())
        dialect = NativeDialect("mqtt", settings, hub, again)
        said = opened(dialect, {link: connected()}, at(0))
        return {topic for topic, payload in texts(said).items() if not payload}

    topics = {f"hardwired/van/thing/{leaf}" for leaf in ("value_1", "about", "availability")}
    link = {f"hardwired/van/{leaf}" for leaf in ("connected", "reason", "problem", "notices")}
    sink = {"hardwired/bridge/sinks/old"}
    assert emptied("van") == sink
    assert emptied("boat") >= {*topics, *link, *sink, CONFIG}
    assert topics <= emptied("van", prefix="other") <= {*topics, "other/bridge/sinks/old"}


@pytest.mark.parametrize("topic", ["hardwired/van/thing/lamp/set", "hardwired/van/x/y/set"])
def test_ten_thousand_wrong_messages_cost_a_counter(topic: str) -> None:
    world = World(thing(lamp=True))
    world.connect()
    for number in range(10_000):
        world.receive(topic.replace("lamp", "nope"), b"x" * 100, number / 10_000)
    assert sum(world.dialect.ignored.values()) == 10_000


@given(
    st.lists(
        st.sampled_from(["hardwired", "van", "thing", "lamp", "set", "bridge", "request", "", "+"])
    ).map("/".join),
    st.binary(max_size=60),
    st.booleans(),
)
def test_any_message_is_taken_or_ignored(topic: str, payload: bytes, retained: bool) -> None:
    world = World(thing(lamp=True, value_1=1))
    world.connect()
    for action in world.receive(topic, payload, 1, retained=retained):
        assert isinstance(action, (Publication, Wish, Request))
        if isinstance(action, Publication):
            assert action.traffic in (Traffic.RESULT, Traffic.RESPONSE, Traffic.EVENT)


def plant(**values: Value | None) -> list[DeviceState]:
    return [thing(f"unit{number}", **values) for number in range(9)]


def test_after_connecting_one_device_has_its_turn_after_the_other() -> None:
    # c.11, i.2: a plant of nine devices must not hold the loop.
    world = World(*plant(**{f"value_{number}": number for number in range(50)}))
    turns = [world.dialect.connected({"van": world.link.snapshot}, at(0))]
    while world.dialect.opening:
        turns.append(world.dialect.tick(at(0)))
    assert not turns[-1]
    *most, last, _ = turns
    for said in most:
        about = {one.topic.split("unit")[1][0] for one in said if "unit" in one.topic}  # type: ignore[union-attr]
        assert len(about) <= 1
    assert {one.topic.rsplit("/", 1)[1] for one in last if "unit" in one.topic} == {"availability"}  # type: ignore[union-attr]
    assert last[-1] == Publication("hardwired/bridge/state", "online", True, 1, Traffic.OTHER)


def test_what_changes_while_it_speaks_is_said_as_it_is_in_the_end() -> None:
    world = World(thing(value_1=1))
    said = list(world.dialect.connected({"van": world.link.snapshot}, at(0)))
    while not any(one.topic.endswith("/value_1") for one in said):  # type: ignore[union-attr]
        said += world.dialect.tick(at(0))
    # A new value, a new field, a new device: nothing of it now, all before *online*.
    assert world.show(thing(value_1=2, value_2=3), thing("late", value_1=4), seconds=0) == []
    while world.dialect.opening:
        said += world.dialect.tick(at(0))
    texts = {one.topic: one.payload for one in said if isinstance(one, Publication)}
    order = list(texts)
    assert texts["hardwired/van/thing/value_1"] == "2"
    assert texts["hardwired/van/thing/value_2"] == "3"
    assert texts["hardwired/van/late/value_1"] == "4"
    assert "value_2" in configs(said)[-1]
    assert order.index("homeassistant/device/hardwired_late/config") < order.index(
        "hardwired/van/late/value_1"
    )
    assert order[-1] == "hardwired/bridge/state"
    assert world.show(thing(value_1=2, value_2=3), thing("late", value_1=4), seconds=1) == []


def test_a_connection_lost_in_the_middle_begins_anew() -> None:
    world = World(thing(value_1=1))
    world.dialect.connected({"van": world.link.snapshot}, at(0))
    world.dialect.disconnected(at(1))
    assert not world.dialect.opening
    assert world.dialect.tick(at(1)) == []
    assert world.connect(2)[-1].payload == "online"  # type: ignore[union-attr]
