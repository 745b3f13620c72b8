"""How many grey levels a picture holds: a mixture of normal distributions on a slowly drifting background.

Grey of a flat pixel = mean of its phase + field(x, y) + noise; the field is a polynomial of second order. The number of
phases is the one with the largest integrated completed likelihood (C. Biernacki, G. Celeux, G. Govaert, IEEE Trans.
Pattern Anal. 22, 719 (2000)): BIC that also pays for overlap, so that a skew population (charging darkens the middle of
a large area) is not cut in two.
"""

from dataclasses import dataclass, replace

import numpy as np

FIELD_TERMS = 5


@dataclass
class Mixture:
    """mean, sigma, weight: (K,) grey levels dark to bright; field: (5,) coefficients for `field_basis`.

    evidence: integrated completed likelihood of this mixture, in nats (larger is better). floor: least sigma.
    """

    mean: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray
    field: np.ndarray
    evidence: float
    floor: float


def field_basis(y, x, shape):
    """(5, ...) polynomial terms x, y, x^2, xy, y^2 on the picture scaled to [-1, 1]; squares have mean 0."""
    u = 2 * x / max(shape[1] - 1, 1) - 1
    v = 2 * y / max(shape[0] - 1, 1) - 1
    return np.stack([u, v, u * u - 1 / 3, u * v, v * v - 1 / 3])


def fit_mixtures(grey, basis, floor, counts, independent):
    """One `Mixture` for each number of phases in `counts`.

    grey: (N,) flat pixels; basis: (5, N); floor: least standard deviation a phase may have (noise, quantisation);
    independent: share of the N pixels that count as independent evidence (neighbours are blurred together).
    """
    return [_expectation_maximisation(grey, basis, floor, count, independent) for count in counts]


def sharpen(mixture, grey, basis, trust):
    """The mixture with levels and spreads from the pixels that can be trusted most: trust (N,) weighs each pixel.

    The flattest pixels of a narrow track tell its level, the many on its flanks only pull it down.
    """
    flat = grey - mixture.field @ basis
    share, _ = _shares(flat, mixture.mean, mixture.sigma, mixture.weight)
    mean, sigma = np.array([_median_and_spread(flat, p * trust) for p in share]).T
    return replace(mixture, mean=mean, sigma=np.maximum(sigma, mixture.floor))


def _median_and_spread(values, weight):
    """Weighted median, and the standard deviation that the weighted median of departures stands for."""
    middle = _weighted_median(values, weight)
    return middle, 1.4826 * _weighted_median(np.abs(values - middle), weight)


def _weighted_median(values, weight):
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return values[order[np.searchsorted(total, total[-1] / 2)]]


def _expectation_maximisation(grey, basis, floor, count, independent, rounds=60):
    mean = _start(grey, count)
    sigma = np.full(count, max(floor, np.ptp(grey) / (4 * count)))
    weight = np.full(count, 1 / count)
    field = np.zeros(FIELD_TERMS)
    before = -np.inf
    for _ in range(rounds):
        flat = grey - field @ basis
        share, likelihood = _shares(flat, mean, sigma, weight)
        if likelihood - before < 1e-6 * len(grey):
            break
        before = likelihood
        mass = share.sum(1) + 1e-9
        weight = mass / len(grey)
        mean = share @ flat / mass
        sigma = np.sqrt(np.maximum((share * (flat - mean[:, None]) ** 2).sum(1) / mass, floor**2))
        field = _field(grey, basis, share, mean, sigma)
    order = np.argsort(mean)
    evidence = independent * (likelihood + _certainty(share)) - 0.5 * (3 * count - 1 + FIELD_TERMS) * np.log(independent * len(grey))
    return Mixture(mean[order], sigma[order], weight[order], field, float(evidence), floor)


def _start(grey, count):
    """Means of the best cut of the sorted values into `count` classes, on 128 quantised levels (W. D. Fisher, 1958)."""
    low, high = np.quantile(grey, [0.001, 0.999])
    bins = 128
    mass, edges = np.histogram(np.clip(grey, low, high), bins)
    centre = (edges[1:] + edges[:-1]) / 2
    m0, m1, m2 = (np.concatenate([[0], np.cumsum(mass * centre**p)]) for p in (0, 1, 2))
    n, s, q = (m[None, :] - m[:, None] for m in (m0, m1, m2))
    cost = np.where(n > 0, q - s * s / np.maximum(n, 1), 0)
    cost[np.tril_indices(bins + 1)] = np.inf
    best, cuts = cost[0].copy(), []
    for _ in range(count - 1):
        through = best[:, None] + cost
        cuts.append(through.argmin(0))
        best = through.min(0)
    ends = [bins]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    ends = [0, *reversed(ends[1:]), bins] if count > 1 else [0, bins]
    return np.array([s[a, b] / n[a, b] if n[a, b] else centre[min(a, bins - 1)] for a, b in zip(ends, ends[1:])])


def _shares(flat, mean, sigma, weight):
    log = np.log(weight + 1e-12)[:, None] - np.log(sigma)[:, None] - 0.5 * ((flat - mean[:, None]) / sigma[:, None]) ** 2
    top = log.max(0)
    share = np.exp(log - top)
    total = share.sum(0)
    return share / total, float((top + np.log(total)).sum() - 0.5 * np.log(2 * np.pi) * len(flat))


def _certainty(share):
    """Sum of p ln p: 0 where every pixel belongs to one phase, negative where phases overlap."""
    return float((share * np.log(np.maximum(share, 1e-300))).sum())


def _field(grey, basis, share, mean, sigma):
    """Weighted least squares for the drift, the means held; a little ridge keeps unseen directions at zero."""
    weights = (share / sigma[:, None] ** 2).sum(0)
    target = (share * (grey - mean[:, None]) / sigma[:, None] ** 2).sum(0)
    normal = (basis * weights) @ basis.T
    normal += 1e-3 * weights.sum() * np.eye(FIELD_TERMS)
    return np.linalg.solve(normal, basis @ target)
