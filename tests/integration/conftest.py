"""Fixtures of the tests inside Home Assistant: the real integration against simulated devices."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import custom_components.hardwired  # noqa: F401 - pins the package before the hass fixture
from tests.ports import free_port


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """Return ports that no other process is given: tests run beside tests."""
    return free_port


@pytest.fixture(scope="session")
def unused_udp_port_factory() -> Callable[[], int]:
    """Return such ports for datagrams."""
    return partial(free_port, socket.SOCK_DGRAM)


@pytest.fixture(autouse=True)
def hardwired_enabled(enable_custom_integrations: None) -> None:
    """Let Home Assistant load custom integrations."""


@pytest.fixture(autouse=True)
def catch_blocking_calls(disable_block_async_io: None) -> None:
    """Raise on blocking calls in the event loop, as a real Home Assistant would log them."""
    from homeassistant import block_async_io

    block_async_io.enable()


@pytest.fixture(autouse=True)
def nothing_deprecated(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which Home Assistant complains about how we use it."""
    yield
    complaints = [
        record.getMessage()
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)  # type: ignore[arg-type]
        if "hardwired" in record.getMessage()
        and ("deprecated" in record.getMessage() or "will stop working" in record.getMessage())
    ]
    assert complaints == []


@pytest.fixture(autouse=True)
def truma_in_quick_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collect settings, and rest between uploads, as much shorter as the panel lives faster."""
    from custom_components.hardwired.engines.truma import uploads

    monkeypatch.setattr(uploads, "COLLECT_FOR", uploads.COLLECT_FOR / 5)
    monkeypatch.setattr(uploads, "UPLOAD_PAUSE", uploads.UPLOAD_PAUSE / 5)
