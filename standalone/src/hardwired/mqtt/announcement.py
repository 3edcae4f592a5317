"""Device messages of Home Assistant's discovery: head, parts, what has gone (spec c.8).

Home Assistant keeps what an earlier message made until a message takes it away by name, so what
was announced is remembered: by topic, the platform of each component.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hardwired_engines.engine import Device

from ..bridge.sink import Publication, Traffic
from .components import Place

Announced: TypeAlias = Mapping[str, Mapping[str, str]]
"""What Home Assistant was told: by topic the platform of each component."""
Components: TypeAlias = Mapping[str, Mapping[str, Any]]
_Texts: TypeAlias = Mapping[str, str]
"""Components as JSON, by key: each is encoded once."""

HEAD_ROOM = 2048
"""Bytes of a message that are kept for its head."""
ORIGIN = "Hardwired"


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: object) -> str:
    """Return compact JSON, readable in a broker's tools."""
    return _ENCODER.encode(value)


def bridge_ident(bridge: str) -> str:
    """Return the identifier of the bridge's own device."""
    return f"hardwired_bridge_{bridge}"


def head_of(
    device: Device,
    place: Place,
    *,
    via: str,
    version: str,
    area: str | None = None,
    identifiers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the head of a device's messages.

    *via* is the ident of what it hangs behind; *identifiers* are further ones, of an old program.
    """
    told = {
        "name": device.name,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "model_id": device.model_id,
        "serial_number": device.serial_number,
        "sw_version": device.sw_version,
        "hw_version": device.hw_version,
        "via_device": via,
        "suggested_area": area,
    }
    return {
        "device": {
            "identifiers": [place.ident, *identifiers],
            **{key: value for key, value in told.items() if value is not None},
        },
        "origin": {"name": ORIGIN, "sw_version": version},
        "availability": place.availability,
        "availability_mode": "all",
        "qos": 1,
    }


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is to be published for a device, in order, and what Home Assistant knows then."""

    messages: tuple[Publication, ...]
    announced: Announced


def announce(
    place: Place,
    head: Mapping[str, Any],
    components: Components,
    announced: Announced,
    max_payload: int = 128 * 1024,
) -> Announcement:
    """Return the messages that make a device as it is now.

    *announced* is what was told of this device before. What has gone is taken away first; what
    changes its platform, in a message of its own.
    """
    texts = {key: compact(told) for key, told in components.items()}
    parts = _parts(place, texts, announced, max_payload - HEAD_ROOM)
    messages: list[Publication] = []
    after: list[Publication] = []
    known: dict[str, dict[str, str]] = {}
    everywhere = {key: str(told["platform"]) for key, told in components.items()}
    for topic in dict.fromkeys((*announced, *parts)):
        now = parts.get(topic, {})
        known_here = announced.get(topic, {})
        lost = {key: platform for key, platform in known_here.items() if key not in now}
        # What comes back elsewhere, or as something else, must be gone before.
        first = {key: platform for key, platform in lost.items() if key in everywhere}
        first |= {
            key: known_here[key]
            for key in now
            if key in known_here and known_here[key] != everywhere[key]
        }
        gone = {key: platform for key, platform in lost.items() if key not in first}
        if first:
            messages.append(_message(topic, head, _removals(first)))
        if gone:
            after.append(_message(topic, head, {**_removals(gone), **now}))
        if now:
            after.append(_message(topic, head, now))
            known[topic] = {key: everywhere[key] for key in now}
        elif known_here:
            after.append(withdraw(topic))
    return Announcement((*messages, *after), known)


def withdraw(topic: str) -> Publication:
    """Return the message that takes a discovery topic, and what it made, away."""
    return Publication(topic, "", retain=True, qos=1, traffic=Traffic.DISCOVERY)


def _removals(platforms: Mapping[str, str]) -> dict[str, str]:
    return {key: compact({"platform": platform}) for key, platform in platforms.items()}


def _message(topic: str, head: Mapping[str, Any], components: _Texts) -> Publication:
    rows = ",".join(f"{compact(key)}:{text}" for key, text in components.items())
    payload = f'{compact(head)[:-1]},"components":{{{rows}}}}}'
    return Publication(topic, payload, retain=True, qos=1, traffic=Traffic.DISCOVERY)


def _parts(
    place: Place, components: _Texts, announced: Announced, room: int
) -> dict[str, dict[str, str]]:
    """Return the components by topic: where they were, else behind, none larger than *room*."""
    topics = [
        place.topics.announcement(place.ident, part) for part in range(1, len(components) + 2)
    ]
    numbers = {topic: number for number, topic in enumerate(topics)}
    homes = {key: numbers.get(topic) for topic, keys in announced.items() for key in keys}
    taken = [0] * len(topics)
    found: dict[int, dict[str, str]] = {}
    last = 0
    for key, text in components.items():
        size = len(f"{{{compact(key)}:{text}}}".encode())
        home = homes.get(key)
        at = -1 if home is None else home
        if home is None or (taken[home] and taken[home] + size > room):
            while taken[last] and taken[last] + size > room:
                last += 1
            at = last
        taken[at] += size
        found.setdefault(at, {})[key] = text
    return {topics[number]: found[number] for number in sorted(found)}


def gone(announced: Announced) -> Iterator[Publication]:
    """Return the messages that take a whole device away."""
    yield from map(withdraw, announced)
