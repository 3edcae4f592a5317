"""How the command line prints: one JSON object a line, plain text for people on stderr."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STOPPED = 130
"""The exit code when the user has stopped it, whatever it could say before."""


class Output(io.FileIO):
    """Standard output, which ends the program as Ctrl-C does when nobody reads it any longer.

    No exception is raised where something prints: an engine would take it for its own trouble.
    """

    unread = False
    """Whether what read it has gone: ``| head`` had enough."""
    at_the_end = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or lose what nobody reads."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.unread = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not self.at_the_end:
                signal.raise_signal(signal.SIGTERM)
            return memoryview(data).nbytes


@contextlib.contextmanager
def watched_output() -> Iterator[Output]:
    """Watch standard output for the length of a block, and flush it at its end."""
    before = sys.stdout
    output = Output(before.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        before.encoding,
        before.errors,
        line_buffering=bool(before.line_buffering),
    )
    try:
        yield output
    finally:
        output.at_the_end = True
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        sys.stdout = before


def emit(record: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one record as one line of JSON."""
    import json  # noqa: PLC0415 - not for what only tells something

    from hardwired_engines.plain import plain  # noqa: PLC0415

    stream = stream or sys.stdout
    json.dump(plain(record), stream, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    stream.write("\n")


def read_whole(file: str) -> bytes:
    """Return the content of a file, or of standard input (``-``). Raises :class:`ValueError`."""
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    if not content.strip():
        raise empty(file)
    return content


def empty(file: str) -> ValueError:
    """Return the error of a file without content."""
    return ValueError(f"{file}: the file is empty")


def tell(text: str) -> None:
    """Say something to the person at the terminal, if there is one."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr)


def answer(text: str) -> None:
    """Print what was asked for, as a text: on standard output, for programs too."""
    print(text)


def trouble_teller(address: str) -> Callable[[Exception | None], None]:
    """Return what tells, once, that a server fails or answers again."""
    failed = False

    def tell_trouble(error: Exception | None) -> None:
        nonlocal failed
        if error is not None and not failed:
            tell(f"{address} does not answer: {error}; trying again until it does")
        elif error is None and failed:
            tell(f"{address} answers")
        failed = error is not None

    return tell_trouble
