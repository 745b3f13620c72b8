"""Phases -> materials: by what the user says, by backscattered grey, by what the process can hold; with the doubt.

Backscattered grey = gain * eta(Z, kV) + offset, gain and offset set by the operator. Two phases that are known fix them;
with fewer, all gains and offsets are held possible and the posterior shows it. Secondary electrons say nothing of Z.
"""

import itertools
import pathlib
import re
import tomllib
from dataclasses import dataclass

import numpy as np
from cukernels.backend import array_module

from chipmap import InputError, eta, materials
from chipmap.segment import neighbours

PROCESSES = pathlib.Path(__file__).parent / "processes"
SURE = 0.9  # a phase is named by the smallest set of candidates that holds this much of the posterior
LINEARITY = 0.02  # departure of a detector's grey from the straight line, share of the range
CONTACT = 3.0  # nats that a phase costs whose whole border touches what it may not; soft, for a thin liner may not be seen
ASSIGNMENTS = 20_000
_DARK_TO_BRIGHT = ("dark", "middle", "bright")


@dataclass
class Identification:
    """Which material each phase is.

    material: name of each phase, or the set the evidence leaves ("Ta or W"). best: the likeliest single name of each.
    candidates: for each phase [(name, probability), ...], likeliest first. labels: (H, W) int32, index into `names`,
    phases of one material joined. names: the different entries of `best`. confidence: (H, W) float32, posterior of the
    phase times that of its best material. basis: one sentence on where the names come from. calibrated: True where
    gain and offset come from known phases. notes: sentences for the report. considered: M names held possible; posterior:
    (K, M) of each phase over them; known: {phase: name} that the user gave.
    """

    material: list
    best: list
    candidates: list
    labels: np.ndarray
    names: list
    confidence: np.ndarray
    basis: str
    calibrated: bool
    notes: list
    considered: list
    posterior: np.ndarray
    known: dict


@dataclass
class Process:
    """What a process can hold: names of materials, and for each pair whether they may touch."""

    name: str
    materials: list
    touching: set

    def may_touch(self, a, b):
        return a == b or frozenset((a, b)) in self.touching


def identify(phases, image=None, materials=None, legend=None, process=None, kv=None, signal=None, more=False):
    """Name the materials of `phases` (a `segment.Phases`); the more is said, the less is guessed.

    image: not needed by grey levels of phases; kept for evidence from single objects. legend: {"bright": "Cu", 0:
    "SiO2"} or text "bright=Cu dark=SiO2" names phases outright (dark, middle, bright or a number from 0 = darkest);
    in a backscatter picture two named phases calibrate the rest. materials: names or "Cu,SiO2", the candidates.
    process: a `Process`, the name of a bundled one, or a path. Without any of them the whole library is held possible.
    kv: beam energy in keV, 15 if unknown. signal: "BSE", "SE" or None where the tags don't say. more: True where other
    evidence (X-rays) is to come, so that secondary electrons leave every candidate as likely as the others.

    Returns an `Identification`. Raises InputError for unknown materials and legends that don't fit the phases, and for
    a secondary-electron picture of which neither legend nor materials are given: its grey tells no atomic number.
    """
    count = len(phases.level)
    known = _legend(legend, count)
    process = load_process(process) if isinstance(process, (str, pathlib.Path)) else process
    if signal == "SE" and len(known) < count and materials is None and not more:
        raise InputError("the picture shows secondary electrons, whose grey tells no atomic number: name the phases with "
                         f'--legend ({_example(count)}) or say with --materials what is there')
    names, asked = _candidates(materials, process, known, count)
    notes = []
    if more and signal == "SE":
        table = np.array([[float(known[k] == n) if k in known else 1 / len(names) for n in names] for k in range(count)])
    elif len(known) < count:
        table = _posterior(phases, names, known, process, _energy(kv, notes), signal, asked)
    else:
        table = np.array([[float(known[k] == name) for name in names] for k in range(count)])
    return _named(phases, names, table, known, asked, process, signal, notes)


