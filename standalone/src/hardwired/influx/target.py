"""Where lines are posted, per version of InfluxDB (spec e.1)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_OF_A_PATH = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Target:
    """A server. ``write`` and ``alive`` are paths with query, ``headers`` hold the login."""

    scheme: str
    host: str
    port: int
    write: str
    alive: str
    headers: Mapping[str, str] = field(repr=False)
    ca_file: str | None = None
    verify: str = "full"
    timeout: float = 30.0
    gzip: bool = True


def target_of(settings: Mapping[str, Any]) -> Target:
    """Return the target of a sink's table (resolved: secrets are :class:`Secret`)."""
    parts = urlsplit(settings["url"])
    base = quote(parts.path.rstrip("/"), safe=_OF_A_PATH)
    version = settings["version"]
    match version:
        case 1:
            write, alive = "/write", "/ping"
            query = {
                "db": settings["database"],
                "rp": settings["retention_policy"],
                "precision": "ns",
            }
        case 2:
            write, alive = "/api/v2/write", "/health"
            query = {"org": settings["org"], "bucket": settings["bucket"], "precision": "ns"}
        case _:
            write, alive = "/api/v3/write_lp", "/health"
            query = {"db": settings["database"], "precision": "nanosecond"}
    told = {key: value for key, value in query.items() if value is not None}
    return Target(
        scheme=parts.scheme.lower(),
        host=parts.hostname or "localhost",
        port=parts.port or (443 if parts.scheme.lower() == "https" else 80),
        write=f"{base}{write}?{urlencode(told, quote_via=quote, safe='')}",
        alive=f"{base}{alive}",
        headers=MappingProxyType(_headers(version, settings)),
        ca_file=settings["ca_file"],
        verify=settings["verify"],
        timeout=settings["timeout"],
        gzip=settings["gzip"],
    )


def _headers(version: int, settings: Mapping[str, Any]) -> dict[str, str]:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if version == 1 and settings["username"]:
        password = settings["password"].reveal() if settings["password"] else ""
        login = f"{settings['username']}:{password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode('ascii')}"
    elif version != 1 and settings["token"]:
        scheme = "Token" if version == 2 else "Bearer"
        headers["Authorization"] = f"{scheme} {settings['token'].reveal()}"
    return headers
