"""Benchmarks: one module each, with a function ``run() -> Iterator[dict]``.

Every dictionary becomes one line of JSON; the unit is in the key (``packets_per_s``, ``p999_ms``,
``peak_mib``). ``script/bench capture-live`` runs the module ``capture_live``. Modules whose names
begin with an underscore are no benchmarks.
"""

from __future__ import annotations


class Unavailable(Exception):
    """The benchmark can't run on this machine; the text says why."""
