"""The grey of thin objects: what the beam's width mixes in from their neighbours, and the shine of their edges, taken off.

A picture of objects of one grey each, their edges shining, is blurred by the beam. Width of the beam and shine are read off
the borders of the picture's thick objects; the picture less what they change (blurred less sharp) then shows each
object's own grey also where it is thin. Iterated, for what neighbours give depends on their own greys: K. Erlandsson,
I. Buvat, P. H. Pretorius, B. A. Thomas, B. F. Hutton, Phys. Med. Biol. 57, R119 (2012), "iterative Yang".
"""

import numpy as np
from cukernels.filters import gaussian

DEEP = 8        # pixels from a border beyond which neither blur nor shine is to be expected
THICK = 1.5     # times DEEP, from which an object tells how wide the beam is
BLURS = (0.0, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4, 2.8)  # pixels
ROUNDS = 6
WINDOW = 1024  # pixels
LEAST = 50      # pixels of one depth that a shine is read off


def border_depth(labels):
    """(H, W) float32: how far each pixel lies from the border of its object, at most `DEEP` + 8; the frame is no border."""
    from scipy import ndimage
    out = np.zeros(labels.shape, np.float32)
    for k, box in enumerate(ndimage.find_objects(labels + 1)):
        if box is None:
            continue
        # a pixel of surroundings, where there is one
        frame = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        own = labels[frame] == k
        depth = ndimage.distance_transform_edt(np.pad(own, DEEP, "edge"))[DEEP:-DEEP, DEEP:-DEEP]
        out[frame][own] = depth[own]
    return out


def sharp(labels, image, depth, mean, error, zero):
    """(H, W) float: the picture without what blur and shining edges do to it.

    labels: (H, W) int. image: (H, W) float. depth: of `border_depth`. mean, error: (K,) first idea of each object's grey.
    zero: grey where no electron comes back; edges shine by a share of what is above it.
    """
    core, count = core_of(labels, depth, len(mean)), len(mean)
    thick = np.zeros(count, bool)
    np.maximum.at(thick, labels.ravel(), depth.ravel() > THICK * DEEP)
    shine = _shine_depth(labels, mean, error)
    seen = thick[labels] & ((depth <= DEEP) | (shine > 0))
    if seen.sum() < LEAST:
        return image
    part = _part(seen)
    own, share = labels[core], np.zeros(DEEP + 1)
    pixels, blur = np.maximum(np.bincount(own, minlength=count), 1), 0.0
    for turn in range(ROUNDS):
        paint, step = mean[labels], (mean - zero)[labels]
        here = [a[part] for a in (paint, step, shine, image, seen)]
        if turn < 3:
            blur = min(BLURS, key=lambda b: _fit(b, *here)[0])
        share = _fit(blur, *here)[1]
        less = image - (_soft(paint + share[shine] * step, blur) - paint)
        mean = np.bincount(own, less[core], count) / pixels
    return less


def _part(seen):
    """The window of at most `WINDOW` pixels a side with most to see: beam and shine are the same all over the picture."""
    corners = [(y, x) for y in range(0, max(seen.shape[0] - WINDOW // 2, 1), WINDOW // 2) for x in range(0, max(seen.shape[1] - WINDOW // 2, 1), WINDOW // 2)]
    windows = [(slice(y, y + WINDOW), slice(x, x + WINDOW)) for y, x in corners]
    return max(windows, key=lambda w: int(seen[w].sum()))


def _soft(picture, blur):
    return gaussian(picture.astype(np.float32), blur).astype(float) if blur else picture


def core_of(labels, depth, count):
    """(H, W) bool: the inner half of each object, at most `DEEP` pixels from its border."""
    return depth > np.minimum(deepest(labels, depth, count) / 2, DEEP)[labels]


def deepest(labels, depth, count):
    out = np.zeros(count)
    np.maximum.at(out, labels.ravel(), depth.ravel())
    return out


def _shine_depth(labels, mean, error):
    """(H, W) int: pixels to the nearest darker object, 1 to `DEEP`, 0 beyond."""
    from scipy import ndimage
    out = np.zeros(labels.shape, np.int8)
    for k, box in enumerate(ndimage.find_objects(labels + 1)):
        frame = tuple(slice(max(side.start - DEEP, 0), side.stop + DEEP) for side in box)
        inside, darker = labels[frame] == k, mean[labels[frame]] < mean[k] - 3 * error[k]
        if darker.any():
            reach = np.rint(ndimage.distance_transform_edt(~darker)[inside])
            out[frame][inside] = np.where(reach <= DEEP, reach, 0)
    return out


def _fit(blur, paint, step, shine, image, seen):
    """(sum of squares left, (DEEP + 1,) shine at each depth) of the painted objects with shining edges, blurred."""
    from scipy.optimize import nnls
    base, found = _soft(paint, blur), np.zeros(DEEP + 1)
    reach = [d for d in range(1, DEEP + 1) if (seen & (shine == d)).sum() > LEAST]
    rest = (image - base)[seen]
    if not reach:
        return float(rest @ rest), found
    # shine falls off with depth, so it is a sum of steps, each of which ends at one depth
    columns = np.stack([_soft(np.where((shine > 0) & (shine <= d), step, 0), blur)[seen] for d in reach], 1)
    upper = np.linalg.cholesky(columns.T @ columns + 1e-9 * np.eye(len(reach)) * (columns**2).sum()).T
    share, _ = nnls(upper, np.linalg.solve(upper.T, columns.T @ rest))
    for d, q in zip(reach, share):
        found[1:d + 1] += q
    return float(((rest - columns @ share) ** 2).sum()), found
