"""What the tests inside Home Assistant do again and again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired.const import CONF_FAMILY, DOMAIN
from custom_components.hardwired.engines.simulating import PtyPort


async def until(hass: HomeAssistant, condition: Callable[[], Any], within: float = 60.0) -> Any:
    """Return the first true answer of *condition*; fail when none comes in time."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)
        await hass.async_block_till_done()
    return found


def make_entry(
    hass: HomeAssistant,
    family: str,
    data: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    **details: Any,
) -> MockConfigEntry:
    """Return an entry of a family, known to Home Assistant and not yet set up."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=details.pop("title", family.title()),
        data={CONF_FAMILY: family, **data},
        options=dict(options or {}),
        **details,
    )
    entry.add_to_hass(hass)
    return entry


async def walk(hass: HomeAssistant, *steps: Mapping[str, Any]) -> dict[str, Any]:
    """Walk through a new config flow and return the last result."""
    result: Any = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
    return await go_on(hass, result, *steps)


async def go_on(hass: HomeAssistant, result: Any, *steps: Mapping[str, Any]) -> dict[str, Any]:
    """Go on with a flow; progress steps are waited for."""
    for step in steps:
        result = await settled(hass, result)
        result = await hass.config_entries.flow.async_configure(result["flow_id"], dict(step))
    done: dict[str, Any] = await settled(hass, result)
    return done


async def settled(hass: HomeAssistant, result: Any) -> Any:
    """Return the result behind the progress.

    Home Assistant goes on by itself when the work is done, and shows it. To hurry it would make
    two steps of one, the second of which may find the first one's entry and end the flow.
    """
    flows = hass.config_entries.flow._progress
    deadline = time.monotonic() + 60
    while result["type"] in (FlowResultType.SHOW_PROGRESS, FlowResultType.SHOW_PROGRESS_DONE):
        assert time.monotonic() < deadline, "the flow hangs"
        flow = flows[result["flow_id"]]
        if flow.cur_step is None or flow.cur_step["type"] is FlowResultType.SHOW_PROGRESS:
            await asyncio.sleep(0.02)
        else:
            result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return result


async def put_away(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Unload an entry, after the reload that a flow may have begun."""
    await hass.async_block_till_done()
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(entry.entry_id)


def entity_ids(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return the entity ids of an entry by unique id."""
    registry = er.async_get(hass)
    return {
        one.unique_id: one.entity_id
        for one in er.async_entries_for_config_entry(registry, entry.entry_id)
    }


def state_of(hass: HomeAssistant, entry: MockConfigEntry, unique_id: str) -> str | None:
    """Return the state of the entity with this unique id; ``None`` when there is none."""
    entity_id = entity_ids(hass, entry).get(unique_id)
    state = hass.states.get(entity_id) if entity_id else None
    return None if state is None else state.state


def is_free(port: PtyPort) -> bool:
    """Whether nobody holds the port."""
    fd = os.open(port.link, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
