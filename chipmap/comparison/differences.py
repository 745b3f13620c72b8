"""What a picture has and its layout hasn't, and the other way round: shorts, opens, extra and missing pieces, each with its place."""

from dataclasses import dataclass

import numpy as np
from cukernels.components import pieces
from cukernels.zonal import label_max

KINDS = ("short", "open", "extra piece", "missing piece", "extra", "missing")
MARK = 2    # pixels to each side of the line where two nets meet, or a net is cut, that are marked


@dataclass(frozen=True)
class Differences:
    """kind, x, y, area, left, top, right, bottom, parts: N-long lists, pixels (y down, corners at integers). parts: which
    drawn nets a short joins, which drawn net is cut, or touched, as numbers of `nets`. marks: (H, W) int32, 0 or the
    number of the difference from 1. nets: (H, W) int32, drawn nets from 1, 0 for none. counts: {"shorts", "opens",
    "extra_pieces", "missing_pieces", "drawn_nets", "found_pieces"}: electrically significant, as the field counts them
    (a net in three pieces has two opens), so opens and shorts can be fewer than the places marked. edge_offset: pixels
    by which the picture's edges lie outside the drawn ones, in the mean, and its standard uncertainty."""

    table: dict
    marks: np.ndarray
    nets: np.ndarray
    counts: dict
    edge_offset: float
    edge_offset_sd: float


def find_differences(found, cover, known, tolerance, least):
    """Compare a mask with a layout laid over it.

    found: (H, W) bool. cover: (H, W) float, share of each pixel that the layout covers. known: (H, W) bool, False where
    the layout says nothing. tolerance: pixels that an edge may be off. least: pixels; smaller found pieces are dust, and
    smaller differences of shape are left out (opens and shorts never are).

    A found piece touches a net where it covers its core: what lies deeper than the tolerance, or than half the net's own
    depth where that is less. It shorts the nets that it touches; a net is open between the pieces that touch it. Where
    two nets meet in a short, and where an open net is cut, is half-way between them along the piece. Rule of the counts:
    N. Rothaug et al., ASHES 2023.
    """
    drawn = (cover >= 0.5) & known
    found = found & known
    bits, count = pieces(found)
    dust = np.bincount(bits.ravel(), minlength=count + 1) < least
    found = found & ~dust[bits]
    bits, _ = pieces(found)
    nets, _ = pieces(drawn)
    touching = _touching(bits, nets, tolerance, least)
    inner = _inside(known, tolerance)
    rows, marks = [], np.zeros(found.shape, np.int32)
    for kind, body, parts, pairs in (("short", bits, nets, touching), ("open", nets, bits, touching[:, ::-1])):
        for mask, numbers, window in _meetings(body, parts, pairs):
            _add(rows, marks, kind, mask & inner[window], window, numbers[1:] if kind == "short" else numbers[:1])
    lone = {"extra piece": np.setdiff1d(np.unique(bits[bits > 0]), touching[:, 0]), "missing piece": np.setdiff1d(np.unique(nets[nets > 0]), touching[:, 1])}
    for kind, here, there in (("extra", found, drawn), ("missing", drawn, found)):
        _add_shapes(rows, marks, kind, here & ~_near(there, tolerance) & inner, bits if kind == "extra" else nets, nets, lone[f"{kind} piece"], least)
    counts = {"shorts": _extra_touches(touching[:, 0]), "opens": _extra_touches(touching[:, 1]),
              **{f"{kind.replace(' ', '_')}s": sum(row["kind"] == kind for row in rows) for kind in lone},
              "drawn_nets": int(nets.max()), "found_pieces": int(bits.max())}
    table = {name: [row[name] for row in rows] for name in ("kind", "x", "y", "area", "left", "top", "right", "bottom", "parts")}
    return Differences(table, marks, nets, counts, *_edge_offset(found, cover, drawn, known & ~_near(marks > 0, 3 * tolerance), tolerance))


def _touching(bits, nets, tolerance, least):
    """(n, 2) pairs of a found piece and a drawn net that touch."""
    core = _core(nets, tolerance)
    both = (bits > 0) & core
    size = np.bincount(nets[core], minlength=int(nets.max()) + 1)
    pairs, pixels = np.unique(np.stack([bits[both], nets[both]]), axis=1, return_counts=True)
    return pairs[:, pixels >= np.minimum(least, np.ceil(size[pairs[1]] / 2))].T


