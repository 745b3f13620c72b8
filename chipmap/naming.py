"""Every object's material: grey, X-rays and what may touch what, joined into one posterior; and what no dose could tell.

Phases say which objects there are, and what their grey levels leave possible. Where two known materials calibrate grey, each
object is judged by its own; where there are X-rays, by what its spectrum or its maps hold, and objects that X-rays name
surely calibrate grey too. An object parts from its phase's name only where its own evidence is twenty times stronger.
"""

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from cukernels.backend import array_module, to_host
from cukernels.components import pieces

from chipmap import InputError, eta
from chipmap.grey import electrons_to_tell, grey_evidence, smallest_set, touching
from chipmap.identify import set_of

PART = 20.0       # odds for its own name from which an object leaves the name of its phase
CERTAIN = 0.99    # posterior by X-rays alone from which an object calibrates grey
SHOWN = 8         # candidates of an object that results list
LEAST = 1e-4      # posterior below which none is listed


@dataclass
class ObjectNaming:
    """What is known of the material of each object of `objects.Objects`, K of them in that order.

    names: M candidates. posterior: (K, M), rows sum to 1. sets: the names, likeliest first, that hold 90 % of it. eta,
    eta_sd: (K,) backscatter coefficient read off calibrated grey, NaN without. limits, by_model: for each object the
    candidates that this dose of electrons, and those that no dose, could tell from its likeliest by grey; empty without
    calibration. xray: `xray_objects.XrayEvidence.of` of each object, {} without. basis: a sentence. notes: more of them.
    """

    names: list
    posterior: np.ndarray
    sets: list
    eta: np.ndarray
    eta_sd: np.ndarray
    limits: list
    by_model: list
    xray: list
    basis: str
    notes: list = field(default_factory=list)

    def of(self, k):
        """Object k as `naming.json` holds it: candidates ranked, and the evidence of each kind that there is."""
        order = np.argsort(-self.posterior[k], kind="stable")[:SHOWN]
        entry = {"object": int(k), "candidates": [{"material": self.names[m], "probability": float(self.posterior[k, m])} for m in order
                                                  if self.posterior[k, m] >= LEAST], "set_90": self.sets[k]}
        if np.isfinite(self.eta[k]):
            entry["grey"] = {"eta": float(self.eta[k]), "standard_uncertainty": float(self.eta_sd[k]),
                             "not_told_apart_at_this_dose": self.limits[k], "not_told_apart_at_any_dose": self.by_model[k]}
        if self.xray[k]:
            entry["xray"] = self.xray[k]
        return entry

    def columns(self):
        """Columns for objects.csv: candidates with probabilities, and what grey cannot tell from the likeliest."""
        shown = lambda k: "; ".join(f"{c['material']} {c['probability']:.2f}" for c in self.of(k)["candidates"][:4])  # noqa: E731
        count = range(len(self.posterior))
        return {"candidates": np.array([shown(k) for k in count], object),
                "not_told_apart": np.array(["; ".join(self.limits[k]) for k in count], object)}

    def table(self, kv):
        """naming.json: {"basis", "notes", "pairs": electrons on an object that tell two materials apart, "objects": [of(k), ...]}."""
        return {"basis": self.basis, "notes": self.notes, "pairs": pair_limits(self, kv), "objects": [self.of(k) for k in range(len(self.posterior))]}


