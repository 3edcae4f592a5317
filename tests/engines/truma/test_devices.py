"""Which devices there are, and what their errors mean. Spec d.8, d.10."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.truma import errors
from hardwired_engines.truma.devices import (
    MODELS,
    DeviceKind,
    HeaterKind,
    hardware,
    model_of,
    software,
)
from hardwired_engines.truma.inet.buffers import Buffer, DeviceRecord, MessageId, read_device
from hardwired_engines.truma.installation import Installation

PANEL = bytes.fromhex("020001005000000403 02ad10")


def record(hw_id: int, index: int = 1) -> DeviceRecord:
    return DeviceRecord(2, index, 1, 0, hw_id, 0, (4, 3, 2), 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "panel, heater, kind",
    [
        (0x0050, 0x0620, HeaterKind.VARIO),
        (0x0051, 0x0340, HeaterKind.COMBI),
        (0x0051, 0x03FF, HeaterKind.VARIO),
        (0x0059, 0x0620, HeaterKind.VARIO),
    ],
)
def test_the_heater_decides_its_modes(
    panel: int, heater: int, kind: HeaterKind, order: tuple[int, int]
) -> None:
    """A panel of the other kind had modes be wished that the heater does not have."""
    installation = Installation()
    for index in order:
        hw_id = (panel, heater)[index]
        payload = bytes((2, index, 1, 0, hw_id & 0xFF, hw_id >> 8, 0, 4, 3, 2, 0, 0))
        installation.take_buffer(Buffer(MessageId.DEVICE, 0, payload, b""))
    assert installation.heater_kind is kind


def test_the_worked_example() -> None:
    panel = read_device(PANEL)
    assert panel is not None
    assert (panel.count, panel.index, panel.online) == (2, 0, True)
    assert (hardware(panel), software(panel)) == ("0050.00", "C4.03.02")


@pytest.mark.parametrize(
    "hw_id, kind, heater",
    [
        (0x0050, DeviceKind.PANEL, HeaterKind.COMBI),
        (0x0051, DeviceKind.PANEL, HeaterKind.VARIO),
        (0x0340, DeviceKind.HEATER, HeaterKind.COMBI),
        (0x0620, DeviceKind.HEATER, HeaterKind.VARIO),
        (0x0C01, DeviceKind.AIRCON, None),
        (0x0399, DeviceKind.HEATER, None),
        (0x0C99, DeviceKind.AIRCON, None),
        (0x9999, DeviceKind.OTHER, None),
    ],
)
def test_devices_are_known_by_their_hardware_not_their_place(
    hw_id: int, kind: DeviceKind, heater: HeaterKind | None
) -> None:
    for index in (1, 2, 7):
        model = model_of(record(hw_id, index))
        assert (model.kind, model.heater) == (kind, heater)


def test_an_unknown_device_has_a_name() -> None:
    assert model_of(record(0x9ABC)).name == "Truma device 9ABC"
    panel = model_of(record(0x9ABC, 0))
    assert (panel.kind, panel.name) == (DeviceKind.PANEL, "Truma device 9ABC")


@given(st.binary(min_size=12, max_size=12))
def test_any_record(payload: bytes) -> None:
    found = read_device(payload)
    assert found is not None
    assert model_of(found).name
    assert software(found)
    assert len(hardware(found)) >= 7


def test_no_two_models_share_a_number() -> None:
    assert len(MODELS) == 15


def test_error_numbers() -> None:
    assert errors.error_number(6, 21) == 621
    assert errors.error_number(0, 255) == 255
    combi_d, other = errors.ErrorList.COMBI_D, errors.ErrorList.UNKNOWN
    assert errors.meaning_of(0, other) == errors.NO_ERROR
    assert errors.meaning_of(255, None) == "heater_not_connected"
    assert errors.meaning_of(255, combi_d) == errors.UNKNOWN, "an overheat lock in its own list"
    assert errors.meaning_of(112, combi_d) == "water_sensor"
    assert errors.meaning_of(621, combi_d) == errors.UNKNOWN


@pytest.mark.parametrize("number", [10, 112, 180, 255, 621])
def test_the_combi_d_list_is_for_the_combi_d(number: int) -> None:
    """Issue 12, number 4 (t02): its texts were shown for every heater."""
    assert errors.meaning_of(number, errors.ErrorList.UNKNOWN) == errors.UNKNOWN
    for hw_id, model in MODELS.items():
        assert (model.errors is errors.ErrorList.COMBI_D) == (hw_id == 0x0310)


def test_a_hardware_revision_is_hexadecimal() -> None:
    """Issue 12, number 4 (t01)."""
    found = read_device(bytes.fromhex("0201010040030b0102010000"))
    assert found is not None
    assert hardware(found) == "0340.0B"


@given(st.integers(0, 255), st.integers(0, 255), st.none() | st.sampled_from(errors.ErrorList))
def test_every_error_has_a_text(
    error_class: int, error_code: int, of: errors.ErrorList | None
) -> None:
    assert errors.meaning_of(errors.error_number(error_class, error_code), of) in errors.OPTIONS


def test_every_number_has_one_meaning() -> None:
    assert len(set(errors.OPTIONS)) == len(errors.OPTIONS)
    numbers = [number for group in errors._TEXTS.values() for number in group]
    assert len(numbers) == len(set(numbers))
