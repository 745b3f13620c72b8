"""Picture -> phases, without training: regions of one grey level, separated where the picture has edges."""

from dataclasses import dataclass, field

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.potts import RELAX_REACH, label_posterior, relax_labels

from chipmap import InputError
from chipmap.levels import MAX_LEVELS as MAX_PHASES
from chipmap.levels import find_levels, smoothing_reach

SURENESS = 3.0  # nats; makes posteriors as sure as they are right on pictures of known truth (calibration error < 0.02)

@dataclass
class Phases:
    """What `segment` found. Phases are numbered from dark to bright.

    labels: (H, W) int32. posterior: (K, H, W) float32, sums to 1 over K. level, sigma, fraction: (K,) NumPy, grey level
    of the flat parts, its spread, and share of the area. evidence: {number of levels: nats}, larger is better; chosen:
    True where the number of phases was chosen by it. members: for each phase the grey levels it holds (a track that
    took in its vias has two). drift: (H, W) float32, the brightness background that was allowed for. notes: sentences
    for the report. contacts: (K, K) counts of `neighbours`, or None where `labels` holds the whole picture.
    """

    labels: np.ndarray
    posterior: np.ndarray
    level: np.ndarray
    sigma: np.ndarray
    fraction: np.ndarray
    evidence: dict
    chosen: bool
    members: list
    drift: np.ndarray
    notes: list = field(default_factory=list)
    contacts: np.ndarray | None = None

    @property
    def confidence(self):
        """(H, W) float32, posterior of the best phase of each pixel."""
        return self.posterior.max(0)


def neighbours(labels, count):
    """(count, count) NumPy int64: how many pixels of label a have one of label b to their right or below."""
    xp = array_module(labels)
    pairs = np.zeros(count * count, np.int64)
    for a, b in ((labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:])):
        pairs += to_host(xp.bincount((a * count + b).ravel(), minlength=count * count))
    return pairs.reshape(count, count)


def find_phases(image, phases=None):
    """Phase of each pixel, 0-based from dark to bright: labels (H, W) int32. See `segment`."""
    return segment(image, phases).labels


def segment(image, phases=None, noise_sigma=None, strength=1.0):
    """Divide a picture into phases.

    image: (H, W) grey values, any real dtype, NumPy or CuPy. phases: how many, 1 to 8; None lets the evidence choose.
    noise_sigma: standard deviation of a pixel's noise, estimated if None. strength: of the Potts field, 0 for none.
    Returns `Phases`, arrays of the image's kind. Raises InputError for an image that is not 2-D, not finite or constant.

    1. Smooth as much as the noise asks for, no more. 2. Fit mixtures of 1-8 grey levels on a drifting background to
    the flat pixels only: an edge, a bright rim (SE) or a pixel that two phases share is no phase. 3. Label every pixel
    with a Potts field whose edges follow the picture; a level that is only passed through between a darker and a
    brighter one is not there. 4. Where fewer phases are asked for than the picture has, those that weigh least join
    their neighbour in grey: a bright via joins its track.
    """
    xp = array_module(image)
    grey = _checked(xp, image, phases)
    levels = find_levels(grey, int(phases or 1), noise_sigma)
    labels, posterior = label(levels.smooth - levels.drift, levels.fit, strength)
    return _merged(xp, labels, posterior, levels, phases)


def label(smooth, fit, strength=1.0):
    """(labels (h, w) int32, posterior (K, h, w) float32): the level of each pixel of a picture, or of a part of one.

    smooth: (h, w) float32, smoothed and without drift, as `levels.Fit` says. A pixel depends on those at most `reach(fit)`
    rows and columns away (of `smooth`, less `smoothing_reach` of it); parts of a picture start at even rows and columns.
    """
    xp, mixture = array_module(smooth), fit.mixture
    unary = _unary(xp, smooth, mixture)
    strength, contrast = strength * _doubt(fit), _edge_contrast(mixture)
    labels, _ = relax_labels(unary, smooth, strength, contrast)
    if len(mixture.mean) > 2:
        _leave_ramps(xp, unary, labels, smooth, _ramp(fit))
        labels, _ = relax_labels(unary, smooth, strength, contrast)
    return labels, label_posterior(unary, labels, smooth, strength, contrast)


