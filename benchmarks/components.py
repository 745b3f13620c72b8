"""Connected pieces against scipy.ndimage.label and scikit-image, on a picture of blobs and on noise at its worst."""

import numpy as np
import scipy.ndimage
import scipy.sparse.csgraph
import skimage.measure
from cukernels.backend import to_device, to_host
from cukernels.components import graph_pieces, pieces

from .timing import best_of


def run(device="cpu", size=2048):
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.random((size, size)), 3)
    mask, noise = smooth > 0.5, rng.random((size, size)) < 0.6
    phases = np.digitize(smooth, [0.48, 0.5, 0.52]).astype(np.int32)
    eight = np.ones((3, 3))
    return [
        _row(f"pieces of a mask, {size}^2", device, mask, {}, "scipy.ndimage.label", lambda: scipy.ndimage.label(mask)),
        _row(f"pieces of a mask, {size}^2, 8 neighbours", device, mask, {"connectivity": 8}, "scipy.ndimage.label",
             lambda: scipy.ndimage.label(mask, eight)),
        _row(f"pieces of noise near percolation, {size}^2", device, noise, {}, "scipy.ndimage.label",
             lambda: scipy.ndimage.label(noise)),
        _row(f"pieces of four phases, {size}^2", device, phases, {"background": None}, "skimage.measure.label",
             lambda: skimage.measure.label(phases, background=-1, connectivity=1, return_num=True)),
        _graph_row(rng, device, 3108, 9000),
    ]


def _row(what, device, image, how, peer, call):
    here = to_device(image, device)
    ours_s, ours = best_of(lambda: pieces(here, **how), 7)
    peer_s, theirs = best_of(call, 7)
    assert ours[1] == theirs[1] and np.array_equal(to_host(ours[0]), theirs[0]), what
    return {"what": what, "ours_s": ours_s, "peer": peer, "peer_s": peer_s, "ratio": peer_s / ours_s,
            "bytes_moved": image.nbytes + 4 * image.size, "check": f"equal, {ours[1]} pieces"}


def _graph_row(rng, device, nodes, edges):
    tail, head = rng.integers(0, nodes, (2, edges))
    matrix = scipy.sparse.coo_array((np.ones(edges), (tail, head)), (nodes, nodes)).tocsr()
    here = to_device(tail, device), to_device(head, device)
    ours_s, (piece, count) = best_of(lambda: graph_pieces(*here, nodes), 7)
    peer_s, (number, theirs) = best_of(lambda: scipy.sparse.csgraph.connected_components(matrix, directed=False), 7)
    assert count == number == np.unique(np.stack([to_host(piece), theirs]), axis=1).shape[1]
    return {"what": f"pieces of a graph, {nodes} nodes, {edges} edges", "ours_s": ours_s,
            "peer": "scipy connected_components", "peer_s": peer_s, "ratio": peer_s / ours_s, "check": f"equal, {count} pieces"}
