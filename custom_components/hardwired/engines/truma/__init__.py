"""Truma heaters and air conditioners behind a CP Plus panel; we act as the iNet box on the LIN bus.

:mod:`.lin` are the frames, :mod:`.inet` the box and the buffers that they carry, :mod:`.node` the
responder's process and its supervision. :mod:`.installation` is what we know of the devices,
:mod:`.wishes` are settings as raw codes (what may be set together is in ``inet``), :mod:`.uploads`
brings them to the panel, :mod:`.panel_clock` keeps its clock right, :mod:`.bus_health` judges the
bus; :mod:`.engine` ties them together. ``lin`` and ``inet`` also run in the responder's own small
process: they import nothing but the standard library and each other. :mod:`.simulator` simulates
the panel and the vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..factory import EngineFactory, OnProgress, ProbeResult, Surroundings

if TYPE_CHECKING:
    from ..composite import Composite
    from ..engine import RecordedFrame
    from ..fields import Catalogue
    from .engine import TrumaEngine
    from .settings import TrumaSettings


class TrumaFactory(EngineFactory["TrumaSettings"]):
    """Makes the engines of LIN buses."""

    key: ClassVar[str] = "truma"
    requests: ClassVar[frozenset[str]] = frozenset({"refresh", "sync_clock"})
    probe_seconds: ClassVar[float] = 8.0

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fields of panel, heater, air conditioner and Alde heater."""
        from .catalogue import CATALOGUES  # noqa: PLC0415

        return CATALOGUES

    def composites(self, kind: str) -> tuple[Composite, ...]:
        """Return room heating and hot water of a heater, the thermostat of an air conditioner."""
        from .composites import COMPOSITES  # noqa: PLC0415

        return COMPOSITES.get(kind, ())

    def read(self, values: Mapping[str, Any]) -> TrumaSettings:
        """Return the settings in *values*. Raises :class:`SettingsError`."""
        from .settings import TrumaSettings  # noqa: PLC0415

        return TrumaSettings.from_mapping(values)

    def make(self, settings: TrumaSettings, surroundings: Surroundings) -> TrumaEngine:
        """Return an engine. Raises :class:`SettingsError` for a time zone that does not exist."""
        from .engine import TrumaEngine  # noqa: PLC0415

        return TrumaEngine(
            settings,
            surroundings.clock,
            zone=surroundings.zone_for(settings.time_zone),
            storage=surroundings.storage,
        )

    def recording(self, frames: Sequence[RecordedFrame]) -> tuple[str, bytes]:
        """Return the slots that were answered, as a text log."""
        from .lin.log import write_line  # noqa: PLC0415

        lines = ["# seconds PID data"]
        for frame in frames:
            seconds = (frame.time - frames[0].time).total_seconds()
            lines.append(write_line(seconds, frame.data[0], frame.data[1:] or None))
        return ".log", "".join(f"{line}\n" for line in lines).encode()

    async def probe(
        self,
        settings: TrumaSettings,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Take part in the bus for a while and say what is heard. Raises :class:`LinkError`."""
        from .probe import probe  # noqa: PLC0415

        engine = self.make(settings, surroundings)
        return await probe(engine, surroundings, seconds or self.probe_seconds, on_progress)


FACTORY = TrumaFactory()
