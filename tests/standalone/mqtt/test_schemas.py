"""Every discovery payload through the schemas of both installed Home Assistant versions (c.8)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from hardwired.bridge.sink import Publication
from hardwired.compat.dialects import make_dialect
from hardwired.mqtt.announcement import announce, bridge_ident, head_of
from hardwired.mqtt.bridge_device import BridgeDevice
from hardwired.mqtt.components import Choice, Naming, Place, components
from hardwired.mqtt.topics import Topics
from hardwired_engines.engine import Device, DeviceState
from hardwired_engines.factory import families
from hardwired_engines.fields import Catalogue, Quantity, Value
from tests.standalone.compat.test_dialects import at, inverter, truma, xtender
from tests.standalone.mqtt.fakes import FakeFactory, FakeHub, FakeLink, connected, opened
from tests.standalone.mqtt.worlds import ToldComposite, state_of
from tests.vector_files import load

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
VERSIONS = {"2026.10": ROOT / ".venv" / "ha", "2026.11": ROOT / ".venv" / "ha-next"}
TOPICS = Topics()


def some(quantity: Quantity) -> Value | None:
    match quantity:
        case Quantity.CLOCK_TIME:
            return time(7, 30)
        case Quantity.TIMESTAMP:
            return datetime(2026, 1, 1, tzinfo=UTC)
        case _:
            return None


def device_messages(
    state: DeviceState, choice: Choice, composites: Iterable[Any] = ()
) -> Iterator[Publication]:
    kind = state.device.kind
    place = Place(f"hardwired_{kind}", "link", kind, TOPICS)
    head = head_of(
        state.device, place, via=bridge_ident("hardwired"), version="1.0.0", area="Attic"
    )
    found = components(place, Naming(), choice, state, tuple(composites))
    yield from announce(place, head, found, {}).messages


def choices(catalogue: Catalogue) -> Iterator[Choice]:
    everything = frozenset(catalogue)
    yield Choice()
    yield Choice(included=everything)
    yield Choice(included=everything, times=False)
    yield Choice(included=everything, read_only=True)


def everything() -> Iterator[Publication]:
    for family in families():
        package = f"hardwired_engines.{family}"
        factory = getattr(import_module(package), "FACTORY", FakeFactory())
        for kind, catalogue in import_module(f"{package}.catalogue").CATALOGUES.items():
            values = {key: some(field.quantity) for key, field in catalogue.items()}
            device = Device(kind, kind, f"The {kind}", "Maker", "Model")
            state = DeviceState(device, values, fields=catalogue)
            for choice in choices(catalogue):
                yield from device_messages(state, choice, factory.composites(kind))
    for case in load("bridge", "discovery.json")["cases"]:
        state = state_of(case["device"], case["fields"], case["values"])
        told = [ToldComposite(one, {}) for one in case.get("composites", [])]
        yield from device_messages(state, Choice(), told)
    own = BridgeDevice(links={"van": True, "plant": False}, sinks=["grafana"], texts={})
    place = Place(own.ident, "bridge", "bridge", TOPICS)
    yield from announce(place, own.head(TOPICS), own.components(TOPICS), {}).messages


def of_old_programs() -> Iterator[Publication]:
    worlds = {
        "sunsniff": FakeLink("roof", snapshot=connected(inverter(), inverter("2"))),
        "inetbox.py": FakeLink("van", snapshot=truma()),
        "inetbox2mqtt": FakeLink("van", snapshot=truma()),
        "xtender_mqtt": FakeLink("plant", snapshot=connected(xtender(battery_voltage=52.4))),
    }
    for name, link in worlds.items():
        settings: dict[str, Any] = {"dialect": name}
        dialect = make_dialect(settings, link, FakeHub(link), "mqtt")
        for action in opened(dialect, {link.name: link.snapshot}, at(0)):
            if isinstance(action, Publication) and action.topic.endswith("/config"):
                yield action


def problems(version: str, messages: Iterable[Publication]) -> list[str]:
    python = VERSIONS[version] / "bin" / "python"
    if not python.exists():
        pytest.fail(f"Home Assistant {version} is not installed: run script/setup")
    told = [
        {"topic": message.topic, "payload": json.loads(message.payload)}
        for message in messages
        if message.payload not in ("", "{}")
    ]
    assert told
    done = subprocess.run(
        [python, Path(__file__).with_name("schema_checker.py")],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_device_of_every_family(version: str) -> None:
    assert problems(version, everything()) == []


OLD_WAYS = tuple(
    f"{key} was thrown away" for key in ("object_id", "model", "sw_version", "unit_of_measurement")
)
"""What the old programs said, word for word, and Home Assistant does not heed."""


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_old_programs_announce(version: str) -> None:
    found = problems(version, of_old_programs())
    assert [text for text in found if not text.endswith(OLD_WAYS)] == []
