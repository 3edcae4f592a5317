"""Runs benchmarks by name, all without one, and prints one JSON object a line.

``--help NAME`` says what a benchmark does, and what its figures mean.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
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


def about(name: str) -> str:
    """Return what a benchmark says of itself."""
    found = importlib.util.find_spec(f"{__package__}.{name.replace('-', '_')}")
    assert found is not None
    assert found.origin is not None
    text = ast.get_docstring(ast.parse(Path(found.origin).read_text(encoding="utf-8")))
    return f"{name}\n\n{text}"


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
    asks = {"-h", "--help"} & set(arguments)
    wanted = [one.replace("_", "-") for one in arguments if one not in asks]
    if unknown := [name for name in wanted if name not in known]:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    if asks:
        print("\n\n".join([about(name) for name in wanted] or [f"{__doc__}\n{', '.join(known)}"]))
        return 0
    results = [run(name) for name in wanted or known]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
