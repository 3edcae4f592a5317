"""The fan against the golden vectors (spec h.2), and the constants of the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from hardwired_engines.composite import Part, Wish
from hardwired_engines.engine import Device, DeviceState, InvalidCommand
from hardwired_engines.inventum.catalogue import FIXED, POSITIONS
from hardwired_engines.inventum.dialogue import timing
from hardwired_engines.inventum.fan import FAN
from hardwired_engines.inventum.names import unit_of
from hardwired_engines.inventum.profile import FLAGS
from hardwired_engines.inventum.settings import LINE
from hardwired_engines.inventum.terminal import cells, keys, screens
from hardwired_engines.inventum.terminal.log import LINE_LIMIT
from tests.vector_files import cases, load

DEVICE = Device("ecolution", "ecolution", "Ecolution")
PERCENTAGES = {None: None, 0: 0, 1: 33, 2: 66, 3: 100}


def state_of(position: int | None, boost: bool) -> DeviceState:
    option = None if position is None else POSITIONS[position]
    return DeviceState(DEVICE, {"fan_position": option, "boost": boost}, fields=FIXED)


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "fan.json", "states"))
def test_fan_states(case: dict[str, Any]) -> None:
    parts = FAN.read(state_of(case["position"], case["boost_active"]))
    speed = parts[Part.SPEED]
    assert speed is None or isinstance(speed, int)
    assert {
        "percentage": PERCENTAGES[speed],
        "is_on": parts[Part.ON],
        "preset_mode": parts[Part.PRESET],
    } == case["expect"]


def wishes_of(call: str) -> list[Wish]:
    """The parts that Home Assistant's calls become (see the integration's fan)."""
    kind, _, value = call.partition(":")
    match kind:
        case "turn_on":
            return [(Part.ON, "ON")]
        case "preset":
            return [(Part.PRESET, value)]
    return [(Part.SPEED, str(-(-int(value) * 3 // 100)))]


@pytest.mark.vectors
@pytest.mark.parametrize("case", cases("inventum", "fan.json", "calls"))
def test_fan_calls(case: dict[str, Any]) -> None:
    state = state_of(case["position"], False)
    wishes = wishes_of(case["call"])
    if case["expect"] == "refused":
        with pytest.raises(InvalidCommand) as raised:
            FAN.write(wishes, state)
        assert raised.value.key == "speed_not_supported"
        assert "boost, the highest step" in str(raised.value)
        return
    wanted = {"high": {"boost": True}, "auto": {"boost": False}, "none": {}}[case["expect"]]
    assert FAN.write(wishes, state) == wanted


def test_off_gives_the_fan_back_to_the_controller() -> None:
    assert FAN.write([(Part.ON, "OFF")], state_of(2, True)) == {"boost": False}
    assert not FAN.about(state_of(2, False)).switches_off


@pytest.mark.vectors
def test_the_constants_of_the_protocol() -> None:
    known = load("inventum", "protocol.json")["protocol"]
    seconds, counts = known["seconds"], known["counts"]
    assert (LINE.baudrate, LINE.byte_size, LINE.parity, LINE.stopbits) == (
        *(known["serial"][key] for key in ("baud", "bits", "parity", "stop")),
    )
    assert (known["rows"], known["columns"]) == (cells.ROWS, cells.COLUMNS)
    assert known["prompts"] == {"login": cells.LOGIN_PROMPT, "challenge": cells.CHALLENGE_PROMPT}
    assert known["titles"] == {"menu": screens.MENU_TITLE, "io": screens.IO_TITLE}
    assert known["fan"] == {"name": screens.FAN_NAME, "number": screens.FAN_NUMBER}
    assert known["codes"] == {"login": keys.LOGIN_CODE, "challenge": keys.CHALLENGE_CODE}
    assert known["keys"] == {
        "escape": keys.ESCAPE.hex(),
        "enter": keys.ENTER.hex(),
        "up": keys.UP.hex(),
        "down": keys.DOWN.hex(),
        "io": keys.IO_STATUS.encode().hex(),
        "logger": keys.DATA_LOGGER.encode().hex(),
        "high": b"3".hex(),
    }
    for printed, unit in known["units"].items():
        found = unit_of(f"x ({printed})")
        assert found is not None
        assert found.text == unit
    assert known["flags"] == FLAGS
    assert counts.pop("line_limit") == LINE_LIMIT
    assert seconds == {
        "listen": timing.LISTEN,
        "quiet": timing.QUIET,
        "stable": timing.STABLE,
        "settled": timing.SETTLED,
        "edit_stable": timing.EDIT_STABLE,
        "echo": timing.ECHO,
        "settle_after_enter": timing.AFTER_ENTER,
        "answer": timing.ANSWER,
        "login_quiet": timing.REFUSED_QUIET,
        "wrong_code_pause": timing.WRONG_CODE_PAUSE,
        "wake": list(timing.WAKE_STEPS),
        "pauses": list(timing.WAKE_PAUSES),
        "resync": timing.RESYNC,
        "menu_lost": timing.MENU_LOST,
        "io": timing.IO,
        "move": timing.MOVE,
        "enter": timing.ENTER,
        "digit": timing.EDIT,
        "edit_done": timing.EDIT_DONE,
        "leave": timing.LEAVE,
        "logger_start": timing.LOGGER_START,
        "first_row": timing.FIRST_ROW,
        "patience_factor": timing.PATIENCE_FACTOR,
        "patience_min": timing.PATIENCE[0],
        "patience_max": timing.PATIENCE[1],
        "command_offline": timing.OFFLINE,
        "confirm": timing.CONFIRM,
        "release_retry": timing.REST,
        "pause": timing.PAUSE,
    }
    assert counts == {
        "refusals": timing.REFUSALS,
        "typing_again": timing.TYPED_AGAIN,
        "moves": timing.MOVES,
        "runs": timing.RUNS,
        "io_key_again": timing.IO_KEY_AGAIN,
        "leave_again": timing.LEAVE_AGAIN,
        "confirm_rows": timing.CONFIRM_ROWS,
        "lost_rows": timing.LOST_ROWS,
        "reapply": timing.REAPPLY,
        "bad_rows": timing.BAD_ROWS,
        "logger_commas": timing.LOGGER_COMMAS,
    }
