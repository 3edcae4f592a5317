"""The GX behind the broker: which one it is, its driver, and who is registered there (spec H.5).

A state machine without a clock of its own, like :mod:`.exporter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import protocol
from .exporter import Exporter
from .home import Home
from .protocol import Helper, Message, Offline

HELPER_WAIT = 3.0
"""Seconds that the driver's status is waited for before it is taken for the reference."""
SERIAL_WAIT = 5.0
HELPER_GONE = 60.0
KEEP_ALIVE = 30.0
START_AT_LATEST = 120.0


@dataclass(slots=True)
class ByHand:
    """A device that an action has registered."""

    status: Mapping[str, Any]
    reply: protocol.Reply | None = None


class Gx:
    """The GX as one entry sees it."""

    def __init__(self, portal: str | None, exporters: dict[str, Exporter], now: float) -> None:
        self.expected = portal
        self.portal: str | None = None
        self.other: str | None = None
        self.helper: Helper | None = None
        self.exporters = exporters
        self.trials: dict[str, float] = {}  # key of an exporter -> when it is withdrawn
        self.by_hand: dict[str, ByHand] = {}
        self.actions: list[Message] = []
        self.discoveries = 0
        self._linked: set[str] = set()
        self._connected_at: float | None = None
        self._offline = False
        self._missing_since: float | None = None
        self._settled = False
        self._asked_at: float | None = None
        self._kept_at = now
        self._start_at: float | None = now + START_AT_LATEST
        self._home: Home | None = None

    # -------------------------------------------------------------------------------- state

    @property
    def offered(self) -> Mapping[str, Exporter]:
        """The exports of the owner, without what is only tried out."""
        return {key: one for key, one in self.exporters.items() if key not in self.trials}

    @property
    def connected(self) -> bool:
        """Whether the broker is there and belongs to the GX that is meant."""
        return self._connected_at is not None and self.portal is not None and self.other is None

    @property
    def helper_online(self) -> bool:
        """Whether the driver says that it runs, or has answered."""
        if not self.connected or self._offline:
            return False
        return self.helper is not None or any(
            one.reply is not None for one in self.exporters.values()
        )

    @property
    def waiting_for_serial(self) -> bool:
        """Whether the broker has not yet said whose it is."""
        return self._connected_at is not None and self.portal is None and self.other is None

    def helper_missing(self, now: float) -> bool:
        """Whether the driver has been away for so long that the owner must act."""
        if not self.connected or self._missing_since is None or self.helper_online:
            return False
        return now - self._missing_since >= HELPER_GONE

    @property
    def helper_old(self) -> bool:
        """Whether the driver knows less than what controls need."""
        if not self.connected or self._offline:
            return False
        if self.helper is not None:
            return not self.helper.sufficient
        return any(
            one.reply is not None and not one.reply.extensions for one in self.exporters.values()
        )

    def due(self, now: float) -> float | None:
        """When :meth:`tick` has something to do."""
        moments = [*(one.due for one in self.exporters.values()), *self.trials.values()]
        if self._start_at is not None:
            moments.append(self._start_at)
        if self._connected_at is not None:
            if not self._settled:
                moments.append(self._connected_at + HELPER_WAIT)
            if self.portal is None and self.expected is not None:
                moments.append((self._asked_at or self._connected_at) + SERIAL_WAIT)
            if self._missing_since is not None and not self.helper_missing(now):
                moments.append(self._missing_since + HELPER_GONE)
            if self._watching():
                moments.append(self._kept_at + KEEP_ALIVE)
        return min((one for one in moments if one is not None), default=None)

    # ------------------------------------------------------------------------------ the link

    def connect(self, now: float) -> None:
        """The broker is there and has taken the subscriptions."""
        self._connected_at, self._asked_at = now, None
        self.portal = self.other = self.helper = None
        self._offline = self._settled = False
        self._missing_since = now

    def lose(self) -> None:
        """The broker is gone."""
        self._connected_at = None
        self.portal = self.helper = None
        self._missing_since = None
        self._linked.clear()
        self._all_absent()

    def link(self, key: str, now: float) -> None:
        """An export's own connection stands."""
        self._linked.add(key)
        if self._registrable:
            self._present(key, now)

    def unlink(self, key: str) -> None:
        """An export's own connection is lost."""
        self._linked.discard(key)
        if (exporter := self.exporters.get(key)) is not None:
            exporter.absent()

    def receive(self, topic: str, payload: bytes, now: float) -> None:
        """Take a message of the connection that watches the GX."""
        if topic == protocol.HELPER_TOPIC:
            self._helper_told(payload, now)
        elif topic == protocol.DISCOVERY_TOPIC:
            self.discoveries += 1
            self._register_all(now)
        elif (portal := protocol.read_serial(topic, payload)) is not None:
            self._portal_told(portal, now)

    def receive_export(self, key: str, topic: str, payload: bytes, now: float) -> None:
        """Take a message of an export's connection."""
        exporter = self.exporters.get(key)
        if exporter is None:
            return
        client_id = exporter.config.client_id
        if topic == protocol.reply_topic(client_id):
            exporter.replied(payload, now)
            if exporter.registered:
                self._missing_since = None
        elif topic == protocol.set_topic(client_id):
            if (setting := protocol.read_set(payload)) is not None:
                exporter.set(setting, now)
        elif topic == protocol.error_topic(client_id):
            exporter.errored(payload, now)
        else:
            exporter.notified(topic, payload, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._start_at is not None and now >= self._start_at:
            self.start(now)
        if self._connected_at is not None:
            self._tick_connected(now)
        for exporter in self.exporters.values():
            exporter.tick(now)

    def _tick_connected(self, now: float) -> None:
        assert self._connected_at is not None
        if not self._settled and now >= self._connected_at + HELPER_WAIT:
            self._settle(now)
        asked = self._asked_at or self._connected_at
        if self.portal is None and self.expected is not None and now >= asked + SERIAL_WAIT:
            self._asked_at = now
            self.actions.append(Message(f"R/{self.expected}/system/0/Serial", b""))
        if self._watching() and now >= self._kept_at + KEEP_ALIVE and self.portal is not None:
            self._kept_at = now
            self.actions.append(protocol.keep_alive(self.portal, quiet=True))

    # -------------------------------------------------------------------------- Home Assistant

    def start(self, now: float) -> None:
        """Home Assistant has started."""
        self._start_at = None
        for exporter in self.exporters.values():
            exporter.start(now)

    def home(self, home: Home, changed: frozenset[str] | None, now: float) -> None:
        """Entities have changed; ``None``: perhaps all."""
        self._home = home
        for exporter in self.exporters.values():
            if changed is None or not changed.isdisjoint(exporter.config.every_entity()):
                exporter.home(home, now)

    def add(self, key: str, exporter: Exporter, now: float) -> None:
        """Take on another export."""
        self.exporters[key] = exporter
        if self._home is not None:
            exporter.home(self._home, now)
        if self._start_at is None:
            exporter.start(now)

    @property
    def takes_trials(self) -> bool:
        """Whether an export would be registered at once."""
        return self._registrable and self._start_at is None

    def trial_of(self, client_id: str) -> str | None:
        """Return the key of what is tried out under a client id."""
        for key in self.trials:
            if self.exporters[key].config.client_id == client_id:
                return key
        return None

    def adopt(self, trial: str, key: str) -> None:
        """Make what was tried out an export; on the GX nothing changes."""
        del self.trials[trial]
        exporter = self.exporters[key] = self.exporters.pop(trial)
        exporter.key = key
        if trial in self._linked:
            self._linked.discard(trial)
            self._linked.add(key)

    # ------------------------------------------------------------------------------- inside

    @property
    def _registrable(self) -> bool:
        return self.connected and self._settled and not self._offline

    def _watching(self) -> bool:
        return any(one.watched is not None for one in self.exporters.values())

    def _portal_told(self, portal: str, now: float) -> None:
        if self._connected_at is None:
            return
        if self.expected is not None and portal != self.expected:
            if self.portal is None:
                self.other = portal
                self._all_absent()
            return
        before, self.portal, self.other = self.portal, portal, None
        if before is None and (self.helper is not None or self._settled):
            self._settle(now)

    def _helper_told(self, payload: bytes, now: float) -> None:
        told = protocol.read_helper(payload)
        if told is None or self._connected_at is None:
            return
        if isinstance(told, Offline):
            self._offline, self.helper = True, None
            self._missing_since = now
            self._all_absent()
            return
        before, self.helper = self.helper, told
        was_offline, self._offline = self._offline, False
        self._missing_since = None
        known = (
            before is not None
            and before.same_run(told)
            and (before.types, before.features) == (told.types, told.features)
        )
        if was_offline or not known or not self._settled:
            self._settle(now)

    def _settle(self, now: float) -> None:
        """It is known, as well as it will be, which driver is there."""
        self._settled = True
        self._register_all(now)

    def _register_all(self, now: float) -> None:
        if not self._registrable:
            return
        for key in sorted(self._linked):
            self._present(key, now)
        for device in self.by_hand.values():
            device.reply = None
            self.actions.append(protocol.status(device.status))

    def _present(self, key: str, now: float) -> None:
        exporter = self.exporters.get(key)
        if exporter is not None and self.portal is not None:
            exporter.present(self.portal, self.helper, now)

    def _all_absent(self) -> None:
        for exporter in self.exporters.values():
            exporter.absent()

    # ----------------------------------------------------------------------------- by hand

    def replies(self) -> Iterator[str]:
        """Yield the topics of replies to devices that actions have registered."""
        for client_id in self.by_hand:
            yield protocol.reply_topic(client_id)

    def receive_by_hand(self, client_id: str, payload: bytes) -> protocol.Reply | None:
        """Take a reply to a device that an action has registered."""
        device = self.by_hand.get(client_id)
        if device is None:
            return None
        reply = protocol.read_reply(payload, device.status["services"])
        if reply is None or reply.portal != self.portal:
            return None
        device.reply = reply
        return reply
