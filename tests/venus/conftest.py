"""Fixtures: the bundle, and a GX around the driver that is run from it."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from .observer import Observer
from .pythons import oldest_and_newer, pythons
from .world import World

ROOT = Path(__file__).parents[2]
Gx = Callable[..., AbstractAsyncContextManager[Observer]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``version`` under the oldest Python and one of 3.12 or newer."""
    if "version" in metafunc.fixturenames:
        metafunc.parametrize("version", oldest_and_newer(), scope="session")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of a freshly built bundle, one for all workers."""
    base = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        base = base.parent
    folder = base / "venus/mqtt-devices"
    with (base / "venus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            subprocess.run([ROOT / "script/venus_bundle", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def world(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the GX that the tests of this worker share."""
    shared = World(bundle, lambda: tmp_path_factory.mktemp("gx"))
    yield shared
    shared.close()


@pytest.fixture
def gx(world: World) -> Gx:
    """Return a context: a GX with the driver running in it, seen by an observer.

    With ``fresh``, nothing of it was there before, and nothing stays.
    """

    @asynccontextmanager
    async def running(
        version: str | None = None,
        config: dict[str, Any] | None = None,
        *,
        settings: dict[str, Any] | None = None,
        gateway: bool = False,
        driver: bool = True,
        system: bool = True,
        fresh: bool = False,
    ) -> AsyncIterator[Observer]:
        if fresh:
            world.close()
        try:
            seen = await world.begin(
                version or next(iter(pythons())),
                config or {},
                settings=settings,
                gateway=gateway,
                driver=driver,
                system=system,
            )
            try:
                yield seen
                if not fresh:
                    await world.end(seen)
            finally:
                await seen.leave()
        except BaseException:
            world.close()
            raise
        if fresh:
            world.close()

    return running
