"""What a simulation found, every number with its standard error."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy import tally
from gridmap.adequacy.system import KW

Z95 = 1.959963984540054  # 97.5 % of a normal variable lies below
TAIL = 0.05  # cvar_mwh is the mean of this share of the samples, the worst ones


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error; low, high: the 95 % interval (not below 0 for what can't be)."""

    value: float
    error: float
    signed: bool = False

    @property
    def low(self):
        low = self.value - Z95 * self.error
        return low if self.signed else max(low, 0.0)

    @property
    def high(self):
        return self.value + Z95 * self.error


NAMES = ("lole_hours", "lole_days", "lold", "lolf", "mean_duration_h", "eue_mwh", "neue_ppm", "cvar_mwh", "worst_mw")


class Place:
    """One region, group or the system. Each is an `Estimate` for the hours of the load:

    lole_hours: hours short. lole_days: days short at the day's tightest hour (least capacity over load). lold: days with any
    hour short. lolf: shortages that begin, seen from hour to hour (`exact` also counts those that begin and end within one). mean_duration_h: of a shortage (0 where there was none). eue_mwh, neue_ppm:
    energy not served, and of a million asked for. cvar_mwh: mean of it in the worst twentieth of the samples.
    worst_mw: mean of the worst hour. lolp, lolp_error, eue_hour_mwh: (T,). durations: (337,) how many shortages lasted so
    many hours, the last 336 or more.
    """

    def __init__(self, result, row):
        self.name, self._result, self._row = result.places[row], result, row
        self.totals = result.totals[:, row]
        self.durations = result.durations[row]

    @property
    def lolp(self):
        return self._result.count[self._row] / len(self.totals)

    @property
    def lolp_error(self):
        return np.sqrt(self.lolp * (1 - self.lolp) / (len(self.totals) - 1))

    @property
    def eue_hour_mwh(self):
        return self._result.kwh[self._row] / len(self.totals) / KW

    lole_hours = property(lambda self: _mean(self.totals[:, tally.HOURS]))
    lole_days = property(lambda self: _mean(self.totals[:, tally.PEAK_DAYS]))
    lold = property(lambda self: _mean(self.totals[:, tally.DAYS]))
    lolf = property(lambda self: _mean(self.totals[:, tally.EVENTS]))
    eue_mwh = property(lambda self: _mean(self.totals[:, tally.KWH] / KW))
    worst_mw = property(lambda self: _mean(self.totals[:, tally.WORST] / KW))

    @property
    def neue_ppm(self):
        energy, eue = float(self._result.energy_mwh[self._row]), self.eue_mwh
        return Estimate(1e6 * eue.value / energy, 1e6 * eue.error / energy) if energy else Estimate(0.0, 0.0)

    @property
    def mean_duration_h(self):
        """A ratio of means; its error to first order."""
        hours, events = (self.totals[:, c].astype(float) for c in (tally.HOURS, tally.EVENTS))
        if not events.any():
            return Estimate(0.0, 0.0)
        ratio = hours.sum() / events.sum()
        return Estimate(float(ratio), _mean(hours - ratio * events).error / float(events.mean()))

    @property
    def cvar_mwh(self):
        """Mean of the worst `TAIL`; its error by the mean of what exceeds the quantile (A. A. Trindade et al., 2007)."""
        mwh = self.totals[:, tally.KWH] / KW
        quantile = np.quantile(mwh, 1 - TAIL)
        beyond = _mean(np.maximum(mwh - quantile, 0))
        return Estimate(float(quantile) + beyond.value / TAIL, beyond.error / TAIL)


@dataclass(frozen=True)
class Result:
    """What `simulate` returns. places: names of the R regions, then of the groups, then "system"; result["A"] and
    result.system are each a `Place`. samples, seed: what was drawn. totals, count, kwh, durations: sums, see `tally.Tally`.
    energy_mwh (P,): what each place asked for."""

    places: tuple
    regions: int
    samples: int
    seed: int
    totals: np.ndarray
    count: np.ndarray
    kwh: np.ndarray
    durations: np.ndarray
    energy_mwh: np.ndarray

    def __getitem__(self, name):
        if str(name) not in self.places:
            raise InputError(f"{name!r} is no region and no group: there are {', '.join(self.places[:20])}")
        return Place(self, self.places.index(str(name)))

    @property
    def system(self):
        return Place(self, len(self.places) - 1)

    def table(self):
        """DataFrame, a row a place: place, kind (region, group, system), each of NAMES and each with _error."""
        rows = []
        for i, name in enumerate(self.places):
            found = {n: getattr(Place(self, i), n) for n in NAMES}
            kind = "region" if i < self.regions else "group" if i < len(self.places) - 1 else "system"
            rows.append({"place": name, "kind": kind} | {k: v for n, e in found.items() for k, v in ((n, e.value), (f"{n}_error", e.error))})
        return pd.DataFrame(rows)


def paired(after, before):
    """What changed between two results of one seed: DataFrame, a row a place of both, [place] and the differences of
    lole_hours, lolf and eue_mwh, each with the standard error of the pairs (draws that both share cancel)."""
    if (after.samples, after.seed) != (before.samples, before.seed):
        raise InputError(f"the results have {after.samples} and {before.samples} samples, seeds {after.seed} and {before.seed}: draw both alike")
    rows = []
    for name in (p for p in after.places if p in before.places):
        change = after[name].totals - before[name].totals
        row = {"place": name}
        for what, column, unit in (("lole_hours", tally.HOURS, 1), ("lolf", tally.EVENTS, 1), ("eue_mwh", tally.KWH, KW)):
            found = _mean(change[:, column] / unit)
            row |= {what: found.value, f"{what}_error": found.error}
        rows.append(row)
    return pd.DataFrame(rows)


def _mean(samples):
    return Estimate(float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples))), bool((samples < 0).any()))
