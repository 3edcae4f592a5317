"""What InventumUSB said and heard by MQTT, as a dialect of the bridge (spec inventum g.2, g.3).

It eats the logger's rows as they were printed. New beside the old topics: ``TOPIC/status``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from hardwired_engines.engine import Command, Occurrence, Snapshot, Unit
from hardwired_engines.fields import Value

from ...bridge.sink import (
    Action,
    Hub,
    LinkView,
    Moment,
    Outcome,
    Publication,
    Request,
    Traffic,
    Verb,
    Wish,
)
from ..legacy import LegacyDialect

_LOGGER = logging.getLogger(__name__)

KIND = "ecolution"
_SHOWN_PAYLOAD = 40


class Word(StrEnum):
    """What a command asks for."""

    HIGH = "high"
    AUTO = "auto"
    RESUME = "resume"
    PAUSE = "pause"
    QUIT = "quit"


WORDS: Mapping[bytes, Word] = {
    b"FAN=1": Word.HIGH,
    b"FAN=0": Word.AUTO,
    b"DATA=1": Word.RESUME,
    b"DATA=0": Word.PAUSE,
    b"QUIT": Word.QUIT,
    # The words until 2019-08.
    b"FAN_HIGH": Word.HIGH,
    b"FAN_AUTO": Word.AUTO,
    b"DATA_START": Word.RESUME,
    b"DATA_STOP": Word.PAUSE,
    b"KILL": Word.QUIT,
}
"""Every command, compared exactly."""

_VALUES: Mapping[Word, Mapping[str, Value]] = {
    Word.HIGH: {"boost": True},
    Word.AUTO: {"boost": False},
    Word.RESUME: {"data_logger": True},
    Word.PAUSE: {"data_logger": False},
}


def data_of(row: Unit) -> str:
    """Return a row as the old program published it: ASCII, texts exactly as printed."""
    return json.dumps(dict(row.values), ensure_ascii=True)


class InventumUsbDialect(LegacyDialect):
    """One InventumUSB."""

    name = "inventumusb"

    @property
    def discovery(self) -> bool:
        """It has none."""
        return False

    def _topic(self, name: str) -> str:
        return f"{self.settings.get('topic', 'ventilation/inventum')}/{name}"

    @property
    def subscriptions(self) -> Sequence[tuple[str, int]]:
        """The commands, as the old program subscribed to them."""
        return [(topic, 0) for topic in self.command_topics()] if not self.read_only else []

    def command_topics(self) -> Iterable[str]:
        """Return the one topic of commands."""
        return (self._topic("commands"),)

    @property
    def will(self) -> Publication | None:
        """Say that nobody is there."""
        return self._status("offline")

    def _status(self, text: str) -> Publication:
        return Publication(self._topic("status"), text, True, 0, Traffic.OTHER)

    def connected(self, links: Mapping[str, Snapshot], now: Moment) -> list[Action]:
        """Say that somebody is there."""
        self.online = True
        return [self._status("online")]

    def occurrence(self, link: str, occurrence: Occurrence, now: Moment) -> list[Action]:
        """Publish a row of the data logger."""
        match occurrence:
            case Unit(name="row") if link == self.link.name and self.online:
                return [
                    Publication(self._topic("data"), data_of(occurrence), traffic=Traffic.EVENT)
                ]
        return []

    def receive(self, topic: str, payload: bytes, retained: bool, now: Moment) -> list[Action]:
        """Take a command; a retained one is ignored, and said."""
        if retained and topic in self.command_topics():
            _LOGGER.warning("%s: a retained command on %s is ignored", self.link.name, topic)
        return super().receive(topic, payload, retained, now)

    def heard(self, topic: str, payload: bytes, now: Moment) -> list[Action]:
        """Take a command."""
        word = WORDS.get(payload)
        if topic not in self.command_topics():
            return []
        match word:
            case None:
                shown = payload[:_SHOWN_PAYLOAD].decode("ascii", "backslashreplace")
                _LOGGER.error("%s: there is no command %r", self.link.name, shown)
                return []
            case Word.QUIT:
                if not self.settings.get("allow_quit", True):
                    _LOGGER.error("%s: QUIT is not allowed (allow_quit)", self.link.name)
                    return []
                # Beside other links only this one is begun anew.
                alone = len(self.hub.links) <= 1
                verb = Verb.STOP if alone else Verb.RESTART
                return [Request(verb=verb, link=self.link.name)]
        state = self.state_of(KIND)
        device = KIND if state is None else state.device.id
        command = Command(device, _VALUES[word])
        return [Wish(link=self.link.name, command=command, alone=True, ticket=word.value)]

    def answered(self, wish: Wish | Request, outcome: Outcome, now: Moment) -> list[Action]:
        """The old program never answered: what was not carried out stands in the log."""
        if not outcome.ok:
            what = wish.ticket if isinstance(wish, Wish) else wish.verb.value
            _LOGGER.error("%s: %s failed: %s", self.link.name, what, outcome.text)
        return []


def make(settings: Mapping[str, object], link: LinkView, hub: Hub, sink: str) -> InventumUsbDialect:
    """Return the dialect of one legacy entry."""
    return InventumUsbDialect(settings, link, hub, sink)
