"""The InfluxDB pipeline alone in a process, to be killed at any moment.

``killed_sink.py SPOOL PORT FIRST``: offers points from the number FIRST on; prints after each
transaction the number up to which all are accepted.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from hardwired.config.reader import read_config
from hardwired.influx.http import HttpSender
from hardwired.influx.pipeline import Pipeline, Plan
from hardwired.influx.target import target_of
from hardwired.influx.worker import ThreadWorker
from hardwired_engines.clock import SystemClock
from hardwired_engines.storage import MemoryStorage

BEGIN = 1_790_000_000_000_000_000


def line(number: int) -> str:
    return f"m,n={number % 7} v={number} {BEGIN + number * 1_000_000_000}"


def settings(port: int) -> dict[str, object]:
    text = (
        '[devices.x]\nfamily = "truma"\nlink = "sim://"\n[sinks.s]\ntype = "influxdb"\n'
        f'version = 1\nurl = "http://127.0.0.1:{port}"\ndatabase = "db"\ntimeout = 5\n'
    )
    found: dict[str, object] = read_config(text.encode()).value["sinks"]["s"]
    return found


async def main(path: Path, port: int, first: int) -> None:
    logging.getLogger("hardwired").addHandler(logging.NullHandler())  # an outage is meant
    clock = SystemClock()
    pipeline = Pipeline(
        "s",
        Plan(path=path, flush=0.02, batch=50, rate=100_000),
        HttpSender(target_of(settings(port)), clock.now),
        clock,
        store=MemoryStorage(),
        spool_worker=ThreadWorker("spool"),
        send_worker=ThreadWorker("send"),
        jitter=lambda: 0.05,  # many tries in a short life
    )
    task = asyncio.create_task(pipeline.run())
    while not pipeline.opened:
        await asyncio.sleep(0.001)
    base = pipeline.spool_state.counters.accepted
    number, told = first, 0
    while not task.done():
        for _ in range(20):
            pipeline.offer(line(number))
            number += 1
        await asyncio.sleep(0.005)
        accepted = pipeline.spool_state.counters.accepted - base
        if accepted != told:
            told = accepted
            sys.stdout.write(f"{first + accepted - 1}\n")
            sys.stdout.flush()
    task.result()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
