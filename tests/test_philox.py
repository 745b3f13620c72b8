"""Philox: published known answers, laws of chance at fixed seeds, and the same bits whatever the chunks or the device."""

import numpy as np
import pytest
from cukernels import philox
from cukernels.backend import to_host
from numba import njit
from scipy import special, stats

# Known answers published with Random123 (kat_vectors, philox4x32, 10 rounds): counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.mark.parametrize("counter, key, answer", KNOWN)
def test_known_answers(xp, counter, key, answer):
    sample = xp.asarray(np.array([counter[0] | counter[1] << 32], np.uint64))
    item = xp.asarray(np.array([counter[2] | counter[3] << 32], np.uint64))
    got = to_host(philox.words(key[0] | key[1] << 32, sample, item))
    assert got.dtype == np.uint32
    np.testing.assert_array_equal(got, [answer])


def test_uniform_is_made_of_the_first_52_bits(xp):
    got = to_host(philox.uniform(0, xp.asarray(np.array([0])), 0))
    bits = (0x6627E8D5 << 32 | 0xE169C58D) >> 12
    assert got[0] == (bits + 0.5) / 2**52


def test_same_bits_on_every_device(xp):
    sample, item = np.arange(40)[:, None] + 2**33, np.arange(50) * 7
    for draw in (philox.words, philox.uniform, philox.normal):
        there = to_host(draw(2**63 + 5, xp.asarray(sample), xp.asarray(item)))
        np.testing.assert_array_equal(there, draw(2**63 + 5, sample, item))


def test_any_chunk_and_any_order_give_the_same_numbers(xp):
    items = np.arange(1000)
    whole = to_host(philox.uniform(3, 9, xp.asarray(items)))
    shuffled = np.random.default_rng(0).permutation(items)
    chunks = [to_host(philox.uniform(3, 9, xp.asarray(part))) for part in np.array_split(shuffled, 7)]
    np.testing.assert_array_equal(np.concatenate(chunks), whole[shuffled])


def test_normal_is_the_quantile_of_uniform(xp):
    n = 4000
    u = philox.uniform(1, 0, np.arange(n))
    got = to_host(philox.normal(1, 0, xp.asarray(np.arange(n))))
    np.testing.assert_allclose(got, special.ndtri(u), rtol=1e-14)  # both are rational fits good to about 1e-15


def test_quantile_in_the_far_tails():
    u = np.array([2.0**-53, 1e-15, 1e-12, 1e-5, 0.0749999, 0.0750001, 0.5, 0.9, 1 - 2.0**-53])
    np.testing.assert_allclose([philox.quantile(x) for x in u], special.ndtri(u), rtol=1e-14)


@pytest.mark.parametrize("vary", ["seed", "sample", "item"])
def test_uniform_and_independent_along_each_argument(vary):
    """Fixed seed, so no luck: the p-values are numbers, and a broken round or a shared stream drives them to zero."""
    n = np.arange(20000)
    if vary == "seed":
        u = np.array([philox.uniform(int(s), 0, 0) for s in n])
    else:
        u = philox.uniform(7, n, 0) if vary == "sample" else philox.uniform(7, 0, n)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    for lag in (1, 2, 64):
        pairs, _, _ = np.histogram2d(u[:-lag], u[lag:], bins=8, range=((0, 1), (0, 1)))
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-3


def test_every_word_and_bit_is_fair():
    ones = np.unpackbits(philox.words(11, 0, np.arange(50000)).view(np.uint8), axis=1).mean(axis=0)
    assert ones.shape == (128,)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(50000)  # five standard errors


def test_neighbouring_seeds_do_not_overlap():
    """The trap of streams keyed seed + sample * C: stream (s, i+1) must not repeat stream (s+1, i)."""
    draws = np.stack([philox.uniform(s, np.arange(200)[:, None], np.arange(20)) for s in range(5)])
    assert np.unique(draws).size == draws.size


def test_numba_loops_draw_inline():
    @njit
    def mean(seed, n):
        total = 0.0
        for i in range(n):
            high, low, _, _ = philox.philox(seed, np.uint64(4), np.uint64(i))
            total += philox.unit(high, low)
        return total / n

    assert mean(np.uint64(5), 1000) == pytest.approx(philox.uniform(5, 4, np.arange(1000)).mean(), abs=1e-14)


def test_shapes_and_scalars(xp):
    assert philox.uniform(0, 0, 0).shape == ()
    assert philox.words(0, xp.asarray(np.zeros((3, 1), np.int32)), xp.asarray(np.zeros(5, np.uint8))).shape == (3, 5, 4)
    assert philox.normal(0, xp.asarray(np.zeros(0, int)), 1).shape == (0,)


def test_bad_arguments(xp):
    with pytest.raises(ValueError, match="negative number -1"):
        philox.uniform(0, xp.asarray(np.array([3, -1])), 0)
    with pytest.raises(TypeError, match="float64: pass integers"):
        philox.uniform(0, xp.asarray(np.array([0.5])), 0)
    with pytest.raises(ValueError, match="seed"):
        philox.uniform(2**64, 0, 0)
