"""Start of the simulator's own process: ``python -I process.py SETTINGS``.

The engines have no fixed package name, and modules beside their folder have names of the standard
library. So they are mounted here by path, under the name of the calling process.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "hardwired_engines"


def main() -> int:
    """Mount the engines and run; returns the exit code."""
    family = Path(__file__).resolve().parent.parent
    root = family.parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        return 1
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    runner = importlib.import_module(f"{PACKAGE}.{family.name}.simulator.runner")
    code: int = runner.run_child(sys.argv[1])
    return code


if __name__ == "__main__":
    sys.exit(main())
