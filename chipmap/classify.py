"""A classifier from a few scribbles: features and a decision forest, piece by piece over the picture; with calibrated doubt.

    classifier = train([image], [labels], ["oxide", "metal"])
    labels, probability = classifier.predict(other)
"""

import hashlib
import json
import math
import os
import pathlib
import zipfile
from dataclasses import asdict, dataclass

import numpy as np
from cukernels import forest as forests
from cukernels.backend import array_module, on_device, to_host
from cukernels.potts import RELAX_REACH, relax_labels
from cukernels.threads import side_by_side

from chipmap import InputError
from chipmap.bank import Bank, grey_levels, tiles
from chipmap.score import brier, calibration_error
from chipmap.segment import Phases, segment
from chipmap.strata import Strata, learn, stacked

FORMAT, VERSION = "chipmap classifier", 1
TREES, DEPTH, LEAST = 64, 14, 5
AGREED = 0.85         # share of each class's scribbled pixels on which grey alone must agree before it is asked about others
HINT_STEP, HINTS = 3, 25_000  # every third row and column, and no more pixels than so
CELL = 32             # pixels: a tree sees the scribbles of such a cell all or none, for neighbours tell the same
STRENGTH = 1.0        # of the Potts field, nats against eight neighbours about 0.7 of it each
CONTRAST = 0.25       # step of grey at which the field lets go, of the step from dark to bright
LEAST_PROBABILITY = 1e-4
ARRAYS = "feature", "threshold", "child", "votes", "roots"


@dataclass
class Classifier:
    """What was learnt. classes: K names. card: what it was trained on and how well it does, as saved (JSON).

    levels: (dark, bright) that every picture is scaled by, or None where each is scaled by its own. temperature: the
    forest's votes to this power, 1 / temperature, are its probabilities.
    """

    classes: list
    bank: Bank
    levels: tuple | None
    forest: forests.Forest
    temperature: float
    card: dict

    def predict(self, image, strength=STRENGTH):
        """(labels (H, W) int32 0 .. K-1, probability (K, H, W) float32, sums to 1 over K), of the image's kind.

        image: (H, W) grey values, finite. probability is of the pixel and its surroundings as the features see them;
        labels are those of least energy under a Potts field of this `strength` whose edges follow the picture (0: the
        likeliest class). Raises InputError for a picture that is constant or not finite.
        """
        image = _checked(image)
        return self.predict_part(image, self.levels or grey_levels(image), strength)

    def predict_part(self, image, levels, strength=STRENGTH):
        """As `predict`, of a part of a picture whose (dark, bright) levels are given: with `reach` more pixels on each inner
        side, and from a row and column on that are multiples of `bank.STEP`, equal to the whole's to the bit."""
        image = _scaled(image, levels)
        probability = self._probability(image)
        xp = array_module(image)
        unary = xp.maximum(probability, np.float32(LEAST_PROBABILITY))
        xp.negative(xp.log(unary, out=unary), out=unary)
        labels, _ = relax_labels(unary, image, strength, CONTRAST)
        return labels, probability

    @property
    def reach(self):
        """How many pixels around it a pixel's label depends on."""
        return self.bank.reach + RELAX_REACH

    def phases(self, image, stack=None):
        """The classes as `segment.Phases`, numbered from dark to bright, and their names in that order.

        stack: names of all classes from top to bottom where they lie one above the other (`strata.stacked`); by default the
        stack that the model was trained with, if any.
        """
        xp = array_module(image)
        order, learnt = self._order(stack)
        labels, probability = self.predict(image)
        if order:
            labels, probability = self.stacked(image, probability, order, learnt)
        here = [k for k in range(len(self.classes)) if bool((labels == k).any())]
        grey = [to_host(image[labels == k]).astype(float) for k in here]
        level = np.array([np.median(g) for g in grey])
        spread = np.array([np.median(np.abs(g - m)) for g, m in zip(grey, level)])
        posterior = among(probability, here)
        found, ranked = self.in_order(here, level, spread, np.array([len(g) for g in grey]))
        if order:
            found.notes.append(f"layers from top to bottom: {', '.join(self.classes[k] for k in order)}")
        table = np.zeros(len(self.classes), np.int32)
        table[[here[k] for k in ranked]] = np.arange(len(ranked))
        found.labels, found.posterior, found.drift = xp.asarray(table)[labels], posterior[xp.asarray(ranked)], xp.zeros(labels.shape, np.float32)
        return found, [self.classes[here[k]] for k in ranked]

    def stacked(self, image, probability, order=None, learnt=None):
        """`strata.stacked` of the probabilities of this picture, by default as the model was trained with."""
        order, learnt = (order, learnt) if order else self._order(None)
        return stacked(probability, order, _scaled(_checked(image), self.levels or grey_levels(image)) if learnt else None, learnt)

    def _order(self, stack):
        """(class numbers from top to bottom or None, `strata.Strata` or None)."""
        learnt = self.card.get("stack") and Strata(**self.card["stack"])
        if not stack:
            return learnt and learnt.order, learnt
        unknown = [name for name in stack if name not in self.classes]
        if unknown:
            raise InputError(f"the stack names {unknown[0]!r}, which is no class of the model: its classes are {', '.join(self.classes)}")
        order = [self.classes.index(name) for name in stack]
        if learnt and order != learnt.order:
            raise InputError(f"the model was trained with the stack {', '.join(self.classes[k] for k in learnt.order)}: give no other, or train it again")
        return order, learnt

    def in_order(self, here, level, spread, pixels):
        """(`segment.Phases` of the classes that are `here`, from dark to bright, without labels; that order of `here`).

        level, spread, pixels: of each, the median grey, the median size of the departure from it, how many there are.
        """
        order = np.argsort(level, kind="stable")
        notes = [f"phases by a classifier trained on {len(self.card['trained_on'])} picture(s), "
                 f"out-of-bag error {self.card['out_of_bag_error']:.3f}"]
        return Phases(None, None, level[order], 1.4826 * spread[order], pixels[order] / pixels.sum(), {}, False,
                      [[float(level[k])] for k in order], None, notes), order

    def save(self, path):
        """One portable .npz without pickles: the arrays of the forest and the card."""
        path = pathlib.Path(path)
        partial = path.with_name(path.name + ".partial")
        arrays = {name: to_host(getattr(self.forest, name)) for name in ARRAYS}
        card = np.frombuffer(json.dumps(self.card, indent=1).encode(), np.uint8)
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, card=card, **arrays)
            os.replace(partial, path)
        except OSError as error:
            raise InputError(f"{path}: can't be written ({error.strerror or error}): check the folder and its permissions") from None

    def _probability(self, image):
        xp = array_module(image)
        forest = self.forest.to("cuda" if on_device(image) else "cpu")
        coarse = self.bank.coarse(image)
        out = xp.empty((len(self.classes), *image.shape), np.float32)

        def ask(tile):
            top, left, height, width = tile
            votes = forests.predict(forest, self.bank.tile(image, coarse, *tile))
            out[:, top:top + height, left:left + width] = _calibrated(votes, self.temperature, len(forest.roots))

        if on_device(image):
            for tile in tiles(image.shape):
                ask(tile)
        else:
            side_by_side(ask, tiles(image.shape))
        return out


