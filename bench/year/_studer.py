"""What a simulated Studer plant held, against all that an engine shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hardwired_engines.engine import DeviceState
from hardwired_engines.fields import Value
from hardwired_engines.studer.catalogue import SYSTEM, XCOM, point_of, to_field
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id
from hardwired_engines.studer.plant.system import BATTERY_POWER, POWER_SUMS, STATE_OF_CHARGE
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.simulator.gateway import GATEWAY
from hardwired_engines.studer.simulator.world import World

from .._scom import as_float32
from .contract import MOMENT, ZONE, Judgement


@dataclass(frozen=True, slots=True)
class Proof:
    """A value that is shown, and when the plant held it last, in seconds of the clock."""

    value: Value
    time: float


class Witness:
    """Holds every value that is shown against what its device held.

    *limit* says for how many seconds a value may stand that was not read again.
    """

    def __init__(self, world: World, judge: Judgement, limit: Callable[[Datapoint], float]) -> None:
        self._world = world
        self._truth = world.truth
        self._judge = judge
        self._limit = limit
        self._proofs: dict[tuple[str, str], Proof] = {}
        self._points: dict[tuple[str, str], Datapoint | None] = {}

    def judge_all(self, devices: Mapping[str, DeviceState], now: float) -> None:
        """Judge everything that is shown."""
        for state in devices.values():
            self.judge(state, state.values, now)
            if state.device.kind == SYSTEM:
                self.judge_sums(devices, state, now)

    def judge(self, state: DeviceState, values: Mapping[str, Value | None], now: float) -> None:
        """Judge *values* of a device."""
        kind, owner = state.device.kind, state.device.id
        if kind == SYSTEM or not state.available:
            return
        for key, value in values.items():
            if value is None or (point := self._point(kind, key)) is None:
                continue
            if self._held(GATEWAY if kind == XCOM else owner, point, value, now):
                self._judge.right()
            else:
                since = now - self._limit(point)
                truth = [held.value for held in self._truth.held(owner, point.id, since)[-3:]]
                self._judge.false(
                    f"{now:.0f} {state.device.name} {key} = {value}, true was {truth}"
                )

    def _point(self, kind: str, key: str) -> Datapoint | None:
        if (kind, key) not in self._points:
            self._points[kind, key] = point_of(kind, key)
        return self._points[kind, key]

    def _held(self, owner: str, point: Datapoint, value: Value, now: float) -> bool:
        since = now - self._limit(point)
        proof = self._proofs.get((owner, point.key))
        if proof is not None and proof.value == value and proof.time >= since:
            return True
        if point.is_parameter and self._in_force(owner, point) == value:
            return True
        for held in reversed(self._truth.held(owner, point.id, since)):
            wire = as_float32(point.wire_format, held.value)
            if to_field(point, wire, ZONE) == value:
                self._proofs[owner, point.key] = Proof(value, held.time)
                return True
        return False

    def _in_force(self, owner: str, point: Datapoint) -> Value | None:
        """Return what a parameter is now; what stands in RAM can't be read."""
        device = next((one for one in self._world.devices if one.fid == owner), None)
        if device is None:
            return None
        wire = as_float32(point.wire_format, device.parameters.in_force(point.id))
        return to_field(point, wire, ZONE)

    def judge_sums(
        self, devices: Mapping[str, DeviceState], system: DeviceState, now: float
    ) -> None:
        """Judge the powers of the whole plant: each is what its devices show, or absent."""
        if not system.available:
            return
        for key, expected in _sums(devices):
            shown = system.values.get(key)
            if shown is None and expected is None:
                continue
            if (
                isinstance(shown, (int, float))
                and expected is not None
                and abs(shown - expected) < MOMENT
            ):
                self._judge.right()
            else:
                self._judge.false(f"{now:.0f} {key} = {shown}, the devices say {expected}")


def _sums(devices: Mapping[str, DeviceState]) -> Iterator[tuple[str, float | None]]:
    for key, sources in POWER_SUMS.items():
        parts = list(_parts(devices, sources))
        if parts:
            yield key, _sum(parts)
    watts = _sum(list(_parts(devices, {Family.BSP: BATTERY_POWER})))
    yield "battery_power", None if watts is None else -watts / 1000
    charge = _sum(list(_parts(devices, {Family.BSP: STATE_OF_CHARGE[Family.BSP]})))
    yield "state_of_charge", charge


def _parts(
    devices: Mapping[str, DeviceState], sources: Mapping[Family, int]
) -> Iterator[Value | None]:
    for state in devices.values():
        for family, number in sources.items():
            if state.device.kind == family.value and (point := by_id(family, number)) is not None:
                yield state.values.get(point.key) if state.available else None


def _sum(parts: list[Value | None]) -> float | None:
    numbers = [part for part in parts if isinstance(part, (int, float))]
    return sum(numbers) if numbers and len(numbers) == len(parts) else None