def load_process(name):
    """A `Process` by name (a file of `processes/`) or by path; InputError names those there are."""
    path = pathlib.Path(name)
    if path.suffix != ".toml":
        path = PROCESSES / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"process {str(name)!r} is unknown: use one of {', '.join(process_names())}, or the path of a .toml") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is no TOML ({error}): mend it") from None
    touches = table.get("touches", {})
    known = [materials.find(n).name for n in touches]
    pairs = {frozenset((materials.find(a).name, materials.find(b).name)) for a, others in touches.items() for b in others}
    missing = {n for pair in pairs for n in pair} - set(known)
    if not known or missing:
        raise InputError(f"{path}: [touches] lacks a line for {', '.join(sorted(missing)) or 'any material'}: add it")
    return Process(table.get("name", path.stem), known, pairs)


def process_names():
    """Names of the bundled process tables."""
    return sorted(p.stem for p in PROCESSES.glob("*.toml"))


def _legend(legend, count):
    """{phase number: material name} of a legend given as text or as a dict."""
    if legend is None:
        return {}
    if isinstance(legend, str):
        pairs = [part.split("=", 1) for part in re.split(r"[\s,;]+", legend.strip()) if part]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise InputError(f"legend {legend!r} can't be read: write, for example, --legend {_example(count)}")
    else:
        pairs = legend.items()
    known = {}
    for key, value in pairs:
        number, name = _phase(key, count), materials.find(value).name
        if known.setdefault(number, name) != name:
            raise InputError(f"legend names phase {key!r} twice, {known[number]} and {name} ({count} phases were found, 0 is the darkest): "
                             "give each phase one name")
    return known


def _phase(key, count):
    place = {"dark": 0, "bright": count - 1, **({"middle": 1} if count == 3 else {})}
    number = place.get(str(key).strip().lower(), key)
    try:
        number = int(number)
    except ValueError:
        number = -1
    if not 0 <= number < count:
        words = " and ".join(_DARK_TO_BRIGHT if count == 3 else ("dark", "bright"))
        raise InputError(f"legend names phase {key!r}, but the picture has {count} phases: use {words}, or 0 (darkest) to {count - 1}")
    return number


def _example(count):
    return "bright=Cu dark=SiO2" if count < 3 else "0=SiO2 1=Cu 2=W"


def _candidates(wanted, process, known, count):
    """Names of the materials held possible, and whether the user listed just as many as there are phases."""
    if wanted is not None:
        names = [w for w in (wanted.split(",") if isinstance(wanted, str) else wanted) if w.strip()]
        names = list(dict.fromkeys([materials.find(n).name for n in names] + list(known.values())))
        if len(names) < count:
            raise InputError(f"{count} phases were found but {len(names)} materials are named ({', '.join(names)}): name more "
                             f"with --materials, or ask for fewer phases with --phases {len(names)}")
        return names, len(names) == count
    names = process.materials if process else list(materials.load())
    return list(dict.fromkeys([*names, *known.values()])), False


def _energy(kv, notes):
    if kv is None:
        notes.append("beam energy unknown: backscatter coefficients are those at 15 kV")
        return 15.0
    low, high = eta.KV_RANGE
    if not low <= kv <= high:
        notes.append(f"beam energy {kv:g} kV is outside {low:g}-{high:g} kV, where backscatter models hold: they are taken at its border")
    return float(np.clip(kv, low, high))


def _posterior(phases, names, known, process, kv, signal, asked):
    """(K, M) probability that phase k is material m.

    Over a grid of (eta of the darkest, eta of the brightest) phase, i.e. over all gains and offsets with positive gain:
    each phase's eta is read off its grey and compared with the materials', then all ways to give the phases different
    materials are weighed. Where the user listed the materials, each is used once.
    """
    values = np.array([eta.eta_of(materials.find(n), kv) for n in names])
    mean, sigma = values[:, 0], values[:, 1]
    if signal == "SE":
        sigma = np.hypot(sigma, 0.15)  # secondary yield follows Z loosely at best
    fit = _fit_by_grid(phases.level, mean, sigma, known, names)
    cost = _contact_share(neighbours(phases.labels, len(phases.level)) if phases.contacts is None else phases.contacts)
    options = _options(fit, known, names)
    weights, assignments = [], []
    for assignment in itertools.product(*options):
        if len(set(assignment)) == len(assignment):
            assignments.append(assignment)
    if not assignments:
        raise InputError(f"{len(phases.level)} phases can't all be different materials of {', '.join(names)}: name more materials")
    assignments = np.array(assignments)
    weights = _likelihoods(fit, assignments)
    weights = np.log(np.maximum(weights, 1e-300)) - CONTACT * _forbidden(assignments, names, process, cost)
    weights = np.exp(weights - weights.max())
    table = np.zeros((len(phases.level), len(names)))
    for k in range(len(phases.level)):
        np.add.at(table[k], assignments[:, k], weights)
    return table / table.sum(1, keepdims=True)


