"""Notifications of the gateway: frame flags and messages (spec b.2, c.7)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ...engine import Message
from ...fields import Value
from ..catalogue import localised
from ..scom import messages
from ..scom.errors import Remedy, remedy
from ..scom.exchange import ReplyKind
from ..scom.families import Family
from ..scom.frame import FrameFlags
from ..scom.messages import PlantMessage, Topology
from .context import SessionContext
from .membership import Membership
from .ram import Ram
from .requester import Requester
from .timers import Timers

_LOGGER = logging.getLogger(__name__)

MAX_MESSAGES = 20
READ_ATTEMPTS = 3
REPEATS = 3
"""How many messages may come twice in one reading."""
READ_AGAIN = 5.0
SEEKING = 60.0
"""Seconds for which a gateway that has started may not know all its devices yet."""
REST_AT_MOST = 300.0
"""Seconds between two readings for a flag that reading does not clear: doubled each time, to this.
"""
RECENT = timedelta(minutes=10)
"""An alarm that is older when it is read after a start is no news: no automation may act on it."""
_PENDING = int(FrameFlags.MESSAGE_PENDING)
_AGAIN = (Remedy.RETRY, Remedy.WAIT, Remedy.ABSENT)
_TOPOLOGY: Mapping[Topology, Iterable[Family]] = {
    Topology.XT_STARTED: (Family.XT,),
    Topology.XT_SYNC: (Family.XT,),
    Topology.TOO_MANY_XT: (Family.XT,),
    Topology.XT_COMM_LOSS: (Family.XT,),
    Topology.VT_SYNC: (Family.VT,),
    Topology.VT_COMM_LOSS: (Family.VT,),
    Topology.VS_SYNC: (Family.VS,),
    Topology.VS_COMM_LOSS: (Family.VS,),
    Topology.BSP_COMM_LOSS: (Family.BSP,),
    Topology.BMS_COMM_LOSS: (Family.BMS,),
    Topology.BMS_COMM_RESTORED: (Family.BMS,),
    Topology.XCOM_CAN_COMM_LOSS: (Family.BMS,),
}
"""Families whose identities have to be read again after a message; all, if it is not listed."""


class Notifications:
    """Reads the gateway's messages and watches its flags."""

    def __init__(
        self,
        context: SessionContext,
        requester: Requester,
        membership: Membership,
        ram: Ram,
        timers: Timers,
    ) -> None:
        self._timers = timers
        self._context = context
        self._requester = requester
        self._membership = membership
        self._ram = ram
        self._restarted: bool | None = None
        self._flags: int | None = None
        self._cleared = True
        """Whether the flag was seen off since the messages were read: then it tells of new ones."""
        self._repeated = False
        """Whether a message came twice, so that a newer one may have been read by another."""
        self._rest = READ_AGAIN
        self._rests_until = -math.inf
        self.due = context.settings.read_messages
        """Whether there are messages to read."""
        # While there was no link they may have come, and another master have cleared the flag.
        context.messages_unread = True

    def on_flags(self, flags: int) -> None:
        """Take the frame flags of an answer: the gateway's own state."""
        pending = flags & _PENDING != 0
        if pending:
            self._context.messages_unread = True
        else:
            self._cleared = True
        if flags == self._flags and (self.due or not pending):
            return
        if self._context.settings.read_messages:
            news = self._cleared or (pending and self._context.now >= self._rests_until)
            self.due = self.due or (pending and news)
        elif pending and not (self._flags or 0) & _PENDING:
            # The unread message may say that an Xtender has started and has another's address.
            self._membership.invalidate(self._membership.families)
        if flags == self._flags:
            return
        self._flags = flags
        restarted = bool(flags & FrameFlags.RESTARTED)
        if restarted and self._restarted is False:
            _LOGGER.warning("The gateway has restarted")
            self._membership.invalidate(self._membership.families)
        if restarted and not self._restarted:
            self._note_restart()
        self._restarted = self._context.stored.gateway_restarted = restarted
        self.show_flags()

    def _note_restart(self) -> None:
        """The gateway has started, now or while there was no link: its own RAM is lost.

        The flag stays until somebody clears it, and then tells of no other start.
        """
        self._context.denials_count_from = self._context.now + SEEKING
        if (gateway := self._context.plant.gateway) is None:
            return
        if self._restarted is False or self._context.stored.gateway_restarted is False:
            self._ram.forget(gateway)
        else:
            self._ram.doubt_all([gateway])

    def show_flags(self) -> None:
        """Publish the last flags."""
        gateway, flags = self._context.plant.gateway, self._flags
        if gateway is None or flags is None:
            return
        for key, bit in (
            ("restarted", FrameFlags.RESTARTED),
            ("sd_card_present", FrameFlags.SD_PRESENT),
            ("sd_card_full", FrameFlags.SD_FULL),
            ("new_datalog_file", FrameFlags.NEW_DATALOG_FILE),
        ):
            gateway.put(key, bool(flags & bit), math.inf)

    async def read_new(self) -> None:
        """Read and publish new messages.

        The gateway clears its flag when the newest message is asked for, even if the answer gets
        lost. Then the identities are in doubt, and the messages are read again.
        """
        self.due = self._cleared = False
        self._context.order.begin()
        complete = False
        try:
            complete = await self._read_fresh()
        finally:
            self._context.order.end(complete=complete)
        if complete:
            self._context.messages_unread = bool((self._flags or 0) & _PENDING)

    async def _read_fresh(self) -> bool:
        """Read and tell what is new; returns whether all of it could be read."""
        until = self._context.stored.last_message
        self._repeated = False
        fresh, complete, joined = await self._read(MAX_MESSAGES, until)
        rest, self._rest = self._rest, min(2 * self._rest, REST_AT_MOST)
        self._rests_until = self._context.now + rest
        if complete and self._cleared:
            self._rest = READ_AGAIN
        if not complete:
            self._membership.invalidate(self._membership.families)
            self._timers.later(rest, "messages", self._ask_again)
            return False
        if self._repeated:
            self._timers.later(rest, "messages", self._ask_again)
        starting = not self._context.messages_read
        if not joined and (until is not None or (starting and fresh)):
            # One of those that are gone may have told that a device has started.
            self._ram.doubt_all(self._context.plant.of_family(Family.XT))
        history = starting and until is None and not joined
        if not fresh and not joined:
            self._context.stored.no_messages = True
        if fresh:
            if not history:
                await self._note_starts(fresh)
            self._context.stored.last_message = fresh[0].identity
            self._context.stored.no_messages = False
            for message in reversed(fresh[:1] if history else fresh):
                self._tell(message, history=history, old=starting)
            self._context.publish(urgent=True)
        self._context.messages_read = True
        return True

    async def _note_starts(self, fresh: Iterable[PlantMessage]) -> None:
        """See to what the devices that have started have lost, before the messages count as read.

        Raises :class:`LinkError`: then they are read again over the next link.
        """
        now, newest = self._context.clock.now(), max(one.timestamp for one in fresh)
        started: dict[int, int] = {}
        for one in fresh:
            if one.meaning.topology is Topology.XT_STARTED:
                started[one.source] = max(one.timestamp, started.get(one.source, 0))
        for source, timestamp in started.items():
            at_latest = now - timedelta(seconds=newest - timestamp)
            await self._membership.note_started(Family.XT, source, at_latest)

    async def _ask_again(self) -> None:
        self.due = self._context.settings.read_messages

    async def read(self, count: int, *, urgent: bool = False) -> list[PlantMessage]:
        """Return the newest messages, newest first."""
        return (await self._read(count, None, urgent=urgent))[0]

    async def _read(
        self, count: int, until: tuple[int, int, int] | None, *, urgent: bool = False
    ) -> tuple[list[PlantMessage], bool, bool]:
        """Return messages up to *until*.

        And whether none was lost on the way, and whether they join those known: *until* was found,
        or there were none before and these are all.
        """
        found: list[PlantMessage] = []
        none_before = self._context.stored.no_messages
        attempts, repeats = READ_ATTEMPTS, REPEATS
        index = 0
        while len(found) < count:
            request = messages.read_message(index)
            reply = await self._requester.ask(request, urgent=urgent)
            if reply.error is not None and remedy(reply.error) not in _AGAIN:
                return found, True, none_before
            if reply.kind is not ReplyKind.VALUE or len(reply.data) != messages.SIZE:
                attempts -= 1
                if not attempts:
                    return found, False, False
                continue
            message = messages.decode(reply.data)
            if message.identity == until:
                return found, True, True
            if message.total == 0:
                return found, True, none_before
            index += 1
            if message.identity not in {one.identity for one in found}:
                found.append(message)
            elif repeats:
                # Twice within a second, or another master has read the newest meanwhile: all count
                # from that one then.
                repeats -= 1
                self._repeated = True
            else:
                return found, True, none_before
            if message.total <= index:
                return found, True, none_before
        return found, True, False

    def _is_news(self, moment: datetime, *, old: bool) -> bool:
        """Whether a message is to be told as an event: after a start only what is recent."""
        return not old or abs(self._context.clock.now() - moment) < RECENT

    def _tell(self, message: PlantMessage, *, history: bool, old: bool) -> None:
        gateway = self._context.plant.gateway
        assert gateway is not None
        meaning = message.meaning
        source = self._context.plant.at(message.source)
        device = self._context.plant.device(gateway)
        self._context.recent.append(message)
        gateway.put("last_message", meaning.text, math.inf)
        if meaning.topology is not None and not history:
            self._change_of_topology(meaning.topology)
        data: dict[str, Value | None] = {
            "number": message.number,
            "text": meaning.text,
            "message": meaning.key,
            "address": message.source,
            "device": self._context.plant.name(source) if source else None,
            "device_id": source.id if source else None,
            "local_time": message.time.isoformat(),
        }
        moment = localised(message.time, self._context.zone)
        if self._is_news(moment, old=old):
            self._context.emit_event(
                Message(device, "message", meaning.severity.value, moment, data)
            )

    def _change_of_topology(self, topology: Topology) -> None:
        families = _TOPOLOGY.get(topology, self._membership.families)
        self._membership.invalidate(families)
        self._membership.expect(families)
