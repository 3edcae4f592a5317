"""A GX to try things on: everything is started, said, shown, spoiled on order, and ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import sys
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, TextIO

from mqtt_devices.bus import Bus, BusError, BusLost, to_variant
from mqtt_devices.mqtt.client import Broker

from . import devices, drawing, faults, pictures, screen
from .devices.device import Device
from .objects import ITEM
from .processes import Missing, free_port
from .relay import Relay
from .rig import PORTAL_ID, Rig
from .words import speaker

PATIENCE = 45.0  # s in which all devices should be there
SETTLE = 3.0  # s until every device has sent values
HELP = """\
show                      what the display shows now
picture FILE.svg|.png     draw that into a file
set NAME PATH VALUE       write as the display: set sim_panel_ctl SwitchableOutput/light/State 1
add KIND, remove ID       a device more, or one less; kinds: {kinds}
fault NAME[:SECONDS]      spoil something: {faults}
"""

Say = Callable[[str], None]


class Wish(NamedTuple):
    """What is wanted. ``every``: seconds between pictures as text, 0 for none but the first.

    ``once``: end when all devices were shown. ``broker``: somebody else's broker, to be used
    instead of one of our own, which listens on ``host`` and ``port`` (0: any).
    """

    devices: tuple[str, ...] = devices.DEFAULT
    host: str = "127.0.0.1"
    port: int = 0
    broker: Broker | None = None
    picture: Path | None = None
    every: float = 10.0
    once: bool = False
    faults: tuple[str, ...] = ()
    python: str = sys.executable
    bundle: Path | None = None
    language: str = "en"


def check(wish: Wish) -> None:
    """Find out whether a wish can be carried out.

    Raises ValueError for words that mean nothing, Missing for a program that is not there.
    """
    devices.make(wish.devices)
    speaker(wish.language)
    for text in wish.faults:
        faults.read(text)
    if wish.picture is not None:
        pictures.check(wish.picture)


class Play:
    """One run."""

    def __init__(self, wish: Wish, folder: Path, say: Say) -> None:
        self._wish = wish
        self._folder = folder
        self._say = say
        self._in_words = speaker(wish.language)
        self._relay: Relay | None = None
        self._devices: dict[str, tuple[Device, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._shown = ""
        self.rig: Rig

    async def run(self) -> None:
        """Run until cancelled, or until all is shown. Raises Missing, OSError, TimeoutError."""
        try:
            await self._start()
            self._tell()
            for device in devices.make(self._wish.devices, self._in_words):
                self._add(device)
            self._spawn(self.rig.supervise())
            for text in self._wish.faults:
                self._order(f"fault {text}")
            watching = [self._spawn(self._watch()), self._spawn(self._listen())]
            if self._wish.once:
                watching.pop().cancel()
            await watching[0]
        finally:
            await self._end()

    async def _start(self) -> None:
        wish = self._wish
        broker = wish.broker
        if broker is None:
            hidden = free_port()
            self._relay = Relay("127.0.0.1", hidden)
            port = await self._relay.listen(wish.host, wish.port)
            reach = "127.0.0.1" if wish.host in ("", "0.0.0.0", "::") else wish.host  # noqa: S104
            front = Broker(reach, port)
            self.rig = Rig(self._folder, wish.python, wish.bundle, port=hidden, front=front)
        else:
            self.rig = Rig(self._folder, wish.python, wish.bundle, front=broker, foreign=True)
        self.rig.start()

    async def _end(self) -> None:
        for task in [*self._tasks, *(task for _, task in self._devices.values())]:
            task.cancel()
        waits = [*self._tasks, *(task for _, task in self._devices.values())]
        await asyncio.gather(*waits, return_exceptions=True)
        if self._relay is not None:
            await self._relay.close()
        if hasattr(self, "rig"):
            self.rig.stop()

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---------------------------------------------------------------------- words

    def _tell(self) -> None:
        front = self.rig.front
        login = f"-h {front.host} -p {front.port}"
        status = '{"clientId":"try","connected":1,"services":{"t":"temperature"}}'
        value = f"W/{PORTAL_ID}/switch/1/SwitchableOutput/light/State"
        touch = f"Do as the display:   mosquitto_pub {login} -t {value} -m '{{\"value\":1}}'\n"
        if "panel" not in self._wish.devices:
            touch = ""  # there is no such light
        if shutil.which("mosquitto_pub") is None:
            touch += "(for these: apt-get install mosquitto-clients, or any MQTT program)\n"
        whose = "this program's own" if self._wish.broker is None else "yours"
        self._say(
            f"A GX runs on this machine. Ctrl-C ends it.\n\n"
            f"  broker     {front.host}:{front.port}   ({whose}; point your device at it)\n"
            f"  portal id  {PORTAL_ID}\n"
            f"  D-Bus      {self.rig.bus.address}\n"
            f"  driver     its log: {self.rig.driver.log}\n\n"
            f"See what is said:    mosquitto_sub {login} -v -t 'device/#'\n"
            f"Register a device:   mosquitto_pub {login} -t device/try/Status -m '{status}'\n"
            f"{touch}"
            f"Home Assistant:      add Hardwired, Victron GX, with this host and port\n"
            f"Here:                type help\n"
        )

    # -------------------------------------------------------------------- devices

    def _add(self, device: Device) -> None:
        task = asyncio.get_running_loop().create_task(device.live(self.rig.front))
        self._devices[device.client_id] = (device, task)

    async def _remove(self, client_id: str) -> None:
        if client_id not in self._devices:
            there = ", ".join(self._devices)
            raise ValueError(f"there is no device {client_id!r}; there are: {there}")
        _, task = self._devices.pop(client_id)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _missing(self) -> list[str]:
        """Return the devices that have no reply yet."""
        return [key for key, (device, _) in self._devices.items() if not device.topics]

    # --------------------------------------------------------------------- screen

    async def trees(self) -> dict[str, screen.Tree]:
        """Return what is on D-Bus now; raises BusLost."""
        bus = await Bus.connect(self.rig.bus.address)
        try:
            return await screen.services(bus)
        finally:
            bus.close()

    async def _watch(self) -> None:
        end = time.monotonic() + PATIENCE
        while self._missing() and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
        if self._missing():
            text = "not there after {:.0f} s: {}".format(PATIENCE, ", ".join(self._missing()))
            if self._wish.once:
                raise TimeoutError(text)
            self._say(text)
        await asyncio.sleep(SETTLE)
        await self._show(again=True)
        if self._wish.picture is not None:
            await self._draw(self._wish.picture)
        while not self._wish.once:
            await asyncio.sleep(self._wish.every or 3600.0)
            if self._wish.every:
                await self._show(again=False)

    async def _show(self, again: bool) -> None:
        try:
            text = screen.picture(await self.trees())
        except (BusLost, BusError) as error:
            text = f"nothing is shown: {error}"
        if again or text != self._shown:
            self._say(text + "\n")
        self._shown = text

    async def _draw(self, path: Path) -> None:
        pictures.check(path)
        drawn = drawing.draw(screen.look(await self.trees()), self._in_words)
        await asyncio.get_running_loop().run_in_executor(None, pictures.write, drawn, path)
        self._say(f"drawn: {path}")

    # --------------------------------------------------------------------- orders

    async def _listen(self) -> None:
        """Take orders from the standard input, until it ends."""
        lines = await _lines(sys.stdin)
        while lines is not None:
            line = await lines.readline()
            if not line:
                return
            self._order(line.decode(errors="replace"))

    def _order(self, line: str) -> None:
        async def do() -> None:
            try:
                await self._do(*line.split(None, 3))
            except (ValueError, TypeError, Missing, OSError, BusLost, BusError) as error:
                wrong = "that is no order; type help" if isinstance(error, TypeError) else error
                self._say(f"not done: {wrong}")

        self._spawn(do())

    async def _do(self, word: str = "", *rest: str) -> None:
        if word == "show":
            await self._show(again=True)
        elif word == "picture" and len(rest) == 1:
            await self._draw(Path(rest[0]))
        elif word == "set" and len(rest) == 3:
            await self._set(*rest)
        elif word == "add" and len(rest) == 1:
            made = devices.make(rest, self._in_words)[0]
            if made.client_id in self._devices:
                raise ValueError(f"{made.client_id} is there already")
            self._add(made)
        elif word == "remove" and len(rest) == 1:
            await self._remove(rest[0])
        elif word == "fault" and len(rest) == 1:
            await self._fault(rest[0])
        elif word in ("help", "?"):
            kinds, names = ", ".join(sorted(devices.KINDS)), ", ".join(faults.FAULTS)
            self._say(HELP.format(kinds=kinds, faults=names))
        elif word:
            raise ValueError("that is no order; type help")

    async def _set(self, name: str, path: str, text: str) -> None:
        try:
            value = json.loads(text)
        except ValueError:
            value = text.strip()
        bus = await Bus.connect(self.rig.bus.address)
        try:
            full = [it for it in await bus.names() if it.endswith(f".mqtt_{name}")]
            if not full:
                raise ValueError(f"there is no service mqtt_{name}")
            code = (
                await bus.call(
                    full[0], "/" + path.strip("/"), ITEM, "SetValue", "v", [to_variant(value)]
                )
            )[0]
        finally:
            bus.close()
        words = {0: "taken", 1: "refused", 2: "refused: out of range"}
        self._say(f"{full[0]} /{path.strip('/')}: {words.get(code, code)}")

    async def _fault(self, text: str) -> None:
        fault, seconds = faults.read(text)
        self._say(f"fault: {fault.text}")
        await fault.play(faults.Scene(self.rig, self._relay, self.rig.front), seconds)
        self._say(f"over: {fault.text}")


async def _lines(source: TextIO) -> asyncio.StreamReader | None:
    """Return a reader of a text stream; None for one that is no terminal, pipe or socket."""
    try:
        mode = os.fstat(source.fileno()).st_mode
    except (OSError, ValueError):
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty()):
        return None
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    return reader
