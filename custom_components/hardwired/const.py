"""Names that the whole integration shares."""

from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "hardwired"

CONF_FAMILY: Final = "family"
CONF_SIMULATED: Final = "simulated"
"""Set in the data of an entry that was made for a try without a device."""
ALREADY_SIMULATED: Final = "already_simulated"
"""Why a flow ends where the same simulated device is there."""

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


def family_name(key: str) -> str:
    """Return a device family as its owners call it: ``victron_gx`` is *Victron GX*."""
    return " ".join(part.upper() if len(part) < 3 else part.title() for part in key.split("_"))
