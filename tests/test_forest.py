import numpy as np
import pytest
from cukernels import forest
from cukernels.backend import to_host
from cukernels.forest import predict, train


def blobs(rng, count=300, features=5, classes=3):
    """Samples (F, N) around a centre for each class, in the first two features; the rest is noise."""
    labels = rng.integers(0, classes, count)
    x = rng.normal(size=(features, count)).astype(np.float32)
    x[0] += 4 * (labels == 1)
    x[1] += 4 * (labels == 2)
    return x, labels


def grown(xp, x, labels, classes, **how):
    groups = how.pop("groups", None)
    fitted, votes = train(xp.asarray(x), xp.asarray(labels), classes, groups=None if groups is None else xp.asarray(groups), **how)
    return fitted, to_host(votes)


def test_one_split_by_hand(xp):
    """Four values, two classes: the only pure cut lies half-way between 2 and 5."""
    x = np.array([[1.0, 2.0, 5.0, 9.0]], np.float32)
    fitted, votes = grown(xp, x, np.array([0, 0, 1, 1]), 2, trees=40, seed=1)
    threshold, child = to_host(fitted.threshold), to_host(fitted.child)
    inner = child != np.arange(len(child))
    assert inner.any() and set(threshold[inner]) <= {1.5, 3.5, 7.0}  # 1.5 and 7 where a tree has not seen 2 or 5
    assert 3.5 in threshold[inner] and np.isinf(threshold[~inner]).all()
    got = to_host(predict(fitted, xp.asarray(np.array([[-3.0, 2.0, 5.0, 100.0]], np.float32))))
    assert (got[0, :2] > 0.6).all() and (got[1, 2:] > 0.6).all()
    np.testing.assert_allclose(got.sum(0), 1, rtol=1e-6)


def test_votes_of_a_leaf_by_hand(xp):
    """No feature tells the samples apart: each tree votes with the weighed counts of what it has seen."""
    labels = np.array([0, 0, 0, 1])
    fitted, _ = grown(xp, np.zeros((1, 4), np.float32), labels, 2, trees=7, seed=3)
    used = np.stack([forest._bootstrap(np.arange(4), np.uint64(3), t, forest._POISSON) for t in range(7)])
    mass = np.stack([used[:, :3].sum(1) * 4 / 6, used[:, 3] * 4 / 2], 1)  # classes weigh N / (K n)
    assert (mass.sum(1) > 0).all()
    want = mass / mass.sum(1, keepdims=True)
    np.testing.assert_allclose(to_host(fitted.votes), want, rtol=1e-6)


def test_trees_see_groups_whole_and_as_often_as_poisson_says(xp):
    groups = np.repeat(np.arange(2000), 3)
    used = np.stack([forest._bootstrap(groups, np.uint64(5), t, forest._POISSON) for t in range(10)])
    assert (used.reshape(10, 2000, 3) == used[:, ::3, None]).all()
    share = np.bincount(used[:, ::3].ravel(), minlength=5)[:5] / 20000
    np.testing.assert_allclose(share, np.exp(-1) / np.array([1, 1, 2, 6, 24]), atol=4 * np.sqrt(0.25 / 20000))
    # a sample is tested only by trees that left out its whole group: two groups of one class each can't be told
    x = np.concatenate([np.zeros((1, 50)), np.ones((1, 50))], 1).astype(np.float32)
    _, votes = grown(xp, x, np.repeat([0, 1], 50), 2, groups=np.repeat([0, 1], 50), trees=20)
    right = votes[np.repeat([0, 1], 50), np.arange(100)]
    assert np.nanmax(right) == 0


