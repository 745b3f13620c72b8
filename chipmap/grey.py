"""Objects -> materials, each by its own grey: a posterior over the library, and what no dose of electrons could tell apart.

Backscattered grey = gain * eta + offset. Objects that are known fix gain and offset; their eta is as uncertain as
everyone's, and that goes into the posterior, and so do shot noise, streaks and the doubt of the mixing rules.
"""

from dataclasses import dataclass

import numpy as np

from chipmap import InputError, eta, materials, unmix

SURE = 0.9      # an object is named by the smallest set of candidates that holds this much of its posterior
RIM = 2         # pixels from its border to its middle that an object needs, or it is all blur and bright edge
DEEP = 8        # pixels from a border beyond which neither is to be expected
TILE = 8        # pixels: side of the tiles that are compared
STILL = 0.75     # of the change of grey from the shell to the core, that the core may still be off
GRAIN = 0.015   # of its coefficient, that one material differs from place to place: orientation of crystals, density
LAGS = 4        # rows or columns whose streaks may hang together
MIXED = 0.25    # standard uncertainty of an object too thin to have more than rim, share of the contrast of the picture
DOUBTED = 0.25  # of what blur and shining edges seem to have changed
TELLING = 3.29  # distance of two normals, in standard deviations, at which the nearer one is right in 95 % of cases
CONTACT = 3.0   # nats, as in `identify`, for a whole border on a material that the process keeps away


@dataclass(frozen=True)
class ObjectNames:
    """names: (M,) candidates. posterior: (K, M), rows sum to 1. eta, eta_sd: (K,) read off the grey, and how well.

    sets: for each object the names, likeliest first, that together hold 90 % of its posterior. limits: for each object
    the other candidates that could not be told from its best at this dose, nor, where `by_model`, at any.
    """

    names: list
    posterior: np.ndarray
    eta: np.ndarray
    eta_sd: np.ndarray
    sets: list
    limits: list
    by_model: list

    @property
    def best(self):
        """Likeliest name of each object."""
        return [self.names[m] for m in self.posterior.argmax(1)]

    @property
    def confidence(self):
        """(K,) posterior of the likeliest name."""
        return self.posterior.max(1)


def name_objects(labels, image, known, kv, candidates=None, process=None, yields=None):
    """Name each object of a backscatter picture by its own grey.

    labels: (H, W) int, object 0..K-1 of each pixel. image: (H, W) grey. known: {object: material}, two or more of
    different eta; they calibrate, and keep their names. kv: keV. candidates: names, the whole library by default.
    process: an `identify.Process`; an object then prefers materials that may touch what it borders on. yields:
    {material: (eta, standard uncertainty)} where they were measured on this instrument; else `eta.eta_of`, whose own
    uncertainty of 0.01 to 0.03 is what most pairs fail on.
    Returns `ObjectNames`. Raises InputError where fewer than two materials are known or their greys don't differ.
    """
    names = list(dict.fromkeys([materials.find(n).name for n in (candidates or materials.load())]
                               + [materials.find(n).name for n in known.values()]))
    seen = grey_evidence(labels, image, known, kv, names, yields)
    posterior = touching(seen.log, labels, names, process)
    sets = [smallest_set(row, names) for row in posterior]
    return ObjectNames(names, posterior, seen.eta, seen.eta_sd, sets, *seen.limits(posterior, names))


@dataclass(frozen=True)
class GreyEvidence:
    """log: (K, M) log-likelihood of each candidate by the object's grey. eta, eta_sd: (K,) read off the grey.

    value: (M,) eta of the candidates; model: (K, M) doubt of the models; shot: (K,) doubt of the grey, all in eta.
    """

    log: np.ndarray
    eta: np.ndarray
    eta_sd: np.ndarray
    value: np.ndarray
    model: np.ndarray
    shot: np.ndarray

    def limits(self, posterior, names):
        """(limits, by_model) of `ObjectNames`: for each object what lies too near its best at this dose, and what always will."""
        return _limits(posterior, self.value, self.model, self.shot, names)


