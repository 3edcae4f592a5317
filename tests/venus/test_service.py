"""One service over time, with a clock that the test moves: silence, energy, who is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mqtt_devices import options, tables
from mqtt_devices.config import Config
from mqtt_devices.energy import Energy
from mqtt_devices.items import Items
from mqtt_devices.main import for_machine
from mqtt_devices.service import FROM_BUS, FROM_PROXY, Hooks, Service

TABLES = tables.load()


class Clock:
    """A loop whose time is the test's."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, function: Any, *arguments: Any) -> Any:
        return asyncio.get_running_loop().call_later(3600, function, *arguments)


def make(kind: str, given: dict[str, Any] | None = None) -> tuple[Service, Clock, list[Any]]:
    plan = options.plan(TABLES.types[kind], given, TABLES)
    counting = None
    if plan.max_gap is not None:
        counting = Energy(plan.energy_sources, plan.max_gap, {})
    told: list[Any] = []
    hooks = Hooks(lambda path, value: told.append((path, value)), lambda: None)
    service = Service("mqtt_a_s", Items(plan, {}, {}), None, counting, hooks)  # type: ignore[arg-type]
    clock = Clock()
    service._loop = clock  # type: ignore[assignment]
    return service, clock, told


async def test_a_silent_grid_meter_becomes_invalid_and_comes_back() -> None:
    service, clock, told = make("grid", {"energy": True})
    for _ in range(20):
        clock.now += 1
        service.write("/Ac/Power", 3600, FROM_BUS)
        service.write("/Ac/L1/Voltage", 230, FROM_BUS)
    told.clear()
    clock.now += 60
    service.tick()
    assert service.items.value("/Ac/Power") == 3600
    clock.now += 6
    service.tick()
    assert service.items.value("/Ac/Power") is None
    assert service.items.value("/Ac/L1/Voltage") is None
    assert service.items.value("/ErrorCode") == 0  # has a default
    assert service.items.value("/DeviceType") == "grid"
    counted = service.items.value("/Ac/Energy/Forward")
    assert counted == pytest.approx(0.085, abs=0.002)
    clock.now += 1000
    service.tick()
    assert service.items.value("/Ac/Energy/Forward") == counted  # unknown power adds nothing
    service.write("/Ac/Power", 100, FROM_BUS)
    assert service.items.value("/Ac/Power") == 100
    assert told == [("Ac/Power", 100)]


async def test_other_types_keep_their_values() -> None:
    service, clock, _ = make("tank")
    for _ in range(20):
        clock.now += 1
        service.write("/Level", 50, FROM_BUS)
    clock.now += 10**6
    service.tick()
    assert service.items.value("/Level") == 50


async def test_who_is_told() -> None:
    service, _, told = make("switch", {"auto_status": True, "outputs": ["a"]})
    service.write("/SwitchableOutput/a/State", 1, FROM_PROXY)
    assert service.items.value("/SwitchableOutput/a/Status") == 9
    assert told == []
    service.write("/SwitchableOutput/a/State", 0, FROM_BUS)
    assert told == [("SwitchableOutput/a/State", 0)]
    assert service.items.value("/SwitchableOutput/a/Status") == 0


async def test_the_store_s_own_form_changes_nothing() -> None:
    service, _, _ = make("temperature")
    service.items.set("/TemperatureType", 2.5)
    assert service.setting_changed("/TemperatureType", 2)
    assert service.items.value("/TemperatureType") == 2.5
    assert service.setting_changed("/TemperatureType", 4)
    assert service.items.value("/TemperatureType") == 4
    assert not service.setting_changed("/TemperatureType", 99)
    assert not service.setting_changed("/Temperature", 1)


def test_a_weak_machine_takes_fewer_services(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    assert for_machine(Config(), machine) == Config()
    machine.write_text("ccgx\n")
    assert for_machine(Config(), machine).max_services == 8
    assert for_machine(Config(max_services=20), machine).max_services == 20
    machine.write_text("einstein\n")
    assert for_machine(Config(), machine) == Config()
