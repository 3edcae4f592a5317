"""Makes the entity texts and icons of Studer systems from the glossary and the catalogues.

The translations live in ``strings/studer/glossary.json``, by the manufacturer's own
English words: ``names`` by label, ``options`` by option, ``messages`` by text, ``own`` for what
the manufacturer has no words for. A label may say in brackets where it stands, when it alone
doesn't tell two datapoints apart: the platform, the number, or the menu, also with the menu
above it (``Start hour (AUX #) [Temporal restrictions (AUX #) > Program 2 (AUX #)]``). ``#``
stands for the number of an auxiliary contact or a track.

``script/strings.py`` calls :func:`made` and merges what it returns. Words that lack a translation,
or that nothing needs, are errors.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "standalone" / "src"))

from hardwired_engines.fields import Field, Offer, Quantity  # noqa: E402
from hardwired_engines.presentation import Control, control_of  # noqa: E402
from hardwired_engines.studer.catalogue import CATALOGUES, point_of  # noqa: E402
from hardwired_engines.studer.datapoints.datapoint import Datapoint, menus  # noqa: E402
from hardwired_engines.studer.scom.families import Family  # noqa: E402
from hardwired_engines.studer.scom.messages import Severity, table  # noqa: E402

GLOSSARY = ROOT / "strings" / "studer" / "glossary.json"
LANGUAGES = ("en", "nl", "de", "fr")
PREFIX = "studer_"

ICONS: tuple[tuple[str, str], ...] = (
    ("state_of_auxiliary|relay", "mdi:electric-switch"),
    ("remote_entry_state", "mdi:import"),
    ("identify", "mdi:crosshairs-question"),
    ("near_realtime", "mdi:speedometer"),
    ("restart", "mdi:restart"),
    ("save_all_files", "mdi:content-save-all"),
    ("new_datalog_file", "mdi:file-document-plus-outline"),
    ("sd_card_present", "mdi:sd"),
    ("^(last_)?message$", "mdi:message-alert-outline"),
    ("^date$", "mdi:clock-outline"),
    ("language", "mdi:translate"),
    ("display_contrast", "mdi:contrast-circle"),
    ("backlight", "mdi:brightness-6"),
    ("acoustic_alarm", "mdi:bullhorn"),
    ("potentiomenter", "mdi:knob"),
    ("grid_loss", "mdi:transmission-tower-off"),
    ("grid_feeding|injection", "mdi:transmission-tower-import"),
    ("source_of_limitation|input_limite_reached", "mdi:car-speed-limiter"),
    ("smart_boost|boost_active", "mdi:rocket-launch"),
    ("search_mode|standby", "mdi:power-sleep"),
    ("synchroni[sz]", "mdi:sync"),
    ("overloads|overtemperature|over_temperature|overvoltage", "mdi:alert-outline"),
    ("error", "mdi:alert-circle-outline"),
    ("charger_allowed|equalization_allowed", "mdi:battery-charging"),
    ("state_of_health", "mdi:battery-heart-variant"),
    ("production_.*_ah_", "mdi:solar-power"),
    ("ah_discharged|discharge_ah", "mdi:battery-arrow-down"),
    ("ah_charged|charge_ah", "mdi:battery-arrow-up"),
    ("battery_cycle_phase|state_of_charge", "mdi:battery-charging"),
    ("capacity", "mdi:battery-high"),
    ("battery_priority", "mdi:home-battery"),
    ("number_of_battery_elements|battery_type|voltage_of_the_system", "mdi:car-battery"),
    ("compensation_of_battery_voltage", "mdi:plus-minus-variant"),
    ("pv\\d?_operating_mode|pv_type_of_wiring|pv_modules", "mdi:solar-panel"),
    ("^operating_mode$|variotrack|variostring", "mdi:solar-power-variant"),
    ("inverter|operating_state", "mdi:sine-wave"),
    ("defined_phase", "mdi:numeric"),
    ("lockings", "mdi:lock-outline"),
    ("manufacturer", "mdi:factory"),
    ("version", "mdi:information-outline"),
    ("parameter|info", "mdi:counter"),
    ("debug|state_machine", "mdi:bug-outline"),
)
"""By a piece of the key, the first that fits."""
CLOSED = "mdi:electric-switch-closed"

WITH_CLASS = frozenset(
    {
        Quantity.APPARENT_POWER,
        Quantity.CONNECTIVITY,
        Quantity.CURRENT,
        Quantity.DURATION,
        Quantity.ENERGY,
        Quantity.FREQUENCY,
        Quantity.POWER,
        Quantity.PROBLEM,
        Quantity.STATE_OF_CHARGE,
        Quantity.TEMPERATURE,
        Quantity.VOLTAGE,
    }
)
"""What has a device class, and with it an icon."""

NUMBERED = re.compile(r"\b(aux|auxiliary relay|track) (\d)\b", re.IGNORECASE)
ILL_FORMED = re.compile(r"[{}<>]|^\s|\s\s|\s$|[.:;,]$")


@dataclass(frozen=True, slots=True)
class Use:
    """One field of one kind of device that becomes an entity."""

    kind: str
    platform: str
    item: Field
    point: Datapoint | None

    @property
    def places(self) -> Iterator[str]:
        """Where its label stands, the most telling first."""
        if self.point is not None:
            yield from menu_paths(self.point.family, self.point.menus)
            yield str(self.point.id)
        yield self.kind
        yield self.platform


def menu_paths(family: Family, ids: tuple[int, ...]) -> Iterator[str]:
    """Yield the menus with these numbers: first with the menu above them, then alone."""
    known = {menu.id: menu for menu in menus(family)}
    found = [known[number] for number in ids if number in known]
    for menu in found:
        for above in menu.menus:
            if above in known:
                yield f"{known[above].name} > {menu.name}"
    for menu in found:
        yield menu.name


def uses() -> Iterator[Use]:
    """Yield every field that becomes an entity."""
    for kind, catalogue in CATALOGUES.items():
        for item in catalogue.values():
            control = control_of(item)
            if control not in (None, Control.TEXT):
                yield Use(kind, control.value, item, point_of(kind, item.key))


class Glossary:
    """The translations, and which of them were asked for."""

    def __init__(self, content: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        self._content = content
        self._written = {normal(word): word for word in content["names"]}
        self._used: set[tuple[str, str]] = set()
        self.faults: list[str] = []

    def get(self, section: str, word: str) -> Mapping[str, str]:
        """Return the translations of a word; without any, note the fault."""
        found = self._content[section].get(word)
        if found is None:
            self.faults.append(f"{section} lacks: {word}")
            return dict.fromkeys(LANGUAGES, word)
        self._used.add((section, word))
        return found

    def names(self, use: Use) -> dict[str, str]:
        """Return the names of an entity in all languages."""
        label = use.item.name
        numbered = NUMBERED.search(label)
        number = numbered[2] if numbered else "#"
        wanted = normal(label)
        for place in use.places:
            if f"{wanted} [{normal(place)}]" in self._written:
                wanted = f"{wanted} [{normal(place)}]"
                break
        texts = self.get("names", self._written.get(wanted, NUMBERED.sub(r"\1 #", label)))
        return {language: text.replace("#", number) for language, text in texts.items()}

    def check(self) -> None:
        """Note what is incomplete, ill-formed or not needed."""
        for section, words in self._content.items():
            for word, texts in words.items():
                if (section, word) not in self._used:
                    self.faults.append(f"{section}, not needed: {word}")
                if tuple(texts) != LANGUAGES:
                    self.faults.append(f"{section}, not in {', '.join(LANGUAGES)}: {word}")
                for language, text in texts.items():
                    if not text or ILL_FORMED.search(text):
                        self.faults.append(f"{section}, ill-formed in {language}: {word}: {text}")


def normal(label: str) -> str:
    """Return a label as the glossary is searched for it."""
    return NUMBERED.sub(r"\1 #", label).casefold()


def same_names(texts: Mapping[str, Any], language: str) -> Iterator[str]:
    """Yield the names that two entities of one platform of one kind of device share."""
    owners: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for use in uses():
        key = PREFIX + use.item.key
        name = texts["entity"][use.platform][key]["name"]
        owners[use.kind, use.platform, name.casefold()].add(key)
    for (kind, platform, name), keys in owners.items():
        if len(keys) > 1:
            yield f"{language}: {kind} {platform} {name!r} names {', '.join(sorted(keys))}"


def message_texts(glossary: Glossary, language: str) -> dict[str, Any]:
    """Return the texts of the event's attributes."""
    kinds = {kind.value: glossary.get("own", kind.value)[language] for kind in Severity}
    messages = {
        message.key: glossary.get("messages", message.text)[language]
        for message in table().values()
    }
    return {
        "event_type": {"state": kinds},
        "message": {"name": glossary.get("own", "message")[language], "state": messages},
    }


