"""The simulated inverter as other masters find it (a.3, b.15)."""

from __future__ import annotations

from datetime import datetime

from hardwired_engines.sunsynk.modbus.frames import read_pdu, rtu_frame, rtu_pdu, write_pdu
from hardwired_engines.sunsynk.simulator.modbus import ModbusSimulator, ModbusWorld

NOON = datetime(2026, 6, 14, 12)  # noqa: DTZ001 - the plant's wall clock
STATE = rtu_frame(1, read_pdu(59, 1))


def asked(simulator: ModbusSimulator, request: bytes, now: float) -> bytes:
    """Return what has come back a second later."""
    simulator.receive(request, now)
    answer = b""
    while part := simulator.transmit(now + 1):
        answer += part
    return answer


def test_a_request_that_was_broken_off_does_not_swallow_the_next() -> None:
    """A write of 123 registers of which six bytes came would wait for 249 more."""
    simulator = ModbusSimulator(ModbusWorld(lambda: NOON))
    assert asked(simulator, rtu_frame(1, write_pdu(250, [0] * 123))[:7], 1.0) == b""
    assert len(rtu_pdu(STATE, asked(simulator, STATE, 3.0))) == 4


def test_a_request_in_pieces_is_one() -> None:
    simulator = ModbusSimulator(ModbusWorld(lambda: NOON))
    assert asked(simulator, STATE[:3], 1.0) == b""
    assert len(rtu_pdu(STATE, asked(simulator, STATE[3:], 1.2))) == 4


def test_functions_that_it_does_not_have() -> None:
    for function in (1, 2, 4, 5, 6):
        simulator = ModbusSimulator(ModbusWorld(lambda: NOON))
        request = rtu_frame(1, bytes((function, 0, 59, 0, 1)))
        assert rtu_pdu(request, asked(simulator, request, 1.0)) == bytes((0x80 | function, 1))


def test_the_protocol_of_the_battery_is_set() -> None:
    """As kellerza/sunsynk does; a running inverter is switched on."""
    world = ModbusWorld(lambda: NOON)
    simulator = ModbusSimulator(world)
    write = rtu_frame(1, write_pdu(325, [12]))
    assert rtu_pdu(write, asked(simulator, write, 1.0)) == write[1:6]
    image = world.inverters[1].image(NOON)
    assert (image[325], image[43]) == (12, 1)
