"""Files on the SD card of the gateway: directory and daily logs (spec c.7).

Sans-I/O: :class:`Transfer` says what to ask next; feed it the answers.
"""

from __future__ import annotations

import re
from enum import IntEnum

from .frame import GATEWAY_ADDRESS, OUR_ADDRESS, Body, ObjectType, Request, Service
from .values import TEXT_ENCODING

BLOCK_SIZE = 512
MAX_RETRIES = 3
MAX_SIZE = 16 * 1024 * 1024
FIELD_LIMIT = 230
_NAME = re.compile(r"[A-Z]{2}\d{6}\.CSV", re.IGNORECASE)


class FileObject(IntEnum):
    """What is transferred."""

    DIRECTORY = 1
    FILE = 2


class FileProperty(IntEnum):
    """Steps of a transfer."""

    INVALID = 0x00
    START = 0x21
    BLOCK = 0x22
    CONTINUE = 0x23
    RETRY = 0x24
    ABORT = 0x25
    FINISH = 0x26


class Transfer:
    """One directory or file, block by block.

    Ask :attr:`request`, hand the answer to :meth:`receive` until :attr:`done`. :meth:`lost`
    asks for the block again. Only READ requests are ever made.
    """

    def __init__(self, name: str | None = None, source: int = OUR_ADDRESS) -> None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a log file, such as LG240131.CSV")
        self._object = FileObject.DIRECTORY if name is None else FileObject.FILE
        self._source = source
        self._blocks: list[bytes] = []
        self._size = 0
        self._retries = 0
        self._asked_again = False
        """Whether a block was asked for twice: then one may come twice, now or later."""
        self.done = False
        start = b"" if name is None else name.upper().encode("ascii") + b"\n"
        self.request = self._ask(FileProperty.START, start)

    @property
    def content(self) -> bytes:
        """What has arrived so far."""
        return b"".join(self._blocks)

    def receive(self, body: Body) -> None:
        """Take an answer that is not an error. Raises :class:`ValueError` out of step."""
        if body.property_id == FileProperty.BLOCK and self._is_repeated(body.data):
            self._skip()
            return
        self._retries = 0
        self._blocks.append(body.data)
        self._size += len(body.data)
        if body.property_id == FileProperty.FINISH:
            self.done = True
        elif body.property_id != FileProperty.BLOCK:
            raise ValueError(f"property {body.property_id:#x} is no step of a file transfer")
        elif self._size > MAX_SIZE:
            raise ValueError("the file does not end")
        else:
            self.request = self._ask(FileProperty.CONTINUE)

    def _is_repeated(self, data: bytes) -> bool:
        """Whether this is the block before, once more; each line of a log has its own time."""
        return self._asked_again and self._blocks[-1:] == [data]

    def _skip(self) -> None:
        """Leave out a block that is there already. Raises :class:`ValueError` when it was often so.

        Asked to repeat, the gateway repeats what it sent last: our request to go on was lost. Asked
        to go on, it had answered late, and what was asked for twice comes twice; the next block is
        on its way.
        """
        self._retries += 1
        if self._retries > MAX_RETRIES:
            raise ValueError("the gateway sends one block again and again")
        going_on = self.request.property_id == FileProperty.RETRY
        self.request = self._ask(FileProperty.CONTINUE if going_on else FileProperty.RETRY)

    def lost(self) -> bool:
        """Ask for the same block again; false when that was done often enough."""
        self._retries += 1
        if self._retries > MAX_RETRIES:
            return False
        if self._blocks:
            self.request = self._ask(FileProperty.RETRY)
        self._asked_again = True
        return True

    def abort(self) -> Request:
        """Return the request that ends the transfer."""
        return self._ask(FileProperty.ABORT)

    def _ask(self, step: FileProperty, data: bytes = b"") -> Request:
        return Request(
            GATEWAY_ADDRESS,
            Service.READ,
            ObjectType.FILE_TRANSFER,
            self._object,
            step,
            data,
            self._source,
        )


def file_names(directory: bytes) -> tuple[str, ...]:
    """Return the names in a directory listing."""
    text = directory.decode(TEXT_ENCODING)
    return tuple(name for line in text.split("\n") if (name := line.strip()))


def custom_field(text: str) -> Request:
    """Return the request that writes the custom field of today's log.

    Raises :class:`ValueError` when *text* is longer than 230 bytes. Its object id is not
    documented; 0 is inferred.
    """
    data = text.encode(TEXT_ENCODING)
    if len(data) > FIELD_LIMIT:
        raise ValueError(f"the text has {len(data)} bytes, at most {FIELD_LIMIT} are sent")
    return Request(GATEWAY_ADDRESS, Service.WRITE, ObjectType.DATALOG_FIELD, 0, 1, data)
