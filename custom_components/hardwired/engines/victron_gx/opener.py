"""Opens connections to the broker of a GX, or to a simulated one."""

from __future__ import annotations

from typing import Any, Protocol

from ..engine import LinkError, Reason
from ..factory import Surroundings
from .failures import as_link_error
from .mqtt.client import Client, OnMessage, Unreachable, WrongCertificate
from .mqtt.packets import Will
from .settings import GxSettings


class Opener(Protocol):
    """Opens one connection after another."""

    async def connect(
        self, client_id: str, on_message: OnMessage, will: Will | None = None
    ) -> Client:
        """Return a connection that is logged in. Raises :class:`LinkError`."""

    async def close(self) -> None:
        """Release what is kept between connections."""


class BrokerOpener:
    """Opens connections to a broker on the network."""

    def __init__(self, settings: GxSettings) -> None:
        assert settings.address is not None
        self._address = settings.address

    async def connect(
        self, client_id: str, on_message: OnMessage, will: Will | None = None
    ) -> Client:
        """Return a connection that is logged in. Raises :class:`LinkError`."""
        try:
            return await Client.connect(self._address, client_id, on_message, will)
        except Unreachable as error:
            raise as_link_error(error) from error
        except WrongCertificate as error:
            raise LinkError(Reason.WRONG_DEVICE, str(error)) from error

    async def close(self) -> None:
        """Nothing is kept."""


def opener_of(settings: GxSettings, surroundings: Surroundings) -> Opener:
    """Return what opens the connections of an entry."""
    if settings.address is not None:
        return BrokerOpener(settings)
    from .simulator.gx import simulated  # noqa: PLC0415 - a simulator only where one is wanted

    found: Any = simulated(settings.simulation, surroundings.clock)
    opener: Opener = found
    return opener