def name_by_object(found, named, image, process=None, kv=None, signal=None, maps=None, placement=None):
    """(`segment.Phases`, `identify.Identification`, `ObjectNaming` of pieces): phases parted where their objects' materials differ.

    found, named: of `segment` and `identify`. image: (H, W) grey, its background taken off. process: an
    `identify.Process` or None. kv, signal: as of `identify`. maps, placement: `xray_maps.XrayMaps` and where they lie.
    The naming is of the connected pieces of `found.labels`; `onto` brings it to the objects.
    """
    labels, count = pieces(np.ascontiguousarray(to_host(found.labels)), background=None)
    labels = labels - 1
    phase = np.zeros(count, int)
    phase[labels.ravel()] = to_host(found.labels).ravel()
    names, notes = named.considered, []
    log = np.log(np.maximum(named.posterior[phase], 1e-12))
    fixed = {k: named.known[p] for k, p in enumerate(phase) if p in named.known}
    xray = _xray(maps, placement, labels, names, kv)
    seen, sure = None, dict(fixed)
    if xray is not None:
        alone = _normalised(xray.log)
        sure |= {int(k): names[alone[k].argmax()] for k in np.flatnonzero((alone.max(1) > CERTAIN) & (xray.pixels > 0)) if int(k) not in fixed}
        notes += [*xray.notes, *_contradictions(fixed, alone, xray, names)]
    if signal != "SE" and len(set(sure.values())) >= 2 and len(fixed) < count:
        try:
            seen = grey_evidence(labels, to_host(image), sure, _kv(kv), names)
            for k in set(sure) - set(fixed):
                seen.log[k] = 0.0  # what X-rays say of it stands by itself
            log = seen.log
        except InputError as error:
            notes.append(f"grey is not used as evidence object by object: {error}")
    if xray is not None:
        log = log + xray.log
    for k, name in fixed.items():
        log[k] = np.where(np.array(names) == name, 0, -1e3)
    posterior = touching(log, labels, names, process) if seen or xray else named.posterior[phase]  # which knows of contacts
    sizes = np.bincount(labels.ravel(), minlength=count)
    choice = _choices(posterior, phase, sizes)
    nothing = [[] for _ in range(count)]
    limits, by_model = seen.limits(posterior, names) if seen else (nothing, nothing)
    blank = np.full(count, np.nan)
    naming = ObjectNaming(names, posterior, [smallest_set(row, names) for row in posterior], seen.eta if seen else blank,
                          seen.eta_sd if seen else blank, limits, by_model, [xray.of(k) if xray else {} for k in range(count)],
                          _basis(named, seen, xray, fixed, signal), notes)
    if xray is None and seen is None:
        return found, named, naming
    return *_parted(found, named, labels, phase, posterior, choice, sizes, naming), naming


def onto(naming, labels, found):
    """`naming` of the pieces of `found.labels` brought to objects labels (H, W) of which each is made of whole pieces."""
    piece, count = pieces(np.ascontiguousarray(to_host(found.labels)), background=None)
    labels = to_host(labels)
    home = np.zeros(count, int)
    home[piece.ravel() - 1] = labels.ravel()
    size = np.bincount(piece.ravel() - 1, minlength=count).astype(float)
    total = int(labels.max()) + 1
    posterior = np.zeros((total, len(naming.names)))
    np.add.at(posterior, home, naming.posterior * size[:, None])
    posterior /= posterior.sum(1, keepdims=True)
    largest = np.zeros(total, int)
    order = np.argsort(size, kind="stable")
    largest[home[order]] = order  # the largest piece of each object comes last, and stands
    pick = lambda values: [values[k] for k in largest]  # noqa: E731
    return replace(naming, posterior=posterior, sets=[smallest_set(row, naming.names) for row in posterior], eta=naming.eta[largest],
                   eta_sd=naming.eta_sd[largest], limits=pick(naming.limits), by_model=pick(naming.by_model), xray=pick(naming.xray))


def pair_limits(naming, kv):
    """Electrons that an object must send back from to be told from its rivals by grey, for every pair in a set of 90 %.

    A list of {"materials": [a, b], "electrons": number, or None where the models' doubt is larger than the difference}.
    """
    pairs = sorted({pair for s in naming.sets for pair in itertools.combinations(sorted(s[:SHOWN]), 2)})
    needed = [electrons_to_tell(a, b, _kv(kv)) for a, b in pairs]
    return [{"materials": list(pair), "electrons": float(n) if np.isfinite(n) else None} for pair, n in zip(pairs, needed)]


def _kv(kv):
    return float(np.clip(kv or 15.0, *eta.KV_RANGE))


