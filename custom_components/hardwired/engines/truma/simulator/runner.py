"""Runs the simulated bus in a process of its own: a bus master has slots of milliseconds.

:func:`start` is what ``sim://?personality=...&time_scale=...&faults=...`` stands on; :func:`launch`
is the same with a handle to press the panel's buttons. :class:`Runner` is the loop itself; the
command line uses it directly. Standard library only.

What a query may hold besides the settings of ``simulator.make``: ``link`` (where the port's
symlink shall lie), ``port`` (an existing serial port instead of a pseudo-terminal), ``control``
(a Unix socket that takes orders, see ``simulator_orders``), ``log`` (a file in the format of the
recordings), ``memory`` (a file in which the panel keeps its registration), ``events`` (on: what
happens is told on standard output).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import termios
import time
import tty
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from ...engine import LinkError, Reason
from ...link.child_process import end_process, kill_process
from ...simulating import PtyPort
from ..node.responder import hurry
from .orders import Operator
from .world import TrumaSimulator, make

READY_WITHIN = 15.0
STOP_WITHIN = 3.0
LINE_CHECK = 0.05
READ_SIZE = 4096
BACKLOG = 2000
"""The most lines that wait for a slow reader; older events are dropped."""


def as_json(record: Mapping[str, Any]) -> str:
    """Return *record* as one line of JSON, bytes in hex."""
    return json.dumps(record, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    raise TypeError(f"{type(value).__name__} is not plain")


class Line(Protocol):
    """The device's end of a serial line."""

    path: str
    fd: int

    def plug(self) -> None:
        """Connect the line."""

    def unplug(self) -> None:
        """Disconnect the line."""


class PtyLine:
    """A pseudo-terminal behind a symlink, which survives unplugging."""

    def __init__(self, link: Path) -> None:
        self.path = str(link)
        self.fd = -1
        self._port = PtyPort(link)

    def plug(self) -> None:
        """Make a new terminal."""
        self.fd = self._port.plug()

    def unplug(self) -> None:
        """Close it; a program that has it open gets an error."""
        self._port.unplug()
        self.fd = -1


class SerialLine:
    """A serial port that exists, such as one end of a null modem cable."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1

    def plug(self) -> None:
        """Open the port: 9600 baud, 8N1, raw."""
        self.fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        settings = termios.tcgetattr(self.fd)
        settings[4] = settings[5] = termios.B9600
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)

    def unplug(self) -> None:
        """Close the port."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


class _Channel:
    """A source of orders, which gets their results. Never blocks the bus."""

    def __init__(
        self, reading: int, writing: int, *, events: bool, may_block: bool = False
    ) -> None:
        self.reading: int | None = reading
        self.writing = writing
        self.events = events
        self.closed = False
        self._incoming = bytearray()
        self._outgoing: deque[bytes] = deque()
        self._stays = may_block
        if not may_block:
            os.set_blocking(writing, False)

    @property
    def wants_to_write(self) -> bool:
        return bool(self._outgoing)

    def tell(self, record: Mapping[str, Any]) -> None:
        if len(self._outgoing) >= BACKLOG:
            del self._outgoing[0]
        self._outgoing.append(as_json(record).encode() + b"\n")
        self.flush()

    def flush(self) -> None:
        while self._outgoing:
            line = self._outgoing[0]
            try:
                written = os.write(self.writing, line)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            if written < len(line):
                self._outgoing[0] = line[written:]
                return
            self._outgoing.popleft()

    def orders(self) -> list[str]:
        """Return the complete lines that have come; marks the channel closed at its end."""
        if self.reading is None:
            return []
        try:
            data = os.read(self.reading, READ_SIZE)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.reading = None
            self.closed = not self._stays
            return []
        self._incoming += data
        *lines, rest = bytes(self._incoming).split(b"\n")
        self._incoming[:] = rest[-READ_SIZE:]
        return [line.decode(errors="replace") for line in lines if line.strip()]