def _core(nets, tolerance):
    from scipy.ndimage import distance_transform_edt
    depth = distance_transform_edt(np.pad(nets > 0, 1, mode="edge"))[1:-1, 1:-1] - 0.5
    deepest = label_max(nets, depth, int(nets.max()) + 1)
    return (nets > 0) & (depth > np.minimum(tolerance, deepest / 2)[nets])


def _meetings(body, parts, pairs):
    """(mask, [body, the parts], window) of each place where the parts that touch one body meet in it."""
    from scipy.ndimage import find_objects
    from skimage.segmentation import watershed
    number, touches = np.unique(pairs[:, 0], return_counts=True)
    boxes = find_objects(body)
    for b in number[touches > 1]:
        window = boxes[b - 1]
        own, part = body[window] == b, parts[window]
        wanted = pairs[pairs[:, 0] == b, 1]
        seeds = np.where(own & np.isin(part, wanted), part, 0)
        basin = watershed(np.zeros(own.shape, np.uint8), seeds, mask=own, connectivity=1)
        line = np.zeros(own.shape, bool)
        for one, other, at, beyond in ((basin[1:], basin[:-1], line[1:], line[:-1]), (basin[:, 1:], basin[:, :-1], line[:, 1:], line[:, :-1])):
            meets = (one != other) & (one > 0) & (other > 0)
            at |= meets
            beyond |= meets
        place, count = pieces(line, connectivity=8)
        for k in range(1, count + 1):
            yield _grown(place == k, own), [int(b), *(int(p) for p in np.unique(basin[place == k]))], window


def _grown(mask, own):
    from scipy.ndimage import binary_dilation
    return binary_dilation(mask, iterations=MARK) & own


def _add_shapes(rows, marks, kind, mask, pieces_of, nets, lone, least):
    """Add each patch of a mask; a patch that a short or open already stands on belongs to it."""
    from scipy.ndimage import find_objects
    patch, _ = pieces(mask)
    size = np.bincount(patch.ravel())
    for k, window in enumerate(find_objects(patch), 1):
        own = patch[window] == k
        if size[k] < least or (marks[window][own] > 0).any():
            continue
        alone = pieces_of[window][own][0] in lone
        touched = np.unique(nets[window][own])
        _add(rows, marks, f"{kind} piece" if alone else kind, own, window, [int(n) for n in touched if n])


def _add(rows, marks, kind, mask, window, parts):
    y, x = np.nonzero(mask)
    if not len(y):
        return
    y, x = y + window[0].start, x + window[1].start
    rows.append({"kind": kind, "x": float(x.mean() + 0.5), "y": float(y.mean() + 0.5), "area": len(y), "left": int(x.min()), "top": int(y.min()),
                 "right": int(x.max()) + 1, "bottom": int(y.max()) + 1, "parts": parts})
    marks[y, x] = len(rows)


def _extra_touches(numbers):
    """Sum over bodies of the parts that touch them less one."""
    return int((np.unique(numbers, return_counts=True)[1] - 1).sum()) if len(numbers) else 0


def _near(mask, reach):
    """Pixels within `reach` of the mask."""
    from scipy.ndimage import distance_transform_edt
    return distance_transform_edt(~mask) <= reach if mask.any() else mask


def _inside(known, tolerance):
    """Known pixels further than the tolerance from where the picture or the layout ends."""
    from scipy.ndimage import distance_transform_edt
    return distance_transform_edt(np.pad(known, 1))[1:-1, 1:-1] > tolerance


def _edge_offset(found, cover, drawn, wanted, tolerance, tile=64):
    """(mean offset of the edges outwards, its standard uncertainty), pixels, beside the differences; NaN without edges."""
    across, down = drawn[:, 1:] != drawn[:, :-1], drawn[1:] != drawn[:-1]
    faces = np.zeros(found.shape)
    faces[:, 1:] += across
    faces[1:] += down
    band = _near(faces > 0, max(2 * tolerance, 2)) & wanted
    place = (np.arange(found.shape[0])[:, None] // tile) * (found.shape[1] // tile + 1) + np.arange(found.shape[1]) // tile
    gain = np.bincount(place[band], (found - cover)[band])
    # faces of pixels overstate the length of a border by 4 / pi in the mean over directions
    corner = np.hypot(*np.gradient(cover))
    length = np.bincount(place[band], corner[band], len(gain))
    if length.sum() == 0:
        return np.nan, np.nan
    offset = gain.sum() / length.sum()
    rest = gain - offset * length
    return float(offset), float(np.sqrt((rest ** 2).sum()) / length.sum())
