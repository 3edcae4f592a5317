"""The options flow: what the fan may do, and what columns of the data logger mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import probatio as vol
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlowWithReload
from homeassistant.const import Platform
from homeassistant.helpers import entity_registry as er, selector

from ...engines.engine import LinkError
from ...engines.inventum import FACTORY
from ...engines.inventum.engine import DEVICE_ID, InventumEngine
from ...engines.inventum.names import UNITS
from ...engines.inventum.profile import Kind
from .const import CONF_COLUMNS, CONF_FAN_COLUMN, CONF_OTHER_POSITIONS, CONF_RELEASE_ON_STOP

_CHOSEN = "column"
_KINDS = [kind.value for kind in Kind if kind is not Kind.FAN_POSITION]


class InventumOptions(OptionsFlowWithReload):
    """The fan, and one column at a time."""

    _column: str

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin; columns can be chosen once the logger has printed them."""
        if not self._known_columns():
            return await self.async_step_inventum_fan()
        return self.async_show_menu(
            step_id="init", menu_options=["inventum_fan", "inventum_columns"]
        )

    def _known_columns(self) -> Mapping[str, str]:
        """Return the title of each column, by slug."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return {}
        engine: InventumEngine = self.config_entry.runtime_data.engine
        return engine.columns

    async def async_step_inventum_fan(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what the fan may do."""
        if user_input is not None:
            kept = {
                key: value
                for key, value in self.config_entry.options.items()
                if key not in (CONF_OTHER_POSITIONS, CONF_RELEASE_ON_STOP, CONF_FAN_COLUMN)
            }
            return self.async_create_entry(data={**kept, **user_input})
        schema = vol.Schema(
            {
                vol.Required(CONF_OTHER_POSITIONS, default=False): selector.BooleanSelector(),
                vol.Required(CONF_RELEASE_ON_STOP, default=False): selector.BooleanSelector(),
                vol.Optional(CONF_FAN_COLUMN): selector.TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="inventum_fan",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )

    async def async_step_inventum_columns(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which column."""
        if user_input is not None:
            self._column = user_input[_CHOSEN]
            return await self.async_step_inventum_column()
        options = [
            selector.SelectOptionDict(value=slug, label=title)
            for slug, title in self._known_columns().items()
        ]
        schema = vol.Schema(
            {
                vol.Required(_CHOSEN): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=options, mode=selector.SelectSelectorMode.DROPDOWN
                    )
                )
            }
        )
        return self.async_show_form(step_id="inventum_columns", data_schema=schema)

    def _settle_entity(self, kind: str | None) -> None:
        """Let the column have one entity: of its kind, and on when the owner says what it is.

        One of another kind would stay behind, unavailable.
        """
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return
        coordinator = self.config_entry.runtime_data.coordinator
        engine: InventumEngine = self.config_entry.runtime_data.engine
        flag = (kind or engine.kind_by_the_rules(self._column)) == Kind.FLAG
        platform = Platform.BINARY_SENSOR if flag else Platform.SENSOR
        device = coordinator.data.devices[DEVICE_ID].device
        unique_id = coordinator.family.unique_id(self.config_entry, device, f"log_{self._column}")
        registry = er.async_get(self.hass)
        for entity in er.async_entries_for_config_entry(registry, self.config_entry.entry_id):
            if entity.unique_id != unique_id:
                continue
            if entity.domain != platform:
                registry.async_remove(entity.entity_id)
            elif kind and entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION:
                registry.async_update_entity(entity.entity_id, disabled_by=None)

    async def async_step_inventum_column(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what it means. An empty kind: by the rules again."""
        errors: dict[str, str] = {}
        present = self.config_entry.options.get(CONF_COLUMNS, {})
        if user_input is not None:
            columns = {**present, self._column: user_input}
            if all(value in (None, "") for value in user_input.values()):
                columns.pop(self._column)
            options = {**self.config_entry.options, CONF_COLUMNS: columns}
            try:
                FACTORY.read({**self.config_entry.data, **options})
            except LinkError:
                errors["base"] = "wrong_column"
            else:
                self._settle_entity(user_input.get("kind"))
                return self.async_create_entry(data=options)
        schema = vol.Schema(
            {
                vol.Optional("kind"): selector.SelectSelector(
                    selector.SelectSelectorConfig(options=_KINDS, translation_key="inventum_kind")
                ),
                vol.Optional("unit"): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=list(UNITS), mode=selector.SelectSelectorMode.DROPDOWN
                    )
                ),
                vol.Optional("factor"): selector.NumberSelector(
                    selector.NumberSelectorConfig(step="any", mode=selector.NumberSelectorMode.BOX)
                ),
                vol.Optional("name"): selector.TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="inventum_column",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or present.get(self._column, {})
            ),
            description_placeholders={
                "column": self._known_columns().get(self._column, self._column)
            },
            errors=errors,
        )
