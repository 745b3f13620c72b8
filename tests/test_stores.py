"""Stores by hand, against published two-region answers with every state enumerated, by laws, and on every device."""

import itertools

import numpy as np
import pytest
from cukernels.backend import to_host
from cukernels.cuts import split_shortage
from cukernels.stores import Stores, run_stores


def run(xp, margin, lost=None, tail=(), head=(), limits=((), ()), **store):
    """margin (R, T), lost (S, C, T) (none by default), limits (2, E) both ways; stores by keyword, full shares by default."""
    G = len(store["region"])
    margin = np.array(margin)
    lost = np.zeros((1, len(margin) + 2 * len(tail) + G, margin.shape[1]), int) if lost is None else lost
    plain = dict(there=[0] * G, out_share=[1.0] * G, in_share=[1.0] * G, kept=[1.0] * G, rank=[0] * G, row=[-1] * G, inflow=np.zeros((0, margin.shape[1]), int))
    stores = Stores(**{name: xp.asarray(np.asarray(a)) for name, a in {**plain, **store}.items()})
    arrays = [xp.asarray(np.asarray(a)) for a in (lost, margin, np.array(tail, int), np.array(head, int), np.array(limits, int), np.array(limits, int))]
    return [to_host(a) for a in run_stores(stores, *arrays)]


def test_by_hand(xp):
    """It fills with 60 of what 80 leave (a tenth is lost each hour, three quarters arrive), then gives half of what leaves it."""
    given, held = run(xp, [[80, 0, -10, -100]], region=[0], give=[50], take=[80], room=[1000], out_share=[.5], in_share=[.75], kept=[.9])
    np.testing.assert_array_equal(held[0, 0], [60, 54, 28, 1])
    np.testing.assert_array_equal(given[0, 0], [0, 0, 10, 12])  # 48 have stayed: 20 leave for 10; then 25: 24 leave for 12
    assert given.dtype == held.dtype == np.int64


def test_the_one_that_can_go_on_longest_gives_first(xp):
    given, held = run(xp, [[-8, -8]], region=[0, 0], give=[10, 5], take=[0, 0], room=[20, 20], there=[12, 20])
    np.testing.assert_array_equal(held[0], [[9, 6], [15, 10]])
    np.testing.assert_array_equal(given[0, 0], [8, 8])


def test_the_one_that_could_go_on_shortest_fills_first(xp):
    _, held = run(xp, [[7, 7]], region=[0, 0], give=[10, 5], take=[5, 5], room=[20, 20], there=[12, 0])
    np.testing.assert_array_equal(held[0], [[14, 16], [5, 10]])


def test_only_what_reaches_those_who_lack(xp):
    """Region 1 lacks 30; the corridor from the store's region carries 12. Region 0's own 5 go first, the store gives 7."""
    given, held = run(xp, [[5], [-30]], tail=[0], head=[1], limits=[[99], [12]], region=[0], give=[50], take=[50], room=[50], there=[50])
    np.testing.assert_array_equal(given[0, :, 0], [7, 0])
    assert held[0, 0, 0] == 43


def test_filling_takes_nothing_from_anybody(xp):
    """20 are left in region 0 and region 1 lacks 15 of them: the empty store there gets 5, over the same corridor."""
    given, held = run(xp, [[20], [-15]], tail=[0], head=[1], limits=[[99], [99]], region=[1], give=[9], take=[9], room=[50])
    assert held[0, 0, 0] == 5 and not given.any()


def test_it_gets_full_whatever_rounding_does(xp):
    _, held = run(xp, [[99] * 4], region=[0], give=[50], take=[50], room=[50], in_share=[.85])
    np.testing.assert_array_equal(held[0, 0], [42, 50, 50, 50])


