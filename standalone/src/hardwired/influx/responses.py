"""InfluxDB 1, 2 and 3: where to write, and what an answer means (spec sunsynk f.2, g.5).

An outage is waited out; a configuration error is told to the user and never hammered at; data
that the server refuses must not hold up the rest.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from socket import gaierror
from types import MappingProxyType
from urllib.parse import quote, urlencode

from .answers import Failure, first_line, is_influx, seconds_to_wait

PROBE_INTERVAL = 300.0
"""Seconds between probes while a configuration error stands."""
DNS_HINT_AFTER = 300.0
"""Seconds after which a name that is not found is told to the user, too."""


def _none() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WriteTarget:
    """Where lines are posted, and where the server says that it is well."""

    url: str
    health_url: str
    headers: Mapping[str, str] = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class InfluxTarget:
    """A database. Version 1 takes ``database``, 2 ``org`` and ``bucket``, 3 ``database``."""

    version: int
    host: str
    org: str | None = None
    bucket: str | None = None
    token: str | None = field(default=None, repr=False)
    database: str | None = None
    retention_policy: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def write_target(self) -> WriteTarget:
        """Return the URLs and headers of the version (spec g.5)."""
        host = self.host.rstrip("/")
        match self.version:
            case 1:
                path, health = "/write", "/ping"
                query = {"db": self.database, "rp": self.retention_policy, "precision": "ns"}
            case 2:
                path, health = "/api/v2/write", "/health"
                query = {"org": self.org, "bucket": self.bucket, "precision": "ns"}
            case 3:
                path, health = "/api/v3/write_lp", "/health"
                query = {"db": self.database, "precision": "nanosecond"}
            case _:
                raise ValueError(f"there is no version {self.version}")
        told = {key: value for key, value in query.items() if value is not None}
        return WriteTarget(
            f"{host}{path}?{urlencode(told, quote_via=quote, safe='')}",
            f"{host}{health}",
            MappingProxyType(self._headers()),
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self.version == 1 and self.username:
            login = f"{self.username}:{self.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode('ascii')}"
        elif self.version != 1 and self.token:
            scheme = "Token" if self.version == 2 else "Bearer"
            headers["Authorization"] = f"{scheme} {self.token}"
        return headers


class Action(StrEnum):
    """What to do after an attempt to write."""

    DONE = "done"
    RETRY = "retry"
    """Keep the batch, wait 1, 2, 4 ... 60 s."""
    RETRY_AFTER = "retry_after"
    """The same, but for as long as the server asks for."""
    CONFIG_ERROR = "config_error"
    """Stop writing, keep buffering, tell the user, probe every :data:`PROBE_INTERVAL`."""
    DROP_BATCH = "drop_batch"
    """The same bytes fail again: send the points singly, once; drop those that are refused."""
    SPLIT_BATCH = "split_batch"
    """Halve the batch; a single point is dropped."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An action, why, for how many seconds the server asks us to wait, when to tell the user."""

    action: Action
    why: str = ""
    wait: float | None = None
    tell_after: float | None = None


def classify(
    status: int, body: str = "", *, retry_after: str | None = None, now: datetime | None = None
) -> Verdict:
    """Return what an HTTP answer means.

    *retry_after* is the header's text; *now* (aware) is needed where it holds a date.
    """
    said = first_line(body)
    match status:
        case _ if 200 <= status < 300:
            verdict = Verdict(Action.DONE)
        case 400 | 422:
            verdict = Verdict(Action.DROP_BATCH, said or "the server refuses the data")
        case 413:
            verdict = Verdict(Action.SPLIT_BATCH, said or "the batch is too big")
        case 429 | 503:
            verdict = Verdict(Action.RETRY_AFTER, said, seconds_to_wait(retry_after, now))
        case 404 if not is_influx(body):
            verdict = Verdict(Action.CONFIG_ERROR, "this is not InfluxDB, or of another version")
        case 401 | 403:
            verdict = Verdict(Action.CONFIG_ERROR, said or "token, user or right to write refused")
        case _ if 300 <= status < 400:
            verdict = Verdict(Action.CONFIG_ERROR, "the server points to another address")
        case _ if 400 <= status < 500 and status not in (408, 425):
            verdict = Verdict(Action.CONFIG_ERROR, said or f"the server answers {status}")
        case _:
            verdict = Verdict(Action.RETRY, said or f"the server answers {status}")
    return verdict


def classify_failure(failure: Failure) -> Verdict:
    """Return what a failed attempt means."""
    match failure:
        case Failure.CERTIFICATE:
            return Verdict(Action.CONFIG_ERROR, failure.value)
        case Failure.NAME_NOT_FOUND:
            return Verdict(Action.RETRY, failure.value, tell_after=DNS_HINT_AFTER)
        case _:
            return Verdict(Action.RETRY, failure.value)


def failure_of(error: BaseException) -> Failure:
    """Return the failure behind an exception of a client; its causes are looked at, too."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        match found:
            case ssl.SSLCertVerificationError() | ssl.CertificateError():
                return Failure.CERTIFICATE
            case gaierror():
                return Failure.NAME_NOT_FOUND
            case ConnectionRefusedError():
                return Failure.REFUSED
            case TimeoutError():
                return Failure.TIMEOUT
            case ConnectionError() | EOFError():
                return Failure.CLOSED
        wrapped = getattr(found, "os_error", None)
        found = wrapped if isinstance(wrapped, BaseException) else found.__cause__
    return Failure.NO_ROUTE if isinstance(error, OSError) else Failure.CLOSED
