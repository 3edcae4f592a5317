"""A Victron GX beside Home Assistant, and what of the home is shown on it.

A D-Bus of its own, a broker, the stand-ins and the driver run as programs, as
``hardwired simulate gx`` starts them, with two Wi-Fi devices. Without dbus-daemon or mosquitto
there is none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .home_assistant import ROOT, HomeAssistant, HomeAssistantError, free_port
from .texts import TEXTS

SOURCE = ROOT / "standalone" / "venus"
FAMILY = "victron_gx"
RUNS = "A GX runs on this machine"
PATIENCE = 60.0
REDRAWN_EVERY = 5.0
PAGE_URL = "/local/gx.html"
PAGE = """\
<!DOCTYPE html>
<meta charset="utf-8">
<title>GX</title>
<style>body {{margin: 0; background: #141414}} img {{width: 100%; display: block}}</style>
<img id="display" alt="GX" src="gx.svg">
<script>
  const display = document.getElementById("display");
  setInterval(() => {{ display.src = "gx.svg?" + Date.now(); }}, {milliseconds:.0f});
</script>
"""


class Gx:
    """The programs, from their start to their end."""

    def __init__(self, folder: Path, language: str = "en") -> None:
        self._language = language
        self._www = folder / "www"
        self.log = folder / "gx.log"
        self._port_file = folder / "gx-port"
        self._process: subprocess.Popen[bytes] | None = None
        self._drawing: asyncio.Task[None] | None = None
        self.port = 0

    def prepare(self) -> None:
        """Make the page of the display, which Home Assistant serves; begin to start."""
        self._www.mkdir(parents=True, exist_ok=True)
        page = PAGE.format(milliseconds=REDRAWN_EVERY * 1000)
        (self._www / "gx.html").write_text(page, encoding="utf-8")
        self.port = self._choose_port()
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gx", "--listen", str(self.port), "--every", "0"),
                    *("--language", self._language),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the demonstration, which ends it
            )

    def _choose_port(self) -> int:
        """Return the port of an earlier run in this folder, which the entry knows; else a new."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._port_file.read_text())
        port = free_port()
        self._port_file.write_text(str(port))
        return port

    @property
    def there(self) -> bool:
        """Whether the programs run."""
        return self._process is not None and self._process.poll() is None

    async def runs(self) -> bool:
        """Wait until it runs; says whether it does."""
        process = self._process
        assert process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while process.poll() is None:
                    if RUNS in self._said():
                        self._drawing = asyncio.create_task(self._draw())
                        return True
                    await asyncio.sleep(0.1)
        await self.stop()
        return False

    def why_not(self) -> str:
        """Return what it said last."""
        lines = self._said().strip().splitlines()
        return lines[-1].removeprefix("gx: ") if lines else "it said nothing"

    def _said(self) -> str:
        return self.log.read_text(errors="replace")

    async def _draw(self) -> None:
        """Have the display drawn again and again."""
        while self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"picture {self._www / 'gx.svg'}\n".encode())
                self._process.stdin.flush()
            await asyncio.sleep(REDRAWN_EVERY)

    async def stop(self) -> None:
        """End the programs."""
        if self._drawing is not None:
            self._drawing.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    @property
    def steps(self) -> tuple[Mapping[str, Any], ...]:
        """What a user does in the config flow: address, and on."""
        where = {"host": "127.0.0.1", "port": self.port}
        return (
            {"next_step_id": FAMILY},
            {**where, "tls": False, "pin": False, "pair": False},
            {},
        )


async def show_the_home(
    ha: HomeAssistant, families: Mapping[str, str], entry_id: str, language: str
) -> None:
    """Put the thermostat, the inverter's sun and the ventilation on the GX, as far as they are."""
    registry = await ha.command("config/entity_registry/list")

    async def there() -> bool:
        states = await ha.states()
        return any(
            states.get(one["entity_id"], {}).get("state") == "on"
            for one in registry
            if one["config_entry_id"] == entry_id and one["unique_id"].endswith("_helper_online")
        )

    await ha.wait_for("the driver on the GX", there)

    def find(family: str, domain: str, ending: str) -> str | None:
        for one in registry:
            if families.get(one["config_entry_id"] or "") != family or one["disabled_by"]:
                continue
            entity_id = str(one["entity_id"])
            if entity_id.startswith(f"{domain}.") and one["unique_id"].endswith(ending):
                return entity_id
        return None

    texts = TEXTS[language]
    phases: dict[str, Any] = {"L1": {}, "L2": {}, "L3": {}}
    wanted: list[tuple[str, dict[str, Any]]] = []
    if heater := find("truma", "climate", "_room"):
        wanted.append(("climate", {"name": texts["van"], "entity": heater}))
    power = find("sunsynk", "sensor", "_pv_power")
    energy = find("sunsynk", "sensor", "_pv_production_total")
    if power and energy:
        sources = {"power": power, "energy": energy}
        sun = {"name": texts["inverter"], "role": "pvinverter", "position": 1, **sources}
        wanted.append(("meter", {**sun, **phases}))
    panel = [
        find("inventum", "fan", "_fan"),
        find("inventum", "sensor", "_log_temp_boiler_boven_c"),
        find("inventum", "sensor", "_log_rv_afvoerlucht"),
    ]
    if entities := [one for one in panel if one]:
        wanted.append(("panel", {"name": texts["ventilation"], "entities": entities}))
    for template, form in wanted:
        if template != "meter":
            form["controls_allowed"] = True
        form["more"] = {"on_loss": "leave"}
        result = await ha.add_subentry(entry_id, "export", {"next_step_id": template}, form, {})
        if result["type"] != "create_entry":
            raise HomeAssistantError(f"{form['name']} on the GX: the flow ended with {result}")
