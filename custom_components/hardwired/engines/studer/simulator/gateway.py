"""The simulated gateway: every service of SCOM, and what the bus behind it does (spec b, c, i.3).

Pure: a request and the time go in, an answer comes out. Later events go into the
:class:`.clockwork.Agenda`. :mod:`.world` transports the bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..datapoints.datapoint import Datapoint, by_id
from ..scom import multi_info
from ..scom.errors import ErrorCode
from ..scom.families import FAMILIES, PHASES, Family
from ..scom.frame import (
    GATEWAY_ADDRESS,
    Body,
    Frame,
    FrameFlags,
    InfoProperty,
    ObjectType,
    ParameterProperty,
    Service,
    ServiceFlags,
)
from ..scom.multi_info import AVERAGE, Item, MultiInfo, PlantFlags
from ..scom.values import Format, encode
from .clockwork import Agenda, PlantClock
from .devices import (
    Contact,
    Device,
    Number,
    Parameters,
    ScomError,
    encoded,
    level_of,
    readable,
    single,
)
from .effects import take_effect
from .files import Card, Transfers
from .machines import Xtender
from .messages import Memory
from .plant import Plant
from .truth import Journal, Truth

GATEWAY = "xcom"
CLOCK = 5002
SCOM_WATCHDOG = (5095, 5096)
IDENTIFY_SECONDS = 45.0
BUS_PATIENCE = 2.0
"""How long the gateway waits for a device before it says RESPONSE_TIMEOUT."""
FIELD_BUSY = (20.0, 40.0)
"""Seconds after midnight in which the custom field of the log can't be written."""

LOST: dict[Family, int] = {
    Family.XT: 163, Family.VT: 166, Family.VS: 167, Family.BSP: 164, Family.BMS: 235,
}  # fmt: skip


INFO_PROPERTIES = (
    InfoProperty.VALUE,
    ParameterProperty.VALUE,
    ParameterProperty.UNSAVED_VALUE,
)
"""What an info may be asked for with: two public libraries use a parameter's properties."""


@dataclass(slots=True, kw_only=True)
class GatewaySettings:
    """What kind of gateway it is. ``guid`` is ``None`` on RS-232."""

    firmware: str = "1.6.76"
    guid: str | None = None
    multi_info: bool = True
    missing: float | None = 0.0
    """What multi-info has for a missing device; ``None``: the item is left out."""
    datalog: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gateway makes of a request: an answer or none, and how long that takes."""

    frame: Frame | None
    delay: float = 0.0
    """Beyond the gateway's usual latency."""
    payload: Datapoint | None = None
    """The info whose value is in the answer, if it is one."""


