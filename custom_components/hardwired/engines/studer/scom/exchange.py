"""The dialogue without I/O: one open request, its answer found in the stream (spec c.1, c.2).

Bytes and the passing of time go in; replies come out. :mod:`.line` puts it on a link.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from .errors import ErrorCode, error_name
from .frame import Body, Frame, Request, Service
from .matching import Rejection, mismatch
from .parser import Parser
from .values import Format, FormatError, WireValue, decode


class ReplyKind(StrEnum):
    """How an exchange ended."""

    VALUE = "value"
    WRITTEN = "written"
    ERROR = "error"
    TIMEOUT = "timeout"
    BAD_ANSWER = "bad_answer"
    """It was the answer, but not in the format that the table says."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of an exchange. ``value`` is set for a VALUE read in a known format."""

    kind: ReplyKind
    request: Request
    body: Body | None = None
    value: WireValue | None = None
    flags: int | None = None
    """Frame flags of the answer; ``None`` when there was none."""

    @property
    def error(self) -> int | None:
        """The error code of an ERROR."""
        return self.body.error_code if self.body and self.kind is ReplyKind.ERROR else None

    @property
    def data(self) -> bytes:
        """The property data of the answer."""
        return self.body.data if self.body else b""

    @property
    def is_unclear(self) -> bool:
        """Whether what was asked for may have been done, and may not."""
        return self.kind in (ReplyKind.TIMEOUT, ReplyKind.BAD_ANSWER) or self.error in (
            ErrorCode.RESPONSE_TIMEOUT,
            ErrorCode.INVALID_FRAME,
        )

    def __str__(self) -> str:
        if self.error is not None:
            return f"error {self.error:#06x} {error_name(self.error)}"
        return self.kind.value


class Exchange:
    """One request at a time, matched against every frame that the parser delivers."""

    def __init__(self) -> None:
        self.parser = Parser()
        self.rejections: Counter[Rejection] = Counter()
        self._request: Request | None = None
        self._format: Format | None = None
        self._rejected = 0

    def ask(self, request: Request, wire_format: Format | None = None) -> bytes:
        """Open a request; return the bytes to send. The one before must have ended."""
        if self._request is not None:
            raise RuntimeError("a request is open")
        self._request = request
        self._format = wire_format
        return request.encode()

    def give_up(self) -> Reply:
        """Give up: the time-out has passed."""
        request = self._request
        if request is None:
            raise RuntimeError("no request is open")
        self._request = None
        return Reply(ReplyKind.TIMEOUT, request)

    def abandon(self) -> None:
        """Forget the open request: the caller was cancelled."""
        self._request = None

    def receive_data(self, data: bytes) -> tuple[list[Frame], Reply | None]:
        """Take bytes; return the frames in them and the reply, when they hold it."""
        return self._match(self.parser.receive_data(data))

    def idle(self) -> tuple[list[Frame], Reply | None]:
        """The line fell silent with an incomplete frame pending."""
        return self._match(self.parser.flush())

    @property
    def dropped(self) -> tuple[int, ...]:
        """What :meth:`drops` returns has changed when this has."""
        counters = self.parser.counters
        return (
            counters.bytes_discarded, counters.header_errors, counters.length_errors,
            counters.data_errors, self._rejected,
        )  # fmt: skip

    def drops(self) -> Counter[str]:
        """Return what was thrown away so far: bytes, errors and frames by reason."""
        counters = self.parser.counters
        drops = Counter({reason.value: count for reason, count in self.rejections.items()})
        drops["bytes_discarded"] = counters.bytes_discarded
        drops["header_errors"] = counters.header_errors
        drops["length_errors"] = counters.length_errors
        drops["data_errors"] = counters.data_errors
        return drops

    def _match(self, frames: list[Frame]) -> tuple[list[Frame], Reply | None]:
        reply: Reply | None = None
        for frame in frames:
            request = self._request
            if request is None:
                self._reject(Rejection.UNSOLICITED)
                continue
            body = frame.body()
            rejection = mismatch(request, frame, self._format, body)
            if rejection is not None:
                self._reject(rejection)
            if body is not None and rejection in (None, Rejection.BAD_LENGTH):
                reply = self._reply(request, frame, body, rejection)
                self._request = None
        return frames, reply

    def _reject(self, reason: Rejection) -> None:
        self.rejections[reason] += 1
        self._rejected += 1

    def _reply(
        self, request: Request, frame: Frame, body: Body, rejection: Rejection | None
    ) -> Reply:
        if rejection is not None:
            return Reply(ReplyKind.BAD_ANSWER, request, body, flags=frame.flags)
        if body.is_error:
            return Reply(ReplyKind.ERROR, request, body, flags=frame.flags)
        if request.service == Service.WRITE:
            return Reply(ReplyKind.WRITTEN, request, body, flags=frame.flags)
        if self._format is None:
            return Reply(ReplyKind.VALUE, request, body, flags=frame.flags)
        try:
            value = decode(self._format, body.data)
        except FormatError:
            return Reply(ReplyKind.BAD_ANSWER, request, body, flags=frame.flags)
        return Reply(ReplyKind.VALUE, request, body, value, frame.flags)
