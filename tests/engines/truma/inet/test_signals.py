"""The unconditional frames. Spec d.11."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from hardwired_engines.truma.inet.signals import HeaterState, Signal, read_heater_state, read_signal
from tests.vector_files import cases


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("truma", "signal_frames.json"))
def test_signal_vectors(case: dict[str, Any]) -> None:
    found = read_signal(case["id"], bytes.fromhex(case["data"]))
    assert found is not None
    for key, value in case["expect"].items():
        assert found[key] == value, key


def test_the_worked_examples() -> None:
    found = read_signal(0x20, bytes.fromhex("c22bd0fa09b3e00f"))
    assert found is not None
    assert (found["target_temp_room"], found["target_temp_water"]) == (3010, 3330)
    assert (found["electric_100w"], found["energy"], found["vent"]) == (9, 3, 0xB)
    voltage = read_signal(0x16, bytes.fromhex("0006630bbe0c8185"))
    assert voltage is not None
    assert voltage["voltage_mv"] == 14100


def test_no_voltage_is_no_value() -> None:
    found = read_signal(0x16, bytes.fromhex("0006630bbe0cff7f"))
    assert found is not None
    assert found["voltage_mv"] is None
    assert found["voltage_raw"] == 0x7FFF


WHOLE = st.binary(min_size=8, max_size=8) | st.just(b"\xff" * 8)


@given(st.integers(0, 255) | st.sampled_from(Signal), st.binary(max_size=12) | WHOLE)
def test_any_bytes(identifier: int, data: bytes) -> None:
    found = read_signal(identifier, data)
    whole = identifier in tuple(Signal) and len(data) == 8 and data != b"\xff" * 8
    of_alde = identifier == Signal.HEATER_STATUS and data[:1] != b"\0"
    assert (found is not None) == (whole and not of_alde)
    read_heater_state(data)


@pytest.mark.parametrize(
    "frame, state",
    [
        ("0103f80302ffffff", HeaterState.ON),
        ("0103f80301ffffff", HeaterState.IDLE),
        ("0203f80302ffffff", None),
        ("0103f20302ffffff", None),
        ("0103f80309ffffff", None),
        ("0106f80302010203", HeaterState.ON),
        ("0122f80302030405", None),
        ("0110f80302030405", None),
        ("0102f80302ffffff", None),
        ("0107f80302ffffff", None),
    ],
)
def test_the_heaters_own_word(frame: str, state: HeaterState | None) -> None:
    assert read_heater_state(bytes.fromhex(frame)) is state
