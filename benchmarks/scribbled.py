"""Classifiers from scribbles on real pictures with labels, beside no training and the peers on the same strokes.

The peer: scikit-image's multiscale_basic_features (its defaults) and scikit-learn's forest of 100 trees. Coating: trained
on the strokes of one picture, applied to the other two; intersection over union of the oxide.
"""

import pathlib

import numpy as np

import chipmap
from chipmap.classify import train
from chipmap.read import read_picture
from chipmap.score import brier, calibration_error, iou
from chipmap.segment import find_phases

from . import strokes
from .segmentation import load_metal, metal_scores, say_scores

DATA, HERE = pathlib.Path(chipmap.__file__).parent / "data", pathlib.Path(__file__).parent / "data"
COATINGS = [DATA / "coating_cross_section", HERE / "coating_a", HERE / "coating_b"]
STACK = "above", "oxide", "below"


def metal_rows():
    return [row for number in (0, 1) for row in _metal_rows(number)]


def coating_rows():
    return [row for number in range(3) for row in _coating_rows(number)]


def load_coating(number):
    """(picture (1024, 1024) float32, truth int: 0 anything else, 1 oxide, 2 crack in it)."""
    stem = COATINGS[number]
    return read_picture(stem.with_suffix(".png"), 1e-9).image, read_picture(f"{stem}_oxide.png", 1e-9).image.astype(int)


def peer_train(image, labels):
    """A function picture -> class numbers from 1: the peers' features and forest, trained on strokes."""
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier
    features = lambda picture: multiscale_basic_features(picture / 255)  # noqa: E731
    model = RandomForestClassifier(100, n_jobs=-1, random_state=0).fit(features(image)[labels > 0], labels[labels > 0])
    return lambda picture: model.predict(features(picture).reshape(picture.size, -1)).reshape(picture.shape)


def _metal_rows(number):
    image, tracks = load_metal(number)
    drawn = strokes.metal(number, image.shape)
    learnt = train([image], [drawn.labels], drawn.names)
    labels, probability = learnt.predict(image)
    ours, alone = metal_scores(labels == 1, tracks), metal_scores(find_phases(image) > 0, tracks)
    theirs = metal_scores(peer_train(image, drawn.labels)(image) == 2, tracks)
    yield {"what": f"delayered metal {number}, ten scribbles, mean IoU", "peer": "no training; scikit-image + scikit-learn",
           "ours": ours, "alone": alone, "theirs": theirs, "bar": "above no training", "met": ours["iou"] > alone["iou"],
           "check": f"{say_scores(ours)}; no training {say_scores(alone)}; scikit {say_scores(theirs)}"}
    yield _doubt_row(f"delayered metal {number}, ten scribbles", probability, probability.argmax(0) == tracks, tracks.astype(int))


def _coating_rows(number):
    image, _ = load_coating(number)
    drawn = strokes.coating(number, image.shape)
    learnt, peer = train([image], [drawn.labels], drawn.names, kind="section", stack=STACK), peer_train(image, drawn.labels)
    oxide = drawn.names.index("oxide")
    for other in [n for n in range(3) if n != number]:
        picture, truth = load_coating(other)
        labels, probability = learnt.predict(picture)
        free = iou(labels == oxide, truth == 1)
        labels, probability = learnt.stacked(picture, probability)
        ours, theirs = iou(labels == oxide, truth == 1), iou(peer(picture) == oxide + 1, truth == 1)
        grey = _best_grey(picture, truth == 1)
        yield {"what": f"coating {other}, trained on {100 * (drawn.labels > 0).mean():.1f} % of coating {number}, IoU(oxide)",
               "peer": "best k-means; scikit-image + scikit-learn", "ours": ours, "theirs": theirs, "grey": grey,
               "bar": "0.60 or more", "met": bool(ours >= 0.60),
               "free": free, "check": f"{ours:.3f} as a stack of layers, {free:.3f} without; best k-means cluster {grey:.3f}; scikit {theirs:.3f}"}
        is_oxide = np.stack([1 - probability[oxide], probability[oxide]])
        yield _doubt_row(f"coating {other}, trained on coating {number}, oxide or not", is_oxide,
                         is_oxide.argmax(0) == (truth == 1), (truth == 1).astype(int))


def _best_grey(image, mask, counts=(3, 4, 5)):
    """The best intersection over union that any cluster of k-means on grey reaches, over the numbers of clusters."""
    from sklearn.cluster import KMeans
    best = 0.0
    for count in counts:
        found = KMeans(count, n_init=3, random_state=0).fit(image.reshape(-1, 1)[::7]).predict(image.reshape(-1, 1)).reshape(image.shape)
        best = max(best, *(iou(found == k, mask) for k in range(count)))
    return best


def _doubt_row(what, probability, right, truth):
    error, score = calibration_error(probability.max(0).clip(0, 1), right), brier(probability, truth)
    return {"what": f"{what}: calibration error, Brier score", "calibration_error": error, "brier": score,
            "check": f"{error:.4f}, {score:.4f}"}