class Gateway:
    """An Xcom with the devices behind it. :meth:`handle` answers one request."""

    def __init__(
        self,
        plant: Plant,
        devices: Sequence[Device],
        clock: PlantClock,
        *,
        settings: GatewaySettings,
        card: Card,
        agenda: Agenda,
        journal: Journal,
        truth: Truth,
    ) -> None:
        self.plant = plant
        self.devices = list(devices)
        self.clock = clock
        self.settings = settings
        self.card = card
        self.transfers = Transfers(card)
        self.agenda = agenda
        self.journal = journal
        self.truth = truth
        self.messages = Memory()
        self.parameters = Parameters(Family.RCC, plant.layout.nominal, plant.layout.ac)
        self.restarted = False
        self.silent_until = 0.0
        self.refusals: deque[tuple[int, int | None]] = deque()
        """Error codes to answer next, each to an address or to anybody."""
        self.identified: tuple[float, float] | None = None
        """Address whose LEDs flash, and until when."""
        self._last_request = 0.0
        plant.on_minute = card.minute
        plant.on_midnight = card.midnight

    # ------------------------------------------------------------------ who is there

    def at(self, address: int) -> Device | None:
        """Return the device that sits at an address, whether it can be reached or not."""
        return next((device for device in self.devices if device.address == address), None)

    def of_family(self, family: Family) -> list[Device]:
        """Return the devices of a family that can be reached, in the order of their index."""
        found = [
            device
            for device in self.devices
            if device.family is family and device.contact is Contact.PRESENT
        ]
        return sorted(found, key=lambda device: device.index)

    def flags(self) -> FrameFlags:
        """Return what the gateway says of itself in every answer."""
        card = self.card
        found = FrameFlags(0)
        for flag, holds in (
            (FrameFlags.MESSAGE_PENDING, self.messages.pending),
            (FrameFlags.RESTARTED, self.restarted),
            (FrameFlags.SD_PRESENT, card.present),
            (FrameFlags.SD_FULL, card.full),
            (FrameFlags.NEW_DATALOG_FILE, card.new_file),
            (FrameFlags.DATALOG_SUPPORTED, self.settings.datalog),
        ):
            if holds:
                found |= flag
        return found

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.settings.firmware.split("."))

    # ------------------------------------------------------------------ requests

    def tick(self, now: float) -> None:
        """Advance the plant until now."""
        self.plant.advance(self.clock.moment(now))

    def handle(self, frame: Frame, now: float) -> Outcome | None:
        """Return the outcome of a frame; ``None`` when it is no request."""
        body = frame.body()
        if body is None or body.is_response:
            return None
        self.tick(now)
        self._feed_scom_watchdog(now)
        if (code := self._refusal(frame.destination)) is not None:
            return Outcome(self._error(frame, body, code))
        try:
            return self._serve(frame, body, now)
        except ScomError as error:
            delay = BUS_PATIENCE if error.code == ErrorCode.RESPONSE_TIMEOUT else 0.0
            return Outcome(self._error(frame, body, error.code), delay)
        except _Silence:
            return Outcome(None)

    def _refusal(self, address: int) -> int | None:
        for entry in self.refusals:
            code, whom = entry
            if whom in (None, address):
                self.refusals.remove(entry)
                return code
        return None

    def _answer(
        self, frame: Frame, body: Body, data: bytes, property_id: int | None = None
    ) -> Frame:
        told = body.property_id if property_id is None else property_id
        reply = body._replace(service_flags=int(ServiceFlags.RESPONSE), property_id=told, data=data)
        return Frame(int(self.flags()), frame.destination, frame.source, reply.encode())

    def _error(self, frame: Frame, body: Body, code: int) -> Frame:
        reply = body._replace(
            service_flags=int(ServiceFlags.RESPONSE | ServiceFlags.ERROR),
            data=code.to_bytes(2, "little"),
        )
        return Frame(int(self.flags()), frame.destination, frame.source, reply.encode())

    def _serve(self, frame: Frame, body: Body, now: float) -> Outcome:
        if body.service not in (Service.READ, Service.WRITE):
            raise ScomError(ErrorCode.SERVICE_NOT_SUPPORTED)
        if body.object_type == ObjectType.FILE_TRANSFER:
            return self._transfer(frame, body, now)
        if self.transfers.active(now):
            raise ScomError(ErrorCode.GATEWAY_BUSY)
        self.transfers.stop()
        if frame.destination == GATEWAY_ADDRESS:
            data = self._serve_gateway(body, now)
            return Outcome(self._answer(frame, body, data))
        targets = self._targets(frame.destination, body.service)
        match body.object_type:
            case ObjectType.INFO:
                point, value = self._read_info(targets[0], body, now)
                return Outcome(self._answer(frame, body, encoded(point, value)), payload=point)
            case ObjectType.PARAMETER if body.service == Service.READ:
                data = self._read_parameter(targets[0], body, now)
            case ObjectType.PARAMETER:
                self._write_all(targets, body, now)
                data = b""
            case _:
                raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)
        return Outcome(self._answer(frame, body, data))

    def _targets(self, address: int, service: int) -> list[Device]:
        """Return the devices at an address. Raises :class:`ScomError`, or :class:`_Silence`."""
        if address in PHASES:
            phase = list(PHASES).index(address)
            found = [
                device
                for device in self.of_family(Family.XT)
                if isinstance(device.machine, Xtender) and device.machine.phase == phase
            ]
            if not found:
                raise ScomError(ErrorCode.DEVICE_NOT_FOUND)
            return found[:1] if service == Service.READ else found
        families = [f for f, info in FAMILIES.items() if info.multicast == address]
        if address == 0 or families:
            if service == Service.READ:
                raise ScomError(ErrorCode.MULTICAST_READ_NOT_SUPPORTED)
            found = [device for family in families for device in self.of_family(family)]
            if not found:
                raise ScomError(ErrorCode.DEVICE_NOT_FOUND)
            return found
        device = self.at(address)
        if device is None or device.contact is Contact.GONE:
            raise ScomError(ErrorCode.DEVICE_NOT_FOUND)
        if device.contact is Contact.TIMEOUT:
            raise ScomError(ErrorCode.RESPONSE_TIMEOUT)
        if device.contact is Contact.SILENT:
            raise _Silence
        return [device]

    def _read_info(self, device: Device, body: Body, now: float) -> tuple[Datapoint, Number]:
        point = device.point(body.object_id, parameter=False)
        if body.property_id not in INFO_PROPERTIES:
            raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
        if body.service == Service.WRITE:
            raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
        _without_data(body)
        value = device.info(point)
        self.truth.tell(device.fid, point.id, value, now)
        return point, value

    # ------------------------------------------------------------------ parameters

    def _read_parameter(self, device: Device, body: Body, now: float) -> bytes:
        point = device.point(body.object_id, parameter=True)
        if body.property_id == ParameterProperty.UNSAVED_VALUE and not device.writes_ram:
            raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
        return self._property(device.fid, device.parameters, point, body, now)

    def _property(
        self, owner: str, parameters: Parameters, point: Datapoint, body: Body, now: float
    ) -> bytes:
        _without_data(body)
        match body.property_id:
            case ParameterProperty.VALUE | ParameterProperty.UNSAVED_VALUE:
                value = parameters.saved(point.id)
                self.truth.tell(owner, point.id, value, now)
                return encoded(point, value)
            case ParameterProperty.MIN | ParameterProperty.MAX:
                low, high = parameters.bounds(point)
                bound = low if body.property_id == ParameterProperty.MIN else high
                if bound is None or point.signal:
                    raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
                return encoded(point, bound)
            case ParameterProperty.LEVEL:
                return encode(Format.SHORT_ENUM, int(level_of(point)))
            case _:
                raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)

    def _write_all(self, devices: Iterable[Device], body: Body, now: float) -> None:
        """Write one parameter of one or more devices: all of them or none."""
        checked = []
        for device in devices:
            point = device.point(body.object_id, parameter=True)
            persistent = _persistent(body, knows_ram=device.writes_ram)
            if not point.writable:
                raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
            checked.append((device, point, device.parameters.check(point, body.data), persistent))
        for device, point, value, persistent in checked:
            device.write(point, value, now, persistent=persistent)
            self._wrote(device.fid, device.parameters, point, value, now, persistent=persistent)
            take_effect(self, device, point, now)
            self._guard(device, now)

    def _wrote(
        self, owner: str, parameters: Parameters, point: Datapoint, value: Number, now: float,
        *, persistent: bool,
    ) -> None:  # fmt: skip
        if not point.signal:
            # A host may show what it wrote as well as what the device stores.
            self.truth.tell(owner, point.id, value, now)
            self.truth.tell(owner, point.id, parameters.in_force(point.id), now)
        self.journal.note(
            now, "written", owner=owner, id=point.id, value=readable(point, value),
            persistent=persistent, flash_writes=parameters.flash_writes[point.id],
        )  # fmt: skip

    def _guard(self, device: Device, now: float) -> None:
        """Reset the device if nothing is written in time."""
        deadline = device.armed_until()
        if deadline is None:
            return

        def look(moment: float) -> None:
            again = device.armed_until()
            if again is not None and again <= moment and device.contact is Contact.PRESENT:
                self.journal.note(moment, "watchdog", address=device.address, fid=device.fid)
                self.restart_device(device, moment)

        self.agenda.at(max(deadline, now), look)

    # ------------------------------------------------------------------ the gateway itself

    def _serve_gateway(self, body: Body, now: float) -> bytes:
        match body.object_type:
            case ObjectType.PARAMETER if body.service == Service.READ:
                return self._read_own(body, now)
            case ObjectType.PARAMETER:
                self._write_own(body, now)
                return b""
            case ObjectType.MESSAGE:
                return self._read_message(body)
            case ObjectType.GUID:
                return self._read_guid(body)
            case ObjectType.MULTI_INFO:
                return self._read_multi(body, now)
            case ObjectType.DATALOG_FIELD:
                self._write_field(body, now)
                return b""
            case ObjectType.INFO:
                raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
            case _:
                raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)

    def _own_point(self, number: int) -> Datapoint:
        point = by_id(Family.RCC, number)
        if point is None or not point.is_parameter:
            known = any(by_id(family, number) for family in Family)
            raise ScomError(ErrorCode.ACCESS_DENIED if known else ErrorCode.OBJECT_ID_NOT_FOUND)
        if point.wire_format is None:
            raise ScomError(ErrorCode.OBJECT_NOT_SUPPORTED)
        return point

    def _read_own(self, body: Body, now: float) -> bytes:
        point = self._own_point(body.object_id)
        if point.id == CLOCK and body.property_id in (5, 13):
            _without_data(body)
            moment = int(self.clock.moment(now))
            self.truth.tell(GATEWAY, CLOCK, moment, now)
            return encoded(point, moment)
        return self._property(GATEWAY, self.parameters, point, body, now)

    def _write_own(self, body: Body, now: float) -> None:
        point = self._own_point(body.object_id)
        persistent = _persistent(body, knows_ram=self._version >= (1, 6, 12))
        if not point.writable:
            raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
        value = self.parameters.check(point, body.data)
        if point.id == CLOCK:
            self.clock.set(float(value), now)
            self.plant.set_clock(float(value))
        elif not point.signal:
            self.parameters.store(point, value, persistent=persistent)
        self._wrote(GATEWAY, self.parameters, point, value, now, persistent=persistent)
        self._gateway_effect(point, value, now)

    def _read_message(self, body: Body) -> bytes:
        if self._version < (1, 5, 0):
            raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)
        _read_only(body)
        if body.property_id != 0:
            raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
        return self.messages.read(body.object_id).encode()

    def _read_guid(self, body: Body) -> bytes:
        if self.settings.guid is None:
            raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)
        _read_only(body)
        if body.object_id != 0:
            raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
        return encode(Format.GUID, self.settings.guid)

    def _write_field(self, body: Body, now: float) -> None:
        if body.service == Service.READ:
            raise ScomError(ErrorCode.SERVICE_NOT_SUPPORTED)
        if body.property_id != 1:
            raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
        seconds = self.clock.moment(now) % 86_400
        if FIELD_BUSY[0] <= seconds <= FIELD_BUSY[1]:
            raise ScomError(ErrorCode.GATEWAY_BUSY)
        self.card.add_field(body.data)

    def _transfer(self, frame: Frame, body: Body, now: float) -> Outcome:
        if frame.destination != GATEWAY_ADDRESS:
            self._targets(frame.destination, body.service)
            raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)
        if not self.settings.datalog:
            raise ScomError(ErrorCode.TYPE_NOT_SUPPORTED)
        if body.service == Service.WRITE:
            raise ScomError(ErrorCode.SERVICE_NOT_SUPPORTED)
        step, data = self.transfers.step(body.object_id, body.property_id, body.data, now)
        return Outcome(self._answer(frame, body, data, step))

    # ------------------------------------------------------------------ multi-info

    def _read_multi(self, body: Body, now: float) -> bytes:
        if not self.settings.multi_info or self._version < (1, 6, 74):
            raise ScomError(ErrorCode.SERVICE_NOT_SUPPORTED)
        if body.service == Service.WRITE:
            raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
        if body.object_id != multi_info.OBJECT_ID:
            raise ScomError(ErrorCode.OBJECT_ID_NOT_FOUND)
        try:
            items = multi_info.decode_request(body.data)
        except ValueError as error:
            raise ScomError(ErrorCode.INVALID_SERVICE_ARGUMENT) from error
        if len(items) > multi_info.MAX_ITEMS:
            raise ScomError(ErrorCode.INVALID_SERVICE_ARGUMENT)
        pairs = ((item, self._aggregate(item, now)) for item in items)
        found = tuple((item, value) for item, value in pairs if value is not None)
        return multi_info.encode(
            MultiInfo(int(self._plant_flags()), int(self.clock.moment(now)) & 0xFFFFFFFF, found)
        )

    def _plant_flags(self) -> PlantFlags:
        found = PlantFlags(0)
        for family, flag in (
            (Family.XT, PlantFlags.XT_PRESENT),
            (Family.BSP, PlantFlags.BSP_PRESENT),
            (Family.BMS, PlantFlags.BSP_PRESENT),
            (Family.VT, PlantFlags.VT_PRESENT),
            (Family.VS, PlantFlags.VS_PRESENT),
        ):
            if self.of_family(family):
                found |= flag
        return found

    def _aggregate(self, item: Item, now: float) -> float | None:
        devices = self._holders(item.info)
        match item.aggregation:
            case _ if not devices:
                return self.settings.missing
            case multi_info.AVERAGE | multi_info.SUM:
                values = [self._info(device, item.info, now) for device in devices]
                total = sum(value for value in values if value is not None)
                return single(total / len(values) if item.aggregation == AVERAGE else total)
            case multi_info.MASTER:
                return self._info(devices[0], item.info, now)
            case index:
                one = next((device for device in devices if device.index == index), None)
                if one is None:
                    return self.settings.missing
                return self._info(one, item.info, now)

    def _holders(self, number: int) -> list[Device]:
        for family, info in FAMILIES.items():
            if info.infos is not None and info.infos[0] <= number <= info.infos[1]:
                found = self.of_family(family)
                if found:
                    return found
        return []

    def _info(self, device: Device, number: int, now: float) -> float | None:
        point = by_id(device.family, number)
        if point is None or point.is_parameter or point.wire_format is None:
            return self.settings.missing
        value = device.info(point)
        self.truth.tell(device.fid, number, value, now)
        return float(value)

    # ------------------------------------------------------------------ what happens

    def say(self, number: int, source: int, now: float) -> None:
        """Add a message of the plant; it is pending."""
        self.messages.add(number, source, int(self.clock.moment(now)))
        self.journal.note(now, "message", number=number, source=source)

    def _feed_scom_watchdog(self, now: float) -> None:
        self._last_request = now
        if not self.parameters.in_force(SCOM_WATCHDOG[0]):
            return
        delay = float(self.parameters.in_force(SCOM_WATCHDOG[1]))

        def look(moment: float) -> None:
            enabled = self.parameters.in_force(SCOM_WATCHDOG[0])
            if enabled and moment - self._last_request >= delay:
                self.restart(moment, 6.0, message=216)

        self.agenda.at(now + delay, look)

    def restart(self, now: float, seconds: float = 6.0, message: int | None = None) -> None:
        """Restart the gateway: silence, then the flag."""
        self.journal.note(now, "gateway_restart", seconds=seconds)
        self.restarted = True
        self.silent_until = max(self.silent_until, now + seconds)
        self.transfers.stop()
        self.messages.forget_pointer()
        self.parameters.restart()
        if message is not None:
            self.agenda.at(now + seconds, lambda moment: self.say(message, GATEWAY_ADDRESS, moment))

    def drop(
        self,
        device: Device,
        now: float,
        *,
        silent: float = 8.0,
        timeout: float = 12.0,
        away: float | None = 60.0,
        alive: bool = False,
    ) -> None:
        """Take a device off the bus: silent, then 0x0003, then 0x0002, then back (spec f.1).

        *away* is how long it stays unknown; ``None``: until :meth:`bring_back`. *alive*: only
        the bus is broken, and RAM survives.
        """
        self.journal.note(now, "dropped", address=device.address, fid=device.fid)
        device.machine.powered = alive
        device.contact = Contact.SILENT
        device.absences += 1
        absence = device.absences

        def give_up(moment: float) -> None:
            if device.contact is Contact.SILENT and device.absences == absence:
                device.contact = Contact.TIMEOUT
                lost = 183 if device.family is Family.XT else LOST[device.family]
                self.say(lost, device.address, moment)

        def forget(moment: float) -> None:
            if device.contact is Contact.TIMEOUT and device.absences == absence:
                device.contact = Contact.GONE
                if device.family is Family.XT:
                    self.say(LOST[Family.XT], device.address, moment)

        def back(moment: float) -> None:
            if device.absences == absence:
                self.bring_back(device, moment)

        self.agenda.at(now + silent, give_up)
        self.agenda.at(now + silent + timeout, forget)
        if away is not None:
            self.agenda.at(now + silent + timeout + away, back)

    def bring_back(self, device: Device, now: float) -> None:
        """Bring a device back; unless it was alive all the time, its RAM is empty."""
        if device.contact is Contact.PRESENT:
            return
        started = not device.machine.powered
        device.machine.powered = True
        device.contact = Contact.PRESENT
        if started:
            device.restart()
        self.journal.note(now, "back", address=device.address, fid=device.fid, started=started)
        if started and device.family is Family.XT:
            self.say(177, device.address, now)
            self.say(10, device.address, now)
        if device.family is Family.BMS:
            self.say(226, device.address, now)

    def restart_device(self, device: Device, now: float, seconds: float = 8.0) -> None:
        """Let a device reset itself: it is away for a while and back with an empty RAM."""
        if device.contact is not Contact.PRESENT:
            return
        self.journal.note(now, "device_restart", address=device.address, fid=device.fid)
        self.drop(device, now, silent=1.0, timeout=max(0.0, seconds - 2.0), away=1.0)

    def renumber(self, family: Family, order: Sequence[int], now: float) -> None:
        """Give the devices of a family new addresses: *order* are the old indices, in new order.

        A device gets its address when it starts: those that move have an empty RAM.
        """
        devices = sorted((d for d in self.devices if d.family is family), key=lambda d: d.index)
        by_index = {device.index: device for device in devices}
        if sorted(order) != sorted(by_index):
            raise ValueError(f"{order} are not the indices {sorted(by_index)}")
        for index, old in zip(sorted(by_index), order, strict=True):
            by_index[old].index = index
        self.journal.note(now, "renumbered", family=family.value, order=list(order))
        moved = [by_index[old] for index, old in zip(sorted(by_index), order, strict=True)
                 if index != old]  # fmt: skip
        for device in moved:
            device.restart()
        if family is Family.XT:
            for address in [device.address for device in moved] or [FAMILIES[family].first]:
                self.say(177, address, now)

    def _gateway_effect(self, point: Datapoint, value: Number, now: float) -> None:
        match point.id:
            case 5104:
                self.restarted = False
            case 5119:
                self.identified = (float(value), now + IDENTIFY_SECONDS) if value else None
            case 5071:
                self.agenda.at(now + 0.5, self.restart)
            case 5103 if not value:
                self.agenda.at(now + 0.5, self.restart)
            case 5121:
                for device in self.devices:
                    self.restart_device(device, now)
            case 5059:
                self.card.save_today()
            case 5047 | 5075:
                self.card.erase()
                self.card.full = False
            case 5120:
                self.card.erase(30)
                self.card.full = False
            case 5035:
                self.messages.erase()
            case _:
                pass


class _Silence(Exception):
    """The gateway waits for a device and says nothing."""


def _without_data(body: Body) -> None:
    if body.data:
        raise ScomError(ErrorCode.INVALID_SERVICE_ARGUMENT)


def _read_only(body: Body) -> None:
    if body.service == Service.WRITE:
        raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
    _without_data(body)


def _persistent(body: Body, *, knows_ram: bool) -> bool:
    match body.property_id:
        case ParameterProperty.VALUE:
            return True
        case ParameterProperty.UNSAVED_VALUE if knows_ram:
            return False
        case ParameterProperty.MIN | ParameterProperty.MAX | ParameterProperty.LEVEL:
            raise ScomError(ErrorCode.PROPERTY_IS_READ_ONLY)
        case _:
            raise ScomError(ErrorCode.PROPERTY_NOT_SUPPORTED)
