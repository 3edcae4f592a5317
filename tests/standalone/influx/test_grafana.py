"""The Grafana dashboards ask for what the helper writes: each query finds something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest

from hardwired.influx.points import device_tags, line_of, native_point
from hardwired_engines.factory import factory_of, families
from hardwired_engines.fields import Field, Quantity, Value
from hardwired_engines.inventum.profile import Column, Profile
from hardwired_engines.inventum.simulator.columns import HEADERS
from tests.standalone.bridge.servers import Influx, ask

FOLDER = Path(__file__).parents[3] / "standalone" / "install" / "grafana"
MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)
VARIABLES = {
    "$timeFilter": "time > '2026-11-01T00:00:00Z' AND time < '2026-11-02T00:00:00Z'",
    "$__interval": "1m",
    "/^$device$/": "/^.*$/",
    "$zone": "Europe/London",
}


def example(field: Field) -> Value:
    match field.quantity:
        case Quantity.OPTION:
            return field.options[0]
        case Quantity.TEXT:
            return "text"
        case Quantity.CLOCK_TIME:
            return time(12, 30)
        case Quantity.TIMESTAMP:
            return MOMENT
        case _:
            return True if field.binary else 1.5


def lines(family: str) -> Iterator[str]:
    for kind, catalogue in factory_of(family).catalogues.items():
        fields = {field.key: field for field in catalogue.values()}
        if family == "inventum":
            profile = Profile().with_header(Column("", name) for name in HEADERS["solo"])
            fields |= {
                column.key: Field(key=column.key, name=column.name, quantity=Quantity.NUMBER)
                for column in profile.columns
            }
        told = {
            key: example(field)
            for key, field in fields.items()
            if field.quantity is not Quantity.EVENT
        }
        tags = device_tags({}, "link", f"{kind}1", kind)
        point = native_point(family, tags, fields, told, moment=MOMENT, zone=UTC)
        assert point is not None
        yield line_of(point)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    influx = Influx(tmp_path_factory.mktemp("influx"))
    influx.start()
    influx.query("CREATE DATABASE db")
    for family in families():
        if (FOLDER / f"{family}.json").exists():
            body = "\n".join(lines(family)).encode()
            status, answer = ask(influx.port, "POST", "/write?db=db&precision=ns", body)
            assert status == 204, answer
    yield influx
    influx.kill()


def dashboards() -> list[tuple[str, dict[str, Any]]]:
    return [(path.stem, json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]


@pytest.mark.parametrize(
    ("family", "panel"),
    [
        pytest.param(family, panel, id=f"{family}-{panel['title']}")
        for family, dashboard in dashboards()
        for panel in dashboard["panels"]
    ],
)
def test_each_query_of_a_panel_finds_something(
    server: Influx, family: str, panel: dict[str, Any]
) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        query = target["query"]
        for name, text in VARIABLES.items():
            query = query.replace(name, text)
        assert not re.search(r"\$\w", query), query
        answer = server.query(query, db="db")["results"][0]
        assert answer.get("series"), (query, answer)


def test_each_family_that_measures_has_a_dashboard() -> None:
    assert {family for family, _ in dashboards()} == {"inventum", "studer", "sunsynk", "truma"}
