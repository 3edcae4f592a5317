"""Kinds of arguments, for :mod:`argparse`: each says what it takes when it is given another."""

from __future__ import annotations

import argparse
import contextlib
import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


class WrongArguments(ValueError):
    """What the arguments ask for does not exist: the command line ends with exit code 2."""


@contextlib.contextmanager
def reading_arguments() -> Iterator[None]:
    """Make a :class:`WrongArguments` of a value, or a sum of values, that the block refuses."""
    try:
        yield
    except (ValueError, ArithmeticError) as error:
        raise WrongArguments(str(error)) from error


def pairs_of(texts: Iterable[str]) -> Mapping[str, str]:
    """Return what stands in ``NAME=VALUE`` texts. Raises :class:`WrongArguments`."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise WrongArguments(f"{text[:40]!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs


def strengths_of(faults: Iterable[str]) -> Mapping[str, str]:
    """Return what stands in ``NAME=VALUE`` texts; a name alone is 1."""
    return pairs_of(text if "=" in text else f"{text}=1" for text in faults)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as ``90``, ``15m``, ``1d``."""
    unit = _UNITS.get(text[-1:])
    try:
        value = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no duration: 90, 15m, 2h, 1d") from None
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is too short or too long")
    return value


def factor_of(text: str) -> float:
    """Return how many times as fast time runs."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no factor above 0, up to 1000000")
    return value


def speed_of(text: str) -> float:
    """Return how many times as fast a recording is played; 0: as fast as it is read."""
    return 0.0 if re.fullmatch(r"0(\.0*)?", text) else factor_of(text)


def count_of(text: str) -> int:
    """Return a number of things, at least one."""
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 1 on")
    return int(text)


def port_of(text: str) -> int:
    """Return the number of a TCP or UDP port."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no port: 1 to 65535")
    return int(text)


def terminal_of(text: str) -> Path:
    """Return the name of a terminal that is to be made.

    Raises :class:`FileNotFoundError`, which is no fault of the arguments, where it has no folder.
    """
    path = Path(text)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    return path


def address_of(
    text: str, host: str = "127.0.0.1", port: int | None = None, form: str = "HOST:PORT"
) -> tuple[str, int]:
    """Return what stands in ``HOST:PORT``, ``PORT``, or ``HOST`` where there is a usual *port*.

    Without a host it is *host*. Raises :class:`WrongArguments`, which names the *form*.
    """
    before, colon, after = text.rpartition(":")
    if not colon and port is not None and not text.isdecimal():
        before, after = text, str(port)
    if not re.fullmatch("[0-9]{1,5}", after) or int(after) > 65535:
        raise WrongArguments(f"{text[:80]!r} is not {form}")
    return before.removeprefix("[").removesuffix("]") or host, int(after)
