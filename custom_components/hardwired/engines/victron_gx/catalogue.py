"""What Home Assistant shows of the driver on the GX and of each export (spec H.7)."""

from __future__ import annotations

from collections.abc import Mapping

from ..fields import Accumulation, Catalogue, Field, Offer, Quantity, Role

HELPER = "helper"
EXPORT = "export"
SERVICES: Mapping[str, str] = {
    "room": "VRM instance of the room",
    "water": "VRM instance of the water",
    "ctl": "VRM instance of the controls",
    "m": "VRM instance of the meter",
    "t": "VRM instance of the thermometer",
    "tank": "VRM instance of the tank",
    "bat": "VRM instance of the battery",
    "ev": "VRM instance of the car",
    "evc": "VRM instance of the wall box",
    "gps": "VRM instance of the position",
    "meteo": "VRM instance of the weather",
}
"""The services that templates make, by id; the ids are fixed, so that numbers stay."""
COMMANDS = ("set",)


def instance_key(service: str) -> str:
    """Return the field of a service's VRM instance."""
    return f"{service}_instance"


_HELPER = (
    Field(
        key="helper_online",
        name="Helper",
        quantity=Quantity.CONNECTIVITY,
        role=Role.DIAGNOSTIC,
    ),
    Field(
        key="helper_devices",
        name="Registered devices",
        quantity=Quantity.NUMBER,
        precision=0,
        role=Role.DIAGNOSTIC,
    ),
    Field(
        key="helper_version",
        name="Helper version",
        quantity=Quantity.TEXT,
        role=Role.DIAGNOSTIC,
        offer=Offer.EXTRA,
    ),
    Field(
        key="helper_started",
        name="Started",
        quantity=Quantity.TIMESTAMP,
        role=Role.DIAGNOSTIC,
        offer=Offer.EXTRA,
    ),
    Field(
        key="helper_announce",
        name="Ask all devices to register",
        quantity=Quantity.SIGNAL,
        role=Role.SETTING,
        offer=Offer.EXTRA,
        readable=False,
        writable=True,
    ),
)
_EXPORT = (
    Field(
        key="registered",
        name="Registered on GX",
        quantity=Quantity.CONNECTIVITY,
        role=Role.DIAGNOSTIC,
    ),
    *(
        Field(
            key=instance_key(service),
            name=name,
            quantity=Quantity.NUMBER,
            precision=0,
            accumulation=Accumulation.NONE,
            role=Role.DIAGNOSTIC,
            offer=Offer.EXTRA,
        )
        for service, name in SERVICES.items()
    ),
    Field(
        key="last_sent",
        name="Last update sent",
        quantity=Quantity.TIMESTAMP,
        role=Role.DIAGNOSTIC,
        offer=Offer.EXTRA,
    ),
    Field(
        key="errors",
        name="Rejected values",
        quantity=Quantity.NUMBER,
        precision=0,
        accumulation=Accumulation.TOTAL_INCREASING,
        role=Role.DIAGNOSTIC,
        offer=Offer.EXTRA,
    ),
    Field(
        key="refused",
        name="Commands not carried out",
        quantity=Quantity.NUMBER,
        precision=0,
        accumulation=Accumulation.TOTAL_INCREASING,
        role=Role.DIAGNOSTIC,
        offer=Offer.EXTRA,
    ),
    Field(
        key="command",
        name="Command from GX",
        quantity=Quantity.EVENT,
        offer=Offer.EXTRA,
        options=COMMANDS,
    ),
    Field(
        key="register",
        name="Register again",
        quantity=Quantity.SIGNAL,
        role=Role.SETTING,
        readable=False,
        writable=True,
    ),
    Field(
        key="enabled",
        name="Offer to GX",
        quantity=Quantity.BOOLEAN,
        role=Role.SETTING,
        writable=True,
    ),
)

CATALOGUES: Mapping[str, Catalogue] = {
    HELPER: Catalogue(HELPER, _HELPER),
    EXPORT: Catalogue(EXPORT, _EXPORT),
}
