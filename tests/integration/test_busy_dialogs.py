"""Dialogs that are closed, or open twice, while an entry comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from custom_components.hardwired.coordinator import HardwiredCoordinator
from custom_components.hardwired.engines.engine import LinkError, Reason
from custom_components.hardwired.engines.factory import ProbeResult
from custom_components.hardwired.engines.simulating import PtyPort
from custom_components.hardwired.engines.truma import TrumaFactory

from .helpers import go_on, make_entry, put_away, until, walk

SIM = "sim://?personality=c4-combi-aventa&slot_ms=10&time_scale=5&seed=1&standby=0"


@asynccontextmanager
async def held(name: str) -> AsyncIterator[asyncio.Event]:
    """Hold the coordinator's *name* until the block ends; the event says that it was called."""
    real = getattr(HardwiredCoordinator, name)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: HardwiredCoordinator, *arguments: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await real(self, *arguments)

    with patch.object(HardwiredCoordinator, name, slow):
        try:
            yield reached
        finally:
            go_on.set()


@pytest.mark.parametrize("midst", ["async_stop", "async_start"])
async def test_an_entry_is_back_however_early_its_dialog_is_closed(
    hass: HomeAssistant, midst: str
) -> None:
    """In the midst of its unloading for the probe, or of its set-up behind it."""
    entry = make_entry(hass, "truma", {"link": SIM, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)

    async def probe(*_: Any, **__: Any) -> ProbeResult:
        raise LinkError(Reason.SILENT)

    with patch.object(TrumaFactory, "probe", probe):
        async with held(midst) as reached:
            result: Any = await entry.start_reconfigure_flow(hass)
            await hass.config_entries.flow.async_configure(
                result["flow_id"], {"link": SIM, "observer": True}
            )
            async with asyncio.timeout(20):
                await reached.wait()
            hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done()
    await until(hass, lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.data["observer"] is False
    await put_away(hass, entry)


@pytest.mark.parametrize("meanwhile", ["async_setup", "async_remove"])
async def test_an_entry_may_come_or_go_while_its_dialog_probes(
    hass: HomeAssistant, meanwhile: str
) -> None:
    entry = make_entry(hass, "truma", {"link": SIM, "observer": False})
    assert await hass.config_entries.async_setup(entry.entry_id)

    async def probe(*_: Any, **__: Any) -> ProbeResult:
        await getattr(hass.config_entries, meanwhile)(entry.entry_id)
        raise LinkError(Reason.SILENT)

    result: Any = await entry.start_reconfigure_flow(hass)
    with patch.object(TrumaFactory, "probe", probe):
        result = await go_on(hass, result, {"link": SIM, "observer": True})
    assert result["errors"] == {"base": "silent"}
    there = hass.config_entries.async_get_entry(entry.entry_id) is not None
    assert there is (meanwhile == "async_setup")
    assert (entry.state is ConfigEntryState.LOADED) is there
    await put_away(hass, entry)


async def test_two_dialogs_for_one_port_make_one_entry(hass: HomeAssistant, tmp_path: Path) -> None:
    port = PtyPort(tmp_path / "ttyLIN")
    port.plug()
    steps = ({"next_step_id": "truma"}, {"link": str(port.link), "observer": False})
    with patch.object(TrumaFactory, "probe_seconds", 0.5):
        dialogs = [await walk(hass, *steps) for _ in range(2)]
        ends = [await go_on(hass, one, {"next_step_id": "truma_finish"}) for one in dialogs]
    assert ends[0]["type"] is FlowResultType.CREATE_ENTRY
    assert ends[1]["type"] is FlowResultType.ABORT
    assert ends[1]["reason"] == "already_configured"
    await put_away(hass, ends[0]["result"])
    port.unplug()
