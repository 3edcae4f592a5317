"""The config flow: where the dongle is overheard or the inverter asked; tries it first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import probatio as vol
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigFlowResult,
)
from homeassistant.data_entry_flow import section
from homeassistant.helpers import selector

from ...const import ALREADY_SIMULATED
from ...engines.engine import LinkError, Reason
from ...engines.factory import LINK, TIME_ZONE, ProbeResult, SettingsError
from ...engines.sunsynk import FACTORY
from ...engines.sunsynk.capture.live import ANY, interfaces
from ...engines.sunsynk.settings import (
    DEFAULT_PORT,
    EVERYWHERE,
    MAXIMUM_READ,
    FramingChoice,
    Source,
    SunsynkSettings,
)
from ...flow import FamilyFlow, async_is_time_zone
from ...ports import async_stable_name
from .const import (
    CONF_FILTER,
    CONF_FRAMING,
    CONF_INTERFACE,
    CONF_INVERTERS,
    CONF_LISTEN,
    CONF_LISTEN_PORT,
    CONF_MAX_BLOCK,
    CONF_PATH,
    CONF_PEERS,
    CONF_PROMISCUOUS,
    CONF_SERIAL,
    CONF_SERVER,
    CONF_SOURCE,
    CONF_UNIT,
    CONF_UNITS,
    CONF_WARP,
    KEY,
    SECTION_MORE,
)
from .selectors import FRAMING, PORT, TEXT, choice, number

LISTEN_SECONDS = 10.0
FILE_SECONDS = 5.0
RELAY_SECONDS = 0.5
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^/:\s\[\]]+):[0-9]{1,5}")
DEFAULT_SERVER = f"ukiot.sunsynk.net:{DEFAULT_PORT}"


class SunsynkFlow(FamilyFlow):
    """Where the dongle's reports are overheard."""

    _sunsynk_settings: dict[str, Any]
    _sunsynk_heard: ProbeResult | None = None
    _sunsynk_failure: tuple[dict[str, str], dict[str, Any]] | None = None
    """What was wrong when listening began: the errors, and what the user had filled in."""
    _sunsynk_detail = "-"
    """What is wrong, in the engine's words."""

    async def async_step_sunsynk(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the source."""
        return self.async_show_menu(
            step_id="sunsynk",
            menu_options=[
                "sunsynk_modbus",
                "sunsynk_live",
                "sunsynk_relay",
                "sunsynk_file",
                "sunsynk_sim",
            ],
        )

    async def async_step_sunsynk_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the source again: it may become another one."""
        return await self.async_step_sunsynk()

    async def async_step_sunsynk_live(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for an interface of this host."""
        names = sorted(await self.hass.async_add_executor_job(interfaces), key=_likeliness)
        schema = vol.Schema(
            {
                vol.Required(CONF_INTERFACE): choice(names),
                vol.Required(TIME_ZONE): await self._sunsynk_zones(),
                vol.Required(SECTION_MORE): section(
                    vol.Schema(
                        {
                            vol.Optional(CONF_FILTER): TEXT,
                            vol.Required(
                                CONF_PROMISCUOUS, default=True
                            ): selector.BooleanSelector(),
                        }
                    ),
                    {"collapsed": True},
                ),
            }
        )
        return await self._sunsynk_form(Source.LIVE, schema, user_input, {CONF_INTERFACE: names[0]})

    async def async_step_sunsynk_relay(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the two ends of the relay."""
        schema = vol.Schema(
            {
                vol.Required(CONF_LISTEN_PORT, default=DEFAULT_PORT): PORT,
                vol.Required(CONF_SERVER, default=DEFAULT_SERVER): TEXT,
                vol.Optional(CONF_PEERS): TEXT,
                vol.Required(TIME_ZONE): await self._sunsynk_zones(),
            }
        )
        return await self._sunsynk_form(Source.RELAY, schema, user_input)

    async def async_step_sunsynk_file(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a capture file."""
        schema = vol.Schema(
            {
                vol.Required(CONF_PATH): TEXT,
                vol.Required(TIME_ZONE): await self._sunsynk_zones(),
                vol.Required(SECTION_MORE): section(
                    vol.Schema({vol.Optional(CONF_FILTER): TEXT}), {"collapsed": True}
                ),
            }
        )
        return await self._sunsynk_form(Source.FILE, schema, user_input)

    async def async_step_sunsynk_modbus(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port or gateway, and for the units on the line."""
        more = {
            vol.Required(CONF_SERIAL, default="9600 8N1"): TEXT,
            vol.Required(CONF_FRAMING, default=FramingChoice.AUTO.value): FRAMING,
            vol.Required(CONF_MAX_BLOCK, default=66): number(1, MAXIMUM_READ, 1),
            vol.Required(TIME_ZONE): await self._sunsynk_zones(),
        }
        schema = vol.Schema(
            {
                vol.Required(LINK): selector.SerialPortSelector(),
                vol.Required(CONF_UNITS, default="1"): TEXT,
                vol.Required(SECTION_MORE): section(vol.Schema(more), {"collapsed": True}),
            }
        )
        zone = {SECTION_MORE: {TIME_ZONE: self.hass.config.time_zone}}
        return await self._sunsynk_form(Source.MODBUS, schema, user_input, zone)

    async def async_step_sunsynk_sim(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how to simulate."""
        schema = vol.Schema(
            {
                vol.Required(TIME_ZONE): await self._sunsynk_zones(),
                vol.Required(CONF_INVERTERS, default=1): number(1, 8, 1),
                vol.Required(CONF_WARP, default=30): number(1, 600, 1),
            }
        )
        return await self._sunsynk_form(Source.SIM, schema, user_input)

    async def _sunsynk_zones(self) -> selector.SelectSelector:
        zones = await self.hass.async_add_executor_job(available_timezones)
        return choice(sorted(zones))

    async def _sunsynk_form(
        self,
        source: Source,
        schema: vol.Schema,
        user_input: dict[str, Any] | None,
        suggested: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        self._sunsynk_detail = "-" if self._sunsynk_failure is None else self._sunsynk_detail
        if user_input is not None:
            data = self._sunsynk_flattened(source, user_input)
            errors = await self._sunsynk_check(data)
            if not errors:
                return await self._sunsynk_accept(source, data)
        elif self._sunsynk_failure is not None:
            errors, user_input = self._sunsynk_failure
            self._sunsynk_failure = None
        if Reason.BAD_FILTER.value in errors.values():
            for part in schema.schema.values():
                if isinstance(part, section):
                    part.options["collapsed"] = False
        present = {**(suggested or {}), **self._sunsynk_present_values(source)}
        return self.async_show_form(
            step_id=f"sunsynk_{source}",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or present),
            errors=errors,
            description_placeholders={"detail": self._sunsynk_detail},
        )

    def _sunsynk_present_values(self, source: Source) -> dict[str, Any]:
        if self.source != SOURCE_RECONFIGURE:
            return {TIME_ZONE: self.hass.config.time_zone}
        data = dict(self._get_reconfigure_entry().data)
        if data[CONF_SOURCE] != source:
            zone = {TIME_ZONE: data[TIME_ZONE]}
            return {SECTION_MORE: zone} if source is Source.MODBUS else zone
        if CONF_UNIT in data:
            data[CONF_UNITS] = ", ".join(str(unit) for unit in FACTORY.read(data).all_units)
        if CONF_LISTEN in data:
            data[CONF_LISTEN_PORT] = FACTORY.read(data).listen_address()[1]
        if CONF_PEERS in data:
            data[CONF_PEERS] = ", ".join(data[CONF_PEERS])
        return {**data, SECTION_MORE: data}

    def _sunsynk_flattened(self, source: Source, user_input: dict[str, Any]) -> dict[str, Any]:
        data = {CONF_SOURCE: source.value, **user_input}
        data |= data.pop(SECTION_MORE, {})
        if source is Source.MODBUS:
            _modbus_flattened(data)
        if CONF_INVERTERS in data:
            data[CONF_INVERTERS] = int(data[CONF_INVERTERS])
        if CONF_LISTEN_PORT in data:
            data[CONF_LISTEN] = f"{EVERYWHERE}:{int(data.pop(CONF_LISTEN_PORT))}"
        if CONF_PEERS in data:
            data[CONF_PEERS] = data[CONF_PEERS].replace(",", " ").split()
        if CONF_PATH in data:
            data[CONF_PATH] = self.hass.config.path(data[CONF_PATH])
        return data

    async def _sunsynk_check(self, data: dict[str, Any]) -> dict[str, str]:
        if CONF_PATH in data and not self._sunsynk_allowed(data[CONF_PATH]):
            return {CONF_PATH: "path_not_allowed"}
        try:
            settings = FACTORY.read(data)
            if not await async_is_time_zone(self.hass, settings.time_zone):
                return {TIME_ZONE: Reason.BAD_TIMEZONE.value}
            match settings.source:
                case Source.MODBUS:
                    data[LINK] = await async_stable_name(self.hass, settings.link)
                    if self._sunsynk_taken(data[LINK]):
                        return {LINK: "link_in_use"}
                case Source.FILE:
                    await self.async_probe(FACTORY, data, seconds=FILE_SECONDS)
                case Source.RELAY:
                    await self.async_probe(FACTORY, data, seconds=RELAY_SECONDS)
        except LinkError as error:
            self._sunsynk_detail = str(error)
            return _form_error(error, data)
        return {}

    def _sunsynk_taken(self, link: str) -> bool:
        """Whether another entry, of any family, uses this port or gateway."""
        own = self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None
        others = self.hass.config_entries.async_entries(self.handler, include_ignore=False)
        shared = link.startswith("sim://")
        return not shared and any(
            entry.data.get(LINK) == link for entry in others if entry is not own
        )

    def _sunsynk_allowed(self, path: str) -> bool:
        inside = Path(path).is_relative_to(self.hass.config.config_dir) and ".." not in path
        return inside or self.hass.config.is_allowed_path(path)

    async def _sunsynk_accept(self, source: Source, data: dict[str, Any]) -> ConfigFlowResult:
        await self.async_set_unique_id(FACTORY.read(data).unique_id)
        if self.source != SOURCE_RECONFIGURE:
            reason = ALREADY_SIMULATED if source is Source.SIM else "already_configured"
            self._abort_if_unique_id_configured(error=reason)
        elif self.unique_id != self._get_reconfigure_entry().unique_id:
            self._async_abort_entries_match({CONF_SOURCE: source.value, **_identity(data)})
        self._sunsynk_settings = data
        if source is Source.LIVE:
            return await self.async_step_sunsynk_listen()
        if source is Source.MODBUS:
            return await self.async_step_sunsynk_ask()
        return self._sunsynk_create()

    async def async_step_sunsynk_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen for a while, to tell the user what passes."""
        shown = self.show_work(
            "sunsynk_listen",
            lambda: self.async_probe(FACTORY, self._sunsynk_settings, seconds=LISTEN_SECONDS),
            seconds=LISTEN_SECONDS,
        )
        if shown is not None:
            return shown
        try:
            self._sunsynk_heard = self.take_work()
        except LinkError as error:
            data = {**self._sunsynk_settings, SECTION_MORE: self._sunsynk_settings}
            self._sunsynk_failure = (_form_error(error, data), data)
            self._sunsynk_detail = str(error)
            return self.async_show_progress_done(next_step_id="sunsynk_live")
        return self.async_show_progress_done(next_step_id="sunsynk_heard")

    async def async_step_sunsynk_ask(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask the inverter who it is."""
        shown = self.show_work(
            "sunsynk_ask",
            lambda: self.async_probe(FACTORY, self._sunsynk_settings),
            action="sunsynk_modbus",
            seconds=FACTORY.modbus_probe_seconds,
        )
        if shown is not None:
            return shown
        data = self._sunsynk_settings
        try:
            result: ProbeResult = self.take_work()
        except LinkError as error:
            self._sunsynk_detail = str(error)
            errors = _form_error(error, data)
        else:
            self._sunsynk_detail = result.detail or "-"
            errors = _probe_error(result)
            data |= result.settings
        if errors:
            again = {**data, CONF_UNITS: _units_text(data), SECTION_MORE: data}
            self._sunsynk_failure = (errors, again)
            return self.async_show_progress_done(next_step_id="sunsynk_modbus")
        return self.async_show_progress_done(next_step_id="sunsynk_answered")

    async def async_step_sunsynk_answered(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Make the entry: the inverter has answered."""
        return self._sunsynk_create()

    async def async_step_sunsynk_heard(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show what was heard and let the user decide."""
        heard = self._sunsynk_heard
        assert heard is not None
        if user_input is not None:
            return self._sunsynk_create()
        return self.async_show_form(
            step_id="sunsynk_heard",
            data_schema=vol.Schema({}),
            description_placeholders={
                "seconds": f"{LISTEN_SECONDS:.0f}",
                "packets": str(heard.counters.get("packets", 0)),
                "reports": str(heard.counters.get("reports", 0)),
                "serials": ", ".join(device.id for device in heard.devices) or "-",
            },
        )

    def _sunsynk_create(self) -> ConfigFlowResult:
        title = f"Sunsynk ({_title(FACTORY.read(self._sunsynk_settings))})"
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if entry.title == f"Sunsynk ({_title(FACTORY.read(entry.data))})":
                self.hass.config_entries.async_update_entry(entry, title=self.own_title(title))
        return self.async_finish(KEY, title, self._sunsynk_settings)


def _likeliness(interface: str) -> tuple[bool, bool, bool, str]:
    """Return by what interfaces are sorted: never the loopback first, nor those of containers."""
    virtual = interface.startswith(("docker", "veth", "hassio", "tun", "wg"))
    return interface == "lo", virtual, interface == ANY, interface


def _form_error(error: LinkError, data: Mapping[str, Any]) -> dict[str, str]:
    """Return the error at its field, or above the form for fields in the collapsed section."""
    field = error.field if isinstance(error, SettingsError) else "base"
    field = CONF_LISTEN_PORT if field == CONF_LISTEN else field
    field = CONF_UNITS if field == CONF_UNIT else field
    shown = (field in data or field == CONF_LISTEN_PORT) and field not in (
        CONF_FILTER,
        CONF_PROMISCUOUS,
        CONF_SERIAL,
        CONF_FRAMING,
        CONF_MAX_BLOCK,
    )
    return {field if shown else "base": error.reason.value}


def _modbus_flattened(data: dict[str, Any]) -> None:
    """Bring what was typed for Modbus into the form of the settings."""
    link = data[LINK].strip()
    data[LINK] = f"socket://{link}" if _HOST_PORT.fullmatch(link) else link
    units = str(data.pop(CONF_UNITS)).replace(",", " ").split() or ["1"]
    # What is no number is told by the settings.
    numbers = [int(unit) if unit.isascii() and unit.isdigit() else 0 for unit in units]
    data[CONF_UNIT], data[CONF_UNITS] = numbers[0], numbers[1:]
    data[CONF_MAX_BLOCK] = int(data[CONF_MAX_BLOCK])


def _units_text(data: Mapping[str, Any]) -> str:
    return ", ".join(str(unit) for unit in (data[CONF_UNIT], *data[CONF_UNITS]))


def _probe_error(result: ProbeResult) -> dict[str, str]:
    """Return why an inverter that was asked can't be set up."""
    if result.reason is None and result.devices:
        return {}
    if result.counters.get("three_phase"):
        return {"base": "sunsynk_three_phase"}
    return {"base": (result.reason or Reason.NO_ANSWER).value}


def _identity(data: Mapping[str, Any]) -> dict[str, Any]:
    keys = (CONF_INTERFACE, CONF_PATH, CONF_LISTEN, LINK)
    return {key: data[key] for key in keys if key in data}


def _title(settings: SunsynkSettings) -> str:
    match settings.source:
        case Source.FILE:
            return Path(settings.path).name
        case Source.LIVE:
            return settings.interface
        case Source.RELAY:
            return f"relay {settings.target}"
        case Source.MODBUS:
            return f"Modbus {Path(settings.target).name or settings.target}"
        case _:
            return "simulated"
