"""The watchdogs of devices, which reset them when nobody writes (spec e.4)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

from ..datapoints.datapoint import by_id
from ..plant.unit import Unit
from ..scom.errors import Remedy, remedy_of_read
from ..scom.exchange import ReplyKind
from ..scom.families import Family
from .context import SessionContext
from .discovery import Unanswered
from .requester import Requester

_WATCHDOGS: Mapping[Family, tuple[int, int, int]] = {
    Family.XT: (1628, 1629, 1550),
    Family.VT: (10342, 10343, 10058),
    Family.VS: (14218, 14219, 14069),
}
"""Per family: watchdog on, its delay, "parameters saved in flash"."""


class Watchdogs:
    """Asks devices whether a watchdog is on; :class:`.ram.Ram` feeds it."""

    def __init__(self, context: SessionContext, requester: Requester) -> None:
        self._context = context
        self._requester = requester

    async def parameter(self, unit: Unit, number: int, *, urgent: bool = False) -> float | None:
        """Return a parameter; ``None`` when the device does not have it.

        Raises :class:`Unanswered` when it does not say.
        """
        point = by_id(unit.family, number)
        assert point is not None
        if unit.address is None:
            raise Unanswered(f"{unit.id} is not there to be asked about {number}")
        reply = await self._requester.ask_unit(
            unit, point.read(unit.address), point.wire_format, urgent=urgent
        )
        if reply.kind is ReplyKind.VALUE and isinstance(reply.value, (int, float)):
            return float(reply.value)
        if (
            reply.error is not None
            and remedy_of_read(reply.error, unit.family) is Remedy.UNSUPPORTED
        ):
            return None
        if unit.is_gateway:
            return None
        raise Unanswered(f"{unit.id} does not answer about {number}")

    async def try_to_look(self, unit: Unit) -> None:
        """Read a watchdog; if there is no answer it is asked again before the first write."""
        with contextlib.suppress(Unanswered):
            await self.look(unit)

    async def look(self, unit: Unit, *, urgent: bool = False) -> None:
        """Read whether a device resets itself when nobody writes (spec e.4).

        Raises :class:`Unanswered` when it does not say; ``unit.watchdog.armed`` is ``None`` then.
        """
        ids = _WATCHDOGS.get(unit.family)
        if ids is None or unit.virtual:
            unit.watchdog.armed = False
            return
        unit.watchdog.armed = None
        armed = await self.parameter(unit, ids[0], urgent=urgent)
        if armed:
            delay = await self.parameter(unit, ids[1], urgent=urgent)
            unit.watchdog.delay = delay if delay and math.isfinite(delay) else 10.0
            saves = await self.parameter(unit, ids[2], urgent=urgent)
            unit.watchdog.saves_to_flash = saves != 0
        unit.watchdog.armed = bool(armed)
        unit.watchdog.seen = self._context.clock.monotonic()
