"""Labels and confidence of a picture tile by tile, each with so much around it that they are those of the whole."""

import math

import numpy as np
from cukernels.backend import array_module, to_device, to_host

from chipmap import InputError
from chipmap.bank import LEVEL_BINS, STEP, two_levels
from chipmap.big import survey
from chipmap.big.planes import Plane
from chipmap.big.tiling import Progress, available_memory, cut, read_ahead
from chipmap.classify import among, load
from chipmap.levels import Fit, drift, fit_levels, smooth, smoothing_reach
from chipmap.mixture import Mixture
from chipmap.prepare import parse_crop
from chipmap.segment import join, label, neighbours, reach, summary
from chipmap.training import legend_of

BASE = 350e6            # bytes that the program takes by itself
A_PIXEL = 120           # bytes for each pixel of a tile and its halo, at most: grey, smoothed, costs and posteriors of eight levels
HALO, MODEL_HALO = 120, 480     # pixels around a tile, at most
ON_DISK = 9             # bytes a pixel while it runs: labels, confidence, objects
MOST_PIXELS = 2**31 - 1


class Part:
    """What `crop` leaves of a `pyramid.Pyramid`, read by windows. crop: text as of `prepare.prepare`, or None."""

    def __init__(self, whole, crop=None):
        self._whole, self.dtype = whole, whole.dtype
        self.crop = parse_crop(crop, *whole.shape) if crop else (0, whole.shape[0], 0, whole.shape[1])
        self.shape = self.crop[1] - self.crop[0], self.crop[3] - self.crop[2]

    def read(self, top, left, height, width):
        return self._whole.read(self.crop[0] + top, self.crop[2] + left, height, width)


class Untrained:
    """Phases without training (`segment.segment`): what the whole picture says of its grey levels, and each tile by them."""

    multiple = 2
    legend = None

    def __init__(self, picture, seen, phases, tile, device, work, say):
        self._phases = phases
        facts = work.kept("fit", lambda: _as_facts(_fit(picture, seen, int(phases or 1), tile, device, say)))
        self.fit = Fit(Mixture(*(np.array(a) if isinstance(a, list) else a for a in facts.pop("mixture"))),
                       {int(n): e for n, e in facts.pop("evidence").items()}, shape=tuple(facts.pop("shape")), **facts)
        self.count, self.halo = len(self.fit.mixture.mean), reach(self.fit) + 1

    def groups(self, area):
        """Numbers of the levels that make up each phase, from the pixels of each level."""
        return join(self.fit.mixture.mean, area / area.sum(), int(self._phases or self.count))

    def look(self, window, tile):
        """(labels (h, w) int32, posterior (K, h, w)) of the tile's window."""
        xp = array_module(window)
        return label(smooth(window, self.fit.scale) - drift(xp, self.fit, *tile.window), self.fit)

    def merged(self, posterior, groups):
        """Posterior of the phases."""
        return posterior if len(groups) == self.count else array_module(posterior).stack([posterior[group].sum(0) for group in groups])

    def phases(self, groups, area, grey):
        """(`segment.Phases` without pixels, the order of `groups` in it)."""
        return summary(self.fit, area / area.sum(), groups, self._phases is None, None, None, None), np.arange(len(groups))


class Trained:
    """Classes of a saved classifier."""

    multiple = STEP

    def __init__(self, model, seen, legend, phases):
        self._classifier, self._seen = load(model), seen
        values, count = seen.grey()
        count, edges = np.histogram(values, bins=LEVEL_BINS, range=(float(seen.low), float(seen.high)), weights=count.astype(float))
        self._levels = self._classifier.levels or two_levels(count, edges.astype(np.float32).astype(float))
        self.count, self.halo = len(self._classifier.classes), self._classifier.reach + 1
        self.legend, self._given, self._asked = None, legend, phases
        legend_of(self._classifier.classes, legend, phases)     # refuses before the work, not after it

    def groups(self, area):
        return [[k] for k in range(self.count) if area[k]]

    def look(self, window, tile):
        return self._classifier.predict_part(window, self._levels)

    def merged(self, posterior, groups):
        return among(posterior, [group[0] for group in groups])

    def phases(self, groups, area, grey):
        here = [group[0] for group in groups]
        values = np.arange(grey.shape[1], dtype=float)
        level, spread = np.array([survey.median_and_spread(values[grey[k] > 0], grey[k][grey[k] > 0]) for k in here]).T
        found, order = self._classifier.in_order(here, level, spread, area[here])
        if self._classifier.card.get("stack"):
            found.notes.append("the model's stack of layers is not used: tiles don't hold whole columns")
        self.legend = legend_of([self._classifier.classes[here[k]] for k in order], self._given, self._asked)
        return found, order


