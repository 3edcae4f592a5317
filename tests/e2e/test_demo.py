"""The demonstration in Dutch: all devices, a past, automations, nothing that looks like a fault.

It starts a real Home Assistant, and it starts it again as *Restart* in its menu does.
"""

from __future__ import annotations

import argparse
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from demo.__main__ import PASSWORD, USER, set_up
from demo.automations import AUTOMATIONS, install_blueprints
from demo.browser import Browser
from demo.devices import DEVICES
from demo.gx import Gx
from demo.home_assistant import HomeAssistant, HomeAssistantError

from .conftest import ARTEFACTS, VERSIONS

GONE = ("unknown", "unavailable")


async def mine(ha: HomeAssistant) -> dict[str, str]:
    """Return the states of our entities by unique id."""
    states = await ha.states()
    return {
        one["unique_id"]: states[one["entity_id"]]["state"]
        for one in await ha.command("config/entity_registry/list")
        if one["platform"] == "hardwired" and one["entity_id"] in states
    }


async def ids(ha: HomeAssistant, ending: str) -> str:
    """Return the entity id of the first entity whose unique id ends so."""
    registry = await ha.command("config/entity_registry/list")
    found: str = next(one["entity_id"] for one in registry if one["unique_id"].endswith(ending))
    return found


async def test_the_demonstration(
    tmp_path: Path, request: pytest.FixtureRequest, browser_required: None
) -> None:
    ha = HomeAssistant(tmp_path / "config", environment=VERSIONS["2026.10"], language="nl")
    gx = Gx(ha.folder, "nl")
    try:
        ha.prepare()
        install_blueprints(ha)
        gx.prepare()
        path = await set_up(ha, argparse.Namespace(only=None, language="nl"), gx)
        await looks_sound(ha)
        assert await on_the_gx(ha) == ["on"] * 3
        await has_a_past(ha)
        await adds_up(ha)
        await speaks_dutch(ha)
        async with Browser(ha) as browser:
            for name, page in (
                ("demo-home", f"{path}/home"),
                ("demo-sunsynk", f"{path}/sunsynk"),
                ("demo-gx", f"{path}/victron_gx"),
                ("demo-integration", "/config/integrations/integration/hardwired"),
            ):
                picture = await browser.screenshot(page, ARTEFACTS / f"{name}.png")
                assert picture.stat().st_size > 20_000, name

        with contextlib.suppress(aiohttp.ClientError, HomeAssistantError):
            await ha.call("homeassistant", "restart")
        await ha.ended()
        assert ha.wants_restart
        await ha.start()
        assert await ha.has_user()
        await ha.log_in(USER, PASSWORD)

        missing: list[str] = []

        async def back() -> bool:
            states = await mine(ha)
            missing[:] = [
                end
                for device in DEVICES
                for end in device.ready
                if all(states[one] in GONE for one in states if one.endswith(end))
            ]
            return not missing

        try:
            await ha.wait_for("all devices after the restart", back, timeout=180)
        except HomeAssistantError as error:
            raise AssertionError(f"not back: {missing}") from error

        async def shown() -> bool:
            return await on_the_gx(ha) == ["on"] * 3

        await ha.wait_for("all of it on the GX after the restart", shown, timeout=180)
        assert await ha.stop() == 0
    finally:
        await ha.stop()
        await gx.stop()
        ARTEFACTS.mkdir(exist_ok=True)
        name = f"{request.node.name}.log"
        (ARTEFACTS / name).write_text(ha.log.read_text(errors="replace"), encoding="utf-8")


async def on_the_gx(ha: HomeAssistant) -> list[str]:
    """Return which of the home's devices are on the GX."""
    return [state for one, state in (await mine(ha)).items() if one.endswith("_registered")]


