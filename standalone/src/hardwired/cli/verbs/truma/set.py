"""``hardwired set truma``: change settings of the heater or the air conditioner, once."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import time

from hardwired_engines.engine import (
    Command,
    Engine,
    InvalidCommand,
    LinkError,
    NotConnected,
    Reason,
    Snapshot,
)
from hardwired_engines.factory import Surroundings
from hardwired_engines.fields import Field, Quantity, Value
from hardwired_engines.link.errors import CAN_NOT_OPEN
from hardwired_engines.truma import FACTORY

from ...arguments import WrongArguments, seconds_of
from ...output import emit, tell

DEVICES = ("heater", "aircon")
WAIT_SECONDS = 60.0
WORDS = {"on": True, "true": True, "off": False, "false": False}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("port", metavar="PORT", help="a serial port with a LIN transceiver, sim://")
    parser.add_argument(
        "settings",
        metavar="KEY=VALUE",
        nargs="+",
        help="what to set, together: target_temp_room=21 heating_mode=eco water_mode=off"
        " energy_mix=fuel el_power_level=900 ...; with --device aircon: mode, vent, target_temp",
    )
    parser.add_argument("--device", choices=DEVICES, default=DEVICES[0], help="default: heater")
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=WAIT_SECONDS,
        metavar="N",
        help=f"how long to wait for the panel at most (default: {WAIT_SECONDS:.0f})",
    )


def run(options: argparse.Namespace) -> int:
    """Set it; 0: the panel has acknowledged it, 1: it was refused or not confirmed."""
    try:
        values = read_settings(options.device, options.settings)
    except InvalidCommand as error:
        raise WrongArguments(str(error)) from error
    settings = FACTORY.read({"link": options.port})
    engine = FACTORY.make(settings, Surroundings())
    shown = asyncio.run(_set(engine, Command(options.device, values), options.seconds))
    emit({"device": options.device, "values": shown})
    return 0


def read_settings(device: str, texts: list[str]) -> Mapping[str, Value]:
    """Return the values in ``KEY=VALUE`` texts. Raises :class:`InvalidCommand`."""
    fields = FACTORY.catalogues[device]
    values: dict[str, Value] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        item = fields.get(key)
        if not separator or item is None or not item.writable:
            known = ", ".join(name for name, one in fields.items() if one.writable)
            raise InvalidCommand(f"{text!r} is no setting; {device} takes KEY=VALUE of {known}")
        values[key] = _value(item, value)
    return values


def _value(item: Field, text: str) -> Value:
    try:
        if item.numeric:
            return float(text)
        if item.binary:
            return WORDS[text.lower()]
        if item.quantity is Quantity.CLOCK_TIME:
            return time.fromisoformat(text)
    except (ValueError, KeyError):
        raise InvalidCommand(f"{item.key} does not take {text!r}") from None
    return text


async def _set(engine: Engine, command: Command, seconds: float) -> Mapping[str, Value | None]:
    changed = asyncio.Event()
    task = asyncio.ensure_future(engine.run(lambda _: changed.set()))
    try:
        await _settled(engine, changed, command.device, seconds)
        tell("the panel is there; sending, and waiting until it has taken the setting (5 to 30 s)")
        await engine.execute(command)
        tell("the panel has taken the setting; waiting until it shows it")
        # It acknowledges first, and shows the new values a moment later (spec c.7).
        with contextlib.suppress(TimeoutError):
            await _until(changed, lambda: _shows(engine.snapshot, command), seconds)
        state = engine.snapshot.devices[command.device]
        return {key: state.values.get(key) for key in command.values}
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _until(changed: asyncio.Event, holds: Callable[[], bool], seconds: float) -> None:
    """Wait until *holds*, looked at with every snapshot. Raises :class:`TimeoutError`."""
    async with asyncio.timeout(seconds):
        while not holds():
            changed.clear()
            await changed.wait()


async def _settled(engine: Engine, changed: asyncio.Event, device: str, seconds: float) -> None:
    """Wait until the panel calls us and has sent its settings, and tell what is missing.

    Raises :class:`NotConnected`, or :class:`LinkError` when the port can't be had.
    """
    key = "heating_mode" if device == "heater" else "mode"
    told: str | None = None

    def settled() -> bool:
        nonlocal told
        now = engine.snapshot
        if now.reason in CAN_NOT_OPEN:
            raise LinkError(now.reason, now.detail or "")
        if now.connected and now.value(device, key) is not None:
            return True
        if (waits := _waits_for(now)) != told:
            told = waits
            tell(f"waiting until {waits}")
        return False

    try:
        await _until(changed, settled, seconds)
    except TimeoutError:
        now = engine.snapshot
        why = now.detail or (now.reason.value if now.reason else f"it shows no {device}")
        raise NotConnected(f"the panel can't be asked: {why}") from None


def _waits_for(now: Snapshot) -> str:
    """Return what has to happen before a setting can be sent."""
    if now.connected:
        return "the panel has sent its settings"
    match now.reason:
        case None | Reason.STARTING | Reason.SILENT:
            return "something is heard on the bus"
        case Reason.NOT_REGISTERED:
            return "the panel takes us in"
        case reason:
            return f"the panel calls us: {reason.value}"


def _shows(snapshot: Snapshot, command: Command) -> bool:
    return all(
        snapshot.value(command.device, key) == value
        or (key == "target_temp_room" and not value and not snapshot.value(command.device, key))
        for key, value in command.values.items()
    )
