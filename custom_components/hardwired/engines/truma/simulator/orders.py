"""What a person does to the simulated panel and vehicle, as one-line orders (spec i.5).

An order is words, ``room 21 high``, or a JSON object, ``{"do": "room", "target": 21}``. The answer
is a mapping with ``ok``; ``help`` lists all orders.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from ..inet.rules import AirconMode, Energy
from .faults import FAULT_KINDS
from .panel import Panel
from .settings import (
    VENT_AUTOMATIC,
    VENT_HIGH,
    VENT_LOW,
    VENT_MIDDLE,
    VENT_NIGHT,
    WATER_BOOST,
    WATER_ECO,
    WATER_HOT,
    AirconSettings,
    TimerSettings,
    code,
)
from .world import TrumaSimulator

MODES = {"off": 0, "eco": 1, "night": 2, "auto": 3, "high": 10, "boost": 11}
WATER = {"off": 0, "eco": WATER_ECO, "hot": WATER_HOT, "boost": WATER_BOOST}
MIXES = {"gas": Energy.FUEL, "electricity": Energy.ELECTRICITY, "mix": Energy.MIX}
AIRCON = {
    "off": AirconMode.OFF,
    "vent": AirconMode.VENTILATION,
    "cool": AirconMode.COOLING,
    "heat": AirconMode.HEATING,
    "auto": AirconMode.AUTOMATIC,
}
VENTS = {
    "low": VENT_LOW,
    "mid": VENT_MIDDLE,
    "high": VENT_HIGH,
    "night": VENT_NIGHT,
    "auto": VENT_AUTOMATIC,
}


class Operator:
    """Carries out orders."""

    def __init__(self, simulator: TrumaSimulator) -> None:
        self._simulator = simulator
        self._orders: dict[str, Callable[..., Mapping[str, Any] | None]] = {
            name[7:]: getattr(self, name) for name in dir(self) if name.startswith("_order_")
        }

    def carry_out(self, line: str, now: float) -> dict[str, Any]:
        """Carry out one order; the answer says whether it was done."""
        try:
            name, words, named = _read(line)
            order = self._orders.get(name)
            if order is None:
                raise ValueError(f"no such order: {name!r}")
            answer = order(*words, **named)
        except KeyError as error:
            return {"ok": False, "error": f"unknown: {error}"}
        except (TypeError, ValueError, RecursionError) as error:
            return {"ok": False, "error": str(error)}
        self._simulator.stirred(now)
        return {"ok": True, **(answer or {})}

    # ---------------------------------------------------------------- at the panel

    def _order_room(self, target: str, mode: str = "") -> None:
        """Room heating: degrees or off; eco, high, boost (Combi), night, auto (VarioHeat)."""
        heater = self._panel.settings.heater
        if target == "off":
            changes = {"target_temp_room": 0, "heating_mode": 0}
        else:
            default = heater.heating_mode or self._panel.personality.modes[0]
            wanted = MODES[mode] if mode else default
            if not 5 <= float(target) <= 30 or wanted not in self._panel.personality.modes:
                raise ValueError("the panel does not offer this")
            changes = {"target_temp_room": code(float(target)), "heating_mode": wanted}
        self._panel.set_heater(replace(heater, **changes))

    def _order_water(self, mode: str) -> None:
        """Hot water: off, eco, hot, boost."""
        if mode != "off" and not self._panel.personality.has_water:
            raise ValueError("the panel does not offer this")
        heater = self._panel.settings.heater
        self._panel.set_heater(replace(heater, target_temp_water=WATER[mode]))

    def _order_energy(self, mix: str, power: str = "0") -> None:
        """Energy: gas, electricity or mix, and 900 or 1800 W."""
        heater = self._panel.settings.heater
        fuel = MIXES[mix] is Energy.FUEL
        offered = ("0",) if fuel else ("900", "1800")
        if power not in offered or not (fuel or self._panel.personality.electric):
            raise ValueError("the panel does not offer this")
        self._panel.set_heater(
            replace(heater, energy_mix=int(MIXES[mix]), el_power_level=int(power))
        )

    def _order_aircon(self, mode: str, target: str = "22", vent: str = "low") -> None:
        """Air conditioner: off, vent, cool, heat, auto; degrees; low, mid, high, night, auto."""
        if self._panel.personality.aircon is None or not 16 <= float(target) <= 31:
            raise ValueError("the panel does not offer this")
        if AIRCON[mode] is AirconMode.OFF:
            self._panel.settings.aircon = AirconSettings()
        else:
            wanted = AirconSettings(AIRCON[mode], VENTS[vent], code(float(target)))
            self._panel.settings.aircon = wanted
        self._panel.stir()

    def _order_timer(self, active: str, start: str = "08:00", stop: str = "09:00") -> None:
        """Timer: on or off, start, stop; it keeps the heater's present settings."""
        self._panel.settings.timer = TimerSettings(
            self._panel.settings.heater, _on(active), _minutes(start), _minutes(stop)
        )
        self._panel.stir()

    def _order_clock(self, time: str) -> None:
        """Set the panel's clock: HH:MM."""
        clock = self._panel.settings.clock
        clock.seconds, clock.source = _minutes(time) * 60.0, 1
        self._panel.stir()

    def _order_pr_set(self) -> None:
        """Menu RESET, PR SET: look for devices."""
        self._panel.press_pr_set()

    def _order_forget(self) -> None:
        """The panel loses the registration of the box."""
        self._panel.registered = False
        self._panel.stir()

    def _order_acknowledge(self) -> None:
        """Acknowledge the error that is shown."""
        self._simulator.vehicle.error = 0
        self._panel.stir()

    def _order_restart(self) -> None:
        """Restart the panel."""
        self._panel.restart()

    def _order_power(self, on: str) -> None:
        """The panel's power: on or off."""
        self._panel.switch(_on(on))

    # ---------------------------------------------------------------- in the vehicle

    def _order_error(self, number: str) -> None:
        """Let an error occur, such as 621, 255, 112; 0 ends it."""
        if not 0 <= int(number) <= 999:
            raise ValueError("no such error")
        self._simulator.vehicle.error = int(number)

    def _order_mains(self, on: str) -> None:
        """230 V: on or off."""
        self._simulator.vehicle.mains = _on(on)

    def _order_window(self, state: str) -> None:
        """The window: open or closed."""
        self._simulator.vehicle.window_closed = {"closed": True, "open": False}[state]

    def _order_temperature(self, place: str, degrees: str) -> None:
        """Set a temperature: outside, room or water, degrees."""
        if place not in ("outside", "room", "water") or not -40 <= float(degrees) <= 90:
            raise ValueError("no such temperature")
        setattr(self._simulator.vehicle, place, float(degrees))

    def _order_heater(self, on: str) -> None:
        """The heater's plug: on or off."""
        self._simulator.vehicle.heater_connected = _on(on)

    def _order_aircon_plug(self, on: str) -> None:
        """The air conditioner's plug: on or off."""
        self._simulator.vehicle.aircon_connected = _on(on)

    # ---------------------------------------------------------------- about the simulation

    def _order_fault(self, text: str = "") -> dict[str, Any]:
        """Switch a fault on: name, name=value or name=value*count; alone: list them."""
        if not text:
            return {"faults": {kind.name: kind.text for kind in FAULT_KINDS.values()}}
        return {"fault": str(self._simulator.faults.switch_on(text))}

    def _order_clear(self, name: str = "") -> None:
        """Switch a fault off, or all."""
        self._simulator.faults.switch_off(name or None)

    def _order_truth(self) -> dict[str, Any]:
        """Return the true state."""
        return {"truth": truth(self._simulator)}

    def _order_measurements(self) -> dict[str, Any]:
        """Return the measurements of the box so far."""
        return {"measurements": self._simulator.measurements.as_dict()}

    def _order_reset(self) -> None:
        """Restart the measurements with the next slot."""
        self._simulator.measure_anew()

    def _order_help(self) -> dict[str, Any]:
        """List the orders."""
        return {
            "orders": {
                name: {
                    "words": list(inspect.signature(order).parameters),
                    "text": inspect.getdoc(order),
                }
                for name, order in self._orders.items()
            }
        }

    @property
    def _panel(self) -> Panel:
        return self._simulator.panel


