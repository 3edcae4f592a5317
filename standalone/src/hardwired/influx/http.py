"""The connection to an InfluxDB server; lives in the sender's thread (spec e.1)."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
)

from .answers import LARGEST_BODY, Answer, failure_of, read_answer, read_failure
from .target import Target

CONNECT_TIMEOUT = 10.0
SMALLEST_ZIPPED = 1024
SAID_ALREADY = 1.0
"""Seconds for an answer to come that was given before all was sent."""


class HttpSender:
    """Posts bodies, one at a time, over one connection that is kept alive.

    *now* is the wall clock. All methods but :meth:`abort` are called from one thread.
    """

    def __init__(self, target: Target, now: Callable[[], datetime] | None = None) -> None:
        self._target = target
        self._now = now or (lambda: datetime.now(UTC))
        self._connection: HTTPConnection | None = None

    def post(self, lines: list[str]) -> Answer:
        """Write *lines*; none is a look whether the server would take some. Never raises."""
        body = "\n".join(lines).encode()
        headers = self._headers()
        if self._target.gzip and len(body) >= SMALLEST_ZIPPED:
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = b"gzip"
        try:
            response, text = self._ask("POST", self._target.write, body, headers)
        except (OSError, HTTPException, EOFError, ValueError) as error:
            self.close()
            return read_failure(failure_of(error))
        return read_answer(
            response.status,
            text,
            retry_after=response.getheader("Retry-After"),
            now=self._now(),
        )

    def alive(self) -> str | None:
        """Return what is wrong with the server, by its path for that; ``None``: nothing."""
        try:
            response, text = self._ask("GET", self._target.alive, b"", self._headers())
        except (OSError, HTTPException, EOFError, ValueError) as error:
            self.close()
            return failure_of(error).value
        answer = read_answer(response.status, text)
        return None if response.status < 300 else answer.why

    def _headers(self) -> dict[str, bytes]:
        # As UTF-8: the library would refuse a login with letters that Latin-1 has not.
        return {name: told.encode() for name, told in self._target.headers.items()}

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """End what hangs in the sender's thread; called from another."""
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, bytes]
    ) -> tuple[HTTPResponse, str]:
        used = self._connection is not None
        try:
            return self._once(method, path, body, headers)
        except (ConnectionError, HTTPException):
            # The server has closed a connection that was kept: that is no failure of its own.
            self.close()
            if not used:
                raise
        return self._once(method, path, body, headers)

    def _once(
        self, method: str, path: str, body: bytes, headers: dict[str, bytes]
    ) -> tuple[HTTPResponse, str]:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._new_connection()
            connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(self._target.timeout)
        refused: OSError | None = None
        try:
            connection.request(method, path, body=body, headers=headers)
        except (ConnectionError, TimeoutError) as error:
            # Who finds a body too long may say so before all of it has come, and take no more.
            refused = error
            if connection.sock is not None:
                connection.sock.settimeout(SAID_ALREADY)
        try:
            response = connection.getresponse()
        except (OSError, HTTPException):
            if refused is not None:
                raise refused from None
            raise
        data = response.read(LARGEST_BODY)
        if not response.isclosed():
            self.close()
        return response, data.decode("utf-8", "replace")

    def _new_connection(self) -> HTTPConnection:
        target = self._target
        if target.scheme != "https":
            return HTTPConnection(target.host, target.port, timeout=CONNECT_TIMEOUT)
        context = ssl.create_default_context(cafile=target.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if target.verify != "full":
            context.check_hostname = False
        if target.verify == "none":
            context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection(target.host, target.port, timeout=CONNECT_TIMEOUT, context=context)
