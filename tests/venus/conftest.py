"""Fixtures: the bundle, and a GX around the driver that is run from it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gx.rig import PORTAL_ID, Rig

from .observer import Observer
from .pythons import oldest_and_newer, pythons

ROOT = Path(__file__).parents[2]
Gx = Callable[..., AbstractAsyncContextManager[Observer]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``version`` under the oldest Python and one of 3.12 or newer."""
    if "version" in metafunc.fixturenames:
        metafunc.parametrize("version", oldest_and_newer(), scope="session")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a freshly built bundle."""
    folder = tmp_path_factory.mktemp("bundle") / "mqtt-devices"
    subprocess.run([ROOT / "script/venus_bundle", folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def gx(bundle: Path, tmp_path: Path) -> Gx:
    """Return a context: a GX with the driver running in it, seen by an observer."""

    @asynccontextmanager
    async def running(
        version: str | None = None,
        config: dict[str, Any] | None = None,
        *,
        settings: dict[str, Any] | None = None,
        gateway: bool = False,
        driver: bool = True,
        system: bool = True,
    ) -> AsyncIterator[Observer]:
        version = version or next(iter(pythons()))
        rig = Rig(tmp_path, pythons()[version], bundle, config)
        if settings is not None:
            rig.preset(settings)
        left_out = [rig.driver]
        left_out += [] if gateway else [rig.gateway]
        left_out += [] if system else [rig.system]
        observer = Observer(rig)
        try:
            rig.start(without=left_out)
            await observer.join_bus()
            await observer.join_broker()
            there = ["settings", *(["system"] if system else [])]
            for name in there:
                await observer.wait(
                    lambda name=name: f"com.victronenergy.{name}" in observer._owners.values()
                )
            if gateway:
                await observer.wait(lambda: observer.on(f"N/{PORTAL_ID}/keepalive"))
            if driver:
                rig.driver.start()
                await observer.fence()
            observer.clear()
            yield observer
        finally:
            await observer.leave()
            rig.stop()

    return running
