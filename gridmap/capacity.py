"""Capacity as a type: megawatts that know what they count, and refuse to be added to megawatts that count something else."""

from dataclasses import dataclass

import numpy as np

SUMMER_MONTHS = (5, 6, 7, 8, 9, 10)      # net summer ratings hold in the warm half-year, net winter ratings in the other
IN_SERVICE = ("OP", "SB")                # operating and standby; OS and OA are out of service, other statuses not built


@dataclass(frozen=True)
class Basis:
    """What a megawatt of capacity counts.

    rating: "nameplate", "summer", "winter", or "season" (the net rating of the hour's half-year).
    in_service: only units that can run (status in IN_SERVICE); else every operable unit, also those out of service.
    forced: less the forced outage rate. hourly: less the month's scheduled outages, and wind, sun, river and stored
    energy as they are in the hour. budgets: reservoirs and storage spend the energy they have (`budgets`).
    """

    name: str
    rating: str
    in_service: bool
    forced: bool
    hourly: bool
    says: str
    budgets: bool = False


BASES = {basis.name: basis for basis in (
    Basis("nameplate", "nameplate", False, False, False, "nameplate of every operable unit, those out of service included"),
    Basis("net_summer", "summer", False, False, False, "net summer rating of every operable unit, those out of service included"),
    Basis("net_winter", "winter", False, False, False, "net winter rating of every operable unit, those out of service included"),
    Basis("installed", "season", True, False, False, "net rating of the half-year of units operating or on standby"),
    Basis("unforced", "season", True, True, False, "installed, times one less the forced outage rate of the technology"),
    Basis("effective", "season", True, True, True,
          "unforced, less the month's scheduled outages, times the wind and sun of the hour; rivers at their historical "
          "capacity factor, reservoirs at capacity, storage at the power its energy holds for one hour"),
    Basis("budgeted", "season", True, True, True,
          "effective, but a reservoir has a month's water (its historical capacity factor: half of it released evenly, the rest at capacity in the "
          "hours of the highest net load of its interconnect) and storage one cycle a day (its power in those hours until its energy is spent)", True),
)}


@dataclass(frozen=True)
class Capacity:
    """mw: (...) float64 on `basis`, a name of BASES. Sums and differences of two bases raise TypeError."""

    mw: np.ndarray
    basis: str

    def __post_init__(self):
        if self.basis not in BASES:
            raise ValueError(f"capacity basis {self.basis!r} is unknown; choose one of {', '.join(BASES)}")
        object.__setattr__(self, "mw", np.asarray(self.mw, float))

    def __add__(self, other):
        return Capacity(self.mw + self._same(other), self.basis)

    def __sub__(self, other):
        return Capacity(self.mw - self._same(other), self.basis)

    def __mul__(self, factor):
        if isinstance(factor, Capacity):
            raise TypeError("MW times MW is no capacity; multiply by a number")
        return Capacity(self.mw * factor, self.basis)

    __rmul__ = __mul__

    def sum(self, axis=None):
        return Capacity(self.mw.sum(axis=axis), self.basis)

    def by_region(self, region, count):
        """Summed over the units of each region: region (N,) int, -1 for none -> (count,)."""
        inside = region >= 0
        return Capacity(np.bincount(region[inside], weights=self.mw[inside], minlength=count), self.basis)

    def _same(self, other):
        if not isinstance(other, Capacity):
            raise TypeError("capacity adds only to capacity; say on which basis the other is: Capacity(mw, basis)")
        if other.basis != self.basis:
            raise TypeError(f"{self.basis} and {other.basis} capacity can't be added; bring both to one basis first")
        return other.mw
