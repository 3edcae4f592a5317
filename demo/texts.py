"""What the demonstration itself says, in four languages; names of entities come from the texts."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "nl", "de", "fr")

_ROWS = """
home | Home | Thuis | Zuhause | Maison
energy | Energy | Energie | Energie | Énergie
inverter | Solar inverter | Zonne-omvormer | Solarwechselrichter | Onduleur solaire
ventilation | Ventilation | Ventilatie | Lüftung | Ventilation
van | Van | Camper | Wohnmobil | Fourgon
cabin | Cabin | Huisje | Hütte | Chalet
gx | Victron GX | Victron GX | Victron GX | Victron GX
display | What its display shows | Wat het scherm laat zien | Was sein Display zeigt | Ce que montre son écran
day | The last day | De laatste dag | Der letzte Tag | Le dernier jour
weeks | Two weeks | Twee weken | Zwei Wochen | Deux semaines
automations | Automations | Automatiseringen | Automationen | Automatisations
settings | Settings | Instellingen | Einstellungen | Réglages
technical | Technical | Technisch | Technisch | Technique
auto_boost | Ventilate while somebody showers | Ventileren tijdens het douchen | Lüften, solange jemand duscht | Ventiler pendant la douche
auto_night | Van: cooler at night | Camper: 's nachts koeler | Wohnmobil: nachts kühler | Fourgon : plus frais la nuit
auto_sun | Van: hot water from spare sun | Camper: warm water van zon die over is | Wohnmobil: Warmwasser aus übrigem Sonnenstrom | Fourgon : eau chaude du soleil en trop
"""  # noqa: E501

TEXTS: Mapping[str, Mapping[str, str]] = {
    language: {
        key.strip(): words[number].strip()
        for key, *words in (row.split(" | ") for row in _ROWS.strip().splitlines())
    }
    for number, language in enumerate(LANGUAGES)
}
"""By language, then by key."""
