"""Secrets of CONFIG.toml: where they come from, and that they are never shown (spec b.1, h.4)."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from .reader import Complaint, Config

LARGEST = 4096
CREDENTIALS = "CREDENTIALS_DIRECTORY"


class Secret:
    """A text that shows itself nowhere."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for whoever must send it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._text.encode(), other._text.encode()
        )

    def __hash__(self) -> int:
        return hash(self._text)


class Environment:
    """The environment's secrets: each is taken out once and kept, so that no child inherits it."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._taken: dict[str, str] = {}

    def take(self, name: str) -> str | None:
        """Return a variable and remove it from the environment."""
        if name in self._environ:
            self._taken[name] = self._environ.pop(name)
        return self._taken.get(name)

    @property
    def credentials(self) -> str | None:
        """The folder of systemd's credentials."""
        return self._environ.get(CREDENTIALS)


def resolve(config: Config, environment: Environment) -> Config:
    """Return *config* with every secret as a :class:`Secret`; reads files.

    A secret that can't be had is an error that names the key and the place, never the value.
    """
    value = _copied(config.value)
    errors: list[Complaint] = []
    warnings: list[Complaint] = []
    for path in config.secrets:
        owner = value
        for step in path[:-1]:
            owner = owner[step]
        key, told = _key_name(path), owner[path[-1]]
        if told is None:
            continue
        try:
            text, warning = _text_of(told, environment)
        except ValueError as error:
            errors.append(config.complaint(key, str(error)))
            continue
        owner[path[-1]] = Secret(text)
        if warning:
            warnings.append(config.complaint(key, warning))
    return Config(
        value,
        (*config.errors, *errors),
        (*config.warnings, *warnings),
        config.secrets,
        config.lines,
        config.usual,
    )


def secrets_of(value: Any) -> list[Secret]:
    """Return every secret within a resolved value."""
    match value:
        case Secret():
            return [value]
        case Mapping():
            return [one for item in value.values() for one in secrets_of(item)]
        case list():
            return [one for item in value for one in secrets_of(item)]
        case _:
            return []


def _copied(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
        case _:
            return value


def _key_name(path: tuple[str | int, ...]) -> str:
    name = ""
    for step in path:
        if isinstance(step, int):
            name += f"[{step + 1}]"
        else:
            name += f".{step}" if name else step
    return name


def _text_of(told: str | Mapping[str, str], environment: Environment) -> tuple[str, str | None]:
    if isinstance(told, str):
        return told, None
    way, place = next(iter(told.items()))
    match way:
        case "env":
            text = environment.take(place)
            if text is None:
                raise ValueError(f"needs the environment variable {place}, which is not set")
            return _checked(text, f"the environment variable {place}"), None
        case "credential":
            folder = environment.credentials
            if folder is None:
                raise ValueError(f"needs the credential {place}, but {CREDENTIALS} is not set")
            if "/" in place or place in {".", ".."}:
                raise ValueError("takes the name of a credential, not a path")
            return _of_file(Path(folder) / place, f"the credential {place}")[0], None
        case _:
            text, mode = _of_file(Path(place), place)
            loose = mode & (stat.S_IRGRP | stat.S_IROTH)
            return text, f"stands in {place}, which others may read too" if loose else None


def _of_file(path: Path, name: str) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"needs {name}: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise ValueError(f"needs {name}, which is larger than {LARGEST} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"needs {name}, which is not UTF-8") from None
    for end in ("\r\n", "\n"):
        if text.endswith(end):
            text = text.removesuffix(end)
            break
    return _checked(text, name), mode


def _checked(text: str, name: str) -> str:
    if not text:
        raise ValueError(f"needs {name}, which is empty")
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise ValueError(f"needs {name}, which holds a control character")
    return text
