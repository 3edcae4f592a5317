"""The pure rules: plan, pace, presence, memory of the gate, totals, settings, tables."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.engine import Device, Reason
from hardwired_engines.factory import SettingsError, Surroundings
from hardwired_engines.fields import Offer, Quantity
from hardwired_engines.link import Parity, SerialSettings
from hardwired_engines.studer import FACTORY
from hardwired_engines.studer.catalogue import CATALOGUES, to_wire
from hardwired_engines.studer.datapoints.datapoint import (
    AccessLevel,
    Datapoint,
    Poll,
    by_id,
    datapoints,
    menus,
)
from hardwired_engines.studer.datapoints.limits import LimitError, Refusal, encode_checked
from hardwired_engines.studer.datapoints.plausibility import History, Suspicion, voltage_disagrees
from hardwired_engines.studer.plant.availability import OutcomeClass, Presence, PresenceMachine
from hardwired_engines.studer.plant.stored_state import StoredState
from hardwired_engines.studer.plant.totals import RunningTotal
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.session.pacing import Burst, Latency, Pacer
from hardwired_engines.studer.session.schedule import Scheduler, Task
from hardwired_engines.studer.settings import StuderSettings, find_datapoints, parse_serial

ROOT = Path(__file__).parents[3]


def point(number: int, family: Family = Family.XT) -> Datapoint:
    found = by_id(family, number)
    assert found is not None
    return found


def tasks(*units: str) -> list[Task]:
    wanted = (3136, 3137, 3000, 3021, 3104, 1138)
    return [Task(unit, point(number)) for unit in units for number in wanted]


def play(scheduler: Scheduler, seconds: float, cost: float, **kwargs: Any) -> Counter[Task]:
    """Let a plan run against a line on which each exchange costs *cost*."""
    now, seen = 0.0, Counter[Task]()
    while now < seconds:
        batch = scheduler.next(now, **kwargs)
        if batch:
            seen.update(batch)
            now += cost
        else:
            now = max(now, scheduler.due(now) or seconds)
    return seen


# ------------------------------------------------------------------------------ the plan


def test_every_class_at_its_pace() -> None:
    scheduler = Scheduler()
    scheduler.plan(tasks("a", "b"), 0.0)
    seen = play(scheduler, 600, 0.05)
    assert seen[Task("a", point(3136))] == 120
    assert seen[Task("a", point(3000))] == 60
    assert seen[Task("b", point(3104))] == 10
    assert seen[Task("b", point(1138))] == 2
    assert scheduler.achieved(Poll.FAST) == pytest.approx(5, abs=0.2)


def test_a_full_line_starves_nobody() -> None:
    """Eight times more is wanted than the line can give."""
    scheduler = Scheduler(dict.fromkeys(Poll, 1.0))
    scheduler.plan(tasks("a", "b", "c", "d"), 0.0)
    seen = play(scheduler, 600, 1 / 3)
    assert min(seen.values()) > 0.5 * max(seen.values())


def test_all_intervals_are_stretched_alike() -> None:
    scheduler = Scheduler()
    scheduler.plan(tasks(*"abcdefghi"), 0.0)
    scheduler.adapt(0.05)
    assert scheduler.stretch == 1.0
    scheduler.adapt(0.5)
    assert scheduler.load(0.5) / scheduler.stretch == pytest.approx(0.7)
    seen = play(scheduler, 1000, 0.5)
    assert seen[Task("a", point(3136))] == pytest.approx(200 / scheduler.stretch, abs=2)


def test_the_rest_of_a_dead_unit_is_skipped() -> None:
    scheduler = Scheduler()
    scheduler.plan(tasks("a", "b"), 0.0)
    scheduler.next(0.0)
    scheduler.skip("a")
    rest = []
    while batch := scheduler.next(0.1):
        rest += batch
    assert {task.unit for task in rest} == {"b"}
    scheduler.refresh("a")
    assert scheduler.next(0.2)[0].unit == "a"


def test_batches_are_no_longer_than_allowed() -> None:
    scheduler = Scheduler(batch_size=7)
    scheduler.plan(tasks(*"abcdefg"), 0.0)
    sizes = []
    while batch := scheduler.next(0.0, lambda task: not task.point.is_parameter):
        sizes.append(len(batch))
    assert sum(sizes) == 42
    assert max(sizes) == 7


def test_what_could_not_be_read_comes_first_again() -> None:
    scheduler = Scheduler()
    scheduler.plan(tasks("a", "b"), 0.0)
    batch = scheduler.next(0.0, lambda task: not task.point.is_parameter)
    assert len(batch) == 10
    scheduler.put_back(batch, 0.0)
    scheduler.put_back(batch, 0.0)
    alone = []
    while found := scheduler.next(0.1):
        assert len(found) == 1
        alone += found
    assert set(batch) < set(alone)
    assert len(alone) == 12, "each once"


def test_a_gateway_that_stalls_once_a_minute_does_not_stretch_the_plan() -> None:
    """13.14: the average is that of the last hundred answers."""
    latency = Latency()
    for turn in range(2000):
        latency.note(0.355 if turn % 500 == 499 else 0.055)
    assert latency.average == pytest.approx(0.055, abs=0.004)
    for _ in range(300):
        latency.note(0.11)
    assert latency.average == pytest.approx(0.11, abs=0.004), "a line that is slower now"


def test_a_new_plan_goes_on_where_the_old_one_was() -> None:
    scheduler = Scheduler()
    scheduler.plan(tasks("a"), 0.0)
    play(scheduler, 3, 0.01)
    scheduler.plan(tasks("a", "b"), 3.0)
    fresh = []
    while batch := scheduler.next(3.0):
        fresh += batch
    assert {task.unit for task in fresh} == {"b"}


# ------------------------------------------------------------------------------ the pace


def test_the_pause_shrinks_and_comes_back() -> None:
    pacer = Pacer()
    assert pacer.pause == 0.010
    for _ in range(60):
        pacer.answered()
    assert pacer.pause == 0.0
    pacer.lost()
    assert pacer.pause == 0.010
    for _ in range(60):
        pacer.answered()
    assert pacer.pause > 0
    assert Pacer(0.02).pause == 0.02


def test_bursts_leave_room_for_the_other_master() -> None:
    burst, now, busy = Burst(5.0, 1.0), 0.0, 0.0
    rests = []
    while now < 60:
        rest = burst.rest(now)
        if rest:
            rests.append(now)
        now += rest + 0.1
        busy += 0.1
        burst.ended(now)
    assert len(rests) == pytest.approx(10, abs=1)
    assert Burst(0, 1).rest(5) == 0


def test_latencies_are_measured() -> None:
    latency = Latency()
    for _ in range(100):
        latency.note(0.03)
    latency.note(5.0)
    assert latency.average == pytest.approx(0.03, rel=10)
    assert latency.histogram() == {"<=30 ms": 100, ">3000 ms": 1}


# ------------------------------------------------------------------------------ presence


def test_presence_follows_the_table() -> None:
    good, bad = OutcomeClass.GOOD, OutcomeClass.BAD
    fail, grave = OutcomeClass.FAILURE, OutcomeClass.GRAVE_FAILURE
    neutral = OutcomeClass.NEUTRAL
    for outcomes, state in (
        ([good], Presence.ONLINE),
        ([fail, bad, neutral], None),
        ([good, bad], Presence.SUSPECT),
        ([good, fail], Presence.SUSPECT),
        ([good, fail, good], Presence.ONLINE),
        ([good, fail, fail], Presence.SUSPECT),
        ([good, fail, fail, fail], Presence.OFFLINE),
        ([good, bad, fail, fail], Presence.SUSPECT),
        ([good, grave], Presence.SUSPECT),
        ([good, grave, grave], Presence.OFFLINE),
        ([good, fail, grave], Presence.OFFLINE),
        ([good, grave, neutral, neutral], Presence.SUSPECT),
        ([good, grave, grave, good], Presence.RECOVERING),
        ([good, grave, grave, good, bad], Presence.RECOVERING),
        ([good, grave, grave, good, fail], Presence.OFFLINE),
        ([good, grave, grave, good, good], Presence.ONLINE),
        ([good, grave, grave, bad, neutral, fail], Presence.OFFLINE),
    ):
        machine = PresenceMachine()
        for outcome in outcomes:
            machine.update(outcome)
        assert machine.state is state, outcomes


# ------------------------------------------------------------------------------ the gate's memory


def test_a_falling_counter_is_doubted() -> None:
    memory, energy = History(), point(3083)
    memory.accept("a", energy, 10.0)
    assert memory.suspect("a", energy, 10.0, 0, 48) is None
    assert memory.suspect("a", energy, 9.99, 0, 48) is Suspicion.FELL
    assert memory.suspect("b", energy, 1.0, 0, 48) is None
    assert memory.confirms(Suspicion.FELL, energy, 0.5, 0.54, 48)
    assert memory.confirms(Suspicion.FELL, energy, 100.0, 100.9, 48)
    assert not memory.confirms(Suspicion.FELL, energy, 0.5, 0.6, 48)


def test_a_jump_is_doubted_while_the_plant_is_unsettled() -> None:
    memory, volts = History(), point(3000)
    memory.accept("a", volts, 50.0)
    assert memory.suspect("a", volts, 5.0, 0.0, 48) is None
    memory.unsettle(0.0)
    assert memory.suspect("a", volts, 5.0, 29.0, 48) is Suspicion.JUMPED
    assert memory.suspect("a", volts, 31.0, 29.0, 48) is None
    assert memory.suspect("a", volts, 5.0, 30.0, 48) is None
    assert memory.confirms(Suspicion.JUMPED, volts, 5.0, 20.0, 48)
    assert not memory.confirms(Suspicion.JUMPED, volts, 5.0, 30.0, 48)
    memory.forget("a")
    assert memory.suspect("a", volts, 5.0, 1.0, 48) is None


def test_voltages_are_compared_from_three_on() -> None:
    assert not voltage_disagrees(30.0, [52.0, 30.0], 48)
    assert voltage_disagrees(30.0, [52.0, 52.1, 30.0], 48)
    assert not voltage_disagrees(50.0, [52.0, 52.1, 50.0], 48)
    assert voltage_disagrees(24.0, [26.5, 26.6, 24.0], 24)


def test_totals_never_fall() -> None:
    total = RunningTotal()
    for value in (10.0, 10.5, 10.49, 11.0, 0.0, 0.2, 5.0):
        total.update("a", value)
    assert total.total == pytest.approx(6.0)
    again = RunningTotal.restore(total.as_dict())
    again.update("a", 6.0)
    assert again.total == pytest.approx(7.0)
    for damaged in (None, {}, {"total": "x", "last": {}}, {"total": 1.0, "last": 3}):
        assert RunningTotal.restore(damaged).total == 0.0


def test_a_counter_that_was_off_overnight_adds_what_it_shows() -> None:
    """Issue 12, number 7: lower than before, by however little, on another day."""
    evening, morning = datetime(2026, 6, 1, 22, tzinfo=UTC), datetime(2026, 6, 2, 21, tzinfo=UTC)
    for before, after in ((10.0, 9.97), (10.0, 4.0), (0.04, 0.01)):
        total = RunningTotal()
        total.update("a", before, evening)
        total = RunningTotal.restore(total.as_dict())
        total.update("a", after, morning)
        assert total.total == pytest.approx(after)
        assert total.consequential
    # Around midnight a fall within the noise is rounding: the counter was not reset yet.
    total = RunningTotal()
    total.update("a", 10.0, datetime(2026, 6, 1, 23, 59, 58, tzinfo=UTC))
    total.update("a", 9.99, datetime(2026, 6, 2, 0, 0, 3, tzinfo=UTC))
    total.update("a", 0.0, datetime(2026, 6, 2, 0, 0, 8, tzinfo=UTC))
    total.update("a", 0.1, datetime(2026, 6, 2, 0, 5, tzinfo=UTC))
    assert total.total == pytest.approx(0.1)


def test_totals_are_stored_when_much_would_be_lost() -> None:
    total = RunningTotal()
    total.update("a", 10.0)
    total.update("a", 10.04)
    assert not total.consequential
    total.update("a", 10.06)
    assert total.consequential
    total.stored()
    assert not total.consequential
    total.update("a", 0.2)
    assert total.consequential
    for damaged in (
        {"total": 1e400, "last": {}},
        {"total": 1.0, "last": {"a": float("nan")}},
        {"total": 10**400, "last": {}},
        {"total": 1.0, "last": {}, "moments": 3},
    ):
        assert RunningTotal.restore(damaged).total == 0.0


# ------------------------------------------------------------------------------ settings


def test_settings_from_plain_types() -> None:
    settings = StuderSettings.from_mapping(
        {
            "link": "listen://0.0.0.0:4001?peer=192.168.1.5",
            "level": "installer",
            "datapoints": ["xt.1128", "3017", "xcom.5002"],
            "intervals": {"fast": 2, "xt.3136": 1},
            "unknown": 1,
            "serial": None,
        }
    )
    assert settings.level is AccessLevel.INSTALLER
    assert settings.network
    assert settings.shared
    assert settings.timings().burst == 5.0
    assert settings.timings().pause == 0.0
    assert settings.requested() == {(Family.XT, 1128), (Family.XT, 3017), (Family.RCC, 5002)}
    assert settings.class_intervals()[Poll.FAST] == 2
    assert settings.own_intervals() == {("xt", 3136): 1.0}
    assert StuderSettings("/dev/ttyUSB0").detects_serial
    assert parse_serial("38400 8E1") == SerialSettings(38400, parity=Parity.EVEN)


@pytest.mark.parametrize("url", ["rfc2217://host:4001", "esphome://host:6053/port"])
def test_a_serial_port_behind_a_network_has_settings_and_a_network_s_times(url: str) -> None:
    settings = StuderSettings.from_mapping({"link": url})
    assert settings.detects_serial
    assert (settings.timings().pause, settings.timings().idle) == (0.0, 0.5)
    assert StuderSettings("/dev/ttyUSB0").timings().idle == 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"link": "/dev/ttyUSB0", "level": "god"},
        {"link": "/dev/ttyUSB0", "level": "info"},
        {"link": "/dev/ttyUSB0", "datapoints": ["xt.9"]},
        {"link": "/dev/ttyUSB0", "datapoints": ["yy.3000"]},
        {"link": "/dev/ttyUSB0", "intervals": {"fast": 0.1}},
        {"link": "/dev/ttyUSB0", "intervals": {"quick": 5}},
        {"link": "/dev/ttyUSB0", "serial": "9600"},
        {"link": "/dev/ttyUSB0", "time_zone": 3},
        {"link": "/dev/ttyUSB0", "intervals": {"fast": 1e400}},
        {"link": "/dev/ttyUSB0", "intervals": {"fast": "5"}},
        {"link": "/dev/ttyUSB0", "intervals": [5]},
        {"link": "/dev/ttyUSB0", "datapoints": "xt.1128"},
        {"link": "/dev/ttyUSB0", "phases": "yes"},
        {"link": "/dev/ttyUSB0", "source_address": 1.5},
        {"link": "/dev/ttyUSB0", "pause": float("nan")},
        {"link": "/dev/ttyUSB0", "battery_voltage": 36},
        {"link": "/dev/ttyUSB0", "answer_timeout": 0},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as error:
        StuderSettings.from_mapping(wrong)
    assert error.value.field == next(key for key in wrong if key != "link")


@pytest.mark.parametrize("url", ["", "tcp://host", "listen://:0", "tcp://host:99999", "udp://:1"])
def test_addresses_that_make_no_sense(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        StuderSettings.from_mapping({"link": url})
    assert error.value.field == "link"
    assert error.value.reason is Reason.BAD_ADDRESS


def test_datapoints_by_name() -> None:
    assert {found.family for found in find_datapoints("7002")} == {Family.BSP, Family.BMS}
    assert [found.id for found in find_datapoints("xt.output_current")] == [3022]


class Damaged:
    def __init__(self, data: Any) -> None:
        self.data = data

    def load(self) -> Any:
        if isinstance(self.data, Exception):
            raise self.data
        return self.data

    def save(self, data: Any) -> None:
        raise OSError("full")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        OSError("gone"),
        {"shadows": 3, "flash_writes": [], "last_message": "x", "seats": {"a": 1}, "serial": 5},
        {"shadows": {"u": {"x": 1}}, "flash_writes": {"u": {"1": "x"}}, "totals": 4, "gateway": 1},
    ],
)
def test_what_was_stored_may_be_damaged(data: Any) -> None:
    vault = StoredState(Damaged(data))
    assert vault.shadows("u", Family.XT) == {}
    assert vault.flash_writes("u", 1) == 0
    assert vault.last_message is None
    assert vault.seats == {}
    assert vault.serial is None
    assert vault.gateway is None
    assert vault.totals == {}
    vault.count_flash_write("u", 1, 0.0)
    assert vault.flash_writes("u", 1) == 1


WRITTEN = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "number, value, kept",
    [
        ("1107", 12.5, 12.5),
        ("1107", 1e300, None),
        ("1107", "x", None),
        ("1124", 1.0, 1.0),
        ("1124", 0.5, None),
        ("1202", 3, None),
        ("1205", 128, None),
        ("1107", None, None),
    ],
)
def test_what_a_parameter_does_not_take_never_stood_in_ram(
    number: str, value: Any, kept: float | None
) -> None:
    """It would be written again after a restart, or to feed a watchdog."""
    entry = {"value": value, "time": WRITTEN}
    vault = StoredState(Damaged({"shadows": {"u": {number: entry}}}))
    assert vault.shadows("u", Family.XT)[int(number)].number == kept


@pytest.mark.parametrize("number", ["3000", "1142", "9", "-1", "x", "10002"])
def test_what_is_no_setting_of_a_device_has_no_value_in_ram(number: str) -> None:
    entry = {"value": 1, "time": WRITTEN}
    vault = StoredState(Damaged({"shadows": {"u": {number: entry}}}))
    assert vault.shadows("u", Family.XT) == {}


# ------------------------------------------------------------------------------ the tables


def test_the_tables_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, str(ROOT / "script" / "studer_tables.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout


def test_the_catalogues_keep_what_the_spec_says() -> None:
    offers = Counter(
        field.offer
        for kind in ("xt", "vt", "vs", "bsp", "bms")
        for field in CATALOGUES[kind].values()
    )
    # Of each kind, connectivity too.
    assert offers[Offer.DEFAULT] == 67 + 5
    assert sum(1 for field in CATALOGUES["xt"].values() if field.offer is Offer.DEFAULT) == 27
    for family in Family:
        for found in datapoints(family):
            kind = "xcom" if family is Family.RCC else family.value
            field = CATALOGUES[kind][found.key]
            if found.guarded:
                assert field.offer is Offer.NEVER
                assert not field.writable
            if field.quantity is Quantity.OPTION:
                assert field.options
            if field.minimum is not None and field.maximum is not None:
                assert field.minimum <= field.maximum


def test_menus_lead_to_the_top() -> None:
    for family in Family:
        headings = {menu.id for menu in menus(family)}
        for found in datapoints(family):
            assert set(found.menus) <= headings | {0}, found.id


@pytest.mark.parametrize("module", ["studer", "studer.engine"])
def test_the_import_reads_no_file(module: str) -> None:
    """The tables are modules: no JSON is opened when the engine is imported."""
    code = (
        "import builtins, io, pathlib\n"
        "real = io.open\n"
        "def watch(file, *a, **k):\n"
        "    assert not str(file).endswith('.json'), file\n"
        "    return real(file, *a, **k)\n"
        "builtins.open = io.open = watch\n"
        f"import hardwired_engines.{module}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_device_is_identified_by_a_fid_or_its_gateway_s_guid() -> None:
    def identified(name: str) -> bool:
        return FACTORY.identified(Device(name, "xt", "any"))

    guid = "407d3d61-2835-4dec-ba32-c9580b1bd03a"
    for known in ("12340065", guid, f"{guid}_system", "xcom_12340065", "xcom_12340065_system"):
        assert identified(known), known
    for nameless in ("xcom", "xcom_101", "xcom_system", "xcom_l1"):
        assert not identified(nameless), nameless
    assert FACTORY.suffix("xt", "battery_voltage") == "3000"
    assert FACTORY.suffix("system", "pv_power") == "pv_power"


def test_a_time_zone_that_does_not_exist_is_refused() -> None:
    settings = FACTORY.read({"link": "sim://", "time_zone": "Mars/Olympus"})
    with pytest.raises(SettingsError) as error:
        FACTORY.make(settings, Surroundings())
    assert (error.value.field, error.value.reason) == ("time_zone", Reason.BAD_TIMEZONE)


# ------------------------------------------------------------------------ what may be written


@pytest.mark.parametrize(
    "number, value, refusal",
    [
        (1107, 1e39, Refusal.TOO_BIG),
        (1107, -1e39, Refusal.TOO_SMALL),
        (1107, float("nan"), Refusal.INVALID),
        (1107, float("-inf"), Refusal.INVALID),
        (1107, 10**400, Refusal.INVALID),
        (1525, 2**40, Refusal.TOO_BIG),
        (1525, 10**400, Refusal.INVALID),
        (1205, 10**400, Refusal.INVALID),
        (1552, 1e300, Refusal.INVALID),
    ],
)
def test_numbers_beyond_every_bound(number: int, value: float, refusal: Refusal) -> None:
    parameter = point(number)
    with pytest.raises(LimitError) as error:
        encode_checked(parameter, value, parameter.limits)
    assert error.value.key is refusal


def test_times_are_for_times_of_day_and_dates_for_the_clock() -> None:
    clock = point(5002, Family.RCC)
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert to_wire(point(1525), time(13, 41), UTC) == 821
    assert to_wire(clock, moment, UTC) == 1767323040
    for parameter, value in ((1107, time(0, 30)), (1525, moment), (1107, moment)):
        with pytest.raises(ValueError, match="does not take"):
            to_wire(point(parameter), value, UTC)


def test_on_and_off_of_an_enum_are_its_choices() -> None:
    backlight = point(5093, Family.RCC)
    assert [to_wire(backlight, value, None) for value in (False, True, "delayed")] == [2, 4, 1]
    with pytest.raises(ValueError, match="takes one of"):
        to_wire(point(1552), True, None)
