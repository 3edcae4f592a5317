"""Which buffers the simulated panel has for the box, and when (spec c.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..inet.buffers import ALDE, CONFIG, MessageId
from ..inet.rules import Energy
from .nodes import UNSET, Nodes
from .personalities import Dialect, Personality
from .physics import Vehicle
from .settings import PanelSettings, code

AIRCON_TIMER, AIRCON_INITIAL = 0x3F, 0x41
MEASURED_EVERY = 10.0
"""Shortest time between two buffers of which only measured values differ."""

_FIXED: Mapping[int, bytes] = {
    MessageId.AC_AUTO: bytes.fromhex("01000100").ljust(18, b"\0"),
    AIRCON_TIMER: bytes.fromhex("00007101").ljust(22, b"\0"),
    AIRCON_INITIAL: bytes.fromhex("01000100").ljust(20, b"\0"),
    MessageId.ALDE_DEVICE: bytes.fromhex("010001ffde410100020e00ffffff"),
    MessageId.ALDE_NIGHT: bytes.fromhex("5e0bde03c20107071703ff14"),
    MessageId.ALDE_DAY: bytes.fromhex("860bc201de0307071703ff14"),
}
"""Buffers that never change; recorded but for the Alde record and day times."""

_SETTINGS_SIZE = 12
"""Bytes of buffer 33 that are settings; 12 to 15 are measured, the rest is state."""


class Downloads:
    """The queue of buffers; each is filled when it is taken."""

    def __init__(
        self, personality: Personality, nodes: Nodes, settings: PanelSettings, vehicle: Vehicle
    ) -> None:
        self._personality = personality
        self._nodes = nodes
        self._settings = settings
        self._vehicle = vehicle
        self._queue: list[tuple[int, int]] = []
        self._sent: dict[int, tuple[float, bytes]] = {}
        self._pushed = 0.0

    @property
    def waiting(self) -> bool:
        """Whether a buffer waits."""
        return bool(self._queue)

    def add(self, message_id: int, index: int = 0) -> None:
        """Let a buffer be sent; once is enough."""
        if (message_id, index) not in self._queue:
            self._queue.append((message_id, index))

    def clear(self) -> None:
        """Forget the queue and what was sent: the panel has lost its power."""
        self._queue.clear()
        self._sent.clear()

    def dump(self) -> None:
        """Queue everything, as after power-on."""
        if self._personality.dialect is Dialect.ALDE:
            for message_id in (
                MessageId.ALDE_DEVICE,
                MessageId.ALDE,
                MessageId.ALDE_NIGHT,
                MessageId.ALDE_DAY,
                MessageId.CLOCK,
            ):
                self.add(message_id)
            return
        for index in range(self._device_count):
            self.add(MessageId.DEVICE, index)
        self.add(MessageId.HEATER)
        if self._personality.aircon:
            self.add(MessageId.AC_MANUAL)
        self.add(MessageId.TIMER)
        if self._personality.aircon:
            for initial in (AIRCON_TIMER, MessageId.AC_AUTO, AIRCON_INITIAL):
                self.add(initial)
        self.add(MessageId.CONFIG)
        self.add(MessageId.CLOCK)

    def look(self, now: float) -> None:
        """Queue what has changed, and what is due."""
        if self._personality.dialect is Dialect.ALDE:
            watched = [MessageId.ALDE]
        else:
            watched = [MessageId.HEATER, MessageId.TIMER]
            if self._personality.aircon:
                watched.append(MessageId.AC_MANUAL)
        for message_id in watched:
            if message_id in self._sent and self._changed(message_id, now):
                self.add(message_id)
        if now - self._pushed >= self._personality.push_interval:
            self._pushed = now
            self.add(MessageId.CLOCK)
            if self._personality.aircon:
                self.add(MessageId.AC_MANUAL)

    def take(self, now: float) -> tuple[int, bytes]:
        """Return the message id and payload of the next buffer."""
        message_id, index = self._queue.pop(0)
        payload = self._payload(message_id, index)
        self._sent[message_id] = (now, payload)
        if message_id == MessageId.CLOCK:
            self._pushed = now
        return message_id, payload

    def _changed(self, message_id: int, now: float) -> bool:
        at, before = self._sent[message_id]
        payload = self._payload(message_id, 0)
        if payload == before:
            return False
        if message_id == MessageId.HEATER:
            told = payload[:_SETTINGS_SIZE] + payload[16:]
            if told != before[:_SETTINGS_SIZE] + before[16:]:
                return True
        elif message_id == MessageId.AC_MANUAL:
            if payload[:6] != before[:6]:
                return True
        elif message_id == MessageId.TIMER:
            return True
        return now - at >= MEASURED_EVERY

    @property
    def _device_count(self) -> int:
        return 2 + (self._personality.aircon is not None)

    def _payload(self, message_id: int, index: int) -> bytes:
        if message_id == MessageId.DEVICE:
            return self._device(index)
        alde = self._personality.dialect is Dialect.ALDE
        makers: dict[int, Callable[[], bytes]] = {
            MessageId.HEATER: self._nodes.heater_buffer,
            MessageId.TIMER: self._settings.timer.payload,
            MessageId.AC_MANUAL: self._nodes.aircon_buffer,
            MessageId.CLOCK: lambda: self._settings.clock.payload(alde=alde),
            MessageId.CONFIG: self._config,
            MessageId.ALDE: self._alde,
        }
        make = makers.get(message_id)
        return _FIXED[message_id] if make is None else make()

    def _device(self, index: int) -> bytes:
        personality, vehicle = self._personality, self._vehicle
        units = [
            (personality.panel, True),
            (personality.heater, vehicle.heater_connected),
        ]
        if personality.aircon:
            units.append((personality.aircon, vehicle.aircon_connected))
        unit, online = units[index]
        return unit.payload(len(units), index, online=online)

    def _config(self) -> bytes:
        settings = self._settings
        return CONFIG.write(
            {
                "brightness": settings.brightness,
                "language": settings.language,
                "ac_offset": 2740,
                "temp_offset": settings.temp_offset,
                "temp_units": settings.fahrenheit,
            }
        ).ljust(10, b"\0")

    def _alde(self) -> bytes:
        """What is known of the Alde status, on top of a recorded one (spec d.12)."""
        heater, vehicle = self._settings.heater, self._vehicle
        base = bytes.fromhex("01005e0bfeff000037010064ffffff12710bfefffa0a001effffffff")
        return ALDE.write(
            {
                "on": 1,
                "target_temp_room": heater.target_temp_room or UNSET,
                "water": {0: 0}.get(heater.target_temp_water, 100),
                "electric": heater.el_power_level // 100,
                "gas": 0x37 if heater.energy_mix & Energy.FUEL else 0,
                "priority": 1 if heater.energy_mix & Energy.FUEL else 0,
                "current_temp_room": code(vehicle.room),
                "outside_temp": code(vehicle.outside),
            },
            base,
        )
