"""What a field becomes, in Home Assistant's words."""

from __future__ import annotations

from typing import Any

import pytest

from hardwired_engines.fields import (
    BINARY_QUANTITIES,
    NUMERIC_QUANTITIES,
    Accumulation,
    Field,
    Offer,
    Quantity,
    Role,
)
from hardwired_engines.presentation import (
    WRITABLE,
    Control,
    category_of,
    control_of,
    device_class_of,
    state_class_of,
)


def field(quantity: Quantity, **more: Any) -> Field:
    return Field(key="key", name="Name", quantity=quantity, **more)


@pytest.mark.parametrize("quantity", Quantity)
def test_what_can_be_written_becomes_a_control_and_what_can_be_read_does_not(
    quantity: Quantity,
) -> None:
    set_by = control_of(field(quantity, writable=True))
    shown_by = control_of(field(quantity))
    assert set_by is None or set_by in WRITABLE
    assert shown_by not in WRITABLE
    assert control_of(field(quantity, offer=Offer.NEVER, writable=True)) is None
    if quantity in NUMERIC_QUANTITIES:
        assert (shown_by, set_by) == (Control.SENSOR, Control.NUMBER)
    if quantity in BINARY_QUANTITIES:
        assert (shown_by, set_by) == (Control.BINARY_SENSOR, Control.SWITCH)


def test_a_signal_is_pressed_and_never_shown() -> None:
    assert control_of(field(Quantity.SIGNAL, writable=True)) is Control.BUTTON
    assert control_of(field(Quantity.SIGNAL)) is None


@pytest.mark.parametrize(
    "item,control,expected",
    [
        (field(Quantity.POWER, unit="W"), Control.SENSOR, "power"),
        (field(Quantity.POWER), Control.SENSOR, None),
        (field(Quantity.POWER_FACTOR), Control.SENSOR, "power_factor"),
        (field(Quantity.POWERED), Control.BINARY_SENSOR, "power"),
        (field(Quantity.POWERED), Control.SWITCH, None),
        (field(Quantity.VOLUME, unit="L"), Control.NUMBER, None),
        (field(Quantity.PRESSURE, unit="bar"), Control.NUMBER, "pressure"),
        (field(Quantity.OPTION), Control.SELECT, None),
        (field(Quantity.OPTION), Control.SENSOR, "enum"),
    ],
)
def test_device_class(item: Field, control: Control, expected: str | None) -> None:
    assert device_class_of(item, control) == expected


@pytest.mark.parametrize(
    "item,expected",
    [
        (field(Quantity.POWER), "measurement"),
        (field(Quantity.ENERGY), None),
        (field(Quantity.VOLUME), None),
        (field(Quantity.ENERGY, accumulation=Accumulation.TOTAL_INCREASING), "total_increasing"),
        (field(Quantity.POWER, accumulation=Accumulation.NONE), None),
        (field(Quantity.TEXT), None),
    ],
)
def test_state_class(item: Field, expected: str | None) -> None:
    assert state_class_of(item) == expected


@pytest.mark.parametrize("role", [Role.DIAGNOSTIC, Role.SETTING])
def test_only_controls_are_configuration(role: Role) -> None:
    item = field(Quantity.POWER, role=role)
    assert category_of(item, Control.SENSOR) == "diagnostic"
    assert category_of(item, Control.NUMBER) == "config"
    assert category_of(field(Quantity.POWER), Control.NUMBER) is None
