"""The responder: a process of its own that keeps the LIN deadline (spec c.2).

It is started by file path with nothing but the standard library, so that no other Python code can
delay it. It owns the serial port, answers from :class:`~.inet.box.Box`, and talks to the engine in
the lines of :mod:`.messages`: orders come in on standard input, what was heard goes out on standard
output. When standard input ends, so does the process; when the engine's process dies while this one
is stopped, the system ends it: there are never two responders.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import select
import signal
import struct
import sys
import termios
import time
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .messages import Order, Report

STALL = 0.015
"""A header that may have waited longer than this in the buffer is not answered any more."""
TICK_MS = 11
"""Milliseconds between two reads of the line, which bound the age of what is found."""
LONG_TICK_MS = 60
BYTEWISE = 30
"""Number of single bytes after which a header's first byte tells how old the rest may be."""
BYTE = 10 / 9600
DAY = 86400.0
LONGEST_REST = 0.006
"""No header comes within this time after another node's answer begins, so we may sleep."""
DEADLINE = 0.00375
ALIVE_EVERY = 0.15
BUFFER_LIMIT = 1 << 18
READ_SIZE = 4096

ASYNC_LOW_LATENCY = 0x2000
TIOCGSERIAL, TIOCSSERIAL = 0x541E, 0x541F
LATENCY_TIMERS = "/sys/bus/usb-serial/devices"
SHORT_LATENCY_MS = 2

REASONS = {2: "not_found", 13: "no_permission", 1: "no_permission", 16: "busy", 11: "busy"}


PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
NAME = b"hardwired-truma"
"""What lists of processes call us, and who is told that the port is busy. 15 bytes at most."""
EARLIEST_YEAR, LATEST_YEAR = 2025, 2037
"""A system clock outside these years was never set; such a time is written into no panel."""


def load() -> tuple[types.ModuleType, types.ModuleType, types.ModuleType, types.ModuleType]:
    """Import our neighbours without importing the packages above them."""
    package = types.ModuleType("truma_responder")
    family = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    package.__path__ = [family]
    sys.modules[package.__name__] = package
    from truma_responder.inet import (  # type: ignore[import-not-found] # noqa: PLC0415
        box,
        rules,
    )
    from truma_responder.lin import (  # type: ignore[import-not-found] # noqa: PLC0415
        frames,
    )
    from truma_responder.node import (  # type: ignore[import-not-found] # noqa: PLC0415
        messages,
    )

    return box, rules, frames, messages


class Port:
    """A serial line at 9600 8N1: raw, exclusive, with the lowest latency that the driver allows."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.realpath(path).startswith("/dev/pts/"):
            # On a pseudo-terminal the flag would stay after us and lock out the next process.
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.fd, termios.TIOCEXCL)
        self._make_raw()
        self.low_latency = self._hurry(path)

    def _make_raw(self) -> None:
        flags = termios.tcgetattr(self.fd)
        flags[0] = 0
        flags[1] = 0
        flags[2] = termios.CREAD | termios.CLOCAL | termios.CS8
        flags[3] = 0
        flags[4] = flags[5] = termios.B9600
        flags[6][termios.VMIN], flags[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.fd, termios.TCSANOW, flags)
        termios.tcflush(self.fd, termios.TCIOFLUSH)

    def _hurry(self, path: str) -> bool | None:
        """Have bytes delivered at once; ``None``: the driver has no setting for it."""
        done = None
        with contextlib.suppress(OSError, struct.error):
            raw = bytearray(fcntl.ioctl(self.fd, TIOCGSERIAL, b"\0" * 128))
            (flags,) = struct.unpack_from("=i", raw, 16)
            struct.pack_into("=i", raw, 16, flags | ASYNC_LOW_LATENCY)
            fcntl.ioctl(self.fd, TIOCSSERIAL, bytes(raw))
            done = True
        timer = f"{LATENCY_TIMERS}/{os.path.basename(os.path.realpath(path))}/latency_timer"  # noqa: PTH119
        with contextlib.suppress(OSError), open(timer, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1")
        # The driver's present setting counts, whoever has made it.
        with (
            contextlib.suppress(OSError, ValueError),
            open(timer, encoding="ascii") as file,  # noqa: PTH123
        ):
            done = int(file.read()) <= SHORT_LATENCY_MS
        return done


def hurry() -> str:
    """Ask for real-time scheduling; return what was granted."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
        return "fifo"
    with contextlib.suppress(OSError):
        os.nice(-10)
        return "nice"
    return "normal"


