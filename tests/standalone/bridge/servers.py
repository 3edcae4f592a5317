"""Real servers for the tests: InfluxDB, VictoriaMetrics with vmauth; and a stand-in by rules."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.ports import free_port


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Program:
    """A program that listens on a port."""

    def __init__(self, arguments: list[str], port: int, log: Path) -> None:
        self._arguments = arguments
        self.port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]
            time.sleep(0.05)
        raise AssertionError(self._log.read_text(errors="replace")[-3000:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def stop(self) -> None:
        """End it in order: it writes what it has in memory."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {auth}
log-enabled = false
max-body-size = {body}
"""


class Influx(Program):
    """InfluxDB 1 from Debian."""

    def __init__(self, folder: Path, *, auth: bool = False, body: int = 25_000_000) -> None:
        program = needs("influxd")
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "influx.conf"
        config.write_text(
            INFLUX.format(
                rpc=free_port(), folder=folder, port=port, auth=str(auth).lower(), body=body
            )
        )
        super().__init__([program, "-config", str(config)], port, folder / "log")

    def query(self, text: str, **more: str) -> dict[str, Any]:
        path = f"/query?{urlencode({'q': text, 'epoch': 'ns', **more}, quote_via=quote)}"
        status, body = ask(self.port, "POST", path)
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def count(self, field_name: str, measurement: str = "m", database: str = "db") -> int:
        found = self.query(f'SELECT count("{field_name}") FROM "{measurement}"', db=database)
        series = found["results"][0].get("series")
        return int(series[0]["values"][0][1]) if series else 0

    def rows(self, measurement: str = "m", database: str = "db") -> list[dict[str, Any]]:
        found = self.query(f'SELECT * FROM "{measurement}"', db=database)
        series = found["results"][0].get("series", [])
        return [
            dict(zip(one["columns"], values, strict=True))
            for one in series
            for values in one["values"]
        ]


class Victoria(Program):
    """VictoriaMetrics; :func:`vmauth` stands before it."""

    def __init__(self, folder: Path) -> None:
        program = needs("victoria-metrics")
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            program,
            f"-storageDataPath={folder}/data",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
        ]
        super().__init__(arguments, port, folder / "log")

    def series(self, name: str) -> list[dict[str, Any]]:
        ask(self.port, "GET", "/internal/force_flush")
        match = quote(f'{{__name__="{name}"}}')
        status, body = ask(self.port, "GET", f"/api/v1/export?match[]={match}")
        assert status == 200
        return [json.loads(line) for line in body.splitlines()]


class Vmauth(Program):
    """vmauth: Bearer token in front of VictoriaMetrics."""

    def __init__(self, folder: Path, behind: int, token: str) -> None:
        program = needs("vmauth")
        port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "auth.yml"
        config.write_text(
            f'users:\n- bearer_token: "{token}"\n  url_prefix: "http://127.0.0.1:{behind}"\n'
        )
        arguments = [program, f"-auth.config={config}", f"-httpListenAddr=127.0.0.1:{port}"]
        super().__init__(arguments, port, folder / "log")


@dataclass
class StandIn:
    """A server that answers as a rule says; keeps the lines that it has stored."""

    rule: Callable[[list[str]], tuple[int, str, dict[str, str]]] = lambda _lines: (204, "", {})
    lines: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0


@contextlib.contextmanager
def stand_in(certificate: tuple[str, str] | None = None) -> Iterator[StandIn]:
    """Yield a stand-in; with *certificate* (its file, the key's) over TLS."""
    server = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            lines = body.decode().splitlines()
            server.requests.append((self.path, dict(self.headers.items())))
            status, text, headers = server.rule(lines)
            if status < 300:
                server.lines += lines
            data = text.encode()
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler, certificate) as port:
        server.port = port
        yield server


@dataclass
class SupervisorStandIn:
    """Home Assistant's Supervisor: tells a broker, takes offers; keeps what it was asked."""

    TOKEN = "tok"
    UUID = "1234"

    broker: dict[str, Any]
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def supervisor_stand_in(**broker: Any) -> Iterator[SupervisorStandIn]:
    """Yield a Supervisor that knows a *broker* (host, port, username, password)."""
    told = SupervisorStandIn(broker)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.asked.append((self.command, self.path, json.loads(body) if body else None))
            known = self.headers["Authorization"] == f"Bearer {told.TOKEN}"
            mqtt = self.path == "/services/mqtt"
            data = told.broker if mqtt else {"uuid": told.UUID}
            content = json.dumps({"result": "ok", "data": data} if known else {}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the base class names them

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler) as port:
        told.url = f"http://127.0.0.1:{port}"
        yield told


@contextlib.contextmanager
def _serving(
    handler: type[BaseHTTPRequestHandler], certificate: tuple[str, str] | None = None
) -> Iterator[int]:
    """Serve on a free port, which is yielded."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield http.server_address[1]
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
