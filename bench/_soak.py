"""The whole bridge through hours of virtual time: four simulated families with faults on one side,
a real Mosquitto and an InfluxDB stand-in that come and go on the other (spec bridge i.1, 6).

Time is turned by hand, so an hour takes seconds; between two steps the loop waits a real moment, in
which the sockets have their turn. Nothing depends on how long that is: what must hold is asked for
at checkpoints, where time stands still until it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hardwired.bridge.run import Bridge
from hardwired.bridge.sink import Action, Publication, SinkState
from hardwired.bridge.state import State
from hardwired.config.reader import read_config
from hardwired.config.secrets import Environment, resolve
from hardwired.influx import sink as influx_sink
from hardwired.influx.pipeline import Pipeline
from hardwired.influx.worker import InlineWorker
from hardwired.mqtt import sink as mqtt_sink
from hardwired.mqtt.native import NativeDialect
from hardwired_engines.clock import ManualClock
from hardwired_engines.studer.simulator import truth
from hardwired_engines.truma import engine as truma_engine
from tests.standalone.bridge.servers import stand_in
from tests.standalone.mqtt.broker import Broker

from ._soak_panel import Panel
from ._soak_world import Holdings, Ledger, NoStore, Server, Told, Watcher, in_order

START = datetime(2026, 6, 15, 6, 0, tzinfo=UTC)
STEP = 5.0
FIRST = 90.0
"""Seconds in which every device is found."""
BREATH = 0.001
"""Real seconds between two steps."""
PATIENCE = 300.0
"""Real seconds, at most, for what must hold at a checkpoint, however busy the machine is."""
LONG = 1800.0
"""Virtual seconds within which every trouble is over."""

CONFIG = """
[bridge]
state_dir = "{state}"
[devices.van]
family = "truma"
link = "/dev/panel"
time_zone = "UTC"
[devices.plant]
family = "studer"
link = "sim://?{plant}&seed={seed}&start=2026-06-15T06:00:00&faults=random"
[devices.fan]
family = "inventum"
link = "sim://?odds=1&seed={seed}&faults={seed}&fault_every=600"
[devices.roof]
family = "sunsynk"
source = "sim"
interval = 60
seed = {seed}
time_zone = "UTC"
[sinks.home]
type = "mqtt"
host = "127.0.0.1"
port = {broker}
min_interval = 0
[sinks.base]
type = "influxdb"
version = 1
database = "db"
url = "http://127.0.0.1:{server}"
sample = 10
"""
WISHES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("van/heater/room/target", ("18", "21", "5")),
    ("van/heater/room/mode", ("heat", "off")),
    ("van/heater/water/mode", ("eco", "off", "boost")),
    ("fan/ecolution/fan/preset", ("boost", "auto")),
    ("van/heater/room/target", ("nonsense", "999")),
)
"""What an owner asks for: topics without prefix and ``/set``, and texts, wrong ones too."""
ANSWERS: tuple[tuple[int, str, dict[str, str]], ...] = (
    (503, "busy", {"Retry-After": "30"}),
    (502, "bad gateway", {}),
    (500, '{"error":"retention policy not found: x"}', {}),
    (404, '{"error":"database not found: \\"db\\""}', {}),
)
"""How the server refuses: two that pass, two that somebody must mend."""


class Soak:
    """One bridge and its world."""

    def __init__(self, folder: Path, seed: int, plant: str) -> None:
        self._folder = folder
        self.clock = ManualClock(START)
        self.random = random.Random(seed)
        self._seed = seed
        self._plant = plant
        self.broker = Broker(folder)
        self.offered = Ledger()
        self.log = Told()
        self.asked: Counter[str] = Counter()
        self.outages: Counter[str] = Counter()
        self.checkpoints = 0
        self.holdings: list[Holdings] = []
        self.watcher = Watcher(self.broker)
        self._broker_up = True

    # ------------------------------------------------------------------------------ the world

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[Soak]:
        """Let everything live for the length of a block; the end is an orderly one."""
        self.panel = Panel(self.clock, self._seed)
        with stand_in() as server, self._patched(), self._logged():
            self.server = Server(server)
            server.rule = self.server.rule
            await self.broker.start()
            listening = asyncio.create_task(self.watcher.run())
            await self._until("a client", lambda: self.watcher.client is not None)
            state = self._folder / "state"
            text = CONFIG.format(
                state=state,
                plant=self._plant,
                seed=self._seed,
                broker=self.broker.port,
                server=server.port,
            )
            config = resolve(read_config(text.encode()), Environment({}))
            assert config.ok, config.errors
            self.bridge = Bridge(dict(config.value), State.open(state), clock=self.clock)
            life = asyncio.create_task(self.bridge.run())
            try:
                await self.pass_(FIRST)
                await self.drain()
                yield self
            finally:
                self.bridge.end()
                while not life.done():
                    await self.clock.advance(0.1)
                    await asyncio.sleep(BREATH)
                await life
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
                await self.broker.stop()

    @contextlib.contextmanager
    def _patched(self) -> Iterator[None]:
        offer = Pipeline.offer

        def offered(pipeline: Pipeline, line: str) -> None:
            self.offered.add(line)
            offer(pipeline, line)

        with (
            patch.object(truma_engine.ResponderNode, "start", self.panel.start),
            patch.object(influx_sink, "ThreadWorker", lambda _name: InlineWorker()),
            patch.object(mqtt_sink, "LOOK_ROUND", 0.1),
            patch.object(Pipeline, "offer", offered),
            # What a simulator remembers of its plant would look like a leak of ours for a day.
            patch.object(truth, "REMEMBERED", 16),
        ):
            yield

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        root = logging.getLogger()
        before = root.level
        root.addHandler(self.log)
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.removeHandler(self.log)
            root.setLevel(before)

    # ------------------------------------------------------------------------------- the time

    async def pass_(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 1e-6:
            await self.clock.advance(min(STEP, left), settle=12)
            await asyncio.sleep(BREATH)

    async def _until(self, what: str, true: Callable[[], object], *, turn: float = 0.0) -> None:
        """Wait until something holds; with *turn* time passes meanwhile."""
        began = self.clock.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not true() and self.clock.monotonic() - began < LONG:
                    if turn:
                        await self.clock.advance(turn, settle=12)
                    await asyncio.sleep(0.002)
        assert true(), f"{what}: not within {self.clock.monotonic() - began:.0f} s"

    # ------------------------------------------------------------------------------ the trouble

    async def stop_broker(self, seconds: float) -> None:
        """Take the broker away for a while."""
        self.outages["broker"] += 1
        await self.broker.stop()
        await self.pass_(seconds)
        await self.broker.start()
        await self._until("connected", self._connected, turn=1.0)

    def _connected(self) -> bool:
        home = self.bridge.sinks["home"].health.state is SinkState.OK
        return home and self.watcher.client is not None

    async def stop_server(self, seconds: float) -> None:
        """Let the server refuse for a while."""
        self.outages["server"] += 1
        self.server.answer = self.random.choice(ANSWERS)
        await self.pass_(seconds)
        self.server.answer = None

    async def trouble_panel(self, seconds: float) -> None:
        """Let the panel's bus be bad for a while."""
        self.outages["bus"] += 1
        self.panel.order(f"fault {self.random.choice(('flip_bit=0.01', 'silence=40', 'unplug'))}")
        await self.pass_(seconds)
        self.panel.order("clear")

    async def wish(self) -> None:
        """Ask for something, as an owner would."""
        topic, texts = self.random.choice(WISHES)
        if await self.watcher.wish(topic, self.random.choice(texts)):
            self.asked[topic] += 1

    async def hour(self) -> None:
        """Live through an hour with everything that can happen to it."""
        end = self.clock.monotonic() + 3600
        events = [self.stop_broker, self.stop_broker, self.stop_server, self.stop_server]
        events += [self.stop_server, self.trouble_panel, self.trouble_panel]
        self.random.shuffle(events)
        for event in events:
            await self.pass_(self.random.uniform(60, 180))
            await self.wish()
            await self.pass_(60)
            await event(self.random.uniform(30, 200))
            await self.checkpoint()
        await self.pass_(max(0.0, end - self.clock.monotonic()))
        await self.drain()
        await self.checkpoint()
        self.holdings.append(self.look())

    def look(self) -> Holdings:
        """Look at what the process holds."""
        return Holdings.now(self._folder / "state")

    # -------------------------------------------------------------------------- what must hold

    async def checkpoint(self) -> None:
        """Wait until the broker shows what the engines know. Raises :class:`AssertionError`."""
        self.checkpoints += 1
        await self._until("connected", self._connected, turn=1.0)
        try:
            async with asyncio.timeout(PATIENCE):
                while wrong := self.wrong_topics():
                    await self.clock.advance(0.0)
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(wrong) from None

    def truth(self) -> dict[str, str]:
        """Return what a native dialect that begins now would say and the broker would retain."""
        sink = self.bridge.sinks["home"]
        assert isinstance(sink, mqtt_sink.MqttSink)
        fresh = NativeDialect("home", sink.settings, self.bridge, NoStore())
        links = {name: link.snapshot for name, link in self.bridge.links.items()}
        moment = self.bridge.moment()
        actions: list[Action] = fresh.connected(links, moment)
        while fresh.opening:
            actions += fresh.tick(moment)
        return {
            one.topic: one.payload
            for one in actions
            if isinstance(one, Publication) and one.retain and "/bridge/sinks/" not in one.topic
        }

    def wrong_topics(self) -> dict[str, tuple[str, str | None]]:
        """Return what the broker shows otherwise: what is so, what is shown."""
        shown = self.watcher.last
        return {
            topic: (text, shown.get(topic))
            for topic, text in self.truth().items()
            if in_order(shown.get(topic, "")) != in_order(text)
        }

    async def drain(self) -> None:
        """Let everything be delivered, every wish be answered and every link stand."""
        base, links = self.bridge.sinks["base"], self.bridge.links.values()
        await self._until(
            "every link", lambda: all(one.snapshot.connected for one in links), turn=1.0
        )
        await self._until("every point", lambda: base.health.waiting == 0, turn=1.0)
        await self._until(
            "every answer", lambda: self.watcher.results.total() >= self.asked.total(), turn=1.0
        )

    def figures(self) -> dict[str, Any]:
        """Return the counters."""
        base = self.bridge.sinks["base"].health
        return {
            "virtual_hours": round((self.clock.monotonic() - FIRST) / 3600, 2),
            "outages": dict(self.outages),
            "checkpoints": self.checkpoints,
            "points": self.offered.count,
            "accepted": base.accepted,
            "delivered": base.delivered,
            "dropped": base.dropped,
            "set_aside": base.set_aside,
            "requests_refused": self.server.refused,
            "messages_seen": self.watcher.messages,
            "wishes": self.asked.total(),
            "answers": self.watcher.results.total(),
            "events": len(self.watcher.events),
            "log": dict(self.log.counts),
        }

    def faults(self) -> list[str]:
        """Return what was not as it must be, in words; after :meth:`drain`."""
        base = self.bridge.sinks["base"].health
        found = []
        if self.offered != self.server.stored:
            found.append(f"offered {self.offered}, stored {self.server.stored}")
        if base.dropped or base.set_aside or base.accepted != base.delivered:
            found.append(f"the counters do not add up: {base}")
        if base.accepted != self.offered.count:
            found.append(f"accepted {base.accepted} of {self.offered.count}")
        if self.server.disorder:
            found.append(f"older than before in its series: {self.server.disorder[:3]}")
        if self.watcher.results != self.asked:
            found.append(f"asked {self.asked}, answered {self.watcher.results}")
        if self.watcher.repeated_events:
            found.append(f"{self.watcher.repeated_events} events were told twice")
        if self.log.unforeseen:
            found.append(f"unforeseen: {self.log.unforeseen[:3]}")
        if self.log.lost_broker != self.log.found_broker:
            found.append(f"{self.log.lost_broker} warnings, {self.log.found_broker} returns")
        return found
