"""Finds the devices and reads their identities (spec c.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..datapoints.datapoint import by_id
from ..datapoints.plausibility import check
from ..plant.unit import Identity
from ..scom.errors import ErrorCode, Remedy, remedy, remedy_of_read
from ..scom.exchange import Reply, ReplyKind
from ..scom.families import FAMILIES, Family
from ..scom.frame import GATEWAY_ADDRESS, ObjectType, Request, Service, read_info, read_parameter
from ..scom.values import Format, exact_integer, factory_id, hardware_version, software_version

CLOCK = 5002
CONSECUTIVE_ABSENCES = 2
READ_ATTEMPTS = 3
_NO_FID = ("00000000", "FFFFFFFF")
SINGLE_FAMILIES = (Family.XT, Family.VT, Family.VS)


class Unanswered(Exception):
    """A device that has to be known before anything is shown did not answer."""


class NotAsked(Unanswered):
    """When its turn came, the question was of no use any longer: nothing was sent."""


class Ask(Protocol):
    """Asks one question on an open line."""

    def __call__(self, request: Request, wire_format: Format | None = None, /) -> Awaitable[Reply]:
        """Return how the exchange ended."""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered."""

    family: Family
    address: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a discovery is."""

    done: int
    total: int
    found: tuple[Found, ...]
    identified: int = 0

    @property
    def fraction(self) -> float:
        """How much of the time has passed, about: half of it is the search."""
        return (self.done / max(1, self.total) + self.identified / max(1, len(self.found))) / 2


OnProgress = Callable[[Progress], None]


class Identifying:
    """Tells the progress of what comes after the search: who the devices are."""

    def __init__(self, found: tuple[Found, ...], on_progress: OnProgress | None) -> None:
        self._found = found
        self._on_progress = on_progress
        self._identified = 0

    def step(self) -> None:
        """One more is known, or is not to be known now."""
        self._identified += 1
        if self._on_progress is not None:
            total = ADDRESSES
            self._on_progress(Progress(total, total, self._found, self._identified))


def probe_request() -> Request:
    """Return the request that the gateway itself answers: its clock."""
    return read_parameter(GATEWAY_ADDRESS, CLOCK)


PROBE_FORMAT = Format.INT32


def guid_request() -> Request:
    """Return the question for the GUID of a gateway; on RS-232 an error is normal."""
    return Request(GATEWAY_ADDRESS, Service.READ, ObjectType.GUID, 0, 0)


def guid_of(reply: Reply) -> str | None:
    """Return the GUID in an answer; ``None``: there is none, or one that nobody has set."""
    guid = str(reply.value) if reply.kind is ReplyKind.VALUE else ""
    return guid if len(set(guid) - {"-"}) > 1 else None


async def discover(
    ask: Ask,
    *,
    thorough: bool = True,
    known: Collection[tuple[Family, int]] = (),
    on_progress: OnProgress | None = None,
) -> tuple[Found, ...]:
    """Return the devices that answer, and in their places the *known* ones, which are not asked.

    *thorough* asks every address; else two absences in a row end a family. A known device is no
    absence, since a single dead unit must not hide those behind it. At the address of a battery
    monitor may be one of two kinds, so it is asked in any case.
    """
    search = _Search(ask, on_progress)
    for family in SINGLE_FAMILIES:
        absences = 0
        for address in FAMILIES[family].addresses:
            if (family, address) in known:
                search.take(family, address)
                absences = 0
                continue
            if not thorough and absences >= CONSECUTIVE_ABSENCES:
                search.step()
                continue
            present = await search.test(family, address, FAMILIES[family].probe)
            absences = 0 if present else absences + 1
    monitor = await monitor_of(ask)
    if monitor is None:
        search.step()
    else:
        search.take(monitor, FAMILIES[monitor].first)
    return tuple(search.found)


ADDRESSES = sum(len(FAMILIES[family].addresses) for family in SINGLE_FAMILIES) + 1


class _Search:
    def __init__(self, ask: Ask, on_progress: OnProgress | None) -> None:
        self._ask = ask
        self._on_progress = on_progress
        self._total = ADDRESSES
        self._done = 0
        self.found: list[Found] = []

    def step(self) -> None:
        self._done = min(self._done + 1, self._total)
        if self._on_progress is not None:
            self._on_progress(Progress(self._done, self._total, tuple(self.found)))

    def take(self, family: Family, address: int) -> None:
        self.found.append(Found(family, address))
        self.step()

    async def test(self, family: Family, address: int, info: int) -> bool:
        present = await is_present(self._ask, address, info)
        if present:
            self.take(family, address)
        else:
            self.step()
        return present


async def monitor_of(ask: Ask) -> Family | None:
    """Return which battery monitor answers; ``None``: none does.

    Only an Xcom-CAN has 7054; 7034 is a BSP's, but an Xcom-CAN answers it as well. So where nothing
    was answered about 7054, it is asked again once 7034 was.
    """
    if (can := await _has_version_of_bms(ask)) is True:
        return Family.BMS
    if not await is_present(ask, FAMILIES[Family.BSP].first, FAMILIES[Family.BSP].probe):
        return None
    if can is None:
        can = await _has_version_of_bms(ask)
    return Family.BMS if can else Family.BSP


async def _has_version_of_bms(ask: Ask) -> bool | None:
    """Whether what only an Xcom-CAN has is there; ``None``: nobody has answered that."""
    info = FAMILIES[Family.BMS]
    for _ in range(2):
        reply = await ask(read_info(info.first, info.probe), Format.FLOAT)
        if reply.kind is ReplyKind.VALUE:
            return True
        if reply.kind is not ReplyKind.TIMEOUT and reply.error not in _NOBODY:
            return False
        if reply.error == ErrorCode.DEVICE_NOT_FOUND:
            break
    return None


async def is_present(ask: Ask, address: int, info: int) -> bool:
    """Ask once, and again after a time-out; any value means yes."""
    for _ in range(2):
        reply = await ask(read_info(address, info), Format.FLOAT)
        if reply.kind is ReplyKind.VALUE:
            return True
        if reply.kind is not ReplyKind.TIMEOUT and reply.error != ErrorCode.RESPONSE_TIMEOUT:
            return False
    return False


_LACKING = (Remedy.UNSUPPORTED, Remedy.DOUBTFUL)
_NOBODY = (
    ErrorCode.DEVICE_NOT_FOUND,
    ErrorCode.RESPONSE_TIMEOUT,
    ErrorCode.READ_PROPERTY_FAILED,
    ErrorCode.GATEWAY_BUSY,
    ErrorCode.INVALID_FRAME,
)


class _Reader:
    """Reads the infos of one device, leaving out what it does not have.

    Raises :class:`Unanswered` when the device does not answer at all.
    """

    def __init__(
        self, ask: Ask, family: Family, address: int, attempts: int = READ_ATTEMPTS
    ) -> None:
        self._ask = ask
        self._family = family
        self._address = address
        self._attempts = attempts

    async def __call__(self, info: int) -> float | None:
        point = by_id(self._family, info)
        if point is None or point.wire_format is None:
            return None
        reply = None
        for _ in range(self._attempts):
            reply = await self._ask(point.read(self._address), point.wire_format)
            if reply.kind is ReplyKind.VALUE and isinstance(reply.value, (int, float)):
                if check(point, reply.value, 48) is None:
                    return float(reply.value)
            elif reply.error is not None and remedy(reply.error) is not Remedy.RETRY:
                break
        if reply is None or reply.kind is ReplyKind.TIMEOUT or reply.error in _NOBODY:
            raise Unanswered(f"no answer from {self._address} about {info}")
        return None

    async def surely(self, info: int) -> float | None:
        """Return an info that must be known; an impossible value counts as no answer."""
        point = by_id(self._family, info)
        assert point is not None
        reply = await self._ask(point.read(self._address), point.wire_format)
        if isinstance(reply.value, float) and exact_integer(reply.value) is not None:
            return reply.value
        if reply.error is not None and remedy_of_read(reply.error, self._family) in _LACKING:
            return None
        raise Unanswered(f"{self._address} answers about {info}: {reply}")


async def read_fid(
    ask: Ask,
    family: Family,
    address: int,
    expected: str | None = None,
    *,
    patient: bool = True,
) -> str | None:
    """Return the FID of the device at an address; ``None`` when it has none.

    A FID other than *expected* is believed when it was read twice. *patient*: ask again when an
    answer is lost. Raises :class:`Unanswered`.
    """
    found = await (_fid_tried if patient else _fid_once)(ask, family, address)
    if found == expected and found is not None:
        return found
    if found != await _fid_tried(ask, family, address):
        raise Unanswered(f"{address} gives its FID now so, now otherwise")
    return found


async def is_still(ask: Ask, family: Family, address: int, fid: str) -> bool:
    """Whether the device at an address is still the one with this FID, by its last four digits.

    One question instead of two. Raises :class:`Unanswered`.
    """
    info = FAMILIES[family].fid
    assert info is not None
    read = _Reader(ask, family, address)
    try:
        low = await read.surely(info[1])
    except Unanswered:
        low = await read.surely(info[1])
    return low is not None and factory_id(0, low) == f"{0:04X}{fid[4:]}"


async def _fid_tried(ask: Ask, family: Family, address: int) -> str | None:
    try:
        return await _fid_once(ask, family, address)
    except Unanswered:
        return await _fid_once(ask, family, address)


async def _fid_once(ask: Ask, family: Family, address: int) -> str | None:
    info = FAMILIES[family].fid
    if info is None:
        return None
    read = _Reader(ask, family, address)
    msb, lsb = await read.surely(info[0]), await read.surely(info[1])
    if msb is None or lsb is None:
        return None
    fid = factory_id(msb, lsb)
    if fid is None:
        raise Unanswered(f"{address} gives {msb:g} and {lsb:g} for its FID")
    return None if fid in _NO_FID else fid


async def read_software(ask: Ask, family: Family, address: int) -> str | None:
    """Return the software version of the device at an address."""
    read = _Reader(ask, family, address)
    return _software(family, {info: await read(info) for info in FAMILIES[family].software or ()})


_NOMINAL_BATTERY = {
    Family.XT: 3127,
    Family.VT: 11048,
    Family.VS: 15075,
    Family.BSP: 7035,
    Family.BMS: 7035,
}
_NOMINAL_AC = 3126
_HARDWARE: dict[Family, tuple[int, ...]] = {
    Family.XT: (3129, 3132),
    Family.VT: (11049,),
    Family.VS: (15076,),
    Family.BSP: (7036,),
    Family.BMS: (7036,),
}
_PHASES = {1: "L1", 2: "L2", 4: "L3"}
_XT_TYPES = {1: "XTH", 256: "XTM", 512: "XTS"}
_VS_TYPES = {12801: "VarioString VS-120", 13057: "VarioString VS-70"}


async def sketch(ask: Ask, family: Family, address: int, fid: str | None) -> Identity:
    """Return the least that must be known to show a new device; :func:`identify` reads more.

    Its name needs the phase, the plausibility check the battery's nominal voltage, its limits both
    nominal voltages. Raises :class:`Unanswered`.
    """
    read = _Reader(ask, family, address)
    battery = await read(_NOMINAL_BATTERY[family])
    if family is not Family.XT:
        return Identity(fid, nominal_battery=battery)
    ac, phase = await read(_NOMINAL_AC), _phase(await read(3089))
    return Identity(fid, nominal_battery=battery, nominal_ac=ac, phase=phase)


async def identify(ask: Ask, family: Family, address: int, expected: str | None = None) -> Identity:
    """Return who the device at an address is; *expected* is its FID as far as it is known.

    Raises :class:`Unanswered`.
    """
    fid = await read_fid(ask, family, address, expected)
    read = _Reader(ask, family, address)
    return describe(family, fid, {info: await read(info) for info in details_of(family)})


async def introduce(ask: Ask, family: Family, address: int) -> Identity:
    """Return what is shown of a device before anything of it is used: its FID is read once.

    Raises :class:`Unanswered`.
    """
    fid = await _fid_tried(ask, family, address)
    read = _Reader(ask, family, address)
    unread = {*_HARDWARE[family], _NOMINAL_AC} if family in SINGLE_FAMILIES else ()
    said = {info: None if info in unread else await read(info) for info in details_of(family)}
    return describe(family, fid, said)


async def read_detail(ask: Ask, family: Family, address: int, info: int) -> float | None:
    """Return one of the infos that :func:`describe` needs, asked for once.

    ``None``: the device does not have it. Raises :class:`Unanswered`.
    """
    return await _Reader(ask, family, address, attempts=1)(info)


_MODEL: dict[Family, tuple[int, ...]] = {
    Family.XT: (3124, 3125, _NOMINAL_AC, 3089),
    Family.VT: (11015,),
    Family.VS: (15074,),
}
"""Beyond what all families have: model, power, AC voltage, phase."""


def details_of(family: Family) -> tuple[int, ...]:
    """Return the infos that say what a device is, beside its FID."""
    software = FAMILIES[family].software or ()
    return (*software, _NOMINAL_BATTERY[family], *_HARDWARE[family], *_MODEL.get(family, ()))


def describe(family: Family, fid: str | None, said: Mapping[int, float | None]) -> Identity:
    """Return the identity of a device from its answers, a value for each of :func:`details_of`."""
    battery = said[_NOMINAL_BATTERY[family]]
    ac: float | None = None
    phase: str | None = None
    match family:
        case Family.XT:
            ac = said[_NOMINAL_AC]
            model = _xt_model(said[3124], said[3125], battery)
            phase = _phase(said[3089])
        case Family.VT:
            model = _vt_model(said[11015])
        case Family.VS:
            number = said[15074]
            model = None if number is None else _VS_TYPES.get(exact_integer(number) or 0)
        case _:
            model = "Xcom-CAN" if family is Family.BMS else "BSP"
    return Identity(
        fid, model, _software(family, said), _hardware(family, said), battery, ac, phase
    )


def _software(family: Family, said: Mapping[int, float | None]) -> str | None:
    numbers = [said.get(info) for info in FAMILIES[family].software or ()]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return software_version(numbers[0], numbers[1])


def _hardware(family: Family, said: Mapping[int, float | None]) -> str | None:
    board, *more = (said[info] for info in _HARDWARE[family])
    return None if board is None else hardware_version(board, more[0] if more else None)


def _phase(number: float | None) -> str | None:
    return _PHASES.get(exact_integer(number or 0) or 0)


def _xt_model(kind: float | None, power: float | None, battery: float | None) -> str | None:
    if kind is None:
        return None
    name = _XT_TYPES.get(exact_integer(kind) or 0, "Xtender")
    if power is None or battery is None:
        return name
    return f"{name} {power:.0f}-{battery:.0f}"


def _vt_model(number: float | None) -> str | None:
    point = by_id(Family.VT, 11015)
    if number is None or point is None:
        return None
    label = next((item.label for item in point.choices if item.wire == number), None)
    return None if label is None else f"VarioTrack {label}"


def nominal_battery(found: Collection[tuple[Family, Identity]]) -> float | None:
    """Return the nominal battery voltage, snapped to 12, 24 or 48 V."""
    for family in (Family.XT, Family.VT, Family.VS, Family.BSP, Family.BMS):
        for other, identity in found:
            volts = identity.nominal_battery
            if other is family and volts is not None and 10 <= volts <= 64:
                return min((12.0, 24.0, 48.0), key=lambda nominal: abs(nominal - volts))
    return None


def nominal_ac(found: Collection[tuple[Family, Identity]]) -> float | None:
    """Return the nominal AC voltage: 120 or 230 V."""
    for family, identity in found:
        volts = identity.nominal_ac
        if family is Family.XT and volts is not None and 80 <= volts <= 280:
            return 120.0 if volts < 160 else 230.0
    return None
