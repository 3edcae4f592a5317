"""The simulated vehicle: heat, water, battery, air conditioner."""

from __future__ import annotations

import pytest

from hardwired_engines.truma.inet.rules import AirconMode, Energy
from hardwired_engines.truma.inet.signals import HeaterState
from hardwired_engines.truma.simulator.physics import Vehicle, Wishes

from ..simulated_bus import Bus, quiet_box

HOUR = 3600.0


def test_without_heat_the_room_cools_towards_the_outside() -> None:
    vehicle = Vehicle(outside=0, room=20, water=20)
    vehicle.step(2 * HOUR, Wishes())
    assert 5 < vehicle.room < 12
    vehicle.step(48 * HOUR, Wishes())
    assert vehicle.room == pytest.approx(0, abs=0.2)


def test_the_room_gets_warm_and_stays_so() -> None:
    vehicle = Vehicle(outside=0, room=10)
    vehicle.step(2 * HOUR, Wishes(room=20))
    assert 19 <= vehicle.room <= 20.3
    vehicle.step(5 * HOUR, Wishes(room=20))
    assert 19 <= vehicle.room <= 20.3


def test_the_step_hardly_matters() -> None:
    one, many = Vehicle(), Vehicle()
    one.step(HOUR, Wishes(room=22))
    for _ in range(3600):
        many.step(1.0, Wishes(room=22))
    assert one.room == pytest.approx(many.room, abs=0.6)


def test_water_heats_faster_than_the_room() -> None:
    vehicle = Vehicle(water=10)
    vehicle.step(1800, Wishes(water=60))
    assert 54 <= vehicle.water <= 61


def test_electricity_needs_mains() -> None:
    wishes = Wishes(room=25, energy=Energy.ELECTRICITY, electric_limit=1800)
    vehicle = Vehicle()
    vehicle.step(60, wishes)
    assert (vehicle.electric_power, vehicle.fuel_power) == (1800, 0)
    vehicle.mains = False
    vehicle.step(10, wishes)
    assert (vehicle.electric_power, vehicle.fuel_power) == (0, 0)


def test_mix_adds_fuel() -> None:
    vehicle = Vehicle()
    vehicle.step(60, Wishes(room=25, energy=Energy.MIX, electric_limit=900))
    assert vehicle.electric_power == 900
    assert vehicle.fuel_power == 3100


def test_the_heater_powers_up_and_shuts_down() -> None:
    vehicle = Vehicle(room=10)
    assert vehicle.state is HeaterState.IDLE
    vehicle.step(5, Wishes(room=20))
    assert vehicle.state is HeaterState.POWERING_UP
    vehicle.step(30, Wishes(room=20))
    assert vehicle.state is HeaterState.ON
    vehicle.step(10, Wishes())
    assert vehicle.state is HeaterState.SHUTDOWN
    vehicle.step(120, Wishes())
    assert vehicle.state is HeaterState.IDLE


@pytest.mark.parametrize("number, burns", [(621, False), (112, True), (255, False), (0, True)])
def test_errors_lock_the_heater_and_warnings_do_not(number: int, burns: bool) -> None:
    vehicle = Vehicle(room=10, error=number)
    vehicle.step(60, Wishes(room=20))
    assert (vehicle.fuel_power > 0) is burns


def test_an_open_window_stops_the_burner() -> None:
    vehicle = Vehicle(room=10, window_closed=False)
    vehicle.step(60, Wishes(room=20))
    assert vehicle.fuel_power == 0


def test_the_battery_sags_under_load_and_drains_without_mains() -> None:
    vehicle = Vehicle(room=10, mains=False)
    rest = vehicle.voltage
    vehicle.step(10, Wishes(room=20))
    assert vehicle.voltage < rest - 0.2
    before = vehicle.battery
    vehicle.step(5 * HOUR, Wishes(room=20))
    assert 10 < vehicle.battery < before
    vehicle.mains = True
    assert vehicle.voltage > 13.5


@pytest.mark.parametrize(
    "mode, target, warmer",
    [
        (AirconMode.COOLING, 18.0, False),
        (AirconMode.HEATING, 30.0, True),
        (AirconMode.AUTOMATIC, 18.0, False),
        (AirconMode.AUTOMATIC, 30.0, True),
    ],
)
def test_the_air_conditioner_works(mode: AirconMode, target: float, warmer: bool) -> None:
    vehicle = Vehicle(outside=25, room=25, water=25)
    vehicle.step(HOUR, Wishes(aircon_mode=mode, aircon_target=target))
    assert (vehicle.room > 25) is warmer
    assert vehicle.room == pytest.approx(target, abs=5)


def test_cooling_does_not_heat() -> None:
    vehicle = Vehicle(outside=10, room=15, water=15)
    vehicle.step(HOUR, Wishes(aircon_mode=AirconMode.COOLING, aircon_target=25))
    assert vehicle.aircon_power == 0


def test_the_bus_shows_the_physics_faster_with_a_time_scale() -> None:
    bus = Bus(quiet_box(), time_scale=60, slot=0.02, personality="c3-combi6de")
    bus.order("temperature room 10")
    bus.order("room 20 high")
    bus.until(lambda: bus.order("truth")["truth"]["room"] > 18, 40)
    assert bus.order("truth")["truth"]["fuel_power"] > 0
