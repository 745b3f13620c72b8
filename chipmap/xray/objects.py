"""X-ray counts of every object -> how likely each material makes them, and the mass shares of the elements, with errors.

An object's spectrum (or its counts in the maps' windows) is compared with what XPP predicts of each material without
standards. Lines that lie over each other (Si K with Ta M and W M, Cu K with Ta L, Ti L with N K) are fitted, or predicted
into each other's windows, together: what they cannot tell apart comes out as errors that go with each other, and as a
posterior that stays divided.

Limit: an object must hold map pixels that see nothing else, and the map must be as sharp as its pixels are small. At 20 kV
X-rays come from a micrometre or so around the beam: objects of nanometres are seen alone in thin lamellae only, where
absorption is less than it is taken for here.
"""

from dataclasses import dataclass

import numpy as np

from chipmap import materials
from chipmap.xray import elements as xray
from chipmap.xray.composition import intensity
from chipmap.xray.maps import counted
from chipmap.xray.spectrum import Spectrum

TAKE_OFF = 40.0        # degrees, where no file says it
MODEL = {"K": 0.15, "L": 0.25, "M": 0.25}  # relative standard uncertainty of a predicted intensity above 1 keV
SOFT_EV, SOFT = 1000.0, 0.6   # below, windows and ice decide: uncertainty there
SCALED, SCALES = 0.7, np.geomspace(1 / 4, 4, 9)  # of a map that was brightened by itself: spread of the logarithm of its scale, and those tried
COMMON = 0.3           # one dose for all pixels: relative spread of the counts an object gets for what it is
STRAY = 0.03           # of a pure element's counts: what a neighbour may add
COATING = 0.2          # of pure carbon's counts: what the conductive coating and the beam's own dirt may add
CROSSTALK, SOFT_CROSSTALK = 0.3, 1.0  # of the counts of lines over each other: how far they may be shared out wrongly; below 1 keV
CONTINUUM, CONTINUUM_SD = 8.5e-14, 0.5  # background of `intensity` per eV and (Z (E0 - E) / E), bundled spectra; and its relative sd
WINDOW = 1.0           # half-width of a map's window, in full widths at half maximum
FEWEST = 2             # pure map pixels that make evidence


@dataclass(frozen=True)
class XrayEvidence:
    """log: (K, M) log-likelihood of each candidate, 0 where an object has no pure map pixel. pixels: (K,) of those.

    counts, error: (K, F) of each family (spectrum image) or window (maps), net of the fitted background in the first case.
    families: F. share, share_error: (K, E) mass shares of `elements`, NaN without evidence. overlaps: for each object pairs
    of elements whose amounts cannot be told apart well (correlation below -0.5 and more than half in doubt).
    """

    log: np.ndarray
    pixels: np.ndarray
    families: list
    counts: np.ndarray
    error: np.ndarray
    elements: list
    share: np.ndarray
    share_error: np.ndarray
    counting_error: np.ndarray
    overlaps: list
    notes: list

    def of(self, k):
        """What is known of object k, for results: {} without evidence."""
        if self.pixels[k] < FEWEST:
            return {}
        shares = {e: {"mass_share": float(s), "standard_uncertainty": float(d), "counting_error": float(c)} for e, s, d, c in
                  zip(self.elements, self.share[k], self.share_error[k], self.counting_error[k]) if s > max(0.01, 2 * d)}
        lines = {f"{f.element} {f.shell}": {"counts": float(c), "standard_uncertainty": float(d)} for f, c, d in
                 zip(self.families, self.counts[k], self.error[k]) if c > 2 * d}
        return {"map_pixels": int(self.pixels[k]), "lines": lines, "composition": shares, "not_told_apart": self.overlaps[k]}


