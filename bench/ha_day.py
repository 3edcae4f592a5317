"""All families in one real Home Assistant for an hour, beside the same Home Assistant without us.

Both run at the same time on the same machine, so that what else it does troubles both. The devices
are simulated in processes of their own, on real terminals and sockets. First both are started with
everything set up, for the lag of a start; then they run for ``BENCH_MINUTES`` (60). With
``BENCH_STACKS=1`` the lines of ours that hold the loop for over 10 ms are counted, which costs time
itself. The environment of ``script/setup test`` must be there.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from demo.home_assistant import HomeAssistant
from tests.ports import free_port

from . import Unavailable
from ._wires import Wire, played, wires
from .ha_load import PYTHON

MINUTES = float(os.environ.get("BENCH_MINUTES", "60"))
SETTLE = 90.0
"""Seconds after the start that count as the start."""
AIM_MS = 2.0
METER = Path(__file__).with_name("_lag_meter.py")
CONFIGURATION = """
lag_meter:
  stacks: {stacks}
input_boolean:
  pump:
    name: Pump
"""
EXPORTED = {"name": "Galley", "entities": ["input_boolean.pump"], "controls_allowed": True}
HERTZ = os.sysconf("SC_CLK_TCK")


def _prepare(ha: HomeAssistant) -> None:
    ha.prepare()
    meter = ha.folder / "custom_components" / "lag_meter"
    meter.mkdir()
    shutil.copy(METER, meter / "__init__.py")
    manifest = {"domain": "lag_meter", "name": "Lag meter", "version": "1", "requirements": []}
    (meter / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    file = ha.folder / "configuration.yaml"
    usual = file.read_text(encoding="utf-8").replace("commit_interval: 1\n", "commit_interval: 5\n")
    more = CONFIGURATION.format(stacks="BENCH_STACKS" in os.environ)
    file.write_text(usual + more, encoding="utf-8")


@asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[HomeAssistant]:
    """A Home Assistant with a user and the meter, stopped at the end."""
    ha = HomeAssistant(folder, port=free_port())
    _prepare(ha)
    try:
        await ha.start()
        await ha.onboard()
        yield ha
    finally:
        await ha.stop()


async def _set_up(ha: HomeAssistant, wire: Wire) -> None:
    result = await ha.configure(*wire.steps)
    if result["type"] != "create_entry":
        raise RuntimeError(f"{wire.family}: the form ended with {result}")
    entry = result["result"]["entry_id"]
    if wire.family == "victron_gx":
        await _export(ha, entry)

    async def alive() -> bool:
        states = await ha.states()
        registered = await ha.command("config/entity_registry/list")
        known = [
            states[one["entity_id"]]["state"]
            for one in registered
            if one["config_entry_id"] == entry and one["entity_id"] in states
        ]
        return sum(state not in ("unknown", "unavailable") for state in known) >= wire.entities

    await ha.wait_for(f"values of {wire.family}", alive, timeout=300)


async def _export(ha: HomeAssistant, entry: str) -> None:
    path = "/api/config/config_entries/subentries/flow"
    result = await ha.post(path, {"handler": [entry, "export"]})  # type: ignore[dict-item]
    result = await ha.post(f"{path}/{result['flow_id']}", {"next_step_id": "panel"})
    form = {**EXPORTED, "more": {"on_loss": "leave"}}
    await ha.post(f"{path}/{result['flow_id']}", form)


async def _restart(ha: HomeAssistant) -> None:
    await ha.stop()
    await ha.start()
    await ha.log_in("demo", "demo")


async def _lag(ha: HomeAssistant, action: str = "take") -> dict[str, Any]:
    answer = await ha.call("lag_meter", action, answer=True)
    figures: dict[str, Any] = answer["service_response"]
    return figures


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _tree(int(child))


def _processor(pid: int) -> float:
    """Return the seconds of processor time of a process and its children."""
    stats = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in _tree(pid))
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / HERTZ


def _memory(pid: int) -> float:
    """Return the memory of a process and its children, shared pages divided, in MiB."""
    rollups = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in _tree(pid))
    return sum(int(text.split("\nPss:")[1].split()[0]) for text in rollups) / 1024


def _rows(ha: HomeAssistant) -> Counter[str]:
    """Return how many states of each entity are recorded."""
    database = sqlite3.connect(f"file:{ha.folder / 'home-assistant_v2.db'}?mode=ro", uri=True)
    try:
        found = database.execute(
            "SELECT states_meta.entity_id, count(*)"
            " FROM states JOIN states_meta USING (metadata_id) GROUP BY 1"
        ).fetchall()
    finally:
        database.close()
    return Counter(dict(found))


def _now(ha: HomeAssistant) -> dict[str, Any]:
    return {
        "rows": _rows(ha),
        "processor": _processor(ha.pid),
        "memory": _memory(ha.pid),
        "at": time.monotonic(),
    }


def _spent(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    seconds = after["at"] - before["at"]
    rows: Counter[str] = after["rows"] - before["rows"]
    return {
        "minutes": round(seconds / 60, 1),
        "cpu_percent_of_a_core": round(
            100 * (after["processor"] - before["processor"]) / seconds, 2
        ),
        "memory_mib_begin": round(before["memory"], 1),
        "memory_mib_end": round(after["memory"], 1),
        "recorder_rows_per_hour": round(rows.total() * 3600 / seconds),
        "most": {name: round(one * 3600 / seconds) for name, one in rows.most_common(12)},
    }


async def _measure(houses: dict[str, HomeAssistant]) -> list[dict[str, Any]]:
    """Measure the start, then the rest, of both at the same time."""
    await asyncio.gather(*(_restart(ha) for ha in houses.values()))
    await asyncio.sleep(SETTLE)
    starts = {name: await _lag(ha) for name, ha in houses.items()}
    before = {}
    for name, ha in houses.items():
        ha.forget_log()
        before[name] = _now(ha)
    pairs = []
    for _ in range(math.ceil(MINUTES)):
        await asyncio.sleep(60)
        seen = {name: (await _lag(ha, "glance"))["p99_ms"] for name, ha in houses.items()}
        pairs.append(seen["with"] - seen["without"])
    lags = {name: await _lag(ha) for name, ha in houses.items()}
    found = [{"house": name, "phase": "start", **starts[name]} for name in houses]
    for name, ha in houses.items():
        lines = ha.log_text().splitlines()
        found.append(
            {
                "house": name,
                "phase": "day",
                **lags[name],
                **_spent(before[name], _now(ha)),
                "log_lines": len(lines),
                "log_lines_of_ours": [line for line in lines if "hardwired" in line][:20],
            }
        )
    mine, theirs = lags["with"], lags["without"]
    found.append(
        {
            "p99_lag_more_ms": round(mine["lag_p99_ms"] - theirs["lag_p99_ms"], 2),
            "p99_lag_more_ms_median_of_minutes": round(statistics.median(pairs), 2),
            "p99_busy_more_ms": round(mine["busy_p99_ms"] - theirs["busy_p99_ms"], 2),
            "aim_ms": AIM_MS,
        }
    )
    return found


async def day() -> list[dict[str, Any]]:
    """Return the figures of both."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        devices = wires(folder)
        for wire in devices:
            await stack.enter_async_context(played(wire, folder))
        houses = {
            name: await stack.enter_async_context(_house(folder / name))
            for name in ("with", "without")
        }
        await asyncio.gather(*(_set_up(houses["with"], wire) for wire in devices))
        return await _measure(houses)


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures."""
    if not PYTHON.exists():
        raise Unavailable("no Home Assistant here: script/setup test makes it")
    yield from asyncio.run(day())