def reach(fit):
    """How many pixels of the picture around it a pixel's label and posterior depend on, smoothing included."""
    relaxed = RELAX_REACH + (_ramp(fit) + 1 + RELAX_REACH if len(fit.mixture.mean) > 2 else 0)
    return smoothing_reach(fit.scale) + relaxed + 1


def _ramp(fit):
    return round(2.5 * fit.scale)


def _checked(xp, image, phases):
    if image.ndim != 2 or min(image.shape) < 4:
        raise InputError(f"picture of shape {tuple(image.shape)}: phases need rows x columns of at least 4 x 4 grey values")
    if phases is not None and not 1 <= int(phases) <= MAX_PHASES:
        raise InputError(f"{phases} phases: ask for 1 to {MAX_PHASES}, or leave it to the evidence")
    grey = image.astype(np.float32)
    if not bool(xp.isfinite(grey).all()):
        raise InputError("the picture holds values that are not numbers: replace such pixels or crop them")
    if float(grey.min()) == float(grey.max()):
        raise InputError("every pixel of the picture has the same value: there are no phases to find")
    return grey


def _borders(mixture, area):
    """Grey at which one phase passes into the next: where both are equally likely.

    A pixel's grey has the spread of its phase and, near the border, a share of its neighbour; that share counts as a
    spread of a ninth of the gap. So the border lies half-way between two sharp levels of equal area, nearer to the
    sharper one, and nearer to the rarer one.
    """
    border = []
    for k, gap in enumerate(np.diff(mixture.mean)):
        below, above = (np.hypot(s, gap / 9) for s in mixture.sigma[k:k + 2])
        step = np.linspace(0, gap, 1001)[1:-1]
        odds = np.log(area[k] / below / (area[k + 1] / above)) - 0.5 * ((step / below) ** 2 - ((gap - step) / above) ** 2)
        border.append(mixture.mean[k] + step[np.abs(odds).argmin()])
    return np.array(border)


def _unary(xp, smooth, mixture):
    """Cost of each phase: square of the distance from its level, SURENESS at the border to the next phase."""
    count = len(mixture.mean)
    border = _borders(mixture, mixture.weight)
    unary = xp.empty((count, *smooth.shape), np.float32)
    for k in range(count):
        down = mixture.mean[k] - border[k - 1] if k else np.inf
        up = border[k] - mixture.mean[k] if k < count - 1 else np.inf
        d = xp.subtract(smooth, np.float32(mixture.mean[k]), out=unary[k])
        d *= xp.where(d < 0, np.float32(1 / down), np.float32(1 / up))
        d *= d
        xp.minimum(d, np.float32(9), out=d)
        d *= np.float32(SURENESS)
    return unary


def _doubt(fit):
    """How much neighbours weigh against a pixel's own grey: the more, the less its level stands clear of the noise."""
    gap = np.diff(fit.mixture.mean).min() if len(fit.mixture.mean) > 1 else np.inf
    return 6.0 / float(np.clip(gap / 2 / fit.noise_left, 2, 6)) ** 2


def _edge_contrast(mixture):
    """Step between two pixels at which the Potts field lets go: an eighth of the smallest gap."""
    return float(np.diff(mixture.mean).min()) / 8 if len(mixture.mean) > 1 else 1.0


