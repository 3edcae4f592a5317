"""The options flow: what is read, how often, and what may be written."""

from __future__ import annotations

from functools import cache
from typing import Any

import probatio as vol
from homeassistant.config_entries import (
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.data_entry_flow import section
from homeassistant.helpers import (
    selector,
)

from ...engines.factory import LINK, SettingsError
from ...engines.fields import Offer
from ...engines.studer import FACTORY
from ...engines.studer.catalogue import CATALOGUES, FAMILY_OF, SYSTEM
from ...engines.studer.datapoints.datapoint import by_key
from ...engines.studer.scom.families import FAMILIES
from ...engines.studer.settings import DEFAULT_INTERVALS, LEVELS, MIN_INTERVAL
from .const import (
    CONF_DATAPOINTS,
    CONF_FEED_WATCHDOGS,
    CONF_LEVEL,
    CONF_PHASES,
    CONF_READ_MESSAGES,
    CONF_REAPPLY_RAM,
    CONF_SEPARATE_BATTERIES,
    CONF_SHARED_LINE,
    SECTION_INTERVALS,
    SECTION_MORE,
)
from .selectors import YES_NO, number

LONGEST_INTERVAL = 3600
INTERVAL_CLASSES = ("fast", "normal", "slow", "config")


@cache
def _requestable() -> list[selector.SelectOptionDict]:
    """Return the datapoints that become entities only on request."""
    found = []
    for kind, catalogue in CATALOGUES.items():
        if kind == SYSTEM:
            continue
        family = FAMILY_OF[kind]
        for item in catalogue.values():
            point = by_key(family, item.key)
            if point is not None and item.offer is Offer.ON_REQUEST and not point.guarded:
                label = f"{FAMILIES[family].name} {{{point.id}}} {point.name}"
                found.append(
                    selector.SelectOptionDict(value=f"{family.value}.{point.id}", label=label)
                )
    return found


class StuderOptions(OptionsFlowWithReload):
    """What is read, how often, and what may be written."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Begin."""
        return await self.async_step_studer()

    async def async_step_studer(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        errors: dict[str, str] = {}
        if user_input is not None:
            options = {**user_input, **user_input.get(SECTION_MORE, {})}
            options.pop(SECTION_MORE, None)
            if options.get(CONF_SHARED_LINE) not in (True, False):
                shared = {"yes": True, "no": False}.get(options.pop(CONF_SHARED_LINE, "auto"))
                if shared is not None:
                    options[CONF_SHARED_LINE] = shared
            try:
                FACTORY.read({**options, LINK: "sim://"})
            except SettingsError:
                errors[CONF_DATAPOINTS] = "studer_unknown_datapoint"
            else:
                return self.async_create_entry(data=options)
        interval = number(MIN_INTERVAL, LONGEST_INTERVAL, "s")
        defaults = {poll.value: seconds for poll, seconds in DEFAULT_INTERVALS.items()}
        schema = vol.Schema(
            {
                vol.Required(CONF_LEVEL, default="expert"): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=[level.value for level in LEVELS],
                        translation_key="studer_level",
                    )
                ),
                vol.Optional(CONF_DATAPOINTS, default=list): selector.SelectSelector(
                    selector.SelectSelectorConfig(
                        options=_requestable(),
                        custom_value=True,
                        multiple=True,
                        mode=selector.SelectSelectorMode.DROPDOWN,
                    )
                ),
                vol.Required(CONF_READ_MESSAGES, default=True): YES_NO,
                vol.Required(CONF_REAPPLY_RAM, default=False): YES_NO,
                vol.Required(SECTION_INTERVALS): section(
                    vol.Schema(
                        {
                            vol.Required(name, default=defaults[name]): interval
                            for name in INTERVAL_CLASSES
                        }
                    ),
                    {"collapsed": True},
                ),
                vol.Required(SECTION_MORE): section(
                    vol.Schema(
                        {
                            vol.Required(CONF_SHARED_LINE, default="auto"): selector.SelectSelector(
                                selector.SelectSelectorConfig(
                                    options=["auto", "yes", "no"],
                                    translation_key="studer_shared_line",
                                )
                            ),
                            vol.Required(CONF_FEED_WATCHDOGS, default=False): YES_NO,
                            vol.Required(CONF_SEPARATE_BATTERIES, default=False): YES_NO,
                            vol.Required(CONF_PHASES, default=False): YES_NO,
                        }
                    ),
                    {"collapsed": True},
                ),
            }
        )
        return self.async_show_form(
            step_id="studer",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or self._present()),
            errors=errors,
        )

    def _present(self) -> dict[str, Any]:
        present = dict(self.config_entry.options)
        more = {
            key: present[key]
            for key in (CONF_FEED_WATCHDOGS, CONF_SEPARATE_BATTERIES, CONF_PHASES)
            if key in present
        }
        shared = present.get(CONF_SHARED_LINE)
        more[CONF_SHARED_LINE] = "auto" if shared is None else ("yes" if shared else "no")
        return {**present, SECTION_MORE: more}