def train(images, scribbles, classes=None, kind="planar", levels="picture", sources=None, trees=TREES, seed=0, stack=None):
    """A `Classifier` from pictures and scribbles.

    images: (H, W) arrays of grey values, any real dtype, all NumPy or all CuPy. scribbles: for each picture (H, W)
    integers, 0 where nothing is drawn, 1 .. K for the classes. classes: K names, default "1" .. "K". kind: as of
    `bank.Bank`. levels: "picture" scales each picture by its own dark and bright level, so that gain and offset of the
    detector do not matter; "training" takes the mean levels of these pictures for every picture to come, for series
    taken with one setting. sources: the files, for the card; their SHA-256 goes there, without them that of the arrays.
    trees, seed: of the forest. stack: names of all classes from top to bottom, where they lie one above the other all across:
    how the borders look and how thick the layers are is learnt from the first picture (`strata.learn`). Of a planar picture
    whose phases without training (`segment.segment`) agree with the scribbles, these are asked too, on a lattice of pixels.

    Raises InputError for scribbles that don't fit the picture, or with a class that is nowhere drawn, or a stack that does not
    name each class once.
    """
    if levels not in ("picture", "training"):
        raise InputError(f"levels {levels!r} are unknown: use picture or training")
    bank, images = Bank(kind), [_checked(image) for image in images]
    classes = _classes(images, scribbles, classes)
    if stack and sorted(stack) != sorted(classes):
        raise InputError(f"the stack {', '.join(stack)} does not name each class once: they are {', '.join(classes)}")
    fixed = tuple(np.mean([grey_levels(image) for image in images], axis=0).tolist()) if levels == "training" else None
    hints = [_hints(image, to_host(drawn), len(classes)) if kind == "planar" else None for image, drawn in zip(images, scribbles)]
    both = [to_host(drawn) if hint is None else hint for hint, drawn in zip(hints, scribbles)]
    columns, labels, groups = _samples(bank, [_scaled(image, fixed or grey_levels(image)) for image in images], both)
    strokes, labels = labels < len(classes), labels % len(classes)
    xp = array_module(columns)
    forest, votes = forests.train(columns, xp.asarray(labels), len(classes), trees, seed, xp.asarray(groups), DEPTH, LEAST)
    temperature, doubt = _calibrate(to_host(votes)[:, strokes], labels[strokes], trees)
    card = {"format": FORMAT, "version": VERSION, "classes": classes, "kind": kind, "features": bank.names(), "levels": fixed,
            "stack": None, "hinted_by_grey": [hint is not None for hint in hints], "trees": trees, "nodes": len(forest.child), "seed": seed, "temperature": temperature, **doubt,
            "trained_on": [_source(i, image, drawn, sources, classes) for i, (image, drawn) in enumerate(zip(images, scribbles))]}
    classifier = Classifier(classes, bank, fixed, forest.to("cpu"), temperature, card)
    if stack:
        scaled = _scaled(images[0], fixed or grey_levels(images[0]))
        card["stack"] = asdict(learn(classifier.predict(images[0])[1], [classes.index(name) for name in stack], scaled))
    return classifier


