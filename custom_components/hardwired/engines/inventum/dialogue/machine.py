"""The states of the dialogue and what each of them waits for (spec f.2, f.3).

Driven by received bytes, wishes and the clock; evaluated after each of them until nothing changes
any more. Every state has a time limit and a way back: only closing the link ends it.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ...clock import Clock
from ...engine import Reason
from ..terminal import keys
from ..terminal.log import BadRow, Column, Columns, LogError, LogEvent, LogParser, Preamble, Row
from ..terminal.screens import View, labelled_keys
from ..values import fan_position
from . import timing
from .edit_prompt import EditPrompt, Key
from .log_watch import Header, LogWatch
from .login import Codes, Login, Progress
from .menu import MenuMemory
from .navigation import Failed, ListKnowledge, Navigation, Press, Turn
from .sight import Sight
from .waking import Knock, Rest, Waking
from .wishes import Boost, Failure, Kind, Result, Target, Wishes

_EPSILON = 1e-6
_LINES = re.compile(rb"[^\r\n]*[\r\n]|[^\r\n]+")
_CHANGES = 1000
"""More changes at one moment than any dialogue makes."""


class State(StrEnum):
    """Where the dialogue stands."""

    SYNC = "sync"
    TYPING = "typing"
    AWAIT = "await"
    MENU = "menu"
    TO_IO = "to_io"
    IO = "io"
    EDIT = "edit"
    EDIT_DONE = "edit_done"
    LEAVING = "leaving"
    TO_LOGGER = "to_logger"
    LOGGER = "logger"


_LOGGED_OUT = frozenset({State.SYNC, State.TYPING, State.AWAIT})
_COMMAND = frozenset({State.TO_IO, State.IO, State.EDIT, State.EDIT_DONE})
_BEFORE_KEYS = _COMMAND | {State.MENU}
"""Where the next key may be one for a wish."""
_LOGGING = frozenset({State.TO_LOGGER, State.LOGGER})


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that go out in one write; ``secret``: they are part of a code."""

    data: bytes
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A good row under a header that was taken."""

    columns: Header
    row: Row
    position: int | None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of the state, for the diagnostics."""

    time: datetime
    state: str
    view: View