def _leave_ramps(xp, unary, labels, smooth, reach):
    """Forbid levels that the picture only passes through, up a slope, in a strip no wider than `reach` pixels.

    Blur draws every edge between a dark and a bright phase through the levels between them.
    """
    count, height, width = unary.shape
    y, x = xp.nonzero((labels > 0) & (labels < count - 1))
    at = lambda array, dy, dx: array[xp.clip(y + dy, 0, height - 1), xp.clip(x + dx, 0, width - 1)]  # noqa: E731
    uphill = at(smooth, 1, 0) - at(smooth, -1, 0), at(smooth, 0, 1) - at(smooth, 0, -1)
    length = xp.maximum(xp.hypot(*uphill), np.float32(1e-12))
    uphill = [g / length for g in uphill]
    up, high = _walk(xp, at, labels, uphill, reach, 1)
    down, low = _walk(xp, at, labels, uphill, reach, -1)
    ramp = up + down - 1 <= reach
    for k in range(1, count - 1):
        passed = ramp & (low < k) & (k < high)
        unary[k, y[passed], x[passed]] = np.float32(1e3)


def _walk(xp, at, labels, uphill, reach, sign):
    """Steps up (sign 1) or down (-1) to the first pixel of a brighter or darker phase, and the last phase met."""
    own = at(labels, 0, 0)
    steps, last = xp.full(own.shape, 10 * reach, np.int32), own
    for step in range(reach, 0, -1):
        there = at(labels, *(xp.rint(sign * step * g).astype(np.int32) for g in uphill))
        further = (there - own) * sign > 0
        steps = xp.where(further, np.int32(step), steps)
        last = xp.where((there - last) * sign > 0, there, last)
    return steps, last


def _merged(xp, labels, posterior, levels, phases):
    """`Phases` with levels joined until as many are left as were asked for."""
    mixture, count = levels.fit.mixture, len(levels.fit.mixture.mean)
    area = to_host(xp.bincount(labels.ravel(), minlength=count)) / labels.size
    groups = join(mixture.mean, area, int(phases or count))
    table = np.empty(count, np.int32)
    for i, group in enumerate(groups):
        table[group] = i
    if len(groups) < count:
        labels = xp.asarray(table)[labels]
        posterior = xp.stack([posterior[group].sum(0) for group in groups])
    return summary(levels.fit, area, groups, phases is None, labels, posterior, levels.drift)


def summary(fit, area, groups, chosen, labels, posterior, drift):
    """`Phases` of joined levels. area: (K,) share of each level; groups: numbers of the levels of each phase."""
    mixture = fit.mixture
    main = [max(group, key=lambda k: area[k]) for group in groups]
    return Phases(labels, posterior, mixture.mean[main], mixture.sigma[main],
                  np.array([area[group].sum() for group in groups]), fit.evidence, chosen,
                  [[float(mixture.mean[k]) for k in group] for group in groups], drift, _notes(fit))


def join(mean, area, wanted):
    """Join neighbours in grey until `wanted` groups are left, cheapest first.

    Joining a and b costs what Ward's rule says, with a distance that saturates: beyond an eighth of the whole range of
    levels a level is simply another one, however bright, and what counts is how much area it holds.
    """
    groups = [[k] for k in range(len(mean))]
    enough = max(np.ptp(mean) / 8, 1e-12)
    while len(groups) > wanted:
        size = np.array([area[group].sum() + 1e-9 for group in groups])
        level = np.array([mean[max(group, key=lambda k: area[k])] for group in groups])
        gap = np.diff(level) / enough
        cost = size[:-1] * size[1:] / (size[:-1] + size[1:]) * gap**2 / (gap**2 + 1)
        i = int(cost.argmin())
        groups[i:i + 2] = [groups[i] + groups[i + 1]]
    return groups


def _notes(fit):
    lines = [f"noise {fit.noise:.3g} grey levels, smoothed with sigma {fit.scale:g} px"]
    drift = float(np.abs(fit.mixture.field).sum())
    if drift > 2 * fit.noise:
        lines.append(f"brightness drifts by up to {drift:.3g} grey levels over the picture; allowed for")
    return lines
