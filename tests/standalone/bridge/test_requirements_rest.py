"""Rows of the specification that need a few lines each to be proved."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hardwired.mqtt.topics import RESERVED
from hardwired_engines.composite import Part
from hardwired_engines.engine import Device, DeviceState, Snapshot
from hardwired_engines.factory import families
from hardwired_engines.fields import Catalogue
from tests.standalone.bridge.fake_family import FIELDS, FakeEngine, FakeFactory
from tests.standalone.bridge.test_bridge import VAN, factory, running, until
from tests.standalone.bridge.test_run_command import (
    VAN as SIMULATED,
    Running,
    config_in,
    influx_sink,
)
from tests.standalone.compat.test_dialects import at, dialect_of, inverter, reading
from tests.standalone.mqtt.fakes import FakeLink, connected

__all__ = ["factory"]
OPENWRT = Path(__file__).resolve().parents[3] / "standalone" / "install" / "openwrt"


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """A server that takes connections and says nothing would hold up the end."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        config = config_in(tmp_path, SIMULATED, influx_sink(silent.getsockname()[1]))
        bridge = Running(config, tmp_path)
        try:
            bridge.told("READY=1")
            silent.accept()[0].settimeout(60)  # its first request is on its way
            bridge.signal(signal.SIGTERM)
            bridge.told("STOPPING=1")
            bridge.signal(signal.SIGTERM)
            assert bridge.process.wait(60) in {0, 130}
        finally:
            bridge.close()


async def test_two_devices_of_one_slug(
    factory: FakeFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(VAN, tmp_path) as bridge:
        await until(lambda: factory.engines)
        engine: Any = factory.engine
        states = {
            ident: DeviceState(Device(ident, "heater", ident), {"room": 20.0}, fields=FIELDS)
            for ident in ("a b", "a/b")
        }
        await until(lambda: engine.snapshot.connected)
        engine._publish_snapshot(Snapshot(states, True, None))
        link = bridge.link("van")
        assert link is not None
        await until(lambda: {"a b", "a/b"} <= link.known.keys())
        assert (link.known["a b"], link.known["a/b"]) == ("a_b", "a_b_2")
        assert "two devices are a_b" in caplog.text
    async with running(VAN, tmp_path) as bridge:
        link = bridge.link("van")
        assert link is not None
        assert (link.known["a b"], link.known["a/b"]) == ("a_b", "a_b_2")


@pytest.mark.parametrize("family", families())
def test_no_catalogue_uses_a_key_of_the_topics(family: str) -> None:
    from hardwired_engines.factory import factory_of

    made = factory_of(family)
    catalogues: dict[str, Catalogue] = dict(made.catalogues)
    for kind, catalogue in catalogues.items():
        assert not RESERVED & set(catalogue), kind
        for composite in made.composites(kind):
            assert composite.key not in RESERVED | set(catalogue)
            assert {part.value for part in Part}.isdisjoint({"set", "details"})


def test_a_report_of_an_inverter_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    dialect = dialect_of(FakeLink("roof", snapshot=connected(inverter())), "sunsniff")
    dialect.occurrence("roof", reading(grid_voltage=233.3), at(1))
    assert "roof: a report of 1235687108, of 2026-11-28 12:00:00+00:00" in caplog.text


def test_the_script_for_openwrt_is_shell() -> None:
    script = OPENWRT / "hardwired.init"
    assert script.read_text().startswith("#!/bin/sh /etc/rc.common\n")
    subprocess.run(["/bin/sh", "-n", str(script)], check=True)
    told = (
        "procd_open_instance() { :; }; procd_close_instance() { :; };"
        ' procd_set_param() { echo "$@"; };'
        f" . {script}; CONFIG={script}; start_service"
    )
    done = subprocess.run(
        ["/bin/sh", "-ec", told], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert done[0].startswith("command hardwired run ")
    assert any(line.startswith("respawn ") for line in done)


async def test_a_line_that_is_open_is_a_first_attempt(
    factory: FakeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plant takes its time to tell who is there; READY does not wait for that."""

    async def silent(engine: FakeEngine, *_: Any) -> None:
        await engine.finish.wait()

    monkeypatch.setattr(FakeEngine, "run", silent)
    async with running(VAN, tmp_path) as bridge:
        await until(lambda: factory.engines)
        link = bridge.link("van")
        assert link is not None
        assert not link.tried
        factory.engine.statistics.connects = 1
        assert link.tried
        await until(lambda: bridge.ready)
