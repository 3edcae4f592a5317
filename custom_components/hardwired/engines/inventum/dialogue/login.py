"""Login and challenge: typing a code, and what the answer says (spec c.4, f.2).

No number of refused challenges is too many: the code that is accepted changes, and it is sooner
or later the one that is repeated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from ..terminal import keys
from ..terminal.screens import View, challenge_number
from . import timing
from .sight import Due, Sight

ACCEPTED_KEPT = 50

Send = Callable[[bytes, bool], None]
"""Takes what is to be written, and whether it is secret."""


@dataclass(frozen=True, slots=True)
class Codes:
    """What is typed at the two prompts."""

    login: str = keys.LOGIN_CODE
    challenge: str = keys.CHALLENGE_CODE


class Progress(Enum):
    """What a look at the prompt has brought."""

    WAIT = auto()
    TYPED = auto()
    """One more character."""
    ENTERED = auto()
    """The whole code and Enter: the answer is awaited."""
    AGAIN = auto()
    """A prompt stands there again: its code is to be typed."""
    INSIDE = auto()
    """The menu is there."""
    LOST = auto()
    """Another page, or no answer."""
    WRONG_CODE = auto()
    """The login code was refused too often."""


class Login:
    """One terminal's prompts. ``received`` counts the bytes since the link was opened."""

    def __init__(
        self, codes: Codes, sight: Sight, due: Due, send: Send, counters: Counter[str]
    ) -> None:
        self._codes = codes
        self._sight = sight
        self._due = due
        self._send = send
        self._counters = counters
        self.accepted: deque[str] = deque(maxlen=ACCEPTED_KEPT)
        """The numbers of challenges that were answered right; no secrets."""
        self.prompt = View.UNKNOWN
        self.forget()

    def forget(self) -> None:
        """The link is new."""
        self._refusals = 0
        self._retyped = 0
        self._challenge: str | None = None
        self._typed = 0
        self._typed_at = 0.0
        self._received_then = 0
        self._prompts_before = 0

    def look_around(self) -> None:
        """The row of repeated answers is over: where we are is looked for."""
        self._retyped = 0

    def begin(self, prompt: View) -> None:
        """Begin to type the code of *prompt*."""
        self.prompt = prompt
        self._typed = 0
        if prompt is View.CHALLENGE:
            self._counters["challenges"] += 1
            self._challenge = challenge_number(self._sight.cells)

    def type(self, now: float, received: int) -> Progress:
        """Type the next character, once the one before was echoed or has had its time."""
        if self._sight.view is not self.prompt:
            return Progress.LOST
        echoed = received > self._received_then
        if self._typed and not echoed and not self._due(self._typed_at + timing.ECHO):
            return Progress.WAIT
        code = self._codes.login
        if self.prompt is View.CHALLENGE:
            code = keys.challenge_answer(self._challenge, self._codes.challenge)
        self._typed_at = now
        if self._typed < len(code):
            self._send(code[self._typed].encode(), True)
            self._typed += 1
            self._received_then = received
            return Progress.TYPED
        self._send(keys.ENTER, False)
        self._prompts_before = self._sight.cells.prompts
        return Progress.ENTERED

    def answered(self) -> Progress:
        """Look for what the terminal says to the code."""
        entered, view = self._typed_at, self._sight.view
        if not self._due(entered + timing.AFTER_ENTER):
            return Progress.WAIT
        if view is View.EXTRA_MENU and self._sight.calm:
            if self.prompt is View.CHALLENGE and self._challenge is not None:
                self.accepted.append(self._challenge)
            self._refusals = self._retyped = 0
            return Progress.INSIDE
        if view.is_prompt and self._sight.cells.prompts > self._prompts_before:
            if view is View.LOGIN and self.prompt is View.LOGIN:
                return self._refused(entered)
            if self._sight.calm:
                if self.prompt is View.CHALLENGE:
                    self._counters["refused_challenges"] += 1
                self._refusals = self._retyped = 0
                return Progress.AGAIN
        if not self._due(entered + timing.ANSWER):
            return Progress.WAIT
        if view.is_prompt and self._retyped < timing.TYPED_AGAIN:
            self._retyped += 1
            return Progress.AGAIN
        return Progress.LOST

    def _refused(self, entered: float) -> Progress:
        """The login code was asked for again. A slow device may yet follow with the challenge."""
        quiet = self._sight.quiet_for(timing.REFUSED_QUIET)
        if not quiet and not self._due(entered + timing.REFUSED_LATEST):
            return Progress.WAIT
        self._retyped = 0
        self._refusals += 1
        self._counters["refused_logins"] += 1
        if self._refusals < timing.REFUSALS:
            return Progress.AGAIN
        self._refusals = 0
        return Progress.WRONG_CODE
