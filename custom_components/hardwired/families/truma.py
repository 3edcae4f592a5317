"""Truma heaters and air conditioners behind a CP Plus panel: the face in Home Assistant."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from zoneinfo import available_timezones

import probatio as vol
from homeassistant.components.climate import (  # type: ignore[attr-defined]
    ClimateEntity,
    ClimateEntityFeature,
    HVACAction,
    HVACMode,
)
from homeassistant.components.water_heater import (  # type: ignore[attr-defined]
    WaterHeaterEntity,
    WaterHeaterEntityFeature,
)
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import ATTR_TEMPERATURE, CONF_DEVICE, Platform, UnitOfTemperature
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.helpers import config_validation as cv, selector
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity

from ..actions import coordinator_of, entry_field, register
from ..coordinator import HardwiredCoordinator
from ..engines.engine import Command, DeviceState, LinkError, Reason
from ..engines.fields import Field, Offer, Value
from ..engines.truma.catalogue import CATALOGUES, ENERGIES, POWERS, VENTS, WATER_MODES
from ..engines.truma.devices import HeaterKind
from ..engines.truma.engine import TrumaEngine
from ..engines.truma.inet.box import Identity
from ..engines.truma.inet.buffers import MessageId
from ..engines.truma.installation import AIRCON, HEATER, PANEL
from ..engines.truma.probe import Heard, probe
from ..engines.truma.rules import (
    AIRCON_HIGHEST,
    AIRCON_LOWEST,
    MODES_OF,
    ROOM_HIGHEST,
    ROOM_LOWEST,
    HeatingMode,
)
from ..engines.truma.settings import TrumaSettings
from ..entity import HardwiredEntity
from ..family import EntityMaker, Family, Issue, platform_of
from ..flow import FamilyFlow, async_is_time_zone

KEY = "truma"

CONF_OBSERVER = "observer"
CONF_IDENTITY = "identity"
CONF_CLOCK_SYNC = "clock_sync"
CONF_TIMEZONE = "timezone"
CONF_DEFAULT_HEATING_MODE = "default_heating_mode"

LISTEN_SECONDS = 8.0


class TrumaFlow(FamilyFlow):
    """The port on which the LIN bus is heard."""

    _truma: dict[str, Any]
    _probing: asyncio.Task[Heard] | None = None
    _heard: Heard | None = None
    _truma_error: str | None = None

    async def async_step_truma(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the port."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                TrumaSettings.from_mapping(user_input)
            except LinkError as error:
                errors["base"] = error.reason.value
            else:
                self._async_abort_entries_match({CONF_DEVICE: user_input[CONF_DEVICE]})
                self._truma = user_input
                return await self.async_step_truma_listen()
        elif self._truma_error is not None:
            errors["base"], self._truma_error = self._truma_error, None
            user_input = self._truma
        schema = vol.Schema(
            {
                vol.Required(CONF_DEVICE): selector.SerialPortSelector(),
                vol.Required(CONF_OBSERVER, default=False): selector.BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="truma",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or self._truma_present()
            ),
            errors=errors,
        )

    async def async_step_truma_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port again."""
        return await self.async_step_truma()

    def _truma_present(self) -> Mapping[str, Any]:
        if self.source != SOURCE_RECONFIGURE:
            return {}
        return self._get_reconfigure_entry().data

    async def async_step_truma_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen to the bus for a while."""
        if self._probing is None:
            self._probing = self.hass.async_create_task(self._listen(), "hardwired listens")
        if not self._probing.done():
            return self.async_show_progress(
                step_id="truma_listen",
                progress_action="truma_listen",
                progress_task=self._probing,
                description_placeholders={"seconds": f"{LISTEN_SECONDS:.0f}"},
            )
        task, self._probing = self._probing, None
        try:
            self._heard = task.result()
        except LinkError as error:
            self._truma_error = error.reason.value
            return self.async_show_progress_done(next_step_id="truma")
        if self._heard.reason is None:
            return self.async_show_progress_done(next_step_id="truma_finish")
        return self.async_show_progress_done(next_step_id="truma_heard")

    async def _listen(self) -> Heard:
        def progress(heard: Heard) -> None:
            self.async_update_progress(min(1.0, heard.seconds / LISTEN_SECONDS))

        async with self.async_link_freed():
            return await probe(TrumaSettings.from_mapping(self._truma), LISTEN_SECONDS, progress)

    async def async_step_truma_heard(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Explain what is missing, and let the user go on or back."""
        heard = self._heard
        assert heard is not None
        reason = heard.reason or Reason.STARTING
        return self.async_show_menu(
            step_id=f"truma_{_shown(reason)}",
            menu_options=["truma_listen", "truma", "truma_finish"],
            description_placeholders={
                "headers": str(heard.headers),
                "calls": str(heard.calls),
                "seconds": f"{heard.seconds:.0f}",
            },
        )

    async_step_truma_silent = async_step_truma_heard
    async_step_truma_noise = async_step_truma_heard
    async_step_truma_not_registered = async_step_truma_heard
    async_step_truma_second_master = async_step_truma_heard

    async def async_step_truma_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Make the entry."""
        options = {CONF_CLOCK_SYNC: False, CONF_TIMEZONE: self.hass.config.time_zone}
        if self.source == SOURCE_RECONFIGURE:
            options = {}
        return self.async_finish(KEY, "Truma", self._truma, options)

    def async_remove(self) -> None:
        """Stop listening when the user closes the dialog."""
        if self._probing is not None:
            self._probing.cancel()
        with contextlib.suppress(AttributeError):
            super().async_remove()


def _shown(reason: Reason) -> str:
    known = (Reason.SILENT, Reason.NOISE, Reason.NOT_REGISTERED, Reason.SECOND_MASTER)
    return reason.value if reason in known else Reason.SILENT.value


class TrumaOptions(OptionsFlowWithReload):
    """How we behave on the bus."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin."""
        return await self.async_step_truma()

    async def async_step_truma(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if await async_is_time_zone(self.hass, user_input[CONF_TIMEZONE]):
                return self.async_create_entry(data=user_input)
            errors[CONF_TIMEZONE] = Reason.BAD_TIMEZONE.value
        zones = await self.hass.async_add_executor_job(available_timezones)
        modes = sorted({mode.name.lower() for modes in MODES_OF.values() for mode in modes})
        schema = vol.Schema(
            {
                vol.Required(CONF_CLOCK_SYNC, default=False): selector.BooleanSelector(),
                vol.Required(
                    CONF_TIMEZONE, default=self.hass.config.time_zone
                ): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=sorted(zones),
                        custom_value=True,
                        mode=selector.SelectSelectorMode.DROPDOWN,
                    )
                ),
                vol.Optional(CONF_DEFAULT_HEATING_MODE): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=modes, translation_key="truma_heating_mode"
                    )
                ),
                vol.Required(CONF_IDENTITY, default=Identity.BOX.value): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=[identity.value for identity in Identity],
                        translation_key="truma_identity",
                    )
                ),
            }
        )
        return self.async_show_form(
            step_id="truma",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or self.config_entry.options
            ),
            errors=errors,
        )


