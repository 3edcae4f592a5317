"""``hardwired replay studer``: a gateway that answers as the recorded one did."""

from __future__ import annotations

import argparse
import contextlib
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Sequence
from typing import TypeVar

from hardwired_engines.studer.scom import multi_info
from hardwired_engines.studer.scom.errors import ErrorCode
from hardwired_engines.studer.scom.frame import GATEWAY_ADDRESS, Frame, ObjectType, Request
from hardwired_engines.studer.scom.parser import Parser
from hardwired_engines.studer.scom.values import encode
from hardwired_engines.studer.session.discovery import PROBE_FORMAT, probe_request

from ...arguments import address_of
from ...output import read_whole, tell
from ...replaying import (
    BETWEEN_ROUNDS,
    NothingToPlay,
    Pace,
    Tally,
    add_serial,
    dialling,
    pace_of,
    play,
    playable,
    readable,
    runner_of,
)
from .decode import IDLE
from .exchanges import Exchanges, Moment, exchanges_of, key_of
from .recording import read_chunks
from .simulate import DEFAULT_LINK, DEFAULT_PORT

_LOGGER = logging.getLogger(__name__)

LONGEST_DELAY = 30.0

What = TypeVar("What")


class Gateway:
    """Answers each request as it was answered in the recording, at this time of it.

    What was not asked then is refused: OBJECT_ID_NOT_FOUND, DEVICE_NOT_FOUND where no device is
    (b.9). Who asked in vain then is not answered.
    """

    hung_up = False

    def __init__(self, exchanges: Exchanges, pace: Pace, tally: Tally) -> None:
        self._exchanges = exchanges
        self._pace = pace
        self._tally = tally
        self._parser = Parser()
        self._began = 0.0
        self._heard = 0.0
        self._places: dict[Hashable, int] = {}
        self._waiting: deque[tuple[float, bytes]] = deque()

    def connected(self, now: float) -> None:
        """Begin the recording."""
        self._tally.connections += 1
        self._began = self._heard = now

    def disconnected(self, now: float) -> None:
        """Forget what was not fetched."""
        self._waiting.clear()

    def receive(self, data: bytes, now: float) -> None:
        """Take requests."""
        silent = now - self._heard >= IDLE.total_seconds()
        frames = self._parser.flush() if silent else []
        self._heard = now
        for frame in (*frames, *self._parser.receive_data(data)):
            if (request := Request.of(frame)) is not None:
                self._serve(request, now)

    def transmit(self, now: float) -> bytes:
        """Return an answer that is due."""
        if self._waiting and self._waiting[0][0] <= now:
            self._tally.frames += 1
            return self._waiting.popleft()[1]
        return b""

    def next_due(self, now: float) -> float | None:
        """Return when the next answer is due."""
        return self._waiting[0][0] if self._waiting else None

    def _serve(self, request: Request, now: float) -> None:
        found = self._found(request, now)
        if found is None:
            self._tally.unanswered += 1
            _LOGGER.info("not in the recording: %s", request)
            self._later(now, self._refusal(request))
        elif found.what is None:
            self._tally.unanswered += 1
            _LOGGER.info("not answered in the recording: %s", request)
        else:
            self._tally.answered += 1
            delay = self._pace.seconds(min(found.delay, LONGEST_DELAY))
            self._later(now + delay, found.what._replace(destination=request.source))

    def _later(self, due: float, frame: Frame) -> None:
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, frame.encode()))

    def _refusal(self, request: Request) -> Frame:
        if request.object_type == ObjectType.MULTI_INFO:
            return request.error(ErrorCode.TYPE_NOT_SUPPORTED)
        known = request.destination in self._exchanges.addresses
        if known or request.destination == GATEWAY_ADDRESS:
            return request.error(ErrorCode.OBJECT_ID_NOT_FOUND)
        return request.error(ErrorCode.DEVICE_NOT_FOUND)

    def _found(self, request: Request, now: float) -> Moment[Frame | None] | None:
        if request.object_type == ObjectType.MULTI_INFO and (many := self._many(request, now)):
            return many
        key = key_of(request)
        if (told := self._pick(key, self._exchanges.answers.get(key, ()), now)) is not None:
            return told
        alone = self._pick(key, self._exchanges.infos(key), now)
        if alone is not None:
            return Moment(alone.asked, alone.delay, request.answer(alone.what))
        head = self._pick("head", self._exchanges.heads, now)
        if head is not None and key == probe_request():
            # The clock of the plant comes with many values, too.
            with contextlib.suppress(ValueError):
                data = encode(PROBE_FORMAT, head.what.timestamp)
                return Moment(head.asked, head.delay, request.answer(data))
        return None

    def _many(self, request: Request, now: float) -> Moment[Frame | None] | None:
        """Return many values at once, without those that are not known."""
        head = self._pick("head", self._exchanges.heads, now)
        if head is None:
            return None
        try:
            asked = multi_info.decode_request(request.data)
        except ValueError:
            return None
        picked = ((item, self._pick(item, self._exchanges.values(item), now)) for item in asked)
        items = tuple((item, one.what) for item, one in picked if one is not None)
        if not items:
            return None
        answer = multi_info.MultiInfo(head.what.plant_flags, head.what.timestamp, items)
        frame = request.answer(multi_info.encode(answer), flags=head.what.frame_flags)
        return Moment(head.asked, head.delay, frame)

    def _pick(
        self, key: Hashable, track: Sequence[Moment[What]], now: float
    ) -> Moment[What] | None:
        """Return what was said at this time of the recording; ``None``: nothing ever was."""
        if not track:
            return None
        length, elapsed = self._exchanges.length, (now - self._began) * self._pace.speed
        if not length or not self._pace.speed:
            place = self._places.get(key, 0)
            if self._pace.loop:
                place %= len(track)
            self._places[key] = place + 1
            return track[min(place, len(track) - 1)]
        if self._pace.loop:
            elapsed %= length + BETWEEN_ROUNDS
        self._tally.position = min(elapsed / length, 1.0)
        place = bisect_right(track, elapsed, key=lambda one: one.asked)
        return track[max(place - 1, 0)]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_serial(parser, DEFAULT_LINK).add_argument(
        "--connect", metavar="HOST[:PORT]", help="as a Moxa in TCP client mode: dial HOST"
    )


@playable
def run(options: argparse.Namespace) -> int:
    """Play a gateway until it is stopped: its last answers stay."""
    pace, tally = pace_of(options), Tally()
    if options.connect is None:
        runner = runner_of(options)
    else:
        runner = dialling(*address_of(options.connect, port=DEFAULT_PORT))
    exchanges = exchanges_of(readable(read_chunks(read_whole(options.file))))
    if not exchanges.found:
        raise NothingToPlay("there is no answer of a gateway in it whose request is known")
    places = ", ".join(map(str, sorted(exchanges.addresses)))
    tell(f"{exchanges.found} answers of the addresses {places}; Ctrl-C ends")
    return play(lambda: Gateway(exchanges, pace, tally), runner, tally)
