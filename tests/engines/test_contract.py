"""What holds for every engine: no Home Assistant in sight, and values that stay as they are."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hardwired_engines
from hardwired_engines.engine import (
    Device,
    DeviceState,
    Direction,
    FrameLog,
    InvalidCommand,
    LinkError,
    Reason,
    Snapshot,
    Statistics,
)

ENGINES = Path(hardwired_engines.__file__).parent

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import hardwired_engines
for module in pkgutil.walk_packages(hardwired_engines.__path__, "hardwired_engines."):
    importlib.import_module(module.name)
print(json.dumps(sorted(sys.modules)))
"""


def test_importing_every_engine_brings_no_home_assistant() -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True
    )
    modules = json.loads(outcome.stdout)
    assert any(name.startswith("hardwired_engines.sunsynk.") for name in modules)
    for name in modules:
        assert name.partition(".")[0] not in ("homeassistant", "probatio", "voluptuous"), name


@pytest.mark.parametrize("path", sorted(ENGINES.rglob("*.py")), ids=lambda path: path.name)
def test_engines_import_each_other_relatively(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            assert name.partition(".")[0] not in (
                "custom_components",
                "hardwired",
                "hardwired_engines",
                "homeassistant",
            ), f"{path.name}: {name}"


def test_a_snapshot_is_a_value() -> None:
    device = Device("a", "kind", "A")
    state = DeviceState(device, {"power": 5})
    snapshot = Snapshot({"a": state}, connected=True, reason=None)
    assert snapshot == Snapshot({"a": DeviceState(device, {"power": 5})}, True, None)
    assert snapshot.value("a", "power") == 5
    assert snapshot.value("a", "voltage") is None
    assert snapshot.value("b", "power") is None
    assert state.with_values(power=6).values == {"power": 6}
    assert state.values == {"power": 5}
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.connected = False  # type: ignore[misc]


def test_the_frame_log_is_bounded_and_tells_listeners() -> None:
    log = FrameLog(3)
    heard = []
    stop = log.listen(heard.append)
    for number in range(5):
        log.add(datetime(2026, 1, 1, tzinfo=UTC), Direction.IN, bytes([number]))
    assert [frame.data[0] for frame in log] == [2, 3, 4]
    assert len(heard) == 5
    stop()
    log.add(datetime(2026, 1, 1, tzinfo=UTC), Direction.OUT, b"x")
    assert len(heard) == 5
    assert len(log) == 3


def test_statistics_are_ready_for_json() -> None:
    statistics = Statistics(last_frame=datetime(2026, 1, 1, tzinfo=UTC))
    statistics.drops["bad checksum"] += 1
    assert json.loads(json.dumps(statistics.as_dict()))["drops"] == {"bad checksum": 1}


def test_errors_carry_what_their_text_needs() -> None:
    error = InvalidCommand("too hot", key="out_of_range", field="target")
    assert error.key == "out_of_range"
    assert error.placeholders == {"message": "too hot", "field": "target"}
    assert LinkError(Reason.BUSY).key == "busy"
    assert str(InvalidCommand()) == "This can't be set"
