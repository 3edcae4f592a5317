"""Puts the simulated device where an engine finds it: ``sim://``, a pseudo-terminal, a TCP port."""

from __future__ import annotations

from collections.abc import Mapping

from ...clock import Clock
from ...engine import LinkError, Reason
from ...link import Stream
from ...simulating import InProcess
from .device import SimulatedEcolution
from .settings import SimulatorSettings


class Simulation:
    """The device behind ``sim://``: it outlives the connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._device: SimulatedEcolution | None = None

    async def open(self, query: Mapping[str, str]) -> Stream:
        """Return our end of the line. Raises :class:`LinkError` (BAD_ADDRESS)."""
        if self._device is None:
            try:
                self._device = SimulatedEcolution(SimulatorSettings.read(query))
            except ValueError as error:
                raise LinkError(Reason.BAD_ADDRESS, str(error)) from error
        if not self._device.plugged(self._clock.monotonic()):
            raise LinkError(Reason.NOT_FOUND, "the simulated cable is out")
        return await InProcess(self._device, self._clock).open()
