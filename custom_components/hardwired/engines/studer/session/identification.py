"""Who is at an address: FIDs and details, in few requests where that is possible (spec c.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..datapoints.datapoint import by_id
from ..datapoints.plausibility import REFERENCE_VOLTAGE, check
from ..plant.unit import Identity
from ..scom import multi_info
from ..scom.exchange import ReplyKind
from ..scom.families import FAMILIES, Family
from ..scom.values import exact_integer, factory_id
from . import discovery
from .context import SessionContext
from .discovery import Found, Unanswered
from .requester import Requester

_MULTI = (Family.XT, Family.VT, Family.VS)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one multi-info answer says of a device: it is held against the device itself."""

    fid: str
    details: Mapping[int, float]


class Identification:
    """Asks devices who they are."""

    def __init__(self, context: SessionContext, requester: Requester) -> None:
        self._context = context
        self._requester = requester

    def expected(self, family: Family, address: int) -> str | None:
        """Return the FID that should be read at an address."""
        sitting = self._context.plant.at(address)
        if sitting is None:
            return self._context.stored.seats.get((family, address))
        return sitting.identity.fid

    async def identify(self, family: Family, address: int) -> Identity:
        """Return all that a device says of itself. Raises :class:`Unanswered`."""
        expected = self.expected(family, address)
        return await discovery.identify(self._requester.ask, family, address, expected)

    async def identify_all(
        self,
        found: Iterable[Found],
        *,
        fully: bool,
        missed: Callable[[Found], None],
        step: Callable[[], None] = lambda: None,
    ) -> list[tuple[Found, Identity]]:
        """Return who the devices are; *missed* is called for those that do not answer.

        Unless *fully*, only what is needed to show a device is asked. *step* is called for each.
        """
        found = list(found)
        said = await self._at_once(found, details=fully)
        identities: list[tuple[Found, Identity]] = []
        for one in found:
            try:
                identities.append((one, await self._meet(one, said.get(one), fully=fully)))
            except Unanswered:
                # No value for a while is better than values under a wrong identity.
                missed(one)
            step()
        return identities

    async def _meet(self, one: Found, said: _Said | None, *, fully: bool) -> Identity:
        """Return who a device is. Raises :class:`Unanswered`."""
        stored, ask = self._context.stored, self._requester.ask
        expected = self.expected(one.family, one.address)
        known = None if said is None else stored.identity(said.fid)
        if said is not None and said.fid == expected and known is not None and not fully:
            return known
        if fully and said is None and expected is None:
            return await discovery.introduce(ask, one.family, one.address)
        if said is not None:
            fid = await discovery.read_fid(ask, one.family, one.address, said.fid)
            if fid == said.fid and fully:
                return await self._described(one, said)
        else:
            fid = await discovery.read_fid(
                ask, one.family, one.address, expected, patient=expected is None
            )
        known = None if fid is None else stored.identity(fid)
        if fully:
            return await self.identify(one.family, one.address)
        return known or await discovery.sketch(ask, one.family, one.address, fid)

    async def _described(self, one: Found, said: _Said) -> Identity:
        """Return a device's identity; what the gateway left open is asked of the device."""
        details: dict[int, float | None] = dict(said.details)
        for info in discovery.details_of(one.family):
            if info not in details:
                details[info] = await discovery.read_detail(
                    self._requester.ask, one.family, one.address, info
                )
        return discovery.describe(one.family, said.fid, details)

    async def _at_once(self, found: Iterable[Found], *, details: bool) -> Mapping[Found, _Said]:
        """Return what the gateway says of the devices, asked for in few requests.

        What it says of a missing device there is not known. So a FID that is not the expected one
        is read from the device itself, and no value is shown before that has answered.
        """
        settings, stored = self._context.settings, self._context.stored
        wanted = settings.multi_info and (
            stored.multi_info if not details else stored.multi_info_possible
        )
        said: dict[Found, _Said] = {}
        if not wanted:
            return said
        asked = {one: _infos(one, details=details) for one in found if one.family in _MULTI}
        for batch in _batches(asked):
            items = [multi_info.Item(info, _index(one)) for one in batch for info in asked[one]]
            reply = await self._requester.ask(multi_info.request(items, 0, settings.source_address))
            if reply.kind is not ReplyKind.VALUE:
                break
            values = multi_info.decode(reply.data).values()
            for one in batch:
                if (answer := self._read(one, values, details=details)) is not None:
                    said[one] = answer
        return said

    def _read(
        self, one: Found, values: Mapping[multi_info.Item, float], *, details: bool
    ) -> _Said | None:
        index = _index(one)
        pair = FAMILIES[one.family].fid or ()
        numbers = [
            exact_integer(values.get(multi_info.Item(info, index), math.nan)) for info in pair
        ]
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
            return None
        fid = factory_id(numbers[0], numbers[1])
        if fid is None or (not details and fid != self.expected(one.family, one.address)):
            return None
        found: dict[int, float] = {}
        for info in discovery.details_of(one.family) if details else ():
            value = values.get(multi_info.Item(info, index))
            point = by_id(one.family, info)
            # A gateway may say 0 of what a device does not have.
            if value and point is not None and check(point, value, REFERENCE_VOLTAGE) is None:
                found[info] = value
        return _Said(fid, found)


def _index(one: Found) -> int:
    return one.address - FAMILIES[one.family].first + 1


def _infos(one: Found, *, details: bool) -> tuple[int, ...]:
    more = discovery.details_of(one.family) if details else ()
    return (*(FAMILIES[one.family].fid or ()), *more)


def _batches(asked: Mapping[Found, tuple[int, ...]]) -> Iterator[list[Found]]:
    """Yield the devices in groups that fit into one request each."""
    batch: list[Found] = []
    size = 0
    for one, infos in asked.items():
        if size + len(infos) > multi_info.MAX_ITEMS:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(infos)
    if batch:
        yield batch
