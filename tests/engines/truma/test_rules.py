"""What may be asked of the panel together. Spec e, d.13."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from hardwired_engines.truma.inet.buffers import Group
from hardwired_engines.truma.inet.rules import (
    DEFAULT_MODES,
    MODES_OF,
    POWERS,
    AirconMode,
    Energy,
    HeaterKind,
    HeatingMode,
    RuleError,
    Vent,
    Water,
    aircon_wish,
    clock_difference,
    energy_pair,
    heater_wish,
    merged,
    room_code,
    superseded,
    temperature,
    temperature_code,
)

COMBI, VARIO = HeaterKind.COMBI, HeaterKind.VARIO
OFF = {
    "target_temp_room": 0, "heating_mode": 0, "energy_mix_a": 1, "el_power_level_a": 0,
    "target_temp_water": 0,
}  # fmt: skip
WARM = {**OFF, "target_temp_room": 2930, "heating_mode": 10}
PAIRS = {(1, 0), (2, 900), (2, 1800), (3, 900), (3, 1800)}


@pytest.mark.parametrize(
    "code, celsius",
    [
        (0, None), (0x0AAA, None), (0xAAAA, None), (2229, None), (4001, None), (4730, None),
        (2230, -50.0), (2941, 21.1), (3010, 28.0), (4000, 127.0),
    ],
)  # fmt: skip
def test_temperatures(code: int, celsius: float | None) -> None:
    assert temperature(code) == celsius


@given(st.integers(0, 0xFFFF))
def test_a_temperature_is_plausible_or_absent(code: int) -> None:
    celsius = temperature(code)
    assert celsius is None or (-50 <= celsius <= 127 and temperature_code(celsius) == code)


@pytest.mark.parametrize(
    "celsius, code",
    [(20, 2930), (5, 2780), (5.0, 2780), (0, 0), (-0.0, 0), (30, 3030)],
)
def test_r1_room_set_points(celsius: float, code: int) -> None:
    assert room_code(celsius) == code


@pytest.mark.parametrize("celsius", [31, 1e9, math.inf, -math.inf, math.nan])
def test_r1_refuses(celsius: float) -> None:
    with pytest.raises(ValueError, match=r"room_out_of_range|room temperature"):
        room_code(celsius)


@pytest.mark.parametrize(
    "celsius, key",
    [
        (0.5, "room_out_of_range"), (1, "room_out_of_range"), (4, "room_out_of_range"),
        (4.9, "room_out_of_range"), (-0.5, "room_out_of_range"), (-40, "room_out_of_range"),
        (30.9, "room_out_of_range"), (20.9, "whole_degrees"), (21.5, "whole_degrees"),
    ],
)  # fmt: skip
def test_a_wish_is_not_rounded_and_frost_is_not_off(celsius: float, key: str) -> None:
    """Issue 12, number 5: 1 to 4 degrees were taken for off, 21.5 for 21."""
    with pytest.raises(RuleError) as caught:
        room_code(celsius)
    assert caught.value.key == key
    assert caught.value.placeholders["wished"] == f"{celsius:g}"


@pytest.mark.parametrize("heater", HeaterKind)
def test_r2_a_set_point_needs_a_mode(heater: HeaterKind) -> None:
    found = heater_wish({"target_temp_room": 2930}, OFF, heater)
    assert found == {"target_temp_room": 2930, "heating_mode": DEFAULT_MODES[heater]}
    chosen = heater_wish({"target_temp_room": 2930}, OFF, COMBI, default_mode=10)
    assert chosen["heating_mode"] == 10
    assert heater_wish({"target_temp_room": 2830}, WARM, COMBI) == {
        "target_temp_room": 2830, "heating_mode": WARM["heating_mode"],
    }  # fmt: skip


def test_r2_a_mode_needs_a_set_point() -> None:
    assert heater_wish({"heating_mode": 1}, WARM, COMBI)["target_temp_room"] == 2930
    assert heater_wish({"heating_mode": 1}, OFF, COMBI)["target_temp_room"] == 2780
    assert heater_wish({"heating_mode": 1}, OFF, COMBI, default_target=2900) == {
        "heating_mode": 1, "target_temp_room": 2900,
    }  # fmt: skip
    with pytest.raises(ValueError, match="off_with_target"):
        heater_wish({"heating_mode": 1, "target_temp_room": 0}, WARM, COMBI)


@pytest.mark.parametrize("shown", [0, 2740, 2770, 2779, 0x0AAA, 0xAAAA])
def test_r2_less_than_five_degrees_is_no_set_point(shown: int) -> None:
    baseline = {**WARM, "target_temp_room": shown}
    found = heater_wish({"heating_mode": 10}, baseline, COMBI, default_target=2910)
    assert found == {"heating_mode": 10, "target_temp_room": 2910}


@pytest.mark.parametrize("wish", [{"target_temp_room": 2940}, {"heating_mode": 10}])
@pytest.mark.parametrize("later", [OFF, WARM])
def test_r2_holds_for_what_is_shown_by_the_time_of_the_upload(
    wish: dict[str, int], later: dict[str, int]
) -> None:
    """Room heating that was switched off meanwhile leaves neither a set-point nor a mode alone."""
    whole = {**later, **heater_wish(wish, WARM, COMBI)}
    assert whole["target_temp_room"] >= 2780
    assert whole["heating_mode"] in MODES_OF[COMBI]


@pytest.mark.parametrize("wish", [{"heating_mode": 0}, {"target_temp_room": 0}])
def test_r2_off_is_all_off(wish: dict[str, int]) -> None:
    assert heater_wish(wish, WARM, COMBI) == {"heating_mode": 0, "target_temp_room": 0}


@pytest.mark.parametrize("heater", HeaterKind)
@pytest.mark.parametrize("mode", [1, 2, 3, 4, 10, 11, 255])
def test_r3_modes(heater: HeaterKind, mode: int) -> None:
    if mode in MODES_OF[heater]:
        assert heater_wish({"heating_mode": mode}, WARM, heater)["heating_mode"] == mode
    else:
        with pytest.raises(ValueError, match="no_heating_mode"):
            heater_wish({"heating_mode": mode}, WARM, heater)


@given(
    st.none() | st.sampled_from([1, 2, 3]),
    st.none() | st.sampled_from(POWERS),
    st.integers(0, 4),
    st.sampled_from([0, 900, 1800, 1234]),
)
def test_r4_only_pairs_that_exist(
    mix: int | None, power: int | None, shown: int, watts: int
) -> None:
    assume(mix is not None or power is not None)
    assume(mix is None or power is None or (mix, power) in PAIRS)
    found = energy_pair(mix, power, {"energy_mix_a": shown, "el_power_level_a": watts})
    assert (found["energy_mix"], found["el_power_level"]) in PAIRS
    assert mix in (None, found["energy_mix"])
    assert power in (None, found["el_power_level"])


@pytest.mark.parametrize(
    "mix, power, pair",
    [
        (1, 0, (1, 0)), (2, None, (2, 900)), (3, 900, (3, 900)), (2, 1800, (2, 1800)),
        (None, 0, (1, 0)), (None, 900, (3, 900)),
    ],
)  # fmt: skip
def test_r4_by_the_book(mix: int | None, power: int | None, pair: tuple[int, int]) -> None:
    found = energy_pair(mix, power, OFF)
    assert (found["energy_mix"], found["el_power_level"]) == pair


@pytest.mark.parametrize("mix, power", [(0, None), (4, None), (None, 1000), (2, 1000)])
def test_r4_refuses(mix: int | None, power: int | None) -> None:
    with pytest.raises(ValueError, match="the e"):
        energy_pair(mix, power, OFF)


@pytest.mark.parametrize(
    "mix, power, key",
    [
        (1, 900, "fuel_with_power"), (1, 1800, "fuel_with_power"),
        (2, 0, "electricity_without_power"), (3, 0, "electricity_without_power"),
    ],
)  # fmt: skip
def test_a_pair_that_there_is_not_is_refused(mix: int, power: int, key: str) -> None:
    """Issue 12, number 5: one of the two was changed silently."""
    with pytest.raises(RuleError) as caught:
        energy_pair(mix, power, OFF)
    assert caught.value.key == key


def test_hot_water() -> None:
    for level in Water:
        assert heater_wish({"target_temp_water": level}, OFF, COMBI) == {"target_temp_water": level}
    with pytest.raises(ValueError, match="boost"):
        heater_wish({"target_temp_water": Water.BOOST}, OFF, VARIO)
    with pytest.raises(ValueError, match="hot water"):
        heater_wish({"target_temp_water": 3131}, OFF, COMBI)


wishes = st.fixed_dictionaries(
    {},
    optional={
        "target_temp_room": st.sampled_from([0, 2780, 2930, 3030]),
        "heating_mode": st.sampled_from([int(mode) for mode in HeatingMode] + [7]),
        "target_temp_water": st.sampled_from([int(level) for level in Water] + [3000]),
        "energy_mix": st.integers(0, 4),
        "el_power_level": st.sampled_from([0, 900, 1800, 500]),
    },
)
baselines = st.fixed_dictionaries(
    {
        "target_temp_room": st.sampled_from([0, 0xAAA, 2780, 2930, 0xFFFF]),
        "heating_mode": st.integers(0, 12),
        "energy_mix_a": st.integers(0, 4),
        "el_power_level_a": st.sampled_from([0, 900, 1800, 7]),
    }
)


@given(wishes, baselines, st.sampled_from(HeaterKind))
def test_no_panel_is_asked_for_what_is_impossible(
    wish: dict[str, int], baseline: dict[str, int], heater: HeaterKind
) -> None:
    try:
        found = heater_wish(wish, baseline, heater)
    except ValueError:
        return
    assert not superseded(wish, found)
    merged = {**baseline, **found}
    if "heating_mode" in found or "target_temp_room" in found:
        heating = merged["heating_mode"] != 0
        assert heating == (merged["target_temp_room"] != 0)
        assert not heating or merged["heating_mode"] in MODES_OF[heater]
    if "energy_mix" in found:
        assert (found["energy_mix"], found["el_power_level"]) in PAIRS


@pytest.mark.parametrize(
    "wish, expected",
    [
        ({"mode": 0}, {"mode": 0, "vent": 0x71}),
        ({"mode": 7}, {"mode": 7, "vent": 0x77, "target_temp": 2950}),
        ({"mode": 5}, {"mode": 5, "vent": 0x71, "target_temp": 2950}),
        ({"mode": 5, "target_temp": 2890}, {"mode": 5, "vent": 0x71, "target_temp": 2890}),
        ({"mode": 4, "vent": 0x73}, {"mode": 4, "vent": 0x73, "target_temp": 2950}),
    ],
)
def test_r5_pairs(wish: dict[str, int], expected: dict[str, int]) -> None:
    assert aircon_wish(wish, {"mode": 0, "vent": 0x71, "target_temp": 0}) == expected


@pytest.mark.parametrize("mode, last, target", [(5, 2910, 2910), (7, 3030, 2980), (5, None, 2950)])
def test_an_air_conditioner_that_was_off_has_its_last_target(
    mode: int, last: int | None, target: int
) -> None:
    off = {"mode": 0, "vent": 0x71, "target_temp": 0}
    assert aircon_wish({"mode": mode}, off, last)["target_temp"] == target
    on = {"mode": 4, "vent": 0x71, "target_temp": 2930}
    assert aircon_wish({"mode": 5}, on, last)["target_temp"] == 2930


@pytest.mark.parametrize(
    "wish",
    [
        {"mode": 3},
        {"mode": 5, "vent": Vent.NIGHT},
        {"mode": 7, "vent": Vent.LOW},
        {"mode": 0, "vent": Vent.HIGH},
        {"mode": 5, "vent": 0x70},
        {"mode": 5, "target_temp": temperature_code(15)},
        {"mode": 5, "target_temp": temperature_code(31)},
        {"mode": 7, "target_temp": temperature_code(17)},
        {"mode": 7, "target_temp": temperature_code(26)},
    ],
)
def test_r5_refuses(wish: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"aircon_out_of_range|vent_of_mode|air conditioner"):
        aircon_wish(wish, {})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mode": st.integers(0, 8),
            "vent": st.integers(0x70, 0x78),
            "target_temp": st.integers(2800, 3100),
        },
    ),
    st.fixed_dictionaries(
        {
            "mode": st.integers(0, 8),
            "vent": st.integers(0x70, 0x78),
            "target_temp": st.integers(0, 0xFFFF),
        }
    ),
)
def test_r5_holds_for_any_wish(wish: dict[str, int], baseline: dict[str, int]) -> None:
    try:
        found = aircon_wish(wish, baseline)
    except ValueError:
        return
    assert not superseded(wish, found)
    match found["mode"]:
        case AirconMode.OFF:
            assert found["vent"] == Vent.LOW
        case AirconMode.AUTOMATIC:
            assert found["vent"] == Vent.AUTO
            assert 2910 <= found["target_temp"] <= 2980
        case _:
            as_received = {Vent.NIGHT} if baseline["vent"] == Vent.NIGHT else set()
            assert found["vent"] in {Vent.LOW, Vent.MID, Vent.HIGH} | as_received
            assert 2890 <= found["target_temp"] <= 3030


@pytest.mark.parametrize(
    "panel, local, seconds",
    [
        ((10, 0, 0), (10, 0, 0), 0),
        ((0, 0, 10), (23, 59, 50), 20),
        ((23, 59, 50), (0, 0, 10), -20),
        ((11, 0, 5), (10, 59, 55), 10),
        ((12, 0, 0), (11, 0, 0), 3600),
    ],
)
def test_clocks_differ_modulo_a_day(
    panel: tuple[int, int, int], local: tuple[int, int, int], seconds: int
) -> None:
    assert clock_difference(panel, local) == seconds


@given(wishes, wishes)
def test_of_two_wishes_the_later_holds(earlier: dict[str, int], later: dict[str, int]) -> None:
    assert not superseded(later, merged(Group.HEATER, earlier, later))


@pytest.mark.parametrize(
    "earlier, later, gone",
    [
        ({"heating_mode": 0}, {"target_temp_room": 2930}, True),
        ({"target_temp_room": 2930}, {"heating_mode": 0}, True),
        ({"target_temp_room": 0}, {"heating_mode": 1}, True),
        ({"energy_mix": 1}, {"el_power_level": 900}, True),
        ({"el_power_level": 900}, {"energy_mix": 1}, True),
        ({"energy_mix": 3}, {"el_power_level": 0}, True),
        ({"energy_mix": 3}, {"el_power_level": 1800}, False),
        ({"target_temp_room": 2930}, {"heating_mode": 1}, False),
        ({"target_temp_room": 2930}, {"target_temp_water": 3130}, False),
    ],
)
def test_a_wish_that_a_later_one_excludes_is_known_as_superseded(
    earlier: dict[str, int], later: dict[str, int], gone: bool
) -> None:
    assert superseded(earlier, merged(Group.HEATER, earlier, later)) is gone


aircon_wishes = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(AirconMode),
        "vent": st.sampled_from(Vent),
        "target_temp": st.integers(16, 30).map(temperature_code),
    },
)


@given(aircon_wishes, aircon_wishes, aircon_wishes)
def test_of_two_wishes_of_the_air_conditioner_the_later_holds(
    earlier: dict[str, int], later: dict[str, int], shown: dict[str, int]
) -> None:
    baseline = {"mode": 5, "vent": 0x72, "target_temp": 2950, **shown}
    for wish in (earlier, later):
        try:
            aircon_wish(wish, baseline)
        except ValueError:
            return
    whole = merged(Group.AC_MANUAL, earlier, later)
    assert not superseded(later, whole)
    aircon_wish(whole, baseline)


@pytest.mark.parametrize(
    "earlier, later, whole",
    [
        ({"vent": 0x73}, {"mode": 0}, {"mode": 0}),
        ({"vent": 0x73}, {"mode": 7}, {"mode": 7}),
        ({"vent": 0x73}, {"mode": 4}, {"mode": 4, "vent": 0x73}),
        ({"target_temp": 2890}, {"mode": 7}, {"mode": 7}),
        ({"target_temp": 2950}, {"mode": 7}, {"mode": 7, "target_temp": 2950}),
        ({"mode": 0}, {"vent": 0x73}, {"vent": 0x73}),
        ({"mode": 7}, {"target_temp": 2890}, {"target_temp": 2890}),
        ({"vent": 0x73}, {"target_temp": 2890}, {"vent": 0x73, "target_temp": 2890}),
        ({"mode": 5, "vent": 0x73, "target_temp": 2890}, {"mode": 0},
         {"mode": 0, "target_temp": 2890}),
    ],
)  # fmt: skip
def test_what_of_an_air_conditioners_wish_a_later_one_leaves(
    earlier: dict[str, int], later: dict[str, int], whole: dict[str, int]
) -> None:
    """A fan that waited for the panel had the air conditioner stay on that was switched off."""
    assert merged(Group.AC_MANUAL, earlier, later) == whole


def test_the_timers_settings_are_merged_as_the_heaters() -> None:
    off = {"heating_mode": 0, "target_temp_room": 0}
    assert merged(Group.TIMER, off, {"target_temp_room": 2930}) == {"target_temp_room": 2930}


def test_the_codes_are_the_wires() -> None:
    codes: dict[str, Any] = {"none": 0, "fuel": 1, "electricity": 2, "mix": 3}
    assert {energy.name.lower(): int(energy) for energy in Energy} == codes