async def looks_sound(ha: HomeAssistant) -> None:
    """Check that nothing looks like a fault."""
    assert (await ha.command("repairs/list_issues"))["issues"] == []
    assert [one for one in (await mine(ha)).values() if one == "unavailable"] == []
    assert list(ha.complaints()) == []
    states = await ha.states()
    automations = {
        state["attributes"]["id"]: state["state"]
        for entity_id, state in states.items()
        if entity_id.startswith("automation.")
    }
    assert automations == dict.fromkeys(AUTOMATIONS, "on")
    problems = await ha.command("energy/validate")
    found: list[Any] = [
        *(issue for source in problems["energy_sources"] for issue in source),
        *(issue for device in problems["device_consumption"] for issue in device),
    ]
    assert found == []


async def has_a_past(ha: HomeAssistant) -> None:
    """Check two weeks of statistics, and the states of a day."""
    meter, charge = await ids(ha, "_pv_production_total"), await ids(ha, "_battery_soc")
    now = datetime.now(UTC)
    days = await ha.command(
        "recorder/statistics_during_period",
        start_time=(now - timedelta(days=15)).isoformat(),
        statistic_ids=[meter],
        period="day",
        types=["change"],
    )
    changes = [row["change"] for row in days[meter]]
    assert len(changes) >= 14
    assert all(change >= 0 for change in changes)
    assert sum(changes) > 50
    since = (now - timedelta(hours=20)).isoformat().replace("+00:00", "Z")
    history = await ha.get(
        f"/api/history/period/{since}?filter_entity_id={charge}&minimal_response&no_attributes"
    )
    assert len(history[0]) > 30


ENERGIES = (
    "pv_production", "load_consumption", "grid_import", "grid_export", "battery_charge",
    "battery_discharge",
)  # fmt: skip


async def adds_up(ha: HomeAssistant) -> None:
    """Check that the Energy dashboard's day is that of the inverter's own counters."""
    states = await ha.states()
    midnight = datetime.now(ZoneInfo(ha.zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    total: dict[str, float] = {}
    for key in ENERGIES:
        meter, daily = await ids(ha, f"_{key}_total"), await ids(ha, f"_{key}_daily")
        rows = await ha.command(
            "recorder/statistics_during_period",
            start_time=midnight.isoformat(),
            statistic_ids=[meter],
            period="hour",
            types=["change"],
        )
        today = sum(row["change"] for row in rows.get(meter, []))
        # The present hour is not among the statistics yet.
        assert -0.2 < float(states[daily]["state"]) - today < 4, key
        total[key] = float(states[meter]["state"])
    assert 0.85 < total["battery_discharge"] / total["battery_charge"] < 0.95
    came = total["pv_production"] + total["grid_import"] + total["battery_discharge"]
    went = total["load_consumption"] + total["grid_export"] + total["battery_charge"]
    assert 0 < came - went < 0.1 * came, "what came in went out again, but for the losses"


async def speaks_dutch(ha: HomeAssistant) -> None:
    """Check the names that are not the integration's texts."""
    entries = await ha.command("config_entries/get", domain="hardwired")
    assert {one["title"] for one in entries} == {
        *(f"{family} (gesimuleerd)" for family in ("Inventum", "Studer", "Sunsynk", "Truma")),
        "Victron GX",
    }
    shown = {
        one["name_by_user"] or one["name"]
        for one in await ha.command("config/device_registry/list")
        if one["manufacturer"] in ("Truma", "Hardwired", "Victron Energy (via MQTT)")
    }
    assert shown == {
        "Truma-verwarming", "Truma-airco", "Truma CP plus", "Sunsynk-capture",
        "GX-helper voor MQTT-apparaten", "Camper", "Zonne-omvormer", "Ventilatie",
    }  # fmt: skip
    display = ha.folder / "www" / "gx.svg"

    async def drawn() -> bool:
        return display.exists() and "Koelkast" in display.read_text(encoding="utf-8")

    await ha.wait_for("the display", drawn)
    assert "Fridge" not in display.read_text(encoding="utf-8")
