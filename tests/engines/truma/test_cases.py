"""Owners' recordings, each with the value that is right: tests/cases/truma (issue 12, number 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.truma.inet.box import Box, BoxEvent, Received, Seen
from hardwired_engines.truma.inet.buffers import (
    DOWNLOAD,
    UPLOADS,
    Buffer,
    Group,
    MessageId,
    build_buffer,
)
from hardwired_engines.truma.inet.rules import AirconMode
from hardwired_engines.truma.installation import ALDE, HEATER, Installation
from hardwired_engines.truma.lin.frames import response
from hardwired_engines.truma.lin.log import read_log
from hardwired_engines.truma.lin.transport import Assembler, split

CASES = Path(__file__).resolve().parents[2] / "cases" / "truma"
POLL, ASK, TELL = 0xD8, 0x3C, 0x7D
BA = bytes.fromhex("ba001f001e000022ffffff")


class Reader:
    """Feeds frames to a box that listens, and what it says to an installation."""

    def __init__(self) -> None:
        self.box = Box(counter=0, init_request=False, observer=True)
        self.installation = Installation()
        self.now = 0.0

    def frame(self, pid: int, data: bytes) -> None:
        self.now += 0.05
        self.box.receive(bytes((0, 0x55, pid)) + response(pid, data), self.now)
        for event in self.box.events():
            self.take(event)

    def take(self, event: BoxEvent) -> None:
        match event:
            case Received(buffer=buffer):
                self.installation.take_buffer(buffer)
            case Seen():
                self.installation.take_frame(event)

    def log(self, name: str, lines: slice = slice(None)) -> Reader:
        text = (CASES / name).read_text(encoding="utf-8").splitlines()
        for one in list(read_log(text))[lines]:
            assert one.data is not None
            self.frame(one.pid, one.data)
        return self

    def value(self, key: str, device: str = HEATER) -> Any:
        return self.installation.states(available=True)[device].values.get(key)


def test_t01_the_revision_is_hexadecimal() -> None:
    reader = Reader().log("t01_hw_revision_hex.log", slice(14))
    assert reader.installation.device(HEATER).hw_version == "0340.22"
    reader = Reader().log("t01_hw_revision_hex.log")
    assert reader.installation.device(HEATER).hw_version == "0340.0B"


def test_t02_an_error_of_a_heater_whose_list_we_do_not_have() -> None:
    reader = Reader().log("t02_error_gas_112.log")
    assert reader.value("error") == "see_manual"
    assert reader.value("error_number") == 112
    assert reader.value("problem") is True


def test_t02_the_meaning_follows_a_record_that_comes_later() -> None:
    reader = Reader().log("t02_error_gas_112.log", slice(14, None))
    reader.installation.take_buffer(_record("020101001003 0002030100 00".replace(" ", "")))
    assert reader.value("error") == "water_sensor", "the Combi D's own list"


def _record(payload: str) -> Any:
    return Buffer(MessageId.DEVICE, 0, bytes.fromhex(payload), b"")


def test_t05_status_zero_says_nothing() -> None:
    reader = Reader().log("t05_status_zero.log")
    assert reader.value("current_temp_water") == 29.0
    assert reader.value("current_temp_room") == 19.4
    for key in ("operating_status", "ready", "mains", "window"):
        assert reader.value(key) is None, key


def test_t05_what_was_known_before_is_not_kept() -> None:
    reader = Reader()
    known = bytes.fromhex("00000000000000000000 0101cc0b6c0b07000000".replace(" ", ""))
    off = known[:16] + b"\0" + known[17:]
    for payload, window in ((known, False), (off, None)):
        reader.installation.take_buffer(_status(payload))
        assert reader.value("window") is window
    # Frames that tell it twice a second know it better than a status without any.
    reader.frame(0xD6, bytes.fromhex("00075a0b7c0b1d85"))
    reader.installation.take_buffer(_status(off))
    assert reader.value("window") is False
    assert reader.value("mains") is True
    assert reader.value("operating_status") is None


def test_the_panels_coarse_temperature_does_not_replace_the_heaters_own() -> None:
    reader = Reader()

    def told_by_panel(code: int) -> float | None:
        payload = bytes(12) + code.to_bytes(2, "little") + bytes(6)
        reader.installation.take_buffer(_status(payload))
        return reader.value("current_temp_water")

    assert told_by_panel(2930) == 20.0
    water = 3215
    reader.frame(0xD6, bytes.fromhex("00075a0b") + water.to_bytes(2, "little") + b"\x1d\x85")
    assert told_by_panel(3180) == 48.5
    # A heater that is there no more, and one that has told nothing for long.
    assert told_by_panel(3080) == 35.0
    assert told_by_panel(3090) == 36.0
    assert told_by_panel(0) is None


def _status(payload: bytes) -> Any:
    return Buffer(MessageId.HEATER, 0, payload, b"")


def test_t06_an_alde_bus_has_no_truma_heater() -> None:
    reader = Reader().log("t06_alde_fast_frames.log")
    assert HEATER not in reader.installation.states(available=True)


@pytest.mark.parametrize("first", ["00", "ff"])
def test_t06_also_where_the_frame_looks_like_a_heaters(first: str) -> None:
    reader = Reader()
    reader.frame(0xD6, bytes.fromhex(first + "0dffffd20af584"))
    reader.frame(0x5B, bytes.fromhex("d20aff7fff7f0000"))
    reader.frame(0xD6, bytes.fromhex(first + "0dffffd20af584"))
    reader.frame(TELL, bytes.fromhex("0103f80202ffffff"))
    assert HEATER not in reader.installation.states(available=True)


def test_p04_a_combi_6_e() -> None:
    reader = Reader().log("p04_combi6e_d6.log")
    assert reader.value("current_temp_room") == 17.6
    assert reader.value("current_temp_water") == 21.0
    assert reader.value("mains") is True
    assert reader.value("window") is False
    assert reader.value("heating_demand") is False
    assert reader.value("voltage") == 13.1


def test_p02_the_panels_clock() -> None:
    reader = Reader().log("p02_clock_real.log", slice(7))
    assert reader.value("panel_clock", "panel").isoformat() == "22:31:40"
    assert reader.log("p02_clock_real.log").value("panel_clock", "panel").isoformat() == "09:21:00"


def test_a01_a_buffer_that_says_it_is_longer_than_it_is() -> None:
    case = json.loads((CASES / "a01_alde_length.json").read_text(encoding="utf-8"))
    box = Box(counter=0, init_request=False)
    now = 0.0
    for frame in case["frames_3c"]:
        now += 0.05
        box.receive(bytes((0, 0x55, ASK)) + response(ASK, bytes.fromhex(frame)), now)
    answer = box.receive(bytes((0, 0x55, TELL)), now + 0.05)
    assert answer == bytes.fromhex("0301fbffffffffff00")
    received = [event.buffer for event in box.events() if isinstance(event, Received)]
    assert [one.payload.hex() for one in received] == ["020001ffde41010000041000"]
    installation = Installation()
    installation.take_buffer(received[0])
    assert set(installation.states(available=True)) == {"panel"}
    assert ALDE not in installation.states(available=True)


class Talk:
    """A box on a bus that is played by hand."""

    def __init__(self, group: Group, baseline: bytes) -> None:
        self.box = Box(counter=0, init_request=False)
        self.now = 0.0
        self.download(UPLOADS[group].baseline_id, baseline)

    def header(self, pid: int) -> bytes:
        self.now += 0.05
        answer = self.box.receive(bytes((0, 0x55, pid)), self.now)
        self.box.receive(answer, self.now + 0.01)
        return answer

    def ask(self, message: bytes) -> None:
        for frame in split(3, message):
            self.now += 0.05
            self.box.receive(bytes((0, 0x55, ASK)) + response(ASK, frame), self.now)

    def download(self, number: int, payload: bytes) -> None:
        self.ask(build_buffer(DOWNLOAD, number, 0, payload))
        self.header(TELL)

    def fetch(self) -> bytes:
        """Return the payload of the upload."""
        self.header(POLL)
        self.ask(BA)
        assembler = Assembler()
        while answer := self.header(TELL):
            if (message := assembler.receive_data(answer[:8], self.now)) is not None:
                return message.data[17:]
        return b""


def test_t07_what_is_filled_in_is_what_the_panel_shows_by_then() -> None:
    case = json.loads((CASES / "t07_stale_fill_in.json").read_text(encoding="utf-8"))
    talk = Talk(Group.HEATER, bytes.fromhex(case["baseline_33"]))
    talk.box.command(1, Group.HEATER, {"heating_mode": 10}, talk.now)
    talk.download(MessageId.HEATER, bytes.fromhex(case["then_before_BA_a_new_33"]))
    payload = talk.fetch()
    right = case["right_upload_32"]
    assert int.from_bytes(payload[0:2], "little") == right["target_temp_room"]
    assert int.from_bytes(payload[2:4], "little") == right["heating_mode"]


def test_t07_of_energy_and_of_the_air_conditioner() -> None:
    off = bytes.fromhex("000000000000000000000101180b360b07000000")
    both = bytes.fromhex("680b01000807000008070303180b360b07000000")
    talk = Talk(Group.HEATER, off)
    talk.box.command(1, Group.HEATER, {"energy_mix": 2}, talk.now)
    talk.download(MessageId.HEATER, both)
    payload = talk.fetch()
    assert payload[4:6] == payload[8:10] == (1800).to_bytes(2, "little"), "not the 900 of before"
    assert payload[:4] == both[:4]

    cooling = bytes((AirconMode.COOLING, 0, 0x72, 1)) + (2930).to_bytes(2, "little") + bytes(12)
    heating = bytes((AirconMode.HEATING, 0, 0x73, 1)) + (2970).to_bytes(2, "little") + bytes(12)
    talk = Talk(Group.AC_MANUAL, cooling)
    talk.box.command(1, Group.AC_MANUAL, {"vent": 0x71}, talk.now)
    talk.download(MessageId.AC_MANUAL, heating)
    payload = talk.fetch()
    assert payload[:6] == bytes((AirconMode.HEATING, 0, 0x71, 1)) + heating[4:6]
