"""The scripted plant of six Xtenders of which one drops out: nothing wrong is ever shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hardwired_engines.studer.datapoints.datapoint import by_id
from hardwired_engines.studer.datapoints.plausibility import check
from hardwired_engines.studer.plant.availability import (
    OutcomeClass,
    PresenceMachine,
    class_of_error,
    class_of_value,
)
from hardwired_engines.studer.scom.errors import error_name
from hardwired_engines.studer.scom.exchange import Exchange, Reply, ReplyKind
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import Request, Service
from hardwired_engines.studer.scom.matching import Rejection
from hardwired_engines.studer.scom.values import Format
from tests.vector_files import load, vectors

pytestmark = pytest.mark.vectors

IDLE_MS = 100
TIMEOUT_MS = 3000


class Player:
    """Plays a dialogue file into the parts that the engine is made of."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.machines: dict[int, PresenceMachine] = {}
        self._last_byte = 0.0

    def _feed(self, at: float, data: str) -> Reply | None:
        first = self._silence(at)
        self._last_byte = at
        _, reply = self.exchange.receive_data(bytes.fromhex(data))
        return first or reply

    def _silence(self, until: float) -> Reply | None:
        if self.exchange.parser.pending and until - self._last_byte >= IDLE_MS:
            return self.exchange.idle()[1]
        return None

    def play(self, exchange: dict[str, Any]) -> dict[str, Any]:
        began = exchange["t_ms"]
        fields = exchange["request"]
        wire_format = exchange["format"]
        self._silence(began)
        tx = bytes.fromhex(exchange["tx"])
        request = Request(
            fields["dst"], Service(fields["service"]), fields["object_type"], fields["object_id"],
            fields["property_id"], tx[24:-2],
        )  # fmt: skip
        before = self.exchange.rejections.copy()
        wanted = None if wire_format is None else Format(wire_format)
        assert self.exchange.ask(request, wanted) == tx
        reply: Reply | None = None
        for chunk in exchange["rx"]:
            found = self._feed(began + chunk["at_ms"], chunk["hex"])
            reply = reply or found
        if reply is None:
            reply = self._silence(began + TIMEOUT_MS) or self.exchange.give_up()
        rejected = list((self.exchange.rejections - before).elements())
        for chunk in exchange.get("rx_after", []):
            assert self._feed(began + chunk["at_ms"], chunk["hex"]) is None
        return self._outcome(exchange, reply, rejected)

    def _outcome(
        self, exchange: dict[str, Any], reply: Reply, rejected: list[Rejection]
    ) -> dict[str, Any]:
        outcome: dict[str, Any] = {"outcome": reply.kind.value}
        if reply.flags is not None:
            outcome["frame_flags"] = reply.flags
        if rejected:
            outcome["rejected_frames"] = [str(reason) for reason in rejected]
        shown = reply.value
        if isinstance(shown, bytes):
            shown = shown.hex()
        if isinstance(shown, float) and not math.isfinite(shown):
            shown = "NaN"
        if reply.kind is ReplyKind.VALUE:
            outcome["value"] = shown
        if reply.error is not None:
            outcome |= {"code": reply.error, "name": error_name(reply.error)}
        if exchange["family"] is not None:
            outcome |= self._presence(exchange, reply)
        return outcome

    def _presence(self, exchange: dict[str, Any], reply: Reply) -> dict[str, Any]:
        fields = exchange["request"]
        machine = self.machines.setdefault(fields["dst"], PresenceMachine())
        point = by_id(Family(exchange["family"]), fields["object_id"])
        assert point is not None
        result: dict[str, Any] = {"published": None}
        good = False
        match reply.kind:
            case ReplyKind.VALUE:
                assert reply.value is not None
                absence = check(point, reply.value, 48)
                if absence is not None:
                    result["absent"] = absence.value
                good = absence is None
                machine.update(class_of_value(absence))
            case ReplyKind.TIMEOUT:
                machine.update(OutcomeClass.FAILURE)
            case ReplyKind.ERROR:
                assert reply.error is not None
                machine.update(class_of_error(reply.error))
        if good and machine.publishes:
            result["published"] = reply.value
        result["state"] = machine.state
        return result


def dialogues() -> list[Any]:
    folder: Path = vectors("studer")
    names = sorted(path.name for path in folder.glob("dialogue_*.json"))
    return [pytest.param(name, id=name) for name in names] or [
        pytest.param(None, marks=pytest.mark.skip(reason="this set of vectors has no dialogue"))
    ]


@pytest.mark.parametrize("name", dialogues())
def test_dialogue(name: str) -> None:
    player = Player()
    for exchange in load("studer", name)["exchanges"]:
        assert player.play(exchange) == exchange["expect"], exchange
