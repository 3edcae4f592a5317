"""Issue 13, number 7, in Home Assistant: what an address keeps secret is shown nowhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.hardwired
from custom_components.hardwired.const import CONF_FAMILY, DOMAIN
from custom_components.hardwired.diagnostics import async_get_config_entry_diagnostics
from custom_components.hardwired.engines.engine import Notice, Reason, Snapshot
from custom_components.hardwired.issues import ISSUE_DELAY, RepairIssues
from tests.log_calls import log_calls_with_raw_addresses
from tests.ports import free_port

from .helpers import make_entry

PASSWORD = "hunter2secret"
KEY = "VGhpc0lzQVBTSw"
LINK = f"tcp://owner:{PASSWORD}@127.0.0.1:PORT?key={KEY}"


def test_no_log_call_formats_an_address_as_it_is() -> None:
    calls, found = log_calls_with_raw_addresses(Path(custom_components.hardwired.__file__).parent)
    assert found == []
    assert calls > 20


@pytest.mark.parametrize("family", ["studer", "truma", "inventum"])
async def test_an_entry_that_fails_tells_no_secret(
    hass: HomeAssistant, family: str, socket_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    link = LINK.replace("PORT", str(free_port()))
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=f"Plant at {link}",
        data={CONF_FAMILY: family, "link": link},
        minor_version=2,
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_RETRY
    told = [json.dumps([entry.reason, entry.error_reason_translation_placeholders])]
    told += [record.getMessage() for record in caplog.records if "hardwired" in record.name]
    assert any("lost" in text for text in told)
    for text in told:
        assert PASSWORD not in text
        assert KEY not in text
    await hass.config_entries.async_unload(entry.entry_id)


def test_a_repair_issue_tells_no_secret(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, title=f"Plant at {LINK}", data={})
    now = 0.0
    issues = RepairIssues(hass, entry, "studer", lambda: now)
    snapshot = Snapshot(
        reason=Reason.REFUSED,
        detail=f"{LINK} refuses",
        notices=(Notice("no_effect", {"device": LINK, "parameter": "1"}),),
    )
    issues.async_check(snapshot)
    now = ISSUE_DELAY
    issues.async_check(snapshot)
    raised = [repr(issue) for issue in ir.async_get(hass).issues.values()]
    assert len(raised) == 2
    for text in raised:
        assert PASSWORD not in text
        assert KEY not in text
        assert "tcp://***@127.0.0.1:PORT?key=***" in text


async def test_diagnostics_of_a_plant_that_answers_tell_no_secret(hass: HomeAssistant) -> None:
    link = f"sim://owner:{PASSWORD}@plant?odds=1&interval=0.5"
    entry = make_entry(hass, "inventum", {"link": link}, title=f"Plant at {link}")
    assert await hass.config_entries.async_setup(entry.entry_id)
    engine = entry.runtime_data.engine
    engine.statistics.last_error = f"refused: {link}, owner's {PASSWORD}; {LINK}"
    text = json.dumps(await async_get_config_entry_diagnostics(hass, entry), default=str)
    assert "owner's" in text
    assert PASSWORD not in text
    assert KEY not in text
    assert await hass.config_entries.async_unload(entry.entry_id)
