"""A GX to try things on, as a stranger would start it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gx import screen

from .conftest import Gx

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2] / "standalone/venus"


async def test_both_devices_are_shown() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gx", "--once", "--every", "0.2"),
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    text = output.decode()
    assert "Fridge (1)" in text
    assert "[ Salon ]" in text
    assert "Heating                      20.0 °C" in text


async def test_picture_of_an_output_with_a_warning(gx: Gx) -> None:
    async with gx() as seen:
        output = {"id": "p", "name": "Pump", "group": "Water", "status": 2, "state": 1}
        await seen.register(
            {
                "clientId": "a",
                "connected": 1,
                "services": {"s": "switch"},
                "options": {"s": {"name": "Panel", "outputs": [output, {"id": "h", "show": 0}]}},
            }
        )
        assert seen.bus is not None
        text = screen.picture(await screen.services(seen.bus))
        assert text.splitlines() == [
            "Devices",
            "  Panel (1)                    ",
            "",
            "[ Water ]",
            "  Panel | Pump                 on ! status 0x02",
        ]
