"""Set messages of inetbox.py and inetbox2mqtt, collected and turned into changes (spec truma g.4).

Messages of one moment belong together: they are collected for a while, then applied in the order
in which they came, each on what the ones before have left. The old programs put right what the
panel would not take (spec e, g.4): decimals are cut, less than 5 degrees is off, a pair of energy
and power that there is not follows the energy. Owners' automations count on that, so it is done
here, before the engine's rules, which refuse it. What can't be put right is refused, and the rest
still goes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from hardwired_engines.engine import InvalidCommand
from hardwired_engines.truma.inet.buffers import Group
from hardwired_engines.truma.inet.rules import (
    DEFAULT_MODES,
    MODES_OF,
    POWERS,
    ROOM_LOWEST,
    AirconMode,
    Energy,
    HeaterKind,
    aircon_wish,
    heater_wish,
    heats,
    room_code,
)
from hardwired_engines.truma.wishes import refusals

from .texts import Dialect, Kind, Texts, number_in

Raw = Mapping[str, int]

MOST_WAITING = 100
"""Messages that are collected at most; then only the newest of each key counts."""

_TIME = re.compile(r"([0-9]{1,9}):([0-9]{1,9}):([0-9]{1,9})")
_ROOM = ("target_temp_room", "heating_mode")
_WATER = ("target_temp_water",)
_HEATING = {Group.HEATER: "", Group.TIMER: "timer_"}
"""The groups that hold the heater's settings, and what goes before their keys."""
_Rule = Callable[[Raw], dict[str, int]]
_ENERGY = ("energy_mix", "el_power_level")


@dataclass(frozen=True, slots=True)
class _Plain:
    """A key that is converted and written, and that is all."""

    group: Group
    name: str
    kind: Kind | None = None
    most: int = 0


_PLAIN: Mapping[str, _Plain] = {
    "target_temp_water": _Plain(Group.HEATER, "target_temp_water", Kind.WATER),
    "energy_mix": _Plain(Group.HEATER, "energy_mix", Kind.ENERGY_MIX),
    "el_power_level": _Plain(Group.HEATER, "el_power_level", Kind.POWER_LEVEL),
    "timer_target_temp_water": _Plain(Group.TIMER, "target_temp_water", Kind.WATER),
    "timer_active": _Plain(Group.TIMER, "active", most=1),
    "timer_start_minutes": _Plain(Group.TIMER, "start_minutes", most=59),
    "timer_start_hours": _Plain(Group.TIMER, "start_hours", most=23),
    "timer_stop_minutes": _Plain(Group.TIMER, "stop_minutes", most=59),
    "timer_stop_hours": _Plain(Group.TIMER, "stop_hours", most=23),
}
_CLOCK: Mapping[str, _Plain] = {
    "wall_time_hours": _Plain(Group.CLOCK, "hours", most=23),
    "wall_time_minutes": _Plain(Group.CLOCK, "minutes", most=59),
    "wall_time_seconds": _Plain(Group.CLOCK, "seconds", most=59),
    "clock_mode": _Plain(Group.CLOCK, "clock_mode", Kind.CLOCK_MODE),
    "clock_source": _Plain(Group.CLOCK, "clock_source", Kind.CLOCK_SOURCE),
}
_AIRCON: Mapping[str, _Plain] = {
    "aircon_operating_mode": _Plain(Group.AC_MANUAL, "mode", Kind.AIRCON_MODE),
    "aircon_vent_mode": _Plain(Group.AC_MANUAL, "vent", Kind.AIRCON_VENT),
    "target_temp_aircon": _Plain(Group.AC_MANUAL, "target_temp", Kind.TEMPERATURE),
}