def texts_in(glossary: Glossary, language: str) -> dict[str, Any]:
    """Return the texts of all entities in one language."""
    platforms: dict[str, dict[str, Any]] = defaultdict(dict)
    for use in uses():
        key = PREFIX + use.item.key
        name = glossary.names(use)[language]
        entry = platforms[use.platform].setdefault(key, {"name": name})
        if entry["name"] != name:
            glossary.faults.append(f"{use.platform} {key}: {entry['name']!r} or {name!r}?")
        if use.item.quantity is Quantity.OPTION:
            states = entry.setdefault("state", {})
            states.update(
                (option, glossary.get("options", option)[language]) for option in use.item.options
            )
        if use.item.quantity is Quantity.EVENT:
            entry["state_attributes"] = message_texts(glossary, language)
    texts = {"entity": platforms}
    glossary.faults.extend(same_names(texts, language))
    return texts


def icons(glossary: Glossary) -> dict[str, Any]:
    """Return the icons of the entities that are offered and have none by their device class."""
    platforms: dict[str, dict[str, Any]] = defaultdict(dict)
    found: set[str] = set()
    for use in uses():
        if use.item.offer is Offer.ON_REQUEST or use.item.quantity in WITH_CLASS:
            continue
        key = PREFIX + use.item.key
        rule = next((rule for rule in ICONS if re.search(rule[0], use.item.key)), None)
        if rule is None:
            glossary.faults.append(f"{use.platform} {key} has no icon")
            continue
        found.add(rule[0])
        entry: dict[str, Any] = {"default": rule[1]}
        platforms[use.platform][key] = entry
        if use.platform == "binary_sensor" and rule[1] == "mdi:electric-switch":
            entry["state"] = {"on": CLOSED}
    glossary.faults.extend(
        f"icon, not needed: {pattern}" for pattern, _ in ICONS if pattern not in found
    )
    return {"entity": platforms}


@cache
def made() -> Mapping[str, dict[str, Any]]:
    """Return the texts of each language and the icons, by the name of the file they belong in.

    Raises :class:`SystemExit` that tells what is wrong with the glossary.
    """
    glossary = Glossary(json.loads(GLOSSARY.read_text(encoding="utf-8")))
    files = {f"{language}.json": texts_in(glossary, language) for language in LANGUAGES}
    files["icons.json"] = icons(glossary)
    glossary.check()
    if glossary.faults:
        raise SystemExit("\n".join(dict.fromkeys(glossary.faults)))
    return files
