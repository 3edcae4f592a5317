"""A unit on a pseudo-terminal, found by a real Home Assistant; a boost that outlives a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from demo.home_assistant import HomeAssistant
from tests.ports import free_port

from .conftest import VERSIONS, keep_log

HARDWIRED = Path(sys.executable).with_name("hardwired")
MINUTES = 3
INTERVAL = 1.0

PLUGGER = """
from homeassistant.helpers.service_info.usb import UsbServiceInfo

async def async_setup(hass, config):
    async def plug(call):
        info = UsbServiceInfo(call.data["device"], "0D59", "0007", "E2E1", None, "Ecolution")
        await hass.config_entries.flow.async_init(
            "hardwired", context={"source": "usb"}, data=info
        )
    hass.services.async_register("plugger", "plug", plug)
    return True
"""
"""A pseudo-terminal has no USB numbers: this says what Home Assistant's USB watch would say."""


class Unit:
    """A simulated unit in a process of its own, and what it tells of itself."""

    def __init__(self, process: asyncio.subprocess.Process, port: Path) -> None:
        self.port = port
        self.told: list[tuple[float, dict[str, Any]]] = []
        self._process = process
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.told.append((time.monotonic(), json.loads(line)))

    def when(self, **wanted: Any) -> float | None:
        """Return when it last told this."""
        return next((at for at, one in reversed(self.told) if wanted.items() <= one.items()), None)

    async def until(self, **wanted: Any) -> float:
        """Wait until it has told this; return when it did."""
        while (at := self.when(**wanted)) is None:
            assert not self._reading.done(), f"it ended without {wanted}"
            await asyncio.sleep(0.05)
        return at

    async def stop(self) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._reading


@pytest_asyncio.fixture(loop_scope="session")
async def unit(tmp_path: Path) -> AsyncIterator[Unit]:
    port = tmp_path / "ecolution"
    process = await asyncio.create_subprocess_exec(
        str(HARDWIRED), "simulate", "inventum", "--pty", str(port),
        "odds=3", "seed=5", f"interval={INTERVAL}", "header=short",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    one = Unit(process, port)
    try:
        await one.until(event="page")
        yield one
    finally:
        await one.stop()


async def discovered(ha: HomeAssistant, port: Path) -> None:
    """Plug the unit in and say yes to what is found."""
    await ha.call("plugger", "plug", device=str(port))
    flows = await ha.command("config_entries/flow/progress")
    [flow] = [one for one in flows if one["handler"] == "hardwired"]
    assert flow["step_id"] == "inventum_confirm"
    assert flow["context"]["title_placeholders"] == {"name": "Ecolution"}
    path = f"/api/config/config_entries/flow/{flow['flow_id']}"
    result = await ha.post(path, {})
    while result["type"] in ("progress", "progress_done"):
        await asyncio.sleep(0.2)
        result = await ha.get(path)
    assert result["type"] == "create_entry", result


async def state(ha: HomeAssistant, entity_id: str) -> dict[str, Any]:
    return (await ha.states()).get(entity_id, {"state": "missing", "attributes": {}})


ON = os.environ.get("HARDWIRED_E2E_ON", "2026.10").split(",")
"""Where it runs. It takes four minutes, so both versions only when they are asked for:
``HARDWIRED_E2E_ON=2026.10,2026.11 script/test e2e -- -k boost``"""


@pytest.mark.parametrize("on", ON)
async def test_a_boost_outlives_a_kill_and_ends_by_itself(
    on: str, tmp_path: Path, unit: Unit, request: pytest.FixtureRequest
) -> None:
    ha = HomeAssistant(tmp_path / "config", environment=VERSIONS[on], port=free_port())
    ha.prepare()
    component = ha.folder / "custom_components" / "plugger"
    component.mkdir()
    (component / "__init__.py").write_text(PLUGGER)
    (component / "manifest.json").write_text(
        json.dumps({"domain": "plugger", "name": "Plugger", "version": "1", "requirements": []})
    )
    with (ha.folder / "configuration.yaml").open("a") as file:
        file.write("plugger:\n")
    try:
        await ha.start()
        await ha.onboard()
        await discovered(ha, unit.port)

        async def ready() -> bool:
            return (await state(ha, "fan.ecolution"))["state"] == "on"

        await ha.wait_for("the login and the first row", ready)
        await unit.until(event="page", page="logger")
        shown = await state(ha, "fan.ecolution")
        assert shown["attributes"]["preset_mode"] == "auto"
        [entry] = [
            one
            for one in await ha.command("config_entries/get", domain="hardwired")
            if one["title"] == "Ecolution"
        ]
        await ha.call(
            "number", "set_value", entity_id="number.ecolution_boost_duration", value=MINUTES
        )
        asked = time.monotonic()
        await ha.call("fan", "turn_on", entity_id="fan.ecolution")
        await unit.until(event="override", row=17, value="3")
        shown = await state(ha, "fan.ecolution")
        assert (shown["attributes"]["percentage"], shown["attributes"]["preset_mode"]) == (
            100,
            "boost",
        )
        assert (await state(ha, "switch.ecolution_boost"))["state"] == "on"
        assert (await state(ha, "sensor.ecolution_boost_remaining"))["state"] == str(MINUTES)

        async def counts_down() -> bool:
            remaining = (await state(ha, "sensor.ecolution_boost_remaining"))["state"]
            return remaining == str(MINUTES - 1)

        await ha.wait_for("the countdown", counts_down)
        os.killpg(ha.pid, signal.SIGKILL)
        await ha.stop()
        assert unit.when(event="override", row=17, value=None) is None
        await ha.start()

        async def back() -> bool:
            shown = (await state(ha, "fan.ecolution"))["attributes"]
            return (shown.get("percentage"), shown.get("preset_mode")) == (66, "auto")

        await ha.wait_for("the return to automatic", back, timeout=MINUTES * 60 + 120)
        up = time.monotonic()
        released = await unit.until(event="override", row=17, value=None)
        end = asked + MINUTES * 60
        assert released >= end - 1
        assert released <= max(end, up) + INTERVAL + 30
        assert (await state(ha, "switch.ecolution_boost"))["state"] == "off"
        assert (await state(ha, "sensor.ecolution_boost_remaining"))["state"] == "0"
        written = {one["row"] for _, one in unit.told if one["event"] == "override"}
        assert written == {17}
        assert entry["state"] == "loaded"
        complaints = [line for line in ha.complaints() if "plugger" not in line]
        assert [line for line in complaints if "ardwired" in line] == []
        assert await ha.stop() == 0
    finally:
        await ha.stop()
        keep_log(ha, request.node.name)