class NativeTemperatures:
    """Temperatures under the names of Home Assistant 2026.11, where they are called native.

    Home Assistant 2026.10 and older ask for the same without that word.
    """

    _attr_native_temperature_unit = UnitOfTemperature.CELSIUS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give an older Home Assistant the names that it knows."""
        super().__init_subclass__(**kwargs)
        if hasattr(ClimateEntity, "native_temperature_unit"):
            return
        for owner in (NativeTemperatures, cls):
            for name, value in tuple(vars(owner).items()):
                for prefix, older in (("_attr_native_", "_attr_"), ("native_", "")):
                    if name.startswith(prefix):
                        setattr(cls, older + name.removeprefix(prefix), value)


class Thermostat(NativeTemperatures, HardwiredEntity, RestoreEntity, ClimateEntity):
    """What room heating and air conditioner have in common: whole degrees and a fan.

    Both are switched on again as they were last; the panel does not tell that while they are off.
    """

    _attr_name = None
    _attr_target_temperature_step = 1
    _attr_supported_features = (
        ClimateEntityFeature.TARGET_TEMPERATURE
        | ClimateEntityFeature.FAN_MODE
        | ClimateEntityFeature.TURN_ON
        | ClimateEntityFeature.TURN_OFF
    )
    current_key: ClassVar[str]
    target_key: ClassVar[str]
    fan_key: ClassVar[str]
    last_key: ClassVar[str]
    """The value with which it is switched on again."""
    _last: Value

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this value, sent to the panel, switches it on."""
        raise NotImplementedError

    async def async_added_to_hass(self) -> None:
        """Remember how it was on before the restart."""
        await super().async_added_to_hass()
        if (stored := await self.async_get_last_extra_data()) is not None:
            self._remember(stored.as_dict().get("last"))
        self._remember(self.reading(self.last_key))

    @property
    def extra_restore_state_data(self) -> ExtraStoredData:
        """What a restart would forget."""
        return RestoredExtraData({"last": self._last})

    def _remember(self, value: Any) -> None:
        if self.switches_on(value):
            self._last = value

    @callback
    def _handle_coordinator_update(self) -> None:
        self._remember(self.reading(self.last_key))
        super()._handle_coordinator_update()

    @property
    def native_current_temperature(self) -> float | None:
        """The measured temperature."""
        return _number(self.reading(self.current_key))

    @property
    def native_target_temperature(self) -> float | None:
        """The set-point; none while it is off."""
        return _number(self.reading(self.target_key))

    @property
    def fan_mode(self) -> str | None:
        """The fan that the panel shows."""
        mode = self.reading(self.fan_key)
        return mode if isinstance(mode, str) and mode in (self.fan_modes or ()) else None

    async def async_turn_off(self) -> None:
        """Switch off."""
        await self.async_set_hvac_mode(HVACMode.OFF)


