"""Sums and other numbers per label against scipy.ndimage, on a picture of blobs and on labels at random."""

import numpy as np
import scipy.ndimage
from cukernels.backend import to_device, to_host
from cukernels.zonal import label_histogram, label_mean, label_min, label_sum

from .timing import best_of


def run(device="cpu", size=2048, count=3108):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(size, size))
    blobs = scipy.ndimage.label(scipy.ndimage.gaussian_filter(rng.random((size, size)), 6) > 0.505)[0].astype(np.int32) - 1
    scattered = rng.integers(-1, count, (size, size), dtype=np.int32)
    rows = []
    for name, labels in (("blobs", blobs), ("labels at random", scattered)):
        many = int(labels.max()) + 1
        what = f"{size}^2, {many} {name}"
        number = np.arange(many)
        # the peer adds in float64, one after the other: its own rounding
        rows.append(_row(f"sum of {what}", device, labels, values, label_sum, (many,), 1e-9, "scipy.ndimage.sum_labels",
                         lambda labels=labels, number=number: scipy.ndimage.sum_labels(values, labels, number)))
        rows.append(_row(f"mean of {what}", device, labels, values, label_mean, (many,), 1e-9, "scipy.ndimage.mean",
                         lambda labels=labels, number=number: scipy.ndimage.mean(values, labels, number)))
        rows.append(_row(f"smallest of {what}", device, labels, values, label_min, (many,), 0, "scipy.ndimage.minimum",
                         lambda labels=labels, number=number: scipy.ndimage.minimum(values, labels, number)))
    few = (scattered % 30).astype(np.int32)
    rows.append(_row(f"histograms of {size}^2, 30 labels, 64 bins", device, few, values, label_histogram, (30, 64, -3, 3), 0,
                     "scipy.ndimage.histogram", lambda: np.stack(scipy.ndimage.histogram(values, -3, 3, 64, few, np.arange(30)))))
    return rows


def _row(what, device, labels, values, function, arguments, tolerance, peer, call):
    here = to_device(labels, device), to_device(values, device)
    ours_s, ours = best_of(lambda: function(*here, *arguments), 5)
    peer_s, theirs = best_of(call, 2)
    difference = np.abs(to_host(ours) - theirs).max()
    assert difference <= tolerance, (what, difference)
    return {"what": what, "ours_s": ours_s, "peer": peer, "peer_s": peer_s, "ratio": peer_s / ours_s,
            "bytes_moved": labels.nbytes + values.nbytes, "check": "equal" if not tolerance else f"equal to {difference:.0e}"}
