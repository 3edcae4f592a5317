"""The simulated devices over an hour of their own time: what they send is what the driver takes."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from gx import devices
from gx.devices.curves import DAY, daylight
from gx.devices.device import Device
from gx.devices.habits import Namesake
from gx.devices.meters import Grid
from gx.devices.panels import Relays
from gx.devices.vehicles import CHARGED, CHARGING, DISCONNECTED, WallBox
from mqtt_devices import items, options, rules, status, tables
from mqtt_devices.status import Registration, Rejected

TABLES = tables.load()
HOUR = 3600
SELDOM_FINE = ("wrong-ids",)  # most of its registrations are refused, as they should be


class Ends:
    """A device's Status and what was published, without a broker."""

    def __init__(self, kind: str) -> None:
        self.device = devices.make([kind])[0]
        self.sent: list[tuple[str, Any]] = []
        self.device._publish = self.note  # type: ignore[method-assign]

    def note(self, topic: str, body: Any, retain: bool = False) -> None:
        self.sent.append((topic, dict(body)))


def plans(device: Device) -> dict[str, items.Items]:
    """Return each service of a device as the driver would have it."""
    judged = status.judge(device.status, TABLES)
    assert isinstance(judged, Registration), judged
    each = device.status.get("options", {})
    found = {}
    for key, kind in judged.services.items():
        plan = options.plan(TABLES.types[kind], each.get(key), TABLES)
        assert not plan.errors
        found[key] = items.Items(plan, {}, {})
    return found


def take(held: dict[str, items.Items], values: dict[str, dict[str, Any]]) -> None:
    """Write values as the driver does; all of them must be taken."""
    for key, found in values.items():
        for path, value in found.items():
            row = held[key].row("/" + path)
            assert row is not None, path
            verdict = rules.judge(row, value, held[key].value)
            assert verdict.code == rules.ACCEPTED, (path, value)
            held[key].set(row.path, verdict.value)


@pytest.mark.parametrize("kind", [it for it in devices.KINDS if it not in SELDOM_FINE])
def test_an_hour_of_a_device(kind: str) -> None:
    device = devices.make([kind])[0]
    held = plans(device)
    for now in range(0, HOUR, 5):
        values = device.values(float(now))
        take(held, {key: it for key, it in values.items() if key in held})
    for key, service in held.items():
        for row in service.plan.rows.values():
            if not row.from_gx or not device.status.get("notify"):
                continue
            # What the GX sets comes back as what the device has done, and is taken.
            wish = service.value(row.path)
            take(held, {key: device.obey(key, row.path[1:], wish)})


def test_every_type_has_a_device() -> None:
    shown = {
        kind
        for device in devices.make(devices.KINDS)
        for kind in device.status["services"].values()
    }
    assert shown == set(TABLES.types)


def test_a_kind_twice_is_two_devices() -> None:
    assert [it.client_id for it in devices.make(["boat", "boat"])] == ["sim_boat", "sim_boat2"]
    with pytest.raises(devices.NoSuchKind, match="there are: "):
        devices.make(["submarine"])


def test_the_sun_rises_once_a_day() -> None:
    light = [daylight(now) for now in range(int(DAY))]
    assert max(light) == pytest.approx(1.0, abs=0.01)
    assert min(light) == 0
    assert sum(a <= 0 < b for a, b in itertools.pairwise(light)) == 1


def test_the_grid_meter_sells_and_buys() -> None:
    meter = Grid("m")
    powers = [meter.values(float(now))["m"]["Ac/Power"] for now in range(int(DAY))]
    assert min(powers) < -100
    assert max(powers) > 1000


def test_the_wall_box_obeys_and_gets_full() -> None:
    box = WallBox("w")
    seen = []
    for now in range(900):
        found = box.values(float(now))["evc"]
        seen.append(found["Status"])
        assert found["Ac/Power"] == 230 * found["Current"]
    assert [it for it, _ in itertools.groupby(seen)] == [CHARGING, CHARGED, DISCONNECTED]
    assert box.obey("evc", "SetCurrent", 99) == {"SetCurrent": 16}
    assert box.obey("evc", "SetCurrent", 1) == {"SetCurrent": 6}
    assert box.obey("evc", "StartStop", 0) == {"StartStop": 0}
    assert box.values(1000.0)["evc"]["Current"] == 0


def test_a_stuck_relay_says_so() -> None:
    relays = Relays("r")
    on = relays.obey("sw", "SwitchableOutput/r1/State", 1)
    assert on == {"SwitchableOutput/r1/State": 1, "SwitchableOutput/r1/Status": 9}
    stuck = relays.obey("sw", "SwitchableOutput/r4/State", 1)
    assert stuck == {"SwitchableOutput/r4/State": 0, "SwitchableOutput/r4/Status": 8}


def test_the_generator_starts_when_it_is_told() -> None:
    motor = devices.make(["genset"])[0]
    assert motor.values(0.0)["g"]["StatusCode"] == 0
    motor.obey("g", "Start", 1)
    codes = [motor.values(float(now))["g"]["StatusCode"] for now in range(1, 20)]
    motor.obey("g", "Start", 0)
    codes += [motor.values(float(now))["g"]["StatusCode"] for now in range(20, 50)]
    assert [it for it, _ in itertools.groupby(codes)] == [3, 8, 9, 0]


# --------------------------------------------------------------------------------- habits


def test_numbers_as_texts() -> None:
    ends = Ends("tasmota")
    ends.device.topics = {"t": "W/x/temperature/1"}
    ends.device.send({"t": {"Temperature": 20.5}})
    body = {"topicPath": "W/x/temperature/1", "values": {"Temperature": "20.5"}}
    assert ends.sent == [("device/sim_tasmota/Proxy", body)]
    take(plans(ends.device), {"t": body["values"]})  # type: ignore[dict-item]


def test_values_without_proxy() -> None:
    ends = Ends("retained")
    ends.device.topics = {"t": "W/x/temperature/1"}
    ends.device.send({"t": {"Temperature": 20.5}})
    assert ends.sent == [("W/x/temperature/1/Temperature", {"value": 20.5})]


def test_ids_that_are_wrong_are_refused_and_the_right_one_is_not() -> None:
    ends = Ends("wrong-ids")
    for _ in range(5):
        ends.device.register()
    judged = [status.judge(body, TABLES) for _, body in ends.sent]
    assert [isinstance(it, Rejected) for it in judged] == [False, True, True, True, True]


def test_lists_that_change() -> None:
    ends = Ends("changing")
    for _ in range(5):
        ends.device.register()
    lists = [body["services"] for _, body in ends.sent]
    assert [len(it) for it in lists] == [1, 2, 2, 0, 1]


def test_the_namesake_of_the_boat() -> None:
    device = Namesake("whatever")
    key = next(iter(device.status["services"]))
    assert f"{device.client_id}_{key}" == "sim_boat_fridge"


async def test_a_device_keeps_trying_while_there_is_no_broker() -> None:
    from mqtt_devices.mqtt.client import Broker

    living = asyncio.ensure_future(devices.make(["boat"])[0].live(Broker(port=1)))
    await asyncio.sleep(0)
    assert not living.done()
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
