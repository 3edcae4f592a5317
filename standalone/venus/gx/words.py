"""The words of the display and of the devices that are simulated by default, in four languages."""

from __future__ import annotations

from typing import Any, Callable

LANGUAGES = ("en", "nl", "de", "fr")

_ROWS = """
Devices | Apparaten | Geräte | Appareils
On | Aan | Ein | Marche
Off | Uit | Aus | Arrêt
Auto | Auto | Auto | Auto
Press | Indrukken | Drücken | Appuyer
Fridge | Koelkast | Kühlschrank | Réfrigérateur
Fresh water | Schoon water | Frischwasser | Eau douce
Panel | Paneel | Bedienteil | Panneau
Salon | Salon | Salon | Salon
Light | Licht | Licht | Éclairage
Heating | Verwarming | Heizung | Chauffage
Energy | Energie | Energie | Énergie
Gas | Gas | Gas | Gaz
Mix | Mix | Mix | Mixte
Electric | Elektrisch | Elektrisch | Électrique
"""

Say = Callable[[str], str]

_BY_LANGUAGE: dict[str, dict[str, str]] = {
    language: {
        words[0]: words[number]
        for words in (row.split(" | ") for row in _ROWS.strip().splitlines())
    }
    for number, language in enumerate(LANGUAGES)
}
_NAMES = ("name", "custom_name", "group", "labels")


def speaker(language: str) -> Say:
    """Return what says an English word in a language; a word that it does not know stays.

    Raises ValueError.
    """
    if language not in _BY_LANGUAGE:
        raise ValueError(f"{language!r} is none of {', '.join(LANGUAGES)}")
    table = _BY_LANGUAGE[language]
    return lambda word: table.get(word, word)


def renamed(registration: Any, say: Say) -> Any:
    """Return a device's registration with the names in it said by *say*."""
    if isinstance(registration, list):
        return [renamed(one, say) for one in registration]
    if not isinstance(registration, dict):
        return registration
    return {
        key: _said(value, say) if key in _NAMES else renamed(value, say)
        for key, value in registration.items()
    }


def _said(value: Any, say: Say) -> Any:
    if isinstance(value, list):
        return [_said(one, say) for one in value]
    return say(value) if isinstance(value, str) else value
