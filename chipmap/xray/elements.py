"""X-ray spectrum -> elements and composition: lines fitted on a background, overlaps as overlaps, Poisson errors.

Line energies, weights, edges and yields (`lines.csv`) are those of W. T. Elam, B. D. Ravel, J. R. Sieber, Radiat.
Phys. Chem. 63, 121 (2002), as XrayDB 4.5.8 (MIT) holds them; Mz lines weigh 9 % of Ma, as measured on gold. Shares of
the mass are standardless and rough: they say what is there, not how much.
"""

import csv
import functools
import pathlib
from dataclasses import dataclass

import numpy as np

from chipmap import InputError, materials

HERE = pathlib.Path(__file__).parent
LOWEST, OVERVOLTAGE = 120.0, 1.15  # eV, and beam energy over edge, from which a line is looked for
NOISE_FWHM, FANO_EV = 45.0, 0.45   # of the detector: FWHM^2 = noise^2 + 2.3548^2 * FANO_EV * energy
MISFIT = 0.02   # of a peak's height that shape and position of the fitted lines may be off
SEEN = 4.0      # standard errors above which an element is there
CLEAR = 0.3     # of the background under it, that a peak must hold: what is clipped is not exact
MAIN, LEAST_COUNTS = 0.02, 0.01  # shares of the estimated mass, and of the counts, above which it is a main element
COATING = 0.05  # share of the counts below which carbon is the coating
_LEVELS = {"K": 1.0, "L3": 1.0, "L2": 0.5, "L1": 0.3, "M5": 1.0, "M4": 0.6, "M3": 0.2, "M2": 0.1, "M1": 0.1}  # rough, vacancies


@dataclass(frozen=True)
class Family:
    """Lines of one element from one shell: energies (eV), shares (sum 1), and the edge that must be ionised (eV)."""

    element: str
    shell: str
    energy: np.ndarray
    share: np.ndarray
    edge: float
    yield_: float

    @property
    def main(self):
        return float(self.energy[self.share.argmax()])


@dataclass(frozen=True)
class Peaks:
    """What `fit` found. families: F of them. counts, error: (F,) net counts and standard error (Poisson, and overlap).

    energy_ev: (N,) as
    fitted. background, model: (N,) counts a channel. overlaps: pairs of families whose counts are correlated below -0.5.
    """

    families: list
    counts: np.ndarray
    error: np.ndarray
    energy_ev: np.ndarray
    background: np.ndarray
    model: np.ndarray
    overlaps: list


