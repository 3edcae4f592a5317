"""What a plant of six Xtenders costs Home Assistant: recorder rows, changed values, loop time.

Home Assistant is that of the tests; its environment (``script/setup test``) must be there. An hour
of the plant is played on a clock that is turned by hand.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import Unavailable

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "ha" / "bin" / "python"


def run() -> Iterator[dict[str, Any]]:
    """Yield the figures, one after the other."""
    if not PYTHON.exists():
        raise Unavailable("no Home Assistant here: script/setup test makes it")
    done = subprocess.run(
        [str(PYTHON), "-m", "bench._ha_host"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