def truth(simulator: TrumaSimulator) -> dict[str, Any]:
    """Return the state of panel and vehicle in plain types."""
    panel, vehicle = simulator.panel, simulator.vehicle
    settings = panel.settings
    return {
        "heater": asdict(settings.heater),
        "timer": asdict(settings.timer),
        "aircon": asdict(settings.aircon),
        "clock": round(settings.clock.seconds, 1),
        "clock_source": settings.clock.source,
        "registered": panel.registered,
        "box_nad": panel.box_nad,
        "powered": panel.powered,
        "asleep": panel.nodes.asleep,
        "error": panel.nodes.error,
        "room": round(vehicle.room, 2),
        "water": round(vehicle.water, 2),
        "outside": vehicle.outside,
        "voltage": vehicle.voltage,
        "mains": vehicle.mains,
        "window_closed": vehicle.window_closed,
        "fuel_power": vehicle.fuel_power,
        "electric_power": vehicle.electric_power,
        "aircon_power": round(vehicle.aircon_power, 1),
        "room_demand": vehicle.room_demand,
        "water_demand": vehicle.water_demand,
        "state": vehicle.state.name.lower(),
        "faults": simulator.faults.as_list(),
    }


def _read(line: str) -> tuple[str, list[str], dict[str, str]]:
    line = line.strip()
    if not line.startswith("{"):
        name, *words = line.split() or [""]
        return name, words, {}
    order = json.loads(line)
    name = order.pop("do", "")
    return str(name), [], {str(key): str(value) for key, value in order.items()}


def _on(text: str) -> bool:
    try:
        return {"on": True, "off": False, "True": True, "False": False}[text]
    except KeyError:
        raise ValueError(f"on or off, not {text!r}") from None


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"a time is HH:MM, not {text!r}")
    return int(hours) * 60 + int(minutes)
