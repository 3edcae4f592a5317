"""What all engines have in common."""

from __future__ import annotations

from hardwired_engines.clock import ManualClock
from hardwired_engines.engine import (
    BaseEngine,
    Device,
    DeviceState,
    Notice,
    Snapshot,
)
from hardwired_engines.fields import Catalogue, Field, Quantity


class Toy(BaseEngine):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.told: list[Snapshot] = []
        self._on_snapshot = self.told.append

    def tell(self, *states: DeviceState, **more: object) -> None:
        devices = {state.device.id: state for state in states}
        self._publish_snapshot(Snapshot(devices, connected=True, reason=None, **more))  # type: ignore[arg-type]

    def moved(self, until_next: float = 0.0) -> None:
        self._sign(until_next)


def state(name: str, value: float) -> DeviceState:
    return DeviceState(Device(id=name, kind="toy", name=name), {"power": value})


def test_only_a_change_is_told_and_what_is_equal_stays_the_same_object() -> None:
    toy = Toy(ManualClock())
    toy.tell(state("a", 1), state("b", 1))
    toy.tell(state("a", 1), state("b", 1))
    assert len(toy.told) == 1
    toy.tell(state("a", 2), state("b", 1))
    before, after = toy.told
    assert after.devices["b"] is before.devices["b"]
    assert after.devices["a"] is not before.devices["a"]


def test_a_device_that_goes_and_a_notice_are_changes() -> None:
    toy = Toy(ManualClock())
    toy.tell(state("a", 1), state("b", 1))
    toy.tell(state("a", 1))
    toy.tell(state("a", 1), notices=(Notice("loose_wire", device="a"),))
    assert [len(snapshot.devices) for snapshot in toy.told] == [2, 1, 1]
    assert toy.told[1].devices is toy.told[2].devices


async def test_the_next_sign_is_due_after_the_longest_time_until_the_engine_moves() -> None:
    clock = ManualClock()
    toy = Toy(clock)
    assert toy.sign_due is None
    await clock.advance(10)
    toy.moved(until_next=60)
    assert toy.sign_due == 10 + 60 + toy.sign_interval


def test_serial_numbers_are_secrets() -> None:
    toy = Toy(ManualClock())
    toy.tell(DeviceState(Device(id="id1", kind="toy", name="x", serial_number="S1")))
    assert set(toy.secrets()) == {"S1"}


def test_a_catalogue_with_changed_fields_is_another_one_and_else_the_same() -> None:
    power = Field(key="power", name="Power", quantity=Quantity.POWER, writable=True, maximum=5)
    table = Catalogue("toy", [power])
    assert table.with_fields([power]) is table
    own = table.with_fields([Field(key="power", name="Power", quantity=Quantity.POWER)])
    assert own != table
    assert own.kind == "toy"
    assert not own["power"].writable
