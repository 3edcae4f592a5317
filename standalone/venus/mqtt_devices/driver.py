"""The run loop: D-Bus, then the portal id, the settings, the broker; and what follows a loss."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import time
from pathlib import Path
from typing import Any, Callable

from . import NAME, VERSION
from .bus import Bus, BusLost
from .config import Config, read_config
from .devices import Devices, ScopeRefused
from .limits import Buckets, Counters, Seldom
from .mqtt.client import Client, Unreachable
from .mqtt.packets import Publish, Will
from .names import CLIENT_ID
from .payload import LARGEST, BadPayload, parse
from .proxy import BadProxy, parse_proxy
from .settings import SERVICE as SETTINGS, NoSettings
from .shared import Shared
from .state import State
from .status import Nothing, Rejected, parse_status
from .system import SYSTEM, System
from .tables import BadTable, Tables, load
from .values import fits_topic

_LOG = logging.getLogger("driver")

STATUS_TOPIC = "dbus-mqtt-devices/status"
COMMAND_TOPIC = "dbus-mqtt-devices/command"
LIST_TOPIC = "dbus-mqtt-devices/devices"
DISCOVERY_TOPIC = "device_discovery"
OFFLINE = '{"state":"offline"}'
FEATURES = ["notify", "options", "labels", "measurement", "ranges", "inputs", "energy"]

RETRIES = (1.0, 2.0, 5.0)  # s between attempts to reach the broker; the last one for good
OLD_DRIVER = 10.0  # s that an old driver's services are waited for
TICK = 2.0  # s
STATUS_RATE = 10.0  # a second and client
PROXY_RATE = 200.0

_DEVICE_TOPIC = re.compile(r"device/([^/]*)/(Status|Proxy)")


class Driver:
    """One run of the driver, from D-Bus' beginning to its end or a signal."""

    def __init__(
        self,
        config: Config,
        state_path: Path | None,
        config_path: Path | None = None,
        overrides: Callable[[Config], Config] = lambda config: config,
    ) -> None:
        self.config = config
        self._config_path = config_path
        self._overrides = overrides
        self._state = State(state_path)
        self._tables = load_tables(config)
        self._started = int(time.time())
        self._stop = asyncio.Event()
        self._client: Client | None = None
        self._devices: Devices | None = None
        self._system: System | None = None
        self._status_text: str | None = None
        self._status_due = False
        self._without_wills = False
        self._status_buckets = Buckets(STATUS_RATE, STATUS_RATE)
        self._proxy_buckets = Buckets(PROXY_RATE, PROXY_RATE)
        self._seldom = Seldom()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._energy_saved = 0.0
        self.counters = Counters()

    # ------------------------------------------------------------------- running

    async def run(self) -> int:
        """Run until a signal (0) or until D-Bus is lost (1)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self.dump)
        address = self.config.dbus or os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        try:
            bus = await Bus.connect(address)
        except BusLost as error:
            _LOG.error("%s", error)
            return 1
        work = self._spawn(self._serve(bus, address))
        stopping = self._spawn(self._stop.wait())
        await asyncio.wait([work, stopping, bus.lost], return_when=asyncio.FIRST_COMPLETED)
        return await self._end(bus, work)

    async def _end(self, bus: Bus, work: asyncio.Task[None]) -> int:
        code = 0
        if not self._stop.is_set():
            code = 1
            if work.done() and not work.cancelled() and work.exception() is not None:
                _LOG.error("ended", exc_info=work.exception())
            else:
                _LOG.error("D-Bus is lost")
        for task in list(self._tasks):
            task.cancel()
        if self._devices is not None:
            await self._devices.stop()
        if self._client is not None and not self._client.ended.done():
            self._client.publish(STATUS_TOPIC, OFFLINE, retain=True)
            await self._client.close()
        bus.close()
        return code

    def stop(self) -> None:
        """End the run in order."""
        self._stop.set()

    async def _serve(self, bus: Bus, address: str | None) -> None:
        shared = Shared(
            bus,
            address,
            self._tables,
            self.config,
            self._state,
            publish=self._publish,
            subscribe=self._subscribe,
            unsubscribe=self._unsubscribe,
        )
        self._devices = devices = Devices(shared)
        devices.on_change = self._status_changed
        self._system = system = System(bus, self._owner_changed, devices.setting_changed)
        await system.start()
        shared.portal_id = await system.wait_for_portal_id()
        _LOG.info("portal id %s", shared.portal_id)
        await system.wait_for_settings()
        others = await system.wait_for_others(OLD_DRIVER)
        if others:
            _LOG.warning("another driver has %s", ", ".join(others))
        devices.restore()
        self._spawn(self._keep_time())
        await self._keep_connected()

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        self._energy_saved = loop.time()
        assert self._devices is not None
        assert self._system is not None
        while True:
            await asyncio.sleep(TICK)
            try:
                self._devices.tick(self._system.is_there(SETTINGS))
                if loop.time() - self._energy_saved >= self.config.energy_save:
                    self._energy_saved = loop.time()
                    if self._devices.keep_energy():
                        self._state.save_soon()
            except Exception:  # noqa: BLE001 - no device may end the driver
                _LOG.exception("the clock's work was not done")

    def _owner_changed(self, name: str, there: bool) -> None:
        if self._devices is None or not there:
            return
        if name == SETTINGS:
            self._spawn(self._devices.settings_are_back())
        elif name == SYSTEM and self._devices.shared.portal_id:
            self._spawn(self._read_portal_id())

    async def _read_portal_id(self) -> None:
        assert self._system is not None
        assert self._devices is not None
        found = await self._system.wait_for_portal_id()
        if found != self._devices.shared.portal_id:
            _LOG.warning("the portal id is %s now", found)
            self._devices.portal_changed(found)
            self._status_changed()

    # -------------------------------------------------------------------- broker

    async def _keep_connected(self) -> None:
        """Connect to the broker, again and again."""
        attempt = 0
        while True:
            try:
                client = await self._connect()
            except Unreachable as error:
                if attempt == 0 or self._seldom(f"broker {error}", self._now()):
                    _LOG.warning("no broker at %s: %s", self.config.mqtt.host, error)
                await asyncio.sleep(RETRIES[min(attempt, len(RETRIES) - 1)])
                attempt += 1
                continue
            connected_at = self._now()
            reason = await client.ended
            self._client = None
            self.counters.count("broker lost")
            _LOG.warning("the broker is lost: %s", reason)
            # A broker that takes us and throws us out must not be asked without a pause.
            attempt = 0 if self._now() - connected_at > RETRIES[-1] else attempt + 1
            await asyncio.sleep(RETRIES[min(attempt, len(RETRIES) - 1)] if attempt else 0.2)

    async def _connect(self) -> Client:
        assert self._devices is not None
        client = await Client.connect(
            self.config.mqtt,
            f"{NAME}-{self._devices.shared.portal_id}",
            self._receive,
            Will(STATUS_TOPIC, OFFLINE.encode(), 0, True),
            LARGEST,
        )
        try:
            await self._subscribe_all(client)
        except (ConnectionError, OverflowError, asyncio.TimeoutError) as error:
            client.abort("not subscribed")
            raise Unreachable("not subscribed: {}".format(error or "no answer")) from error
        _LOG.info("connected to the broker at %s", self.config.mqtt.host)
        self._client = client
        if self.config.announce:
            self._publish(DISCOVERY_TOPIC, "", 0)
        self._status_text = None
        self._send_status()
        return client

    async def _subscribe_all(self, client: Client) -> None:
        assert self._devices is not None
        # Messages that come before the last SUBACK are dealt with like all others, and may be
        # answered: so this is the client from here on.
        self._client = client
        filters = [("device/+/Status", 1), ("device/+/Proxy", 1)]
        if self.config.allow_commands:
            filters.append((COMMAND_TOPIC, 1))
        await self._ask_for(client, filters)
        wills = [(topic, 1) for topic in self._devices.shared.will_topics]
        without, self._without_wills = self._without_wills, False
        if not wills or without:
            return
        # A broker may end the connection over a topic that a device named. Then the next
        # connection goes without them: no device may take the others off the GX. The one after
        # it tries again: the broker may just have been stopped at that moment.
        self._without_wills = True
        await self._ask_for(client, wills)
        self._without_wills = False

    async def _ask_for(self, client: Client, filters: list[tuple[str, int]]) -> None:
        granted = await asyncio.wait_for(client.subscribe(filters), 10.0)
        for (topic, _), given in zip(filters, granted):
            if not given:
                _LOG.error("the broker refuses %.100s", topic)

    def _subscribe(self, topic: str) -> None:
        client = self._client
        if client is None or client.ended.done():
            return

        async def subscribe() -> None:
            try:
                if not all(await client.subscribe([(topic, 1)])):
                    _LOG.error("the broker refuses %.100s", topic)
            except ConnectionError:
                return
            except OverflowError:
                client.abort("the broker acknowledges nothing")

        self._spawn(subscribe())

    def _unsubscribe(self, topic: str) -> None:
        if self._client is not None and not self._client.ended.done():
            try:
                self._client.unsubscribe([topic])
            except OverflowError:
                self._client.abort("the broker acknowledges nothing")

    def _publish(self, topic: str, payload: str, qos: int) -> None:
        if self._client is None:
            self.counters.count("not sent")
            return
        try:
            sent = fits_topic(topic) and self._client.publish(topic, payload, qos)
        except ValueError:
            sent = False
        if not sent:
            self.counters.count("not sent")

    # ------------------------------------------------------------------ messages

    def _receive(self, message: Publish) -> None:
        """Act on a message; never raises for what is in it."""
        assert self._devices is not None
        found = _DEVICE_TOPIC.fullmatch(message.topic)
        if message.payload is None:
            self._drop("too large", message.topic)
        elif found is not None and found[2] == "Status":
            self._receive_status(found[1], message.payload)
        elif found is not None:
            self._receive_proxy(found[1], message.payload)
        elif message.topic == COMMAND_TOPIC:
            if not message.retain:
                self._spawn(self._command(message.payload))
        else:
            self._devices.will(message.topic, message.payload)

    def _drop(self, reason: str, topic: str, word: str | None = None) -> None:
        self.counters.count(word or reason)
        # The key has nothing of what a device may vary, or it would have a line for each message.
        if self._seldom(f"{word or reason} {topic:.60}", self._now()):
            _LOG.warning("a message on %.100s is dropped: %s", topic, reason)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _receive_status(self, client_id: str, payload: bytes) -> None:
        assert self._devices is not None
        if not self._status_buckets.allow(client_id[:64], self._now()):
            self._drop("too many", f"device/{client_id}/Status")
            return
        status = parse_status(payload, self._tables)
        if isinstance(status, Nothing):
            return
        if isinstance(status, Rejected):
            self.counters.count("refused")
        self._devices.status(status)

    def _receive_proxy(self, client_id: str, payload: bytes) -> None:
        assert self._devices is not None
        topic = f"device/{client_id}/Proxy"
        if not self._proxy_buckets.allow(client_id[:64], self._now()):
            self._drop("too many", topic)
            return
        if not payload:
            return
        try:
            self._devices.proxy(client_id, parse_proxy(payload))
        except (BadPayload, BadProxy, ScopeRefused) as error:
            self._drop(str(error)[:200], topic, "Proxy refused")

    async def _command(self, payload: bytes) -> None:
        """Carry out a command; only subscribed to when the owner allows it (spec E.5)."""
        assert self._devices is not None
        if not self.config.allow_commands:
            return
        try:
            message = parse(payload)
        except BadPayload as error:
            self._drop(str(error), COMMAND_TOPIC, "command refused")
            return
        word = message.get("cmd") if isinstance(message, dict) else None
        client_id = message.get("clientId") if isinstance(message, dict) else None
        if word == "reload":
            self.reload()
        elif word == "list":
            text = json.dumps(await self._devices.description())
            self._publish(LIST_TOPIC, text, 0)
        elif word == "forget" and isinstance(client_id, str) and CLIENT_ID.fullmatch(client_id):
            try:
                await self._devices.forget(client_id)
            except NoSettings as error:
                _LOG.warning("%s: its settings are still there: %s", client_id, error)
        else:
            self._drop("no such command", COMMAND_TOPIC)

    # ---------------------------------------------------------------- own status

    def _status_changed(self) -> None:
        """Send the driver's own status soon; many changes at once are one message."""
        if not self._status_due:
            self._status_due = True
            asyncio.get_running_loop().call_later(0.1, self._send_status)

    def _send_status(self) -> None:
        self._status_due = False
        if self._client is None or self._devices is None:
            return
        text = json.dumps(
            {
                "state": "online",
                "version": VERSION,
                "portalId": self._devices.shared.portal_id,
                **self._devices.counts(),
                "types": sorted(self._tables.types),
                "features": FEATURES,
                "started": self._started,
            }
        )
        if text != self._status_text and self._client.publish(STATUS_TOPIC, text, retain=True):
            self._status_text = text

    # -------------------------------------------------------------------- config

    def reload(self) -> None:
        """Read the configuration again; a broken file changes nothing."""
        config, problems = read_config(self._config_path)
        if problems:
            _LOG.error("not reloaded: %s", "; ".join(problems))
            return
        config = self._overrides(config)
        other_broker = config.mqtt != self.config.mqtt
        commands = config.allow_commands != self.config.allow_commands
        self.config = config
        self._tables = load_tables(config)
        logging.getLogger().setLevel(config.log_level.upper())
        if self._devices is not None:
            self._devices.shared.reconfigure(config, self._tables)
            self._devices.reconfigured()
            self._status_changed()  # the types may be others
        if other_broker and self._client is not None:
            self._client.abort("another broker is configured")
        elif commands:
            (self._subscribe if config.allow_commands else self._unsubscribe)(COMMAND_TOPIC)
        _LOG.info("the configuration is read again")

    def dump(self) -> None:
        """Log where every task is, and how often what was dropped."""
        for reason, count in sorted(self.counters.items()):
            _LOG.warning("counted: %s %d", reason, count)
        dump_tasks()

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def load_tables(config: Config) -> Tables:
    """Return the tables; a types file that can't be used is reported and left out."""
    path = Path(config.types_file) if config.types_file is not None else None
    try:
        tables = load(path)
    except (OSError, BadTable) as error:
        _LOG.error("types_file is left out: %s", error)
        return load()
    for warning in tables.warnings:
        _LOG.warning("%s", warning)
    return tables


def dump_tasks() -> None:
    """Log where every task is."""
    tasks: list[asyncio.Task[Any]] = list(asyncio.all_tasks())
    for task in tasks:
        frames = task.get_stack(limit=4)
        places = [f"{it.f_code.co_name}:{it.f_lineno}" for it in frames]
        _LOG.warning("task %s: %s", task.get_name(), " < ".join(places))
