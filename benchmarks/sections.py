"""Objects of a simulated cross-section named by their grey: fins, SiGe, TiN gates, W and Co contacts, Ta-lined Cu in low-k.

True outlines; the silicon below and one copper line are known. Twice: with backscatter coefficients as measured on the
instrument, and with those of the models, the truth being drawn from the doubt the models state. The dose allows an
object where its true material lies farther from every other one than 95 % sureness asks for, chance and doubt together.
The peer names the nearest coefficient and is as sure as the distances to the nearest two say.
"""

import numpy as np
from cukernels.components import pieces

from chipmap import drawn, eta, grey, materials
from chipmap.phantom import Beam, take
from chipmap.score import calibration_error

DOSES, SEEDS, KV = (10, 30, 100, 300, 1000), 40, 20.0  # the objects of a picture err together: few pictures tell no calibration
BEAM = dict(edge=0.1, streaks=0.03, curtain=0.01, background=0.0)


def rows():
    drawing = drawn.stack(1.0, 400)
    for measured, what in ((True, "coefficients measured on the instrument"), (False, "coefficients of the models")):
        judged = [one for dose in DOSES for seed in range(SEEDS) for one in _judged(drawing, dose, seed, measured)]
        yield _row(f"cross-section of nine materials, 10-1000 electrons a pixel, {what}", judged)


def _judged(drawing, dose, seed, measured):
    """For each object that calibrates nothing: (right, confidence, the dose allows it, confused pair below the limit, peer right, peer sure)."""
    names, rng = drawing.materials, np.random.default_rng([dose, seed])
    model = np.array([eta.eta_of(materials.find(n), KV) for n in names])
    value = model[:, 0] if measured else np.maximum(rng.normal(*model.T), 0.01)
    seen = take(drawing.labels, names, beam=Beam(dose=dose, seed=seed, **BEAM), yields=value)
    labels = pieces(seen.labels, background=None)[0] - 1
    first = np.unique(labels.ravel(), return_index=True)[1]
    truth = seen.labels.ravel()[first]
    known = {int(labels[-1, 5]): "Si", int(labels[100, 100]): "Cu"}
    got = grey.name_objects(labels, seen.image, known, KV, names, yields={n: (v, 1e-4) for n, v in zip(names, value)} if measured else None)
    doubt = np.full(len(names), 1e-4) if measured else model[:, 1]
    for k in [k for k in range(len(truth)) if k not in known]:
        distance = np.abs(model[:, 0] - model[truth[k], 0]) / np.sqrt((doubt**2 + doubt[truth[k]] ** 2) / 2 + _shot(got, doubt, k) ** 2)
        distance[truth[k]] = np.inf
        best = int(got.posterior[k].argmax())
        near = np.abs(got.eta[k] - model[:, 0])
        yield (best == truth[k], float(got.confidence[k]), bool(distance.min() > grey.TELLING), bool(distance[best] < grey.TELLING),
               int(near.argmin()) == truth[k], 1 - float(np.sort(near)[0] / np.sort(near)[:2].sum()))


def _shot(got, doubt, k):
    return np.sqrt(max(got.eta_sd[k] ** 2 - min(doubt) ** 2, 0))


def _row(what, judged):
    right, sure, allowed, below, peer_right, peer_sure = (np.array(v) for v in zip(*judged))
    ours = _scores(right, sure, allowed, below)
    theirs = _scores(peer_right, peer_sure, allowed, ~peer_right)
    met = not (ours["top1"] < 0.95) and ours["confident_errors"] == 0 and ours["calibration_error"] <= 0.05
    return {"what": what, "peer": "nearest coefficient", "ours": ours, "theirs": theirs, "objects": len(right),
            "bar": "top-1 95 % where the dose allows, no error above 0.9 below the limit, calibration error 0.05", "met": bool(met),
            "check": f"{_say(ours)} against {_say(theirs)}, {len(right)} objects"}


def _scores(right, sure, allowed, below):
    return {"top1": float(right[allowed].mean()) if allowed.any() else float("nan"), "allowed": int(allowed.sum()),
            "confident_errors": int((~right & (sure > 0.9) & below).sum()), "all_confident_errors": int((~right & (sure > 0.9)).sum()),
            "calibration_error": calibration_error(sure, right), "top1_of_all": float(right.mean())}


def _say(scores):
    among = f"{scores['top1']:.1%} of {scores['allowed']} the dose allows" if scores["allowed"] else "of none, for the dose allows no object"
    return (f"top-1 {among} ({scores['top1_of_all']:.1%} of all), "
            f"{scores['confident_errors']} errors above 0.9 below the limit ({scores['all_confident_errors']} in all), calibration error {scores['calibration_error']:.3f}")
