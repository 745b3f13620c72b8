"""Objects -> materials, each by its own grey: a posterior over the library, and what no dose of electrons could tell apart.

Backscattered grey = gain * eta + offset. Objects that are known fix gain and offset; their eta is as uncertain as
everyone's, and that goes into the posterior, and so do shot noise, streaks and the doubt of the mixing rules, which is one
for all objects of a picture (`coefficients`). What the picture as a whole may seem to tell apart, one object does not
where the two lie nearer than its dose and the models can tell: then grey gives none of the two more than `SURE`.
"""

from dataclasses import dataclass

import numpy as np

from chipmap import InputError, eta, materials
from chipmap.coefficients import Readings, kinds
from chipmap.object_grey import object_greys, own_greys

SURE = 0.9      # an object is named by the smallest set of candidates that holds this much of its posterior
GRAIN = 0.015   # of its coefficient, that one material differs from place to place: orientation of crystals, density
TELLING = 3.29  # distance of two normals, in standard deviations, at which the nearer one is right in 95 % of cases
BELOW = 1 - 1e-6  # so that a set of `SURE` holds more than one
LEAST = 1e-5    # uncertainty of eta below which none is believed
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

    value: (M,) eta of the candidates; model: (K, M) doubt of the models, the line through the known ones included; shot:
    (K,) doubt of the grey; doubt: (M,) of each coefficient by itself; all in eta.
    """

    log: np.ndarray
    eta: np.ndarray
    eta_sd: np.ndarray
    value: np.ndarray
    model: np.ndarray
    shot: np.ndarray
    doubt: np.ndarray

    def near(self, best):
        """((K, M), (K, M)) bool: which candidates lie too near material best (K,) to be told from it at this dose, and at any."""
        rows = np.arange(len(best))
        model = (self.model**2 + self.model[rows, best][:, None] ** 2) / 2
        model = np.maximum(model, (self.doubt**2 + self.doubt[best][:, None] ** 2) / 2)
        gap = (self.value - self.value[best][:, None]) ** 2 / TELLING**2
        near = (gap < model + self.shot[:, None] ** 2) & (np.arange(len(self.value)) != best[:, None])
        return near, near & (gap < model)

    def limits(self, posterior, names):
        """(limits, by_model) of `ObjectNames`: for each object what lies too near its best at this dose, and what always will."""
        return tuple([[names[i] for i in np.flatnonzero(row)] for row in table] for table in self.near(posterior.argmax(1)))

    def shared(self, posterior):
        """Posterior (K, M) in which no material has more than `SURE` where another lies too near: these share what is beyond."""
        best, rows = posterior.argmax(1), np.arange(len(posterior))
        near, _ = self.near(best)
        top = posterior[rows, best]
        beyond = np.where(near.any(1), np.maximum(top - BELOW * SURE, 0), 0)
        share = near * (posterior + 1e-12)
        out = posterior + beyond[:, None] * share / np.maximum(share.sum(1, keepdims=True), 1e-300)
        out[rows, best] = top - beyond
        return out


def grey_evidence(labels, image, known, kv, names, yields=None):
    """`GreyEvidence` of objects; arguments and errors as of `name_objects`, `names` being the candidates, known ones included."""
    labels, image = np.asarray(labels), np.asarray(image, float)
    measured = {materials.find(n).name: pair for n, pair in (yields or {}).items()}
    value, doubt = np.array([measured.get(n) or eta.eta_of(materials.find(n), kv) for n in names], float).T
    told = {k: names.index(materials.find(n).name) for k, n in known.items()}
    grey, grey_sd = object_greys(labels, image)
    low, high = _references(grey, grey_sd, told, value)
    zero = low[0] - value[low[2]] * (high[0] - low[0]) / (value[high[2]] - value[low[2]])
    own = own_greys(labels, image, grey, grey_sd, zero)
    low, high = _references(own.mean, own.error, told, value)
    place = (own.mean - low[0]) / (high[0] - low[0])
    span = value[high[2]] - value[low[2]]
    shot = _reading_sd(own.error, place, low, high) * span
    read = value[low[2]] + place * span
    grain = 0.0 * value if yields else GRAIN * value
    spread = np.hypot(_model_sd(place, doubt, low[2], high[2]), grain)
    seen = GreyEvidence(np.zeros(spread.shape), read, np.hypot(shot, spread.min(1)), value, spread, shot, doubt)
    scale = span / (high[0] - low[0])
    posterior = _by_composition(names, place, own.chance * scale, own.alike * scale, told, value, doubt, grain, low[2], high[2])
    seen.log[:] = np.log(np.maximum(seen.shared(posterior), 1e-300))
    for k, m in told.items():
        seen.log[k] = np.where(np.arange(len(names)) == m, 0, -1e3)
    return seen


def _by_composition(names, place, chance, alike, told, value, doubt, grain, low, high):
    """(K, M) posterior of `coefficients.kinds`: candidates of one composition have one coefficient, and are as likely as each other."""
    makeup = [(tuple(sorted(materials.find(n).mass_fractions.items())), float(value[m]), float(doubt[m])) for m, n in enumerate(names)]
    kind = np.array([makeup.index(one) for one in makeup])
    first, group, times = np.unique(kind, return_inverse=True, return_counts=True)
    known = np.full(len(place), -1)
    for k, m in told.items():
        known[k] = group[m]
    found = kinds(Readings(place, np.maximum(chance, LEAST), alike, known, value[first], np.maximum(doubt[first], LEAST), grain[first],
                           times, int(group[low]), int(group[high])))
    return found[:, group] / times[group]


def electrons_to_tell(a, b, kv, collection=1.0):
    """Electrons on an object from which `a` and `b` are told apart 19 times of 20; inf where no dose does.

    a, b: names. collection: share of the backscattered electrons that is counted. The eta of each is known only to
    `eta.eta_of`'s uncertainty: a smaller difference is out of reach of any dose.
    """
    (x, sx), (y, sy) = (eta.eta_of(materials.find(n), kv) for n in (a, b))
    room = (x - y) ** 2 / TELLING**2 - (sx**2 + sy**2) / 2
    return (x + y) / 2 / collection / room if room > 0 else np.inf


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
    if not value[high[2]] > value[low[2]]:
        raise InputError("the known materials send back equally many electrons and calibrate no grey: name objects of a third one")
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
