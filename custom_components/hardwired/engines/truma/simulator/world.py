"""The simulated bus: a CP Plus with heater and air conditioner, as bytes in time (spec i).

A pure state machine, a :class:`~..simulator.Simulator`: the time is given, bytes go in and come
out. The panel (:mod:`.panel`) decides what is sent; this module puts it on the wire: breaks,
parities, checksums, echo, slots, and the faults of the line.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..lin.frames import RESPONSE_SIZE, SYNC, frame_checksum, protected, response
from .faults import Faults
from .measure import LATE, Measurements
from .panel import Panel, Slot
from .personalities import DEFAULT_PERSONALITY, PERSONALITIES, Schedule
from .physics import COLD_WATER, Vehicle
from .rival import Rival

BYTE_TIME = 10 / 9600
NODE_DELAY = 0.00055
"""How long the heater takes to answer."""
RIVAL_DELAY = 0.002
PHYSICS_STEP = 1.0
LOG_HEADER = '# seconds PID data("-" = header without a valid response)'
BREAKS = {"one": b"\0", "two": b"\0\0", "none": b""}
"""What the UART makes of a break (spec b.1)."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """How the simulated bus is made. ``slot``: seconds, 0.01 to 0.1; ``None``: the panel's own.

    ``time_scale`` makes the panel's and the vehicle's time run faster, not the slots.
    ``paced``: bytes come one by one as on the wire, not frame by frame.
    Raises :class:`ValueError`.
    """

    personality: str = DEFAULT_PERSONALITY
    seed: int = 0
    time_scale: float = 1.0
    slot: float | None = None
    schedule: Schedule | None = None
    echo: bool = True
    brk: str = "one"
    registered: bool = True
    box_nad: int = 3
    standby: bool = True
    paced: bool = False
    clock: float | None = None
    """The panel's clock at the start, in seconds of the day."""
    water: float = COLD_WATER
    """Its temperature at the start, in °C, 0 to 70."""
    faults: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.personality not in PERSONALITIES:
            raise ValueError(f"no such personality: {self.personality}")
        if not 0.01 <= self.time_scale <= 100_000:
            raise ValueError("the time scale must be between 0.01 and 100000")
        if self.slot is not None and not 0.01 <= self.slot <= 0.1:
            raise ValueError("a slot lasts 0.01 to 0.1 seconds")
        if not 0 <= self.water <= 70:
            raise ValueError("the water has 0 to 70 °C")
        if self.brk not in BREAKS:
            raise ValueError(f"a break is one of {', '.join(BREAKS)}")


@dataclass(slots=True)
class _Active:
    """The slot in progress."""

    slot: Slot
    pid: int
    began: float
    figures: Measurements
    """The measurements that were current when it began."""
    asked: float | None = None
    """When the identifier's last byte left; ``None``: not yet."""
    bus: bytearray = field(default_factory=bytearray)
    """The bytes on the bus after the header, from all nodes."""
    heard: bytearray = field(default_factory=bytearray)
    """What the box sent."""
    first: float = 0.0
    last: float = 0.0
    damaged: bool = False


