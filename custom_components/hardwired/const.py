"""Names that the whole integration shares."""

from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "hardwired"

CONF_FAMILY: Final = "family"

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CLIMATE,
    Platform.DATETIME,
    Platform.EVENT,
    Platform.FAN,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TIME,
    Platform.WATER_HEATER,
)
