"""Real Home Assistant processes for the end-to-end tests.

To start one takes longer than most of the tests. So the tests of a module share one, and all
tests on the newer version another; each test finds it without entries and leaves it so. One that
stops it comes last in its module, or the next test starts another.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from demo.browser import chromium
from demo.home_assistant import ROOT, HomeAssistant
from tests.ports import free_port

ARTEFACTS = ROOT / "artefacts"

VERSIONS = {"2026.10": ROOT / ".venv" / "ha", "2026.11": ROOT / ".venv" / "ha-next"}
TIMEOUT = 900
"""Seconds until a test counts as hung: on a busy machine a start alone may take minutes."""
OURS = ("hardwired", "mqtt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a process in one worker, and all of a worker in one loop."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            newer = "2026.11" if "[2026.11]" in item.name else ""
            item.add_marker(pytest.mark.xdist_group(newer or item.path.stem))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(TIMEOUT))


class Houses:
    """The processes of one worker: one of each version, started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._running: dict[str, HomeAssistant] = {}

    @asynccontextmanager
    async def visit(self, version: str, name: str) -> AsyncIterator[HomeAssistant]:
        """Lend a process that runs and has no entry; its log of this while is kept."""
        ha = self._running.get(version)
        if ha is None or not ha.running:
            ha = self._running[version] = await self._start(version)
        ha.forget_log()
        try:
            yield ha
        finally:
            if ha.running:
                await _clear(ha)
            keep_log(ha, name)

    async def _start(self, version: str) -> HomeAssistant:
        self._started += 1
        ha = HomeAssistant(
            self._folder / f"{version}-{self._started}",
            environment=VERSIONS[version],
            port=free_port(),
        )
        ha.prepare()
        try:
            await ha.start()
            await ha.onboard()
        except BaseException:
            await ha.stop()
            raise
        return ha

    async def close(self) -> dict[str, int | None]:
        """Stop what still runs; return how each ended."""
        return {version: await ha.stop() for version, ha in self._running.items() if ha.running}


async def _clear(ha: HomeAssistant) -> None:
    for domain in OURS:
        for entry in await ha.command("config_entries/get", domain=domain):
            await ha.delete(f"/api/config/config_entries/entry/{entry['entry_id']}")


def keep_log(ha: HomeAssistant, name: str) -> None:
    """Keep what was logged since :meth:`HomeAssistant.forget_log` as an artefact."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.log".replace("/", "_")).write_text(ha.log_text(), encoding="utf-8")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def houses(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Houses]:
    """The processes of this worker; each must end in good order."""
    houses = Houses(tmp_path_factory.mktemp("houses"))
    yield houses
    ended = await houses.close()
    assert set(ended.values()) <= {0}, ended


@pytest.fixture(params=[pytest.param(name, id=name) for name in VERSIONS])
def version(request: pytest.FixtureRequest) -> str:
    """The Home Assistant versions to run on."""
    name: str = request.param
    if not (VERSIONS[name] / "bin" / "hass").exists():
        pytest.fail(f"Home Assistant {name} is not installed: run script/setup")
    return name


@pytest_asyncio.fixture(loop_scope="session")
async def ha(houses: Houses, request: pytest.FixtureRequest) -> AsyncIterator[HomeAssistant]:
    """A running Home Assistant 2026.10 with a user; its log is kept as an artefact."""
    async with houses.visit("2026.10", request.node.name) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def any_ha(
    houses: Houses, version: str, request: pytest.FixtureRequest
) -> AsyncIterator[HomeAssistant]:
    """A running Home Assistant of each version."""
    async with houses.visit(version, request.node.name) as one:
        yield one


@pytest.fixture
def browser_required() -> None:
    """Fail, rather than skip, where CI has no browser: screenshots are part of the proof."""
    if chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine: script/setup installs it")
        pytest.skip("no Chromium on this machine: screenshots can't be taken")
