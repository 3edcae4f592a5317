"""What can go wrong on the bus and in the panel, each a switch (spec i.6).

A fault is written ``name``, ``name=value`` or ``name=value*count``: ``flip_bit=0.01``,
``ack_result=2*1``, ``silence=12``. Each draws from its own random sequence, so switching one on
does not change the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Takes(Enum):
    """What a fault's value is."""

    RATE = "rate"
    """Probability, 0..1, at each occasion."""
    NUMBER = "number"
    SECONDS = "seconds"
    BYTES = "bytes"
    """Hex string."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault that there is. ``once``: strikes once unless a count is given."""

    name: str
    text: str
    takes: Takes = Takes.RATE
    default: str = "1"
    once: bool = False


FAULT_KINDS: Mapping[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind("drop_byte", "a byte of a frame is lost", default="0.02"),
        FaultKind("flip_bit", "a bit of a frame is flipped", default="0.02"),
        FaultKind("garbage", "random bytes between two frames", default="0.02"),
        FaultKind("missing_break", "a header without its break byte", default="0.1"),
        FaultKind("wrong_parity", "a header whose identifier has a wrong parity", default="0.02"),
        FaultKind("truncate", "a frame that ends early", default="0.02"),
        FaultKind("lost_cf", "a consecutive frame of a download is not sent"),
        FaultKind("repeat_cf", "a consecutive frame of a download is sent twice"),
        FaultKind("no_response_slot", "no 7D header after a request"),
        FaultKind("interrupt_upload", "the panel breaks off an upload with another request"),
        FaultKind("unannounced_request", "BA although the box announced nothing"),
        FaultKind("ack_missing", "uploads are not acknowledged"),
        FaultKind("ack_result", "uploads are acknowledged with this result", Takes.NUMBER, "2"),
        FaultKind(
            "ack_counter", "the counter in the acknowledge is off by this", Takes.NUMBER, "5"
        ),
        FaultKind("second_box", "another iNet box answers too"),
        FaultKind("collision", "the echo of an answer is altered", default="0.05"),
        FaultKind("slow_slots", "slots last this many times longer", Takes.NUMBER, "2"),
        FaultKind("silence", "the bus is silent for this long", Takes.SECONDS, "5", once=True),
        FaultKind("nad", "PR SET assigns this node address to the box", Takes.NUMBER, "5"),
        FaultKind("tail", "buffers carry these three bytes", Takes.BYTES, "000000"),
        FaultKind("reboot_in_upload", "the panel restarts in the middle of an upload", once=True),
        FaultKind("unplug", "the serial port is gone for this long", Takes.SECONDS, "3", once=True),
    )
}
"""Every fault by its name."""


class UnknownFault(ValueError):
    """There is no such fault, or its value can't be read."""


class Fault:
    """A fault that is switched on."""

    def __init__(self, kind: FaultKind, text: str, left: int | None, seed: str) -> None:
        self.kind = kind
        self.text = text
        self.left = left
        self._random = random.Random(f"{seed}/{kind.name}")  # noqa: S311
        self.number = 0.0
        self.data = b""
        try:
            if kind.takes is Takes.BYTES:
                self.data = bytes.fromhex(text)
            else:
                self.number = float(text)
        except ValueError:
            raise UnknownFault(f"{kind.name} can't be {text!r}") from None
        if not 0 <= self.number < 1e6 or (kind.takes is Takes.RATE and self.number > 1):
            raise UnknownFault(f"{kind.name} can't be {text}")

    @property
    def spent(self) -> bool:
        """Whether the fault has struck as often as it was to."""
        return self.left is not None and self.left <= 0

    def strikes(self) -> bool:
        """Draw whether it strikes now, and count it if so."""
        if self.spent or (self.kind.takes is Takes.RATE and self._random.random() >= self.number):
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def choose(self, below: int) -> int:
        """Return a number of this fault's own random sequence."""
        return self._random.randrange(below)

    def __str__(self) -> str:
        count = "" if self.left is None else f"*{self.left}"
        return f"{self.kind.name}={self.text}{count}"


class Faults:
    """The faults that are switched on."""

    def __init__(self, seed: int = 0, texts: Iterable[str] = ()) -> None:
        self._seed = str(seed)
        self._on: dict[str, Fault] = {}
        for text in texts:
            self.switch_on(text)

    def switch_on(self, text: str) -> Fault:
        """Switch a fault on, written as in the module's text. Raises :class:`UnknownFault`."""
        name, _, rest = text.strip().partition("=")
        name, _, count_of_name = name.partition("*")
        value, _, count = rest.partition("*")
        kind = FAULT_KINDS.get(name)
        count = count or count_of_name
        if kind is None or (count and not count.isdecimal()):
            raise UnknownFault(f"no such fault: {text!r}")
        left = int(count) if count else 1 if kind.once else None
        fault = Fault(kind, value or kind.default, left, self._seed)
        self._on[name] = fault
        return fault

    def switch_off(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        if name is None:
            self._on.clear()
        elif name in FAULT_KINDS:
            self._on.pop(name, None)
        else:
            raise UnknownFault(f"no such fault: {name!r}")

    def strike(self, name: str) -> Fault | None:
        """Return the fault when it strikes now."""
        fault = self._on.get(name)
        return fault if fault is not None and fault.strikes() else None

    def standing(self, name: str) -> Fault | None:
        """Return the fault when it is switched on and not spent; does not count."""
        fault = self._on.get(name)
        return None if fault is None or fault.spent else fault

    def as_list(self) -> list[str]:
        """Return what is switched on, as it is written."""
        return [str(fault) for fault in self._on.values() if not fault.spent]