def _nothing() -> Mapping[Group, Raw]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of messages comes to.

    ``updates`` are the raw codes by the topics' keys, as the reference queues them; ``wishes``
    the raw fields by group after the rules, for the panel; ``errors`` one text for each message
    that is refused.
    """

    updates: Raw
    wishes: Mapping[Group, Raw] = field(default_factory=_nothing)
    errors: tuple[str, ...] = ()


class SetMessages:
    """Collects set messages until none has come for *wait* seconds, then converts them.

    *default_target* is in °C, *default_mode* a raw code.
    """

    def __init__(
        self,
        texts: Texts,
        *,
        default_target: float = 5,
        default_mode: int = 1,
        wait: float = 1.0,
        heater: HeaterKind = HeaterKind.COMBI,
    ) -> None:
        self._texts = texts
        self._default_target = room_code(default_target)
        self._default_mode = default_mode
        self._wait = wait
        self.heater = heater
        self._last_target = 0
        self._messages: list[tuple[str, str]] = []
        self._changed = 0.0

    def _mode(self) -> int:
        """Return the mode that switches the heating on; this heater may not know the usual one."""
        known = self._default_mode in MODES_OF[self.heater]
        return self._default_mode if known else int(DEFAULT_MODES[self.heater])

    @property
    def waiting(self) -> bool:
        """Whether a message waits for its commit."""
        return bool(self._messages)

    def see(self, heater: Raw) -> None:
        """Take note of a heater status: its target is what ``mode: heat`` restores."""
        target = heater.get("target_temp_room", 0)
        if heats(target):
            self._last_target = target

    def add(self, key: str, payload: str, now: float) -> None:
        """Collect a message. *now* is in seconds of a clock that never runs back."""
        self._changed = now
        if len(self._messages) >= MOST_WAITING:
            same = (place for place, (one, _) in enumerate(self._messages) if one == key)
            place = next(same, None)
            if place is None:
                return
            del self._messages[place]
        self._messages.append((key, payload))

    def due(self, now: float) -> bool:
        """Whether it is time to commit."""
        return self.waiting and now - self._changed >= self._wait

    def commit(self, baselines: Mapping[Group, Raw]) -> Batch:
        """Convert what was collected and forget it.

        *baselines* are the raw fields of the last status of each group, with changes that are
        already on their way.
        """
        messages, self._messages = self._messages, []
        heater = baselines.get(Group.HEATER, {})
        self.see(heater)
        return _Conversion(
            self._texts,
            baselines,
            _Defaults(self._mode(), self._default_target, self._last_target),
            self.heater,
        ).run(messages)


@dataclass(frozen=True, slots=True)
class _Defaults:
    mode: int
    target: int
    last_target: int


class _Conversion:
    """One batch on its way from texts to raw codes."""

    def __init__(
        self,
        texts: Texts,
        baselines: Mapping[Group, Raw],
        defaults: _Defaults,
        heater: HeaterKind,
    ) -> None:
        self._texts = texts
        self._baselines = baselines
        self._defaults = defaults
        self._heater = heater
        self._updates: dict[str, int] = {}
        self._errors: list[str] = []
        self._plain: dict[str, _Plain] = dict(_PLAIN)
        self._special: dict[str, Callable[[str], None]] = {
            "target_temp_room": self._target,
            "heating_mode": self._mode,
            "timer_target_temp_room": self._timer_target,
        }
        if texts.dialect is Dialect.INETBOX_PY:
            self._plain |= _CLOCK
            self._special |= {"mode": self._hvac_mode, "wall_time": self._wall_time}
        else:
            self._plain |= _AIRCON

    def run(self, messages: Iterable[tuple[str, str]]) -> Batch:
        refused: dict[str, str] = {}
        for key, payload in messages:
            # Of two messages with one key the later counts, even when it is refused.
            self._updates.pop(key, None)
            refused.pop(key, None)
            try:
                with refusals():
                    self._convert(key, payload)
            except InvalidCommand as error:
                refused[key] = str(error)
        wishes = {group: wish for group in Group if (wish := self._wish(group))}
        errors = (*refused.values(), *self._errors)
        return Batch(MappingProxyType(self._updates), MappingProxyType(wishes), errors)

    # ------------------------------------------------------------------------ texts to codes

    def _convert(self, key: str, payload: str) -> None:
        if (special := self._special.get(key)) is not None:
            special(payload)
        elif (plain := self._plain.get(key)) is not None:
            if plain.kind is not None:
                self._updates[key] = self._texts.code(plain.kind, payload)
            else:
                self._updates[key] = _whole(key, payload, plain.most)
        else:
            raise ValueError(f"{key[:40]!r} can't be set")

    def _now(self, name: str) -> int:
        """Return what a field of the heater is after the messages so far."""
        return self._updates.get(name, self._baselines.get(Group.HEATER, {}).get(name, 0))

    def _target(self, payload: str) -> None:
        code = _cut_room_code(float(number_in(payload)))
        self._updates["target_temp_room"] = code
        if not code:
            self._updates["heating_mode"] = 0
        elif not self._now("heating_mode"):
            self._updates["heating_mode"] = self._defaults.mode

    def _mode(self, payload: str) -> None:
        code = self._texts.code(Kind.HEATING_MODE, payload)
        self._updates["heating_mode"] = code
        if not code:
            self._updates["target_temp_room"] = 0
        elif not heats(self._now("target_temp_room")):
            self._updates["target_temp_room"] = self._defaults.target

    def _hvac_mode(self, payload: str) -> None:
        # What is neither is ignored without an error, as the reference does.
        if payload == "off":
            self._updates |= {"heating_mode": 0, "target_temp_room": 0}
        elif payload == "heat":
            target = self._defaults.last_target or self._defaults.target
            self._updates |= {"target_temp_room": target, "heating_mode": self._defaults.mode}

    def _wall_time(self, payload: str) -> None:
        found = _TIME.fullmatch(payload)
        hours, minutes, seconds = map(int, found.groups()) if found else (24, 0, 0)
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError("wall_time takes a time of day such as 07:08:09")
        self._updates |= {
            "wall_time_hours": hours,
            "wall_time_minutes": minutes,
            "wall_time_seconds": seconds,
        }

    def _timer_target(self, payload: str) -> None:
        self._updates["timer_target_temp_room"] = _cut_room_code(float(number_in(payload)))

    # ------------------------------------------------------------------------ rules

    def _wish(self, group: Group) -> Raw:
        """Return what goes to the panel of a group; what no panel takes becomes an error."""
        keys = {plain.name: key for key, plain in self._plain.items() if plain.group is group}
        if group in _HEATING:
            keys |= {name: f"{_HEATING[group]}{name}" for name in _ROOM}
        asked = {name: key for name, key in keys.items() if key in self._updates}
        baseline = self._baselines.get(group, {})
        rule: _Rule = dict
        parts: tuple[tuple[str, ...], ...] = ()
        if group in _HEATING:
            # One by one: what is refused of the room spares the water.
            rule, parts = partial(self._heater_rule, baseline=baseline), (_ROOM, _WATER, _ENERGY)
        elif group is Group.AC_MANUAL:
            rule, parts = partial(_aircon_rule, baseline=baseline), (tuple(asked),)
        found: dict[str, int] = {}
        for names in parts:
            found |= self._ruled(rule, {name: asked.pop(name) for name in names if name in asked})
        return {**found, **{name: self._updates[key] for name, key in asked.items()}}

    def _ruled(self, rule: _Rule, asked: Mapping[str, str]) -> dict[str, int]:
        """Apply a rule to some fields, named with their keys; forget them when it refuses."""
        if not asked:
            return {}
        try:
            with refusals():
                return rule({name: self._updates[key] for name, key in asked.items()})
        except InvalidCommand as error:
            self._errors.append(str(error))
            for key in asked.values():
                del self._updates[key]
            return {}

    def _heater_rule(self, wish: Raw, baseline: Raw) -> dict[str, int]:
        return heater_wish(
            _energy_put_right(wish),
            baseline,
            self._heater,
            default_mode=self._defaults.mode,
            default_target=self._defaults.target,
        )


def _cut_room_code(celsius: float) -> int:
    """Return the code of a room temperature as the old programs read it: cut, below 5 is off."""
    if not math.isfinite(celsius) or celsius >= ROOM_LOWEST:
        return room_code(math.floor(celsius) if math.isfinite(celsius) else celsius)
    return 0


def _energy_put_right(wish: Raw) -> Raw:
    """Let the power follow the energy where the two exclude each other."""
    mix, power = wish.get("energy_mix"), wish.get("el_power_level")
    if power not in POWERS or mix is None:
        return wish
    if mix == Energy.FUEL:
        return {**wish, "el_power_level": 0}
    return {**wish, "el_power_level": power or POWERS[1]}


def _aircon_rule(wish: Raw, baseline: Raw) -> dict[str, int]:
    mode = wish.get("mode", baseline.get("mode", AirconMode.OFF))
    if mode in (AirconMode.OFF, AirconMode.AUTOMATIC):
        # The fan follows the mode.
        wish = {name: code for name, code in wish.items() if name != "vent"}
    ruled = aircon_wish(wish, baseline)
    # What goes with it is added where it is known how it was when it was last on.
    return {name: code for name, code in ruled.items() if name in wish}


def _whole(key: str, payload: str, most: int) -> int:
    if not (payload.isascii() and payload.isdecimal() and len(payload) < 4):
        raise ValueError(f"{key} takes a whole number from 0 to {most}")
    if (value := int(payload)) > most:
        raise ValueError(f"{key} takes a whole number from 0 to {most}")
    return value
