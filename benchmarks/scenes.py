"""Pictures of stiffness that are hard to solve: stiff pieces and true voids, apart and over one another."""

import numpy as np


def discs(size, count, low, high, kinds, seed=0):
    """(size, size) stiffness: `count` discs over one another with radii between low and high pixels, of these kinds, in 1."""
    rng, (y, x) = np.random.default_rng(seed), np.indices((size, size))
    young = np.ones((size, size))
    for _ in range(count):
        cy, cx, r = *rng.uniform(0, size, 2), rng.uniform(low, high)
        young[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.choice(kinds)
    return young


MIXED = [0, 1e4, 0, 1e2]
SCENES = {
    "40 discs": lambda n: discs(n, 40, 3 * n / 128, 8 * n / 128, MIXED),
    "small stiff discs": lambda n: discs(n, 40 * n * n // 128**2, 3, 8, [1e4]),
    "small voids": lambda n: discs(n, 40 * n * n // 128**2, 3, 8, [0]),
    "small discs, stiff and void, over one another": lambda n: discs(n, 40 * n * n // 128**2, 3, 8, MIXED),
    "voids over one another that leave threads": lambda n: discs(n, 120, n / 80, n / 14, [0]),
}
