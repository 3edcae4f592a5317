"""What the owner should know or mend, from what the session has noted and the devices tell."""

from __future__ import annotations

from collections.abc import Mapping

from ..engine import Notice, Severity
from .plant.unit import LEAST_RAM_WRITE
from .session.commands.safeguards import FLASH_WARN
from .session.context import SessionContext

_GRAVE = frozenset({"watchdog_armed", "flash_worn"})


def notices_of(context: SessionContext) -> tuple[Notice, ...]:
    """Return what holds now, in a fixed order.

    Keys: ``device_lost``, ``renumbered``, ``watchdog_armed``, ``flash_worn``, ``firmware_old``,
    ``no_effect``, ``answer_mangled``.
    """
    now = context.now
    found: dict[str, Mapping[str, str]] = {
        key: note.words for key, note in context.troubles.items() if now < note.until
    }
    plant = context.plant
    lost = [
        (unit.tracking.lost_at, plant.name(unit))
        for unit in plant
        if unit.tracking.lost_at is not None
    ]
    if lost:
        since, _ = min(lost)
        found["device_lost"] = {
            "device": ", ".join(name for _, name in lost),
            "time": since.isoformat(timespec="seconds"),
        }
    armed = [plant.name(unit) for unit in plant if unit.watchdog.armed]
    if armed:
        found["watchdog_armed"] = {"device": ", ".join(armed)}
    old = [
        f"{plant.name(unit)} ({unit.identity.software})"
        for unit in plant
        if not unit.software_at_least(LEAST_RAM_WRITE.get(unit.family, (0, 0, 0)))
    ]
    if old:
        found["firmware_old"] = {"device": ", ".join(old)}
    most = context.stored.most_written()
    if most is not None and most[2] >= FLASH_WARN:
        found["flash_worn"] = {
            "device": plant.name(worn) if (worn := plant.units.get(most[0])) else "?",
            "parameter": str(most[1]),
            "count": str(most[2]),
            "origin": context.stored.flash_origin or "-",
        }
    return tuple(
        Notice(key, words, Severity.ERROR if key in _GRAVE else Severity.WARNING)
        for key, words in sorted(found.items())
    )
