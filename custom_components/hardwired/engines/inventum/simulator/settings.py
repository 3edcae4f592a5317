"""How the simulated device behaves, from plain texts: a URL's query or the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from ..terminal.keys import CHALLENGE_CODE, LOGIN_CODE
from .columns import HEADERS


class RefusedTo(StrEnum):
    """Where a refused challenge leads."""

    LOGIN = "login"
    CHALLENGE = "challenge"


class Waking(StrEnum):
    """What a sleeping terminal wakes by."""

    ANY = "any"
    ENTER = "enter"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """One simulated unit. Times in seconds, ``rate`` in bytes per second (0: at once)."""

    seed: int = 0
    login_code: str = LOGIN_CODE
    challenge_code: str = CHALLENGE_CODE
    """The code that the rule accepts once in ``odds`` numbers."""
    odds: int = 20
    refused_to: RefusedTo = RefusedTo.LOGIN
    waking: Waking = Waking.ANY
    rate: float = 0.0
    reaction: float = 0.01
    """From a key to the page."""
    interval: float = 10.0
    """Between two rows of the logger."""
    header: str = "solo"
    refresh: float = 0.5
    """Between two drawings of a page; 0: only when something changes."""
    refresh_clears: bool = False
    rows: int = 30
    fan_row: int = 17
    selected_row: int = 1
    marker: str = "["
    scrolling: bool = False
    """Whether the list moves under a selection that stays in one place."""
    title_goes: bool = False
    """Whether the prompt is a page of its own."""
    prefilled: bool = False
    edit_echo: bool = True
    login_echo: bool = True
    escape_logs_out: bool = True
    """Whether Escape in the menu logs out."""
    wall_switch: int = 2
    raises: bool = True
    """Whether the controller raises the ventilation by itself when it is humid."""
    start_of_day: float = 6.0
    """The hour at which the simulation begins."""
    faults: int = -1
    """Seed of random faults; -1: none."""
    fault_every: float = 60.0

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> SimulatorSettings:
        """Return settings from texts. Raises :class:`ValueError` with a plain reason."""
        settings = cls()
        known = {item.name for item in fields(cls)}
        for name, text in values.items():
            if name not in known:
                raise ValueError(f"the simulator has no setting {name!r}")
            settings = replace(settings, **{name: _read(name, getattr(settings, name), text)})
        settings.check()
        return settings

    def check(self) -> None:
        """Raise :class:`ValueError` when something does not fit."""
        if self.header not in HEADERS:
            raise ValueError(f"header is one of {', '.join(HEADERS)}, not {self.header!r}")
        if not 0 <= self.wall_switch <= 3:
            raise ValueError("the wall switch has the positions 0 to 3")
        if not (0 <= self.fan_row <= self.rows and 1 <= self.selected_row <= self.rows <= 90):
            raise ValueError("the rows of the list don't fit: at most 90, the fan's among them")
        if len(self.marker) != 1 or not self.marker.isprintable() or self.marker == " ":
            raise ValueError("the marker is one visible character")
        if not 1 <= self.odds <= 1000:
            raise ValueError("odds is 1 to 1000")
        for name in ("interval", "fault_every"):
            if not 0.1 <= getattr(self, name) <= 86400:
                raise ValueError(f"{name} is 0.1 to 86400 seconds")
        if not (self.login_code.isdigit() and self.challenge_code.isdigit()):
            raise ValueError("codes are digits")


def _read(name: str, default: Any, text: Any) -> Any:
    if not isinstance(text, str):
        text = str(text)
    try:
        match default:
            case bool():
                return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
            case StrEnum():
                return type(default)(text)
            case _:
                return type(default)(text)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name} is {_takes(default)}, not {text[:40]!r}") from error


def _takes(default: Any) -> str:
    match default:
        case bool():
            return "true or false"
        case StrEnum():
            return f"one of {', '.join(type(default))}"
        case int():
            return "a whole number"
        case float():
            return "a number"
    return "a text"
