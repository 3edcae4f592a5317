"""Live capture beside 30 000 other packets a second: reports lost, share of a core.

Two connected interfaces in a network namespace; the sender is a process of its own. With the
kernel's filter on the port, and with its default, which lets every TCP packet through.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import Unavailable

ROOT = Path(__file__).parent.parent
RATE = 30_000
SECONDS = 10
FILTERS = ("port 51100", "")


def run() -> Iterator[dict[str, Any]]:
    """Measure with each filter."""
    for program in ("unshare", "ip"):
        if shutil.which(program) is None:
            raise Unavailable(f"the program {program} is needed to make a network namespace")
    # Without root, a user namespace of our own gives the capability, where the system allows it.
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        raise Unavailable("the system allows no network namespace: run as root")
    for expression in FILTERS:
        command = [*unshare, sys.executable, "-m", "bench._live_receiver", str(RATE), str(SECONDS)]
        done = subprocess.run(
            [*command, expression], cwd=ROOT, check=True, capture_output=True, text=True
        )
        yield {"filter": expression, **json.loads(done.stdout.splitlines()[-1])}
