"""Reading CONFIG for the verbs that need it: every complaint told, code 78 when it is no use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...bridge.settings import family_complaints
from ...config.reader import Complaint, Config, read_config
from ...config.secrets import Environment, resolve
from ..output import tell

UNUSABLE = 78


class NoConfig(Exception):
    """CONFIG can't be used; the reasons were told."""


def read_file(path: Path) -> Config:
    """Read a file, secrets as they stand there. Raises :class:`NoConfig`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        tell(f"{path}: {error.strerror or error}")
        raise NoConfig from error
    return read_config(content)


def tell_complaints(
    path: Path, config: Config, say: Callable[[str], None] = tell, *, quiet: bool = False
) -> None:
    """Tell every error, and the warnings."""
    for error in config.errors:
        say(error.told(str(path)))
    for warning in () if quiet else config.warnings:
        say(f"warning: {warning.told(str(path))}")


def load_config(path: Path, environment: Environment, *, quiet: bool = False) -> Config:
    """Return a file that can be used, resolved. Raises :class:`NoConfig`."""
    config = read_file(path)
    if config.ok:
        config = resolve(config, environment)
    if config.ok:
        config = with_family_complaints(config)
    tell_complaints(path, config, quiet=quiet)
    if not config.ok:
        raise NoConfig
    return config


def with_family_complaints(config: Config) -> Config:
    """Return *config* with what only the families know to be wrong (spec b.3)."""
    found: tuple[Complaint, ...] = tuple(
        config.complaint(key, text) for key, text in family_complaints(config.value)
    )
    if not found:
        return config
    return Config(
        config.value, (*config.errors, *found), config.warnings, config.secrets, config.lines
    )
