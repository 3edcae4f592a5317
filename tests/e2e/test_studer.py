"""A simulated Xcom as a process of its own, through a real Home Assistant, and a setting back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from demo.browser import Browser
from demo.home_assistant import ROOT, HomeAssistant
from tests.ports import free_port

from .conftest import ARTEFACTS

HARDWIRED = ROOT / ".venv" / "engines" / "bin" / "hardwired"
INPUT_LIMIT = "1107"
BATTERY_VOLTAGE = "3000"


@asynccontextmanager
async def xcom(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Play an Xcom-LAN with six Xtenders, its Moxa in TCP server mode."""
    process = await asyncio.create_subprocess_exec(
        str(HARDWIRED), "simulate", "studer", "--listen", f"127.0.0.1:{port}",
        "--xtenders", "6", "--variotracks", "1", "--seed", "7", "--start", "2026-06-15T11:00",
        stdin=asyncio.subprocess.PIPE, stdout=sys.stderr, stderr=sys.stderr,
    )  # fmt: skip
    try:
        while process.returncode is None:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield process
    finally:
        process.terminate()
        await process.wait()


async def set_up(ha: HomeAssistant, port: int) -> str:
    result = await ha.configure(
        {"next_step_id": "studer"},
        {"next_step_id": "studer_connect"},
        {"host": "127.0.0.1", "port": port},
        {},
    )
    assert result["type"] == "create_entry", result
    entry_id: str = result["result"]["entry_id"]
    return entry_id


async def xtenders(ha: HomeAssistant, entry_id: str) -> list[dict[str, Any]]:
    """Return the six Xtenders in the order of their names, once they are known."""

    async def found() -> list[dict[str, Any]] | None:
        devices = await ha.command("config/device_registry/list")
        ours = [
            one
            for one in devices
            if entry_id in one["config_entries"] and one["name"].startswith("Xtender")
        ]
        return sorted(ours, key=lambda one: str(one["name"])) if len(ours) == 6 else None

    devices: list[dict[str, Any]] = await ha.wait_for("six Xtenders", found)
    return devices


async def entity(ha: HomeAssistant, fid: str, number: str) -> str | None:
    entities = await ha.command("config/entity_registry/list")
    wanted = f"{fid}_{number}"
    return next((one["entity_id"] for one in entities if one["unique_id"] == wanted), None)


async def shown(ha: HomeAssistant, entity_id: str | None) -> dict[str, Any] | None:
    """Return the state of an entity when it has a value."""
    state = (await ha.states()).get(entity_id or "")
    return None if state is None or state["state"] in ("unknown", "unavailable") else state


async def test_a_setting_is_changed_and_read_back(any_ha: HomeAssistant) -> None:
    ha, port = any_ha, free_port()
    async with xcom(port):
        entry_id = await set_up(ha, port)
        devices = await xtenders(ha, entry_id)
        fid = devices[2]["serial_number"]

        async def arrived() -> dict[str, Any] | None:
            return await shown(ha, await entity(ha, fid, BATTERY_VOLTAGE))

        voltage = await ha.wait_for("the battery voltage", arrived)
        assert 40 < float(voltage["state"]) < 64

        async def limit() -> dict[str, Any] | None:
            return await shown(ha, await entity(ha, fid, INPUT_LIMIT))

        before = await ha.wait_for("the input limit", limit)
        assert float(before["state"]) == 32
        number = before["entity_id"]
        await ha.call("number", "set_value", entity_id=number, value=18)

        async def changed() -> dict[str, Any] | None:
            state = await limit()
            return state if state is not None and float(state["state"]) == 18 else None

        after = await ha.wait_for("the changed limit", changed)
        assert after["attributes"]["ram_value"] == 18
        assert after["attributes"]["flash_value"] == 32
        answer = await ha.call(
            "hardwired",
            "studer_read",
            answer=True,
            config_entry_id=entry_id,
            device_id=devices[2]["id"],
            id=int(INPUT_LIMIT),
        )
        response = answer["service_response"]
        assert (response["value"], response["ram_value"]) == (32, 18)
        assert list(ha.complaints()) == []


async def test_the_device_page_looks_right(ha: HomeAssistant, browser_required: None) -> None:
    port = free_port()
    async with xcom(port):
        entry_id = await set_up(ha, port)
        device = (await xtenders(ha, entry_id))[0]

        async def arrived() -> dict[str, Any] | None:
            return await shown(ha, await entity(ha, device["serial_number"], INPUT_LIMIT))

        await ha.wait_for("the values", arrived)
        async with Browser(ha) as browser:
            path = f"/config/devices/device/{device['id']}"
            picture = await browser.screenshot(
                path, ARTEFACTS / "studer-device.png", shows=[device["name"], "Battery voltage"]
            )
        assert picture.stat().st_size > 20_000


async def test_the_gateway_goes_away_and_comes_back(ha: HomeAssistant) -> None:
    port = free_port()
    async with xcom(port):
        entry_id = await set_up(ha, port)
        fid = (await xtenders(ha, entry_id))[0]["serial_number"]

        async def there() -> dict[str, Any] | None:
            return await shown(ha, await entity(ha, fid, BATTERY_VOLTAGE))

        await ha.wait_for("the battery voltage", there)

    async def gone() -> bool:
        return await there() is None

    await ha.wait_for("the loss", gone)
    async with xcom(port):
        await ha.wait_for("the return", there)
    assert await ha.stop() == 0
