"""The file of sircuri/InventumUSB to one of ours (spec d.3)."""

from __future__ import annotations

import re
from typing import Any

from ..importing import (
    Imported,
    Refused,
    carried_client_id,
    note,
    warning,
    without_defaults,
)
from ..settings import ConfigError
from .config import CLIENT_ID, PORT, RESET, TOPIC, InventumUsbConfig, parse

DEVICE, SINK = "ventilation", "mqtt"
MINUTES = range(1, 1441)
_LEVELS = {"DEBUG": "debug", "NOTSET": "debug", "INFO": "info", "WARNING": "warning"}
_LEVELS |= {"WARN": "warning"}
_STOP = "stop and disable inventum.service first: only one program can hold the port"


def convert(content: str) -> Imported:
    """Return what becomes of it. Raises :class:`Refused`."""
    try:
        old = parse(content)
    except ConfigError as error:
        raise Refused(str(error)) from None
    for key, text in (
        ("inventum.device", old.device),
        ("mqtt.server", old.server),
        ("mqtt.topic", old.topic.strip("/")),
    ):
        if not text.strip() or not text.isprintable():
            raise Refused(f"{key} must not be empty")
    said = []
    minutes = old.reset
    if minutes not in MINUTES:
        text = f"{minutes} is replaced by {RESET}: a boost lasts 1 to 1440 minutes"
        said.append(warning(text, "inventum.reset"))
        minutes = RESET
    if re.match(r"/dev/tty(?:ACM|USB)\d+$", old.device):
        text = "a path below /dev/serial/by-id stays the same when another device is plugged in"
        said.append(note(text, "inventum.device"))
    if old.logfile is not None:
        text = "is not carried over: the journal keeps the log"
        said.append(note(text, "inventum.logfile"))
    topic = old.topic.strip("/")
    if topic != old.topic:
        said.append(warning(f"loses the slashes at its ends: {topic}", "mqtt.topic"))
    if topic.endswith("/commands"):
        text = (
            "ends in /commands, as an example of the old program had it; commands are then taken "
            f"on {topic}/commands"
        )
        said.append(warning(text, "mqtt.topic"))
    if old.password is not None and not old.username:
        said.append(
            warning("was not used without a username, and is not carried over", "mqtt.password")
        )
    said += [warning("is not known: left out", key) for key in old.unknown]
    ident = carried_client_id(old.clientid or CLIENT_ID, "mqtt.clientid", said)
    said.append(note(_STOP))
    return Imported(_config(old, topic, minutes, ident), tuple(said))


def _config(old: InventumUsbConfig, topic: str, minutes: int, ident: str | None) -> dict[str, Any]:
    level = _LEVELS.get(old.loglevel, "error")
    log = {} if level == "info" else {"log": {"level": level}}
    entry = {"dialect": "inventumusb", "sink": SINK, **without_defaults(topic=(topic, TOPIC))}
    device = {
        "family": "inventum",
        "link": old.device,
        **without_defaults(boost_duration=(minutes, RESET)),
        "native": False,
        "legacy": [entry],
        **without_defaults(
            login_code=(old.login_code or None, None),
            challenge_code=(old.challenge_code or None, None),
        ),
    }
    password = old.password if old.username else ""
    sink = {
        "type": "mqtt",
        "host": old.server,
        **without_defaults(port=(old.port, PORT)),
        **without_defaults(
            client_id=(ident, None),
            username=(old.username or None, None),
            password=(password or None, None),
        ),
    }
    return {**log, "devices": {DEVICE: device}, "sinks": {SINK: sink}}
