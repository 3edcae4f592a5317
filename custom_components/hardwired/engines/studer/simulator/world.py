"""A simulated Xcom on its line: bytes in, bytes out, the time given (spec i).

One :class:`World` is one plant with one gateway on one serial line. A :class:`Port` is one
connection to it: the terminal, or one of the hosts of a Moxa, which copies everything from the
gateway to all hosts and merges what they send. :func:`make` builds both from an address's query.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from ...engine import LinkError, Reason
from ...link import Parity, SerialSettings
from ..datapoints.plausibility import plausible
from ..scom.errors import ErrorCode, error_name
from ..scom.families import FAMILIES, Family
from ..scom.frame import MAX_SENT_LENGTH, Frame, ObjectType, Service
from ..scom.parser import Parser
from ..scom.values import Format as WireFormat, encode, plant_seconds
from .clockwork import Agenda, PlantClock
from .devices import WATCHDOGS, Device
from .faults import (
    Damage,
    Damages,
    Fault,
    Incident,
    Pieces,
    make_fault,
    nonsense,
    nonsense_among_many,
    spoil,
    with_value,
)
from .files import Card
from .gateway import Gateway, Outcome
from .plant import DAY
from .portal import Portal
from .settings import WorldSettings, build, settings_from
from .truth import Journal, Truth

BITS = {Parity.NONE: 10, Parity.EVEN: 11, Parity.ODD: 11}
IDLE_FLUSH = 0.1
SILENT_SECONDS = 1.0
"""How long the gateway ignores requests while it waits for a silent device."""


class Port:
    """One connection to the line: a :class:`...simulating.Simulator`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._out = bytearray()
        self._hung = False
        self.on_stir: Callable[[], None] = _rest
        """Called when there is something to send or the line drops, without a byte from us."""
        self.open = False
        self.dead = False
        """Half-open: nothing passes, and the connection stays open."""

    def connected(self, now: float) -> None:
        """Somebody has opened the line."""
        self._out.clear()
        self.open, self.dead = True, False
        self._hung = self.world.cut_left(now) > 0
        self.world.journal.note(now, "connected", ports=self.world.attach(self))

    def disconnected(self, now: float) -> None:
        """The line was closed."""
        self.open = False
        self.world.journal.note(now, "disconnected", ports=self.world.detach(self))

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have arrived."""
        self.world.advance(now)
        if not self.dead:
            self.world.receive(data, now)

    def transmit(self, now: float) -> bytes:
        """Return the bytes that leave at *now*; empty when none are due."""
        self.world.advance(now)
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_due(self, now: float) -> float | None:
        """Return when :meth:`transmit` wants to be called; ``None``: only after bytes came."""
        return now if self._out else self.world.agenda.due

    @property
    def hung_up(self) -> bool:
        """Whether the device drops the line now."""
        return self._hung

    def hang_up(self) -> None:
        """Drop the line."""
        self._hung = True
        self.on_stir()

    def deliver(self, data: bytes, now: float) -> None:
        """The line says *data* at *now*."""
        if self.open and not self.dead:
            self._out += data
            self.on_stir()


class World:
    """One plant, one gateway, one line."""

    def __init__(self, settings: WorldSettings | None = None) -> None:
        self.settings = settings = settings or WorldSettings()
        self._random = Random(f"{settings.seed}/line")  # noqa: S311 - faults, not secrets
        self.agenda = Agenda()
        self.journal = Journal()
        self.truth = Truth()
        self.plant, devices = build(settings)
        start = float(plant_seconds(settings.start))
        self.plant.begin(start)
        self.gateway = Gateway(
            self.plant,
            devices,
            PlantClock(start, settings.time_scale),
            settings=settings.gateway,
            card=Card(self.plant, settings.log_days),
            agenda=self.agenda,
            journal=self.journal,
            truth=self.truth,
        )
        self._remember_past(start)
        self.damages = Damages(self._random)
        self._parser = Parser()
        self._ports: list[Port] = []
        self._byte = 0.0
        if settings.serial is not None:
            self._byte = BITS[settings.serial.parity] / settings.serial.baudrate
        self._receiving = self._sending = self._busy = self._heard = 0.0
        self._minute = 0.0
        self._cut_until = self._mute_until = 0.0
        self._begun = False
        self._now = 0.0
        self.client: SerialSettings | None = None
        """How the other end has set its port, where that is known; else it is not checked."""
        self._recent: deque[Frame] = deque(maxlen=20)
        self.portal = None if settings.portal is None else Portal(self, settings.portal)

    def port(self) -> Port:
        """Return a new connection to the line."""
        return Port(self)

    @property
    def devices(self) -> list[Device]:
        """Everything on the bus."""
        return self.gateway.devices

    def device(self, address: int) -> Device:
        """Return the device at an address. Raises :class:`ValueError`."""
        found = self.gateway.at(address)
        if found is None:
            raise ValueError(f"there is no device at address {address}")
        return found

    def _remember_past(self, start: float) -> None:
        source = Random(f"{self.settings.seed}/messages")  # noqa: S311
        moments = sorted(
            source.uniform(start - 20 * DAY, start) for _ in range(self.settings.past_messages)
        )
        seats = [device.address for device in self.devices if device.family is Family.XT] or [501]
        for moment in moments:
            number = source.choice((0, 3, 10, 16, 18, 21, 41, 177))
            self.gateway.messages.add(number, source.choice(seats), int(moment), pending=False)

    # ------------------------------------------------------------------ the ends of the line

    def attach(self, port: Port) -> int:
        """Attach a port to the line; returns how many are attached."""
        if port not in self._ports:
            self._ports.append(port)
        return len(self._ports)

    def detach(self, port: Port) -> int:
        """A port is closed; returns how many are left."""
        if port in self._ports:
            self._ports.remove(port)
        return len(self._ports)

    @property
    def ports(self) -> tuple[Port, ...]:
        """The connections there are."""
        return tuple(self._ports)

    def cut_left(self, now: float) -> float:
        """Return how many seconds the link is still cut."""
        return max(0.0, self._cut_until - now)

    # ------------------------------------------------------------------ time

    def advance(self, now: float) -> None:
        """Carry out everything that is due."""
        if not self._begun:
            self._begun = True
            self.gateway.clock.moment(now)
            self._minute = now
            if self.portal is not None:
                self.portal.start(now)
            for fault in self.settings.faults:
                self.inject(Fault(fault.kind, dict(fault.options)), now)
        self.agenda.run(now)

    # ------------------------------------------------------------------ what is heard

    def receive(self, data: bytes, now: float) -> None:
        """Take what a host sends; it needs its time on the line."""
        done = max(now, self._receiving) + len(data) * self._byte
        self._receiving = done
        self.agenda.at(done, lambda moment: self._hear(data, moment))
        self.agenda.run(now)

    def _hear(self, data: bytes, now: float) -> None:
        frames = []
        if self._parser.pending and now - self._heard > IDLE_FLUSH + len(data) * self._byte:
            frames = self._parser.flush()
        self._heard = now
        if (
            self.client is not None
            and self.settings.serial is not None
            and (self.client != self.settings.serial)
        ):
            self.journal.note(now, "unheard", settings=str(self.client))
            return
        before = self._parser.counters.bytes_discarded
        frames += self._parser.receive_data(data)
        if self._parser.counters.bytes_discarded > before:
            self.journal.note(now, "garbage", bytes=self._parser.counters.bytes_discarded - before)
        for frame in frames:
            self._take(frame, now)

    def _take(self, frame: Frame, now: float) -> None:
        body = frame.body()
        if body is None or body.is_response or len(frame.data) > MAX_SENT_LENGTH:
            self.journal.note(now, "ignored", length=len(frame.data))
            return
        details: dict[str, Any] = {
            "address": frame.destination, "service": body.service, "type": body.object_type,
            "id": body.object_id, "property": body.property_id,
        }  # fmt: skip
        if now < max(self.gateway.silent_until, self._mute_until):
            self.journal.note(now, "lost", why="silent", **details)
            return
        if now < self._busy:
            self.journal.note(now, "lost", why="busy", **details)
            return
        self.journal.note(now, "request", **details)
        struck = self.damages.draw(frame.destination, now)
        if struck:
            self.journal.note(now, "struck", by=sorted(struck), **details)
        if Damage.LOSE in struck:
            return
        if (refuse := struck.get(Damage.REFUSE)) is not None:
            code = int(refuse.option("code", ErrorCode.RESPONSE_TIMEOUT))
            self.gateway.refusals.appendleft((code, frame.destination))
        if Damage.BUSY in struck:
            self.gateway.refusals.appendleft((ErrorCode.GATEWAY_BUSY, frame.destination))
        outcome = self.gateway.handle(frame, now)
        if outcome is not None:
            self._answer(frame, outcome, struck, now)

    # ------------------------------------------------------------------ what is said

    def _latency(self, now: float) -> float:
        least, most = self.settings.latency
        latency = least if least == most else self._random.uniform(least, most)
        if self.settings.hiccup and now - self._minute >= 60.0:
            self._minute = now
            latency += self.settings.hiccup
        return latency

    def _answer(
        self, request: Frame, outcome: Outcome, struck: Mapping[Damage, Fault], now: float
    ) -> None:
        if outcome.frame is None:
            self._busy = now + SILENT_SECONDS
            self.journal.note(now, "silence", address=request.destination)
            return
        latency = ready = self._latency(now) + outcome.delay
        if (late := struck.get(Damage.LATE)) is not None:
            latency += self._random.uniform(late.option("least", 1.0), late.option("most", 5.0))
        self._now = now
        frame = self._talk_nonsense(outcome, struck)
        pieces = [
            *self._strangers(request, frame, struck),
            *self._bytes(frame, struck),
        ]
        if Damage.DUPLICATE in struck:
            pieces.append((self._random.uniform(0.0, 0.3), frame.encode()))
        moment = max(now + latency, self._sending)
        for pause, data in pieces:
            moment = self._send(data, moment + pause)
        self._sending = moment
        # A duplicate is an echo of the line: the gateway itself is ready again before it.
        self._busy = moment if Damage.DUPLICATE not in struck else now + latency
        if late is not None and late.option("both", 0.0):
            self._busy = now + ready
        self._recent.append(frame)
        self._note_answer(frame, now, latency)

    def _note_answer(self, frame: Frame, now: float, latency: float) -> None:
        body = frame.body()
        assert body is not None
        details: dict[str, Any] = {
            "address": frame.source, "id": body.object_id, "data": body.data[:64].hex(),
            "ms": round(latency * 1000, 1),
        }  # fmt: skip
        if body.error_code is not None:
            details["error"] = error_name(body.error_code)
        self.journal.note(now, "answer", **details)

    def _talk_nonsense(self, outcome: Outcome, struck: Mapping[Damage, Fault]) -> Frame:
        frame, point = outcome.frame, outcome.payload
        assert frame is not None
        if Damage.NONSENSE in struck and _carries_many(frame):
            return nonsense_among_many(frame, self.settings.layout.nominal, self._random)
        if point is None or point.wire_format is not WireFormat.FLOAT:
            return frame
        if Damage.NONSENSE in struck:
            value = nonsense(point, self.settings.layout.nominal, self._random)
            return frame if value is None else with_value(frame, value)
        bounds = plausible(point, self.settings.layout.nominal)
        if Damage.ZERO in struck and bounds is not None:
            return with_value(frame, 0.0)
        return frame

    def _bytes(self, frame: Frame, struck: Mapping[Damage, Fault]) -> Pieces:
        kinds = set(struck)
        if self.settings.crlf:
            kinds.add(Damage.CRLF)
        pieces = spoil(frame.encode(), kinds, self._random)
        if not self.settings.strip:
            return pieces
        return [(pause, data.replace(b"\r\n", b"")) for pause, data in pieces]

    def _strangers(self, request: Frame, answer: Frame, struck: Mapping[Damage, Fault]) -> Pieces:
        """Return valid frames that are no answer to this request."""
        pieces: Pieces = []
        if Damage.FOREIGN in struck:
            other = answer._replace(destination=self._random.choice((2, 3, 501)))
            pieces.append((0.0, self._shift(other).encode()))
        if Damage.STRAY in struck and (stray := self._stray(request, answer)) is not None:
            pieces.append((0.0, stray.encode()))
        return pieces

    def _stray(self, request: Frame, answer: Frame) -> Frame | None:
        """Return the same info of another device, or a late answer to another request.

        Its value is true, so that it may be shown if it is ever asked for.
        """
        wanted = (request.destination, answer.data[2:10])
        recent = [f for f in self._recent if (f.source, f.data[2:10]) != wanted]
        if recent and self._random.random() < 0.5:
            return self._random.choice(recent)
        asked, body = self.gateway.at(request.destination), request.body()
        if asked is None or body is None or body.service != Service.READ:
            # Whoever answers a write has been written.
            return None
        twins = [d for d in self.gateway.of_family(asked.family) if d is not asked]
        if not twins:
            return None
        twin = self._random.choice(twins)
        outcome = self.gateway.handle(request._replace(destination=twin.address), self._now)
        return None if outcome is None or not _carries_info(outcome.frame) else outcome.frame

    def _shift(self, frame: Frame) -> Frame:
        """Return the frame with another value, where it carries one."""
        body = frame.body()
        assert body is not None
        if not _carries_info(frame) or len(body.data) != 4:
            return frame
        value = encode(WireFormat.FLOAT, self._random.uniform(0.1, 60.0))
        return frame._replace(data=body._replace(data=value).encode())

    def _send(self, data: bytes, moment: float) -> float:
        """Put bytes on the line from *moment* on; return when the last has left."""
        size = self.settings.chunk or len(data)
        for at in range(0, len(data), max(1, size)):
            part = data[at : at + size]
            moment += len(part) * self._byte
            self.agenda.at(moment, partial(self._say, part))
        return moment

    def _say(self, data: bytes, now: float) -> None:
        if now < max(self.gateway.silent_until, self._mute_until):
            return
        for port in self._ports:
            port.deliver(data, now)
        if self.portal is not None:
            self.portal.deliver(data, now)

    # ------------------------------------------------------------------ faults

    def inject(self, fault: Fault | str, now: float, **options: Any) -> None:
        """Switch a damage on, or schedule an incident.

        Raises :class:`ValueError` for what there is not.
        """
        if isinstance(fault, str):
            fault = make_fault(fault, options)
        fault.born = now
        self._check(fault)
        match fault.kind:
            case Damage():
                self.damages.add(fault)
                self.journal.note(now, "fault", **fault.as_dict())
            case Incident():
                if "every" in fault.options:
                    self._again(fault, now)
                else:
                    moment = now + fault.option("at", 0.0)
                    self.agenda.at(moment, lambda when: self._happen(fault, when))

    def _check(self, fault: Fault) -> None:
        address = fault.address
        if address is not None and fault.kind in (
            Incident.DROP, Incident.BACK, Incident.RESET, Incident.RENUMBER, Incident.WATCHDOG
        ):  # fmt: skip
            self.device(address)
        if fault.option("every", 1.0) <= 0:
            raise ValueError("every is a number of seconds above zero")

    def _again(self, fault: Fault, now: float) -> None:
        def happen(moment: float) -> None:
            self._happen(fault, moment)
            self._again(fault, moment)

        mean = fault.option("every", 600.0)
        self.agenda.at(now + self._random.expovariate(1 / mean), happen)

    def _victim(self, fault: Fault) -> Device:
        if fault.address is not None:
            return self.device(fault.address)
        xtenders = [device for device in self.devices if device.family is Family.XT]
        return self._random.choice(xtenders or self.devices)

    def _happen(self, fault: Fault, now: float) -> None:
        self.journal.note(now, "incident", **fault.as_dict())
        match fault.kind:
            case Incident.RESTART:
                seconds = fault.option("for", self._random.uniform(2.0, 20.0))
                self.gateway.restart(now, seconds)
            case Incident.MUTE:
                self._mute_until = now + fault.option("for", 5.0)
            case Incident.CUT:
                self._cut_until = now + fault.option("for", 5.0)
                for port in self._ports:
                    port.hang_up()
            case Incident.HALF_OPEN:
                for port in self._ports:
                    port.dead = True
            case Incident.SECOND:
                pass  # the runner opens it
            case Incident.SD_FULL:
                self.gateway.card.full = True
                self._later(fault, now, lambda: setattr(self.gateway.card, "full", False))
            case Incident.SD_OUT:
                self.gateway.card.present = False
                self._later(fault, now, lambda: setattr(self.gateway.card, "present", True))
            case Incident.BLACKOUT:
                self.plant.blackout = True
                self._later(fault, now, lambda: setattr(self.plant, "blackout", False))
            case Incident.MESSAGE:
                number, source = fault.option("number", 0), fault.option("address", 101)
                self.gateway.say(int(number), int(source), now)
            case _:
                self._happen_to_device(fault, now)

    def _later(self, fault: Fault, now: float, undo: Any) -> None:
        if "for" in fault.options:
            self.agenda.at(now + fault.options["for"], lambda _moment: undo())

    def _happen_to_device(self, fault: Fault, now: float) -> None:
        device = self._victim(fault)
        match fault.kind:
            case Incident.DROP:
                self._drop(device, fault, now)
            case Incident.BACK:
                self.gateway.bring_back(device, now)
            case Incident.RESET:
                self.gateway.restart_device(device, now)
            case Incident.RENUMBER:
                self._swap(device, fault, now)
            case Incident.WATCHDOG:
                ids = WATCHDOGS.get(device.family)
                if ids is not None:
                    device.parameters.flash[ids[0]] = 1
                    device.parameters.flash[ids[1]] = fault.option("delay", 60.0)
            case _:
                pass

    def _drop(self, device: Device, fault: Fault, now: float) -> None:
        silent, timeout = fault.option("silent", 8.0), fault.option("timeout", 12.0)
        away = fault.option("away", 60.0)
        alive = bool(fault.option("alive", 0))
        self.gateway.drop(
            device, now, silent=silent, timeout=timeout, away=None if away < 0 else away,
            alive=alive,
        )  # fmt: skip
        # While the gateway waits for one device, its answers about the others are late (f.1).
        late = {"p": fault.option("ripple", 0.1), "least": 0.3, "most": 1.6}
        self.inject(Fault(Damage.LATE, {**late, "for": silent + timeout}), now)

    def _swap(self, device: Device, fault: Fault, now: float) -> None:
        family = sorted(d.index for d in self.devices if d.family is device.family)
        first = FAMILIES[device.family].first
        other = int(fault.option("with", first + family[-1] - 1)) - first + 1
        order = [
            other if index == device.index else device.index if index == other else index
            for index in family
        ]
        self.gateway.renumber(device.family, order, now)

    def command(self, order: Mapping[str, Any], now: float) -> None:
        """Carry out an order of the operator: ``{"fault": ...}``, ``{"clear": ...}``.

        Raises :class:`ValueError`.
        """
        self.advance(now)
        order = dict(order)
        if "fault" in order:
            self.inject(str(order.pop("fault")), now, **order)
        elif "clear" in order:
            name = order["clear"]
            self.damages.clear(None if name in (None, "all", "") else str(name))
            self.journal.note(now, "cleared", name=name)
        else:
            raise ValueError('an order is {"fault": NAME, ...} or {"clear": NAME}')


def _rest() -> None:
    """Do nothing."""


def _carries_info(frame: Frame | None) -> bool:
    body = None if frame is None else frame.body()
    return body is not None and body.object_type == ObjectType.INFO and not body.is_error


def _carries_many(frame: Frame) -> bool:
    body = frame.body()
    return body is not None and body.object_type == ObjectType.MULTI_INFO and not body.is_error


def make(query: Mapping[str, str]) -> Port:
    """Return a simulated plant, as ``sim://?...`` describes it. Raises :class:`LinkError`.

    The port's ``world`` holds the truth, the journal and the faults; ``world.port()`` makes
    further connections to the same line.
    """
    try:
        return World(settings_from(query)).port()
    except (KeyError, ValueError) as error:
        raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
