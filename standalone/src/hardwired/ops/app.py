"""The Home Assistant app: broker and discovery through the Supervisor (spec f.8).

The container's command. The owner's file holds ``[devices]``; the broker comes from the
Supervisor, which is told what the bridge offers and that it has gone.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cli.main import main as command
from ..compat.importing import as_toml
from ..version import program_version

_LOGGER = logging.getLogger(__name__)

SUPERVISOR = "http://supervisor"
SECONDS = 10
DATA = Path("/data")
CONFIG = Path("/config")
SERVICE = "hardwired"
SINK = "home_assistant"
_AS_IT_IS = "surrogateescape"
_EXAMPLE = """\
# The devices of this bridge. The broker of Home Assistant is used by itself.
#
# [devices.van]
# family = "truma"
# link = "/dev/serial/by-id/..."
"""


class Supervisor:
    """The Supervisor's API, as far as it is needed."""

    def __init__(self, token: str, address: str = SUPERVISOR) -> None:
        self._token = token
        self._address = address

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Return the ``data`` of an answer. Raises :class:`OSError`, :class:`ValueError`."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self._address}{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
            answer = json.load(response)
        return answer.get("data") if isinstance(answer, dict) else None

    def broker(self) -> dict[str, Any] | None:
        """Return the sink of Home Assistant's broker; ``None``: there is none."""
        try:
            told = self.ask("GET", "/services/mqtt")
        except (OSError, ValueError):
            return None
        if not isinstance(told, dict) or not told.get("host"):
            return None
        sink = {"type": "mqtt", "host": str(told["host"]), "port": int(told.get("port") or 1883)}
        if told.get("ssl"):
            sink["tls"] = True
        if told.get("username"):
            sink["username"] = str(told["username"])
            if told.get("password"):
                sink["password"] = str(told["password"])
        return sink


def prepare(text: str, options: Mapping[str, Any], broker: Mapping[str, Any] | None) -> str:
    """Return the CONFIG to run: the owner's, with the log level and the broker."""
    told = _read(text)
    if told is None:
        return text  # the reader says what is wrong with it
    added = []
    if "log" not in told:
        added.append(f'[log]\nlevel = "{options.get("log_level", "info")}"\n')
    own = any(one.get("type") == "mqtt" for one in _tables(told, "sinks").values())
    if options.get("mqtt", "auto") == "auto" and not own and broker is not None:
        content = as_toml({"sinks": {SINK: dict(broker)}}, ())
        added.append(content[content.index("[sinks") : content.index("#\n")])
    found = "\n".join([text, *added])
    return text if _read(found) is None else found  # a section in braces takes nothing more


def _read(text: str) -> Mapping[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def offer(told: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return what Home Assistant is told: names and families, nothing secret."""
    sinks = [one for one in _tables(told, "sinks").values() if one.get("type") == "mqtt"]
    prefix = sinks[0].get("prefix", "hardwired") if sinks else "hardwired"
    links = [
        {"name": name, "family": one.get("family")}
        for name, one in _tables(told, "devices").items()
    ]
    bridge = told.get("bridge")
    return {
        "id": bridge.get("id", "hardwired") if isinstance(bridge, dict) else "hardwired",
        "prefix": prefix,
        "links": links,
        "version": version,
    }


def _tables(told: Mapping[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a section; what is none the reader complains of."""
    found = told.get(section)
    named = found.items() if isinstance(found, dict) else ()
    return {name: one for name, one in named if isinstance(one, dict)}


def run(data: Path, config: Path, supervisor: Supervisor) -> int:
    """Prepare, offer, bridge, take the offer back; returns the exit code."""
    options = json.loads((data / "options.json").read_text("utf-8"))
    own = config / str(options.get("config_file") or "CONFIG.toml")
    if not own.exists():
        own.write_text(_EXAMPLE, encoding="utf-8")
    # What is not UTF-8 passes as it is: the reader says where.
    text = prepare(own.read_text("utf-8-sig", _AS_IT_IS), options, supervisor.broker())
    path = data / "CONFIG.toml"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8", errors=_AS_IT_IS) as stream:
        stream.write(text)
    os.environ.setdefault("STATE_DIRECTORY", str(data / "state"))
    uuid = None
    try:
        told = offer(_read(text) or {}, program_version())
        answer = supervisor.ask("POST", "/discovery", {"service": SERVICE, "config": told})
        uuid = answer.get("uuid") if isinstance(answer, dict) else None
    except (OSError, ValueError) as error:
        _LOGGER.warning("Home Assistant could not be told of this bridge: %s", error)
    try:
        return command(["run", str(path)])
    finally:
        if uuid:
            try:
                supervisor.ask("DELETE", f"/discovery/{uuid}")
            except (OSError, ValueError):
                _LOGGER.debug("the offer could not be taken back")


if __name__ == "__main__":
    command(["ports"])
    sys.exit(run(DATA, CONFIG, Supervisor(os.environ.pop("SUPERVISOR_TOKEN", ""))))
