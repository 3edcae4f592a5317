"""What the config flows of all families share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    UnknownEntry,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .const import CONF_FAMILY, DOMAIN
from .engines.clock import load_zone
from .engines.engine import LinkError
from .engines.factory import LINK, EngineFactory, ProbeResult, Surroundings
from .engines.masking import masked_text


async def async_is_time_zone(hass: HomeAssistant, name: str) -> bool:
    """Return whether there is a time zone of this name; it is then loaded."""
    try:
        await hass.async_add_executor_job(load_zone, name)
    except ValueError:
        return False
    return True


def details_of(problem: LinkError | None) -> str:
    """Return what the system says of a problem, as a paragraph; empty where it says no more."""
    said = "" if problem is None else str(problem)
    return "" if problem is None or said == problem.reason.value else f"\n\n`{said}`"


def start_work[T](hass: HomeAssistant, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start what a progress step waits for; it is never done at once.

    A step that is done when it is first asked would hand the form's input to the next step: back
    at the form that would begin anew, and so on without end, in one turn of the loop.
    """
    return hass.async_create_task(work, name, eager_start=False)


class EntryFlow(ConfigSubentryFlow):
    """Base of the flows in an entry's menu."""

    def loaded_entry(self) -> ConfigEntry[Any] | None:
        """Return the entry; ``None``: it is not loaded, or was deleted meanwhile."""
        try:
            entry: ConfigEntry[Any] = self._get_entry()
        except UnknownEntry:
            return None
        return entry if entry.state is ConfigEntryState.LOADED else None


class FamilyFlow(ConfigFlow):
    """Base of each family's steps; the steps of all families make up one config flow."""

    VERSION = 1
    MINOR_VERSION = 2
    _work: asyncio.Task[Any] | None = None

    def show_work(
        self,
        step_id: str,
        work: Callable[[], Coroutine[Any, Any, Any]],
        *,
        action: str | None = None,
        seconds: float | None = None,
    ) -> ConfigFlowResult | None:
        """Begin the work of a progress step, and show how far it is; ``None`` when it is done.

        ``take_work`` gives its result. *action* names the text that is shown, if it is not the
        step's; *seconds* is the ``{seconds}`` in it.
        """
        if self._work is None:
            self._work = start_work(self.hass, work(), f"hardwired {step_id}")
        if self._work.done():
            return None
        return self.async_show_progress(
            step_id=step_id,
            progress_action=action or step_id,
            progress_task=self._work,
            description_placeholders=None if seconds is None else {"seconds": f"{seconds:.0f}"},
        )

    def take_work(self) -> Any:
        """Return what the work came to, or raise what it failed with."""
        assert self._work is not None
        task, self._work = self._work, None
        return task.result()

    @callback
    def async_remove(self) -> None:
        """Stop the work when the user closes the dialog."""
        if self._work is not None:
            self._work.cancel()
        super().async_remove()

    @asynccontextmanager
    async def async_link_freed(self) -> AsyncIterator[None]:
        """Free the port of the entry that is being reconfigured, for as long as it is probed.

        An entry that tries again later would take the port in the midst of it. Unloading and
        setting up go on to their end when the user closes the dialog: Home Assistant has no way
        back from half of either.
        """
        if self.source != SOURCE_RECONFIGURE:
            yield
            return
        entry = self._get_reconfigure_entry()
        if entry.state not in (ConfigEntryState.LOADED, ConfigEntryState.SETUP_RETRY):
            yield
            return
        unloading = self.hass.async_create_task(
            self.hass.config_entries.async_unload(entry.entry_id), "hardwired frees a port"
        )
        try:
            await asyncio.shield(unloading)
            yield
        finally:
            await asyncio.shield(
                self.hass.async_create_task(
                    self._async_set_up_again(entry, unloading), "hardwired takes a port again"
                )
            )

    async def _async_set_up_again(
        self, entry: ConfigEntry[Any], unloading: asyncio.Task[bool]
    ) -> None:
        """Set up what was unloaded, unless somebody else has, or it was deleted meanwhile."""
        await asyncio.wait([unloading])
        known = self.hass.config_entries.async_get_entry(entry.entry_id)
        if known is entry and entry.state is ConfigEntryState.NOT_LOADED:
            await self.hass.config_entries.async_setup(entry.entry_id)

    async def async_probe(
        self,
        factory: EngineFactory[Any],
        values: Mapping[str, Any],
        *,
        seconds: float | None = None,
    ) -> ProbeResult:
        """Probe what *values* connect to, with progress; the port is free when this returns.

        *seconds* replaces the family's usual time. Raises ``LinkError``.
        """

        def progress(result: ProbeResult) -> None:
            if result.fraction is not None:
                self.async_update_progress(result.fraction)

        async with self.async_link_freed():
            surroundings = Surroundings(zone=dt_util.get_default_time_zone())
            settings = factory.read(values)
            return await factory.probe(
                settings, surroundings, seconds=seconds, on_progress=progress
            )

    def async_finish(
        self,
        family: str,
        title: str,
        data: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        """Create the entry, or change the one that is being reconfigured.

        Ends the flow where an entry has the same port by now: two dialogs may be open at once.
        """
        full = {CONF_FAMILY: family, **data}
        if LINK in data and not data[LINK].startswith("sim:"):
            self._async_abort_entries_match({LINK: data[LINK]})
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            unique_id = self.unique_id or entry.unique_id
            if unique_id != entry.unique_id:
                self._abort_if_unique_id_configured()
            return self.async_update_reload_and_abort(
                entry,
                unique_id=unique_id,
                data=full,
                options={**entry.options, **(options or {})},
            )
        title = self.own_title(masked_text(title))
        return self.async_create_entry(title=title, data=full, options=dict(options or {}))

    def own_title(self, wanted: str) -> str:
        """Return a title that no other entry has: the second gets a 2."""
        own = self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None
        others = self.hass.config_entries.async_entries(DOMAIN)
        taken = {entry.title for entry in others if entry is not own}
        numbered = (f"{wanted} {number}" for number in itertools.count(2))
        return wanted if wanted not in taken else next(one for one in numbered if one not in taken)
