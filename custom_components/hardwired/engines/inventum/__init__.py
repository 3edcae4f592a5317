"""Inventum Ecolution: ventilation heat pumps behind the terminal of their USB service socket.

:mod:`.terminal` is what the device shows and prints, :mod:`.dialogue` the conversation with it;
both are sans-I/O. :mod:`.names`, :mod:`.values`, :mod:`.profile` say what the logger's columns
mean, :mod:`.catalogue` what people see of them, :mod:`.fan` is the fan made of it.
:mod:`.engine` ties them to a link, :mod:`.probe` looks who is there.
:mod:`.simulator` plays the device. Sections in brackets: ``docs/protocol/inventum.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..composite import Composite
from ..engine import Engine
from ..factory import EngineFactory, OnProgress, ProbeResult, Surroundings
from ..fields import Catalogue
from .settings import InventumSettings


class InventumFactory(EngineFactory[InventumSettings]):
    """Makes engines for one terminal each."""

    key = "inventum"
    probe_seconds = 12.0
    supersedes = True
    usb_devices = MappingProxyType({(0x0D59, 0x0007): "Inventum ventilation"})

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fixed fields; the logger's columns are each unit's own."""
        from .catalogue import CATALOGUES  # noqa: PLC0415

        return CATALOGUES

    def composites(self, kind: str) -> tuple[Composite, ...]:
        """The fan."""
        from .fan import FAN  # noqa: PLC0415

        return (FAN,)

    def read(self, values: Mapping[str, Any]) -> InventumSettings:
        """Return settings from plain values. Raises :class:`SettingsError`."""
        return InventumSettings.read(values)

    def make(self, settings: InventumSettings, surroundings: Surroundings) -> Engine:
        """Return an engine."""
        from .engine import InventumEngine  # noqa: PLC0415

        return InventumEngine(settings, surroundings)

    async def probe(
        self,
        settings: InventumSettings,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Wake the terminal and say whether it is one of these."""
        from .probe import probe  # noqa: PLC0415

        return await probe(
            settings, surroundings, self.probe_seconds if seconds is None else seconds, on_progress
        )


FACTORY = InventumFactory()
