"""What inetbox.py announced of the heater (spec d.4): one device message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hardwired_engines.engine import DeviceState
from hardwired_engines.fields import Catalogue

from ..adopting import Old
from .discovery import discovery
from .texts import Language, Texts

CLIMATE, ROOM = "climate", "room"
"""The heating is a composite of ours of that key."""


def old(state: DeviceState, settings: Mapping[str, Any], prefix: str) -> Old | None:
    """Return its entities whose topic is one of our values."""
    if state.device.kind != "heater":
        return None
    data_topic = str(settings.get("data_topic", "service/truma/"))
    texts = Texts(
        language=Language(settings.get("language", Language.NONE.value)),
        extended=bool(settings.get("extended_texts", False)),
    )
    ids, identifiers, topic = announced(texts, state.fields, data_topic=data_topic, prefix=prefix)
    return Old(ids, identifiers, (topic,))


def announced(
    texts: Texts,
    fields: Catalogue,
    *,
    data_topic: str = "service/truma/",
    prefix: str = "homeassistant",
) -> tuple[dict[str, tuple[str, str]], tuple[str, ...], str]:
    """Return unique id and entity id by our key, the device's identifiers, and the topic."""
    (message,) = discovery(texts, data_topic=data_topic, prefix=prefix)
    told = json.loads(message.payload)
    ids: dict[str, tuple[str, str]] = {}
    for component in told["components"].values():
        key = str(component.get("state_topic", "")).rpartition("/")[2]
        if component["platform"] == CLIMATE:
            key = ROOM
        if key in fields or key == ROOM:
            ids.setdefault(key, (component["unique_id"], component["default_entity_id"]))
    return ids, tuple(told["device"]["identifiers"]), message.topic
