"""Batteries, chargers, converters, and what hangs on the DC side."""

from __future__ import annotations

from typing import Any, Callable, Dict

from .curves import Clouds, Walk, daylight, wave
from .device import Device, Values
from .meters import RUNNING, Motor

CELLS = 16
CAPACITY = 280.0  # Ah
FLOAT, BULK = 5, 3

Curve = Callable[[float], Dict[str, Any]]


class Bms(Device):
    """A battery of 16 LFP cells whose BMS talks MQTT."""

    def __init__(self, client_id: str) -> None:
        options = {"b": {"name": "House battery"}}
        super().__init__(client_id, {"services": {"b": "battery"}, "options": options})
        self._current = Walk(self.chance, -60, 70, 6)
        self._soc = 71.0
        self._last = 0.0

    def values(self, now: float) -> Values:
        """Return the next values; the state of charge follows the current."""
        seconds, self._last = now - self._last, now
        amps = self._current.next()
        self._soc = min(100.0, max(8.0, self._soc + amps * seconds / 36 / CAPACITY))
        cell = 3.2 + 0.0018 * self._soc + amps * 0.0004
        volts = cell * CELLS
        return {
            "b": {
                "Dc/0/Voltage": round(volts, 2),
                "Dc/0/Current": round(amps, 1),
                "Dc/0/Power": round(volts * amps),
                "Dc/0/Temperature": round(wave(now, 17, 24, 1800), 1),
                "Soc": round(self._soc, 1),
                "Capacity": round(CAPACITY * self._soc / 100, 1),
                "InstalledCapacity": CAPACITY,
                "ConsumedAmphours": round(-CAPACITY * (1 - self._soc / 100), 1),
                "System/MinCellVoltage": round(cell - 0.006, 3),
                "System/MaxCellVoltage": round(cell + 0.009, 3),
                "System/NrOfCellsPerBattery": CELLS,
                "System/NrOfBatteries": 1,
                "Balancing": int(self._soc > 95),
                "Io/AllowToCharge": int(self._soc < 99.5),
                "Io/AllowToDischarge": int(self._soc > 10),
            }
        }


class Solar(Device):
    """Another maker's solar charger."""

    def __init__(self, client_id: str) -> None:
        options = {"s": {"name": "Solar deck", "energy": True}}
        status = {"version": 0x104, "services": {"s": "solarcharger"}, "options": options}
        super().__init__(client_id, status)
        self._clouds = Clouds(self.chance)

    def values(self, now: float) -> Values:
        """Return the next values; by night it is off."""
        watts = 420 * daylight(now) * self._clouds.step()
        volts = wave(now, 13.1, 14.2, 900)
        on = watts > 2
        return {
            "s": {
                "Pv/V": round(20 + watts / 30 if on else 0.0, 1),
                "Yield/Power": round(watts),
                "Dc/0/Voltage": round(volts, 2),
                "Dc/0/Current": round(watts / volts, 1),
                "State": (BULK if volts < 13.9 else FLOAT) if on else 0,
                "MppOperationMode": 2 if on else 0,
            }
        }


