"""Reads one inverter: who it is, what it measures, how it is set (spec c.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from ...engine import LinkError, Reason
from ..dongle.layouts import Block
from .frames import ModbusError, ModbusException
from .image import (
    CLOCK_REGISTERS,
    CONFIGURATION,
    CYCLE,
    DEVICE_TYPE,
    IDENTITY,
    LARGE_TYPE,
    NEEDED,
    NO_HYBRIDS,
    fallen_silent,
    is_three_phase,
    read_serial,
)
from .line import Line

_LOGGER = logging.getLogger(__name__)

THREE_PHASE = "sunsynk_three_phase"
SLOW = 300.0
"""Seconds between two looks at who it is, and how it is set where that can't be changed here."""
READ_AGAIN = 2
"""How often registers are read again that have become zero in a long row of zeros."""
MANY = 4
"""So many that were known as something else seldom become zero together."""
RESTART = 30.0
"""Seconds in which an inverter may have been switched off, given another unit, and started."""


class ThreePhase(LinkError):
    """The inverter has other registers than those that are known here."""

    def __init__(self) -> None:
        super().__init__(Reason.WRONG_DEVICE, "three-phase inverter: not supported by this source")
        self.key = THREE_PHASE


class NoInverter(LinkError):
    """What answers is no inverter of this kind."""


class AnotherInverter(ModbusError):
    """The unit is another inverter's now."""


