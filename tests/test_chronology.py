"""Chronologies by hand, by laws of chance at fixed seeds, and against a plain walk from hour to hour."""

import numpy as np
import pytest
from cukernels import philox
from cukernels.backend import to_host
from cukernels.chronology import Items, lost_power, short_hours
from scipy import stats

NEVER, AT_ONCE = 0.0, np.inf


def items(xp, T, **given):
    """Items of one piece of power 1 that never change, but for what is given."""
    N = len(next(iter(given.values())))
    levels = given.pop("levels", [[]] * N)  # (chance up to here, share left) of each item
    begin = given.pop("begin", [[0]] * N)
    power = given.pop("power", [[1]] * N)
    plain = dict(column=np.zeros(N, int), stream=np.arange(N), start=np.zeros(N), fail=np.zeros(N), back=np.zeros(N),
                 season=np.full(N, -1), seasons=np.zeros((0, T + 1)))
    flat = np.array([pair for item in levels for pair in item], float).reshape(-1, 2)
    pieces = dict(level=np.cumsum([0, *map(len, levels)]), chance=flat[:, 0], left=flat[:, 1], first=np.cumsum([0, *map(len, begin)]), begin=np.concatenate(begin), power=np.concatenate(power))
    return Items(**{name: xp.asarray(np.asarray(a)) for name, a in {**plain, **pieces, **given}.items()})


def fleet(seed, T, N=30, C=4, seasons=3):
    """Random items with one to four pieces, some with hazards that change through the year."""
    rng = np.random.default_rng(seed)
    begin = [np.unique([0, *rng.integers(1, T, rng.integers(0, 4))]) for _ in range(N)]
    hazards = rng.uniform(0, .2, (seasons, T))
    return dict(column=rng.integers(0, C, N), start=rng.uniform(0, 1, N), fail=rng.uniform(0, .2, N), back=rng.uniform(0, .5, N),
                season=rng.integers(-1, seasons, N), seasons=np.pad(hazards.cumsum(1), ((0, 0), (1, 0))), begin=begin,
                power=[rng.integers(0, 900, len(b)) for b in begin], levels=[[(.3, .25), (.5, .8)] if i % 3 == 0 else [] for i in range(N)])


def test_by_hand(xp):
    all_out = items(xp, 6, start=[1.0, 0.0, 1.0, 1.0], back=[NEVER, NEVER, AT_ONCE, AT_ONCE], fail=[0, NEVER, NEVER, AT_ONCE],
                    column=[0, 0, 1, 2], begin=[[0, 2, 5], [0], [0], [0]], power=[[10, 20, 5], [100], [7], [3]])
    got = to_host(lost_power(all_out, 1, xp.asarray(np.array([4])), 6, 3))
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, [[[10, 10, 20, 20, 20, 5], [7, 0, 0, 0, 0, 0], [3, 0, 3, 0, 3, 0]]])


def test_a_season_that_strikes_once(xp):
    strikes = np.array([[0, 0, 0, 1e6, 1e6, 1e6, 1e6]])  # certain failure between hours 2 and 3
    one = items(xp, 6, season=[0], fail=[AT_ONCE], seasons=strikes)
    np.testing.assert_array_equal(to_host(lost_power(one, 0, xp.asarray(np.arange(3)), 6, 1)), [[[0, 0, 0, 1, 1, 1]]] * 3)


