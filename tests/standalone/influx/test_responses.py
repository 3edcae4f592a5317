"""Answers of InfluxDB and failures on the way: what the vectors do not show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from hardwired.influx.responses import (
    Action,
    Failure,
    InfluxTarget,
    classify,
    failure_of,
    first_line,
    seconds_to_wait,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.integers(-1, 1000), st.text(max_size=50), st.text(max_size=12) | st.none())
def test_every_answer_has_an_action(status: int, body: str, retry_after: str | None) -> None:
    verdict = classify(status, body, retry_after=retry_after, now=NOW)
    assert isinstance(verdict.action, Action)
    assert verdict.wait is None or 0 <= verdict.wait <= 3600


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
        "bucket" in classify(404, '{"code":"not found","message":"bucket \\"b\\" not found"}').why
    )
    assert "not InfluxDB" in classify(404, "<html>404</html>").why
    assert "database" in classify(404, '{"error":"database not found: \\"d\\""}').why


def test_first_line_is_short_and_printable() -> None:
    assert first_line("\n\n partial write: x\x07 \nsecond") == "partial write: x"
    assert len(first_line("x" * 1000)) == 200
    assert first_line("[" * 100000)[:3] == "[[["
    assert first_line("") == ""


def chained(inner: BaseException) -> BaseException:
    outer = RuntimeError("client error")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error, failure",
    [
        (ConnectionRefusedError(), Failure.REFUSED),
        (chained(ConnectionRefusedError()), Failure.REFUSED),
        (TimeoutError(), Failure.TIMEOUT),
        (socket.gaierror(-2, "x"), Failure.NAME_NOT_FOUND),
        (OSError(113, "No route to host"), Failure.NO_ROUTE),
        (ssl.SSLCertVerificationError(), Failure.CERTIFICATE),
        (ConnectionResetError(), Failure.CLOSED),
        (BrokenPipeError(), Failure.CLOSED),
        (EOFError(), Failure.CLOSED),
        (RuntimeError(), Failure.CLOSED),
    ],
)
def test_failures_by_exception(error: BaseException, failure: Failure) -> None:
    assert failure_of(error) is failure


async def test_a_real_refusal() -> None:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match=r".") as caught:
            await asyncio.open_connection("127.0.0.1", port)
    assert failure_of(caught.value) is Failure.REFUSED


def test_names_are_quoted_in_urls_and_secrets_stay_out_of_repr() -> None:
    target = InfluxTarget(2, "https://h/influx/", org="a&b c", bucket="ü/=", token="geheim")
    written = target.write_target()
    assert (
        written.url
        == "https://h/influx/api/v2/write?org=a%26b%20c&bucket=%C3%BC%2F%3D&precision=ns"
    )
    assert written.health_url == "https://h/influx/health"
    assert "geheim" not in repr(target)


def test_version_1_without_login_or_policy() -> None:
    written = InfluxTarget(1, "http://h:8086", database="d").write_target()
    assert written.url == "http://h:8086/write?db=d&precision=ns"
    assert written.health_url == "http://h:8086/ping"
    assert "Authorization" not in written.headers
    assert (
        "Authorization"
        not in InfluxTarget(3, "http://h", database="d", token="").write_target().headers
    )
