"""What a simulation found, every number with its standard error."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gridmap import InputError
from gridmap.adequacy import tally
from gridmap.adequacy.system import KW

Z95 = 1.959963984540054  # 97.5 % of a normal variable lies below
_CLASSES = {"duration_h": ("durations", "durations_square", np.append(np.arange(tally.LONGEST + 1.0), np.inf)),
            "depth_mw": ("depths", "depths_square", np.concatenate([[0.0], tally.DEPTHS_KW / KW, [np.inf]]))}
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


class Hourly(np.ndarray):
    """(T,) numbers by hour; error (T,): the standard error of each. What is computed from it is a plain array."""

    error = None

    @classmethod
    def of(cls, values, error):
        hourly = np.asarray(values, float).view(cls)
        hourly.error = np.asarray(error, float)
        return hourly


NAMES = ("lole_hours", "lole_days", "lold", "lolf", "mean_duration_h", "eue_mwh", "neue_ppm", "cvar_mwh", "worst_mw")


class Place:
    """One region, group or the system. Each is an `Estimate` for the hours of the load:

    lole_hours: hours short. lole_days: days short at the day's tightest hour (least capacity over load). lold: days with any
    hour short. lolf: shortages that begin, seen from hour to hour (`exact` also counts those that begin and end within one). mean_duration_h: of a shortage (0 where there was none). eue_mwh, neue_ppm:
    energy not served, and of a million asked for. cvar_mwh: mean of it in the worst twentieth of the samples.
    worst_mw: mean of the worst hour. lolp (T,) with .error, lolp_error the same, eue_hour_mwh (T,), eue_hour_error for the system. durations: (337,)
    how many shortages lasted so many hours, the last 336 or more. LOLH is lole_hours under another name.
    """

    def __init__(self, result, row):
        self.name, self._result, self._row = result.places[row], result, row
        self.totals = result.totals[:, row]
        self.durations = result.durations[row]

    @property
    def lolp(self):
        n = len(self.totals)
        share = self._result.count[self._row] / n
        return Hourly.of(share, np.sqrt(share * (1 - share) / (n - 1)))

    @property
    def lolp_error(self):
        return self.lolp.error

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
    def eue_hour_error(self):
        if self._row != len(self._result.places) - 1:
            raise InputError("the error of every hour is kept for the system alone: ask result.system")
        step_mw, n = self._result.step / KW, len(self.totals)
        return np.sqrt(np.maximum(self._result.square * step_mw**2 / n - self.eue_hour_mwh**2, 0) / (n - 1))

    def distribution(self, what):
        """How long shortages last (what "duration_h") or how deep the hours short are ("depth_mw"): DataFrame, a row a class
        that occurred: from, upto (not in it; infinity for the last), a_year (mean number) and its error."""
        sums, squares = (getattr(self._result, name)[self._row] for name in _CLASSES[what][:2])
        edges, n = _CLASSES[what][2], len(self.totals)
        mean = sums / n
        table = pd.DataFrame(dict(zip(("from", "upto"), (edges[:-1], edges[1:]), strict=True)))
        table = table.assign(a_year=mean, error=np.sqrt(np.maximum(squares / n - mean**2, 0) / (n - 1)))
        return table[sums > 0].reset_index(drop=True)

    def controlled(self, name):
        """lole_hours, eue_mwh or neue_ppm with the control variate of the copper plate, an `Estimate`: the regression on what
        each sample lacks on it, moved to the exact mean (R. Y. Rubinstein, Simulation and the Monte Carlo Method, 1981). The
        plain one where the copper plate has no exact mean (`plate.expected`) or is never short. Other names are plain."""
        plain, expected = getattr(self, name), self._result.expected
        column = {"lole_hours": 0, "eue_mwh": 1, "neue_ppm": 1}.get(name)
        if column is None or expected is None:
            return plain
        x, y = self.totals[:, (tally.HOURS, tally.KWH)[column]].astype(float), self._result.plate[:, column].astype(float)
        n, spread = len(x), y.var()
        if n < 10 or spread == 0:
            return plain
        slope = ((x - x.mean()) * (y - y.mean())).mean() / spread
        rest = x - x.mean() - slope * (y - y.mean())
        moved = x.mean() - slope * (y.mean() - expected[column])
        scale = plain.value / x.mean() if x.mean() else 1.0
        return Estimate(float(moved * scale), float(np.sqrt((rest**2).sum() / (n - 2) / n) * scale), plain.signed)

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
    result.system are each a `Place`. samples, seed: what was drawn. totals ... worst_kw: sums, see `tally.Tally`.
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
    plate: np.ndarray
    square: np.ndarray
    step: int
    durations_square: np.ndarray
    depths: np.ndarray
    depths_square: np.ndarray
    worst: np.ndarray
    worst_kw: np.ndarray
    _expected: object = None

    @classmethod
    def of(cls, names, regions, samples, seed, tally, energy_mwh, expected):
        """The first samples of a Tally; expected: of the copper plate, or `plate.Later`."""
        state = tally.state(samples)
        return cls(names, regions, samples, seed, energy_mwh=energy_mwh, step=tally.step, _expected=expected, **state)

    @property
    def expected(self):
        """(hours, kWh) that the copper plate lacks a year, exactly; None where that is too long to compute."""
        return self._expected.value if hasattr(self._expected, "value") else self._expected

    def worst_hours(self):
        """DataFrame, the up to 100 worst hours of all samples, worst first: sample, hour (from 0), unserved_mw of the system,
        and a column of MW for each region."""
        table = pd.DataFrame(self.worst_kw / KW, columns=list(self.places[:self.regions]))
        table.insert(0, "unserved_mw", self.worst[:, 0] / KW)
        table.insert(0, "hour", self.worst[:, 2])
        table.insert(0, "sample", self.worst[:, 1])
        return table

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


PAIRED = {"lole_hours": (tally.HOURS, 1), "lole_days": (tally.PEAK_DAYS, 1), "lold": (tally.DAYS, 1), "lolf": (tally.EVENTS, 1), "eue_mwh": (tally.KWH, KW)}


def paired(after, before):
    """What changed between two results of one seed: DataFrame, a row a place of both, [place] and the differences of
    lole_hours, lole_days, lold, lolf and eue_mwh, each with the standard error of the pairs (draws that both share cancel)."""
    if (after.samples, after.seed) != (before.samples, before.seed):
        raise InputError(f"the results have {after.samples} and {before.samples} samples, seeds {after.seed} and {before.seed}: draw both alike")
    rows = []
    for name in (p for p in after.places if p in before.places):
        change = after[name].totals - before[name].totals
        found = {what: _mean(change[:, column] / unit) for what, (column, unit) in PAIRED.items()}
        rows.append({"place": name} | {k: v for what, e in found.items() for k, v in ((what, e.value), (f"{what}_error", e.error))})
    return pd.DataFrame(rows)


def _mean(samples):
    return Estimate(float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples))), bool((samples < 0).any()))
