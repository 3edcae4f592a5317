"""The iNet box as a pure state machine: answers and received data (spec c.3 - c.9).

Bytes and times go in, the bytes to write and events come out. It runs inside the responder's own
process, so it imports nothing but the standard library and its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any

from ..lin.frames import (
    BOX_POLL,
    MASTER_REQUEST,
    SLAVE_RESPONSE,
    BadFrame,
    Header,
    LinEvent,
    LinFrame,
    Receiver,
    Unanswered,
    protected,
    response,
)
from ..lin.transport import Assembler, Request, split
from .buffers import (
    CONSTANT,
    DOWNLOAD,
    FUNCTION,
    STATUS_LAYOUTS,
    TAIL_FF,
    UPLOAD,
    UPLOADS,
    Buffer,
    Group,
    MessageId,
    Refusal,
    build_buffer,
    is_status,
    read_buffer,
    read_device,
    settings_payload,
    with_settings,
    with_twins,
)
from .rules import COMBI_TERMS, TIME, RuleError, Terms, completed, merged, superseded

READ_BY_IDENTIFIER, ASSIGN_NAD, SESSION = 0xB2, 0xB0, 0xB9
NEGATIVE = 0x7F
SUB_FUNCTION_NOT_SUPPORTED = 0x12
BROADCAST = 0x7F
BOX_NAD = 0x03
RESERVED_NADS = frozenset({0x00, 0x7F, 0xFF})
SUPPLIER = b"\x17\x46"
PRODUCT = b"\x00\x1f"
ANY_SUPPLIER = b"\xff\x7f"
ANY_PRODUCT = b"\xff\xff"

PID_POLL = protected(BOX_POLL)
PID_REQUEST = protected(MASTER_REQUEST)
PID_RESPONSE = protected(SLAVE_RESPONSE)

NOTHING_TO_SEND = response(PID_POLL, b"\xfe" + b"\xff" * 7)
UPDATE_PENDING = response(PID_POLL, b"\xff" * 8)

REGISTERED_FOR = 90.0
ACKNOWLEDGE_WITHIN = 60.0
FETCH_WITHIN = 120.0
BROKEN_OFF_AFTER = 10.0
"""Seconds without fetching the next frame of an upload, after which it is broken off."""
INIT_EVERY = 5.0
INIT_TRIES = 5
LOST_EVERY, LOST_SELDOM = 60.0, 600.0
"""The panel tells a change once. When a part of a message was lost, it is asked for everything,
at most so often; twice as seldom each time while that goes on."""
TOLD_WITHIN = 20.0
"""Seconds in which the panel has told everything that it was asked for."""
SECOND_BOX_PAUSE = 60.0
COLLISIONS_OF_A_RIVAL = 3
"""Damaged echoes in a row that mean another node sends at the same time."""
COUNTER_MODULUS = 255


class Identity(Enum):
    """Whose version the panel shows: a real box's, or the one of the well-known emulators."""

    BOX = "box"
    EMULATOR = "emulator"


