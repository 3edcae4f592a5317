"""Firmwares that do it another way: wills of their own, texts for numbers, no clock, no manners."""

from __future__ import annotations

from .curves import wave
from .device import Device, Habits, Values


class Thermometer(Device):
    """A thermometer that differs from others in its habits only."""

    def __init__(self, client_id: str, name: str, habits: Habits) -> None:
        options = {"t": {"name": name}}
        status = {"services": {"t": "temperature"}, "options": options}
        super().__init__(client_id, status, habits)

    def values(self, now: float) -> Values:
        """Return the next temperature."""
        return {"t": {"Temperature": round(wave(now, 12.0, 19.0, 300), 2)}}


class Shelly(Thermometer):
    """Has its maker's will, retained and on its own topic, and repeats nothing."""

    def __init__(self, client_id: str) -> None:
        topic = f"shellies/{client_id}/online"
        super().__init__(client_id, "Shelly", Habits(repeat=1e9, foreign_will=topic))
        self.status.update(lwt_topic=topic, lwt_value="false")


class Tasmota(Thermometer):
    """Says numbers as texts, by Proxy, every ten seconds."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Tasmota", Habits(as_texts=True, interval=10.0))


class Retained(Thermometer):
    """Has its Status retained, and writes to the topics itself."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Retained", Habits(retained=True, by_proxy=False))


class Silent(Thermometer):
    """Has no will: when its power goes, only its ttl tells."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "No will", Habits(will=False))
        self.status["ttl"] = 180


class Rebooting(Thermometer):
    """Restarts every half minute."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Loose contact", Habits(reboot=30.0))


class Clockless(Device):
    """A car's dongle that does not know the time: what it says of it is from 1970."""

    def __init__(self, client_id: str) -> None:
        status = {"services": {"e": "ev"}, "options": {"e": {"name": "Dongle"}}}
        super().__init__(client_id, status)

    def values(self, now: float) -> Values:
        """Return values with the time since the dongle has power."""
        return {"e": {"Soc": round(wave(now, 50, 52, 600), 1), "LastUpdated/EvContact": int(now)}}


class Changing(Device):
    """Another firmware at each repeat: now it has a tank too, now a wall box where the tank was."""

    LISTS: tuple[dict[str, str], ...] = (
        {"t": "temperature"},
        {"t": "temperature", "x": "tank"},
        {"t": "temperature", "x": "evcharger"},
        {},
    )

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, {"services": dict(self.LISTS[0])}, Habits(repeat=20.0))
        self._turn = 0

    def register(self) -> None:
        """Register with the next list."""
        self.status["services"] = dict(self.LISTS[self._turn % len(self.LISTS)])
        self.status["version"] = f"v{self._turn}"
        self._turn += 1
        super().register()

    def values(self, now: float) -> Values:
        """Return the next temperature."""
        return {"t": {"Temperature": round(wave(now, 12.0, 19.0, 300), 2)}}


class WrongIds(Thermometer):
    """Registers with ids that the protocol forbids, by turns with one that is fine."""

    IDS = ("{id}", "{id} x", "{id}-1", "ü{id}", "")

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, "Wrong ids", Habits(repeat=10.0))
        self._turn = 0

    def register(self) -> None:
        """Register with the next id."""
        word = self.IDS[self._turn % len(self.IDS)]
        self.status["clientId"] = word.replace("{id}", self.client_id)
        self._turn += 1
        super().register()


class Namesake(Device):
    """Its ids join to the name of ``sim_boat``'s fridge: it must be refused, not mixed up."""

    def __init__(self, client_id: str) -> None:
        del client_id
        super().__init__("sim", {"services": {"boat_fridge": "temperature"}})

    def values(self, now: float) -> Values:
        """Return a temperature that nobody may see."""
        return {"boat_fridge": {"Temperature": 99.0 + now * 0}}


class Many(Device):
    """Has 64 services, as many as the driver takes."""

    def __init__(self, client_id: str) -> None:
        super().__init__(client_id, {"services": {f"s{n}": "temperature" for n in range(64)}})

    def values(self, now: float) -> Values:
        """Return the next value of one of them."""
        return {f"s{int(now) % 64}": {"Temperature": round(wave(now, 10, 30, 400), 1)}}


KINDS = {
    "shelly": Shelly,
    "tasmota": Tasmota,
    "retained": Retained,
    "silent": Silent,
    "rebooting": Rebooting,
    "clockless": Clockless,
    "changing": Changing,
    "wrong-ids": WrongIds,
    "namesake": Namesake,
    "many": Many,
}
