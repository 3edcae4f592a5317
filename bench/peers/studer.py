"""Studer: what three readers show of the same plants with the same faults, held against the truth.

Each reader has a plant of six Xtenders for each fault, behind a Moxa that dials in, in real time.
Each fault is played twice: a library is asked unit by unit, then quantity by quantity.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardwired_engines.clock import SystemClock
from hardwired_engines.studer.catalogue import to_field
from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.simulator.runners import Moxa
from hardwired_engines.studer.simulator.world import World, make
from tests.ports import free_port

from .._scom import as_float32
from ..scom_faults import SCENARIOS
from .environments import PYSTUDERXCOM, XCOM_PROTO, NotInstalled, Peer
from .table import Row

SECONDS = float(os.environ.get("BENCH_SECONDS", "45"))
SETTLED = 30.0
"""Seconds without a fault at the start: our engine looks for units first, at every address."""
ORDERS = ("unit", "quantity")
SCRIPTS = Path(__file__).parent / "clients"

FAULTS = {
    **SCENARIOS,
    "an Xtender drops out, silently": "drop:address=103:silent=10:timeout=10:away=20",
    "an Xtender drops out, the gateway says so": "drop:address=103:silent=0:timeout=10:away=20",
}


@dataclass(frozen=True, slots=True)
class Program:
    """A reader; ``peer`` is ``None`` for ours."""

    name: str
    script: str
    peer: Peer | None
    shows: Callable[[Datapoint, float], object]
    """What it makes of a value on the wire."""


def _as_it_is(_point: Datapoint, value: float) -> object:
    return value


def _as_field(point: Datapoint, value: float) -> object:
    return to_field(point, value, None)


PROGRAMS = (
    Program("Hardwired", "hardwired_reader.py", None, _as_field),
    Program("pystuderxcom", "pystuderxcom_reader.py", PYSTUDERXCOM, _as_it_is),
    Program("xcom-proto", "xcom_proto_reader.py", XCOM_PROTO, _as_it_is),
)


def _was_true(world: World, program: Program, address: int, number: int, value: float) -> bool:
    """Whether the device ever held the value: also an old one is no wrong one."""
    point = by_id(Family.XT, number)
    assert point is not None
    held = world.truth.held(world.device(address).fid, number)
    known = (program.shows(point, as_float32(point.wire_format, entry.value)) for entry in held)
    return any(value == one for one in known)


async def _play(program: Program, python: str, text: str, order: str) -> dict[str, Any]:
    world = make({"xtenders": "6", "multi_info": "0", "messages": "0"}).world
    port = free_port()
    moxa = asyncio.ensure_future(Moxa(world, "127.0.0.1", port, redial=0.2).run())
    process = await asyncio.create_subprocess_exec(
        python, str(SCRIPTS / program.script), str(port), str(SECONDS + SETTLED), order,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    shown = wrong = after = 0
    summary: dict[str, Any] = {}
    name, *pairs = text.split(":")
    options = dict(pair.split("=") for pair in pairs)
    begun = False
    try:
        async with asyncio.timeout(SECONDS + SETTLED + 30):
            async for line in process.stdout:
                found = json.loads(line)
                if isinstance(found, dict):
                    summary = found
                    break
                at, address, number, value = found
                shown += 1
                if math.isnan(value) or not _was_true(world, program, address, number, value):
                    wrong += 1
                after += at > SETTLED + SECONDS * 2 / 3
                if at > SETTLED and not begun:
                    begun = True
                    world.inject(name, SystemClock().monotonic(), **options)
    except TimeoutError:
        summary = {"stopped": True}
    finally:
        moxa.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.wait([moxa])
    return {"shown": shown, "wrong": wrong, "shown_in_the_end": after, **summary}


async def _all(program: Program, python: str) -> dict[str, list[dict[str, Any]]]:
    """Play all faults side by side; the plants wait most of the time."""
    tasks = {
        (fault, order): asyncio.ensure_future(_play(program, python, text, order))
        for fault, text in FAULTS.items()
        for order in ORDERS
    }
    await asyncio.gather(*tasks.values())
    return {fault: [tasks[fault, order].result() for order in ORDERS] for fault in FAULTS}


def measure() -> Iterator[dict[str, Any] | Row]:
    """Yield the figures of each fault and program, then two rows."""
    wrong: dict[str, str] = {}
    memory: dict[str, str] = {}
    for program in PROGRAMS:
        title = program.peer.title if program.peer else program.name
        try:
            python = str(program.peer.python()) if program.peer else sys.executable
        except NotInstalled as reason:
            wrong[title] = memory[title] = f"not installed: {reason}"
            continue
        played = asyncio.run(_all(program, python))
        runs = [run for both in played.values() for run in both]
        for fault, (units, quantities) in played.items():
            yield {
                "program": title,
                "fault": fault,
                "seconds": SECONDS,
                "shown": units["shown"] + quantities["shown"],
                "wrong_unit_by_unit": units["wrong"],
                "wrong_quantity_by_quantity": quantities["wrong"],
                "stopped": sum(not run["shown_in_the_end"] for run in (units, quantities)),
            }
        number = sum(run["wrong"] for run in runs)
        wrong[title] = f"{number:,} of {sum(run['shown'] for run in runs):,}"
        memory[title] = f"{max(run.get('memory_mib', 0) for run in runs):.0f} MiB"
    ours = wrong.pop("Hardwired")
    yield Row(f"Studer: wrong values shown under {len(FAULTS)} faults on the line", ours, wrong)
    yield Row("Studer: memory of the reading process", memory.pop("Hardwired"), memory)