class Outcome(Enum):
    """What became of a command."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    NOT_CONFIRMED = "not_confirmed"
    NOT_FETCHED = "not_fetched"
    SUPERSEDED = "superseded"
    """A later wish says something else; this one was not sent."""
    RULED_OUT = "ruled_out"
    """What the panel shows by now forbids it; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Commands that are done. ``result`` is the panel's number where it gave one.

    ``key``, with ``placeholders`` or a ``message``, says why a wish was ruled out.
    """

    commands: tuple[int, ...]
    outcome: Outcome
    result: int | None = None
    key: str = ""
    message: str = ""
    placeholders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """A buffer was accepted."""

    buffer: Buffer


@dataclass(frozen=True, slots=True)
class Seen:
    """A valid frame of another node. ``age``: its age in seconds when it is reported."""

    frame: LinFrame
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class SecondBox:
    """Another box answers: we are silent for a while."""


BoxEvent = Finished | Received | Seen | SecondBox


@dataclass(slots=True)
class BoxCounts:
    """The counters of spec c.2 requirement 5."""

    headers: int = 0
    headers_for_us: int = 0
    answered: int = 0
    skipped: int = 0
    collisions: int = 0
    checksum_errors: int = 0
    frames: int = 0
    refused_buffers: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return them by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Wish:
    """Changes of one group that wait for the panel: as they were asked, and merged.

    What has to change with them is found when the panel fetches them (spec c.7).
    """

    since: float
    terms: Terms
    asked: dict[int, Mapping[str, int]] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)

    @property
    def commands(self) -> tuple[int, ...]:
        """The numbers of the commands in it."""
        return tuple(self.asked)

    def add(
        self, group: Group, fields: Mapping[str, int], asked: Mapping[int, Mapping[str, int]]
    ) -> tuple[int, ...]:
        """Add later commands, *fields* together; return those whose wish no longer holds."""
        self.asked.update(asked)
        self.fields = merged(group, self.fields, fields)
        lost = tuple(
            number for number, fields in self.asked.items() if superseded(fields, self.fields)
        )
        for number in lost:
            del self.asked[number]
        return lost


@dataclass(frozen=True, slots=True)
class _Sending:
    """An upload whose frames are being fetched; ``group`` is ``None`` for an init request.

    ``wish`` is fixed: wishes made meanwhile wait for the next upload. ``fields`` is what it became.
    """

    group: Group | None
    counter: int
    wish: _Wish | None = None
    fields: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Uploaded:
    """An upload that waits for its acknowledgement."""

    commands: tuple[int, ...]
    group: Group
    fields: Mapping[str, int]
    counter: int
    deadline: float


@dataclass(slots=True)
class _InitRequest:
    """Asking the panel for everything it knows (spec c.8)."""

    tries: int = INIT_TRIES
    next_try: float = 0.0
    asked: bool = False


@dataclass(slots=True)
class Box:
    """Our node on the bus. ``counter`` is the command counter to begin with (0 to 254).

    ``now_fields`` gives the fields of the clock at the moment they are sent. ``quiet_until``:
    before this time nothing is sent, because another box is there.
    """

    counter: int
    init_request: bool = True
    observer: bool = False
    identity: Identity = Identity.BOX
    now_fields: Callable[[], Mapping[str, int]] | None = None
    counts: BoxCounts = field(default_factory=BoxCounts)
    receiver: Receiver = field(default_factory=Receiver)
    nad: int = BOX_NAD
    echo: bool | None = None
    """Whether the line returns our own bytes; ``None``: not known yet."""
    baselines: dict[int, bytes] = field(default_factory=dict)
    quiet_until: float = -inf
    _assembler: Assembler = field(default_factory=Assembler)
    _answers: list[bytes] = field(default_factory=list)
    _sent: bytes | None = None
    _wishes: dict[Group, _Wish] = field(default_factory=dict)
    _sending: _Sending | None = None
    _fetched: float = -inf
    """When the upload was asked for, or one of its frames last fetched."""
    _uploaded: _Uploaded | None = None
    _init: _InitRequest = field(default_factory=_InitRequest)
    _records: dict[int, int] = field(default_factory=dict)
    """The device records that have come: how many there are in all, by their index."""
    _last_called: float | None = None
    _unsure: set[int] = field(default_factory=set)
    """Baselines that the panel may have changed unheard: it is asked before one is added to."""
    _told_by: float = inf
    """When everything has been told that the panel was asked for."""
    _lost: bool = False
    """Whether something may have been told that was not understood."""
    _ask_again: float = -inf
    _lost_pause: float = LOST_EVERY
    _collisions_in_a_row: int = 0
    _events: list[BoxEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Be unsure of baselines from before, where the panel is asked for them."""
        if self.init_request:
            self._unsure = set(self.baselines)

    # ---------------------------------------------------------------------------- the bus

    def receive(self, data: bytes, now: float, *, late: bool = False) -> bytes:
        """Take what was read from the line at *now*; return what is written at once.

        *late*: the bytes may have arrived earlier, so nothing is answered.
        """
        answer = self.hear(data, now, late=late)
        if answer:
            self.sent(answer, now)
        return answer

    def hear(self, data: bytes, now: float, *, late: bool = False) -> bytes:
        """Like :meth:`receive`, but the caller reports afterwards whether the answer was sent.

        What is returned must be followed by :meth:`sent` or by :meth:`skipped`.
        """
        answer = b""
        for event in self.receiver.receive_data(data, now):
            answer = self._on_event(event, now, late=late)
        return answer

    def sent(self, answer: bytes, now: float) -> None:
        """Note that the answer of :meth:`hear` was written."""
        if answer is UPDATE_PENDING:
            self._announced(now)
        elif answer is not NOTHING_TO_SEND:
            del self._answers[0]
            self._after_answer(now)
        self._sent = answer
        self.counts.answered += 1

    def skipped(self) -> None:
        """Note that the answer of :meth:`hear` was not written, because it was late."""
        self.counts.skipped += 1

    def tick(self, now: float) -> None:
        """Let time pass; to be called now and then."""
        for event in self.receiver.expire(now):
            self._on_event(event, now, late=True)
        if self._uploaded is not None and now > self._uploaded.deadline:
            self._end_upload(Outcome.NOT_CONFIRMED, None, now)
        if self._sending is not None and now - self._fetched > BROKEN_OFF_AFTER:
            self._discard_answers()
        self._ask_for_lost(now)
        for group, wish in tuple(self._wishes.items()):
            if now - wish.since > FETCH_WITHIN and self._uploaded is None:
                del self._wishes[group]
                self._events.append(Finished(wish.commands, Outcome.NOT_FETCHED))

    def _ask_for_lost(self, now: float) -> None:
        if self._assembler.lost is not None:
            self._lost |= self._assembler.lost == self.nad
            self._assembler.lost = None
        if not self._lost or self.observer or now < self._ask_again:
            return
        calm = now - self._ask_again > LOST_SELDOM
        self._lost_pause = LOST_EVERY if calm else min(2 * self._lost_pause, LOST_SELDOM)
        self._ask_again = now + self._lost_pause
        self._lost = False
        self._unsure = set(self.baselines)
        self.refresh(now)

    def events(self) -> list[BoxEvent]:
        """Return what has happened since the last call."""
        found, self._events = self._events, []
        return found

    def registered(self, now: float) -> bool:
        """Whether the panel has addressed us lately (spec c.5)."""
        return self._last_called is not None and now - self._last_called <= REGISTERED_FOR

    def _on_event(self, event: LinEvent, now: float, *, late: bool) -> bytes:
        match event:
            case Header():
                return self._on_header(event, now, late=late)
            case LinFrame():
                self._on_frame(event, now)
            case BadFrame():
                self._on_bad(event, now)
            case Unanswered(pid=pid, received=received):
                if self._sent is not None and self.echo is None:
                    self.echo = False
                self._sent = None
                if pid == PID_REQUEST and received:
                    self._assembler.damaged()
        return b""

    def _on_header(self, header: Header, now: float, *, late: bool) -> bytes:
        self.counts.headers += 1
        if self._sent is not None:
            # Our answer was not echoed: the adapter does not return what it sends.
            if self.echo is None:
                self.echo = False
            self._sent = None
        if header.pid == PID_REQUEST:
            self._discard_answers()
            return b""
        answer = b""
        if header.pid == PID_POLL:
            self._last_called = now
            self.counts.headers_for_us += 1
            answer = UPDATE_PENDING if self._announces(now) else NOTHING_TO_SEND
        elif header.pid == PID_RESPONSE and self._answers:
            self.counts.headers_for_us += 1
            answer = self._answers[0]
        if not answer or self.observer or now < self.quiet_until:
            return b""
        if late or not header.last:
            self.skipped()
            return b""
        return answer

    def _on_frame(self, frame: LinFrame, now: float) -> None:
        self.counts.frames += 1
        sent, self._sent = self._sent, None
        if sent is not None:
            if sent[:8] == frame.data:
                self.echo = True
                self._collisions_in_a_row = 0
                return
            self._collision(now)
            return
        if frame.pid == PID_REQUEST:
            request = self._assembler.receive_data(frame.data, now)
            if request is not None:
                self._on_request(request, now)
        elif self._is_ours(frame):
            self._somebody_else(now)
        self._events.append(Seen(frame))

    def _on_bad(self, bad: BadFrame, now: float) -> None:
        self.counts.checksum_errors += 1
        sent, self._sent = self._sent, None
        if sent is not None and sent != bad.data:
            self.counts.collisions += 1
            self._collisions_in_a_row += 1
            if self._collisions_in_a_row >= COLLISIONS_OF_A_RIVAL:
                self._collisions_in_a_row = 0
                self._somebody_else(now)
        if bad.pid == PID_REQUEST:
            self._assembler.damaged()

    def _is_ours(self, frame: LinFrame) -> bool:
        if frame.pid == PID_POLL:
            return True
        return frame.pid == PID_RESPONSE and frame.data[0] == self.nad

    def _collision(self, now: float) -> None:
        self.counts.collisions += 1
        self._somebody_else(now)

    def _somebody_else(self, now: float) -> None:
        """Be silent for a while, counted from the last frame of the other box."""
        if self.observer:
            return
        news = now >= self.quiet_until
        self.quiet_until = now + SECOND_BOX_PAUSE
        if news:
            self._discard_answers()
            self._events.append(SecondBox())

    # ----------------------------------------------------------------------- the requests

    def _on_request(self, request: Request, now: float) -> None:
        data = request.data
        mine = request.nad == self.nad
        if not mine and request.nad != BROADCAST:
            return
        if mine:
            self._last_called = now
        match data[0]:
            case 0xB2 | 0xB0 if len(data) == 6 and self._names_us(data, mine=mine):
                self._last_called = now
                self._identify(data)
            case 0xB9 if mine and len(data) in (5, 6) and data[1:3] == PRODUCT:
                self._answer(bytes((SESSION + 0x40, 0)))
            case 0xBB if mine:
                self._download(data, now)
            case 0xBA if mine and data[1:4] == FUNCTION and data[5:8] == CONSTANT:
                self._upload(data[8:11], now)

    def _names_us(self, data: bytes, *, mine: bool) -> bool:
        start = 1 if data[0] == ASSIGN_NAD else 2
        supplier, product = data[start : start + 2], data[start + 2 : start + 4]
        if mine:
            return supplier in (SUPPLIER, ANY_SUPPLIER) and product in (PRODUCT, ANY_PRODUCT)
        return supplier == SUPPLIER and product == PRODUCT

    def _identify(self, data: bytes) -> None:
        if data[0] == ASSIGN_NAD:
            if data[5] in RESERVED_NADS:
                return
            self._answer(bytes((ASSIGN_NAD + 0x40,)))
            self.nad = data[5]
            return
        positive = bytes((READ_BY_IDENTIFIER + 0x40,))
        if data[1] == 0 or self.identity is Identity.EMULATOR:
            self._answer(positive + SUPPLIER + PRODUCT + b"\0")
        elif data[1] == 0x20:
            self._answer(positive + b"\x02\x02\x00")
        elif data[1] == 0x22:
            self._answer(positive + b"\x03\x07\x00")
        else:
            self._answer(bytes((NEGATIVE, READ_BY_IDENTIFIER, SUB_FUNCTION_NOT_SUPPORTED)))

    def _answer(self, data: bytes, padding: int = 0xFF) -> None:
        self._answers = [response(PID_RESPONSE, frame) for frame in split(self.nad, data, padding)]

    def _download(self, data: bytes, now: float) -> None:
        buffer = read_buffer(data)
        if isinstance(buffer, Refusal):
            self.counts.refused_buffers += 1
            return
        self._answer(bytes((DOWNLOAD + 0x40,)))
        if buffer.message_id == MessageId.ACKNOWLEDGE:
            self._acknowledged(buffer, now)
        elif buffer.message_id in (MessageId.DEVICE, MessageId.ALDE_DEVICE):
            if (record := read_device(buffer.payload)) is not None:
                self._records[record.index] = record.count
                # The others are on their way.
                self._init.next_try = max(self._init.next_try, now + INIT_EVERY)
        elif is_status(buffer):
            self.baselines[buffer.message_id] = buffer.payload
            self._unsure.discard(buffer.message_id)
            self._compare(buffer, now)
        self._events.append(Received(buffer))

    # ------------------------------------------------------------------------- the uploads

    def command(
        self,
        number: int,
        group: Group,
        fields: Mapping[str, int],
        now: float,
        terms: Terms = COMBI_TERMS,
    ) -> None:
        """Take one command, see :meth:`take`."""
        self.take(group, fields, {number: fields}, now, terms)

    def take(
        self,
        group: Group,
        fields: Mapping[str, int],
        parts: Mapping[int, Mapping[str, int]],
        now: float,
        terms: Terms = COMBI_TERMS,
    ) -> None:
        """Take a wish: raw *fields* of *group*, sent when the panel fetches them (spec c.7).

        *parts* are the commands that it was put together from, by their numbers. What the rules add
        by *terms* is added then. The clock's fields may be empty: then the time is taken when it is
        sent.
        """
        wish = self._wishes.setdefault(group, _Wish(now, terms))
        wish.terms = terms
        self._add(wish, group, fields, parts)

    def _add(
        self,
        wish: _Wish,
        group: Group,
        fields: Mapping[str, int],
        asked: Mapping[int, Mapping[str, int]],
    ) -> None:
        if lost := wish.add(group, fields, asked):
            self._events.append(Finished(lost, Outcome.SUPERSEDED))

    def refresh(self, now: float) -> None:
        """Ask the panel for everything it knows."""
        self.init_request = True
        self._records = {}
        self._told_by = inf
        self._init = _InitRequest(next_try=now)

    def _announces(self, now: float) -> bool:
        if self._sending is not None:
            return True
        return self._init_wanted(now) or self._next_group(now) is not None

    def _init_wanted(self, now: float) -> bool:
        if not self.init_request:
            return False
        init = self._init
        told = MessageId.HEATER in self.baselines and MessageId.HEATER not in self._unsure
        if self._all_records and (init.asked or told):
            self.init_request = False
            self._told_by = min(self._told_by, now + TOLD_WITHIN)
            return False
        if self._records and not init.asked and told:
            # All is coming by itself; what has not come by then is asked for.
            return now >= init.next_try
        if init.asked and now >= init.next_try:
            init.tries -= 1
            init.asked = False
            if init.tries <= 0:
                self.init_request = False
                self._told_by = now
                return False
        return not init.asked

    @property
    def _all_records(self) -> bool:
        """Whether each device's record has come: one may be lost on a busy machine."""
        return bool(self._records) and len(self._records) >= max(self._records.values())

    def _announced(self, now: float) -> None:
        if self.init_request and not self._init.asked and self._init.next_try <= now:
            self._init.next_try = now

    def _next_group(self, now: float) -> Group | None:
        if self._uploaded is not None:
            return None
        for group in Group:
            baseline = UPLOADS[group].baseline_id
            if group not in self._wishes or baseline not in self.baselines:
                continue
            if baseline not in self._unsure or now >= self._told_by:
                return group
        return None

    def _upload(self, tail: bytes, now: float) -> None:
        tail = tail if len(tail) == len(TAIL_FF) else TAIL_FF
        counter = (self.counter + 1) % COUNTER_MODULUS
        if self._init_wanted(now):
            self._sending = _Sending(None, counter)
            message = build_buffer(UPLOAD, MessageId.INIT_REQUEST, counter, b"", tail)
        elif (group := self._next_group(now)) is not None:
            upload = UPLOADS[group]
            wish = self._wishes.pop(group)
            baseline = self.baselines[upload.baseline_id]
            try:
                fields = self._completed(group, wish, baseline)
                payload = settings_payload(group, baseline, fields)
            except ValueError as error:
                self._events.append(_ruled_out(wish.commands, error))
                return
            self._sending = _Sending(group, counter, wish, fields)
            message = build_buffer(UPLOAD, upload.message_id, counter, payload, tail)
        else:
            return
        self._fetched = now
        self._answer(message, padding=0)

    def _completed(self, group: Group, wish: _Wish, baseline: bytes) -> Mapping[str, int]:
        """Return a wish with what goes with it now. Raises :class:`ValueError`."""
        told = any(name in wish.fields for name in TIME)
        if group is Group.CLOCK and not told and self.now_fields is not None:
            return {**self.now_fields(), **wish.fields}
        shown = STATUS_LAYOUTS[UPLOADS[group].baseline_id].read(baseline) or {}
        return completed(group, wish.fields, shown, wish.terms)

    def _after_answer(self, now: float) -> None:
        """An answer was sent; when it was the last one of an upload, wait for the acknowledge."""
        self._fetched = now
        if self._answers or self._sending is None:
            return
        sending, self._sending = self._sending, None
        self.counter = sending.counter
        if sending.group is None or sending.wish is None:
            self._init.asked = True
            self._init.next_try = now + INIT_EVERY
            self._told_by = min(self._told_by, now + TOLD_WITHIN)
            return
        self._uploaded = _Uploaded(
            sending.wish.commands,
            sending.group,
            with_twins(sending.fields),
            sending.counter,
            now + ACKNOWLEDGE_WITHIN,
        )

    def _discard_answers(self) -> None:
        """Discard answers that were not fetched: a new request or a long silence has begun.

        An upload that was interrupted waits again, merged with later wishes.
        """
        self._answers = []
        sending, self._sending = self._sending, None
        if sending is None or sending.group is None or sending.wish is None:
            return
        newer = self._wishes.pop(sending.group, None)
        self._wishes[sending.group] = sending.wish
        if newer is not None:
            sending.wish.terms = newer.terms
            self._add(sending.wish, sending.group, newer.fields, newer.asked)

    def _end_upload(self, outcome: Outcome, result: int | None, now: float) -> None:
        """End the upload that waited for its acknowledgement; the time of the next ones starts."""
        uploaded, self._uploaded = self._uploaded, None
        if uploaded is not None:
            self._events.append(Finished(uploaded.commands, outcome, result))
        for wish in self._wishes.values():
            wish.since = now

    def _acknowledged(self, buffer: Buffer, now: float) -> None:
        uploaded = self._uploaded
        self.counter = buffer.counter % COUNTER_MODULUS
        if uploaded is None or buffer.counter != uploaded.counter:
            return
        result = buffer.payload[0] if buffer.payload else None
        if result == 0:
            self._note_taken(uploaded)
        self._end_upload(Outcome.CONFIRMED if result == 0 else Outcome.REJECTED, result, now)

    def _note_taken(self, uploaded: _Uploaded) -> None:
        """The panel shows what it has taken only a while later: until then we know it.

        Made to the status before, the next change would undo this one.
        """
        group = uploaded.group
        number = UPLOADS[group].baseline_id
        self.baselines[number] = with_settings(group, self.baselines[number], uploaded.fields)

    def _compare(self, buffer: Buffer, now: float) -> None:
        """Confirm an upload when a status shows its values, with or without acknowledgement."""
        uploaded = self._uploaded
        if uploaded is None or UPLOADS[uploaded.group].baseline_id != buffer.message_id:
            return
        shown = STATUS_LAYOUTS[buffer.message_id].read(buffer.payload) or {}
        if uploaded.group is not Group.CLOCK and all(
            shown.get(name) == value for name, value in uploaded.fields.items()
        ):
            self._end_upload(Outcome.CONFIRMED, None, now)

    # ------------------------------------------------------------------------- diagnostics

    def facts(self, now: float) -> dict[str, Any]:
        """Return the state in plain types."""
        return {
            **self.counts.as_dict(),
            "registered": self.registered(now),
            "nad": self.nad,
            "counter": self.counter,
            "echo": self.echo,
            "pending": [group.value for group in self._wishes],
            "waiting_for_acknowledge": self._uploaded is not None,
            "second_box": now < self.quiet_until,
            "quiet_for": max(0.0, round(self.quiet_until - now, 3)),
            "parity_errors": self.receiver.parity_errors,
            "bytes": self.receiver.bytes_seen,
        }


def _ruled_out(commands: tuple[int, ...], error: ValueError) -> Finished:
    if not isinstance(error, RuleError):
        error = RuleError("invalid_command", str(error))
    return Finished(
        commands,
        Outcome.RULED_OUT,
        key=error.key,
        message=error.message,
        placeholders=error.placeholders,
    )
