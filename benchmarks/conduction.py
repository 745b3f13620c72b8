"""Conduction through a picture against scikit-fem's assembly with pyamg, the better of its two multigrids.

Everything is timed: assembly, set-up, solve. Then iterations over block sizes and contrasts, ten right-hand sides
against one, certified bounds against known answers, and the peak memory of 4096^2 in a process of its own.
"""

import subprocess
import sys
import time

import numpy as np
import scipy.ndimage
from cukernels.backend import NotConverged, to_device

from chipmap.solve import Conductor, capacitance, conductance, effective_conductivity, resistance

from .timing import best_of

TOLERANCE = 1e-8


def run(device="cpu", size=1024, largest=4096):
    yield _against_peers(device, size)
    yield _many_loads(device, size)
    for n in (256, 1024):
        yield _iterations(device, n, (8, 16, 23, 64))
    for n in (5, 3, 2, 1):  # the hard ones: pieces of a few pixels that touch at corners
        yield _iterations(device, 1024, (n,), (1e2, 1e3, 1e4, 1e6, 1e8))
        yield _insulators(device, 1024, n)
    yield _iterations(device, largest, (16, 64), (1e3, 1e6))
    yield _bend(device, size)
    yield _coax(device, size)
    yield _discs(device, size // 2)
    if device == "cpu":
        yield _memory(4096)


def three_materials(n, seed=0):
    """Smooth random shapes of conductivity 1, 17 and 300."""
    rough = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((n, n)), 8, mode="wrap")
    return np.array([1.0, 17.0, 300.0])[np.digitize(rough / rough.std(), [-0.4, 0.5])]


