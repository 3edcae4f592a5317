"""The simulated CP Plus: master of the bus, partner of the box (spec c.1, c.5 - c.8, i.3).

The panel is a script that sends one header after the other and is given the answers.
``Panel.resume`` returns the next :class:`Slot` or :class:`Pause`; times are seconds of the panel's
own time, which may run faster than real time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from ..inet.buffers import (
    CONSTANT,
    DOWNLOAD,
    FUNCTION,
    TRUMA_LENGTH,
    UPLOAD,
    UPLOAD_REQUEST,
    Buffer,
    MessageId,
    Refusal,
    build_buffer,
    read_buffer,
)
from ..inet.signals import HeaterState
from ..lin.frames import BOX_POLL, MASTER_REQUEST, SLAVE_RESPONSE
from ..lin.transport import Assembler, split
from .downloads import Downloads
from .faults import Faults
from .habits import Habits
from .nodes import HEATER_REQUEST, READ_BY_IDENTIFIER, Nodes, Signal
from .personalities import Dialect, Personality, Schedule
from .physics import Vehicle
from .settings import HeaterSettings, PanelSettings, Refused, Result

BROADCAST = 0x7F
SESSION, ASSIGN_NAD = 0xB9, 0xB0
BOX_PRODUCT = bytes.fromhex("1746001f")
IDLE_REQUEST = b"\xff" * 8
ANNOUNCEMENT = b"\xff"

EFFECT_DELAY = 0.6
"""From an upload's end to its effect on the command frames (spec c.7 step 6)."""
ACKNOWLEDGE_DELAY = 2.1
"""From an upload's end to the turn in which it may be acknowledged; 2.54 - 2.69 s when done."""
SESSION_AHEAD = 0.85
"""How much earlier a turn begins in which the session is opened one cycle ahead."""
AWAKE_FOR = 15.0
"""How long the bus stays awake after the last event."""
AWAKE_AFTER_DOWNLOAD = 2.2
SLEEP = 10.0
WAKE = 1.58
"""From the wake-up pulse to the first header (spec c.1)."""
RESTART = 3.0
"""How long the panel is off when it restarts."""
AFTER_REGISTRATION = 2.3

KNOWN_PRODUCTS = tuple(
    bytes.fromhex(text) for text in ("1746010c", "1746001f", "17464003", "17460103", "1746000c")
)
"""What PR SET asks for (recorded), besides the personality's own nodes."""

_LEGACY = (
    Signal.ROOM,
    Signal.WATER,
    Signal.PRIORITY,
    Signal.POWER,
    Signal.FAN,
    Signal.UNKNOWN_09,
    Signal.HEATER_STATUS,
)
_MODERN = (Signal.SET_POINTS, Signal.MEASURED, Signal.SUPPLY)


@dataclass(frozen=True, slots=True)
class Slot:
    """One header. ``data``: the eight bytes that the panel or a node puts behind it.

    ``box``: the box is asked.
    """

    identifier: int
    data: bytes | None = None
    box: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence for so many of the panel's seconds; ``wake``: a wake-up pulse goes before it."""

    seconds: float
    wake: bool = False


Script: TypeAlias = Generator[Slot | Pause, bytes | None, None]
Listening: TypeAlias = Generator[Slot | Pause, bytes | None, bytes | None]
OnEvent: TypeAlias = Callable[[str, dict[str, Any]], None]


class Job(Enum):
    """What the panel may do in its turn with the box."""

    FETCH = "fetch"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class _Acknowledge:
    due: float
    counter: int
    result: int