class RoomClimate(Thermostat):
    """Room heating. Its fan modes are the heater's heating modes."""

    _attr_translation_key = "truma_room"
    _attr_hvac_modes = [HVACMode.OFF, HVACMode.HEAT]  # noqa: RUF012 - Home Assistant's own way
    _attr_min_temp = ROOM_LOWEST
    _attr_max_temp = ROOM_HIGHEST
    current_key = "current_temp_room"
    target_key = "target_temp_room"
    fan_key = "heating_mode"
    last_key = target_key
    watched = (current_key, target_key, fan_key, "heating_demand", "working", "heater_state")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the heater."""
        super().__init__(coordinator, device, "room")
        self._last = float(ROOM_LOWEST)

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this is a set-point that heats."""
        return isinstance(value, (int, float)) and ROOM_LOWEST <= value <= ROOM_HIGHEST

    @property
    def fan_modes(self) -> list[str]:
        """The heating modes that this heater has."""
        kind = _engine(self.coordinator).installation.heater_kind
        return [mode.name.lower() for mode in MODES_OF[kind]]

    @property
    def hvac_mode(self) -> HVACMode | None:
        """Whether the room is to be heated."""
        mode = self.reading("heating_mode")
        if mode is None:
            return None
        return HVACMode.OFF if mode == "off" else HVACMode.HEAT

    @property
    def hvac_action(self) -> HVACAction | None:
        """What the heater does now."""
        match self.hvac_mode:
            case None:
                return None
            case HVACMode.OFF:
                return HVACAction.OFF
        if self.reading("heater_state") == "powering_up":
            return HVACAction.PREHEATING
        demand, working = self.reading("heating_demand"), self.reading("working")
        if demand is None and working is None:
            return None
        busy = bool(demand) if working is None else bool(working) and demand is not False
        return HVACAction.HEATING if busy else HVACAction.IDLE

    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Switch the room heating on, with the last set-point, or off."""
        if hvac_mode is HVACMode.OFF:
            await self.async_send({"heating_mode": HeatingMode.OFF.name.lower()})
        elif self.hvac_mode is not HVACMode.HEAT:
            await self.async_send({"target_temp_room": self._last})

    async def async_turn_on(self) -> None:
        """Switch the room heating on."""
        await self.async_set_hvac_mode(HVACMode.HEAT)

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point."""
        if kwargs.get("hvac_mode") is HVACMode.OFF:
            await self.async_turn_off()
        elif (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            await self.async_send({"target_temp_room": float(target)})

    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Change the heating mode."""
        wish: dict[str, Any] = {"heating_mode": fan_mode}
        if self.hvac_mode is not HVACMode.HEAT:
            wish["target_temp_room"] = self._last
        await self.async_send(wish)


class HotWater(NativeTemperatures, HardwiredEntity, WaterHeaterEntity):
    """The boiler."""

    _attr_translation_key = "truma_water"
    _attr_min_temp = 0
    _attr_max_temp = 80
    _attr_supported_features = (
        WaterHeaterEntityFeature.OPERATION_MODE | WaterHeaterEntityFeature.ON_OFF
    )
    watched = ("current_temp_water", "water_mode")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the heater."""
        super().__init__(coordinator, device, "water")

    @property
    def native_current_temperature(self) -> float | None:
        """The water temperature."""
        return _number(self.reading("current_temp_water"))

    @property
    def operation_list(self) -> list[str]:
        """The levels that this heater has."""
        vario = _engine(self.coordinator).installation.heater_kind is HeaterKind.VARIO
        return [level for level in WATER_MODES if not (vario and level == "boost")]

    @property
    def current_operation(self) -> str | None:
        """The level that the panel shows."""
        mode = self.reading("water_mode")
        return mode if isinstance(mode, str) else None

    async def async_set_operation_mode(self, operation_mode: str) -> None:
        """Change the level."""
        await self.async_send({"water_mode": operation_mode})

    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch the boiler to eco, when it is off."""
        if self.current_operation in (None, "off"):
            await self.async_send({"water_mode": "eco"})

    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch the boiler off."""
        await self.async_send({"water_mode": "off"})


AIRCON_HVAC = {
    "off": HVACMode.OFF,
    "ventilation": HVACMode.FAN_ONLY,
    "cooling": HVACMode.COOL,
    "heating": HVACMode.HEAT,
    "automatic": HVACMode.AUTO,
}
AIRCON_BY_HVAC = {mode: key for key, mode in AIRCON_HVAC.items()}


class AirConditioner(Thermostat):
    """The air conditioner."""

    _attr_translation_key = "truma_aircon"
    _attr_hvac_modes = list(AIRCON_BY_HVAC)  # noqa: RUF012
    _attr_fan_modes = list(VENTS)  # noqa: RUF012
    _attr_min_temp = AIRCON_LOWEST
    _attr_max_temp = AIRCON_HIGHEST
    current_key = "current_temp"
    target_key = "target_temp"
    fan_key = "vent"
    last_key = "mode"
    watched = (current_key, target_key, fan_key, "mode")

    def __init__(self, coordinator: HardwiredCoordinator, device: DeviceState) -> None:
        """Tie the entity to the air conditioner."""
        super().__init__(coordinator, device, "aircon")
        self._last = "automatic"

    @staticmethod
    def switches_on(value: Any) -> bool:
        """Whether this is a mode other than off."""
        return isinstance(value, str) and value != "off" and value in AIRCON_HVAC

    @property
    def hvac_mode(self) -> HVACMode | None:
        """The mode that the panel shows."""
        mode = self.reading("mode")
        return AIRCON_HVAC.get(mode) if isinstance(mode, str) else None

    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Change the mode."""
        await self.async_send({"mode": AIRCON_BY_HVAC[hvac_mode]})

    async def async_turn_on(self) -> None:
        """Switch on in the last mode."""
        await self.async_send({"mode": self._last})

    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Change the set-point, and the mode when it comes along."""
        wish: dict[str, Any] = {}
        if (target := kwargs.get(ATTR_TEMPERATURE)) is not None:
            wish["target_temp"] = float(target)
        if (mode := kwargs.get("hvac_mode")) is not None:
            wish["mode"] = AIRCON_BY_HVAC[HVACMode(mode)]
        if wish:
            await self.async_send(wish)

    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Change the fan."""
        await self.async_send({"vent": fan_mode})


def _engine(coordinator: HardwiredCoordinator) -> TrumaEngine:
    engine = coordinator.engine
    assert isinstance(engine, TrumaEngine)
    return engine


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


SET_HEATING = vol.Schema(
    {
        **entry_field(),
        vol.Optional("target_temperature"): vol.All(
            vol.Coerce(float), vol.Range(min=0, max=ROOM_HIGHEST)
        ),
        vol.Optional("heating_mode"): vol.In([mode.name.lower() for mode in HeatingMode]),
        vol.Optional("hot_water"): vol.In(WATER_MODES),
        vol.Optional("energy_source"): vol.In(ENERGIES),
        vol.Optional("electric_power"): vol.All(vol.Coerce(str), vol.In(POWERS)),
    }
)
SET_CLOCK = vol.Schema({**entry_field(), vol.Optional("time"): cv.time})
SET_HEATING_KEYS = {
    "target_temperature": "target_temp_room",
    "heating_mode": "heating_mode",
    "hot_water": "water_mode",
    "energy_source": "energy_mix",
    "electric_power": "el_power_level",
}


SET_BY_THERMOSTATS = frozenset(
    {(HEATER, "target_temp_room"), (AIRCON, "mode"), (AIRCON, "vent"), (AIRCON, "target_temp")}
)


class TrumaFamily(Family[TrumaEngine]):
    """The family's part of Home Assistant."""

    key = KEY
    flow = TrumaFlow
    options_flow = TrumaOptions
    catalogues = CATALOGUES
    identified = False
    setup_timeout = 3.0
    composite_texts: ClassVar[frozenset[tuple[str, str]]] = frozenset(
        {
            ("climate", "truma_room"),
            ("climate", "truma_aircon"),
            ("water_heater", "truma_water"),
        }
    )

    async def async_create_engine(
        self, hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> TrumaEngine:
        """Return the engine; the time zone is loaded outside the event loop."""
        settings = TrumaSettings.from_mapping({**entry.data, **entry.options})
        if settings.timezone and not await async_is_time_zone(hass, settings.timezone):
            raise LinkError(Reason.BAD_TIMEZONE, settings.timezone)
        return TrumaEngine(settings)

    def platform(self, kind: str, item: Field) -> Platform | None:
        """Return where a field appears; what a thermostat sets is only read elsewhere."""
        if (kind, item.key) in SET_BY_THERMOSTATS and item.offer is not Offer.NEVER:
            return Platform.SENSOR
        return platform_of(item)

    def translation_key(self, kind: str, item: Field) -> str:
        """Return the key of an entity's texts; the same value means the same on each device."""
        prefix = f"{kind}_" if kind in (AIRCON, "alde") else ""
        return f"{self.key}_{prefix}{item.key}"

    def attributes(self, engine: TrumaEngine, device: str, item: Field) -> Mapping[str, Any] | None:
        """Return the two numbers that an error is made of."""
        status = engine.installation.status.get(MessageId.HEATER)
        if item.key != "error" or status is None:
            return None
        return {"error_class": status["error_class"], "error_code": status["error_code"]}

    def composites(self, platform: Platform, device: DeviceState) -> Iterable[EntityMaker]:
        """Return the thermostats and the boiler."""
        kind = device.device.kind
        if kind == HEATER and "heating_mode" in device.values:
            if platform is Platform.CLIMATE:
                yield RoomClimate
            elif platform is Platform.WATER_HEATER:
                yield HotWater
        elif kind == AIRCON and platform is Platform.CLIMATE:
            yield AirConditioner

    def issues(self, engine: TrumaEngine) -> Iterable[Issue]:
        """Return what the user has to put right now."""
        if engine.settings.network and not engine.settings.observer:
            yield Issue("truma_network_observes")
        if engine.low_latency_refused and not engine.settings.listens_only:
            yield Issue("truma_low_latency")
        if (poor := engine.bus_is_poor) is not None:
            yield Issue("truma_bus_quality", {"damaged": str(poor[0]), "frames": str(poor[1])})
        if (slow := engine.is_too_slow) is not None:
            yield Issue("truma_too_slow", {"late": str(slow[0]), "answered": str(slow[1])})

    def async_setup(self, hass: HomeAssistant) -> None:
        """Register the actions."""

        async def set_heating(call: ServiceCall) -> None:
            values = {
                key: call.data[name]
                for name, key in SET_HEATING_KEYS.items()
                if call.data.get(name) is not None
            }
            await coordinator_of(hass, call, KEY).async_execute(Command(HEATER, values))

        async def refresh(call: ServiceCall) -> None:
            await coordinator_of(hass, call, KEY).async_execute(Command(PANEL, name="refresh"))

        async def set_clock(call: ServiceCall) -> None:
            wished = {"time": call.data["time"]} if "time" in call.data else {}
            command = Command(PANEL, name="sync_clock", options=wished)
            await coordinator_of(hass, call, KEY).async_execute(command)

        register(hass, "truma_set_heating", set_heating, SET_HEATING)
        register(hass, "truma_refresh", refresh, vol.Schema(entry_field()))
        register(hass, "truma_set_clock", set_clock, SET_CLOCK)


FAMILY = TrumaFamily()
