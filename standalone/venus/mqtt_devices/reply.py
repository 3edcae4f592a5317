"""The reply to a registration (spec B.2)."""

from __future__ import annotations

import json
from typing import Iterable, Mapping


def topic_path(letter: str, portal_id: str, kind: str, instance: int) -> str:
    """Return the gateway's topic of a service: ``letter`` is N, R or W."""
    return f"{letter}/{portal_id}/{kind}/{instance}"


def reply(
    portal_id: str,
    services: Iterable[tuple[str, str, int]],
    extensions: bool = False,
    errors: Mapping[str, str] | None = None,
) -> str:
    """Return the payload for ``device/<client id>/DBus``.

    ``services`` are service id, type and instance, in the order of the registration.
    """
    instances: dict[str, int] = {}
    paths: dict[str, dict[str, str]] = {}
    for service_id, kind, instance in services:
        instances[service_id] = instance
        paths[service_id] = {it: topic_path(it, portal_id, kind, instance) for it in "NRW"}
    message: dict[str, object] = {
        "portalId": portal_id,
        "deviceInstance": instances,
        "topicPath": paths,
    }
    if extensions:
        message["extensions"] = 1
    if errors:
        message["errors"] = dict(errors)
    return json.dumps(message)


def legacy_reply(services: Iterable[tuple[str, str, int]]) -> str:
    """Return the payload of old firmware's ``device/<client id>/DeviceInstance``."""
    return json.dumps({service_id: instance for service_id, _, instance in services})
