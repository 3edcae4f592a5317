"""What inetbox2mqtt said and heard by MQTT, as a dialect of the bridge (spec truma g.6).

Every ten seconds what has changed; what is set is shown at once, and taken back when the panel
refuses it or shows something else after 30 s (spec bridge d.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...bridge.sink import Hub, LinkView
from ..inetbox.dialect import InetboxDialect
from ..inetbox.mqtt import INETBOX2MQTT_EVERY, REPEAT_ALIVE
from ..inetbox.texts import Dialect

COLLECT_FOR = 1.0
"""Seconds for which set messages wait for company: pairs must arrive together."""


class Inetbox2MqttDialect(InetboxDialect):
    """One inetbox2mqtt."""

    name = "inetbox2mqtt"
    program = Dialect.INETBOX2MQTT

    def data_topic(self) -> str:
        """Return what all topics begin with."""
        return f"service/{self.settings.get('topic', 'truma')}/"

    def collect_for(self) -> float:
        """Return for how many seconds set messages wait for company."""
        return COLLECT_FOR

    def repeat_values(self) -> float | None:
        """Values are said when they change, and then only."""
        return None

    def values_every(self) -> float:
        """Return how often values are looked at."""
        return INETBOX2MQTT_EVERY

    @property
    def alive(self) -> bool:
        """Whether the panel talks to us (spec c.5): the program may live without it."""
        return self.link.snapshot.connected

    def online_every(self) -> float:
        """Return how often the life sign is repeated."""
        return REPEAT_ALIVE


def make(settings: Mapping[str, Any], link: LinkView, hub: Hub, sink: str) -> Inetbox2MqttDialect:
    """Return the dialect of one legacy entry."""
    return Inetbox2MqttDialect(settings, link, hub, sink)