def die_with(parent: int) -> bool:
    """Have the system end us when the engine's process dies; whether it is still there."""
    with contextlib.suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(PR_SET_NAME, NAME, 0, 0, 0)
    return not parent or os.getppid() == parent


class Talk:
    """Lines to and from the engine; never waits for it."""

    def __init__(self, messages: types.ModuleType) -> None:
        self.messages = messages
        self.alone = False
        """Whether nobody reads any more."""
        os.set_blocking(0, False)
        os.set_blocking(1, False)
        self._out = bytearray()
        self._in = b""
        self.dropped = 0

    def say(self, report: Report, now: float = 0.0) -> None:
        """Queue a report; when the engine does not read, they are dropped and counted."""
        if len(self._out) > BUFFER_LIMIT:
            self.dropped += 1
            return
        self._out += self.messages.write_report(report, now)

    def flush(self) -> None:
        """Write what the pipe takes now."""
        if self._out:
            try:
                written = os.write(1, self._out)
                del self._out[:written]
            except BlockingIOError:
                pass
            except OSError:
                # The engine's end is closed: what ends us is that standard input has ended, too.
                self.alone = True
                self._out.clear()

    def lost(self, message: str) -> int:
        """Report that the port is gone; returns the exit code."""
        self.say(self.messages.Lost("disconnected", message))
        self.flush()
        return 3

    def hear(self) -> list[Order] | None:
        """Return the orders that have arrived; ``None`` when the engine is gone."""
        try:
            data = os.read(0, 65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        *lines, self._in = (self._in + data).split(b"\n")
        if len(self._in) > BUFFER_LIMIT:
            self._in = b""
        return [order for line in lines if (order := self.messages.read_order(line)) is not None]


class Responder:
    """The loop: read, answer, report."""

    def __init__(self, config: Mapping[str, Any], modules: tuple[types.ModuleType, ...]) -> None:
        box, self._rules, frames, self._messages = modules
        self._frame = frames.LinFrame
        self._offset = float(config.get("offset", 0))
        self.box = box.Box(
            counter=int(config.get("counter", 0)),
            init_request=bool(config.get("init_request", True)),
            observer=bool(config.get("observer", False)),
            nad=int(config.get("nad", box.BOX_NAD)),
            identity=box.Identity(config.get("identity", "box")),
            now_fields=self._now_fields,
            quiet_until=time.monotonic() + float(config.get("quiet_for", 0)),
            baselines={
                int(key): bytes.fromhex(value) for key, value in config.get("baselines", {}).items()
            },
        )
        self.worst = 0.0
        self.late = 0

    def _now_fields(self) -> dict[str, int]:
        """Return the time of now. Raises ``RuleError`` while the system's clock is not set."""
        moment = time.gmtime(time.time())
        if not EARLIEST_YEAR <= moment.tm_year <= LATEST_YEAR:
            raise self._rules.RuleError("clock_not_set", year=str(moment.tm_year))
        moment = time.gmtime(time.time() + self._offset)
        return {"hours": moment.tm_hour, "minutes": moment.tm_min, "seconds": moment.tm_sec}

    def run(self, port: Port, talk: Talk) -> int:  # noqa: C901 - the loop that keeps the deadline
        """Live until the engine goes or the port is lost; returns the exit code."""
        gc.collect()
        gc.freeze()
        gc.disable()
        poll = select.poll()
        poll.register(port.fd, select.POLLIN | select.POLLERR | select.POLLHUP)
        poll.register(0, select.POLLIN | select.POLLHUP)
        monotonic, read = time.monotonic, os.read
        box = self.box
        previous = monotonic()
        next_alive = 0.0
        alone = 0
        while True:
            ready = poll.poll(LONG_TICK_MS if alone > BYTEWISE else TICK_MS)
            now = monotonic()
            # What is read now has come after the previous read; this bounds its age.
            looked, previous = previous, now
            for fd, _ in ready:
                if fd == 0:
                    if not self._obey(talk):
                        return 0
                    continue
                try:
                    data = read(fd, READ_SIZE)
                    answer = box.hear(data, now, late=now - looked > STALL)
                    if answer:
                        if self._answer(fd, answer, now, looked):
                            frame = self._frame(box.receiver.pid, answer[:-1])
                            talk.say(self._messages.Sent(frame), now)
                    elif not data:
                        return talk.lost("the port has hung up")
                    alone = alone + 1 if len(data) == 1 else 0
                    previous = self._rest(fd, now)
                except BlockingIOError:
                    pass
                except OSError as error:
                    return talk.lost(str(error))
            urgent = bool(ready) and self._report(talk, previous)
            if now >= next_alive:
                next_alive = now + ALIVE_EVERY
                box.tick(now)
                self._report(talk, previous)
                talk.say(self.facts(now, talk))
                urgent = True
            if urgent:
                talk.flush()
            if talk.alone:
                return 0

    def _rest(self, fd: int, now: float) -> float:
        """Sleep while another node's answer comes in; returns the time of the last read.

        What is read in here may be old: no header in it is answered.
        """
        box = self.box
        while outstanding := box.receiver.outstanding:
            time.sleep(min(outstanding * BYTE, LONGEST_REST))
            now = time.monotonic()
            try:
                data = os.read(fd, READ_SIZE)
            except BlockingIOError:
                break
            if not data:
                break
            box.receive(data, now, late=True)
        return now

    def _answer(self, fd: int, answer: bytes, now: float, looked: float) -> bool:
        """Write *answer*, unless its header, which came after *looked*, may be too old by now.

        *now* is when we woke for it; from then on the latency counts.
        """
        box = self.box
        if time.monotonic() - looked > STALL:
            box.skipped()
            return False
        try:
            os.write(fd, answer)
        except BlockingIOError:
            box.skipped()
            return False
        took = time.monotonic() - now
        box.sent(answer, now)
        self.worst = max(self.worst, took)
        if took > DEADLINE:
            self.late += 1
        return True

    def _obey(self, talk: Talk) -> bool:
        orders = talk.hear()
        if orders is None:
            return False
        messages, now = self._messages, time.monotonic()
        for order in orders:
            if isinstance(order, messages.Wish):
                self.box.take(order.group, order.values, order.parts, now, order.terms)
            elif isinstance(order, messages.Refresh):
                self.box.refresh(now)
            elif isinstance(order, messages.SetOffset):
                if abs(order.seconds) <= DAY:
                    self._offset = order.seconds
            elif isinstance(order, messages.End):
                return False
        return True

    def _report(self, talk: Talk, now: float) -> bool:
        """Queue what has happened; says whether it is more than frames, which can wait.

        *now* is when the line was last read.
        """
        urgent = False
        for event in self.box.events():
            talk.say(event, now)
            urgent = urgent or not hasattr(event, "frame")
        return urgent

    def facts(self, now: float, talk: Talk) -> Any:
        """Return the counters and the state."""
        return self._messages.BusFacts.read(
            {
                **self.box.facts(now),
                "late": self.late,
                "worst_ms": round(self.worst * 1000, 3),
                "dropped_reports": talk.dropped,
            }
        )


def main() -> int:
    """Open the port and answer; returns the exit code."""
    # Ctrl-C in a terminal reaches us as well as the engine, which then ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = json.loads(sys.argv[1])
    if not die_with(int(config.get("parent", 0))):
        return 0
    modules = load()
    messages = modules[-1]
    talk = Talk(messages)
    try:
        port = Port(config["port"])
    except (OSError, termios.error) as error:
        number = error.errno if isinstance(error, OSError) else None
        told = f"{config['port']}: {error.args[-1]}"
        talk.say(messages.Lost(REASONS.get(number or 0, "bad_address"), told))
        talk.flush()
        return 2
    responder = Responder(config, modules)
    talk.say(messages.Hello(port.low_latency, hurry()))
    talk.flush()
    return responder.run(port, talk)


if __name__ == "__main__":
    sys.exit(main())