def grey_evidence(labels, image, known, kv, names, yields=None):
    """`GreyEvidence` of objects; arguments and errors as of `name_objects`, `names` being the candidates, known ones included."""
    labels, image = np.asarray(labels), np.asarray(image, float)
    measured = {materials.find(n).name: pair for n, pair in (yields or {}).items()}
    value, doubt = np.array([measured.get(n) or eta.eta_of(materials.find(n), kv) for n in names], float).T
    told = {k: names.index(materials.find(n).name) for k, n in known.items()}
    grey, grey_sd = object_greys(labels, image)
    low, high = _references(grey, grey_sd, told, value)
    zero = low[0] - value[low[2]] * (high[0] - low[0]) / (value[high[2]] - value[low[2]])
    grey, grey_sd = own_greys(labels, image, grey, grey_sd, zero)
    low, high = _references(grey, grey_sd, told, value)
    place = (grey - low[0]) / (high[0] - low[0])
    shot = _reading_sd(grey_sd, place, low, high) * abs(value[high[2]] - value[low[2]])
    read = value[low[2]] + place * (value[high[2]] - value[low[2]])
    spread = np.hypot(_model_sd(place, doubt, low[2], high[2]), 0.0 if yields else GRAIN * value)
    log = -0.5 * ((read[:, None] - value) / np.hypot(spread, shot[:, None])) ** 2 - np.log(np.hypot(spread, shot[:, None]))
    for k, name in known.items():
        log[k] = np.where(np.arange(len(names)) == names.index(materials.find(name).name), 0, -1e3)
    return GreyEvidence(log, read, np.hypot(shot, spread.min(1)), value, spread, shot)


def electrons_to_tell(a, b, kv, collection=1.0):
    """Electrons on an object from which `a` and `b` are told apart 19 times of 20; inf where no dose does.

    a, b: names. collection: share of the backscattered electrons that is counted. The eta of each is known only to
    `eta.eta_of`'s uncertainty: a smaller difference is out of reach of any dose.
    """
    (x, sx), (y, sy) = (eta.eta_of(materials.find(n), kv) for n in (a, b))
    room = (x - y) ** 2 / TELLING**2 - (sx**2 + sy**2) / 2
    return (x + y) / 2 / collection / room if room > 0 else np.inf


def object_greys(labels, image):
    """(mean, standard error) of each object's grey, (K,) each, from its inner half (at most `DEEP` pixels from a border).

    The error joins chance (the largest of white noise, rows that differ: streaks, columns that differ: curtains, and
    tiles that differ: a second material) with how much the grey still changes with depth: blur, bright edges.
    An object that is all rim gets a quarter of the picture's contrast on top: its grey is mixed with its neighbours'.
    """
    from scipy import ndimage
    contrast = float(np.ptp(np.quantile(image, [0.02, 0.98])))
    mean, error = np.empty(labels.max() + 1), np.empty(labels.max() + 1)
    for k, box in enumerate(ndimage.find_objects(labels + 1)):
        if box is None:
            raise InputError(f"object {k} has no pixel: number objects 0 to K - 1 without gaps")
        # a pixel of surroundings, where there is one: the picture's frame is no border
        frame = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        depth = ndimage.distance_transform_edt(np.pad(labels[frame] == k, DEEP, "edge"))[DEEP:-DEEP, DEEP:-DEEP]
        mean[k], error[k] = _mean_and_error(image[frame], depth, contrast)
    return mean, error


def own_greys(labels, image, mean, error, zero):
    """(mean, standard error) of each object's own grey: `object_greys` of the picture that `unmix.sharp` makes.

    mean, error: of `object_greys`. zero: the grey of nothing.

    A part of what that takes off counts as doubt.
    """
    own, left = object_greys(labels, unmix.sharp(labels, image, unmix.border_depth(labels), mean, error, zero))
    return own, np.hypot(left, DOUBTED * (own - mean))


def _mean_and_error(window, depth, contrast):
    deepest = depth.max()
    core = depth > min(deepest / 2, DEEP)
    shell = (depth > min(deepest / 2, DEEP) / 2) & ~core
    mean, chance = _mean_and_chance(window, core)
    if not shell.any() or deepest < RIM:
        return mean, np.hypot(chance, MIXED * contrast)
    outer, outer_chance = _mean_and_chance(window, shell)
    # a change that is small by chance says no more than how well it is known
    return mean, np.hypot(chance, STILL * max(abs(outer - mean), np.hypot(chance, outer_chance)))