def blocks(n, size, values, seed=0):
    m = -(-n // size)
    picture = np.random.default_rng(seed).choice(values, (m, m))
    return np.repeat(np.repeat(picture, size, 0), size, 1)[:n, :n]


def _against_peers(device, size):
    k = three_materials(size)
    here = to_device(k, device)
    conductance(here)  # compile
    peers = {name: _peer(k, name) for name in ("ruge_stuben", "smoothed_aggregation")}
    ours_s, ours = best_of(lambda: conductance(here, tolerance=TOLERANCE), 5)
    name, (peer_s, value, iterations) = min(peers.items(), key=lambda p: p[1][0])
    gap = max(abs(ours.value / p[1] - 1) for p in peers.values())
    assert gap < 1e-7, gap
    return {"what": f"conductance, {size}^2, 1:17:300, everything included", "ours_s": ours_s, "peer": f"scikit-fem + pyamg {name}",
            "peer_s": peer_s, "ratio": peer_s / ours_s, "check": f"equal to {gap:.0e}, {ours.iterations} iterations to {iterations}",
            "peers_s": {n: p[0] for n, p in peers.items()}}


def _peer(k, name):
    """(seconds, conductance, iterations) of assembly by scikit-fem, set-up by pyamg, conjugate gradients."""
    import pyamg
    import skfem
    from skfem.helpers import dot, grad
    started = time.perf_counter()
    rows, columns = k.shape
    mesh = skfem.MeshQuad.init_tensor(np.arange(columns + 1.0), np.arange(rows + 1.0))
    centre = mesh.p[:, mesh.t].mean(axis=1).astype(int)
    each = k[centre[1], centre[0]][:, None]
    form = skfem.BilinearForm(lambda u, v, w: each * dot(grad(u), grad(v)))
    a = form.assemble(skfem.Basis(mesh, skfem.ElementQuad1(), intorder=2)).tocsr()
    y = mesh.p[1]
    u = 1 - y / rows
    inside = np.flatnonzero((y > 0) & (y < rows))
    matrix, b = a[inside][:, inside].tocsr(), -(a @ u)[inside]
    solver = pyamg.ruge_stuben_solver(matrix) if name == "ruge_stuben" else pyamg.smoothed_aggregation_solver(matrix)
    residuals = []
    u[inside] += solver.solve(b, tol=TOLERANCE, accel="cg", residuals=residuals, maxiter=300)
    value = u @ (a @ u)
    return time.perf_counter() - started, value, len(residuals) - 1


def _many_loads(device, size):
    k = to_device(three_materials(size), device)
    fixed = np.zeros((size + 1, size + 1), bool)
    fixed[[0, -1]] = True
    values = to_device(np.random.default_rng(0).random((10, size + 1, size + 1)), device)
    fixed = to_device(fixed, device)

    def cost(loads):
        return Conductor(k, fixed=fixed).solve(values=values[:loads])
    cost(10)
    one_s, one = best_of(lambda: cost(1), 3)
    ten_s, ten = best_of(lambda: cost(10), 3)
    gap = float(abs(ten.potential[0] - one.potential[0]).max())
    assert gap < 1e-6, gap
    return {"what": f"ten right-hand sides, {size}^2", "ours_s": ten_s, "peer": "ours, one right-hand side", "peer_s": one_s,
            "ratio": ten_s / one_s, "check": f"equal to {gap:.0e}; bar: at most 4"}


def _iterations(device, n, sizes, contrasts=(1e2, 1e3, 1e4, 1e6)):
    counts, seconds = {}, 0.0
    for contrast in contrasts:
        for size in sizes:
            for values in ([1.0, contrast], [1.0, contrast**0.5, contrast]):
                started = time.perf_counter()
                found = conductance(to_device(blocks(n, size, values, size), device)).iterations
                seconds += time.perf_counter() - started
                counts[contrast] = max(counts.get(contrast, 0), found)
    met = all(count <= (12 if contrast <= 1e3 else 25) for contrast, count in counts.items())
    text = ", ".join(f"{contrast:.0e}: {count}" for contrast, count in counts.items())
    return {"what": f"most iterations, blocks of {', '.join(map(str, sizes))} pixels, {n}^2", "ours_s": seconds,
            "check": f"{text}; bar (12 to 1e3, 25 above) {'met' if met else 'NOT met'}", "iterations": counts, "bar_met": met}


def _insulators(device, n, size):
    """Pieces of an insulator and a conductor, and of two conductors in an insulator, which may not converge: then it says so."""
    counts, seconds = {}, 0.0
    for name, values in (("0:1", [0.0, 1.0]), ("0:1:100", [0.0, 1.0, 100.0]), ("0:1:300", [0.0, 1.0, 300.0]),
                         ("0:1:1e4", [0.0, 1.0, 1e4]), ("0:1:1e6", [0.0, 1.0, 1e6])):
        started = time.perf_counter()
        try:
            counts[name] = conductance(to_device(blocks(n, size, values, size), device)).iterations
        except NotConverged:
            counts[name] = None
        seconds += time.perf_counter() - started
    met = all(count is not None and count <= 25 for count in counts.values())
    text = ", ".join(f"{name}: {'not converged, raised' if count is None else count}" for name, count in counts.items())
    return {"what": f"iterations, blocks of {size} pixels with true insulators, {n}^2", "ours_s": seconds,
            "check": f"{text}; bar (25) {'met' if met else 'NOT met'}", "iterations": counts, "bar_met": met}


def _bend(device, size):
    n = size // 4
    k, terminals = np.zeros((4 * n + 1, 4 * n + 1)), np.zeros((4 * n + 1, 4 * n + 1), np.int32)
    k[1:, :n] = k[-n:, :-1] = 1.0
    terminals[0, :n], terminals[-n:, -1] = 1, 2
    k, terminals = to_device(k, device), to_device(terminals, device)
    return _certified(f"right-angle bend, {4 * n}^2", lambda: resistance(k, terminals), 6.558728799, 3e-3, (0, 1))


def _coax(device, size):
    terminals = np.ones((size + 2, size + 2), np.int32)
    terminals[1:-1, 1:-1] = 0
    terminals[1 + size // 4:-1 - size // 4, 1 + size // 4:-1 - size // 4] = 2
    k, terminals = to_device(np.ones(terminals.shape), device), to_device(terminals, device)
    return _certified(f"square coax, {size}^2", lambda: capacitance(k, terminals), 10.234092569, 5e-3, (1, 1))


def _discs(device, n):
    x = (np.arange(n) + 0.5) / n - 0.5
    k = to_device(np.where(x[:, None]**2 + x**2 < 0.3 / np.pi, 10.0, 1.0), device)
    return _certified(f"disc array 10:1, {n}^2", lambda: effective_conductivity(k), None, 1e-3, (0, 0))  # a staircase's discs


def _certified(what, call, exact, most, entry):
    """The bounds and their cost: `most` is the largest gap allowed, relative."""
    def both():
        got = call()
        return got.lower[entry], got.upper[entry]
    both()
    alone_s, _ = best_of(call, 2)
    seconds, (lower, upper) = best_of(both, 2)
    gap = upper / lower - 1
    assert 0 < gap < most and (exact is None or lower < exact < upper), (lower, upper)
    return {"what": f"certified bounds of a {what}", "ours_s": seconds, "peer": "ours, the value alone", "peer_s": alone_s,
            "ratio": seconds / alone_s, "check": f"[{lower:.6f}, {upper:.6f}], gap {gap:.1e}; bar {most:.0e}", "gap": gap}


def _memory(n):
    code = (f"import resource, time, benchmarks.conduction as b; k = b.blocks({n}, 16, [1.0, 17.0, 300.0]); t = time.perf_counter();"
            " r = b.conductance(k); t = time.perf_counter() - t;"
            " print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, t, r.iterations)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, seconds, iterations = (float(x) for x in done.stdout.split())
    assert peak < 4.5, peak
    return {"what": f"conductance, {n}^2: peak memory of the process", "ours_s": seconds,
            "check": f"{peak:.2f} GB, {iterations:.0f} iterations", "peak_gb": peak}
