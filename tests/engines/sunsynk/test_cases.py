"""What owners' reports broke: the cases, and others of their kinds (issue 12)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hardwired_engines.sunsynk.dongle.layouts import LAYOUTS, Layout
from hardwired_engines.sunsynk.dongle.report import (
    Quality,
    RejectedReport,
    read_report,
)
from hardwired_engines.sunsynk.facts import SourceFacts
from hardwired_engines.sunsynk.inverters import Inverters
from hardwired_engines.sunsynk.notices import notices
from hardwired_engines.sunsynk.pipeline.report_pipeline import ReportPipeline
from tests.vector_files import load

CASES = Path(__file__).parents[2] / "cases" / "sunsynk"


def case(name: str) -> Any:
    return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))


def real(layout: Layout = LAYOUTS[292], message_no: int = 1) -> dict[int, int]:
    """Return the registers of the real packet."""
    frame = bytes.fromhex(load("sunsynk", "real_292.json")["cases"][0]["hex"])
    return dict(read_report(frame).registers)


def frame(words: dict[int, int], layout: int = 292, at: datetime | None = None) -> bytes:
    """Return the real report with these words changed, in a layout."""
    local = at or datetime(2026, 6, 14, 12)  # noqa: DTZ001
    registers = real() | words
    data = b"".join(
        registers.get(register, 0).to_bytes(2) for register in LAYOUTS[layout].registers
    )
    clock = bytes((local.year - 2000, local.month, local.day, local.hour, local.minute, 0))
    body = b"1235687108".ljust(26, b"\0") + clock + b"\1" + data
    return bytes((0xA5, 6, 1, 9, 2, 0xCE, 0, 0, 1)) + len(body).to_bytes(2) + body


class Line:
    """Reports into the pipeline, every 300 s."""

    def __init__(self, **details: Any) -> None:
        self.pipeline = ReportPipeline(UTC, **details)
        self.inverters = Inverters()
        self.number = 0

    def report(self, words: dict[int, int], layout: int = 292, signal: int = 0xCE) -> None:
        at = datetime(2026, 6, 14, 8, tzinfo=UTC) + timedelta(seconds=300 * self.number)
        self.number += 1
        sent = bytearray(frame(words, layout, at.replace(tzinfo=None)))
        sent[5] = signal
        received = self.pipeline.take(bytes(sent), at, arrival=300.0 * self.number)
        assert received is not None
        self.inverters.take(received, self.pipeline.inverters[received.serial])

    def shown(self, key: str) -> Any:
        return self.inverters.states()["1235687108"].values[key]

    @property
    def notices(self) -> list[str]:
        return [one.key for one in notices(self.pipeline, self.inverters, SourceFacts())]


def test_counter_spike_up() -> None:
    spike = case("counter_spike_up")
    line, shown = Line(), []
    for low, high in spike["reports"]:
        line.report({96: low, 97: high})
        shown.append(line.shown(spike["field"]))
    assert shown == spike["right"]


def test_grid_by_ten_10kw() -> None:
    words = {int(register): word for register, word in case("grid_by_ten_10kw")["words"].items()}
    line = Line()
    line.report(words, 302)
    assert line.notices == ["grid_power_by_ten"]
    (notice,) = notices(line.pipeline, line.inverters, SourceFacts())
    assert notice.device == "1235687108"
    assert (notice.placeholders["shown"], notice.placeholders["measured"]) == ("72", "700")


def test_a_unit_that_was_set_is_not_asked_about() -> None:
    words = {int(register): word for register, word in case("grid_by_ten_10kw")["words"].items()}
    line = Line(grid_power_by_ten=["1235687108"])
    line.report(words, 302)
    assert line.notices == []
    assert line.shown("grid_power") == 720


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        ([{169: 72, 172: 72, 167: 0, 178: 950}], True),
        ([{169: -72 % 65536, 172: -72 % 65536, 167: -720 % 65536}], True),
        ([{169: 700, 172: 700, 167: 700}] * 5, False),
        ([{169: 5, 172: 5, 167: 50}] * 5, False),
        ([{169: 700, 172: 700, 167: 700}, {169: 72, 172: 72, 167: 700}], False),
        ([{169: 700, 167: 700}] + [{169: 72, 172: 72, 167: 700}] * 3, True),
        ([{169: 72, 172: 72, 167: 700}, {169: 700, 172: 700, 167: 700}], False),
        ([{169: 72, 172: 720, 167: 0, 178: 230}] * 3, True),
        ([{16: 28928, 17: 2, 169: 0, 172: 0, 167: 0}], True),
        ([{16: 28928, 17: 2, 169: 700, 172: 700, 167: 700}], False),
    ],
)
def test_units_of_ten_watts(reports: list[dict[int, int]], told: bool) -> None:
    """By the phases, the balance, the meter; whatever the size; not for other plants."""
    line = Line()
    for words in reports:
        line.report(words, 302)
    assert ("grid_power_by_ten" in line.notices) is told


def test_three_constant_violations() -> None:
    odd = case("three_constant_violations")
    report = read_report(frame({int(key): word for key, word in odd["words"].items()}))
    assert report.quality is Quality.PARTIAL
    assert set(report.violations) == {
        "pv_production_daily", "inverter_temperature_dc", "pv_production_yearly",
    }  # fmt: skip
    assert all(report.values[key] is None for key in report.violations)
    assert report.values["grid_voltage"] == 233.3


ODDITIES = {90: 540, 91: 60000, 95: 50000, 68: 4660, 69: 6211, 88: 6211, 108: 42991, 84: 40000}


@pytest.mark.parametrize("count", range(1, 9))
def test_oddities_of_a_model_are_absent(count: int) -> None:
    for number in range(20):
        chosen = Random(number).sample(sorted(ODDITIES), min(count, len(ODDITIES)))
        report = read_report(frame({register: ODDITIES[register] for register in chosen}))
        assert report.values["battery_soc"] is not None


@pytest.mark.parametrize("size", [292, 302, 306])
def test_words_that_are_not_a_report_are_refused(size: int) -> None:
    """Shifted by any number of bytes, of other registers, or random."""
    sound = frame({16: 50000, 17: 0, 79: 5001, 178: 900, 175: 300, 97: 1, 66: 120}, size)
    words = sound[44:]
    for shift in range(1, len(words)):
        for moved in (words[shift:] + words[:shift], bytes(shift) + words[:-shift]):
            if abs(shift) <= 24 or abs(len(words) - shift) <= 24:
                with pytest.raises(RejectedReport):
                    read_report(sound[:44] + moved)
    random = Random(size)
    for _ in range(1000):
        with pytest.raises(RejectedReport):
            read_report(sound[:44] + random.randbytes(len(words)))


@pytest.mark.parametrize(("byte", "shown"), [(0xB8, -72), (0xFF, -1), (0, None), (100, None)])
def test_a_signal_that_cannot_be_is_absent(byte: int, shown: int | None) -> None:
    """What byte 5 means is inferred: another firmware's may be per cent, or nothing."""
    line = Line()
    line.report({}, signal=byte)
    assert line.shown("dongle_signal") == shown


def test_another_stick_beside_ours_is_no_trouble() -> None:
    """Two inverters, one with a Solarman stick: the mirror brings both."""
    line = Line()
    heard = SourceFacts(foreign=3)
    assert [one.key for one in notices(line.pipeline, line.inverters, heard)] == ["solarman"]
    line.report({})
    both = SourceFacts(foreign=3, reports=1)
    assert [one.key for one in notices(line.pipeline, line.inverters, both)] == []
