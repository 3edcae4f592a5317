"""Where the types of sinks are; each is imported only when CONFIG names it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from .sink import Hub, Sink, Unusable

MODULES: Mapping[str, str] = {
    "mqtt": "hardwired.mqtt.sink",
    "influxdb": "hardwired.influx.sink",
    "venus": "hardwired.gx.sink",
}
_EXTRAS: Mapping[str, str] = {"aiomqtt": "mqtt", "paho": "mqtt", "yaml": "import"}


def load_type(kind: str) -> Any:
    """Return the module of a type. Raises :class:`Unusable` when a library is missing."""
    try:
        return importlib.import_module(MODULES[kind])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _EXTRAS:
            raise Unusable(
                f"this needs {missing}: pip install 'hardwired[{_EXTRAS[missing]}]'"
            ) from error
        if (error.name or "").startswith(MODULES[kind].rpartition(".")[0]):
            raise Unusable(f"this release has no sinks of type {kind}") from error
        raise


def make_sink(name: str, settings: Mapping[str, Any], hub: Hub) -> Sink:
    """Return the sink of ``[sinks.NAME]``."""
    sink: Sink = load_type(settings["type"]).make(name, settings, hub)
    return sink