class Dialogue:
    """The conversation with one terminal.

    ``receive_data``, ``tick``, ``ask`` are its inputs; afterwards ``data_to_send`` and ``events``
    hold what came of them, and ``next_due`` says when ``tick`` is wanted.
    """

    def __init__(
        self,
        clock: Clock,
        codes: Codes | None = None,
        *,
        header: tuple[Column, ...] | None = None,
        fan_column: str | None = None,
        stored: Mapping[str, Any] | None = None,
    ) -> None:
        self._clock = clock
        self._now = clock.monotonic()
        self._moments: list[float] = []
        self._out: list[Write] = []
        self._events: list[Record | Result] = []
        self.sight = Sight(self._due)
        self.wishes = Wishes(self._due)
        self.wishes.restore(stored or {}, clock.now())
        self.log = LogWatch(header, fan_column)
        self.parser = LogParser()
        """What reads the print-out of the logger; restarted with each run of it."""
        self._waking = Waking()
        self._list = ListKnowledge()

        self.open = False
        self.state = State.SYNC
        self.reason: Reason | None = Reason.STARTING
        """Why there are no rows yet; ``None`` after a good one."""
        self.last_position: int | None = None
        self.last_row: float | None = None
        self.paused_until: float | None = None
        self._resumed: float | None = None
        self.counters: Counter[str] = Counter()
        self.starts_without_row = 0
        """How often the logger was started since a good row."""
        self.transitions: deque[Transition] = deque(maxlen=50)

        self.login = Login(codes or Codes(), self.sight, self._due, self._send, self.counters)
        self._deadline = 0.0
        self._menu = MenuMemory()
        self._been_inside = False
        self._handlers: Mapping[State, Callable[[], bool]] = {
            State.SYNC: self._in_sync,
            State.TYPING: self._in_typing,
            State.AWAIT: self._in_await,
            State.MENU: self._in_menu,
            State.TO_IO: self._in_to_io,
            State.IO: self._in_io,
            State.EDIT: self._in_edit,
            State.EDIT_DONE: self._in_edit_done,
            State.LEAVING: self._in_leaving,
            State.TO_LOGGER: self._in_to_logger,
            State.LOGGER: self._in_logger,
        }
        self._forget_session()

    def _forget_session(self) -> None:
        """Forget what holds only while the link is open."""
        self.login.forget()
        self._bytes = 0
        self._commas = 0
        self._waking.forget()
        self._wrong_code_until: float | None = None
        self._again = 0
        self._navigation: Navigation | None = None
        self._prompt: EditPrompt | None = None
        self._left_from = View.UNKNOWN
        self._bytes_when_stuck = -1
        self._clear_at: float | None = None
        self._preamble_seen = False
        self._row_seen = False
        self._start_anew = False

    # --------------------------------------------------------------------------------- inputs

    def opened(self) -> None:
        """The link is open."""
        self._now = self._clock.monotonic()
        self._forget_session()
        self.open = True
        self.sight.reopened(self._now)
        self.log.reopened()
        self._sync(timing.LISTEN)
        self._evaluate()

    def closed(self) -> None:
        """The link is gone. Wishes and the clock go on."""
        self._now = self._clock.monotonic()
        self.open = False
        self._out.clear()
        self._forget_session()
        self._enter(State.SYNC)
        self._evaluate()

    def receive_data(self, data: bytes) -> None:
        """Take in what the device sent."""
        if not data:
            return
        self._now = self._clock.monotonic()
        self._bytes += len(data)
        self.counters["bytes"] += len(data)
        self._commas += data.count(b",")
        if self.state is State.SYNC:
            # A logger that begins within this piece clears the screen at that very moment.
            for line in _LINES.finditer(data):
                self._take(line.group())
        else:
            self._take(data)
        self.sight.look(self._now)
        self._evaluate()

    def _take(self, data: bytes) -> None:
        before = self.sight.cells.prompts
        self.sight.receive_data(data, self._now)
        self.counters["prompts"] += self.sight.cells.prompts - before
        if self.state is State.SYNC or self.state in _LOGGING:
            for event in self.parser.receive_data(data):
                self._take_log(event)

    def tick(self) -> None:
        """Time has passed."""
        self._now = self._clock.monotonic()
        self._evaluate()

    def ask(self, target: Target, boost: Boost | None = None, *, ready: bool = True) -> int:
        """Take a user's wish; return the number under which its result will come.

        Not *ready*: no key is pressed for it before :meth:`make_ready`.
        """
        self._now = self._clock.monotonic()
        position = self.last_position if self.state is State.LOGGER and self.open else None
        number = self.wishes.ask(target, boost, self._now, position, ready=ready)
        self._evaluate()
        return number

    def make_ready(self, number: int) -> None:
        """The end of this wish's boost is stored."""
        self._now = self._clock.monotonic()
        self.wishes.make_ready(number)
        self._evaluate()

    def release(self) -> None:
        """Take back an override of ours: the engine is about to stop."""
        self._now = self._clock.monotonic()
        self.wishes.release(self._now)
        self._evaluate()

    def abandon(self) -> None:
        """The engine has stopped: end what a user is waiting for."""
        self.wishes.abandon()
        self._drain_results()

    def pause(self) -> None:
        """Leave the logger for a while."""
        self._now = self._clock.monotonic()
        self.paused_until = self._now + timing.PAUSE
        self._evaluate()

    def resume(self) -> None:
        """Start the logger again."""
        self._now = self._clock.monotonic()
        self._end_pause()
        self._evaluate()

    def _end_pause(self) -> None:
        if self.paused_until is not None:
            self.paused_until, self._resumed = None, self._now

    # -------------------------------------------------------------------------------- outputs

    def data_to_send(self) -> list[Write]:
        """Return what is to be written now, in order; each in one write."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[Record | Result]:
        """Return the rows and results since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def next_due(self) -> float | None:
        """The monotonic time at which :meth:`tick` is wanted; ``None``: only bytes can help."""
        return min(self._moments, default=None)

    @property
    def row_wanted_since(self) -> float | None:
        """The last row, or the end of a pause since then; ``None``: there was no row yet."""
        if self.last_row is None or self._resumed is None:
            return self.last_row
        return max(self.last_row, self._resumed)

    @property
    def state_name(self) -> str:
        """The state; at a prompt with the kind of code."""
        if self.state in (State.TYPING, State.AWAIT):
            return f"{self.state.value}_{self.login.prompt.value}"
        return self.state.value

    @property
    def typing(self) -> bool:
        """Whether a code is being typed: what comes back may be its echo."""
        return self.state in (State.TYPING, State.AWAIT)

    @property
    def inside(self) -> bool:
        """Whether the terminal is logged in, as far as is known."""
        return self.open and self.state not in _LOGGED_OUT

    @property
    def commanding(self) -> bool:
        """Whether the state belongs to a wish."""
        return self.state in _COMMAND or self.state is State.LEAVING

    @property
    def refused_code(self) -> bool:
        """Whether the login code is being rested after refusals."""
        return self._wrong_code_until is not None

    # ----------------------------------------------------------------------------- evaluation

    def _due(self, moment: float) -> bool:
        if self._now + _EPSILON >= moment:
            return True
        self._moments.append(moment)
        return False

    def _evaluate(self) -> None:
        for _ in range(_CHANGES):
            self._moments.clear()
            if not self._step():
                break
        self._drain_results()

    def _drain_results(self) -> None:
        self._events += self.wishes.results
        self.wishes.results.clear()

    def _step(self) -> bool:
        """Make one change; return whether there was one."""
        offline = not self.open or self.state in _LOGGED_OUT
        if self.wishes.review(self._now, self._clock.now(), offline=offline):
            return True
        if self.paused_until is not None and self._due(self.paused_until):
            self._end_pause()
            return True
        if self._wrong_code_until is not None and self._due(self._wrong_code_until):
            self._wrong_code_until = None
            return True
        if not self.open:
            return False
        wish = self.wishes.pending
        if wish is not None and not wish.ready and self.state in _BEFORE_KEYS:
            return False
        if self.state in _COMMAND and self.sight.view.is_prompt and self.sight.calm:
            return self._resync(Failure.LOGGED_OUT)
        return self._handlers[self.state]()

    # ------------------------------------------------------------------------------ the verbs

    def _enter(self, state: State, seconds: float | None = None) -> bool:
        self.state = state
        if seconds is not None:
            self._deadline = self._now + seconds
        self.transitions.append(Transition(self._clock.now(), self.state_name, self.sight.view))
        return True

    def _send(self, data: bytes, secret: bool = False) -> None:
        self._out.append(Write(data, secret))

    def _sync(self, seconds: float) -> bool:
        self.parser.restart()
        self.log.start_run()
        self._commas = 0
        self._waking.look_around()
        self.login.look_around()
        return self._enter(State.SYNC, seconds)

    def _resync(self, why: Failure | None = None) -> bool:
        if self.state in _COMMAND:
            lost = Failure.EDIT_LOST if self.state is State.EDIT else Failure.IO_LOST
            self._fail(why or lost)
        return self._sync(timing.RESYNC)

    def _fail(self, why: Failure, *, final: bool = False) -> None:
        self.counters[f"failure_{why.value}"] += 1
        self.wishes.fail(why, self._now, final=final)

    def _leave(self) -> bool:
        self._again = 0
        self._left_from = self.sight.view
        if self.sight.view is View.EXTRA_MENU and self.sight.calm:
            # A doubled Escape has left already; one more may log out.
            return self._enter(State.LEAVING, timing.LEAVE)
        self._send(keys.ESCAPE)
        if self.state in _LOGGING:
            self.sight.clear(self._now)
        return self._enter(State.LEAVING, timing.LEAVE)

    def _fail_and_leave(self, why: Failure, *, final: bool = False) -> bool:
        self._fail(why, final=final)
        return self._leave()

    # ------------------------------------------------------------------------- sync and waking

    def _in_sync(self) -> bool:
        if self.sight.calm:
            match self.sight.view:
                case View.LOGIN | View.CHALLENGE:
                    return self._wrong_code_until is None and self._type(self.sight.view)
                case View.EXTRA_MENU:
                    return self._enter(State.MENU, timing.MENU_DRAWN)
                case View.IO_STATUS | View.EDIT_FAN:
                    return self._leave()
        return self._due(self._deadline) and self._wake()

    def _wake(self) -> bool:
        if self._waking.untried and self._commas >= timing.LOGGER_COMMAS:
            # A logger runs that began before us.
            self.sight.clear(self._now)
        logger_key = self._menu.keys.data_logger.encode() if self._been_inside else b""
        wake = self._waking.next(self._bytes, logger_key)
        match wake:
            case Knock(data):
                self._send(data)
            case Rest():
                self.reason = Reason.NOISE if self._bytes else Reason.SILENT
                self.counters["wake_series"] += 1
        self._deadline = self._now + wake.seconds
        return True

    # ------------------------------------------------------------------------------- the login

    def _type(self, prompt: View) -> bool:
        self.login.begin(prompt)
        if prompt is View.CHALLENGE:
            self.reason = Reason.LOGGING_IN
            self._been_inside = True
        return self._enter(State.TYPING)

    def _in_typing(self) -> bool:
        match self.login.type(self._now, self._bytes):
            case Progress.WAIT:
                return False
            case Progress.ENTERED:
                return self._enter(State.AWAIT)
            case Progress.LOST:
                return self._resync()
        return True

    def _in_await(self) -> bool:
        match self.login.answered():
            case Progress.INSIDE:
                return self._enter(State.MENU, timing.MENU_DRAWN)
            case Progress.AGAIN:
                return self._type(self.sight.view)
            case Progress.LOST:
                return self._resync()
            case Progress.WRONG_CODE:
                self.reason = Reason.WRONG_CODE
                self._wrong_code_until = self._now + timing.WRONG_CODE_PAUSE
                return self._sync(timing.WRONG_CODE_PAUSE)
        return False

    # -------------------------------------------------------------------------------- the menu

    def _in_menu(self) -> bool:
        if self.sight.view is not View.EXTRA_MENU:
            return self._sync(timing.MENU_LOST)
        if not self.sight.calm or (labels := self.sight.menu_labels(self._deadline)) is None:
            return False
        menu = self._menu.read(labelled_keys(labels))
        self._been_inside = True
        if self.wishes.is_due:
            self._end_pause()
            self._again = 0
            self._send(menu.io_status.encode())
            return self._enter(State.TO_IO, timing.TO_IO)
        if self.paused_until is not None and self.wishes.verifying is None:
            return False
        self._send(menu.data_logger.encode())
        self.sight.clear(self._now)
        self.parser.restart()
        self.log.start_run()
        self._again = 0
        self._clear_at = self._now + timing.CLEAR_AGAIN
        return self._start_logger(timing.LOGGER_START)

    def _start_logger(self, seconds: float) -> bool:
        self.counters["logger_starts"] += 1
        self.starts_without_row += 1
        self._preamble_seen = self._row_seen = self._start_anew = False
        return self._enter(State.TO_LOGGER, seconds)

    def _in_leaving(self) -> bool:
        view = self.sight.view
        if self.sight.calm:
            if view is View.EXTRA_MENU:
                return self._enter(State.MENU, timing.MENU_DRAWN)
            if view.is_prompt:
                return self._sync(timing.RESYNC)
        over = self._due(self._deadline)
        if view in (View.IO_STATUS, View.EDIT_FAN) and self._again < timing.LEAVE_AGAIN:
            moved_on = view is not self._left_from and self.sight.calm
            if over or moved_on:
                self._again += 1
                self._left_from = view
                self._send(keys.ESCAPE)
                self._deadline = self._now + timing.LEAVE
                return True
        if not over:
            return False
        if self._bytes == self._bytes_when_stuck:
            # Nothing answers, for the second time: after a power cut the screen shows what is
            # long gone, and the terminal wakes by Enter only.
            self.sight.clear(self._now)
        self._bytes_when_stuck = self._bytes
        return self._resync()

    # ------------------------------------------------------------------- the list, the prompt

    def _in_to_io(self) -> bool:
        if self.sight.view is View.IO_STATUS:
            if self.sight.settled:
                return self._to_list()
            return self._due(self._deadline + timing.NEVER_SETTLES) and self._resync()
        if not self._due(self._deadline):
            return False
        if self.sight.view is View.EXTRA_MENU and self._again < timing.IO_KEY_AGAIN:
            self._again += 1
            self._send(self._menu.keys.io_status.encode())
            self._deadline = self._now + timing.TO_IO
            return True
        return self._resync()

    def _to_list(self) -> bool:
        self._navigation = Navigation(self.sight, self._due, self._list, self._now)
        return self._enter(State.IO)

    def _in_io(self) -> bool:
        assert self._navigation is not None
        match self._navigation.step(self._now, wanted=self.wishes.pending is not None):
            case Press() as press:
                self._send(_KEYS[press])
                self._navigation.pressed(press, self._now)
                return True
            case Turn.EDIT:
                self._prompt = EditPrompt(self.sight, self._due, self._now)
                return self._enter(State.EDIT)
            case Turn.LEAVE:
                return self._leave()
            case Failed(why, lost=True):
                return self._resync(why)
            case Failed(why, final):
                return self._fail_and_leave(why, final=final)
        return False

    def _in_edit(self) -> bool:
        assert self._prompt is not None
        wish = self.wishes.pending
        match self._prompt.step(None if wish is None else wish.target, self._now):
            case Key(data, done):
                self._send(data)
                if self._prompt.target is not None:
                    self.wishes.entered()
                return self._enter(State.EDIT_DONE, timing.EDIT_DONE) if done else True
            case Turn.RESYNC:
                return self._resync()
            case Failed(why):
                return self._fail_and_leave(why)
        return False

    def _in_edit_done(self) -> bool:
        if self.sight.view is not View.IO_STATUS or not self.sight.calm:
            return self._due(self._deadline) and self._fail_and_leave(Failure.EDIT_STUCK)
        assert self._prompt is not None
        if self._prompt.target is None:
            self.wishes.released()
        wish = self.wishes.pending
        done = self._prompt.target or Target(Kind.AUTO)
        if wish is not None and wish.target != done:
            return self._to_list()
        self.wishes.sent(self._now, self.log.confirmation_limit)
        return self._leave()

    # ------------------------------------------------------------------------------ the logger

    def _take_log(self, event: LogEvent) -> None:
        match event:
            case Preamble():
                if self.state is State.SYNC:
                    self.sight.clear(self._now)
                    self._again = 1
                    self._clear_at = None
                    self._start_logger(timing.FIRST_ROW)
                self._preamble_seen = True
                if self.state is State.TO_LOGGER:
                    self._deadline = self._now + timing.FIRST_ROW
            case Columns(columns):
                self._start_anew |= not self.log.take_header(columns)
            case Row():
                if self.log.taken:
                    self._take_row(event)
            case BadRow():
                self._take_bad_row(event)
            case LogError():
                self.counters[event.name.lower()] += 1
                if event is LogError.NO_HEADER:
                    self._start_anew |= self.log.take_bad()

    def _take_bad_row(self, why: BadRow) -> None:
        self.counters[f"bad_row_{why.name.lower()}"] += 1
        self._start_anew |= self.log.take_bad()

    def _take_row(self, row: Row) -> None:
        assert self.log.header is not None
        place = self.log.fan_column
        position = None if place is None else fan_position(row.cells[place].value)
        if row.widened and place is not None and position is None:
            # Text without end has commas too.
            self._take_bad_row(BadRow.WIDTH)
            return
        self.log.take_row(self._now)
        self.starts_without_row = 0
        self.last_position = position
        self.last_row = self._now
        self.reason = None
        self._waking.succeeded()
        self._row_seen = True
        self.counters["rows"] += 1
        if self.state is State.LOGGER:
            self._deadline = self._now + self.log.patience
        self._events.append(Record(self.log.header, row, position))
        self.wishes.take_row(position, self._now)
        self._drain_results()

    def _in_to_logger(self) -> bool:
        if self._clear_at is not None:
            if not self._due(self._clear_at):
                return self._log_ends(self._preamble_seen) or self._log_begins()
            self._clear_at = None
            self.sight.clear(self._now)
        if self.sight.view is not View.UNKNOWN and self.sight.calm:
            return self._sync(timing.RESYNC)
        if self._log_ends(self._preamble_seen) or self._log_begins():
            return True
        if not self._due(self._deadline):
            return False
        if not self._preamble_seen and self._again == 0:
            self._again = 1
            self._send(self._menu.keys.data_logger.encode())
            self._deadline = self._now + timing.LOGGER_START
            return True
        return self._leave()

    def _log_begins(self) -> bool:
        return self._row_seen and self._enter(State.LOGGER, self.log.patience)

    def _log_ends(self, running: bool) -> bool:
        """Leave the logger for a wish, a pause, or because it is not to be trusted."""
        paused = self.paused_until is not None and self.wishes.verifying is None
        if self._start_anew:
            self.counters["logger_restarts"] += 1
            return self._leave()
        if not (running and (self.wishes.is_due or paused)):
            return False
        if not self._row_seen:
            self.starts_without_row -= 1
        return self._leave()

    def _in_logger(self) -> bool:
        if self.sight.view is not View.UNKNOWN and self.sight.calm:
            return self._sync(timing.RESYNC)
        if self._log_ends(True):
            return True
        if not self._due(self._deadline):
            return False
        self.counters["logger_restarts"] += 1
        return self._leave()


_KEYS = {Press.UP: keys.UP, Press.DOWN: keys.DOWN, Press.ENTER: keys.ENTER}