class TrumaSimulator:
    """The master's side of the line."""

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        self.faults = Faults(self.settings.seed, self.settings.faults)
        self.vehicle = Vehicle(water=self.settings.water)
        self.measurements = Measurements()
        self._random = random.Random(f"{self.settings.seed}/bus")  # noqa: S311
        personality = PERSONALITIES[self.settings.personality]
        self.vehicle.fuel_limit = personality.fuel_limit
        self.panel = Panel(
            personality,
            self.vehicle,
            self.faults,
            random.Random(f"{self.settings.seed}/panel"),  # noqa: S311
            schedule=self.settings.schedule,
            registered=self.settings.registered,
            box_nad=self.settings.box_nad,
            standby=self.settings.standby,
            on_event=self._tell,
        )
        if self.settings.clock is not None:
            self.panel.settings.clock.seconds = self.settings.clock
        self._slot = self.settings.slot or personality.slot
        self._byte_time = min(BYTE_TIME, self._slot / 48)
        self._on_event = on_event
        self._on_log = on_log
        self._rival = Rival()
        self._out = bytearray()
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0
        self._origin: float | None = None
        self._now = 0.0
        self._stepped = 0.0
        self._active: _Active | None = None
        self._pause_entry = -1
        self._answer: bytes | None = None
        self._unplugged_until: float | None = None

    # ---------------------------------------------------------------- the Simulator protocol

    def connected(self, now: float) -> None:
        """The line was opened; the bus runs in any case."""
        self._begin(now)
        self._tell("connected", {})

    def disconnected(self, now: float) -> None:
        """The line was closed."""
        self._now = now
        self._tell("disconnected", {})

    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the box have arrived; they belong to the slot that is open, even if it is over.

        The runner reads before it calls :meth:`transmit`, so that its own delays do not count as
        the box's.
        """
        self._begin(now)
        self._now = now
        if not data:
            return
        active = self._active
        if active is None or active.asked is None:
            self.measurements.outside += 1
            self._tell("outside", {"data": data})
            if self.settings.echo:
                self._out += data
            return
        if not active.heard:
            active.first = now
        active.last = now
        active.heard += data
        self._onto_bus(active, data)

    def transmit(self, now: float) -> bytes:
        """Return the bytes that leave at *now*."""
        self._begin(now)
        self._run(now)
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_due(self, now: float) -> float | None:
        """Return when something is to be done."""
        self._begin(now)
        if self._out:
            return now
        return self._agenda[0][0] if self._agenda else None

    @property
    def hung_up(self) -> bool:
        """Whether the port is unplugged now."""
        return self._unplugged_until is not None

    # ---------------------------------------------------------------- for the operator

    def measure_anew(self) -> None:
        """Restart the measurements; they count the slots that begin from now on."""
        self.measurements = Measurements()

    def stirred(self, now: float) -> None:
        """The panel was used or a fault switched on: end a pause, apply faults that are due."""
        self._begin(now)
        self._now = now
        if (fault := self.faults.strike("unplug")) is not None:
            self._unplugged_until = now + fault.number
            self._at(self._unplugged_until, self._replug)
            self._tell("unplugged", {"seconds": fault.number})
        if self._active is None and self.panel.touched() and self._pause_entry >= 0:
            self._cancel(self._pause_entry)
            self._next(now)

    # ---------------------------------------------------------------- time

    def _begin(self, now: float) -> None:
        if self._origin is None:
            self._origin = now
            self._now = now
            if self._on_log is not None:
                self._on_log(LOG_HEADER)
            self.stirred(now)
            self._at(now, self._next)

    def _run(self, now: float) -> None:
        self._now = now
        while self._agenda and self._agenda[0][0] <= now:
            moment, _, action = heapq.heappop(self._agenda)
            action(moment)

    def _at(self, moment: float, action: Callable[[float], None]) -> int:
        self._order += 1
        heapq.heappush(self._agenda, (moment, self._order, action))
        return self._order

    def _cancel(self, entry: int) -> None:
        self._agenda = [item for item in self._agenda if item[1] != entry]
        heapq.heapify(self._agenda)

    def _panel_seconds(self, now: float) -> float:
        assert self._origin is not None
        return (now - self._origin) * self.settings.time_scale

    # ---------------------------------------------------------------- slots

    def _next(self, now: float) -> None:
        """Go on with the panel's script."""
        if self._now - now > self._slot / 2:
            now = self._now  # we were delayed: the grid starts again
        panel_now = self._panel_seconds(now)
        if panel_now - self._stepped >= PHYSICS_STEP:
            self.vehicle.step(panel_now - self._stepped, self.panel.settings.wishes())
            self._stepped = panel_now
        if (fault := self.faults.strike("silence")) is not None:
            self._tell("silence", {"seconds": fault.number})
            self._pause(now, fault.number)
            return
        answer, self._answer = self._answer, None
        step = self.panel.resume(answer, panel_now)
        if isinstance(step, Slot):
            self._open(step, now)
            return
        if step.wake:
            self._out += b"\0"
            self._log(now, "00")
        self._pause(now, step.seconds / self.settings.time_scale, interruptible=not step.wake)

    def _pause(self, now: float, seconds: float, *, interruptible: bool = False) -> None:
        self._active = None
        entry = self._at(now + seconds, self._next)
        self._pause_entry = entry if interruptible else -1

    def _open(self, slot: Slot, now: float) -> None:
        """Send a header and plan the rest of its slot."""
        self._pause_entry = -1
        pid = protected(slot.identifier)
        active = self._active = _Active(slot, pid, now, self.measurements)
        header = b"" if self.faults.strike("missing_break") else BREAKS[self.settings.brk]
        sent = pid
        if self.faults.strike("wrong_parity") is not None:
            sent ^= 0x80
            active.damaged = True
        self._send(header + bytes((SYNC, sent)), now, lambda: self._asked(active))
        after_header = now + (len(header) + 2) * self._byte_time * self.settings.paced
        if slot.data is not None:
            answer_at = after_header + min(NODE_DELAY, self._byte_time)
            if not self.settings.paced:
                answer_at += RESPONSE_SIZE * self._byte_time
            self._at(answer_at, lambda moment: self._node_answers(active, moment))
        if self.faults.standing("second_box"):
            rival = self._rival.answer(slot)
            if rival is not None and self.faults.strike("second_box"):
                self._at(after_header + RIVAL_DELAY, lambda moment: self._rival_answers(rival))
        length = self._slot * self._random.uniform(0.996, 1.004)
        if (slow := self.faults.strike("slow_slots")) is not None:
            length *= max(slow.number, 1.0)
        if self.faults.strike("garbage"):
            self._at(now + 0.8 * length, self._rubbish)
        self._at(now + length, lambda moment: self._close(active, moment))

    def _asked(self, active: _Active) -> None:
        # The time when the identifier is really sent counts, not when it was due.
        active.asked = self._now

    def _send(self, data: bytes, now: float, done: Callable[[], None] = lambda: None) -> None:
        """Put bytes on the bus, at once or one by one; *done* is called with the last."""
        if not self.settings.paced:
            self._out += data
            done()
            return
        for number, byte in enumerate(data, 1):
            self._at(now + number * self._byte_time, partial(self._put, byte))
        self._at(now + len(data) * self._byte_time, lambda _: done())

    def _put(self, byte: int, _: float) -> None:
        self._out.append(byte)

    def _node_answers(self, active: _Active, moment: float) -> None:
        assert active.slot.data is not None
        frame = self._damage(response(active.pid, active.slot.data))
        if active.heard:
            # Two nodes send at once; dominant bits win, so neither is understood.
            frame = _collide(frame, bytes(active.heard))
        active.bus[:] = frame
        self._send(frame, moment)

    def _rival_answers(self, data: bytes) -> None:
        active = self._active
        if active is None:
            return
        if active.heard:
            data = _collide(data, bytes(active.heard))
            active.bus[:] = data
        else:
            active.bus += data
        self._out += data

    def _onto_bus(self, active: _Active, data: bytes) -> None:
        """Put the bytes of the box on the bus, and return them as its echo."""
        if self.faults.strike("collision") is not None:
            place = self._random.randrange(len(data))
            data = (
                data[:place]
                + bytes((data[place] & self._random.randrange(255),))
                + (data[place + 1 :])
            )
        rival = self.faults.standing("second_box") and self._rival.answer(active.slot)
        if rival and not active.bus:
            return  # both send; the result is computed when the rival answers
        active.bus += data
        if self.settings.echo:
            self._out += data

    def _rubbish(self, moment: float) -> None:
        self._send(self._random.randbytes(self._random.randint(1, 6)), moment)

    def _damage(self, frame: bytes) -> bytes:
        damaged = bytearray(frame)
        if self.faults.strike("flip_bit"):
            damaged[self._random.randrange(len(damaged))] ^= 1 << self._random.randrange(8)
        if self.faults.strike("drop_byte"):
            del damaged[self._random.randrange(len(damaged))]
        if self.faults.strike("truncate"):
            del damaged[self._random.randrange(1, len(damaged)) :]
        return bytes(damaged)

    def _close(self, active: _Active, moment: float) -> None:
        """End the slot: evaluate it, log it, go on."""
        self._active = None
        self._measure(active)
        data = _sound(active)
        self._answer = data if active.slot.box else None
        self._rival.heard(active.slot, data)
        text = "-" if data is None else data.hex(" ").upper()
        self._log(active.began, f"{active.pid:02X} {text}")
        self._next(moment)

    def _measure(self, active: _Active) -> None:
        figures = active.figures
        heard = bytes(active.heard)
        if not active.slot.box:
            if heard:
                figures.foreign += 1
                self._tell("foreign", {"pid": active.pid, "data": heard})
            return
        figures.polls += 1
        if not heard:
            figures.unanswered += 1
            return
        assert active.asked is not None
        latency = active.first - active.asked
        figures.note_latency(latency, active.last - active.asked)
        problem = None
        if latency > LATE:
            figures.late += 1
            problem = "late"
        if len(heard) == 2 * RESPONSE_SIZE:
            figures.twice += 1
            problem = "twice"
        elif len(heard) != RESPONSE_SIZE:
            figures.wrong_length += 1
            problem = "wrong_length"
        elif frame_checksum(active.pid, heard[:-1]) != heard[-1]:
            figures.wrong_checksum += 1
            problem = "wrong_checksum"
        else:
            figures.answers += 1
        if problem:
            self._tell(problem, {"pid": active.pid, "data": heard, "ms": latency * 1000})

    def _replug(self, moment: float) -> None:
        self._unplugged_until = None
        self._tell("replugged", {})

    # ---------------------------------------------------------------- telling

    def _tell(self, name: str, data: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event({"event": name, "time": round(self._elapsed(self._now), 4), **data})

    def _log(self, moment: float, text: str) -> None:
        if self._on_log is not None:
            self._on_log(f"{self._elapsed(moment):.6f} {text}")

    def _elapsed(self, moment: float) -> float:
        return 0.0 if self._origin is None else moment - self._origin


def _sound(active: _Active) -> bytes | None:
    """Return the eight data bytes of a valid frame as received by all nodes."""
    bus = bytes(active.bus)
    if active.damaged or len(bus) != RESPONSE_SIZE:
        return None
    return bus[:-1] if frame_checksum(active.pid, bus[:-1]) == bus[-1] else None


def _collide(one: bytes, other: bytes) -> bytes:
    """Return the result of two nodes sending at once: a dominant 0 wins over a 1."""
    pairs = zip(one, other, strict=False)
    mixed = bytes(first & second for first, second in pairs)
    longer = max(one, other, key=len)
    return mixed + longer[len(mixed) :]


def make(query: Mapping[str, str]) -> SimulatorSettings:
    """Return the settings in a ``sim://?...`` URL's query. Raises :class:`ValueError`."""
    return SimulatorSettings(
        personality=query.get("personality", DEFAULT_PERSONALITY),
        seed=int(_number(query, "seed", 0, whole=True)),
        time_scale=_number(query, "time_scale", 1),
        slot=_number(query, "slot_ms", 0) / 1000 if "slot_ms" in query else None,
        schedule=Schedule(query["schedule"]) if "schedule" in query else None,
        echo=_flag(query, "echo", default=True),
        brk=query.get("break", "one"),
        registered=_flag(query, "registered", default=True),
        standby=_flag(query, "standby", default=True),
        paced=_flag(query, "paced", default=False),
        clock=_clock(query["clock"]) if "clock" in query else None,
        water=_number(query, "water", COLD_WATER),
        faults=tuple(_split(query.get("faults", ""))),
    )


def _number(query: Mapping[str, str], name: str, default: float, *, whole: bool = False) -> float:
    if (text := query.get(name)) is None:
        return default
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} is {kind}, not {text[:40]!r}") from None


def _split(text: str) -> Iterable[str]:
    return filter(None, (part.strip() for part in text.split(",")))


def _flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = query.get(name)
    if text is None:
        return default
    if text.lower() in ("1", "on", "yes", "true"):
        return True
    if text.lower() in ("0", "off", "no", "false"):
        return False
    raise ValueError(f"{name} is on or off, not {text!r}")


def _clock(text: str) -> float:
    hours, minutes = text.split(":")[:2]
    return int(hours) % 24 * 3600.0 + int(minutes) % 60 * 60.0