def test_every_device_grows_the_same_forest(xp):
    x, labels = blobs(np.random.default_rng(1), 150)
    how = {"trees": 5, "seed": 11, "groups": np.arange(150) // 4}
    got, votes = grown(xp, x, labels, 3, **how)
    want, want_votes = train(x, labels, 3, **how)
    for name in ("feature", "threshold", "child", "votes", "roots"):
        np.testing.assert_array_equal(to_host(getattr(got, name)), getattr(want, name))
    np.testing.assert_array_equal(votes, want_votes)
    np.testing.assert_array_equal(to_host(predict(got, xp.asarray(x))), predict(want, x))


@pytest.mark.parametrize("depth, least", [(0, 1), (3, 1), (20, 10)])
def test_depth_and_least_hold(xp, depth, least):
    x, labels = blobs(np.random.default_rng(2), 200)
    fitted, _ = grown(xp, x, labels, 3, trees=4, depth=depth, least=least, balance=False)
    child, roots = to_host(fitted.child), to_host(fitted.roots)
    level = np.zeros(len(child), int)
    for node in range(len(child)):
        if child[node] != node:
            level[child[node]:child[node] + 2] = level[node] + 1
    assert level.max() <= depth and (depth == 0 or level.max() > 0)
    used = np.stack([forest._bootstrap(np.arange(200), np.uint64(0), t, forest._POISSON) for t in range(4)])
    for t, root in enumerate(roots):  # walk every sample down by the definition
        node = np.full(200, root)
        for _ in range(30):
            value = x[to_host(fitted.feature)[node], np.arange(200)]
            node = child[node] + (value > to_host(fitted.threshold)[node])
        size = np.bincount(node, used[t], len(child))
        assert (size[np.unique(node[used[t] > 0])] >= least).all()


def test_every_sample_reaches_a_pure_leaf_where_features_tell_all(xp):
    rng = np.random.default_rng(4)
    x = rng.permutation(60).astype(np.float32)[None]
    labels = rng.integers(0, 2, 60)
    fitted, _ = grown(xp, x, labels, 2, trees=30, depth=40)
    votes = to_host(fitted.votes)
    leaf = to_host(fitted.child) == np.arange(len(votes))
    assert ((votes[leaf] == 0) | (votes[leaf] == 1)).all()
    agree = to_host(predict(fitted, xp.asarray(x))).argmax(0) == labels
    assert agree.mean() > 0.95


def test_classes_of_unequal_size_weigh_the_same():
    rng = np.random.default_rng(5)
    labels = (np.arange(40_000) < 2000).astype(int)
    x = (rng.normal(size=(1, 40_000)) + 1.5 * labels).astype(np.float32)
    grid = np.linspace(-2, 4, 61, dtype=np.float32)[None]
    border = {}
    for balance in (True, False):
        fitted, _ = train(x, labels, 2, balance=balance, depth=5, least=100)
        border[balance] = grid[0, np.abs(predict(fitted, grid)[1] - 0.5).argmin()]
    assert abs(border[True] - 0.75) < 0.3 < 0.8 < border[False] - border[True]  # log 19 / 1.5 = 1.96 further


def test_as_right_as_scikit_learn():
    """The same data, sizes and number of trees; the difference of two error rates of ~7 % over 4000 samples is noise below 2 %."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(6)
    x, labels = blobs(rng, 6000, features=12, classes=3)
    x[:2] *= 0.6
    x += rng.normal(size=x.shape).astype(np.float32) * 0.4
    fitted, votes = train(x[:, :2000], labels[:2000], 3, trees=100)
    theirs = ensemble.RandomForestClassifier(100, oob_score=True, random_state=0).fit(x[:, :2000].T, labels[:2000])
    ours = (predict(fitted, x[:, 2000:]).argmax(0) == labels[2000:]).mean()
    assert ours > (theirs.predict(x[:, 2000:].T) == labels[2000:]).mean() - 0.02
    assert abs((votes.argmax(0) == labels[:2000]).mean() - theirs.oob_score_) < 0.03
    assert abs((votes.argmax(0) == labels[:2000]).mean() - ours) < 0.03  # out of the bag is as good as unseen


def test_planes_in_planes_out(xp):
    x, labels = blobs(np.random.default_rng(7), 120)
    fitted, _ = grown(xp, x, labels, 3, trees=3)
    flat = to_host(predict(fitted, xp.asarray(x)))
    planes = to_host(predict(fitted, xp.asarray(x.reshape(5, 10, 12))))
    np.testing.assert_array_equal(planes.reshape(3, 120), flat)


@pytest.mark.parametrize("shape", [(1, 700), (5, 7), (9, 530), (4, 16)])
def test_each_pixel_goes_its_own_way_whatever_lies_beside_it(xp, shape):
    """Planes that are smooth, noisy and constant: blocks of them go down as one, in parts, and pixel by pixel."""
    rng = np.random.default_rng(9)
    x, labels = blobs(rng, 400, features=3)
    x[2] += labels
    fitted, _ = grown(xp, x, labels, 3, trees=7, seed=2)
    y, across = np.mgrid[:shape[0], :shape[1]]
    planes = np.stack([4 * np.sin(across / 60) + 0 * y, rng.normal(0, 4, shape), np.full(shape, 1.0)]).astype(np.float32)
    feature, threshold, child, votes, roots = (to_host(getattr(fitted, n)) for n in ("feature", "threshold", "child", "votes", "roots"))
    want = np.zeros((3, *shape), np.float32)
    for root in roots:
        node = np.full(shape, root)
        while (child[node] != node).any():
            node = child[node] + (np.take_along_axis(planes, feature[node][None], 0)[0] > threshold[node])
        want += np.moveaxis(votes[node], -1, 0)
    np.testing.assert_array_equal(to_host(predict(fitted, xp.asarray(planes))), want / np.float32(7))


def test_bad_arguments_are_named(xp):
    x, labels = blobs(np.random.default_rng(8), 50)
    give = lambda x=x, labels=labels, classes=3, **more: train(xp.asarray(x), xp.asarray(labels), classes, **more)  # noqa: E731
    fitted, _ = give(trees=3)
    bad = x.copy()
    bad[0, 7] = np.nan
    with pytest.raises(ValueError, match="finite"):
        give(bad)
    with pytest.raises(ValueError, match="NaN"):
        predict(fitted, xp.asarray(bad))
    with pytest.raises(ValueError, match="labels must be 50 integers from 0 to 1"):
        give(classes=2)
    with pytest.raises(ValueError, match="float32"):
        give(x.astype(float))
    with pytest.raises(TypeError, match="float32"):
        predict(fitted, xp.asarray(x.astype(float)))
    with pytest.raises(ValueError, match="features or more"):
        predict(fitted, xp.asarray(x[:1]))
    with pytest.raises(ValueError, match="1 to 16"):
        give(classes=17)
    with pytest.raises(ValueError, match="trees 0"):
        give(trees=0)
    with pytest.raises(TypeError, match="cupy") if xp is not np else pytest.raises(ValueError, match="groups"):
        give(groups=np.arange(49))
