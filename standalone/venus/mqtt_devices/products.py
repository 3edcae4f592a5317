"""Victron's numbers of real products that programs on the GX switch on (spec D.1)."""

from __future__ import annotations

_NUMBERS = {
    "battery": {0xB004},
    "grid": {0xB017, 0xB018, 0xB033, 0xB034},
    "pvinverter": {0xB017, 0xB018, 0xB033, 0xB034},
    "acload": {0xB017, 0xB018, 0xB033, 0xB034},
    "heatpump": {0xB017, 0xB018, 0xB033, 0xB034},
    "genset": {0xB017, 0xB018, 0xB033, 0xB034, *range(0xB044, 0xB04C)},
    "dcgenset": set(range(0xB044, 0xB04C)),
    "evcharger": set(range(0xC023, 0xC028)),
    "solarcharger": set(range(0xA102, 0xA10F)),
}


def is_real_product(kind: str, number: object) -> bool:
    """Whether a product number makes programs on the GX expect a real product."""
    return number in _NUMBERS.get(kind, ())