def test_out_of_service_it_keeps_what_it_has(xp):
    lost = np.zeros((1, 2, 3), int)
    lost[0, 1] = [0, 1, 0]
    given, held = run(xp, [[-2, -2, -2]], lost, region=[0], give=[9], take=[9], room=[50], there=[7])
    np.testing.assert_array_equal(given[0, 0], [2, 0, 2])
    np.testing.assert_array_equal(held[0, 0], [5, 5, 3])


def states(*power):
    """Every state of items over two hours, each out a tenth of the time: lost (S, len(power), 2) and the chance of each."""
    out = np.array(list(itertools.product((0, 1), repeat=2 * len(power)))).reshape(-1, len(power), 2)
    return out * np.array(power)[:, None], np.where(out, .1, .9).prod(axis=(1, 2))


def test_published_one_region(xp):
    """PRAS's test system 2: EUE .8 and .7542, LOLE .2, stored 1.62 and 2.2842 (in thousandths here)."""
    lost, chance = states(10_000, 1)
    margin = np.array([[2000, 1000]])
    given, held = run(xp, margin, lost, region=[0], give=[10_000], take=[10_000], room=[10_000])
    short = np.maximum(lost[:, 0] - given[:, 0] - margin[0], 0)
    np.testing.assert_allclose(chance @ short, [800, 754.2], rtol=1e-12)
    np.testing.assert_allclose(chance @ held[:, 0], [1620, 2284.2], rtol=1e-12)
    np.testing.assert_allclose(chance @ (short > 0), [.1, .1], rtol=1e-12)


def test_published_two_regions(xp):
    """PRAS's test system 3, a line and a store that fail: LOLE .320951, EUE 1.94 and 1.239289, stored 6.561 and 7.682202."""
    power, chance = states(25_000, 15_000, 1)
    lost = np.stack([power[:, 0], 0 * power[:, 0], power[:, 1], power[:, 1], power[:, 2]], axis=1)
    margin, demand = np.array([[17_000, 16_000], [-6000, -7000]]), np.array([[8000, 9000], [6000, 7000]])
    given, held = run(xp, margin, lost, tail=[0], head=[1], limits=[[15_000], [10**9]], region=[1], give=[10_000], take=[10_000], room=[10_000])
    lack = lost[:, :2] - given - margin
    short = np.stack([split_shortage(lack[..., t], np.tile(demand[:, t], (len(lack), 1)), np.array([0]), np.array([1]),
                                     15_000 - power[:, 1, t, None], 15_000 - power[:, 1, t, None])[0].sum(1) for t in range(2)], axis=1)
    np.testing.assert_allclose(chance @ short, [1940, 1239.289], rtol=1e-12)
    np.testing.assert_allclose(chance @ (short > 0), [.19, .130951], rtol=1e-12)
    np.testing.assert_allclose(chance @ held[:, 0], [6561, 7682.202], rtol=1e-12)


def test_ranks(xp):
    """A battery and customers who wait: they wait only when it is empty, and get theirs back before it fills."""
    given, held = run(xp, [[-8, -8, 5, 5, 9]], region=[0, 0], give=[10, 10], take=[10, 10], room=[10, 12], there=[10, 12], rank=[0, 1])
    np.testing.assert_array_equal(held[0], [[2, 0, 0, 4, 10], [12, 6, 11, 12, 12]])
    np.testing.assert_array_equal(given[0, 0], [8, 8, 0, 0, 0])


def test_inflow_and_budgets(xp):
    """A reservoir that nothing but its river fills: 5 an hour up to 12; and a budget of 7, anew every second hour."""
    river, budget = [5, 5, 5, 5, 0], [7, 0, 7, 0, 7]
    given, held = run(xp, [[0, 0, 0, -20, -20]], region=[0, 0], give=[9, 4], take=[0, 0], room=[12, 7], there=[1, 0], row=[0, 1], inflow=[river, budget])
    np.testing.assert_array_equal(held[0], [[6, 11, 12, 3, 0], [7, 7, 7, 3, 3]])
    np.testing.assert_array_equal(given[0, 0], [0, 0, 0, 13, 7])


