"""Kinds of objects under one doubt of the coefficients for all: against every assignment weighed exactly, and as sure as right."""

import itertools

import numpy as np
import pytest

from chipmap.coefficients import OBJECTS, Readings, kinds
from chipmap.score import calibration_error

VALUE = np.array([0.10, 0.125, 0.30, 0.315, 0.50])


def readings(read, known, chance=0.004, alike=0.0, doubt=0.01, grain=0.0, value=VALUE):
    """`Readings` of eta read off the line through the first and the last material, which objects 0 and 1 are."""
    read, full = np.asarray(read, float), lambda a: np.broadcast_to(np.asarray(a, float), len(read)).copy()  # noqa: E731
    place = (read - read[0]) / (read[1] - read[0])
    return Readings(place, full(chance), full(alike), np.asarray(known), value, np.full(len(value), doubt), grain * value,
                    np.ones(len(value)), 0, len(value) - 1)


def exactly(r):
    """Posterior by the marginal likelihood of every assignment: normal, but for how (high - low) stretches errors, which is little here."""
    objects, count = len(r.place), len(r.value)
    mean = np.concatenate([r.value, np.zeros(count), r.value[[r.low, r.high]]])
    prior = np.diag(np.concatenate([r.doubt**2, np.ones(count), [100.0, 100.0]]))
    table, logs, options = np.zeros((objects, count)), [], []
    for kind in itertools.product(*[[k] if k >= 0 else range(count) for k in r.known]):
        g = np.zeros((objects, 2 * count + 2))
        g[np.arange(objects), kind] = 1
        g[np.arange(objects), count + np.array(kind)] = r.alike
        g[:, -2], g[:, -1] = r.place - 1, -r.place
        cover = g @ prior @ g.T + np.diag(r.chance**2 + r.grain[list(kind)] ** 2)
        rest = g @ mean
        logs.append(-0.5 * rest @ np.linalg.solve(cover, rest) - 0.5 * np.linalg.slogdet(cover)[1])
        options.append(kind)
    for weight, kind in zip(np.exp(np.array(logs) - max(logs)), options):
        table[np.arange(objects), kind] += weight
    return table / table.sum(1, keepdims=True)


@pytest.mark.parametrize("alike", [0.0, 0.008])
@pytest.mark.parametrize("read", [(0.10, 0.50, 0.12, 0.12, 0.305), (0.10, 0.50, 0.305, 0.32, 0.32), (0.10, 0.50, 0.11, 0.13, 0.40)])
def test_as_every_assignment_weighed_exactly(read, alike):
    r = readings(read, [0, 4, -1, -1, -1], alike=alike)
    got = np.mean([kinds(r, seed) for seed in range(4)], axis=0)
    np.testing.assert_allclose(got, exactly(r), atol=0.06)  # 4 x 256 particles; and the stretch
    assert got.sum(1) == pytest.approx(1) and got[0, 0] == got[1, 4] == 1


def drawn(rng, objects=14, doubt=0.012, chance=0.003):
    theta = VALUE + doubt * rng.normal(size=len(VALUE))
    kind = np.r_[0, 4, rng.integers(0, len(VALUE), objects)]
    return kind, readings(theta[kind] + chance * rng.normal(size=len(kind)), [0, 4, *([-1] * objects)], chance, doubt=doubt)


def test_as_sure_as_it_is_right_and_right_more_often_than_object_by_object():
    rng, sure, right, nearest = np.random.default_rng(0), [], [], []
    for _ in range(50):
        kind, r = drawn(rng)
        got = kinds(r)[2:]
        sure += got.max(1).tolist()
        right += (got.argmax(1) == kind[2:]).tolist()
        read = r.value[0] + r.place[2:] * r.span
        nearest += (np.abs(read[:, None] - r.value).argmin(1) == kind[2:]).tolist()
    assert calibration_error(sure, right) < 0.06  # of 50 pictures, whose objects err together
    assert np.mean(right) > np.mean(nearest) + 0.03


def test_many_objects_of_one_grey_are_no_surer_than_one_of_their_material():
    """Thirty alike readings between two materials: the models' doubt is one, and does not shrink with their number."""
    one = kinds(readings([0.10, 0.50, 0.309], [0, 4, -1]))[2]
    many = kinds(readings([0.10, 0.50, *([0.309] * 30)], [0, 4, *([-1] * 30)]))[2:]
    assert 0.2 < many[:, 2].mean() < 0.8 and abs(many[:, 2].mean() - one[2]) < 0.25


def test_more_objects_than_teach_and_the_same_seed_the_same_answer():
    rng = np.random.default_rng(1)
    kind, r = drawn(rng, objects=3 * OBJECTS, doubt=0.003)
    got = kinds(r)
    np.testing.assert_array_equal(got, kinds(r))
    assert np.isfinite(got).all() and (got.argmax(1) == kind).mean() > 0.9
