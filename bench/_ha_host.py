"""Home Assistant with a simulated plant of six Xtenders; prints one JSON object a line."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant import loader
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)

import custom_components.hardwired.family as face
from custom_components.hardwired.const import CONF_FAMILY, DOMAIN
from custom_components.hardwired.engines.clock import ManualClock
from custom_components.hardwired.engines.factory import Surroundings
from custom_components.hardwired.entity import HardwiredEntity
from demo.home_assistant import http_storage
from tests.ports import free_port

PLANT = "sim://?xtenders=6&variotracks=2&variostrings=1&seed=4&start=2026-06-15T08:00:00"
MINUTES = float(os.environ.get("BENCH_MINUTES", "60"))
ROUNDS = 200


def prepare(folder: Path) -> None:
    """Give the web server a port of its own: another Home Assistant may have the usual one."""
    storage = folder / ".storage"
    storage.mkdir()
    web = http_storage("127.0.0.1", free_port())
    (storage / "http").write_text(json.dumps(web), encoding="utf-8")


@asynccontextmanager
async def plant(*, everything: bool) -> AsyncIterator[tuple[HomeAssistant, Any, ManualClock]]:
    """Run Home Assistant with the plant, on a clock that is turned by hand."""
    clock = ManualClock()
    surroundings = functools.partial(Surroundings, clock=clock)
    enabled = property(lambda _entity: True)
    with tempfile.TemporaryDirectory() as folder, patch.object(face, "Surroundings", surroundings):
        if everything:
            HardwiredEntity.entity_registry_enabled_default = enabled
        prepare(Path(folder))
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
            entry = MockConfigEntry(
                domain=DOMAIN, title="Studer", data={CONF_FAMILY: "studer", "link": PLANT}
            )
            entry.add_to_hass(hass)
            setup = asyncio.ensure_future(hass.config_entries.async_setup(entry.entry_id))
            while not setup.done():
                await clock.advance(0.05)
            assert setup.result(), entry.reason
            for _ in range(300):
                await clock.advance(0.2)
            await hass.async_block_till_done()
            yield hass, entry, clock
            await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_stop(force=True)


def entities(hass: HomeAssistant, entry: MockConfigEntry) -> tuple[int, int]:
    """Return how many entities there are, and how many are switched on."""
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return len(found), sum(one.disabled_by is None for one in found)


async def rows() -> dict[str, Any]:
    """Count what the recorder would write: one row for each changed state."""
    async with plant(everything=False) as (hass, entry, clock):
        written: Counter[str] = Counter()

        def count(event: Event[Any]) -> None:
            written[event.data["entity_id"].rpartition(".")[2]] += 1

        hass.bus.async_listen(EVENT_STATE_CHANGED, count)
        known, enabled = entities(hass, entry)
        began, used = clock.monotonic(), time.process_time()
        while clock.monotonic() < began + 60 * MINUTES:
            await clock.advance(0.25)
        used = time.process_time() - used
        await hass.async_block_till_done()
        hours = MINUTES / 60
        kinds: Counter[str] = Counter()
        for name, number in written.items():
            kinds[name.split("_", 2)[-1]] += number
        most = {name: round(number / hours) for name, number in kinds.most_common(12)}
        return {
            "what": "recorder rows an hour, six Xtenders, default plan",
            "entities": known,
            "enabled": enabled,
            "rows_per_hour": round(written.total() / hours),
            "most": most,
            "cpu_s_per_hour_with_simulator": round(used / hours, 1),
        }


async def changes() -> list[dict[str, Any]]:
    """Measure what a changed value costs from the engine to the states."""
    async with plant(everything=True) as (hass, entry, _clock):
        engine = entry.runtime_data.engine
        known, enabled = entities(hass, entry)
        units = list(engine._context.plant.real_units())  # noqa: SLF001
        numbers = [
            (unit, key)
            for unit in units
            for key, value in unit.values.items()
            if isinstance(value, float) and key in unit.fields
        ]

        def change(count: int, step: float) -> None:
            for unit, key in numbers[:count]:
                unit.put(key, unit.values[key] + step, float("inf"))

        def timed(count: int) -> tuple[float, float]:
            whole, own = [], []
            heard: Callable[..., None] | None
            for turn in range(ROUNDS):
                step = 1.0 if turn % 2 else -1.0
                change(count, step)
                began = time.perf_counter()
                engine._emit()  # noqa: SLF001
                whole.append(time.perf_counter() - began)
                heard, engine._on_snapshot = engine._on_snapshot, None  # noqa: SLF001
                change(count, step / 2)
                began = time.perf_counter()
                engine._emit()  # noqa: SLF001
                own.append(time.perf_counter() - began)
                engine._on_snapshot = heard  # noqa: SLF001
                change(count, -step / 2)
                engine._emit()  # noqa: SLF001
            return statistics.median(whole) * 1000, statistics.median(own) * 1000

        found = []
        for count in (1, 500):
            whole, own = timed(count)
            found.append(
                {
                    "what": "a snapshot with changed values, from the engine to the states",
                    "changed": min(count, len(numbers)),
                    "entities": known,
                    "enabled": enabled,
                    "ms": round(whole, 3),
                    "of_it_the_engine_ms": round(own, 3),
                }
            )
        return found


def main() -> None:
    """Print the figures."""
    logging.disable(logging.ERROR if os.environ.get("BENCH_LOG") else logging.CRITICAL)
    print(json.dumps(asyncio.run(rows())), flush=True)
    for figures in asyncio.run(changes()):
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    sys.exit(main())