def _xray(maps, placement, labels, names, kv):
    if maps is None:
        return None
    from chipmap.xray.objects import measure_objects
    return measure_objects(maps, placement, labels, names, kv)


def _normalised(log):
    weight = np.exp(log - log.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True)


def _contradictions(fixed, alone, xray, names):
    told = [(k, name, names[alone[k].argmax()]) for k, name in fixed.items() if xray.pixels[k] and alone[k, names.index(name)] < 1 - CERTAIN]
    return [f"the legend says {name} of object {k}, but its X-rays rather are those of {other}" for k, name, other in told[:5]]


def _choices(posterior, phase, sizes):
    """(K,) candidate that each object is called: its phase's, or its own where that is `PART` times likelier."""
    choice = np.zeros(len(phase), int)
    for p in np.unique(phase):
        own = np.flatnonzero(phase == p)
        common = int((sizes[own] @ posterior[own]).argmax())
        best = posterior[own].argmax(1)
        choice[own] = np.where(posterior[own, best] > PART * posterior[own, common], best, common)
    return choice


def _parted(found, named, labels, phase, posterior, choice, sizes, naming):
    """Phases and names with a phase for every (phase, name) that occurs."""
    kinds, child = np.unique(np.stack([phase, choice]), axis=1, return_inverse=True)
    child = np.ravel(child)
    names, xp = naming.names, array_module(found.labels)
    area = np.bincount(child, sizes, kinds.shape[1])
    candidates = []
    for c in range(kinds.shape[1]):
        own = child == c
        row = sizes[own] @ posterior[own] / sizes[own].sum()
        order = [kinds[1, c], *(m for m in np.argsort(-row, kind="stable") if m != kinds[1, c])]
        candidates.append([(names[m], float(row[m])) for m in order if row[m] >= LEAST])
    best = [names[m] for m in kinds[1]]
    different = list(dict.fromkeys(best))
    table = np.array([different.index(b) for b in best], np.int32)
    where = xp.asarray(child.astype(np.int32)[labels])
    certain = xp.asarray(posterior[np.arange(len(child)), choice].astype(np.float32)[labels])
    new = _split(found, kinds[0], where, area, xp)
    told = replace(named, material=[set_of(row) for row in candidates], best=best, candidates=candidates, labels=xp.asarray(table)[where],
                   names=different, confidence=found.confidence * certain, basis=naming.basis,
                   posterior=np.array([sizes[child == c] @ posterior[child == c] / sizes[child == c].sum() for c in range(len(best))]),
                   known={c: best[c] for c in range(len(best)) if kinds[0, c] in named.known}, notes=[*named.notes, *naming.notes])
    return new, told


def _split(found, parent, where, area, xp):
    """`Phases` with child c of phase parent[c] at `where`; doubt about a phase elsewhere goes to its largest child."""
    if len(parent) == len(found.level):
        return found
    largest = {p: max(np.flatnonzero(parent == p), key=lambda c: area[c]) for p in set(parent.tolist())}
    posterior = xp.zeros((len(parent), *found.labels.shape), np.float32)
    for c, p in enumerate(parent):
        mine = where == c
        if largest[p] == c:
            mine |= found.labels != p
        posterior[c] = xp.where(mine, found.posterior[p], 0)
    return replace(found, labels=where.astype(np.int32), posterior=posterior, level=found.level[parent], sigma=found.sigma[parent],
                   fraction=area / area.sum(), members=[found.members[p] for p in parent], contacts=None)


def _basis(named, seen, xray, fixed, signal):
    parts = []
    if xray is not None:
        parts.append(f"X-rays of {int((xray.pixels > 0).sum())} objects")
    if seen is not None:
        parts.append("each object's backscattered grey, calibrated on known materials")
    if not parts:
        return named.basis
    grey = "; secondary electrons are no evidence of atomic number" if signal == "SE" else ""
    return " and ".join(parts) + f", among {len(named.considered)} candidates{grey}"
