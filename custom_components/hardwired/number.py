"""Numbers: settings of a device that are numbers, within the device's own limits."""

from __future__ import annotations

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import Platform

from .engines.fields import Field
from .engines.presentation import Control, device_class_of
from .entity import FieldEntity, common_description, platform_setup
from .scales import nearest

PARALLEL_UPDATES = 0

SLIDER_STEPS = 100
"""With more steps than these a box is easier to hit than a slider."""


def device_class(item: Field) -> NumberDeviceClass | None:
    """Return the device class of a field as a number."""
    found = device_class_of(item, Control.NUMBER)
    return None if found is None else NumberDeviceClass(found)


class HardwiredNumber(FieldEntity, NumberEntity):
    """A setting that is a number."""

    @classmethod
    def describe(cls, item: Field, translation_key: str) -> NumberEntityDescription:
        """Return the description of a field as a number."""
        step = _step(item)
        low, high = item.minimum, item.maximum
        slider = low is not None and high is not None and (high - low) / step <= SLIDER_STEPS
        return NumberEntityDescription(
            **common_description(item, Control.NUMBER, translation_key),
            device_class=device_class(item),
            native_unit_of_measurement=item.unit,
            native_min_value=low,
            native_max_value=high,
            native_step=step,
            mode=NumberMode.SLIDER if slider else NumberMode.BOX,
        )

    @property
    def native_value(self) -> float | None:
        """The value that the device has confirmed."""
        value = self.current
        return value if isinstance(value, (int, float)) else None

    @property
    def native_min_value(self) -> float:
        """The least that this device takes now."""
        low = self.item.minimum
        return super().native_min_value if low is None else low

    @property
    def native_max_value(self) -> float:
        """The most that this device takes now."""
        high = self.item.maximum
        return super().native_max_value if high is None else high

    async def async_set_native_value(self, value: float) -> None:
        """Write the setting; one that was chosen in another unit is the nearest of the scale."""
        if self.unit_of_measurement != self.native_unit_of_measurement:
            item = self.item
            value = nearest(value, _step(item), item.minimum, item.maximum)
        await self.async_send({self.item.key: value})


def _step(item: Field) -> float:
    return item.step or 10 ** -(item.precision or 0)


async_setup_entry = platform_setup(Platform.NUMBER, HardwiredNumber)
