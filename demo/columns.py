"""The data logger's columns as their owner would call them; the maker's names are Dutch."""

from __future__ import annotations

from collections.abc import Mapping

from .home_assistant import HomeAssistant
from .texts import LANGUAGES

_ROWS = """
_log_temp_boiler_boven_c | - | Hot water | Warm water | Warmwasser | Eau chaude
_log_temp_boiler_onder_c | - | Boiler, bottom | Boiler, onder | Speicher, unten | Ballon, bas
_log_temp_afvoerlucht_c | - | Extract air | Afvoerlucht | Abluft | Air extrait
_log_temp_buitenlucht_c | - | Outdoor air | Buitenlucht | Außenluft | Air extérieur
_log_temp_verdamper | - | Evaporator | Verdamper | Verdampfer | Évaporateur
_log_temp_persgas | - | Discharge gas | Persgas | Heißgas | Gaz de refoulement
_log_temp_zuiggas | - | Suction gas | Zuiggas | Sauggas | Gaz d'aspiration
_log_rv_afvoerlucht | - | Humidity | Luchtvochtigheid | Luftfeuchte | Humidité
_log_toeren_ventilator_omw_min | fan | Fan speed | Toerental ventilator | Ventilatordrehzahl | Vitesse du ventilateur
_log_debiet_m3_h | weather-windy | Air flow | Luchtdebiet | Luftmenge | Débit d'air
_log_compressor | heat-pump-outline | Compressor | Compressor | Verdichter | Compresseur
_log_verwarmingselement | heating-coil | Heating element | Verwarmingselement | Heizstab | Résistance
_log_klep_1 | pipe-valve | Valve 1 | Klep 1 | Ventil 1 | Vanne 1
_log_pomp | pump | Pump | Pomp | Pumpe | Pompe
_log_vermogen_w | - | Power | Vermogen | Leistung | Puissance
_log_energie_kwh | - | Energy | Energie | Energie | Énergie
_log_draaiuren_compressor_u | - | Compressor hours | Draaiuren compressor | Betriebsstunden Verdichter | Heures du compresseur
_log_druk_bar | - | Pressure | Druk | Druck | Pression
_log_filter_vervuild | air-filter | Filter dirty | Filter vervuild | Filter verschmutzt | Filtre encrassé
_log_ontdooien | snowflake-melt | Defrosting | Ontdooien | Abtauen | Dégivrage
"""  # noqa: E501


async def name_columns(ha: HomeAssistant, families: Mapping[str, str], language: str) -> None:
    """Give the columns that are shown a name in a language, and an icon; *families* by entry id."""
    told = [row.split(" | ") for row in _ROWS.strip().splitlines()]
    for entity in await ha.command("config/entity_registry/list"):
        if families.get(entity["config_entry_id"] or "") != "inventum":
            continue
        for ending, icon, *words in told:
            if entity["unique_id"].endswith(ending):
                await ha.command(
                    "config/entity_registry/update",
                    entity_id=entity["entity_id"],
                    name=words[LANGUAGES.index(language)],
                    icon=None if icon == "-" else f"mdi:{icon}",
                )
