"""Sunsynk and Deye hybrid inverters: their Wi-Fi dongle overheard, or asked over Modbus.

:mod:`.capture` goes from a capture file or an interface to TCP streams, :mod:`.dongle` from
bytes of a stream to reports and their registers. :mod:`.pipeline` takes report after report
and keeps what is doubtful out; :mod:`.modbus` asks for the same registers. :mod:`.sources` are
where readings come from. :mod:`.inverters` is
what we know of the devices, :mod:`.engine` ties them together.
:mod:`.catalogue` is the one table of fields, :mod:`.register_words` how words become values.
:mod:`.simulator` plays dongles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

from ..factory import EngineFactory, OnProgress, ProbeResult, Surroundings

if TYPE_CHECKING:
    from ..engine import Device, RecordedFrame
    from ..fields import Catalogue
    from .engine import SunsynkEngine
    from .settings import SunsynkSettings


class SunsynkFactory(EngineFactory["SunsynkSettings"]):
    """Makes the engines that listen to dongles or ask inverters."""

    key: ClassVar[str] = "sunsynk"
    requests: ClassVar[frozenset[str]] = frozenset({"refresh", "fast", "set_clock"})
    probe_seconds: ClassVar[float] = 10.0
    modbus_probe_seconds: ClassVar[float] = 30.0
    """Enough for both kinds of frames, three attempts each."""

    @property
    def catalogues(self) -> Mapping[str, Catalogue]:
        """The fields of an inverter, and the counters of a capture and of a Modbus line."""
        from .catalogue import CATALOGUES  # noqa: PLC0415

        return CATALOGUES

    def identified(self, device: Device) -> bool:
        """Whether its id is unique everywhere: an inverter's serial number is.

        What is listened to is not: two hosts may have interfaces of one name.
        """
        return device.kind == "inverter"

    def read(self, values: Mapping[str, Any]) -> SunsynkSettings:
        """Return the settings in *values*. Raises :class:`SettingsError`."""
        from .settings import SunsynkSettings  # noqa: PLC0415

        return SunsynkSettings.from_mapping(values)

    def make(self, settings: SunsynkSettings, surroundings: Surroundings) -> SunsynkEngine:
        """Return an engine. Raises :class:`SettingsError` for a time zone that does not exist."""
        from .engine import SunsynkEngine  # noqa: PLC0415

        return SunsynkEngine(
            settings,
            surroundings.clock,
            zone=surroundings.zone_for(settings.time_zone) or UTC,
            storage=surroundings.storage,
            room=surroundings.room,
        )

    def recording(self, frames: Sequence[RecordedFrame]) -> tuple[str, bytes]:
        """Return the messages as a capture file, without logins, serial numbers, addresses."""
        from .capture.stream import Frame  # noqa: PLC0415
        from .capture.writer import MaskedRecorder  # noqa: PLC0415

        file = BytesIO()
        recorder = MaskedRecorder(file)
        for frame in frames:
            recorder.write(Frame(frame.data, frame.time, b"", b""))
        return ".pcap", file.getvalue()

    async def probe(
        self,
        settings: SunsynkSettings,
        surroundings: Surroundings,
        *,
        seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> ProbeResult:
        """Listen for a while and say what is heard. Raises :class:`SettingsError`."""
        from .probe import probe  # noqa: PLC0415

        engine = self.make(settings, surroundings)
        asks = settings.source.value == "modbus"
        usual = self.modbus_probe_seconds if asks else self.probe_seconds
        return await probe(engine, surroundings.clock, seconds or usual, on_progress)


FACTORY = SunsynkFactory()
