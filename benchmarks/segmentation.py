"""Phases without training against Otsu, Li, multi-Otsu and Chan-Vese of scikit-image, on the bundled pictures.

Etched silicon: IoU of silicon against the drawn design, after the best shift of up to 8 pixels (the design is intent,
not what was made). Delayered metal: mean IoU of background and track, and electrically significant differences
(opens, shorts, missed and invented tracks), one setting for both fields.
"""

import pathlib
import time

import numpy as np
from skimage import filters, measure, segmentation, transform

import chipmap
from chipmap.read import read_picture
from chipmap.segment import find_phases

DATA, HERE = pathlib.Path(chipmap.__file__).parent / "data", pathlib.Path(__file__).parent / "data"
SILICON = [DATA / "etched_silicon", *(HERE / f"silicon_{k}" for k in "abcd")]  # features coarse to fine: a, b, the bundled one, c, d
METAL_SCALE = 0.4235  # of the picture against its label, data/LICENSES.md


def silicon_rows():
    for number in range(len(SILICON)):
        image, design = load_silicon(number)
        yield _against_peers(f"etched silicon {number}, IoU(Si)", image, lambda mask, design=design: {"iou": best_shift_iou(mask, design)},
                             "not below the best peer", lambda ours, best: ours["iou"] >= best)


def metal_rows():
    for number in (0, 1):
        image, tracks = load_metal(number)
        yield _against_peers(f"delayered metal {number}, mean IoU", image, lambda mask, tracks=tracks: metal_scores(mask, tracks),
                             "0.90 or more, every track, no short", lambda ours, best: ours["iou"] >= 0.90 and not (ours["missed"] or ours["shorts"]))


def load_silicon(number=0):
    """(picture, design) (1248, 1692): grey values, and True where silicon is drawn."""
    stem = SILICON[number]
    image, design = (read_picture(f"{stem}{end}.png", 1.6548e-9).image for end in ("", "_design"))
    return image, transform.resize(design, image.shape, order=1, anti_aliasing=True) > 127.5


def load_metal(number):
    """(picture, tracks): grey values, and True where a track is drawn, brought to the picture's pixels."""
    image = read_picture(DATA / f"delayered_metal_{number}.png", 1e-9).image
    label = read_picture(DATA / f"delayered_metal_{number}_tracks.png", 1e-9).image > 127
    rows, columns = (np.minimum((np.arange(n) / METAL_SCALE).astype(int), len(label) - 1) for n in image.shape)
    return image, label[np.ix_(rows, columns)]


def best_shift_iou(mask, truth, reach=8):
    """Intersection over union at the shift of up to `reach` pixels where the two overlap most."""
    height, width = mask.shape
    spectra = np.fft.rfft2(mask.astype(np.float32)) * np.conj(np.fft.rfft2(truth.astype(np.float32)))
    overlap = np.fft.irfft2(spectra, mask.shape)
    shifts = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    dy, dx = max(shifts, key=lambda s: overlap[s[0] % height, s[1] % width])
    a = mask[max(dy, 0):height + min(dy, 0), max(dx, 0):width + min(dx, 0)]
    b = truth[max(-dy, 0):height + min(-dy, 0), max(-dx, 0):width + min(-dx, 0)]
    return iou(a, b)


def iou(a, b):
    return float((a & b).sum() / (a | b).sum())


def metal_scores(mask, tracks):
    """Mean IoU and electrically significant differences, as the field counts them (predictions under 35 px dropped)."""
    found, drawn = (measure.label(m, connectivity=1) for m in (mask, tracks))
    small = np.flatnonzero(np.bincount(found.ravel()) < 35)
    found[np.isin(found, small)] = 0
    both = np.unique(np.stack([found, drawn])[:, (found > 0) & (drawn > 0)], axis=1)
    touched = [np.unique(row, return_counts=True)[1] for row in both]
    return {"iou": (iou(mask, tracks) + iou(~mask, ~tracks)) / 2,
            "shorts": int((touched[0] - 1).sum()), "opens": int((touched[1] - 1).sum()),
            "invented": int(len(np.unique(found)) - 1 - len(touched[0])), "missed": int(drawn.max() - len(touched[1]))}


def _against_peers(what, image, score, bar, met):
    find_phases(image[:64, :64])  # compiles
    mask, ours_s = _timed(lambda: find_phases(image) > 0)
    ours, theirs = score(mask), {}
    for peer, method in PEERS.items():
        theirs[peer] = score(method(image))
    best = max(scores["iou"] for scores in theirs.values())
    said = "; ".join(f"{peer} {say_scores(scores)}" for peer, scores in theirs.items())
    return {"what": what, "ours_s": ours_s, "peer": "scikit-image", "ours": ours, "theirs": theirs, "bar": bar, "met": bool(met(ours, best)),
            "check": f"{say_scores(ours)}; {said}"}


def _timed(function):
    started = time.perf_counter()
    answer = function()
    return answer, time.perf_counter() - started


def say_scores(scores):
    errors = [f"{value} {name}" for name, value in scores.items() if name != "iou" and value]
    return ", ".join([f"{scores['iou']:.4f}", *errors])


def _brighter_of_two(image):
    inside = segmentation.chan_vese(image / image.max(), max_num_iter=200)
    return inside if image[inside].mean() > image[~inside].mean() else ~inside


PEERS = {
    "Otsu": lambda image: image > filters.threshold_otsu(image),
    "Li": lambda image: image > filters.threshold_li(image),
    "multi-Otsu, three classes": lambda image: image > filters.threshold_multiotsu(image, 3)[0],
    "Chan-Vese": _brighter_of_two,
}
