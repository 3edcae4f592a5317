"""Reading an old program's file section by section: every key checked, every complaint placed.

A reader is a function from what the file holds to a value; it raises :class:`ValueError` with
the rest of a sentence that begins with the key ("takes a number, not a text").
"""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, overload
from urllib.parse import urlsplit

from ..config import kinds
from ..config.kinds import kind_of

T = TypeVar("T")
D = TypeVar("D")

_NEEDED = object()

text = kinds.read_text
filled = kinds.read_filled
flag: Callable[[object], bool] = kinds.flag.read
zone_name: Callable[[object], str] = kinds.zone_name.read
topic: Callable[[object], str] = kinds.topic.read
client_id: Callable[[object], str] = kinds.client_id.read


class ConfigError(ValueError):
    """The configuration can't be used; the text says where and why, and holds no secret."""


def whole(low: int, high: int) -> Callable[[object], int]:
    """Return the reader of a whole number from *low* to *high*."""
    return kinds.whole(low, high).read


def one_of(*options: str) -> Callable[[object], str]:
    """Return the reader of one of these texts."""
    return kinds.option(*options).read


def number(low: float, high: float, *, above: bool = False) -> Callable[[object], float]:
    """Return the reader of a number from *low* (with *above*: more than *low*) to *high*."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"takes a number, not {kind_of(value)}")
        # A comparison with nan is false; a number of a thousand digits is compared as it is.
        if not low <= value <= high or (above and value == low):
            least = f"more than {low:g}" if above else f"{low:g}"
            raise ValueError(f"takes a number from {least} to {high:g}")
        return float(value)

    return read


def topic_level(value: object) -> str:
    """Read a topic that others are hung below: no slash at either end."""
    found = topic(value)
    if found.startswith("/") or found.endswith("/"):
        raise ValueError("takes a topic without a slash at its ends")
    return found


def section(value: object) -> Mapping[Any, Any]:
    """Read a section, as it stands."""
    if not isinstance(value, dict):
        raise ValueError(f"takes a section, not {kind_of(value)}")
    return value


def sections(value: object) -> list[Mapping[Any, Any]]:
    """Read a list of sections, as they stand."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("takes a list of sections")
    return value


def tls_name(prefix: str) -> Callable[[object], str]:
    """Return the reader of a name that Python's ``ssl`` module knows, such as CERT_REQUIRED."""

    def read(value: object) -> str:
        name = text(value)
        if not name.startswith(prefix) or not hasattr(ssl, name):
            known = ", ".join(sorted(item for item in dir(ssl) if item.startswith(prefix)))
            raise ValueError(f"takes one of {known}, not {name!r}")
        return name

    return read


def base_url(*schemes: str) -> Callable[[object], str]:
    """Return the reader of a URL with a host and perhaps a port, and no login in it."""

    def read(value: object) -> str:
        found = filled(value)
        try:
            parts = urlsplit(found)
            host, port, scheme = parts.hostname, parts.port, parts.scheme
        except ValueError:
            raise ValueError("holds no proper address") from None
        if scheme not in schemes or not found.lower().startswith(f"{scheme}://"):
            raise ValueError(f"begins with {' or '.join(f'{item}://' for item in schemes)}")
        if not host or port == 0 or any(char.isspace() for char in found):
            raise ValueError("needs a host, and after a colon perhaps a port")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a login; use the keys username and password")
        if parts.query or parts.fragment or "?" in found or "#" in found:
            raise ValueError("must not hold ? or #")
        return found

    return read


class Section:
    """One section of a file. Keys that nobody took are unknown."""

    def __init__(self, values: Mapping[Any, Any], path: str = "") -> None:
        self._values = values
        self._path = path
        self._known: list[str] = []

    def holds(self, key: str) -> bool:
        """Whether the key stands in the file, be it empty."""
        return key in self._values

    def where(self, key: str) -> str:
        """Return the full name of a key."""
        return f"{self._path}.{key}" if self._path else key

    @overload
    def take(self, key: str, read: Callable[[object], T]) -> T: ...

    @overload
    def take(self, key: str, read: Callable[[object], T], default: D) -> T | D: ...

    def take(self, key: str, read: Callable[[object], T], default: Any = _NEEDED) -> Any:
        """Return the value of *key*, or *default* when the file has none.

        Raises :class:`ConfigError` when it is missing without a default, or is not as *read*
        wants it.
        """
        self._known.append(key)
        value = self._values.get(key)
        if value is None:
            if default is _NEEDED:
                raise ConfigError(f"{self.where(key)} is missing")
            return default
        try:
            return read(value)
        except ValueError as error:
            raise ConfigError(f"{self.where(key)} {error}") from None

    def child(self, key: str) -> Section:
        """Return a section within; empty when the file has none."""
        return Section(self.take(key, section, {}), self.where(key))

    def children(self, key: str) -> Iterator[Section]:
        """Return the sections of a list; none when the file has none."""
        for index, values in enumerate(self.take(key, sections, [])):
            yield Section(values, f"{self.where(key)}[{index + 1}]")

    def unknown(self) -> tuple[str, ...]:
        """Return a sentence for every key that nobody took."""
        found = []
        for key in self._values:
            if key in self._known:
                continue
            name = str(key) if isinstance(key, str) and key.isprintable() else "a key"
            likely = difflib.get_close_matches(name, self._known, 1, 0.5)
            hint = f"; is {likely[0]} meant?" if likely else ""
            found.append(f"{self.where(name)} is not known{hint}")
        return tuple(found)

    def refuse_unknown(self) -> None:
        """Raise :class:`ConfigError` when the section holds a key that nobody took."""
        for complaint in self.unknown():
            raise ConfigError(complaint)


def load_yaml(content: str) -> Section:
    """Return the top of a YAML file. Raises :class:`ConfigError`."""
    try:
        import yaml  # noqa: PLC0415 - an extra of the package; the other old files do without
    except ModuleNotFoundError:
        raise ConfigError(
            "reading this file needs PyYAML: pip install 'hardwired[import]'"
        ) from None
    try:
        values = yaml.safe_load(content.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"this is not YAML{place}: {error.problem}") from None
    except Exception as error:  # noqa: BLE001
        # What stands behind a tag or looks like a date goes through constructors that let pass
        # whatever error happens to them; deep nesting ends the recursion.
        raise ConfigError(f"this is not YAML: {type(error).__name__}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"the file holds {kind_of(values)}, not sections")
    return Section(values)
