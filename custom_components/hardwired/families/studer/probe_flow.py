"""Part of the config flow: probes an address, shows who answers, makes the entry."""

from __future__ import annotations

from typing import Any

import probatio as vol
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigFlowResult
from homeassistant.const import CONF_MAC
from homeassistant.helpers import device_registry as dr

from ...const import DOMAIN
from ...engines.engine import Device, LinkError
from ...engines.factory import LINK, ProbeResult
from ...engines.studer import FACTORY
from ...engines.studer.catalogue import XCOM
from .addresses import STEPS, gateway_of, scheme_of
from .const import CONF_SERIAL_FOUND, KEY
from .moxa_flow import MoxaFlow


class ProbeFlow(MoxaFlow):
    """Who is behind the address that the owner gave."""

    _studer_url: str = ""
    _studer_error: dict[str, str] | None = None
    _studer_found: ProbeResult | None = None

    async def async_step_studer_probe(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Find out how the line is set and who answers."""
        listens = scheme_of(self._studer_url) == "listen"
        action = "studer_wait" if listens else "studer_probe"
        shown = self.show_work("studer_probe", self._studer_find, action=action)
        if shown is not None:
            return shown
        try:
            self._studer_found = self.take_work()
        except LinkError as error:
            self._studer_error = {"base": error.reason.value}
            step = STEPS.get(scheme_of(self._studer_url), "serial")
            return self.async_show_progress_done(next_step_id=f"studer_{step}")
        return self.async_show_progress_done(next_step_id="studer_found")

    async def _studer_find(self) -> ProbeResult:
        return await self.async_probe(FACTORY, {LINK: self._studer_url})

    async def async_step_studer_found(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who answered, and make the entry."""
        found = self._studer_found
        assert found is not None
        if user_input is not None:
            return self._studer_finish(found)
        await self.async_set_unique_id(found.unique_id)
        if self.source != SOURCE_RECONFIGURE:
            self._abort_if_unique_id_configured()
        elif not self._studer_same(found):
            return self.async_abort(reason="wrong_device")
        lines = [
            f"- {device.name}: {device.model or '?'}, {device.sw_version or '?'}"
            for device in _units(found)
        ]
        return self.async_show_form(
            step_id="studer_found",
            data_schema=vol.Schema({}),
            description_placeholders={
                "count": str(len(_units(found))),
                "devices": "\n".join(lines) or "-",
                "serial": str(found.settings.get("serial", "-")),
                "latency": f"{found.counters['latency_ms']:.0f}",
            },
            last_step=True,
        )

    def _studer_same(self, found: ProbeResult) -> bool:
        """Return whether this is the plant of the entry: it keeps its devices, not its gateway."""
        entry = self._get_reconfigure_entry()
        if found.unique_id == entry.unique_id:
            return True
        registry = dr.async_get(self.hass)
        known = {
            identifier
            for device in dr.async_entries_for_config_entry(registry, entry.entry_id)
            for identifier in device.identifiers
        }
        return any((DOMAIN, device.id) in known for device in _units(found))

    def _studer_finish(self, found: ProbeResult) -> ConfigFlowResult:
        data: dict[str, Any] = {LINK: self._studer_url}
        if (serial := found.settings.get("serial")) is not None:
            data[CONF_SERIAL_FOUND] = serial
        moxa = self._studer_moxa
        if moxa is not None and gateway_of(self._studer_url) in (moxa.ip, None):
            data[CONF_MAC] = moxa.mac
            self._studer_discovered_no_more(moxa.mac)
        elif self.source == SOURCE_RECONFIGURE:
            before = self._get_reconfigure_entry().data
            if gateway_of(before[LINK]) == gateway_of(self._studer_url):
                data |= {key: before[key] for key in (CONF_MAC,) if key in before}
        return self.async_finish(KEY, "Studer", data)


def _units(found: ProbeResult) -> list[Device]:
    """Return the devices behind the gateway."""
    return [device for device in found.devices if device.kind != XCOM]
