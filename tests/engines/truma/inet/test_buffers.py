"""Status and setting buffers. Spec b.6, d.1 - d.9, d.12."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.truma.inet import buffers
from hardwired_engines.truma.inet.box import Box, Received
from hardwired_engines.truma.inet.buffers import (
    STATUS_LAYOUTS,
    UPLOADS,
    Buffer,
    Group,
    MessageId,
    Refusal,
    build_buffer,
    read_buffer,
    read_device,
    settings_payload,
    with_twins,
)
from hardwired_engines.truma.lin.frames import response
from tests.vector_files import cases

BASELINE = bytes.fromhex("860b01000000000000000101220c670b05000000")


def fields_of(buffer: Buffer, name: str) -> dict[str, Any] | None:
    if name == "device":
        record = read_device(buffer.payload)
        assert record is not None
        return {key: getattr(record, key) for key in record.__slots__}
    return STATUS_LAYOUTS[buffer.message_id].read(buffer.payload)


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "status_buffers.json"))
def test_status_vectors(case: dict[str, Any]) -> None:
    box = Box(counter=0, init_request=False)
    now = 0.0
    for frame in case["frames"]:
        now += 0.05
        assert box.receive(b"\0\x55\x3c" + response(0x3C, bytes.fromhex(frame)), now) == b""
    assert box.receive(b"\0\x55\x7d", now + 0.05).hex() == case["answer"]
    received = [event.buffer for event in box.events() if isinstance(event, Received)]
    expected = case["expect"]
    if not expected["accepted"]:
        assert received == []
        assert box.baselines == {}
        return
    (buffer,) = received
    assert (buffer.message_id, buffer.counter) == (expected["msg_id"], expected["counter"])
    assert (buffer.tail.hex(), buffer.length) == (expected["tail"], expected["length_byte"])
    if expected["name"] == "unknown":
        assert buffer.payload.hex() == expected["raw"]
        return
    found = fields_of(buffer, expected["name"])
    assert found is not None
    for key, value in expected["fields"].items():
        wanted = tuple(value) if isinstance(value, list) else value
        assert found[key] == wanted, key


def test_the_worked_example() -> None:
    payload = bytes.fromhex("860b01000000000000000101")
    message = build_buffer(0xFA, MessageId.HEATER_SET, 0x10, payload)
    assert len(message) == 41
    assert message[16] == 0xC7
    assert read_buffer(message) == Buffer(0x32, 0x10, payload, b"\xff\xff\xff")


def test_the_init_request_is_short() -> None:
    message = build_buffer(0xFA, MessageId.INIT_REQUEST, 1, b"")
    assert len(message) == 17
    assert message[16] == 0x9F


@given(
    st.integers(0, 255), st.integers(0, 255), st.binary(max_size=24), st.integers(0, 40),
    st.integers(1, 255),
)  # fmt: skip
def test_a_damaged_buffer_is_refused(
    number: int, counter: int, payload: bytes, at: int, flip: int
) -> None:
    message = build_buffer(buffers.DOWNLOAD, number, counter, payload.ljust(24, b"\1"))
    assert isinstance(read_buffer(message), Buffer)
    damaged = bytearray(message)
    damaged[at] ^= flip
    found = read_buffer(bytes(damaged))
    # The tail may be anything, and so may a length beyond what is there (issue 12, number 4).
    harmless = at in (8, 9, 10) or (at == 4 and damaged[4] > message[4])
    if not harmless and isinstance(found, Buffer):
        # 00 and FF are the same to an end-around sum; and FA is as good a beginning as BB.
        assert {message[at], damaged[at]} in ({0x00, 0xFF}, {0xBB, 0xFA})


@given(st.binary(max_size=64))
def test_any_bytes_are_a_buffer_or_refused(data: bytes) -> None:
    found = read_buffer(data)
    assert isinstance(found, (Buffer, Refusal))


@given(st.binary(max_size=24))
def test_any_payload_is_read_or_too_short(payload: bytes) -> None:
    for layout in STATUS_LAYOUTS.values():
        fields = layout.read(payload)
        assert (fields is None) == (len(payload) < layout.size)
        if fields is not None:
            assert layout.read(layout.write(fields, payload)) == fields
    assert (read_device(payload) is None) == (len(payload) < 12)


def test_what_a_layout_does_not_take() -> None:
    with pytest.raises(ValueError, match="no field"):
        buffers.HEATER.write({"colour": 1})
    with pytest.raises(ValueError, match="does not take"):
        buffers.HEATER.write({"error_code": 256})
    with pytest.raises(ValueError, match="does not take"):
        buffers.HEATER.write({"error_code": -1})


def test_twins_are_written_twice() -> None:
    assert with_twins({"energy_mix": 2, "heating_mode": 1}) == {
        "energy_mix_a": 2, "energy_mix_b": 2, "heating_mode": 1,
    }  # fmt: skip
    payload = settings_payload(Group.HEATER, BASELINE, {"el_power_level": 900})
    assert payload[4:6] == payload[8:10] == (900).to_bytes(2, "little")


def test_what_is_not_changed_stays() -> None:
    assert settings_payload(Group.HEATER, BASELINE, {}) == BASELINE[:12]


def test_the_clock_shows_what_a_panel_has_shown() -> None:
    clock = bytes((10, 20, 30, 0xFF, 0xFF, 0, 1, 2, 3, 4))
    payload = settings_payload(Group.CLOCK, clock, {"hours": 7})
    assert payload == bytes((7, 20, 30, 1, 1, 0, 1, 2, 3, 4))
    good = bytes((10, 20, 30, 8, 1, 0, 1, 2, 3, 4))
    assert settings_payload(Group.CLOCK, good, {}) == good


def test_an_air_conditioner_is_always_on() -> None:
    status = bytes((5, 0, 0x71, 0, 0x86, 0x0B)) + bytes(12)
    assert settings_payload(Group.AC_MANUAL, status, {})[3] == 1


@pytest.mark.parametrize("group", Group)
def test_a_baseline_that_is_too_short(group: Group) -> None:
    with pytest.raises(ValueError, match="too short"):
        settings_payload(group, b"\0", {})


def test_uploads_are_one_below_their_downloads() -> None:
    for upload in UPLOADS.values():
        assert upload.message_id == upload.baseline_id - 1
