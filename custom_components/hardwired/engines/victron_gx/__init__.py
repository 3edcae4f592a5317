"""Home Assistant's entities as devices on a Victron GX: a client of the registration protocol.

The other way round than all other engines: Home Assistant is where values come from. ``home`` is
what it knows, ``units``, ``channels`` and ``templates`` make services of it, ``export`` is one
export at one moment, ``config`` its settings, ``sources`` what may be exported at all.
``protocol`` are the messages and ``mqtt`` how they travel; ``exporter`` and ``gx`` are the two
state machines (one export, the GX); ``by_hand`` are the actions, ``stored_state`` is what outlives
a restart; ``engine`` ties them to connections and to the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..engine import Engine
from ..factory import EngineFactory, OnProgress, ProbeResult, Surroundings
from ..fields import Catalogue

if TYPE_CHECKING:
    from .settings import GxSettings


class VictronGxFactory(EngineFactory["GxSettings"]):
    """Makes the engines of this family."""

    key = "victron_gx"
    probe_seconds = 8.0
    hosted = True

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The driver on the GX, and an export."""
        from .catalogue import CATALOGUES  # noqa: PLC0415 - only when it is used

        return CATALOGUES

    def read(self, values: Mapping[str, Any]) -> GxSettings:
        """Return settings: ``link``, ``user``, ``password``, ``portal``, ``exports`` ..."""
        from .settings import read_settings  # noqa: PLC0415

        return read_settings(values)

    def make(self, settings: GxSettings, surroundings: Surroundings) -> Engine:
        """Return an engine."""
        from .engine import VictronGxEngine  # noqa: PLC0415

        return VictronGxEngine(settings, surroundings)

    async def probe(
        self,
        settings: GxSettings,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Log in, and find out whose broker it is and whether the driver runs."""
        from .probe import probe  # noqa: PLC0415

        return await probe(settings, surroundings, seconds or self.probe_seconds, on_progress)


FACTORY = VictronGxFactory()
