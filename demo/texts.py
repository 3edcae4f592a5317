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
today | Today | Vandaag | Heute | Aujourd'hui
lifetime | Since it was installed | Sinds de installatie | Seit dem Einbau | Depuis l'installation
air | Air | Lucht | Luft | Air
heat_pump | Heat pump | Warmtepomp | Wärmepumpe | Pompe à chaleur
heater | Heater | Verwarming | Heizung | Chauffage
aircon | Air conditioner | Airconditioner | Klimaanlage | Climatiseur
panel | Panel | Paneel | Bedienteil | Panneau
sun | Solar | Zon | Sonne | Solaire
grid | Grid | Net | Netz | Réseau
battery | Battery | Batterij | Batterie | Batterie
output | Output of the inverters | Levering van de omvormers | Abgabe der Wechselrichter | Puissance des onduleurs
sun_today | Sun today | Zon vandaag | Sonne heute | Soleil aujourd'hui
consumed_today | Consumed today | Verbruikt vandaag | Verbraucht heute | Consommé aujourd'hui
registered | Shown on the GX | Getoond op de GX | Auf dem GX zu sehen | Affichés sur le GX
offered | Offered to the GX | Aangeboden aan de GX | Dem GX angeboten | Proposés au GX
technical | Technical | Technisch | Technisch | Technique
auto_boost | Ventilate while somebody showers | Ventileren tijdens het douchen | Lüften, solange jemand duscht | Ventiler pendant la douche
auto_night | Van: cooler at night | Camper: 's nachts koeler | Wohnmobil: nachts kühler | Fourgon : plus frais la nuit
auto_sun | Van: hot water from spare sun | Camper: warm water van zon die over is | Wohnmobil: Warmwasser aus übrigem Sonnenstrom | Fourgon : eau chaude du soleil en trop
"""  # noqa: E501

_NAMES = """
_pv_power _pv_production_daily _pv_production_total | Solar | Zon | Sonne | Solaire
_load_power _load_consumption_daily _load_consumption_total _system_output_active_power | Home | Huis | Haus | Maison
_battery_power | Battery | Batterij | Batterie | Batterie
_battery_soc _7002 | Battery | Batterij | Batterie | Batterie
_grid_power _system_input_active_power | Grid | Net | Netz | Réseau
_grid_import_daily _grid_import_total | From the grid | Van het net | Netzbezug | Du réseau
_grid_export_daily _grid_export_total | To the grid | Naar het net | Einspeisung | Vers le réseau
_battery_charge_daily _battery_charge_total _7007 | Charged | Geladen | Geladen | Chargé
_battery_discharge_daily _battery_discharge_total _7008 | Discharged | Ontladen | Entladen | Déchargé
_inverter_state | State | Toestand | Zustand | État
_grid_connected | Grid | Net | Netz | Réseau
_grid_voltage | Grid voltage | Netspanning | Netzspannung | Tension réseau
_grid_frequency | Frequency | Frequentie | Frequenz | Fréquence
_battery_voltage _7000 | Voltage | Spanning | Spannung | Tension
_battery_temperature | Battery | Batterij | Batterie | Batterie
_7001 | Current | Stroom | Strom | Courant
_log_verwarmingselement | Element | Element | Heizstab | Résistance
_log_toeren_ventilator_omw_min | Fan speed | Toerental | Drehzahl | Vitesse
_log_temp_buitenlucht_c | Outdoor air | Buitenlucht | Außenluft | Air extérieur
_log_temp_persgas | Discharge gas | Persgas | Heißgas | Refoulement
_boost_remaining | Boost left | Boost nog | Boost noch | Boost restant
_fan_event | Last event | Laatste | Zuletzt | Dernier
_current_temp_room | Room | Ruimte | Raum | Intérieur
_current_temp_water | Water | Water | Wasser | Eau
_heater_voltage | Voltage | Spanning | Spannung | Tension
_aircon_current_temp | Temperature | Temperatuur | Temperatur | Température
_heating_demand | Room heat | Warmte | Raumwärme | Chauffage
_water_demand | Hot water | Warm water | Warmwasser | Eau chaude
_heater_mains | 230 V | 230 V | 230 V | 230 V
_timer_active | Timer | Timer | Zeitschaltuhr | Minuterie
_heater_problem | Problem | Probleem | Problem | Problème
_heater_state | Burner | Brander | Brenner | Brûleur
_panel_connected | Connection | Verbinding | Verbindung | Liaison
_panel_refresh | Read all | Alles lezen | Alles lesen | Tout lire
_panel_sync_clock | Set clock | Klok zetten | Uhr stellen | Régler l'heure
_last_message | Last message | Laatste melding | Letzte Meldung | Dernier message
_helper_online | Helper | Helper | Helfer | Assistant
_helper_devices | Devices | Apparaten | Geräte | Appareils
"""  # noqa: E501


def _table(rows: str) -> Mapping[str, Mapping[str, str]]:
    """Return a table by language, then by each key of a row."""
    told = [row.split(" | ") for row in rows.strip().splitlines()]
    return {
        language: {
            key: words[number].strip() for keys, *words in told for key in keys.strip().split(" ")
        }
        for number, language in enumerate(LANGUAGES)
    }


TEXTS = _table(_ROWS)
"""By language, then by key."""
NAMES = _table(_NAMES)
"""What entities are called on the dashboard, where they have little room: by language, then by the
end of the unique id."""