class ModbusInverter:
    """One inverter on a line, by its unit id. Raises :class:`LinkError` as the line does."""

    def __init__(self, unit: int, line: Line) -> None:
        self.unit = unit
        self.line = line
        self.serial: str | None = None
        self.image: dict[int, int] = {}
        """The registers as they were read last."""
        self.failures = 0
        """Cycles in a row that have failed."""
        self.refused: set[Block] = set()
        """Blocks that the inverter does not have."""
        self._turn = asyncio.Lock()
        self._slow_at: float | None = None
        self._doubted: frozenset[int] = frozenset()
        """Registers that were zero at once in the last cycle."""
        self._newer: dict[int, int] = {}
        """Registers that were read by themselves while a cycle goes on."""
        self._unknown: set[int] = set()
        """Registers that may hold something else than what was read last."""
        self._heard_at: float | None = None
        """When the last cycle has ended well; ``None``: the last one has failed."""

    @property
    def is_16kw(self) -> bool:
        """Whether it is one of the large models, which allow more."""
        return self.image.get(DEVICE_TYPE) == LARGE_TYPE

    def renew(self) -> None:
        """The link was lost: ask anew who it is, and for what it had refused."""
        self.refused.clear()
        self._slow_at = None

    async def poll(self, now: float, slow: float = SLOW) -> None:
        """Read everything that is due, one poll at a time: see :meth:`_poll`."""
        async with self._turn:
            await self._poll(now, slow)

    async def _poll(self, now: float, slow: float) -> None:
        """Read everything that is due, into a new image; the old one stays when that fails.

        *slow* is in seconds, between two looks at what seldom changes. Raises
        :class:`ModbusError`, :class:`ThreePhase`, :class:`NoInverter`; also when many registers
        have become zero together: they are believed when they stay so, in two cycles if it was
        known what they were.

        Who was not heard for a while, or failed to answer, may have been switched off meanwhile:
        it may be another one, or be set otherwise.
        """
        self._newer.clear()
        heard_at, self._heard_at = self._heard_at, None
        due = self._slow_at is None or heard_at is None or now - self._slow_at >= slow
        due = due or bool(self._unknown)
        if not due and heard_at is not None and now - heard_at >= RESTART:
            due, heard_at = not await self._is_same(), now
        sure_at = now if due or heard_at is None else heard_at
        image = dict(self.image)
        if due:
            self._unknown.clear()
            image |= await self._read(IDENTITY)
            self._identify(image)
            image |= await self._read(CONFIGURATION)
        image |= await self._read(CYCLE)
        silent = await self._silent_still(image)
        if self.line.now - sure_at >= RESTART and not await self._is_same():
            raise AnotherInverter(f"unit {self.unit} has become another inverter")
        if len(silent & self.image.keys()) >= MANY and not silent & self._doubted:
            self._doubted = silent
            raise ModbusError(f"{len(silent)} registers are zero at once; they are read again")
        self._doubted = frozenset()
        if due:
            self._slow_at = now
        self._heard_at = now
        image |= self._newer
        if unknown := self._unknown & image.keys():
            # A command has put them in doubt since: they may have been read before it.
            for register in unknown:
                del image[register]
        self.image = image

    async def _is_same(self) -> bool:
        """Whether the serial number is still the one that was read."""
        return read_serial(await self._read([IDENTITY[0]])) == self.serial

    async def confirm(self) -> None:
        """Make sure that a command reaches the inverter it is meant for.

        Raises :class:`ModbusError` when nobody answers, or :class:`AnotherInverter`.
        """
        if read_serial(await self._read([IDENTITY[0]], urgent=True)) != self.serial:
            self._slow_at = None
            raise AnotherInverter(f"unit {self.unit} is another inverter")

    def doubt(self, register: int) -> None:
        """Forget what a register holds, until it is read again."""
        self._unknown.add(register)
        self._newer.pop(register, None)
        self.image = {key: word for key, word in self.image.items() if key != register}

    async def _silent_still(self, image: dict[int, int]) -> frozenset[int]:
        """Read what has become zero in *image* again; return which registers stay so."""
        silent = fallen_silent(self.image, image)
        for _ in range(READ_AGAIN):
            if not silent:
                break
            blocks = [one for one in CYCLE if silent & set(range(one.start, sum(one)))]
            again = await self._read(blocks)
            # What had an answer keeps it: it may be in what is empty this time.
            image |= {register: word for register, word in again.items() if register in silent}
            silent = fallen_silent(self.image, image)
        return silent

    def _identify(self, image: dict[int, int]) -> None:
        if is_three_phase(image.get(DEVICE_TYPE, 0)):
            self.serial = None
            raise ThreePhase
        if kind := NO_HYBRIDS.get(image.get(DEVICE_TYPE, 0)):
            self.serial = None
            raise NoInverter(
                Reason.WRONG_DEVICE, f"{kind}: only hybrid inverters are read by this source"
            )
        serial = read_serial(image)
        if serial is None:
            raise NoInverter(Reason.WRONG_DEVICE, "registers 3 to 7 hold no serial number")
        if self.serial not in (None, serial):
            _LOGGER.warning("another inverter answers as unit %d", self.unit)
            asked = {register for block in IDENTITY for register in range(block.start, sum(block))}
            for register in image.keys() - asked:
                del image[register]
            # What is known is the other one's, also if this cycle fails.
            self.image = {}
            self._newer.clear()
        self.serial = serial

    async def refresh(self, registers: Iterable[int], *, urgent: bool = True) -> None:
        """Read the blocks that hold these registers into the image, now."""
        wanted = set(registers)
        blocks = [
            block
            for block in (*IDENTITY, *CONFIGURATION, *CYCLE)
            if wanted & set(range(block.start, sum(block)))
        ]
        self._take(await self._read(blocks, urgent=urgent))

    async def read_register(self, register: int) -> int:
        """Return one register as it is now; it is in the image then."""
        (word,) = await self.line.read(self.unit, Block(register, 1), urgent=True)
        self._take({register: word})
        return word

    async def read_clock(self) -> None:
        """Read the clock into the image."""
        block = Block(CLOCK_REGISTERS.start, len(CLOCK_REGISTERS))
        self._take(await self._read([block], urgent=True))

    def _take(self, words: dict[int, int]) -> None:
        self._unknown -= words.keys()
        self.image = self.image | words
        self._newer |= words

    async def _read(self, blocks: Iterable[Block], *, urgent: bool = False) -> dict[int, int]:
        image: dict[int, int] = {}
        for block in blocks:
            if block in self.refused:
                continue
            try:
                words = await self.line.read(self.unit, block, urgent=urgent)
            except ModbusException as refused:
                if block in NEEDED or block == IDENTITY[0]:
                    raise NoInverter(
                        Reason.WRONG_DEVICE,
                        f"unit {self.unit} has no registers from {block.start} on"
                        f" (exception {refused.code})",
                    ) from refused
                self.refused.add(block)
                _LOGGER.info(
                    "unit %d has no registers %d to %d (exception %d); they are left out",
                    self.unit, block.start, sum(block) - 1, refused.code,
                )  # fmt: skip
                continue
            image.update(zip(range(block.start, sum(block)), words, strict=True))
        return image


__all__ = ["AnotherInverter", "ModbusError", "ModbusInverter", "NoInverter", "ThreePhase"]
