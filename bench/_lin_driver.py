"""The driving side of a LIN bus on a pseudo-terminal: a process of its own, with little jitter.

Usage: ``python -m bench._lin_driver latency FD HEADERS`` or ``... traffic FD SECONDS PACED``.
Prints one line of JSON at the end. Imports nothing but the standard library.
"""

from __future__ import annotations

import gc
import json
import os
import select
import sys
import time

POLL = b"\x00\x55\xd8"
ANSWER = 9
SLOT = 0.01
PATIENCE_MS = 60
BYTE = 10 / 9600
BUS_SLOT = 0.05
READY_WITHIN = 20.0

SCHEDULE: tuple[tuple[int, str], ...] = (
    (0x03, "680bffffffffffff"),
    (0xC4, "aa0affffffffffff"),
    (0x85, "01ffffffffffffff"),
    (0x06, "0000ffffffffffff"),
    (0x47, "0100ffffffffffff"),
    (0x49, "ffffffffffffffff"),
    (0xD6, "000f690b860c7785"),
    (0x97, ""),
    (0xD8, ""),
    (0x3C, "0104b8100300ffff"),
    (0x7D, "0103f80303ffffff"),
)
"""The legacy schedule with a heater: identifier, and the data of whoever answers it."""


def hurry() -> str:
    """Ask for as little jitter as may be had; returns what was granted."""
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(30))
    except OSError:
        return "normal"
    return "fifo"


def checksum(data: bytes, pid: int) -> int:
    total = 0 if pid in (0x3C, 0x7D) else pid
    for byte in data:
        total += byte
        if total > 255:
            total -= 255
    return 255 - total


def wait_for_answers(fd: int, poll: select.poll) -> None:
    """Poll until somebody answers, then let the line calm down."""
    end = time.monotonic() + READY_WITHIN
    answered = 0
    while answered < 20:
        if time.monotonic() > end:
            raise SystemExit("nobody answers on the bus")
        os.write(fd, POLL)
        if poll.poll(100):
            os.write(fd, whole(fd, poll))
            answered += 1
        time.sleep(0.03)


def whole(fd: int, poll: select.poll) -> bytes:
    """Read an answer to its end; a program may write it in pieces."""
    answer = os.read(fd, 64)
    while len(answer) < ANSWER and poll.poll(PATIENCE_MS):
        answer += os.read(fd, 64)
    return answer


def latency(fd: int, headers: int) -> dict[str, object]:
    """Ask *headers* times; return each answer's delay in milliseconds, and how many were none."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    wait_for_answers(fd, poll)
    clock, write, wait = time.perf_counter, os.write, poll.poll
    delays: list[float] = []
    missing = 0
    for _ in range(headers):
        began = clock()
        write(fd, POLL)
        if wait(PATIENCE_MS):
            answer = whole(fd, poll)
            delays.append((clock() - began) * 1000)
            write(fd, answer)
        else:
            missing += 1
        left = SLOT - (clock() - began)
        time.sleep(max(left, 0.001))
    return {"delays_ms": delays, "unanswered": missing}


def traffic(fd: int, seconds: float, *, paced: bool) -> dict[str, object]:
    """Be a panel and its heater for so long, at the bus's own speed."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    frames = answers = 0
    due = time.monotonic()
    end = due + seconds
    while due < end:
        for pid, known in SCHEDULE:
            due += BUS_SLOT
            time.sleep(max(0.0, due - time.monotonic()))
            send(fd, bytes((0, 0x55, pid)), paced=paced)
            data = b""
            if known:
                content = bytes.fromhex(known)
                data = content + bytes((checksum(content, pid),))
            elif poll.poll(15):
                data = os.read(fd, 64)
                answers += 1
            if data:
                frames += 1
                send(fd, data, paced=paced)
    return {"frames": frames, "answers": answers}


def send(fd: int, data: bytes, *, paced: bool) -> None:
    """Put bytes on the wire: all at once, or each in its own time as a UART without a FIFO does."""
    if not paced:
        os.write(fd, data)
        return
    due = time.monotonic()
    for byte in data:
        due += BYTE
        time.sleep(max(0.0, due - time.monotonic()))
        os.write(fd, bytes((byte,)))


def main(arguments: list[str]) -> None:
    what, fd = arguments[0], int(arguments[1])
    scheduling = hurry()
    if what == "latency":
        found = latency(fd, int(arguments[2]))
    else:
        found = traffic(fd, float(arguments[2]), paced=arguments[3] == "paced")
    print(json.dumps({**found, "driver": scheduling}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
