"""What the panel changes in its settings by itself: timer, boost, unused energy (spec e, i.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .physics import Vehicle
from .settings import WATER_BOOST, WATER_HOT, HeaterSettings, PanelSettings

ENERGY_KEPT = 30.0
"""How long an energy selection lasts while nothing is to be heated."""
BOOST_LIMIT = 2400.0
"""Longest water boost."""
BOOST_ENOUGH = 60.0
"""Temperature at which a water boost ends, °C."""


class Habits:
    """Watches the settings; ``now`` is the panel's time in seconds."""

    def __init__(
        self,
        settings: PanelSettings,
        vehicle: Vehicle,
        on_event: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._settings = settings
        self._vehicle = vehicle
        self._event = on_event
        self._now = 0.0
        self._unused_energy: tuple[float, HeaterSettings] | None = None
        self._boost: tuple[float, int] | None = None
        self._before_timer: HeaterSettings | None = None

    def set_heater(self, wanted: HeaterSettings) -> bool:
        """Change the heater's settings; returns whether anything is new."""
        before = self._settings.heater
        if wanted == before:
            return False
        self._settings.heater = wanted
        self._watch_energy(before, wanted)
        if wanted.target_temp_water != WATER_BOOST:
            self._boost = None
        elif before.target_temp_water != WATER_BOOST:
            self._boost = (self._now + BOOST_LIMIT, before.target_temp_water or WATER_HOT)
        self._event("settings", wanted.as_fields())
        return True

    def tick(self, now: float) -> None:
        """Let time pass: the clock, and what is due."""
        self._settings.clock.advance(now - self._now)
        self._now = now
        heater = self._settings.heater
        if self._unused_energy is not None and now >= self._unused_energy[0]:
            before = self._unused_energy[1]
            self._settings.heater = replace(
                heater, energy_mix=before.energy_mix, el_power_level=before.el_power_level
            )
            self._unused_energy = None
            self._event("energy_dropped", self._settings.heater.as_fields())
        if self._boost is not None:
            until, afterwards = self._boost
            if now >= until or self._vehicle.water >= BOOST_ENOUGH:
                self.set_heater(replace(self._settings.heater, target_temp_water=afterwards))
        self._keep_timer()

    def _watch_energy(self, before: HeaterSettings, wanted: HeaterSettings) -> None:
        if wanted.heating:
            self._unused_energy = None
        elif self._unused_energy is None and (
            (wanted.energy_mix, wanted.el_power_level) != (before.energy_mix, before.el_power_level)
        ):
            self._unused_energy = (self._now + ENERGY_KEPT, before)

    def _keep_timer(self) -> None:
        on = self._settings.timer.covers(self._settings.clock.minute)
        if on and self._before_timer is None:
            self._before_timer = self._settings.heater
            self.set_heater(self._settings.timer.heater)
        elif not on and self._before_timer is not None:
            self.set_heater(self._before_timer)
            self._before_timer = None