def random_case(seed, S, R=4, E=5, G=5, T=30, ranks=1):
    rng = np.random.default_rng(seed)
    tail = rng.integers(0, R, E)
    store = dict(region=rng.integers(0, R, G), give=rng.integers(1, 40, G), take=rng.integers(0, 40, G), room=rng.integers(40, 200, G),
                 there=rng.integers(0, 40, G), out_share=rng.uniform(.7, 1, G), in_share=rng.uniform(.7, 1, G), kept=rng.uniform(.9, 1, G),
                 rank=rng.integers(0, ranks, G), row=rng.integers(-1, 2, G), inflow=rng.integers(0, 9, (2, T)) * (ranks > 1))
    limits = np.sort(rng.integers(0, 60, (2, E)), axis=0)[::-1]
    lost = rng.integers(0, 60, (S, R + 2 * E + G, T)) * (rng.random((S, R + 2 * E + G, T)) < .3)
    lost[:, R:R + 2 * E] = np.minimum(lost[:, R:R + 2 * E], np.tile(limits[0], 2)[:, None])
    return rng.integers(-30, 60, (R, T)), lost, dict(tail=tail, head=(tail + rng.integers(1, R, E)) % R, limits=limits, **store)


def test_laws(xp):
    """Energy adds up; nothing beyond power or room; and the rule: in no hour could a store still lower what is unserved."""
    margin, lost, more = random_case(3, 40 if xp is np else 3)
    given, held = run(xp, margin, lost, **more)
    R, E = 4, 5
    assert given.sum() > 100 and (given >= 0).all() and (held >= 0).all() and (held <= more["room"][:, None]).all()
    before = np.concatenate([np.tile(more["there"], (len(lost), 1))[..., None], held[..., :-1]], axis=2)
    kept = (before * more["kept"][:, None]).astype(int)
    assert (held - kept <= more["take"][:, None]).all() and (kept - held <= np.ceil(more["give"] / more["out_share"])[:, None]).all()
    out = lost[:, R + 2 * E:] > 0
    np.testing.assert_array_equal(held[out], kept[out])
    leaves = np.maximum(kept - held, 0)
    for r in range(R):
        at = more["region"] == r
        reaches = (leaves[:, at] * more["out_share"][at, None]).sum(1)
        assert (abs(reaches - given[:, r]) <= at.sum()).all()  # each store's rounding is below one unit
    _nothing_left_to_give(margin, lost, more, given, held, kept)


def _nothing_left_to_give(margin, lost, more, given, held, kept):
    R, E = 4, 5
    for s, t in itertools.product(range(len(lost)), range(margin.shape[1])):
        ways = [np.minimum(more["limits"][0] - lost[s, R + side * E:R + (side + 1) * E, t], more["limits"][1]) for side in range(2)]
        unserved = lambda lack, ways=ways: split_shortage(lack[None], np.maximum(lack, 0)[None], more["tail"], more["head"], *ways)[0].sum()  # noqa: E731
        lack = lost[s, :R, t] - given[s, :, t] - margin[:, t]
        if (now := unserved(lack)) == 0:
            continue
        for g, r in enumerate(more["region"]):
            could = min(more["give"][g], int(kept[s, g, t] * more["out_share"][g])) - int((kept[s, g, t] - held[s, g, t]) * more["out_share"][g]) - 1
            if could > 0 and not lost[s, R + 2 * E + g, t]:
                assert unserved(lack - could * (np.arange(R) == r)) == now


