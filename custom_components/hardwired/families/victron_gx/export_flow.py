"""The subentry flow: one export, that is one device on the GX (spec H.1, H.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import probatio as vol
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr, entity_registry as er, selector

from ...const import CONF_FAMILY, DOMAIN
from ...engines.victron_gx.catalogue import instance_key
from ...engines.victron_gx.config import (
    PHASES,
    ROLES,
    ConfigError,
    OnLoss,
    Template,
    client_id_for,
    read_export,
)
from ...engines.victron_gx.engine import Tried, VictronGxEngine
from ...engines.victron_gx.home import EntityState
from .const import CONF_MORE, KEY
from .home import async_state_of, from_state
from .proposals import PHASE_SLOTS, fitting, propose, slots_of
from .registry import async_source

_CONTROLS = frozenset(
    {
        Template.CLIMATE,
        Template.WATER_HEATER,
        Template.PANEL,
        Template.EV,
        Template.EVCHARGER,
    }
)
_POSITIONED = frozenset({Template.METER, Template.EVCHARGER})
_ERRORS = {
    "name": "name",
    "client_id": "client_id",
    "level": "level",
    "capacity": "capacity",
    "base": "empty",
    "entities": "empty",
    "entity": "empty",
}


def _select(name: str, options: Iterable[str]) -> selector.SelectSelector:
    return selector.SelectSelector(
        selector.SelectSelectorConfig(
            options=list(options),
            translation_key=f"{KEY}_{name}",
            mode=selector.SelectSelectorMode.DROPDOWN,
        )
    )


_NUMBER = selector.NumberSelector(
    selector.NumberSelectorConfig(min=0, step="any", mode=selector.NumberSelectorMode.BOX)
)
_PLACE = selector.NumberSelector(
    selector.NumberSelectorConfig(min=0, max=2, step=1, mode=selector.NumberSelectorMode.BOX)
)


class ExportFlow(ConfigSubentryFlow):
    """Makes and changes an export."""

    _template: Template
    _proposed: Mapping[str, Any] | None = None
    _data: dict[str, Any]
    _tried: VictronGxEngine | None = None
    _found: Tried

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what is to be shown."""
        return self.async_show_menu(
            step_id="user", menu_options=["device", *(template.value for template in Template)]
        )

    async def async_step_device(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a device, and propose what fits it."""
        if user_input is not None:
            return await self._from_device(user_input["device"])
        return self.async_show_form(
            step_id="device",
            data_schema=vol.Schema({vol.Required("device"): selector.DeviceSelector()}),
        )

    async def _from_device(self, device_id: str) -> SubentryFlowResult:
        registry = er.async_get(self.hass)
        entries = er.async_entries_for_device(registry, device_id)
        # What may come from the GX by hand-made MQTT is offered, but not proposed.
        states = [
            self._state(entry.entity_id)
            for entry in entries
            if not (found := async_source(self.hass, entry.entity_id)).doubtful and found.offered
            if entry.entity_category is None
        ]
        proposal = propose(state for state in states if state is not None)
        if proposal is None:
            return self.async_abort(reason="nothing_fits")
        self._template, filled = proposal
        name = next((state.name for state in states if state is not None), "")
        self._proposed = {**filled, "name": self._device_name(device_id) or name}
        return await self._form(None)

    def _device_name(self, device_id: str) -> str:
        device = dr.async_get(self.hass).async_get(device_id)
        return "" if device is None else device.name_by_user or device.name or ""

    def _state(self, entity_id: str) -> EntityState | None:
        state = self.hass.states.get(entity_id)
        return None if state is None else from_state(self.hass, entity_id, state)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change an export."""
        present = self._get_reconfigure_subentry()
        try:
            self._template = Template(str(present.data.get("template")))
        except ValueError:
            return await self.async_step_user()
        self._proposed = _form_of({"name": present.title, **present.data})
        return await self._form(None)

    # ------------------------------------------------------------------------------ the form

    async def _form(self, user_input: dict[str, Any] | None) -> SubentryFlowResult:
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _data_of(self._template, user_input)
            errors = self._check(data)
            if not errors:
                self._data = data
                if self._doubtful():
                    return await self.async_step_doubtful()
                return await self._try_out()
        suggested = user_input or self._proposed or self._only_choice()
        return self.async_show_form(
            step_id=self._template.value,
            data_schema=self.add_suggested_values_to_schema(self._schema(), suggested),
            errors=errors,
            description_placeholders={"present": self._on_the_gx()},
        )

    def _schema(self) -> vol.Schema:
        template = self._template
        fields: dict[Any, Any] = {vol.Required("name"): selector.TextSelector()}
        fields |= _OWN_FIELDS.get(template, {})
        states = self._offered()
        for slot in slots_of(template):
            choice = _entity_selector(fitting(template, slot, states), many=slot == "entities")
            needed = slot in ("entity", "entities")
            fields[vol.Required(slot) if needed else vol.Optional(slot)] = choice
        if template is Template.METER:
            for phase in PHASES:
                inner = {
                    vol.Optional(slot): _entity_selector(fitting(template, slot, states))
                    for slot in PHASE_SLOTS
                }
                fields[vol.Required(phase)] = section(vol.Schema(inner), {"collapsed": True})
        if template in _POSITIONED:
            fields[vol.Optional("position")] = _PLACE
        if template in _CONTROLS:
            fields[vol.Required("controls_allowed", default=True)] = selector.BooleanSelector()
        more = {
            vol.Optional("client_id"): selector.TextSelector(),
            vol.Required("on_loss", default=OnLoss.LEAVE.value): _select(
                "on_loss", (one.value for one in OnLoss)
            ),
        }
        fields[vol.Required(CONF_MORE)] = section(vol.Schema(more), {"collapsed": True})
        return vol.Schema(fields)

    def _offered(self) -> list[EntityState]:
        return [
            from_state(self.hass, state.entity_id, state)
            for state in self.hass.states.async_all()
            if async_source(self.hass, state.entity_id).offered
        ]

    def _only_choice(self) -> dict[str, Any]:
        """Propose the entity of a template when there is one only that is not exported yet."""
        if slots_of(self._template) != ("entity",):
            return {}
        taken = {subentry.data.get("entity") for subentry in self._get_entry().subentries.values()}
        found = [
            one for one in fitting(self._template, "entity", self._offered()) if one not in taken
        ]
        if len(found) != 1:
            return {}
        state = self._state(found[0])
        return {"entity": found[0], "name": "" if state is None else state.name}

    def _on_the_gx(self) -> str:
        """Return which services the export has on the GX now (spec H.6)."""
        entry = self._get_entry()
        if self.source != SOURCE_RECONFIGURE or entry.state is not ConfigEntryState.LOADED:
            return ""
        key = self._reconfigure_subentry_id
        snapshot = entry.runtime_data.engine.snapshot
        exporter = snapshot.devices.get(key)
        if exporter is None or not exporter.values.get("registered"):
            return ""
        told = [
            f"{ident.removesuffix('_instance')}: {value}"
            for ident, value in exporter.values.items()
            if ident.endswith(instance_key("")) and value is not None
        ]
        return f"\n\nGX: {exporter.device.model} ({', '.join(told)})"

    # ----------------------------------------------------------------------------- the answer

    def _check(self, data: Mapping[str, Any]) -> dict[str, str]:
        try:
            config = read_export(data)
        except ConfigError as error:
            key = error.field if error.field in data or error.field == "name" else "base"
            return {key: _ERRORS.get(error.field, "invalid")}
        forbidden = [
            one for one in config.every_entity() if not async_source(self.hass, one).offered
        ]
        if forbidden:
            return {"base": "forbidden"}
        own = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        for entry in self.hass.config_entries.async_entries(DOMAIN):
            if entry.data.get(CONF_FAMILY) != KEY:
                continue
            for key, subentry in entry.subentries.items():
                if key != own and subentry.unique_id == config.client_id:
                    return {"base": "client_id_taken"}
        return {}

    def _doubtful(self) -> list[str]:
        config = read_export(self._data)
        return [one for one in config.every_entity() if async_source(self.hass, one).doubtful]

    async def async_step_doubtful(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask whether what may come from the GX itself is meant."""
        if user_input is not None:
            return await self._try_out()
        return self.async_show_form(
            step_id="doubtful",
            data_schema=vol.Schema({}),
            description_placeholders={"entities": ", ".join(self._doubtful())},
        )

    async def _try_out(self) -> SubentryFlowResult:
        """Offer it to the GX at once, to say what it is there (spec H.6)."""
        entry = self._get_entry()
        if self.source == SOURCE_RECONFIGURE or entry.state is not ConfigEntryState.LOADED:
            return self._save()
        engine: VictronGxEngine = entry.runtime_data.engine
        entities = read_export(self._data).every_entity()
        self._tried = engine
        found = await engine.try_out(
            self._data, [async_state_of(self.hass, one) for one in entities]
        )
        if found is None:
            return self._save()
        self._found = found
        return await self.async_step_tried()

    async def async_step_tried(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say what it is on the GX, so that its copies can be disabled."""
        if user_input is not None:
            return self._save()
        told = ", ".join(f"{kind} {number}" for kind, number in self._found.services.values())
        message = self._found.message
        return self.async_show_form(
            step_id="tried",
            data_schema=vol.Schema({}),
            description_placeholders={
                "services": told or "-",
                "message": f"\n\nGX: {message}" if message else "",
            },
        )

    @callback
    def async_remove(self) -> None:
        """Take what was tried out back, when the dialog is closed without an end."""
        if self._tried is not None:
            self._tried.withdraw(read_export(self._data).client_id)

    def _save(self) -> SubentryFlowResult:
        config = read_export(self._data)
        data = {**self._data, "client_id": config.client_id}
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=config.name,
                data=data,
                unique_id=config.client_id,
            )
        return self.async_create_entry(title=config.name, data=data, unique_id=config.client_id)


_OWN_FIELDS: Mapping[Template, dict[Any, Any]] = {
    Template.METER: {vol.Required("role", default="acload"): _select("role", ROLES)},
    Template.SENSOR: {vol.Required("kind", default="2"): _select("kind", map(str, range(7)))},
    Template.TANK: {
        vol.Required("fluid", default="1"): _select("fluid", map(str, range(12))),
        vol.Optional("capacity"): _NUMBER,
    },
    Template.BATTERY: {
        vol.Optional("capacity"): _NUMBER,
        vol.Required("invert", default=False): selector.BooleanSelector(),
    },
}


def _entity_selector(found: list[str], *, many: bool = False) -> selector.EntitySelector:
    # An empty list would mean all; a name that can't be is none.
    return selector.EntitySelector(
        selector.EntitySelectorConfig(include_entities=found or ["sensor.none"], multiple=many)
    )


def _data_of(template: Template, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an export from its form."""
    data: dict[str, Any] = {"template": template.value}
    for key, value in form.items():
        if key in PHASES:
            if value:
                data.setdefault("phases", {})[key] = dict(value)
        elif key == CONF_MORE:
            data |= {name: one for name, one in value.items() if one not in (None, "")}
        elif value not in (None, ""):
            data[key] = int(value) if key in ("kind", "fluid", "position") else value
    data["name"] = str(data.get("name", "")).strip()
    if not data.get("client_id"):
        data["client_id"] = client_id_for(data["name"])
    return data


def _form_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in the form of an export."""
    form = {key: value for key, value in data.items() if key not in ("template", "phases")}
    more = {key: form.pop(key) for key in ("client_id", "on_loss") if key in form}
    for key in ("kind", "fluid"):
        if key in form:
            form[key] = str(form[key])
    return {**form, **data.get("phases", {}), CONF_MORE: more}


def _step(template: Template) -> Any:
    async def step(
        self: ExportFlow, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        self._template = template
        return await self._form(user_input)

    step.__doc__ = f"Ask what a {template.value} is made from."
    return step


for _one in Template:
    setattr(ExportFlow, f"async_step_{_one.value}", _step(_one))
