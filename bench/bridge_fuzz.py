"""Hostile MQTT messages against every dialect: ``BENCH_CASES`` (1,000,000) of them, seeded.

Each may be a wish, a request, a command topic of an old program, a reply of a GX, or nonsense. No
exception, no wish that its field would not take, nothing that could not be sent; and the memory
does not grow. Fails with the message that did it.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._bridge_fuzz import Fuzz

CASES = int(os.environ.get("BENCH_CASES", "1000000"))
SEED = int(os.environ.get("BENCH_SEED", "1"))
ROUNDS = 10
PAGE = os.sysconf("SC_PAGE_SIZE")


def _rss() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE / 1e6


def run() -> Iterator[dict[str, Any]]:
    """Yield how far it is, then the sums."""
    logging.disable(logging.CRITICAL)
    try:
        fuzz = Fuzz(SEED)
        began, held = time.perf_counter(), 0.0
        for number in range(ROUNDS):
            fuzz.run(CASES // ROUNDS)
            if number == 0:
                held = _rss()
        seconds = time.perf_counter() - began
        yield {
            "seed": SEED,
            **dict(fuzz.counts),
            "seconds": round(seconds, 1),
            "us_per_case": round(seconds / max(1, fuzz.counts["cases"]) * 1e6, 1),
            "worst_ms": round(fuzz.worst[0] * 1000, 1),
            "worst": fuzz.worst[1],
            "grown_mb": round(_rss() - held, 1),
        }
    finally:
        logging.disable(logging.NOTSET)
