"""Whether the plant that answers is ours (spec c.6)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ...engine import LinkError, Reason
from ..scom.values import Format
from . import discovery
from .context import SessionContext
from .discovery import Unanswered
from .requester import Requester


class PlantCheck:
    """Knows the identities of a plant's devices and lets no other plant take their place."""

    def __init__(self, context: SessionContext, requester: Requester) -> None:
        self._context = context
        self._requester = requester
        self._joining = False

    @contextmanager
    def joining(self) -> Iterator[None]:
        """For a block: the plant was just checked, so that who is new may join."""
        self._joining = True
        try:
            yield
        finally:
            self._joining = False

    def check(self, guid: str | None, found: set[str]) -> None:
        """Check that this is the plant that we know, by the identities that were *found*.

        One known device, or the known gateway, makes it so. Raises :class:`LinkError`.
        """
        known = self._known_fids()
        same_gateway = guid is not None and guid == self._context.stored.gateway
        if found and known and not same_gateway and not found & known:
            raise _wrong_plant(found)

    async def check_newcomer(self, fid: str | None) -> None:
        """Let a device join only a plant that is ours. Raises :class:`LinkError`.

        Another plant may have been put to the line without a loss of the link, so that a known
        device has to answer now.
        """
        if fid is None or fid in self._known_fids() or self._joining:
            return
        for unit in list(self._context.plant.real_units()):
            known = unit.identity.fid
            if unit.address is None or known is None:
                continue
            with contextlib.suppress(Unanswered):
                if known == await discovery.read_fid(
                    self._requester.ask, unit.family, unit.address, known
                ):
                    return
        reply = await self._requester.ask(discovery.guid_request(), Format.GUID)
        guid = discovery.guid_of(reply)
        same = guid is not None and guid == self._context.stored.gateway
        if self._known_fids() and not same:
            raise _wrong_plant({fid})

    def _known_fids(self) -> set[str]:
        """Return the identities of all devices that this plant has ever had."""
        fids = {unit.identity.fid for unit in self._context.plant.real_units()}
        return {fid for fid in (*fids, *self._context.stored.fids) if fid is not None}


def _wrong_plant(found: Iterable[str]) -> LinkError:
    count = len(set(found))
    return LinkError(
        Reason.WRONG_DEVICE,
        f"another plant answers: none of the known devices is there, {count} unknown are",
    )
