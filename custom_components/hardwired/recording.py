"""Recordings for a bug report: what passes on the wire, masked, as a file to download."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import probatio as vol
from aiohttp import web
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.http import HomeAssistantView
from homeassistant.util import dt as dt_util

from .actions import entry_field, loaded_entry, register
from .const import DOMAIN
from .coordinator import HardwiredConfigEntry
from .diagnostics import hidden_of
from .engines.engine import RecordedFrame
from .engines.recording import without_secrets

FOLDER: Final = "hardwired_recordings"
"""Beside the configuration: recordings are not public, as the folder ``www`` is."""
NAME = re.compile(r"[a-z0-9][A-Za-z0-9_.-]{0,120}")
DEFAULT_SECONDS: Final = 60
LEAST_SECONDS: Final = 1
MOST_SECONDS: Final = 900
MOST_FRAMES: Final = 50_000
"""Some MB: what a mail or an issue takes."""
DOWNLOAD_TIME = timedelta(hours=1)
STEP = 0.5
"""Seconds between two looks at the clock."""

ACTION: Final = "record"
ATTR_SECONDS: Final = "seconds"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that was written."""

    path: Path
    frames: int


async def async_record(
    hass: HomeAssistant,
    entry: HardwiredConfigEntry,
    seconds: float,
    on_progress: Callable[[float], None] | None = None,
) -> Recorded:
    """Write down what an entry's engine hears and says for *seconds*, and what it last heard.

    The engine goes on as it was. *on_progress* is called with the fraction that is done. Raises
    ``HomeAssistantError`` when the file can't be written.
    """
    runtime = entry.runtime_data
    kept: list[RecordedFrame] = list(runtime.engine.frames)

    def keep(frame: RecordedFrame) -> None:
        if len(kept) < MOST_FRAMES:
            kept.append(frame)

    stop = runtime.engine.frames.listen(keep)
    began = time.monotonic()
    try:
        while (passed := time.monotonic() - began) < seconds:
            if on_progress is not None:
                on_progress(passed / seconds)
            await asyncio.sleep(min(STEP, seconds - passed))
    finally:
        stop()
    hidden = hidden_of(entry)
    masked = without_secrets(kept, hidden.secrets, hidden.names)
    frames = sorted(masked, key=lambda frame: frame.time)
    suffix, content = runtime.family.factory.recording(frames)
    stamp = dt_util.now().strftime("%Y%m%d-%H%M%S")
    name = f"{runtime.family.key}-{_firmware(entry)}-{stamp}{suffix}"
    path = Path(hass.config.path(FOLDER, name))
    try:
        await hass.async_add_executor_job(_write, path, content)
    except OSError as error:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="not_written",
            translation_placeholders={"message": error.strerror or str(error)},
        ) from error
    return Recorded(path, len(frames))


def _firmware(entry: HardwiredConfigEntry) -> str:
    """Return the firmware of the first device that tells it, fit for the name of a file."""
    states = entry.runtime_data.coordinator.data.devices.values()
    told = next((state.device.sw_version for state in states if state.device.sw_version), None)
    return re.sub(r"[^A-Za-z0-9.]+", "_", told or "unknown").strip("_.")[:40] or "unknown"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)


@callback
def download_url(hass: HomeAssistant, recorded: Recorded) -> str:
    """Return a path that downloads the file without a login for an hour."""
    return async_sign_path(hass, f"{RecordingView.base}/{recorded.path.name}", DOWNLOAD_TIME)


class RecordingView(HomeAssistantView):
    """Hands a recording out to who is logged in."""

    base = f"/api/{DOMAIN}/recording"
    url = f"{base}/{{name}}"
    name = f"api:{DOMAIN}:recording"

    def __init__(self, hass: HomeAssistant) -> None:
        """Know the folder."""
        self._hass = hass

    async def get(self, request: web.Request, name: str) -> web.StreamResponse:
        """Return the file."""
        path = Path(self._hass.config.path(FOLDER, name))
        if not NAME.fullmatch(name) or not await self._hass.async_add_executor_job(path.is_file):
            raise web.HTTPNotFound
        disposition = f'attachment; filename="{name}"'
        return web.FileResponse(path, headers={"Content-Disposition": disposition})


def setup_recording(hass: HomeAssistant) -> None:
    """Register the action and the download."""

    async def record(call: ServiceCall) -> dict[str, str | int]:
        recorded = await async_record(hass, loaded_entry(hass, call), call.data[ATTR_SECONDS])
        return {"file": str(recorded.path), "frames": recorded.frames}

    hass.http.register_view(RecordingView(hass))
    within = vol.All(vol.Coerce(float), vol.Range(min=LEAST_SECONDS, max=MOST_SECONDS))
    register(
        hass,
        ACTION,
        record,
        vol.Schema({**entry_field(), vol.Optional(ATTR_SECONDS, default=DEFAULT_SECONDS): within}),
        SupportsResponse.OPTIONAL,
    )
