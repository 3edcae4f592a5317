"""Recordings for a bug report: what passes on the wire, masked, as a file to download."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedWriter
from pathlib import Path
from typing import Final

import probatio as vol
from aiohttp import web
from homeassistant.components.http.auth import async_sign_path
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.http import HomeAssistantView
from homeassistant.util import dt as dt_util

from .actions import entry_field, loaded_entry, not_written, register
from .const import DOMAIN
from .coordinator import HardwiredConfigEntry
from .diagnostics import hidden_of
from .engines.engine import RecordedFrame, Snapshot
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
    seconds: float
    """For which was recorded."""
    whole: bool
    """Whether that is as long as was wished: the entry was not unloaded meanwhile."""


async def async_record(
    hass: HomeAssistant,
    entry: HardwiredConfigEntry,
    seconds: float,
    on_progress: Callable[[float], None] | None = None,
) -> Recorded:
    """Write down what an entry's engine hears and says for *seconds*, and what it last heard.

    The engine goes on as it was. It ends when the entry is unloaded: what was recorded until then
    is kept. *on_progress* is called with the fraction that is done. Raises ``HomeAssistantError``
    when the entry is not loaded, or the file can't be written.
    """
    if entry.state is not ConfigEntryState.LOADED:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="entry_not_loaded")
    runtime = entry.runtime_data
    hidden = hidden_of(entry)
    kept: list[RecordedFrame] = list(runtime.engine.frames)
    unloaded = asyncio.Event()

    def keep(frame: RecordedFrame) -> None:
        if len(kept) < MOST_FRAMES:
            kept.append(frame)

    stop_frames = runtime.engine.frames.listen(keep)
    stop_state = entry.async_on_state_change(unloaded.set)
    began = time.monotonic()
    try:
        while (passed := time.monotonic() - began) < seconds and not unloaded.is_set():
            if on_progress is not None:
                on_progress(passed / seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(STEP, seconds - passed)):
                    await unloaded.wait()
    finally:
        stop_frames()
        stop_state()
    hidden = hidden.and_also(runtime.engine.secrets())
    masked = without_secrets(kept, hidden.secrets, hidden.names)
    frames = sorted(masked, key=lambda frame: frame.time)
    suffix, content = runtime.family.factory.recording(frames)
    stamp = dt_util.now().strftime("%Y%m%d-%H%M%S")
    name = f"{runtime.family.key}-{_firmware(runtime.coordinator.data)}-{stamp}"
    folder = Path(hass.config.path(FOLDER))
    try:
        path = await hass.async_add_executor_job(_write, folder, name, suffix, content)
    except OSError as error:
        raise not_written(error) from error
    return Recorded(path, len(frames), min(passed, seconds), not unloaded.is_set())


def _firmware(snapshot: Snapshot) -> str:
    """Return the firmware of the first device that tells it, fit for the name of a file."""
    states = snapshot.devices.values()
    told = next((state.device.sw_version for state in states if state.device.sw_version), None)
    return re.sub(r"[^A-Za-z0-9.]+", "_", told or "unknown").strip("_.")[:40] or "unknown"


def _write(folder: Path, name: str, suffix: str, content: bytes) -> Path:
    """Write a file of its own: one that has the name already is another recording."""
    folder.mkdir(mode=0o700, exist_ok=True)
    number = 1
    while (file := _new(path := _numbered(folder, name, number, suffix))) is None:
        number += 1
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _numbered(folder: Path, name: str, number: int, suffix: str) -> Path:
    return folder / f"{name}{'' if number == 1 else f'-{number}'}{suffix}"


def _new(path: Path) -> BufferedWriter | None:
    """Open a file that nobody else has made; ``None`` where there is one."""
    try:
        return path.open("xb")
    except FileExistsError:
        return None


def placeholders(recorded: Recorded) -> dict[str, str]:
    """Return what the texts say of a recording."""
    return {
        "frames": str(recorded.frames),
        "file": str(recorded.path),
        "seconds": f"{recorded.seconds:.0f}",
    }


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
        if not recorded.whole:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="recorded_in_part",
                translation_placeholders=placeholders(recorded),
            )
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