def _fit_by_grid(level, mean, sigma, known, names):
    """(G, K, M) likelihood of material m for phase k at each grid point of (darkest, brightest) eta."""
    steps = np.linspace(0, 0.6, 97)
    dark, bright = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
    dark, bright = dark[bright > dark], bright[bright > dark]
    place = (level - level[0]) / max(level[-1] - level[0], 1e-12)
    expected = dark[:, None] + place * (bright - dark)[:, None]
    width = np.hypot(sigma, LINEARITY * (bright - dark)[:, None])
    return np.exp(-0.5 * ((expected[:, :, None] - mean) / width[:, None, :]) ** 2) / width[:, None, :]


def _options(fit, known, names):
    """Materials worth trying for each phase: all, or the likeliest ones where all would be too many to go through."""
    count = fit.shape[1]
    room = int(ASSIGNMENTS ** (1 / max(count - len(known), 1)))
    for k, name in known.items():
        fit[:, k, :] *= np.arange(len(names)) == names.index(name)
    alone = fit / np.maximum(fit.sum(2, keepdims=True), 1e-300)
    joint = np.exp(np.log(np.maximum(fit.sum(2), 1e-300)).sum(1))
    odds = np.einsum("g,gkm->km", joint, alone)
    return [[names.index(known[k])] if k in known else np.argsort(-odds[k], kind="stable")[:room].tolist() for k in range(count)]


def _likelihoods(fit, assignments):
    total = np.zeros(len(assignments))
    for point in fit:
        one = point[0, assignments[:, 0]].copy()
        for k in range(1, assignments.shape[1]):
            one *= point[k, assignments[:, k]]
        total += one
    return total


def _contact_share(contacts):
    """(K, K) share of the smaller phase's border that lies against the other phase, from `segment.neighbours`."""
    pairs = (contacts + contacts.T).astype(float)
    np.fill_diagonal(pairs, 0)
    border = np.maximum(pairs.sum(1), 1)
    return np.maximum(pairs / border[:, None], pairs / border[None, :])


def _forbidden(assignments, names, process, share):
    """Share of borders that the process does not allow, summed over pairs of phases, for each assignment."""
    total = np.zeros(len(assignments))
    if process is None:
        return total
    apart = np.array([[not process.may_touch(a, b) for b in names] for a in names])
    for k, l in itertools.combinations(range(assignments.shape[1]), 2):
        total += share[k, l] * apart[assignments[:, k], assignments[:, l]]
    return total


def _named(phases, names, table, known, asked, process, signal, notes):
    candidates = []
    for row in table:
        order = np.argsort(-row, kind="stable")
        candidates.append([(names[m], float(row[m])) for m in order if row[m] >= 1e-4])
    best = [row[0][0] for row in candidates]
    calibrated = len(known) >= 2 and signal != "SE"
    different = list(dict.fromkeys(best))
    xp = array_module(phases.labels)
    labels = xp.asarray(np.array([different.index(b) for b in best], np.int32))[phases.labels]
    sure = xp.asarray(np.array([row[0][1] for row in candidates], np.float32))[phases.labels]
    return Identification([set_of(row) for row in candidates], best, candidates, labels, different, phases.confidence * sure,
                          _basis(known, len(best), asked, process, signal, calibrated), calibrated, notes, names, table, known)


def set_of(candidates):
    held, total = [], 0.0
    for name, probability in candidates:
        held.append(name)
        total += probability
        if total >= SURE:
            break
    return " or ".join(held) if len(held) <= 4 else f"{' or '.join(held[:4])} or {len(held) - 4} others"


def _basis(known, count, asked, process, signal, calibrated):
    if len(known) == count:
        return "named by the user"
    source = "the materials listed" if asked else f"the materials of process {process.name}" if process else "the materials held possible"
    if calibrated:
        return f"backscattered grey calibrated on {' and '.join(sorted(set(known.values())))}, among {source}"
    if signal == "SE":
        return f"{source}, in the order of their atomic number; secondary electrons are no evidence of it: uncalibrated, give a legend"
    return f"order of grey against the order of backscatter among {source}: uncalibrated, gain and offset are unknown"
