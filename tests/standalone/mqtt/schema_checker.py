"""Run by a Home Assistant's own Python: discovery messages through that version's schemas.

Reads ``[{"topic", "payload"}, ...]`` from stdin, writes what is wrong, one text each, as JSON.
Schemas throw unknown members away silently, so what comes out is held against what went in.
"""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import tempfile
from importlib import import_module
from typing import Any

from homeassistant.components.mqtt import schemas
from homeassistant.core import HomeAssistant

SHARED = schemas.SHARED_OPTIONS


def lost(before: Any, after: Any, place: str) -> list[str]:
    """Return the members that a schema has thrown away."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = [f"{place}: {key} was thrown away" for key in before if key not in after]
        for key in before.keys() & after.keys():
            found += lost(before[key], after[key], f"{place}.{key}")
        return found
    if isinstance(before, list) and isinstance(after, list):
        return [
            text
            for index, pair in enumerate(zip(before, after, strict=False))
            for text in lost(*pair, f"{place}[{index}]")
        ]
    return []


def check_component(config: dict[str, Any], component: str, place: str) -> list[str]:
    """Return what a platform's schema has against a component."""
    platform = import_module(f"homeassistant.components.mqtt.{component}")
    try:
        taken = platform.DISCOVERY_SCHEMA(copy.deepcopy(config))
    except Exception as error:  # noqa: BLE001 - whatever a schema raises
        return [f"{place}: {error}"]
    return lost(config, taken, place)


def check_device(payload: dict[str, Any], topic: str) -> list[str]:
    """Return what is wrong with a device message."""
    try:
        taken = schemas.DEVICE_DISCOVERY_SCHEMA(copy.deepcopy(payload))
        validate = getattr(schemas, "validate_device_discovery_components", None)
        if validate is not None:
            taken = validate(taken)
    except Exception as error:  # noqa: BLE001
        return [f"{topic}: {error}"]
    found = [
        text
        for text in lost(payload, taken, topic)
        if ".components." not in text or "was thrown" in text
    ]
    for key, told in payload["components"].items():
        if set(told) == {"platform"}:
            continue
        config = {name: value for name, value in told.items() if name != "platform"}
        for option in SHARED:
            if option in payload and option not in config:
                config[option] = payload[option]
        config |= {"device": payload["device"], "origin": payload["origin"]}
        found += check_component(config, told["platform"], f"{topic} {key}")
    return found


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        HomeAssistant(folder)  # templates are checked with one at hand
        check()


def check() -> None:
    problems: list[str] = []
    for message in json.load(sys.stdin):
        topic, payload = message["topic"], message["payload"]
        component = topic.split("/")[1]
        if component == "device":
            problems += check_device(payload, topic)
        else:
            problems += check_component(payload, component, topic)
    json.dump(problems, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
