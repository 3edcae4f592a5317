"""Runs benchmarks by name, all without one, and prints one JSON object a line."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from . import Unavailable


def names() -> list[str]:
    """Return the benchmarks that there are."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def run(name: str) -> bool:
    """Run one benchmark and print its figures; says whether it ended well."""
    try:
        module = importlib.import_module(f"{__package__}.{name.replace('-', '_')}")
        for figures in module.run():
            print(json.dumps({"bench": name, **figures}), flush=True)
    except Unavailable as reason:
        print(json.dumps({"bench": name, "skipped": str(reason)}), flush=True)
    except Exception as error:  # noqa: BLE001 - the next benchmark has its turn all the same
        traceback.print_exc()
        print(json.dumps({"bench": name, "error": f"{type(error).__name__}: {error}"}), flush=True)
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks named; returns the exit status."""
    known = names()
    wanted = [argument.replace("_", "-") for argument in arguments] or known
    if unknown := [name for name in wanted if name not in known]:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    results = [run(name) for name in wanted]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
