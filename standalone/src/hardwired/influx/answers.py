"""What an answer of an InfluxDB server, or its absence, means (spec e.4)."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.client import HTTPException
from socket import gaierror
from typing import Any

LARGEST_BODY = 65536
LONGEST_RETRY_AFTER = 3600.0
NAME_TOLD_AFTER = 300.0
"""Seconds after which a name that is not found is a notice as well."""
NOT_INFLUX = "this is not InfluxDB, or of another version"
REDIRECTED = "the server points to another address"

_CONFIGURATION = (
    "database is required",
    "retention policy not found",
    "database not found",
    "bucket not found",
    "organization name",
    "cannot find the provided auth token",
    "unsupported path requested",
    "authorization failed",
    "unauthorized",
    "not authorized",
)
_TOO_OLD = (
    "beyond retention policy",
    "outside retention policy",
    "outside the retention",
    "older than the retention",
    "time is too old",
)
_PARTIAL = "partial write"
_DROPPED = re.compile(r"dropped=(\d{1,9})")
_UNPARSED = "unable to parse"


class Class(StrEnum):
    """What is to be done after an attempt."""

    STORED = "stored"
    OUTAGE = "outage"
    """Keep everything, try again."""
    CONFIGURATION = "configuration"
    """Keep everything, tell the owner, look again now and then."""
    TOO_BIG = "too_big"
    PARTIAL = "partial"
    """All but ``refused`` points are stored."""
    TOO_OLD = "too_old"
    """The same; the others are older than what the server keeps."""
    REFUSED = "refused"
    """The server does not take these bytes; which point is at fault is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A class and why. ``wait``: seconds that the server asks for; ``tell_after``: see there.

    ``refused`` counts the points that were not taken; ``None``: not told.
    """

    cls: Class
    why: str = ""
    wait: float | None = None
    tell_after: float | None = None
    refused: int | None = None


class Failure(StrEnum):
    """How an attempt ended before there was an answer."""

    REFUSED = "connection refused"
    TIMEOUT = "timeout"
    NO_ROUTE = "no route to host"
    NAME_NOT_FOUND = "name not found"
    CERTIFICATE = "TLS certificate invalid"
    CLOSED = "connection closed early"


def read_answer(
    status: int, body: str = "", *, retry_after: str | None = None, now: datetime | None = None
) -> Answer:
    """Return what an HTTP answer means; *now* (aware) is needed for a ``Retry-After`` by date."""
    if 200 <= status < 300:
        return Answer(Class.STORED)
    said = first_line(body)
    why = said or f"the server answers {status}"
    match status:
        case 400 | 422 | 500:
            answer = _of_data(status, body, why)
        case 413:
            answer = Answer(Class.TOO_BIG, why)
        case 429 | 503:
            answer = Answer(Class.OUTAGE, why, seconds_to_wait(retry_after, now))
        case _ if 300 <= status < 400:
            answer = Answer(Class.CONFIGURATION, REDIRECTED)
        case 404 if not is_influx(body):
            answer = Answer(Class.CONFIGURATION, NOT_INFLUX)
        case 408 | 425:
            answer = Answer(Class.OUTAGE, why)
        case _ if 400 <= status < 500:
            answer = Answer(Class.CONFIGURATION, why)
        case _:
            answer = Answer(Class.OUTAGE, why)
    return answer


def _of_data(status: int, body: str, why: str) -> Answer:
    lower = body.lower()
    partial = _PARTIAL in lower
    if not partial and any(text in lower for text in _CONFIGURATION):
        return Answer(Class.CONFIGURATION, why)
    if status == 500:
        return Answer(Class.OUTAGE, why)
    count = _refused_of(body, lower) if partial else None
    if any(text in lower for text in _TOO_OLD):
        return Answer(Class.TOO_OLD, why, refused=count)
    if count is not None:
        return Answer(Class.PARTIAL, why, refused=count)
    return Answer(Class.REFUSED, why)


def _refused_of(body: str, lower: str) -> int | None:
    """Return how many points of a partial write were refused."""
    if told := _DROPPED.search(lower):
        # InfluxDB 1 says dropped=0 for lines that it can't parse.
        return int(told[1]) or lower.count(_UNPARSED) or None
    data = (json_object(body) or {}).get("data")
    return len(data) if isinstance(data, list) and data else None


def read_failure(failure: Failure) -> Answer:
    """Return what a failed attempt means."""
    match failure:
        case Failure.CERTIFICATE:
            return Answer(Class.CONFIGURATION, failure.value)
        case Failure.NAME_NOT_FOUND:
            return Answer(Class.OUTAGE, failure.value, tell_after=NAME_TOLD_AFTER)
        case _:
            return Answer(Class.OUTAGE, failure.value)


def failure_of(error: BaseException) -> Failure:
    """Return the failure behind an exception of the client."""
    match error:
        case ssl.SSLCertVerificationError():
            return Failure.CERTIFICATE
        case gaierror():
            return Failure.NAME_NOT_FOUND
        case ConnectionRefusedError():
            return Failure.REFUSED
        case TimeoutError():
            return Failure.TIMEOUT
        case ConnectionError() | EOFError() | HTTPException() | ssl.SSLError():
            return Failure.CLOSED
        case OSError():
            return Failure.NO_ROUTE
        case _:
            return Failure.CLOSED


def seconds_to_wait(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Return what a ``Retry-After`` asks for, at most an hour; ``None`` when it says nothing."""
    asked = (retry_after or "").strip()
    if asked.isascii() and asked.isdecimal():
        return min(float(asked[:9]), LONGEST_RETRY_AFTER)
    if now is None or not asked:
        return None
    try:
        moment = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def first_line(body: str) -> str:
    """Return what a server says in its body, short and printable, for a log."""
    said = body
    if (document := json_object(body)) is not None:
        told = document.get("message") or document.get("error")
        said = told if isinstance(told, str) else body
    line = next((part.strip() for part in said.splitlines() if part.strip()), "")
    return "".join(char for char in line if char.isprintable())[:200]


def json_object(body: str) -> Mapping[str, Any] | None:
    """Return the JSON object in a body, if it is one."""
    try:
        document = json.loads(body[:LARGEST_BODY])
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_influx(body: str) -> bool:
    """Whether a body is an error as InfluxDB writes it."""
    document = json_object(body)
    return document is not None and ("code" in document or "error" in document)