def measure_objects(maps, placement, labels, names, kv=None):
    """`XrayEvidence` of objects from an `xray_maps.XrayMaps` laid on the picture.

    labels: (H, W) int, object 0..K-1. names: M candidates. kv: beam energy, 20 where neither it nor the maps say.
    """
    kv = maps.kv or kv or 20.0
    count = int(labels.max()) + 1
    home = pure_pixels(maps.counts.shape[1:], placement, labels)
    maps = counted(maps, home)
    pixels = np.bincount(home[home >= 0], minlength=count)
    shares = [materials.find(n).mass_fractions for n in names]
    sums = _sums(maps.counts, home, count)
    if maps.lines is None:
        families, view, y, chance = _fit_spectra(sums, maps.energy_ev, kv, {e for s in shares for e in s})
        floor = np.zeros((len(names), len(families)))
    else:
        families, view, y = maps.lines, _windows(maps.lines, kv), sums
        chance = [np.diag(np.maximum(row, 1.0)) for row in sums]
        floor = np.array([_continuum(s, families, kv) for s in shares])
    lines = [f for f in xray.families() if f.main < 1e3 * kv] if maps.lines is not None else families
    pure = np.array([[_detected(f, s, kv) for f in lines] for s in shares])
    scale = max((pure @ view.T).sum(1).max(), 1e-300)  # a dose of 1 is one photon a pixel of the brightest material
    pure, floor = pure / scale, floor / scale
    model = _Model(pure @ view.T, np.sqrt((pure * [_model_sd(f) for f in lines]) ** 2 @ (view**2).T), floor, _stray(pure @ view.T, families))
    cov = [c + _misfit(row, families) for c, row in zip(chance, y)] if maps.lines is None else chance
    log = _likelihoods(model, y, cov, pixels, maps.scaled)
    elements = sorted({f.element for f in families} & {e for s in shares for e in s}, key=lambda e: materials.elements()[e][0])
    share, error, counting, overlaps = _compositions(y, cov, chance, pixels, shares, log, elements, lines, view, kv, families)
    sd = np.sqrt(np.array([np.diag(c) for c in cov]))
    return XrayEvidence(log, pixels, families, y, sd, elements, share, error, counting, overlaps, maps.notes)


def pure_pixels(shape, placement, labels, samples=5):
    """(h, w) int: object that a map pixel and half a pixel around it see alone, -1 where it sees several or leaves the picture."""
    reach = [1.0 + placement.sd_px / s for s in (placement.scale_y, placement.scale_x)]
    steps = np.linspace(-1, 1, samples)
    home = None
    for a in steps:
        for b in steps:
            rows = np.floor(placement.top + placement.scale_y * (np.arange(shape[0]) + 0.5 + a * reach[0])).astype(int)
            columns = np.floor(placement.left + placement.scale_x * (np.arange(shape[1]) + 0.5 + b * reach[1])).astype(int)
            inside = ((rows >= 0) & (rows < labels.shape[0]))[:, None] & ((columns >= 0) & (columns < labels.shape[1]))[None]
            here = labels[np.clip(rows, 0, labels.shape[0] - 1)[:, None], np.clip(columns, 0, labels.shape[1] - 1)[None]]
            # the frame of the picture is no border: what is seen outside of it is unknown, and taken to go on
            here = np.where(inside, here, -2)
            home = here if home is None else np.where((home == here) | (here == -2), home, np.where(home == -2, here, -1))
    return np.where(home == -2, -1, home)


@dataclass(frozen=True)
class _Model:
    """mean, sd: (M, F) counts a pixel for one unit of dose, and their doubt; floor: (M, F) continuum in a map's window.

    stray: (F,) standard deviation of what comes from elsewhere.
    """

    mean: np.ndarray
    sd: np.ndarray
    floor: np.ndarray
    stray: np.ndarray

    def whole(self):
        return self.mean + self.floor, np.hypot(self.sd, CONTINUUM_SD * self.floor)


def _sums(counts, home, count):
    """(K, L) counts of each object's pure pixels."""
    use = home.ravel() >= 0
    place = home.ravel()[use]
    return np.stack([np.bincount(place, c.ravel()[use], count) for c in counts], axis=1)


def _detected(family, shares, kv):
    return intensity(family, shares, kv, TAKE_OFF) / (1 + (800 / family.main) ** 2.5)  # window and contamination: rough


def _model_sd(family):
    return SOFT if family.main < SOFT_EV else MODEL[family.shell]


def _stray(mean, families):
    return np.array([(COATING if f.element == "C" else STRAY) for f in families]) * mean.max(0)


def _under(families):
    """(F, F) share of each other family (column) that lies within a width of a family's main line (row)."""
    table = np.zeros((len(families), len(families)))
    for i, line in enumerate(families):
        half = WINDOW * 2.3548 * xray.width_ev(line.main)
        for j, f in enumerate(families):
            table[i, j] = 0 if i == j else float(f.share @ _inside(f.energy, line.main, half))
    return table


def _misfit(y, families):
    """(F, F) covariance of what more photons don't mend: shapes of lines, and lines over each other being shared out wrongly.

    The sum of two such lines is known better than their difference.

    Of the L lines of light metals it is the shape itself that is unknown: absorption edges stand between them (Ti L over N K).
    """
    under = _under(families)
    cov = np.diag((xray.MISFIT * np.maximum(y, 0)) ** 2)
    for i, j in zip(*np.nonzero(np.triu(np.maximum(under, under.T) > 0.1, 1))):
        off = SOFT_CROSSTALK if min(families[i].main, families[j].main) < SOFT_EV else CROSSTALK
        step = (off * max(under[i, j], under[j, i]) * (max(y[i], 0) + max(y[j], 0))) ** 2
        cov[[i, j], [i, j]] += step
        cov[[i, j], [j, i]] -= step
    return cov


