"""Decision forests over pixels: trees on quantised thresholds, grown and asked on the CPU and on CUDA with the same bits.

L. Breiman, Machine Learning 45, 5 (2001). A tree compares features with one of 63 quantiles, so growing it is counting:
integers, whose sums have no order. Which samples and features a tree sees are functions of (seed, tree, node), so any
number of threads, on any device, grows the same forest.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numba import njit

from .backend import array_module, grid, launch, on_device, to_device, to_host
from .philox import philox, unit
from .threads import in_threads

MAX_FEATURES, MAX_CLASSES = 256, 16
_BINS = 64   # of the values of a feature
# pixels that go down a tree together, and such blocks side by side in a band: their features stay in the cache
_HIGH, _WIDE, _ACROSS = 4, 16, 32
_PITCH, _BLOCK = _WIDE * _ACROSS, _HIGH * _WIDE
# cumulative probabilities of a Poisson number of mean 1: how often a tree sees a sample
_POISSON = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
_MORE = 1 + 1e-9  # by what a split must be purer than no split: beyond rounding


@dataclass
class Forest:
    """T trees in arrays over all M nodes, NumPy or CuPy.

    feature (M,) int32, threshold (M,) float32, child (M,) int32: a sample goes on to `child` where its value of `feature`
    is at most `threshold`, else to `child + 1`; a leaf is its own child. votes (M, K) float32: shares of the classes among
    the training samples of the node, each class weighed as in training. roots (T,) int32: first node of each tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    votes: np.ndarray
    roots: np.ndarray

    def to(self, device):
        """The same forest with its arrays on `device` ("cpu" or "cuda")."""
        return Forest(*(to_device(getattr(self, f.name), device) for f in fields(self)))


def train(features, labels, classes, trees=64, seed=0, groups=None, depth=20, least=1, tries=None, balance=True):
    """Grow a forest.

    features: (F, N) float32, F <= 256, finite. labels: (N,) integers 0 .. classes - 1, classes K <= 16. trees, seed:
    numbers. groups: (N,) integers >= 0; samples of one group are drawn or left out together (pixels side by side tell
    the same: only those of another group test a tree honestly); None: each sample is its own group. depth: of a tree at
    most. least: samples on either side of a split. tries: features looked at for a split, default sqrt(F) rounded up; more
    where none of them splits. balance: weigh classes as if each had as many samples.

    A tree sees a group k times, k from a Poisson distribution of mean 1; a split is where the Gini impurity falls most.
    Returns (Forest, votes (K, N) float32): the mean vote of the trees that had not seen the sample, NaN where all had.
    Arrays of the features' kind. Raises ValueError or TypeError for arguments that don't fit and features that aren't
    finite.
    """
    features, labels, groups = _training_set(features, labels, classes, groups)
    tries = min(len(features), int(tries or math.ceil(math.sqrt(len(features)))))
    if not (trees >= 1 and depth >= 0 and least >= 1 and tries >= 1):
        raise ValueError(f"trees {trees}, depth {depth}, least {least}, tries {tries}: trees, least and tries start at 1, depth at 0")
    edges, codes = _quantised(features)
    weight = _class_weights(labels, classes, balance)
    how = np.uint64(seed), int(trees), int(depth), int(least), tries
    grow = _grow_cuda if on_device(features) else _grow_cpu
    nodes, used = grow(codes, labels, groups, weight, classes, *how)
    forest = _assembled(nodes, edges, weight)
    return forest, _vote(forest, features[:, None], used)[:, 0]


def predict(forest, features):
    """Mean vote of the trees for each sample: (K, ...) float32, sums to 1 over K.

    features: (F, ...) float32, of the forest's kind; quickest as planes (F, H, W) of a picture, whose neighbours are alike.
    Raises ValueError for NaN and for fewer features than the trees ask for, TypeError for another dtype or mixed kinds.
    """
    if features.dtype != np.float32 or features.ndim < 1:
        raise TypeError(f"features have dtype {features.dtype}: pass (F, ...) float32")
    if len(features) <= int(forest.feature.max()):
        raise ValueError(f"the forest asks for {int(forest.feature.max()) + 1} features or more, not {len(features)}")
    planes = features.reshape(len(features), -1, features.shape[-1] if features.ndim > 2 else features[0].size)
    return _vote(forest, array_module(features).ascontiguousarray(planes), None).reshape(-1, *features.shape[1:])


