"""The words of inetbox.py and inetbox2mqtt for the codes on the wire (spec truma g.2, g.5, g.6).

Pure conversions without the rules of section e. "boost" is code 10 in inetbox.py and code 11 on
the panel: each dialect keeps its own word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

ZERO_CELSIUS = 2730
NO_TEMPERATURE = frozenset({0, 0x0AAA, 0xAAAA})
"""Codes that mean "off" or "no value"; both programs write them as 0."""
LOWEST_TARGET = 5
"""Degrees; less is "off"."""

_NUMBER = re.compile(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})")


class Dialect(StrEnum):
    """Whose topics and words."""

    INETBOX_PY = "inetbox.py"
    INETBOX2MQTT = "inetbox2mqtt"


class Language(StrEnum):
    """The language of inetbox.py's words."""

    NONE = "none"
    EN = "en"
    DE = "de"


class Kind(StrEnum):
    """What a code is of."""

    TEMPERATURE = "temperature"
    WATER = "target_temp_water"
    ENERGY_MIX = "energy_mix"
    POWER_LEVEL = "el_power_level"
    HEATING_MODE = "heating_mode"
    OPERATING_STATUS = "operating_status"
    CLOCK_MODE = "clock_mode"
    CLOCK_SOURCE = "clock_source"
    AIRCON_MODE = "aircon_operating_mode"
    AIRCON_VENT = "aircon_vent_mode"


class UpdateStatus(StrEnum):
    """Where a change is on its way."""

    WAITING_FOR_CP_PLUS = "waiting_for_cp_plus"
    WAITING_COMMIT = "waiting_commit"
    WAITING_TRUMA = "waiting_truma"
    IDLE = "idle"


Words = Mapping[int, str]


def _three(rows: Mapping[int, tuple[str, str, str]]) -> Mapping[Language, Words]:
    return MappingProxyType(
        {
            language: MappingProxyType({code: words[index] for code, words in rows.items()})
            for index, language in enumerate((Language.NONE, Language.EN, Language.DE))
        }
    )


_INETBOX_PY: Mapping[Kind, Mapping[Language, Words]] = {
    Kind.WATER: _three(
        {
            0: ("0", "off", "aus"),
            3130: ("40", "eco", "eco"),
            3330: ("60", "high", "high"),
            4730: ("200", "boost", "boost"),
        }
    ),
    Kind.ENERGY_MIX: _three(
        {
            0: ("none", "none", "keine"),
            1: ("gas", "gas", "Gas"),
            2: ("electricity", "electricity", "Strom"),
            3: ("mix", "mix", "Mischung"),
        }
    ),
    Kind.POWER_LEVEL: _three(
        {
            0: ("0", "off", "aus"),
            900: ("900", "900 W", "900 W"),
            1800: ("1800", "1800 W", "1800 W"),
        }
    ),
    Kind.HEATING_MODE: _three(
        {0: ("off", "off", "aus"), 1: ("eco", "eco", "eco"), 10: ("boost", "boost", "boost")}
    ),
    Kind.OPERATING_STATUS: _three(
        {
            0: ("Off", "off", "Aus"),
            1: ("WARNING", "WARNING", "WARNUNG"),
            4: ("On (starting)", "on (starting)", "Ein (Starte)"),
            5: ("On", "on", "Ein"),
        }
    ),
    Kind.CLOCK_MODE: _three({0: ("24h", "24h", "24 Stunden"), 1: ("12h", "12h", "12 Stunden")}),
    Kind.CLOCK_SOURCE: _three(
        {1: ("manual", "manual", "manuell"), 2: ("inetbox", "inetbox", "inetbox")}
    ),
}
_EXTENDED: Mapping[Kind, Mapping[Language, Words]] = {
    Kind.HEATING_MODE: _three(
        {
            2: ("night", "night", "Nacht"),
            3: ("auto", "auto", "Automatik"),
            11: ("boost (Vario)", "boost (Vario)", "boost (Vario)"),
        }
    ),
    # Bit 0 the heater's electronics, bit 1 mains, bit 2 window closed.
    Kind.OPERATING_STATUS: _three(
        {
            6: ("Off (230 V)", "off (230 V)", "Aus (230 V)"),
            7: ("On (230 V)", "on (230 V)", "Ein (230 V)"),
        }
    ),
}
_INETBOX2MQTT: Mapping[Kind, Words] = {
    Kind.ENERGY_MIX: _INETBOX_PY[Kind.ENERGY_MIX][Language.NONE],
    Kind.POWER_LEVEL: _INETBOX_PY[Kind.POWER_LEVEL][Language.NONE],
    Kind.HEATING_MODE: MappingProxyType({0: "off", 1: "eco", 10: "high"}),
    Kind.AIRCON_MODE: MappingProxyType({0: "off", 4: "vent", 5: "cool", 6: "hot", 7: "auto"}),
    Kind.AIRCON_VENT: MappingProxyType(
        {0x71: "low", 0x72: "mid", 0x73: "high", 0x74: "night", 0x77: "auto"}
    ),
}
_INETBOX2MQTT_STATUS = {0: "Off", 1: "WARNING", 4: "start/cool down"}
_UNKNOWN = {Language.NONE: "UNKNOWN", Language.EN: "UNKNOWN", Language.DE: "UNBEKANNT"}
_UPDATE_STATUS = {
    Language.EN: {
        UpdateStatus.WAITING_FOR_CP_PLUS: "waiting for CP Plus",
        UpdateStatus.WAITING_COMMIT: "waiting for commit",
        UpdateStatus.WAITING_TRUMA: "waiting for Truma",
        UpdateStatus.IDLE: "idle",
    },
    Language.DE: {
        UpdateStatus.WAITING_FOR_CP_PLUS: "Warte auf CP Plus",
        UpdateStatus.WAITING_COMMIT: "Warte auf Versand",
        UpdateStatus.WAITING_TRUMA: "Warte auf Truma",
        UpdateStatus.IDLE: "Leerlauf",
    },
}


