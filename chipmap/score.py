"""How right is a segmentation of which the truth is known: overlap, electrical differences, calibration."""

from dataclasses import asdict, dataclass

import numpy as np
from cukernels.backend import to_host
from cukernels.components import pieces

LEAST = 35  # pixels: found pieces below are dust and dropped, as the field does


@dataclass(frozen=True)
class Electrical:
    """Electrically significant differences. tracks: connected tracks of the truth; rate = errors / tracks.

    shorts: sum over found pieces of (tracks touched - 1). opens: sum over tracks of (found pieces touched - 1).
    false_positives: found pieces that touch no track. false_negatives: tracks that no found piece touches.
    """

    tracks: int
    shorts: int
    opens: int
    false_positives: int
    false_negatives: int

    @property
    def errors(self):
        return self.shorts + self.opens + self.false_positives + self.false_negatives

    @property
    def rate(self):
        return self.errors / self.tracks if self.tracks else float(self.errors > 0)

    def as_dict(self):
        return asdict(self) | {"rate": self.rate}


def iou(found, truth):
    """Intersection over union of two masks (H, W) bool; 1 where both are empty."""
    found, truth = _alike(found, truth)
    union = (found | truth).sum()
    return float((found & truth).sum() / union) if union else 1.0


def iou_by_class(found, truth, count):
    """(count,) intersection over union of each class 0 .. count-1, NaN for a class that neither holds."""
    found, truth = _alike(found, truth)
    if min(found.min(), truth.min()) < 0 or max(found.max(), truth.max()) >= count:
        raise ValueError(f"labels lie outside 0 .. {count - 1}: check count")
    table = np.bincount(truth.ravel().astype(np.int64) * count + found.ravel(), minlength=count * count).reshape(count, count)
    both = np.diag(table)
    union = table.sum(0) + table.sum(1) - both
    return np.where(union > 0, both / np.maximum(union, 1), np.nan)


def mean_iou(found, truth, count):
    """Mean over the classes that the truth or the answer holds, background included."""
    return float(np.nanmean(iou_by_class(found, truth, count)))


def electrical(found, truth, least=LEAST, border=0):
    """`Electrical` differences of two masks (H, W) bool, True on metal.

    Pieces hang together by edges (4 neighbours). least: found pieces of fewer pixels are dropped. border: pixels at the
    frame that are left out of both. Definition: the evaluation that accompanies N. Rothaug et al., "Towards Unsupervised
    SEM Image Segmentation for IC Layout Extraction", ASHES 2023, with pixels in the place of polygons.
    """
    found, truth = (a[border:a.shape[0] - border, border:a.shape[1] - border].astype(bool) for a in _alike(found, truth))
    found, _ = pieces(np.ascontiguousarray(found))
    size = np.bincount(found.ravel())
    found[size[found] < least] = 0
    drawn, tracks = pieces(np.ascontiguousarray(truth))
    both = (found > 0) & (drawn > 0)
    pairs = np.unique(found[both].astype(np.int64) * (tracks + 1) + drawn[both])
    by_piece, by_track = np.unique(pairs // (tracks + 1), return_counts=True), np.unique(pairs % (tracks + 1), return_counts=True)
    kept = int((size[1:] >= least).sum())
    return Electrical(tracks, int((by_piece[1] - 1).sum()), int((by_track[1] - 1).sum()),
                      kept - len(by_piece[0]), tracks - len(by_track[0]))


def calibration_error(confidence, right, bins=20):
    """Expected calibration error: mean over bins of equal width of |mean confidence - share right|, weighed by count.

    confidence: (N,) in 0 .. 1, right: (N,) bool. M. P. Naeini et al., AAAI 2015.
    """
    confidence, right = np.ravel(to_host(confidence)).astype(float), np.ravel(to_host(right)).astype(float)
    if confidence.shape != right.shape or not len(right) or not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidence and right must be as long as each other, not empty, and confidence in 0 .. 1")
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, confidence - right)).sum() / len(right))


def brier(probability, truth):
    """Brier score: mean over samples of the sum over classes of (probability - 1 if true else 0)^2; 0 best, 2 worst.

    probability: (K, ...) summing to 1 over K. truth: (...) int, 0..K-1.
    """
    probability, truth = to_host(probability).astype(float), to_host(truth)
    if probability.shape[1:] != truth.shape:
        raise ValueError(f"probability {probability.shape} and truth {truth.shape} don't fit: pass (K, ...) and (...)")
    hit = np.take_along_axis(probability, truth[None].astype(np.int64), 0)[0]
    return float(np.mean((probability ** 2).sum(0) - 2 * hit + 1))


def _alike(found, truth):
    found, truth = to_host(found), to_host(truth)
    if found.shape != truth.shape:
        raise ValueError(f"answer {found.shape} and truth {truth.shape} differ in shape: cut both to the same field")
    return found, truth
