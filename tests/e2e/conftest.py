"""A real Home Assistant process for the end-to-end tests, one for each version."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demo.browser import chromium
from demo.home_assistant import ROOT, HomeAssistant

ARTEFACTS = ROOT / "artefacts"

VERSIONS = {"2026.10": ROOT / ".venv" / "ha", "2026.11": ROOT / ".venv" / "ha-next"}


@pytest.fixture(params=[pytest.param(name, id=name) for name in VERSIONS])
def version(request: pytest.FixtureRequest) -> str:
    """The Home Assistant versions to run on."""
    name: str = request.param
    if not (VERSIONS[name] / "bin" / "hass").exists():
        pytest.fail(f"Home Assistant {name} is not installed: run script/setup")
    return name


@pytest.fixture
async def ha(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[HomeAssistant]:
    """A running Home Assistant 2026.10 with a user; its log is kept as an artefact."""
    async for one in _running("2026.10", tmp_path, request):
        yield one


@pytest.fixture
async def any_ha(
    version: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[HomeAssistant]:
    """A running Home Assistant of each version."""
    async for one in _running(version, tmp_path, request):
        yield one


async def _running(
    version: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[HomeAssistant]:
    ha = HomeAssistant(tmp_path / "config", environment=VERSIONS[version])
    try:
        ha.prepare()
        await ha.start()
        await ha.onboard()
        yield ha
    finally:
        await ha.stop()
        ARTEFACTS.mkdir(exist_ok=True)
        name = f"{request.node.name}.log".replace("/", "_")
        (ARTEFACTS / name).write_text(ha.log.read_text(errors="replace"), encoding="utf-8")


@pytest.fixture
def browser_required() -> None:
    """Fail, rather than skip, where CI has no browser: screenshots are part of the proof."""
    if chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine: script/setup installs it")
        pytest.skip("no Chromium on this machine: screenshots can't be taken")
