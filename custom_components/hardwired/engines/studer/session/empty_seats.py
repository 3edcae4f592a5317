"""Addresses without a device: where a known one is missing, and where a new one may appear. Pure.

A seat is a family with an address. Times are monotonic.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from ..plant.availability import OFFLINE_AT
from ..scom.families import FAMILIES, Family

REPROBE = 30.0
"""Seconds between two probes of a lost device."""
LOOKS = 3
"""How often an address is probed that a device has left: an answer may get lost."""

Seat = tuple[Family, int]

_SWEPT = (Family.XT, Family.VT, Family.VS, Family.BMS, Family.BSP)


class EmptySeats:
    """Which address is to be probed next, and when."""

    def __init__(self) -> None:
        self._missing: dict[Seat, float] = {}
        """Where a known device is missing, and when it is probed."""
        self._vacated: dict[Seat, int] = {}
        """Addresses that may stay empty, and how often each will still be probed."""
        self._failures: Counter[Seat] = Counter()
        """What speaks against a device at an address, since one answered there."""
        self._sweep: deque[Seat] = deque()
        self._likely_next = False
        self._likely_turn = -1

    @property
    def families(self) -> set[Family]:
        """Families of which a known device is missing."""
        return {family for family, _ in self._missing}

    def times(self) -> Iterable[float]:
        """Return when the missing ones are probed."""
        return self._missing.values()

    def miss(self, seat: Seat, due: float, *, anew: bool = True) -> None:
        """Note that a known device is not where it was; it is probed then.

        Unless *anew*, one that is missed already keeps its time.
        """
        if anew or seat not in self._missing:
            self._missing[seat] = due

    def may_stay_empty(self, seat: Seat) -> None:
        """Note that a missed address is probed a few times only."""
        self._vacated[seat] = LOOKS

    def expect(self, families: Iterable[Family], now: float) -> None:
        """Probe the missing devices of *families* now."""
        wanted = set(families)
        for seat in self._missing:
            if seat[0] in wanted:
                self._missing[seat] = now

    def take_due(self, now: float) -> Seat | None:
        """Return a missing device that is to be probed now; its next time is later."""
        for seat, due in self._missing.items():
            if due <= now:
                self._missing[seat] = now + REPROBE
                return seat
        return None

    def taken(self, seat: Seat) -> None:
        """A device answers at an address."""
        self._missing.pop(seat, None)
        self._vacated.pop(seat, None)
        del self._failures[seat]

    def fail(self, seat: Seat, weight: int) -> bool:
        """Note that nobody answers at an address; returns whether that is certain now."""
        self._failures[seat] += weight
        return self._failures[seat] >= OFFLINE_AT

    def occupied(self, seat: Seat) -> None:
        """A device is at an address that was missed."""
        self._missing.pop(seat, None)

    def found_vacant(self, seat: Seat) -> None:
        """Nothing answers at an address; one that its device has left may stay empty."""
        if seat in self._vacated:
            self._vacated[seat] -= 1
            if not self._vacated[seat]:
                del self._vacated[seat]
                self._missing.pop(seat, None)

    def next_newcomer(
        self, families: Iterable[Family], is_free: Callable[[int], bool]
    ) -> Seat | None:
        """Return an address where a new device may be; *is_free* says where none is known.

        Every other time it is one where the next device of one of the plant's *families* would be.
        """
        if not self._sweep:
            self._sweep.extend(
                (family, address) for family in _SWEPT for address in FAMILIES[family].addresses
            )
        self._likely_next = not self._likely_next
        if self._likely_next and (likely := self._likely(families, is_free)):
            self._likely_turn += 1
            return likely[self._likely_turn % len(likely)]
        for _ in range(len(self._sweep)):
            seat = self._sweep.popleft()
            if self._is_open(seat, is_free):
                return seat
        return None

    def _is_open(self, seat: Seat, is_free: Callable[[int], bool]) -> bool:
        return seat not in self._missing and is_free(seat[1])

    def _likely(self, families: Iterable[Family], is_free: Callable[[int], bool]) -> list[Seat]:
        """Return the first free address of each family."""
        found: list[Seat] = []
        for family in sorted(families):
            seats = ((family, address) for address in FAMILIES[family].addresses)
            found += [seat for seat in seats if self._is_open(seat, is_free)][:1]
        return found