@functools.cache
def families():
    """All `Family`s of the table, in the order of the elements."""
    rows = {}
    with open(HERE / "lines.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault((row["element"], row["level"][0]), []).append(row)
    return [_family(element, shell, group) for (element, shell), group in rows.items()]


def _family(element, shell, group):
    outer = {"K": "K", "L": "L3", "M": "M5"}[shell]
    share = np.array([float(r["weight"]) * (_LEVELS[r["level"]] * (float(r["fluorescence_yield"]) if shell != "K" else 1)) for r in group])
    top = next((r for r in group if r["level"] == outer), group[0])
    return Family(element, shell, np.array([float(r["energy_ev"]) for r in group]), share / share.sum(),
                  float(top["edge_ev"]), float(top["fluorescence_yield"]))


def width_ev(energy_ev):
    """Standard deviation of the detector's peak at an energy, eV."""
    return np.sqrt((NOISE_FWHM / 2.3548) ** 2 + FANO_EV * np.asarray(energy_ev, float))


def background(spectrum, rounds=24):
    """(N,) counts of the slow part: peaks are clipped (SNIP; C. G. Ryan et al., Nucl. Instrum. Methods B 34, 396 (1988))."""
    step = float(np.diff(spectrum.energy_ev).mean())
    low = np.log(np.log(np.sqrt(np.maximum(_smoothed(spectrum.counts), 0) + 1) + 1) + 1)
    reach = np.maximum(2.6 * width_ev(np.maximum(spectrum.energy_ev, 0)) / step, 2)
    place = np.arange(len(low))
    for share in np.linspace(1, 0.08, rounds):
        k = np.maximum(np.rint(share * reach).astype(int), 1)
        around = (low[np.maximum(place - k, 0)] + low[np.minimum(place + k, len(low) - 1)]) / 2
        low = np.minimum(low, around)
    return (np.exp(np.exp(low) - 1) - 1) ** 2 - 1


def _smoothed(counts):
    return np.convolve(np.pad(counts, 2, "edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")


def fit(spectrum, elements=None):
    """`Peaks`: non-negative weighted least squares of all lines that the beam can excite, on the background.

    elements: symbols to fit, all of the table by default. Weights hold Poisson noise and a misfit of 2 % of the height.
    Raises InputError for a spectrum without beam energy or counts.
    """
    from scipy.optimize import nnls
    if spectrum.kv is None:
        raise InputError("the spectrum does not say its beam energy: add #BEAMKV to the file")
    if not spectrum.counts.sum() > 0:
        raise InputError("the spectrum holds no counts: export it again")
    chosen = [f for f in families() if (elements is None or f.element in elements)
              and f.main >= LOWEST and f.edge * OVERVOLTAGE < 1e3 * spectrum.kv and f.main < spectrum.energy_ev[-1]]
    slow = background(spectrum)
    use = (spectrum.energy_ev > LOWEST) & (spectrum.energy_ev < min(1e3 * spectrum.kv, spectrum.energy_ev[-1]))
    net = spectrum.counts - slow
    sigma = np.sqrt(np.maximum(_smoothed(spectrum.counts), 1) + (MISFIT * np.maximum(_near_maximum(net, spectrum), 0)) ** 2)
    energy = spectrum.energy_ev.astype(float)
    for _ in range(4):  # the calibration in the file is off by some eV
        shapes = np.array([shape_of(energy, f) for f in chosen]).T
        weighted = shapes[use] / sigma[use, None]
        counts, _ = nnls(weighted, net[use] / sigma[use])
        energy = energy + _shift(energy, net, shapes @ counts, sigma, use)
    normal = weighted.T @ weighted
    inverse = np.linalg.inv(normal + 1e-9 * np.diag(np.diag(normal)))
    error = np.sqrt(np.diag(inverse))
    correlation = inverse / np.outer(error, error)
    overlaps = [(chosen[i], chosen[j]) for i in range(len(chosen)) for j in range(i) if correlation[i, j] < -0.5]
    return Peaks(chosen, counts, error, energy, slow, slow + shapes @ counts, overlaps)


@dataclass(frozen=True)
class Named:
    """main: {symbol: rough share of the mass, standardless}. hidden: elements that the lines of a main one cover.

    traces: the other elements seen, by counts, largest first.
    """

    main: dict
    hidden: list
    traces: list


def name_elements(peaks, kv):
    """`Named`: which elements a spectrum is mainly of.

    An element is there when the innermost shell that the beam excites well is seen: an L line without the K line that
    would have to go with it is a misfit of something else. It is a main one from 1 % of the fitted counts and 2 % of the
    estimated mass; carbon from 5 % of the counts, below which it is the coating it mostly is. Lines within 1.5 widths of
    an element of ten times the counts are hidden: there or not, they could not be told (Ti and N, Si and Ta or W).
    """
    seen, total = {}, peaks.counts.sum()
    for element in dict.fromkeys(f.element for f in peaks.families):
        own = [i for i, f in enumerate(peaks.families) if f.element == element]
        best = max((i for i in own if 1.4 * peaks.families[i].edge < 1e3 * kv), key=lambda i: peaks.families[i].edge, default=own[0])
        clear = peaks.counts[best] > CLEAR * _under(peaks, peaks.families[best])
        if clear and peaks.counts[best] > SEEN * peaks.error[best]:
            seen[element] = peaks.families[best], peaks.counts[best], sum(peaks.counts[i] for i in own)
    hidden = [e for e in seen if any(_covers(peaks, other, e, seen) for other in seen if other != e)]
    mass = {e: counts / _generated(family, kv) for e, (family, counts, _) in seen.items() if e not in hidden}
    whole = sum(m for e, m in mass.items() if seen[e][1] > LEAST_COUNTS * total)
    main = {e: m / whole for e, m in mass.items() if m > MAIN * whole and seen[e][1] > (COATING if e == "C" else LEAST_COUNTS) * total}
    rest = sorted((e for e in seen if e not in main and e not in hidden), key=lambda e: -seen[e][1])
    return Named(dict(sorted(main.items(), key=lambda item: -item[1])), hidden, rest)


def _under(peaks, family):
    """Background counts within two standard deviations of the family's main line."""
    return peaks.background[np.abs(peaks.energy_ev - family.main) < 2 * width_ev(family.main)].sum()


def _covers(peaks, strong, weak, seen):
    family, counts, _ = seen[weak]
    if seen[strong][2] < 10 * counts:
        return False
    lines = np.concatenate([f.energy[f.share > 0.01] for f in peaks.families if f.element == strong])
    return bool((np.abs(lines - family.main) < 1.5 * 2.3548 * width_ev(family.main)).any())


def _generated(family, kv):
    """Photons that leave a pure element per mass share, in a common unit: yield times ionisation times detection.

    Detection falls below 1 keV (window, absorption in the sample) as 1 / (1 + (800 eV / E)^2.5): a rough mean.
    """
    weight = materials.elements()[family.element][1]
    u = 1e3 * kv / family.edge
    electrons = {"K": 2, "L": 4, "M": 6}[family.shell]
    ionised = np.log(u) / u**0.9 / (family.edge / 1e3) ** 2
    return electrons * family.yield_ / weight * ionised / (1 + (800 / family.main) ** 2.5)


def _shift(energy, net, model, sigma, use):
    """Linear change of the energy scale that brings the model's peaks over the measured ones, at most 10 eV."""
    slope = np.gradient(model, energy) / sigma
    rows = np.stack([slope, slope * energy / 1e4])[:, use]
    # model(E + d) = model + slope d
    normal = rows @ rows.T
    a, b = np.linalg.solve(normal + 1e-6 * np.trace(normal) * np.eye(2), rows @ ((net - model) / sigma)[use])
    return np.clip(a + b * energy / 1e4, -10, 10)


def shape_of(energy_ev, family):
    """(N,) counts a channel of one count in the family: its lines, and silicon's escape peak."""
    step = float(np.diff(energy_ev).mean())
    lines = [(e, s) for e, s in zip(family.energy, family.share)]
    lines += [(e - 1740.0, 0.006 * s) for e, s in lines if e > 1840]
    return sum(step * s / (w * np.sqrt(2 * np.pi)) * np.exp(-0.5 * ((energy_ev - e) / w) ** 2) for (e, s) in lines for w in [width_ev(e)])


def _near_maximum(net, spectrum):
    """Largest net count within a peak's width: where the misfit of a strong line may reach."""
    from scipy.ndimage import maximum_filter1d
    return maximum_filter1d(_smoothed(net), int(2 * 2.5 * 60 / np.diff(spectrum.energy_ev).mean()) | 1)
