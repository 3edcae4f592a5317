"""Protocol engines: one package per device family, usable without Home Assistant.

Inside the integration this package is ``custom_components.hardwired.engines``; the standalone
helper mounts the same source as ``hardwired_engines``. Hence relative imports only.

What ``__all__`` names is stable for programs that use the engines as a library
(``docs/library.md``); each name is imported when it is first used. All else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock, SystemClock
    from .engine import (
        Command,
        CommandError,
        Device,
        DeviceState,
        Engine,
        EngineError,
        InvalidCommand,
        LinkError,
        Message,
        NotConfirmed,
        NotConnected,
        Notice,
        Reading,
        Reason,
        Refused,
        Snapshot,
    )
    from .factory import (
        EngineFactory,
        ProbeResult,
        SettingsError,
        Surroundings,
        factory_of,
        families,
        running,
    )
    from .fields import Catalogue, Field
    from .storage import MemoryStorage, Storage

__all__ = [
    "Catalogue",
    "Clock",
    "Command",
    "CommandError",
    "Device",
    "DeviceState",
    "Engine",
    "EngineError",
    "EngineFactory",
    "Field",
    "InvalidCommand",
    "LinkError",
    "MemoryStorage",
    "Message",
    "NotConfirmed",
    "NotConnected",
    "Notice",
    "ProbeResult",
    "Reading",
    "Reason",
    "Refused",
    "SettingsError",
    "Snapshot",
    "Storage",
    "Surroundings",
    "SystemClock",
    "factory_of",
    "families",
    "running",
]

_MODULES = ("engine", "factory", "fields", "clock", "storage")


def __getattr__(name: str) -> object:
    """Import a public name when it is first used. Raises :class:`AttributeError`."""
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f".{module}", __name__)).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
