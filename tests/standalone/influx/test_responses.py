"""Answers of InfluxDB and failures on the way: what the vectors do not show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from hardwired.bridge.sink import SinkState
from hardwired.config.secrets import Secret
from hardwired.influx import pipeline
from hardwired.influx.answers import (
    Answer,
    Class,
    Failure,
    failure_of,
    first_line,
    read_answer,
    read_failure,
    seconds_to_wait,
)
from hardwired.influx.http import HttpSender
from hardwired.influx.target import Target, target_of
from hardwired.influx.worker import ThreadWorker
from hardwired_engines.clock import SystemClock
from hardwired_engines.storage import MemoryStorage
from tests.standalone.bridge.servers import stand_in

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE = ("org", "bucket", "token", "database", "retention_policy", "username", "password")


def target(version: int, url: str, **told: Any) -> Target:
    usual = {"ca_file": None, "verify": "full", "timeout": 30.0, "gzip": True}
    return target_of({**dict.fromkeys(NONE), **usual, "version": version, "url": url, **told})


@pytest.mark.parametrize(
    "asked, seconds",
    [("30", 30), (" 0 ", 0), ("999999999999", 3600), (None, None), ("", None), ("soon", None),
     ("-5", None), ("Thu, 01 Jan 2026 12:00:20 GMT", 20), ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
     ("Thu, 99 Jan 2026 11:00:00 GMT", None), ("²", None), ("9" * 6000, 3600)],
)  # fmt: skip
def test_retry_after(asked: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(asked, NOW) == seconds


def test_date_without_a_clock_says_nothing() -> None:
    assert seconds_to_wait("Thu, 01 Jan 2026 12:00:20 GMT") is None


def test_404_tells_influx_from_something_else() -> None:
    assert (
        "bucket"
        in read_answer(404, '{"code":"not found","message":"bucket \\"b\\" not found"}').why
    )
    assert "not InfluxDB" in read_answer(404, "<html>404</html>").why
    assert "database" in read_answer(404, '{"error":"database not found: \\"d\\""}').why


def test_first_line_is_short_and_printable() -> None:
    assert first_line("\n\n partial write: x\x07 \nsecond") == "partial write: x"
    assert len(first_line("x" * 1000)) == 200
    assert first_line("[" * 100000)[:3] == "[[["
    assert first_line("") == ""


async def test_a_real_refusal() -> None:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match=r".") as caught:
            await asyncio.open_connection("127.0.0.1", port)
    assert failure_of(caught.value) is Failure.REFUSED


def test_names_are_quoted_in_urls_and_secrets_stay_out_of_repr() -> None:
    made = target(2, "https://h/ä b/%20x/", org="a&b c", bucket="ü/=", token=Secret("geheim"))
    base = "/%C3%A4%20b/%20x"
    assert made.write == f"{base}/api/v2/write?org=a%26b%20c&bucket=%C3%BC%2F%3D&precision=ns"
    assert made.alive == f"{base}/health"
    assert "geheim" not in repr(made)


def test_version_1_without_login_or_policy() -> None:
    made = target(1, "http://h:8086", database="d")
    assert made.write == "/write?db=d&precision=ns"
    assert made.alive == "/ping"
    assert "Authorization" not in made.headers
    assert "Authorization" not in target(3, "http://h", database="d").headers


def test_a_login_may_have_any_letters() -> None:
    with stand_in() as server:
        sender = HttpSender(target(2, f"http://127.0.0.1:{server.port}", token=Secret("tök€")))
        assert sender.post(["a b=1 1"]).cls is Class.STORED
        sender.close()
    [(_, headers)] = server.requests
    assert headers["Authorization"].encode("latin-1").decode() == "Token tök€"


class Dripping:
    """A server that answers, but never to the end: until somebody ends it from outside."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.posts = 0

    def post(self, lines: list[str]) -> Answer:
        self.posts += 1
        self.ended.wait()
        self.ended.clear()
        return read_failure(Failure.CLOSED)

    def abort(self) -> None:
        self.ended.set()

    def close(self) -> None:
        """Nothing to close."""


async def test_an_answer_without_end_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "CONNECT_SLACK", 0.01)
    sender = Dripping()
    made = pipeline.Pipeline(
        "x",
        pipeline.Plan(mode="memory", flush=0, timeout=0.01),
        sender,
        SystemClock(),
        store=MemoryStorage(),
        spool_worker=ThreadWorker("spool"),
        send_worker=ThreadWorker("sender"),
    )
    running = asyncio.create_task(made.run())
    made.offer("a b=1 1")
    async with asyncio.timeout(60):
        while made.state is not SinkState.OUTAGE:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    await made.stop()


EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        pytest.param(EARLY, Class.TOO_BIG, id="before it has read all"),
        pytest.param(b"", Class.OUTAGE, id="nothing"),
        pytest.param(b"\x00\xff garbage\r\n\r\n", Class.OUTAGE, id="no HTTP"),
        pytest.param(b"HTTP/1.1 204 No\r\n" + b"X: a\r\n" * 300, Class.OUTAGE, id="many headers"),
        pytest.param(b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nabc", Class.OUTAGE, id="cut off"),
    ],
)
def test_a_server_that_says_something_and_closes(answer: bytes, cls: Class) -> None:
    """What it says is read also when it does not take all that is sent: a limit must be found."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(60)

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(1000)
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                done.wait(60)

        done = threading.Event()
        serving = threading.Thread(target=serve)
        serving.start()
        where = f"http://127.0.0.1:{listening.getsockname()[1]}"
        sender = HttpSender(target(1, where, database="d", gzip=False, timeout=1.0))
        big = answer is EARLY
        found = sender.post(["measurement value=1 1"] * (500_000 if big else 1))
        done.set()
        serving.join()
        sender.close()
    assert found.cls is cls
