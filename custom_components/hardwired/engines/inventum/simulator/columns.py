"""Headers of the simulated data logger. The names are invented: no real header is public.

``solo`` has the length that the old program's unit prints: 1478 characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STATUS = "St"
SOLO_LENGTH = 1478

_NAMES = (
    "Temp. boiler boven (C)",
    "Temp. boiler onder (C)",
    "Temp. afvoerlucht (C)",
    "Temp. buitenlucht (C)",
    "Temp. verdamper",
    "Temp. persgas",
    "Temp. zuiggas",
    "RV afvoerlucht (%)",
    "3-standen",
    "Toeren ventilator (omw/min)",
    "Debiet (m3/h)",
    "Compressor",
    "Verwarmingselement",
    "Klep 1",
    "Pomp",
    "Vermogen (W)",
    "Energie (kWh)",
    "Draaiuren compressor (u)",
    "Druk (bar)",
    "Hoge druk",
    "Lage druk",
    "Gewenste temp. tapwater",
    "Storingscode",
    "Filter vervuild",
    "Filter uren",
    "Starts compressor",
    "Ontdooien",
    "Bedrijfsmodus",
)
_REST = tuple(f"Ingang {number}" for number in range(1, 100))


def _solo() -> tuple[str, ...]:
    """Return names that make a header of exactly the known length."""
    names = list(_NAMES)
    for name in _REST:
        if len(header_text((*names, name))) > SOLO_LENGTH - 4:
            break
        names.append(name)
    missing = SOLO_LENGTH - len(header_text(names))
    names[-1] += " " + "reserve voor later"[: missing - 1].ljust(missing - 1, "x")
    return tuple(names)


def header_text(names: tuple[str, ...] | list[str]) -> str:
    """Return a header line, without its end."""
    return ",".join(f"{STATUS},{name}" for name in names)


HEADERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "solo": _solo(),
        "combi": (*_NAMES[:8], "Temp. CV aanvoer (C)", "Temp. CV retour (C)", *_NAMES[8:]),
        "short": ("Temp. boiler (C)", "RV (%)", "3-standen", "Compressor"),
        "no_fan": ("Temp. boiler (C)", "RV (%)", "Compressor"),
    }
)
"""The names of the columns, by the name of the variant."""
