"""Inverters that remember how they were set, and who judges what is shown of their settings."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random

from hardwired_engines.engine import Snapshot
from hardwired_engines.fields import Value
from hardwired_engines.sunsynk.modbus.writable import SETTINGS
from hardwired_engines.sunsynk.simulator.modbus import DEFAULTS, SimulatedInverter

from ._sunsynk import House
from .contract import Judgement

REMEMBERED = 8
NUMBERS = {
    "battery_max_charge_current": (0, 150),
    "grid_charge_battery_current": (0, 150),
    "max_sell_power": (0, 5000),
    "inverter_program_soc_1": (15, 100),
    "inverter_program_soc_2": (15, 100),
    "inverter_program_power_3": (0, 5000),
}
SWITCHES = ("use_timer", "solar_export", "grid_charge_enabled", "inverter_program_sell_1")
OPTIONS = ("load_limit", "inverter_program_charge_1")


def wanted(dice: Random) -> tuple[str, Value]:
    """Return a setting of those that a household changes, and what it wants it to be."""
    key = dice.choice((*NUMBERS, *SWITCHES, *OPTIONS))
    if key in NUMBERS:
        return key, dice.randint(*NUMBERS[key])
    if key in SWITCHES:
        return key, dice.choice((True, False))
    return key, dice.choice(list(SETTINGS[key].options.values()))


@dataclass(frozen=True, slots=True)
class Left:
    """A word that a register no longer holds: until when, and whether a command replaced it."""

    until: float
    word: int
    commanded: bool


class Words(dict[int, int]):
    """The settings of an inverter by register, with what they were before."""

    def __init__(self, words: Mapping[int, int], now: Callable[[], float]) -> None:
        super().__init__(words)
        self.left: dict[int, deque[Left]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self.commanded = False
        self._now = now

    def __setitem__(self, register: int, word: int) -> None:
        if register in self and self[register] != word:
            self.left[register].append(Left(self._now(), self[register], self.commanded))
        super().__setitem__(register, word)


class Inverter(SimulatedInverter):
    """An inverter whose settings are followed."""

    def __init__(self, serial: str, house: House, now: Callable[[], float]) -> None:
        super().__init__(serial, house)
        self.words = self.settings = Words(DEFAULTS, now)

    def write(self, register: int, word: int, local: object) -> None:
        """Take a word by a command."""
        self.words.commanded = True
        super().write(register, word, local)  # type: ignore[arg-type]
        self.words.commanded = False

    def forget(self) -> None:
        """Be set as a new one."""
        for register, word in DEFAULTS.items():
            self.settings[register] = word


@dataclass
class SettingsInspector:
    """Holds every setting shown against the inverter's: it is in force now, or not shown.

    What somebody else has changed may take *patience* seconds; what a command has changed is known
    when the command ends.
    """

    judge: Judgement
    now: Callable[[], float]
    patience: float

    def look(
        self, inverters: Iterable[Inverter], snapshot: Snapshot, busy: Mapping[str, int]
    ) -> None:
        """Judge all that is shown; *busy*: commands under way, by serial number."""
        for inverter in inverters:
            state = snapshot.devices.get(inverter.serial)
            if state is None or not state.available:
                continue
            for key, setting in SETTINGS.items():
                shown = state.values.get(key)
                word = inverter.words.get(setting.register)
                if shown is None or word is None:
                    continue
                if shown == setting.value(word) or self._may_be(
                    key, shown, inverter, busy=bool(busy.get(inverter.serial))
                ):
                    self.judge.right()
                else:
                    self.judge.false(
                        f"{self.now():.0f} {inverter.serial} {key} = {shown},"
                        f" in force is {setting.value(word)}"
                    )

    def _may_be(self, key: str, shown: Value, inverter: Inverter, *, busy: bool) -> bool:
        """Whether a setting was so a moment ago, and nobody here can know that it is not."""
        setting = SETTINGS[key]
        left = inverter.words.left.get(setting.register, ())
        return any(
            setting.value(one.word) == shown
            and self.now() - one.until <= self.patience
            and (busy or not one.commanded)
            for one in left
        )

    def complaints(self, inverters: Iterable[Inverter], snapshot: Snapshot) -> list[str]:
        """Return the settings that are not shown as they are."""
        return [
            f"{inverter.serial} {key} is {snapshot.value(inverter.serial, key)}"
            for inverter in inverters
            for key, setting in SETTINGS.items()
            if setting.register in inverter.words
            and snapshot.value(inverter.serial, key)
            != setting.value(inverter.words[setting.register])
        ]
