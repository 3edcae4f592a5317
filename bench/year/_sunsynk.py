"""A house whose every register image is remembered, and who judges what is shown of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hardwired_engines.engine import DeviceState, Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.sunsynk.catalogue import FIELDS, LIFETIME_COUNTERS
from hardwired_engines.sunsynk.pipeline.energy_counters import PERIODS
from hardwired_engines.sunsynk.register_words import Codec, raw_of
from hardwired_engines.sunsynk.simulator.plant import Plant, PlantSettings

from .contract import Judgement, Total

REMEMBERED = 64
"""Register images of a house; a counter in doubt keeps its last value for some reports."""
PLAIN = frozenset({Codec.U16, Codec.S16, Codec.U32, Codec.TEMPERATURE})
CHECKED = {key: row for key, row in FIELDS.items() if row.codec in PLAIN and not row.options}


@dataclass(frozen=True, slots=True)
class Image:
    """The registers at a moment, on the life's clock."""

    time: float
    words: Mapping[int, int]
    _meanings: dict[str, float | None] = field(default_factory=dict)

    def meaning(self, key: str) -> float | None:
        """Return what a field's words mean; ``None`` where the house does not have it."""
        if key not in self._meanings:
            row = CHECKED[key]
            words = [self.words[one] for one in row.registers if one in self.words]
            raw = raw_of(row.codec, words) if len(words) == len(row.registers) else None
            self._meanings[key] = None if raw is None else raw / 10**row.decimals
        return self._meanings[key]


class House(Plant):
    """A plant that remembers what it has shown."""

    def __init__(self, settings: PlantSettings, random: Random, now: Callable[[], float]) -> None:
        super().__init__(settings=settings, random=random)
        self.images: deque[Image] = deque(maxlen=REMEMBERED)
        self._clock = now
        self._measured: frozenset[str] = frozenset()

    def registers(self) -> dict[int, int]:
        """Return the register words of the moment."""
        words = super().registers()
        self.images.append(Image(self._clock(), words))
        return words

    @property
    def measured(self) -> frozenset[str]:
        """The fields that a house has registers for; the rest are settings."""
        if not self._measured and self.images:
            words = self.images[-1].words
            self._measured = frozenset(
                key for key, row in CHECKED.items() if words.keys() >= set(row.registers)
            )
        return self._measured

    def newest(self) -> Iterator[Image]:
        """Yield what was shown, the newest first."""
        return reversed(self.images)


@dataclass
class Inspector:
    """Holds every value shown against the images of the inverter that it is shown for."""

    judge: Judgement
    houses: Mapping[str, House]
    now: Callable[[], float]
    limit: float
    """Seconds after which nothing may be shown any more."""
    true_at: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, DeviceState] = field(default_factory=dict)
    _highest: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(self, snapshot: Snapshot) -> None:
        """Judge what is new."""
        for serial, state in snapshot.devices.items():
            if state.device.kind != "inverter" or self._seen.get(serial) is state:
                continue
            before = self._seen.get(serial)
            self._seen[serial] = state
            self._check_rise(serial, state)
            if not state.available or (
                before is not None and before.available and before.values == state.values
            ):
                continue
            if (house := self.houses.get(serial)) is None:
                self.judge.false(f"there is no inverter {serial}")
                continue
            self._check(serial, state, house)

    def _check(self, serial: str, state: DeviceState, house: House) -> None:
        oldest = self.now()
        measured = house.measured
        for key, value in state.values.items():
            if value is None or key not in measured:
                continue
            found = next(self._agreeing(key, value, house), None)
            if found is None:
                shown = [image.meaning(key) for image in house.newest()][:4]
                self.judge.false(f"{self.now():.0f} {serial} {key} = {value}, true was {shown}")
            else:
                self.judge.right()
                if key not in PERIODS:
                    oldest = min(oldest, found.time)
        self.true_at[serial] = oldest

    def _agreeing(self, key: str, value: Value, house: House) -> Iterable[Image]:
        oldest = self.now() - self.limit * (8 if key in PERIODS else 1)
        for image in house.newest():
            if image.time < oldest:
                return
            true = image.meaning(key)
            if true is not None and isinstance(value, (int, float)) and abs(true - value) < 1e-6:
                yield image

    def _check_rise(self, serial: str, state: DeviceState) -> None:
        for key in LIFETIME_COUNTERS:
            value = state.values.get(key)
            if not isinstance(value, (int, float)):
                continue
            before = self._highest.get((serial, key), 0.0)
            if value < before:
                self.judge.fall(f"{self.now():.0f} {serial} {key}: {before} -> {value}")
            self._highest[serial, key] = value

    def look(self, snapshot: Snapshot) -> None:
        """Judge whether what stands is still young enough."""
        for serial, state in snapshot.devices.items():
            if state.device.kind == "inverter" and state.available:
                age = self.now() - self.true_at.get(serial, 0.0)
                if age > self.limit:
                    self.judge.false(f"{self.now():.0f} {serial} is shown {age:.0f} s old")

    def complaints(self, snapshot: Snapshot) -> list[str]:
        """Return what is not shown as it should be."""
        found = [] if snapshot.connected else [f"not connected: {snapshot.reason}"]
        for serial in self.houses:
            state = snapshot.devices.get(serial)
            if state is None or not state.available:
                found.append(f"{serial} is not available")
            elif missing := [
                k for k in LIFETIME_COUNTERS if k in state.values and state.values[k] is None
            ]:
                found.append(f"{serial} has no {missing[0]}")
        return found

    def totals(self, snapshot: Snapshot, polls: int = 3) -> Mapping[str, Total]:
        """Return the lifetime counters; what was counted in the last *polls* may be missing."""
        found: dict[str, Total] = {}
        for serial, house in self.houses.items():
            recent = list(house.newest())[: polls + 1]
            for key in LIFETIME_COUNTERS:
                value: Any = snapshot.value(serial, key)
                if key not in snapshot.devices[serial].values:
                    continue
                true, earlier = (image.meaning(key) or 0.0 for image in (recent[0], recent[-1]))
                found[f"{serial} {key}"] = Total(value, true, round(true - earlier, 3))
        return found