def tenths(code: int) -> str:
    """Return a temperature code with one decimal, always."""
    shown = code - ZERO_CELSIUS
    sign = "-" if shown < 0 else ""
    return f"{sign}{abs(shown) // 10}.{abs(shown) % 10}"


def number_in(text: str) -> Decimal:
    """Return the decimal number in *text*. Raises :class:`ValueError`."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    return Decimal(text)


def temperature_code(text: str) -> int:
    """Return the code of a temperature; less than 5 degrees is 0. Raises :class:`ValueError`."""
    degrees = number_in(text)
    if degrees < LOWEST_TARGET:
        return 0
    code = int(degrees * 10) + ZERO_CELSIUS
    if code > 0xFFFF:
        raise ValueError(f"{text[:40]!r} is no temperature")
    return code


def error_text(code: int, error_class: int) -> str:
    """Return the number that the panel shows for an error."""
    return str(error_class * 100 + code)


def clock_text(hours: int, minutes: int) -> str:
    """Return the time of day as inetbox2mqtt writes it."""
    return f"{hours:02}:{minutes:02}"


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of a dialect. ``extended`` adds those that inetbox.py lacks."""

    dialect: Dialect = Dialect.INETBOX_PY
    language: Language = Language.NONE
    extended: bool = False

    def text(self, kind: Kind, code: int) -> str:
        """Return the word for a code, "UNKNOWN" included."""
        if kind is Kind.TEMPERATURE:
            return self._temperature(code)
        if kind is Kind.WATER and self.dialect is Dialect.INETBOX2MQTT:
            return self._temperature(code)
        if kind is Kind.WATER and code in NO_TEMPERATURE:
            code = 0
        found = self.words(kind).get(code)
        return self._unknown(kind, code) if found is None else found

    def code(self, kind: Kind, text: str) -> int:
        """Return the code of a word. Raises :class:`ValueError`."""
        if kind is Kind.TEMPERATURE:
            return temperature_code(text)
        if kind is Kind.WATER and self.dialect is Dialect.INETBOX2MQTT:
            code = temperature_code(text)
            if code not in _INETBOX_PY[Kind.WATER][Language.NONE]:
                raise ValueError(f"target_temp_water takes 0, 40, 60 or 200, not {text[:40]!r}")
            return code
        words = self.words(kind)
        for code, word in words.items():
            if word == text:
                return code
        known = ", ".join(words.values())
        raise ValueError(f"{kind.value} takes one of {known}, not {text[:40]!r}")

    def words(self, kind: Kind) -> Words:
        """Return all words of a kind, by code."""
        if self.dialect is Dialect.INETBOX2MQTT:
            return _INETBOX2MQTT.get(kind, {})
        plain = _INETBOX_PY.get(kind, {}).get(self.language, {})
        if not self.extended or kind not in _EXTENDED:
            return plain
        return {**plain, **_EXTENDED[kind][self.language]}

    def update_status(self, status: UpdateStatus) -> str:
        """Return the word for where a change is."""
        return _UPDATE_STATUS.get(self.language, {}).get(status, status.value)

    def cp_plus_status(self, *, online: bool) -> str:
        """Return the word for whether the panel talks to us."""
        if online:
            return "online"
        return "warte..." if self.language is Language.DE else "waiting"

    def _temperature(self, code: int) -> str:
        if code in NO_TEMPERATURE:
            return "0"
        found = tenths(code)
        return found if self.dialect is Dialect.INETBOX2MQTT else found.removesuffix(".0")

    def _unknown(self, kind: Kind, code: int) -> str:
        if self.dialect is Dialect.INETBOX_PY:
            return _UNKNOWN[self.language]
        if kind is Kind.OPERATING_STATUS:
            return _INETBOX2MQTT_STATUS.get(code, f"On({code})")
        return str(code) if kind is Kind.POWER_LEVEL else f"UNKNOWN ({code})"


_DISPLAY: Mapping[str, Words] = {
    "energy_mix": {0x00: "electricity", 0xFA: "gas/mix"},
    "energy_mode": {0x00: "gas", 0x09: "mix/electricity 1", 0x12: "mix/electricity 2"},
    "energy_mode_2": {1: "Gas", 2: "Electricity", 3: "Gas/Electricity"},
    "vent_mode": {
        0x0: "Off",
        0xB: "Eco",
        0xD: "High",
        **{step: f"Vent {step}" for step in range(1, 11)},
    },
    "vent_or_something_status": {
        0x01: "off",
        0x22: "on + airvent",
        0x02: "on",
        0x31: "error (?)",
        0x32: "fatal error",
        0x21: "airvent (?)",
    },
    "cp_plus_display_status": {
        0xF0: "heating on",
        0x20: "standby ac on",
        0x00: "standby ac off",
        0xD0: "error",
        0x70: "fatal error",
        0x50: "boiler on",
        0x40: "boiler off",
    },
    "heating_status": {
        0x10: "boiler eco done",
        0x11: "boiler eco heating",
        0x30: "boiler hot done",
        0x31: "boiler hot heating",
    },
    "heating_status_2": {
        0x04: "normal",
        0x05: "error",
        0xFF: "fatal error (?)",
        0xFE: "normal (?)",
    },
}


def display_text(key: str, code: int) -> str:
    """Return inetbox.py's word for a byte of the display frames; some are guesses, and stay."""
    return _DISPLAY[key].get(code, f"unknown value {code:02x}")
