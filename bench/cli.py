"""The command line: how long until it answers, and the memory that this takes.

Each call is made ``BENCH_RUNS`` times (9); the median of the times and of the largest resident
memory counts. ``modules`` is how many are imported, of which ours.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

RUNS = int(os.environ.get("BENCH_RUNS", "9"))
CALLS: tuple[tuple[str, ...], ...] = (
    ("--help",),
    ("--version",),
    ("decode", "--help"),
    ("probe", "studer", "--help"),
    ("read", "studer", "--help"),
)
COUNT = (
    "import sys; sys.argv = ['hardwired', *sys.argv[1:]]\n"
    "from hardwired.cli.main import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "ours = [name for name in sys.modules if name.startswith('hardwired')]\n"
    "print(len(sys.modules), len(ours), file=sys.stderr)\n"
)


def _call(arguments: Sequence[str]) -> tuple[float, float]:
    """Return the milliseconds that a call took, and its memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hardwired", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"hardwired {' '.join(arguments)} ended with {process.returncode}")
    return seconds * 1000, used.ru_maxrss * 1024 / 1e6


def _modules(arguments: Sequence[str]) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *arguments], capture_output=True, text=True, check=False
    )
    words = done.stderr.split()
    return {"modules": int(words[-2]), "of_them_ours": int(words[-1])} if len(words) > 1 else {}


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures of each call; first those of Python itself."""
    bare = [_bare() for _ in range(RUNS)]
    yield {
        "call": "python -c pass",
        "ms": round(statistics.median(ms for ms, _ in bare), 1),
        "mb": round(statistics.median(mb for _, mb in bare), 1),
    }
    for arguments in CALLS:
        taken = [_call(arguments) for _ in range(RUNS)]
        yield {
            "call": f"hardwired {' '.join(arguments)}",
            "ms": round(statistics.median(ms for ms, _ in taken), 1),
            "mb": round(statistics.median(mb for _, mb in taken), 1),
            **_modules(arguments),
        }


def _bare() -> tuple[float, float]:
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return (time.perf_counter() - began) * 1000, used.ru_maxrss * 1024 / 1e6