def _inside(energy, middle, half):
    from scipy.special import ndtr
    w = xray.width_ev(energy)
    return ndtr((middle + half - energy) / w) - ndtr((middle - half - energy) / w)


def _windows(lines, kv):
    """(L, F) share of each family of the table that falls into each map's window."""
    families = [f for f in xray.families() if f.main < 1e3 * kv]
    table = np.zeros((len(lines), len(families)))
    for i, line in enumerate(lines):
        half = WINDOW * 2.3548 * xray.width_ev(line.main)
        for j, f in enumerate(families):
            table[i, j] = float(f.share @ _inside(f.energy, line.main, half))
    return np.where(table < 1e-4, 0, table)


def _continuum(shares, lines, kv):
    z = sum(c * materials.elements()[e][0] for e, c in shares.items())
    e = np.array([f.main for f in lines])
    width = 2 * WINDOW * 2.3548 * xray.width_ev(e)
    return CONTINUUM * z * np.maximum(1e3 * kv - e, 0) / e * width / (1 + (1500 / e) ** 2)


def _fit_spectra(sums, energy_ev, kv, elements):
    """(families, identity, net counts (K, F), covariances K x (F, F)) of every object's spectrum, by weighted least squares.

    The background has the shape of the whole picture's, and each object its own share of it; weights are the model's.
    """
    total = sums.sum(0)
    peaks = xray.fit(Spectrum(total, energy_ev, kv), set(elements) | {"C", "O"})
    families = peaks.families
    use = (energy_ev > xray.LOWEST) & (energy_ev < min(1e3 * kv, energy_ev[-1]))
    slow = np.maximum(peaks.background, 1e-3 * max(peaks.background.max(), 1e-9))
    shapes = np.array([*(xray.shape_of(peaks.energy_ev, f) for f in families), slow / slow.sum()]).T[use]
    y, cov = np.zeros((len(sums), len(families))), []
    for k, row in enumerate(sums):
        model = np.maximum(total[use] * row.sum() / max(total.sum(), 1), 1e-2)
        for _ in range(3):
            weighted = shapes / model[:, None]
            normal = weighted.T @ shapes
            inverse = np.linalg.inv(normal + 1e-9 * np.diag(np.diag(normal)))
            got = inverse @ (weighted.T @ row[use])
            model = np.maximum(shapes @ np.maximum(got, 0), 1e-2)
        y[k] = got[:-1]
        cov.append(inverse[:-1, :-1] + np.eye(len(families)))
    return families, np.eye(len(families)), y, cov


def _likelihoods(model, y, cov, pixels, scaled):
    """(K, M): each object for itself, then again with the dose that the objects' best materials have in common."""
    mean, sd = model.whole()
    common = None
    for _ in range(3):
        dose, log = _each(mean, sd, model.stray, y, cov, pixels, common, _one_scaled if scaled else _one)
        best = log.argmax(1)
        use = (pixels >= FEWEST) & (y.sum(1) > 0)
        if not use.any():
            return log
        common = float(np.exp(_weighted_median(np.log(np.maximum(dose[use, best[use]], 1e-300)), np.maximum(y[use].sum(1), 1))))
    return log


def _each(mean, sd, stray, y, cov, pixels, common, one):
    """Dose (K, M) and log-likelihood (K, M). common: dose a pixel of the picture, None where unknown yet."""
    dose, log = np.ones((len(y), len(mean))), np.zeros((len(y), len(mean)))
    for k in np.flatnonzero(pixels >= FEWEST):
        for m in range(len(mean)):
            dose[k, m], log[k, m] = one(pixels[k] * mean[m], pixels[k] * sd[m], pixels[k] * stray, y[k], cov[k], common)
        log[k] -= log[k].max()
    return dose, log


def _first_dose(mu, stray, y):
    return max(float(y.sum()), 1.0) / max(float(mu.sum()), 0.01 * float(stray.sum() / STRAY), 1e-300)


def _one(mu, doubt, stray, y, cov, common):
    """(dose, log-likelihood) of one object and material: normal, its covariance that of counting, model and strays."""
    a = common or _first_dose(mu, stray, y)
    for _ in range(3):
        total = cov + np.diag((a * doubt) ** 2 + (a * stray) ** 2)
        right = np.linalg.solve(total, np.stack([mu, y], axis=1))
        precision, pull = mu @ right[:, 0], mu @ right[:, 1]
        if common:  # a prior of one dose for all, COMMON wide
            precision, pull = precision + 1 / (COMMON * common) ** 2, pull + common / (COMMON * common) ** 2
        a = max(pull / max(precision, 1e-300), 1e-3 * a)
    total = cov + np.diag((a * doubt) ** 2 + (a * stray) ** 2)
    rest = y - a * mu
    log = -0.5 * rest @ np.linalg.solve(total, rest) - 0.5 * np.linalg.slogdet(total)[1]
    return a, log - (0.5 * ((a - common) / (COMMON * common)) ** 2 if common else 0.0)


