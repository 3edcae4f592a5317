"""Gateways that behave as no document says: other people's simulators, old firmware (spec f.7).

Whatever it is, the values go on being read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hardwired_engines.studer.scom.frame import FrameFlags, ObjectType, Request
from hardwired_engines.studer.scom.messages import PlantMessage

from .double import Double, Rule, plant, running

pytestmark = pytest.mark.slow

SECONDS = 60
PENDING = FrameFlags.MESSAGE_PENDING


def of_type(kind: ObjectType, answer: Callable[[Double, Request], Any]) -> Callable[[Double], Rule]:
    """Return a rule for requests of one kind; the flag of unread messages never goes off."""

    def make(double: Double) -> Rule:
        double.flags |= PENDING
        return lambda asked: answer(double, asked) if asked.object_type == kind else NotImplemented

    return make


def always_new(double: Double, asked: Request) -> Any:
    double.messages.append(PlantMessage(9, 3, 101, 1718000000 + len(double.log)))
    return asked.answer(double.messages[-1].encode(), flags=double.flags)


def rises_at_once(double: Double) -> Rule:
    """The flag is off in the answer that clears it, and on in every other."""

    def rule(asked: Request) -> Any:
        double.flags |= PENDING
        if asked.object_type == ObjectType.MESSAGE and asked.object_id == 0:
            double.messages = [PlantMessage(9, 3, 101, 1718000000 + len(double.log))]
        return NotImplemented

    return rule


def by_number(number: int, answer: Callable[[Request], Any]) -> Callable[[Double], Rule]:
    return lambda _: lambda asked: answer(asked) if asked.object_id == number else NotImplemented


MESSAGE = ObjectType.MESSAGE
SAME = PlantMessage(1, 3, 101, 1718000000).encode()


@pytest.mark.parametrize(
    "oddity, least",
    [
        (of_type(MESSAGE, lambda double, asked: asked.answer(SAME, flags=double.flags)), 1.0),
        (of_type(MESSAGE, lambda double, asked: asked.error(0x21, flags=double.flags)), 1.0),
        (of_type(MESSAGE, lambda double, asked: asked.answer(bytes(18), flags=double.flags)), 1.0),
        (of_type(MESSAGE, always_new), 0.9),
        (of_type(MESSAGE, lambda _double, _asked: None), 0.4),
        (rises_at_once, 0.9),
        (by_number(5002, lambda asked: asked.error(0x22)), 1.0),
        (by_number(5002, lambda asked: asked.answer(b"\1\2")), 1.0),
        (by_number(3156, lambda asked: asked.error(0x22)), 1.0),
    ],
    ids=[
        "flag stays", "no messages", "empty messages", "always a new one", "silent about messages",
        "flag comes back", "no clock", "clock in two bytes", "no FID",
    ],
)  # fmt: skip
async def test_values_go_on(oddity: Callable[[Double], Rule], least: float) -> None:
    double = plant(3)
    double.rules.append(oddity(double))
    async with running(double) as run:
        await run.pass_(SECONDS)
        assert run.last.connected
        assert all(state.available for state in run.last.devices.values())
        read = sum(asked.object_id == 3136 for asked in double.log)
        assert read >= least * 3 * SECONDS / 5
        assert len(double.log) < 40 * SECONDS


@pytest.mark.parametrize("found_later", [False, True])
async def test_devices_with_one_fid_are_told_apart_by_their_addresses(found_later: bool) -> None:
    double = plant(3)
    for address in (101, 102, 103):
        double.units[address].fid = (0x1234, 7)
    away = double.units.pop(102) if found_later else None
    async with running(double) as run:
        await run.pass_(5)
        if away is not None:
            double.units[102] = away
        await run.pass_(200)
        assert [run.value(address, "output_current") for address in (101, 102, 103)] == [4, 5, 6]
        assert run.id(101) == "12340007"
        assert run.id(103) == f"{run.id(501)}_103"
        assert "renumbered" not in run.notices()
        double.units[103].dead = 0
        await run.pass_(60)
        assert run.last.devices[run.id(101)].available
        double.units[103].dead = None
        await run.pass_(90)
        assert run.value(103, "output_current") == 6


@pytest.mark.parametrize("guid", [bytes(16), b"\xff" * 16])
async def test_a_guid_that_nobody_has_set_is_none(guid: bytes) -> None:
    double = plant(2)
    double.guid = guid
    async with running(double) as run:
        await run.pass_(5)
        assert run.engine.guid is None
        assert run.id(501) == "xcom_12340065"