def by_sets(margin, lost, tail, head, limits, **store):
    """The same rule in plain words, unserved amounts by the worst set of regions (`cuts`)."""
    S, (R, T), E, G = len(lost), margin.shape, len(tail), len(store["region"])
    given, held = np.zeros((S, R, T), int), np.zeros((S, G, T), int)
    for s in range(S):
        energy = store["there"].copy()
        for t in range(T):
            ways = [np.minimum(limits[0] - lost[s, R + side * E:R + (side + 1) * E, t], limits[1]) for side in range(2)]
            unserved = lambda lack, ways=ways: int(split_shortage(lack[None], np.maximum(lack, 0)[None], tail, head, *ways)[0].sum())  # noqa: E731
            at = lambda g: np.arange(R) == store["region"][g]  # noqa: E731
            energy = (energy * store["kept"]).astype(int)
            for g in np.flatnonzero(store["row"] >= 0):
                energy[g] = min(energy[g] + store["inflow"][store["row"][g], t], store["room"][g])
            lack, is_out = lost[s, :R, t] - margin[:, t], lost[s, R + 2 * E:, t] > 0
            now, used = unserved(lack), is_out.copy()
            for g in sorted(range(G), key=lambda g, e=energy: (store["rank"][g], -e[g] / store["give"][g], g)):
                if now and not is_out[g] and energy[g]:
                    most = min(store["give"][g], int(energy[g] * store["out_share"][g]))
                    gives = now - unserved(lack - most * at(g))
                    energy[g] -= min(energy[g], int(np.ceil(gives / store["out_share"][g])))
                    lack = lack - gives * at(g)
                    given[s, store["region"][g], t] += gives
                    used[g], now = gives > 0, now - gives
            for g in sorted(range(G), key=lambda g, e=energy: (-store["rank"][g], e[g] / store["give"][g], g)):
                if not used[g] and energy[g] < store["room"][g]:
                    takes = min(store["take"][g], int(np.ceil((store["room"][g] - energy[g]) / store["in_share"][g])))
                    takes -= unserved(lack + takes * at(g)) - now
                    lack = lack + takes * at(g)
                    energy[g] = min(energy[g] + int(takes * store["in_share"][g]), store["room"][g])
            held[s, :, t] = energy
    return given, held


@pytest.mark.parametrize("seed, size", [(1, {}), (2, dict(R=9, E=14, G=8)), (3, dict(R=6, E=4, G=9, ranks=3))])
def test_equals_the_rule_by_sets_of_regions(seed, size):
    margin, lost, more = random_case(seed, 6, **size)
    for mine, want in zip(run(np, margin, lost, **more), by_sets(margin, lost, **more), strict=True):
        np.testing.assert_array_equal(mine, want)


@pytest.mark.parametrize("size", [{}, dict(R=20, E=40, G=30, ranks=2)])
def test_same_on_every_device(xp, size):
    margin, lost, more = random_case(5, 4, **size)
    for mine, want in zip(run(xp, margin, lost, **more), run(np, margin, lost, **more), strict=True):
        np.testing.assert_array_equal(mine, want)


@pytest.mark.parametrize("change, words", [
    (dict(region=[1]), r"region\[0\]"), (dict(there=[60]), r"there\[0\]"), (dict(out_share=[0.0]), r"out_share\[0\]"),
    (dict(in_share=[np.nan]), r"in_share\[0\]"), (dict(kept=[1.1]), r"kept\[0\]"), (dict(lost=np.zeros((1, 3, 2), int)), "lost has shape"),
    (dict(rank=[-1]), r"rank\[0\]"), (dict(row=[0]), r"row\[0\]"), (dict(inflow=np.zeros((1, 3), int), row=[0]), "inflow has shape"),
    (dict(inflow=-np.ones((1, 2), int), row=[0]), r"inflow\[0\]"), (dict(tail=[0], head=[3], limits=np.ones((2, 1))), r"head\[0\]"),
    (dict(region=[0] * 5000, give=[1] * 5000, take=[1] * 5000, room=[1] * 5000), "5000 stores"),
])
def test_bad_input_is_named(xp, change, words):
    with pytest.raises(ValueError, match=words):
        run(xp, **{**dict(margin=[[0, 0]], region=[0], give=[5], take=[5], room=[50]), **change})
