"""What an owner can set for this family, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..engine import LinkError, Reason
from ..factory import LINK, SettingsError
from ..link import Opener, SerialSettings, SimulatorFactory, make_opener
from .dialogue.wishes import DEFAULT_MINUTES, LONGEST_MINUTES
from .profile import Correction
from .terminal.keys import CHALLENGE_CODE, LOGIN_CODE

LINE = SerialSettings(9600)
LONGEST_CODE = 12


async def _no_simulator(query: Mapping[str, str]) -> Any:
    raise LinkError(Reason.BAD_ADDRESS, "no simulator here")


@dataclass(frozen=True, slots=True, kw_only=True)
class InventumSettings:
    """Plain values, as a config entry or CONFIG.toml holds them.

    ``boost_duration`` (minutes) holds until it is set at the device's own control. ``fan_column``
    is the name of the logger's column to take for the fan's; empty: by the usual name.
    ``columns`` are the owner's corrections, by slug. ``other_positions`` also lets 1 and 2 be
    set: nobody has seen that work yet. ``release_on_stop`` takes an override back when the engine
    stops.
    """

    link: str
    login_code: str = field(default=LOGIN_CODE, repr=False)
    challenge_code: str = field(default=CHALLENGE_CODE, repr=False)
    boost_duration: int = DEFAULT_MINUTES
    fan_column: str = ""
    columns: Mapping[str, Correction] = field(default_factory=lambda: MappingProxyType({}))
    other_positions: bool = False
    release_on_stop: bool = False
    serial_number: str = ""
    """That of the USB device, where it is known."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> InventumSettings:
        """Return the settings in *values*; unknown keys are left aside.

        Raises :class:`SettingsError`. No message repeats a code.
        """
        settings = cls(
            link=_text(values, LINK, ""),
            login_code=_code(values, "login_code", LOGIN_CODE),
            challenge_code=_code(values, "challenge_code", CHALLENGE_CODE),
            boost_duration=_minutes(values, "boost_duration"),
            fan_column=_text(values, "fan_column", ""),
            columns=_corrections(values),
            other_positions=_flag(values, "other_positions"),
            release_on_stop=_flag(values, "release_on_stop"),
            serial_number=_text(values, "serial_number", ""),
        )
        if not settings.link:
            raise SettingsError(LINK, message="a port is needed")
        try:
            settings.opener(_no_simulator)
        except LinkError as error:
            raise SettingsError(LINK, error.reason, str(error)) from error
        return settings

    @property
    def own_codes(self) -> bool:
        """Whether one of the codes is not that of all known units."""
        return (self.login_code, self.challenge_code) != (LOGIN_CODE, CHALLENGE_CODE)

    def opener(self, simulator: SimulatorFactory) -> Opener:
        """Return what opens the link. Raises :class:`LinkError` (BAD_ADDRESS)."""
        return make_opener(self.link, LINE, simulator=simulator)


def _text(values: Mapping[str, Any], key: str, default: str) -> str:
    value = values.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise SettingsError(key, message=f"{key} is a text")
    return value.strip()


def _code(values: Mapping[str, Any], key: str, default: str) -> str:
    value = values.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        return default
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise SettingsError(key, message=f"{key} is made of digits")
    if len(value) > LONGEST_CODE:
        raise SettingsError(key, message=f"{key} has {LONGEST_CODE} digits at most")
    return value


def _minutes(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key, DEFAULT_MINUTES)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST_MINUTES:
        raise SettingsError(key, message=f"{key} is 1 to {LONGEST_MINUTES} minutes")
    return value


def _flag(values: Mapping[str, Any], key: str) -> bool:
    value = values.get(key, False)
    if not isinstance(value, bool):
        raise SettingsError(key, message=f"{key} is true or false")
    return value


def _corrections(values: Mapping[str, Any]) -> Mapping[str, Correction]:
    given = values.get("columns") or {}
    if not isinstance(given, Mapping):
        raise SettingsError("columns", message="columns is a table by the columns' keys")
    try:
        return MappingProxyType(
            {
                str(slug).removeprefix("log_"): Correction.read(value)
                for slug, value in given.items()
            }
        )
    except ValueError as error:
        raise SettingsError("columns", message=f"a column is wrong: {error}") from error
