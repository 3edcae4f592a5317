"""A simulated LIN panel and our box in one process and one time: the engine without its responder.

The responder's process keeps a deadline of milliseconds, in real time only; what it decides is in
the box, which is the same here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from hardwired_engines.clock import Clock
from hardwired_engines.engine import LinkError, Reason
from hardwired_engines.truma.inet.box import Box
from hardwired_engines.truma.node.messages import BusFacts, Order, Refresh, Wish
from hardwired_engines.truma.node.node import OnEvent, OnFacts
from hardwired_engines.truma.simulator.orders import Operator
from hardwired_engines.truma.simulator.world import SimulatorSettings, TrumaSimulator

REACTION = 0.0003
FACTS_EVERY = 0.5
SLOT = 0.1


class Panel:
    """The panel, which outlives the engine's visits."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.events = 0
        self.simulator = TrumaSimulator(
            SimulatorSettings(seed=seed, slot=SLOT),
            on_event=lambda _event: None,
            on_log=lambda _text: None,
        )
        self._operator = Operator(self.simulator)

    def order(self, text: str) -> None:
        """Do something to the panel or its bus."""
        answer = self._operator.carry_out(text, self.clock.monotonic())
        assert answer["ok"], answer

    async def start(self, config: Mapping[str, Any], _clock: Clock) -> BoxNode:
        """Join the bus, as the responder's process would."""
        self.simulator.transmit(self.clock.monotonic())  # its time has stood still meanwhile
        if self.simulator.hung_up:
            raise LinkError(Reason.NOT_FOUND, "the adapter is unplugged")
        return BoxNode(self, config)


class BoxNode:
    """A node of the engine: the box on the simulated bus."""

    low_latency: bool | None = None

    def __init__(self, panel: Panel, config: Mapping[str, Any]) -> None:
        self._clock = panel.clock
        self._simulator = panel.simulator
        self._answers: deque[tuple[float, bytes]] = deque()
        self._box = Box(
            counter=int(config["counter"]),
            init_request=bool(config["init_request"]),
            nad=int(config["nad"]),
            baselines={int(key): bytes.fromhex(one) for key, one in config["baselines"].items()},
        )

    async def run(self, on_event: OnEvent, on_facts: OnFacts) -> None:
        """Tell what is heard. Raises :class:`LinkError` when the adapter is unplugged."""
        simulator, box, clock = self._simulator, self._box, self._clock
        simulator.connected(clock.monotonic())
        facts_at = clock.monotonic()
        try:
            while not simulator.hung_up:
                now = clock.monotonic()
                self._pass_on(now)
                if now >= facts_at:
                    facts_at = now + FACTS_EVERY
                    box.tick(now)
                    on_facts(BusFacts.read(box.facts(now)))
                for event in box.events():
                    on_event(event)
                due = [facts_at, *(when for when, _ in list(self._answers)[:1])]
                if (next_due := simulator.next_due(now)) is not None:
                    due.append(next_due)
                await clock.sleep(max(0.0, min(due) - now))
        finally:
            simulator.disconnected(clock.monotonic())
        raise LinkError(Reason.DISCONNECTED, "the adapter was unplugged")

    def _pass_on(self, now: float) -> None:
        while self._answers and self._answers[0][0] <= now:
            self._simulator.receive(self._answers.popleft()[1], now)
        if (data := self._simulator.transmit(now)) and (answer := self._box.receive(data, now)):
            self._answers.append((now + REACTION, answer))

    def order(self, order: Order) -> None:
        """Pass an order on to the box."""
        now = self._clock.monotonic()
        if isinstance(order, Wish):
            self._box.take(order.group, order.values, order.parts, now, order.terms)
        elif isinstance(order, Refresh):
            self._box.refresh(now)

    async def close(self) -> None:
        """Leave the bus."""
