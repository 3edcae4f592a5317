"""A host for tests: asks a simulated Xcom through the real codecs, with a clock of its own."""

from __future__ import annotations

from typing import Any

from hardwired_engines.studer.datapoints.datapoint import Datapoint, by_id
from hardwired_engines.studer.scom.exchange import Exchange, Reply, ReplyKind
from hardwired_engines.studer.scom.families import Family
from hardwired_engines.studer.scom.frame import (
    Frame,
    ParameterProperty,
    Request,
    read_info,
    read_parameter,
    write_parameter,
)
from hardwired_engines.studer.scom.values import Format, WireValue, encode
from hardwired_engines.studer.simulator.world import Port, World, make

START = "2026-06-15T10:00:00"
TIMEOUT = 3.0


class Host:
    """One host on the line. ``now`` is its clock; asking turns it."""

    def __init__(self, port: Port | None = None, **query: Any) -> None:
        texts = {"start": START, "latency_ms": "20", "hiccup_ms": "0"}
        texts |= {name: str(value) for name, value in query.items()}
        self.port = port or make(texts)
        self.exchange = Exchange()
        self.now = 100.0
        self.heard: list[Frame] = []
        self.port.connected(self.now)

    @property
    def world(self) -> World:
        return self.port.world

    def send(self, data: bytes) -> None:
        self.port.receive(data, self.now)

    def listen(self, seconds: float) -> list[tuple[float, bytes]]:
        """Let time pass; return what came, and when."""
        heard = []
        end = self.now + seconds
        while True:
            if data := self.port.transmit(self.now):
                heard.append((self.now, data))
                continue
            due = self.port.next_due(self.now)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
        self.now = end
        return heard

    def wait(self, seconds: float) -> None:
        """Let time pass; nothing that the line says is understood."""
        for _, data in self.listen(seconds):
            self.heard += self.exchange.receive_data(data)[0]

    def ask(
        self, request: Request, wire_format: Format | None = None, timeout: float = TIMEOUT
    ) -> Reply:
        """Ask, wait for the answer like the engine does, return how it ended."""
        data = self.exchange.ask(request, wire_format)
        end = self.now + timeout
        self.send(data)
        while True:
            due = self.port.next_due(self.now)
            if due is None or due > end:
                self.now = end
                return self.exchange.give_up()
            self.now = max(self.now, due)
            if data := self.port.transmit(self.now):
                frames, reply = self.exchange.receive_data(data)
                self.heard += frames
                if reply is not None:
                    return reply

    def info(self, address: int, number: int) -> WireValue:
        """Return the value of an info; fails when there is none."""
        reply = self.ask(read_info(address, number), point(address, number).wire_format)
        assert reply.kind is ReplyKind.VALUE, f"{address}/{number}: {reply}"
        assert reply.value is not None
        return reply.value

    def number(self, address: int, number: int) -> float:
        found = self.info(address, number)
        assert isinstance(found, (int, float))
        return float(found)

    def parameter(
        self, address: int, number: int, property_id: int = ParameterProperty.VALUE
    ) -> WireValue:
        wire = point(address, number).wire_format
        reply = self.ask(read_parameter(address, number, property_id), wire)
        assert reply.kind is ReplyKind.VALUE, f"{address}/{number}: {reply}"
        assert reply.value is not None
        return reply.value

    def write(
        self,
        address: int,
        number: int,
        value: WireValue,
        property_id: int = ParameterProperty.UNSAVED_VALUE,
    ) -> Reply:
        wire = point(address, number).wire_format
        assert wire is not None
        return self.ask(write_parameter(address, number, encode(wire, value), property_id))

    def error(self, request: Request) -> int | None:
        """Return the code of the error that a request gets; ``None`` when it gets none."""
        return self.ask(request).error


def point(address: int, number: int) -> Datapoint:
    """Return the datapoint behind a number at an address of the default plant."""
    for family in Family:
        found = by_id(family, number)
        if found is not None:
            return found
    raise AssertionError(f"no datapoint {number} at {address}")
