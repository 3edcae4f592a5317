"""Sets an inverter: checked, one register at a time, read back twice (spec e.2).

Several settings of one command are all or nothing: all are checked together before the first is
written, and when one is not taken, those before it are put back. The memory of the inverter
wears: what it holds already is not written, and there are limits for a second and an hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from ...clock import Clock
from ...device_clocks import EARLIEST_YEAR, LATEST_YEAR
from ...engine import CommandError, InvalidCommand, LinkError, NotConfirmed, NotConnected, Refused
from ...fields import Value
from .frames import ModbusError, ModbusException
from .image import CLOCK_REGISTERS, clock_words, read_inverter_clock
from .inverter import ModbusInverter
from .writable import SETTINGS, ForbiddenWrite, Kind, Setting

_LOGGER = logging.getLogger(__name__)

BETWEEN = 1.0
"""Seconds between two writes."""
AN_HOUR = 3600.0
WRITES_AN_HOUR = 60
SETTLE = 0.05
"""Seconds until a register is read back."""
REPEATS = 2
"""How often a register is written again that reads back otherwise."""
CONFIRM = 2.0
"""Seconds after which all is read back once more: an inverter takes some values back."""
QUEUE = 16
LATE_IN_THE_MINUTE = 50
CLOCK_TOLERANCE = timedelta(seconds=10)

Word: TypeAlias = tuple[int, int, int]
"""A register, its word, and the mask of the bits that count."""


@dataclass(slots=True, eq=False)
class _Queued:
    """A command that waits for its turn."""

    keys: frozenset[str]
    superseded: bool = False


class Writer:
    """Carries out the wishes for one inverter, one after the other.

    *on_change* is called with it when its image has changed. Raises a :class:`CommandError`.
    """

    def __init__(
        self,
        inverter: ModbusInverter,
        clock: Clock,
        on_change: Callable[[ModbusInverter], None],
    ) -> None:
        self._inverter = inverter
        self._clock = clock
        self._on_change = on_change
        self._turn = asyncio.Lock()
        self._queue: list[_Queued] = []
        self._written: deque[float] = deque(maxlen=WRITES_AN_HOUR)
        self.writes = 0
        """Registers written so far."""

    async def set(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """Set several settings together, by field key; returns how many were written.

        A newer command with the same keys takes the place of one that waits.
        """
        wishes = [(self._setting(key), value) for key, value in values.items()]
        if not wishes:
            raise InvalidCommand(key="sunsynk_nothing_to_set")
        raws = [(setting, _raw(setting, value)) for setting, value in wishes]

        async def work() -> Mapping[str, Value]:
            return await self._set(raws)

        return await self._in_turn(frozenset(values), work)

    async def set_clock(self, local: Callable[[], datetime]) -> Mapping[str, Value]:
        """Set the clock to what *local*, a wall clock without a zone, shows when it is written."""

        async def work() -> Mapping[str, Value]:
            return await self._set_clock(local)

        return await self._in_turn(frozenset({"clock"}), work)

    async def _in_turn(
        self, keys: frozenset[str], work: Callable[[], Awaitable[Mapping[str, Value]]]
    ) -> Mapping[str, Value]:
        if len(self._queue) >= QUEUE:
            raise InvalidCommand(key="sunsynk_too_many", count=str(QUEUE))
        for waiting in self._queue:
            if waiting.keys <= keys:
                waiting.superseded = True
        queued = _Queued(keys)
        self._queue.append(queued)
        try:
            await self._turn.acquire()
        finally:
            self._queue.remove(queued)
        try:
            if queued.superseded:
                raise CommandError(key="superseded")
            return await work()
        except LinkError as error:
            raise NotConfirmed(str(error)) from error
        finally:
            self._turn.release()

    @staticmethod
    def _setting(key: str) -> Setting:
        setting = SETTINGS.get(key)
        if setting is None:
            raise InvalidCommand(key="sunsynk_no_setting", setting=key)
        return setting

    async def _set(self, raws: list[tuple[Setting, int]]) -> Mapping[str, Value]:
        inverter = self._inverter
        needs = frozenset[int]().union(*(setting.needs for setting, _ in raws))
        await self._confirm()
        try:
            await inverter.refresh(needs)
        except ModbusError as error:
            raise NotConnected(str(error)) from error
        wanted = self._checked(raws)
        changes = {
            register: word for register, word in wanted.items() if inverter.image[register] != word
        }
        self._on_change(self._inverter)
        if changes:
            await self._write_all(raws, changes)
        return {"written": len(changes), "unchanged": len(raws) - self._changed(raws, changes)}

    async def _confirm(self) -> None:
        """Make sure that it is the inverter that is meant."""
        try:
            await self._inverter.confirm()
        except ModbusError as error:
            raise NotConnected(str(error)) from error

    @staticmethod
    def _changed(raws: list[tuple[Setting, int]], changes: Mapping[int, int]) -> int:
        return sum(setting.register in changes for setting, _ in raws)

    def _checked(self, raws: list[tuple[Setting, int]]) -> dict[int, int]:
        """Return the words by register, checked against each other and against what stands."""
        image = dict(self._inverter.image)
        is_16kw = self._inverter.is_16kw
        try:
            for setting, raw in raws:
                if setting.register not in image:
                    raise InvalidCommand(key="sunsynk_no_setting", setting=setting.key)
                image[setting.register] = setting.bare_word(raw, image[setting.register])
            for setting, raw in raws:
                setting.word(raw, image, is_16kw=is_16kw)
            self._check_neighbours(raws, image)
        except ForbiddenWrite as error:
            raise InvalidCommand(key=error.key, **error.placeholders) from error
        return {setting.register: image[setting.register] for setting, _ in raws}

    def _check_neighbours(self, raws: list[tuple[Setting, int]], image: Mapping[int, int]) -> None:
        """Refuse what would put another setting, which is right now, outside its limits."""
        set_now = {setting.register for setting, _ in raws}
        before = self._inverter.image
        for other in SETTINGS.values():
            if other.kind is not Kind.NUMBER or other.register not in image:
                continue
            if not set_now & {*other.at_least, *other.at_most} or other.register in set_now:
                continue
            word = image[other.register]
            if _inside(other, word, before) and not _inside(other, word, image):
                raise ForbiddenWrite("sunsynk_outside_then", other.key)

    async def _write_all(self, raws: list[tuple[Setting, int]], changes: Mapping[int, int]) -> None:
        self._check_budget(len(changes))
        before = {register: self._inverter.image[register] for register in changes}
        masks: dict[int, int] = {}
        for setting, _ in raws:
            masks[setting.register] = masks.get(setting.register, 0) | setting.mask
        done: list[int] = []
        try:
            for register in self._order(changes):
                done.append(register)
                await self._write(
                    register, changes[register], masks[register], old=before[register]
                )
            await self._clock.sleep(CONFIRM)
            for register in done:
                found = await self._read_back(register)
                if (found ^ changes[register]) & masks[register]:
                    raise self._not_taken(
                        "sunsynk_taken_back", register, changes[register], found,
                        seconds=f"{CONFIRM:g}",
                    )  # fmt: skip
        except CommandError:
            await self._put_back(done, before, masks)
            raise
        finally:
            self._on_change(self._inverter)

    def _order(self, changes: Mapping[int, int]) -> list[int]:
        """Return the registers in an order in which each step keeps the limits, where there is one.

        Slots that are moved later go from the last to the first, and the other way round.
        """
        image = dict(self._inverter.image)
        left = sorted(changes)
        order = []
        while left:
            chosen = next(
                (one for one in left if self._step_is_sound(one, changes, image)), left[0]
            )
            left.remove(chosen)
            order.append(chosen)
            image[chosen] = changes[chosen]
        return order

    @staticmethod
    def _step_is_sound(register: int, changes: Mapping[int, int], image: Mapping[int, int]) -> bool:
        after = {**image, register: changes[register]}
        for setting in SETTINGS.values():
            if setting.kind in (Kind.SWITCH, Kind.OPTION) or setting.register not in after:
                continue
            if register in setting.needs:
                word = after[setting.register]
                if _inside(setting, image[setting.register], image) and not _inside(
                    setting, word, after
                ):
                    return False
        return True

    def _check_budget(self, count: int) -> None:
        now = self._clock.monotonic()
        while self._written and now - self._written[0] >= AN_HOUR:
            self._written.popleft()
        if len(self._written) + count > WRITES_AN_HOUR:
            wait = max(0.0, AN_HOUR - (now - self._written[0])) if self._written else AN_HOUR
            raise Refused(
                key="sunsynk_too_often",
                most=str(WRITES_AN_HOUR),
                wanted=str(count),
                left=str(WRITES_AN_HOUR - len(self._written)),
                minutes=str(int(wait // 60) + 1),
            )

    async def _write(self, register: int, word: int, mask: int, *, old: int) -> None:
        """Write a register until it reads back, twice more at most."""
        found = old
        for _ in range(1 + REPEATS):
            await self._send(register, word)
            await self._clock.sleep(SETTLE)
            found = await self._read_back(register)
            if not (found ^ word) & mask:
                return
        key = "sunsynk_kept_old" if not (found ^ old) & mask else "sunsynk_changed_otherwise"
        raise self._not_taken(key, register, word, found)

    async def _send(self, register: int, word: int) -> None:
        now = self._clock.monotonic()
        if self._written and (pause := self._written[-1] + BETWEEN - now) > 0:
            await self._clock.sleep(pause)
        self._note_write()
        # Whatever becomes of it: what the register holds is known when it is read back.
        self._inverter.doubt(register)
        try:
            await self._inverter.line.write(self._inverter.unit, register, word)
        except ModbusException as refused:
            raise Refused(
                key="sunsynk_refused", setting=_name(register), code=str(refused.code)
            ) from refused
        except ModbusError as error:
            # It may have been taken all the same: what reads back decides.
            _LOGGER.debug("no answer to the write of register %d: %s", register, error)

    def _note_write(self) -> None:
        self._written.append(self._clock.monotonic())
        self.writes += 1

    async def _read_back(self, register: int) -> int:
        try:
            return await self._inverter.read_register(register)
        except ModbusError as error:
            raise NotConfirmed(key="sunsynk_not_read_back", setting=_name(register)) from error

    async def _put_back(
        self, done: list[int], before: Mapping[int, int], masks: Mapping[int, int]
    ) -> None:
        """Put back what a command that has failed had set already."""
        for register in reversed(done):
            try:
                await self._inverter.confirm()
                found = await self._inverter.read_register(register)
                if (found ^ before[register]) & masks[register]:
                    _LOGGER.info("register %d is put back to %d", register, before[register])
                    await self._send(register, before[register])
                    await self._clock.sleep(SETTLE)
                    await self._inverter.read_register(register)
            except (ModbusError, CommandError, LinkError) as error:
                _LOGGER.warning(
                    "register %d could not be put back to %d: %s",
                    register, before[register], error,
                )  # fmt: skip

    @staticmethod
    def _not_taken(key: str, register: int, word: int, found: int, **more: str) -> Refused:
        return Refused(
            key=key,
            setting=_name(register),
            written=_shown(register, word),
            found=_shown(register, found),
            **more,
        )

    async def _set_clock(self, local: Callable[[], datetime]) -> Mapping[str, Value]:
        if not EARLIEST_YEAR <= local().year <= LATEST_YEAR:
            raise InvalidCommand(key="sunsynk_no_date", date=str(local().date()))
        self._check_budget(len(CLOCK_REGISTERS))
        await self._confirm()
        if (second := local().second) >= LATE_IN_THE_MINUTE:
            # Three registers, one after the other: no minute may end in between.
            await self._clock.sleep(60 - second)
        wanted = local()
        try:
            for register, word in zip(CLOCK_REGISTERS, clock_words(wanted), strict=True):
                self._note_write()
                await self._inverter.line.write(self._inverter.unit, register, word)
                await self._clock.sleep(SETTLE)
            await self._inverter.read_clock()
        except ModbusException as refused:
            raise Refused(
                key="sunsynk_refused", setting="clock", code=str(refused.code)
            ) from refused
        except ModbusError as error:
            raise NotConfirmed(key="sunsynk_not_read_back", setting="clock") from error
        finally:
            self._on_change(self._inverter)
        found = read_inverter_clock(self._inverter.image)
        if found is None or abs(found - local()) > CLOCK_TOLERANCE:
            shown = "-" if found is None else found.isoformat(" ")
            raise Refused(
                key="sunsynk_kept_old",
                setting="clock",
                written=wanted.isoformat(" ", "seconds"),
                found=shown,
            )
        return {"time": found.isoformat()}


def _raw(setting: Setting, value: Value) -> int:
    try:
        return setting.raw(value)
    except ForbiddenWrite as error:
        raise InvalidCommand(key=error.key, **error.placeholders) from error


def _inside(setting: Setting, word: int, image: Mapping[int, int]) -> bool:
    """Whether a word keeps the limits that other registers set it."""
    try:
        if setting.kind is Kind.TIME:
            shown = setting.value(word)
            setting.word(setting.raw(shown) if shown is not None else -1, image)
            return True
        low, high = setting.limits(image)
    except ForbiddenWrite:
        return False
    return max(low, setting.low) <= word <= high


def _settings_of(register: int) -> list[Setting]:
    return [setting for setting in SETTINGS.values() if setting.register == register]


def _name(register: int) -> str:
    return ", ".join(setting.key for setting in _settings_of(register)) or str(register)


def _shown(register: int, word: int) -> str:
    """Return a word as its settings show it."""
    found = []
    for setting in _settings_of(register):
        value = setting.value(word)
        text = "-" if value is None else f"{value:g}" if _is_number(value) else str(value)
        found.append(text)
    return ", ".join(found) or str(word)


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