class Switched(Device):
    """Something with ``/Mode`` that the GX can switch: it does as it is told."""

    kind = ""
    on, off = 1, 4

    def __init__(self, client_id: str, name: str) -> None:
        status = {
            "notify": True,
            "services": {"s": self.kind},
            "options": {"s": {"name": name}},
        }
        super().__init__(client_id, status)
        self.mode = self.on

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Take a mode over."""
        if path == "Mode" and value is not None:
            self.mode = int(value)
        return super().obey(service, path, value)

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self.mode != self.off


class Inverter(Switched):
    """A plain inverter, no charger."""

    kind = "inverter"
    on = 2

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Inverter")

    def values(self, now: float) -> Values:
        """Return the next values."""
        watts = wave(now, 90, 640, 240) if self.runs else 0.0
        volts = wave(now, 12.4, 13.2, 700)
        return {
            "s": {
                "Dc/0/Voltage": round(volts, 2),
                "Dc/0/Current": round(-watts / volts / 0.9, 1),
                "Dc/0/Power": round(-watts / 0.9),
                "Ac/Out/L1/V": 230 if self.runs else 0,
                "Ac/Out/L1/I": round(watts / 230, 2),
                "Ac/Out/L1/P": round(watts),
                "Ac/Out/L1/F": 50 if self.runs else 0,
                "Mode": self.mode,
                "State": 9 if self.runs else 0,
            }
        }


class ShoreCharger(Switched):
    """A battery charger on shore power."""

    kind = "charger"

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Shore charger")

    def values(self, now: float) -> Values:
        """Return the next values."""
        amps = wave(now, 3, 24, 900) if self.runs else 0.0
        volts = wave(now, 13.0, 14.3, 900)
        return {
            "s": {
                "Dc/0/Voltage": round(volts, 2),
                "Dc/0/Current": round(amps, 1),
                "Ac/In/L1/P": round(volts * amps / 0.88),
                "Ac/In/L1/I": round(volts * amps / 0.88 / 230, 2),
                "Mode": self.mode,
                "State": 0 if not self.runs else FLOAT if amps < 8 else BULK,
            }
        }


class DcDc(Switched):
    """A converter from the starter battery to the house battery."""

    kind = "dcdc"

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Charge converter")

    def values(self, now: float) -> Values:
        """Return the next values."""
        amps = wave(now, 0, 18, 300) if self.runs else 0.0
        return {
            "s": {
                "Dc/0/Voltage": round(wave(now, 13.2, 14.1, 500), 2),
                "Dc/0/Current": round(amps, 1),
                "Dc/0/Power": round(amps * 13.8),
                "Dc/In/V": round(wave(now, 12.6, 14.4, 500), 2),
                "Dc/In/I": round(amps * 1.1, 1),
                "Dc/In/P": round(amps * 13.8 * 1.1),
                "Mode": self.mode,
                "State": (BULK if amps > 2 else FLOAT) if self.runs else 0,
            }
        }


class DcGenset(Device):
    """A DC generator that obeys the GX's start and stop."""

    def __init__(self, client_id: str) -> None:
        options = {"g": {"name": "DC generator", "energy": True}}
        super().__init__(
            client_id, {"notify": True, "services": {"g": "dcgenset"}, "options": options}
        )
        self._motor = Motor()

    def values(self, now: float) -> Values:
        """Return the next values."""
        code = self._motor.step(now)
        amps = wave(now, 60, 75, 60) if code == RUNNING else 0.0
        found = {
            "Dc/0/Voltage": round(52.8 if code == RUNNING else 51.2, 1),
            "Dc/0/Current": round(amps, 1),
            "Dc/0/Power": round(amps * 52.8),
            "State": int(code == RUNNING),
        }
        return {"g": {**found, **self._motor.rows()}}

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Start or stop when the GX says so."""
        if path == "Start":
            self._motor.wanted = value == 1
        return super().obey(service, path, value)


class Plain(Device):
    """A device of one type that only tells numbers."""

    def __init__(self, client_id: str, kind: str, options: dict[str, Any], curve: Curve) -> None:
        super().__init__(client_id, {"services": {"s": kind}, "options": {"s": options}})
        self._curve = curve

    def values(self, now: float) -> Values:
        """Return what the curve says now."""
        return {"s": self._curve(now)}


def _dc(volts: float, amps: float, **more: Any) -> dict[str, Any]:
    found = {
        "Dc/0/Voltage": round(volts, 2),
        "Dc/0/Current": round(amps, 2),
        "Dc/0/Power": round(volts * amps, 1),
    }
    return {**found, **more}


def _dcload(now: float) -> dict[str, Any]:
    return _dc(wave(now, 12.5, 13.3, 600), 4.2 if now % 180 < 60 else 0.1)


def _dcsource(now: float) -> dict[str, Any]:
    return _dc(wave(now, 12.8, 13.9, 300), wave(now, 0, 22, 110))


def _dcsystem(now: float) -> dict[str, Any]:
    return _dc(wave(now, 12.5, 13.3, 600), wave(now, 2, 9, 240))


def _alternator(now: float) -> dict[str, Any]:
    rpm = round(wave(now, 900, 2600, 180))
    amps = rpm / 40
    more = {"State": BULK, "Speed": round(rpm * 2.4), "FieldDrive": round(rpm / 30)}
    return _dc(wave(now, 13.6, 14.4, 300), amps, **more, **{"Engine/Speed": rpm})


def _vebus(now: float) -> dict[str, Any]:
    drawn = round(wave(now, 200, 1800, 300))
    return {
        "State": BULK,
        "Mode": 3,
        "Ac/ActiveIn/ActiveInput": 0,
        "Ac/ActiveIn/Connected": 1,
        "Ac/ActiveIn/L1/P": drawn + 300,
        "Ac/ActiveIn/L1/V": round(wave(now, 227, 233, 100), 1),
        "Ac/ActiveIn/P": drawn + 300,
        "Ac/Out/L1/P": drawn,
        "Ac/Out/L1/V": 230,
        "Ac/Out/P": drawn,
        "Dc/0/Voltage": round(wave(now, 52, 54, 900), 2),
        "Dc/0/Current": 5.5,
        "Dc/0/Power": 290,
        "Soc": round(wave(now, 40, 90, 3600), 1),
    }


def _plain(kind: str, name: str, curve: Curve, **options: Any) -> Callable[[str], Device]:
    return lambda client_id: Plain(client_id, kind, {"name": name, **options}, curve)


KINDS = {
    "bms": Bms,
    "solar": Solar,
    "inverter": Inverter,
    "charger": ShoreCharger,
    "dc-dc": DcDc,
    "dc-genset": DcGenset,
    "dc-load": _plain("dcload", "Fridge pump", _dcload, energy=True),
    "dc-source": _plain(
        "dcsource", "Wind", _dcsource, energy=True, defaults={"Settings/MonitorMode": -8}
    ),
    "dc-system": _plain("dcsystem", "Lights", _dcsystem, energy=True),
    "alternator": _plain("alternator", "Alternator", _alternator),
    "multi": _plain("vebus", "Inverter/charger", _vebus),
}