def _training_set(features, labels, classes, groups):
    xp = array_module(features, labels, groups)
    if features.ndim != 2 or features.dtype != np.float32 or not 1 <= len(features) <= MAX_FEATURES or not features.shape[1]:
        raise ValueError(f"features must be (F, N) float32, 1 <= F <= {MAX_FEATURES}, N >= 1, not {features.dtype} of shape {features.shape}")
    if not 1 <= classes <= MAX_CLASSES:
        raise ValueError(f"classes {classes}: a forest tells 1 to {MAX_CLASSES} apart")
    count = features.shape[1]
    groups = xp.arange(count, dtype=np.int64) if groups is None else groups
    for name, array, most in (("labels", labels, classes), ("groups", groups, 2**62)):
        if array.shape != (count,) or array.dtype.kind not in "iu" or int(array.min()) < 0 or int(array.max()) >= most:
            raise ValueError(f"{name} must be {count} integers from 0 to {most - 1}, one a sample")
    if not bool(xp.isfinite(features).all()):
        raise ValueError("features must be finite: leave out or mend the samples that are not")
    return xp.ascontiguousarray(features), labels.astype(np.int32), groups.astype(np.int64)


def _quantised(features):
    """(edges (F, 63) float32, codes (F, N) uint8): code = how many edges lie below the value, so value <= edges[c] where code <= c."""
    xp = array_module(features)
    count = features.shape[1]
    ordered = xp.sort(features, axis=1)
    above = xp.asarray(np.clip(np.arange(1, _BINS) * count // _BINS, min(1, count - 1), count - 1))
    edges = (ordered[:, xp.maximum(above - 1, 0)] + ordered[:, above]) * np.float32(0.5)
    codes = xp.stack([xp.searchsorted(e, f, side="left").astype(np.uint8) for e, f in zip(edges, features)])
    return edges, codes


def _class_weights(labels, classes, balance):
    count = to_host(array_module(labels).bincount(labels, minlength=classes))
    return np.where(count > 0, len(labels) / classes / np.maximum(count, 1), 0.0) if balance else np.ones(classes)


def _assembled(nodes, edges, weight):
    """A `Forest` of (feature or -1, cut, child in its tree, counts, nodes of each tree), trees one after the other."""
    feature, cut, child, counts, size = nodes
    if len(feature) >= 2**24:
        raise ValueError(f"the forest has {len(feature)} nodes, more than 2**24: grow fewer trees, or ask for more samples in `least`")
    xp = array_module(feature)
    roots = xp.concatenate([xp.zeros(1, np.int64), xp.cumsum(size)[:-1]])
    tree = xp.searchsorted(roots, xp.arange(len(feature)), side="right") - 1
    leaf = feature < 0
    threshold = xp.where(leaf, np.float32(np.inf), edges[xp.maximum(feature, 0), cut])
    child = xp.where(leaf, xp.arange(len(feature)), child + roots[tree])
    mass = counts * xp.asarray(weight)
    total = mass[:, 0].copy()
    for k in range(1, mass.shape[1]):  # in this order on every device
        total += mass[:, k]
    # a tree may have seen no sample at all: it knows nothing
    votes = xp.where(total[:, None] > 0, mass / xp.maximum(total, 1e-300)[:, None], 1 / mass.shape[1]).astype(np.float32)
    return Forest(xp.where(leaf, 0, feature).astype(np.int32), threshold.astype(np.float32), child.astype(np.int32), votes,
                  roots.astype(np.int32))


def _vote(forest, features, used):
    """(K, H, W) mean vote of the trees for features (F, H, W), or of those with used (T, H W) uint8 == 0; NaN where there are none."""
    vote = _vote_cuda if on_device(forest.feature, features) else _vote_cpu
    out, holds_nan = vote(forest, features, used)
    if holds_nan:
        raise ValueError("features must not hold NaN: mend the picture before it is classified")
    return out


def _grow_cpu(codes, labels, groups, weight, classes, seed, trees, depth, least, tries):
    def grow(first, last):
        return [_grow_tree(codes, labels, groups, weight, classes, seed, t, depth, least, tries, _POISSON) for t in range(first, last)]

    grown = [tree for part in in_threads(grow, trees, least=1) for tree in part]
    feature, cut, child, counts, used = (list(column) for column in zip(*grown))
    size = np.array([len(f) for f in feature])
    return (*(np.concatenate(a) for a in (feature, cut, child, counts)), size), np.stack(used)


@njit(cache=True, nogil=True)
def _grow_tree(codes, labels, groups, weight, classes, seed, tree, depth, least, tries, poisson):
    """One tree, node after node in the order in which they are made (breadth first)."""
    used = _bootstrap(groups, seed, tree, poisson)
    order = np.flatnonzero(used)
    room = max(2 * len(order) - 1, 1)
    feature, cut, child = np.full(room, -1, np.int32), np.zeros(room, np.int32), np.zeros(room, np.int32)
    counts = np.zeros((room, classes), np.int64)
    start, end, level = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
    end[0], made = len(order), 1
    histogram, choice = np.empty((_BINS, classes), np.int64), np.empty(len(codes), np.int64)
    node = 0
    while node < made:
        members = order[start[node]:end[node]]
        for i in members:
            counts[node, labels[i]] += used[i]
        if level[node] < depth:
            feature[node], cut[node] = _best_split(codes, labels, used, members, counts[node], weight, seed, tree, node, least,
                                                   tries, choice, histogram)
        if feature[node] >= 0:
            child[node] = made
            middle = start[node] + _divide(members, codes[feature[node]], cut[node])
            start[made], end[made], start[made + 1], end[made + 1] = start[node], middle, middle, end[node]
            level[made] = level[made + 1] = level[node] + 1
            made += 2
        node += 1
    return feature[:made], cut[:made], child[:made], counts[:made], used


@njit(cache=True, nogil=True)
def _bootstrap(groups, seed, tree, poisson):
    used = np.zeros(len(groups), np.uint8)
    for i in range(len(groups)):
        high, low, _, _ = philox(seed, np.uint64(2 * tree), np.uint64(groups[i]))
        u = unit(high, low)
        while used[i] < len(poisson) and u >= poisson[used[i]]:
            used[i] += 1
    return used


@njit(cache=True, nogil=True)
def _best_split(codes, labels, used, members, total, weight, seed, tree, node, least, tries, choice, histogram):
    """(feature, cut) that part the members best, (-1, 0) if none does."""
    feature, cut, best = -1, 0, _purity(total, weight) * _MORE
    if _of_one_class(total):
        return feature, cut
    F = len(codes)
    for f in range(F):
        choice[f] = f
    for j in range(F):
        if j >= tries and feature >= 0:
            break
        word = philox(seed, np.uint64(2 * tree + 1), np.uint64(node * 256 + j))[0]
        other = j + np.int64((word * np.uint64(F - j)) >> np.uint64(32))
        choice[j], choice[other] = choice[other], choice[j]
        histogram[:] = 0
        row = codes[choice[j]]
        for i in members:
            histogram[row[i], labels[i]] += used[i]
        for b in range(_BINS - 1):
            if b > 0:
                for k in range(len(total)):
                    histogram[b, k] += histogram[b - 1, k]
            score = _score(histogram[b], total, weight, least)
            if score > best:
                feature, cut, best = choice[j], b, score
    return feature, cut


@njit(cache=True, nogil=True)
def _of_one_class(total):
    present = 0
    for count in total:
        present += count > 0
    return present < 2


@njit(cache=True, nogil=True)
def _score(left, total, weight, least):
    """Purity of both sides, -1 where one of them is too small."""
    here, there, mass_left, mass_right, square_left, square_right = 0, 0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(total)):
        here += left[k]
        there += total[k] - left[k]
        a, b = weight[k] * left[k], weight[k] * (total[k] - left[k])
        mass_left += a
        mass_right += b
        square_left += a * a
        square_right += b * b
    if here < least or there < least:
        return -1.0
    return square_left / mass_left + square_right / mass_right


@njit(cache=True, nogil=True)
def _purity(total, weight):
    mass, square = 0.0, 0.0
    for k in range(len(total)):
        a = weight[k] * total[k]
        mass += a
        square += a * a
    return square / mass if mass > 0 else 0.0


@njit(cache=True, nogil=True)
def _divide(members, row, cut):
    """Members with a code of at most `cut` to the front: how many there are."""
    left = 0
    for i in range(len(members)):
        if row[members[i]] <= cut:
            members[left], members[i] = members[i], members[left]
            left += 1
    return left


def _vote_cpu(forest, features, used):
    _, H, W = features.shape
    out = np.empty((forest.votes.shape[1], H, W), np.float32)
    packed = (forest.child.astype(np.uint32) << np.uint32(8)) | forest.feature.astype(np.uint32)
    nodes = packed, forest.threshold, forest.votes, forest.roots
    if used is None:
        bad = in_threads(_vote_bands, -(-H // _HIGH) * -(-W // _PITCH), *nodes, features, out, least=1)
    else:
        bad = in_threads(_vote_unseen, H * W, *nodes, features.reshape(len(features), -1), used, out.reshape(len(out), -1))
    return out, any(bad)


@njit(cache=True, nogil=True)
def _vote_unseen(packed, threshold, votes, roots, features, used, out, first, last):
    """Each sample by the trees that have not seen it."""
    bad = False
    for i in range(first, last):
        number = np.float32(0)
        out[:, i] = 0
        for f in range(len(features)):
            bad |= features[f, i] != features[f, i]
        for t in range(len(roots)):
            if used[t, i]:
                continue
            node = np.uint32(roots[t])
            while packed[node] >> np.uint32(8) != node:
                node = (packed[node] >> np.uint32(8)) + np.uint32(features[packed[node] & np.uint32(255), i] > threshold[node])
            number += np.float32(1)
            for k in range(len(out)):
                out[k, i] += votes[node, k]
        for k in range(len(out)):
            out[k, i] = out[k, i] / number if number else np.float32(np.nan)
    return bad


@njit(cache=True, nogil=True)
def _vote_bands(packed, threshold, votes, roots, features, out, first, last):
    """Bands of blocks of pixels. Most questions of a tree have one answer for all of a block, which its least and greatest
    value of the feature tell; only where they don't is it divided.

    Numbers are unsigned: numba asks of signed ones whether they count from the end.
    """
    F, H, W = features.shape
    across = (W + _PITCH - 1) // _PITCH
    values, total = np.empty((F, _HIGH * _PITCH), np.float32), np.empty((len(out), _HIGH * _PITCH), np.float32)
    least, most = np.empty((_ACROSS, F), np.float32), np.empty((_ACROSS, F), np.float32)
    low, high = np.empty(_PITCH, np.float32), np.empty(_PITCH, np.float32)
    rest = np.empty((2, _BLOCK), np.uint32), np.empty((_BLOCK, 3), np.uint32)
    bad = False
    for band in range(first, last):
        top, left = band // across * _HIGH, band % across * _PITCH
        h, w = min(_HIGH, H - top), min(_PITCH, W - left)
        for f in range(F):
            for y in range(_HIGH):  # what lies beyond the picture repeats its edge, and is not asked for
                bad |= _copy(features[f, top + min(y, h - 1), left:left + w], values[f, y * _PITCH:(y + 1) * _PITCH])
            _bounds(values[f], low, high, least[:, f], most[:, f])
        total[:] = 0
        for b in range((w + _WIDE - 1) // _WIDE):
            for t in range(len(roots)):
                _descend(packed, threshold, votes, np.uint32(roots[t]), values[:, b * _WIDE:], least[b], most[b], *rest, total[:, b * _WIDE:])
        for k in range(len(out)):
            for y in range(h):
                _mean(total[k, y * _PITCH:], np.float32(len(roots)), out[k, top + y, left:left + w])
    return bad


@njit(cache=True, nogil=True)
def _copy(source, target):
    bad = False
    for x in range(len(source)):
        target[x] = source[x]
        bad |= source[x] != source[x]
    for x in range(len(source), len(target)):
        target[x] = source[len(source) - 1]
    return bad


@njit(cache=True, nogil=True)
def _bounds(values, low, high, least, most):
    """Least and greatest value of each block of a band."""
    low[:], high[:] = values[:_PITCH], values[:_PITCH]
    for y in range(1, _HIGH):
        _widen(values[y * _PITCH:], low, high)
    for b in range(_ACROSS):
        a, z = low[b * _WIDE], high[b * _WIDE]
        for x in range(b * _WIDE, (b + 1) * _WIDE):
            a = low[x] if low[x] < a else a
            z = high[x] if high[x] > z else z
        least[b], most[b] = a, z


@njit(cache=True, nogil=True)
def _widen(values, low, high):
    for x in range(len(low)):
        low[x] = values[x] if values[x] < low[x] else low[x]
        high[x] = values[x] if values[x] > high[x] else high[x]


@njit(cache=True, nogil=True)
def _mean(total, count, out):
    for x in range(len(out)):
        out[x] = total[x] / count


@njit(cache=True, nogil=True)
def _descend(packed, threshold, votes, node, values, least, most, members, waiting, total):
    """A block down a tree, its votes added: as one while it can, then part by part, the right one `waiting` for the left."""
    node = _together(packed, threshold, node, least, most)
    if packed[node] >> np.uint32(8) == node:
        for k in range(len(total)):
            _add_to_all(total[k], votes[node, k])
        return
    for i in range(np.uint32(_BLOCK)):
        members[0, i] = i // np.uint32(_WIDE) * np.uint32(_PITCH) + i % np.uint32(_WIDE)
    first, last, depth = np.uint32(0), np.uint32(_BLOCK), 0
    while True:
        child = packed[node] >> np.uint32(8)
        if child == node:
            for k in range(len(total)):
                _add_to(total[k], members[0, first:last], votes[node, k])
            if depth == 0:
                return
            depth -= 1
            node, first, last = waiting[depth, 0], waiting[depth, 1], waiting[depth, 2]
        else:
            middle = first + _part(values[packed[node] & np.uint32(255)], threshold[node], members[0, first:last], members[1])
            if first < middle < last:
                waiting[depth, 0], waiting[depth, 1], waiting[depth, 2] = child + np.uint32(1), middle, last
                depth += 1
            node, last = (child, middle) if first < middle else (child + np.uint32(1), last)
        node = _together(packed, threshold, node, least, most)


@njit(cache=True, nogil=True)
def _together(packed, threshold, node, least, most):
    """The first node on the way of which the bounds alone do not tell where it goes on, or a leaf."""
    while True:
        feature, child = packed[node] & np.uint32(255), packed[node] >> np.uint32(8)
        if child == node:
            return node
        if most[feature] <= threshold[node]:
            node = child
        elif least[feature] > threshold[node]:
            node = child + np.uint32(1)
        else:
            return node


@njit(cache=True, nogil=True)
def _part(values, threshold, members, spare):
    """Members with values of at most the threshold to the front: how many there are. No branch depends on data."""
    left, right = np.uint32(0), np.uint32(0)
    for j in range(len(members)):
        i = members[j]
        above = np.uint32(values[i] > threshold)
        members[left], spare[right] = i, i
        left, right = left + np.uint32(1) - above, right + above
    for j in range(right):
        members[left + j] = spare[j]
    return left


@njit(cache=True, nogil=True)
def _add_to_all(total, vote):
    for y in range(_HIGH):
        for x in range(_WIDE):
            total[y * _PITCH + x] += vote


@njit(cache=True, nogil=True)
def _add_to(total, members, vote):
    for i in members:
        total[i] += vote


def _grow_cuda(codes, labels, groups, weight, classes, seed, trees, depth, least, tries):
    """All trees side by side, level by level; a block of threads for each node."""
    import cupy
    F, N = codes.shape
    weight, used = cupy.asarray(weight), cupy.empty((trees, N), np.uint8)
    launch("forest", "bootstrap", grid(used.size), 256, seed, groups, cupy.asarray(_POISSON), np.int32(len(_POISSON)), used,
           np.int32(trees), np.int64(N))
    tree, order = (a.astype(np.int32) for a in cupy.nonzero(used))
    end = cupy.cumsum(cupy.bincount(tree, minlength=trees)).astype(np.int64)
    start = cupy.concatenate([cupy.zeros(1, np.int64), end[:-1]])
    tree, node = cupy.arange(trees, dtype=np.int32), cupy.zeros(trees, np.int64)
    made, levels, buffer = cupy.ones(trees, np.int64), [], cupy.empty_like(order)
    for level in range(depth + 1):
        count = len(tree)
        feature, cut = cupy.empty(count, np.int32), cupy.empty(count, np.int32)
        counts, left = cupy.empty((count, classes), np.int64), cupy.empty(count, np.int64)
        launch("forest", "best_split", count, _BINS, codes, labels, used, order, tree, node, start, end, weight, seed, np.int32(F),
               np.int64(N), np.int32(classes), np.int32(tries if level < depth else 0), np.int64(least), np.float64(_MORE),
               feature, cut, counts)
        launch("forest", "divide", count, 128, codes, order, start, end, feature, cut, np.int64(N), buffer, left)
        order, buffer = buffer, order
        child, (tree_, node_, start_, end_), born = _children(cupy, tree, start, end, feature, left, made)
        levels.append((tree, node, feature, cut, child, counts))
        tree, node, start, end, made = tree_, node_, start_, end_, made + born
        if not len(tree):
            break
    return _in_order(cupy, levels, made), used


def _children(cupy, tree, start, end, feature, left, made):
    """(first child of each node, (tree, node, start, end) of the next level, nodes born in each tree)."""
    split = cupy.nonzero(feature >= 0)[0]
    of = tree[split]
    born = cupy.bincount(of, minlength=len(made))
    rank = cupy.arange(len(split)) - (cupy.cumsum(born) - born)[of]
    child = cupy.zeros(len(tree), np.int64)
    child[split] = made[of] + 2 * rank
    middle = start[split] + left[split]
    pair = lambda a, b: cupy.stack([a, b], axis=1).ravel()  # noqa: E731
    level = (pair(of, of), pair(child[split], child[split] + 1), pair(start[split], middle), pair(middle, end[split]))
    return child, level, 2 * born


def _in_order(cupy, levels, size):
    """The nodes of all levels, tree after tree, each in the order in which it was made."""
    tree, node, *columns = (cupy.concatenate(column) for column in zip(*levels))
    place = (cupy.cumsum(size) - size)[tree] + node
    out = []
    for column in columns:
        ordered = cupy.empty_like(column)
        ordered[place] = column
        out.append(ordered)
    return (*out, size)


def _vote_cuda(forest, features, used):
    import cupy
    F, H, W = features.shape
    N = H * W
    out = cupy.empty((forest.votes.shape[1], H, W), np.float32)
    bad = cupy.zeros(1, np.int32)
    launch("forest", "vote", grid(N), 256, forest.feature, forest.threshold, forest.child, forest.votes, forest.roots,
           np.int32(len(forest.roots)), np.int32(len(out)), features, np.int32(F), np.int64(N),
           cupy.zeros(1, np.uint8) if used is None else used, np.int32(used is not None), out, bad)
    return out, bool(int(bad[0]))