def _one_scaled(mu, doubt, stray, y, cov, common):
    """As `_one` of maps that were brightened each by itself: the scale of each is integrated over, for every object anew."""
    doses = (common or _first_dose(mu, stray, y)) * np.geomspace(1 / 2, 2, 5)
    weight = -0.5 * (np.log(SCALES) / SCALED) ** 2
    weight -= np.log(np.exp(weight).sum())
    a = doses[:, None, None] * SCALES[:, None]
    total = np.diag(cov) + (a * doubt) ** 2 + (a * stray) ** 2
    each = weight[:, None] - 0.5 * (y - a * mu) ** 2 / total - 0.5 * np.log(total)
    top = each.max(1, keepdims=True)
    log = (np.log(np.exp(each - top).sum(1)) + top[:, 0]).sum(1)
    return doses[log.argmax()], float(log.max())


def _weighted_median(values, weight):
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return values[order[np.searchsorted(total, total[-1] / 2)]]


def _compositions(y, cov, chance, pixels, shares, log, elements, lines, view, kv, families):
    """(mass shares, their errors, the errors by counting alone), (K, E) each, and pairs in doubt for their lines lie over each other.

    Absorption is that of the likeliest material. Carbon counts where the likeliest material holds it; else it is the coating.
    """
    share, error, counting = (np.full((len(y), len(elements)), np.nan) for _ in range(3))
    overlaps = [[] for _ in y]
    near = {frozenset((a.element, b.element)) for a, row in zip(families, _under(families)) for b, part in zip(families, row) if part > 0.1}
    for k in np.flatnonzero(pixels >= FEWEST):
        matrix = shares[int(log[k].argmax())]
        here = [i for i, e in enumerate(elements) if e != "C" or "C" in matrix]
        design = view @ _unit(lines, [elements[i] for i in here], matrix, kv).T
        seen = design.max(0) > 0
        here, design = [i for i, s in zip(here, seen) if s], design[:, seen]
        guess = np.maximum(y[k], 0)
        doubt = np.array([_model_sd(f) for f in families]) * guess
        amount, total, inverse = _amounts(design, y[k], cov[k] + np.diag(doubt**2))
        turn = (np.eye(len(here)) - (amount / total)[:, None]) / total
        share[k, here] = amount / total
        error[k, here] = np.sqrt(np.maximum(np.diag(turn @ inverse @ turn.T), 0))
        only = _amounts(design, y[k], chance[k])[2]
        counting[k, here] = np.sqrt(np.maximum(np.diag(turn @ only @ turn.T), 0))
        sd = np.sqrt(np.diag(inverse))
        overlaps[k] = _in_doubt([elements[i] for i in here], near, amount / total, inverse / total**2, sd / total)
    return share, error, counting, overlaps


def _in_doubt(elements, near, share, covariance, sd):
    """Pairs of elements with lines over each other that hold something together, and are not sure which of them does."""
    pairs = ((j, i) for i in range(len(elements)) for j in range(i) if frozenset((elements[i], elements[j])) in near)
    return [[elements[j], elements[i]] for j, i in pairs
            if share[i] + share[j] > 0.05 and max(sd[i], sd[j]) > 0.1 and covariance[i, j] < -0.5 * sd[i] * sd[j]]


def _unit(lines, elements, matrix, kv):
    """(E, F) counts of each element's lines for one unit of its mass share, absorbed as in a matrix {symbol: mass share}."""
    table = np.zeros((len(elements), len(lines)))
    for i, e in enumerate(elements):
        mix = {**matrix, e: max(matrix.get(e, 0), 1e-6)}
        table[i] = [_detected(f, mix, kv) / mix[e] if f.element == e else 0.0 for f in lines]
    return table


def _amounts(design, y, cov):
    """Amounts >= 0 of least squares, their sum, and the covariance of the unconstrained ones."""
    from scipy.optimize import nnls
    root = np.linalg.cholesky(np.linalg.inv(cov)).T
    norm = np.abs(root @ design).max(0)
    scaled = root @ design / norm
    amount = nnls(scaled, root @ y)[0] / norm
    inverse = np.linalg.inv(scaled.T @ scaled + 1e-9 * np.eye(len(norm))) / np.outer(norm, norm)
    return amount, max(float(amount.sum()), 1e-300), inverse