def say_need(picture, tile, model, say):
    """Say how much memory and disk the run will take at most; InputError where the memory is not there."""
    height, width = picture.shape
    if height * width > MOST_PIXELS:
        raise InputError(f"the picture has {height} x {width} pixels, more than 2**31: cut it with --crop")
    window = math.prod(min(tile + 2 * (MODEL_HALO if model else HALO), size) for size in picture.shape)
    bands = 40 * survey.BAND * width
    need = BASE + max(A_PIXEL * window, bands)
    tiles = -(-height // tile) * -(-width // tile)
    say(f"{height} x {width} pixels in {tiles} tiles of {tile}: at most {need / 1e9:.1f} GB of memory, and {ON_DISK * height * width / 1e9:.1f} GB "
        "on the disk while it runs")
    there = available_memory()
    if there is not None and need > there:
        raise InputError(f"the run needs {need / 1e9:.1f} GB of memory and {there / 1e9:.1f} GB are free: take smaller tiles with --tile, or close something")


def label_tiles(picture, labeller, tile, device, work, say):
    """(levels plane uint8, confidence plane float32, `segment.Phases` without pixels but with contacts, phase of each level).

    A tile's results are on the disk before the next is begun; `work` tells those of an earlier, stopped run.
    """
    tiles = cut(picture.shape, tile, labeller.halo, labeller.multiple)
    levels = Plane(work.path("levels.raw"), picture.shape, np.uint8)
    confidence = Plane(work.path("confidence.raw"), picture.shape, np.float32)
    groups = [[k] for k in range(labeller.count)]
    while True:
        area, contacts = _label_all(picture, labeller, groups, tiles, levels, confidence, device, work, say)
        actual = labeller.groups(area)
        if actual == groups:
            break
        groups = actual     # which levels join, or are nowhere, is known only now: the confidences are those of what is left
    found, order = labeller.phases(groups, area, _grey_of_levels(picture, levels, labeller.count))
    phase = np.full(labeller.count, -1)
    for number, k in enumerate(order):
        phase[groups[k]] = number
    found.contacts = np.zeros((len(groups),) * 2, np.int64)
    there = phase >= 0
    np.add.at(found.contacts, (phase[there][:, None], phase[there][None, :]), contacts[np.ix_(there, there)])
    return levels, confidence, found, phase


def _label_all(picture, labeller, groups, tiles, levels, confidence, device, work, say):
    journal = "tiles-" + "-".join("+".join(map(str, group)) for group in groups)
    done = work.journal(journal)
    if done and len(done) < len(tiles):
        say(f"  goes on after {len(done)} of {len(tiles)} tiles")
    left = [tile for tile in tiles if tile.number not in done]
    with Progress("phases", len(tiles), say, len(done)) as progress:
        for tile, window in zip(left, read_ahead(picture.read, [tile.window for tile in left])):
            done[tile.number] = _label_one(to_device(window.astype(np.float32), device), tile, picture.shape, labeller, groups, levels, confidence)
            work.note(journal, tile.number, done[tile.number])
            progress.step()
    return (np.sum([facts[name] for facts in done.values()], axis=0) for name in ("area", "contacts"))


def _label_one(window, tile, shape, labeller, groups, levels, confidence):
    labels, posterior = labeller.look(window, tile)
    sure = labeller.merged(posterior, groups).max(0)
    levels.write(tile.top, tile.left, to_host(labels[tile.inner]))
    confidence.write(tile.top, tile.left, to_host(sure[tile.inner]))
    area = array_module(labels).bincount(labels[tile.inner].ravel(), minlength=labeller.count)
    return {"area": to_host(area).tolist(), "contacts": _contacts(labels, tile, shape, labeller.count).tolist()}


def _contacts(labels, tile, shape, count):
    """Neighbours of the tile's pixels, to the right and below, also where these belong to the next tile."""
    y, x = tile.inner[1:]
    down = tile.top + tile.height < shape[0]
    right = tile.left + tile.width < shape[1]
    pairs = neighbours(labels[y.start:y.stop, x.start:x.stop], count)
    if down:
        pairs += _pairs(labels[y.stop - 1, x], labels[y.stop, x], count)
    if right:
        pairs += _pairs(labels[y, x.stop - 1], labels[y, x.stop], count)
    return pairs


def _pairs(one, other, count):
    xp = array_module(one)
    return to_host(xp.bincount(one * count + other, minlength=count * count)).reshape(count, count)


def _fit(picture, seen, least, tile, device, say):
    """`levels.fit_levels` of the whole picture, smoothed tile by tile."""
    def smoothed(scale):
        tiles = cut(picture.shape, tile, smoothing_reach(scale))
        across = -(-picture.shape[1] // tile)

        def at(y, x):
            out = np.empty(len(y), np.float32)
            number = y // tile * across + x // tile
            order = np.argsort(number, kind="stable")
            ends = np.searchsorted(number[order], np.arange(len(tiles) + 1))
            wanted = [t for t in tiles if ends[t.number] < ends[t.number + 1]]
            with Progress(f"levels, smoothed by {scale:g} px", len(wanted), say) as progress:
                for t, window in zip(wanted, read_ahead(picture.read, [t.window for t in wanted])):
                    here = order[ends[t.number]:ends[t.number + 1]]
                    part = smooth(to_device(window.astype(np.float32), device), scale)
                    xp = array_module(part)
                    out[here] = to_host(part[xp.asarray(y[here] - t.window[0]), xp.asarray(x[here] - t.window[1])])
                    progress.step()
            return out
        return at
    return fit_levels(smoothed, picture.shape, float(seen.high - seen.low), seen.noise, least)


def _as_facts(fit):
    mixture = fit.mixture
    return {"mixture": [mixture.mean.tolist(), mixture.sigma.tolist(), mixture.weight.tolist(), mixture.field.tolist(), mixture.evidence, mixture.floor],
            "evidence": fit.evidence, "scale": fit.scale, "noise": float(fit.noise), "noise_left": float(fit.noise_left), "shape": list(fit.shape)}


def _grey_of_levels(picture, levels, count):
    """(K, V) pixels of each grey value in each level."""
    most = np.iinfo(picture.dtype).max + 1
    grey = np.zeros(count * most, np.int64)
    for top in range(0, picture.shape[0], survey.BAND):
        rows = min(survey.BAND, picture.shape[0] - top)
        both = levels.read(top, 0, rows, picture.shape[1]).astype(np.int32) * most + picture.read(top, 0, rows, picture.shape[1])
        grey += np.bincount(both.ravel(), minlength=len(grey))
    return grey.reshape(count, most)
