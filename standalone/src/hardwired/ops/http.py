"""A small HTTP server for ``/health`` and ``/metrics``: loopback, off by default (spec f.3)."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable
from http import HTTPStatus

from .metrics import CONTENT_TYPE

_LOGGER = logging.getLogger(__name__)

LARGEST_HEAD = 8192
SECONDS = 5.0
MOST_CONNECTIONS = 8
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


class Pages:
    """What is served: functions that return the body; ``None`` is not offered."""

    def __init__(
        self,
        health: Callable[[], tuple[bool, str]] | None,
        metrics: Callable[[], str] | None,
    ) -> None:
        self._health = health
        self._metrics = metrics

    def get(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Return status, content type and body of a path."""
        if path == "/health" and self._health is not None:
            well, body = self._health()
            return (HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE), _JSON, body
        if path == "/metrics" and self._metrics is not None:
            return HTTPStatus.OK, CONTENT_TYPE, self._metrics()
        if path == "/":
            offered = [
                name
                for name, page in (("/health", self._health), ("/metrics", self._metrics))
                if page is not None
            ]
            return HTTPStatus.OK, _TEXT, "".join(f"{name}\n" for name in offered)
        return HTTPStatus.NOT_FOUND, _TEXT, "not found\n"


class HttpServer:
    """One request a connection; GET and HEAD."""

    def __init__(self, host: str, port: int, pages: Pages, token: str | None = None) -> None:
        self._host = host
        self._port = port
        self._pages = pages
        self._token = token
        self._open = 0
        self.port: int | None = None
        """The port in use, once it listens."""

    async def run(self) -> None:
        """Serve until cancelled; a port that is taken is tried again."""
        told = False
        while True:
            try:
                server = await asyncio.start_server(
                    self._serve, self._host, self._port, limit=LARGEST_HEAD
                )
            except OSError as error:
                if not told:
                    _LOGGER.error(
                        "can't listen on %s:%d: %s", self._host, self._port, error.strerror or error
                    )
                    told = True
                await asyncio.sleep(10)
                continue
            async with server:
                self.port = server.sockets[0].getsockname()[1]
                _LOGGER.info("listens on %s:%d", self._host, self.port)
                await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(SECONDS):
                if self._open > 2 * MOST_CONNECTIONS:
                    return
                answer = await self._answer_to(reader)
                if self._open > MOST_CONNECTIONS:
                    answer = _answer(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "too many\n")
                writer.write(answer)
                await writer.drain()
        except (TimeoutError, ConnectionError, OSError):
            pass
        except asyncio.CancelledError:
            pass  # the server ends; this task is the connection's own
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _answer_to(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise ConnectionResetError from error
            return _answer(HTTPStatus.BAD_REQUEST, _TEXT, "bad request\n")
        except asyncio.LimitOverrunError:
            return _answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TEXT, "too large\n")
        request, *headers = head.decode("latin-1").split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _answer(HTTPStatus.BAD_REQUEST, _TEXT, "bad request\n")
        method, path, _version = words
        if not self._may(headers):
            return _answer(
                HTTPStatus.UNAUTHORIZED, _TEXT, "unauthorized\n", ("WWW-Authenticate: Bearer",)
            )
        if method not in {"GET", "HEAD"}:
            return _answer(
                HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, "GET or HEAD\n", ("Allow: GET, HEAD",)
            )
        return _answer(*self._pages.get(path), head=method == "HEAD")

    def _may(self, headers: list[str]) -> bool:
        if self._token is None:
            return True
        for line in headers:
            name, _, value = line.partition(":")
            if name.strip().lower() == "authorization":
                given = value.strip()
                return hmac.compare_digest(
                    given.encode("latin-1", "replace"), f"Bearer {self._token}".encode()
                )
        return False


def _answer(
    status: HTTPStatus, kind: str, body: str, more: tuple[str, ...] = (), *, head: bool = False
) -> bytes:
    data = body.encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(data)}",
        "Cache-Control: no-store",
        "Connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else data)
