"""Checks what the tests inside Home Assistant run: of each module of the integration 95 % or more.

    python script/covered.py DATA-FILE

The engines are left out: they have tests of their own, on an older Python.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

import coverage

LEAST = 95.0
ENGINES = "*/engines/*"


def main(data_file: str) -> int:
    """Print the figures; the exit code is 1 when a module is below the least."""
    data = coverage.Coverage(data_file=data_file)
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        total = data.json_report(outfile=str(report), omit=[ENGINES])
        files = json.loads(report.read_text())["files"]
    shares = {name: one["summary"]["percent_covered"] for name, one in files.items()}
    low = [name for name, share in shares.items() if share < LEAST]
    print(f"{len(shares)} modules, {total:.1f} % of lines and branches; the least covered:")
    for name in sorted(shares, key=shares.__getitem__)[: max(3, len(low))]:
        print(f"  {shares[name]:5.1f} %  {name}")
    if not low:
        return 0
    lines = io.StringIO()
    data.report(morfs=low, file=lines, show_missing=True)
    print(lines.getvalue(), file=sys.stderr)
    print(f"Below {LEAST:.0f} %: {', '.join(low)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