def load(path):
    """The `Classifier` that `Classifier.save` wrote.

    Raises InputError for a file that is missing, damaged, of another format or version, or whose parts don't fit.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS}
            card = json.loads(bytes(file["card"]))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}): check the path") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is no classifier ({str(error).splitlines()[0] if str(error) else 'damaged'}): save it again") from None
    if card.get("format") != FORMAT or card.get("version") != VERSION:
        raise InputError(f"{path}: is {card.get('format')!r}, version {card.get('version')}; this program reads {FORMAT!r}, "
                         f"version {VERSION}: train it again")
    try:
        bank, forest = Bank(card["kind"]), forests.Forest(**arrays)
        levels = tuple(card["levels"]) if card["levels"] else None
        fits = card["features"] == bank.names() and _whole(forest, len(bank.names()), len(card["classes"])) and card["temperature"] > 0 and _stands(card.get("stack"), len(card["classes"]))
        classifier = Classifier(card["classes"], bank, levels, forest, float(card["temperature"]), card)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: its card lacks {error}: train it again") from None
    if not fits:
        raise InputError(f"{path}: its forest and its card don't fit each other or this program's features: train it again")
    return classifier


def _stands(stack, count):
    """True if there is no stack, or one of these many classes with finite numbers."""
    if stack is None:
        return True
    learnt = Strata(**stack)
    numbers = [*learnt.sign, *learnt.least, *learnt.usual, *learnt.thickness]
    return bool(sorted(learnt.order) == list(range(count)) and len(learnt.sign) == len(learnt.least) == len(learnt.usual) == count - 1
                and len(learnt.thickness) == count - 2 and np.isfinite(numbers).all() and min([*learnt.least, *learnt.usual, *learnt.thickness]) > 0)


def _whole(forest, features, classes):
    """True if every array has its dtype and size, and no node leads out of the forest or back."""
    count = len(forest.child)
    kinds = [getattr(forest, name).dtype for name in ARRAYS] == [np.int32, np.float32, np.int32, np.float32, np.int32]
    if not (kinds and count and len(forest.feature) == len(forest.threshold) == count and forest.votes.shape == (count, classes)):
        return False
    node = np.arange(count)
    leaf = forest.child == node
    return bool(len(forest.roots) and forest.roots.min() >= 0 and forest.roots.max() < count and count < 2**24
                and (forest.child >= node).all() and (forest.child + ~leaf < count).all() and np.isinf(forest.threshold[leaf]).all()
                and forest.feature.min() >= 0 and forest.feature.max() < features and np.isfinite(forest.votes).all())


def _checked(image):
    xp = array_module(image)
    if image.ndim != 2 or min(image.shape) < 4:
        raise InputError(f"picture of shape {tuple(image.shape)}: a classifier needs rows x columns of at least 4 x 4 grey values")
    image = image.astype(np.float32)
    if not bool(xp.isfinite(image).all()):
        raise InputError("the picture holds values that are not numbers: replace such pixels or crop them")
    return image


def among(probability, here):
    """(len(here), H, W): the probabilities of these classes, scaled to sum 1 among themselves."""
    xp = array_module(probability)
    posterior = probability[xp.asarray(np.array(here))]
    posterior /= xp.maximum(posterior.sum(0), np.float32(1e-12))
    return posterior


def _scaled(image, levels):
    dark, bright = levels
    return (image - np.float32(dark)) * np.float32(1 / (bright - dark))


def _classes(images, scribbles, classes):
    if not images or len(images) != len(scribbles):
        raise InputError(f"{len(images)} pictures and {len(scribbles)} scribbles: give one for each picture")
    for i, (image, drawn) in enumerate(zip(images, scribbles)):
        if drawn.shape != image.shape or drawn.dtype.kind not in "iu" or int(drawn.min()) < 0:
            raise InputError(f"the scribbles of picture {i} have shape {tuple(drawn.shape)}: give whole numbers from 0, one a pixel of {tuple(image.shape)}")
    most = max(int(drawn.max()) for drawn in scribbles)
    classes = [str(k + 1) for k in range(most)] if classes is None else list(classes)
    there = set().union(*(np.unique(to_host(drawn)).tolist() for drawn in scribbles)) - {0}
    missing = [name for k, name in enumerate(classes) if k + 1 not in there]
    if len(classes) < max(2, most) or missing:
        what = f"nothing is drawn for {missing[0]}" if missing else f"{most} classes are drawn and {len(classes)} named"
        raise InputError(f"{what}: draw strokes for two or more classes, every one with a name")
    return classes


def _hints(image, drawn, count):
    """The scribbles (H, W), and on a lattice between them, as classes + `count`, what the grey alone says; None where it says
    something else than the scribbles: these keep to what is plain, and where a track ends, or that two are apart, they seldom say.
    """
    phase = to_host(segment(image).labels)
    met = np.zeros((int(phase.max()) + 1, count))
    np.add.at(met, (phase[drawn > 0], drawn[drawn > 0] - 1), 1)
    met /= np.maximum(met.sum(0), 1)
    of = met.argmax(1)
    agreed = np.array([met[of == k, k].sum() for k in range(count)])[met.sum(0) > 0]
    if agreed.min() < AGREED:
        return None
    step = max(HINT_STEP, math.ceil(math.sqrt(drawn.size / HINTS)))
    hints = np.zeros_like(drawn, np.int32)
    hints[::step, ::step] = np.where(met.sum(1) > 0, of + count + 1, 0)[phase[::step, ::step]]
    return np.where(drawn > 0, drawn, hints)


def _samples(bank, images, scribbles):
    """Features (F, N) of the pixels drawn over, their classes 0 .. K-1 (N,), the cells they lie in (N,)."""
    columns, labels, groups = [], [], []
    for number, (image, drawn) in enumerate(zip(images, scribbles)):
        xp = array_module(image)
        coarse, drawn = bank.coarse(image), to_host(drawn)
        for top, left, height, width in tiles(image.shape):
            part = drawn[top:top + height, left:left + width]
            y, x = np.nonzero(part)
            if not len(y):
                continue
            columns.append(bank.tile(image, coarse, top, left, height, width)[:, xp.asarray(y), xp.asarray(x)])
            labels.append(part[y, x] - 1)
            groups.append((np.int64(number) << 40) + ((top + y) // CELL << 20) + (left + x) // CELL)
    return array_module(columns[0]).concatenate(columns, axis=1), np.concatenate(labels).astype(np.int32), np.concatenate(groups)


def _calibrated(votes, temperature, trees):
    """Votes to the power 1 / temperature, half a vote added to each class, scaled to sum 1: (K, ...)."""
    xp = array_module(votes)
    raised = xp.exp(xp.log(votes + np.float32(0.5 / trees)) * np.float32(1 / temperature))
    return raised / raised.sum(0)


def _calibrate(votes, labels, trees):
    """The temperature that makes the classes of samples outside the bag likeliest, and what is said of them with it.

    At least 1: strokes keep to what is plain to see, so how sure the forest is of them is no reason to be surer elsewhere.
    """
    from scipy.optimize import minimize_scalar

    known = ~np.isnan(votes[0])
    if not known.any():
        raise InputError("every tree has seen every stroke: draw more or longer strokes, so that some can test the rest")
    votes, labels = votes[:, known].astype(np.float64), labels[known]
    at = lambda t: -np.log(_calibrated(votes, t, trees)[labels, np.arange(len(labels))]).mean()  # noqa: E731
    temperature = float(np.exp(minimize_scalar(lambda t: at(np.exp(t)), bounds=(0, 2), method="bounded").x))
    right = votes.argmax(0) == labels
    after = _calibrated(votes, temperature, trees)
    return temperature, {"out_of_bag_error": float(1 - right.mean()), "out_of_bag_samples": len(labels),
                         "calibration_error_of_votes": calibration_error((votes / votes.sum(0)).max(0).clip(0, 1), right),
                         "calibration_error": calibration_error(after.max(0).clip(0, 1), right),
                         "brier_score_of_votes": brier(votes, labels), "brier_score": brier(after, labels)}


def _source(number, image, drawn, sources, classes):
    drawn = to_host(drawn)
    pixels = {name: int((drawn == k + 1).sum()) for k, name in enumerate(classes)}
    if sources is None:
        digest, name = hashlib.sha256(np.ascontiguousarray(to_host(image)).tobytes()).hexdigest(), f"array {number}, float32"
    else:
        digest, name = hashlib.sha256(pathlib.Path(sources[number]).read_bytes()).hexdigest(), pathlib.Path(sources[number]).name
    return {"picture": name, "sha256": digest, "shape": list(image.shape), "scribbled_pixels": pixels,
            "scribbles_sha256": hashlib.sha256(np.ascontiguousarray(drawn.astype(np.int32)).tobytes()).hexdigest()}
