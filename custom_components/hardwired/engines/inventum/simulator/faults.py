"""What can go wrong at the simulated device, by name (spec i.8).

``Faults`` is what is wrong now; each strikes where the device asks for it. ``random_fault`` picks
one from a seed, for runs of thousands.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """The faults. In brackets: what its strength is."""

    LOSE_BYTES = "lose_bytes"
    """Bytes of the device are lost [share]."""
    FLIP_BYTES = "flip_bytes"
    """A bit of them is wrong [share]."""
    DOUBLE_BYTES = "double_bytes"
    """They come twice [share]."""
    NOISE = "noise"
    """Random bytes in between [share]."""
    LOSE_KEYS = "lose_keys"
    """Keys do not arrive [share]."""
    DOUBLE_KEYS = "double_keys"
    """Keys arrive twice [share]."""
    LOSE_ECHO = "lose_echo"
    """Typed characters are taken and not shown."""
    LATE_PAGES = "late_pages"
    """Pages come late [seconds]."""
    HALF_PAGES = "half_pages"
    """Pages break off [share of pages]."""
    ENDLESS = "endless"
    """Text without end, whatever is pressed."""
    STUCK = "stuck"
    """Nothing at all, and keys are lost."""
    CUT_ROWS = "cut_rows"
    """Rows break off [share]."""
    MERGED_ROWS = "merged_rows"
    """Rows without an end of the line [share]."""
    RUBBISH_IN_ROWS = "rubbish_in_rows"
    """Rows with text of elsewhere in them [share]."""
    NO_ROWS = "no_rows"
    """The logger prints nothing more."""
    NO_PREAMBLE = "no_preamble"
    """The logger begins with its header."""
    OTHER_HEADER = "other_header"
    """One name in the header is another."""
    STRANGE_POSITION = "strange_position"
    """The fan's column holds something else [share]."""
    IGNORED_OVERRIDE = "ignored_override"
    """A value is taken and does nothing."""
    GHOST_ROW = "ghost_row"
    """A second row of the list is reversed."""

    LOG_OUT = "log_out"
    """At once: the login is asked for."""
    ASK_AGAIN = "ask_again"
    """At once: a login prompt in the middle of whatever is shown."""
    CANCEL_OVERRIDE = "cancel_override"
    """At once: the controller drops the override."""
    REBOOT = "reboot"
    """At once: override and login are lost, three seconds of silence."""
    UNPLUG = "unplug"
    """At once: the port is gone [seconds; 3]."""


INSTANT = frozenset(
    {Fault.LOG_OUT, Fault.ASK_AGAIN, Fault.CANCEL_OVERRIDE, Fault.REBOOT, Fault.UNPLUG}
)
_SHARES = {
    Fault.LOSE_BYTES: 0.02,
    Fault.FLIP_BYTES: 0.02,
    Fault.DOUBLE_BYTES: 0.02,
    Fault.NOISE: 0.02,
    Fault.LOSE_KEYS: 0.3,
    Fault.DOUBLE_KEYS: 0.2,
    Fault.HALF_PAGES: 0.4,
    Fault.LATE_PAGES: 0.6,
    Fault.CUT_ROWS: 0.5,
    Fault.MERGED_ROWS: 0.5,
    Fault.RUBBISH_IN_ROWS: 0.5,
    Fault.STRANGE_POSITION: 0.5,
}
"""How strong a fault is when nothing is said."""


class UnknownFault(ValueError):
    """There is no such fault."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault for a while."""

    fault: Fault
    seconds: float = 10.0
    strength: float | None = None

    @classmethod
    def read(cls, text: str) -> Trouble:
        """Return ``name[:seconds[:strength]]``. Raises :class:`UnknownFault`."""
        name, _, rest = text.partition(":")
        seconds, _, strength = rest.partition(":")
        try:
            fault = Fault(name)
            if fault is Fault.UNPLUG:
                strength = strength or seconds  # no other way to say how long it is gone
            return cls(fault, float(seconds or 10.0), float(strength) if strength else None)
        except ValueError as error:
            known = ", ".join(Fault)
            raise UnknownFault(f"{text!r} is no fault; there are {known}") from error


@dataclass(slots=True)
class Faults:
    """Those that stand now."""

    dice: random.Random
    struck: Counter[Fault] = field(default_factory=Counter)
    _standing: dict[Fault, tuple[float, float]] = field(default_factory=dict)

    def begin(self, trouble: Trouble, now: float) -> None:
        """Let a lasting fault stand from *now*."""
        strength = trouble.strength
        if strength is None:
            strength = _SHARES.get(trouble.fault, 1.0)
        self._standing[trouble.fault] = (now + trouble.seconds, strength)

    def clear(self) -> None:
        """All is well again."""
        self._standing.clear()

    def strength(self, fault: Fault, now: float) -> float:
        """Return how strong a fault is now; 0: it does not stand."""
        if fault not in self._standing:
            return 0.0
        until, strength = self._standing[fault]
        if now < until:
            return strength
        del self._standing[fault]
        return 0.0

    def stands(self, fault: Fault, now: float) -> bool:
        """Whether a fault stands now, by chance where it has a share."""
        strength = self.strength(fault, now)
        if not strength or (strength < 1.0 and self.dice.random() >= strength):
            return False
        self.struck[fault] += 1
        return True

    def damaged(self, data: bytes, now: float) -> bytes:
        """Return what of *data* arrives."""
        if not self._standing:
            return data
        shares = [
            self.strength(fault, now)
            for fault in (Fault.LOSE_BYTES, Fault.FLIP_BYTES, Fault.DOUBLE_BYTES, Fault.NOISE)
        ]
        if not any(shares):
            return data
        lose, flip, double, noise = shares
        out = bytearray()
        dice = self.dice.random
        for byte in data:
            if noise and dice() < noise:
                out.append(self.dice.randrange(256))
            if lose and dice() < lose:
                continue
            kept = byte ^ (1 << self.dice.randrange(8)) if flip and dice() < flip else byte
            out.append(kept)
            if double and dice() < double:
                out.append(kept)
        return bytes(out)


def random_trouble(dice: random.Random) -> Trouble:
    """Return any fault, for a random while."""
    return Trouble(dice.choice(list(Fault)), dice.uniform(0.5, 30.0))
