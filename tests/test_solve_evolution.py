import numpy as np
import pytest
from cukernels.backend import to_host

from chipmap.solve import transient

# copper, 1 um in 50 pixels of 20 nm
K, CAPACITY, DX, N = 400.0, 3.45e6, 20e-9, 50
SCALE = (N * DX)**2 * CAPACITY / K                                                # s, of diffusion along the bar


def bar(xp, k=K):
    fixed = np.zeros((3, N + 1), bool)
    fixed[:, 0] = True
    return xp.full((2, N), k), xp.full((2, N), CAPACITY), xp.asarray(fixed)


def poured(power):
    """The same power per volume everywhere, as what each node of the bar gets."""
    nodes = np.full((3, N + 1), power * DX * DX)
    nodes[[0, -1]] /= 2
    nodes[:, [0, -1]] /= 2
    return nodes


def heated(t, power=1e18, terms=400):
    """Temperature of the bar's insulated end: held at 0 at the other, heated evenly since t = 0 (Carslaw, Jaeger 3.4)."""
    n = 2 * np.arange(terms) + 1
    steady = power * (N * DX)**2 / (2 * K)
    return steady * (1 - (32 / np.pi**3 * (-1.0)**(n // 2) / n**3 * np.exp(-(n * np.pi / 2)**2 * t / SCALE)).sum())


def test_a_bar_heats_as_the_series_says(xp):
    k, capacity, fixed = bar(xp)
    load, times = xp.asarray(poured(1e18)), np.array([0.05, 0.3, 1.0]) * SCALE
    got = transient(k, capacity, lambda t: load, times, DX, DX, fixed, tolerance=1e-2 if xp is not np else 1e-3)
    want = [heated(t) for t in times]
    np.testing.assert_allclose(to_host(got.temperature)[:, 1, -1], want, rtol=1e-2 if xp is not np else 2e-3)
    assert not to_host(got.temperature)[:, :, 0].any() and got.steps[-1, 0] == pytest.approx(times[-1])


def test_error_falls_with_the_tolerance():
    k, capacity, fixed = bar(np)
    load, until = poured(1e18), 0.3 * SCALE
    results = [transient(k, capacity, lambda t: load, [until], DX, DX, fixed, tolerance=tol) for tol in (3e-2, 1e-3, 1e-5)]
    coarse, fine, exact = (r.temperature[0, 1, -1] for r in results)
    assert abs(fine - exact) < abs(coarse - exact) / 8
    assert len(results[0].steps) < len(results[1].steps) < len(results[2].steps)


def test_a_pulse_ends_where_it_ends():
    """Linear: a pulse is what heats on, less the same begun later."""
    k, capacity, fixed = bar(np)
    end, until = 0.2 * SCALE, 0.7 * SCALE
    got = transient(k, capacity, lambda t: poured(1e18) * (t < end), [end, until], DX, DX, fixed, breaks=[end], tolerance=2e-3)
    assert got.temperature[0, 1, -1] == pytest.approx(heated(end), rel=3e-3)
    assert got.temperature[1, 1, -1] == pytest.approx(heated(until) - heated(until - end), rel=1e-2)
    assert got.steps[:, 1].argmax() == abs(got.steps[:, 0] - end).argmin()


def test_no_heat_is_lost_in_an_insulated_body():
    rng = np.random.default_rng(0)
    k, capacity = rng.choice([0.0, 1.4, 400.0], (12, 15)), rng.choice([1.7e6, 3.4e6], (12, 15))
    source = np.zeros((13, 16))
    source[4, 7] = 3.0
    got = transient(k, capacity, lambda t: source, [1e-9, 5e-9], DX, DX)
    held = np.zeros((13, 16))
    for i in (0, 1):
        for j in (0, 1):
            held[i:i + 12, j:j + 15] += capacity * DX * DX / 4
    np.testing.assert_allclose((held * got.temperature).sum(axis=(1, 2)), [3e-9, 15e-9], rtol=1e-5)


def test_bad_questions():
    k, capacity, fixed = bar(np)
    load = poured(1.0)
    for times in ([], [0.0, 1.0], [2.0, 1.0], [np.nan]):
        with pytest.raises(ValueError, match="times"):
            transient(k, capacity, lambda t: load, times)
    with pytest.raises(ValueError, match="capacity"):
        transient(k, -capacity, lambda t: load, [1.0])
    with pytest.raises(ValueError, match="start"):
        transient(k, capacity, lambda t: load, [1.0], start=np.zeros((2, 2)))