class Runner:
    """The loop: bus, line, orders. Made from a query; raises :class:`ValueError`."""

    def __init__(self, query: Mapping[str, str], line: Line) -> None:
        self._memory = Path(query["memory"]) if "memory" in query else None
        settings = make(query)
        if self._memory is not None and self._memory.exists():
            kept = json.loads(self._memory.read_text(encoding="utf-8"))
            settings = replace(settings, registered=kept["registered"], box_nad=kept["nad"])
        self._log: TextIO | None = None
        if "log" in query:
            self._log = open(query["log"], "w", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115
        self.simulator = TrumaSimulator(settings, on_event=self._on_event, on_log=self._on_log)
        self.line = line
        self.stopping = False
        self._operator = Operator(self.simulator)
        self._channels: list[_Channel] = []
        self._sockets: dict[int, socket.socket] = {}
        self._listener: socket.socket | None = None
        if "control" in query:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            Path(query["control"]).unlink(missing_ok=True)
            self._listener.bind(query["control"])
            self._listener.listen()
            self._listener.setblocking(False)
        self._control = query.get("control")
        self._somebody = False
        self._checked = 0.0

    def add_channel(
        self, reading: int, writing: int, *, events: bool, may_block: bool = False
    ) -> _Channel:
        """Take orders from one descriptor, write the answers to another."""
        channel = _Channel(reading, writing, events=events, may_block=may_block)
        self._channels.append(channel)
        return channel

    def run(self, leash: Callable[[], bool] = lambda: True) -> None:
        """Run until *leash* returns false, or :attr:`stopping` is set."""
        gc.collect()
        gc.freeze()
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        try:
            self.line.plug()
            self._tell({"event": "ready", "port": self.line.path})
            while not self.stopping and leash():
                self._turn()
        finally:
            self.close()

    def close(self) -> None:
        """Disconnect the line and close everything."""
        self.line.unplug()
        for channel in self._channels:
            channel.flush()
        for connection in self._sockets.values():
            connection.close()
        if self._listener is not None and self._control is not None:
            self._listener.close()
            Path(self._control).unlink(missing_ok=True)
        if self._log is not None:
            self._log.close()

    # ---------------------------------------------------------------- one turn

    def _turn(self) -> None:
        """Wait for the first event, read, and only then advance the bus."""
        now = time.monotonic()
        self._look_at_line(now)
        due = self.simulator.next_due(now)
        wait = LINE_CHECK if due is None else min(max(0.0, due - now), LINE_CHECK)
        readers = [channel.reading for channel in self._channels if channel.reading is not None]
        if self._listener is not None:
            readers.append(self._listener.fileno())
        if self._somebody:
            readers.append(self.line.fd)
        writers = [channel.writing for channel in self._channels if channel.wants_to_write]
        readable, writable, _ = select.select(readers, writers, [], wait)
        now = time.monotonic()
        if self._somebody and self.line.fd in readable:
            self._read(now)
        if data := self.simulator.transmit(now):
            self._write(data)
        for channel in self._channels:
            if channel.writing in writable:
                channel.flush()
            if channel.reading in readable:
                for order in channel.orders():
                    self._obey(channel, order)
        if self._listener is not None and self._listener.fileno() in readable:
            self._accept(self._listener)
        self._drop_closed()

    def _look_at_line(self, now: float) -> None:
        """Plug and unplug, and check whether the port is open."""
        if self.simulator.hung_up != (self.line.fd < 0):
            if self.simulator.hung_up:
                self.line.unplug()
                self._nobody(now)
            else:
                self.line.plug()
        if now - self._checked < LINE_CHECK:
            return
        self._checked = now
        somebody = False
        if self.line.fd >= 0:
            poll = select.poll()
            poll.register(self.line.fd, select.POLLIN)
            events = poll.poll(0)
            # A pseudo-terminal that is not open is hung up, and select would return at once.
            somebody = not (events and events[0][1] & (select.POLLHUP | select.POLLERR))
        if somebody != self._somebody:
            self._somebody = somebody
            if somebody:
                self.simulator.connected(now)
            else:
                self.simulator.disconnected(now)

    def _write(self, data: bytes) -> None:
        if not self._somebody:
            return
        try:
            os.write(self.line.fd, data)
        except BlockingIOError:
            # The other end does not read: old bytes are lost, as on a real line.
            with contextlib.suppress(termios.error):
                termios.tcflush(self.line.fd, termios.TCOFLUSH)
        except OSError:
            self._nobody(time.monotonic())

    def _nobody(self, now: float) -> None:
        if self._somebody:
            self._somebody = False
            self.simulator.disconnected(now)

    def _read(self, now: float) -> None:
        try:
            data = os.read(self.line.fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._nobody(now)
            return
        self.simulator.receive(data, now)

    # ---------------------------------------------------------------- orders and events

    def _obey(self, channel: _Channel, order: str) -> None:
        now = time.monotonic()
        word = order.strip().strip('{}" ')
        if word in ("stop", "events"):
            self.stopping = self.stopping or word == "stop"
            channel.events = channel.events or word == "events"
            channel.tell({"ok": True})
            return
        channel.tell(self._operator.carry_out(order, now))

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            descriptor = connection.fileno()
            self._sockets[descriptor] = connection
            self.add_channel(descriptor, descriptor, events=False)

    def _drop_closed(self) -> None:
        for channel in [channel for channel in self._channels if channel.closed]:
            self._channels.remove(channel)
            connection = self._sockets.pop(channel.writing, None)
            if connection is not None:
                connection.close()

    def _tell(self, record: Mapping[str, Any]) -> None:
        for channel in self._channels:
            if channel.events or record["event"] == "ready":
                channel.tell(record)

    def _on_event(self, record: Mapping[str, Any]) -> None:
        if record["event"] == "registered" and self._memory is not None:
            kept = {"registered": record["registered"], "nad": record["nad"]}
            self._memory.write_text(json.dumps(kept), encoding="utf-8")
        self._tell(record)

    def _on_log(self, text: str) -> None:
        if self._log is not None:
            self._log.write(text + "\n")


def run_child(text: str) -> int:
    """Run in the child process: *text* is the query as JSON; ends with standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hurry()
    query = json.loads(text)
    parent = os.getppid()
    try:
        runner = Runner(query, _line(query))
        leash = runner.add_channel(0, 1, events=query.get("events") == "on")
        signal.signal(signal.SIGTERM, lambda *_: setattr(runner, "stopping", True))
        runner.run(lambda: not leash.closed and os.getppid() == parent)
    except (OSError, ValueError, termios.error) as error:
        print(as_json({"event": "failed", "error": str(error)}), flush=True)  # noqa: T201
        return 1
    return 0


def _line(query: Mapping[str, str]) -> Line:
    return SerialLine(query["port"]) if "port" in query else PtyLine(Path(query["link"]))


class RunningSimulator:
    """A simulator in its own process. ``port`` is the serial port to open."""

    def __init__(self, process: asyncio.subprocess.Process, port: str, folder: str | None) -> None:
        self.port = port
        self.process = process
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG)
        self._folder = folder
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._one_order = asyncio.Lock()
        self._listening = asyncio.ensure_future(self._listen())

    async def order(self, text: str) -> dict[str, Any]:
        """Give an order of ``simulator_orders``; raises :class:`ValueError` when it is refused."""
        async with self._one_order:
            assert self.process.stdin is not None
            self.process.stdin.write(text.encode() + b"\n")
            await self.process.stdin.drain()
            answer = await self._answers.get()
        if not answer.pop("ok"):
            raise ValueError(answer["error"])
        return answer

    @property
    def ended(self) -> bool:
        """Whether the process is gone: somebody has killed it."""
        return self.process.returncode is not None

    async def stop(self) -> None:
        """End the process and wait for it."""
        try:
            await end_process(self.process, STOP_WITHIN)  # its input is its leash
        finally:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            record = json.loads(line)
            if "event" not in record:
                await self._answers.put(record)
                continue
            if self.events.full():
                self.events.get_nowait()
            self.events.put_nowait(record)
        await self._answers.put({"ok": False, "error": "the simulator has ended"})


def _child() -> list[str]:
    """Return how the simulator's process is started; of a one-file build it is imported."""
    script = Path(__file__).with_name("process.py")
    if script.exists():
        return [sys.executable, "-I", str(script)]
    archive = next(str(folder) for folder in script.parents if folder.is_file())
    code = f"import sys; sys.path.insert(0, {archive!r}); from {__name__} import run_child; "
    return [sys.executable, "-I", "-c", f"{code}sys.exit(run_child(sys.argv[1]))"]


async def launch(query: Mapping[str, str]) -> RunningSimulator:
    """Start a simulator in its own process. Raises :class:`LinkError` when it does not start."""
    query = dict(query)
    folder = None
    if "port" not in query and "link" not in query:
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="hardwired-truma-")
        query["link"] = str(Path(folder) / "panel")
    process = await asyncio.create_subprocess_exec(
        *_child(),
        json.dumps(query),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN):
            line = await process.stdout.readline()
        first = json.loads(line or '{"event": "failed", "error": "it ended at once"}')
        if first["event"] != "ready":
            raise LinkError(Reason.BAD_ADDRESS, f"the simulator: {first.get('error')}")
    except BaseException as error:
        await kill_process(process)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, TimeoutError):
            raise LinkError(Reason.FAILED, "the simulator does not start") from error
        raise
    return RunningSimulator(process, first["port"], folder)


async def start(query: Mapping[str, str]) -> tuple[str, Callable[[], Awaitable[None]]]:
    """Start a simulator from a ``sim://`` URL's query: the port's path, and the way to stop it."""
    running = await launch(query)
    return running.port, running.stop


def foreground(query: Mapping[str, str], on_ready: Callable[[], None] | None = None) -> bool:
    """Run in this process until interrupted: orders on standard input, events on its output.

    Returns whether SIGTERM has ended it. *on_ready* is called when there is a port to open. Raises
    :class:`ValueError` before that for a query that is wrong.
    """
    runner = Runner(query, _line(query))
    # A bus master that is held up makes our own answers look late.
    hurry()
    if on_ready is not None:
        on_ready()
    runner.add_channel(0, 1, events=True, may_block=True)
    terminated = []

    def stop(*_: object) -> None:
        runner.stopping = True
        terminated.append(True)

    signal.signal(signal.SIGTERM, stop)
    runner.run()
    return bool(terminated)
