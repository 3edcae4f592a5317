"""The standalone helper as an app: found, nothing set up twice, its notices shown (bridge f.8)."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components import mqtt
from homeassistant.config_entries import SOURCE_HASSIO, SOURCE_IGNORE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.hardwired.app import read_offer
from custom_components.hardwired.config_flow import HardwiredConfigFlow
from custom_components.hardwired.const import DOMAIN
from custom_components.hardwired.families import FAMILIES

from .helpers import until

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
SLUG = "abc123_hardwired"
UUID = "0123456789abcdef0123456789abcdef"
PAGE = f"homeassistant://hassio/addon/{SLUG}/info"


def offer(*families: str, slug: str = SLUG, **more: Any) -> HassioServiceInfo:
    links = [{"name": f"link{number}", "family": one} for number, one in enumerate(families)]
    told = {"id": "hardwired", "prefix": "boat", "links": links, "version": "1", **more}
    return HassioServiceInfo(told, "Hardwired", slug, UUID)


@pytest.fixture
async def broker(hass: HomeAssistant, tmp_path: Path, socket_enabled: None) -> AsyncIterator[None]:
    """A broker, and Home Assistant's own integration connected to it."""
    assert MOSQUITTO is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    hass.config.config_dir = str(tmp_path)
    await hass.async_add_executor_job((tmp_path / "configuration.yaml").touch)
    config = tmp_path / "mosquitto.conf"
    await hass.async_add_executor_job(
        config.write_text, f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
    )
    process = await asyncio.create_subprocess_exec(
        MOSQUITTO, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while True:
            assert process.returncode is None
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        entry = MockConfigEntry(
            domain="mqtt", data={"broker": "127.0.0.1", "port": port}, version=2, minor_version=1
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(hass, lambda: mqtt.is_connected(hass))
        yield
        await hass.config_entries.async_unload(entry.entry_id)
    finally:
        process.terminate()
        await process.wait()


async def found(hass: HomeAssistant, info: HassioServiceInfo) -> Any:
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_HASSIO}, data=info
    )


def notices(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    issues = ir.async_get(hass).issues
    return {key: one for (domain, key), one in issues.items() if domain == DOMAIN}


def told(*texts: str) -> str:
    return json.dumps({"notices": [{"key": "frost", "text": text} for text in texts]})


@needs_broker
async def test_what_the_app_does_not_have_can_be_added(hass: HomeAssistant, broker: None) -> None:
    result = await found(hass, offer("truma", "studer"))
    assert result["type"] is FlowResultType.MENU
    assert result["description_placeholders"] == {"name": "Hardwired"}
    assert result["menu_options"] == ["app_more", "app_done"]
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "app_more"}
    )
    assert result["type"] is FlowResultType.MENU
    assert set(result["menu_options"]) == FAMILIES.keys() - {"truma", "studer"}
    # It was seen: the offer does not come again at the next start.
    again = await found(hass, offer("truma", "studer"))
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")


@needs_broker
async def test_no_entry_is_made_for_what_the_app_has(hass: HomeAssistant, broker: None) -> None:
    result = await found(hass, offer(*FAMILIES))
    assert result["menu_options"] == ["app_done"]
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "app_done"}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "app_does_it")
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert (entry.source, entry.unique_id) == (SOURCE_IGNORE, f"hassio_{UUID}")
    assert not entry.supports_options
    assert not HardwiredConfigFlow.async_supports_options_flow(entry)


@needs_broker
async def test_its_notices_are_repairs_that_lead_to_its_page(
    hass: HomeAssistant, broker: None
) -> None:
    await mqtt.async_publish(hass, "boat/van/notices", told("Frost is near"), retain=True)
    await found(hass, offer("truma"))
    issue = (await until(hass, lambda: notices(hass)))[f"app_{SLUG}_van"]
    assert issue.learn_more_url == PAGE
    assert issue.translation_placeholders == {
        "title": "Hardwired, van",
        "notices": "- Frost is near",
        "page": PAGE,
    }
    await mqtt.async_publish(hass, "boat/van/notices", told("Frost is near", "The fuse"))
    await until(
        hass,
        lambda: (
            "fuse" in (notices(hass)[f"app_{SLUG}_van"].translation_placeholders or {})["notices"]
        ),
    )
    await mqtt.async_publish(hass, "boat/bridge/state", "offline", retain=True)
    await until(hass, lambda: not notices(hass))
    await mqtt.async_publish(hass, "boat/bridge/state", "online", retain=True)
    await until(hass, lambda: notices(hass))
    await mqtt.async_publish(hass, "boat/van/notices", told(), retain=True)
    await until(hass, lambda: not notices(hass))


@needs_broker
async def test_nonsense_among_the_notices_shows_nothing(hass: HomeAssistant, broker: None) -> None:
    await mqtt.async_publish(hass, "boat/roof/notices", told("x" * 9999), retain=True)
    await found(hass, offer("truma"))
    issue = (await until(hass, lambda: notices(hass)))[f"app_{SLUG}_roof"]
    assert len((issue.translation_placeholders or {})["notices"]) < 600
    for payload in ("", "[]", "{}", '{"notices": 1}', '{"notices": [1, {"text": 2}]}', "{" * 99):
        await mqtt.async_publish(hass, "boat/van/notices", told("Frost"))
        await until(hass, lambda: f"app_{SLUG}_van" in notices(hass))
        await mqtt.async_publish(hass, "boat/van/notices", payload)
        await until(hass, lambda: f"app_{SLUG}_van" not in notices(hass))
    # An app that comes again with another prefix begins anew.
    await found(hass, offer("truma", prefix="barge"))
    assert not notices(hass)


async def test_without_mqtt_the_way_is_told(hass: HomeAssistant) -> None:
    result = await found(hass, offer("truma"))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "mqtt_missing")


async def test_another_app_is_not_ours(hass: HomeAssistant) -> None:
    result = await found(hass, offer("truma", slug="core_mosquitto"))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "not_supported")


@pytest.mark.parametrize(
    "more", [{"prefix": None}, {"prefix": ""}, {"prefix": "a/#"}, {"links": None}, {"links": {}}]
)
def test_an_offer_that_makes_no_sense_is_none(more: dict[str, Any]) -> None:
    assert read_offer(offer("truma", **more)) is None
    good = read_offer(offer("truma", links=[{"family": "truma"}, 1, {}]))
    assert good is not None
    assert "truma" in good.families
