"""Requests with retries, and what failures say about a device (spec b.9, c.6)."""

from __future__ import annotations

from collections.abc import Callable

from ...engine import LinkError, Reason
from ..plant.availability import OutcomeClass, Presence, class_of_error, denies
from ..plant.unit import Unit
from ..scom.errors import ErrorCode, Remedy, error_name, remedy_of_read
from ..scom.exchange import Reply, ReplyKind
from ..scom.frame import Request, Service
from ..scom.values import Format
from . import discovery
from .context import SessionContext
from .line import Line

BUSY_ATTEMPTS = 5
BUSY_PAUSE = 1.0
SILENT_TIMEOUTS = 3
CONFIRM = 1.0
"""Seconds before a device that the gateway reports missing is probed again.

One that was silent has already had a time-out and is probed at once.
"""

OnLost = Callable[[Unit], None]


def outcome_of_write(before: Reply | None, reply: Reply) -> Reply:
    """Return what is known after two attempts of one request: a write may have been carried out."""
    if before is None or not before.is_unclear or reply.request.service is not Service.WRITE:
        return reply
    return reply if reply.kind is ReplyKind.WRITTEN else before


class Requester:
    """Asks the gateway and the devices; *on_lost* is called for a device that is now offline.

    *on_silence* is called when answers come again after several time-outs in a row.
    """

    def __init__(
        self,
        context: SessionContext,
        line: Line,
        on_lost: OnLost,
        on_silence: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = context
        self._line = line
        self._on_lost = on_lost
        self._on_silence = on_silence
        self._silent: list[int] = []

    async def ask(
        self,
        request: Request,
        wire_format: Format | None = None,
        *,
        urgent: bool = False,
        busy_attempts: int = BUSY_ATTEMPTS,
        worthwhile: Callable[[], bool] | None = None,
    ) -> Reply:
        """Ask once, but again while the gateway is busy.

        Raises :class:`LinkError`, and :class:`NotAsked` when it is not *worthwhile* in its turn.
        """
        request = self._from_us(request)
        attempts = busy_attempts
        while True:
            attempts -= 1
            reply = await self._line.exchange(
                request,
                wire_format,
                urgent=urgent,
                blame=self._blames(request.destination),
                worthwhile=worthwhile,
            )
            await self._listen_for_silence(request, reply)
            if reply.error != ErrorCode.GATEWAY_BUSY or not attempts:
                return reply
            await self._context.clock.sleep(BUSY_PAUSE)

    def _from_us(self, request: Request) -> Request:
        """Return the request with our address as the owner has set it."""
        source = self._context.settings.source_address
        if request.source == source:
            return request
        return Request(
            request.destination,
            request.service,
            request.object_type,
            request.object_id,
            request.property_id,
            request.data,
            source,
        )

    def _blames(self, address: int) -> bool:
        unit = self._context.plant.at(address)
        return unit is not None and unit.presence.state is Presence.ONLINE

    async def _listen_for_silence(self, request: Request, reply: Reply) -> None:
        if reply.kind is not ReplyKind.TIMEOUT:
            if len(self._silent) > 1:
                # The gateway was silent: what answers now may be another plant.
                self._on_silence()
            self._silent.clear()
            return
        self._silent.append(request.destination)
        alone = sum(1 for _ in self._context.plant.real_units()) <= 1
        if len(self._silent) < SILENT_TIMEOUTS or not (alone or len(set(self._silent)) > 1):
            return
        self._silent.clear()
        await probe_gateway(self._line, network=self._context.settings.network)

    def of(self, unit: Unit, *, urgent: bool = False) -> discovery.Ask:
        """Return a function that asks a device once; failures count against the device."""

        async def ask(request: Request, wire_format: Format | None = None, /) -> Reply:
            return await self.ask_unit(unit, request, wire_format, attempts=1, urgent=urgent)

        return ask

    async def ask_unit(
        self,
        unit: Unit,
        request: Request,
        wire_format: Format | None,
        *,
        attempts: int = 2,
        urgent: bool = False,
        busy_attempts: int = BUSY_ATTEMPTS,
    ) -> Reply:
        """Ask a device, with one retry where that helps; failures count against the device.

        Values do not count for it: they have to be checked first. A write that may have been
        carried out remains so, whatever the second answer is, unless that confirms it. Raises
        :class:`NotAsked` when a write, or a question of a command, has waited for its turn until
        the device was lost or has moved.
        """

        def is_there() -> bool:
            lost = unit.presence.state is Presence.OFFLINE
            return unit.address == request.destination and not lost

        write = request.service is Service.WRITE
        worthwhile = is_there if (urgent or write) and not unit.is_gateway else None
        unclear: Reply | None = None
        while True:
            attempts -= 1
            try:
                reply = await self.ask(
                    request,
                    wire_format,
                    urgent=urgent,
                    busy_attempts=busy_attempts,
                    worthwhile=worthwhile,
                )
            except discovery.NotAsked:
                if unclear is None:
                    raise
                return unclear
            match reply.kind:
                case ReplyKind.TIMEOUT:
                    self.note_outcome(unit, OutcomeClass.FAILURE)
                    if unit.presence.state is Presence.SUSPECT:
                        unit.tracking.next_probe = self._context.now
                    again = True
                case ReplyKind.ERROR:
                    assert reply.error is not None
                    remedy = remedy_of_read(reply.error, unit.family)
                    if remedy is not Remedy.UNSUPPORTED:
                        self._context.count(error_name(reply.error).lower())
                    unit.tracking.denied |= denies(reply.error)
                    self.note_outcome(unit, class_of_error(reply.error))
                    again = remedy is Remedy.RETRY
                case _:
                    again = False
            if not again or attempts <= 0 or unit.presence.state is Presence.OFFLINE:
                return outcome_of_write(unclear, reply)
            unclear = outcome_of_write(unclear, reply)

    def note_outcome(self, unit: Unit, outcome: OutcomeClass) -> None:
        """Take the outcome of an exchange with a device."""
        if unit.is_gateway:
            return
        if outcome is OutcomeClass.GOOD:
            unit.tracking.denied = False
        before = unit.presence.state
        if before is Presence.RECOVERING and outcome is OutcomeClass.GOOD and not unit.virtual:
            # It is back only after its identity was read, which is done elsewhere.
            return
        after = unit.presence.update(outcome)
        now = self._context.clock.monotonic()
        failed = outcome in (OutcomeClass.FAILURE, OutcomeClass.GRAVE_FAILURE)
        if failed and after is Presence.SUSPECT and unit.tracking.next_probe is None:
            unit.tracking.next_probe = now + CONFIRM
        if after is before:
            return
        self._context.history.unsettle(now)
        unit.changed = True
        if after is Presence.OFFLINE:
            self._on_lost(unit)
        elif after is Presence.ONLINE:
            unit.tracking.next_probe = None


QUICK_PROBE = 0.6
"""Seconds for the first of several probes: a gateway that is still busy with what was asked on
the connection before loses it, and says nothing."""


async def probe_gateway(
    line: Line, *, network: bool = False, attempts: int = 2, quickly: bool = False
) -> None:
    """Ask the gateway itself. Raises :class:`LinkError` with the reason when it is silent.

    *quickly*: a first probe that gets lost costs less than a second, and does not count.
    """
    heard = line.bytes_heard
    timeouts = ([QUICK_PROBE] if quickly else []) + [None] * attempts
    for timeout in timeouts:
        reply = await line.exchange(
            discovery.probe_request(),
            discovery.PROBE_FORMAT,
            urgent=True,
            timeout=timeout,
            blame=False,
        )
        if reply.kind is not ReplyKind.TIMEOUT:
            return
    raise silence(line, heard, network=network)


def silence(line: Line, heard_before: int, *, network: bool) -> LinkError:
    """Return why a gateway does not answer, as far as the bytes show."""
    if line.bytes_heard == heard_before:
        return LinkError(Reason.SILENT, "not one byte came back")
    if line.last_frame is None:
        where = "of the Moxa" if network else "of the port"
        return LinkError(
            Reason.NOISE,
            f"{line.bytes_heard} bytes and no frame: check the serial settings {where}",
        )
    return LinkError(Reason.NO_ANSWER, "frames pass, but none answers our question")
