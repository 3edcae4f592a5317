"""Studer plants behind an Xcom: SCOM on a serial line or through a Moxa.

:mod:`.scom` is what goes over the wire, :mod:`.datapoints` the table of what can be asked and
what is plausible, :mod:`.plant` the devices and what outlives a restart, :mod:`.session` the
dialogue on an open link. :mod:`.engine` ties them together, :mod:`.moxa_search` finds gateways,
:mod:`.explain` says what recorded frames mean. :mod:`.simulator` simulates a whole plant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..factory import EngineFactory, OnProgress, ProbeResult, Surroundings

if TYPE_CHECKING:
    from ..engine import Device
    from ..fields import Catalogue
    from .engine import StuderEngine
    from .settings import StuderSettings


class StuderFactory(EngineFactory["StuderSettings"]):
    """Makes the engines of plants behind an Xcom."""

    key: ClassVar[str] = "studer"
    requests: ClassVar[frozenset[str]] = frozenset({"refresh", "fast", "identify", "messages"})
    probe_seconds: ClassVar[float] = 90.0
    """A Moxa checks its connections once a minute; it may take that long until it calls."""

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fields of the gateway, of each family of devices and of the system."""
        from .catalogue import CATALOGUES  # noqa: PLC0415

        return CATALOGUES

    def identified(self, device: Device) -> bool:
        """Whether it has a FID, or a gateway known by a GUID or by a FID behind it."""
        first, _, rest = device.id.partition("_")
        return first != "xcom" or _is_fid(rest.partition("_")[0])

    def suffix(self, kind: str, key: str) -> str:
        """Return the number of the datapoint; our own fields have their key instead."""
        from .catalogue import point_of  # noqa: PLC0415

        point = point_of(kind, key)
        return key if point is None else str(point.id)

    def read(self, values: Mapping[str, Any]) -> StuderSettings:
        """Return the settings in *values*. Raises :class:`SettingsError`."""
        from .settings import StuderSettings  # noqa: PLC0415

        return StuderSettings.from_mapping(values)

    def make(self, settings: StuderSettings, surroundings: Surroundings) -> StuderEngine:
        """Return an engine. Raises :class:`SettingsError` for a time zone that does not exist."""
        from .engine import StuderEngine  # noqa: PLC0415

        return StuderEngine(
            settings,
            surroundings.clock,
            zone=surroundings.zone_for(settings.time_zone),
            storage=surroundings.storage,
        )

    async def probe(
        self,
        settings: StuderSettings,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Find the link's settings and all devices. Raises :class:`LinkError`."""
        from .probe import probe  # noqa: PLC0415

        engine = self.make(settings, surroundings)
        return await probe(engine, surroundings.clock, seconds or self.probe_seconds, on_progress)


def _is_fid(text: str) -> bool:
    return len(text) == 8 and all(digit in "0123456789ABCDEF" for digit in text)


FACTORY = StuderFactory()
