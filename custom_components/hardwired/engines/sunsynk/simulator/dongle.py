"""The simulated dongle and the server that it reports to (spec b.1 - b.4, c.2, i)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from random import Random

from ..dongle.envelope import FROM_DONGLE, FROM_SERVER, HEADER_SIZE, START
from ..dongle.layouts import LAYOUTS, WORDS_AT, Block, Layout, layout_of
from ..dongle.messages import MessageType
from .plant import Plant

PRODUCT = 0x06
DEVICE_INFORMATION_SIZE = 153
POLLING_REQUEST_SIZE = 112

SETTINGS_ENTRIES = (
    (1, 0, 20, 2), (1, 0, 25, 14), (1, 0, 43, 16), (3, 0, 46, 2), (2, 0, 48, 4), (1, 0, 200, 100),
)  # fmt: skip
"""Lines of the polling map that do not make up the report: class, sub-class, start, count."""


def message(
    direction: int, kind: int, number: int, body: bytes = b"", *, status: int = 0, signal: int = 0
) -> bytes:
    """Return a frame of the protocol."""
    head = bytes((START, PRODUCT, direction, kind, status, signal & 0xFF, 0, 0, number & 0xFF))
    return head + len(body).to_bytes(2) + body


def clock_bytes(local: datetime) -> bytes:
    """Return a wall-clock time as the protocol writes it."""
    return bytes(
        (
            (local.year - 2000) % 256,
            local.month,
            local.day,
            local.hour,
            local.minute,
            local.second,
        )
    )


def polling_map_body(blocks: Iterable[Block], version: str = "1.4") -> bytes:
    """Return the polling map that makes a dongle report *blocks*."""
    entries = [(0, 0, start, size) for start, size in blocks] + list(SETTINGS_ENTRIES)
    lines = b"".join(
        bytes((cls, sub, 3)) + start.to_bytes(2) + bytes((size,))
        for cls, sub, start, size in entries
    )
    return version.encode().ljust(16, b"\0") + bytes((len(entries),)) + lines


def answer(request: bytes, local: datetime, layout: Layout) -> bytes:
    """Return the answer of the vendor's server to a message of the dongle."""
    kind, number = request[3], request[8]
    body, status = b"", 1
    match kind:
        case MessageType.LOGIN:
            body = clock_bytes(local) + b"\x00\x1d"
        case MessageType.HEARTBEAT:
            body = clock_bytes(local)
        case MessageType.POLLING_MAP:
            body = polling_map_body(layout.blocks)
        case MessageType.DEVICE_INFORMATION:
            status = 3
    return message(FROM_SERVER, kind, number, body, status=status)


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one report."""

    zero: bool = False
    implausible: bool = False
    unknown_size: bool = False
    three_phase: bool = False


SOUND = Damage()


@dataclass(slots=True)
class Dongle:
    """One dongle in one inverter: its plant, its clock, its message numbers.

    The inverter's wall clock is *zone* plus *clock_offset* of the true time.
    """

    serial: str
    zone: tzinfo
    layout: Layout = LAYOUTS[292]
    plant: Plant = field(default_factory=Plant)
    clock_offset: timedelta = timedelta(0)
    dongle_serial: str = "E47100000000"
    register_key: str = "SIMULATE"
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311
    number: int = 0

    def local(self, moment: datetime) -> datetime:
        """Return the inverter's wall clock at *moment* (UTC), without a zone."""
        return (moment.astimezone(self.zone) + self.clock_offset).replace(tzinfo=None, fold=0)

    def reboot(self) -> None:
        """Restart: the message numbers begin at 1."""
        self.number = 0

    def send(self, kind: int, body: bytes = b"", *, status: int = 0) -> bytes:
        """Return the dongle's next message."""
        self.number = (self.number + 1) % 256
        signal = -60 + round(self.random.gauss(0, 3))
        return message(FROM_DONGLE, kind, self.number, body, status=status, signal=signal)

    def hello(self) -> Sequence[bytes]:
        """Return the messages after connecting, each of which is answered."""
        login = self.dongle_serial.encode().ljust(16, b"\0")
        login += self.register_key.encode().ljust(16, b"\0")
        information = self.random.randbytes(DEVICE_INFORMATION_SIZE)
        request = self.random.randbytes(POLLING_REQUEST_SIZE)
        return (
            self.send(MessageType.LOGIN, login),
            self.send(MessageType.WHICH_SERVER, status=2),
            self.send(MessageType.DEVICE_INFORMATION, information, status=2),
            self.send(MessageType.POLLING_MAP, request),
        )

    def heartbeat(self) -> bytes:
        """Return the short message between reports."""
        return self.send(MessageType.HEARTBEAT)

    def report(self, moment: datetime, damage: Damage = SOUND) -> bytes:
        """Return the report of *moment* (UTC); the plant's time passes until then."""
        local = self.local(moment)
        self.plant.advance(local)
        registers = self.plant.registers()
        layout = self.layout
        if damage.three_phase:
            # Another family's registers: valid words with another meaning.
            registers = {
                register: self.random.choice((0, self.random.randrange(0x10000), 2300, 5000))
                for register in layout.registers
            }
        if damage.implausible:
            registers |= {79: 12345, 90: 65535, 150: 60000, 184: 250, 59: 77}
        if damage.unknown_size:
            layout = layout_of((*layout.blocks, Block(600, 3)))
        words = b"".join(registers.get(register, 0).to_bytes(2) for register in layout.registers)
        if damage.zero:
            words = bytes(len(words))
        head = self.serial.encode().ljust(26, b"\0") + clock_bytes(local) + b"\1"
        assert HEADER_SIZE + len(head) == WORDS_AT
        return self.send(MessageType.REPORT, head + words, status=2)
