"""Every family on a wire of its own: simulators in their own processes, and their forms."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardwired_engines.inventum.terminal.keys import CHALLENGE_CODE, LOGIN_CODE
from tests.ports import free_port

HARDWIRED = Path(sys.executable).with_name("hardwired")
CODES = {"login_code": LOGIN_CODE, "challenge_code": CHALLENGE_CODE}


@dataclass(frozen=True, slots=True)
class Wire:
    """One simulated device: how it is played, and how Home Assistant is told of it.

    ``entities`` of ours with a value show that all is there.
    """

    family: str
    command: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...]
    entities: int


def wires(folder: Path) -> tuple[Wire, ...]:
    """Return one device of each family; what needs a path is in *folder*."""
    xcom, inverter, gx = free_port(), free_port(), free_port()
    heater, unit = str(folder / "heater"), str(folder / "unit")
    modbus = {
        "serial": "9600 8N1", "framing": "auto", "max_block": 66, "time_zone": "Europe/Amsterdam"
    }  # fmt: skip
    no_tls = {"tls": False, "pin": False, "pair": False}
    return (
        Wire(
            "studer",
            ("studer", "--listen", f"127.0.0.1:{xcom}", "--xtenders", "6", "--seed", "7"),
            ({"next_step_id": "studer"}, {"next_step_id": "studer_connect"},
             {"host": "127.0.0.1", "port": xcom}, {}),
            40,
        ),
        Wire(
            "truma",
            ("truma", "--pty", heater, "--no-standby", "--personality", "c4-combi-aventa"),
            ({"next_step_id": "truma"}, {"link": heater, "observer": False}),
            10,
        ),
        Wire(
            "inventum",
            ("inventum", "--pty", unit, "odds=3", "seed=5", "header=short"),
            ({"next_step_id": "inventum"}, {"link": unit, "codes": CODES}),
            5,
        ),
        Wire(
            "sunsynk",
            ("sunsynk", "modbus", "--tcp", f"127.0.0.1:{inverter}"),
            ({"next_step_id": "sunsynk"}, {"next_step_id": "sunsynk_modbus"},
             {"link": f"socket://127.0.0.1:{inverter}", "units": "1", "more": modbus}),
            20,
        ),
        Wire(
            "victron_gx",
            ("gx", "--no-devices", "--listen", f"127.0.0.1:{gx}", "--every", "0"),
            ({"next_step_id": "victron_gx"}, {"host": "127.0.0.1", "port": gx, **no_tls}, {}),
            1,
        ),
    )  # fmt: skip


@asynccontextmanager
async def played(wire: Wire, folder: Path) -> AsyncIterator[None]:
    """Play a device until the end of the block."""
    with (folder / f"{wire.family}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(HARDWIRED), "simulate", *wire.command,
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