def _mean_and_chance(window, mask):
    y, x = np.nonzero(mask)
    grey = window[y, x]
    mean = grey.mean()
    errors = [grey.std() / np.sqrt(len(grey))]
    for group, lags in ((y, LAGS), (x, LAGS), (y // TILE * window.shape[1] + x // TILE, 0)):
        count = np.bincount(group)
        sums = np.bincount(group, grey - mean)[count > 0]
        if len(sums) > 7:
            errors.append(np.sqrt(_variance_of_sum(sums, lags)) / len(grey))  # pixels of a group as one
    return mean, max(errors)


def _variance_of_sum(sums, lags):
    """Neighbouring rows (columns) are streaked alike: W. K. Newey, K. D. West, Econometrica 55, 703 (1987), Bartlett weights."""
    total = (sums**2).sum()
    alike = sum(2 * (1 - lag / (lags + 1)) * (sums[lag:] * sums[:-lag]).sum() for lag in range(1, lags + 1))
    return total + max(alike, 0.0)


def _references(grey, grey_sd, known, value):
    """(grey, its error, material) of the darkest and of the brightest known material, each from all its objects."""
    by_material = {}
    for k, m in known.items():
        by_material.setdefault(m, []).append(k)
    points = []
    for m, objects in by_material.items():
        weight = 1 / np.maximum(grey_sd[objects], 1e-12) ** 2
        points.append((float(weight @ grey[objects] / weight.sum()), float(weight.sum() ** -0.5), m))
    points.sort(key=lambda point: value[point[2]])
    if len(points) < 2:
        raise InputError("grey is calibrated by two known materials: name objects of a second one")
    low, high = points[0], points[-1]
    if not high[0] - low[0] > TELLING * np.hypot(low[1], high[1]):
        raise InputError("the known objects differ in atomic number but not in grey: this picture shows no such contrast, "
                         "or the names are wrong")
    return low, high


def _reading_sd(grey_sd, place, low, high):
    """Error of `place` from the greys of the object and of both references."""
    return np.sqrt(grey_sd**2 + ((1 - place) * low[1]) ** 2 + (place * high[1]) ** 2) / (high[0] - low[0])


def _model_sd(place, doubt, low, high):
    """(K, M) doubt of (eta of the candidate - eta read off the grey); a candidate that is a reference shares its error."""
    materials_ = np.arange(len(doubt))
    on_low = (materials_ == low) - (1 - place)[:, None]
    on_high = (materials_ == high) - place[:, None]
    own = np.where((materials_ == low) | (materials_ == high), 0, doubt)
    return np.maximum(np.sqrt(own**2 + (on_low * doubt[low]) ** 2 + (on_high * doubt[high]) ** 2), 1e-6)


def touching(log, labels, names, process):
    """Posterior of each object, by its grey and, under a process, by what its neighbours are likely to be."""
    posterior = _normalised(log)
    if process is None:
        return posterior
    apart = np.array([[not process.may_touch(a, b) for b in names] for a in names], float)
    share = _border_shares(labels, len(log))
    for _ in range(10):
        posterior = 0.5 * posterior + 0.5 * _normalised(log - CONTACT * (share @ (posterior @ apart)))
    return posterior


def _border_shares(labels, count):
    """(K, K) sparse: share of each object's border that lies against each other object."""
    from scipy import sparse
    pairs = [np.stack([a.ravel(), b.ravel()])[:, a.ravel() != b.ravel()] for a, b in
             ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1]))]
    i, j = np.concatenate(pairs, axis=1)
    table = sparse.coo_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(count, count)).tocsr()
    return sparse.diags(1 / np.maximum(np.asarray(table.sum(1)).ravel(), 1)) @ table


def _normalised(log):
    weight = np.exp(log - log.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True)


def smallest_set(row, names):
    order = np.argsort(-row, kind="stable")
    enough = int(np.searchsorted(np.cumsum(row[order]), SURE)) + 1
    return [names[m] for m in order[:enough]]


def _limits(posterior, value, spread, shot, names):
    """For each object: candidates that lie too near its best at this dose, and those of them that always will."""
    limits, by_model = [], []
    for k, m in enumerate(posterior.argmax(1)):
        model = (spread[k] ** 2 + spread[k, m] ** 2) / 2
        gap = (value - value[m]) ** 2 / TELLING**2
        near = (gap < model + shot[k] ** 2) & (np.arange(len(names)) != m)
        limits.append([names[i] for i in np.flatnonzero(near)])
        by_model.append([names[i] for i in np.flatnonzero(near & (gap < model))])
    return limits, by_model
