"""Carries out commands on one device of a plant, for the verbs that do."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence

from hardwired_engines.engine import Command, CommandError, Engine, LinkError, Reason
from hardwired_engines.factory import Surroundings, running
from hardwired_engines.fields import Value
from hardwired_engines.studer import FACTORY

from ...output import emit, tell
from .link import add_link, link_settings

CONNECT_SECONDS = 60.0
HOPELESS = frozenset(
    {
        Reason.NOT_FOUND, Reason.BUSY, Reason.NO_PERMISSION, Reason.REFUSED, Reason.UNREACHABLE,
        Reason.SILENT, Reason.NOISE, Reason.NO_ANSWER,
    }
)  # fmt: skip
"""Waiting longer changes nothing."""


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the plant is, and which device is meant."""
    add_link(parser)
    parser.add_argument(
        "address", type=int, metavar="ADDRESS", help="101 for the first Xtender, 501 for the Xcom"
    )


async def execute(
    options: argparse.Namespace, verb: str, wishes: Sequence[Mapping[str, Value]]
) -> int:
    """Carry out commands on one device; 0: all done, 1: one was refused."""
    engine = FACTORY.make(link_settings(options), Surroundings())
    failed = False
    async with running(engine) as changed:
        tell("waiting until the plant has said who is there")
        await _connected(engine, changed)
        tell(f"connected; waiting until {options.address} has answered")
        device = next(
            (
                state.device.id
                for state in engine.snapshot.devices.values()
                if state.device.address == str(options.address)
            ),
            None,
        )
        if device is None:
            tell(f"hardwired: nobody answers at address {options.address}")
            return 1
        for wish in wishes:
            try:
                emit(await engine.execute(Command(device, name=verb, options=wish)))
            except CommandError as error:
                tell(f"hardwired: {error}")
                failed = True
    return 1 if failed else 0


async def _connected(engine: Engine, changed: asyncio.Event) -> None:
    """Wait until the plant is known. Raises :class:`LinkError` when that comes to nothing."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while not engine.snapshot.connected:
                changed.clear()
                await changed.wait()
                if engine.snapshot.reason in HOPELESS:
                    raise LinkError(engine.snapshot.reason, engine.snapshot.detail or "")
    except TimeoutError:
        reason = engine.snapshot.reason or Reason.NO_ANSWER
        why = f"nobody has answered within {CONNECT_SECONDS:.0f} s"
        raise LinkError(reason, engine.snapshot.detail or why) from None