def test_equals_a_walk_from_hour_to_hour(xp):
    T, C, S = 60, 4, 5
    given = fleet(3, T)
    got = to_host(lost_power(items(xp, T, **given), 2**40 + 9, xp.asarray(np.arange(S) + 2**33), T, C))
    want = np.zeros((S, C, T), int)
    for s in range(S):
        for i in range(len(given["start"])):
            draw = lambda k, i=i, s=s: philox.words(2**40 + 9, s + 2**33, i << 32 | k)  # noqa: E731
            number = lambda w: (((int(w[0]) << 32 | int(w[1])) >> 12) + .5) / 2**52  # noqa: E731
            state, k = number(draw(0)[:2]) < given["start"][i], 1
            wait = -np.log(number(draw(0)[2:]))
            row = given["season"][i]
            for t in range(T):
                if state:
                    pick, left = number(philox.words(2**40 + 9, s + 2**33, i << 32 | 2**31 | k + 1)[:2]), 0.0
                    for upto, share in reversed(given["levels"][i]):
                        left = share if pick < upto else left
                    piece = np.searchsorted(given["begin"][i], t, side="right") - 1
                    want[s, given["column"][i], t] += given["power"][i][piece] - int(given["power"][i][piece] * left + .5)
                wait -= given["back"][i] if state else np.diff(given["seasons"][row])[t] if row >= 0 else given["fail"][i]
                if wait < 0:
                    state, k = not state, k + 1
                    words = draw(k // 2)
                    wait = -np.log(number(words[2:] if k % 2 else words[:2]))
    np.testing.assert_array_equal(got, want)


def test_any_split_of_the_samples_and_any_device(xp):
    T, C = 50, 4
    given = fleet(8, T)
    whole = lost_power(items(np, T, **given), 5, np.arange(20), T, C)
    parts = [to_host(lost_power(items(xp, T, **given), 5, xp.asarray(part), T, C)) for part in (np.arange(7), np.arange(7, 20))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_short_hours_are_those_where_a_region_lacks(xp):
    T, C, R = 50, 4, 2
    given, samples = fleet(9, T), np.arange(40, 60)
    margin = np.random.default_rng(1).integers(500, 6000, (R, T))
    lost = lost_power(items(np, T, **given), 6, samples, T, C)
    sample, hour = np.nonzero((lost[:, :R] > margin).any(axis=1))
    assert 20 < len(hour) < 900
    got = [to_host(a) for a in short_hours(items(xp, T, **given), 6, xp.asarray(samples), xp.asarray(margin), C)]
    for mine, want in zip(got, (sample, hour, lost[sample, :, hour]), strict=True):
        np.testing.assert_array_equal(mine, want)


def test_levels_by_hand_and_by_chance(xp):
    """Certain levels; and one in three stays at a quarter, one in three at half, the others out."""
    sure = items(xp, 3, start=[1.0, 1.0], back=[NEVER] * 2, column=[0, 1], levels=[[(0.0, .5), (1.0, .8)], []], begin=[[0, 2], [0]], power=[[10, 7], [9]])
    np.testing.assert_array_equal(to_host(lost_power(sure, 1, xp.asarray(np.arange(2)), 3, 2)), [[[2, 2, 1], [9, 9, 9]]] * 2)
    S = 3000 if xp is np else 300
    one = items(xp, 1, start=[1.0], levels=[[(1 / 3, .25), (2 / 3, .5)]], power=[[100]])
    lost = to_host(lost_power(one, 3, xp.asarray(np.arange(S)), 1, 1)).ravel()
    counts = np.array([(lost == v).sum() for v in (75, 50, 100)])
    assert counts.sum() == S and stats.chisquare(counts).pvalue > 1e-3


def test_items_of_one_stream_fail_together(xp):
    T = 200
    same = dict(fail=[.1] * 3, back=[.3] * 3, start=[.2] * 3, column=[0, 1, 2], stream=[4, 4, 5])
    got = to_host(lost_power(items(xp, T, **same), 0, xp.asarray(np.arange(4)), T, 3))
    np.testing.assert_array_equal(got[:, 0], got[:, 1])
    assert (got[:, 0] != got[:, 2]).mean() > .1


def test_stays_are_geometric_and_the_share_stays_stationary():
    """Chance .02 of failing, .1 of coming back: a sixth of the time out. Fixed seed: numbers, not luck."""
    T, S, fail, back = 400, 4000, .02, .1
    q = fail / (fail + back)
    one = items(np, T, start=[q], fail=[-np.log1p(-fail)], back=[-np.log1p(-back)])
    out = lost_power(one, 12, np.arange(S), T, 1)[:, 0].astype(bool)
    np.testing.assert_allclose(out.mean(0), q, atol=5 * np.sqrt(q * (1 - q) / S))
    assert (~out[:, :-1] & out[:, 1:]).sum() / (~out[:, :-1]).sum() == pytest.approx(fail, abs=.0005)
    begins = np.flatnonzero(~out[:, 99] & out[:, 100])  # stays that begin at hour 100
    stay = np.argmin(out[begins, 100:], axis=1)
    counts = np.bincount(np.minimum(stay, 31))[1:]
    share = back * (1 - back) ** np.arange(30)
    expected = np.append(share, 1 - share.sum()) * len(begins)
    assert stats.chisquare(counts[:12], expected[:12] * counts[:12].sum() / expected[:12].sum()).pvalue > 1e-3


def test_no_items_no_loss(xp):
    none = items(xp, 5, start=[0.0])
    empty = none._replace(**{n: getattr(none, n)[:0] for n in ("column", "stream", "start", "fail", "back", "season", "begin", "power")}, first=none.first[:1], level=none.level[:1])
    assert not to_host(lost_power(empty, 0, xp.asarray(np.arange(3)), 5, 2)).any()


@pytest.mark.parametrize("change, words", [
    (dict(start=[0.0, 1.5]), r"start\[1\]"), (dict(fail=[np.nan, 0]), r"fail\[0\]"), (dict(back=[0.0, -1]), r"back\[1\]"),
    (dict(column=[0, 3]), r"column\[1\]"), (dict(stream=[0, 2**32]), r"stream\[1\]"), (dict(season=[0, 0]), r"season\[0\]"),
    (dict(begin=[[0], [1]]), "begin at hour 0"), (dict(begin=[[0, 3, 3], [0]], power=[[1, 1, 1], [1]]), "and rise"),
    (dict(power=[[2**30], [2**30]]), "add up to more"), (dict(seasons=np.zeros((1, 5)), season=[0, 0]), "seasons have shape"),
    (dict(levels=[[(1.1, .5)], []]), r"chance\[0\]"), (dict(levels=[[], [(.5, -.1)]]), r"left\[0\]"),
    (dict(level=[0, 1, 1]), "levels of the items don't follow"),
    (dict(seasons=np.array([[0, 1, .5, 2, 2, 2, 2]]), season=[0, 0]), r"seasons\[0\]"),
])
def test_bad_items_are_named(xp, change, words):
    with pytest.raises(ValueError, match=words):
        lost_power(items(xp, 6, **{**dict(start=[0.0, 0.0]), **change}), 0, xp.asarray(np.arange(2)), 6, 3)