class Panel:
    """The panel, one slot after the other.

    ``registered`` and ``box_nad`` survive a power cut.
    """

    def __init__(
        self,
        personality: Personality,
        vehicle: Vehicle,
        faults: Faults,
        source: random.Random,
        *,
        schedule: Schedule | None = None,
        registered: bool = True,
        box_nad: int = 3,
        standby: bool = True,
        on_event: OnEvent = lambda name, data: None,
    ) -> None:
        self.personality = personality
        self.vehicle = vehicle
        self.settings = PanelSettings(personality)
        self.schedule = schedule or personality.schedule
        self.nodes = Nodes(personality, self.schedule, vehicle, self.settings)
        self.downloads = Downloads(personality, self.nodes, self.settings, vehicle)
        self.registered = registered
        self.box_nad = box_nad
        self.standby = standby
        self.powered = True
        self.now = 0.0
        self._habits = Habits(self.settings, vehicle, on_event)
        self._faults = faults
        self._random = source
        self._event = on_event
        self._assembler = Assembler()
        self._announced = False
        self._acknowledge: _Acknowledge | None = None
        self._after_download = False
        self._job: Job | None = None
        self._turn = 0
        self._awake_until = 0.0
        self._pr_set = False
        self._restart = False
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._script = self._life(first=True)
        self._started = False

    # ---------------------------------------------------------------- the outside

    def resume(self, answer: bytes | None, now: float) -> Slot | Pause:
        """Return what comes next; *answer* is the box's valid answer in the previous slot."""
        self.now = now
        self._tick()
        if self._restart or not self._started:
            first = not self._started
            self._restart, self._started = False, True
            self._script = self._life(first=first)
            return next(self._script)
        return self._script.send(answer)

    def press_pr_set(self) -> None:
        """Menu RESET, PR SET, confirm (spec c.5)."""
        self._pr_set = True
        self.stir()

    def restart(self) -> None:
        """Cut the power for a moment."""
        self._restart = True
        self.stir()

    def switch(self, on: bool) -> None:
        """Switch the panel's power off or on."""
        if on and not self.powered:
            self._restart = True
        self.powered = on
        self.stir()

    def stir(self) -> None:
        """Somebody uses the panel: it stays awake."""
        self._awake_until = self.now + AWAKE_FOR

    def set_heater(self, wanted: HeaterSettings) -> None:
        """Change the heater's settings, at the panel or by an upload."""
        if self._habits.set_heater(wanted):
            self.stir()

    def touched(self) -> bool:
        """Whether a pause in progress shall end, because the panel is used."""
        return self._restart or (self.powered and self._awake_until > self.now)

    # ---------------------------------------------------------------- time

    def _tick(self) -> None:
        """Carry out what is due."""
        for moment, action in sorted(self._later, key=lambda item: item[0]):
            if moment <= self.now:
                self._later.remove((moment, action))
                action()
        self._habits.tick(self.now)

    # ---------------------------------------------------------------- the script

    def _life(self, *, first: bool) -> Script:
        self._announced = False
        self._acknowledge = None
        self._job = None
        self._after_download = False
        self._later.clear()
        self.nodes.asleep = False
        if not first:
            self._event("restart", {})
            yield Pause(RESTART)
        self.downloads.clear()
        self.downloads.dump()
        self.nodes.known = False
        while self._dark():
            yield Pause(0.5)
        yield Pause(WAKE, wake=True)
        self._turn = 0
        self.stir()
        while True:
            if self._dark():
                yield Pause(0.5)
            elif self._pr_set:
                yield from self._register()
            elif self._sleepy():
                yield from self._sleep()
            else:
                yield from self._cycle()

    def _dark(self) -> bool:
        """Whether the power is off."""
        return not self.powered

    def _sleepy(self) -> bool:
        busy = (
            not self.standby
            or self.settings.heater.heating
            or self.settings.aircon.mode
            or self.vehicle.state not in (HeaterState.IDLE, HeaterState.NONE)
            or self._waiting
        )
        return not busy and self.now >= self._awake_until

    @property
    def _waiting(self) -> bool:
        """Whether there is something to send to the box or to ask it."""
        if not self.registered:
            return False
        return bool(self._announced or self._acknowledge or self._job or self.downloads.waiting)

    def _sleep(self) -> Script:
        """Sleep, wake for some cycles, sleep again, until there is something to do (spec c.1)."""
        self._event("standby", {})
        self.nodes.asleep = True
        while not self._dark():
            yield Pause(SLEEP)
            yield Pause(WAKE, wake=True)
            self._turn = 0
            if self.touched():
                break
            cycles = self._random.randint(4, 6)
            while cycles > 0 or (self._waiting and cycles > -12):
                cycles -= 1
                yield from self._cycle()
                if self.settings.heater.heating or self._later:
                    yield from self._rouse()
                    return
            if self.touched():
                break
        self.nodes.asleep = False

    def _rouse(self) -> Script:
        """Wake the heater after an upload in standby: recorded, and slow (spec c.7 step 6)."""
        yield from self._cycle()
        yield Pause(WAKE, wake=True)
        yield from self._cycle()
        yield Pause(SLEEP)
        yield Pause(WAKE, wake=True)
        yield Pause(WAKE, wake=True)
        self._turn = 0
        self.nodes.asleep = False

    def _cycle(self) -> Script:
        """One round of the schedule (spec c.1)."""
        if self.schedule is Schedule.MODERN:
            yield from self._signals(_MODERN)
        elif self.schedule is Schedule.LEGACY:
            yield from self._signals(_LEGACY[:5] if self.personality.presence_checks else _LEGACY)
        if self.personality.presence_checks:
            yield from self._signals((Signal.HEATER_STATUS,))
            yield from self._heater_pair()
            odd = self.settings.aircon.mode and self._turn % 2
            yield from self._signals((Signal.AIRCON_COMMAND if odd else Signal.AIRCON_STATUS,))
            yield from self._aircon_pair()
            yield from self._poll()
            yield from self._box_turn_checked()
        else:
            if self.schedule is Schedule.LEGACY:
                if self.settings.heater.heating:
                    yield from self._signals((Signal.AIRCON_COMMAND,))
                yield from self._signals((Signal.AIRCON_STATUS,))
            yield from self._poll()
            yield from self._pair()
        self._turn += 1

    def _signals(self, signals: tuple[Signal, ...]) -> Script:
        for signal in signals:
            yield Slot(signal, self.nodes.frame(signal))

    def _poll(self) -> Script:
        """Ask the box whether it has something to say."""
        if self.registered:
            answer = yield Slot(BOX_POLL, box=True)
            self._announced = answer is not None and answer[:1] == ANNOUNCEMENT

    def _pair(self) -> Script:
        """The 3C and 7D of a cycle: the heater twice, an idle one, then the box (recorded)."""
        if self._after_download:
            self._after_download = False
            self._turn = -1
            if self._announced and self.registered:
                yield from self._fetch(session=True)
            else:
                yield from self._idle()
            return
        match self._turn % 4:
            case 0 | 1 if self.personality.dialect is Dialect.TRUMA:
                yield from self._heater_pair()
            case 3:
                yield from self._box_turn()
            case _:
                yield from self._idle()

    def _heater_pair(self) -> Script:
        node = self.personality.heater_node
        kind = self._turn % (3 if self.personality.presence_checks else 2)
        target = BROADCAST if node.broadcast else node.nad
        if kind == 0:
            target = node.nad
            wanted = self.settings.heater.heating
            tail = bytes((wanted,)) if self.personality.short_state_request else b"\0\0\0"
            request = bytes((HEATER_REQUEST,)) + node.product[2:] + tail
        else:
            number = 0 if kind == 2 else 0x23
            request = bytes((READ_BY_IDENTIFIER, number)) + node.product
        answer = self.nodes.heater_answer(request)
        yield from self._ask_node(target, node.nad, request, answer)

    def _aircon_pair(self) -> Script:
        node = self.personality.aircon_node
        if node is None:
            yield from self._idle()
            return
        request = bytes((READ_BY_IDENTIFIER, 0x23 if self._turn % 2 else 0)) + node.product
        answer = self.nodes.aircon_answer(request)
        yield from self._ask_node(BROADCAST, node.nad, request, answer)

    def _idle(self) -> Script:
        yield Slot(MASTER_REQUEST, IDLE_REQUEST)
        yield Slot(SLAVE_RESPONSE)

    def _ask_node(self, target: int, nad: int, request: bytes, answer: bytes | None) -> Script:
        yield Slot(MASTER_REQUEST, split(target, request)[0])
        yield Slot(SLAVE_RESPONSE, None if answer is None else split(nad, answer)[0])

    # ---------------------------------------------------------------- the box

    def _choose(self) -> Job | None:
        """Return what to do with the turn. An acknowledge first, then by turns."""
        self.downloads.look(self.now)
        if self._acknowledge is not None:
            if self.now >= self._acknowledge.due:
                return Job.DOWNLOAD
            return Job.FETCH if self._announced else None
        unannounced = self._faults.strike("unannounced_request") is not None
        if self.downloads.waiting and not (self._announced and self._job is Job.DOWNLOAD):
            return Job.DOWNLOAD
        return Job.FETCH if self._announced or unannounced else None

    def _box_turn(self) -> Script:
        """Talk to the box in adjacent slots (recorded with C3)."""
        self._job = self._choose() if self.registered else None
        match self._job:
            case Job.FETCH:
                yield from self._fetch(session=True)
            case Job.DOWNLOAD:
                yield from self._session(closing=False)
                yield from self._download()
                yield from self._session(closing=True)
                self._after_download = True
            case None:
                yield from self._idle()
        self._job = None

    def _box_turn_checked(self) -> Script:
        """Talk to the box over three cycles: session, message, nothing (recorded with C4.01.01)."""
        if not self.registered:
            yield from self._idle()
            return
        job, self._job = self._job, None
        match job:
            case Job.FETCH:
                yield from self._fetch(session=False)
                self._after_download = True
            case Job.DOWNLOAD:
                yield from self._download()
                self._after_download = True
            case None if self._after_download:
                self._after_download = False
                yield from self._idle()
            case None:
                self._job = self._choose()
                if self._job is None:
                    yield from self._ask_box(
                        bytes((READ_BY_IDENTIFIER, 0)) + BOX_PRODUCT, BROADCAST
                    )
                else:
                    yield from self._session(closing=False)

    def _ask_box(self, request: bytes, nad: int | None = None) -> Listening:
        """Send a request of one frame and return the box's answer."""
        yield Slot(MASTER_REQUEST, split(self.box_nad if nad is None else nad, request)[0])
        return (yield from self._listen())

    def _listen(self) -> Listening:
        if self._faults.strike("no_response_slot"):
            return None
        return (yield Slot(SLAVE_RESPONSE, box=True))

    def _session(self, *, closing: bool) -> Script:
        last = b"\0\x01" if closing else b"\0\0"
        if self.personality.presence_checks:
            last = b"\0\0\0" if self._turn % 2 else b"\0\0\xff"
        yield from self._ask_box(bytes((SESSION,)) + BOX_PRODUCT[2:] + last)

    @property
    def tail(self) -> bytes:
        """Bytes 8 to 10 of a buffer."""
        fault = self._faults.standing("tail")
        return fault.data[:3].ljust(3, b"\xff") if fault else self.personality.tail

    def _download(self) -> Script:
        counter = 0
        if self._acknowledge is not None and self.now >= self._acknowledge.due:
            message_id: int = MessageId.ACKNOWLEDGE
            counter = self._acknowledge.counter
            payload = bytes((self._acknowledge.result,))
            payload += b"\xff" if self.personality.dialect is Dialect.ALDE else b"\0"
            self._acknowledge = None
        else:
            message_id, payload = self.downloads.take(self.now)
            # The first status after power-on was recorded without measured values.
            self.nodes.known |= message_id == MessageId.HEATER
        message = build_buffer(DOWNLOAD, message_id, counter, payload, self.tail)
        if self.personality.dialect is Dialect.ALDE:
            message = message[:4] + bytes((6 + len(payload),)) + message[5 : 17 + len(payload)]
        for number, frame in enumerate(split(self.box_nad, message)):
            if number and self._faults.strike("lost_cf"):
                continue
            yield Slot(MASTER_REQUEST, frame)
            if number and self._faults.strike("repeat_cf"):
                yield Slot(MASTER_REQUEST, frame)
        answer = yield from self._listen()
        taken = answer is not None and answer[1:3] == b"\x01\xfb"
        self._awake_until = max(self._awake_until, self.now + AWAKE_AFTER_DOWNLOAD)
        self._event("download", {"id": message_id, "counter": counter, "acknowledged": taken})

    def _fetch(self, *, session: bool) -> Script:
        """Fetch an upload (spec c.7 steps 3 to 5)."""
        if session:
            yield from self._session(closing=False)
        request = (
            bytes((UPLOAD_REQUEST,)) + FUNCTION + bytes((TRUMA_LENGTH,)) + CONSTANT + self.tail
        )
        for frame in split(self.box_nad, request):
            yield Slot(MASTER_REQUEST, frame)
        self._announced = False
        message: bytes | None = None
        expected, number = 1, 0
        while number < expected:
            if number == 3 and self._faults.strike("interrupt_upload"):
                self._event("upload_interrupted", {})
                yield from self._idle()
                return
            if number == 3 and self._faults.strike("reboot_in_upload"):
                self._restart = True
                yield Pause(0)
            answer = yield Slot(SLAVE_RESPONSE, box=True)
            if answer is None or answer[0] != self.box_nad:
                self._event("upload_broken", {"frames": number})
                return
            if number == 0:
                expected = _frames_of(answer)
            assembled = self._assembler.receive_data(answer, self.now)
            message = None if assembled is None else assembled.data
            number += 1
        self._upload(message)

    def _upload(self, message: bytes | None) -> None:
        buffer = Refusal.PREAMBLE if message is None else read_buffer(message)
        if message is None or message[0] != UPLOAD or isinstance(buffer, Refusal):
            self._event("upload_invalid", {"message": message})
            return
        self.stir()
        result, why = Result.ACCEPTED, ""
        effect: Callable[[], None] | None = None
        try:
            effect = self._judge(buffer)
        except Refused as refused:
            result, why = refused.result, str(refused)
        self._event(
            "upload",
            {
                "id": buffer.message_id,
                "counter": buffer.counter,
                "payload": buffer.payload,
                "result": int(result),
                "why": why,
            },
        )
        if effect is not None:
            self._later.append((self.now + EFFECT_DELAY, effect))
        alde = self.personality.dialect is Dialect.ALDE
        if buffer.message_id == MessageId.INIT_REQUEST and not alde:
            return  # only the Alde panel is known to acknowledge it
        self._plan_acknowledge(buffer.counter - alde, result)

    def _plan_acknowledge(self, counter: int, result: int) -> None:
        if self._faults.strike("ack_missing"):
            return
        if fault := self._faults.strike("ack_result"):
            result = int(fault.number)
        if fault := self._faults.strike("ack_counter"):
            counter += int(fault.number)
        delay = ACKNOWLEDGE_DELAY - SESSION_AHEAD * self.personality.presence_checks
        self._acknowledge = _Acknowledge(self.now + delay, counter % 256, result % 256)

    def _judge(self, buffer: Buffer) -> Callable[[], None] | None:
        """Return what an upload does. Raises :class:`Refused`."""
        settings = self.settings
        if buffer.message_id == MessageId.INIT_REQUEST:
            return self.downloads.dump
        if self.personality.dialect is Dialect.ALDE:
            raise Refused(Result.UNKNOWN_ID, "nothing is known of writing to an Alde panel")
        if self.nodes.error:
            raise Refused(Result.INVALID, f"an error is shown: {self.nodes.error}")
        match buffer.message_id:
            case MessageId.HEATER_SET:
                heater = settings.upload_heater(buffer.payload)
                return lambda: self.set_heater(heater)
            case MessageId.TIMER_SET:
                timer = settings.upload_timer(buffer.payload)
                return lambda: setattr(settings, "timer", timer)
            case MessageId.CLOCK_SET:
                # Set at once: the time is that of sending.
                settings.clock = settings.upload_clock(buffer.payload)
                self.downloads.add(MessageId.CLOCK)
                return None
            case MessageId.AC_MANUAL_SET if self.personality.aircon:
                aircon = settings.upload_aircon(buffer.payload)
                return lambda: setattr(settings, "aircon", aircon)
        raise Refused(Result.UNKNOWN_ID, "no such message")

    # ---------------------------------------------------------------- PR SET

    def _register(self) -> Script:
        """Look for every known product, ask for its versions, assign addresses (spec c.5)."""
        self._pr_set = False
        self._event("pr_set", {})
        personality = self.personality
        found: dict[bytes, int] = {}
        nodes = [node for node in (personality.heater_node, personality.aircon_node) if node]
        products = dict.fromkeys((*KNOWN_PRODUCTS, *(node.product for node in nodes)))
        for product in products:
            answer = yield from self._enquire(BROADCAST, 0x00, product)
            if answer is not None and answer[2:7] == b"\xf2" + product:
                found[product] = answer[0]
            yield Pause(self._random.choice((0.05, 0.1, 0.25)))
        for _ in range(self._random.randint(2, 5)):
            yield from self._idle()
        order = [BOX_PRODUCT, *(node.product for node in nodes)]
        present = [product for product in order if product in found]
        for identifier in (0x20, 0x22):
            for product in present:
                yield from self._enquire(found[product], identifier, product)
        nad = self._faults.strike("nad")
        assigned = {BOX_PRODUCT: int(nad.number) & 0x7F if nad else 3}
        assigned |= {node.product: node.nad for node in nodes}
        confirmed = False
        for product in present:
            request = bytes((ASSIGN_NAD,)) + product + bytes((assigned[product],))
            if product == BOX_PRODUCT:
                answer = yield from self._ask_box(request, BROADCAST)
                confirmed = answer is not None and answer[1:3] == b"\x01\xf0"
            else:
                yield from self._ask_node(BROADCAST, found[product], request, b"\xf0")
        self.registered = confirmed
        if confirmed:
            self.box_nad = assigned[BOX_PRODUCT]
        self._event("registered", {"registered": confirmed, "nad": self.box_nad})
        self.downloads.dump()
        self.stir()
        yield Pause(AFTER_REGISTRATION)

    def _enquire(self, nad: int, identifier: int, product: bytes) -> Listening:
        """Ask one product for an identifier; return the frame that answers."""
        request = bytes((READ_BY_IDENTIFIER, identifier)) + product
        if product == BOX_PRODUCT:
            return (yield from self._ask_box(request, nad))
        answer = self.nodes.heater_answer(request)
        node = self.personality.heater_node
        if answer is None and self.personality.aircon_node is not None:
            node = self.personality.aircon_node
            answer = self.nodes.aircon_answer(request)
        frame = None if answer is None else split(node.nad, answer)[0]
        yield Slot(MASTER_REQUEST, split(nad, request)[0])
        yield Slot(SLAVE_RESPONSE, frame)
        return frame


def _frames_of(first: bytes) -> int:
    """Return how many frames the message has whose first frame this is."""
    if first[1] >> 4 != 1:
        return 1
    size = (first[1] & 15) << 8 | first[2]
    return 1 + -(-(size - 5) // 6)
