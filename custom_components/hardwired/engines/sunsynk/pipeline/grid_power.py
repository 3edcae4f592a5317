"""Notices an inverter that counts its grid power in units of 10 W (spec d.1).

Some units of 8, 10 and 16 kW do. Nothing in a report says so, but other registers measure the same
power in watts: the phases, and the balance of inverter, grid and loads.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..dongle.layouts import Values

LARGE_INVERTER = 12_000
"""Rated power in W from which it is likely."""
LEAST_POWER = 200.0
"""W; less is too little to tell a factor of ten from an error of measurement."""
TOLERANCE = 0.15
EVIDENCE = 3
"""Proofs in a row that are needed once a report has spoken against it, or by the meter alone.

While none has, the phases or the balance prove it with one report.
"""


@dataclass(slots=True)
class GridPowerCheck:
    """What the reports of one inverter say for and against it."""

    proofs: int = 0
    against: bool = False
    """The last report that could tell spoke against it."""
    doubted: bool = False
    """A report has spoken against it at some time."""
    rated: float | None = None
    shown: int | None = None
    measured: int | None = None
    """The last pair of powers that proved it: as the inverter counts, and in W."""

    def update(self, values: Values) -> None:
        """Take the values of a report as they came."""
        rated = values.get("rated_power")
        if isinstance(rated, (int, float)):
            self.rated = float(rated)
        grid = values.get("grid_power")
        if not isinstance(grid, int):
            return
        for true in (_phases(values), _balance(values)):
            if true is None or abs(true) < LEAST_POWER:
                continue
            if near(grid, true):
                self.proofs, self.against, self.doubted = 0, True, True
                return
            if near(10 * grid, true):
                self._prove(grid, true, 1 if self.doubted else EVIDENCE)
        meter = values.get("grid_power_ct")
        if isinstance(meter, int) and abs(meter) >= LEAST_POWER and near(10 * grid, meter):
            self._prove(grid, meter, 1)

    def _prove(self, grid: int, true: int, weight: int) -> None:
        self.proofs, self.against = min(self.proofs + weight, EVIDENCE), False
        self.shown, self.measured = grid, true

    @property
    def suggested(self) -> bool:
        """Whether the owner should be asked."""
        likely = self.rated is not None and self.rated > LARGE_INVERTER
        return not self.against and (self.proofs >= EVIDENCE or likely)


def near(power: float, true: float) -> bool:
    """Whether two measurements of one power agree."""
    return abs(power - true) <= TOLERANCE * abs(true)


def _phases(values: Values) -> int | None:
    """Return the grid power that the two phases make up, in W."""
    first, second = values.get("grid_power_l1"), values.get("grid_power_l2")
    return first + second if isinstance(first, int) and isinstance(second, int) else None


def _balance(values: Values) -> int | None:
    """Return the grid power that loads and inverter make up, in W."""
    load, inverter = values.get("load_power"), values.get("inverter_power")
    return load - inverter if isinstance(load, int) and isinstance(inverter, int) else None
