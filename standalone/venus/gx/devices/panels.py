"""What the GX operates: a heater's panel, four switches, and every control there is."""

from __future__ import annotations

from typing import Any

from .curves import wave
from .device import Device, Values

OUTPUT = "SwitchableOutput"


class Panel(Device):
    """A cabin: a light, a heater's set point and its energy; it does what the GX says."""

    def __init__(self, client_id: str) -> None:
        outputs: list[dict[str, Any]] = [
            {"id": "light", "type": "dimmable", "name": "Light", "value": 40},
            {
                "id": "target",
                "type": "setpoint",
                "name": "Heating",
                "min": 5,
                "max": 30,
                "value": 20,
            },
            {
                "id": "mode",
                "type": "dropdown",
                "name": "Energy",
                "labels": ["Gas", "Mix", "Electric"],
            },
        ]
        for output in outputs:
            output.update(group="Salon", custom_name=output["name"])
        super().__init__(
            client_id,
            {
                "notify": True,
                "services": {"ctl": "switch"},
                "options": {"ctl": {"name": "Panel", "auto_status": True, "outputs": outputs}},
            },
        )
        self._target = 20.0
        self._room = 16.0

    def values(self, now: float) -> Values:
        """Return the room's temperature, which follows the set point."""
        del now
        self._room += (self._target - self._room) * 0.02
        return {"ctl": {f"{OUTPUT}/target/Measurement": round(self._room, 1)}}

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Take a set point over; everything else is done as it was said."""
        if path == f"{OUTPUT}/target/Dimming" and value is not None:
            self._target = float(value)
        return super().obey(service, path, value)


class Relays(Device):
    """Four relays; the last one is stuck and says so instead of doing what it is told."""

    def __init__(self, client_id: str) -> None:
        names = ("Navigation lights", "Anchor light", "Water pump", "Spare")
        outputs: list[dict[str, Any]] = [
            {"id": f"r{n}", "name": name} for n, name in enumerate(names, 1)
        ]
        outputs[0].update(state=1, status=9)
        super().__init__(
            client_id,
            {
                "notify": True,
                "services": {"sw": "switch"},
                "options": {"sw": {"name": "Relays", "outputs": outputs}},
            },
        )
        self.on = {f"r{n}": n == 1 for n in range(1, 5)}

    def values(self, now: float) -> Values:
        """Return nothing: relays do not change by themselves."""
        del now
        return {}

    def obey(self, service: str, path: str, value: Any) -> dict[str, Any]:
        """Switch, and say what the relay does: 9 is on, 8 is an output fault."""
        if not path.endswith("/State"):
            return super().obey(service, path, value)
        relay = path.split("/")[1]
        if relay == "r4":
            return {path: 0, f"{OUTPUT}/{relay}/Status": 8}
        self.on[relay] = value == 1
        return {path: int(value == 1), f"{OUTPUT}/{relay}/Status": 9 if value == 1 else 0}


class Everything(Device):
    """Every control and every input that the GX's screen knows, one of each."""

    def __init__(self, client_id: str) -> None:
        outputs: list[dict[str, Any]] = [
            {"id": "horn", "type": "momentary", "name": "Horn"},
            {"id": "pump", "type": "toggle", "name": "Pump", "state": 1, "current": True},
            {"id": "light", "type": "dimmable", "name": "Light", "value": 60, "state": 1},
            {
                "id": "room",
                "type": "setpoint",
                "name": "Room",
                "min": 5,
                "max": 30,
                "step": 0.5,
                "value": 21.5,
            },
            {"id": "fan", "type": "stepped", "name": "Fan", "max": 4, "value": 2, "state": 1},
            {"id": "mode", "type": "dropdown", "name": "Mode", "labels": ["Eco", "Comfort"]},
            {
                "id": "speed",
                "type": "slider",
                "name": "Circulation",
                "min": 0,
                "max": 12,
                "unit": "l/min",
                "value": 4,
            },
            {"id": "delay", "type": "number", "name": "Delay", "max": 60, "unit": "s", "value": 5},
            {"id": "boiler", "type": "three_state", "name": "Boiler", "auto": 1},
            {"id": "bilge", "type": "bilge_pump", "name": "Bilge pump"},
            {"id": "rgb", "type": "rgb", "name": "Mood", "light": [210, 80, 70, 0, 0], "state": 1},
            {"id": "cct", "type": "cct", "name": "Reading", "light": [0, 0, 50, 0, 2700]},
            {"id": "rgbw", "type": "rgbw", "name": "Deck", "light": [30, 90, 40, 20, 0]},
        ]
        inputs: list[dict[str, Any]] = [
            {"id": "door", "type": "discrete", "name": "Door", "labels": ["/closed", "/open"]},
            {"id": "flow", "type": "value", "name": "Flow", "unit": "l/min", "decimals": 1},
            {"id": "load", "type": "range", "name": "Load", "unit": "%"},
            {"id": "oil", "type": "temperature", "name": "Oil", "min": 0, "max": 120},
        ]
        super().__init__(
            client_id,
            {
                "notify": True,
                "services": {"all": "switch"},
                "options": {
                    "all": {
                        "name": "Every control",
                        "auto_status": True,
                        "outputs": outputs,
                        "inputs": inputs,
                    }
                },
            },
        )

    def values(self, now: float) -> Values:
        """Return the next values of the inputs and of what is measured."""
        return {
            "all": {
                f"{OUTPUT}/room/Measurement": round(wave(now, 19, 22, 500), 1),
                f"{OUTPUT}/pump/Current": round(wave(now, 2.8, 3.4, 30), 2),
                "GenericInput/door/Value": int(now % 60 > 50),
                "GenericInput/flow/Value": round(wave(now, 2, 6, 80), 1),
                "GenericInput/load/Value": round(wave(now, 10, 85, 110)),
                "GenericInput/oil/Value": round(wave(now, 35, 88, 900), 1),
            }
        }


KINDS = {"panel": Panel, "relays": Relays, "everything": Everything}
