"""Whether a setting has its effect, where an info of the device shows it (spec e.1)."""

from __future__ import annotations

import logging
import math

from ..datapoints.datapoint import Datapoint
from ..plant.unit import Unit
from ..scom.exchange import ReplyKind
from ..scom.families import Family
from ..scom.frame import read_info
from ..scom.values import Format
from .context import SessionContext
from .requester import Requester
from .timers import Timers

_LOGGER = logging.getLogger(__name__)

EFFECT_DELAY = 10.0
"""Seconds after a write until its effect is looked for."""
_EFFECT_BITS = {1124: 0, 1125: 1, 1126: 2, 1128: 3, 1127: 4}
"""The bit of info 3056 that forbids what a parameter allows."""
_INPUT_LIMIT = 1107


class Effects:
    """Warns of settings in RAM that a device does not act on."""

    def __init__(self, context: SessionContext, requester: Requester, timers: Timers) -> None:
        self._context = context
        self._requester = requester
        self._timers = timers
        self._missing: tuple[str, int] | None = None
        """Device and number of a setting without effect."""

    def expect(self, unit: Unit, point: Datapoint) -> None:
        """Check, after a while, whether a write has its effect on an info."""
        if unit.family is Family.XT and (point.id in _EFFECT_BITS or point.id == _INPUT_LIMIT):
            name = (unit.id, point.id)
            self._timers.later(EFFECT_DELAY, name, lambda: self._check(unit.id, point))

    async def _check(self, unit_id: str, point: Datapoint) -> None:
        unit = self._context.plant.units.get(unit_id)
        shadow = None if unit is None else unit.memory.shadows.get(point.id)
        if unit is None or shadow is None or unit.address is None or not unit.available:
            return
        if shadow.number is None:
            return
        info = 3017 if point.id == _INPUT_LIMIT else 3056
        reply = await self._requester.ask_unit(unit, read_info(unit.address, info), Format.FLOAT)
        if reply.kind is not ReplyKind.VALUE or not isinstance(reply.value, float):
            return
        if not math.isfinite(reply.value):
            return
        if point.id == _INPUT_LIMIT:
            agrees = abs(reply.value - shadow.number) <= max(1.0, 0.1 * shadow.number)
        else:
            forbidden = bool(int(reply.value) >> _EFFECT_BITS[point.id] & 1)
            agrees = forbidden is not bool(shadow.number)
        if agrees:
            self.clear(unit, point)
        else:
            name = self._context.plant.name(unit)
            _LOGGER.warning("%s does not act on {%d}", name, point.id)
            self._context.warn("no_effect", device=name, parameter=str(point.id))
            self._missing = unit.id, point.id

    def clear(self, unit: Unit, point: Datapoint) -> None:
        """A setting has its effect, or was taken back: withdraw the warning."""
        if self._missing == (unit.id, point.id):
            self._context.troubles.pop("no_effect", None)
            self._missing = None
