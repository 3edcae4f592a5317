"""From the file of an old program to one of ours (spec d.3).

Each program has an ``importer`` in its folder: ``convert(content)``.
Everything the old program would refuse is refused; what can't be carried over is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..bridge.settings import family_complaints
from ..config.kinds import CLIENT_ID
from ..config.old_files import INETBOX, INVENTUMUSB, SUNSNIFF, XTENDER, program_of
from ..config.reader import read_config
from ..config.secrets import Environment, resolve

LARGEST = 2**20
IMPORTERS: Mapping[str, str] = {
    SUNSNIFF: "sunsniff",
    XTENDER: "xtender",
    INETBOX: "inetbox",
    INVENTUMUSB: "inventumusb",
}


class Refused(ValueError):
    """The file can't be imported; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the owner should know: ``note`` or ``warning``, of which key of the old file."""

    level: str
    key: str
    text: str

    @property
    def told(self) -> str:
        """The sentence."""
        return f"{self.key} {self.text}" if self.key else self.text

    def as_dict(self) -> dict[str, str]:
        """Return plain types."""
        return {"level": self.level, "key": self.key, "text": self.text}


@dataclass(frozen=True, slots=True)
class Imported:
    """The content of the new file, without defaults, and what is said."""

    config: dict[str, Any]
    said: tuple[Said, ...]


def note(text: str, key: str = "") -> Said:
    """Return a note."""
    return Said("note", key, text)


def warning(text: str, key: str = "") -> Said:
    """Return a warning."""
    return Said("warning", key, text)


def without_defaults(**members: tuple[Any, Any]) -> dict[str, Any]:
    """Return the members (value, default) that differ from their default and from ``None``."""
    return {
        key: value
        for key, (value, default) in members.items()
        if value is not None and value != default
    }


def import_file(program: str, content: bytes, environ: Mapping[str, str] | None = None) -> Imported:
    """Return the new content of an old file; *program* may be ``auto``. Raises :class:`Refused`.

    *environ* are the variables of the environment, for a program that heeded some.
    """
    if len(content) > LARGEST:
        raise Refused("the file is larger than 1 MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("this is not UTF-8") from None
    name = program_of(text) if program == "auto" else program
    if name is None or name not in IMPORTERS:
        raise Refused(f"this is the file of none of {', '.join(IMPORTERS)}")
    importer = import_module(f"{__package__}.{IMPORTERS[name]}.importer")
    known = () if environ is None else (environ,)
    return _usable(importer.convert(text, *known))


def _usable(found: Imported) -> Imported:
    """Return what our own program takes; the old one took more. Raises :class:`Refused`."""
    read = read_config(as_toml(found.config, ()).encode())
    wrong = [(error.key, error.text) for error in read.errors]
    if not wrong:
        wrong = family_complaints(resolve(read, Environment({})).value)
    if wrong:
        raise Refused("; ".join(f"{key} {text}" for key, text in wrong))
    return found


def carried_client_id(told: str, key: str, said: list[Said]) -> str | None:
    """Return an old client id, if ours may be like it."""
    if CLIENT_ID.fullmatch(told):
        return told
    said.append(
        warning("is not carried over: it is not of 1 to 64 printable ASCII characters", key)
    )
    return None


# ------------------------------------------------------------------------------------ as TOML

SCHEMA_LINE = "#:schema ./config.schema.json"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(config: Mapping[str, Any], said: Iterable[Said], name: str = "CONFIG.toml") -> str:
    """Return the new file: content, then what was said, the three commands, as comments."""
    lines = [SCHEMA_LINE, ""]
    for table in ("bridge", "log"):
        if table in config:
            lines += [f"[{table}]", *_rows(config[table]), ""]
    for section in ("devices", "sinks"):
        for key, told in config.get(section, {}).items():
            lines += [f"[{section}.{key}]", *_rows(told), ""]
            for entry in told.get("legacy", ()):
                lines += [f"[[{section}.{key}.legacy]]", *_rows(entry), ""]
    for one in said:
        lines.append(f"# {one.level}: {one.told}")
    lines += [
        "#",
        f"# hardwired check {name}",
        f"# hardwired run {name}",
        "# The way back: stop hardwired and start the old service again.",
    ]
    return "".join(f"{line}\n" for line in lines)


def _rows(told: Mapping[str, Any]) -> Iterator[str]:
    for key, value in told.items():
        if key != "legacy":
            yield f"{key if _BARE.fullmatch(key) else json.dumps(key)} = {_value(value)}"


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # JSON escapes what TOML escapes; what it may leave as it is TOML takes too, but DEL.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case list() | tuple():
            return f"[{', '.join(_value(item) for item in value)}]"
        case Mapping():
            rows = ", ".join(
                f"{key if _BARE.fullmatch(key) else json.dumps(key)} = {_value(item)}"
                for key, item in value.items()
            )
            return f"{{ {rows} }}"
        case _:
            raise TypeError(f"{value!r} has no place in a file")
