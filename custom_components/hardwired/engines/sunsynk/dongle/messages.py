"""The other messages on the cloud connection: login, clock, redirect, polling map (spec b.2, b.4).

Bodies are the bytes after the eleven of the envelope. An invalid body gives ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from .layouts import Block, Layout, layout_of

READ_HOLDING = 3
REPORT_CLASS = 0
MAXIMUM_REPORT_WORDS = (4096 + 11 - 44) // 2
"""What fits into the largest frame."""


class MessageType(IntEnum):
    """The types known; byte 3 of the envelope."""

    LOGIN = 0x01
    DEVICE_INFORMATION = 0x02
    HEARTBEAT = 0x05
    WHICH_SERVER = 0x07
    REPORT = 0x09
    POLLING_MAP = 0x0B


@dataclass(frozen=True, slots=True)
class Login:
    """What the dongle says first.

    The register key binds the dongle to a cloud account. It is a secret and never shown.
    """

    dongle_serial: str = field(repr=False)
    register_key: str = field(repr=False)


def read_login(body: bytes) -> Login | None:
    """Return the dongle's login."""
    if len(body) != 32:
        return None
    serial, key = _text(body[:16]), _text(body[16:])
    return None if serial is None or key is None else Login(serial, key)


def read_clock(body: bytes) -> datetime | None:
    """Return the wall clock that the server hands out at login, in the portal's zone."""
    if len(body) < 6:
        return None
    year, month, day, hour, minute, second = body[:6]
    try:
        return datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError:
        return None


def read_redirect(body: bytes) -> str | None:
    """Return the ``host:port`` to which the server sends the dongle; empty: no redirect."""
    text = _text(body)
    return text or None


@dataclass(frozen=True, slots=True)
class PollingEntry:
    """One line of a polling map: registers that the dongle shall read."""

    cls: int
    sub: int
    fc: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class PollingMap:
    """Which registers the server wants. The entries of class 0 make up the report."""

    version: str
    entries: tuple[PollingEntry, ...]

    @property
    def report_blocks(self) -> tuple[Block, ...]:
        """The blocks of the report, in order."""
        return tuple(
            Block(entry.start, entry.count)
            for entry in self.entries
            if entry.cls == REPORT_CLASS and entry.count
        )

    @property
    def layout(self) -> Layout | None:
        """The layout of the reports to come, if they fit into a frame and hold registers only.

        Another function's numbers mean other things than the holding registers known here.
        """
        if any(entry.cls == REPORT_CLASS and entry.fc != READ_HOLDING for entry in self.entries):
            return None
        blocks = self.report_blocks
        words = sum(size for _, size in blocks)
        return layout_of(blocks) if 0 < words <= MAXIMUM_REPORT_WORDS else None


def read_polling_map(body: bytes) -> PollingMap | None:
    """Return the polling map in the server's answer to a type ``0b`` message."""
    if len(body) < 17 or len(body) != 17 + 6 * body[16]:
        return None
    version = _text(body[:16])
    if version is None:
        return None
    entries = (
        PollingEntry(
            body[at],
            body[at + 1],
            body[at + 2],
            int.from_bytes(body[at + 3 : at + 5]),
            body[at + 5],
        )
        for at in range(17, len(body), 6)
    )
    return PollingMap(version, tuple(entries))


def _text(field_bytes: bytes) -> str | None:
    text = field_bytes.partition(b"\0")[0]
    return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else None
