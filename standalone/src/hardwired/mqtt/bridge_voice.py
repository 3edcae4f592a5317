"""What is said of the bridge itself and of its links: who we are, how they are (spec c.1)."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from hardwired_engines.engine import Snapshot
from hardwired_engines.plain import plain

from ..bridge.sink import Hub, LinkView, Publication, StandingNotice, Traffic
from .announcement import Announced, Announcement, announce, compact
from .bridge_device import CONNECTED, BridgeDevice
from .components import Place
from .native_device import Manner
from .texts import names
from .values import OFF, ON

PROTOCOL = 1
LINK_LEAVES = ("connected", "reason", "problem", "notices")
"""What is said of a link."""


class BridgeVoice:
    """The bridge under the prefix of one MQTT sink, whose name is *sink*."""

    def __init__(self, sink: str, manner: Manner, hub: Hub, *, requests: bool) -> None:
        self._sink = sink
        self._manner = manner
        self._hub = hub
        self._requests = requests
        self._topics = manner.topics
        id_ = hub.settings.get("id", "hardwired")
        self._device = BridgeDevice(
            id=id_,
            name=hub.settings.get("name", "Hardwired"),
            version=hub.version,
            links={},
            sinks=(),
            read_only=manner.read_only,
            requests=requests,
            texts=names("bridge", "bridge", manner.language),
        )

    @property
    def ident(self) -> str:
        """The identifier of its device in Home Assistant."""
        return self._device.ident

    def state(self, text: str) -> Publication:
        """Return whether it is there."""
        return _other(self._topics.state, text)

    def info(self, links: Iterable[str]) -> Publication:
        """Return who we are; no hosts, users, paths."""
        hub = self._hub
        told = {
            "version": hub.version,
            "protocol": PROTOCOL,
            "id": hub.settings.get("id", "hardwired"),
            "instance": hub.instance,
            "started": hub.started.isoformat(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "links": list(links),
            "sinks": [{"name": name, "type": sink.type} for name, sink in hub.sinks.items()],
            "read_only": self._manner.read_only,
            "language": self._manner.language,
        }
        return self._told("info", told)

    def devices(self, rows: Sequence[object]) -> Publication:
        """Return the list of devices."""
        return self._told("devices", rows)

    def announcement(self, links: Iterable[str], announced: Announced) -> Announcement:
        """Return what makes the bridge's own device in Home Assistant."""
        hub = self._hub
        own = BridgeDevice(
            id=self._device.id,
            name=self._device.name,
            version=self._device.version,
            links={name: "fast" in hub.links[name].factory.requests for name in links},
            sinks=[name for name, sink in hub.sinks.items() if sink.type == "influxdb"],
            read_only=self._device.read_only,
            requests=self._device.requests,
            texts=self._device.texts,
        )
        place = Place(own.ident, "bridge", "bridge", self._topics)
        return announce(
            place,
            own.head(self._topics),
            own.components(self._topics),
            announced,
            self._manner.max_payload,
        )

    def link(
        self, view: LinkView, snapshot: Snapshot, doubles: Iterable[StandingNotice]
    ) -> list[Publication]:
        """Return how a link is; *doubles* tell of devices that another link shows already."""
        reason = CONNECTED
        if not snapshot.connected:
            reason = "starting" if snapshot.reason is None else snapshot.reason.value
        standing = sorted((*view.notices, *doubles), key=lambda one: one.since)
        notices = [_notice(one) for one in standing]
        told = (
            ON if snapshot.connected else OFF,
            reason,
            ON if notices else OFF,
            compact({"notices": notices}),
        )
        return [
            _other(self._topics.link(view.name, leaf), payload)
            for leaf, payload in zip(LINK_LEAVES, told, strict=True)
        ]

    def sink_topic(self, name: str) -> str:
        """Return where it is said how a sink is."""
        return self._topics.bridge(f"sinks/{name}")

    def looks(self) -> list[Publication]:
        """Return what nobody tells us of when it changes: the log level, the sinks."""
        found = [_other(self._topics.bridge("log_level"), self._hub.log_level)]
        for name, sink in self._hub.sinks.items():
            health = sink.health
            told = {
                "state": health.state.value,
                "why": None if health.why is None else self._hub.mask(health.why),
                "since": plain(health.since),
                "waiting": health.waiting,
                "dropped": health.dropped,
                "oldest": plain(health.oldest),
            }
            if name == self._sink:
                # Of ourselves only what does not change by being said.
                told |= {"waiting": 0}
            found.append(_other(self.sink_topic(name), compact(told)))
        return found

    def health(self) -> Publication:
        """Return the bridge's health."""
        health = compact(self._hub.health())
        return Publication(self._topics.bridge("health"), health, traffic=Traffic.HEALTH)

    def _told(self, leaf: str, value: object) -> Publication:
        return _other(self._topics.bridge(leaf), compact(value))


def _other(topic: str, payload: str) -> Publication:
    return Publication(topic, payload, retain=True, qos=1, traffic=Traffic.OTHER)


def _notice(standing: StandingNotice) -> dict[str, object]:
    return {
        "key": standing.notice.key,
        "severity": standing.notice.severity.value,
        "device": standing.notice.device,
        "text": standing.text,
        "since": standing.since.isoformat(),
        "placeholders": dict(standing.notice.placeholders),
    }
